//! The lanes under the notes: how hard they are struck, and when the pedal is down.

mod pedal;
mod velocity;

use egui::{Align2, CursorIcon, Pos2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::pointer::Hand;
use super::regions::MIN_LANE;
use super::{PianoRollEditor, RollFrame, RollResponse, paint};
use crate::music::Score;
use crate::ui::theme::{HALF_SPACE, SPACE};
use pedal::PedalDrag;
use velocity::{VelocityDrag, VelocityNumber};

/// How high the edge of a lane is that can be grabbed, in points.
const GRIP_HEIGHT: f32 = 7.0;

/// The height of a lane's title, in points.
const TITLE_HEIGHT: f32 = SPACE * 2.0;

/// What is being done in the lanes.
#[derive(Default)]
pub struct Lanes {
    velocity: Option<VelocityDrag>,
    pedal: Option<PedalDrag>,
    /// What is being done in the number field.
    number: Option<VelocityNumber>,
    /// That field.
    field: Option<egui::Id>,
    /// When the wheel was last turned over the velocities, in seconds.
    pub(super) wheel_time: f64,
}

impl Lanes {
    /// Goes on in a score in which something else has changed, with what is still there.
    pub fn carry_over(&mut self, before: &Score, after: &Score) {
        self.velocity = self.velocity.take().filter(|drag| drag.is_of(before, after));
        let is_there = |drag: &PedalDrag| match drag.origin() {
            Some(span) => after.pedal.contains(&span),
            None => true,
        };
        self.pedal = self.pedal.filter(is_there);
        self.wheel_time = 0.0;
    }

    /// Forgets what was being done: the score is another.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn is_busy(&self) -> bool {
        self.velocity.is_some() || self.pedal.is_some()
    }
}

impl PianoRollEditor {
    pub(super) fn lanes_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        if frame.regions.velocities.is_positive() {
            self.velocity_lane(ui, frame, out);
        }
        if frame.regions.pedal.is_positive() {
            self.pedal_lane(ui, frame, out);
        }
    }

    /// The edges of the lanes, over notes and lanes alike.
    pub(super) fn lane_grips(&mut self, ui: &Ui, frame: &RollFrame<'_>) {
        let (velocities, pedal) = (frame.regions.velocities, frame.regions.pedal);
        let options = &mut self.options;
        if options.shows_velocities && velocities.is_positive() {
            lane_grip(ui, frame, velocities, "velocity", &mut options.velocity_height);
        }
        if options.shows_pedal && pedal.is_positive() {
            lane_grip(ui, frame, pedal, "pedal", &mut options.pedal_height);
        }
    }

    /// Where a hand presses a lane to draw in it.
    fn pressed_lane(
        &self,
        frame: &RollFrame<'_>,
        hand: Hand,
        out: &mut RollResponse,
    ) -> Option<Pos2> {
        let pos = hand.pressed_at()?;
        if !frame.is_editable() {
            out.is_refused = true;
            return None;
        }
        Some(pos)
    }
}

/// The upper edge of a lane, by which it is made higher or lower.
fn lane_grip(ui: &Ui, frame: &RollFrame<'_>, lane: Rect, name: &str, height: &mut u16) {
    let theme = frame.view.theme;
    let middle = lane.center_top();
    let edge = lane.with_max_y(lane.top() + GRIP_HEIGHT).translate(vec2(0.0, -GRIP_HEIGHT / 2.0));
    let response = ui.interact(edge, frame.id.with(("height", name)), Sense::DRAG);
    let words = format!("Height of the {name} lane");
    response.widget_info(|| WidgetInfo::labeled(Role::Splitter, true, &words));
    let is_held = response.hovered() || response.dragged();
    let color = if is_held { theme.text } else { theme.text_weak };
    let grip = Rect::from_center_size(middle + vec2(0.0, 1.0), vec2(SPACE * 3.0, 3.0));
    ui.painter_at(frame.regions.whole).rect_filled(grip, 1.0, color);
    if is_held {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeVertical);
    }
    if let Some(pos) = response.interact_pointer_pos().filter(|_| response.dragged()) {
        // What isn't reached stays where it is until the pointer is back; a float to integer cast
        // saturates.
        *height = (lane.bottom() - pos.y).max(MIN_LANE).round() as u16;
    }
}

/// Background and title of a lane; a click on the title folds it away or opens it.
fn lane_title(ui: &Ui, frame: &RollFrame<'_>, lane: Rect, name: &str, is_open: bool) -> bool {
    let theme = frame.view.theme;
    let painter = ui.painter_at(lane);
    painter.rect_filled(lane, 0.0, theme.roll.ruler);
    let pixel = 1.0 / ui.pixels_per_point();
    painter.rect_filled(lane.with_max_y(lane.top() + pixel), 0.0, theme.roll.bar_line);
    let title = Rect::from_min_max(lane.min, pos2(frame.regions.left, lane.top() + TITLE_HEIGHT));
    let title = title.intersect(lane);
    let response = ui.interact(title, frame.id.with(("lane", name)), Sense::click());
    let words = format!("{name} lane");
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_open, &words));
    if response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::PointingHand);
    }
    let color = if response.hovered() { theme.text } else { theme.text_weak };
    let mark = if is_open { "⏷" } else { "⏵" };
    let at = pos2(title.left() + HALF_SPACE, title.center().y);
    painter.text(at, Align2::LEFT_CENTER, format!("{mark} {name}"), paint::small_font(), color);
    paint::paint_focus(&painter, title, &response, theme);
    let clicked = response.clicked();
    if clicked {
        ui.ctx().request_repaint();
    }
    response.on_hover_text(if is_open { "Fold it away" } else { "Open it" });
    clicked
}
