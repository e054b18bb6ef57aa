//! Which values an axis names: round ones, some five of them, on straight and logarithmic axes.
//! Pure.

use std::ops::RangeInclusive;

/// About so many marks stand on an axis.
const N_MARKS: f64 = 5.0;

/// A place on the axis, and how far the next one is, both as heights.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tick {
    pub height: f64,
    pub step: f64,
}

/// Round values of a straight axis.
pub fn straight(shown: &RangeInclusive<f64>) -> Vec<Tick> {
    let Some((step, values)) = round_values(shown) else { return Vec::new() };
    values.into_iter().map(|height| Tick { height, step }).collect()
}

/// Whole values of an axis, at least `least` apart, from 0 on: epochs.
pub fn whole(shown: &RangeInclusive<f64>, least: f64) -> Vec<Tick> {
    let Some(step) = round_step(least.max(1.0)) else { return Vec::new() };
    let first = (shown.start().max(0.0) / step).ceil();
    let values = (0..100).map(|idx| (first + f64::from(idx)) * step);
    let shown_ones = values.take_while(|value| value <= shown.end());
    shown_ones.map(|height| Tick { height, step }).collect()
}

/// Powers of ten where there are enough of them, their doubles and halves where there are a few,
/// otherwise round values; heights are decimal logarithms.
pub fn logarithmic(shown: &RangeInclusive<f64>) -> Vec<Tick> {
    let n_powers = (shown.end() - shown.start()).floor();
    if n_powers == 1.0 {
        let first = shown.start().floor();
        let powers = (0..4).map(|idx| first + f64::from(idx));
        let heights = powers.flat_map(|power| [1.0f64, 2.0, 5.0].map(|it| power + it.log10()));
        let heights = heights.filter(|height| shown.contains(height));
        return heights.map(|height| Tick { height, step: 2f64.log10() }).collect();
    }
    if n_powers >= 2.0 {
        let step = (n_powers / N_MARKS).ceil();
        let first = (shown.start() / step).ceil() * step;
        let heights = (0..100).map(|idx| first + f64::from(idx) * step);
        let heights = heights.take_while(|height| height <= shown.end());
        return heights.map(|height| Tick { height, step }).collect();
    }
    let values = 10f64.powf(*shown.start())..=10f64.powf(*shown.end());
    let Some((step, values)) = round_values(&values) else { return Vec::new() };
    let heights = values.into_iter().filter(|value| *value > 0.0);
    let tick = |value: f64| Tick { height: value.log10(), step: (1.0 + step / value).log10() };
    heights.map(tick).collect()
}

/// The multiples of a round step in a range: 1, 2 or 5 times a power of ten.
fn round_values(range: &RangeInclusive<f64>) -> Option<(f64, Vec<f64>)> {
    let rough = (range.end() - range.start()) / N_MARKS;
    let step = round_step(rough)?;
    let first = (range.start() / step).ceil();
    let values = (0..100).map(|idx| (first + f64::from(idx)) * step);
    Some((step, values.take_while(|value| value <= range.end()).collect()))
}

/// The smallest round step that isn't smaller than this one.
fn round_step(rough: f64) -> Option<f64> {
    if !rough.is_finite() || rough <= 0.0 {
        return None;
    }
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    steps.into_iter().find(|step| *step >= rough * 0.999)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(ticks: &[Tick]) -> Vec<f64> {
        ticks.iter().map(|tick| (10f64.powf(tick.height) * 1e3).round() / 1e3).collect()
    }

    #[test]
    fn a_straight_axis_names_round_values() {
        let heights = |range| straight(&range).iter().map(|tick| tick.height).collect::<Vec<_>>();
        assert_eq!(heights(0.3..=9.9), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(heights(0.0..=4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(heights(-1.5..=0.5), [-1.5, -1.0, -0.5, 0.0, 0.5]);
        assert!(straight(&(1.0..=1.0)).is_empty());
    }

    #[test]
    fn epochs_are_named_as_often_as_there_is_room() {
        let heights =
            |range, least| whole(&range, least).iter().map(|tick| tick.height).collect::<Vec<_>>();
        assert_eq!(heights(-0.2..=4.2, 0.1), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(heights(-0.2..=10.2, 1.2), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(heights(12.0..=34.0, 3.0), [15.0, 20.0, 25.0, 30.0]);
        assert_eq!(heights(0.0..=2_000.0, 201.0), [0.0, 500.0, 1_000.0, 1_500.0, 2_000.0]);
        assert!(heights(0.0..=f64::INFINITY, f64::INFINITY).is_empty());
    }

    #[test]
    fn a_logarithmic_axis_names_round_values_or_powers_of_ten() {
        let range = |low: f64, high: f64| low.log10()..=high.log10();
        assert_eq!(values(&logarithmic(&range(1_640.0, 1_930.0))), [1_700.0, 1_800.0, 1_900.0]);
        assert_eq!(values(&logarithmic(&range(0.9, 20_000.0))), [1.0, 10.0, 100.0, 1e3, 1e4]);
        assert_eq!(values(&logarithmic(&range(90.0, 1_500.0))), [100.0, 200.0, 500.0, 1e3]);
        let many = logarithmic(&(0.0..=30.0));
        assert!((3..=6).contains(&many.len()), "{many:?}");
    }
}
