//! Notes that a hand has taken hold of by one of them.

use crate::editor::{NoteKey, Selection};
use crate::music::{Note, Score, Tick};

/// The note that was grabbed, and all that go along with it.
pub struct Held {
    pub grabbed: Note,
    pub selection: Selection,
    /// Those of the selection, in order, as they were when this began.
    pub notes: Vec<Note>,
}

/// A note in a score in which something else has changed: itself, or the one that is there in its
/// place with another velocity.
pub fn carried_over(note: &Note, score: &Score) -> Option<Note> {
    let is_it = |other: &&Note| {
        (other.start, other.length, other.pitch, other.part)
            == (note.start, note.length, note.pitch, note.part)
    };
    let next = Tick(note.start.0.saturating_add(1));
    let there = || score.notes_starting_in(note.start..next).iter();
    there().find(|other| *other == note).or_else(|| there().find(is_it)).copied()
}

impl Held {
    /// A note and, if it is selected, all that are.
    pub fn new(grabbed: Note, score: &Score, selection: &Selection) -> Self {
        let key = NoteKey::from(&grabbed);
        let selection = match selection.contains(&key) {
            true => selection.clone(),
            false => Selection::from([key]),
        };
        let notes = selection.notes(score).copied().collect();
        Self { grabbed, selection, notes }
    }

    /// The same in a score in which something else has changed; `None` if one of them is gone.
    pub fn carried_over(self, score: &Score) -> Option<Self> {
        let notes: Option<Vec<Note>> =
            self.notes.iter().map(|note| carried_over(note, score)).collect();
        let notes = notes?;
        let selection = Selection::of(&notes);
        let is_there = selection.notes(score).count() == notes.len();
        let grabbed = carried_over(&self.grabbed, score)?;
        is_there.then_some(Self { grabbed, selection, notes })
    }

    /// The notes as something makes them.
    pub fn after(&self, change: impl Fn(&Note) -> Note) -> Vec<Note> {
        self.notes.iter().map(change).collect()
    }
}
