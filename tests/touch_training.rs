//! Networks of the full alphabet learn from performances: with strikes, velocities and pedal, in
//! real time and on the grid of beats.

#[path = "common/tiny.rs"]
mod tiny;

use std::sync::Arc;

use etude::assets::pieces;
use etude::cancel::CancelToken;
use etude::model::{
    Alphabet, Baselines, EpochPoint, EvaluateError, FamilyCard, Model, ModelKind, Outcome, Run,
    StartingPoint, TrainError, TrainEvent, TrainRequest, TrainingSettings, evaluate, train,
};
use etude::music::Velocity;
use etude::tokens::{
    BackOff, Chord, FrameRate, Framing, Grid, KeyFrame, Music, MusicPlan, OwnPart, Performance,
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

/// A run as plain counting sees it.
struct PlainRun {
    before: Chord,
    chord: Chord,
    n_held: usize,
    /// Of those that are held.
    n_struck_again: usize,
    length: usize,
}

fn plain_runs(corpus: &PerformanceCorpus, run: &Run, part: &str) -> Vec<PlainRun> {
    let pieces = corpus.pieces.iter().zip(&run.summary.corpus.files);
    let pieces = pieces.filter(|(_, file)| file.parts == [part]);
    let runs = pieces.flat_map(|(piece, _)| {
        let n_frames = piece.performance.n_frames();
        let runs = RunCutter::cut(32, piece.performance.frames(0..n_frames));
        let mut before = Chord::REST;
        runs.into_iter().map(move |run| {
            let chord = run.frame.sounding;
            let held = chord.intersection(before);
            PlainRun {
                before: std::mem::replace(&mut before, chord),
                chord,
                n_held: held.len(),
                n_struck_again: held.intersection(run.frame.struck).len(),
                length: run.length as usize,
            }
        })
    });
    runs.collect()
}

/// What is to be beaten, from how often what is learned from has the chords, the strikes and the
/// lengths of the held-out runs, written down plainly; and how often the held-out chords were seen.
fn counted(corpus: &PerformanceCorpus, run: &Run) -> (Baselines, Vec<usize>) {
    let (train, valid) = (plain_runs(corpus, run, "train"), plain_runs(corpus, run, "valid"));
    let number = |is_so: &dyn Fn(&PlainRun) -> bool| train.iter().filter(|run| is_so(run)).count();
    let seen = |chord: Chord| number(&|run| run.chord == chord);
    let sum = |of: fn(&PlainRun) -> usize| train.iter().map(of).sum::<usize>();
    let again = (sum(|run| run.n_struck_again) + 1) as f64 / (sum(|run| run.n_held) + 2) as f64;
    let mut chords: Vec<Chord> = train.iter().map(|run| run.chord).collect();
    chords.sort_unstable();
    chords.dedup();
    let backoff = BackOff::fit(chords.iter().map(|&chord| (chord, 1)));
    let n_once = chords.iter().filter(|&&chord| seen(chord) == 1).count() as f64;
    let commonest = *chords.iter().max_by_key(|&&chord| seen(chord)).unwrap();
    // One more of each, and of all others together.
    let n_events = (train.len() + chords.len() + 1) as f64;
    let (mut unigram_loss, mut mixed_loss) = (0.0, 0.0);
    let (mut n_frames, mut n_common, mut n_repeated) = (0, 0, 0);
    for PlainRun { before, chord, n_held, n_struck_again, length } in &valid {
        let share = match seen(*chord) {
            0 => (0.1 * n_once + 1.0) / n_events * backoff.log_probability(*chord).exp(),
            1 => 1.9 / n_events,
            n => (n + 1) as f64 / n_events,
        };
        let of_length = number(&|run| run.length == *length) + 1;
        let of_touch = again.powi(*n_struck_again as i32)
            * (1.0 - again).powi((n_held - n_struck_again) as i32)
            * (of_length as f64 / (train.len() + 32) as f64);
        let is_repeated = chord == before;
        unigram_loss -= (share * of_touch).ln();
        mixed_loss -= ((0.9 * share + if is_repeated { 0.1 } else { 0.0 }) * of_touch).ln();
        n_frames += length;
        if *n_struck_again == 0 {
            n_common += if *chord == commonest { *length } else { 0 };
            n_repeated += if is_repeated { *length } else { 0 };
        }
    }
    let per_frame = |sum: f64| sum / n_frames as f64;
    let baselines = Baselines {
        unigram_perplexity: per_frame(unigram_loss).exp(),
        unigram_accuracy: per_frame(n_common as f64),
        repeat_accuracy: per_frame(n_repeated as f64),
        mixed_perplexity: per_frame(mixed_loss).exp(),
    };
    (baselines, valid.iter().map(|run| seen(run.chord)).collect())
}

/// Three pieces with one opening. Whichever is held out, its ending has a chord that none of the
/// others has and two that one of them has once; then one that is common goes on, pedalled in
/// turns, and is struck again in part.
fn pieces_with_endings() -> PerformanceCorpus {
    let Music::Performances(corpus) = music(1, 300) else { panic!("they are performances") };
    let mut corpus = Arc::unwrap_or_clone(corpus);
    let piece = corpus.pieces[0].clone();
    let opening = piece.performance.frames(0..300);
    let chord = |keys: [u32; 2]| {
        keys.iter().fold(Chord::REST, |all, key| Chord::from_bits(all.bits() | 1 << key))
    };
    let frame = |sounding: Chord, struck: Chord| {
        let mut frame = KeyFrame { sounding, struck, ..KeyFrame::default() };
        touch(&mut frame);
        frame
    };
    let with_ending = |idx: u32| {
        let others = [0, 1, 2].into_iter().filter(|other| *other != idx);
        let mut ending = vec![chord([22, 100 + idx])];
        ending.extend(others.map(|other| chord([24, 103 + idx + other])));
        let common = chord([21, 98]);
        ending.push(common);
        let mut frames = opening.clone();
        frames.extend(ending.into_iter().map(|chord| frame(chord, chord)));
        for turn in 0..40 {
            frames.push(KeyFrame { pedal: turn % 2 == 0, ..frame(common, Chord::REST) });
        }
        let part = Chord::from_bits(1 << 98);
        frames.extend([common, part, part].map(|struck| frame(common, struck)));
        let performance = Performance::from_frames(&frames);
        PerformedPiece { performance, sha256: format!("{idx:08x}{:056x}", 0), ..piece.clone() }
    };
    corpus.pieces = (0..3).map(with_ending).collect();
    corpus
}

#[test]
fn what_is_to_be_beaten_counts_what_the_loss_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let settings = TrainingSettings { epochs: 1, split: SplitKind::Pieces, ..settings() };
    let corpus = pieces_with_endings();
    let (summary, _) = tiny::run(&tiny::request(&corpus, settings, &run_dir)).unwrap();
    let (expected, seen) = counted(&corpus, &Run::read(&run_dir).unwrap());
    let of_seen = |n: usize| seen.iter().filter(|seen| **seen == n).count();
    assert_eq!((of_seen(0), of_seen(1)), (1, 2));
    let found = summary.baselines;
    let parts: [fn(&Baselines) -> f64; 4] = [
        |baselines| baselines.unigram_perplexity,
        |baselines| baselines.unigram_accuracy,
        |baselines| baselines.repeat_accuracy,
        |baselines| baselines.mixed_perplexity,
    ];
    for part in parts {
        let (found, expected) = (part(&found), part(&expected));
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} for {expected}");
    }
    // A run is a change: hardly ever is it the same again but for the pedal of the endings.
    assert!((0.1..0.3).contains(&found.repeat_accuracy), "{found:?}");
    assert!(0.0 < found.unigram_accuracy && found.mixed_perplexity < found.unigram_perplexity);
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
