//! Undo and redo: every state of the score that a gesture made.
//!
//! The present score is whole; a step keeps only the notes it took away and brought, so that 500
//! steps on a piece of 200,000 notes cost what was changed and not 500 pieces. What isn't a note
//! (tempo, meter, parts, pedal) is kept beside them when a step changed it.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use super::edit::{self, NoteKey, Selection};
use super::{EditError, ScoreEdit};
use crate::music::{Note, PedalSpan, Score};

/// Steps that are kept at most.
const MAX_STEPS: usize = 2_000;

/// Bytes that the steps may hold in all; the oldest go first, and the newest always stays.
const MAX_BYTES: usize = 192 << 20;

/// Score, and the states before and after it.
#[derive(Clone, Debug)]
pub struct History {
    score: Arc<Score>,
    steps: VecDeque<Arc<Step>>,
    /// How many of the steps are done; the rest were undone and can be done again.
    n_done: usize,
    /// The state in which nothing of `steps` is done.
    first_state: u64,
    next_state: u64,
    restored: Selection,
}

/// What lies between two neighboring states.
#[derive(Debug)]
struct Step {
    label: String,
    /// Names the state after the step.
    state: u64,
    removed: Vec<Note>,
    added: Vec<Note>,
    /// Everything but the notes, before and after, where that changed.
    rest: Option<(Score, Score)>,
    /// Whether the whole score became another: its notes are no choice of the user's.
    is_other_score: bool,
}

impl History {
    pub fn new(score: Score) -> Self {
        Self {
            score: Arc::new(score),
            steps: VecDeque::new(),
            n_done: 0,
            first_state: 0,
            next_state: 1,
            restored: Selection::new(),
        }
    }

    /// The present state. Shared, so that a player or a window can keep it while it is edited.
    pub fn score(&self) -> &Arc<Score> {
        &self.score
    }

    /// Applies the edit as one step, and forgets the steps that were undone. An edit that
    /// changes nothing makes no step.
    ///
    /// # Errors
    /// When the edit can't be applied; everything is then as it was.
    pub fn commit(&mut self, edit: &ScoreEdit) -> Result<(), EditError> {
        let after = edit.apply(&self.score)?;
        let step = Step::new(&self.score, &after, edit, self.next_state);
        if step.removed.is_empty() && step.added.is_empty() && step.rest.is_none() {
            return Ok(());
        }
        self.next_state += 1;
        self.steps.truncate(self.n_done);
        self.steps.push_back(Arc::new(step));
        self.n_done += 1;
        self.score = Arc::new(after);
        self.restored.clear();
        self.forget_the_oldest();
        Ok(())
    }

    /// Goes back one step and says which.
    pub fn undo(&mut self) -> Option<String> {
        let step = self.steps.get(self.n_done.checked_sub(1)?)?.clone();
        self.n_done -= 1;
        self.step_to(&step.added, &step.removed, step.rest.as_ref().map(|(before, _)| before));
        self.restore(&step, &step.removed);
        Some(step.label.clone())
    }

    /// Goes forward one step that was undone, and says which.
    pub fn redo(&mut self) -> Option<String> {
        let step = self.steps.get(self.n_done)?.clone();
        self.n_done += 1;
        self.step_to(&step.removed, &step.added, step.rest.as_ref().map(|(_, after)| after));
        self.restore(&step, &step.added);
        Some(step.label.clone())
    }

    /// What [`Self::undo`] would undo.
    pub fn undo_label(&self) -> Option<&str> {
        self.steps.get(self.n_done.checked_sub(1)?).map(|step| step.label.as_str())
    }

    /// What [`Self::redo`] would do again.
    pub fn redo_label(&self) -> Option<&str> {
        self.steps.get(self.n_done).map(|step| step.label.as_str())
    }

    /// The names of all steps that are kept, oldest first, undone ones too.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = &str> {
        self.steps.iter().map(|step| step.label.as_str())
    }

    /// How many of [`Self::labels`] are done.
    pub fn n_done(&self) -> usize {
        self.n_done
    }

    /// Undoes or redoes until `n_done` steps are done (as many as there are at most).
    pub fn go_to(&mut self, n_done: usize) {
        let n_done = n_done.min(self.steps.len());
        while self.n_done > n_done && self.undo().is_some() {}
        while self.n_done < n_done && self.redo().is_some() {}
    }

    /// Names the present state: it is the same again after an undo and a redo, and never that
    /// of another state of this history. What was saved is known by it.
    pub fn state(&self) -> u64 {
        match self.n_done.checked_sub(1).and_then(|idx| self.steps.get(idx)) {
            Some(step) => step.state,
            None => self.first_state,
        }
    }

    /// The notes that the last undo or redo brought: what is best selected after it. Empty
    /// after a commit, and where the whole score became another.
    pub fn restored(&self) -> &Selection {
        &self.restored
    }

    fn step_to(&mut self, gone: &[Note], come: &[Note], rest: Option<&Score>) {
        // The steps were made from the very states they lead between, so that everything to
        // take away is there. Were it not, the score would better stay as it is than lose notes.
        let Some(mut notes) = edit::without(self.score.notes(), gone) else {
            tracing::error!("a step of the history doesn't fit the score");
            return;
        };
        notes.extend_from_slice(come);
        self.score = Arc::new(edit::with_notes(rest.unwrap_or(&self.score), notes));
    }

    fn restore(&mut self, step: &Step, come: &[Note]) {
        self.restored = match step.is_other_score {
            true => Selection::new(),
            false => come.iter().map(NoteKey::from).collect(),
        };
    }

    fn forget_the_oldest(&mut self) {
        let mut bytes: usize = self.steps.iter().map(|step| step.bytes()).sum();
        while self.steps.len() > 1 && (bytes > MAX_BYTES || self.steps.len() > MAX_STEPS) {
            let Some(step) = self.steps.pop_front() else { return };
            bytes -= step.bytes();
            self.first_state = step.state;
            self.n_done -= 1;
        }
    }
}

impl Step {
    fn new(before: &Score, after: &Score, edit: &ScoreEdit, state: u64) -> Self {
        // Copying a large piece takes time, and edits of notes leave the rest alone, except the
        // first one, which brings a part.
        let is_other_score = matches!(edit, ScoreEdit::ReplaceScore { .. });
        let may_differ = is_other_score || before.parts.len() != after.parts.len();
        let rest = may_differ
            .then(|| (edit::with_notes(before, Vec::new()), edit::with_notes(after, Vec::new())))
            .filter(|(before, after)| before != after);
        let label = edit.label();
        let (removed, added) = difference(before.notes(), after.notes());
        Self { label, state, removed, added, rest, is_other_score }
    }

    /// About how much memory the step holds.
    fn bytes(&self) -> usize {
        let notes = self.removed.capacity() + self.added.capacity();
        let rest = self.rest.iter().flat_map(|(before, after)| [before, after]);
        let rest = rest.map(|score| {
            score.drums.len() * size_of::<Note>()
                + score.pedal.len() * size_of::<PedalSpan>()
                + 1024
        });
        size_of::<Self>() + notes * size_of::<Note>() + rest.sum::<usize>()
    }
}

/// What must be taken from `before` and what added to get `after`.
///
/// Both are sorted alike, so one walk finds it. Only equal notes are passed over on both sides:
/// were the order another than the one compared by here, the answer would be longer, not wrong.
fn difference(before: &[Note], after: &[Note]) -> (Vec<Note>, Vec<Note>) {
    let order = |note: &Note| (note.start, note.pitch, note.length, note.velocity, note.part);
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while let (Some(old), Some(new)) = (before.get(i), after.get(j)) {
        if old == new {
            i += 1;
            j += 1;
        } else if order(old) <= order(new) {
            removed.push(*old);
            i += 1;
        } else {
            added.push(*new);
            j += 1;
        }
    }
    removed.extend_from_slice(&before[i..]);
    added.extend_from_slice(&after[j..]);
    (removed, added)
}
