//! What reading into either kind of corpus has in common: files found and read in parallel, taken
//! in order, the bad ones and those that are there twice told apart from the rest.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::benchmark::BenchmarkPiece;
use super::sources::find_files;
use super::table::own_parts;
use super::{
    BeatFit, BenchmarkSet, CorpusError, Framing, FramingPlan, Grid, OwnPart, ReadProgress, Skipped,
};
use crate::cancel::CancelToken;
use crate::music::smf::{ImportError, Sounding};
use crate::music::{Score, smf};

/// What is told of a piece besides its frames.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct About {
    pub n_notes: u64,
    pub duration_secs: f64,
    pub warnings: Vec<String>,
    /// Whether its notes keep to the beats; always so when frames are counted in seconds.
    pub keeps_beat: bool,
}

impl About {
    pub fn of_file(sounding: &Sounding, plan: &FramingPlan) -> Self {
        let fit = || BeatFit::of(&sounding.notes, sounding.tempo_map.ticks_per_quarter());
        Self {
            n_notes: sounding.notes.len() as u64,
            duration_secs: sounding.duration_secs(),
            warnings: sounding.warnings.iter().map(ToString::to_string).collect(),
            keeps_beat: plan.grid == Grid::Seconds || fit().is_kept(),
        }
    }

    pub fn of_score(score: &Score, plan: &FramingPlan) -> Self {
        let fit = || BeatFit::of(score.notes(), score.tempo_map.ticks_per_quarter());
        Self {
            n_notes: score.notes().len() as u64,
            duration_secs: score.duration_secs(),
            warnings: Vec::new(),
            keeps_beat: plan.grid == Grid::Seconds || fit().is_kept(),
        }
    }

    pub fn of_benchmark(piece: &BenchmarkPiece, plan: &FramingPlan) -> Self {
        Self {
            n_notes: piece.n_notes as u64,
            duration_secs: piece.n_frames as f64 / plan.rate.per_second(),
            warnings: Vec::new(),
            keeps_beat: true,
        }
    }

    /// What one from a disk must promise before it is used.
    pub fn holds_together(&self) -> bool {
        self.duration_secs.is_finite() && self.duration_secs >= 0.0
    }
}

/// Why a piece with so many notes has no frames.
pub(super) fn why_empty(n_notes: usize, has_drums: bool, framing: Framing) -> String {
    let why = match framing {
        _ if n_notes == 0 && !has_drums => "it has no notes",
        _ if n_notes == 0 => {
            "it has only percussion, which isn't learned — choose music with pitched parts"
        }
        Framing::Nearest => "none of its notes reaches a frame",
        Framing::Original => {
            "no note of its first instrument reaches a frame — choose a higher frame rate or --framing nearest"
        }
    };
    why.to_owned()
}

/// A piece that was read, or why it wasn't. `T` is what the corpus makes of it.
pub(super) struct Source<T> {
    pub path: PathBuf,
    pub sha256: String,
    pub read: Result<(About, T), String>,
}

impl<T> Source<T> {
    /// One that couldn't be read.
    fn refused(path: PathBuf, reason: String) -> Self {
        Self { path, sha256: String::new(), read: Err(reason) }
    }
}

/// A piece to add to the corpus.
pub(super) struct Admitted<T> {
    pub path: PathBuf,
    pub sha256: String,
    pub about: About,
    pub content: T,
}

/// What a corpus tells besides its pieces.
pub(super) struct Told {
    pub skipped: Vec<Skipped>,
    pub warnings: Vec<(PathBuf, String)>,
    pub own_split: Option<Vec<OwnPart>>,
}

/// How the pieces of one kind of corpus are made and where they go.
pub(super) struct Kind<F, B, A> {
    /// Makes one of the bytes of a file with this hash.
    pub from_file: F,
    /// Makes one of a piece of a set.
    pub from_set: B,
    /// Takes one into the corpus.
    pub add: A,
}

/// Files that are read at once, while as many are taken into the corpus.
const BATCH_LEN: usize = 64;

/// Reads files, folders and sets. Pieces are added in order, whatever the number of threads.
///
/// # Errors
/// Those of [`super::read_corpus`].
pub(super) fn read_paths<T, F, B, A>(
    paths: &[PathBuf],
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
    kind: Kind<F, B, A>,
) -> Result<Told, CorpusError>
where
    T: Send,
    F: Fn(&[u8], &str) -> Result<(About, T), String> + Sync,
    B: Fn(&BenchmarkPiece) -> Result<(About, T), String>,
    A: FnMut(Admitted<T>) + Send,
{
    let found = find_files(paths, cancel)?;
    let (sets, files): (Vec<PathBuf>, Vec<PathBuf>) =
        found.files.into_iter().partition(|path| BenchmarkSet::is_named(path));
    let mut intake = Intake::new(kind.add, found.skipped);
    if files.is_empty() {
        return read_sets(&sets, intake, cancel, progress, kind.from_set);
    }
    // Among other files stands many a JSON file that is no set.
    for path in sets {
        match BenchmarkSet::read(&path) {
            Ok(_) => return Err(CorpusError::Mixed { set: path, file: files[0].clone() }),
            Err(error) => _ = intake.take(Source::refused(path, error.to_string())),
        }
    }
    let mut intake = read_files(&files, intake, cancel, progress, kind.from_file)?;
    let own_split = own_parts(&intake.paths).map(|(parts, n_unnamed)| {
        if n_unnamed > 0 {
            let name = paths.first().cloned().unwrap_or_default();
            let text = format!(
                "the set's own table doesn't name {n_unnamed} of the pieces; they are learned from"
            );
            intake.warnings.push((name, text));
        }
        parts
    });
    intake.finish(own_split)
}

/// Pieces are taken in order, without a lock, while others are read.
fn read_files<T, F, A>(
    files: &[PathBuf],
    mut intake: Intake<A>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
    from_file: F,
) -> Result<Intake<A>, CorpusError>
where
    T: Send,
    F: Fn(&[u8], &str) -> Result<(About, T), String> + Sync,
    A: FnMut(Admitted<T>) + Send,
{
    let n_files = files.len();
    progress(ReadProgress { n_done: 0, n_files });
    let n_done = AtomicUsize::new(0);
    let read = |path: &PathBuf| {
        if cancel.is_cancelled() {
            return None;
        }
        let source = match read_bytes(path) {
            Ok(bytes) => {
                let sha256 = sha256_hex(&bytes);
                Source { path: path.clone(), read: from_file(&bytes, &sha256), sha256 }
            }
            Err(error) => Source::refused(path.clone(), error.to_string()),
        };
        let n_done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(ReadProgress { n_done, n_files });
        Some(source)
    };
    let mut untaken: Vec<Source<T>> = Vec::new();
    for files in files.chunks(BATCH_LEN) {
        let take = || take_all(untaken, &mut intake);
        let read = || files.par_iter().map(read).collect::<Option<Vec<Source<T>>>>();
        let ((), batch) = rayon::join(take, read);
        untaken = batch.ok_or(CorpusError::Cancelled)?;
    }
    take_all(untaken, &mut intake);
    Ok(intake)
}

fn take_all<T, A: FnMut(Admitted<T>)>(sources: Vec<Source<T>>, intake: &mut Intake<A>) {
    for source in sources {
        intake.take(source);
    }
}

/// The same for sets with a split of their own.
fn read_sets<T, B, A>(
    files: &[PathBuf],
    mut intake: Intake<A>,
    cancel: &CancelToken,
    progress: &(dyn Fn(ReadProgress) + Sync),
    from_set: B,
) -> Result<Told, CorpusError>
where
    B: Fn(&BenchmarkPiece) -> Result<(About, T), String>,
    A: FnMut(Admitted<T>),
{
    let mut parts = Vec::new();
    for (n_done, path) in files.iter().enumerate() {
        progress(ReadProgress { n_done, n_files: files.len() });
        if cancel.is_cancelled() {
            return Err(CorpusError::Cancelled);
        }
        let set = match BenchmarkSet::read(path) {
            Ok(set) => set,
            Err(error) => {
                intake.take(Source::refused(path.clone(), error.to_string()));
                continue;
            }
        };
        for piece in set.pieces(path) {
            let part = piece.part;
            let read = match piece.n_frames {
                0 => Err("it has no frames".to_owned()),
                _ => from_set(&piece),
            };
            // The same set given twice is taken once.
            if intake.take(Source { path: piece.path, sha256: hex(&piece.sha256), read }) {
                parts.push(part);
            }
        }
    }
    progress(ReadProgress { n_done: files.len(), n_files: files.len() });
    intake.finish(Some(parts))
}

/// Reads scores that are in memory, by their names, in sorted order of them.
///
/// # Errors
/// Those of [`super::read_sources`].
pub(super) fn read_scores<T: Send>(
    scores: &[(String, Score)],
    plan: &FramingPlan,
    make: impl Fn(&Score) -> Result<T, String> + Sync,
    add: impl FnMut(Admitted<T>) + Send,
) -> Result<Told, CorpusError> {
    if scores.is_empty() {
        return Err(CorpusError::NoMidi("an empty list of pieces".to_owned()));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by_key(|&idx| &scores[idx].0);
    let sources: Vec<Source<T>> = order
        .into_par_iter()
        .map(|idx| {
            let (name, score) = &scores[idx];
            // There are no bytes of a file, so those of the score stand in for them.
            let bytes = postcard::to_stdvec(score).unwrap_or_default();
            Source {
                path: PathBuf::from(format!("<{name}>")),
                sha256: sha256_hex(&bytes),
                read: make(score).map(|content| (About::of_score(score, plan), content)),
            }
        })
        .collect();
    let mut intake = Intake::new(add, Vec::new());
    for source in sources {
        intake.take(source);
    }
    intake.finish(None)
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

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
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

/// Decides which sources become pieces.
struct Intake<A> {
    add: A,
    /// Of the pieces so far.
    paths: Vec<PathBuf>,
    /// The first piece of each hash.
    by_sha256: HashMap<String, usize>,
    skipped: Vec<Skipped>,
    warnings: Vec<(PathBuf, String)>,
    n_sources: usize,
    /// Those that don't keep to their beats.
    n_off_beat: usize,
}

impl<A> Intake<A> {
    fn new(add: A, skipped: Vec<Skipped>) -> Self {
        Self {
            add,
            paths: Vec::new(),
            by_sha256: HashMap::new(),
            n_sources: skipped.len(),
            skipped,
            warnings: Vec::new(),
            n_off_beat: 0,
        }
    }

    /// Whether the source became a piece.
    fn take<T>(&mut self, source: Source<T>) -> bool
    where
        A: FnMut(Admitted<T>),
    {
        self.n_sources += 1;
        let Source { path, sha256, read } = source;
        let (about, content) = match read {
            Ok(read) => read,
            Err(reason) => return self.skip(path, reason),
        };
        if let Some(&first) = self.by_sha256.get(&sha256) {
            let reason = format!("the same bytes as “{}”", self.paths[first].display());
            return self.skip(path, reason);
        }
        if !about.keeps_beat {
            self.n_off_beat += 1;
            let reason = "its notes don't keep to the beats of its tempo map — choose frames in \
                          real time to learn from it";
            return self.skip(path, reason.to_owned());
        }
        self.by_sha256.insert(sha256.clone(), self.paths.len());
        self.paths.push(path.clone());
        self.warnings.extend(about.warnings.iter().map(|text| (path.clone(), text.clone())));
        (self.add)(Admitted { path, sha256, about, content });
        true
    }

    fn skip(&mut self, path: PathBuf, reason: String) -> bool {
        self.skipped.push(Skipped { path, reason });
        false
    }

    fn finish(mut self, own_split: Option<Vec<OwnPart>>) -> Result<Told, CorpusError> {
        let n_files = self.n_sources;
        // A few strays are left out; where they are as many as the others, it is the grid that
        // is wrong.
        if self.n_off_beat > 0 && self.n_off_beat >= self.paths.len() {
            return Err(CorpusError::NoBeat { n_off_beat: self.n_off_beat, n_files });
        }
        if self.paths.is_empty() {
            let first = match self.skipped.first() {
                Some(skipped) => format!("“{}”: {}", skipped.path.display(), skipped.reason),
                None => "there was none".to_owned(),
            };
            return Err(CorpusError::NothingUsable { n_files, first });
        }
        let path = |skipped: &Skipped| skipped.path.as_os_str().as_encoded_bytes().to_vec();
        self.skipped.sort_by_cached_key(path);
        Ok(Told { skipped: self.skipped, warnings: self.warnings, own_split })
    }
}
