//! The framing of the original experiment: what `PrettyMIDI(path).instruments[0]
//! .get_piano_roll(fs) > 0` of pretty_midi 0.2 answers, from a [`Score`].
//!
//! Every rounding is repeated in the order in which pretty_midi does it, since a time that falls
//! on a frame's boundary goes to one side or the other by its last bit.
//!
//! *Limitations.* A score doesn't know which of its notes a file never closed (pretty_midi drops
//! them), nor pitch bends, nor that a tempo stood outside the first track (pretty_midi ignores
//! those). Files with such things may come out differently; piano music from notation programs
//! and recording pianos has none.

use super::FrameRate;
use super::frames::Span;
use crate::music::{Note, Pitch, Score, Tick};

/// The spans of the first instrument's notes that don't vanish.
pub(super) fn spans(score: &Score, rate: FrameRate) -> Vec<Span> {
    let clock = Clock::new(score);
    let fs = rate.per_second();
    // The cast truncates towards zero, as Python's `int` does.
    let frame = |tick: Tick| (clock.secs_from_tick(tick) * fs) as u64;
    let Some(part) = first_instrument(score) else { return Vec::new() };
    let windows: Vec<(u64, u64)> = score
        .pedal
        .iter()
        .filter(|span| span.part == part)
        .map(|span| (frame(span.start), frame(span.end)))
        .collect();
    let mut spans = Vec::new();
    for (pitch, start, end) in closed_notes(score, part) {
        let (start, end) = (frame(start), frame(end));
        if start < end {
            spans.push(Span { pitch, start, end: sustained(&windows, start, end) });
        }
    }
    spans
}

/// Within each span of the pedal the roll's running maximum is kept: a pitch that sounds anywhere
/// in it sounds to its end.
fn sustained(windows: &[(u64, u64)], start: u64, end: u64) -> u64 {
    let first = windows.partition_point(|(_, off)| *off <= start);
    let reached = windows[first..].iter().take_while(|(on, _)| *on < end);
    // Later spans can't begin before an earlier one ended, so the last one reached decides.
    reached.last().map_or(end, |(_, off)| end.max(*off))
}

/// pretty_midi makes an instrument when its first note ends, reading one track after the other.
/// Parts stand in the order of the tracks, so the first part with notes is the first instrument.
fn first_instrument(score: &Score) -> Option<u8> {
    score.notes().iter().map(|note| note.part).min()
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
    /// Tick, seconds there, seconds a tick from there on; ascending.
    corners: Vec<(Tick, f64, f64)>,
}

impl Clock {
    fn new(score: &Score) -> Self {
        let resolution = f64::from(score.tempo_map.ticks_per_quarter().get());
        let mut corners: Vec<(Tick, f64, f64)> = Vec::new();
        for change in score.tempo_map.changes() {
            let secs_per_tick = 60.0 / ((6e7 / f64::from(change.micros_per_quarter)) * resolution);
            match corners.last() {
                None => corners.push((change.tick, 0.0, secs_per_tick)),
                // A tempo that is only repeated begins no new corner, and adds no rounding.
                Some(&(_, _, before)) if before == secs_per_tick => {}
                Some(&(tick, secs, before)) => {
                    let now = secs + before * f64::from(change.tick.0 - tick.0);
                    corners.push((change.tick, now, secs_per_tick));
                }
            }
        }
        Self { corners }
    }

    fn secs_from_tick(&self, tick: Tick) -> f64 {
        let after = self.corners.partition_point(|corner| corner.0 <= tick);
        let Some(&(start, secs, per_tick)) = self.corners.get(after.saturating_sub(1)) else {
            return 0.0;
        };
        secs + per_tick * f64::from(tick.0.saturating_sub(start.0))
    }
}
