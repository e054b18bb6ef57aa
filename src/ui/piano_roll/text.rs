//! Notes, places and lengths in words: for the hint under the pointer, for the status of a
//! gesture and for a screen reader.

use super::index::ScoreIndex;
use crate::music::{BarBeat, Note, Pitch, Tick};
use crate::ui::widgets::counted;

/// "C4", "F#3".
pub fn pitch(pitch: Pitch) -> String {
    pitch.to_string()
}

/// "C sharp 4": how a screen reader should say it.
pub fn spoken_pitch(pitch: Pitch) -> String {
    const NAMES: [&str; 12] =
        ["C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B"];
    let octave = match pitch.octave() {
        octave if octave < 0 => format!("minus {}", -octave),
        octave => octave.to_string(),
    };
    format!("{} {octave}", NAMES[usize::from(pitch.class())])
}

/// A length as a share of a whole note, or in ticks when it is no plain one: "1/4", "3/8",
/// "137 ticks".
pub fn length(length: Tick, index: &ScoreIndex) -> String {
    let whole = u64::from(index.score().tempo_map.ticks_per_quarter().get()) * 4;
    let divisor = gcd(u64::from(length.0), whole);
    let (top, bottom) = (u64::from(length.0) / divisor, whole / divisor);
    match bottom {
        1 => top.to_string(),
        ..=64 if top <= 64 => format!("{top}/{bottom}"),
        _ => format!("{} ticks", length.0),
    }
}

/// A length as a musician says it: "eighth", "dotted quarter", "sixteenth triplet"; as
/// [`length`] writes it when it has no such name.
pub fn spoken_length(length: Tick, index: &ScoreIndex) -> String {
    const NAMES: [(u64, &str); 7] = [
        (1, "whole"),
        (2, "half"),
        (4, "quarter"),
        (8, "eighth"),
        (16, "sixteenth"),
        (32, "thirty-second"),
        (64, "sixty-fourth"),
    ];
    let whole = u64::from(index.score().tempo_map.ticks_per_quarter().get()) * 4;
    let ticks = u64::from(length.0);
    for (per_whole, name) in NAMES {
        let parts = ticks * per_whole;
        if parts == whole {
            return name.to_owned();
        }
        if parts * 2 == whole * 3 {
            return format!("dotted {name}");
        }
        if parts * 3 == whole * 2 {
            return format!("{name} triplet");
        }
    }
    format!("length {}", self::length(length, index))
}

/// "+1 beat", "−1.5 beats": a distance counted in the beats of the bar at `at`.
pub fn signed_beats(ticks: i64, index: &ScoreIndex, at: Tick) -> String {
    let beats = ticks as f64 / f64::from(index.bars().at(at).ticks_per_beat);
    let rounded = (beats.abs() * 1000.0).round() / 1000.0;
    let sign = if ticks < 0 { '−' } else { '+' };
    let unit = if rounded == 1.0 { "beat" } else { "beats" };
    format!("{sign}{rounded} {unit}")
}

/// "C4 · 3:2:000 · 1/4 · velocity 84".
pub fn hint(note: &Note, index: &ScoreIndex) -> String {
    let place = place(note.start, index);
    let length = length(note.length, index);
    format!("{} · {place} · {length} · velocity {}", pitch(note.pitch), note.velocity.number())
}

/// "3:2:000": bar, beat, ticks.
pub fn place(tick: Tick, index: &ScoreIndex) -> String {
    bar_beat(tick, index).to_string()
}

/// "1 note", "1,024 notes".
pub fn n_notes(n_notes: usize) -> String {
    counted(n_notes, "note", "notes")
}

/// "C sharp 4, bar 3 beat 2, eighth, velocity 84".
pub fn spoken_note(note: &Note, index: &ScoreIndex) -> String {
    format!(
        "{}, {}, {}, velocity {}",
        spoken_pitch(note.pitch),
        spoken_place(note.start, index),
        spoken_length(note.length, index),
        note.velocity.number()
    )
}

/// "bar 3 beat 2", "bar 3 beat 2 tick 7".
pub fn spoken_place(tick: Tick, index: &ScoreIndex) -> String {
    match bar_beat(tick, index) {
        BarBeat { bar, beat, tick: 0 } => format!("bar {bar} beat {beat}"),
        BarBeat { bar, beat, tick } => format!("bar {bar} beat {beat} tick {tick}"),
    }
}

fn bar_beat(tick: Tick, index: &ScoreIndex) -> BarBeat {
    let bar = index.bars().at(tick);
    let into = tick.0 - bar.start.0;
    let (beat, tick) = (into / bar.ticks_per_beat + 1, into % bar.ticks_per_beat);
    BarBeat { bar: bar.number, beat, tick }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::music::{Score, Velocity};

    #[test]
    fn musicians_can_read_it() {
        let index = ScoreIndex::new(&Arc::new(Score::default()));
        let note = Note {
            start: Tick(480 * 9 + 7),
            length: Tick(720),
            pitch: Pitch::new(61).unwrap(),
            velocity: Velocity::new(84).unwrap(),
            part: 0,
        };
        assert_eq!(hint(&note, &index), "C#4 · 3:2:007 · 3/8 · velocity 84");
        let spoken = "C sharp 4, bar 3 beat 2 tick 7, dotted quarter, velocity 84";
        assert_eq!(spoken_note(&note, &index), spoken);
        assert_eq!(spoken_pitch(Pitch::new(0).unwrap()), "C minus 1");
        assert_eq!(length(Tick(137), &index), "137 ticks");
        assert_eq!(length(Tick(1920), &index), "1");
        assert_eq!(spoken_length(Tick(240), &index), "eighth");
        assert_eq!(spoken_length(Tick(1920), &index), "whole");
        assert_eq!(spoken_length(Tick(160), &index), "eighth triplet");
        assert_eq!(spoken_length(Tick(2400), &index), "length 5/4");
        assert_eq!(signed_beats(480, &index, Tick(0)), "+1 beat");
        assert_eq!(signed_beats(-720, &index, Tick(0)), "−1.5 beats");
    }
}
