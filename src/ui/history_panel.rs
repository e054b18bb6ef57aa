//! Every step of the history by its name; a click goes there.

use egui::{RichText, ScrollArea, Ui};

use super::action::{Actions, AppAction, DocumentAction};
use super::state::State;
use super::theme::ROW;
use super::widgets::title;

/// The newest step stands at the bottom; steps that were undone are faint.
pub fn ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    title(ui, "History");
    let history = &state.document.history;
    let n_steps = history.labels().len();
    let labels: Vec<&str> = history.labels().collect();
    let rows = ScrollArea::vertical().id_salt("history").auto_shrink(false).stick_to_bottom(true);
    // Only the rows in view are made: there may be thousands.
    rows.show_rows(ui, ROW, n_steps + 1, |ui, seen| {
        for n_done in seen {
            let name = match n_done.checked_sub(1) {
                None => "As it was opened",
                Some(idx) => labels.get(idx).copied().unwrap_or_default(),
            };
            let is_now = n_done == history.n_done();
            let text = RichText::new(name);
            let text = if n_done > history.n_done() { text.weak() } else { text };
            let row = ui.selectable_label(is_now, text);
            let row = row.on_hover_text("Go back or forth to right after this");
            if row.clicked() && !is_now {
                actions.push(AppAction::Document(DocumentAction::JumpTo(n_done)));
            }
        }
    });
}
