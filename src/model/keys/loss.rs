//! The loss of a batch and its gradients through the whole network, by hand.
//!
//! For key `k` with log-odds `s`, truth `y` (1 if it sounds) and weight `w` (0 for padding):
//!
//! ```text
//! loss = w · (log(1 + eˢ) - y s)          ∂loss/∂s = w · (σ(s) - y)
//! ```
//!
//! The loss of a frame is the sum over its keys: the negative logarithm of the probability of
//! exactly this chord. With touch, what `touch` describes is added.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::backend::Backend;
use rayon::prelude::*;

use super::batch::{Asked, KeyBatch, ask, rows_of_tensor};
use super::config::{CLASSES, KEYS};
use super::heard::{Heard, HeardMemory};
use super::network::KeyNetwork;
use super::slides::Slides;
use super::spelling::Spelling;
use super::touch::{ask_touch, touch_gradients};
use crate::cancel::CancelToken;
use crate::model::DeviceKind;
use crate::model::kernels::{Kernels, Numbers};
use crate::model::loss::BatchGradients;
use crate::model::recurrent::LayerState;

/// Keys of all octaves that the classes are laid out over: the 88 and those that fill the last
/// octave up.
const LAID_OUT: usize = KEYS.div_ceil(CLASSES) * CLASSES;

/// Frames that the speller takes at a time: what it holds of them is a megabyte or so.
pub(super) const FRAMES_ON_CPU: usize = 16;
const FRAMES_ON_CARD: usize = 1024;

/// What the speller's layers gave, `[N · KEYS, S]` each, after dropout.
pub(super) struct Spelled<B: Backend> {
    pub first: Tensor<B, 2>,
    pub second: Tensor<B, 2>,
    /// `[N, KEYS · Q]`
    pub log_odds: Tensor<B, 2>,
}

/// Gradients that the speller gives back for some frames.
struct SpellerGradients<B: Backend> {
    /// As in [`BatchGradients::totals`].
    totals: Tensor<B, 2>,
    /// Of each tower's top, `[N · places, H]`.
    tops: Vec<Tensor<B, 2>>,
    /// Of the weights, in the order of `KeyConfig::parameter_shapes`.
    weights: Vec<Tensor<B, 2>>,
}

/// The rows of some time steps of what a tower gave.
pub(super) fn rows_of_steps<B: Backend>(
    top: &Tensor<B, 2>,
    batch: &KeyBatch,
    steps: Range<usize>,
) -> Tensor<B, 2> {
    let [n, width] = top.dims();
    let each = n / batch.n_steps;
    top.clone().slice([steps.start * each..steps.end * each, 0..width])
}

/// The time steps of a batch in blocks, each of which is computed by itself: on the CPU so small
/// that what the speller holds of one stays in the cache, and side by side. The blocks don't depend
/// on the number of cores, so that sums over them never do.
pub(super) fn blocks<B: Backend>(batch: &KeyBatch, kernels: &Kernels<B>) -> Vec<Range<usize>> {
    let n_frames = if kernels.is_on_cpu() { FRAMES_ON_CPU } else { FRAMES_ON_CARD };
    let n_steps = (n_frames / batch.n_rows.max(1)).max(1);
    let firsts = (0..batch.n_steps).step_by(n_steps);
    firsts.map(|first| first..(first + n_steps).min(batch.n_steps)).collect()
}

/// Most frames whose blocks the speller computes at once on a device of a kind.
pub fn frames_at_once(kind: DeviceKind) -> usize {
    match kind {
        DeviceKind::Cpu => FRAMES_ON_CPU * rayon::current_num_threads(),
        DeviceKind::Cuda | DeviceKind::Vulkan => FRAMES_ON_CARD,
    }
}

/// `work` of each block in order, on the CPU by all cores.
pub(super) fn of_blocks<B: Backend, T: Send>(
    blocks: &[Range<usize>],
    kernels: &Kernels<B>,
    work: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    match kernels.is_on_cpu() {
        true => blocks.par_iter().cloned().map(&work).collect(),
        false => blocks.iter().cloned().map(work).collect(),
    }
}

/// From the towers' tops (`[N · places, H]`) to the log-odds of every key.
pub(super) fn spell<B: Backend>(
    network: &KeyNetwork<B>,
    asked: &Asked<B>,
    tops: &[Tensor<B, 2>],
    masks: &Masks<'_, B>,
) -> Spelled<B> {
    let weights = &network.speller;
    let z = add_tops(network, asked.heard.told(weights), tops);
    let [first, second] = masks.of_speller();
    let first = dropped(relu(z), KEYS, first);
    let z = first.clone().matmul(weights.middle.clone()) + weights.middle_bias.clone();
    let second = dropped(relu(z), KEYS, second);
    let log_odds = second.clone().matmul(weights.out.clone()) + weights.out_bias.clone();
    let [n, n_questions] = log_odds.dims();
    Spelled { first, second, log_odds: log_odds.reshape([n / KEYS, KEYS * n_questions]) }
}

/// What the speller is told of every key, with what the towers tell it.
pub(super) fn add_tops<B: Backend>(
    network: &KeyNetwork<B>,
    mut told: Tensor<B, 2>,
    tops: &[Tensor<B, 2>],
) -> Tensor<B, 2> {
    let weights = &network.speller.towers;
    for ((tower, top), weights) in network.config.towers().iter().zip(tops).zip(weights) {
        let heard = top.clone().matmul(weights.clone());
        told = told + if tower.places == CLASSES { laid_out_over_keys(heard) } else { heard };
    }
    told
}

/// Negative log-likelihood of each key's truth, `[N, KEYS]`.
pub(super) fn surprise<B: Backend>(log_odds: Tensor<B, 2>, truth: Tensor<B, 2>) -> Tensor<B, 2> {
    // log(1 + eˢ) = max(s, 0) + log(1 + e^-|s|), which overflows nowhere.
    let soft = log_odds.clone().abs().neg().exp().log1p();
    relu(log_odds.clone()) + soft - log_odds * truth
}

/// What the keys of each frame cost, `[N, 1]`.
pub(super) fn surprise_of_keys<B: Backend>(
    log_odds: Tensor<B, 2>,
    asked: &Asked<B>,
) -> Tensor<B, 2> {
    asked.of_asked(surprise(log_odds, asked.truth.clone())).sum_dim(1)
}

/// `[N, 1]`: 1 for a frame of which every key's likelier state, given the true lower keys, is the
/// true one. Spelling the likeliest key by key then gives exactly this chord.
pub(super) fn right<B: Backend>(log_odds: Tensor<B, 2>, asked: &Asked<B>) -> Tensor<B, 2> {
    let answered = log_odds.greater_elem(0.0).float();
    let wrong = asked.of_asked((answered - asked.truth.clone()).abs()).sum_dim(1);
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
///
/// By `cat`, since the autodiff of burn 0.21, which tests hold the gradients against, takes the
/// gradient of `repeat_dim` for that of another order.
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
    let masks = Masks(masks);
    let slides = Slides::of(network, kernels);
    let slides = slides.as_ref();
    let heard = Heard::of(network, batch, slides);
    let Listened { tops, memories, state } =
        listen(network, heard, state, &masks, kernels, cancel)?;
    let spelling = slides.map(|slides| Spelling::of(network, &slides.speller, masks.of_speller()));
    let learn = |steps: Range<usize>| {
        if cancel.is_cancelled() {
            return None;
        }
        let tops: Vec<_> =
            tops.iter().map(|top| rows_of_steps(top, batch, steps.clone())).collect();
        let of_keys = match &spelling {
            Some(spelling) => fused_gradients(network, batch, spelling, &steps, &tops, n_frames),
            None => speller_gradients(network, batch, &steps, &tops, &masks, n_frames),
        };
        Some(with_touch(network, batch, steps, &tops, n_frames, of_keys))
    };
    let blocks = blocks(batch, kernels);
    let parts: Option<Vec<_>> = of_blocks(&blocks, kernels, learn).into_iter().collect();
    let SpellerGradients { totals, tops: d_tops, weights } = joined(parts?);

    let mut gradients = Vec::new();
    let mut memories = memories.into_iter();
    let mut n_below = 0;
    for (layers, d_top) in network.towers.iter().zip(d_tops) {
        let mut d_y = Some(d_top);
        let memories: Vec<_> = memories.by_ref().take(layers.len()).collect();
        let mut of_tower = Vec::new();
        for (idx, (layer, memory)) in layers.iter().zip(memories).enumerate().rev() {
            let dy = d_y.take().expect("only the first layer has nothing below");
            let dy = dropped(dy, 1, masks.of_layer(n_below + idx));
            let (below, gradients) = memory.backward(layer, dy, kernels, cancel)?;
            of_tower.push([gradients.input_weights, gradients.recurrent_weights, gradients.bias]);
            d_y = below;
        }
        gradients.extend(of_tower.into_iter().rev().flatten());
        n_below += layers.len();
    }
    gradients.extend(weights);
    Some(BatchGradients { totals, gradients, state })
}

/// Loss and gradients of the speller over some time steps.
fn speller_gradients<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    steps: &Range<usize>,
    tops: &[Tensor<B, 2>],
    masks: &Masks<'_, B>,
    n_frames: usize,
) -> SpellerGradients<B> {
    let device = network.device();
    let asked = ask(network.config.alphabet, batch, steps.clone(), &device);
    let Spelled { first, second, log_odds } = spell(network, &asked, tops, masks);

    let range = steps.start * batch.n_rows..steps.end * batch.n_rows;
    let n_music_frames = rows_of_tensor(batch.frames_of(range.clone()), 1, &device);
    let weights = batch.weights[range].to_vec();
    let n = weights.len();
    let weights: Tensor<B, 2> = rows_of_tensor(weights, 1, &device);
    let loss = (surprise_of_keys(log_odds.clone(), &asked) * weights.clone()).sum_dim(0);
    let n_right = (right(log_odds.clone(), &asked) * n_music_frames).sum_dim(0);

    let speller = &network.speller;
    let [first_mask, second_mask] = masks.of_speller();
    let scale = weights.div_scalar(n_frames.max(1) as f32);
    let d_odds = asked.of_asked((sigmoid(log_odds) - asked.truth.clone()) * scale);
    let d_odds = d_odds.reshape([n * KEYS, network.config.alphabet.n_questions()]);
    let d_out = second.clone().transpose().matmul(d_odds.clone());
    let d_out_bias = d_odds.clone().sum_dim(0);
    let d_z = through_relu(d_odds.matmul(speller.out.clone().transpose()), &second, second_mask);
    let d_middle = first.clone().transpose().matmul(d_z.clone());
    let d_middle_bias = d_z.clone().sum_dim(0);
    let d_z = through_relu(d_z.matmul(speller.middle.clone().transpose()), &first, first_mask);
    let of_heard = asked.heard.gradients(&d_z);

    let (mut d_tops, mut d_weights) = (Vec::new(), Vec::new());
    for ((tower, top), weights) in network.config.towers().iter().zip(tops).zip(&speller.towers) {
        let d_heard =
            if tower.places == CLASSES { gathered_by_class(d_z.clone()) } else { d_z.clone() };
        d_weights.push(top.clone().transpose().matmul(d_heard.clone()));
        d_tops.push(d_heard.matmul(weights.clone().transpose()));
    }
    d_weights.extend(of_heard);
    d_weights.extend([d_middle, d_middle_bias, d_out, d_out_bias]);
    let totals = Tensor::cat(vec![loss, n_right], 1);
    SpellerGradients { totals, tops: d_tops, weights: d_weights }
}

/// [`speller_gradients`] by the kernels of the CPU.
fn fused_gradients<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    spelling: &Spelling<'_>,
    steps: &Range<usize>,
    tops: &[Tensor<B, 2>],
    n_frames: usize,
) -> SpellerGradients<B> {
    let device = network.device();
    let tops: Vec<Numbers> = tops.iter().map(Numbers::of).collect();
    let tops: Vec<&[f32]> = tops.iter().map(|top| &**top).collect();
    let frames = steps.start * batch.n_rows..steps.end * batch.n_rows;
    let learned = spelling.learn(batch, frames, &tops, n_frames);
    let rows = |values, width| rows_of_tensor::<B>(values, width, &device);
    let width = network.config.spell_hidden;
    let towers = network.config.towers();
    let d_tops = towers.iter().zip(learned.tops).map(|(tower, top)| rows(top, tower.hidden));
    let mut weights: Vec<_> = learned.towers.into_iter().map(|it| rows(it, width)).collect();
    let heard = rows(learned.heard, width);
    let speller = &network.speller;
    let mut first = 0;
    for part in [&speller.before, &speller.lower, &speller.bias] {
        let n = part.dims()[0];
        weights.push(heard.clone().narrow(0, first, n));
        first += n;
    }
    weights.extend([rows(learned.middle, width), rows(learned.middle_bias, width)]);
    let out_bias = rows(learned.out_bias, network.config.alphabet.n_questions());
    weights.extend([rows(learned.out, width).transpose(), out_bias]);
    let totals = rows(vec![learned.keys.loss() as f32, learned.keys.n_right as f32], 2);
    SpellerGradients { totals, tops: d_tops.collect(), weights }
}

/// Adds what is learned of touch in the same time steps.
fn with_touch<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    steps: Range<usize>,
    tops: &[Tensor<B, 2>],
    n_frames: usize,
    of_keys: SpellerGradients<B>,
) -> SpellerGradients<B> {
    let Some(touch) = &network.touch else { return of_keys };
    let SpellerGradients { totals, tops: d_tops, mut weights } = of_keys;
    let asked = ask_touch(batch, steps, &network.device());
    let given = touch_gradients(network, touch, &asked, tops, n_frames);
    let n_right = totals.clone().narrow(1, 1, 1);
    let loss = totals.narrow(1, 0, 1) + given.loss.length;
    let totals = Tensor::cat(vec![loss, n_right, given.loss.velocity + given.loss.pedal], 1);
    let tops = d_tops.into_iter().zip(given.tops).map(|(sum, of_touch)| sum + of_touch).collect();
    weights.extend(given.weights);
    SpellerGradients { totals, tops, weights }
}

/// The gradients of all blocks together, summed in order.
fn joined<B: Backend>(parts: Vec<SpellerGradients<B>>) -> SpellerGradients<B> {
    let mut tops: Vec<Vec<Tensor<B, 2>>> = Vec::new();
    let mut sum: Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> = None;
    for part in parts {
        tops.resize_with(part.tops.len(), Vec::new);
        tops.iter_mut().zip(part.tops).for_each(|(tops, top)| tops.push(top));
        sum = Some(match sum {
            None => (part.totals, part.weights),
            Some((totals, weights)) => {
                let weights = weights.into_iter().zip(part.weights);
                (totals + part.totals, weights.map(|(sum, part)| sum + part).collect())
            }
        });
    }
    let (totals, weights) = sum.expect("a batch has at least one step");
    let tops = tops.into_iter().map(|blocks| Tensor::cat(blocks, 0)).collect();
    SpellerGradients { totals, tops, weights }
}

/// The gradient before a rectifier and its dropout, given that of what came out of both.
pub(super) fn through_relu<B: Backend>(
    gradient: Tensor<B, 2>,
    output: &Tensor<B, 2>,
    mask: Option<&Tensor<B, 2>>,
) -> Tensor<B, 2> {
    let passed = gradient * output.clone().greater_elem(0.0).float();
    dropped(passed, KEYS, mask)
}

/// What the towers said of a batch.
struct Listened<'a, B: Backend> {
    /// Of each tower, `[n_steps · n_rows · places, H]`, after dropout.
    tops: Vec<Tensor<B, 2>>,
    /// What the way back needs, by tower and layer.
    memories: Vec<HeardMemory<'a, B>>,
    /// Where the layers stopped.
    state: Vec<LayerState<B>>,
}

/// `None` if it was cancelled.
fn listen<'a, B: Backend>(
    network: &KeyNetwork<B>,
    heard: Vec<Heard<'a, B>>,
    state: Vec<LayerState<B>>,
    masks: &Masks<'_, B>,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<Listened<'a, B>> {
    let (mut tops, mut memories, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let mut state = state.into_iter();
    for (layers, mut x) in network.towers.iter().zip(heard) {
        for layer in layers {
            let before = state.next().expect("a state for every layer");
            let (y, next, memory) = x.remember(layer, before, kernels, cancel)?;
            x = Heard::Rows(dropped(y, 1, masks.of_layer(after.len())));
            after.push(next);
            memories.push(memory);
        }
        tops.push(x.rows().expect("a tower has at least one layer"));
    }
    Some(Listened { tops, memories, state: after })
}

/// The same without going back.
pub(super) fn read<B: Backend>(
    network: &KeyNetwork<B>,
    heard: Vec<Heard<'_, B>>,
    state: Vec<LayerState<B>>,
    kernels: &mut Kernels<B>,
) -> (Vec<Tensor<B, 2>>, Vec<LayerState<B>>) {
    let (mut tops, mut after) = (Vec::new(), Vec::new());
    let mut state = state.into_iter();
    for (layers, mut x) in network.towers.iter().zip(heard) {
        for layer in layers {
            let before = state.next().expect("a state for every layer");
            let (y, next) = x.read(layer, before, kernels);
            after.push(next);
            x = Heard::Rows(y);
        }
        tops.push(x.rows().expect("a tower has at least one layer"));
    }
    (tops, after)
}
