//! The measures of whole files: of all of a piece, and of windows as long as what it is compared
//! with, since how varied music is depends on how much of it there is.

use std::path::{Path, PathBuf};

use super::super::corpus::runs_from_bytes;
use super::super::frames::{Run, runs_from_score};
use super::super::reading::read_bytes;
use super::super::{BenchmarkSet, FrameRate, FramingPlan};
use super::{ChordChanges, Measures, TimedNote, end_secs, grid_runs, measure, timed_notes};
use crate::music::{Score, smf};

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SurveyPlan {
    /// Frames in a second for the measures and for shared passages.
    pub fps: FrameRate,
    /// Length of the windows; none are measured without.
    pub window_secs: Option<f64>,
    /// How a model read the music: for passages shared at the rate it learned at.
    pub learned: Option<FramingPlan>,
}

/// What was found of a piece.
#[derive(Clone, PartialEq, Debug)]
pub struct Surveyed {
    pub path: PathBuf,
    pub n_notes: usize,
    /// When the first note begins and the last ends.
    pub begin_secs: f64,
    pub end_secs: f64,
    pub whole: Measures,
    /// One after the other from the beginning; the last may be half as long. Notes belong to the
    /// window they begin in and end with it at the latest.
    pub windows: Vec<Measures>,
    /// The chords it changes to, with the frames in a second they were found at: at the plan's
    /// rate, and as a model read them.
    pub changes: Vec<(FrameRate, ChordChanges)>,
}

/// Surveys a MIDI file.
///
/// # Errors
/// Why it can't be read or measured, in words that go on after its name.
pub fn survey_file(path: &Path, plan: &SurveyPlan) -> Result<Surveyed, String> {
    if BenchmarkSet::is_named(path) {
        return Err("a set of frames has neither time nor velocities to measure".to_owned());
    }
    let bytes = read_bytes(path).map_err(|error| error.to_string())?;
    let score = smf::read(&bytes).map_err(|error| error.to_string())?.score;
    let runs = |learned: FramingPlan| Ok::<_, String>(runs_from_bytes(&bytes, &learned)?.1);
    let learned = plan.learned.map(runs).transpose()?;
    let surveyed = survey(&timed_notes(&score), learned, plan)?;
    Ok(Surveyed { path: path.to_owned(), ..surveyed })
}

/// The same for a score in memory.
///
/// # Errors
/// Why it can't be measured, in words that go on after its name.
pub fn survey_score(name: &str, score: &Score, plan: &SurveyPlan) -> Result<Surveyed, String> {
    let learned = plan.learned.map(|learned| runs_from_score(score, &learned)).transpose();
    let learned = learned.map_err(|error| error.to_string())?;
    let surveyed = survey(&timed_notes(score), learned, plan)?;
    Ok(Surveyed { path: PathBuf::from(format!("<{name}>")), ..surveyed })
}

fn survey(
    notes: &[TimedNote],
    learned: Option<Vec<Run>>,
    plan: &SurveyPlan,
) -> Result<Surveyed, String> {
    let end_secs = end_secs(notes);
    let whole = measure(notes, end_secs, plan.fps).map_err(|error| error.to_string())?;
    let whole = whole.ok_or("it has no notes but percussion")?;
    let runs = grid_runs(notes, plan.fps).map_err(|error| error.to_string())?;
    let mut changes = vec![(plan.fps, ChordChanges::new(&runs))];
    if let (Some(runs), Some(learned)) = (learned, plan.learned) {
        changes.push((learned.rate, ChordChanges::new(&runs)));
    }
    let windows = plan.window_secs.map_or(Vec::new(), |secs| windows(notes, secs, plan.fps));
    Ok(Surveyed {
        path: PathBuf::new(),
        n_notes: notes.len(),
        begin_secs: notes.first().map_or(0.0, |note| note.start_secs),
        end_secs,
        whole,
        windows,
        changes,
    })
}

/// Consecutive windows of `secs` seconds, and what is left if it is at least half of one.
fn windows(notes: &[TimedNote], secs: f64, fps: FrameRate) -> Vec<Measures> {
    let end_secs = end_secs(notes);
    let mut windows = Vec::new();
    let mut rest = notes;
    while let Some(first) = rest.first() {
        // Windows without a note that begins in them have nothing to measure.
        let begin = (first.start_secs / secs).floor() * secs;
        let length = secs.min(end_secs - begin);
        let (inside, later) =
            rest.split_at(rest.partition_point(|note| note.start_secs < begin + secs).max(1));
        rest = later;
        if length < secs / 2.0 {
            continue;
        }
        let moved = inside.iter().map(|note| TimedNote {
            start_secs: note.start_secs - begin,
            end_secs: note.end_secs.min(begin + secs) - begin,
            ..*note
        });
        // No window is too long that is part of a piece which wasn't.
        if let Ok(Some(measures)) = measure(&moved.collect::<Vec<_>>(), length, fps) {
            windows.push(measures);
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::super::Measure;
    use super::*;
    use crate::music::{Pitch, Velocity};

    #[test]
    fn windows_follow_one_another_and_a_short_rest_is_left_out() {
        let note = |start: u32| TimedNote {
            start_secs: f64::from(start),
            end_secs: f64::from(start) + 1.0,
            pitch: Pitch::new(60 + (start % 12) as u8).unwrap(),
            velocity: Velocity::COMPOSED,
        };
        let fps = FrameRate::new(2.0).unwrap();
        let counts = |notes: &[TimedNote]| -> Vec<f64> {
            let windows = windows(notes, 10.0, fps);
            windows.iter().map(|window| window.get(Measure::NotesPerSecond).unwrap()).collect()
        };
        let notes: Vec<TimedNote> = (0..24).map(note).collect();
        assert_eq!(counts(&notes), [1.0, 1.0], "four seconds are left");
        let notes: Vec<TimedNote> = (0..26).map(note).collect();
        assert_eq!(counts(&notes), [1.0, 1.0, 1.0], "six seconds are a window");
        // Ten seconds of silence are none, and what is held ends with its window.
        let mut notes = vec![note(0), note(20), note(21)];
        notes[0].end_secs = 19.0;
        assert_eq!(counts(&notes), [0.1]);
        assert_eq!(windows(&notes, 10.0, fps)[0].get(Measure::LongestRun), Some(10.0));
        assert!(windows(&[note(0)], 10.0, fps).is_empty(), "too short for any");
    }
}
