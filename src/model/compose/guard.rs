//! The guard at work: which chords may not come next.

use super::Guard;
use crate::tokens::{FrameRate, Token};

/// A frame that the guard tells from others by its name.
pub(super) trait Named: Clone + Default {
    type Name: Name;

    fn name(&self) -> Self::Name;
}

/// What the guard tells frames apart by; the default is the rest.
pub(super) trait Name: Copy + Ord + Default {
    /// The name of a frame in which the same keys sound and none is struck; `None` where nobody
    /// knows what is struck.
    fn unstruck(self) -> Option<Self> {
        None
    }
}

impl Name for Token {}

impl Named for Token {
    type Name = Self;

    fn name(&self) -> Self {
        *self
    }
}

/// A [`Guard`] counted in frames, for frames that are told apart by `F`.
#[derive(Clone, Debug)]
pub(super) struct Rules<F> {
    longest_hold: Option<usize>,
    no_repeat: Option<usize>,
    /// Memory for the chords that would repeat a run.
    repeating: Vec<F>,
}

/// The chords that may not come next.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Forbidden<'a, F> {
    /// The one that has sounded for too long, whatever of it is struck.
    pub held: Option<F>,
    /// Those that would repeat a run, each once.
    pub repeating: &'a [F],
}

/// What a guard has to remember of one take: its chords with every hold as one, and how many
/// frames each has been held.
///
/// Where it is known what is struck, only that makes a chord: keys that are let go change nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct History<F> {
    changes: Vec<F>,
    holds: Vec<usize>,
    still: Option<Still<F>>,
}

/// Frames at the end of a take in which the same keys sound, struck again or not.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Still<F> {
    /// Their name if none is struck.
    unstruck: F,
    n_frames: usize,
}

/// Whether a rule had to be lifted for a frame because nothing else was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lifted {
    Nothing,
    NoRepeat,
    LongestHold,
}

/// A place in a [`History`] to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark<F> {
    n_changes: usize,
    /// Frames that the last chord had been held by then.
    n_held: usize,
    still: Option<Still<F>>,
}

impl<F> Forbidden<'_, F> {
    pub fn len(&self) -> usize {
        usize::from(self.held.is_some()) + self.repeating.len()
    }
}

impl<F: Name> History<F> {
    /// That of a take with nothing in it, and room for so many frames.
    pub fn with_capacity(n_frames: usize) -> Self {
        let (changes, holds) = (Vec::with_capacity(n_frames), Vec::with_capacity(n_frames));
        Self { changes, holds, still: None }
    }

    pub fn mark(&self) -> Mark<F> {
        let n_held = self.holds.last().copied().unwrap_or(0);
        Mark { n_changes: self.changes.len(), n_held, still: self.still }
    }

    /// Forgets what was pushed since the mark.
    pub fn rewind(&mut self, mark: Mark<F>) {
        self.still = mark.still;
        self.changes.truncate(mark.n_changes);
        self.holds.truncate(mark.n_changes);
        if let Some(n_held) = self.holds.last_mut() {
            *n_held = mark.n_held;
        }
    }

    /// That of a take that begins with these frames.
    #[cfg(test)]
    pub fn of(frames: &[F]) -> Self {
        let mut history = Self::with_capacity(frames.len());
        frames.iter().for_each(|&frame| history.push(frame));
        history
    }

    /// The next frame of the take is `frame`.
    pub fn push(&mut self, frame: F) {
        self.still = frame.unstruck().map(|unstruck| {
            let before = self.still.filter(|still| still.unstruck == unstruck);
            Still { unstruck, n_frames: before.map_or(1, |still| still.n_frames + 1) }
        });
        if frame.unstruck() == Some(frame) {
            return;
        }
        match self.holds.last_mut() {
            Some(n_held) if self.changes.last() == Some(&frame) => *n_held += 1,
            _ => {
                self.changes.push(frame);
                self.holds.push(1);
            }
        }
    }

    /// The chord that sounds in at least `n` of the last `2n − 1` frames; there is never another.
    fn commonest_lately(&self, n: usize) -> Option<F> {
        // More than half of them: the vote of Boyer and Moore 1981 finds who it may be, a count
        // whether it is.
        let lately = || {
            let runs = self.changes.iter().zip(&self.holds).rev();
            runs.scan(2 * n - 1, |left, (&frame, &n_held)| {
                let n_seen = n_held.min(*left);
                *left -= n_seen;
                (n_seen > 0).then_some((frame, n_seen))
            })
        };
        let (mut candidate, mut votes) = (None, 0);
        for (frame, n_seen) in lately() {
            if candidate == Some(frame) {
                votes += n_seen;
            } else if votes >= n_seen {
                votes -= n_seen;
            } else {
                (candidate, votes) = (Some(frame), n_seen - votes);
            }
        }
        let sounds_enough = |&wanted: &F| {
            let n_seen: usize =
                lately().filter(|(frame, _)| *frame == wanted).map(|(_, n_seen)| n_seen).sum();
            n_seen >= n
        };
        candidate.filter(sounds_enough)
    }
}

impl<F: Name> Rules<F> {
    /// For takes of so many frames, the prime included: no more memory is asked for then.
    pub fn new(guard: &Guard, rate: FrameRate, n_frames: usize) -> Self {
        // A product that rounding left just under a whole number still is that number.
        let frames = |secs: f64| ((secs * rate.per_second() + 1e-9).floor() as usize).max(1);
        Self {
            longest_hold: guard.longest_hold_secs.map(frames),
            no_repeat: guard.no_repeat,
            repeating: Vec::with_capacity(if guard.no_repeat.is_some() { n_frames } else { 0 }),
        }
    }

    /// What may not come next.
    pub fn forbidden(&mut self, history: &History<F>) -> Forbidden<'_, F> {
        let held = self.held_too_long(history);
        self.find_chords_that_repeat(history);
        Forbidden { held, repeating: &self.repeating }
    }

    /// The first of the two rules alone. A chord that has sounded for so long stays away for about
    /// as long: were it let back at once, one frame of something else now and then would be all the
    /// change there is. A take that starts from nothing has been silent for long enough.
    ///
    /// Where it is known what is struck, a chord may be back as soon as other keys have sounded.
    pub fn held_too_long(&self, history: &History<F>) -> Option<F> {
        let limit = self.longest_hold?;
        match history.still {
            Some(still) => (still.n_frames >= limit).then_some(still.unstruck),
            None if history.changes.is_empty() => Some(F::default()),
            None => history.commonest_lately(limit),
        }
    }

    /// Finds the chords that would complete a run of changes that was there before, each once.
    /// The chord that sounds is never among them: holding it is no change.
    ///
    /// The whole past is scanned instead of being indexed: comparing even 100,000 numbers takes
    /// less time than a step of the network.
    fn find_chords_that_repeat(&mut self, history: &History<F>) {
        self.repeating.clear();
        let (Some(n), Some(&current)) = (self.no_repeat, history.changes.last()) else { return };
        let changes = &history.changes;
        let Some(context_at) = changes.len().checked_sub(n - 1) else { return };
        let context = &changes[context_at..];
        let runs = changes.windows(n).filter(|run| {
            let (before, next) = (&run[..n - 1], run[n - 1]);
            // The last chord alone rules most places out.
            before.last() == context.last() && before == context && next != current
        });
        self.repeating.extend(runs.map(|run| run[n - 1]));
        self.repeating.sort_unstable();
        self.repeating.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::super::by_vocabulary::forbid;
    use super::*;

    fn rules(longest_hold_secs: Option<f64>, no_repeat: Option<usize>) -> Rules<Token> {
        Rules::new(&Guard { longest_hold_secs, no_repeat }, FrameRate::INPUT_DEFAULT, 0)
    }

    /// What is forbidden after `past` in a vocabulary of `n` chords.
    fn forbidden(rules: &Rules<Token>, past: &[Token], n: usize) -> (Vec<usize>, Lifted) {
        let history = History::of(past);
        let mut log_probs = vec![0.0; n];
        let lifted = forbid(&mut rules.clone(), &history, &mut log_probs);
        ((0..n).filter(|&token| log_probs[token] != 0.0).collect(), lifted)
    }

    #[test]
    fn a_hold_is_counted_in_frames_of_the_output() {
        // One and a half seconds at two frames a second are three frames.
        let rules = rules(Some(1.5), None);
        assert_eq!(forbidden(&rules, &[1, 1], 3), (vec![], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 1, 1], 3), (vec![1], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[0, 0, 0, 0], 3), (vec![0], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 1, 2], 3), (vec![], Lifted::Nothing));
    }

    #[test]
    fn a_chord_held_for_long_does_not_come_back_at_once() {
        let rules = rules(Some(1.5), None);
        assert_eq!(forbidden(&rules, &[1, 1, 1, 2], 3), (vec![1], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 1, 1, 2, 0], 3), (vec![1], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 1, 1, 2, 0, 2], 3), (vec![], Lifted::Nothing));
        // Nor does it by way of short breaks.
        assert_eq!(forbidden(&rules, &[1, 1, 2, 1], 3), (vec![1], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 2, 1, 2, 0], 3), (vec![], Lifted::Nothing));
    }

    #[test]
    fn music_from_nothing_begins_with_a_chord() {
        assert_eq!(forbidden(&rules(Some(1.5), None), &[], 3), (vec![0], Lifted::Nothing));
        assert_eq!(forbidden(&rules(None, Some(3)), &[], 3), (vec![], Lifted::Nothing));
        assert_eq!(forbidden(&rules(Some(1.5), None), &[], 1), (vec![], Lifted::LongestHold));
    }

    #[test]
    fn a_hold_shorter_than_a_frame_still_lasts_one() {
        assert_eq!(forbidden(&rules(Some(0.01), None), &[2], 3), (vec![2], Lifted::Nothing));
    }

    #[test]
    fn runs_are_compared_without_their_holds() {
        let rules = rules(None, Some(3));
        assert_eq!(forbidden(&rules, &[1, 2, 2, 3, 1, 1, 2], 5), (vec![3], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1, 2, 3, 1, 2, 4, 1, 2], 5), (vec![3, 4], Lifted::Nothing));
        assert_eq!(forbidden(&rules, &[1], 5), (vec![], Lifted::Nothing));
    }

    #[test]
    fn runs_of_one_never_come_back() {
        let rules = rules(None, Some(1));
        assert_eq!(forbidden(&rules, &[1, 2, 3], 5), (vec![1, 2], Lifted::Nothing));
    }

    #[test]
    fn the_less_harmful_rule_is_lifted_when_nothing_is_left() {
        assert_eq!(
            forbidden(&rules(Some(0.5), Some(1)), &[0, 1, 2], 3),
            (vec![2], Lifted::NoRepeat)
        );
        assert_eq!(
            forbidden(&rules(Some(0.5), Some(1)), &[0, 0], 1),
            (vec![], Lifted::LongestHold)
        );
    }
}
