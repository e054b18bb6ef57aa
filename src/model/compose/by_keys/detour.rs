//! A frame that may not come, and how probable it is to end there after each answer.

use super::Keys;
use super::sampling::Sampling;
use crate::model::keys::{Decision, KEYS, LOWEST, Question, Speller};
use crate::tokens::Chord;

/// A chord that may not come with these strikes, and the way to it.
pub(super) struct Detour {
    sounding: Chord,
    struck: Chord,
    /// Of each key and the higher ones together the logarithm of how probable it is that they are as
    /// in the chord, given that the lower ones are; then 0.
    pub log_rests: [f64; KEYS + 1],
    /// Of each key that sounds the same of its being struck again or not, where that is asked.
    log_strikes: [f64; KEYS],
    /// Whether what is spelled is like it so far.
    pub is_followed: bool,
}

impl Detour {
    /// None if the frame can't come: a key that begins to sound is struck.
    pub fn new(
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
    pub fn has(&self, key: usize, question: Question, is_so: bool) -> bool {
        let chord = match question {
            Question::Sounds => self.sounding,
            Question::StruckAgain => self.struck,
        };
        has_key(chord, key) == is_so
    }

    /// The probability that all that is asked after a question makes it this frame, if its answer
    /// is `is_so`.
    pub fn share_after(&self, key: usize, question: Question, is_so: bool) -> f64 {
        if !self.is_followed || !self.has(key, question, is_so) {
            return 0.0;
        }
        let of_strike = if question == Question::Sounds { self.log_strikes[key] } else { 0.0 };
        (of_strike + self.log_rests[key + 1]).exp()
    }
}

pub(super) fn has_key(chord: Chord, key: usize) -> bool {
    chord.bits() >> (LOWEST + key) & 1 == 1
}
