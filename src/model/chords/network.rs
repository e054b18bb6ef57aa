//! The network: embedding, stacked recurrent layers, and a linear decoder that
//! shares the embedding's weights.
//!
//! ```text
//! e_t = E[x_t]                      embedding, [V+1, H]
//! h_t = layer_L(… layer_1(e_t))     each H units wide
//! s_t = h_t Eᵀ + b + p              scores of V chords and the escape
//! ```
//!
//! `p` is fixed: the logarithm of how often each chord was seen in the learning pieces (add-one),
//! or zero. With it a network that has learned nothing is the unigram model, and weight decay
//! pulls towards that instead of towards "every chord is as likely as any other", which matters
//! a great deal when there is little music to learn from. Sharing the weights follows Press &
//! Wolf (2017).
//!
//! With an adaptive softmax the decoder has one row more for each cluster, after the escape's.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::model::adaptive::Clusters;
use crate::model::kernels::Kernels;
use crate::model::random::{self, Purpose};
use crate::model::recurrent::{CellKind, LayerState, RecurrentLayer};
use crate::model::weights::{NamedTensor, TensorMap, WeightsError};
use crate::model::{Softmax, TrainingSettings};

/// The name of the fixed part of the scores in a checkpoint.
const PRIOR: &str = "prior";
/// That of the chords' vectors.
pub const EMBEDDING: &str = "embedding";

/// What decides every shape of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChordConfig {
    pub kind: CellKind,
    pub layers: usize,
    pub hidden: usize,
    /// Chords without the escape.
    pub vocabulary: usize,
    /// How the outputs of an adaptive softmax are divided; none for one softmax over all.
    pub clusters: Option<Clusters>,
}

/// A network on a device. Cloning is cheap: tensors are shared.
#[derive(Clone, Debug)]
pub struct ChordNetwork<B: Backend> {
    pub config: ChordConfig,
    /// `[V+1, H]`, also the decoder's weights; with C clusters `[V+1+C, H]`.
    pub embedding: Tensor<B, 2>,
    pub layers: Vec<RecurrentLayer<B>>,
    /// `[1, V+1]`, or `[1, V+1+C]`
    pub decoder_bias: Tensor<B, 2>,
    /// As wide as the bias; never learned.
    pub prior: Tensor<B, 2>,
}

/// How the weights begin.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Start<'a> {
    /// Small embedding, forget gates open, and the logarithm of each output's share as the prior.
    Informed(&'a [f32]),
    /// As PyTorch begins an `nn.Embedding` and an `nn.LSTM`, which is what the original did.
    Plain,
}

impl ChordConfig {
    pub fn new(settings: &TrainingSettings, kind: CellKind, vocabulary: usize) -> Self {
        Self {
            kind,
            layers: settings.layers,
            hidden: settings.hidden,
            vocabulary,
            clusters: match settings.softmax {
                Softmax::Full => None,
                Softmax::Adaptive => Some(Clusters::for_vocabulary(vocabulary)),
            },
        }
    }

    /// Chords and the escape.
    pub fn n_outputs(&self) -> usize {
        self.vocabulary + 1
    }

    /// Rows of the decoder: the outputs, and what stands for the clusters.
    pub fn n_decoder_rows(&self) -> usize {
        self.n_outputs() + self.clusters.map_or(0, Clusters::len)
    }

    /// Outputs that one softmax chooses among, at most.
    pub fn widest_softmax(&self) -> usize {
        let of_clusters = |clusters: Clusters| clusters.head_width().max(clusters.size);
        self.clusters.map_or(self.n_outputs(), of_clusters)
    }

    /// Names and shapes of what is learned, in the one order that everything here keeps.
    pub fn parameter_shapes(&self) -> Vec<(String, [usize; 2])> {
        let gates = self.kind.n_gates() * self.hidden;
        let mut shapes = vec![(EMBEDDING.to_owned(), [self.n_decoder_rows(), self.hidden])];
        for layer in 0..self.layers {
            shapes.push((format!("layers.{layer}.input_weights"), [self.hidden, gates]));
            shapes.push((format!("layers.{layer}.recurrent_weights"), [self.hidden, gates]));
            shapes.push((format!("layers.{layer}.bias"), [1, 4 * self.hidden]));
        }
        shapes.push(("decoder_bias".to_owned(), [1, self.n_decoder_rows()]));
        shapes
    }

    /// Numbers that are learned.
    pub fn n_parameters(&self) -> usize {
        self.parameter_shapes().iter().map(|(_, [rows, columns])| rows * columns).sum()
    }

    /// Shapes of each layer's state for `n_rows` sequences.
    pub fn state_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        vec![[n_rows, self.hidden]; self.layers]
    }

    /// Shapes of the dropout masks for `n_rows` sequences: one for each layer's input and one for
    /// the decoder's.
    pub fn mask_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        vec![[n_rows, self.hidden]; self.layers + 1]
    }

    /// The part of the scores that is never learned, out of a checkpoint.
    pub fn prior_from<B: Backend>(
        &self,
        tensors: &TensorMap,
        device: &B::Device,
    ) -> Result<Tensor<B, 2>, WeightsError> {
        tensors.tensor("", PRIOR, [1, self.n_decoder_rows()], device)
    }
}

impl<B: Backend> ChordNetwork<B> {
    /// Fresh weights; the same seed gives the same ones on every device.
    pub fn new(config: ChordConfig, start: Start<'_>, seed: u64, device: &B::Device) -> Self {
        let mut rng = random::stream(seed, Purpose::Weights, 0);
        let parameters = config
            .parameter_shapes()
            .iter()
            .map(|(name, shape)| {
                let values = initial_values(&config, start, name, *shape, &mut rng);
                Tensor::from_data(TensorData::new(values, *shape), device)
            })
            .collect();
        let prior = match start {
            Start::Informed(prior) => prior.to_vec(),
            Start::Plain => vec![0.0; config.n_outputs()],
        };
        let prior = match config.clusters {
            None => prior,
            Some(clusters) => clusters.with_clusters(prior),
        };
        let prior = Tensor::from_data(TensorData::new(prior, [1, config.n_decoder_rows()]), device);
        Self::from_parameters(config, parameters, prior)
    }

    /// Puts tensors in the order of [`ChordConfig::parameter_shapes`] into their places.
    pub fn from_parameters(
        config: ChordConfig,
        parameters: Vec<Tensor<B, 2>>,
        prior: Tensor<B, 2>,
    ) -> Self {
        let mut parameters = parameters.into_iter();
        let mut next = || parameters.next().expect("one tensor for each of parameter_shapes");
        let embedding = next();
        let layers = (0..config.layers)
            .map(|_| RecurrentLayer {
                kind: config.kind,
                input_weights: next(),
                recurrent_weights: next(),
                bias: next(),
            })
            .collect();
        Self { config, embedding, layers, decoder_bias: next(), prior }
    }

    /// In the order of [`ChordConfig::parameter_shapes`].
    pub fn parameters(&self) -> Vec<Tensor<B, 2>> {
        let mut parameters = vec![self.embedding.clone()];
        for layer in &self.layers {
            parameters.push(layer.input_weights.clone());
            parameters.push(layer.recurrent_weights.clone());
            parameters.push(layer.bias.clone());
        }
        parameters.push(self.decoder_bias.clone());
        parameters
    }

    /// In the same order, for changing them.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<B, 2>> {
        let mut parameters = vec![&mut self.embedding];
        for layer in &mut self.layers {
            parameters.push(&mut layer.input_weights);
            parameters.push(&mut layer.recurrent_weights);
            parameters.push(&mut layer.bias);
        }
        parameters.push(&mut self.decoder_bias);
        parameters
    }

    pub fn device(&self) -> B::Device {
        self.embedding.device()
    }

    /// A state for `n_rows` sequences that have read nothing.
    pub fn zero_state(&self, n_rows: usize) -> Vec<LayerState<B>> {
        let device = self.device();
        self.layers.iter().map(|_| LayerState::zero(n_rows, self.config.hidden, &device)).collect()
    }

    /// Reads tokens (`[T·B]`, time-major) from `state` on: the top layer's outputs, `[T·B, H]`.
    pub fn read(
        &self,
        tokens: Tensor<B, 1, Int>,
        state: Vec<LayerState<B>>,
        kernels: &mut Kernels<B>,
    ) -> (Tensor<B, 2>, Vec<LayerState<B>>) {
        let mut x = self.embedding.clone().select(0, tokens);
        let mut after = Vec::with_capacity(self.layers.len());
        for (layer, state) in self.layers.iter().zip(state) {
            let (y, state) = layer.forward(x, state, kernels);
            after.push(state);
            x = y;
        }
        (x, after)
    }

    /// Scores of every chord and the escape: `[N, H]` → `[N, V+1]`. Their softmax is what the
    /// network predicts, whichever softmax it has.
    pub fn scores(&self, hidden: Tensor<B, 2>) -> Tensor<B, 2> {
        let scores = hidden.matmul(self.embedding.clone().transpose()) + self.output_bias();
        match self.config.clusters {
            None => scores,
            Some(clusters) => joined_scores(clusters, scores),
        }
    }

    /// What is added to the score of every row of the decoder, learned and fixed.
    pub fn output_bias(&self) -> Tensor<B, 2> {
        self.decoder_bias.clone() + self.prior.clone()
    }

    /// The part of the scores that is never learned, as a checkpoint keeps it.
    pub fn fixed_tensor(&self) -> NamedTensor {
        NamedTensor::read(PRIOR.to_owned(), self.prior.clone())
    }
}

/// From the scores of all rows of the decoder to scores whose one softmax is what the clusters'
/// and the head's say together: `log P(chord | cluster)` and the cluster's score in the head are
/// added. `[N, V+1+C]` → `[N, V+1]`.
fn joined_scores<B: Backend>(clusters: Clusters, scores: Tensor<B, 2>) -> Tensor<B, 2> {
    let n = scores.dims()[0];
    let columns = |columns| scores.clone().slice([0..n, columns]);
    let escape = clusters.n_chords;
    let mut joined = vec![columns(0..clusters.head)];
    for (cluster, chords) in clusters.ranges().enumerate() {
        let of_cluster = columns(escape + 1 + cluster..escape + 2 + cluster);
        joined.push(log_softmax(columns(chords), 1) + of_cluster);
    }
    joined.push(columns(escape..escape + 1));
    Tensor::cat(joined, 1)
}

/// Initial values of one tensor.
fn initial_values(
    config: &ChordConfig,
    start: Start<'_>,
    name: &str,
    [rows, columns]: [usize; 2],
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    let n = rows * columns;
    let width = (config.hidden as f32).sqrt().recip();
    let plain = start == Start::Plain;
    match name {
        EMBEDDING if plain => random::normal(rng, n, 1.0),
        EMBEDDING => random::normal(rng, n, width),
        "decoder_bias" if plain => uniform(rng, n, width),
        "decoder_bias" => vec![0.0; n],
        _ if name.ends_with("bias") && plain => uniform(rng, n, width),
        // An LSTM that begins by remembering learns long spans sooner (Jozefowicz et al. 2015).
        _ if name.ends_with("bias") && config.kind == CellKind::Lstm => {
            (0..n).map(|idx| if idx / config.hidden == 1 { 1.0 } else { 0.0 }).collect()
        }
        _ if name.ends_with("bias") => vec![0.0; n],
        _ => uniform(rng, n, width),
    }
}

fn uniform(rng: &mut ChaCha8Rng, n: usize, width: f32) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-width..=width)).collect()
}
