//! Max and sample: one chord after the other.
//!
//! Takes are composed one after the other too, although the network could read them as one batch:
//! the first is whole, and can be heard, as soon as possible; and a take is the same bit for bit
//! whether it was composed alone or among others, which a batch can't promise (a matrix product
//! sums in another order for one row than for several, and a last bit may decide a draw). On a
//! processor little is lost: one row is bound by reading the weights from memory (2 × 512 over
//! 4,000 chords: 1.7 ms a frame for one row, 4.3 ms for four).

use std::time::Instant;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::guard::History;
use super::scores::{Sampler, log_softmax, most_likely};
use super::{ComposeError, ComposeEvent, Session, Strategy, Take, secs_since, take_rng};
use crate::tokens::Token;

/// Random numbers for frames; those for primes have a stream of their own.
const FRAME_STREAM: u64 = 0;

/// How the next chord is chosen from its log-probabilities.
enum Choice {
    MostLikely,
    Drawn(Sampler, Box<ChaCha8Rng>),
}

impl Choice {
    fn new(strategy: Strategy, seed: u64) -> Self {
        match strategy {
            Strategy::Sample { temperature, top_k, top_p } => {
                let sampler = Sampler::new(temperature, top_k, top_p);
                Self::Drawn(sampler, Box::new(take_rng(seed, FRAME_STREAM)))
            }
            Strategy::Max | Strategy::Beam { .. } => Self::MostLikely,
        }
    }

    fn choose(&mut self, log_probs: &[f64]) -> Token {
        match self {
            Self::MostLikely => most_likely(log_probs),
            Self::Drawn(sampler, rng) => sampler.draw(log_probs, uniform(rng)),
        }
    }
}

/// A number in [0, 1) from the upper 53 bits of one random word: all that an f64 can hold.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * 0.5f64.powi(53)
}

/// All takes in order. There is but one most likely take.
pub(super) fn compose(session: &mut Session) -> Result<Vec<Take>, ComposeError> {
    let n_takes = match session.settings.strategy {
        Strategy::Sample { .. } => session.settings.takes,
        Strategy::Max | Strategy::Beam { .. } => 1,
    };
    let mut takes = Vec::with_capacity(n_takes);
    for take in 0..n_takes {
        if session.cancel.is_cancelled() {
            break;
        }
        takes.extend(compose_take(session, take)?);
    }
    Ok(takes)
}

/// One take; `None` if it was cancelled before its first frame.
fn compose_take(session: &mut Session, take: usize) -> Result<Option<Take>, ComposeError> {
    let began = Instant::now();
    let seed = session.settings.seed.wrapping_add(take as u64);
    let prime = session.prime.for_seed(seed, session.vocabulary);
    let roll = session.chords(&prime);
    session.emit_frames(take, 0, roll.clone());
    let mut result =
        Take { n_prime_frames: roll.len(), roll, seed, log_likelihood: 0.0, secs: 0.0 };
    if let Some(unread) = session.read_prime(&prime) {
        compose_frames(session, take, &mut result, History::of(&prime), unread)?;
    }
    if result.roll.len() == result.n_prime_frames {
        return Ok(None);
    }
    result.secs = secs_since(began);
    (session.on_event)(ComposeEvent::Take { take, result: result.clone() });
    Ok(Some(result))
}

/// Composes until all frames are there or the work is cancelled. `token` is what the network
/// reads next.
fn compose_frames(
    session: &mut Session,
    take: usize,
    result: &mut Take,
    mut history: History,
    mut token: Token,
) -> Result<(), ComposeError> {
    let mut choice = Choice::new(session.settings.strategy, result.seed);
    let mut log_probs = Vec::with_capacity(session.vocabulary.len());
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        for scores in Session::step(session.network, &[token])? {
            log_softmax(scores, frame, &mut log_probs)?;
        }
        let lifted = session.rules.forbid(&history, &mut log_probs);
        token = choice.choose(&log_probs);
        // A chord that was allowed has kept the model's own log-probability.
        result.log_likelihood += log_probs[token as usize];
        history.push(token);
        let chord = session.chord(token);
        session.emit_frames(take, result.roll.len(), vec![chord]);
        result.roll.push(chord);
        session.note_lifted(lifted);
    }
    Ok(())
}
