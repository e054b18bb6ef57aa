//! One time step of a recurrent layer in one launch: recurrent product, gates, cell and output.
//!
//! Every launch costs some microseconds whatever it computes, and a sequence has hundreds of time
//! steps. So the product and what follows it are one kernel, which writes into memory that was
//! allocated for the whole sequence.
//!
//! The four numbers of a unit lie together, as one vector that is read and written by one
//! instruction, and LSTM and GRU have the same shapes ([`GATES`] wide):
//!
//! | | x | y | z | w |
//! |---|---|---|---|---|
//! | LSTM | i | f | o | g |
//! | GRU | r | z | n's share of the input | n's share of `h`, before the reset |
//!
//! so that a GRU's weights have a column of zeros in each matrix. The recurrent weights are
//! `[H, H]` such vectors: row k holds what unit k of `h` gives to each unit.
//!
//! A cube computes [`TILE`] × [`TILE`] cells (sequences × units). Its units stage tiles of both
//! factors in shared memory and share the inner dimension in [`SLICES`]: a batch of 64 sequences
//! has too few cells to keep a card busy otherwise. The formulas are those of
//! [`super::super::recurrent`].

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Numbers in the vector of a unit.
pub const GATES: usize = 4;
/// Sequences, and units, of a cube.
pub const TILE: usize = 16;
/// Units of hardware in a cube: one for each cell.
pub const CUBE: usize = TILE * TILE;
/// Sequences that one hardware unit adds up.
const ROWS: usize = 4;
const GROUPS: usize = TILE / ROWS;
/// Parts of the inner dimension that are added up beside each other.
const SLICES: usize = CUBE / (TILE * GROUPS);
/// Of the inner dimension, staged at once: by the forward pass, and by the backward pass.
const DEPTH: usize = 32;
const BACK_DEPTH: usize = 16;
/// Vectors from one row of a staged tile to the next one of the backward pass: one more than its
/// length, so that neighboring rows lie in different banks.
const PITCH: usize = BACK_DEPTH + 1;
/// Beyond this |x| tanh x is ±1 in f32; some drivers compute ∞/∞ for large ones.
const LARGEST_ARGUMENT: f32 = 15.0;

/// One time step forward.
///
/// `gates` (`[T·B, H]`) holds the input's share of time step `step` and gets σ and tanh of the
/// gates, for a GRU also the share of `h` before the reset. `hidden` and `cell` (`[(T+1)·B, H]`)
/// hold the state before step t in block t; a GRU has no cell, and any array of one number stands
/// for it.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel can't be a struct")]
pub fn forward_step<N: Size>(
    gates: &mut Array<Vector<f32, N>>,
    hidden: &mut Array<f32>,
    cell: &mut Array<f32>,
    bias: &Array<Vector<f32, N>>,
    weights: &Array<Vector<f32, N>>,
    step: u32,
    n_rows: u32,
    n_units: u32,
    #[comptime] is_lstm: bool,
) {
    let n_rows = n_rows as usize;
    let n_units = n_units as usize;
    let before = step as usize * n_rows * n_units;
    let after = before + n_rows * n_units;
    let position = UNIT_POS as usize;
    let column = position % TILE;
    let group = (position / TILE) % GROUPS;
    let slice = position / (TILE * GROUPS);
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_unit = CUBE_POS_X as usize * TILE;

    // First the staged tiles, weights and then states; in the end the sums of the slices.
    let mut shared = SharedMemory::<Vector<f32, N>>::new(SLICES * CUBE);
    let of_states = DEPTH * TILE;
    let mut sums = Array::<Vector<f32, N>>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = Vector::new(0.0f32);
    }

    // What this unit stages: two vectors of weights, and the states of four sequences.
    let unit = first_unit + column;
    let depth = position / TILE;
    let state_row = first_row + (position / DEPTH) * ROWS;
    let state_depth = position % DEPTH;
    let stages_states = position < DEPTH * GROUPS;
    let mut near = weight::<N>(weights, depth, unit, n_units);
    let mut far = weight::<N>(weights, depth + TILE, unit, n_units);
    let mut states = Vector::<f32, N>::new(0.0f32);
    if stages_states {
        states = four_states::<N>(hidden, before, state_row, state_depth, n_rows, n_units);
    }

    let n_tiles = n_units.div_ceil(DEPTH);
    for tile in 0..n_tiles {
        shared[position] = near;
        shared[position + CUBE] = far;
        if stages_states {
            shared[of_states + position] = states;
        }
        sync_cube();
        // The next tile is on its way while this one is added up.
        let next = (tile + 1) * DEPTH;
        near = weight::<N>(weights, next + depth, unit, n_units);
        far = weight::<N>(weights, next + depth + TILE, unit, n_units);
        if stages_states {
            states =
                four_states::<N>(hidden, before, state_row, next + state_depth, n_rows, n_units);
        }
        #[unroll]
        for idx in 0..DEPTH / SLICES {
            let k = slice * (DEPTH / SLICES) + idx;
            let factor = shared[k * TILE + column];
            let rows = shared[of_states + group * DEPTH + k];
            #[unroll]
            for row in 0..ROWS {
                sums[row] += factor * Vector::new(rows[row]);
            }
        }
        sync_cube();
    }

    #[unroll]
    for row in 0..ROWS {
        shared[slice * CUBE + (group * ROWS + row) * TILE + column] = sums[row];
    }
    sync_cube();
    let row = first_row + position / TILE;
    if row < n_rows && unit < n_units {
        let place = row * n_units + unit;
        let mut sum = gates[before + place] + bias[unit];
        #[unroll]
        for slice in 0..SLICES {
            sum += shared[slice * CUBE + position];
        }
        let first = sigmoid(sum[0]);
        let second = sigmoid(sum[1]);
        let mut kept = Vector::<f32, N>::empty();
        kept[0] = first;
        kept[1] = second;
        if is_lstm {
            let output = sigmoid(sum[2]);
            let candidate = hyperbolic_tangent(sum[3]);
            let new = second * cell[before + place] + first * candidate;
            cell[after + place] = new;
            hidden[after + place] = output * hyperbolic_tangent(new);
            kept[2] = output;
            kept[3] = candidate;
        } else {
            let candidate = hyperbolic_tangent(sum[2] + first * sum[3]);
            hidden[after + place] = candidate + second * (hidden[before + place] - candidate);
            kept[2] = candidate;
            kept[3] = sum[3];
        }
        gates[before + place] = kept;
    }
}

/// One time step backward.
///
/// `gates` (`[T·B, H]`) holds what the forward pass left of time step `step` and gets its
/// gradients, before the activations; those of the next step are there already. `states`
/// (`[(T+1)·B, H]`) are the cells of an LSTM, the outputs of a GRU, as the forward pass left them.
/// `carried` (`[B, H]`) is what flows back beside the product: through an LSTM's cell, through a
/// GRU's update gate; it needn't hold anything before the last step.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel can't be a struct")]
pub fn backward_step<N: Size>(
    gates: &mut Array<Vector<f32, N>>,
    carried: &mut Array<f32>,
    states: &Array<f32>,
    output_gradient: &Array<f32>,
    weights: &Array<Vector<f32, N>>,
    step: u32,
    n_steps: u32,
    n_rows: u32,
    n_units: u32,
    #[comptime] is_lstm: bool,
) {
    let n_rows = n_rows as usize;
    let n_units = n_units as usize;
    let before = step as usize * n_rows * n_units;
    let after = before + n_rows * n_units;
    let position = UNIT_POS as usize;
    let column = position % TILE;
    let group = (position / TILE) % GROUPS;
    let slice = position / (TILE * GROUPS);
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_unit = CUBE_POS_X as usize * TILE;

    let mut shared = SharedMemory::<Vector<f32, N>>::new(2 * TILE * PITCH);
    let mut parts = SharedMemory::<f32>::new(SLICES * CUBE);
    let of_gradients = TILE * PITCH;
    let mut sums = Array::<Vector<f32, N>>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = Vector::new(0.0f32);
    }
    let is_last = step + 1 == n_steps;

    // Nothing comes back from behind the last step.
    if !is_last {
        // What this unit stages of every tile: a vector of weights, one of gradients.
        let depth = position % BACK_DEPTH;
        let line = position / BACK_DEPTH;
        let weight_row = first_unit + line;
        let gradient_row = first_row + line;
        let mut factor = weight::<N>(weights, weight_row, depth, n_units);
        let mut gradient = gradient::<N>(gates, after, gradient_row, depth, n_rows, n_units);
        let n_tiles = n_units.div_ceil(BACK_DEPTH);
        for tile in 0..n_tiles {
            shared[line * PITCH + depth] = factor;
            shared[of_gradients + line * PITCH + depth] = gradient;
            sync_cube();
            let next = (tile + 1) * BACK_DEPTH + depth;
            factor = weight::<N>(weights, weight_row, next, n_units);
            gradient = self::gradient::<N>(gates, after, gradient_row, next, n_rows, n_units);
            #[unroll]
            for idx in 0..BACK_DEPTH / SLICES {
                let k = slice * (BACK_DEPTH / SLICES) + idx;
                let of_unit = shared[column * PITCH + k];
                #[unroll]
                for row in 0..ROWS {
                    sums[row] += of_unit * shared[of_gradients + (group * ROWS + row) * PITCH + k];
                }
            }
            sync_cube();
        }
    }

    #[unroll]
    for row in 0..ROWS {
        let sum = sums[row];
        parts[slice * CUBE + (group * ROWS + row) * TILE + column] =
            (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    sync_cube();
    let row = first_row + position / TILE;
    let unit = first_unit + column;
    if row < n_rows && unit < n_units {
        let place = row * n_units + unit;
        let mut dh = output_gradient[before + place];
        #[unroll]
        for slice in 0..SLICES {
            dh += parts[slice * CUBE + position];
        }
        let mut beside = 0.0f32;
        if !is_last {
            beside = carried[place];
        }
        let kept = gates[before + place];
        let state = states[before + place];
        let mut dz = Vector::<f32, N>::empty();
        if is_lstm {
            let (input, forget) = (kept[0], kept[1]);
            let (output, candidate) = (kept[2], kept[3]);
            let cell_tanh = hyperbolic_tangent(states[after + place]);
            let dc = (1.0 - cell_tanh * cell_tanh) * output * dh + beside;
            dz[0] = dc * candidate * slope(input);
            dz[1] = dc * state * slope(forget);
            dz[2] = dh * cell_tanh * slope(output);
            dz[3] = dc * input * (1.0 - candidate * candidate);
            carried[place] = dc * forget;
        } else {
            let (reset, update) = (kept[0], kept[1]);
            let (candidate, recurrent) = (kept[2], kept[3]);
            dh += beside;
            let dn = (1.0 - candidate * candidate) * (1.0 - update) * dh;
            dz[0] = dn * recurrent * slope(reset);
            dz[1] = dh * (state - candidate) * slope(update);
            dz[2] = dn;
            dz[3] = dn * reset;
            carried[place] = dh * update;
        }
        gates[before + place] = dz;
    }
}

/// What row `row` of the weights gives to a unit; zero beyond their edge.
#[cube]
fn weight<N: Size>(
    weights: &Array<Vector<f32, N>>,
    row: usize,
    unit: usize,
    n_units: usize,
) -> Vector<f32, N> {
    let mut value = Vector::<f32, N>::new(0.0f32);
    if row < n_units && unit < n_units {
        value = weights[row * n_units + unit];
    }
    value
}

/// Unit `unit` of four sequences from `row` on; zero beyond the edge.
#[cube]
fn four_states<N: Size>(
    hidden: &Array<f32>,
    block: usize,
    row: usize,
    unit: usize,
    n_rows: usize,
    n_units: usize,
) -> Vector<f32, N> {
    let mut values = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for idx in 0..ROWS {
        if row + idx < n_rows && unit < n_units {
            values[idx] = hidden[block + (row + idx) * n_units + unit];
        }
    }
    values
}

/// The gradients of a cell in a time step's block; zero beyond the edge.
#[cube]
fn gradient<N: Size>(
    gates: &Array<Vector<f32, N>>,
    block: usize,
    row: usize,
    unit: usize,
    n_rows: usize,
    n_units: usize,
) -> Vector<f32, N> {
    let mut value = Vector::<f32, N>::new(0.0f32);
    if row < n_rows && unit < n_units {
        value = gates[block + row * n_units + unit];
    }
    value
}

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cube]
fn hyperbolic_tangent(x: f32) -> f32 {
    x.clamp(-LARGEST_ARGUMENT, LARGEST_ARGUMENT).tanh()
}

/// Of the sigmoid, from its value.
#[cube]
fn slope(sigmoid: f32) -> f32 {
    sigmoid * (1.0 - sigmoid)
}
