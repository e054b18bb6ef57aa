//! Adam with weight decay as a penalty in the gradient or decoupled from it, clipping by the norm of
//! all gradients, and the running mean of the weights: one reading of the gradients for their norm,
//! and one pass over everything else.
//!
//! Formulas are those of `optimizer.rs` of the model (Kingma & Ba 2015; Loshchilov & Hutter 2019;
//! Pascanu et al. 2013).

use super::simd::{Kernel, Level, MulAdd};
use super::threads::Threads;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// Numbers that one thread takes at once.
const CHUNK: usize = 1 << 14;

/// One step's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// Steps taken, this one included: 1 for the first.
    pub time: u64,
    pub learning_rate: f64,
    /// λ of `g ← g + λ w`; the clipped gradient is meant.
    pub penalty: f64,
    /// ηλ of `w ← (1 - ηλ) w`.
    pub shrink: f64,
    /// The largest norm of all gradients together; infinite for none.
    pub largest_norm: f64,
    /// How much of the mean stays: `mean ← stays · mean + (1 - stays) · w`.
    pub mean_stays: f64,
}

/// One tensor and what belongs to it, all of one length.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub weights: &'a mut [f32],
    pub gradient: &'a [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
    /// Empty where no mean is wanted.
    pub mean: &'a mut [f32],
}

/// What is the same for every number of a step.
#[derive(Clone, Copy)]
struct Factors {
    gradient: f32,
    penalty: f32,
    /// `1 - ηλ`
    keep: f32,
    /// `1 / √(1-β₂ᵗ)`
    spread: f32,
    /// `η / (1-β₁ᵗ)`
    rate: f32,
    /// `1 - stays`
    mean_moves: f32,
}

struct Update<'a> {
    parameter: Parameter<'a>,
    factors: Factors,
}

struct SumOfSquares<'a>(&'a [f32]);

/// Moves all parameters and returns the norm of the gradients before it was clipped.
///
/// # Panics
/// If the slices of a parameter differ in length.
pub fn step(threads: Threads, level: Level, step: &Step, parameters: Vec<Parameter<'_>>) -> f64 {
    let norm = norm(threads, level, parameters.iter().map(|parameter| parameter.gradient));
    // Beyond 2³¹ steps both corrections have long been 1.
    let time = i32::try_from(step.time).unwrap_or(i32::MAX);
    let factors = Factors {
        gradient: (step.largest_norm / norm.max(step.largest_norm)) as f32,
        penalty: step.penalty as f32,
        keep: (1.0 - step.shrink) as f32,
        spread: (1.0 - BETA_2.powi(time)).sqrt().recip() as f32,
        rate: (step.learning_rate / (1.0 - BETA_1.powi(time))) as f32,
        mean_moves: (1.0 - step.mean_stays) as f32,
    };
    let factors =
        if step.largest_norm.is_finite() { factors } else { Factors { gradient: 1.0, ..factors } };
    let mut parts = Vec::new();
    for parameter in parameters {
        let n = parameter.weights.len();
        let lengths = [parameter.gradient.len(), parameter.first.len(), parameter.second.len()];
        assert!(lengths == [n; 3] && (parameter.mean.is_empty() || parameter.mean.len() == n));
        let moments = parameter.first.chunks_mut(CHUNK).zip(parameter.second.chunks_mut(CHUNK));
        let weights = parameter.weights.chunks_mut(CHUNK).zip(parameter.gradient.chunks(CHUNK));
        let mut means = parameter.mean.chunks_mut(CHUNK);
        for ((weights, gradient), (first, second)) in weights.zip(moments) {
            let mean = means.next().unwrap_or_default();
            parts.push(Parameter { weights, gradient, first, second, mean });
        }
    }
    threads.share(parts.into_iter(), |parameter| level.run(Update { parameter, factors }));
    norm
}

/// The norm of all gradients together, summed in an order that the number of threads leaves alone.
fn norm<'a>(threads: Threads, level: Level, gradients: impl Iterator<Item = &'a [f32]>) -> f64 {
    let chunks: Vec<_> = gradients.flat_map(|gradient| gradient.chunks(CHUNK)).collect();
    let mut sums = vec![0.0; chunks.len()];
    threads.share(chunks.iter().zip(&mut sums), |(chunk, sum)| {
        *sum = level.run(SumOfSquares(chunk));
    });
    sums.iter().sum::<f64>().sqrt()
}

impl Kernel for SumOfSquares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> f64 {
        /// In so many lanes, so that it vectorizes and has one order.
        const LANES: usize = 64;
        let mut lanes = [0.0f32; LANES];
        let (whole, rest) = self.0.as_chunks::<LANES>();
        for values in whole {
            for (lane, &value) in lanes.iter_mut().zip(values) {
                *lane = M::mul_add(value, value, *lane);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rest) {
            *lane = M::mul_add(value, value, *lane);
        }
        lanes.iter().map(|&sum| f64::from(sum)).sum()
    }
}

impl Kernel for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let Parameter { weights, gradient, first, second, mean } = self.parameter;
        let factors = self.factors;
        let n = weights.len();
        let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
        let (keep_1, keep_2) = (BETA_1 as f32, BETA_2 as f32);
        let (take_1, take_2) = ((1.0 - BETA_1) as f32, (1.0 - BETA_2) as f32);
        for idx in 0..n {
            let g = M::mul_add(factors.penalty, weights[idx], gradient[idx] * factors.gradient);
            first[idx] = M::mul_add(keep_1, first[idx], take_1 * g);
            second[idx] = M::mul_add(keep_2, second[idx], take_2 * (g * g));
            let spread = M::mul_add(second[idx].sqrt(), factors.spread, EPSILON);
            let kept = factors.keep * weights[idx];
            weights[idx] = M::mul_add(-factors.rate, first[idx] / spread, kept);
        }
        for (mean, weight) in mean.iter_mut().zip(weights) {
            *mean = M::mul_add(*weight - *mean, factors.mean_moves, *mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    /// weights, first, second, mean of every tensor.
    type Tensors = Vec<[Vec<f32>; 4]>;

    fn moved(level: Level, threads: usize, settings: &Step, sizes: &[usize]) -> Tensors {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut random =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let mut tensors: Tensors =
            sizes.iter().map(|&n| [random(n), vec![0.0; n], vec![0.0; n], random(n)]).collect();
        for time in 1..=4 {
            let gradients: Vec<_> = sizes.iter().map(|&n| random(n)).collect();
            let parameters = tensors.iter_mut().zip(&gradients).map(|(tensor, gradient)| {
                let [weights, first, second, mean] = tensor;
                Parameter { weights, gradient, first, second, mean }
            });
            step(Threads::new(threads), level, &Step { time, ..*settings }, parameters.collect());
        }
        tensors
    }

    /// The same in double precision, one number after the other.
    fn naive(settings: &Step, sizes: &[usize]) -> Vec<[Vec<f64>; 4]> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut random = |n: usize| -> Vec<f64> {
            (0..n).map(|_| f64::from(rng.random_range(-1.0f32..1.0))).collect()
        };
        let mut tensors: Vec<_> =
            sizes.iter().map(|&n| [random(n), vec![0.0; n], vec![0.0; n], random(n)]).collect();
        for time in 1..=4 {
            let gradients: Vec<_> = sizes.iter().map(|&n| random(n)).collect();
            let norm = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
            let clip =
                if norm > settings.largest_norm { settings.largest_norm / norm } else { 1.0 };
            for ([weights, first, second, mean], gradient) in tensors.iter_mut().zip(gradients) {
                for (idx, g) in gradient.into_iter().enumerate() {
                    let g = g * clip + settings.penalty * weights[idx];
                    weights[idx] *= 1.0 - settings.shrink;
                    first[idx] = 0.9 * first[idx] + 0.1 * g;
                    second[idx] = 0.999 * second[idx] + 0.001 * g * g;
                    let corrected = first[idx] / (1.0 - 0.9f64.powi(time));
                    let spread = (second[idx] / (1.0 - 0.999f64.powi(time))).sqrt() + 1e-8;
                    weights[idx] -= settings.learning_rate * corrected / spread;
                    let stays = settings.mean_stays;
                    mean[idx] = stays * mean[idx] + (1.0 - stays) * weights[idx];
                }
            }
        }
        tensors
    }

    #[test]
    fn steps_are_those_of_the_definition() {
        let sizes = [1, 70, CHUNK + 3, 0];
        for (largest_norm, penalty, shrink) in
            [(1.0, 5e-4, 0.0), (1e6, 0.0, 1e-3), (f64::INFINITY, 5e-4, 0.0)]
        {
            let settings = Step {
                time: 0,
                learning_rate: 0.01,
                penalty,
                shrink,
                largest_norm,
                mean_stays: 0.98,
            };
            let expected = naive(&settings, &sizes);
            for level in Level::all() {
                let found = moved(level, 1, &settings, &sizes);
                assert!(found == moved(level, 3, &settings, &sizes), "threads change nothing");
                for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                    for (found, expected) in found.iter().zip(expected) {
                        let distance = (f64::from(*found) - expected).abs();
                        assert!(distance < 1e-5, "{found} for {expected}");
                    }
                }
            }
        }
    }
}
