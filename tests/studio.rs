//! The studio with the real rooms behind it: what is submitted comes back as it should.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use etude::model::{
    ComposeEvent, ComposeRequest, ComposeSettings, DeviceChoice, Model, Outcome, TrainEvent,
    TrainRequest, TrainingSettings,
};
use etude::music::{Note, Pitch, Score, TempoMap, Tick, Velocity, smf};
use etude::studio::{EventKind, Finish, JobId, LibrarySource, Progress, Request, Studio};
use etude::tokens::FramingPlan;

/// Far more than any of this takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(300);

struct Bench {
    studio: Studio,
    woken: Receiver<()>,
}

impl Bench {
    fn new(cache_dir: Option<PathBuf>) -> Self {
        let (wake, woken) = unbounded();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        Self { studio: Studio::with_cache_dir(wake, cache_dir), woken }
    }

    /// Everything until `job` has finished. One job at a time is looked at here.
    fn finished(&self, job: JobId) -> (Vec<Progress>, Finish) {
        let (mut progress, mut n_started) = (Vec::new(), 0);
        loop {
            for event in self.studio.events() {
                assert_eq!(event.job, job);
                match event.kind {
                    EventKind::Started => n_started += 1,
                    EventKind::Progress(part) => progress.push(part),
                    EventKind::Finished(finish) => {
                        assert_eq!(n_started, 1);
                        return (progress, finish);
                    }
                }
            }
            self.woken.recv_timeout(PATIENCE).expect("the job finishes in time");
        }
    }
}

/// A file of `n_notes` quarters from C4 up.
fn write_piece(folder: &Path, name: &str, n_notes: u32) {
    let note = |n: u32| Note {
        start: Tick(n * 480),
        length: Tick(480),
        pitch: Pitch::new(60 + (n % 24) as u8).expect("it is a key"),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    let score = Score::piano(TempoMap::default(), (0..n_notes).map(note).collect());
    std::fs::write(folder.join(name), smf::write(&score)).expect("the folder can be written");
}

#[test]
fn a_folder_is_read_with_its_bad_files_named() {
    let folder = tempfile::tempdir().unwrap();
    let cache = tempfile::tempdir().unwrap();
    for n in 0..5 {
        write_piece(folder.path(), &format!("piece-{n}.mid"), 20 + n);
    }
    std::fs::write(folder.path().join("broken.mid"), b"no music").unwrap();
    let bench = Bench::new(Some(cache.path().to_owned()));
    for _ in 0..2 {
        let source = LibrarySource::Paths(vec![folder.path().to_owned()]);
        let job = bench
            .studio
            .submit(Request::ReadLibrary { source, plan: FramingPlan::default().into() });
        let (progress, finish) = bench.finished(job);
        let Finish::Read(music) = finish else { panic!("it is read") };
        assert_eq!((music.n_pieces(), music.skipped().len()), (5, 1));
        let mut n_done = 0;
        for part in progress {
            let Progress::Read(part) = part else { panic!("it is about reading") };
            assert!(part.n_done >= n_done && part.n_files == 6);
            n_done = part.n_done;
        }
        assert_eq!(n_done, 6, "the last progress is the whole");
    }
    let n_cached = std::fs::read_dir(cache.path()).unwrap().count();
    assert!(n_cached > 0, "what was read is remembered where it was told");
}

#[test]
fn what_cannot_be_read_is_said_in_words() {
    let bench = Bench::new(None);
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let source = LibrarySource::Paths(vec![path]);
        let job = bench
            .studio
            .submit(Request::ReadLibrary { source, plan: FramingPlan::default().into() });
        let (_, Finish::Failed(reason)) = bench.finished(job) else { panic!("it can't be read") };
        assert!(reason.contains(" — ") && !reason.contains('\n'), "{reason}");
    }
}

/// A request to compose from silence that takes no time.
fn compose_request(model: Model, frames: usize) -> Request {
    let settings = ComposeSettings { frames, seed: 5, ..ComposeSettings::default() };
    Request::Compose(ComposeRequest { model, settings })
}

#[test]
fn a_model_is_heard_while_it_learns_and_stopping_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..6 {
        write_piece(folder.path(), &format!("piece-{n}.mid"), 60 + n);
    }
    let bench = Bench::new(None);
    let source = LibrarySource::Paths(vec![folder.path().to_owned()]);
    let reading =
        bench.studio.submit(Request::ReadLibrary { source, plan: FramingPlan::default().into() });
    let (_, Finish::Read(music)) = bench.finished(reading) else { panic!("it is read") };
    let settings = TrainingSettings {
        layers: 1,
        hidden: 8,
        sequence: 20,
        batch: 4,
        // It ends only because it is stopped.
        epochs: 1_000_000,
        early_stop: None,
        ..TrainingSettings::chords()
    };
    let training = bench.studio.submit(Request::Train(TrainRequest {
        music,
        settings,
        run_dir: folder.path().join("run"),
        from: None,
        resume: false,
        device: DeviceChoice::Cpu,
    }));
    let mut composing = None;
    let (mut takes, mut streamed, mut summary) = (None, Vec::new(), None);
    while summary.is_none() {
        for event in bench.studio.events() {
            match event.kind {
                EventKind::Progress(Progress::Train(TrainEvent::Weights(model))) => {
                    composing
                        .get_or_insert_with(|| bench.studio.submit(compose_request(model, 40)));
                }
                EventKind::Progress(Progress::Compose(ComposeEvent::Frames {
                    first,
                    chords,
                    ..
                })) => {
                    assert_eq!(first, streamed.len());
                    streamed.extend_from_slice(&chords);
                }
                EventKind::Finished(Finish::Composed(composed)) => {
                    takes = Some(composed);
                    bench.studio.cancel(training);
                }
                EventKind::Finished(Finish::Trained(trained)) => summary = Some(trained),
                EventKind::Finished(Finish::Failed(reason)) => panic!("{reason}"),
                _ => {}
            }
        }
        if summary.is_none() {
            bench.woken.recv_timeout(PATIENCE).expect("something goes on");
        }
    }
    let takes = takes.expect("it was composed before training was stopped");
    assert_eq!((takes.len(), takes[0].roll.len()), (1, 40));
    assert_eq!(streamed, takes[0].roll);
    assert_eq!(summary.map(|summary| summary.outcome), Some(Outcome::Cancelled));
    let kept = Model::load(&folder.path().join("run")).expect("what was learned is kept");
    let again = |bench: &Bench| {
        let job = bench.studio.submit(compose_request(kept.clone(), 40));
        let (_, Finish::Composed(takes)) = bench.finished(job) else { panic!("it composes") };
        takes[0].roll.clone()
    };
    assert_eq!(again(&bench), again(&bench), "the same seed, the same notes");
}

#[test]
fn settings_that_are_off_fail_in_words() {
    let folder = tempfile::tempdir().unwrap();
    write_piece(folder.path(), "piece.mid", 3);
    let bench = Bench::new(None);
    let source = LibrarySource::Paths(vec![folder.path().to_owned()]);
    let reading =
        bench.studio.submit(Request::ReadLibrary { source, plan: FramingPlan::default().into() });
    let (_, Finish::Read(music)) = bench.finished(reading) else { panic!("it is read") };
    let settings = TrainingSettings { epochs: 0, ..TrainingSettings::chords() };
    let run_dir = folder.path().join("run");
    let request = TrainRequest {
        music,
        settings,
        run_dir: run_dir.clone(),
        from: None,
        resume: false,
        device: DeviceChoice::Cpu,
    };
    let job = bench.studio.submit(Request::Train(request));
    let (_, Finish::Failed(reason)) = bench.finished(job) else { panic!("it can't train") };
    assert!(reason.contains("epochs") && reason.contains(" — "), "{reason}");
    assert!(!run_dir.exists(), "nothing is left behind");
}

#[test]
fn the_built_in_pieces_are_read_without_a_file() {
    let bench = Bench::new(None);
    let plan = FramingPlan::default();
    let source = LibrarySource::BuiltIn;
    let job = bench.studio.submit(Request::ReadLibrary { source, plan: plan.into() });
    let (_, Finish::Read(music)) = bench.finished(job) else { panic!("they are in the binary") };
    assert!(music.n_pieces() >= 24 && music.skipped().is_empty());
}
