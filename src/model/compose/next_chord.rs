//! The seam between a network and the strategies: everything composing asks of a model.

use crate::tokens::Token;

/// What a strategy needs of a network: log-scores of the next chord for a batch of hypotheses.
///
/// A hypothesis gets the same scores, bit for bit, whatever others are in the batch: a take is the
/// same alone and among others.
pub trait NextChord {
    /// Chords without the escape.
    fn vocabulary_len(&self) -> usize;

    /// Forgets everything and holds `n` hypotheses that have read nothing.
    fn start(&mut self, n: usize);

    /// Hypothesis `i` reads `tokens[i]`. Returns unnormalized log-scores, row after row,
    /// `tokens.len() × vocabulary_len()`; the escape is not among them.
    fn step(&mut self, tokens: &[Token]) -> &[f32];

    /// As [`NextChord::step`] when nobody asks what comes next: all of a prime but its last
    /// chord. A network that can skip its decoder overrides this.
    fn read(&mut self, tokens: &[Token]) {
        self.step(tokens);
    }

    /// Afterwards hypothesis `i` continues what was hypothesis `parents[i]`; there are then as
    /// many as `parents` has, more or fewer than before.
    fn select(&mut self, parents: &[usize]);
}
