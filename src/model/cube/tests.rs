//! The kernels against burn's operations on the CPU, on every card of the machine that runs the
//! tests. Where there is none, only that they are found is tested.

use burn::backend::Flex;

use super::super::adaptive::Clusters;
use super::super::chords::{ChordBatch, ChordConfig, ChordNetwork, Start, gradients};
use super::super::optimizer::{Adam, AdamStep};
use super::super::recurrent::CellKind;
use super::super::weights::numbers;
use super::super::{DeviceChoice, KernelChoice, Optimizer, probe};
use super::*;
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;

const N_ROWS: usize = 21;
const N_STEPS: usize = 12;

/// CUDA's products of matrices are in TF32, with 10 bits behind the point.
const CUDA_TOLERANCE: f32 = 5e-3;
#[cfg(feature = "vulkan")]
const VULKAN_TOLERANCE: f32 = 1e-4;

#[test]
fn cards_have_kernels_and_the_cpu_has_its_own() {
    assert!(card::<Cuda>().is_some());
    assert!(card::<Flex>().is_none());
    assert!(Kernels::<Cuda>::new().card().is_some());
    assert!(Kernels::<Cuda>::chosen(KernelChoice::Burn).card().is_none());
}

#[test]
fn a_card_computes_what_the_cpu_computes() {
    match probe(DeviceChoice::Cuda(0)) {
        Ok(()) => check::<Cuda>(&Default::default(), CUDA_TOLERANCE),
        Err(reason) => println!("skipped: a CUDA card compared with the CPU ({reason})"),
    }
    #[cfg(feature = "vulkan")]
    match probe(DeviceChoice::Vulkan(0)) {
        Ok(()) => check::<Vulkan>(&crate::model::device::vulkan_device(0), VULKAN_TOLERANCE),
        Err(reason) => println!("skipped: a Vulkan card compared with the CPU ({reason})"),
    }
}

fn check<B: Backend>(device: &B::Device, tolerance: f32) {
    let clusters = Some(Clusters { n_chords: 50, head: 20, size: 17 });
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for (hidden, clusters) in [(40, None), (64, clusters)] {
            let config = ChordConfig { kind, layers: 2, hidden, vocabulary: 50, clusters };
            let right = computed::<Flex>(config, &Default::default(), KernelChoice::Burn);
            let found = computed::<B>(config, device, KernelChoice::Fused);
            assert_close(&found, &right, tolerance);
            let right = moved::<Flex>(config, &Default::default(), KernelChoice::Burn);
            assert_close(&moved::<B>(config, device, KernelChoice::Fused), &right, 1e-5);
        }
    }
}

/// Totals, gradients and states of two batches, the second with the state of the first.
fn computed<B: Backend>(
    config: ChordConfig,
    device: &B::Device,
    choice: KernelChoice,
) -> Vec<Vec<f32>> {
    let n = N_ROWS * N_STEPS;
    let batch = ChordBatch {
        n_rows: N_ROWS,
        n_steps: N_STEPS,
        inputs: (0..n).map(|idx| (idx * 7 % 50) as i32).collect(),
        targets: (0..n).map(|idx| (idx * 11 % 51) as i32).collect(),
        weights: (0..n).map(|idx| f32::from(u8::from(idx % 5 != 0))).collect(),
        continues: vec![true; N_ROWS],
    };
    let network = ChordNetwork::<B>::new(config, Start::Plain, 7, device);
    let (mut kernels, cancel) = (Kernels::chosen(choice), CancelToken::new());
    let mut state = network.zero_state(N_ROWS);
    let mut found = Vec::new();
    for _ in 0..2 {
        let n_frames = batch.n_frames();
        let part = gradients(&network, &batch, state, &[], n_frames, &mut kernels, &cancel);
        let part = part.expect("nobody cancels it");
        found.push(part.totals);
        found.extend(part.gradients);
        found.extend(part.state.iter().map(|layer| layer.hidden.clone()));
        found.extend(part.state.iter().map(|layer| layer.cell.clone()));
        state = part.state;
    }
    found.into_iter().map(|tensor| numbers(tensor.into_data())).collect()
}

/// Weights, their mean and what they were before, after some steps of Adam.
fn moved<B: Backend>(
    config: ChordConfig,
    device: &B::Device,
    choice: KernelChoice,
) -> Vec<Vec<f32>> {
    let step = AdamStep {
        learning_rate: 0.01,
        weight_decay: 0.01,
        optimizer: Optimizer::AdamW,
        clip: Some(0.5),
        mean_stays: 0.5,
    };
    let mut kernels = Kernels::chosen(choice);
    let mut adam = Adam::new(&config.parameter_shapes(), device);
    let mut network = ChordNetwork::<B>::new(config, Start::Plain, 1, device);
    let (shared, mut mean) = (network.clone(), network.clone());
    for seed in 2..6 {
        let gradients = ChordNetwork::new(config, Start::Plain, seed, device).parameters();
        let (weights, mean) = (network.parameters_mut(), mean.parameters_mut());
        adam.step(&step, weights, mean, gradients, &mut kernels);
    }
    let all = [network, mean, shared].map(|network| network.parameters()).into_iter().flatten();
    all.map(|tensor| numbers(tensor.into_data())).collect()
}

/// Relative to the size of the numbers around: sums may come out near 0.
fn assert_close(found: &[Vec<f32>], right: &[Vec<f32>], tolerance: f32) {
    assert_eq!(found.len(), right.len());
    for (idx, (found, right)) in found.iter().zip(right).enumerate() {
        assert_eq!(found.len(), right.len());
        let scale = (right.iter().map(|x| x * x).sum::<f32>() / right.len() as f32).sqrt();
        for (found, right) in found.iter().zip(right) {
            let distance = (found - right).abs();
            let bound = tolerance * right.abs().max(scale).max(1e-6);
            assert!(distance <= bound, "{idx}: {found} for {right}");
        }
    }
}
