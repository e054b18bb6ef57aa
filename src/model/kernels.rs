//! Which code computes a network: burn's operations, on any device, or on the CPU the kernels of
//! [`super::fused`], and for a card's recurrent layers those of [`super::cube`].
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

use super::chords::decode::Decoded;
use super::chords::loss::ChordBatch;
use super::chords::network::{ChordConfig, ChordNetwork};
use super::cube::{self, Card};
use super::fused::adam;
use super::fused::adaptive::AdaptiveDecoder;
use super::fused::decoder::{self, Decoder, Frames, Judged, Outputs};
use super::fused::reader::{ClusterRows, Reader};
use super::fused::recurrent::{self, Input, Shape, State, Weights, Workspace};
use super::fused::simd::Level;
use super::fused::threads::{Threads, split_rows};
use super::recurrent::{CellKind, LayerGradients, LayerState, RecurrentLayer};
use super::weights::WeightFormat;
use crate::cancel::CancelToken;

/// Which code computes a network. All give the same numbers up to rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KernelChoice {
    /// The fastest there is.
    ///
    /// Builds with debug assertions are without optimization, where the fused kernels would be
    /// many times slower than burn, whose crates are optimized even there: such builds take burn's
    /// operations.
    #[default]
    Fastest,
    /// The fused kernels in every build; burn's operations where the device has none.
    Fused,
    /// Burn's operations.
    Burn,
}

impl KernelChoice {
    /// Whether the fused kernels compute where the device has them, as the CPU does.
    pub(super) fn wants_fused(self) -> bool {
        match self {
            Self::Fastest => !cfg!(debug_assertions),
            Self::Fused => true,
            Self::Burn => false,
        }
    }
}

/// How networks on the backend `B` are computed, and the memory for it that is used again and
/// again. Whoever computes many steps keeps one.
pub struct Kernels<B: Backend> {
    /// Only where `B` is Flex.
    fused: Option<Fused>,
    /// Only where `B` is a card's.
    card: Option<Box<dyn Card<B>>>,
    backend: PhantomData<B>,
}

/// The kernels of the CPU.
pub struct Fused {
    threads: Threads,
    level: Level,
    layers: Workspace,
    decoder: Decoder,
    adaptive: AdaptiveDecoder,
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
    pub fn new() -> Self {
        Self::chosen(KernelChoice::Fastest)
    }

    pub fn chosen(choice: KernelChoice) -> Self {
        // Those of a card are compiled at run time, optimized in every build.
        let card = if choice == KernelChoice::Burn { None } else { cube::card::<B>() };
        let fused = (choice.wants_fused() && is_flex::<B>()).then(Fused::new);
        Self { fused, card, backend: PhantomData }
    }

    #[cfg(test)]
    pub fn of_burn_for_tests() -> Self {
        Self::chosen(KernelChoice::Burn)
    }

    /// The fused kernels even in builds without optimization, for tests.
    ///
    /// # Panics
    /// If `B` isn't Flex.
    pub fn fused_for_tests() -> Self {
        assert!(is_flex::<B>());
        Self { fused: Some(Fused::new()), card: None, backend: PhantomData }
    }

    /// The network packed for reading step by step, its weights in a format; none where that is
    /// left to burn.
    pub fn reader(&self, network: &ChordNetwork<B>, weights: WeightFormat) -> Option<Reader> {
        self.fused.as_ref()?;
        let layers: Vec<_> = network.layers.iter().map(LayerNumbers::of).collect();
        let layers: Vec<_> = layers.iter().map(LayerNumbers::borrow).collect();
        // Composing never asks for the escape, which is the last output.
        let ChordConfig { kind, hidden, vocabulary, .. } = network.config;
        let embedding = Numbers::of(&network.embedding);
        let bias = Numbers::of(&network.output_bias());
        let n_outputs = network.config.n_outputs();
        let clusters = network.config.clusters.map(|clusters| ClusterRows {
            clusters,
            embedding: &embedding[n_outputs * hidden..],
            bias: &bias[n_outputs..],
        });
        let (embedding, bias) = (&embedding[..vocabulary * hidden], &bias[..vocabulary]);
        Some(Reader::new(kind, hidden, &layers, embedding, bias, clusters, weights))
    }

    pub fn fused(&mut self) -> Option<&mut Fused> {
        self.fused.as_mut()
    }

    /// The instructions that the fused kernels use, where there are these kernels.
    pub fn fused_level(&self) -> Option<Level> {
        self.fused.as_ref().map(|fused| fused.level)
    }

    /// Whether tensors are memory of this process.
    pub fn is_on_cpu(&self) -> bool {
        is_flex::<B>()
    }

    pub fn card(&self) -> Option<&dyn Card<B>> {
        self.card.as_deref()
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
            adaptive: AdaptiveDecoder::new(threads, level),
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
        let n_frames = x.dims()[0];
        self.remember_input(layer, Input::Rows(&Numbers::of(x)), n_frames, state, cancel)
    }

    /// [`Fused::remember`] of any input.
    pub fn remember_input<B: Backend>(
        &mut self,
        layer: &RecurrentLayer<B>,
        input: Input<'_>,
        n_frames: usize,
        state: LayerState<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerState<B>, recurrent::Memory)> {
        let ([n_inputs, _], [n_rows, n_units]) = (layer.input_weights.dims(), state.hidden.dims());
        let shape = Shape { n_steps: n_frames / n_rows.max(1), n_rows, n_inputs, n_units };
        let (hidden, cell) = (Numbers::of(&state.hidden), Numbers::of(&state.cell));
        let cell: &[f32] = if layer.kind == CellKind::Gru { &[] } else { &cell };
        let before = State { hidden: &hidden, cell };
        let kept = self.memories.pop().filter(|kept| kept.kind() == layer.kind);
        let mut kept = kept.unwrap_or_else(|| recurrent::Memory::new(layer.kind));
        let weights = LayerNumbers::of(layer);
        self.layers.forward(shape, input, weights.borrow(), before, &mut kept, cancel)?;
        let device = layer.bias.device();
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
        kept: recurrent::Memory,
        output_gradient: &Tensor<B, 2>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerGradients<B>)> {
        let mut dx = zeros(x.dims());
        let input = Input::Rows(&Numbers::of(x));
        let to = Some(&mut dx[..]);
        let gradients = self.backward_input(layer, input, to, kept, output_gradient, cancel)?;
        Some((tensor(dx, x.dims(), &x.device()), gradients))
    }

    /// [`Fused::backward`] of any input, whose gradient goes to `dx` if somebody asks for it.
    pub fn backward_input<B: Backend>(
        &mut self,
        layer: &RecurrentLayer<B>,
        input: Input<'_>,
        dx: Option<&mut [f32]>,
        mut kept: recurrent::Memory,
        output_gradient: &Tensor<B, 2>,
        cancel: &CancelToken,
    ) -> Option<LayerGradients<B>> {
        let shapes = [&layer.input_weights, &layer.recurrent_weights, &layer.bias];
        let shapes = shapes.map(|tensor| tensor.dims());
        let [mut of_input, mut recurrent, mut bias] = shapes.map(zeros);
        let gradients = recurrent::Gradients {
            x: dx,
            input: &mut of_input,
            recurrent: &mut recurrent,
            bias: &mut bias,
        };
        let (weights, dy) = (LayerNumbers::of(layer), Numbers::of(output_gradient));
        self.layers.backward(input, weights.borrow(), &mut kept, &dy, gradients, cancel)?;
        self.take_back(kept);
        let device = layer.bias.device();
        Some(LayerGradients {
            input_weights: tensor(of_input, shapes[0], &device),
            recurrent_weights: tensor(recurrent, shapes[1], &device),
            bias: tensor(bias, shapes[2], &device),
        })
    }

    /// Memory of a sequence that nobody goes back through.
    pub fn take_back(&mut self, kept: recurrent::Memory) {
        self.memories.push(kept);
    }

    /// Loss and gradients of the output layer, as `decode` describes them.
    pub fn decode<B: Backend>(
        &mut self,
        network: &ChordNetwork<B>,
        hidden: &Tensor<B, 2>,
        batch: &ChordBatch,
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
        let (rows, row_bias, adaptive) = (&weights[..], &outer_bias[..], &mut self.adaptive);
        let totals = match network.config.clusters {
            None => self.decoder.run(&frames, rows, row_bias, gradients, cancel)?,
            Some(clusters) => adaptive.run(clusters, &frames, rows, row_bias, gradients, cancel)?,
        };
        let device = hidden.device();
        Some(Decoded {
            totals: tensor(vec![totals.loss as f32, totals.right as f32], [1, 2], &device),
            hidden: tensor(dh, shapes[0], &device),
            embedding: tensor(embedding, shapes[1], &device),
            bias: tensor(bias, shapes[2], &device),
        })
    }

    /// How surprised the network is by every frame of `hidden` (`[N, H]`).
    pub fn judge<B: Backend>(
        &mut self,
        network: &ChordNetwork<B>,
        hidden: &Tensor<B, 2>,
        targets: &[i32],
    ) -> Vec<Judged> {
        let ChordConfig { vocabulary, clusters, .. } = network.config;
        let embedding = Numbers::of(&network.embedding);
        let bias = Numbers::of(&network.output_bias());
        let (n_chords, embedding, bias) = (vocabulary, &embedding[..], &bias[..]);
        let outputs = Outputs { embedding, bias, n_chords, clusters };
        self.decoder.judge(&Numbers::of(hidden), targets, outputs)
    }

    /// `to` with row `idx` of `rows` added to its row `places[idx]`, in place: burn's operation would
    /// copy all of it, and the embedding's gradient can be the largest tensor of a step.
    ///
    /// # Panics
    /// If a place isn't a row of `to`.
    pub fn add_rows<B: Backend>(
        &self,
        mut to: Tensor<B, 2>,
        places: &[i32],
        rows: &Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let [n_places, width] = to.dims();
        let rows = Numbers::of(rows);
        assert_eq!(rows.len(), places.len() * width);
        assert!(places.iter().all(|&place| (0..n_places as i32).contains(&place)));
        let threads = self.threads;
        let ranges = threads.ranges(n_places, n_places);
        write(vec![&mut to], |mut numbers| {
            let parts = split_rows(std::mem::take(&mut numbers[0]), ranges, width);
            // Every thread looks at all places and adds those of its own part in order.
            threads.share(parts, |(range, part)| {
                for (row, &place) in rows.chunks_exact(width).zip(places) {
                    if range.contains(&(place as usize)) {
                        let to = &mut part[(place as usize - range.start) * width..][..width];
                        to.iter_mut().zip(row).for_each(|(to, value)| *to += value);
                    }
                }
            });
        });
        to
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
mod tests;
