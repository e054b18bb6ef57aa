//! Rows and lines behind the notes.

use egui::{Painter, Rect, pos2};

use super::Quads;
use crate::editor::{Bar, GridStep};
use crate::music::{KeyScale, Tick};
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::viewport::Viewport;
use crate::ui::theme::Theme;

/// Lines of one kind are shown when they are at least so far apart, in points.
const MIN_BEAT: f64 = 10.0;
/// Bars closer than this are thinned out.
pub const MIN_BAR: f64 = 12.0;

/// Bars that are all closer than this have weaker lines, except the numbered ones.
const DENSE_BAR: f64 = 32.0;
/// Numbered bars are at least so far apart: room for four digits.
pub const MIN_NUMBERED_BAR: f64 = 40.0;

/// Paints the rows, the lines of the grid, and a shade over what lies after the end.
pub fn paint_back(
    painter: &Painter,
    viewport: &Viewport,
    index: &ScoreIndex,
    step: GridStep,
    key: Option<KeyScale>,
    theme: &Theme,
) {
    let rect = viewport.rect();
    let mut quads = Quads::new(painter);
    quads.add(rect, theme.roll.background);
    add_rows(&mut quads, viewport, key, theme);
    add_lines(&mut quads, viewport, index, step, theme);
    let end = quads.align(viewport.x_of(index.end())).max(rect.left());
    if end < rect.right() {
        quads.add(Rect::from_min_max(pos2(end, rect.top()), rect.max), theme.roll.beyond_end);
    }
    quads.paint(painter);
}

/// Without a key the rows of black keys are shaded, with one those outside its scale; its tonic
/// has a line of its own.
fn add_rows(quads: &mut Quads, viewport: &Viewport, key: Option<KeyScale>, theme: &Theme) {
    let rect = viewport.rect();
    for pitch in viewport.seen_rows() {
        let top = viewport.y_from_pitch(pitch.number());
        let row = Rect::from_min_max(
            pos2(rect.left(), top),
            pos2(rect.right(), top + viewport.row_height()),
        );
        let is_shaded = key.map_or(pitch.is_black_key(), |key| !key.contains(pitch));
        if is_shaded {
            quads.add(quads.align_rect(row), theme.roll.black_row);
        }
        if key.is_some_and(|key| key.is_tonic(pitch)) {
            quads.hline(row.bottom(), rect, theme.roll.tonic_line);
            continue;
        }
        // The line under C parts octaves; the one under F parts the two groups of black keys.
        match pitch.class() {
            0 => quads.hline(row.bottom(), rect, theme.roll.octave_line),
            5 => quads.hline(row.bottom(), rect, theme.roll.grid_line),
            _ => {}
        }
    }
}

fn add_lines(
    quads: &mut Quads,
    viewport: &Viewport,
    index: &ScoreIndex,
    step: GridStep,
    theme: &Theme,
) {
    let (rect, (first, last)) = (viewport.rect(), viewport.ticks());
    let per_point = viewport.ticks_per_point();
    let bars: Vec<Bar> = index
        .bars()
        .spaced(Tick(first), MIN_BAR * per_point)
        .take_while(|bar| bar.start.0 <= last)
        .collect();
    let x = |tick: Tick| viewport.x_of(tick);
    for bar in &bars {
        let beats_shown = f64::from(bar.ticks_per_beat) >= MIN_BEAT * per_point;
        if beats_shown {
            add_grid(quads, viewport, index, *bar, step, theme);
            for beat in bar.beats().skip(1) {
                quads.vline(x(beat), rect, theme.roll.beat_line);
            }
        }
    }
    // Bars last, so that nothing crosses them. Where they are dense, those with a number stand out.
    let is_dense = bars
        .windows(2)
        .all(|pair| f64::from(pair[1].start.0 - pair[0].start.0) < DENSE_BAR * per_point);
    if !is_dense {
        for bar in &bars {
            quads.vline(x(bar.start), rect, theme.roll.bar_line);
        }
        return;
    }
    for bar in &bars {
        quads.vline(x(bar.start), rect, theme.roll.beat_line);
    }
    let numbered = index.bars().spaced(Tick(first), MIN_NUMBERED_BAR * per_point);
    for bar in numbered.take_while(|bar| bar.start.0 <= last) {
        quads.vline(x(bar.start), rect, theme.roll.bar_line);
    }
}

/// The lines inside beats that notes snap to.
fn add_grid(
    quads: &mut Quads,
    viewport: &Viewport,
    index: &ScoreIndex,
    bar: Bar,
    step: GridStep,
    theme: &Theme,
) {
    let ticks_per_quarter = index.score().tempo_map.ticks_per_quarter();
    let (first, last) = viewport.ticks();
    let is_dense = f64::from(step.ticks(ticks_per_quarter, bar)) < 5.0 * viewport.ticks_per_point();
    if step.ticks(ticks_per_quarter, bar) >= bar.ticks_per_beat || is_dense {
        return;
    }
    let from = step.line_before(Tick(bar.start.0.max(first)), index.bars(), ticks_per_quarter);
    let next = |line: &Tick| Some(step.line_after(*line, index.bars(), ticks_per_quarter));
    let end = bar.end.0.min(last.saturating_add(1));
    for line in std::iter::successors(Some(from), next).take_while(|line| line.0 < end) {
        quads.vline(viewport.x_of(line), viewport.rect(), theme.roll.grid_line);
    }
}
