//! Help that needs no network: the keys, and what this program is.

use egui::{Context, Grid, RichText, ScrollArea, Ui};

use super::command::Command;
use super::state::State;
use super::theme::SPACE;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Info {
    Shortcuts,
    About,
}

impl Info {
    /// Returns whether it shall close.
    pub fn ui(self, ctx: &Context, state: &State) -> bool {
        let response = super::widgets::modal(ctx, "info").show(ctx, |ui| {
            ui.set_width(SPACE * 56.0);
            match self {
                Self::Shortcuts => shortcuts_ui(ui),
                Self::About => about_ui(ui, state),
            }
            ui.add_space(SPACE);
            ui.button("Close").clicked()
        });
        response.inner || response.should_close()
    }
}

fn shortcuts_ui(ui: &mut Ui) {
    ui.label(RichText::new("Keyboard shortcuts").strong());
    ui.add_space(SPACE);
    ScrollArea::vertical().max_height(SPACE * 50.0).show(ui, |ui| {
        Grid::new("shortcuts").num_columns(2).spacing([SPACE * 3.0, SPACE / 2.0]).show(ui, |ui| {
            for &command in Command::ALL {
                if let Some(shortcut) = command.shortcut() {
                    ui.label(RichText::new(ui.ctx().format_shortcut(&shortcut)).monospace());
                    ui.label(command.label()).on_hover_text(command.tooltip());
                    ui.end_row();
                }
            }
            for (keys, what) in [
                ("Tab", "To the next control; Enter presses it"),
                ("Ctrl+plus, Ctrl+minus", "Everything larger or smaller"),
            ] {
                ui.label(RichText::new(keys).monospace());
                ui.label(what);
                ui.end_row();
            }
        });
    });
}

fn about_ui(ui: &mut Ui, state: &State) {
    ui.label(RichText::new(format!("Etude {}", env!("CARGO_PKG_VERSION"))).strong());
    ui.add_space(SPACE);
    ui.label(env!("CARGO_PKG_DESCRIPTION"));
    ui.add_space(SPACE);
    ui.label(format!("License: {}", env!("CARGO_PKG_LICENSE")));
    ui.label("Piano: Salamander Grand by Alexander Holm, CC BY 3.0");
    ui.label(
        "Starter model: trained on the piano pieces of piano-midi.de by Bernd Krueger, \
         CC BY-SA 3.0 DE",
    );
    credits_ui(ui);
    ui.label(state.device_line());
    if !state.sound.device.is_empty() {
        ui.label(&state.sound.device);
    }
}

/// The built-in pieces and who typeset them.
fn credits_ui(ui: &mut Ui) {
    let name = format!("Built-in pieces: {}", crate::assets::PIECES.len());
    egui::CollapsingHeader::new(name).show(ui, |ui| {
        ScrollArea::vertical().max_height(SPACE * 30.0).show(ui, |ui| {
            for (composer, title, typesetter) in crate::assets::piece_credits() {
                super::widgets::hint(ui, format!("{composer}: {title}; typeset by {typesetter}"));
            }
        });
    });
}
