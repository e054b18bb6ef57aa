//! One recurrent layer: LSTM or GRU, forward and backward through time.
//!
//! This is the seam behind which the layer is made faster: whoever calls it knows only
//! [`RecurrentLayer::forward`], [`RecurrentLayer::remember`] and [`RecurrentLayer::backward`], and
//! hands the [`Kernels`] on. On the CPU these are the ones of `fused`, on cards those of `cube`,
//! which hold the same formulas; what is here computes them with burn's operations, on every
//! device.
//!
//! The gradient is written by hand instead of being recorded by burn's autodiff. Recording makes
//! eight small products a time step, fills a full-size buffer for every slice, and keeps every
//! intermediate value; by hand, the gradients of both weight matrices are one product each over
//! all time steps. It also leaves no graph that could leak. The tests of `loss` hold it against
//! burn's autodiff run over the same forward pass, and those of `kernels` the fused code against
//! it.
//!
//! Shapes: T time steps, B sequences, I inputs, H units. Everything is time-major, so that one
//! time step is one contiguous block.
//!
//! LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000):
//!
//! ```text
//! i, f, o = σ(x W + h U + b)      g = tanh(x W + h U + b)      each its own H columns
//! c' = f ∘ c + i ∘ g              h' = o ∘ tanh(c')
//! ```
//!
//! GRU with the reset gate after the product (the form of cuDNN and PyTorch; Cho et al. 2014
//! reset before it), which lets all three recurrent products be one:
//!
//! ```text
//! r, z = σ(x W + h U + b)         n = tanh(x W + b + r ∘ (h U + b'))
//! h' = n + z ∘ (h - n)
//! ```

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use burn::tensor::backend::Backend;

use super::fused::recurrent::{Input, Products};
use super::kernels::{Fused, Kernels};
use super::{cube, fused};
use crate::cancel::CancelToken;

/// The kind of a layer's units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CellKind {
    Lstm,
    Gru,
}

/// The weights of one layer. `G` below is the number of gates: 4 for an LSTM (i, f, o, g), 3 for
/// a GRU (r, z, n).
#[derive(Clone, Debug)]
pub struct RecurrentLayer<B: Backend> {
    pub kind: CellKind,
    /// `[I, G·H]`
    pub input_weights: Tensor<B, 2>,
    /// `[H, G·H]`
    pub recurrent_weights: Tensor<B, 2>,
    /// `[1, 4·H]`: for an LSTM one entry a gate, for a GRU r, z, n and then b', the one inside
    /// the reset.
    pub bias: Tensor<B, 2>,
}

/// What a layer carries from one time step to the next.
#[derive(Clone, Debug)]
pub struct LayerState<B: Backend> {
    /// `[B, H]`
    pub hidden: Tensor<B, 2>,
    /// `[B, H]`; a GRU has none and leaves it as it was.
    pub cell: Tensor<B, 2>,
}

/// What the backward pass needs of the forward pass.
pub struct Memory<B: Backend> {
    /// `[T·B, I]`
    input: Tensor<B, 2>,
    kept: Kept<B>,
}

/// [`Memory`] of a layer that was given products with its input.
pub struct ProductsMemory(fused::recurrent::Memory);

/// The values inside the layer, by the code that computed them.
enum Kept<B: Backend> {
    Burn(Steps<B>),
    Fused(fused::recurrent::Memory),
    Card(Box<dyn cube::Remembered<B>>),
}

/// By time step.
struct Steps<B: Backend> {
    /// `h` before every step, `[B, H]` each.
    hidden: Vec<Tensor<B, 2>>,
    steps: Vec<StepMemory<B>>,
}

/// One of [`Steps`], by kind of layer.
enum StepMemory<B: Backend> {
    Lstm {
        /// σ of i, f, o: `[B, 3·H]`
        gates: Tensor<B, 2>,
        candidate: Tensor<B, 2>,
        cell_before: Tensor<B, 2>,
        /// tanh of the new cell.
        cell_tanh: Tensor<B, 2>,
    },
    Gru {
        /// σ of r, z: `[B, 2·H]`
        gates: Tensor<B, 2>,
        candidate: Tensor<B, 2>,
        /// `h U + b'` of the candidate, before the reset.
        recurrent: Tensor<B, 2>,
    },
}

/// Gradients with the shapes of the layer's weights.
pub struct LayerGradients<B: Backend> {
    pub input_weights: Tensor<B, 2>,
    pub recurrent_weights: Tensor<B, 2>,
    pub bias: Tensor<B, 2>,
}

impl CellKind {
    /// How many blocks of H columns the weights have.
    pub(super) fn n_gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

impl<B: Backend> RecurrentLayer<B> {
    pub fn n_units(&self) -> usize {
        self.recurrent_weights.dims()[0]
    }

    /// Reads `x` (`[T·B, I]`) from `state` on. Returns the outputs (`[T·B, H]`) and the state
    /// after the last step.
    pub fn forward(
        &self,
        x: Tensor<B, 2>,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
    ) -> (Tensor<B, 2>, LayerState<B>) {
        if let Some(fused) = kernels.fused() {
            let read = fused.remember(self, &x, state, &CancelToken::new());
            let (outputs, state, kept) = read.expect("nobody cancels a token just made");
            fused.take_back(kept);
            return (outputs, state);
        }
        if let Some(card) = kernels.card() {
            let reading = cube::Reading { x, hidden: state.hidden, cell: state.cell };
            let read = card.read(&self.on_card(), reading, &|| false);
            let cube::Read { outputs, hidden, cell, .. } = read.expect("nobody cancels it");
            return (outputs, LayerState { hidden, cell });
        }
        let n_rows = state.hidden.dims()[0];
        let n_steps = x.dims()[0] / n_rows.max(1);
        let projected = self.project(x);
        let mut state = state;
        let mut outputs = Vec::with_capacity(n_steps);
        for t in 0..n_steps {
            let (next, _) = self.step(rows(&projected, t, n_rows), state);
            outputs.push(next.hidden.clone());
            state = next;
        }
        (Tensor::cat(outputs, 0), state)
    }

    /// [`RecurrentLayer::forward`], keeping what [`RecurrentLayer::backward`] needs; `None` if it
    /// was cancelled. A layer of a large batch takes seconds on a busy machine, so that the token
    /// is looked at before every time step.
    pub fn remember(
        &self,
        x: Tensor<B, 2>,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerState<B>, Memory<B>)> {
        if let Some(fused) = kernels.fused() {
            let (outputs, state, kept) = fused.remember(self, &x, state, cancel)?;
            return Some((outputs, state, Memory { input: x, kept: Kept::Fused(kept) }));
        }
        if let Some(card) = kernels.card() {
            let reading = cube::Reading { x: x.clone(), hidden: state.hidden, cell: state.cell };
            let read = card.read(&self.on_card(), reading, &|| cancel.is_cancelled())?;
            let cube::Read { outputs, hidden, cell, memory } = read;
            let memory = Memory { input: x, kept: Kept::Card(memory) };
            return Some((outputs, LayerState { hidden, cell }, memory));
        }
        let n_rows = state.hidden.dims()[0];
        let n_steps = x.dims()[0] / n_rows.max(1);
        let projected = self.project(x.clone());
        let mut state = state;
        let mut outputs = Vec::with_capacity(n_steps);
        let mut hidden = Vec::with_capacity(n_steps);
        let mut steps = Vec::with_capacity(n_steps);
        for t in 0..n_steps {
            if cancel.is_cancelled() {
                return None;
            }
            hidden.push(state.hidden.clone());
            let (next, memory) = self.step(rows(&projected, t, n_rows), state);
            outputs.push(next.hidden.clone());
            steps.push(memory);
            state = next;
        }
        let kept = Kept::Burn(Steps { hidden, steps });
        Some((Tensor::cat(outputs, 0), state, Memory { input: x, kept }))
    }

    /// From the gradient of the outputs (`[T·B, H]`) to those of the input (`[T·B, I]`) and the
    /// weights. Nothing flows into the state before the first step: that is where back-propagation
    /// is truncated. `None` if it was cancelled. The kernels are those that made the memory.
    pub fn backward(
        &self,
        memory: Memory<B>,
        output_gradient: Tensor<B, 2>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerGradients<B>)> {
        let Memory { input, kept } = memory;
        match (kept, self.kind) {
            (Kept::Fused(kept), _) => {
                let fused = kernels.fused().expect("they made the memory");
                fused.backward(self, &input, kept, &output_gradient, cancel)
            }
            (Kept::Card(kept), _) => {
                let gradients = kept.backward(input, output_gradient, &|| cancel.is_cancelled())?;
                let cube::Gradients { x, input, recurrent, bias } = gradients;
                let gradients =
                    LayerGradients { input_weights: input, recurrent_weights: recurrent, bias };
                Some((x, gradients))
            }
            (Kept::Burn(steps), CellKind::Lstm) => {
                self.backward_lstm(input, steps, output_gradient, cancel)
            }
            (Kept::Burn(steps), CellKind::Gru) => {
                self.backward_gru(input, steps, output_gradient, cancel)
            }
        }
    }

    /// [`RecurrentLayer::forward`] of `n_frames` (T·B) whose products with the input weights
    /// somebody else makes.
    ///
    /// # Panics
    /// If `kernels` aren't the fused ones, as in those that follow.
    pub fn forward_products(
        &self,
        products: &dyn Products,
        n_frames: usize,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
    ) -> (Tensor<B, 2>, LayerState<B>) {
        let cancel = CancelToken::new();
        let read = self.remember_products(products, n_frames, state, kernels, &cancel);
        let (outputs, state, ProductsMemory(kept)) =
            read.expect("nobody cancels a token just made");
        fused_of(kernels).take_back(kept);
        (outputs, state)
    }

    /// [`RecurrentLayer::remember`], likewise.
    pub fn remember_products(
        &self,
        products: &dyn Products,
        n_frames: usize,
        state: LayerState<B>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerState<B>, ProductsMemory)> {
        let input = Input::Products(products);
        let fused = fused_of(kernels);
        let (outputs, state, kept) = fused.remember_input(self, input, n_frames, state, cancel)?;
        Some((outputs, state, ProductsMemory(kept)))
    }

    /// [`RecurrentLayer::backward`], likewise; no gradient goes on into the input.
    pub fn backward_products(
        &self,
        products: &dyn Products,
        memory: ProductsMemory,
        output_gradient: &Tensor<B, 2>,
        kernels: &mut Kernels<B>,
        cancel: &CancelToken,
    ) -> Option<LayerGradients<B>> {
        let input = Input::Products(products);
        fused_of(kernels).backward_input(self, input, None, memory.0, output_gradient, cancel)
    }

    /// As a card's kernels take it.
    fn on_card(&self) -> cube::Layer<'_, B> {
        cube::Layer {
            is_lstm: self.kind == CellKind::Lstm,
            input: &self.input_weights,
            recurrent: &self.recurrent_weights,
            bias: &self.bias,
        }
    }

    /// The input's share of every gate for all time steps in one product: `[T·B, G·H]`.
    fn project(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let width = self.kind.n_gates() * self.n_units();
        x.matmul(self.input_weights.clone()) + columns(&self.bias, 0, width)
    }

    /// One time step, given the input's share of the gates, `[B, G·H]`.
    fn step(&self, input: Tensor<B, 2>, state: LayerState<B>) -> (LayerState<B>, StepMemory<B>) {
        let recurrent = state.hidden.clone().matmul(self.recurrent_weights.clone());
        match self.kind {
            CellKind::Lstm => self.step_lstm(input + recurrent, state),
            CellKind::Gru => self.step_gru(input, recurrent, state),
        }
    }

    fn step_lstm(&self, z: Tensor<B, 2>, state: LayerState<B>) -> (LayerState<B>, StepMemory<B>) {
        let n = self.n_units();
        let gates = sigmoid(columns(&z, 0, 3 * n));
        let candidate = columns(&z, 3 * n, n).tanh();
        let (input, forget, output) =
            (columns(&gates, 0, n), columns(&gates, n, n), columns(&gates, 2 * n, n));
        let cell = forget * state.cell.clone() + input * candidate.clone();
        let cell_tanh = cell.clone().tanh();
        let hidden = output * cell_tanh.clone();
        let memory = StepMemory::Lstm { gates, candidate, cell_before: state.cell, cell_tanh };
        (LayerState { hidden, cell }, memory)
    }

    fn step_gru(
        &self,
        input: Tensor<B, 2>,
        recurrent: Tensor<B, 2>,
        state: LayerState<B>,
    ) -> (LayerState<B>, StepMemory<B>) {
        let n = self.n_units();
        let gates = sigmoid(columns(&input, 0, 2 * n) + columns(&recurrent, 0, 2 * n));
        let (reset, update) = (columns(&gates, 0, n), columns(&gates, n, n));
        let recurrent = columns(&recurrent, 2 * n, n) + columns(&self.bias, 3 * n, n);
        let candidate = (columns(&input, 2 * n, n) + reset * recurrent.clone()).tanh();
        let hidden = candidate.clone() + update * (state.hidden - candidate.clone());
        (LayerState { hidden, cell: state.cell }, StepMemory::Gru { gates, candidate, recurrent })
    }

    fn backward_lstm(
        &self,
        x: Tensor<B, 2>,
        memory: Steps<B>,
        output_gradient: Tensor<B, 2>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerGradients<B>)> {
        let n = self.n_units();
        let n_rows = memory.hidden.first().map_or(0, |hidden| hidden.dims()[0]);
        let transposed = self.recurrent_weights.clone().transpose();
        let mut hidden_gradient: Option<Tensor<B, 2>> = None;
        let mut cell_gradient: Option<Tensor<B, 2>> = None;
        let mut gate_gradients = Vec::with_capacity(memory.steps.len());
        for (t, step) in memory.steps.into_iter().enumerate().rev() {
            if cancel.is_cancelled() {
                return None;
            }
            let StepMemory::Lstm { gates, candidate, cell_before, cell_tanh } = step else {
                continue;
            };
            let (input, forget, output) =
                (columns(&gates, 0, n), columns(&gates, n, n), columns(&gates, 2 * n, n));
            // dh = dy + what comes back from the next step; dc likewise.
            let dh = plus(rows(&output_gradient, t, n_rows), hidden_gradient.take());
            let through_tanh = one_minus(cell_tanh.clone().square()) * output * dh.clone();
            let dc = plus(through_tanh, cell_gradient.take());
            let outer = Tensor::cat(
                vec![dc.clone() * candidate.clone(), dc.clone() * cell_before, dh * cell_tanh],
                1,
            );
            let sigmoid_slope = one_minus(gates.clone()) * gates.clone();
            let dg = one_minus(candidate.square()) * input * dc.clone();
            let dz = Tensor::cat(vec![outer * sigmoid_slope, dg], 1);
            cell_gradient = Some(dc * forget);
            hidden_gradient = Some(dz.clone().matmul(transposed.clone()));
            gate_gradients.push(dz);
        }
        gate_gradients.reverse();
        let dz = Tensor::cat(gate_gradients, 0);
        let bias = dz.clone().sum_dim(0);
        Some(self.finish_backward(x, memory.hidden, dz.clone(), dz, bias))
    }

    fn backward_gru(
        &self,
        x: Tensor<B, 2>,
        memory: Steps<B>,
        output_gradient: Tensor<B, 2>,
        cancel: &CancelToken,
    ) -> Option<(Tensor<B, 2>, LayerGradients<B>)> {
        let n = self.n_units();
        let n_rows = memory.hidden.first().map_or(0, |hidden| hidden.dims()[0]);
        let transposed = self.recurrent_weights.clone().transpose();
        let mut hidden_gradient: Option<Tensor<B, 2>> = None;
        let mut from_input = Vec::with_capacity(memory.steps.len());
        let mut from_hidden = Vec::with_capacity(memory.steps.len());
        for (t, step) in memory.steps.into_iter().enumerate().rev() {
            if cancel.is_cancelled() {
                return None;
            }
            let StepMemory::Gru { gates, candidate, recurrent } = step else { continue };
            let (reset, update) = (columns(&gates, 0, n), columns(&gates, n, n));
            let dh = plus(rows(&output_gradient, t, n_rows), hidden_gradient.take());
            // Of h' = n + z ∘ (h - n): dn = dh ∘ (1 - z), dz = dh ∘ (h - n).
            let dn = one_minus(candidate.clone().square()) * one_minus(update.clone()) * dh.clone();
            let outer = Tensor::cat(
                vec![
                    dn.clone() * recurrent,
                    dh.clone() * (memory.hidden[t].clone() - candidate.clone()),
                ],
                1,
            );
            let gate_gradient = outer * (one_minus(gates.clone()) * gates.clone());
            let to_hidden = Tensor::cat(vec![gate_gradient.clone(), dn.clone() * reset], 1);
            from_input.push(Tensor::cat(vec![gate_gradient, dn], 1));
            hidden_gradient = Some(to_hidden.clone().matmul(transposed.clone()) + dh * update);
            from_hidden.push(to_hidden);
        }
        from_input.reverse();
        from_hidden.reverse();
        let (from_input, from_hidden) = (Tensor::cat(from_input, 0), Tensor::cat(from_hidden, 0));
        let inner_bias = columns(&from_hidden, 2 * n, n).sum_dim(0);
        let bias = Tensor::cat(vec![from_input.clone().sum_dim(0), inner_bias], 1);
        Some(self.finish_backward(x, memory.hidden, from_input, from_hidden, bias))
    }

    /// The products over all time steps at once.
    fn finish_backward(
        &self,
        input: Tensor<B, 2>,
        hidden: Vec<Tensor<B, 2>>,
        from_input: Tensor<B, 2>,
        from_hidden: Tensor<B, 2>,
        bias: Tensor<B, 2>,
    ) -> (Tensor<B, 2>, LayerGradients<B>) {
        let hidden = Tensor::cat(hidden, 0);
        let gradients = LayerGradients {
            input_weights: input.transpose().matmul(from_input.clone()),
            recurrent_weights: hidden.transpose().matmul(from_hidden),
            bias,
        };
        (from_input.matmul(self.input_weights.clone().transpose()), gradients)
    }
}

impl<B: Backend> LayerState<B> {
    /// The state of a layer that has read nothing.
    pub fn zero(n_rows: usize, n_units: usize, device: &B::Device) -> Self {
        Self {
            hidden: Tensor::zeros([n_rows, n_units], device),
            cell: Tensor::zeros([n_rows, n_units], device),
        }
    }
}

fn fused_of<B: Backend>(kernels: &mut Kernels<B>) -> &mut Fused {
    kernels.fused().expect("products are made only for the fused kernels")
}

/// The block of time step `t`.
fn rows<B: Backend>(tensor: &Tensor<B, 2>, t: usize, n_rows: usize) -> Tensor<B, 2> {
    let n_columns = tensor.dims()[1];
    tensor.clone().slice([t * n_rows..(t + 1) * n_rows, 0..n_columns])
}

fn columns<B: Backend>(tensor: &Tensor<B, 2>, first: usize, n: usize) -> Tensor<B, 2> {
    let n_rows = tensor.dims()[0];
    tensor.clone().slice([0..n_rows, first..first + n])
}

fn one_minus<B: Backend>(tensor: Tensor<B, 2>) -> Tensor<B, 2> {
    tensor.neg().add_scalar(1.0)
}

fn plus<B: Backend>(tensor: Tensor<B, 2>, other: Option<Tensor<B, 2>>) -> Tensor<B, 2> {
    match other {
        Some(other) => tensor + other,
        None => tensor,
    }
}
