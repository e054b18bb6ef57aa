//! The same network made of burn's own layers and trained by its own autodiff and Adam: the peer
//! that the hand-written layers must not be slower than.

use std::time::Instant;

use burn::backend::{Autodiff, Flex};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig, Lstm, LstmConfig};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::common::Numbers;

const HIDDEN: usize = 512;

#[derive(Module, Debug)]
struct ChordLstm<B: Backend> {
    embedding: Embedding<B>,
    layers: Vec<Lstm<B>>,
    dropout: Dropout,
}

impl<B: Backend> ChordLstm<B> {
    fn new(vocabulary: usize, device: &B::Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(vocabulary, HIDDEN).init(device),
            layers: (0..2).map(|_| LstmConfig::new(HIDDEN, HIDDEN, true).init(device)).collect(),
            dropout: DropoutConfig::new(0.65).init(),
        }
    }

    /// `[B, T]` tokens → `[B·T, V]` scores. The decoder is the embedding.
    fn forward(&self, tokens: Tensor<B, 2, Int>) -> Tensor<B, 2> {
        let mut x = self.dropout.forward(self.embedding.forward(tokens));
        for layer in &self.layers {
            x = self.dropout.forward(layer.forward(x, None).0);
        }
        let [n_rows, n_steps, _] = x.dims();
        x.reshape([n_rows * n_steps, HIDDEN]).matmul(self.embedding.weight.val().transpose())
    }
}

/// Seconds of one step on the CPU: the mean of `n_timed`, after one that isn't counted.
pub fn seconds_a_step(vocabulary: usize, batch: usize, sequence: usize, n_timed: usize) -> f64 {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let mut network = ChordLstm::<B>::new(vocabulary, &device);
    let mut optimizer =
        AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0))).init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut numbers = Numbers::new(2);
    let mut tokens = |n: usize| -> Vec<i64> {
        (0..n).map(|_| i64::from(numbers.next(vocabulary as u32))).collect()
    };
    let mut began = Instant::now();
    for step in 0..=n_timed {
        if step == 1 {
            began = Instant::now();
        }
        let data = TensorData::new(tokens(batch * sequence), [batch, sequence]);
        let targets = TensorData::new(tokens(batch * sequence), [batch * sequence]);
        let scores = network.forward(Tensor::from_data(data, &device));
        let loss = loss.forward(scores, Tensor::from_data(targets, &device));
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(0.002, network, gradients);
    }
    began.elapsed().as_secs_f64() / n_timed as f64
}
