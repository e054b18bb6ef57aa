//! The speller's loss and gradients by the kernels of the CPU, a few frames at a time.
//!
//! The same as `loss` computes with burn's operations, which the tests hold it against. Here what is
//! held of the frames stays in the cache on the way forward and back, and nothing is asked of other
//! threads.

mod loops;

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

pub(super) use self::loops::{Answer, Rectify};
use self::loops::{AnswerBack, GatherClasses, RectifyBack, SpreadClasses};
use super::batch::{KeyBatch, write_answers};
use super::config::{CLASSES, KEYS};
use super::network::KeyNetwork;
use super::slides::Slide;
use crate::model::fused::product::{DEPTH, PackedLeft, PackedRight, View, multiply_here};
use crate::model::fused::simd::{Level, Store};
use crate::model::fused::sparse::SparseRows;
use crate::model::fused::threads::Threads;
use crate::model::kernels::Numbers;

/// Frames computed together: their keys are no more than the depth of a packed product.
const FRAMES: usize = 4;
const _: () = assert!(FRAMES * KEYS <= DEPTH);
/// A speller's weights, packed once for many frames.
pub struct Spelling<'a> {
    level: Level,
    slide: &'a Slide,
    towers: Vec<Tower>,
    middle: Factor,
    middle_bias: Vec<f32>,
    /// `[Q, S]`
    out: Vec<f32>,
    out_bias: Vec<f32>,
    /// Of the two hidden layers, `[n_rows, S]`.
    masks: [Option<Numbers>; 2],
}

/// What a tower's outputs are multiplied with.
struct Tower {
    places: usize,
    hidden: usize,
    weights: Factor,
}

/// A matrix for the way forward, and transposed for the way back.
struct Factor {
    forward: PackedRight,
    back: PackedRight,
}

/// What the keys of some frames cost, and how many frames of the music are spelled right.
#[derive(Clone, Debug, Default)]
pub struct OfKeys {
    /// Of each frame in their order, in nats: 0 for padding.
    pub each: Vec<f64>,
    pub n_right: usize,
}

/// What a speller learned of some frames.
pub struct Learned {
    pub keys: OfKeys,
    /// Gradients of the towers' tops, `[N · places, H]` each.
    pub tops: Vec<Vec<f32>>,
    /// Gradients of the weights in the order of `KeyConfig::parameter_shapes`; those of `before`,
    /// `lower` and the bias as one below the other.
    pub towers: Vec<Vec<f32>>,
    pub heard: Vec<f32>,
    pub middle: Vec<f32>,
    pub middle_bias: Vec<f32>,
    /// `[Q, S]`
    pub out: Vec<f32>,
    pub out_bias: Vec<f32>,
}

/// What is held of a few frames.
struct Held {
    heard: SparseRows,
    left: PackedLeft,
    gradients: PackedRight,
    /// `[FRAMES · KEYS, S]` each: both hidden layers and the gradients before them.
    first: Vec<f32>,
    second: Vec<f32>,
    d_first: Vec<f32>,
    d_second: Vec<f32>,
    /// `[FRAMES · CLASSES, S]`
    of_classes: Vec<f32>,
    /// `[FRAMES · KEYS, Q]` each
    odds: Vec<f32>,
    truth: Vec<f32>,
    counts: Vec<f32>,
}

impl OfKeys {
    /// What they cost together, in nats.
    pub fn loss(&self) -> f64 {
        self.each.iter().sum()
    }
}

impl Factor {
    fn of(level: Level, values: &[f32], rows: usize, columns: usize) -> Self {
        let mut factor = Self { forward: PackedRight::new(level), back: PackedRight::new(level) };
        let view = View::new(values, rows, columns);
        factor.forward.pack(Threads::ONE, view);
        factor.back.pack(Threads::ONE, view.transposed());
        factor
    }
}

impl Tower {
    /// Where the outputs of some frames lie among those of `frames`.
    fn part(&self, frames: &Range<usize>, chunk: &Range<usize>) -> Range<usize> {
        let each = self.places * self.hidden;
        (chunk.start - frames.start) * each..(chunk.end - frames.start) * each
    }
}

fn chunks(frames: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = frames.end;
    frames.step_by(FRAMES).map(move |first| first..(first + FRAMES).min(end))
}

impl<'a> Spelling<'a> {
    /// # Panics
    /// If `B` isn't Flex.
    pub fn of<B: Backend>(
        network: &KeyNetwork<B>,
        slide: &'a Slide,
        masks: [Option<&Tensor<B, 2>>; 2],
    ) -> Self {
        let (level, speller) = (slide.level(), &network.speller);
        let factor = |tensor: &Tensor<B, 2>| {
            let [rows, columns] = tensor.dims();
            Factor::of(level, &Numbers::of(tensor), rows, columns)
        };
        let towers = network.config.towers().into_iter().zip(&speller.towers);
        let towers = towers.map(|(tower, weights)| Tower {
            places: tower.places,
            hidden: tower.hidden,
            weights: factor(weights),
        });
        let values = |tensor: &Tensor<B, 2>| Numbers::of(tensor).to_vec();
        Self {
            level,
            slide,
            towers: towers.collect(),
            middle: factor(&speller.middle),
            middle_bias: values(&speller.middle_bias),
            out: values(&speller.out.clone().transpose()),
            out_bias: values(&speller.out_bias),
            masks: masks.map(|mask| mask.map(Numbers::of)),
        }
    }

    fn width(&self) -> usize {
        self.middle_bias.len()
    }

    fn n_questions(&self) -> usize {
        self.out_bias.len()
    }

    /// Loss and gradients of the frames `frames` of a batch, of whose towers `tops` are; the
    /// gradients are divided by `n_frames`.
    pub fn learn(
        &self,
        batch: &KeyBatch,
        frames: Range<usize>,
        tops: &[&[f32]],
        n_frames: usize,
    ) -> Learned {
        let mut learned = self.nothing(tops);
        let mut table = self.slide.no_gradient();
        let mut held = self.room();
        for chunk in chunks(frames.clone()) {
            let tops_here = self.tops_of(tops, &frames, &chunk);
            self.spell(batch, chunk.clone(), &tops_here, &mut held);
            self.judge(batch, chunk.clone(), n_frames, &mut held, &mut learned.keys);
            self.go_back(batch, chunk.clone(), &mut held, &mut learned);
            self.slide.add_gradient(&held.heard, &held.d_first, &mut table);
            for (idx, (tower, top)) in self.towers.iter().zip(tops_here).enumerate() {
                let d_top = &mut learned.tops[idx][tower.part(&frames, &chunk)];
                self.tell_tower(tower, top, &mut held, &mut learned.towers[idx], d_top);
            }
        }
        learned.heard = self.slide.unfolded(&table);
        learned
    }

    /// What the frames `frames` of a batch cost, given their towers' tops.
    pub fn measure(&self, batch: &KeyBatch, frames: Range<usize>, tops: &[&[f32]]) -> OfKeys {
        let (mut sum, mut held) = (OfKeys::default(), self.room());
        for chunk in chunks(frames.clone()) {
            let tops = self.tops_of(tops, &frames, &chunk);
            self.spell(batch, chunk.clone(), &tops, &mut held);
            self.judge(batch, chunk, 1, &mut held, &mut sum);
        }
        sum
    }

    /// What the towers gave in some of the frames whose tops are given.
    fn tops_of<'t>(
        &self,
        tops: &[&'t [f32]],
        frames: &Range<usize>,
        chunk: &Range<usize>,
    ) -> Vec<&'t [f32]> {
        let towers = self.towers.iter().zip(tops);
        towers.map(|(tower, top)| &top[tower.part(frames, chunk)]).collect()
    }

    fn nothing(&self, tops: &[&[f32]]) -> Learned {
        let zeros = |n: usize| vec![0.0; n];
        let width = self.width();
        Learned {
            keys: OfKeys::default(),
            tops: tops.iter().map(|top| zeros(top.len())).collect(),
            towers: self.towers.iter().map(|tower| zeros(tower.hidden * width)).collect(),
            heard: Vec::new(),
            middle: zeros(width * width),
            middle_bias: zeros(width),
            out: zeros(self.out.len()),
            out_bias: zeros(self.n_questions()),
        }
    }

    fn room(&self) -> Held {
        Held {
            heard: SparseRows::default(),
            left: PackedLeft::default(),
            gradients: PackedRight::new(self.level),
            first: Vec::new(),
            second: Vec::new(),
            d_first: Vec::new(),
            d_second: Vec::new(),
            of_classes: Vec::new(),
            odds: Vec::new(),
            truth: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// From the towers' outputs to the log-odds.
    fn spell(&self, batch: &KeyBatch, frames: Range<usize>, tops: &[&[f32]], held: &mut Held) {
        let (width, n) = (self.width(), frames.len());
        let rows = n * KEYS;
        for values in [&mut held.first, &mut held.second, &mut held.d_first, &mut held.d_second] {
            values.resize(rows * width, 0.0);
        }
        held.of_classes.resize(n * CLASSES * width, 0.0);
        held.odds.resize(rows * self.n_questions(), 0.0);
        self.slide.hear_all(batch, frames.clone(), &mut held.heard);
        self.slide.multiply(&held.heard, &mut held.first);
        for (tower, top) in self.towers.iter().zip(tops) {
            let top = View::new(top, n * tower.places, tower.hidden);
            let (left, right) = (&mut held.left, &tower.weights.forward);
            if tower.places == CLASSES {
                let to = &mut held.of_classes;
                multiply_here(left, top, right, 0..width, to, width, Store::Overwrite);
                let (classes, keys) = (&held.of_classes[..], &mut held.first[..]);
                self.level.run(SpreadClasses { classes, keys, width });
            } else {
                let to = &mut held.first;
                multiply_here(left, top, right, 0..width, to, width, Store::Add);
            }
        }
        self.rectify(batch, frames.clone(), 0, &mut held.first);
        held.second.chunks_exact_mut(width).for_each(|to| to.copy_from_slice(&self.middle_bias));
        let (view, right) = (View::new(&held.first, rows, width), &self.middle.forward);
        let (left, to) = (&mut held.left, &mut held.second);
        multiply_here(left, view, right, 0..width, to, width, Store::Add);
        self.rectify(batch, frames, 1, &mut held.second);
        self.level.run(Answer {
            hidden: &held.second,
            out: &self.out,
            bias: &self.out_bias,
            odds: &mut held.odds,
            width,
        });
    }

    /// From the log-odds to their gradients, in their place, and what they cost.
    fn judge(
        &self,
        batch: &KeyBatch,
        frames: Range<usize>,
        n_frames: usize,
        held: &mut Held,
        sum: &mut OfKeys,
    ) {
        let n_asked = KEYS * self.n_questions();
        held.truth.resize(n_asked, 0.0);
        held.counts.resize(n_asked, 0.0);
        let lasting = batch.frames_of(frames.clone());
        for ((idx, odds), lasting) in frames.zip(held.odds.chunks_exact_mut(n_asked)).zip(lasting) {
            let (before, frame, _) = batch.frame(idx);
            let (truth, counts) = (&mut held.truth, &mut held.counts);
            write_answers(self.slide.alphabet(), before, frame, truth, counts);
            let weight = batch.weights[idx];
            let scale = weight / n_frames.max(1) as f32;
            let (mut loss, mut is_right) = (0.0, true);
            for (odds, (&truth, &counts)) in odds.iter_mut().zip(truth.iter().zip(&*counts)) {
                // log(1 + eˢ) = max(s, 0) + log(1 + e^-|s|), which overflows nowhere.
                let small = (-odds.abs()).exp();
                loss += f64::from(counts * (odds.max(0.0) + small.ln_1p() - *odds * truth));
                is_right &= counts == 0.0 || (*odds > 0.0) == (truth > 0.5);
                let share = if *odds >= 0.0 { 1.0 } else { small } / (1.0 + small);
                *odds = counts * (share - truth) * scale;
            }
            sum.each.push(f64::from(weight) * loss);
            sum.n_right += if is_right { lasting as usize } else { 0 };
        }
    }

    /// From the gradients of the log-odds to those before the first rectifier.
    fn go_back(
        &self,
        batch: &KeyBatch,
        frames: Range<usize>,
        held: &mut Held,
        learned: &mut Learned,
    ) {
        let (width, rows) = (self.width(), frames.len() * KEYS);
        for d_odds in held.odds.chunks_exact(self.n_questions()) {
            learned.out_bias.iter_mut().zip(d_odds).for_each(|(sum, d)| *sum += d);
        }
        self.level.run(AnswerBack {
            hidden: &held.second,
            out: &self.out,
            d_odds: &held.odds,
            d_out: &mut learned.out,
            d_hidden: &mut held.d_second,
            width,
        });
        self.rectify_back(batch, frames.clone(), 1, &held.second, &mut held.d_second);
        let d_second = View::new(&held.d_second, rows, width);
        held.gradients.pack_and_sum(Threads::ONE, d_second, &mut learned.middle_bias);
        let first = View::new(&held.first, rows, width).transposed();
        let (left, to) = (&mut held.left, &mut learned.middle);
        multiply_here(left, first, &held.gradients, 0..width, to, width, Store::Add);
        let (right, to) = (&self.middle.back, &mut held.d_first);
        multiply_here(left, d_second, right, 0..width, to, width, Store::Overwrite);
        self.rectify_back(batch, frames, 0, &held.first, &mut held.d_first);
    }

    /// The gradients of a tower's weights, added to what is there, and of what it gave.
    fn tell_tower(
        &self,
        tower: &Tower,
        top: &[f32],
        held: &mut Held,
        d_weights: &mut [f32],
        d_top: &mut [f32],
    ) {
        let (width, hidden) = (self.width(), tower.hidden);
        let d_heard = if tower.places == CLASSES {
            let (keys, classes) = (&held.d_first[..], &mut held.of_classes[..]);
            self.level.run(GatherClasses { keys, classes, width });
            &held.of_classes
        } else {
            &held.d_first
        };
        let rows = top.len() / hidden;
        let (top, d_heard) = (View::new(top, rows, hidden), View::new(d_heard, rows, width));
        held.gradients.pack(Threads::ONE, d_heard);
        let (left, right) = (&mut held.left, &held.gradients);
        multiply_here(left, top.transposed(), right, 0..width, d_weights, width, Store::Add);
        let right = &tower.weights.back;
        multiply_here(left, d_heard, right, 0..hidden, d_top, hidden, Store::Overwrite);
    }

    /// The row of a mask for frame `idx` of a batch.
    fn mask(&self, batch: &KeyBatch, idx: usize, layer: usize) -> Option<&[f32]> {
        let first = idx % batch.n_rows * self.width();
        self.masks[layer].as_ref().map(|mask| &mask[first..first + self.width()])
    }

    fn rectify(&self, batch: &KeyBatch, frames: Range<usize>, layer: usize, values: &mut [f32]) {
        for (idx, values) in frames.zip(values.chunks_exact_mut(KEYS * self.width())) {
            self.level.run(Rectify { values, mask: self.mask(batch, idx, layer) });
        }
    }

    fn rectify_back(
        &self,
        batch: &KeyBatch,
        frames: Range<usize>,
        layer: usize,
        outputs: &[f32],
        gradients: &mut [f32],
    ) {
        let each = KEYS * self.width();
        let parts = outputs.chunks_exact(each).zip(gradients.chunks_exact_mut(each));
        for (idx, (outputs, gradients)) in frames.zip(parts) {
            let mask = self.mask(batch, idx, layer);
            self.level.run(RectifyBack { outputs, gradients, mask });
        }
    }
}
