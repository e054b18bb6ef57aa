//! Spelling one frame after the other, for composing: on the CPU, any number of hypotheses.
//!
//! Each hypothesis is computed by itself, so that it gets the same numbers to the last bit whatever
//! others there are.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};

use super::config::{CLASSES, KEYS};
use super::features::{self, CLASS_WIDTH, KEY_WIDTH, Keys};
use super::loss::{read, tell};
use super::network::KeyNetwork;
use crate::model::kernels::Kernels;
use crate::model::recurrent::LayerState;
use crate::model::weights::numbers;
use crate::tokens::Chord;

/// Reads frames and spells what may come next.
pub struct Speller {
    network: KeyNetwork<Flex>,
    /// `[LOWER_WIDTH, S]`, row by row, as every matrix here.
    lower: Vec<f32>,
    /// `[S, S]`
    middle: Vec<f32>,
    middle_bias: Vec<f32>,
    /// `[S]`
    out: Vec<f32>,
    out_bias: f32,
    kernels: Kernels<Flex>,
    hypotheses: Vec<Hypothesis>,
}

#[derive(Clone)]
struct Hypothesis {
    n_read: u32,
    state: Vec<LayerState<Flex>>,
    /// What every key is told but for the lower keys of its own frame, `[KEYS, S]`.
    told: Vec<f32>,
}

/// What is asked of whoever spells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decision {
    /// 0 is the lowest of the piano.
    pub key: usize,
    /// That it sounds, given the lower keys.
    pub log_odds: f32,
}

/// A frame that was spelled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spelled {
    pub chord: Chord,
    /// Natural logarithm of its probability under the network.
    pub log_probability: f64,
}

/// A frame spelled up to some key.
#[derive(Clone)]
struct Prefix {
    keys: Keys,
    log_probability: f64,
    /// What every key is told of the lower ones so far.
    told: Vec<f32>,
}

impl Speller {
    pub fn new(network: &KeyNetwork<Flex>) -> Self {
        let values = |tensor: &Tensor<Flex, 2>| numbers(tensor.clone().into_data());
        let weights = &network.speller;
        let mut speller = Self {
            lower: values(&weights.lower),
            middle: values(&weights.middle),
            middle_bias: values(&weights.middle_bias),
            out: values(&weights.out),
            out_bias: values(&weights.out_bias)[0],
            network: network.clone(),
            kernels: Kernels::new(),
            hypotheses: Vec::new(),
        };
        speller.start(1);
        speller
    }

    /// Forgets everything and holds `n` hypotheses that have read nothing. What they read first
    /// is the rest that starts every piece.
    pub fn start(&mut self, n: usize) {
        let n_told = KEYS * self.network.config.spell_hidden;
        let state = self.network.zero_state(1);
        self.hypotheses = vec![Hypothesis { n_read: 0, state, told: vec![0.0; n_told] }; n];
    }

    /// Hypothesis `i` reads `frames[i]`.
    pub fn read(&mut self, frames: &[Chord]) {
        for (hypothesis, &frame) in self.hypotheses.iter_mut().zip(frames) {
            let state = std::mem::take(&mut hypothesis.state);
            let clock = hypothesis.n_read;
            let read = told(&self.network, Keys::of(frame), clock, state, &mut self.kernels);
            (hypothesis.told, hypothesis.state) = read;
            hypothesis.n_read = clock.saturating_add(1);
        }
    }

    /// Afterwards hypothesis `i` continues what was hypothesis `parents[i]`; there are then as
    /// many as `parents` has.
    pub fn select(&mut self, parents: &[usize]) {
        let kept = parents.iter().map(|&parent| self.hypotheses[parent].clone());
        self.hypotheses = kept.collect();
    }

    /// The next frame of a hypothesis: `choose` says of every key from low to high whether it
    /// sounds.
    pub fn spell(&self, hypothesis: usize, choose: &mut dyn FnMut(Decision) -> bool) -> Spelled {
        let mut prefix = self.begun(hypothesis);
        for key in 0..KEYS {
            let log_odds = self.log_odds(&prefix, key);
            let sounds = choose(Decision { key, log_odds });
            prefix.log_probability += log_probability(log_odds, sounds);
            if sounds {
                self.sound(&mut prefix, key);
            }
        }
        prefix.spelled()
    }

    /// Up to `n` next frames of a hypothesis, the likeliest first. They are found by a search over
    /// the keys that goes on with the `n` likeliest beginnings at every key.
    pub fn candidates(&self, hypothesis: usize, n: usize) -> Vec<Spelled> {
        let mut prefixes = vec![self.begun(hypothesis)];
        for key in 0..KEYS {
            let log_odds: Vec<f32> =
                prefixes.iter().map(|prefix| self.log_odds(prefix, key)).collect();
            let mut next: Vec<(f64, usize, bool)> = Vec::with_capacity(2 * prefixes.len());
            for (idx, (prefix, &log_odds)) in prefixes.iter().zip(&log_odds).enumerate() {
                for sounds in [false, true] {
                    let of_key = log_probability(log_odds, sounds);
                    next.push((prefix.log_probability + of_key, idx, sounds));
                }
            }
            // A stable sort: of equals the one found first stays.
            next.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
            next.truncate(n);
            prefixes = next
                .into_iter()
                .map(|(log_probability, idx, sounds)| {
                    let mut prefix = Prefix { log_probability, ..prefixes[idx].clone() };
                    if sounds {
                        self.sound(&mut prefix, key);
                    }
                    prefix
                })
                .collect();
        }
        prefixes.iter().map(Prefix::spelled).collect()
    }

    fn begun(&self, hypothesis: usize) -> Prefix {
        let told = self.hypotheses[hypothesis].told.clone();
        Prefix { keys: Keys::default(), log_probability: 0.0, told }
    }

    fn log_odds(&self, prefix: &Prefix, key: usize) -> f32 {
        let n = self.network.config.spell_hidden;
        let told = &prefix.told[key * n..][..n];
        let mut second = self.middle_bias.clone();
        for (&told, row) in told.iter().zip(self.middle.chunks_exact(n)) {
            if told > 0.0 {
                second.iter_mut().zip(row).for_each(|(to, weight)| *to += told * weight);
            }
        }
        let weighted = second.iter().zip(&self.out).map(|(value, weight)| value.max(0.0) * weight);
        self.out_bias + weighted.sum::<f32>()
    }

    /// Tells every higher key that this one sounds.
    fn sound(&self, prefix: &mut Prefix, key: usize) {
        prefix.keys.insert(key);
        let n = self.network.config.spell_hidden;
        for higher in key + 1..KEYS {
            let told = &mut prefix.told[higher * n..][..n];
            for (place, change) in features::lower_changes(higher, key) {
                let row = &self.lower[place * n..][..n];
                told.iter_mut().zip(row).for_each(|(to, weight)| *to += change * weight);
            }
        }
    }
}

impl Prefix {
    fn spelled(&self) -> Spelled {
        Spelled { chord: self.keys.chord(), log_probability: self.log_probability }
    }
}

/// Reads a frame: what the speller tells every key but for the lower ones, and the state after.
fn told(
    network: &KeyNetwork<Flex>,
    frame: Keys,
    clock: u32,
    state: Vec<LayerState<Flex>>,
    kernels: &mut Kernels<Flex>,
) -> (Vec<f32>, Vec<LayerState<Flex>>) {
    let device = network.device();
    let mut of_keys = vec![0.0; KEYS * KEY_WIDTH];
    features::write_keys(frame, clock, &mut of_keys);
    let mut of_classes = vec![0.0; CLASSES * CLASS_WIDTH];
    features::write_classes(frame, clock, &mut of_classes);
    let tensor =
        |values, shape| Tensor::<Flex, 2>::from_data(TensorData::new(values, shape), &device);
    let before = tensor(of_keys, [KEYS, KEY_WIDTH]);
    let classes = tensor(of_classes, [CLASSES, CLASS_WIDTH]);
    let towers = network.config.towers().into_iter();
    let heard =
        towers.map(|tower| if tower.places == CLASSES { classes.clone() } else { before.clone() });
    let (tops, state) = read(network, heard.collect(), state, kernels);
    let told = tell(network, before, &tops);
    (numbers(told.into_data()), state)
}

/// Of a key's sounding or being silent: log σ(±s) without overflow.
fn log_probability(log_odds: f32, sounds: bool) -> f64 {
    let odds = f64::from(if sounds { log_odds } else { -log_odds });
    // log σ(x) = min(x, 0) - log(1 + e^-|x|)
    odds.min(0.0) - (-odds.abs()).exp().ln_1p()
}
