//! How what a model that spells says is bent before something is drawn.

use rand_chacha::ChaCha8Rng;

use crate::model::compose::scores::{Sampler, most_likely};
use crate::model::compose::{Strategy, uniform};

/// How the probability of a key is bent before it is drawn.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Sampling {
    /// What log-odds are divided by.
    pub temperature: f64,
    /// Of a key's two states only the likelier one stays where it alone makes up as much.
    pub enough: f64,
}

impl Sampling {
    /// The model's own probabilities.
    pub const PLAIN: Self = Self { temperature: 1.0, enough: 1.0 };

    pub fn new(strategy: Strategy) -> Self {
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
    pub fn sampler(self) -> Sampler {
        let top_k = (self.enough <= 0.0).then_some(1);
        Sampler::new(self.temperature, top_k, Some(self.enough).filter(|share| *share > 0.0))
    }

    /// The probability that a key sounds, or that something else is so.
    pub fn share(self, log_odds: f32) -> f64 {
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

/// Answers what is asked: draws with random numbers, or takes the likeliest without any.
pub(super) struct Chooser<'a> {
    pub sampling: Sampling,
    pub rng: Option<&'a mut ChaCha8Rng>,
}

impl Chooser<'_> {
    /// Whether something is so.
    pub fn is_so(&mut self, log_odds: f32) -> bool {
        match &mut self.rng {
            Some(rng) => uniform(rng) < self.sampling.share(log_odds),
            None => log_odds > 0.0,
        }
    }

    /// One of many, by their log-probabilities.
    pub fn one_of(&mut self, log_probs: &[f64]) -> usize {
        let chosen = match &mut self.rng {
            // Scores that aren't numbers are found in their sum.
            Some(rng) if log_probs.iter().all(|score| score.is_finite()) => {
                self.sampling.sampler().draw(log_probs, uniform(rng))
            }
            _ => most_likely(log_probs),
        };
        chosen as usize
    }
}
