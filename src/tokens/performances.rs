//! Reading many pieces as performances: for models that read frames key by key, with touch.
//!
//! The notes lie in files that are mapped into memory, so that a corpus of a thousand hours takes
//! little of it.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::benchmark::BenchmarkPiece;
use super::packs::{PackWriter, Packs, performance_at};
use super::performance::{performance_from_file, performance_from_score};
use super::reading::{About, Admitted, Kind, Told, read_paths, read_scores, why_empty};
use super::{
    Chord, Corpus, CorpusError, Framing, KeyFrame, OwnPart, Performance, PerformancePlan,
    PianoRoll, ReadProgress, Skipped, Stretch,
};
use crate::cancel::CancelToken;
use crate::music::{Score, smf};

/// One piece as a performance.
#[derive(Clone, PartialEq, Debug)]
pub struct PerformedPiece {
    /// Where it was read from, as in [`super::Piece`].
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal; of its place and frames for a piece of a set.
    pub sha256: String,
    pub performance: Performance,
    /// Notes that were read and seconds of music, for the summary.
    pub n_notes: usize,
    pub duration_secs: f64,
}

/// Pieces as performances, in sorted order of their paths.
#[derive(Clone, PartialEq, Debug)]
pub struct PerformanceCorpus {
    pub plan: PerformancePlan,
    pub pieces: Vec<PerformedPiece>,
    pub skipped: Vec<Skipped>,
    /// What was tolerated, by file, in words for the user.
    pub warnings: Vec<(PathBuf, String)>,
    /// Which pieces a set itself assigns to learning, choosing and testing, if it does.
    pub own_split: Option<Vec<OwnPart>>,
}

impl PerformanceCorpus {
    pub fn n_frames(&self) -> usize {
        self.pieces.iter().map(|piece| piece.performance.n_frames()).sum()
    }

    /// Hours of music are this over 3,600.
    pub fn duration_secs(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.duration_secs).sum()
    }

    /// Bytes of all performances, wherever they lie.
    pub fn n_bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.performance.n_bytes()).sum()
    }

    /// Frames of a stretch, whose parts are read as one piece.
    pub fn frames(&self, stretch: &Stretch, frames: Range<usize>) -> Vec<KeyFrame> {
        self.read(stretch, frames, Performance::frames)
    }

    /// The same, of which only the keys that sound.
    pub fn roll(&self, stretch: &Stretch, frames: Range<usize>) -> PianoRoll {
        self.read(stretch, frames, Performance::roll)
    }

    /// Where each of these frames lies on the grid: see [`Performance::clocks`].
    pub fn clocks(&self, stretch: &Stretch, frames: Range<usize>) -> Vec<u32> {
        self.read(stretch, frames, Performance::clocks)
    }

    fn read<T>(
        &self,
        stretch: &Stretch,
        frames: Range<usize>,
        read: impl Fn(&Performance, Range<usize>) -> Vec<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let mut begin = 0;
        for (piece, part) in &stretch.parts {
            let end = begin + part.len();
            let (from, to) = (frames.start.clamp(begin, end), frames.end.clamp(begin, end));
            if let Some(piece) = self.pieces.get(*piece).filter(|_| from < to) {
                let offset = part.start;
                found.extend(read(&piece.performance, from - begin + offset..to - begin + offset));
            }
            begin = end;
        }
        found
    }

    /// The pieces of one part of its own split alone; all of them where it has none.
    pub fn into_part(mut self, part: OwnPart) -> Self {
        part.keep(&mut self.pieces, &mut self.own_split);
        self
    }
}

/// The pieces of a corpus of chords, whose frames stay what they are.
impl From<&Corpus> for PerformanceCorpus {
    fn from(corpus: &Corpus) -> Self {
        let plan = PerformancePlan { frames: corpus.plan, touch: super::Touch::Ignored };
        let piece = |piece: &super::Piece| {
            let chord = |id: &super::ChordId| corpus.chords[*id as usize];
            let roll: Vec<Chord> = piece.chords.iter().map(chord).collect();
            PerformedPiece {
                path: piece.path.clone(),
                sha256: piece.sha256.clone(),
                performance: Performance::from_roll(&roll),
                n_notes: piece.n_notes,
                duration_secs: piece.duration_secs,
            }
        };
        Self {
            plan,
            pieces: corpus.pieces.iter().map(piece).collect(),
            skipped: corpus.skipped.clone(),
            warnings: corpus.warnings.clone(),
            own_split: corpus.own_split.clone(),
        }
    }
}

/// Reads files and folders as [`super::read_corpus`] does, with the same pieces in the same order.
/// With `cache_dir`, performances lie in files below it, which are mapped into memory; what was
/// read before is taken from there. Without, they lie in memory.
///
/// # Errors
/// Those of [`super::read_corpus`]; also when a file that was just written can't be read again.
pub fn read_performances(
    paths: &[PathBuf],
    plan: &PerformancePlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
) -> Result<PerformanceCorpus, CorpusError> {
    plan.check()?;
    let packs = cache_dir.map(|folder| Packs::open(folder, plan));
    let mut building = Building::new(packs.as_ref());
    let kind = Kind {
        from_file: |bytes: &[u8], sha256: &str| match packs
            .as_ref()
            .and_then(|packs| packs.get(sha256))
        {
            Some((about, performance)) => Ok((about, (performance, Origin::Pack))),
            None => {
                let (about, performance) = performed(bytes, plan)?;
                Ok((about, (performance, Origin::File)))
            }
        },
        from_set: |piece: &BenchmarkPiece| {
            let about = About::of_benchmark(piece, &plan.frames);
            Ok((about, (Performance::from_runs(&piece.runs), Origin::Memory)))
        },
        add: |piece| building.add(piece),
    };
    let told = read_paths(paths, cancel, progress, kind);
    // Also when it was stopped: what was read needn't be read again.
    let pieces = building.finish();
    if let Some(packs) = &packs {
        packs.tidy();
    }
    let Told { skipped, warnings, own_split } = told?;
    Ok(PerformanceCorpus { plan: *plan, pieces: pieces?, skipped, warnings, own_split })
}

/// The same for scores that are in memory, such as the built-in pieces: `(name, score)`, in
/// sorted order of their names whatever their order here.
///
/// # Errors
/// When there are none, or none has a frame.
pub fn perform_sources(
    scores: &[(String, Score)],
    plan: &PerformancePlan,
) -> Result<PerformanceCorpus, CorpusError> {
    plan.check()?;
    let mut building = Building::new(None);
    let make = |score: &Score| {
        let performance = performance_from_score(score, plan).map_err(|error| error.to_string())?;
        let (n_notes, has_drums) = (score.notes().len(), !score.drums.is_empty());
        match performance.n_frames() {
            0 => Err(why_empty(n_notes, has_drums, plan.frames.framing)),
            _ => Ok((performance, Origin::Memory)),
        }
    };
    let told = read_scores(scores, &plan.frames, make, |piece| building.add(piece))?;
    let Told { skipped, warnings, own_split } = told;
    let pieces = building.finish()?;
    Ok(PerformanceCorpus { plan: *plan, pieces, skipped, warnings, own_split })
}

fn performed(bytes: &[u8], plan: &PerformancePlan) -> Result<(About, Performance), String> {
    let framing = plan.frames.framing;
    let (sounding, first) = match framing {
        Framing::Nearest => (smf::read_sounding(bytes).map_err(|error| error.to_string())?, None),
        Framing::Original => {
            smf::read_first_instrument(bytes).map_err(|error| error.to_string())?
        }
    };
    let performance = performance_from_file(&sounding, first.as_ref(), plan)
        .map_err(|error| error.to_string())?;
    if performance.n_frames() == 0 {
        return Err(why_empty(sounding.notes.len(), !sounding.drums.is_empty(), framing));
    }
    Ok((About::of_file(&sounding, &plan.frames), performance))
}

/// Where a performance comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// It is mapped already.
    Pack,
    /// It was just read from a file, and goes to a pack.
    File,
    /// It stays in memory.
    Memory,
}

/// A corpus to which pieces are added in order. New ones go to a pack at once, so that memory
/// holds few of them.
struct Building<'a> {
    /// Where packs are; none when there is no cache, and after writing failed.
    packs: Option<&'a Packs>,
    /// The pack of new pieces, from the first of them on.
    pack: Option<(&'a Packs, PackWriter)>,
    pieces: Vec<PerformedPiece>,
    /// Pieces whose words are in the pack: by index, and where in the pack.
    written: Vec<(usize, Range<usize>)>,
}

impl<'a> Building<'a> {
    fn new(packs: Option<&'a Packs>) -> Self {
        Self { packs, pack: None, pieces: Vec::new(), written: Vec::new() }
    }

    fn add(&mut self, piece: Admitted<(Performance, Origin)>) {
        let Admitted { path, sha256, about, content: (mut performance, origin) } = piece;
        if origin == Origin::File
            && let Some(packs) = self.packs
        {
            match self.write(packs, &sha256, &about, &performance) {
                Ok(place) => {
                    self.written.push((self.pieces.len(), place));
                    performance = Performance::from_roll(&[]);
                }
                Err(error) => {
                    tracing::debug!("performances stay in memory: {error}");
                    self.packs = None;
                }
            }
        }
        let (n_notes, duration_secs) = (about.n_notes as usize, about.duration_secs);
        self.pieces.push(PerformedPiece { path, sha256, performance, n_notes, duration_secs });
    }

    /// Where in the pack it was put.
    fn write(
        &mut self,
        packs: &'a Packs,
        sha256: &str,
        about: &About,
        performance: &Performance,
    ) -> io::Result<Range<usize>> {
        let (_, pack) = match &mut self.pack {
            Some(pack) => pack,
            None => self.pack.insert((packs, packs.new_pack()?)),
        };
        pack.put(sha256, about, performance)
    }

    /// The pieces, with those that were written read from their pack.
    fn finish(mut self) -> Result<Vec<PerformedPiece>, CorpusError> {
        let Some((packs, pack)) = self.pack else { return Ok(self.pieces) };
        let path = packs.folder().to_owned();
        let unreadable = |source| CorpusError::Unreadable { path: path.clone(), source };
        let bytes = pack.finish(packs).map_err(unreadable)?;
        for (piece, place) in self.written {
            let found = performance_at(&bytes, place);
            let lost = || unreadable(io::Error::other("the disk doesn't keep what is written"));
            self.pieces[piece].performance = found.ok_or_else(lost)?.1;
        }
        Ok(self.pieces)
    }
}
