//! Learning: from a corpus and settings to a run with checkpoints.
//!
//! This folder is what the other rooms see, and what comes before the first step. The steps
//! themselves are in `trainer`, which is generic in the backend.
//!
//! ```text
//! events     what a training tells, from before the first step to its end
//! error      why it can't begin or go on
//! beginning  what a run begins with, or goes on with when it is resumed
//! files      which files a run learned from
//! prepare    what is known before the first step, and what of it is noteworthy
//! ```

mod beginning;
mod error;
mod events;
mod files;
mod prepare;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use beginning::{Beginning, first_difference};
pub use error::TrainError;
pub use events::{
    Baselines, Outcome, Prepared, StepPoint, TrainEvent, TrainSummary, nan_from_null,
};
pub use files::check_music;
pub(super) use files::lasting_path;
pub(super) use prepare::prepare;

use super::batches::Layout;
use super::device;
use super::kernels::KernelChoice;
use super::material::Material;
use super::network::NetworkConfig;
use super::run::RunFolder;
use super::run_lock::RunLock;
use super::trainer::{self, newest_checkpoint};
use super::{DeviceChoice, DeviceKind, StartingPoint, TrainingSettings, memory};
use crate::cancel::CancelToken;
use crate::tokens::Music;
use beginning::run_to_resume;
use prepare::notes;

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

/// Takes a new run away whose process is about to end before anything was learned.
pub fn discard_unlearned(run_dir: &Path) {
    RunFolder::new(run_dir).discard_unlearned();
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

/// The folder, for as long as the lock lives.
fn claim(folder: &RunFolder, resume: bool) -> Result<RunLock, TrainError> {
    let path = || folder.path().to_owned();
    let lock = folder.lock().map_err(|source| TrainError::Write { path: path(), source })?;
    let lock = lock.ok_or_else(|| TrainError::InTraining(path()))?;
    // Another may have begun and ended a run here while the music was read.
    if resume || folder.is_free() { Ok(lock) } else { Err(TrainError::RunExists(path())) }
}

/// `1 step`, `2 steps`.
pub(super) fn counted(number: usize, singular: &str) -> String {
    format!("{number} {singular}{}", if number == 1 { "" } else { "s" })
}
