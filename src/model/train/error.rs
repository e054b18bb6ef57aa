//! Why a training can't begin or go on, in words for the user.

use std::io;
use std::path::PathBuf;

use super::super::checkpoint::CheckpointError;
use super::super::{RunError, SettingsError};
use super::counted;
use crate::files::plain_reason;
use crate::tokens::SplitError;

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
