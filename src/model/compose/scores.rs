//! From a network's scores to one chord: probabilities that can't overflow, and the draw.

use std::cmp::Ordering;

use super::ComposeError;
use crate::tokens::Token;

/// Natural log-probabilities of a row of scores: `x − max − ln Σ exp(x − max)`.
///
/// In f64 and with the largest score taken off first: no exponential overflows, and the sum is
/// at least 1 because the largest contributes exactly that, so its logarithm is finite.
///
/// # Errors
/// A score that isn't finite, at composed frame `frame`.
pub(super) fn log_softmax(
    scores: &[f32],
    frame: usize,
    log_probs: &mut Vec<f64>,
) -> Result<(), ComposeError> {
    if let Some(token) = scores.iter().position(|score| !score.is_finite()) {
        return Err(ComposeError::NotFinite { frame, token, score: scores[token] });
    }
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    log_probs.clear();
    log_probs.extend(scores.iter().map(|&score| f64::from(score) - f64::from(max)));
    let sum: f64 = log_probs.iter().map(|shifted| shifted.exp()).sum();
    let log_sum = sum.ln();
    log_probs.iter_mut().for_each(|log_prob| *log_prob -= log_sum);
    Ok(())
}

/// A chord with how likely it is, in whatever measure the list it stands in uses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Candidate {
    pub token: Token,
    pub weight: f64,
}

impl Candidate {
    /// The likelier first; of equals the one that comes first in the vocabulary.
    pub fn by_weight(a: &Self, b: &Self) -> Ordering {
        b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
    }
}

/// The most likely chord; of equals the first. Forbidden chords are −∞.
pub(super) fn most_likely(log_probs: &[f64]) -> Token {
    let mut best = 0;
    for (token, log_prob) in log_probs.iter().enumerate() {
        if *log_prob > log_probs[best] {
            best = token;
        }
    }
    best as Token
}

/// The `n` likeliest chords that aren't forbidden (−∞), the likeliest first.
pub(super) fn likeliest(log_probs: &[f64], n: usize, candidates: &mut Vec<Candidate>) {
    candidates.clear();
    candidates.extend(
        (0..)
            .zip(log_probs)
            .filter(|(_, log_prob)| log_prob.is_finite())
            .map(|(token, &weight)| Candidate { token, weight }),
    );
    keep_likeliest(candidates, n);
}

/// Keeps the `n` likeliest and sorts them.
fn keep_likeliest(candidates: &mut Vec<Candidate>, n: usize) {
    if n < candidates.len() {
        candidates.select_nth_unstable_by(n, Candidate::by_weight);
        candidates.truncate(n);
    }
    candidates.sort_unstable_by(Candidate::by_weight);
}

/// Draws chords by probability; keeps its buffer between draws.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    pub temperature: f64,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    candidates: Vec<Candidate>,
}

impl Sampler {
    pub fn new(temperature: f64, top_k: Option<usize>, top_p: Option<f64>) -> Self {
        Self { temperature, top_k, top_p, candidates: Vec::new() }
    }

    /// Draws with a number that is uniform in [0, 1): temperature, then top-k, then top-p, then
    /// one walk along the cumulative weights. Forbidden chords are −∞; one at least isn't.
    pub fn draw(&mut self, log_probs: &[f64], uniform: f64) -> Token {
        self.weigh(log_probs);
        if let Some(top_k) = self.top_k {
            keep_likeliest(&mut self.candidates, top_k);
        }
        if let Some(top_p) = self.top_p.filter(|&top_p| top_p < 1.0) {
            if self.top_k.is_none() {
                self.candidates.sort_unstable_by(Candidate::by_weight);
            }
            keep_share(&mut self.candidates, top_p);
        }
        pick(&self.candidates, uniform)
    }

    /// Weights proportional to the tempered probabilities: the likeliest chord has exactly 1, so
    /// that their sum is never zero however small the temperature; those that vanish drop out.
    fn weigh(&mut self, log_probs: &[f64]) {
        let max = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.candidates.clear();
        self.candidates.reserve(log_probs.len());
        for (token, &log_prob) in (0..).zip(log_probs) {
            let weight = ((log_prob - max) / self.temperature).exp();
            if weight > 0.0 {
                self.candidates.push(Candidate { token, weight });
            }
        }
    }
}

/// Of sorted candidates, keeps the fewest whose weights make up `share` of the sum.
fn keep_share(candidates: &mut Vec<Candidate>, share: f64) {
    let enough = share * candidates.iter().map(|candidate| candidate.weight).sum::<f64>();
    let mut sum = 0.0;
    let n_kept = candidates.iter().position(|candidate| {
        sum += candidate.weight;
        sum >= enough
    });
    candidates.truncate(n_kept.map_or(candidates.len(), |last| last + 1));
}

/// The candidate at which the cumulative weight passes `uniform` of the sum.
fn pick(candidates: &[Candidate], uniform: f64) -> Token {
    let goal = uniform * candidates.iter().map(|candidate| candidate.weight).sum::<f64>();
    let mut sum = 0.0;
    let passed = candidates.iter().find(|candidate| {
        sum += candidate.weight;
        sum > goal
    });
    // Rounding can leave the goal at the very end: the last candidate then.
    passed.or(candidates.last()).map_or(0, |candidate| candidate.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_probs(scores: &[f32]) -> Vec<f64> {
        let mut log_probs = Vec::new();
        log_softmax(scores, 0, &mut log_probs).expect("the scores are finite");
        log_probs
    }

    #[test]
    fn probabilities_sum_to_one_however_large_the_scores() {
        for scores in
            [[0.0, 0.0, 0.0], [3e38, -3e38, 0.0], [-3e38, -3e38, -3e38], [1e-30, 5.0, 9.0]]
        {
            let sum: f64 = log_probs(&scores).iter().map(|log_prob| log_prob.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{scores:?} sums to {sum}");
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = log_softmax(&[0.0, bad], 7, &mut Vec::new()).expect_err("it isn't finite");
            assert!(matches!(error, ComposeError::NotFinite { frame: 7, token: 1, .. }), "{error}");
        }
    }

    #[test]
    fn top_k_and_top_p_keep_exactly_the_likeliest() {
        // Probabilities 0.5, 0.25, 0.125, 0.125.
        let log_probs = log_probs(&[0.125f32.ln(), 0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln()]);
        let drawn = |top_k, top_p| {
            let mut sampler = Sampler::new(1.0, top_k, top_p);
            let mut seen: Vec<Token> =
                (0..1000).map(|i| sampler.draw(&log_probs, f64::from(i) / 1000.0)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen
        };
        assert_eq!(drawn(None, None), [0, 1, 2, 3]);
        assert_eq!(drawn(Some(1), None), [1]);
        assert_eq!(drawn(Some(2), None), [1, 2]);
        // Of two equals the first in the vocabulary stays.
        assert_eq!(drawn(Some(3), None), [0, 1, 2]);
        assert_eq!(drawn(Some(99), None), [0, 1, 2, 3]);
        assert_eq!(drawn(None, Some(1e-12)), [1]);
        assert_eq!(drawn(None, Some(0.499)), [1]);
        assert_eq!(drawn(None, Some(0.501)), [1, 2]);
        assert_eq!(drawn(None, Some(0.76)), [0, 1, 2]);
        assert_eq!(drawn(None, Some(1.0)), [0, 1, 2, 3]);
        // Of the two that top-k leaves, the first has two thirds.
        assert_eq!(drawn(Some(2), Some(0.66)), [1]);
        assert_eq!(drawn(Some(2), Some(0.67)), [1, 2]);
    }

    #[test]
    fn a_vanishing_temperature_is_the_most_likely_chord() {
        let log_probs = log_probs(&[0.1, 0.3, 0.2]);
        let mut sampler = Sampler::new(f64::MIN_POSITIVE, None, None);
        assert!((0..100).all(|i| sampler.draw(&log_probs, f64::from(i) / 100.0) == 1));
        assert_eq!(most_likely(&log_probs), 1);
    }

    #[test]
    fn the_likeliest_leave_out_what_is_forbidden() {
        let mut candidates = Vec::new();
        likeliest(&[-1.0, f64::NEG_INFINITY, -0.5, -3.0], 2, &mut candidates);
        let tokens: Vec<Token> = candidates.iter().map(|candidate| candidate.token).collect();
        assert_eq!(tokens, [2, 0]);
        likeliest(&[-1.0, f64::NEG_INFINITY], 5, &mut candidates);
        assert_eq!(candidates.len(), 1);
    }
}
