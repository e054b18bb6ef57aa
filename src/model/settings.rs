//! Everything a training run can be told, with its defaults and the original's.

use serde::{Deserialize, Serialize};

use crate::tokens::{FrameRate, Framing, FramingPlan, Pedalling, SplitKind, VocabularyLimits};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    #[default]
    Lstm,
    Gru,
}

/// How the learning rate moves over a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    Constant,
    /// Half a cosine from the full rate down to a hundredth of it over all epochs.
    #[default]
    Cosine,
    /// Halved whenever the held-out loss has not improved for three epochs.
    Plateau,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Learns well on little data.
    Default,
    /// Every setting as the original experiment had it.
    Original,
}

/// The settings of a run; part of its `run.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", default)]
pub struct TrainingSettings {
    pub model: ModelKind,
    /// Stacked recurrent layers, 1–8.
    pub layers: usize,
    /// Units a layer, 1–4,096; the width of the embedding too, since the decoder shares it.
    pub hidden: usize,
    pub epochs: usize,
    /// Sequences a step.
    pub batch: usize,
    /// Frames a sequence.
    pub sequence: usize,
    pub learning_rate: f64,
    /// L2 penalty added to the gradient, as in the original's Adam.
    pub weight_decay: f64,
    /// Share of activations dropped between layers, 0–0.95.
    pub dropout: f64,
    /// Largest norm of all gradients together; none is no limit.
    pub clip: Option<f64>,
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0.
    pub warm_up: usize,
    /// Epochs without a better held-out loss before stopping; none never stops early.
    pub early_stop: Option<usize>,
    /// Whether sequences come in a new order each epoch.
    pub shuffle: bool,
    /// Each sequence is shifted by a random number of semitones up to this, either way.
    pub transpose: u8,
    /// Whether the hidden state goes on from one sequence of a piece to the next.
    pub carry_state: bool,
    pub fps: FrameRate,
    pub framing: Framing,
    pub pedalling: Pedalling,
    pub split: SplitKind,
    pub max_vocabulary: Option<usize>,
    pub min_count: u64,
    /// Epochs between checkpoints kept apart from the best and the last three; 0 keeps none.
    pub save_every: usize,
    pub seed: u64,
}

impl TrainingSettings {
    pub fn preset(preset: Preset) -> Self {
        let default = Self {
            model: ModelKind::Lstm,
            layers: 2,
            hidden: 512,
            epochs: 50,
            batch: 256,
            sequence: 100,
            learning_rate: 0.002,
            weight_decay: 0.0005,
            dropout: 0.5,
            clip: Some(1.0),
            schedule: Schedule::Cosine,
            warm_up: 20,
            early_stop: Some(8),
            shuffle: true,
            transpose: 0,
            carry_state: false,
            fps: FrameRate::INPUT_DEFAULT,
            framing: Framing::Nearest,
            pedalling: Pedalling::Keys,
            split: SplitKind::Pieces,
            max_vocabulary: Some(4_000),
            min_count: 1,
            save_every: 0,
            seed: 0,
        };
        match preset {
            Preset::Default => default,
            Preset::Original => Self {
                dropout: 0.0,
                clip: None,
                schedule: Schedule::Constant,
                warm_up: 0,
                early_stop: None,
                shuffle: false,
                carry_state: true,
                framing: Framing::Original,
                split: SplitKind::Tail,
                max_vocabulary: None,
                ..default
            },
        }
    }

    pub fn framing_plan(&self) -> FramingPlan {
        FramingPlan { rate: self.fps, framing: self.framing, pedalling: self.pedalling }
    }

    pub fn vocabulary_limits(&self) -> VocabularyLimits {
        VocabularyLimits { max_chords: self.max_vocabulary, min_count: self.min_count }
    }

    /// Refuses values no training can use, with words.
    pub fn validate(&self) -> Result<(), SettingsError> {
        todo!()
    }
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self::preset(Preset::Default)
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{setting} can't be {value} — {rule}")]
pub struct SettingsError {
    pub setting: &'static str,
    pub value: String,
    pub rule: String,
}
