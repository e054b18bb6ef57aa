//! Edits as values: what a gesture yields, previewed while dragging and committed on release.

use std::collections::BTreeSet;

use crate::music::{Note, Score};

/// Notes chosen by the user, by value: two notes that are alike in everything are one.
pub type Selection = BTreeSet<NoteKey>;

/// A note's identity in a selection: start, pitch, length, part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NoteKey {
    pub start: u32,
    pub pitch: u8,
    pub length: u32,
    pub part: u8,
}

/// One change of a score, with the name undo shows.
#[derive(Clone, PartialEq, Debug)]
pub enum ScoreEdit {
    Add {
        notes: Vec<Note>,
    },
    Delete {
        notes: Vec<Note>,
    },
    /// Each note becomes the other: moving, resizing, velocity.
    Replace {
        pairs: Vec<(Note, Note)>,
        label: &'static str,
    },
    /// Everything becomes something else: a take put into the score, a file opened.
    ReplaceScore {
        score: Box<Score>,
        label: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("the note isn't in the score any more")]
    Missing,
}

impl ScoreEdit {
    /// What undo says it undoes: "Add note", "Move 3 notes".
    pub fn label(&self) -> String {
        todo!()
    }

    /// The score after the edit. Pure.
    pub fn apply(&self, score: &Score) -> Result<Score, EditError> {
        let _ = score;
        todo!()
    }
}
