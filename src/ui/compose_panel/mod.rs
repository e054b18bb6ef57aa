//! The form at the right: who composes, how, from what, how long. The one bright button.
//!
//! ```text
//! model     who composes
//! strategy  how the next chord is chosen
//! prime     what it begins with
//! length    how long the takes are, how fast they are played, and how many there are
//! more      what is folded away
//! ```

mod length;
mod model;
mod more;
mod prime;
mod strategy;

use egui::{RichText, ScrollArea, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::state::{Live, State, WaitsFor};
use super::take_list;
use super::theme::{ROW, SPACE, TALL_ROW, Theme};
use super::widgets::{accent_button, command_button, hint, is_settled, problem, progress, title};
use length::length_ui;
use model::model_ui;
use more::more_ui;
use prime::prime_ui;
use strategy::strategy_ui;

pub fn ui(ui: &mut Ui, theme: &Theme, state: &mut State, actions: &mut Actions) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        title(ui, "Compose");
        model_ui(ui, state, actions);
        let mut form = state.preferences.compose.clone();
        let composer = state.composer();
        strategy_ui(ui, &mut form, composer);
        prime_ui(ui, &mut form, state, actions);
        length_ui(ui, &mut form, composer, state.quarters_per_second());
        more_ui(ui, &mut form, composer, actions);
        if state.preferences.compose != form {
            // What was wrong was said of another request.
            state.composing.error = None;
        }
        state.preferences.compose = form;
        ui.add_space(SPACE);
        button_ui(ui, theme, state, actions);
        ui.add_space(SPACE);
        take_list::ui(ui, theme, state, actions);
    });
}

/// Compose, or how far it is and Stop: as high as each other, so that the takes below stay where
/// they are pressed.
fn button_ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    let composing = &state.composing;
    // Compose stands where Stop stood.
    let is_settled = is_settled(ui, "composing", composing.is_busy());
    ui.scope(|ui| {
        ui.set_min_height(TALL_ROW);
        if composing.is_busy() {
            busy_ui(ui, theme, state, actions);
            return;
        }
        let keys = Command::Compose.shortcut().map(|it| ui.ctx().format_shortcut(&it));
        let tooltip = format!("{}  ({})", Command::Compose.tooltip(), keys.unwrap_or_default());
        let button = ui.add_enabled_ui(is_settled, |ui| accent_button(ui, theme, "Compose")).inner;
        if button.on_hover_text(tooltip).clicked() {
            actions.push(AppAction::Run(Command::Compose));
        }
    });
    if let Some(error) = &composing.error {
        problem(ui, error);
    }
    if composing.live.as_ref().is_some_and(|live| live.n_searched > 0) {
        hint(ui, "Searching: it is heard as far as the likeliest phrases agree");
    }
}

fn busy_ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    ui.spacing_mut().item_spacing.y = TALL_ROW - ROW - SPACE;
    let live = state.composing.live.as_ref();
    progress(ui, theme, live.map_or(0.0, Live::progress), "Composing");
    ui.horizontal(|ui| {
        let is_stopping = live.is_some_and(|live| live.is_stopping);
        let text = if is_stopping { "Stopping…" } else { "Stop composing" };
        if command_button(ui, state, Command::StopComposing, text) {
            actions.push(AppAction::Run(Command::StopComposing));
        }
        let text = match (live, &state.composing.waits_for) {
            (Some(live), _) => format!("{:.0} %", live.progress() * 100.0),
            (None, Some(WaitsFor::Prime(_))) => "Reading what it begins with…".to_owned(),
            (None, Some(WaitsFor::Keeping)) => "Keeping your unsaved work first…".to_owned(),
            (None, _) => "Waiting for the model…".to_owned(),
        };
        ui.label(RichText::new(text).small().weak());
    });
}
