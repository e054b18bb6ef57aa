//! The whole piece in a narrow strip: which part of it is seen, and a handle to go elsewhere.

use std::sync::Arc;

use egui::{
    CornerRadius, Mesh, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
};

use super::index::ScoreIndex;
use super::paint::Quads;
use super::{PianoRollEditor, RollFrame};
use crate::ui::theme::Theme;

/// The shortest handle that can be grabbed, in points.
const MIN_HANDLE: f32 = 24.0;

/// The notes of the strip, painted once for a score and a place.
pub struct Minimap {
    index: Arc<ScoreIndex>,
    rect: Rect,
    all_ticks: f64,
    pixels_per_point: f32,
    theme: crate::ui::theme::ThemeName,
    mesh: Arc<Mesh>,
}

impl PianoRollEditor {
    pub(super) fn minimap_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>) {
        let track = frame.regions.minimap;
        if !track.is_positive() {
            return;
        }
        let (seen, all) = (self.viewport.width_ticks(), self.viewport.all_ticks());
        let handle_width = (track.width() * (seen / all) as f32).max(MIN_HANDLE).min(track.width());
        let room = (track.width() - handle_width).max(1.0);
        let hidden = (all - seen).max(1.0);
        let left_of = |tick: f64| track.left() + room * (tick / hidden).clamp(0.0, 1.0) as f32;

        let response = ui.interact(track, frame.id.with("minimap"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::ScrollBar, true, "Scroll in time"));
        if let Some(pos) = response.interact_pointer_pos() {
            let left = left_of(self.viewport.left_tick());
            // A press beside the handle brings it there; from then on it goes along.
            let is_outside = pos.x < left || pos.x > left + handle_width;
            let by = match response.drag_delta().x {
                0.0 if is_outside => pos.x - handle_width / 2.0 - left,
                delta => delta,
            };
            let share = f64::from((left + by - track.left()) / room).clamp(0.0, 1.0);
            self.viewport.set_left(share * hidden);
            self.looked_away = true;
        }
        let painter = ui.painter_at(track);
        let theme = frame.view.theme;
        painter.rect_filled(track, CornerRadius::ZERO, theme.roll.ruler);
        painter.add(Shape::mesh(self.minimap_mesh(ui, frame)));
        let playhead = f64::from(frame.playhead.0) / all;
        let x = track.left() + track.width() * playhead as f32;
        painter.vline(x, track.y_range(), Stroke::new(1.0, theme.roll.playhead));
        let left = left_of(self.viewport.left_tick());
        let handle =
            Rect::from_min_max(pos2(left, track.top()), pos2(left + handle_width, track.bottom()));
        let is_active = response.hovered() || response.dragged();
        let color = if is_active { theme.text } else { theme.text_weak };
        painter.rect_filled(handle, CornerRadius::ZERO, theme.roll.selection_fill);
        let stroke = Stroke::new(1.0, color);
        painter.rect_stroke(handle, CornerRadius::ZERO, stroke, StrokeKind::Inside);
    }

    fn minimap_mesh(&mut self, ui: &Ui, frame: &RollFrame<'_>) -> Arc<Mesh> {
        let (rect, all_ticks) = (frame.regions.minimap, self.viewport.all_ticks());
        let pixels_per_point = ui.pixels_per_point();
        let is_current = |map: &&Minimap| {
            Arc::ptr_eq(&map.index, &frame.index)
                && map.rect == rect
                && map.all_ticks == all_ticks
                && map.pixels_per_point == pixels_per_point
                && map.theme == frame.view.theme.name
        };
        if let Some(map) = self.minimap.as_ref().filter(is_current) {
            return Arc::clone(&map.mesh);
        }
        let quads = Quads::new(&ui.painter_at(rect));
        let mesh = Arc::new(mesh(quads, rect, all_ticks, &frame.index, frame.view.theme));
        self.minimap = Some(Minimap {
            index: Arc::clone(&frame.index),
            rect,
            all_ticks,
            pixels_per_point,
            theme: frame.view.theme.name,
            mesh: Arc::clone(&mesh),
        });
        mesh
    }
}

fn mesh(mut quads: Quads, rect: Rect, all_ticks: f64, index: &ScoreIndex, theme: &Theme) -> Mesh {
    let Some(pitches) = index.pitches() else { return Mesh::default() };
    let room = rect.shrink2(egui::vec2(0.0, 2.0));
    let n_rows = f32::from(*pitches.end() - *pitches.start()) + 1.0;
    let row = (room.height() / n_rows).min(3.0);
    let top = room.center().y - row * n_rows / 2.0;
    let per_tick = f64::from(rect.width()) / all_ticks;
    let x = |tick: u32| rect.left() + (f64::from(tick) * per_tick) as f32;
    for run in index.summary(1.0 / per_tick).all() {
        let y = top + f32::from(*pitches.end() - run.pitch) * row;
        let right = x(run.end).max(x(run.start) + quads.pixel());
        let height = row.max(quads.pixel());
        let place = Rect::from_min_max(pos2(x(run.start), y), pos2(right, y + height));
        quads.add(place, theme.velocity_color(run.velocity));
    }
    quads.into_mesh()
}
