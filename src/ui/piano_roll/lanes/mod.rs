//! The lanes under the notes: how hard they are struck, and when the pedal is down.

mod pedal;
mod velocity;

use egui::{Align2, CursorIcon, Pos2, Rect, Role, Sense, Ui, WidgetInfo, pos2};

use super::pointer::Hand;
use super::{PianoRollEditor, RollFrame, RollResponse, paint};
use crate::ui::theme::{HALF_SPACE, SPACE};
use pedal::PedalDrag;
use velocity::VelocityDrag;

/// The height of a lane's title, in points.
const TITLE_HEIGHT: f32 = SPACE * 2.0;

/// What is being done in the lanes.
#[derive(Default)]
pub struct Lanes {
    velocity: Option<VelocityDrag>,
    pedal: Option<PedalDrag>,
    /// A velocity that is being written or dragged in the number field.
    typed: Option<u8>,
    /// When the wheel was last turned over the velocities, in seconds.
    pub(super) wheel_time: f64,
}

impl Lanes {
    /// Forgets what was being done: the score is another.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn is_busy(&self) -> bool {
        self.velocity.is_some() || self.pedal.is_some()
    }
}

impl PianoRollEditor {
    pub(super) fn lanes_ui(&mut self, ui: &mut Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        if frame.regions.velocities.is_positive() {
            self.velocity_lane(ui, frame, out);
        }
        if frame.regions.pedal.is_positive() {
            self.pedal_lane(ui, frame, out);
        }
    }

    /// Where a hand presses a lane to draw in it. What was going on elsewhere ends there.
    fn pressed_lane(
        &mut self,
        frame: &RollFrame<'_>,
        hand: Hand,
        out: &mut RollResponse,
    ) -> Option<Pos2> {
        let pos = hand.pressed_at()?;
        if !frame.is_editable() {
            out.is_refused = true;
            return None;
        }
        self.finish(frame, out);
        Some(pos)
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
    let clicked = response.clicked();
    if clicked {
        ui.ctx().request_repaint();
    }
    response.on_hover_text(if is_open { "Fold it away" } else { "Open it" });
    clicked
}
