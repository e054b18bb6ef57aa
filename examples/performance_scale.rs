//! Measures what a corpus of performances costs: time, bytes on disk, memory.
//!
//! ```text
//! cargo run --release --example performance_scale -- CACHE FPS FOLDER...
//! ```
//!
//! Run it twice: the first time reads the MIDI files and fills CACHE, the second reads CACHE. After
//! that every frame of the corpus is read once in windows, as one epoch of training does.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use etude::cancel::CancelToken;
use etude::tokens::{FrameRate, FramingPlan, PerformancePlan, read_performances};

/// Frames of a window.
const WINDOW: usize = 256;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let cache = PathBuf::from(args.next().context("name a folder for the cache")?);
    let rate = args.next().context("say how many frames a second")?;
    let rate: f64 = rate.to_string_lossy().parse()?;
    let folders: Vec<PathBuf> = args.map(PathBuf::from).collect();
    anyhow::ensure!(!folders.is_empty(), "name at least one folder of MIDI files");
    let frames = FramingPlan { rate: FrameRate::new(rate)?, ..FramingPlan::default() };
    let plan = PerformancePlan { frames, ..PerformancePlan::default() };

    let began = Instant::now();
    let corpus = read_performances(&folders, &plan, Some(&cache), &CancelToken::new(), &|_| {})?;
    let n_notes: usize = corpus.pieces.iter().map(|piece| piece.n_notes).sum();
    println!(
        "{} pieces, {n_notes} notes, {:.1} hours, {} frames at {rate} a second: {:.1} s",
        corpus.pieces.len(),
        corpus.duration_secs() / 3_600.0,
        corpus.n_frames(),
        began.elapsed().as_secs_f64()
    );
    println!("{} bytes, {:.2} a note", corpus.n_bytes(), corpus.n_bytes() as f64 / n_notes as f64);
    print_memory("after reading");

    let began = Instant::now();
    let (mut n_struck, mut n_sounding) = (0usize, 0usize);
    for piece in &corpus.pieces {
        for start in (0..piece.performance.n_frames()).step_by(WINDOW) {
            for frame in piece.performance.frames(start..start + WINDOW) {
                n_struck += frame.struck.len();
                n_sounding += frame.sounding.len();
            }
        }
    }
    let secs = began.elapsed().as_secs_f64();
    println!(
        "one epoch of windows: {secs:.1} s, {:.0} frames a second; {n_struck} strikes, {:.2} keys \
         sound on average",
        corpus.n_frames() as f64 / secs,
        n_sounding as f64 / corpus.n_frames() as f64
    );
    print_memory("after an epoch");
    Ok(())
}

/// What Linux says of this process: the most that was resident, and of what is resident now how
/// much is its own and how much are pages of files, which the system takes back when it likes.
fn print_memory(when: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.map_or("unknown", |rest| rest.trim_start_matches(':').trim()).to_owned()
    };
    println!(
        "{when}: at most {}, own {}, of files {}",
        line("VmHWM"),
        line("RssAnon"),
        line("RssFile")
    );
}
