//! Dialogs that ask or tell one thing.

use egui::{Context, RichText};

use super::action::{Actions, AppAction, Choice};
use super::state::{Question, State};
use super::theme::{ROW, SPACE, Theme};
use super::widgets::progress;
use crate::cuda_libraries;

const WIDTH: f32 = SPACE * 56.0;

/// Something serious: what failed, why, what to do.
pub fn alert_ui(ctx: &Context, state: &mut State) {
    let Some(text) = state.alert.clone() else { return };
    let alert = Alert::from(text.as_str());
    let response = super::widgets::modal(ctx, "alert").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new(alert.what).strong());
        for line in [alert.why, alert.remedy].into_iter().flatten() {
            ui.add_space(SPACE);
            ui.label(line);
        }
        ui.add_space(SPACE * 2.0);
        let size = egui::vec2(SPACE * 10.0, ROW);
        let button = ui.horizontal(|ui| ui.add(egui::Button::new("OK").min_size(size))).inner;
        if ui.memory(|memory| memory.focused().is_none()) {
            button.request_focus();
        }
        button.clicked()
    });
    if response.inner || response.should_close() {
        state.alert = None;
    }
}

/// A message in the parts it is written in: "what failed — why. What to do".
#[derive(PartialEq, Debug)]
struct Alert {
    what: String,
    why: Option<String>,
    remedy: Option<String>,
}

impl From<&str> for Alert {
    fn from(text: &str) -> Self {
        let Some((what, rest)) = text.split_once(" — ") else {
            return Self { what: text.to_owned(), why: None, remedy: None };
        };
        // Where a cause brought a remedy of its own, both stand in the last line.
        let (why, remedy) = match rest.split_once(". ") {
            Some((why, remedy)) => (why, Some(sentence(remedy))),
            None => match rest.split_once(" — ") {
                Some((why, remedy)) => (why, Some(sentence(remedy))),
                None => (rest, None),
            },
        };
        Self { what: sentence(what), why: Some(sentence(why)), remedy }
    }
}

/// With a capital at the start, unless a path or a name in quotes stands there.
fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    let is_word = text.split_whitespace().next().is_some_and(|word| !word.contains(['/', '.']));
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// A question before something that can't be taken back.
pub fn question_ui(ctx: &Context, state: &State, actions: &mut Actions) {
    let Some(question) = &state.question else { return };
    let (what, go_on) = match question {
        Question::FetchNvidia => return nvidia_ui(ctx, actions),
        Question::Recover => return recover_ui(ctx, actions),
        Question::Close => ("Close without saving?", "Close without saving"),
        Question::Open(_) | Question::OpenBuiltIn(_) => {
            ("Open another piece without saving this one?", "Open without saving")
        }
    };
    let response = super::widgets::modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new(what).strong());
        ui.add_space(SPACE);
        ui.label(format!("“{}” has changes that are in no file", state.document.name()));
        ui.add_space(SPACE * 2.0);
        ui.horizontal(|ui| {
            let mut choice = None;
            for (text, answer) in
                [("Save", Choice::SaveFirst), (go_on, Choice::GoOn), ("Cancel", Choice::Cancel)]
            {
                if ui.button(text).clicked() {
                    choice = Some(answer);
                }
            }
            choice
        })
        .inner
    });
    let choice = response.inner.or_else(|| response.should_close().then_some(Choice::Cancel));
    actions.extend(choice.map(|choice| AppAction::Answer(question.clone(), choice)));
}

/// Work that was not saved when the program ended. It goes only when that is asked for.
fn recover_ui(ctx: &Context, actions: &mut Actions) {
    let response = super::widgets::modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new("Recover unsaved work?").strong());
        ui.add_space(SPACE);
        ui.label("Etude ended last time before changes of a piece were saved");
        ui.add_space(SPACE * 2.0);
        ui.horizontal(|ui| {
            let recover = ui.button("Recover").clicked().then_some(Choice::GoOn);
            recover.or_else(|| ui.button("Discard").clicked().then_some(Choice::Cancel))
        })
        .inner
    });
    let answer = |choice| AppAction::Answer(Question::Recover, choice);
    actions.extend(response.inner.map(answer));
}

/// What would be fetched from the network, and under whose terms.
fn nvidia_ui(ctx: &Context, actions: &mut Actions) {
    let response = super::widgets::modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new("Fetch NVIDIA's run-time libraries?").strong());
        ui.add_space(SPACE);
        match cuda_libraries::plan() {
            Ok(plan) => {
                ui.label(format!(
                    "{} from pypi.org into {}, each checked against a known sum:",
                    super::widgets::bytes(plan.download_bytes()),
                    plan.folder.display()
                ));
                for package in plan.packages {
                    let (name, version, purpose) = (package.name, package.version, package.purpose);
                    ui.label(format!("{name} {version}: {purpose}"));
                }
                ui.label(format!("NVIDIA's terms: {}", cuda_libraries::LICENSE_URL));
            }
            Err(error) => {
                ui.label(error.to_string());
            }
        }
        ui.add_space(SPACE * 2.0);
        ui.horizontal(|ui| {
            let fetch = ui.button("Fetch").clicked().then_some(Choice::GoOn);
            fetch.or_else(|| ui.button("Cancel").clicked().then_some(Choice::Cancel))
        })
        .inner
    });
    let choice = response.inner.or_else(|| response.should_close().then_some(Choice::Cancel));
    actions.extend(choice.map(|choice| AppAction::Answer(Question::FetchNvidia, choice)));
}

/// How far the sound file is. Returns whether it shall stop.
pub fn export_ui(ctx: &Context, theme: &Theme, state: &State) -> bool {
    let Some(share) = state.export else { return false };
    egui::Window::new("Writing the sound file")
        .collapsible(false)
        .resizable(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            ui.set_width(SPACE * 40.0);
            progress(ui, theme, share as f32, "Sound file");
            ui.add_space(SPACE);
            ui.button("Stop writing").clicked()
        })
        .and_then(|shown| shown.inner)
        .unwrap_or(false)
}
