//! Trained weights with everything needed to use them, on disk and in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ModelKind;
use crate::tokens::{BackOff, ChordVocabulary, FramingPlan};

/// What a model is, without its weights: what a checkpoint's manifest says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelCard {
    pub format_version: u32,
    pub model: ModelKind,
    pub layers: usize,
    pub hidden: usize,
    pub plan: FramingPlan,
    pub vocabulary: ChordVocabulary,
    pub backoff: BackOff,
    pub epoch: usize,
    pub valid_perplexity: Option<f64>,
    /// What it was trained on, in words, with credits.
    pub about: String,
}

/// A model that can compose and be measured, on the CPU. Cheap to clone; no tensor shows.
#[derive(Clone)]
pub struct Model {
    card: Arc<ModelCard>,
    // (The training owner adds the weights: names, shapes and values.)
}

impl Model {
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// What the strategies compose with. (The training owner writes it.)
    pub fn next_chord(&self) -> Box<dyn super::NextChord> {
        todo!()
    }

    /// Reads a checkpoint, or the best one of a run folder.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        let _ = path;
        todo!()
    }

    /// The built-in model.
    pub fn starter() -> Result<Self, CheckpointError> {
        todo!()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("there is no checkpoint at {0} — give a run folder or a checkpoint in it")]
    Missing(PathBuf),
}
