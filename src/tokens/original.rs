//! The framing of the original experiment: what `PrettyMIDI(path).instruments[0]
//! .get_piano_roll(fs) > 0` of pretty_midi 0.2 answers.
//!
//! Every rounding is repeated in the order in which pretty_midi does it, since a time that falls
//! on a frame's boundary goes to one side or the other by its last bit.
//!
//! *Limitations.* A file is framed exactly. A score in memory no longer knows which of its notes
//! and pedals a file never ended (pretty_midi forgets those), nor tempo outside the first track,
//! bends, and changes of program; framed from a score, such files come out slightly differently.

use std::ops::Range;

use super::FrameRate;
use super::frames::Span;
use crate::music::smf::{Controls, FirstInstrument};
use crate::music::{Note, Pitch, Score, TempoMap, Tick};

/// Below this value the sustain pedal is up.
const PEDAL_THRESHOLD: u8 = 64;

/// The spans of a score's first instrument whose notes don't vanish.
pub(super) fn spans_from_score(score: &Score, rate: FrameRate) -> Vec<Span> {
    first_instrument(score).map_or_else(Vec::new, |first| spans(&first, rate))
}

/// The spans of an instrument's notes that don't vanish.
pub(super) fn spans(first: &FirstInstrument, rate: FrameRate) -> Vec<Span> {
    if first.is_percussion {
        return Vec::new();
    }
    let clock = Clock::new(first);
    let fs = rate.per_second();
    // The cast truncates towards zero, as Python's `int` does.
    let frame = |tick: Tick| (clock.secs_from_tick(tick) * fs) as u64;
    let pedal = pedal_windows(&first.controls.sustain, frame);
    let mut spans = Vec::with_capacity(first.notes.len());
    for &(pitch, start, end) in &first.notes {
        let (start, end) = (frame(start), frame(end));
        if start < end {
            spans.push(Span { pitch, start, end: sustained(&pedal, start, end) });
        }
    }
    if first.controls.bends.is_empty() {
        return spans;
    }
    let last_note = first.notes.iter().map(|note| note.2).max().unwrap_or_default();
    let end = frame(last_note.max(first.controls.last));
    bent(&spans, &bend_windows(&first.controls.bends, frame, end))
}

/// From each "down" to the next "up"; a pedal that stays down to the end doesn't count.
fn pedal_windows(sustain: &[(Tick, u8)], frame: impl Fn(Tick) -> u64) -> Vec<Range<u64>> {
    let mut windows = Vec::new();
    let mut down = None;
    for &(tick, value) in sustain {
        match (down, value >= PEDAL_THRESHOLD) {
            (None, true) => down = Some(frame(tick)),
            (Some(start), false) => {
                windows.push(start..frame(tick));
                down = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    windows
}

/// Within each span of the pedal the roll's running maximum is kept: a pitch that sounds anywhere
/// in it sounds to its end.
fn sustained(windows: &[Range<u64>], start: u64, end: u64) -> u64 {
    let first = windows.partition_point(|window| window.end <= start);
    let reached = windows[first..].iter().take_while(|window| window.start < end);
    // Later spans can't begin before an earlier one ended, so the last one reached decides.
    reached.last().map_or(end, |window| end.max(window.end))
}

/// What a bend makes of the pitches in its window.
struct Bend {
    window: Range<u64>,
    /// Whole semitones.
    shift: i32,
    /// Where what is left over spreads a pitch to: its neighbor in that direction sounds too.
    spread: Option<i32>,
}

/// Each bend holds until the next. A full bend is two semitones.
fn bend_windows(bends: &[(Tick, i16)], frame: impl Fn(Tick) -> u64, end: u64) -> Vec<Bend> {
    let ends = bends.iter().skip(1).map(|bend| frame(bend.0)).chain([end]);
    bends
        .iter()
        .zip(ends)
        .filter(|(bend, _)| bend.1 != 0)
        .map(|(&(start, bend), end)| {
            let bend = i32::from(bend);
            let direction = bend.signum();
            let spread = (bend % 4_096 != 0).then_some(direction);
            Bend { window: frame(start)..end, shift: bend / 4_096, spread }
        })
        .filter(|bend| bend.window.start < bend.window.end)
        .collect()
}

/// Cuts spans where bends begin and end, and moves what lies within.
fn bent(spans: &[Span], bends: &[Bend]) -> Vec<Span> {
    let mut cut = Vec::with_capacity(spans.len());
    for span in spans {
        let mut at = span.start;
        let first = bends.partition_point(|bend| bend.window.end <= span.start);
        for bend in bends[first..].iter().take_while(|bend| bend.window.start < span.end) {
            let start = bend.window.start.max(span.start);
            let end = bend.window.end.min(span.end);
            push(&mut cut, Some(span.pitch), at..start);
            let pitch = span.pitch.transposed(bend.shift);
            push(&mut cut, pitch, start..end);
            let neighbor = bend.spread.and_then(|spread| pitch?.transposed(spread));
            push(&mut cut, neighbor, start..end);
            at = end;
        }
        push(&mut cut, Some(span.pitch), at..span.end);
    }
    cut
}

fn push(spans: &mut Vec<Span>, pitch: Option<Pitch>, frames: Range<u64>) {
    if let Some(pitch) = pitch.filter(|_| frames.start < frames.end) {
        spans.push(Span { pitch, start: frames.start, end: frames.end });
    }
}

/// pretty_midi makes an instrument when its first note ends, reading one track after the other.
/// Parts stand in the order of the tracks, so the first part with notes is the first instrument.
fn first_instrument(score: &Score) -> Option<FirstInstrument> {
    let part = score.notes().iter().map(|note| note.part).min()?;
    let spans = score.pedal.iter().filter(|span| span.part == part);
    let sustain = spans.flat_map(|span| [(span.start, 127), (span.end, 0)]).collect();
    Some(FirstInstrument {
        is_percussion: false,
        ticks_per_quarter: score.tempo_map.ticks_per_quarter(),
        tempos: score.tempo_map.changes().to_vec(),
        notes: closed_notes(score, part),
        controls: Controls { sustain, ..Controls::default() },
    })
}

/// Start and end of the part's notes as pretty_midi pairs them: a note-off closes every note of
/// its pitch that began on an earlier tick. So a note ends at the first note-off after its start.
fn closed_notes(score: &Score, part: u8) -> Vec<(Pitch, Tick, Tick)> {
    let notes = || score.notes().iter().filter(|note| note.part == part);
    let mut offs: Vec<(Pitch, Tick)> = notes().map(|note| (note.pitch, note.end())).collect();
    offs.sort_unstable();
    let first_off = |note: &Note| {
        let idx = offs.partition_point(|off| *off <= (note.pitch, note.start));
        offs.get(idx).filter(|off| off.0 == note.pitch).map(|off| off.1)
    };
    notes().filter_map(|note| Some((note.pitch, note.start, first_off(note)?))).collect()
}

/// pretty_midi's table from ticks to seconds, kept as its corners.
struct Clock {
    /// Tick, seconds there, seconds a tick from there on; ascending, the first at 0.
    corners: Vec<(Tick, f64, f64)>,
}

impl Clock {
    fn new(first: &FirstInstrument) -> Self {
        let resolution = f64::from(first.ticks_per_quarter.get());
        let secs_per_tick = |micros: u32| 60.0 / ((6e7 / f64::from(micros)) * resolution);
        let mut corners = vec![(Tick::ZERO, 0.0, secs_per_tick(TempoMap::DEFAULT_MICROS))];
        for change in &first.tempos {
            let after = secs_per_tick(change.micros_per_quarter);
            let (tick, secs, before) = corners[corners.len() - 1];
            if change.tick == Tick::ZERO {
                corners = vec![(Tick::ZERO, 0.0, after)];
            } else if after != before {
                // A tempo that is only repeated begins no new corner, and adds no rounding.
                let now = secs + before * f64::from(change.tick.0.saturating_sub(tick.0));
                corners.push((change.tick, now, after));
            }
        }
        Self { corners }
    }

    fn secs_from_tick(&self, tick: Tick) -> f64 {
        let after = self.corners.partition_point(|corner| corner.0 <= tick);
        let (start, secs, per_tick) = self.corners[after.max(1) - 1];
        secs + per_tick * f64::from(tick.0.saturating_sub(start.0))
    }
}
