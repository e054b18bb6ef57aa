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
//! and `m` follows from how probable each forbidden frame is, which is found by spelling it. Most of
//! them are improbable, so a frame is drawn first, and only one that was drawn and may not come is
//! taken out of the next draw: whichever were taken out before, what is drawn beside the forbidden
//! ones has the distribution over all others. With touch the same holds of every question that is
//! asked of a key; then come the velocities of the struck keys, the pedal, and how
//! long the frame lasts.

mod detour;
mod reader;
mod sampling;

use rand_chacha::ChaCha8Rng;

use super::guard::{Forbidden, Lifted, Name, Named, Rules};
use super::next_frame::{Answer, NextFrame, PlaceOf};
use super::{ComposeError, ComposeSettings, PRIME_STREAM, Strategy, take_rng, uniform};
use crate::model::WeightFormat;
use crate::model::keys::{Decision, Spelled, Speller, log_probability};
use crate::tokens::{Chord, KeyFrame};
use detour::Detour;
use reader::Reader;
use sampling::{Chooser, Sampling};

/// Below this share what is left beside forbidden chords is rounding.
const LEAST_SHARE: f64 = 1e-9;

/// Forbidden frames that are drawn for one that may come, before the likeliest that may is taken.
const MOST_DETOURS: usize = 64;

pub(super) struct ByKeys {
    rules: Rules<KeysName>,
    writer: Writer,
}

/// What writes the next frame, whatever the guard says.
struct Writer {
    reader: Reader,
    sampling: Sampling,
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

impl Forbidden<'_, KeysName> {
    fn has(&self, spelled: &Spelled) -> bool {
        let Spelled { chord: sounding, struck, .. } = *spelled;
        let repeats = |struck| self.repeating.binary_search(&KeysName { sounding, struck }).is_ok();
        self.held_keys() == Some(sounding) || repeats(Some(struck)) || repeats(None)
    }

    /// The keys that may not sound together, whichever of them are struck.
    fn held_keys(&self) -> Option<Chord> {
        self.held.map(|name| name.sounding)
    }
}

impl ByKeys {
    pub fn new(speller: Speller, rules: Rules<KeysName>, strategy: Strategy) -> Self {
        let (reader, sampling) = (Reader::new(speller), Sampling::new(strategy));
        Self { rules, writer: Writer { reader, sampling } }
    }
}

impl Writer {
    /// Draws the keys of a frame that is none of the forbidden ones; none if hardly another is
    /// probable. Here and in what follows `place` is one in the speller.
    fn draw(
        &self,
        place: usize,
        forbidden: &Forbidden<KeysName>,
        sampling: Sampling,
        rng: &mut ChaCha8Rng,
    ) -> Option<Spelled> {
        let mut detours: Vec<Detour> = Vec::new();
        while detours.len() < MOST_DETOURS
            && let Some(spelled) = self.draw_beside(place, &mut detours, sampling, rng)
        {
            if !forbidden.has(&spelled) {
                return Some(spelled);
            }
            let keys = (spelled.chord, spelled.struck);
            detours.extend(Detour::new(&self.reader.speller, place, keys, sampling));
        }
        // Sharpened so far that nothing else is left; the model itself knows other frames.
        let is_plain = sampling == Sampling::PLAIN;
        if is_plain { None } else { self.draw(place, forbidden, Sampling::PLAIN, rng) }
    }

    /// Draws the keys of a frame beside some; none if only those are probable at all.
    fn draw_beside(
        &self,
        place: usize,
        detours: &mut [Detour],
        sampling: Sampling,
        rng: &mut ChaCha8Rng,
    ) -> Option<Spelled> {
        detours.iter_mut().for_each(|detour| detour.is_followed = true);
        let mut is_lost = false;
        let spelled = self.reader.speller.spell(place, &mut |decision| {
            let Decision { key, question, log_odds } = decision;
            let share = sampling.share(log_odds);
            let left = |is_so| {
                let shares = detours.iter().map(|it| it.share_after(key, question, is_so));
                let left: f64 = 1.0 - f64::min(shares.sum(), 1.0);
                if left < LEAST_SHARE { 0.0 } else { left }
            };
            let (yes, no) = (share * left(true), (1.0 - share) * left(false));
            is_lost |= yes + no <= 0.0;
            let is_so = uniform(rng) * (yes + no) < yes;
            for detour in &mut *detours {
                detour.is_followed &= detour.has(key, question, is_so);
            }
            is_so
        });
        (!is_lost).then_some(spelled)
    }

    /// The `n` likeliest frames beside the forbidden ones; those that are less likely than `least`
    /// are left out.
    fn allowed(
        &self,
        place: usize,
        forbidden: &Forbidden<KeysName>,
        n: usize,
        least: f64,
    ) -> Vec<Spelled> {
        let n_forbidden = forbidden.repeating.len();
        // Few of many forbidden ones are among the likeliest.
        let mut width = n + n_forbidden.min(n);
        loop {
            let held = forbidden.held_keys();
            let mut found = self.reader.speller.candidates(place, width, held, least);
            let n_found = found.len();
            found.retain(|spelled| !forbidden.has(spelled));
            let n_left_out = n_found - found.len();
            if n_left_out <= width - n || width >= n + n_forbidden {
                found.truncate(n);
                return found;
            }
            width = (2 * width).min(n + n_forbidden);
        }
    }

    /// The keys of a frame that is none of the forbidden ones.
    fn spelled(
        &self,
        place: usize,
        forbidden: &Forbidden<KeysName>,
        chooser: &mut Chooser,
    ) -> Spelled {
        let sampling = chooser.sampling;
        let rng = chooser.rng.as_mut();
        rng.and_then(|rng| self.draw(place, forbidden, sampling, rng)).unwrap_or_else(|| {
            let likeliest = self.allowed(place, forbidden, 1, f64::NEG_INFINITY).into_iter().next();
            likeliest.expect("there are more chords than a guard forbids")
        })
    }

    /// The frame with these keys; its velocities, and its pedal if that isn't given, are chosen.
    fn touched(
        &self,
        place: usize,
        spelled: Spelled,
        pedal: Option<bool>,
        chooser: &mut Chooser,
    ) -> Answer<SpelledFrame> {
        let speller = &self.reader.speller;
        let Spelled { chord: sounding, struck, mut log_probability } = spelled;
        let (velocities, of_velocities) = speller.velocities(place, &spelled, &mut |scores| {
            chooser.one_of(&scores.iter().map(|&score| f64::from(score)).collect::<Vec<_>>())
        });
        let Some(log_odds) = speller.pedal_log_odds(place, &spelled) else {
            return Answer { frame: SpelledFrame::of_chord(sounding), log_probability };
        };
        let pedal = pedal.unwrap_or_else(|| chooser.is_so(log_odds));
        log_probability += of_velocities + self::log_probability(log_odds, pedal);
        let frame = SpelledFrame::of_touch(KeyFrame { sounding, struck, velocities, pedal });
        Answer { frame, log_probability }
    }

    /// The frame that goes on with the run of a hypothesis, unless its keys are those that were
    /// held for too long.
    fn held_on(&self, hypothesis: usize, held_too_long: Option<Chord>) -> Option<SpelledFrame> {
        let held = self.reader.held_on(hypothesis)?;
        let may_come = held_too_long != Some(held.sounding);
        may_come.then(|| SpelledFrame::of_touch(held))
    }

    /// The next frame of a hypothesis: another of its run, or the first of the next run.
    fn next(
        &mut self,
        at: PlaceOf<'_, ByKeys>,
        forbidden: &Forbidden<KeysName>,
        chooser: &mut Chooser,
    ) -> Result<Answer<SpelledFrame>, ComposeError> {
        let hypothesis = at.hypothesis;
        let remaining = self.reader.remaining(hypothesis, at.frame)?;
        if let Some(frame) = self.held_on(hypothesis, forbidden.held_keys())
            && self.reader.goes_on(hypothesis, &remaining, |more| chooser.one_of(more))
        {
            return checked(frame, remaining.log_goes_on(), at.frame);
        }
        let place = self.reader.ended(hypothesis);
        let spelled = self.spelled(place, forbidden, chooser);
        let pedal = self.reader.pedal_after(hypothesis, &spelled);
        let Answer { frame, log_probability } = self.touched(place, spelled, pedal, chooser);
        checked(frame, remaining.log_ends() + log_probability, at.frame)
    }

    /// The one that goes on with the run, if it may; and how probable it is that the run ends.
    fn held_on_with_share(
        &self,
        at: PlaceOf<'_, ByKeys>,
        held_too_long: Option<Chord>,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<f64, ComposeError> {
        let remaining = self.reader.remaining(at.hypothesis, at.frame)?;
        answers.clear();
        if let Some(frame) = self.held_on(at.hypothesis, held_too_long) {
            answers.push(checked(frame, remaining.log_goes_on(), at.frame)?);
        }
        Ok(remaining.log_ends())
    }

    /// The `n` likeliest first frames of the next run; those less likely than `least` may be left
    /// out.
    fn likeliest_next(
        &mut self,
        at: PlaceOf<'_, ByKeys>,
        n: usize,
        least: f64,
        forbidden: &Forbidden<KeysName>,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<(), ComposeError> {
        let hypothesis = at.hypothesis;
        let log_ends = self.reader.remaining(hypothesis, at.frame)?.log_ends();
        let place = self.reader.ended(hypothesis);
        let chooser = &mut Chooser { sampling: self.sampling, rng: None };
        answers.clear();
        for spelled in self.allowed(place, forbidden, n, least - log_ends) {
            let pedal = self.reader.pedal_after(hypothesis, &spelled);
            let Answer { frame, log_probability } = self.touched(place, spelled, pedal, chooser);
            answers.push(checked(frame, log_ends + log_probability, at.frame)?);
        }
        // Velocities and pedal may change the order; of equals the one that was found first.
        answers.sort_by(|a, b| b.log_probability.total_cmp(&a.log_probability));
        Ok(())
    }
}

/// An answer before composed frame `at`, if its probability is a number.
fn checked(
    frame: SpelledFrame,
    log_probability: f64,
    at: usize,
) -> Result<Answer<SpelledFrame>, ComposeError> {
    match log_probability.is_finite() {
        true => Ok(Answer { frame, log_probability }),
        false => Err(ComposeError::KeyNotFinite { frame: at }),
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
        let writer = &mut self.writer;
        writer.reader.start(1);
        writer.reader.push(&[SpelledFrame::default()]);
        let place = writer.reader.ended(0);
        let rng = &mut take_rng(seed, PRIME_STREAM);
        let chooser = &mut Chooser { sampling: Sampling::PLAIN, rng: Some(rng) };
        let rest = Forbidden { held: Some(KeysName::default()), repeating: &[] };
        let spelled = writer.spelled(place, &rest, chooser);
        let Answer { frame, log_probability } = writer.touched(place, spelled, None, chooser);
        checked(frame, log_probability, 0).map(|answer| answer.frame)
    }

    fn start(&mut self, n: usize) {
        self.writer.reader.start(n);
    }

    fn read(&mut self, frames: &[SpelledFrame]) {
        self.writer.reader.push(frames);
    }

    fn step(&mut self, frames: &[SpelledFrame]) -> Result<(), ComposeError> {
        self.writer.reader.push(frames);
        Ok(())
    }

    fn select(&mut self, parents: &[usize]) {
        self.writer.reader.select(parents);
    }

    fn choose(
        &mut self,
        at: PlaceOf<'_, Self>,
        draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<SpelledFrame>, Lifted), ComposeError> {
        let forbidden = self.rules.forbidden(at.history);
        let chooser = &mut Chooser { sampling: self.writer.sampling, rng: draw };
        let answer = self.writer.next(at, &forbidden, chooser)?;
        Ok((answer, Lifted::Nothing))
    }

    fn at_hand(
        &mut self,
        at: PlaceOf<'_, Self>,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<f64, ComposeError> {
        let held_too_long = self.rules.held_too_long(at.history).map(|name| name.sounding);
        self.writer.held_on_with_share(at, held_too_long, answers)
    }

    fn foresee(&mut self, hypotheses: &[usize]) {
        self.writer.reader.end_together(hypotheses);
    }

    fn likeliest(
        &mut self,
        at: PlaceOf<'_, Self>,
        n: usize,
        least: f64,
        answers: &mut Vec<Answer<SpelledFrame>>,
    ) -> Result<Lifted, ComposeError> {
        let forbidden = self.rules.forbidden(at.history);
        self.writer.likeliest_next(at, n, least, &forbidden, answers)?;
        Ok(Lifted::Nothing)
    }
}

#[cfg(test)]
mod tests;
