//! Max and sample: each take is a row that gets one chord at a time.

use std::time::Instant;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::guard::History;
use super::scores::{Sampler, log_softmax, most_likely};
use super::{
    ComposeError, ComposeEvent, Session, Strategy, Take, history_of, secs_since, take_rng,
};
use crate::tokens::{PianoRoll, Token};

/// Rows of one batch: enough to use the processor well, few enough that the first notes of the
/// first take don't wait for those of the sixty-fourth.
const N_ROWS: usize = 8;

/// Random numbers for frames; those for primes have a stream of their own.
const FRAME_STREAM: u64 = 0;

/// A take in the making.
struct Row {
    take: usize,
    seed: u64,
    rng: ChaCha8Rng,
    history: History,
    roll: PianoRoll,
    n_prime_frames: usize,
    log_likelihood: f64,
}

/// How a row's next chord is chosen from its log-probabilities.
enum Choice {
    MostLikely,
    Drawn(Sampler),
}

impl Choice {
    fn choose(&mut self, log_probs: &[f64], rng: &mut ChaCha8Rng) -> Token {
        match self {
            Self::MostLikely => most_likely(log_probs),
            Self::Drawn(sampler) => sampler.draw(log_probs, uniform(rng)),
        }
    }
}

/// A number in [0, 1) from the upper 53 bits of one random word: all that an f64 can hold.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (0.5f64).powi(53)
}

/// All takes, a batch after the other. There is but one most likely take.
pub(super) fn compose(session: &mut Session) -> Result<Vec<Take>, ComposeError> {
    let (n_takes, mut choice) = match session.settings.strategy {
        Strategy::Sample { temperature, top_k, top_p } => {
            (session.settings.takes, Choice::Drawn(Sampler::new(temperature, top_k, top_p)))
        }
        Strategy::Max | Strategy::Beam { .. } => (1, Choice::MostLikely),
    };
    let mut takes = Vec::with_capacity(n_takes);
    for first in (0..n_takes).step_by(N_ROWS) {
        if session.cancel.is_cancelled() {
            break;
        }
        let batch = first..n_takes.min(first + N_ROWS);
        takes.extend(compose_batch(session, batch, &mut choice)?);
    }
    Ok(takes)
}

fn compose_batch(
    session: &mut Session,
    batch: std::ops::Range<usize>,
    choice: &mut Choice,
) -> Result<Vec<Take>, ComposeError> {
    let began = Instant::now();
    let seeds = batch.clone().map(|take| session.settings.seed.wrapping_add(take as u64));
    let primes: Vec<Vec<Token>> =
        seeds.map(|seed| session.prime.for_seed(seed, session.vocabulary)).collect();
    let mut rows: Vec<Row> =
        batch.zip(&primes).map(|(take, prime)| Row::new(session, take, prime)).collect();
    for row in &rows {
        session.emit_frames(row.take, 0, row.roll.clone());
    }
    if let Some(unread) = session.read_primes(&primes) {
        compose_frames(session, &mut rows, unread, choice)?;
    }
    let takes = rows.into_iter().filter(|row| row.roll.len() > row.n_prime_frames);
    Ok(takes.map(|row| row.finish(session, began)).collect())
}

/// Composes until all frames are there or the work is cancelled. `tokens` is what each row reads
/// next.
fn compose_frames(
    session: &mut Session,
    rows: &mut [Row],
    mut tokens: Vec<Token>,
    choice: &mut Choice,
) -> Result<(), ComposeError> {
    let mut log_probs = Vec::with_capacity(session.vocabulary.len());
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        let mut lifted = Vec::new();
        let scores = Session::step(session.network, &tokens)?;
        for ((row, token), scores) in rows.iter_mut().zip(&mut tokens).zip(scores) {
            log_softmax(scores, frame, &mut log_probs)?;
            // A chord that stays allowed keeps the model's own log-probability.
            lifted.push(session.rules.forbid(&row.history, &mut log_probs));
            *token = choice.choose(&log_probs, &mut row.rng);
            row.log_likelihood += log_probs[*token as usize];
            row.history.push(*token);
        }
        for (row, &token) in rows.iter_mut().zip(&tokens) {
            let chord = session.chord(token);
            session.emit_frames(row.take, row.roll.len(), vec![chord]);
            row.roll.push(chord);
        }
        lifted.into_iter().for_each(|lifted| session.note_lifted(lifted));
    }
    Ok(())
}

impl Row {
    fn new(session: &Session, take: usize, prime: &[Token]) -> Self {
        let seed = session.settings.seed.wrapping_add(take as u64);
        Self {
            take,
            seed,
            rng: take_rng(seed, FRAME_STREAM),
            history: history_of(prime),
            roll: session.chords(prime),
            n_prime_frames: prime.len(),
            log_likelihood: 0.0,
        }
    }

    fn finish(self, session: &mut Session, began: Instant) -> Take {
        let result = Take {
            roll: self.roll,
            n_prime_frames: self.n_prime_frames,
            seed: self.seed,
            log_likelihood: self.log_likelihood,
            secs: secs_since(began),
        };
        (session.on_event)(ComposeEvent::Take { take: self.take, result: result.clone() });
        result
    }
}
