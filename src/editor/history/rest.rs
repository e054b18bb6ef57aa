//! What a step did to all but the notes: of each list that changed, the stretch that did.

use std::mem::size_of;
use std::sync::Arc;

use crate::music::{
    Extra, MeterChange, Note, Part, PedalSpan, Score, TempoChange, TempoMap, TicksPerQuarter,
};

/// One part of a score that isn't its notes, before and after a step.
#[derive(Clone, Debug)]
pub enum RestChange {
    Title(Box<(String, String)>),
    Resolution(TicksPerQuarter, TicksPerQuarter),
    Tempo(Splice<TempoChange>),
    Meters(Splice<MeterChange>),
    Parts(Splice<Part>),
    Pedal(Splice<PedalSpan>),
    Drums(Splice<Note>),
    DrumPart(Box<(Part, Part)>),
    Extras(Arc<[Extra]>, Arc<[Extra]>),
}

/// Which way a step is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Back,
    Forth,
}

/// What lies between what two lists have in common at either end.
#[derive(Clone, Debug)]
pub struct Splice<T> {
    at: usize,
    before: Box<[T]>,
    after: Box<[T]>,
}

impl<T: Clone + PartialEq> Splice<T> {
    /// `None` when the lists are alike.
    fn between(before: &[T], after: &[T]) -> Option<Self> {
        if before == after {
            return None;
        }
        let at = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        let (before, after) = (&before[at..], &after[at..]);
        let ends = before.iter().rev().zip(after.iter().rev());
        let n_end = ends.take_while(|(one, other)| one == other).count();
        let middle = |list: &[T]| list[..list.len() - n_end].into();
        Some(Self { at, before: middle(before), after: middle(after) })
    }

    fn apply(&self, list: &mut Vec<T>, way: Way) {
        let (gone, come) = match way {
            Way::Back => (&self.after, &self.before),
            Way::Forth => (&self.before, &self.after),
        };
        let end = (self.at + gone.len()).min(list.len());
        list.splice(self.at.min(end)..end, come.iter().cloned());
    }

    fn n_bytes(&self) -> usize {
        (self.before.len() + self.after.len()) * size_of::<T>()
    }
}

impl RestChange {
    /// All that differs.
    pub fn between(before: &Score, after: &Score) -> Vec<Self> {
        let (old, new) = (&before.tempo_map, &after.tempo_map);
        let resolutions = (old.ticks_per_quarter(), new.ticks_per_quarter());
        let (old_title, new_title) = (&before.title, &after.title);
        let title = || Self::Title(Box::new((old_title.clone(), new_title.clone())));
        let drum_part =
            || Self::DrumPart(Box::new((before.drum_part.clone(), after.drum_part.clone())));
        let extras = || Self::Extras(Arc::clone(&before.extras), Arc::clone(&after.extras));
        let has_other_extras =
            !Arc::ptr_eq(&before.extras, &after.extras) && before.extras != after.extras;
        let changes = [
            (old_title != new_title).then(title),
            (resolutions.0 != resolutions.1)
                .then_some(Self::Resolution(resolutions.0, resolutions.1)),
            Splice::between(old.changes(), new.changes()).map(Self::Tempo),
            Splice::between(&before.meters, &after.meters).map(Self::Meters),
            Splice::between(&before.parts, &after.parts).map(Self::Parts),
            Splice::between(&before.pedal, &after.pedal).map(Self::Pedal),
            Splice::between(&before.drums, &after.drums).map(Self::Drums),
            (before.drum_part != after.drum_part).then(drum_part),
            has_other_extras.then(extras),
        ];
        changes.into_iter().flatten().collect()
    }

    pub fn apply(&self, score: &mut Score, way: Way) {
        match self {
            Self::Title(both) => score.title.clone_from(of(way, &both.0, &both.1)),
            Self::Resolution(before, after) => {
                let changes = score.tempo_map.changes().to_vec();
                score.tempo_map = TempoMap::new(*of(way, before, after), changes);
            }
            Self::Tempo(splice) => {
                let mut changes = score.tempo_map.changes().to_vec();
                splice.apply(&mut changes, way);
                score.tempo_map = TempoMap::new(score.tempo_map.ticks_per_quarter(), changes);
            }
            Self::Meters(splice) => splice.apply(&mut score.meters, way),
            Self::Parts(splice) => splice.apply(&mut score.parts, way),
            Self::Pedal(splice) => splice.apply(&mut score.pedal, way),
            Self::Drums(splice) => splice.apply(&mut score.drums, way),
            Self::DrumPart(both) => score.drum_part.clone_from(of(way, &both.0, &both.1)),
            Self::Extras(before, after) => score.extras = Arc::clone(of(way, before, after)),
        }
    }

    /// About how much memory it holds.
    pub fn n_bytes(&self) -> usize {
        let inside = match self {
            Self::Title(both) => both.0.len() + both.1.len(),
            Self::Tempo(splice) => splice.n_bytes(),
            Self::Meters(splice) => splice.n_bytes(),
            Self::Parts(splice) => {
                let names = splice.before.iter().chain(&splice.after).map(|part| part.name.len());
                splice.n_bytes() + names.sum::<usize>()
            }
            Self::Pedal(splice) => splice.n_bytes(),
            Self::Drums(splice) => splice.n_bytes(),
            Self::DrumPart(both) => both.0.name.len() + both.1.name.len(),
            // As a rule all steps share one list, or two.
            Self::Resolution(..) | Self::Extras(..) => 0,
        };
        size_of::<Self>() + inside
    }
}

fn of<'a, T>(way: Way, before: &'a T, after: &'a T) -> &'a T {
    match way {
        Way::Back => before,
        Way::Forth => after,
    }
}
