//! What a composition starts from, and how it becomes tokens.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::take_rng;
use crate::model::keys::PIANO;
use crate::music::{Note, Pitch, Score, Tick};
use crate::tokens::{
    Chord, ChordVocabulary, FramesError, FramingPlan, PianoRoll, Token, roll_from_score,
};

/// What a generation starts from.
///
/// Whatever it is, the network first reads the rest that starts every piece, as it did when it
/// learned; that rest is not part of the take.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prime {
    #[default]
    Silence,
    /// Chords at the rate the model learned: the opening of a file, the score up to the playhead,
    /// one pitch, one chord. One that the model doesn't know becomes the nearest it knows.
    Chords(PianoRoll),
    /// A chord drawn by count from the vocabulary, the rest excepted: each take draws its own. A
    /// model without a vocabulary draws it as it would begin itself.
    Random,
}

impl Prime {
    /// A good opening to continue: eight seconds at the usual two frames a second.
    pub const OPENING_FRAMES: usize = 16;
    /// As much of a long score as is worth reading before going on: more than the sequences a
    /// network usually learns from, and read in a fraction of a second.
    pub const CONTEXT_FRAMES: usize = 128;

    /// A whole score in frames, as the model with this plan read its pieces when it learned.
    ///
    /// # Errors
    /// A score too long to be cut into frames.
    pub fn from_score(score: &Score, plan: &FramingPlan) -> Result<Self, FramesError> {
        roll_from_score(score, plan).map(Self::Chords)
    }

    /// The score up to a tick, for going on from there: what sounds at the tick ends at it.
    ///
    /// # Errors
    /// As [`Prime::from_score`].
    pub fn from_score_until(
        score: &Score,
        tick: Tick,
        plan: &FramingPlan,
    ) -> Result<Self, FramesError> {
        let mut past = score.clone();
        let notes = score.notes().iter().filter(|note| note.start < tick);
        let ended =
            |note: &Note| Note { length: Tick(note.end().min(tick).0 - note.start.0), ..*note };
        past.set_notes(notes.map(ended).collect());
        past.pedal.retain(|span| span.start < tick);
        past.pedal.iter_mut().for_each(|span| span.end = span.end.min(tick));
        Self::from_score(&past, plan)
    }

    pub fn from_pitch(pitch: Pitch) -> Self {
        Self::from_chord(Chord::from_iter([pitch]))
    }

    pub fn from_chord(chord: Chord) -> Self {
        Self::Chords(vec![chord])
    }

    /// Only the first `n` frames of it.
    #[must_use]
    pub fn opening(mut self, n: usize) -> Self {
        if let Self::Chords(roll) = &mut self {
            roll.truncate(n);
        }
        self
    }

    /// Only the last `n` frames of it.
    #[must_use]
    pub fn ending(mut self, n: usize) -> Self {
        if let Self::Chords(roll) = &mut self {
            roll.drain(..roll.len().saturating_sub(n));
        }
        self
    }
}

/// A prime as a model reads it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum PrimeFrames<F> {
    /// The same for all takes; perhaps nothing.
    Shared(Vec<F>),
    /// One chord, drawn with the take's seed.
    Drawn,
}

impl<F> PrimeFrames<F> {
    /// Names every chord as the model does; the note says what it can't take as it is.
    fn new(
        prime: &Prime,
        named: impl FnOnce(&[Chord]) -> (Vec<F>, Option<String>),
    ) -> (Self, Option<String>) {
        match prime {
            Prime::Silence => (Self::Shared(Vec::new()), None),
            Prime::Random => (Self::Drawn, None),
            Prime::Chords(roll) if roll.is_empty() => {
                let note = "The prime has no chord in it, so composing starts from silence";
                (Self::Shared(Vec::new()), Some(note.to_owned()))
            }
            Prime::Chords(roll) => {
                let (frames, note) = named(roll);
                (Self::Shared(frames), note)
            }
        }
    }

    /// Frames of it.
    pub fn len(&self) -> usize {
        match self {
            Self::Shared(frames) => frames.len(),
            Self::Drawn => 1,
        }
    }
}

impl PrimeFrames<Token> {
    /// Maps every chord to the vocabulary; the note says which ones were replaced.
    pub fn of_vocabulary(prime: &Prime, vocabulary: &ChordVocabulary) -> (Self, Option<String>) {
        Self::new(prime, |roll| {
            let (tokens, replaced) = nearest_known(roll, vocabulary);
            (tokens, replaced.note(roll.len()))
        })
    }
}

impl PrimeFrames<Chord> {
    /// Leaves every chord as it is but for pitches that no piano has, which the note counts.
    pub fn of_piano(prime: &Prime) -> (Self, Option<String>) {
        Self::new(prime, |roll| {
            let played: Vec<Chord> = roll.iter().map(|chord| chord.intersection(PIANO)).collect();
            let n_changed = roll.iter().zip(&played).filter(|(a, b)| a != b).count();
            let note = (n_changed > 0).then(|| {
                format!(
                    "{n_changed} of the prime's {} frames {} a pitch that no piano has, which is left \
                     out",
                    roll.len(),
                    if n_changed == 1 { "has" } else { "have" }
                )
            });
            (played, note)
        })
    }
}

/// The chords of a prime that the vocabulary doesn't have.
#[derive(Default)]
struct Replaced {
    n_frames: usize,
    /// Each once, in order of appearance, with what stands in for it.
    chords: Vec<(Chord, Chord)>,
}

impl Replaced {
    const N_NAMED: usize = 3;

    fn note(&self, n_prime_frames: usize) -> Option<String> {
        if self.n_frames == 0 {
            return None;
        }
        let mut named: Vec<String> = self
            .chords
            .iter()
            .take(Self::N_NAMED)
            .map(|(unknown, known)| format!("{known} for {unknown}"))
            .collect();
        if let Some(n_more @ 1..) = self.chords.len().checked_sub(Self::N_NAMED) {
            named.push(format!("{n_more} more"));
        }
        Some(format!(
            "{} of the prime's {n_prime_frames} frames have a chord the model doesn't know — the \
             nearest it knows stand in: {}",
            self.n_frames,
            named.join(", "),
        ))
    }
}

fn nearest_known(roll: &[Chord], vocabulary: &ChordVocabulary) -> (Vec<Token>, Replaced) {
    let mut replaced = Replaced::default();
    let mut stand_ins = std::collections::HashMap::new();
    let mut token_of = |chord: Chord| {
        if let Some(token) = vocabulary.token(chord) {
            return token;
        }
        replaced.n_frames += 1;
        *stand_ins.entry(chord).or_insert_with(|| {
            let token = vocabulary.nearest(chord);
            let known = vocabulary.chord(token).unwrap_or_default();
            replaced.chords.push((chord, known));
            token
        })
    };
    let tokens = roll.iter().map(|&chord| token_of(chord)).collect();
    (tokens, replaced)
}

/// A chord with the probability of its count, the rest excepted; one of all chords alike if
/// nothing was counted, and the rest if there is nothing else.
pub(super) fn draw_by_count(seed: u64, vocabulary: &ChordVocabulary) -> Token {
    let counts = vocabulary.counts().get(1..).unwrap_or_default();
    // Summed wide: a damaged file may hold counts that don't fit together.
    let total: u128 = counts.iter().map(|&count| u128::from(count)).sum();
    let random = u128::from(take_rng(seed, PRIME_STREAM).next_u64());
    if total == 0 {
        let n_chords = vocabulary.len().saturating_sub(1);
        // Scaling 64 random bits to so small a range is even to one part in 2^32 or better.
        return if n_chords == 0 { 0 } else { 1 + ((random * n_chords as u128) >> 64) as Token };
    }
    let mut goal = match total.checked_mul(random) {
        Some(product) => product >> 64,
        None => (total >> 64) * random,
    };
    for (token, &count) in (1..).zip(counts) {
        match goal.checked_sub(u128::from(count)) {
            Some(left) => goal = left,
            None => return token,
        }
    }
    0
}

/// Random numbers for primes come from a stream apart from those for frames.
pub(super) const PRIME_STREAM: u64 = 1;
