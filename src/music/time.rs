//! Musical time: ticks, tempo and meter, and the way between ticks and seconds.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// A position or a length in pulses; how many make a quarter note is [`TicksPerQuarter`].
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tick(pub u32);

impl Tick {
    pub const ZERO: Self = Self(0);

    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Ticks in a quarter note, 1–32,767.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicksPerQuarter(NonZeroU16);

impl TicksPerQuarter {
    /// What scores made here use.
    pub const DEFAULT: Self = Self(NonZeroU16::new(480).expect("480 is not zero"));

    /// `None` for 0 and above 32,767 (the largest metrical division a MIDI file can state).
    pub fn new(ticks: u16) -> Option<Self> {
        NonZeroU16::new(ticks).filter(|ticks| ticks.get() <= 0x7fff).map(Self)
    }

    pub fn get(self) -> u32 {
        u32::from(self.0.get())
    }
}

/// From `tick` on, a quarter note lasts `micros_per_quarter` microseconds (1 to 16,777,215).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TempoChange {
    pub tick: Tick,
    pub micros_per_quarter: u32,
}

impl TempoChange {
    /// The longest quarter note that a MIDI file can state, in microseconds: 3.58 a minute.
    pub const MAX_MICROS: u32 = 0xff_ffff;

    /// The shortest that is written here: 6,000 a minute. Faster ones only come from elsewhere.
    pub const MIN_MICROS: u32 = 10_000;

    /// The change to a number of quarters a minute, brought into what can be written: about 3.58
    /// to 6,000. NaN is taken for 120.
    pub fn from_quarters_per_minute(tick: Tick, quarters_per_minute: f64) -> Self {
        let micros = 60e6 / quarters_per_minute;
        let micros = match micros.is_nan() {
            true => f64::from(TempoMap::DEFAULT_MICROS),
            // Backwards in time is as slow as it gets.
            false if micros < 0.0 => f64::from(Self::MAX_MICROS),
            false => micros.round(),
        };
        // A float to integer cast saturates.
        let micros_per_quarter = (micros as u32).clamp(Self::MIN_MICROS, Self::MAX_MICROS);
        Self { tick, micros_per_quarter }
    }

    pub fn quarters_per_minute(self) -> f64 {
        60e6 / f64::from(self.micros_per_quarter)
    }
}

/// Where the tempo changes, with the resolution of its ticks; the way between ticks and seconds.
///
/// Invariants: never empty, the first change is at tick 0, ticks strictly increase, no tempo is 0.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "TempoMapFile", into = "TempoMapFile")]
pub struct TempoMap {
    ticks_per_quarter: TicksPerQuarter,
    changes: Vec<TempoChange>,
    /// Seconds at each change, for a binary search in either direction.
    secs: Vec<f64>,
}

/// How a tempo map is stored: what can be derived is not.
#[derive(Clone, Serialize, Deserialize)]
struct TempoMapFile {
    ticks_per_quarter: u16,
    changes: Vec<TempoChange>,
}

impl TempoMap {
    /// 120 quarters a minute: what a file without a tempo event means.
    pub const DEFAULT_MICROS: u32 = 500_000;

    /// Sorts the changes; of several at one tick the last counts; a default tempo fills the start;
    /// tempos are brought into 1–16,777,215 microseconds.
    pub fn new(ticks_per_quarter: TicksPerQuarter, mut changes: Vec<TempoChange>) -> Self {
        changes.sort_by_key(|change| change.tick);
        let mut kept: Vec<TempoChange> = Vec::with_capacity(changes.len() + 1);
        if changes.first().is_none_or(|first| first.tick > Tick::ZERO) {
            kept.push(TempoChange { tick: Tick::ZERO, micros_per_quarter: Self::DEFAULT_MICROS });
        }
        for mut change in changes {
            change.micros_per_quarter = change.micros_per_quarter.clamp(1, TempoChange::MAX_MICROS);
            match kept.last_mut() {
                Some(last) if last.tick == change.tick => *last = change,
                _ => kept.push(change),
            }
        }
        let per_quarter = f64::from(ticks_per_quarter.get());
        let mut secs = Vec::with_capacity(kept.len());
        let mut now = 0.0;
        for (idx, change) in kept.iter().enumerate() {
            if idx > 0 {
                let before = kept[idx - 1];
                let ticks = f64::from(change.tick.0 - before.tick.0);
                now += ticks * f64::from(before.micros_per_quarter) / (1e6 * per_quarter);
            }
            secs.push(now);
        }
        Self { ticks_per_quarter, changes: kept, secs }
    }

    /// One tempo throughout.
    pub fn constant(ticks_per_quarter: TicksPerQuarter, micros_per_quarter: u32) -> Self {
        Self::new(ticks_per_quarter, vec![TempoChange { tick: Tick::ZERO, micros_per_quarter }])
    }

    pub fn ticks_per_quarter(&self) -> TicksPerQuarter {
        self.ticks_per_quarter
    }

    /// At least one, the first at tick 0, ascending.
    pub fn changes(&self) -> &[TempoChange] {
        &self.changes
    }

    /// Seconds from the start of the piece.
    pub fn secs_from_tick(&self, tick: Tick) -> f64 {
        let idx = self.changes.partition_point(|change| change.tick <= tick) - 1;
        let change = self.changes[idx];
        let ticks = f64::from(tick.0 - change.tick.0);
        self.secs[idx] + ticks * self.secs_per_tick(change)
    }

    /// For asking [`TempoMap::secs_from_tick`] about many ticks, each near the one before.
    pub fn cursor(&self) -> TempoCursor<'_> {
        let (from, to) = (Tick::ZERO, Tick::ZERO);
        TempoCursor { map: self, next: 0, from, to, secs: 0.0, secs_per_tick: 0.0 }
    }

    /// The nearest tick to a time; negative times and NaN give 0, times past the last tick the
    /// last tick.
    pub fn tick_from_secs(&self, secs: f64) -> Tick {
        if secs.is_nan() || secs <= 0.0 {
            return Tick::ZERO;
        }
        let idx = self.secs.partition_point(|start| *start <= secs).max(1) - 1;
        let change = self.changes[idx];
        let ticks = (secs - self.secs[idx]) / self.secs_per_tick(change);
        let ticks = (f64::from(change.tick.0) + ticks).round();
        // A float to integer cast saturates.
        Tick(ticks as u32)
    }

    /// The change in force at a tick.
    pub fn tempo_at(&self, tick: Tick) -> TempoChange {
        self.changes[self.changes.partition_point(|change| change.tick <= tick) - 1]
    }

    fn secs_per_tick(&self, change: TempoChange) -> f64 {
        f64::from(change.micros_per_quarter) / (1e6 * f64::from(self.ticks_per_quarter.get()))
    }
}

/// A place in a [`TempoMap`]: the stretch of one tempo that was asked about last.
#[derive(Clone, Debug)]
pub struct TempoCursor<'a> {
    map: &'a TempoMap,
    /// The change that ends the stretch.
    next: usize,
    /// The stretch begins here, and the next one there (nothing is known while it is empty).
    from: Tick,
    to: Tick,
    /// Seconds at its beginning.
    secs: f64,
    secs_per_tick: f64,
}

impl TempoCursor<'_> {
    /// As [`TempoMap::secs_from_tick`], to the last bit.
    #[inline]
    pub fn secs_from_tick(&mut self, tick: Tick) -> f64 {
        if tick < self.from || tick >= self.to {
            self.go_to(tick);
        }
        self.secs + f64::from(tick.0 - self.from.0) * self.secs_per_tick
    }

    fn go_to(&mut self, tick: Tick) {
        let changes = &self.map.changes;
        let begun = |change: &TempoChange| change.tick <= tick;
        let near =
            self.next.saturating_sub(Self::NEAR)..(self.next + Self::NEAR).min(changes.len());
        let is_near = changes.get(near.start).is_some_and(begun)
            && changes.get(near.end).is_none_or(|after| !begun(after));
        let next = match is_near {
            true => near.start + changes[near].partition_point(begun),
            false => changes.partition_point(begun),
        };
        let change = changes[next - 1];
        self.next = next;
        self.from = change.tick;
        // The last stretch has no end, and the last tick is in no other one.
        self.to = changes.get(next).map_or(Tick(u32::MAX), |next| next.tick);
        self.secs = self.map.secs[next - 1];
        self.secs_per_tick = self.map.secs_per_tick(change);
    }

    /// Changes on either side that are looked at before all of them are.
    const NEAR: usize = 4;
}

impl Default for TempoMap {
    fn default() -> Self {
        Self::constant(TicksPerQuarter::DEFAULT, Self::DEFAULT_MICROS)
    }
}

impl TryFrom<TempoMapFile> for TempoMap {
    type Error = &'static str;

    fn try_from(file: TempoMapFile) -> Result<Self, Self::Error> {
        let ticks_per_quarter = TicksPerQuarter::new(file.ticks_per_quarter)
            .ok_or("a quarter note has 1 to 32,767 ticks")?;
        let possible = 1..=TempoChange::MAX_MICROS;
        if file.changes.iter().any(|change| !possible.contains(&change.micros_per_quarter)) {
            return Err("a tempo isn't one: a quarter note lasts 1 to 16,777,215 microseconds");
        }
        Ok(Self::new(ticks_per_quarter, file.changes))
    }
}

impl From<TempoMap> for TempoMapFile {
    fn from(map: TempoMap) -> Self {
        Self { ticks_per_quarter: map.ticks_per_quarter.0.get(), changes: map.changes }
    }
}

/// A time signature: `numerator` notes of 1/2^`denominator_power` in a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Meter {
    /// 1–255.
    pub numerator: u8,
    /// 0 for whole notes, 2 for quarters, at most 6 (sixty-fourths).
    pub denominator_power: u8,
}

impl Meter {
    pub const COMMON: Self = Self { numerator: 4, denominator_power: 2 };

    /// The finest denominator that is understood: 2^6, sixty-fourths.
    pub const MAX_DENOMINATOR_POWER: u8 = 6;

    /// Ticks of one beat (one note of the denominator), at least 1.
    pub fn ticks_per_beat(self, ticks_per_quarter: TicksPerQuarter) -> u32 {
        ((ticks_per_quarter.get() * 4) >> self.denominator_power.min(Self::MAX_DENOMINATOR_POWER))
            .max(1)
    }

    /// Ticks of one bar, at least 1.
    pub fn ticks_per_bar(self, ticks_per_quarter: TicksPerQuarter) -> u32 {
        self.ticks_per_beat(ticks_per_quarter) * u32::from(self.numerator.max(1))
    }
}

/// "6/8".
impl std::fmt::Display for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let power = self.denominator_power.min(Self::MAX_DENOMINATOR_POWER);
        write!(f, "{}/{}", self.numerator, 1u32 << power)
    }
}

/// From `tick` on, bars follow `meter`; a change begins a new bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MeterChange {
    pub tick: Tick,
    pub meter: Meter,
}

/// A position as musicians count it: bar and beat from 1, then ticks into the beat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BarBeat {
    pub bar: u32,
    pub beat: u32,
    pub tick: u32,
}

impl std::fmt::Display for BarBeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{:03}", self.bar, self.beat, self.tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tempo_change_inside_a_note_counts_on_both_sides() {
        let quarter = TicksPerQuarter::new(480).unwrap();
        let change =
            |tick, micros_per_quarter| TempoChange { tick: Tick(tick), micros_per_quarter };
        let map = TempoMap::new(quarter, vec![change(480, 2_000_000), change(0, 500_000)]);
        assert_eq!(map.secs_from_tick(Tick(960)), 2.5);
        assert_eq!(map.tick_from_secs(2.5), Tick(960));
    }

    #[test]
    fn any_number_becomes_a_tempo_and_a_stored_one_must_be_one() {
        let micros = |quarters_per_minute| {
            TempoChange::from_quarters_per_minute(Tick(3), quarters_per_minute).micros_per_quarter
        };
        assert_eq!((micros(120.0), micros(96.0)), (500_000, 625_000));
        assert_eq!((micros(f64::NAN), micros(f64::INFINITY)), (500_000, TempoChange::MIN_MICROS));
        for too_slow in [0.0, -0.0, 1e-300, -120.0, f64::NEG_INFINITY] {
            let found = micros(too_slow);
            assert!(found == TempoChange::MAX_MICROS || found == TempoChange::MIN_MICROS);
        }
        assert_eq!(micros(0.0), TempoChange::MAX_MICROS);
        for (micros, is_one) in [(0, false), (1, true), (16_777_215, true), (16_777_216, false)] {
            let text = format!(
                r#"{{"ticks_per_quarter":480,"changes":[{{"tick":0,"micros_per_quarter":{micros}}}]}}"#
            );
            assert_eq!(serde_json::from_str::<TempoMap>(&text).is_ok(), is_one, "{micros}");
        }
    }

    proptest! {
        #[test]
        fn ticks_survive_the_way_to_seconds_and_back(
            division in 1u16..=0x7fff,
            changes in prop::collection::vec((0u32..100_000, 20_000u32..2_000_000), 0..8),
            tick in 0u32..200_000,
        ) {
            let changes = changes
                .into_iter()
                .map(|(tick, micros_per_quarter)| TempoChange { tick: Tick(tick), micros_per_quarter })
                .collect();
            let map = TempoMap::new(TicksPerQuarter::new(division).unwrap(), changes);
            prop_assert_eq!(map.tick_from_secs(map.secs_from_tick(Tick(tick))), Tick(tick));
        }

        #[test]
        fn a_cursor_says_what_the_map_says(
            changes in prop::collection::vec((0u32..10_000, 1u32..2_000_000), 0..40),
            ticks in prop::collection::vec(prop_oneof![0u32..12_000, Just(u32::MAX)], 0..60),
        ) {
            let changes = changes
                .into_iter()
                .map(|(tick, micros_per_quarter)| TempoChange { tick: Tick(tick), micros_per_quarter })
                .collect();
            let map = TempoMap::new(TicksPerQuarter::DEFAULT, changes);
            let mut cursor = map.cursor();
            for tick in ticks {
                let (found, expected) =
                    (cursor.secs_from_tick(Tick(tick)), map.secs_from_tick(Tick(tick)));
                prop_assert_eq!(found.to_bits(), expected.to_bits());
            }
        }
    }
}
