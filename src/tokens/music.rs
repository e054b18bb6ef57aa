//! The music that a network learns from or is measured on, read as its family wants it: as chords,
//! each held once, or as performances with touch and a place in the bar.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    Corpus, CorpusError, FramingPlan, OwnPart, Performance, PerformanceCorpus, PerformancePlan,
    PerformedPiece, Piece, ReadProgress, Skipped, Split, SplitError, SplitKind, Touch,
    file_of_piece, perform_sources, read_corpus, read_performances, read_sources,
};
use crate::cancel::CancelToken;
use crate::music::Score;

/// How music is to be read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum MusicPlan {
    /// Only which keys sound in each frame.
    Chords(FramingPlan),
    /// Notes, from which key frames are read, and their bars on the grid of beats.
    Performances(PerformancePlan),
}

/// Pieces in sorted order of their paths, whichever way they were read. Cheap to clone.
#[derive(Clone, PartialEq, Debug)]
pub enum Music {
    Chords(Arc<Corpus>),
    Performances(Arc<PerformanceCorpus>),
}

/// What both ways of reading know of a piece.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PieceSummary<'a> {
    /// As in [`super::Piece`].
    pub path: &'a Path,
    pub sha256: &'a str,
    pub n_frames: usize,
}

impl MusicPlan {
    pub fn frames(&self) -> &FramingPlan {
        match self {
            Self::Chords(plan) => plan,
            Self::Performances(plan) => &plan.frames,
        }
    }

    /// Reads files and folders, with what was read before taken from below `cache_dir`.
    ///
    /// # Errors
    /// Those of [`read_corpus`] and [`read_performances`].
    pub fn read(
        &self,
        paths: &[PathBuf],
        cache_dir: Option<&Path>,
        cancel: &CancelToken,
        progress: &(dyn Fn(ReadProgress) + Sync),
    ) -> Result<Music, CorpusError> {
        Ok(match self {
            Self::Chords(plan) => read_corpus(paths, plan, cache_dir, cancel, progress)?.into(),
            Self::Performances(plan) => {
                read_performances(paths, plan, cache_dir, cancel, progress)?.into()
            }
        })
    }

    /// The same for scores that are in memory: `(name, score)`.
    ///
    /// # Errors
    /// Those of [`read_sources`].
    pub fn read_sources(&self, scores: &[(String, Score)]) -> Result<Music, CorpusError> {
        Ok(match self {
            Self::Chords(plan) => read_sources(scores, plan)?.into(),
            Self::Performances(plan) => perform_sources(scores, plan)?.into(),
        })
    }
}

impl Music {
    pub fn plan(&self) -> MusicPlan {
        match self {
            Self::Chords(corpus) => MusicPlan::Chords(corpus.plan),
            Self::Performances(corpus) => MusicPlan::Performances(corpus.plan),
        }
    }

    pub fn n_pieces(&self) -> usize {
        match self {
            Self::Chords(corpus) => corpus.pieces.len(),
            Self::Performances(corpus) => corpus.pieces.len(),
        }
    }

    pub fn pieces(&self) -> Vec<PieceSummary<'_>> {
        match self {
            Self::Chords(corpus) => corpus.pieces.iter().map(Into::into).collect(),
            Self::Performances(corpus) => corpus.pieces.iter().map(Into::into).collect(),
        }
    }

    pub fn n_frames(&self) -> usize {
        match self {
            Self::Chords(corpus) => corpus.n_frames(),
            Self::Performances(corpus) => corpus.n_frames(),
        }
    }

    /// Hours of music are this over 3,600.
    pub fn duration_secs(&self) -> f64 {
        match self {
            Self::Chords(corpus) => corpus.duration_secs(),
            Self::Performances(corpus) => corpus.duration_secs(),
        }
    }

    /// Distinct chords; none of performances, where nobody has counted them.
    pub fn n_chords(&self) -> Option<usize> {
        match self {
            Self::Chords(corpus) => Some(corpus.chords.len()),
            Self::Performances(_) => None,
        }
    }

    pub fn skipped(&self) -> &[Skipped] {
        match self {
            Self::Chords(corpus) => &corpus.skipped,
            Self::Performances(corpus) => &corpus.skipped,
        }
    }

    /// What was tolerated, by file, in words for the user.
    pub fn warnings(&self) -> &[(PathBuf, String)] {
        match self {
            Self::Chords(corpus) => &corpus.warnings,
            Self::Performances(corpus) => &corpus.warnings,
        }
    }

    /// Which pieces a set itself assigns to learning, choosing and testing, if it does.
    pub fn own_split(&self) -> Option<&[OwnPart]> {
        match self {
            Self::Chords(corpus) => corpus.own_split.as_deref(),
            Self::Performances(corpus) => corpus.own_split.as_deref(),
        }
    }

    /// The set that its pieces come from, where they are frames already: then a frame is a step of
    /// the set, and nobody knows what was struck.
    pub fn set(&self) -> Option<&Path> {
        let first = match self {
            Self::Chords(corpus) => &corpus.pieces.first()?.path,
            Self::Performances(corpus) => &corpus.pieces.first()?.path,
        };
        Some(file_of_piece(first)).filter(|file| file != first)
    }

    /// What of it doesn't say which keys were struck and how hard; none where all of it does.
    pub fn without_touch(&self) -> Option<&Path> {
        let has_touch = match self {
            Self::Chords(_) => false,
            Self::Performances(corpus) => corpus.plan.touch == Touch::Kept,
        };
        let first = || self.pieces().first().map(|piece| piece.path);
        self.set().or_else(|| if has_touch { None } else { first() })
    }

    /// The pieces of one part of its own split alone; all of them where it has none.
    pub fn into_part(self, part: OwnPart) -> Self {
        match self {
            Self::Chords(corpus) => Arc::unwrap_or_clone(corpus).into_part(part).into(),
            Self::Performances(corpus) => Arc::unwrap_or_clone(corpus).into_part(part).into(),
        }
    }

    /// Which pieces are held out.
    ///
    /// # Errors
    /// Those of [`Split::new`].
    pub fn split(&self, kind: SplitKind, seed: u64) -> Result<Split, SplitError> {
        match self {
            Self::Chords(corpus) => Split::new(corpus, kind, seed),
            Self::Performances(corpus) => Split::of_performances(corpus, kind, seed),
        }
    }

    /// Only which keys sound: four bytes a frame, which performances have not and must be counted.
    pub fn chords(&self) -> Arc<Corpus> {
        match self {
            Self::Chords(corpus) => Arc::clone(corpus),
            Self::Performances(corpus) => Arc::new(Corpus::from(corpus.as_ref())),
        }
    }

    /// The performances, where they were read so.
    pub fn performances(&self) -> impl Iterator<Item = &Performance> {
        let pieces = match self {
            Self::Chords(_) => &[],
            Self::Performances(corpus) => corpus.pieces.as_slice(),
        };
        pieces.iter().map(|piece| &piece.performance)
    }
}

impl<'a> From<&'a Piece> for PieceSummary<'a> {
    fn from(piece: &'a Piece) -> Self {
        Self { path: &piece.path, sha256: &piece.sha256, n_frames: piece.chords.len() }
    }
}

impl<'a> From<&'a PerformedPiece> for PieceSummary<'a> {
    fn from(piece: &'a PerformedPiece) -> Self {
        let PerformedPiece { path, sha256, performance, .. } = piece;
        Self { path, sha256, n_frames: performance.n_frames() }
    }
}

impl From<FramingPlan> for MusicPlan {
    fn from(plan: FramingPlan) -> Self {
        Self::Chords(plan)
    }
}

impl From<Corpus> for Music {
    fn from(corpus: Corpus) -> Self {
        Self::Chords(Arc::new(corpus))
    }
}

impl From<Arc<Corpus>> for Music {
    fn from(corpus: Arc<Corpus>) -> Self {
        Self::Chords(corpus)
    }
}

impl From<PerformanceCorpus> for Music {
    fn from(corpus: PerformanceCorpus) -> Self {
        Self::Performances(Arc::new(corpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::pieces;

    #[test]
    fn performances_know_the_same_chords_as_chords_do() {
        let frames = FramingPlan::default();
        let scores = &pieces()[..3];
        let plan = MusicPlan::Performances(PerformancePlan { frames, touch: Touch::Ignored });
        let (performed, chords) = (plan.read_sources(scores), MusicPlan::from(frames));
        let (performed, chords) = (performed.unwrap(), chords.read_sources(scores).unwrap());
        assert_eq!(performed.plan().frames(), &frames);
        assert_eq!(performed.chords(), chords.chords());
        assert_eq!(performed.pieces(), chords.pieces());
        assert_eq!(performed.split(SplitKind::Pieces, 3), chords.split(SplitKind::Pieces, 3));
        assert_eq!((performed.n_chords().is_some(), chords.n_chords().is_some()), (false, true));
        assert!(performed.without_touch().is_some() && chords.without_touch().is_some());
        let plan = MusicPlan::Performances(PerformancePlan { frames, touch: Touch::Kept });
        assert_eq!(plan.read_sources(scores).unwrap().without_touch(), None);
    }
}
