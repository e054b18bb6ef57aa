//! Memory stays flat however long a training goes on: an allocator that counts watches it.

#[path = "common/tiny.rs"]
mod tiny;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use etude::cancel::CancelToken;
use etude::model::{KernelChoice, Softmax, TrainEvent, TrainingSettings, train_with};

struct Counting;

/// Bytes that are allocated and not yet released, on all threads.
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Epochs of a run, and the one after which memory may not grow.
const EPOCHS: usize = 50;
const WARM: usize = 10;

// The only test of its binary: others beside it would be counted, too.
#[test]
fn memory_stays_flat_over_many_epochs() {
    for (kernels, softmax, carry_state) in [
        (KernelChoice::Fused, Softmax::Full, false),
        (KernelChoice::Fused, Softmax::Adaptive, true),
        (KernelChoice::Burn, Softmax::Full, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = TrainingSettings {
            epochs: EPOCHS,
            softmax,
            carry_state,
            transpose: 1,
            ..tiny::settings()
        };
        let request = tiny::request(&tiny::loops(), settings, &folder.path().join("run"));
        let mut live = Vec::with_capacity(EPOCHS);
        train_with(&request, kernels, &CancelToken::new(), &mut |event| {
            if matches!(event, TrainEvent::Epoch(_)) {
                live.push(LIVE.load(Ordering::Relaxed));
            }
        })
        .unwrap();
        assert_eq!(live.len(), EPOCHS);
        // One copy of the network leaked each epoch would already be more than this. The points of
        // the curve are kept, and how far worker threads are differs a little.
        let (early, late) = (live[WARM - 1], live[EPOCHS - 1]);
        let most = early + early / 20 + (EPOCHS - WARM) * 128;
        assert!(late <= most, "{kernels:?}: {early} bytes after {WARM} epochs, {late} at the end");
    }
}
