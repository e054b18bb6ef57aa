//! Edits of the tempo map.

use super::EditError;
use crate::music::{Score, TempoChange, TempoMap, Tick};

/// A change of the tempo map. At tick 0 there is always a tempo.
#[derive(Clone, PartialEq, Debug)]
pub enum TempoEdit {
    /// From a tick on there is this tempo: another one at a change that is there.
    Set(TempoChange),
    /// The same with a change that wasn't there.
    Insert(TempoChange),
    /// A change moves to another tick, over one that may be there.
    Move {
        from: Tick,
        to: Tick,
    },
    Delete(Tick),
}

impl TempoEdit {
    pub(super) fn label(&self) -> String {
        match self {
            Self::Set(change) => format!("Change tempo to {}", rounded(*change)),
            Self::Insert(change) => format!("Insert tempo {}", rounded(*change)),
            Self::Move { .. } => "Move tempo change".to_owned(),
            Self::Delete(_) => "Delete tempo change".to_owned(),
        }
    }

    pub(super) fn apply(&self, score: &Score) -> Result<Score, EditError> {
        let map = &score.tempo_map;
        let mut changes = map.changes().to_vec();
        match *self {
            Self::Set(change) | Self::Insert(change) => set(&mut changes, change)?,
            Self::Move { from, to } => {
                let change = take(&mut changes, from)?;
                set(&mut changes, TempoChange { tick: to, ..change })?;
            }
            Self::Delete(tick) => {
                take(&mut changes, tick)?;
            }
        }
        let mut after = score.clone();
        after.tempo_map = TempoMap::new(map.ticks_per_quarter(), changes);
        Ok(after)
    }
}

fn rounded(change: TempoChange) -> f64 {
    (change.quarters_per_minute() * 100.0).round() / 100.0
}

fn set(changes: &mut Vec<TempoChange>, change: TempoChange) -> Result<(), EditError> {
    if !(1..=TempoChange::MAX_MICROS).contains(&change.micros_per_quarter) {
        return Err(EditError::BadTempo(change.micros_per_quarter));
    }
    changes.retain(|other| other.tick != change.tick);
    changes.push(change);
    Ok(())
}

fn take(changes: &mut Vec<TempoChange>, tick: Tick) -> Result<TempoChange, EditError> {
    if tick == Tick::ZERO {
        return Err(EditError::First);
    }
    let place = changes.iter().position(|change| change.tick == tick);
    Ok(changes.remove(place.ok_or(EditError::MissingTempo(tick))?))
}
