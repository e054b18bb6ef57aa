//! Measuring a network of the second family, every frame counted.
//!
//! As in [`crate::model::measured`]: each piece is read from its first frame to its last with the
//! state carried, the first frame predicted from a rest.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::batch::{KeyBatch, ask};
use super::config::Alphabet;
use super::heard::Heard;
use super::loss::{Masks, blocks, of_blocks, read, right, rows_of_steps, spell, surprise_of_keys};
use super::network::KeyNetwork;
use super::recall::Recall;
use super::slides::Slides;
use super::spelling::{OfKeys, Spelling};
use super::touch::{ask_touch, touch_loss};
use crate::cancel::CancelToken;
use crate::model::kernels::{Kernels, Numbers};
use crate::model::measured::{Measured, keep_rows};
use crate::model::recurrent::LayerState;
use crate::model::weights::numbers;
use crate::tokens::KeyFrame;

/// Pieces read side by side.
const MAX_ROWS: usize = 16;
/// Most frames read between two looks at the cancel token.
const MAX_FRAMES: usize = 256;

/// A piece as a network of the second family reads it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyPiece {
    pub frames: Vec<KeyFrame>,
    /// How many frames of the music each of them lasts; empty where each is one.
    pub lengths: Vec<u32>,
    /// The place of every frame on the grid; empty for music that is on none.
    pub clocks: Vec<u32>,
}

/// `None` if it was cancelled.
pub fn measure<B: Backend>(
    network: &KeyNetwork<B>,
    pieces: &[KeyPiece],
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<Measured> {
    let mut order: Vec<&KeyPiece> = pieces.iter().filter(|it| !it.frames.is_empty()).collect();
    order.sort_by_key(|piece| std::cmp::Reverse(piece.frames.len()));
    let mut measured = Measured::default();
    let slides = Slides::of(network, kernels);
    let spelling =
        slides.as_ref().map(|slides| Spelling::of(network, &slides.speller, [None, None]));
    let fused = slides.as_ref().zip(spelling.as_ref());
    for group in order.chunks(MAX_ROWS) {
        let longest = group.first().map_or(0, |piece| piece.frames.len());
        let mut state = network.zero_state(group.len());
        let mut recalls = vec![Recall::default(); group.len()];
        let mut first = 0;
        while first < longest {
            if cancel.is_cancelled() {
                return None;
            }
            let is_going_on = |piece: &&KeyPiece| piece.frames.len() > first;
            let reading: Vec<&KeyPiece> = group.iter().copied().take_while(is_going_on).collect();
            let n_steps = (MAX_FRAMES / reading.len()).min(longest - first);
            state = keep_rows_of(network, state, reading.len());
            let batch = block(&reading, first, n_steps);
            let (found, left) = measure_block(network, &batch, fused, state, kernels);
            state = left;
            if network.config.alphabet == Alphabet::OffOn {
                let each = found.iter().flat_map(|found| &found.keys.each);
                *measured.nll_recalled.get_or_insert(0.0) += recall(&batch, each, &mut recalls);
            }
            add(&mut measured, batch.n_frames(), found);
            first += n_steps;
        }
    }
    Some(measured)
}

/// The frames `first..first + n_steps` of pieces, the longest first.
fn block(pieces: &[&KeyPiece], first: usize, n_steps: usize) -> KeyBatch {
    let frame = |piece: &KeyPiece, idx: usize| piece.frames.get(idx).cloned().unwrap_or_default();
    let before = |piece: &&KeyPiece| {
        first.checked_sub(1).map_or_else(KeyFrame::default, |idx| frame(piece, idx))
    };
    let mut batch = KeyBatch {
        n_rows: pieces.len(),
        n_steps,
        frames: pieces.iter().map(before).collect(),
        lengths: Vec::new(),
        clocks: Vec::new(),
        weights: Vec::with_capacity(n_steps * pieces.len()),
        continues: vec![first > 0; pieces.len()],
    };
    let has_lengths = pieces.iter().all(|piece| piece.lengths.len() == piece.frames.len());
    if has_lengths {
        let length = |piece: &KeyPiece, idx: usize| piece.lengths.get(idx).copied().unwrap_or(1);
        let before = first.checked_sub(1);
        let of_before = pieces.iter().map(|piece| before.map_or(1, |idx| length(piece, idx)));
        batch.lengths.extend(of_before);
        for idx in first..first + n_steps {
            batch.lengths.extend(pieces.iter().map(|piece| length(piece, idx)));
        }
    }
    let has_clocks = pieces.iter().all(|piece| piece.clocks.len() == piece.frames.len());
    for idx in first..first + n_steps {
        batch.frames.extend(pieces.iter().map(|piece| frame(piece, idx)));
        let is_there = |piece: &&KeyPiece| f32::from(u8::from(idx < piece.frames.len()));
        batch.weights.extend(pieces.iter().map(is_there));
        if has_clocks {
            let clock = |piece: &&KeyPiece| piece.clocks.get(idx).copied().unwrap_or(0);
            batch.clocks.extend(pieces.iter().map(clock));
        }
    }
    batch
}

/// What some frames cost together.
struct Found {
    keys: OfKeys,
    velocity: f32,
    pedal: f32,
    length: f32,
}

/// Reads a block: what its frames cost, a part after the other, and the state at its end.
fn measure_block<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    fused: Option<(&Slides, &Spelling)>,
    state: Vec<LayerState<B>>,
    kernels: &mut Kernels<B>,
) -> (Vec<Found>, Vec<LayerState<B>>) {
    let heard = Heard::of(network, batch, fused.map(|(slides, _)| slides));
    let (tops, state) = read(network, heard, state, kernels);
    let sum = |tensor: Tensor<B, 2>| numbers(tensor.into_data())[0];
    let found = of_blocks(&blocks(batch, kernels), kernels, |steps| {
        let tops: Vec<_> =
            tops.iter().map(|top| rows_of_steps(top, batch, steps.clone())).collect();
        let keys = match fused {
            Some((_, spelling)) => fused_keys(batch, spelling, &steps, &tops),
            None => keys_of(network, batch, &steps, &tops),
        };
        let Some(touch) = &network.touch else {
            return Found { keys, velocity: 0.0, pedal: 0.0, length: 0.0 };
        };
        let asked_touch = ask_touch(batch, steps, &network.device());
        let loss = touch_loss(network, touch, &asked_touch, &tops);
        let [velocity, pedal, length] = [loss.velocity, loss.pedal, loss.length].map(sum);
        Found { keys, velocity, pedal, length }
    });
    (found, state)
}

/// What the frames of a block cost when each piece may come back to what it had, in nats.
/// `recalls` remember a row each.
fn recall<'n>(
    batch: &KeyBatch,
    nats: impl Iterator<Item = &'n f64>,
    recalls: &mut [Recall],
) -> f64 {
    let frames = &batch.frames[batch.n_rows..];
    let told = nats.zip(frames).zip(&batch.weights).enumerate();
    let told = told.filter(|(_, (_, weight))| **weight > 0.0);
    told.map(|(idx, ((&nats, frame), _))| recalls[idx % batch.n_rows].hear(frame.sounding, nats))
        .sum()
}

fn add(measured: &mut Measured, n_frames: usize, found: Vec<Found>) {
    measured.n_frames += n_frames;
    for Found { keys, velocity, pedal, length } in found {
        measured.nll += keys.loss() + f64::from(length);
        measured.n_right += keys.n_right;
        measured.nll_length += f64::from(length);
        measured.nll_velocity += f64::from(velocity);
        measured.nll_pedal += f64::from(pedal);
    }
}

/// What the keys of some time steps cost.
fn keys_of<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    steps: &Range<usize>,
    tops: &[Tensor<B, 2>],
) -> OfKeys {
    let asked = ask(network.config.alphabet, batch, steps.clone(), &network.device());
    let log_odds = spell(network, &asked, tops, &Masks(&[])).log_odds;
    let right = numbers(right(log_odds.clone(), &asked).into_data());
    let nll = numbers(surprise_of_keys(log_odds, &asked).into_data());
    let lasting = batch.frames_of(steps.start * batch.n_rows..steps.end * batch.n_rows);
    let mut sum = OfKeys::default();
    for ((nll, right), n_frames) in nll.into_iter().zip(right).zip(lasting) {
        let counts = n_frames > 0.0;
        sum.each.push(if counts { f64::from(nll) } else { 0.0 });
        sum.n_right += if counts && right > 0.5 { n_frames as usize } else { 0 };
    }
    sum
}

/// The same by the kernels of the CPU.
fn fused_keys<B: Backend>(
    batch: &KeyBatch,
    spelling: &Spelling,
    steps: &Range<usize>,
    tops: &[Tensor<B, 2>],
) -> OfKeys {
    let tops: Vec<Numbers> = tops.iter().map(Numbers::of).collect();
    let tops: Vec<&[f32]> = tops.iter().map(|top| &**top).collect();
    spelling.measure(batch, steps.start * batch.n_rows..steps.end * batch.n_rows, &tops)
}

/// The state of the first `n_rows` sequences.
fn keep_rows_of<B: Backend>(
    network: &KeyNetwork<B>,
    state: Vec<LayerState<B>>,
    n_rows: usize,
) -> Vec<LayerState<B>> {
    let shapes = network.config.state_shapes(n_rows);
    state.into_iter().zip(shapes).map(|(layer, [rows, _])| keep_rows(layer, rows)).collect()
}
