//! Which files a run learned from: how its summary lists them, and whether music is the same.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::material::Material;
use super::super::run::{CorpusSummary, FileSummary, Run};
use super::TrainError;
use crate::tokens::{Music, PieceSummary, Stretch};

/// Refuses music that isn't what a run learned from.
///
/// # Errors
/// [`TrainError::OtherMusic`].
pub fn check_music(run: &Run, music: &Music) -> Result<(), TrainError> {
    match change_of_music(&run.summary.corpus.files, &music.pieces()) {
        Some(change) => Err(TrainError::OtherMusic { run: run.path.clone(), change }),
        None => Ok(()),
    }
}

/// What a run will learn from.
pub fn corpus_summary(material: &Material) -> CorpusSummary {
    let n_frames = |stretches: &[Stretch]| stretches.iter().map(Stretch::n_frames).sum();
    let split = &material.split;
    CorpusSummary {
        seconds: material.music.duration_secs(),
        train_frames: n_frames(&split.train),
        valid_frames: n_frames(&split.valid),
        test_frames: n_frames(&split.test),
        files: file_summaries(material),
    }
}

/// A path that means the same file in any working folder. Built-in pieces have none.
pub fn lasting_path(path: &Path) -> PathBuf {
    if path.to_string_lossy().starts_with('<') {
        return path.to_owned();
    }
    // It fails only without a working folder: then the path stays as it was typed.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What is different about the music that a run learned from, in words; none if it is the same in
/// the same order.
fn change_of_music(files: &[FileSummary], pieces: &[PieceSummary<'_>]) -> Option<String> {
    let theirs: HashSet<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
    let ours: HashSet<&str> = pieces.iter().map(|piece| piece.sha256).collect();
    let paths: Vec<String> = pieces.iter().map(listed_path).collect();
    let is_read = |file: &&FileSummary| paths.contains(&file.path);
    let gone = files.iter().filter(|file| !ours.contains(file.sha256.as_str()));
    let (changed, missing): (Vec<_>, Vec<_>) = gone.partition(is_read);
    let is_changed = |path: &str| changed.iter().any(|file| file.path == path);
    let new = paths
        .iter()
        .zip(pieces)
        .filter(|(path, piece)| !theirs.contains(piece.sha256) && !is_changed(path));
    let groups = [
        ("has changed", changed.iter().map(|file| file.path.as_str()).collect()),
        ("is missing", missing.iter().map(|file| file.path.as_str()).collect()),
        ("is new", new.map(|(path, _)| path.as_str()).collect::<Vec<_>>()),
    ];
    let words: Vec<String> = groups
        .iter()
        .filter_map(|(what, paths)| match paths.as_slice() {
            [] => None,
            [only] => Some(format!("{only} {what}")),
            [first, rest @ ..] => Some(format!("{first} {what}, and {} more", rest.len())),
        })
        .collect();
    if !words.is_empty() {
        return Some(words.join("; "));
    }
    let is_same_order =
        pieces.iter().map(|piece| piece.sha256).eq(files.iter().map(|file| file.sha256.as_str()));
    (!is_same_order).then(|| {
        "the files are the same, but renamed or moved so that they come in another order".to_owned()
    })
}

fn file_summaries(material: &Material) -> Vec<FileSummary> {
    let split = &material.split;
    let parts = [("train", &split.train), ("valid", &split.valid), ("test", &split.test)];
    let summary = |piece: PieceSummary<'_>| FileSummary {
        path: listed_path(&piece),
        sha256: piece.sha256.to_owned(),
        frames: piece.n_frames,
        parts: Vec::new(),
    };
    let mut files: Vec<FileSummary> = material.music.pieces().into_iter().map(summary).collect();
    for (name, stretches) in parts {
        for (piece, _) in stretches.iter().flat_map(|stretch| &stretch.parts) {
            let parts = &mut files[*piece].parts;
            if parts.last().is_none_or(|last| last != name) {
                parts.push(name.to_owned());
            }
        }
    }
    files
}

/// The path of a piece as a run lists it.
fn listed_path(piece: &PieceSummary<'_>) -> String {
    lasting_path(piece.path).to_string_lossy().into_owned()
}
