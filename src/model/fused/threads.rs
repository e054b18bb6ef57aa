//! Sharing work among a given number of threads.
//!
//! Nothing computed here may depend on that number: work is cut where results are separate,
//! never inside a sum.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// How many threads of rayon's current pool work at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threads(pub NonZeroUsize);

impl Threads {
    pub const ONE: Self = Self(NonZeroUsize::MIN);

    pub fn new(n: usize) -> Self {
        Self(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN))
    }

    pub fn get(self) -> usize {
        self.0.get()
    }

    /// Does `work` on every item. Whichever thread is free takes the next one.
    pub fn share<T: Send>(
        self,
        items: impl ExactSizeIterator<Item = T> + Send,
        work: impl Fn(T) + Sync,
    ) {
        let mut nothing = vec![(); self.get()];
        self.share_with(&mut nothing, items, |(), item| work(item));
    }

    /// [`Threads::share`], where every thread has one of `scratch` for itself.
    pub fn share_with<S: Send, T: Send>(
        self,
        scratch: &mut [S],
        items: impl ExactSizeIterator<Item = T> + Send,
        work: impl Fn(&mut S, T) + Sync,
    ) {
        let n = self.get().min(items.len()).min(scratch.len());
        if n <= 1 {
            let Some(scratch) = scratch.first_mut() else { return };
            items.for_each(|item| work(scratch, item));
            return;
        }
        let items = Mutex::new(items);
        let (items, work) = (&items, &work);
        rayon::scope(|scope| {
            for scratch in &mut scratch[..n] {
                scope.spawn(move |_| {
                    // A statement of its own, so that the lock is open while the work is done.
                    // Poisoned means that another thread panicked; rayon passes that on.
                    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
                    while let Some(item) = next() {
                        work(scratch, item);
                    }
                });
            }
        });
    }

    /// Cuts `0..n` into equal ranges of at most `largest`, as many as keep every thread busy.
    pub fn ranges(self, n: usize, largest: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
        let n_ranges = n.div_ceil(largest.max(1)).next_multiple_of(self.get()).min(n);
        let size = n.div_ceil(n_ranges.max(1)).max(1);
        (0..n.div_ceil(size)).map(move |idx| idx * size..((idx + 1) * size).min(n))
    }
}

/// Cuts `values` into the rows of each range; the rows are `stride` apart.
pub fn split_rows(
    mut values: &mut [f32],
    ranges: impl ExactSizeIterator<Item = Range<usize>>,
    stride: usize,
) -> impl ExactSizeIterator<Item = (Range<usize>, &mut [f32])> {
    let parts: Vec<_> = ranges
        .map(|range| {
            let end = (range.len() * stride).min(values.len());
            let (part, rest) = std::mem::take(&mut values).split_at_mut(end);
            values = rest;
            (range, part)
        })
        .collect();
    parts.into_iter()
}
