//! The same predictors of what a network with touch predicts but for velocities and the pedal: the
//! frames in which something changes, and how long nothing does.
//!
//! Of a run they pay for the chord that sounds, by how often runs of it were seen; for each of its
//! keys that sounded before, by how often such keys are struck again; and for its length, by how
//! often there were runs as long. Together that is a distribution over runs, so that nats a frame
//! stand beside the network's.

use std::collections::HashMap;

use super::{REPEAT_SHARE, unigram};
use crate::cancel::CancelToken;
use crate::model::material::{Material, runs_of};
use crate::model::train::Baselines;
use crate::tokens::{BackOff, Chord, Encoding, KeyFrame, KeyRun, Stretch};

/// A frame in which something changes, the one before it, and how many frames it lasts.
struct Run {
    before: Chord,
    frame: KeyFrame,
    length: u32,
}

impl Run {
    /// The keys that go on sounding.
    fn held(&self) -> Chord {
        self.frame.sounding.intersection(self.before)
    }

    /// Those of them that are struck again.
    fn again(&self) -> Chord {
        self.held().intersection(self.frame.struck)
    }
}

struct Counted {
    /// Where each chord stands among the shares.
    places: HashMap<Chord, usize>,
    /// The last one is that of all other chords together.
    shares: Vec<f64>,
    /// Of a key that goes on sounding, that it is struck again.
    again: f64,
    /// By length, from 1 on.
    lengths: Vec<f64>,
}

impl Counted {
    fn new(material: &Material, longest_run: u32, cancel: &CancelToken) -> Self {
        let mut seen: HashMap<Chord, u64> = HashMap::new();
        let (mut n_held, mut n_again) = (0, 0);
        let mut lengths = vec![0.0; longest_run as usize];
        for stretch in until_cancelled(&material.split.train, cancel) {
            for run in runs(material, stretch, longest_run) {
                *seen.entry(run.frame.sounding).or_default() += 1;
                n_held += run.held().len();
                n_again += run.again().len();
                lengths[length_index(&run, longest_run)] += 1.0;
            }
        }
        // In an order of their own, since that of a map changes from time to time.
        let mut seen: Vec<(Chord, u64)> = seen.into_iter().collect();
        seen.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        // As a vocabulary that has all of them: of those seen once a share counts for the others.
        let escaped = |count: u64| if count == 1 { Encoding::ESCAPED_SHARE } else { 0.0 };
        let mut counts: Vec<f64> =
            seen.iter().map(|&(_, count)| count as f64 - escaped(count)).collect();
        counts.push(seen.iter().map(|&(_, count)| escaped(count)).sum());
        let places = seen.iter().enumerate().map(|(place, &(chord, _))| (chord, place));
        Self {
            places: places.collect(),
            shares: unigram(&counts, false),
            again: (n_again + 1) as f64 / (n_held + 2) as f64,
            lengths: unigram(&lengths, false),
        }
    }

    /// The probability of a chord.
    fn share(&self, chord: Chord, backoff: &BackOff) -> f64 {
        let other = self.shares.len() - 1;
        match self.places.get(&chord) {
            Some(&place) => self.shares[place],
            None => self.shares[other] * backoff.log_probability(chord).exp(),
        }
    }

    /// Nats of a run's strikes and of its length.
    fn loss_of_touch(&self, run: &Run) -> f64 {
        let (n_held, n_again) = (run.held().len() as f64, run.again().len() as f64);
        let strikes = n_again * self.again.ln() + (n_held - n_again) * (1.0 - self.again).ln();
        -strikes - self.lengths[length_index(run, self.lengths.len() as u32)].ln()
    }
}

/// Measures the three on the held-out music as a network with touch is: a frame is right if the
/// keys were of the run that it belongs to.
pub fn baselines(
    material: &Material,
    longest_run: u32,
    backoff: &BackOff,
    cancel: &CancelToken,
) -> Baselines {
    let counted = Counted::new(material, longest_run, cancel);
    let commonest = counted.places.iter().find(|(_, place)| **place == 0).map(|(chord, _)| *chord);
    let mut n_frames = 0.0;
    let (mut unigram_loss, mut mixed_loss) = (0.0, 0.0);
    let (mut n_common, mut n_repeated) = (0.0, 0.0);
    for stretch in until_cancelled(&material.split.valid, cancel) {
        for run in runs(material, stretch, longest_run) {
            let chord = run.frame.sounding;
            let (share, touch) = (counted.share(chord, backoff), counted.loss_of_touch(&run));
            let repeated = chord == run.before;
            unigram_loss += touch - share.ln();
            let mix = (1.0 - REPEAT_SHARE) * share + if repeated { REPEAT_SHARE } else { 0.0 };
            mixed_loss += touch - mix.ln();
            let frames = f64::from(run.length);
            // Seldom is a key struck again that goes on.
            let is_right = |guess: bool| if guess && run.again().is_rest() { frames } else { 0.0 };
            n_common += is_right(commonest == Some(chord));
            n_repeated += is_right(repeated);
            n_frames += frames;
        }
    }
    let per_frame = |sum: f64| sum / f64::max(n_frames, 1.0);
    Baselines {
        unigram_perplexity: per_frame(unigram_loss).exp(),
        unigram_accuracy: per_frame(n_common),
        repeat_accuracy: per_frame(n_repeated),
        mixed_perplexity: per_frame(mixed_loss).exp(),
    }
}

/// The runs of a stretch, which begins after a rest.
fn runs<'a>(
    material: &'a Material,
    stretch: &'a Stretch,
    longest_run: u32,
) -> impl Iterator<Item = Run> + 'a {
    let mut before = Chord::REST;
    runs_of(&material.music, stretch, longest_run).map(move |KeyRun { frame, length }| {
        let before = std::mem::replace(&mut before, frame.sounding);
        Run { before, frame, length }
    })
}

/// Hours of music take seconds to count; what was counted by half is of no account, since a
/// cancelled run makes no step.
fn until_cancelled<'a>(
    stretches: &'a [Stretch],
    cancel: &CancelToken,
) -> impl Iterator<Item = &'a Stretch> {
    stretches.iter().take_while(|_| !cancel.is_cancelled())
}

fn length_index(run: &Run, longest_run: u32) -> usize {
    (run.length.clamp(1, longest_run) - 1) as usize
}
