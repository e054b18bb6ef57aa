//! Composing 50 frames with a network of the usual size. `cargo bench --bench composing`

mod common;

use divan::Bencher;
use divan::counter::ItemsCount;
use etude::cancel::CancelToken;
use etude::model::{
    ComposeRequest, ComposeSettings, Model, ModelCard, ModelKind, Strategy, compose,
};
use etude::tokens::{BackOff, ChordVocabulary, FramingPlan};

fn main() {
    divan::main();
}

const FRAMES: usize = 50;

/// Two layers of 512, untrained: the arithmetic is the same.
fn model(vocabulary: usize) -> Model {
    let chords = common::chords(vocabulary);
    let counts = vec![1; chords.len()];
    let backoff = BackOff::fit(chords.iter().map(|&chord| (chord, 1)));
    let card = ModelCard {
        format_version: ModelCard::FORMAT_VERSION,
        model: ModelKind::Lstm,
        layers: 2,
        hidden: 512,
        plan: FramingPlan::default(),
        vocabulary: ChordVocabulary::new(chords, counts).expect("the chords differ"),
        backoff,
        epoch: 0,
        valid_perplexity: None,
        about: String::new(),
    };
    Model::untrained(card, 0).expect("the sizes are usual ones")
}

fn bench(bencher: Bencher, vocabulary: usize, strategy: Strategy, takes: usize) {
    let settings = ComposeSettings { strategy, frames: FRAMES, takes, ..Default::default() };
    let request = ComposeRequest { model: model(vocabulary), settings };
    bencher.counter(ItemsCount::new(FRAMES * takes)).bench(|| {
        compose(divan::black_box(&request), &CancelToken::new(), &mut |_| {})
            .map(|takes| takes.len())
    });
}

const SAMPLE: Strategy = Strategy::Sample { temperature: 0.9, top_k: None, top_p: None };

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn sample(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, SAMPLE, 1);
}

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn sample_8_takes(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, SAMPLE, 8);
}

#[divan::bench(args = [1_000, 8_000], sample_count = 10)]
fn beam_10(bencher: Bencher, vocabulary: usize) {
    bench(bencher, vocabulary, Strategy::Beam { width: 10, length_penalty: 1.0 }, 1);
}
