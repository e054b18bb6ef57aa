//! A batch of sequences, and what of it the towers hear and the speller is told and asked.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::config::{Alphabet, CLASSES, KEYS, Tower};
use super::features::{self, Frame};
use super::heard::RowsOfKeys;
use super::network::KeyNetwork;
use crate::model::loss::picked;
use crate::tokens::KeyFrame;

/// A batch of sequences, time-major.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyBatch {
    pub n_rows: usize,
    pub n_steps: usize,
    /// `(n_steps + 1) · n_rows` frames of keys that a piano has: the one before the first, then
    /// those to predict.
    pub frames: Vec<KeyFrame>,
    /// How many frames of the music each of them lasts; empty where each is one, for the alphabet
    /// that asks for no length.
    pub lengths: Vec<u32>,
    /// `n_steps · n_rows`: the place on the grid of every frame to predict; empty for music that is
    /// on none.
    pub clocks: Vec<u32>,
    /// `n_steps · n_rows`: 1 for a frame to be learned or measured, 0 for padding.
    pub weights: Vec<f32>,
    /// Whether the row goes on from the state that its predecessor left.
    pub continues: Vec<bool>,
}

/// What the speller is told and asked of some frames as tensors; `N` is their number, Q that of
/// the questions a key.
pub(super) struct Asked<B: Backend> {
    /// Of the frame before and of the lower keys.
    pub heard: RowsOfKeys<B>,
    /// `[N, KEYS · Q]`: 1 for yes.
    pub truth: Tensor<B, 2>,
    /// `[N, KEYS · Q]`: 0 for a question that isn't asked, since its answer is known: a key that
    /// didn't sound before can only be struck. None where all are asked.
    pub counts: Option<Tensor<B, 2>>,
}

impl KeyBatch {
    /// Frames of the music that count.
    pub fn n_frames(&self) -> usize {
        self.frames_of(0..self.weights.len()).iter().sum::<f32>() as usize
    }

    /// How many frames of the music each of these (time-major) to predict stands for: 0 for
    /// padding.
    pub(super) fn frames_of(&self, range: Range<usize>) -> Vec<f32> {
        let weights = self.weights[range.clone()].iter();
        let lengths = self.lengths.get(range.start + self.n_rows..range.end + self.n_rows);
        match lengths {
            None => weights.copied().collect(),
            Some(lengths) => weights.zip(lengths).map(|(w, &length)| w * length as f32).collect(),
        }
    }

    /// The rows `first..first + n` as a batch of their own.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        Self {
            n_rows: n,
            n_steps: self.n_steps,
            frames: picked(&self.frames, self.n_rows, first, n),
            lengths: picked(&self.lengths, self.n_rows, first, n),
            clocks: picked(&self.clocks, self.n_rows, first, n),
            weights: picked(&self.weights, self.n_rows, first, n),
            continues: self.continues[first..first + n].to_vec(),
        }
    }

    /// The frame before frame `idx` (time-major), that frame, and its place on the grid.
    pub(super) fn frame(&self, idx: usize) -> (Frame<'_>, Frame<'_>, Option<u32>) {
        let frame = |idx: usize| {
            let length = self.lengths.get(idx).copied().unwrap_or(0);
            Frame { length, ..Frame::of(&self.frames[idx]) }
        };
        (frame(idx), frame(idx + self.n_rows), self.clocks.get(idx).copied())
    }
}

/// What the towers hear of a batch: for each, `[n_steps · n_rows · places, inputs]`.
pub(super) fn hear<B: Backend>(network: &KeyNetwork<B>, batch: &KeyBatch) -> Vec<Tensor<B, 2>> {
    let device = network.device();
    let n = batch.n_steps * batch.n_rows;
    let alphabet = network.config.alphabet;
    let of_tower = |tower: &Tower| {
        let values = features::write_all(n, tower.places * tower.inputs, |idx, rows| {
            let (before, _, clock) = batch.frame(idx);
            match tower.places {
                CLASSES => features::write_classes(alphabet, before, clock, rows),
                _ => features::write_keys(alphabet, before, clock, rows),
            }
        });
        rows_of_tensor(values, tower.inputs, &device)
    };
    network.config.towers().iter().map(of_tower).collect()
}

/// What the speller is told and asked of the frames of some time steps.
pub(super) fn ask<B: Backend>(
    alphabet: Alphabet,
    batch: &KeyBatch,
    steps: Range<usize>,
    device: &B::Device,
) -> Asked<B> {
    let frames = steps.start * batch.n_rows..steps.end * batch.n_rows;
    let n_asked = KEYS * alphabet.n_questions();
    let mut truth = vec![0.0; frames.len() * n_asked];
    let mut counts = vec![0.0; frames.len() * n_asked];
    let rows = truth.chunks_exact_mut(n_asked).zip(counts.chunks_exact_mut(n_asked));
    for (idx, (truth, counts)) in frames.clone().zip(rows) {
        let (frame_before, frame, _) = batch.frame(idx);
        write_answers(alphabet, frame_before, frame, truth, counts);
    }
    let counts = match alphabet {
        Alphabet::OffOn => None,
        Alphabet::Full => Some(rows_of_tensor(counts, n_asked, device)),
    };
    let heard = RowsOfKeys::of(alphabet, batch, frames, device);
    Asked { heard, truth: rows_of_tensor(truth, n_asked, device), counts }
}

/// The answers of a frame, and which of its questions are asked.
pub(super) fn write_answers(
    alphabet: Alphabet,
    before: Frame,
    frame: Frame,
    truth: &mut [f32],
    counts: &mut [f32],
) {
    let n = alphabet.n_questions();
    for (key, (truth, counts)) in
        truth.chunks_exact_mut(n).zip(counts.chunks_exact_mut(n)).enumerate()
    {
        let yes = |is: bool| f32::from(u8::from(is));
        let sounds = frame.sounding.contains(key);
        (truth[0], counts[0]) = (yes(sounds), 1.0);
        if let ([_, truth], [_, counts]) = (truth, counts) {
            *truth = yes(frame.struck.contains(key));
            *counts = yes(sounds && before.sounding.contains(key));
        }
    }
}

impl<B: Backend> Asked<B> {
    /// `[N, KEYS · Q]` with zeros for what isn't asked.
    pub(super) fn of_asked(&self, values: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.counts {
            None => values,
            Some(counts) => values * counts.clone(),
        }
    }
}

/// `values` row after row, each `width` wide.
pub(super) fn rows_of_tensor<B: Backend>(
    values: Vec<f32>,
    width: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let n = values.len() / width;
    Tensor::from_data(TensorData::new(values, [n, width]), device)
}
