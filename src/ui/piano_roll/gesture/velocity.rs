//! Striking notes harder or softer.

use super::replacement;
use crate::editor::ScoreEdit;
use crate::music::{Note, Velocity};

/// Notes whose velocity is being changed, all by the same amount as far as each can go.
pub struct ChangeVelocity {
    grabbed: Note,
    notes: Vec<Note>,
    by: i32,
}

impl ChangeVelocity {
    pub fn new(grabbed: Note, notes: Vec<Note>) -> Self {
        Self { grabbed, notes, by: 0 }
    }

    /// Whether a note, as it was when this began, is one of its own.
    pub fn changes(&self, note: &Note) -> bool {
        self.notes.contains(note)
    }

    pub fn add(&mut self, by: i32) {
        // Turning back must act at once, even after turning on far beyond the end.
        self.by = (self.by + by).clamp(-126, 126);
    }

    pub fn grabbed_now(&self) -> Note {
        self.changed(&self.grabbed)
    }

    pub fn preview(&self) -> Vec<Note> {
        self.notes.iter().map(|note| self.changed(note)).collect()
    }

    fn changed(&self, note: &Note) -> Note {
        let velocity = Velocity::saturating(i32::from(note.velocity.number()) + self.by);
        Note { velocity, ..*note }
    }

    pub fn edit(&self) -> Option<ScoreEdit> {
        replacement(&self.notes, self.preview(), "Set velocity of")
    }

    /// "Velocity 84 to 92".
    pub fn status(&self) -> String {
        let (old, new) = (self.grabbed.velocity, self.grabbed_now().velocity);
        format!("Velocity {} to {}", old.number(), new.number())
    }
}
