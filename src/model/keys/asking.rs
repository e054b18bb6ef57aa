//! What is asked of one key of some frames that are spelled up to it: from what the speller is told
//! of the key to the log-odds of every question, for all of them in one pass over the weights.

use burn::backend::Flex;
use burn::tensor::Tensor;

use super::network::SpellerWeights;
use super::spelling::{Answer, Rectify};
use crate::model::fused::simd::{Kernel, Level, MulAdd};
use crate::model::weights::numbers;

/// The speller's second layer and its answers, with memory for some rows.
pub struct Asking {
    level: Level,
    /// `[S, S]`, row by row, as every matrix here.
    middle: Vec<f32>,
    middle_bias: Vec<f32>,
    /// `[Q, S]`: a row for each question.
    out: Vec<f32>,
    out_bias: Vec<f32>,
}

/// Memory for the rows that are asked together; each row of numbers is one frame's.
#[derive(Default)]
pub struct Rows {
    /// `[N, S]` each.
    told: Vec<f32>,
    second: Vec<f32>,
    /// `[N, Q]`
    odds: Vec<f32>,
}

impl Asking {
    pub fn new(weights: &SpellerWeights<Flex>, level: Level) -> Self {
        let values = |tensor: &Tensor<Flex, 2>| numbers(tensor.clone().into_data());
        Self {
            level,
            middle: values(&weights.middle),
            middle_bias: values(&weights.middle_bias),
            out: values(&weights.out.clone().transpose()),
            out_bias: values(&weights.out_bias),
        }
    }

    /// The log-odds of every question, frame after frame. A frame's are the same to the last bit
    /// whatever others are asked beside it.
    pub fn log_odds<'r, 't>(
        &self,
        told: impl Iterator<Item = &'t [f32]>,
        rows: &'r mut Rows,
    ) -> impl Iterator<Item = &'r [f32]> {
        let (width, n_questions) = (self.middle_bias.len(), self.out_bias.len());
        rows.told.clear();
        told.for_each(|told| rows.told.extend_from_slice(told));
        let n = rows.told.len() / width;
        rows.second.resize(n * width, 0.0);
        rows.odds.resize(n * n_questions, 0.0);
        let (middle, bias) = (&self.middle, &self.middle_bias);
        self.level.run(SecondLayer { told: &rows.told, middle, bias, second: &mut rows.second });
        self.level.run(Answer {
            hidden: &rows.second,
            out: &self.out,
            bias: &self.out_bias,
            odds: &mut rows.odds,
            width,
        });
        rows.odds.chunks_exact(n_questions)
    }
}

/// `relu(relu(told) · middle + bias)`
struct SecondLayer<'a> {
    told: &'a [f32],
    middle: &'a [f32],
    bias: &'a [f32],
    second: &'a mut [f32],
}

impl Kernel for SecondLayer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let width = self.bias.len();
        self.second.chunks_exact_mut(width).for_each(|sums| sums.copy_from_slice(self.bias));
        for (place, weights) in self.middle.chunks_exact(width).enumerate() {
            let told = self.told.chunks_exact(width);
            for (told, sums) in told.zip(self.second.chunks_exact_mut(width)) {
                let told = told[place];
                // What is no number goes on to the answers, where it is found.
                if told <= 0.0 {
                    continue;
                }
                sums.iter_mut()
                    .zip(weights)
                    .for_each(|(sum, weight)| *sum = M::mul_add(told, *weight, *sum));
            }
        }
        Rectify { values: self.second, mask: None }.run::<M>();
    }
}
