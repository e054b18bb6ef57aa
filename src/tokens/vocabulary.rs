//! Chords as tokens.

use serde::{Deserialize, Serialize};

use super::{Chord, Corpus};

/// A chord's place in the vocabulary. 0 is the rest; the vocabulary's length is the escape, the
/// token a network predicts for "a chord outside".
pub type Token = u32;

/// Chord ↔ token, in order of first appearance, the rest as 0.
///
/// Invariants: token 0 is the rest, no chord stands twice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChordVocabulary {
    /// By token. (The tokens room's owner adds an index and validates on reading.)
    chords: Vec<Chord>,
    /// How often each was seen in the learning pieces, for drawing a random prime.
    counts: Vec<u64>,
}

impl ChordVocabulary {
    /// Chords without the escape; the network has one output more.
    pub fn len(&self) -> usize {
        self.chords.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chords.is_empty()
    }

    /// The token that stands for every chord outside.
    pub fn escape(&self) -> Token {
        self.chords.len() as Token
    }

    pub fn chords(&self) -> &[Chord] {
        &self.chords
    }

    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub fn token(&self, chord: Chord) -> Option<Token> {
        let _ = chord;
        todo!()
    }

    /// The chord of a token; `None` for the escape and beyond.
    pub fn chord(&self, token: Token) -> Option<Chord> {
        self.chords.get(token as usize).copied()
    }

    /// The known chord nearest to any: most shared pitches, then most shared pitch classes, then
    /// the smallest distance, then the lowest token. Known chords are nearest to themselves.
    pub fn nearest(&self, chord: Chord) -> Token {
        let _ = chord;
        todo!()
    }
}

/// How large a vocabulary may grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VocabularyLimits {
    /// Most chords, the rest included; the most frequent stay, earlier ones before later ones.
    pub max_chords: Option<usize>,
    /// Chords seen fewer times stay outside. 0 and 1 keep everything.
    pub min_count: u64,
}

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
    /// Of the chords seen once in the learning pieces, this share has the escape as its target.
    pub const ESCAPED_SHARE: f64 = 0.1;

    /// The vocabulary of the pieces `learned_from` (indices into the corpus) and what every chord
    /// of the corpus is to it. Which single chords are escaped depends on `seed` alone.
    pub fn new(
        corpus: &Corpus,
        learned_from: &[usize],
        limits: VocabularyLimits,
        seed: u64,
    ) -> Self {
        let _ = (corpus, learned_from, limits, seed);
        todo!()
    }

    /// The same for a vocabulary that exists already (evaluating, resuming).
    pub fn with_vocabulary(corpus: &Corpus, vocabulary: ChordVocabulary) -> Self {
        let _ = (corpus, vocabulary);
        todo!()
    }

    /// The share of the frames of `pieces` whose chord is in the vocabulary, 0–1.
    pub fn coverage(&self, corpus: &Corpus, pieces: &[usize]) -> f64 {
        let _ = (corpus, pieces);
        todo!()
    }
}
