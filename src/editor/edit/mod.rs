//! Edits as values: what a gesture yields, previewed while dragging and committed on release.
//!
//! An edit names whole notes, not positions in a list, so that it either still means the same
//! when it is applied or fails. It deliberately knows nothing of undo: see [`super::History`].

mod exchange;
mod meter;
mod parts;
mod pedal;
mod tempo;

pub use meter::MeterEdit;
pub use parts::PartEdit;
pub use pedal::PedalEdit;
pub use tempo::TempoEdit;

use crate::music::{Note, Part, Score, Tick};
pub(super) use exchange::Places;
use exchange::{Exchange, difference, overwritten};

use super::Selection;
use super::operations::{Shift, moved};

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
    /// All notes of a selection move alike, as far as the first of them to reach an edge can go.
    /// `label` goes before "note" and "3 notes", as below.
    Shift {
        notes: Selection,
        by: Shift,
        label: &'static str,
    },
    /// Each note becomes the other: resizing, velocity, quantizing. `label` is what was done, in
    /// words that go before "note" and "3 notes": "Move", "Resize", "Set velocity of".
    Replace {
        pairs: Vec<(Note, Note)>,
        label: &'static str,
    },
    /// Some notes go and others come: joining, splitting, cutting, pasting. `label` is the whole
    /// name.
    Exchange {
        removed: Vec<Note>,
        added: Vec<Note>,
        label: String,
    },
    Pedal(PedalEdit),
    Tempo(TempoEdit),
    Meter(MeterEdit),
    Part(PartEdit),
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
    #[error("the pedal at tick {} isn't in the score any more", .0.0)]
    MissingPedal(Tick),
    #[error("the pedal belongs to part {0}, which the score doesn't have")]
    NoPedalPart(u8),
    #[error("the pedal must be down for at least one tick")]
    NoSpan,
    #[error("the tempo doesn't change at tick {}", .0.0)]
    MissingTempo(Tick),
    #[error("a quarter note must last 1 to 16,777,215 microseconds, not {0}")]
    BadTempo(u32),
    #[error("the meter doesn't change at tick {}", .0.0)]
    MissingMeter(Tick),
    #[error("a meter has 1 to 255 beats of a whole note to a sixty-fourth")]
    BadMeter,
    #[error("a piece begins with a tempo and a meter, which can be changed only")]
    First,
    #[error("the score has 255 parts, and there can't be more")]
    TooManyParts,
    #[error("it is the only part, and notes need one")]
    LastPart,
    #[error("a part plays on channel 1 to 16, except 10, which is kept for percussion")]
    BadChannel,
    #[error("a program is a number from 1 to 128")]
    BadProgram,
}

impl ScoreEdit {
    /// What undo says it undoes: "Add note", "Move 3 notes".
    pub fn label(&self) -> String {
        match self {
            Self::Add { notes } => counted("Add", notes.len()),
            Self::Copy { notes } => counted("Copy", notes.len()),
            Self::Delete { notes } => counted("Delete", notes.len()),
            Self::Shift { notes, label, .. } => counted(label, notes.len()),
            Self::Replace { pairs, label } => counted(label, pairs.len()),
            Self::Exchange { label, .. } | Self::ReplaceScore { label, .. } => label.clone(),
            Self::Pedal(edit) => edit.label(),
            Self::Tempo(edit) => edit.label(),
            Self::Meter(edit) => edit.label(),
            Self::Part(edit) => edit.label(),
        }
    }

    /// The score after the edit. Pure.
    ///
    /// A note that is written, copied or pasted where there is one of the same start, length, pitch
    /// and part is written over it. One that is moved or changed never takes another away: the two
    /// lie on one another, and can be parted again.
    ///
    /// # Errors
    /// When a note to delete or replace isn't there, or a new one is impossible.
    pub fn apply(&self, score: &Score) -> Result<Score, EditError> {
        self.applied(score).map(|applied| applied.score)
    }

    /// The score after the edit, with what became of its notes.
    pub(super) fn applied(&self, score: &Score) -> Result<Applied, EditError> {
        match self {
            Self::Add { notes } | Self::Copy { notes } => written(score, notes),
            Self::Delete { notes } => exchanged(score, notes, &[]),
            Self::Replace { pairs, .. } => {
                let (old, new): (Vec<Note>, Vec<Note>) = pairs.iter().copied().unzip();
                exchanged(score, &old, &new)
            }
            Self::Shift { notes, by, .. } => shifted(score, notes, *by),
            Self::Exchange { removed, added, .. } if removed.is_empty() => written(score, added),
            Self::Exchange { removed, added, .. } => exchanged(score, removed, added),
            Self::Pedal(edit) => edit.apply(score).map(Applied::beside_notes),
            Self::Tempo(edit) => edit.apply(score).map(Applied::beside_notes),
            Self::Meter(edit) => edit.apply(score).map(Applied::beside_notes),
            Self::Part(edit) => edit.apply(score).map(|after| Applied::compared(score, after)),
            Self::ReplaceScore { score: after, .. } => {
                Ok(Applied::compared(score, (**after).clone()))
            }
        }
    }
}

/// A score after an edit.
pub(super) struct Applied {
    pub score: Score,
    /// Which notes went, by their places before.
    pub removed: Places,
    /// Which notes came, by their places after.
    pub added: Places,
    /// Whether what isn't a note may have changed too.
    pub may_differ_beside: bool,
}

impl Applied {
    /// Of an edit that leaves the notes alone.
    fn beside_notes(score: Score) -> Self {
        Self {
            score,
            removed: Places::default(),
            added: Places::default(),
            may_differ_beside: true,
        }
    }

    /// Of an edit that may have changed anything.
    pub fn compared(before: &Score, score: Score) -> Self {
        let (removed, added) = difference(before.notes(), score.notes());
        Self { score, removed, added, may_differ_beside: true }
    }
}

/// "Move note", "Move 3 notes".
pub(super) fn counted(verb: &str, n_notes: usize) -> String {
    match n_notes {
        1 => format!("{verb} note"),
        n => format!("{verb} {n} notes"),
    }
}

/// Notes that weren't in the piece come into it.
fn written(score: &Score, notes: &[Note]) -> Result<Applied, EditError> {
    exchanged(score, &overwritten(score.notes(), notes), notes)
}

fn exchanged(score: &Score, old: &[Note], new: &[Note]) -> Result<Applied, EditError> {
    let first_part = first_part(score).filter(|_| !new.is_empty());
    let may_differ_beside = first_part.is_some();
    let n_parts = score.parts.len() + usize::from(may_differ_beside);
    for note in new {
        check(note, n_parts)?;
    }
    let exchange = Exchange::new(score.notes(), old, new).ok_or(EditError::Missing)?;
    let Exchange { after, removed, added } = exchange;
    let mut score = score.with_notes_in_order(after);
    score.parts.extend(first_part);
    Ok(Applied { score, removed, added, may_differ_beside })
}

/// What the first note or pedal brings: a score that was never written in has no part yet.
fn first_part(score: &Score) -> Option<Part> {
    score.parts.is_empty().then(|| Part { name: "Piano".to_owned(), ..Part::default() })
}

fn shifted(score: &Score, selection: &Selection, by: Shift) -> Result<Applied, EditError> {
    let notes = score.notes();
    if selection.is_all_of(notes) {
        // What is shifted alike keeps its order.
        let after = moved(notes, by);
        let places = if after == notes { Places::default() } else { Places::all(notes.len()) };
        return Ok(Applied {
            score: score.with_notes_in_order(after),
            removed: places.clone(),
            added: places,
            may_differ_beside: false,
        });
    }
    let old: Vec<Note> = selection.notes(score).copied().collect();
    if Selection::of(&old) != *selection {
        return Err(EditError::Missing);
    }
    exchanged(score, &old, &moved(&old, by))
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
