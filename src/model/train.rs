//! Learning: from a corpus and settings to a run with checkpoints.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceChoice, EpochPoint, Model, TrainingSettings};
use crate::cancel::CancelToken;
use crate::tokens::Corpus;

#[derive(Clone)]
pub struct TrainRequest {
    pub corpus: Arc<Corpus>,
    pub settings: TrainingSettings,
    /// The run folder; must not exist unless `resume`.
    pub run_dir: PathBuf,
    pub resume: bool,
    pub device: DeviceChoice,
}

/// Three predictors that learn nothing but counts, measured on the held-out frames.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Baselines {
    pub unigram_perplexity: f64,
    pub unigram_accuracy: f64,
    /// Share of held-out frames equal to the one before.
    pub repeat_accuracy: f64,
    /// Unigram mixed with 10 % repeat.
    pub mixed_perplexity: f64,
}

/// What is known before the first step.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    pub device: String,
    pub parameters: usize,
    pub vocabulary: usize,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub test_frames: usize,
    /// Share of held-out frames whose chord the vocabulary has, 0–1.
    pub coverage: f64,
    pub batch: usize,
    pub steps_per_epoch: usize,
    pub memory_bytes: u64,
    pub baselines: Baselines,
    pub first_epoch: usize,
}

/// A point inside an epoch, at most 20 a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepPoint {
    /// From 1.
    pub epoch: usize,
    /// Steps done since the run began, and how many there will be.
    pub step: usize,
    pub total_steps: usize,
    /// Mean loss of the steps since the last point.
    pub loss: f64,
    pub frames_per_second: f64,
    pub secs_left: f64,
}

#[derive(Clone)]
pub enum TrainEvent {
    Prepared(Prepared),
    Step(StepPoint),
    Epoch(EpochPoint),
    /// Something the user should know: the batch shrank, NaN was rolled back, memory ran out.
    Note(String),
    /// The newest weights, for hearing the model while it learns; after every epoch.
    Weights(Model),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    StoppedEarly,
    Cancelled,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrainSummary {
    pub outcome: Outcome,
    pub best_epoch: usize,
    pub best_valid_perplexity: f64,
    pub parameters: usize,
    pub device: String,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub vocabulary: usize,
    pub test_perplexity: Option<f64>,
    pub baselines: Baselines,
}

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{0} exists already — choose another name, or go on with --resume")]
    RunExists(PathBuf),
}

/// Trains until the epochs are done, early stop, or cancel. Events are sent from the calling
/// thread.
pub fn train(
    request: &TrainRequest,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    let _ = (request, cancel, on_event);
    todo!()
}

/// Bytes a run will need on its device, before it starts.
pub fn estimate_memory(settings: &TrainingSettings, vocabulary: usize) -> u64 {
    let _ = (settings, vocabulary);
    todo!()
}
