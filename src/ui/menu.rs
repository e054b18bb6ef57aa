//! The menu bar, with what computes at its right.

use egui::containers::menu::MenuBar;
use egui::{Align, Button, Layout, RichText, Ui};

use super::action::{Actions, AppAction, DocumentAction};
use super::command::Command;
use super::dialogs::Purpose;
use super::roll_view;
use super::state::State;
use super::theme::ThemeName;
use super::widgets::file_name;
use crate::assets;

pub fn ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    MenuBar::new().ui(ui, |ui| {
        ui.menu_button("File", |ui| file_menu(ui, state, actions));
        ui.menu_button("Edit", |ui| edit_menu(ui, state, actions));
        ui.menu_button("Notes", |ui| notes_menu(ui, state, actions));
        ui.menu_button("View", |ui| view_menu(ui, state, actions));
        ui.menu_button("Compose", |ui| compose_menu(ui, state, actions));
        ui.menu_button("Train", |ui| train_menu(ui, state, actions));
        ui.menu_button("Help", |ui| {
            for command in
                [Command::CommandPalette, Command::Shortcuts, Command::OpenLog, Command::About]
            {
                item(ui, state, command, actions);
            }
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            device_ui(ui, state, actions);
        });
    });
}

/// A line of a menu that runs a command.
fn item(ui: &mut Ui, state: &State, command: Command, actions: &mut Actions) {
    let mut button = Button::new(command.label_now(state));
    if let Some(shortcut) = command.shortcut() {
        button = button.shortcut_text(ui.ctx().format_shortcut(&shortcut));
    }
    if super::widgets::command_widget(ui, state, command, button).clicked() {
        actions.push(AppAction::Run(command));
        ui.close();
    }
}

/// Groups of commands, with lines between them.
pub fn groups(ui: &mut Ui, state: &State, groups: &[&[Command]], actions: &mut Actions) {
    for (idx, group) in groups.iter().enumerate() {
        if idx > 0 {
            ui.separator();
        }
        for &command in *group {
            item(ui, state, command, actions);
        }
    }
}

fn edit_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    groups(
        ui,
        state,
        &[
            &[Command::Undo, Command::Redo],
            &[
                Command::Cut,
                Command::Copy,
                Command::Paste,
                Command::Duplicate,
                Command::DeleteSelection,
                Command::AddNote,
            ],
            &[
                Command::SelectAll,
                Command::SelectNone,
                Command::InvertSelection,
                Command::SelectSamePitch,
                Command::SelectFromPlayhead,
            ],
            &[Command::SelectTool, Command::DrawTool, Command::EraseTool, Command::SplitTool],
        ],
        actions,
    );
    ui.separator();
    let mut hears = state.preferences.hears_notes;
    let check = ui.checkbox(&mut hears, Command::HearNotes.label());
    if check.on_hover_text(Command::HearNotes.tooltip()).clicked() {
        actions.push(AppAction::Run(Command::HearNotes));
        ui.close();
    }
}

/// What can be done to the chosen notes.
fn notes_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    groups(
        ui,
        state,
        &[
            &[Command::QuickQuantize, Command::Quantize, Command::Humanize],
            &[Command::Transpose, Command::StepUp, Command::StepDown, Command::SnapToScale],
            &[Command::SetLength, Command::ScaleLength, Command::Legato],
            &[Command::Join, Command::SplitAtPlayhead, Command::RemoveOverlaps],
            &[Command::SetVelocity],
            &[Command::Reverse, Command::Invert],
        ],
        actions,
    );
}

fn file_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    item(ui, state, Command::NewScore, actions);
    item(ui, state, Command::OpenFile, actions);
    ui.menu_button("Open recent", |ui| {
        if state.preferences.recent.is_empty() {
            ui.label(RichText::new("No files yet").weak());
        }
        for path in &state.preferences.recent {
            let row = ui.button(file_name(path)).on_hover_text(path.display().to_string());
            if row.clicked() {
                let open = DocumentAction::Open(path.clone());
                actions.push(AppAction::Document(open));
                ui.close();
            }
        }
        if !state.preferences.recent.is_empty() {
            ui.separator();
            if ui.button("Clear this list").clicked() {
                actions.push(AppAction::ForgetRecent);
                ui.close();
            }
        }
    });
    ui.menu_button("Open a built-in piece", |ui| {
        egui::ScrollArea::vertical().show(ui, |ui| {
            for (idx, (title, _)) in assets::pieces().iter().enumerate() {
                if ui.button(title).clicked() {
                    actions.push(AppAction::Document(DocumentAction::OpenBuiltIn(idx)));
                    ui.close();
                }
            }
        });
    });
    ui.separator();
    if !state.unfinished.is_empty() && ui.button("Recover unsaved work…").clicked() {
        actions.push(AppAction::AskAboutUnfinished);
        ui.close();
    }
    for command in [Command::SaveProject, Command::SaveProjectAs, Command::Revert] {
        item(ui, state, command, actions);
    }
    ui.separator();
    for command in [Command::ExportMidi, Command::ExportWav] {
        item(ui, state, command, actions);
    }
    ui.separator();
    item(ui, state, Command::Quit, actions);
}

fn view_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let preferences = &state.preferences;
    for (command, is_on) in [
        (Command::ShowLibrary, preferences.shows_library),
        (Command::ShowCompose, preferences.shows_compose),
        (Command::ShowCurves, preferences.shows_curves),
        (Command::ShowParts, preferences.shows_parts),
        (Command::ShowHistory, preferences.shows_history),
    ] {
        let mut is_on = is_on;
        let keys = command.shortcut().map(|it| ui.ctx().format_shortcut(&it)).unwrap_or_default();
        let check = ui.checkbox(&mut is_on, command.label()).on_hover_text(keys);
        if check.clicked() {
            actions.push(AppAction::Run(command));
            ui.close();
        }
    }
    ui.separator();
    for name in ThemeName::ALL {
        if ui.radio(preferences.theme == name, name.label()).clicked() {
            actions.push(AppAction::Theme(name));
            ui.close();
        }
    }
    ui.separator();
    ui.menu_button("Size of everything", |ui| roll_view::scale_ui(ui, state, actions));
    let mut is_own = preferences.own_file_dialog;
    let hint = "For a desktop whose own dialog is missing or doesn't answer";
    if ui.checkbox(&mut is_own, "Etude's own file dialog").on_hover_text(hint).clicked() {
        actions.push(AppAction::OwnFileDialog(is_own));
        ui.close();
    }
    ui.separator();
    ui.menu_button("Piano sound", |ui| fonts_menu(ui, state, actions));
}

/// The built-in piano, the fonts of this system, or a file.
fn fonts_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let chosen = &state.preferences.font;
    let command = Command::UseBuiltInPiano;
    let built_in = ui.radio(chosen.is_none(), "Built-in piano").on_hover_text(command.tooltip());
    if built_in.clicked() {
        actions.push(AppAction::Run(command));
        ui.close();
    }
    let other = chosen.as_ref().filter(|path| !state.fonts.contains(path));
    for path in state.fonts.iter().chain(other) {
        let is_chosen = chosen.as_ref() == Some(path);
        let row = ui.radio(is_chosen, file_name(path)).on_hover_text(path.display().to_string());
        if row.clicked() {
            actions.push(AppAction::PathsChosen(Purpose::SoundFont, vec![path.clone()]));
            ui.close();
        }
    }
    ui.separator();
    item(ui, state, Command::ChooseSoundFont, actions);
}

fn compose_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    for command in [Command::Compose, Command::StopComposing] {
        item(ui, state, command, actions);
    }
    ui.separator();
    for command in [
        Command::PlayPause,
        Command::Stop,
        Command::GoToEnd,
        Command::Repeat,
        Command::Loop,
        Command::Metronome,
        Command::CountIn,
        Command::PreviousTake,
        Command::NextTake,
        Command::PlayAllTakes,
        Command::BackToScore,
    ] {
        item(ui, state, command, actions);
    }
}

fn train_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    for command in [Command::ChooseFiles, Command::ChooseFolder, Command::UseBuiltInPieces] {
        item(ui, state, command, actions);
    }
    ui.separator();
    for command in [Command::Train, Command::StopTraining, Command::ResumeTraining] {
        item(ui, state, command, actions);
    }
    if !state.runs.is_empty() {
        ui.menu_button("Resume a run", |ui| {
            egui::ScrollArea::vertical().show(ui, |ui| {
                for run in &state.runs {
                    if ui.button(file_name(&run.path)).clicked() {
                        actions.push(AppAction::Resume(run.path.clone()));
                        ui.close();
                    }
                }
            });
        });
    }
    ui.separator();
    for command in [Command::ExportCurvesCsv, Command::ExportCurvesPng] {
        item(ui, state, command, actions);
    }
}

fn device_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    if let Some(share) = state.fetching {
        if ui.small_button("Stop fetching").clicked() {
            actions.push(AppAction::StopFetching);
        }
        ui.label(RichText::new(format!("Fetching: {:.0} %", share * 100.0)).small());
    }
    let line = ui.label(RichText::new(state.device_line()).small().weak());
    line.on_hover_ui(|ui| {
        for report in &state.devices {
            let status = report.reason.as_deref().unwrap_or("works");
            ui.label(format!("{}: {status}", report.name));
        }
        ui.label(state.sound.output.words());
        if !state.sound.font.is_empty() {
            ui.label(format!("Instrument: {}", state.sound.font));
        }
    });
    if state.lacks_only_nvrtc() && state.fetching.is_none() {
        let button = ui.small_button("Use the NVIDIA card…").on_hover_text(
            "A driver is here, NVIDIA's run-time compiler is not. This fetches it with its headers \
             into Etude's own folder; you are asked first",
        );
        if button.clicked() {
            actions.push(AppAction::AskForNvidia);
        }
    }
}
