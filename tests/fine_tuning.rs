//! Fine-tuning: runs that go on from a checkpoint instead of a fresh network.

#[path = "common/tiny.rs"]
mod tiny;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use etude::cancel::CancelToken;
use etude::model::{
    EpochPoint, Model, ModelCard, ModelKind, Outcome, Precision, Run, Softmax, StartingPoint,
    TrainError, TrainEvent, TrainRequest, TrainingSettings, evaluate, train,
};
use etude::tokens::{Corpus, FrameRate, Grid, SplitKind, StepsPerQuarter};

/// Chords that a source learned from [`tiny::loops`] knows, and some that it doesn't.
fn other_loops() -> Arc<Corpus> {
    let piece = |start: u32| (0..60).map(|t| 1 + (start + 5 * t) % 8).collect();
    tiny::corpus(&(2..7).map(piece).collect::<Vec<_>>())
}

fn settings(model: ModelKind) -> TrainingSettings {
    TrainingSettings {
        model,
        key_hidden: 4,
        split: SplitKind::Pieces,
        epochs: 2,
        ..tiny::settings()
    }
}

/// A run on [`tiny::loops`] to go on from.
fn source(settings: TrainingSettings, folder: &Path) -> StartingPoint {
    let run_dir = folder.join("source");
    tiny::run(&tiny::request(&tiny::loops(), settings, &run_dir)).unwrap();
    from(&run_dir)
}

fn from(path: &Path) -> StartingPoint {
    StartingPoint::load(path, &mut |note| panic!("{note}")).unwrap()
}

/// Goes on with [`other_loops`].
fn request(from: &StartingPoint, run_dir: &Path) -> TrainRequest {
    let few = TrainingSettings { epochs: 4, split: SplitKind::Pieces, ..tiny::settings() };
    let settings = TrainingSettings { transpose: 1, dropout: 0.1, ..from.fixed(few) };
    let request = tiny::request(&other_loops(), settings, run_dir);
    TrainRequest { from: Some(Arc::new(from.clone())), ..request }
}

fn epochs(events: &[TrainEvent]) -> Vec<EpochPoint> {
    let epoch = |event: &TrainEvent| match event {
        TrainEvent::Epoch(point) => Some(*point),
        _ => None,
    };
    events.iter().filter_map(epoch).collect()
}

/// The pieces that a run chose its epoch by, alone.
fn held_out(run: &Run, corpus: &Corpus) -> Corpus {
    let files = run.summary.corpus.files.iter().zip(&corpus.pieces);
    let pieces = files.filter(|(file, _)| file.parts == ["valid"]).map(|(_, piece)| piece.clone());
    Corpus { pieces: pieces.collect(), ..corpus.clone() }
}

#[test]
fn before_the_first_epoch_a_run_measures_what_evaluating_its_source_measures() {
    for (model, softmax) in [
        (ModelKind::Lstm, Softmax::Full),
        (ModelKind::Gru, Softmax::Adaptive),
        (ModelKind::Keys, Softmax::Full),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let from = source(TrainingSettings { softmax, ..settings(model) }, folder.path());
        let request = request(&from, &folder.path().join("tuned"));
        let (summary, events) = tiny::run(&request).unwrap();
        let points = epochs(&events);
        let numbers: Vec<usize> = points.iter().map(|point| point.epoch).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);

        let run = Run::read(&request.run_dir).unwrap();
        let music = held_out(&run, &other_loops());
        let measured = evaluate(&from.model, &music.into(), &CancelToken::new()).unwrap();
        assert!((points[0].valid_loss - measured.loss).abs() < 1e-9, "{model:?}");
        assert_eq!(points[0].valid_accuracy, measured.accuracy);
        assert_eq!(summary.from_valid_perplexity, Some(points[0].valid_perplexity));
        assert!(points[0].train_loss.is_nan(), "nothing was learned by then");
        assert!(points[4].valid_loss < points[0].valid_loss, "the test needs a run that learns");

        // The run remembers all of it, and so does its checkpoint.
        assert_eq!(run.metrics.len(), 5);
        assert_eq!(run.summary.from.as_ref(), Some(&from.origin));
        let file = std::path::absolute(folder.path().join("source/checkpoints/best.safetensors"));
        assert_eq!(PathBuf::from(&from.origin.path), file.unwrap());
        let tuned = Model::load(&request.run_dir).unwrap();
        let about = &tuned.card().about;
        assert!(about.contains(from.origin.short_hash()), "{about}");
        assert!(about.ends_with(&from.model.card().about), "{about}");
        // What a chord model knows of chords is its source's.
        assert_eq!(tuned.card().chords(), from.model.card().chords());
    }
}

#[test]
fn what_only_became_worse_is_its_source_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = source(settings(ModelKind::Keys), folder.path());
    let mut request = request(&from, &folder.path().join("spoiled"));
    // The same music, so that there is little to gain, and steps that leap over it.
    request.music = tiny::loops().into();
    request.settings = TrainingSettings {
        learning_rate: 0.06,
        averaging: 0.0,
        early_stop: Some(2),
        ..request.settings
    };
    let (summary, events) = tiny::run(&request).unwrap();
    assert_eq!(summary.outcome, Outcome::StoppedEarly);
    assert_eq!((summary.best_epoch, epochs(&events).len()), (0, 3));
    assert_eq!(Some(summary.best_valid_perplexity), summary.from_valid_perplexity);
    let kept = Model::load(&request.run_dir).unwrap();
    let music = tiny::loops().into();
    let measure = |model| evaluate(model, &music, &CancelToken::new()).unwrap();
    assert_eq!(measure(&kept), measure(&from.model));
    assert_eq!(kept.card().epoch, 0);
    // It learned nothing here, and is said to have learned what its source had.
    let learned_from = |model: &Model| {
        let lessons = model.card().lessons.clone().unwrap();
        let files = Run::read(&request.run_dir).unwrap().summary.corpus.files;
        files.iter().filter(|file| lessons.has_learned(&file.sha256)).count()
    };
    assert_eq!(learned_from(&kept), learned_from(&from.model));
    let last = Model::load(&request.run_dir.join("checkpoints/epoch-00002.safetensors")).unwrap();
    assert!(learned_from(&last) > 0);
}

/// The figures of all epochs after the source, and the last weights.
fn learned(run_dir: &Path) -> (Vec<[f64; 4]>, Vec<u8>) {
    let metrics = Run::read(run_dir).unwrap().metrics;
    let figures = |point: &EpochPoint| {
        [point.train_loss, point.train_accuracy, point.valid_loss, point.valid_accuracy]
    };
    (metrics.iter().skip(1).map(figures).collect(), tiny::last_weights(run_dir))
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), &to).unwrap()),
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_without_its_source_and_ends_with_the_same_weights() {
    for model in [ModelKind::Lstm, ModelKind::Keys] {
        let folder = tempfile::tempdir().unwrap();
        let from = source(settings(model), folder.path());
        let whole = request(&from, &folder.path().join("whole"));
        let killed = [0, 2].map(|epoch| folder.path().join(format!("killed-{epoch}")));
        // As two programs leave a run that are killed after their source was measured, and later.
        train(&whole, &CancelToken::new(), &mut |event| {
            let TrainEvent::Epoch(point) = event else { return };
            if let Some(to) =
                killed.iter().find(|to| to.ends_with(format!("killed-{}", point.epoch)))
            {
                copy_folder(&whole.run_dir, to);
            }
        })
        .unwrap();
        std::fs::remove_dir_all(folder.path().join("source")).unwrap();
        let expected = learned(&whole.run_dir);
        assert_eq!(expected.0.len(), 4);
        for run_dir in killed {
            let resumed = TrainRequest {
                from: None,
                resume: true,
                run_dir: run_dir.clone(),
                ..whole.clone()
            };
            tiny::run(&resumed).unwrap();
            assert!(learned(&run_dir) == expected, "{}", run_dir.display());
            let resumed = Run::read(&run_dir).unwrap().summary;
            assert_eq!(resumed.from.as_ref(), Some(&from.origin));
            let about = |dir: &Path| Model::load(dir).unwrap().card().about.clone();
            assert_eq!(about(&run_dir), about(&whole.run_dir));
        }
    }
}

#[test]
fn a_run_that_learned_nothing_leaves_nothing_and_one_that_lost_its_source_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let from = source(settings(ModelKind::Lstm), folder.path());
    let request = request(&from, &folder.path().join("tuned"));
    let cancel = CancelToken::new();
    let summary = train(&request, &cancel, &mut |event| {
        if matches!(event, TrainEvent::Epoch(_)) {
            cancel.cancel();
        }
    });
    assert_eq!(summary.unwrap().outcome, Outcome::Cancelled);
    assert!(!request.run_dir.exists(), "its source is where it was");

    // As a program leaves a run that is killed while it measures its source.
    train(&request, &CancelToken::new(), &mut |event| {
        if matches!(event, TrainEvent::Prepared(_)) {
            copy_folder(&request.run_dir, &folder.path().join("killed"));
        }
    })
    .unwrap();
    let run_dir = folder.path().join("killed");
    let resumed = TrainRequest { from: None, resume: true, run_dir, ..request };
    let error = tiny::run(&resumed).unwrap_err();
    assert!(matches!(error, TrainError::OriginLost { .. }), "{error}");
    assert!(error.to_string().contains("source/checkpoints/best.safetensors"), "{error}");
}

#[test]
fn another_network_or_another_way_of_cutting_music_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for model in [ModelKind::Gru, ModelKind::Keys] {
        let from = source(settings(model), &folder.path().join(model.label()));
        let request = request(&from, &folder.path().join("tuned"));
        let refused = |change: fn(&mut TrainingSettings)| {
            let mut request = request.clone();
            change(&mut request.settings);
            let error = tiny::run(&request).unwrap_err();
            assert!(matches!(error, TrainError::OtherNetwork { .. }), "{error}");
            assert!(!request.run_dir.exists());
            error.to_string().split(" — ").next().unwrap().to_owned()
        };
        assert_eq!(
            refused(|settings| settings.hidden = 13),
            "--hidden differs from the checkpoint's (12)"
        );
        assert_eq!(
            refused(|settings| settings.fps = FrameRate::new(4.0).unwrap()),
            "--fps differs from the checkpoint's (2.0)"
        );
        assert_eq!(
            refused(|settings| settings.grid = Grid::Beats(StepsPerQuarter::SIXTEENTHS)),
            "--grid differs from the checkpoint's (seconds)"
        );
        let words = match model.has_vocabulary() {
            true => refused(|settings| settings.max_vocabulary = Some(9)),
            false => refused(|settings| settings.key_hidden = 5),
        };
        let what = if model.has_vocabulary() { "--max-vocabulary" } else { "--key-hidden" };
        assert!(words.starts_with(what), "{words}");
        let words = refused(|settings| settings.model = ModelKind::Lstm);
        assert!(words.starts_with("--model differs"), "{words}");
        // What is learned with is the run's own affair.
        let mut request = request;
        request.settings.learning_rate = 0.02;
        request.settings.epochs = 1;
        tiny::run(&request).unwrap();
        std::fs::remove_dir_all(&request.run_dir).unwrap();
    }
}

#[test]
fn what_a_source_learned_from_is_named_where_it_is_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let from_run = source(settings(ModelKind::Lstm), folder.path());
    let note = |from: &StartingPoint, seed: u64| {
        let mut request = request(from, &folder.path().join("tuned"));
        request.music = tiny::loops().into();
        request.settings = TrainingSettings { seed, epochs: 1, ..request.settings };
        let (_, events) = tiny::run(&request).unwrap();
        std::fs::remove_dir_all(&request.run_dir).unwrap();
        events.into_iter().find_map(|event| match event {
            TrainEvent::Note(note) if note.contains("flatter") => Some(note),
            _ => None,
        })
    };
    // The same seed holds out what the source held out.
    assert_eq!(note(&from_run, 0), None);
    let notes: Vec<_> = (1..6).filter_map(|seed| note(&from_run, seed)).collect();
    assert!(
        notes.iter().any(|note| note.contains(" learned from the held-out piece already")),
        "{notes:?}"
    );
    // A checkpoint says it itself, away from its run too.
    let alone = folder.path().join("alone.safetensors");
    std::fs::copy(&from_run.origin.path, &alone).unwrap();
    assert_eq!(note(&from(&alone), 0), None);
    let others: Vec<_> = (1..6).filter_map(|seed| note(&from(&alone), seed)).collect();
    assert_eq!(others.len(), notes.len());
    // Of older ones only their run knows.
    let card = ModelCard { lessons: None, ..from_run.model.card().clone() };
    let silent = Model::untrained(card, 0).unwrap();
    silent.export(&alone, Precision::Full).unwrap();
    let words = note(&from(&alone), 0).unwrap();
    assert!(words.starts_with("Whether ") && words.contains("isn't known"), "{words}");
    let in_run = folder.path().join("source/checkpoints/older.safetensors");
    std::fs::copy(&alone, &in_run).unwrap();
    assert_eq!(note(&from(&in_run), 0), None);
}

#[test]
fn of_a_piece_whose_tail_was_held_out_a_part_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let tail = TrainingSettings { split: SplitKind::Tail, ..settings(ModelKind::Lstm) };
    let tail = source(tail, folder.path());
    let run = Run::read(&folder.path().join("source")).unwrap();
    let of_last = &run.summary.corpus.files.last().unwrap().parts;
    assert_eq!(of_last, &["train", "valid"], "the tail begins within the last piece");
    let said = |split: SplitKind| {
        let mut request = request(&tail, &folder.path().join("tuned"));
        request.music = tiny::loops().into();
        request.settings = TrainingSettings { split, epochs: 1, ..request.settings };
        let (_, events) = tiny::run(&request).unwrap();
        std::fs::remove_dir_all(&request.run_dir).unwrap();
        let is_prepared = |event: &TrainEvent| matches!(event, TrainEvent::Prepared(_));
        let before = events.into_iter().take_while(|event| !is_prepared(event));
        before
            .filter_map(|event| match event {
                TrainEvent::Note(note) if note.contains("flatter") => Some(note),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    // The same tail is held out as before: it isn't said to be learned.
    let [note] = &said(SplitKind::Tail)[..] else { panic!("one note before the training") };
    assert!(note.contains("learned from a part of the held-out piece, perhaps"), "{note}");
    assert!(!note.contains("already"), "{note}");
}
