//! Taking notes out of a sorted list and putting others in, in one copy of the list.
//!
//! The places of the few notes concerned are searched for; what lies between them is copied as it
//! is. So an edit of one note in 200,000 costs little more than the copy (2.4 MB). Lists stay
//! flat: sharing chunks between states would save that copy, and make everyone who reads notes
//! walk chunks.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use crate::editor::selection::gallop;
use crate::music::{Note, order, shape};

/// A list of notes after some went and others came.
pub struct Exchange {
    pub after: Vec<Note>,
    /// By their places before.
    pub removed: Places,
    /// By their places after.
    pub added: Places,
}

/// Places in a list, ascending, neighbors together: whoever changes everything changes one range.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    ranges: Vec<Range<usize>>,
}

impl Places {
    /// Adds a range after all that are there.
    fn push(&mut self, range: Range<usize>) {
        match self.ranges.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    /// Everything in a list of so many.
    pub fn all(len: usize) -> Self {
        let mut places = Self::default();
        places.push(0..len);
        places
    }

    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The notes at these places.
    pub fn of<'a>(&self, notes: &'a [Note]) -> Cow<'a, [Note]> {
        match &*self.ranges {
            [] => Cow::Borrowed(&[]),
            [range] => Cow::Borrowed(&notes[range.clone()]),
            ranges => ranges.iter().flat_map(|range| &notes[range.clone()]).copied().collect(),
        }
    }
}

impl Exchange {
    /// `None` when one of `old` isn't there (as often as it stands in `old`). Of notes that go
    /// and come again nothing is said.
    pub fn new(before: &[Note], old: &[Note], new: &[Note]) -> Option<Self> {
        let (old, new) = (in_order(old), in_order(new));
        if *old == *before {
            let after = new.into_owned();
            let (removed, added) = difference(before, &after);
            return Some(Self { after, removed, added });
        }
        let mut removed = places(before, &old)?;
        let hidden = hidden(before, &removed, &new);
        if !hidden.is_empty() {
            removed.extend(hidden);
            removed.sort_unstable();
        }
        let (removed, new) = without_common(before, removed, &new);
        let mut after = Vec::with_capacity(before.len() - removed.len() + new.len());
        let mut added = Places::default();
        let mut kept = Kept { notes: before, gone: &removed, at: 0 };
        for note in new {
            let wanted = order(&note);
            let to = gallop(before, kept.at, |it| order(it) <= wanted);
            kept.copy_to(to, &mut after);
            added.push(after.len()..after.len() + 1);
            after.push(note);
        }
        kept.copy_to(before.len(), &mut after);
        let mut gone = Places::default();
        removed.into_iter().for_each(|place| gone.push(place..place + 1));
        Some(Self { after, removed: gone, added })
    }
}

/// What stays of a list.
struct Kept<'a> {
    notes: &'a [Note],
    /// The places of those that go; ascending.
    gone: &'a [usize],
    at: usize,
}

impl Kept<'_> {
    /// Copies what stays before a place.
    fn copy_to(&mut self, to: usize, out: &mut Vec<Note>) {
        while let Some((next, rest)) = self.gone.split_first()
            && *next < to
        {
            out.extend_from_slice(&self.notes[self.at..*next]);
            self.at = next + 1;
            self.gone = rest;
        }
        if self.at < to {
            out.extend_from_slice(&self.notes[self.at..to]);
            self.at = to;
        }
    }
}

fn in_order(notes: &[Note]) -> Cow<'_, [Note]> {
    if notes.is_sorted_by_key(order) {
        return Cow::Borrowed(notes);
    }
    let mut sorted = notes.to_vec();
    sorted.sort_by_key(order);
    Cow::Owned(sorted)
}

/// Where the notes stand in a list, both in order; `None` when one isn't there.
fn places(notes: &[Note], wanted: &[Note]) -> Option<Vec<usize>> {
    let mut at = 0;
    let place = |note: &Note| {
        let wanted = order(note);
        let place = gallop(notes, at, |it| order(it) < wanted);
        at = place + 1;
        (notes.get(place) == Some(note)).then_some(place)
    };
    wanted.iter().map(place).collect()
}

/// The places of notes that new ones would hide: alike but for their velocity.
fn hidden(before: &[Note], removed: &[usize], new: &[Note]) -> Vec<usize> {
    let (mut at, mut hidden) = (0, Vec::new());
    for group in new.chunk_by(|a, b| shape(a) == shape(b)) {
        let wanted = shape(&group[0]);
        at = gallop(before, at, |it| shape(it) < wanted);
        if before.get(at).is_none_or(|it| shape(it) != wanted) {
            continue;
        }
        let to = gallop(before, at, |it| shape(it) <= wanted);
        let mut has_part = [false; 256];
        for note in group {
            has_part[usize::from(note.part)] = true;
        }
        let is_hidden = |place: &usize| {
            has_part[usize::from(before[*place].part)] && removed.binary_search(place).is_err()
        };
        hidden.extend((at..to).filter(is_hidden));
        at = to;
    }
    hidden
}

/// Both without the notes that are in both.
fn without_common(before: &[Note], removed: Vec<usize>, new: &[Note]) -> (Vec<usize>, Vec<Note>) {
    let (mut gone, mut come) = (Vec::with_capacity(removed.len()), Vec::with_capacity(new.len()));
    let mut new = new.iter().copied().peekable();
    for place in removed {
        let old = before[place];
        while let Some(note) = new.next_if(|note| order(note) < order(&old)) {
            come.push(note);
        }
        if new.next_if_eq(&old).is_none() {
            gone.push(place);
        }
    }
    come.extend(new);
    (gone, come)
}

/// Which notes must go from `before`, by their places, and which of `after` must come, to get
/// from one to the other. Both are sorted alike, so one walk finds it.
pub fn difference(before: &[Note], after: &[Note]) -> (Places, Places) {
    let (mut removed, mut added) = (Places::default(), Places::default());
    let (mut i, mut j) = (0, 0);
    while let (Some(old), Some(new)) = (before.get(i), after.get(j)) {
        match order(old).cmp(&order(new)) {
            Ordering::Equal => {
                i += 1;
                j += 1;
            }
            Ordering::Less => {
                removed.push(i..i + 1);
                i += 1;
            }
            Ordering::Greater => {
                added.push(j..j + 1);
                j += 1;
            }
        }
    }
    removed.push(i..before.len());
    added.push(j..after.len());
    (removed, added)
}
