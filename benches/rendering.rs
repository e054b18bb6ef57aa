//! A minute of piano into a WAV file; what an edit costs the player. `cargo bench --bench rendering`

mod common;

use divan::Bencher;
use etude::audio::{Engine, Font, FontSource, RenderSettings, render};
use etude::cancel::CancelToken;

fn main() {
    divan::main();
}

/// Unpacking the built-in piano, which happens once at each start.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn load_the_piano() -> bool {
    Font::load(&FontSource::BuiltIn, &CancelToken::new()).is_ok()
}

/// Divide 60 s by the time for how many times faster than it plays.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn render_a_minute(bencher: Bencher) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let font = Font::load(&FontSource::BuiltIn, &CancelToken::new()).expect("it is built in");
    // Eight notes a second for a minute.
    let score = common::score(480, 1);
    let out = folder.path().join("minute.wav");
    let settings = RenderSettings::default();
    bencher.bench(|| {
        render(&score, &font, &settings, &out, &CancelToken::new(), &mut |_| {})
            .map(|report| report.seconds_of_audio)
    });
}

/// What an edit of a piece of 200,000 notes costs the player: making it ready and taking it over,
/// the release of the one before included.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn replace_200_000_notes(bencher: Bencher) {
    let score = common::score(200_000, 1);
    let (mut engine, mut control) = Engine::new(48_000, 0.0);
    let mut out = [0.0; 128];
    bencher.bench_local(|| {
        control.set_score(&score);
        engine.fill(&mut out);
    });
}
