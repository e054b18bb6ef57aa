//! Composing with a model that spells: every key of a frame is chosen for itself, from low to high.
//!
//! What the guard forbids is taken out before a key is chosen, as from a vocabulary: a frame is
//! drawn from the distribution over all others. Let `m(π)` be the probability, given that a frame
//! begins as `π`, that it ends as a forbidden one. Then
//!
//! ```text
//! P(key sounds | π, nothing forbidden) ∝ P(key sounds | π) · (1 − m(π with it))
//! ```
//!
//! and `m` follows from how probable each forbidden chord is, which is found by spelling it.

use rand_chacha::ChaCha8Rng;

use super::guard::{Lifted, Rules};
use super::next_frame::{Answer, NextFrame, Place};
use super::{ComposeError, ComposeSettings, PRIME_STREAM, Strategy, take_rng, uniform};
use crate::model::WeightFormat;
use crate::model::keys::{Decision, KEYS, LOWEST, Spelled, Speller};
use crate::tokens::{Chord, KeyFrame};

/// Below this share what is left beside forbidden chords is rounding.
const LEAST_SHARE: f64 = 1e-9;

pub(super) struct ByKeys {
    speller: Speller,
    rules: Rules<Chord>,
    sampling: Sampling,
    /// Memory for the chords that the guard forbids.
    forbidden: Vec<Chord>,
}

/// How the probability of a key is bent before it is drawn.
#[derive(Clone, Copy)]
struct Sampling {
    /// What log-odds are divided by.
    temperature: f64,
    /// Of a key's two states only the likelier one stays where it alone makes up as much.
    enough: f64,
}

/// A chord that may not come, with the way to it.
struct Detour {
    chord: Chord,
    /// Of each key and the higher ones together the logarithm of how probable it is that they are as
    /// in the chord, given that the lower ones are; then 0.
    log_rests: [f64; KEYS + 1],
    /// Whether what is spelled is like it so far.
    is_followed: bool,
}

/// What of the settings counts for nothing with a model that spells, in words.
pub(super) fn idle_settings(settings: &ComposeSettings) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if settings.weights != WeightFormat::F32 {
        notes.push("A model that spells key by key is read with its weights as they are");
    }
    if matches!(settings.strategy, Strategy::Sample { top_k: Some(2..), .. }) {
        notes.push("A key has two states, so a top-k above 1 leaves nothing out");
    }
    notes
}

impl Sampling {
    /// The model's own probabilities.
    const PLAIN: Self = Self { temperature: 1.0, enough: 1.0 };

    fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Sample { temperature, top_k, top_p } => {
                // A key has two states: the likelier alone, or both.
                let enough = if top_k == Some(1) { 0.0 } else { top_p.unwrap_or(1.0) };
                Self { temperature, enough }
            }
            Strategy::Max | Strategy::Beam { .. } => Self::PLAIN,
        }
    }

    /// The probability that a key sounds.
    fn share(self, log_odds: f32) -> f64 {
        // Divided by a vanishing temperature they become infinite, which is no trouble.
        let odds = f64::from(log_odds) / self.temperature;
        let share = 1.0 / (1.0 + (-odds).exp());
        if share.max(1.0 - share) < self.enough || self.enough >= 1.0 {
            share
        } else if share > 0.5 {
            1.0
        } else {
            0.0
        }
    }
}

impl Detour {
    fn new(speller: &Speller, hypothesis: usize, chord: Chord, sampling: Sampling) -> Self {
        let mut log_rests = [0.0; KEYS + 1];
        speller.spell(hypothesis, &mut |Decision { key, log_odds, .. }| {
            let sounds = has_key(chord, key);
            let share = sampling.share(log_odds);
            log_rests[key] = if sounds { share } else { 1.0 - share }.ln();
            sounds
        });
        for key in (0..KEYS).rev() {
            log_rests[key] += log_rests[key + 1];
        }
        Self { chord, log_rests, is_followed: true }
    }

    /// The probability that the keys above `key` make it this chord, if the key's state is `sounds`.
    fn share_after(&self, key: usize, sounds: bool) -> f64 {
        let goes_on = self.is_followed && has_key(self.chord, key) == sounds;
        if goes_on { self.log_rests[key + 1].exp() } else { 0.0 }
    }
}

impl ByKeys {
    pub fn new(speller: Speller, rules: Rules<Chord>, strategy: Strategy) -> Self {
        Self { speller, rules, sampling: Sampling::new(strategy), forbidden: Vec::new() }
    }

    /// Draws a frame that is none of the forbidden ones.
    fn draw(
        &self,
        hypothesis: usize,
        forbidden: &[Chord],
        sampling: Sampling,
        rng: &mut ChaCha8Rng,
    ) -> Spelled {
        let detour = |&chord| Detour::new(&self.speller, hypothesis, chord, sampling);
        let mut detours: Vec<Detour> = forbidden.iter().map(detour).collect();
        self.speller.spell(hypothesis, &mut |Decision { key, log_odds, .. }| {
            let share = sampling.share(log_odds);
            let left = |sounds| {
                let taken = detours.iter().map(|detour| detour.share_after(key, sounds)).sum();
                let left: f64 = 1.0 - f64::min(taken, 1.0);
                if left < LEAST_SHARE { 0.0 } else { left }
            };
            let (on, off) = (share * left(true), (1.0 - share) * left(false));
            let sounds = if on + off > 0.0 {
                uniform(rng) * (on + off) < on
            } else {
                // Only forbidden chords are probable at all: whichever way leads off them.
                left(true) > left(false)
            };
            for detour in &mut detours {
                detour.is_followed &= has_key(detour.chord, key) == sounds;
            }
            sounds
        })
    }

    /// The `n` likeliest frames beside the forbidden ones.
    fn allowed(&self, hypothesis: usize, forbidden: &[Chord], n: usize) -> Vec<Spelled> {
        let mut found = self.speller.candidates(hypothesis, n + forbidden.len());
        found.retain(|spelled| !forbidden.contains(&spelled.chord));
        found.truncate(n);
        found
    }

    /// What the guard forbids at a place.
    fn forbidden(&mut self, at: Place<'_, Chord>) -> Vec<Chord> {
        let mut chords = std::mem::take(&mut self.forbidden);
        let forbidden = self.rules.forbidden(at.history);
        chords.clear();
        chords.extend(forbidden.held.iter().chain(forbidden.repeating));
        chords.sort_unstable();
        chords.dedup();
        chords
    }
}

impl NextFrame for ByKeys {
    type Frame = Chord;

    fn chord(&self, chord: Chord) -> Chord {
        chord
    }

    /// As the model itself would begin after silence, with a chord.
    fn draw_first(&mut self, seed: u64) -> Result<Chord, ComposeError> {
        self.speller.start(1);
        self.speller.read(&[KeyFrame::default()]);
        let rng = &mut take_rng(seed, PRIME_STREAM);
        let drawn = self.draw(0, &[Chord::REST], Sampling::PLAIN, rng);
        checked(drawn, 0).map(|answer| answer.frame)
    }

    fn start(&mut self, n: usize) {
        self.speller.start(n);
    }

    fn read(&mut self, chords: &[Chord]) {
        self.speller.read(&key_frames(chords));
    }

    fn step(&mut self, chords: &[Chord]) -> Result<(), ComposeError> {
        self.speller.read(&key_frames(chords));
        Ok(())
    }

    fn select(&mut self, parents: &[usize]) {
        self.speller.select(parents);
    }

    fn choose(
        &mut self,
        at: Place<'_, Chord>,
        draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<Chord>, Lifted), ComposeError> {
        let forbidden = self.forbidden(at);
        let drawn = draw.map(|rng| self.draw(at.hypothesis, &forbidden, self.sampling, rng));
        let spelled = match drawn {
            Some(spelled) if !forbidden.contains(&spelled.chord) => Some(spelled),
            // Nothing else was probable enough to be drawn, or nothing is to be drawn.
            _ => self.allowed(at.hypothesis, &forbidden, 1).into_iter().next(),
        };
        self.forbidden = forbidden;
        let spelled = spelled.expect("there are more chords than a guard forbids");
        checked(spelled, at.frame).map(|answer| (answer, Lifted::Nothing))
    }

    fn likeliest(
        &mut self,
        at: Place<'_, Chord>,
        n: usize,
        answers: &mut Vec<Answer<Chord>>,
    ) -> Result<Lifted, ComposeError> {
        let forbidden = self.forbidden(at);
        answers.clear();
        for spelled in self.allowed(at.hypothesis, &forbidden, n) {
            answers.push(checked(spelled, at.frame)?);
        }
        self.forbidden = forbidden;
        Ok(Lifted::Nothing)
    }
}

/// Frames of which nothing is known but their chords.
fn key_frames(chords: &[Chord]) -> Vec<KeyFrame> {
    let frame = |&sounding| KeyFrame { sounding, ..KeyFrame::default() };
    chords.iter().map(frame).collect()
}

fn checked(spelled: Spelled, frame: usize) -> Result<Answer<Chord>, ComposeError> {
    let Spelled { chord, log_probability, .. } = spelled;
    if log_probability.is_finite() {
        Ok(Answer { frame: chord, log_probability })
    } else {
        Err(ComposeError::KeyNotFinite { frame })
    }
}

fn has_key(chord: Chord, key: usize) -> bool {
    chord.bits() >> (LOWEST + key) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Guard;
    use crate::model::keys::{Alphabet, KeyConfig, KeyNetwork};
    use crate::tokens::FrameRate;

    /// A model that has learned nothing and has read the rest that starts every piece.
    fn unlearned() -> ByKeys {
        let alphabet = Alphabet::OffOn;
        let config = KeyConfig {
            layers: 1,
            hidden: 2,
            key_hidden: 0,
            spell_hidden: 3,
            alphabet,
            has_clock: false,
        };
        let network = KeyNetwork::new(config, 3, &Default::default());
        let rules = Rules::new(&Guard::OFF, FrameRate::INPUT_DEFAULT, 0);
        let mut model = ByKeys::new(Speller::new(&network), rules, Strategy::Max);
        model.start(1);
        model.step(&[Chord::REST]).unwrap();
        model
    }

    /// What a chord is drawn with under a sampling, as exactly as it is computed.
    fn share(model: &ByKeys, chord: Chord, sampling: Sampling) -> f64 {
        Detour::new(&model.speller, 0, chord, sampling).log_rests[0].exp()
    }

    #[test]
    fn what_is_forbidden_is_taken_out_and_the_rest_keeps_its_proportions() {
        let model = unlearned();
        // Sharpened until few chords are probable.
        for temperature in [0.3, 0.45] {
            let sampling = Sampling { temperature, enough: 1.0 };
            let rng = &mut take_rng(1, 0);
            let mut draw = |forbidden: &[Chord]| model.draw(0, forbidden, sampling, rng).chord;
            let n = 4_000;
            let free: Vec<Chord> = (0..n).map(|_| draw(&[])).collect();
            let mut common = free.clone();
            common.sort_unstable();
            common.dedup();
            common.sort_by_key(|chord| {
                std::cmp::Reverse(free.iter().filter(|c| *c == chord).count())
            });
            let forbidden = [common[0], common[2], Chord::from_bits(1 << 100 | 1 << 30)];
            let taken: f64 = forbidden.iter().map(|&chord| share(&model, chord, sampling)).sum();
            assert!((0.05..0.999).contains(&taken), "{taken}");
            let drawn: Vec<Chord> = (0..n).map(|_| draw(&forbidden)).collect();
            assert!(!drawn.iter().any(|chord| forbidden.contains(chord)));
            for chord in [common[1], common[3]] {
                let expected = share(&model, chord, sampling) / (1.0 - taken);
                let found = drawn.iter().filter(|c| **c == chord).count() as f64 / n as f64;
                let deviation = (expected * (1.0 - expected) / n as f64).sqrt();
                assert!((found - expected).abs() < 5.0 * deviation, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn where_only_what_is_forbidden_is_probable_another_chord_comes() {
        let model = unlearned();
        let sampling = Sampling { temperature: f64::MIN_POSITIVE, enough: 1.0 };
        let rng = &mut take_rng(1, 0);
        let only = model.draw(0, &[], sampling, rng).chord;
        assert_eq!(share(&model, only, sampling), 1.0);
        for _ in 0..10 {
            assert_ne!(model.draw(0, &[only], sampling, rng).chord, only);
        }
        // The likeliest beside it is what a search finds.
        let allowed = model.allowed(0, &[only], 3);
        assert!(allowed.len() == 3 && allowed.iter().all(|spelled| spelled.chord != only));
    }

    #[test]
    fn top_p_and_top_k_leave_out_the_unlikelier_state_of_a_key() {
        let strategy = |top_k, top_p| Strategy::Sample { temperature: 1.0, top_k, top_p };
        let share =
            |top_k, top_p, odds: f64| Sampling::new(strategy(top_k, top_p)).share(odds.ln() as f32);
        assert!((share(None, None, 3.0) - 0.75).abs() < 1e-6);
        assert!((share(Some(2), Some(0.8), 3.0) - 0.75).abs() < 1e-6);
        assert_eq!(share(None, Some(0.7), 3.0), 1.0);
        assert_eq!(share(None, Some(0.7), 1.0 / 3.0), 0.0);
        assert_eq!(share(Some(1), None, 1.1), 1.0);
        let cold = Sampling { temperature: f64::MIN_POSITIVE, ..Sampling::PLAIN };
        assert_eq!((cold.share(-0.1), cold.share(0.1)), (0.0, 1.0));
    }
}
