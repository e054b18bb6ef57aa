//! The network as the strategies of composing see it: on the CPU, a batch of hypotheses each with a
//! state of its own.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};

use super::loss::token_tensor;
use super::network::{ChordConfig, ChordNetwork};
use crate::model::NextChord;
use crate::model::fused::compact::round_column;
use crate::model::fused::reader::Reader;
use crate::model::kernels::{Kernels, Numbers};
use crate::model::recurrent::LayerState;
use crate::model::weights::{WeightFormat, numbers};
use crate::tokens::Token;

/// Reads chords and scores what may come next. Made by [`crate::model::Model::next_chord`].
pub struct Predictor {
    config: ChordConfig,
    reading: Reading,
}

/// Where the hypotheses stand, by the code that reads.
enum Reading {
    Burn(Box<OneByOne>),
    Packed {
        reader: Box<Reader>,
        /// `[V+1, H]`
        embedding: Numbers,
    },
}

/// Burn's operations, for each hypothesis by itself: products of several rows sum in another order
/// than those of one, and a last bit may decide a draw. What is read this way is small, or waited
/// for in a build without optimization.
struct OneByOne {
    network: ChordNetwork<Flex>,
    /// The same with the weights that scores are made with.
    decoder: ChordNetwork<Flex>,
    /// Of each hypothesis that of each layer.
    states: Vec<Vec<LayerState<Flex>>>,
    scores: Vec<f32>,
}

impl Predictor {
    pub fn with_kernels(
        network: ChordNetwork<Flex>,
        weights: WeightFormat,
        kernels: &Kernels<Flex>,
    ) -> Self {
        let config = network.config;
        let reading = match kernels.reader(&network, weights) {
            Some(reader) => {
                let embedding = Numbers::of(&network.embedding);
                Reading::Packed { reader: Box::new(reader), embedding }
            }
            None => Reading::Burn(Box::new(OneByOne::new(network, weights))),
        };
        Self { config, reading }
    }
}

impl OneByOne {
    fn new(network: ChordNetwork<Flex>, weights: WeightFormat) -> Self {
        let network = with_rounded_layers(network, weights);
        let decoder = with_rounded_decoder(network.clone(), weights);
        Self { states: vec![network.zero_state(1)], network, decoder, scores: Vec::new() }
    }

    fn read(&mut self, rows: impl Iterator<Item = usize>) {
        let device = self.network.device();
        for (state, row) in self.states.iter_mut().zip(rows) {
            let token = token_tensor(&[row as i32], &device);
            *state = self.network.read(token, std::mem::take(state), &mut Kernels::new()).1;
        }
    }

    fn score(&mut self) -> &[f32] {
        let n_chords = self.network.config.vocabulary;
        self.scores.clear();
        for state in &self.states {
            let top = state.last().expect("settings and checkpoints have 1 to 8 layers");
            let scores = self.decoder.scores(top.hidden.clone()).slice([0..1, 0..n_chords]);
            self.scores.extend(numbers(scores.into_data()));
        }
        &self.scores
    }
}

impl NextChord for Predictor {
    fn vocabulary_len(&self) -> usize {
        self.config.vocabulary
    }

    fn start(&mut self, n: usize) {
        match &mut self.reading {
            Reading::Packed { reader, .. } => reader.start(n),
            Reading::Burn(burn) => burn.states = vec![burn.network.zero_state(1); n],
        }
    }

    fn step(&mut self, tokens: &[Token]) -> &[f32] {
        self.read(tokens);
        match &mut self.reading {
            Reading::Packed { reader, .. } => reader.scores(),
            Reading::Burn(burn) => burn.score(),
        }
    }

    fn read(&mut self, tokens: &[Token]) {
        // One beyond the vocabulary is read as the escape, the last row of the embedding.
        let ChordConfig { vocabulary, hidden: n, .. } = self.config;
        let rows = tokens.iter().map(|&token| (token as usize).min(vocabulary));
        match &mut self.reading {
            Reading::Packed { reader, embedding } => {
                reader.read(rows.map(|row| &embedding[row * n..][..n]));
            }
            Reading::Burn(burn) => burn.read(rows),
        }
    }

    fn select(&mut self, parents: &[usize]) {
        match &mut self.reading {
            Reading::Packed { reader, .. } => reader.select(parents),
            Reading::Burn(burn) => {
                let states = parents.iter().map(|&parent| burn.states[parent].clone());
                burn.states = states.collect();
            }
        }
    }
}

/// The network with the weights of its layers as they are in a format.
fn with_rounded_layers(
    mut network: ChordNetwork<Flex>,
    format: WeightFormat,
) -> ChordNetwork<Flex> {
    for layer in &mut network.layers {
        for weights in [&mut layer.input_weights, &mut layer.recurrent_weights] {
            // A column of the product is one of the matrix.
            let turned = rounded_rows(weights.clone().transpose(), format);
            *weights = turned.transpose();
        }
    }
    network
}

/// The network with the embedding as the decoder reads it in a format: a column of that product is
/// a chord's row.
fn with_rounded_decoder(network: ChordNetwork<Flex>, format: WeightFormat) -> ChordNetwork<Flex> {
    ChordNetwork { embedding: rounded_rows(network.embedding.clone(), format), ..network }
}

fn rounded_rows(tensor: Tensor<Flex, 2>, format: WeightFormat) -> Tensor<Flex, 2> {
    if format == WeightFormat::F32 {
        return tensor;
    }
    let ([rows, columns], device) = (tensor.dims(), tensor.device());
    let mut values = numbers(tensor.into_data());
    values.chunks_exact_mut(columns.max(1)).for_each(|row| round_column(format, row));
    Tensor::from_data(TensorData::new(values, [rows, columns]), &device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::pieces;
    use crate::cancel::CancelToken;
    use crate::model::adaptive::Clusters;
    use crate::model::chords::network::Start;
    use crate::model::network::Network;
    use crate::model::recurrent::CellKind;
    use crate::model::{DeviceChoice, Model, TrainRequest, TrainingSettings, evaluate, train};

    const FORMATS: [WeightFormat; 3] = [WeightFormat::F32, WeightFormat::F16, WeightFormat::Int8];

    /// What of a network decides how it is read.
    type Case = (CellKind, Option<Clusters>);

    fn predictor(kernels: &Kernels<Flex>, case: Case, weights: WeightFormat) -> Predictor {
        let (kind, clusters) = case;
        let config = ChordConfig { kind, layers: 2, hidden: 21, vocabulary: 70, clusters };
        let network = ChordNetwork::new(config, Start::Plain, 5, &Default::default());
        Predictor::with_kernels(network, weights, kernels)
    }

    /// Scores after every step of three hypotheses that are mixed on the way.
    fn read_by(mut predictor: Predictor) -> Vec<Vec<f32>> {
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
        let (burn, packed) = (Kernels::of_burn_for_tests(), Kernels::fused_for_tests());
        let clusters = Some(Clusters { n_chords: 70, head: 7, size: 9 });
        for case in [(CellKind::Lstm, None), (CellKind::Gru, None), (CellKind::Lstm, clusters)] {
            let exact = read_by(predictor(&burn, case, WeightFormat::F32));
            for weights in FORMATS {
                let burn = read_by(predictor(&burn, case, weights));
                let packed = read_by(predictor(&packed, case, weights));
                assert_eq!(packed.iter().map(Vec::len).collect::<Vec<_>>(), [70, 210, 140, 70]);
                assert_eq!(packed[0], packed[3], "started again, nothing is left");
                for (packed, burn) in packed.iter().flatten().zip(burn.iter().flatten()) {
                    let most = 1e-4 * burn.abs().max(0.1);
                    assert!((packed - burn).abs() < most, "{weights:?}: {packed} for {burn}");
                }
                let is_exact = weights == WeightFormat::F32;
                assert_eq!(burn == exact, is_exact, "{weights:?} is what it says");
            }
        }
    }

    #[test]
    fn a_hypothesis_scores_the_same_alone_and_among_others() {
        let paths = [[0, 4, 9], [7, 7, 70], [69, 1, 2], [3, 3, 3], [0, 4, 8]];
        for kernels in [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()] {
            let cases = [(CellKind::Lstm, WeightFormat::F32), (CellKind::Gru, WeightFormat::Int8)];
            for (kind, weights) in cases {
                let mut together = predictor(&kernels, (kind, None), weights);
                together.start(paths.len());
                let mut alone = paths.map(|_| predictor(&kernels, (kind, None), weights));
                for step in 0..3 {
                    let scores = together.step(&paths.map(|path| path[step])).to_vec();
                    for (row, (path, alone)) in paths.iter().zip(&mut alone).enumerate() {
                        assert_eq!(alone.step(&[path[step]]), &scores[row * 70..(row + 1) * 70]);
                    }
                }
            }
        }
    }

    #[test]
    fn fewer_bits_hardly_surprise_a_model_that_has_learned() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            TrainingSettings { hidden: 48, epochs: 3, batch: 8, ..TrainingSettings::chords() };
        let music = settings.music_plan().read_sources(&pieces()[..8]).unwrap();
        let request = TrainRequest {
            music: music.clone(),
            settings,
            run_dir: folder.path().join("run"),
            from: None,
            resume: false,
            device: DeviceChoice::Cpu,
        };
        train(&request, &CancelToken::new(), &mut |_| {}).unwrap();
        let model = Model::load(&request.run_dir).unwrap();
        let loss = |network: ChordNetwork<Flex>| {
            let model = Model::new(model.card().clone(), Network::Chords(network));
            evaluate(&model, &music, &CancelToken::new()).unwrap().loss
        };
        let network = || match &*model.network {
            Network::Chords(network) => network.clone(),
            Network::Keys(_) => panic!("it has a vocabulary"),
        };
        let exact = loss(network());
        for weights in [WeightFormat::F16, WeightFormat::Int8] {
            let rounded = with_rounded_decoder(with_rounded_layers(network(), weights), weights);
            let change = loss(rounded) / exact - 1.0;
            println!("{weights:?}: {:+.4} % of {exact:.4}", 100.0 * change);
            assert!(change.abs() < 0.005, "{weights:?} changes the loss by {change}");
        }
    }
}
