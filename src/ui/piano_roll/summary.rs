//! A piece seen from far away: notes that lie on the same pixels are runs.
//!
//! Worked out once for a score and a distance, so that a frame costs what the screen can show and
//! not what the piece holds.

use crate::music::{Note, Velocity};

/// Notes of one pitch that can't be told apart from so far away.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Run {
    pub start: u32,
    pub end: u32,
    pub pitch: u8,
    /// The loudest of its notes.
    pub velocity: Velocity,
    /// Of the note that began it.
    pub part: u8,
}

/// Runs are no longer than this, in grains, unless a single note is, so that loud and soft
/// passages are still told apart.
const MAX_GRAINS: u64 = 8;

/// All runs of a piece, each pitch for itself and ascending.
pub struct Summary {
    rows: Vec<Vec<Run>>,
    longest: u32,
}

impl Summary {
    /// Notes that lie closer than `grain` ticks become one run.
    pub fn new(notes: &[Note], grain: u32) -> Self {
        let mut rows: Vec<Vec<Run>> = vec![Vec::new(); 128];
        let grain = u64::from(grain.max(1));
        for note in notes {
            let row = &mut rows[usize::from(note.pitch.number())];
            let (start, end) = (note.start.0, note.end().0);
            match row.last_mut() {
                Some(last) if joins(last, start, end, grain) => {
                    last.end = last.end.max(end);
                    last.velocity = last.velocity.max(note.velocity);
                }
                _ => row.push(Run {
                    start,
                    end,
                    pitch: note.pitch.number(),
                    velocity: note.velocity,
                    part: note.part,
                }),
            }
        }
        let longest = rows.iter().flatten().map(|run| run.end - run.start).max().unwrap_or(0);
        Self { rows, longest }
    }

    pub fn all(&self) -> impl Iterator<Item = &Run> {
        self.rows.iter().flatten()
    }

    /// Of one pitch, those that sound between two ticks.
    pub fn between(&self, pitch: u8, from: u32, to: u32) -> impl Iterator<Item = &Run> {
        let row = self.rows.get(usize::from(pitch)).map_or(&[][..], Vec::as_slice);
        let first = row.partition_point(|run| run.start < from.saturating_sub(self.longest));
        row[first..].iter().take_while(move |run| run.start < to).filter(move |run| run.end > from)
    }
}

fn joins(run: &Run, start: u32, end: u32, grain: u64) -> bool {
    let is_near = u64::from(start) < u64::from(run.end) + grain;
    let length = u64::from(end.max(run.end)) - u64::from(run.start);
    // What lies wholly inside is never seen.
    is_near && (length <= grain * MAX_GRAINS || end <= run.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, Tick};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_note_lies_in_runs_and_every_run_on_notes(
            notes in prop::collection::vec((0u32..50_000, 1u32..900, 58u8..62), 0..300),
            grain in 1u32..2_000,
        ) {
            let mut notes: Vec<Note> = notes.into_iter().map(|(start, length, pitch)| Note {
                start: Tick(start),
                length: Tick(length),
                pitch: Pitch::new(pitch).unwrap(),
                velocity: Velocity::COMPOSED,
                part: 0,
            }).collect();
            notes.sort_by_key(|note| note.start);
            let summary = Summary::new(&notes, grain);
            prop_assert!(summary.all().count() <= notes.len());
            for note in &notes {
                let (start, end) = (note.start.0, note.end().0);
                let pitch = note.pitch.number();
                for tick in [start, end - 1] {
                    let covers = |run: &Run| run.start <= tick && tick < run.end;
                    let mut found = summary.between(pitch, tick, tick + 1);
                    prop_assert!(found.any(covers));
                }
            }
            for run in summary.all() {
                let is_on = |note: &&Note| {
                    note.pitch.number() == run.pitch && note.start.0 < run.end && run.start < note.end().0
                };
                prop_assert!(notes.iter().any(|note| is_on(&note)));
            }
        }
    }

    #[test]
    fn a_dense_piece_becomes_few_runs() {
        let note = |idx: u32| Note {
            start: Tick(idx * 10),
            length: Tick(10),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        let notes: Vec<Note> = (0..100_000).map(note).collect();
        let summary = Summary::new(&notes, 1_000);
        assert!(summary.all().count() <= 130, "{}", summary.all().count());
    }
}
