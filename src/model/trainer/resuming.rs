//! What a run goes on from.

use std::path::PathBuf;

use super::super::checkpoint::{Manifest, read_checkpoint, read_manifest};
use super::super::run::RunFolder;
use super::super::train::counted;
use super::super::weights::TensorMap;
use super::super::{CheckpointError, ModelCard, TrainError};
use super::TrainingState;

/// The checkpoint to go on from.
pub struct Newest {
    pub state: TrainingState,
    pub tensors: TensorMap,
    path: PathBuf,
    /// Why a newer one isn't it.
    passed_over: Option<CheckpointError>,
}

impl Newest {
    /// What the user should know: more is learned again than was asked for.
    pub fn note(&self) -> Option<String> {
        let why = self.passed_over.as_ref()?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        Some(format!(
            "{}; going on from {name}, after {}",
            why.without_advice(),
            counted(self.state.epochs_done, "epoch")
        ))
    }
}

/// The checkpoint with the most steps. One that can't be read is passed over for an older one;
/// `None` when nothing was learned yet.
///
/// # Errors
/// When there were checkpoints and none of them can be used.
pub fn newest_checkpoint(folder: &RunFolder) -> Result<Option<Newest>, TrainError> {
    let mut newest: Option<Newest> = None;
    let mut failure: Option<CheckpointError> = None;
    let run = || folder.path().to_owned();
    for (idx, path) in folder.to_resume_from().into_iter().enumerate() {
        // A program that was killed may leave a part of an epoch beside the whole one.
        if idx >= 2 && newest.is_some() {
            break;
        }
        match read_checkpoint(&path) {
            Ok((Manifest { training: Some(state), .. }, tensors)) => {
                if newest.as_ref().is_none_or(|newest| newest.state.step < state.step) {
                    let passed_over = failure.take();
                    newest = Some(Newest { state, tensors, path, passed_over });
                }
            }
            Ok(_) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match (newest, failure) {
        (None, Some(CheckpointError::Unusable { source, .. })) => {
            Err(CheckpointError::NoneUsable { run: run(), source }.into())
        }
        (None, Some(failure)) => Err(failure.into()),
        // The metrics of an epoch are written a moment before its checkpoint.
        (None, None) if folder.read_metrics().len() > 1 => Err(CheckpointError::Gone(run()).into()),
        (newest, _) => Ok(newest),
    }
}

/// What the network of a run is, without reading its numbers: all its checkpoints say the same.
/// `None` when nothing was learned yet.
///
/// # Errors
/// When there were checkpoints and none of them can be used.
pub fn newest_card(folder: &RunFolder) -> Result<Option<ModelCard>, TrainError> {
    let mut failure: Option<CheckpointError> = None;
    for path in folder.to_resume_from() {
        match read_manifest(&path) {
            Ok(Manifest { card, training: Some(_) }) => return Ok(Some(card)),
            Ok(_) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        None => Ok(None),
        Some(CheckpointError::Unusable { source, .. }) => {
            Err(CheckpointError::NoneUsable { run: folder.path().to_owned(), source }.into())
        }
        Some(failure) => Err(failure.into()),
    }
}
