//! The line of tools above the roll: what the pointer does, what notes snap to, whether they are
//! heard.

use egui::{Button, ComboBox, Frame, Margin, RichText, Ui, Vec2};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::piano_roll::{PianoRollEditor, Tool};
use super::state::State;
use super::theme::{HALF_SPACE, ROW, SPACE, Theme};
use super::widgets::command_widget;
use crate::editor::{Grid, GridStep};

pub fn ui(
    ui: &mut Ui,
    theme: &Theme,
    state: &State,
    roll: &mut PianoRollEditor,
    actions: &mut Actions,
) {
    let margin = Margin::symmetric(SPACE as i8, HALF_SPACE as i8);
    Frame::new().fill(theme.raised).inner_margin(margin).show(ui, |ui| {
        ui.horizontal(|ui| {
            for tool in Tool::ALL {
                let text = format!("{} {}", tool.icon(), tool.label());
                let is_on = roll.tool == tool;
                toggle(ui, state, tool.command(), &text, is_on, actions);
            }
            ui.separator();
            grid_choice(ui, &mut roll.grid);
            ui.separator();
            let hears = state.preferences.hears_notes;
            let icon = if hears { "🔊" } else { "🔇" };
            toggle(ui, state, Command::HearNotes, icon, hears, actions);
            // The line is as wide as the roll.
            ui.allocate_space(Vec2::new(ui.available_width().max(0.0), 0.0));
        });
    });
}

/// A button of a command that is on or off, and says so to a screen reader.
fn toggle(
    ui: &mut Ui,
    state: &State,
    command: Command,
    text: &str,
    is_on: bool,
    actions: &mut Actions,
) {
    let button = Button::selectable(is_on, text).min_size(Vec2::new(SPACE * 4.0, ROW));
    let response = command_widget(ui, state, command, button);
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::Button, true, is_on, command.label())
    });
    if response.clicked() {
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
    let list = list.show_ui(ui, |ui| {
        let fixed = GridStep::all().map(Grid::Fixed);
        for option in std::iter::once(Grid::Adaptive).chain(fixed) {
            ui.selectable_value(grid, option, name(option));
        }
    });
    let tooltip = "What notes snap to. Hold Alt while dragging to be free of it";
    list.response.labelled_by(label.id).on_hover_text(tooltip);
}
