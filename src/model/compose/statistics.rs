//! What a piano roll is made of, counted: for comparing temperatures and strategies.

use serde::{Deserialize, Serialize};

use super::{ComposeSettings, Strategy, Take};
use crate::music::Note;
use crate::tokens::{Chord, Playback};

/// Seconds of music for each note, on average. In as many, nine in ten of the pieces that the
/// starter learned from have more than nine.
const MOST_SECS_A_NOTE: f64 = 2.0;
/// Frames for each note, on average.
const LEAST_FRAMES_A_NOTE: usize = 2;

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
    /// Whether nothing sounds most of the time; otherwise a few notes are held.
    pub rests: bool,
}

impl NearSilence {
    /// None if the take has enough notes, is too short to tell, or was stopped before it had all
    /// the frames that `settings` ask for.
    pub fn of(take: &Take, settings: &ComposeSettings, playback: &Playback) -> Option<Self> {
        let n_prime_frames = take.n_prime_frames.min(take.roll.len());
        let composed = &take.roll[n_prime_frames..];
        let frame_secs = 1.0 / playback.rate.per_second();
        let secs = composed.len() as f64 * frame_secs;
        if composed.is_empty() || composed.len() < settings.frames {
            return None;
        }
        // A frame is many ticks: half of one is more than ticks are rounded by.
        let begin_secs = (n_prime_frames as f64 - 0.5) * frame_secs;
        let score = take.score(playback);
        let is_composed = |note: &&Note| score.tempo_map.secs_from_tick(note.start) > begin_secs;
        let n_notes = score.notes().iter().filter(is_composed).count();
        let rests = roll_statistics(composed).rest_share >= 0.5;
        // However short, one without any is no music.
        let is_empty = n_notes == 0 && rests;
        // With frames of many seconds what is dense is slow, which was asked for.
        let is_sparse = n_notes * LEAST_FRAMES_A_NOTE < composed.len();
        let is_slow = secs >= MOST_SECS_A_NOTE && n_notes as f64 * MOST_SECS_A_NOTE < secs;
        let is_thin = is_sparse && is_slow;
        (is_empty || is_thin).then_some(Self { n_notes, secs, goes_on: n_prime_frames > 0, rests })
    }

    /// What the take has and why, to go on with what to do: “has 3 notes in 10 s: …”.
    pub fn words(self, strategy: Strategy) -> String {
        let Self { n_notes, secs, goes_on, rests } = self;
        let secs = secs.ceil();
        let found = match n_notes {
            0 => "has no notes".to_owned(),
            1 => format!("has 1 note in {secs} s"),
            _ => format!("has {n_notes} notes in {secs} s"),
        };
        let after = if goes_on { " after its start" } else { "" };
        let why = match (strategy, n_notes) {
            // In most frames nothing changes, so that is what is likeliest in each.
            (Strategy::Max | Strategy::Beam { .. }, _) if rests => {
                "the likeliest music is near silence"
            }
            (Strategy::Max | Strategy::Beam { .. }, _) => {
                "in the likeliest music hardly anything changes"
            }
            (Strategy::Sample { .. }, _) if !rests => {
                "the model held what sounded most of the time"
            }
            (Strategy::Sample { .. }, 0) => "the model rested all the time",
            (Strategy::Sample { .. }, _) => "the model rested most of the time",
        };
        format!("{found}{after}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, Velocity};
    use crate::tokens::{Articulation, FrameRate, KeyFrame};

    fn two_a_second(articulation: Articulation) -> Playback {
        Playback { rate: FrameRate::INPUT_DEFAULT, articulation, ..Playback::default() }
    }

    fn take(roll: Vec<Chord>, n_prime_frames: usize) -> Take {
        Take { roll, touch: None, n_prime_frames, seed: 0, log_likelihood: 0.0, secs: 0.0 }
    }

    /// Of a take that has all the frames that were asked for, two of them a second.
    fn found(take: &Take) -> Option<NearSilence> {
        let frames = take.roll.len() - take.n_prime_frames;
        let settings = ComposeSettings { frames, ..ComposeSettings::default() };
        NearSilence::of(take, &settings, &two_a_second(Articulation::Held))
    }

    /// Of `rests` frames with a note at each of some places, the first 4 of them the prime.
    fn near_silence(rests: usize, notes: &[usize]) -> Option<NearSilence> {
        let chord = Chord::from_bits(1 << 60 | 1 << 64);
        let mut roll = vec![Chord::REST; rests];
        notes.iter().for_each(|&idx| roll[idx] = chord);
        let struck = |&sounding: &Chord| {
            let velocities = vec![Velocity::COMPOSED; sounding.len()];
            KeyFrame { sounding, struck: sounding, velocities, ..Default::default() }
        };
        let touch = Some(roll.iter().map(struck).collect());
        let take = take(roll, 4);
        let near_silence = found(&take);
        // Here it is the same with touch: whatever sounds is let go in the next frame.
        assert_eq!(found(&Take { touch, ..take }), near_silence);
        near_silence
    }

    #[test]
    fn hardly_any_notes_are_said() {
        let thin = |n_notes, secs| Some(NearSilence { n_notes, secs, goes_on: true, rests: true });
        assert_eq!(near_silence(44, &[]), thin(0, 20.0));
        assert_eq!(near_silence(44, &[0, 2]), thin(0, 20.0), "a prime isn't composed");
        assert_eq!(near_silence(44, &[4, 10, 20, 30]), thin(8, 20.0));
        assert_eq!(near_silence(44, &[4, 10, 20, 30, 40]), None);
        assert_eq!(near_silence(12, &[5]), None);
        assert_eq!(near_silence(5, &[]), thin(0, 0.5));
        let held = take(vec![Chord::from_bits(1 << 60); 6], 4);
        assert_eq!(found(&held), None, "a second is too short to tell");
        assert_eq!(near_silence(4, &[]), None, "nothing was composed");
    }

    #[test]
    fn what_is_held_is_no_rest() {
        let chord = |bits: u128| Chord::from_bits(bits << 60);
        // One note at a time, each for four seconds.
        let held: Vec<Chord> = [1, 2, 4, 8].iter().flat_map(|&bits| [chord(bits); 8]).collect();
        let thin = |n_notes, secs, goes_on| NearSilence { n_notes, secs, goes_on, rests: false };
        assert_eq!(found(&take(held, 0)), Some(thin(4, 16.0, false)));
        // One of the prime that is never let go.
        assert_eq!(found(&take(vec![chord(1); 44], 4)), Some(thin(0, 20.0, true)));
        // Three notes that stay while a fourth comes and goes: struck again with it, they are many.
        let one: Vec<Chord> =
            (0..32).map(|frame| chord(if frame % 8 < 4 { 7 } else { 15 })).collect();
        let take = take(one, 0);
        let settings = ComposeSettings { frames: 32, ..ComposeSettings::default() };
        let of = |articulation| NearSilence::of(&take, &settings, &two_a_second(articulation));
        assert_eq!(of(Articulation::Held), Some(thin(7, 16.0, false)));
        assert_eq!(of(Articulation::Restruck), None);
    }

    #[test]
    fn nothing_is_said_of_a_take_that_was_stopped() {
        let take = take(vec![Chord::REST; 30], 0);
        let of = |frames| {
            let settings = ComposeSettings { frames, ..ComposeSettings::default() };
            NearSilence::of(&take, &settings, &two_a_second(Articulation::Held))
        };
        assert_eq!((of(31), of(30).map(|it| it.n_notes)), (None, Some(0)));
    }

    #[test]
    fn what_is_dense_is_not_near_silence_however_slow() {
        let chord = |t: usize| Pitch::new(60 + (t % 5) as u8).into_iter().collect();
        let take = take((0..30).map(chord).collect(), 0);
        let settings = ComposeSettings { frames: 30, ..ComposeSettings::default() };
        let rate = FrameRate::new(0.1).unwrap();
        let playback = Playback { rate, ..two_a_second(Articulation::Held) };
        assert_eq!(NearSilence::of(&take, &settings, &playback), None);
    }

    #[test]
    fn what_there_is_instead_of_notes_is_told() {
        let sample = Strategy::Sample { temperature: 1.0, top_k: None, top_p: None };
        for (n_notes, secs, goes_on, rests, strategy, words) in [
            (0, 9.4, false, true, sample, "has no notes: the model rested all the time"),
            (1, 9.4, false, true, sample, "has 1 note in 10 s: the model rested most of the time"),
            (
                0,
                2.0,
                true,
                true,
                sample,
                "has no notes after its start: the model rested all the time",
            ),
            (
                2,
                8.0,
                false,
                false,
                sample,
                "has 2 notes in 8 s: the model held what sounded most of the time",
            ),
            (
                3,
                10.0,
                false,
                true,
                Strategy::Max,
                "has 3 notes in 10 s: the likeliest music is near silence",
            ),
            (
                3,
                10.0,
                false,
                false,
                Strategy::Max,
                "has 3 notes in 10 s: in the likeliest music hardly anything changes",
            ),
        ] {
            assert_eq!(NearSilence { n_notes, secs, goes_on, rests }.words(strategy), words);
        }
    }

    #[test]
    fn a_damaged_take_has_no_notes_where_its_touch_ends() {
        let touch = Some(vec![KeyFrame::default(); 2]);
        let take = Take { touch, ..take(vec![Chord::from_bits(1 << 60); 60], 0) };
        assert_eq!(found(&take).unwrap().n_notes, 0);
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
