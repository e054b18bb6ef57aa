//! The whole piece in a narrow strip: which part of it is seen, and a handle to go elsewhere.

use std::sync::Arc;

use egui::{
    Color32, ColorImage, CornerRadius, Rect, Role, Sense, Stroke, StrokeKind, TextureHandle,
    TextureOptions, Ui, WidgetInfo, pos2,
};

use super::index::ScoreIndex;
use super::paint::Quads;
use super::{PianoRollEditor, RollFrame};
use crate::music::Velocity;
use crate::ui::theme::{Theme, ThemeName};

/// The shortest handle that can be grabbed, in points.
const MIN_HANDLE: f32 = 24.0;
/// A pitch is so many pixels high at most.
const MAX_ROW: usize = 3;

/// The notes of the strip: a picture, made once for a score and a size. Rows are lower than a pixel
/// there, so that shapes would lie over one another a thousand times.
pub struct Minimap {
    index: Arc<ScoreIndex>,
    /// In pixels.
    size: [usize; 2],
    all_ticks: f64,
    theme: ThemeName,
    texture: TextureHandle,
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
        self.update_minimap(ui, frame);
        if let Some(map) = &self.minimap {
            let place = Quads::new(&painter).align_rect(track);
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(map.texture.id(), place, whole, Color32::WHITE);
        }
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

    /// Makes the picture of the notes, unless there is the right one.
    fn update_minimap(&mut self, ui: &Ui, frame: &RollFrame<'_>) {
        let all_ticks = self.viewport.all_ticks();
        let pixels = frame.regions.minimap.size() * ui.pixels_per_point();
        let most = ui.input(|input| input.max_texture_side).max(1);
        // A cast from float saturates.
        let size = [pixels.x, pixels.y].map(|side| (side.round() as usize).clamp(1, most));
        let theme = frame.view.theme;
        let is_current = self.minimap.as_ref().is_some_and(|map| {
            Arc::ptr_eq(&map.index, &frame.index)
                && map.size == size
                && map.all_ticks == all_ticks
                && map.theme == theme.name
        });
        if is_current {
            return;
        }
        let image = picture(size, all_ticks, &frame.index, theme);
        let texture = ui.ctx().load_texture("minimap", image, TextureOptions::NEAREST);
        let index = Arc::clone(&frame.index);
        self.minimap = Some(Minimap { index, size, all_ticks, theme: theme.name, texture });
    }
}

/// On each pixel the loudest of the notes there.
fn picture(
    [width, height]: [usize; 2],
    all_ticks: f64,
    index: &ScoreIndex,
    theme: &Theme,
) -> ColorImage {
    let mut loudest = vec![0u8; width * height];
    let per_tick = width as f64 / all_ticks;
    // A cast from float saturates.
    let column = |tick: u32| ((f64::from(tick) * per_tick) as usize).min(width - 1);
    if let Some(pitches) = index.pitches() {
        let n_rows = usize::from(*pitches.end() - *pitches.start()) + 1;
        let used = (n_rows * MAX_ROW).min(height);
        let top = (height - used) / 2;
        for run in index.summary(1.0 / per_tick).all() {
            let row = usize::from(*pitches.end() - run.pitch);
            let first = top + row * used / n_rows;
            let last = (top + (row + 1) * used / n_rows).max(first + 1).min(height);
            let (from, to) = (column(run.start), column(run.end.saturating_sub(1)));
            for row in first..last {
                for pixel in &mut loudest[row * width + from..=row * width + to] {
                    *pixel = (*pixel).max(run.velocity.number());
                }
            }
        }
    }
    let color = |number: &u8| match Velocity::new(*number) {
        Some(velocity) => theme.without_outline(theme.velocity_color(velocity)),
        None => Color32::TRANSPARENT,
    };
    ColorImage::new([width, height], loudest.iter().map(color).collect())
}
