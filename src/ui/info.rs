//! Help that needs no network: the keys, and what this program is.

use egui::{Context, Grid, RichText, ScrollArea, Ui};

use super::key_table;
use super::state::State;
use super::theme::{HALF_SPACE, SPACE};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Info {
    Shortcuts,
    About,
}

impl Info {
    /// Returns whether it shall close.
    pub fn ui(self, ctx: &Context, state: &State) -> bool {
        let response = super::widgets::modal(ctx, "info").show(ctx, |ui| {
            ui.set_width(SPACE * 80.0);
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
    ScrollArea::vertical().max_height(SPACE * 60.0).show(ui, |ui| {
        for section in key_table::key_table() {
            ui.label(RichText::new(section.title).strong());
            ui.add_space(HALF_SPACE);
            let grid = Grid::new(section.title).num_columns(2);
            grid.spacing([SPACE * 3.0, HALF_SPACE]).show(ui, |ui| {
                for (keys, what) in section.rows {
                    ui.label(RichText::new(keys).monospace());
                    ui.add(egui::Label::new(what).wrap());
                    ui.end_row();
                }
            });
            ui.add_space(SPACE * 2.0);
        }
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
    let sound = state.sound.output.words();
    if !sound.is_empty() {
        ui.label(sound);
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
