//! Turning notes upside down.

use super::{Change, chosen};
use crate::editor::{Extent, Selection};
use crate::music::{Note, Pitch, Score};

/// Turns the selected notes upside down about the middle between the lowest and the highest.
pub fn invert(score: &Score, selection: &Selection) -> Option<Change> {
    let notes = chosen(score, selection);
    let extent = Extent::of(&notes)?;
    let (lowest, highest) = (extent.lowest.number(), extent.highest.number());
    let turned = |note: &Note| {
        // Between the lowest and the highest, like the pitch it comes from.
        let number = lowest + (highest - note.pitch.number());
        Note { pitch: Pitch::new(number).unwrap_or(note.pitch), ..*note }
    };
    let after: Vec<Note> = notes.iter().map(turned).collect();
    Change::pairing(&notes, &after, "Invert")
}
