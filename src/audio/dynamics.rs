//! Loudness: make-up gain, a limiter that never lets a peak through, and how soft keys are kept
//! audible. Nothing here allocates after it is made.

/// rustysynth's output is quiet; this brings one forte chord near full scale (8 dB).
pub(crate) const MAKE_UP_GAIN: f32 = 2.512;

/// The amplitude of a level in dB.
pub(crate) fn amplitude_from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// The velocity that is played for the one that is written. A SoundFont's gain falls with the
/// square of the velocity, and rustysynth drops what is under −60 dB, so that velocities below
/// about 15 are lost in some fonts. The lowest are lifted: 1 → 12, 24 → 24, as written above.
pub(crate) fn audible_velocity(velocity: u8) -> u8 {
    if velocity >= 24 { velocity } else { 12 + velocity / 2 }
}

/// Turns the loudness down just before a peak and up again after it, both channels together.
///
/// Let `need[n] ≤ 1` be the gain that frame `n` needs to stay under the ceiling. The gain for frame
/// `n − L` is the mean, over the last `L` frames `k`, of a value that is at most the smallest of
/// `need[k − L ..= k]`. Frame `n − L` lies in each of these windows, so the mean is at most
/// `need[n − L]`: no sample is ever above the ceiling, and the gain moves smoothly. The price is a
/// delay of `L` frames.
#[derive(Debug)]
pub(crate) struct Limiter {
    ceiling: f32,
    release: f32,
    /// The last `L` frames, waiting.
    delayed: Vec<[f32; 2]>,
    /// The last `L` gains, for their mean.
    gains: Vec<f32>,
    gain_sum: f64,
    gain: f32,
    /// Where the oldest of both are.
    slot: usize,
    /// Candidates for the smallest need of the window: ascending needs with their frame.
    candidates: Vec<(u64, f32)>,
    first: usize,
    n_candidates: usize,
    frame: u64,
}

impl Limiter {
    const LOOK_AHEAD_SECS: f64 = 0.003;
    const RELEASE_SECS: f64 = 0.12;

    /// `ceiling` is the largest amplitude that comes out.
    pub(crate) fn new(sample_rate: u32, ceiling: f32) -> Self {
        let n_frames = ((f64::from(sample_rate) * Self::LOOK_AHEAD_SECS) as usize).max(1);
        Self {
            ceiling,
            release: 1.0 - (-1.0 / (f64::from(sample_rate) * Self::RELEASE_SECS)).exp() as f32,
            delayed: vec![[0.0; 2]; n_frames],
            gains: vec![1.0; n_frames],
            gain_sum: n_frames as f64,
            gain: 1.0,
            slot: 0,
            candidates: vec![(0, 1.0); n_frames + 2],
            first: 0,
            n_candidates: 0,
            frame: 0,
        }
    }

    /// How many frames later a sample comes out.
    pub(crate) fn delay_frames(&self) -> usize {
        self.delayed.len()
    }

    /// Works in place. What isn't a number becomes silence.
    pub(crate) fn process(&mut self, left: &mut [f32], right: &mut [f32]) {
        for (left, right) in left.iter_mut().zip(right) {
            let input = [*left, *right].map(|x| if x.is_finite() { x } else { 0.0 });
            [*left, *right] = self.next_frame(input);
        }
    }

    fn next_frame(&mut self, input: [f32; 2]) -> [f32; 2] {
        let peak = input[0].abs().max(input[1].abs());
        let need = if peak > self.ceiling { self.ceiling / peak } else { 1.0 };
        let smallest = self.smallest_need(need);
        self.gain = smallest.min(self.gain + (1.0 - self.gain) * self.release);

        let slot = self.slot;
        self.slot = wrapped(slot + 1, self.delayed.len());
        self.gain_sum += f64::from(self.gain) - f64::from(self.gains[slot]);
        self.gains[slot] = self.gain;
        let gain = (self.gain_sum / self.gains.len() as f64) as f32;
        let output = std::mem::replace(&mut self.delayed[slot], input);
        self.frame += 1;
        // The clamp only takes what rounding left over.
        output.map(|x| (x * gain).clamp(-self.ceiling, self.ceiling))
    }

    /// The smallest need among this frame and the `L` before it.
    fn smallest_need(&mut self, need: f32) -> f32 {
        let size = self.candidates.len();
        while self.n_candidates > 0 {
            let last = wrapped(self.first + self.n_candidates - 1, size);
            if self.candidates[last].1 < need {
                break;
            }
            self.n_candidates -= 1;
        }
        self.candidates[wrapped(self.first + self.n_candidates, size)] = (self.frame, need);
        self.n_candidates += 1;
        if self.candidates[self.first].0 + (self.delayed.len() as u64) < self.frame {
            self.first = wrapped(self.first + 1, size);
            self.n_candidates -= 1;
        }
        self.candidates[self.first].1
    }
}

/// `idx`, which is less than twice the size, in a ring. Dividing would be many times dearer, and this
/// is asked for every sample.
fn wrapped(idx: usize, size: usize) -> usize {
    if idx >= size { idx - size } else { idx }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_soft_enough_passes_unchanged_but_later() {
        let mut limiter = Limiter::new(8_000, 0.9);
        let delay = limiter.delay_frames();
        let input: Vec<f32> = (0..500).map(|n| (n as f32 * 0.3).sin() * 0.8).collect();
        let (mut left, mut right) = (input.clone(), input.clone());
        limiter.process(&mut left, &mut right);
        assert_eq!(left[delay..], input[..500 - delay]);
        assert!(left[..delay].iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_sudden_peak_stays_under_the_ceiling_without_a_jump_of_the_gain() {
        let mut limiter = Limiter::new(48_000, 0.5);
        let mut left = vec![0.4f32; 4_000];
        left[2_000] = 8.0;
        left[2_001] = f32::NAN;
        let mut right = vec![0.4f32; 4_000];
        limiter.process(&mut left, &mut right);
        let delay = limiter.delay_frames();
        assert!(left.iter().all(|x| x.abs() <= 0.5));
        // The peak came out at the ceiling, and the other channel was turned down with it.
        assert!(left[2_000 + delay] > 0.49 && right[2_000 + delay] < 0.03);
        let steps = right[delay..].windows(2).map(|pair| (pair[1] - pair[0]).abs());
        assert!(steps.fold(0.0, f32::max) < 0.4 / delay as f32 * 1.1);
    }

    #[test]
    fn soft_velocities_rise_steadily_and_are_never_lost() {
        let played: Vec<u8> = (1..=127).map(audible_velocity).collect();
        assert!(played.is_sorted() && played[0] == 12 && played[23] == 24 && played[126] == 127);
    }

    proptest! {
        #[test]
        fn nothing_is_ever_above_the_ceiling(
            samples in prop::collection::vec(-20f32..20.0, 1..2_000),
            ceiling in 0.05f32..1.0,
        ) {
            let mut limiter = Limiter::new(8_000, ceiling);
            let (mut left, mut right) = (samples.clone(), samples);
            limiter.process(&mut left, &mut right);
            prop_assert!(left.iter().chain(&right).all(|x| x.abs() <= ceiling));
        }
    }
}
