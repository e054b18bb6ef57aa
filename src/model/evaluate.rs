//! Loss, perplexity and accuracy on files, every frame counted.

use std::path::PathBuf;

use serde::Serialize;

use super::Model;
use super::checkpoint::ChordCard;
use super::chords::ChordYardstick;
use super::kernels::Kernels;
use super::measured::{Yardstick, measure};
use crate::cancel::CancelToken;
use crate::tokens::{Encoding, Music, Stretch};

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Evaluation {
    /// Mean negative log-likelihood in nats per frame: of the chord, or of a model that spells which
    /// keys sound and, with touch, which of them are struck.
    pub loss: f64,
    /// How much of it says how long nothing changes; none for a model without touch.
    pub length_loss: Option<f64>,
    /// What the velocities of struck keys and the pedal cost besides, in nats per frame; none for a
    /// model without touch.
    pub velocity_loss: Option<f64>,
    pub pedal_loss: Option<f64>,
    /// The loss if besides the network the piece itself is asked, which often goes on as it went
    /// before (`model/keys/recall.rs`); none but for a model that spells which keys sound and no
    /// more. What composes is the network alone.
    pub recall_loss: Option<f64>,
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
    #[error(
        "the model knows strikes, velocities and the pedal, and “{}” says only which keys sound — \
         choose MIDI files, or a model of the off-on alphabet",
        .0.display()
    )]
    NoTouch(PathBuf),
}

/// Each piece is read from its first frame to its last with the state carried, the first frame
/// predicted from a rest; the mean is over all frames of all pieces. The music is read as
/// [`ModelCard::music_plan`](super::ModelCard::music_plan) says.
///
/// # Errors
/// When there is nothing to measure, when it is cancelled, and for music whose strikes nobody knows
/// and a model that asks for them.
pub fn evaluate(
    model: &Model,
    music: &Music,
    cancel: &CancelToken,
) -> Result<Evaluation, EvaluateError> {
    let has_touch = model.card().has_touch();
    if let Some(piece) = music.without_touch().filter(|_| has_touch) {
        return Err(EvaluateError::NoTouch(piece.to_owned()));
    }
    let pieces = music.pieces().into_iter().enumerate();
    let stretches: Vec<Stretch> =
        pieces.map(|(idx, piece)| Stretch { parts: vec![(idx, 0..piece.n_frames)] }).collect();
    let (corpus, encoding);
    let yardstick = match model.card().chords() {
        Some(ChordCard { vocabulary, backoff, .. }) => {
            corpus = music.chords();
            encoding = Encoding::with_vocabulary(&corpus, vocabulary.clone());
            Yardstick::Chords(ChordYardstick { corpus: &corpus, encoding: &encoding, backoff })
        }
        None => Yardstick::Keys(music),
    };
    let kernels = &mut Kernels::new();
    let measured = measure(&model.network, yardstick, &stretches, kernels, cancel)
        .ok_or(EvaluateError::Cancelled)?;
    if measured.n_frames == 0 {
        return Err(EvaluateError::NoFrames);
    }
    Ok(Evaluation {
        loss: measured.loss(),
        length_loss: has_touch.then(|| measured.length_loss()),
        velocity_loss: has_touch.then(|| measured.velocity_loss()),
        pedal_loss: has_touch.then(|| measured.pedal_loss()),
        recall_loss: measured.recall_loss(),
        perplexity: measured.perplexity(),
        accuracy: measured.accuracy(),
        frames: measured.n_frames,
        unseen_frames: measured.n_unseen,
    })
}
