//! Erasing: the note that is clicked, and every note that the pointer is dragged across.

use super::RollPoint;
use crate::editor::{NoteKey, ScoreEdit, Selection};
use crate::music::Note;
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

/// Notes that go when the button is released.
pub struct EraseNotes {
    notes: Vec<Note>,
    keys: Selection,
    at: RollPoint,
}

impl EraseNotes {
    /// `first` is what was clicked.
    pub fn new(first: Option<Note>, at: RollPoint) -> Self {
        let mut erased = Self { notes: Vec::new(), keys: Selection::new(), at };
        first.iter().for_each(|note| erased.add(note));
        erased
    }

    fn add(&mut self, note: &Note) {
        // Twins that differ in velocity only have one key.
        if self.keys.insert(NoteKey::from(note)) || !self.notes.contains(note) {
            self.notes.push(*note);
        }
    }

    /// Takes in what lies on the straight way to a point: a quick hand passes over rows.
    pub fn update(&mut self, point: RollPoint, index: &ScoreIndex) {
        let from = std::mem::replace(&mut self.at, point);
        if from == point {
            return;
        }
        let rows = i32::from(point.pitch) - i32::from(from.pitch);
        let n_rows = rows.unsigned_abs() + 1;
        for idx in 0..n_rows {
            let share = |idx: u32| f64::from(idx) / f64::from(n_rows);
            let tick = |share: f64| from.tick + (point.tick - from.tick) * share;
            let ends = (tick(share(idx)), tick(share(idx + 1)));
            let pitch = i32::from(from.pitch) + rows.signum() * idx as i32;
            // Casts from float saturate.
            let first = ends.0.min(ends.1).max(0.0) as u32;
            let last = (ends.0.max(ends.1).max(0.0) as u32).saturating_add(1);
            for note in index.notes_between(first, last) {
                if i32::from(note.pitch.number()) == pitch {
                    self.add(note);
                }
            }
        }
    }

    /// What is to go.
    pub fn keys(&self) -> &Selection {
        &self.keys
    }

    pub fn edit(&self) -> Option<ScoreEdit> {
        (!self.notes.is_empty()).then(|| ScoreEdit::Delete { notes: self.notes.clone() })
    }

    /// "Erase 3 notes".
    pub fn status(&self) -> String {
        match self.notes.len() {
            0 => String::new(),
            n => format!("Erase {}", text::n_notes(n)),
        }
    }
}
