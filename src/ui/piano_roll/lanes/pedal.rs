//! When the sustain pedal is down. Dragging draws a stretch, Ctrl-dragging erases, ends can be
//! dragged and stretches moved; a double-click deletes one.
//!
//! The pedal of one part is worked on, that of the notes touched last; the others are faint.

use egui::{
    CornerRadius, CursorIcon, Modifiers, Pos2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2,
};

use super::lane_title;
use crate::editor::{PedalEdit, ScoreEdit};
use crate::music::{PedalSpan, Tick};
use crate::ui::piano_roll::pointer::{Hand, is_cancelled};
use crate::ui::piano_roll::{PianoRollEditor, RollFrame, RollResponse, text};
use crate::ui::theme::{HALF_SPACE, Theme};

/// An end can be grabbed from so far away, in points.
const GRAB: f32 = 5.0;

/// What a drag does to the pedal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PedalDrag {
    Draw { from: Tick, to: Tick },
    Erase { from: Tick, to: Tick },
    Resize { span: PedalSpan, fixed: Tick, moving: Tick },
    Move { span: PedalSpan, from: Tick, by: i64 },
}

impl PedalDrag {
    fn moved_to(self, tick: Tick) -> Self {
        match self {
            Self::Draw { from, .. } => Self::Draw { from, to: tick },
            Self::Erase { from, .. } => Self::Erase { from, to: tick },
            Self::Resize { span, fixed, .. } => Self::Resize { span, fixed, moving: tick },
            Self::Move { span, from, .. } => {
                let room = i64::from(u32::MAX - span.end.0);
                let by = i64::from(tick.0) - i64::from(from.0);
                Self::Move { span, from, by: by.clamp(-i64::from(span.start.0), room) }
            }
        }
    }

    /// The stretch that it leaves down, or up; without length while nothing was dragged.
    fn span(self, part: u8) -> PedalSpan {
        let sorted = |one: Tick, other: Tick, part: u8| PedalSpan {
            start: one.min(other),
            end: one.max(other),
            part,
        };
        match self {
            Self::Draw { from, to } | Self::Erase { from, to } => sorted(from, to, part),
            Self::Resize { span, fixed, moving } => sorted(fixed, moving, span.part),
            Self::Move { span, by, .. } => {
                // In range by the clamp in `moved_to`.
                let at = |tick: Tick| u32::try_from(i64::from(tick.0) + by).map_or(tick, Tick);
                PedalSpan { start: at(span.start), end: at(span.end), ..span }
            }
        }
    }

    /// The stretch it began with, which it replaces.
    fn origin(self) -> Option<PedalSpan> {
        match self {
            Self::Resize { span, .. } | Self::Move { span, .. } => Some(span),
            Self::Draw { .. } | Self::Erase { .. } => None,
        }
    }

    fn edit(self, part: u8) -> Option<PedalEdit> {
        let span = self.span(part);
        if let Some(origin) = self.origin() {
            let label = if matches!(self, Self::Move { .. }) { "Move" } else { "Resize" };
            return match () {
                () if span == origin => None,
                // Pulled together to nothing.
                () if span.start == span.end => Some(PedalEdit::Delete { spans: vec![origin] }),
                () => Some(PedalEdit::Replace { pairs: vec![(origin, span)], label }),
            };
        }
        (span.start < span.end).then_some(match self {
            Self::Erase { .. } => PedalEdit::Erase(span),
            _ => PedalEdit::Draw(span),
        })
    }
}

impl PianoRollEditor {
    pub(super) fn pedal_lane(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let lane = frame.regions.pedal;
        let is_open = self.options.shows_pedal;
        if lane_title(ui, frame, lane, "Pedal", is_open) {
            self.options.shows_pedal ^= true;
        }
        if !is_open {
            return;
        }
        let rect = frame.regions.in_time(lane);
        let response = ui.interact(rect, frame.id.with("pedal"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Sustain pedal"));
        let hand = Hand::over(ui, &response);
        if let Some(pos) = self.pressed_lane(frame, hand, out) {
            self.lanes.pedal = Some(self.pedal_press(ui, frame, pos, hand.modifiers));
        }
        self.drag_pedal(ui, frame, hand, out);
        if response.double_clicked()
            && frame.is_editable()
            && let Some(span) = hand.pos.and_then(|pos| self.span_at(frame, pos))
        {
            let delete = PedalEdit::Delete { spans: vec![span] };
            out.edit = Some(ScoreEdit::Pedal(delete));
        }
        self.paint_pedal(ui, frame, rect);
        if let Some(pos) = response.hover_pos() {
            self.hover_pedal(ui, frame, pos, out);
        }
    }

    fn pedal_press(
        &self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        pos: Pos2,
        modifiers: Modifiers,
    ) -> PedalDrag {
        let tick = self.snapped_x(ui, frame, pos.x);
        if modifiers.command {
            return PedalDrag::Erase { from: tick, to: tick };
        }
        match self.span_at(frame, pos) {
            None => PedalDrag::Draw { from: tick, to: tick },
            Some(span) => match self.pedal_end_at(span, pos) {
                Some((fixed, moving)) => PedalDrag::Resize { span, fixed, moving },
                None => PedalDrag::Move { span, from: tick, by: 0 },
            },
        }
    }

    fn drag_pedal(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        Hand { pos, is_down, .. }: Hand,
        out: &mut RollResponse,
    ) {
        let Some(drag) = self.lanes.pedal else { return };
        if is_cancelled(ui) {
            self.lanes.pedal = None;
            return;
        }
        // A press that hardly moves leaves an end that is off the grid where it is.
        let has_moved = ui.input(|input| input.pointer.is_decidedly_dragging());
        let is_there = |drag: PedalDrag| drag.origin().is_some() && !has_moved;
        let drag = match pos {
            Some(pos) if is_down && !is_there(drag) => {
                drag.moved_to(self.snapped_x(ui, frame, pos.x))
            }
            _ => drag,
        };
        self.lanes.pedal = is_down.then_some(drag);
        if !is_down && let Some(edit) = drag.edit(self.pedal_part(frame)) {
            out.edit = Some(ScoreEdit::Pedal(edit));
        }
    }

    /// The part whose pedal is worked on: that of the first selected note, or of the note touched
    /// last.
    fn pedal_part(&self, frame: &RollFrame<'_>) -> u8 {
        let score = frame.index.score();
        let chosen = frame.view.selection.first().map(|key| key.part);
        let part = chosen.or(self.model.map(|note| note.part)).unwrap_or(0);
        part.min(u8::try_from(score.parts.len().saturating_sub(1)).unwrap_or(u8::MAX))
    }

    fn span_at(&self, frame: &RollFrame<'_>, pos: Pos2) -> Option<PedalSpan> {
        let part = self.pedal_part(frame);
        let x = |tick: Tick| self.viewport.x_of(tick);
        let is_hit = |span: &&PedalSpan| {
            span.part == part && x(span.start) - GRAB <= pos.x && pos.x <= x(span.end) + GRAB
        };
        // Where two touch, the one the pointer is inside of.
        let outside = |span: &&PedalSpan| {
            ((x(span.start) - pos.x).max(pos.x - x(span.end)).max(0.0) * 10.0) as u32
        };
        let spans = frame.index.score().pedal.iter();
        spans.filter(is_hit).min_by_key(outside).copied()
    }

    /// The end at a point: the other end, then this one. The middle of a short stretch is no end.
    fn pedal_end_at(&self, span: PedalSpan, pos: Pos2) -> Option<(Tick, Tick)> {
        let x = |tick: Tick| self.viewport.x_of(tick);
        let (left, right) = (x(span.start), x(span.end));
        let inside = GRAB.min((right - left) / 4.0);
        if pos.x < left + inside {
            Some((span.end, span.start))
        } else if pos.x > right - inside {
            Some((span.start, span.end))
        } else {
            None
        }
    }

    fn paint_pedal(&self, ui: &Ui, frame: &RollFrame<'_>, rect: Rect) {
        let (theme, part) = (frame.view.theme, self.pedal_part(frame));
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, CornerRadius::ZERO, theme.roll.background);
        let (first, last) = self.viewport.ticks();
        let place = |span: &PedalSpan| {
            let x = |tick: Tick| {
                let x = self.viewport.x_of(tick);
                // Numbers far outside lose their fractions.
                x.clamp(rect.left() - 16.0, rect.right() + 16.0)
            };
            let (top, bottom) = (rect.top() + HALF_SPACE, rect.bottom() - HALF_SPACE);
            let right = (x(span.end) - 1.0).max(x(span.start) + 1.0);
            Rect::from_min_max(pos2(x(span.start), top), pos2(right, bottom))
        };
        let drag = self.lanes.pedal.map(|drag| (drag, drag.span(part)));
        let round = CornerRadius::same(2);
        let spans = &frame.index.score().pedal;
        for span in spans.iter().take_while(|span| span.start.0 <= last) {
            let is_moving = drag.is_some_and(|(drag, _)| drag.origin() == Some(*span));
            if span.end.0 < first {
                continue;
            }
            let is_faint = span.part != part || is_moving;
            let color = theme.roll.pedal;
            let color = if is_faint { Theme::faint(color) } else { color };
            painter.rect_filled(place(span), round, color);
        }
        if let Some((drag, span)) = drag.filter(|(_, span)| span.start < span.end) {
            let color = match drag {
                PedalDrag::Erase { .. } => theme.error,
                _ => theme.roll.selection,
            };
            painter.rect_filled(place(&span), round, Theme::faint(color));
            painter.rect_filled(place(&span).shrink2(vec2(0.0, 5.0)), round, color);
        }
    }

    fn hover_pedal(&self, ui: &Ui, frame: &RollFrame<'_>, pos: Pos2, out: &mut RollResponse) {
        let span = match self.lanes.pedal {
            Some(drag) => Some(drag.span(self.pedal_part(frame))),
            None => self.span_at(frame, pos),
        };
        let Some(span) = span else { return };
        if self.lanes.pedal.is_none() && frame.is_editable() {
            let is_end = self.pedal_end_at(span, pos).is_some();
            let cursor = if is_end { CursorIcon::ResizeHorizontal } else { CursorIcon::Grab };
            ui.ctx().set_cursor_icon(cursor);
        }
        let place = |tick: Tick| text::place(tick, &frame.index);
        out.status = Some(format!("Pedal {} to {}", place(span.start), place(span.end)));
    }
}
