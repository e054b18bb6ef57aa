//! The probability of any chord at all, spelled key by key: what a chord outside the vocabulary
//! pays after the escape.
//!
//! The keys are decided from the lowest to the highest, each on or off with a probability that
//! depends on those below it. A product of such decisions sums to one over all 2¹²⁸ chords,
//! whatever the probabilities are. For key *k* it is
//!
//! ```text
//! P(k sounds | keys below) = σ(Σᵢ wᵢ[xᵢ])
//! ```
//!
//! a logistic regression whose features xᵢ are places in small tables: the key itself, how far
//! the next sounding key below is and the one below that, the bass, how many sound already,
//! which pitch classes do, and some pairs of these.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Chord;

/// A key-by-key model of single chords, fitted on the learning pieces. Its probabilities over
/// all chords sum to one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "BackOffFile", into = "BackOffFile")]
pub struct BackOff {
    /// One weight for each place in each table: [`N_WEIGHTS`], each within ±[`MAX_WEIGHT`].
    weights: Vec<f32>,
}

#[derive(Clone, Serialize, Deserialize)]
struct BackOffFile {
    weights: Vec<f32>,
}

const N_KEYS: usize = 128;
/// Distances beyond three octaves are one.
const FAR: usize = 37;
/// In tables of two things, an octave and a half is far.
const FAR_TWICE: usize = 19;
/// Counts beyond are one.
const MANY: usize = 9;

/// Where each table begins among the weights.
const KEY: usize = 0;
const DISTANCE: usize = KEY + N_KEYS;
const TWO_DISTANCES: usize = DISTANCE + FAR + 1;
const COUNT_AND_DISTANCE: usize = TWO_DISTANCES + (FAR_TWICE + 1) * (FAR_TWICE + 1);
const OVER_BASS: usize = COUNT_AND_DISTANCE + (MANY + 1) * (FAR + 1);
const CLASSES: usize = OVER_BASS + 2 * FAR + 1;
const OCTAVE_AND_COUNT: usize = CLASSES + 32 * (MANY + 1);
const CLASSES_AND_DISTANCE: usize = OCTAVE_AND_COUNT + 16 * (MANY + 1);
const OCTAVE_AND_DISTANCE: usize = CLASSES_AND_DISTANCE + 32 * (FAR_TWICE + 1);
const N_WEIGHTS: usize = OCTAVE_AND_DISTANCE + 16 * (FAR_TWICE + 1);

/// How many tables there are.
const N_FEATURES: usize = 9;

/// Nine of them can't bring the logarithm of a probability out of range.
const MAX_WEIGHT: f32 = 40.0;

/// With no chord to learn from, four of 88 keys sound.
const PRIOR_LOGIT: f32 = -3.0;

/// Chords are looked at so many times in all, several passes over few chords and a part of very
/// many: what bounds the time of fitting.
const N_EXAMPLES: usize = 25_000;
const MAX_PASSES: usize = 5;

/// What is known about the keys below while going up.
#[derive(Clone, Copy, Default)]
struct Below {
    bass: usize,
    last: usize,
    /// From the last sounding key to the one below it; 0 when there is none.
    last_distance: usize,
    n: usize,
    classes: u16,
}

impl Below {
    /// Where this key's features are found among the weights.
    fn features(&self, key: usize) -> [usize; N_FEATURES] {
        let class = key % 12;
        let n = self.n.min(MANY);
        // 0 stands for "nothing below".
        let (distance, over_bass) = match self.n {
            0 => (0, 0),
            _ => (key - self.last, key - self.bass),
        };
        // Bit i: whether the pitch class i semitones above this one sounds.
        let classes = usize::from(self.classes);
        let around = (classes | classes << 12) >> class;
        // This one, its neighbors, the tritone and the fifth above.
        let relations = around & 3 | around >> 9 & 4 | around >> 3 & 24;
        let twice = (FAR_TWICE + 1) * distance.min(FAR_TWICE) + self.last_distance.min(FAR_TWICE);
        [
            KEY + key,
            DISTANCE + distance.min(FAR),
            TWO_DISTANCES + twice,
            COUNT_AND_DISTANCE + n * (FAR + 1) + distance.min(FAR),
            OVER_BASS + over_bass.min(2 * FAR),
            CLASSES + n * 32 + relations,
            OCTAVE_AND_COUNT + n * 16 + key / 8,
            CLASSES_AND_DISTANCE + distance.min(FAR_TWICE) * 32 + relations,
            OCTAVE_AND_DISTANCE + distance.min(FAR_TWICE) * 16 + key / 8,
        ]
    }

    fn add(&mut self, key: usize) {
        if self.n == 0 {
            self.bass = key;
        } else {
            self.last_distance = key - self.last;
        }
        self.last = key;
        self.n += 1;
        self.classes |= 1 << (key % 12);
    }
}

impl BackOff {
    /// Fits on chords with how often each was seen.
    ///
    /// Each distinct chord weighs the same however often it was seen: the model is only asked
    /// about chords that are rare, and what rare chords look like is better learned from many
    /// different ones than from a few frequent ones. Rests are passed over, since a vocabulary
    /// always has the rest. The order of the chords doesn't matter.
    pub fn fit(counted: impl IntoIterator<Item = (Chord, u64)>) -> Self {
        let mut distinct: BTreeMap<Chord, u64> = BTreeMap::new();
        for (chord, count) in counted {
            if !chord.is_rest() && count > 0 {
                *distinct.entry(chord).or_default() += count;
            }
        }
        let mut chords: Vec<Chord> = distinct.into_keys().collect();
        let mut fitting = Fitting::new(chords.len());
        // Any fixed seed does: the order of learning has to be the same every time, no more.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let n_passes = N_EXAMPLES.div_ceil(chords.len().max(1)).clamp(1, MAX_PASSES);
        for _ in 0..n_passes {
            chords.shuffle(&mut rng);
            for &chord in chords.iter().take(N_EXAMPLES) {
                fitting.learn(chord);
            }
        }
        Self { weights: fitting.weights }
    }

    /// Natural logarithm of the probability of exactly this chord; finite for every chord.
    pub fn log_probability(&self, chord: Chord) -> f64 {
        self.log_probability_within(chord, 0, N_KEYS)
    }

    /// Of what the keys `from..to` do, given the keys below.
    fn log_probability_within(&self, chord: Chord, from: usize, to: usize) -> f64 {
        let mut below = Below::default();
        let mut sum = 0.0;
        for key in 0..to {
            let sounds = chord.bits() >> key & 1 == 1;
            if key >= from {
                let logit = self.logit(&below.features(key));
                sum += log_sigmoid(if sounds { logit } else { -logit });
            }
            if sounds {
                below.add(key);
            }
        }
        sum
    }

    fn logit(&self, features: &[usize; N_FEATURES]) -> f64 {
        f64::from(logit(&self.weights, features))
    }
}

fn logit(weights: &[f32], features: &[usize; N_FEATURES]) -> f32 {
    features.iter().map(|&place| weights[place]).sum()
}

/// ln σ(x) without overflow: min(x, 0) − ln(1 + e^−|x|).
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// Stochastic gradient descent with a step of its own for each weight (Adagrad: Duchi, Hazan and
/// Singer 2011), pulled towards where it began so that few chords don't make it too sure.
struct Fitting {
    weights: Vec<f32>,
    squares: Vec<f32>,
    pull: f32,
}

impl Fitting {
    const RATE: f32 = 0.1;
    /// As if so much of the squared distance were added to the loss of all keys. This and the rate
    /// were chosen on held-out chords of piano-midi.de and Schumann, from 5 and from 269 pieces.
    const PULL: f32 = 50.0;

    fn new(n_chords: usize) -> Self {
        let mut weights = vec![0.0; N_WEIGHTS];
        weights[KEY..DISTANCE].fill(PRIOR_LOGIT);
        Self {
            weights,
            squares: vec![1e-2; N_WEIGHTS],
            pull: Self::PULL / (n_chords.max(1) * N_KEYS) as f32,
        }
    }

    fn learn(&mut self, chord: Chord) {
        let mut below = Below::default();
        for key in 0..N_KEYS {
            let sounds = chord.bits() >> key & 1 == 1;
            let features = below.features(key);
            let probability = 1.0 / (1.0 + (-logit(&self.weights, &features)).exp());
            let slope = probability - f32::from(u8::from(sounds));
            for place in features {
                let begun = if place < DISTANCE { PRIOR_LOGIT } else { 0.0 };
                let weight = &mut self.weights[place];
                let slope = slope + self.pull * (*weight - begun);
                let square = &mut self.squares[place];
                *square += slope * slope;
                *weight =
                    (*weight - Self::RATE * slope / square.sqrt()).clamp(-MAX_WEIGHT, MAX_WEIGHT);
            }
            if sounds {
                below.add(key);
            }
        }
    }
}

impl TryFrom<BackOffFile> for BackOff {
    type Error = &'static str;

    fn try_from(file: BackOffFile) -> Result<Self, Self::Error> {
        // NaN is within no range.
        let in_range = |weight: &f32| (-MAX_WEIGHT..=MAX_WEIGHT).contains(weight);
        if file.weights.len() != N_WEIGHTS || !file.weights.iter().all(in_range) {
            return Err("the key-by-key back-off has other sizes or weights out of range");
        }
        Ok(Self { weights: file.weights })
    }
}

impl From<BackOff> for BackOffFile {
    fn from(back_off: BackOff) -> Self {
        Self { weights: back_off.weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(keys: &[u32]) -> Chord {
        Chord::from_bits(keys.iter().fold(0, |bits, key| bits | 1 << key))
    }

    fn fitted() -> BackOff {
        let triads = (40..70).map(|root| (chord(&[root, root + 4, root + 7]), 3));
        BackOff::fit(triads.chain([(Chord::REST, 1_000)]))
    }

    #[test]
    fn all_that_some_keys_can_do_sums_to_one() {
        let back_off = fitted();
        for below in [Chord::REST, chord(&[3]), chord(&[36, 43, 48, 52])] {
            let ways = (0..1u128 << 12).map(|bits| Chord::from_bits(below.bits() | bits << 60));
            let sum: f64 =
                ways.map(|chord| back_off.log_probability_within(chord, 60, 72).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum} over {below}");
        }
        // The parts of the keyboard make the whole.
        let (low, high) = (chord(&[0, 50]), chord(&[0, 50, 64, 127]));
        let parts = back_off.log_probability_within(low, 0, 60)
            + back_off.log_probability_within(high, 60, 128);
        assert!((parts - back_off.log_probability(high)).abs() < 1e-9);
    }

    #[test]
    fn every_chord_has_a_finite_probability() {
        for back_off in [fitted(), BackOff::fit([])] {
            for bits in [0, 1, 1 << 127, u128::MAX, u128::MAX / 3] {
                let log_probability = back_off.log_probability(Chord::from_bits(bits));
                assert!(log_probability.is_finite() && log_probability < 0.0, "{log_probability}");
            }
        }
    }

    #[test]
    fn what_is_like_the_learned_is_likelier() {
        let back_off = fitted();
        let (like, unlike) = (chord(&[72, 76, 79]), chord(&[72, 73, 74]));
        assert!(back_off.log_probability(like) > back_off.log_probability(unlike) + 3.0);
    }

    #[test]
    fn the_order_of_the_chords_does_not_matter_and_it_survives_a_file() {
        let chords = [(chord(&[60]), 1), (chord(&[64, 67]), 2), (chord(&[60]), 3)];
        let reversed = chords.into_iter().rev();
        let back_off = BackOff::fit(chords);
        assert_eq!(back_off, BackOff::fit(reversed));
        let json = serde_json::to_string(&back_off).unwrap();
        assert_eq!(serde_json::from_str::<BackOff>(&json).unwrap(), back_off);
        assert!(serde_json::from_str::<BackOff>(r#"{"weights":[1.0]}"#).is_err());
    }
}
