//! Adam with weight decay, and clipping by the norm of all gradients.
//!
//! It is our own rather than burn-optim's because its moments must come back exactly after a
//! resume, in the one order of `NetworkConfig::parameter_shapes`, without parameter ids; and
//! because the clipping of burn-optim is by tensor, not over all of them together.
//!
//! Kingma & Ba (2015), with the decay as PyTorch's `Adam(weight_decay)` has it:
//!
//! ```text
//! g ← g + λ w      m ← β₁ m + (1-β₁) g      v ← β₂ v + (1-β₂) g²
//! w ← w - η · (m / (1-β₁ᵗ)) / (√(v / (1-β₂ᵗ)) + ε)
//! ```
//!
//! or decoupled (Loshchilov & Hutter 2019; PyTorch's `AdamW`): instead of `g ← g + λ w` there is
//! `w ← (1 - η λ) w` before the last line.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::cube;
use super::fused::adam;
use super::kernels::Kernels;
use super::settings::Optimizer;
use super::weights::{NamedTensor, TensorMap, WeightsError};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// Prefixes of the moments in a checkpoint.
const FIRST: &str = "adam.first.";
const SECOND: &str = "adam.second.";

/// Adam's moments, one pair for each parameter.
#[derive(Clone, Debug)]
pub struct Adam<B: Backend> {
    /// Steps taken.
    pub time: u64,
    first: Vec<Tensor<B, 2>>,
    second: Vec<Tensor<B, 2>>,
}

/// What one step is told.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AdamStep {
    pub learning_rate: f64,
    /// λ above.
    pub weight_decay: f64,
    /// How λ is meant.
    pub optimizer: Optimizer,
    /// The largest norm of all gradients together.
    pub clip: Option<f64>,
    /// How much of the weights' running mean stays: `mean ← stays · mean + (1 - stays) · w`.
    pub mean_stays: f64,
}

impl AdamStep {
    /// λ where it is part of the gradient.
    fn penalty(&self) -> f64 {
        if self.optimizer == Optimizer::Adam { self.weight_decay } else { 0.0 }
    }

    /// The share that a step takes off every weight by itself: η λ where λ is decoupled.
    fn shrink(&self) -> f64 {
        match self.optimizer {
            Optimizer::Adam => 0.0,
            Optimizer::AdamW => self.learning_rate * self.weight_decay,
        }
    }

    /// As a card's kernels take step `time`.
    fn factors(&self, time: u64) -> cube::Factors {
        // Beyond 2³¹ steps both corrections have long been 1.
        let time = i32::try_from(time).unwrap_or(i32::MAX);
        cube::Factors {
            largest_norm: self.clip.unwrap_or(f64::INFINITY) as f32,
            penalty: self.penalty() as f32,
            keep: (1.0 - self.shrink()) as f32,
            spread: (1.0 - BETA_2.powi(time)).sqrt().recip() as f32,
            rate: (self.learning_rate / (1.0 - BETA_1.powi(time))) as f32,
            mean_moves: (1.0 - self.mean_stays) as f32,
            first_moves: (1.0 - BETA_1) as f32,
            second_moves: (1.0 - BETA_2) as f32,
            epsilon: EPSILON as f32,
        }
    }
}

impl<B: Backend> Adam<B> {
    /// For parameters of these shapes, before the first step.
    pub fn new(shapes: &[(String, [usize; 2])], device: &B::Device) -> Self {
        let zeros = || shapes.iter().map(|(_, shape)| Tensor::zeros(*shape, device)).collect();
        Self { time: 0, first: zeros(), second: zeros() }
    }

    /// One step: clips the gradients, which come in the order of the parameters, moves the weights
    /// and then their mean towards them, where there is one; else `mean` is empty.
    pub fn step(
        &mut self,
        step: &AdamStep,
        weights: Vec<&mut Tensor<B, 2>>,
        mean: Vec<&mut Tensor<B, 2>>,
        gradients: Vec<Tensor<B, 2>>,
        kernels: &mut Kernels<B>,
    ) {
        self.time += 1;
        if let Some(card) = kernels.card() {
            let factors = step.factors(self.time);
            let (first, second) =
                (self.first.iter_mut().collect(), self.second.iter_mut().collect());
            return card.adam(&factors, [weights, first, second, mean], &gradients);
        }
        let Some(fused) = kernels.fused() else {
            return self.step_by_burn(step, weights, mean, gradients);
        };
        let step = adam::Step {
            time: self.time,
            learning_rate: step.learning_rate,
            penalty: step.penalty(),
            shrink: step.shrink(),
            largest_norm: step.clip.unwrap_or(f64::INFINITY),
            mean_stays: step.mean_stays,
        };
        let (first, second) = (self.first.iter_mut().collect(), self.second.iter_mut().collect());
        fused.adam(&step, [weights, first, second, mean], &gradients);
    }

    fn step_by_burn(
        &mut self,
        step: &AdamStep,
        weights: Vec<&mut Tensor<B, 2>>,
        mean: Vec<&mut Tensor<B, 2>>,
        gradients: Vec<Tensor<B, 2>>,
    ) {
        let gradients = match step.clip {
            Some(largest) => clip(gradients, largest),
            None => gradients,
        };
        // Beyond 2³¹ steps both corrections have long been 1.
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let rate = step.learning_rate / (1.0 - BETA_1.powi(time));
        let correction_2 = (1.0 - BETA_2.powi(time)).sqrt();
        let moments = self.first.iter_mut().zip(&mut self.second);
        let mut mean = mean.into_iter();
        for ((weight, gradient), (first, second)) in weights.into_iter().zip(gradients).zip(moments)
        {
            let gradient = match step.penalty() {
                0.0 => gradient,
                penalty => gradient + weight.clone().mul_scalar(penalty),
            };
            let squared = gradient.clone().square().mul_scalar(1.0 - BETA_2);
            *first = first.clone().mul_scalar(BETA_1) + gradient.mul_scalar(1.0 - BETA_1);
            *second = second.clone().mul_scalar(BETA_2) + squared;
            let denominator = second.clone().sqrt().div_scalar(correction_2);
            let direction = first.clone() / denominator.add_scalar(EPSILON);
            let kept = weight.clone().mul_scalar(1.0 - step.shrink());
            *weight = kept - direction.mul_scalar(rate);
            if let Some(mean) = mean.next() {
                let new = weight.clone().mul_scalar(1.0 - step.mean_stays);
                *mean = mean.clone().mul_scalar(step.mean_stays) + new;
            }
        }
    }

    /// Both moments as plain numbers.
    pub fn to_tensors(&self, shapes: &[(String, [usize; 2])]) -> Vec<NamedTensor> {
        let read = |prefix: &str, moments: &[Tensor<B, 2>]| -> Vec<NamedTensor> {
            let named = shapes.iter().zip(moments);
            named
                .map(|((name, _), tensor)| {
                    NamedTensor::read(format!("{prefix}{name}"), tensor.clone())
                })
                .collect()
        };
        let mut tensors = read(FIRST, &self.first);
        tensors.extend(read(SECOND, &self.second));
        tensors
    }

    pub fn from_tensors(
        shapes: &[(String, [usize; 2])],
        tensors: &TensorMap,
        time: u64,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let read = |prefix| tensors.all(prefix, shapes, device);
        Ok(Self { time, first: read(FIRST)?, second: read(SECOND)? })
    }
}

/// Scales all gradients down together so that their common norm is at most `largest`
/// (Pascanu et al. 2013). It happens on the device: nothing waits for the norm.
fn clip<B: Backend>(gradients: Vec<Tensor<B, 2>>, largest: f64) -> Vec<Tensor<B, 2>> {
    // Summed row by row and then over rows: unlike burn's full sum, the order of the additions
    // doesn't depend on the number of threads.
    let squares = gradients.iter().map(|tensor| tensor.clone().square().sum_dim(1).sum_dim(0));
    let Some(total) = squares.reduce(|sum, square| sum + square) else { return gradients };
    let norm = total.sqrt();
    let factor = norm.clamp_min(largest).recip().mul_scalar(largest);
    gradients.into_iter().map(|tensor| tensor * factor.clone()).collect()
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::super::chords::{ChordConfig, ChordNetwork, Start};
    use super::super::network::Network;
    use super::super::recurrent::CellKind;
    use super::super::weights::numbers;
    use super::*;

    fn tensor(values: &[f32]) -> Tensor<Flex, 2> {
        let data = TensorData::new(values.to_vec(), [1, values.len()]);
        Tensor::from_data(data, &Default::default())
    }

    fn norm(tensors: &[Tensor<Flex, 2>]) -> f32 {
        let all = tensors.iter().flat_map(|tensor| numbers(tensor.to_data()));
        all.map(|value| value * value).sum::<f32>().sqrt()
    }

    #[test]
    fn clipping_bounds_the_common_norm_and_keeps_the_direction() {
        let gradients = vec![tensor(&[3.0, 0.0]), tensor(&[0.0, 4.0, 12.0])];
        assert_eq!(norm(&gradients), 13.0);
        let clipped = clip(gradients.clone(), 1.0);
        assert!((norm(&clipped) - 1.0).abs() < 1e-6);
        let first = numbers(clipped[0].to_data());
        assert!((first[0] - 3.0 / 13.0).abs() < 1e-6);
        // Below the limit nothing changes.
        let untouched = clip(gradients, 100.0);
        assert!((norm(&untouched) - 13.0).abs() < 1e-5);
    }

    const STEP: AdamStep = AdamStep {
        learning_rate: 0.01,
        weight_decay: 0.0,
        optimizer: Optimizer::Adam,
        clip: None,
        mean_stays: 0.5,
    };

    /// A network of two embeddings and two biases alone.
    fn network(values: [f32; 2]) -> ChordNetwork<Flex> {
        let (kind, clusters) = (CellKind::Gru, None);
        let config = ChordConfig { kind, layers: 0, hidden: 1, vocabulary: 1, clusters };
        ChordNetwork::from_parameters(config, shaped(values), tensor(&[0.0; 2]))
    }

    fn shaped(values: [f32; 2]) -> Vec<Tensor<Flex, 2>> {
        let tensor = tensor(&values);
        vec![tensor.clone().reshape([2, 1]), tensor]
    }

    fn values(network: &ChordNetwork<Flex>) -> [Vec<f32>; 2] {
        [&network.embedding, &network.decoder_bias].map(|tensor| numbers(tensor.to_data()))
    }

    fn both() -> [Kernels<Flex>; 2] {
        [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()]
    }

    #[test]
    fn the_first_steps_are_adams() {
        for mut kernels in both() {
            // By hand: with a constant gradient both corrected moments are the gradient and its
            // square, so each step moves by the learning rate against the gradient's sign.
            let mut network = network([1.0, -1.0]);
            let mut mean = network.clone();
            let mut adam = Adam::new(&network.config.parameter_shapes(), &Default::default());
            for _ in 0..3 {
                let mean = mean.parameters_mut();
                adam.step(&STEP, network.parameters_mut(), mean, shaped([0.5, -2.0]), &mut kernels);
            }
            for found in values(&network) {
                let is_moved = (found[0] - 0.97).abs() < 1e-5 && (found[1] + 0.97).abs() < 1e-5;
                assert!(is_moved, "{found:?}");
            }
            // Halfway towards 0.99, then 0.98, then 0.97.
            assert!((values(&mean)[0][0] - 0.97875).abs() < 1e-5, "{mean:?}");
        }
    }

    #[test]
    fn the_penalty_is_part_of_the_gradient() {
        for mut kernels in both() {
            // Without a gradient the weight still shrinks.
            let mut network = network([1.0, 1.0]);
            let mut adam = Adam::new(&network.config.parameter_shapes(), &Default::default());
            let step = AdamStep { weight_decay: 0.1, ..STEP };
            adam.step(&step, network.parameters_mut(), vec![], shaped([0.0, 0.0]), &mut kernels);
            assert!((values(&network)[0][0] - 0.99).abs() < 1e-5);
        }
    }

    #[test]
    fn decoupled_decay_is_no_part_of_the_gradient() {
        for mut kernels in both() {
            let mut network = network([1.0, -2.0]);
            let mut adam = Adam::new(&network.config.parameter_shapes(), &Default::default());
            let step = AdamStep { weight_decay: 0.1, optimizer: Optimizer::AdamW, ..STEP };
            // Without a gradient each step takes off η λ of every weight …
            for _ in 0..2 {
                adam.step(
                    &step,
                    network.parameters_mut(),
                    vec![],
                    shaped([0.0, 0.0]),
                    &mut kernels,
                );
            }
            let kept = 0.999f32 * 0.999;
            for found in values(&network) {
                let is_shrunk =
                    (found[0] - kept).abs() < 1e-6 && (found[1] + 2.0 * kept).abs() < 1e-6;
                assert!(is_shrunk, "{found:?}");
            }
            // … and with one it moves as far as it would without any decay.
            let mut adam = Adam::new(&network.config.parameter_shapes(), &Default::default());
            adam.step(&step, network.parameters_mut(), vec![], shaped([0.5, 0.5]), &mut kernels);
            let moved = 0.999 * kept - 0.01;
            assert!((values(&network)[0][0] - moved).abs() < 1e-5);
        }
    }

    #[test]
    fn weights_that_others_share_stay_as_they_were() {
        for mut kernels in both() {
            let mut network = network([1.0, -1.0]);
            let shared = network.clone();
            let mut adam = Adam::new(&network.config.parameter_shapes(), &Default::default());
            adam.step(&STEP, network.parameters_mut(), vec![], shaped([0.5, -2.0]), &mut kernels);
            assert_eq!(values(&shared), [[1.0, -1.0], [1.0, -1.0]]);
            assert_ne!(values(&network)[1], [1.0, -1.0]);
        }
    }

    #[test]
    fn fused_steps_are_those_of_burn() {
        let (kind, clusters) = (CellKind::Lstm, None);
        let config = ChordConfig { kind, layers: 1, hidden: 9, vocabulary: 20, clusters };
        let device = Default::default();
        let gradients = |seed| ChordNetwork::new(config, Start::Plain, seed, &device).parameters();
        for optimizer in [Optimizer::Adam, Optimizer::AdamW] {
            let moved = both().map(|mut kernels| {
                let mut network = ChordNetwork::<Flex>::new(config, Start::Plain, 1, &device);
                let (mut mean, mut adam) =
                    (network.clone(), Adam::new(&config.parameter_shapes(), &device));
                for seed in 2..6 {
                    let step = AdamStep { weight_decay: 1e-2, clip: Some(0.5), optimizer, ..STEP };
                    let mean = mean.parameters_mut();
                    adam.step(&step, network.parameters_mut(), mean, gradients(seed), &mut kernels);
                }
                let mut tensors = adam.to_tensors(&config.parameter_shapes());
                let networks = [network, mean].map(Network::Chords);
                tensors.extend(networks.iter().flat_map(Network::to_tensors));
                tensors
            });
            for (burn, fused) in moved[0].iter().zip(&moved[1]) {
                for (burn, fused) in burn.values.iter().zip(&fused.values) {
                    assert!((burn - fused).abs() < 1e-6 + 1e-5 * burn.abs(), "{fused} for {burn}");
                }
            }
        }
    }
}
