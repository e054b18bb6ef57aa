//! Three predictors that learn nothing but counts, so that a network's figures have something to
//! stand beside.
//!
//! They are measured as the network is: over all held-out frames, and a chord outside the
//! vocabulary pays the escape's share times the back-off. Beside a network without a vocabulary
//! they have one nevertheless: every chord of the music to learn from. Beside one with touch they
//! count what that predicts: `runs`.

mod runs;

use super::material::{ChordMaterial, Material, Reading, chords};
use super::train::Baselines;
use crate::cancel::CancelToken;
use crate::tokens::{BackOff, Corpus, Encoding, Stretch, Token};

/// How much of the mix is "the last chord again".
const REPEAT_SHARE: f64 = 0.1;

/// How often each chord was seen.
struct Counted {
    /// By chord of the corpus; the last output is the escape.
    tokens: Vec<Token>,
    /// By output, the escape's last.
    counts: Vec<f64>,
    /// Whether the escape can never be right.
    closed: bool,
}

impl Counted {
    fn new(material: &Material, corpus: &Corpus) -> Self {
        match &material.reading {
            Reading::Chords(_, reading) => Self {
                tokens: reading.encoding.measured.clone(),
                counts: target_counts(corpus, &material.split.train, reading),
                closed: reading.closed,
            },
            Reading::Keys(_) => Self::all_learned(corpus, &material.split.train),
        }
    }

    /// Every chord of the music to learn from is an output. Of those seen once, the same share as
    /// in a vocabulary counts for the escape, here a part of each.
    fn all_learned(corpus: &Corpus, stretches: &[Stretch]) -> Self {
        let mut seen = vec![0_u64; corpus.chords.len()];
        for stretch in stretches {
            for chord in chords(corpus, stretch, 0..stretch.n_frames()) {
                seen[chord as usize] += 1;
            }
        }
        let escape = seen.iter().filter(|&&count| count > 0).count();
        let mut tokens = vec![escape as Token; seen.len()];
        let mut counts = Vec::with_capacity(escape + 1);
        let mut escaped = 0.0;
        for (token, &count) in tokens.iter_mut().zip(&seen).filter(|(_, count)| **count > 0) {
            let share = if count == 1 { Encoding::ESCAPED_SHARE } else { 0.0 };
            escaped += share;
            *token = counts.len() as Token;
            counts.push(count as f64 - share);
        }
        counts.push(escaped);
        Self { tokens, counts, closed: false }
    }
}

/// The same counts as the network with a vocabulary learns from.
pub fn target_counts(corpus: &Corpus, train: &[Stretch], reading: &ChordMaterial) -> Vec<f64> {
    let counts = reading.target_counts(corpus, train);
    counts.into_iter().map(|count| count as f64).collect()
}

/// Shares of all outputs, add-one: `(count + 1) / (all + outputs)`. In a closed vocabulary the
/// escape is no possible event and has none.
pub fn unigram(counts: &[f64], closed: bool) -> Vec<f64> {
    let n_events = counts.len() - usize::from(closed);
    let all = counts.iter().sum::<f64>() + n_events as f64;
    let share = |idx: usize, count: f64| if idx < n_events { (count + 1.0) / all } else { 0.0 };
    counts.iter().enumerate().map(|(idx, &count)| share(idx, count)).collect()
}

/// Measures the three on the held-out music; `corpus` is the chords of all of it. Once it is
/// cancelled they mean nothing.
pub fn baselines(
    material: &Material,
    corpus: &Corpus,
    backoff: &BackOff,
    cancel: &CancelToken,
) -> Baselines {
    if let Reading::Keys(keys) = &material.reading
        && keys.longest_run() > 1
    {
        return runs::baselines(material, keys.longest_run(), backoff, cancel);
    }
    let Counted { tokens, counts, closed } = Counted::new(material, corpus);
    let shares = unigram(&counts, closed);
    let escape = counts.len() - 1;
    // The first of equals.
    let commonest = (0..escape).rev().max_by(|&a, &b| counts[a].total_cmp(&counts[b]));
    let mut n_frames = 0usize;
    let (mut unigram_loss, mut mixed_loss) = (0.0, 0.0);
    let (mut n_common, mut n_repeated) = (0usize, 0usize);
    for stretch in &material.split.valid {
        let mut previous = 0;
        for chord in chords(corpus, stretch, 0..stretch.n_frames()) {
            let token = tokens[chord as usize] as usize;
            let mut share = shares[token];
            if token == escape {
                let chord = corpus.chords[chord as usize];
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
