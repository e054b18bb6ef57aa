//! What a piano roll is made of, counted: for comparing temperatures and strategies.

use serde::{Deserialize, Serialize};

use super::{Strategy, Take};
use crate::tokens::{Chord, Playback};

/// Seconds of music for each note, on average. In as many, nine in ten of the pieces that the
/// starter learned from have more than nine.
const MOST_SECS_A_NOTE: f64 = 2.0;

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

/// A take with hardly any notes for its length, which whoever asked for music should hear of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NearSilence {
    /// Notes that begin after the prime.
    pub n_notes: usize,
    /// Length of what was composed.
    pub secs: f64,
    /// Whether it goes on from a prime, which may have notes.
    pub goes_on: bool,
}

impl NearSilence {
    /// None if the take has enough notes, or nothing was composed of it.
    pub fn of(take: &Take, playback: &Playback) -> Option<Self> {
        let composed = take.n_prime_frames.min(take.roll.len())..take.roll.len();
        let secs = composed.len() as f64 / playback.rate.per_second();
        let begun = |idx: usize| match &take.touch {
            // A take that was read from a file may say less of touch than of chords.
            Some(frames) => frames.get(idx).map_or(0, |frame| frame.struck.len()),
            None => {
                let before = idx.checked_sub(1).map_or(Chord::REST, |before| take.roll[before]);
                take.roll[idx].difference(before).len()
            }
        };
        let n_notes = composed.clone().map(begun).sum();
        let is_thin = n_notes == 0 || n_notes as f64 * MOST_SECS_A_NOTE < secs;
        let goes_on = composed.start > 0;
        (is_thin && !composed.is_empty()).then_some(Self { n_notes, secs, goes_on })
    }

    /// What the take has and why, to go on with what to do: “has 3 notes in 10 s: …”.
    pub fn words(self, strategy: Strategy) -> String {
        let Self { n_notes, secs, goes_on } = self;
        let secs = secs.ceil();
        let found = match n_notes {
            0 => "has no notes".to_owned(),
            1 => format!("has 1 note in {secs} s"),
            _ => format!("has {n_notes} notes in {secs} s"),
        };
        let after = if goes_on { " after its start" } else { "" };
        let why = match (strategy, n_notes) {
            // In most frames nothing changes, so that is what is likeliest in each.
            (Strategy::Max | Strategy::Beam { .. }, _) => "the likeliest music is near silence",
            (Strategy::Sample { .. }, 0) => "the model rested all the time",
            (Strategy::Sample { .. }, _) => "the model rested most of the time",
        };
        format!("{found}{after}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{FrameRate, KeyFrame};

    /// Of `rests` frames at two a second with a note at each of some places, the first 4 of them
    /// the prime.
    fn near_silence(rests: usize, notes: &[usize]) -> Option<NearSilence> {
        let chord = Chord::from_bits(1 << 60 | 1 << 64);
        let mut roll = vec![Chord::REST; rests];
        notes.iter().for_each(|&idx| roll[idx] = chord);
        let struck =
            |&sounding: &Chord| KeyFrame { sounding, struck: sounding, ..Default::default() };
        let touch = Some(roll.iter().map(struck).collect());
        let take =
            Take { touch: None, n_prime_frames: 4, seed: 0, log_likelihood: 0.0, secs: 0.0, roll };
        let playback = Playback { rate: FrameRate::INPUT_DEFAULT, ..Playback::default() };
        let found = NearSilence::of(&take, &playback);
        // Here it is the same with touch: whatever sounds is let go in the next frame.
        assert_eq!(NearSilence::of(&Take { touch, ..take }, &playback), found);
        found
    }

    #[test]
    fn hardly_any_notes_are_said() {
        let thin = |n_notes, secs| Some(NearSilence { n_notes, secs, goes_on: true });
        assert_eq!(near_silence(44, &[]), thin(0, 20.0));
        assert_eq!(near_silence(44, &[0, 2]), thin(0, 20.0), "a prime isn't composed");
        assert_eq!(near_silence(44, &[4, 10, 20, 30]), thin(8, 20.0));
        assert_eq!(near_silence(44, &[4, 10, 20, 30, 40]), None);
        assert_eq!(near_silence(12, &[5]), None);
        assert_eq!(near_silence(5, &[]), thin(0, 0.5));
        assert_eq!(near_silence(4, &[]), None, "nothing was composed");
        let sample = Strategy::Sample { temperature: 1.0, top_k: None, top_p: None };
        for (n_notes, secs, goes_on, strategy, words) in [
            (0, 9.4, false, sample, "has no notes: the model rested all the time"),
            (1, 9.4, false, sample, "has 1 note in 10 s: the model rested most of the time"),
            (0, 2.0, true, sample, "has no notes after its start: the model rested all the time"),
            (
                3,
                10.0,
                false,
                Strategy::Max,
                "has 3 notes in 10 s: the likeliest music is near silence",
            ),
        ] {
            assert_eq!(NearSilence { n_notes, secs, goes_on }.words(strategy), words);
        }
    }

    #[test]
    fn a_damaged_take_has_no_notes_where_its_touch_ends() {
        let roll = vec![Chord::from_bits(1 << 60); 60];
        let touch = Some(vec![KeyFrame::default(); 2]);
        let take = Take { roll, touch, n_prime_frames: 0, seed: 0, log_likelihood: 0.0, secs: 0.0 };
        let found = NearSilence::of(&take, &Playback::default()).unwrap();
        assert_eq!(found.n_notes, 0);
    }

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
