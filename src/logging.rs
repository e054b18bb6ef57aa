//! Where the program's own notes go: a file while the studio is open, standard error in a shell
//! when it is asked for, and the words of a panic for whoever catches it.
//!
//! `ETUDE_LOG` chooses what is written, in the form of `tracing-subscriber`'s filters: `debug`,
//! `etude=trace,info` and so on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::files::data_dir;

/// Who is being logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The window: into [`log_file`].
    Studio,
    /// A command: on standard error, and only if `ETUDE_LOG` is set.
    Shell,
}

/// The words of the last panic that was caught or is being handled.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// What the Help menu opens. The file of the start before lies beside it as `etude.old.log`.
pub fn log_file() -> PathBuf {
    data_dir().join("logs").join("etude.log")
}

/// Starts logging; called once, before anything else. Without a place to write, the program
/// works without a log.
pub fn start(kind: Kind) {
    let asked = EnvFilter::try_from_env("ETUDE_LOG").ok();
    match (kind, asked) {
        (Kind::Studio, asked) => {
            let filter = asked.unwrap_or_else(|| EnvFilter::new("warn,etude=info"));
            if let Some(file) = fresh_log_file() {
                let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
                // A second start in one process (a test) keeps the first log.
                let _ = subscriber.with_writer(Mutex::new(file)).try_init();
            }
        }
        (Kind::Shell, Some(filter)) => {
            let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
            // A log that nobody reads is no reason to panic, which reporting it would be.
            let subscriber = subscriber.with_writer(std::io::stderr).log_internal_errors(false);
            let _ = subscriber.try_init();
        }
        (Kind::Shell, None) => {}
    }
    keep_panics();
}

/// The words of the last panic, for the one line that reports it.
pub fn last_panic() -> String {
    LAST_PANIC.lock().map(|text| text.clone()).unwrap_or_default()
}

fn fresh_log_file() -> Option<File> {
    let path = log_file();
    fs::create_dir_all(path.parent()?).ok()?;
    if path.exists() {
        fs::rename(&path, path.with_extension("old.log")).ok()?;
    }
    File::create(path).ok()
}

/// Panics are caught where work is started (a device is tried, a job runs, a command ends) and
/// become one line there; the usual many lines on standard error would only hide it.
fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("no words");
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let text = format!("{text}{}", place.unwrap_or_default());
        tracing::error!("panic: {text}");
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = text;
        }
    }));
}
