//! The keyboard at the left: pressing and sliding along it plays.

use egui::{Role, Ui, WidgetInfo};

use super::pointer::{Hand, POINTER_ONLY};
use super::{PianoRollEditor, RollFrame, RollResponse, paint};
use crate::music::{Pitch, Velocity};

/// How hard a key of the keyboard is struck by the mouse.
const KEY_VELOCITY: i32 = 90;

/// What the mouse does to the keys. One is down at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyTouch {
    Down(Pitch, Velocity),
    /// Along the keys to this one.
    Drag(Pitch, Velocity),
    /// Whatever was down is let go.
    Up,
}

impl PianoRollEditor {
    /// Returns the key held.
    pub(super) fn keyboard_ui(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) -> Option<Pitch> {
        let rect = frame.regions.keyboard;
        let response = ui.interact(rect, frame.id.with("keyboard"), POINTER_ONLY);
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Keyboard"));
        let hand = Hand::over(ui, &response);
        let key = hand.pos.and_then(|pos| paint::key_at(rect, &self.viewport, pos));
        let velocity = Velocity::saturating(KEY_VELOCITY);
        if hand.is_pressed
            && let Some(key) = key
        {
            out.key_touches.push(KeyTouch::Down(key, velocity));
            self.held_key = Some(key);
        }
        self.held_key?;
        if !(hand.is_down && response.is_pointer_button_down_on()) {
            // Maybe in the frame in which it was struck.
            out.key_touches.push(KeyTouch::Up);
            self.held_key = None;
        } else if key.is_some() && key != self.held_key {
            self.held_key = key;
            out.key_touches.extend(key.map(|key| KeyTouch::Drag(key, velocity)));
        }
        self.held_key
    }
}
