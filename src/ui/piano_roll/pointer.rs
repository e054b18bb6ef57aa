//! From the mouse to gestures: what a press, drag or click begins.

use egui::WidgetInfo;
use egui::{CursorIcon, Modifiers, PointerButton, Pos2, Response, Role, Sense, Ui, Vec2};

use super::gesture::{
    Edge, Gesture, Marquee, MarqueeMode, MoveMode, MoveNotes, ResizeNotes, RollPoint,
};
use super::hit::{Hit, Zone, hit};
use super::{PianoRollEditor, RollFrame, RollResponse, paint, text};
use crate::editor::{NoteKey, ScoreEdit, Selection, selected_notes};
use crate::music::{Note, Pitch, Tick, Velocity};

/// How hard a key of the keyboard is struck by the mouse.
const KEY_VELOCITY: i32 = 90;
/// Notes of a chord that are let sound at once while it is dragged.
const MAX_HEARD: usize = 10;

/// Where the mouse button went down, and on what.
#[derive(Clone, Copy)]
pub struct Press {
    point: RollPoint,
    hit: Option<Hit>,
    modifiers: Modifiers,
}

impl PianoRollEditor {
    /// The notes' area. Returns the note under the pointer.
    pub(super) fn canvas_ui(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) -> Option<Note> {
        let response =
            ui.interact(frame.regions.canvas, frame.id.with("notes"), Sense::click_and_drag());
        let n_notes = text::n_notes(frame.index.score().notes().len());
        let words = format!("Piano roll, {n_notes}, {} selected", frame.view.selection.len());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, words.clone()));
        let (pos, pressed, modifiers) = ui.input(|input| {
            let pointer = &input.pointer;
            (pointer.interact_pos(), pointer.primary_pressed(), input.modifiers)
        });
        if pressed
            && response.is_pointer_button_down_on()
            && let Some(pos) = pos
        {
            response.request_focus();
            self.press(frame, pos, modifiers, out);
        }
        self.drag(ui, &response, frame, pos, out);
        let button = PointerButton::Primary;
        if response.double_clicked_by(button)
            && let Some(pos) = pos
        {
            self.double_click(frame, pos, modifiers, out);
        } else if response.clicked_by(button) {
            self.click(frame, modifiers, out);
        }
        if response.dragged_by(PointerButton::Middle) {
            self.viewport.scroll(response.drag_delta());
            self.looked_away = true;
        }
        self.keys(ui, &response, frame, out);
        self.hover(ui, &response, frame)
    }

    fn press(
        &mut self,
        frame: &RollFrame<'_>,
        pos: Pos2,
        modifiers: Modifiers,
        out: &mut RollResponse,
    ) {
        self.finish(frame, out);
        let hit = hit(&frame.index, &self.viewport, frame.view.selection, pos);
        self.press = Some(Press { point: self.point(pos), hit, modifiers });
        let Some(Hit { note, .. }) = hit else { return };
        out.audition.push((note.pitch, note.velocity));
        self.heard = Some(note.pitch);
        self.model = Some(note);
        let key = NoteKey::from(&note);
        let is_plain = !modifiers.shift && !modifiers.command;
        if frame.is_editable() && is_plain && !frame.view.selection.contains(&key) {
            out.selection = Some(Selection::from([key]));
        }
    }

    fn drag(
        &mut self,
        ui: &Ui,
        response: &Response,
        frame: &RollFrame<'_>,
        pos: Option<Pos2>,
        out: &mut RollResponse,
    ) {
        let button = PointerButton::Primary;
        if response.drag_started_by(button) {
            if frame.is_editable() {
                self.begin(frame, out);
            } else {
                out.is_refused = true;
            }
        }
        let is_dragging = response.dragged_by(button) || response.drag_stopped_by(button);
        if is_dragging
            && self.press.is_some()
            && let Some(pos) = pos
        {
            self.scroll_towards(ui, pos);
            let point = self.point(pos);
            let surroundings = self.surroundings(ui, &frame.index);
            if let Some(gesture) = &mut self.gesture {
                gesture.update(point, surroundings);
            }
            self.hear_the_move(out);
        }
        if response.drag_stopped_by(button) {
            self.finish(frame, out);
            self.press = None;
        }
    }

    /// Begins what a drag from the place of the press means.
    fn begin(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(press) = self.press else { return };
        let selection = out.selection.as_ref().unwrap_or(frame.view.selection);
        let Some(Hit { note, zone }) = press.hit else {
            let mode = match press.modifiers {
                modifiers if modifiers.shift => MarqueeMode::Add,
                modifiers if modifiers.command => MarqueeMode::Toggle,
                _ => MarqueeMode::Replace,
            };
            let marquee = Marquee::new(mode, selection.clone(), press.point);
            self.gesture = Some(Gesture::Marquee(marquee));
            return;
        };
        let key = NoteKey::from(&note);
        let notes = if selection.contains(&key) {
            selected_notes(frame.index.score(), selection).copied().collect()
        } else {
            out.selection = Some(Selection::from([key]));
            vec![note]
        };
        let mode = if press.modifiers.command { MoveMode::Copy } else { MoveMode::Move };
        self.gesture = Some(match zone {
            Zone::Body => Gesture::Move(MoveNotes::new(note, notes, press.point, mode)),
            Zone::LeftEdge => {
                Gesture::Resize(ResizeNotes::new(Edge::Start, note, notes, press.point))
            }
            Zone::RightEdge => {
                Gesture::Resize(ResizeNotes::new(Edge::End, note, notes, press.point))
            }
        });
    }

    /// Ends the gesture, if there is one, with its edit and what is selected after it.
    pub(super) fn finish(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(gesture) = self.gesture.take() else { return };
        if let Gesture::Marquee(marquee) = &gesture {
            out.selection = Some(marquee.selection(&frame.index));
            return;
        }
        let Some(edit) = gesture.edit() else { return };
        out.selection = Some(gesture.preview().iter().map(NoteKey::from).collect());
        out.edit = Some(edit);
        self.model = match &gesture {
            Gesture::Resize(resize) => Some(resize.grabbed_now()),
            Gesture::Move(moved) => Some(moved.grabbed_now()),
            Gesture::Velocity(change) => Some(change.grabbed_now()),
            Gesture::Marquee(_) => self.model,
        };
        self.ended = Some(gesture);
    }

    fn click(&mut self, frame: &RollFrame<'_>, modifiers: Modifiers, out: &mut RollResponse) {
        let Some(press) = self.press.take() else { return };
        if !frame.is_editable() {
            return;
        }
        let adds = modifiers.shift || modifiers.command;
        let selection = match press.hit {
            Some(Hit { note, .. }) if adds => {
                let mut selection = frame.view.selection.clone();
                let key = NoteKey::from(&note);
                if !selection.remove(&key) {
                    selection.insert(key);
                }
                selection
            }
            Some(Hit { note, .. }) => Selection::from([NoteKey::from(&note)]),
            None if adds => return,
            None => Selection::new(),
        };
        if selection != *frame.view.selection {
            out.selection = Some(selection);
        }
    }

    /// Writes a note like the one touched last, in the cell under the pointer.
    fn double_click(
        &mut self,
        frame: &RollFrame<'_>,
        pos: Pos2,
        modifiers: Modifiers,
        out: &mut RollResponse,
    ) {
        self.press = None;
        if !frame.is_editable() {
            out.is_refused = true;
            return;
        }
        if hit(&frame.index, &self.viewport, frame.view.selection, pos).is_some() {
            return;
        }
        let note = self.new_note(frame, self.point(pos), modifiers);
        self.model = Some(note);
        out.audition.push((note.pitch, note.velocity));
        out.selection = Some(Selection::from([NoteKey::from(&note)]));
        out.edit = Some(ScoreEdit::Add { notes: vec![note] });
    }

    fn new_note(&self, frame: &RollFrame<'_>, point: RollPoint, modifiers: Modifiers) -> Note {
        let score = frame.index.score();
        let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
        // Casts from float saturate.
        let free = Tick(point.tick as u32);
        let step = self.step_at(&frame.index, free);
        let start = match modifiers.alt {
            true => free,
            false => step.line_before(free, frame.index.bars(), ticks_per_quarter),
        };
        let length = self.model.map_or(Tick(ticks_per_quarter.get()), |model| model.length);
        let last_part = score.parts.len().saturating_sub(1);
        let part = self.model.map_or(0, |model| usize::from(model.part)).min(last_part);
        Note {
            start,
            length: Tick(length.0.min(u32::MAX - start.0).max(1)),
            pitch: Pitch::new(point.pitch).unwrap_or(Pitch::MIDDLE_C),
            velocity: self.model.map_or(Velocity::COMPOSED, |model| model.velocity),
            part: part as u8,
        }
    }

    /// A note that is moved to another pitch is heard there, with those that sound along with it.
    fn hear_the_move(&mut self, out: &mut RollResponse) {
        let Some(Gesture::Move(moved)) = &self.gesture else { return };
        let grabbed = moved.grabbed_now();
        if self.heard == Some(grabbed.pitch) {
            return;
        }
        self.heard = Some(grabbed.pitch);
        let along = |note: &Note| note.start <= grabbed.start && grabbed.start < note.end();
        let chord = moved.preview().into_iter().filter(along).take(MAX_HEARD);
        out.audition.extend(chord.map(|note| (note.pitch, note.velocity)));
    }

    /// Dragging past an edge scrolls on.
    fn scroll_towards(&mut self, ui: &Ui, pos: Pos2) {
        let beyond = self.viewport.overshoot(pos);
        if beyond != Vec2::ZERO && self.gesture.is_some() {
            let limit = Vec2::splat(24.0);
            self.viewport.scroll(-(beyond * 0.25).clamp(-limit, limit));
            ui.ctx().request_repaint();
        }
    }

    /// The cursor and the hint for what is under the pointer.
    fn hover(&self, ui: &Ui, response: &Response, frame: &RollFrame<'_>) -> Option<Note> {
        if let Some(gesture) = &self.gesture {
            let cursor = match gesture {
                Gesture::Resize(_) => CursorIcon::ResizeHorizontal,
                Gesture::Move(moved) if moved.mode == MoveMode::Copy => CursorIcon::Copy,
                Gesture::Move(_) => CursorIcon::Grabbing,
                Gesture::Marquee(_) | Gesture::Velocity(_) => CursorIcon::Default,
            };
            ui.ctx().set_cursor_icon(cursor);
            return None;
        }
        let pos = response.hover_pos()?;
        let selection = frame.view.selection;
        let Hit { note, zone } = hit(&frame.index, &self.viewport, selection, pos)?;
        if frame.is_editable() {
            let cursor = match zone {
                Zone::Body => CursorIcon::Grab,
                Zone::LeftEdge | Zone::RightEdge => CursorIcon::ResizeHorizontal,
            };
            ui.ctx().set_cursor_icon(cursor);
        }
        response.clone().on_hover_text_at_pointer(text::hint(&note, &frame.index));
        Some(note)
    }

    /// The keyboard at the left: pressing and sliding along it plays. Returns the key held.
    pub(super) fn keyboard_ui(
        &mut self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        out: &mut RollResponse,
    ) -> Option<Pitch> {
        let rect = frame.regions.keyboard;
        let response = ui.interact(rect, frame.id.with("keyboard"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Keyboard"));
        let (pos, pressed, down) = ui.input(|input| {
            let pointer = &input.pointer;
            (pointer.interact_pos(), pointer.primary_pressed(), pointer.primary_down())
        });
        // A press and its release may come in the same frame.
        let is_held = response.is_pointer_button_down_on() && (down || pressed);
        let clicked = response.clicked_by(PointerButton::Primary);
        if !is_held && !clicked {
            return None;
        }
        let key = paint::key_at(rect, &self.viewport, pos?)?;
        if (pressed && is_held) || (self.heard != Some(key) && !clicked) {
            out.audition.push((key, Velocity::saturating(KEY_VELOCITY)));
            self.heard = Some(key);
        }
        is_held.then_some(key)
    }

    /// The ruler: pressing and dragging places the playhead.
    pub(super) fn ruler_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let rect = frame.regions.ruler;
        let response = ui.interact(rect, frame.id.with("ruler"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Ruler"));
        let (pos, pressed, down) = ui.input(|input| {
            let pointer = &input.pointer;
            (pointer.interact_pos(), pointer.primary_pressed(), pointer.primary_down())
        });
        if response.is_pointer_button_down_on()
            && (down || pressed)
            && let Some(pos) = pos
        {
            let tick = self.viewport.tick_from_x(pos.x.clamp(rect.left(), rect.right()));
            let free = Tick(tick.max(0.0).round() as u32);
            let surroundings = self.surroundings(ui, &frame.index);
            let tempo_map = &frame.index.score().tempo_map;
            let tick = surroundings.snap.map_or(free, |step| {
                step.nearest(free, frame.index.bars(), tempo_map.ticks_per_quarter())
            });
            if pressed || self.sought != Some(tick) {
                self.sought = Some(tick);
                out.seek_secs = Some(tempo_map.secs_from_tick(tick));
            }
        }
        if response.hovered()
            && let Some(pos) = response.hover_pos()
        {
            let tick = Tick(self.viewport.tick_from_x(pos.x).max(0.0) as u32);
            let secs = frame.index.score().tempo_map.secs_from_tick(tick);
            let place = text::place(tick, &frame.index);
            out.status = Some(format!("{place} · {}", text::clock(secs)));
        }
    }

    fn point(&self, pos: Pos2) -> RollPoint {
        RollPoint {
            tick: self.viewport.tick_from_x(pos.x).max(0.0),
            pitch: self.viewport.pitch_from_y(pos.y).number(),
        }
    }
}
