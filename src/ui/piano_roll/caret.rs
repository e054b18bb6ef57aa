//! The caret: where a note is written without a mouse.

use egui::{Rect, Ui};

use super::gesture::RollPoint;
use super::hit::note_rect;
use super::{PianoRollEditor, RollFrame, RollResponse, paint};
use crate::editor::{Change, GridStep, Selection, operations};
use crate::music::{Note, Pitch, Tick, Velocity};

/// A place in the piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RollCaret {
    pub tick: Tick,
    pub pitch: Pitch,
}

impl Default for RollCaret {
    fn default() -> Self {
        Self { tick: Tick::ZERO, pitch: Pitch::MIDDLE_C }
    }
}

impl PianoRollEditor {
    /// Asks for a note at the caret, to be written in the next frame.
    pub fn ask_for_note(&mut self) {
        self.wants_note = true;
    }

    /// The step that notes snap to at the left edge of the view.
    pub fn step_in_view(&self) -> GridStep {
        match &self.index {
            Some(index) => self.step_at(index, Tick(self.viewport.ticks().0)),
            None => GridStep::default(),
        }
    }

    /// Whether the caret is seen: it is what the arrows move while no note is selected.
    pub(super) fn shows_caret(&self, frame: &RollFrame<'_>) -> bool {
        self.has_focus
            && frame.is_editable()
            && frame.view.selection.is_empty()
            && self.gesture.is_none()
    }

    /// Moves the caret, within the rows, and keeps it in view.
    pub(super) fn move_caret(&mut self, ticks: i64, semitones: i32) {
        let rows = self.viewport.pitches();
        let number = i32::from(self.caret.pitch.number()).saturating_add(semitones);
        let number = number.clamp(i32::from(*rows.start()), i32::from(*rows.end()));
        let tick = i64::from(self.caret.tick.0).saturating_add(ticks).max(0);
        self.caret = RollCaret {
            tick: Tick(u32::try_from(tick).unwrap_or(u32::MAX - 1)),
            pitch: u8::try_from(number).ok().and_then(Pitch::new).unwrap_or(self.caret.pitch),
        };
        self.viewport.reveal(f64::from(self.caret.tick.0), self.caret.pitch.number());
    }

    /// Puts the caret into the cell of a point.
    pub(super) fn place_caret(&mut self, frame: &RollFrame<'_>, point: RollPoint, is_free: bool) {
        let tick = self.cell(frame, point, is_free);
        let pitch = Pitch::new(point.pitch).unwrap_or(Pitch::MIDDLE_C);
        self.caret = RollCaret { tick, pitch };
    }

    /// Where the cell of the grid begins that holds a point; the point itself when free.
    pub(super) fn cell(&self, frame: &RollFrame<'_>, point: RollPoint, is_free: bool) -> Tick {
        // Casts from float saturate.
        let free = Tick(point.tick as u32);
        if is_free {
            return free;
        }
        let ticks_per_quarter = frame.index.score().tempo_map.ticks_per_quarter();
        let step = self.step_at(&frame.index, free);
        step.line_before(free, frame.index.bars(), ticks_per_quarter)
    }

    /// Writes a note at the caret and goes on after it, with nothing selected, so that the next
    /// one can be written.
    pub(super) fn write_at_caret(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let pitch = self.on_scale(self.caret.pitch, false);
        let note = self.note_like_the_last(frame, self.caret.tick, pitch);
        self.model = Some(note);
        out.audition.push((note.pitch, note.velocity));
        out.change(Change { selection: Selection::new(), ..operations::add_note(note) });
        self.caret.tick = note.end();
        self.move_caret(0, 0);
    }

    /// The pitch that is written for one asked for: on the scale, if the user wants that.
    pub(super) fn on_scale(&self, pitch: Pitch, is_free: bool) -> Pitch {
        self.snap_scale(is_free).map_or(pitch, |scale| scale.nearest(pitch))
    }

    /// By how many semitones a key that asks for some moves a pitch: unless it asks for octaves,
    /// each is a degree of the scale, if notes snap to that.
    pub(super) fn semitones_from(&self, pitch: Pitch, semitones: i32) -> i32 {
        let Some(scale) = self.snap_scale(false).filter(|_| semitones % 12 != 0) else {
            return semitones;
        };
        // A pitch beside the scale comes to lie on it.
        let ahead = (1..=127).map_while(|by| pitch.transposed(semitones.signum() * by));
        let n_degrees = semitones.unsigned_abs() as usize;
        let reached = ahead.filter(|pitch| scale.contains(*pitch)).take(n_degrees).last();
        reached.map_or(0, |to| i32::from(to.number()) - i32::from(pitch.number()))
    }

    /// A note as long and strong as the one touched last, and of its part.
    pub(super) fn note_like_the_last(
        &self,
        frame: &RollFrame<'_>,
        start: Tick,
        pitch: Pitch,
    ) -> Note {
        let score = frame.index.score();
        let quarter = Tick(score.tempo_map.ticks_per_quarter().get());
        let length = self.model.map_or(quarter, |model| model.length);
        let last_part = score.parts.len().saturating_sub(1);
        let part = self.model.map_or(0, |model| usize::from(model.part)).min(last_part);
        let start = Tick(start.0.min(u32::MAX - 1));
        Note {
            start,
            length: Tick(length.0.min(u32::MAX - start.0).max(1)),
            pitch,
            velocity: self.model.map_or(Velocity::COMPOSED, |model| model.velocity),
            part: part as u8,
        }
    }

    /// The caret, as the note that Enter would write.
    pub(super) fn paint_caret(&self, ui: &Ui, frame: &RollFrame<'_>) {
        if self.shows_caret(frame) {
            let painter = ui.painter_at(frame.regions.canvas);
            paint::paint_caret(&painter, self.caret_rect(frame), frame.view.theme);
        }
    }

    pub(super) fn caret_rect(&self, frame: &RollFrame<'_>) -> Rect {
        let pitch = self.on_scale(self.caret.pitch, false);
        let note = self.note_like_the_last(frame, self.caret.tick, pitch);
        note_rect(&self.viewport, &note)
    }
}
