//! Moving notes in time and pitch, and copying them elsewhere.

use super::{Change, chosen};
use crate::editor::{Extent, ScoreEdit, Selection};
use crate::music::{Note, Pitch, Score, Tick};

/// How far notes are moved, all alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shift {
    pub ticks: i64,
    pub semitones: i32,
}

impl Shift {
    /// As much of it as all the notes can go, until the first of them reaches an edge: of the
    /// piece, and of the piano as long as they are all on it, else of all keys of MIDI.
    pub fn within<'a>(self, notes: impl IntoIterator<Item = &'a Note>) -> Self {
        let Some(extent) = Extent::of(notes) else { return Self::default() };
        let keys = match extent.lowest.is_on_piano() && extent.highest.is_on_piano() {
            true => (Pitch::PIANO_LOWEST.number(), Pitch::PIANO_HIGHEST.number()),
            false => (0, 127),
        };
        let room = |from: Pitch, to: u8| i32::from(to) - i32::from(from.number());
        Self {
            ticks: self.ticks.clamp(-i64::from(extent.start.0), i64::from(u32::MAX - extent.end.0)),
            semitones: self
                .semitones
                .clamp(room(extent.lowest, keys.0), room(extent.highest, keys.1)),
        }
    }

    /// A note where it brings it, if the shift is [within](Self::within) its reach.
    pub fn of(self, note: &Note) -> Note {
        Note {
            // Within the piece, so that nothing is cut off.
            start: Tick((i64::from(note.start.0) + self.ticks) as u32),
            pitch: note.pitch.transposed(self.semitones).unwrap_or(note.pitch),
            ..*note
        }
    }

    /// The way back.
    pub fn reversed(self) -> Self {
        Self { ticks: -self.ticks, semitones: -self.semitones }
    }

    /// The one that makes the second notes of the first; `None` where it isn't the same for all.
    pub fn between(from: &[Note], to: &[Note]) -> Option<Self> {
        let apart = |from: &Note, to: &Note| Self {
            ticks: i64::from(to.start.0) - i64::from(from.start.0),
            semitones: i32::from(to.pitch.number()) - i32::from(from.pitch.number()),
        };
        let shift = apart(from.first()?, to.first()?);
        let is_alike = |(from, to): (&Note, &Note)| {
            apart(from, to) == shift
                && Note { start: from.start, pitch: from.pitch, ..*to } == *from
        };
        (from.len() == to.len() && from.iter().zip(to).all(is_alike)).then_some(shift)
    }
}

/// Moves the selected notes, as far as they can go.
pub fn move_notes(score: &Score, selection: &Selection, by: Shift) -> Option<Change> {
    shifted(score, selection, by, "Move")
}

/// Copies the selected notes to another place, as far as they can go, and selects the copies.
pub fn copy_notes(score: &Score, selection: &Selection, by: Shift) -> Option<Change> {
    let notes = chosen(score, selection);
    let copies = moved(&notes, by);
    if copies == notes {
        return None;
    }
    let selection = Selection::of(&copies);
    Some(Change { edit: ScoreEdit::Copy { notes: copies }, selection })
}

pub(super) fn shifted(
    score: &Score,
    selection: &Selection,
    by: Shift,
    label: &'static str,
) -> Option<Change> {
    let notes = chosen(score, selection);
    let by = by.within(&notes);
    let notes = Selection::of(&notes);
    (by != Shift::default()).then(|| Change {
        selection: notes.shifted(by),
        edit: ScoreEdit::Shift { notes, by, label },
    })
}

/// The notes moved as far as they can go.
pub(in crate::editor) fn moved(notes: &[Note], by: Shift) -> Vec<Note> {
    let by = by.within(notes);
    notes.iter().map(|note| by.of(note)).collect()
}
