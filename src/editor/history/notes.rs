//! What a step did to the notes, written small and undone without a search.
//!
//! Which notes went and came is kept as places in the lists before and after. Of what they were
//! either the notes themselves are kept, or, where that is smaller, by how much each note that
//! came differs from the one that went: moving every note of a piece differs by one number.

use std::mem::size_of;

use super::runs::{Runs, push_number, take_number};
use crate::editor::edit::Places;
use crate::music::{Note, Pitch, Tick, Velocity};

/// The way between the notes before and after a step.
#[derive(Clone, Debug, Default)]
pub struct NoteChange {
    /// Places in the list before.
    pub removed: Runs,
    /// Places in the list after.
    pub added: Runs,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Whole {
        removed: Box<[Note]>,
        added: Box<[Note]>,
    },
    /// Field by field how much later, higher, longer … the notes that came are.
    Differences(Box<[u8]>),
}

impl Default for Values {
    fn default() -> Self {
        Self::Whole { removed: Box::default(), added: Box::default() }
    }
}

impl NoteChange {
    /// `removed` are places in `before`, `added` in `after`.
    pub fn new(before: &[Note], after: &[Note], removed: &Places, added: &Places) -> Self {
        let values = Values::new(&removed.of(before), &added.of(after));
        let runs = |places: &Places| Runs::of_ranges(places.ranges().iter().cloned());
        Self { removed: runs(removed), added: runs(added), values }
    }

    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// The notes before the step, from those after it. `None` if they can't be those.
    pub fn undone(&self, after: &[Note]) -> Option<Vec<Note>> {
        swapped(after, &self.added, &self.removed, |gone| match &self.values {
            Values::Whole { removed, .. } => removed.to_vec(),
            Values::Differences(bytes) => shifted(gone, bytes, -1),
        })
    }

    /// The notes after the step, from those before it. `None` if they can't be those.
    pub fn redone(&self, before: &[Note]) -> Option<Vec<Note>> {
        swapped(before, &self.removed, &self.added, |gone| match &self.values {
            Values::Whole { added, .. } => added.to_vec(),
            Values::Differences(bytes) => shifted(gone, bytes, 1),
        })
    }

    /// Memory held.
    pub fn n_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Whole { removed, added } => (removed.len() + added.len()) * size_of::<Note>(),
            Values::Differences(bytes) => bytes.len(),
        };
        self.removed.n_bytes() + self.added.n_bytes() + values
    }
}

impl Values {
    fn new(removed: &[Note], added: &[Note]) -> Self {
        if removed.len() == added.len() {
            let bytes = differences(removed, added);
            if bytes.len() < (removed.len() + added.len()) * size_of::<Note>() {
                return Self::Differences(bytes.into());
            }
        }
        Self::Whole { removed: removed.into(), added: added.into() }
    }
}

/// Takes the notes at `gone` out of a list, and puts others in so that they stand at `come`.
fn swapped(
    notes: &[Note],
    gone: &Runs,
    come: &Runs,
    values: impl FnOnce(Vec<Note>) -> Vec<Note>,
) -> Option<Vec<Note>> {
    let mut taken = Vec::new();
    let mut kept: Vec<&[Note]> = Vec::new();
    let mut at = 0;
    for run in gone.iter() {
        kept.push(notes.get(at..run.start)?);
        taken.extend_from_slice(notes.get(run.clone())?);
        at = run.end;
    }
    kept.push(notes.get(at..)?);
    let n_taken = taken.len();
    let values = values(taken);
    let mut out = Vec::with_capacity(notes.len() - n_taken + values.len());
    let (mut kept, mut rest, mut values) = (kept.into_iter(), &[][..], &*values);
    for run in come.iter() {
        while out.len() < run.start {
            if rest.is_empty() {
                rest = kept.next()?;
            }
            let (now, later) = rest.split_at(rest.len().min(run.start - out.len()));
            out.extend_from_slice(now);
            rest = later;
        }
        let (now, later) = values.split_at_checked(run.len())?;
        out.extend_from_slice(now);
        values = later;
    }
    out.extend_from_slice(rest);
    kept.for_each(|slice| out.extend_from_slice(slice));
    values.is_empty().then_some(out)
}

/// By how much the second notes differ from the first, field by field in runs.
fn differences(from: &[Note], to: &[Note]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_column(&mut bytes, from, to, |note| note.start.0.into());
    push_column(&mut bytes, from, to, |note| note.length.0.into());
    push_column(&mut bytes, from, to, |note| note.pitch.number().into());
    push_column(&mut bytes, from, to, |note| note.velocity.number().into());
    push_column(&mut bytes, from, to, |note| note.part.into());
    bytes
}

fn push_column(bytes: &mut Vec<u8>, from: &[Note], to: &[Note], field: impl Fn(&Note) -> i64) {
    let mut rest = (from, to);
    while let ([from, ..], [to, ..]) = rest {
        let difference = field(to) - field(from);
        let mut pairs = rest.0.iter().zip(rest.1);
        let n_alike = pairs.position(|(from, to)| field(to) - field(from) != difference);
        let n_alike = n_alike.unwrap_or(rest.0.len().min(rest.1.len()));
        push_number(bytes, n_alike as u64);
        // Small ones of either sign become small numbers.
        push_number(bytes, ((difference << 1) ^ (difference >> 63)) as u64);
        rest = (&rest.0[n_alike..], &rest.1[n_alike..]);
    }
}

/// The notes with what [`differences`] wrote added to them (`sign` 1) or taken from them (−1).
fn shifted(mut notes: Vec<Note>, mut bytes: &[u8], sign: i64) -> Vec<Note> {
    let bytes = &mut bytes;
    // What was a number of its kind is one again, so nothing is cut off by these casts.
    shift_column(&mut notes, bytes, sign, |note, by| {
        note.start = Tick((i64::from(note.start.0) + by) as u32);
    });
    shift_column(&mut notes, bytes, sign, |note, by| {
        note.length = Tick((i64::from(note.length.0) + by) as u32);
    });
    shift_column(&mut notes, bytes, sign, |note, by| {
        let number = (i64::from(note.pitch.number()) + by) as u8;
        note.pitch = Pitch::new(number).unwrap_or(note.pitch);
    });
    shift_column(&mut notes, bytes, sign, |note, by| {
        note.velocity = Velocity::saturating((i64::from(note.velocity.number()) + by) as i32);
    });
    shift_column(&mut notes, bytes, sign, |note, by| {
        note.part = (i64::from(note.part) + by) as u8;
    });
    notes
}

fn shift_column(notes: &mut [Note], bytes: &mut &[u8], sign: i64, shift: impl Fn(&mut Note, i64)) {
    let mut rest = notes;
    while !rest.is_empty() {
        let (Some(n_alike), Some(number)) = (take_number(bytes), take_number(bytes)) else {
            return;
        };
        let by = ((number >> 1) as i64 ^ -((number & 1) as i64)) * sign;
        let (run, later) = rest.split_at_mut(rest.len().min(n_alike as usize));
        if by != 0 {
            run.iter_mut().for_each(|note| shift(note, by));
        }
        rest = later;
    }
}
