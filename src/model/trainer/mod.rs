//! The training loop, generic in the backend.
//!
//! ```text
//! for each epoch
//!     for each step of its plan
//!         gradients of the batch, in parts if the memory is small
//!         clip, Adam
//!     measure on the held-out music, write metrics and checkpoint, publish the weights
//! ```
//!
//! `job` is what is known before the first step, `state` where a training stands, `loading` reads
//! the music of the next step, `steps` is one step, `epochs` what ends an epoch, `keeping` what stays
//! of it, `resuming` what a run goes on from. Nothing in a step waits for the device: losses stay
//! there and are read when a point of the curve is due.

mod epochs;
mod job;
mod keeping;
mod loading;
mod resuming;
mod state;
mod steps;
#[cfg(test)]
mod tests;

pub use job::Job;
pub use loading::MOST_HELD;
pub use resuming::{Newest, newest_card, newest_checkpoint};
pub use state::{BestEpoch, TrainingState};

use loading::Source;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::batches::{EpochPlan, plan_epoch};
use super::checkpoint::read_checkpoint;
use super::chords::{ChordNetwork, Start};
use super::device::Chosen;
use super::kernels::Kernels;
use super::keys::KeyNetwork;
use super::material::Reading;
use super::measured::{Measured, measure};
use super::network::{Network, NetworkConfig};
use super::optimizer::Adam;
use super::recurrent::LayerState;
use super::train::counted;
use super::weights::{TensorMap, WeightsError};
use super::{
    CheckpointError, DeviceKind, EpochPoint, Initialization, Outcome, StartingPoint, TrainError,
    TrainEvent, TrainSummary, baselines, cube,
};

/// Between two points of the curve: at most 20 a second.
const POINT_INTERVAL: Duration = Duration::from_millis(50);

/// Prefix of the weights that learn in a checkpoint whose own weights are their running mean.
const LEARNING: &str = "learning.";

/// The one place where the device decides the backend.
pub fn run_on(
    chosen: &Chosen,
    job: Job<'_>,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    match chosen.kind {
        DeviceKind::Cpu => run::<Flex>(job, Default::default(), on_event),
        DeviceKind::Cuda => {
            let device = burn::backend::cuda::CudaDevice::new(chosen.index);
            run::<cube::Cuda>(job, device, on_event)
        }
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => {
            let device = super::device::vulkan_device(chosen.index);
            run::<cube::Vulkan>(job, device, on_event)
        }
        #[cfg(not(feature = "vulkan"))]
        DeviceKind::Vulkan => Err(TrainError::Device("this build has no Vulkan".to_owned())),
    }
}

/// Trains; a new run that ends before it has learned anything leaves no folder.
fn run<B: Backend>(
    job: Job<'_>,
    device: B::Device,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    let (folder, is_new) = (job.folder.clone(), !job.is_resumed);
    let ended = run_to_end::<B>(job, device, on_event);
    let is_whole = ended.as_ref().is_ok_and(|summary| summary.outcome != Outcome::Cancelled);
    if is_new && !is_whole {
        folder.discard_unlearned();
    }
    ended
}

/// Where the device's memory runs out, goes on from the last checkpoint with half as many rows at
/// a time.
fn run_to_end<B: Backend>(
    mut job: Job<'_>,
    device: B::Device,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    let mut newest = newest_checkpoint(&job.folder)?;
    job.write(|folder, _| folder.create())?;
    if !job.is_resumed {
        job.write(|folder, job| {
            folder.write_metrics(&[])?;
            folder.write_summary(&job.summary)
        })?;
    }
    let state = newest.as_ref().map(|newest| &newest.state);
    on_event(TrainEvent::Prepared(job.prepared(state)));
    let note = match &newest {
        Some(newest) => newest.note(),
        None => {
            job.is_resumed.then(|| "No epoch of it was kept, so the run begins anew".to_owned())
        }
    };
    if let Some(note) = note {
        on_event(TrainEvent::Note(note));
    }
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            Trainer::<B>::begin(&job, newest.take(), device.clone())?.train(on_event)
        }));
        let panic = match attempt {
            Ok(Ok(summary)) => {
                job.summary.ending = Some(summary.clone());
                job.write(|folder, job| folder.write_summary(&job.summary))?;
                return Ok(summary);
            }
            Ok(Err(error)) => return Err(error),
            Err(panic) => panic_text(&*panic),
        };
        if !is_out_of_memory(&panic) {
            return Err(TrainError::DeviceFailed(job.summary.device.clone(), panic));
        }
        if job.micro_batch == 1 {
            let needed = job.memory_bytes(1);
            return Err(TrainError::OutOfMemory { needed_mib: needed >> 20 });
        }
        job.micro_batch = job.micro_batch.div_ceil(2);
        newest = newest_checkpoint(&job.folder)?;
        on_event(TrainEvent::Note(format!(
            "The device's memory ran out; going on from the last checkpoint with {} at a time and \
             gradients gathered, so that the batch stays {}",
            counted(job.micro_batch, "sequence"),
            job.layout.batch
        )));
    }
}

/// Whether a loss is NaN or so large that its perplexity is no number.
fn is_lost(loss: f64) -> bool {
    !loss.exp().is_finite()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("it panicked without words");
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn is_out_of_memory(panic: &str) -> bool {
    let panic = panic.to_ascii_lowercase();
    ["out of memory", "outofmemory", "out_of_memory", "memory allocation", "allocate"]
        .iter()
        .any(|words| panic.contains(words))
}

/// A training under way.
struct Trainer<'a, B: Backend> {
    job: &'a Job<'a>,
    device: B::Device,
    /// The weights that learn.
    network: Network<B>,
    /// Their running mean, which is measured, kept and composed with; none if it is not wanted.
    mean: Option<Network<B>>,
    adam: Adam<B>,
    kernels: Kernels<B>,
    /// What carried rows go on from.
    carried: Option<Carried<B>>,
    best: Option<Network<B>>,
    state: TrainingState,
    metrics: Vec<EpochPoint>,
    /// Losses and right guesses of the steps since the last point, still on the device.
    pending: Vec<Tensor<B, 2>>,
    pending_frames: usize,
    /// When a point was last sent; epochs may be shorter than the time between two points.
    last_point: Option<Instant>,
    /// Since when, and from how many seconds on, the run's clock counts.
    began: Instant,
    seconds_before: f64,
    /// Frames and time since this process began to train, for the speed.
    frames_here: usize,
    steps_here: usize,
}

/// The state that sequences left behind.
struct Carried<B: Backend> {
    /// Sequences.
    n_rows: usize,
    layers: Vec<LayerState<B>>,
}

/// How an epoch went.
enum EpochEnd {
    Whole,
    Cancelled,
}

impl<'a, B: Backend> Trainer<'a, B> {
    /// Begins anew, or goes on from the newest checkpoint if there is one.
    fn begin(
        job: &'a Job<'a>,
        newest: Option<Newest>,
        device: B::Device,
    ) -> Result<Self, TrainError> {
        let network = match job.from {
            Some(from) => weights_of(from, job, &device)?,
            None => fresh_network(job, &device),
        };
        let mut trainer = Self::with_network(job, network, device);
        if let Some(Newest { state, tensors, .. }) = newest {
            let path = job.folder.path().to_owned();
            trainer
                .go_on_from(state, &tensors)
                .map_err(|source| CheckpointError::Unusable { path, source })?;
            trainer.recall_best()?;
        }
        Ok(trainer)
    }

    fn with_network(job: &'a Job<'a>, network: Network<B>, device: B::Device) -> Self {
        Self {
            job,
            adam: Adam::new(&job.config.parameter_shapes(), &device),
            kernels: Kernels::chosen(job.kernels),
            mean: (job.settings.averaging > 0.0).then(|| network.clone()),
            network,
            device,
            carried: None,
            best: None,
            state: TrainingState::new(job.settings),
            metrics: Vec::new(),
            pending: Vec::new(),
            pending_frames: 0,
            last_point: None,
            began: Instant::now(),
            seconds_before: 0.0,
            frames_here: 0,
            steps_here: 0,
        }
    }

    fn go_on_from(
        &mut self,
        state: TrainingState,
        tensors: &TensorMap,
    ) -> Result<(), WeightsError> {
        let config = &self.job.config;
        let shown = Network::from_tensors(*config, tensors, &self.device)?;
        self.network = match self.mean {
            Some(_) => shown.with_parameters(tensors, LEARNING)?,
            None => shown.clone(),
        };
        self.mean = self.mean.take().map(|_| shown);
        self.adam =
            Adam::from_tensors(&config.parameter_shapes(), tensors, state.step, &self.device)?;
        if state.state_rows > 0 {
            let shapes = config.state_shapes(state.state_rows).into_iter().enumerate();
            let layers = shapes.map(|(layer, shape)| {
                let part = |name| {
                    tensors.tensor("state.", &format!("{layer}.{name}"), shape, &self.device)
                };
                Ok(LayerState { hidden: part("hidden")?, cell: part("cell")? })
            });
            let layers = layers.collect::<Result<_, WeightsError>>()?;
            self.carried = Some(Carried { n_rows: state.state_rows, layers });
        }
        self.metrics = self.job.folder.read_metrics();
        self.metrics.retain(|point| point.epoch <= state.epochs_done);
        self.seconds_before = state.seconds;
        // What was asked this time stands: it may go on for longer than was planned.
        self.state = TrainingState { settings: self.job.settings.clone(), ..state };
        Ok(())
    }

    /// Reads the best weights. A program that was killed after it wrote an epoch and before it
    /// marked it leaves the mark on an older one: then it is made up for.
    fn recall_best(&mut self) -> Result<(), TrainError> {
        let Some(best) = self.state.best else { return Ok(()) };
        let job = self.job;
        let marked = || {
            let (manifest, tensors) = read_checkpoint(&job.folder.best()?).ok()?;
            Some((manifest.card.epoch, tensors))
        };
        let mut found = marked();
        if found.as_ref().is_none_or(|(epoch, _)| *epoch != best.epoch)
            && job.folder.has_epoch(best.epoch)
        {
            job.write(|folder, _| folder.mark_best(best.epoch))?;
            found = marked();
        }
        if let Some((_, tensors)) = found {
            let network = Network::from_tensors(job.config, &tensors, &self.device);
            let path = job.folder.path().to_owned();
            self.best = Some(network.map_err(|source| CheckpointError::Unusable { path, source })?);
        }
        Ok(())
    }

    fn train(mut self, on_event: &mut dyn FnMut(TrainEvent)) -> Result<TrainSummary, TrainError> {
        let job = self.job;
        job.write(|folder, job| {
            // Also for a resumed run: if it is killed, it must neither look done nor forget what
            // was asked this time.
            folder.write_summary(&job.summary)?;
            folder.write_metrics(&self.metrics)
        })?;
        if self.state.epochs_done > 0 {
            on_event(TrainEvent::Weights(self.model()));
        }
        let is_unmeasured = self.state.step == 0 && self.state.best.is_none();
        if let Some(from) = job.from.filter(|_| is_unmeasured)
            && let EpochEnd::Cancelled = self.measure_origin(from, on_event)?
        {
            return self.finish(Outcome::Cancelled);
        }
        let mut outcome = Outcome::Completed;
        while self.state.epochs_done < job.settings.epochs {
            if self.is_stale() {
                outcome = Outcome::StoppedEarly;
                break;
            }
            match self.epoch(on_event) {
                Ok(EpochEnd::Whole) => {}
                Ok(EpochEnd::Cancelled) => {
                    outcome = Outcome::Cancelled;
                    break;
                }
                Err(error) => {
                    self.roll_back(&error, on_event);
                    return Err(error);
                }
            }
        }
        self.finish(outcome)
    }

    /// Whether the held-out loss hasn't become better for as long as the settings allow.
    fn is_stale(&self) -> bool {
        self.job.settings.early_stop.is_some_and(|patience| self.state.n_worse >= patience)
    }

    fn epoch(&mut self, on_event: &mut dyn FnMut(TrainEvent)) -> Result<EpochEnd, TrainError> {
        let job = self.job;
        let lengths = job.material.train_lengths();
        let plan = plan_epoch(
            job.settings,
            &job.layout,
            &lengths,
            job.material.n_shifts(),
            self.state.epochs_done,
        );
        if self.state.steps_into_epoch == 0 {
            self.carried = None;
        }
        if let EpochEnd::Cancelled = self.steps(&plan, on_event)? {
            return self.stop_within_epoch(on_event);
        }
        self.read_pending()?;
        let Some(valid) = self.measure_held_out() else {
            return self.stop_within_epoch(on_event);
        };
        self.end_epoch(&plan, valid, on_event)?;
        Ok(EpochEnd::Whole)
    }

    /// What the weights that are shown predict of the music to choose by; `None` if it was cancelled.
    fn measure_held_out(&mut self) -> Option<Measured> {
        let job = self.job;
        let shown = self.mean.as_ref().unwrap_or(&self.network);
        let (valid, kernels) = (&job.material.split.valid, &mut self.kernels);
        measure(shown, job.yardstick(), valid, kernels, job.cancel)
    }

    /// What is left of the epoch's steps. The next one's music is read while one is computed.
    fn steps(
        &mut self,
        plan: &EpochPlan,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<EpochEnd, TrainError> {
        let job = self.job;
        let source =
            Source { material: &job.material, settings: job.settings, config: job.config, plan };
        std::thread::scope(|scope| {
            for load in source.ahead(scope, self.state.steps_into_epoch, self.state.step) {
                if job.cancel.is_cancelled() || !self.step(plan, load?) {
                    return Ok(EpochEnd::Cancelled);
                }
                if self.last_point.is_none_or(|sent| sent.elapsed() >= POINT_INTERVAL) {
                    self.send_point(plan, on_event)?;
                }
            }
            Ok(EpochEnd::Whole)
        })
    }
}

/// A network that has learned nothing.
fn fresh_network<B: Backend>(job: &Job<'_>, device: &B::Device) -> Network<B> {
    let seed = job.settings.seed;
    match job.config {
        NetworkConfig::Keys(config) => Network::Keys(KeyNetwork::new(config, seed, device)),
        NetworkConfig::Chords(config) => {
            let prior = prior(job);
            let start = prior.as_deref().map_or(Start::Plain, Start::Informed);
            Network::Chords(ChordNetwork::new(config, start, seed, device))
        }
    }
}

/// The network of a checkpoint, on the device of the run that goes on from it.
fn weights_of<B: Backend>(
    from: &StartingPoint,
    job: &Job<'_>,
    device: &B::Device,
) -> Result<Network<B>, CheckpointError> {
    let tensors: TensorMap = from.model.network.to_tensors().into_iter().collect();
    let path = || PathBuf::from(&from.origin.path);
    Network::from_tensors(job.config, &tensors, device)
        .map_err(|source| CheckpointError::Unusable { path: path(), source })
}

/// The logarithm of each output's share of the music to learn from, where that is what the network
/// begins as.
fn prior(job: &Job<'_>) -> Option<Vec<f32>> {
    let Reading::Chords(corpus, reading) = &job.material.reading else { return None };
    if job.settings.initialization == Initialization::Plain {
        return None;
    }
    let counts = baselines::target_counts(corpus, &job.material.split.train, reading);
    let shares = baselines::unigram(&counts, false).into_iter();
    Some(shares.map(|share| share.ln() as f32).collect())
}
