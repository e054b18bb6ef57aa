//! Ctrl+C: the first asks the work to stop and keep what it has, the second ends at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::output::say;
use crate::cancel::CancelToken;

/// A token that Ctrl+C cancels. Called once, by the one command that runs.
pub fn cancelled_by_interrupt() -> CancelToken {
    cancelled_by_interrupt_or(|| {})
}

/// The same; `at_once` tidies up before the second Ctrl+C ends the program.
pub fn cancelled_by_interrupt_or(mut at_once: impl FnMut() + Send + 'static) -> CancelToken {
    let cancel = CancelToken::new();
    let token = cancel.clone();
    let times = AtomicUsize::new(0);
    let installed = ctrlc::set_handler(move || {
        if times.fetch_add(1, Ordering::Relaxed) > 0 {
            at_once();
            std::process::exit(130);
        }
        token.cancel();
        say("stopping; press Ctrl+C again to end at once");
    });
    if let Err(error) = installed {
        tracing::warn!("Ctrl+C will end the program at once: {error}");
    }
    cancel
}
