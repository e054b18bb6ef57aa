//! A painted roll says nothing to a screen reader by itself: it gets nodes for what is selected,
//! for the note that the keyboard is at, and for the caret.

use egui::{Rect, Response, Role, Sense, Ui, WidgetInfo};

use super::{PianoRollEditor, RollFrame, hit, text};
use crate::editor::{Extent, NoteKey, selected_notes};
use crate::music::Note;

/// So many selected notes are told one by one.
const MAX_SPOKEN: usize = 64;
/// Of more selected notes than this only the whole is told: nobody listens to so many names.
const MAX_SELECTED: usize = 1_000;

impl PianoRollEditor {
    /// `roll` is the notes' area, which has the focus of the keyboard.
    pub(super) fn tell_screen_reader(&self, ui: &Ui, frame: &RollFrame<'_>, roll: &Response) {
        if !frame.is_editable() {
            return;
        }
        let selection = frame.view.selection;
        let mut focused = None;
        let (first, last) = self.viewport.ticks();
        let names = selection.len() <= MAX_SELECTED;
        let seen = selected_notes(frame.index.score(), selection)
            .take_while(|_| names)
            .filter(|note| note.start.0 <= last && note.end().0 > first)
            .take(MAX_SPOKEN);
        for note in seen {
            let rect = hit::note_rect(&self.viewport, note).intersect(frame.regions.canvas);
            if !rect.is_positive() {
                continue;
            }
            let id = frame.id.with(NoteKey::from(note));
            tell(ui, id, rect, || text::spoken_note(note, &frame.index));
            focused = focused.or(Some(id));
        }
        if selection.len() > 1 {
            let id = frame.id.with("selection");
            let notes = || selected_notes(frame.index.score(), selection);
            tell(ui, id, frame.regions.canvas, || spoken_selection(notes(), frame));
            focused = Some(id);
        }
        if self.shows_caret(frame) {
            let pitch = text::spoken_pitch(self.on_scale(self.caret.pitch, false));
            let place = text::spoken_place(self.caret.tick, &frame.index);
            let rect = self.caret_rect(frame).intersect(frame.regions.canvas);
            let id = frame.id.with("caret");
            tell(ui, id, rect, || format!("Caret at {pitch}, {place}"));
            focused = Some(id);
        }
        if let Some(focused) = focused.filter(|_| self.has_focus) {
            ui.ctx().accesskit_node_builder(roll.id, |node| {
                node.set_active_descendant(focused.accesskit_id());
            });
        }
    }
}

/// The words are made only where somebody listens.
fn tell(ui: &Ui, id: egui::Id, rect: Rect, words: impl Fn() -> String) {
    // It lies over the notes and must not be in the way of the mouse.
    let response = ui.interact(rect, id, Sense::empty());
    response.widget_info(|| WidgetInfo::selected(Role::GraphicsObject, true, true, words()));
}

/// "Selection: 3 notes, C 4 to G 4, from bar 1 beat 1".
fn spoken_selection<'a>(notes: impl Iterator<Item = &'a Note>, frame: &RollFrame<'_>) -> String {
    let mut n_notes = 0;
    let counted = notes.inspect(|_| n_notes += 1);
    let Some(extent) = Extent::of(counted) else { return "Selection: no notes".to_owned() };
    format!(
        "Selection: {}, {} to {}, from {}",
        text::n_notes(n_notes),
        text::spoken_pitch(extent.lowest),
        text::spoken_pitch(extent.highest),
        text::spoken_place(extent.start, &frame.index)
    )
}
