//! Everything that can be asked for by name: one list feeds the menus, the buttons, the keys and
//! the command palette.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::state::{Shown, State};

/// A command without arguments. What needs one (a file, a take) is an action instead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    NewScore,
    OpenFile,
    SaveProject,
    SaveProjectAs,
    Revert,
    ExportMidi,
    ExportWav,
    Quit,
    Undo,
    Redo,
    SelectAll,
    DeleteSelection,
    PlayPause,
    Stop,
    Repeat,
    Compose,
    StopComposing,
    NextTake,
    PreviousTake,
    PlayAllTakes,
    BackToScore,
    ChooseFiles,
    ChooseFolder,
    UseBuiltInPieces,
    Train,
    StopTraining,
    ResumeTraining,
    ExportCurvesCsv,
    ExportCurvesPng,
    ShowLibrary,
    ShowCompose,
    ShowCurves,
    NextTheme,
    ChooseSoundFont,
    UseBuiltInPiano,
    CommandPalette,
    OpenLog,
    Shortcuts,
    About,
}

const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

impl Command {
    pub const ALL: &'static [Self] = &[
        Self::NewScore,
        Self::OpenFile,
        Self::SaveProject,
        Self::SaveProjectAs,
        Self::Revert,
        Self::ExportMidi,
        Self::ExportWav,
        Self::Quit,
        Self::Undo,
        Self::Redo,
        Self::SelectAll,
        Self::DeleteSelection,
        Self::PlayPause,
        Self::Stop,
        Self::Repeat,
        Self::Compose,
        Self::StopComposing,
        Self::NextTake,
        Self::PreviousTake,
        Self::PlayAllTakes,
        Self::BackToScore,
        Self::ChooseFiles,
        Self::ChooseFolder,
        Self::UseBuiltInPieces,
        Self::Train,
        Self::StopTraining,
        Self::ResumeTraining,
        Self::ExportCurvesCsv,
        Self::ExportCurvesPng,
        Self::ShowLibrary,
        Self::ShowCompose,
        Self::ShowCurves,
        Self::NextTheme,
        Self::ChooseSoundFont,
        Self::UseBuiltInPiano,
        Self::CommandPalette,
        Self::OpenLog,
        Self::Shortcuts,
        Self::About,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::NewScore => "New",
            Self::Revert => "Revert to the file",
            Self::OpenFile => "Open…",
            Self::SaveProject => "Save",
            Self::SaveProjectAs => "Save as…",
            Self::ExportMidi => "Export MIDI…",
            Self::ExportWav => "Export WAV…",
            Self::Quit => "Quit",
            Self::Undo => "Undo",
            Self::Redo => "Redo",
            Self::SelectAll => "Select all notes",
            Self::DeleteSelection => "Delete notes",
            Self::PlayPause => "Play or pause",
            Self::Stop => "Stop and go to the start",
            Self::Repeat => "Repeat",
            Self::Compose => "Compose",
            Self::StopComposing => "Stop composing",
            Self::NextTake => "Next take",
            Self::PreviousTake => "Previous take",
            Self::PlayAllTakes => "Play the takes one after the other",
            Self::BackToScore => "Back to the score",
            Self::ChooseFiles => "Learn from files…",
            Self::ChooseFolder => "Learn from a folder…",
            Self::UseBuiltInPieces => "Learn from the built-in pieces",
            Self::Train => "Train",
            Self::StopTraining => "Stop training",
            Self::ResumeTraining => "Resume the last run",
            Self::ExportCurvesCsv => "Export curves as CSV…",
            Self::ExportCurvesPng => "Export curves as PNG…",
            Self::ShowLibrary => "Library and training",
            Self::ShowCompose => "Compose panel",
            Self::ShowCurves => "Curves",
            Self::NextTheme => "Next theme",
            Self::ChooseSoundFont => "Choose a SoundFont…",
            Self::UseBuiltInPiano => "Use the built-in piano",
            Self::CommandPalette => "All commands…",
            Self::OpenLog => "Open the log file",
            Self::Shortcuts => "Keyboard shortcuts",
            Self::About => "About Etude",
        }
    }

    pub fn tooltip(self) -> &'static str {
        match self {
            Self::NewScore => "Begin with an empty score",
            Self::Revert => "Give up all changes since the file was opened or saved",
            Self::OpenFile => "Open a MIDI file or an Etude project",
            Self::SaveProject => "Save the score as an Etude project",
            Self::SaveProjectAs => "Save the score as another Etude project",
            Self::ExportMidi => "Write what is in the roll as a MIDI file",
            Self::ExportWav => "Write what is in the roll as sound",
            Self::Quit => "Close the window",
            Self::Undo => "Take the last change back",
            Self::Redo => "Make the change that was taken back again",
            Self::SelectAll => "Choose every note of the score",
            Self::DeleteSelection => "Remove the notes that are chosen",
            Self::PlayPause => "Play from the playhead, or pause there",
            Self::Stop => "Stop, and go back to the start",
            Self::Repeat => "Start again whenever the end is reached",
            Self::Compose => "Write new music with the settings at the right, and hear it at once",
            Self::StopComposing => "Stop, and keep what was composed",
            Self::NextTake => "Show and hear the next take of the list",
            Self::PreviousTake => "Show and hear the take before",
            Self::PlayAllTakes => "Hear every take from the one that is shown on",
            Self::BackToScore => "Show the score again instead of a take",
            Self::ChooseFiles => "Choose MIDI files to learn from",
            Self::ChooseFolder => "Choose a folder to learn from, with everything inside it",
            Self::UseBuiltInPieces => "Learn from the short classical pieces that come with Etude",
            Self::Train => "Learn from the library with the settings at the left",
            Self::StopTraining => "Stop within a step, and keep what was learned",
            Self::ResumeTraining => "Go on with the last run where it stopped",
            Self::ExportCurvesCsv => "Write the numbers behind the curves as a table",
            Self::ExportCurvesPng => "Write the curves as a picture",
            Self::ShowLibrary => "Show or hide the panel at the left",
            Self::ShowCompose => "Show or hide the panel at the right",
            Self::ShowCurves => "Show or hide the panel at the bottom",
            Self::NextTheme => "Dark, light, high contrast",
            Self::ChooseSoundFont => "Play with the instrument of an SF2 or SF3 file",
            Self::UseBuiltInPiano => "Play with the piano that comes with Etude",
            Self::CommandPalette => "Find a command by its name",
            Self::OpenLog => "What the program noted, for reporting a problem",
            Self::Shortcuts => "Every key and what it does",
            Self::About => "Version, license and credits",
        }
    }

    pub fn shortcut(self) -> Option<KeyboardShortcut> {
        let (modifiers, key) = match self {
            Self::NewScore => (CTRL, Key::N),
            Self::Revert => (CTRL_SHIFT, Key::R),
            Self::OpenFile => (CTRL, Key::O),
            Self::SaveProject => (CTRL, Key::S),
            Self::SaveProjectAs => (CTRL_SHIFT, Key::S),
            Self::ExportMidi => (CTRL, Key::E),
            Self::ExportWav => (CTRL_SHIFT, Key::E),
            Self::Quit => (CTRL, Key::Q),
            Self::Undo => (CTRL, Key::Z),
            Self::Redo => (CTRL_SHIFT, Key::Z),
            Self::SelectAll => (CTRL, Key::A),
            Self::DeleteSelection => (Modifiers::NONE, Key::Delete),
            Self::PlayPause => (Modifiers::NONE, Key::Space),
            Self::Stop => (Modifiers::NONE, Key::Home),
            Self::Repeat => (CTRL, Key::L),
            Self::Compose => (CTRL, Key::Enter),
            Self::StopComposing => (CTRL, Key::Period),
            Self::NextTake => (CTRL, Key::ArrowDown),
            Self::PreviousTake => (CTRL, Key::ArrowUp),
            Self::BackToScore => (CTRL, Key::B),
            Self::ChooseFolder => (CTRL_SHIFT, Key::O),
            Self::Train => (CTRL, Key::T),
            Self::StopTraining => (CTRL_SHIFT, Key::T),
            Self::ShowLibrary => (CTRL, Key::Num1),
            Self::ShowCompose => (CTRL, Key::Num2),
            Self::ShowCurves => (CTRL, Key::Num3),
            Self::CommandPalette => (CTRL, Key::P),
            Self::Shortcuts => (Modifiers::NONE, Key::F2),
            _ => return None,
        };
        Some(KeyboardShortcut::new(modifiers, key))
    }

    /// Why it can't be done now, in words; `Ok` if it can.
    pub fn enabled(self, state: &State) -> Result<(), &'static str> {
        let training = state.training.job.is_some() || state.training.is_waiting_for_library;
        let ok = |can: bool, why: &'static str| if can { Ok(()) } else { Err(why) };
        let has_notes = !state.shown_score().notes().is_empty();
        match self {
            Self::Undo => ok(state.document.history.undo_label().is_some(), "Nothing to undo"),
            Self::Redo => ok(state.document.history.redo_label().is_some(), "Nothing to redo"),
            Self::SelectAll | Self::ExportMidi => ok(has_notes, "There are no notes"),
            Self::Revert => {
                ok(state.document.source.is_some(), "It is in no file yet")?;
                ok(state.document.is_unsaved(), "Nothing has changed since it was saved")
            }
            Self::DeleteSelection => {
                ok(!state.document.selection.is_empty(), "No notes are chosen")
            }
            Self::ExportWav => {
                ok(state.export.is_none(), "A sound file is being written already")?;
                ok(has_notes, "There are no notes")
            }
            Self::Compose => ok(!is_composing(state), "Something is being composed already"),
            Self::StopComposing => ok(is_composing(state), "Nothing is being composed"),
            Self::NextTake | Self::PreviousTake | Self::PlayAllTakes => {
                ok(!state.takes.list.is_empty(), "There are no takes yet: press Compose")
            }
            Self::BackToScore => {
                ok(matches!(state.shown, Shown::Take(_)), "The score is shown already")
            }
            Self::ChooseFiles | Self::ChooseFolder | Self::UseBuiltInPieces => {
                ok(!training, "Training is using the library")
            }
            Self::Train => ok(!training, "A run is being trained already"),
            Self::StopTraining => ok(training, "Nothing is being trained"),
            Self::ResumeTraining => {
                ok(!training, "A run is being trained already")?;
                ok(
                    state.training.run_dir.is_some() || !state.runs.is_empty(),
                    "There is no run yet",
                )
            }
            Self::ExportCurvesCsv => {
                let has_curves = !state.training.epochs.is_empty() || !state.runs.is_empty();
                ok(has_curves, "There are no curves yet")
            }
            Self::ExportCurvesPng => ok(state.preferences.shows_curves, "The curves are hidden"),
            _ => Ok(()),
        }
    }

    /// The label with what it would do now, where that differs.
    pub fn label_now(self, state: &State) -> String {
        let named = match self {
            Self::Undo => state.document.history.undo_label(),
            Self::Redo => state.document.history.redo_label(),
            Self::PlayPause => return if state.sound.is_playing { "Pause" } else { "Play" }.into(),
            _ => None,
        };
        match named {
            Some(what) => format!("{} {}", self.label(), lower_first(what)),
            None => self.label().to_owned(),
        }
    }

    /// The command whose keys are pressed, taken from the input so that no widget sees them.
    /// Keys without Ctrl belong to a text field while one is being written into.
    pub fn pressed(ctx: &egui::Context) -> Option<Self> {
        let writes = ctx.text_edit_focused();
        let mut commands: Vec<(Self, KeyboardShortcut)> = Self::ALL
            .iter()
            .filter_map(|&command| Some((command, command.shortcut()?)))
            .chain([
                (Self::Redo, KeyboardShortcut::new(CTRL, Key::Y)),
                (Self::CommandPalette, KeyboardShortcut::new(Modifiers::NONE, Key::F1)),
                (Self::DeleteSelection, KeyboardShortcut::new(Modifiers::NONE, Key::Backspace)),
            ])
            .collect();
        // Ctrl+Shift+Z before Ctrl+Z: egui lets a shortcut match with more modifiers held.
        commands.sort_by_key(|(_, shortcut)| !shortcut.modifiers.shift);
        let belongs_to_text = |command: Self, shortcut: &KeyboardShortcut| {
            let edits = matches!(command, Self::Undo | Self::Redo | Self::SelectAll);
            writes && (shortcut.modifiers.is_none() || edits)
        };
        let mut found = None;
        for (command, shortcut) in commands {
            if found.is_none() && !belongs_to_text(command, &shortcut) {
                found = ctx.input_mut(|input| input.consume_shortcut(&shortcut)).then_some(command);
            }
        }
        found
    }
}

fn is_composing(state: &State) -> bool {
    state.composing.live.is_some() || state.composing.is_waiting_for_model
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_commands_share_keys_or_a_name() {
        let shortcuts: Vec<_> = Command::ALL.iter().filter_map(|each| each.shortcut()).collect();
        let distinct: HashSet<_> = shortcuts.iter().collect();
        assert_eq!(shortcuts.len(), distinct.len());
        let labels: HashSet<_> = Command::ALL.iter().map(|each| each.label()).collect();
        assert_eq!(labels.len(), Command::ALL.len());
        assert!(Command::ALL.iter().all(|each| !each.tooltip().ends_with('.')));
    }
}
