//! The first family: a vocabulary of chords, each with a vector of its own; one chord is chosen
//! among all at every frame.
//!
//! ```text
//! network     embedding, recurrent layers, decoder
//! loss        forward and backward through all of it
//! decode      the output layer by burn's operations
//! metrics     measuring on stretches of music
//! predictor   reading step by step, for composing
//! ```
//!
//! How an adaptive softmax divides the outputs is told in `adaptive`, beside this folder.

pub mod decode;
pub mod loss;
mod metrics;
pub mod network;
mod predictor;

pub use loss::{ChordBatch, gradients};
pub use metrics::{ChordYardstick, measure};
pub use network::{ChordConfig, ChordNetwork, EMBEDDING, Start};
pub use predictor::Predictor;
