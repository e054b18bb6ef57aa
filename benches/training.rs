//! The time of one training step: two layers of 512, sequences of 100 frames, as in a real run.
//! `cargo bench --bench training [-- DEVICE]`
//!
//! A step takes seconds on a CPU, so this is no benchmark of many samples: a run is started on
//! made-up music, its first step (which allocates, and compiles kernels on a card) is left out,
//! and the next ones are timed between the events that tell of them. On the CPU the same step
//! made of burn's own layers is timed beside each.

#[path = "training/burn_layers.rs"]
mod burn_layers;
mod common;

use std::time::Instant;

use etude::cancel::CancelToken;
use etude::model::{DeviceChoice, Softmax, TrainEvent, TrainRequest, TrainingSettings, train};

/// Steps that are timed, after as many that are not.
const STEPS: usize = 3;

/// Frames a sequence.
const SEQUENCE: usize = 100;

fn main() {
    // cargo gives `--bench`; a word without dashes is a device.
    let device = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let device: DeviceChoice = match device.as_deref().unwrap_or("cpu").parse() {
        Ok(device) => device,
        Err(error) => return eprintln!("{error}"),
    };
    println!("chords  softmax   batch  seconds a step  frames a second  burn's layers  ratio");
    for (vocabulary, softmax) in
        [(1_000, Softmax::Full), (8_000, Softmax::Full), (40_000, Softmax::Adaptive)]
    {
        for batch in [64, 256] {
            let name = format!("{softmax:?}");
            print!("{vocabulary:>6}  {name:<8}  {batch:>5}");
            let secs = match seconds_a_step(vocabulary, softmax, batch, device) {
                Ok(secs) => secs,
                Err(error) => {
                    println!("  {error}");
                    continue;
                }
            };
            let frames = (batch * SEQUENCE) as f64;
            print!("  {secs:>14.3}  {:>15.0}", frames / secs);
            // Burn has no adaptive softmax, and a full one of that size takes minutes.
            if device == DeviceChoice::Cpu && softmax == Softmax::Full {
                let theirs = burn_layers::seconds_a_step(vocabulary, batch, SEQUENCE, STEPS);
                print!("  {theirs:>11.3} s  {:>5.2}", theirs / secs);
            }
            println!();
        }
    }
}

fn seconds_a_step(
    vocabulary: usize,
    softmax: Softmax,
    batch: usize,
    device: DeviceChoice,
) -> Result<f64, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let settings = TrainingSettings {
        softmax,
        batch,
        sequence: SEQUENCE,
        epochs: 1_000,
        max_vocabulary: None,
        early_stop: None,
        ..TrainingSettings::chords()
    };
    // Enough that the batch isn't shrunk, with what is held out on top.
    let n_frames = (batch * settings.sequence * 10).max(vocabulary * 2) * 5 / 4;
    let request = TrainRequest {
        music: common::corpus(n_frames, vocabulary).into(),
        settings,
        run_dir: folder.path().join("run"),
        from: None,
        resume: false,
        device,
    };
    let (cancel, mut times) = (CancelToken::new(), Vec::new());
    train(&request, &cancel, &mut |event| {
        if let TrainEvent::Step(point) = event {
            times.push((point.step, Instant::now()));
            if times.len() > 2 * STEPS {
                cancel.cancel();
            }
        }
    })
    .map_err(|error| error.to_string())?;
    // Events are thinned when steps are fast, so they are divided by the steps between them.
    match (times.get(STEPS), times.last()) {
        (Some((from, began)), Some((to, ended))) if to > from => {
            Ok((*ended - *began).as_secs_f64() / (to - from) as f64)
        }
        _ => Err("it ended before enough steps were made".to_owned()),
    }
}
