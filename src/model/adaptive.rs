//! Which outputs of an adaptive softmax are chosen among together.
//!
//! With tens of thousands of chords nearly all the work of a step is the last product, although
//! few of them are ever likely. Here one is chosen in two steps (Goodman 2001; by how common the
//! words are: Grave et al. 2017, "Efficient softmax approximation for GPUs"):
//!
//! ```text
//! head       softmax over the commonest chords, the escape, and one output for each cluster
//! cluster    softmax over some of the rarer chords
//! P(chord)   = P(cluster) · P(chord | cluster) for a rarer one
//! ```
//!
//! This is a distribution of its own and no approximation of one: its probabilities are exact, add
//! up to 1, and are what is learned from, measured and composed with.
//!
//! Unlike Grave's the clusters are all of one size and as wide as the head: their weights stay
//! shared with the embedding. Equal sizes bound the cost of a frame whatever the music is like,
//! where chords are less unevenly common than words are; with a sixteenth of the vocabulary in
//! each a frame meets an eighth of the outputs, and a batch still has hundreds of frames for a
//! cluster, as a fast matrix product needs.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The head and every cluster have this part of the vocabulary.
const PARTS: usize = 16;

/// From so many chords on it is worth the while.
pub(super) const USEFUL_FROM: usize = 16_000;

/// How the outputs are divided. The first chords of the vocabulary are those of the head, and so
/// on in order: it is sorted by how common they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clusters {
    /// Without the escape.
    pub n_chords: usize,
    /// Chords in the head.
    pub head: usize,
    /// Chords in a cluster; the last one may have fewer.
    pub size: usize,
}

/// Where an output is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Among the outputs of the head: itself, or the one that stands for its cluster.
    pub in_head: usize,
    /// Which cluster, and where in it.
    pub in_cluster: Option<(usize, usize)>,
}

impl Clusters {
    pub(super) fn for_vocabulary(n_chords: usize) -> Self {
        let size = n_chords.div_ceil(PARTS).max(1);
        Self { n_chords, head: size, size }
    }

    /// Whether a file that says this can be believed.
    pub(super) fn fits(self, n_chords: usize) -> bool {
        self.n_chords == n_chords
            && (1..=n_chords).contains(&self.head)
            && (1..=n_chords).contains(&self.size)
    }

    pub(super) fn len(self) -> usize {
        (self.n_chords - self.head).div_ceil(self.size)
    }

    /// Outputs that are chosen among in the head.
    pub(super) fn head_width(self) -> usize {
        self.head + 1 + self.len()
    }

    /// The chords of each cluster.
    pub(super) fn ranges(self) -> impl ExactSizeIterator<Item = Range<usize>> {
        (0..self.len()).map(move |cluster| {
            let first = self.head + cluster * self.size;
            first..(first + self.size).min(self.n_chords)
        })
    }

    /// The rows of the decoder that the head has, in order: its chords, then the escape and the
    /// clusters, which come after all chords.
    pub(super) fn head_rows(self) -> [Range<usize>; 2] {
        [0..self.head, self.n_chords..self.n_chords + 1 + self.len()]
    }

    /// The place of a chord or the escape.
    pub(super) fn place(self, target: usize) -> Place {
        if target < self.head {
            return Place { in_head: target, in_cluster: None };
        }
        if target >= self.n_chords {
            return Place { in_head: self.head, in_cluster: None };
        }
        let (cluster, idx) = ((target - self.head) / self.size, (target - self.head) % self.size);
        Place { in_head: self.head + 1 + cluster, in_cluster: Some((cluster, idx)) }
    }

    /// From what is added to the score of every chord and the escape to the same for every row of
    /// the decoder: a cluster weighs as much as its chords together.
    pub(super) fn with_clusters(self, mut prior: Vec<f32>) -> Vec<f32> {
        let weights = self.ranges().map(|chords| log_sum_of_exponentials(&prior[chords]));
        let weights: Vec<f32> = weights.collect();
        prior.extend(weights);
        prior
    }
}

fn log_sum_of_exponentials(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = values.iter().map(|value| f64::from(value - largest).exp()).sum();
    (f64::from(largest) + sum.ln()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_has_one_place() {
        for n_chords in [2, 15, 16, 17, 426, 40_000] {
            let clusters = Clusters::for_vocabulary(n_chords);
            assert!(clusters.fits(n_chords), "{clusters:?}");
            let ranges: Vec<_> = clusters.ranges().collect();
            assert!(ranges.len() < PARTS);
            assert_eq!(clusters.head + ranges.iter().map(Range::len).sum::<usize>(), n_chords);
            let mut heads = vec![0; clusters.head_width()];
            for target in 0..=n_chords {
                let Place { in_head, in_cluster } = clusters.place(target);
                heads[in_head] += 1;
                if let Some((cluster, idx)) = in_cluster {
                    assert_eq!(ranges[cluster].start + idx, target);
                    assert_eq!(in_head, clusters.head + 1 + cluster);
                }
            }
            // Itself in the head, or a cluster for each of its chords.
            assert!(heads[..=clusters.head].iter().all(|&n| n == 1));
            let sizes = ranges.iter().map(Range::len);
            assert!(heads[clusters.head + 1..].iter().copied().eq(sizes));
            let rows: usize = clusters.head_rows().into_iter().map(|rows| rows.len()).sum();
            assert_eq!(rows, clusters.head_width());
        }
    }

    #[test]
    fn a_cluster_weighs_as_much_as_its_chords() {
        let clusters = Clusters { n_chords: 5, head: 2, size: 2 };
        let shares = [0.3f32, 0.2, 0.1, 0.15, 0.05, 0.2];
        let prior = clusters.with_clusters(shares.map(f32::ln).to_vec());
        for (found, expected) in prior[6..].iter().zip([0.25f32, 0.05]) {
            assert!((found.exp() - expected).abs() < 1e-6);
        }
        assert_eq!(prior.len(), 8);
    }

    #[test]
    fn what_a_file_says_is_checked() {
        let clusters = Clusters { n_chords: 40, head: 4, size: 8 };
        assert!(clusters.fits(40));
        assert!(!clusters.fits(41));
        assert!(!Clusters { head: 41, ..clusters }.fits(40));
        assert!(!Clusters { head: 0, ..clusters }.fits(40));
        assert!(!Clusters { size: 0, ..clusters }.fits(40));
        assert!(!Clusters { size: usize::MAX, ..clusters }.fits(40));
    }
}
