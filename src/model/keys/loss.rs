//! The loss of a batch and its gradients through the whole network, by hand.
//!
//! For key `k` with log-odds `s`, truth `y` (1 if it sounds) and weight `w` (0 for padding):
//!
//! ```text
//! loss = w · (log(1 + eˢ) - y s)          ∂loss/∂s = w · (σ(s) - y)
//! ```
//!
//! The loss of a frame is the sum over its keys: the negative logarithm of the probability of
//! exactly this chord.

use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::config::{CLASSES, KEYS};
use super::features::{self, CLASS_WIDTH, KEY_WIDTH, Keys, LOWER_WIDTH};
use super::network::KeyNetwork;
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::loss::BatchGradients;
use crate::model::recurrent::{LayerState, Memory};
use crate::tokens::Chord;

/// Keys of all octaves that the classes are laid out over: the 88 and those that fill the last
/// octave up.
const LAID_OUT: usize = KEYS.div_ceil(CLASSES) * CLASSES;

/// A batch of sequences, time-major.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyBatch {
    pub n_rows: usize,
    pub n_steps: usize,
    /// `(n_steps + 1) · n_rows` chords: the frame before the first, then those to predict.
    pub sounding: Vec<Chord>,
    /// Of each row the number of its first frame to predict within its piece.
    pub first: Vec<u32>,
    /// `n_steps · n_rows`: 1 for a frame to be learned or measured, 0 for padding.
    pub weights: Vec<f32>,
    /// Whether the row goes on from the state that its predecessor left.
    pub continues: Vec<bool>,
}

/// What a network hears and is asked, as tensors; `N` frames are `n_steps · n_rows`.
pub(super) struct Heard<B: Backend> {
    /// For each tower, `[N · places, inputs]`.
    pub towers: Vec<Tensor<B, 2>>,
    /// `[N · KEYS, KEY_WIDTH]`
    pub before: Tensor<B, 2>,
    /// `[N · KEYS, LOWER_WIDTH]`
    pub lower: Tensor<B, 2>,
    /// `[N, KEYS]`: 1 for the keys that sound.
    pub truth: Tensor<B, 2>,
}

/// What the speller's layers gave, `[N · KEYS, S]` each, after dropout.
pub(super) struct Spelled<B: Backend> {
    pub first: Tensor<B, 2>,
    pub second: Tensor<B, 2>,
    /// `[N, KEYS]`
    pub log_odds: Tensor<B, 2>,
}

impl KeyBatch {
    /// Frames that count.
    pub fn n_frames(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight > 0.0).count()
    }

    /// The rows `first..first + n` as a batch of their own.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        let pick = |t: usize| t * self.n_rows + first..t * self.n_rows + first + n;
        let sounding = (0..=self.n_steps).flat_map(|t| self.sounding[pick(t)].iter().copied());
        let weights = (0..self.n_steps).flat_map(|t| self.weights[pick(t)].iter().copied());
        Self {
            n_rows: n,
            n_steps: self.n_steps,
            sounding: sounding.collect(),
            first: self.first[first..first + n].to_vec(),
            weights: weights.collect(),
            continues: self.continues[first..first + n].to_vec(),
        }
    }

    /// The frame before frame `idx` (time-major), that frame, and its number in its piece.
    fn frame(&self, idx: usize) -> (Keys, Keys, u32) {
        let clock = self.first[idx % self.n_rows].saturating_add((idx / self.n_rows) as u32);
        let keys = |idx: usize| Keys::of(self.sounding[idx]);
        (keys(idx), keys(idx + self.n_rows), clock)
    }
}

/// Lays a batch out for a network.
pub(super) fn hear<B: Backend>(network: &KeyNetwork<B>, batch: &KeyBatch) -> Heard<B> {
    let device = network.device();
    let n = batch.n_steps * batch.n_rows;
    let tensor = |values: Vec<f32>, width: usize| {
        let rows = values.len() / width;
        Tensor::<B, 2>::from_data(TensorData::new(values, [rows, width]), &device)
    };
    let before = features::write_all(n, KEYS * KEY_WIDTH, |idx, rows| {
        let (before, _, clock) = batch.frame(idx);
        features::write_keys(before, clock, rows);
    });
    let classes = features::write_all(n, CLASSES * CLASS_WIDTH, |idx, rows| {
        let (before, _, clock) = batch.frame(idx);
        features::write_classes(before, clock, rows);
    });
    let lower = features::write_all(n, KEYS * LOWER_WIDTH, |idx, rows| {
        features::write_lower(batch.frame(idx).1, rows);
    });
    let truth = features::write_all(n, KEYS, |idx, row| {
        batch.frame(idx).1.iter().for_each(|key| row[key] = 1.0);
    });
    let before = tensor(before, KEY_WIDTH);
    let classes = tensor(classes, CLASS_WIDTH);
    let towers = network.config.towers();
    let heard = |tower: &super::config::Tower| {
        if tower.places == CLASSES { classes.clone() } else { before.clone() }
    };
    Heard {
        towers: towers.iter().map(heard).collect(),
        before,
        lower: tensor(lower, LOWER_WIDTH),
        truth: tensor(truth, KEYS),
    }
}

/// From the towers' tops (`[N · places, H]`) to the log-odds of every key.
pub(super) fn spell<B: Backend>(
    network: &KeyNetwork<B>,
    heard: &Heard<B>,
    tops: &[Tensor<B, 2>],
    masks: &Masks<'_, B>,
) -> Spelled<B> {
    let weights = &network.speller;
    let mut z = heard.before.clone().matmul(weights.before.clone())
        + heard.lower.clone().matmul(weights.lower.clone())
        + weights.bias.clone();
    for ((tower, top), weights) in network.config.towers().iter().zip(tops).zip(&weights.towers) {
        let heard = top.clone().matmul(weights.clone());
        z = z + if tower.places == CLASSES { laid_out_over_keys(heard) } else { heard };
    }
    let [first, second] = masks.of_speller();
    let first = dropped(relu(z), KEYS, first);
    let z = first.clone().matmul(weights.middle.clone()) + weights.middle_bias.clone();
    let second = dropped(relu(z), KEYS, second);
    let log_odds = second.clone().matmul(weights.out.clone()) + weights.out_bias.clone();
    let n_frames = log_odds.dims()[0] / KEYS;
    Spelled { first, second, log_odds: log_odds.reshape([n_frames, KEYS]) }
}

/// Negative log-likelihood of each key's truth, `[N, KEYS]`.
pub(super) fn surprise<B: Backend>(log_odds: Tensor<B, 2>, truth: Tensor<B, 2>) -> Tensor<B, 2> {
    // log(1 + eˢ) = max(s, 0) + log(1 + e^-|s|), which overflows nowhere.
    let soft = log_odds.clone().abs().neg().exp().log1p();
    relu(log_odds.clone()) + soft - log_odds * truth
}

/// `[N, 1]`: 1 for a frame of which every key's likelier state, given the true lower keys, is the
/// true one. Spelling the likeliest key by key then gives exactly this chord.
pub(super) fn right<B: Backend>(log_odds: Tensor<B, 2>, truth: Tensor<B, 2>) -> Tensor<B, 2> {
    let sounds = log_odds.greater_elem(0.0).float();
    let wrong = (sounds - truth).abs().sum_dim(1);
    wrong.lower_elem(0.5).float()
}

/// Dropout as factors, in the order of `KeyConfig::mask_shapes`; empty without. Each stays the same
/// at every time step (Gal & Ghahramani 2016), and the speller's for all keys of a sequence.
pub(super) struct Masks<'a, B: Backend>(pub &'a [Tensor<B, 2>]);

impl<B: Backend> Masks<'_, B> {
    fn of_layer(&self, idx: usize) -> Option<&Tensor<B, 2>> {
        self.0.get(idx)
    }

    fn of_speller(&self) -> [Option<&Tensor<B, 2>>; 2] {
        match self.0 {
            [.., first, second] => [Some(first), Some(second)],
            _ => [None, None],
        }
    }
}

/// `x` (`[T · rows · each, W]`) times a mask for each of `rows` (`[rows, W]`), the same at every
/// time step and for `each` neighbors.
fn dropped<B: Backend>(x: Tensor<B, 2>, each: usize, mask: Option<&Tensor<B, 2>>) -> Tensor<B, 2> {
    let Some(mask) = mask else { return x };
    let [n_rows, width] = mask.dims();
    let n = x.dims()[0];
    let x = x.reshape([n / (n_rows * each), n_rows, each, width]);
    (x * mask.clone().reshape([1, n_rows, 1, width])).reshape([n, width])
}

/// A row for each class becomes one for each key of it: `[N · CLASSES, W]` → `[N · KEYS, W]`.
pub(super) fn laid_out_over_keys<B: Backend>(of_classes: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, width] = of_classes.dims();
    let n = rows / CLASSES;
    let octave = of_classes.reshape([n, CLASSES, width]);
    let octaves = Tensor::cat(vec![octave; LAID_OUT / CLASSES], 1);
    octaves.slice([0..n, 0..KEYS, 0..width]).reshape([n * KEYS, width])
}

/// The gradient of [`laid_out_over_keys`]: the sum over the keys of each class.
fn gathered_by_class<B: Backend>(of_keys: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, width] = of_keys.dims();
    let n = rows / KEYS;
    let zeros = Tensor::zeros([n, LAID_OUT - KEYS, width], &of_keys.device());
    let octaves = Tensor::cat(vec![of_keys.reshape([n, KEYS, width]), zeros], 1);
    let octaves = octaves.reshape([n, LAID_OUT / CLASSES, CLASSES, width]);
    octaves.sum_dim(1).reshape([n * CLASSES, width])
}

/// Forward and backward through the whole network. The gradients, in the order of
/// `KeyConfig::parameter_shapes`, are those of the summed loss divided by `n_frames`, which may
/// count more than this batch when gradients are gathered. `None` if it was cancelled.
pub fn gradients<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    state: Vec<LayerState<B>>,
    masks: &[Tensor<B, 2>],
    n_frames: usize,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<BatchGradients<B>> {
    let device = network.device();
    let masks = Masks(masks);
    let heard = hear(network, batch);
    let (tops, memories, state) = listen(network, &heard, state, &masks, kernels, cancel)?;
    let Spelled { first, second, log_odds } = spell(network, &heard, &tops, &masks);

    let n = batch.weights.len();
    let weights = Tensor::from_data(TensorData::new(batch.weights.clone(), [n, 1]), &device);
    let loss = surprise(log_odds.clone(), heard.truth.clone()).sum_dim(1) * weights.clone();
    let n_right = right(log_odds.clone(), heard.truth.clone()) * weights.clone();
    let totals = Tensor::cat(vec![loss.sum_dim(0), n_right.sum_dim(0)], 1);

    let scale = weights.div_scalar(n_frames.max(1) as f32);
    let d_odds = (sigmoid(log_odds) - heard.truth.clone()) * scale;
    let d_odds = d_odds.reshape([n * KEYS, 1]);
    let speller = &network.speller;
    let [first_mask, second_mask] = masks.of_speller();
    let d_out = second.clone().transpose().matmul(d_odds.clone());
    let d_out_bias = d_odds.clone().sum_dim(0);
    let d_second = d_odds.matmul(speller.out.clone().transpose());
    let d_z = through_relu(d_second, &second, second_mask);
    let d_middle = first.clone().transpose().matmul(d_z.clone());
    let d_middle_bias = d_z.clone().sum_dim(0);
    let d_first = d_z.matmul(speller.middle.clone().transpose());
    let d_z = through_relu(d_first, &first, first_mask);
    let d_bias = d_z.clone().sum_dim(0);
    let d_before = heard.before.clone().transpose().matmul(d_z.clone());
    let d_lower = heard.lower.clone().transpose().matmul(d_z.clone());
    if cancel.is_cancelled() {
        return None;
    }

    let mut of_layers = Vec::new();
    let mut d_towers = Vec::new();
    let towers = network.config.towers();
    let mut memories = memories.into_iter();
    let mut mask = 0;
    for (((tower, layers), top), weights) in
        towers.iter().zip(&network.towers).zip(&tops).zip(&speller.towers)
    {
        let d_heard =
            if tower.places == CLASSES { gathered_by_class(d_z.clone()) } else { d_z.clone() };
        d_towers.push(top.clone().transpose().matmul(d_heard.clone()));
        let mut d_x = d_heard.matmul(weights.clone().transpose());
        let memories: Vec<_> = memories.by_ref().take(layers.len()).collect();
        let mut of_tower = Vec::new();
        for (idx, (layer, memory)) in layers.iter().zip(memories).enumerate().rev() {
            d_x = dropped(d_x, 1, masks.of_layer(mask + idx));
            let (below, gradients) = layer.backward(memory, d_x, kernels, cancel)?;
            of_tower.push([gradients.input_weights, gradients.recurrent_weights, gradients.bias]);
            d_x = below;
        }
        of_layers.extend(of_tower.into_iter().rev().flatten());
        mask += layers.len();
    }
    let mut gradients = of_layers;
    gradients.extend(d_towers);
    gradients.extend([d_before, d_lower, d_bias, d_middle, d_middle_bias, d_out, d_out_bias]);
    Some(BatchGradients { totals, gradients, state })
}

/// The gradient before a rectifier and its dropout, given that of what came out of both.
fn through_relu<B: Backend>(
    gradient: Tensor<B, 2>,
    output: &Tensor<B, 2>,
    mask: Option<&Tensor<B, 2>>,
) -> Tensor<B, 2> {
    let passed = gradient * output.clone().greater_elem(0.0).float();
    dropped(passed, KEYS, mask)
}

/// What the towers' tops say of every frame, after dropout, with what the way back needs.
#[expect(clippy::type_complexity, reason = "tops, memories and states, each by tower and layer")]
fn listen<B: Backend>(
    network: &KeyNetwork<B>,
    heard: &Heard<B>,
    state: Vec<LayerState<B>>,
    masks: &Masks<'_, B>,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<(Vec<Tensor<B, 2>>, Vec<Memory<B>>, Vec<LayerState<B>>)> {
    let (mut tops, mut memories, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let mut state = state.into_iter();
    for (layers, heard) in network.towers.iter().zip(&heard.towers) {
        let mut x = heard.clone();
        for layer in layers {
            let before = state.next().expect("a state for every layer");
            let (y, next, memory) = layer.remember(x, before, kernels, cancel)?;
            x = dropped(y, 1, masks.of_layer(after.len()));
            after.push(next);
            memories.push(memory);
        }
        tops.push(x);
    }
    Some((tops, memories, after))
}

/// The same without going back.
pub(super) fn read<B: Backend>(
    network: &KeyNetwork<B>,
    heard: &[Tensor<B, 2>],
    state: Vec<LayerState<B>>,
    kernels: &mut Kernels<B>,
) -> (Vec<Tensor<B, 2>>, Vec<LayerState<B>>) {
    let (mut tops, mut after) = (Vec::new(), Vec::new());
    let mut state = state.into_iter();
    for (layers, heard) in network.towers.iter().zip(heard) {
        let mut x = heard.clone();
        for layer in layers {
            let before = state.next().expect("a state for every layer");
            let (y, next) = layer.forward(x, before, kernels);
            after.push(next);
            x = y;
        }
        tops.push(x);
    }
    (tops, after)
}
