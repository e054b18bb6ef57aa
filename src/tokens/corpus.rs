//! Reading many pieces: found, framed in parallel, remembered in a cache, held once.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::{Cache, FramedPiece};
use super::frames::{Run, nearest_runs, runs_from_score, runs_from_spans};
use super::hashing::ChordMap;
use super::sources::find_files;
use super::table::own_parts;
use super::{BenchmarkSet, Chord, FramesError, Framing, FramingPlan, file_of_piece, original};
use crate::cancel::CancelToken;
use crate::files::read_reason;
use crate::music::smf::ImportError;
use crate::music::{Score, smf};

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
        if let Some(parts) = self.own_split.take() {
            let mut of_piece = parts.iter();
            self.pieces.retain(|_| of_piece.next() == Some(&part));
            self.own_split = Some(vec![part; self.pieces.len()]);
        }
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
    #[error("none of the {n_files} files could be used ({first}) — choose other files")]
    NothingUsable { n_files: usize, first: String },
    #[error(
        "“{}” is frames already, and “{}” is still to be cut into them — give the set alone",
        .set.display(), .file.display()
    )]
    Mixed { set: PathBuf, file: PathBuf },
    #[error("reading was cancelled")]
    Cancelled,
}

/// How far reading is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadProgress {
    pub n_done: usize,
    pub n_files: usize,
}

/// Files that are read at once, while the frames of as many are taken into the corpus.
const BATCH_LEN: usize = 64;

/// Reads files, and folders recursively in sorted order, in parallel. A file named `….json` or
/// `….json.gz` is a set of pieces that are frames already ([`BenchmarkSet`]): each of its frames is
/// one of ours, whatever the plan says, and its split becomes the corpus's own. The result doesn't depend
/// on the number of threads. A bad file is skipped with its reason; the same bytes twice are
/// noticed and kept once. With `cache_dir`, what was read before is read from there.
///
/// `progress` is called from several threads, once a file; `n_done` may come out of order.
///
/// # Errors
/// When a path doesn't exist or can't be listed, when no file is found or none is usable, and
/// when it is cancelled. One bad file among good ones is no error.
pub fn read_corpus(
    paths: &[PathBuf],
    plan: &FramingPlan,
    cache_dir: Option<&Path>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
) -> Result<Corpus, CorpusError> {
    let found = find_files(paths, cancel)?;
    let (sets, files): (Vec<PathBuf>, Vec<PathBuf>) =
        found.files.into_iter().partition(|path| BenchmarkSet::is_named(path));
    if let Some(set) = sets.first() {
        return match files.into_iter().next() {
            Some(file) => Err(CorpusError::Mixed { set: set.clone(), file }),
            None => read_sets(&sets, Building::new(plan, found.skipped), cancel, progress),
        };
    }
    let cache = cache_dir.map(|folder| Cache::open(folder, plan));
    let n_files = files.len();
    progress(ReadProgress { n_done: 0, n_files });
    let n_done = AtomicUsize::new(0);
    let mut building = Building::new(plan, found.skipped);
    let read = |path: &PathBuf| {
        if cancel.is_cancelled() {
            return None;
        }
        let source = read_source(path, plan, cache.as_ref());
        let n_done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(ReadProgress { n_done, n_files });
        Some(source)
    };
    let mut unmerged: Vec<Source> = Vec::new();
    for files in files.chunks(BATCH_LEN) {
        // The vocabulary is merged in order, without a lock, while others read on.
        let merge = || unmerged.into_iter().for_each(|source| building.take(source));
        let read = || files.par_iter().map(read).collect::<Option<Vec<Source>>>();
        let ((), batch) = rayon::join(merge, read);
        unmerged = batch.ok_or(CorpusError::Cancelled)?;
    }
    unmerged.into_iter().for_each(|source| building.take(source));
    let mut corpus = building.finish()?;
    if let Some((parts, n_unnamed)) = own_parts(&corpus.pieces) {
        if n_unnamed > 0 {
            let name = paths.first().cloned().unwrap_or_default();
            let text = format!(
                "the set's own table doesn't name {n_unnamed} of the pieces; they are learned from"
            );
            corpus.warnings.push((name, text));
        }
        corpus.own_split = Some(parts);
    }
    Ok(corpus)
}

/// The same for sets with a split of their own.
fn read_sets(
    files: &[PathBuf],
    mut building: Building,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
) -> Result<Corpus, CorpusError> {
    let rate = building.corpus.plan.rate.per_second();
    let mut parts = Vec::new();
    for (n_done, path) in files.iter().enumerate() {
        progress(ReadProgress { n_done, n_files: files.len() });
        if cancel.is_cancelled() {
            return Err(CorpusError::Cancelled);
        }
        let set = match BenchmarkSet::read(path) {
            Ok(set) => set,
            Err(error) => {
                let framed = Err(error.to_string());
                building.take(Source { path: path.clone(), sha256: String::new(), framed });
                continue;
            }
        };
        for piece in set.pieces(path) {
            let sounds = Sounds {
                n_notes: piece.n_notes,
                has_drums: false,
                duration_secs: piece.n_frames as f64 / rate,
                warnings: Vec::new(),
            };
            let framed = framed_piece(sounds, Framing::Nearest, Ok(piece.runs));
            let n_before = building.corpus.pieces.len();
            building.take(Source { path: piece.path, sha256: hex(&piece.sha256), framed });
            // The same set given twice is taken once.
            if building.corpus.pieces.len() > n_before {
                parts.push(piece.part);
            }
        }
    }
    progress(ReadProgress { n_done: files.len(), n_files: files.len() });
    let mut corpus = building.finish()?;
    corpus.own_split = Some(parts);
    Ok(corpus)
}

/// The same for scores that are in memory, such as the built-in pieces: `(name, score)`, in
/// sorted order of their names whatever their order here.
///
/// # Errors
/// When there are none, or none has a frame.
pub fn read_sources(scores: &[(String, Score)], plan: &FramingPlan) -> Result<Corpus, CorpusError> {
    if scores.is_empty() {
        return Err(CorpusError::NoMidi("an empty list of pieces".to_owned()));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by_key(|&idx| &scores[idx].0);
    let read: Vec<Source> = order
        .into_par_iter()
        .map(|idx| {
            let (name, score) = &scores[idx];
            // There are no bytes of a file, so those of the score stand in for them.
            let bytes = postcard::to_stdvec(score).unwrap_or_default();
            let path = PathBuf::from(format!("<{name}>"));
            let sounds = Sounds {
                n_notes: score.notes().len(),
                has_drums: !score.drums.is_empty(),
                duration_secs: score.duration_secs(),
                warnings: Vec::new(),
            };
            let framed = framed_piece(sounds, plan.framing, runs_from_score(score, plan));
            Source { path, sha256: sha256_hex(&bytes), framed }
        })
        .collect();
    let mut building = Building::new(plan, Vec::new());
    for source in read {
        building.take(source);
    }
    building.finish()
}

/// One file, read or not.
struct Source {
    path: PathBuf,
    sha256: String,
    /// The frames, or why there are none.
    framed: Result<FramedPiece, String>,
}

fn read_source(path: &Path, plan: &FramingPlan, cache: Option<&Cache>) -> Source {
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let framed = Err(error.to_string());
            return Source { path: path.to_owned(), sha256: String::new(), framed };
        }
    };
    let sha256 = sha256_hex(&bytes);
    let framed = match cache.and_then(|cache| cache.get(&sha256)) {
        Some(framed) => Ok(framed),
        None => framed_from_bytes(&bytes, plan).inspect(|framed| {
            if let Some(cache) = cache {
                cache.put(&sha256, framed);
            }
        }),
    };
    Source { path: path.to_owned(), sha256, framed }
}

/// The bytes of an ordinary file of reasonable size; a pipe would be waited for endlessly.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, ImportError> {
    let metadata = std::fs::metadata(path).map_err(ImportError::Io)?;
    if !metadata.is_file() {
        return Err(ImportError::NotAFile);
    }
    if metadata.len() > smf::MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { bytes: metadata.len(), limit: smf::MAX_FILE_BYTES });
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let file = File::open(path).map_err(ImportError::Io)?;
    // Should it have grown since it was measured, `smf::read` finds it too large.
    file.take(smf::MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(ImportError::Io)?;
    Ok(bytes)
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn framed_from_bytes(bytes: &[u8], plan: &FramingPlan) -> Result<FramedPiece, String> {
    let in_words = |error: ImportError| error.to_string();
    let (sounding, runs) = match plan.framing {
        Framing::Nearest => {
            let sounding = smf::read_sounding(bytes).map_err(in_words)?;
            let runs = nearest_runs(&sounding, plan);
            (sounding, runs)
        }
        Framing::Original => {
            let (sounding, first) = smf::read_first_instrument(bytes).map_err(in_words)?;
            let spans = first.map(|first| original::spans(&first, plan.rate));
            (sounding, runs_from_spans(&spans.unwrap_or_default()))
        }
    };
    let sounds = Sounds {
        n_notes: sounding.notes.len(),
        has_drums: !sounding.drums.is_empty(),
        duration_secs: sounding.duration_secs(),
        warnings: sounding.warnings.iter().map(ToString::to_string).collect(),
    };
    framed_piece(sounds, plan.framing, runs)
}

/// What is told of a piece besides its frames.
struct Sounds {
    n_notes: usize,
    has_drums: bool,
    duration_secs: f64,
    warnings: Vec<String>,
}

/// The piece whose frames are `runs`, unless there is no music in it.
fn framed_piece(
    sounds: Sounds,
    framing: Framing,
    runs: Result<Vec<Run>, FramesError>,
) -> Result<FramedPiece, String> {
    let runs = runs.map_err(|error| error.to_string())?;
    if runs.is_empty() {
        return Err(why_empty(&sounds, framing).to_owned());
    }
    let mut places: ChordMap<u32> = ChordMap::default();
    let mut chords = Vec::new();
    let numbered = |run: Run| {
        let place = *places.entry(run.chord).or_insert_with(|| {
            chords.push(run.chord.bits());
            chords.len() as u32 - 1
        });
        (place, run.n_frames)
    };
    let runs: Vec<(u32, u32)> = runs.into_iter().map(numbered).collect();
    let Sounds { n_notes, duration_secs, warnings, .. } = sounds;
    Ok(FramedPiece { n_notes: n_notes as u64, duration_secs, warnings, chords, runs })
}

fn why_empty(sounds: &Sounds, framing: Framing) -> &'static str {
    match framing {
        _ if sounds.n_notes == 0 && !sounds.has_drums => "it has no notes",
        _ if sounds.n_notes == 0 => {
            "it has only percussion, which isn't learned — choose music with pitched parts"
        }
        Framing::Nearest => "none of its notes reaches a frame",
        Framing::Original => {
            "no note of its first instrument reaches a frame — choose a higher frame rate or --framing nearest"
        }
    }
}

/// A corpus to which pieces are added in order.
struct Building {
    corpus: Corpus,
    ids: ChordMap<ChordId>,
    /// The first piece of each hash.
    by_sha256: HashMap<String, usize>,
    n_sources: usize,
}

impl Building {
    fn new(plan: &FramingPlan, skipped: Vec<Skipped>) -> Self {
        let corpus = Corpus {
            plan: *plan,
            chords: vec![Chord::REST],
            pieces: Vec::new(),
            skipped,
            warnings: Vec::new(),
            own_split: None,
        };
        let ids = ChordMap::from_iter([(Chord::REST, 0)]);
        Self { n_sources: corpus.skipped.len(), corpus, ids, by_sha256: HashMap::new() }
    }

    fn take(&mut self, source: Source) {
        self.n_sources += 1;
        let Source { path, sha256, framed } = source;
        let framed = match framed {
            Ok(framed) => framed,
            Err(reason) => return self.corpus.skipped.push(Skipped { path, reason }),
        };
        if let Some(&first) = self.by_sha256.get(&sha256) {
            let first = self.corpus.pieces[first].path.display();
            let reason = format!("the same bytes as “{first}”");
            return self.corpus.skipped.push(Skipped { path, reason });
        }
        self.by_sha256.insert(sha256.clone(), self.corpus.pieces.len());
        let ids: Vec<ChordId> =
            framed.chords.iter().map(|&bits| self.id(Chord::from_bits(bits))).collect();
        let mut chords = Vec::with_capacity(framed.n_frames() as usize);
        for (place, n_frames) in framed.runs {
            chords.resize(chords.len() + n_frames as usize, ids[place as usize]);
        }
        let warnings = framed.warnings.into_iter().map(|text| (path.clone(), text));
        self.corpus.warnings.extend(warnings);
        let (n_notes, duration_secs) = (framed.n_notes as usize, framed.duration_secs);
        self.corpus.pieces.push(Piece { path, sha256, chords, n_notes, duration_secs });
    }

    fn id(&mut self, chord: Chord) -> ChordId {
        *self.ids.entry(chord).or_insert_with(|| {
            self.corpus.chords.push(chord);
            self.corpus.chords.len() as ChordId - 1
        })
    }

    fn finish(self) -> Result<Corpus, CorpusError> {
        let mut corpus = self.corpus;
        if corpus.pieces.is_empty() {
            let first = match corpus.skipped.first() {
                Some(skipped) => format!("“{}”: {}", skipped.path.display(), skipped.reason),
                None => "there was none".to_owned(),
            };
            return Err(CorpusError::NothingUsable { n_files: self.n_sources, first });
        }
        let path = |skipped: &Skipped| skipped.path.as_os_str().as_encoded_bytes().to_vec();
        corpus.skipped.sort_by_cached_key(path);
        Ok(corpus)
    }
}
