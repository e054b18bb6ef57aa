//! Beats and the grid that notes snap to, all in ticks.
//!
//! Bars are counted through every change of meter once, when a score is new, and then found by
//! binary search: a frame of the window asks for many.

use serde::{Deserialize, Serialize};

use crate::music::{self, BarGrid, Score, Tick, TicksPerQuarter};

/// Where bars begin in a score, with what a grid needs of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Bars {
    grid: BarGrid,
    ticks_per_quarter: TicksPerQuarter,
}

/// One bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// Counted from 1.
    pub number: u32,
    pub start: Tick,
    /// Where the next bar begins; a change of meter may cut a bar short.
    pub end: Tick,
    /// At least 1.
    pub ticks_per_beat: u32,
}

impl Bar {
    /// Where the beats of the bar begin, the first included.
    pub fn beats(self) -> impl Iterator<Item = Tick> {
        let step = self.ticks_per_beat as usize;
        (self.start.0..self.end.0).step_by(step).map(Tick)
    }
}

impl Bars {
    pub fn new(score: &Score) -> Self {
        let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
        Self { grid: score.bar_grid(), ticks_per_quarter }
    }

    /// The bar that holds the tick.
    pub fn at(&self, tick: Tick) -> Bar {
        self.measured(self.grid.bar_at(tick))
    }

    /// Bars from about the one that holds the tick on (never a later one), left out so that no
    /// two begin less than `min_ticks` apart: every second, fourth, eighth … by their numbers,
    /// so that the same ones are left while one scrolls. What is walked over depends on how many
    /// are found, never on how many there are.
    pub fn spaced(&self, tick: Tick, min_ticks: f64) -> impl Iterator<Item = Bar> {
        let bar = self.grid.bar_at(tick);
        let n_back = (bar.number - 1) % self.stride(bar, min_ticks);
        let back = u64::from(n_back) * u64::from(self.ticks_per_bar(bar));
        let first = u64::from(bar.start.0).saturating_sub(back);
        let first = self.grid.bar_at(Tick(u32::try_from(first).unwrap_or(bar.start.0)));
        std::iter::successors(Some(first), move |bar| self.spaced_after(*bar, min_ticks))
            .map(|bar| self.measured(bar))
    }

    fn spaced_after(&self, bar: music::Bar, min_ticks: f64) -> Option<music::Bar> {
        // A float to integer cast saturates.
        let at_least = Tick(bar.start.0.checked_add((min_ticks as u32).max(1))?);
        let next = self.grid.bar_at(at_least);
        let stride = self.stride(next, min_ticks);
        let n_past = (next.number - 1) % stride;
        if n_past == 0 && next.start == at_least {
            return Some(next);
        }
        // Should a change of meter lie between, any bar after it is far enough away too.
        let ahead = u64::from(stride - n_past) * u64::from(self.ticks_per_bar(next));
        let start = u32::try_from(u64::from(next.start.0) + ahead).ok()?;
        (start < u32::MAX).then(|| self.grid.bar_at(Tick(start)))
    }

    /// Every how many bars one is left: the least power of two that keeps them `min_ticks` apart.
    fn stride(&self, bar: music::Bar, min_ticks: f64) -> u32 {
        let bars = min_ticks / f64::from(self.ticks_per_bar(bar));
        (bars.ceil().clamp(1.0, 2_147_483_648.0) as u32).next_power_of_two()
    }

    fn ticks_per_bar(&self, bar: music::Bar) -> u32 {
        bar.meter.ticks_per_bar(self.ticks_per_quarter)
    }

    fn measured(&self, bar: music::Bar) -> Bar {
        let ticks_per_beat = bar.meter.ticks_per_beat(self.ticks_per_quarter);
        Bar { number: bar.number, start: bar.start, end: bar.end, ticks_per_beat }
    }
}

/// A note value, from a sixty-fourth to a bar.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum NoteValue {
    SixtyFourth,
    ThirtySecond,
    #[default]
    Sixteenth,
    Eighth,
    Quarter,
    Half,
    /// As long as the bar is at that place.
    Bar,
}

impl NoteValue {
    /// From the finest to the coarsest.
    pub const ALL: [Self; 7] = [
        Self::SixtyFourth,
        Self::ThirtySecond,
        Self::Sixteenth,
        Self::Eighth,
        Self::Quarter,
        Self::Half,
        Self::Bar,
    ];

    /// How many of them make a whole note; `None` for the bar.
    fn per_whole(self) -> Option<u64> {
        match self {
            Self::SixtyFourth => Some(64),
            Self::ThirtySecond => Some(32),
            Self::Sixteenth => Some(16),
            Self::Eighth => Some(8),
            Self::Quarter => Some(4),
            Self::Half => Some(2),
            Self::Bar => None,
        }
    }
}

/// What a note value is made into.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Division {
    #[default]
    Straight,
    /// Three in the time of two.
    Triplet,
    /// Half as long again.
    Dotted,
}

/// How far apart the lines are that notes snap to. A bar is never a triplet or dotted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct GridStep {
    value: NoteValue,
    division: Division,
}

/// As it stands in a file, where somebody may have written a dotted bar.
#[derive(Deserialize)]
struct GridStepFile {
    value: NoteValue,
    #[serde(default)]
    division: Division,
}

impl<'de> Deserialize<'de> for GridStep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = GridStepFile::deserialize(deserializer)?;
        Ok(Self::new(file.value, file.division))
    }
}

impl GridStep {
    /// A bar stays a bar, whatever the division.
    pub const fn new(value: NoteValue, division: Division) -> Self {
        match value {
            NoteValue::Bar => Self { value, division: Division::Straight },
            _ => Self { value, division },
        }
    }

    pub const fn straight(value: NoteValue) -> Self {
        Self { value, division: Division::Straight }
    }

    pub fn value(self) -> NoteValue {
        self.value
    }

    pub fn division(self) -> Division {
        self.division
    }

    /// All there are: straight ones from the finest to the coarsest, then triplets, then dotted.
    pub fn all() -> impl Iterator<Item = Self> {
        let divisions = [Division::Straight, Division::Triplet, Division::Dotted];
        divisions.into_iter().flat_map(|division| {
            let steps = NoteValue::ALL.map(|value| Self::new(value, division));
            steps.into_iter().filter(move |step| step.division == division)
        })
    }

    /// "1/16", "1/8 triplet", "1/4 dotted", "bar".
    pub fn label(self) -> String {
        let Some(n) = self.value.per_whole() else { return "bar".to_owned() };
        match self.division {
            Division::Straight => format!("1/{n}"),
            Division::Triplet => format!("1/{n} triplet"),
            Division::Dotted => format!("1/{n} dotted"),
        }
    }

    /// Its length as a fraction of a whole note; `None` for the bar.
    fn fraction(self) -> Option<(u64, u64)> {
        let n = self.value.per_whole()?;
        Some(match self.division {
            Division::Straight => (1, n),
            Division::Triplet => (2, 3 * n),
            Division::Dotted => (3, 2 * n),
        })
    }

    /// Length of a step in a bar, at least one tick.
    pub fn ticks(self, ticks_per_quarter: TicksPerQuarter, bar: Bar) -> u32 {
        match self.fraction() {
            Some((part, of)) => ((whole_note(ticks_per_quarter) * part / of) as u32).max(1),
            None => bar.end.saturating_sub(bar.start).0.max(1),
        }
    }

    /// The last line at or before a tick. Lines are counted from the start of each bar; where a
    /// step isn't a whole number of ticks, each line is rounded down by itself, so that the
    /// error never adds up.
    pub fn line_before(self, tick: Tick, bars: &Bars, ticks_per_quarter: TicksPerQuarter) -> Tick {
        let bar = bars.at(tick);
        let Some((part, of)) = self.fraction() else { return bar.start };
        let whole = whole_note(ticks_per_quarter) * part;
        let k = line_index(tick, bar, whole, of);
        Tick(bar.start.0 + (k * whole / of) as u32)
    }

    /// The first line after a tick; the last tick there is when none comes any more.
    pub fn line_after(self, tick: Tick, bars: &Bars, ticks_per_quarter: TicksPerQuarter) -> Tick {
        let bar = bars.at(tick);
        let Some((part, of)) = self.fraction() else { return bar.end };
        let whole = whole_note(ticks_per_quarter) * part;
        let k = line_index(tick, bar, whole, of) + 1;
        let line = u64::from(bar.start.0) + k * whole / of;
        // A step finer than a tick (of > whole) may round down to where we are.
        let line = line.max(u64::from(tick.0) + 1).min(u64::from(bar.end.0));
        Tick(u32::try_from(line).unwrap_or(u32::MAX))
    }

    /// The first line at or after a tick.
    pub fn line_at_or_after(
        self,
        tick: Tick,
        bars: &Bars,
        ticks_per_quarter: TicksPerQuarter,
    ) -> Tick {
        match self.line_before(tick, bars, ticks_per_quarter) {
            before if before == tick => tick,
            _ => self.line_after(tick, bars, ticks_per_quarter),
        }
    }

    /// Which line of its bar the last line at or before a tick is, counted from 0.
    pub fn number_in_bar(self, tick: Tick, bars: &Bars, ticks_per_quarter: TicksPerQuarter) -> u64 {
        let Some((part, of)) = self.fraction() else { return 0 };
        line_index(tick, bars.at(tick), whole_note(ticks_per_quarter) * part, of)
    }

    /// The nearest line; halfway goes to the later one.
    pub fn nearest(self, tick: Tick, bars: &Bars, ticks_per_quarter: TicksPerQuarter) -> Tick {
        let before = self.line_before(tick, bars, ticks_per_quarter);
        let after = self.line_after(tick, bars, ticks_per_quarter);
        if tick.0 - before.0 < after.0.saturating_sub(tick.0) { before } else { after }
    }
}

fn whole_note(ticks_per_quarter: TicksPerQuarter) -> u64 {
    u64::from(ticks_per_quarter.get()) * 4
}

/// The largest line index k with floor(k · whole / of) ≤ the ticks from the start of the bar.
fn line_index(tick: Tick, bar: Bar, whole: u64, of: u64) -> u64 {
    let into = u64::from(tick.saturating_sub(bar.start).0);
    ((into + 1) * of).div_ceil(whole) - 1
}

/// What notes snap to: a step of the user's choice, or one that follows the zoom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grid {
    #[default]
    Adaptive,
    Fixed(GridStep),
}

impl Grid {
    /// The step in force: when adaptive, the finest whose lines are at least `min_ticks` apart
    /// in the bar.
    pub fn step(self, ticks_per_quarter: TicksPerQuarter, bar: Bar, min_ticks: f64) -> GridStep {
        match self {
            Self::Fixed(step) => step,
            Self::Adaptive => NoteValue::ALL
                .into_iter()
                .map(GridStep::straight)
                .find(|step| f64::from(step.ticks(ticks_per_quarter, bar)) >= min_ticks)
                .unwrap_or(GridStep::straight(NoteValue::Bar)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Meter, MeterChange, TempoMap};

    fn score(ticks_per_quarter: u16, meters: &[(u32, u8, u8)]) -> Score {
        let tpq = TicksPerQuarter::new(ticks_per_quarter).unwrap();
        let mut score = Score::piano(TempoMap::constant(tpq, 500_000), Vec::new());
        score.meters = meters
            .iter()
            .map(|&(tick, numerator, denominator_power)| MeterChange {
                tick: Tick(tick),
                meter: Meter { numerator, denominator_power },
            })
            .collect();
        score
    }

    #[test]
    fn bars_are_counted_as_the_score_counts_them() {
        let score = score(480, &[(0, 3, 2), (4000, 6, 3), (9000, 4, 2), (9000, 5, 2)]);
        let bars = Bars::new(&score);
        for tick in (0..40_000).step_by(7).map(Tick) {
            let (bar, counted) = (bars.at(tick), score.bar_beat_from_tick(tick));
            assert_eq!(bar.number, counted.bar, "{tick:?}");
            assert!(bar.start <= tick && tick < bar.end, "{tick:?} {bar:?}");
        }
        assert_eq!(bars.at(Tick(3999)).end, Tick(4000), "the change of meter cuts the bar");
    }

    #[test]
    fn spaced_bars_are_bars_and_keep_their_distance() {
        let many: Vec<_> = (0..500).map(|i| (i * 1000, (i % 7 + 1) as u8, 2)).collect();
        for meters in [vec![], vec![(0, 3, 2), (7000, 6, 3), (90_000, 4, 2)], many] {
            let bars = Bars::new(&score(480, &meters));
            for min_ticks in [1.0, 2000.0, 5000.5, 1e6, 1e12] {
                let found: Vec<Bar> = bars.spaced(Tick(30_000), min_ticks).take(300).collect();
                assert!(found.iter().all(|bar| bars.at(bar.start) == *bar));
                assert!(found.windows(2).all(|pair| {
                    f64::from(pair[1].start.0 - pair[0].start.0) >= min_ticks.floor()
                }));
            }
        }
    }

    #[test]
    fn bars_end_where_ticks_end() {
        let bars = Bars::new(&score(0x7fff, &[(u32::MAX - 5, 255, 0)]));
        assert_eq!(bars.at(Tick(u32::MAX)).end, Tick(u32::MAX));
        let last = bars.spaced(Tick(u32::MAX - 9_000_000), 70_000.0).last().unwrap();
        assert!(last.start.0 > u32::MAX - 9_000_000, "{last:?}");
    }

    #[test]
    fn lines_before_and_after_enclose_every_tick() {
        for (tpq, meters) in
            [(480, vec![(0, 4, 2)]), (24, vec![(0, 7, 3), (1000, 3, 2)]), (1, vec![])]
        {
            let score = score(tpq, &meters);
            let (bars, tpq) = (Bars::new(&score), score.tempo_map.ticks_per_quarter());
            for step in GridStep::all() {
                for tick in (0..3000).map(Tick) {
                    let before = step.line_before(tick, &bars, tpq);
                    let after = step.line_after(tick, &bars, tpq);
                    assert!(
                        before <= tick && tick < after,
                        "{step:?} {tick:?} {before:?} {after:?}"
                    );
                    assert_eq!(step.line_before(before, &bars, tpq), before);
                    assert_eq!(step.line_before(Tick(after.0 - 1), &bars, tpq), before);
                    let nearest = step.nearest(tick, &bars, tpq);
                    assert!(nearest == before || nearest == after);
                    let ceiling = step.line_at_or_after(tick, &bars, tpq);
                    assert_eq!(ceiling, if tick == before { tick } else { after });
                }
            }
        }
    }

    #[test]
    fn an_adaptive_grid_coarsens_as_one_zooms_out() {
        let score = score(480, &[]);
        let (bars, tpq) = (Bars::new(&score), score.tempo_map.ticks_per_quarter());
        let bar = bars.at(Tick(0));
        let step = |min_ticks| Grid::Adaptive.step(tpq, bar, min_ticks);
        assert_eq!(step(1.0), GridStep::straight(NoteValue::SixtyFourth));
        assert_eq!(step(121.0), GridStep::straight(NoteValue::Eighth));
        assert_eq!(step(1e9), GridStep::straight(NoteValue::Bar));
        let half = GridStep::straight(NoteValue::Half);
        assert_eq!(Grid::Fixed(half).step(tpq, bar, 1.0), half);
    }

    #[test]
    fn triplets_and_dots_have_their_lengths_and_names() {
        let score = score(480, &[]);
        let bars = Bars::new(&score);
        let tpq = score.tempo_map.ticks_per_quarter();
        let found: Vec<(String, u32)> =
            GridStep::all().map(|step| (step.label(), step.ticks(tpq, bars.at(Tick(0))))).collect();
        assert_eq!(found.len(), 19);
        for (label, ticks) in [
            ("bar", 1920),
            ("1/64", 30),
            ("1/8 triplet", 160),
            ("1/64 triplet", 20),
            ("1/4 dotted", 720),
            ("1/64 dotted", 45),
        ] {
            assert!(found.contains(&(label.to_owned(), ticks)), "{label}: {found:?}");
        }
        // A dotted quarter goes into a common bar twice and a bit: the next bar begins anew.
        let dotted = GridStep::new(NoteValue::Quarter, Division::Dotted);
        let lines: Vec<u32> =
            std::iter::successors(Some(Tick(0)), |it| Some(dotted.line_after(*it, &bars, tpq)))
                .map(|line| line.0)
                .take(5)
                .collect();
        assert_eq!(lines, [0, 720, 1440, 1920, 2640]);
        assert_eq!(dotted.number_in_bar(Tick(2650), &bars, tpq), 1);
    }

    #[test]
    fn a_grid_is_stored_and_a_dotted_bar_is_a_bar() {
        for step in GridStep::all() {
            let text = serde_json::to_string(&Grid::Fixed(step)).unwrap();
            assert_eq!(serde_json::from_str::<Grid>(&text).unwrap(), Grid::Fixed(step));
        }
        let odd = r#"{"value": "bar", "division": "dotted"}"#;
        let bar = GridStep::straight(NoteValue::Bar);
        assert_eq!(serde_json::from_str::<GridStep>(odd).unwrap(), bar);
    }
}
