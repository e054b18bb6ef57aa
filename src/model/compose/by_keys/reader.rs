//! What hypotheses have read, run by run, and how much longer the run may last that each is in.
//!
//! A run is read once it has ended: until then the network hears nothing of it, and going on costs
//! nothing. What follows it can be asked as if it ended now, and it still go on, as a beam asks
//! where another frame may be among the likeliest.

use super::SpelledFrame;
use crate::model::compose::ComposeError;
use crate::model::compose::scores::log_softmax;
use crate::model::keys::{Spelled, Speller};
use crate::tokens::{KeyFrame, KeyRun};

/// A speller that is given frames, not runs, and the runs that it has yet to read.
///
/// Of `n` hypotheses the speller holds each twice: at `i` it has read all runs of hypothesis `i`
/// but the open one, at `n + i`, if [`OpenRun::is_read`], also that one as it stands.
pub(super) struct Reader {
    pub speller: Speller,
    /// That of each hypothesis; none before it has read anything.
    open: Vec<Option<OpenRun>>,
}

/// The run that a hypothesis is in.
#[derive(Clone)]
struct OpenRun {
    run: KeyRun,
    /// Log-probabilities of its lengths from 1 on; none where nobody asks for it: it is one frame.
    lengths: Option<Vec<f32>>,
    /// Its length, once it was chosen.
    chosen: Option<u32>,
    is_read: bool,
}

/// How many frames longer than it is a run lasts, 0 first: natural logarithms of probabilities
/// that sum to 1.
pub(super) struct Remaining(Vec<f64>);

impl Remaining {
    /// That it ends here.
    pub fn log_ends(&self) -> f64 {
        self.0.first().copied().unwrap_or(0.0)
    }

    /// That it goes on.
    pub fn log_goes_on(&self) -> f64 {
        let longer = || self.0.iter().copied().skip(1);
        let max = longer().fold(f64::NEG_INFINITY, f64::max);
        max + longer().map(|log_share| (log_share - max).exp()).sum::<f64>().ln()
    }
}

impl OpenRun {
    /// Whether it may go on, by its length alone.
    fn can_go_on(&self) -> bool {
        self.lengths.as_ref().is_some_and(|lengths| (self.run.length as usize) < lengths.len())
    }
}

impl Reader {
    pub fn new(speller: Speller) -> Self {
        let mut reader = Self { speller, open: Vec::new() };
        reader.start(1);
        reader
    }

    pub fn start(&mut self, n: usize) {
        self.speller.start(2 * n);
        self.open = vec![None; n];
    }

    pub fn select(&mut self, parents: &[usize]) {
        let n = self.open.len();
        let ended = parents.iter().map(|parent| n + parent);
        self.speller.select(&parents.iter().copied().chain(ended).collect::<Vec<_>>());
        self.open = parents.iter().map(|&parent| self.open[parent].clone()).collect();
    }

    /// Hypothesis `i` is given `frames[i]`, which goes on with its run or begins one.
    pub fn push(&mut self, frames: &[SpelledFrame]) {
        for (hypothesis, frame) in frames.iter().enumerate().take(self.open.len()) {
            match &mut self.open[hypothesis] {
                Some(open) if open.can_go_on() && frame.keys.goes_on(&open.run.frame) => {
                    open.run.length += 1;
                    open.is_read = false;
                }
                _ => self.begin(hypothesis, frame.keys.clone()),
            }
        }
    }

    /// A hypothesis begins a run.
    fn begin(&mut self, hypothesis: usize, frame: KeyFrame) {
        let is_first = self.open[hypothesis].is_none();
        let mut lengths = None;
        // How long the rest lasts that starts every piece nobody asks.
        if !is_first {
            let ended = self.ended(hypothesis);
            self.speller.copy(ended, hypothesis);
            let (chord, struck) = (frame.sounding, frame.struck);
            let spelled = Spelled { chord, struck, log_probability: 0.0 };
            lengths = self.speller.lengths(hypothesis, &spelled, &frame.velocities, frame.pedal);
        }
        let run = KeyRun::single(frame);
        self.open[hypothesis] = Some(OpenRun { run, lengths, chosen: None, is_read: false });
    }

    /// Where in the speller a hypothesis is whose run has ended.
    pub fn ended(&mut self, hypothesis: usize) -> usize {
        self.end_together(&[hypothesis]);
        self.open.len() + hypothesis
    }

    /// The runs of some hypotheses end, and are read in one pass over the network.
    pub fn end_together(&mut self, hypotheses: &[usize]) {
        let n = self.open.len();
        let mut runs = Vec::with_capacity(hypotheses.len());
        for &hypothesis in hypotheses {
            if let Some(open) = self.open[hypothesis].as_mut().filter(|open| !open.is_read) {
                self.speller.copy(hypothesis, n + hypothesis);
                runs.push((n + hypothesis, open.run.clone()));
                open.is_read = true;
            }
        }
        self.speller.read_together(&runs);
    }

    /// The frame that goes on with the run of a hypothesis; none if it can't go on.
    pub fn held_on(&self, hypothesis: usize) -> Option<KeyFrame> {
        let open = self.open[hypothesis].as_ref().filter(|open| open.can_go_on())?;
        Some(open.run.frame.held_on())
    }

    /// How much longer the run of a hypothesis lasts; asked before composed frame `frame`.
    ///
    /// # Errors
    /// Scores that aren't numbers.
    pub fn remaining(&self, hypothesis: usize, frame: usize) -> Result<Remaining, ComposeError> {
        let mut remaining = Vec::new();
        if let Some(OpenRun { run, lengths: Some(lengths), .. }) = &self.open[hypothesis] {
            let from = (run.length as usize - 1).min(lengths.len());
            log_softmax(&lengths[from..], frame, &mut remaining)
                .map_err(|_| ComposeError::KeyNotFinite { frame })?;
        }
        Ok(Remaining(remaining))
    }

    /// Whether the run of a hypothesis goes on, `choose` saying once how much longer it lasts.
    pub fn goes_on(
        &mut self,
        hypothesis: usize,
        remaining: &Remaining,
        choose: impl FnOnce(&[f64]) -> usize,
    ) -> bool {
        let Some(open) = self.open[hypothesis].as_mut().filter(|open| open.can_go_on()) else {
            return false;
        };
        let length = open.run.length;
        *open.chosen.get_or_insert_with(|| length + choose(&remaining.0) as u32) > length
    }

    /// The pedal of a frame that follows the run of a hypothesis, where only one makes it another
    /// run: if no key changes, the pedal does.
    pub fn pedal_after(&self, hypothesis: usize, spelled: &Spelled) -> Option<bool> {
        let open = self.open[hypothesis].as_ref().filter(|open| open.can_go_on())?;
        let before = &open.run.frame;
        let goes_on = spelled.chord == before.sounding && spelled.struck.is_rest();
        goes_on.then_some(!before.pedal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sampling::{Chooser, Sampling};
    use super::super::tests::{chord, speller};
    use super::*;
    use crate::model::compose::take_rng;
    use crate::model::keys::Alphabet;
    use crate::music::Velocity;

    fn begun() -> KeyFrame {
        let keys = chord(&[40, 60]);
        KeyFrame {
            sounding: keys,
            struck: keys,
            velocities: vec![Velocity::MIDDLE; 2],
            pedal: true,
        }
    }

    /// `n` hypotheses that have read the rest that starts every piece, then `n_frames` of one chord.
    fn reader(alphabet: Alphabet, n: usize, n_frames: usize) -> Reader {
        let mut reader = Reader::new(speller(alphabet));
        let held = std::iter::repeat(begun().held_on());
        for frame in [KeyFrame::default(), begun()].into_iter().chain(held).take(1 + n_frames) {
            reader.push(&[SpelledFrame::of_touch(frame)]);
        }
        reader.select(&vec![0; n]);
        reader
    }

    /// What a speller says of every key, answered in one way.
    fn said(speller: &Speller, place: usize) -> Vec<f32> {
        let mut said = Vec::new();
        speller.spell(place, &mut |decision| {
            said.push(decision.log_odds);
            decision.key % 5 == 0
        });
        said
    }

    #[test]
    fn what_has_ended_is_read_as_a_run_and_can_still_go_on() {
        for n_frames in [1, 3, 32] {
            let mut reader = reader(Alphabet::Full, 2, n_frames);
            let after = |lengths: &[u32]| {
                let mut speller = speller(Alphabet::Full);
                speller.read(0, &KeyRun::single(KeyFrame::default()));
                let frames = [begun(), begun().held_on()];
                for (frame, &length) in frames.into_iter().zip(lengths) {
                    speller.read(0, &KeyRun { frame, length });
                }
                said(&speller, 0)
            };
            for hypothesis in [1, 0] {
                let place = reader.ended(hypothesis);
                assert_eq!(said(&reader.speller, place), after(&[n_frames as u32]));
            }
            // The second goes on, the first doesn't.
            let held = SpelledFrame::of_touch(begun().held_on());
            let rest = SpelledFrame::of_touch(KeyFrame::default());
            reader.select(&[0, 1, 1]);
            reader.push(&[rest, held.clone(), held]);
            let place = reader.ended(1);
            let lengths = [n_frames as u32 + 1, 1];
            let expected = if n_frames < 32 { &lengths[..1] } else { &[32, 1] };
            assert_eq!(said(&reader.speller, place), after(expected));
            let other = reader.ended(0);
            assert_ne!(said(&reader.speller, other), said(&reader.speller, place));
            assert_eq!(reader.held_on(0), Some(KeyFrame::default()));
        }
    }

    #[test]
    fn lengths_are_drawn_as_they_are_probable_given_how_long_the_run_is() {
        let plan = Sampling { temperature: 1.0, enough: 1.0 };
        let kept = Sampling { temperature: 1.0, enough: 0.5 };
        for (n_frames, sampling) in [(1, plan), (20, plan), (20, kept)] {
            let mut reader = reader(Alphabet::Full, 2, n_frames);
            let lengths = reader.open[0].as_ref().unwrap().lengths.clone().unwrap();
            let rng = &mut take_rng(1, 0);
            let n = 4_000;
            let mut found = vec![0; lengths.len() + 1];
            for _ in 0..n {
                reader.select(&[0, 0]);
                let mut length = n_frames;
                loop {
                    let remaining = reader.remaining(1, 0).unwrap();
                    let sum = remaining.log_ends().exp() + remaining.log_goes_on().exp();
                    assert!((sum - 1.0).abs() < 1e-9);
                    let mut chooser = Chooser { sampling, rng: Some(rng) };
                    if !reader.goes_on(1, &remaining, |more| chooser.one_of(more)) {
                        break;
                    }
                    reader.open[1].as_mut().unwrap().run.length += 1;
                    length += 1;
                }
                found[length] += 1;
            }
            let mut probable: Vec<(usize, f64)> = (n_frames..=lengths.len())
                .map(|length| (length, f64::from(lengths[length - 1]).exp()))
                .collect();
            let all: f64 = probable.iter().map(|(_, share)| share).sum();
            // The likeliest that make up enough.
            probable.sort_by(|a, b| b.1.total_cmp(&a.1));
            let mut before = 0.0;
            probable.retain(|(_, share)| {
                let is_kept = before < sampling.enough * all - 1e-6;
                before += share;
                is_kept
            });
            let kept: f64 = probable.iter().map(|(_, share)| share).sum();
            assert_eq!(found.iter().filter(|n| **n > 0).count(), probable.len());
            for (length, share) in probable {
                let expected = share / kept * f64::from(n);
                let off = f64::from(found[length]) - expected;
                assert!(off.abs() < 5.0 * expected.sqrt(), "{length}: {off} off {expected}");
            }
        }
    }

    #[test]
    fn a_run_that_ended_early_is_followed_by_a_change() {
        let spelled = |struck| Spelled { chord: chord(&[40, 60]), struck, log_probability: 0.0 };
        let pedal = |alphabet, n_frames, struck| {
            reader(alphabet, 1, n_frames).pedal_after(0, &spelled(struck))
        };
        let nothing = chord(&[]);
        assert_eq!(pedal(Alphabet::Full, 1, nothing), Some(false));
        assert_eq!(pedal(Alphabet::Full, 31, nothing), Some(false));
        assert_eq!(pedal(Alphabet::Full, 32, nothing), None, "it was cut, so that it may go on");
        assert_eq!(pedal(Alphabet::Full, 1, chord(&[40])), None);
        assert_eq!(pedal(Alphabet::OffOn, 1, nothing), None);
        // Nor is anything asked of the rest that starts every piece.
        let rest = Spelled { chord: nothing, struck: nothing, log_probability: 0.0 };
        let start = reader(Alphabet::Full, 1, 0);
        assert_eq!((start.held_on(0), start.pedal_after(0, &rest)), (None, None));
        assert_eq!(start.remaining(0, 0).unwrap().log_ends(), 0.0);
    }
}
