//! Hypotheses that read together: their states as those of one batch, and the way back.

use burn::backend::Flex;
use burn::tensor::Tensor;

use crate::model::recurrent::LayerState;

/// Of every recurrent layer.
pub type State = Vec<LayerState<Flex>>;

/// A tensor cut into as many parts of whole rows.
pub fn parts(tensor: &Tensor<Flex, 2>, n: usize) -> impl Iterator<Item = Tensor<Flex, 2>> + use<> {
    let ([rows, _], tensor) = (tensor.dims(), tensor.clone());
    (0..n).map(move |idx| tensor.clone().narrow(0, idx * (rows / n), rows / n))
}

/// The states of several hypotheses as those of one batch.
pub fn joined(states: &[State]) -> State {
    let [first, others @ ..] = states else { return Vec::new() };
    if others.is_empty() {
        return first.clone();
    }
    let join = |layer: usize, part: fn(&LayerState<Flex>) -> &Tensor<Flex, 2>| {
        Tensor::cat(states.iter().map(|state| part(&state[layer]).clone()).collect(), 0)
    };
    let layer = |layer| LayerState {
        hidden: join(layer, |state| &state.hidden),
        cell: join(layer, |state| &state.cell),
    };
    (0..first.len()).map(layer).collect()
}

/// The way back from [`joined`].
pub fn parted(state: &State, n: usize) -> Vec<State> {
    let mut states = vec![Vec::with_capacity(state.len()); n];
    for layer in state {
        let layers = parts(&layer.hidden, n).zip(parts(&layer.cell, n));
        for (state, (hidden, cell)) in states.iter_mut().zip(layers) {
            state.push(LayerState { hidden, cell });
        }
    }
    states
}
