//! Making notes longer or shorter at either end.

use super::{Held, RollPoint, Surroundings};
use crate::editor::Change;
use crate::editor::operations::{self, Edge, Resize};
use crate::music::{Note, Score};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

/// Notes whose start or end is being moved, all by the same amount; the grabbed one snaps.
pub struct ResizeNotes {
    pub held: Held,
    origin_tick: f64,
    resize: Resize,
}

impl ResizeNotes {
    pub fn new(held: Held, edge: Edge, origin: RollPoint) -> Self {
        let resize = Resize { edge, ticks: 0, shortest: 1 };
        Self { held, origin_tick: origin.tick, resize }
    }

    /// Ends moved by a fixed amount: what Shift with the arrow keys does.
    pub fn by(held: Held, ticks: i64) -> Self {
        let resize = Resize { edge: Edge::End, ticks, shortest: 1 };
        Self { held, origin_tick: 0.0, resize }
    }

    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        let grabbed = self.held.grabbed;
        let edge = match self.resize.edge {
            Edge::Start => grabbed.start,
            Edge::End => grabbed.end(),
        };
        let rest = surroundings.rest(f64::from(edge.0) + point.tick - self.origin_tick, edge);
        let ticks_per_quarter = surroundings.index.score().tempo_map.ticks_per_quarter();
        let bar = surroundings.index.bars().at(grabbed.start);
        self.resize.ticks = i64::from(rest.0) - i64::from(edge.0);
        self.resize.shortest =
            surroundings.snap.map_or(1, |step| step.ticks(ticks_per_quarter, bar));
    }

    pub fn grabbed_now(&self) -> Note {
        self.resize.of(&self.held.grabbed)
    }

    pub fn preview(&self) -> Vec<Note> {
        self.held.after(|note| self.resize.of(note))
    }

    /// `None` when nothing would change.
    pub fn change(&self, score: &Score) -> Option<Change> {
        operations::resize(score, &self.held.selection, self.resize)
    }

    /// "Length 1/8 to 1/4".
    pub fn status(&self, index: &ScoreIndex) -> String {
        let (was, now) = (self.held.grabbed, self.grabbed_now());
        if now == was {
            return String::new();
        }
        let length = |note: &Note| text::length(note.length, index);
        format!("Length {} to {}", length(&was), length(&now))
    }
}
