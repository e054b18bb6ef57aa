//! Selecting with a rubber band.

use super::RollPoint;
use crate::editor::{NoteKey, Selection};
use crate::ui::piano_roll::index::ScoreIndex;

/// What becomes of the selection there was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarqueeMode {
    Replace,
    Add,
    Toggle,
}

/// A rubber band from where it began to where the pointer is.
pub struct Marquee {
    mode: MarqueeMode,
    base: Selection,
    from: RollPoint,
    to: RollPoint,
}

impl Marquee {
    pub fn new(mode: MarqueeMode, base: Selection, from: RollPoint) -> Self {
        Self { mode, base, from, to: from }
    }

    pub fn update(&mut self, point: RollPoint) {
        self.to = point;
    }

    /// First and last tick.
    pub fn ticks(&self) -> (f64, f64) {
        (self.from.tick.min(self.to.tick), self.from.tick.max(self.to.tick))
    }

    /// Lowest and highest pitch, both inside.
    pub fn pitches(&self) -> (u8, u8) {
        (self.from.pitch.min(self.to.pitch), self.from.pitch.max(self.to.pitch))
    }

    /// The selection if it ended now: every note that the band touches counts.
    pub fn selection(&self, index: &ScoreIndex) -> Selection {
        let (first, last) = self.ticks();
        let (lowest, highest) = self.pitches();
        // Casts from float saturate.
        let touched = index
            .notes_between(first.max(0.0) as u32, (last.max(0.0) as u32).saturating_add(1))
            .filter(|note| (lowest..=highest).contains(&note.pitch.number()))
            .map(NoteKey::from);
        match self.mode {
            MarqueeMode::Replace => touched.collect(),
            MarqueeMode::Add => self.base.joined(&touched.collect()),
            MarqueeMode::Toggle => self.base.toggled(&touched.collect()),
        }
    }
}
