//! The network of the second family: towers of recurrent layers that listen, and a speller.
//!
//! ```text
//! h_c  = LSTM(what pitch class c hears of the frame before)        12 times, the same weights
//! h_k  = LSTM(what key k hears of the frame before)                88 times, the same weights
//! z_k  = h_c(k) W_c + h_k W_k + before_k W_b + lower_k W_l + b     lower: this frame's keys below k
//! P(k sounds | the past, the lower keys) = σ(relu(relu(z_k) M + m) · w + v)
//! ```
//!
//! With touch a second output says of a key that goes on sounding whether it was struck again. Then
//! come the velocities of the struck keys, from low to high, among 32, the pedal, and how many
//! frames long nothing changes, up to 32:
//!
//! ```text
//! velocity_k = softmax(relu(h_c(k) W_c + h_k W_k + before_k W_b + frame_k W_f + b) W + v)
//! pedal      = σ(relu(mean of h_c W_c + frame W_f + b) w + v)
//! length     = softmax(relu(mean of h_c W_c + frame W_f + b) W + v)
//! ```
//!
//! A frame is spelled from the lowest key to the highest, and the probability of a chord is the
//! product over its keys. That is the factorization of NADE (Larochelle & Murray 2011) and of the
//! RNN-NADE of Boulanger-Lewandowski et al. (2012); tying the weights along the keyboard follows
//! the parallel networks of Johnson (2017).

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::config::{Alphabet, KeyConfig, Tower};
use super::features;
use crate::model::random::{self, Purpose};
use crate::model::recurrent::{CellKind, LayerState, RecurrentLayer};

/// Log-odds of sounding, and of being struck again, that a fresh network gives every key: three or
/// four of 88 sound.
const FIRST_LOG_ODDS: f32 = -3.0;

/// A network on a device. Cloning is cheap: tensors are shared.
#[derive(Clone, Debug)]
pub struct KeyNetwork<B: Backend> {
    pub config: KeyConfig,
    /// The layers of every tower, in the order of [`KeyConfig::towers`].
    pub towers: Vec<Vec<RecurrentLayer<B>>>,
    pub speller: SpellerWeights<B>,
    /// Only of the alphabet that has touch.
    pub touch: Option<TouchWeights<B>>,
}

/// S below is the width of the speller.
#[derive(Clone, Debug)]
pub struct SpellerWeights<B: Backend> {
    /// `[H, S]` for each tower.
    pub towers: Vec<Tensor<B, 2>>,
    /// `[key_width, S]`
    pub before: Tensor<B, 2>,
    /// `[lower_width, S]`
    pub lower: Tensor<B, 2>,
    /// `[1, S]`
    pub bias: Tensor<B, 2>,
    /// `[S, S]`
    pub middle: Tensor<B, 2>,
    /// `[1, S]`
    pub middle_bias: Tensor<B, 2>,
    /// `[S, Q]`, Q questions a key
    pub out: Tensor<B, 2>,
    /// `[1, Q]`
    pub out_bias: Tensor<B, 2>,
}

/// What velocities, the pedal and the length are decided with; U is the width of each.
#[derive(Clone, Debug)]
pub struct TouchWeights<B: Backend> {
    pub velocity: VelocityWeights<B>,
    pub pedal: FrameWeights<B>,
    pub length: FrameWeights<B>,
}

#[derive(Clone, Debug)]
pub struct VelocityWeights<B: Backend> {
    /// `[H, U]` for each tower.
    pub towers: Vec<Tensor<B, 2>>,
    /// `[key_width, U]`
    pub before: Tensor<B, 2>,
    /// `[STRIKE_WIDTH, U]`
    pub frame: Tensor<B, 2>,
    /// `[1, U]`
    pub bias: Tensor<B, 2>,
    /// `[U, VELOCITIES]`
    pub out: Tensor<B, 2>,
    /// `[1, VELOCITIES]`
    pub out_bias: Tensor<B, 2>,
}

/// What something is decided with that is said once of a frame, with A answers: log-odds for one,
/// scores for more.
#[derive(Clone, Debug)]
pub struct FrameWeights<B: Backend> {
    /// `[H, U]`
    pub classes: Tensor<B, 2>,
    /// `[PEDAL_WIDTH, U]` or `[LASTING_WIDTH, U]`
    pub frame: Tensor<B, 2>,
    /// `[1, U]`
    pub bias: Tensor<B, 2>,
    /// `[U, A]`
    pub out: Tensor<B, 2>,
    /// `[1, A]`
    pub out_bias: Tensor<B, 2>,
}

impl<B: Backend> KeyNetwork<B> {
    /// Fresh weights; the same seed gives the same ones on every device.
    pub fn new(config: KeyConfig, seed: u64, device: &B::Device) -> Self {
        let mut rng = random::stream(seed, Purpose::Weights, 0);
        let parameters = config.parameter_shapes().into_iter().map(|(name, shape)| {
            let values = initial_values(&config, &name, shape, &mut rng);
            Tensor::from_data(TensorData::new(values, shape), device)
        });
        Self::from_parameters(config, parameters.collect())
    }

    /// Puts tensors in the order of [`KeyConfig::parameter_shapes`] into their places.
    pub fn from_parameters(config: KeyConfig, parameters: Vec<Tensor<B, 2>>) -> Self {
        let mut parameters = parameters.into_iter();
        let mut next = || parameters.next().expect("one tensor for each of parameter_shapes");
        let mut layer = |_| RecurrentLayer {
            kind: CellKind::Lstm,
            input_weights: next(),
            recurrent_weights: next(),
            bias: next(),
        };
        let towers = config.towers();
        let layers = |tower: &Tower| (0..tower.layers).map(&mut layer).collect();
        let layers = towers.iter().map(layers).collect();
        let speller = SpellerWeights {
            towers: towers.iter().map(|_| next()).collect(),
            before: next(),
            lower: next(),
            bias: next(),
            middle: next(),
            middle_bias: next(),
            out: next(),
            out_bias: next(),
        };
        let touch = (config.alphabet == Alphabet::Full).then(|| TouchWeights {
            velocity: VelocityWeights {
                towers: towers.iter().map(|_| next()).collect(),
                before: next(),
                frame: next(),
                bias: next(),
                out: next(),
                out_bias: next(),
            },
            pedal: FrameWeights::from_parameters(&mut next),
            length: FrameWeights::from_parameters(&mut next),
        });
        Self { config, towers: layers, speller, touch }
    }

    /// In the order of [`KeyConfig::parameter_shapes`].
    pub fn parameters(&self) -> Vec<Tensor<B, 2>> {
        let mut copy = self.clone();
        copy.parameters_mut().into_iter().map(|tensor| tensor.clone()).collect()
    }

    /// In the same order, for changing them.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<B, 2>> {
        let mut parameters = Vec::new();
        for layer in self.towers.iter_mut().flatten() {
            parameters.push(&mut layer.input_weights);
            parameters.push(&mut layer.recurrent_weights);
            parameters.push(&mut layer.bias);
        }
        let speller = &mut self.speller;
        parameters.extend(&mut speller.towers);
        parameters.extend([
            &mut speller.before,
            &mut speller.lower,
            &mut speller.bias,
            &mut speller.middle,
            &mut speller.middle_bias,
            &mut speller.out,
            &mut speller.out_bias,
        ]);
        if let Some(TouchWeights { velocity, pedal, length }) = &mut self.touch {
            parameters.extend(&mut velocity.towers);
            parameters.extend([
                &mut velocity.before,
                &mut velocity.frame,
                &mut velocity.bias,
                &mut velocity.out,
                &mut velocity.out_bias,
            ]);
            parameters.extend(pedal.all_mut());
            parameters.extend(length.all_mut());
        }
        parameters
    }

    pub fn device(&self) -> B::Device {
        self.speller.bias.device()
    }

    /// A state for `n_rows` sequences that have read nothing.
    pub fn zero_state(&self, n_rows: usize) -> Vec<LayerState<B>> {
        let device = self.device();
        let zero = |[rows, hidden]: [usize; 2]| LayerState::zero(rows, hidden, &device);
        self.config.state_shapes(n_rows).into_iter().map(zero).collect()
    }
}

impl<B: Backend> FrameWeights<B> {
    fn from_parameters(next: &mut impl FnMut() -> Tensor<B, 2>) -> Self {
        Self { classes: next(), frame: next(), bias: next(), out: next(), out_bias: next() }
    }

    fn all_mut(&mut self) -> [&mut Tensor<B, 2>; 5] {
        let Self { classes, frame, bias, out, out_bias } = self;
        [classes, frame, bias, out, out_bias]
    }
}

fn initial_values(
    config: &KeyConfig,
    name: &str,
    [rows, columns]: [usize; 2],
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    let n = rows * columns;
    let hidden = || config.towers().iter().map(|tower| tower.hidden).sum::<usize>();
    let of_tower = name.starts_with("classes.") || name.starts_with("keys.");
    match name {
        "speller.out_bias" => vec![FIRST_LOG_ODDS; n],
        // An LSTM that begins by remembering learns long spans sooner (Jozefowicz et al. 2015).
        _ if of_tower && name.ends_with("bias") => {
            let hidden = columns / 4;
            (0..n).map(|idx| if idx / hidden == 1 { 1.0 } else { 0.0 }).collect()
        }
        _ if name.ends_with("bias") => vec![0.0; n],
        _ => {
            let inputs = match name {
                _ if of_tower => columns / 4,
                "speller.middle" | "speller.lower" => rows,
                _ if name.ends_with(".out") => rows,
                // What is added up counts together.
                _ => features::key_width(config.alphabet) + hidden(),
            };
            let width = (inputs as f32).sqrt().recip();
            (0..n).map(|_| rng.random_range(-width..=width)).collect()
        }
    }
}
