//! The layers beside their definition in double precision, and beside finite differences.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;

/// A layer with everything that goes in, and what comes out of it.
struct Case {
    kind: CellKind,
    shape: Shape,
    x: Vec<f32>,
    input: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Vec<f32>,
    hidden: Vec<f32>,
    cells: Vec<f32>,
    output_gradient: Vec<f32>,
}

/// All results in one order: outputs, last hidden, last cell, dx, dW, dU, db.
type Results<T> = [Vec<T>; 7];

const NAMES: [&str; 7] = ["outputs", "hidden", "cell", "dx", "dW", "dU", "db"];

impl Case {
    fn new(rng: &mut ChaCha8Rng, kind: CellKind, shape: Shape) -> Self {
        let Shape { n_steps, n_rows, n_inputs, n_units } = shape;
        let width = kind.n_gates() * n_units;
        let mut random = |n: usize, to: f32| -> Vec<f32> {
            (0..n).map(|_| rng.random_range(-to..=to)).collect()
        };
        let scale = 1.0 / (n_units as f32).sqrt();
        let has_cell = usize::from(kind == CellKind::Lstm);
        Self {
            kind,
            shape,
            x: random(n_steps * n_rows * n_inputs, 1.0),
            input: random(n_inputs * width, scale),
            recurrent: random(n_units * width, scale),
            bias: random(4 * n_units, 1.0),
            hidden: random(n_rows * n_units, 1.0),
            cells: random(n_rows * n_units * has_cell, 2.0),
            output_gradient: random(n_steps * n_rows * n_units, 1.0),
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights { input: &self.input, recurrent: &self.recurrent, bias: &self.bias }
    }

    fn computed(&self, workspace: &mut Workspace, memory: &mut Memory) -> Results<f32> {
        let state = State { hidden: &self.hidden, cell: &self.cells };
        let cancel = CancelToken::new();
        let x = Input::Rows(&self.x);
        workspace.forward(self.shape, x, self.weights(), state, memory, &cancel).unwrap();
        let outputs = memory.outputs().to_vec();
        let (hidden, cell) = (memory.state().hidden.to_vec(), memory.state().cell.to_vec());
        // What was there before must not matter.
        let dirty = |like: &[f32]| vec![f32::NAN; like.len()];
        let mut dx = dirty(&self.x);
        let (mut dw, mut du, mut db) =
            (dirty(&self.input), dirty(&self.recurrent), dirty(&self.bias));
        let gradients =
            Gradients { x: Some(&mut dx), input: &mut dw, recurrent: &mut du, bias: &mut db };
        let dy = &self.output_gradient;
        workspace.backward(x, self.weights(), memory, dy, gradients, &cancel).unwrap();
        if self.kind == CellKind::Lstm {
            assert_eq!(db.len(), 4 * self.shape.n_units);
        }
        [outputs, hidden, cell, dx, dw, du, db]
    }

    /// The same straight from the formulas.
    fn naive(&self) -> Results<f64> {
        let Shape { n_steps, n_rows, n_inputs, n_units: n } = self.shape;
        let n_gates = self.kind.n_gates();
        let width = n_gates * n;
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&x| x.into()).collect() };
        let (x, w, u, b) =
            (wide(&self.x), wide(&self.input), wide(&self.recurrent), wide(&self.bias));
        let dy = wide(&self.output_gradient);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut hidden = vec![wide(&self.hidden)];
        let mut cells = vec![wide(&self.cells)];
        // By step and row: the gates, and the inner sum of a GRU.
        let (mut gates, mut inner) = (Vec::new(), Vec::new());
        for t in 0..n_steps {
            let (before, cell_before) = (hidden[t].clone(), cells[t].clone());
            let (mut after, mut cell_after) = (before.clone(), cell_before.clone());
            let mut z = vec![0.0; n_rows * width];
            let mut q = vec![0.0; n_rows * n];
            for row in 0..n_rows {
                let sum = |column: usize, of_x: bool| -> f64 {
                    if of_x {
                        let x = &x[(t * n_rows + row) * n_inputs..][..n_inputs];
                        x.iter().enumerate().map(|(k, x)| x * w[k * width + column]).sum()
                    } else {
                        let h = &before[row * n..][..n];
                        h.iter().enumerate().map(|(k, h)| h * u[k * width + column]).sum()
                    }
                };
                for unit in 0..n {
                    let at = row * n + unit;
                    let gate = |gate: usize| {
                        let column = gate * n + unit;
                        sum(column, true) + sum(column, false) + b[column]
                    };
                    let z = &mut z[row * width..][..width];
                    match self.kind {
                        CellKind::Lstm => {
                            let (i, f, o) = (sigmoid(gate(0)), sigmoid(gate(1)), sigmoid(gate(2)));
                            let g = gate(3).tanh();
                            cell_after[at] = f * cell_before[at] + i * g;
                            after[at] = o * cell_after[at].tanh();
                            for (gate, value) in [i, f, o, g].into_iter().enumerate() {
                                z[gate * n + unit] = value;
                            }
                        }
                        CellKind::Gru => {
                            let (r, update) = (sigmoid(gate(0)), sigmoid(gate(1)));
                            q[at] = sum(2 * n + unit, false) + b[3 * n + unit];
                            let outer = sum(2 * n + unit, true) + b[2 * n + unit];
                            let new = (outer + r * q[at]).tanh();
                            after[at] = new + update * (before[at] - new);
                            for (gate, value) in [r, update, new].into_iter().enumerate() {
                                z[gate * n + unit] = value;
                            }
                        }
                    }
                }
            }
            hidden.push(after);
            cells.push(cell_after);
            gates.push(z);
            inner.push(q);
        }
        let outputs: Vec<f64> = hidden[1..].concat();

        let mut dx = vec![0.0; x.len()];
        let (mut dw, mut du, mut db) = (vec![0.0; w.len()], vec![0.0; u.len()], vec![0.0; b.len()]);
        let mut dh_next = vec![0.0; n_rows * n];
        let mut dc_next = vec![0.0; n_rows * n];
        for t in (0..n_steps).rev() {
            let (before, cell_before) = (&hidden[t], &cells[t]);
            let mut from_input = vec![0.0; n_rows * width];
            let mut from_hidden = vec![0.0; n_rows * width];
            let mut past = vec![0.0; n_rows * n];
            for at in 0..n_rows * n {
                let (row, unit) = (at / n, at % n);
                let dh = dy[t * n_rows * n + at] + dh_next[at];
                let gate = |gate: usize| gates[t][row * width + gate * n + unit];
                let mut put = |gate: usize, input: f64, hidden: f64| {
                    from_input[row * width + gate * n + unit] = input;
                    from_hidden[row * width + gate * n + unit] = hidden;
                };
                match self.kind {
                    CellKind::Lstm => {
                        let (i, f, o, g) = (gate(0), gate(1), gate(2), gate(3));
                        let squashed = cells[t + 1][at].tanh();
                        let dc = dc_next[at] + dh * o * (1.0 - squashed * squashed);
                        let di = dc * g * i * (1.0 - i);
                        let df = dc * cell_before[at] * f * (1.0 - f);
                        let d_out = dh * squashed * o * (1.0 - o);
                        let dg = dc * i * (1.0 - g * g);
                        for (gate, d) in [di, df, d_out, dg].into_iter().enumerate() {
                            put(gate, d, d);
                        }
                        dc_next[at] = dc * f;
                    }
                    CellKind::Gru => {
                        let (r, update, new) = (gate(0), gate(1), gate(2));
                        let dn = dh * (1.0 - update) * (1.0 - new * new);
                        let dz = dh * (before[at] - new) * update * (1.0 - update);
                        let dr = dn * inner[t][at] * r * (1.0 - r);
                        put(0, dr, dr);
                        put(1, dz, dz);
                        put(2, dn, dn * r);
                        past[at] = dh * update;
                        db[3 * n + unit] += dn * r;
                    }
                }
            }
            dh_next = past;
            for row in 0..n_rows {
                for column in 0..width {
                    let d = from_input[row * width + column];
                    db[column] += d;
                    for k in 0..n_inputs {
                        let at = (t * n_rows + row) * n_inputs + k;
                        dx[at] += d * w[k * width + column];
                        dw[k * width + column] += x[at] * d;
                    }
                    let d = from_hidden[row * width + column];
                    for k in 0..n {
                        dh_next[row * n + k] += d * u[k * width + column];
                        du[k * width + column] += before[row * n + k] * d;
                    }
                }
            }
        }
        let cell = if self.kind == CellKind::Lstm { cells[n_steps].clone() } else { Vec::new() };
        [outputs, hidden[n_steps].clone(), cell, dx, dw, du, db]
    }

    /// The sum whose gradients are computed, in double precision.
    fn objective(&self) -> f64 {
        let [outputs, ..] = self.naive();
        outputs.iter().zip(&self.output_gradient).map(|(y, &dy)| y * f64::from(dy)).sum()
    }
}

/// The largest distance between results, relative to the size of the numbers around.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().map(|x| x * x).sum::<f64>() / expected.len().max(1) as f64;
    let scale = scale.sqrt().max(1e-12);
    let distances = found
        .iter()
        .zip(expected)
        .map(|(&found, expected)| (f64::from(found) - expected).abs() / expected.abs().max(scale));
    // A maximum that doesn't overlook what is not a number.
    distances.fold(0.0, |most, distance| if distance <= most { most } else { distance })
}

fn check_case(case: &Case, level: Level) {
    let expected = case.naive();
    let mut first: Option<Results<f32>> = None;
    for threads in [1, 3] {
        let mut workspace = Workspace::new(Threads::new(threads), level);
        let mut memory = Memory::new(case.kind);
        let found = case.computed(&mut workspace, &mut memory);
        for ((found, expected), name) in found.iter().zip(&expected).zip(NAMES) {
            let distance = distance(found, expected);
            let (kind, shape) = (case.kind, case.shape);
            assert!(distance < 1e-4, "{name} {kind:?} {shape:?} {level:?}: {distance}");
        }
        // Used again, nothing is left over from before.
        let again = case.computed(&mut workspace, &mut memory);
        assert!(again == found, "the second time differs");
        let first = first.get_or_insert(found);
        assert!(*first == again, "the number of threads changes a result");
    }
}

fn shape([n_steps, n_rows, n_inputs, n_units]: [usize; 4]) -> Shape {
    Shape { n_steps, n_rows, n_inputs, n_units }
}

#[test]
fn random_layers_are_those_of_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for level in Level::all() {
            for dims in [[1, 1, 1, 1], [2, 1, 3, 5], [3, 17, 33, 32], [2, 30, 7, 40]] {
                check_case(&Case::new(&mut rng, kind, shape(dims)), level);
            }
            for _ in 0..3 {
                let dims = [(1, 6), (1, 20), (1, 20), (1, 40)];
                let dims = dims.map(|(from, to)| rng.random_range(from..=to));
                check_case(&Case::new(&mut rng, kind, shape(dims)), level);
            }
        }
    }
}

#[test]
fn long_and_wide_layers_are_those_of_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for dims in [[300, 2, 5, 8], [2, 256, 8, 10], [2, 2, 3, 530], [2, 2, 1030, 10]] {
            check_case(&Case::new(&mut rng, kind, shape(dims)), Level::detect());
        }
    }
}

#[test]
fn units_that_threads_share_are_those_of_one_thread() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        for level in Level::all() {
            for dims in [[7, 1, 5, 256], [4, 3, 2, 277], [1, 2, 9, 300], [3, 7, 4, 540]] {
                let case = Case::new(&mut rng, kind, shape(dims));
                let results = [1, 2, 3, 16].map(|threads| {
                    let threads = Threads::new(threads);
                    assert_eq!(by_units::pays(threads, case.shape), threads.get() > 1);
                    let mut workspace = Workspace::new(threads, level);
                    case.computed(&mut workspace, &mut Memory::new(kind))
                });
                let [alone, shared @ ..] = &results;
                assert!(shared.iter().all(|it| it == alone), "{kind:?} {level:?} {dims:?}");
            }
        }
        check_case(&Case::new(&mut rng, kind, shape([5, 3, 4, 260])), Level::detect());
    }
}

#[test]
fn units_are_shared_where_that_keeps_more_threads_busy() {
    let pays = |threads, n_rows, n_units| {
        by_units::pays(Threads::new(threads), shape([10, n_rows, 8, n_units]))
    };
    assert!(pays(2, 1, 512) && pays(2, 7, 512) && pays(8, 3, 256) && pays(16, 16, 512));
    assert!(!pays(1, 1, 512), "nobody to share with");
    assert!(!pays(2, 8, 512) && !pays(64, 17, 2_048), "rows enough");
    assert!(!pays(2, 1, 128), "weights that are read in no time");
    assert!(!pays(16, 12, 256), "eight chunks for twelve rows");
    assert!(!pays(2, 0, 512));
}

#[test]
fn one_workspace_serves_all_kinds_and_shapes_in_turn() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut shared = Workspace::new(Threads::new(3), Level::detect());
    for (kind, dims) in [
        (CellKind::Gru, [3, 2, 4, 300]),
        (CellKind::Lstm, [3, 20, 4, 256]),
        (CellKind::Lstm, [2, 1, 4, 256]),
        (CellKind::Gru, [2, 5, 4, 40]),
        (CellKind::Gru, [4, 1, 4, 256]),
    ] {
        let case = Case::new(&mut rng, kind, shape(dims));
        let mut alone = Workspace::new(Threads::ONE, Level::detect());
        let expected = case.computed(&mut alone, &mut Memory::new(kind));
        assert!(case.computed(&mut shared, &mut Memory::new(kind)) == expected, "{dims:?}");
    }
}

#[test]
fn layers_of_two_callers_on_one_pool_of_threads_both_end() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let case = Case::new(&mut rng, CellKind::Gru, shape([40, 2, 4, 256]));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let compute = || {
        let mut workspace = Workspace::new(Threads::new(2), Level::detect());
        case.computed(&mut workspace, &mut Memory::new(case.kind))
    };
    // Each holds one thread and would wait for a second one, if it waited.
    let (one, other) = pool.install(|| rayon::join(compute, compute));
    let mut alone = Workspace::new(Threads::ONE, Level::detect());
    let alone = case.computed(&mut alone, &mut Memory::new(case.kind));
    assert!(one == alone && other == alone);
}

#[test]
fn gradients_are_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        let mut case = Case::new(&mut rng, kind, shape([5, 3, 4, 6]));
        let mut workspace = Workspace::new(Threads::ONE, Level::detect());
        let [_, _, _, dx, dw, du, db] = case.computed(&mut workspace, &mut Memory::new(kind));
        for (which, gradient) in [dx, dw, du, db].into_iter().enumerate() {
            for (idx, gradient) in gradient.into_iter().enumerate() {
                let mut moved = |by: f32| {
                    let values = match which {
                        0 => &mut case.x,
                        1 => &mut case.input,
                        2 => &mut case.recurrent,
                        _ => &mut case.bias,
                    };
                    let kept = values[idx];
                    values[idx] += by;
                    let at = f64::from(values[idx]);
                    let objective = case.objective();
                    match which {
                        0 => case.x[idx] = kept,
                        1 => case.input[idx] = kept,
                        2 => case.recurrent[idx] = kept,
                        _ => case.bias[idx] = kept,
                    }
                    (objective, at)
                };
                let ((above, x_above), (below, x_below)) = (moved(1e-3), moved(-1e-3));
                let slope = (above - below) / (x_above - x_below);
                let distance = (slope - f64::from(gradient)).abs();
                assert!(
                    distance < 1e-4 * slope.abs().max(1.0),
                    "{which} {idx}: {gradient} {slope}"
                );
            }
        }
    }
}

#[test]
fn a_sequence_in_two_parts_is_the_whole() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for kind in [CellKind::Lstm, CellKind::Gru] {
        let case = Case::new(&mut rng, kind, shape([9, 7, 5, 33]));
        let mut workspace = Workspace::new(Threads::new(2), Level::detect());
        let mut memory = Memory::new(kind);
        let [outputs, hidden, cells, ..] = case.computed(&mut workspace, &mut memory);
        let mut found = Vec::new();
        let mut state = (case.hidden.clone(), case.cells.clone());
        for (first, n_steps) in [(0, 4), (4, 5)] {
            let shape = Shape { n_steps, ..case.shape };
            let x = &case.x[first * 7 * 5..][..n_steps * 7 * 5];
            let before = State { hidden: &state.0, cell: &state.1 };
            let cancel = CancelToken::new();
            let x = Input::Rows(x);
            workspace.forward(shape, x, case.weights(), before, &mut memory, &cancel).unwrap();
            found.extend_from_slice(memory.outputs());
            state = (memory.state().hidden.to_vec(), memory.state().cell.to_vec());
        }
        assert!(found == outputs && state == (hidden, cells));
    }
}
