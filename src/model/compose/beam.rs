//! Beam search: the likeliest whole phrases.
//!
//! All hypotheses are one batch. After each frame every hypothesis is extended by every chord the
//! guard allows, and the `width` best by summed log-probability live on; nothing else is added to
//! the sum. Equals are ordered by their parent's rank, then by the vocabulary, so that a search
//! has one answer.

use std::time::Instant;

use super::guard::{History, Lifted};
use super::scores::{Candidate, likeliest, log_softmax};
use super::{ComposeError, ComposeEvent, Session, Take, secs_since};
use crate::tokens::{PianoRoll, Token};

/// A phrase that may still win.
#[derive(Clone)]
struct Hypothesis {
    tokens: Vec<Token>,
    history: History,
    log_likelihood: f64,
}

/// A hypothesis and a chord that may follow it.
#[derive(Clone, Copy)]
struct Extension {
    parent: usize,
    token: Token,
    log_likelihood: f64,
}

/// The `takes` best hypotheses of one search, the best first. A vocabulary too small for so many
/// different phrases gives fewer.
pub(super) fn compose(
    session: &mut Session,
    width: usize,
    length_penalty: f64,
) -> Result<Vec<Take>, ComposeError> {
    let began = Instant::now();
    let prime = session.prime.for_seed(session.settings.seed, session.vocabulary);
    let prime_roll = session.chords(&prime);
    session.emit_frames(0, 0, prime_roll.clone());
    let Some(unread) = session.read_prime(&prime) else { return Ok(Vec::new()) };
    let mut tokens = vec![unread];
    let mut beams =
        vec![Hypothesis { tokens: Vec::new(), history: History::of(&prime), log_likelihood: 0.0 }];
    let mut n_agreed = 0;
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        let extensions = extend(session, &beams, &tokens, frame, width)?;
        let parents: Vec<usize> = extensions.iter().map(|extension| extension.parent).collect();
        session.network.select(&parents);
        tokens = extensions.iter().map(|extension| extension.token).collect();
        beams = grow(beams, &extensions);
        n_agreed = emit_agreed(session, &beams, n_agreed, prime.len());
    }
    beams.sort_by(|a, b| b.score(length_penalty).total_cmp(&a.score(length_penalty)));
    beams.truncate(session.settings.takes);
    Ok(finish(session, beams, n_agreed, &prime_roll, began))
}

/// One step of all hypotheses: their `width` best extensions, the best first.
fn extend(
    session: &mut Session,
    beams: &[Hypothesis],
    tokens: &[Token],
    frame: usize,
    width: usize,
) -> Result<Vec<Extension>, ComposeError> {
    let mut extensions = Vec::with_capacity(beams.len() * width);
    let (mut log_probs, mut candidates) = (Vec::new(), Vec::new());
    let mut lifted = Lifted::Nothing;
    for (parent, scores) in Session::step(session.network, tokens)?.enumerate() {
        let beam = &beams[parent];
        log_softmax(scores, frame, &mut log_probs)?;
        match session.rules.forbid(&beam.history, &mut log_probs) {
            Lifted::Nothing => {}
            rule => lifted = rule,
        }
        likeliest(&log_probs, width, &mut candidates);
        extensions.extend(candidates.iter().map(|&Candidate { token, weight }| Extension {
            parent,
            token,
            log_likelihood: beam.log_likelihood + weight,
        }));
    }
    session.note_lifted(lifted);
    // A stable sort: equals stay in the order of parents, and of the vocabulary within one.
    extensions.sort_by(|a, b| b.log_likelihood.total_cmp(&a.log_likelihood));
    extensions.truncate(width);
    Ok(extensions)
}

/// The hypotheses that live on. The last child of each parent takes its past over instead of
/// copying it.
fn grow(beams: Vec<Hypothesis>, extensions: &[Extension]) -> Vec<Hypothesis> {
    let mut n_children = vec![0usize; beams.len()];
    for extension in extensions {
        n_children[extension.parent] += 1;
    }
    let mut parents: Vec<Option<Hypothesis>> = beams.into_iter().map(Some).collect();
    let children = extensions.iter().filter_map(|extension| {
        n_children[extension.parent] -= 1;
        let parent = &mut parents[extension.parent];
        let mut child =
            if n_children[extension.parent] == 0 { parent.take() } else { parent.clone() }?;
        child.tokens.push(extension.token);
        child.history.push(extension.token);
        child.log_likelihood = extension.log_likelihood;
        Some(child)
    });
    children.collect()
}

impl Hypothesis {
    /// Summed log-probability over length^penalty.
    fn score(&self, length_penalty: f64) -> f64 {
        self.log_likelihood / (self.tokens.len().max(1) as f64).powf(length_penalty)
    }
}

/// Streams the frames all hypotheses have come to agree on; returns how many those are by now.
fn emit_agreed(
    session: &mut Session,
    beams: &[Hypothesis],
    n_emitted: usize,
    n_prime_frames: usize,
) -> usize {
    let Some((first, others)) = beams.split_first() else { return n_emitted };
    let is_agreed =
        |&idx: &usize| others.iter().all(|beam| beam.tokens.get(idx) == first.tokens.get(idx));
    let n_agreed = n_emitted + (n_emitted..first.tokens.len()).take_while(is_agreed).count();
    let chords = session.chords(&first.tokens[n_emitted..n_agreed]);
    session.emit_frames(0, n_prime_frames + n_emitted, chords);
    n_agreed
}

/// Streams what is still unsaid of each take, then the takes.
fn finish(
    session: &mut Session,
    beams: Vec<Hypothesis>,
    n_agreed: usize,
    prime_roll: &PianoRoll,
    began: Instant,
) -> Vec<Take> {
    let mut takes = Vec::with_capacity(beams.len());
    for (take, beam) in beams.into_iter().filter(|beam| !beam.tokens.is_empty()).enumerate() {
        let mut roll = prime_roll.clone();
        roll.extend(session.chords(&beam.tokens));
        let n_said = if take == 0 { prime_roll.len() + n_agreed } else { 0 };
        session.emit_frames(take, n_said, roll[n_said..].to_vec());
        let result = Take {
            roll,
            n_prime_frames: prime_roll.len(),
            seed: session.settings.seed,
            log_likelihood: beam.log_likelihood,
            secs: secs_since(began),
        };
        (session.on_event)(ComposeEvent::Take { take, result: result.clone() });
        takes.push(result);
    }
    takes
}
