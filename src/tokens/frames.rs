//! Scores cut into frames, and frames turned back into scores.

use serde::{Deserialize, Serialize};

use super::Chord;
use crate::music::{Score, Velocity};

/// Frames in a second of music, from [`FrameRate::MIN`] to [`FrameRate::MAX`].
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FrameRate(f64);

#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a usable frame rate — give between {min} and {max} frames a second", min = FrameRate::MIN, max = FrameRate::MAX)]
pub struct FrameRateError(pub f64);

impl FrameRate {
    pub const MIN: f64 = 0.1;
    pub const MAX: f64 = 200.0;
    /// What the original learned at.
    pub const INPUT_DEFAULT: Self = Self(2.0);
    /// What the original played at.
    pub const OUTPUT_DEFAULT: Self = Self(8.0);

    pub fn new(per_second: f64) -> Result<Self, FrameRateError> {
        // NaN is in no range.
        if (Self::MIN..=Self::MAX).contains(&per_second) {
            Ok(Self(per_second))
        } else {
            Err(FrameRateError(per_second))
        }
    }

    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for FrameRate {
    type Error = FrameRateError;

    fn try_from(per_second: f64) -> Result<Self, Self::Error> {
        Self::new(per_second)
    }
}

impl From<FrameRate> for f64 {
    fn from(rate: FrameRate) -> Self {
        rate.0
    }
}

/// How notes meet the grid of frames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// Onset and end go to the nearest boundary, one frame at least, so that no note is lost;
    /// all pitched parts together.
    #[default]
    Nearest,
    /// Exactly what the original experiment did: the first instrument only, start and end
    /// truncated, notes inside one frame vanish, its way with the pedal.
    Original,
}

/// Whether the sustain pedal lengthens notes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pedalling {
    /// The time a key is down counts.
    #[default]
    Keys,
    /// A note sounds on while the pedal is down, until it is struck again.
    Sustained,
}

/// Everything that decides how a score becomes frames.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct FramingPlan {
    pub rate: FrameRate,
    pub framing: Framing,
    pub pedalling: Pedalling,
}

impl Default for FramingPlan {
    fn default() -> Self {
        Self {
            rate: FrameRate::INPUT_DEFAULT,
            framing: Framing::default(),
            pedalling: Pedalling::default(),
        }
    }
}

/// One chord per frame.
pub type PianoRoll = Vec<Chord>;

/// The frames of a score, without leading and trailing rests.
pub fn roll_from_score(score: &Score, plan: &FramingPlan) -> PianoRoll {
    let _ = (score, plan);
    todo!()
}

/// What a pitch that is in two frames running means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Articulation {
    /// One held note.
    #[default]
    Held,
    /// Struck again whenever the chord changes.
    Restruck,
}

/// How frames are played.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Playback {
    /// One frame is a sixteenth, so the tempo is `rate` × 15 quarters a minute.
    pub rate: FrameRate,
    pub velocity: Velocity,
    pub articulation: Articulation,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            rate: FrameRate::OUTPUT_DEFAULT,
            velocity: Velocity::COMPOSED,
            articulation: Articulation::default(),
        }
    }
}

/// The score of a piano roll: 480 ticks a quarter, 120 a frame, one piano part.
pub fn score_from_roll(roll: &[Chord], playback: &Playback) -> Score {
    let _ = (roll, playback);
    todo!()
}
