//! Composing: strategies, primes and the guard against one chord for ever.
//!
//! The strategies know a model only as what says the next frame; this folder has no tensor in it.
//!
//! ```text
//! settings       what composing can be told; why it may fail
//! prime          what it starts from
//! next_frame     what the strategies ask of a model
//! by_vocabulary  the answers of a model that has a vocabulary,
//! next_chord       what is asked of its network
//! scores           and from scores to one chord
//! by_keys        the answers of a model that spells key by key:
//!   reader         what it has read, run by run
//!   sampling       how its answers are bent and drawn
//!   detour         how what is forbidden is left out
//! guard          which chords may not come next
//! one_by_one     max and sample: one chord after the other
//! beam           the likeliest whole phrases
//! statistics     what a roll is made of
//! ```

mod beam;
mod by_keys;
mod by_vocabulary;
mod guard;
mod next_chord;
mod next_frame;
mod one_by_one;
mod prime;
mod scores;
mod settings;
mod statistics;

use std::borrow::Cow;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use next_chord::NextChord;
pub use prime::{Prime, ReadPrime};
pub use settings::{ComposeError, ComposeSettings, Guard, Strategy};
pub use statistics::{NearSilence, RollStatistics, roll_statistics};

use super::Model;
use super::keys::Speller;
use super::network::Network;
use crate::cancel::CancelToken;
use crate::music::Score;
use crate::tokens::{Chord, ChordVocabulary, KeyFrame, PianoRoll, Playback, played_score};
use by_keys::ByKeys;
use by_vocabulary::ByVocabulary;
use guard::{Lifted, Name, Rules};
use next_frame::NextFrame;
use prime::{PRIME_STREAM, PrimeFrames};

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
    /// The same frames with what is struck and how hard, and the pedal, from a model that composes
    /// that too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touch: Option<Vec<KeyFrame>>,
    pub n_prime_frames: usize,
    /// What makes this take again: for take `n` the request's seed plus `n`; for those of a beam
    /// the request's own, since one search finds them all.
    pub seed: u64,
    /// Summed natural log-probability of the composed chords under the model itself: untempered,
    /// unguarded, normalized over the vocabulary without the escape. With touch it is that of
    /// everything chosen: keys, strikes, velocities, pedal, and whether anything changes at all.
    pub log_likelihood: f64,
    /// Time it took; the takes of one request are composed together and took the same.
    pub secs: f64,
}

impl Take {
    /// The take as music.
    pub fn score(&self, playback: &Playback) -> Score {
        played_score(&self.roll, self.touch.as_deref(), playback)
    }
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
        /// The same frames with touch, where the take has it.
        touch: Option<Cow<'a, [KeyFrame]>>,
    },
    /// So many frames of the likeliest phrases are known, whether or not they agree on any of them:
    /// how far a beam is, for which [`ComposeEvent::Frames`] may come late.
    Searched { frames: usize },
    /// Something the user should know: a chord of the prime was replaced by the nearest known.
    Note(String),
    /// A take is whole, or all there is of it.
    Take { take: usize, result: Cow<'a, Take> },
}

impl ComposeEvent<'_> {
    /// The same with everything in it copied.
    pub fn into_owned(self) -> ComposeEvent<'static> {
        match self {
            Self::Frames { take, first, chords, touch } => {
                let chords = Cow::Owned(chords.into_owned());
                let touch = touch.map(|touch| Cow::Owned(touch.into_owned()));
                ComposeEvent::Frames { take, first, chords, touch }
            }
            Self::Searched { frames } => ComposeEvent::Searched { frames },
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
    match (&*model.network, model.card().chords()) {
        (Network::Keys(network), _) => {
            settings.validate()?;
            for note in by_keys::idle_settings(settings) {
                on_event(ComposeEvent::Note(note.to_owned()));
            }
            let (prime, note) = PrimeFrames::of_piano(&settings.prime, network.config.alphabet);
            let rules = rules(settings, prime.len());
            let own = model.card().frames_per_bar();
            let bars = own.map(|own| settings.frames_per_bar.unwrap_or(own));
            let speller = Speller::new(network).with_bars(bars);
            let model = ByKeys::new(speller, rules, settings.strategy);
            compose_by(model, prime, note, settings, cancel, on_event)
        }
        (Network::Chords(_), Some(chords)) => {
            let mut network = model.next_chord_with(settings.weights);
            let network = network.as_deref_mut().expect("it has a vocabulary");
            compose_with(network, &chords.vocabulary, settings, cancel, on_event)
        }
        (Network::Chords(_), None) => unreachable!("a card and its network are of one family"),
    }
}

/// [`compose`] with anything that can say what comes next of a vocabulary.
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
    let (prime, note) = PrimeFrames::of_vocabulary(&settings.prime, vocabulary);
    let rules = rules(settings, prime.len());
    let model = ByVocabulary::new(network, vocabulary, rules, settings.strategy)?;
    compose_by(model, prime, note, settings, cancel, on_event)
}

/// The guard of these settings for takes with a prime of so many frames.
fn rules<F: Name>(settings: &ComposeSettings, n_prime_frames: usize) -> Rules<F> {
    Rules::new(&settings.guard, settings.rate, n_prime_frames + settings.frames)
}

/// Composes with a model of either family; `note` is what there is to say of the prime.
fn compose_by<M: NextFrame>(
    model: M,
    prime: PrimeFrames<M::Frame>,
    note: Option<String>,
    settings: &ComposeSettings,
    cancel: &CancelToken,
    on_event: &mut dyn FnMut(ComposeEvent<'_>),
) -> Result<Vec<Take>, ComposeError> {
    if let Some(note) = note {
        on_event(ComposeEvent::Note(note));
    }
    let mut session = Session { model, settings, prime, cancel, on_event, has_lifted: false };
    match settings.strategy {
        Strategy::Max | Strategy::Sample { .. } => one_by_one::compose(&mut session),
        Strategy::Beam { width, length_penalty } => {
            beam::compose(&mut session, width, length_penalty)
        }
    }
}

/// What every strategy works with.
struct Session<'a, M: NextFrame> {
    model: M,
    settings: &'a ComposeSettings,
    prime: PrimeFrames<M::Frame>,
    cancel: &'a CancelToken,
    on_event: &'a mut dyn FnMut(ComposeEvent<'_>),
    /// Whether it was said already that a rule of the guard had to be lifted.
    has_lifted: bool,
}

impl<M: NextFrame> Session<'_, M> {
    /// The prime of a take.
    fn prime_for(&mut self, seed: u64) -> Result<Vec<M::Frame>, ComposeError> {
        match &self.prime {
            PrimeFrames::Shared(frames) => Ok(frames.clone()),
            PrimeFrames::Drawn => Ok(vec![self.model.draw_first(seed)?]),
        }
    }

    /// Lets the model, holding one hypothesis, read the rest that starts every piece and the
    /// prime, all but the last frame: that one is returned for the first step. `None` when
    /// cancelled.
    fn read_prime(&mut self, prime: &[M::Frame]) -> Option<M::Frame> {
        self.model.start(1);
        let mut unread = M::Frame::default();
        for frame in prime {
            if self.cancel.is_cancelled() {
                return None;
            }
            self.model.read(&[unread]);
            unread = frame.clone();
        }
        Some(unread)
    }

    fn written(&self, frames: &[M::Frame]) -> Written {
        let mut written = Written::with_capacity(frames.len());
        frames.iter().for_each(|frame| written.push(&self.model, frame));
        written
    }

    /// What stands in `written` from `from` on is that of a take from its frame `first` on.
    fn emit_frames(&mut self, take: usize, first: usize, written: &Written, from: usize) {
        let chords = &written.roll[from..];
        if !chords.is_empty() {
            let chords = Cow::Borrowed(chords);
            let touch = written.touch.as_ref().map(|touch| Cow::Borrowed(&touch[from..]));
            (self.on_event)(ComposeEvent::Frames { take, first, chords, touch });
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

/// Frames as takes have them.
#[derive(Clone, Default)]
struct Written {
    roll: PianoRoll,
    /// As long as the roll, where the model has touch.
    touch: Option<Vec<KeyFrame>>,
}

impl Written {
    fn with_capacity(n_frames: usize) -> Self {
        Self { roll: PianoRoll::with_capacity(n_frames), touch: None }
    }

    fn push<M: NextFrame>(&mut self, model: &M, frame: &M::Frame) {
        self.roll.push(model.chord(frame));
        if let Some(touch) = model.touch(frame) {
            let room = self.roll.capacity();
            self.touch.get_or_insert_with(|| Vec::with_capacity(room)).push(touch);
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

/// A number in [0, 1) from the upper 53 bits of one random word: all that an f64 can hold.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * 0.5f64.powi(53)
}

fn secs_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}
