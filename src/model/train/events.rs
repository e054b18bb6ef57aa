//! What a training tells: before the first step, on its way, and when it has ended.

use serde::{Deserialize, Deserializer, Serialize};

use super::super::{EpochPoint, Model};

/// Three predictors that learn nothing but counts, measured on the held-out frames: on which keys
/// sound, beside a model that knows touch also on which are struck and on how long nothing changes.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Baselines {
    #[serde(deserialize_with = "nan_from_null")]
    pub unigram_perplexity: f64,
    pub unigram_accuracy: f64,
    /// Share of held-out frames equal to the one before.
    pub repeat_accuracy: f64,
    /// Unigram mixed with 10 % repeat.
    #[serde(deserialize_with = "nan_from_null")]
    pub mixed_perplexity: f64,
}

/// What is known before the first step.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    pub device: String,
    /// Why the CPU is used although it wasn't asked for.
    pub device_reason: Option<String>,
    pub parameters: usize,
    pub vocabulary: usize,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub test_frames: usize,
    /// Share of held-out frames whose chord the vocabulary has, 0–1.
    pub coverage: f64,
    /// Whether strikes, velocities and the pedal are learned too; of the latter two the baselines
    /// know nothing.
    pub has_touch: bool,
    pub batch: usize,
    pub steps_per_epoch: usize,
    pub memory_bytes: u64,
    pub baselines: Baselines,
    /// From 1; above 1 when a run is resumed.
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

#[derive(Clone, Debug)]
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
    /// From 1; 0 if it was cancelled before the first epoch was measured, and when no epoch was better
    /// than the checkpoint that the run went on from: its weights are then the best.
    pub best_epoch: usize,
    /// NaN (`null` in JSON) if nothing was measured.
    #[serde(deserialize_with = "nan_from_null")]
    pub best_valid_perplexity: f64,
    pub parameters: usize,
    pub device: String,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub vocabulary: usize,
    /// What velocities and the pedal cost the best weights on held-out music, in nats a frame; none
    /// without touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_valid_velocity_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_valid_pedal_loss: Option<f64>,
    /// Of the best weights on pieces that nothing was chosen by.
    pub test_perplexity: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_velocity_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_pedal_loss: Option<f64>,
    pub baselines: Baselines,
    /// Of the checkpoint that the run went on from, on the same held-out music; none for a fresh
    /// network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_valid_perplexity: Option<f64>,
    /// The weights went astray, since the steps were too large: the last epoch predicts worse than
    /// choosing blindly. Not known of runs of an older version.
    #[serde(default)]
    pub ran_away: bool,
}

/// JSON has no NaN and no infinity and writes both as null.
pub fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
