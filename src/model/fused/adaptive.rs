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
        let of_cluster = self.of_cluster - sum_of_exponentials::<M>(self.scores, largest).ln();
        // In this order nothing is lost where scores are large.
        self.scores.iter_mut().for_each(|score| *score = (*score - largest) + of_cluster);
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    const N_FRAMES: usize = 7;

    struct Case {
        clusters: Clusters,
        hidden: Vec<f32>,
        embedding: Vec<f32>,
        bias: Vec<f32>,
        targets: Vec<i32>,
        weights: Vec<f32>,
    }

    /// dh, dE, db.
    type Found = [Vec<f32>; 3];

    impl Case {
        /// Chords of the first half alone, so that the last clusters have no frames, and the
        /// escape.
        fn new(rng: &mut ChaCha8Rng, n: usize, n_units: usize, clusters: Clusters) -> Self {
            let n_rows = clusters.n_chords + 1 + clusters.len();
            let mut random = |n: usize, to: f32| -> Vec<f32> {
                (0..n).map(|_| rng.random_range(-to..=to)).collect()
            };
            let (hidden, embedding) = (random(n * n_units, 1.0), random(n_rows * n_units, 1.0));
            let bias = random(n_rows, 4.0);
            let escape = clusters.n_chords as i32;
            let mut target = || match rng.random_range(0..5) {
                0 => escape,
                _ => rng.random_range(0..=escape / 2),
            };
            let targets = (0..n).map(|_| target()).collect();
            let weights = (0..n).map(|_| f32::from(rng.random_range(0..4u8) > 0)).collect();
            Self { clusters, hidden, embedding, bias, targets, weights }
        }

        fn computed(&self, decoder: &mut AdaptiveDecoder) -> (Totals, Found) {
            let dirty = |like: &[f32]| vec![f32::NAN; like.len()];
            let mut found = [&self.hidden, &self.embedding, &self.bias].map(|like| dirty(like));
            let [hidden, embedding, bias] = &mut found;
            let frames = Frames {
                hidden: &self.hidden,
                targets: &self.targets,
                weights: &self.weights,
                escape: self.clusters.n_chords as i32,
                n_frames: N_FRAMES,
            };
            let gradients = Gradients { hidden, embedding, bias };
            let (cancel, clusters) = (CancelToken::new(), self.clusters);
            let (rows, bias) = (&self.embedding, &self.bias);
            let totals = decoder.run(clusters, &frames, rows, bias, gradients, &cancel);
            (totals.unwrap(), found)
        }

        /// In double precision, one frame after the other.
        fn naive(&self) -> (Totals, [Vec<f64>; 3]) {
            let n_units = self.embedding.len() / self.bias.len();
            let mut totals = Totals::default();
            let mut found =
                [&self.hidden, &self.embedding, &self.bias].map(|like| vec![0.0; like.len()]);
            let head: Vec<usize> = self.clusters.head_rows().into_iter().flatten().collect();
            let ranges: Vec<_> = self.clusters.ranges().collect();
            for (frame, &target) in self.targets.iter().enumerate() {
                let place = self.clusters.place(target as usize);
                let mut right = target != self.clusters.n_chords as i32;
                right &= self.choice(frame, &head, place.in_head, &mut totals, &mut found);
                if let Some((cluster, idx)) = place.in_cluster {
                    let rows: Vec<usize> = ranges[cluster].clone().collect();
                    right &= self.choice(frame, &rows, idx, &mut totals, &mut found);
                }
                totals.right += if right { f64::from(self.weights[frame]) } else { 0.0 };
            }
            assert_eq!(found[0].len(), self.targets.len() * n_units);
            (totals, found)
        }

        /// One softmax over some rows. Whether the target has the largest score.
        fn choice(
            &self,
            frame: usize,
            rows: &[usize],
            target: usize,
            totals: &mut Totals,
            [dh, de, db]: &mut [Vec<f64>; 3],
        ) -> bool {
            let n_units = self.embedding.len() / self.bias.len();
            let h = &self.hidden[frame * n_units..][..n_units];
            let score = |&row: &usize| {
                let e = &self.embedding[row * n_units..][..n_units];
                let products = h.iter().zip(e).map(|(h, e)| f64::from(*h) * f64::from(*e));
                products.sum::<f64>() + f64::from(self.bias[row])
            };
            let scores: Vec<f64> = rows.iter().map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            let weight = f64::from(self.weights[frame]);
            totals.loss += weight * (sum.ln() + largest - scores[target]);
            for (idx, &row) in rows.iter().enumerate() {
                let hot = if idx == target { 1.0 } else { 0.0 };
                let ds = weight * ((scores[idx] - largest).exp() / sum - hot) / N_FRAMES as f64;
                db[row] += ds;
                for unit in 0..n_units {
                    let at = row * n_units + unit;
                    dh[frame * n_units + unit] += ds * f64::from(self.embedding[at]);
                    de[at] += ds * f64::from(h[unit]);
                }
            }
            scores[target] == largest
        }
    }

    #[test]
    fn losses_and_gradients_are_those_of_the_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        for (n, n_units, clusters) in [
            (1, 1, Clusters { n_chords: 2, head: 1, size: 1 }),
            (60, 5, Clusters { n_chords: 90, head: 10, size: 33 }),
            (1100, 3, Clusters { n_chords: 20, head: 3, size: 4 }),
            // All in the head.
            (9, 4, Clusters { n_chords: 6, head: 6, size: 2 }),
        ] {
            let case = Case::new(&mut rng, n, n_units, clusters);
            let (totals, expected) = case.naive();
            let mut first: Option<(Totals, Found)> = None;
            for threads in [1, 3] {
                let mut decoder = AdaptiveDecoder::new(Threads::new(threads), Level::detect());
                let found = case.computed(&mut decoder);
                let distance = (found.0.loss - totals.loss).abs();
                assert!(distance < 1e-5 * totals.loss.max(1.0), "{:?} for {totals:?}", found.0);
                assert_eq!(found.0.right, totals.right);
                for (found, expected) in found.1.iter().zip(&expected) {
                    let scale = expected.iter().fold(0.1, |most: f64, x| most.max(x.abs()));
                    for (found, expected) in found.iter().zip(expected) {
                        let distance = (f64::from(*found) - expected).abs() / scale;
                        assert!(distance < 1e-5, "{found} for {expected}, {clusters:?}");
                    }
                }
                assert!(case.computed(&mut decoder) == found, "the second time differs");
                let first = first.get_or_insert_with(|| found.clone());
                assert!(*first == found, "the number of threads changes a result");
            }
        }
    }

    #[test]
    fn joined_scores_are_one_distribution() {
        let scores = [1.0f32, 300.0, 298.5, -2.0];
        for level in Level::all() {
            let mut joined = scores;
            level.run(Join { scores: &mut joined, of_cluster: 0.7 });
            let sum: f32 = joined.iter().map(|score| score.exp()).sum();
            assert!((sum - 0.7f32.exp()).abs() < 1e-5, "{joined:?}");
            assert!((joined[1] - joined[2] - 1.5).abs() < 1e-4);
        }
    }
}
