//! Short work that may touch the disk, away from the window's thread: reading and writing single
//! files, loading a model, asking for a path. What is long and can be stopped belongs to
//! `studio` instead.
//!
//! What is read may come in any order, each on a thread of its own. What is written goes through
//! one queue: two ratings of a take end with the newer one, and what was asked for before the
//! window closed is on the disk when it has. One thing may wait there for its time, which comes
//! whether or not the window draws: of one that is covered or minimized many systems want no
//! frames.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::dialogs::Picked;
use super::sessions::LeftBehind;
use super::state::{
    Coverage, LiveCurve, LoadedModel, Piece, ProjectView, Question, StartChoice, TakeEntry, TakeId,
    WorkId,
};
use crate::audio::Font;
use crate::editor::{Clipboard, ClipboardError};
use crate::model::{Run, StartingPoint, TrainSummary};
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
    /// The chosen model is in memory, or can't be.
    ModelLoaded {
        /// Which of the loadings it is.
        number: u64,
        result: Result<LoadedModel, String>,
    },
    /// So is the model of a take that is to be composed again.
    ModelOfTakeLoaded {
        take: TakeId,
        result: Result<LoadedModel, String>,
    },
    /// The checkpoint that a run is to go on from was read, with what is to be known of it.
    StartRead {
        choice: StartChoice,
        result: Result<Box<(StartingPoint, Vec<String>)>, String>,
    },
    RunsListed(Vec<Run>),
    /// The SoundFonts of this system.
    FontsFound(Vec<PathBuf>),
    /// A run that is to be resumed, and the first of its files that isn't there any more.
    RunRead(Result<Box<(Run, Option<PathBuf>)>, String>),
    /// A new run has a folder of its own.
    RunDirMade {
        /// Which of the starts it is that were asked for.
        number: u64,
        run_dir: PathBuf,
    },
    /// A run came to its end and was looked for.
    RunEnded {
        job: JobId,
        /// It has something to show: one that learned nothing leaves no folder, and one that was
        /// refused hasn't begun.
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
    /// Which it is among all that were asked for.
    pub number: u64,
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

/// What is written at its time, unless something newer takes its place until then.
struct Later {
    due: Instant,
    job: Job,
}

/// At most one thing waits. It is held only to be looked at, so that the window never waits for it.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Option<Later>>>);

impl Waiting {
    fn hold(&self) -> MutexGuard<'_, Option<Later>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> Option<Instant> {
        self.hold().as_ref().map(|later| later.due)
    }

    fn take(&self) -> Option<Job> {
        self.hold().take().map(|later| later.job)
    }

    /// Takes what waits if its time has come.
    fn take_due(&self) -> Option<Job> {
        let now = Instant::now();
        self.hold().take_if(|later| later.due <= now).map(|later| later.job)
    }

    /// What comes in the place of another has the other's time if that is sooner: who works without
    /// a pause has it written all the same. Returns whether it is to be waited for anew.
    fn put(&self, later: Later) -> bool {
        let mut waiting = self.hold();
        let due = waiting.as_ref().map_or(later.due, |earlier| earlier.due.min(later.due));
        let is_sooner = waiting.as_ref().is_none_or(|earlier| due < earlier.due);
        let replaced = waiting.replace(Later { due, ..later });
        // What it holds may take a while to go.
        drop(waiting);
        drop(replaced);
        is_sooner
    }
}

/// The thread that writes, one thing after the other.
struct Writer {
    queue: Sender<Job>,
    waiting: Waiting,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start() -> io::Result<Self> {
        let (queue, jobs) = unbounded::<Job>();
        let waiting = Waiting::default();
        let body = {
            let waiting = waiting.clone();
            move || write_all(&jobs, &waiting)
        };
        let thread = thread::Builder::new().name("etude-writer".to_owned()).spawn(body)?;
        Ok(Self { queue, waiting, thread })
    }
}

/// Writes what comes, and what waits when its time has come or nothing can come any more.
fn write_all(jobs: &Receiver<Job>, waiting: &Waiting) {
    loop {
        // What was asked for at once was asked for before, or must not wait.
        jobs.try_iter().for_each(|job| job());
        if let Some(job) = waiting.take_due() {
            job();
        }
        let next = match waiting.due() {
            Some(due) => jobs.recv_deadline(due),
            None => jobs.recv().map_err(RecvTimeoutError::from),
        };
        match next {
            Ok(job) => job(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                waiting.take().into_iter().for_each(|job| job());
                return;
            }
        }
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
        self.queue(Box::new(self.answering(name, work)));
    }

    fn queue(&self, job: Job) {
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

    /// Runs `work`, which writes, at `due`. It takes the place of what waits already, and no later
    /// a time than that had.
    pub fn write_later(
        &self,
        due: Instant,
        name: &str,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) {
        let job: Job = Box::new(self.answering(name, work));
        let Some(writer) = &self.writer else { return job() };
        if writer.waiting.put(Later { due, job }) {
            // The writer looks at the time anew.
            self.queue(Box::new(|| {}));
        }
    }

    /// Doesn't wait any longer with what was to be written later: it comes after everything that
    /// was to be written before.
    pub fn hurry(&self) {
        let waiting = self.writer.as_ref().and_then(|writer| writer.waiting.take());
        waiting.into_iter().for_each(|job| self.queue(job));
    }

    /// What was to be written later isn't wanted any more. Returns whether there was something.
    pub fn forget_later(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.waiting.take().is_some())
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
        if let Some(Writer { queue, thread, .. }) = self.writer.take() {
            drop(queue);
            // The jobs catch their panics, so that the thread ends by itself; if it didn't,
            // nothing could be done about it here.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Take;
    use crate::tokens::Playback;
    use crate::ui::state::{Provenance, TakeId, Takes};

    fn entry() -> TakeEntry {
        let take = Take {
            roll: Vec::new(),
            touch: None,
            n_prime_frames: 0,
            seed: 0,
            log_likelihood: 0.0,
            secs: 0.0,
        };
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

    #[test]
    fn what_waits_gives_way_to_the_newer_and_comes_at_the_time_of_the_first() {
        let tasks = Tasks::new(Arc::new(|| {}));
        let word =
            |word: &'static str| move || Answer::Written { done: word.to_owned(), result: Ok(()) };
        let answer = || match tasks.receiver.recv_timeout(Duration::from_secs(60)).unwrap() {
            Answer::Written { done, .. } => done,
            _ => String::new(),
        };
        let (soon, never) = (Instant::now(), Instant::now() + Duration::from_secs(36_000));
        tasks.write_later(soon + Duration::from_millis(100), "keeping", word("first"));
        tasks.write_later(never, "keeping", word("second"));
        tasks.write("keeping", word("at once"));
        assert_eq!((answer(), answer()), ("at once".to_owned(), "second".to_owned()));

        tasks.write_later(never, "keeping", word("third"));
        assert!(tasks.forget_later() && !tasks.forget_later());
        tasks.write_later(never, "keeping", word("fourth"));
        tasks.hurry();
        tasks.write("keeping", word("after it"));
        assert_eq!((answer(), answer()), ("fourth".to_owned(), "after it".to_owned()));

        // The window closes: what waits is written, and not waited for.
        tasks.write_later(never, "keeping", word("last"));
        let receiver = tasks.receiver.clone();
        drop(tasks);
        assert!(matches!(receiver.try_recv(), Ok(Answer::Written { done, .. }) if done == "last"));
    }
}
