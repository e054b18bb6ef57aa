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
//! Nothing in a step waits for the device: losses stay there and are read when a point of the
//! curve is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::batches::{EpochPlan, Layout, plan_epoch};
use super::checkpoint::{Manifest, checkpoint_bytes, read_checkpoint};
use super::device::Chosen;
use super::loss::{Batch, DropoutMasks, gradients};
use super::material::Material;
use super::metrics::{Measured, Yardstick, measure};
use super::network::{Network, NetworkConfig, PRIOR, Start};
use super::optimizer::{Adam, clip};
use super::random::{self, Purpose};
use super::recurrent::LayerState;
use super::run::{RunFolder, RunSummary};
use super::schedule::{PLATEAU_PATIENCE, learning_rate};
use super::train::{BestEpoch, TrainingState};
use super::weights::{NamedTensor, Precision, TensorMap, WeightsError, numbers};
use super::{
    CheckpointError, DeviceKind, EpochPoint, Initialization, Model, ModelCard, Outcome, Prepared,
    Schedule, StepPoint, TrainError, TrainEvent, TrainSummary, TrainingSettings, baselines, memory,
};
use crate::cancel::CancelToken;
use crate::tokens::{BackOff, Stretch};

/// Between two points of the curve: at most 20 a second.
const POINT_INTERVAL: Duration = Duration::from_millis(50);

/// Prefix of the weights that learn in a checkpoint whose own weights are their running mean.
const LEARNING: &str = "learning.";

/// A training, ready to begin on whatever device.
pub struct Job<'a> {
    pub settings: &'a TrainingSettings,
    pub config: NetworkConfig,
    pub layout: Layout,
    /// Rows of a batch that the memory holds at a time.
    pub micro_batch: usize,
    pub material: Material,
    pub backoff: BackOff,
    pub folder: RunFolder,
    pub summary: RunSummary,
    pub is_resumed: bool,
    pub device_reason: Option<String>,
    pub cancel: &'a CancelToken,
    /// Rows at a time beyond which the memory is said to run out.
    #[cfg(test)]
    pub fails_above: Option<usize>,
}

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
            run::<burn::backend::Cuda>(job, device, on_event)
        }
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => {
            let device = super::device::vulkan_device(chosen.index);
            run::<burn::backend::Vulkan>(job, device, on_event)
        }
        #[cfg(not(feature = "vulkan"))]
        DeviceKind::Vulkan => Err(TrainError::Device("this build has no Vulkan".to_owned())),
    }
}

/// Trains; where the device's memory runs out, goes on from the last checkpoint with half as many
/// rows at a time.
fn run<B: Backend>(
    mut job: Job<'_>,
    device: B::Device,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    if !job.is_resumed {
        job.write(|folder, job| {
            folder.create()?;
            folder.write_metrics(&[])?;
            folder.write_summary(&job.summary)
        })?;
    }
    on_event(TrainEvent::Prepared(job.prepared()?));
    loop {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            Trainer::<B>::begin(&job, device.clone())?.train(on_event)
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
            let needed = memory::estimate(&job.config, 1, job.layout.sequence);
            return Err(TrainError::OutOfMemory { needed_mib: needed >> 20 });
        }
        job.micro_batch = job.micro_batch.div_ceil(2);
        on_event(TrainEvent::Note(format!(
            "The device's memory ran out; going on from the last checkpoint with {} sequences at a \
             time and gradients gathered, so that the batch stays {}",
            job.micro_batch, job.layout.batch
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

impl Job<'_> {
    fn write(
        &self,
        write: impl FnOnce(&RunFolder, &Self) -> std::io::Result<()>,
    ) -> Result<(), TrainError> {
        let path = || self.folder.path().to_owned();
        write(&self.folder, self).map_err(|source| TrainError::Write { path: path(), source })
    }

    fn yardstick(&self) -> Yardstick<'_> {
        let Material { corpus, encoding, .. } = &self.material;
        Yardstick { corpus, encoding, backoff: &self.backoff }
    }

    fn prepared(&self) -> Result<Prepared, TrainError> {
        let corpus = &self.summary.corpus;
        let mut held_out = 0usize;
        let mut known = 0usize;
        for stretch in self.material.split.valid.iter().chain(&self.material.split.test) {
            let frames = 0..stretch.n_frames();
            for chord in super::material::chords(&self.material.corpus, stretch, frames) {
                let token = self.material.encoding.measured[chord as usize];
                held_out += 1;
                known += usize::from((token as usize) < self.config.vocabulary);
            }
        }
        let state = self.newest_checkpoint()?.map(|(manifest, _)| manifest);
        Ok(Prepared {
            device: self.summary.device.clone(),
            device_reason: self.device_reason.clone(),
            parameters: self.summary.parameters,
            vocabulary: self.config.vocabulary,
            train_frames: corpus.train_frames,
            valid_frames: corpus.valid_frames,
            test_frames: corpus.test_frames,
            coverage: known as f64 / held_out.max(1) as f64,
            batch: self.layout.batch,
            steps_per_epoch: self.layout.n_steps,
            memory_bytes: memory::estimate(&self.config, self.micro_batch, self.layout.sequence),
            baselines: self.summary.baselines,
            first_epoch: state.map_or(1, |state| state.epochs_done + 1),
        })
    }

    /// The checkpoint to go on from: the one with the most steps. One that can't be read is passed
    /// over for an older one, unless there is none.
    fn newest_checkpoint(&self) -> Result<Option<(TrainingState, TensorMap)>, TrainError> {
        let mut newest: Option<(TrainingState, TensorMap)> = None;
        let mut failure: Option<CheckpointError> = None;
        for path in self.folder.to_resume_from().into_iter().take(2) {
            match read_checkpoint(&path) {
                Ok((Manifest { training: Some(state), .. }, tensors)) => {
                    if newest.as_ref().is_none_or(|(newest, _)| newest.step < state.step) {
                        newest = Some((state, tensors));
                    }
                }
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        match (newest, failure) {
            (None, Some(failure)) => Err(failure.into()),
            (newest, _) => Ok(newest),
        }
    }
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
    /// What carried rows go on from.
    carried: Option<Vec<LayerState<B>>>,
    best: Option<Network<B>>,
    state: TrainingState,
    metrics: Vec<EpochPoint>,
    /// Losses and right guesses of the steps since the last point, still on the device.
    pending: Vec<Tensor<B, 2>>,
    pending_frames: usize,
    last_point: Instant,
    /// Since when, and from how many seconds on, the run's clock counts.
    began: Instant,
    seconds_before: f64,
    /// Frames and time since this process began to train, for the speed.
    frames_here: usize,
    steps_here: usize,
}

/// How an epoch went.
enum EpochEnd {
    Whole,
    Cancelled,
}

impl<'a, B: Backend> Trainer<'a, B> {
    /// Begins anew, or goes on from the newest checkpoint.
    fn begin(job: &'a Job<'a>, device: B::Device) -> Result<Self, TrainError> {
        let mut trainer = Self::fresh(job, device);
        if let Some((state, tensors)) = job.newest_checkpoint()? {
            let path = job.folder.path().to_owned();
            trainer
                .go_on_from(state, &tensors)
                .map_err(|source| CheckpointError::Unusable { path, source })?;
        }
        Ok(trainer)
    }

    fn fresh(job: &'a Job<'a>, device: B::Device) -> Self {
        let seed = job.settings.seed;
        let network = match job.settings.initialization {
            Initialization::Plain => Network::new(job.config, Start::Plain, seed, &device),
            Initialization::Unigram => {
                let prior = log_shares(&job.material);
                Network::new(job.config, Start::Informed(&prior), seed, &device)
            }
        };
        Self {
            job,
            adam: Adam::new(&job.config, &device),
            mean: (job.settings.averaging > 0.0).then(|| network.clone()),
            network,
            device,
            carried: None,
            best: None,
            state: TrainingState::new(job.settings),
            metrics: Vec::new(),
            pending: Vec::new(),
            pending_frames: 0,
            last_point: Instant::now(),
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
        self.adam = Adam::from_tensors(config, tensors, state.step, &self.device)?;
        if state.state_rows > 0 {
            let shape = [state.state_rows, config.hidden];
            let layers = (0..config.layers).map(|layer| {
                Ok(LayerState {
                    hidden: tensors.tensor(
                        "state.",
                        &format!("{layer}.hidden"),
                        shape,
                        &self.device,
                    )?,
                    cell: tensors.tensor(
                        "state.",
                        &format!("{layer}.cell"),
                        shape,
                        &self.device,
                    )?,
                })
            });
            self.carried = Some(layers.collect::<Result<_, WeightsError>>()?);
        }
        if let Some(best) = self.job.folder.best()
            && let Ok((_, tensors)) = read_checkpoint(&best)
        {
            self.best = Some(Network::from_tensors(*config, &tensors, &self.device)?);
        }
        self.metrics = self.job.folder.read_metrics();
        self.metrics.retain(|point| point.epoch <= state.epochs_done);
        self.seconds_before = state.seconds;
        // What was asked this time stands: it may go on for longer than was planned.
        self.state = TrainingState { settings: self.job.settings.clone(), ..state };
        Ok(())
    }

    fn train(mut self, on_event: &mut dyn FnMut(TrainEvent)) -> Result<TrainSummary, TrainError> {
        let job = self.job;
        job.write(|folder, _| folder.write_metrics(&self.metrics))?;
        if self.state.epochs_done > 0 {
            on_event(TrainEvent::Weights(self.model()));
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
        self.last_point = Instant::now();
        while self.state.steps_into_epoch < plan.len() {
            if job.cancel.is_cancelled() {
                return self.stop_within_epoch(on_event);
            }
            self.step(&plan);
            if self.last_point.elapsed() >= POINT_INTERVAL {
                self.send_point(&plan, on_event)?;
            }
        }
        self.read_pending()?;
        let yardstick = job.yardstick();
        let Some(valid) = measure(self.shown(), yardstick, &job.material.split.valid, job.cancel)
        else {
            return self.stop_within_epoch(on_event);
        };
        self.end_epoch(&plan, valid, on_event)?;
        Ok(EpochEnd::Whole)
    }

    fn step(&mut self, plan: &EpochPlan) {
        let settings = self.job.settings;
        let batch = self.job.material.batch(&plan[self.state.steps_into_epoch]);
        let progress = self.progress(plan);
        let rate = learning_rate(settings, self.state.step, progress, self.state.halvings);
        let n_frames = batch.n_frames();
        let masks = self.dropout(batch.n_rows);
        let (totals, gradients) = self.gather(&batch, &masks, n_frames);
        let gradients = match settings.clip {
            Some(largest) => clip(gradients, largest),
            None => gradients,
        };
        let parameters = self.network.parameters();
        let prior = self.network.prior.clone();
        let parameters = self.adam.step(parameters, gradients, rate, settings.weight_decay);
        self.network = Network::from_parameters(self.job.config, parameters, prior);
        self.move_mean();
        self.pending.push(totals);
        self.pending_frames += n_frames;
        self.frames_here += n_frames;
        self.steps_here += 1;
        self.state.steps_into_epoch += 1;
        self.state.step += 1;
    }

    /// Moves the running mean towards the weights; faster in the first steps, so that it doesn't
    /// hang on to how they began.
    fn move_mean(&mut self) {
        let Some(mean) = &self.mean else { return };
        let n_steps = self.state.step as f64;
        let stays = self.job.settings.averaging.min((1.0 + n_steps) / (10.0 + n_steps));
        let pairs = mean.parameters().into_iter().zip(self.network.parameters());
        let moved = pairs.map(|(mean, new)| mean.mul_scalar(stays) + new.mul_scalar(1.0 - stays));
        let prior = mean.prior.clone();
        self.mean = Some(Network::from_parameters(self.job.config, moved.collect(), prior));
    }

    /// The weights that are measured, kept and composed with.
    fn shown(&self) -> &Network<B> {
        self.mean.as_ref().unwrap_or(&self.network)
    }

    /// Gradients of a batch, in parts of as many rows as the memory holds.
    fn gather(
        &mut self,
        batch: &Batch,
        masks: &DropoutMasks<B>,
        n_frames: usize,
    ) -> (Tensor<B, 2>, Vec<Tensor<B, 2>>) {
        let before = self.state_before(batch);
        let mut after: Vec<Vec<LayerState<B>>> = Vec::new();
        let mut sum: Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> = None;
        let micro = self.job.micro_batch.max(1);
        for first in (0..batch.n_rows).step_by(micro) {
            let n = micro.min(batch.n_rows - first);
            #[cfg(test)]
            if self.job.fails_above.is_some_and(|rows| n > rows) {
                panic!("the device answered: out of memory");
            }
            let part = if n == batch.n_rows {
                gradients(&self.network, batch, before.clone(), masks, n_frames)
            } else {
                let state = rows_of_state(&before, first, n);
                let (batch, masks) = (batch.rows(first, n), masks.rows(first, n));
                gradients(&self.network, &batch, state, &masks, n_frames)
            };
            after.push(part.state);
            sum = Some(match sum {
                None => (part.totals, part.gradients),
                Some((totals, gradients)) => {
                    let gradients = gradients.into_iter().zip(part.gradients);
                    (totals + part.totals, gradients.map(|(sum, part)| sum + part).collect())
                }
            });
        }
        self.carried = self.job.settings.carry_state.then(|| joined_state(after));
        sum.expect("a step has at least one row")
    }

    /// The state that each row begins with: carried, or zero.
    fn state_before(&self, batch: &Batch) -> Vec<LayerState<B>> {
        let zero = self.network.zero_state(batch.n_rows);
        if batch.continues.iter().all(|continues| !continues) {
            return zero;
        }
        let Some(carried) = &self.carried else { return zero };
        let kept = batch.continues.iter().map(|&continues| f32::from(u8::from(continues)));
        let kept = TensorData::new(kept.collect::<Vec<f32>>(), [batch.n_rows, 1]);
        let kept: Tensor<B, 2> = Tensor::from_data(kept, &self.device);
        let keep = |tensor: &Tensor<B, 2>| tensor.clone() * kept.clone();
        let layers = carried.iter();
        layers
            .map(|layer| LayerState { hidden: keep(&layer.hidden), cell: keep(&layer.cell) })
            .collect()
    }

    fn dropout(&self, n_rows: usize) -> DropoutMasks<B> {
        let settings = self.job.settings;
        if settings.dropout == 0.0 {
            return DropoutMasks(Vec::new());
        }
        let mut rng = random::stream(settings.seed, Purpose::Dropout, self.state.step);
        let shape = [1, n_rows, settings.hidden];
        let masks = (0..=settings.layers).map(|_| {
            let mask = random::dropout_mask(&mut rng, n_rows * settings.hidden, settings.dropout);
            Tensor::from_data(TensorData::new(mask, shape), &self.device)
        });
        DropoutMasks(masks.collect())
    }

    /// Share of the whole run that is done, 0–1.
    fn progress(&self, plan: &EpochPlan) -> f64 {
        let within = self.state.steps_into_epoch as f64 / plan.len().max(1) as f64;
        (self.state.epochs_done as f64 + within) / self.job.settings.epochs as f64
    }

    /// Brings the waiting losses to the host, in the order of the steps so that the sum doesn't
    /// depend on when it is made. Returns their mean per frame.
    fn read_pending(&mut self) -> Result<f64, TrainError> {
        if self.pending.is_empty() {
            return Ok(0.0);
        }
        let totals = Tensor::cat(std::mem::take(&mut self.pending), 0);
        let values = totals.try_into_data().map_err(|error| self.failed(&error.to_string()))?;
        let mut loss = 0.0;
        for step in numbers(values).chunks_exact(2) {
            loss += f64::from(step[0]);
            self.state.epoch_loss += f64::from(step[0]);
            self.state.epoch_right += f64::from(step[1]);
        }
        let n_frames = std::mem::take(&mut self.pending_frames);
        self.state.epoch_frames += n_frames;
        let loss = loss / n_frames.max(1) as f64;
        if is_lost(loss) {
            return Err(self.diverged());
        }
        Ok(loss)
    }

    fn failed(&self, reason: &str) -> TrainError {
        if is_out_of_memory(reason) {
            // Held in `run`, which goes on with less at a time.
            std::panic::panic_any(reason.to_owned());
        }
        TrainError::DeviceFailed(self.job.summary.device.clone(), reason.to_owned())
    }

    fn diverged(&self) -> TrainError {
        TrainError::Diverged {
            epoch: self.state.epochs_done + 1,
            kept: match self.state.best {
                Some(_) => "the best weights are kept in the run",
                None => "nothing was learned yet",
            },
            learning_rate: self.job.settings.learning_rate,
        }
    }

    /// When the weights are spoiled, whoever listens gets the best ones back.
    fn roll_back(&self, error: &TrainError, on_event: &mut dyn FnMut(TrainEvent)) {
        let (TrainError::Diverged { .. }, Some(best), Some(network)) =
            (error, self.state.best, &self.best)
        else {
            return;
        };
        on_event(TrainEvent::Note(format!(
            "The loss is no number any more; back to the weights of epoch {}",
            best.epoch
        )));
        let card = self.card(best.epoch, Some(best.loss.exp()));
        on_event(TrainEvent::Weights(self.model_of(network, card)));
    }

    fn send_point(
        &mut self,
        plan: &EpochPlan,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(), TrainError> {
        let loss = self.read_pending()?;
        self.last_point = Instant::now();
        let elapsed = self.began.elapsed().as_secs_f64();
        let total_steps = plan.len() * self.job.settings.epochs;
        let done = plan.len() * self.state.epochs_done + self.state.steps_into_epoch;
        let left = total_steps.saturating_sub(done) as f64;
        on_event(TrainEvent::Step(StepPoint {
            epoch: self.state.epochs_done + 1,
            step: done,
            total_steps,
            loss,
            frames_per_second: self.frames_here as f64 / elapsed.max(1e-9),
            secs_left: left * elapsed / self.steps_here.max(1) as f64,
        }));
        Ok(())
    }

    /// Metrics, best weights, checkpoint and what the others hear of it.
    fn end_epoch(
        &mut self,
        plan: &EpochPlan,
        valid: Measured,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(), TrainError> {
        if is_lost(valid.loss()) {
            return Err(self.diverged());
        }
        let job = self.job;
        let settings = job.settings;
        let rate = learning_rate(
            settings,
            self.state.step.saturating_sub(1),
            self.progress(plan),
            self.state.halvings,
        );
        self.state.epochs_done += 1;
        self.state.steps_into_epoch = 0;
        self.state.seconds = self.seconds();
        let frames = self.state.epoch_frames.max(1) as f64;
        let train_loss = self.state.epoch_loss / frames;
        let point = EpochPoint {
            epoch: self.state.epochs_done,
            train_loss,
            train_perplexity: train_loss.exp(),
            train_accuracy: self.state.epoch_right / frames,
            valid_loss: valid.loss(),
            valid_perplexity: valid.perplexity(),
            valid_accuracy: valid.accuracy(),
            learning_rate: rate,
            frames_per_second: self.frames_here as f64
                / self.began.elapsed().as_secs_f64().max(1e-9),
            seconds: self.state.seconds,
        };
        let is_best = self.judge(valid.loss());
        (self.state.epoch_loss, self.state.epoch_right, self.state.epoch_frames) = (0.0, 0.0, 0);
        self.carried = None;
        self.metrics.push(point);
        let bytes = self.checkpoint()?;
        let epoch = self.state.epochs_done;
        let kept = settings.save_every > 0 && epoch.is_multiple_of(settings.save_every);
        job.write(|folder, _| {
            // Metrics first: a line too many is cut on resume, a missing one could not be made.
            folder.write_metrics(&self.metrics)?;
            folder.write_epoch(epoch, &bytes, kept)?;
            if is_best { folder.mark_best(epoch) } else { Ok(()) }
        })?;
        on_event(TrainEvent::Epoch(point));
        on_event(TrainEvent::Weights(self.model()));
        Ok(())
    }

    /// Counts how long it has been since the held-out loss became better.
    fn judge(&mut self, loss: f64) -> bool {
        let is_best = self.state.best.is_none_or(|best| loss < best.loss);
        if is_best {
            self.state.best = Some(BestEpoch { epoch: self.state.epochs_done, loss });
            self.best = Some(self.shown().clone());
            (self.state.n_worse, self.state.n_flat) = (0, 0);
            return true;
        }
        self.state.n_worse += 1;
        self.state.n_flat += 1;
        if self.job.settings.schedule == Schedule::Plateau && self.state.n_flat >= PLATEAU_PATIENCE
        {
            self.state.halvings += 1;
            self.state.n_flat = 0;
        }
        false
    }

    /// Keeps what was learned of an epoch that isn't whole.
    fn stop_within_epoch(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<EpochEnd, TrainError> {
        self.read_pending()?;
        self.state.seconds = self.seconds();
        if self.state.steps_into_epoch > 0 {
            let bytes = self.checkpoint()?;
            self.job.write(|folder, _| folder.write_partial(&bytes))?;
            on_event(TrainEvent::Weights(self.model()));
        }
        Ok(EpochEnd::Cancelled)
    }

    fn finish(self, outcome: Outcome) -> Result<TrainSummary, TrainError> {
        let job = self.job;
        let test: &[Stretch] = &job.material.split.test;
        let tested = self.best.as_ref().filter(|_| !test.is_empty());
        let tested = tested.and_then(|best| measure(best, job.yardstick(), test, job.cancel));
        let summary = &job.summary;
        Ok(TrainSummary {
            outcome,
            best_epoch: self.state.best.map_or(0, |best| best.epoch),
            best_valid_perplexity: self.state.best.map_or(f64::NAN, |best| best.loss.exp()),
            parameters: summary.parameters,
            device: summary.device.clone(),
            train_frames: summary.corpus.train_frames,
            valid_frames: summary.corpus.valid_frames,
            vocabulary: summary.vocabulary,
            test_perplexity: tested.map(|measured| measured.perplexity()),
            baselines: summary.baselines,
        })
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }

    /// What the present weights are.
    fn present_card(&self) -> ModelCard {
        let valid = self.metrics.last().map(|point| point.valid_perplexity);
        self.card(self.state.epochs_done, valid)
    }

    fn card(&self, epoch: usize, valid_perplexity: Option<f64>) -> ModelCard {
        let job = self.job;
        let corpus = &job.summary.corpus;
        ModelCard {
            format_version: ModelCard::FORMAT_VERSION,
            model: job.settings.model,
            layers: job.settings.layers,
            hidden: job.settings.hidden,
            plan: job.material.corpus.plan,
            vocabulary: job.material.encoding.vocabulary.clone(),
            backoff: job.backoff.clone(),
            epoch,
            valid_perplexity,
            about: format!(
                "Trained on {} files, {} frames, for {epoch} epochs",
                corpus.files.len(),
                corpus.train_frames
            ),
        }
    }

    /// A copy of the present weights on the CPU.
    fn model(&self) -> Model {
        self.model_of(self.shown(), self.present_card())
    }

    fn model_of(&self, network: &Network<B>, card: ModelCard) -> Model {
        let tensors: TensorMap = network.to_tensors().into_iter().collect();
        let network = Network::<Flex>::from_tensors(self.job.config, &tensors, &Default::default());
        Model::new(card, network.expect("the tensors were just made with these shapes"))
    }

    /// Everything needed to use the weights and to go on exactly.
    fn checkpoint(&mut self) -> Result<Vec<u8>, TrainError> {
        let mut tensors = self.shown().to_tensors();
        if self.mean.is_some() {
            let learning = self.network.to_tensors().into_iter();
            tensors.extend(learning.filter(|tensor| tensor.name != PRIOR).map(|mut tensor| {
                tensor.name.insert_str(0, LEARNING);
                tensor
            }));
        }
        tensors.extend(self.adam.to_tensors(&self.job.config));
        self.state.state_rows = 0;
        for (idx, layer) in self.carried.iter().flatten().enumerate() {
            self.state.state_rows = layer.hidden.dims()[0];
            let parts = [("hidden", &layer.hidden), ("cell", &layer.cell)];
            tensors.extend(parts.map(|(part, tensor)| {
                NamedTensor::read(format!("state.{idx}.{part}"), tensor.clone())
            }));
        }
        let manifest = Manifest { card: self.present_card(), training: Some(self.state.clone()) };
        Ok(checkpoint_bytes(&manifest, &tensors, Precision::Full)?)
    }
}

impl TrainingState {
    fn new(settings: &TrainingSettings) -> Self {
        Self {
            settings: settings.clone(),
            epochs_done: 0,
            steps_into_epoch: 0,
            step: 0,
            state_rows: 0,
            epoch_loss: 0.0,
            epoch_right: 0.0,
            epoch_frames: 0,
            best: None,
            n_worse: 0,
            n_flat: 0,
            halvings: 0,
            seconds: 0.0,
        }
    }
}

/// The logarithm of each output's share of the music to learn from: what the network begins as.
fn log_shares(material: &Material) -> Vec<f32> {
    let counts = material.target_counts();
    baselines::unigram(&counts, false).into_iter().map(|share| share.ln() as f32).collect()
}

fn rows_of_state<B: Backend>(
    state: &[LayerState<B>],
    first: usize,
    n: usize,
) -> Vec<LayerState<B>> {
    let rows = |tensor: &Tensor<B, 2>| {
        let n_units = tensor.dims()[1];
        tensor.clone().slice([first..first + n, 0..n_units])
    };
    let layers = state.iter();
    layers
        .map(|layer| LayerState { hidden: rows(&layer.hidden), cell: rows(&layer.cell) })
        .collect()
}

/// The states of the parts of a batch as one.
fn joined_state<B: Backend>(mut parts: Vec<Vec<LayerState<B>>>) -> Vec<LayerState<B>> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let n_layers = parts.first().map_or(0, Vec::len);
    (0..n_layers)
        .map(|layer| {
            let join = |pick: fn(&LayerState<B>) -> Tensor<B, 2>| {
                Tensor::cat(parts.iter().map(|part| pick(&part[layer])).collect(), 0)
            };
            LayerState {
                hidden: join(|state| state.hidden.clone()),
                cell: join(|state| state.cell.clone()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::train::prepare;
    use super::super::{DeviceChoice, TrainRequest, device};
    use super::*;
    use crate::tokens::{Chord, Corpus, FramingPlan, Piece, SplitKind};

    fn request(run_dir: &Path) -> TrainRequest {
        let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
        let chords: Vec<u32> = (0..400).map(|t| 1 + (t * t / 3 + t) % 5).collect();
        let corpus = Corpus {
            plan: FramingPlan::default(),
            chords: (0..6).map(chord).collect(),
            pieces: vec![Piece {
                path: "<piece>".into(),
                sha256: String::new(),
                n_notes: chords.len(),
                duration_secs: 200.0,
                chords,
            }],
            skipped: Vec::new(),
            warnings: Vec::new(),
            own_split: None,
        };
        let settings = TrainingSettings {
            layers: 1,
            hidden: 8,
            epochs: 2,
            sequence: 10,
            dropout: 0.3,
            carry_state: true,
            split: SplitKind::Tail,
            ..TrainingSettings::default()
        };
        let run_dir = run_dir.to_owned();
        let device = DeviceChoice::Cpu;
        TrainRequest { corpus: Arc::new(corpus), settings, run_dir, resume: false, device }
    }

    /// Trains where more rows at a time than `fails_above` don't fit.
    fn trained(fails_above: Option<usize>) -> (Result<f64, TrainError>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let request = request(&folder.path().join("run"));
        let material = Material::new(&request.corpus, &request.settings).unwrap();
        let chosen = device::choose(DeviceChoice::Cpu).unwrap();
        let folder = RunFolder::new(&request.run_dir);
        let cancel = CancelToken::new();
        let mut job = prepare(&request, material, folder, &chosen, None, &cancel).unwrap();
        assert_eq!(job.layout.batch, 4);
        job.fails_above = fails_above;
        let mut notes = Vec::new();
        let summary = run_on(&chosen, job, &mut |event| {
            if let TrainEvent::Note(note) = event {
                notes.push(note);
            }
        });
        (summary.map(|summary| summary.best_valid_perplexity), notes)
    }

    #[test]
    fn out_of_memory_gathers_gradients_over_smaller_parts() {
        let (whole, notes) = trained(None);
        assert!(notes.is_empty());
        let (gathered, notes) = trained(Some(1));
        assert_eq!(notes.len(), 2, "from four rows to two, to one");
        assert!(notes[1].contains("with 1 sequences at a time"), "{}", notes[1]);
        let (whole, gathered) = (whole.unwrap(), gathered.unwrap());
        // The effective batch stays, so only the order of additions differs.
        assert!((whole - gathered).abs() < 1e-3 * whole, "{gathered} for {whole}");
    }

    #[test]
    fn out_of_memory_for_one_row_ends_in_words() {
        let (result, _) = trained(Some(0));
        let error = result.unwrap_err();
        assert!(matches!(error, TrainError::OutOfMemory { .. }));
        assert!(error.to_string().contains("--hidden"), "{error}");
    }
}
