//! The network as the strategies of composing see it: on the CPU, a batch of hypotheses each with a
//! state of its own.

use burn::backend::Flex;
use burn::tensor::Tensor;

use super::NextChord;
use super::kernels::Kernels;
use super::loss::token_tensor;
use super::network::Network;
use super::recurrent::LayerState;
use super::weights::numbers;
use crate::tokens::Token;

/// Reads chords and scores what may come next. Made by [`super::Model::next_chord`].
pub struct Predictor {
    network: Network<Flex>,
    state: Vec<LayerState<Flex>>,
    scores: Vec<f32>,
    kernels: Kernels<Flex>,
}

impl Predictor {
    pub(super) fn new(network: Network<Flex>) -> Self {
        let state = network.zero_state(1);
        Self { network, state, scores: Vec::new(), kernels: Kernels::new() }
    }

    /// Every hypothesis reads a token; the top layer's outputs, `[n, H]`.
    fn advance(&mut self, tokens: &[Token]) -> Tensor<Flex, 2> {
        // A token beyond the vocabulary is read as the escape, the last row of the embedding.
        let n_chords = self.network.config.vocabulary;
        let tokens: Vec<i32> =
            tokens.iter().map(|&token| (token as usize).min(n_chords) as i32).collect();
        let tokens = token_tensor(&tokens, &self.network.device());
        let state = std::mem::take(&mut self.state);
        let (hidden, state) = self.network.read(tokens, state, &mut self.kernels);
        self.state = state;
        hidden
    }
}

impl NextChord for Predictor {
    fn vocabulary_len(&self) -> usize {
        self.network.config.vocabulary
    }

    fn start(&mut self, n: usize) {
        self.state = self.network.zero_state(n);
    }

    fn step(&mut self, tokens: &[Token]) -> &[f32] {
        let hidden = self.advance(tokens);
        let n_chords = self.network.config.vocabulary;
        let scores = self.network.scores(hidden).slice([0..tokens.len(), 0..n_chords]);
        self.scores = numbers(scores.into_data());
        &self.scores
    }

    fn read(&mut self, tokens: &[Token]) {
        self.advance(tokens);
    }

    fn select(&mut self, parents: &[usize]) {
        let device = self.network.device();
        let parents: Vec<i32> = parents.iter().map(|&parent| parent as i32).collect();
        let parents = token_tensor::<Flex>(&parents, &device);
        for layer in &mut self.state {
            layer.hidden = layer.hidden.clone().select(0, parents.clone());
            layer.cell = layer.cell.clone().select(0, parents.clone());
        }
    }
}
