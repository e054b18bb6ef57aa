//! A recurrent layer over a whole sequence on a card: one launch a time step, and one product
//! each for what all time steps have in common.
//!
//! Nothing here waits for the card, and nothing is allocated within the loops over time.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use burn_cubecl::CubeRuntime;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::steps::{CUBE, GATES, TILE, backward_step, forward_step};

/// The weights of a layer, as `RecurrentLayer` describes them.
pub struct Layer<'a, B: Backend> {
    pub is_lstm: bool,
    pub input: &'a Tensor<B, 2>,
    pub recurrent: &'a Tensor<B, 2>,
    pub bias: &'a Tensor<B, 2>,
}

/// [`Remembered`] on the runtime `R`.
pub struct Memory<B: Backend, R: CubeRuntime> {
    is_lstm: bool,
    shape: Shape,
    /// `[T·B, 4·H]`, the four numbers of a unit together.
    gates: CubeTensor<R>,
    /// `[(T+1)·B, H]`, beginning with the state before the first step.
    hidden: CubeTensor<R>,
    /// The same; only of an LSTM.
    cell: Option<CubeTensor<R>>,
    /// Both weight matrices with the four numbers of a unit together.
    input: Tensor<B, 2>,
    recurrent: CubeTensor<R>,
}

/// Gradients with the shapes of the layer's weights, and the one of its input.
pub struct Gradients<B: Backend> {
    pub x: Tensor<B, 2>,
    pub input: Tensor<B, 2>,
    pub recurrent: Tensor<B, 2>,
    pub bias: Tensor<B, 2>,
}

/// What a layer reads.
pub struct Reading<B: Backend> {
    /// `[T·B, I]`
    pub x: Tensor<B, 2>,
    /// The state before the first step, `[B, H]` each.
    pub hidden: Tensor<B, 2>,
    pub cell: Tensor<B, 2>,
}

/// What a layer has read.
pub struct Read<B: Backend> {
    /// `[T·B, H]`
    pub outputs: Tensor<B, 2>,
    /// The state after the last step; a GRU's cell is as it was.
    pub hidden: Tensor<B, 2>,
    pub cell: Tensor<B, 2>,
    pub memory: Box<dyn Remembered<B>>,
}

/// What a layer keeps of a sequence, on whatever runtime it was read.
pub trait Remembered<B: Backend>: Send {
    /// Goes back through time; `None` if `is_cancelled` says so before a time step.
    fn backward(
        self: Box<Self>,
        x: Tensor<B, 2>,
        output_gradient: Tensor<B, 2>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Gradients<B>>;
}

#[derive(Clone, Copy)]
struct Shape {
    n_steps: usize,
    n_rows: usize,
    n_units: usize,
}

impl<B, R> Memory<B, R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    /// Reads a sequence; `None` if `is_cancelled` says so before a time step.
    pub fn forward(
        layer: &Layer<'_, B>,
        Reading { x, hidden, cell }: Reading<B>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Read<B>> {
        let [n_rows, n_units] = hidden.dims();
        let shape = Shape { n_steps: x.dims()[0] / n_rows.max(1), n_rows, n_units };
        let input = together(layer.input.clone(), layer.is_lstm, Zeros::Last);
        let recurrent = together(layer.recurrent.clone(), layer.is_lstm, Zeros::Third);
        let memory = Self {
            is_lstm: layer.is_lstm,
            shape,
            gates: raw(x.matmul(input.clone())),
            hidden: shape.states(hidden),
            cell: layer.is_lstm.then(|| shape.states(cell.clone())),
            input,
            recurrent: raw(recurrent),
        };
        let bias = raw(together(layer.bias.clone(), true, Zeros::Last));
        let nothing = memory.hidden.client.empty(size_of::<f32>());
        for step in 0..shape.n_steps {
            if is_cancelled() {
                return None;
            }
            let cell = match &memory.cell {
                Some(cell) => array(cell),
                // SAFETY: the memory holds one number.
                None => unsafe { ArrayArg::from_raw_parts(nothing.clone(), 1) },
            };
            // SAFETY: the kernel reads and writes only rows below `n_rows` and units below
            // `n_units` of steps below `n_steps`, which is what the arrays were made for, and its
            // loops end.
            unsafe {
                forward_step::launch_unchecked::<R>(
                    &memory.hidden.client,
                    shape.cubes(),
                    CubeDim::new_1d(CUBE as u32),
                    GATES,
                    array(&memory.gates),
                    array(&memory.hidden),
                    cell,
                    array(&bias),
                    array(&memory.recurrent),
                    step as u32,
                    n_rows as u32,
                    n_units as u32,
                    layer.is_lstm,
                );
            }
        }
        let all = |states: &CubeTensor<R>| tensor::<B, R>(states.clone());
        let last = shape.n_steps * n_rows;
        let block = |states| all(states).slice([last..last + n_rows, 0..n_units]);
        let outputs = all(&memory.hidden).slice([n_rows..last + n_rows, 0..n_units]);
        let hidden = block(&memory.hidden);
        let cell = memory.cell.as_ref().map_or(cell, block);
        Some(Read { outputs, hidden, cell, memory: Box::new(memory) })
    }
}

impl<B, R> Remembered<B> for Memory<B, R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    fn backward(
        self: Box<Self>,
        x: Tensor<B, 2>,
        output_gradient: Tensor<B, 2>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Gradients<B>> {
        let Self { is_lstm, shape, gates, hidden, cell, input, recurrent } = *self;
        let Shape { n_steps, n_rows, n_units } = shape;
        let client = &hidden.client;
        let output_gradient = raw(output_gradient);
        let n_carried = n_rows * n_units;
        let carried = client.empty(n_carried * size_of::<f32>());
        let states = cell.as_ref().unwrap_or(&hidden);
        for step in (0..n_steps).rev() {
            if is_cancelled() {
                return None;
            }
            // SAFETY: as for the forward step; `carried` holds one number for each row and unit.
            unsafe {
                backward_step::launch_unchecked::<R>(
                    client,
                    shape.cubes(),
                    CubeDim::new_1d(CUBE as u32),
                    GATES,
                    array(&gates),
                    ArrayArg::from_raw_parts(carried.clone(), n_carried),
                    array(states),
                    array(&output_gradient),
                    array(&recurrent),
                    step as u32,
                    n_steps as u32,
                    n_rows as u32,
                    n_units as u32,
                    is_lstm,
                );
            }
        }
        let gates = tensor::<B, R>(gates);
        let before = tensor::<B, R>(hidden).slice([0..n_steps * n_rows, 0..n_units]);
        Some(Gradients {
            input: apart(x.transpose().matmul(gates.clone()), is_lstm, Zeros::Last),
            recurrent: apart(before.transpose().matmul(gates.clone()), is_lstm, Zeros::Third),
            bias: apart(gates.clone().sum_dim(0), true, Zeros::Last),
            x: gates.matmul(input.transpose()),
        })
    }
}

impl Shape {
    /// How many cubes compute a time step.
    fn cubes(self) -> CubeCount {
        let tiles = |n: usize| n.div_ceil(TILE) as u32;
        CubeCount::Static(tiles(self.n_units), tiles(self.n_rows), 1)
    }

    /// Memory for the state before every step and after the last one; the first is given.
    fn states<B, R>(self, first: Tensor<B, 2>) -> CubeTensor<R>
    where
        R: CubeRuntime,
        B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
    {
        let device = first.device();
        let all = Tensor::<B, 2>::empty([(self.n_steps + 1) * self.n_rows, self.n_units], &device);
        raw(all.slice_assign([0..self.n_rows, 0..self.n_units], first))
    }
}

/// Where a GRU's matrix, which has three columns for each unit, gets zeros as a fourth.
#[derive(Clone, Copy)]
enum Zeros {
    Third,
    Last,
}

/// Columns that lie gate by gate, unit by unit.
fn together<B: Backend>(columns: Tensor<B, 2>, is_whole: bool, zeros: Zeros) -> Tensor<B, 2> {
    let [n_rows, width] = columns.dims();
    let columns = if is_whole {
        columns
    } else {
        let n_units = width / (GATES - 1);
        let none = Tensor::zeros([n_rows, n_units], &columns.device());
        match zeros {
            Zeros::Last => Tensor::cat(vec![columns, none], 1),
            Zeros::Third => {
                let third = columns.clone().slice([0..n_rows, 2 * n_units..width]);
                Tensor::cat(vec![columns.slice([0..n_rows, 0..2 * n_units]), none, third], 1)
            }
        }
    };
    let width = columns.dims()[1];
    let units = columns.reshape([n_rows, GATES, width / GATES]).swap_dims(1, 2);
    units.reshape([n_rows, width])
}

/// The reverse of [`together`].
fn apart<B: Backend>(columns: Tensor<B, 2>, is_whole: bool, zeros: Zeros) -> Tensor<B, 2> {
    let [n_rows, width] = columns.dims();
    let n_units = width / GATES;
    let gates = columns.reshape([n_rows, n_units, GATES]).swap_dims(1, 2);
    let columns = gates.reshape([n_rows, width]);
    if is_whole {
        return columns;
    }
    match zeros {
        Zeros::Last => columns.slice([0..n_rows, 0..3 * n_units]),
        Zeros::Third => {
            let last = columns.clone().slice([0..n_rows, 3 * n_units..width]);
            Tensor::cat(vec![columns.slice([0..n_rows, 0..2 * n_units]), last], 1)
        }
    }
}

/// A tensor's memory, row after row without gaps.
pub fn raw<B, R>(tensor: Tensor<B, 2>) -> CubeTensor<R>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    into_contiguous(tensor.into_primitive().tensor())
}

pub fn tensor<B, R>(raw: CubeTensor<R>) -> Tensor<B, 2>
where
    R: CubeRuntime,
    B: Backend<FloatTensorPrimitive = CubeTensor<R>>,
{
    Tensor::from_primitive(TensorPrimitive::Float(raw))
}

pub fn array<R: CubeRuntime>(tensor: &CubeTensor<R>) -> ArrayArg<R> {
    let n_numbers = tensor.meta.num_elements();
    // SAFETY: the tensor lies in one piece (`raw`), so that its memory holds all its numbers.
    unsafe { ArrayArg::from_raw_parts(tensor.handle.clone(), n_numbers) }
}
