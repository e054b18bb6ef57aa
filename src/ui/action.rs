//! What the user asked for while a frame was drawn; applied once, when it is done.

use std::path::PathBuf;

use super::command::Command;
use super::dialogs::Purpose;
use super::edit_dialogs::EditDialog;
use super::piano_roll::{KeyTouch, RollOptions};
use super::state::{ModelChoice, Question, StartChoice, TakeId};
use super::theme::ThemeName;
use crate::editor::{Change, ScoreEdit, Selection};
use crate::music::{KeyScale, Pitch, Tick, Velocity};

/// The actions of one frame, in order.
pub type Actions = Vec<AppAction>;

/// Everything that changes more than a field of a form.
#[derive(Clone, Debug)]
pub enum AppAction {
    Run(Command),
    /// Without a path the dialog was cancelled.
    PathsChosen(Purpose, Vec<PathBuf>),
    /// Files and folders were dropped on the window.
    Dropped(Vec<PathBuf>),
    Document(DocumentAction),
    /// Enter or Apply in this dialog: its form says how much.
    ApplyEdit(EditDialog),
    Sound(SoundAction),
    Take(TakeId, TakeAction),
    UndoDrop,
    ChooseModel(ModelChoice),
    DrawSeed,
    /// What the next run goes on from.
    ChooseStart(StartChoice),
    Ask(Purpose),
    Theme(ThemeName),
    /// How large everything is; 1 is the usual size.
    UiScale(f32),
    /// What of the roll is shown, and how.
    Roll(RollOptions),
    /// `None` estimates it.
    SetKey(Option<KeyScale>),
    DismissNotice(usize),
    Resume(PathBuf),
    Answer(Question, Choice),
    /// What becomes of the work of this name that another window left behind.
    Unfinished(String, UnfinishedAction),
    /// Asks about all that other windows left behind.
    AskAboutUnfinished,
    ForgetRecent,
    /// Whether Etude's own file dialog is used even where the system has one.
    OwnFileDialog(bool),
    /// Asks before NVIDIA's libraries are fetched.
    AskForNvidia,
    StopFetching,
}

#[derive(Clone, Debug)]
pub enum DocumentAction {
    Open(PathBuf),
    /// The built-in piece with this place in the list.
    OpenBuiltIn(usize),
    Edit(ScoreEdit),
    /// An edit with what is selected once it is done.
    Change(Change),
    Select(Selection),
    /// What the system's clipboard holds is to be put where the playhead is.
    Paste(String),
    /// What was copied here last is to be put there.
    PasteCopied,
    /// Undoes or redoes until so many steps are done.
    JumpTo(usize),
}

#[derive(Clone, Debug)]
pub enum SoundAction {
    /// Seconds of what is shown.
    Seek(f64),
    /// The playhead is dragged to here.
    Scrub(f64),
    EndScrub,
    /// What is played again and again from now on.
    Loop(Option<(Tick, Tick)>),
    /// The keyboard beside the roll is touched.
    Key(KeyTouch),
    Speed(f64),
    Volume(f32),
    /// Notes that were touched are to be heard for a moment, together.
    Audition(Vec<(Pitch, Velocity)>),
}

/// Where "Use" puts a take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsePlace {
    Everything,
    End,
    Playhead,
}

#[derive(Clone, Debug)]
pub enum TakeAction {
    /// Shows it in the roll.
    Choose,
    /// Shows it and plays it from its start.
    Play,
    Rate(u8),
    Note(String),
    StartRenaming,
    Rename(String),
    Use(UsePlace),
    /// Composes as it was composed, with other random numbers.
    Again,
    ExportMidi,
    ExportWav,
    Drop,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnfinishedAction {
    /// As it was found after the earlier crash of this number; `None` is the newest.
    Restore(Option<u32>),
    Discard,
}

/// An answer to a [`Question`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    SaveFirst,
    GoOn,
    Cancel,
}
