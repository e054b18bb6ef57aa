//! The score in work: its history, what is chosen in it, and the file it belongs to.

use std::path::PathBuf;
use std::sync::Arc;

use crate::editor::{EditError, History, ScoreEdit, Selection};
use crate::music::Score;

pub struct Document {
    pub history: History,
    pub selection: Selection,
    /// The project it was read from or last saved to. A MIDI file that was opened is not one.
    pub path: Option<PathBuf>,
    /// What is on disk.
    saved: Arc<Score>,
    is_unsaved: bool,
}

impl Document {
    pub fn new(score: Score, path: Option<PathBuf>) -> Self {
        let history = History::new(score);
        let saved = Arc::clone(history.score());
        Self { history, selection: Selection::new(), path, saved, is_unsaved: false }
    }

    /// Whether closing now would lose something.
    pub fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// What the title bar and the status line call it.
    pub fn name(&self) -> String {
        let file = self.path.as_ref().and_then(|path| path.file_name());
        match file {
            Some(name) => name.to_string_lossy().into_owned(),
            None if self.history.score().title.is_empty() => "Untitled".to_owned(),
            None => self.history.score().title.clone(),
        }
    }

    pub fn commit(&mut self, edit: &ScoreEdit) -> Result<(), EditError> {
        self.history.commit(edit)?;
        self.compare();
        Ok(())
    }

    pub fn undo(&mut self) -> Option<String> {
        let label = self.history.undo();
        self.selection = self.history.restored().clone();
        self.compare();
        label
    }

    pub fn redo(&mut self) -> Option<String> {
        let label = self.history.redo();
        self.selection = self.history.restored().clone();
        self.compare();
        label
    }

    /// `score` has reached the disk at `path`.
    pub fn mark_saved(&mut self, score: Arc<Score>, path: PathBuf) {
        self.saved = score;
        self.path = Some(path);
        self.compare();
    }

    /// Once an edit, not once a frame: a long score takes a while to compare.
    fn compare(&mut self) {
        let score = self.history.score();
        self.is_unsaved = !Arc::ptr_eq(score, &self.saved) && **score != *self.saved;
    }
}
