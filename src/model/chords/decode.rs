//! The output layer by burn's operations, on any device: loss, right guesses and gradients.
//!
//! For a frame with scores `s`, target `y` and weight `w` (0 for padding):
//!
//! ```text
//! loss = -w · log softmax(s)[y]          ∂loss/∂s = w · (softmax(s) - onehot(y))
//! ```
//!
//! Frames × vocabulary can be the largest thing in a step by far, so it is never held whole: rows
//! are taken in chunks, and from each chunk's scores the gradients are made at once.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::loss::{ChordBatch, token_tensor};
use super::network::ChordNetwork;
use crate::cancel::CancelToken;
use crate::model::adaptive::{Clusters, Place};

/// Most scores held at once.
const MAX_SCORES: usize = 1 << 22;

/// What the decoder gives back.
pub struct Decoded<B: Backend> {
    /// `[1, 2]`: the summed loss of the frames, and how many were predicted right.
    pub totals: Tensor<B, 2>,
    /// Gradients: of the top layer's outputs, and of the decoder's own weights.
    pub hidden: Tensor<B, 2>,
    pub embedding: Tensor<B, 2>,
    pub bias: Tensor<B, 2>,
}

/// Some frames to be predicted.
#[derive(Clone, Copy)]
struct Targets<'a> {
    targets: &'a [i32],
    weights: &'a [f32],
    /// What gradients are divided by.
    n_frames: usize,
}

/// Outputs among which one softmax chooses.
struct Outputs<B: Backend> {
    /// `[M, H]`
    weights: Tensor<B, 2>,
    /// `[1, M]`
    bias: Tensor<B, 2>,
}

/// What one softmax gives back.
struct Chosen<B: Backend> {
    /// `[1, 1]`
    loss: Tensor<B, 2>,
    /// `[N, 1]`: 1 for a frame whose target has the largest score, else 0.
    right: Tensor<B, 2>,
    hidden: Tensor<B, 2>,
    weights: Tensor<B, 2>,
    bias: Tensor<B, 2>,
}

/// Loss and gradients of the decoder, chunk by chunk; `None` if it was cancelled.
pub fn decode<B: Backend>(
    network: &ChordNetwork<B>,
    hidden: Tensor<B, 2>,
    batch: &ChordBatch,
    n_frames: usize,
    cancel: &CancelToken,
) -> Option<Decoded<B>> {
    let [n, n_units] = hidden.dims();
    let chunk = (MAX_SCORES / network.config.widest_softmax()).clamp(1, n.max(1));
    let mut decoded: Option<Decoded<B>> = None;
    let mut hidden_gradients = Vec::with_capacity(n.div_ceil(chunk));
    for first in (0..n).step_by(chunk) {
        if cancel.is_cancelled() {
            return None;
        }
        let last = (first + chunk).min(n);
        let hidden = hidden.clone().slice([first..last, 0..n_units]);
        let (targets, weights) = (&batch.targets[first..last], &batch.weights[first..last]);
        let frames = Targets { targets, weights, n_frames };
        let part = match network.config.clusters {
            None => decode_chunk(network, hidden, frames),
            Some(clusters) => decode_clusters(network, clusters, hidden, frames),
        };
        hidden_gradients.push(part.hidden.clone());
        decoded = Some(match decoded {
            None => part,
            Some(sum) => Decoded {
                totals: sum.totals + part.totals,
                embedding: sum.embedding + part.embedding,
                bias: sum.bias + part.bias,
                hidden: part.hidden,
            },
        });
    }
    let mut decoded = decoded.expect("a batch has at least one row and one step");
    decoded.hidden = Tensor::cat(hidden_gradients, 0);
    Some(decoded)
}

/// One softmax over everything.
fn decode_chunk<B: Backend>(
    network: &ChordNetwork<B>,
    hidden: Tensor<B, 2>,
    frames: Targets<'_>,
) -> Decoded<B> {
    let outputs = Outputs { weights: network.embedding.clone(), bias: network.output_bias() };
    // A right guess counts where there is a frame and its chord is a known one.
    let escape = network.config.vocabulary as i32;
    let countable = frames.weights.iter().zip(frames.targets);
    let countable =
        countable.map(|(&weight, &target)| if target == escape { 0.0 } else { weight }).collect();
    let chosen = choose(outputs, hidden, frames);
    let n_right = (chosen.right * column::<B>(countable, &network.device())).sum_dim(0);
    Decoded {
        totals: Tensor::cat(vec![chosen.loss, n_right], 1),
        hidden: chosen.hidden,
        embedding: chosen.weights,
        bias: chosen.bias,
    }
}

/// The head for every frame, and for those with a rarer chord its cluster. A guess is right if
/// both steps are: the likeliest chord of all, which is what counts where held-out music is
/// measured, may rarely be another one.
fn decode_clusters<B: Backend>(
    network: &ChordNetwork<B>,
    clusters: Clusters,
    hidden: Tensor<B, 2>,
    frames: Targets<'_>,
) -> Decoded<B> {
    let (device, n_units) = (network.device(), hidden.dims()[1]);
    let places: Vec<Place> =
        frames.targets.iter().map(|&target| clusters.place(target as usize)).collect();
    let in_head: Vec<i32> = places.iter().map(|place| place.in_head as i32).collect();
    let escape = clusters.head as i32;
    let countable = places.iter().zip(frames.weights).map(|(place, &weight)| {
        let counts = place.in_cluster.is_none() && place.in_head as i32 != escape;
        if counts { weight } else { 0.0 }
    });
    let outputs = Outputs::of(network, &clusters.head_rows());
    let head = choose(outputs, hidden.clone(), Targets { targets: &in_head, ..frames });
    let countable = column::<B>(countable.collect(), &device);
    let n_right = (head.right.clone() * countable).sum_dim(0);
    let mut totals = Tensor::cat(vec![head.loss, n_right], 1);
    let mut hidden_gradient = head.hidden;
    let [n_outputs, _] = head.weights.dims();
    let mut embedding = vec![head.weights.clone().slice([0..clusters.head, 0..n_units])];
    let mut bias = vec![head.bias.clone().slice([0..1, 0..clusters.head])];
    for (idx, chords) in clusters.ranges().enumerate() {
        let members: Vec<(usize, usize)> = (0..)
            .zip(&places)
            .filter_map(|(frame, place)| Some((frame, place.in_cluster?)))
            .filter(|&(frame, (cluster, _))| cluster == idx && frames.weights[frame] > 0.0)
            .map(|(frame, (_, target))| (frame, target))
            .collect();
        if members.is_empty() {
            embedding.push(Tensor::zeros([chords.len(), n_units], &device));
            bias.push(Tensor::zeros([1, chords.len()], &device));
            continue;
        }
        let rows: Vec<i32> = members.iter().map(|&(frame, _)| frame as i32).collect();
        let targets: Vec<i32> = members.iter().map(|&(_, target)| target as i32).collect();
        let weights: Vec<f32> = members.iter().map(|&(frame, _)| frames.weights[frame]).collect();
        let rows = token_tensor::<B>(&rows, &device);
        let of_members =
            Targets { targets: &targets, weights: &weights, n_frames: frames.n_frames };
        let outputs = Outputs::of(network, &[chords]);
        let chosen = choose(outputs, hidden.clone().select(0, rows.clone()), of_members);
        let right = chosen.right * head.right.clone().select(0, rows.clone());
        let n_right = (right * column::<B>(weights, &device)).sum_dim(0);
        totals = totals + Tensor::cat(vec![chosen.loss, n_right], 1);
        hidden_gradient =
            hidden_gradient.select_assign(0, rows, chosen.hidden, IndexingUpdateOp::Add);
        embedding.push(chosen.weights);
        bias.push(chosen.bias);
    }
    embedding.push(head.weights.slice([clusters.head..n_outputs, 0..n_units]));
    bias.push(head.bias.slice([0..1, clusters.head..n_outputs]));
    Decoded {
        totals,
        hidden: hidden_gradient,
        embedding: Tensor::cat(embedding, 0),
        bias: Tensor::cat(bias, 1),
    }
}

impl<B: Backend> Outputs<B> {
    /// Some rows of the decoder.
    fn of(network: &ChordNetwork<B>, rows: &[Range<usize>]) -> Self {
        let (bias, n_units) = (network.output_bias(), network.config.hidden);
        let weights = |rows: &Range<usize>| {
            let embedding = network.embedding.clone();
            embedding.slice([rows.clone(), 0..n_units])
        };
        let bias = |rows: &Range<usize>| bias.clone().slice([0..1, rows.clone()]);
        Self {
            weights: Tensor::cat(rows.iter().map(weights).collect(), 0),
            bias: Tensor::cat(rows.iter().map(bias).collect(), 1),
        }
    }
}

/// Loss and gradients of one softmax.
fn choose<B: Backend>(
    Outputs { weights, bias }: Outputs<B>,
    hidden: Tensor<B, 2>,
    Targets { targets, weights: of_frames, n_frames }: Targets<'_>,
) -> Chosen<B> {
    let device = hidden.device();
    let target = token_tensor::<B>(targets, &device).reshape([targets.len(), 1]);
    let weight = column::<B>(of_frames.to_vec(), &device);
    let scores = hidden.clone().matmul(weights.clone().transpose()) + bias;
    let right = scores.clone().argmax(1).equal(target.clone()).float();
    let (nll, exponentials, sums) = negative_log_likelihood(scores, target.clone());
    let loss = (nll * weight.clone()).sum_dim(0);

    let scale = weight.div_scalar(n_frames.max(1) as f32);
    let ds = exponentials * (scale.clone() / sums);
    let ds = ds.scatter(1, target, scale.neg(), IndexingUpdateOp::Add);
    Chosen {
        loss,
        right,
        hidden: ds.clone().matmul(weights),
        weights: ds.clone().transpose().matmul(hidden),
        bias: ds.sum_dim(0),
    }
}

/// `[N, 1]` negative log-likelihoods, and the softmax as exponentials `[N, V+1]` and their sums
/// `[N, 1]`. The largest score is taken off first, so nothing overflows and no logarithm is of 0.
pub fn negative_log_likelihood<B: Backend>(
    scores: Tensor<B, 2>,
    target: Tensor<B, 2, Int>,
) -> (Tensor<B, 2>, Tensor<B, 2>, Tensor<B, 2>) {
    let largest = scores.clone().max_dim(1);
    let shifted = scores - largest;
    let of_target = shifted.clone().gather(1, target);
    let exponentials = shifted.exp();
    let sums = exponentials.clone().sum_dim(1);
    (sums.clone().log() - of_target, exponentials, sums)
}

fn column<B: Backend>(values: Vec<f32>, device: &B::Device) -> Tensor<B, 2> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n, 1]), device)
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::Transaction;

    use super::*;
    use crate::model::weights::numbers;

    #[test]
    fn huge_scores_neither_overflow_nor_vanish() {
        let device = Default::default();
        let scores = TensorData::new(vec![3e38f32, -3e38, 0.0, 0.0, 200.0, -200.0], [2, 3]);
        let scores: Tensor<Flex, 2> = Tensor::from_data(scores, &device);
        let target = token_tensor::<Flex>(&[0, 2], &device).reshape([2, 1]);
        let (nll, _, sums) = negative_log_likelihood(scores, target);
        let data = Transaction::default().register(nll).register(sums).execute();
        let [nll, sums] = data.try_into().map(|data: [TensorData; 2]| data.map(numbers)).unwrap();
        assert_eq!(nll, [0.0, 400.0]);
        assert!(sums.iter().all(|sum| sum.is_finite()));
    }
}
