//! Playing notes backwards.

use super::{Change, chosen};
use crate::editor::{Extent, Selection};
use crate::music::{Note, Score};

/// Turns the selected notes round in time, between where the first begins and the last ends.
pub fn reverse(score: &Score, selection: &Selection) -> Option<Change> {
    let notes = chosen(score, selection);
    let Extent { start, end, .. } = Extent::of(&notes)?;
    let turned = |note: &Note| Note {
        // As far from the start as its end was from the end.
        start: start.saturating_add(end.saturating_sub(note.end())),
        ..*note
    };
    let after: Vec<Note> = notes.iter().map(turned).collect();
    Change::pairing(&notes, &after, "Reverse")
}
