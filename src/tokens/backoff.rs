//! The probability of any chord at all, spelled key by key: what a chord outside the vocabulary
//! pays after the escape.

use serde::{Deserialize, Serialize};

use super::Chord;

/// A key-by-key model of single chords, fitted on the learning pieces. Its probabilities over
/// all chords sum to one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BackOff {
    placeholder: (),
}

impl BackOff {
    /// Fits on chords with how often each was seen.
    pub fn fit(counted: impl IntoIterator<Item = (Chord, u64)>) -> Self {
        let _ = counted.into_iter().count();
        todo!()
    }

    /// Natural logarithm of the probability of exactly this chord.
    pub fn log_probability(&self, chord: Chord) -> f64 {
        let _ = chord;
        todo!()
    }
}
