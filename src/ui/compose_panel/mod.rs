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
use super::state::{State, WaitsFor};
use super::take_list;
use super::theme::{SPACE, Theme};
use super::widgets::{accent_button, command_button, hint, problem, progress, title};
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
        more_ui(ui, &mut form, composer);
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

fn button_ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    let Some(live) = &state.composing.live else {
        if let Some(waits_for) = &state.composing.waits_for {
            hint(
                ui,
                match waits_for {
                    WaitsFor::Model | WaitsFor::ModelOf(_) => "Waiting for the model…",
                    WaitsFor::Prime(_) => "Reading what it begins with…",
                    WaitsFor::Keeping => "Keeping your unsaved work first…",
                },
            );
        }
        let keys = Command::Compose.shortcut().map(|it| ui.ctx().format_shortcut(&it));
        let tooltip = format!("{}  ({})", Command::Compose.tooltip(), keys.unwrap_or_default());
        if accent_button(ui, theme, "Compose").on_hover_text(tooltip).clicked() {
            actions.push(AppAction::Run(Command::Compose));
        }
        if let Some(error) = &state.composing.error {
            problem(ui, error);
        }
        return;
    };
    progress(ui, theme, live.progress(), "Composing");
    ui.horizontal(|ui| {
        let text = if live.is_stopping { "Stopping…" } else { "Stop composing" };
        if command_button(ui, state, Command::StopComposing, text) {
            actions.push(AppAction::Run(Command::StopComposing));
        }
        let text = format!("{:.0} %", live.progress() * 100.0);
        ui.label(RichText::new(text).small().weak());
    });
    if live.n_searched > 0 {
        hint(ui, "Searching: it is heard as far as the likeliest phrases agree");
    }
}
