//! Notes of the same pitch that get in each other's way.

use super::{Change, chosen, counted};
use crate::editor::Selection;
use crate::music::{Note, Score};

/// Cuts each selected note short where the next selected one of its pitch and part begins. Of
/// several that begin together the longest stays, as strong as the strongest of them.
pub fn remove_overlaps(score: &Score, selection: &Selection) -> Option<Change> {
    let mut notes = chosen(score, selection);
    notes.sort_by_key(|note| (note.part, note.pitch));
    let mut result: Vec<Note> = Vec::with_capacity(notes.len());
    for group in notes.chunk_by(|a, b| (a.part, a.pitch) == (b.part, b.pitch)) {
        let from = result.len();
        for note in group {
            match result[from..].last_mut() {
                Some(last) if last.start == note.start => {
                    last.length = last.length.max(note.length);
                    last.velocity = last.velocity.max(note.velocity);
                }
                Some(last) => {
                    last.length = last.length.min(note.start.saturating_sub(last.start));
                    result.push(*note);
                }
                None => result.push(*note),
            }
        }
    }
    if result == notes {
        return None;
    }
    let label = counted("Remove overlaps of", notes.len());
    let selection = Selection::of(&result);
    Change::exchanging(notes, result, label, selection)
}
