//! The clock that runs while there is no sound device.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::engine::{CHUNK_FRAMES, Engine};

/// Its sample rate: nobody hears it, so it is cheap.
pub(super) const SILENT_RATE: u32 = 22_050;
const SILENT_TICK: Duration = Duration::from_millis(10);

/// Renders at the pace of the wall clock and throws the sound away.
pub(super) struct SilentClock {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SilentClock {
    pub(super) fn start(engine: Engine) -> Self {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("etude-silent-clock".to_owned())
            .spawn(move || run_silently(engine, &stopped));
        match thread {
            Ok(thread) => Self { stop: Some(stop), thread: Some(thread) },
            Err(error) => {
                tracing::error!("the silent clock can't start: {error}");
                Self { stop: None, thread: None }
            }
        }
    }
}

impl Drop for SilentClock {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

fn run_silently(mut engine: Engine, stopped: &Receiver<()>) {
    /// After a pause of the whole machine, time isn't caught up with.
    const MOST_BEHIND_SECS: f64 = 0.25;
    let mut chunk = [0.0; 2 * CHUNK_FRAMES];
    let chunk_secs = CHUNK_FRAMES as f64 / f64::from(SILENT_RATE);
    let (mut last, mut behind_secs) = (Instant::now(), 0.0);
    while stopped.recv_timeout(SILENT_TICK) == Err(RecvTimeoutError::Timeout) {
        let now = Instant::now();
        behind_secs += now.duration_since(last).as_secs_f64();
        last = now;
        behind_secs = f64::min(behind_secs, MOST_BEHIND_SECS);
        while behind_secs >= chunk_secs {
            engine.fill(&mut chunk);
            behind_secs -= chunk_secs;
        }
    }
}
