//! Adam with the L2 penalty added to the gradient, and clipping by the norm of all gradients.
//!
//! It is our own rather than burn-optim's because its moments must come back exactly after a
//! resume, in the one order of `NetworkConfig::parameter_shapes`, without parameter ids; and
//! because the clipping of burn-optim is by tensor, not over all of them together.
//!
//! Kingma & Ba (2015), with the penalty as PyTorch's `Adam(weight_decay)` has it:
//!
//! ```text
//! g ← g + λ w      m ← β₁ m + (1-β₁) g      v ← β₂ v + (1-β₂) g²
//! w ← w - η · (m / (1-β₁ᵗ)) / (√(v / (1-β₂ᵗ)) + ε)
//! ```

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::network::NetworkConfig;
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

impl<B: Backend> Adam<B> {
    pub fn new(config: &NetworkConfig, device: &B::Device) -> Self {
        let zeros = || {
            let shapes = config.parameter_shapes();
            shapes.into_iter().map(|(_, shape)| Tensor::zeros(shape, device)).collect()
        };
        Self { time: 0, first: zeros(), second: zeros() }
    }

    /// One step: parameters and gradients in the same order, new parameters out.
    pub fn step(
        &mut self,
        parameters: Vec<Tensor<B, 2>>,
        gradients: Vec<Tensor<B, 2>>,
        learning_rate: f64,
        weight_decay: f64,
    ) -> Vec<Tensor<B, 2>> {
        self.time += 1;
        // Beyond 2³¹ steps both corrections have long been 1.
        let time = i32::try_from(self.time).unwrap_or(i32::MAX);
        let correction_1 = 1.0 - BETA_1.powi(time);
        let correction_2 = (1.0 - BETA_2.powi(time)).sqrt();
        let moments = self.first.iter_mut().zip(&mut self.second);
        parameters
            .into_iter()
            .zip(gradients)
            .zip(moments)
            .map(|((parameter, gradient), (first, second))| {
                let gradient = if weight_decay > 0.0 {
                    gradient + parameter.clone().mul_scalar(weight_decay)
                } else {
                    gradient
                };
                let squared = gradient.clone().square().mul_scalar(1.0 - BETA_2);
                let mut mean = first.clone();
                std::mem::swap(first, &mut mean);
                *first = mean.mul_scalar(BETA_1) + gradient.mul_scalar(1.0 - BETA_1);
                let mut spread = second.clone();
                std::mem::swap(second, &mut spread);
                *second = spread.mul_scalar(BETA_2) + squared;
                let denominator = second.clone().sqrt().div_scalar(correction_2);
                let direction = first.clone() / denominator.add_scalar(EPSILON);
                parameter - direction.mul_scalar(learning_rate / correction_1)
            })
            .collect()
    }

    /// Both moments as plain numbers.
    pub fn to_tensors(&self, config: &NetworkConfig) -> Vec<NamedTensor> {
        let names = || config.parameter_shapes().into_iter().map(|(name, _)| name);
        let read = |prefix: &str, moments: &[Tensor<B, 2>]| -> Vec<NamedTensor> {
            names()
                .zip(moments)
                .map(|(name, tensor)| NamedTensor::read(format!("{prefix}{name}"), tensor.clone()))
                .collect()
        };
        let mut tensors = read(FIRST, &self.first);
        tensors.extend(read(SECOND, &self.second));
        tensors
    }

    pub fn from_tensors(
        config: &NetworkConfig,
        tensors: &TensorMap,
        time: u64,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let read = |prefix: &str| {
            let shapes = config.parameter_shapes();
            shapes
                .iter()
                .map(|(name, shape)| tensors.tensor(prefix, name, *shape, device))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { time, first: read(FIRST)?, second: read(SECOND)? })
    }
}

/// Scales all gradients down together so that their common norm is at most `largest`
/// (Pascanu et al. 2013). It happens on the device: nothing waits for the norm.
pub fn clip<B: Backend>(gradients: Vec<Tensor<B, 2>>, largest: f64) -> Vec<Tensor<B, 2>> {
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

    use super::super::ModelKind;
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

    #[test]
    fn the_first_steps_are_adams() {
        // By hand: with a constant gradient both corrected moments are the gradient and its
        // square, so each step moves by the learning rate against the gradient's sign.
        let config = NetworkConfig { kind: ModelKind::Gru, layers: 0, hidden: 1, vocabulary: 1 };
        let mut adam = Adam::<Flex>::new(&config, &Default::default());
        let shape = |values: [f32; 2]| {
            let tensor: Tensor<Flex, 2> = tensor(&values);
            vec![tensor.clone().reshape([2, 1]), tensor]
        };
        let mut parameters = shape([1.0, -1.0]);
        for _ in 0..3 {
            parameters = adam.step(parameters, shape([0.5, -2.0]), 0.01, 0.0);
        }
        let found = numbers(parameters[0].to_data());
        assert!((found[0] - 0.97).abs() < 1e-5 && (found[1] + 0.97).abs() < 1e-5, "{found:?}");
        // The penalty is part of the gradient: without a gradient the weight still shrinks.
        let mut adam = Adam::<Flex>::new(&config, &Default::default());
        let decayed = adam.step(shape([1.0, 1.0]), shape([0.0, 0.0]), 0.01, 0.1);
        assert!((numbers(decayed[0].to_data())[0] - 0.99).abs() < 1e-5);
    }
}
