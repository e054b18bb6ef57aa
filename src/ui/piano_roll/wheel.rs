//! The wheel: scrolling, zooming, and how hard a note is struck.

use egui::{Event, MouseWheelUnit, Pos2, Ui, Vec2};

use super::gesture::{ChangeVelocity, Gesture, Held};
use super::hit::{Hit, hit};
use super::{PianoRollEditor, RollFrame, RollResponse};
use crate::music::Note;

/// Notches over the velocity lane that come so soon after one another are one step, in seconds.
const WHEEL_STEP_SECS: f64 = 0.6;

/// By how much one notch of the wheel changes a velocity.
const VELOCITY_NOTCH: f32 = 4.0;

impl PianoRollEditor {
    /// Wheel and pinch: scrolling, zooming to the pointer, and with Alt the velocity of the note
    /// under it.
    pub(super) fn wheel(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let (pos, modifiers) = ui.input(|input| (input.pointer.hover_pos(), input.modifiers));
        let is_in_lane = pos.is_some_and(|pos| self.turns_velocity(ui, frame, pos));
        if let Some(Gesture::Velocity(change)) = &self.gesture {
            let note = pos.and_then(|pos| self.turned_at(frame, pos));
            let is_elsewhere = note.is_some_and(|note| !change.changes(&note));
            if is_elsewhere || (!modifiers.alt && !is_in_lane) {
                self.finish(frame, out);
            }
        }
        let whole = frame.regions.whole;
        let Some(pos) = pos.filter(|_| ui.rect_contains_pointer(whole)) else { return };
        if modifiers.alt || is_in_lane {
            self.turn_velocity(ui, frame, pos);
            return;
        }
        let (scroll, zoom) = ui.input(|input| (input.smooth_scroll_delta(), input.zoom_delta()));
        if zoom != 1.0 {
            let zooms_pitch = modifiers.shift || frame.regions.keyboard.contains(pos);
            match zooms_pitch {
                true => self.viewport.zoom_pitch(zoom, pos.y),
                false => self.viewport.zoom_time(zoom, pos.x.max(frame.regions.canvas.left())),
            }
        }
        if scroll != Vec2::ZERO {
            self.viewport.scroll(scroll);
        }
        self.looked_away |= zoom != 1.0 || scroll.x != 0.0;
    }

    /// Whether the wheel changes a velocity because the pointer is over a bar of the velocity lane:
    /// while it is being turned, and until a moment later or until the pointer moves on.
    fn turns_velocity(&mut self, ui: &Ui, frame: &RollFrame<'_>, pos: Pos2) -> bool {
        let (now, moves, zooms, turns, down) = ui.input(|input| {
            let turns = input.events.iter().any(|event| wheel_notches(event) != 0.0);
            let moves = input.pointer.delta() != Vec2::ZERO;
            (input.time, moves, input.modifiers.command, turns, input.pointer.any_down())
        });
        if zooms || down || self.lanes.is_busy() || self.bar_at(frame, pos).is_none() {
            return false;
        }
        if turns {
            self.lanes.wheel_time = now;
        }
        let left = WHEEL_STEP_SECS - (now - self.lanes.wheel_time);
        let is_turning = matches!(self.gesture, Some(Gesture::Velocity(_)));
        if is_turning && !moves && left > 0.0 {
            ui.ctx().request_repaint_after_secs(left as f32);
            return true;
        }
        turns
    }

    /// The note at a point whose velocity the wheel changes.
    fn turned_at(&self, frame: &RollFrame<'_>, pos: Pos2) -> Option<Note> {
        let hit = hit(&frame.index, &self.viewport, frame.view.selection, pos);
        hit.map(|Hit { note, .. }| note).or_else(|| self.bar_at(frame, pos))
    }

    fn turn_velocity(&mut self, ui: &Ui, frame: &RollFrame<'_>, pos: Pos2) {
        let notches: f32 = ui.input(|input| input.events.iter().map(wheel_notches).sum());
        if notches == 0.0 || !frame.is_editable() {
            return;
        }
        let by = (notches * VELOCITY_NOTCH).round() as i32;
        if let Some(Gesture::Velocity(change)) = &mut self.gesture {
            change.add(by);
            return;
        }
        let hit = self.turned_at(frame, pos).filter(|_| self.gesture.is_none());
        let Some(note) = hit else { return };
        let held = Held::new(note, frame.index.score(), frame.view.selection);
        let mut change = ChangeVelocity::new(held);
        change.add(by);
        self.gesture = Some(Gesture::Velocity(change));
    }
}

/// How far an event turned the wheel, upwards positive.
fn wheel_notches(event: &Event) -> f32 {
    match event {
        Event::MouseWheel { unit: MouseWheelUnit::Line, delta, .. } => delta.y,
        Event::MouseWheel { unit: MouseWheelUnit::Page, delta, .. } => delta.y * 8.0,
        Event::MouseWheel { unit: MouseWheelUnit::Point, delta, .. } => delta.y / 40.0,
        _ => 0.0,
    }
}
