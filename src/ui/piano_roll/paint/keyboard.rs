//! The keyboard at the left: keys as they lie on a piano, turned on its side.

use egui::{Align2, Color32, Painter, Rect, pos2, vec2};

use super::{Quads, small_font};
use crate::music::Pitch;
use crate::ui::piano_roll::text;
use crate::ui::piano_roll::viewport::Viewport;
use crate::ui::theme::{HALF_SPACE, Theme};

/// How long black keys are, as a share of the white ones.
pub const BLACK_SHARE: f32 = 0.6;

/// Paints the keys. `sounding` are lit, a bit for each; `hovered` is a little lighter.
pub fn paint_keyboard(
    painter: &Painter,
    rect: Rect,
    viewport: &Viewport,
    sounding: u128,
    hovered: Option<Pitch>,
    theme: &Theme,
) {
    let mut quads = Quads::new(painter);
    // Above the highest key and below the lowest there is no piano.
    quads.add(rect, theme.roll.background);
    quads.add(keys_rect(rect, viewport), theme.roll.key_white);
    let color = |pitch: Pitch, at_rest: Color32| {
        if sounding >> pitch.number() & 1 == 1 {
            theme.roll.key_sounding
        } else if hovered == Some(pitch) {
            at_rest.lerp_to_gamma(theme.roll.key_sounding, 0.35)
        } else {
            at_rest
        }
    };
    let seen = || viewport.seen_rows();
    // The white keys under black ones at the edges of what is seen reach into it.
    let around = seen()
        .next()
        .into_iter()
        .chain(seen().next_back())
        .flat_map(|pitch| [pitch.transposed(-1), pitch.transposed(1)].into_iter().flatten())
        .filter(|pitch| viewport.has_row(pitch.number()));
    for pitch in seen().chain(around).filter(|pitch| !pitch.is_black_key()) {
        let key = quads.align_rect(white_key(rect, viewport, pitch));
        quads.add(key, color(pitch, theme.roll.key_white));
        quads.hline(key.bottom() - quads.pixel(), rect, theme.roll.key_line);
    }
    for pitch in seen().filter(|pitch| pitch.is_black_key()) {
        let top = viewport.y_from_pitch(pitch.number());
        let size = vec2(rect.width() * BLACK_SHARE, viewport.row_height());
        let key = quads.align_rect(Rect::from_min_size(pos2(rect.left(), top), size));
        quads.add(key, theme.roll.key_line);
        let inside = key.with_max_x(key.right() - quads.pixel()).shrink2(vec2(0.0, quads.pixel()));
        quads.add(inside, color(pitch, theme.roll.key_black));
    }
    quads.vline(rect.right() - quads.pixel(), rect, theme.roll.key_line);
    quads.paint(painter);
    paint_names(painter, rect, viewport, hovered, theme);
}

/// Each C has its name, and every white key where there is room; so has the one under the pointer.
fn paint_names(
    painter: &Painter,
    rect: Rect,
    viewport: &Viewport,
    hovered: Option<Pitch>,
    theme: &Theme,
) {
    let has_room = viewport.row_height() >= 15.0;
    for pitch in viewport.seen_rows() {
        let is_pointed_at = hovered == Some(pitch);
        let is_named = pitch.class() == 0 || has_room || is_pointed_at;
        if !is_named || pitch.is_black_key() {
            continue;
        }
        let middle = white_key(rect, viewport, pitch).center().y;
        painter.text(
            pos2(rect.right() - HALF_SPACE, middle),
            Align2::RIGHT_CENTER,
            text::pitch(pitch),
            small_font(),
            theme.roll.key_text,
        );
    }
}

/// Where there are keys: in a tall window that isn't everywhere.
fn keys_rect(rect: Rect, viewport: &Viewport) -> Rect {
    let mut rows = viewport.seen_rows().map(|pitch| viewport.y_from_pitch(pitch.number()));
    let Some(top) = rows.next() else { return rect.with_max_y(rect.top()) };
    let bottom = rows.next_back().unwrap_or(top) + viewport.row_height();
    rect.intersect(Rect::from_x_y_ranges(rect.x_range(), top..=bottom))
}

/// A white key reaches to the middle of the black keys beside it.
fn white_key(rect: Rect, viewport: &Viewport, pitch: Pitch) -> Rect {
    let half = viewport.row_height() / 2.0;
    let reach = |neighbor: Option<Pitch>| match neighbor {
        Some(neighbor) if neighbor.is_black_key() && viewport.has_row(neighbor.number()) => half,
        _ => 0.0,
    };
    let top = viewport.y_from_pitch(pitch.number());
    Rect::from_min_max(
        pos2(rect.left(), top - reach(pitch.transposed(1))),
        pos2(rect.right(), top + viewport.row_height() + reach(pitch.transposed(-1))),
    )
}

/// The key at a point, as long as the black ones are where the pointer is.
pub fn key_at(rect: Rect, viewport: &Viewport, pos: egui::Pos2) -> Option<Pitch> {
    if !rect.contains(pos) {
        return None;
    }
    let pitch = viewport.pitch_from_y(pos.y);
    let beside_black = pos.x > rect.left() + rect.width() * BLACK_SHARE;
    if !(pitch.is_black_key() && beside_black) {
        return Some(pitch);
    }
    // In front of a black key the two white ones beside it meet in its middle.
    let middle = viewport.y_from_pitch(pitch.number()) + viewport.row_height() / 2.0;
    let white = pitch.transposed(if pos.y < middle { 1 } else { -1 });
    white.filter(|white| viewport.has_row(white.number())).or(Some(pitch))
}
