//! The network as the strategies of composing see it: on the CPU, a batch of hypotheses each with a
//! state of its own.

use burn::backend::Flex;

use super::NextChord;
use super::fused::reader::Reader;
use super::kernels::{Kernels, Numbers};
use super::loss::token_tensor;
use super::network::Network;
use super::recurrent::LayerState;
use super::weights::numbers;
use crate::tokens::Token;

/// Reads chords and scores what may come next. Made by [`super::Model::next_chord`].
pub struct Predictor {
    network: Network<Flex>,
    reading: Reading,
}

/// Where the hypotheses stand, by the code that reads.
enum Reading {
    Burn { state: Vec<LayerState<Flex>>, scores: Vec<f32> },
    Packed(Box<Reader>),
}

impl Predictor {
    pub(super) fn new(network: Network<Flex>) -> Self {
        Self::with_kernels(network, &Kernels::new())
    }

    fn with_kernels(network: Network<Flex>, kernels: &Kernels<Flex>) -> Self {
        let reading = match kernels.reader(&network) {
            Some(reader) => Reading::Packed(Box::new(reader)),
            None => Reading::Burn { state: network.zero_state(1), scores: Vec::new() },
        };
        Self { network, reading }
    }

    /// The row of the embedding for a token: one beyond the vocabulary is read as the escape, the
    /// last row.
    fn row(&self, token: Token) -> usize {
        (token as usize).min(self.network.config.vocabulary)
    }
}

impl NextChord for Predictor {
    fn vocabulary_len(&self) -> usize {
        self.network.config.vocabulary
    }

    fn start(&mut self, n: usize) {
        match &mut self.reading {
            Reading::Burn { state, .. } => *state = self.network.zero_state(n),
            Reading::Packed(reader) => reader.start(n),
        }
    }

    fn step(&mut self, tokens: &[Token]) -> &[f32] {
        self.read(tokens);
        match &mut self.reading {
            Reading::Packed(reader) => reader.scores(),
            Reading::Burn { state, scores } => {
                let hidden = state
                    .last()
                    .expect("settings and checkpoints have 1 to 8 layers")
                    .hidden
                    .clone();
                let n_chords = self.network.config.vocabulary;
                let all = self.network.scores(hidden).slice([0..tokens.len(), 0..n_chords]);
                *scores = numbers(all.into_data());
                scores
            }
        }
    }

    fn read(&mut self, tokens: &[Token]) {
        let rows: Vec<usize> = tokens.iter().map(|&token| self.row(token)).collect();
        match &mut self.reading {
            Reading::Packed(reader) => {
                let (embedding, n) =
                    (Numbers::of(&self.network.embedding), self.network.config.hidden);
                reader.read(rows.iter().map(|row| &embedding[row * n..][..n]));
            }
            Reading::Burn { state, .. } => {
                let rows: Vec<i32> = rows.into_iter().map(|row| row as i32).collect();
                let tokens = token_tensor(&rows, &self.network.device());
                let before = std::mem::take(state);
                *state = self.network.read(tokens, before, &mut Kernels::new()).1;
            }
        }
    }

    fn select(&mut self, parents: &[usize]) {
        match &mut self.reading {
            Reading::Packed(reader) => reader.select(parents),
            Reading::Burn { state, .. } => {
                let parents: Vec<i32> = parents.iter().map(|&parent| parent as i32).collect();
                let parents = token_tensor::<Flex>(&parents, &self.network.device());
                for layer in state {
                    layer.hidden = layer.hidden.clone().select(0, parents.clone());
                    layer.cell = layer.cell.clone().select(0, parents.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ModelKind;
    use super::super::adaptive::Clusters;
    use super::super::network::{NetworkConfig, Start};
    use super::*;

    /// Scores after every step of three hypotheses that are mixed on the way.
    fn read_by(
        kernels: &Kernels<Flex>,
        (kind, clusters): (ModelKind, Option<Clusters>),
    ) -> Vec<Vec<f32>> {
        let config = NetworkConfig { kind, layers: 2, hidden: 21, vocabulary: 70, clusters };
        let network = Network::new(config, Start::Plain, 5, &Default::default());
        let mut predictor = Predictor::with_kernels(network, kernels);
        let mut found = vec![predictor.step(&[3]).to_vec()];
        predictor.select(&[0, 0, 0]);
        // The last one is beyond the vocabulary.
        found.push(predictor.step(&[1, 69, 1_000]).to_vec());
        predictor.read(&[2, 3, 4]);
        predictor.select(&[2, 0]);
        found.push(predictor.step(&[5, 6]).to_vec());
        predictor.start(1);
        found.push(predictor.step(&[3]).to_vec());
        found
    }

    #[test]
    fn packed_networks_score_as_those_of_burn() {
        let clusters = Some(Clusters { n_chords: 70, head: 7, size: 9 });
        for case in [(ModelKind::Lstm, None), (ModelKind::Gru, None), (ModelKind::Lstm, clusters)] {
            let burn = read_by(&Kernels::of_burn_for_tests(), case);
            let packed = read_by(&Kernels::fused_for_tests(), case);
            assert_eq!(packed.iter().map(Vec::len).collect::<Vec<_>>(), [70, 210, 140, 70]);
            assert_eq!(packed[0], packed[3], "started again, nothing is left");
            for (packed, burn) in packed.iter().flatten().zip(burn.iter().flatten()) {
                assert!((packed - burn).abs() < 1e-4 * burn.abs().max(0.1), "{packed} for {burn}");
            }
        }
    }
}
