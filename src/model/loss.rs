//! The loss of a batch and its gradients, by hand.
//!
//! For a frame with scores `s`, target `y` and weight `w` (0 for padding):
//!
//! ```text
//! loss = -w · log softmax(s)[y]          ∂loss/∂s = w · (softmax(s) - onehot(y))
//! ```
//!
//! Frames × vocabulary can be the largest thing in a step by far, so it is never held whole: rows
//! are taken in chunks, and from each chunk's scores the gradients are made at once.

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::kernels::Kernels;
use super::network::Network;
use super::recurrent::LayerState;
use crate::cancel::CancelToken;

/// Most scores held at once.
const MAX_SCORES: usize = 1 << 22;

/// A batch of sequences as plain numbers, time-major: entry `t · n_rows + row`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    pub n_rows: usize,
    pub n_steps: usize,
    pub inputs: Vec<i32>,
    pub targets: Vec<i32>,
    /// 1 for a frame to be learned or measured, 0 for padding.
    pub weights: Vec<f32>,
    /// Whether the row goes on from the state that its predecessor left.
    pub continues: Vec<bool>,
}

/// What one batch gives.
pub struct BatchGradients<B: Backend> {
    /// `[1, 2]`: the summed loss of the frames, and how many were predicted right.
    pub totals: Tensor<B, 2>,
    /// In the order of `NetworkConfig::parameter_shapes`.
    pub gradients: Vec<Tensor<B, 2>>,
    /// Where the rows stopped.
    pub state: Vec<LayerState<B>>,
}

/// Dropout as factors: one mask for each layer's input and one for the decoder's, `[1, B, H]`
/// each, the same at every time step (Gal & Ghahramani 2016).
#[derive(Clone)]
pub struct DropoutMasks<B: Backend>(pub Vec<Tensor<B, 3>>);

impl Batch {
    /// Frames that count.
    pub fn n_frames(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight > 0.0).count()
    }

    /// The rows `first..first + n` as a batch of their own.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        let pick = |t: usize| t * self.n_rows + first..t * self.n_rows + first + n;
        let spans = || (0..self.n_steps).map(pick);
        Self {
            n_rows: n,
            n_steps: self.n_steps,
            inputs: spans().flat_map(|span| self.inputs[span].iter().copied()).collect(),
            targets: spans().flat_map(|span| self.targets[span].iter().copied()).collect(),
            weights: spans().flat_map(|span| self.weights[span].iter().copied()).collect(),
            continues: self.continues[first..first + n].to_vec(),
        }
    }
}

/// Tokens as a tensor.
pub fn token_tensor<B: Backend>(tokens: &[i32], device: &B::Device) -> Tensor<B, 1, Int> {
    Tensor::from_data(TensorData::new(tokens.to_vec(), [tokens.len()]), device)
}

impl<B: Backend> DropoutMasks<B> {
    /// The masks of the rows `first..first + n`.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        let masks = self.0.iter().map(|mask| mask.clone().slice([0..1, first..first + n]));
        Self(masks.collect())
    }

    /// Mask `idx` over the rows of `x` (`[T·B, H]`).
    fn apply(&self, idx: usize, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let Some(mask) = self.0.get(idx) else { return x };
        let [_, n_rows, n_units] = mask.dims();
        let n = x.dims()[0];
        // One row for each time step: a factor whose only repeated dimension is the outermost one
        // is what burn-flex multiplies by vector instructions.
        let width = n_rows * n_units;
        let x = x.reshape([n / n_rows, width]) * mask.clone().reshape([1, width]);
        x.reshape([n, n_units])
    }
}

/// Forward and backward through the whole network. The gradients are those of the summed loss
/// divided by `n_frames`, which may count more than this batch when gradients are gathered. The
/// cancel token is looked at all the time; `None` if it was cancelled.
pub fn gradients<B: Backend>(
    network: &Network<B>,
    batch: &Batch,
    state: Vec<LayerState<B>>,
    masks: &DropoutMasks<B>,
    n_frames: usize,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<BatchGradients<B>> {
    let device = network.device();
    let inputs = token_tensor::<B>(&batch.inputs, &device);
    let embedded = network.embedding.clone().select(0, inputs.clone());
    let mut x = masks.apply(0, embedded);
    let mut memories = Vec::with_capacity(network.layers.len());
    let mut state_after = Vec::with_capacity(network.layers.len());
    for (idx, (layer, state)) in network.layers.iter().zip(state).enumerate() {
        let (y, after, memory) = layer.remember(x, state, kernels, cancel)?;
        memories.push(memory);
        state_after.push(after);
        x = masks.apply(idx + 1, y);
    }

    let decoded = match kernels.fused() {
        Some(fused) => fused.decode(network, &x, batch, n_frames, cancel)?,
        None => decode(network, x, batch, n_frames, cancel)?,
    };
    let mut dx = decoded.hidden;
    let mut layer_gradients = Vec::with_capacity(network.layers.len());
    for (idx, (layer, memory)) in network.layers.iter().zip(memories).enumerate().rev() {
        dx = masks.apply(idx + 1, dx);
        let (below, gradients) = layer.backward(memory, dx, kernels, cancel)?;
        layer_gradients.push(gradients);
        dx = below;
    }
    let dx = masks.apply(0, dx);
    let embedding = decoded.embedding.select_assign(0, inputs, dx, IndexingUpdateOp::Add);

    let mut gradients = vec![embedding];
    for layer in layer_gradients.into_iter().rev() {
        gradients.extend([layer.input_weights, layer.recurrent_weights, layer.bias]);
    }
    gradients.push(decoded.bias);
    Some(BatchGradients { totals: decoded.totals, gradients, state: state_after })
}

/// What the decoder gives back.
pub struct Decoded<B: Backend> {
    /// As in [`BatchGradients`].
    pub totals: Tensor<B, 2>,
    /// Gradients: of the top layer's outputs, and of the decoder's own weights.
    pub hidden: Tensor<B, 2>,
    pub embedding: Tensor<B, 2>,
    pub bias: Tensor<B, 2>,
}

/// Loss and gradients of the decoder, chunk by chunk; `None` if it was cancelled.
fn decode<B: Backend>(
    network: &Network<B>,
    hidden: Tensor<B, 2>,
    batch: &Batch,
    n_frames: usize,
    cancel: &CancelToken,
) -> Option<Decoded<B>> {
    let [n, n_units] = hidden.dims();
    let n_outputs = network.config.n_outputs();
    let chunk = (MAX_SCORES / n_outputs).clamp(1, n.max(1));
    let mut decoded: Option<Decoded<B>> = None;
    let mut hidden_gradients = Vec::with_capacity(n.div_ceil(chunk));
    for first in (0..n).step_by(chunk) {
        if cancel.is_cancelled() {
            return None;
        }
        let last = (first + chunk).min(n);
        let part = decode_chunk(
            network,
            hidden.clone().slice([first..last, 0..n_units]),
            &batch.targets[first..last],
            &batch.weights[first..last],
            n_frames,
        );
        hidden_gradients.push(part.hidden.clone());
        decoded = Some(match decoded {
            None => part,
            Some(sum) => Decoded {
                totals: sum.totals + part.totals,
                embedding: sum.embedding + part.embedding,
                bias: sum.bias + part.bias,
                hidden: part.hidden,
            },
        });
    }
    let mut decoded = decoded.expect("a batch has at least one row and one step");
    decoded.hidden = Tensor::cat(hidden_gradients, 0);
    Some(decoded)
}

fn decode_chunk<B: Backend>(
    network: &Network<B>,
    hidden: Tensor<B, 2>,
    targets: &[i32],
    weights: &[f32],
    n_frames: usize,
) -> Decoded<B> {
    let device = network.device();
    let n = targets.len();
    let target = token_tensor::<B>(targets, &device).reshape([n, 1]);
    let weight = column::<B>(weights.to_vec(), &device);
    // A right guess counts where there is a frame and its chord is a known one.
    let escape = network.config.vocabulary as i32;
    let countable = weights.iter().zip(targets);
    let countable =
        countable.map(|(&weight, &target)| if target == escape { 0.0 } else { weight }).collect();

    let scores = network.scores(hidden.clone());
    let right = scores.clone().argmax(1).equal(target.clone()).float();
    let n_right = (right * column::<B>(countable, &device)).sum_dim(0);
    let (nll, exponentials, sums) = negative_log_likelihood(scores, target.clone());
    let loss = (nll * weight.clone()).sum_dim(0);

    let scale = weight.div_scalar(n_frames.max(1) as f32);
    let ds = exponentials * (scale.clone() / sums);
    let ds = ds.scatter(1, target, scale.neg(), IndexingUpdateOp::Add);
    Decoded {
        totals: Tensor::cat(vec![loss, n_right], 1),
        hidden: ds.clone().matmul(network.embedding.clone()),
        embedding: ds.clone().transpose().matmul(hidden),
        bias: ds.sum_dim(0),
    }
}

/// `[N, 1]` negative log-likelihoods, and the softmax as exponentials `[N, V+1]` and their sums
/// `[N, 1]`. The largest score is taken off first, so nothing overflows and no logarithm is of 0.
pub fn negative_log_likelihood<B: Backend>(
    scores: Tensor<B, 2>,
    target: Tensor<B, 2, Int>,
) -> (Tensor<B, 2>, Tensor<B, 2>, Tensor<B, 2>) {
    let largest = scores.clone().max_dim(1);
    let shifted = scores - largest;
    let of_target = shifted.clone().gather(1, target);
    let exponentials = shifted.exp();
    let sums = exponentials.clone().sum_dim(1);
    (sums.clone().log() - of_target, exponentials, sums)
}

fn column<B: Backend>(values: Vec<f32>, device: &B::Device) -> Tensor<B, 2> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n, 1]), device)
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, Flex};
    use burn::tensor::Transaction;

    use super::super::ModelKind;
    use super::super::network::{NetworkConfig, Start};
    use super::super::random::{self, Purpose};
    use super::super::weights::{TensorMap, numbers};
    use super::*;

    type Recorded = Autodiff<Flex>;

    const N_ROWS: usize = 3;
    const N_STEPS: usize = 5;

    fn config(kind: ModelKind) -> NetworkConfig {
        NetworkConfig { kind, layers: 2, hidden: 4, vocabulary: 6 }
    }

    fn network(kind: ModelKind) -> Network<Flex> {
        Network::new(config(kind), Start::Plain, 7, &Default::default())
    }

    fn batch() -> Batch {
        let n = N_ROWS * N_STEPS;
        let mut weights = vec![1.0; n];
        weights[n - 1] = 0.0;
        Batch {
            n_rows: N_ROWS,
            n_steps: N_STEPS,
            inputs: (0..n).map(|idx| (idx * 5 % 6) as i32).collect(),
            targets: (0..n).map(|idx| (idx * 3 % 7) as i32).collect(),
            weights,
            continues: vec![false; N_ROWS],
        }
    }

    fn masks<B: Backend>() -> DropoutMasks<B> {
        let mut rng = random::stream(1, Purpose::Dropout, 0);
        let mask = |_| {
            let values = random::dropout_mask(&mut rng, N_ROWS * 4, 0.4);
            Tensor::from_data(TensorData::new(values, [1, N_ROWS, 4]), &Default::default())
        };
        DropoutMasks((0..3).map(mask).collect())
    }

    fn computed(
        network: &Network<Flex>,
        batch: &Batch,
        state: Vec<LayerState<Flex>>,
        masks: &DropoutMasks<Flex>,
        n_frames: usize,
        kernels: &mut Kernels<Flex>,
    ) -> BatchGradients<Flex> {
        gradients(network, batch, state, masks, n_frames, kernels, &CancelToken::new()).unwrap()
    }

    fn values<B: Backend>(tensor: Tensor<B, 2>) -> Vec<f32> {
        numbers(tensor.into_data())
    }

    /// The same loss written plainly and recorded by burn's autodiff.
    fn recorded_gradients(kind: ModelKind) -> Vec<Vec<f32>> {
        let tensors: TensorMap = network(kind).to_tensors().into_iter().collect();
        let device = Default::default();
        let network = Network::<Recorded>::from_tensors(config(kind), &tensors, &device).unwrap();
        let parameters: Vec<_> =
            network.parameters().into_iter().map(Tensor::require_grad).collect();
        let network = Network::from_parameters(config(kind), parameters.clone(), network.prior);
        let batch = batch();
        let masks = masks::<Recorded>();
        let inputs = token_tensor::<Recorded>(&batch.inputs, &device);
        let mut x = masks.apply(0, network.embedding.clone().select(0, inputs));
        let states = network.zero_state(N_ROWS);
        for (idx, (layer, state)) in network.layers.iter().zip(states).enumerate() {
            x = masks.apply(idx + 1, layer.forward(x, state, &mut Kernels::new()).0);
        }
        let targets = token_tensor::<Recorded>(&batch.targets, &device);
        let likelihood = burn::tensor::activation::log_softmax(network.scores(x), 1)
            .gather(1, targets.reshape([batch.targets.len(), 1]));
        let weights = column::<Recorded>(batch.weights.clone(), &device);
        let loss = (likelihood * weights).sum().neg().div_scalar(batch.n_frames() as f32);
        let recorded = loss.backward();
        let gradient = |parameter: &Tensor<Recorded, 2>| {
            values(parameter.grad(&recorded).expect("every parameter takes part"))
        };
        parameters.iter().map(gradient).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            let distance = (found - expected).abs();
            assert!(distance <= 1e-6 + 1e-4 * expected.abs(), "{what}: {found} for {expected}");
        }
    }

    fn both() -> [Kernels<Flex>; 2] {
        [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()]
    }

    fn check_gradients(kind: ModelKind) {
        let network = network(kind);
        let batch = batch();
        for mut kernels in both() {
            let state = network.zero_state(N_ROWS);
            let n = batch.n_frames();
            let ours = computed(&network, &batch, state, &masks(), n, &mut kernels);
            let names = config(kind).parameter_shapes();
            for ((ours, expected), (name, _)) in
                ours.gradients.into_iter().zip(recorded_gradients(kind)).zip(names)
            {
                assert_close(&values(ours), &expected, &name);
            }
        }
    }

    #[test]
    fn lstm_gradients_are_those_of_autodiff() {
        check_gradients(ModelKind::Lstm);
    }

    #[test]
    fn gru_gradients_are_those_of_autodiff() {
        check_gradients(ModelKind::Gru);
    }

    #[test]
    fn parts_of_a_batch_gather_to_the_whole() {
        let network = network(ModelKind::Lstm);
        let batch = batch();
        let masks = masks();
        let n = batch.n_frames();
        for mut kernels in both() {
            let state = network.zero_state(N_ROWS);
            let whole = computed(&network, &batch, state, &masks, n, &mut kernels);
            let mut part = |first, rows| {
                let (state, masks) = (network.zero_state(rows), masks.rows(first, rows));
                let batch = batch.rows(first, rows);
                computed(&network, &batch, state, &masks, n, &mut kernels)
            };
            let (left, right) = (part(0, 1), part(1, 2));
            let sums = left.gradients.into_iter().zip(right.gradients).map(|(a, b)| a + b);
            for (sum, whole) in sums.zip(whole.gradients) {
                assert_close(&values(sum), &values(whole), "gathered");
            }
            assert_close(&values(left.totals + right.totals), &values(whole.totals), "totals");
        }
    }

    #[test]
    fn fused_totals_and_states_are_those_of_burn() {
        for kind in [ModelKind::Lstm, ModelKind::Gru] {
            let (network, batch) = (network(kind), batch());
            let [burn, fused] = both().map(|mut kernels| {
                let (state, n) = (network.zero_state(N_ROWS), batch.n_frames());
                computed(&network, &batch, state, &masks(), n, &mut kernels)
            });
            assert_close(&values(fused.totals), &values(burn.totals), "totals");
            for (fused, burn) in fused.state.into_iter().zip(burn.state) {
                assert_close(&values(fused.hidden), &values(burn.hidden), "hidden");
                assert_close(&values(fused.cell), &values(burn.cell), "cell");
            }
        }
    }

    #[test]
    fn huge_scores_neither_overflow_nor_vanish() {
        let device = Default::default();
        let scores = TensorData::new(vec![3e38f32, -3e38, 0.0, 0.0, 200.0, -200.0], [2, 3]);
        let scores: Tensor<Flex, 2> = Tensor::from_data(scores, &device);
        let target = token_tensor::<Flex>(&[0, 2], &device).reshape([2, 1]);
        let (nll, _, sums) = negative_log_likelihood(scores, target);
        let data = Transaction::default().register(nll).register(sums).execute();
        let [nll, sums] = data.try_into().map(|data: [TensorData; 2]| data.map(numbers)).unwrap();
        assert_eq!(nll, [0.0, 400.0]);
        assert!(sums.iter().all(|sum| sum.is_finite()));
    }
}
