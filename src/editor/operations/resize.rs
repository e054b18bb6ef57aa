//! Making notes longer or shorter at either end.

use super::Change;
use crate::editor::Selection;
use crate::music::{Note, Score, Tick};

/// Where a note begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    Start,
    End,
}

/// How far one end of notes is moved, of all alike; the other end stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resize {
    pub edge: Edge,
    pub ticks: i64,
    /// No note becomes shorter than so many ticks, unless it was.
    pub shortest: u32,
}

impl Resize {
    /// The note as it makes it, within the piece.
    pub fn of(self, note: &Note) -> Note {
        let (start, end) = (i64::from(note.start.0), i64::from(note.end().0));
        let shortest = i64::from(self.shortest.clamp(1, note.length.0.max(1)));
        let (start, end) = match self.edge {
            Edge::Start => {
                (start.saturating_add(self.ticks).clamp(0, (end - shortest).max(0)), end)
            }
            Edge::End => {
                let latest = i64::from(u32::MAX);
                let earliest = (start + shortest).min(latest);
                (start, end.saturating_add(self.ticks).clamp(earliest, latest))
            }
        };
        // Both are ticks by the clamps above.
        with_ends(note, start as u32, end as u32)
    }
}

/// Moves one end of the selected notes.
pub fn resize(score: &Score, selection: &Selection, how: Resize) -> Option<Change> {
    Change::replacing(score, selection, "Resize", |note| how.of(note))
}

/// The note from a tick to another; as it was where that would be nothing.
pub(super) fn with_ends(note: &Note, start: u32, end: u32) -> Note {
    match end.checked_sub(start) {
        None | Some(0) => *note,
        Some(length) => Note { start: Tick(start), length: Tick(length), ..*note },
    }
}
