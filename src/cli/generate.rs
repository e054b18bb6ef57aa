//! `etude generate`: composing with a trained model.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::{GenerateArgs, StrategyWord};
use super::failure::Failure;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Meter, Output, clock, count, one_decimal, thousands};
use super::paths::{
    already_there, cannot_write, check_extension, check_is_not_input, check_output_file, named,
    note_replaced, numbered, read_piece,
};
use crate::files::write_atomically;
use crate::model::{
    CheckpointError, ComposeEvent, ComposeRequest, ComposeSettings, Guard, Model, ModelCard,
    NearSilence, PIANO, Prime, ReadPrime, Run, Strategy, Take, compose,
};
use crate::music::{Velocity, smf};
use crate::tokens::{Articulation, Chord, FrameRate, Playback, is_music};

/// What holds where nothing is given, as the help says. An option without a value of its own
/// tells whether it was given.
const BEAM_WIDTH: usize = 10;
const PRIME_FRAMES: usize = 32;
/// The same for a model with touch, whose frames are many to a second.
const PRIME_FRAMES_OF_TOUCH: usize = 128;

#[derive(Serialize)]
struct Report {
    takes: Vec<TakeReport>,
    /// Composed frames of all takes in a second of work.
    frames_per_second: f64,
}

#[derive(Serialize)]
struct TakeReport {
    path: String,
    seed: u64,
    /// Composed, without the prime.
    frames: usize,
    prime_frames: usize,
    notes: usize,
    log_likelihood: f64,
    /// The time it took.
    seconds: f64,
    /// Of the file, as `inspect` says it: until its last note ends.
    music_seconds: f64,
}

pub fn run(args: &GenerateArgs, output: &Output) -> Result<(), Failure> {
    for idx in 0..n_takes(args) {
        let path = take_path(args, idx);
        check_is_not_input(&path, args.prime.prime.as_slice())?;
        check_output_file(&path)?;
    }
    check_extension(&args.out, &["mid", "midi"])?;
    let outs = (0..n_takes(args)).map(|idx| take_path(args, idx));
    let there_before = already_there(outs);
    let settings = settings(args);
    settings.validate().map_err(|error| Failure::words(error.to_string()))?;
    if n_takes(args) < args.takes {
        output.note(&format!(
            "`max` always chooses what is likeliest, so there is one take instead of {}, {} — give \
             --strategy sample or beam for several",
            args.takes,
            take_path(args, 0).display()
        ));
    }
    for note in idle_words(args) {
        output.note(&note);
    }
    let cancel = cancelled_by_interrupt();
    let model = load_model(&args.model, *output)?;
    if args.restrike && model.card().has_touch() {
        output.note(
            "--restrike counts for nothing here: this model says itself which keys are struck",
        );
    }
    check_prime_keys(args, &model)?;
    let ReadPrime { prime, frames_per_bar, quarters_per_second } = prime(args, &model, *output)?;
    let playback = playback(args, model.card(), quarters_per_second);
    let settings = ComposeSettings {
        strategy: strategy(args, model.card().usual_temperature()),
        prime,
        frames_per_bar,
        rate: playback.rate,
        ..settings
    };
    let mut progress = Progress::new(args);
    let request = ComposeRequest { model, settings };
    let settings = &request.settings;
    // After Ctrl+C the takes come back with what they have.
    let takes = compose(&request, &cancel, &mut |event| progress.on(event))?;
    let secs = progress.began.elapsed().as_secs_f64();
    drop(progress);
    let written = takes.iter().enumerate().map(|(idx, take)| write(args, idx, take, &playback));
    let reports = written.collect::<Result<Vec<_>, _>>()?;
    let is_written = |path: &PathBuf| (0..reports.len()).any(|idx| take_path(args, idx) == *path);
    let replaced: Vec<PathBuf> = there_before.into_iter().filter(is_written).collect();
    note_replaced(&replaced, *output);
    for (take, written) in takes.iter().zip(&reports) {
        if let Some(found) = NearSilence::of(take, settings, &playback) {
            output.note(&near_silence_words(args, &written.path, found, settings.strategy));
        }
    }
    let frames: usize = reports.iter().map(|take| take.frames).sum();
    let report = Report { takes: reports, frames_per_second: frames as f64 / secs.max(1e-9) };
    let printed = output.result(&report, || words(&report));
    // Ctrl+C may well have ended the reader of the results too: it is still what happened.
    if cancel.is_cancelled() && matches!(printed, Ok(()) | Err(Failure::Unread)) {
        let kept = report.takes.len();
        return Err(Failure::Interrupted(format!(
            "stopped; what was composed of {kept} of {} takes was kept",
            n_takes(args)
        )));
    }
    printed
}

/// A take with hardly any notes, and what to do about it.
fn near_silence_words(
    args: &GenerateArgs,
    path: &str,
    found: NearSilence,
    strategy: Strategy,
) -> String {
    let mut advice = match strategy {
        Strategy::Sample { .. } => {
            "give another --seed or a start (--prime-chord C4,E4,G4)".to_owned()
        }
        Strategy::Max | Strategy::Beam { .. } => "draw it by lot (--strategy sample)".to_owned(),
    };
    if args.longest_hold == 0.0 {
        advice.push_str(", or leave --longest-hold 0 out");
    }
    format!("{path} {} — {advice}", found.words(strategy))
}

/// `starter` is the built-in model unless a file has that name.
pub fn is_starter(path: &Path) -> bool {
    path == Path::new("starter") && !path.exists()
}

pub fn load_model(path: &Path, output: Output) -> Result<Model, Failure> {
    if is_starter(path) {
        return Ok(Model::starter()?);
    }
    Model::load_noting(path, &mut |note| output.note(note)).map_err(|error| no_model(path, error))
}

/// Whoever names music as a model wants to know how one is made of it.
pub fn no_model(path: &Path, error: CheckpointError) -> Failure {
    let is_none = match error {
        CheckpointError::Missing(_) => Run::list(path).is_empty(),
        CheckpointError::Unusable { .. } => path.is_file(),
        _ => false,
    };
    if !is_none || !is_music(path) {
        return error.into();
    }
    let shown = path.display();
    Failure::failed(format!(
        "{shown} is music and no model — learn from it first (etude train {shown} --out RUN), and \
         name the RUN instead"
    ))
}

/// What was given and counts for nothing, so that nobody listens for what it does.
fn idle_words(args: &GenerateArgs) -> Vec<String> {
    let sample = ("--strategy sample", args.strategy == StrategyWord::Sample);
    let beam = ("--strategy beam", args.strategy == StrategyWord::Beam);
    let prime = ("--prime", args.prime.prime.is_some());
    let words = [
        ("--temperature", args.temperature.is_some(), sample),
        ("--top-k", args.top_k.is_some(), sample),
        ("--top-p", args.top_p.is_some(), sample),
        ("--beam-width", args.beam_width.is_some(), beam),
        ("--prime-frames", args.prime.prime_frames.is_some(), prime),
    ];
    let idle = words.into_iter().filter(|(_, is_given, (_, counts))| *is_given && !counts);
    idle.map(|(flag, _, (needs, _))| format!("{flag} counts with {needs} only, not in this call"))
        .collect()
}

/// A model that spells has no other keys than those of a piano.
fn check_prime_keys(args: &GenerateArgs, model: &Model) -> Result<(), Failure> {
    let prime = &args.prime;
    let (flag, keys) = match (prime.prime_pitch, prime.prime_chord) {
        (Some(pitch), _) => ("--prime-pitch", Chord::from_iter([pitch])),
        (None, Some(chord)) => ("--prime-chord", chord),
        (None, None) => return Ok(()),
    };
    let beyond = keys.difference(PIANO);
    if beyond.is_rest() || model.card().chords().is_some() {
        return Ok(());
    }
    Err(Failure::words(format!(
        "{flag} asks for {beyond}, which no piano has — give keys from A0 to C8 (21 to 108)"
    )))
}

/// There is but one likeliest take.
fn n_takes(args: &GenerateArgs) -> usize {
    if args.strategy == StrategyWord::Max { 1 } else { args.takes }
}

/// `quarters_per_second` is the tempo for a model that composes on the beat grid, if there is one to
/// go on in.
fn playback(args: &GenerateArgs, card: &ModelCard, quarters_per_second: Option<f64>) -> Playback {
    let articulation = if args.restrike { Articulation::Restruck } else { Articulation::Held };
    let (rate, grid) =
        card.playing(args.fps, quarters_per_second.unwrap_or(ModelCard::USUAL_TEMPO));
    Playback { rate, velocity: Velocity::COMPOSED, articulation, grid }
}

fn strategy(args: &GenerateArgs, usual_temperature: f64) -> Strategy {
    match args.strategy {
        StrategyWord::Max => Strategy::Max,
        StrategyWord::Sample => {
            let temperature = args.temperature.unwrap_or(usual_temperature);
            Strategy::Sample { temperature, top_k: args.top_k, top_p: args.top_p }
        }
        StrategyWord::Beam => {
            Strategy::Beam { width: args.beam_width.unwrap_or(BEAM_WIDTH), length_penalty: 1.0 }
        }
    }
}

/// All settings but the start, which may have to be read, and what the model decides: the rate, and
/// the temperature where none is given.
fn settings(args: &GenerateArgs) -> ComposeSettings {
    let strategy = strategy(args, 1.0);
    let guard = Guard {
        longest_hold_secs: (args.longest_hold > 0.0).then_some(args.longest_hold),
        no_repeat: (args.no_repeat > 0).then_some(args.no_repeat),
    };
    ComposeSettings {
        strategy,
        guard,
        prime: Prime::Silence,
        frames_per_bar: None,
        frames: args.frames,
        rate: args.fps.unwrap_or(FrameRate::OUTPUT_DEFAULT),
        takes: args.takes,
        seed: args.seed,
        weights: args.weights.into(),
    }
}

/// A file is framed as the model learned; its opening is what counts.
fn prime(args: &GenerateArgs, model: &Model, output: Output) -> Result<ReadPrime, Failure> {
    let from = &args.prime;
    if let Some(path) = &from.prime {
        let (score, warnings) = read_piece(path)?;
        for warning in warnings {
            output.note(&format!("{}: {warning}", path.display()));
        }
        let usual = if model.card().has_touch() { PRIME_FRAMES_OF_TOUCH } else { PRIME_FRAMES };
        let n_frames = from.prime_frames.unwrap_or(usual);
        let opening = Prime::read(&score, &model.card().reading_plan(), n_frames);
        let opening = opening.map_err(|error| named(path, &error))?;
        if opening.prime.n_frames() == 0 {
            return Err(Failure::failed(format!(
                "{} has no notes to start from — choose another file",
                path.display()
            )));
        }
        return Ok(opening);
    }
    let prime = match (from.prime_chord, from.prime_pitch) {
        (Some(chord), _) => Prime::from_chord(chord),
        (None, Some(pitch)) => Prime::from_pitch(pitch),
        (None, None) if from.prime_random => Prime::Random,
        (None, None) => Prime::Silence,
    };
    Ok(ReadPrime { prime, ..ReadPrime::default() })
}

fn write(
    args: &GenerateArgs,
    idx: usize,
    take: &Take,
    playback: &Playback,
) -> Result<TakeReport, Failure> {
    let path = take_path(args, idx);
    let score = take.score(playback);
    write_atomically(&path, &smf::write(&score)).map_err(|error| cannot_write(&path, &error))?;
    Ok(TakeReport {
        path: path.display().to_string(),
        seed: take.seed,
        frames: take.roll.len().saturating_sub(take.n_prime_frames),
        prime_frames: take.n_prime_frames,
        notes: score.notes().len(),
        log_likelihood: take.log_likelihood,
        seconds: take.secs,
        music_seconds: score.duration_secs(),
    })
}

fn take_path(args: &GenerateArgs, idx: usize) -> PathBuf {
    if args.takes > 1 { numbered(&args.out, idx + 1) } else { args.out.clone() }
}

fn words(report: &Report) -> String {
    let lines = report.takes.iter().map(|take| {
        format!(
            "{}: {} of music, {}, seed {}, log-likelihood {}",
            take.path,
            clock(take.music_seconds),
            count(take.notes, "note"),
            take.seed,
            one_decimal(take.log_likelihood)
        )
    });
    let speed = format!("{} frames a second", thousands(report.frames_per_second as u64));
    lines.chain([speed]).collect::<Vec<_>>().join("\n")
}

/// Draws how far composing is.
struct Progress {
    meter: Meter,
    began: std::time::Instant,
    /// Frames that were streamed, and those of a search, which streams what is sure.
    streamed: u64,
    searched: u64,
    n_takes: usize,
}

impl Progress {
    fn new(args: &GenerateArgs) -> Self {
        let n_takes = n_takes(args);
        let total = args.frames.saturating_mul(n_takes) as u64;
        let (meter, began) = (Meter::new("composing", total), std::time::Instant::now());
        Self { meter, began, streamed: 0, searched: 0, n_takes }
    }

    fn on(&mut self, event: ComposeEvent<'_>) {
        match event {
            ComposeEvent::Frames { chords, .. } => self.streamed += chords.len() as u64,
            // All takes are composed together.
            ComposeEvent::Searched { frames } => {
                self.searched = frames.saturating_mul(self.n_takes) as u64;
            }
            ComposeEvent::Note(text) => return self.meter.note(&text),
            ComposeEvent::Take { .. } => return,
        }
        self.meter.set(self.n_done(), || count(self.n_takes, "take"));
    }

    fn n_done(&self) -> u64 {
        self.streamed.max(self.searched)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        args: GenerateArgs,
    }

    #[test]
    fn a_search_goes_on_where_nothing_is_streamed_yet() {
        let words = "generate --model starter --out a.mid --strategy beam --takes 3";
        let mut progress = Progress::new(&Words::parse_from(words.split_whitespace()).args);
        let frames = |n| ComposeEvent::Frames {
            take: 0,
            first: 0,
            chords: vec![Chord::REST; n].into(),
            touch: None,
        };
        for (event, n_done) in [
            (ComposeEvent::Searched { frames: 1 }, 3),
            (ComposeEvent::Searched { frames: 20 }, 60),
            (frames(18), 60),
            (ComposeEvent::Searched { frames: 21 }, 63),
            (frames(282), 300),
        ] {
            progress.on(event);
            assert_eq!(progress.n_done(), n_done);
        }
    }
}
