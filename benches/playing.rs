//! Whether the sound holds while every core trains. `cargo bench --bench playing [-- MINUTES]`
//!
//! A thread stands in for a sound card: by its clock a buffer of 1,024 frames runs out every
//! 21 ms, and by then the engine has to have filled the next one. A buffer that comes later is an
//! underrun, which is heard as a click. The music is a dense loop; the training is the studio's
//! own, on all cores. The card's thread has an ordinary priority, a real one's mostly a better one.
//!
//! Status 0 if there was no underrun, else 1.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etude::audio::{Engine, Font, FontSource};
use etude::cancel::CancelToken;
use etude::model::{DeviceChoice, TrainEvent, TrainRequest, TrainingSettings};
use etude::studio::{EventKind, Progress, Request, Studio};

/// Samples a second of one channel.
const RATE: u32 = 48_000;
/// What the studio asks a device for.
const BUFFER_FRAMES: usize = 1_024;

fn main() -> ExitCode {
    let minutes = std::env::args().skip(1).find_map(|word| word.parse::<f64>().ok());
    // Enough to see that it works, where nobody says more.
    let length = Duration::from_secs_f64(60.0 * minutes.unwrap_or(0.25));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let settings =
        TrainingSettings { epochs: 100_000, early_stop: None, ..TrainingSettings::chords() };
    let request = TrainRequest {
        music: common::corpus(400_000, 1_000).into(),
        settings,
        run_dir: folder.path().join("run"),
        from: None,
        resume: false,
        device: DeviceChoice::Cpu,
    };
    let (wake, woken) = crossbeam_channel::unbounded();
    let studio = Studio::with_cache_dir(Arc::new(move || _ = wake.send(())), None);
    let job = studio.submit(Request::Train(request));
    let mut n_steps = 0;
    let mut drain = |studio: &Studio| {
        for event in studio.events() {
            if let EventKind::Progress(Progress::Train(TrainEvent::Step(point))) = event.kind {
                n_steps = point.step;
            }
        }
        n_steps
    };
    while drain(&studio) == 0 {
        woken.recv().expect("the studio lives");
    }

    let card = std::thread::spawn(move || play(length));
    let mut before = 0;
    while !card.is_finished() {
        // Whether or not the studio has news.
        let _timeout = woken.recv_timeout(Duration::from_millis(100));
        before = drain(&studio);
    }
    studio.cancel(job);
    let Ok(report) = card.join() else { return ExitCode::FAILURE };
    println!(
        "{:.0} s of playback while {before} steps were trained: {} buffers, {} underruns, at best \
         {:.1} ms left, at worst {:.1} ms, median {:.1} ms",
        length.as_secs_f64(),
        report.n_buffers,
        report.n_underruns,
        report.most_left_ms,
        report.least_left_ms,
        report.median_left_ms,
    );
    if report.n_underruns == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Report {
    n_buffers: usize,
    n_underruns: usize,
    /// Time between a buffer's being full and its being needed; negative after an underrun.
    least_left_ms: f64,
    median_left_ms: f64,
    most_left_ms: f64,
}

fn play(length: Duration) -> Report {
    let font = Font::load(&FontSource::BuiltIn, &CancelToken::new()).expect("it is built in");
    let (mut engine, mut control) = Engine::new(RATE, 0.0);
    control.set_font(&font).expect("the rate is a usual one");
    // Eight notes a second for a minute, again and again.
    control.set_score(&common::score(480, 1));
    control.set_loop(Some(0.0..59.0)).expect("it is longer than a loop must be");
    control.play();
    let period = Duration::from_secs_f64(BUFFER_FRAMES as f64 / f64::from(RATE));
    let mut buffer = [0.0; 2 * BUFFER_FRAMES];
    let mut left_ms = Vec::new();
    let mut loudest = 0f32;
    // When the buffer that is being heard runs out.
    let mut runs_out = Instant::now() + period;
    let ends = Instant::now() + length;
    while runs_out < ends {
        engine.fill(&mut buffer);
        let now = Instant::now();
        let left = runs_out.saturating_duration_since(now).as_secs_f64()
            - now.saturating_duration_since(runs_out).as_secs_f64();
        left_ms.push(1e3 * left);
        loudest = buffer.iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
        // A card that has run dry goes on when it is fed again.
        let heard_from = runs_out.max(now);
        std::thread::sleep(heard_from.saturating_duration_since(Instant::now()));
        runs_out = heard_from + period;
    }
    assert!(loudest > 0.01, "nothing was played");
    left_ms.sort_by(f64::total_cmp);
    Report {
        n_buffers: left_ms.len(),
        n_underruns: left_ms.iter().filter(|left| **left < 0.0).count(),
        least_left_ms: left_ms.first().copied().unwrap_or_default(),
        median_left_ms: left_ms.get(left_ms.len() / 2).copied().unwrap_or_default(),
        most_left_ms: left_ms.last().copied().unwrap_or_default(),
    }
}
