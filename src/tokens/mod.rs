//! A piece as numbers: frames, chords, vocabulary, corpus, split, and what music measures like.
//!
//! Frames and corpora stand apart from the vocabulary, so that a model without one can use them.
//!
//! ```text
//! chord, frames, grid, original   a score as chords, one a frame      playback   and back
//! key_frame, performance/         a score as keys struck and held, with velocity and pedal, and back
//! sources, reading, table, cache  what reading many files has in common
//! corpus, vocabulary, encoding    pieces as chord numbers
//! performances, packs, mapping    pieces as performances in mapped files
//! beat_fit, recovery              whether beats can be trusted; what comes back from frames
//! measures/                       what composed music measures like
//! split                           what is learned from and what is held out
//! ```

mod backoff;
mod beat_fit;
mod benchmark;
mod cache;
mod chord;
mod corpus;
mod encoding;
mod frames;
mod grid;
mod hashing;
mod key_frame;
mod mapping;
pub mod measures;
mod music;
mod nearest;
mod original;
mod packs;
mod performance;
mod performances;
mod playback;
mod reading;
mod recovery;
mod sources;
mod split;
mod table;
mod vocabulary;

pub use backoff::BackOff;
pub use beat_fit::BeatFit;
pub use benchmark::{BenchmarkError, BenchmarkSet, file_of_piece};
pub use chord::Chord;
pub use corpus::{
    ChordId, Corpus, CorpusError, OwnPart, Piece, ReadProgress, Skipped, none_of, read_corpus,
    read_sources, some_of,
};
pub use encoding::Encoding;
pub use frames::{
    FrameRate, FrameRateError, FramesError, Framing, FramingPlan, MAX_FRAMES, Pedalling, PianoRoll,
    kept_notes, roll_from_score,
};
pub use grid::{Grid, ParseGridError, StepsPerQuarter};
pub use key_frame::{KeyFrame, KeyRun, RunCutter};
pub use music::{Music, MusicPlan, PieceSummary};
pub use performance::{BarPosition, FrameBars, FrameNote, Performance, PerformancePlan, Touch};
pub use performances::{PerformanceCorpus, PerformedPiece, perform_sources, read_performances};
pub use playback::{Articulation, Playback, played_score, score_from_roll};
pub(crate) use reading::sha256_hex;
pub use recovery::{Recovery, recovery};
pub use sources::{Found, find_files, is_music};
pub use split::{Split, SplitError, SplitKind, Stretch};
pub use vocabulary::{ChordVocabulary, Token, VocabularyError, VocabularyLimits};
