//! Paths of the command line: reading a piece, and making sure of the output before the work.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::output::{Output, count};
use crate::editor::Project;
use crate::files::plain_reason;
use crate::music::{Score, smf};
use crate::tokens::BenchmarkSet;

pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|found| extensions.iter().any(|wanted| found.eq_ignore_ascii_case(wanted)))
}

/// A piece from a MIDI file or an Etude project, with the warnings of reading it.
pub fn read_piece(path: &Path) -> Result<(Score, Vec<String>), Failure> {
    if has_extension(path, &["etude"]) {
        return Ok((Project::read(path)?.score, Vec::new()));
    }
    if BenchmarkSet::is_named(path) {
        return Err(Failure::failed(format!(
            "{} lists frames and is no music to play — choose a MIDI file or an Etude project",
            path.display()
        )));
    }
    let import = smf::read_file(path).map_err(|error| named(path, &error))?;
    Ok((import.score, import.warnings.iter().map(ToString::to_string).collect()))
}

/// An error about a file says which, once.
pub fn named(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let (text, path) = (error.to_string(), path.display().to_string());
    if text.contains(&path) {
        Failure::failed(text)
    } else {
        Failure::failed(format!("{path}: {text}"))
    }
}

/// Makes sure that a file can be written at `out`, before hours of work: its folder is there and
/// takes a file, and no folder has its name.
pub fn check_output_file(out: &Path) -> Result<(), Failure> {
    if out.is_dir() {
        return Err(Failure::failed(format!(
            "{} is a folder — give the name of a file",
            out.display()
        )));
    }
    // A device such as /dev/null would be replaced by a file.
    if out.exists() && !out.is_file() {
        return Err(Failure::failed(format!(
            "{} is no ordinary file — give the name of a file",
            out.display()
        )));
    }
    let folder = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Failure::failed(format!(
            "{} can't be written because there is no folder {} — make it first",
            out.display(),
            folder.display()
        )));
    }
    check_folder_takes_files(folder, out)
}

/// Makes sure that the output doesn't replace what it is made from.
pub fn check_is_not_input(out: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let Ok(real) = out.canonicalize() else { return Ok(()) };
    match inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == real)) {
        false => Ok(()),
        true => Err(Failure::words(format!(
            "{} is what is read, and would be replaced — give --out another name",
            out.display()
        ))),
    }
}

/// Of some outputs those that are there before the work, and will be replaced by it.
pub fn already_there(outs: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    outs.into_iter().filter(|out| out.exists()).collect()
}

/// Says after the work which files it replaced.
pub fn note_replaced(replaced: &[PathBuf], output: Output) {
    let [first, others @ ..] = replaced else { return };
    let first = first.display();
    output.note(&match others.len() {
        0 => format!("replaced {first}, which was there before"),
        n => format!("replaced {first} and {}, which were there before", count(n, "other file")),
    });
}

/// Makes sure that a file says by its name what will be in it.
pub fn check_extension(out: &Path, extensions: &[&str]) -> Result<(), Failure> {
    match has_extension(out, extensions) {
        true => Ok(()),
        false => Err(Failure::words(format!(
            "“{}” says another kind of file — end its name in .{}",
            out.display(),
            extensions.join(" or .")
        ))),
    }
}

/// The same for a folder that is to be made, with those above it.
pub fn check_output_folder(out: &Path) -> Result<(), Failure> {
    let mut above = Some(out);
    while let Some(folder) = above {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if folder.is_dir() {
            return check_folder_takes_files(folder, out);
        }
        if folder.exists() {
            return Err(Failure::failed(format!(
                "{} can't be made because {} is a file — choose another name",
                out.display(),
                folder.display()
            )));
        }
        above = folder.parent();
    }
    Ok(())
}

fn check_folder_takes_files(folder: &Path, out: &Path) -> Result<(), Failure> {
    match tempfile::Builder::new().prefix(".etude-").tempfile_in(folder) {
        Ok(_) => Ok(()),
        // The folder is there: some of the system's own have no place for anything else.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(refused_place(out, &format!("{} takes no files", folder.display())))
        }
        Err(error) => Err(cannot_write(out, &error)),
    }
}

pub fn cannot_write(out: &Path, error: &std::io::Error) -> Failure {
    refused_place(out, &plain_reason(error))
}

fn refused_place(out: &Path, reason: &str) -> Failure {
    Failure::failed(format!(
        "{} can't be written ({reason}) — choose a folder that is yours and has room",
        out.display()
    ))
}

/// `A.mid` → `A-3.mid`.
pub fn numbered(out: &Path, number: usize) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = out.extension() {
        name.push(".");
        name.push(extension);
    }
    out.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_are_numbered_before_the_extension() {
        assert_eq!(numbered(Path::new("x/A.mid"), 3), Path::new("x/A-3.mid"));
        assert_eq!(numbered(Path::new("A"), 1), Path::new("A-1"));
    }

    #[test]
    fn an_output_that_cannot_be_written_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        #[cfg(unix)]
        assert!(check_output_file(Path::new("/dev/null")).is_err());
        for out in
            [folder.path().to_path_buf(), folder.path().join("none/a.mid"), file.join("a.mid")]
        {
            let error = check_output_file(&out).unwrap_err().to_string();
            assert!(error.contains(" — "), "{error}");
        }
        assert!(check_output_folder(&file.join("run")).is_err());
        assert!(check_output_folder(&folder.path().join("a/b/run")).is_ok());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays behind");
    }
}
