//! The notes, as one mesh.

use std::ops::RangeInclusive;

use egui::{Align2, Color32, Painter, Rangef, Rect, pos2, vec2};

use super::{Quads, small_font};
use crate::editor::Selection;
use crate::music::{Note, Velocity};
use crate::ui::piano_roll::hit::note_rect;
use crate::ui::piano_roll::index::ScoreIndex;
use crate::ui::piano_roll::summary::Run;
use crate::ui::piano_roll::text;
use crate::ui::piano_roll::viewport::Viewport;
use crate::ui::theme::Theme;

/// Names are written into notes at least so high and wide, in points, and not into more than so
/// many at once: words cost far more than rectangles.
const MIN_NAMED_HEIGHT: f32 = 14.0;
const MIN_NAMED_WIDTH: f32 = 30.0;
const MAX_NAMES: usize = 200;
/// With more notes in view than this each is one plain rectangle: outlines can't be seen any more.
const MAX_DRESSED: usize = 2_500;
/// And with more than this notes that lie on the same pixels are painted as one.
const MAX_NOTES: usize = 12_000;

/// Which notes are painted how.
pub struct NoteLayers<'a> {
    pub selection: &'a Selection,
    /// Notes as an unfinished gesture would leave them, on top of all.
    pub preview: &'a [Note],
    /// Whether the selected notes are only shown as what they were before the gesture.
    pub selected_are_ghosts: bool,
    pub hovered: Option<&'a Note>,
    /// The color of each part; empty when notes show their velocity by it.
    pub parts: &'a [Color32],
}

/// How a note is dressed.
#[derive(Clone, Copy, PartialEq)]
enum Dress {
    Plain,
    Hovered,
    Selected,
    Ghost,
}

/// Paints the notes in view.
pub fn paint_notes(
    painter: &Painter,
    viewport: &Viewport,
    index: &ScoreIndex,
    layers: &NoteLayers<'_>,
    theme: &Theme,
) {
    let (first, last) = viewport.ticks();
    let n_notes = index.n_starting(first, last);
    let mut notes = NoteMesh::new(painter, viewport, layers.parts, theme);
    notes.is_plain = n_notes > MAX_DRESSED;
    if n_notes > MAX_NOTES {
        paint_summary(notes, painter, index, layers);
        return;
    }
    let mut on_top = Vec::new();
    for (note, is_selected) in layers.selection.marked(index.notes_between(first, last)) {
        match is_selected {
            true if layers.selected_are_ghosts => notes.add(note, Dress::Ghost),
            true => on_top.push(note),
            false if layers.hovered == Some(note) => notes.add(note, Dress::Hovered),
            false => notes.add(note, Dress::Plain),
        }
    }
    notes.start_layer();
    for note in on_top.into_iter().chain(layers.preview) {
        notes.add(note, Dress::Selected);
    }
    notes.paint(painter);
}

/// A piece from far away. Of the selected notes those are painted that can be told apart.
fn paint_summary(
    mut mesh: NoteMesh<'_>,
    painter: &Painter,
    index: &ScoreIndex,
    layers: &NoteLayers<'_>,
) {
    let viewport = mesh.viewport;
    let (first, last) = viewport.ticks();
    let score = index.score();
    let is_all_selected = layers.selection.len() == score.notes().len();
    let per_pixel = viewport.ticks_per_point() * f64::from(mesh.quads.pixel());
    let summary = index.summary(per_pixel * 3.0);
    for pitch in viewport.seen_rows() {
        let row = mesh.row(pitch.number());
        for run in summary.between(pitch.number(), first, last) {
            let color = match is_all_selected {
                true if layers.selected_are_ghosts => {
                    Theme::faint(mesh.color(run.velocity, run.part))
                }
                true => mesh.theme.roll.selection,
                false => mesh.theme.without_outline(mesh.color(run.velocity, run.part)),
            };
            mesh.add_run(run, row, color);
        }
    }
    mesh.start_layer();
    if !is_all_selected {
        let selected = layers.selection.notes(score);
        let in_view = |note: &&Note| note.start.0 < last && note.end().0 > first;
        for note in selected.filter(in_view) {
            mesh.add(note, if layers.selected_are_ghosts { Dress::Ghost } else { Dress::Selected });
        }
    }
    for note in layers.preview {
        mesh.add(note, Dress::Selected);
    }
    mesh.paint(painter);
}

struct NoteMesh<'a> {
    quads: Quads,
    viewport: &'a Viewport,
    theme: &'a Theme,
    /// The color of each velocity, asked for once a frame and not once a note.
    colors: [Color32; 128],
    parts: &'a [Color32],
    /// Notes are plain rectangles without an outline.
    is_plain: bool,
    /// Up to which tick each row is covered, to the next pixel.
    covered: [f64; 128],
    /// Notes up to so long may be left out where their pixels are covered.
    narrow_ticks: f64,
    seen_pitches: RangeInclusive<u8>,
    named: Vec<(Rect, Note)>,
}

impl<'a> NoteMesh<'a> {
    fn new(
        painter: &Painter,
        viewport: &'a Viewport,
        parts: &'a [Color32],
        theme: &'a Theme,
    ) -> Self {
        let color = |number| theme.velocity_color(Velocity::saturating(number as i32));
        Self {
            quads: Quads::new(painter),
            viewport,
            theme,
            colors: std::array::from_fn(color),
            parts,
            is_plain: false,
            covered: [f64::NEG_INFINITY; 128],
            narrow_ticks: viewport.ticks_per_point() * 8.0 / f64::from(painter.pixels_per_point()),
            seen_pitches: viewport.visible_pitches(),
            named: Vec::new(),
        }
    }

    /// What comes now covers what came before.
    fn start_layer(&mut self) {
        self.covered = [f64::NEG_INFINITY; 128];
    }

    /// By velocity; or by part, the fainter the softer.
    fn color(&self, velocity: Velocity, part: u8) -> Color32 {
        match self.parts.get(usize::from(part)) {
            None => self.colors[usize::from(velocity.number())],
            Some(color) => self.theme.part_velocity_color(*color, velocity),
        }
    }

    /// The upper and the lower edge of a row, with a gap to the row above.
    fn row(&self, pitch: u8) -> Rangef {
        let pixel = self.quads.pixel();
        let top = self.quads.align(self.viewport.y_from_pitch(pitch)) + pixel;
        Rangef::new(top, (top + self.viewport.row_height() - pixel).max(top + pixel))
    }

    fn add_run(&mut self, run: &Run, row: Rangef, color: Color32) {
        let (pixel, view) = (self.quads.pixel(), self.viewport.rect());
        let x = |tick: u32| {
            let x = self.viewport.x_from_tick(f64::from(tick));
            self.quads.align(x.clamp(view.left() - 16.0, view.right() + 16.0))
        };
        let left = x(run.start);
        let right = x(run.end).max(left + pixel);
        self.quads.add(Rect::from_x_y_ranges(left..=right, row), color);
    }

    fn add(&mut self, note: &Note, dress: Dress) {
        let pitch = note.pitch.number();
        if !self.seen_pitches.contains(&pitch) {
            return;
        }
        // Seen from far away many notes fall on the same pixels: those that would add less than
        // one are left out, so that what is painted is bounded by the screen, not by the piece.
        let covered = self.covered[usize::from(pitch)];
        let is_narrow = f64::from(note.length.0) < self.narrow_ticks;
        if is_narrow && f64::from(note.end().0) <= covered {
            return;
        }
        let (pixel, view) = (self.quads.pixel(), self.viewport.rect());
        // Far beyond the edges nothing is seen, and numbers that large lose their fractions.
        let whole = note_rect(self.viewport, note);
        let whole = Rect::from_x_y_ranges(
            whole.left().max(view.left() - 16.0)..=whole.right().min(view.right() + 16.0),
            whole.y_range(),
        );
        let mut rect = self.quads.align_rect(whole);
        let now_covered = self.viewport.tick_from_x(rect.right() + pixel * 0.99);
        self.covered[usize::from(pitch)] = covered.max(now_covered);
        // A gap to the row above and to the next note, so that repeated notes are told apart.
        rect.min.y += pixel;
        if rect.width() > 4.0 * pixel {
            rect.max.x -= pixel;
        }
        self.add_dressed(rect, note, dress);
    }

    fn add_dressed(&mut self, rect: Rect, note: &Note, dress: Dress) {
        let pixel = self.quads.pixel();
        let color = self.color(note.velocity, note.part);
        let is_small = self.is_plain || rect.width() < 5.0 * pixel || rect.height() < 5.0 * pixel;
        let inside = rect.shrink(pixel);
        let (light, dark) = self.shades(color);
        match dress {
            Dress::Ghost => self.quads.add(rect, Theme::faint(color)),
            Dress::Selected if is_small => self.quads.add(rect, self.theme.roll.selection),
            _ if is_small => self.quads.add(rect, self.theme.without_outline(color)),
            Dress::Selected => {
                // A rim around a line against it stands out from any velocity; it is two pixels
                // wide where there is room.
                let rim = if rect.height() >= 9.0 * pixel { pixel } else { 0.0 };
                let (gap, inside) = (rect.shrink(rim), inside.shrink(rim));
                self.add_soft(rect.expand(pixel), self.theme.roll.selection);
                self.quads.add(gap, self.theme.roll.selection_gap);
                self.quads.add_shaded(inside, light, color);
            }
            Dress::Plain | Dress::Hovered => {
                let (upper, lower) =
                    if dress == Dress::Hovered { (light, light) } else { (light, color) };
                self.add_soft(rect, dark);
                self.quads.add_shaded(inside, upper, lower);
            }
        }
        let is_wide = rect.width() >= MIN_NAMED_WIDTH && rect.height() >= MIN_NAMED_HEIGHT;
        if is_wide && dress != Dress::Ghost && self.named.len() <= MAX_NAMES {
            self.named.push((rect, *note));
        }
    }

    /// A rectangle without its four corner pixels.
    fn add_soft(&mut self, rect: Rect, color: Color32) {
        let pixel = self.quads.pixel();
        self.quads.add(rect.shrink2(vec2(pixel, 0.0)), color);
        let (left, right) = (rect.left(), rect.right() - pixel);
        for x in [left, right] {
            let side = Rect::from_min_max(
                pos2(x, rect.top() + pixel),
                pos2(x + pixel, rect.bottom() - pixel),
            );
            self.quads.add(side, color);
        }
    }

    /// A little lighter for the upper edge, and darker for the outline.
    fn shades(&self, color: Color32) -> (Color32, Color32) {
        let roll = &self.theme.roll;
        (color.lerp_to_gamma(self.theme.text_strong, 0.10), color.blend(roll.note_outline))
    }

    fn paint(self, painter: &Painter) {
        self.quads.paint(painter);
        if self.named.len() > MAX_NAMES {
            return;
        }
        for (rect, note) in self.named {
            let left = rect.left().max(self.viewport.rect().left());
            if rect.right() - left < MIN_NAMED_WIDTH {
                continue;
            }
            painter.text(
                pos2(left + 4.0, rect.center().y),
                Align2::LEFT_CENTER,
                text::pitch(note.pitch),
                small_font(),
                self.theme.roll.note_text,
            );
        }
    }
}
