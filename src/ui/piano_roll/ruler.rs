//! The ruler: clicking places the playhead, dragging scrubs, Shift-dragging sets the loop,
//! Ctrl-dragging selects a stretch of time; the loop's ends can be moved.

use egui::{CursorIcon, Modifiers, Pos2, Role, Ui, WidgetInfo};

use super::pointer::{Hand, POINTER_ONLY, is_cancelled};
use super::{LoopChange, PianoRollEditor, RollFrame, RollResponse, text};
use crate::editor::Selection;
use crate::music::Tick;
use crate::ui::words::minutes_tenths;

/// An end of the loop can be grabbed from so far away, in points.
const LOOP_GRAB: f32 = 5.0;

/// What a drag along the ruler does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RulerDrag {
    Seek { at: Tick, has_moved: bool },
    Loop { fixed: Tick, moving: Tick },
    Select { from: Tick, to: Tick },
}

impl RulerDrag {
    pub fn is_seek(&self) -> bool {
        matches!(self, Self::Seek { .. })
    }

    /// Whether the playhead has been dragged, not only placed.
    pub fn is_scrub(self) -> bool {
        matches!(self, Self::Seek { has_moved: true, .. })
    }

    fn moved_to(self, tick: Tick) -> Self {
        match self {
            Self::Seek { at, has_moved } => {
                Self::Seek { at: tick, has_moved: has_moved || tick != at }
            }
            Self::Loop { fixed, .. } => Self::Loop { fixed, moving: tick },
            Self::Select { from, .. } => Self::Select { from, to: tick },
        }
    }
}

fn sorted(one: Tick, other: Tick) -> (Tick, Tick) {
    (one.min(other), one.max(other))
}

impl PianoRollEditor {
    pub(super) fn ruler_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let rect = frame.regions.ruler;
        let response = ui.interact(rect, frame.id.with("ruler"), POINTER_ONLY);
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Ruler"));
        let mut hand = Hand::over(ui, &response);
        hand.pos = hand.pos.map(|pos| pos.clamp(rect.left_top(), rect.right_bottom()));
        if let Some(pos) = hand.pressed_at() {
            self.press_ruler(ui, frame, pos, hand.modifiers, out);
        }
        self.drag_ruler(ui, frame, hand, out);
        if let Some(pos) = response.hover_pos() {
            self.hover_ruler(ui, frame, pos, out);
        }
        self.time_menu(&response, ui, frame, out);
    }

    fn press_ruler(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        pos: Pos2,
        modifiers: Modifiers,
        out: &mut RollResponse,
    ) {
        let tick = self.snapped_x(ui, frame, pos.x);
        let can_mark = frame.is_editable();
        self.ruler_drag = Some(match self.loop_end_at(pos) {
            _ if modifiers.shift && can_mark => RulerDrag::Loop { fixed: tick, moving: tick },
            _ if modifiers.command && can_mark => RulerDrag::Select { from: tick, to: tick },
            Some((fixed, moving)) if can_mark => RulerDrag::Loop { fixed, moving },
            _ => {
                out.seek_secs = Some(frame.index.score().tempo_map.secs_from_tick(tick));
                RulerDrag::Seek { at: tick, has_moved: false }
            }
        });
    }

    fn drag_ruler(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        Hand { pos, is_down, .. }: Hand,
        out: &mut RollResponse,
    ) {
        let Some(drag) = self.ruler_drag else { return };
        if is_cancelled(ui) {
            out.ends_scrub = drag.is_scrub();
            self.ruler_drag = None;
            return;
        }
        let drag = match pos {
            Some(pos) if is_down || self.has_moved_from(pos, drag) => {
                drag.moved_to(self.snapped_x(ui, frame, pos.x))
            }
            _ => drag,
        };
        if let RulerDrag::Seek { at, has_moved: true } = drag
            && self.ruler_drag != Some(drag)
        {
            out.scrub_secs = Some(frame.index.score().tempo_map.secs_from_tick(at));
        }
        self.ruler_drag = is_down.then_some(drag);
        if !is_down {
            self.end_ruler_drag(frame, drag, out);
        }
    }

    /// A press without a move leaves the grabbed end of a loop where it is, off the grid too.
    fn has_moved_from(&self, pos: Pos2, drag: RulerDrag) -> bool {
        let at = match drag {
            RulerDrag::Seek { at, .. } => at,
            RulerDrag::Loop { moving, .. } => moving,
            RulerDrag::Select { to, .. } => to,
        };
        (self.viewport.x_of(at) - pos.x).abs() > LOOP_GRAB * 2.0
    }

    fn end_ruler_drag(&self, frame: &RollFrame<'_>, drag: RulerDrag, out: &mut RollResponse) {
        match drag {
            RulerDrag::Seek { has_moved, .. } => out.ends_scrub = has_moved,
            // A click with Shift, or a loop without length: none.
            RulerDrag::Loop { fixed, moving } => {
                let (from, to) = sorted(fixed, moving);
                out.loop_change = Some(match from == to {
                    true => LoopChange::Remove,
                    false => LoopChange::Set(from, to),
                });
            }
            RulerDrag::Select { from, to } => {
                let (from, to) = sorted(from, to);
                out.selection = Some(Selection::in_range(frame.index.score(), from..to));
            }
        }
    }

    /// The loop as it is or as it is being dragged.
    pub(super) fn loop_now(&self) -> Option<(Tick, Tick)> {
        match self.ruler_drag {
            Some(RulerDrag::Loop { fixed, moving }) => {
                (fixed != moving).then(|| sorted(fixed, moving))
            }
            _ => self.marks.loop_range,
        }
    }

    /// The stretch of time that is being selected.
    pub(super) fn time_range_now(&self) -> Option<(Tick, Tick)> {
        match self.ruler_drag {
            Some(RulerDrag::Select { from, to }) => Some(sorted(from, to)),
            _ => None,
        }
    }

    /// The end of the loop at a point: the other end, then this one.
    fn loop_end_at(&self, pos: Pos2) -> Option<(Tick, Tick)> {
        let (start, end) = self.marks.loop_range?;
        let distance = |tick: Tick| (self.viewport.x_of(tick) - pos.x).abs();
        let (fixed, moving) =
            if distance(start) < distance(end) { (end, start) } else { (start, end) };
        (distance(moving) <= LOOP_GRAB).then_some((fixed, moving))
    }

    /// The tick at a place across the window, whatever the grid.
    pub(super) fn free_x(&self, x: f32) -> Tick {
        // Casts from float saturate.
        Tick(self.viewport.tick_from_x(x).max(0.0).round() as u32)
    }

    /// The tick at a place across the window, on the grid unless Alt is held.
    pub(super) fn snapped_x(&self, ui: &Ui, frame: &RollFrame<'_>, x: f32) -> Tick {
        let free = self.free_x(x);
        let tempo_map = &frame.index.score().tempo_map;
        self.surroundings(ui, &frame.index).snap.map_or(free, |step| {
            step.nearest(free, frame.index.bars(), tempo_map.ticks_per_quarter())
        })
    }

    fn hover_ruler(&self, ui: &Ui, frame: &RollFrame<'_>, pos: Pos2, out: &mut RollResponse) {
        if frame.is_editable() && self.loop_end_at(pos).is_some() {
            ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        let tick = Tick(self.viewport.tick_from_x(pos.x).max(0.0) as u32);
        let secs = frame.index.score().tempo_map.secs_from_tick(tick);
        let place = text::place(tick, &frame.index);
        out.status = Some(format!("{place} · {} s", minutes_tenths(secs)));
    }
}
