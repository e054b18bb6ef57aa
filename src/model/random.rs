//! Every random number of this room: drawn from streams of our own, keyed by the run's seed, what
//! it is for and where in the run it is needed.
//!
//! So nothing depends on how many numbers were drawn before: not on burn's global generator, not
//! on other trainings in the process, not on threads, and resuming needs no saved generator.

use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Weights,
    /// By epoch: offsets, order and transposition of sequences.
    Sequences,
    /// By training step.
    Dropout,
}

/// The stream of one purpose at one place.
pub fn stream(seed: u64, purpose: Purpose, place: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&place.to_le_bytes());
    key[16] = match purpose {
        Purpose::Weights => 1,
        Purpose::Sequences => 2,
        Purpose::Dropout => 3,
    };
    ChaCha8Rng::from_seed(key)
}

/// Normally distributed numbers by the Box–Muller transform (1958).
pub fn normal(rng: &mut impl Rng, n: usize, deviation: f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // In (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        values.push((radius * angle.cos()) as f32 * deviation);
        values.push((radius * angle.sin()) as f32 * deviation);
    }
    values.truncate(n);
    values
}

/// A dropout mask: 0 with probability `dropped`, else the factor that keeps the mean.
pub fn dropout_mask(rng: &mut impl Rng, n: usize, dropped: f64) -> Vec<f32> {
    let kept = (1.0 / (1.0 - dropped)) as f32;
    // The threshold on 32 random bits; `dropped` is below 1, so it fits.
    let threshold = (dropped * f64::from(u32::MAX)) as u32;
    (0..n).map(|_| if rng.next_u32() < threshold { 0.0 } else { kept }).collect()
}
