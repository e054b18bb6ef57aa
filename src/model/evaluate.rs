//! Loss, perplexity and accuracy on files, every frame counted.

use serde::Serialize;

use super::Model;
use crate::cancel::CancelToken;
use crate::tokens::Corpus;

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Evaluation {
    /// Mean negative log-likelihood in nats per frame.
    pub loss: f64,
    pub perplexity: f64,
    /// 0–1.
    pub accuracy: f64,
    pub frames: usize,
    /// Frames whose chord the vocabulary doesn't have.
    pub unseen_frames: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("measuring was cancelled")]
    Cancelled,
}

/// Each piece is read from its first frame to its last with the state carried, the first frame
/// predicted from a rest; the mean is over all frames of all pieces.
pub fn evaluate(
    model: &Model,
    corpus: &Corpus,
    cancel: &CancelToken,
) -> Result<Evaluation, EvaluateError> {
    let _ = (model, corpus, cancel);
    todo!()
}
