//! Prints, as a Markdown table, how many notes and changes of the pedal come back from frames.
//!
//! ```text
//! cargo run --release --example recovery_table -- FOLDER...
//! ```
//!
//! Each file goes the whole way, from MIDI to frames to MIDI. A note is back when one of its
//! pitch has its onset and its end within a frame and its velocity within 4.

use std::path::{Path, PathBuf};

use anyhow::Context;
use etude::cancel::CancelToken;
use etude::music::{Score, smf};
use etude::tokens::{
    FrameRate, Framing, FramingPlan, Performance, PerformancePlan, Playback, Recovery, Touch,
    find_files, recovery,
};
use rayon::prelude::*;

const RATES: [f64; 5] = [2.0, 4.0, 8.0, 16.0, 32.0];

/// Ways through the frames: a label, the framing, and what is kept besides which keys sound.
const ROUTES: [(&str, Framing, Touch); 3] = [
    ("key frames", Framing::Nearest, Touch::Kept),
    ("piano roll", Framing::Nearest, Touch::Ignored),
    ("the original's", Framing::Original, Touch::Ignored),
];

fn main() -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    anyhow::ensure!(!folders.is_empty(), "name at least one folder of MIDI files");
    let header = RATES.map(|rate| format!("{rate} fps")).join(" | ");
    println!("| set | route | what | of | {header} |");
    println!("|---|---|---|---:|{}", "---:|".repeat(RATES.len()));
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = find_files(std::slice::from_ref(&folder), &CancelToken::new())?.files;
        let sums = files
            .par_iter()
            .map(|file| recoveries(file).with_context(|| format!("{} failed", file.display())))
            .try_reduce(Sums::default, |a, b| Ok(added(a, b)))?;
        for ((label, ..), by_rate) in ROUTES.iter().zip(&sums) {
            let row = |what: &str, n: usize, share: fn(&Recovery) -> f64| {
                let cells: Vec<String> =
                    by_rate.iter().map(|sum| format!("{:.2} %", 100.0 * share(sum))).collect();
                println!("| {name} | {label} | {what} | {n} | {} |", cells.join(" | "));
            };
            row("pitch and times", by_rate[0].n_notes, Recovery::timed_share);
            row("velocity too", by_rate[0].n_notes, Recovery::note_share);
            if by_rate.iter().any(|sum| sum.n_turns_back > 0) {
                row("pedal", by_rate[0].n_turns, Recovery::pedal_share);
            }
        }
    }
    Ok(())
}

type Sums = [[Recovery; RATES.len()]; ROUTES.len()];

fn added(mut a: Sums, b: Sums) -> Sums {
    for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
        *a += *b;
    }
    a
}

/// What comes back of one file, by route and rate. A file that can't be read counts for nothing.
fn recoveries(file: &Path) -> anyhow::Result<Sums> {
    let mut sums = Sums::default();
    let Ok(import) = smf::read_file(file) else { return Ok(sums) };
    for ((_, framing, touch), by_rate) in ROUTES.into_iter().zip(&mut sums) {
        for (rate, sum) in RATES.into_iter().zip(by_rate) {
            let rate = FrameRate::new(rate)?;
            let frames = FramingPlan { rate, framing, ..FramingPlan::default() };
            let back = through_frames(&import.score, &PerformancePlan { frames, touch })?;
            *sum = recovery(&import.score, &back, 1.0 / rate.per_second());
        }
    }
    Ok(sums)
}

/// To frames, to a score, to the bytes of a file and back.
fn through_frames(score: &Score, plan: &PerformancePlan) -> anyhow::Result<Score> {
    let performance = Performance::from_score(score, plan)?;
    let frames = performance.frames(0..performance.n_frames());
    // Nothing but the frames and the silence before them goes on from here.
    let performance = Performance::from_frames(&frames).with_lead(performance.lead());
    let playback = Playback { rate: plan.frames.rate, ..Playback::default() };
    Ok(smf::read(&smf::write(&performance.to_score(&playback)))?.score)
}
