//! Composing with a model that has a vocabulary: one chord is chosen among all.

use rand_chacha::ChaCha8Rng;

use super::guard::{History, Lifted, Rules};
use super::next_frame::{Answer, NextFrame, Place};
use super::prime::draw_by_count;
use super::scores::{Candidate, Sampler, likeliest, log_softmax, most_likely};
use super::{ComposeError, NextChord, Strategy, uniform};
use crate::tokens::{Chord, ChordVocabulary, KeyFrame, Token};

pub(super) struct ByVocabulary<'a> {
    network: &'a mut dyn NextChord,
    vocabulary: &'a ChordVocabulary,
    rules: Rules<Token>,
    sampler: Sampler,
    /// Of all hypotheses, row after row.
    scores: Vec<f32>,
    /// Memory for one hypothesis.
    log_probs: Vec<f64>,
    candidates: Vec<Candidate>,
}

impl<'a> ByVocabulary<'a> {
    /// # Errors
    /// A network of another size than the vocabulary.
    pub fn new(
        network: &'a mut dyn NextChord,
        vocabulary: &'a ChordVocabulary,
        rules: Rules<Token>,
        strategy: Strategy,
    ) -> Result<Self, ComposeError> {
        if network.vocabulary_len() != vocabulary.len() || vocabulary.is_empty() {
            let (given, expected) = (network.vocabulary_len(), vocabulary.len().max(1));
            return Err(ComposeError::Shape { given, expected });
        }
        let sampler = match strategy {
            Strategy::Sample { temperature, top_k, top_p } => {
                Sampler::new(temperature, top_k, top_p)
            }
            Strategy::Max | Strategy::Beam { .. } => Sampler::new(1.0, None, None),
        };
        Ok(Self {
            network,
            rules,
            sampler,
            scores: Vec::new(),
            log_probs: Vec::with_capacity(vocabulary.len()),
            candidates: Vec::with_capacity(vocabulary.len()),
            vocabulary,
        })
    }

    /// The log-probabilities of a hypothesis; chords that may not come next have −∞.
    fn weigh(&mut self, at: Place<'_, Token>) -> Result<Lifted, ComposeError> {
        let n_chords = self.vocabulary.len();
        let scores = &self.scores[at.hypothesis * n_chords..][..n_chords];
        log_softmax(scores, at.frame, &mut self.log_probs)?;
        Ok(forbid(&mut self.rules, at.history, &mut self.log_probs))
    }
}

impl NextFrame for ByVocabulary<'_> {
    type Frame = Token;

    fn chord(&self, token: &Token) -> Chord {
        self.vocabulary.chord(*token).unwrap_or_default()
    }

    fn touch(&self, _: &Token) -> Option<KeyFrame> {
        None
    }

    fn draw_first(&mut self, seed: u64) -> Result<Token, ComposeError> {
        Ok(draw_by_count(seed, self.vocabulary))
    }

    fn start(&mut self, n: usize) {
        self.network.start(n);
    }

    fn read(&mut self, tokens: &[Token]) {
        self.network.read(tokens);
    }

    fn step(&mut self, tokens: &[Token]) -> Result<(), ComposeError> {
        let expected = tokens.len() * self.vocabulary.len();
        let scores = self.network.step(tokens);
        if scores.len() != expected {
            return Err(ComposeError::Shape { given: scores.len(), expected });
        }
        self.scores.clear();
        self.scores.extend_from_slice(scores);
        Ok(())
    }

    fn select(&mut self, parents: &[usize]) {
        self.network.select(parents);
    }

    fn choose(
        &mut self,
        at: Place<'_, Token>,
        draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<Token>, Lifted), ComposeError> {
        let lifted = self.weigh(at)?;
        let token = match draw {
            Some(rng) => self.sampler.draw(&self.log_probs, uniform(rng)),
            None => most_likely(&self.log_probs),
        };
        // A chord that was allowed has kept the model's own log-probability.
        let log_probability = self.log_probs[token as usize];
        Ok((Answer { frame: token, log_probability }, lifted))
    }

    fn at_hand(
        &mut self,
        _: Place<'_, Token>,
        answers: &mut Vec<Answer<Token>>,
    ) -> Result<f64, ComposeError> {
        answers.clear();
        Ok(0.0)
    }

    /// All of them were asked in the step already.
    fn foresee(&mut self, _: &[usize]) {}

    fn likeliest(
        &mut self,
        at: Place<'_, Token>,
        n: usize,
        _: f64,
        answers: &mut Vec<Answer<Token>>,
    ) -> Result<Lifted, ComposeError> {
        let lifted = self.weigh(at)?;
        likeliest(&self.log_probs, n, &mut self.candidates);
        let candidates = self.candidates.iter();
        answers.clear();
        answers.extend(
            candidates.map(|&Candidate { token, weight }| Answer {
                frame: token,
                log_probability: weight,
            }),
        );
        Ok(lifted)
    }
}

/// Sets the log-probability of each chord that may not come next to −∞; at least one stays.
pub(super) fn forbid(
    rules: &mut Rules<Token>,
    history: &History<Token>,
    log_probs: &mut [f64],
) -> Lifted {
    let forbidden = rules.forbidden(history);
    let (held, repeating, lifted) = if forbidden.len() < log_probs.len() {
        (forbidden.held, forbidden.repeating, Lifted::Nothing)
    } else if log_probs.len() > 1 {
        (forbidden.held, &[][..], Lifted::NoRepeat)
    } else {
        (None, &[][..], Lifted::LongestHold)
    };
    for token in held.iter().chain(repeating) {
        if let Some(log_prob) = log_probs.get_mut(*token as usize) {
            *log_prob = f64::NEG_INFINITY;
        }
    }
    lifted
}
