//! Scores cut into frames.
//!
//! A piece is first a list of runs (a chord and for how many frames it stays), which costs memory
//! by the note and not by the second; [`roll_from_score`] spells the runs out. How frames become
//! a score again stands in `playback`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Chord, original};
use crate::music::{Pitch, Score, Tick};

/// Frames in a second of music, from [`FrameRate::MIN`] to [`FrameRate::MAX`].
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FrameRate(f64);

#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a usable frame rate — give between {min} and {max} frames a second", min = FrameRate::MIN, max = FrameRate::MAX)]
pub struct FrameRateError(pub f64);

impl FrameRate {
    pub const MIN: f64 = 0.1;
    pub const MAX: f64 = 200.0;
    /// What the original learned at.
    pub const INPUT_DEFAULT: Self = Self(2.0);
    /// What the original played at.
    pub const OUTPUT_DEFAULT: Self = Self(8.0);

    pub fn new(per_second: f64) -> Result<Self, FrameRateError> {
        // NaN is in no range.
        if (Self::MIN..=Self::MAX).contains(&per_second) {
            Ok(Self(per_second))
        } else {
            Err(FrameRateError(per_second))
        }
    }

    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for FrameRate {
    type Error = FrameRateError;

    fn try_from(per_second: f64) -> Result<Self, Self::Error> {
        Self::new(per_second)
    }
}

impl From<FrameRate> for f64 {
    fn from(rate: FrameRate) -> Self {
        rate.0
    }
}

/// How notes meet the grid of frames.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// Onset and end go to the nearest boundary, one frame at least, so that no note is lost;
    /// all pitched parts together.
    #[default]
    Nearest,
    /// Exactly what the original experiment did: the first instrument only, start and end
    /// truncated, notes inside one frame vanish, its way with the pedal. [`Pedalling`] doesn't
    /// matter then.
    Original,
}

/// Whether the sustain pedal lengthens notes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pedalling {
    /// The time a key is down counts.
    #[default]
    Keys,
    /// A note sounds on while the pedal is down, until it is struck again.
    Sustained,
}

/// Everything that decides how a score becomes frames.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct FramingPlan {
    pub rate: FrameRate,
    pub framing: Framing,
    pub pedalling: Pedalling,
}

impl Default for FramingPlan {
    fn default() -> Self {
        Self {
            rate: FrameRate::INPUT_DEFAULT,
            framing: Framing::default(),
            pedalling: Pedalling::default(),
        }
    }
}

/// One chord per frame.
pub type PianoRoll = Vec<Chord>;

/// Why a score can't be cut into frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramesError {
    #[error(
        "the piece has {n_frames} frames at this rate, of {max} possible — choose a lower frame rate",
        max = MAX_FRAMES
    )]
    TooLong { n_frames: u64 },
}

/// Most frames of one piece: 58 days at 2 frames a second, 14 hours at 200. A file whose two
/// notes stand days apart must not fill the memory with rests.
pub const MAX_FRAMES: u64 = 10_000_000;

/// The frames of a score, without leading and trailing rests; empty when nothing sounds.
///
/// # Errors
/// [`FramesError::TooLong`] for more than [`MAX_FRAMES`], before any of them is in memory.
pub fn roll_from_score(score: &Score, plan: &FramingPlan) -> Result<PianoRoll, FramesError> {
    let runs = runs_from_score(score, plan)?;
    let n_frames: usize = runs.iter().map(|run| run.n_frames as usize).sum();
    let mut roll = PianoRoll::with_capacity(n_frames);
    for run in runs {
        roll.resize(roll.len() + run.n_frames as usize, run.chord);
    }
    Ok(roll)
}

/// How many of a score's notes still have a frame of their own pitch under `plan`, of how many:
/// the price of a framing. Percussion is in neither number.
pub fn kept_notes(score: &Score, plan: &FramingPlan) -> (usize, usize) {
    (spans_from_score(score, plan).len(), score.notes().len())
}

/// A chord and for how many frames running it sounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub chord: Chord,
    /// At least 1.
    pub n_frames: u32,
}

/// The frames `start..end` (never empty) in which one pitch sounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub pitch: Pitch,
    pub start: u64,
    pub end: u64,
}

/// The same as [`roll_from_score`], as runs whose neighbors differ.
pub(super) fn runs_from_score(score: &Score, plan: &FramingPlan) -> Result<Vec<Run>, FramesError> {
    runs_from_spans(&spans_from_score(score, plan))
}

fn spans_from_score(score: &Score, plan: &FramingPlan) -> Vec<Span> {
    match plan.framing {
        Framing::Nearest => nearest_spans(score, plan),
        Framing::Original => original::spans_from_score(score, plan.rate),
    }
}

/// One span a note: both ends at the nearest boundary, at least one frame.
fn nearest_spans(score: &Score, plan: &FramingPlan) -> Vec<Span> {
    let pedals = match plan.pedalling {
        Pedalling::Keys => None,
        Pedalling::Sustained => Some(Pedals::new(score)),
    };
    // A float to integer cast saturates, so that absurd times stay in range.
    let boundary =
        |tick: Tick| (score.tempo_map.secs_from_tick(tick) * plan.rate.per_second()).round() as u64;
    let mut spans = Vec::with_capacity(score.notes().len());
    for note in score.notes() {
        let end = match &pedals {
            Some(pedals) => pedals.release(note.part, note.end()),
            None => note.end(),
        };
        let start = boundary(note.start);
        let end = boundary(end).max(start.saturating_add(1));
        spans.push(Span { pitch: note.pitch, start, end });
    }
    spans
}

/// When the dampers fall, by MIDI channel.
///
/// Where a string struck again ends needs no rule here: a frame knows that a pitch sounds, not
/// how often it was struck.
struct Pedals {
    /// Ascending and apart, for each channel.
    by_channel: [Vec<Range<Tick>>; 16],
    /// The channel of each part, brought into 0–15.
    channels: Vec<u8>,
}

impl Pedals {
    fn new(score: &Score) -> Self {
        let channels: Vec<u8> = score.parts.iter().map(|part| part.channel & 15).collect();
        let by_channel = std::array::from_fn(|channel| score.pedal_of_channel(channel as u8));
        Self { by_channel, channels }
    }

    /// When a key let go at `tick` falls silent.
    fn release(&self, part: u8, tick: Tick) -> Tick {
        let channel = self.channels.get(usize::from(part)).copied().unwrap_or(0);
        let spans = &self.by_channel[usize::from(channel)];
        let after = spans.partition_point(|span| span.start <= tick);
        after.checked_sub(1).map_or(tick, |idx| spans[idx].end.max(tick))
    }
}

/// Sweeps over the ends of all spans in order, counting how often each pitch sounds.
pub(super) fn runs_from_spans(spans: &[Span]) -> Result<Vec<Run>, FramesError> {
    let Some(first) = spans.iter().map(|span| span.start).min() else {
        return Ok(Vec::new());
    };
    let last = spans.iter().map(|span| span.end).max().unwrap_or(first);
    if last - first > MAX_FRAMES {
        return Err(FramesError::TooLong { n_frames: last - first });
    }
    let mut turns: Vec<Turn> = Vec::with_capacity(spans.len() * 2);
    for span in spans {
        turns.push(Turn::new(span.start - first, true, span.pitch));
        turns.push(Turn::new(span.end - first, false, span.pitch));
    }
    turns.sort_unstable();
    let mut n_sounding = [0u32; 128];
    let mut runs: Vec<Run> = Vec::new();
    let (mut chord, mut begun) = (Chord::REST, 0);
    for turn in turns {
        let pitch = turn.pitch();
        let n = &mut n_sounding[usize::from(pitch & 127)];
        // Ends come before starts at one position, but only of spans that began earlier.
        *n = if turn.starts() { *n + 1 } else { n.saturating_sub(1) };
        let bit = 1u128 << (pitch & 127);
        if (*n > 0) != (chord.bits() & bit != 0) {
            push_run(&mut runs, chord, turn.frame() - begun);
            begun = turn.frame();
            chord = Chord::from_bits(chord.bits() ^ bit);
        }
    }
    Ok(runs)
}

/// A pitch that begins or ends, in one number that sorts by frame, ends first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u64);

impl Turn {
    /// `frame` is at most [`MAX_FRAMES`], so nothing is shifted out.
    fn new(frame: u64, starts: bool, pitch: Pitch) -> Self {
        Self(frame << 8 | u64::from(starts) << 7 | u64::from(pitch.number()))
    }

    fn frame(self) -> u32 {
        (self.0 >> 8) as u32
    }

    fn starts(self) -> bool {
        self.0 >> 7 & 1 == 1
    }

    fn pitch(self) -> u8 {
        (self.0 & 127) as u8
    }
}

/// Adds a run, or lengthens the one before it when the chord is the same.
fn push_run(runs: &mut Vec<Run>, chord: Chord, n_frames: u32) {
    if n_frames == 0 {
        return;
    }
    match runs.last_mut() {
        Some(last) if last.chord == chord => last.n_frames += n_frames,
        _ => runs.push(Run { chord, n_frames }),
    }
}
