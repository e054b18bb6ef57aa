//! Edits as values: what a gesture yields, previewed while dragging and committed on release.
//!
//! An edit names whole notes, not positions in a list, so that it either still means the same
//! when it is applied or fails. It deliberately knows nothing of undo: see [`super::History`].

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::music::{Note, Part, Score};

/// Notes chosen by the user, by value: two notes that are alike in everything are one.
pub type Selection = BTreeSet<NoteKey>;

/// A note's identity in a selection: start, pitch, length, part. Velocity is left out, so that
/// a note stays selected while its velocity is changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NoteKey {
    pub start: u32,
    pub pitch: u8,
    pub length: u32,
    pub part: u8,
}

impl From<&Note> for NoteKey {
    fn from(note: &Note) -> Self {
        Self {
            start: note.start.0,
            pitch: note.pitch.number(),
            length: note.length.0,
            part: note.part,
        }
    }
}

/// The notes of a score that are selected, in the score's order. Keys that name nothing any more
/// are passed over.
pub fn selected_notes<'a>(
    score: &'a Score,
    selection: &'a Selection,
) -> impl Iterator<Item = &'a Note> {
    let notes = score.notes();
    let first = selection.first().map_or(u32::MAX, |key| key.start);
    let last = selection.last().map_or(0, |key| key.start);
    let from = notes.partition_point(|note| note.start.0 < first);
    let to = notes.partition_point(|note| note.start.0 <= last).max(from);
    notes[from..to].iter().filter(|note| selection.contains(&NoteKey::from(*note)))
}

/// One change of a score, with the name undo shows.
#[derive(Clone, PartialEq, Debug)]
pub enum ScoreEdit {
    Add {
        notes: Vec<Note>,
    },
    /// Adds notes that repeat others somewhere else.
    Copy {
        notes: Vec<Note>,
    },
    Delete {
        notes: Vec<Note>,
    },
    /// Each note becomes the other: moving, resizing, velocity. `label` is what was done, in
    /// words that go before "note" and "3 notes": "Move", "Resize", "Set velocity of".
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

/// Why an edit can't be applied. The score is then as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    #[error("the note isn't in the score any more")]
    Missing,
    #[error("a note must last at least one tick")]
    NoLength,
    #[error("the note would end after the last tick there is")]
    TooLate,
    #[error("the note belongs to part {0}, which the score doesn't have")]
    NoPart(u8),
}

impl ScoreEdit {
    /// What undo says it undoes: "Add note", "Move 3 notes".
    pub fn label(&self) -> String {
        match self {
            Self::Add { notes } => counted("Add", notes.len()),
            Self::Copy { notes } => counted("Copy", notes.len()),
            Self::Delete { notes } => counted("Delete", notes.len()),
            Self::Replace { pairs, label } => counted(label, pairs.len()),
            Self::ReplaceScore { label, .. } => label.clone(),
        }
    }

    /// The score after the edit. Pure.
    ///
    /// A note that comes to lie on another with the same start, pitch, length and part takes its
    /// place: nobody could tell the two apart, let alone select one of them. Twins that were
    /// already in the score stay.
    ///
    /// # Errors
    /// When a note to delete or replace isn't there, or a new one is impossible.
    pub fn apply(&self, score: &Score) -> Result<Score, EditError> {
        match self {
            Self::Add { notes } | Self::Copy { notes } => exchange(score, &[], notes),
            Self::Delete { notes } => exchange(score, notes, &[]),
            Self::Replace { pairs, .. } => {
                let (old, new): (Vec<Note>, Vec<Note>) = pairs.iter().copied().unzip();
                exchange(score, &old, &new)
            }
            Self::ReplaceScore { score, .. } => Ok((**score).clone()),
        }
    }
}

fn counted(verb: &str, n_notes: usize) -> String {
    match n_notes {
        1 => format!("{verb} note"),
        n => format!("{verb} {n} notes"),
    }
}

fn exchange(score: &Score, old: &[Note], new: &[Note]) -> Result<Score, EditError> {
    // A score that was never written in has no part yet: its first note brings the piano.
    let first_part = (score.parts.is_empty() && !new.is_empty())
        .then(|| Part { name: "Piano".to_owned(), ..Part::default() });
    let n_parts = score.parts.len() + usize::from(first_part.is_some());
    for note in new {
        check(note, n_parts)?;
    }
    let mut notes = without(score.notes(), old).ok_or(EditError::Missing)?;
    merge(&mut notes, new);
    let mut after = with_notes(score, notes);
    after.parts.extend(first_part);
    Ok(after)
}

fn check(note: &Note, n_parts: usize) -> Result<(), EditError> {
    if note.length.0 == 0 {
        return Err(EditError::NoLength);
    }
    if note.start.0.checked_add(note.length.0).is_none() {
        return Err(EditError::TooLate);
    }
    if usize::from(note.part) >= n_parts {
        return Err(EditError::NoPart(note.part));
    }
    Ok(())
}

/// The same piece with other notes.
pub(super) fn with_notes(score: &Score, notes: Vec<Note>) -> Score {
    let mut after = score.clone();
    after.set_notes(notes);
    after
}

/// The notes less one occurrence of each of `gone`; `None` when one of those isn't there.
pub(super) fn without(notes: &[Note], gone: &[Note]) -> Option<Vec<Note>> {
    let mut wanted: HashMap<&Note, usize> = HashMap::with_capacity(gone.len());
    for note in gone {
        *wanted.entry(note).or_default() += 1;
    }
    let first = gone.iter().map(|note| note.start).min();
    let last = gone.iter().map(|note| note.start).max();
    let (Some(first), Some(last)) = (first, last) else { return Some(notes.to_vec()) };
    let from = notes.partition_point(|note| note.start < first);
    let to = notes.partition_point(|note| note.start <= last);
    let mut left = Vec::with_capacity(notes.len().saturating_sub(gone.len()));
    left.extend_from_slice(&notes[..from]);
    let mut n_missing = gone.len();
    for note in &notes[from..to] {
        match wanted.get_mut(note) {
            Some(count) if *count > 0 => {
                *count -= 1;
                n_missing -= 1;
            }
            _ => left.push(*note),
        }
    }
    left.extend_from_slice(&notes[to..]);
    (n_missing == 0).then_some(left)
}

/// Adds the new notes, each in the place of any that it would hide. Of new notes alike the last
/// counts.
fn merge(notes: &mut Vec<Note>, new: &[Note]) {
    let keys: HashSet<NoteKey> = new.iter().map(NoteKey::from).collect();
    let first = new.iter().map(|note| note.start).min();
    let last = new.iter().map(|note| note.start).max();
    let (Some(first), Some(last)) = (first, last) else { return };
    notes.retain(|note| {
        note.start < first || note.start > last || !keys.contains(&NoteKey::from(note))
    });
    let mut seen = HashSet::with_capacity(new.len());
    notes.extend(new.iter().rev().filter(|note| seen.insert(NoteKey::from(*note))));
}
