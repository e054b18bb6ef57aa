//! `etude tokenize`: pieces as numbers.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::args::TokenizeArgs;
use super::failure::Failure;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output, clock, count};
use super::paths::{
    already_there, cannot_write, check_is_not_input, check_output_file, has_extension,
    note_replaced,
};
use crate::cancel::CancelToken;
use crate::files::{cache_dir, write_atomically};
use crate::tokens::{
    ChordVocabulary, Corpus, CorpusError, Encoding, FrameRate, Framing, FramingPlan, Grid, Music,
    MusicPlan, Pedalling, Skipped, Token, VocabularyLimits,
};

/// Lines about single files before they are only counted.
const MAX_NOTES: usize = 30;

#[derive(Serialize)]
struct Report {
    /// Files that were read.
    files: usize,
    skipped: Vec<SkippedReport>,
    warnings: Vec<SkippedReport>,
    frames: usize,
    vocabulary: usize,
    /// The time it took.
    seconds: f64,
    notes: usize,
    music_seconds: f64,
    /// Share of the frames whose own chord is in the vocabulary, 0–1.
    coverage: f64,
    out: Option<String>,
}

/// A file that was left out, or read with a warning.
#[derive(Serialize)]
pub struct SkippedReport {
    pub path: String,
    pub reason: String,
}

impl From<&Skipped> for SkippedReport {
    fn from(skipped: &Skipped) -> Self {
        Self { path: skipped.path.display().to_string(), reason: skipped.reason.clone() }
    }
}

/// What `--out` holds.
#[derive(Serialize)]
struct TokenFile {
    fps: f64,
    /// `seconds`, or the note that a frame is.
    grid: String,
    /// The pitches of each token's chord.
    vocabulary: Vec<Vec<u8>>,
    songs: Vec<Song>,
}

#[derive(Serialize)]
struct Song {
    path: String,
    tokens: Vec<Token>,
}

pub fn run(args: &TokenizeArgs, output: &Output) -> Result<(), Failure> {
    if let Some(out) = &args.out {
        check_is_not_input(out, &args.paths)?;
        check_output_file(out)?;
        // A file of the folder that is read would otherwise be replaced.
        if has_extension(out, &["mid", "midi", "kar", "rmi", "etude"]) {
            return Err(Failure::words(format!(
                "“{}” says that it is music, and tokens are JSON — end its name in .json",
                out.display()
            )));
        }
    }
    let cancel = cancelled_by_interrupt();
    let began = Instant::now();
    let pedalling = if args.pedal { Pedalling::Sustained } else { Pedalling::Keys };
    let plan = FramingPlan {
        rate: args.fps.unwrap_or(FrameRate::INPUT_DEFAULT),
        framing: args.framing.map_or(Framing::Nearest, Into::into),
        grid: args.grid.unwrap_or(Grid::Seconds),
        pedalling,
    };
    let music = read(&args.paths, &plan.into(), &cancel, *output)?;
    let is_set = music.set().is_some();
    if is_set {
        let given = [
            ("--fps", args.fps.is_some()),
            ("--grid", args.grid.is_some()),
            ("--framing", args.framing.is_some()),
            ("--pedal", args.pedal),
        ];
        note_idle_framing(&given, *output);
    }
    let corpus = music.chords();
    let everything: Vec<usize> = (0..corpus.pieces.len()).collect();
    let limits = VocabularyLimits { max_chords: args.max_vocabulary, min_count: args.min_count };
    let encoding = Encoding::new(&corpus, &everything, limits, 0);
    // The rest is always there.
    if encoding.vocabulary.len() < 2 {
        return Err(Failure::failed(format!(
            "no chord of the music is there {} times, so the vocabulary would be empty — give a \
             smaller --min-count",
            args.min_count
        )));
    }
    if let Some(out) = &args.out {
        let replaced = already_there([out.clone()]);
        write(out, &corpus, &encoding)?;
        note_replaced(&replaced, *output);
    }
    let report = Report {
        files: corpus.pieces.len(),
        skipped: corpus.skipped.iter().map(Into::into).collect(),
        warnings: corpus
            .warnings
            .iter()
            .map(|(path, reason)| SkippedReport {
                path: path.display().to_string(),
                reason: reason.clone(),
            })
            .collect(),
        frames: corpus.n_frames(),
        vocabulary: encoding.vocabulary.len(),
        seconds: began.elapsed().as_secs_f64(),
        notes: corpus.pieces.iter().map(|piece| piece.n_notes).sum(),
        music_seconds: corpus.duration_secs(),
        coverage: encoding.coverage(&corpus, &everything),
        out: args.out.as_ref().map(|out| out.display().to_string()),
    };
    output.result(&report, || words(&report, is_set))
}

fn words(report: &Report, is_set: bool) -> String {
    // A step of a set is no stretch of time.
    let length = match is_set {
        true => String::new(),
        false => format!(", {} of music", clock(report.music_seconds)),
    };
    format!(
        "{}{length}, {}: {}, {} ({:.1} % of the frames), read in {:.2} s",
        count(report.files, "piece"),
        count(report.notes, "note"),
        count(report.frames, "frame"),
        count(report.vocabulary, "chord"),
        100.0 * report.coverage,
        report.seconds
    )
}

/// Says which of these flags, if they were given, count for nothing with a set of frames.
pub fn note_idle_framing(flags: &[(&str, bool)], output: Output) {
    let given = flags.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| *flag);
    let given: Vec<&str> = given.collect();
    let subject = match given.as_slice() {
        [] => return,
        [only] => format!("{only} changes"),
        [first @ .., last] => format!("{} and {last} change", first.join(", ")),
    };
    output.note(&format!("{subject} no frame here: each is a step of the set, not of time"));
}

/// Reads with progress, and says what was skipped.
pub fn read(
    paths: &[std::path::PathBuf],
    plan: &MusicPlan,
    cancel: &CancelToken,
    output: Output,
) -> Result<Music, Failure> {
    let meter = std::sync::Mutex::new(Meter::new("reading", 0));
    let music = plan.read(paths, Some(&cache_dir()), cancel, &|progress| {
        // Progress is not worth waiting for: another thread is drawing.
        if let Ok(mut meter) = meter.try_lock() {
            meter.set_total(progress.n_files as u64);
            meter.set(progress.n_done as u64, || {
                format!("{} of {} files", progress.n_done, progress.n_files)
            });
        }
    });
    drop(meter);
    let music = music.map_err(|error| match error {
        CorpusError::Cancelled => Failure::Interrupted("stopped; nothing was changed".to_owned()),
        error => error.into(),
    })?;
    let skipped =
        music.skipped().iter().map(|skipped| (&skipped.path, "skipped ", &skipped.reason));
    let warned = music.warnings().iter().map(|(path, text)| (path, "", text));
    let notes: Vec<_> = skipped.chain(warned).collect();
    for (path, what, text) in notes.iter().take(MAX_NOTES) {
        output.note(&format!("{what}{}: {text}", path.display()));
    }
    if let Some(more) = notes.len().checked_sub(MAX_NOTES).filter(|more| *more > 0) {
        output.note(&format!(
            "and {} more about single files (`etude tokenize PATH... --json` lists them all)",
            count(more, "line")
        ));
    }
    Ok(music)
}

fn write(out: &Path, corpus: &Corpus, encoding: &Encoding) -> Result<(), Failure> {
    let file = TokenFile {
        fps: corpus.plan.rate.per_second(),
        grid: corpus.plan.grid.to_string(),
        vocabulary: pitch_lists(&encoding.vocabulary),
        songs: corpus
            .pieces
            .iter()
            .map(|piece| Song {
                path: piece.path.display().to_string(),
                tokens: piece.chords.iter().map(|&chord| encoding.input[chord as usize]).collect(),
            })
            .collect(),
    };
    write_atomically(out, &serde_json::to_vec(&file)?).map_err(|error| cannot_write(out, &error))
}

fn pitch_lists(vocabulary: &ChordVocabulary) -> Vec<Vec<u8>> {
    let numbers =
        |chord: &crate::tokens::Chord| chord.pitches().map(crate::music::Pitch::number).collect();
    vocabulary.chords().iter().map(numbers).collect()
}
