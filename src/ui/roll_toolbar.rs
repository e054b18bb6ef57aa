//! The line of tools above the roll: what the pointer does, what notes snap to, whether they are
//! heard.

use egui::{ComboBox, Frame, Margin, RichText, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::piano_roll::{PianoRollEditor, Tool};
use super::state::State;
use super::theme::{HALF_SPACE, SPACE, Theme};
use super::widgets::command_toggle;
use crate::editor::{Grid, GridStep};

/// Below this width, in points, the tools are icons only; their tooltips name them.
const NARROW: f32 = SPACE * 52.0;

pub fn ui(
    ui: &mut Ui,
    theme: &Theme,
    state: &State,
    roll: &mut PianoRollEditor,
    actions: &mut Actions,
) {
    let margin = Margin::symmetric(SPACE as i8, HALF_SPACE as i8);
    Frame::new().fill(theme.raised).inner_margin(margin).show(ui, |ui| {
        // The line is as wide as the roll.
        ui.set_min_width(ui.available_width());
        ui.horizontal_wrapped(|ui| {
            let is_narrow = ui.available_width() < NARROW;
            for tool in Tool::ALL {
                let text = match is_narrow {
                    true => tool.icon().to_owned(),
                    false => format!("{} {}", tool.icon(), tool.label()),
                };
                let is_on = roll.tool == tool;
                toggle(ui, state, tool.command(), &text, is_on, actions);
            }
            ui.separator();
            grid_choice(ui, &mut roll.grid);
            ui.separator();
            let hears = state.preferences.hears_notes;
            let icon = if hears { "🔊" } else { "🔇" };
            toggle(ui, state, Command::HearNotes, icon, hears, actions);
        });
    });
}

/// The button of a tool, or of another command that is on or off.
fn toggle(
    ui: &mut Ui,
    state: &State,
    command: Command,
    text: &str,
    is_on: bool,
    actions: &mut Actions,
) {
    if command_toggle(ui, state, command, text, is_on, SPACE * 4.0) {
        actions.push(AppAction::Run(command));
    }
}

/// What notes snap to.
fn grid_choice(ui: &mut Ui, grid: &mut Grid) {
    let name = |grid: Grid| match grid {
        Grid::Adaptive => "By zoom".to_owned(),
        Grid::Fixed(step) => step.label(),
    };
    let label = ui.label(RichText::new("Grid").weak());
    let list = ComboBox::from_id_salt("grid").width(SPACE * 12.0).selected_text(name(*grid));
    // All steps at once, where there is room.
    let list = list.height(SPACE * 90.0);
    let list = list.show_ui(ui, |ui| {
        let fixed = GridStep::all().map(Grid::Fixed);
        for option in std::iter::once(Grid::Adaptive).chain(fixed) {
            ui.selectable_value(grid, option, name(option));
        }
    });
    let tooltip = "What notes snap to. Hold Alt while dragging to be free of it";
    list.response.labelled_by(label.id).on_hover_text(tooltip);
}
