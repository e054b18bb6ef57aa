//! Reading many pieces for the family of models with a vocabulary: every chord held once.

use std::path::{Path, PathBuf};

use super::benchmark::BenchmarkPiece;
use super::cache::{Cache, FramedPiece};
use super::frames::{Run, nearest_runs, runs_from_score, runs_from_spans};
use super::hashing::ChordMap;
use super::reading::{About, Admitted, Kind, Told, read_paths, read_scores, why_empty};
use super::{Chord, FramesError, Framing, FramingPlan, PerformanceCorpus, file_of_piece, original};
use crate::cancel::CancelToken;
use crate::files::read_reason;
use crate::music::Score;
use crate::music::smf::{self, Sounding};

/// A chord's number in a [`Corpus`]; 0 is the rest.
pub type ChordId = u32;

/// One piece as chord numbers, without leading and trailing rests unless it is of a set.
#[derive(Clone, PartialEq, Debug)]
pub struct Piece {
    /// Where it was read from: a file, a name in angle brackets for a built-in piece, or such a name
    /// below the file of its set (see [`super::file_of_piece`]).
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal; of its place and frames for a piece of a set.
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
#[derive(Clone, PartialEq, Debug)]
pub struct Corpus {
    pub plan: FramingPlan,
    /// Every distinct chord in order of first appearance; the rest first.
    pub chords: Vec<Chord>,
    pub pieces: Vec<Piece>,
    pub skipped: Vec<Skipped>,
    /// What was tolerated, by file, in words for the user.
    pub warnings: Vec<(PathBuf, String)>,
    /// Which pieces a set itself assigns to learning, choosing and testing, if it does.
    pub own_split: Option<Vec<OwnPart>>,
}

/// What a data set says one of its pieces is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnPart {
    Train,
    Valid,
    Test,
}

impl OwnPart {
    /// Keeps the pieces of this part alone; all of them where there is no split.
    pub(super) fn keep<T>(self, pieces: &mut Vec<T>, own_split: &mut Option<Vec<Self>>) {
        let Some(parts) = own_split.take() else { return };
        let mut of_piece = parts.iter();
        pieces.retain(|_| of_piece.next() == Some(&self));
        *own_split = Some(vec![self; pieces.len()]);
    }

    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// What files and flags call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl Corpus {
    /// The pieces of one part of its own split alone; all of them where it has none.
    pub fn into_part(mut self, part: OwnPart) -> Self {
        part.keep(&mut self.pieces, &mut self.own_split);
        self
    }

    pub fn n_frames(&self) -> usize {
        self.pieces.iter().map(|piece| piece.chords.len()).sum()
    }

    /// Whether its pieces come from sets of frames: then a frame is a step of the set, and the rate
    /// of the plan is but a label that lengths in seconds are counted by.
    pub fn is_of_sets(&self) -> bool {
        self.pieces.first().is_some_and(|piece| file_of_piece(&piece.path) != piece.path)
    }

    /// Hours of music are this over 3,600.
    pub fn duration_secs(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.duration_secs).sum()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("“{}” can't be found — check the path", .0.display())]
    Missing(PathBuf),
    #[error("“{}” can't be read — {}. Check its permissions", .path.display(), read_reason(.source))]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("there is no MIDI file in {0} — choose a folder with .mid, .midi, .kar or .rmi files")]
    NoMidi(String),
    #[error("{} be used ({first}) — choose other files", none_of(*n_files))]
    NothingUsable { n_files: usize, first: String },
    #[error(
        "“{}” is frames already, and “{}” is still to be cut into them — give the set alone",
        .set.display(), .file.display()
    )]
    Mixed { set: PathBuf, file: PathBuf },
    #[error(
        "the notes of {} don't keep to the beats of the tempo map, as in recordings of performances \
         — choose frames in real time (--grid seconds), or other files",
        some_of(*n_off_beat, *n_files, "file")
    )]
    NoBeat { n_off_beat: usize, n_files: usize },
    #[error(transparent)]
    Plan(#[from] FramesError),
    #[error("reading was cancelled")]
    Cancelled,
}

/// `the file can't`, `none of the 3 files can`.
pub fn none_of(n_files: usize) -> String {
    match n_files {
        1 => "the file can't".to_owned(),
        _ => format!("none of the {n_files} files can"),
    }
}

/// `the file`, `all 3 files`, `1 of the 3 files`; `noun` is one of them.
pub fn some_of(n: usize, n_all: usize, noun: &str) -> String {
    match (n, n_all) {
        (1, 1) => format!("the {noun}"),
        _ if n == n_all => format!("all {n} {noun}s"),
        _ => format!("{n} of the {n_all} {noun}s"),
    }
}

/// How far reading is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadProgress {
    pub n_done: usize,
    pub n_files: usize,
}

/// Reads files, and folders recursively in sorted order, in parallel. A file named `….json` or
/// `….json.gz` is a set of pieces that are frames already ([`super::BenchmarkSet`]): each of its
/// frames is one of ours, whatever the plan says, and its split becomes the corpus's own. The
/// result doesn't depend on the number of threads. A bad file is skipped with its reason; the same
/// bytes twice are noticed and kept once. With `cache_dir`, what was read before is read from
/// there.
///
/// On the beat grid, files whose notes don't keep to their beats are skipped ([`super::BeatFit`]).
///
/// `progress` is called from several threads, once a file; `n_done` may come out of order.
///
/// # Errors
/// When a path doesn't exist or can't be listed, when no file is found or none is usable, when a
/// set stands among files that aren't one, when half of the files keep to no beat though the plan
/// counts in beats, when the plan contradicts itself, and when it is cancelled. One bad file among
/// good ones is no error.
pub fn read_corpus(
    paths: &[PathBuf],
    plan: &FramingPlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
) -> Result<Corpus, CorpusError> {
    plan.check()?;
    let cache = cache_dir.map(|folder| Cache::open(folder, plan));
    let mut building = Building::new();
    let kind = Kind {
        from_file: |bytes: &[u8], sha256: &str| match cache.as_ref().and_then(|c| c.get(sha256)) {
            Some((about, framed)) => Ok((about, framed)),
            None => framed_from_bytes(bytes, plan).inspect(|(about, framed)| {
                if let Some(cache) = &cache {
                    cache.put(sha256, about, framed);
                }
            }),
        },
        from_set: |piece: &BenchmarkPiece| {
            Ok((About::of_benchmark(piece, plan), FramedPiece::new(&piece.runs)))
        },
        add: |piece| building.add(piece),
    };
    let told = read_paths(paths, cancel, progress, kind)?;
    Ok(building.finish(plan, told))
}

/// The same for scores that are in memory, such as the built-in pieces: `(name, score)`, in
/// sorted order of their names whatever their order here.
///
/// # Errors
/// When there are none, or none has a frame.
pub fn read_sources(scores: &[(String, Score)], plan: &FramingPlan) -> Result<Corpus, CorpusError> {
    plan.check()?;
    let mut building = Building::new();
    let make = |score: &Score| {
        let runs = runs_from_score(score, plan).map_err(|error| error.to_string())?;
        match runs.is_empty() {
            true => Err(why_empty(score.notes().len(), !score.drums.is_empty(), plan.framing)),
            false => Ok(FramedPiece::new(&runs)),
        }
    };
    let told = read_scores(scores, plan, make, |piece| building.add(piece))?;
    Ok(building.finish(plan, told))
}

fn framed_from_bytes(bytes: &[u8], plan: &FramingPlan) -> Result<(About, FramedPiece), String> {
    let (sounding, runs) = runs_from_bytes(bytes, plan)?;
    if runs.is_empty() {
        let has_drums = !sounding.drums.is_empty();
        return Err(why_empty(sounding.notes.len(), has_drums, plan.framing));
    }
    Ok((About::of_file(&sounding, plan), FramedPiece::new(&runs)))
}

/// What sounds of a MIDI file, and its frames; none where no note reaches one.
pub(super) fn runs_from_bytes(
    bytes: &[u8],
    plan: &FramingPlan,
) -> Result<(Sounding, Vec<Run>), String> {
    let (sounding, runs) = match plan.framing {
        Framing::Nearest => {
            let sounding = smf::read_sounding(bytes).map_err(|error| error.to_string())?;
            let runs = nearest_runs(&sounding, plan);
            (sounding, runs)
        }
        Framing::Original => {
            let read = smf::read_first_instrument(bytes);
            let (sounding, first) = read.map_err(|error| error.to_string())?;
            let spans = first.map(|first| original::spans(&first, plan.rate));
            (sounding, runs_from_spans(&spans.unwrap_or_default()))
        }
    };
    let runs = runs.map_err(|error| error.to_string())?;
    Ok((sounding, runs))
}

impl FramedPiece {
    fn new(runs: &[Run]) -> Self {
        let mut places: ChordMap<u32> = ChordMap::default();
        let mut chords = Vec::new();
        let numbered = |run: &Run| {
            let place = *places.entry(run.chord).or_insert_with(|| {
                chords.push(run.chord.bits());
                chords.len() as u32 - 1
            });
            (place, run.n_frames)
        };
        let runs = runs.iter().map(numbered).collect();
        Self { chords, runs }
    }
}

/// Of performances only which keys sound.
impl From<&PerformanceCorpus> for Corpus {
    fn from(corpus: &PerformanceCorpus) -> Self {
        let mut building = Building::new();
        for piece in &corpus.pieces {
            let roll = piece.performance.roll(0..piece.performance.n_frames());
            let chords = roll.into_iter().map(|chord| building.id(chord)).collect();
            building.pieces.push(Piece {
                path: piece.path.clone(),
                sha256: piece.sha256.clone(),
                chords,
                n_notes: piece.n_notes,
                duration_secs: piece.duration_secs,
            });
        }
        let told = Told {
            skipped: corpus.skipped.clone(),
            warnings: corpus.warnings.clone(),
            own_split: corpus.own_split.clone(),
        };
        building.finish(&corpus.plan.frames, told)
    }
}

/// A corpus to which pieces are added in order.
struct Building {
    chords: Vec<Chord>,
    ids: ChordMap<ChordId>,
    pieces: Vec<Piece>,
}

impl Building {
    fn new() -> Self {
        let ids = ChordMap::from_iter([(Chord::REST, 0)]);
        Self { chords: vec![Chord::REST], ids, pieces: Vec::new() }
    }

    fn add(&mut self, piece: Admitted<FramedPiece>) {
        let Admitted { path, sha256, about, content: framed } = piece;
        let ids: Vec<ChordId> =
            framed.chords.iter().map(|&bits| self.id(Chord::from_bits(bits))).collect();
        let mut chords = Vec::with_capacity(framed.n_frames() as usize);
        for (place, n_frames) in framed.runs {
            chords.resize(chords.len() + n_frames as usize, ids[place as usize]);
        }
        let (n_notes, duration_secs) = (about.n_notes as usize, about.duration_secs);
        self.pieces.push(Piece { path, sha256, chords, n_notes, duration_secs });
    }

    fn id(&mut self, chord: Chord) -> ChordId {
        *self.ids.entry(chord).or_insert_with(|| {
            self.chords.push(chord);
            self.chords.len() as ChordId - 1
        })
    }

    fn finish(self, plan: &FramingPlan, told: Told) -> Corpus {
        let Self { chords, pieces, .. } = self;
        let Told { skipped, warnings, own_split } = told;
        Corpus { plan: *plan, chords, pieces, skipped, warnings, own_split }
    }
}
