//! What is seen. The only room that knows egui and rfd.
//!
//! - `app`: the program behind the window; drains events, applies actions
//! - `state`: what is shown, as plain data
//! - `action`, `command`: what can be asked for
//! - `menu`, `transport`, `library_panel`, `training_panel`, `settings_form`, `compose_panel`,
//!   `take_list`, `parts_panel`, `history_panel`, `curves`, `piano_roll`, `roll_header`,
//!   `roll_toolbar`, `roll_view`, `status_bar`: what is drawn, each in one place of the window
//! - `dialogs`, `edit_dialogs`, `questions`, `palette`, `info`: what lies over it for a moment
//! - `key_table`: every key and gesture, for the window and the README
//! - `file_picker`: choosing a path where the system has no dialog for it
//! - `tasks`: short work on other threads
//! - `sessions`: unsaved work on the disk
//! - `theme`, `widgets`, `words`: how everything looks and is said
//! - `native`: opening the window of the system
//!
//! Panels draw from the state and push actions; only the fields of a form change while they are
//! drawn.

mod action;
mod app;
mod command;
mod compose_panel;
mod curves;
mod dialogs;
mod edit_dialogs;
mod file_picker;
mod history_panel;
mod info;
mod key_table;
mod library_panel;
mod menu;
mod native;
mod number_field;
mod palette;
mod parts_panel;
pub mod piano_roll;
mod questions;
mod roll_header;
mod roll_toolbar;
mod roll_view;
mod sessions;
mod settings_form;
mod start_form;
mod state;
mod status_bar;
mod take_list;
mod tasks;
pub mod theme;
mod training_panel;
mod transport;
mod widgets;
mod words;

pub use app::{App, Setup};
pub use command::Command;
pub use curves::{CurveView, Measure};
pub use dialogs::DialogKind;
pub use key_table::key_table_markdown;
pub use state::{
    ComposeForm, Library, ModelChoice, Newest, Preferences, PrimeKind, Provenance, Shown,
    StartChoice, State, StrategyKind, TakeEntry, Training,
};

use std::path::PathBuf;

/// Opens the window and returns when it is closed.
///
/// # Errors
/// One line for the user when no window can be opened (no display, no OpenGL).
pub fn run(file: Option<PathBuf>) -> Result<(), String> {
    native::run(file)
}
