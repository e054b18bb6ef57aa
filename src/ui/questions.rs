//! Dialogs that ask or tell one thing.

use egui::{Context, Response, RichText, Ui};

use super::action::{Actions, AppAction, Choice, UnfinishedAction};
use super::sessions::Unfinished;
use super::state::{Question, State, universal_time};
use super::theme::{ROW, SPACE, Theme};
use super::widgets::progress;
use super::words::{ago, capitalized};
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
    let is_word = text.split_whitespace().next().is_some_and(|word| !word.contains(['/', '.']));
    if is_word { capitalized(text) } else { text.to_owned() }
}

/// A question before something that can't be taken back.
pub fn question_ui(ctx: &Context, state: &State, actions: &mut Actions) {
    let Some(question) = &state.question else { return };
    let before = match question {
        Question::FetchNvidia => return nvidia_ui(ctx, actions),
        Question::Recover => return recover_ui(ctx, state, actions),
        Question::Discard(name) => return discard_ui(ctx, state, name, actions),
        Question::Revert => return revert_ui(ctx, state, actions),
        Question::Close => "closing",
        Question::Open(_) | Question::OpenBuiltIn(_) => "opening another piece",
        Question::New => "beginning a new one",
        Question::Restore(_) => "restoring another piece",
    };
    let what = format!("Save “{}” before {before}?", state.document.name());
    let since = match &state.document.path {
        Some(path) => format!("It has changed since it was saved as {}", path.display()),
        None => "It is in no file yet".to_owned(),
    };
    let choices =
        [("Save", Choice::SaveFirst), ("Don't save", Choice::GoOn), ("Cancel", Choice::Cancel)];
    let choice = choice_ui(ctx, &what, &since, &choices);
    actions.extend(choice.map(|choice| AppAction::Answer(question.clone(), choice)));
}

/// The way back to the file. Saving is no way there, and so it isn't offered.
fn revert_ui(ctx: &Context, state: &State, actions: &mut Actions) {
    let Some(path) = &state.document.source else { return };
    let what = format!("Go back to {}?", super::widgets::file_name(path));
    let since = "Every change since it was opened or saved will be gone, undo steps included";
    let choices = [("Cancel", Choice::Cancel), ("Revert", Choice::GoOn)];
    let choice = choice_ui(ctx, &what, since, &choices);
    actions.extend(choice.map(|choice| AppAction::Answer(Question::Revert, choice)));
}

/// Work that is in no other place isn't thrown away by one press.
fn discard_ui(ctx: &Context, state: &State, name: &str, actions: &mut Actions) {
    let found = state.unfinished.iter().find(|found| found.name() == name);
    let title = found.map_or(UNTITLED, title_of);
    let what = format!("Discard “{title}” for good?");
    let why =
        "What was not saved of it will be gone, with all that was found after earlier crashes";
    let choices = [("Keep it", Choice::Cancel), ("Discard it", Choice::GoOn)];
    let choice = choice_ui(ctx, &what, why, &choices);
    let question = Question::Discard(name.to_owned());
    actions.extend(choice.map(|choice| AppAction::Answer(question, choice)));
}

const UNTITLED: &str = "Untitled";

fn title_of(found: &Unfinished) -> &str {
    if found.about.title.is_empty() { UNTITLED } else { &found.about.title }
}

/// A few words and some buttons. Enter presses the first one unless another was gone to, Escape
/// is Cancel.
fn choice_ui(ctx: &Context, what: &str, why: &str, choices: &[(&str, Choice)]) -> Option<Choice> {
    let response = super::widgets::modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new(what).strong());
        ui.add_space(SPACE);
        ui.label(why);
        ui.add_space(SPACE * 2.0);
        let row = ui.horizontal(|ui| {
            let add = |&(text, choice): &(&str, Choice)| (ui.button(text), choice);
            choices.iter().map(add).collect::<Vec<_>>()
        });
        focus_first(row.inner.iter().map(|(button, _)| button));
        row.inner.into_iter().find(|(button, _)| button.clicked()).map(|(_, choice)| choice)
    });
    response.inner.or_else(|| response.should_close().then_some(Choice::Cancel))
}

/// What lies over everything has the keys, whatever was touched last.
fn focus_first<'a>(buttons: impl Iterator<Item = &'a Response> + Clone) {
    if buttons.clone().any(Response::has_focus) {
        return;
    }
    if let Some(first) = buttons.into_iter().next() {
        first.request_focus();
    }
}

/// Work that was not saved when a window ended. It goes only when that is asked for.
fn recover_ui(ctx: &Context, state: &State, actions: &mut Actions) {
    let response = super::widgets::modal(ctx, "question").show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new("Recover unsaved work?").strong());
        ui.add_space(SPACE);
        ui.label(match state.unfinished.len() {
            1 => "Etude ended before this piece was saved",
            _ => "Etude ended before these pieces were saved",
        });
        ui.add_space(SPACE);
        let mut buttons = Vec::new();
        let mut action = None;
        egui::ScrollArea::vertical().max_height(SPACE * 40.0).show(ui, |ui| {
            for found in &state.unfinished {
                let choices = unfinished_ui(ui, found, state.now_secs());
                let pressed = choices.iter().find(|(button, _)| button.clicked());
                action = action.take().or(pressed.map(|(_, action)| (found.name(), *action)));
                buttons.extend(choices.into_iter().map(|(button, _)| button));
            }
        });
        ui.add_space(SPACE * 2.0);
        let later = ui.button("Ask me later").on_hover_text("Nothing is lost: they stay kept");
        let is_later = later.clicked();
        buttons.push(later);
        focus_first(buttons.iter());
        (action, is_later)
    });
    let should_close = response.should_close();
    let (action, is_later) = response.inner;
    if let Some((name, action)) = action {
        actions.push(AppAction::Unfinished(name, action));
    } else if is_later || should_close {
        actions.push(AppAction::Answer(Question::Recover, Choice::Cancel));
    }
}

/// One piece that can be restored, as it is and as it was found after earlier crashes, and its
/// buttons.
fn unfinished_ui(
    ui: &mut Ui,
    found: &Unfinished,
    now_secs: u64,
) -> Vec<(Response, UnfinishedAction)> {
    let about = &found.about;
    let title = title_of(found);
    ui.label(RichText::new(title).strong());
    let place = match &about.path {
        Some(path) => format!("saved before as {}", path.display()),
        None => "never saved".to_owned(),
    };
    let kept = |kept_secs: u64| format!("kept {}", ago(now_secs.saturating_sub(kept_secs)));
    ui.label(format!("{}, {place}", sentence(&kept(about.kept_secs))))
        .on_hover_text(universal_time(about.kept_secs));
    // Several stand under one another: each says whose it is to those who don't see that.
    let button = |ui: &mut Ui, text: &str, name: String| {
        let button = ui.button(text);
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        button
    };
    let mut choices = Vec::new();
    ui.horizontal(|ui| {
        let restore = button(ui, "Restore", format!("Restore {title}"));
        choices.push((restore, UnfinishedAction::Restore(None)));
        let discard = button(ui, "Discard", format!("Discard {title}"));
        choices.push((discard, UnfinishedAction::Discard));
    });
    for earlier in &found.earlier {
        ui.horizontal_wrapped(|ui| {
            let kept = kept(earlier.kept_secs);
            let name = format!("Restore {title} as {kept}, number {}", earlier.number);
            let restore = button(ui, "Restore this", name);
            choices.push((restore, UnfinishedAction::Restore(Some(earlier.number))));
            ui.label(RichText::new(format!("As found after an earlier crash, {kept}")).weak())
                .on_hover_text(universal_time(earlier.kept_secs));
        });
    }
    ui.add_space(SPACE);
    choices
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_in_its_parts() {
        let alert = Alert::from("“x” can't be read — it is empty. choose another file.");
        assert_eq!(alert.what, "“x” can't be read");
        assert_eq!(alert.why.as_deref(), Some("It is empty"));
        assert_eq!(alert.remedy.as_deref(), Some("Choose another file"));
        assert_eq!(
            Alert::from("it broke — /a/b.mid is gone").why.as_deref(),
            Some("/a/b.mid is gone")
        );
        assert_eq!(Alert::from("it broke").why, None);
    }
}
