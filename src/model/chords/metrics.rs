//! Measuring a network on stretches of music, every frame counted.
//!
//! Each stretch is read from its first frame to its last with the state carried, the first frame
//! predicted from a rest. Many are read side by side, the longest first, so that the rows still
//! reading are always the first ones and nothing is ever read past its end.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::decode::negative_log_likelihood;
use super::loss::token_tensor;
use super::network::ChordNetwork;
use crate::cancel::CancelToken;
use crate::model::fused::decoder::Judged;
use crate::model::kernels::Kernels;
use crate::model::material::chords;
use crate::model::measured::{Measured, keep_rows};
use crate::model::recurrent::LayerState;
use crate::model::weights::numbers;
use crate::tokens::{BackOff, ChordId, Corpus, Encoding, Stretch};

/// Stretches read side by side.
const MAX_ROWS: usize = 64;
/// Most frames that a row reads between two looks at the cancel token.
const MAX_STEPS: usize = 512;
/// Frames × weights read between two looks: a fraction of a second on two slow cores. That is
/// fewer frames for a larger network, and always as many for the same one.
const MAX_PRODUCTS: usize = 1 << 31;
/// Most scores held at once.
const MAX_SCORES: usize = 1 << 22;

/// What is measured, and with which tokens.
#[derive(Clone, Copy)]
pub struct ChordYardstick<'a> {
    pub corpus: &'a Corpus,
    pub encoding: &'a Encoding,
    pub backoff: &'a BackOff,
}

/// `None` if it was cancelled.
pub fn measure<B: Backend>(
    network: &ChordNetwork<B>,
    yardstick: ChordYardstick<'_>,
    stretches: &[Stretch],
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<Measured> {
    let mut order: Vec<&Stretch> = stretches.iter().filter(|s| s.n_frames() > 0).collect();
    order.sort_by_key(|stretch| std::cmp::Reverse(stretch.n_frames()));
    let mut measured = Measured::default();
    for group in order.chunks(MAX_ROWS) {
        let longest = group.first().map_or(0, |stretch| stretch.n_frames());
        let mut state = network.zero_state(group.len());
        let products_a_step = group.len() * network.config.n_parameters();
        let n_steps = (MAX_PRODUCTS / products_a_step.max(1)).clamp(1, MAX_STEPS);
        for first in (0..longest).step_by(n_steps) {
            if cancel.is_cancelled() {
                return None;
            }
            let reading: Vec<&Stretch> =
                group.iter().copied().take_while(|stretch| stretch.n_frames() > first).collect();
            state = state.into_iter().map(|layer| keep_rows(layer, reading.len())).collect();
            let frames = first..first + n_steps;
            let block = Block { stretches: &reading, frames };
            state = measure_block(network, yardstick, block, state, kernels, &mut measured);
        }
    }
    Some(measured)
}

/// Some frames of several stretches, the longest first.
struct Block<'a> {
    stretches: &'a [&'a Stretch],
    frames: Range<usize>,
}

/// Reads a block, as far as its stretches go, and adds what its frames cost.
fn measure_block<B: Backend>(
    network: &ChordNetwork<B>,
    yardstick: ChordYardstick<'_>,
    Block { stretches, frames }: Block<'_>,
    state: Vec<LayerState<B>>,
    kernels: &mut Kernels<B>,
    measured: &mut Measured,
) -> Vec<LayerState<B>> {
    let device = network.device();
    let n_rows = stretches.len();
    let first = frames.start;
    let longest = stretches.iter().map(|stretch| stretch.n_frames()).max().unwrap_or(first);
    let n_steps = longest.min(frames.end) - first;
    let mut inputs = vec![0i32; n_steps * n_rows];
    let mut targets: Vec<Option<ChordId>> = vec![None; n_steps * n_rows];
    for (row, stretch) in stretches.iter().enumerate() {
        let last = (first + n_steps).min(stretch.n_frames());
        let before = chords(yardstick.corpus, stretch, first.saturating_sub(1)..first);
        let mut previous = before.first().map_or(0, |&id| yardstick.encoding.input[id as usize]);
        for (t, id) in chords(yardstick.corpus, stretch, first..last).into_iter().enumerate() {
            inputs[t * n_rows + row] = previous as i32;
            targets[t * n_rows + row] = Some(id);
            previous = yardstick.encoding.input[id as usize];
        }
    }
    let (hidden, state) = network.read(token_tensor(&inputs, &device), state, kernels);
    let token = |id: &Option<ChordId>| id.map_or(0, |id| yardstick.encoding.measured[id as usize]);
    let tokens: Vec<i32> = targets.iter().map(|id| token(id) as i32).collect();
    let judged = match kernels.fused() {
        Some(fused) => fused.judge(network, &hidden, &tokens),
        None => judge(network, hidden, &tokens),
    };
    for ((id, token), judged) in targets.iter().zip(tokens).zip(judged) {
        let Some(id) = id else { continue };
        measured.n_frames += 1;
        measured.nll += f64::from(judged.nll);
        measured.n_right += usize::from(judged.is_right);
        if token as usize == network.config.vocabulary {
            let chord = yardstick.corpus.chords[*id as usize];
            measured.nll -= yardstick.backoff.log_probability(chord);
            measured.n_unseen += 1;
        }
    }
    state
}

/// How surprised the network is by every frame of `hidden` (`[N, H]`), by burn's operations.
fn judge<B: Backend>(
    network: &ChordNetwork<B>,
    hidden: Tensor<B, 2>,
    targets: &[i32],
) -> Vec<Judged> {
    let n_chords = network.config.vocabulary;
    let chunk = (MAX_SCORES / network.config.n_outputs()).max(1);
    let mut judged = Vec::with_capacity(targets.len());
    for (idx, targets) in targets.chunks(chunk).enumerate() {
        let (first, n) = (idx * chunk, targets.len());
        let hidden = hidden.clone().slice([first..first + n, 0..network.config.hidden]);
        let scores = network.scores(hidden);
        // The likeliest chord: the escape is none.
        let likeliest = scores.clone().slice([0..n, 0..n_chords]).argmax(1).into_data();
        let target = token_tensor::<B>(targets, &network.device()).reshape([n, 1]);
        let (nll, _, _) = negative_log_likelihood(scores, target);
        let each = numbers(nll.into_data()).into_iter().zip(likeliest.iter::<i64>());
        judged.extend(each.zip(targets).map(|((nll, likeliest), &target)| Judged {
            nll,
            is_right: likeliest == i64::from(target),
        }));
    }
    judged
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;
    use crate::model::adaptive::Clusters;
    use crate::model::chords::network::{ChordConfig, Start};
    use crate::model::recurrent::CellKind;
    use crate::tokens::{Chord, ChordVocabulary, FramingPlan, Piece};

    /// Two pieces over four chords, of which a vocabulary of three knows all but the last.
    fn corpus() -> Corpus {
        let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
        let piece = |name: &str, chords: Vec<ChordId>| Piece {
            path: name.into(),
            sha256: name.to_owned(),
            n_notes: chords.len(),
            duration_secs: 1.0,
            chords,
        };
        Corpus {
            plan: FramingPlan::default(),
            chords: (0..4).map(chord).collect(),
            pieces: vec![piece("a", vec![1, 2, 1, 1, 2]), piece("b", vec![2, 3])],
            skipped: Vec::new(),
            warnings: Vec::new(),
            own_split: None,
        }
    }

    fn encoding(corpus: &Corpus) -> Encoding {
        let chords = corpus.chords[..3].to_vec();
        Encoding::with_vocabulary(corpus, ChordVocabulary::new(chords, vec![1, 5, 5]).unwrap())
    }

    fn whole_pieces(corpus: &Corpus) -> Vec<Stretch> {
        let pieces = corpus.pieces.iter().enumerate();
        pieces.map(|(idx, piece)| Stretch { parts: vec![(idx, 0..piece.chords.len())] }).collect()
    }

    fn backoff() -> BackOff {
        BackOff::fit([(Chord::from_bits(1 << 61), 3), (Chord::from_bits(1 << 62), 2)])
    }

    /// A network whose scores are the same whatever it reads.
    fn constant(scores: &[f32]) -> ChordNetwork<Flex> {
        let kind = CellKind::Lstm;
        let vocabulary = scores.len() - 1;
        let config = ChordConfig { kind, layers: 1, hidden: 2, vocabulary, clusters: None };
        let device = Default::default();
        let zeros = config.parameter_shapes().into_iter();
        let zeros = zeros.map(|(_, shape)| Tensor::zeros(shape, &device)).collect();
        let scores = TensorData::new(scores.to_vec(), [1, scores.len()]);
        ChordNetwork::from_parameters(config, zeros, Tensor::from_data(scores, &device))
    }

    fn measured(network: &ChordNetwork<Flex>, corpus: &Corpus) -> Measured {
        let (encoding, backoff) = (encoding(corpus), backoff());
        let yardstick = ChordYardstick { corpus, encoding: &encoding, backoff: &backoff };
        let (kernels, cancel) = (&mut Kernels::new(), CancelToken::new());
        measure(network, yardstick, &whole_pieces(corpus), kernels, &cancel).unwrap()
    }

    #[test]
    fn a_uniform_network_is_as_surprised_as_its_vocabulary_is_large() {
        let mut corpus = corpus();
        corpus.pieces[1].chords = vec![2, 1];
        let measured = measured(&constant(&[0.0; 4]), &corpus);
        assert_eq!((measured.n_frames, measured.n_unseen), (7, 0));
        assert!((measured.perplexity() - 4.0).abs() < 1e-6);
    }

    #[test]
    fn an_unseen_chord_pays_the_escape_and_the_back_off() {
        let corpus = corpus();
        // Shares: rest 0.1, chord 1 0.4, chord 2 0.3, escape 0.2.
        let shares = [0.1f32, 0.4, 0.3, 0.2];
        let measured = measured(&constant(&shares.map(f32::ln)), &corpus);
        // Three times chord 1, three times chord 2, once the unseen chord.
        let unseen = backoff().log_probability(corpus.chords[3]);
        let expected = -(3.0 * 0.4f64.ln() + 3.0 * 0.3f64.ln() + 0.2f64.ln() + unseen);
        assert!((measured.nll - expected).abs() < 1e-5, "{} for {expected}", measured.nll);
        // Chord 1 is the likeliest always; the unseen frame counts and is never right.
        assert_eq!((measured.n_right, measured.n_frames, measured.n_unseen), (3, 7, 1));
    }

    #[test]
    fn fused_kernels_measure_what_burn_does() {
        let mut corpus = corpus();
        let piece = |n: u32| (0..n).map(|t| (t * t + n) % 4).collect::<Vec<_>>();
        corpus.pieces[0].chords = piece(150);
        corpus.pieces[1].chords = piece(65);
        let (encoding, backoff) = (encoding(&corpus), backoff());
        let yardstick = ChordYardstick { corpus: &corpus, encoding: &encoding, backoff: &backoff };
        let in_clusters = Some(Clusters { n_chords: 3, head: 1, size: 1 });
        let prior = [0.1f32, 0.4, 0.3, 0.2].map(f32::ln);
        let start = Start::Informed(&prior);
        for (kind, clusters) in [(CellKind::Lstm, None), (CellKind::Gru, in_clusters)] {
            let config = ChordConfig { kind, layers: 2, hidden: 8, vocabulary: 3, clusters };
            let network = ChordNetwork::<Flex>::new(config, start, 5, &Default::default());
            let stretches = whole_pieces(&corpus);
            let [burn, fused] =
                [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()].map(|mut kernels| {
                    let cancel = CancelToken::new();
                    measure(&network, yardstick, &stretches, &mut kernels, &cancel).unwrap()
                });
            assert!((fused.nll - burn.nll).abs() < 1e-5 * burn.nll, "{fused:?} for {burn:?}");
            assert!(burn.n_right > 0 && burn.n_unseen > 0, "{burn:?}");
            assert_eq!(
                (fused.n_right, fused.n_frames, fused.n_unseen),
                (burn.n_right, burn.n_frames, burn.n_unseen)
            );
        }
    }

    #[test]
    fn reading_side_by_side_is_reading_one_by_one() {
        let mut corpus = corpus();
        // Longer than a block, and of lengths that end within one.
        let piece = |n: u32| (0..n).map(|t| (t * t + n) % 4).collect::<Vec<_>>();
        corpus.pieces[0].chords = piece(2 * MAX_STEPS as u32 + 22);
        corpus.pieces[1].chords = piece(MAX_STEPS as u32 + 1);
        let (kind, clusters) = (CellKind::Gru, None);
        let config = ChordConfig { kind, layers: 2, hidden: 8, vocabulary: 3, clusters };
        let network = ChordNetwork::<Flex>::new(config, Start::Plain, 3, &Default::default());
        let (encoding, backoff) = (encoding(&corpus), backoff());
        let yardstick = ChordYardstick { corpus: &corpus, encoding: &encoding, backoff: &backoff };
        let cancel = CancelToken::new();
        let stretches = whole_pieces(&corpus);
        let measure = |stretches: &[Stretch]| {
            measure(&network, yardstick, stretches, &mut Kernels::new(), &cancel).unwrap()
        };
        let together = measure(&stretches);
        let apart = |stretch: &Stretch| measure(std::slice::from_ref(stretch));
        let (a, b) = (apart(&stretches[0]), apart(&stretches[1]));
        assert!((together.nll - a.nll - b.nll).abs() < 1e-3);
        assert_eq!(together.n_frames, 3 * MAX_STEPS + 23);
        assert_eq!(together.n_right, a.n_right + b.n_right);
    }
}
