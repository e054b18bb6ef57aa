//! The split that a data set brings along: MAESTRO's table.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::OwnPart;

/// Larger tables are no table of pieces.
const MAX_TABLE_BYTES: u64 = 64 << 20;

/// What MAESTRO's tables (`maestro-v*.csv`, in the folder of a piece or the one above it) say
/// about the pieces. `None` when no table names any of them.
///
/// Pieces that no table names are learned from; the number of them stands beside the parts.
pub(super) fn own_parts(pieces: &[PathBuf]) -> Option<(Vec<OwnPart>, usize)> {
    let folders: HashSet<&Path> = pieces.iter().filter_map(|piece| piece.parent()).collect();
    let resolved: HashMap<&Path, PathBuf> = folders
        .into_iter()
        .filter_map(|folder| Some((folder, or_here(folder).canonicalize().ok()?)))
        .collect();
    let mut holders: HashSet<&Path> = HashSet::new();
    for folder in resolved.values() {
        holders.extend([Some(folder.as_path()), folder.parent()].into_iter().flatten());
    }
    let mut parts: HashMap<PathBuf, OwnPart> = HashMap::new();
    for holder in holders {
        for table in tables_in(holder) {
            read_table(&table, holder, &mut parts);
        }
    }
    let named: Vec<Option<OwnPart>> = pieces
        .iter()
        .map(|piece| {
            let folder = resolved.get(piece.parent()?)?;
            parts.get(&folder.join(piece.file_name()?)).copied()
        })
        .collect();
    let n_unnamed = named.iter().filter(|part| part.is_none()).count();
    if n_unnamed == pieces.len() {
        return None;
    }
    Some((named.into_iter().map(|part| part.unwrap_or(OwnPart::Train)).collect(), n_unnamed))
}

/// The folder of a bare file name is the current one.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// In sorted order, so that of two versions the newer has the last word.
fn tables_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut tables: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("maestro-v") && name.ends_with(".csv")
        })
        .filter(|path| {
            std::fs::metadata(path)
                .is_ok_and(|data| data.is_file() && data.len() <= MAX_TABLE_BYTES)
        })
        .collect();
    tables.sort_unstable();
    tables
}

/// Rows that can't be read name nothing; the pieces then have no part of their own, which is told.
fn read_table(table: &Path, folder: &Path, parts: &mut HashMap<PathBuf, OwnPart>) {
    let reader = csv::ReaderBuilder::new().flexible(true).from_path(table);
    let Ok(mut reader) = reader else { return };
    let Ok(headers) = reader.headers().cloned() else { return };
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let (Some(file), Some(split)) = (column("midi_filename"), column("split")) else { return };
    for row in reader.records().flatten() {
        let part = match row.get(split).map(str::trim) {
            Some("train") => OwnPart::Train,
            Some("validation" | "valid") => OwnPart::Valid,
            Some("test") => OwnPart::Test,
            _ => continue,
        };
        if let Some(file) = row.get(file) {
            parts.insert(folder.join(file), part);
        }
    }
}
