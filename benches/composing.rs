//! Composing 50 frames with a network of the usual size, and how long it takes until the built-in
//! model is heard. `cargo bench --bench composing`

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
        clusters: None,
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

/// What lies between the click on Compose and the sound, apart from the window's frame and the
/// device's buffer (about 20 ms each): the job is queued, the starter composes, its first frames
/// become a score, and the engine makes sound of it. Ends with the first sample that is heard.
#[cfg(feature = "studio")]
#[divan::bench(sample_count = 20)]
fn from_the_request_to_the_first_sound(bencher: Bencher) {
    use std::cell::RefCell;
    use std::sync::Arc;

    use etude::audio::{Engine, Font, FontSource};
    use etude::model::ComposeEvent;
    use etude::studio::{EventKind, Progress, Request, Studio};
    use etude::tokens::{Playback, score_from_roll};

    let font = Font::load(&FontSource::BuiltIn, &CancelToken::new()).expect("it is built in");
    let model = Model::starter().expect("it is built in");
    let (wake, woken) = crossbeam_channel::unbounded();
    let wake = Arc::new(move || _ = wake.send(()));
    let studio = Studio::with_cache_dir(wake, None);
    let (engine, mut control) = Engine::new(44_100, 0.0);
    control.set_font(&font).expect("the rate is a usual one");
    let (engine, control) = (RefCell::new(engine), RefCell::new(control));
    let loudest = || {
        let mut buffer = [0f32; 512];
        engine.borrow_mut().fill(&mut buffer);
        buffer.iter().fold(0f32, |loudest, sample| loudest.max(sample.abs()))
    };
    let mut seed = 0;
    let next_seed = || {
        // What was heard last has to fade first.
        control.borrow_mut().pause();
        control.borrow_mut().seek(0.0);
        while loudest() > 1e-4 {}
        seed += 1;
        seed
    };
    bencher.with_inputs(next_seed).bench_local_values(|seed| {
        let settings = ComposeSettings { seed, ..ComposeSettings::default() };
        let job =
            studio.submit(Request::Compose(ComposeRequest { model: model.clone(), settings }));
        let chords = 'frames: loop {
            woken.recv().expect("the studio lives");
            for event in studio.events().into_iter().filter(|event| event.job == job) {
                match event.kind {
                    EventKind::Progress(Progress::Compose(ComposeEvent::Frames {
                        chords, ..
                    })) => break 'frames chords,
                    EventKind::Finished(_) => return,
                    _ => {}
                }
            }
        };
        let mut control = control.borrow_mut();
        control.set_score(&score_from_roll(&chords, &Playback::default()));
        control.set_open_ended(true);
        control.play();
        while loudest() < 1e-3 {}
        studio.cancel(job);
    });
}
