//! Moving or copying notes in time and pitch.

use super::{Held, RollPoint, Surroundings};
use crate::editor::Change;
use crate::editor::operations::{self, Shift};
use crate::music::{KeyScale, Note, Score};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::text;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MoveMode {
    Move,
    Copy,
}

/// Notes on their way. All keep their distance from the one that was grabbed, which is the one
/// that snaps.
pub struct MoveNotes {
    pub mode: MoveMode,
    pub held: Held,
    origin: RollPoint,
    shift: Shift,
}

impl MoveNotes {
    pub fn new(held: Held, origin: RollPoint, mode: MoveMode) -> Self {
        Self { mode, held, origin, shift: Shift::default() }
    }

    /// Notes moved by a fixed amount: what the arrow keys do.
    pub fn by(held: Held, shift: Shift) -> Self {
        let shift = shift.within(&held.notes);
        let origin = RollPoint { tick: 0.0, pitch: 0 };
        Self { shift, ..Self::new(held, origin, MoveMode::Move) }
    }

    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        let grabbed = self.held.grabbed.start;
        let start = f64::from(grabbed.0) + point.tick - self.origin.tick;
        let rest = surroundings.rest(start, grabbed);
        let semitones = i32::from(point.pitch) - i32::from(self.origin.pitch);
        let shift = Shift {
            ticks: i64::from(rest.0) - i64::from(grabbed.0),
            semitones: self.on_scale(semitones, surroundings.scale),
        };
        self.shift = shift.within(&self.held.notes);
    }

    /// The grabbed note comes to lie on the scale and the others keep their distance to it, so
    /// that no two of them can fall on one another.
    fn on_scale(&self, semitones: i32, scale: Option<KeyScale>) -> i32 {
        let grabbed = self.held.grabbed.pitch;
        let wanted = grabbed.transposed(semitones).filter(|_| semitones != 0);
        match (scale, wanted) {
            (Some(scale), Some(wanted)) => {
                i32::from(scale.nearest(wanted).number()) - i32::from(grabbed.number())
            }
            _ => semitones,
        }
    }

    /// The grabbed note as it would be now: what is heard while dragging.
    pub fn grabbed_now(&self) -> Note {
        self.shift.of(&self.held.grabbed)
    }

    pub fn preview(&self) -> Vec<Note> {
        self.held.after(|note| self.shift.of(note))
    }

    /// `None` when nothing would move.
    pub fn change(&self, score: &Score) -> Option<Change> {
        match self.mode {
            MoveMode::Move => operations::move_notes(score, &self.held.selection, self.shift),
            MoveMode::Copy => operations::copy_notes(score, &self.held.selection, self.shift),
        }
    }

    /// "C4 → E4, +1 beat".
    pub fn status(&self, index: &ScoreIndex) -> String {
        let (was, now) = (self.held.grabbed, self.grabbed_now());
        let mut words = Vec::new();
        if was.pitch != now.pitch {
            words.push(format!("{} → {}", text::pitch(was.pitch), text::pitch(now.pitch)));
        }
        if self.shift.ticks != 0 {
            words.push(text::signed_beats(self.shift.ticks, index, was.start));
        }
        words.join(", ")
    }
}
