//! `etude train`: learning from a folder of music.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;
use super::generate::{is_starter, no_model};
use super::interrupt::cancelled_by_interrupt_or;
use super::output::{Meter, Output, clock, count, nats, perplexity, thousands};
use super::paths::check_output_folder;
use super::tokenize::{note_idle_framing, read};
use super::train_args::{PresetWord, Switch, TrainArgs};
use crate::assets::piece_scores;
use crate::cancel::CancelToken;
use crate::model::{
    EpochPoint, Origin, Outcome, Prepared, Run, StartingPoint, TrainEvent, TrainRequest,
    TrainSummary, TrainingSettings, check_before_reading, check_music, check_set,
    discard_unlearned, train,
};
use crate::tokens::Music;

/// One line an epoch.
#[derive(Serialize)]
struct EpochLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    point: &'a EpochPoint,
}

/// What the run went on from, before the first epoch.
#[derive(Serialize)]
struct StartLine<'a> {
    event: &'static str,
    from: Option<&'a Origin>,
    /// With an epoch of 0, and nothing of learning.
    #[serde(flatten)]
    point: &'a EpochPoint,
}

/// The last line.
#[derive(Serialize)]
struct FinishedLine<'a> {
    event: &'static str,
    run: String,
    /// What the run went on from; null for a fresh network.
    from: Option<&'a Origin>,
    /// Nats a frame, beside the perplexities of the same measurements.
    best_valid_loss: f64,
    test_loss: Option<f64>,
    #[serde(flatten)]
    summary: &'a TrainSummary,
}

pub fn run(args: &TrainArgs, output: &Output) -> Result<(), Failure> {
    check_switches(args)?;
    check_from(args)?;
    check_run_folder(args)?;
    let resumed = if args.resume { Some(Run::read(&args.out)?) } else { None };
    // A run that goes on keeps its settings and its music, unless words say otherwise.
    let from = args.from.as_deref().map(|path| starting_point(path, *output)).transpose()?;
    let base = match (&resumed, &from) {
        (Some(run), _) => run.summary.settings.clone(),
        (None, Some(from)) => from.settings(),
        (None, None) => args.preset(),
    };
    let settings = args.settings(base);
    if let Some(refusal) = args.misplaced(settings.model) {
        return Err(Failure::words(refusal));
    }
    settings.validate().map_err(|error| Failure::words(error.to_string()))?;
    if let Some(from) = &from {
        from.check(&settings).map_err(|error| Failure::words(error.to_string()))?;
    }
    check_before_reading(&settings, &args.out, args.resume, args.device)?;
    let has_begun = Arc::new(AtomicBool::new(false));
    let cancel = {
        let (out, has_begun) = (args.out.clone(), has_begun.clone());
        cancelled_by_interrupt_or(move || {
            if has_begun.load(Ordering::Relaxed) {
                discard_unlearned(&out);
            }
        })
    };
    let mut paths = args.paths.clone();
    if let Some(run) = &resumed {
        if let Some((why, summary)) = nothing_left(run, &settings) {
            // Other music than the run's is a mistake in any case.
            if !paths.is_empty() {
                check_music(run, &music(&paths, &settings, &cancel, *output)?)?;
            }
            output.note(&why);
            return print_finished(&summary, run.summary.from.as_ref(), args, *output);
        }
        if paths.is_empty() {
            paths = music_of(run)?;
        }
    }
    let music = music(&paths, &settings, &cancel, *output)?;
    if music.set().is_some() {
        note_idle_framing(&args.music.framing_flags(), *output);
    }
    let origin = match &resumed {
        Some(run) => run.summary.from.clone(),
        None => from.as_ref().map(|from| from.origin.clone()),
    };
    if let (Some(origin), None) = (&origin, &resumed) {
        output.note(&format!("going on from {} (SHA-256 {}…)", origin.name(), origin.short_hash()));
    }
    let request = TrainRequest {
        music,
        settings,
        from: from.map(Arc::new),
        run_dir: args.out.clone(),
        resume: args.resume,
        device: args.device,
    };
    let mut watch = Watch {
        output: *output,
        meter: Meter::new("training", 0),
        from: origin.as_ref(),
        printed: Ok(()),
    };
    let summary = train(&request, &cancel, &mut |event| {
        // From here on the folder is this training's own; one that goes on has learned something.
        if matches!(event, TrainEvent::Prepared(_)) && !args.resume {
            has_begun.store(true, Ordering::Relaxed);
        }
        watch.on(event);
    })?;
    watch.meter.finish();
    let printed = std::mem::replace(&mut watch.printed, Ok(()))
        .and_then(|()| print_finished(&summary, origin.as_ref(), args, *output));
    match (summary.outcome, printed) {
        // Ctrl+C may well have ended the reader of the results too: it is still what happened.
        (Outcome::Cancelled, Ok(()) | Err(Failure::Unread)) => {
            Err(Failure::Interrupted(match args.out.exists() {
                true => format!(
                    "stopped; what was learned is in {} (go on with --resume)",
                    args.out.display()
                ),
                false => "stopped before anything was learned; no run was kept".to_owned(),
            }))
        }
        (_, printed) => printed,
    }
}

fn print_finished(
    summary: &TrainSummary,
    from: Option<&Origin>,
    args: &TrainArgs,
    output: Output,
) -> Result<(), Failure> {
    let run = args.out.display().to_string();
    let finished = FinishedLine {
        event: "finished",
        run: run.clone(),
        from,
        best_valid_loss: summary.best_valid_perplexity.ln(),
        test_loss: summary.test_perplexity.map(f64::ln),
        summary,
    };
    output.result(&finished, || summary_words(summary, from, &run))
}

/// Why a run that is to go on has nothing left to do, with how it ended; none if it has.
fn nothing_left(run: &Run, settings: &TrainingSettings) -> Option<(String, TrainSummary)> {
    // One that was killed has its end still to come.
    let ending = run.summary.ending.clone()?;
    let (path, n_done) = (run.path.display(), run.metrics.last()?.epoch);
    if n_done >= settings.epochs {
        let why = format!(
            "nothing is left to do: {path} has learned for {}, and {} asked for — give --epochs more \
             than {n_done} to go on",
            count(n_done, "epoch"),
            if settings.epochs == 1 {
                "1 is".to_owned()
            } else {
                format!("{} are", settings.epochs)
            }
        );
        let outcome = match ending.outcome {
            Outcome::Cancelled => Outcome::Completed,
            outcome => outcome,
        };
        return Some((why, TrainSummary { outcome, ..ending }));
    }
    let patience = settings.early_stop?;
    let stays_stopped = ending.outcome == Outcome::StoppedEarly
        && run.summary.settings.early_stop.is_some_and(|before| patience <= before);
    stays_stopped.then(|| {
        let why = format!(
            "nothing is left to do: {path} stopped early after {}, since {patience} of them brought \
             nothing better — give --early-stop more than {patience}, or 0 for never, to go on",
            count(n_done, "epoch")
        );
        (why, ending)
    })
}

/// The files that a run learned from, as long as they are there.
fn music_of(run: &Run) -> Result<Vec<PathBuf>, Failure> {
    let paths = run.summary.corpus.paths();
    let gone: Vec<&PathBuf> = paths.iter().filter(|path| !path.exists()).collect();
    let which = match gone.as_slice() {
        [] => return Ok(paths),
        [only] => format!("{} is", only.display()),
        [first, rest @ ..] => {
            format!("{} and {} are", first.display(), count(rest.len(), "other file"))
        }
    };
    let run = run.path.display();
    Err(Failure::failed(format!(
        "{which} gone, and {run} learned from it — put it back, or say where the music is now (etude \
         train PATH... --out {run} --resume)"
    )))
}

/// A run that goes on has its start already, and the original's settings are those of a fresh network.
fn check_from(args: &TrainArgs) -> Result<(), Failure> {
    let Some(from) = args.from.as_ref().map(|from| from.display()) else { return Ok(()) };
    let out = args.out.display();
    if args.resume {
        return Err(Failure::words(format!(
            "--from {from} begins a new run, and --resume goes on with the one in {out} — leave one \
             of them out, and give the new run another --out"
        )));
    }
    if args.preset == PresetWord::Original {
        return Err(Failure::words(format!(
            "--preset original is how the original experiment taught a fresh network, and --from \
             {from} is none — leave one of them out"
        )));
    }
    Ok(())
}

fn starting_point(path: &Path, output: Output) -> Result<StartingPoint, Failure> {
    Ok(match is_starter(path) {
        true => StartingPoint::starter()?,
        false => StartingPoint::load(path, &mut |note| output.note(note))
            .map_err(|error| no_model(path, error))?,
    })
}

/// `--shuffle off` is a switch and then a file called off, since a switch may stand alone.
fn check_switches(args: &TrainArgs) -> Result<(), Failure> {
    let switches =
        [("--shuffle", args.learning.shuffle), ("--carry-state", args.learning.carry_state)];
    let given = switches.iter().filter(|(_, switch)| switch.is_some());
    let is_value = |path: &&PathBuf| {
        path.to_str().is_some_and(|word| Switch::from_str(word, true).is_ok()) && !path.exists()
    };
    let Some(word) = args.paths.iter().find(is_value).map(|path| path.display()) else {
        return Ok(());
    };
    let meant: Vec<String> = given.map(|(flag, _)| format!("{flag}={word}")).collect();
    if meant.is_empty() {
        return Ok(());
    }
    Err(Failure::words(format!(
        "“{word}” is no file or folder that is there — if it belongs to the switch before it, write \
         {} with an equals sign",
        meant.join(" or ")
    )))
}

/// Refused before the music is read, which may take a while.
fn check_run_folder(args: &TrainArgs) -> Result<(), Failure> {
    if args.resume && !args.out.exists() {
        return Err(Failure::failed(format!(
            "there is no run at {} to go on with — check --out, or leave --resume away",
            args.out.display()
        )));
    }
    check_output_folder(&args.out)
}

/// The pieces named, or those in the binary.
fn music(
    paths: &[PathBuf],
    settings: &TrainingSettings,
    cancel: &CancelToken,
    output: Output,
) -> Result<Music, Failure> {
    let plan = settings.music_plan();
    let music = if paths.is_empty() {
        output.note("learning from the built-in pieces");
        plan.read_sources(&piece_scores())?
    } else {
        read(paths, &plan, cancel, output)?
    };
    check_set(&music, settings).map_err(|error| Failure::words(error.to_string()))?;
    let chords = music.n_chords().map(|n_chords| format!(", {}", count(n_chords, "chord")));
    // A step of a set is no stretch of time.
    let length = match music.set() {
        Some(_) => String::new(),
        None => format!(", {} of music", clock(music.duration_secs())),
    };
    output.note(&format!(
        "read {}{length}, {}{}",
        count(music.n_pieces(), "piece"),
        count(music.n_frames(), "frame"),
        chords.unwrap_or_default()
    ));
    Ok(music)
}

/// Follows a run: lines on standard output, a bar and notes on standard error.
struct Watch<'a> {
    output: Output,
    meter: Meter,
    /// What the run goes on from.
    from: Option<&'a Origin>,
    /// The first failure to print, reported once the run has ended.
    printed: Result<(), Failure>,
}

impl Watch<'_> {
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
        let (output, from) = (self.output, self.from);
        let printed = self.meter.suspend(|| match point.epoch {
            0 => output.result(&StartLine { event: "start", from, point }, || start_words(point)),
            _ => output.result(&EpochLine { event: "epoch", point }, || epoch_words(point)),
        });
        if self.printed.is_ok() {
            self.printed = printed;
        }
    }
}

fn prepared_words(prepared: &Prepared) -> String {
    let base = &prepared.baselines;
    format!(
        "computing on {}; {} weights, {}, about {} MB of memory\n\
         learning from {}, {} held out{}; {} of {} an epoch\n\
         to beat: perplexity {} by counting {}, {} with some repeating; repeating is right {:.1} % of the time",
        prepared.device,
        thousands(prepared.parameters as u64),
        match prepared.vocabulary {
            0 => "no vocabulary".to_owned(),
            n_chords => format!(
                "{} ({:.1} % of the held-out frames)",
                count(n_chords, "chord"),
                100.0 * prepared.coverage
            ),
        },
        thousands(prepared.memory_bytes.div_ceil(1_000_000)),
        count(prepared.train_frames, "frame"),
        thousands(prepared.valid_frames as u64),
        if prepared.test_frames > 0 {
            format!(" and {} for the test at the end", thousands(prepared.test_frames as u64))
        } else {
            String::new()
        },
        count(prepared.steps_per_epoch, "step"),
        count(prepared.batch, "sequence"),
        perplexity(base.unigram_perplexity),
        what_is_counted(prepared.has_touch),
        perplexity(base.mixed_perplexity),
        100.0 * base.repeat_accuracy,
    )
}

/// What the baselines go by, which is what the loss is of.
fn what_is_counted(has_touch: bool) -> &'static str {
    if has_touch { "chords, strikes and lengths" } else { "chords" }
}

/// Above the epochs, and in their columns.
fn start_words(point: &EpochPoint) -> String {
    format!(
        "as it was  {:>25}  held out {:>8}, {} a frame, {:>4.1} % right{}",
        "",
        perplexity(point.valid_perplexity),
        nats(point.valid_loss),
        100.0 * point.valid_accuracy,
        touch_words(point.valid_velocity_loss, point.valid_pedal_loss),
    )
}

fn epoch_words(point: &EpochPoint) -> String {
    format!(
        "epoch {:>3}  train perplexity {:>8}  held out {:>8}, {} a frame, {:>4.1} % right  {} frames/s  {}{}",
        point.epoch,
        perplexity(point.train_perplexity),
        perplexity(point.valid_perplexity),
        nats(point.valid_loss),
        100.0 * point.valid_accuracy,
        thousands(point.frames_per_second as u64),
        clock(point.seconds),
        touch_words(point.valid_velocity_loss, point.valid_pedal_loss),
    )
}

/// What velocities and the pedal cost besides keys and lengths, where a model knows them.
fn touch_words(velocity: Option<f64>, pedal: Option<f64>) -> String {
    let (Some(velocity), Some(pedal)) = (velocity, pedal) else { return String::new() };
    format!(", besides {} a frame for velocities and {} for the pedal", nats(velocity), nats(pedal))
}

fn summary_words(summary: &TrainSummary, from: Option<&Origin>, run: &str) -> String {
    let how = match summary.outcome {
        Outcome::Completed if summary.ran_away => "done, but the loss ran away",
        Outcome::Completed => "done",
        Outcome::StoppedEarly => {
            "stopped early, since the held-out music was no longer predicted better"
        }
        Outcome::Cancelled => "stopped",
    };
    if summary.best_epoch == 0 && summary.best_valid_perplexity.is_nan() {
        return format!("{how} before an epoch was whole");
    }
    let which = match (from, summary.best_epoch) {
        (Some(from), 0) => {
            format!("no epoch was better than {}, which is what the run keeps", from.name())
        }
        (_, epoch) => format!("best at epoch {epoch}"),
    };
    let before = summary.from_valid_perplexity.filter(|_| summary.best_epoch > 0);
    let before = before
        .map_or_else(String::new, |before| format!(" ({} before the first)", perplexity(before)));
    let test = summary.test_perplexity.map_or_else(String::new, |test| {
        format!(
            "\nperplexity on pieces that chose nothing: {}, {} a frame{}",
            perplexity(test),
            nats(test.ln()),
            touch_words(summary.test_velocity_loss, summary.test_pedal_loss)
        )
    });
    let remedy = if summary.ran_away {
        "\nThe steps were too large: by the last epoch the music was predicted worse than by choosing \
         blindly. Train a new run with a lower --learning-rate and with --clip 1"
    } else {
        ""
    };
    let touch = touch_words(summary.best_valid_velocity_loss, summary.best_valid_pedal_loss);
    let counted = what_is_counted(!touch.is_empty());
    format!(
        "{how}: {which}, held-out perplexity {}{before}, {} a frame{touch} (the epoch was chosen by {}; counting {counted} alone gets {}){test}{remedy}\n{run}",
        perplexity(summary.best_valid_perplexity),
        nats(summary.best_valid_perplexity.ln()),
        if touch.is_empty() { "it" } else { "all of it together" },
        perplexity(summary.baselines.unigram_perplexity)
    )
}
