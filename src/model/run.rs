//! A run: the folder one training makes.
//!
//! ```text
//! run.json               settings, what was read, device, baselines, how it ended
//! metrics.jsonl          a line per epoch
//! checkpoints/
//!   best.safetensors     the weights of the best epoch
//!   epoch-00012.safetensors   the last three epochs
//!   partial.safetensors  where a cancelled training stopped within an epoch
//!   kept-00010.safetensors    with --save-every
//! lock                   held by the process that trains it, see `run_lock`
//! ```

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checkpoint::CheckpointError;
use super::run_lock::{LOCK, RunLock};
use super::train::{Baselines, TrainSummary, nan_from_null};
use super::{DeviceKind, Lessons, Origin, TrainingSettings};
use crate::files::{read_reason, write_atomically};
use crate::tokens::file_of_piece;

/// Largest `run.json` and `metrics.jsonl` that are read.
const MAX_JSON_BYTES: u64 = 256 << 20;
/// Epochs whose checkpoints stay.
const N_LAST: usize = 3;

const SUMMARY: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";
const BEST: &str = "best.safetensors";
const PARTIAL: &str = "partial.safetensors";
/// How the names of numbered checkpoints begin.
const EPOCH: &str = "epoch-";
const KEPT: &str = "kept-";

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct EpochPoint {
    /// From 1; 0 is the checkpoint that a run went on from, measured before the first step, where
    /// nothing was learned and what says how is NaN (`null` in JSON).
    pub epoch: usize,
    #[serde(deserialize_with = "nan_from_null")]
    pub train_loss: f64,
    #[serde(deserialize_with = "nan_from_null")]
    pub train_perplexity: f64,
    /// 0–1, while it learned, dropout and all. With an adaptive softmax the share of frames where
    /// both steps chose right; the likeliest chord of all, which `valid_accuracy` goes by, may
    /// rarely be another one.
    #[serde(deserialize_with = "nan_from_null")]
    pub train_accuracy: f64,
    #[serde(deserialize_with = "nan_from_null")]
    pub valid_loss: f64,
    #[serde(deserialize_with = "nan_from_null")]
    pub valid_perplexity: f64,
    /// 0–1: frames whose likeliest chord of all is right.
    pub valid_accuracy: f64,
    /// How much of the held-out loss says how long nothing changes, in nats a frame; none without
    /// touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_length_loss: Option<f64>,
    /// What the velocities of struck keys and the pedal cost besides, in nats a frame; none without
    /// touch. The losses and perplexities above are those of keys and lengths alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_velocity_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_pedal_loss: Option<f64>,
    pub learning_rate: f64,
    pub frames_per_second: f64,
    /// Seconds since the run began.
    pub seconds: f64,
}

impl EpochPoint {
    /// What the epochs are compared by: everything that a held-out frame costs, in nats.
    pub fn whole_valid_loss(&self) -> f64 {
        let touch = [self.valid_velocity_loss, self.valid_pedal_loss];
        self.valid_loss + touch.into_iter().flatten().sum::<f64>()
    }

    /// Whether the steps were too large, so that the weights went astray: the music that is learned
    /// from is then predicted worse than by choosing blindly, whose perplexity is `blind`, and what is held out
    /// far worse than by counting. A network that merely learns too much by heart is good at the
    /// former; one that hasn't learned yet is no worse than blind.
    ///
    /// What a run goes on from, `origin`, may know so little of the music that it is lost before it begins:
    /// then it has to become worse.
    pub(super) fn ran_away(
        &self,
        blind: f64,
        baselines: &Baselines,
        origin: Option<&EpochPoint>,
    ) -> bool {
        let blind = 2.0 * blind;
        // A perplexity beyond all numbers is infinite, which JSON doesn't know.
        let exceeds = |perplexity: f64, bound: f64| perplexity.is_nan() || perplexity > bound;
        let at_first = origin.map_or(0.0, |origin| origin.valid_perplexity);
        exceeds(self.valid_perplexity, at_first)
            && exceeds(self.train_perplexity, blind)
            && exceeds(self.valid_perplexity, blind.max(10.0 * baselines.unigram_perplexity))
    }
}

/// A run as it lies on disk: what a list of runs or a comparison of curves needs.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub path: PathBuf,
    pub summary: RunSummary,
    pub metrics: Vec<EpochPoint>,
}

/// `run.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunSummary {
    pub version: String,
    pub settings: TrainingSettings,
    /// The checkpoint that it went on from; none for a fresh network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// What that had learned from, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned_before: Option<Lessons>,
    pub device: String,
    pub device_kind: DeviceKind,
    /// Rows a step after fitting the batch to the music.
    pub batch: usize,
    pub parameters: usize,
    pub vocabulary: usize,
    pub corpus: CorpusSummary,
    pub baselines: Baselines,
    /// None while it runs, and after it was killed.
    pub ending: Option<TrainSummary>,
}

impl RunSummary {
    /// The pieces that its models learned from.
    pub fn lessons(&self) -> Lessons {
        self.after_what_was_learned(Lessons::of(&self.corpus))
    }

    /// The same before its first step, when nothing of its own music is known but what epochs are
    /// chosen by.
    pub fn lessons_before(&self) -> Lessons {
        self.after_what_was_learned(Lessons::of(&self.corpus).only_chosen_by())
    }

    fn after_what_was_learned(&self, own: Lessons) -> Lessons {
        if self.from.is_some() { own.after(self.learned_before.as_ref()) } else { own }
    }
}

/// What a run learned from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CorpusSummary {
    pub seconds: f64,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub test_frames: usize,
    pub files: Vec<FileSummary>,
}

impl CorpusSummary {
    /// The files, to be read again; none when they are the built-in pieces.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.files.iter().all(|file| file.path.starts_with('<')) {
            return Vec::new();
        }
        let files = self.files.iter().map(|file| file_of_piece(Path::new(&file.path)).to_owned());
        let mut paths: Vec<PathBuf> = files.collect();
        // The pieces of a set follow one another.
        paths.dedup();
        paths
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FileSummary {
    /// Absolute, so that another working folder doesn't matter; the name of a built-in piece
    /// stands in angle brackets.
    pub path: String,
    pub sha256: String,
    pub frames: usize,
    /// What it was used for: `train`, `valid`, `test`, or several for a split within it.
    pub parts: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0} is not a run — a run is a folder with run.json in it")]
    NotARun(PathBuf),
    #[error("{path} can't be read: {reason} — choose another run")]
    Damaged { path: PathBuf, reason: String },
}

impl Run {
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let file = path.join(SUMMARY);
        if !file.is_file() {
            return Err(RunError::NotARun(path.to_owned()));
        }
        let damaged =
            |path: &Path, reason: String| RunError::Damaged { path: path.to_owned(), reason };
        let json = read_text(&file).map_err(|error| damaged(&file, read_reason(&error)))?;
        let summary =
            serde_json::from_str(&json).map_err(|error| damaged(&file, error.to_string()))?;
        let metrics = read_metrics(path);
        Ok(Self { path: path.to_owned(), summary, metrics })
    }

    /// The run that a checkpoint lies in, or whose folder this is.
    pub fn around(path: &Path) -> Option<Self> {
        path.ancestors().take(3).find_map(|folder| Self::read(folder).ok())
    }

    /// Whether there is something to compose with or to go on from.
    pub fn has_weights(&self) -> bool {
        checkpoint_to_use(&self.path).is_ok()
    }

    /// The runs directly inside a folder, newest first; what isn't one is passed over.
    pub fn list(folder: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut runs: Vec<(std::time::SystemTime, Self)> = entries
            .flatten()
            .filter_map(|entry| {
                let run = Self::read(&entry.path()).ok()?;
                let changed = fs::metadata(entry.path().join(SUMMARY)).ok()?.modified().ok()?;
                Some((changed, run))
            })
            .collect();
        runs.sort_by(|(a_time, a), (b_time, b)| b_time.cmp(a_time).then(a.path.cmp(&b.path)));
        runs.into_iter().map(|(_, run)| run).collect()
    }
}

/// The checkpoint that a path means: a file itself, or the best one of a run.
pub(super) fn checkpoint_to_use(path: &Path) -> Result<PathBuf, CheckpointError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let missing = || CheckpointError::Missing(path.to_owned());
    for folder in [path.join(CHECKPOINTS), path.to_owned()] {
        let best = folder.join(BEST);
        if best.is_file() {
            return Ok(best);
        }
        if let Some((_, newest)) = numbered_checkpoints(&folder, EPOCH).into_iter().next_back() {
            return Ok(newest);
        }
        let partial = folder.join(PARTIAL);
        if partial.is_file() {
            return Ok(partial);
        }
    }
    Err(missing())
}

/// The checkpoints of a run that may hold the weights of an epoch, or of a part of the next one.
pub(super) fn checkpoints_around(run: &Path, epoch: usize) -> Vec<PathBuf> {
    let names = [epoch_name(epoch), kept_name(epoch), BEST.to_owned(), PARTIAL.to_owned()];
    let folder = run.join(CHECKPOINTS);
    names.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// What else could be used of a run whose checkpoint `file` can't: whole epochs, then what is
/// within one.
pub(super) fn beside_checkpoint(file: &Path) -> Vec<PathBuf> {
    let Some(folder) = file.parent() else { return Vec::new() };
    let numbered = [EPOCH, KEPT].into_iter().flat_map(|kind| numbered_checkpoints(folder, kind));
    let others = numbered.map(|(_, path)| path).chain([folder.join(BEST), folder.join(PARTIAL)]);
    others.filter(|path| path != file && path.is_file()).collect()
}

/// A run folder that a training writes.
#[derive(Clone, Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a run may begin here: nothing is there, or a folder with nothing in it but the lock
    /// of a program that was killed before it began.
    pub fn is_free(&self) -> bool {
        match fs::read_dir(&self.path) {
            Ok(mut entries) => entries.all(|entry| entry.is_ok_and(|it| it.file_name() == LOCK)),
            Err(_) => !self.path.exists(),
        }
    }

    /// Claims the folder, which is made if it isn't there, for as long as the lock lives; `None`
    /// while another trains in it.
    pub fn lock(&self) -> io::Result<Option<RunLock>> {
        fs::create_dir_all(&self.path)?;
        RunLock::take(&self.path)
    }

    pub fn is_in_training(&self) -> bool {
        RunLock::is_held(&self.path)
    }

    pub fn create(&self) -> io::Result<()> {
        fs::create_dir_all(self.path.join(CHECKPOINTS))
    }

    /// Takes a run away that has learned nothing, so that its name is free again. What else is in
    /// its folder stays.
    pub fn discard_unlearned(&self) {
        if self.has_learned() {
            return;
        }
        if let Err(error) = self.try_to_discard() {
            tracing::warn!("{} learned nothing and stays: {error}", self.path.display());
        }
    }

    /// Whether there are weights besides those that it went on from.
    fn has_learned(&self) -> bool {
        let folder = self.path.join(CHECKPOINTS);
        let first = folder.join(epoch_name(0));
        let is_own = |path: &PathBuf| *path != first && *path != folder.join(BEST);
        // Without its first epoch 0, a best one is an epoch that was learned.
        self.to_resume_from().iter().any(is_own) || self.best().is_some() && !first.is_file()
    }

    fn try_to_discard(&self) -> io::Result<()> {
        let folder = self.path.join(CHECKPOINTS);
        for name in [epoch_name(0).as_str(), BEST] {
            remove(&folder.join(name))?;
        }
        match fs::remove_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        [SUMMARY, METRICS, LOCK].iter().try_for_each(|name| remove(&self.path.join(name)))?;
        fs::remove_dir(&self.path)
    }

    pub fn write_summary(&self, summary: &RunSummary) -> io::Result<()> {
        let mut json = serde_json::to_string_pretty(summary)?;
        json.push('\n');
        write_atomically(&self.path.join(SUMMARY), json.as_bytes())
    }

    /// Replaces `metrics.jsonl`: it is small, and so a killed program never leaves half a line.
    pub fn write_metrics(&self, metrics: &[EpochPoint]) -> io::Result<()> {
        let mut text = String::new();
        for point in metrics {
            text.push_str(&serde_json::to_string(point)?);
            text.push('\n');
        }
        write_atomically(&self.path.join(METRICS), text.as_bytes())
    }

    pub fn read_metrics(&self) -> Vec<EpochPoint> {
        read_metrics(&self.path)
    }

    /// The checkpoint of a whole epoch. Older ones than the last three go.
    pub fn write_epoch(&self, epoch: usize, bytes: &[u8], kept: bool) -> io::Result<()> {
        let folder = self.path.join(CHECKPOINTS);
        let file = folder.join(epoch_name(epoch));
        write_atomically(&file, bytes)?;
        if kept {
            link(&file, &folder.join(kept_name(epoch)))?;
        }
        remove(&folder.join(PARTIAL))?;
        let mut epochs = numbered_checkpoints(&folder, EPOCH);
        epochs.truncate(epochs.len().saturating_sub(N_LAST));
        epochs.iter().try_for_each(|(_, old)| remove(old))
    }

    /// The checkpoint of `epoch` is the best so far.
    pub fn mark_best(&self, epoch: usize) -> io::Result<()> {
        let folder = self.path.join(CHECKPOINTS);
        link(&folder.join(epoch_name(epoch)), &folder.join(BEST))
    }

    pub fn has_epoch(&self, epoch: usize) -> bool {
        self.path.join(CHECKPOINTS).join(epoch_name(epoch)).is_file()
    }

    /// Where a training stopped within an epoch.
    pub fn write_partial(&self, bytes: &[u8]) -> io::Result<()> {
        write_atomically(&self.path.join(CHECKPOINTS).join(PARTIAL), bytes)
    }

    pub fn best(&self) -> Option<PathBuf> {
        Some(self.path.join(CHECKPOINTS).join(BEST)).filter(|path| path.is_file())
    }

    /// Checkpoints to go on from, the newest first, and after them those that stand in when none
    /// of these can be read: they were kept for being good, not for being new.
    pub fn to_resume_from(&self) -> Vec<PathBuf> {
        let folder = self.path.join(CHECKPOINTS);
        let single = |name| Some(folder.join(name)).filter(|path: &PathBuf| path.is_file());
        let newest_first = |kind| numbered_checkpoints(&folder, kind).into_iter().rev();
        let epochs = newest_first(EPOCH).map(|(_, path)| path);
        let kept = newest_first(KEPT).map(|(_, path)| path);
        single(PARTIAL).into_iter().chain(epochs).chain(single(BEST)).chain(kept).collect()
    }
}

fn epoch_name(epoch: usize) -> String {
    format!("{EPOCH}{epoch:05}.safetensors")
}

fn kept_name(epoch: usize) -> String {
    format!("{KEPT}{epoch:05}.safetensors")
}

/// `epoch-….safetensors` or `kept-….safetensors`, the oldest first.
fn numbered_checkpoints(folder: &Path, kind: &str) -> Vec<(usize, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(usize, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(kind)?.strip_suffix(".safetensors")?;
            Some((number.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Gives a file a second name, replacing what had it. Where the file system has no links it is
/// copied. Checkpoints are never changed in place, so sharing their bytes is safe.
fn link(file: &Path, name: &Path) -> io::Result<()> {
    let aside = name.with_extension("aside");
    remove(&aside)?;
    match fs::hard_link(file, &aside) {
        Ok(()) => fs::rename(&aside, name),
        Err(_) => write_atomically(name, &fs::read(file)?),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_JSON_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// The epochs of a run; lines that can't be read are passed over.
fn read_metrics(run: &Path) -> Vec<EpochPoint> {
    let text = read_text(&run.join(METRICS)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_away_is_told_from_what_is_new_or_learned_by_heart() {
        let baselines = Baselines {
            unigram_perplexity: 100.0,
            unigram_accuracy: 0.1,
            repeat_accuracy: 0.3,
            mixed_perplexity: 60.0,
        };
        let point = |train_perplexity, valid_perplexity| EpochPoint {
            epoch: 1,
            train_loss: f64::ln(train_perplexity),
            train_perplexity,
            train_accuracy: 0.1,
            valid_loss: f64::ln(valid_perplexity),
            valid_perplexity,
            valid_accuracy: 0.1,
            valid_length_loss: None,
            valid_velocity_loss: None,
            valid_pedal_loss: None,
            learning_rate: 0.1,
            frames_per_second: 1.0,
            seconds: 1.0,
        };
        let goes_on = |train, valid, origin: Option<f64>| {
            let origin = origin.map(|valid| point(f64::NAN, valid));
            point(train, valid).ran_away(1_001.0, &baselines, origin.as_ref())
        };
        let ran_away = |train, valid| goes_on(train, valid, None);
        assert!(!ran_away(50.0, 70.0), "it learns");
        assert!(!ran_away(2.0, 1e9), "by heart");
        assert!(!ran_away(1_002.0, 1_500.0), "it has not begun to learn");
        assert!(ran_away(1e5, 1e226));
        assert!(ran_away(f64::NAN, f64::INFINITY), "null in the JSON");
        assert!(!goes_on(1e7, 2.6e7, Some(2.7e7)), "it was as bad before it learned");
        assert!(goes_on(1e7, 1e9, Some(50.0)) && goes_on(f64::NAN, f64::NAN, Some(50.0)));
    }
}
