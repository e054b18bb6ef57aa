//! `etude evaluate`: a model measured on files.

use serde::Serialize;

use super::args::EvaluateArgs;
use super::failure::Failure;
use super::generate::load_model;
use super::interrupt::cancelled_by_interrupt;
use super::output::{Output, count, thousands};
use super::tokenize::{SkippedReport, read};
use crate::model::{EvaluateError, evaluate};

#[derive(Serialize)]
struct Report {
    loss: f64,
    perplexity: f64,
    accuracy: f64,
    frames: usize,
    unseen_frames: usize,
    files: usize,
    skipped: Vec<SkippedReport>,
}

pub fn run(args: &EvaluateArgs, output: &Output) -> Result<(), Failure> {
    let cancel = cancelled_by_interrupt();
    let model = load_model(&args.model)?;
    let corpus = read(&args.paths, &model.card().plan, &cancel, *output)?;
    let measured = evaluate(&model, &corpus, &cancel).map_err(|error| {
        if matches!(error, EvaluateError::Cancelled) {
            return Failure::Interrupted("stopped before the measurement was whole".to_owned());
        }
        error.into()
    })?;
    let report = Report {
        loss: measured.loss,
        perplexity: measured.perplexity,
        accuracy: measured.accuracy,
        frames: measured.frames,
        unseen_frames: measured.unseen_frames,
        files: corpus.pieces.len(),
        skipped: corpus.skipped.iter().map(Into::into).collect(),
    };
    output.result(&report, || words(&report))
}

fn words(report: &Report) -> String {
    format!(
        "{}, {} frames ({} with a chord the model never learned)\n\
         loss        {:.4} nats a frame\n\
         perplexity  {:.2}: as unsure as if choosing among that many chords\n\
         accuracy    {:.1} %: how often the likeliest chord was right",
        count(report.files, "piece"),
        thousands(report.frames as u64),
        thousands(report.unseen_frames as u64),
        report.loss,
        report.perplexity,
        100.0 * report.accuracy
    )
}
