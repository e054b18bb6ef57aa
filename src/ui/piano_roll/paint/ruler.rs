//! The ruler over the roll: bars, beats, and the playhead's handle.

use egui::{Align2, Painter, Rect, Shape, Stroke, pos2, vec2};

use super::back::{MIN_BAR, MIN_NUMBERED_BAR};
use super::{PLAYHEAD_WIDTH, Quads, small_font};
use crate::editor::Bar;
use crate::music::Tick;
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::viewport::Viewport;
use crate::ui::theme::{HALF_SPACE, Theme};

/// Numbered beats are at least so far apart, in points: room for "128.3".
const MIN_NUMBERED_BEAT: f64 = 56.0;

/// What the ruler shows besides bars.
pub struct RulerLook {
    pub playhead_tick: f64,
    /// The loop, and whether it is on.
    pub loop_range: Option<((Tick, Tick), bool)>,
    /// A stretch that is being selected.
    pub selected: Option<(Tick, Tick)>,
}

/// Paints bars with their numbers, beats when there is room, and where the music is.
pub fn paint_ruler(
    painter: &Painter,
    rect: Rect,
    viewport: &Viewport,
    index: &ScoreIndex,
    look: &RulerLook,
    theme: &Theme,
) {
    let mut quads = Quads::new(painter);
    quads.add(rect, theme.roll.ruler);
    let (first, last) = viewport.ticks();
    let per_point = viewport.ticks_per_point();
    let x = |tick: Tick| viewport.x_of(tick);
    let bars = |min_points: f64| {
        index
            .bars()
            .spaced(Tick(first), min_points * per_point)
            .take_while(|bar| bar.start.0 <= last)
    };
    if let Some(range) = look.selected {
        quads.add(stretch(rect, viewport, range), theme.roll.selection_fill);
    }
    if let Some((range, is_on)) = look.loop_range {
        add_loop(&mut quads, stretch(rect, viewport, range), is_on, theme);
    }
    // Words are painted after what lies under them.
    let mut labels: Vec<Label> = Vec::new();
    let lower = |share: f32| rect.with_min_y(rect.bottom() - rect.height() * share);
    for bar in bars(MIN_BAR) {
        quads.vline(x(bar.start), lower(0.35), theme.roll.bar_line);
    }
    for bar in bars(MIN_NUMBERED_BAR) {
        quads.vline(x(bar.start), lower(1.0), theme.roll.bar_line);
        labels.push((x(bar.start), bar.number.to_string(), 1.0));
        if f64::from(bar.ticks_per_beat) >= 12.0 * per_point {
            add_beats(&mut quads, &mut labels, rect, viewport, bar, theme);
        }
    }
    quads.hline(rect.bottom() - quads.pixel(), rect, theme.roll.bar_line);
    quads.paint(painter);
    for (x, words, opacity) in labels {
        label(painter, rect, x, words, opacity, theme);
    }
    // In the middle of the line under it.
    let x =
        Quads::new(painter).align(viewport.x_from_tick(look.playhead_tick)) + PLAYHEAD_WIDTH / 2.0;
    paint_handle(painter, rect, x, theme);
}

/// A stretch of time, inside the ruler.
fn stretch(rect: Rect, viewport: &Viewport, range: (Tick, Tick)) -> Rect {
    let x = |tick: Tick| {
        let x = viewport.x_of(tick);
        x.clamp(rect.left() - 8.0, rect.right() + 8.0)
    };
    Rect::from_x_y_ranges(x(range.0)..=x(range.1), rect.y_range())
}

/// A band with a handle at either end; grey while the loop is off.
fn add_loop(quads: &mut Quads, band: Rect, is_on: bool, theme: &Theme) {
    let color = if is_on { theme.accent } else { theme.text_weak };
    let band = quads.align_rect(band);
    quads.add(band, color.gamma_multiply(0.25));
    quads.add(band.with_max_y(band.top() + 3.0), color);
    for x in [band.left(), band.right() - 3.0] {
        quads.add(Rect::from_min_max(pos2(x, band.top()), pos2(x + 3.0, band.bottom())), color);
    }
}

/// Where words stand, what they are, and how strongly they show, 0–1.
type Label = (f32, String, f32);

fn add_beats(
    quads: &mut Quads,
    labels: &mut Vec<Label>,
    rect: Rect,
    viewport: &Viewport,
    bar: Bar,
    theme: &Theme,
) {
    let is_numbered =
        f64::from(bar.ticks_per_beat) >= MIN_NUMBERED_BEAT * viewport.ticks_per_point();
    let short = rect.with_min_y(rect.bottom() - rect.height() * 0.2);
    for (idx, beat) in bar.beats().enumerate().skip(1) {
        let x = viewport.x_of(beat);
        quads.vline(x, short, theme.roll.bar_line);
        if is_numbered {
            labels.push((x, format!("{}.{}", bar.number, idx + 1), 0.75));
        }
    }
}

fn label(painter: &Painter, rect: Rect, x: f32, words: String, opacity: f32, theme: &Theme) {
    let color = theme.roll.ruler_text.gamma_multiply(opacity);
    let at = pos2(x + HALF_SPACE, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, words, small_font(), color);
}

fn paint_handle(painter: &Painter, rect: Rect, x: f32, theme: &Theme) {
    if x < rect.left() - 8.0 || x > rect.right() + 8.0 {
        return;
    }
    let tip = pos2(x, rect.bottom());
    let corners = vec![tip + vec2(-6.0, -9.0), tip + vec2(6.0, -9.0), tip];
    painter.add(Shape::convex_polygon(corners, theme.roll.playhead, Stroke::NONE));
}
