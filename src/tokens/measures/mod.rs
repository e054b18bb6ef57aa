//! What music measures like: a dozen numbers for a piece, so that composed music can be held
//! against the music it was learned from.
//!
//! The definitions are those of muspy and of the papers named at each [`Measure`]. Keys count as
//! long as they are down; the pedal and percussion don't count.
//!
//! ```text
//! mod       the measures of a few notes       summary   many of them: mean and middle 80 %
//! survey    the measures of files             passages  the longest passage two pieces share
//! ```

mod passages;
mod summary;
mod survey;

use std::collections::HashSet;

use super::frames::{MAX_FRAMES, Run, Span, runs_from_spans};
use super::hashing::ChordMap;
use super::{FrameRate, FramesError};
use crate::music::{Pitch, Scale, Score, Velocity};

pub use passages::{ChordChanges, Passage, SharedPassage, Transposing, longest_shared};
pub use summary::Summary;
pub use survey::{SurveyPlan, Surveyed, survey_file, survey_score};

/// One property of music as a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Measure {
    /// Notes over the time until the last one ends.
    NotesPerSecond,
    /// Mean number of keys that sound, over the frames in which any does (muspy's `polyphony`).
    Polyphony,
    /// Semitones from the lowest to the highest note (muspy's `pitch_range`).
    PitchRange,
    /// Entropy in bits of how often each of the twelve pitch classes is struck, up to 3.585 (muspy's
    /// `pitch_class_entropy`; Wu & Yang, ISMIR 2020).
    PitchClassEntropy,
    /// The largest share of notes that lie in one diatonic scale, 0–1 (muspy's
    /// `scale_consistency`; Mogren 2016). A natural minor scale is its relative major.
    ScaleConsistency,
    /// Share of frames that equal the frame before, 0–1.
    RepeatedFrames,
    /// Seconds of the longest stretch of frames with one and the same chord, rests included.
    LongestRun,
    /// Different chords over all frames, 0–1 (Li et al., NAACL 2016), and the same for two and for
    /// four frames in succession.
    Distinct1,
    Distinct2,
    Distinct4,
    /// Standard deviation of the velocities.
    VelocitySpread,
}

impl Measure {
    pub const ALL: [Self; 11] = [
        Self::NotesPerSecond,
        Self::Polyphony,
        Self::PitchRange,
        Self::PitchClassEntropy,
        Self::ScaleConsistency,
        Self::RepeatedFrames,
        Self::LongestRun,
        Self::Distinct1,
        Self::Distinct2,
        Self::Distinct4,
        Self::VelocitySpread,
    ];

    /// What a program calls it.
    pub fn key(self) -> &'static str {
        match self {
            Self::NotesPerSecond => "notes_per_second",
            Self::Polyphony => "polyphony",
            Self::PitchRange => "pitch_range",
            Self::PitchClassEntropy => "pitch_class_entropy",
            Self::ScaleConsistency => "scale_consistency",
            Self::RepeatedFrames => "repeated_frames",
            Self::LongestRun => "longest_run_seconds",
            Self::Distinct1 => "distinct_1",
            Self::Distinct2 => "distinct_2",
            Self::Distinct4 => "distinct_4",
            Self::VelocitySpread => "velocity_spread",
        }
    }

    /// What a person calls it.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotesPerSecond => "notes a second",
            Self::Polyphony => "polyphony, keys at once",
            Self::PitchRange => "pitch range, semitones",
            Self::PitchClassEntropy => "pitch-class entropy, bits",
            Self::ScaleConsistency => "scale consistency",
            Self::RepeatedFrames => "repeated frames, share",
            Self::LongestRun => "longest identical run, s",
            Self::Distinct1 => "distinct chords",
            Self::Distinct2 => "distinct pairs",
            Self::Distinct4 => "distinct fours",
            Self::VelocitySpread => "velocity spread",
        }
    }
}

/// The measures of one stretch of music.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Measures([Option<f64>; Measure::ALL.len()]);

impl Measures {
    /// `None` where the stretch is too short to have it, such as pairs in a single frame.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        self.0[measure as usize]
    }
}

/// A note in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TimedNote {
    pub start_secs: f64,
    pub end_secs: f64,
    pub pitch: Pitch,
    pub velocity: Velocity,
}

/// The notes of a score in seconds, ascending by start.
pub fn timed_notes(score: &Score) -> Vec<TimedNote> {
    let (mut starts, mut ends) = (score.tempo_map.cursor(), score.tempo_map.cursor());
    let timed = score.notes().iter().map(|note| TimedNote {
        start_secs: starts.secs_from_tick(note.start),
        end_secs: ends.secs_from_tick(note.end()),
        pitch: note.pitch,
        velocity: note.velocity,
    });
    timed.collect()
}

/// When the last note ends, in seconds.
pub fn end_secs(notes: &[TimedNote]) -> f64 {
    notes.iter().map(|note| note.end_secs).fold(0.0, f64::max)
}

/// Measures notes with frames of `1 / fps` seconds, over `secs` seconds of music.
///
/// # Errors
/// [`FramesError::TooLong`] for more frames than a piece may have.
pub fn measure(
    notes: &[TimedNote],
    secs: f64,
    fps: FrameRate,
) -> Result<Option<Measures>, FramesError> {
    if notes.is_empty() {
        return Ok(None);
    }
    let runs = grid_runs(notes, fps)?;
    let mut values = [None; Measure::ALL.len()];
    let mut set = |measure: Measure, value: Option<f64>| values[measure as usize] = value;
    set(Measure::NotesPerSecond, (secs > 0.0).then(|| notes.len() as f64 / secs));
    set(Measure::PitchRange, Some(pitch_range(notes)));
    set(Measure::PitchClassEntropy, Some(pitch_class_entropy(notes)));
    set(Measure::ScaleConsistency, Some(scale_consistency(notes)));
    set(Measure::VelocitySpread, Some(velocity_spread(notes)));
    set(Measure::Polyphony, polyphony(&runs));
    set(Measure::RepeatedFrames, repeated_frames(&runs));
    let longest = runs.iter().map(|run| run.n_frames).max();
    set(Measure::LongestRun, longest.map(|n| f64::from(n) / fps.per_second()));
    let [one, two, four] = distinct(&runs);
    set(Measure::Distinct1, one);
    set(Measure::Distinct2, two);
    set(Measure::Distinct4, four);
    Ok(Some(Measures(values)))
}

/// Runs of frames as pretty_midi's piano roll has them: a note fills every frame from the one that
/// its start lies in up to, but without, the one that its end lies in, so that a note within one
/// frame is lost. Frames of silence around the music are left out.
///
/// That is not how music is framed to be learned from; it is what published statistics of
/// piano rolls are made with. For notes on the grid it is the same.
pub(super) fn grid_runs(notes: &[TimedNote], fps: FrameRate) -> Result<Vec<Run>, FramesError> {
    // A float to integer cast saturates, so that absurd times stay in range. What lies on the grid
    // must not fall below it by rounding.
    let frame = |secs: f64| (secs * fps.per_second() + 1e-6) as u64;
    let spans = notes.iter().map(|note| Span {
        pitch: note.pitch,
        start: frame(note.start_secs),
        end: frame(note.end_secs),
    });
    runs_from_spans(&spans.filter(|span| span.start < span.end).collect::<Vec<_>>())
}

fn pitch_range(notes: &[TimedNote]) -> f64 {
    let keys = || notes.iter().map(|note| note.pitch.number());
    f64::from(keys().max().unwrap_or(0)) - f64::from(keys().min().unwrap_or(0))
}

/// How many of the notes each pitch class has.
fn pitch_classes(notes: &[TimedNote]) -> [usize; 12] {
    let mut counts = [0; 12];
    notes.iter().for_each(|note| counts[usize::from(note.pitch.class())] += 1);
    counts
}

fn pitch_class_entropy(notes: &[TimedNote]) -> f64 {
    let counts = pitch_classes(notes).into_iter().filter(|count| *count > 0);
    let shares = counts.map(|count| count as f64 / notes.len() as f64);
    // The logarithm of the inverse isn't negative, nor is what it is multiplied by: no −0.
    shares.map(|share| share * share.recip().log2()).fold(0.0, |sum, bits| sum + bits)
}

fn scale_consistency(notes: &[TimedNote]) -> f64 {
    let counts = pitch_classes(notes);
    let in_major = |tonic: usize| -> usize {
        let degrees = Scale::Major.degrees().iter();
        degrees.map(|degree| counts[(tonic + usize::from(*degree)) % 12]).sum()
    };
    (0..12).map(in_major).max().unwrap_or(0) as f64 / notes.len() as f64
}

fn velocity_spread(notes: &[TimedNote]) -> f64 {
    let velocities = || notes.iter().map(|note| f64::from(note.velocity.number()));
    let mean = velocities().sum::<f64>() / notes.len() as f64;
    let squares = velocities().map(|velocity| (velocity - mean).powi(2));
    (squares.sum::<f64>() / notes.len() as f64).sqrt()
}

fn polyphony(runs: &[Run]) -> Option<f64> {
    let sounding = || runs.iter().filter(|run| !run.chord.is_rest());
    let n_frames: f64 = sounding().map(|run| f64::from(run.n_frames)).sum();
    let n_keys: f64 = sounding().map(|run| f64::from(run.n_frames) * run.chord.len() as f64).sum();
    (n_frames > 0.0).then(|| n_keys / n_frames)
}

fn repeated_frames(runs: &[Run]) -> Option<f64> {
    let n_frames: f64 = runs.iter().map(|run| f64::from(run.n_frames)).sum();
    // The first frame of each run is new, and of all frames the first has none before it.
    (n_frames > 1.0).then(|| (n_frames - runs.len() as f64) / (n_frames - 1.0))
}

/// Different chords, pairs and fours in succession over all there are.
fn distinct(runs: &[Run]) -> [Option<f64>; 3] {
    let mut ids: ChordMap<u32> = ChordMap::default();
    let mut frames: Vec<u32> = Vec::new();
    for run in runs {
        let next = ids.len() as u32;
        let id = *ids.entry(run.chord).or_insert(next);
        frames.resize(frames.len() + run.n_frames as usize, id);
    }
    [1, 2, 4].map(|n| {
        let grams = || frames.windows(n);
        // Four chords of 32 bits are one number.
        let packed = |gram: &[u32]| gram.iter().fold(0u128, |all, &id| all << 32 | u128::from(id));
        let different: HashSet<u128> = grams().map(packed).collect();
        (frames.len() >= n).then(|| different.len() as f64 / grams().len() as f64)
    })
}

/// No more frames than a piece may have are ever spelled out.
const _: () = assert!(MAX_FRAMES < u32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start_secs: f64, end_secs: f64, pitch: u8, velocity: u8) -> TimedNote {
        let pitch = Pitch::new(pitch).unwrap();
        TimedNote { start_secs, end_secs, pitch, velocity: Velocity::new(velocity).unwrap() }
    }

    fn rate(fps: f64) -> FrameRate {
        FrameRate::new(fps).unwrap()
    }

    #[test]
    fn each_measure_is_what_its_definition_gives() {
        // C and E for a second, C alone for another, silence, then C and G sharp for half of one.
        let notes = [
            note(0.0, 2.0, 60, 80),
            note(0.0, 1.0, 64, 80),
            note(3.0, 3.5, 60, 100),
            note(3.0, 3.5, 68, 100),
        ];
        let measures = measure(&notes, end_secs(&notes), rate(2.0)).unwrap().unwrap();
        let is = |measure: Measure, expected: f64| {
            let found = measures.get(measure).unwrap();
            assert!((found - expected).abs() < 1e-12, "{measure:?}: {found} for {expected}");
        };
        // Frames at two a second: CE CE C C - - CG#.
        is(Measure::NotesPerSecond, 4.0 / 3.5);
        is(Measure::Polyphony, (2.0 + 2.0 + 1.0 + 1.0 + 2.0) / 5.0);
        is(Measure::PitchRange, 8.0);
        // Half C, a quarter E, a quarter G sharp.
        is(Measure::PitchClassEntropy, 1.5);
        is(Measure::ScaleConsistency, 0.75);
        is(Measure::RepeatedFrames, 3.0 / 6.0);
        is(Measure::LongestRun, 1.0);
        is(Measure::Distinct1, 4.0 / 7.0);
        is(Measure::Distinct2, 6.0 / 6.0);
        is(Measure::Distinct4, 4.0 / 4.0);
        is(Measure::VelocitySpread, 10.0);
    }

    #[test]
    fn too_little_music_lacks_what_it_cannot_have() {
        assert_eq!(measure(&[], 0.0, rate(2.0)), Ok(None));
        // Within one frame: the note counts, its frame doesn't.
        let measures = measure(&[note(0.1, 0.2, 60, 80)], 0.2, rate(2.0)).unwrap().unwrap();
        assert_eq!(measures.get(Measure::NotesPerSecond), Some(5.0));
        assert_eq!(measures.get(Measure::PitchClassEntropy), Some(0.0));
        // Of any number of notes in one class it is nothing, and not less.
        for n in 1..50 {
            let notes = vec![note(0.0, 1.0, 60, 80); n];
            let measures = measure(&notes, 1.0, rate(2.0)).unwrap().unwrap();
            let entropy = measures.get(Measure::PitchClassEntropy).unwrap();
            assert!(entropy == 0.0 && entropy.is_sign_positive(), "{n} notes: {entropy:?}");
            assert_eq!(measures.get(Measure::ScaleConsistency), Some(1.0));
        }
        for none in [Measure::Polyphony, Measure::LongestRun, Measure::Distinct1] {
            assert_eq!(measures.get(none), None, "{none:?}");
        }
        let endless = [note(0.0, 1e300, 60, 80)];
        assert!(matches!(measure(&endless, 1.0, rate(2.0)), Err(FramesError::TooLong { .. })));
    }

    #[test]
    fn every_measure_has_its_own_place_and_name() {
        for (place, measure) in Measure::ALL.into_iter().enumerate() {
            assert_eq!(measure as usize, place);
        }
        let names: HashSet<_> = Measure::ALL.map(Measure::key).into();
        let labels: HashSet<_> = Measure::ALL.map(Measure::label).into();
        assert_eq!((names.len(), labels.len()), (Measure::ALL.len(), Measure::ALL.len()));
    }
}
