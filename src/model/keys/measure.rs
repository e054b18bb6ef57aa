//! Measuring a network of the second family, every frame counted.
//!
//! As in [`crate::model::measured`]: each piece is read from its first frame to its last with the
//! state carried, the first frame predicted from a rest.

use burn::tensor::backend::Backend;

use super::loss::{
    KeyBatch, Masks, ask, blocks, hear, of_blocks, read, right, rows_of_steps, spell, surprise,
};
use super::network::KeyNetwork;
use crate::cancel::CancelToken;
use crate::model::kernels::Kernels;
use crate::model::measured::{Measured, keep_rows};
use crate::model::recurrent::LayerState;
use crate::model::weights::numbers;
use crate::tokens::Chord;

/// Pieces read side by side.
const MAX_ROWS: usize = 16;
/// Most frames read between two looks at the cancel token.
const MAX_FRAMES: usize = 256;

/// `None` if it was cancelled.
pub fn measure<B: Backend>(
    network: &KeyNetwork<B>,
    pieces: &[&[Chord]],
    kernels: &mut Kernels<B>,
    cancel: &CancelToken,
) -> Option<Measured> {
    let mut order: Vec<&[Chord]> =
        pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
    order.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    let mut measured = Measured::default();
    for group in order.chunks(MAX_ROWS) {
        let longest = group.first().map_or(0, |piece| piece.len());
        let mut state = network.zero_state(group.len());
        let mut first = 0;
        while first < longest {
            if cancel.is_cancelled() {
                return None;
            }
            let reading: Vec<&[Chord]> =
                group.iter().copied().take_while(|piece| piece.len() > first).collect();
            let n_steps = (MAX_FRAMES / reading.len()).min(longest - first);
            state = keep_rows_of(network, state, reading.len());
            let batch = block(&reading, first, n_steps);
            state = measure_block(network, &batch, state, kernels, &mut measured);
            first += n_steps;
        }
    }
    Some(measured)
}

/// The frames `first..first + n_steps` of pieces, the longest first.
fn block(pieces: &[&[Chord]], first: usize, n_steps: usize) -> KeyBatch {
    let chord = |piece: &[Chord], frame: usize| piece.get(frame).copied().unwrap_or_default();
    let before = |piece: &&[Chord]| first.checked_sub(1).map_or(Chord::REST, |t| chord(piece, t));
    let mut sounding: Vec<Chord> = pieces.iter().map(before).collect();
    let mut weights = Vec::with_capacity(n_steps * pieces.len());
    for frame in first..first + n_steps {
        sounding.extend(pieces.iter().map(|piece| chord(piece, frame)));
        weights.extend(pieces.iter().map(|piece| f32::from(u8::from(frame < piece.len()))));
    }
    KeyBatch {
        n_rows: pieces.len(),
        n_steps,
        sounding,
        first: vec![first as u32; pieces.len()],
        weights,
        continues: vec![first > 0; pieces.len()],
    }
}

/// Reads a block and adds what its frames cost.
fn measure_block<B: Backend>(
    network: &KeyNetwork<B>,
    batch: &KeyBatch,
    state: Vec<LayerState<B>>,
    kernels: &mut Kernels<B>,
    measured: &mut Measured,
) -> Vec<LayerState<B>> {
    let (tops, state) = read(network, hear(network, batch), state, kernels);
    let found = of_blocks(&blocks(batch, kernels), kernels, |steps| {
        let asked = ask(batch, steps.clone(), &network.device());
        let tops: Vec<_> =
            tops.iter().map(|top| rows_of_steps(top, batch, steps.clone())).collect();
        let log_odds = spell(network, &asked, &tops, &Masks(&[])).log_odds;
        let n_right = right(log_odds.clone(), asked.truth.clone());
        let nll = surprise(log_odds, asked.truth).sum_dim(1);
        (numbers(nll.into_data()), numbers(n_right.into_data()))
    });
    let found = found.into_iter().flat_map(|(nll, right)| nll.into_iter().zip(right));
    for ((nll, right), &weight) in found.zip(&batch.weights) {
        if weight > 0.0 {
            measured.n_frames += 1;
            measured.nll += f64::from(nll);
            measured.n_right += usize::from(right > 0.5);
        }
    }
    state
}

/// The state of the first `n_rows` sequences.
fn keep_rows_of<B: Backend>(
    network: &KeyNetwork<B>,
    state: Vec<LayerState<B>>,
    n_rows: usize,
) -> Vec<LayerState<B>> {
    let shapes = network.config.state_shapes(n_rows);
    state.into_iter().zip(shapes).map(|(layer, [rows, _])| keep_rows(layer, rows)).collect()
}
