//! The music as the second family reads it: which keys sound in each frame.

use std::ops::Range;

use super::{Window, chords};
use crate::model::TrainingSettings;
use crate::model::keys::{KEYS, KeyBatch, LOWEST, PIANO};
use crate::tokens::{Chord, Corpus, Stretch};

pub struct KeyMaterial {
    /// Of each stretch to learn from the keys that ever sound in it, where sequences go on from
    /// each other and so must be moved alike.
    ranges: Option<Vec<Chord>>,
}

impl KeyMaterial {
    pub fn new(corpus: &Corpus, stretches: &[Stretch], settings: &TrainingSettings) -> Self {
        let all = |stretch: &Stretch| union(&key_frames(corpus, stretch, 0..stretch.n_frames()));
        let ranges = settings.carry_state.then(|| stretches.iter().map(all).collect());
        Self { ranges }
    }

    /// One step's windows as numbers, each moved by as much of its transposition as leaves all its
    /// notes on the piano.
    pub fn batch(
        &self,
        corpus: &Corpus,
        stretches: &[Stretch],
        semitones: &[i32],
        windows: &[Option<Window>],
    ) -> KeyBatch {
        let n_rows = windows.len();
        let n_steps = windows.iter().flatten().map(|window| window.len).max().unwrap_or(0);
        let mut batch = KeyBatch {
            n_rows,
            n_steps,
            sounding: vec![Chord::REST; (n_steps + 1) * n_rows],
            first: vec![0; n_rows],
            weights: vec![0.0; n_steps * n_rows],
            continues: vec![false; n_rows],
        };
        for (row, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            batch.continues[row] = window.continues;
            batch.first[row] = u32::try_from(window.start).unwrap_or(u32::MAX);
            let stretch = &stretches[window.stretch];
            // The frame before the first is the rest that starts every piece.
            let n_before = window.start.min(1);
            let frames = window.start - n_before..window.start + window.len;
            let frames = key_frames(corpus, stretch, frames);
            let range = match &self.ranges {
                Some(ranges) => ranges[window.stretch],
                None => union(&frames),
            };
            let shift = shift_within_piano(range, semitones[window.shift]);
            for (idx, frame) in (1 - n_before..).zip(frames) {
                batch.sounding[idx * n_rows + row] = frame.transposed(shift);
            }
            for t in 0..window.len {
                batch.weights[t * n_rows + row] = 1.0;
            }
        }
        batch
    }
}

/// What the second family reads of some frames of a stretch: the keys that sound. Pitches that no
/// piano has are left out.
pub fn key_frames(corpus: &Corpus, stretch: &Stretch, frames: Range<usize>) -> Vec<Chord> {
    let frames = chords(corpus, stretch, frames).into_iter();
    frames.map(|id| corpus.chords[id as usize].intersection(PIANO)).collect()
}

/// How many frames of the corpus have a pitch that no piano has, and so lose it.
pub fn beyond_the_piano(corpus: &Corpus) -> usize {
    let is_beyond = |chord: &Chord| !chord.difference(PIANO).is_rest();
    let beyond: Vec<bool> = corpus.chords.iter().map(is_beyond).collect();
    let frames = corpus.pieces.iter().flat_map(|piece| &piece.chords);
    frames.filter(|&&id| beyond[id as usize]).count()
}

fn union(frames: &[Chord]) -> Chord {
    Chord::from_bits(frames.iter().fold(0, |bits, frame| bits | frame.bits()))
}

/// As much of a shift as leaves all these keys on the piano.
fn shift_within_piano(keys: Chord, semitones: i32) -> i32 {
    if keys.is_rest() {
        return semitones;
    }
    let lowest = keys.bits().trailing_zeros() as i32;
    let highest = 127 - keys.bits().leading_zeros() as i32;
    let (first, last) = (LOWEST as i32, (LOWEST + KEYS - 1) as i32);
    semitones.clamp(first - lowest, last - highest)
}
