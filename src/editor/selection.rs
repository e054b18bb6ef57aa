//! Which notes are chosen: a sorted list of keys that is shared until it is changed.
//!
//! A sorted list and not a tree, because everything may be selected in a piece of 200,000 notes:
//! it is made in one pass, copied for nothing, and walked beside the notes, which are sorted
//! alike. Choosing is never an edit: no function here changes a score.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::operations::Shift;
use crate::music::{Note, Score, Tick, shape};

/// A note's identity in a selection: start, pitch, length, part. Velocity is left out, so that
/// a note stays selected while its velocity is changed.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct NoteKey {
    pub start: u32,
    pub pitch: u8,
    pub length: u32,
    pub part: u8,
}

impl NoteKey {
    /// All of it as one number in the same order, which is compared faster.
    fn rank(&self) -> u128 {
        self.shape() << 8 | u128::from(self.part)
    }

    /// What orders notes and keys alike.
    fn shape(&self) -> u128 {
        u128::from(self.start) << 40 | u128::from(self.pitch) << 32 | u128::from(self.length)
    }
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

/// Notes chosen by the user, by value: two notes that are alike in everything but velocity are
/// chosen together. Cloning costs nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<NoteKey>", into = "Vec<NoteKey>")]
pub struct Selection {
    /// Strictly ascending.
    keys: Arc<Vec<NoteKey>>,
}

impl Selection {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every note of the score.
    pub fn all(score: &Score) -> Self {
        Self::of(score.notes())
    }

    /// These notes.
    pub fn of<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Self {
        notes.into_iter().map(NoteKey::from).collect()
    }

    /// The notes of the score that start at a tick or after it.
    pub fn from_tick(score: &Score, tick: Tick) -> Self {
        let from = score.notes().partition_point(|note| note.start < tick);
        Self::of(&score.notes()[from..])
    }

    /// The notes of the score that start in a range of ticks.
    pub fn in_range(score: &Score, ticks: Range<Tick>) -> Self {
        Self::of(score.notes_starting_in(ticks))
    }

    /// The notes of one part.
    pub fn of_part(score: &Score, part: u8) -> Self {
        Self::of(score.notes().iter().filter(|note| note.part == part))
    }

    /// The notes of the score that are not selected.
    pub fn inverted(&self, score: &Score) -> Self {
        let notes = score.notes();
        let mut at = 0;
        let mut rest = Vec::with_capacity(notes.len().saturating_sub(self.len()));
        for place in self.places(notes) {
            rest.extend(notes[at..place.start].iter().map(NoteKey::from));
            at = place.end;
        }
        rest.extend(notes[at..].iter().map(NoteKey::from));
        rest.into()
    }

    /// Every note that has the pitch of a selected one.
    pub fn same_pitch(&self, score: &Score) -> Self {
        let mut is_wanted = [false; 128];
        for note in self.notes(score) {
            is_wanted[usize::from(note.pitch.number())] = true;
        }
        let wanted = |note: &&Note| is_wanted[usize::from(note.pitch.number())];
        Self::of(score.notes().iter().filter(wanted))
    }

    /// The note to walk on to: the first one after the selected ones, or the first of the piece
    /// when nothing is selected. `None` at the end.
    pub fn next_note(&self, score: &Score) -> Option<Note> {
        let notes = score.notes();
        let last = self.keys.last().copied();
        let at = notes.partition_point(|note| last.is_some_and(|key| shape(note) < key.shape()));
        // Notes alike but for part and velocity are ordered by velocity first, keys by part.
        let mut groups = notes[at..].chunk_by(alike).take(2);
        groups.find_map(|group| {
            let later =
                group.iter().filter(|note| last.is_none_or(|key| NoteKey::from(*note) > key));
            later.min_by_key(|note| NoteKey::from(*note)).copied()
        })
    }

    /// The note to walk back to: the last one before the selected ones, or the last of the piece
    /// when nothing is selected. `None` at the start.
    pub fn previous_note(&self, score: &Score) -> Option<Note> {
        let notes = score.notes();
        let first = self.keys.first().copied();
        let to = notes.partition_point(|note| first.is_none_or(|key| shape(note) <= key.shape()));
        let mut groups = notes[..to].chunk_by(alike).rev().take(2);
        groups.find_map(|group| {
            let earlier =
                group.iter().filter(|note| first.is_none_or(|key| NoteKey::from(*note) < key));
            earlier.max_by_key(|note| NoteKey::from(*note)).copied()
        })
    }

    /// The notes of a score that are selected, in the score's order. Keys that name nothing any
    /// more are passed over. Looks only as far as it is asked: all of it takes as long as there are
    /// keys, not as there are notes.
    pub fn notes<'a>(&'a self, score: &'a Score) -> impl Iterator<Item = &'a Note> {
        let notes = score.notes();
        let mut at = 0;
        self.keys.chunk_by(|a, b| a.shape() == b.shape()).flat_map(move |group| {
            let alike = alike_from(notes, at, group[0].shape());
            at = alike.end;
            notes[alike].iter().filter(|note| group.iter().any(|key| key.part == note.part))
        })
    }

    /// Whether it names every one of some sorted notes, and nothing else. Of a piece with twins,
    /// which have one key, this may not be known.
    pub(super) fn is_all_of(&self, notes: &[Note]) -> bool {
        self.keys.len() == notes.len()
            && self.keys.iter().zip(notes).all(|(key, note)| *key == NoteKey::from(note))
    }

    /// The same notes after a shift that is within their reach.
    pub(super) fn shifted(&self, by: Shift) -> Self {
        let key = |key: &NoteKey| NoteKey {
            // Within the piece and its keys, so that nothing is cut off.
            start: (i64::from(key.start) + by.ticks) as u32,
            pitch: (i32::from(key.pitch) + by.semitones) as u8,
            ..*key
        };
        // What is shifted alike keeps its order.
        Self { keys: Arc::new(self.keys.iter().map(key).collect()) }
    }

    /// Where in a sorted list of notes the selected ones stand: ascending ranges, none of which
    /// touches the next.
    pub(super) fn places(&self, notes: &[Note]) -> Vec<Range<usize>> {
        if self.is_all_of(notes) {
            return Vec::from_iter((!notes.is_empty()).then_some(0..notes.len()));
        }
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        for group in self.keys.chunk_by(|a, b| a.shape() == b.shape()) {
            let alike = alike_from(notes, at, group[0].shape());
            at = alike.end;
            for idx in alike {
                if group.iter().any(|key| key.part == notes[idx].part) {
                    match places.last_mut() {
                        Some(last) if last.end == idx => last.end += 1,
                        _ => places.push(idx..idx + 1),
                    }
                }
            }
        }
        places
    }

    /// Each of some ascending notes with whether it is selected: for who asks about many, which
    /// this finds much faster than [`Self::contains`].
    pub fn marked<'a>(
        &'a self,
        notes: impl Iterator<Item = &'a Note>,
    ) -> impl Iterator<Item = (&'a Note, bool)> {
        let mut at = 0;
        notes.map(move |note| {
            let wanted = shape(note);
            at = gallop(&self.keys, at, |key| key.shape() < wanted);
            let alike = self.keys[at..].iter().take_while(|key| key.shape() == wanted);
            let is_selected = alike.into_iter().any(|key| key.part == note.part);
            (note, is_selected)
        })
    }

    /// Whether a note is selected. Takes some 20 comparisons in a large selection.
    pub fn contains(&self, key: &NoteKey) -> bool {
        self.keys.binary_search_by_key(&key.rank(), NoteKey::rank).is_ok()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, NoteKey> {
        self.keys.iter()
    }

    pub fn first(&self) -> Option<&NoteKey> {
        self.keys.first()
    }

    pub fn last(&self) -> Option<&NoteKey> {
        self.keys.last()
    }

    /// Whether it was not there before.
    pub fn insert(&mut self, key: NoteKey) -> bool {
        match self.keys.binary_search_by_key(&key.rank(), NoteKey::rank) {
            Ok(_) => false,
            Err(at) => {
                Arc::make_mut(&mut self.keys).insert(at, key);
                true
            }
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &NoteKey) -> bool {
        match self.keys.binary_search_by_key(&key.rank(), NoteKey::rank) {
            Ok(at) => {
                Arc::make_mut(&mut self.keys).remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// What is in one and not in the other: what toggling `other` leaves.
    pub fn toggled(&self, other: &Self) -> Self {
        self.keys_without(other).chain(other.keys_without(self)).collect()
    }

    /// What is in it and not in the other.
    pub fn without(&self, other: &Self) -> Self {
        self.keys_without(other).collect()
    }

    fn keys_without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = NoteKey> + 'a {
        self.iter().filter(|key| !other.contains(key)).copied()
    }
}

fn alike(one: &Note, other: &Note) -> bool {
    shape(one) == shape(other)
}

/// Where the notes of this shape stand in a sorted list, at `from` or after it.
fn alike_from(notes: &[Note], from: usize, wanted: u128) -> Range<usize> {
    let start = gallop(notes, from, |note| shape(note) < wanted);
    let n_alike = notes[start..].iter().take_while(|note| shape(note) == wanted).count();
    start..start + n_alike
}

/// The first index from `from` on where `is_before` no longer holds; near ones are found soonest.
pub(super) fn gallop<T>(items: &[T], from: usize, is_before: impl Fn(&T) -> bool) -> usize {
    let rest = items.get(from..).unwrap_or_default();
    // Mostly it is the very next.
    if !rest.first().is_some_and(&is_before) {
        return from.min(items.len());
    }
    let mut reach = 2;
    while rest.get(reach - 1).is_some_and(&is_before) {
        reach = reach.saturating_mul(2);
    }
    let low = reach / 2;
    let high = rest.len().min(reach);
    from + low.min(high) + rest[low.min(high)..high].partition_point(is_before)
}

impl FromIterator<NoteKey> for Selection {
    fn from_iter<I: IntoIterator<Item = NoteKey>>(keys: I) -> Self {
        keys.into_iter().collect::<Vec<_>>().into()
    }
}

impl From<Vec<NoteKey>> for Selection {
    fn from(mut keys: Vec<NoteKey>) -> Self {
        // Keys nearly always come in order, which sorting finds out in one pass.
        if !keys.is_sorted_by(|a, b| a.rank() < b.rank()) {
            keys.sort_by_key(NoteKey::rank);
            keys.dedup();
        }
        Self { keys: Arc::new(keys) }
    }
}

impl From<Selection> for Vec<NoteKey> {
    fn from(selection: Selection) -> Self {
        Arc::unwrap_or_clone(selection.keys)
    }
}

impl<const N: usize> From<[NoteKey; N]> for Selection {
    fn from(keys: [NoteKey; N]) -> Self {
        Vec::from(keys).into()
    }
}

impl<'a> IntoIterator for &'a Selection {
    type Item = &'a NoteKey;
    type IntoIter = std::slice::Iter<'a, NoteKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The notes of a score that are selected, in the score's order. Keys that name nothing any more
/// are passed over.
pub fn selected_notes<'a>(
    score: &'a Score,
    selection: &'a Selection,
) -> impl Iterator<Item = &'a Note> {
    selection.notes(score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, TempoMap, Velocity};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn notes_strategy() -> impl Strategy<Value = Vec<Note>> {
        let note = (0u32..12, 1u32..4, 60u8..63, 1i32..4, 0u8..3);
        prop::collection::vec(note, 0..40).prop_map(|notes| {
            let note = |(start, length, pitch, velocity, part)| Note {
                start: Tick(start),
                length: Tick(length),
                pitch: Pitch::new(pitch).unwrap(),
                velocity: Velocity::saturating(velocity),
                part,
            };
            notes.into_iter().map(note).collect()
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_set_finds(
            notes in notes_strategy(),
            others in notes_strategy(),
            from in 0u32..12,
            length in 0u32..5,
        ) {
            let score = Score::piano(TempoMap::default(), notes);
            let chosen: BTreeSet<NoteKey> = others.iter().map(NoteKey::from).collect();
            let selection: Selection = others.iter().map(NoteKey::from).collect();
            prop_assert!(selection.iter().eq(chosen.iter()));
            let is_chosen = |note: &&Note| chosen.contains(&NoteKey::from(*note));
            prop_assert!(selection.notes(&score).eq(score.notes().iter().filter(is_chosen)));
            let marked = selection.marked(score.notes().iter());
            prop_assert!(marked.eq(score.notes().iter().map(|note| (note, is_chosen(&note)))));
            let rest = selection.inverted(&score);
            prop_assert!(rest.notes(&score).eq(score.notes().iter().filter(|it| !is_chosen(it))));
            let (first, last) = (Tick(from), Tick(from + length));
            let range = Selection::in_range(&score, first..last);
            let starts_there = |note: &&Note| (first..last).contains(&note.start);
            prop_assert!(range.notes(&score).eq(score.notes().iter().filter(starts_there)));
            let toggled: BTreeSet<NoteKey> =
                chosen.symmetric_difference(&range.iter().copied().collect()).copied().collect();
            prop_assert!(selection.toggled(&range).iter().eq(toggled.iter()));
        }

        #[test]
        fn walking_meets_every_note_once_in_either_direction(notes in notes_strategy()) {
            let score = Score::piano(TempoMap::default(), notes);
            let all: Vec<NoteKey> = Selection::all(&score).iter().copied().collect();
            let walk = |step: &dyn Fn(&Selection) -> Option<Note>| {
                let mut selection = Selection::new();
                let mut met = Vec::new();
                while let Some(note) = step(&selection) {
                    met.push(NoteKey::from(&note));
                    selection = Selection::of([&note]);
                }
                met
            };
            let forwards = walk(&|selection| selection.next_note(&score));
            prop_assert_eq!(&forwards, &all);
            let mut backwards = walk(&|selection| selection.previous_note(&score));
            backwards.reverse();
            prop_assert_eq!(&backwards, &all);
        }
    }

    #[test]
    fn the_same_pitch_and_everything_from_a_tick() {
        let note = |start, pitch| Note {
            start: Tick(start),
            length: Tick(10),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        let all = [note(0, 60), note(5, 64), note(20, 60), note(30, 67)];
        let score = Score::piano(TempoMap::default(), all.to_vec());
        let one = Selection::of([&all[0]]);
        assert_eq!(one.same_pitch(&score), Selection::of([&all[0], &all[2]]));
        assert_eq!(Selection::from_tick(&score, Tick(5)), Selection::of(&all[1..]));
        assert_eq!(Selection::in_range(&score, Tick(5)..Tick(30)), Selection::of(&all[1..3]));
        assert_eq!(Selection::of_part(&score, 0).len(), 4);
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), one);
    }
}
