//! How hard notes are struck.

use super::Change;
use crate::editor::Selection;
use crate::music::{Note, Score, Velocity};

const LABEL: &str = "Set velocity of";

/// All the same.
pub fn set_velocity(score: &Score, selection: &Selection, velocity: Velocity) -> Option<Change> {
    Change::replacing(score, selection, LABEL, |note| Note { velocity, ..*note })
}

/// Harder, or softer when negative, each as far as it can go.
pub fn add_velocity(score: &Score, selection: &Selection, by: i32) -> Option<Change> {
    Change::replacing(score, selection, LABEL, |note| louder(note, by))
}

/// The note struck so much harder, or softer when negative, as far as it can go.
pub fn louder(note: &Note, by: i32) -> Note {
    let number = i32::from(note.velocity.number()).saturating_add(by);
    Note { velocity: Velocity::saturating(number), ..*note }
}

/// To each note its own: what drawing in the velocity lane yields. Notes that aren't in the score
/// are passed over; the selection stays.
pub fn set_velocities(
    score: &Score,
    selection: &Selection,
    velocities: &[(Note, Velocity)],
) -> Option<Change> {
    let drawn = velocities.iter().filter(|(note, _)| is_in(score, note));
    let (notes, after): (Vec<Note>, Vec<Note>) =
        drawn.map(|(note, velocity)| (*note, Note { velocity: *velocity, ..*note })).unzip();
    // A note is known by the selection whatever its velocity.
    let change = Change::pairing(&notes, &after, LABEL)?;
    Some(Change { selection: selection.clone(), ..change })
}

fn is_in(score: &Score, note: &Note) -> bool {
    let order = crate::music::order;
    score.notes().binary_search_by_key(&order(note), order).is_ok()
}
