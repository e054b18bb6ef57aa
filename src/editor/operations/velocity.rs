//! How hard notes are struck.

use super::{Change, chosen};
use crate::editor::Selection;
use crate::music::{Note, Score, Tick, Velocity};

const LABEL: &str = "Set velocity of";

/// All the same.
pub fn set_velocity(score: &Score, selection: &Selection, velocity: Velocity) -> Option<Change> {
    Change::replacing(score, selection, LABEL, |note| Note { velocity, ..*note })
}

/// Harder, or softer when negative, each as far as it can go.
pub fn add_velocity(score: &Score, selection: &Selection, by: i32) -> Option<Change> {
    Change::replacing(score, selection, LABEL, |note| {
        let number = i32::from(note.velocity.number()).saturating_add(by);
        Note { velocity: Velocity::saturating(number), ..*note }
    })
}

/// So many times as hard, within 1–127. What isn't a number that is 0 or more changes nothing.
pub fn scale_velocity(score: &Score, selection: &Selection, factor: f64) -> Option<Change> {
    if !(factor.is_finite() && factor >= 0.0) {
        return None;
    }
    Change::replacing(score, selection, LABEL, |note| Note {
        velocity: rounded(f64::from(note.velocity.number()) * factor),
        ..*note
    })
}

/// A straight line of velocities between two points, for the selected notes that begin between
/// their ticks (both included); the points may stand in any order.
pub fn ramp_velocity(
    score: &Score,
    selection: &Selection,
    from: (Tick, Velocity),
    to: (Tick, Velocity),
) -> Option<Change> {
    let (first, last) = if from.0 <= to.0 { (from, to) } else { (to, from) };
    let ticks = f64::from(last.0.saturating_sub(first.0).0).max(1.0);
    let (low, high) = (f64::from(first.1.number()), f64::from(last.1.number()));
    let notes = chosen(score, selection);
    let ramped = |note: &Note| {
        if note.start < first.0 || note.start > last.0 {
            return *note;
        }
        let way = f64::from(note.start.saturating_sub(first.0).0) / ticks;
        Note { velocity: rounded(low + (high - low) * way), ..*note }
    };
    let after: Vec<Note> = notes.iter().map(ramped).collect();
    changed(selection, &notes, &after)
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
    changed(selection, &notes, &after)
}

fn is_in(score: &Score, note: &Note) -> bool {
    let order = crate::music::order;
    score.notes().binary_search_by_key(&order(note), order).is_ok()
}

/// The selection stays: a note is known by it whatever its velocity.
fn changed(selection: &Selection, notes: &[Note], after: &[Note]) -> Option<Change> {
    let change = Change::pairing(notes, after, LABEL)?;
    Some(Change { selection: selection.clone(), ..change })
}

fn rounded(number: f64) -> Velocity {
    // A float to integer cast saturates.
    Velocity::saturating(number.round() as i32)
}
