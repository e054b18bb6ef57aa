//! A minute of piano into a WAV file. `cargo bench --bench rendering`

mod common;

use divan::Bencher;
use etude::audio::{Font, FontSource, RenderSettings, render};
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
