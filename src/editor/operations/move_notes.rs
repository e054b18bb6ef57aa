//! Moving notes in time and pitch, and copying them elsewhere.

use super::{Change, chosen};
use crate::editor::{ScoreEdit, Selection};
use crate::music::{Note, Pitch, Score, Tick};

/// Moves the selected notes, all alike: as far as the first of them to reach an edge can go.
pub fn move_notes(
    score: &Score,
    selection: &Selection,
    ticks: i64,
    semitones: i32,
) -> Option<Change> {
    let notes = chosen(score, selection);
    Change::pairing(&notes, &moved(&notes, ticks, semitones)?, "Move")
}

/// Copies the selected notes to another place, and selects the copies. Stops at the edges as
/// [`move_notes`] does.
pub fn copy_notes(
    score: &Score,
    selection: &Selection,
    ticks: i64,
    semitones: i32,
) -> Option<Change> {
    let notes = chosen(score, selection);
    let copies = moved(&notes, ticks, semitones)?;
    if copies == notes {
        return None;
    }
    let selection = Selection::of(&copies);
    Some(Change { edit: ScoreEdit::Copy { notes: copies }, selection })
}

/// All the notes moved alike, so that none leaves the piece or the keys. `None` without notes.
pub(super) fn moved(notes: &[Note], ticks: i64, semitones: i32) -> Option<Vec<Note>> {
    let earliest = notes.iter().map(|note| note.start.0).min()?;
    let latest = notes.iter().map(|note| note.end().0).max()?;
    let ticks = ticks.clamp(-i64::from(earliest), i64::from(u32::MAX - latest));
    let semitones = bounded_semitones(notes, semitones);
    let note = |note: &Note| Note {
        start: Tick((i64::from(note.start.0) + ticks) as u32),
        pitch: note.pitch.transposed(semitones).unwrap_or(note.pitch),
        ..*note
    };
    Some(notes.iter().map(note).collect())
}

/// As many semitones as all the notes can be moved by: on the piano as long as they are all on
/// it, else among all keys of MIDI.
fn bounded_semitones(notes: &[Note], semitones: i32) -> i32 {
    let pitches = || notes.iter().map(|note| note.pitch);
    let (Some(lowest), Some(highest)) = (pitches().min(), pitches().max()) else { return 0 };
    let keys = match lowest.is_on_piano() && highest.is_on_piano() {
        true => (Pitch::PIANO_LOWEST.number(), Pitch::PIANO_HIGHEST.number()),
        false => (0, 127),
    };
    let down = i32::from(keys.0) - i32::from(lowest.number());
    let up = i32::from(keys.1) - i32::from(highest.number());
    semitones.clamp(down, up)
}
