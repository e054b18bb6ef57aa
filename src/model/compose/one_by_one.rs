//! Max and sample: one chord after the other.
//!
//! All takes are one batch, so that the weights are read from memory once a frame and not once a
//! frame and take. A take is the same bit for bit whether it is composed alone or among others:
//! that is what [`super::NextChord`] promises of its rows, and everything else here is a take's
//! own.

use std::borrow::Cow;
use std::time::Instant;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::guard::{History, Lifted};
use super::scores::{Sampler, log_softmax, most_likely};
use super::{ComposeError, ComposeEvent, REST, Session, Strategy, Take, secs_since, take_rng};
use crate::tokens::{PianoRoll, Token};

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

/// A take that is being composed.
struct Draft {
    roll: PianoRoll,
    n_prime_frames: usize,
    seed: u64,
    log_likelihood: f64,
    history: History,
    choice: Choice,
}

/// All takes. There is but one most likely take.
pub(super) fn compose(session: &mut Session) -> Result<Vec<Take>, ComposeError> {
    let began = Instant::now();
    let n_takes = match session.settings.strategy {
        Strategy::Sample { .. } => session.settings.takes,
        Strategy::Max | Strategy::Beam { .. } => 1,
    };
    let seeds = (0..n_takes).map(|take| session.settings.seed.wrapping_add(take as u64));
    let primes: Vec<Vec<Token>> =
        seeds.clone().map(|seed| session.prime.for_seed(seed, session.vocabulary)).collect();
    let mut drafts: Vec<Draft> =
        seeds.zip(&primes).map(|(seed, prime)| Draft::new(session, seed, prime)).collect();
    for (take, draft) in drafts.iter().enumerate() {
        session.emit_frames(take, 0, &draft.roll);
    }
    // All primes are the same, or one chord each: before its last chord they are the same.
    let Some(first) = primes.first() else { return Ok(Vec::new()) };
    if session.read_prime(first).is_some() {
        session.network.select(&vec![0; n_takes]);
        let unread = primes.iter().map(|prime| prime.last().copied().unwrap_or(REST)).collect();
        compose_frames(session, &mut drafts, unread)?;
    }
    Ok(finish(session, drafts, began))
}

impl Draft {
    /// Everything that grows with the frames has room for all of them.
    fn new(session: &Session<'_>, seed: u64, prime: &[Token]) -> Self {
        let n_frames = prime.len() + session.settings.frames;
        let mut roll = PianoRoll::with_capacity(n_frames);
        roll.extend(prime.iter().map(|&token| session.chord(token)));
        let mut history = History::with_capacity(n_frames);
        prime.iter().for_each(|&token| history.push(token));
        let choice = Choice::new(session.settings.strategy, seed);
        Self { n_prime_frames: roll.len(), roll, seed, log_likelihood: 0.0, history, choice }
    }
}

/// Composes until all frames are there or the work is cancelled. `tokens` is what the network
/// reads next, one a take. Asks for no memory after the first frames.
fn compose_frames(
    session: &mut Session,
    drafts: &mut [Draft],
    mut tokens: Vec<Token>,
) -> Result<(), ComposeError> {
    let mut log_probs = Vec::with_capacity(session.vocabulary.len());
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        let mut any_lifted = Lifted::Nothing;
        let rows = Session::step(session.network, &tokens)?;
        for ((scores, draft), token) in rows.zip(drafts.iter_mut()).zip(&mut tokens) {
            log_softmax(scores, frame, &mut log_probs)?;
            match session.rules.forbid(&draft.history, &mut log_probs) {
                Lifted::Nothing => {}
                lifted => any_lifted = lifted,
            }
            *token = draft.choice.choose(&log_probs);
            // A chord that was allowed has kept the model's own log-probability.
            draft.log_likelihood += log_probs[*token as usize];
            draft.history.push(*token);
        }
        for (take, (draft, &token)) in drafts.iter_mut().zip(&tokens).enumerate() {
            draft.roll.push(session.chord(token));
            let first = draft.roll.len() - 1;
            session.emit_frames(take, first, &draft.roll[first..]);
        }
        session.note_lifted(any_lifted);
    }
    Ok(())
}

/// The takes, all of which have as many frames; none if that is none.
fn finish(session: &mut Session, drafts: Vec<Draft>, began: Instant) -> Vec<Take> {
    let secs = secs_since(began);
    let composed = drafts.into_iter().filter(|draft| draft.roll.len() > draft.n_prime_frames);
    let takes = composed.enumerate().map(|(take, draft)| {
        let Draft { roll, n_prime_frames, seed, log_likelihood, .. } = draft;
        let result = Take { roll, n_prime_frames, seed, log_likelihood, secs };
        (session.on_event)(ComposeEvent::Take { take, result: Cow::Borrowed(&result) });
        result
    });
    takes.collect()
}
