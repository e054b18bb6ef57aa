//! Moving or copying notes in time and pitch.

use super::{RollPoint, Surroundings, pitch_range, replacement};
use crate::editor::ScoreEdit;
use crate::music::{KeyScale, Note, Pitch, Tick};
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
    grabbed: Note,
    notes: Vec<Note>,
    origin: RollPoint,
    ticks: i64,
    semitones: i32,
}

impl MoveNotes {
    /// `notes` holds `grabbed`, and is not empty.
    pub fn new(grabbed: Note, notes: Vec<Note>, origin: RollPoint, mode: MoveMode) -> Self {
        Self { mode, grabbed, notes, origin, ticks: 0, semitones: 0 }
    }

    /// Notes moved by a fixed amount: what the arrow keys do.
    pub fn by(notes: Vec<Note>, ticks: i64, semitones: i32, pitches: (u8, u8)) -> Option<Self> {
        let grabbed = *notes.first()?;
        let origin = RollPoint { tick: 0.0, pitch: 0 };
        let mut moved = Self::new(grabbed, notes, origin, MoveMode::Move);
        moved.ticks = ticks;
        moved.semitones = semitones;
        moved.keep_in_bounds(pitches);
        Some(moved)
    }

    pub fn update(&mut self, point: RollPoint, surroundings: Surroundings<'_>) {
        let start = f64::from(self.grabbed.start.0) + point.tick - self.origin.tick;
        let rest = surroundings.rest(start, self.grabbed.start);
        self.ticks = i64::from(rest.0) - i64::from(self.grabbed.start.0);
        self.semitones = self
            .on_scale(i32::from(point.pitch) - i32::from(self.origin.pitch), surroundings.scale);
        self.keep_in_bounds(surroundings.pitches);
    }

    /// The grabbed note comes to lie on the scale and the others keep their distance to it, so
    /// that no two of them can fall on one another.
    fn on_scale(&self, semitones: i32, scale: Option<KeyScale>) -> i32 {
        let wanted = self.grabbed.pitch.transposed(semitones).filter(|_| semitones != 0);
        match (scale, wanted) {
            (Some(scale), Some(wanted)) => {
                let fitting = scale.nearest(wanted).number();
                i32::from(fitting) - i32::from(self.grabbed.pitch.number())
            }
            _ => semitones,
        }
    }

    /// No note may leave the piece or the rows, so that the whole group stops when one of its
    /// notes is at an edge.
    fn keep_in_bounds(&mut self, pitches: (u8, u8)) {
        let earliest = self.notes.iter().map(|note| note.start.0).min().unwrap_or(0);
        let latest = self.notes.iter().map(|note| note.end().0).max().unwrap_or(0);
        let room_after = i64::from(u32::MAX - latest);
        self.ticks = self.ticks.clamp(-i64::from(earliest), room_after);
        let used = pitch_range(&self.notes);
        // Notes that lie outside the rows already may stay there.
        let down = i32::from(pitches.0) - i32::from(*used.start());
        let up = i32::from(pitches.1) - i32::from(*used.end());
        self.semitones = self.semitones.clamp(down.min(0), up.max(0));
    }

    /// The grabbed note as it would be now: what is heard while dragging.
    pub fn grabbed_now(&self) -> Note {
        self.moved(&self.grabbed)
    }

    pub fn semitones(&self) -> i32 {
        self.semitones
    }

    pub fn preview(&self) -> Vec<Note> {
        self.notes.iter().map(|note| self.moved(note)).collect()
    }

    fn moved(&self, note: &Note) -> Note {
        let start = i64::from(note.start.0) + self.ticks;
        let pitch = note.pitch.transposed(self.semitones).unwrap_or(note.pitch);
        Note {
            // In bounds by `keep_in_bounds`; were it not, the note would better stay.
            start: u32::try_from(start).map_or(note.start, Tick),
            pitch,
            ..*note
        }
    }

    pub fn edit(&self) -> Option<ScoreEdit> {
        if self.ticks == 0 && self.semitones == 0 {
            return None;
        }
        match self.mode {
            MoveMode::Move => replacement(&self.notes, self.preview(), "Move"),
            MoveMode::Copy => Some(ScoreEdit::Copy { notes: self.preview() }),
        }
    }

    /// "C4 → E4, +1 beat".
    pub fn status(&self, index: &ScoreIndex) -> String {
        let mut words = Vec::new();
        let now = self.moved(&self.grabbed).pitch;
        if self.semitones != 0 {
            words.push(format!("{} → {}", pitch(self.grabbed.pitch), pitch(now)));
        }
        if self.ticks != 0 {
            words.push(text::signed_beats(self.ticks, index, self.grabbed.start));
        }
        words.join(", ")
    }
}

fn pitch(pitch: Pitch) -> String {
    text::pitch(pitch)
}
