//! Three predictors that learn nothing but counts, so that a network's figures have something to
//! stand beside.
//!
//! They are measured as the network is: over all held-out frames, and a chord outside the
//! vocabulary pays the escape's share times the back-off.

use super::material::{Material, chords};
use super::train::Baselines;
use crate::tokens::{BackOff, Stretch};

/// How much of the mix is "the last chord again".
const REPEAT_SHARE: f64 = 0.1;

/// Shares of all outputs, add-one: `(count + 1) / (all + outputs)`. In a closed vocabulary the
/// escape is no possible event and has none.
pub fn unigram(counts: &[u64], closed: bool) -> Vec<f64> {
    let n_events = counts.len() - usize::from(closed);
    let all = counts.iter().sum::<u64>() as f64 + n_events as f64;
    let share = |idx: usize, count: u64| {
        if idx < n_events { (count as f64 + 1.0) / all } else { 0.0 }
    };
    counts.iter().enumerate().map(|(idx, &count)| share(idx, count)).collect()
}

/// Measures the three on stretches.
pub fn baselines(material: &Material, backoff: &BackOff, stretches: &[Stretch]) -> Baselines {
    let counts = material.target_counts();
    let shares = unigram(&counts, material.closed);
    let escape = material.encoding.vocabulary.len();
    let commonest = (0..escape).max_by_key(|&token| (counts[token], std::cmp::Reverse(token)));
    let mut n_frames = 0usize;
    let (mut unigram_loss, mut mixed_loss) = (0.0, 0.0);
    let (mut n_common, mut n_repeated) = (0usize, 0usize);
    for stretch in stretches {
        let mut previous = 0;
        for chord in chords(&material.corpus, stretch, 0..stretch.n_frames()) {
            let token = material.encoding.measured[chord as usize] as usize;
            let mut share = shares[token];
            if token == escape {
                let chord = material.corpus.chords[chord as usize];
                share *= backoff.log_probability(chord).exp();
            }
            let repeated = chord == previous;
            unigram_loss -= share.ln();
            let mix = (1.0 - REPEAT_SHARE) * share + if repeated { REPEAT_SHARE } else { 0.0 };
            mixed_loss -= mix.ln();
            n_common += usize::from(commonest == Some(token));
            n_repeated += usize::from(repeated);
            n_frames += 1;
            previous = chord;
        }
    }
    let per_frame = |sum: f64| sum / n_frames.max(1) as f64;
    Baselines {
        unigram_perplexity: per_frame(unigram_loss).exp(),
        unigram_accuracy: per_frame(n_common as f64),
        repeat_accuracy: per_frame(n_repeated as f64),
        mixed_perplexity: per_frame(mixed_loss).exp(),
    }
}
