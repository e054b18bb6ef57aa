//! How a piece is changed: edits as values, selection, grid, history, project file. No egui here.

mod edit;
mod grid;
mod history;
mod project;
mod readable;

pub use crate::files::backup_path;
pub use edit::{EditError, NoteKey, ScoreEdit, Selection, selected_notes};
pub use grid::{Bar, Bars, Grid, GridStep};
pub use history::History;
pub use project::{Project, ProjectError};
