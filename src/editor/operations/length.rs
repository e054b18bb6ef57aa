//! How long notes are.

use super::Change;
use crate::editor::Selection;
use crate::music::{Note, Score, Tick};

/// Makes the selected notes last so many ticks, at least one.
pub fn set_length(score: &Score, selection: &Selection, length: Tick) -> Option<Change> {
    Change::replacing(score, selection, "Set length of", |note| {
        with_length(note, f64::from(length.0))
    })
}

/// Makes the selected notes so many times as long, at least one tick. What isn't a positive
/// number changes nothing.
pub fn scale_length(score: &Score, selection: &Selection, factor: f64) -> Option<Change> {
    if !(factor.is_finite() && factor > 0.0) {
        return None;
    }
    Change::replacing(score, selection, "Scale length of", |note| {
        with_length(note, f64::from(note.length.0) * factor)
    })
}

fn with_length(note: &Note, length: f64) -> Note {
    // A float to integer cast saturates; a note has room for one tick at least.
    let longest = (u32::MAX - note.start.0).max(1);
    Note { length: Tick((length.round() as u32).clamp(1, longest)), ..*note }
}
