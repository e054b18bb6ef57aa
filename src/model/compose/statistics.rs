//! What a piano roll is made of, counted: for comparing temperatures and strategies.

use serde::{Deserialize, Serialize};

use crate::tokens::Chord;

/// Shares of a roll's frames and its runs. The three shares sum to 1 (all are 0 for an empty
/// roll): a frame is a rest, or repeats the chord before it, or strikes a new one.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RollStatistics {
    pub frames: usize,
    /// Frames whose chord isn't the one before and isn't a rest, 0–1.
    pub note_share: f64,
    /// Frames that hold the chord before, 0–1.
    pub repeat_share: f64,
    /// Frames in which nothing sounds, 0–1.
    pub rest_share: f64,
    /// Most frames in succession with one chord, rests included.
    pub longest_run: usize,
    /// Different chords, the rest included if it is there.
    pub distinct_chords: usize,
}

pub fn roll_statistics(roll: &[Chord]) -> RollStatistics {
    let n_rests = roll.iter().filter(|chord| chord.is_rest()).count();
    let n_repeats = roll.windows(2).filter(|pair| pair[0] == pair[1] && !pair[1].is_rest()).count();
    let mut distinct = roll.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let share = |n: usize| if roll.is_empty() { 0.0 } else { n as f64 / roll.len() as f64 };
    RollStatistics {
        frames: roll.len(),
        note_share: share(roll.len() - n_rests - n_repeats),
        repeat_share: share(n_repeats),
        rest_share: share(n_rests),
        longest_run: roll.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0),
        distinct_chords: distinct.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_every_frame_once() {
        let (a, b) = (Chord::from_bits(1), Chord::from_bits(2));
        let roll = [a, a, a, Chord::REST, Chord::REST, b, a, a];
        let statistics = roll_statistics(&roll);
        assert_eq!(statistics.note_share, 3.0 / 8.0);
        assert_eq!(statistics.repeat_share, 3.0 / 8.0);
        assert_eq!(statistics.rest_share, 2.0 / 8.0);
        assert_eq!((statistics.longest_run, statistics.distinct_chords), (3, 3));
        assert_eq!(roll_statistics(&[]), RollStatistics::default());
    }
}
