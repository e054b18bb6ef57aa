//! From where to where notes reach.

use crate::music::{Note, Pitch, Tick};

/// The box around some notes, in time and pitch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where the first begins.
    pub start: Tick,
    /// Where the last ends.
    pub end: Tick,
    pub lowest: Pitch,
    pub highest: Pitch,
}

impl Extent {
    /// `None` without notes.
    pub fn of<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Option<Self> {
        let mut notes = notes.into_iter();
        let first = notes.next()?;
        let (start, end) = (first.start, first.end());
        let mut extent = Self { start, end, lowest: first.pitch, highest: first.pitch };
        for note in notes {
            extent.start = extent.start.min(note.start);
            extent.end = extent.end.max(note.end());
            extent.lowest = extent.lowest.min(note.pitch);
            extent.highest = extent.highest.max(note.pitch);
        }
        Some(extent)
    }
}
