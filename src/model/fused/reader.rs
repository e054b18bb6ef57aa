//! A whole network one time step at a time, as composing needs it: every weight is packed once for
//! the whole composition, and a step asks for no memory.
//!
//! ```text
//! x = E[token]      per layer: z = x W + h U, then one pass of `cells`      s = h Eᵀ + b
//! ```
//!
//! With one row every product is a matrix times a vector, and reading the weights from memory is
//! what takes the time. It all happens on the calling thread: waiting for others, who may be busy
//! with a training, would make a step's time unforeseeable.

use super::adaptive::Join;
use super::cells::{GruForward, LstmForward};
use super::compact::PackedWeights;
use super::product::{PackedLeft, View};
use super::recurrent::Weights;
use super::simd::{Level, Store};
use crate::model::WeightFormat;
use crate::model::adaptive::Clusters;
use crate::model::recurrent::CellKind;

/// A network's packed weights and the states of the rows that read.
pub struct Reader {
    level: Level,
    n_units: usize,
    n_rows: usize,
    layers: Vec<Layer>,
    /// `Eᵀ`
    embedding: PackedWeights,
    output_bias: Vec<f32>,
    clusters: Option<ReadClusters>,
    left: PackedLeft,
    /// `[B, G·H]`
    gates: Vec<f32>,
    /// `[B, H]` each: `h U` of a GRU's candidate; the layer's input, its new output and new cell.
    inner: Vec<f32>,
    x: Vec<f32>,
    hidden: Vec<f32>,
    cell: Vec<f32>,
    /// `[B, V]`
    scores: Vec<f32>,
}

/// The rows of the decoder that stand for clusters.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRows<'a> {
    pub clusters: Clusters,
    /// `[C, H]`
    pub embedding: &'a [f32],
    /// `[1, C]`
    pub bias: &'a [f32],
}

/// The same, packed.
struct ReadClusters {
    clusters: Clusters,
    embedding: PackedWeights,
    bias: Vec<f32>,
    /// `[B, C]`
    scores: Vec<f32>,
}

struct Layer {
    kind: CellKind,
    bias: Vec<f32>,
    input: PackedWeights,
    /// `U`: of an LSTM all gates, of a GRU r and z.
    recurrent: PackedWeights,
    /// `U` of a GRU's candidate.
    inner: PackedWeights,
    /// The state, `[B, H]` each.
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

impl Reader {
    /// `embedding` is `[V, H]` and `output_bias` `[1, V]`: rows and scores beyond them are never
    /// asked for, but for those of `clusters` if the softmax is adaptive. Every layer has H inputs.
    /// It begins with one row that has read nothing.
    ///
    /// The weights of all products are kept in `format`.
    ///
    /// # Panics
    /// If a slice hasn't the length the others ask for.
    pub fn new(
        kind: CellKind,
        n_units: usize,
        layers: &[Weights<'_>],
        embedding: &[f32],
        output_bias: &[f32],
        clusters: Option<ClusterRows<'_>>,
        format: WeightFormat,
    ) -> Self {
        let level = Level::detect();
        let pack = |view: View<'_>| PackedWeights::new(level, format, view);
        let layers = layers.iter().map(|weights| Layer::new(pack, kind, n_units, *weights));
        let embedding = View::new(embedding, output_bias.len(), n_units).transposed();
        let mut reader = Self {
            level,
            n_units,
            n_rows: 0,
            layers: layers.collect(),
            embedding: pack(embedding),
            output_bias: output_bias.to_vec(),
            clusters: clusters.map(|rows| ReadClusters::new(pack, n_units, rows)),
            left: PackedLeft::default(),
            gates: Vec::new(),
            inner: Vec::new(),
            x: Vec::new(),
            hidden: Vec::new(),
            cell: Vec::new(),
            scores: Vec::new(),
        };
        reader.start(1);
        reader
    }

    /// So many rows that have read nothing.
    pub fn start(&mut self, n_rows: usize) {
        for layer in &mut self.layers {
            for state in [&mut layer.hidden, &mut layer.cell] {
                state.clear();
                state.resize(n_rows * self.n_units, 0.0);
            }
        }
        self.make_room(n_rows);
    }

    /// Row `idx` goes on from where row `parents[idx]` is.
    pub fn select(&mut self, parents: &[usize]) {
        let n = self.n_units;
        for layer in &mut self.layers {
            for (state, copy) in
                [(&mut layer.hidden, &mut self.hidden), (&mut layer.cell, &mut self.cell)]
            {
                copy.clear();
                parents.iter().for_each(|parent| copy.extend_from_slice(&state[parent * n..][..n]));
                std::mem::swap(state, copy);
            }
        }
        self.make_room(parents.len());
    }

    fn make_room(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
        let n = n_rows * self.n_units;
        for values in [&mut self.inner, &mut self.x, &mut self.hidden, &mut self.cell] {
            values.resize(n, 0.0);
        }
        self.gates.resize(4 * n, 0.0);
        self.scores.resize(n_rows * self.output_bias.len(), 0.0);
    }

    /// Every row reads its own of `inputs`: a row of the embedding each.
    ///
    /// # Panics
    /// If there aren't as many as rows, or one hasn't H numbers.
    pub fn read<'a>(&mut self, inputs: impl ExactSizeIterator<Item = &'a [f32]>) {
        assert_eq!(inputs.len(), self.n_rows);
        for (to, input) in self.x.chunks_exact_mut(self.n_units).zip(inputs) {
            to.copy_from_slice(input);
        }
        for idx in 0..self.layers.len() {
            self.step(idx);
            self.x.copy_from_slice(&self.layers[idx].hidden);
        }
    }

    /// The scores of what may come next, `[B, V]`.
    pub fn scores(&mut self) -> &[f32] {
        let n_outputs = self.output_bias.len();
        self.left.pack(self.level, View::new(&self.x, self.n_rows, self.n_units));
        let scores = &mut self.scores;
        self.embedding.multiply(&self.left, 0..n_outputs, scores, n_outputs, Store::Overwrite);
        for row in self.scores.chunks_exact_mut(n_outputs.max(1)) {
            row.iter_mut().zip(&self.output_bias).for_each(|(score, bias)| *score += bias);
        }
        if let Some(clusters) = &mut self.clusters {
            clusters.join(self.level, &self.left, &mut self.scores);
        }
        &self.scores
    }

    /// One layer from `x` on.
    fn step(&mut self, idx: usize) {
        let (n, n_rows, level) = (self.n_units, self.n_rows, self.level);
        let Layer { kind, bias, input, recurrent, inner, hidden, cell } = &mut self.layers[idx];
        let width = kind.n_gates() * n;
        let gates = &mut self.gates[..n_rows * width];
        let left = &mut self.left;
        left.pack(level, View::new(&self.x, n_rows, n));
        input.multiply(left, 0..width, gates, width, Store::Overwrite);
        left.pack(level, View::new(hidden, n_rows, n));
        recurrent.multiply(left, 0..recurrent.columns(), gates, width, Store::Add);
        match kind {
            CellKind::Lstm => level.run(LstmForward {
                gates,
                bias,
                cell_before: cell,
                cell: &mut self.cell,
                hidden: &mut self.hidden,
                n_units: n,
                units: 0..n,
            }),
            CellKind::Gru => {
                inner.multiply(left, 0..n, &mut self.inner, n, Store::Overwrite);
                level.run(GruForward {
                    gates,
                    inner: &mut self.inner,
                    bias,
                    hidden_before: hidden,
                    hidden: &mut self.hidden,
                    n_units: n,
                    units: 0..n,
                });
            }
        }
        std::mem::swap(hidden, &mut self.hidden);
        if *kind == CellKind::Lstm {
            std::mem::swap(cell, &mut self.cell);
        }
    }
}

impl ReadClusters {
    fn new(
        pack: impl Fn(View<'_>) -> PackedWeights,
        n_units: usize,
        rows: ClusterRows<'_>,
    ) -> Self {
        let embedding = View::new(rows.embedding, rows.bias.len(), n_units).transposed();
        Self {
            clusters: rows.clusters,
            embedding: pack(embedding),
            bias: rows.bias.to_vec(),
            scores: Vec::new(),
        }
    }

    /// Makes of the chords' scores, `[B, V]`, those whose one softmax is what the network predicts.
    fn join(&mut self, level: Level, hidden: &PackedLeft, scores: &mut [f32]) {
        let (n_chords, n_clusters) = (self.clusters.n_chords, self.bias.len());
        if n_clusters == 0 {
            return;
        }
        self.scores.resize(scores.len() / n_chords * n_clusters, 0.0);
        let to = &mut self.scores;
        self.embedding.multiply(hidden, 0..n_clusters, to, n_clusters, Store::Overwrite);
        let rows = scores.chunks_exact_mut(n_chords).zip(self.scores.chunks_exact(n_clusters));
        for (scores, of_clusters) in rows {
            let of_clusters = of_clusters.iter().zip(&self.bias);
            for (chords, (score, bias)) in self.clusters.ranges().zip(of_clusters) {
                level.run(Join { scores: &mut scores[chords], of_cluster: score + bias });
            }
        }
    }
}

impl Layer {
    fn new(
        pack: impl Fn(View<'_>) -> PackedWeights,
        kind: CellKind,
        n: usize,
        weights: Weights<'_>,
    ) -> Self {
        let width = kind.n_gates() * n;
        assert_eq!(weights.bias.len(), 4 * n);
        let recurrent = View::new(weights.recurrent, n, width);
        let at_once = match kind {
            CellKind::Lstm => width,
            CellKind::Gru => 2 * n,
        };
        Self {
            kind,
            bias: weights.bias.to_vec(),
            input: pack(View::new(weights.input, n, width)),
            recurrent: pack(recurrent.columns(0..at_once)),
            inner: pack(recurrent.columns(at_once..width)),
            hidden: Vec::new(),
            cell: Vec::new(),
        }
    }
}
