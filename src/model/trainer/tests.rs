//! What happens when the memory runs out, and when a step is cancelled.

use std::path::Path;

use burn::backend::Flex;

use super::loading::{Load, Source};
use super::{Trainer, run_on};
use crate::cancel::CancelToken;
use crate::model::batches::{Layout, plan_epoch};
use crate::model::device;
use crate::model::kernels::Kernels;
use crate::model::material::Material;
use crate::model::network::NetworkConfig;
use crate::model::run::RunFolder;
use crate::model::train::{Beginning, prepare};
use crate::model::weights::NamedTensor;
use crate::model::{
    DeviceChoice, EpochPoint, ModelKind, Softmax, TrainError, TrainEvent, TrainRequest,
    TrainingSettings,
};
use crate::tokens::{Chord, Corpus, FramingPlan, Piece, SplitKind};

fn request(run_dir: &Path) -> TrainRequest {
    let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
    let chords: Vec<u32> = (0..400).map(|t| 1 + (t * t / 3 + t) % 5).collect();
    let corpus = Corpus {
        plan: FramingPlan::default(),
        chords: (0..6).map(chord).collect(),
        pieces: vec![Piece {
            path: "<piece>".into(),
            sha256: String::new(),
            n_notes: chords.len(),
            duration_secs: 200.0,
            chords,
        }],
        skipped: Vec::new(),
        warnings: Vec::new(),
        own_split: None,
    };
    let settings = TrainingSettings {
        layers: 1,
        hidden: 8,
        epochs: 2,
        sequence: 10,
        dropout: 0.3,
        carry_state: true,
        split: SplitKind::Tail,
        ..TrainingSettings::chords()
    };
    let run_dir = run_dir.to_owned();
    let device = DeviceChoice::Cpu;
    TrainRequest { music: corpus.into(), settings, from: None, run_dir, resume: false, device }
}

/// Trains where more rows at a time than `fails_above` don't fit.
fn trained(fails_above: Option<usize>) -> (Result<f64, TrainError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&folder.path().join("run"));
    let material = Material::new(&request.music, &request.settings, None).unwrap();
    let chosen = device::choose(DeviceChoice::Cpu).unwrap();
    let folder = RunFolder::new(&request.run_dir);
    let cancel = CancelToken::new();
    let mut job =
        prepare(&request, material, folder, &chosen, Beginning::default(), &cancel).unwrap();
    assert_eq!(job.layout.batch, 4);
    job.fails_above = fails_above;
    let mut notes = Vec::new();
    let summary = run_on(&chosen, job, &mut |event| {
        if let TrainEvent::Note(note) = event {
            notes.push(note);
        }
    });
    (summary.map(|summary| summary.best_valid_perplexity), notes)
}

#[test]
fn out_of_memory_gathers_gradients_over_smaller_parts() {
    let (whole, notes) = trained(None);
    assert!(notes.is_empty());
    let (gathered, notes) = trained(Some(1));
    assert_eq!(notes.len(), 2, "from four rows to two, to one");
    assert!(notes[1].contains("with 1 sequence at a time"), "{}", notes[1]);
    let (whole, gathered) = (whole.unwrap(), gathered.unwrap());
    // The effective batch stays, so only the order of additions differs.
    assert!((whole - gathered).abs() < 1e-3 * whole, "{gathered} for {whole}");
}

#[test]
fn out_of_memory_for_one_row_ends_in_words() {
    let (result, _) = trained(Some(0));
    let error = result.unwrap_err();
    assert!(matches!(error, TrainError::OutOfMemory { .. }));
    assert!(error.to_string().contains("--hidden"), "{error}");
}

/// Trains with some kernels, made in a pool of so many threads, and stops after `stop_after`
/// epochs, if not before. Goes on with what is in the folder. Loss and accuracy of the epochs, and
/// the weights.
fn trained_by(
    kernels: fn() -> Kernels<Flex>,
    settings: TrainingSettings,
    run_dir: &Path,
    [n_threads, stop_after]: [usize; 2],
) -> Result<(Vec<[f64; 4]>, Vec<NamedTensor>), TrainError> {
    let request = TrainRequest { settings, ..request(run_dir) };
    let material = Material::new(&request.music, &request.settings, None).unwrap();
    let chosen = device::choose(DeviceChoice::Cpu).unwrap();
    let folder = RunFolder::new(&request.run_dir);
    let cancel = CancelToken::new();
    let job = prepare(&request, material, folder, &chosen, Beginning::default(), &cancel).unwrap();
    job.folder.create().unwrap();
    let mut weights = Vec::new();
    let mut on_event = |event| match event {
        TrainEvent::Epoch(point) if point.epoch == stop_after => cancel.cancel(),
        TrainEvent::Weights(model) => weights = model.network.to_tensors(),
        _ => {}
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    let run = |on_event: &mut (dyn FnMut(TrainEvent) + Send)| {
        let mut trainer = Trainer::<Flex>::begin(&job, None, Default::default()).unwrap();
        trainer.kernels = kernels();
        trainer.train(on_event)
    };
    pool.install(|| run(&mut on_event))?;
    let points = job.folder.read_metrics().into_iter();
    let figures = |point: EpochPoint| {
        [point.train_loss, point.train_accuracy, point.valid_loss, point.valid_accuracy]
    };
    Ok((points.map(figures).collect(), weights))
}

/// A network of two layers, everything else that a step can have, and several epochs.
fn everything(model: ModelKind) -> TrainingSettings {
    TrainingSettings {
        model,
        layers: 2,
        hidden: 20,
        epochs: 5,
        learning_rate: 0.01,
        clip: Some(0.5),
        weight_decay: 1e-3,
        transpose: 1,
        ..request(Path::new("")).settings
    }
}

#[test]
fn fused_kernels_learn_what_burn_learns() {
    for model in [ModelKind::Lstm, ModelKind::Gru] {
        let folder = tempfile::tempdir().unwrap();
        let trained = |name: &str, kernels: fn() -> Kernels<Flex>| {
            let run_dir = folder.path().join(name);
            trained_by(kernels, everything(model), &run_dir, [2, usize::MAX]).unwrap()
        };
        let (burn, weights) = trained("burn", Kernels::of_burn_for_tests);
        let (fused, fused_weights) = trained("fused", Kernels::fused_for_tests);
        assert_eq!((burn.len(), fused.len()), (5, 5));
        assert!(burn[4][0] < 0.95 * burn[0][0], "the test needs a run that learns: {burn:?}");
        for (burn, fused) in burn.iter().zip(&fused) {
            for (idx, (burn, fused)) in burn.iter().zip(fused).enumerate() {
                // Losses; beside them shares of right guesses, where a few may be as good as equal.
                let tolerance = if idx.is_multiple_of(2) { 1e-4 * burn } else { 0.02 };
                assert!((burn - fused).abs() < tolerance, "{idx}: {fused} for {burn}");
            }
        }
        for (burn, fused) in weights.iter().zip(&fused_weights) {
            assert_eq!((&burn.name, burn.shape), (&fused.name, fused.shape));
            for (burn, fused) in burn.values.iter().zip(&fused.values) {
                assert!((burn - fused).abs() < 1e-4, "{fused} for {burn}");
            }
        }
    }
}

#[test]
fn fused_kernels_give_the_same_bits_on_any_number_of_threads_and_resumed() {
    for softmax in [Softmax::Full, Softmax::Adaptive] {
        let folder = tempfile::tempdir().unwrap();
        let trained = |name: &str, how| {
            let settings = TrainingSettings { softmax, ..everything(ModelKind::Lstm) };
            trained_by(Kernels::fused_for_tests, settings, &folder.path().join(name), how).unwrap()
        };
        let whole = trained("one", [1, usize::MAX]);
        assert!(trained("three", [3, usize::MAX]) == whole);
        let stopped = trained("stopped", [2, 2]);
        assert_eq!(stopped.0.len(), 2);
        assert!(trained("stopped", [1, usize::MAX]) == whole);
    }
}

#[test]
fn fused_kernels_notice_a_loss_that_is_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let everything = everything(ModelKind::Gru);
    let settings = TrainingSettings { learning_rate: 1e30, clip: None, ..everything };
    let kernels = Kernels::fused_for_tests;
    let error = trained_by(kernels, settings, &folder.path().join("run"), [1, 0]).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 1, .. }), "{error}");
}

#[test]
fn what_is_loaded_ahead_is_what_each_step_would_load() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&folder.path().join("run"));
    let material = Material::new(&request.music, &request.settings, None).unwrap();
    let lengths = material.train_lengths();
    let layout = Layout::fit(&request.settings, &lengths);
    let plan = plan_epoch(&request.settings, &layout, &lengths, material.n_shifts(), 3);
    let config = NetworkConfig::new(&request.settings, material.vocabulary(), false);
    let settings = &request.settings;
    let source = Source { material: &material, settings, config, plan: &plan };
    // In the middle of an epoch that is not the first.
    let (idx, step) = (2, 21);
    let parts = |load: Load| (load.batch, load.n_frames, load.masks);
    let ahead = |load: Result<Load, TrainError>| parts(load.unwrap());
    let loaded: Vec<_> =
        std::thread::scope(|scope| source.ahead(scope, idx, step).map(ahead).collect());
    assert_eq!(loaded.len(), plan.len() - idx);
    for (ahead, (idx, step)) in loaded.into_iter().zip((idx..).zip(step..)) {
        assert!(ahead == parts(source.load(idx, step)), "step {step}");
        assert_eq!(ahead.2.len(), 2, "one layer's input and the decoder's");
    }
    // Who stops early leaves no thread that waits for ever: the scope would not end.
    std::thread::scope(|scope| drop(source.ahead(scope, 0, 0).next()));
}

#[test]
fn a_batch_that_cannot_be_made_is_not_the_device_s_failure() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(&folder.path().join("run"));
    let material = Material::new(&request.music, &request.settings, None).unwrap();
    let chosen = device::choose(DeviceChoice::Cpu).unwrap();
    let folder = RunFolder::new(&request.run_dir);
    let cancel = CancelToken::new();
    let job = prepare(&request, material, folder, &chosen, Beginning::default(), &cancel).unwrap();
    let lengths = job.material.train_lengths();
    let mut plan = plan_epoch(job.settings, &job.layout, &lengths, job.material.n_shifts(), 0);
    // Music that isn't there.
    plan[2][0].as_mut().unwrap().stretch = 99;
    let mut trainer = Trainer::<Flex>::begin(&job, None, Default::default()).unwrap();
    let error = trainer.steps(&plan, &mut |_| {}).err().unwrap();
    assert_eq!(trainer.state.steps_into_epoch, 2, "those before it were made");
    let words = error.to_string();
    assert!(matches!(error, TrainError::Loading(_)), "{words}");
    assert!(words.contains("99") && !words.contains("device"), "{words}");
}

#[test]
fn a_step_that_is_cancelled_within_leaves_everything_as_it_was() {
    for kernels in [Kernels::of_burn_for_tests(), Kernels::fused_for_tests()] {
        let folder = tempfile::tempdir().unwrap();
        let request = request(&folder.path().join("run"));
        let material = Material::new(&request.music, &request.settings, None).unwrap();
        let chosen = device::choose(DeviceChoice::Cpu).unwrap();
        let folder = RunFolder::new(&request.run_dir);
        let cancel = CancelToken::new();
        let mut job =
            prepare(&request, material, folder, &chosen, Beginning::default(), &cancel).unwrap();
        job.micro_batch = 1;
        let lengths = job.material.train_lengths();
        let plan = plan_epoch(job.settings, &job.layout, &lengths, job.material.n_shifts(), 0);
        let mut trainer = Trainer::<Flex>::begin(&job, None, Default::default()).unwrap();
        trainer.kernels = kernels;
        let (material, settings, config) = (&job.material, job.settings, job.config);
        let source = Source { material, settings, config, plan: &plan };
        assert!(trainer.step(&plan, source.load(0, 0)));
        let before = trainer.checkpoint().unwrap();
        cancel.cancel();
        assert!(!trainer.step(&plan, source.load(1, 1)));
        assert_eq!((trainer.state.step, trainer.state.steps_into_epoch), (1, 1));
        assert!(trainer.checkpoint().unwrap() == before);
    }
}
