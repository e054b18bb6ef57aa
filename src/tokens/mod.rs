//! A piece as numbers: frames, chords, vocabulary, corpus, split.
//!
//! Frames and corpora stand apart from the vocabulary, so that a model without one can use them.

mod backoff;
mod chord;
mod corpus;
mod frames;
mod split;
mod vocabulary;

pub use backoff::BackOff;
pub use chord::Chord;
pub use corpus::{
    ChordId, Corpus, CorpusError, Piece, ReadProgress, Skipped, read_corpus, read_sources,
};
pub use frames::{
    Articulation, FrameRate, FrameRateError, Framing, FramingPlan, Pedalling, PianoRoll, Playback,
    roll_from_score, score_from_roll,
};
pub use split::{Split, SplitError, SplitKind};
pub use vocabulary::{ChordVocabulary, Encoding, Token, VocabularyLimits};
