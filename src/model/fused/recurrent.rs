//! A recurrent layer over a whole sequence at once, forward and backward through time.
//!
//! ```text
//! forward    Z = X W for all steps; per step Z[t] += h U and one pass of `cells`
//! backward   per step one pass of `cells` and dh = dZ[t] Uᵀ; then for all steps
//!            dX = dZ Wᵀ, dW = Xᵀ dZ, dU = hᵀ dZ, db = column sums of dZ
//! ```
//!
//! Rows of the batch know nothing of each other, so each thread takes some of them through all
//! steps without waiting for another; where there are few rows, threads share the units
//! ([`by_units`]). The weights are packed once for the sequence, and the gates of a few units are
//! finished while they are in the cache. Nothing is allocated per step.
//!
//! With few rows reading the recurrent weights is what takes the time. Every other step reads them
//! from their end: so it begins with those that the step before left in the cache.
//!
//! Shapes and formulas are those of `recurrent.rs` of the model: T steps, B rows, I inputs, H
//! units, G gates; time-major.

mod by_units;

use std::ops::Range;

use super::cells::{GruBackward, GruForward, LstmBackward, LstmForward};
use super::product::{
    DEPTH, PackedLeft, PackedRight, Scratch, View, multiply, multiply_columns, multiply_here,
    multiply_packed,
};
use super::simd::{Level, Store};
use super::threads::Threads;
use crate::cancel::CancelToken;
use crate::model::recurrent::CellKind;

/// Most rows that one thread takes through the sequence together.
const ROWS: usize = 128;

/// Units whose gates are finished together, about.
const UNITS: usize = 64;

/// Up to so many rows, all columns of dZ fit into the cache beside the weights.
const FEW_ROWS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    pub n_steps: usize,
    pub n_rows: usize,
    pub n_inputs: usize,
    pub n_units: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `[I, G·H]`
    pub input: &'a [f32],
    /// `[H, G·H]`
    pub recurrent: &'a [f32],
    /// `[1, 4·H]`
    pub bias: &'a [f32],
}

/// What a layer reads.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    /// `[T·B, I]`
    Rows(&'a [f32]),
    /// Whoever knows a shorter way to the products. Of this input there is no gradient.
    Products(&'a dyn Products),
}

/// The products of an input X that never is a matrix. Each is to be the same bit for bit whatever
/// the number of threads.
pub trait Products: Sync {
    /// `X W`, `[T·B, G·H]`, over what is there.
    fn write(&self, products: &mut [f32]);
    /// `Xᵀ dZ`, `[I, G·H]`, over what is there, given dZ, `[T·B, G·H]`.
    fn write_gradient(&self, dz: &[f32], gradient: &mut [f32]);
}

/// Where gradients go; what was there is overwritten. Those of [`Weights`] have their shapes.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of the layer's input: `[T·B, I]`, if somebody asks for it
    pub x: Option<&'a mut [f32]>,
    pub input: &'a mut [f32],
    pub recurrent: &'a mut [f32],
    pub bias: &'a mut [f32],
}

/// What goes from one sequence to the next, `[B, H]` each. A GRU has no cell: the slice is empty.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    pub hidden: &'a [f32],
    pub cell: &'a [f32],
}

/// What the forward pass leaves for the backward pass, which uses it up.
#[derive(Clone, Debug)]
pub struct Memory {
    kind: CellKind,
    shape: Shape,
    /// `[T·B, G·H]`: gates, and after the backward pass the gradients of the sums inside them.
    gates: Vec<f32>,
    /// GRU, `[T·B, H]`: `h U + b'`, and after the backward pass its gradient.
    inner: Vec<f32>,
    /// `[(T+1)·B, H]`, beginning with the state before the first step.
    hidden: Vec<f32>,
    /// LSTM, as `hidden`.
    cells: Vec<f32>,
}

/// Packed weights and what else is only needed while a layer is computed. One workspace can serve
/// all layers of a network.
#[derive(Clone, Debug)]
pub struct Workspace {
    scratch: Scratch,
    lanes: Vec<Lane>,
    /// `W`, or `Wᵀ` when going back.
    input: PackedRight,
    /// `U` by gate.
    recurrent: [PackedRight; 4],
    /// `Uᵀ`: all gates of an LSTM; r and z of a GRU, and n.
    transposed: [PackedRight; 2],
    /// Some rows of dZ.
    gradients: PackedRight,
}

/// What one thread needs for itself.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// The first alone, but for a GRU on the way back where units are shared.
    lefts: [PackedLeft; 2],
    exchanged: Vec<f32>,
    hidden_gradient: Vec<f32>,
    cell_gradient: Vec<f32>,
}

impl Shape {
    fn n_frames(self) -> usize {
        self.n_steps * self.n_rows
    }
}

impl Memory {
    pub fn new(kind: CellKind) -> Self {
        let shape = Shape { n_steps: 0, n_rows: 0, n_inputs: 0, n_units: 0 };
        let nothing = Vec::new;
        Self {
            kind,
            shape,
            gates: nothing(),
            inner: nothing(),
            hidden: nothing(),
            cells: nothing(),
        }
    }

    pub fn kind(&self) -> CellKind {
        self.kind
    }

    /// The outputs of all steps, `[T·B, H]`.
    pub fn outputs(&self) -> &[f32] {
        &self.hidden[self.shape.n_rows * self.shape.n_units..]
    }

    /// The state after the last step.
    pub fn state(&self) -> State<'_> {
        let first = self.shape.n_frames() * self.shape.n_units;
        State { hidden: &self.hidden[first..], cell: self.cells.get(first..).unwrap_or(&[]) }
    }

    /// Makes room for `shape` and puts the first state in its place.
    fn begin(&mut self, shape: Shape, state: State<'_>) {
        self.shape = shape;
        let (n, states) = (shape.n_frames(), (shape.n_steps + 1) * shape.n_rows * shape.n_units);
        self.gates.resize(n * self.kind.n_gates() * shape.n_units, 0.0);
        self.hidden.resize(states, 0.0);
        self.hidden[..state.hidden.len()].copy_from_slice(state.hidden);
        match self.kind {
            CellKind::Lstm => {
                self.cells.resize(states, 0.0);
                self.cells[..state.cell.len()].copy_from_slice(state.cell);
            }
            CellKind::Gru => self.inner.resize(n * shape.n_units, 0.0),
        }
    }
}

impl Workspace {
    pub fn new(threads: Threads, level: Level) -> Self {
        let packed = || PackedRight::new(level);
        Self {
            scratch: Scratch::new(threads, level),
            lanes: vec![Lane::default(); threads.get()],
            input: packed(),
            recurrent: [packed(), packed(), packed(), packed()],
            transposed: [packed(), packed()],
            gradients: packed(),
        }
    }

    /// Reads `input` from `state` on. Outputs and state are in `memory` afterwards.
    /// `None` if it was cancelled: the token is looked at before every time step.
    ///
    /// # Panics
    /// If a slice hasn't the length its shape asks for.
    pub fn forward(
        &mut self,
        shape: Shape,
        input: Input<'_>,
        weights: Weights<'_>,
        state: State<'_>,
        memory: &mut Memory,
        cancel: &CancelToken,
    ) -> Option<()> {
        self.scratch.cancel = cancel.clone();
        check(memory.kind, shape, input, weights);
        let n_states = shape.n_rows * shape.n_units;
        assert_eq!(state.hidden.len(), n_states);
        assert!(memory.kind == CellKind::Gru || state.cell.len() == n_states);
        memory.begin(shape, state);
        let (n, width) = (shape.n_units, memory.kind.n_gates() * shape.n_units);
        let threads = self.scratch.threads;
        let recurrent = View::new(weights.recurrent, n, width);
        for (gate, packed) in self.recurrent[..memory.kind.n_gates()].iter_mut().enumerate() {
            packed.pack(threads, recurrent.columns(gate * n..(gate + 1) * n));
        }
        match input {
            Input::Rows(x) => {
                self.input.pack(threads, View::new(weights.input, shape.n_inputs, width));
                let (scratch, to) = (&mut self.scratch, &mut memory.gates);
                let x = View::new(x, shape.n_frames(), shape.n_inputs);
                multiply(scratch, x, &self.input, to, width, Store::Overwrite);
            }
            Input::Products(products) => products.write(&mut memory.gates),
        }

        let (recurrent, level) = (&self.recurrent, self.scratch.level);
        let step = Step { level, n_units: n, bias: weights.bias, recurrent, cancel };
        if by_units::pays(threads, shape) {
            by_units::forward(threads, &mut self.lanes, &step, memory);
            return whole(cancel);
        }
        let ranges: Vec<_> = threads.ranges(shape.n_rows, ROWS).collect();
        let gates = by_rows(&mut memory.gates, shape.n_rows, width, &ranges);
        let inner = by_rows(&mut memory.inner, shape.n_rows, n, &ranges);
        let hidden = by_rows(&mut memory.hidden, shape.n_rows, n, &ranges);
        let cells = by_rows(&mut memory.cells, shape.n_rows, n, &ranges);
        let parts = gates.into_iter().zip(inner).zip(hidden.into_iter().zip(cells));
        let parts: Vec<_> = parts.collect();
        threads.share_with(&mut self.lanes, parts.into_iter(), |lane, part| {
            let ((mut gates, mut inner), (mut hidden, mut cells)) = part;
            match memory.kind {
                CellKind::Lstm => step.lstm(lane, &mut gates, &mut hidden, &mut cells),
                CellKind::Gru => step.gru(lane, &mut gates, &mut inner, &mut hidden),
            }
        });
        whole(cancel)
    }

    /// From the gradient of the outputs (`[T·B, H]`) to those of the input and the weights.
    /// Nothing flows into the state before the first step. Afterwards `memory` is good only for
    /// another forward pass. `None` if it was cancelled, as above.
    ///
    /// # Panics
    /// If a slice hasn't the length its shape asks for.
    pub fn backward(
        &mut self,
        input: Input<'_>,
        weights: Weights<'_>,
        memory: &mut Memory,
        output_gradient: &[f32],
        gradients: Gradients<'_>,
        cancel: &CancelToken,
    ) -> Option<()> {
        self.scratch.cancel = cancel.clone();
        let (shape, kind) = (memory.shape, memory.kind);
        check(kind, shape, input, weights);
        assert_eq!(output_gradient.len(), shape.n_frames() * shape.n_units);
        self.gate_gradients(weights, memory, output_gradient);

        if let Some(dx) = gradients.x {
            assert_eq!(dx.len(), shape.n_frames() * shape.n_inputs);
            let (n_frames, width) = (shape.n_frames(), kind.n_gates() * shape.n_units);
            let dz = View::new(&memory.gates, n_frames, width);
            let weights = View::new(weights.input, shape.n_inputs, width);
            self.input.pack(self.scratch.threads, weights.transposed());
            let stride = shape.n_inputs;
            multiply(&mut self.scratch, dz, &self.input, dx, stride, Store::Overwrite);
        }
        let Gradients { input: of_input, recurrent, bias, .. } = gradients;
        let x = match input {
            Input::Rows(x) => Some((x, &mut *of_input)),
            Input::Products(products) => {
                products.write_gradient(&memory.gates, of_input);
                None
            }
        };
        self.weight_gradients(x, recurrent, bias, memory);
        whole(cancel)
    }

    /// Back through time: dZ in place of the gates.
    fn gate_gradients(&mut self, weights: Weights<'_>, memory: &mut Memory, dy: &[f32]) {
        let (shape, kind) = (memory.shape, memory.kind);
        let (n, width) = (shape.n_units, kind.n_gates() * shape.n_units);
        let threads = self.scratch.threads;
        let recurrent = View::new(weights.recurrent, n, width);
        match kind {
            CellKind::Lstm => self.transposed[0].pack(threads, recurrent.transposed()),
            CellKind::Gru => {
                self.transposed[0].pack(threads, recurrent.columns(0..2 * n).transposed());
                self.transposed[1].pack(threads, recurrent.columns(2 * n..3 * n).transposed());
            }
        }
        let back = Back {
            level: self.scratch.level,
            shape,
            dy,
            hidden: &memory.hidden,
            cells: &memory.cells,
            transposed: &self.transposed,
            cancel: &self.scratch.cancel,
        };
        if by_units::pays(threads, shape) {
            let (lanes, gates) = (&mut self.lanes, &mut memory.gates);
            by_units::backward(threads, lanes, kind, &back, gates, &mut memory.inner);
            return;
        }
        let ranges: Vec<_> = threads.ranges(shape.n_rows, ROWS).collect();
        let gates = by_rows(&mut memory.gates, shape.n_rows, width, &ranges);
        let inner = by_rows(&mut memory.inner, shape.n_rows, n, &ranges);
        let parts: Vec<_> = gates.into_iter().zip(inner).zip(ranges).collect();
        threads.share_with(&mut self.lanes, parts.into_iter(), |lane, ((gates, inner), rows)| {
            match kind {
                CellKind::Lstm => back.lstm(lane, gates, rows),
                CellKind::Gru => back.gru(lane, gates, inner, rows),
            }
        });
    }

    /// The products over all time steps, a block of frames after the other: each block of dZ is
    /// packed once for both, and the bias is summed on the way. `input` are the layer's input and
    /// the gradient of its weights, unless somebody else cares for that.
    fn weight_gradients(
        &mut self,
        mut input: Option<(&[f32], &mut [f32])>,
        to_recurrent: &mut [f32],
        bias: &mut [f32],
        memory: &Memory,
    ) {
        let (shape, kind) = (memory.shape, memory.kind);
        let (n, n_frames, threads) = (shape.n_units, shape.n_frames(), self.scratch.threads);
        let width = kind.n_gates() * n;
        let hidden = View::new(&memory.hidden, n_frames, n);
        let dz = View::new(&memory.gates, n_frames, width);
        let (scratch, packed) = (&mut self.scratch, &mut self.gradients);
        let (outer_bias, inner_bias) = bias.split_at_mut(width);
        outer_bias.fill(0.0);
        inner_bias.fill(0.0);
        to_recurrent.fill(0.0);
        if let Some((_, to)) = &mut input {
            to.fill(0.0);
        }
        for first in (0..n_frames).step_by(DEPTH) {
            if scratch.cancel.is_cancelled() {
                return;
            }
            let frames = first..(first + DEPTH).min(n_frames);
            let hidden = hidden.rows(frames.clone()).transposed();
            packed.pack_and_sum(threads, dz.rows(frames.clone()), outer_bias);
            if let Some((x, to)) = &mut input {
                let x = View::new(x, n_frames, shape.n_inputs).rows(frames.clone()).transposed();
                multiply(scratch, x, packed, to, width, Store::Add);
            }
            match kind {
                CellKind::Lstm => {
                    multiply(scratch, hidden, packed, to_recurrent, width, Store::Add);
                }
                CellKind::Gru => {
                    let result = &mut *to_recurrent;
                    multiply_columns(scratch, hidden, packed, 0..2 * n, result, width, Store::Add);
                    let inner = View::new(&memory.inner, n_frames, n).rows(frames);
                    packed.pack_and_sum(threads, inner, inner_bias);
                    multiply(scratch, hidden, packed, &mut result[2 * n..], width, Store::Add);
                }
            }
        }
    }
}

/// What every thread reads on the way forward.
struct Step<'a> {
    level: Level,
    n_units: usize,
    bias: &'a [f32],
    recurrent: &'a [PackedRight; 4],
    cancel: &'a CancelToken,
}

impl Step<'_> {
    /// Some rows through all steps of an LSTM. By step: the gates; by state, of which there is
    /// one more: `hidden` and `cells`.
    fn lstm(
        &self,
        lane: &mut Lane,
        gates: &mut [&mut [f32]],
        hidden: &mut [&mut [f32]],
        cells: &mut [&mut [f32]],
    ) {
        let n = self.n_units;
        for (t, gates) in gates.iter_mut().enumerate() {
            if self.cancel.is_cancelled() {
                return;
            }
            let (before, after) = hidden.split_at_mut(t + 1);
            let (cell_before, cell_after) = cells.split_at_mut(t + 1);
            lane.lefts[0].pack(self.level, View::new(before[t], before[t].len() / n, n));
            for units in self.unit_ranges(t) {
                for (gate, packed) in self.recurrent.iter().enumerate() {
                    let to = &mut gates[gate * n + units.start..];
                    multiply_packed(&lane.lefts[0], packed, units.clone(), to, 4 * n, Store::Add);
                }
                self.level.run(LstmForward {
                    gates,
                    bias: self.bias,
                    cell_before: cell_before[t],
                    cell: cell_after[0],
                    hidden: after[0],
                    n_units: n,
                    units,
                });
            }
        }
    }

    /// Some rows through all steps of a GRU.
    fn gru(
        &self,
        lane: &mut Lane,
        gates: &mut [&mut [f32]],
        inner: &mut [&mut [f32]],
        hidden: &mut [&mut [f32]],
    ) {
        let n = self.n_units;
        let [reset, update, candidate, _] = self.recurrent;
        for (t, (gates, inner)) in gates.iter_mut().zip(inner).enumerate() {
            if self.cancel.is_cancelled() {
                return;
            }
            let (before, after) = hidden.split_at_mut(t + 1);
            let left = &mut lane.lefts[0];
            left.pack(self.level, View::new(before[t], before[t].len() / n, n));
            for units in self.unit_ranges(t) {
                let of = || units.clone();
                let to = &mut gates[units.start..];
                multiply_packed(left, reset, of(), to, 3 * n, Store::Add);
                multiply_packed(left, update, of(), &mut to[n..], 3 * n, Store::Add);
                let to = &mut inner[units.start..];
                multiply_packed(left, candidate, of(), to, n, Store::Overwrite);
                self.level.run(GruForward {
                    gates,
                    inner,
                    bias: self.bias,
                    hidden_before: before[t],
                    hidden: after[0],
                    n_units: n,
                    units,
                });
            }
        }
    }

    fn unit_ranges(&self, t: usize) -> impl Iterator<Item = Range<usize>> {
        to_and_fro(t, self.n_units, whole_panels(UNITS, self.recurrent[0].panel_width()))
    }
}

/// What every thread reads on the way back.
struct Back<'a> {
    level: Level,
    shape: Shape,
    /// `[T·B, H]`
    dy: &'a [f32],
    /// `[(T+1)·B, H]`
    hidden: &'a [f32],
    cells: &'a [f32],
    transposed: &'a [PackedRight; 2],
    cancel: &'a CancelToken,
}

impl Back<'_> {
    fn lstm(&self, lane: &mut Lane, gates: Vec<&mut [f32]>, rows: Range<usize>) {
        let n = self.shape.n_units;
        lane.begin_backward(rows.len() * n);
        for (t, gates) in gates.into_iter().enumerate().rev() {
            if self.cancel.is_cancelled() {
                return;
            }
            self.level.run(LstmBackward {
                gates,
                cell_before: self.at(self.cells, t, &rows),
                cell: self.at(self.cells, t + 1, &rows),
                output_gradient: self.at(self.dy, t, &rows),
                hidden_gradient: &lane.hidden_gradient,
                cell_gradient: &mut lane.cell_gradient,
                n_units: n,
            });
            if t > 0 {
                let dz = View::new(gates, rows.len(), 4 * n);
                self.multiply(lane, t, dz, &self.transposed[0], Store::Overwrite);
            }
        }
    }

    fn gru(
        &self,
        lane: &mut Lane,
        gates: Vec<&mut [f32]>,
        inner: Vec<&mut [f32]>,
        rows: Range<usize>,
    ) {
        let n = self.shape.n_units;
        lane.begin_backward(rows.len() * n);
        for (t, (gates, inner)) in gates.into_iter().zip(inner).enumerate().rev() {
            if self.cancel.is_cancelled() {
                return;
            }
            self.level.run(GruBackward {
                gates,
                inner,
                hidden_before: self.at(self.hidden, t, &rows),
                output_gradient: self.at(self.dy, t, &rows),
                hidden_gradient: &mut lane.hidden_gradient,
                n_units: n,
            });
            if t > 0 {
                let outer = View::new(gates, rows.len(), 3 * n).columns(0..2 * n);
                let inner = View::new(inner, rows.len(), n);
                for (view, packed) in [outer, inner].into_iter().zip(self.transposed) {
                    self.multiply(lane, t, view, packed, Store::Add);
                }
            }
        }
    }

    /// `dz · transposed` into the gradient of the state before step `t`.
    fn multiply(
        &self,
        lane: &mut Lane,
        t: usize,
        dz: View<'_>,
        transposed: &PackedRight,
        store: Store,
    ) {
        let (n, to) = (self.shape.n_units, &mut lane.hidden_gradient);
        if dz.rows > FEW_ROWS {
            return multiply_here(&mut lane.lefts[0], dz, transposed, 0..n, to, n, store);
        }
        lane.lefts[0].pack(self.level, dz);
        for columns in to_and_fro(t, n, whole_panels(UNITS, transposed.panel_width())) {
            let to = &mut to[columns.start..];
            multiply_packed(&lane.lefts[0], transposed, columns, to, n, store);
        }
    }

    /// The rows `rows` of step `t`.
    fn at<'a>(&self, values: &'a [f32], t: usize, rows: &Range<usize>) -> &'a [f32] {
        let (n_rows, n) = (self.shape.n_rows, self.shape.n_units);
        &values[(t * n_rows + rows.start) * n..(t * n_rows + rows.end) * n]
    }
}

impl Lane {
    /// Nothing comes back from beyond the last step.
    fn begin_backward(&mut self, n: usize) {
        for values in [&mut self.hidden_gradient, &mut self.cell_gradient] {
            values.clear();
            values.resize(n, 0.0);
        }
    }
}

/// About `n` units: as many whole panels.
fn whole_panels(n: usize, panel_width: usize) -> usize {
    (n / panel_width).max(1) * panel_width
}

/// Units `0..n` in ranges of `size`: upwards in even steps, downwards in odd ones.
fn to_and_fro(t: usize, n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let n_ranges = n.div_ceil(size);
    (0..n_ranges).map(move |idx| {
        let first = size * if t.is_multiple_of(2) { idx } else { n_ranges - 1 - idx };
        first..(first + size).min(n)
    })
}

/// For every range of rows its part of every time step. `values` is `[…·B, width]`.
fn by_rows<'a>(
    values: &'a mut [f32],
    n_rows: usize,
    width: usize,
    ranges: &[Range<usize>],
) -> Vec<Vec<&'a mut [f32]>> {
    let size = (n_rows * width).max(1);
    let n_steps = values.len() / size;
    let mut parts: Vec<Vec<_>> = ranges.iter().map(|_| Vec::with_capacity(n_steps)).collect();
    for mut step in values.chunks_exact_mut(size) {
        for (part, range) in parts.iter_mut().zip(ranges) {
            let (rows, rest) = step.split_at_mut(range.len() * width);
            part.push(rows);
            step = rest;
        }
    }
    parts
}

/// Whether everything was computed: a token that is cancelled stays that, so that whoever looks
/// last knows whether anyone before left out something.
fn whole(cancel: &CancelToken) -> Option<()> {
    (!cancel.is_cancelled()).then_some(())
}

fn check(kind: CellKind, shape: Shape, input: Input<'_>, weights: Weights<'_>) {
    let width = kind.n_gates() * shape.n_units;
    if let Input::Rows(x) = input {
        assert_eq!(x.len(), shape.n_frames() * shape.n_inputs);
    }
    assert_eq!(weights.input.len(), shape.n_inputs * width);
    assert_eq!(weights.recurrent.len(), shape.n_units * width);
    assert_eq!(weights.bias.len(), 4 * shape.n_units);
}

#[cfg(test)]
mod tests;
