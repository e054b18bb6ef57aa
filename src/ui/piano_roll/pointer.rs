//! From the mouse to gestures: what a press, drag or click begins.

use egui::WidgetInfo;
use egui::{CursorIcon, Key, Modifiers, PointerButton, Pos2, Response, Role, Sense, Ui, Vec2};

use super::gesture::{
    DrawNote, EraseNotes, Gesture, Held, Marquee, MarqueeMode, MoveMode, MoveNotes, ResizeNotes,
    RollPoint,
};
use super::hit::{Hit, Zone, hit, note_rect};
use super::{
    MenuPlace, PianoRollEditor, RollCaret, RollFrame, RollResponse, Tool, chord_at, paint, text,
};
use crate::editor::operations::{self, Edge};
use crate::editor::{NoteKey, Selection};
use crate::music::{Note, Pitch, Tick};

/// What the hand at the mouse does to an area: its primary button.
#[derive(Clone, Copy)]
pub struct Hand {
    pub pos: Option<Pos2>,
    /// It pressed the button on the area, in this frame.
    pub is_pressed: bool,
    /// It holds the button, wherever that was pressed.
    pub is_down: bool,
    pub modifiers: Modifiers,
}

impl Hand {
    pub fn over(ui: &Ui, response: &Response) -> Self {
        // A press and its release may come in the same frame; then it is a click at once.
        let is_on_it =
            response.is_pointer_button_down_on() || response.clicked_by(PointerButton::Primary);
        ui.input(|input| Self {
            pos: input.pointer.interact_pos(),
            is_pressed: input.pointer.primary_pressed() && is_on_it,
            is_down: input.pointer.primary_down(),
            modifiers: input.modifiers,
        })
    }

    /// Where it pressed the button in this frame, if it did.
    pub fn pressed_at(&self) -> Option<Pos2> {
        self.pos.filter(|_| self.is_pressed)
    }
}

/// Whether Escape gives up what is being dragged.
pub fn is_cancelled(ui: &Ui) -> bool {
    ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
}

/// Where the mouse button went down, and on what.
#[derive(Clone, Copy)]
pub struct Press {
    point: RollPoint,
    hit: Option<Hit>,
    modifiers: Modifiers,
}

/// Keys that begin a rubber band with any tool, over notes too.
fn is_band(modifiers: Modifiers) -> bool {
    modifiers.shift && modifiers.command
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
        let hand = Hand::over(ui, &response);
        let Hand { pos, modifiers, .. } = hand;
        if let Some(pos) = hand.pressed_at() {
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
        if response.secondary_clicked()
            && let Some(pos) = pos
        {
            response.request_focus();
            self.open_menu(frame, pos, out);
        }
        if response.dragged_by(PointerButton::Middle) {
            self.viewport.scroll(response.drag_delta());
            self.looked_away = true;
        }
        self.keys(ui, &response, frame, out);
        let hovered = self.hover(ui, &response, frame);
        out.menu_place = Some(self.menu_place);
        out.canvas = Some(response);
        hovered
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
        let point = self.point(pos);
        self.press = Some(Press { point, hit, modifiers });
        let is_plain = !modifiers.shift && !modifiers.command;
        match hit {
            Some(hit) => self.press_note(frame, hit.note, modifiers, out),
            None if self.tool == Tool::Draw && is_plain && frame.is_editable() => {
                let note = self.note_at(frame, point, modifiers);
                out.audition.push((note.pitch, note.velocity));
                self.gesture = Some(Gesture::Draw(DrawNote::new(note, point)));
            }
            None => {}
        }
    }

    fn press_note(
        &mut self,
        frame: &RollFrame<'_>,
        note: Note,
        modifiers: Modifiers,
        out: &mut RollResponse,
    ) {
        if is_band(modifiers) {
            return;
        }
        let Some(press) = self.press else { return };
        let is_plain = !modifiers.shift && !modifiers.command;
        if self.tool == Tool::Erase && is_plain && frame.is_editable() {
            self.gesture = Some(Gesture::Erase(EraseNotes::new(Some(note), press.point)));
            return;
        }
        out.audition.push((note.pitch, note.velocity));
        self.heard = Some(note.pitch);
        self.touch(note);
        let key = NoteKey::from(&note);
        let chooses = matches!(self.tool, Tool::Select | Tool::Draw) && is_plain;
        if frame.is_editable() && chooses && !frame.view.selection.contains(&key) {
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
        if response.drag_started_by(button) && self.gesture.is_none() {
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
            if self.gesture.is_none()
                && let Some(press) = self.press
            {
                // A hand that shook while it cut.
                self.split(frame, press, out);
            }
            self.finish(frame, out);
            self.press = None;
        }
    }

    /// Begins what a drag from the place of the press means.
    fn begin(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(press) = self.press else { return };
        let selection = out.selection.as_ref().unwrap_or(frame.view.selection);
        let is_plain = !press.modifiers.shift && !press.modifiers.command;
        let Some(Hit { note, zone }) = press.hit.filter(|_| !is_band(press.modifiers)) else {
            self.gesture = Some(match self.tool {
                Tool::Erase if is_plain => Gesture::Erase(EraseNotes::new(None, press.point)),
                _ => {
                    let mode = match press.modifiers {
                        modifiers if is_band(modifiers) => MarqueeMode::Replace,
                        modifiers if modifiers.shift => MarqueeMode::Add,
                        modifiers if modifiers.command => MarqueeMode::Toggle,
                        _ => MarqueeMode::Replace,
                    };
                    Gesture::Marquee(Marquee::new(mode, selection.clone(), press.point))
                }
            });
            return;
        };
        if self.tool == Tool::Split && !press.modifiers.command {
            // It cuts where it was pressed, once it is released.
            return;
        }
        let held = Held::new(note, frame.index.score(), selection);
        if held.selection != *selection {
            out.selection = Some(held.selection.clone());
        }
        let mode = if press.modifiers.command { MoveMode::Copy } else { MoveMode::Move };
        let edge = match zone {
            // A copy is made wherever the note is taken.
            _ if mode == MoveMode::Copy => None,
            Zone::Body => None,
            Zone::LeftEdge => Some(Edge::Start),
            Zone::RightEdge => Some(Edge::End),
        };
        self.gesture = Some(match edge {
            None => Gesture::Move(MoveNotes::new(held, press.point, mode)),
            Some(edge) => Gesture::Resize(ResizeNotes::new(held, edge, press.point)),
        });
    }

    /// Ends the gesture, if there is one, with its edit and what is selected after it.
    pub(super) fn finish(&mut self, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let Some(gesture) = self.gesture.take() else { return };
        if let Gesture::Marquee(marquee) = &gesture {
            out.selection = Some(marquee.selection(&frame.index));
            return;
        }
        let change = gesture.change(frame.index.score(), frame.view.selection);
        let Some(change) = change else { return };
        out.change(change);
        if let Some(note) = gesture.note_now() {
            self.touch(note);
        }
        self.ended = Some(gesture);
    }

    /// What was touched last is what new notes are like, and Enter goes on after it.
    fn touch(&mut self, note: Note) {
        self.model = Some(note);
        self.caret = RollCaret { tick: note.end(), pitch: note.pitch };
    }

    fn click(&mut self, frame: &RollFrame<'_>, modifiers: Modifiers, out: &mut RollResponse) {
        let Some(press) = self.press.take() else { return };
        self.has_spent_click = false;
        if !frame.is_editable() {
            out.is_refused |= self.tool != Tool::Select;
            return;
        }
        if self.gesture.is_some() {
            self.has_spent_click = true;
            return self.finish(frame, out);
        }
        if self.split(frame, press, out) {
            self.has_spent_click = true;
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
            None => {
                self.place_caret(frame, press.point, modifiers.alt);
                Selection::new()
            }
        };
        if selection != *frame.view.selection {
            out.selection = Some(selection);
        }
    }

    /// With the Split tool, cuts the note that was pressed; with Shift all that are selected.
    /// Whether the press was meant so.
    fn split(&mut self, frame: &RollFrame<'_>, press: Press, out: &mut RollResponse) -> bool {
        let (Tool::Split, Some(Hit { note, .. })) = (self.tool, press.hit) else { return false };
        if press.modifiers.command || !frame.is_editable() {
            return false;
        }
        let Some(tick) = self.cut_at(frame, &note, press.point, press.modifiers.alt) else {
            return true;
        };
        let (score, selection) = (frame.index.score(), frame.view.selection);
        let change = match press.modifiers.shift {
            true => operations::split_at(score, selection, tick),
            false => operations::split_note(score, selection, &note, tick),
        };
        if let Some(change) = change {
            out.change(change);
        }
        true
    }

    /// Where a note would be cut: at the line of the grid inside it that is nearest to a point;
    /// at the point itself with Alt, or where the grid is too coarse for the note.
    fn cut_at(
        &self,
        frame: &RollFrame<'_>,
        note: &Note,
        point: RollPoint,
        is_free: bool,
    ) -> Option<Tick> {
        // Casts from float saturate.
        let free = Tick(point.tick.round() as u32);
        let step = self.step_at(&frame.index, free);
        let bars = frame.index.bars();
        let quarter = frame.index.score().tempo_map.ticks_per_quarter();
        let lines = [step.line_before(free, bars, quarter), step.line_after(free, bars, quarter)];
        let is_inside = |tick: &Tick| note.start < *tick && *tick < note.end();
        let line = lines.into_iter().filter(is_inside).min_by_key(|line| line.0.abs_diff(free.0));
        line.filter(|_| !is_free).or_else(|| Some(free).filter(is_inside))
    }

    /// The line at which the Split tool would cut, under the pointer.
    pub(super) fn paint_cut(&self, ui: &Ui, frame: &RollFrame<'_>) {
        let (pos, is_free) = ui.input(|input| (input.pointer.hover_pos(), input.modifiers.alt));
        let canvas = frame.regions.canvas;
        let is_cutting = self.tool == Tool::Split && self.gesture.is_none() && frame.is_editable();
        let Some(pos) = pos.filter(|_| is_cutting && ui.rect_contains_pointer(canvas)) else {
            return;
        };
        let selection = frame.view.selection;
        let Some(Hit { note, .. }) = hit(&frame.index, &self.viewport, selection, pos) else {
            return;
        };
        if let Some(tick) = self.cut_at(frame, &note, self.point(pos), is_free) {
            let x = self.viewport.x_of(tick);
            let row = note_rect(&self.viewport, &note);
            paint::paint_cut(&ui.painter_at(canvas), x, row, frame.view.theme);
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
        if self.has_spent_click || self.gesture.is_some() {
            // Two quick clicks with a tool are no double-click.
            return self.click(frame, modifiers, out);
        }
        self.press = None;
        if !frame.is_editable() {
            out.is_refused = true;
            return;
        }
        if hit(&frame.index, &self.viewport, frame.view.selection, pos).is_some() {
            return;
        }
        let note = self.note_at(frame, self.point(pos), modifiers);
        self.touch(note);
        out.audition.push((note.pitch, note.velocity));
        out.change(operations::add_note(note));
    }

    /// A note like the last one, in the cell of a point; with Alt right at the point, whatever
    /// the grid and the scale.
    fn note_at(&self, frame: &RollFrame<'_>, point: RollPoint, modifiers: Modifiers) -> Note {
        let start = self.cell(frame, point, modifiers.alt);
        let pitch = Pitch::new(point.pitch).unwrap_or(Pitch::MIDDLE_C);
        let pitch = self.on_scale(pitch, modifiers.alt);
        self.note_like_the_last(frame, start, pitch)
    }

    /// Makes what was pressed with the other button what the menu is about: a note gets selected,
    /// an empty place gets the caret.
    fn open_menu(&mut self, frame: &RollFrame<'_>, pos: Pos2, out: &mut RollResponse) {
        if !frame.is_editable() || self.gesture.is_some() {
            return;
        }
        let selection = frame.view.selection;
        let Some(Hit { note, .. }) = hit(&frame.index, &self.viewport, selection, pos) else {
            self.place_caret(frame, self.point(pos), false);
            self.menu_place = MenuPlace::Nothing;
            return;
        };
        let key = NoteKey::from(&note);
        self.touch(note);
        if !selection.contains(&key) {
            out.selection = Some(Selection::from([key]));
        }
        self.menu_place = match selection.contains(&key) && selection.len() > 1 {
            true => MenuPlace::Selection,
            false => MenuPlace::Note,
        };
    }

    /// A note that is moved to another pitch is heard there, with those that sound along with it.
    fn hear_the_move(&mut self, out: &mut RollResponse) {
        let Some(Gesture::Move(moved)) = &self.gesture else { return };
        let grabbed = moved.grabbed_now();
        if self.heard == Some(grabbed.pitch) {
            return;
        }
        self.heard = Some(grabbed.pitch);
        out.audition.extend(chord_at(&moved.preview(), grabbed.start));
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
                Gesture::Draw(_) => Tool::Draw.cursor(),
                Gesture::Erase(_) => Tool::Erase.cursor(),
                Gesture::Marquee(_) | Gesture::Velocity(_) => CursorIcon::Default,
            };
            ui.ctx().set_cursor_icon(cursor);
            return None;
        }
        let pos = response.hover_pos()?;
        let selection = frame.view.selection;
        let Some(Hit { note, zone }) = hit(&frame.index, &self.viewport, selection, pos) else {
            if frame.is_editable() {
                ui.ctx().set_cursor_icon(self.tool.cursor());
            }
            return None;
        };
        if frame.is_editable() {
            let cursor = self.tool.cursor_on_note().unwrap_or(match zone {
                Zone::Body => CursorIcon::Grab,
                Zone::LeftEdge | Zone::RightEdge => CursorIcon::ResizeHorizontal,
            });
            ui.ctx().set_cursor_icon(cursor);
        }
        response.clone().on_hover_text_at_pointer(text::hint(&note, &frame.index));
        Some(note)
    }

    fn point(&self, pos: Pos2) -> RollPoint {
        RollPoint {
            tick: self.viewport.tick_from_x(pos.x).max(0.0),
            pitch: self.viewport.pitch_from_y(pos.y).number(),
        }
    }
}
