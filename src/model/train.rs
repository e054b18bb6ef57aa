//! Learning: from a corpus and settings to a run with checkpoints.
//!
//! This file is what the other rooms see, and what comes before the first step. The steps
//! themselves are in `trainer`, which is generic in the backend.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::batches::Layout;
use super::checkpoint::CheckpointError;
use super::device::{self, Chosen};
use super::kernels::KernelChoice;
use super::material::{Material, Reading, beyond_the_piano, has_clock};
use super::network::NetworkConfig;
use super::run::{CorpusSummary, FileSummary, Run, RunFolder, RunSummary};
use super::run_lock::RunLock;
use super::trainer::{self, Job, newest_card, newest_checkpoint};
use super::{
    DeviceChoice, DeviceKind, EpochPoint, Lessons, Model, ModelCard, Origin, RunError,
    SettingsError, Softmax, StartingPoint, TrainingSettings, adaptive, baselines, memory,
};
use crate::cancel::CancelToken;
use crate::files::plain_reason;
use crate::tokens::{BackOff, Chord, Corpus, Music, PieceSummary, SplitError, Stretch};

#[derive(Clone)]
pub struct TrainRequest {
    /// Read as [`TrainingSettings::music_plan`] says.
    pub music: Music,
    /// When resuming, those of the run; only `epochs`, `early_stop` and `save_every` may differ,
    /// and `learning_rate` and `clip`, which a run whose loss ran away needs.
    pub settings: TrainingSettings,
    /// What a new run goes on from; none begins with a fresh network. When resuming it counts for
    /// nothing: the run has what it went on from in its own checkpoints.
    pub from: Option<Arc<StartingPoint>>,
    /// The run folder; must not exist unless `resume`.
    pub run_dir: PathBuf,
    pub resume: bool,
    pub device: DeviceChoice,
}

/// Three predictors that learn nothing but counts, measured on the held-out frames: on which keys
/// sound, beside a model that knows touch also on which are struck and on how long nothing changes.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Baselines {
    #[serde(deserialize_with = "nan_from_null")]
    pub unigram_perplexity: f64,
    pub unigram_accuracy: f64,
    /// Share of held-out frames equal to the one before.
    pub repeat_accuracy: f64,
    /// Unigram mixed with 10 % repeat.
    #[serde(deserialize_with = "nan_from_null")]
    pub mixed_perplexity: f64,
}

/// What is known before the first step.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    pub device: String,
    /// Why the CPU is used although it wasn't asked for.
    pub device_reason: Option<String>,
    pub parameters: usize,
    pub vocabulary: usize,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub test_frames: usize,
    /// Share of held-out frames whose chord the vocabulary has, 0–1.
    pub coverage: f64,
    /// Whether strikes, velocities and the pedal are learned too; of the latter two the baselines
    /// know nothing.
    pub has_touch: bool,
    pub batch: usize,
    pub steps_per_epoch: usize,
    pub memory_bytes: u64,
    pub baselines: Baselines,
    /// From 1; above 1 when a run is resumed.
    pub first_epoch: usize,
}

/// A point inside an epoch, at most 20 a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepPoint {
    /// From 1.
    pub epoch: usize,
    /// Steps done since the run began, and how many there will be.
    pub step: usize,
    pub total_steps: usize,
    /// Mean loss of the steps since the last point.
    pub loss: f64,
    pub frames_per_second: f64,
    pub secs_left: f64,
}

#[derive(Clone, Debug)]
pub enum TrainEvent {
    Prepared(Prepared),
    Step(StepPoint),
    Epoch(EpochPoint),
    /// Something the user should know: the batch shrank, NaN was rolled back, memory ran out.
    Note(String),
    /// The newest weights, for hearing the model while it learns; after every epoch.
    Weights(Model),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    StoppedEarly,
    Cancelled,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrainSummary {
    pub outcome: Outcome,
    /// From 1; 0 if it was cancelled before the first epoch was measured, and when no epoch was better
    /// than the checkpoint that the run went on from: its weights are then the best.
    pub best_epoch: usize,
    /// NaN (`null` in JSON) if nothing was measured.
    #[serde(deserialize_with = "nan_from_null")]
    pub best_valid_perplexity: f64,
    pub parameters: usize,
    pub device: String,
    pub train_frames: usize,
    pub valid_frames: usize,
    pub vocabulary: usize,
    /// What velocities and the pedal cost the best weights on held-out music, in nats a frame; none
    /// without touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_valid_velocity_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_valid_pedal_loss: Option<f64>,
    /// Of the best weights on pieces that nothing was chosen by.
    pub test_perplexity: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_velocity_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_pedal_loss: Option<f64>,
    pub baselines: Baselines,
    /// Of the checkpoint that the run went on from, on the same held-out music; none for a fresh
    /// network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_valid_perplexity: Option<f64>,
    /// The weights went astray, since the steps were too large: the last epoch predicts worse than
    /// choosing blindly. Not known of runs of an older version.
    #[serde(default)]
    pub ran_away: bool,
}

/// Where a training stands, in its checkpoints.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrainingState {
    pub settings: TrainingSettings,
    /// Whole epochs done.
    pub epochs_done: usize,
    /// Steps done of the epoch after them.
    pub steps_into_epoch: usize,
    /// Optimizer steps since the run began; the place in the streams of random numbers.
    pub step: u64,
    /// Sequences whose state is carried (`state.…`); 0 without one.
    pub state_rows: usize,
    /// Sums over the epoch that isn't whole yet.
    pub epoch_loss: f64,
    pub epoch_right: f64,
    pub epoch_frames: usize,
    pub best: Option<BestEpoch>,
    /// Epochs since the best one.
    pub n_worse: usize,
    /// Epochs without a better loss since the rate was last halved, and how often it was.
    pub n_flat: usize,
    pub halvings: u32,
    pub seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct BestEpoch {
    /// From 1; 0 is the checkpoint that the run went on from.
    pub epoch: usize,
    /// Of keys and lengths, in nats a frame.
    pub loss: f64,
    /// What velocities and the pedal cost besides, without which the epoch isn't chosen; 0 without
    /// touch.
    #[serde(default)]
    pub touch_loss: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{0} exists already — choose another name, or go on with --resume")]
    RunExists(PathBuf),
    #[error("{0} is being trained by another Etude — wait until that ends, or choose another run")]
    InTraining(PathBuf),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(
        "the music is too short: {} to learn from, and one sequence has {needed} — {advice}",
        counted(*n_frames, "frame")
    )]
    TooShort { n_frames: usize, needed: usize, advice: String },
    #[error("{0}")]
    Device(String),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{setting} differs from the run's ({theirs}) — leave it out, or start a new run")]
    OtherSettings { setting: String, theirs: String },
    #[error(
        "{setting} differs from the checkpoint's ({theirs}) — leave it out, since a run that goes on \
         from a checkpoint keeps its network and its way of cutting music; or train a fresh network, \
         without --from"
    )]
    OtherNetwork { setting: String, theirs: String },
    #[error(
        "{} — give music of the kind it learned from, or train a fresh network, without --from",
        match has_clock {
            true => "the checkpoint asks where on a grid each frame is, and this music doesn't say",
            false => "a frame of this music has its place on a grid, of which the checkpoint knows \
                      nothing",
        }
    )]
    OtherClock { has_clock: bool },
    #[error(
        "the run {run} was ended before it had kept what it went on from ({from}) — train a new run \
         with --from and another --out"
    )]
    OriginLost { run: PathBuf, from: String },
    #[error(
        "the music isn't what {run} learned from: {change} — give the files as they were (etude \
         train PATH... --out {run} --resume), or start a new run with another --out"
    )]
    OtherMusic { run: PathBuf, change: String },
    #[error(
        "no chord of the music is there {0} times, so there would be nothing to learn — give a \
         smaller --min-count"
    )]
    NoChords(u64),
    #[error(
        "“{}” says only which keys sound, not which were struck, nor how hard — train with \
         --alphabet off-on, or give MIDI files",
        .0.display()
    )]
    NoTouch(PathBuf),
    #[error(
        "“{}” says only which keys sound, and the checkpoint learned touch — give MIDI files, or \
         train without --from",
        .0.display()
    )]
    NoTouchToGoOnWith(PathBuf),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "the run {path} can't be written: {} — free some space or choose another place",
        plain_reason(source)
    )]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "the loss is no number any more in epoch {epoch} — {kept}. Try a learning rate below \
         {learning_rate} (--learning-rate), or clip the gradients (--clip 1)"
    )]
    Diverged { epoch: usize, kept: &'static str, learning_rate: f64 },
    #[error(
        "the memory doesn't suffice even for one sequence at a time ({needed_mib} MiB are needed) \
         — choose fewer units (--hidden), shorter sequences (--sequence) or a smaller vocabulary \
         (--max-vocabulary)"
    )]
    OutOfMemory { needed_mib: u64 },
    #[error("{0} stopped working: {1} — try again, or use another device (--device cpu)")]
    DeviceFailed(String, String),
    #[error(
        "a batch of the music can't be made: {0} — that is a mistake in Etude, please report it. What \
         was kept of the run can be gone on with (--resume)"
    )]
    Loading(String),
}

/// Refuses what can be refused without the music, so that nobody waits for hours of reading to
/// hear of it: settings, the run's folder, settings and checkpoints, the device. [`train`] looks
/// again.
///
/// # Errors
/// Those of [`train`] that have these causes.
pub fn check_before_reading(
    settings: &TrainingSettings,
    run_dir: &Path,
    resume: bool,
    device: DeviceChoice,
) -> Result<(), TrainError> {
    settings.validate()?;
    if run_to_resume(settings, run_dir, resume)?.is_some() {
        newest_checkpoint(&RunFolder::new(run_dir))?;
    }
    match device {
        // They never fail, and finding the fastest may take a moment.
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(()),
        device => device::choose(device).map(|_| ()).map_err(TrainError::Device),
    }
}

/// Trains until the epochs are done, early stop, or cancel. Events are sent from the calling
/// thread.
pub fn train(
    request: &TrainRequest,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    train_with(request, KernelChoice::Fastest, cancel, on_event)
}

/// [`train`] by other code than the fastest: for comparing, in tests and benchmarks.
///
/// # Errors
/// Those of [`train`].
pub fn train_with(
    request: &TrainRequest,
    kernels: KernelChoice,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<TrainSummary, TrainError> {
    request.settings.validate()?;
    let folder = RunFolder::new(&request.run_dir);
    let beginning = Beginning::of(request)?;
    let chosen = device::choose(request.device).map_err(TrainError::Device)?;
    let network = beginning.network.as_deref();
    let material = Material::new(&request.music, &request.settings, network)?;
    let mut job = prepare(request, material, folder.clone(), &chosen, beginning, cancel)?;
    job.kernels = kernels;
    let _lock = claim(&folder, request.resume)?;
    for note in notes(&job, &chosen) {
        on_event(TrainEvent::Note(note));
    }
    trainer::run_on(&chosen, job, on_event)
}

/// What a run begins with besides its settings and its music.
#[derive(Default)]
pub(super) struct Beginning {
    pub is_resumed: bool,
    /// The checkpoint that it goes on from, or that it went on from before it was resumed.
    pub from: Option<Origin>,
    /// What that had learned from, where it is known.
    pub learned_before: Option<Lessons>,
    /// What is known of that run's network beforehand, which no settings say.
    pub network: Option<Arc<ModelCard>>,
}

impl Beginning {
    fn of(request: &TrainRequest) -> Result<Self, TrainError> {
        let resumed = resumed_run(request)?;
        let is_resumed = resumed.is_some();
        let Some(run) = resumed else {
            let Some(from) = &request.from else { return Ok(Self::default()) };
            from.check(&request.settings)?;
            let network = Some(from.model.shared_card());
            let learned_before = from.lessons.clone();
            return Ok(Self {
                is_resumed,
                from: Some(from.origin.clone()),
                learned_before,
                network,
            });
        };
        let network = match &run.summary.from {
            None => None,
            Some(from) => {
                let card = newest_card(&RunFolder::new(&run.path))?;
                let lost = || {
                    let (run, from) = (run.path.clone(), from.name().to_owned());
                    TrainError::OriginLost { run, from }
                };
                Some(Arc::new(card.ok_or_else(lost)?))
            }
        };
        let RunSummary { from, learned_before, .. } = run.summary;
        Ok(Self { is_resumed, from, learned_before, network })
    }
}

/// The folder, for as long as the lock lives.
fn claim(folder: &RunFolder, resume: bool) -> Result<RunLock, TrainError> {
    let path = || folder.path().to_owned();
    let lock = folder.lock().map_err(|source| TrainError::Write { path: path(), source })?;
    let lock = lock.ok_or_else(|| TrainError::InTraining(path()))?;
    // Another may have begun and ended a run here while the music was read.
    if resume || folder.is_free() { Ok(lock) } else { Err(TrainError::RunExists(path())) }
}

/// Takes a new run away whose process is about to end before anything was learned.
pub fn discard_unlearned(run_dir: &Path) {
    RunFolder::new(run_dir).discard_unlearned();
}

/// The chords of some stretches with how often each stands there, whether a vocabulary has them
/// or not: what the back-off is fitted on, so that it doesn't depend on the vocabulary's size.
fn chords_of(corpus: &Corpus, stretches: &[Stretch]) -> Vec<(Chord, u64)> {
    let mut counts = vec![0; corpus.chords.len()];
    for (piece, frames) in stretches.iter().flat_map(|stretch| &stretch.parts) {
        for &chord in &corpus.pieces[*piece].chords[frames.clone()] {
            counts[chord as usize] += 1;
        }
    }
    let counted = corpus.chords.iter().copied().zip(counts);
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Bytes a run will need on a device of this kind, before it starts. `train_lengths` are the frames
/// of each stretch of [`crate::tokens::Split::train`]: little music makes the batch smaller.
pub fn estimate_memory(
    settings: &TrainingSettings,
    vocabulary: usize,
    train_lengths: &[usize],
    kind: DeviceKind,
) -> u64 {
    let config = NetworkConfig::new(settings, vocabulary, false);
    let layout = Layout::fit(settings, train_lengths);
    let n_rows = memory::rows_at_a_time(&config, &layout, kind);
    memory::estimate(&config, &layout, n_rows, settings.dropout, kind)
}

/// The run to go on with, checked against what was asked; none when a new one begins.
fn resumed_run(request: &TrainRequest) -> Result<Option<Run>, TrainError> {
    let run = run_to_resume(&request.settings, &request.run_dir, request.resume)?;
    if let Some(run) = &run {
        check_music(run, &request.music)?;
    }
    Ok(run)
}

/// Refuses music that isn't what a run learned from.
///
/// # Errors
/// [`TrainError::OtherMusic`].
pub fn check_music(run: &Run, music: &Music) -> Result<(), TrainError> {
    match change_of_music(&run.summary.corpus.files, &music.pieces()) {
        Some(change) => Err(TrainError::OtherMusic { run: run.path.clone(), change }),
        None => Ok(()),
    }
}

/// The same as far as it can be told without the music.
fn run_to_resume(
    settings: &TrainingSettings,
    run_dir: &Path,
    resume: bool,
) -> Result<Option<Run>, TrainError> {
    let folder = RunFolder::new(run_dir);
    if folder.is_in_training() {
        return Err(TrainError::InTraining(run_dir.to_owned()));
    }
    if !resume {
        return match folder.is_free() {
            true => Ok(None),
            false => Err(TrainError::RunExists(run_dir.to_owned())),
        };
    }
    let run = Run::read(run_dir)?;
    same_settings(&run.summary.settings, settings)?;
    Ok(Some(run))
}

/// What is different about the music that a run learned from, in words; none if it is the same in
/// the same order.
fn change_of_music(files: &[FileSummary], pieces: &[PieceSummary<'_>]) -> Option<String> {
    let theirs: HashSet<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
    let ours: HashSet<&str> = pieces.iter().map(|piece| piece.sha256).collect();
    let paths = pieces.iter().map(|piece| lasting_path(piece.path).to_string_lossy().into_owned());
    let paths: Vec<String> = paths.collect();
    let is_read = |file: &&FileSummary| paths.contains(&file.path);
    let gone = files.iter().filter(|file| !ours.contains(file.sha256.as_str()));
    let (changed, missing): (Vec<_>, Vec<_>) = gone.partition(is_read);
    let is_changed = |path: &str| changed.iter().any(|file| file.path == path);
    let new = paths
        .iter()
        .zip(pieces)
        .filter(|(path, piece)| !theirs.contains(piece.sha256) && !is_changed(path));
    let groups = [
        ("has changed", changed.iter().map(|file| file.path.as_str()).collect()),
        ("is missing", missing.iter().map(|file| file.path.as_str()).collect()),
        ("is new", new.map(|(path, _)| path.as_str()).collect::<Vec<_>>()),
    ];
    let words: Vec<String> = groups
        .iter()
        .filter_map(|(what, paths)| match paths.as_slice() {
            [] => None,
            [only] => Some(format!("{only} {what}")),
            [first, rest @ ..] => Some(format!("{first} {what}, and {} more", rest.len())),
        })
        .collect();
    if !words.is_empty() {
        return Some(words.join("; "));
    }
    let is_same_order =
        pieces.iter().map(|piece| piece.sha256).eq(files.iter().map(|file| file.sha256.as_str()));
    (!is_same_order).then(|| {
        "the files are the same, but renamed or moved so that they come in another order".to_owned()
    })
}

/// Names the first setting that a resumed run would have to change in its middle.
fn same_settings(theirs: &TrainingSettings, ours: &TrainingSettings) -> Result<(), TrainError> {
    let alike = TrainingSettings {
        epochs: theirs.epochs,
        early_stop: theirs.early_stop,
        save_every: theirs.save_every,
        learning_rate: theirs.learning_rate,
        clip: theirs.clip,
        ..ours.clone()
    };
    match first_difference(theirs, &alike) {
        None => Ok(()),
        Some((setting, theirs)) => Err(TrainError::OtherSettings { setting, theirs }),
    }
}

/// The flag of the first setting that differs, with the value that it has in `theirs`.
pub(super) fn first_difference(
    theirs: &TrainingSettings,
    ours: &TrainingSettings,
) -> Option<(String, String)> {
    let grid = theirs.grid.to_string();
    let (theirs, ours) = (as_json(theirs), as_json(ours));
    let (name, value) = theirs.iter().find(|(name, value)| ours.get(*name) != Some(value))?;
    let value = match (name.as_str(), value) {
        ("grid", _) => grid,
        (_, serde_json::Value::String(word)) => word.clone(),
        (_, value) => value.to_string(),
    };
    let flag = match name.as_str() {
        "pedalling" => "--pedal".to_owned(),
        name => format!("--{}", name.replace('_', "-")),
    };
    Some((flag, value))
}

fn as_json(settings: &TrainingSettings) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(settings) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// Everything that is known before the first step.
pub(super) fn prepare<'a>(
    request: &'a TrainRequest,
    material: Material,
    folder: RunFolder,
    chosen: &Chosen,
    beginning: Beginning,
    cancel: &'a CancelToken,
) -> Result<Job<'a>, TrainError> {
    let settings = &request.settings;
    let Beginning { is_resumed, from, learned_before, network } = beginning;
    let config = match &network {
        Some(card) => card.network_config(),
        None => NetworkConfig::new(settings, material.vocabulary(), has_clock(&material.music)),
    };
    let layout = Layout::fit(settings, &material.train_lengths());
    let n_frames = |stretches: &[Stretch]| stretches.iter().map(Stretch::n_frames).sum();
    let split = &material.split;
    // Of performances the chords are counted here, and needed no more.
    let chords = material.music.chords();
    let backoff = BackOff::fit(chords_of(&chords, &split.train));
    let baselines = baselines::baselines(&material, &chords, &backoff, cancel);
    drop(chords);
    // What unknown chords cost belongs to the vocabulary that lacks them.
    let backoff = match network.as_deref().and_then(ModelCard::chords) {
        Some(known) => known.backoff.clone(),
        None => backoff,
    };
    let corpus = CorpusSummary {
        seconds: material.music.duration_secs(),
        train_frames: n_frames(&split.train),
        valid_frames: n_frames(&split.valid),
        test_frames: n_frames(&split.test),
        files: file_summaries(&material),
    };
    let micro_batch = memory::fitting_batch(&config, &layout, chosen.kind, settings.dropout)?;
    let summary = RunSummary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings.clone(),
        from,
        learned_before,
        device: chosen.name.clone(),
        device_kind: chosen.kind,
        batch: layout.batch,
        parameters: config.n_parameters(),
        vocabulary: config.vocabulary(),
        corpus,
        baselines,
        ending: None,
    };
    let escape_price = material.escape_price(&backoff);
    Ok(Job {
        settings,
        config,
        layout,
        micro_batch,
        material,
        backoff,
        escape_price,
        folder,
        summary,
        is_resumed,
        from: request.from.as_deref().filter(|_| !is_resumed),
        device_reason: chosen.reason.clone(),
        cancel,
        kernels: KernelChoice::Fastest,
        #[cfg(test)]
        fails_above: None,
    })
}

fn file_summaries(material: &Material) -> Vec<FileSummary> {
    let split = &material.split;
    let parts = [("train", &split.train), ("valid", &split.valid), ("test", &split.test)];
    let summary = |piece: PieceSummary<'_>| FileSummary {
        path: lasting_path(piece.path).to_string_lossy().into_owned(),
        sha256: piece.sha256.to_owned(),
        frames: piece.n_frames,
        parts: Vec::new(),
    };
    let mut files: Vec<FileSummary> = material.music.pieces().into_iter().map(summary).collect();
    for (name, stretches) in parts {
        for (piece, _) in stretches.iter().flat_map(|stretch| &stretch.parts) {
            let parts = &mut files[*piece].parts;
            if parts.last().is_none_or(|last| last != name) {
                parts.push(name.to_owned());
            }
        }
    }
    files
}

/// A path that means the same file in any working folder. Built-in pieces have none.
pub(super) fn lasting_path(path: &Path) -> PathBuf {
    if path.to_string_lossy().starts_with('<') {
        return path.to_owned();
    }
    // It fails only without a working folder: then the path stays as it was typed.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What the user should know before the first step.
fn notes(job: &Job<'_>, chosen: &Chosen) -> Vec<String> {
    let mut notes = Vec::new();
    let asked = job.settings.batch;
    if let Some(reason) = &chosen.reason {
        notes.push(reason.clone());
    }
    if job.layout.batch < asked {
        notes.push(format!(
            "The batch shrank from {asked} to {}, so that an epoch has {}",
            counted(job.layout.batch, "sequence"),
            counted(job.layout.n_steps, "step")
        ));
    }
    notes.extend(job.from.and_then(|from| from.note_on_held_out(&job.summary.corpus)));
    let n_chords = job.config.vocabulary();
    if job.settings.softmax == Softmax::Adaptive && n_chords < adaptive::USEFUL_FROM {
        notes.push(format!(
            "The adaptive softmax is for vocabularies from about {} thousand chords on; with {} a \
             full one (--softmax full) takes little longer",
            adaptive::USEFUL_FROM / 1_000,
            counted(n_chords, "chord")
        ));
    }
    let n_beyond = match &job.material.reading {
        Reading::Chords(..) => 0,
        Reading::Keys(_) => beyond_the_piano(&job.material.music),
    };
    if n_beyond > 0 {
        notes.push(format!(
            "{} of the music {} a pitch that no piano has, which is neither learned nor measured",
            counted(n_beyond, "frame"),
            if n_beyond == 1 { "has" } else { "have" }
        ));
    }
    if job.micro_batch < memory::rows_at_a_time(&job.config, &job.layout, chosen.kind) {
        notes.push(format!(
            "The memory holds {} at a time, so gradients are gathered over {}",
            counted(job.micro_batch, "sequence"),
            counted(job.layout.batch.div_ceil(job.micro_batch), "such part")
        ));
    }
    notes
}

/// `1 step`, `2 steps`.
pub(super) fn counted(number: usize, singular: &str) -> String {
    format!("{number} {singular}{}", if number == 1 { "" } else { "s" })
}

/// JSON has no NaN and no infinity and writes both as null.
pub(super) fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
