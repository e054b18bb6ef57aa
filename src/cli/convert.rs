//! `etude convert`: between MIDI files and Etude projects.

use serde::Serialize;

use super::args::ConvertArgs;
use super::failure::Failure;
use super::output::{Output, count};
use super::paths::{
    already_there, cannot_write, check_is_not_input, check_output_file, has_extension,
    note_replaced, read_piece,
};
use crate::editor::Project;
use crate::files::{backup_path, write_atomically};
use crate::music::smf;

#[derive(Serialize)]
struct Report {
    path: String,
    notes: usize,
    warnings: Vec<String>,
}

pub fn run(args: &ConvertArgs, output: &Output) -> Result<(), Failure> {
    let (from_project, to_project) =
        (has_extension(&args.piece, &["etude"]), has_extension(&args.out, &["etude"]));
    if !to_project && !has_extension(&args.out, &["mid", "midi"]) {
        return Err(Failure::words(format!(
            "“{}” says no kind of file — end its name in .mid or .etude",
            args.out.display()
        )));
    }
    if from_project && to_project {
        return Err(Failure::words(
            "both files are Etude projects — end one name in .mid, or copy the file",
        ));
    }
    check_is_not_input(&args.out, std::slice::from_ref(&args.piece))?;
    check_output_file(&args.out)?;
    let (score, warnings) = read_piece(&args.piece)?;
    for warning in &warnings {
        output.note(&format!("{}: {warning}", args.piece.display()));
    }
    let notes = score.notes().len() + score.drums.len();
    let replaced = already_there([args.out.clone()]);
    if to_project {
        Project::new(score).write(&args.out)?;
        if !replaced.is_empty() {
            let (out, backup) = (args.out.display(), backup_path(&args.out));
            output.note(&format!("{out} was there before: it is kept as {}", backup.display()));
        }
    } else {
        write_atomically(&args.out, &smf::write(&score))
            .map_err(|error| cannot_write(&args.out, &error))?;
        note_replaced(&replaced, *output);
    }
    let report = Report { path: args.out.display().to_string(), notes, warnings };
    output.result(&report, || format!("{}: {}", report.path, count(report.notes, "note")))
}
