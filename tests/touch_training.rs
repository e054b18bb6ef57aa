//! Networks of the full alphabet learn from performances: with strikes, velocities and pedal, in
//! real time and on the grid of beats.

#[path = "common/tiny.rs"]
mod tiny;

use std::sync::Arc;

use etude::assets::pieces;
use etude::cancel::CancelToken;
use etude::model::{
    Alphabet, EpochPoint, EvaluateError, FamilyCard, Model, ModelKind, Outcome, Run, StartingPoint,
    TrainError, TrainEvent, TrainRequest, TrainingSettings, evaluate, train,
};
use etude::music::Velocity;
use etude::tokens::{
    Chord, FrameRate, Framing, Grid, KeyFrame, Music, MusicPlan, OwnPart, Performance,
    PerformanceCorpus, PerformedPiece, RunCutter, SplitKind, StepsPerQuarter,
};

fn settings() -> TrainingSettings {
    TrainingSettings {
        model: ModelKind::Keys,
        alphabet: Alphabet::Full,
        key_hidden: 5,
        transpose: 3,
        fps: FrameRate::new(8.0).unwrap(),
        ..tiny::settings()
    }
}

/// The opening of some built-in pieces, with velocities and a pedal that follow from the frames.
fn music(n_pieces: usize, n_frames: usize) -> Music {
    let plan = settings().music_plan();
    let Music::Performances(corpus) = plan.read_sources(&pieces()[..n_pieces]).unwrap() else {
        panic!("the full alphabet reads performances")
    };
    let mut corpus = Arc::unwrap_or_clone(corpus);
    for piece in &mut corpus.pieces {
        let mut frames = piece.performance.frames(0..n_frames);
        frames.iter_mut().for_each(touch);
        piece.performance = Performance::from_frames(&frames);
    }
    corpus.into()
}

/// Higher keys are struck harder, and full chords are pedalled.
fn touch(frame: &mut KeyFrame) {
    let force = |number: u8| Velocity::new(number.clamp(1, 127)).unwrap();
    frame.velocities = frame.struck.pitches().map(|pitch| force(pitch.number())).collect();
    frame.pedal = frame.sounding.len() > 2;
}

fn epochs(events: &[TrainEvent]) -> Vec<EpochPoint> {
    let epoch = |event: &TrainEvent| match event {
        TrainEvent::Epoch(point) => Some(*point),
        _ => None,
    };
    events.iter().filter_map(epoch).collect()
}

#[test]
fn strikes_velocities_and_pedal_are_learned_and_reported_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let settings = TrainingSettings { epochs: 6, split: SplitKind::Pieces, ..settings() };
    let request = tiny::request(&music(3, 300), settings, &run_dir);
    let (summary, events) = tiny::run(&request).unwrap();
    let epochs = epochs(&events);
    let [first, .., last] = epochs.as_slice() else { panic!("six epochs") };
    assert!(last.train_loss < 0.8 * first.train_loss, "{epochs:?}");
    assert!(last.valid_loss < first.valid_loss, "{epochs:?}");
    let parts: [fn(&EpochPoint) -> Option<f64>; 3] = [
        |point| point.valid_velocity_loss,
        |point| point.valid_pedal_loss,
        |point| point.valid_length_loss,
    ];
    for part in parts {
        let (first, last) = (part(first).unwrap(), part(last).unwrap());
        assert!(0.0 < last && last < first, "{last} after {first}");
    }
    // All parts together choose the epoch.
    let whole = |point: &EpochPoint| {
        point.valid_loss + point.valid_velocity_loss.unwrap() + point.valid_pedal_loss.unwrap()
    };
    let best = epochs.iter().min_by(|a, b| whole(a).total_cmp(&whole(b))).unwrap();
    assert_eq!(summary.best_epoch, best.epoch);
    assert_eq!(summary.best_valid_velocity_loss, best.valid_velocity_loss);

    // What the run kept says the same.
    let run = Run::read(&run_dir).unwrap();
    assert_eq!(run.metrics, epochs);
    let model = Model::load(&run_dir).unwrap();
    assert!(model.card().has_touch());
    assert_eq!(model.card().music_plan(), request.music.plan());
    let Music::Performances(corpus) = &request.music else { panic!("they are performances") };
    let held_out = run.summary.corpus.files.iter().position(|file| file.parts == ["valid"]);
    let pieces = vec![corpus.pieces[held_out.unwrap()].clone()];
    let valid: Music = PerformanceCorpus { pieces, ..corpus.as_ref().clone() }.into();
    let measured = evaluate(&model, &valid, &CancelToken::new()).unwrap();
    assert_eq!(measured.frames, summary.valid_frames);
    for (ours, theirs) in [
        (measured.loss, best.valid_loss),
        (measured.perplexity, summary.best_valid_perplexity),
        (measured.velocity_loss.unwrap(), best.valid_velocity_loss.unwrap()),
        (measured.pedal_loss.unwrap(), best.valid_pedal_loss.unwrap()),
        (measured.length_loss.unwrap(), best.valid_length_loss.unwrap()),
    ] {
        assert!((ours / theirs - 1.0).abs() < 1e-4, "{ours} for {theirs}");
    }

    // A run that goes on from it measures the same before its first epoch.
    let from = StartingPoint::load(&run_dir, &mut |note| panic!("{note}")).unwrap();
    let settings = TrainingSettings { epochs: 1, ..from.fixed(request.settings.clone()) };
    let tuned = tiny::request(&request.music, settings, &folder.path().join("tuned"));
    let tuned = TrainRequest { from: Some(Arc::new(from)), ..tuned };
    let (_, events) = tiny::run(&tuned).unwrap();
    let start = self::epochs(&events)[0];
    assert_eq!(start.epoch, 0);
    for (ours, theirs) in [
        (start.valid_loss, measured.loss),
        (start.valid_velocity_loss.unwrap(), measured.velocity_loss.unwrap()),
        (start.valid_pedal_loss.unwrap(), measured.pedal_loss.unwrap()),
        (start.valid_length_loss.unwrap(), measured.length_loss.unwrap()),
    ] {
        assert!((ours / theirs - 1.0).abs() < 1e-4, "{ours} for {theirs}");
    }
}

/// A run: its chord, the keys that sounded before, how many of them are struck again, its frames.
type PlainRun = (Chord, usize, usize, usize);

/// Nats a frame of the held-out runs by how often what is learned from has their chords, their
/// strikes and their lengths, written down plainly.
fn counted(corpus: &PerformanceCorpus, run: &Run) -> f64 {
    let runs = |part: &str| {
        let pieces = corpus.pieces.iter().zip(&run.summary.corpus.files);
        let pieces = pieces.filter(|(_, file)| file.parts == [part]);
        let runs = pieces.flat_map(|(piece, _)| {
            let n_frames = piece.performance.n_frames();
            let runs = RunCutter::cut(32, piece.performance.frames(0..n_frames));
            let mut before = Chord::REST;
            runs.into_iter().map(move |run| {
                let held = run.frame.sounding.intersection(before);
                before = run.frame.sounding;
                let n_again = held.intersection(run.frame.struck).len();
                (run.frame.sounding, held.len(), n_again, run.length as usize)
            })
        });
        runs.collect::<Vec<_>>()
    };
    let (train, valid) = (runs("train"), runs("valid"));
    let number =
        |is_so: &dyn Fn(&PlainRun) -> bool| train.iter().filter(|run| is_so(run)).count() as f64;
    let sum = |of: fn(&PlainRun) -> usize| train.iter().map(of).sum::<usize>();
    let again = (sum(|run| run.2) + 1) as f64 / (sum(|run| run.1) + 2) as f64;
    let mut chords: Vec<Chord> = train.iter().map(|run| run.0).collect();
    chords.sort_unstable();
    chords.dedup();
    let mut loss = 0.0;
    for &(chord, n_held, n_again, length) in &valid {
        let seen = number(&|run| run.0 == chord);
        assert!(seen > 1.0, "every chord is known, and not by chance");
        loss -= ((seen + 1.0) / (train.len() + chords.len() + 1) as f64).ln();
        loss -= n_again as f64 * again.ln() + (n_held - n_again) as f64 * (1.0 - again).ln();
        loss -= ((number(&|run| run.3 == length) + 1.0) / (train.len() + 32) as f64).ln();
    }
    loss / valid.iter().map(|run| run.3).sum::<usize>() as f64
}

#[test]
fn what_is_to_be_beaten_counts_what_the_loss_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let settings = TrainingSettings { epochs: 1, split: SplitKind::Pieces, ..settings() };
    // The same three times over, so that what is held out was seen twice.
    let Music::Performances(corpus) = music(1, 300) else { panic!("they are performances") };
    let mut corpus = Arc::unwrap_or_clone(corpus);
    let piece = corpus.pieces[0].clone();
    corpus.pieces = (0..3)
        .map(|idx| PerformedPiece { sha256: format!("{idx:08x}{:056x}", 0), ..piece.clone() })
        .collect();
    let (summary, _) = tiny::run(&tiny::request(&corpus, settings, &run_dir)).unwrap();
    let expected = counted(&corpus, &Run::read(&run_dir).unwrap());
    let found = summary.baselines.unigram_perplexity.ln();
    assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    // A run is a change: hardly ever is it the same again.
    assert!(summary.baselines.repeat_accuracy < 0.3, "{:?}", summary.baselines);
}

#[test]
fn an_interrupted_run_ends_with_the_same_weights() {
    let music = music(2, 80);
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainingSettings { carry_state: true, epochs: 2, ..settings() };
    let whole = tiny::request(&music, settings.clone(), &folder.path().join("whole"));
    let (_, events) = tiny::run(&whole).unwrap();
    let mut request = tiny::request(&music, settings, &folder.path().join("run"));
    let cancel = CancelToken::new();
    let stopped = train(&request, &cancel, &mut |event| {
        if matches!(event, TrainEvent::Step(_)) {
            cancel.cancel();
        }
    });
    assert_eq!(stopped.unwrap().outcome, Outcome::Cancelled);
    request.resume = true;
    // Other bytes, though the same notes, are other music.
    let Music::Performances(corpus) = &music else { panic!("they are performances") };
    let mut other = corpus.as_ref().clone();
    other.pieces[0].sha256 = "other bytes".to_owned();
    let mut mistaken = request.clone();
    mistaken.music = other.into();
    assert!(matches!(tiny::run(&mistaken), Err(TrainError::OtherMusic { .. })));
    let (_, resumed) = tiny::run(&request).unwrap();
    assert_eq!(tiny::last_weights(&request.run_dir), tiny::last_weights(&whole.run_dir));
    let losses = |events: &[TrainEvent]| -> Vec<_> {
        epochs(events).iter().map(|it| (it.valid_loss, it.valid_velocity_loss)).collect()
    };
    assert_eq!(losses(&resumed), losses(&events));
}

#[test]
fn on_the_grid_of_beats_a_network_knows_where_in_the_bar_it_is() {
    let grid = Grid::Beats(StepsPerQuarter::new(2).unwrap());
    for (alphabet, grid, knows) in [
        (Alphabet::Full, grid, true),
        (Alphabet::OffOn, grid, true),
        (Alphabet::Full, Grid::Seconds, false),
    ] {
        let fps = FrameRate::INPUT_DEFAULT;
        let settings = TrainingSettings { alphabet, grid, fps, epochs: 1, ..settings() };
        let music = settings.music_plan().read_sources(&pieces()[..2]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let request = tiny::request(&music, settings, &folder.path().join("run"));
        let (summary, _) = tiny::run(&request).unwrap();
        let model = Model::load(&request.run_dir).unwrap();
        let FamilyCard::Keys(card) = &model.card().family else { panic!("it spells") };
        assert_eq!(card.has_clock, knows, "{alphabet:?} {grid}");
        assert_eq!(model.card().music_plan(), music.plan());
        assert_eq!(model.card().plan.grid, grid);
        // Velocities and pedal are what only the full alphabet has.
        let has_touch = alphabet == Alphabet::Full;
        assert_eq!(model.card().has_touch(), has_touch);
        assert_eq!(summary.best_valid_velocity_loss.is_some(), has_touch);
        let measured = evaluate(&model, &music, &CancelToken::new()).unwrap();
        assert_eq!(measured.pedal_loss.is_some(), has_touch);
    }
}

#[test]
fn music_that_says_only_which_keys_sound_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let set = folder.path().join("set.json");
    let piece = "[[60, 64], [60], [62, 65], [64]]";
    let json = format!(r#"{{"train": [{piece}], "valid": [{piece}], "test": [{piece}]}}"#);
    std::fs::write(&set, json).unwrap();
    let read =
        |plan: MusicPlan| plan.read(std::slice::from_ref(&set), None, &CancelToken::new(), &|_| {});
    let set = read(settings().music_plan()).unwrap();
    for music in [set.clone(), tiny::loops().into()] {
        let refused = tiny::run(&tiny::request(&music, settings(), &run_dir)).unwrap_err();
        assert!(matches!(refused, TrainError::NoTouch(_)), "{refused}");
        assert!(refused.to_string().contains("--alphabet off-on"), "{refused}");
        assert!(!run_dir.exists());
    }
    let request =
        tiny::request(&music(2, 60), TrainingSettings { epochs: 1, ..settings() }, &run_dir);
    tiny::run(&request).unwrap();
    let model = Model::load(&run_dir).unwrap();
    let refused = evaluate(&model, &set.into_part(OwnPart::Test), &CancelToken::new());
    let refused = refused.unwrap_err();
    assert!(matches!(refused, EvaluateError::NoTouch(_)), "{refused}");
    assert!(refused.to_string().contains("set.json”"), "{refused}");

    let original = TrainingSettings { framing: Framing::Original, ..settings() };
    let refused = original.validate().unwrap_err().to_string();
    assert!(refused.starts_with("--alphabet can't be full — "), "{refused}");
}
