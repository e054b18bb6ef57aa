//! Composing: strategies, primes and the guard against one chord for ever.

use serde::{Deserialize, Serialize};

use super::Model;
use crate::cancel::CancelToken;
use crate::tokens::{Chord, FrameRate, PianoRoll, Token};

/// What a strategy needs of a network: log-scores of the next chord for a batch of hypotheses.
pub trait NextChord {
    /// Chords without the escape.
    fn vocabulary_len(&self) -> usize;

    /// Forgets everything and holds `n` hypotheses that have read nothing.
    fn start(&mut self, n: usize);

    /// Hypothesis `i` reads `tokens[i]`. Returns unnormalized log-scores, row after row,
    /// `tokens.len() × vocabulary_len()`; the escape is not among them.
    fn step(&mut self, tokens: &[Token]) -> &[f32];

    /// Afterwards hypothesis `i` continues what was hypothesis `parents[i]`.
    fn select(&mut self, parents: &[usize]);
}

/// How the next chord is chosen.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "strategy")]
pub enum Strategy {
    /// The most likely, always.
    Max,
    Sample {
        temperature: f64,
        top_k: Option<usize>,
        top_p: Option<f64>,
    },
    /// The likeliest whole phrases, by summed log-probability over length^`length_penalty`.
    Beam {
        width: usize,
        length_penalty: f64,
    },
}

/// Against one chord for ever; rests included.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Guard {
    /// Longest a chord may be held, in seconds of the output; none switches it off.
    pub longest_hold_secs: Option<f64>,
    /// No run of this many *different* chords in succession comes twice; none switches it off.
    pub no_repeat: Option<usize>,
}

/// What a generation starts from.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prime {
    #[default]
    Silence,
    /// Chords at the rate the model learned: the opening of a file, the score up to the playhead,
    /// one pitch, one chord.
    Chords(PianoRoll),
    /// A chord drawn by count from the vocabulary.
    Random,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ComposeSettings {
    pub strategy: Strategy,
    pub guard: Guard,
    pub prime: Prime,
    /// Frames to compose, without the prime.
    pub frames: usize,
    /// The output rate; only the guard needs it here.
    pub rate: FrameRate,
    pub takes: usize,
    pub seed: u64,
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
        }
    }
}

#[derive(Clone)]
pub struct ComposeRequest {
    pub model: Model,
    pub settings: ComposeSettings,
}

/// One generated answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Take {
    /// The prime as the model read it, then what it composed.
    pub roll: PianoRoll,
    pub n_prime_frames: usize,
    /// What makes this take again: for take `n` the request's seed plus `n`.
    pub seed: u64,
    /// Summed natural log-probability of the composed chords under the model itself.
    pub log_likelihood: f64,
    /// Time it took.
    pub secs: f64,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ComposeEvent {
    /// Frames of a take as they are made, in order from its prime on (a beam's once all its beams
    /// agree on them).
    Frames {
        take: usize,
        first: usize,
        chords: Vec<Chord>,
    },
    /// Something the user should know: a chord of the prime was replaced by the nearest known.
    Note(String),
    Take {
        take: usize,
        result: Take,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    #[error("composing was cancelled")]
    Cancelled,
}

/// Composes every take of the request, streaming frames as they are made. The same request gives
/// the same notes.
pub fn compose(
    request: &ComposeRequest,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(ComposeEvent),
) -> Result<Vec<Take>, ComposeError> {
    let _ = (request, cancel, on_event);
    todo!()
}
