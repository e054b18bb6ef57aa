//! The metronome's click, and counting in. Made here rather than by a font: it sounds the same with
//! every font, and with none.

use super::dynamics::MAKE_UP_GAIN;
use super::schedule::BeatPlace;

/// One click at a time: a sine that dies away.
#[derive(Debug)]
pub(super) struct Click {
    sample_rate: f32,
    /// Turns of the sine for each frame.
    step: f32,
    phase: f32,
    level: f32,
    fade: f32,
}

impl Click {
    const HERTZ: f32 = 1_100.0;
    /// A bar's first beat is a fifth higher, and louder.
    const FIRST_HERTZ: f32 = 1_650.0;
    /// As it comes out, before volume and limiter: clear above a mezzo-forte, no louder than a forte.
    const LEVEL: f32 = 0.22;
    const FIRST_LEVEL: f32 = 0.32;
    /// After this long it is 60 dB softer.
    const LENGTH_SECS: f32 = 0.06;
    /// −80 dB.
    const SILENCE: f32 = 1e-4;

    pub(super) fn new(sample_rate: u32) -> Self {
        let sample_rate = sample_rate.max(1) as f32;
        let fade = 0.001f32.powf(1.0 / (sample_rate * Self::LENGTH_SECS));
        Self { sample_rate, step: 0.0, phase: 0.0, level: 0.0, fade }
    }

    pub(super) fn strike(&mut self, is_first: bool) {
        let (hertz, level) = if is_first {
            (Self::FIRST_HERTZ, Self::FIRST_LEVEL)
        } else {
            (Self::HERTZ, Self::LEVEL)
        };
        self.step = hertz / self.sample_rate;
        self.phase = 0.0;
        // The make-up gain for the font comes after.
        self.level = level / MAKE_UP_GAIN;
    }

    pub(super) fn is_silent(&self) -> bool {
        self.level < Self::SILENCE
    }

    /// Adds itself to both channels.
    pub(super) fn mix(&mut self, left: &mut [f32], right: &mut [f32]) {
        if self.is_silent() {
            return;
        }
        for (left, right) in left.iter_mut().zip(right) {
            let sample = self.level * (std::f32::consts::TAU * self.phase).sin();
            *left += sample;
            *right += sample;
            self.phase = (self.phase + self.step).fract();
            self.level *= self.fade;
        }
    }
}

/// Clicks before the music begins. Its beats lie as if the bars before the playhead were played:
/// the last one is one beat before the beat on which the music begins, and `1` is where bars begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountIn {
    n_beats: u32,
    beats_per_bar: u32,
    /// At speed 1.
    beat_secs: f64,
    /// Beats of the bar line before the first click that had passed when counting began.
    into_bar: f64,
    /// Beats since counting began.
    passed: f64,
    n_clicked: u32,
}

impl CountIn {
    const SHORTEST_BEAT_SECS: f64 = 0.05;
    /// A millionth of a beat is far less than a frame.
    const NEARLY: f64 = 1e-6;

    pub(super) fn new(place: BeatPlace, n_bars: u32) -> Self {
        Self {
            n_beats: n_bars.saturating_mul(place.beats_per_bar),
            beats_per_bar: place.beats_per_bar,
            beat_secs: place.beat_secs.max(Self::SHORTEST_BEAT_SECS),
            into_bar: place.beats_into_bar,
            passed: 0.0,
            n_clicked: 0,
        }
    }

    /// Whether the music waits.
    pub(super) fn is_counting(&self) -> bool {
        self.passed + Self::NEARLY < f64::from(self.n_beats)
    }

    /// Beats until the music is heard, `delay_secs` after it is made; 0 when it is.
    pub(super) fn beats_left(&self, delay_secs: f64, speed: f64) -> u32 {
        let heard = (self.passed - delay_secs * speed / self.beat_secs).max(0.0);
        // A float to integer cast saturates.
        (f64::from(self.n_beats) - heard - Self::NEARLY).ceil() as u32
    }

    /// When the next click falls, in beats since counting began: on whole beats of the bar.
    fn next_click(&self) -> f64 {
        let first = self.into_bar.ceil() - self.into_bar;
        first + f64::from(self.n_clicked)
    }

    /// A click that is due now: whether it is the first of its bar.
    pub(super) fn pop_click(&mut self) -> Option<bool> {
        let at = self.next_click();
        if at >= f64::from(self.n_beats) || self.passed + Self::NEARLY < at {
            return None;
        }
        let beat = self.into_bar.ceil() as u32 + self.n_clicked;
        self.n_clicked += 1;
        Some(beat.is_multiple_of(self.beats_per_bar))
    }

    /// Frames until the next click or the music, at least one.
    pub(super) fn frames_to_next(&self, speed: f64, sample_rate: f64) -> u64 {
        let next = self.next_click().min(f64::from(self.n_beats));
        let secs = (next - self.passed) * self.beat_secs / speed;
        ((secs * sample_rate).round() as u64).max(1)
    }

    pub(super) fn advance(&mut self, n_frames: u64, speed: f64, sample_rate: f64) {
        self.passed += n_frames as f64 * speed / (self.beat_secs * sample_rate);
        // Where a beat falls between two frames, the nearer one is it.
        let half_frame = 0.5 * speed / (self.beat_secs * sample_rate);
        let next = self.next_click().min(f64::from(self.n_beats));
        if (self.passed - next).abs() <= half_frame + Self::NEARLY {
            self.passed = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the clicks at 1,000 frames a second, `!` where bars begin, and of the music.
    fn count(place: BeatPlace, n_bars: u32, speed: f64) -> (Vec<String>, u64) {
        let (mut count_in, mut clicks, mut at) = (CountIn::new(place, n_bars), Vec::new(), 0);
        while count_in.is_counting() {
            while let Some(is_first) = count_in.pop_click() {
                clicks.push(format!("{at}{}", if is_first { "!" } else { "" }));
            }
            let step = count_in.frames_to_next(speed, 1e3).min(64);
            count_in.advance(step, speed, 1e3);
            at += step;
        }
        (clicks, at)
    }

    #[test]
    fn a_bar_is_counted_up_to_where_the_music_begins() {
        let place = |beats_into_bar, beats_per_bar| BeatPlace {
            beats_into_bar,
            beats_per_bar,
            beat_secs: 0.5,
        };
        let check = |place, n_bars, speed, expected: &str, music| {
            let (clicks, at) = count(place, n_bars, speed);
            assert_eq!((clicks.join(" ").as_str(), at), (expected, music));
        };
        check(place(0.0, 4), 1, 1.0, "0! 500 1000 1500", 2_000);
        check(place(0.0, 3), 2, 2.0, "0! 250 500 750! 1000 1250", 1_500);
        // From the third beat: three, four, one, two.
        check(place(2.0, 4), 1, 1.0, "0 500 1000! 1500", 2_000);
        // Between two beats, the clicks lie on the beats.
        check(place(1.5, 3), 1, 0.5, "500 1500! 2500", 3_000);
        check(place(0.0, 4), 0, 1.0, "", 0);
    }

    #[test]
    fn the_beats_left_are_those_that_are_heard() {
        let place = BeatPlace { beats_into_bar: 0.0, beats_per_bar: 3, beat_secs: 0.5 };
        let mut count_in = CountIn::new(place, 1);
        let mut left = Vec::new();
        for _ in 0..18 {
            left.push(count_in.beats_left(0.1, 1.0));
            count_in.advance(100, 1.0, 1e3);
        }
        assert_eq!(left, [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn a_click_is_heard_and_dies_away() {
        for is_first in [false, true] {
            let mut click = Click::new(48_000);
            assert!(click.is_silent());
            click.strike(is_first);
            let (mut left, mut right) = (vec![0.0; 9_600], vec![0.0; 9_600]);
            click.mix(&mut left, &mut right);
            let peak = |part: &[f32]| part.iter().fold(0f32, |peak, x| peak.max(x.abs()));
            assert!(peak(&left[..480]) * MAKE_UP_GAIN > 0.15 && left == right);
            assert!(click.is_silent() && peak(&left[9_000..]) < 1e-4);
        }
    }
}
