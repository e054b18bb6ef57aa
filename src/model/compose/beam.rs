//! Beam search: the likeliest whole phrases.
//!
//! All hypotheses are one batch. After each frame every hypothesis is extended by every chord the
//! guard allows, and the `width` best by summed log-probability live on; nothing else is added to
//! the sum. Equals are ordered by their parent's rank, then by the vocabulary, so that a search
//! has one answer.
//!
//! Nothing is as likely as what it goes on from. So what goes on unchanged, which costs nothing to
//! know, comes first, then what else may follow the likeliest hypotheses; and nothing is asked that
//! can no longer be among the best.

mod best;
mod tree;

use std::borrow::Cow;
use std::time::Instant;

use self::best::Best;
use self::tree::{NodeId, ROOT, Tree};
use super::guard::{Lifted, Named};
use super::next_frame::{Answer, NextFrame, Place};
use super::{ComposeError, ComposeEvent, Session, Take, Written, secs_since};

/// A phrase that may still win.
#[derive(Clone, Copy)]
struct Hypothesis {
    /// Its last chord.
    leaf: NodeId,
    log_likelihood: f64,
}

/// A hypothesis and a chord that may follow it.
struct Extension<F> {
    parent: usize,
    frame: F,
    log_likelihood: f64,
}

/// Hypotheses that read together before they are asked, as likely as each other or nearly: reading
/// more at a time is hardly quicker, and the last ones often needn't be asked any more.
const TOGETHER: usize = 8;

/// The `takes` best hypotheses of one search, the best first. A vocabulary too small for so many
/// different phrases gives fewer.
pub(super) fn compose<M: NextFrame>(
    session: &mut Session<'_, M>,
    width: usize,
    length_penalty: f64,
) -> Result<Vec<Take>, ComposeError> {
    let began = Instant::now();
    let prime = session.prime_for(session.settings.seed)?;
    let opening = session.written(&prime);
    session.emit_frames(0, 0, &opening, 0);
    let Some(unread) = session.read_prime(&prime) else { return Ok(Vec::new()) };
    let mut search = Search::new(session.settings.frames, width, &prime, unread);
    for frame in 0..session.settings.frames {
        if session.cancel.is_cancelled() {
            break;
        }
        if !search.extend(session, frame)? {
            break;
        }
        session.model.select(&search.parents);
        search.grow();
        let agreed =
            session.written(search.tree.lengthen_trunk(search.beams.iter().map(|beam| beam.leaf)));
        let first = prime.len() + search.tree.trunk_len - agreed.roll.len();
        session.emit_frames(0, first, &agreed, 0);
        (session.on_event)(ComposeEvent::Searched { frames: search.n_frames });
    }
    let Search { mut beams, tree, n_frames, .. } = search;
    // Summed log-probability over length^penalty.
    let length = (n_frames.max(1) as f64).powf(length_penalty);
    let score = |beam: &Hypothesis| beam.log_likelihood / length;
    beams.sort_by(|a, b| score(b).total_cmp(&score(a)));
    beams.truncate(if n_frames == 0 { 0 } else { session.settings.takes });
    Ok(finish(session, &beams, &tree, &opening, began))
}

/// What goes from frame to frame, and memory that is used again.
struct Search<F: Named> {
    width: usize,
    tree: Tree<F>,
    beams: Vec<Hypothesis>,
    /// What each hypothesis reads next.
    frames: Vec<F>,
    n_frames: usize,
    extensions: Vec<Extension<F>>,
    best: Best,
    /// Of each extension.
    parents: Vec<usize>,
    answers: Vec<Answer<F>>,
}

impl<F: Named> Search<F> {
    fn new(n_frames: usize, width: usize, prime: &[F], unread: F) -> Self {
        let n_nodes = width * n_frames;
        Self {
            width,
            tree: Tree::new(prime, n_nodes),
            beams: vec![Hypothesis { leaf: ROOT, log_likelihood: 0.0 }],
            frames: vec![unread],
            n_frames: 0,
            extensions: Vec::with_capacity(width * width),
            best: Best::new(width),
            parents: Vec::with_capacity(width),
            answers: Vec::with_capacity(width),
        }
    }

    /// One step of all hypotheses: their `width` best extensions, the best first. False if it was
    /// cancelled on the way: a wide search takes long for a step.
    fn extend<M: NextFrame<Frame = F>>(
        &mut self,
        session: &mut Session<'_, M>,
        frame: usize,
    ) -> Result<bool, ComposeError> {
        session.model.step(&self.frames)?;
        let mut unasked = self.extend_at_hand(&mut session.model, frame)?;
        let mut any_lifted = Lifted::Nothing;
        loop {
            // Where nothing was at hand, the first hypothesis says what the others have to reach.
            let n = if self.extensions.is_empty() { 1 } else { TOGETHER };
            unasked.retain(|(_, most)| *most >= self.best.least());
            let asked: Vec<usize> =
                unasked.drain(..n.min(unasked.len())).map(|(parent, _)| parent).collect();
            if asked.is_empty() {
                break;
            }
            if session.cancel.is_cancelled() {
                return Ok(false);
            }
            session.model.foresee(&asked);
            for parent in asked {
                if session.cancel.is_cancelled() {
                    return Ok(false);
                }
                let lifted = self.ask(&mut session.model, parent, frame)?;
                if lifted != Lifted::Nothing {
                    any_lifted = lifted;
                }
            }
        }
        session.note_lifted(any_lifted);
        self.keep_the_best();
        Ok(true)
    }

    fn keep_the_best(&mut self) {
        // A stable sort: equals stay in the order of the vocabulary within one parent.
        self.extensions.sort_by(|a, b| {
            b.log_likelihood.total_cmp(&a.log_likelihood).then(a.parent.cmp(&b.parent))
        });
        self.extensions.truncate(self.width);
        self.parents.clear();
        self.parents.extend(self.extensions.iter().map(|extension| extension.parent));
    }

    /// The extensions of all hypotheses that are known at once, and of each hypothesis the most
    /// that any other of its extensions can be.
    fn extend_at_hand<M: NextFrame<Frame = F>>(
        &mut self,
        model: &mut M,
        frame: usize,
    ) -> Result<Vec<(usize, f64)>, ComposeError> {
        self.extensions.clear();
        self.best.clear();
        let mut unasked = Vec::with_capacity(self.beams.len());
        for parent in 0..self.beams.len() {
            let Hypothesis { leaf, log_likelihood } = self.beams[parent];
            let answers = &mut self.answers;
            let others = self.tree.with_history(leaf, |history| {
                model.at_hand(Place { hypothesis: parent, history, frame }, answers)
            })?;
            unasked.push((parent, log_likelihood + others));
            self.add_answers(parent);
        }
        Ok(unasked)
    }

    /// The other extensions of a hypothesis, as far as they may be among the best.
    fn ask<M: NextFrame<Frame = F>>(
        &mut self,
        model: &mut M,
        parent: usize,
        frame: usize,
    ) -> Result<Lifted, ComposeError> {
        let Hypothesis { leaf, log_likelihood } = self.beams[parent];
        let (width, answers) = (self.width, &mut self.answers);
        let least = self.best.least() - log_likelihood;
        let lifted = self.tree.with_history(leaf, |history| {
            let at = Place { hypothesis: parent, history, frame };
            model.likeliest(at, width, least, answers)
        })?;
        self.add_answers(parent);
        Ok(lifted)
    }

    fn add_answers(&mut self, parent: usize) {
        let before = self.beams[parent].log_likelihood;
        for Answer { frame, log_probability } in self.answers.drain(..) {
            let log_likelihood = before + log_probability;
            self.best.add(log_likelihood);
            self.extensions.push(Extension { parent, frame, log_likelihood });
        }
    }

    /// The extensions become the hypotheses.
    fn grow(&mut self) {
        self.frames.clear();
        self.frames.extend(self.extensions.iter().map(|extension| extension.frame.clone()));
        let grown = self.extensions.drain(..).map(|extension| {
            let leaf = self.tree.push(self.beams[extension.parent].leaf, extension.frame);
            Hypothesis { leaf, log_likelihood: extension.log_likelihood }
        });
        self.beams = grown.collect();
        self.n_frames += 1;
    }
}

/// Streams what is still unsaid of each take, then the takes.
fn finish<M: NextFrame>(
    session: &mut Session<'_, M>,
    beams: &[Hypothesis],
    tree: &Tree<M::Frame>,
    opening: &Written,
    began: Instant,
) -> Vec<Take> {
    let mut takes = Vec::with_capacity(beams.len());
    for (take, beam) in beams.iter().enumerate() {
        let mut written = opening.clone();
        for frame in &tree.phrase(beam.leaf) {
            written.push(&session.model, frame);
        }
        let n_said = if take == 0 { opening.roll.len() + tree.trunk_len } else { 0 };
        session.emit_frames(take, n_said, &written, n_said);
        let Written { roll, touch } = written;
        let result = Take {
            roll,
            touch,
            n_prime_frames: opening.roll.len(),
            seed: session.settings.seed,
            log_likelihood: beam.log_likelihood,
            secs: secs_since(began),
        };
        (session.on_event)(ComposeEvent::Take { take, result: Cow::Borrowed(&result) });
        takes.push(result);
    }
    takes
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::super::next_frame::PlaceOf;
    use super::super::prime::PrimeFrames;
    use super::super::{ComposeSettings, Strategy, compose_by};
    use super::*;
    use crate::cancel::CancelToken;
    use crate::tokens::{Chord, KeyFrame, Token};

    /// Knows as many frames as it is asked for, and is cancelled while it is asked.
    struct Cancelled<'a> {
        cancel: &'a CancelToken,
        cancelled_by: usize,
        n_asked: &'a mut usize,
    }

    impl NextFrame for Cancelled<'_> {
        type Frame = Token;

        fn chord(&self, token: &Token) -> Chord {
            Chord::from_bits(u128::from(*token))
        }

        fn touch(&self, _: &Token) -> Option<KeyFrame> {
            None
        }

        fn draw_first(&mut self, _: u64) -> Result<Token, ComposeError> {
            Ok(0)
        }

        fn start(&mut self, _: usize) {}

        fn read(&mut self, _: &[Token]) {}

        fn step(&mut self, _: &[Token]) -> Result<(), ComposeError> {
            Ok(())
        }

        fn select(&mut self, _: &[usize]) {}

        fn choose(
            &mut self,
            _: PlaceOf<'_, Self>,
            _: Option<&mut ChaCha8Rng>,
        ) -> Result<(Answer<Token>, Lifted), ComposeError> {
            Ok((Answer { frame: 0, log_probability: 0.0 }, Lifted::Nothing))
        }

        fn at_hand(
            &mut self,
            _: PlaceOf<'_, Self>,
            answers: &mut Vec<Answer<Token>>,
        ) -> Result<f64, ComposeError> {
            answers.clear();
            Ok(0.0)
        }

        fn foresee(&mut self, _: &[usize]) {}

        fn likeliest(
            &mut self,
            _: PlaceOf<'_, Self>,
            n: usize,
            _: f64,
            answers: &mut Vec<Answer<Token>>,
        ) -> Result<Lifted, ComposeError> {
            *self.n_asked += 1;
            if *self.n_asked == self.cancelled_by {
                self.cancel.cancel();
            }
            answers.clear();
            answers.extend((0..n as Token).map(|frame| Answer { frame, log_probability: 0.0 }));
            Ok(Lifted::Nothing)
        }
    }

    #[test]
    fn a_cancelled_search_asks_no_other_hypothesis() {
        let strategy = Strategy::Beam { width: 8, length_penalty: 1.0 };
        let settings = ComposeSettings { strategy, frames: 5, ..ComposeSettings::default() };
        // The first frame has one hypothesis, all others have eight.
        for (cancelled_by, n_frames) in [(1, 1), (3, 1), (9, 2), (10, 2), (16, 2)] {
            let (cancel, mut n_asked) = (CancelToken::new(), 0);
            let model = Cancelled { cancel: &cancel, cancelled_by, n_asked: &mut n_asked };
            let prime = PrimeFrames::Shared(Vec::new());
            let takes = compose_by(model, prime, None, &settings, &cancel, &mut |_| {}).unwrap();
            assert_eq!((takes[0].roll.len(), n_asked), (n_frames, cancelled_by));
        }
    }
}
