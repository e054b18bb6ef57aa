//! A sequence of few rows, whose units the threads share.
//!
//! With few rows a time step takes as long as reading the recurrent weights, and threads that share
//! the rows all read all of them. Here the units are cut into chunks, and a thread takes the same ones
//! at every step if it can: it reads its part of the weights alone, which its cache may keep. What a
//! step leaves for all units of the next, outputs on the way forward and gate gradients on the way
//! back, goes through an [`Exchange`].
//!
//! No thread is relied on. A chunk is locked while it is computed and knows its step, so whoever is
//! free takes it; threads that come late, or never, cost time and nothing else.
//!
//! Every number is made by the same operations as where rows are shared, and so the same to the bit.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use super::{Back, CellKind, Lane, Memory, Shape, Step, UNITS, to_and_fro};
use crate::cancel::CancelToken;
use crate::model::fused::cells::{GruBackward, GruForward, LstmBackward, LstmForward};
use crate::model::fused::product::{PackedLeft, View, multiply_packed};
use crate::model::fused::simd::{Level, Store};
use crate::model::fused::threads::Threads;

/// With so many rows for every thread, a step's arithmetic takes longer than reading its weights.
const ENOUGH_ROWS: usize = 4;

/// How often a thread looks for the others before it lets somebody else run.
const MAX_SPINS: usize = 1_000;

/// Whether the threads shall share units and not rows.
pub fn pays(threads: Threads, shape: Shape) -> bool {
    let n = threads.get();
    n > 1 && shape.n_rows < ENOUGH_ROWS * n && shape.n_units >= 2 * UNITS
}

/// All steps of `memory` forward; the first state is in its place.
pub fn forward(threads: Threads, lanes: &mut [Lane], step: &Step<'_>, memory: &mut Memory) {
    let (shape, n) = (memory.shape, memory.shape.n_units);
    let ranges: Vec<_> = to_and_fro(0, n, step.recurrent[0].panel_width()).collect();
    let n_states = shape.n_rows * n;
    let exchange = Exchange::new(n_states, ranges.len());
    exchange.write(0, 0, &memory.hidden[..n_states]);
    let first_hidden = memory.hidden[..n_states].to_vec();
    let first_cell = memory.cells.get(..n_states).unwrap_or_default().to_vec();
    let gates = cut(&mut memory.gates, n, &ranges).into_iter();
    let hidden = cut(&mut memory.hidden, n, &ranges);
    let parts = gates.zip(hidden).zip(&ranges);
    let run = Run {
        threads,
        level: step.level,
        n_rows: shape.n_rows,
        n_steps: shape.n_steps,
        exchange: &exchange,
        cancel: step.cancel,
    };
    let columns = |values: &[f32], units: &Range<usize>| columns_of(values, n, units);
    let bias = |units: &Range<usize>| columns(step.bias, units);
    let width = |units: &Range<usize>| shape.n_rows * units.len();
    match memory.kind {
        CellKind::Lstm => {
            let cells = cut(&mut memory.cells, n, &ranges);
            let chunks = parts.zip(cells).map(|(((gates, hidden), units), cells)| LstmStep {
                step,
                shape,
                units: units.clone(),
                bias: bias(units),
                gates,
                hidden,
                cells,
                sums: vec![0.0; 4 * width(units)],
                cell_before: vec![0.0; width(units)],
                cell: columns(&first_cell, units),
                output: vec![0.0; width(units)],
            });
            run.all(lanes, &[n], chunks.collect());
        }
        CellKind::Gru => {
            let inner = cut(&mut memory.inner, n, &ranges);
            let chunks = parts.zip(inner).map(|(((gates, hidden), units), inner)| GruStep {
                step,
                shape,
                units: units.clone(),
                bias: bias(units),
                gates,
                hidden,
                inner,
                sums: vec![0.0; 3 * width(units)],
                inner_sums: vec![0.0; width(units)],
                before: vec![0.0; width(units)],
                output: columns(&first_hidden, units),
            });
            run.all(lanes, &[n], chunks.collect());
        }
    }
}

/// All steps of `back` backward: gradients of the sums inside the gates in place of `gates` and
/// `inner`.
pub fn backward(
    threads: Threads,
    lanes: &mut [Lane],
    kind: CellKind,
    back: &Back<'_>,
    gates: &mut [f32],
    inner: &mut [f32],
) {
    let (shape, n) = (back.shape, back.shape.n_units);
    let ranges: Vec<_> = to_and_fro(0, n, back.transposed[0].panel_width()).collect();
    let width = kind.n_gates() * n;
    let exchange = Exchange::new(shape.n_rows * width, ranges.len());
    let run = Run {
        threads,
        level: back.level,
        n_rows: shape.n_rows,
        n_steps: shape.n_steps,
        exchange: &exchange,
        cancel: back.cancel,
    };
    let parts = cut(gates, n, &ranges).into_iter().zip(&ranges);
    let zeros = |units: &Range<usize>, n: usize| vec![0.0; n * shape.n_rows * units.len()];
    match kind {
        CellKind::Lstm => {
            let chunks = parts.map(|(gates, units)| LstmStepBack {
                back,
                units: units.clone(),
                gates,
                sums: zeros(units, 4),
                cell_before: zeros(units, 1),
                cell: zeros(units, 1),
                output_gradient: zeros(units, 1),
                hidden_gradient: zeros(units, 1),
                cell_gradient: zeros(units, 1),
            });
            run.all(lanes, &[width], chunks.collect());
        }
        CellKind::Gru => {
            let inner = cut(inner, n, &ranges);
            let chunks = parts.zip(inner).map(|((gates, units), inner)| GruStepBack {
                back,
                units: units.clone(),
                gates,
                inner,
                sums: zeros(units, 3),
                inner_sums: zeros(units, 1),
                hidden_before: zeros(units, 1),
                output_gradient: zeros(units, 1),
                hidden_gradient: zeros(units, 1),
            });
            run.all(lanes, &[2 * n, n], chunks.collect());
        }
    }
}

/// What the steps tell each other, in turn in two places: while one is read, the other is written.
struct Exchange {
    places: [Vec<AtomicU32>; 2],
    n_chunks: usize,
    /// Chunks of all steps that are done.
    n_done: AtomicUsize,
}

impl Exchange {
    fn new(n_values: usize, n_chunks: usize) -> Self {
        let place = || (0..n_values).map(|_| AtomicU32::new(0)).collect();
        Self { places: [place(), place()], n_chunks, n_done: AtomicUsize::new(0) }
    }

    /// Steps that are whole. What they wrote can be read from then on.
    fn n_steps(&self) -> usize {
        self.n_done.load(Ordering::Acquire) / self.n_chunks
    }

    /// Another chunk of the step at hand is done; all that it tells has been written.
    fn count(&self) {
        self.n_done.fetch_add(1, Ordering::Release);
    }

    /// What all steps before `step` left for it. A thread that was held up may read what a later step
    /// is writing, but finds no chunk of `step` to use it for.
    fn read(&self, step: usize, to: &mut Vec<f32>) {
        let values = self.places[step % 2].iter();
        to.clear();
        to.extend(values.map(|value| f32::from_bits(value.load(Ordering::Relaxed))));
    }

    /// Tells `step` the numbers from `first` on.
    fn write(&self, step: usize, first: usize, values: &[f32]) {
        for (place, value) in self.places[step % 2][first..].iter().zip(values) {
            place.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

/// Some units of a layer.
trait Chunk: Send {
    /// Computes step `step`, counted in the order of computing, from what the one before it left,
    /// packed, and tells the next one.
    fn compute(&mut self, step: usize, left: &[PackedLeft; 2], exchange: &Exchange);
}

struct Place<C> {
    chunk: C,
    /// Steps that it has been taken through.
    n_done: usize,
}

/// How chunks are taken through all steps.
struct Run<'a> {
    threads: Threads,
    level: Level,
    n_rows: usize,
    n_steps: usize,
    exchange: &'a Exchange,
    cancel: &'a CancelToken,
}

impl Run<'_> {
    /// `widths` are those of the matrices that are exchanged, one behind the other.
    fn all<C: Chunk>(&self, lanes: &mut [Lane], widths: &[usize], chunks: Vec<C>) {
        let places = chunks.into_iter().map(|chunk| Mutex::new(Place { chunk, n_done: 0 }));
        let places: Vec<_> = places.collect();
        let n = self.threads.get().min(places.len());
        self.threads.share_with(lanes, 0..n, |lane, idx| {
            let own = idx * places.len() / n..(idx + 1) * places.len() / n;
            self.take(lane, widths, &places, &own);
        });
    }

    /// Takes chunks until there are none, or it was cancelled.
    fn take<C: Chunk>(
        &self,
        lane: &mut Lane,
        widths: &[usize],
        places: &[Mutex<Place<C>>],
        own: &Range<usize>,
    ) {
        let mut packed = None;
        loop {
            let step = self.exchange.n_steps();
            if step >= self.n_steps || self.cancel.is_cancelled() {
                return;
            }
            if packed != Some(step) {
                self.pack(step, lane, widths);
                packed = Some(step);
            }
            for idx in order(step, places.len(), own) {
                match places[idx].try_lock() {
                    Ok(mut place) if place.n_done == step => {
                        place.chunk.compute(step, &lane.lefts, self.exchange);
                        place.n_done += 1;
                        drop(place);
                        self.exchange.count();
                    }
                    Ok(_) | Err(TryLockError::WouldBlock) => {}
                    // A thread panicked, which rayon passes on: nobody waits for its chunk.
                    Err(TryLockError::Poisoned(_)) => return,
                }
            }
            let is_waiting = || self.exchange.n_steps() == step;
            if (0..MAX_SPINS).all(|_| {
                std::hint::spin_loop();
                is_waiting()
            }) {
                std::thread::yield_now();
            }
        }
    }

    fn pack(&self, step: usize, lane: &mut Lane, widths: &[usize]) {
        self.exchange.read(step, &mut lane.exchanged);
        let mut first = 0;
        for (left, &width) in lane.lefts.iter_mut().zip(widths) {
            let values = &lane.exchanged[first..];
            left.pack(self.level, View::new(values, self.n_rows, width));
            first += self.n_rows * width;
        }
    }
}

/// Chunks in the order in which a thread asks for them: its own, of which every other step begins
/// with those that the step before ended with, then those that the others come to last.
fn order(step: usize, n_chunks: usize, own: &Range<usize>) -> impl Iterator<Item = usize> {
    let is_upward = step.is_multiple_of(2);
    let n_own = own.len();
    let first = own.start;
    let mine = (0..n_own).map(move |idx| first + if is_upward { idx } else { n_own - 1 - idx });
    let all = (0..n_chunks).map(move |idx| if is_upward { n_chunks - 1 - idx } else { idx });
    let own = own.clone();
    mine.chain(all.filter(move |idx| !own.contains(idx)))
}

/// A chunk's part of every `H` numbers that lie together.
type Pieces<'a> = Vec<&'a mut [f32]>;

/// Cuts every `n_units` numbers into those of each range.
fn cut<'a>(values: &'a mut [f32], n_units: usize, ranges: &[Range<usize>]) -> Vec<Pieces<'a>> {
    let n = values.len() / n_units;
    let mut chunks: Vec<_> = ranges.iter().map(|_| Vec::with_capacity(n)).collect();
    for mut rest in values.chunks_exact_mut(n_units) {
        for (pieces, range) in chunks.iter_mut().zip(ranges) {
            let (piece, after) = rest.split_at_mut(range.len());
            pieces.push(piece);
            rest = after;
        }
    }
    chunks
}

/// The units `units` of every `n_units` numbers.
fn columns_of(values: &[f32], n_units: usize, units: &Range<usize>) -> Vec<f32> {
    values.chunks_exact(n_units).flat_map(|row| &row[units.clone()]).copied().collect()
}

fn copy_columns(values: &[f32], n_units: usize, units: &Range<usize>, to: &mut [f32]) {
    for (row, to) in values.chunks_exact(n_units).zip(to.chunks_exact_mut(units.len())) {
        to.copy_from_slice(&row[units.clone()]);
    }
}

fn gather(pieces: &[&mut [f32]], to: &mut [f32]) {
    let mut rest = to;
    for piece in pieces {
        let (to, after) = rest.split_at_mut(piece.len());
        to.copy_from_slice(piece);
        rest = after;
    }
}

fn scatter(mut from: &[f32], pieces: &mut [&mut [f32]]) {
    for piece in pieces {
        let (values, after) = from.split_at(piece.len());
        piece.copy_from_slice(values);
        from = after;
    }
}

/// Those of step `step`, of which each has `n`.
fn range_of(step: usize, n: usize) -> Range<usize> {
    step * n..(step + 1) * n
}

struct LstmStep<'a> {
    step: &'a Step<'a>,
    shape: Shape,
    units: Range<usize>,
    bias: Vec<f32>,
    gates: Pieces<'a>,
    hidden: Pieces<'a>,
    cells: Pieces<'a>,
    /// By row and gate.
    sums: Vec<f32>,
    cell_before: Vec<f32>,
    cell: Vec<f32>,
    output: Vec<f32>,
}

impl Chunk for LstmStep<'_> {
    fn compute(&mut self, t: usize, left: &[PackedLeft; 2], exchange: &Exchange) {
        let (n_rows, n, width) = (self.shape.n_rows, self.shape.n_units, self.units.len());
        let gates = &mut self.gates[range_of(t, 4 * n_rows)];
        gather(gates, &mut self.sums);
        for (gate, packed) in self.step.recurrent.iter().enumerate() {
            let to = &mut self.sums[gate * width..];
            multiply_packed(&left[0], packed, self.units.clone(), to, 4 * width, Store::Add);
        }
        std::mem::swap(&mut self.cell_before, &mut self.cell);
        self.step.level.run(LstmForward {
            gates: &mut self.sums,
            bias: &self.bias,
            cell_before: &self.cell_before,
            cell: &mut self.cell,
            hidden: &mut self.output,
            n_units: width,
            units: 0..width,
        });
        scatter(&self.sums, gates);
        scatter(&self.cell, &mut self.cells[range_of(t + 1, n_rows)]);
        scatter(&self.output, &mut self.hidden[range_of(t + 1, n_rows)]);
        for (row, output) in self.output.chunks_exact(width).enumerate() {
            exchange.write(t + 1, row * n + self.units.start, output);
        }
    }
}

struct GruStep<'a> {
    step: &'a Step<'a>,
    shape: Shape,
    units: Range<usize>,
    bias: Vec<f32>,
    gates: Pieces<'a>,
    hidden: Pieces<'a>,
    inner: Pieces<'a>,
    /// By row and gate.
    sums: Vec<f32>,
    inner_sums: Vec<f32>,
    before: Vec<f32>,
    output: Vec<f32>,
}

impl Chunk for GruStep<'_> {
    fn compute(&mut self, t: usize, left: &[PackedLeft; 2], exchange: &Exchange) {
        let (n_rows, n, width) = (self.shape.n_rows, self.shape.n_units, self.units.len());
        let [reset, update, candidate, _] = self.step.recurrent;
        let of = || self.units.clone();
        let gates = &mut self.gates[range_of(t, 3 * n_rows)];
        gather(gates, &mut self.sums);
        multiply_packed(&left[0], reset, of(), &mut self.sums, 3 * width, Store::Add);
        multiply_packed(&left[0], update, of(), &mut self.sums[width..], 3 * width, Store::Add);
        let to = &mut self.inner_sums;
        multiply_packed(&left[0], candidate, of(), to, width, Store::Overwrite);
        std::mem::swap(&mut self.before, &mut self.output);
        self.step.level.run(GruForward {
            gates: &mut self.sums,
            inner: &mut self.inner_sums,
            bias: &self.bias,
            hidden_before: &self.before,
            hidden: &mut self.output,
            n_units: width,
            units: 0..width,
        });
        scatter(&self.sums, gates);
        scatter(&self.inner_sums, &mut self.inner[range_of(t, n_rows)]);
        scatter(&self.output, &mut self.hidden[range_of(t + 1, n_rows)]);
        for (row, output) in self.output.chunks_exact(width).enumerate() {
            exchange.write(t + 1, row * n + self.units.start, output);
        }
    }
}

struct LstmStepBack<'a> {
    back: &'a Back<'a>,
    units: Range<usize>,
    gates: Pieces<'a>,
    /// By row and gate.
    sums: Vec<f32>,
    cell_before: Vec<f32>,
    cell: Vec<f32>,
    output_gradient: Vec<f32>,
    hidden_gradient: Vec<f32>,
    cell_gradient: Vec<f32>,
}

impl Chunk for LstmStepBack<'_> {
    fn compute(&mut self, step: usize, left: &[PackedLeft; 2], exchange: &Exchange) {
        let (back, units, width) = (self.back, &self.units, self.units.len());
        let Shape { n_steps, n_rows, n_units: n, .. } = back.shape;
        let t = n_steps - 1 - step;
        if step > 0 {
            let (packed, to) = (&back.transposed[0], &mut self.hidden_gradient);
            multiply_packed(&left[0], packed, units.clone(), to, width, Store::Overwrite);
        }
        let all = &(0..n_rows);
        copy_columns(back.at(back.cells, t, all), n, units, &mut self.cell_before);
        copy_columns(back.at(back.cells, t + 1, all), n, units, &mut self.cell);
        copy_columns(back.at(back.dy, t, all), n, units, &mut self.output_gradient);
        let gates = &mut self.gates[range_of(t, 4 * n_rows)];
        gather(gates, &mut self.sums);
        back.level.run(LstmBackward {
            gates: &mut self.sums,
            cell_before: &self.cell_before,
            cell: &self.cell,
            output_gradient: &self.output_gradient,
            hidden_gradient: &self.hidden_gradient,
            cell_gradient: &mut self.cell_gradient,
            n_units: width,
        });
        scatter(&self.sums, gates);
        for (idx, sums) in self.sums.chunks_exact(width).enumerate() {
            exchange.write(step + 1, idx * n + units.start, sums);
        }
    }
}

struct GruStepBack<'a> {
    back: &'a Back<'a>,
    units: Range<usize>,
    gates: Pieces<'a>,
    inner: Pieces<'a>,
    /// By row and gate.
    sums: Vec<f32>,
    inner_sums: Vec<f32>,
    hidden_before: Vec<f32>,
    output_gradient: Vec<f32>,
    hidden_gradient: Vec<f32>,
}

impl Chunk for GruStepBack<'_> {
    fn compute(&mut self, step: usize, left: &[PackedLeft; 2], exchange: &Exchange) {
        let (back, units, width) = (self.back, &self.units, self.units.len());
        let Shape { n_steps, n_rows, n_units: n, .. } = back.shape;
        let t = n_steps - 1 - step;
        if step > 0 {
            for (left, packed) in left.iter().zip(back.transposed) {
                let to = &mut self.hidden_gradient;
                multiply_packed(left, packed, units.clone(), to, width, Store::Add);
            }
        }
        let all = &(0..n_rows);
        copy_columns(back.at(back.hidden, t, all), n, units, &mut self.hidden_before);
        copy_columns(back.at(back.dy, t, all), n, units, &mut self.output_gradient);
        let gates = &mut self.gates[range_of(t, 3 * n_rows)];
        let inner = &mut self.inner[range_of(t, n_rows)];
        gather(gates, &mut self.sums);
        gather(inner, &mut self.inner_sums);
        back.level.run(GruBackward {
            gates: &mut self.sums,
            inner: &mut self.inner_sums,
            hidden_before: &self.hidden_before,
            output_gradient: &self.output_gradient,
            hidden_gradient: &mut self.hidden_gradient,
            n_units: width,
        });
        scatter(&self.sums, gates);
        scatter(&self.inner_sums, inner);
        // First r and z of all rows, then what is inside n.
        for (row, sums) in self.sums.chunks_exact(3 * width).enumerate() {
            for (gate, sums) in sums.chunks_exact(width).take(2).enumerate() {
                exchange.write(step + 1, (2 * row + gate) * n + units.start, sums);
            }
        }
        for (row, sums) in self.inner_sums.chunks_exact(width).enumerate() {
            exchange.write(step + 1, (2 * n_rows + row) * n + units.start, sums);
        }
    }
}
