//! Matrix products of packed panels.
//!
//! Both factors are copied so that the inner loop of [`super::simd`] reads memory in order:
//!
//! ```text
//! left   panels of up to 14 rows:    [panel][depth][row]
//! right  panels of 32 columns:       [depth block][panel][depth][column], filled up with zeros
//! ```
//!
//! (14 and 32 with AVX-512; [`Level::tile_shape`] knows.) A right factor that serves many
//! products, as the recurrent weights serve every time step, is packed once.
//!
//! The depth is summed in blocks of [`DEPTH`], in order, whatever the number of threads and
//! wherever the rows are cut: an element's value is always the same to the last bit.

use std::ops::Range;

use super::simd::{Block, Level, Store, Weight, panel_heights, transpose};
use super::threads::{Threads, split_rows};
use crate::cancel::CancelToken;

/// How much of the depth is summed in registers before it is added to the result: 256 made a
/// training step some percent slower, 1,024 made no difference.
pub const DEPTH: usize = 512;

/// Most rows of the left factor packed at once: with [`DEPTH`], 224 KiB of the second-level cache.
const ROWS: usize = 112;

/// A matrix somewhere in a slice, maybe transposed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A left factor, or some rows of one, packed.
#[derive(Clone, Debug, Default)]
pub struct PackedLeft {
    values: Vec<f32>,
    rows: usize,
    depth: usize,
}

/// A right factor packed.
#[derive(Clone, Debug)]
pub struct PackedRight<W = f32> {
    level: Level,
    values: Vec<W>,
    /// One a column, filled up with zeros; empty where [`Weight::IS_SCALED`] is false.
    scales: Vec<f32>,
    depth: usize,
    columns: usize,
}

/// What products write into while they run; kept so that memory is asked for once.
#[derive(Clone, Debug)]
pub struct Scratch {
    pub threads: Threads,
    pub level: Level,
    pub left: Vec<PackedLeft>,
    /// Once it is cancelled, products are left unfinished: their results are good for nothing.
    pub cancel: CancelToken,
}

impl<'a> View<'a> {
    /// `rows` × `columns`, row by row.
    ///
    /// # Panics
    /// If `values` is shorter.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert!(values.len() >= rows * columns);
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    pub fn rows(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows);
        let first = (range.start * self.row_stride).min(self.values.len());
        Self { values: &self.values[first..], rows: range.len(), ..self }
    }

    pub fn columns(self, range: Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }
}

impl PackedLeft {
    /// Packs all of `view`, depth block by depth block.
    pub fn pack(&mut self, level: Level, view: View<'_>) {
        (self.rows, self.depth) = (view.rows, view.columns);
        self.values.resize(view.rows * view.columns, 0.0);
        let mut rest = self.values.as_mut_slice();
        for block in depth_blocks(self.depth) {
            let mut row = 0;
            for height in panel_heights(view.rows, level.tile_shape().rows) {
                let (panel, after) = rest.split_at_mut(height * block.len());
                rest = after;
                pack_panel(panel, height, view.rows(row..row + height).columns(block.clone()));
                row += height;
            }
        }
    }
}

impl<W> PackedRight<W> {
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The width of a panel: columns are addressed in multiples of it.
    pub fn panel_width(&self) -> usize {
        self.level.tile_shape().columns
    }
}

impl PackedRight {
    pub fn new(level: Level) -> Self {
        Self { level, values: Vec::new(), scales: Vec::new(), depth: 0, columns: 0 }
    }

    /// Of each column the largest number without its sign; not a number where one isn't.
    pub fn largest_of_columns(&self) -> Vec<f32> {
        let width = self.panel_width();
        let mut largest = vec![0.0; self.columns.next_multiple_of(width)];
        let mut rest = self.values.as_slice();
        for block in depth_blocks(self.depth) {
            for largest in largest.chunks_exact_mut(width) {
                let (panel, after) = rest.split_at(width * block.len());
                rest = after;
                for row in panel.chunks_exact(width) {
                    largest
                        .iter_mut()
                        .zip(row)
                        .for_each(|(most, &value)| *most = larger(*most, value));
                }
            }
        }
        largest.truncate(self.columns);
        largest
    }

    /// The same factor in other numbers: `store(column, value)` is what stands for a value, and
    /// its product with the column's scale, if there are scales, is about that value.
    pub fn stored_as<W: Weight>(
        &self,
        mut scales: Vec<f32>,
        store: impl Fn(usize, f32) -> W,
    ) -> PackedRight<W> {
        let width = self.panel_width();
        let padded = self.columns.next_multiple_of(width);
        assert!(scales.len() == if W::IS_SCALED { self.columns } else { 0 });
        if W::IS_SCALED {
            scales.resize(padded, 0.0);
        }
        let mut values = Vec::with_capacity(self.values.len());
        let mut rest = self.values.as_slice();
        for block in depth_blocks(self.depth) {
            for first in (0..self.columns).step_by(width) {
                let (panel, after) = rest.split_at(width * block.len());
                rest = after;
                for row in panel.chunks_exact(width) {
                    let stored = (first..self.columns).zip(row);
                    values.extend(stored.map(|(column, &value)| store(column, value)));
                    values.resize(values.len().next_multiple_of(width), W::default());
                }
            }
        }
        let (level, depth, columns) = (self.level, self.depth, self.columns);
        PackedRight { level, values, scales, depth, columns }
    }

    pub fn pack(&mut self, threads: Threads, view: View<'_>) {
        self.pack_with(threads, view, std::iter::repeat_with(|| None));
    }

    /// [`PackedRight::pack`], and adds each column's sum to `sums`: while a panel is at hand that
    /// costs next to nothing.
    pub fn pack_and_sum(&mut self, threads: Threads, view: View<'_>, sums: &mut [f32]) {
        assert!(sums.len() == view.columns && view.rows <= DEPTH);
        let width = self.panel_width();
        self.pack_with(threads, view, sums.chunks_mut(width).map(Some));
    }

    fn pack_with<'a>(
        &mut self,
        threads: Threads,
        view: View<'_>,
        mut sums: impl Iterator<Item = Option<&'a mut [f32]>>,
    ) {
        let width = self.panel_width();
        let padded = view.columns.next_multiple_of(width);
        (self.depth, self.columns) = (view.rows, view.columns);
        self.values.resize(padded * view.rows, 0.0);
        let mut panels = Vec::new();
        let mut rest = self.values.as_mut_slice();
        for block in depth_blocks(view.rows) {
            let (values, after) = rest.split_at_mut(padded * block.len());
            rest = after;
            let columns = (0..view.columns).step_by(width);
            for (panel, first) in values.chunks_mut((width * block.len()).max(1)).zip(columns) {
                panels.push((panel, block.clone(), first, sums.next().flatten()));
            }
        }
        threads.share(panels.into_iter(), |(panel, depth, first, sums)| {
            let columns = first..(first + width).min(view.columns);
            pack_panel(panel, width, view.rows(depth).columns(columns).transposed());
            let Some(sums) = sums else { return };
            for row in panel.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        });
    }
}

impl Scratch {
    pub fn new(threads: Threads, level: Level) -> Self {
        let left = vec![PackedLeft::default(); threads.get()];
        Self { threads, level, left, cancel: CancelToken::new() }
    }
}

/// `result = left · right`, or added to what is there. Rows of the result are `stride` apart.
///
/// # Panics
/// If shapes don't fit.
pub fn multiply(
    scratch: &mut Scratch,
    left: View<'_>,
    right: &PackedRight,
    result: &mut [f32],
    stride: usize,
    store: Store,
) {
    multiply_columns(scratch, left, right, 0..right.columns, result, stride, store);
}

/// [`multiply`] for the columns `columns` of `right` alone, which begin at a multiple of
/// [`PackedRight::panel_width`] and go into the first columns of `result`.
pub fn multiply_columns(
    scratch: &mut Scratch,
    left: View<'_>,
    right: &PackedRight,
    columns: Range<usize>,
    result: &mut [f32],
    stride: usize,
    store: Store,
) {
    assert!(left.columns == right.depth && columns.len() <= stride);
    let ranges = scratch.threads.ranges(left.rows, ROWS);
    let parts = split_rows(result, ranges, stride);
    let cancel = &scratch.cancel;
    scratch.threads.share_with(&mut scratch.left, parts, |packed, (rows, result)| {
        if !cancel.is_cancelled() {
            multiply_here(packed, left.rows(rows), right, columns.clone(), result, stride, store);
        }
    });
}

/// [`multiply_columns`] on this thread, all rows of `left` together: for a few of them. They are
/// packed into `packed` by and by.
pub fn multiply_here(
    packed: &mut PackedLeft,
    left: View<'_>,
    right: &PackedRight,
    columns: Range<usize>,
    result: &mut [f32],
    stride: usize,
    store: Store,
) {
    assert_eq!(left.columns, right.depth);
    for depth in depth_blocks(left.columns) {
        let store = if depth.start == 0 { store } else { Store::Add };
        packed.pack(right.level, left.columns(depth.clone()));
        multiply_depth(packed, 0, right, depth, columns.clone(), result, stride, store);
    }
}

/// The columns `columns` of `left · right` into the first columns of `result`, on this thread.
/// `columns` begins at a multiple of [`PackedRight::panel_width`].
pub fn multiply_packed<W: Weight>(
    left: &PackedLeft,
    right: &PackedRight<W>,
    columns: Range<usize>,
    result: &mut [f32],
    stride: usize,
    store: Store,
) {
    assert_eq!(left.depth, right.depth);
    for depth in depth_blocks(left.depth) {
        let store = if depth.start == 0 { store } else { Store::Add };
        let first = left.rows * depth.start;
        multiply_depth(left, first, right, depth, columns.clone(), result, stride, store);
    }
}

/// One depth block of a product; that of `left` begins at `first`.
#[expect(clippy::too_many_arguments, reason = "two factors, one place and what of each is meant")]
fn multiply_depth<W: Weight>(
    left: &PackedLeft,
    first: usize,
    right: &PackedRight<W>,
    depth: Range<usize>,
    columns: Range<usize>,
    result: &mut [f32],
    stride: usize,
    store: Store,
) {
    let width = right.panel_width();
    assert!(columns.start.is_multiple_of(width) && columns.end <= right.columns);
    let padded = right.columns.next_multiple_of(width);
    let block = Block {
        left: &left.values[first..],
        right: &right.values[padded * depth.start + columns.start * depth.len()..],
        scales: right.scales.get(columns.start..).unwrap_or_default(),
        depth: depth.len(),
        rows: left.rows,
        columns: columns.len(),
        stride,
        store,
    };
    right.level.multiply_block(&block, result);
}

/// The larger of a number without sign and one with, without it. As bits, what is no number is the
/// largest of all.
pub fn larger(most: f32, value: f32) -> f32 {
    f32::from_bits(most.to_bits().max(value.abs().to_bits()))
}

fn depth_blocks(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth.max(1)).step_by(DEPTH).map(move |first| first..(first + DEPTH).min(depth))
}

/// `panel[d · width + r] = view[r, d]`, and zeros for the rows that `view` lacks.
fn pack_panel(panel: &mut [f32], width: usize, view: View<'_>) {
    if panel.is_empty() {
        return;
    }
    if view.rows < width {
        panel.fill(0.0);
    }
    if view.row_stride == 1 {
        pack_runs(panel, width, view);
    } else {
        pack_turned(panel, width, view);
    }
}

/// Rows of the panel lie in one piece.
fn pack_runs(panel: &mut [f32], width: usize, view: View<'_>) {
    /// A copy of a fixed length is a few instructions, one of any length a call.
    const RUN: usize = 16;
    let n = panel.len() / width;
    for step in 0..n {
        let to = &mut panel[step * width..];
        let from = &view.values[step * view.column_stride..];
        // What is copied beyond a short row is overwritten by the next one.
        if view.rows == width && width <= RUN && to.len() >= RUN && from.len() >= RUN {
            to[..RUN].copy_from_slice(&from[..RUN]);
        } else if view.rows == 2 * RUN && width == 2 * RUN {
            to[..2 * RUN].copy_from_slice(&from[..2 * RUN]);
        } else {
            to[..view.rows].copy_from_slice(&from[..view.rows]);
        }
    }
}

/// Columns of the panel lie in one piece: squares are turned over.
fn pack_turned(panel: &mut [f32], width: usize, view: View<'_>) {
    /// The side of a square.
    const SIDE: usize = 4;
    assert_eq!(view.column_stride, 1);
    let n = panel.len() / width;
    let row = |row: usize| &view.values[row * view.row_stride..][..n];
    for first in (0..view.rows / SIDE * SIDE).step_by(SIDE) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|idx| row(first + idx).as_chunks::<SIDE>());
        let squares = a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0));
        for (((a, b), (c, d)), panel) in squares.zip(panel.chunks_mut(SIDE * width)) {
            let columns = panel[first..].chunks_mut(width);
            for (to, column) in columns.zip(transpose([a, b, c, d])) {
                to[..SIDE].copy_from_slice(&column);
            }
        }
        for (idx, row) in [a, b, c, d].into_iter().enumerate() {
            for (step, &value) in (n / SIDE * SIDE..n).zip(row.1) {
                panel[step * width + first + idx] = value;
            }
        }
    }
    for idx in view.rows / SIDE * SIDE..view.rows {
        for (to, &value) in panel[idx..].iter_mut().step_by(width).zip(row(idx)) {
            *to = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    fn naive(left: View<'_>, right: View<'_>) -> Vec<f64> {
        let at = |view: View<'_>, row: usize, column: usize| {
            f64::from(view.values[row * view.row_stride + column * view.column_stride])
        };
        let mut result = Vec::new();
        for row in 0..left.rows {
            for column in 0..right.columns {
                let terms = (0..left.columns).map(|k| at(left, row, k) * at(right, k, column));
                result.push(terms.sum());
            }
        }
        result
    }

    fn check(
        level: Level,
        rng: &mut ChaCha8Rng,
        [rows, depth, columns]: [usize; 3],
        turn: [bool; 2],
    ) {
        let (a, b) = (random(rng, rows * depth), random(rng, depth * columns));
        let view = |values, rows, columns, turned| {
            if turned {
                View::new(values, columns, rows).transposed()
            } else {
                View::new(values, rows, columns)
            }
        };
        let (left, right) = (view(&a, rows, depth, turn[0]), view(&b, depth, columns, turn[1]));
        let expected = naive(left, right);
        let stride = columns + 3;
        let begun = random(rng, rows * stride);
        let mut results = Vec::new();
        for threads in [Threads::ONE, Threads::new(3)] {
            for store in [Store::Overwrite, Store::Add] {
                let mut packed = PackedRight::new(level);
                packed.pack(threads, right);
                let mut result = begun.clone();
                let mut scratch = Scratch::new(threads, level);
                multiply(&mut scratch, left, &packed, &mut result, stride, store);
                for (idx, found) in result.iter().enumerate() {
                    let (row, column) = (idx / stride, idx % stride);
                    if column >= columns {
                        assert_eq!(*found, begun[idx], "outside of the result");
                        continue;
                    }
                    let before = if store == Store::Add { f64::from(begun[idx]) } else { 0.0 };
                    let expected = expected[row * columns + column] + before;
                    let tolerance = 3e-6 * (depth as f64).sqrt().max(4.0);
                    let shape = (rows, depth, columns);
                    assert!(
                        (f64::from(*found) - expected).abs() < tolerance,
                        "{level:?} {shape:?}"
                    );
                }
                results.push(result);
            }
        }
        assert!(results[0] == results[2] && results[1] == results[3], "threads change nothing");
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for level in Level::all() {
            let small = [(1, 1), (7, 33), (30, 64), (50, 70)];
            let deep = [(512, 31), (513, 64), (1030, 5)];
            let few = [1, 14, 29].into_iter().flat_map(|rows| deep.map(|shape| (rows, shape)));
            let many = [2, 13, 15, 113].into_iter();
            let many = many.flat_map(|rows| small.map(|shape| (rows, shape)));
            for (rows, (depth, columns)) in few.chain(many) {
                let turn = [rng.random(), rng.random()];
                check(level, &mut rng, [rows, depth, columns], turn);
            }
            for _ in 0..10 {
                let shape = [0; 3].map(|_| rng.random_range(1..90));
                let turn = [rng.random(), rng.random()];
                check(level, &mut rng, shape, turn);
            }
            check(level, &mut rng, [5, 0, 5], [false; 2]);
            check(level, &mut rng, [0, 5, 5], [false; 2]);
        }
    }

    #[test]
    fn part_of_the_columns_is_the_same_part_of_the_product() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let (rows, depth, columns) = (19, 600, 150);
        let (a, b) = (random(&mut rng, rows * depth), random(&mut rng, depth * columns));
        for level in Level::all() {
            let mut right = PackedRight::new(level);
            right.pack(Threads::ONE, View::new(&b, depth, columns));
            let mut whole = vec![0.0; rows * columns];
            let left = View::new(&a, rows, depth);
            let mut scratch = Scratch::new(Threads::ONE, level);
            multiply(&mut scratch, left, &right, &mut whole, columns, Store::Overwrite);
            let (first, last) = (right.panel_width(), 2 * right.panel_width() + 1);
            let mut packed = PackedLeft::default();
            packed.pack(level, left);
            let mut part = vec![0.0; rows * columns];
            let result = &mut part[first..];
            multiply_packed(&packed, &right, first..last, result, columns, Store::Overwrite);
            for (idx, (part, whole)) in part.iter().zip(&whole).enumerate() {
                let inside = (first..last).contains(&(idx % columns));
                assert_eq!(*part, if inside { *whole } else { 0.0 });
            }
        }
    }
}
