//! Which pieces are learned from and which are held out.

use serde::{Deserialize, Serialize};

use super::Corpus;

/// How pieces are held out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Whole pieces, chosen by the seed: some to choose the best epoch by and, from ten pieces
    /// on, others that are measured once at the end. A set's own split where it has one.
    #[default]
    Pieces,
    /// All pieces joined in sorted order; the last fifth of the frames is held out as one piece.
    /// What the original experiment did.
    Tail,
}

/// Sequences of a corpus by what they are for. Each is a piece or, for `Tail`, a run of frames
/// across pieces, as `(piece, frame range)` parts joined in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Split {
    pub train: Vec<Stretch>,
    pub valid: Vec<Stretch>,
    pub test: Vec<Stretch>,
}

/// What the network reads as one piece, started from a rest with no state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stretch {
    /// Index into [`Corpus::pieces`] and the frames taken from it.
    pub parts: Vec<(usize, std::ops::Range<usize>)>,
}

#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    #[error("{0} — add more pieces or hold out the tail (--split tail)")]
    TooFewPieces(String),
    #[error("the music is too short: {n_frames} frames — give at least {needed}")]
    TooShort { n_frames: usize, needed: usize },
}

impl Split {
    pub fn new(corpus: &Corpus, kind: SplitKind, seed: u64) -> Result<Self, SplitError> {
        let _ = (corpus, kind, seed);
        todo!()
    }
}

impl Stretch {
    pub fn n_frames(&self) -> usize {
        self.parts.iter().map(|(_, frames)| frames.len()).sum()
    }
}
