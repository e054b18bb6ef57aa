//! The seam between a model of either family and the strategies: everything composing asks of it.

use rand_chacha::ChaCha8Rng;

use super::ComposeError;
use super::guard::{History, Lifted, Named};
use crate::tokens::{Chord, KeyFrame};

/// What a strategy asks: a frame after the other, for any number of hypotheses.
///
/// A hypothesis gets the same answers, bit for bit, whatever others there are: a take is the same
/// alone and among others. The guard is asked before anything is chosen.
pub(super) trait NextFrame {
    /// A frame as the model names it; the default is the rest, which starts every piece.
    type Frame: Named;

    fn chord(&self, frame: &Self::Frame) -> Chord;

    /// The frame with what is struck and how hard, and the pedal; `None` from a model that knows
    /// only chords.
    fn touch(&self, frame: &Self::Frame) -> Option<KeyFrame>;

    /// A first frame that no prime gave, drawn with a take's seed. All hypotheses are lost.
    ///
    /// # Errors
    /// A model whose scores aren't numbers.
    fn draw_first(&mut self, seed: u64) -> Result<Self::Frame, ComposeError>;

    /// Forgets everything and holds `n` hypotheses that have read nothing.
    fn start(&mut self, n: usize);

    /// Hypothesis `i` reads `frames[i]`, and nobody asks what comes next.
    fn read(&mut self, frames: &[Self::Frame]);

    /// The same before any of the questions below is asked.
    ///
    /// # Errors
    /// A model whose vocabulary and weights don't belong together.
    fn step(&mut self, frames: &[Self::Frame]) -> Result<(), ComposeError>;

    /// Afterwards hypothesis `i` continues what was hypothesis `parents[i]`.
    fn select(&mut self, parents: &[usize]);

    /// One frame after what a hypothesis has read: drawn with random numbers, or the likeliest
    /// without any.
    ///
    /// # Errors
    /// Scores that aren't numbers.
    fn choose(
        &mut self,
        at: PlaceOf<'_, Self>,
        draw: Option<&mut ChaCha8Rng>,
    ) -> Result<(Answer<Self::Frame>, Lifted), ComposeError>;

    /// The frames after what a hypothesis has read that are known without asking the network, and
    /// the natural logarithm of how probable all others are together, at most.
    ///
    /// # Errors
    /// Scores that aren't numbers.
    fn at_hand(
        &mut self,
        at: PlaceOf<'_, Self>,
        answers: &mut Vec<Answer<Self::Frame>>,
    ) -> Result<f64, ComposeError>;

    /// [`NextFrame::likeliest`] will be asked of these hypotheses: what can be computed for all of
    /// them together is.
    fn foresee(&mut self, hypotheses: &[usize]);

    /// The `n` likeliest frames that aren't at hand, the likeliest first; of equals the one that
    /// the model names first. There may be fewer, and those less likely than `least`, a natural
    /// logarithm, may be left out: that may save asking for them.
    ///
    /// # Errors
    /// Scores that aren't numbers.
    fn likeliest(
        &mut self,
        at: PlaceOf<'_, Self>,
        n: usize,
        least: f64,
        answers: &mut Vec<Answer<Self::Frame>>,
    ) -> Result<Lifted, ComposeError>;
}

/// A place where a model is asked for a frame.
pub(super) type PlaceOf<'a, M> = Place<'a, <<M as NextFrame>::Frame as Named>::Name>;

/// Where a frame is asked for.
#[derive(Clone, Copy)]
pub(super) struct Place<'a, F> {
    pub hypothesis: usize,
    /// The hypothesis' past, for the guard.
    pub history: &'a History<F>,
    /// Frames composed before it.
    pub frame: usize,
}

/// A frame that may come next.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Answer<F> {
    pub frame: F,
    /// Natural logarithm of its probability under the model itself, untempered and unguarded.
    pub log_probability: f64,
}
