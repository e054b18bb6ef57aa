//! Prints, as a Markdown table, how many notes each framing keeps at several frame rates.
//!
//! ```text
//! cargo run --example framing_table -- FOLDER...
//! ```
//!
//! A note reaches the frames when at least one of them sounds because of it. Notes that touch or
//! overlap at one pitch are then a single held note, so fewer come back out of the frames.

use std::path::PathBuf;

use anyhow::Context;
use etude::cancel::CancelToken;
use etude::music::smf;
use etude::tokens::{Chord, FrameRate, Framing, FramingPlan, kept_notes, read_corpus};

const RATES: [f64; 5] = [2.0, 4.0, 8.0, 16.0, 30.0];

fn main() -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    anyhow::ensure!(!folders.is_empty(), "name at least one folder of MIDI files");
    println!(
        "| set | framing | notes that | {} |",
        RATES.map(|rate| format!("{rate} fps")).join(" | ")
    );
    println!("|---|---|---|{}", "---:|".repeat(RATES.len()));
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (label, framing) in [("nearest", Framing::Nearest), ("original", Framing::Original)] {
            let mut counts = Vec::new();
            for rate in RATES {
                let rate = FrameRate::new(rate)?;
                counts.push(count(&folder, &FramingPlan { rate, framing, ..Default::default() })?);
            }
            let row = |what: &str, n: fn(&Counts) -> usize| {
                let share = |counts: &Counts| 100.0 * n(counts) as f64 / counts.n_notes as f64;
                let cell = |counts| format!("{} ({:.1} %)", n(counts), share(counts));
                let cells: Vec<String> = counts.iter().map(cell).collect();
                println!("| {name} | {label} | {what} | {} |", cells.join(" | "));
            };
            row("reach the frames", |counts| counts.n_kept);
            row("come out apart", |counts| counts.n_apart);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    n_notes: usize,
    n_kept: usize,
    /// Runs of frames in which a pitch stays: what playing the frames would strike.
    n_apart: usize,
}

/// Counts the notes of all pieces of a folder.
fn count(folder: &PathBuf, plan: &FramingPlan) -> anyhow::Result<Counts> {
    let nothing = |_| {};
    let corpus =
        read_corpus(std::slice::from_ref(folder), plan, None, &CancelToken::new(), &nothing)?;
    let mut counts = Counts::default();
    for piece in &corpus.pieces {
        let import = smf::read_file(&piece.path)
            .with_context(|| format!("{} can't be read", piece.path.display()))?;
        let (n_kept, n_notes) = kept_notes(&import.score, plan);
        counts.n_kept += n_kept;
        counts.n_notes += n_notes;
        let mut before = Chord::REST;
        for &id in &piece.chords {
            let chord = corpus.chords[id as usize];
            counts.n_apart += chord.difference(before).len();
            before = chord;
        }
    }
    Ok(counts)
}
