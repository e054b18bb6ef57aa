//! Edits of the time signatures.

use super::EditError;
use crate::music::{BarGrid, Meter, MeterChange, Score, Tick};

/// A change of the time signatures. At tick 0 there is always a meter, common time if none is
/// written; what is set or moved comes to stand on the nearest bar line.
///
/// *Limitation*: later changes keep their ticks, so that the bar before the next one may be cut
/// short. Notes never move.
#[derive(Clone, PartialEq, Debug)]
pub enum MeterEdit {
    /// From a tick on there is this meter: another one at a change that is there.
    Set(MeterChange),
    /// The same with a change that wasn't there.
    Insert(MeterChange),
    /// A change moves to another bar line after the start, over one that may be there: to
    /// [`MeterEdit::rest`].
    Move {
        from: Tick,
        to: Tick,
    },
    Delete(Tick),
}

impl MeterEdit {
    /// Where the change at `from` comes to stand when it is moved to `to`: on the nearest line of
    /// the bars that there are without it. The start of the piece keeps its own meter, and so the
    /// first line is the one after it.
    pub fn rest(score: &Score, from: Tick, to: Tick) -> Tick {
        let others: Vec<MeterChange> =
            score.meters.iter().copied().filter(|change| change.tick != from).collect();
        let grid = BarGrid::new(score.tempo_map.ticks_per_quarter(), &others);
        match nearest_bar_line(&grid, to) {
            Tick::ZERO => grid.bar_at(Tick::ZERO).end,
            line => line,
        }
    }

    pub(super) fn label(&self) -> String {
        match self {
            Self::Set(MeterChange { meter, .. }) => format!("Change meter to {meter}"),
            Self::Insert(MeterChange { meter, .. }) => format!("Insert meter {meter}"),
            Self::Move { .. } => "Move meter change".to_owned(),
            Self::Delete(_) => "Delete meter change".to_owned(),
        }
    }

    pub(super) fn apply(&self, score: &Score) -> Result<Score, EditError> {
        let mut after = score.clone();
        match *self {
            Self::Set(change) | Self::Insert(change) => set(&mut after, change)?,
            Self::Move { from, to } => {
                if to == Tick::ZERO {
                    return Err(EditError::First);
                }
                let tick = Self::rest(score, from, to);
                let meter = take(&mut after, from)?;
                put(&mut after, MeterChange { tick, meter });
            }
            Self::Delete(tick) => {
                take(&mut after, tick)?;
            }
        }
        Ok(after)
    }
}

fn set(score: &mut Score, change: MeterChange) -> Result<(), EditError> {
    let meter = change.meter;
    if meter.numerator == 0 || meter.denominator_power > Meter::MAX_DENOMINATOR_POWER {
        return Err(EditError::BadMeter);
    }
    // A change that is there stays where it is, on a bar line by its being there.
    let tick = nearest_bar_line(&score.bar_grid(), change.tick);
    put(score, MeterChange { tick, meter });
    Ok(())
}

/// In the place of one at the same tick.
fn put(score: &mut Score, change: MeterChange) {
    score.meters.retain(|other| other.tick != change.tick);
    score.meters.push(change);
    score.meters.sort_by_key(|change| change.tick);
}

fn nearest_bar_line(grid: &BarGrid, tick: Tick) -> Tick {
    let bar = grid.bar_at(tick);
    let is_nearer_to_next = bar.end.saturating_sub(tick) < tick.saturating_sub(bar.start);
    // The last bar may end where ticks end, which is no line.
    if is_nearer_to_next && bar.end.0 < u32::MAX { bar.end } else { bar.start }
}

fn take(score: &mut Score, tick: Tick) -> Result<Meter, EditError> {
    if tick == Tick::ZERO {
        return Err(EditError::First);
    }
    let place = score.meters.iter().position(|change| change.tick == tick);
    Ok(score.meters.remove(place.ok_or(EditError::MissingMeter(tick))?).meter)
}
