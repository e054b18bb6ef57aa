//! How a piece is changed: edits as values, selection, grid, history, project file. No egui here.

mod edit;
mod history;
mod project;

pub use edit::{EditError, NoteKey, ScoreEdit, Selection};
pub use history::History;
pub use project::{Project, ProjectError};
