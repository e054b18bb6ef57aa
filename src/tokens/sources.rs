//! Which files a list of paths means.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::{CorpusError, Skipped};
use crate::cancel::CancelToken;
use crate::files::read_reason;
use crate::music::smf::ImportError;

/// What a folder is searched for, in any case of letters.
const EXTENSIONS: [&str; 4] = ["mid", "midi", "kar", "rmi"];

/// The files that were found, in sorted order, and what couldn't be looked at.
#[derive(Default, Debug)]
pub struct Found {
    pub files: Vec<PathBuf>,
    pub skipped: Vec<Skipped>,
}

/// A file is taken whatever its name; a folder is searched to the bottom for MIDI files. Links
/// are followed, each folder once however it is reached. Sorted by the bytes of the whole path,
/// as the original experiment sorted its files, counted from the root so that a run can find its
/// files again in the same order from another working folder; a path given twice stands once.
pub fn find_files(paths: &[PathBuf], cancel: &CancelToken) -> Result<Found, CorpusError> {
    let mut found = Found::default();
    for path in paths {
        let unreadable = |source| CorpusError::Unreadable { path: path.clone(), source };
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                CorpusError::Missing(path.clone())
            }
            _ => unreadable(source),
        })?;
        if metadata.is_dir() {
            // Only the folder that was named has to be readable.
            std::fs::read_dir(path).map_err(unreadable)?;
            search(path, &mut found, cancel)?;
        } else {
            found.files.push(path.clone());
        }
    }
    found.files.sort_by_cached_key(bytes);
    found.files.dedup_by_key(|path| bytes(path));
    found.skipped.sort_by_cached_key(|skipped| bytes(&skipped.path));
    if found.files.is_empty() && found.skipped.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| format!("“{}”", path.display())).collect();
        return Err(CorpusError::NoMidi(names.join(", ")));
    }
    Ok(found)
}

/// Whether a path is named like a MIDI file, or is a folder with such a file in it or in one of the
/// folders right below.
pub fn is_music(path: &Path) -> bool {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let has_music = |paths: &[PathBuf]| paths.iter().any(|path| has_midi_extension(path));
    let entries = inside(path);
    path.exists()
        && (has_midi_extension(path)
            || has_music(&entries)
            || entries.iter().any(|entry| has_music(&inside(entry))))
}

/// What files are sorted by.
fn bytes(path: &PathBuf) -> Vec<u8> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    whole.into_os_string().into_encoded_bytes()
}

fn search(folder: &Path, found: &mut Found, cancel: &CancelToken) -> Result<(), CorpusError> {
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if cancel.is_cancelled() {
            return Err(CorpusError::Cancelled);
        }
        if let Err(error) = list(&folder, &mut seen, &mut folders, found) {
            let reason = format!("the folder can't be read — {}", read_reason(&error));
            found.skipped.push(Skipped { path: folder, reason });
        }
    }
    Ok(())
}

/// One folder: files into `found`, folders onto the stack so that the first in sorted order is
/// looked at next.
fn list(
    folder: &Path,
    seen: &mut HashSet<PathBuf>,
    folders: &mut Vec<PathBuf>,
    found: &mut Found,
) -> io::Result<()> {
    if !seen.insert(folder.canonicalize()?) {
        return Ok(());
    }
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let looks_like_midi = has_midi_extension(&path);
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => below.push(path),
            Ok(_) if looks_like_midi => found.files.push(path),
            Err(error) if looks_like_midi => {
                found.skipped.push(Skipped { path, reason: ImportError::Io(error).to_string() });
            }
            Ok(_) | Err(_) => {}
        }
    }
    below.sort_unstable_by(|a, b| b.cmp(a));
    folders.append(&mut below);
    Ok(())
}

fn has_midi_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}
