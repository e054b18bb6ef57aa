//! The track list: what each part is called, whether it is heard, its color and its instrument.

use std::collections::HashMap;
use std::sync::Arc;

use egui::containers::menu::MenuButton;
use egui::{
    Button, Color32, Response, RichText, ScrollArea, Sense, TextEdit, Ui, Vec2, WidgetInfo,
};

use super::action::{Actions, AppAction, DocumentAction};
use super::state::State;
use super::theme::{ROW, SPACE, Theme};
use super::widgets::{letter_toggle, title};
use crate::editor::{Change, PartEdit, ScoreEdit, Selection, operations};
use crate::music::{INSTRUMENTS, Part, Track};

/// `height` is the most that the list may take; the rest of it is scrolled to.
pub fn ui(ui: &mut Ui, theme: &Theme, state: &mut State, height: f32, actions: &mut Actions) {
    let top = ui.cursor().top();
    title(ui, "Parts");
    let left = (top + height - ui.cursor().top()).max(ROW);
    let rows = ScrollArea::vertical().id_salt("parts").max_height(left).auto_shrink([false, true]);
    rows.show(ui, |ui| {
        rows_ui(ui, theme, state, actions);
        reveal_focus(ui);
    });
}

/// Whoever goes from control to control by Tab sees where that leads.
fn reveal_focus(ui: &Ui) {
    let focused = ui.memory(|memory| memory.focused()).and_then(|id| ui.ctx().read_response(id));
    if let Some(focused) = focused
        && focused.gained_focus()
        && ui.min_rect().contains(focused.rect.center())
    {
        ui.scroll_to_rect(focused.rect.expand(SPACE), None);
    }
}

fn rows_ui(ui: &mut Ui, theme: &Theme, state: &mut State, actions: &mut Actions) {
    let score = Arc::clone(state.document.history.score());
    for (idx, part) in score.parts.iter().enumerate() {
        // A score has 255 parts at most.
        let Ok(idx) = u8::try_from(idx) else { return };
        row_ui(ui, theme, state, Track::Part(idx), part, actions);
    }
    if !score.drums.is_empty() {
        row_ui(ui, theme, state, Track::Drums, &score.drum_part, actions);
    }
    if score.parts.is_empty() && score.drums.is_empty() {
        ui.label(RichText::new("The first note brings one").weak());
    } else if ui.button("Add part").clicked() {
        let part = Part { channel: free_channel(&score.parts), ..Part::default() };
        let edit = ScoreEdit::Part(PartEdit::Add(part));
        actions.push(AppAction::Document(DocumentAction::Edit(edit)));
    }
}

/// The first channel that no part plays on; where there is none, the first. 9 is percussion.
fn free_channel(parts: &[Part]) -> u8 {
    let is_free = |channel: &u8| parts.iter().all(|part| part.channel != *channel);
    (0..16).filter(|channel| *channel != 9).find(is_free).unwrap_or(0)
}

/// The color after `now` that no other part has; the very next one where all are taken.
fn next_color(parts: &[Part], track: Track, now: usize, theme: &Theme) -> usize {
    let n_colors = theme.roll.parts.len();
    let others = parts
        .iter()
        .enumerate()
        .filter(|(idx, _)| u8::try_from(*idx).map(Track::Part) != Ok(track));
    let taken: Vec<usize> =
        others.map(|(idx, part)| part.color.map_or(idx, usize::from) % n_colors).collect();
    let mut next = (1..n_colors).map(|by| (now + by) % n_colors);
    next.find(|color| !taken.contains(color)).unwrap_or((now + 1) % n_colors)
}

fn row_ui(
    ui: &mut Ui,
    theme: &Theme,
    state: &mut State,
    track: Track,
    part: &Part,
    actions: &mut Actions,
) {
    let name = shown_name(track, part);
    let mut edits = Vec::new();
    ui.horizontal(|ui| {
        let place = match track {
            Track::Part(idx) => usize::from(idx),
            Track::Drums => theme.roll.parts.len() - 1,
        };
        if swatch(ui, theme.part_color(part.color, place), &name).clicked() {
            let now = part.color.map_or(place, usize::from);
            let color = next_color(&state.document.history.score().parts, track, now, theme);
            edits.push(PartEdit::SetColor { track, color: u8::try_from(color).ok() });
        }
        if let Some(name) = name_ui(ui, track, &name, &mut state.document.written_names) {
            edits.push(PartEdit::Rename { track, name });
        }
        if letter_toggle(ui, "M", &format!("Mute {name}"), part.is_muted) {
            edits.push(PartEdit::Mute { track, is_muted: !part.is_muted });
        }
        if letter_toggle(ui, "S", &format!("Solo {name}"), part.is_solo) {
            edits.push(PartEdit::Solo { track, is_solo: !part.is_solo });
        }
        let Track::Part(idx) = track else { return };
        let (more, _) =
            MenuButton::new("⏷").ui(ui, |ui| menu_ui(ui, state, idx, part, &mut edits, actions));
        let words = format!("What can be done with {name}");
        more.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &words));
        more.on_hover_text(INSTRUMENTS[usize::from(part.program.min(127))]);
    });
    let edits = edits.into_iter().map(ScoreEdit::Part).map(DocumentAction::Edit);
    actions.extend(edits.map(AppAction::Document));
}

/// The notes of a part, its instrument, and its end.
fn menu_ui(
    ui: &mut Ui,
    state: &State,
    idx: u8,
    part: &Part,
    edits: &mut Vec<PartEdit>,
    actions: &mut Actions,
) {
    let document = &state.document;
    let score = document.history.score();
    if ui.button("Select its notes").clicked() {
        let selection = Selection::of_part(score, idx);
        actions.push(AppAction::Document(DocumentAction::Select(selection)));
        ui.close();
    }
    let menu = ui.menu_button("Instrument", |ui| {
        ui.set_min_width(SPACE * 24.0);
        ScrollArea::vertical().max_height(ROW * 16.0).show(ui, |ui| {
            for (program, name) in (0..).zip(INSTRUMENTS) {
                if ui.selectable_label(part.program == program, name).clicked() {
                    let channel = part.channel;
                    edits.push(PartEdit::SetInstrument { part: idx, channel, program });
                    ui.close();
                }
            }
        });
    });
    menu.response.on_hover_text("Heard with a SoundFont that has it");
    let moved = ui.add_enabled(!document.selection.is_empty(), Button::new("Move the notes here"));
    let moved = moved.on_hover_text("Give the chosen notes to this part");
    if moved.on_disabled_hover_text("No notes are chosen").clicked() {
        let change = operations::move_to_part(score, &document.selection, idx);
        actions.extend(change.map(DocumentAction::Change).map(AppAction::Document));
        ui.close();
    }
    let delete = ui.add_enabled(score.parts.len() > 1, Button::new("Delete the part"));
    let delete = delete.on_hover_text("With its notes and its pedal");
    if delete.on_disabled_hover_text("It is the only part, and notes need one").clicked() {
        let edit = ScoreEdit::Part(PartEdit::Delete(idx));
        let change = Change { edit, selection: Selection::new() };
        actions.push(AppAction::Document(DocumentAction::Change(change)));
        ui.close();
    }
}

fn shown_name(track: Track, part: &Part) -> String {
    match track {
        _ if !part.name.is_empty() => part.name.clone(),
        Track::Part(idx) => format!("Part {}", u32::from(idx) + 1),
        Track::Drums => "Drums".to_owned(),
    }
}

fn swatch(ui: &mut Ui, color: Color32, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(SPACE * 2.0), Sense::click());
    ui.painter().rect_filled(rect, 2.0, color);
    let words = format!("Color of {name}");
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &words));
    response.on_hover_text("The next color")
}

/// The name as a field; what was written once it is left.
fn name_ui(
    ui: &mut Ui,
    track: Track,
    name: &str,
    all_written: &mut HashMap<Track, String>,
) -> Option<String> {
    let was_written = all_written.contains_key(&track);
    let mut written = all_written.remove(&track).unwrap_or_else(|| name.to_owned());
    let field = TextEdit::singleline(&mut written)
        .align(egui::Align2::LEFT_CENTER)
        .desired_width(SPACE * 13.0)
        .id_salt(("part name", track));
    let response = ui.add(field);
    response.widget_info(|| {
        WidgetInfo::labeled(egui::Role::TextInput, true, format!("Name of {name}"))
    });
    if response.has_focus() {
        all_written.insert(track, written);
        return None;
    }
    let is_kept = was_written && !ui.input(|input| input.key_pressed(egui::Key::Escape));
    (is_kept && written != name && !written.trim().is_empty()).then_some(written)
}
