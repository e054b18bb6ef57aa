//! Which code computes a network: burn's operations, on any device, or on the CPU the kernels of
//! [`super::fused`].
//!
//! This is the one place that looks under a tensor. Everything else is generic in the backend;
//! here it is asked at run time whether the backend is Flex, whose tensors are slices of this
//! process's memory. A trait with an implementation for every backend would say the same in
//! types, at the price of a bound of our own wherever [`Backend`] stands now.

use std::any::{Any, TypeId};
use std::marker::PhantomData;
use std::ops::Deref;

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use burn_flex::FlexTensor;

use super::ModelKind;
use super::fused::adam;
use super::fused::decoder::{self, Decoder, Frames};
use super::fused::reader::Reader;
use super::fused::recurrent::{self, Shape, State, Weights, Workspace};
use super::fused::simd::Level;
use super::fused::threads::Threads;
use super::loss::{Batch, Decoded};
use super::network::{Network, NetworkConfig};
use super::recurrent::{LayerGradients, LayerState, RecurrentLayer};
use super::weights::WeightFormat;
use crate::cancel::CancelToken;

/// How networks on the backend `B` are computed, and the memory for it that is used again and
/// again. Whoever computes many steps keeps one.
pub struct Kernels<B: Backend> {
    /// Only where `B` is Flex.
    fused: Option<Fused>,
    backend: PhantomData<B>,
}

/// The kernels of the CPU.
pub struct Fused {
    threads: Threads,
    level: Level,
    layers: Workspace,
    decoder: Decoder,
    /// Of sequences that are done with, for the next ones.
    memories: Vec<recurrent::Memory>,
}

/// A tensor's numbers, borrowed from it; copied only if they don't lie in one piece.
pub struct Numbers(FlexTensor);

/// The weights of a layer as numbers.
struct LayerNumbers {
    input: Numbers,
    recurrent: Numbers,
    bias: Numbers,
}

impl<B: Backend> Kernels<B> {
    /// The fastest there are for `B`.
    ///
    /// Builds with debug assertions are without optimization, where the fused kernels would be
    /// many times slower than burn, whose crates are optimized even there: such builds use burn's
    /// operations, except in the tests that ask for [`Kernels::fused_for_tests`].
    pub fn new() -> Self {
        match is_flex::<B>() && !cfg!(debug_assertions) {
            true => Self { fused: Some(Fused::new()), backend: PhantomData },
            false => Self::of_burn(),
        }
    }

    /// Burn's operations.
    fn of_burn() -> Self {
        Self { fused: None, backend: PhantomData }
    }

    #[cfg(test)]
    pub fn of_burn_for_tests() -> Self {
        Self::of_burn()
    }

    /// The fused kernels even in builds without optimization, for tests.
    ///
    /// # Panics
    /// If `B` isn't Flex.
    pub fn fused_for_tests() -> Self {
        assert!(is_flex::<B>());
        Self { fused: Some(Fused::new()), backend: PhantomData }
    }

    /// The network packed for reading step by step, its weights in a format; none where that is left to burn.
    pub fn reader(&self, network: &Network<B>, weights: WeightFormat) -> Option<Reader> {
        self.fused.as_ref()?;
        let layers: Vec<_> = network.layers.iter().map(LayerNumbers::of).collect();
        let layers: Vec<_> = layers.iter().map(LayerNumbers::borrow).collect();
        // Composing never asks for the escape, which is the last output.
        let NetworkConfig { kind, hidden, vocabulary, .. } = network.config;
        let (embedding, bias) = (Numbers::of(&network.embedding), network.output_bias());
        let (embedding, bias) = (&embedding[..vocabulary * hidden], Numbers::of(&bias));
        Some(Reader::new(kind, hidden, &layers, embedding, &bias[..vocabulary], weights))
    }

    pub fn fused(&mut self) -> Option<&mut Fused> {
        self.fused.as_mut()
    }
}

fn is_flex<B: Backend>() -> bool {
    TypeId::of::<B>() == TypeId::of::<Flex>()
}

impl Fused {
    fn new() -> Self {
        let threads = Threads::new(rayon::current_num_threads());
        let level = Level::detect();
        Self {
            threads,
            level,
            layers: Workspace::new(threads, level),
            decoder: Decoder::new(threads, level),
            memories: Vec::new(),
        }
    }

    /// [`RecurrentLayer::remember`].
    pub fn remember<B: Backend>(
        &mut self,
        layer: &RecurrentLayer<B>,
        x: &Tensor<B, 2>,
        state: LayerState<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerState<B>, recurrent::Memory)> {
        let ([n_frames, n_inputs], [n_rows, n_units]) = (x.dims(), state.hidden.dims());
        let shape = Shape { n_steps: n_frames / n_rows.max(1), n_rows, n_inputs, n_units };
        let (hidden, cell) = (Numbers::of(&state.hidden), Numbers::of(&state.cell));
        let cell: &[f32] = if layer.kind == ModelKind::Gru { &[] } else { &cell };
        let before = State { hidden: &hidden, cell };
        let kept = self.memories.pop().filter(|kept| kept.kind() == layer.kind);
        let mut kept = kept.unwrap_or_else(|| recurrent::Memory::new(layer.kind));
        let (x_numbers, weights) = (Numbers::of(x), LayerNumbers::of(layer));
        self.layers.forward(shape, &x_numbers, weights.borrow(), before, &mut kept, cancel)?;
        let device = x.device();
        let outputs = tensor(kept.outputs().to_vec(), [n_frames, n_units], &device);
        let hidden = tensor(kept.state().hidden.to_vec(), [n_rows, n_units], &device);
        let cell = match kept.state().cell {
            [] => state.cell,
            cell => tensor(cell.to_vec(), [n_rows, n_units], &device),
        };
        Some((outputs, LayerState { hidden, cell }, kept))
    }

    /// [`RecurrentLayer::backward`].
    pub fn backward<B: Backend>(
        &mut self,
        layer: &RecurrentLayer<B>,
        x: &Tensor<B, 2>,
        mut kept: recurrent::Memory,
        output_gradient: &Tensor<B, 2>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerGradients<B>)> {
        let shapes = [x, &layer.input_weights, &layer.recurrent_weights, &layer.bias];
        let shapes = shapes.map(|tensor| tensor.dims());
        let [mut dx, mut input, mut recurrent, mut bias] = shapes.map(zeros);
        let gradients = recurrent::Gradients {
            x: &mut dx,
            input: &mut input,
            recurrent: &mut recurrent,
            bias: &mut bias,
        };
        let (x_numbers, weights) = (Numbers::of(x), LayerNumbers::of(layer));
        let dy = Numbers::of(output_gradient);
        self.layers.backward(&x_numbers, weights.borrow(), &mut kept, &dy, gradients, cancel)?;
        self.take_back(kept);
        let device = x.device();
        let gradients = LayerGradients {
            input_weights: tensor(input, shapes[1], &device),
            recurrent_weights: tensor(recurrent, shapes[2], &device),
            bias: tensor(bias, shapes[3], &device),
        };
        Some((tensor(dx, shapes[0], &device), gradients))
    }

    /// Memory of a sequence that nobody goes back through.
    pub fn take_back(&mut self, kept: recurrent::Memory) {
        self.memories.push(kept);
    }

    /// Loss and gradients of the output layer, as `loss` describes them.
    pub fn decode<B: Backend>(
        &mut self,
        network: &Network<B>,
        hidden: &Tensor<B, 2>,
        batch: &Batch,
        n_frames: usize,
        cancel: &CancelToken,
    ) -> Option<Decoded<B>> {
        let shapes = [hidden, &network.embedding, &network.decoder_bias].map(|t| t.dims());
        let [mut dh, mut embedding, mut bias] = shapes.map(zeros);
        let gradients =
            decoder::Gradients { hidden: &mut dh, embedding: &mut embedding, bias: &mut bias };
        let hidden_numbers = Numbers::of(hidden);
        let frames = Frames {
            hidden: &hidden_numbers,
            targets: &batch.targets,
            weights: &batch.weights,
            escape: network.config.vocabulary as i32,
            n_frames,
        };
        let weights = Numbers::of(&network.embedding);
        let outer_bias = Numbers::of(&network.output_bias());
        let totals = self.decoder.run(&frames, &weights, &outer_bias, gradients, cancel)?;
        let device = hidden.device();
        Some(Decoded {
            totals: tensor(vec![totals.loss as f32, totals.right as f32], [1, 2], &device),
            hidden: tensor(dh, shapes[0], &device),
            embedding: tensor(embedding, shapes[1], &device),
            bias: tensor(bias, shapes[2], &device),
        })
    }

    /// One step of the optimizer, in place. `moved` are the weights, Adam's first and second
    /// moments and, where there is one, the weights' mean, each in the order of the gradients.
    pub fn adam<B: Backend>(
        &self,
        step: &adam::Step,
        moved: [Vec<&mut Tensor<B, 2>>; 4],
        gradients: &[Tensor<B, 2>],
    ) {
        let gradients: Vec<_> = gradients.iter().map(Numbers::of).collect();
        let n = gradients.len();
        write(moved.into_iter().flatten().collect(), |numbers| {
            let mut numbers = numbers.into_iter();
            let mut next = || -> Vec<_> { numbers.by_ref().take(n).collect() };
            let (weights, first, second) = (next(), next(), next());
            let mean = next().into_iter().map(Some).chain(std::iter::repeat_with(|| None));
            let moments = first.into_iter().zip(second);
            let parameters = weights.into_iter().zip(&gradients).zip(moments).zip(mean);
            let parameters = parameters.map(|(((weights, gradient), (first, second)), mean)| {
                let mean = mean.unwrap_or_default();
                adam::Parameter { weights, gradient, first, second, mean }
            });
            adam::step(self.threads, self.level, step, parameters.collect());
        });
    }
}

impl Numbers {
    /// # Panics
    /// If `B` isn't Flex.
    pub fn of<B: Backend>(tensor: &Tensor<B, 2>) -> Self {
        let tensor = (tensor as &dyn Any).downcast_ref::<Tensor<Flex, 2>>();
        let tensor = tensor.expect("there are fused kernels only where the backend is Flex");
        Self(in_one_piece(tensor.clone()))
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.0.as_slice().expect("in one piece, and every tensor of a network is made of f32")
    }
}

impl LayerNumbers {
    fn of<B: Backend>(layer: &RecurrentLayer<B>) -> Self {
        Self {
            input: Numbers::of(&layer.input_weights),
            recurrent: Numbers::of(&layer.recurrent_weights),
            bias: Numbers::of(&layer.bias),
        }
    }

    fn borrow(&self) -> Weights<'_> {
        Weights { input: &self.input, recurrent: &self.recurrent, bias: &self.bias }
    }
}

fn in_one_piece(tensor: Tensor<Flex, 2>) -> FlexTensor {
    let tensor = tensor.into_primitive().tensor();
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// Lets `work` change the numbers of tensors in place. Those of a tensor that shares them with
/// another one are copied before.
fn write<B: Backend>(tensors: Vec<&mut Tensor<B, 2>>, work: impl FnOnce(Vec<&mut [f32]>)) {
    let of_flex = |tensor| <dyn Any>::downcast_mut::<Tensor<Flex, 2>>(tensor);
    let places = tensors.into_iter().map(|tensor| of_flex(tensor as &mut dyn Any));
    let places: Option<Vec<_>> = places.collect();
    let mut places = places.expect("there are fused kernels only where the backend is Flex");
    let taken = places.iter_mut().map(|place| {
        let nothing = Tensor::empty([1, 1], &Default::default());
        // Its whole storage is the tensor: `storage_mut` knows no offset.
        std::mem::replace(*place, nothing).into_primitive().tensor().to_contiguous()
    });
    let mut taken: Vec<FlexTensor> = taken.collect();
    work(taken.iter_mut().map(FlexTensor::storage_mut).collect());
    for (place, tensor) in places.into_iter().zip(taken) {
        *place = Tensor::from_primitive(TensorPrimitive::Float(tensor));
    }
}

fn zeros([rows, columns]: [usize; 2]) -> Vec<f32> {
    vec![0.0; rows * columns]
}

/// Numbers as a tensor, without copying them where the backend is Flex.
fn tensor<B: Backend>(numbers: Vec<f32>, shape: [usize; 2], device: &B::Device) -> Tensor<B, 2> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::network::Start;
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
            kind: ModelKind,
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
        let burn = case.computed(Kernels::of_burn());
        let fused = case.computed(Kernels::fused_for_tests());
        for (idx, (fused, burn)) in fused.iter().zip(&burn).enumerate() {
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
        for kind in [ModelKind::Lstm, ModelKind::Gru] {
            for dims in [[1, 1, 1, 1], [300, 1, 7, 6], [2, 256, 9, 10], [7, 3, 33, 100]] {
                check(&Case::new(&mut rng, kind, dims));
            }
            for _ in 0..8 {
                let dims = [(1, 20), (1, 20), (1, 40), (1, 40)];
                let dims = dims.map(|(from, to)| rng.random_range(from..=to));
                check(&Case::new(&mut rng, kind, dims));
            }
        }
    }

    #[test]
    fn numbers_that_are_only_a_view_are_read_right() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut case = Case::new(&mut rng, ModelKind::Lstm, [5, 4, 20, 6]);
        // Neither from the beginning of their storage nor in one piece.
        case.x = case.x.transpose();
        case.output_gradient = case.output_gradient.slice([4..20, 0..6]);
        case.x = case.x.slice([2..18, 1..20]);
        case.layer.input_weights = case.layer.input_weights.slice([1..20, 0..24]);
        check(&case);
    }

    #[test]
    fn memory_of_sequences_is_used_again() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let case = Case::new(&mut rng, ModelKind::Gru, [5, 3, 6, 6]);
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
        for kind in [ModelKind::Lstm, ModelKind::Gru] {
            let Case { layer, x, state, output_gradient } = Case::new(&mut rng, kind, [5, 3, 4, 6]);
            let kernels = &mut Kernels::fused_for_tests();
            let going = CancelToken::new();
            assert!(layer.remember(x.clone(), state.clone(), kernels, &cancelled).is_none());
            let (y, _, memory) = layer.remember(x, state, kernels, &going).unwrap();
            assert!(layer.backward(memory, output_gradient, kernels, &cancelled).is_none());

            let config = NetworkConfig { kind, layers: 0, hidden: 6, vocabulary: 3 };
            let network = Network::new(config, Start::Plain, 1, &device);
            let batch = Batch { targets: vec![1; 15], weights: vec![1.0; 15], ..Batch::default() };
            let fused = kernels.fused().unwrap();
            assert!(fused.decode(&network, &y, &batch, 15, &cancelled).is_none());
            assert!(fused.decode(&network, &y, &batch, 15, &going).is_some());
        }
    }
}
