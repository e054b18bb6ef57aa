//! Writing a note.

use super::Change;
use crate::editor::{ScoreEdit, Selection};
use crate::music::Note;

/// Writes a note and selects it.
pub fn add_note(note: Note) -> Change {
    Change { edit: ScoreEdit::Add { notes: vec![note] }, selection: Selection::of([&note]) }
}
