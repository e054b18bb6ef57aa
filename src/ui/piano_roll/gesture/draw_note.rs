//! Writing a note: a press begins it, a drag says where it ends.

use super::{RollPoint, Surroundings};
use crate::editor::{Change, operations};
use crate::music::{Note, Tick};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

/// A note that is being written. It is as long as the last one until its end is dragged.
pub struct DrawNote {
    note: Note,
    origin: RollPoint,
}

impl DrawNote {
    pub fn new(note: Note, origin: RollPoint) -> Self {
        Self { note, origin }
    }

    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        // A hand that rests means a click.
        if point.tick == self.origin.tick {
            return;
        }
        let start = self.note.start;
        // Casts from float saturate.
        let free = Tick(point.tick.round() as u32);
        let (end, shortest) = match surroundings.snap {
            None => (free, 1),
            Some(step) => {
                let bars = surroundings.index.bars();
                let quarter = surroundings.index.score().tempo_map.ticks_per_quarter();
                let end = step.nearest(free, bars, quarter);
                (end, step.line_after(start, bars, quarter).saturating_sub(start).0.max(1))
            }
        };
        let longest = (u32::MAX - start.0).max(1);
        let length = end.saturating_sub(start).0.max(shortest).min(longest);
        self.note.length = Tick(length);
    }

    pub fn note(&self) -> Note {
        self.note
    }

    pub fn change(&self) -> Change {
        operations::add_note(self.note)
    }

    /// "C4, length 1/4".
    pub fn status(&self, index: &ScoreIndex) -> String {
        let length = text::length(self.note.length, index);
        format!("{}, length {length}", text::pitch(self.note.pitch))
    }
}
