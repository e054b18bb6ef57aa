//! The output layer: scores, loss, right guesses and all gradients in one go.
//!
//! ```text
//! s = h Eᵀ + b                       scores, [N, V]
//! loss = -w · log softmax(s)[y]      ds = w / n_frames · (softmax(s) - onehot(y))
//! dh = ds E      dE = dsᵀ h      db = column sums of ds
//! ```
//!
//! `N × V` can be the largest thing of a training step by far, so there are never more than
//! [`CHUNK`] rows of it, and those once: scores become their gradient in place. The largest score
//! and the sum of exponentials are gathered tile by tile, while a tile is in the cache, and the
//! sum is corrected when a larger score turns up (Milakov & Gimelshein 2018).

mod judge;

pub use judge::{Judged, Outputs};

use std::ops::Range;

use super::functions::exp;
use super::product::{PackedLeft, PackedRight, Scratch, View, multiply, multiply_packed};
use super::simd::{Kernel, Level, MulAdd, Store};
use super::threads::{Threads, split_rows};
use crate::cancel::CancelToken;

/// Frames whose scores are held at once: 80 MB with a vocabulary of 40,000.
pub const CHUNK: usize = 512;

/// Most frames that one thread works on together.
const ROWS: usize = 112;

/// Scores of a frame that are made and looked at together, about.
const TILE: usize = 256;

/// What is to be learned from some frames, `N` of each.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// `[N, H]`
    pub hidden: &'a [f32],
    pub targets: &'a [i32],
    /// 1 for a frame that counts, 0 for padding.
    pub weights: &'a [f32],
    /// The output that never counts as a right guess; -1 for none.
    pub escape: i32,
    /// What the gradients are divided by.
    pub n_frames: usize,
}

/// Where gradients go; what was there is overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[N, H]`
    pub hidden: &'a mut [f32],
    /// `[V, H]`
    pub embedding: &'a mut [f32],
    /// `[1, V]`
    pub bias: &'a mut [f32],
}

/// Sums over frames.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Totals {
    pub loss: f64,
    pub right: f64,
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |sum, it| Self {
            loss: sum.loss + it.loss,
            right: sum.right + it.right,
        })
    }
}

/// Packed weights and room for one chunk; kept from step to step.
#[derive(Clone, Debug)]
pub struct Decoder {
    scratch: Scratch,
    /// `Eᵀ`
    forward: PackedRight,
    /// `E`
    backward: PackedRight,
    /// A chunk of `h`.
    hidden: PackedRight,
    /// `[CHUNK, V]`: scores, then their gradients.
    scores: Vec<f32>,
    /// One for each frame.
    results: Vec<Totals>,
}

/// Adds the bias to a tile of one row; gathers the largest score and the sum of exponentials.
struct Gather<'a> {
    scores: &'a mut [f32],
    bias: &'a [f32],
    /// From row to row of `scores`.
    stride: usize,
    rows: &'a mut [Softmax],
}

/// From scores to their gradients, in one row.
struct Differentiate<'a> {
    scores: &'a mut [f32],
    largest: f32,
    /// `w / (n_frames · Σ e^(s - largest))`
    factor: f32,
}

/// Of one row so far: `Σ e^(s - largest)`.
#[derive(Clone, Copy, Debug)]
struct Softmax {
    largest: f32,
    sum: f32,
}

impl Decoder {
    pub fn new(threads: Threads, level: Level) -> Self {
        let packed = || PackedRight::new(level);
        Self {
            scratch: Scratch::new(threads, level),
            forward: packed(),
            backward: packed(),
            hidden: packed(),
            scores: Vec::new(),
            results: Vec::new(),
        }
    }

    /// `embedding` is `[V, H]`, `bias` `[1, V]` (with the prior, where there is one). `None` if it
    /// was cancelled; the token is looked at within every chunk.
    ///
    /// # Panics
    /// If a slice hasn't the length the others ask for, or a target isn't below V.
    pub fn run(
        &mut self,
        frames: &Frames<'_>,
        embedding: &[f32],
        bias: &[f32],
        gradients: Gradients<'_>,
        cancel: &CancelToken,
    ) -> Option<Totals> {
        self.scratch.cancel = cancel.clone();
        let (n, n_outputs) = (frames.targets.len(), bias.len());
        let n_units = embedding.len() / n_outputs;
        assert!(frames.hidden.len() == n * n_units && frames.weights.len() == n);
        assert!(gradients.hidden.len() == n * n_units && gradients.bias.len() == n_outputs);
        assert!(gradients.embedding.len() == embedding.len());
        gradients.bias.fill(0.0);
        self.results.clear();
        self.results.resize(n, Totals::default());
        if n == 0 {
            gradients.embedding.fill(0.0);
            return Some(Totals::default());
        }
        let threads = self.scratch.threads;
        let embedding = View::new(embedding, n_outputs, n_units);
        self.forward.pack(threads, embedding.transposed());
        self.backward.pack(threads, embedding);
        self.scores.resize(CHUNK.min(n) * n_outputs, 0.0);
        for first in (0..n).step_by(CHUNK) {
            let range = first..(first + CHUNK).min(n);
            let hidden = View::new(frames.hidden, n, n_units).rows(range.clone());
            self.score(frames, range.clone(), bias);
            let scratch = &mut self.scratch;
            let ds = View::new(&self.scores, range.len(), n_outputs);
            let to = &mut gradients.hidden[range.start * n_units..range.end * n_units];
            multiply(scratch, ds, &self.backward, to, n_units, Store::Overwrite);
            self.hidden.pack(threads, hidden);
            let to = &mut *gradients.embedding;
            let store = if first == 0 { Store::Overwrite } else { Store::Add };
            multiply(scratch, ds.transposed(), &self.hidden, to, n_units, store);
            add_column_sums(threads, &self.scores[..range.len() * n_outputs], gradients.bias);
            if cancel.is_cancelled() {
                return None;
            }
        }
        Some(self.results.iter().copied().sum())
    }

    /// What each frame of the last run added to the totals.
    pub fn results(&self) -> &[Totals] {
        &self.results
    }

    /// The frames `range`: gradients of their scores, and their results.
    fn score(&mut self, frames: &Frames<'_>, range: Range<usize>, bias: &[f32]) {
        let (n_outputs, n_units) = (bias.len(), self.backward.columns());
        let threads = self.scratch.threads;
        let ranges: Vec<_> = threads.ranges(range.len(), ROWS).collect();
        let scores = split_rows(&mut self.scores, ranges.iter().cloned(), n_outputs);
        let mut rest = &mut self.results[range.clone()];
        let results = ranges.iter().map(|range| {
            let (results, after) = std::mem::take(&mut rest).split_at_mut(range.len());
            rest = after;
            results
        });
        let parts: Vec<_> = scores.zip(results).collect();
        let (forward, level, cancel) = (&self.forward, self.scratch.level, &self.scratch.cancel);
        threads.share_with(&mut self.scratch.left, parts.into_iter(), |left, part| {
            if cancel.is_cancelled() {
                return;
            }
            let ((rows, scores), results) = part;
            let rows = range.start + rows.start..range.start + rows.end;
            let hidden = View::new(frames.hidden, frames.targets.len(), n_units);
            left.pack(level, hidden.rows(rows.clone()));
            let softmax = score_rows(level, left, forward, bias, scores);
            let of_row = scores.chunks_exact_mut(n_outputs).zip(softmax);
            for ((frame, result), (scores, softmax)) in rows.zip(results).zip(of_row) {
                *result = finish_row(level, frames, frame, scores, softmax);
            }
        });
    }
}

/// Scores of some rows, tile by tile.
fn score_rows(
    level: Level,
    left: &PackedLeft,
    embedding: &PackedRight,
    bias: &[f32],
    scores: &mut [f32],
) -> Vec<Softmax> {
    let n_outputs = bias.len();
    let begin = Softmax { largest: f32::NEG_INFINITY, sum: 0.0 };
    let mut rows = vec![begin; scores.len() / n_outputs];
    let width = embedding.panel_width();
    let tile = TILE / width * width;
    for first in (0..n_outputs).step_by(tile) {
        let columns = first..(first + tile).min(n_outputs);
        let to = &mut scores[first..];
        multiply_packed(left, embedding, columns.clone(), to, n_outputs, Store::Overwrite);
        let bias = &bias[columns];
        level.run(Gather { scores: to, bias, stride: n_outputs, rows: &mut rows });
    }
    rows
}

/// What one frame adds to the totals; `scores` become their gradients.
fn finish_row(
    level: Level,
    frames: &Frames<'_>,
    frame: usize,
    scores: &mut [f32],
    softmax: Softmax,
) -> Totals {
    let Softmax { largest, sum } = softmax;
    let (weight, target) = (frames.weights[frame], frames.targets[frame]);
    let idx = usize::try_from(target).expect("targets are not negative");
    let of_target = scores[idx];
    // The first of several equal ones is the guess.
    let is_right = of_target == largest && !scores[..idx].contains(&largest);
    let scale = weight / frames.n_frames.max(1) as f32;
    level.run(Differentiate { scores, largest, factor: scale / sum });
    scores[idx] -= scale;
    let loss = f64::from(sum.ln() - (of_target - largest)) * f64::from(weight);
    let counts = is_right && target != frames.escape;
    Totals { loss, right: if counts { f64::from(weight) } else { 0.0 } }
}

fn add_column_sums(threads: Threads, values: &[f32], sums: &mut [f32]) {
    let n_columns = sums.len();
    let ranges = threads.ranges(n_columns, n_columns);
    threads.share(split_rows(sums, ranges, 1), |(columns, sums)| {
        for row in values.chunks_exact(n_columns) {
            sums.iter_mut().zip(&row[columns.clone()]).for_each(|(sum, value)| *sum += value);
        }
    });
}

/// Sums and maxima are kept in so many lanes, so that they vectorize and still have one order.
const LANES: usize = 32;

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let n = self.bias.len();
        for (row, softmax) in self.rows.iter_mut().enumerate() {
            let scores = &mut self.scores[row * self.stride..][..n];
            scores.iter_mut().zip(self.bias).for_each(|(score, bias)| *score += bias);
            let largest = largest(scores).max(softmax.largest);
            softmax.sum *= exp::<M>(softmax.largest - largest);
            softmax.largest = largest;
            softmax.sum += sum_of_exponentials::<M>(scores, largest);
        }
    }
}

#[inline(always)]
pub(super) fn largest(scores: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = scores.as_chunks::<LANES>();
    for scores in whole {
        for (lane, &score) in lanes.iter_mut().zip(scores) {
            *lane = if score > *lane { score } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &score| largest.max(score))
}

#[inline(always)]
pub(super) fn sum_of_exponentials<M: MulAdd>(scores: &[f32], largest: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (whole, rest) = scores.as_chunks::<LANES>();
    for scores in whole {
        for (lane, &score) in lanes.iter_mut().zip(scores) {
            *lane += exp::<M>(score - largest);
        }
    }
    for (lane, &score) in lanes.iter_mut().zip(rest) {
        *lane += exp::<M>(score - largest);
    }
    lanes.iter().sum()
}

impl Kernel for Differentiate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        for score in self.scores {
            *score = exp::<M>(*score - self.largest) * self.factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    struct Case {
        hidden: Vec<f32>,
        embedding: Vec<f32>,
        bias: Vec<f32>,
        targets: Vec<i32>,
        weights: Vec<f32>,
        n_frames: usize,
    }

    /// dh, dE, db.
    type Found = [Vec<f32>; 3];

    impl Case {
        fn new(rng: &mut ChaCha8Rng, n: usize, n_units: usize, n_outputs: usize) -> Self {
            let mut random = |n: usize, to: f32| -> Vec<f32> {
                (0..n).map(|_| rng.random_range(-to..=to)).collect()
            };
            let (hidden, embedding) = (random(n * n_units, 1.0), random(n_outputs * n_units, 1.0));
            let bias = random(n_outputs, 8.0);
            let targets = (0..n).map(|_| rng.random_range(0..n_outputs as i32)).collect();
            let weights: Vec<f32> =
                (0..n).map(|_| f32::from(rng.random_range(0..4u8) > 0)).collect();
            Self { hidden, embedding, bias, targets, weights, n_frames: n + 3 }
        }

        fn computed(&self, decoder: &mut Decoder) -> (Totals, Found) {
            let dirty = |like: &[f32]| vec![f32::NAN; like.len()];
            let mut found = [&self.hidden, &self.embedding, &self.bias].map(|like| dirty(like));
            let [hidden, embedding, bias] = &mut found;
            let frames = Frames {
                hidden: &self.hidden,
                targets: &self.targets,
                weights: &self.weights,
                escape: 0,
                n_frames: self.n_frames,
            };
            let gradients = Gradients { hidden, embedding, bias };
            let cancel = CancelToken::new();
            let totals = decoder.run(&frames, &self.embedding, &self.bias, gradients, &cancel);
            (totals.unwrap(), found)
        }

        fn naive(&self) -> (Totals, [Vec<f64>; 3]) {
            let (n, n_outputs) = (self.targets.len(), self.bias.len());
            let n_units = self.embedding.len() / n_outputs;
            let mut totals = Totals::default();
            let [mut dh, mut de, mut db] =
                [self.hidden.len(), self.embedding.len(), n_outputs].map(|n| vec![0.0; n]);
            for row in 0..n {
                let h = &self.hidden[row * n_units..][..n_units];
                let score = |output: usize| {
                    let e = &self.embedding[output * n_units..][..n_units];
                    let products = h.iter().zip(e).map(|(h, e)| f64::from(*h) * f64::from(*e));
                    products.sum::<f64>() + f64::from(self.bias[output])
                };
                let scores: Vec<f64> = (0..n_outputs).map(score).collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
                let (target, weight) = (self.targets[row] as usize, f64::from(self.weights[row]));
                totals.loss += weight * (sum.ln() + largest - scores[target]);
                if scores[target] == largest && target != 0 {
                    totals.right += weight;
                }
                for output in 0..n_outputs {
                    let hot = if output == target { 1.0 } else { 0.0 };
                    let share = (scores[output] - largest).exp() / sum;
                    let ds = weight * (share - hot) / self.n_frames as f64;
                    db[output] += ds;
                    for unit in 0..n_units {
                        let at = output * n_units + unit;
                        dh[row * n_units + unit] += ds * f64::from(self.embedding[at]);
                        de[at] += ds * f64::from(h[unit]);
                    }
                }
            }
            (totals, [dh, de, db])
        }
    }

    fn check(case: &Case, level: Level) {
        let (totals, expected) = case.naive();
        let mut first: Option<(Totals, Found)> = None;
        for threads in [1, 3] {
            let mut decoder = Decoder::new(Threads::new(threads), level);
            let found = case.computed(&mut decoder);
            assert!((found.0.loss - totals.loss).abs() < 1e-5 * totals.loss.max(1.0));
            assert_eq!(found.0.right, totals.right);
            for (found, expected) in found.1.iter().zip(&expected) {
                // Where a guess is nearly sure, 1 is taken from something near 1.
                let scale = 1.0 / case.n_frames as f64;
                let scale = expected.iter().fold(scale, |most: f64, x| most.max(x.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    let distance = (f64::from(*found) - expected).abs() / scale;
                    assert!(distance < 1e-5, "{found} for {expected}, {level:?}");
                }
            }
            assert!(case.computed(&mut decoder) == found, "the second time differs");
            let first = first.get_or_insert_with(|| found.clone());
            assert!(*first == found, "the number of threads changes a result");
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for level in Level::all() {
            for (n, n_units, n_outputs) in
                [(1, 1, 1), (1, 3, 2), (17, 8, 33), (113, 4, 270), (1025, 3, 20), (5, 530, 70)]
            {
                check(&Case::new(&mut rng, n, n_units, n_outputs), level);
            }
        }
    }

    #[test]
    fn huge_scores_neither_overflow_nor_vanish() {
        let bias = vec![3e38, -3e38, 0.0];
        let hidden = vec![0.0; 2];
        let (targets, weights) = (vec![0, 0], vec![1.0; 2]);
        let case = Case { hidden, embedding: vec![0.0; 3], bias, targets, weights, n_frames: 2 };
        let (totals, found) = case.computed(&mut Decoder::new(Threads::ONE, Level::detect()));
        assert_eq!(totals, Totals { loss: 0.0, right: 0.0 });
        assert!(found.iter().flatten().all(|value| value.is_finite()));
    }

    #[test]
    fn the_first_of_equal_scores_is_the_guess() {
        let (hidden, embedding) = (vec![0.0; 3], vec![0.0; 4]);
        let (bias, weights) = (vec![0.0, 1.0, 1.0, 0.5], vec![1.0; 3]);
        let case = Case { hidden, embedding, bias, targets: vec![1, 2, 3], weights, n_frames: 3 };
        let (totals, _) = case.computed(&mut Decoder::new(Threads::ONE, Level::detect()));
        assert_eq!(totals.right, 1.0);
    }
}
