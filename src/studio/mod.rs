//! The background workers: requests in, events out, cancellation.
//!
//! Requests and events travel over crossbeam channels and carry plain data, never tensors. Every
//! job: exactly one `Started`, any number of `Progress`, exactly one `Finished`. A `wake` closure
//! asks for a repaint, so this room never sees egui.

use std::path::PathBuf;
use std::sync::Arc;

use crate::audio::{Font, RenderReport, RenderSettings};
use crate::model::{
    ComposeEvent, ComposeRequest, DeviceReport, Take, TrainEvent, TrainRequest, TrainSummary,
};
use crate::music::Score;
use crate::tokens::{Corpus, FramingPlan, ReadProgress};

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
        plan: FramingPlan,
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
    Compose(ComposeEvent),
    /// 0–1.
    Render(f64),
}

/// How a job ended. A cancelled training or composition still is `Trained` or `Composed` with
/// what it has.
#[derive(Clone)]
pub enum Finish {
    Read(Arc<Corpus>),
    Trained(TrainSummary),
    Composed(Vec<Take>),
    Rendered(RenderReport),
    Devices(Vec<DeviceReport>),
    Cancelled,
    /// One line: what, why, what to do.
    Failed(String),
}

/// Owns the threads; dropping it cancels what runs and joins them.
pub struct Studio {
    _placeholder: (),
}

impl Studio {
    /// `wake` is called from the workers whenever [`Studio::events`] has something new.
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let _ = wake;
        todo!()
    }

    /// Queues a job. Training, composing and everything else each have a thread of their own.
    pub fn submit(&self, request: Request) -> JobId {
        let _ = request;
        todo!()
    }

    /// Asks a job to stop, queued or running. Its `Finished` still comes.
    pub fn cancel(&self, job: JobId) {
        let _ = job;
        todo!()
    }

    /// What happened since the last call, in order. Never blocks.
    pub fn events(&self) -> Vec<Event> {
        todo!()
    }
}
