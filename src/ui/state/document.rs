//! The score in work: its history, what is chosen in it, and the file it belongs to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::editor::{Change, EditError, History, ScoreEdit, Selection};
use crate::music::{Key, KeyScale, Score, Tick, Track};
use crate::tokens::{FrameRate, Playback, score_from_roll};
use crate::ui::piano_roll::RollLook;

/// What a project keeps besides score and takes, in its `view`.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct ProjectView {
    /// See [`Document::composed_rate`].
    pub composed_rate: Option<FrameRate>,
    /// Where the project was saved: for one that is recovered.
    pub path: Option<PathBuf>,
    /// See [`Document::key`].
    pub key: Option<KeyScale>,
    /// See [`Document::loop_range`].
    pub loop_range: Option<(Tick, Tick)>,
    /// How the roll was looked at.
    pub look: Option<RollLook>,
}

impl ProjectView {
    /// What of it can be read: another version may know other values of some field.
    pub fn read(view: &Value) -> Self {
        fn field<T: DeserializeOwned>(view: &Value, name: &str) -> Option<T> {
            T::deserialize(view.get(name)?).ok()
        }
        Self {
            composed_rate: field(view, "composed_rate"),
            path: field(view, "path"),
            // A key by itself is a scale too.
            key: field(view, "key").or_else(|| field::<Key>(view, "key").map(KeyScale::from)),
            loop_range: field(view, "loop_range"),
            look: field(view, "look"),
        }
    }
}

/// What of a document is saved, and asked about before it is lost. How it is looked at goes along
/// and is no reason to ask.
#[derive(Clone, Debug)]
pub struct Piece {
    pub score: Arc<Score>,
    pub key: Option<KeyScale>,
}

impl Piece {
    /// Whether it is this very state of the score, with the same key.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.score, &other.score) && self.key == other.key
    }
}

pub struct Document {
    pub history: History,
    pub selection: Selection,
    /// The project it was read from or last saved to. A MIDI file that was opened is not one.
    pub path: Option<PathBuf>,
    /// The file that it was read from or last saved to: a project or a MIDI file.
    pub source: Option<PathBuf>,
    key: Option<KeyScale>,
    /// The part that is played again and again, if there is one.
    pub loop_range: Option<(Tick, Tick)>,
    /// Names of tracks that are being written and not yet given.
    pub written_names: HashMap<Track, String>,
    /// What is on disk; `None` for work that was recovered.
    saved: Option<Piece>,
    is_unsaved: bool,
    /// The states of the history in which every frame of a composition is a sixteenth, with the
    /// rate of its frames. States that aren't here came from elsewhere.
    composed: HashMap<u64, FrameRate>,
}

impl Document {
    pub fn new(score: Score, path: Option<PathBuf>) -> Self {
        let history = History::new(score);
        let saved = Some(Piece { score: Arc::clone(history.score()), key: None });
        Self {
            history,
            selection: Selection::new(),
            source: path.clone(),
            path,
            key: None,
            loop_range: None,
            written_names: HashMap::new(),
            saved,
            is_unsaved: false,
            composed: HashMap::new(),
        }
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

    /// Commits an edit; what was composed stays composed when it is edited.
    pub fn commit(&mut self, edit: &ScoreEdit) -> Result<(), EditError> {
        self.commit_selected(edit, None)
    }

    /// Commits an edit with what is selected once it is done: redo selects that again.
    pub fn commit_change(&mut self, change: &Change) -> Result<(), EditError> {
        self.commit_selected(&change.edit, Some(&change.selection))
    }

    fn commit_selected(
        &mut self,
        edit: &ScoreEdit,
        after: Option<&Selection>,
    ) -> Result<(), EditError> {
        let (rate, state) = (self.composed_rate(), self.history.state());
        self.history.commit_selected(edit, Some(&self.selection), after)?;
        if self.history.state() == state {
            // Nothing has changed, and so the history remembers no selection.
            self.selection = after.unwrap_or(&self.selection).clone();
            return Ok(());
        }
        self.selection = self.history.selection().clone();
        self.set_composed_rate(rate);
        self.compare();
        Ok(())
    }

    /// Says that the frames of the present score lie at this rate, a sixteenth each.
    pub fn set_composed_rate(&mut self, rate: Option<FrameRate>) {
        match rate {
            Some(rate) => self.composed.insert(self.history.state(), rate),
            None => self.composed.remove(&self.history.state()),
        };
    }

    /// The rate at which the score was composed; `None` if it came from elsewhere, or if it no
    /// longer has the one tempo that it was composed at.
    pub fn composed_rate(&self) -> Option<FrameRate> {
        let rate = *self.composed.get(&self.history.state())?;
        let playback = Playback { rate, ..Playback::default() };
        let expected = score_from_roll(&[], &playback).tempo_map;
        let tempo_map = &self.history.score().tempo_map;
        let is_one_tempo = tempo_map.ticks_per_quarter() == expected.ticks_per_quarter()
            && tempo_map.changes().iter().all(|change| {
                change.micros_per_quarter == expected.tempo_at(Tick::ZERO).micros_per_quarter
            });
        // Slower than that, a frame is more than one sixteenth.
        (is_one_tempo && rate.per_second() >= 0.25).then_some(rate)
    }

    pub fn undo(&mut self) -> Option<String> {
        let label = self.history.undo();
        self.selection = self.history.selection().clone();
        self.compare();
        label
    }

    pub fn redo(&mut self) -> Option<String> {
        let label = self.history.redo();
        self.selection = self.history.selection().clone();
        self.compare();
        label
    }

    /// Goes back or forth until so many steps are done.
    pub fn jump_to(&mut self, n_done: usize) {
        self.history.jump_to(n_done);
        self.selection = self.history.selection().clone();
        self.compare();
    }

    /// The key that the user set; `None` where it is estimated.
    pub fn key(&self) -> Option<KeyScale> {
        self.key
    }

    /// Takes the user's word for the key, which is to be saved as the notes are. `None` has it
    /// estimated.
    pub fn choose_key(&mut self, key: Option<KeyScale>) {
        self.key = key;
        self.compare();
    }

    /// Takes over what its file says besides the score.
    pub fn adopt_view(&mut self, view: &ProjectView) {
        self.set_composed_rate(view.composed_rate);
        self.loop_range = view.loop_range;
        self.key = view.key;
        if let Some(saved) = &mut self.saved {
            saved.key = view.key;
        }
        self.compare();
    }

    /// As it is now, to be saved.
    pub fn piece(&self) -> Piece {
        Piece { score: Arc::clone(self.history.score()), key: self.key }
    }

    /// `piece` has reached the disk at `path`.
    pub fn mark_saved(&mut self, piece: Piece, path: PathBuf) {
        self.saved = Some(piece);
        self.source = Some(path.clone());
        self.path = Some(path);
        self.compare();
    }

    /// Nothing on disk is the piece as it is.
    pub fn mark_unsaved(&mut self) {
        self.saved = None;
        self.compare();
    }

    /// What is kept in a project besides score and takes, as far as the document knows it.
    pub fn view(&self) -> ProjectView {
        ProjectView {
            composed_rate: self.composed_rate(),
            path: self.path.clone(),
            key: self.key,
            loop_range: self.loop_range,
            look: None,
        }
    }

    /// Once an edit, not once a frame: a long score takes a while to compare.
    fn compare(&mut self) {
        let now = self.piece();
        let is =
            |saved: &Piece| now.is(saved) || now.key == saved.key && *now.score == *saved.score;
        self.is_unsaved = !self.saved.as_ref().is_some_and(is);
    }
}
