//! A run: the folder one training makes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainingSettings;

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct EpochPoint {
    /// From 1.
    pub epoch: usize,
    pub train_loss: f64,
    pub train_perplexity: f64,
    pub train_accuracy: f64,
    pub valid_loss: f64,
    pub valid_perplexity: f64,
    /// 0–1.
    pub valid_accuracy: f64,
    pub learning_rate: f64,
    pub frames_per_second: f64,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// A run as it lies on disk: what a list of runs or a comparison of curves needs.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub path: PathBuf,
    pub summary: RunSummary,
    pub metrics: Vec<EpochPoint>,
}

/// `run.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    pub version: String,
    pub settings: TrainingSettings,
    pub device: String,
    // (The training owner adds the corpus summary, a hash per file, baselines, outcome.)
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0} is not a run — a run is a folder with run.json in it")]
    NotARun(PathBuf),
}

impl Run {
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let _ = path;
        todo!()
    }

    /// The runs directly inside a folder, newest first; what isn't one is passed over.
    pub fn list(folder: &Path) -> Vec<Self> {
        let _ = folder;
        todo!()
    }
}
