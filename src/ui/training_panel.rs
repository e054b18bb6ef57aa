//! Train, stop, resume, and how far it is.

use egui::{CollapsingHeader, RichText, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::settings_form;
use super::start_form;
use super::state::{Preferences, State, Training};
use super::theme::{ROW, SPACE, Theme};
use super::widgets::{
    bytes, command_button, command_widget, counted, file_name, grouped, hint, is_settled, problem,
    progress, short, title,
};
use super::words::in_the_windows_words;
use crate::model::check_suits;
use crate::tokens::Music;

/// Train and stop, and how far it is: always in sight, however far the settings are scrolled.
pub fn foot_ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    buttons_ui(ui, state, actions);
    let training = &state.training;
    if training.is_waiting_for_library {
        hint(ui, "Waiting for the library…");
    } else if training.starting.is_some() {
        hint(ui, "Keeping your unsaved work first…");
    }
    if training.job.is_some() {
        progress(ui, theme, training.progress(), "Training");
        hint(ui, training.line()).on_hover_text(
            "One epoch is one reading of all the pieces. Frames a second tell how fast it learns. \
             It may stop earlier when nothing more is gained",
        );
    }
}

/// What came of the training stands above the settings: in a low window those are what one
/// scrolls to.
pub fn ui(ui: &mut Ui, state: &mut State, actions: &mut Actions) {
    title(ui, "Training");
    run_ui(ui, &state.training, state.library.music.as_ref());
    if state.training.is_busy() {
        busy_settings_ui(ui, state, actions);
    } else {
        settings_ui(ui, state, actions);
    }
    memory_ui(ui, state);
    if !state.preferences.shows_curves
        && command_button(ui, state, Command::ShowCurves, "Show the curves")
    {
        actions.push(AppAction::Run(Command::ShowCurves));
    }
}

/// While a run goes on nothing of its settings can be changed: they make room for what comes of them.
fn busy_settings_ui(ui: &mut Ui, state: &mut State, actions: &mut Actions) {
    let training = &state.training;
    let is_begun = training.job.is_some();
    let settings = if is_begun { &training.settings } else { &state.preferences.training };
    let line = settings_form::in_one_line(settings);
    let folded = CollapsingHeader::new("Settings").id_salt("settings of the run");
    let folded = folded.show_unindented(ui, |ui| {
        ui.disable();
        if is_begun {
            settings_of_run_ui(ui, state);
        } else {
            settings_ui(ui, state, actions);
        }
    });
    if folded.fully_closed() {
        hint(ui, line).on_hover_text("They can be changed for the next run once this one is over");
    }
}

/// The form as the run in training would fill it, which need not be how it is filled for the next.
fn settings_of_run_ui(ui: &mut Ui, state: &State) {
    let mut of_run =
        Preferences { training: state.training.settings.clone(), ..state.preferences.clone() };
    ui.add_space(SPACE / 2.0);
    let fixed = Some("A run keeps its settings for as long as it goes on");
    settings_form::essential_ui(ui, &mut of_run, fixed);
    settings_form::all_ui(ui, &mut of_run, fixed, None);
}

fn settings_ui(ui: &mut Ui, state: &mut State, actions: &mut Actions) {
    ui.add_space(SPACE / 2.0);
    start_form::ui(ui, state, actions);
    let fixed = start_form::why_fixed(state);
    let point = state.starting.point(&state.preferences.start).cloned();
    settings_form::essential_ui(ui, &mut state.preferences, fixed.as_deref());
    let usual = point.as_ref().map(|point| point.settings());
    settings_form::all_ui(ui, &mut state.preferences, fixed.as_deref(), usual);
}

fn buttons_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let training = &state.training;
    ui.horizontal(|ui| {
        let width = (ui.available_width() - SPACE) / 2.0;
        let size = egui::Vec2::new(width, ROW + SPACE);
        let (first, second) = if training.is_busy() {
            let text = if training.is_stopping { "Stopping…" } else { "Stop" };
            ((Command::StopTraining, text), None)
        } else {
            ((Command::Train, "Train"), Some((Command::ResumeTraining, "Resume")))
        };
        // Train and Stop stand in one place, and a second press on one isn't meant for the other.
        let is_settled = is_settled(ui, "training", training.is_busy());
        for (command, text) in [Some(first), second].into_iter().flatten() {
            let button = egui::Button::new(text).min_size(size);
            let button =
                ui.add_enabled_ui(is_settled, |ui| command_widget(ui, state, command, button));
            if button.inner.clicked() {
                actions.push(AppAction::Run(command));
            }
        }
    });
}

/// What is known of the run that is shown.
fn run_ui(ui: &mut Ui, training: &Training, music: Option<&Music>) {
    if let Some(prepared) = &training.prepared {
        let line = format!(
            "{} on {}",
            counted(prepared.parameters, "parameter", "parameters"),
            prepared.device
        );
        hint(ui, line).on_hover_text(format!(
            "Parameters are the numbers that learning changes. Learned from {} frames, measured \
             on {} held-out ones, in steps of {} sequences",
            grouped(prepared.train_frames as f64),
            grouped(prepared.valid_frames as f64),
            prepared.batch
        ));
    }
    if music.is_some_and(|music| training.is_of_other_music(music)) {
        hint(ui, "An earlier run, which learned from other music than the library has now:")
            .on_hover_text("Its figures can't be compared with those of a run of this library");
    }
    numbers_ui(ui, training);
    if training.summary.as_ref().is_some_and(|summary| summary.ran_away) {
        problem(ui, RAN_AWAY).on_hover_text(
            "The loss ran away: the weights went astray, and by the last epoch the music was \
             predicted worse than by choosing blindly. The best epoch was kept",
        );
    }
    if let Some(from) = &training.from {
        let whose = format!("Goes on from {}", file_name(std::path::Path::new(from.name())));
        let hover = format!("{}, SHA-256 {}…\n{}", from.name(), from.short_hash(), from.about);
        hint(ui, whose).on_hover_text(hover);
    }
    if let Some(dir) = &training.run_dir {
        let kept = format!("Kept in {}", dir.display());
        hint(ui, file_name(dir)).on_hover_text(kept);
        if training.job.is_none() && training.epochs.is_empty() {
            hint(ui, "It was stopped before its first epoch was done. Resume goes on from there");
        }
    }
    for note in training.notes.iter().rev().take(3) {
        hint(ui, note);
    }
}

const RAN_AWAY: &str = "It lost its way: the steps were too large. Train again with a lower \
                        learning rate and with Clip at 1, under All settings";

/// The best so far, in plain words with the terms beside them.
fn numbers_ui(ui: &mut Ui, training: &Training) {
    let Some(best) = training.best() else { return };
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(format!("Surprise {}", short(best.valid_perplexity))).strong())
            .on_hover_text(
                "How surprised it is by music it hasn't seen (perplexity): as if it had to guess \
                 among this many equally likely chords at every frame. Less is better",
            );
        ui.label(format!("right {:.1} %", best.valid_accuracy * 100.0)).on_hover_text(
            "How often the chord it thinks most likely is the one that comes (accuracy), on \
             held-out music",
        );
        let epoch = match best.epoch {
            0 if training.epochs.len() == 1 => "at the start".to_owned(),
            0 => "no epoch is better than the start".to_owned(),
            epoch => format!("best at epoch {epoch}"),
        };
        ui.label(RichText::new(epoch).weak()).on_hover_text(
            "The weights of this epoch are kept as the best: later ones learn the pieces by \
             heart. Since it was chosen by the same held-out music, these figures flatter a little",
        );
    });
    if let Some(test) = training.summary.as_ref().and_then(|summary| summary.test_perplexity) {
        ui.label(format!("On pieces kept for the very end: {}", short(test))).on_hover_text(
            "Perplexity on pieces that neither taught nor chose the best epoch: the most honest \
             figure",
        );
    }
}

fn memory_ui(ui: &mut Ui, state: &State) {
    if state.training.job.is_some() {
        return;
    }
    let library = &state.library;
    let figures = match library.coverage.as_ref().map(|coverage| &coverage.result) {
        Some(Ok(figures)) => figures,
        // The buttons below keep their place while it is counted.
        None if library.music.is_some() => {
            hint(ui, "Counting how much memory training will need…");
            return;
        }
        None | Some(Err(_)) => return,
    };
    let preferences = &state.preferences;
    let settings = &preferences.training;
    // The estimate multiplies what the form holds: only for values that a run would accept.
    if let Err(error) = settings.validate() {
        problem(ui, &in_the_windows_words(&error.to_string()));
        return;
    }
    let point = state.starting.point(&preferences.start);
    let network = point.map(|point| point.model.card());
    // Music that is about to be read in another way may suit then.
    let music = library.music.as_ref().filter(|_| !library.is_stale(&settings.music_plan()));
    if let Some(Err(error)) = music.map(|music| check_suits(music, settings, network)) {
        problem(ui, &in_the_windows_words(&error.to_string()));
        return;
    }
    let needed = crate::model::estimate_memory(
        settings,
        figures.vocabulary,
        &figures.train_lengths,
        state.device_kind(),
    );
    let needed = bytes(needed);
    hint(ui, format!("Training will need about {needed} of memory")).on_hover_text(
        "Estimated from the size of the network, the batch and the vocabulary. If it runs out, \
         the batch is made smaller",
    );
}
