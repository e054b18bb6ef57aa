//! What is heard of frames, as rows of numbers or as slides, and what becomes of it.
//!
//! Rows are what `features` writes and any device multiplies. Where the kernels of the CPU are
//! used, nobody ever writes them: see `slides`.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::batch::{KeyBatch, hear, rows_of_tensor};
use super::config::{Alphabet, KEYS};
use super::features::{self, key_width, lower_width};
use super::network::{KeyNetwork, SpellerWeights, VelocityWeights};
use super::slides::{SlidBatch, Slide, Slides};
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::recurrent::{LayerGradients, LayerState, Memory, ProductsMemory, RecurrentLayer};

/// What a recurrent layer hears of a batch.
pub enum Heard<'a, B: Backend> {
    /// `[n_steps · n_rows · places, inputs]`
    Rows(Tensor<B, 2>),
    /// Only the first layer of a tower, and only with the fused kernels.
    Slides(SlidBatch<'a>),
}

/// What the way back needs.
pub enum HeardMemory<'a, B: Backend> {
    Rows(Memory<B>),
    Slides(SlidBatch<'a>, ProductsMemory),
}

/// What the keys of some frames hear of the frame before and of the lower ones of their own.
pub struct RowsOfKeys<B: Backend> {
    /// `[N · KEYS, key_width]`
    pub before: Tensor<B, 2>,
    /// `[N · KEYS, lower_width]`
    pub lower: Tensor<B, 2>,
}

/// The same of one frame of each row that is to be spelled: nothing yet of its own keys.
pub enum HeardOfKeys<'a, B: Backend> {
    Rows(RowsOfKeys<B>),
    Slides(&'a Slides, &'a KeyBatch),
}

impl<'a, B: Backend> Heard<'a, B> {
    /// By each tower, by slides if there are any.
    pub fn of(
        network: &KeyNetwork<B>,
        batch: &'a KeyBatch,
        slides: Option<&'a Slides>,
    ) -> Vec<Self> {
        match slides {
            Some(slides) => {
                let towers = slides.towers.iter();
                towers.map(|slide| Self::Slides(SlidBatch { slide, batch })).collect()
            }
            None => hear(network, batch).into_iter().map(Self::Rows).collect(),
        }
    }

    /// What a layer gives, and its state afterwards.
    pub fn read(
        self,
        layer: &RecurrentLayer<B>,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
    ) -> (Tensor<B, 2>, LayerState<B>) {
        match self {
            Self::Rows(x) => layer.forward(x, state, kernels),
            Self::Slides(heard) => layer.forward_products(&heard, heard.n_rows(), state, kernels),
        }
    }

    /// [`Heard::read`], keeping what the way back needs; `None` if it was cancelled.
    pub fn remember(
        self,
        layer: &RecurrentLayer<B>,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerState<B>, HeardMemory<'a, B>)> {
        match self {
            Self::Rows(x) => {
                let (y, state, memory) = layer.remember(x, state, kernels, cancel)?;
                Some((y, state, HeardMemory::Rows(memory)))
            }
            Self::Slides(heard) => {
                let n = heard.n_rows();
                let read = layer.remember_products(&heard, n, state, kernels, cancel)?;
                let (y, state, memory) = read;
                Some((y, state, HeardMemory::Slides(heard, memory)))
            }
        }
    }

    /// What is heard as rows; none if it is slides.
    pub fn rows(self) -> Option<Tensor<B, 2>> {
        match self {
            Self::Rows(x) => Some(x),
            Self::Slides(_) => None,
        }
    }
}

impl<B: Backend> HeardMemory<'_, B> {
    /// From the gradient of what a layer gave to those of its weights, and of what it heard unless
    /// that was slides, which nothing is below. `None` if it was cancelled.
    pub fn backward(
        self,
        layer: &RecurrentLayer<B>,
        output_gradient: Tensor<B, 2>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<(Option<Tensor<B, 2>>, LayerGradients<B>)> {
        match self {
            Self::Rows(memory) => {
                let (x, gradients) = layer.backward(memory, output_gradient, kernels, cancel)?;
                Some((Some(x), gradients))
            }
            Self::Slides(heard, memory) => {
                let dy = &output_gradient;
                let gradients = layer.backward_products(&heard, memory, dy, kernels, cancel)?;
                Some((None, gradients))
            }
        }
    }
}

impl<B: Backend> RowsOfKeys<B> {
    /// In some frames of a batch.
    pub fn of(
        alphabet: Alphabet,
        batch: &KeyBatch,
        frames: Range<usize>,
        device: &B::Device,
    ) -> Self {
        let (key_width, lower_width) = (key_width(alphabet), lower_width(alphabet));
        let mut before = vec![0.0; frames.len() * KEYS * key_width];
        let mut lower = vec![0.0; frames.len() * KEYS * lower_width];
        let rows = before.chunks_exact_mut(KEYS * key_width);
        let rows = rows.zip(lower.chunks_exact_mut(KEYS * lower_width));
        for (idx, (before, lower)) in frames.zip(rows) {
            let (frame_before, frame, clock) = batch.frame(idx);
            features::write_keys(alphabet, frame_before, clock, before);
            features::write_lower(alphabet, frame, lower);
        }
        Self {
            before: rows_of_tensor(before, key_width, device),
            lower: rows_of_tensor(lower, lower_width, device),
        }
    }

    /// What the speller is told of it, with the bias: `[N · KEYS, S]`.
    pub fn told(&self, weights: &SpellerWeights<B>) -> Tensor<B, 2> {
        let told = self.lower.clone().matmul(weights.lower.clone());
        told + self.before.clone().matmul(weights.before.clone()) + weights.bias.clone()
    }

    /// The gradients of the weights for the frame before, of those for the lower keys, and of the
    /// bias, given that of [`RowsOfKeys::told`].
    pub fn gradients(&self, d_told: &Tensor<B, 2>) -> [Tensor<B, 2>; 3] {
        let of_weights = |heard: &Tensor<B, 2>| heard.clone().transpose().matmul(d_told.clone());
        [of_weights(&self.before), of_weights(&self.lower), d_told.clone().sum_dim(0)]
    }
}

impl<'a, B: Backend> HeardOfKeys<'a, B> {
    /// In a batch of one time step, by slides if there are any.
    pub fn of(network: &KeyNetwork<B>, batch: &'a KeyBatch, slides: Option<&'a Slides>) -> Self {
        match slides {
            Some(slides) => Self::Slides(slides, batch),
            None => {
                let (alphabet, device) = (network.config.alphabet, network.device());
                Self::Rows(RowsOfKeys::of(alphabet, batch, 0..batch.n_rows, &device))
            }
        }
    }

    /// What the speller is told of it, with the bias: `[N · KEYS, S]`.
    pub fn told(&self, weights: &SpellerWeights<B>) -> Tensor<B, 2> {
        match self {
            Self::Rows(rows) => rows.told(weights),
            Self::Slides(slides, batch) => products(&slides.speller, batch, &weights.bias),
        }
    }

    /// What strikes of every key are told of the frame before: `[N · KEYS, U]`.
    pub fn told_to_strikes(&self, weights: &VelocityWeights<B>) -> Tensor<B, 2> {
        match self {
            Self::Rows(rows) => rows.before.clone().matmul(weights.before.clone()),
            Self::Slides(slides, batch) => {
                let slide = slides.strikes.as_ref().expect("there is one for these weights");
                products(slide, batch, &weights.bias)
            }
        }
    }
}

/// Of a batch of one time step, as wide as `bias`.
fn products<B: Backend>(slide: &Slide, batch: &KeyBatch, bias: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [_, width] = bias.dims();
    rows_of_tensor(slide.products(batch, 0..batch.n_rows), width, &bias.device())
}
