//! The numbers behind the curves. Pure.

use std::ops::RangeInclusive;

use super::Measure;
use crate::model::{Baselines, EpochPoint, TrainingSettings};
use crate::ui::state::best_epoch;

/// Which pieces a line is measured on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Train,
    HeldOut,
}

/// Position in epochs and value.
pub type Line = Vec<[f64; 2]>;

/// The line of a measure over the epochs; points that aren't numbers are left out.
pub fn line(epochs: &[EpochPoint], measure: Measure, side: Side) -> Line {
    let points = epochs.iter().map(|point| [point.epoch as f64, value(point, measure, side)]);
    points.filter(|[_, y]| y.is_finite()).collect()
}

/// One epoch's value, NaN where it isn't known; accuracy in percent.
pub fn value(point: &EpochPoint, measure: Measure, side: Side) -> f64 {
    match (measure, side) {
        (Measure::Loss, Side::Train) => point.train_loss,
        (Measure::Loss, Side::HeldOut) => point.valid_loss,
        (Measure::Perplexity, Side::Train) => point.train_perplexity,
        (Measure::Perplexity, Side::HeldOut) => point.valid_perplexity,
        (Measure::Accuracy, Side::Train) => point.train_accuracy * 100.0,
        (Measure::Accuracy, Side::HeldOut) => point.valid_accuracy * 100.0,
        (Measure::Length, Side::HeldOut) => point.valid_length_loss.unwrap_or(f64::NAN),
        (Measure::Velocity, Side::HeldOut) => point.valid_velocity_loss.unwrap_or(f64::NAN),
        (Measure::Pedal, Side::HeldOut) => point.valid_pedal_loss.unwrap_or(f64::NAN),
        // While it learns these aren't told from the others.
        (Measure::Length | Measure::Velocity | Measure::Pedal, Side::Train) => f64::NAN,
    }
}

/// The live loss in the units of a measure; accuracy has none, nor has touch.
pub fn live(points: &[[f64; 2]], measure: Measure) -> Line {
    match measure {
        Measure::Loss => points.to_vec(),
        Measure::Perplexity => points.iter().map(|[x, loss]| [*x, loss.exp()]).collect(),
        Measure::Accuracy | Measure::Length | Measure::Velocity | Measure::Pedal => Line::new(),
    }
}

/// The same smoothed. Means are of losses: of perplexities the first steps, which are millions, would
/// outweigh all that follow.
pub fn live_smoothed(points: &[[f64; 2]], measure: Measure, share: f64) -> Line {
    live(&smoothed(points, share), measure)
}

/// Exponential smoothing: each point is `share` of the smoothed one before it and the rest of
/// itself, corrected for the start, where little came before. 0 changes nothing.
fn smoothed(line: &[[f64; 2]], share: f64) -> Line {
    let share = share.clamp(0.0, 0.999);
    let (mut mean, mut weight) = (0.0, 0.0);
    line.iter()
        .map(|[x, y]| {
            mean = share * mean + (1.0 - share) * y;
            weight = share * weight + (1.0 - share);
            [*x, mean / weight]
        })
        .collect()
}

/// The epochs after the best one in which the held-out loss stays above it: from two on it counts
/// as overfitting.
pub fn overfitting(epochs: &[EpochPoint]) -> Option<RangeInclusive<f64>> {
    let best = best_epoch(epochs)?;
    let last = epochs.last()?;
    let rises = last.valid_loss > best.valid_loss && last.epoch >= best.epoch + 2;
    rises.then_some(best.epoch as f64..=last.epoch as f64)
}

/// From the smallest to the largest value of some lines; `None` without points.
pub fn range<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Option<RangeInclusive<f64>> {
    let values = lines.into_iter().flatten().map(|[_, y]| *y).filter(|y| y.is_finite());
    values.fold(None, |range, y| Some(joined(range.unwrap_or(y..=y), y)))
}

fn joined(range: RangeInclusive<f64>, y: f64) -> RangeInclusive<f64> {
    range.start().min(y)..=range.end().max(y)
}

pub fn width(range: &RangeInclusive<f64>) -> f64 {
    range.end() - range.start()
}

/// Whether two ranges are so far from each other that on one axis neither would be seen to move.
/// Closer than `near` they stay together whatever they do.
pub fn lie_apart(one: &RangeInclusive<f64>, other: &RangeInclusive<f64>, near: f64) -> bool {
    let gap = (one.start() - other.end()).max(other.start() - one.end());
    gap > near && gap > 4.0 * width(one).max(width(other))
}

/// What an axis shows: the curves with a margin, and of the marks beside them those that leave the
/// curves a third of the height. Curves narrower than `least` are points, and all marks are shown.
pub fn axis(curves: RangeInclusive<f64>, marks: &[f64], least: f64) -> RangeInclusive<f64> {
    let span = width(&curves);
    let most = if span < least { f64::INFINITY } else { 3.0 * span };
    let mut marks = marks.to_vec();
    let middle = (curves.start() + curves.end()) / 2.0;
    marks.sort_by(|one, other| (one - middle).abs().total_cmp(&(other - middle).abs()));
    let mut shown = curves;
    for mark in marks {
        let wider = joined(shown.clone(), mark);
        if width(&wider) <= most {
            shown = wider;
        }
    }
    let margin = (width(&shown) * 0.12).max(least / 2.0);
    shown.start() - margin..=shown.end() + margin
}

/// What counting alone reaches, as the legend names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    pub name: &'static str,
    pub tooltip: &'static str,
    /// In the units of the measure.
    pub value: f64,
}

/// What the baselines of a run count: beside a network with touch they are asked as it is, where
/// something changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// The chord of each frame.
    Chords,
    /// Chords, strikes and lengths.
    Touch,
}

impl Counted {
    pub fn by(settings: &TrainingSettings) -> Self {
        if settings.has_touch() { Self::Touch } else { Self::Chords }
    }

    /// Names and tooltips of those of the loss, then of those of the accuracy.
    fn words(self) -> [(&'static str, &'static str); 4] {
        let tooltips = match self {
            Self::Chords => [
                "What comes of expecting each chord as often as it was seen in the pieces to learn \
                 from",
                "The same, but one time in ten the chord before is expected once more",
                "How often the chord is right that is the commonest in the pieces to learn from",
                "How often the chord before is right",
            ],
            Self::Touch => [
                "What comes of expecting chords, strikes and lengths as often as they were seen in \
                 the pieces to learn from: what sounds where something changes, what of it is \
                 struck again, and how long nothing changes then",
                "The same, but one time in ten the chord from before the change is expected once \
                 more",
                "How often the chord is right that music changes to most often in the pieces to \
                 learn from",
                "In how many frames the chord from before the last change is right: what was \
                 expected at a change counts for all frames until the next",
            ],
        };
        let names = ["counting", "with repeats", "the commonest chord", "the same again"];
        std::array::from_fn(|idx| (names[idx], tooltips[idx]))
    }
}

/// At most two of a measure, always in the same order.
pub fn baselines(baselines: &Baselines, counted: Counted, measure: Measure) -> Vec<Baseline> {
    let [counting, with_repeats, commonest, same_again] = counted.words();
    let perplexities =
        [(counting, baselines.unigram_perplexity), (with_repeats, baselines.mixed_perplexity)];
    let shares = [(commonest, baselines.unigram_accuracy), (same_again, baselines.repeat_accuracy)];
    let (known, unit): (_, fn(f64) -> f64) = match measure {
        Measure::Perplexity => (perplexities, |it| it),
        Measure::Loss => (perplexities, f64::ln),
        Measure::Accuracy => (shares, |it| it * 100.0),
        // Lengths are a part of the loss that isn't told by itself; velocities and the pedal aren't
        // counted at all.
        Measure::Length | Measure::Velocity | Measure::Pedal => return Vec::new(),
    };
    let named = known.map(|((name, tooltip), it)| Baseline { name, tooltip, value: unit(it) });
    named.into_iter().filter(|baseline| baseline.value.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(losses: &[f64]) -> Vec<EpochPoint> {
        let points = losses.iter().enumerate().map(|(idx, &loss)| EpochPoint {
            epoch: idx + 1,
            train_loss: loss,
            train_perplexity: loss.exp(),
            train_accuracy: 0.25,
            valid_loss: loss,
            valid_perplexity: loss.exp(),
            valid_accuracy: 0.25,
            valid_length_loss: None,
            valid_velocity_loss: None,
            valid_pedal_loss: None,
            learning_rate: 0.1,
            frames_per_second: 1.0,
            seconds: 1.0,
        });
        points.collect()
    }

    #[test]
    fn a_perplexity_is_smoothed_as_its_loss_is() {
        let losses = [[0.0, 14.0], [1.0, 6.0]];
        let line = live_smoothed(&losses, Measure::Perplexity, 0.5);
        assert!((line[1][1].ln() - (0.25 * 14.0 + 0.5 * 6.0) / 0.75).abs() < 1e-9);
        assert_eq!(live_smoothed(&losses, Measure::Loss, 0.0), losses);
    }

    #[test]
    fn smoothing_keeps_a_flat_line_and_its_first_point() {
        let flat: Line = (0..9).map(|x| [f64::from(x), 3.0]).collect();
        for (one, other) in smoothed(&flat, 0.9).iter().zip(&flat) {
            assert!((one[1] - other[1]).abs() < 1e-12);
        }
        let line = [[0.0, 1.0], [1.0, 5.0]];
        assert_eq!(smoothed(&line, 0.0), line);
        assert_eq!(smoothed(&line, 0.5)[0], [0.0, 1.0]);
        assert!((smoothed(&line, 0.5)[1][1] - 11.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn overfitting_is_from_the_best_epoch_on() {
        assert_eq!(overfitting(&epochs(&[3.0, 2.0, 1.0])), None);
        assert_eq!(overfitting(&epochs(&[3.0, 2.0, 2.1])), None);
        assert_eq!(overfitting(&epochs(&[3.0, 2.0, 2.1, 2.3])), Some(2.0..=4.0));
        assert_eq!(overfitting(&epochs(&[f64::NAN])), None);
    }

    #[test]
    fn ranges_far_from_each_other_lie_apart_until_they_move_as_much() {
        let far = |width: f64| lie_apart(&(7.4..=7.5), &(18.0 - width..=18.0), 1.0);
        assert!(far(0.0) && far(1.0));
        assert!(!far(4.0), "a curve that moves so much is seen beside the other");
        assert!(lie_apart(&(18.0..=18.1), &(7.4..=7.5), 1.0), "in either order");
        assert!(!lie_apart(&(5.0..=5.0), &(5.9..=5.9), 1.0), "near each other");
        assert!(!lie_apart(&(5.0..=6.0), &(5.5..=9.0), 1.0), "one over the other");
    }

    #[test]
    fn an_axis_shows_the_marks_that_leave_the_curves_room() {
        let shown = axis(10.0..=11.0, &[9.5, 30.0], 0.01);
        assert!(shown.contains(&9.5) && !shown.contains(&30.0));
        assert!(width(&shown) <= 4.0, "{shown:?}");
        // One point shows no movement that could be hidden.
        assert!(axis(10.0..=10.0, &[30.0], 0.01).contains(&30.0));
        let point = axis(10.0..=10.0, &[], 0.01);
        assert!(width(&point) > 0.0 && point.contains(&10.0));
    }

    #[test]
    fn the_range_of_lines_passes_over_what_is_no_number() {
        let lines: [Line; 2] = [vec![[0.0, 3.0], [1.0, f64::NAN]], vec![[0.0, -1.0]]];
        assert_eq!(range(&lines), Some(-1.0..=3.0));
        assert_eq!(range(&[Line::new()]), None);
    }

    #[test]
    fn measures_are_in_their_own_units() {
        let epochs = epochs(&[1.0, f64::NAN]);
        assert_eq!(line(&epochs, Measure::Accuracy, Side::HeldOut), [[1.0, 25.0], [2.0, 25.0]]);
        assert_eq!(line(&epochs, Measure::Loss, Side::Train), [[1.0, 1.0]]);
        assert!(live(&[[0.5, 1.0]], Measure::Accuracy).is_empty());
        assert_eq!(live(&[[0.5, 0.0]], Measure::Perplexity), [[0.5, 1.0]]);
    }

    #[test]
    fn what_counting_reaches_is_explained_as_it_was_counted() {
        let known = Baselines {
            unigram_perplexity: 100.0,
            unigram_accuracy: 0.1,
            repeat_accuracy: 0.3,
            mixed_perplexity: f64::INFINITY,
        };
        let chords = TrainingSettings::chords();
        let touch = TrainingSettings::default();
        assert!(touch.has_touch());
        let told = |settings: &TrainingSettings, measure| {
            let told = baselines(&known, Counted::by(settings), measure);
            told.into_iter().map(|it| (it.name, it.tooltip, it.value)).collect::<Vec<_>>()
        };
        for measure in [Measure::Loss, Measure::Perplexity, Measure::Accuracy] {
            let pairs = told(&chords, measure).into_iter().zip(told(&touch, measure));
            for ((name, plain, value), (same, with_touch, other)) in pairs {
                assert_eq!((name, value), (same, other));
                assert_ne!(plain, with_touch);
                assert!(with_touch.contains("chang") && !plain.contains("chang"));
            }
        }
        assert_eq!(told(&touch, Measure::Perplexity).len(), 1, "the other is no number");
        assert!(told(&touch, Measure::Length).is_empty());
    }
}
