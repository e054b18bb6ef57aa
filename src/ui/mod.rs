//! What is seen. The only room that knows egui and rfd.

pub mod piano_roll;
pub mod theme;

use std::path::PathBuf;

/// Opens the window and returns when it is closed.
///
/// # Errors
/// One line for the user when no window can be opened (no display, no OpenGL).
pub fn run(file: Option<PathBuf>) -> Result<(), String> {
    let _ = file;
    todo!()
}
