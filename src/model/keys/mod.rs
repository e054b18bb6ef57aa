//! The second family: each frame spelled key by key, with no vocabulary.
//!
//! ```text
//! config     what decides every shape
//! batch      some sequences, and what is told and asked of them
//! features   a frame by intervals: what keys and pitch classes hear
//! slides     the same as tables that slide along the keyboard, for the CPU
//! heard      either of them, and what becomes of it
//! network    the weights: towers that listen, a speller that writes
//! loss       forward and backward through all of it
//! spelling   the speller's part of that by the kernels of the CPU
//! touch      velocities, pedal and how long a frame lasts
//! measure    held-out music, every frame counted
//! recall     what a piece said before, for measuring
//! speller    one frame after the other, for composing
//! asking     what it asks of one key
//! ```

mod asking;
mod batch;
mod config;
mod features;
mod heard;
mod loss;
mod measure;
mod network;
mod recall;
mod slides;
mod speller;
mod spelling;
mod touch;

pub use batch::KeyBatch;
pub use config::{Alphabet, KEYS, KeyConfig, LOWEST, PIANO};
pub use loss::{frames_at_once, gradients};
pub use measure::{KeyPiece, measure};
pub use network::KeyNetwork;
pub use speller::{Decision, Question, Spelled, Speller, log_probability};

#[cfg(test)]
mod tests;
