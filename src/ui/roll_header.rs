//! The line above the roll: what is shown when it is not the score, and what to do first.

use egui::{Align, Frame, Layout, Margin, RichText, Ui};

use super::action::{Actions, AppAction, TakeAction, UsePlace};
use super::command::Command;
use super::state::{Shown, State, TakeId};
use super::theme::{HALF_SPACE, SPACE, Theme};

pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    match state.shown {
        Shown::Take(id) => banner(ui, theme, |ui| take_ui(ui, state, id, actions)),
        Shown::Live => banner(ui, theme, |ui| {
            ui.label("Listening while it is composed…");
        }),
        Shown::Score if !state.preferences.has_composed && state.takes.list.is_empty() => {
            banner(ui, theme, |ui| {
                let how = match state.preferences.shows_compose {
                    true => "Press Compose at the right".to_owned(),
                    false => format!("Press {}", keys_of(ui, Command::Compose)),
                };
                let words = format!("{how}: new music is written while you listen");
                ui.add(egui::Label::new(words).truncate());
            });
        }
        Shown::Score => {}
    }
}

/// How a command that has no button in sight is given.
fn keys_of(ui: &Ui, command: Command) -> String {
    let keys = command.shortcut().map(|shortcut| ui.ctx().format_shortcut(&shortcut));
    match keys {
        Some(keys) => format!("{keys} to {}", command.label().to_lowercase()),
        None => command.label().to_owned(),
    }
}

fn banner(ui: &mut Ui, theme: &Theme, contents: impl FnOnce(&mut Ui)) {
    let margin = Margin::symmetric(SPACE as i8, HALF_SPACE as i8);
    Frame::new().fill(theme.raised).inner_margin(margin).show(ui, |ui| {
        ui.horizontal(|ui| {
            contents(ui);
            // The line is as wide as the roll.
            ui.allocate_space(egui::vec2(ui.available_width().max(0.0), 0.0));
        });
    });
}

fn take_ui(ui: &mut Ui, state: &State, id: TakeId, actions: &mut Actions) {
    let Some(entry) = state.takes.get(id) else { return };
    ui.label(RichText::new(&entry.name).strong());
    ui.label(RichText::new("is a take, not the score").weak());
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if super::widgets::command_button(ui, state, Command::BackToScore, "Back to the score") {
            actions.push(AppAction::Run(Command::BackToScore));
        }
        use_menu(ui, id, actions);
    });
}

/// The ways to put a take into the score.
pub fn use_menu(ui: &mut Ui, id: TakeId, actions: &mut Actions) {
    ui.menu_button("Use ⏷", |ui| {
        for (text, tooltip, place) in [
            ("In place of everything", "The take becomes the score", UsePlace::Everything),
            ("At the end", "After the last note, from the next bar on", UsePlace::End),
            (
                "At the playhead",
                "From where the score's playhead stands, in place of what the score has until the take \
                 ends; what comes after that stays",
                UsePlace::Playhead,
            ),
        ] {
            if ui.button(text).on_hover_text(format!("{tooltip}. One step to undo")).clicked() {
                actions.push(AppAction::Take(id, TakeAction::Use(place)));
                ui.close();
            }
        }
    })
    .response
    .on_hover_text("Put this take into the score");
}
