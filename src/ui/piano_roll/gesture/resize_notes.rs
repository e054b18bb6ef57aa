//! Making notes longer or shorter at either end.

use super::{RollPoint, Surroundings, replacement};
use crate::editor::ScoreEdit;
use crate::music::{Note, Tick};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    Start,
    End,
}

/// Notes whose start or end is being moved, all by the same amount; the grabbed one snaps.
pub struct ResizeNotes {
    edge: Edge,
    grabbed: Note,
    notes: Vec<Note>,
    origin_tick: f64,
    ticks: i64,
    /// What notes aren't made shorter than, unless they were.
    shortest: u32,
}

impl ResizeNotes {
    pub fn new(edge: Edge, grabbed: Note, notes: Vec<Note>, origin: RollPoint) -> Self {
        Self { edge, grabbed, notes, origin_tick: origin.tick, ticks: 0, shortest: 1 }
    }

    /// Ends moved by a fixed amount: what Shift with the arrow keys does.
    pub fn by(notes: Vec<Note>, ticks: i64) -> Option<Self> {
        let grabbed = *notes.first()?;
        let origin = RollPoint { tick: 0.0, pitch: 0 };
        Some(Self { ticks, ..Self::new(Edge::End, grabbed, notes, origin) })
    }

    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        let edge = match self.edge {
            Edge::Start => self.grabbed.start,
            Edge::End => self.grabbed.end(),
        };
        let rest = surroundings.rest(f64::from(edge.0) + point.tick - self.origin_tick, edge);
        self.ticks = i64::from(rest.0) - i64::from(edge.0);
        let ticks_per_quarter = surroundings.index.score().tempo_map.ticks_per_quarter();
        let bar = surroundings.index.bars().at(self.grabbed.start);
        self.shortest = surroundings.snap.map_or(1, |step| step.ticks(ticks_per_quarter, bar));
    }

    pub fn grabbed_now(&self) -> Note {
        self.resized(&self.grabbed)
    }

    pub fn preview(&self) -> Vec<Note> {
        self.notes.iter().map(|note| self.resized(note)).collect()
    }

    fn resized(&self, note: &Note) -> Note {
        let (start, end) = (i64::from(note.start.0), i64::from(note.end().0));
        let shortest = i64::from(self.shortest.min(note.length.0).max(1));
        let (start, end) = match self.edge {
            Edge::Start => ((start + self.ticks).clamp(0, (end - shortest).max(0)), end),
            Edge::End => {
                let latest = i64::from(u32::MAX);
                (start, (end + self.ticks).clamp((start + shortest).min(latest), latest))
            }
        };
        match (u32::try_from(start), u32::try_from(end - start)) {
            (Ok(start), Ok(length)) if length > 0 => {
                Note { start: Tick(start), length: Tick(length), ..*note }
            }
            // Nothing that was a note leads here; were it so, it would better stay as it is.
            _ => *note,
        }
    }

    pub fn edit(&self) -> Option<ScoreEdit> {
        replacement(&self.notes, self.preview(), "Resize")
    }

    /// "Length 1/8 to 1/4".
    pub fn status(&self, index: &ScoreIndex) -> String {
        let now = self.grabbed_now();
        if now == self.grabbed {
            return String::new();
        }
        let length = |note: &Note| text::length(note.length, index);
        format!("Length {} to {}", length(&self.grabbed), length(&now))
    }
}
