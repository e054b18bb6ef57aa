//! A slim bar along the lower edge: which part of the piece is seen, and a handle to go elsewhere
//! for those whose wheel turns only one way.

use egui::{CornerRadius, Rect, Role, Sense, Ui, WidgetInfo, pos2};

use super::{PianoRollEditor, RollFrame};
use crate::ui::theme::{HALF_SPACE, SPACE};

/// The shortest handle that can be grabbed, in points.
const MIN_HANDLE: f32 = 24.0;

impl PianoRollEditor {
    /// Shows nothing when the whole piece is seen.
    pub(super) fn scrollbar_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>) {
        let canvas = frame.regions.canvas;
        let (seen, all) = (self.viewport.width_ticks(), self.viewport.all_ticks());
        if seen >= all || canvas.height() < SPACE * 4.0 {
            return;
        }
        let track = canvas.with_min_y(canvas.bottom() - SPACE - HALF_SPACE);
        let handle_width = (track.width() * (seen / all) as f32).max(MIN_HANDLE);
        let room = (track.width() - handle_width).max(1.0);
        let share = (self.viewport.left_tick() / (all - seen)).clamp(0.0, 1.0) as f32;

        let response = ui.interact(track, frame.id.with("scrollbar"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::ScrollBar, true, "Scroll in time"));
        let left = track.left() + room * share;
        if let Some(pos) = response.interact_pointer_pos() {
            // A press beside the handle brings it there; from then on it goes along.
            let is_outside = pos.x < left || pos.x > left + handle_width;
            let by = match response.drag_delta().x {
                0.0 if is_outside => pos.x - handle_width / 2.0 - left,
                delta => delta,
            };
            let share = f64::from((left + by - track.left()) / room).clamp(0.0, 1.0);
            self.viewport.set_left(share * (all - seen));
            self.looked_away = true;
        }
        let share = (self.viewport.left_tick() / (all - seen)).clamp(0.0, 1.0) as f32;
        let left = track.left() + room * share;
        let is_active = response.hovered() || response.dragged();
        let height = if is_active { SPACE } else { HALF_SPACE };
        let bottom = track.bottom() - HALF_SPACE / 2.0;
        let handle = Rect::from_min_max(
            pos2(left + HALF_SPACE / 2.0, bottom - height),
            pos2(left + handle_width - HALF_SPACE / 2.0, bottom),
        );
        let theme = frame.view.theme;
        let color = if is_active { theme.text_weak } else { theme.text_weak.gamma_multiply(0.5) };
        ui.painter_at(canvas).rect_filled(handle, CornerRadius::same(SPACE as u8 / 2), color);
    }
}
