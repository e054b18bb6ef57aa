//! Where a training stands: what its checkpoints say beside the weights.

use serde::{Deserialize, Serialize};

use super::super::TrainingSettings;

/// Where a training stands, in its checkpoints.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrainingState {
    pub settings: TrainingSettings,
    /// Whole epochs done.
    pub epochs_done: usize,
    /// Steps done of the epoch after them.
    pub steps_into_epoch: usize,
    /// Optimizer steps since the run began; the place in the streams of random numbers.
    pub step: u64,
    /// Sequences whose state is carried (`state.…`); 0 without one.
    pub state_rows: usize,
    /// Sums over the epoch that isn't whole yet.
    pub epoch_loss: f64,
    pub epoch_right: f64,
    pub epoch_frames: usize,
    pub best: Option<BestEpoch>,
    /// Epochs since the best one.
    pub n_worse: usize,
    /// Epochs without a better loss since the rate was last halved, and how often it was.
    pub n_flat: usize,
    pub halvings: u32,
    pub seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct BestEpoch {
    /// From 1; 0 is the checkpoint that the run went on from.
    pub epoch: usize,
    /// Of keys and lengths, in nats a frame.
    pub loss: f64,
    /// What velocities and the pedal cost besides, without which the epoch isn't chosen; 0 without
    /// touch.
    #[serde(default)]
    pub touch_loss: f64,
}

impl TrainingState {
    pub(super) fn new(settings: &TrainingSettings) -> Self {
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
