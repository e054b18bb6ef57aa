//! A training, ready to begin on whatever device.

use super::super::batches::Layout;
use super::super::kernels::KernelChoice;
use super::super::material::Material;
use super::super::measured::Yardstick;
use super::super::network::NetworkConfig;
use super::super::run::{RunFolder, RunSummary};
use super::super::{Prepared, StartingPoint, TrainError, TrainingSettings, memory};
use super::TrainingState;
use crate::cancel::CancelToken;
use crate::tokens::BackOff;

/// A training, ready to begin on whatever device.
pub struct Job<'a> {
    pub settings: &'a TrainingSettings,
    pub config: NetworkConfig,
    pub layout: Layout,
    /// Rows of a batch that are computed at a time.
    pub micro_batch: usize,
    pub material: Material,
    pub backoff: BackOff,
    /// Nats per frame that the back-off adds to the loss of the music to learn from; 0 where there
    /// is no vocabulary.
    pub escape_price: f64,
    pub folder: RunFolder,
    pub summary: RunSummary,
    pub is_resumed: bool,
    /// What a new run goes on from; none for a fresh network and when resuming.
    pub from: Option<&'a StartingPoint>,
    pub device_reason: Option<String>,
    pub cancel: &'a CancelToken,
    pub kernels: KernelChoice,
    /// Rows at a time beyond which the memory is said to run out.
    #[cfg(test)]
    pub fails_above: Option<usize>,
}

impl Job<'_> {
    pub(super) fn write(
        &self,
        write: impl FnOnce(&RunFolder, &Self) -> std::io::Result<()>,
    ) -> Result<(), TrainError> {
        let path = || self.folder.path().to_owned();
        write(&self.folder, self).map_err(|source| TrainError::Write { path: path(), source })
    }

    /// What is needed where so many rows are computed at a time.
    pub(super) fn memory_bytes(&self, n_rows: usize) -> u64 {
        let (dropout, kind) = (self.settings.dropout, self.summary.device_kind);
        memory::estimate(&self.config, &self.layout, n_rows, dropout, kind)
    }

    pub(super) fn yardstick(&self) -> Yardstick<'_> {
        self.material.yardstick(&self.backoff)
    }

    /// What is known before the first step of a run that goes on from `state`, if from any.
    pub(super) fn prepared(&self, state: Option<&TrainingState>) -> Prepared {
        let corpus = &self.summary.corpus;
        Prepared {
            device: self.summary.device.clone(),
            device_reason: self.device_reason.clone(),
            parameters: self.summary.parameters,
            vocabulary: self.config.vocabulary(),
            train_frames: corpus.train_frames,
            valid_frames: corpus.valid_frames,
            test_frames: corpus.test_frames,
            coverage: self.material.coverage(),
            has_touch: self.settings.has_touch(),
            batch: self.layout.batch,
            steps_per_epoch: self.layout.n_steps,
            memory_bytes: self.memory_bytes(self.micro_batch),
            baselines: self.summary.baselines,
            first_epoch: state.map_or(1, |state| state.epochs_done + 1),
        }
    }
}
