//! Giving notes to another part.

use super::Change;
use crate::editor::Selection;
use crate::music::{Note, Score};

/// Moves the selected notes to a part. `None` when there is no such part.
pub fn move_to_part(score: &Score, selection: &Selection, part: u8) -> Option<Change> {
    if usize::from(part) >= score.parts.len() {
        return None;
    }
    Change::replacing(score, selection, "Change part of", |note| Note { part, ..*note })
}
