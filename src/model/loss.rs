//! A batch of either family, and what it gives: loss and gradients.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::chords::{self, ChordBatch};
use super::kernels::Kernels;
use super::keys::{self, KeyBatch};
use super::network::Network;
use super::recurrent::LayerState;
use crate::cancel::CancelToken;

/// A batch of sequences as plain numbers, for a network of its family.
#[derive(Clone, PartialEq, Debug)]
pub enum Batch {
    Chords(ChordBatch),
    Keys(KeyBatch),
}

/// What one batch gives.
pub struct BatchGradients<B: Backend> {
    /// `[1, 2]`: the summed loss of the frames, and how many were predicted right; with touch
    /// `[1, 3]`: the loss of keys and lengths, how many frames belong to a run whose keys were
    /// right, and what velocities and pedal cost.
    pub totals: Tensor<B, 2>,
    /// In the order of `NetworkConfig::parameter_shapes`.
    pub gradients: Vec<Tensor<B, 2>>,
    /// Where the rows stopped.
    pub state: Vec<LayerState<B>>,
}

/// The sequences `first..first + n` of what is laid out time-major for `n_rows` of them.
pub fn picked<T: Clone>(values: &[T], n_rows: usize, first: usize, n: usize) -> Vec<T> {
    values.chunks_exact(n_rows).flat_map(|step| step[first..first + n].iter().cloned()).collect()
}

impl Batch {
    /// Sequences.
    pub fn n_rows(&self) -> usize {
        match self {
            Self::Chords(batch) => batch.n_rows,
            Self::Keys(batch) => batch.n_rows,
        }
    }

    /// Frames that count.
    pub fn n_frames(&self) -> usize {
        match self {
            Self::Chords(batch) => batch.n_frames(),
            Self::Keys(batch) => batch.n_frames(),
        }
    }

    /// Whether each row goes on from the state that its predecessor left.
    pub fn continues(&self) -> &[bool] {
        match self {
            Self::Chords(batch) => &batch.continues,
            Self::Keys(batch) => &batch.continues,
        }
    }

    /// The rows `first..first + n` as a batch of their own.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        match self {
            Self::Chords(batch) => Self::Chords(batch.rows(first, n)),
            Self::Keys(batch) => Self::Keys(batch.rows(first, n)),
        }
    }
}

/// Forward and backward through the whole network. The gradients are those of the summed loss
/// divided by `n_frames`, which may count more than this batch when gradients are gathered. The
/// masks are those of `NetworkConfig::mask_shapes`, or none without dropout. The cancel token is
/// looked at all the time; `None` if it was cancelled.
///
/// # Panics
/// If the batch is of another family than the network.
pub fn gradients<B: Backend>(
    network: &Network<B>,
    batch: &Batch,
    state: Vec<LayerState<B>>,
    masks: &[Tensor<B, 2>],
    n_frames: usize,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<BatchGradients<B>> {
    match (network, batch) {
        (Network::Chords(network), Batch::Chords(batch)) => {
            chords::gradients(network, batch, state, masks, n_frames, kernels, cancel)
        }
        (Network::Keys(network), Batch::Keys(batch)) => {
            keys::gradients(network, batch, state, masks, n_frames, kernels, cancel)
        }
        _ => unreachable!("a run's material and its network are made of the same settings"),
    }
}
