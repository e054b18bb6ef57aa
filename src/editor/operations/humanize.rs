//! Small irregularities, as a hand makes them.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Change, chosen};
use crate::editor::Selection;
use crate::music::{Note, Score, Tick, Velocity};

/// How irregular.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Humanize {
    /// How many ticks a note comes early or late at most.
    pub ticks: u32,
    /// By how much its velocity changes at most.
    pub velocity: u8,
    /// The same seed gives the same irregularities.
    pub seed: u64,
}

/// Moves each selected note a little in time, keeping its length, and changes its velocity a
/// little, evenly spread between the limits.
pub fn humanize(score: &Score, selection: &Selection, how: &Humanize) -> Option<Change> {
    let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
    let (ticks, velocity) = (i64::from(how.ticks), i32::from(how.velocity));
    let notes = chosen(score, selection);
    let irregular = |note: &Note| {
        // Both are drawn for every note, so that one amount doesn't change the other.
        let by = rng.random_range(-ticks..=ticks);
        let stronger = rng.random_range(-velocity..=velocity);
        let latest = i64::from(u32::MAX - note.length.0);
        Note {
            start: Tick((i64::from(note.start.0) + by).clamp(0, latest) as u32),
            velocity: Velocity::saturating(i32::from(note.velocity.number()) + stronger),
            ..*note
        }
    };
    let after: Vec<Note> = notes.iter().map(irregular).collect();
    Change::pairing(&notes, &after, "Humanize")
}
