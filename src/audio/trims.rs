//! How the samples of the built-in piano are leveled.
//!
//! Its four velocity layers were brought to one loudness by machine, which left steps: at a
//! layer's edge up to 4.6 dB from one velocity to the next, and up to 8 dB from one sampled key to
//! its neighbor. Each sample was measured through the synthesizer (the mean of the level of the
//! first 0.4 seconds and of the peak, in dB, the velocity's own gain taken out). Its trim leads to
//! the mean of the layers of its key, smoothed over the keys (a Gaussian of 2.5 sampled keys).

/// Tenths of a dB for each sample, in the order of the file: the layers from soft to loud, in each
/// the keys from A0 (21) to C8 (108) in steps of three. No sample clips by it.
#[rustfmt::skip]
pub(super) const BUILT_IN_TRIMS: [i8; 120] = [
    // Velocities 1–45.
    -9, -26, -19, -18, -13, 1, -27, -15, -19, -20, -41, 23, 33, -28, -21,
    -17, 10, 41, 5, -22, 15, 13, 10, 15, 24, 19, 78, 9, 55, 28,
    // 46–75.
    -9, -6, -11, -12, -2, 12, -9, -12, 0, -14, -19, 21, 34, -24, -20,
    -14, 2, 46, 18, -16, 1, 1, -23, 6, 23, -11, 45, 7, 33, 23,
    // 76–102.
    -6, 9, -2, 3, 2, 16, 5, 6, 4, 3, -8, 30, 28, -39, -19,
    -18, 7, 29, 5, -22, 0, -31, -9, -18, -3, -19, 20, -13, -9, 23,
    // 103–127.
    5, 26, 11, 18, 16, 25, 10, 12, 2, 6, -3, 18, 27, -8, -17,
    -30, 14, 22, -14, -27, -5, -21, -9, -19, -18, -33, -9, -35, -58, -3,
];
