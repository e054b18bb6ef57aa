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
//! and `m` follows from how probable each forbidden chord is, which is found by spelling it. With
//! touch the same holds of every question that is asked of a key, and a chord is forbidden with
//! the strikes that it has; then come the velocities of the struck keys, then the pedal.

use rand_chacha::ChaCha8Rng;

use super::guard::{Lifted, Name, Named, Rules};
use super::next_frame::{Answer, NextFrame, PlaceOf};
use super::scores::{Sampler, most_likely};
use super::{ComposeError, ComposeSettings, PRIME_STREAM, Strategy, take_rng, uniform};
use crate::model::WeightFormat;
use crate::model::keys::{Decision, KEYS, LOWEST, Question, Spelled, Speller, log_probability};
use crate::tokens::{Chord, KeyFrame, KeyRun};

/// Below this share what is left beside forbidden chords is rounding.
const LEAST_SHARE: f64 = 1e-9;

pub(super) struct ByKeys {
    speller: Speller,
    rules: Rules<KeysName>,
    sampling: Sampling,
    /// Memory for the frames that the guard forbids.
    forbidden: Vec<Keys>,
}

/// Which keys sound in a frame, and which of them are struck; none without touch.
type Keys = (Chord, Chord);

/// A frame that was spelled, or a prime's.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct SpelledFrame {
    keys: KeyFrame,
    /// Whether more is known than its chord.
    has_touch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct KeysName {
    sounding: Chord,
    /// None where nobody knows.
    struck: Option<Chord>,
}

impl Name for KeysName {
    fn unstruck(self) -> Option<Self> {
        self.struck.map(|_| Self { struck: Some(Chord::REST), ..self })
    }
}

impl Named for SpelledFrame {
    type Name = KeysName;

    fn name(&self) -> KeysName {
        let struck = self.has_touch.then_some(self.keys.struck);
        KeysName { sounding: self.keys.sounding, struck }
    }
}

impl SpelledFrame {
    pub fn of_chord(sounding: Chord) -> Self {
        Self { keys: KeyFrame { sounding, ..KeyFrame::default() }, has_touch: false }
    }

    pub fn of_touch(keys: KeyFrame) -> Self {
        Self { keys, has_touch: true }
    }
}

/// How the probability of a key is bent before it is drawn.
#[derive(Clone, Copy, PartialEq)]
struct Sampling {
    /// What log-odds are divided by.
    temperature: f64,
    /// Of a key's two states only the likelier one stays where it alone makes up as much.
    enough: f64,
}

/// A chord that may not come with these strikes, and the way to it.
struct Detour {
    sounding: Chord,
    struck: Chord,
    /// Of each key and the higher ones together the logarithm of how probable it is that they are as
    /// in the chord, given that the lower ones are; then 0.
    log_rests: [f64; KEYS + 1],
    /// Of each key that sounds the same of its being struck again or not, where that is asked.
    log_strikes: [f64; KEYS],
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

    /// The same for one of many: what is drawn is one of the likeliest that make up `enough`.
    fn sampler(self) -> Sampler {
        let top_k = (self.enough <= 0.0).then_some(1);
        Sampler::new(self.temperature, top_k, Some(self.enough).filter(|share| *share > 0.0))
    }

    /// The probability that a key sounds, or that something else is so.
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
    /// None if the frame can't come: a key that begins to sound is struck.
    fn new(
        speller: &Speller,
        hypothesis: usize,
        (sounding, struck): Keys,
        sampling: Sampling,
    ) -> Option<Self> {
        let (mut log_rests, mut log_strikes) = ([0.0; KEYS + 1], [0.0; KEYS]);
        let spelled = speller.spell(hypothesis, &mut |Decision { key, question, log_odds }| {
            let (chord, logs) = match question {
                Question::Sounds => (sounding, &mut log_rests[..]),
                Question::StruckAgain => (struck, &mut log_strikes[..]),
            };
            let (is_so, share) = (has_key(chord, key), sampling.share(log_odds));
            logs[key] = if is_so { share } else { 1.0 - share }.ln();
            is_so
        });
        for key in (0..KEYS).rev() {
            log_rests[key] += log_strikes[key] + log_rests[key + 1];
        }
        let is_possible = (spelled.chord, spelled.struck) == (sounding, struck);
        is_possible.then_some(Self { sounding, struck, log_rests, log_strikes, is_followed: true })
    }

    /// Whether the frame has this answer to a question.
    fn has(&self, key: usize, question: Question, is_so: bool) -> bool {
        let chord = match question {
            Question::Sounds => self.sounding,
            Question::StruckAgain => self.struck,
        };
        has_key(chord, key) == is_so
    }

    /// The probability that all that is asked after a question makes it this frame, if its answer
    /// is `is_so`.
    fn share_after(&self, key: usize, question: Question, is_so: bool) -> f64 {
        if !self.is_followed || !self.has(key, question, is_so) {
            return 0.0;
        }
        let of_strike = if question == Question::Sounds { self.log_strikes[key] } else { 0.0 };
        (of_strike + self.log_rests[key + 1]).exp()
    }
}

impl ByKeys {
    pub fn new(speller: Speller, rules: Rules<KeysName>, strategy: Strategy) -> Self {
        Self { speller, rules, sampling: Sampling::new(strategy), forbidden: Vec::new() }
    }

    /// Draws the keys of a frame that is none of the forbidden ones.
    fn draw(
        &self,
        hypothesis: usize,
        forbidden: &[Keys],
        sampling: Sampling,
        rng: &mut ChaCha8Rng,
    ) -> Spelled {
        let detour = |&keys| Detour::new(&self.speller, hypothesis, keys, sampling);
        let mut detours: Vec<Detour> = forbidden.iter().filter_map(detour).collect();
        let mut is_lost = false;
        let spelled =
            self.speller.spell(hypothesis, &mut |Decision { key, question, log_odds }| {
                let share = sampling.share(log_odds);
                let left = |is_so| {
                    let shares = detours.iter().map(|it| it.share_after(key, question, is_so));
                    let left: f64 = 1.0 - f64::min(shares.sum(), 1.0);
                    if left < LEAST_SHARE { 0.0 } else { left }
                };
                let (yes, no) = (share * left(true), (1.0 - share) * left(false));
                let is_so = if yes + no > 0.0 {
                    uniform(rng) * (yes + no) < yes
                } else {
                    // Only forbidden chords are probable at all: whichever way leads off them.
                    is_lost = true;
                    left(true) > left(false)
                };
                for detour in &mut detours {
                    detour.is_followed &= detour.has(key, question, is_so);
                }
                is_so
            });
        if is_lost && sampling != Sampling::PLAIN {
            // Sharpened so far that nothing else is left; the model itself knows other frames.
            return self.draw(hypothesis, forbidden, Sampling::PLAIN, rng);
        }
        spelled
    }

    /// The `n` likeliest frames beside the forbidden ones.
    fn allowed(&self, hypothesis: usize, forbidden: &[Keys], n: usize) -> Vec<Spelled> {
        let mut found = self.speller.candidates(hypothesis, n + forbidden.len());
        found.retain(|spelled| !forbidden.contains(&(spelled.chord, spelled.struck)));
        found.truncate(n);
        found
    }

    /// What the guard forbids at a place.
    fn forbidden(&mut self, at: PlaceOf<'_, Self>) -> Vec<Keys> {
        let mut frames = std::mem::take(&mut self.forbidden);
        let forbidden = self.rules.forbidden(at.history);
        frames.clear();
        let names = forbidden.held.iter().chain(forbidden.repeating);
        frames.extend(names.map(|name| (name.sounding, name.struck.unwrap_or_default())));
        frames.sort_unstable();
        frames.dedup();
        frames
    }

    /// The frame with these keys; its velocities and its pedal are drawn, or the likeliest.
    fn touched(
        &self,
        hypothesis: usize,
        spelled: Spelled,
        frame: usize,
        mut draw: Option<(Sampling, &mut ChaCha8Rng)>,
    ) -> Result<Answer<SpelledFrame>, ComposeError> {
        let Spelled { chord: sounding, struck, mut log_probability } = spelled;
        let mut answer = SpelledFrame::of_chord(sounding);
        let (velocities, of_velocities) =
            self.speller.velocities(hypothesis, &spelled, &mut |scores| {
                let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
                let level = match &mut draw {
                    // Scores that aren't numbers are found in their sum.
                    Some((sampling, rng)) if scores.iter().all(|score| score.is_finite()) => {
                        sampling.sampler().draw(&scores, uniform(rng))
                    }
                    _ => most_likely(&scores),
                };
                level as usize
            });
        if let Some(log_odds) = self.speller.pedal_log_odds(hypothesis, &spelled) {
            let pedal = match draw {
                Some((sampling, rng)) => uniform(rng) < sampling.share(log_odds),
                None => log_odds > 0.0,
            };
            log_probability += of_velocities + self::log_probability(log_odds, pedal);
            answer = SpelledFrame::of_touch(KeyFrame { sounding, struck, velocities, pedal });
        }
        if log_probability.is_finite() {
            Ok(Answer { frame: answer, log_probability })
        } else {
            Err(ComposeError::KeyNotFinite { frame })
        }
    }
}

impl NextFrame for ByKeys {
    type Frame = SpelledFrame;

    fn chord(&self, frame: &SpelledFrame) -> Chord {
        frame.keys.sounding
    }

    fn touch(&self, frame: &SpelledFrame) -> Option<KeyFrame> {
        frame.has_touch.then(|| frame.keys.clone())
    }

    /// As the model itself would begin after silence, with a chord.
    fn draw_first(&mut self, seed: u64) -> Result<SpelledFrame, ComposeError> {
        self.speller.start(1);
        self.speller.read(&[KeyRun::single(KeyFrame::default())]);
        let rng = &mut take_rng(seed, PRIME_STREAM);
        let drawn = self.draw(0, &[Keys::default()], Sampling::PLAIN, rng);
        self.touched(0, drawn, 0, Some((Sampling::PLAIN, rng))).map(|answer| answer.frame)
    }

    fn start(&mut self, n: usize) {
        self.speller.start(n);
    }

    fn read(&mut self, frames: &[SpelledFrame]) {
        let runs = frames.iter().map(|frame| KeyRun::single(frame.keys.clone()));
        self.speller.read(&runs.collect::<Vec<_>>());
    }

    fn step(&mut self, frames: &[SpelledFrame]) -> Result<(), ComposeError> {
        self.read(frames);
        Ok(())
    }

    fn select(&mut self, parents: &[usize]) {
        self.speller.select(parents);
    }

    fn choose(
        &mut self,
        at: PlaceOf<'_, Self>,
        mut draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<SpelledFrame>, Lifted), ComposeError> {
        let forbidden = self.forbidden(at);
        let rng = draw.as_deref_mut();
        let drawn = rng.map(|rng| self.draw(at.hypothesis, &forbidden, self.sampling, rng));
        let spelled = match drawn {
            Some(spelled) if !forbidden.contains(&(spelled.chord, spelled.struck)) => Some(spelled),
            // Nothing else was probable enough to be drawn, or nothing is to be drawn.
            _ => self.allowed(at.hypothesis, &forbidden, 1).into_iter().next(),
        };
        self.forbidden = forbidden;
        let spelled = spelled.expect("there are more chords than a guard forbids");
        let draw = draw.map(|rng| (self.sampling, rng));
        let answer = self.touched(at.hypothesis, spelled, at.frame, draw)?;
        Ok((answer, Lifted::Nothing))
    }

    fn likeliest(
        &mut self,
        at: PlaceOf<'_, Self>,
        n: usize,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<Lifted, ComposeError> {
        let forbidden = self.forbidden(at);
        answers.clear();
        for spelled in self.allowed(at.hypothesis, &forbidden, n) {
            answers.push(self.touched(at.hypothesis, spelled, at.frame, None)?);
        }
        self.forbidden = forbidden;
        // Velocities and pedal may change the order; of equals the one that was found first.
        answers.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
        Ok(Lifted::Nothing)
    }
}

fn has_key(chord: Chord, key: usize) -> bool {
    chord.bits() >> (LOWEST + key) & 1 == 1
}

#[cfg(test)]
mod tests;
