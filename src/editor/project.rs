//! The project file, `.etude`: everything about a piece in work, as readable JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::music::Score;

/// What a `.etude` file holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Project {
    pub format_version: u32,
    pub score: Score,
    // (The editor's owner adds takes with their provenance.)
}

#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("the editor's owner replaces this")]
    Placeholder,
}

impl Project {
    pub fn new(score: Score) -> Self {
        let _ = score;
        todo!()
    }

    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let _ = path;
        todo!()
    }

    pub fn write(&self, path: &Path) -> Result<(), ProjectError> {
        let _ = path;
        todo!()
    }
}
