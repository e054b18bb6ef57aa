//! Short work that may touch the disk, away from the window's thread: reading and writing single
//! files, loading a model, asking for a path. What is long and can be stopped belongs to
//! `studio` instead.
//!
//! What is read may come in any order, each on a thread of its own. What is written goes through
//! one queue: two ratings of a take end with the newer one, and what was asked for before the
//! window closed is on the disk when it has.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::dialogs::Picked;
use super::sessions::LeftBehind;
use super::state::{
    Coverage, LiveCurve, LoadedModel, ModelChoice, Piece, ProjectView, Question, TakeEntry, WorkId,
};
use crate::audio::Font;
use crate::editor::{Clipboard, ClipboardError};
use crate::model::{Run, TrainSummary};
use crate::music::{Key, Score, Tick};
use crate::studio::JobId;

/// What came of a task.
pub enum Answer {
    Picked(Picked),
    /// A score was read from a file, to be worked on.
    Opened {
        /// Which of the scores it is that were asked for.
        number: u64,
        path: PathBuf,
        /// The file can't be read because there is none.
        is_missing: bool,
        result: Result<Opened, String>,
    },
    /// A score was read from a file, to prime a composition.
    PrimeRead {
        path: PathBuf,
        result: Result<Score, String>,
    },
    ModelLoaded {
        choice: ModelChoice,
        result: Result<LoadedModel, String>,
    },
    RunsListed(Vec<Run>),
    /// The SoundFonts of this system.
    FontsFound(Vec<PathBuf>),
    /// A run that is to be resumed, and the first of its files that isn't there any more.
    RunRead(Result<(Run, Option<PathBuf>), String>),
    /// A new run has a folder of its own.
    RunDirMade {
        /// Which of the starts it is that were asked for.
        number: u64,
        run_dir: PathBuf,
    },
    /// A run came to its end and was looked for: one that learned nothing leaves no folder.
    RunEnded {
        job: JobId,
        is_kept: bool,
        result: Result<TrainSummary, String>,
    },
    /// What was dropped on the window was looked at.
    Dropped {
        paths: Vec<PathBuf>,
        /// It is one file, to be opened; otherwise it is learned from.
        is_one_file: bool,
    },
    /// What was kept of a run's single steps.
    StepsRead {
        run_dir: PathBuf,
        live: LiveCurve,
    },
    Covered(Coverage),
    /// The key that a score is most likely in.
    KeyEstimated {
        score: Arc<Score>,
        key: Option<Key>,
    },
    TakesRead {
        entries: Vec<TakeEntry>,
        failures: Vec<String>,
    },
    /// The piano for a WAV file is ready.
    FontLoaded {
        result: Result<Font, String>,
        then: WavExport,
    },
    /// Work that other windows left behind, now claimed by this one where that is possible.
    UnfinishedFound(LeftBehind),
    /// Such work was read, to be worked on.
    Restored {
        /// Which of the scores it is that were asked for.
        number: u64,
        work: WorkId,
        result: Result<Opened, String>,
    },
    /// Unsaved work is on the disk, or not.
    Kept {
        /// Which of the writes it is that were begun.
        write: u64,
        result: Result<(), String>,
    },
    ProjectSaved {
        saving: Saving,
        result: Result<(), String>,
    },
    /// What was copied is text, for the system's clipboard.
    CopyWritten {
        clipboard: Arc<Clipboard>,
        text: String,
    },
    /// What the system's clipboard held was read, to be put at a tick.
    PasteRead {
        /// Which of the documents of this window it was asked for in.
        document: u64,
        at: Tick,
        result: Result<Clipboard, ClipboardError>,
    },
    /// A file was written, or not; `done` says what and where.
    Written {
        done: String,
        result: Result<(), String>,
    },
    /// NVIDIA's libraries are in place, or not.
    Fetched(Result<(), String>),
    /// The work itself broke.
    Broke(String),
}

/// A file that was opened.
pub struct Opened {
    pub score: Score,
    /// What was tolerated on the way.
    pub warnings: Vec<String>,
    pub is_project: bool,
    /// What a project holds besides the score.
    pub takes: Vec<TakeEntry>,
    pub view: ProjectView,
}

/// A project that is written to its file.
pub struct Saving {
    /// Which of the documents of this window it is; another may be there once it is written.
    pub document: u64,
    pub path: PathBuf,
    pub piece: Piece,
    /// What goes on once it is saved.
    pub then: Option<Question>,
}

/// What a WAV file is to hold.
pub struct WavExport {
    pub score: Arc<Score>,
    pub out: PathBuf,
}

/// Starts threads and collects what they answer.
pub struct Tasks {
    sender: Sender<Answer>,
    receiver: Receiver<Answer>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// `None` only where no thread could be started: then the window writes by itself.
    writer: Option<Writer>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that writes, one thing after the other.
struct Writer {
    queue: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start() -> io::Result<Self> {
        let (queue, jobs) = unbounded::<Job>();
        let body = move || jobs.iter().for_each(|job| job());
        let thread = thread::Builder::new().name("etude-writer".to_owned()).spawn(body)?;
        Ok(Self { queue, thread })
    }
}

impl Tasks {
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (sender, receiver) = unbounded();
        let writer = Writer::start()
            .inspect_err(|error| tracing::warn!("no thread for writing could be started: {error}"))
            .ok();
        Self { sender, receiver, wake, writer }
    }

    /// Runs `work` on a thread of its own. A panic in it becomes [`Answer::Broke`].
    pub fn spawn(&self, name: &str, work: impl FnOnce() -> Answer + Send + 'static) {
        let body = self.answering(name, work);
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
            let text = format!("{name} failed — no thread could be started ({error}). Try again");
            // The receiver lives as long as this sender.
            let _unheard = self.sender.send(Answer::Broke(text));
        }
    }

    /// Runs `work`, which writes, after everything that was to be written before.
    pub fn write(&self, name: &str, work: impl FnOnce() -> Answer + Send + 'static) {
        let job: Job = Box::new(self.answering(name, work));
        match &self.writer {
            // A queue without its thread gives the work back.
            Some(writer) => {
                if let Err(refused) = writer.queue.send(job) {
                    (refused.0)();
                }
            }
            None => job(),
        }
    }

    /// The work, and the sending of its answer. A panic in it becomes [`Answer::Broke`].
    fn answering(
        &self,
        name: &str,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> impl FnOnce() + Send + 'static {
        let (sender, wake) = (self.sender.clone(), Arc::clone(&self.wake));
        let what = name.to_owned();
        move || {
            let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Answer::Broke(format!(
                    "{what} failed — the program made a mistake. The log file in the Help menu \
                     says more"
                ))
            });
            // Nobody listens any more once the window is closed.
            if sender.send(answer).is_ok() {
                wake();
            }
        }
    }

    /// What was answered since the last call. Never blocks.
    pub fn answers(&self) -> Vec<Answer> {
        self.receiver.try_iter().collect()
    }
}

impl Drop for Tasks {
    /// Waits until everything is written.
    fn drop(&mut self) {
        if let Some(Writer { queue, thread }) = self.writer.take() {
            drop(queue);
            // The jobs catch their panics, so that the thread ends by itself; if it didn't,
            // nothing could be done about it here.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Take;
    use crate::tokens::Playback;
    use crate::ui::state::{Provenance, TakeId, Takes};

    fn entry() -> TakeEntry {
        let take =
            Take { roll: Vec::new(), n_prime_frames: 0, seed: 0, log_likelihood: 0.0, secs: 0.0 };
        let (playback, provenance) = (Playback::default(), Provenance::default());
        TakeEntry::new(TakeId(1), "Take 1".to_owned(), take, playback, provenance)
    }

    #[test]
    fn what_was_written_last_stays_even_when_the_window_closes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new(Arc::new(|| {}));
        for stars in [1, 2, 3, 4, 5, 2] {
            let (mut entry, folder) = (entry(), folder.path().to_owned());
            entry.stars = stars;
            tasks.write("keeping a take", move || {
                let result = entry.write(&folder).map_err(|error| error.to_string());
                Answer::Written { done: String::new(), result }
            });
        }
        drop(tasks);
        let (entries, failures) = Takes::read(folder.path());
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(entries[0].stars, 2);
    }

    #[test]
    fn a_write_that_breaks_is_told_and_the_next_is_made() {
        let tasks = Tasks::new(Arc::new(|| {}));
        let empty: Vec<u8> = Vec::new();
        tasks.write("keeping a take", move || {
            let first = empty[0];
            Answer::Broke(first.to_string())
        });
        let done = || Answer::Written { done: "kept".to_owned(), result: Ok(()) };
        tasks.write("keeping a take", done);
        let answer = || tasks.receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert!(matches!(answer(), Answer::Broke(text) if text.contains("keeping a take failed")));
        assert!(matches!(answer(), Answer::Written { done, result: Ok(()) } if done == "kept"));
    }
}
