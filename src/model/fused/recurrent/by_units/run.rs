//! Taking chunks of units through all steps, whatever they compute there.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use super::Lane;
use crate::cancel::CancelToken;
use crate::model::fused::product::{PackedLeft, View};
use crate::model::fused::simd::Level;
use crate::model::fused::threads::Threads;

/// How often a thread looks for the others before it lets somebody else run.
const MAX_SPINS: usize = 1_000;

/// What the steps tell each other, in turn on two sides: while one is read, the other is written.
pub struct Exchange {
    sides: [Vec<AtomicU32>; 2],
    n_chunks: usize,
    /// Chunks of all steps that are done.
    n_done: AtomicUsize,
}

impl Exchange {
    pub fn new(n_values: usize, n_chunks: usize) -> Self {
        let side = || (0..n_values).map(|_| AtomicU32::new(0)).collect();
        Self { sides: [side(), side()], n_chunks, n_done: AtomicUsize::new(0) }
    }

    /// Steps that are whole. What they wrote can be read from then on.
    fn n_whole_steps(&self) -> usize {
        self.n_done.load(Ordering::Acquire) / self.n_chunks
    }

    /// Another chunk of the step at hand is done; all that it tells has been written.
    fn count(&self) {
        self.n_done.fetch_add(1, Ordering::Release);
    }

    /// What all steps before `step` left for it. A thread that was held up may read what a later step
    /// is writing, but finds no chunk of `step` to use it for.
    fn read(&self, step: usize, to: &mut Vec<f32>) {
        let values = self.sides[step % 2].iter();
        to.clear();
        to.extend(values.map(|value| f32::from_bits(value.load(Ordering::Relaxed))));
    }

    /// Tells `step` the numbers from `first` on.
    pub fn write(&self, step: usize, first: usize, values: &[f32]) {
        for (to, value) in self.sides[step % 2][first..].iter().zip(values) {
            to.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

/// Some units of a layer.
pub trait Chunk: Send {
    /// Computes step `step`, counted in the order of computing, from what the one before it left,
    /// packed, and tells the next one.
    fn compute(&mut self, step: usize, left: &[PackedLeft; 2], exchange: &Exchange);
}

/// A chunk and how many steps it has been taken through; that number is changed by whoever has the
/// lock.
struct Slot<C> {
    chunk: Mutex<C>,
    n_done: AtomicUsize,
}

impl<C> Slot<C> {
    fn waits_for(&self, step: usize) -> bool {
        self.n_done.load(Ordering::Relaxed) == step
    }
}

/// How chunks are taken through all steps.
pub struct Run<'a> {
    pub threads: Threads,
    pub level: Level,
    pub n_rows: usize,
    pub n_steps: usize,
    pub exchange: &'a Exchange,
    pub cancel: &'a CancelToken,
}

impl Run<'_> {
    /// `widths` are those of the matrices that are exchanged, one behind the other.
    pub fn all<C: Chunk>(&self, lanes: &mut [Lane], widths: &[usize], chunks: Vec<C>) {
        let slot = |chunk| Slot { chunk: Mutex::new(chunk), n_done: AtomicUsize::new(0) };
        let slots: Vec<_> = chunks.into_iter().map(slot).collect();
        let n = self.threads.get().min(slots.len());
        self.threads.share_with(lanes, 0..n, |lane, idx| {
            let own = idx * slots.len() / n..(idx + 1) * slots.len() / n;
            self.take(lane, widths, &slots, &own);
        });
    }

    /// Takes chunks until there are none, or it was cancelled.
    fn take<C: Chunk>(
        &self,
        lane: &mut Lane,
        widths: &[usize],
        slots: &[Slot<C>],
        own: &Range<usize>,
    ) {
        let mut packed = None;
        loop {
            let step = self.exchange.n_whole_steps();
            if step >= self.n_steps || self.cancel.is_cancelled() {
                return;
            }
            if packed != Some(step) {
                self.pack(step, lane, widths);
                packed = Some(step);
            }
            for slot in order(step, slots.len(), own).map(|idx| &slots[idx]) {
                if !slot.waits_for(step) {
                    continue;
                }
                match slot.chunk.try_lock() {
                    // Somebody else may have been quicker.
                    Ok(mut chunk) if slot.waits_for(step) => {
                        chunk.compute(step, &lane.lefts, self.exchange);
                        slot.n_done.store(step + 1, Ordering::Relaxed);
                        drop(chunk);
                        self.exchange.count();
                    }
                    Ok(_) | Err(TryLockError::WouldBlock) => {}
                    // A thread panicked, which rayon passes on: nobody waits for its chunk.
                    Err(TryLockError::Poisoned(_)) => return,
                }
            }
            self.wait(step);
        }
    }

    /// Until `step` is whole, or for a while: then somebody may have left a chunk.
    fn wait(&self, step: usize) {
        for _ in 0..MAX_SPINS {
            if self.exchange.n_whole_steps() != step {
                return;
            }
            std::hint::spin_loop();
        }
        std::thread::yield_now();
    }

    fn pack(&self, step: usize, lane: &mut Lane, widths: &[usize]) {
        self.exchange.read(step, &mut lane.exchanged);
        let mut first = 0;
        for (left, &width) in lane.lefts.iter_mut().zip(widths) {
            let values = &lane.exchanged[first..];
            left.pack(self.level, View::new(values, self.n_rows, width));
            first += self.n_rows * width;
        }
    }
}

/// Chunks in the order in which a thread asks for them: its own, of which every other step begins
/// with those that the step before ended with, then those that the others come to last.
fn order(step: usize, n_chunks: usize, own: &Range<usize>) -> impl Iterator<Item = usize> {
    let is_upward = step.is_multiple_of(2);
    let n_own = own.len();
    let first = own.start;
    let mine = (0..n_own).map(move |idx| first + if is_upward { idx } else { n_own - 1 - idx });
    let all = (0..n_chunks).map(move |idx| if is_upward { n_chunks - 1 - idx } else { idx });
    let own = own.clone();
    mine.chain(all.filter(move |idx| !own.contains(idx)))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Does nothing but what one of them is told to do at a step.
    struct Told<'a> {
        step: usize,
        acts: Option<&'a (dyn Fn() + Sync)>,
        n_computed: &'a AtomicUsize,
    }

    impl Chunk for Told<'_> {
        fn compute(&mut self, step: usize, _left: &[PackedLeft; 2], _exchange: &Exchange) {
            self.n_computed.fetch_add(1, Ordering::Relaxed);
            if step == self.step
                && let Some(act) = self.acts
            {
                act();
            }
        }
    }

    /// Ten steps of six chunks on three threads, of which the second chunk acts in step 4. How many
    /// were computed.
    fn computed(cancel: &CancelToken, act: &(dyn Fn() + Sync)) -> usize {
        let (threads, n_chunks) = (Threads::new(3), 6);
        let exchange = Exchange::new(4, n_chunks);
        let level = Level::detect();
        let run = Run { threads, level, n_rows: 2, n_steps: 10, exchange: &exchange, cancel };
        let n_computed = AtomicUsize::new(0);
        let told = |idx| Told { step: 4, acts: (idx == 1).then_some(act), n_computed: &n_computed };
        let mut lanes = vec![Lane::default(); 3];
        run.all(&mut lanes, &[2], (0..n_chunks).map(told).collect());
        n_computed.into_inner()
    }

    #[test]
    fn every_chunk_is_taken_through_every_step_once() {
        assert_eq!(computed(&CancelToken::new(), &|| ()), 60);
    }

    #[test]
    fn what_is_cancelled_midway_ends_within_a_step() {
        let cancel = CancelToken::new();
        let n_computed = computed(&cancel, &|| cancel.cancel());
        assert!((4 * 6..=5 * 6).contains(&n_computed), "{n_computed}");
    }

    #[test]
    fn a_panic_reaches_the_caller_and_nobody_waits_for_it() {
        let cancel = CancelToken::new();
        let act = || panic!("told to");
        let panicked = catch_unwind(AssertUnwindSafe(|| computed(&cancel, &act)));
        let text = *panicked.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(text, "told to");
    }
}
