//! Processor threads for long work that leave the window and the sound alone.
//!
//! Training and reading spread over every core through rayon. On Linux their threads are given a
//! lower priority ("nice"), so that they have all cores while nobody needs them and step aside
//! the moment the window, the composer or the sound does. Elsewhere one core is left free
//! instead. What is computed is the same either way: results don't depend on the thread count.

/// The niceness of background threads; 0 is normal and 19 the lowest priority.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs `work` where rayon finds background threads called `name-0`, `name-1`, …
pub(super) fn run<T: Send>(name: &'static str, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads())
        .thread_name(move |idx| format!("{name}-{idx}"))
        .start_handler(|_| step_aside())
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(error) => {
            tracing::warn!("no threads of their own for {name}, the usual ones serve: {error}");
            work()
        }
    }
}

fn n_threads() -> usize {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cfg!(target_os = "linux") { n_cores } else { n_cores.saturating_sub(1).max(1) }
}

/// On Linux a priority belongs to a thread, and "this process" means the thread that asks.
#[cfg(target_os = "linux")]
fn step_aside() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!("a background thread keeps its priority: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn step_aside() {}
