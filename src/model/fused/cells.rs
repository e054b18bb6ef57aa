//! The arithmetic of one time step between two products: gates, cell and output of an LSTM or a
//! GRU, and their derivatives, each in one pass over a few rows and units.
//!
//! Formulas and order of gates are those of `recurrent.rs` of the model. Gates are rows of
//! `G · H` numbers; everything else is rows of `H`.

use std::ops::Range;

use super::functions::{sigmoid, tanh};
use super::simd::{Kernel, MulAdd};

/// In: `x W + h U` in `gates`. Out: σ of i, f, o and tanh of g there; the new cell and output.
pub struct LstmForward<'a> {
    pub gates: &'a mut [f32],
    pub bias: &'a [f32],
    pub cell_before: &'a [f32],
    pub cell: &'a mut [f32],
    pub hidden: &'a mut [f32],
    pub n_units: usize,
    pub units: Range<usize>,
}

/// In: what [`LstmForward`] left. Out: the gradient of the sums inside the gates, in their place,
/// and of the cell before.
pub struct LstmBackward<'a> {
    pub gates: &'a mut [f32],
    pub cell_before: &'a [f32],
    pub cell: &'a [f32],
    pub output_gradient: &'a [f32],
    /// What comes back from the next step.
    pub hidden_gradient: &'a [f32],
    pub cell_gradient: &'a mut [f32],
    pub n_units: usize,
}

/// In: `x W` in `gates`, with `h U` of r and z added; `h U` of n in `inner`. Out: σ of r and z and
/// tanh of n; `inner` with its bias; the new output.
pub struct GruForward<'a> {
    pub gates: &'a mut [f32],
    pub inner: &'a mut [f32],
    pub bias: &'a [f32],
    pub hidden_before: &'a [f32],
    pub hidden: &'a mut [f32],
    pub n_units: usize,
    pub units: Range<usize>,
}

/// In: what [`GruForward`] left. Out: the gradient of the sums inside the gates, in their place;
/// of `h U + b'` in `inner`; and of `h` before as far as it flows past the gates.
pub struct GruBackward<'a> {
    pub gates: &'a mut [f32],
    pub inner: &'a mut [f32],
    pub hidden_before: &'a [f32],
    pub output_gradient: &'a [f32],
    pub hidden_gradient: &'a mut [f32],
    pub n_units: usize,
}

/// The units `units` of each of `N` gates in one row.
#[inline(always)]
fn gates_mut<'a, const N: usize>(
    row: &'a mut [f32],
    n_units: usize,
    units: &Range<usize>,
) -> [&'a mut [f32]; N] {
    let mut gates = row.chunks_exact_mut(n_units);
    std::array::from_fn(|_| &mut gates.next().expect("a row has N gates")[units.clone()])
}

/// The same of what is only read.
#[inline(always)]
fn gates<'a, const N: usize>(
    row: &'a [f32],
    n_units: usize,
    units: &Range<usize>,
) -> [&'a [f32]; N] {
    std::array::from_fn(|gate| &row[gate * n_units..][..n_units][units.clone()])
}

impl Kernel for LstmForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let (n_units, n) = (self.n_units, self.units.len());
        let [bias_i, bias_f, bias_o, bias_g] = gates::<4>(self.bias, n_units, &self.units);
        let rows = self.gates.chunks_exact_mut(4 * n_units);
        let rows = rows.zip(self.cell_before.chunks_exact(n_units));
        let rows = rows.zip(self.cell.chunks_exact_mut(n_units));
        for (((row, before), cell), hidden) in rows.zip(self.hidden.chunks_exact_mut(n_units)) {
            let [i, f, o, g] = gates_mut::<4>(row, n_units, &self.units);
            let before = &before[self.units.clone()];
            let cell = &mut cell[self.units.clone()];
            let hidden = &mut hidden[self.units.clone()];
            for idx in 0..n {
                i[idx] = sigmoid::<M>(i[idx] + bias_i[idx]);
                f[idx] = sigmoid::<M>(f[idx] + bias_f[idx]);
                o[idx] = sigmoid::<M>(o[idx] + bias_o[idx]);
                g[idx] = tanh::<M>(g[idx] + bias_g[idx]);
                cell[idx] = M::mul_add(f[idx], before[idx], i[idx] * g[idx]);
                hidden[idx] = o[idx] * tanh::<M>(cell[idx]);
            }
        }
    }
}

impl Kernel for LstmBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let n = self.n_units;
        let rows = self.gates.chunks_exact_mut(4 * n);
        let rows = rows.zip(self.cell_before.chunks_exact(n).zip(self.cell.chunks_exact(n)));
        let rows = rows.zip(self.output_gradient.chunks_exact(n));
        let rows = rows.zip(self.hidden_gradient.chunks_exact(n));
        let rows = rows.zip(self.cell_gradient.chunks_exact_mut(n));
        for ((((row, (before, cell)), output_gradient), hidden_gradient), cell_gradient) in rows {
            let [i, f, o, g] = gates_mut::<4>(row, n, &(0..n));
            for idx in 0..n {
                let (input, forget, output, candidate) = (i[idx], f[idx], o[idx], g[idx]);
                let dh = output_gradient[idx] + hidden_gradient[idx];
                let cell_tanh = tanh::<M>(cell[idx]);
                let slope = M::mul_add(-cell_tanh, cell_tanh, 1.0);
                let dc = M::mul_add(slope * output, dh, cell_gradient[idx]);
                i[idx] = dc * candidate * ((1.0 - input) * input);
                f[idx] = dc * before[idx] * ((1.0 - forget) * forget);
                o[idx] = dh * cell_tanh * ((1.0 - output) * output);
                g[idx] = M::mul_add(-candidate, candidate, 1.0) * input * dc;
                cell_gradient[idx] = dc * forget;
            }
        }
    }
}

impl Kernel for GruForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let (n_units, n) = (self.n_units, self.units.len());
        let [bias_r, bias_z, bias_n, bias_inner] = gates::<4>(self.bias, n_units, &self.units);
        let rows = self.gates.chunks_exact_mut(3 * n_units);
        let rows = rows.zip(self.inner.chunks_exact_mut(n_units));
        let rows = rows.zip(self.hidden_before.chunks_exact(n_units));
        for (((row, inner), before), hidden) in rows.zip(self.hidden.chunks_exact_mut(n_units)) {
            let [r, z, candidate] = gates_mut::<3>(row, n_units, &self.units);
            let inner = &mut inner[self.units.clone()];
            let before = &before[self.units.clone()];
            let hidden = &mut hidden[self.units.clone()];
            for idx in 0..n {
                r[idx] = sigmoid::<M>(r[idx] + bias_r[idx]);
                z[idx] = sigmoid::<M>(z[idx] + bias_z[idx]);
                inner[idx] += bias_inner[idx];
                let sum = candidate[idx] + bias_n[idx];
                candidate[idx] = tanh::<M>(M::mul_add(r[idx], inner[idx], sum));
                hidden[idx] = M::mul_add(z[idx], before[idx] - candidate[idx], candidate[idx]);
            }
        }
    }
}

impl Kernel for GruBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let n = self.n_units;
        let rows = self.gates.chunks_exact_mut(3 * n);
        let rows = rows.zip(self.inner.chunks_exact_mut(n));
        let rows = rows.zip(self.hidden_before.chunks_exact(n));
        let rows = rows.zip(self.output_gradient.chunks_exact(n));
        let rows = rows.zip(self.hidden_gradient.chunks_exact_mut(n));
        for ((((row, inner), before), output_gradient), hidden_gradient) in rows {
            let [r, z, candidate] = gates_mut::<3>(row, n, &(0..n));
            for idx in 0..n {
                let (reset, update, new) = (r[idx], z[idx], candidate[idx]);
                let dh = output_gradient[idx] + hidden_gradient[idx];
                // Of h' = n + z ∘ (h - n): dn = dh ∘ (1 - z), dz = dh ∘ (h - n).
                let dn = M::mul_add(-new, new, 1.0) * (1.0 - update) * dh;
                r[idx] = dn * inner[idx] * ((1.0 - reset) * reset);
                z[idx] = dh * (before[idx] - new) * ((1.0 - update) * update);
                candidate[idx] = dn;
                inner[idx] = dn * reset;
                hidden_gradient[idx] = dh * update;
            }
        }
    }
}
