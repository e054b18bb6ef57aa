//! What stands where something would be done: the caret, and the line of a cut.

use egui::{CornerRadius, Painter, Rect, Stroke, StrokeKind, pos2};

use super::Quads;
use crate::ui::theme::Theme;

/// In points.
const CARET_WIDTH: f32 = 2.0;

/// A bright line where a note would begin, and the outline of the note.
pub fn paint_caret(painter: &Painter, rect: Rect, theme: &Theme) {
    let color = theme.roll.selection;
    painter.rect_filled(rect, CornerRadius::ZERO, theme.roll.selection_fill);
    let stroke = Stroke::new(1.0, color);
    painter.rect_stroke(rect, CornerRadius::ZERO, stroke, StrokeKind::Inside);
    let mut quads = Quads::new(painter);
    let left = quads.align(rect.left());
    let width = quads.align(CARET_WIDTH);
    let line = Rect::from_min_max(pos2(left, rect.top()), pos2(left + width, rect.bottom()));
    quads.add(line, color);
    quads.paint(painter);
}

/// The line at which a note would be cut in two.
pub fn paint_cut(painter: &Painter, x: f32, row: Rect, theme: &Theme) {
    let mut quads = Quads::new(painter);
    let left = quads.align(x);
    let width = quads.align(CARET_WIDTH);
    let line = Rect::from_min_max(pos2(left, row.top()), pos2(left + width, row.bottom()));
    quads.add(line, theme.roll.playhead);
    quads.paint(painter);
}
