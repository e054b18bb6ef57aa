//! Prints, as Markdown tables, what composed takes and the pieces learned from are made of.
//!
//! ```text
//! cargo run --example roll_table -- pieces FOLDER FPS...
//! cargo run --example roll_table -- takes FOLDER FPS TAKES...
//! ```
//!
//! `pieces` frames a folder as the original experiment did, once for each rate. `takes` reads
//! composed MIDI of 300 frames, 8 a second, one row for each file or folder of TAKES, beside the
//! pieces of FOLDER framed at the FPS they were learned at. Rests before and after the notes of a
//! take count too: what lacks to 300 frames is added as rests at the end.
//!
//! *copied* is the share of a take's four-frame stretches with at least two different chords that
//! stand, chord for chord and frame for frame, somewhere in the pieces.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etude::cancel::CancelToken;
use etude::model::{RollStatistics, roll_statistics};
use etude::music::smf::{self, ImportError};
use etude::tokens::{Chord, FrameRate, Framing, FramingPlan, read_corpus};

/// Takes are written at the program's output rate.
const TAKE_FPS: f64 = 8.0;
const TAKE_FRAMES: usize = 300;
const N_GRAM: usize = 4;
const USAGE: &str = "usage: roll_table pieces FOLDER FPS... | takes FOLDER FPS TAKES...";

type Gram = [Chord; N_GRAM];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pieces", folder, ref rates @ ..] => pieces(folder, rates),
        ["takes", folder, rate, ref takes @ ..] => compare(folder, rate, takes),
        _ => anyhow::bail!(USAGE),
    }
}

fn pieces(folder: &str, rates: &[&str]) -> anyhow::Result<()> {
    header("frames a second", &["frames", "different chords"]);
    for rate in rates {
        let rolls = read(Path::new(folder), rate.parse()?, Framing::Original)?;
        let n_chords = rolls.iter().flatten().collect::<HashSet<_>>().len();
        let total = total(&rolls);
        row(rate, &total, &[total.frames.to_string(), n_chords.to_string()]);
    }
    Ok(())
}

fn compare(folder: &str, rate: &str, takes: &[&str]) -> anyhow::Result<()> {
    let learned = read(Path::new(folder), rate.parse()?, Framing::Original)?;
    let known: HashSet<Gram> = learned.iter().flat_map(|roll| grams(roll)).collect();
    header("take", &["different chords", "copied"]);
    for take in takes {
        let mut rolls = Vec::new();
        for path in files(Path::new(take))? {
            rolls.push(take_roll(&path)?);
        }
        let grams: Vec<Gram> = rolls.iter().flat_map(|roll| grams(roll)).collect();
        let n_copied = grams.iter().filter(|gram| known.contains(*gram)).count();
        let copied = if grams.is_empty() {
            "–".to_owned()
        } else {
            percent(n_copied as f64 / grams.len() as f64)
        };
        rolls.iter_mut().for_each(|roll| roll.resize(TAKE_FRAMES, Chord::REST));
        let total = total(&rolls);
        let n_chords =
            rolls.iter().map(|roll| roll_statistics(roll).distinct_chords).sum::<usize>();
        let n_chords = n_chords as f64 / rolls.len().max(1) as f64;
        row(&name(take), &total, &[format!("{n_chords:.0}"), copied]);
    }
    Ok(())
}

/// The MIDI files of a folder, or the file itself.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = path.read_dir().with_context(|| format!("can't read {}", path.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "mid"));
    files.sort();
    Ok(files)
}

/// The frames of a take; none if it has no notes, which is no piece to a corpus.
fn take_roll(path: &Path) -> anyhow::Result<Vec<Chord>> {
    if let Err(ImportError::NoNotes) = smf::read_file(path) {
        return Ok(Vec::new());
    }
    Ok(read(path, TAKE_FPS, Framing::Nearest)?.concat())
}

/// The frames of each piece of a file or folder.
fn read(path: &Path, rate: f64, framing: Framing) -> anyhow::Result<Vec<Vec<Chord>>> {
    let plan = FramingPlan { rate: FrameRate::new(rate)?, framing, ..Default::default() };
    let corpus = read_corpus(&[path.to_owned()], &plan, None, &CancelToken::new(), &|_| {})
        .with_context(|| format!("{} can't be read", path.display()))?;
    let roll = |ids: &[u32]| ids.iter().map(|&id| corpus.chords[id as usize]).collect();
    Ok(corpus.pieces.iter().map(|piece| roll(&piece.chords)).collect())
}

/// Stretches of one held chord say nothing about copying and are left out.
fn grams(roll: &[Chord]) -> impl Iterator<Item = Gram> {
    let grams = roll.windows(N_GRAM).filter_map(|window| Gram::try_from(window).ok());
    grams.filter(|gram| gram.iter().any(|chord| *chord != gram[0]))
}

/// Shares over all frames of all rolls; the longest run of any.
fn total(rolls: &[Vec<Chord>]) -> RollStatistics {
    let mut total = RollStatistics::default();
    for each in rolls.iter().map(|roll| roll_statistics(roll)) {
        let frames = each.frames as f64;
        total.frames += each.frames;
        total.note_share += each.note_share * frames;
        total.repeat_share += each.repeat_share * frames;
        total.rest_share += each.rest_share * frames;
        total.longest_run = total.longest_run.max(each.longest_run);
    }
    let frames = total.frames.max(1) as f64;
    total.note_share /= frames;
    total.repeat_share /= frames;
    total.rest_share /= frames;
    total
}

fn header(first: &str, last: &[&str]) {
    let n_columns = 4 + last.len();
    println!("| {first} | new chord | repeat | rest | longest run | {} |", last.join(" | "));
    println!("|---|{}", "---:|".repeat(n_columns));
}

fn row(name: &str, total: &RollStatistics, last: &[String]) {
    let shares = [total.note_share, total.repeat_share, total.rest_share].map(percent).join(" | ");
    println!("| {name} | {shares} | {} | {} |", total.longest_run, last.join(" | "));
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn name(path: &str) -> String {
    let name = PathBuf::from(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.trim_end_matches(".mid").to_owned()
}
