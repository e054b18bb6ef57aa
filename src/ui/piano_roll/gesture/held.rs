//! Notes that a hand has taken hold of by one of them.

use crate::editor::{NoteKey, Selection};
use crate::music::{Note, Score};

/// The note that was grabbed, and all that go along with it.
pub struct Held {
    pub grabbed: Note,
    pub selection: Selection,
    /// Those of the selection, in order, as they were when this began.
    pub notes: Vec<Note>,
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

    /// The notes as something makes them.
    pub fn after(&self, change: impl Fn(&Note) -> Note) -> Vec<Note> {
        self.notes.iter().map(change).collect()
    }
}
