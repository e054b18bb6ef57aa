//! Measuring a network of either family on stretches of music, every frame counted.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::chords::{self, ChordYardstick};
use super::kernels::Kernels;
use super::keys;
use super::keys::KeyPiece;
use super::material::key_piece;
use super::network::Network;
use super::recurrent::LayerState;
use crate::cancel::CancelToken;
use crate::tokens::{Music, Stretch};

/// Sums over frames.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Measured {
    /// Summed negative log-likelihood of the frames' keys, in nats: of which keys sound, which are
    /// struck, and how long nothing changes.
    pub nll: f64,
    /// How much of it is the last of these: 0 for a network without touch.
    pub nll_length: f64,
    /// The same of the velocities of struck keys, and of the pedal: 0 for a network without touch.
    pub nll_velocity: f64,
    pub nll_pedal: f64,
    /// `nll` if the piece's own past may answer too; none for a network that says more of a frame than
    /// which keys sound.
    pub nll_recalled: Option<f64>,
    /// With touch, frames of runs whose keys were predicted right when they began.
    pub n_right: usize,
    pub n_frames: usize,
    /// Frames whose chord the vocabulary doesn't have.
    pub n_unseen: usize,
}

/// What a network of a family is measured with.
#[derive(Clone, Copy)]
pub enum Yardstick<'a> {
    Chords(ChordYardstick<'a>),
    Keys(&'a Music),
}

impl Measured {
    /// Mean loss in nats per frame: that of the keys, which alone perplexities are made of.
    pub fn loss(&self) -> f64 {
        self.per_frame(self.nll)
    }

    /// What the velocities of struck keys cost, in nats per frame and not per strike: so the parts
    /// of a frame add up.
    pub fn velocity_loss(&self) -> f64 {
        self.per_frame(self.nll_velocity)
    }

    /// How much of the loss says how long nothing changes, in nats per frame.
    pub fn length_loss(&self) -> f64 {
        self.per_frame(self.nll_length)
    }

    /// What the pedal costs, in nats per frame.
    pub fn pedal_loss(&self) -> f64 {
        self.per_frame(self.nll_pedal)
    }

    /// The loss if the piece's own past may answer too.
    pub fn recall_loss(&self) -> Option<f64> {
        self.nll_recalled.map(|nll| self.per_frame(nll))
    }

    fn per_frame(&self, nll: f64) -> f64 {
        nll / self.n_frames.max(1) as f64
    }

    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }

    pub fn accuracy(&self) -> f64 {
        self.n_right as f64 / self.n_frames.max(1) as f64
    }
}

/// Each stretch is read from its first frame to its last with the state carried, the first frame
/// predicted from a rest. `None` if it was cancelled.
///
/// # Panics
/// If the yardstick is that of another family than the network's.
pub fn measure<B: Backend>(
    network: &Network<B>,
    yardstick: Yardstick<'_>,
    stretches: &[Stretch],
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<Measured> {
    match (network, yardstick) {
        (Network::Chords(network), Yardstick::Chords(yardstick)) => {
            chords::measure(network, yardstick, stretches, kernels, cancel)
        }
        (Network::Keys(network), Yardstick::Keys(music)) => {
            let longest_run = network.config.alphabet.longest_run();
            let has_clock = network.config.has_clock;
            let all = |stretch: &Stretch| key_piece(music, stretch, longest_run, has_clock);
            let pieces: Vec<KeyPiece> = stretches.iter().map(all).collect();
            keys::measure(network, &pieces, kernels, cancel)
        }
        _ => unreachable!("whoever measures makes the yardstick for the network's family"),
    }
}

/// The first rows of a layer's state.
pub fn keep_rows<B: Backend>(state: LayerState<B>, n_rows: usize) -> LayerState<B> {
    let keep = |tensor: Tensor<B, 2>| {
        let [rows, columns] = tensor.dims();
        if rows == n_rows { tensor } else { tensor.slice([0..n_rows, 0..columns]) }
    };
    LayerState { hidden: keep(state.hidden), cell: keep(state.cell) }
}
