//! Short work that may touch the disk, away from the window's thread: reading and writing single
//! files, loading a model, asking for a path. What is long and can be stopped belongs to
//! `studio` instead.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::dialogs::Picked;
use super::state::{Coverage, ModelChoice, ProjectView, TakeEntry};
use crate::audio::Font;
use crate::model::{Model, Run};
use crate::music::{Key, Score};

/// What came of a task.
pub enum Answer {
    Picked(Picked),
    /// A score was read from a file, to be worked on.
    Opened {
        path: PathBuf,
        result: Result<Opened, String>,
    },
    /// A score was read from a file, to prime a composition.
    PrimeRead {
        path: PathBuf,
        result: Result<Score, String>,
    },
    ModelLoaded {
        choice: ModelChoice,
        result: Result<Model, String>,
    },
    RunsListed(Vec<Run>),
    /// The SoundFonts of this system.
    FontsFound(Vec<PathBuf>),
    /// A run that is to be resumed.
    RunRead(Result<Run, String>),
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
    ProjectSaved {
        path: PathBuf,
        score: Arc<Score>,
        result: Result<(), String>,
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
    /// Work that must happen in the order in which it was asked for, one after the other.
    in_order: Sender<Work>,
}

type Work = Box<dyn FnOnce() + Send>;

impl Tasks {
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (sender, receiver) = unbounded();
        let (in_order, waiting) = unbounded::<Work>();
        let body = move || waiting.iter().for_each(|work| work());
        if let Err(error) = thread::Builder::new().name("keeping files".to_owned()).spawn(body) {
            // The channel is closed then, and everything asked for says so.
            tracing::error!("no thread could be started: {error}");
        }
        Self { sender, receiver, wake, in_order }
    }

    /// Runs `work` on a thread of its own. A panic in it becomes [`Answer::Broke`].
    pub fn spawn(&self, name: &str, work: impl FnOnce() -> Answer + Send + 'static) {
        let body = self.body(name, work);
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
            self.not_started(name, &error.to_string());
        }
    }

    /// Runs `work` after everything that was given here before: a file that is written twice
    /// ends with what was written last.
    pub fn spawn_in_order(&self, name: &str, work: impl FnOnce() -> Answer + Send + 'static) {
        if self.in_order.send(Box::new(self.body(name, work))).is_err() {
            self.not_started(name, "too many run already");
        }
    }

    /// Waits until everything given to [`Self::spawn_in_order`] is done; returns whether it is.
    pub fn finish(&self, longest: std::time::Duration) -> bool {
        let (done, is_done) = unbounded();
        let last: Work = Box::new(move || {
            // Nobody may wait any more.
            let _ = done.send(());
        });
        self.in_order.send(last).is_ok() && is_done.recv_timeout(longest).is_ok()
    }

    fn not_started(&self, name: &str, why: &str) {
        let text = format!("{name} failed — no thread could be started ({why}). Try again");
        // The receiver lives as long as this sender.
        let _unheard = self.sender.send(Answer::Broke(text));
    }

    fn body(
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
