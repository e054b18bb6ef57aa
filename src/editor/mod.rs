//! How a piece is changed: edits as values, selection, grid, history, project file. No egui here.
//!
//! ```text
//! selection    which notes are chosen         edit/        one change of a score, as a value
//! operations/  what can be done to them       history/     undo and redo
//! clipboard    notes as text                  grid         bars, beats and what notes snap to
//! project      the .etude file                extent       from where to where notes reach
//! damage       what is wrong with a file
//! ```
//!
//! An [operation](operations) makes a [`Change`] from a score and a selection; its [`ScoreEdit`]
//! is committed to the [`History`]. Nothing here knows a clock: random numbers come from a seed.

mod clipboard;
mod damage;
mod edit;
mod extent;
mod grid;
mod history;
pub mod operations;
mod project;
mod readable;
mod selection;

pub use crate::files::backup_path;
pub use clipboard::{Clipboard, ClipboardError};
pub use edit::{EditError, MeterEdit, PartEdit, PedalEdit, ScoreEdit, TempoEdit};
pub use extent::Extent;
pub use grid::{Bar, Bars, Division, Grid, GridStep, NoteValue};
pub use history::History;
pub use operations::Change;
pub use project::{Project, ProjectError};
pub use selection::{NoteKey, Selection, selected_notes};
