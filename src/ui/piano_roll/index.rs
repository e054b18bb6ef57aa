//! What is worked out once for a score and then asked for in every frame: which notes lie where,
//! and where its bars begin.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use super::summary::Summary;
use crate::editor::{Bars, Extent};
use crate::music::{Note, Pitch, Score, Tick};

/// Notes that share one entry of [`ScoreIndex::block_ends`].
const BLOCK: usize = 64;

/// A score with what finds its notes quickly.
///
/// It holds on to the score, so that comparing pointers tells whether it is still the right one.
pub struct ScoreIndex {
    score: Arc<Score>,
    bars: Bars,
    /// The latest end of each [`BLOCK`] notes: whole blocks that ended before are passed over,
    /// even when one long note at the start of the piece still sounds.
    block_ends: Vec<Tick>,
    pitches: Option<RangeInclusive<u8>>,
    /// Which pitches have notes, a bit for each.
    used: u128,
    end: Tick,
    /// The piece from farther and farther away: the grain of the k-th is 2^k ticks.
    summaries: [OnceLock<Summary>; 32],
}

impl ScoreIndex {
    pub fn new(score: &Arc<Score>) -> Self {
        let notes = score.notes();
        let latest = |block: &[Note]| block.iter().map(Note::end).max().unwrap_or_default();
        let extent = Extent::of(notes);
        let of_pitch = |note: &Note| 1 << note.pitch.number();
        Self {
            bars: Bars::new(score),
            block_ends: notes.chunks(BLOCK).map(latest).collect(),
            pitches: extent.map(|extent| extent.lowest.number()..=extent.highest.number()),
            used: notes.iter().map(of_pitch).fold(0, |used, pitch| used | pitch),
            end: score.end(),
            summaries: Default::default(),
            score: Arc::clone(score),
        }
    }

    pub fn is_of(&self, score: &Arc<Score>) -> bool {
        Arc::ptr_eq(&self.score, score)
    }

    pub fn score(&self) -> &Score {
        &self.score
    }

    pub fn bars(&self) -> &Bars {
        &self.bars
    }

    /// Where the last note ends.
    pub fn end(&self) -> Tick {
        self.end
    }

    /// From the lowest to the highest note; `None` without notes.
    pub fn pitches(&self) -> Option<RangeInclusive<u8>> {
        self.pitches.clone()
    }

    /// Which pitches have notes, a bit for each.
    pub fn used(&self) -> u128 {
        self.used
    }

    /// The piece in runs whose gaps are too small to be seen where a pixel is so many ticks wide,
    /// rounded down to a power of two: one summary serves a range of zooms.
    pub fn summary(&self, ticks_per_pixel: f64) -> &Summary {
        // A float to integer cast saturates.
        let power = (ticks_per_pixel.max(1.0).log2().floor() as usize).min(31);
        self.summaries[power].get_or_init(|| Summary::new(self.score.notes(), 1 << power))
    }

    /// How many notes start between two ticks.
    pub fn n_starting(&self, from: u32, to: u32) -> usize {
        let notes = self.score.notes();
        let before = |tick: u32| notes.partition_point(|note| note.start.0 < tick);
        before(to).saturating_sub(before(from))
    }

    /// The rows to show: the piano's, and all of MIDI's when a note lies outside them.
    pub fn rows(&self) -> RangeInclusive<u8> {
        let piano = Pitch::PIANO_LOWEST.number()..=Pitch::PIANO_HIGHEST.number();
        match &self.pitches {
            Some(used) if !piano.contains(used.start()) || !piano.contains(used.end()) => 0..=127,
            _ => piano,
        }
    }

    /// The notes that sound between two ticks (the second not included), in order.
    pub fn notes_between(&self, from: u32, to: u32) -> impl Iterator<Item = &Note> {
        let notes = self.score.notes();
        let n_before = notes.partition_point(|note| note.start.0 < to);
        notes[..n_before]
            .chunks(BLOCK)
            .zip(&self.block_ends)
            .filter(move |(_, end)| end.0 > from)
            .flat_map(|(block, _)| block)
            .filter(move |note| note.end().0 > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{TempoMap, Velocity};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_search_through_all_finds(
            notes in prop::collection::vec((0u32..5000, 1u32..3000, 0u8..128), 0..400),
            from in 0u32..6000,
            length in 1u32..2000,
        ) {
            let notes = notes.into_iter().map(|(start, length, pitch)| Note {
                start: Tick(start),
                length: Tick(length),
                pitch: Pitch::new(pitch).unwrap(),
                velocity: Velocity::COMPOSED,
                part: 0,
            });
            let score = Arc::new(Score::piano(TempoMap::default(), notes.collect()));
            let index = ScoreIndex::new(&score);
            let found: Vec<&Note> = index.notes_between(from, from + length).collect();
            let overlaps = |note: &&Note| note.start.0 < from + length && note.end().0 > from;
            let expected: Vec<&Note> = score.notes().iter().filter(overlaps).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
