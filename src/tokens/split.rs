//! Which pieces are learned from and which are held out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Corpus, OwnPart, PerformanceCorpus};

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
    /// Index into [`Corpus::pieces`] (or those of performances) and the frames taken from it.
    pub parts: Vec<(usize, Range<usize>)>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("{0} — add more pieces or hold out the tail (--split tail)")]
    TooFewPieces(String),
    #[error(
        "the music is too short: {n_frames} frame{} — give at least {needed}",
        if *n_frames == 1 { "" } else { "s" }
    )]
    TooShort { n_frames: usize, needed: usize },
}

/// From so many pieces on there is a test part.
const MIN_PIECES_FOR_TEST: usize = 10;

/// Below this a fifth is less than a frame.
const MIN_FRAMES_FOR_TAIL: usize = 5;

/// What of a corpus decides how it is split.
struct Pieces<'a> {
    /// Path and number of frames of each.
    pieces: Vec<(&'a Path, usize)>,
    own: Option<&'a [OwnPart]>,
}

impl Split {
    /// `Pieces`: what the set's own table says, where it names pieces to learn from and pieces to
    /// choose by. Otherwise a tenth of the pieces (one at least) to choose by and, from ten pieces
    /// on, another tenth to test on. Files of one folder whose names differ only in a part number
    /// at their end (`scn15_1`, `scn15_2`; `--1`, `--2`) are taken for one composition and stay on
    /// one side, unless that is more than a quarter of all pieces: then it is a series.
    ///
    /// `Tail`: of `n` joined frames the first ⌊4n/5⌋ are learned from, as one stretch.
    ///
    /// # Errors
    /// With one piece only, or (for `Tail`) fewer than five frames.
    pub fn new(corpus: &Corpus, kind: SplitKind, seed: u64) -> Result<Self, SplitError> {
        let pieces = corpus.pieces.iter();
        let pieces = pieces.map(|piece| (piece.path.as_path(), piece.chords.len())).collect();
        Self::of(&Pieces { pieces, own: corpus.own_split.as_deref() }, kind, seed)
    }

    /// The same for performances.
    ///
    /// # Errors
    /// The same.
    pub fn of_performances(
        corpus: &PerformanceCorpus,
        kind: SplitKind,
        seed: u64,
    ) -> Result<Self, SplitError> {
        let pieces = corpus.pieces.iter();
        let pieces =
            pieces.map(|piece| (piece.path.as_path(), piece.performance.n_frames())).collect();
        Self::of(&Pieces { pieces, own: corpus.own_split.as_deref() }, kind, seed)
    }

    fn of(pieces: &Pieces<'_>, kind: SplitKind, seed: u64) -> Result<Self, SplitError> {
        match kind {
            SplitKind::Pieces => pieces_split(pieces, seed),
            SplitKind::Tail => tail_split(pieces),
        }
    }

    /// Every piece that is learned from, in order.
    pub fn train_pieces(&self) -> Vec<usize> {
        pieces_of(&self.train)
    }
}

fn pieces_of(stretches: &[Stretch]) -> Vec<usize> {
    let mut pieces: Vec<usize> =
        stretches.iter().flat_map(|stretch| stretch.parts.iter().map(|part| part.0)).collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

impl Stretch {
    pub fn n_frames(&self) -> usize {
        self.parts.iter().map(|(_, frames)| frames.len()).sum()
    }

    /// All of one piece.
    fn piece(pieces: &Pieces<'_>, piece: usize) -> Self {
        Self { parts: vec![(piece, 0..pieces.pieces[piece].1)] }
    }
}

fn tail_split(pieces: &Pieces<'_>) -> Result<Split, SplitError> {
    let n_frames = pieces.pieces.iter().map(|piece| piece.1).sum();
    if n_frames < MIN_FRAMES_FOR_TAIL {
        return Err(SplitError::TooShort { n_frames, needed: MIN_FRAMES_FOR_TAIL });
    }
    let n_learned = (n_frames as u128 * 4 / 5) as usize;
    Ok(Split {
        train: vec![joined(pieces, 0..n_learned)],
        valid: vec![joined(pieces, n_learned..n_frames)],
        test: Vec::new(),
    })
}

/// The stretch `frames` of all pieces joined.
fn joined(pieces: &Pieces<'_>, frames: Range<usize>) -> Stretch {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (idx, piece) in pieces.pieces.iter().enumerate() {
        let end = begin + piece.1;
        let (from, to) = (frames.start.clamp(begin, end), frames.end.clamp(begin, end));
        if from < to {
            parts.push((idx, from - begin..to - begin));
        }
        begin = end;
    }
    Stretch { parts }
}

fn pieces_split(pieces: &Pieces<'_>, seed: u64) -> Result<Split, SplitError> {
    let n_pieces = pieces.pieces.len();
    let stretches = |chosen: &[usize]| -> Vec<Stretch> {
        chosen.iter().map(|&piece| Stretch::piece(pieces, piece)).collect()
    };
    let all: Vec<usize> = (0..n_pieces).collect();
    let own = |part: OwnPart| -> Vec<usize> {
        let parts = pieces.own.unwrap_or_default();
        all.iter().copied().filter(|&piece| parts.get(piece) == Some(&part)).collect()
    };
    let (train, valid, test) = (own(OwnPart::Train), own(OwnPart::Valid), own(OwnPart::Test));
    if !train.is_empty() && !valid.is_empty() {
        let (train, valid, test) = (stretches(&train), stretches(&valid), stretches(&test));
        return Ok(Split { train, valid, test });
    }
    if n_pieces < 2 {
        let text = "there is only one piece, so that no whole piece can be held out";
        return Err(SplitError::TooFewPieces(text.to_owned()));
    }
    let mut compositions = compositions(pieces);
    compositions.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let tenth = ((n_pieces + 5) / 10).max(1);
    let valid = hold_out(&mut compositions, tenth);
    let test = match n_pieces {
        MIN_PIECES_FOR_TEST.. => hold_out(&mut compositions, tenth),
        _ => Vec::new(),
    };
    let mut train: Vec<usize> = compositions.into_iter().flatten().collect();
    train.sort_unstable();
    Ok(Split { train: stretches(&train), valid: stretches(&valid), test: stretches(&test) })
}

/// Takes compositions in their order as long as they fit into `n_wanted` pieces; where none fits,
/// the first of the smallest.
fn hold_out(compositions: &mut Vec<Vec<usize>>, n_wanted: usize) -> Vec<usize> {
    let mut held_out: Vec<usize> = Vec::new();
    compositions.retain(|composition| {
        let fits = held_out.len() + composition.len() <= n_wanted;
        if fits {
            held_out.extend(composition);
        }
        !fits
    });
    let smallest = (0..compositions.len()).min_by_key(|&idx| compositions[idx].len());
    if let Some(smallest) = smallest.filter(|_| held_out.is_empty()) {
        held_out = compositions.remove(smallest);
    }
    held_out.sort_unstable();
    held_out
}

/// The pieces of each composition, in order of the first.
fn compositions(pieces: &Pieces<'_>) -> Vec<Vec<usize>> {
    let mut by_name: BTreeMap<(&Path, &str), Vec<usize>> = BTreeMap::new();
    let mut alone: Vec<Vec<usize>> = Vec::new();
    for (idx, (path, _)) in pieces.pieces.iter().enumerate() {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match stem.and_then(without_part_number) {
            Some(name) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                by_name.entry((folder, name)).or_default().push(idx);
            }
            None => alone.push(vec![idx]),
        }
    }
    let most = pieces.pieces.len() / 4;
    for pieces in by_name.into_values() {
        if pieces.len() > most {
            alone.extend(pieces.into_iter().map(|piece| vec![piece]));
        } else {
            alone.push(pieces);
        }
    }
    alone.sort_unstable();
    alone
}

/// `scn15` for `scn15_12`; `None` where the name doesn't end in a separator and one or two digits.
fn without_part_number(stem: &str) -> Option<&str> {
    // A built-in piece's name stands in angle brackets.
    let stem = stem.trim_end_matches('>');
    let name = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let n_digits = stem.len() - name.len();
    let bare = name.trim_end_matches(['-', '_', ' ']);
    (matches!(n_digits, 1..=2) && bare.len() < name.len() && !bare.is_empty()).then_some(bare)
}
