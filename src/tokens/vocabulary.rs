//! Chords as tokens.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::Chord;
use super::hashing::ChordMap;
use super::nearest::NearestIndex;

/// A chord's place in the vocabulary. 0 is the rest; the vocabulary's length is the escape, the
/// token a network predicts for "a chord outside".
pub type Token = u32;

/// Chord ↔ token, in order of first appearance, the rest as 0.
///
/// Invariants: token 0 is the rest, no chord stands twice, there is one count a chord, and never
/// more than [`ChordVocabulary::MAX_CHORDS`]. Reading one from a file checks them all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "VocabularyFile", into = "VocabularyFile")]
pub struct ChordVocabulary {
    /// By token.
    chords: Vec<Chord>,
    /// How often each was seen in the learning pieces, for drawing a random prime.
    counts: Vec<u64>,
    tokens: ChordMap<Token>,
    /// Made when a chord outside is first asked for.
    nearest: OnceLock<NearestIndex>,
}

/// How a vocabulary is stored: what can be derived is not.
#[derive(Clone, Serialize, Deserialize)]
struct VocabularyFile {
    chords: Vec<Chord>,
    counts: Vec<u64>,
}

/// Why a list of chords is not a vocabulary.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VocabularyError {
    #[error("a vocabulary begins with the rest, this one doesn't")]
    FirstIsNoRest,
    #[error("chord {token} of the vocabulary ({chord}) stands in it twice")]
    Twice { token: Token, chord: Chord },
    #[error("a vocabulary has one count a chord, this one {n_counts} for {n_chords}")]
    Counts { n_chords: usize, n_counts: usize },
    #[error("a vocabulary of {0} chords is too large — at most {max} are possible", max = ChordVocabulary::MAX_CHORDS)]
    TooLarge(usize),
}

impl ChordVocabulary {
    /// Far more than any network can predict over.
    pub const MAX_CHORDS: usize = 1 << 22;

    /// # Errors
    /// When an invariant doesn't hold.
    pub fn new(chords: Vec<Chord>, counts: Vec<u64>) -> Result<Self, VocabularyError> {
        if chords.len() > Self::MAX_CHORDS {
            return Err(VocabularyError::TooLarge(chords.len()));
        }
        if chords.first() != Some(&Chord::REST) {
            return Err(VocabularyError::FirstIsNoRest);
        }
        if chords.len() != counts.len() {
            let (n_chords, n_counts) = (chords.len(), counts.len());
            return Err(VocabularyError::Counts { n_chords, n_counts });
        }
        let mut tokens = ChordMap::with_capacity_and_hasher(chords.len(), Default::default());
        for (token, &chord) in (0..).zip(&chords) {
            if tokens.insert(chord, token).is_some() {
                return Err(VocabularyError::Twice { token, chord });
            }
        }
        Ok(Self { chords, counts, tokens, nearest: OnceLock::new() })
    }

    /// Chords without the escape; the network has one output more.
    pub fn len(&self) -> usize {
        self.chords.len()
    }

    /// Never: the rest is always there.
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

    /// `None` for a chord outside.
    pub fn token(&self, chord: Chord) -> Option<Token> {
        self.tokens.get(&chord).copied()
    }

    /// The chord of a token; `None` for the escape and beyond.
    pub fn chord(&self, token: Token) -> Option<Chord> {
        self.chords.get(token as usize).copied()
    }

    /// The known chord nearest to any: most shared pitches, then most shared pitch classes, then
    /// the smallest distance, then the lowest token. Known chords are nearest to themselves.
    ///
    /// The distance between two chords is, in semitones, the sum over the pitches of each of how
    /// far the nearest pitch of the other is; so pitches too many cost as pitches missing do. To
    /// a rest every pitch is 128 away.
    pub fn nearest(&self, chord: Chord) -> Token {
        self.token(chord).unwrap_or_else(|| self.nearest_known(chord))
    }

    /// [`ChordVocabulary::nearest`] of a chord outside.
    pub(super) fn nearest_known(&self, outside: Chord) -> Token {
        let index = self.nearest.get_or_init(|| NearestIndex::new(&self.chords));
        index.find(&self.chords, outside)
    }
}

/// The index follows from the chords.
impl PartialEq for ChordVocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.chords == other.chords && self.counts == other.counts
    }
}

impl Eq for ChordVocabulary {}

impl TryFrom<VocabularyFile> for ChordVocabulary {
    type Error = VocabularyError;

    fn try_from(file: VocabularyFile) -> Result<Self, Self::Error> {
        Self::new(file.chords, file.counts)
    }
}

impl From<ChordVocabulary> for VocabularyFile {
    fn from(vocabulary: ChordVocabulary) -> Self {
        Self { chords: vocabulary.chords, counts: vocabulary.counts }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::Pitch;

    fn chord(pitches: &[u8]) -> Chord {
        pitches.iter().filter_map(|&number| Pitch::new(number)).collect()
    }

    #[test]
    fn what_is_read_is_checked() {
        let read = |text: &str| serde_json::from_str::<ChordVocabulary>(text);
        let vocabulary = read(r#"{"chords":[[],[60,64]],"counts":[0,3]}"#).unwrap();
        assert_eq!(vocabulary.token(chord(&[64, 60])), Some(1));
        assert_eq!(vocabulary.chord(vocabulary.escape()), None);
        for (text, why) in [
            (r#"{"chords":[],"counts":[]}"#, "begins with the rest"),
            (r#"{"chords":[[60]],"counts":[1]}"#, "begins with the rest"),
            (r#"{"chords":[[],[60],[60]],"counts":[1,1,1]}"#, "twice"),
            (r#"{"chords":[[],[60]],"counts":[1]}"#, "one count"),
            (r#"{"chords":[[],[128]],"counts":[1,1]}"#, ""),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_vocabulary_survives_json_and_postcard() {
        let chords = vec![Chord::REST, chord(&[0, 127]), chord(&[60])];
        let vocabulary = ChordVocabulary::new(chords, vec![0, 1, u64::MAX]).unwrap();
        let json = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(serde_json::from_str::<ChordVocabulary>(&json).unwrap(), vocabulary);
        let bytes = postcard::to_stdvec(&vocabulary).unwrap();
        assert_eq!(postcard::from_bytes::<ChordVocabulary>(&bytes).unwrap(), vocabulary);
    }
}
