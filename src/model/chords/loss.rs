//! The loss of a batch and its gradients through the whole network, by hand. The output layer is
//! that of `decode`, or the fused one.

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::decode::decode;
use super::network::ChordNetwork;
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::loss::{BatchGradients, picked};
use crate::model::recurrent::LayerState;

/// A batch of sequences as plain numbers, time-major: entry `t · n_rows + row`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ChordBatch {
    pub n_rows: usize,
    pub n_steps: usize,
    pub inputs: Vec<i32>,
    pub targets: Vec<i32>,
    /// 1 for a frame to be learned or measured, 0 for padding.
    pub weights: Vec<f32>,
    /// Whether the row goes on from the state that its predecessor left.
    pub continues: Vec<bool>,
}

impl ChordBatch {
    /// Frames that count.
    pub fn n_frames(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight > 0.0).count()
    }

    /// The rows `first..first + n` as a batch of their own.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        Self {
            n_rows: n,
            n_steps: self.n_steps,
            inputs: picked(&self.inputs, self.n_rows, first, n),
            targets: picked(&self.targets, self.n_rows, first, n),
            weights: picked(&self.weights, self.n_rows, first, n),
            continues: self.continues[first..first + n].to_vec(),
        }
    }
}

/// Tokens as a tensor.
pub fn token_tensor<B: Backend>(tokens: &[i32], device: &B::Device) -> Tensor<B, 1, Int> {
    Tensor::from_data(TensorData::new(tokens.to_vec(), [tokens.len()]), device)
}

/// `x` (`[T·B, H]`) times mask `idx` (`[B, H]`), the same at every time step (Gal & Ghahramani
/// 2016); without masks as it is.
fn dropped<B: Backend>(masks: &[Tensor<B, 2>], idx: usize, x: Tensor<B, 2>) -> Tensor<B, 2> {
    let Some(mask) = masks.get(idx) else { return x };
    let [n_rows, n_units] = mask.dims();
    let n = x.dims()[0];
    // One row for each time step: a factor whose only repeated dimension is the outermost one
    // is what burn-flex multiplies by vector instructions.
    let width = n_rows * n_units;
    let x = x.reshape([n / n_rows, width]) * mask.clone().reshape([1, width]);
    x.reshape([n, n_units])
}

/// Forward and backward through the whole network. The gradients are those of the summed loss
/// divided by `n_frames`, which may count more than this batch when gradients are gathered. The
/// cancel token is looked at all the time; `None` if it was cancelled. There is a mask for each
/// layer's input and one for the decoder's, or none without dropout.
pub fn gradients<B: Backend>(
    network: &ChordNetwork<B>,
    batch: &ChordBatch,
    state: Vec<LayerState<B>>,
    masks: &[Tensor<B, 2>],
    n_frames: usize,
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<BatchGradients<B>> {
    let device = network.device();
    let inputs = token_tensor::<B>(&batch.inputs, &device);
    let embedded = network.embedding.clone().select(0, inputs.clone());
    let mut x = dropped(masks, 0, embedded);
    let mut memories = Vec::with_capacity(network.layers.len());
    let mut state_after = Vec::with_capacity(network.layers.len());
    for (idx, (layer, state)) in network.layers.iter().zip(state).enumerate() {
        let (y, after, memory) = layer.remember(x, state, kernels, cancel)?;
        memories.push(memory);
        state_after.push(after);
        x = dropped(masks, idx + 1, y);
    }

    let decoded = match kernels.fused() {
        Some(fused) => fused.decode(network, &x, batch, n_frames, cancel)?,
        None => decode(network, x, batch, n_frames, cancel)?,
    };
    let mut dx = decoded.hidden;
    let mut layer_gradients = Vec::with_capacity(network.layers.len());
    for (idx, (layer, memory)) in network.layers.iter().zip(memories).enumerate().rev() {
        dx = dropped(masks, idx + 1, dx);
        let (below, gradients) = layer.backward(memory, dx, kernels, cancel)?;
        layer_gradients.push(gradients);
        dx = below;
    }
    let dx = dropped(masks, 0, dx);
    let embedding = match kernels.fused() {
        Some(fused) => fused.add_rows(decoded.embedding, &batch.inputs, &dx),
        None => decoded.embedding.select_assign(0, inputs, dx, IndexingUpdateOp::Add),
    };

    let mut gradients = vec![embedding];
    for layer in layer_gradients.into_iter().rev() {
        gradients.extend([layer.input_weights, layer.recurrent_weights, layer.bias]);
    }
    gradients.push(decoded.bias);
    Some(BatchGradients { totals: decoded.totals, gradients, state: state_after })
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, Flex};

    use super::*;
    use crate::model::adaptive::Clusters;
    use crate::model::chords::network::{ChordConfig, Start};
    use crate::model::network::{Network, NetworkConfig};
    use crate::model::random::{self, Purpose};
    use crate::model::recurrent::CellKind;
    use crate::model::weights::{TensorMap, numbers};

    type Recorded = Autodiff<Flex>;

    const N_ROWS: usize = 3;
    const N_STEPS: usize = 5;

    fn config(kind: CellKind) -> ChordConfig {
        ChordConfig { kind, layers: 2, hidden: 4, vocabulary: 6, clusters: None }
    }

    /// The same with two chords and the escape in the head, three in a cluster and one in another.
    fn adaptive(kind: CellKind) -> ChordConfig {
        let clusters = Some(Clusters { n_chords: 6, head: 2, size: 3 });
        ChordConfig { clusters, ..config(kind) }
    }

    fn network(config: ChordConfig) -> ChordNetwork<Flex> {
        ChordNetwork::new(config, Start::Plain, 7, &Default::default())
    }

    fn batch() -> ChordBatch {
        let n = N_ROWS * N_STEPS;
        let mut weights = vec![1.0; n];
        weights[n - 1] = 0.0;
        ChordBatch {
            n_rows: N_ROWS,
            n_steps: N_STEPS,
            inputs: (0..n).map(|idx| (idx * 5 % 6) as i32).collect(),
            targets: (0..n).map(|idx| (idx * 3 % 7) as i32).collect(),
            weights,
            continues: vec![false; N_ROWS],
        }
    }

    fn masks<B: Backend>() -> Vec<Tensor<B, 2>> {
        let mut rng = random::stream(1, Purpose::Dropout, 0);
        let mask = |_| {
            let values = random::dropout_mask(&mut rng, N_ROWS * 4, 0.4);
            Tensor::from_data(TensorData::new(values, [N_ROWS, 4]), &Default::default())
        };
        (0..3).map(mask).collect()
    }

    fn computed(
        network: &ChordNetwork<Flex>,
        batch: &ChordBatch,
        state: Vec<LayerState<Flex>>,
        masks: &[Tensor<Flex, 2>],
        n_frames: usize,
        kernels: &mut Kernels<Flex>,
    ) -> BatchGradients<Flex> {
        gradients(network, batch, state, masks, n_frames, kernels, &CancelToken::new()).unwrap()
    }

    fn values<B: Backend>(tensor: Tensor<B, 2>) -> Vec<f32> {
        numbers(tensor.into_data())
    }

    /// The same loss written plainly and recorded by burn's autodiff.
    fn recorded_gradients(config: ChordConfig) -> Vec<Vec<f32>> {
        let tensors = Network::Chords(network(config)).to_tensors();
        let tensors: TensorMap = tensors.into_iter().collect();
        let (config, device) = (NetworkConfig::Chords(config), Default::default());
        let network = Network::<Recorded>::from_tensors(config, &tensors, &device).unwrap();
        let Network::Chords(network) = network else { panic!("another family") };
        let parameters: Vec<_> =
            network.parameters().into_iter().map(Tensor::require_grad).collect();
        let network =
            ChordNetwork::from_parameters(network.config, parameters.clone(), network.prior);
        let batch = batch();
        let masks = masks::<Recorded>();
        let inputs = token_tensor::<Recorded>(&batch.inputs, &device);
        let mut x = dropped(&masks, 0, network.embedding.clone().select(0, inputs));
        let states = network.zero_state(N_ROWS);
        for (idx, (layer, state)) in network.layers.iter().zip(states).enumerate() {
            x = dropped(&masks, idx + 1, layer.forward(x, state, &mut Kernels::new()).0);
        }
        let targets = token_tensor::<Recorded>(&batch.targets, &device);
        let likelihood = burn::tensor::activation::log_softmax(network.scores(x), 1)
            .gather(1, targets.reshape([batch.targets.len(), 1]));
        let weights = TensorData::new(batch.weights.clone(), [batch.weights.len(), 1]);
        let weights = Tensor::<Recorded, 2>::from_data(weights, &device);
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

    fn check_gradients(config: ChordConfig) {
        let network = network(config);
        let batch = batch();
        for mut kernels in both() {
            let state = network.zero_state(N_ROWS);
            let n = batch.n_frames();
            let ours = computed(&network, &batch, state, &masks(), n, &mut kernels);
            let names = config.parameter_shapes();
            for ((ours, expected), (name, _)) in
                ours.gradients.into_iter().zip(recorded_gradients(config)).zip(names)
            {
                assert_close(&values(ours), &expected, &name);
            }
        }
    }

    #[test]
    fn lstm_gradients_are_those_of_autodiff() {
        check_gradients(config(CellKind::Lstm));
    }

    #[test]
    fn gru_gradients_are_those_of_autodiff() {
        check_gradients(config(CellKind::Gru));
    }

    #[test]
    fn gradients_of_an_adaptive_softmax_are_those_of_autodiff() {
        // What is recorded is one softmax over the joined scores: so the losses of head and
        // clusters are those of the distribution that is measured and composed with.
        check_gradients(adaptive(CellKind::Lstm));
    }

    #[test]
    fn parts_of_a_batch_gather_to_the_whole() {
        let configs = [config(CellKind::Lstm), adaptive(CellKind::Lstm)];
        let cases = configs.into_iter().flat_map(|config| both().map(|it| (network(config), it)));
        let (batch, masks) = (batch(), masks());
        let n = batch.n_frames();
        for (network, mut kernels) in cases {
            let state = network.zero_state(N_ROWS);
            let whole = computed(&network, &batch, state, &masks, n, &mut kernels);
            let mut part = |first, rows| {
                let masks =
                    masks.iter().map(|mask| mask.clone().slice([first..first + rows, 0..4]));
                let (state, masks) = (network.zero_state(rows), masks.collect::<Vec<_>>());
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
        for config in [config(CellKind::Lstm), config(CellKind::Gru), adaptive(CellKind::Gru)] {
            let (network, batch) = (network(config), batch());
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
}
