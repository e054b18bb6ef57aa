//! How the roll looks. Everything flat (rows, lines, notes, keys) goes into meshes of rectangles
//! that lie exactly on pixels; only words are shapes of their own.

mod back;
mod caret;
mod keyboard;
mod notes;
mod ruler;

pub use back::paint_back;
pub use caret::{paint_caret, paint_cut};
pub use keyboard::{key_at, paint_keyboard};
pub use notes::{NoteLayers, paint_notes};
pub use ruler::{RulerLook, paint_ruler};

use egui::{Align2, Color32, CornerRadius, FontId, Mesh, Painter, Pos2, Rect, Stroke, pos2, vec2};

use super::viewport::Viewport;
use crate::ui::theme::{HALF_SPACE, SMALL_SIZE, SPACE, Theme};

/// In points.
const PLAYHEAD_WIDTH: f32 = 2.0;

/// Rectangles on whole pixels, painted in one piece.
pub struct Quads {
    mesh: Mesh,
    pixels_per_point: f32,
}

impl Quads {
    pub fn new(painter: &Painter) -> Self {
        Self { mesh: Mesh::default(), pixels_per_point: painter.pixels_per_point() }
    }

    /// The nearest edge between two pixels.
    pub fn align(&self, at: f32) -> f32 {
        (at * self.pixels_per_point).round() / self.pixels_per_point
    }

    /// The size of a pixel in points.
    pub fn pixel(&self) -> f32 {
        1.0 / self.pixels_per_point
    }

    pub fn align_rect(&self, rect: Rect) -> Rect {
        let (min, max) = (rect.min, rect.max);
        Rect::from_min_max(
            pos2(self.align(min.x), self.align(min.y)),
            pos2(self.align(max.x), self.align(max.y)),
        )
    }

    /// Adds a rectangle that is on pixels already.
    pub fn add(&mut self, rect: Rect, color: Color32) {
        self.mesh.add_colored_rect(rect, color);
    }

    /// Adds a rectangle whose upper and lower edges differ in color.
    pub fn add_shaded(&mut self, rect: Rect, upper: Color32, lower: Color32) {
        // A mesh of u32 indices holds far more vertices than there is memory for.
        let first = self.mesh.vertices.len() as u32;
        self.mesh.colored_vertex(rect.left_top(), upper);
        self.mesh.colored_vertex(rect.right_top(), upper);
        self.mesh.colored_vertex(rect.left_bottom(), lower);
        self.mesh.colored_vertex(rect.right_bottom(), lower);
        self.mesh.add_triangle(first, first + 1, first + 2);
        self.mesh.add_triangle(first + 2, first + 1, first + 3);
    }

    /// A line one pixel wide, at and right of `x`.
    pub fn vline(&mut self, x: f32, rect: Rect, color: Color32) {
        let x = self.align(x);
        let ends = (pos2(x, rect.top()), pos2(x + self.pixel(), rect.bottom()));
        self.add(Rect::from_min_max(ends.0, ends.1), color);
    }

    /// A line one pixel high, at and below `y`.
    pub fn hline(&mut self, y: f32, rect: Rect, color: Color32) {
        let y = self.align(y);
        let ends = (pos2(rect.left(), y), pos2(rect.right(), y + self.pixel()));
        self.add(Rect::from_min_max(ends.0, ends.1), color);
    }

    pub fn paint(self, painter: &Painter) {
        if !self.mesh.is_empty() {
            painter.add(self.mesh);
        }
    }
}

/// The smaller type.
pub fn small_font() -> FontId {
    FontId::proportional(SMALL_SIZE)
}

/// The rubber band.
pub fn paint_band(painter: &Painter, rect: Rect, theme: &Theme) {
    painter.rect_filled(rect, CornerRadius::ZERO, theme.roll.selection_fill);
    let stroke = Stroke::new(1.0, theme.roll.selection);
    painter.rect_stroke(rect, CornerRadius::ZERO, stroke, egui::StrokeKind::Inside);
}

/// A few words beside the pointer, kept inside the roll.
pub fn paint_status(painter: &Painter, pos: Pos2, words: &str, theme: &Theme) {
    let galley = painter.layout_no_wrap(words.to_owned(), small_font(), theme.text_strong);
    let size = galley.size() + vec2(SPACE * 2.0, HALF_SPACE * 2.0);
    let room = painter.clip_rect().shrink(HALF_SPACE);
    let wanted = pos + vec2(SPACE * 2.0, -SPACE * 2.0 - size.y);
    let corner = pos2(
        wanted.x.min(room.right() - size.x).max(room.left()),
        wanted.y.min(room.bottom() - size.y).max(room.top()),
    );
    let rect = Rect::from_min_size(corner, size);
    painter.rect(
        rect,
        CornerRadius::same(crate::ui::theme::ROUNDING),
        theme.raised,
        Stroke::new(1.0, theme.line),
        egui::StrokeKind::Inside,
    );
    painter.galley(rect.min + vec2(SPACE, HALF_SPACE), galley, theme.text_strong);
}

/// The line where the music is, over the notes.
pub fn paint_playhead(painter: &Painter, viewport: &Viewport, tick: f64, theme: &Theme) {
    let rect = viewport.rect();
    let mut quads = Quads::new(painter);
    let x = quads.align(viewport.x_from_tick(tick));
    if x < rect.left() - 1.0 || x > rect.right() {
        return;
    }
    let width = quads.align(PLAYHEAD_WIDTH);
    let line = Rect::from_min_max(pos2(x, rect.top()), pos2(x + width, rect.bottom()));
    quads.add(line, theme.roll.playhead);
    quads.paint(painter);
}

/// Words in the middle of a roll without notes.
pub fn paint_empty(painter: &Painter, rect: Rect, words: &str, theme: &Theme) {
    let font = FontId::proportional(crate::ui::theme::TEXT_SIZE);
    painter.text(rect.center(), Align2::CENTER_CENTER, words, font, theme.text_weak);
}
