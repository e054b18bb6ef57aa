//! Undo and redo: every state of the score that a gesture made.
//!
//! The present score is whole; a step keeps only what it changed, written small, so that 500
//! steps on a piece of 200,000 notes cost what was changed and not 500 pieces. What was selected
//! before and after a step is kept with it and given back.

mod notes;
mod rest;
mod runs;

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use notes::NoteChange;
use rest::{RestChange, Way};
use runs::Runs;

use super::edit::Applied;
use super::{EditError, ScoreEdit, Selection};
use crate::music::{Note, Score};

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
    selection: Selection,
}

/// What lies between two neighboring states.
#[derive(Debug)]
struct Step {
    label: String,
    /// Names the state after the step.
    state: u64,
    notes: NoteChange,
    rest: Vec<RestChange>,
    /// What was selected before it: places in the notes before.
    before: Runs,
    /// What was selected after it: places in the notes after.
    after: Runs,
}

impl History {
    pub fn new(score: Score) -> Self {
        Self {
            score: Arc::new(score),
            steps: VecDeque::new(),
            n_done: 0,
            first_state: 0,
            next_state: 1,
            selection: Selection::new(),
        }
    }

    /// The present state. Shared, so that a player or a window can keep it while it is edited.
    pub fn score(&self) -> &Arc<Score> {
        &self.score
    }

    /// Applies the edit as one step, and forgets the steps that were undone. An edit that
    /// changes nothing makes no step. What it took away counts as selected before it.
    ///
    /// # Errors
    /// When the edit can't be applied; everything is then as it was.
    pub fn commit(&mut self, edit: &ScoreEdit) -> Result<(), EditError> {
        self.commit_selected(edit, None, None)
    }

    /// [`Self::commit`] with what was selected before the edit, which undo gives back, and what
    /// is selected after it, which redo does. Without the latter it is what the edit brought, or
    /// what was selected if it changed no note.
    ///
    /// # Errors
    /// When the edit can't be applied; everything is then as it was.
    pub fn commit_selected(
        &mut self,
        edit: &ScoreEdit,
        before: Option<&Selection>,
        after: Option<&Selection>,
    ) -> Result<(), EditError> {
        let applied = edit.applied(&self.score)?;
        let mut step = Step::new(&self.score, &applied, edit, self.next_state);
        if step.is_empty() {
            return Ok(());
        }
        let is_other_piece = matches!(edit, ScoreEdit::ReplaceScore { .. });
        step.before = match before {
            Some(selection) => self.places_before(selection, &step),
            None if is_other_piece => Runs::default(),
            None => step.notes.removed.clone(),
        };
        let score = Arc::new(applied.score);
        self.select_after(&mut step, &score, after, is_other_piece);
        self.push(step, score);
        Ok(())
    }

    fn places_before(&self, selection: &Selection, step: &Step) -> Runs {
        let places = Runs::of_ranges(selection.places(self.score.notes()));
        let earlier = self.n_done.checked_sub(1).and_then(|idx| self.steps.get(idx));
        let places = earlier.map_or(places.clone(), |earlier| places.shared_with(&earlier.after));
        places.shared_with(&step.notes.removed)
    }

    fn select_after(
        &mut self,
        step: &mut Step,
        score: &Score,
        after: Option<&Selection>,
        is_other_piece: bool,
    ) {
        step.after = match after {
            Some(selection) => Runs::of_ranges(selection.places(score.notes())),
            None if is_other_piece => Runs::default(),
            None if step.notes.is_empty() => step.before.clone(),
            None => step.notes.added.clone(),
        };
        step.after = step.after.clone().shared_with(&step.notes.added);
        step.after = step.after.clone().shared_with(&step.before);
        self.selection = match after {
            Some(selection) => selection.clone(),
            None => selected(score, &step.after),
        };
    }

    fn push(&mut self, step: Step, score: Arc<Score>) {
        self.next_state += 1;
        self.steps.truncate(self.n_done);
        self.steps.push_back(Arc::new(step));
        self.n_done += 1;
        self.score = score;
        self.forget_the_oldest();
    }

    /// Goes back one step and says which.
    pub fn undo(&mut self) -> Option<String> {
        let label = self.undo_label()?.to_owned();
        self.jump_to(self.n_done - 1);
        Some(label)
    }

    /// Goes forward one step that was undone, and says which.
    pub fn redo(&mut self) -> Option<String> {
        let label = self.redo_label()?.to_owned();
        self.jump_to(self.n_done + 1);
        Some(label)
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

    /// Undoes or redoes until `n_done` steps are done (as many as there are at most): a click in
    /// the list of [`Self::labels`], where 0 is before the first.
    pub fn jump_to(&mut self, n_done: usize) {
        let n_done = n_done.min(self.steps.len());
        let (steps, way) = match n_done < self.n_done {
            true => (n_done..self.n_done, Way::Back),
            false => (self.n_done..n_done, Way::Forth),
        };
        if steps.is_empty() {
            return;
        }
        // The notes are copied once, however many steps are gone.
        let mut notes = self.score.notes().to_vec();
        let mut score = self.score.with_notes_in_order(Vec::new());
        let steps: Vec<usize> = match way {
            Way::Back => steps.rev().collect(),
            Way::Forth => steps.collect(),
        };
        for step in steps.into_iter().filter_map(|idx| self.steps.get(idx)) {
            // The steps were made from the very states they lead between. Did one not fit, the
            // score would better stay as it is than lose notes.
            if step.go(&mut notes, &mut score, way).is_none() {
                tracing::error!("a step of the history doesn't fit the score");
            }
        }
        self.score = Arc::new(score.with_notes_in_order(notes));
        self.n_done = n_done;
        self.select(way);
    }

    /// Names the present state: it is the same again after an undo and a redo, and never that
    /// of another state of this history. What was saved is known by it.
    pub fn state(&self) -> u64 {
        match self.n_done.checked_sub(1).and_then(|idx| self.steps.get(idx)) {
            Some(step) => step.state,
            None => self.first_state,
        }
    }

    /// What is to be selected after the last commit, undo, redo or jump: what was selected there.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// About how many bytes the steps hold.
    pub fn n_bytes(&self) -> usize {
        self.steps.iter().map(|step| step.n_bytes()).sum()
    }

    /// Selects what was selected at the step just gone.
    fn select(&mut self, way: Way) {
        let places = match way {
            Way::Back => self.steps.get(self.n_done).map(|step| &step.before),
            Way::Forth => {
                let idx = self.n_done.checked_sub(1);
                idx.and_then(|idx| self.steps.get(idx)).map(|step| &step.after)
            }
        };
        self.selection = places.map(|places| selected(&self.score, places)).unwrap_or_default();
    }

    fn forget_the_oldest(&mut self) {
        let mut n_bytes = self.n_bytes();
        while self.steps.len() > 1 && (n_bytes > MAX_BYTES || self.steps.len() > MAX_STEPS) {
            let Some(step) = self.steps.pop_front() else { return };
            n_bytes -= step.n_bytes();
            self.first_state = step.state;
            self.n_done -= 1;
        }
    }
}

/// The notes at some places.
fn selected(score: &Score, places: &Runs) -> Selection {
    let slices = places.iter().filter_map(|run| score.notes().get(run));
    Selection::of(slices.flatten())
}

impl Step {
    fn new(before: &Score, applied: &Applied, edit: &ScoreEdit, state: u64) -> Self {
        let after = &applied.score;
        let (removed, added) = (&applied.removed, &applied.added);
        let rest = match applied.may_differ_beside {
            true => RestChange::between(before, after),
            false => Vec::new(),
        };
        Self {
            label: edit.label(),
            state,
            notes: NoteChange::new(before.notes(), after.notes(), removed, added),
            rest,
            before: Runs::default(),
            after: Runs::default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.rest.is_empty()
    }

    /// Makes of a score the one at its other end: of its notes, and of what is beside them. `None`
    /// when it doesn't lead there.
    fn go(&self, notes: &mut Vec<Note>, beside: &mut Score, way: Way) -> Option<()> {
        match way {
            Way::Back => self.notes.undo(notes)?,
            Way::Forth => self.notes.redo(notes)?,
        }
        self.rest.iter().for_each(|change| change.apply(beside, way));
        Some(())
    }

    /// About how much memory the step holds.
    fn n_bytes(&self) -> usize {
        let rest: usize = self.rest.iter().map(RestChange::n_bytes).sum();
        // What others share is counted again: rather too much than too little.
        let selected = self.before.n_bytes() + self.after.n_bytes();
        size_of::<Self>() + self.label.len() + self.notes.n_bytes() + rest + selected
    }
}
