//! Composing: strategies, primes and the guard against one chord for ever.
//!
//! The strategies know a network only as [`NextChord`]; this folder has no tensor in it.
//!
//! ```text
//! settings    what composing can be told; why it may fail
//! prime       what it starts from
//! next_chord  what is asked of a network
//! scores      from scores to one chord
//! guard       which chords may not come next
//! one_by_one  max and sample: one chord after the other
//! beam        the likeliest whole phrases
//! statistics  what a roll is made of
//! ```

mod beam;
mod guard;
mod next_chord;
mod one_by_one;
mod prime;
mod scores;
mod settings;
mod statistics;

use std::borrow::Cow;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use next_chord::NextChord;
pub use prime::Prime;
pub use settings::{ComposeError, ComposeSettings, Guard, Strategy};
pub use statistics::{RollStatistics, roll_statistics};

use super::Model;
use crate::cancel::CancelToken;
use crate::tokens::{Chord, ChordVocabulary, PianoRoll, Token};
use guard::{Lifted, Rules};
use prime::PrimeTokens;

/// The token of the rest, which starts every piece.
const REST: Token = 0;

#[derive(Clone)]
pub struct ComposeRequest {
    pub model: Model,
    pub settings: ComposeSettings,
}

/// One generated answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Take {
    /// The prime as the model read it, then what it composed.
    pub roll: PianoRoll,
    pub n_prime_frames: usize,
    /// What makes this take again: for take `n` the request's seed plus `n`; for those of a beam
    /// the request's own, since one search finds them all.
    pub seed: u64,
    /// Summed natural log-probability of the composed chords under the model itself: untempered,
    /// unguarded, normalized over the vocabulary without the escape.
    pub log_likelihood: f64,
    /// Time it took; the takes of one request are composed together and took the same.
    pub secs: f64,
}

/// What composing tells while it goes on, lent for as long as the call lasts;
/// [`ComposeEvent::into_owned`] is for keeping it.
#[derive(Clone, PartialEq, Debug)]
pub enum ComposeEvent<'a> {
    /// Frames of a take as they are made, in order from its prime on (a beam's once all its beams
    /// agree on them). Those of one take joined are its roll; a take that was cancelled before
    /// its first composed frame has no [`ComposeEvent::Take`].
    Frames {
        take: usize,
        /// Where they begin, counted from the first frame of the prime.
        first: usize,
        chords: Cow<'a, [Chord]>,
    },
    /// Something the user should know: a chord of the prime was replaced by the nearest known.
    Note(String),
    /// A take is whole, or all there is of it.
    Take { take: usize, result: Cow<'a, Take> },
}

impl ComposeEvent<'_> {
    /// The same with everything in it copied.
    pub fn into_owned(self) -> ComposeEvent<'static> {
        match self {
            Self::Frames { take, first, chords } => {
                ComposeEvent::Frames { take, first, chords: Cow::Owned(chords.into_owned()) }
            }
            Self::Note(text) => ComposeEvent::Note(text),
            Self::Take { take, result } => {
                ComposeEvent::Take { take, result: Cow::Owned(result.into_owned()) }
            }
        }
    }
}

/// Composes every take of the request, all of them together, streaming frames as they are made.
/// The same request gives the same notes.
///
/// When it is cancelled, the takes come back with the frames they have.
///
/// # Errors
/// Settings out of their limits, a prime that is too long, and a model whose scores aren't
/// numbers; nothing is returned then, whatever was streamed.
pub fn compose(
    request: &ComposeRequest,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(ComposeEvent<'_>),
) -> Result<Vec<Take>, ComposeError> {
    let ComposeRequest { model, settings } = request;
    settings.validate()?;
    let (network, chords) = (model.next_chord_with(settings.weights), model.card().chords());
    match (network, chords) {
        (Some(mut network), Some(chords)) => {
            compose_with(&mut *network, &chords.vocabulary, settings, cancel, on_event)
        }
        _ => Err(ComposeError::Shape { given: 0, expected: 1 }),
    }
}

/// [`compose`] with anything that can say what comes next.
///
/// # Errors
/// As [`compose`].
pub fn compose_with(
    network: &mut dyn NextChord,
    vocabulary: &ChordVocabulary,
    settings: &ComposeSettings,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(ComposeEvent<'_>),
) -> Result<Vec<Take>, ComposeError> {
    settings.validate()?;
    if network.vocabulary_len() != vocabulary.len() || vocabulary.is_empty() {
        let (given, expected) = (network.vocabulary_len(), vocabulary.len().max(1));
        return Err(ComposeError::Shape { given, expected });
    }
    let (prime, note) = PrimeTokens::new(&settings.prime, vocabulary);
    if let Some(note) = note {
        on_event(ComposeEvent::Note(note));
    }
    let n_frames = prime.len() + settings.frames;
    let rules = Rules::new(&settings.guard, settings.rate, n_frames);
    let mut session = Session {
        network,
        vocabulary,
        settings,
        prime,
        rules,
        cancel,
        on_event,
        has_lifted: false,
    };
    match settings.strategy {
        Strategy::Max | Strategy::Sample { .. } => one_by_one::compose(&mut session),
        Strategy::Beam { width, length_penalty } => {
            beam::compose(&mut session, width, length_penalty)
        }
    }
}

/// What every strategy works with.
struct Session<'a> {
    network: &'a mut dyn NextChord,
    vocabulary: &'a ChordVocabulary,
    settings: &'a ComposeSettings,
    prime: PrimeTokens,
    rules: Rules,
    cancel: &'a CancelToken,
    on_event: &'a mut dyn FnMut(ComposeEvent<'_>),
    /// Whether it was said already that a rule of the guard had to be lifted.
    has_lifted: bool,
}

impl Session<'_> {
    /// Lets the network, holding one hypothesis, read the rest that starts every piece and the
    /// prime, all but the last token: that one is returned for the first step. `None` when
    /// cancelled.
    fn read_prime(&mut self, prime: &[Token]) -> Option<Token> {
        self.network.start(1);
        let mut unread = REST;
        for &token in prime {
            if self.cancel.is_cancelled() {
                return None;
            }
            self.network.read(&[unread]);
            unread = token;
        }
        Some(unread)
    }

    /// One step of the network, checked.
    fn step<'n>(
        network: &'n mut dyn NextChord,
        tokens: &[Token],
    ) -> Result<std::slice::ChunksExact<'n, f32>, ComposeError> {
        let n_chords = network.vocabulary_len();
        let expected = tokens.len() * n_chords;
        let scores = network.step(tokens);
        if scores.len() == expected {
            Ok(scores.chunks_exact(n_chords))
        } else {
            Err(ComposeError::Shape { given: scores.len(), expected })
        }
    }

    fn chord(&self, token: Token) -> Chord {
        self.vocabulary.chord(token).unwrap_or_default()
    }

    fn chords(&self, tokens: &[Token]) -> Vec<Chord> {
        tokens.iter().map(|&token| self.chord(token)).collect()
    }

    fn emit_frames(&mut self, take: usize, first: usize, chords: &[Chord]) {
        if !chords.is_empty() {
            (self.on_event)(ComposeEvent::Frames { take, first, chords: Cow::Borrowed(chords) });
        }
    }

    /// Says once that the guard couldn't hold.
    fn note_lifted(&mut self, lifted: Lifted) {
        let note = match lifted {
            Lifted::NoRepeat => {
                "Every other chord would have repeated an earlier run, so now and then a run may \
                 repeat"
            }
            Lifted::LongestHold => {
                "The model knows only one chord, so it is held for longer than was asked"
            }
            Lifted::Nothing => return,
        };
        if !std::mem::replace(&mut self.has_lifted, true) {
            (self.on_event)(ComposeEvent::Note(note.to_owned()));
        }
    }
}

/// The random numbers of one take: ChaCha, so that they are the same on every machine and in
/// every version; streams of one seed have nothing to do with each other.
fn take_rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

fn secs_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}
