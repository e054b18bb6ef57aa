//! What a step did to the notes, written small and undone without a search.
//!
//! Which notes went and came is kept as places in the lists before and after. Of what they were
//! the smallest of three is kept: that all moved alike; by how much each note that came differs
//! from the one that went, field by field; or the notes themselves.

use std::mem::size_of;
use std::ops::Range;

use super::runs::{Runs, push_number, take_number};
use crate::editor::edit::Places;
use crate::editor::operations::Shift;
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
    /// All that went came again elsewhere.
    Shift(Shift),
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
            Values::Shift(by) => moved(gone, by.reversed()),
            Values::Differences(bytes) => shifted(gone, bytes, -1),
        })
    }

    /// The notes after the step, from those before it. `None` if they can't be those.
    pub fn redone(&self, before: &[Note]) -> Option<Vec<Note>> {
        swapped(before, &self.removed, &self.added, |gone| match &self.values {
            Values::Whole { added, .. } => added.to_vec(),
            Values::Shift(by) => moved(gone, *by),
            Values::Differences(bytes) => shifted(gone, bytes, 1),
        })
    }

    /// Memory held.
    pub fn n_bytes(&self) -> usize {
        let values = match &self.values {
            Values::Whole { removed, added } => (removed.len() + added.len()) * size_of::<Note>(),
            Values::Shift(_) => 0,
            Values::Differences(bytes) => bytes.len(),
        };
        self.removed.n_bytes() + self.added.n_bytes() + values
    }
}

impl Values {
    fn new(removed: &[Note], added: &[Note]) -> Self {
        if let Some(by) = Shift::between(removed, added) {
            return Self::Shift(by);
        }
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
    if n_taken == notes.len() {
        // Nothing stays, so that there is nothing to put it between.
        let n_come: usize = come.iter().map(|run| run.len()).sum();
        return (n_come == values.len()).then_some(values);
    }
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

/// In place: a long piece needn't be copied once more.
fn moved(mut notes: Vec<Note>, by: Shift) -> Vec<Note> {
    notes.iter_mut().for_each(|note| *note = by.of(note));
    notes
}

/// So many notes that differ alike are worth a stretch of their own.
const MIN_ALIKE: usize = 4;

/// By how much the second notes differ from the first, of as many: field by field, in stretches
/// that differ alike (twice their length, and the difference once) or each in its own way (twice
/// their length and one, and all their differences).
fn differences(from: &[Note], to: &[Note]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_field(&mut bytes, from, to, |note| note.start.0.into());
    push_field(&mut bytes, from, to, |note| note.length.0.into());
    push_field(&mut bytes, from, to, |note| note.pitch.number().into());
    push_field(&mut bytes, from, to, |note| note.velocity.number().into());
    push_field(&mut bytes, from, to, |note| note.part.into());
    bytes
}

fn push_field(bytes: &mut Vec<u8>, from: &[Note], to: &[Note], number: impl Fn(&Note) -> i64) {
    let difference = |idx: usize| number(&to[idx]) - number(&from[idx]);
    let (mut at, mut uneven_from) = (0, 0);
    while at < from.len() {
        let first = difference(at);
        let n_alike = (at..from.len()).take_while(|idx| difference(*idx) == first).count();
        if n_alike >= MIN_ALIKE {
            push_uneven(bytes, uneven_from..at, difference);
            push_number(bytes, (n_alike as u64) << 1);
            push_signed(bytes, first);
            uneven_from = at + n_alike;
        }
        at += n_alike;
    }
    push_uneven(bytes, uneven_from..at, difference);
}

fn push_uneven(bytes: &mut Vec<u8>, places: Range<usize>, difference: impl Fn(usize) -> i64) {
    if !places.is_empty() {
        push_number(bytes, (places.len() as u64) << 1 | 1);
        places.for_each(|idx| push_signed(bytes, difference(idx)));
    }
}

/// Small ones of either sign become small numbers.
fn push_signed(bytes: &mut Vec<u8>, number: i64) {
    push_number(bytes, ((number << 1) ^ (number >> 63)) as u64);
}

fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    take_number(bytes).map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
}

/// The notes with what [`differences`] wrote added to them (`sign` 1) or taken from them (−1).
fn shifted(mut notes: Vec<Note>, mut bytes: &[u8], sign: i64) -> Vec<Note> {
    let bytes = &mut bytes;
    // What was a number of its kind is one again, so nothing is cut off by these casts.
    shift_field(&mut notes, bytes, sign, |note, by| {
        note.start = Tick((i64::from(note.start.0) + by) as u32);
    });
    shift_field(&mut notes, bytes, sign, |note, by| {
        note.length = Tick((i64::from(note.length.0) + by) as u32);
    });
    shift_field(&mut notes, bytes, sign, |note, by| {
        let number = (i64::from(note.pitch.number()) + by) as u8;
        note.pitch = Pitch::new(number).unwrap_or(note.pitch);
    });
    shift_field(&mut notes, bytes, sign, |note, by| {
        note.velocity = Velocity::saturating((i64::from(note.velocity.number()) + by) as i32);
    });
    shift_field(&mut notes, bytes, sign, |note, by| {
        note.part = (i64::from(note.part) + by) as u8;
    });
    notes
}

fn shift_field(notes: &mut [Note], bytes: &mut &[u8], sign: i64, shift: impl Fn(&mut Note, i64)) {
    let mut rest = notes;
    while !rest.is_empty() {
        let Some(header) = take_number(bytes) else { return };
        let (run, later) = rest.split_at_mut(rest.len().min((header >> 1) as usize));
        if header & 1 == 1 {
            run.iter_mut().for_each(|note| shift(note, take_signed(bytes).unwrap_or(0) * sign));
        } else {
            let by = take_signed(bytes).unwrap_or(0) * sign;
            run.iter_mut().for_each(|note| shift(note, by));
        }
        rest = later;
    }
}
