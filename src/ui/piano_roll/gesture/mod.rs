//! What a press, a drag and a release mean. Each gesture is a file; they see ticks and pitches,
//! never points of the screen, and yield one edit when they end.

mod draw_note;
mod erase;
mod held;
mod marquee;
mod move_notes;
mod resize_notes;
mod velocity;

pub use draw_note::DrawNote;
pub use erase::EraseNotes;
pub use held::Held;
pub use marquee::{Marquee, MarqueeMode};
pub use move_notes::{MoveMode, MoveNotes};
pub use resize_notes::ResizeNotes;
pub use velocity::ChangeVelocity;

use super::index::ScoreIndex;
use crate::editor::{Change, GridStep, Selection};
use crate::music::{KeyScale, Note, Score, Tick};

/// Where the pointer is in the piece.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RollPoint {
    /// May lie before the start.
    pub tick: f64,
    pub pitch: u8,
}

/// What a gesture must know of the piece while it goes on.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    pub index: &'a ScoreIndex,
    /// `None` while the user asks for free movement.
    pub snap: Option<GridStep>,
    /// The scale on which a note comes to lie whose pitch is changed; `None` for any pitch.
    pub scale: Option<KeyScale>,
}

impl Surroundings<'_> {
    /// The tick that a dragged point comes to rest on: the nearest grid line, or where it came
    /// from if that is nearer, so that a note off the grid isn't pulled onto it by a drag that
    /// only means its pitch.
    pub fn rest(&self, tick: f64, origin: Tick) -> Tick {
        // Casts from float saturate.
        let free = Tick(tick.round() as u32);
        let Some(step) = self.snap else { return free };
        let ticks_per_quarter = self.index.score().tempo_map.ticks_per_quarter();
        let line = step.nearest(free, self.index.bars(), ticks_per_quarter);
        let distance = |to: Tick| (f64::from(to.0) - tick).abs();
        if distance(origin) <= distance(line) { origin } else { line }
    }
}

/// A gesture that isn't finished.
pub enum Gesture {
    Move(MoveNotes),
    Resize(ResizeNotes),
    Marquee(Marquee),
    Velocity(ChangeVelocity),
    Draw(DrawNote),
    Erase(EraseNotes),
}

impl Gesture {
    /// Whether the wheel drives it, not the pointer: it goes on until the wheel rests.
    pub fn is_of_wheel(&self) -> bool {
        matches!(self, Self::Velocity(_))
    }

    /// The pointer went somewhere.
    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        match self {
            Self::Move(gesture) => gesture.update(point, surroundings),
            Self::Resize(gesture) => gesture.update(point, surroundings),
            Self::Marquee(gesture) => gesture.update(point),
            Self::Draw(gesture) => gesture.update(point, surroundings),
            Self::Erase(gesture) => gesture.update(point, surroundings.index),
            // The wheel drives it, not the pointer.
            Self::Velocity(_) => {}
        }
    }

    /// The notes as they would be if it ended now; empty when it changes no notes.
    pub fn preview(&self) -> Vec<Note> {
        match self {
            Self::Move(gesture) => gesture.preview(),
            Self::Resize(gesture) => gesture.preview(),
            Self::Velocity(gesture) => gesture.preview(),
            Self::Draw(gesture) => vec![gesture.note()],
            Self::Marquee(_) | Self::Erase(_) => Vec::new(),
        }
    }

    /// The notes that it has taken hold of.
    pub fn taken(&self) -> Option<&Selection> {
        match self {
            Self::Move(gesture) => Some(&gesture.held.selection),
            Self::Resize(gesture) => Some(&gesture.held.selection),
            Self::Velocity(gesture) => Some(&gesture.held.selection),
            Self::Erase(gesture) => Some(&gesture.keys),
            Self::Marquee(_) | Self::Draw(_) => None,
        }
    }

    /// Whether the notes it began with stay where they are besides the preview.
    pub fn keeps_originals(&self) -> bool {
        match self {
            Self::Move(gesture) => gesture.mode == MoveMode::Copy,
            Self::Marquee(_) | Self::Draw(_) => true,
            Self::Resize(_) | Self::Velocity(_) | Self::Erase(_) => false,
        }
    }

    /// What it has done so far, in words; empty when that is nothing.
    pub fn status(&self, index: &ScoreIndex) -> String {
        match self {
            Self::Move(gesture) => gesture.status(index),
            Self::Resize(gesture) => gesture.status(index),
            Self::Velocity(gesture) => gesture.status(),
            Self::Draw(gesture) => gesture.status(index),
            Self::Erase(gesture) => gesture.status(),
            Self::Marquee(_) => String::new(),
        }
    }

    /// The grabbed or written note as it would be if it ended now.
    pub fn note_now(&self) -> Option<Note> {
        match self {
            Self::Move(gesture) => Some(gesture.grabbed_now()),
            Self::Resize(gesture) => Some(gesture.grabbed_now()),
            Self::Velocity(gesture) => Some(gesture.grabbed_now()),
            Self::Draw(gesture) => Some(gesture.note()),
            Self::Marquee(_) | Self::Erase(_) => None,
        }
    }

    /// The one edit that it comes to, and what is selected after it; `None` when nothing would
    /// change. `selection` is what is selected now.
    pub fn change(&self, score: &Score, selection: &Selection) -> Option<Change> {
        match self {
            Self::Move(gesture) => gesture.change(score),
            Self::Resize(gesture) => gesture.change(score),
            Self::Velocity(gesture) => gesture.change(score, selection),
            Self::Draw(gesture) => Some(gesture.change()),
            Self::Erase(gesture) => gesture.change(score, selection),
            Self::Marquee(_) => None,
        }
    }
}
