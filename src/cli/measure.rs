//! `etude evaluate --music`: what composed music measures like, beside the music it was learned
//! from.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::args::EvaluateArgs;
use super::evaluate::run_of;
use super::failure::Failure;
use super::generate::load_model;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output, clock, count};
use super::tokenize::SkippedReport;
use crate::assets::pieces;
use crate::cancel::CancelToken;
use crate::tokens::measures::{
    ChordChanges, Measure, Measures, SharedPassage, Summary, SurveyPlan, Surveyed, Transposing,
    longest_shared, survey_file, survey_score,
};
use crate::tokens::{FrameRate, FramingPlan, Skipped, file_of_piece, find_files, none_of};

#[derive(Serialize)]
struct Report {
    /// Frames in a second of music.
    fps: f64,
    /// The rate at which a model read the corpus, where shared passages were sought too.
    learned_fps: Option<f64>,
    takes: Vec<TakeReport>,
    /// By [`Measure::key`].
    composed: BTreeMap<&'static str, Summary>,
    corpus: Option<CorpusReport>,
    /// The measures whose mean lies outside the middle 80 % of the corpus.
    outside: Vec<&'static str>,
    skipped: Vec<SkippedReport>,
}

#[derive(Serialize)]
struct TakeReport {
    path: String,
    seconds: f64,
    notes: usize,
    /// By [`Measure::key`]; null where there is too little music for it.
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Option<f64>>,
    /// The longest passage it shares with any piece of the corpus, as it stands and in any key;
    /// null without a corpus, and where they have no chord in common.
    shared: Option<SharedReport>,
    shared_any_key: Option<SharedReport>,
    /// Whether the file is one of the corpus, so that it wasn't compared with itself.
    of_corpus: bool,
}

#[derive(Serialize)]
struct CorpusReport {
    pieces: usize,
    /// Seconds of a window; null when whole pieces were measured.
    window_seconds: Option<f64>,
    windows: usize,
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Summary>,
}

#[derive(Serialize)]
struct SharedReport {
    /// Different chords in succession, however long each is held and whatever rests lie between.
    chords: usize,
    piece: String,
    /// Where it begins.
    piece_seconds: f64,
    take_seconds: f64,
    /// By how much the take is higher.
    semitones: i32,
    /// Frames in a second that the piece was read at, and whether that is how the model read it.
    piece_fps: f64,
    as_learned: bool,
}

/// What composed music is compared with.
enum Corpus {
    Files(Vec<PathBuf>),
    BuiltIn,
}

pub fn run(args: &EvaluateArgs, output: &Output) -> Result<(), Failure> {
    let cancel = cancelled_by_interrupt();
    let (corpus, learned) = corpus_of(args, *output)?;
    let fps = args.fps.unwrap_or(FrameRate::OUTPUT_DEFAULT);
    let plan = SurveyPlan { fps, window_secs: None, learned: None };
    let found = find_files(&args.music, &cancel)?;
    let (takes, mut skipped) = survey_files(&found.files, &plan, "measuring", &cancel)?;
    skipped.extend(found.skipped);
    note_skipped(&skipped, *output);
    if takes.is_empty() {
        return Err(none_to_measure(&skipped, "choose MIDI files with notes"));
    }
    let Some(corpus) = corpus else {
        let report = report(fps, &takes, None, &skipped);
        return output.result(&report, || words(&report));
    };
    let window_secs = match args.window {
        Some(secs) => (secs > 0.0).then_some(secs),
        None => Some(median_secs(&takes)),
    };
    let plan = SurveyPlan { window_secs, learned, ..plan };
    let pieces = survey_corpus(&corpus, &plan, &cancel, *output, &mut skipped)?;
    let found = shared_passages(&takes, &pieces, &cancel)?;
    let beside = Beside { pieces: &pieces, plan: &plan, found };
    let report = report(fps, &takes, Some(beside), &skipped);
    output.result(&report, || words(&report))
}

/// The music to compare with, if any is named, and how the model read it.
fn corpus_of(
    args: &EvaluateArgs,
    output: Output,
) -> Result<(Option<Corpus>, Option<FramingPlan>), Failure> {
    let named = (!args.corpus.is_empty()).then(|| Corpus::Files(args.corpus.clone()));
    let Some(model) = &args.model else { return Ok((named, None)) };
    let Some(run) = run_of(model) else {
        let learned = load_model(model, output)?.card().plan;
        return match named {
            Some(corpus) => Ok((Some(corpus), Some(learned))),
            None => Err(Failure::failed(format!(
                "{} doesn't say where the music lies that it learned from, and it lies in no run that \
                 does — name the folder with --corpus, or any music to compare with (or leave --model \
                 out for the numbers alone)",
                model.display()
            ))),
        };
    };
    let learned = Some(run.settings.framing_plan());
    if named.is_some() {
        return Ok((named, learned));
    }
    let is_learned = |parts: &[String]| parts.iter().any(|part| part == "train");
    let files = run.corpus.files.iter().filter(|file| is_learned(&file.parts));
    let files: Vec<PathBuf> = files.map(|file| PathBuf::from(&file.path)).collect();
    if let Some(piece) = files.iter().find(|path| file_of_piece(path) != path.as_path()) {
        return Err(Failure::failed(format!(
            "{} learned from {}, whose frames have no time and no velocity — name music to compare \
             with by --corpus",
            model.display(),
            file_of_piece(piece).display()
        )));
    }
    let is_built_in = run.corpus.paths().is_empty();
    Ok((Some(if is_built_in { Corpus::BuiltIn } else { Corpus::Files(files) }), learned))
}

fn survey_corpus(
    corpus: &Corpus,
    plan: &SurveyPlan,
    cancel: &CancelToken,
    output: Output,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Surveyed>, Failure> {
    let surveyed = match corpus {
        Corpus::BuiltIn => {
            let surveyed = pieces().par_iter().map(|(name, score)| survey_score(name, score, plan));
            surveyed.filter_map(Result::ok).collect()
        }
        Corpus::Files(paths) => {
            let found = find_files(paths, cancel)?;
            let (surveyed, bad) = survey_files(&found.files, plan, "reading the corpus", cancel)?;
            let bad: Vec<Skipped> = bad.into_iter().chain(found.skipped).collect();
            note_skipped(&bad, output);
            if surveyed.is_empty() {
                return Err(none_to_measure(
                    &bad,
                    "name MIDI files, or a folder of them, by --corpus",
                ));
            }
            skipped.extend(bad);
            surveyed
        }
    };
    Ok(surveyed)
}

/// None of some files can be measured, for this reason or the other.
fn none_to_measure(skipped: &[Skipped], advice: &str) -> Failure {
    let reason = skipped.first().map_or("", |skipped| skipped.reason.as_str());
    let which = match skipped {
        [one] => format!("{} can't", one.path.display()),
        _ => none_of(skipped.len()),
    };
    // What the reason of one file advises is advised here for all.
    let reason = reason.split(" — ").next().unwrap_or(reason);
    Failure::failed(format!("{which} be measured ({reason}) — {advice}"))
}

/// The files in their order, and those that can't be measured.
fn survey_files(
    files: &[PathBuf],
    plan: &SurveyPlan,
    what: &'static str,
    cancel: &CancelToken,
) -> Result<(Vec<Surveyed>, Vec<Skipped>), Failure> {
    let meter = std::sync::Mutex::new(Meter::new(what, files.len() as u64));
    let n_done = AtomicU64::new(0);
    let survey = |path: &PathBuf| {
        if cancel.is_cancelled() {
            return None;
        }
        let surveyed = survey_file(path, plan);
        let n_done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
        // Progress is not worth waiting for: another thread is drawing.
        if let Ok(mut meter) = meter.try_lock() {
            meter.set(n_done, || format!("{n_done} of {} files", files.len()));
        }
        Some(surveyed.map_err(|reason| Skipped { path: path.clone(), reason }))
    };
    let surveyed: Option<Vec<_>> = files.par_iter().map(survey).collect();
    drop(meter);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for surveyed in surveyed.ok_or_else(stopped)? {
        match surveyed {
            Ok(surveyed) => good.push(surveyed),
            Err(skipped) => bad.push(skipped),
        }
    }
    Ok((good, bad))
}

fn note_skipped(skipped: &[Skipped], output: Output) {
    for Skipped { path, reason } in skipped {
        output.note(&format!("skipped {}: {reason}", path.display()));
    }
}

fn stopped() -> Failure {
    Failure::Interrupted("stopped before the measurement was whole".to_owned())
}

/// Half of the takes are shorter.
fn median_secs(takes: &[Surveyed]) -> f64 {
    let mut secs: Vec<f64> = takes.iter().map(|take| take.end_secs).collect();
    secs.sort_by(f64::total_cmp);
    secs[secs.len() / 2]
}

/// What a take shares with the corpus: as it stands, and in any key.
type Found = [Option<SharedReport>; 2];

fn shared_passages(
    takes: &[Surveyed],
    pieces: &[Surveyed],
    cancel: &CancelToken,
) -> Result<Vec<Found>, Failure> {
    let found: Vec<Found> = takes
        .par_iter()
        .map(|take| {
            [Transposing::Same, Transposing::Any]
                .map(|how| shared_passage(take, pieces, how, cancel))
        })
        .collect();
    if cancel.is_cancelled() { Err(stopped()) } else { Ok(found) }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The longest passage at any of the rates that the pieces were read at.
fn shared_passage(
    take: &Surveyed,
    pieces: &[Surveyed],
    how: Transposing,
    cancel: &CancelToken,
) -> Option<SharedReport> {
    let (take_fps, changes) = take.changes.first()?;
    let (path, n_rates) = (real(&take.path), pieces.first()?.changes.len());
    // A file of the corpus shares everything with itself; a copy of it is found.
    let is_other = |idx: usize| real(&pieces[idx].path) != path;
    let mut longest: Option<(SharedPassage, usize)> = None;
    for rate in 0..n_rates {
        let read: Vec<&ChordChanges> = pieces.iter().map(|piece| &piece.changes[rate].1).collect();
        if let Some(found) = longest_shared(changes, &read, is_other, how, cancel)
            && longest.is_none_or(|(longest, _)| found.n_chords > longest.n_chords)
        {
            longest = Some((found, rate));
        }
    }
    let (found, rate) = longest?;
    let piece = &pieces[found.piece];
    let piece_fps = piece.changes[rate].0;
    let secs = |frame: u32, fps: FrameRate| f64::from(frame) / fps.per_second();
    Some(SharedReport {
        chords: found.n_chords,
        piece: piece.path.display().to_string(),
        piece_seconds: piece.begin_secs + secs(found.in_piece.frame, piece_fps),
        take_seconds: take.begin_secs + secs(found.in_take.frame, *take_fps),
        semitones: found.semitones,
        piece_fps: piece_fps.per_second(),
        // The first rate is that of the measures.
        as_learned: rate > 0,
    })
}

/// A corpus and what the takes share with it.
struct Beside<'a> {
    pieces: &'a [Surveyed],
    plan: &'a SurveyPlan,
    found: Vec<Found>,
}

fn report(
    fps: FrameRate,
    takes: &[Surveyed],
    beside: Option<Beside<'_>>,
    skipped: &[Skipped],
) -> Report {
    let composed: Vec<Measures> = takes.iter().map(|take| take.whole).collect();
    let composed = summaries(&composed);
    let learned_fps = beside.as_ref().and_then(|beside| beside.plan.learned);
    let corpus = beside.as_ref().map(corpus_report);
    let outside = Measure::ALL.into_iter().map(Measure::key).filter(|key| {
        let usual = corpus.as_ref().and_then(|corpus| corpus.measures.get(key));
        match (composed.get(key), usual) {
            // One window alone has no middle.
            (Some(composed), Some(usual)) => usual.count > 1 && !usual.contains(composed.mean),
            _ => false,
        }
    });
    let pieces = beside.as_ref().map_or(&[][..], |beside| beside.pieces);
    let corpus_paths: HashSet<PathBuf> = pieces.iter().map(|piece| real(&piece.path)).collect();
    let mut found = beside.map_or(Vec::new(), |beside| beside.found).into_iter();
    let take_report = |take: &Surveyed| {
        let [shared, shared_any_key] = found.next().unwrap_or_default();
        TakeReport {
            path: take.path.display().to_string(),
            seconds: take.end_secs,
            notes: take.n_notes,
            measures: Measure::ALL
                .into_iter()
                .map(|measure| (measure.key(), take.whole.get(measure)))
                .collect(),
            shared,
            shared_any_key,
            of_corpus: corpus_paths.contains(&real(&take.path)),
        }
    };
    Report {
        fps: fps.per_second(),
        learned_fps: learned_fps.map(|plan| plan.rate.per_second()),
        outside: outside.collect(),
        takes: takes.iter().map(take_report).collect(),
        composed,
        corpus,
        skipped: skipped.iter().map(Into::into).collect(),
    }
}

fn corpus_report(beside: &Beside<'_>) -> CorpusReport {
    let windows: Vec<Measures> =
        beside.pieces.iter().flat_map(|piece| piece.windows.clone()).collect();
    let whole: Vec<Measures> = beside.pieces.iter().map(|piece| piece.whole).collect();
    // Where all pieces are shorter than half a window, there is none.
    let window_seconds = beside.plan.window_secs.filter(|_| !windows.is_empty());
    let measured = if window_seconds.is_some() { windows } else { whole };
    CorpusReport {
        pieces: beside.pieces.len(),
        window_seconds,
        windows: measured.len(),
        measures: summaries(&measured),
    }
}

fn summaries(measured: &[Measures]) -> BTreeMap<&'static str, Summary> {
    let summary = |measure: Measure| {
        let values = measured.iter().filter_map(|measures| measures.get(measure));
        Some((measure.key(), Summary::new(values)?))
    };
    Measure::ALL.into_iter().filter_map(summary).collect()
}

/// What stands over the columns from the first to the last decile.
const MIDDLE: &str = "middle 80 %";

fn words(report: &Report) -> String {
    let mut lines = vec![heading(report)];
    let title = |what: &str, n: usize| format!("{what:>8} {:>17}", if n > 1 { MIDDLE } else { "" });
    let n_takes = report.takes.len();
    let titles = match &report.corpus {
        Some(corpus) => {
            format!("{}    {}", title("composed", n_takes), title("corpus", corpus.windows))
        }
        None => title(if n_takes > 1 { "mean" } else { "" }, n_takes),
    };
    lines.push(format!("  {:<27}{titles}", ""));
    for measure in Measure::ALL {
        let Some(composed) = report.composed.get(measure.key()) else { continue };
        let mark = if report.outside.contains(&measure.key()) { "*" } else { " " };
        let mut line = format!("{mark} {:<27}{}", measure.label(), numbers(composed));
        let usual = report.corpus.as_ref().and_then(|corpus| corpus.measures.get(measure.key()));
        if let Some(usual) = usual {
            line.push_str(&format!("    {}", numbers(usual)));
        }
        lines.push(line);
    }
    if !report.outside.is_empty() {
        let what = if n_takes > 1 { "the mean lies" } else { "lies" };
        lines.push(format!("* {what} outside the {MIDDLE} of the corpus"));
    }
    let run = |take: &&TakeReport| take.measures[Measure::LongestRun.key()].unwrap_or(0.0);
    if n_takes > 1
        && let Some(take) = report.takes.iter().max_by(|a, b| run(a).total_cmp(&run(b)))
    {
        lines.push(format!("longest identical run of all: {:.2} s, in {}", run(&take), take.path));
    }
    lines.extend(shared_heading(report));
    lines.extend(shared_words("as it stands", report, |take| take.shared.as_ref()));
    lines.extend(shared_words("in any key", report, |take| take.shared_any_key.as_ref()));
    let n_of_corpus = report.takes.iter().filter(|take| take.of_corpus).count();
    if n_of_corpus > 0 {
        let what = count(n_of_corpus, "file");
        lines.push(format!(
            "no passage was sought in the file itself of {what} that the corpus has too"
        ));
    }
    let lines = lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// How the corpus was read for shared passages, where that was in two ways.
fn shared_heading(report: &Report) -> Option<String> {
    report.corpus.as_ref()?;
    Some(format!(
        "shared passages were sought in the corpus at {} frames a second, and as the model read it, at {}",
        report.fps, report.learned_fps?
    ))
}

fn heading(report: &Report) -> String {
    let n = report.takes.len();
    let secs = report.takes.iter().map(|take| take.seconds).sum::<f64>() / n as f64;
    let takes = match n {
        1 => format!("{}, {}", count(n, "piece"), clock(secs)),
        _ => format!("{}, {} each on average", count(n, "piece"), clock(secs)),
    };
    let beside = report.corpus.as_ref().map_or_else(String::new, |corpus| {
        let pieces = count(corpus.pieces, "piece");
        match corpus.window_seconds {
            Some(secs) => {
                let windows = count(corpus.windows, "window");
                format!(", beside {pieces} in {windows} of {}", clock(secs))
            }
            None => format!(", beside {pieces}"),
        }
    });
    format!("{takes}{beside}; {} frames a second", report.fps)
}

/// A mean and the middle of what it is the mean of; of one number there is no middle.
fn numbers(summary: &Summary) -> String {
    let range = match summary.count {
        1 => String::new(),
        _ => format!("{:.2} – {:.2}", summary.low, summary.high),
    };
    format!("{:>8.2} {range:>17}", summary.mean)
}

/// The longest of all takes, the mean, and where it stands.
fn shared_words<'a>(
    what: &str,
    report: &'a Report,
    shared: impl Fn(&'a TakeReport) -> Option<&'a SharedReport>,
) -> Option<String> {
    let mut longest: Option<(&TakeReport, &SharedReport)> = None;
    let mut n_chords = Vec::new();
    for take in &report.takes {
        let Some(found) = shared(take) else { continue };
        n_chords.push(found.chords);
        if longest.is_none_or(|(_, longest)| found.chords > longest.chords) {
            longest = Some((take, found));
        }
    }
    let (take, found) = longest?;
    let mean = match report.takes.len() {
        1 => String::new(),
        n => format!(" ({:.1} on average)", n_chords.iter().sum::<usize>() as f64 / n as f64),
    };
    let higher = match found.semitones {
        0 => String::new(),
        n if n > 0 => format!(", {} higher", count(n as usize, "semitone")),
        n => format!(", {} lower", count(n.unsigned_abs() as usize, "semitone")),
    };
    Some(format!(
        "longest shared passage, {what}: {}{mean}; {} from {} is {} from {}{higher}{}",
        count(found.chords, "chord"),
        take.path,
        clock(found.take_seconds),
        found.piece,
        clock(found.piece_seconds),
        if found.as_learned { ", as the model read it" } else { "" },
    ))
}
