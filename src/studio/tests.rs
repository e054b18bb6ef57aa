//! What every job promises, whatever it does; the jobs here are closures.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::outbox::Reporter;
use super::*;
use crate::model::StepPoint;
use crate::tokens::Chord;

/// Far more than any of this takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A studio whose events are waited for through its wake.
struct Bench {
    studio: Studio,
    woken: Receiver<()>,
    seen: Mutex<Vec<Event>>,
}

impl Bench {
    fn new() -> Self {
        let (wake, woken) = unbounded();
        let studio = Studio::new(Arc::new(move || {
            let _ = wake.send(());
        }));
        Self { studio, woken, seen: Mutex::default() }
    }

    fn train(
        &self,
        work: impl FnOnce(&CancelToken, &mut Reporter) -> Finish + Send + 'static,
    ) -> JobId {
        self.studio.queue(&self.studio.trainer, "training", Box::new(work))
    }

    fn compose(
        &self,
        work: impl FnOnce(&CancelToken, &mut Reporter) -> Finish + Send + 'static,
    ) -> JobId {
        self.studio.queue(&self.studio.composer, "composing", Box::new(work))
    }

    /// Waits until `job` has finished; all its events.
    fn finished(&self, job: JobId) -> Vec<EventKind> {
        loop {
            let mut seen = self.seen.lock().unwrap();
            seen.extend(self.studio.events());
            let of_job: Vec<EventKind> = seen
                .iter()
                .filter(|event| event.job == job)
                .map(|event| event.kind.clone())
                .collect();
            if of_job.iter().any(|kind| matches!(kind, EventKind::Finished(_))) {
                return of_job;
            }
            drop(seen);
            self.woken.recv_timeout(PATIENCE).expect("the job finishes in time");
        }
    }
}

fn words(events: &[EventKind]) -> Vec<&'static str> {
    let word = |kind: &EventKind| match kind {
        EventKind::Started => "started",
        EventKind::Progress(_) => "progress",
        EventKind::Finished(Finish::Cancelled) => "cancelled",
        EventKind::Finished(Finish::Failed(_)) => "failed",
        EventKind::Finished(_) => "finished",
    };
    events.iter().map(word).collect()
}

fn wait(gate: &Receiver<()>) {
    let _ = gate.recv_timeout(PATIENCE);
}

/// Tells that it runs, then waits to be cancelled, as a training does between steps.
fn until_cancelled(running: Sender<()>) -> impl FnOnce(&CancelToken, &mut Reporter) -> Finish {
    move |cancel, _| {
        let _ = running.send(());
        while !cancel.is_cancelled() {
            thread::yield_now();
        }
        Finish::Composed(Vec::new())
    }
}

fn step(step: usize, loss: f64) -> StepPoint {
    StepPoint { epoch: 1, step, total_steps: 10_000, loss, frames_per_second: 1.0, secs_left: 1.0 }
}

#[test]
fn a_job_starts_once_and_finishes_once_with_its_progress_between() {
    let bench = Bench::new();
    let job = bench.train(|_, reporter| {
        reporter.train(TrainEvent::Note("one".to_owned()));
        reporter.train(TrainEvent::Note("two".to_owned()));
        Finish::Composed(Vec::new())
    });
    assert_eq!(words(&bench.finished(job)), ["started", "progress", "progress", "finished"]);
    assert!(bench.studio.events().is_empty());
}

#[test]
fn jobs_have_names_of_their_own_and_run_in_order() {
    let bench = Bench::new();
    let (done, order) = unbounded();
    let jobs: Vec<JobId> = (0..5)
        .map(|n| {
            let done = done.clone();
            bench.train(move |_, _| {
                let _ = done.send(n);
                Finish::Cancelled
            })
        })
        .collect();
    bench.finished(jobs[4]);
    assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let mut names = jobs.clone();
    names.dedup();
    assert_eq!(names.len(), 5);
}

#[test]
fn composing_goes_on_while_training_runs() {
    let bench = Bench::new();
    let (composed, gate) = bounded(1);
    let (tell, name) = unbounded();
    let tell_too = tell.clone();
    let thread_name = || thread::current().name().map(str::to_owned);
    let training = bench.train(move |_, _| {
        // It can only end after the composition that was queued behind its back.
        let has_composed = gate.recv_timeout(PATIENCE).is_ok();
        let _ = tell.send(thread_name());
        if has_composed { Finish::Cancelled } else { Finish::Failed("waited in vain".to_owned()) }
    });
    let composing = bench.compose(move |_, _| {
        let _ = tell_too.send(thread_name());
        let _ = composed.send(());
        Finish::Composed(Vec::new())
    });
    assert_eq!(words(&bench.finished(composing)), ["started", "finished"]);
    assert_eq!(words(&bench.finished(training)), ["started", "cancelled"]);
    let names: Vec<_> = name.try_iter().flatten().collect();
    assert_eq!(names, ["etude-composer", "etude-trainer"]);
}

#[test]
fn a_panic_is_a_failure_in_words_and_the_thread_lives_on() {
    let bench = Bench::new();
    let broken = bench.train(|_, reporter| {
        reporter.train(TrainEvent::Step(step(1, 1.0)));
        reporter.train(TrainEvent::Step(step(2, 1.0)));
        panic!("index {} is\nout of bounds", 3)
    });
    let events = bench.finished(broken);
    assert_eq!(words(&events), ["started", "progress", "progress", "failed"]);
    let Some(EventKind::Finished(Finish::Failed(reason))) = events.last() else { unreachable!() };
    assert!(reason.starts_with("training stopped because of a fault"), "{reason}");
    assert!(reason.contains("(index 3 is out of bounds) — "), "{reason}");
    let odd = bench.train(|_, _| std::panic::panic_any(7));
    assert_eq!(words(&bench.finished(odd)), ["started", "failed"]);
    let next = bench.train(|_, _| Finish::Composed(Vec::new()));
    assert_eq!(words(&bench.finished(next)), ["started", "finished"]);
}

#[test]
fn a_panic_among_background_threads_is_caught_too() {
    let bench = Bench::new();
    let broken = bench.train(|_, _| background::run("etude-test", || panic!("far away")));
    assert_eq!(words(&bench.finished(broken)), ["started", "failed"]);
}

#[test]
fn a_running_job_is_cancelled_and_its_neighbors_are_not() {
    let bench = Bench::new();
    let (running, has_begun) = unbounded();
    let job = bench.train(until_cancelled(running.clone()));
    let other = bench.compose(until_cancelled(running));
    wait(&has_begun);
    wait(&has_begun);
    bench.studio.cancel(job);
    assert_eq!(words(&bench.finished(job)), ["started", "finished"]);
    let next = bench.train(|cancel, _| {
        if cancel.is_cancelled() { Finish::Cancelled } else { Finish::Composed(Vec::new()) }
    });
    assert_eq!(words(&bench.finished(next)), ["started", "finished"], "a fresh token each");
    bench.studio.cancel(other);
    bench.finished(other);
    // Too late, and a job that never was: nothing happens.
    bench.studio.cancel(job);
    bench.studio.cancel(JobId(999));
    assert!(bench.studio.events().is_empty());
}

#[test]
fn a_queued_job_is_cancelled_at_once_and_never_runs() {
    let bench = Bench::new();
    let (running, has_begun) = unbounded();
    let first = bench.train(until_cancelled(running));
    wait(&has_begun);
    let (ran, has_run) = unbounded();
    let queued = bench.train(move |_, _| {
        let _ = ran.send(());
        Finish::Composed(Vec::new())
    });
    bench.studio.cancel(queued);
    // The first job still runs: nobody waited for it.
    assert_eq!(words(&bench.finished(queued)), ["started", "cancelled"]);
    bench.studio.cancel(queued);
    bench.studio.cancel(first);
    bench.finished(first);
    let last = bench.train(|_, _| Finish::Cancelled);
    bench.finished(last);
    assert!(has_run.try_recv().is_err());
    assert_eq!(words(&bench.finished(queued)).len(), 2, "still only one end");
}

#[test]
fn dropping_the_studio_stops_what_runs_and_forgets_what_waits() {
    let bench = Bench::new();
    let (running, has_begun) = unbounded();
    let (ran, has_run) = unbounded();
    bench.train(until_cancelled(running.clone()));
    bench.compose(until_cancelled(running));
    bench.train(move |_, _| {
        let _ = ran.send(());
        Finish::Cancelled
    });
    wait(&has_begun);
    wait(&has_begun);
    drop(bench.studio);
    // All threads are joined: the queued job's end of the channel is gone, unused.
    assert_eq!(has_run.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
}

#[test]
fn steps_are_merged_and_no_loss_is_lost() {
    let bench = Bench::new();
    let job = bench.train(|_, reporter| {
        for n in 1..=1_000 {
            // The mean over all steps is 2, whatever is merged.
            reporter.train(TrainEvent::Step(step(n, if n % 2 == 0 { 3.0 } else { 1.0 })));
        }
        Finish::Cancelled
    });
    let events = bench.finished(job);
    let (mut sum, mut newest, mut n_points) = (0.0, 0, 0);
    for event in &events {
        if let EventKind::Progress(Progress::Train(TrainEvent::Step(point))) = event {
            assert!(point.step > newest);
            sum += point.loss * (point.step - newest) as f64;
            newest = point.step;
            n_points += 1;
        }
    }
    assert_eq!(newest, 1_000);
    assert!((sum - 2_000.0).abs() < 1e-6);
    assert!(n_points < 500, "{n_points} events for a thousand steps");
}

#[test]
fn the_first_frames_come_at_once_and_all_of_them_in_order() {
    let bench = Bench::new();
    let (go_on, gate) = bounded(1);
    let job = bench.compose(move |_, reporter| {
        let frames = |take, first, chord| {
            let chords = vec![chord].into();
            ComposeEvent::Frames { take, first, chords, touch: None }
        };
        reporter.compose(frames(0, 0, Chord::from_bits(1)));
        let has_been_seen = gate.recv_timeout(PATIENCE).is_ok();
        for n in 1..2_000 {
            for take in 0..3 {
                reporter.compose(frames(take, n, Chord::from_bits(n as u128)));
            }
            if n == 1_000 {
                reporter.compose(ComposeEvent::Note("half".to_owned()));
            }
        }
        if has_been_seen { Finish::Composed(Vec::new()) } else { Finish::Cancelled }
    });
    // The job goes on only after its first frame has been seen here.
    loop {
        let events = bench.studio.events();
        let is_frame = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Progress(Progress::Compose(ComposeEvent::Frames { .. }))
            )
        };
        let has_frame = events.iter().any(is_frame);
        bench.seen.lock().unwrap().extend(events);
        if has_frame {
            break;
        }
        bench.woken.recv_timeout(PATIENCE).expect("the first frame comes by itself");
    }
    go_on.send(()).unwrap();
    let events = bench.finished(job);
    assert_eq!(words(&events).last(), Some(&"finished"));
    let mut n_frames = [0, 1, 1];
    for event in &events {
        match event {
            EventKind::Progress(Progress::Compose(ComposeEvent::Frames {
                take,
                first,
                chords,
                ..
            })) => {
                assert_eq!(*first, n_frames[*take]);
                n_frames[*take] += chords.len();
            }
            EventKind::Progress(Progress::Compose(ComposeEvent::Note(_))) => {
                assert_eq!(n_frames, [1_001; 3], "what came before the note is told before it");
            }
            _ => {}
        }
    }
    assert_eq!(n_frames, [2_000; 3]);
    assert!(events.len() < 1_000, "{} events for six thousand frames", events.len());
}

#[test]
fn a_window_that_does_not_look_fills_no_memory() {
    let bench = Bench::new();
    let job = bench.train(|_, reporter| {
        for n in 0..2_000_000 {
            reporter.newest(Progress::Render(f64::from(n) / 2e6));
        }
        Finish::Cancelled
    });
    // Only the wakes are looked at until the job is over.
    while !bench.studio.outbox.is_idle() {
        bench.woken.recv_timeout(PATIENCE).expect("the job goes on without anyone looking");
    }
    let events = bench.finished(job);
    assert!(events.len() < 300, "{} events", events.len());
    let last = events.iter().rev().find_map(|event| match event {
        EventKind::Progress(Progress::Render(share)) => Some(*share),
        _ => None,
    });
    assert_eq!(last, Some(1_999_999.0 / 2e6), "the newest is told at the end");
}
