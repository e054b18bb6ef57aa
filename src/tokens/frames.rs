//! Scores cut into frames.
//!
//! A piece is first a list of runs (a chord and for how many frames it stays), which costs memory
//! by the note and not by the second; [`roll_from_score`] spells the runs out. How frames become
//! a score again stands in `playback`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Chord, Grid, original};
use crate::music::smf::Sounding;
use crate::music::{
    MeterChange, Note, PedalSpan, Pitch, Score, TempoCursor, TempoMap, Tick, joined_spans,
};

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
    /// Learning with touch, where a frame in which nothing changes costs nothing.
    pub const TOUCH_DEFAULT: Self = Self(16.0);
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
    #[serde(default)]
    pub grid: Grid,
}

impl FramingPlan {
    /// # Errors
    /// Where the plan contradicts itself: the original's framing knows real time only.
    pub fn check(&self) -> Result<(), FramesError> {
        match (self.framing, self.grid) {
            (Framing::Original, Grid::Beats(_)) => Err(FramesError::OriginalGrid),
            (Framing::Nearest | Framing::Original, _) => Ok(()),
        }
    }
}

impl Default for FramingPlan {
    fn default() -> Self {
        Self {
            rate: FrameRate::INPUT_DEFAULT,
            framing: Framing::default(),
            pedalling: Pedalling::default(),
            grid: Grid::default(),
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
    #[error(
        "the framing of the original experiment knows no beats — choose frames in real time, or \
         --framing nearest"
    )]
    OriginalGrid,
    #[error(
        "the framing of the original experiment knows neither strikes nor pedal — choose the \
         off-on alphabet, or --framing nearest"
    )]
    OriginalTouch,
}

/// Most frames of one piece: 58 days at 2 frames a second, 14 hours at 200. A file whose two
/// notes stand days apart must not fill the memory with rests.
pub const MAX_FRAMES: u64 = 10_000_000;

/// The frames of a score, without leading and trailing rests; empty when nothing sounds.
///
/// # Errors
/// [`FramesError::TooLong`] for more than [`MAX_FRAMES`], before any of them is in memory; also
/// where the plan contradicts itself.
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
    plan.check()?;
    runs_from_spans(&spans_from_score(score, plan))
}

/// The same for what sounds of a file, with [`Framing::Nearest`].
pub(super) fn nearest_runs(
    sounding: &Sounding,
    plan: &FramingPlan,
) -> Result<Vec<Run>, FramesError> {
    runs_from_spans(&nearest_spans(&Sounds::of_file(sounding), plan))
}

/// The spans of a score's notes, in no order.
pub(super) fn spans_from_score(score: &Score, plan: &FramingPlan) -> Vec<Span> {
    match plan.framing {
        Framing::Nearest => nearest_spans(&Sounds::of_score(score), plan),
        Framing::Original => original::spans_from_score(score, plan.rate),
    }
}

/// What frames are made of; none of it has to be in order.
pub(super) struct Sounds<'a> {
    pub tempo_map: &'a TempoMap,
    pub notes: &'a [Note],
    pub pedal: &'a [PedalSpan],
    pub meters: &'a [MeterChange],
    /// The MIDI channel of each part.
    channels: Vec<u8>,
}

impl<'a> Sounds<'a> {
    pub fn of_score(score: &'a Score) -> Self {
        let channels = score.parts.iter().map(|part| part.channel & 15).collect();
        let (tempo_map, notes, pedal) = (&score.tempo_map, score.notes(), &score.pedal);
        Self { tempo_map, notes, pedal, meters: &score.meters, channels }
    }

    pub fn of_file(sounding: &'a Sounding) -> Self {
        let Sounding { tempo_map, notes, pedal, meters, channels, .. } = sounding;
        let channels = channels.iter().map(|channel| channel & 15).collect();
        Self { tempo_map, notes, pedal, meters, channels }
    }

    /// The MIDI channel of a part, 0–15; of one that isn't there, the first.
    pub fn channel(&self, part: u8) -> u8 {
        self.channels.get(usize::from(part)).copied().unwrap_or(0)
    }
}

/// When a tick is, in frames from the beginning of the piece. For asking about many ticks, each
/// near the one before.
#[derive(Clone)]
pub(super) enum FrameClock<'a> {
    Seconds { cursor: TempoCursor<'a>, rate: f64 },
    Beats { steps: f64, ticks_per_quarter: f64 },
}

impl<'a> FrameClock<'a> {
    pub fn new(tempo_map: &'a TempoMap, plan: &FramingPlan) -> Self {
        match plan.grid {
            Grid::Seconds => {
                Self::Seconds { cursor: tempo_map.cursor(), rate: plan.rate.per_second() }
            }
            Grid::Beats(steps) => Self::Beats {
                steps: f64::from(steps.get()),
                ticks_per_quarter: f64::from(tempo_map.ticks_per_quarter().get()),
            },
        }
    }

    #[inline]
    pub fn frame_at(&mut self, tick: Tick) -> f64 {
        match self {
            Self::Seconds { cursor, rate } => cursor.secs_from_tick(tick) * *rate,
            Self::Beats { steps, ticks_per_quarter } => {
                f64::from(tick.0) * *steps / *ticks_per_quarter
            }
        }
    }
}

/// One span a note: both ends at the nearest boundary, at least one frame.
pub(super) fn nearest_spans(sounds: &Sounds<'_>, plan: &FramingPlan) -> Vec<Span> {
    let pedals = match plan.pedalling {
        Pedalling::Keys => None,
        Pedalling::Sustained => Some(Pedals::new(sounds)),
    };
    let mut starts = FrameClock::new(sounds.tempo_map, plan);
    let mut ends = starts.clone();
    let mut spans = Vec::with_capacity(sounds.notes.len());
    for note in sounds.notes {
        let end = match &pedals {
            Some(pedals) => pedals.release(sounds.channel(note.part), note.end()),
            None => note.end(),
        };
        let start = nearest(starts.frame_at(note.start));
        let end = nearest(ends.frame_at(end)).max(start.saturating_add(1));
        spans.push(Span { pitch: note.pitch, start, end });
    }
    spans
}

/// `f64::round` of a number that isn't negative: on x86 that is a call into the C library.
pub(super) fn nearest(frame: f64) -> u64 {
    // A float to integer cast saturates, so that absurd times stay in range; the signed one is
    // a single instruction.
    let below = frame as i64;
    (below as u64).saturating_add(u64::from(frame - below as f64 >= 0.5))
}

/// When the dampers fall, by MIDI channel.
///
/// Where a string struck again ends needs no rule here: a frame knows that a pitch sounds, not
/// how often it was struck.
pub(super) struct Pedals {
    /// Ascending and apart, for each channel.
    by_channel: [Vec<Range<Tick>>; 16],
}

impl Pedals {
    pub fn new(sounds: &Sounds<'_>) -> Self {
        let by_channel = std::array::from_fn(|channel| {
            let own = |span: &&PedalSpan| sounds.channel(span.part) == channel as u8;
            joined_spans(sounds.pedal.iter().filter(own))
        });
        Self { by_channel }
    }

    /// When a key of a channel, let go at `tick`, falls silent.
    pub fn release(&self, channel: u8, tick: Tick) -> Tick {
        let spans = &self.by_channel[usize::from(channel & 15)];
        let after = spans.partition_point(|span| span.start <= tick);
        after.checked_sub(1).map_or(tick, |idx| spans[idx].end.max(tick))
    }
}

/// Runs of the frames in which the spans sound, from the first of them on.
pub(super) fn runs_from_spans(spans: &[Span]) -> Result<Vec<Run>, FramesError> {
    let Some(first) = spans.iter().map(|span| span.start).min() else {
        return Ok(Vec::new());
    };
    let last = spans.iter().map(|span| span.end).max().unwrap_or(first);
    let n_frames = last - first;
    if n_frames > MAX_FRAMES {
        return Err(FramesError::TooLong { n_frames });
    }
    let lengths = spans.iter().map(|span| span.end - span.start);
    let n_sounding = lengths.fold(0u64, u64::saturating_add);
    let work = spans.len() as u64 * FRAMES_PER_SPAN;
    match n_frames.saturating_add(n_sounding) <= work {
        true => Ok(filled_runs(spans, first, n_frames)),
        false => Ok(swept_runs(spans, first)),
    }
}

/// Up to so many frames for a span it is faster to write each of them than to sort the spans.
const FRAMES_PER_SPAN: u64 = 64;

/// Writes every frame of every span, as music at a few frames a second asks for.
fn filled_runs(spans: &[Span], first: u64, n_frames: u64) -> Vec<Run> {
    let mut roll = vec![0u128; n_frames as usize];
    for span in spans {
        let bit = 1u128 << (span.pitch.number() & 127);
        let frames = (span.start - first) as usize..(span.end - first) as usize;
        roll[frames].iter_mut().for_each(|frame| *frame |= bit);
    }
    let same = roll.chunk_by(|a, b| a == b);
    same.map(|run| Run { chord: Chord::from_bits(run[0]), n_frames: run.len() as u32 }).collect()
}

/// Sweeps over the ends of all spans in order, counting how often each pitch sounds: what few
/// notes over many frames ask for.
fn swept_runs(spans: &[Span], first: u64) -> Vec<Run> {
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
    runs
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

/// The runs of a roll.
pub(super) fn runs_from_roll(roll: &[Chord]) -> Vec<Run> {
    let same = roll.chunk_by(|a, b| a == b);
    same.map(|run| Run { chord: run[0], n_frames: run.len() as u32 }).collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_frame_is_that_of_round() {
        let halves = (0..40).map(|n| f64::from(n) / 2.0);
        let edges = [0.499_999_999_999_999_94, 4_503_599_627_370_497.5, 1e300, f64::INFINITY];
        for x in halves.flat_map(|x| [x, x.next_up(), x.next_down().max(0.0)]).chain(edges) {
            let round = (x.round() as u64).min(1 << 63);
            assert_eq!(nearest(x), round, "{x:?}");
        }
    }

    proptest! {
        #[test]
        fn filling_and_sweeping_find_the_same_runs(
            notes in prop::collection::vec((0u8..128, 5u64..60, 1u64..20), 1..60),
        ) {
            let spans: Vec<Span> = notes
                .into_iter()
                .map(|(pitch, start, length)| {
                    Span { pitch: Pitch::new(pitch).unwrap(), start, end: start + length }
                })
                .collect();
            let first = spans.iter().map(|span| span.start).min().unwrap();
            let last = spans.iter().map(|span| span.end).max().unwrap();
            prop_assert_eq!(filled_runs(&spans, first, last - first), swept_runs(&spans, first));
        }
    }
}
