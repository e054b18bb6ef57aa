//! Loss, perplexity and accuracy on files, every frame counted.

use serde::Serialize;

use super::Model;
use super::checkpoint::ChordCard;
use super::chords::ChordYardstick;
use super::kernels::Kernels;
use super::measured::{Yardstick, measure};
use crate::cancel::CancelToken;
use crate::tokens::{Corpus, Encoding, Stretch};

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Evaluation {
    /// Mean negative log-likelihood in nats per frame.
    pub loss: f64,
    pub perplexity: f64,
    /// 0–1.
    pub accuracy: f64,
    pub frames: usize,
    /// Frames whose chord the vocabulary doesn't have; none where there is no vocabulary.
    pub unseen_frames: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("measuring was cancelled")]
    Cancelled,
    #[error("there is no frame to measure — choose files with notes")]
    NoFrames,
}

/// Each piece is read from its first frame to its last with the state carried, the first frame
/// predicted from a rest; the mean is over all frames of all pieces.
pub fn evaluate(
    model: &Model,
    corpus: &Corpus,
    cancel: &CancelToken,
) -> Result<Evaluation, EvaluateError> {
    let whole = |(idx, piece): (usize, &crate::tokens::Piece)| Stretch {
        parts: vec![(idx, 0..piece.chords.len())],
    };
    let stretches: Vec<Stretch> = corpus.pieces.iter().enumerate().map(whole).collect();
    let encoding;
    let yardstick = match model.card().chords() {
        Some(ChordCard { vocabulary, backoff, .. }) => {
            encoding = Encoding::with_vocabulary(corpus, vocabulary.clone());
            Yardstick::Chords(ChordYardstick { corpus, encoding: &encoding, backoff })
        }
        None => Yardstick::Keys(corpus),
    };
    let kernels = &mut Kernels::new();
    let measured = measure(&model.network, yardstick, &stretches, kernels, cancel)
        .ok_or(EvaluateError::Cancelled)?;
    if measured.n_frames == 0 {
        return Err(EvaluateError::NoFrames);
    }
    Ok(Evaluation {
        loss: measured.loss(),
        perplexity: measured.perplexity(),
        accuracy: measured.accuracy(),
        frames: measured.n_frames,
        unseen_frames: measured.n_unseen,
    })
}
