//! Weights in fewer bits, for reading step by step: what takes the time there is fetching them
//! from memory.
//!
//! ```text
//! f32   as they are
//! f16   half the bytes; each weight to the nearest of sixteen bits
//! int8  a quarter; each column of a product by its largest weight over 127, to the nearest whole
//! ```
//!
//! They are made single precision again, exactly, before they are multiplied, and sums are made in
//! single precision and in the same order as ever.

use std::ops::Range;

use half::f16;

use super::product::{PackedLeft, PackedRight, View, larger, multiply_packed};
use super::simd::{Half, Level, Store};
use super::threads::Threads;
use crate::model::WeightFormat;

/// A right factor packed, in one of the formats.
pub enum PackedWeights {
    F32(PackedRight),
    F16(PackedRight<Half>),
    Int8(PackedRight<i8>),
}

impl PackedWeights {
    pub fn new(level: Level, format: WeightFormat, view: View<'_>) -> Self {
        let mut packed = PackedRight::new(level);
        packed.pack(Threads::ONE, view);
        match format {
            WeightFormat::F32 => Self::F32(packed),
            WeightFormat::F16 => {
                Self::F16(packed.stored_as(Vec::new(), |_, value| Half(half(value).to_bits())))
            }
            WeightFormat::Int8 => {
                let largest = packed.largest_of_columns();
                let scales: Vec<f32> = largest.into_iter().map(scale).collect();
                let store = |column: usize, value| whole(value, scales[column]);
                Self::Int8(packed.stored_as(scales.clone(), store))
            }
        }
    }

    pub fn columns(&self) -> usize {
        match self {
            Self::F32(packed) => packed.columns(),
            Self::F16(packed) => packed.columns(),
            Self::Int8(packed) => packed.columns(),
        }
    }

    /// [`multiply_packed`].
    pub fn multiply(
        &self,
        left: &PackedLeft,
        columns: Range<usize>,
        result: &mut [f32],
        stride: usize,
        store: Store,
    ) {
        match self {
            Self::F32(packed) => multiply_packed(left, packed, columns, result, stride, store),
            Self::F16(packed) => multiply_packed(left, packed, columns, result, stride, store),
            Self::Int8(packed) => multiply_packed(left, packed, columns, result, stride, store),
        }
    }
}

/// What `values`, one column of a product, are in a format, as single precision.
pub fn round_column(format: WeightFormat, values: &mut [f32]) {
    match format {
        WeightFormat::F32 => {}
        WeightFormat::F16 => values.iter_mut().for_each(|value| *value = half(*value).to_f32()),
        WeightFormat::Int8 => {
            let scale = scale(values.iter().copied().fold(0.0, larger));
            values.iter_mut().for_each(|value| *value = f32::from(whole(*value, scale)) * scale);
        }
    }
}

/// The nearest number of sixteen bits, the largest for what is larger still.
fn half(value: f32) -> f16 {
    f16::from_f32(value.clamp(f16::MIN.to_f32_const(), f16::MAX.to_f32_const()))
}

/// The value of the whole number 1 in a column. It is no number if the column's largest weight is
/// none, so that a network that has come apart is told as such.
fn scale(largest: f32) -> f32 {
    largest / 127.0
}

/// To the nearest; a float to integer cast cuts off what is behind the point, and saturates.
fn whole(value: f32, scale: f32) -> i8 {
    if scale > 0.0 { (value / scale + 0.5f32.copysign(value)) as i8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const FORMATS: [WeightFormat; 3] = [WeightFormat::F32, WeightFormat::F16, WeightFormat::Int8];

    /// The product of `left`, `[rows, depth]`, with columns one after the other.
    fn product(
        level: Level,
        format: WeightFormat,
        left: &[f32],
        columns: &[f32],
        [rows, depth]: [usize; 2],
    ) -> Vec<f32> {
        let n = columns.len() / depth;
        let weights = PackedWeights::new(level, format, View::new(columns, n, depth).transposed());
        let mut packed = PackedLeft::default();
        packed.pack(level, View::new(left, rows, depth));
        let mut result = vec![0.5; rows * n];
        weights.multiply(&packed, 0..n, &mut result, n, Store::Add);
        result
    }

    #[test]
    fn a_product_is_that_of_the_rounded_weights_on_every_processor() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for [rows, depth, n] in [[1, 21, 70], [3, 600, 33], [17, 64, 5]] {
            let mut random = |n: usize| -> Vec<f32> {
                (0..n).map(|_| rng.random_range(-1.0..1.0f32).powi(3)).collect()
            };
            let (left, mut columns) = (random(rows * depth), random(n * depth));
            // The smallest numbers of sixteen bits have fewer digits.
            columns[..depth].iter_mut().for_each(|weight| *weight *= 1e-6);
            for format in FORMATS {
                let mut rounded = columns.clone();
                rounded.chunks_mut(depth).for_each(|column| round_column(format, column));
                for level in Level::all() {
                    let found = product(level, format, &left, &columns, [rows, depth]);
                    for (idx, found) in found.iter().enumerate() {
                        let (row, column) = (&left[idx / n * depth..], &rounded[idx % n * depth..]);
                        let terms = row.iter().zip(column).take(depth);
                        let expected: f64 = terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        let error = (f64::from(*found) - 0.5 - expected).abs();
                        assert!(error < 3e-6 * (depth as f64).sqrt(), "{level:?} {format:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (depth, n) = (530, 70);
        let mut random =
            |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (left, columns) = (random(29 * depth), random(n * depth));
        for level in Level::all() {
            for format in FORMATS {
                let together = product(level, format, &left, &columns, [29, depth]);
                for (row, together) in left.chunks(depth).zip(together.chunks(n)) {
                    assert_eq!(product(level, format, row, &columns, [1, depth]), together);
                }
            }
        }
    }

    #[test]
    fn rounding_errs_by_half_a_step_at_most() {
        let values: Vec<f32> = (-500..=500).map(|n| n as f32 / 321.0).collect();
        for (format, most) in [(WeightFormat::F16, 2f32.powi(-11)), (WeightFormat::Int8, 0.0065)] {
            let mut rounded = values.clone();
            round_column(format, &mut rounded);
            for (value, rounded) in values.iter().zip(rounded) {
                assert!((value - rounded).abs() <= most * value.abs().max(1.0), "{format:?}");
            }
        }
        for format in FORMATS {
            let mut odd = [0.0, f32::NAN];
            round_column(format, &mut odd);
            assert!(odd.iter().any(|value| value.is_nan()), "{format:?}");
            let mut nothing = [0.0; 3];
            round_column(format, &mut nothing);
            assert_eq!(nothing, [0.0; 3]);
        }
    }
}
