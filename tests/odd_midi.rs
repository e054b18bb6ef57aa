//! Import of hard, bad and edge files: every one of `odd-midi` as its `expect.json` says.

mod common;

use std::path::{Path, PathBuf};

use etude::music::smf::{self, Import, ImportError};
use serde::Deserialize;

/// One entry of `expect.json`.
#[derive(Deserialize)]
struct Expectation {
    file: String,
    verdict: Verdict,
    /// Note-ons with a velocity; null where nobody can tell.
    notes: Option<usize>,
    drums: usize,
    should: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Load,
    Warn,
    Error,
}

fn odd_midi(test: &str) -> Option<PathBuf> {
    common::test_data(test).map(|data| data.join("odd-midi"))
}

/// What is wrong with how a file was read, if anything.
fn complaint(expected: &Expectation, read: &Result<Import, ImportError>) -> Option<String> {
    let lines: Vec<String> = match read {
        Ok(import) => import.warnings.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    if let Some(line) = lines.iter().find(|line| line.lines().count() != 1) {
        return Some(format!("not one line: {line:?}"));
    }
    match (expected.verdict, read) {
        (Verdict::Load, Ok(import)) => {
            let counts = (import.n_note_ons, import.n_drum_note_ons);
            let wanted = (expected.notes.unwrap_or_default(), expected.drums);
            (counts != wanted).then(|| format!("notes and drums {counts:?}, not {wanted:?}"))
        }
        (Verdict::Warn, Ok(import)) if import.warnings.is_empty() => {
            Some("loaded without a warning".to_owned())
        }
        (Verdict::Warn, Ok(import)) => {
            let wanted = expected.notes.unwrap_or_default();
            // Some files can be read in two ways; fewer notes than the poorer is a loss.
            (import.n_note_ons < wanted.min(4)).then(|| format!("{} notes", import.n_note_ons))
        }
        (Verdict::Warn | Verdict::Error, Err(_)) => None,
        (Verdict::Load, Err(error)) => Some(format!("refused: {error}")),
        (Verdict::Error, Ok(import)) => Some(format!("loaded, {} notes", import.n_note_ons)),
    }
}

#[test]
fn every_odd_file_is_read_as_expected() {
    let Some(folder) = odd_midi("every_odd_file_is_read_as_expected") else { return };
    let json = std::fs::read_to_string(folder.join("expect.json")).unwrap();
    let expectations: Vec<Expectation> = serde_json::from_str(&json).unwrap();
    assert_eq!(expectations.len(), 231);
    let mut complaints = Vec::new();
    for expected in &expectations {
        let read = smf::read_file(&folder.join(&expected.file));
        if std::env::var_os("ODD_MIDI_SHOW").is_some() {
            let n_notes = read.as_ref().map(|import| import.n_note_ons).unwrap_or(0);
            println!("{} {:?} {:?} → {n_notes}", expected.file, expected.verdict, expected.notes);
            match &read {
                Ok(import) => import.warnings.iter().for_each(|warning| println!("    {warning}")),
                Err(error) => println!("    {error}"),
            }
        }
        if let Some(complaint) = complaint(expected, &read) {
            complaints.push(format!("{} ({}): {complaint}", expected.file, expected.should));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn read(folder: &Path, name: &str) -> Import {
    smf::read_file(&folder.join("made").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}
