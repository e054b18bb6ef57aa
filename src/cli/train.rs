//! `etude train`: learning from a folder of music.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::failure::Failure;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output, clock, count, perplexity, thousands};
use super::paths::check_output_folder;
use super::tokenize::read;
use super::train_args::TrainArgs;
use crate::assets::piece_scores;
use crate::cancel::CancelToken;
use crate::model::{
    EpochPoint, Outcome, Prepared, Run, TrainError, TrainEvent, TrainRequest, TrainSummary,
    TrainingSettings, train,
};
use crate::tokens::{Corpus, read_sources};

/// One line an epoch.
#[derive(Serialize)]
struct EpochLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    point: &'a EpochPoint,
}

/// The last line.
#[derive(Serialize)]
struct FinishedLine<'a> {
    event: &'static str,
    run: String,
    #[serde(flatten)]
    summary: &'a TrainSummary,
}

pub fn run(args: &TrainArgs, output: &Output) -> Result<(), Failure> {
    check_run_folder(args)?;
    let resumed = if args.resume { Some(Run::read(&args.out)?.summary) } else { None };
    // A run that goes on keeps its settings and its music, unless words say otherwise.
    let base = resumed.as_ref().map_or_else(|| args.preset(), |run| run.settings.clone());
    let settings = args.settings(base);
    settings.validate().map_err(|error| Failure::words(error.to_string()))?;
    let mut paths = args.paths.clone();
    if let (true, Some(run)) = (paths.is_empty(), &resumed) {
        paths = run.corpus.files.iter().map(|file| file.path.clone().into()).collect();
    }
    let cancel = cancelled_by_interrupt();
    let corpus = Arc::new(corpus(&paths, &settings, &cancel, *output)?);
    let request = TrainRequest {
        corpus,
        settings,
        run_dir: args.out.clone(),
        resume: args.resume,
        device: args.device,
    };
    let mut watch = Watch { output: *output, meter: Meter::new("training", 0), printed: Ok(()) };
    let summary = train(&request, &cancel, &mut |event| watch.on(event))?;
    watch.meter.finish();
    let run = args.out.display().to_string();
    let finished = FinishedLine { event: "finished", run: run.clone(), summary: &summary };
    let printed = std::mem::replace(&mut watch.printed, Ok(()))
        .and_then(|()| output.result(&finished, || summary_words(&summary, &run)));
    match (summary.outcome, printed) {
        // Ctrl+C may well have ended the reader of the results too: it is still what happened.
        (Outcome::Cancelled, Ok(()) | Err(Failure::Unread)) => Err(Failure::Interrupted(format!(
            "stopped; what was learned is in {run} (go on with --resume)"
        ))),
        (_, printed) => printed,
    }
}

/// Refused before the music is read, which may take a while.
fn check_run_folder(args: &TrainArgs) -> Result<(), Failure> {
    match (args.out.exists(), args.resume) {
        (true, false) => Err(TrainError::RunExists(args.out.clone()).into()),
        (false, true) => Err(Failure::failed(format!(
            "there is no run at {} to go on with — check --out, or leave --resume away",
            args.out.display()
        ))),
        _ => check_output_folder(&args.out),
    }
}

/// The pieces named, or those in the binary, whose names stand in angle brackets.
fn corpus(
    paths: &[PathBuf],
    settings: &TrainingSettings,
    cancel: &CancelToken,
    output: Output,
) -> Result<Corpus, Failure> {
    let plan = settings.framing_plan();
    let is_built_in = |path: &PathBuf| path.to_string_lossy().starts_with('<');
    let corpus = if paths.iter().all(is_built_in) {
        output.note("learning from the built-in pieces");
        read_sources(&piece_scores(), &plan)?
    } else {
        read(paths, &plan, cancel, output)?
    };
    output.note(&format!(
        "read {}, {} of music, {} frames, {} chords",
        count(corpus.pieces.len(), "piece"),
        clock(corpus.duration_secs()),
        thousands(corpus.n_frames() as u64),
        thousands(corpus.chords.len() as u64)
    ));
    Ok(corpus)
}

/// Follows a run: lines on standard output, a bar and notes on standard error.
struct Watch {
    output: Output,
    meter: Meter,
    /// The first failure to print, reported once the run has ended.
    printed: Result<(), Failure>,
}

impl Watch {
    fn on(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Prepared(prepared) => self.meter.note(&prepared_words(&prepared)),
            TrainEvent::Step(point) => {
                self.meter.set_total(point.total_steps as u64);
                self.meter.set(point.step as u64, || {
                    format!(
                        "epoch {}, loss {:.3}, {} frames/s, {} left",
                        point.epoch,
                        point.loss,
                        thousands(point.frames_per_second as u64),
                        clock(point.secs_left)
                    )
                });
            }
            TrainEvent::Epoch(point) => self.print_epoch(&point),
            TrainEvent::Note(text) => self.meter.note(&text),
            TrainEvent::Weights(_) => {}
        }
    }

    fn print_epoch(&mut self, point: &EpochPoint) {
        let line = EpochLine { event: "epoch", point };
        let output = self.output;
        let printed = self.meter.suspend(|| output.result(&line, || epoch_words(point)));
        if self.printed.is_ok() {
            self.printed = printed;
        }
    }
}

fn prepared_words(prepared: &Prepared) -> String {
    let base = &prepared.baselines;
    format!(
        "computing on {}; {} weights, {} chords ({:.1} % of the held-out frames), about {} MB of memory\n\
         learning from {} frames, {} held out{}; {} of {} sequences an epoch\n\
         to beat: perplexity {} by counting chords, {} with some repeating; repeating is right {:.1} % of the time",
        prepared.device,
        thousands(prepared.parameters as u64),
        thousands(prepared.vocabulary as u64),
        100.0 * prepared.coverage,
        thousands(prepared.memory_bytes / 1_000_000),
        thousands(prepared.train_frames as u64),
        thousands(prepared.valid_frames as u64),
        if prepared.test_frames > 0 {
            format!(" and {} for the test at the end", thousands(prepared.test_frames as u64))
        } else {
            String::new()
        },
        count(prepared.steps_per_epoch, "step"),
        prepared.batch,
        perplexity(base.unigram_perplexity),
        perplexity(base.mixed_perplexity),
        100.0 * base.repeat_accuracy,
    )
}

fn epoch_words(point: &EpochPoint) -> String {
    format!(
        "epoch {:>3}  train perplexity {:>8}  held out {:>8}, {:>4.1} % right  {} frames/s  {}",
        point.epoch,
        perplexity(point.train_perplexity),
        perplexity(point.valid_perplexity),
        100.0 * point.valid_accuracy,
        thousands(point.frames_per_second as u64),
        clock(point.seconds),
    )
}

fn summary_words(summary: &TrainSummary, run: &str) -> String {
    let how = match summary.outcome {
        Outcome::Completed => "done",
        Outcome::StoppedEarly => {
            "stopped early, since the held-out music was no longer predicted better"
        }
        Outcome::Cancelled => "stopped",
    };
    let test = summary.test_perplexity.map_or_else(String::new, |test| {
        format!("\nperplexity on pieces that chose nothing: {}", perplexity(test))
    });
    format!(
        "{how}: best at epoch {}, held-out perplexity {} (the epoch was chosen by it; counting chords alone gets {}){test}\n{run}",
        summary.best_epoch,
        perplexity(summary.best_valid_perplexity),
        perplexity(summary.baselines.unigram_perplexity)
    )
}
