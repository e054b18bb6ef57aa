//! Burn's own layers, `burn::nn::Lstm` and `burn::nn::Gru`, with the weights of a case and their
//! gradients from burn's autodiff.

use burn::backend::Autodiff;
use burn::module::Param;
use burn::nn::{GateController, GruConfig, LstmConfig, LstmState};

use super::*;

type Recorded = Autodiff<Flex>;

/// One gate's part of a layer's weights.
struct Gate {
    input: Tensor<Flex, 2>,
    recurrent: Tensor<Flex, 2>,
    bias: Tensor<Flex, 2>,
    /// Inside the reset of a GRU, else 0.
    inner_bias: Tensor<Flex, 2>,
}

impl Gate {
    /// Block `idx` of the layer's columns.
    fn of(case: &Case, idx: usize) -> Self {
        let (layer, n) = (&case.layer, case.layer.n_units());
        let block = |tensor: &Tensor<Flex, 2>, idx: usize| {
            let rows = tensor.dims()[0];
            tensor.clone().slice([0..rows, idx * n..(idx + 1) * n])
        };
        let is_candidate = layer.kind == CellKind::Gru && idx == 2;
        Self {
            input: block(&layer.input_weights, idx),
            recurrent: block(&layer.recurrent_weights, idx),
            bias: block(&layer.bias, idx),
            inner_bias: match is_candidate {
                true => block(&layer.bias, 3),
                false => Tensor::zeros([1, n], &Default::default()),
            },
        }
    }

    fn put_into(self, gate: &mut GateController<Recorded>) {
        let (input, hidden) = (&mut gate.input_transform, &mut gate.hidden_transform);
        input.weight = Param::from_tensor(Tensor::from_inner(self.input));
        hidden.weight = Param::from_tensor(Tensor::from_inner(self.recurrent));
        let bias = |bias: Tensor<Flex, 2>| {
            Some(Param::from_tensor(Tensor::from_inner(bias.squeeze_dim(0))))
        };
        input.bias = bias(self.bias);
        hidden.bias = bias(self.inner_bias);
    }
}

/// `[T·B, N]` → `[B, T, N]`
fn batch_first(x: &Tensor<Flex, 2>, n_rows: usize) -> Tensor<Recorded, 3> {
    let [n, width] = x.dims();
    Tensor::from_inner(x.clone().reshape([n / n_rows, n_rows, width]).swap_dims(0, 1))
}

/// The way back.
fn time_major(x: Tensor<Flex, 3>) -> Tensor<Flex, 2> {
    let [n_rows, n_steps, width] = x.dims();
    x.swap_dims(0, 1).reshape([n_rows * n_steps, width])
}

/// As [`Case::computed`].
fn recorded(case: &Case) -> [Vec<f32>; 7] {
    let (n_rows, n) = (case.state.hidden.dims()[0], case.layer.n_units());
    let (n_inputs, device) = (case.x.dims()[1], Default::default());
    let x = batch_first(&case.x, n_rows).require_grad();
    let hidden = Tensor::<Recorded, 2>::from_inner(case.state.hidden.clone());
    let cell = Tensor::<Recorded, 2>::from_inner(case.state.cell.clone());
    let dy = batch_first(&case.output_gradient, n_rows);
    let (y, hidden, cell, gates) = match case.layer.kind {
        CellKind::Lstm => {
            let mut lstm = LstmConfig::new(n_inputs, n, true).init::<Recorded>(&device);
            let gates = [
                &mut lstm.input_gate,
                &mut lstm.forget_gate,
                &mut lstm.output_gate,
                &mut lstm.cell_gate,
            ];
            for (idx, gate) in gates.into_iter().enumerate() {
                Gate::of(case, idx).put_into(gate);
            }
            let (y, after) = lstm.forward(x.clone(), Some(LstmState::new(cell, hidden)));
            let gates = vec![lstm.input_gate, lstm.forget_gate, lstm.output_gate, lstm.cell_gate];
            (y, after.hidden, after.cell, gates)
        }
        CellKind::Gru => {
            let mut gru = GruConfig::new(n_inputs, n, true).init::<Recorded>(&device);
            let gates = [&mut gru.reset_gate, &mut gru.update_gate, &mut gru.new_gate];
            for (idx, gate) in gates.into_iter().enumerate() {
                Gate::of(case, idx).put_into(gate);
            }
            let y = gru.forward(x.clone(), Some(hidden));
            let n_steps = y.dims()[1];
            let last = y.clone().slice([0..n_rows, n_steps - 1..n_steps, 0..n]).squeeze_dim(1);
            (y, last, cell, vec![gru.reset_gate, gru.update_gate, gru.new_gate])
        }
    };
    let gradients = (y.clone() * dy).sum().backward();
    let weights = |of: fn(&GateController<Recorded>) -> Tensor<Recorded, 2>| {
        let each = gates.iter().map(|gate| of(gate).grad(&gradients).unwrap());
        values(&Tensor::cat(each.collect(), 1))
    };
    let bias = |of: fn(&GateController<Recorded>) -> &Option<Param<Tensor<Recorded, 1>>>| {
        let each = gates.iter().map(move |gate| of(gate).as_ref().unwrap().val());
        let each = each.map(|bias| values(&bias.grad(&gradients).unwrap().unsqueeze::<2>()));
        each.collect::<Vec<_>>()
    };
    let mut outer = bias(|gate| &gate.input_transform.bias).concat();
    if case.layer.kind == CellKind::Gru {
        outer.extend(&bias(|gate| &gate.hidden_transform.bias)[2]);
    }
    [
        values(&time_major(y.inner())),
        values(&hidden.inner()),
        values(&cell.inner()),
        values(&time_major(x.grad(&gradients).unwrap())),
        weights(|gate| gate.input_transform.weight.val()),
        weights(|gate| gate.hidden_transform.weight.val()),
        outer,
    ]
}

#[test]
fn both_kernels_agree_with_the_layers_of_burn() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for dims in [[1, 1, 1, 1], [300, 2, 5, 6], [2, 256, 7, 8]] {
            let case = Case::new(&mut rng, kind, dims);
            let theirs = recorded(&case);
            assert_agree(&case, &case.computed(Kernels::of_burn_for_tests()), &theirs);
            assert_agree(&case, &case.computed(Kernels::fused_for_tests()), &theirs);
        }
        for _ in 0..6 {
            let case = Case::of_any_shape(&mut rng, kind);
            assert_agree(&case, &case.computed(Kernels::fused_for_tests()), &recorded(&case));
        }
    }
}
