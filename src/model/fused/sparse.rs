//! Products of matrices most of whose numbers are zero with full ones.
//!
//! ```text
//! Z = S M        each row of Z is the sum of the few rows of M that the row of S names
//! G += Sᵀ dZ     and on the way back it is added to those rows of G
//! ```
//!
//! The full matrix is cut into strips of [`STRIP`] columns, so that what is summed stays in
//! registers and some hundred rows of a strip in the first-level cache. Rows are summed in the
//! order in which they are named, by fused multiply-adds: the value of an element depends neither
//! on the width of the vectors nor on what is computed beside it.

use super::simd::{Kernel, Level, MulAdd};

/// Columns of a strip: with 32 a sum waits for the one before, with 128 there are too few registers.
const STRIP: usize = 64;

/// A full matrix in strips: `[strip][row][column]`, the last one filled up with zeros.
#[derive(Clone, PartialEq, Debug)]
pub struct Strips {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// A number that isn't zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    pub column: usize,
    pub value: f32,
}

/// A sparse matrix, row after row.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SparseRows {
    entries: Vec<Entry>,
    /// Of each row, where it ends among the entries.
    ends: Vec<usize>,
}

impl Strips {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { values: vec![0.0; rows * columns.next_multiple_of(STRIP)], rows, columns }
    }

    /// Matrices of one width, below each other.
    ///
    /// # Panics
    /// If one isn't made of whole rows.
    pub fn of(matrices: &[&[f32]], columns: usize) -> Self {
        let rows = |matrix: &&[f32]| {
            assert!(matrix.len().is_multiple_of(columns));
            matrix.len() / columns
        };
        let mut strips = Self::zeros(matrices.iter().map(rows).sum(), columns);
        let all = || matrices.iter().flat_map(|matrix| matrix.chunks_exact(columns));
        for (first, strip) in strips.each_mut() {
            let last = (first + STRIP).min(columns);
            for (to, row) in strip.chunks_exact_mut(STRIP).zip(all()) {
                to[..last - first].copy_from_slice(&row[first..last]);
            }
        }
        strips
    }

    /// Row after row.
    pub fn to_rows(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.columns];
        for (first, strip) in self.each() {
            let last = (first + STRIP).min(self.columns);
            for (row, from) in values.chunks_exact_mut(self.columns).zip(strip) {
                row[first..last].copy_from_slice(&from[..last - first]);
            }
        }
        values
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// # Panics
    /// If the shapes differ.
    pub fn add(&mut self, other: &Self) {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
    }

    /// The first column of each strip, and its rows.
    fn each(&self) -> impl Iterator<Item = (usize, &[[f32; STRIP]])> {
        let strips = self.values.chunks_exact((self.rows * STRIP).max(1));
        strips.enumerate().map(|(idx, strip)| (idx * STRIP, strip.as_chunks().0))
    }

    fn each_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        let strips = self.values.chunks_exact_mut((self.rows * STRIP).max(1));
        strips.enumerate().map(|(idx, strip)| (idx * STRIP, strip))
    }
}

impl SparseRows {
    pub fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    /// Adds to the row that is being written.
    pub fn push(&mut self, column: usize, value: f32) {
        self.entries.push(Entry { column, value });
    }

    /// The next entries are those of the next row.
    pub fn end_row(&mut self) {
        self.ends.push(self.entries.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline(always)]
    fn each(&self) -> impl Iterator<Item = &[Entry]> {
        let mut first = 0;
        self.ends.iter().map(move |&end| {
            let entries = &self.entries[first..end];
            first = end;
            entries
        })
    }
}

/// `result = left · right`, row after row.
///
/// # Panics
/// If `result` is shorter, or `left` names a row that `right` lacks.
pub fn multiply(level: Level, left: &SparseRows, right: &Strips, result: &mut [f32]) {
    assert!(result.len() >= left.len() * right.columns);
    level.run(Multiply { left, right, result });
}

/// `result += leftᵀ · right`, `right` row after row.
///
/// # Panics
/// If `right` is shorter, or `left` names a row that `result` lacks.
pub fn add_transposed(level: Level, left: &SparseRows, right: &[f32], result: &mut Strips) {
    assert!(right.len() >= left.len() * result.columns);
    level.run(AddTransposed { left, right, result });
}

struct Multiply<'a> {
    left: &'a SparseRows,
    right: &'a Strips,
    result: &'a mut [f32],
}

struct AddTransposed<'a> {
    left: &'a SparseRows,
    right: &'a [f32],
    result: &'a mut Strips,
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let width = self.right.columns;
        for (first, rows) in self.right.each() {
            let last = (first + STRIP).min(width);
            for (entries, to) in self.left.each().zip(self.result.chunks_exact_mut(width)) {
                let mut sum = [0.0; STRIP];
                for entry in entries {
                    sum = plus_scaled::<M>(sum, entry.value, &rows[entry.column]);
                }
                match to[first..last].as_mut_array::<STRIP>() {
                    Some(to) => *to = sum,
                    None => to[first..last].copy_from_slice(&sum[..last - first]),
                }
            }
        }
    }
}

impl Kernel for AddTransposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let width = self.result.columns;
        for (first, rows) in self.result.each_mut() {
            let last = (first + STRIP).min(width);
            let rows = rows.as_chunks_mut::<STRIP>().0;
            for (entries, from) in self.left.each().zip(self.right.chunks_exact(width)) {
                let mut row = [0.0; STRIP];
                match from[first..last].as_array::<STRIP>() {
                    Some(from) => row = *from,
                    None => row[..last - first].copy_from_slice(&from[first..last]),
                }
                for entry in entries {
                    let to = &mut rows[entry.column];
                    *to = plus_scaled::<M>(*to, entry.value, &row);
                }
            }
        }
    }
}

/// `sum + value · row`
#[inline(always)]
fn plus_scaled<M: MulAdd>(mut sum: [f32; STRIP], value: f32, row: &[f32; STRIP]) -> [f32; STRIP] {
    for (sum, &number) in sum.iter_mut().zip(row) {
        *sum = M::mul_add(value, number, *sum);
    }
    sum
}
