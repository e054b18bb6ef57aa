//! Striking notes harder or softer.

use super::Held;
use crate::editor::operations;
use crate::editor::{Change, NoteKey, Selection};
use crate::music::{Note, Score};

/// Notes whose velocity is being changed, all by the same amount as far as each can go.
pub struct ChangeVelocity {
    pub held: Held,
    by: i32,
}

impl ChangeVelocity {
    pub fn new(held: Held) -> Self {
        Self { held, by: 0 }
    }

    /// Whether a note is one of its own.
    pub fn changes(&self, note: &Note) -> bool {
        self.held.selection.contains(&NoteKey::from(note))
    }

    pub fn add(&mut self, by: i32) {
        // Turning back must act at once, even after turning on far beyond the end.
        self.by = (self.by + by).clamp(-126, 126);
    }

    pub fn grabbed_now(&self) -> Note {
        operations::louder(&self.held.grabbed, self.by)
    }

    pub fn preview(&self) -> Vec<Note> {
        self.held.after(|note| operations::louder(note, self.by))
    }

    /// `None` when nothing would change. A selection stays, also when the note isn't in it.
    pub fn change(&self, score: &Score, selection: &Selection) -> Option<Change> {
        let change = operations::add_velocity(score, &self.held.selection, self.by)?;
        Some(Change { selection: selection.clone(), ..change })
    }

    /// "Velocity 84 to 92".
    pub fn status(&self) -> String {
        let (old, new) = (self.held.grabbed.velocity, self.grabbed_now().velocity);
        format!("Velocity {} to {}", old.number(), new.number())
    }
}
