//! How fast what a model composes is played, and how music is read for it: what its card says of
//! frames and touch.

use std::num::NonZeroU32;

use super::checkpoint::{FamilyCard, ModelCard};
use crate::tokens::{FrameRate, Grid, PerformancePlan, StepsPerQuarter, Touch};

/// How a model reads music that it goes on from.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ReadingPlan {
    pub music: PerformancePlan,
    /// For a model that knows where in the bar it is.
    pub frames_per_bar: Option<NonZeroU32>,
}

impl ModelCard {
    /// How it reads music that it goes on from.
    pub fn reading_plan(&self) -> ReadingPlan {
        let touch = if self.has_touch() { Touch::Kept } else { Touch::Ignored };
        let music = PerformancePlan { frames: self.plan, touch };
        ReadingPlan { music, frames_per_bar: self.frames_per_bar() }
    }

    /// The output rate, and the note that a frame is written as, where somebody asks for a rate or
    /// nobody does. `quarters_per_second` is the tempo for frames on the beat grid.
    ///
    /// Chords are played as the original played them, whatever they were learned at. With touch
    /// music is played in its own time: at the rate it was learned at, or on its grid. Frames in
    /// real time are written as the note that makes the tempo nearest to 120 quarters a minute.
    pub fn playing(&self, asked: Option<FrameRate>, quarters_per_second: f64) -> (FrameRate, Grid) {
        if !self.has_touch() {
            return (asked.unwrap_or(FrameRate::OUTPUT_DEFAULT), Grid::Seconds);
        }
        match self.plan.grid {
            Grid::Seconds => {
                let rate = asked.unwrap_or(self.plan.rate);
                (rate, Grid::Beats(written_as(rate)))
            }
            Grid::Beats(steps) => {
                let rate = |quarters: f64| FrameRate::new(f64::from(steps.get()) * quarters);
                let in_tempo = rate(quarters_per_second).unwrap_or(FrameRate::OUTPUT_DEFAULT);
                (asked.unwrap_or(in_tempo), self.plan.grid)
            }
        }
    }

    /// Frames of a bar, for a model that knows where in the bar it is: those of common time, in which
    /// it composes unless what it goes on from is in another.
    pub fn frames_per_bar(&self) -> Option<NonZeroU32> {
        if !matches!(&self.family, FamilyCard::Keys(card) if card.has_clock) {
            return None;
        }
        let steps = self.plan.grid.steps_per_quarter()?;
        NonZeroU32::new(4 * u32::from(steps.get()))
    }

    /// Whether a frame is a step of the set that it learned from, of which nobody says how long it
    /// lasts; none for a model of chords, which doesn't tell.
    pub fn is_of_set(&self) -> Option<bool> {
        let FamilyCard::Keys(card) = &self.family else { return None };
        Some(card.has_clock && self.plan.grid == Grid::Seconds)
    }

    /// The tempo where nothing says another, in quarters a second.
    pub const USUAL_TEMPO: f64 = 2.0;
}

fn written_as(rate: FrameRate) -> StepsPerQuarter {
    let usual = rate.per_second() / ModelCard::USUAL_TEMPO;
    let distance = |steps: &StepsPerQuarter| (f64::from(steps.get()) / usual).ln().abs();
    let nearest =
        StepsPerQuarter::ALL.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.unwrap_or(StepsPerQuarter::SIXTEENTHS)
}

#[cfg(test)]
mod tests {
    use super::super::keys::Alphabet;
    use super::*;
    use crate::model::KeyCard;
    use crate::tokens::FramingPlan;

    #[test]
    fn frames_are_written_at_a_usual_tempo() {
        let steps = |per_second| written_as(FrameRate::new(per_second).unwrap()).get();
        assert_eq!([2.0, 8.0, 16.0, 32.0].map(steps), [1, 4, 8, 16]);
        assert_eq!((steps(0.1), steps(10.0), steps(200.0)), (1, 6, 24));
    }

    fn card(alphabet: Alphabet, per_second: f64, grid: Grid) -> ModelCard {
        let keys = KeyCard {
            key_hidden: 0,
            spell_hidden: 1,
            alphabet,
            has_clock: alphabet == Alphabet::Full,
        };
        let rate = FrameRate::new(per_second).unwrap();
        ModelCard {
            format_version: ModelCard::FORMAT_VERSION,
            family: FamilyCard::Keys(keys),
            layers: 1,
            hidden: 1,
            plan: FramingPlan { rate, grid, ..FramingPlan::default() },
            epoch: 0,
            steps_into_epoch: 0,
            valid_perplexity: None,
            about: String::new(),
            lessons: None,
        }
    }

    #[test]
    fn touch_is_played_in_its_own_time_and_chords_as_ever() {
        let asked = FrameRate::new(4.0).ok();
        let steps = |steps| Grid::Beats(StepsPerQuarter::new(steps).unwrap());
        let playing = |card: ModelCard, asked, tempo| {
            let (rate, grid) = card.playing(asked, tempo);
            (rate.per_second(), grid)
        };
        let chords = || card(Alphabet::OffOn, 16.0, Grid::Seconds);
        assert_eq!(playing(chords(), None, 2.0), (8.0, Grid::Seconds));
        assert_eq!(playing(chords(), asked, 2.0), (4.0, Grid::Seconds));
        let touch = || card(Alphabet::Full, 16.0, Grid::Seconds);
        assert_eq!(playing(touch(), None, 9.0), (16.0, steps(8)));
        assert_eq!(playing(touch(), asked, 2.0), (4.0, steps(2)));
        let beats = || card(Alphabet::Full, 2.0, steps(4));
        assert_eq!(playing(beats(), None, 1.5), (6.0, steps(4)));
        assert_eq!(playing(beats(), asked, 1.5), (4.0, steps(4)));
        assert_eq!(playing(beats(), None, f64::INFINITY), (8.0, steps(4)));
        let per_bar = |card: ModelCard| card.frames_per_bar().map(NonZeroU32::get);
        let chords_on_beats = card(Alphabet::OffOn, 2.0, steps(4));
        assert_eq!(
            (per_bar(touch()), per_bar(beats()), per_bar(chords_on_beats)),
            (None, Some(16), None)
        );
        assert_eq!(touch().reading_plan().music.touch, Touch::Kept);
        assert_eq!(chords().reading_plan().music.touch, Touch::Ignored);
    }
}
