//! How much of a score comes back from its frames.

use std::ops::AddAssign;

use super::performance::Performance;
use crate::music::{Note, PedalSpan, Score, joined_spans};

/// How many notes and changes of the pedal came back, of how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    pub n_notes: usize,
    /// Those whose pitch and times came back.
    pub n_timed: usize,
    /// Those whose velocity did too.
    pub n_notes_back: usize,
    /// Each time the pedal goes down or up.
    pub n_turns: usize,
    pub n_turns_back: usize,
}

impl Recovery {
    /// Of the notes without regard to their velocity; 1 when there was none to lose.
    pub fn timed_share(&self) -> f64 {
        share(self.n_timed, self.n_notes)
    }

    /// 1 when there was none to lose.
    pub fn note_share(&self) -> f64 {
        share(self.n_notes_back, self.n_notes)
    }

    /// 1 when there was none to lose.
    pub fn pedal_share(&self) -> f64 {
        share(self.n_turns_back, self.n_turns)
    }
}

fn share(n: usize, of: usize) -> f64 {
    if of == 0 { 1.0 } else { n as f64 / of as f64 }
}

impl AddAssign for Recovery {
    fn add_assign(&mut self, other: Self) {
        self.n_notes += other.n_notes;
        self.n_timed += other.n_timed;
        self.n_notes_back += other.n_notes_back;
        self.n_turns += other.n_turns;
        self.n_turns_back += other.n_turns_back;
    }
}

/// Loudness may differ by so much.
const VELOCITY_TOLERANCE: u8 = 4;

/// Less than any tick, for the rounding of seconds.
const ROUNDING_SECS: f64 = 1e-4;

/// Compares a score with what came back of it. A note is back when there is one of its pitch,
/// which no other note claims, whose onset and end are at most `tolerance_secs` away and whose
/// velocity differs by 4 at most. A change of the pedal is back when there is one the same way as
/// near. Percussion isn't counted, nor is the pedal of channels without notes, nor what the pedal
/// does while nothing can sound: before the first note, and later than
/// [`Performance::MAX_RING_SECS`] after the last.
pub fn recovery(score: &Score, back: &Score, tolerance_secs: f64) -> Recovery {
    let tolerance = tolerance_secs + ROUNDING_SECS;
    let (sounds, found) = (sounds_by_pitch(score), sounds_by_pitch(back));
    let n_found = |velocity_tolerance| {
        let tolerances = (tolerance, velocity_tolerance);
        sounds.iter().zip(&found).map(|(all, found)| n_found(all, found, tolerances)).sum()
    };
    let (turns, found) = (pedal_turns(score), pedal_turns(back));
    let n_turns_back =
        turns.iter().zip(&found).map(|(turns, found)| n_near(turns, found, tolerance)).sum();
    Recovery {
        n_notes: score.notes().len(),
        n_timed: n_found(u8::MAX),
        n_notes_back: n_found(VELOCITY_TOLERANCE),
        n_turns: turns.iter().map(Vec::len).sum(),
        n_turns_back,
    }
}

/// A note in seconds.
struct Sound {
    on: f64,
    off: f64,
    velocity: u8,
}

/// The notes of each key, by onset.
fn sounds_by_pitch(score: &Score) -> Vec<Vec<Sound>> {
    let mut by_pitch: Vec<Vec<Sound>> = (0..128).map(|_| Vec::new()).collect();
    let (mut ons, mut offs) = (score.tempo_map.cursor(), score.tempo_map.cursor());
    for note in score.notes() {
        by_pitch[usize::from(note.pitch.number() & 127)].push(Sound {
            on: ons.secs_from_tick(note.start),
            off: offs.secs_from_tick(note.end()),
            velocity: note.velocity.number(),
        });
    }
    by_pitch
}

fn n_found(sounds: &[Sound], found: &[Sound], tolerances: (f64, u8)) -> usize {
    let (tolerance, velocity_tolerance) = tolerances;
    let mut is_claimed = vec![false; found.len()];
    let claims = sounds.iter().filter(|sound| {
        let first = found.partition_point(|other| other.on < sound.on - tolerance);
        let near = found[first..].iter().zip(&mut is_claimed[first..]);
        let mut near = near.take_while(|(other, _)| other.on <= sound.on + tolerance);
        let claimed = near.find(|(other, is_claimed)| {
            !**is_claimed
                && (other.off - sound.off).abs() <= tolerance
                && other.velocity.abs_diff(sound.velocity) <= velocity_tolerance
        });
        claimed.is_some_and(|(_, is_claimed)| !std::mem::replace(is_claimed, true))
    });
    claims.count()
}

/// When the pedal goes down, and when it goes up, in seconds.
fn pedal_turns(score: &Score) -> [Vec<f64>; 2] {
    let Some(first) = score.notes().first().map(|note| note.start) else {
        return [Vec::new(), Vec::new()];
    };
    let last = score.notes().iter().map(Note::end).max().unwrap_or(first);
    let secs = |tick| score.tempo_map.secs_from_tick(tick);
    let (begin, end) = (secs(first), secs(last) + Performance::MAX_RING_SECS);
    let channel = |part: u8| score.parts.get(usize::from(part)).map_or(0, |part| part.channel);
    let mut is_heard = [false; 256];
    for note in score.notes() {
        is_heard[usize::from(channel(note.part))] = true;
    }
    let is_heard = |span: &&PedalSpan| {
        is_heard[usize::from(channel(span.part))] && span.start < last && span.end > first
    };
    let spans = joined_spans(score.pedal.iter().filter(is_heard));
    let turns = |tick: fn(&std::ops::Range<crate::music::Tick>) -> crate::music::Tick| {
        spans.iter().map(|span| secs(tick(span)).clamp(begin, end)).collect()
    };
    [turns(|span| span.start), turns(|span| span.end)]
}

/// How many of ascending times have one of the others near, each of its own.
fn n_near(times: &[f64], others: &[f64], tolerance: f64) -> usize {
    let (mut n, mut next) = (0, 0);
    for time in times {
        while others.get(next).is_some_and(|other| *other < time - tolerance) {
            next += 1;
        }
        if others.get(next).is_some_and(|other| *other <= time + tolerance) {
            (n, next) = (n + 1, next + 1);
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, TempoMap, Tick, Velocity};

    /// At 960 ticks a second.
    fn score(notes: &[(u32, u32, u8)], pedal: &[(u32, u32)]) -> Score {
        let note = |&(start, length, velocity): &(u32, u32, u8)| Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::new(velocity).unwrap(),
            part: 0,
        };
        let mut score = Score::piano(TempoMap::default(), notes.iter().map(note).collect());
        let span =
            |&(start, end): &(u32, u32)| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
        score.pedal = pedal.iter().map(span).collect();
        score
    }

    fn check(score: &Score, back: &Score) -> (usize, usize) {
        let found = recovery(score, back, 0.1);
        (found.n_notes_back, found.n_turns_back)
    }

    #[test]
    fn everything_comes_back_from_itself() {
        let score = score(&[(0, 960, 80), (960, 960, 20)], &[(0, 480), (480, 3_000)]);
        let found = recovery(&score, &score, 0.0);
        assert_eq!((found.note_share(), found.pedal_share()), (1.0, 1.0));
        assert_eq!((found.n_notes, found.n_turns), (2, 4));
    }

    #[test]
    fn what_is_late_long_loud_or_claimed_by_another_is_not_back() {
        let one = |note| score(&[note], &[]);
        let note = one((960, 960, 80));
        for near in [(960 + 96, 960, 80), (960 - 96, 1_100, 84), (960, 864, 76)] {
            assert_eq!(check(&note, &one(near)).0, 1, "{near:?}");
        }
        for far in [(960 + 98, 960, 80), (960, 1_060, 80), (960, 960, 85)] {
            assert_eq!(check(&note, &one(far)).0, 0, "{far:?}");
        }
        let loud = recovery(&note, &one((960, 960, 120)), 0.1);
        assert_eq!((loud.n_timed, loud.n_notes_back), (1, 0));
        let twice = score(&[(960, 960, 80), (970, 960, 80)], &[]);
        assert_eq!(check(&twice, &note).0, 1);
    }

    #[test]
    fn the_pedal_is_back_where_it_turns_the_same_way() {
        let with = |pedal: &[(u32, u32)]| score(&[(0, 9_600, 80)], pedal);
        let pedal = with(&[(0, 480), (960, 1_920)]);
        assert_eq!(check(&pedal, &with(&[(50, 480), (960, 1_920)])).1, 4);
        assert_eq!(check(&pedal, &with(&[(0, 1_920)])).1, 2);
        assert_eq!(check(&pedal, &with(&[])).1, 0);
        // After the last note and its ring nobody hears it.
        let late = with(&[(9_000, 90_000), (95_000, 96_000)]);
        assert_eq!(recovery(&late, &late, 0.1).n_turns, 2);
    }
}
