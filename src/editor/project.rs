//! The project file, `.etude`: everything about a piece in work, as JSON a person can read.
//!
//! Reading trusts nothing: the size is bounded, what a score promises is checked, and a file of
//! a newer version is refused. Takes and the view are kept as the JSON they come in, so that this
//! room needs to know nothing of what made them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{damage, readable};
use crate::files;
use crate::music::Score;

/// What a `.etude` file holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Project {
    /// [`Self::FORMAT_VERSION`] when written here.
    pub format_version: u32,
    pub score: Score,
    /// Generated answers, each with what made it and how it was rated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<Value>,
    /// What was looked at and selected when it was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Value>,
}

/// Why a project can't be read or written. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("{} can't be read — {}. Check that it is there and that you may read it", path.display(), files::read_reason(source))]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{} can't be opened — it is larger than {} MB, which no project is. Choose another file",
        path.display(),
        Project::MAX_BYTES >> 20
    )]
    TooLarge { path: PathBuf },
    #[error(
        "{} isn't an Etude project — it has no format version. Choose a .etude file, or import it if it is MIDI",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error(
        "{} was written by a newer Etude (format {found}, this one reads up to {}) — update Etude to open it",
        path.display(),
        Project::FORMAT_VERSION
    )]
    Newer { path: PathBuf, found: u64 },
    #[error("{} is damaged at line {line}, column {column} — {reason}. {}", path.display(), way_out(backup.as_deref()))]
    Damaged { path: PathBuf, line: usize, column: usize, reason: String, backup: Option<PathBuf> },
    #[error("{} is damaged — {reason}. {}", path.display(), way_out(backup.as_deref()))]
    Invalid { path: PathBuf, reason: String, backup: Option<PathBuf> },
    #[error("{} can't be written — {}. Save it in another place", path.display(), files::plain_reason(source))]
    Write { path: PathBuf, source: io::Error },
    #[error("{} can't be written — the project would be larger than {} MB. Drop some of its takes", path.display(), Project::MAX_BYTES >> 20)]
    WouldBeTooLarge { path: PathBuf },
}

/// Enough of a file to tell whose it is.
#[derive(Deserialize)]
struct Head {
    format_version: Option<Value>,
}

impl Project {
    /// What this program writes, and the newest that it reads.
    pub const FORMAT_VERSION: u32 = 1;

    /// The largest file that is read or written: about two million notes.
    pub const MAX_BYTES: u64 = 128 << 20;

    pub fn new(score: Score) -> Self {
        Self { format_version: Self::FORMAT_VERSION, score, takes: Vec::new(), view: None }
    }

    /// Reads a project.
    ///
    /// # Errors
    /// When it can't be read, isn't a project, is of a newer version, or is damaged (with the
    /// place).
    pub fn read(path: &Path) -> Result<Self, ProjectError> {
        let read = |source| ProjectError::Read { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(read)?;
        let mut bytes = Vec::new();
        file.take(Self::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(ProjectError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ProjectError> {
        let damaged = |error: serde_json::Error| ProjectError::Damaged {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            reason: damage::in_words(&error),
            backup: existing_backup(path),
        };
        let foreign = || ProjectError::Foreign { path: path.to_owned() };
        // What doesn't even begin as a JSON object was never a project.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(foreign());
        }
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        let version = head.format_version.and_then(|version| version.as_u64());
        match version.ok_or_else(foreign)? {
            0 => return Err(foreign()),
            found if found > u64::from(Self::FORMAT_VERSION) => {
                return Err(ProjectError::Newer { path: path.to_owned(), found });
            }
            _ => {}
        }
        let mut project: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        put_in_order(&mut project.score);
        check(&project.score).map_err(|reason| ProjectError::Invalid {
            path: path.to_owned(),
            reason,
            backup: existing_backup(path),
        })?;
        Ok(project)
    }

    /// Writes the project, and keeps what was at `path` before as [`files::backup_path`].
    ///
    /// # Errors
    /// When it can't be written; what was there is then still there.
    pub fn write(&self, path: &Path) -> Result<(), ProjectError> {
        let write = |source| ProjectError::Write { path: path.to_owned(), source };
        let compact = serde_json::to_string(self).map_err(|error| write(error.into()))?;
        let text = readable::lay_out(&compact);
        if text.len() as u64 > Self::MAX_BYTES {
            return Err(ProjectError::WouldBeTooLarge { path: path.to_owned() });
        }
        files::write_keeping_backup(path, text.as_bytes()).map_err(write)
    }
}

fn existing_backup(path: &Path) -> Option<PathBuf> {
    Some(files::backup_path(path)).filter(|backup| backup.is_file())
}

/// What is left to do about a project that is damaged.
fn way_out(backup: Option<&Path>) -> String {
    match backup {
        Some(backup) => {
            let name = backup.file_name().unwrap_or_default().to_string_lossy();
            format!(
                "Rename the earlier copy beside it, {name}, so that it ends in .etude, and open that"
            )
        }
        None => "There is no earlier copy beside it: choose another file".to_owned(),
    }
}

/// Sorts what a score promises to be sorted: a person may have edited the file.
fn put_in_order(score: &mut Score) {
    let notes = score.notes().to_vec();
    score.set_notes(notes);
    let drums = std::mem::take(&mut score.drums);
    score.set_drums(drums);
    score.pedal.sort_by_key(|span| span.start);
    score.meters.sort_by_key(|change| change.tick);
    if !score.extras.is_sorted_by_key(|extra| extra.tick) {
        let mut extras = score.extras.to_vec();
        extras.sort_by_key(|extra| extra.tick);
        score.extras = extras.into();
    }
}

/// What else a score promises, in words when it is broken.
fn check(score: &Score) -> Result<(), String> {
    if score.parts.len() > 255 {
        return Err(format!("it has {} parts, and 255 are the most", score.parts.len()));
    }
    for (kind, notes) in [("note", score.notes()), ("drum note", &score.drums)] {
        for note in notes {
            let place = || format!("the {kind} {} at tick {}", note.pitch, note.start.0);
            if note.length.0 == 0 {
                return Err(format!("{} has no length", place()));
            }
            if note.start.0.checked_add(note.length.0).is_none() {
                return Err(format!("{} ends after the last tick there is", place()));
            }
            let is_pitched = kind == "note";
            if is_pitched && usize::from(note.part) >= score.parts.len() {
                return Err(format!(
                    "{} belongs to part {}, which isn't there",
                    place(),
                    note.part
                ));
            }
        }
    }
    if let Some(span) = score.pedal.iter().find(|span| span.end < span.start) {
        return Err(format!("the pedal at tick {} ends before it starts", span.start.0));
    }
    let odd = |meter: crate::music::Meter| meter.numerator == 0 || meter.denominator_power > 6;
    if let Some(change) = score.meters.iter().find(|change| odd(change.meter)) {
        return Err(format!("the meter at tick {} isn't one", change.tick.0));
    }
    Ok(())
}
