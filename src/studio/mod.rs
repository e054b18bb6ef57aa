//! The background workers: requests in, events out, cancellation.
//!
//! ```text
//!             jobs                                 events
//! submit ──┬────────► etude-trainer   ──┬────────────────────► events()
//!          ├────────► etude-composer  ──┤     wake()
//!          └────────► etude-librarian ──┘   (repaint, please)
//! ```
//!
//! Requests and events travel over crossbeam channels and carry plain data, never tensors. Every
//! job: exactly one `Started`, any number of `Progress`, exactly one `Finished`. A `wake` closure
//! asks for a repaint, so this room never sees egui.
//!
//! Each thread does its jobs in the order they were submitted; training and composing go on at
//! the same time. A job that is cancelled before its turn gets its `Started` and its
//! `Finished(Cancelled)` at once. A panic inside a job becomes `Failed`.
//!
//! Events are merged before they are queued: points of training, reading and rendering 20 times
//! a second at most, composed frames 50 times, the first of each at once.

mod background;
mod lane;
mod outbox;
mod work;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::{Font, RenderReport, RenderSettings};
use crate::cancel::CancelToken;
use crate::files;
use crate::model::{
    ComposeEvent, ComposeRequest, DeviceReport, Take, TrainEvent, TrainRequest, TrainSummary,
};
use crate::music::Score;
use crate::tokens::{Music, MusicPlan, ReadProgress};
use lane::{Job, Lane, Work};
use outbox::Outbox;

/// Names one submitted job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(pub u64);

/// What a corpus is read from.
#[derive(Clone, PartialEq, Debug)]
pub enum LibrarySource {
    /// The pieces in the binary.
    BuiltIn,
    Paths(Vec<PathBuf>),
}

/// Work for the threads behind the window.
#[derive(Clone)]
pub enum Request {
    ReadLibrary {
        source: LibrarySource,
        plan: MusicPlan,
    },
    Train(TrainRequest),
    Compose(ComposeRequest),
    Render {
        score: Arc<Score>,
        font: Font,
        settings: RenderSettings,
        out: PathBuf,
    },
    /// Looks for devices, which may take a second.
    ListDevices,
}

#[derive(Clone)]
pub struct Event {
    pub job: JobId,
    pub kind: EventKind,
}

#[derive(Clone)]
pub enum EventKind {
    Started,
    Progress(Progress),
    Finished(Finish),
}

#[derive(Clone)]
pub enum Progress {
    Read(ReadProgress),
    Train(TrainEvent),
    Compose(ComposeEvent<'static>),
    /// 0–1.
    Render(f64),
}

/// How a job ended. A cancelled training or composition still is `Trained` or `Composed` with
/// what it has.
#[derive(Clone)]
pub enum Finish {
    Read(Music),
    Trained(TrainSummary),
    Composed(Vec<Take>),
    Rendered(RenderReport),
    Devices(Vec<DeviceReport>),
    Cancelled,
    /// One line: what, why, what to do.
    Failed(String),
}

/// Owns the threads; dropping it cancels what runs and joins them, which takes as long as the
/// work at hand needs to notice: a step, or a second.
pub struct Studio {
    outbox: Arc<Outbox>,
    trainer: Lane,
    composer: Lane,
    librarian: Lane,
    cache_dir: Option<PathBuf>,
    n_submitted: AtomicU64,
}

impl Studio {
    /// `wake` is called from the workers whenever [`Studio::events`] has something new. It must
    /// be quick and must not panic.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self::with_cache_dir(wake, Some(files::cache_dir()))
    }

    /// The same with another folder, or none, to remember in what files were read as.
    pub fn with_cache_dir(wake: Arc<dyn Fn() + Send + Sync>, cache_dir: Option<PathBuf>) -> Self {
        let outbox = Arc::new(Outbox::new(wake));
        let lane = |name| Lane::new(name, Arc::clone(&outbox));
        Self {
            trainer: lane("etude-trainer"),
            composer: lane("etude-composer"),
            librarian: lane("etude-librarian"),
            cache_dir,
            n_submitted: AtomicU64::new(0),
            outbox,
        }
    }

    /// Queues a job. Training, composing and everything else each have a thread of their own.
    /// Never blocks.
    pub fn submit(&self, request: Request) -> JobId {
        let (lane, activity) = match &request {
            Request::Train(_) => (&self.trainer, "training"),
            Request::Compose(_) => (&self.composer, "composing"),
            Request::ReadLibrary { .. } => (&self.librarian, "reading the library"),
            Request::Render { .. } => (&self.librarian, "rendering"),
            Request::ListDevices => (&self.librarian, "looking for devices"),
        };
        self.queue(lane, activity, work::work_of(request, self.cache_dir.clone()))
    }

    fn queue(&self, lane: &Lane, activity: &'static str, work: Work) -> JobId {
        let id = JobId(self.n_submitted.fetch_add(1, Ordering::Relaxed));
        let cancel = CancelToken::new();
        self.outbox.register(id, cancel.clone());
        lane.submit(Job { id, cancel, activity, work });
        id
    }

    /// Asks a job to stop, queued or running. Its `Finished` still comes. A job that has finished
    /// is left as it is.
    pub fn cancel(&self, job: JobId) {
        self.outbox.cancel(job);
    }

    /// What happened since the last call, in order. Never blocks.
    pub fn events(&self) -> Vec<Event> {
        self.outbox.drain()
    }
}

impl Drop for Studio {
    /// All jobs are asked to stop before the first thread is waited for.
    fn drop(&mut self) {
        self.outbox.close();
    }
}
