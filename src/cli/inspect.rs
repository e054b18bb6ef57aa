//! `etude inspect`: what is in MIDI files and projects.

use std::fmt::Write;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::args::InspectArgs;
use super::failure::Failure;
use super::output::{Output, clock, count, thousands};
use super::paths::{has_extension, named};
use crate::cancel::CancelToken;
use crate::editor::Project;
use crate::music::{Key, Pitch, Score, smf};
use crate::tokens::{BenchmarkSet, Chord, OwnPart, find_files};

#[derive(Serialize)]
struct Report {
    files: Vec<FileReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize, Default)]
struct FileReport {
    path: String,
    /// Note-ons with a velocity, drums included.
    notes: usize,
    drum_notes: usize,
    tracks: usize,
    seconds: f64,
    title: String,
    parts: Vec<PartReport>,
    /// Quarters a minute at the start, and how often the tempo changes after it.
    tempo: f64,
    tempo_changes: usize,
    meter: String,
    meter_changes: usize,
    key: Option<String>,
    /// How often the sustain pedal goes down.
    pedal: usize,
    /// Takes that a project keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    takes: Option<usize>,
    /// The parts of a set of frames; such a file has none of what is said above but notes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set: Vec<SetPartReport>,
    warnings: Vec<String>,
    error: Option<String>,
}

#[derive(Serialize)]
struct SetPartReport {
    part: &'static str,
    pieces: usize,
    frames: usize,
    /// Frames in which nothing sounds.
    rests: usize,
    notes: usize,
    lowest: Option<u8>,
    highest: Option<u8>,
}

#[derive(Serialize)]
struct PartReport {
    name: String,
    channel: u8,
    program: u8,
    notes: usize,
}

pub fn run(args: &InspectArgs, output: &Output) -> Result<(), Failure> {
    // Ctrl+C simply ends it: nothing is written.
    let found = find_files(&args.paths, &CancelToken::new())?;
    let mut files: Vec<FileReport> = found.files.par_iter().map(|path| report(path)).collect();
    files.extend(found.skipped.into_iter().map(|skipped| FileReport {
        path: skipped.path.display().to_string(),
        error: Some(format!("{}: {}", skipped.path.display(), skipped.reason)),
        ..FileReport::default()
    }));
    // One bad file never stops a folder; nothing but bad files is a failure.
    let mut errors = files.iter().map(|file| file.error.clone());
    let error = match (errors.clone().all(|error| error.is_some()), errors.next().flatten()) {
        (true, Some(first)) if files.len() == 1 => Some(first),
        (true, Some(first)) => {
            Some(format!("none of the {} files can be read; the first: {first}", files.len()))
        }
        _ => None,
    };
    let report = Report { files, error: error.clone() };
    if error.is_none() || output.is_json() {
        output.result(&report, || words(&report.files))?;
    }
    error.map_or(Ok(()), |error| Err(Failure::Reported(error)))
}

fn report(path: &Path) -> FileReport {
    if has_extension(path, &["etude"]) {
        return project_report(path);
    }
    if BenchmarkSet::is_named(path) {
        return set_report(path);
    }
    let shown = path.display().to_string();
    match smf::read_file(path) {
        Ok(import) => {
            let score = &import.score;
            FileReport {
                path: shown,
                notes: import.n_note_ons,
                drum_notes: import.n_drum_note_ons,
                tracks: import.n_tracks,
                seconds: score.duration_secs(),
                warnings: import.warnings.iter().map(ToString::to_string).collect(),
                ..described(score)
            }
        }
        Err(error) => refused(path, &error),
    }
}

/// A project is told in the same words. Its tracks are those a MIDI file of it would have.
fn project_report(path: &Path) -> FileReport {
    match Project::read(path) {
        Ok(project) => {
            let score = &project.score;
            let written = smf::read(&smf::write(score));
            FileReport {
                path: path.display().to_string(),
                notes: score.notes().len() + score.drums.len(),
                drum_notes: score.drums.len(),
                // Without a note it isn't read again: a conductor and the parts.
                tracks: written.map_or(1 + score.parts.len(), |import| import.n_tracks),
                seconds: score.duration_secs(),
                takes: Some(project.takes.len()),
                ..described(score)
            }
        }
        Err(error) => refused(path, &error),
    }
}

/// A set of frames has steps instead of seconds, and no tempo, meter or tracks.
fn set_report(path: &Path) -> FileReport {
    let set = match BenchmarkSet::read(path) {
        Ok(set) => set,
        Err(error) => return refused(path, &error),
    };
    let parts: Vec<SetPartReport> = OwnPart::ALL
        .into_iter()
        .map(|part| {
            let frames = || set.part(part).iter().flatten();
            let keys = frames().fold(Chord::REST, |keys, chord| keys.union(*chord));
            SetPartReport {
                part: part.name(),
                pieces: set.part(part).len(),
                frames: frames().count(),
                rests: frames().filter(|chord| chord.is_rest()).count(),
                notes: set.n_notes(part),
                lowest: keys.pitches().next().map(Pitch::number),
                highest: keys.pitches().last().map(Pitch::number),
            }
        })
        .collect();
    FileReport {
        path: path.display().to_string(),
        notes: parts.iter().map(|part| part.notes).sum(),
        set: parts,
        ..FileReport::default()
    }
}

fn refused(path: &Path, error: &dyn std::fmt::Display) -> FileReport {
    FileReport {
        error: Some(named(path, error).to_string()),
        path: path.display().to_string(),
        ..FileReport::default()
    }
}

fn described(score: &Score) -> FileReport {
    let meter = score.meter_at(crate::music::Tick::ZERO);
    let parts = score.parts.iter().enumerate().map(|(idx, part)| PartReport {
        name: part.name.clone(),
        channel: part.channel + 1,
        program: part.program,
        notes: score.notes().iter().filter(|note| usize::from(note.part) == idx).count(),
    });
    FileReport {
        title: score.title.clone(),
        parts: parts.collect(),
        tempo: score.tempo_map.changes()[0].quarters_per_minute(),
        tempo_changes: score.tempo_map.changes().len() - 1,
        meter: meter.to_string(),
        meter_changes: score.meters.iter().filter(|change| change.tick.0 > 0).count(),
        key: Key::estimate(score).map(|key| key.to_string()),
        pedal: score.pedal.len(),
        ..FileReport::default()
    }
}

fn words(files: &[FileReport]) -> String {
    let mut text = String::new();
    for file in files {
        // Writing to a string can't fail.
        let _ = match &file.error {
            Some(error) => writeln!(text, "{error}"),
            None => writeln!(text, "{}\n{}", file.path, file_words(file)),
        };
    }
    if files.len() > 1 {
        let notes: usize = files.iter().map(|file| file.notes).sum();
        let secs: f64 = files.iter().map(|file| file.seconds).sum();
        let bad = files.iter().filter(|file| file.error.is_some()).count();
        let _ = write!(text, "{}, {}", count(files.len() - bad, "file"), count(notes, "note"));
        // Sets of frames have steps instead of seconds.
        if secs > 0.0 {
            let _ = write!(text, ", {}", clock(secs));
        }
        if bad > 0 {
            let _ = write!(text, "; {bad} can't be read");
        }
    }
    text.trim_end().to_owned()
}

fn set_words(parts: &[SetPartReport]) -> String {
    let mut text = "  a set of frames with a split of its own\n".to_owned();
    for part in parts {
        let range = match (part.lowest, part.highest) {
            (Some(lowest), Some(highest)) => format!("pitches {lowest}–{highest}"),
            _ => "no note".to_owned(),
        };
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "  {:<9}{}, {} ({} of them empty), {}, {range}",
            part.part,
            count(part.pieces, "piece"),
            count(part.frames, "frame"),
            thousands(part.rests as u64),
            count(part.notes, "note")
        );
    }
    text
}

fn file_words(file: &FileReport) -> String {
    if !file.set.is_empty() {
        return set_words(&file.set);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9}{value}");
    };
    if !file.title.is_empty() {
        line("title", file.title.clone());
    }
    let drums = if file.drum_notes > 0 {
        format!(", {} of them drums", file.drum_notes)
    } else {
        String::new()
    };
    // A conductor's track has no notes, and one track may hold several parts.
    let n_parts = file.parts.iter().filter(|part| part.notes > 0).count();
    let parts = if n_parts > 0 { format!(" in {}", count(n_parts, "part")) } else { String::new() };
    line("notes", format!("{}{drums}{parts}", count(file.notes, "note")));
    for part in &file.parts {
        let name = if part.name.is_empty() { "(no name)" } else { &part.name };
        line("", format!("{name}: channel {}, {}", part.channel, count(part.notes, "note")));
    }
    line("tracks", file.tracks.to_string());
    line("length", clock(file.seconds));
    let changes = |number: usize| {
        if number == 0 { String::new() } else { format!(", {} after it", count(number, "change")) }
    };
    line("tempo", format!("{:.1} quarters a minute{}", file.tempo, changes(file.tempo_changes)));
    line("meter", format!("{}{}", file.meter, changes(file.meter_changes)));
    if let Some(key) = &file.key {
        line("key", format!("{key} (estimated)"));
    }
    line(
        "pedal",
        if file.pedal == 0 {
            "none".to_owned()
        } else {
            format!("down {}", count(file.pedal, "time"))
        },
    );
    if let Some(takes) = file.takes {
        line("takes", if takes == 0 { "none".to_owned() } else { takes.to_string() });
    }
    for warning in &file.warnings {
        line("warning", warning.clone());
    }
    text
}
