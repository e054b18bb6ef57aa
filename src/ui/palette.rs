//! The command palette: every command by its name, found by typing a part of it.

use egui::{Button, Key, ScrollArea, TextEdit};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::state::State;
use super::theme::{ROW, SPACE};

#[derive(Default)]
pub struct Palette {
    /// What was typed, while it is open.
    query: Option<String>,
    chosen: usize,
}

impl Palette {
    pub fn open(&mut self) {
        self.query = Some(String::new());
        self.chosen = 0;
    }

    pub fn is_open(&self) -> bool {
        self.query.is_some()
    }

    pub fn ui(&mut self, ctx: &egui::Context, state: &State, actions: &mut Actions) {
        let Some(query) = &mut self.query else { return };
        let chosen = &mut self.chosen;
        let response = super::widgets::modal(ctx, "command palette").show(ctx, |ui| {
            ui.set_width(SPACE * 56.0);
            let edit = TextEdit::singleline(query)
                .hint_text("Find a command")
                .desired_width(f32::INFINITY);
            let edit = ui.add(edit);
            let is_entered = edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            edit.request_focus();
            if edit.changed() {
                *chosen = 0;
            }
            let found = found(query);
            ui.input(|input| {
                if input.key_pressed(Key::ArrowDown) {
                    *chosen += 1;
                }
                if input.key_pressed(Key::ArrowUp) {
                    *chosen = chosen.saturating_sub(1);
                }
            });
            *chosen = (*chosen).min(found.len().saturating_sub(1));
            ui.add_space(SPACE);
            if found.is_empty() {
                super::widgets::hint(ui, "Nothing found: no command has these words");
            }
            let mut run = None;
            ScrollArea::vertical().max_height(SPACE * 40.0).show(ui, |ui| {
                for (idx, &command) in found.iter().enumerate() {
                    let is_chosen = idx == *chosen;
                    let keys = command.shortcut().map(|it| ui.ctx().format_shortcut(&it));
                    let button = Button::selectable(is_chosen, command.label())
                        .right_text(egui::RichText::new(keys.unwrap_or_default()).weak())
                        .min_size(egui::Vec2::new(ui.available_width(), ROW));
                    let row = ui.add_enabled(command.enabled(state).is_ok(), button);
                    let row = row.on_hover_text(command.tooltip());
                    if row.clicked() || is_chosen && is_entered {
                        run = Some(command);
                    }
                }
            });
            run
        });
        if let Some(command) = response.inner {
            actions.push(AppAction::Run(command));
            self.query = None;
        } else if response.should_close() {
            self.query = None;
        }
    }
}

/// The commands whose name or explanation has every typed word in it; those named so first.
fn found(query: &str) -> Vec<Command> {
    let query = query.to_lowercase();
    let has_all = |text: &str| {
        let text = text.to_lowercase();
        query.split_whitespace().all(|word| text.contains(word))
    };
    let (mut named, mut explained) = (Vec::new(), Vec::new());
    for &command in Command::ALL {
        if has_all(command.label()) {
            named.push(command);
        } else if has_all(command.tooltip()) {
            explained.push(command);
        }
    }
    named.append(&mut explained);
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_parts_of_words() {
        assert_eq!(found("expo wav"), [Command::ExportWav]);
        assert_eq!(found("").len(), Command::ALL.len());
        assert_eq!(found("picture"), [Command::ExportCurvesPng]);
        assert!(found("zzz").is_empty());
    }

    #[test]
    fn it_says_when_nothing_is_found() {
        let mut window = crate::ui::app::tests::Window::open();
        window.act(AppAction::Run(Command::CommandPalette));
        window.harness.run_steps(3);
        assert!(!window.sees("Nothing found"));
        window.harness.event(egui::Event::Text("zzz".to_owned()));
        window.harness.run_steps(3);
        assert!(window.sees("Nothing found"));
    }
}
