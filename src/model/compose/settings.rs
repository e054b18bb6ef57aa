//! What composing can be told, its limits, and why it may fail.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Prime;
use crate::model::WeightFormat;
use crate::tokens::FrameRate;

/// How the next chord is chosen.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "strategy")]
pub enum Strategy {
    /// The most likely, always; of equals the one that comes first in the vocabulary. There is
    /// one such answer, so it gives one take whatever was asked for. Where chords are spelled, the
    /// likelier state of every key, from low to high.
    Max,
    /// Drawn by probability. In this order: what the [`Guard`] forbids is taken out, the rest is
    /// sharpened or flattened by the temperature, the `top_k` likeliest stay, and of their
    /// probability the smallest set of likeliest chords that makes up `top_p` of it stays.
    ///
    /// Where chords are spelled, the same is done to the two states of every key in turn: a key
    /// whose likelier state makes up `top_p` has it, and so with a `top_k` of 1 has every key; a
    /// larger one leaves nothing out. With touch each strike, velocity, pedal and length is drawn in
    /// the same way; a mean velocity would play everything alike.
    Sample {
        /// Log-probabilities are divided by it: below 1 is safer, above 1 is wilder.
        temperature: f64,
        top_k: Option<usize>,
        top_p: Option<f64>,
    },
    /// The likeliest whole phrases, by summed log-probability over length^`length_penalty`.
    ///
    /// All hypotheses of one search have as many frames, so the penalty never changes their
    /// order; it makes the scores of searches of different lengths comparable.
    ///
    /// Where chords are spelled, what may follow a hypothesis is itself found by a search over the
    /// keys that keeps `width` beginnings, and as many more as the guard forbids. Velocities and
    /// pedal are the likeliest for each, and count in its sum; that nothing changes is one of the
    /// frames that may follow.
    Beam {
        /// Hypotheses kept after each frame.
        width: usize,
        /// 0 compares sums, 1 compares means per frame.
        length_penalty: f64,
    },
}

/// Against one chord for ever; rests included, and the prime counted as part of the take.
///
/// Of a model with touch a chord is held as long as the same keys sound, struck again or not, and
/// may be back after any other; the chords that don't come back in the same order are those of which
/// something is struck.
///
/// Either rule takes chords out before one is chosen, whatever the strategy. When nothing would
/// be left, the less harmful rule is lifted for that one frame and a note says so: first
/// `no_repeat`, since a phrase that comes back hurts less than a chord that never ends; the hold
/// is lifted only if the vocabulary has no other chord at all.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Guard {
    /// Longest a chord may be held, in seconds of the output, rounded down to whole frames, one
    /// at least; none switches it off. Within a span of about twice that a chord doesn't sound
    /// for longer either, so that one frame of something else isn't enough. It counts the silence
    /// before a take without a prime too: such a take begins with a chord, as every piece does that
    /// is learned from.
    pub longest_hold_secs: Option<f64>,
    /// No run of this many *different* chords in succession comes twice; none switches it off.
    /// How long each is held doesn't matter.
    pub no_repeat: Option<usize>,
}

impl Guard {
    /// Everything allowed.
    pub const OFF: Self = Self { longest_hold_secs: None, no_repeat: None };
}

/// Everything that decides what is composed, apart from the model.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ComposeSettings {
    pub strategy: Strategy,
    pub guard: Guard,
    pub prime: Prime,
    /// Frames to compose, without the prime.
    pub frames: usize,
    /// The output rate; only the guard needs it here.
    pub rate: FrameRate,
    /// Answers wanted: take `n` of `sample` is drawn with the seed plus `n`, those of `beam` are
    /// the `n` best of one search.
    pub takes: usize,
    pub seed: u64,
    /// A bar's frames, for a model that knows where in the bar it is; those of common time where
    /// nothing is said. The prime begins at a bar line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames_per_bar: Option<NonZeroU32>,
    #[serde(default)]
    pub weights: WeightFormat,
}

impl Default for ComposeSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Sample { temperature: 0.9, top_k: None, top_p: None },
            guard: Guard { longest_hold_secs: Some(4.0), no_repeat: Some(8) },
            prime: Prime::Silence,
            frames: 300,
            rate: FrameRate::OUTPUT_DEFAULT,
            takes: 1,
            seed: 0,
            frames_per_bar: None,
            weights: WeightFormat::default(),
        }
    }
}

/// Why nothing, or nothing more, was composed. Being cancelled is no error: the takes come back
/// with what they have.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ComposeError {
    #[error(
        "{0} is not a usable temperature — give a number above 0 and up to {max}, such as 0.9",
        max = ComposeSettings::MAX_TEMPERATURE
    )]
    Temperature(f64),
    #[error("top-k 0 leaves no chord to choose from — give 1 or more, or leave it out")]
    TopK,
    #[error("{0} is not a usable top-p — give a number above 0 and up to 1, such as 0.95")]
    TopP(f64),
    #[error(
        "{0} is not a usable beam width — give between 1 and {max}, such as 10",
        max = ComposeSettings::MAX_BEAM_WIDTH
    )]
    BeamWidth(usize),
    #[error(
        "{0} is not a usable length penalty — give a number from 0 to {max}, such as 1",
        max = ComposeSettings::MAX_LENGTH_PENALTY
    )]
    LengthPenalty(f64),
    #[error(
        "a beam of {width} over {frames} frames needs too much memory — keep width times frames \
         up to {max}: compose fewer frames or give a narrower beam",
        max = ComposeSettings::MAX_BEAM_FRAMES
    )]
    BeamMemory { width: usize, frames: usize },
    #[error("a beam of {width} can't give {takes} takes — ask for fewer takes or a wider beam")]
    BeamTakes { width: usize, takes: usize },
    #[error(
        "{0} is not a usable number of frames — give between 1 and {max}",
        max = ComposeSettings::MAX_FRAMES
    )]
    Frames(usize),
    #[error(
        "{0} is not a usable number of takes — give between 1 and {max}",
        max = ComposeSettings::MAX_TAKES
    )]
    Takes(usize),
    #[error(
        "{0} is not a usable longest hold — give seconds above 0 and up to {max}, or switch the \
         guard off",
        max = ComposeSettings::MAX_HOLD_SECS
    )]
    LongestHold(f64),
    #[error(
        "{0} is not a usable length for runs that don't repeat — give between 1 and {max} \
         chords, or switch the guard off",
        max = ComposeSettings::MAX_NO_REPEAT
    )]
    NoRepeat(usize),
    #[error(
        "a prime of {0} frames is too long — give up to {max}",
        max = ComposeSettings::MAX_FRAMES
    )]
    PrimeTooLong(usize),
    #[error(
        "the model's score for chord {token} at frame {frame} is {score}, which is not a usable \
         number — its training has come apart; choose another checkpoint or train with a lower \
         learning rate"
    )]
    NotFinite {
        /// Composed frames before it.
        frame: usize,
        token: usize,
        score: f32,
    },
    #[error(
        "the model's score for a key at frame {frame} is not a usable number — its training has come \
         apart; choose another checkpoint or train with a lower learning rate"
    )]
    KeyNotFinite {
        /// Composed frames before it.
        frame: usize,
    },
    #[error(
        "the model gave {given} scores where {expected} were expected — its vocabulary and its \
         weights don't belong together; choose another checkpoint"
    )]
    Shape { given: usize, expected: usize },
}

impl ComposeSettings {
    pub const MAX_TEMPERATURE: f64 = 10.0;
    pub const MAX_BEAM_WIDTH: usize = 256;
    pub const MAX_LENGTH_PENALTY: f64 = 10.0;
    /// Width times frames: what a beam may hold in memory (its hypotheses know their own past).
    pub const MAX_BEAM_FRAMES: usize = 1_000_000;
    /// Three and a half hours at the usual rate.
    pub const MAX_FRAMES: usize = 100_000;
    pub const MAX_TAKES: usize = 64;
    pub const MAX_HOLD_SECS: f64 = 3_600.0;
    pub const MAX_NO_REPEAT: usize = 1_000;

    /// Refuses values nothing can be composed with, in words.
    ///
    /// # Errors
    /// The first setting that is off, with its value and its limits.
    pub fn validate(&self) -> Result<(), ComposeError> {
        self.strategy.validate()?;
        self.guard.validate()?;
        if !(1..=Self::MAX_FRAMES).contains(&self.frames) {
            return Err(ComposeError::Frames(self.frames));
        }
        if !(1..=Self::MAX_TAKES).contains(&self.takes) {
            return Err(ComposeError::Takes(self.takes));
        }
        if let Strategy::Beam { width, .. } = self.strategy {
            if self.takes > width {
                return Err(ComposeError::BeamTakes { width, takes: self.takes });
            }
            if width * self.frames > Self::MAX_BEAM_FRAMES {
                return Err(ComposeError::BeamMemory { width, frames: self.frames });
            }
        }
        match self.prime.n_frames() {
            n_frames if n_frames > Self::MAX_FRAMES => Err(ComposeError::PrimeTooLong(n_frames)),
            _ => Ok(()),
        }
    }
}

impl Strategy {
    /// Refuses values of this strategy's own settings, in words. NaN is in no range.
    ///
    /// # Errors
    /// As [`ComposeSettings::validate`].
    pub fn validate(&self) -> Result<(), ComposeError> {
        match *self {
            Self::Max => Ok(()),
            Self::Sample { temperature, top_k, top_p } => {
                if !(temperature > 0.0 && temperature <= ComposeSettings::MAX_TEMPERATURE) {
                    return Err(ComposeError::Temperature(temperature));
                }
                if top_k == Some(0) {
                    return Err(ComposeError::TopK);
                }
                match top_p {
                    Some(top_p) if !(top_p > 0.0 && top_p <= 1.0) => Err(ComposeError::TopP(top_p)),
                    _ => Ok(()),
                }
            }
            Self::Beam { width, length_penalty } => {
                if !(1..=ComposeSettings::MAX_BEAM_WIDTH).contains(&width) {
                    return Err(ComposeError::BeamWidth(width));
                }
                if !(0.0..=ComposeSettings::MAX_LENGTH_PENALTY).contains(&length_penalty) {
                    return Err(ComposeError::LengthPenalty(length_penalty));
                }
                Ok(())
            }
        }
    }
}

impl Guard {
    /// As [`ComposeSettings::validate`].
    ///
    /// # Errors
    /// The first rule that is off.
    pub fn validate(&self) -> Result<(), ComposeError> {
        if let Some(secs) = self.longest_hold_secs
            && !(secs > 0.0 && secs <= ComposeSettings::MAX_HOLD_SECS)
        {
            return Err(ComposeError::LongestHold(secs));
        }
        match self.no_repeat {
            Some(n) if !(1..=ComposeSettings::MAX_NO_REPEAT).contains(&n) => {
                Err(ComposeError::NoRepeat(n))
            }
            _ => Ok(()),
        }
    }
}
