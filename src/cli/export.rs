//! `etude export`: a model as one file that composes but can't be trained further.

use serde::Serialize;

use super::args::ExportArgs;
use super::failure::Failure;
use super::generate::load_model;
use super::output::{Output, thousands};
use super::paths::{
    already_there, cannot_write, check_is_not_input, check_output_file, note_replaced,
};
use crate::model::Precision;

#[derive(Serialize)]
struct Report {
    path: String,
    bytes: u64,
    parameters: usize,
    epoch: usize,
    valid_perplexity: Option<f64>,
}

/// A file of the run that is exported must not give way to one that can't be trained further.
fn check_is_not_model(args: &ExportArgs) -> Result<(), Failure> {
    check_is_not_input(&args.out, std::slice::from_ref(&args.model))?;
    let (Ok(out), Ok(model)) = (args.out.canonicalize(), args.model.canonicalize()) else {
        return Ok(());
    };
    match out.is_file() && out.starts_with(model) {
        false => Ok(()),
        true => Err(Failure::words(format!(
            "{} belongs to the run itself, and would be replaced — give --out another name",
            args.out.display()
        ))),
    }
}

pub fn run(args: &ExportArgs, output: &Output) -> Result<(), Failure> {
    check_is_not_model(args)?;
    check_output_file(&args.out)?;
    let replaced = already_there([args.out.clone()]);
    let mut model = load_model(&args.model, *output)?;
    if let Some(about) = &args.about {
        model = model.with_about(about.clone());
    }
    let precision = if args.half { Precision::Half } else { Precision::Full };
    model.export(&args.out, precision)?;
    note_replaced(&replaced, *output);
    let file = std::fs::metadata(&args.out).map_err(|error| cannot_write(&args.out, &error))?;
    let report = Report {
        path: args.out.display().to_string(),
        bytes: file.len(),
        parameters: model.n_parameters(),
        epoch: model.card().epoch,
        valid_perplexity: model.card().valid_perplexity,
    };
    output.result(&report, || {
        format!(
            "{}: {} weights of epoch {} in {} KB",
            report.path,
            thousands(report.parameters as u64),
            report.epoch,
            thousands(report.bytes / 1_000)
        )
    })
}
