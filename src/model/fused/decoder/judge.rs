//! The output layer where music is measured: how surprised the network is by every frame and whether
//! its likeliest chord is right, without gradients.

use super::super::adaptive::Join;
use super::super::product::{PackedRight, View};
use super::super::simd::{Kernel, Level, MulAdd};
use super::super::threads::split_rows;
use super::{CHUNK, Decoder, ROWS, Softmax, largest, score_rows, sum_of_exponentials};
use crate::cancel::CancelToken;
use crate::model::adaptive::Clusters;

/// Most scores that are held at once. With a vocabulary so large that fewer than [`ROWS`] frames
/// have as many, the products would be small ones: then so many frames' are held.
const MAX_SCORES: usize = 1 << 22;

/// What is chosen among.
#[derive(Clone, Copy, Debug)]
pub struct Outputs<'a> {
    /// `[V+1+C, H]`, C being 0 without clusters.
    pub embedding: &'a [f32],
    /// `[1, V+1+C]`, with the prior.
    pub bias: &'a [f32],
    /// V: the escape comes after them.
    pub n_chords: usize,
    pub clusters: Option<Clusters>,
}

/// One frame, seen with its target.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Judged {
    /// The target's negative log-likelihood in nats, exact whichever softmax there is.
    pub nll: f32,
    /// Whether the target is the likeliest chord of all, the first of several equal ones. The
    /// escape is no chord.
    pub is_right: bool,
}

impl Decoder {
    /// The frames of `hidden` (`[N, H]`), one after the other.
    ///
    /// # Panics
    /// If a slice hasn't the length the others ask for, or a target isn't a chord or the escape.
    pub fn judge(&mut self, hidden: &[f32], targets: &[i32], outputs: Outputs<'_>) -> Vec<Judged> {
        // Its blocks are small: whoever measures looks at the token between them.
        self.scratch.cancel = CancelToken::new();
        let (n, n_outputs) = (targets.len(), outputs.bias.len());
        let n_units = outputs.embedding.len() / n_outputs;
        assert!(hidden.len() == n * n_units && n_outputs > outputs.n_chords);
        let threads = self.scratch.threads;
        let embedding = View::new(outputs.embedding, n_outputs, n_units);
        self.forward.pack(threads, embedding.transposed());
        let chunk = (MAX_SCORES / n_outputs).clamp(ROWS, CHUNK).min(n);
        self.scores.resize(chunk * n_outputs, 0.0);
        let mut judged = vec![Judged::default(); n];
        let (forward, level) = (&self.forward, self.scratch.level);
        let hidden = View::new(hidden, n, n_units);
        for (idx, judged) in judged.chunks_mut(chunk.max(1)).enumerate() {
            let first = idx * chunk;
            let ranges: Vec<_> = threads.ranges(judged.len(), ROWS).collect();
            let scores = split_rows(&mut self.scores, ranges.iter().cloned(), n_outputs);
            let mut rest = judged;
            let judged = ranges.iter().map(|range| {
                let (judged, after) = std::mem::take(&mut rest).split_at_mut(range.len());
                rest = after;
                judged
            });
            let parts: Vec<_> = scores.zip(judged).collect();
            threads.share_with(&mut self.scratch.left, parts.into_iter(), |left, part| {
                let ((rows, scores), judged) = part;
                let rows = first + rows.start..first + rows.end;
                left.pack(level, hidden.rows(rows.clone()));
                let softmax = score_rows(level, left, forward, outputs.bias, scores);
                let of_row = scores.chunks_exact_mut(n_outputs).zip(softmax);
                for ((judged, &target), (scores, softmax)) in
                    judged.iter_mut().zip(&targets[rows]).zip(of_row)
                {
                    *judged = judge_row(level, scores, softmax, target, outputs);
                }
            });
        }
        if outputs.clusters.is_some() {
            // Such a network learns without them: all its embedding packed would only be held.
            self.forward = PackedRight::new(level);
            self.scores = Vec::new();
        }
        judged
    }
}

/// One frame, whose `scores` are `[1, V+1+C]` and `softmax` the one over all of them.
fn judge_row(
    level: Level,
    scores: &mut [f32],
    mut softmax: Softmax,
    target: i32,
    Outputs { n_chords, clusters, .. }: Outputs<'_>,
) -> Judged {
    if let Some(clusters) = clusters {
        let (scores, of_clusters) = scores.split_at_mut(n_chords + 1);
        for (chords, &of_cluster) in clusters.ranges().zip(&*of_clusters) {
            level.run(Join { scores: &mut scores[chords], of_cluster });
        }
        softmax = level.run(OneSoftmax(scores));
    }
    let scores = &scores[..=n_chords];
    let idx = usize::try_from(target).expect("targets are not negative");
    let of_target = scores[idx];
    let is_likeliest = || {
        let likeliest = level.run(Largest(&scores[..n_chords]));
        of_target == likeliest && !scores[..idx].contains(&likeliest)
    };
    Judged {
        nll: softmax.sum.ln() - (of_target - softmax.largest),
        is_right: idx < n_chords && is_likeliest(),
    }
}

/// The softmax over some scores.
struct OneSoftmax<'a>(&'a [f32]);

impl Kernel for OneSoftmax<'_> {
    type Output = Softmax;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> Softmax {
        let largest = largest(self.0);
        Softmax { largest, sum: sum_of_exponentials::<M>(self.0, largest) }
    }
}

struct Largest<'a>(&'a [f32]);

impl Kernel for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<M: MulAdd>(self) -> f32 {
        largest(self.0)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::super::super::threads::Threads;
    use super::*;

    struct Case {
        hidden: Vec<f32>,
        embedding: Vec<f32>,
        bias: Vec<f32>,
        targets: Vec<i32>,
        n_chords: usize,
        clusters: Option<Clusters>,
    }

    impl Case {
        fn new(
            rng: &mut ChaCha8Rng,
            [n, n_units, n_chords]: [usize; 3],
            clusters: Option<Clusters>,
        ) -> Self {
            let n_rows = n_chords + 1 + clusters.map_or(0, Clusters::len);
            let mut random = |n: usize, to: f32| -> Vec<f32> {
                (0..n).map(|_| rng.random_range(-to..=to)).collect()
            };
            let (hidden, embedding) = (random(n * n_units, 1.0), random(n_rows * n_units, 1.0));
            let bias = random(n_rows, 4.0);
            let targets = (0..n).map(|_| rng.random_range(0..=n_chords as i32)).collect();
            Self { hidden, embedding, bias, targets, n_chords, clusters }
        }

        fn outputs(&self) -> Outputs<'_> {
            let (embedding, bias) = (&self.embedding, &self.bias);
            Outputs { embedding, bias, n_chords: self.n_chords, clusters: self.clusters }
        }

        /// In double precision: log-likelihoods of the chords and the escape.
        fn naive(&self, frame: usize) -> Vec<f64> {
            let n_units = self.embedding.len() / self.bias.len();
            let hidden = &self.hidden[frame * n_units..][..n_units];
            let score = |row: usize| {
                let e = &self.embedding[row * n_units..][..n_units];
                let products = hidden.iter().zip(e).map(|(h, e)| f64::from(*h) * f64::from(*e));
                products.sum::<f64>() + f64::from(self.bias[row])
            };
            let log_softmax = |rows: Vec<usize>| {
                let scores: Vec<f64> = rows.into_iter().map(score).collect();
                let sum = scores.iter().map(|score| score.exp()).sum::<f64>().ln();
                scores.into_iter().map(move |score| score - sum).collect::<Vec<_>>()
            };
            let Some(clusters) = self.clusters else {
                return log_softmax((0..=self.n_chords).collect());
            };
            let head = log_softmax(clusters.head_rows().into_iter().flatten().collect());
            let mut all = head[..clusters.head].to_vec();
            for (cluster, chords) in clusters.ranges().enumerate() {
                let of_cluster = head[clusters.head + 1 + cluster];
                all.extend(log_softmax(chords.collect()).iter().map(|it| it + of_cluster));
            }
            all.push(head[clusters.head]);
            all
        }
    }

    #[test]
    fn frames_are_judged_as_defined() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut n_right = 0;
        let clusters = |n_chords, head, size| Some(Clusters { n_chords, head, size });
        for (shape, clusters) in [
            ([1, 1, 1], None),
            ([17, 8, 33], None),
            ([700, 3, 270], None),
            ([1, 2, 2], clusters(2, 1, 1)),
            ([700, 5, 90], clusters(90, 10, 33)),
            // More scores than are held at once.
            ([230, 1, 20_000], clusters(20_000, 1_250, 1_250)),
        ] {
            let case = Case::new(&mut rng, shape, clusters);
            let all: Vec<_> = (0..shape[0]).map(|frame| case.naive(frame)).collect();
            for level in Level::all() {
                let one = Decoder::new(Threads::ONE, level).judge(
                    &case.hidden,
                    &case.targets,
                    case.outputs(),
                );
                let mut decoder = Decoder::new(Threads::new(3), level);
                let found = decoder.judge(&case.hidden, &case.targets, case.outputs());
                assert!(found == one, "the number of threads changes a result");
                for ((found, expected), &target) in found.iter().zip(&all).zip(&case.targets) {
                    let target = target as usize;
                    let distance = f64::from(found.nll) + expected[target];
                    assert!(distance.abs() < 1e-4, "{distance} off, {shape:?}, {level:?}");
                    let chords = &expected[..case.n_chords];
                    let likeliest = chords.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let by_how_much = expected[target] - likeliest;
                    // Nearer than that, rounding may decide.
                    if by_how_much == 0.0 || by_how_much.abs() > 1e-4 {
                        let is_right = target < case.n_chords && by_how_much == 0.0;
                        assert_eq!(found.is_right, is_right, "{expected:?}");
                        n_right += usize::from(is_right);
                    }
                }
            }
        }
        assert!(n_right > 10, "only {n_right} were right");
    }

    #[test]
    fn the_first_of_equal_chords_is_the_guess_and_the_escape_is_none() {
        let (hidden, embedding) = (vec![0.0; 4], vec![0.0; 4]);
        // Two chords alike, another one, and an escape that is likelier than all.
        let bias = vec![1.0, 1.0, 0.5, 9.0];
        let outputs = Outputs { embedding: &embedding, bias: &bias, n_chords: 3, clusters: None };
        let mut decoder = Decoder::new(Threads::ONE, Level::detect());
        let judged = decoder.judge(&hidden, &[0, 1, 2, 3], outputs);
        let right: Vec<bool> = judged.iter().map(|judged| judged.is_right).collect();
        assert_eq!(right, [true, false, false, false]);
        assert!(decoder.judge(&[], &[], outputs).is_empty());
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let (hidden, embedding, bias) = (vec![f32::NAN], vec![1.0; 3], vec![0.0; 3]);
        let outputs = Outputs { embedding: &embedding, bias: &bias, n_chords: 2, clusters: None };
        let judged = Decoder::new(Threads::ONE, Level::detect()).judge(&hidden, &[1], outputs);
        assert!(judged[0].nll.is_nan() && !judged[0].is_right);
    }
}
