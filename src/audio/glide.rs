//! The playhead between two reports of the sound.

use std::time::Instant;

/// The position moves in steps of the device's buffer, about 20 ms, which would make the playhead
/// tremble. Between two steps it moves on by the wall clock, never backwards, never further than
/// one long buffer and never past a place where the sound stops or turns. A step back is a jump: the
/// sound has turned at the end of a loop or was sent elsewhere.
#[derive(Debug, Default)]
pub(super) struct Glide {
    /// The last step and when it was seen.
    step: Option<(f64, Instant)>,
    shown: f64,
}

impl Glide {
    const LONGEST_STEP_SECS: f64 = 0.05;

    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// What is shown while the sound is at `secs`. `speed` is 0 while the clock stands still;
    /// `limit_secs` is where it will turn or stop.
    pub(super) fn at(&mut self, now: Instant, secs: f64, speed: f64, limit_secs: f64) -> f64 {
        let seen = match self.step {
            Some((step, seen)) if step == secs => seen,
            Some((step, _)) if secs < step => {
                self.restart();
                now
            }
            _ => now,
        };
        self.step = Some((secs, seen));
        if speed == 0.0 {
            self.shown = secs;
            return secs;
        }
        let since = now.saturating_duration_since(seen).as_secs_f64().min(Self::LONGEST_STEP_SECS);
        let estimate = (secs + since * speed).min(limit_secs.max(secs));
        self.shown = self.shown.max(estimate);
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const FAR: f64 = 1e9;

    #[test]
    fn the_playhead_glides_between_steps_and_never_goes_back() {
        let (mut glide, start) = (Glide::default(), Instant::now());
        let mut shown = Vec::new();
        for ms in 0..200u64 {
            // The device reports every 21 ms.
            let step = (ms / 21 * 21) as f64 / 1e3;
            shown.push(glide.at(start + Duration::from_millis(ms), step, 1.0, FAR));
        }
        assert!(shown.is_sorted());
        for (ms, shown) in shown.iter().enumerate() {
            assert!((shown - ms as f64 / 1e3).abs() < 0.022, "{ms} ms shows {shown}");
        }
        assert_eq!(glide.at(start + Duration::from_millis(300), 0.02, 1.0, FAR), 0.02);
        assert_eq!(glide.at(start + Duration::from_secs(9), 0.05, 0.0, FAR), 0.05);
    }

    #[test]
    fn a_clock_that_stops_reporting_stops_the_playhead() {
        let (mut glide, start) = (Glide::default(), Instant::now());
        glide.at(start, 1.0, 2.0, FAR);
        let later = glide.at(start + Duration::from_secs(60), 1.0, 2.0, FAR);
        assert_eq!(later, 1.0 + 2.0 * Glide::LONGEST_STEP_SECS);
    }

    #[test]
    fn a_short_loop_is_shown_as_it_sounds() {
        // 50 ms from 1 s on, over and over; the device reports every 20 ms.
        let (mut glide, start) = (Glide::default(), Instant::now());
        for ms in 0..1_000u64 {
            let sound = |ms: u64| 1.0 + (ms % 50) as f64 / 1e3;
            let now = start + Duration::from_millis(ms);
            let shown = glide.at(now, sound(ms / 20 * 20), 1.0, 1.05);
            assert!((1.0..=1.05).contains(&shown), "{ms} ms shows {shown}");
            let late = (shown - sound(ms)).abs();
            // Near the turn it waits for the report.
            assert!(late < 0.002 || ms % 50 < 20, "{ms} ms shows {shown}");
        }
    }
}
