//! Making one note of several.

use super::{Change, chosen, counted};
use crate::editor::Selection;
use crate::music::{Note, Score};

/// Joins the selected notes of each pitch and part into one that lasts from the start of the
/// first to the end of the last, as strong as the first. `None` where no pitch is selected twice.
pub fn join(score: &Score, selection: &Selection) -> Option<Change> {
    let mut notes = chosen(score, selection);
    // Stable, so that within a pitch the earliest stays first.
    notes.sort_by_key(|note| (note.part, note.pitch));
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let mut result: Vec<Note> = Vec::new();
    for group in notes.chunk_by(|a, b| (a.part, a.pitch) == (b.part, b.pitch)) {
        let first = group[0];
        let end = group.iter().map(Note::end).max().unwrap_or(first.end());
        let joined = Note { length: end.saturating_sub(first.start), ..first };
        result.push(joined);
        if group.len() > 1 {
            removed.extend_from_slice(group);
            added.push(joined);
        }
    }
    let label = counted("Join", removed.len());
    Change::exchanging(removed, added, label, Selection::of(&result))
}
