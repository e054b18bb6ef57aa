//! What the speller computes between two products, each in one pass.

use super::super::config::{CLASSES, KEYS};
use crate::model::fused::simd::{Kernel, MulAdd};

/// Numbers summed side by side.
const LANES: usize = 16;

/// `relu(z) ∘ mask`, the mask the same for each row.
pub struct Rectify<'a> {
    pub values: &'a mut [f32],
    pub mask: Option<&'a [f32]>,
}

impl Kernel for Rectify<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let Some(mask) = self.mask else {
            self.values.iter_mut().for_each(|value| *value = rectified(*value));
            return;
        };
        for row in self.values.chunks_exact_mut(mask.len()) {
            row.iter_mut().zip(mask).for_each(|(value, mask)| *value = rectified(*value) * mask);
        }
    }
}

/// What is no number stays that, so that training sees that it got lost.
#[inline(always)]
fn rectified(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

/// The gradient before a rectifier and its mask, in place of that after them.
pub struct RectifyBack<'a> {
    pub outputs: &'a [f32],
    pub gradients: &'a mut [f32],
    pub mask: Option<&'a [f32]>,
}

impl Kernel for RectifyBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let passed = |output: f32, gradient: f32| if output > 0.0 { gradient } else { 0.0 };
        let Some(mask) = self.mask else {
            let values = self.gradients.iter_mut().zip(self.outputs);
            values.for_each(|(gradient, &output)| *gradient = passed(output, *gradient));
            return;
        };
        let outputs = self.outputs.chunks_exact(mask.len());
        for (row, outputs) in self.gradients.chunks_exact_mut(mask.len()).zip(outputs) {
            for ((gradient, &output), mask) in row.iter_mut().zip(outputs).zip(mask) {
                *gradient = passed(output, *gradient) * mask;
            }
        }
    }
}

/// Adds to each key what stands for its pitch class.
pub struct SpreadClasses<'a> {
    pub classes: &'a [f32],
    pub keys: &'a mut [f32],
    pub width: usize,
}

impl Kernel for SpreadClasses<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let frames = self.keys.chunks_exact_mut(KEYS * self.width);
        for (keys, classes) in frames.zip(self.classes.chunks_exact(CLASSES * self.width)) {
            // The last octave has fewer keys.
            for octave in keys.chunks_mut(CLASSES * self.width) {
                octave.iter_mut().zip(classes).for_each(|(to, value)| *to += value);
            }
        }
    }
}

/// The sums over the keys of each pitch class.
pub struct GatherClasses<'a> {
    pub keys: &'a [f32],
    pub classes: &'a mut [f32],
    pub width: usize,
}

impl Kernel for GatherClasses<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let frames = self.keys.chunks_exact(KEYS * self.width);
        for (keys, classes) in frames.zip(self.classes.chunks_exact_mut(CLASSES * self.width)) {
            classes.fill(0.0);
            for octave in keys.chunks(CLASSES * self.width) {
                classes.iter_mut().zip(octave).for_each(|(to, value)| *to += value);
            }
        }
    }
}

/// The log-odds of each row of `hidden`.
pub struct Answer<'a> {
    pub hidden: &'a [f32],
    pub out: &'a [f32],
    pub bias: &'a [f32],
    pub odds: &'a mut [f32],
    pub width: usize,
}

impl Kernel for Answer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let rows = self.hidden.chunks_exact(self.width);
        for (hidden, odds) in rows.zip(self.odds.chunks_exact_mut(self.bias.len())) {
            let questions = self.out.chunks_exact(self.width).zip(self.bias);
            for (odds, (weights, bias)) in odds.iter_mut().zip(questions) {
                *odds = bias + dot::<M>(hidden, weights);
            }
        }
    }
}

#[inline(always)]
fn dot<M: MulAdd>(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = M::mul_add(*a, *b, *sum);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The way back through [`Answer`]: gradients of the weights, added, and of what was given.
pub struct AnswerBack<'a> {
    pub hidden: &'a [f32],
    pub out: &'a [f32],
    pub d_odds: &'a [f32],
    pub d_out: &'a mut [f32],
    pub d_hidden: &'a mut [f32],
    pub width: usize,
}

impl Kernel for AnswerBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let width = self.width;
        let rows = self.hidden.chunks_exact(width).zip(self.d_hidden.chunks_exact_mut(width));
        let n_questions = self.out.len() / width;
        for ((hidden, d_hidden), d_odds) in rows.zip(self.d_odds.chunks_exact(n_questions)) {
            d_hidden.fill(0.0);
            let weights = self.out.chunks_exact(width).zip(self.d_out.chunks_exact_mut(width));
            for (&d, (weights, d_weights)) in d_odds.iter().zip(weights) {
                for (to, weight) in d_hidden.iter_mut().zip(weights) {
                    *to = M::mul_add(d, *weight, *to);
                }
                for (to, hidden) in d_weights.iter_mut().zip(hidden) {
                    *to = M::mul_add(d, *hidden, *to);
                }
            }
        }
    }
}
