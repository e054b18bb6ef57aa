//! How hard notes are struck: a bar for each. Dragging draws, Shift-dragging draws a straight
//! line, the wheel changes the note under the pointer and with a selected one all that are, a field
//! takes a number for the selected notes.
//!
//! While notes are selected, dragging changes only those; the others are faint.

use std::collections::BTreeMap;

use egui::{
    Align2, CursorIcon, DragValue, Event, Pos2, Rect, Role, Stroke, Ui, WidgetInfo, pos2, vec2,
};

use super::lane_title;
use crate::editor::{NoteKey, Selection, operations};
use crate::music::{Note, Score, Velocity};
use crate::ui::piano_roll::paint::{self, Quads};
use crate::ui::piano_roll::pointer::{Hand, POINTER_ONLY, is_cancelled};
use crate::ui::piano_roll::{PianoRollEditor, RollFrame, RollResponse, text};
use crate::ui::theme::{HALF_SPACE, ROW, Theme};

/// A note is met by a pointer so far from its start, in points.
const REACH: f32 = 4.0;
const BAR_WIDTH: f32 = 4.0;
/// With more notes than this in view they are told apart by pixels, not by notes.
const MAX_BARS: usize = 4_000;

/// Where the pointer is in the lane: ticks, and velocity not yet rounded.
type Point = (f64, f32);

/// Velocities that are being drawn.
pub struct VelocityDrag {
    from: Point,
    last: Point,
    is_line: bool,
    /// By place in the score, so that what was drawn over stays drawn.
    drawn: BTreeMap<usize, Velocity>,
}

impl VelocityDrag {
    fn new(at: Point, is_line: bool) -> Self {
        Self { from: at, last: at, is_line, drawn: BTreeMap::new() }
    }

    /// Whether what was drawn on in one score are the same notes in another.
    pub fn is_of(&self, before: &Score, after: &Score) -> bool {
        let (before, after) = (before.notes(), after.notes());
        let shape = |note: &Note| (note.start, note.pitch, note.length);
        before.len() == after.len()
            && self.drawn.keys().all(|idx| shape(&before[*idx]) == shape(&after[*idx]))
    }

    /// The pointer went to a place. `reach` is in ticks. Only selected notes are meant, if any are.
    fn draw_to(&mut self, to: Point, reach: f64, notes: &[Note], selection: &Selection) {
        let from = if self.is_line { self.from } else { self.last };
        if self.is_line {
            self.drawn.clear();
        }
        self.last = to;
        let (left, right) = if from.0 <= to.0 { (from, to) } else { (to, from) };
        let first = notes.partition_point(|note| f64::from(note.start.0) < left.0 - reach);
        let end = notes.partition_point(|note| f64::from(note.start.0) <= right.0 + reach);
        let near = selection.marked(notes[..end].iter().skip(first));
        for (idx, (note, is_selected)) in (first..).zip(near) {
            if is_selected || selection.is_empty() {
                self.drawn.insert(idx, between(left, right, to, f64::from(note.start.0)));
            }
        }
    }
}

/// A number that is being written or dragged.
pub struct VelocityNumber {
    number: u8,
    /// The notes it is meant for: those that were selected when it was begun.
    selection: Selection,
    /// Something was typed, be it the number that the first of them has anyway.
    is_typed: bool,
}

/// The velocity at a tick on the line between two places; `at` where the line has no length.
fn between(left: Point, right: Point, at: Point, tick: f64) -> Velocity {
    let length = right.0 - left.0;
    let number = match length > 0.0 {
        true => {
            let way = ((tick - left.0) / length).clamp(0.0, 1.0) as f32;
            left.1 + (right.1 - left.1) * way
        }
        false => at.1,
    };
    // A float to integer cast saturates.
    Velocity::saturating(number.round() as i32)
}

impl PianoRollEditor {
    /// Title and number of the lane. It comes before all else: what is written there is meant for
    /// the notes that are selected until something else is pressed.
    pub(in crate::ui::piano_roll) fn velocity_head(
        &mut self,
        ui: &mut Ui,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) {
        let lane = frame.regions.velocities;
        if !lane.is_positive() {
            self.lanes.number = None;
            return;
        }
        let is_open = self.options.shows_velocities;
        if lane_title(ui, frame, lane, "Velocity", is_open) {
            self.options.shows_velocities ^= true;
        }
        if is_open && frame.is_editable() {
            self.velocity_field(ui, frame, lane, out);
        }
    }

    pub(super) fn velocity_lane(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        if !self.options.shows_velocities {
            return;
        }
        let lane = frame.regions.velocities;
        let rect = frame.regions.in_time(lane);
        let response = ui.interact(rect, frame.id.with("velocities"), POINTER_ONLY);
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Velocities"));
        let hand = Hand::over(ui, &response);
        if let Some(pos) = self.pressed_lane(frame, hand, out) {
            let point = self.velocity_point(rect, pos);
            self.lanes.velocity = Some(VelocityDrag::new(point, hand.modifiers.shift));
        }
        self.draw_velocities(ui, frame, rect, hand, out);
        if response.hovered() && frame.is_editable() {
            ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
        }
        self.paint_velocities(ui, frame, rect);
        if let Some(pos) = response.hover_pos() {
            self.say_velocity(ui, frame, rect, pos, out);
        }
    }

    fn draw_velocities(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        rect: Rect,
        Hand { pos, is_down, .. }: Hand,
        out: &mut RollResponse,
    ) {
        let point = pos.map(|pos| self.velocity_point(rect, pos));
        let reach = f64::from(REACH) * self.viewport.ticks_per_point();
        let Some(drag) = &mut self.lanes.velocity else { return };
        if is_cancelled(ui) {
            self.lanes.velocity = None;
            return;
        }
        let selection = &frame.selection;
        let notes = frame.index.score().notes();
        if let Some(point) = point {
            drag.draw_to(point, reach, notes, selection);
        }
        if is_down {
            return;
        }
        let drawn: Vec<(Note, Velocity)> =
            drag.drawn.iter().map(|(idx, velocity)| (notes[*idx], *velocity)).collect();
        self.lanes.velocity = None;
        let change = operations::set_velocities(frame.index.score(), selection, &drawn);
        if let Some(change) = change {
            // The selection says what is drawn on: drawing must not change it.
            out.change(change);
            self.model = drawn.last().map(|(note, velocity)| Note { velocity: *velocity, ..*note });
        }
    }

    fn velocity_point(&self, rect: Rect, pos: Pos2) -> Point {
        let share = ((rect.bottom() - pos.y) / rect.height()).clamp(0.0, 1.0);
        (self.viewport.tick_from_x(pos.x), 1.0 + share * 126.0)
    }

    fn paint_velocities(&self, ui: &Ui, frame: &RollFrame<'_>, rect: Rect) {
        let painter = ui.painter_at(rect);
        let mut quads = Quads::new(&painter);
        let theme = frame.view.theme;
        quads.add(rect, theme.roll.background);
        for share in [0.25, 0.5, 0.75] {
            quads.hline(rect.bottom() - rect.height() * share, rect, theme.roll.grid_line);
        }
        let (first, last) = self.viewport.ticks();
        match frame.index.n_starting(first, last) > MAX_BARS && self.lanes.velocity.is_none() {
            true => self.add_columns(&mut quads, frame, rect),
            false => self.add_bars(&mut quads, frame, rect),
        }
        quads.paint(&painter);
        if let Some(drag) = self.lanes.velocity.as_ref().filter(|drag| drag.is_line) {
            let at = |point: Point| {
                let share = (point.1 - 1.0) / 126.0;
                pos2(self.viewport.x_from_tick(point.0), rect.bottom() - rect.height() * share)
            };
            let stroke = Stroke::new(1.0, theme.roll.selection);
            painter.line_segment([at(drag.from), at(drag.last)], stroke);
        }
    }

    /// A bar for each note; selected ones over the others.
    fn add_bars(&self, quads: &mut Quads, frame: &RollFrame<'_>, rect: Rect) {
        let (theme, selection) = (frame.view.theme, &frame.selection);
        let notes = frame.index.score().notes();
        let reach = (f64::from(BAR_WIDTH) * self.viewport.ticks_per_point()).ceil() as u32;
        let (first, last) = self.viewport.ticks();
        let from = notes.partition_point(|note| note.start.0 < first.saturating_sub(reach));
        let to = notes.partition_point(|note| note.start.0 <= last);
        let drawn = self.lanes.velocity.as_ref().map(|drag| &drag.drawn);
        let mut on_top = Vec::new();
        let seen = selection.marked(notes[..to].iter().skip(from));
        for (idx, (note, is_selected)) in (from..).zip(seen) {
            let changed = drawn.and_then(|drawn| drawn.get(&idx)).copied();
            let velocity = changed.unwrap_or(note.velocity);
            let bar = self.bar(quads, rect, note, velocity);
            let color = theme.without_outline(theme.velocity_color(velocity));
            match is_selected || selection.is_empty() {
                true if selection.is_empty() && changed.is_none() => quads.add(bar, color),
                // What an open dialog proposes stands in its place.
                true if self.proposed.is_some() => quads.add(bar, Theme::faint(color)),
                true => on_top.push((bar, color)),
                false => quads.add(bar, Theme::faint(color)),
            }
        }
        let is_seen = |note: &&Note| (first..=last).contains(&note.start.0);
        for note in self.proposed.iter().flatten().filter(is_seen) {
            let color = theme.without_outline(theme.velocity_color(note.velocity));
            on_top.push((self.bar(quads, rect, note, note.velocity), color));
        }
        for (bar, color) in on_top {
            quads.add(bar, color);
            let head = bar.with_max_y((bar.top() + 2.0).min(bar.bottom()));
            quads.add(head, theme.roll.selection);
        }
    }

    fn bar(&self, quads: &Quads, rect: Rect, note: &Note, velocity: Velocity) -> Rect {
        let x = self.viewport.x_of(note.start);
        let height = rect.height() * f32::from(velocity.number()) / 127.0;
        let min = pos2(x, rect.bottom() - height);
        quads.align_rect(Rect::from_min_max(min, pos2(x + BAR_WIDTH, rect.bottom())))
    }

    /// From far away: in each column of pixels the loudest of the runs of notes that begin there.
    fn add_columns(&self, quads: &mut Quads, frame: &RollFrame<'_>, rect: Rect) {
        let (theme, pixel) = (frame.view.theme, quads.pixel());
        let n_columns = (rect.width() / pixel).ceil().max(1.0) as usize;
        let mut loudest = vec![0u8; n_columns];
        let (first, last) = self.viewport.ticks();
        let summary = frame.index.summary(self.viewport.ticks_per_point() * f64::from(pixel));
        for pitch in 0..128 {
            for run in summary.between(pitch, first, last) {
                let x = self.viewport.x_from_tick(f64::from(run.start)) - rect.left();
                let column = (x / pixel).max(0.0) as usize;
                if let Some(loudest) = loudest.get_mut(column) {
                    *loudest = (*loudest).max(run.velocity.number());
                }
            }
        }
        for (column, number) in loudest.into_iter().enumerate().filter(|(_, number)| *number > 0) {
            let left = rect.left() + column as f32 * pixel;
            let top = rect.bottom() - rect.height() * f32::from(number) / 127.0;
            let bar = Rect::from_min_max(pos2(left, top), pos2(left + pixel, rect.bottom()));
            let color = theme.velocity_color(Velocity::saturating(i32::from(number)));
            quads.add(bar, theme.without_outline(color));
        }
    }

    /// The note whose bar is under a point of the lane: selected ones first, then the nearest.
    pub(in crate::ui::piano_roll) fn bar_at(
        &self,
        frame: &RollFrame<'_>,
        pos: Pos2,
    ) -> Option<Note> {
        let rect = frame.regions.in_time(frame.regions.velocities);
        if !self.options.shows_velocities || !rect.contains(pos) {
            return None;
        }
        let notes = frame.index.score().notes();
        let tick = |x: f32| self.viewport.tick_from_x(x);
        let from =
            notes.partition_point(|note| f64::from(note.start.0) < tick(pos.x - BAR_WIDTH - REACH));
        let to = notes.partition_point(|note| f64::from(note.start.0) <= tick(pos.x + REACH));
        let (_, wanted) = self.velocity_point(rect, pos);
        let rank = |note: &&Note| {
            let is_selected = frame.selection.contains(&NoteKey::from(*note));
            let middle = self.viewport.x_of(note.start) + BAR_WIDTH / 2.0;
            let beside =
                (middle - pos.x).abs() + (f32::from(note.velocity.number()) - wanted).abs() * 0.05;
            (!is_selected, (beside * 100.0) as u32)
        };
        notes.get(from..to)?.iter().min_by_key(rank).copied()
    }

    fn say_velocity(
        &self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        rect: Rect,
        pos: Pos2,
        out: &mut RollResponse,
    ) {
        let painter = ui.painter_at(rect);
        let words = match &self.lanes.velocity {
            Some(drag) => {
                let number = drag.last.1.round() as u32;
                let n_notes = text::n_notes(drag.drawn.len());
                let from = drag.from.1.round() as u32;
                match drag.is_line {
                    true => format!("Velocity {from} to {number}, {n_notes}"),
                    false => format!("Velocity {number}, {n_notes}"),
                }
            }
            None => match self.bar_at(frame, pos) {
                Some(note) => text::hint(&note, &frame.index),
                None => return,
            },
        };
        if self.lanes.velocity.is_some() {
            let theme = frame.view.theme;
            let at = rect.left_top() + vec2(HALF_SPACE, HALF_SPACE);
            painter.text(at, Align2::LEFT_TOP, &words, paint::small_font(), theme.text_strong);
        }
        out.status = Some(words);
    }

    /// The velocity of the selected notes as a number, to be written or dragged: one step.
    fn velocity_field(
        &mut self,
        ui: &mut Ui,
        frame: &RollFrame<'_>,
        lane: Rect,
        out: &mut RollResponse,
    ) {
        let score = frame.index.score();
        let meant = self.lanes.number.as_ref().map_or(&frame.selection, |kept| &kept.selection);
        let meant = meant.clone();
        // The first one speaks for all: counting many in every frame would cost too much.
        let Some(first) = meant.notes(score).next() else {
            self.lanes.number = None;
            return;
        };
        let kept = self.lanes.number.as_ref().map(|kept| kept.number);
        let mut number = kept.unwrap_or(first.velocity.number());
        let bottom = lane.bottom() - HALF_SPACE;
        let rect = Rect::from_min_max(
            pos2(lane.left() + HALF_SPACE, bottom - ROW),
            pos2(frame.regions.left - HALF_SPACE, bottom),
        );
        let (presses, pos) =
            ui.input(|input| (input.pointer.any_pressed(), input.pointer.interact_pos()));
        if presses
            && pos.is_none_or(|pos| !rect.contains(pos))
            && let Some(field) = self.lanes.field
        {
            // The window takes the focus away when the button is let go, which is too late.
            ui.memory_mut(|memory| memory.surrender_focus(field));
        }
        let field = DragValue::new(&mut number).range(1..=127).update_while_editing(false);
        let response = ui.put(rect, field);
        response.widget_info(|| WidgetInfo::slider(true, f64::from(number), "Velocity"));
        self.lanes.field = Some(response.id);
        let types = ui.input(|input| input.events.iter().any(|it| matches!(it, Event::Text(_))));
        let kept = self.lanes.number.take();
        let was_typed = kept.as_ref().is_some_and(|kept| kept.is_typed);
        if response.dragged() || response.has_focus() {
            let is_typed = was_typed || (types && response.has_focus());
            self.lanes.number = Some(VelocityNumber { number, selection: meant, is_typed });
        } else if kept.is_some() && (was_typed || number != first.velocity.number()) {
            let velocity = Velocity::saturating(i32::from(number));
            if let Some(change) = operations::set_velocity(score, &meant, velocity) {
                // Something else may have been selected meanwhile.
                out.change(change.keeping(&frame.selection));
            }
        }
        response.on_hover_text("Velocity of the selected notes, 1–127");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, Tick};

    fn notes() -> Vec<Note> {
        let note = |beat: u32| Note {
            start: Tick(beat * 100),
            length: Tick(50),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        (0..5).map(note).collect()
    }

    fn drawn(drag: &VelocityDrag) -> Vec<(usize, u8)> {
        drag.drawn.iter().map(|(idx, velocity)| (*idx, velocity.number())).collect()
    }

    #[test]
    fn a_fast_pointer_leaves_no_note_out() {
        let notes = notes();
        let mut drag = VelocityDrag::new((-5.0, 20.0), false);
        drag.draw_to((-5.0, 20.0), 10.0, &notes, &Selection::new());
        drag.draw_to((405.0, 102.0), 10.0, &notes, &Selection::new());
        assert_eq!(drawn(&drag), [(0, 21), (1, 41), (2, 61), (3, 81), (4, 101)]);
        // Going back draws over.
        let but_one = Selection::of(notes.iter().filter(|note| note.start != Tick(300)));
        drag.draw_to((205.0, 10.0), 1.0, &notes, &but_one);
        assert_eq!(drawn(&drag)[3..], [(3, 81), (4, 100)]);
    }

    #[test]
    fn a_line_forgets_where_it_was_before() {
        let notes = notes();
        let mut drag = VelocityDrag::new((0.0, 1.0), true);
        drag.draw_to((400.0, 127.0), 1.0, &notes, &Selection::new());
        drag.draw_to((100.0, 51.0), 1.0, &notes, &Selection::new());
        assert_eq!(drawn(&drag), [(0, 1), (1, 51)]);
    }
}
