//! Events on their way to the window: merged at the source, so that a fast job neither floods
//! the window nor fills the memory while nobody looks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::{Event, EventKind, Finish, JobId, Progress};
use crate::cancel::CancelToken;
use crate::model::{ComposeEvent, Model, StepPoint, TrainEvent};
use crate::tokens::{Chord, KeyFrame};

/// Between two events that say how far a job is: 20 a second.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Between two batches of composed frames, for each take they belong to: 50 a second.
const FRAMES_INTERVAL: Duration = Duration::from_millis(20);

/// Undelivered events from which on everything that can be merged waits for the window.
const MANY_UNDELIVERED: usize = 256;

/// Where all workers put their events.
pub(super) struct Outbox {
    events: Sender<Event>,
    delivered: Receiver<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    unfinished: Mutex<HashMap<JobId, Unfinished>>,
    /// Whether weights are on their way. Newer ones wait, so that a window that doesn't look
    /// finds two models at most, however long it trained.
    has_weights: AtomicBool,
}

/// A job between being submitted and being finished.
struct Unfinished {
    cancel: CancelToken,
    has_started: bool,
}

impl Outbox {
    pub fn new(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let (events, delivered) = crossbeam_channel::unbounded();
        let unfinished = Mutex::default();
        Self { events, delivered, wake, unfinished, has_weights: AtomicBool::new(false) }
    }

    pub fn register(&self, job: JobId, cancel: CancelToken) {
        self.unfinished().insert(job, Unfinished { cancel, has_started: false });
    }

    /// The job's turn has come. False if it was cancelled while it waited: its events are sent.
    pub fn start(&self, job: JobId) -> bool {
        let has_started =
            self.unfinished().get_mut(&job).map(|job| job.has_started = true).is_some();
        if has_started {
            self.send(job, EventKind::Started);
        }
        has_started
    }

    /// A running job is asked to stop; one that waits for its turn has ended with this.
    pub fn cancel(&self, job: JobId) {
        let mut unfinished = self.unfinished();
        match unfinished.get(&job) {
            Some(Unfinished { cancel, has_started: true }) => cancel.cancel(),
            Some(Unfinished { has_started: false, .. }) => {
                unfinished.remove(&job);
                drop(unfinished);
                self.send(job, EventKind::Started);
                self.send(job, EventKind::Finished(Finish::Cancelled));
            }
            None => {}
        }
    }

    /// Asks all that runs to stop and drops what waits, without a word: for the very end.
    pub fn close(&self) {
        self.unfinished().retain(|_, job| {
            job.cancel.cancel();
            job.has_started
        });
    }

    pub fn send(&self, job: JobId, kind: EventKind) {
        // The receiving end lives in this struct, so there always is one.
        let _ = self.events.send(Event { job, kind });
        (self.wake)();
    }

    pub fn finish(&self, job: JobId, finish: Finish) {
        self.unfinished().remove(&job);
        self.send(job, EventKind::Finished(finish));
    }

    /// What waits, in order. Never blocks.
    pub fn drain(&self) -> Vec<Event> {
        let events: Vec<Event> = self.delivered.try_iter().collect();
        if events.iter().any(|event| {
            matches!(event.kind, EventKind::Progress(Progress::Train(TrainEvent::Weights(_))))
        }) {
            self.has_weights.store(false, Ordering::Release);
        }
        events
    }

    /// Whether every job has finished.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.unfinished().is_empty()
    }

    fn is_crowded(&self) -> bool {
        self.events.len() >= MANY_UNDELIVERED
    }

    /// Jobs are only put in, marked or taken out; a panic can't leave the map half-changed.
    fn unfinished(&self) -> MutexGuard<'_, HashMap<JobId, Unfinished>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the progress of one job and passes it on in fewer pieces, in order.
pub(super) struct Reporter<'a> {
    job: JobId,
    outbox: &'a Outbox,
    waiting: Waiting,
    last_sent: Option<Instant>,
    weights: Option<Model>,
    /// The step of the newest point, to weigh losses by the steps they are means of.
    newest_step: usize,
}

/// What can still be merged with what comes next.
enum Waiting {
    Nothing,
    /// Only the newest counts.
    Newest(Box<Progress>),
    Step {
        point: StepPoint,
        n_steps: usize,
    },
    Frames(Vec<Frames>),
}

/// Frames of one take that follow each other.
struct Frames {
    take: usize,
    first: usize,
    chords: Vec<Chord>,
    touch: Option<Vec<KeyFrame>>,
}

impl<'a> Reporter<'a> {
    pub fn new(job: JobId, outbox: &'a Outbox) -> Self {
        let (waiting, last_sent, weights) = (Waiting::Nothing, None, None);
        Self { job, outbox, waiting, last_sent, weights, newest_step: 0 }
    }

    pub fn train(&mut self, event: TrainEvent) {
        self.send_waiting_weights();
        match event {
            TrainEvent::Step(point) => self.step(point),
            TrainEvent::Weights(model) => self.weights(model),
            event => self.at_once(Progress::Train(event)),
        }
    }

    pub fn compose(&mut self, event: ComposeEvent<'_>) {
        match event {
            ComposeEvent::Frames { take, first, chords, touch } => {
                self.frames(take, first, &chords, touch.as_deref());
            }
            // Only the newest counts, and another one comes soon.
            ComposeEvent::Searched { .. } if !self.is_due(PROGRESS_INTERVAL) => {}
            event @ ComposeEvent::Searched { .. } => {
                self.at_once(Progress::Compose(event.into_owned()));
                self.last_sent = Some(Instant::now());
            }
            event => self.at_once(Progress::Compose(event.into_owned())),
        }
    }

    /// How far something is: of several only the newest is told.
    pub fn newest(&mut self, progress: Progress) {
        if !matches!(self.waiting, Waiting::Newest(_)) {
            self.flush_merged();
        }
        self.waiting = Waiting::Newest(Box::new(progress));
        self.flush_if_due(PROGRESS_INTERVAL);
    }

    /// Sends all that waits, weights included. A job's last act.
    pub fn flush(&mut self) {
        self.flush_merged();
        if let Some(model) = self.weights.take() {
            self.send(Progress::Train(TrainEvent::Weights(model)));
        }
    }

    fn step(&mut self, point: StepPoint) {
        let n_steps = point.step.saturating_sub(self.newest_step).max(1);
        self.newest_step = point.step;
        self.waiting = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Step { point: earlier, n_steps: n_earlier } => {
                let n_both = n_earlier + n_steps;
                let sum = earlier.loss * n_earlier as f64 + point.loss * n_steps as f64;
                let point = StepPoint { loss: sum / n_both as f64, ..point };
                Waiting::Step { point, n_steps: n_both }
            }
            _ => Waiting::Step { point, n_steps },
        };
        self.flush_if_due(PROGRESS_INTERVAL);
    }

    fn frames(&mut self, take: usize, first: usize, chords: &[Chord], touch: Option<&[KeyFrame]>) {
        if !matches!(self.waiting, Waiting::Frames(_)) {
            self.flush_merged();
            self.waiting = Waiting::Frames(Vec::new());
        }
        let Waiting::Frames(batches) = &mut self.waiting else { return };
        match batches.iter_mut().find(|batch| batch.take == take) {
            Some(batch) => {
                batch.chords.extend_from_slice(chords);
                if let (Some(whole), Some(touch)) = (&mut batch.touch, touch) {
                    whole.extend_from_slice(touch);
                }
            }
            None => {
                let (chords, touch) = (chords.to_vec(), touch.map(<[_]>::to_vec));
                batches.push(Frames { take, first, chords, touch });
            }
        }
        // Several takes share the events there may be in a second.
        let n_takes = u32::try_from(batches.len()).unwrap_or(u32::MAX);
        self.flush_if_due(FRAMES_INTERVAL.saturating_mul(n_takes));
    }

    fn weights(&mut self, model: Model) {
        self.flush_merged();
        self.weights = Some(model);
        self.send_waiting_weights();
    }

    fn send_waiting_weights(&mut self) {
        if self.weights.is_none() || self.outbox.has_weights.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(model) = self.weights.take() {
            self.send(Progress::Train(TrainEvent::Weights(model)));
        }
    }

    fn at_once(&mut self, progress: Progress) {
        self.flush_merged();
        self.send(progress);
    }

    fn flush_if_due(&mut self, interval: Duration) {
        if self.is_due(interval) {
            self.flush_merged();
        }
    }

    fn is_due(&self, interval: Duration) -> bool {
        let is_due = self.last_sent.is_none_or(|sent| sent.elapsed() >= interval);
        is_due && !self.outbox.is_crowded()
    }

    fn flush_merged(&mut self) {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => return,
            Waiting::Newest(progress) => self.send(*progress),
            Waiting::Step { point, .. } => self.send(Progress::Train(TrainEvent::Step(point))),
            Waiting::Frames(batches) => {
                for Frames { take, first, chords, touch } in batches {
                    let (chords, touch) = (Cow::Owned(chords), touch.map(Cow::Owned));
                    let event = ComposeEvent::Frames { take, first, chords, touch };
                    self.send(Progress::Compose(event));
                }
            }
        }
        self.last_sent = Some(Instant::now());
    }

    fn send(&self, progress: Progress) {
        self.outbox.send(self.job, EventKind::Progress(progress));
    }
}
