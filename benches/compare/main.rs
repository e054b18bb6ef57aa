//! Etude's side of `benches/compare/compare.py`, which sets it beside its peers.
//!
//! One process does one thing again and again, each time it reads a line on standard input; it
//! answers `ready` when it may begin and `done` after each. The script holds the watch, so that
//! this side and the peer's (`peer.py`, which speaks the same way) are timed alike and in turn;
//! only `first-note`, which has to fall silent in between, says its seconds itself.
//!
//! ```text
//! compare train lstm|gru HIDDEN VOCABULARY BATCH SEQUENCE full|adaptive DEVICE
//! compare compose sample|beam VOCABULARY FRAMES
//! compare first-note
//! compare write-minute OUT.mid
//! ```

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "studio")]
#[path = "../common/first_sound.rs"]
mod first_sound;

use std::io::Write;
#[cfg(feature = "studio")]
use std::time::Instant;

use etude::cancel::CancelToken;
use etude::model::{
    ComposeRequest, ComposeSettings, ModelKind, Softmax, Strategy, TrainEvent, TrainRequest,
    TrainingSettings, compose, train,
};

type Fallible<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["train", rest @ ..] => train_when_told(rest),
        ["compose", rest @ ..] => compose_when_told(rest),
        #[cfg(feature = "studio")]
        ["first-note"] => first_notes_when_told(),
        ["write-minute", out] => write_minute(out),
        _ => {
            println!("Beside PyTorch and others: python3 benches/compare/compare.py");
            return std::process::ExitCode::SUCCESS;
        }
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The script's side of the conversation.
struct Watch {
    lines: std::io::Lines<std::io::StdinLock<'static>>,
}

impl Watch {
    fn new() -> Self {
        Self { lines: std::io::stdin().lines() }
    }

    /// Says `word` and waits for the next line; false when there will be none.
    fn say(&mut self, word: &str) -> Fallible<bool> {
        let mut out = std::io::stdout();
        writeln!(out, "{word}")?;
        out.flush()?;
        Ok(self.lines.next().transpose()?.is_some())
    }
}

/// Steps of a real run: between two of them it waits for the next line.
fn train_when_told(words: &[&str]) -> Fallible {
    let [cell, hidden, vocabulary, batch, sequence, softmax, device] = words else {
        return Err("train CELL HIDDEN VOCABULARY BATCH SEQUENCE full|adaptive DEVICE".into());
    };
    let (vocabulary, batch): (usize, usize) = (vocabulary.parse()?, batch.parse()?);
    let sequence: usize = sequence.parse()?;
    let softmax = match *softmax {
        "full" => Softmax::Full,
        "adaptive" => Softmax::Adaptive,
        other => return Err(format!("no softmax {other}").into()),
    };
    let settings = TrainingSettings {
        model: if *cell == "gru" { ModelKind::Gru } else { ModelKind::Lstm },
        hidden: hidden.parse()?,
        softmax,
        batch,
        sequence,
        epochs: 1_000,
        // The peer drops nothing either.
        dropout: 0.0,
        max_vocabulary: None,
        early_stop: None,
        ..TrainingSettings::chords()
    };
    // More than is measured in one epoch, so that no evaluation falls between; a fifth is held
    // out.
    const MOST_STEPS: usize = 24;
    let n_frames = (batch * sequence * MOST_STEPS).max(vocabulary * 2) * 5 / 4;
    let folder = tempfile::tempdir()?;
    let request = TrainRequest {
        music: common::corpus(n_frames, vocabulary).into(),
        settings,
        run_dir: folder.path().join("run"),
        from: None,
        resume: false,
        device: device.parse()?,
    };
    let (cancel, mut watch) = (CancelToken::new(), Watch::new());
    let (mut last_step, mut failure) = (0, None);
    train(&request, &cancel, &mut |event| {
        let TrainEvent::Step(point) = event else { return };
        // The first step allocates, and compiles kernels on a card.
        let word = if last_step == 0 { "ready".to_owned() } else { "done".to_owned() };
        if last_step != 0 && point.step != last_step + 1 {
            failure = Some(format!("step {} follows {last_step}", point.step));
            cancel.cancel();
        }
        last_step = point.step;
        match watch.say(&word) {
            Ok(true) => {}
            Ok(false) => cancel.cancel(),
            Err(error) => {
                failure = Some(error.to_string());
                cancel.cancel();
            }
        }
    })?;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// A whole composition each time.
fn compose_when_told(words: &[&str]) -> Fallible {
    let [strategy, vocabulary, frames] = words else {
        return Err("compose sample|beam VOCABULARY FRAMES".into());
    };
    let strategy = match *strategy {
        "beam" => Strategy::Beam { width: 10, length_penalty: 1.0 },
        _ => Strategy::Sample { temperature: 0.9, top_k: None, top_p: None },
    };
    let settings = ComposeSettings { strategy, frames: frames.parse()?, ..Default::default() };
    let request = ComposeRequest { model: common::untrained(vocabulary.parse()?), settings };
    let mut watch = Watch::new();
    let mut goes_on = watch.say("ready")?;
    while goes_on {
        compose(&request, &CancelToken::new(), &mut |_| {})?;
        goes_on = watch.say("done")?;
    }
    Ok(())
}

/// From the click to the first sample that is heard, without the window's frame and the device's
/// buffer.
#[cfg(feature = "studio")]
fn first_notes_when_told() -> Fallible {
    let mut first_sound = first_sound::FirstSound::new();
    let mut watch = Watch::new();
    let mut goes_on = watch.say("ready")?;
    while goes_on {
        first_sound.fall_silent();
        let began = Instant::now();
        first_sound.hear();
        goes_on = watch.say(&format!("done {}", began.elapsed().as_secs_f64()))?;
    }
    Ok(())
}

/// A minute of music, eight notes a second, for whoever renders it.
fn write_minute(out: &str) -> Fallible {
    std::fs::write(out, etude::music::smf::write(&common::score(480, 1)))?;
    Ok(())
}
