//! Moving notes in pitch, by semitones or by the degrees of a scale.

use super::move_notes::{Shift, shifted};
use super::{Change, chosen};
use crate::editor::{Extent, Selection};
use crate::music::{KeyScale, Note, Pitch, Score};

/// Moves the selected notes in pitch, all alike: as far as the first of them to reach the end of
/// the keys can go.
pub fn transpose(score: &Score, selection: &Selection, semitones: i32) -> Option<Change> {
    shifted(score, selection, Shift { ticks: 0, semitones }, "Transpose")
}

/// Moves the selected notes by degrees of a scale, all alike: by fewer if one of them would
/// leave the keys. Notes outside the scale keep their distance to the degree below.
pub fn transpose_in_scale(
    score: &Score,
    selection: &Selection,
    key: KeyScale,
    degrees: i32,
) -> Option<Change> {
    let notes = chosen(score, selection);
    let extent = Extent::of(&notes)?;
    let is_on_piano = extent.lowest.is_on_piano() && extent.highest.is_on_piano();
    let stepped = |pitch: Pitch, degrees: i32| {
        key.stepped(pitch, degrees).filter(|to| to.is_on_piano() || !is_on_piano)
    };
    // More degrees than there are keys lead out of them anyway.
    let mut degrees = degrees.clamp(-128, 128);
    let are_possible =
        |degrees: i32| notes.iter().all(|note| stepped(note.pitch, degrees).is_some());
    while !are_possible(degrees) && degrees != 0 {
        degrees -= degrees.signum();
    }
    let note = |note: &Note| {
        let pitch = stepped(note.pitch, degrees).unwrap_or(note.pitch);
        Note { pitch, ..*note }
    };
    let after: Vec<Note> = notes.iter().map(note).collect();
    Change::pairing(&notes, &after, "Transpose")
}

/// Brings each selected note to the nearest pitch of a scale, of two as near to the lower one.
pub fn snap_to_scale(score: &Score, selection: &Selection, key: KeyScale) -> Option<Change> {
    Change::replacing(score, selection, "Snap", |note| Note {
        pitch: key.nearest(note.pitch),
        ..*note
    })
}
