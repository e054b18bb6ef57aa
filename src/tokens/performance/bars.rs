//! Where in the bar a frame of the beat grid is.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::music::{Meter, MeterChange, Tick, TicksPerQuarter};
use crate::tokens::StepsPerQuarter;

/// The parts of a quarter in which positions are counted: every grid and every meter to
/// sixty-fourths has a whole number of them in a frame and in a bar.
const PER_QUARTER: u32 = 48;

/// A place in a bar, in 48ths of a quarter note.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BarPosition {
    /// From the bar's beginning, less than `bar`.
    pub into: u16,
    /// The bar's length.
    pub bar: u16,
    /// The length of one beat, a note of the meter's denominator.
    pub beat: u16,
}

impl BarPosition {
    /// How much of the bar is past, from 0 to less than 1.
    pub fn share(self) -> f32 {
        f32::from(self.into) / f32::from(self.bar.max(1))
    }
}

/// The bars of a performance on the beat grid, through all changes of meter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FrameBars {
    steps: StepsPerQuarter,
    /// Where frame 0 lies in the score, in frames.
    lead: u32,
    /// Where each meter begins, in 48ths of a quarter from the score's beginning: the first at
    /// 0, ascending.
    sections: Vec<(u64, Meter)>,
}

impl FrameBars {
    /// One meter throughout, from frame 0 on.
    pub fn new(steps: StepsPerQuarter, meter: Meter) -> Self {
        Self { steps, lead: 0, sections: vec![(0, meter)] }
    }

    /// Those of a score whose frame `lead` is the performance's first; `meters` in any order, of
    /// several at one tick the last counts, before the first one it is common time.
    pub(super) fn of_meters(
        steps: StepsPerQuarter,
        lead: u32,
        meters: &[MeterChange],
        ticks_per_quarter: TicksPerQuarter,
    ) -> Self {
        let place = |tick: Tick| {
            let parts = u64::from(tick.0) * u64::from(PER_QUARTER);
            let per_quarter = u64::from(ticks_per_quarter.get());
            (parts + per_quarter / 2) / per_quarter
        };
        let mut sections = vec![(0, Meter::COMMON)];
        sections.extend(meters.iter().map(|change| (place(change.tick), change.meter)));
        sections.sort_by_key(|section| section.0);
        sections.reverse();
        sections.dedup_by_key(|section| section.0);
        sections.reverse();
        Self { steps, lead, sections }
    }

    pub fn steps_per_quarter(&self) -> StepsPerQuarter {
        self.steps
    }

    /// Where a frame begins in its bar. Frames past the end go on in the last meter.
    pub fn position(&self, frame: u32) -> BarPosition {
        let per_frame = u64::from(PER_QUARTER) / u64::from(self.steps.get());
        let place = (u64::from(self.lead) + u64::from(frame)) * per_frame;
        let after = self.sections.partition_point(|section| section.0 <= place);
        let first = (0, Meter::COMMON);
        let (start, meter) = self.sections.get(after.wrapping_sub(1)).copied().unwrap_or(first);
        let ticks = TicksPerQuarter::new(PER_QUARTER as u16).unwrap_or(TicksPerQuarter::DEFAULT);
        // 255 whole notes of 192 parts are less than 65,536.
        let (bar, beat) = (meter.ticks_per_bar(ticks) as u16, meter.ticks_per_beat(ticks) as u16);
        let into = ((place - start) % u64::from(bar.max(1))) as u16;
        BarPosition { into, bar, beat }
    }

    /// Whole frames from the beginning of its bar to a frame.
    pub fn frames_into_bar(&self, frame: u32) -> u32 {
        u32::from(self.position(frame).into) * u32::from(self.steps.get()) / PER_QUARTER
    }

    /// Frames of the bar that a frame lies in; `None` where that is no whole number.
    pub fn frames_per_bar(&self, frame: u32) -> Option<NonZeroU32> {
        let parts = u32::from(self.position(frame).bar) * u32::from(self.steps.get());
        NonZeroU32::new(parts / PER_QUARTER).filter(|_| parts.is_multiple_of(PER_QUARTER))
    }

    /// What a stored one must promise before it is used.
    pub(in crate::tokens) fn holds_together(&self) -> bool {
        let is_meter = |meter: Meter| {
            meter.numerator > 0 && meter.denominator_power <= Meter::MAX_DENOMINATOR_POWER
        };
        self.sections.first().is_some_and(|first| first.0 == 0)
            && self.sections.is_sorted_by(|a, b| a.0 < b.0)
            && self.sections.iter().all(|section| is_meter(section.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Position in the bar of each frame, in frames, for meters `(tick, numerator, power)` at 480
    /// a quarter.
    fn check(steps: u8, lead: u32, meters: &[(u32, u8, u8)], n_frames: u32) -> Vec<f64> {
        let change = |(tick, numerator, denominator_power): &(u32, u8, u8)| MeterChange {
            tick: Tick(*tick),
            meter: Meter { numerator: *numerator, denominator_power: *denominator_power },
        };
        let meters: Vec<MeterChange> = meters.iter().map(change).collect();
        let steps = StepsPerQuarter::new(steps).unwrap();
        let bars = FrameBars::of_meters(steps, lead, &meters, TicksPerQuarter::DEFAULT);
        assert!(bars.holds_together());
        let frame = 48.0 / f64::from(steps.get());
        let places = (0..n_frames).map(|idx| f64::from(bars.position(idx).into) / frame);
        let places: Vec<f64> = places.collect();
        let whole = (0..n_frames).map(|idx| f64::from(bars.frames_into_bar(idx)));
        assert!(whole.eq(places.iter().map(|place| place.floor())));
        places
    }

    #[test]
    fn frames_are_counted_from_the_bar_line() {
        assert_eq!(check(1, 0, &[], 6), [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]);
        assert_eq!(check(1, 3, &[], 3), [3.0, 0.0, 1.0]);
        assert_eq!(check(2, 0, &[(0, 3, 2)], 8), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0]);
        // An upbeat of one eighth, then 3/8.
        assert_eq!(check(2, 0, &[(0, 1, 3), (240, 3, 3)], 5), [0.0, 0.0, 1.0, 2.0, 0.0]);
        // A bar of one frame and a half.
        assert_eq!(check(1, 0, &[(0, 3, 3)], 4), [0.0, 1.0, 0.5, 0.0]);
        // Of two meters at one tick the last counts.
        assert_eq!(check(1, 0, &[(0, 3, 2), (0, 2, 2)], 3), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_bar_is_a_whole_number_of_frames_or_none() {
        let frames = |steps: u8, numerator| {
            let meter = Meter { numerator, denominator_power: 3 };
            let bars = FrameBars::new(StepsPerQuarter::new(steps).unwrap(), meter);
            bars.frames_per_bar(7).map(NonZeroU32::get)
        };
        assert_eq!((frames(4, 3), frames(2, 6), frames(1, 3)), (Some(6), Some(6), None));
    }

    #[test]
    fn the_longest_bar_is_counted() {
        let meter = Meter { numerator: 255, denominator_power: 0 };
        let position = FrameBars::new(StepsPerQuarter::SIXTEENTHS, meter).position(255 * 16 - 1);
        assert_eq!((position.into, position.bar, position.beat), (48_948, 48_960, 192));
        assert!(position.share() < 1.0);
    }
}
