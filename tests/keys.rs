//! The family that spells key by key: it learns, is kept, goes on, is measured and composes as the
//! other one does, and with the same promises.

#[path = "common/tiny.rs"]
mod tiny;

use std::path::Path;
use std::sync::Arc;

use etude::assets::pieces;
use etude::cancel::CancelToken;
use etude::model::{
    CheckpointError, ComposeEvent, ComposeRequest, ComposeSettings, Guard, Model, ModelKind,
    Precision, Prime, Strategy, Take, TrainError, TrainEvent, TrainingSettings, WeightFormat,
    compose, evaluate,
};
use etude::tokens::{Chord, Corpus, FrameRate, FramingPlan, SplitKind, read_sources};

fn settings() -> TrainingSettings {
    TrainingSettings { model: ModelKind::Keys, key_hidden: 5, transpose: 3, ..tiny::settings() }
}

/// Trains in a folder of its own: the last weights, and the bytes of the last checkpoint's numbers.
fn trained(corpus: &Arc<Corpus>, settings: TrainingSettings) -> (Model, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let request = tiny::request(corpus, settings, &folder.path().join("run"));
    let (_, mut events) = tiny::run(&request).unwrap();
    let Some(TrainEvent::Weights(model)) = events.pop() else { panic!("no weights at the end") };
    (model, tiny::last_weights(&request.run_dir))
}

/// The opening of two of the built-in pieces.
fn real_music() -> Arc<Corpus> {
    let mut corpus = read_sources(&pieces()[..2], &FramingPlan::default()).unwrap();
    corpus.pieces.iter_mut().for_each(|piece| piece.chords.truncate(120));
    Arc::new(corpus)
}

fn in_threads<T: Send>(n_threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap().install(work)
}

fn composed(model: &Model, settings: &ComposeSettings) -> Vec<Take> {
    let request = ComposeRequest { model: model.clone(), settings: settings.clone() };
    compose(&request, &CancelToken::new(), &mut |_| ()).unwrap()
}

const STRATEGIES: [Strategy; 4] = [
    Strategy::Max,
    Strategy::Sample { temperature: 1.0, top_k: None, top_p: None },
    Strategy::Sample { temperature: 0.7, top_k: Some(2), top_p: Some(0.95) },
    Strategy::Beam { width: 3, length_penalty: 1.0 },
];

#[test]
fn a_loop_of_chords_is_learned() {
    let settings = TrainingSettings {
        epochs: 25,
        hidden: 16,
        key_hidden: 8,
        dropout: 0.0,
        transpose: 0,
        ..settings()
    };
    let folder = tempfile::tempdir().unwrap();
    let request = tiny::request(&tiny::loops(), settings, &folder.path().join("run"));
    let (summary, _) = tiny::run(&request).unwrap();
    assert_eq!(summary.vocabulary, 0);
    assert!(!summary.ran_away);
    assert!(summary.best_valid_perplexity < 1.5, "{summary:?}");
    // The baselines are those of counting chords: six of them are as common as each other.
    let unigram = summary.baselines.unigram_perplexity;
    assert!((5.5..7.0).contains(&unigram), "{unigram}");
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let corpus = real_music();
    let settings = TrainingSettings { epochs: 1, ..settings() };
    let train = |n_threads| in_threads(n_threads, || trained(&corpus, settings.clone()));
    let [(one, weights), (_, again)] = [1, 3].map(train);
    assert_eq!(weights, again);
    let settings = ComposeSettings { frames: 4, takes: 2, ..ComposeSettings::default() };
    for strategy in STRATEGIES {
        let settings = ComposeSettings { strategy, ..settings.clone() };
        let rolls = [1, 2].map(|n_threads| {
            let takes = in_threads(n_threads, || composed(&one, &settings));
            takes.into_iter().map(|take| (take.roll, take.log_likelihood)).collect::<Vec<_>>()
        });
        assert_eq!(rolls[0], rolls[1], "{strategy:?}");
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_weights() {
    for carry_state in [false, true] {
        let settings = TrainingSettings { carry_state, epochs: 2, ..settings() };
        let whole = trained(&tiny::loops(), settings.clone()).1;
        let folder = tempfile::tempdir().unwrap();
        let mut request = tiny::request(&tiny::loops(), settings, &folder.path().join("run"));
        let cancel = CancelToken::new();
        let mut n_points = 0;
        let stopped = etude::model::train(&request, &cancel, &mut |event| {
            n_points += usize::from(matches!(event, TrainEvent::Step(_)));
            if n_points > 0 {
                cancel.cancel();
            }
        });
        assert_eq!(stopped.unwrap().outcome, etude::model::Outcome::Cancelled);
        assert!(request.run_dir.join("checkpoints/partial.safetensors").is_file());
        request.resume = true;
        tiny::run(&request).unwrap();
        assert_eq!(tiny::last_weights(&request.run_dir), whole, "carry_state {carry_state}");
    }
}

#[test]
fn a_checkpoint_is_all_a_model_needs() {
    let corpus = real_music();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let settings = TrainingSettings { epochs: 1, ..settings() };
    let (summary, mut events) = tiny::run(&tiny::request(&corpus, settings, &run_dir)).unwrap();
    let Some(TrainEvent::Weights(model)) = events.pop() else { panic!("no weights at the end") };
    let loaded = Model::load(&run_dir).unwrap();
    assert_eq!(loaded.card(), model.card());
    assert_eq!((loaded.card().kind(), loaded.card().format_version), (ModelKind::Keys, 3));
    assert!(loaded.card().chords().is_none() && loaded.next_chord().is_none());
    assert_eq!(summary.parameters, loaded.n_parameters());

    let path = folder.path().join("exported.safetensors");
    model.export(&path, Precision::Full).unwrap();
    let exported = Model::load(&path).unwrap();
    let opening = ComposeSettings { frames: 6, ..ComposeSettings::default() };
    let first = &composed(&model, &opening)[0].roll;
    assert_eq!(&composed(&exported, &opening)[0].roll, first);
    let half = Model::from_bytes(&model.to_bytes(Precision::Half).unwrap()).unwrap();
    let loss =
        |model: &Model| evaluate(model, &corpus.clone().into(), &CancelToken::new()).unwrap().loss;
    assert!((loss(&half) - loss(&model)).abs() < 1e-2);
}

#[test]
fn what_a_run_measured_is_what_evaluating_measures() {
    let corpus = real_music();
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let settings = TrainingSettings { epochs: 1, split: SplitKind::Pieces, ..settings() };
    let (summary, _) = tiny::run(&tiny::request(&corpus, settings, &run_dir)).unwrap();
    let run = etude::model::Run::read(&run_dir).unwrap();
    let held_out = run.summary.corpus.files.iter().position(|file| file.parts == ["valid"]);
    let mut valid = Corpus::clone(&corpus);
    valid.pieces = vec![corpus.pieces[held_out.unwrap()].clone()];
    let measured =
        evaluate(&Model::load(&run_dir).unwrap(), &valid.clone().into(), &CancelToken::new())
            .unwrap();
    assert_eq!((measured.frames, measured.unseen_frames), (valid.n_frames(), 0));
    let (ours, theirs) = (measured.perplexity.ln(), summary.best_valid_perplexity.ln());
    assert!((ours - theirs).abs() < 1e-4, "{ours} for {theirs}");
}

#[test]
fn the_two_families_do_not_pass_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = |name: &str| folder.path().join(name);
    let chords = TrainingSettings { epochs: 1, ..tiny::settings() };
    let keys = TrainingSettings { epochs: 1, ..settings() };
    let trained = |settings: &TrainingSettings, run_dir: &Path| {
        let request = tiny::request(&tiny::loops(), settings.clone(), run_dir);
        tiny::run(&request).unwrap();
        Model::load(run_dir).unwrap()
    };
    let (of_chords, of_keys) =
        (trained(&chords, &run_dir("chords")), trained(&keys, &run_dir("keys")));

    // A run of one family doesn't go on as one of the other.
    let mut request = tiny::request(&tiny::loops(), keys, &run_dir("chords"));
    request.resume = true;
    let error = tiny::run(&request).unwrap_err();
    let TrainError::OtherSettings { .. } = &error else { panic!("{error}") };

    // A manifest of one family over the weights of the other is refused in words.
    for (manifest, weights) in [(&of_chords, &of_keys), (&of_keys, &of_chords)] {
        let bytes = |model: &Model| model.to_bytes(Precision::Full).unwrap();
        let error = Model::from_bytes(&with_manifest_of(&bytes(weights), &bytes(manifest)));
        let error = error.unwrap_err();
        assert!(matches!(error, CheckpointError::Unusable { .. }));
        assert!(error.to_string().contains("a model of the other family"), "{error}");
    }
}

/// A checkpoint's numbers under the manifest of another one.
fn with_manifest_of(weights: &[u8], manifest: &[u8]) -> Vec<u8> {
    let header = |bytes: &[u8]| -> (serde_json::Value, usize) {
        let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        (serde_json::from_slice(&bytes[8..8 + n_header]).unwrap(), 8 + n_header)
    };
    let ((mut mixed, end), (other, _)) = (header(weights), header(manifest));
    mixed["__metadata__"] = other["__metadata__"].clone();
    let mut text = serde_json::to_vec(&mixed).unwrap();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes(), text.as_slice(), &weights[end..]].concat()
}

#[test]
fn every_strategy_composes_from_every_start_and_streams_what_it_returns() {
    let (model, _) = trained(&tiny::loops(), TrainingSettings { epochs: 1, ..settings() });
    let chord = Chord::from_bits(1 << 60 | 1 << 64 | 1 << 67);
    let primes = [Prime::Silence, Prime::Random, Prime::Chords(vec![chord, chord])];
    for strategy in STRATEGIES {
        for prime in primes.clone() {
            let settings = ComposeSettings {
                strategy,
                prime: prime.clone(),
                frames: 5,
                takes: 2,
                guard: Guard::OFF,
                ..ComposeSettings::default()
            };
            let request = ComposeRequest { model: model.clone(), settings: settings.clone() };
            let mut streamed = vec![Vec::new(); 2];
            let takes = compose(&request, &CancelToken::new(), &mut |event| {
                if let ComposeEvent::Frames { take, first, chords, .. } = event {
                    assert_eq!(streamed[take].len(), first);
                    streamed[take].extend_from_slice(&chords);
                }
            });
            let takes = takes.unwrap();
            let n_takes = if strategy == Strategy::Max { 1 } else { 2 };
            assert_eq!(takes.len(), n_takes, "{strategy:?} from {prime:?}");
            for (take, streamed) in takes.iter().zip(&streamed) {
                assert_eq!((&take.roll, take.roll.len()), (streamed, take.n_prime_frames + 5));
                assert!(take.log_likelihood < 0.0 && take.log_likelihood.is_finite());
            }
            if prime == Prime::Random {
                assert!(takes.iter().all(|take| !take.roll[0].is_rest()));
            }
        }
    }
}

#[test]
fn the_log_likelihood_is_the_models_own() {
    let (model, _) = trained(&tiny::loops(), TrainingSettings { epochs: 1, ..settings() });
    let mut corpus = Corpus::clone(&tiny::loops());
    for strategy in STRATEGIES {
        let settings = ComposeSettings { strategy, frames: 7, ..ComposeSettings::default() };
        for take in composed(&model, &settings) {
            // Read again as a piece, it costs what composing it was said to.
            corpus.chords = vec![Chord::REST];
            corpus.chords.extend(&take.roll);
            corpus.pieces.truncate(1);
            corpus.pieces[0].chords = (1..=take.roll.len() as u32).collect();
            let measured = evaluate(&model, &corpus.clone().into(), &CancelToken::new()).unwrap();
            let expected = -measured.loss * measured.frames as f64;
            let found = take.log_likelihood;
            assert!((found - expected).abs() < 1e-3, "{strategy:?}: {found} for {expected}");
        }
    }
}

#[test]
fn the_guard_holds_for_every_strategy() {
    let (model, _) = trained(&tiny::loops(), TrainingSettings { epochs: 4, ..settings() });
    // At two frames a second one second is two frames.
    let guard = Guard { longest_hold_secs: Some(1.0), no_repeat: Some(2) };
    for strategy in STRATEGIES {
        let rate = FrameRate::INPUT_DEFAULT;
        let settings =
            ComposeSettings { strategy, guard, rate, frames: 14, ..ComposeSettings::default() };
        for Take { roll, .. } in composed(&model, &settings) {
            assert!(!roll[0].is_rest(), "{strategy:?} begins with a chord: {roll:?}");
            assert!(
                roll.chunk_by(|a, b| a == b).all(|run| run.len() <= 2),
                "{strategy:?}: {roll:?}"
            );
            let mut changes = roll.clone();
            changes.dedup();
            let mut pairs: Vec<&[Chord]> = changes.windows(2).collect();
            let n_pairs = pairs.len();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(pairs.len(), n_pairs, "{strategy:?}: {roll:?}");
        }
    }
}

#[test]
fn what_the_piano_has_not_is_left_out_and_said() {
    let mut corpus = Corpus::clone(&tiny::loops());
    corpus.chords[1] = Chord::from_bits(1 << 5 | 1 << 60);
    let corpus = Arc::new(corpus);
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainingSettings { epochs: 1, ..settings() };
    let request = tiny::request(&corpus, settings, &folder.path().join("run"));
    let (_, events) = tiny::run(&request).unwrap();
    let notes: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Note(note) => Some(note.as_str()),
            _ => None,
        })
        .collect();
    assert!(notes.iter().any(|note| note.contains("a pitch that no piano has")), "{notes:?}");

    let model = Model::load(&request.run_dir).unwrap();
    let settings = ComposeSettings {
        prime: Prime::Chords(vec![corpus.chords[1]]),
        weights: WeightFormat::Int8,
        frames: 2,
        ..ComposeSettings::default()
    };
    let request = ComposeRequest { model, settings };
    let mut notes = Vec::new();
    let takes = compose(&request, &CancelToken::new(), &mut |event| {
        if let ComposeEvent::Note(note) = event {
            notes.push(note);
        }
    });
    assert_eq!(takes.unwrap()[0].roll[0], Chord::from_bits(1 << 60));
    assert!(notes[0].contains("its weights as they are"), "{notes:?}");
    assert!(notes[1].starts_with("the prime's only frame has"), "{notes:?}");
}
