//! Reading MIDI files and turning them into tokens. `cargo bench --bench reading`
//!
//! With `ETUDE_TEST_DATA` the folder `piano-midi-de` in it is read too (337 files there).

mod common;

use std::path::PathBuf;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use etude::cancel::CancelToken;
use etude::music::smf;
use etude::tokens::{Encoding, FramingPlan, VocabularyLimits, read_corpus, roll_from_score};

fn main() {
    divan::main();
}

/// One file of some minutes: bytes to a score.
#[divan::bench(args = [1_000, 10_000])]
fn parse_a_file(bencher: Bencher, n_notes: u32) {
    let bytes = smf::write(&common::score(n_notes, 1));
    let counted = bencher.counter(ItemsCount::new(n_notes)).counter(BytesCount::new(bytes.len()));
    counted.bench(|| smf::read(divan::black_box(&bytes)).is_ok());
}

#[divan::bench(args = [1_000, 10_000])]
fn write_a_file(bencher: Bencher, n_notes: u32) {
    let score = common::score(n_notes, 1);
    bencher.counter(ItemsCount::new(n_notes)).bench(|| smf::write(divan::black_box(&score)));
}

#[divan::bench(args = [1_000, 10_000])]
fn cut_into_frames(bencher: Bencher, n_notes: u32) {
    let score = common::score(n_notes, 1);
    let plan = FramingPlan::default();
    bencher
        .counter(ItemsCount::new(n_notes))
        .bench(|| roll_from_score(divan::black_box(&score), &plan).is_ok());
}

/// A folder of a hundred files to tokens, on all cores, without the cache.
#[divan::bench(sample_count = 20)]
fn tokenize_100_files(bencher: Bencher) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for idx in 0..100 {
        let bytes = smf::write(&common::score(2_000, idx));
        std::fs::write(folder.path().join(format!("{idx:03}.mid")), bytes)
            .expect("a file can be written into it");
    }
    bencher.counter(ItemsCount::new(200_000u32)).bench(|| tokenize(folder.path().into(), None));
}

/// The same for real files, where they are.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn tokenize_piano_midi_de(bencher: Bencher) {
    let Some(data) = std::env::var_os("ETUDE_TEST_DATA") else { return };
    let folder = PathBuf::from(data).join("piano-midi-de");
    bencher.bench(|| tokenize(folder.clone(), None));
}

/// The second reading comes from the cache.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn tokenize_piano_midi_de_again(bencher: Bencher) {
    let Some(data) = std::env::var_os("ETUDE_TEST_DATA") else { return };
    let folder = PathBuf::from(data).join("piano-midi-de");
    let cache = tempfile::tempdir().expect("a temporary folder can be made");
    tokenize(folder.clone(), Some(cache.path().into()));
    bencher.bench(|| tokenize(folder.clone(), Some(cache.path().into())));
}

fn tokenize(folder: PathBuf, cache: Option<PathBuf>) -> usize {
    let cancel = CancelToken::new();
    let read = read_corpus(&[folder], &FramingPlan::default(), cache.as_deref(), &cancel, &|_| {});
    let Ok(corpus) = read else { return 0 };
    let everything: Vec<usize> = (0..corpus.pieces.len()).collect();
    Encoding::new(&corpus, &everything, VocabularyLimits::default(), 0).vocabulary.len()
}
