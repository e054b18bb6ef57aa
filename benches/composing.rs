//! Composing 50 frames with a network of the usual size, and how long it takes until the built-in
//! model is heard. `cargo bench --bench composing`

mod common;
#[cfg(feature = "studio")]
#[path = "common/first_sound.rs"]
mod first_sound;

use divan::Bencher;
use divan::counter::ItemsCount;
use etude::cancel::CancelToken;
use etude::model::{ComposeRequest, ComposeSettings, Strategy, WeightFormat, compose};

fn main() {
    divan::main();
}

const FRAMES: usize = 50;

fn bench(bencher: Bencher, vocabulary: usize, strategy: Strategy, takes: usize) {
    let settings = ComposeSettings { strategy, takes, ..Default::default() };
    bench_with(bencher, vocabulary, settings);
}

fn bench_with(bencher: Bencher, vocabulary: usize, settings: ComposeSettings) {
    let settings = ComposeSettings { frames: FRAMES, ..settings };
    let n_frames = FRAMES * settings.takes;
    let request = ComposeRequest { model: common::untrained(vocabulary), settings };
    bencher.counter(ItemsCount::new(n_frames)).bench(|| {
        compose(divan::black_box(&request), &CancelToken::new(), &mut |_| {})
            .map(|takes| takes.len())
    });
}

const SAMPLE: Strategy = Strategy::Sample { temperature: 0.9, top_k: None, top_p: None };

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn sample(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, SAMPLE, 1);
}

/// The same with the weights in fewer bits.
#[divan::bench(args = [WeightFormat::F16, WeightFormat::Int8], sample_count = 10)]
fn sample_of_1000_in(bencher: Bencher, weights: WeightFormat) {
    bench_with(bencher, 1_000, ComposeSettings { strategy: SAMPLE, weights, ..Default::default() });
}

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn sample_8_takes(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, SAMPLE, 8);
}

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn beam_10(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, Strategy::Beam { width: 10, length_penalty: 1.0 }, 1);
}

/// What a person waits for.
#[cfg(feature = "studio")]
#[divan::bench(sample_count = 20, sample_size = 1)]
fn from_the_request_to_the_first_sound(bencher: Bencher) {
    let first_sound = std::cell::RefCell::new(first_sound::FirstSound::new());
    bencher
        .with_inputs(|| first_sound.borrow_mut().fall_silent())
        .bench_local_values(|()| first_sound.borrow_mut().hear());
}
