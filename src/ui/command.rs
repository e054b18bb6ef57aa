//! Everything that can be asked for by name: one list feeds the menus, the buttons, the keys and
//! the command palette.

use egui::{Event, Key, KeyboardShortcut, Modifiers};

use super::state::{Shown, State};
use super::words::uncapitalized;

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
    Cut,
    Copy,
    Paste,
    Duplicate,
    AddNote,
    SelectNone,
    InvertSelection,
    SelectSamePitch,
    SelectFromPlayhead,
    SelectTool,
    DrawTool,
    EraseTool,
    SplitTool,
    QuickQuantize,
    Quantize,
    Transpose,
    StepUp,
    StepDown,
    SnapToScale,
    Legato,
    Join,
    SplitAtPlayhead,
    SetLength,
    ScaleLength,
    SetVelocity,
    Reverse,
    Invert,
    RemoveOverlaps,
    Humanize,
    HearNotes,
    PlayPause,
    Stop,
    GoToEnd,
    Repeat,
    Loop,
    Metronome,
    CountIn,
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
    ShowParts,
    ShowHistory,
    FitAll,
    FitSelection,
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
        Self::Cut,
        Self::Copy,
        Self::Paste,
        Self::Duplicate,
        Self::AddNote,
        Self::SelectNone,
        Self::InvertSelection,
        Self::SelectSamePitch,
        Self::SelectFromPlayhead,
        Self::SelectTool,
        Self::DrawTool,
        Self::EraseTool,
        Self::SplitTool,
        Self::QuickQuantize,
        Self::Quantize,
        Self::Transpose,
        Self::StepUp,
        Self::StepDown,
        Self::SnapToScale,
        Self::Legato,
        Self::Join,
        Self::SplitAtPlayhead,
        Self::SetLength,
        Self::ScaleLength,
        Self::SetVelocity,
        Self::Reverse,
        Self::Invert,
        Self::RemoveOverlaps,
        Self::Humanize,
        Self::HearNotes,
        Self::PlayPause,
        Self::Stop,
        Self::GoToEnd,
        Self::Repeat,
        Self::Loop,
        Self::Metronome,
        Self::CountIn,
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
        Self::ShowParts,
        Self::ShowHistory,
        Self::FitAll,
        Self::FitSelection,
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
            Self::Cut => "Cut",
            Self::Copy => "Copy",
            Self::Paste => "Paste at the playhead",
            Self::Duplicate => "Duplicate",
            Self::AddNote => "Add a note at the caret",
            Self::SelectNone => "Select nothing",
            Self::InvertSelection => "Select the other notes",
            Self::SelectSamePitch => "Select the same pitches",
            Self::SelectFromPlayhead => "Select from the playhead on",
            Self::SelectTool => "Select tool",
            Self::DrawTool => "Draw tool",
            Self::EraseTool => "Erase tool",
            Self::SplitTool => "Split tool",
            Self::QuickQuantize => "Quantize to the grid",
            Self::Quantize => "Quantize…",
            Self::Transpose => "Transpose…",
            Self::StepUp => "Up within the scale",
            Self::StepDown => "Down within the scale",
            Self::SnapToScale => "Snap to the scale",
            Self::Legato => "Legato",
            Self::Join => "Join",
            Self::SplitAtPlayhead => "Split at the playhead",
            Self::SetLength => "Set length…",
            Self::ScaleLength => "Scale length…",
            Self::SetVelocity => "Set velocity…",
            Self::Reverse => "Reverse",
            Self::Invert => "Invert pitches",
            Self::RemoveOverlaps => "Remove overlaps",
            Self::Humanize => "Humanize…",
            Self::HearNotes => "Hear notes while editing",
            Self::PlayPause => "Play or pause",
            Self::Stop => "Stop and go to the start",
            Self::GoToEnd => "Go to the end",
            Self::Repeat => "Repeat",
            Self::Loop => "Loop",
            Self::Metronome => "Metronome",
            Self::CountIn => "Count-in",
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
            Self::ShowParts => "Parts",
            Self::ShowHistory => "History",
            Self::FitAll => "Fit the whole piece",
            Self::FitSelection => "Fit the selection",
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
            Self::Cut => "Take the chosen notes away, to be pasted elsewhere",
            Self::Copy => "Keep the chosen notes, to be pasted elsewhere",
            Self::Paste => "Put the notes that were copied or cut where the playhead is",
            Self::Duplicate => "Repeat the chosen notes right after themselves",
            Self::AddNote => {
                "Write a note where the caret is, like the last one, and go on after it"
            }
            Self::SelectNone => "Choose no note",
            Self::InvertSelection => {
                "Choose the notes that aren't chosen, and let go of those that are"
            }
            Self::SelectSamePitch => "Choose every note that has the pitch of a chosen one",
            Self::SelectFromPlayhead => "Choose every note that begins at the playhead or after it",
            Self::SelectTool => "Click chooses, drag moves, an empty place begins a rubber band",
            Self::DrawTool => "Press and drag writes a note, a click one as long as the last",
            Self::EraseTool => "Click a note or drag across several to remove them",
            Self::SplitTool => "Click cuts a note in two; with Shift all that are chosen",
            Self::QuickQuantize => "Bring the starts of the chosen notes to the grid that is shown",
            Self::Quantize => {
                "Bring starts or ends of the chosen notes to a grid, wholly or partly, with swing"
            }
            Self::Transpose => "Move the chosen notes up or down, by semitones or within the scale",
            Self::StepUp => "Move the chosen notes to the next degree of the scale",
            Self::StepDown => "Move the chosen notes to the degree of the scale before",
            Self::SnapToScale => "Move the chosen notes outside the scale to its nearest pitch",
            Self::Legato => "Let each chosen note last until the next one begins",
            Self::Join => "Make one note of the chosen ones of each pitch",
            Self::SplitAtPlayhead => "Cut the chosen notes in two where the playhead is",
            Self::SetLength => "Make the chosen notes equally long",
            Self::ScaleLength => "Make the chosen notes longer or shorter in proportion",
            Self::SetVelocity => "How hard the chosen notes are struck",
            Self::Reverse => "Turn the chosen notes round in time",
            Self::Invert => "Turn the chosen notes upside down between the lowest and the highest",
            Self::RemoveOverlaps => "End each chosen note where the next one of its pitch begins",
            Self::Humanize => "Make times and velocities a little irregular, as a hand does",
            Self::HearNotes => "Let notes sound when they are clicked, added or moved",
            Self::PlayPause => "Play from the playhead, or pause there",
            Self::Stop => "Stop, and go back to the start",
            Self::GoToEnd => "Bring the playhead to the end of the piece, and show it",
            Self::Loop => "Play one stretch again and again: Shift-drag along the ruler to set it",
            Self::Metronome => "Click on every beat",
            Self::CountIn => "A bar of clicks before the music",
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
            Self::ShowParts => "Show or hide the track list: names, mute, solo, colors",
            Self::ShowHistory => "Show or hide the list of all steps that can be undone",
            Self::FitAll => "Show the whole piece",
            Self::FitSelection => "Show the chosen notes as large as they go",
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
            Self::Cut => (CTRL, Key::X),
            Self::Copy => (CTRL, Key::C),
            Self::Paste => (CTRL, Key::V),
            Self::Duplicate => (CTRL, Key::D),
            Self::AddNote => (Modifiers::NONE, Key::Enter),
            Self::SelectNone => (CTRL_SHIFT, Key::A),
            Self::InvertSelection => (CTRL, Key::I),
            Self::SelectSamePitch => (CTRL_SHIFT, Key::P),
            Self::SelectFromPlayhead => (CTRL_SHIFT, Key::F),
            Self::SelectTool => (Modifiers::NONE, Key::Num1),
            Self::DrawTool => (Modifiers::NONE, Key::Num2),
            Self::EraseTool => (Modifiers::NONE, Key::Num3),
            Self::SplitTool => (Modifiers::NONE, Key::Num4),
            Self::QuickQuantize => (Modifiers::NONE, Key::Q),
            Self::Quantize => (Modifiers::SHIFT, Key::Q),
            Self::Transpose => (Modifiers::SHIFT, Key::T),
            Self::StepUp => (Modifiers::ALT, Key::ArrowUp),
            Self::StepDown => (Modifiers::ALT, Key::ArrowDown),
            Self::Legato => (Modifiers::SHIFT, Key::L),
            Self::Join => (Modifiers::SHIFT, Key::J),
            Self::SplitAtPlayhead => (Modifiers::SHIFT, Key::S),
            Self::SetLength => (Modifiers::SHIFT, Key::G),
            Self::ScaleLength => (Modifiers::SHIFT, Key::X),
            Self::SetVelocity => (Modifiers::SHIFT, Key::V),
            Self::Reverse => (Modifiers::SHIFT, Key::R),
            Self::Invert => (Modifiers::SHIFT, Key::I),
            Self::RemoveOverlaps => (Modifiers::SHIFT, Key::O),
            Self::Humanize => (Modifiers::SHIFT, Key::H),
            Self::PlayPause => (Modifiers::NONE, Key::Space),
            Self::Stop => (Modifiers::NONE, Key::Home),
            Self::GoToEnd => (Modifiers::NONE, Key::End),
            Self::Repeat => (CTRL, Key::L),
            Self::Loop => (Modifiers::NONE, Key::L),
            Self::Metronome => (Modifiers::NONE, Key::K),
            Self::CountIn => (Modifiers::SHIFT, Key::K),
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
            Self::ShowParts => (CTRL, Key::Num4),
            Self::ShowHistory => (CTRL, Key::Num5),
            Self::FitAll => (Modifiers::NONE, Key::F),
            Self::FitSelection => (Modifiers::SHIFT, Key::F),
            Self::CommandPalette => (CTRL, Key::P),
            Self::Shortcuts => (Modifiers::NONE, Key::F2),
            _ => return None,
        };
        Some(KeyboardShortcut::new(modifiers, key))
    }

    /// Other keys that mean the same.
    pub fn other_shortcuts(self) -> &'static [KeyboardShortcut] {
        const REDO: &[KeyboardShortcut] = &[KeyboardShortcut::new(CTRL, Key::Y)];
        const PALETTE: &[KeyboardShortcut] = &[KeyboardShortcut::new(Modifiers::NONE, Key::F1)];
        const DELETE: &[KeyboardShortcut] =
            &[KeyboardShortcut::new(Modifiers::NONE, Key::Backspace)];
        const HELP: &[KeyboardShortcut] =
            &[KeyboardShortcut::new(Modifiers::NONE, Key::Questionmark)];
        match self {
            Self::Redo => REDO,
            Self::CommandPalette => PALETTE,
            Self::DeleteSelection => DELETE,
            Self::Shortcuts => HELP,
            _ => &[],
        }
    }

    /// Whether it is about the chosen notes.
    fn needs_selection(self) -> bool {
        matches!(
            self,
            Self::DeleteSelection
                | Self::Cut
                | Self::Copy
                | Self::Duplicate
                | Self::SelectSamePitch
                | Self::QuickQuantize
                | Self::Quantize
                | Self::Transpose
                | Self::StepUp
                | Self::StepDown
                | Self::SnapToScale
                | Self::Legato
                | Self::Join
                | Self::SplitAtPlayhead
                | Self::SetLength
                | Self::ScaleLength
                | Self::SetVelocity
                | Self::Reverse
                | Self::Invert
                | Self::RemoveOverlaps
                | Self::Humanize
                | Self::FitSelection
        )
    }

    /// Whether its keys mean this only while the roll was touched last; the roll hears them
    /// itself. Enter presses buttons everywhere else.
    fn belongs_to_roll(self) -> bool {
        self == Self::AddNote
    }

    /// Whether it does nothing to the notes, to what is chosen, or to which notes are shown, so
    /// that it can be done while some are being dragged.
    pub fn leaves_the_notes(self) -> bool {
        matches!(
            self,
            Self::SaveProject
                | Self::HearNotes
                | Self::PlayPause
                | Self::Stop
                | Self::GoToEnd
                | Self::Repeat
                | Self::Loop
                | Self::Metronome
                | Self::CountIn
                | Self::StopTraining
                | Self::FitAll
                | Self::NextTheme
        )
    }

    /// Why it can't be done now, in words; `Ok` if it can.
    pub fn enabled(self, state: &State) -> Result<(), &'static str> {
        let training = state.training.is_busy();
        let ok = |can: bool, why: &'static str| if can { Ok(()) } else { Err(why) };
        let shown = state.shown_score();
        let sounds = !shown.notes().is_empty() || !shown.drums.is_empty();
        let score = state.document.history.score();
        match self {
            Self::Undo if state.takes.dropped.is_some() => ok(
                state.document.history.undo_label().is_some(),
                "Nothing to undo in the score; a dropped take is brought back at the bottom",
            ),
            Self::Undo => ok(state.document.history.undo_label().is_some(), "Nothing to undo"),
            Self::Redo => ok(state.document.history.redo_label().is_some(), "Nothing to redo"),
            Self::SelectAll => ok(!shown.notes().is_empty(), "There are no notes"),
            Self::ExportMidi => ok(sounds, "There are no notes"),
            Self::Revert => {
                ok(state.document.source.is_some(), "It is in no file yet")?;
                ok(state.document.is_unsaved(), "Nothing has changed since it was saved")
            }
            Self::SelectNone | Self::InvertSelection | Self::SelectFromPlayhead => {
                ok(!score.notes().is_empty(), "There are no notes")
            }
            _ if self.needs_selection() => {
                ok(!state.document.selection.is_empty(), "No notes are chosen")
            }
            Self::ExportWav => {
                ok(state.export.is_none(), "A sound file is being written already")?;
                ok(sounds, "There are no notes")
            }
            Self::Compose => ok(!state.composing.is_busy(), "Something is being composed already"),
            Self::StopComposing => ok(state.composing.is_busy(), "Nothing is being composed"),
            Self::NextTake | Self::PreviousTake | Self::PlayAllTakes => {
                ok(!state.takes.list.is_empty(), "There are no takes yet: press Compose")
            }
            Self::BackToScore => {
                ok(matches!(state.shown, Shown::Take(_)), "The score is shown already")
            }
            Self::ChooseFiles | Self::ChooseFolder | Self::UseBuiltInPieces => {
                ok(!training, "Training is using the library")
            }
            Self::Train => {
                ok(!training, "A run is being trained already")?;
                ok(state.starting.reading.is_none(), "What it goes on from is being read")?;
                ok(
                    state.starting.error.is_none(),
                    "What it would go on from can't be read: choose another below",
                )?;
                ok(
                    state.library.error.is_none(),
                    "There is nothing to learn from: choose other music above",
                )
            }
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
            Some(what) => format!("{} {}", self.label(), uncapitalized(what)),
            None => self.label().to_owned(),
        }
    }

    /// The commands whose keys were pressed, in order, taken from the input so that no widget sees
    /// them: in a slow frame there may be several, or one again and again. After one that asks
    /// something the keys are meant for the answer.
    pub fn pressed(ctx: &egui::Context) -> Vec<Self> {
        let writes = ctx.text_edit_focused();
        let shortcuts = Self::global_shortcuts();
        let mut found: Vec<Self> = Vec::new();
        let mut take = |event: &Event| {
            let Event::Key { key, modifiers, pressed: true, .. } = event else { return false };
            let is_meant = |(command, keys): &&(Self, KeyboardShortcut)| {
                keys.logical_key == *key
                    && modifiers.matches_logically(keys.modifiers)
                    && !(writes && command.belongs_to_text(keys))
            };
            let has_asked = found.last().is_some_and(|last| last.asks());
            let command = shortcuts.iter().find(is_meant).filter(|_| !has_asked);
            found.extend(command.map(|(command, _)| *command));
            command.is_some()
        };
        ctx.input_mut(|input| input.events.retain(|event| !take(event)));
        found
    }

    /// All keys that mean a command whatever was touched last, those with Shift or Alt first: egui
    /// lets Ctrl+Z match with Shift held, too.
    fn global_shortcuts() -> Vec<(Self, KeyboardShortcut)> {
        let keys = |&command: &Self| {
            let other = command.other_shortcuts().iter().copied();
            command.shortcut().into_iter().chain(other).map(move |keys| (command, keys))
        };
        let global = Self::ALL.iter().filter(|command| !command.belongs_to_roll());
        let mut shortcuts: Vec<_> = global.flat_map(keys).collect();
        shortcuts.sort_by_key(|(_, keys)| !(keys.modifiers.shift || keys.modifiers.alt));
        shortcuts
    }

    /// Whether its keys belong to a text field while one is being written into: those without Ctrl
    /// and those that edit text.
    fn belongs_to_text(self, keys: &KeyboardShortcut) -> bool {
        let edits = matches!(
            self,
            Self::Undo
                | Self::Redo
                | Self::SelectAll
                | Self::Cut
                | Self::Copy
                | Self::Paste
                | Self::SelectNone
        );
        !keys.modifiers.command || edits
    }

    /// Whether it opens something that has the keys from then on.
    fn asks(self) -> bool {
        let asks = matches!(
            self,
            Self::NewScore | Self::Revert | Self::Quit | Self::Shortcuts | Self::About
        );
        asks || self.label().ends_with('…')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_commands_share_keys_or_a_name() {
        let first = Command::ALL.iter().filter_map(|each| each.shortcut());
        let other = Command::ALL.iter().flat_map(|each| each.other_shortcuts().iter().copied());
        let shortcuts: Vec<_> = first.chain(other).collect();
        let distinct: HashSet<_> = shortcuts.iter().collect();
        assert_eq!(shortcuts.len(), distinct.len());
        let labels: HashSet<_> = Command::ALL.iter().map(|each| each.label()).collect();
        assert_eq!(labels.len(), Command::ALL.len());
        assert!(Command::ALL.iter().all(|each| !each.tooltip().ends_with('.')));
    }

    fn press(modifiers: Modifiers, key: Key) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }
    }

    /// The commands of one frame, and how many events are left to others.
    fn pressed(events: Vec<Event>) -> (Vec<Command>, usize) {
        let ctx = egui::Context::default();
        let mut found = (Vec::new(), 0);
        let input = egui::RawInput { events, ..Default::default() };
        let mut output = ctx.run_ui(input, |ui| {
            let commands = Command::pressed(ui.ctx());
            found = (commands, ui.input(|input| input.events.len()));
        });
        output.textures_delta.clear();
        found
    }

    #[test]
    fn keys_of_a_slow_frame_all_count_in_their_order() {
        let (undo, redo) = (press(CTRL, Key::Z), press(CTRL_SHIFT, Key::Z));
        let events = vec![undo.clone(), undo.clone(), redo, press(CTRL, Key::F9)];
        assert_eq!(pressed(events), (vec![Command::Undo, Command::Undo, Command::Redo], 1));
        // What is asked before a new score has the keys after that.
        let events = vec![undo, press(CTRL, Key::N), press(Modifiers::NONE, Key::Delete)];
        assert_eq!(pressed(events), (vec![Command::Undo, Command::NewScore], 1));
    }
}
