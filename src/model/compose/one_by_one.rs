//! Max and sample: one chord after the other.
//!
//! All takes are one batch, so that the weights are read from memory once a frame and not once a
//! frame and take. A take is the same bit for bit whether it is composed alone or among others:
//! that is what [`NextFrame`] promises of its hypotheses, and everything else here is a take's own.

use std::borrow::Cow;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;

use super::guard::{History, Lifted, Named};
use super::next_frame::{NextFrame, Place};
use super::{ComposeError, ComposeEvent, Session, Strategy, Take, Written, secs_since, take_rng};

/// Random numbers for frames; those for primes have a stream of their own.
const FRAME_STREAM: u64 = 0;

/// A take that is being composed.
struct Draft<F: Named> {
    written: Written,
    n_prime_frames: usize,
    seed: u64,
    log_likelihood: f64,
    history: History<F::Name>,
    /// What frames are drawn with; none where the likeliest is taken.
    rng: Option<Box<ChaCha8Rng>>,
}

/// All takes. There is but one most likely take.
pub(super) fn compose<M: NextFrame>(
    session: &mut Session<'_, M>,
) -> Result<Vec<Take>, ComposeError> {
    let began = Instant::now();
    let n_takes = match session.settings.strategy {
        Strategy::Sample { .. } => session.settings.takes,
        Strategy::Max | Strategy::Beam { .. } => 1,
    };
    let seeds = (0..n_takes).map(|take| session.settings.seed.wrapping_add(take as u64));
    let seeds: Vec<u64> = seeds.collect();
    let primes = seeds.iter().map(|&seed| session.prime_for(seed));
    let primes = primes.collect::<Result<Vec<_>, _>>()?;
    let drafts = seeds.iter().zip(&primes).map(|(&seed, prime)| Draft::new(session, seed, prime));
    let mut drafts: Vec<Draft<M::Frame>> = drafts.collect();
    for (take, draft) in drafts.iter().enumerate() {
        session.emit_frames(take, 0, &draft.written, 0);
    }
    // All primes are the same, or one chord each: before its last chord they are the same.
    let Some(first) = primes.first() else { return Ok(Vec::new()) };
    if session.read_prime(first).is_some() {
        session.model.select(&vec![0; n_takes]);
        let last = |prime: &Vec<M::Frame>| prime.last().cloned().unwrap_or_default();
        let unread = primes.iter().map(last).collect();
        compose_frames(session, &mut drafts, unread)?;
    }
    Ok(finish(session, drafts, began))
}

impl<F: Named> Draft<F> {
    /// Everything that grows with the frames has room for all of them.
    fn new<M: NextFrame<Frame = F>>(session: &Session<'_, M>, seed: u64, prime: &[F]) -> Self {
        let n_frames = prime.len() + session.settings.frames;
        let mut written = Written::with_capacity(n_frames);
        prime.iter().for_each(|frame| written.push(&session.model, frame));
        let mut history = History::with_capacity(n_frames);
        prime.iter().for_each(|frame| history.push(frame.name()));
        let rng = match session.settings.strategy {
            Strategy::Sample { .. } => Some(Box::new(take_rng(seed, FRAME_STREAM))),
            Strategy::Max | Strategy::Beam { .. } => None,
        };
        Self { n_prime_frames: prime.len(), written, seed, log_likelihood: 0.0, history, rng }
    }
}

/// Composes until all frames are there or the work is cancelled. `frames` is what the model reads
/// next, one a take.
fn compose_frames<M: NextFrame>(
    session: &mut Session<'_, M>,
    drafts: &mut [Draft<M::Frame>],
    mut frames: Vec<M::Frame>,
) -> Result<(), ComposeError> {
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        let mut any_lifted = Lifted::Nothing;
        session.model.step(&frames)?;
        for (hypothesis, (draft, next)) in drafts.iter_mut().zip(&mut frames).enumerate() {
            let at = Place { hypothesis, history: &draft.history, frame };
            let (answer, lifted) = session.model.choose(at, draft.rng.as_deref_mut())?;
            if lifted != Lifted::Nothing {
                any_lifted = lifted;
            }
            draft.log_likelihood += answer.log_probability;
            draft.history.push(answer.frame.name());
            *next = answer.frame;
        }
        for (take, (draft, frame)) in drafts.iter_mut().zip(&frames).enumerate() {
            let first = draft.written.roll.len();
            draft.written.push(&session.model, frame);
            session.emit_frames(take, first, &draft.written, first);
        }
        session.note_lifted(any_lifted);
    }
    Ok(())
}

/// The takes, all of which have as many frames; none if that is none.
fn finish<M: NextFrame>(
    session: &mut Session<'_, M>,
    drafts: Vec<Draft<M::Frame>>,
    began: Instant,
) -> Vec<Take> {
    let secs = secs_since(began);
    let composed =
        drafts.into_iter().filter(|draft| draft.written.roll.len() > draft.n_prime_frames);
    let takes = composed.enumerate().map(|(take, draft)| {
        let Draft { written, n_prime_frames, seed, log_likelihood, .. } = draft;
        let Written { roll, touch } = written;
        let result = Take { roll, touch, n_prime_frames, seed, log_likelihood, secs };
        (session.on_event)(ComposeEvent::Take { take, result: Cow::Borrowed(&result) });
        result
    });
    takes.collect()
}
