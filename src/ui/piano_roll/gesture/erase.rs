//! Erasing: the note that is clicked, and every note that the pointer is dragged across.

use super::RollPoint;
use crate::editor::{Change, NoteKey, Selection, operations};
use crate::music::{Note, Score};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

/// Notes that go when the button is released.
pub struct EraseNotes {
    pub keys: Selection,
    at: RollPoint,
}

impl EraseNotes {
    /// `first` is what was clicked.
    pub fn new(first: Option<Note>, at: RollPoint) -> Self {
        Self { keys: Selection::of(&first), at }
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
                    self.keys.insert(NoteKey::from(note));
                }
            }
        }
    }

    /// `None` when no note was met. What else was selected stays so.
    pub fn change(&self, score: &Score, selection: &Selection) -> Option<Change> {
        let change = operations::delete(score, &self.keys)?;
        Some(Change { selection: selection.without(&self.keys), ..change })
    }

    /// "Erase 3 notes".
    pub fn status(&self) -> String {
        match self.keys.len() {
            0 => String::new(),
            n => format!("Erase {}", text::n_notes(n)),
        }
    }
}
