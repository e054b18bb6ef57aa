//! How the samples of the built-in piano are leveled.
//!
//! Its four velocity layers were brought to one loudness by machine, which left steps: at a
//! layer's edge up to 4.6 dB from one velocity to the next, and up to 8 dB from one sampled key to
//! its neighbor. Each sample was measured through the synthesizer (the mean of the level of the
//! first 0.4 seconds and of the peak, in dB, the velocity's own gain taken out). Its trim leads to
//! the mean of the layers of its key, smoothed over the keys (a Gaussian of 2.5 sampled keys), and
//! 3 dB up: the recording leaves that room, and a composed chord then comes near full scale.

/// Keys that were sampled: every third.
pub(super) const SAMPLES_PER_LAYER: usize = 30;

/// Tenths of a dB for each sample, in the order of the file: the layers from soft to loud, in each
/// the keys from A0 (21) to C8 (108) in steps of three. No sample clips by it.
#[rustfmt::skip]
pub(super) const BUILT_IN_TRIMS: [i8; 4 * SAMPLES_PER_LAYER] = [
    // Velocities 1–45.
    21, 4, 11, 12, 17, 31, 3, 15, 11, 10, -11, 53, 63, 2, 9,
    13, 40, 71, 35, 8, 45, 43, 40, 45, 54, 49, 108, 39, 85, 58,
    // 46–75.
    21, 24, 19, 18, 28, 42, 21, 18, 30, 16, 11, 51, 64, 6, 10,
    16, 32, 76, 48, 14, 31, 31, 7, 36, 53, 19, 75, 37, 63, 53,
    // 76–102.
    24, 39, 28, 33, 32, 46, 35, 36, 34, 33, 22, 60, 58, -9, 11,
    12, 37, 59, 35, 8, 30, -1, 21, 12, 27, 11, 50, 17, 21, 53,
    // 103–127.
    35, 56, 41, 48, 46, 55, 40, 42, 32, 36, 27, 48, 57, 22, 13,
    0, 44, 52, 16, 3, 25, 9, 21, 11, 12, -3, 21, -5, -28, 27,
];
