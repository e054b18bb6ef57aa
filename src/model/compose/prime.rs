//! What a composition starts from, and how it becomes tokens.

use std::borrow::Cow;
use std::num::NonZeroU32;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::by_keys::SpelledFrame;
use super::take_rng;
use crate::model::keys::{Alphabet, PIANO};
use crate::model::own_time::ReadingPlan;
use crate::music::{Note, Pitch, Score, Tick, Velocity};
use crate::tokens::{
    Chord, ChordVocabulary, FramesError, FramingPlan, KeyFrame, Performance, PianoRoll, Token,
    Touch, roll_from_score,
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
    /// The same with touch, for models that know it; for the others only its chords count.
    Played(Vec<KeyFrame>),
    /// A chord drawn by count from the vocabulary, the rest excepted: each take draws its own. A
    /// model without a vocabulary draws it as it would begin itself.
    Random,
}

/// A prime that was read from a score, and what is to go on as in the score.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ReadPrime {
    pub prime: Prime,
    /// The bar at its end, for a model that knows where in the bar it is.
    pub frames_per_bar: Option<NonZeroU32>,
    /// Its mean tempo, where it is read on the beat grid.
    pub quarters_per_second: Option<f64>,
}

impl Prime {
    /// As much of a long score as is worth reading before going on: a minute at two frames a second,
    /// eight seconds at sixteen, and read in a fraction of a second.
    pub const CONTEXT_FRAMES: usize = 128;

    /// A whole score in frames, as the model with this plan read its pieces when it learned.
    ///
    /// # Errors
    /// A score too long to be cut into frames.
    pub fn from_score(score: &Score, plan: &FramingPlan) -> Result<Self, FramesError> {
        roll_from_score(score, plan).map(Self::Chords)
    }

    /// Up to `n_frames` of a score's beginning as a model with this plan reads its pieces: with
    /// touch, where it knows that. For one that knows where in the bar it is rests come first, so
    /// that counting bars from the first frame on leads to the right place in the bar at the end.
    ///
    /// # Errors
    /// As [`Prime::from_score`]; also a plan that contradicts itself.
    pub fn read(
        score: &Score,
        plan: &ReadingPlan,
        n_frames: usize,
    ) -> Result<ReadPrime, FramesError> {
        let ReadingPlan { music, frames_per_bar } = plan;
        if music.touch == Touch::Ignored && frames_per_bar.is_none() {
            let prime = Self::from_score(score, &music.frames)?.opening(n_frames);
            return Ok(ReadPrime { prime, ..ReadPrime::default() });
        }
        let performance = Performance::from_score(score, music)?;
        let frames = 0..performance.n_frames().min(n_frames);
        let bars = frames_per_bar.map(|usual| bars_to(&performance, frames.end, usual));
        let n_rests = bars.map_or(0, |(_, n_rests)| n_rests);
        let quarters_per_second = mean_tempo(score, &performance, frames.end);
        let prime = match music.touch {
            Touch::Kept => {
                let rests = std::iter::repeat_n(KeyFrame::default(), n_rests);
                Self::Played(rests.chain(performance.frames(frames)).collect())
            }
            Touch::Ignored => {
                let rests = std::iter::repeat_n(Chord::REST, n_rests);
                Self::Chords(rests.chain(performance.roll(frames)).collect())
            }
        };
        let frames_per_bar = bars.map(|(per_bar, _)| per_bar);
        Ok(ReadPrime { prime, frames_per_bar, quarters_per_second })
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
        Self::from_score(&Self::past(score, tick), plan)
    }

    /// The same as [`Prime::read`] reads it.
    ///
    /// # Errors
    /// As [`Prime::read`].
    pub fn read_until(
        score: &Score,
        tick: Tick,
        plan: &ReadingPlan,
    ) -> Result<ReadPrime, FramesError> {
        Self::read(&Self::past(score, tick), plan, usize::MAX)
    }

    /// A score without what comes from a tick on.
    fn past(score: &Score, tick: Tick) -> Score {
        let mut past = score.clone();
        let notes = score.notes().iter().filter(|note| note.start < tick);
        let ended =
            |note: &Note| Note { length: Tick(note.end().min(tick).0 - note.start.0), ..*note };
        past.set_notes(notes.map(ended).collect());
        past.pedal.retain(|span| span.start < tick);
        past.pedal.iter_mut().for_each(|span| span.end = span.end.min(tick));
        past
    }

    /// Frames that a take has of it.
    pub fn n_frames(&self) -> usize {
        match self {
            Self::Silence => 0,
            Self::Chords(roll) => roll.len(),
            Self::Played(frames) => frames.len(),
            Self::Random => 1,
        }
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
        match &mut self {
            Self::Chords(roll) => roll.truncate(n),
            Self::Played(frames) => frames.truncate(n),
            Self::Silence | Self::Random => {}
        }
        self
    }

    /// Only the last `n` frames of it.
    #[must_use]
    pub fn ending(self, n: usize) -> Self {
        self.ending_with_bars(n, NonZeroU32::MIN)
    }

    /// The same, from which whole bars are taken: at least `n` frames stay, and less than a bar more.
    #[must_use]
    pub fn ending_with_bars(mut self, n: usize, frames_per_bar: NonZeroU32) -> Self {
        let too_many = self.n_frames().saturating_sub(n);
        let per_bar = frames_per_bar.get() as usize;
        let n_gone = too_many / per_bar * per_bar;
        match &mut self {
            Self::Chords(roll) => drop(roll.drain(..n_gone)),
            Self::Played(frames) => drop(frames.drain(..n_gone)),
            Self::Silence | Self::Random => {}
        }
        self
    }

    /// Its chords, where it has any.
    fn roll(&self) -> Cow<'_, [Chord]> {
        match self {
            Self::Chords(roll) => Cow::Borrowed(roll),
            Self::Played(frames) => frames.iter().map(|frame| frame.sounding).collect(),
            Self::Silence | Self::Random => Cow::default(),
        }
    }

    /// Its frames with touch: where that isn't known, a key is struck when it begins to sound, at
    /// a middle velocity.
    fn played(&self) -> Vec<KeyFrame> {
        if let Self::Played(frames) = self {
            return frames.clone();
        }
        let mut before = Chord::REST;
        let strike = |&sounding: &Chord| {
            let struck = sounding.difference(std::mem::replace(&mut before, sounding));
            KeyFrame { sounding, struck, ..KeyFrame::default() }
        };
        self.roll().iter().map(strike).collect()
    }
}

/// Frames of the bar in which a performance has come to its frame `n`, and how many frames have to
/// stand before its first so that counting such bars leads there. `usual` is a bar where nothing
/// says another, and where it is no whole number of frames.
fn bars_to(performance: &Performance, n: usize, usual: NonZeroU32) -> (NonZeroU32, usize) {
    // Performances are no longer than a u32 counts.
    let n = n as u32;
    let (per_bar, into_bar) = match performance.bars() {
        Some(bars) => (bars.frames_per_bar(n).unwrap_or(usual), bars.frames_into_bar(n)),
        // Frames that are so many to a bar, whatever the score calls them.
        None => (usual, performance.lead().saturating_add(n)),
    };
    let n_rests = (into_bar % per_bar + (per_bar.get() - n % per_bar)) % per_bar;
    (per_bar, n_rests as usize)
}

/// That of the first `n` frames, in quarters a second; `None` where frames are no notes.
fn mean_tempo(score: &Score, performance: &Performance, n: usize) -> Option<f64> {
    let steps = performance.bars()?.steps_per_quarter();
    let tempo_map = &score.tempo_map;
    let secs = |frame: f64| {
        let quarters = frame / f64::from(steps.get());
        // A float to integer cast saturates.
        let tick = quarters * f64::from(tempo_map.ticks_per_quarter().get());
        tempo_map.secs_from_tick(Tick(tick.round() as u32))
    };
    let (lead, n) = (f64::from(performance.lead()), n as f64);
    let secs = secs(lead + n) - secs(lead);
    (secs > 0.0).then(|| n / f64::from(steps.get()) / secs)
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
        named: impl FnOnce() -> (Vec<F>, Option<String>),
    ) -> (Self, Option<String>) {
        match prime {
            Prime::Silence => (Self::Shared(Vec::new()), None),
            Prime::Random => (Self::Drawn, None),
            Prime::Chords(_) | Prime::Played(_) if prime.n_frames() == 0 => {
                let note = "The prime has no chord in it, so composing starts from silence";
                (Self::Shared(Vec::new()), Some(note.to_owned()))
            }
            Prime::Chords(_) | Prime::Played(_) => {
                let (frames, note) = named();
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
        Self::new(prime, || {
            let roll = prime.roll();
            let (tokens, replaced) = nearest_known(&roll, vocabulary);
            (tokens, replaced.note(roll.len()))
        })
    }
}

impl PrimeFrames<SpelledFrame> {
    /// Leaves every frame as it is but for pitches that no piano has, which the note counts.
    pub fn of_piano(prime: &Prime, alphabet: Alphabet) -> (Self, Option<String>) {
        Self::new(prime, || {
            let frames: Vec<SpelledFrame> = match alphabet {
                Alphabet::OffOn => {
                    let roll = prime.roll();
                    let played = roll.iter().map(|chord| chord.intersection(PIANO));
                    played.map(SpelledFrame::of_chord).collect()
                }
                Alphabet::Full => {
                    let played = prime.played();
                    played.iter().map(on_a_piano).map(SpelledFrame::of_touch).collect()
                }
            };
            let is_odd = |chord: &&Chord| !chord.difference(PIANO).is_rest();
            let n_changed = prime.roll().iter().filter(is_odd).count();
            let note = (n_changed > 0).then(|| {
                format!(
                    "{} {} a pitch that no piano has, which is left out",
                    of_the_prime(n_changed, frames.len()),
                    if n_changed == 1 { "has" } else { "have" }
                )
            });
            (frames, note)
        })
    }
}

/// A frame of which a piano can play everything, with a velocity for each strike.
fn on_a_piano(frame: &KeyFrame) -> KeyFrame {
    let sounding = frame.sounding.intersection(PIANO);
    let struck = frame.struck.intersection(sounding);
    let is_known = frame.velocities.len() == frame.struck.len();
    let velocity = |pitch| frame.velocity(pitch).filter(|_| is_known).unwrap_or(Velocity::MIDDLE);
    let velocities = struck.pitches().map(velocity).collect();
    KeyFrame { sounding, struck, velocities, pedal: frame.pedal }
}

/// `3 of the prime's 8 frames`, `the prime's only frame`.
fn of_the_prime(n: usize, n_all: usize) -> String {
    match n_all {
        1 => "the prime's only frame".to_owned(),
        _ => format!("{n} of the prime's {n_all} frames"),
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
            "{} {} — the nearest it knows {}: {}",
            of_the_prime(self.n_frames, n_prime_frames),
            match self.n_frames {
                1 => "has a chord the model doesn't know",
                _ => "have chords the model doesn't know",
            },
            if self.chords.len() == 1 { "stands in" } else { "stand in" },
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
