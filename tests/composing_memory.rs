//! Composing asks for no memory from frame to frame: an allocator that counts watches it.

#[path = "common/tiny.rs"]
mod tiny;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use etude::cancel::CancelToken;
use etude::model::{ComposeEvent, ComposeSettings, Prime, Strategy, WeightFormat, compose_with};
use etude::music::Pitch;

struct Counting;

thread_local! {
    /// How often this thread has asked for memory.
    static N_ASKED: Cell<usize> = const { Cell::new(0) };
}

fn n_asked() -> usize {
    N_ASKED.with(Cell::get)
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // At the very end of a thread there is nothing to count with.
        let _ = N_ASKED.try_with(|n_asked| n_asked.set(n_asked.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_allocator_counts() {
    let before = n_asked();
    let vec = std::hint::black_box(vec![1u8; 100]);
    assert_eq!((n_asked() - before, vec.len()), (1, 100));
}

#[test]
fn a_step_of_the_network_asks_for_no_memory() {
    let model = tiny::chord_model();
    for weights in [WeightFormat::F32, WeightFormat::F16, WeightFormat::Int8] {
        let mut network = model.next_chord_of_kernels(weights).unwrap();
        for n_rows in [1, 3] {
            network.start(1);
            network.select(&vec![0; n_rows]);
            let tokens = [1, 2, 3];
            network.step(&tokens[..n_rows]);
            let before = n_asked();
            for _ in 0..3 {
                network.read(&tokens[..n_rows]);
                assert!(network.step(&tokens[..n_rows]).iter().all(|score| score.is_finite()));
            }
            assert_eq!(n_asked(), before, "{weights:?}, {n_rows} rows");
        }
    }
}

#[test]
fn a_frame_of_sample_asks_for_no_memory() {
    let model = tiny::chord_model();
    let vocabulary = &model.card().chords().unwrap().vocabulary;
    let strategies = [
        Strategy::Sample { temperature: 0.9, top_k: None, top_p: None },
        Strategy::Sample { temperature: 2.0, top_k: Some(20), top_p: Some(0.99) },
    ];
    for strategy in strategies {
        let prime = Prime::from_pitch(Pitch::MIDDLE_C);
        let settings =
            ComposeSettings { strategy, prime, frames: 16, takes: 2, ..Default::default() };
        let mut network = model.next_chord_of_kernels(WeightFormat::F32).unwrap();
        let (mut after_the_first, mut in_the_end) = (0, 0);
        let takes =
            compose_with(&mut *network, vocabulary, &settings, &CancelToken::new(), &mut |event| {
                match event {
                    ComposeEvent::Frames { take: 1, first: 1, .. } => after_the_first = n_asked(),
                    ComposeEvent::Frames { take: 1, first: 16, .. } => in_the_end = n_asked(),
                    _ => {}
                }
            });
        assert_eq!(takes.unwrap().len(), 2);
        assert!(after_the_first > 0);
        assert_eq!(in_the_end, after_the_first, "{strategy:?}");
    }
}
