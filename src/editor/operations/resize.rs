//! Making notes longer or shorter at either end.

use super::Change;
use crate::editor::Selection;
use crate::music::{Note, Score, Tick};

/// Moves the starts of the selected notes, all by the same; their ends stay. No note becomes
/// shorter than `shortest` ticks, unless it was, or begins before the piece.
pub fn resize_starts(
    score: &Score,
    selection: &Selection,
    ticks: i64,
    shortest: u32,
) -> Option<Change> {
    Change::replacing(score, selection, "Resize", |note| {
        let end = note.end().0;
        let latest = end - shortest.clamp(1, note.length.0.max(1)).min(end);
        let start = i64::from(note.start.0).saturating_add(ticks).clamp(0, i64::from(latest));
        with_ends(note, start as u32, end)
    })
}

/// Moves the ends of the selected notes, all by the same; their starts stay. No note becomes
/// shorter than `shortest` ticks, unless it was, or ends after the last tick there is.
pub fn resize_ends(
    score: &Score,
    selection: &Selection,
    ticks: i64,
    shortest: u32,
) -> Option<Change> {
    Change::replacing(score, selection, "Resize", |note| {
        let earliest = note.start.0.saturating_add(shortest.clamp(1, note.length.0.max(1)));
        let end = i64::from(note.end().0).saturating_add(ticks);
        with_ends(note, note.start.0, end.clamp(earliest.into(), u32::MAX.into()) as u32)
    })
}

/// The note from a tick to another; as it was where that would be nothing.
pub(super) fn with_ends(note: &Note, start: u32, end: u32) -> Note {
    match end.checked_sub(start) {
        None | Some(0) => *note,
        Some(length) => Note { start: Tick(start), length: Tick(length), ..*note },
    }
}
