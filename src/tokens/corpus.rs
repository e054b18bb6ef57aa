//! Reading many pieces: found, framed in parallel, remembered in a cache, held once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Chord, FramingPlan, SplitKind};
use crate::cancel::CancelToken;
use crate::music::Score;

/// A chord's number in a [`Corpus`]; 0 is the rest.
pub type ChordId = u32;

/// One piece as chord numbers, without leading and trailing rests.
#[derive(Clone, PartialEq, Debug)]
pub struct Piece {
    /// Where it was read from (a name in angle brackets for a built-in piece).
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    pub chords: Vec<ChordId>,
    /// Notes that were read and seconds of music, for the summary.
    pub n_notes: usize,
    pub duration_secs: f64,
}

/// A file that isn't in the corpus, and why, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
}

/// Pieces as numbers, in sorted order of their paths, each frame held once.
#[derive(Clone, Debug)]
pub struct Corpus {
    pub plan: FramingPlan,
    /// Every distinct chord in order of first appearance; the rest first.
    pub chords: Vec<Chord>,
    pub pieces: Vec<Piece>,
    pub skipped: Vec<Skipped>,
    /// Which pieces a set's own table assigns to learning, choosing and testing, if it has one.
    pub own_split: Option<Vec<OwnPart>>,
}

/// What a data set says one of its pieces is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnPart {
    Train,
    Valid,
    Test,
}

impl Corpus {
    pub fn n_frames(&self) -> usize {
        self.pieces.iter().map(|piece| piece.chords.len()).sum()
    }

    /// Hours of music are this over 3,600.
    pub fn duration_secs(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.duration_secs).sum()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("“{0}” can't be found — check the path")]
    Missing(PathBuf),
    #[error("there is no MIDI file in {0} — choose a folder with .mid, .midi, .kar or .rmi files")]
    NoMidi(String),
    #[error("none of the {n_files} files could be used ({first}) — choose other files")]
    NothingUsable { n_files: usize, first: String },
    #[error("reading was cancelled")]
    Cancelled,
}

/// How far reading is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadProgress {
    pub n_done: usize,
    pub n_files: usize,
}

/// Reads files, and folders recursively in sorted order, in parallel. The result doesn't depend
/// on the number of threads. A bad file is skipped with its reason; the same bytes twice are
/// noticed and kept once. With `cache_dir`, what was read before is read from there.
pub fn read_corpus(
    paths: &[PathBuf],
    plan: &FramingPlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
) -> Result<Corpus, CorpusError> {
    let _ = (paths, plan, cache_dir, cancel, progress, HashMap::<(), ()>::new(), SplitKind::Tail);
    todo!()
}

/// The same for scores that are in memory, such as the built-in pieces.
pub fn read_sources(scores: &[(String, Score)], plan: &FramingPlan) -> Result<Corpus, CorpusError> {
    let _ = (scores, plan);
    todo!()
}
