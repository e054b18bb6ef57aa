//! The music as the second family reads it: which keys sound in each frame.

use std::ops::Range;

use super::{Window, chords};
use crate::model::TrainingSettings;
use crate::model::keys::{KEYS, KeyBatch, KeyPiece, LOWEST, PIANO};
use crate::tokens::{Chord, ChordId, Corpus, KeyFrame, Stretch};

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
        let n = n_steps * n_rows;
        let mut batch = KeyBatch {
            n_rows,
            n_steps,
            frames: vec![KeyFrame::default(); n + n_rows],
            clocks: if has_clock(corpus) { vec![0; n] } else { Vec::new() },
            weights: vec![0.0; n],
            continues: vec![false; n_rows],
        };
        for (row, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            batch.continues[row] = window.continues;
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
                batch.frames[idx * n_rows + row] = frame.transposed(shift);
            }
            for t in 0..window.len {
                batch.weights[t * n_rows + row] = 1.0;
                if let Some(clock) = batch.clocks.get_mut(t * n_rows + row) {
                    *clock = clock_of(window.start + t);
                }
            }
        }
        batch
    }
}

/// A stretch as it is measured.
pub fn key_piece(corpus: &Corpus, stretch: &Stretch, has_clock: bool) -> KeyPiece {
    let frames = key_frames(corpus, stretch, 0..stretch.n_frames());
    let n_clocks = if has_clock { frames.len() } else { 0 };
    KeyPiece { frames, clocks: (0..n_clocks).map(clock_of).collect() }
}

/// Whether frames have a place on a grid: those of sets do, from the first on.
pub fn has_clock(corpus: &Corpus) -> bool {
    corpus.is_of_sets()
}

fn clock_of(frame: usize) -> u32 {
    u32::try_from(frame).unwrap_or(u32::MAX)
}

/// What the second family reads of some frames of a stretch: the keys that sound. Pitches that no
/// piano has are left out.
fn key_frames(corpus: &Corpus, stretch: &Stretch, frames: Range<usize>) -> Vec<KeyFrame> {
    let sounding = |id: ChordId| corpus.chords[id as usize].intersection(PIANO);
    let frame = |id| KeyFrame { sounding: sounding(id), ..KeyFrame::default() };
    chords(corpus, stretch, frames).into_iter().map(frame).collect()
}

/// How many frames of the corpus have a pitch that no piano has, and so lose it.
pub fn beyond_the_piano(corpus: &Corpus) -> usize {
    let is_beyond = |chord: &Chord| !chord.difference(PIANO).is_rest();
    let beyond: Vec<bool> = corpus.chords.iter().map(is_beyond).collect();
    let frames = corpus.pieces.iter().flat_map(|piece| &piece.chords);
    frames.filter(|&&id| beyond[id as usize]).count()
}

fn union(frames: &[KeyFrame]) -> Chord {
    Chord::from_bits(frames.iter().fold(0, |bits, frame| bits | frame.sounding.bits()))
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
