//! How hard struck keys are struck, the pedal, and how long the frame lasts: what is said of a frame
//! after its keys.
//!
//! For a strike with scores `s` over the velocities and its own velocity `y`, for a frame with scores
//! over the lengths and its own, and for the pedal with log-odds `p` and truth `d`:
//!
//! ```text
//! loss = -log softmax(s)[y]               ∂loss/∂s = softmax(s) - onehot(y)
//! loss = log(1 + eᵖ) - d p                ∂loss/∂p = σ(p) - d
//! ```

use std::ops::Range;

use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::backend::Backend;
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::batch::{KeyBatch, rows_of_tensor};
use super::config::{Alphabet, CLASSES, KEYS, LENGTHS, Tower, VELOCITIES};
use super::features::{self, LASTING_WIDTH, PEDAL_WIDTH, STRIKE_WIDTH};
use super::heard::HeardOfKeys;
use super::loss::{laid_out_over_keys, surprise, through_relu};
use super::network::{FrameWeights, KeyNetwork, TouchWeights, VelocityWeights};
use crate::music::Velocity;

/// Velocities that are told apart lie so far from each other.
const STEP: u8 = 4;

/// Which of [`VELOCITIES`] a velocity is.
pub fn level(velocity: Velocity) -> usize {
    usize::from((velocity.number() - 1) / STEP)
}

/// The middle one of a level's velocities.
pub fn velocity(level: usize) -> Velocity {
    let middle = level.min(VELOCITIES - 1) as u8 * STEP + STEP / 2 + 1;
    Velocity::new(middle).expect("between 3 and 127")
}

/// Which of [`LENGTHS`] a length is.
fn length_index(length: u32) -> usize {
    (length.max(1) as usize).min(LENGTHS) - 1
}

/// What is asked of the frames of some time steps besides their keys.
pub struct AskedTouch<B: Backend> {
    /// None if no frame that counts has a strike whose velocity is known.
    strikes: Option<Strikes<B>>,
    /// `[N, PEDAL_WIDTH]`
    pedal: Tensor<B, 2>,
    /// `[N, 1]`: 1 where it is down.
    pedal_truth: Tensor<B, 2>,
    /// `[N, LASTING_WIDTH]`
    lasting: Tensor<B, 2>,
    /// `[N, LENGTHS]`: 1 for its own length, else 0.
    length_truth: Tensor<B, 2>,
    /// `[N, 1]`: 1 for a frame that counts.
    weights: Tensor<B, 2>,
}

/// M strikes of known velocity.
struct Strikes<B: Backend> {
    /// `[M]`: their rows among the `N · KEYS`, and those of their classes among `N · CLASSES`.
    keys: Tensor<B, 1, Int>,
    classes: Tensor<B, 1, Int>,
    /// `[M, key_width]`: what they hear of the frame before.
    before: Tensor<B, 2>,
    /// `[M, STRIKE_WIDTH]`
    frame: Tensor<B, 2>,
    /// `[M, VELOCITIES]`: 1 for its own, else 0.
    truth: Tensor<B, 2>,
}

/// Summed losses, `[1, 1]` each.
pub struct TouchLoss<B: Backend> {
    pub velocity: Tensor<B, 2>,
    pub pedal: Tensor<B, 2>,
    pub length: Tensor<B, 2>,
}

/// Gradients of touch over some time steps.
pub struct TouchGradients<B: Backend> {
    pub loss: TouchLoss<B>,
    /// Of each tower's top, `[N · places, H]`.
    pub tops: Vec<Tensor<B, 2>>,
    /// In the order of `KeyConfig::parameter_shapes`.
    pub weights: Vec<Tensor<B, 2>>,
}

/// What is asked of touch in the frames of some time steps.
pub fn ask_touch<B: Backend>(
    batch: &KeyBatch,
    steps: Range<usize>,
    device: &B::Device,
) -> AskedTouch<B> {
    let frames = steps.start * batch.n_rows..steps.end * batch.n_rows;
    let n = frames.len();
    let (mut keys, mut classes, mut strikes, mut truth) = (vec![], vec![], vec![], vec![]);
    let mut heard_before = Vec::new();
    let key_width = features::key_width(Alphabet::Full);
    let mut pedal = vec![0.0; n * PEDAL_WIDTH];
    let mut pedal_truth = vec![0.0; n];
    let mut lasting = vec![0.0; n * LASTING_WIDTH];
    let mut length_truth = vec![0.0; n * LENGTHS];
    for (idx, at) in frames.clone().enumerate() {
        let (before, frame, clock) = batch.frame(at);
        let row = &mut lasting[idx * LASTING_WIDTH..][..LASTING_WIDTH];
        features::write_lasting(before, frame, clock, row);
        length_truth[idx * LENGTHS + length_index(frame.length)] = 1.0;
        features::write_pedal(before, frame, &mut pedal[idx * PEDAL_WIDTH..][..PEDAL_WIDTH]);
        pedal_truth[idx] = f32::from(u8::from(frame.pedal));
        if batch.weights[at] == 0.0 {
            continue;
        }
        for (key, &velocity) in frame.struck.iter().zip(frame.velocities) {
            keys.push((idx * KEYS + key) as i32);
            classes.push((idx * CLASSES + key % CLASSES) as i32);
            let row = heard_before.len();
            heard_before.resize(row + key_width, 0.0);
            features::write_key(Alphabet::Full, key, before, clock, &mut heard_before[row..]);
            let row = strikes.len();
            strikes.resize(row + STRIKE_WIDTH, 0.0);
            features::write_strike(frame, key, &mut strikes[row..]);
            let row = truth.len();
            truth.resize(row + VELOCITIES, 0.0);
            truth[row + level(velocity)] = 1.0;
        }
    }
    let strikes = (!keys.is_empty()).then(|| Strikes {
        keys: places(keys, device),
        classes: places(classes, device),
        before: rows_of_tensor(heard_before, key_width, device),
        frame: rows_of_tensor(strikes, STRIKE_WIDTH, device),
        truth: rows_of_tensor(truth, VELOCITIES, device),
    });
    AskedTouch {
        strikes,
        pedal: rows_of_tensor(pedal, PEDAL_WIDTH, device),
        pedal_truth: rows_of_tensor(pedal_truth, 1, device),
        lasting: rows_of_tensor(lasting, LASTING_WIDTH, device),
        length_truth: rows_of_tensor(length_truth, LENGTHS, device),
        weights: rows_of_tensor(batch.weights[frames].to_vec(), 1, device),
    }
}

fn places<B: Backend>(places: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let n = places.len();
    Tensor::from_data(TensorData::new(places, [n]), device)
}

impl<B: Backend> Strikes<B> {
    fn places_in(&self, tower: &Tower) -> Tensor<B, 1, Int> {
        if tower.places == CLASSES { self.classes.clone() } else { self.keys.clone() }
    }
}

/// What touch costs, without going back.
pub fn touch_loss<B: Backend>(
    network: &KeyNetwork<B>,
    weights: &TouchWeights<B>,
    asked: &AskedTouch<B>,
    tops: &[Tensor<B, 2>],
) -> TouchLoss<B> {
    let velocity = match &asked.strikes {
        None => Tensor::zeros([1, 1], &network.device()),
        Some(strikes) => {
            let heard = heard_by_strikes(network, strikes, tops);
            let hidden = weights.velocity.hidden(&heard, strikes.frame.clone());
            surprise_of_strikes(weights.velocity.scores(hidden), strikes)
        }
    };
    let mean = mean_over_classes(&tops[0]);
    let pedal = weights.pedal.hidden(mean.clone(), asked.pedal.clone());
    let length = weights.length.hidden(mean, asked.lasting.clone());
    TouchLoss {
        velocity,
        pedal: surprise_of_pedal(weights.pedal.answers(pedal), asked),
        length: surprise_of_lengths(weights.length.answers(length), asked),
    }
}

/// The loss and its gradients, divided by `n_frames`.
pub fn touch_gradients<B: Backend>(
    network: &KeyNetwork<B>,
    weights: &TouchWeights<B>,
    asked: &AskedTouch<B>,
    tops: &[Tensor<B, 2>],
    n_frames: usize,
) -> TouchGradients<B> {
    let device = network.device();
    let mut d_tops: Vec<Tensor<B, 2>> =
        tops.iter().map(|top| Tensor::zeros(top.dims(), &device)).collect();
    let scale = (n_frames.max(1) as f32).recip();
    let velocity_weights = &weights.velocity;
    let (velocity, mut d_weights) = match &asked.strikes {
        None => {
            let zeros = |weights: Vec<&Tensor<B, 2>>| {
                weights.into_iter().map(|it| Tensor::zeros(it.dims(), &device)).collect()
            };
            (Tensor::zeros([1, 1], &device), zeros(velocity_weights.all()))
        }
        Some(strikes) => {
            let heard = heard_by_strikes(network, strikes, tops);
            let hidden = velocity_weights.hidden(&heard, strikes.frame.clone());
            let scores = velocity_weights.scores(hidden.clone());
            let loss = surprise_of_strikes(scores.clone(), strikes);
            let d_scores = (log_softmax(scores, 1).exp() - strikes.truth.clone()) * scale;
            let d_out = hidden.clone().transpose().matmul(d_scores.clone());
            let d_out_bias = d_scores.clone().sum_dim(0);
            let d_hidden = d_scores.matmul(velocity_weights.out.clone().transpose());
            let d_z = through_relu(d_hidden, &hidden, None);
            let mut d_weights = Vec::new();
            for (idx, tower) in network.config.towers().iter().enumerate() {
                let d_top = d_z.clone().matmul(velocity_weights.towers[idx].clone().transpose());
                let sum = d_tops[idx].clone();
                let places = strikes.places_in(tower);
                d_tops[idx] = sum.select_assign(0, places, d_top, IndexingUpdateOp::Add);
                d_weights.push(heard[idx].clone().transpose().matmul(d_z.clone()));
            }
            let of_before = heard[heard.len() - 1].clone();
            d_weights.push(of_before.transpose().matmul(d_z.clone()));
            d_weights.push(strikes.frame.clone().transpose().matmul(d_z.clone()));
            d_weights.extend([d_z.sum_dim(0), d_out, d_out_bias]);
            (loss, d_weights)
        }
    };

    let mean = mean_over_classes(&tops[0]);
    let hidden = weights.pedal.hidden(mean.clone(), asked.pedal.clone());
    let log_odds = weights.pedal.answers(hidden.clone());
    let pedal = surprise_of_pedal(log_odds.clone(), asked);
    let d_odds = (sigmoid(log_odds) - asked.pedal_truth.clone()) * asked.weights.clone() * scale;
    let (d_pedal, d_mean) = weights.pedal.gradients(&mean, &asked.pedal, &hidden, d_odds);
    d_weights.extend(d_pedal);

    let hidden = weights.length.hidden(mean.clone(), asked.lasting.clone());
    let scores = weights.length.answers(hidden.clone());
    let length = surprise_of_lengths(scores.clone(), asked);
    let d_scores = log_softmax(scores, 1).exp() - asked.length_truth.clone();
    let d_scores = d_scores * asked.weights.clone() * scale;
    let (d_length, d_mean_of_length) =
        weights.length.gradients(&mean, &asked.lasting, &hidden, d_scores);
    d_weights.extend(d_length);
    d_tops[0] = d_tops[0].clone() + spread_over_classes(d_mean + d_mean_of_length);
    TouchGradients { loss: TouchLoss { velocity, pedal, length }, tops: d_tops, weights: d_weights }
}

/// What strikes hear of the towers, each `[M, H]`, and last of the frame before, `[M, key_width]`.
fn heard_by_strikes<B: Backend>(
    network: &KeyNetwork<B>,
    strikes: &Strikes<B>,
    tops: &[Tensor<B, 2>],
) -> Vec<Tensor<B, 2>> {
    let towers = network.config.towers();
    let of_tower =
        |(top, tower): (&Tensor<B, 2>, &Tower)| top.clone().select(0, strikes.places_in(tower));
    let mut heard: Vec<_> = tops.iter().zip(&towers).map(of_tower).collect();
    heard.push(strikes.before.clone());
    heard
}

fn surprise_of_strikes<B: Backend>(scores: Tensor<B, 2>, strikes: &Strikes<B>) -> Tensor<B, 2> {
    (log_softmax(scores, 1) * strikes.truth.clone()).neg().sum_dim(1).sum_dim(0)
}

fn surprise_of_pedal<B: Backend>(log_odds: Tensor<B, 2>, asked: &AskedTouch<B>) -> Tensor<B, 2> {
    (surprise(log_odds, asked.pedal_truth.clone()) * asked.weights.clone()).sum_dim(0)
}

fn surprise_of_lengths<B: Backend>(scores: Tensor<B, 2>, asked: &AskedTouch<B>) -> Tensor<B, 2> {
    let surprise = (log_softmax(scores, 1) * asked.length_truth.clone()).neg().sum_dim(1);
    (surprise * asked.weights.clone()).sum_dim(0)
}

/// `[N · CLASSES, H]` → `[N, H]`
fn mean_over_classes<B: Backend>(top: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, width] = top.dims();
    let n = rows / CLASSES;
    top.clone().reshape([n, CLASSES, width]).mean_dim(1).reshape([n, width])
}

/// The gradient of [`mean_over_classes`].
fn spread_over_classes<B: Backend>(mean: Tensor<B, 2>) -> Tensor<B, 2> {
    let [n, width] = mean.dims();
    let share = mean.div_scalar(CLASSES as f32).reshape([n, 1, width]);
    Tensor::cat(vec![share; CLASSES], 1).reshape([n * CLASSES, width])
}

impl<B: Backend> VelocityWeights<B> {
    /// In the order of `KeyConfig::parameter_shapes`.
    fn all(&self) -> Vec<&Tensor<B, 2>> {
        let others = [&self.before, &self.frame, &self.bias, &self.out, &self.out_bias];
        self.towers.iter().chain(others).collect()
    }

    /// `heard` is that of the towers and of the frame before.
    pub fn hidden(&self, heard: &[Tensor<B, 2>], frame: Tensor<B, 2>) -> Tensor<B, 2> {
        let mut z = frame.matmul(self.frame.clone()) + self.bias.clone();
        for (heard, weights) in heard.iter().zip(self.towers.iter().chain([&self.before])) {
            z = z + heard.clone().matmul(weights.clone());
        }
        relu(z)
    }

    /// What is added up for every key before anything of its own frame is known: `[N · KEYS, U]`.
    pub fn told(
        &self,
        network: &KeyNetwork<B>,
        heard: &HeardOfKeys<'_, B>,
        tops: &[Tensor<B, 2>],
    ) -> Tensor<B, 2> {
        let mut z = heard.told_to_strikes(self) + self.bias.clone();
        for ((tower, top), weights) in network.config.towers().iter().zip(tops).zip(&self.towers) {
            let heard = top.clone().matmul(weights.clone());
            z = z + if tower.places == CLASSES { laid_out_over_keys(heard) } else { heard };
        }
        z
    }

    pub fn scores(&self, hidden: Tensor<B, 2>) -> Tensor<B, 2> {
        hidden.matmul(self.out.clone()) + self.out_bias.clone()
    }
}

impl<B: Backend> FrameWeights<B> {
    pub fn hidden(&self, mean: Tensor<B, 2>, frame: Tensor<B, 2>) -> Tensor<B, 2> {
        let z = mean.matmul(self.classes.clone()) + frame.matmul(self.frame.clone());
        relu(z + self.bias.clone())
    }

    /// What is added up before anything of the frame is known: `[N, U]`.
    pub fn told(&self, tops: &[Tensor<B, 2>]) -> Tensor<B, 2> {
        mean_over_classes(&tops[0]).matmul(self.classes.clone()) + self.bias.clone()
    }

    /// Log-odds or scores: `[N, A]`.
    pub fn answers(&self, hidden: Tensor<B, 2>) -> Tensor<B, 2> {
        hidden.matmul(self.out.clone()) + self.out_bias.clone()
    }

    /// From the gradient of the answers to those of the weights, in the order of
    /// `KeyConfig::parameter_shapes`, and of the mean over the classes.
    fn gradients(
        &self,
        mean: &Tensor<B, 2>,
        frame: &Tensor<B, 2>,
        hidden: &Tensor<B, 2>,
        d_answers: Tensor<B, 2>,
    ) -> ([Tensor<B, 2>; 5], Tensor<B, 2>) {
        let d_out = hidden.clone().transpose().matmul(d_answers.clone());
        let d_out_bias = d_answers.clone().sum_dim(0);
        let d_z = through_relu(d_answers.matmul(self.out.clone().transpose()), hidden, None);
        let d_mean = d_z.clone().matmul(self.classes.clone().transpose());
        let d_classes = mean.clone().transpose().matmul(d_z.clone());
        let d_frame = frame.clone().transpose().matmul(d_z.clone());
        ([d_classes, d_frame, d_z.sum_dim(0), d_out, d_out_bias], d_mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_velocity_comes_back_within_four() {
        for number in 1..=127 {
            let played = Velocity::new(number).unwrap();
            let back = velocity(level(played)).number();
            assert!(back.abs_diff(number) <= 4, "{number} as {back}");
        }
        assert_eq!(level(Velocity::new(127).unwrap()), VELOCITIES - 1);
    }
}
