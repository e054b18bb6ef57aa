//! Undo and redo: every state of the score that a gesture made.

use std::sync::Arc;

use super::{EditError, ScoreEdit};
use crate::music::Score;

/// Score, and the states before and after it.
#[derive(Clone, Debug)]
pub struct History {
    score: Arc<Score>,
}

impl History {
    pub fn new(score: Score) -> Self {
        Self { score: Arc::new(score) }
    }

    pub fn score(&self) -> &Arc<Score> {
        &self.score
    }

    /// Applies the edit as one step.
    pub fn commit(&mut self, edit: &ScoreEdit) -> Result<(), EditError> {
        let _ = edit;
        todo!()
    }

    /// Goes back one step and says which.
    pub fn undo(&mut self) -> Option<String> {
        todo!()
    }

    pub fn redo(&mut self) -> Option<String> {
        todo!()
    }

    /// What [`Self::undo`] would undo.
    pub fn undo_label(&self) -> Option<&str> {
        todo!()
    }

    pub fn redo_label(&self) -> Option<&str> {
        todo!()
    }
}
