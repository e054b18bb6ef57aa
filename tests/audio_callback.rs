//! The audio callback neither allocates nor frees: an allocator that counts watches it.
#![cfg(feature = "studio")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::font::sine_font;
use etude::audio::{Engine, Font};
use etude::cancel::CancelToken;
use etude::music::{Note, PedalSpan, Pitch, Score, TempoMap, Tick, Velocity};

struct Counting;

thread_local! {
    /// Allocations and releases on this thread.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // While a thread ends its counter may be gone already; nobody reads it then.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn score(n_notes: u32) -> Score {
    let note = |n: u32| Note {
        start: Tick(n * 20),
        length: Tick(200),
        pitch: Pitch::new(30 + (n * 7 % 60) as u8).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    let mut score = Score::piano(TempoMap::default(), (0..n_notes).map(note).collect());
    score.pedal = vec![PedalSpan { start: Tick(0), end: Tick(1_000), part: 0 }];
    score
}

/// Allocations while `n_chunks` chunks are filled, as a device does it.
fn calls_while_filling(engine: &mut Engine, out: &mut [f32], n_chunks: usize) -> usize {
    let before = CALLS.get();
    (0..n_chunks).for_each(|_| engine.fill(out));
    CALLS.get() - before
}

#[test]
fn the_callback_never_allocates_whatever_it_is_told() {
    let font = Font::from_bytes(&sine_font(), "sine.sf2", &CancelToken::new()).unwrap();
    let (mut engine, mut control) = Engine::new(48_000, 0.02);
    let mut out = vec![0.0; 2 * 480];
    type Step = fn(&mut etude::audio::EngineControl, &Font);
    let steps: [(&str, Step); 25] = [
        ("nothing", |_, _| {}),
        ("score", |control, _| control.set_score(&score(400))),
        ("play before the font", |control, _| control.play()),
        ("font", |control, font| control.set_font(font).unwrap()),
        ("longer score", |control, _| control.set_score(&score(4_000))),
        ("seek", |control, _| control.seek(0.5)),
        ("speed", |control, _| control.set_speed(1.7)),
        ("volume", |control, _| control.set_volume(0.3)),
        ("another font", |control, font| control.set_font(font).unwrap()),
        ("auditions", |control, _| {
            for key in 40..100 {
                control.audition_chord(&[(Pitch::new(key).unwrap(), Velocity::MAX)], 0.2);
            }
        }),
        ("chord", |control, _| {
            let notes: Vec<_> =
                (40..90).map(|key| (Pitch::new(key).unwrap(), Velocity::MAX)).collect();
            control.audition_chord(&notes, 0.05);
        }),
        ("keys", |control, _| {
            for key in 40..100 {
                control.key_down(Pitch::new(key).unwrap(), Velocity::MAX);
            }
            control.key_drag(Pitch::new(30).unwrap(), Velocity::MAX);
        }),
        ("no keys", |control, _| {
            control.key_down(Pitch::new(50).unwrap(), Velocity::MAX);
            control.all_keys_up();
        }),
        ("metronome", |control, _| control.set_metronome(true)),
        ("loop", |control, _| {
            control.seek(0.1);
            control.set_loop(Some(0.1..0.2)).unwrap();
        }),
        ("score in a loop", |control, _| control.set_score(&score(1_000))),
        ("scrub", |control, _| {
            for step in 0..50 {
                control.scrub(f64::from(step) * 0.4);
            }
        }),
        ("scrub back", |control, _| control.scrub(0.0)),
        ("end of a scrub", |control, _| control.end_scrub()),
        ("count-in", |control, _| {
            control.pause();
            control.play_with_count_in(1);
        }),
        ("no loop", |control, _| control.set_loop(None).unwrap()),
        ("open end", |control, _| control.set_open_ended(true)),
        ("shorter score", |control, _| control.set_score(&score(3))),
        ("pause", |control, _| control.pause()),
        ("play to the end", |control, _| {
            control.set_open_ended(false);
            control.seek(0.0);
            control.play();
        }),
    ];
    for (name, step) in steps {
        step(&mut control, &font);
        assert_eq!(calls_while_filling(&mut engine, &mut out, 60), 0, "{name}");
    }
    // The watch itself works.
    let before = CALLS.get();
    drop(vec![0u8; 10]);
    assert_eq!(CALLS.get() - before, 2);
    assert!(out.iter().all(|x| x.is_finite()));
}
