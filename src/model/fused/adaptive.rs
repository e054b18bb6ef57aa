//! The output layer with an adaptive softmax: the head for every frame, and for a frame whose chord
//! is in a cluster that cluster as well.
//!
//! Each is a [`Decoder`] run over its own rows of the embedding, so that what is packed and scored
//! at one time is a sixteenth of the vocabulary. `adaptive.rs` of the model says what is chosen
//! among what.
//!
//! # Limitations
//! A right guess is one where both choices are right. The likeliest chord of all, which counts
//! where held-out music is measured, may rarely be another one; to find it would cost what the
//! clusters save.

use std::ops::Range;

use super::decoder::{
    Decoder, Frames, Gradients, Totals, largest as largest_of, sum_of_exponentials,
};
use super::simd::{Kernel, Level, MulAdd};
use super::threads::Threads;
use crate::cancel::CancelToken;
use crate::model::adaptive::{Clusters, Place};

/// Room for the head and for the frames of one cluster; kept from step to step.
#[derive(Clone, Debug)]
pub struct AdaptiveDecoder {
    decoder: Decoder,
    head: Outputs,
    head_targets: Vec<i32>,
    places: Vec<Place>,
    /// Which frames a cluster has, and the same frames' targets, weights, hidden and gradients.
    members: Vec<usize>,
    targets: Vec<i32>,
    weights: Vec<f32>,
    hidden: Vec<f32>,
    hidden_gradient: Vec<f32>,
}

/// Rows of the decoder copied together, and their gradients.
#[derive(Clone, Debug, Default)]
struct Outputs {
    embedding: Vec<f32>,
    bias: Vec<f32>,
    embedding_gradient: Vec<f32>,
    bias_gradient: Vec<f32>,
}

impl AdaptiveDecoder {
    pub fn new(threads: Threads, level: Level) -> Self {
        Self {
            decoder: Decoder::new(threads, level),
            head: Outputs::default(),
            head_targets: Vec::new(),
            places: Vec::new(),
            members: Vec::new(),
            targets: Vec::new(),
            weights: Vec::new(),
            hidden: Vec::new(),
            hidden_gradient: Vec::new(),
        }
    }

    /// [`Decoder::run`]; `embedding` is `[V+1+C, H]` and `bias` `[1, V+1+C]`.
    ///
    /// # Panics
    /// As there.
    pub fn run(
        &mut self,
        clusters: Clusters,
        frames: &Frames<'_>,
        embedding: &[f32],
        bias: &[f32],
        gradients: Gradients<'_>,
        cancel: &CancelToken,
    ) -> Option<Totals> {
        let n_units = embedding.len() / bias.len();
        self.places.clear();
        self.places.extend(frames.targets.iter().map(|&target| {
            clusters.place(usize::try_from(target).expect("targets are not negative"))
        }));
        self.head_targets.clear();
        self.head_targets.extend(self.places.iter().map(|place| place.in_head as i32));
        self.head.gather(&clusters.head_rows(), embedding, bias);
        let head = Frames { targets: &self.head_targets, escape: clusters.head as i32, ..*frames };
        let into = Gradients {
            hidden: &mut *gradients.hidden,
            embedding: &mut self.head.embedding_gradient,
            bias: &mut self.head.bias_gradient,
        };
        self.decoder.run(&head, &self.head.embedding, &self.head.bias, into, cancel)?;
        let mut results = self.decoder.results().to_vec();
        self.head.scatter(&clusters.head_rows(), gradients.embedding, gradients.bias);

        for (cluster, chords) in clusters.ranges().enumerate() {
            self.gather(frames, cluster, n_units);
            let of_members = Frames {
                hidden: &self.hidden,
                targets: &self.targets,
                weights: &self.weights,
                escape: -1,
                n_frames: frames.n_frames,
            };
            let rows = chords.start * n_units..chords.end * n_units;
            let into = Gradients {
                hidden: &mut self.hidden_gradient,
                embedding: &mut gradients.embedding[rows.clone()],
                bias: &mut gradients.bias[chords.clone()],
            };
            self.decoder.run(&of_members, &embedding[rows], &bias[chords], into, cancel)?;
            let each = self.members.iter().zip(self.decoder.results());
            for ((&frame, result), from) in each.zip(self.hidden_gradient.chunks_exact(n_units)) {
                let both = &mut results[frame];
                both.loss += result.loss;
                both.right = both.right.min(result.right);
                let to = &mut gradients.hidden[frame * n_units..][..n_units];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
        Some(results.into_iter().sum())
    }

    /// The frames of one cluster that count.
    fn gather(&mut self, frames: &Frames<'_>, cluster: usize, n_units: usize) {
        self.members.clear();
        self.targets.clear();
        self.weights.clear();
        self.hidden.clear();
        for (frame, place) in self.places.iter().enumerate() {
            let Some((of, target)) = place.in_cluster else { continue };
            if of == cluster && frames.weights[frame] > 0.0 {
                self.members.push(frame);
                self.targets.push(target as i32);
                self.weights.push(frames.weights[frame]);
                self.hidden.extend_from_slice(&frames.hidden[frame * n_units..][..n_units]);
            }
        }
        self.hidden_gradient.resize(self.hidden.len(), 0.0);
    }
}

impl Outputs {
    /// Copies rows together.
    fn gather(&mut self, rows: &[Range<usize>], embedding: &[f32], bias: &[f32]) {
        let n_units = embedding.len() / bias.len();
        self.embedding.clear();
        self.bias.clear();
        for rows in rows {
            self.embedding.extend_from_slice(&embedding[rows.start * n_units..rows.end * n_units]);
            self.bias.extend_from_slice(&bias[rows.clone()]);
        }
        self.embedding_gradient.resize(self.embedding.len(), 0.0);
        self.bias_gradient.resize(self.bias.len(), 0.0);
    }

    /// Copies their gradients to where the rows are from.
    fn scatter(&self, rows: &[Range<usize>], embedding: &mut [f32], bias: &mut [f32]) {
        let n_units = embedding.len() / bias.len();
        let mut first = 0;
        for rows in rows {
            let from = first..first + rows.len();
            let to = &mut embedding[rows.start * n_units..rows.end * n_units];
            to.copy_from_slice(&self.embedding_gradient[from.start * n_units..from.end * n_units]);
            bias[rows.clone()].copy_from_slice(&self.bias_gradient[from.clone()]);
            first = from.end;
        }
    }
}

/// From the scores of a cluster's chords in one row to those that count beside the head's:
/// `log P(chord | cluster)` and the cluster's own score.
pub struct Join<'a> {
    pub scores: &'a mut [f32],
    pub of_cluster: f32,
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: MulAdd>(self) {
        let largest = largest_of(self.scores);
        let shift = self.of_cluster - largest - sum_of_exponentials::<M>(self.scores, largest).ln();
        self.scores.iter_mut().for_each(|score| *score += shift);
    }
}
