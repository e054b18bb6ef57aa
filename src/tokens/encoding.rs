//! What every chord of a corpus is to a network with a vocabulary.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Chord, ChordId, ChordVocabulary, Corpus, Split, Token, VocabularyLimits};

/// What each chord of a corpus is to a network with a vocabulary, by [`super::ChordId`].
#[derive(Clone, PartialEq, Debug)]
pub struct Encoding {
    pub vocabulary: ChordVocabulary,
    /// What the network reads: the chord's own token or that of the nearest known chord.
    pub input: Vec<Token>,
    /// What it learns to predict: the chord's token; the escape for chords outside and for a
    /// stated share ([`Encoding::ESCAPED_SHARE`]) of those seen only once.
    pub learned: Vec<Token>,
    /// What it is measured on: the chord's token, or the escape for chords outside.
    pub measured: Vec<Token>,
}

impl Encoding {
    /// Of the chords seen once in the learning pieces, this share has the escape as its target:
    /// rounded up, so that it is at least one where there is any.
    pub const ESCAPED_SHARE: f64 = 0.1;

    /// The vocabulary of the pieces `learned_from` (indices into the corpus) and what every chord
    /// of the corpus is to it. Which single chords are escaped depends on `seed` alone.
    ///
    /// The order and repetition of `learned_from` don't matter: first appearance goes by the
    /// order of the corpus. Indices that it doesn't have are passed over.
    pub fn new(
        corpus: &Corpus,
        learned_from: &[usize],
        limits: VocabularyLimits,
        seed: u64,
    ) -> Self {
        let (vocabulary, learned) = learned_vocabulary(corpus, learned_from, limits);
        let mut measured = vec![vocabulary.escape(); corpus.chords.len()];
        for (token, id) in (0..).zip(learned) {
            if let Some(measured) = measured.get_mut(id) {
                *measured = token;
            }
        }
        Self::measured(corpus, vocabulary, measured).escaping(seed)
    }

    /// The same for a vocabulary that exists already, when learning goes on with it: with the
    /// same seed the same single chords are escaped.
    pub fn resumed(corpus: &Corpus, vocabulary: ChordVocabulary, seed: u64) -> Self {
        Self::with_vocabulary(corpus, vocabulary).escaping(seed)
    }

    /// The same for a vocabulary that exists already, when nothing more is learned (evaluating):
    /// no single chord is escaped.
    pub fn with_vocabulary(corpus: &Corpus, vocabulary: ChordVocabulary) -> Self {
        let escape = vocabulary.escape();
        let own = |chord: &Chord| vocabulary.token(*chord).unwrap_or(escape);
        let measured = corpus.chords.iter().map(own).collect();
        Self::measured(corpus, vocabulary, measured)
    }

    /// Given which token each chord of the corpus is.
    fn measured(corpus: &Corpus, vocabulary: ChordVocabulary, measured: Vec<Token>) -> Self {
        let escape = vocabulary.escape();
        // One chord's answer doesn't depend on another's, so threads can't change the order.
        let input = corpus
            .chords
            .par_iter()
            .zip(&measured)
            .map(|(&chord, &own)| if own == escape { vocabulary.nearest_known(chord) } else { own })
            .collect();
        Self { vocabulary, input, learned: measured.clone(), measured }
    }

    /// Some of the chords seen once get the escape as their target.
    fn escaping(mut self, seed: u64) -> Self {
        let escape = self.vocabulary.escape();
        let mut escaped = vec![false; self.vocabulary.len()];
        for token in escaped_singles(&self.vocabulary, seed) {
            escaped[token as usize] = true;
        }
        for token in &mut self.learned {
            if escaped.get(*token as usize) == Some(&true) {
                *token = escape;
            }
        }
        self
    }

    /// The share of the frames of `pieces` whose chord is in the vocabulary, 0–1; 1 when there
    /// are no frames.
    pub fn coverage(&self, corpus: &Corpus, pieces: &[usize]) -> f64 {
        let pieces = pieces.iter().filter_map(|&idx| corpus.pieces.get(idx));
        self.known_share(pieces.map(|piece| piece.chords.as_slice()))
    }

    /// The share of all held-out frames, to choose by and to test on, whose chord is in the
    /// vocabulary, 0–1; 1 when there are no frames.
    pub fn held_out_coverage(&self, corpus: &Corpus, split: &Split) -> f64 {
        let parts = split.valid.iter().chain(&split.test).flat_map(|stretch| &stretch.parts);
        self.known_share(parts.filter_map(|(piece, frames)| {
            corpus.pieces.get(*piece).and_then(|piece| piece.chords.get(frames.clone()))
        }))
    }

    fn known_share<'a>(&self, runs: impl Iterator<Item = &'a [ChordId]>) -> f64 {
        let escape = self.vocabulary.escape();
        let (mut n_known, mut n_frames) = (0u64, 0u64);
        for chords in runs {
            let known = |id: &&ChordId| self.measured.get(**id as usize) != Some(&escape);
            n_known += chords.iter().filter(known).count() as u64;
            n_frames += chords.len() as u64;
        }
        if n_frames == 0 { 1.0 } else { n_known as f64 / n_frames as f64 }
    }
}

/// The vocabulary, and by token which chord of the corpus each is.
fn learned_vocabulary(
    corpus: &Corpus,
    learned_from: &[usize],
    limits: VocabularyLimits,
) -> (ChordVocabulary, Vec<usize>) {
    let mut pieces = learned_from.to_vec();
    pieces.sort_unstable();
    pieces.dedup();
    let mut counts = vec![0u64; corpus.chords.len().max(1)];
    // The rest is token 0 whether it appears or not.
    let mut appeared: Vec<usize> = vec![0];
    for piece in pieces.into_iter().filter_map(|idx| corpus.pieces.get(idx)) {
        for &id in &piece.chords {
            let id = id as usize;
            if counts[id] == 0 && id != 0 {
                appeared.push(id);
            }
            counts[id] += 1;
        }
    }
    keep_within(&mut appeared, &counts, limits);
    let chords =
        appeared.iter().map(|&id| corpus.chords.get(id).copied().unwrap_or(Chord::REST)).collect();
    let counts = appeared.iter().map(|&id| counts[id]).collect();
    let vocabulary = ChordVocabulary::new(chords, counts).expect(
        "a corpus holds each chord once, the rest first, and fewer than the limit are kept",
    );
    (vocabulary, appeared)
}

/// Drops what the limits leave outside; the order stays, and so does the rest at its beginning.
fn keep_within(appeared: &mut Vec<usize>, counts: &[u64], limits: VocabularyLimits) {
    appeared.retain(|&id| id == 0 || counts[id] >= limits.min_count);
    let max_chords = limits.max_chords.unwrap_or(usize::MAX).clamp(1, ChordVocabulary::MAX_CHORDS);
    if appeared.len() <= max_chords {
        return;
    }
    let mut by_count: Vec<usize> = (1..appeared.len()).collect();
    by_count.sort_by_key(|&place| (std::cmp::Reverse(counts[appeared[place]]), place));
    by_count.truncate(max_chords - 1);
    by_count.sort_unstable();
    let kept = by_count.into_iter().map(|place| appeared[place]);
    *appeared = std::iter::once(0).chain(kept).collect();
}

/// The tokens whose target is the escape while learning: the stated share of those seen once.
fn escaped_singles(vocabulary: &ChordVocabulary, seed: u64) -> Vec<Token> {
    let counted = (0..).zip(vocabulary.counts());
    let mut singles: Vec<Token> = counted
        .filter(|&(token, &count)| token != 0 && count == 1)
        .map(|single| single.0)
        .collect();
    let n_escaped = (singles.len() as f64 * Encoding::ESCAPED_SHARE).ceil() as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    singles.shuffle(&mut rng);
    singles.truncate(n_escaped);
    singles
}
