//! A network of either family, as training, measuring and checkpoints see it: named parameters, a
//! state, and the shapes of both.
//!
//! What a network reads and predicts is its family's own matter (`chords`, `keys`). Here stands
//! what is asked of both, so that nothing else in this room asks which family it is.
//!
//! A state and a dropout mask have the same number of rows for each sequence of a batch, and those
//! of one sequence lie together: one row in the first family, one for each key or pitch class in
//! the second.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::TrainingSettings;
use super::chords::{ChordConfig, ChordNetwork, EMBEDDING};
use super::keys::{KEYS, KeyConfig, KeyNetwork};
use super::recurrent::{CellKind, LayerState};
use super::settings::ModelKind;
use super::weights::{NamedTensor, TensorMap, WeightsError};

/// A tensor that every network of the second family has.
const SPELLER_BIAS: &str = "speller.bias";
/// Tensors that every one with touch has; only the first of them in the very first versions.
const VELOCITY_BIAS: &str = "velocity.bias";
const LENGTH_BIAS: &str = "length.bias";
/// Units of each of the speller's hidden layers in a new network of the second family.
const SPELL_HIDDEN: usize = 128;

/// Names and shapes of tensors, in an order that everything keeps.
pub type Shapes = Vec<(String, [usize; 2])>;

/// What decides every shape of a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkConfig {
    Chords(ChordConfig),
    Keys(KeyConfig),
}

/// A network on a device. Cloning is cheap: tensors are shared.
#[derive(Clone, Debug)]
pub enum Network<B: Backend> {
    Chords(ChordNetwork<B>),
    Keys(KeyNetwork<B>),
}

impl NetworkConfig {
    /// The network of these settings. `vocabulary` counts its chords where it has a vocabulary,
    /// `has_clock` says whether the music is on a grid, for one that has none.
    pub fn new(settings: &TrainingSettings, vocabulary: usize, has_clock: bool) -> Self {
        match settings.model {
            ModelKind::Lstm => Self::Chords(ChordConfig::new(settings, CellKind::Lstm, vocabulary)),
            ModelKind::Gru => Self::Chords(ChordConfig::new(settings, CellKind::Gru, vocabulary)),
            ModelKind::Keys => Self::Keys(KeyConfig {
                layers: settings.layers,
                hidden: settings.hidden,
                key_hidden: settings.key_hidden,
                spell_hidden: SPELL_HIDDEN,
                alphabet: settings.alphabet,
                has_clock,
            }),
        }
    }

    /// Names and shapes of what is learned.
    pub fn parameter_shapes(&self) -> Shapes {
        match self {
            Self::Chords(config) => config.parameter_shapes(),
            Self::Keys(config) => config.parameter_shapes(),
        }
    }

    /// Numbers that are learned.
    pub fn n_parameters(&self) -> usize {
        match self {
            Self::Chords(config) => config.n_parameters(),
            Self::Keys(config) => config.n_parameters(),
        }
    }

    /// Shapes of what each layer carries for `n_rows` sequences: the hidden units, and an LSTM's
    /// cells alike.
    pub fn state_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        match self {
            Self::Chords(config) => config.state_shapes(n_rows),
            Self::Keys(config) => config.state_shapes(n_rows),
        }
    }

    /// Shapes of the dropout masks for `n_rows` sequences.
    pub fn mask_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        match self {
            Self::Chords(config) => config.mask_shapes(n_rows),
            Self::Keys(config) => config.mask_shapes(n_rows),
        }
    }

    /// Whether the weights are those of a network of the other family.
    fn is_of_other_family(&self, tensors: &TensorMap) -> bool {
        let is_keys = tensors.has(SPELLER_BIAS);
        match self {
            Self::Chords(_) => is_keys,
            Self::Keys(_) => !is_keys && tensors.has(EMBEDDING),
        }
    }

    /// Whether the weights are those of a network with touch from when it still made a step for every
    /// frame, and said of none how long it lasts.
    fn lacks_lengths(&self, tensors: &TensorMap) -> bool {
        match self {
            Self::Chords(_) => false,
            Self::Keys(_) => tensors.has(VELOCITY_BIAS) && !tensors.has(LENGTH_BIAS),
        }
    }

    /// How many answers there are when nothing is known: the perplexity of choosing blindly.
    pub fn blind_perplexity(&self) -> f64 {
        match self {
            Self::Chords(config) => config.n_outputs() as f64,
            Self::Keys(_) => (KEYS as f64).exp2(),
        }
    }

    /// Chords of the vocabulary; 0 where there is none.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Chords(config) => config.vocabulary,
            Self::Keys(_) => 0,
        }
    }
}

impl<B: Backend> Network<B> {
    pub fn config(&self) -> NetworkConfig {
        match self {
            Self::Chords(network) => NetworkConfig::Chords(network.config),
            Self::Keys(network) => NetworkConfig::Keys(network.config),
        }
    }

    /// In the order of [`NetworkConfig::parameter_shapes`].
    pub fn parameters(&self) -> Vec<Tensor<B, 2>> {
        match self {
            Self::Chords(network) => network.parameters(),
            Self::Keys(network) => network.parameters(),
        }
    }

    /// In the same order, for changing them.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<B, 2>> {
        match self {
            Self::Chords(network) => network.parameters_mut(),
            Self::Keys(network) => network.parameters_mut(),
        }
    }

    pub fn device(&self) -> B::Device {
        match self {
            Self::Chords(network) => network.device(),
            Self::Keys(network) => network.device(),
        }
    }

    /// A state for `n_rows` sequences that have read nothing.
    pub fn zero_state(&self, n_rows: usize) -> Vec<LayerState<B>> {
        match self {
            Self::Chords(network) => network.zero_state(n_rows),
            Self::Keys(network) => network.zero_state(n_rows),
        }
    }

    /// What is learned as plain numbers.
    pub fn parameter_tensors(&self) -> Vec<NamedTensor> {
        let names = self.config().parameter_shapes().into_iter().map(|(name, _)| name);
        names.zip(self.parameters()).map(|(name, tensor)| NamedTensor::read(name, tensor)).collect()
    }

    /// Everything the network is made of as plain numbers, with what is never learned.
    pub fn to_tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = self.parameter_tensors();
        if let Self::Chords(network) = self {
            tensors.push(network.fixed_tensor());
        }
        tensors
    }

    /// The same network with the parameters named `prefix` + name.
    pub fn with_parameters(&self, tensors: &TensorMap, prefix: &str) -> Result<Self, WeightsError> {
        let parameters = tensors.all(prefix, &self.config().parameter_shapes(), &self.device())?;
        Ok(match self {
            Self::Chords(network) => Self::Chords(ChordNetwork::from_parameters(
                network.config,
                parameters,
                network.prior.clone(),
            )),
            Self::Keys(network) => {
                Self::Keys(KeyNetwork::from_parameters(network.config, parameters))
            }
        })
    }

    /// Takes the weights out of `tensors`, sizes checked.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, and weights of the other family.
    pub fn from_tensors(
        config: NetworkConfig,
        tensors: &TensorMap,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let shapes = config.parameter_shapes();
        if config.is_of_other_family(tensors) {
            return Err(WeightsError::OtherFamily);
        }
        if config.lacks_lengths(tensors) {
            return Err(WeightsError::NoLengths);
        }
        let parameters = tensors.all("", &shapes, device)?;
        Ok(match config {
            NetworkConfig::Chords(config) => {
                let prior = config.prior_from(tensors, device)?;
                Self::Chords(ChordNetwork::from_parameters(config, parameters, prior))
            }
            NetworkConfig::Keys(config) => {
                Self::Keys(KeyNetwork::from_parameters(config, parameters))
            }
        })
    }
}
