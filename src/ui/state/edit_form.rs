//! What the dialogs of the Notes menu were given last.

use serde::{Deserialize, Serialize};

use crate::editor::operations::{Humanize, Quantize, QuantizeEdges};
use crate::editor::{GridStep, NoteValue};
use crate::music::{Score, Tick, Velocity};

/// What a distance in pitch is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransposeBy {
    #[default]
    Semitones,
    /// Steps of the scale.
    Degrees,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct EditForm {
    pub quantize_step: GridStep,
    pub quantize_edges: QuantizeEdges,
    /// 0–100.
    pub strength_percent: f64,
    /// 0–100, of a third of a step.
    pub swing_percent: f64,
    pub transpose_by: TransposeBy,
    pub transpose: i32,
    pub length: GridStep,
    /// More than 0.
    pub length_percent: f64,
    /// 1–127.
    pub velocity: u8,
    /// How early or late notes come at most, at the tempo of the first of them.
    pub humanize_millis: f64,
    /// By how much velocities change at most.
    pub humanize_velocity: u8,
    pub humanize_seed: u32,
}

impl Default for EditForm {
    fn default() -> Self {
        Self {
            quantize_step: GridStep::straight(NoteValue::Sixteenth),
            quantize_edges: QuantizeEdges::Starts,
            strength_percent: 100.0,
            swing_percent: 0.0,
            transpose_by: TransposeBy::Semitones,
            transpose: 12,
            length: GridStep::straight(NoteValue::Eighth),
            length_percent: 200.0,
            velocity: Velocity::COMPOSED.number(),
            humanize_millis: 10.0,
            humanize_velocity: 8,
            humanize_seed: 1,
        }
    }
}

impl EditForm {
    pub fn quantize(&self) -> Quantize {
        Quantize {
            step: self.quantize_step,
            edges: self.quantize_edges,
            strength: self.strength_percent / 100.0,
            swing: self.swing_percent / 100.0,
        }
    }

    /// Milliseconds become ticks at the tempo of `at`.
    pub fn humanize(&self, score: &Score, at: Tick) -> Humanize {
        let quarters_per_minute = score.tempo_map.tempo_at(at).quarters_per_minute();
        let quarters = self.humanize_millis / 60_000.0 * quarters_per_minute;
        let ticks = quarters * f64::from(score.tempo_map.ticks_per_quarter().get());
        Humanize {
            // A float to integer cast saturates.
            ticks: ticks.round() as u32,
            velocity: self.humanize_velocity,
            seed: u64::from(self.humanize_seed),
        }
    }
}
