//! The fused kernels against burn's operations, and both against burn's own layers.

mod burn_layers;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::super::chords::network::Start;
use super::super::weights::numbers;
use super::*;

struct Case {
    layer: RecurrentLayer<Flex>,
    x: Tensor<Flex, 2>,
    state: LayerState<Flex>,
    output_gradient: Tensor<Flex, 2>,
}

impl Case {
    fn new(
        rng: &mut ChaCha8Rng,
        kind: CellKind,
        [n_steps, n_rows, n_inputs, n]: [usize; 4],
    ) -> Self {
        let mut random = |rows: usize, columns: usize, to: f32| {
            let values = (0..rows * columns).map(|_| rng.random_range(-to..=to)).collect();
            tensor(values, [rows, columns], &Default::default())
        };
        let width = (n as f32).sqrt().recip();
        Self {
            layer: RecurrentLayer {
                kind,
                input_weights: random(n_inputs, kind.n_gates() * n, width),
                recurrent_weights: random(n, kind.n_gates() * n, width),
                bias: random(1, 4 * n, 0.5),
            },
            x: random(n_steps * n_rows, n_inputs, 1.0),
            state: LayerState { hidden: random(n_rows, n, 1.0), cell: random(n_rows, n, 1.0) },
            output_gradient: random(n_steps * n_rows, n, 1.0),
        }
    }

    /// Lengths 1–300 and batches 1–256, but not the largest of both; carried state always.
    fn of_any_shape(rng: &mut ChaCha8Rng, kind: CellKind) -> Self {
        const MOST_FRAMES: usize = 600;
        let mut n_steps = rng.random_range(1..=300);
        let mut n_rows = rng.random_range(1..=256);
        match rng.random_range(0..3) {
            0 => n_rows = n_rows.min(MOST_FRAMES / n_steps),
            1 => n_steps = n_steps.min(MOST_FRAMES / n_rows),
            _ => (n_steps, n_rows) = (1 + n_steps % 20, 1 + n_rows % 20),
        }
        let (n_inputs, n) = (rng.random_range(1..=40), rng.random_range(1..=40));
        Self::new(rng, kind, [n_steps, n_rows, n_inputs, n])
    }

    /// Outputs, both states, and the gradients of the input, both weights and the bias.
    fn computed(&self, mut kernels: Kernels<Flex>) -> [Vec<f32>; 7] {
        let (x, state, cancel) = (self.x.clone(), self.state.clone(), CancelToken::new());
        let (y, after) = self.layer.forward(x.clone(), state.clone(), &mut kernels);
        let remembered = self.layer.remember(x, state, &mut kernels, &cancel);
        let (outputs, state, memory) = remembered.unwrap();
        assert_eq!(values(&y), values(&outputs));
        assert_eq!(values(&after.hidden), values(&state.hidden));
        let dy = self.output_gradient.clone();
        let (dx, gradients) = self.layer.backward(memory, dy, &mut kernels, &cancel).unwrap();
        let LayerGradients { input_weights, recurrent_weights, bias } = gradients;
        let LayerState { hidden, cell } = state;
        [outputs, hidden, cell, dx, input_weights, recurrent_weights, bias]
            .map(|tensor| values(&tensor))
    }
}

fn values(tensor: &Tensor<Flex, 2>) -> Vec<f32> {
    numbers(tensor.to_data())
}

fn check(case: &Case) {
    let burn = case.computed(Kernels::of_burn_for_tests());
    assert_agree(case, &case.computed(Kernels::fused_for_tests()), &burn);
}

fn assert_agree(case: &Case, fused: &[Vec<f32>; 7], burn: &[Vec<f32>; 7]) {
    for (idx, (fused, burn)) in fused.iter().zip(burn).enumerate() {
        assert_eq!(fused.len(), burn.len());
        // Relative to the size of the numbers around: sums may come out near 0.
        let scale = burn.iter().map(|x| x * x).sum::<f32>() / burn.len() as f32;
        for (fused, burn) in fused.iter().zip(burn) {
            let distance = (fused - burn).abs() / burn.abs().max(scale.sqrt());
            let shapes = (case.x.dims(), case.state.hidden.dims());
            assert!(distance <= 1e-4, "{idx} of {shapes:?}: {fused} for {burn}");
        }
    }
}

#[test]
fn fused_layers_are_those_of_burn() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for dims in [[1, 1, 1, 1], [300, 1, 7, 6], [2, 256, 9, 10], [7, 3, 33, 100]] {
            check(&Case::new(&mut rng, kind, dims));
        }
        for _ in 0..8 {
            check(&Case::of_any_shape(&mut rng, kind));
        }
    }
}

#[test]
fn numbers_that_are_only_a_view_are_read_right() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut case = Case::new(&mut rng, CellKind::Lstm, [5, 4, 20, 6]);
    // Neither from the beginning of their storage nor in one piece.
    case.x = case.x.transpose();
    case.output_gradient = case.output_gradient.slice([4..20, 0..6]);
    case.x = case.x.slice([2..18, 1..20]);
    case.layer.input_weights = case.layer.input_weights.slice([1..20, 0..24]);
    check(&case);
}

#[test]
fn rows_are_added_in_place_and_in_order() {
    let device = Default::default();
    let to = || tensor::<Flex>((0..12).map(|x| x as f32).collect(), [6, 2], &device);
    let rows = tensor::<Flex>(vec![1e8, 1.0, 2.0, 3.0, -1e8, 0.5, 0.25, 0.0], [4, 2], &device);
    let places = [5, 0, 5, 5];
    let indices = crate::model::chords::loss::token_tensor::<Flex>(&places, &device);
    let expected =
        to().select_assign(0, indices, rows.clone(), burn::tensor::IndexingUpdateOp::Add);
    for n_threads in [1, 2, 5, 9] {
        let fused = Fused { threads: Threads::new(n_threads), ..Fused::new() };
        assert_eq!(values(&fused.add_rows(to(), &places, &rows)), values(&expected));
    }
    // What others share stays as it was.
    let shared = to();
    let changed = Fused::new().add_rows(shared.clone(), &places, &rows);
    assert!(values(&shared) == values(&to()) && values(&changed) == values(&expected));
}

#[test]
fn memory_of_sequences_is_used_again() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let case = Case::new(&mut rng, CellKind::Gru, [5, 3, 6, 6]);
    let (layer, cancel) = (&case.layer, CancelToken::new());
    let kernels = &mut Kernels::fused_for_tests();
    for _ in 0..3 {
        let state = || case.state.clone();
        let below = layer.remember(case.x.clone(), state(), kernels, &cancel).unwrap();
        let above = layer.remember(below.0, state(), kernels, &cancel).unwrap();
        let dy = case.output_gradient.clone();
        let (dy, _) = layer.backward(above.2, dy, kernels, &cancel).unwrap();
        layer.backward(below.2, dy, kernels, &cancel).unwrap();
        layer.forward(case.x.clone(), state(), kernels);
        assert_eq!(kernels.fused().unwrap().memories.len(), 2);
    }
}

#[test]
fn a_cancelled_token_ends_every_pass() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (cancelled, device) = (CancelToken::new(), Default::default());
    cancelled.cancel();
    for kind in [CellKind::Lstm, CellKind::Gru] {
        let Case { layer, x, state, output_gradient } = Case::new(&mut rng, kind, [5, 3, 4, 6]);
        let kernels = &mut Kernels::fused_for_tests();
        let going = CancelToken::new();
        assert!(layer.remember(x.clone(), state.clone(), kernels, &cancelled).is_none());
        let (y, _, memory) = layer.remember(x, state, kernels, &going).unwrap();
        assert!(layer.backward(memory, output_gradient, kernels, &cancelled).is_none());

        let config = ChordConfig { kind, layers: 0, hidden: 6, vocabulary: 3, clusters: None };
        let network = ChordNetwork::new(config, Start::Plain, 1, &device);
        let batch =
            ChordBatch { targets: vec![1; 15], weights: vec![1.0; 15], ..ChordBatch::default() };
        let fused = kernels.fused().unwrap();
        assert!(fused.decode(&network, &y, &batch, 15, &cancelled).is_none());
        assert!(fused.decode(&network, &y, &batch, 15, &going).is_some());
    }
}
