//! A sequence of few rows, whose units the threads share.
//!
//! With few rows a time step takes as long as reading the recurrent weights, and threads that share
//! the rows all read all of them. Here the units are cut into chunks, and a thread takes the same ones
//! at every step if it can: it reads its part of the weights alone, which its cache may keep. What a
//! step leaves for all units of the next, outputs on the way forward and gate gradients on the way
//! back, goes through an [`run::Exchange`].
//!
//! No thread is relied on. A chunk is locked while it is computed and knows its step, so whoever is
//! free takes it; threads that come late, or never, cost time and nothing else.
//!
//! Every number is made by the same operations as where rows are shared, and so the same to the bit.
//!
//! # Limitations
//! Threads meet at every step, so that one which has to let another program run holds up all: on a
//! machine that is busy with other things this is no quicker than sharing rows. Each thread packs what
//! is exchanged for itself, which is why rows have to be few.

mod run;
mod steps;

use std::ops::Range;

use run::{Exchange, Run};
use steps::{GruStep, GruStepBack, LstmStep, LstmStepBack, Pieces};

use super::{Back, CellKind, Lane, Memory, Shape, Step, UNITS, to_and_fro, whole_panels};
use crate::model::fused::threads::Threads;

/// With so many rows for every thread, a step's arithmetic takes longer than reading its weights.
const ENOUGH_ROWS: usize = 4;

/// With more rows, what every thread packs at each step is no longer little beside its arithmetic.
const MAX_ROWS: usize = 16;

/// With fewer units, reading the weights takes no longer than the threads need to meet.
const MIN_UNITS: usize = 256;

/// The widest panel of any processor: chunks are whole panels.
const WIDEST_PANEL: usize = 32;

/// Whether the threads shall share units and not rows.
pub fn pays(threads: Threads, shape: Shape) -> bool {
    let (n, Shape { n_rows, n_units, .. }) = (threads.get(), shape);
    let n_chunks = n_units.div_ceil(chunk_size(threads, n_units, WIDEST_PANEL));
    let are_few = n_rows > 0 && n_rows < ENOUGH_ROWS * n && n_rows <= MAX_ROWS;
    // No thread shall be idle that would have a row.
    n > 1 && are_few && n_units >= MIN_UNITS && n_chunks >= n_rows.min(n)
}

/// Units of a chunk: a chunk for every thread, as far as panels go, but none larger than the cache
/// likes.
fn chunk_size(threads: Threads, n_units: usize, panel_width: usize) -> usize {
    let size = n_units.div_ceil(threads.get()).min(UNITS);
    whole_panels(size, panel_width)
}

/// All steps of `memory` forward; the first state is in its place.
pub fn forward(threads: Threads, lanes: &mut [Lane], step: &Step<'_>, memory: &mut Memory) {
    let (shape, n) = (memory.shape, memory.shape.n_units);
    let ranges: Vec<_> =
        to_and_fro(0, n, chunk_size(threads, n, step.recurrent[0].panel_width())).collect();
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
    let ranges: Vec<_> =
        to_and_fro(0, n, chunk_size(threads, n, back.transposed[0].panel_width())).collect();
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
