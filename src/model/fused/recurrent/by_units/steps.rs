//! What is computed of one time step for the units of a chunk, in each cell and direction: the same as
//! [`Step`] and [`Back`] do for all units of some rows, in the same order.

use std::ops::Range;

use super::run::{Chunk, Exchange};
use super::{Back, Shape, Step};
use crate::model::fused::cells::{GruBackward, GruForward, LstmBackward, LstmForward};
use crate::model::fused::product::{PackedLeft, multiply_packed};
use crate::model::fused::simd::Store;

/// A chunk's part of every `H` numbers that lie together.
pub type Pieces<'a> = Vec<&'a mut [f32]>;

pub struct LstmStep<'a> {
    pub step: &'a Step<'a>,
    pub shape: Shape,
    pub units: Range<usize>,
    pub bias: Vec<f32>,
    pub gates: Pieces<'a>,
    pub hidden: Pieces<'a>,
    pub cells: Pieces<'a>,
    /// By row and gate.
    pub sums: Vec<f32>,
    pub cell_before: Vec<f32>,
    pub cell: Vec<f32>,
    pub output: Vec<f32>,
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

pub struct GruStep<'a> {
    pub step: &'a Step<'a>,
    pub shape: Shape,
    pub units: Range<usize>,
    pub bias: Vec<f32>,
    pub gates: Pieces<'a>,
    pub hidden: Pieces<'a>,
    pub inner: Pieces<'a>,
    /// By row and gate.
    pub sums: Vec<f32>,
    pub inner_sums: Vec<f32>,
    pub before: Vec<f32>,
    pub output: Vec<f32>,
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

pub struct LstmStepBack<'a> {
    pub back: &'a Back<'a>,
    pub units: Range<usize>,
    pub gates: Pieces<'a>,
    /// By row and gate.
    pub sums: Vec<f32>,
    pub cell_before: Vec<f32>,
    pub cell: Vec<f32>,
    pub output_gradient: Vec<f32>,
    pub hidden_gradient: Vec<f32>,
    pub cell_gradient: Vec<f32>,
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

pub struct GruStepBack<'a> {
    pub back: &'a Back<'a>,
    pub units: Range<usize>,
    pub gates: Pieces<'a>,
    pub inner: Pieces<'a>,
    /// By row and gate.
    pub sums: Vec<f32>,
    pub inner_sums: Vec<f32>,
    pub hidden_before: Vec<f32>,
    pub output_gradient: Vec<f32>,
    pub hidden_gradient: Vec<f32>,
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
