//! A flag that asks long work to stop.
//!
//! It is deliberately nothing more: whoever works decides where it is safe to look at it, at
//! least once a step or once a second, and what is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared between the one who asks and the one who works. Clones are the same flag.
/// A fresh token is made for each job; a cancelled one is never reset.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop. It can't be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
