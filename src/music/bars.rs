//! Where the bars of a piece begin and end.

use super::{Meter, MeterChange, Tick, TicksPerQuarter};

/// One bar, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    pub number: u32,
    pub start: Tick,
    /// Where the next one starts; earlier than its meter says if a change of meter cuts it short.
    pub end: Tick,
    pub meter: Meter,
}

/// The bars of a piece through all its changes of meter, found by binary search.
#[derive(Clone, PartialEq, Debug)]
pub struct BarGrid {
    ticks_per_quarter: TicksPerQuarter,
    /// Never empty, the first at tick 0.
    sections: Vec<Section>,
}

/// Bars of one meter.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Section {
    start: Tick,
    first_bar: u32,
    meter: Meter,
}

impl BarGrid {
    /// `meters` ascending by tick; before the first one it is common time.
    pub fn new(ticks_per_quarter: TicksPerQuarter, meters: &[MeterChange]) -> Self {
        let common = Section { start: Tick::ZERO, first_bar: 1, meter: Meter::COMMON };
        let mut sections = vec![common];
        for change in meters {
            let last = sections[sections.len() - 1];
            let passed = change.tick.saturating_sub(last.start).0;
            let n_bars = passed.div_ceil(last.meter.ticks_per_bar(ticks_per_quarter));
            if passed == 0 {
                sections.pop();
            }
            let first_bar = last.first_bar.saturating_add(n_bars);
            sections.push(Section { start: change.tick, first_bar, meter: change.meter });
        }
        Self { ticks_per_quarter, sections }
    }

    /// The bar that a tick lies in.
    pub fn bar_at(&self, tick: Tick) -> Bar {
        let idx = self.sections.partition_point(|section| section.start <= tick).max(1) - 1;
        let section = self.sections[idx];
        let per_bar = section.meter.ticks_per_bar(self.ticks_per_quarter);
        let n_passed = tick.saturating_sub(section.start).0 / per_bar;
        let start = Tick(section.start.0 + n_passed * per_bar);
        let mut end = start.saturating_add(Tick(per_bar));
        if let Some(next) = self.sections.get(idx + 1) {
            end = end.min(next.start);
        }
        Bar { number: section.first_bar.saturating_add(n_passed), start, end, meter: section.meter }
    }

    /// The tick that lies `n_bars` bars after `from`, after the same share of its bar; the last tick
    /// there is if that is further off.
    pub fn tick_after(&self, from: Tick, n_bars: f64) -> Tick {
        let mut bar = self.bar_at(from);
        let len = |bar: Bar| f64::from(bar.end.saturating_sub(bar.start).0);
        let mut left = f64::from(from.saturating_sub(bar.start).0) / len(bar) + n_bars;
        while left >= 1.0 {
            left -= 1.0;
            let next = self.bar_at(bar.end);
            if next.start <= bar.start {
                return bar.end;
            }
            bar = next;
        }
        bar.start.saturating_add(Tick((left * len(bar)).round() as u32))
    }

    /// The bars that touch a range of ticks, in order; the last is the one before `to`.
    pub fn bars_between(&self, from: Tick, to: Tick) -> impl Iterator<Item = Bar> {
        let first = (from < to).then(|| self.bar_at(from));
        std::iter::successors(first, move |bar| {
            (bar.end < to && bar.end > bar.start).then(|| self.bar_at(bar.end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(meters: &[(u32, u8, u8)], to: u32) -> Vec<(u32, u32, u32)> {
        let change = |(tick, numerator, denominator_power): &(u32, u8, u8)| MeterChange {
            tick: Tick(*tick),
            meter: Meter { numerator: *numerator, denominator_power: *denominator_power },
        };
        let meters: Vec<_> = meters.iter().map(change).collect();
        let grid = BarGrid::new(TicksPerQuarter::DEFAULT, &meters);
        let bars = grid.bars_between(Tick::ZERO, Tick(to));
        bars.map(|bar| (bar.number, bar.start.0, bar.end.0)).collect()
    }

    #[test]
    fn bars_follow_the_meter() {
        assert_eq!(check(&[], 1921), [(1, 0, 1920), (2, 1920, 3840)]);
        assert_eq!(check(&[(0, 3, 3)], 720), [(1, 0, 720)]);
        // An upbeat of one eighth.
        let upbeat = check(&[(0, 3, 3), (240, 3, 3)], 1000);
        assert_eq!(upbeat, [(1, 0, 240), (2, 240, 960), (3, 960, 1680)]);
    }

    #[test]
    fn so_many_bars_later_is_the_same_place_in_a_bar() {
        let meter = Meter { numerator: 3, denominator_power: 2 };
        // Two bars in four quarters, then in three.
        let change = MeterChange { tick: Tick(3840), meter };
        let grid = BarGrid::new(TicksPerQuarter::DEFAULT, &[change]);
        let after = |from: u32, n_bars: f64| grid.tick_after(Tick(from), n_bars).0;
        assert_eq!(after(0, 1.0), 1920);
        assert_eq!(after(0, 4.0), 3840 + 2 * 1440);
        assert_eq!(after(960, 0.5), 1920);
        assert_eq!(after(960, 2.0), 3840 + 720);
        assert_eq!(after(3840, 2.5), 3840 + 3600);
        assert_eq!(after(0, 0.0), 0);
        assert_eq!(after(5, f64::NAN), 0);
        assert_eq!(after(5, -3.0), 0);
        assert_eq!(after(0, 1e300), u32::MAX);
    }
}
