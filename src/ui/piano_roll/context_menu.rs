//! The menu of the other mouse button: what can be done where the pointer is.

use egui::{RichText, Ui};

use super::RollResponse;
use crate::ui::action::Actions;
use crate::ui::command::Command;
use crate::ui::menu;
use crate::ui::state::{Shown, State};

/// What the menu is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MenuPlace {
    /// An empty place, where the caret is now.
    #[default]
    Nothing,
    /// One note, which is selected now.
    Note,
    /// Several selected notes, one of which was pressed.
    Selection,
}

/// Groups of commands, with a line between them.
type Groups = &'static [&'static [Command]];

const NOTHING: Groups = &[
    &[Command::AddNote, Command::Paste],
    &[Command::SelectAll, Command::SelectFromPlayhead, Command::InvertSelection],
    &[Command::SelectTool, Command::DrawTool, Command::EraseTool, Command::SplitTool],
    &[Command::Undo, Command::Redo],
];

const NOTE: Groups = &[
    &[Command::Cut, Command::Copy, Command::Duplicate, Command::DeleteSelection],
    &[Command::SetVelocity, Command::SetLength, Command::Transpose],
    &[Command::QuickQuantize, Command::SplitAtPlayhead],
    &[Command::SelectSamePitch, Command::SelectFromPlayhead],
];

const SELECTION: Groups = &[
    &[Command::Cut, Command::Copy, Command::Duplicate, Command::DeleteSelection],
    &[Command::QuickQuantize, Command::Quantize, Command::Humanize],
    &[Command::Transpose, Command::Invert, Command::Reverse],
    &[Command::SetVelocity, Command::SetLength, Command::ScaleLength],
    &[Command::Legato, Command::Join, Command::SplitAtPlayhead, Command::RemoveOverlaps],
    &[Command::SelectSamePitch, Command::InvertSelection],
];

const TAKE: Groups = &[&[Command::BackToScore, Command::PlayPause]];

/// Shows the menu where the other button was pressed in the notes' area.
pub fn ui(roll: &RollResponse, state: &State, actions: &mut Actions) {
    let Some(canvas) = &roll.canvas else { return };
    let place = roll.menu_place.unwrap_or_default();
    canvas.context_menu(|ui| {
        let groups = match (state.shown, place) {
            (Shown::Take(_) | Shown::Live, _) => TAKE,
            (Shown::Score, MenuPlace::Nothing) => NOTHING,
            (Shown::Score, MenuPlace::Note) => NOTE,
            (Shown::Score, MenuPlace::Selection) => SELECTION,
        };
        title(ui, state, place);
        menu::groups(ui, state, groups, actions);
    });
}

fn title(ui: &mut Ui, state: &State, place: MenuPlace) {
    let n_selected = state.document.selection.len();
    if state.shown == Shown::Score && place == MenuPlace::Selection {
        ui.label(RichText::new(super::text::n_notes(n_selected)).small().weak());
    }
}
