//! `etude evaluate`: a model measured on files; `measure` has what `--music` asks for.

use std::path::Path;

use serde::Serialize;

use super::args::{EvaluateArgs, PartWord};
use super::failure::Failure;
use super::generate::load_model;
use super::interrupt::cancelled_by_interrupt;
use super::measure;
use super::output::{Output, count, perplexity, thousands};
use super::tokenize::{SkippedReport, read};
use crate::model::{EvaluateError, Lessons, Model, Run, RunSummary, beyond_the_piano, evaluate};
use crate::tokens::{CorpusError, Music, OwnPart, some_of};

#[derive(Default, Serialize)]
struct Report {
    /// Nats a frame: what keys cost, with touch also how long nothing changes; then, besides, what
    /// velocities and the pedal do.
    loss: f64,
    length_loss: Option<f64>,
    velocity_loss: Option<f64>,
    pedal_loss: Option<f64>,
    /// Nats a frame if the piece's own past may answer too; null but for a model that spells which
    /// keys sound and no more.
    recall_loss: Option<f64>,
    perplexity: f64,
    accuracy: f64,
    frames: usize,
    /// Frames in a second of music: the model's own, which perplexities are comparable at only.
    fps: f64,
    unseen_frames: usize,
    /// Frames that lost a pitch which no piano has, and a model that spells no key for.
    frames_beyond_piano: usize,
    /// Whether the model has a vocabulary, which alone can lack a chord.
    has_vocabulary: bool,
    /// None where the model doesn't tell.
    #[serde(skip)]
    model_of_set: Option<bool>,
    files: usize,
    /// What was measured of a set's own split; null where there is none or all was.
    part: Option<&'static str>,
    /// Whether a frame is a step of a set, and `fps` but a label.
    steps: bool,
    /// Of those, pieces the model learned from, and pieces its epoch was chosen by; null when neither
    /// the model nor a run that it lies in says what it was made from.
    learned_from: Option<usize>,
    chosen_by: Option<usize>,
    /// The checkpoint that the run went on from, if nobody knows what that had learned from.
    went_on_from: Option<String>,
    /// Whether it learned from what nobody knows before that.
    may_have_learned_more: bool,
    skipped: Vec<SkippedReport>,
}

pub fn run(args: &EvaluateArgs, output: &Output) -> Result<(), Failure> {
    // clap has seen to it that one of the two is there.
    let Some(model_path) = args.model.as_ref().filter(|_| args.music.is_empty()) else {
        return measure::run(args, output);
    };
    let of_music = [
        ("--corpus", !args.corpus.is_empty()),
        ("--fps", args.fps.is_some()),
        ("--window", args.window.is_some()),
    ];
    if let Some((flag, _)) = of_music.into_iter().find(|(_, is_given)| *is_given) {
        return Err(Failure::words(format!(
            "{flag} counts with --music only — name composed files by --music, or leave it out"
        )));
    }
    let cancel = cancelled_by_interrupt();
    let model = load_model(model_path, *output)?;
    let music =
        read(&args.paths, &model.card().music_plan(), &cancel, *output).map_err(in_own_words)?;
    let part = part_to_measure(args.part, &music)?;
    let music = match part {
        Some(part) => music.into_part(part),
        None => music,
    };
    let measured = evaluate(&model, &music, &cancel).map_err(|error| {
        if matches!(error, EvaluateError::Cancelled) {
            return Failure::Interrupted("stopped before the measurement was whole".to_owned());
        }
        error.into()
    })?;
    let run = run_of(model_path);
    let has_vocabulary = model.card().chords().is_some();
    let lessons = lessons_of(&model, run.as_ref());
    let known = |knows: fn(&Lessons, &str) -> bool| {
        let lessons = lessons.as_ref()?;
        Some(music.pieces().iter().filter(|piece| knows(lessons, piece.sha256)).count())
    };
    let report = Report {
        loss: measured.loss,
        length_loss: measured.length_loss,
        velocity_loss: measured.velocity_loss,
        pedal_loss: measured.pedal_loss,
        recall_loss: measured.recall_loss,
        perplexity: measured.perplexity,
        accuracy: measured.accuracy,
        frames: measured.frames,
        fps: music.plan().frames().rate.per_second(),
        unseen_frames: measured.unseen_frames,
        frames_beyond_piano: if has_vocabulary { 0 } else { beyond_the_piano(&music) },
        has_vocabulary,
        model_of_set: model.card().is_of_set(),
        files: music.n_pieces(),
        part: part.map(OwnPart::name),
        steps: music.set().is_some(),
        learned_from: known(|it, piece| it.has_learned(piece) || it.has_learned_in_part(piece)),
        chosen_by: known(Lessons::was_chosen_by),
        went_on_from: run
            .as_ref()
            .filter(|_| lessons.as_ref().is_some_and(Lessons::may_lack))
            .and_then(|run| Some(run.from.as_ref()?.name().to_owned())),
        may_have_learned_more: lessons.as_ref().is_some_and(Lessons::may_lack),
        skipped: music.skipped().iter().map(Into::into).collect(),
    };
    output.result(&report, || words(&report))
}

/// Who reads music for a model can't choose its frames.
fn in_own_words(failure: Failure) -> Failure {
    let Failure::Failed(error) = &failure else { return failure };
    match error.downcast_ref::<CorpusError>() {
        Some(CorpusError::NoBeat { n_off_beat, n_files }) => Failure::failed(format!(
            "the model's frames are notes of the bar, and the notes of {} don't keep to the beats of \
             the tempo map, as in recordings of performances — measure other files, or choose a model \
             whose frames are in real time",
            some_of(*n_off_beat, *n_files, "file")
        )),
        _ => failure,
    }
}

/// The part that was asked for; of a set of frames the one to test on, unless another was.
fn part_to_measure(asked: Option<PartWord>, music: &Music) -> Result<Option<OwnPart>, Failure> {
    let Some(parts) = music.own_split() else {
        return match asked.map(PartWord::own_part) {
            Some(Some(part)) => Err(Failure::words(format!(
                "these files have no part called {} — only sets with a split of their own do; leave \
                 --part out",
                part.name()
            ))),
            _ => Ok(None),
        };
    };
    let part = match asked {
        Some(asked) => asked.own_part(),
        None => music.set().map(|_| OwnPart::Test),
    };
    match part.filter(|part| !parts.contains(part)) {
        Some(part) => Err(Failure::words(format!(
            "none of these pieces is in the part {} of its set — give another --part",
            part.name()
        ))),
        None => Ok(part),
    }
}

/// The run that a model belongs to, if it lies in one.
pub fn run_of(model: &Path) -> Option<RunSummary> {
    Run::around(model).map(|run| run.summary)
}

/// What a model learned from, as it says itself, or of an older one the run that it lies in.
fn lessons_of(model: &Model, run: Option<&RunSummary>) -> Option<Lessons> {
    model.card().lessons.clone().or_else(|| run.map(RunSummary::lessons))
}

/// A loss in nats a frame that is far above that of counting chords, 7 to 12 for most music: a model
/// that learned from anything like it has less.
const UNLIKELY: f64 = 20.0;

fn words(report: &Report) -> String {
    let part = report.part.map_or_else(String::new, |part| format!("the part {part}: "));
    let rate = if report.steps {
        ", one a step".to_owned()
    } else {
        format!(" at {} a second", report.fps)
    };
    let unseen = match report.has_vocabulary {
        true => format!(
            " ({} with a chord the model never learned)",
            thousands(report.unseen_frames as u64)
        ),
        false => String::new(),
    };
    let mut text = format!(
        "{part}{}, {}{rate}{unseen}\n\
         loss        {:.4} nats a frame\n\
         perplexity  {}: as unsure as if choosing among that many {}\n\
         accuracy    {:.1} %: {}",
        count(report.files, "piece"),
        count(report.frames, "frame"),
        report.loss,
        perplexity(report.perplexity),
        match report.length_loss {
            None => "chords",
            Some(_) => "ways to go on, in each frame",
        },
        100.0 * report.accuracy,
        match (report.has_vocabulary, report.length_loss) {
            (true, _) => "how often the likeliest chord was right",
            (false, None) => "in how many frames the likelier answer was right for every key",
            (false, Some(_)) =>
                "in how many frames every key was foreseen when something last changed; that nothing \
                 changes isn't counted",
        }
    );
    if let Some(recalled) = report.recall_loss {
        text.push_str(&format!(
            "\nrecall      {recalled:.4} nats a frame (perplexity {}) when a piece may also go on as \
             it went before; the figures above are the network's alone, which composes",
            perplexity(recalled.exp())
        ));
    }
    if let (Some(velocity), Some(pedal)) = (report.velocity_loss, report.pedal_loss) {
        text.push_str(&format!(
            "\nvelocities  {velocity:.4} nats a frame, and the pedal {pedal:.4}: besides keys \
             and lengths, of which the figures above are"
        ));
    }
    if let Some(length) = report.length_loss {
        text.push_str(&format!(
            "\nlengths     {length:.4} nats a frame of the loss say how long nothing changes"
        ));
    }
    if 2 * report.unseen_frames > report.frames {
        text.push_str(
            "\nMost frames have a chord that the model never learned: the loss is mostly what it costs \
             to spell those key by key, and says little about the model",
        );
    } else if report.loss > UNLIKELY {
        text.push_str(
            "\nSo high a loss suggests that this music is quite another than what the model learned from, \
             or is cut into frames of another length",
        );
    }
    match (report.model_of_set, report.steps) {
        (Some(true), false) => text.push_str(
            "\nA frame of the model is a step of the set that it learned from: how long one lasts isn't \
             known, and the rate at which these files were cut is a guess",
        ),
        (Some(false), true) => text.push_str(
            "\nA frame of the set is a step, of which nobody says how long it lasts: whether a frame of \
             the model is as long isn't known",
        ),
        _ => {}
    }
    if report.frames_beyond_piano > 0 {
        text.push_str(&format!(
            "\nOf {} a pitch beyond A0–C8 was left out: no piano has it",
            count(report.frames_beyond_piano, "frame")
        ));
    }
    for (number, what) in [
        (report.learned_from, "the model learned from"),
        (report.chosen_by, "its epoch was chosen by"),
    ] {
        if let Some(number) = number.filter(|number| *number > 0) {
            text.push_str(&format!(
                "\nThis includes {} that {what}: no measure of new music",
                count(number, "piece")
            ));
        }
    }
    if report.may_have_learned_more {
        let from = report.went_on_from.as_deref().unwrap_or("another");
        text.push_str(&format!(
            "\nWhether {from}, which the model went on from, learned from any of this isn't known"
        ));
    }
    if report.learned_from.is_none() {
        text.push_str(
            "\nWhether the model learned from any of this isn't known: it doesn't say what it was \
             made from, and lies in no run",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_no_music_has_is_explained() {
        let said = |loss: f64| words(&Report { loss, ..Report::default() });
        assert!(said(47.2).contains("So high a loss"));
        assert!(!said(10.5).contains("So high a loss"));
    }

    #[test]
    fn frames_that_may_not_be_as_long_are_told() {
        let said = |model_of_set: Option<bool>, steps: bool| {
            words(&Report { model_of_set, steps, ..Report::default() })
        };
        assert!(said(Some(true), false).contains("A frame of the model is a step"));
        assert!(said(Some(false), true).contains("A frame of the set is a step"));
        for told in [said(Some(true), true), said(Some(false), false), said(None, true)] {
            assert!(!told.contains("is a step"), "{told}");
        }
    }
}
