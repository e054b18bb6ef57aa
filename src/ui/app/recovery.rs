//! Unsaved work is kept beside the takes, so that a crash or a power cut loses seconds of it.
//!
//! `recovery.etude` is written on another thread when edits have settled, and removed when the
//! score is saved or the window is closed in peace. Where it is there at the start, it is offered.
//!
//! The file belongs to the window that holds the lock beside it. A second window on the same
//! folder keeps its work in a file of its own and offers nothing: the first one's work is not lost.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::editor::backup_path;
use crate::music::Score;
use crate::ui::action::Choice;
use crate::ui::state::Question;
use crate::ui::tasks::Answer;

/// When the unsaved score was last seen to change, and what is on the disk.
pub(super) struct Recovery {
    /// How long edits rest before they are written.
    after: Duration,
    seen: Option<(Arc<Score>, f64)>,
    written: Option<Arc<Score>>,
    /// Held as long as the window lives; the system lets go of it even after a crash.
    lock: Option<File>,
}

impl Recovery {
    pub fn new(after: Duration, data_dir: &Path) -> Self {
        Self { after, seen: None, written: None, lock: lock(data_dir) }
    }
}

impl App {
    pub(super) fn recovery_path(&self) -> PathBuf {
        match &self.recovery.lock {
            Some(_) => self.data_dir.join("recovery.etude"),
            None => self.data_dir.join(format!("recovery-{}.etude", std::process::id())),
        }
    }

    /// Asks at the start what shall become of work that was not saved.
    pub(super) fn offer_recovery(&mut self) {
        if self.recovery_path().is_file() {
            self.state.question = Some(Question::Recover);
        }
    }

    pub(super) fn recover(&mut self, choice: Choice) {
        match choice {
            Choice::GoOn => self.read_score(self.recovery_path()),
            Choice::SaveFirst | Choice::Cancel => self.forget_recovery(),
        }
    }

    /// Writes unsaved work once it has rested, and removes what has become needless.
    pub(super) fn keep_recovery(&mut self, ctx: &egui::Context) {
        if self.state.question == Some(Question::Recover) {
            return;
        }
        if !self.state.document.is_unsaved() {
            self.recovery.seen = None;
            if self.recovery.written.take().is_some() {
                self.forget_recovery();
            }
            return;
        }
        let score = self.state.document.history.score();
        let now = ctx.input(|input| input.time);
        let is = |other: &Arc<Score>| Arc::ptr_eq(other, score);
        if self.recovery.written.as_ref().is_some_and(is) {
            return;
        }
        let since = match &self.recovery.seen {
            Some((seen, since)) if is(seen) => *since,
            _ => {
                self.recovery.seen = Some((Arc::clone(score), now));
                now
            }
        };
        let left = self.recovery.after.as_secs_f64() - (now - since);
        if left > 0.0 {
            ctx.request_repaint_after_secs(left as f32);
            return;
        }
        self.recovery.written = Some(Arc::clone(score));
        self.write_recovery();
    }

    fn write_recovery(&self) {
        let (path, project) = (self.recovery_path(), self.project());
        self.tasks.write("keeping unsaved work", move || {
            let written = project().write(&path).map_err(|error| error.to_string());
            let error = |error| format!("Unsaved work can't be kept against a crash: {error}");
            Answer::Written { done: String::new(), result: written.map_err(error) }
        });
    }

    fn forget_recovery(&self) {
        let path = self.recovery_path();
        self.tasks.write("removing kept work", move || {
            remove(&path);
            Answer::Written { done: String::new(), result: Ok(()) }
        });
    }

    /// The recovered work is unsaved work again.
    pub(super) fn recovered(&mut self) {
        let score = Arc::clone(self.state.document.history.score());
        self.state.document.mark_unsaved();
        self.recovery.written = Some(score);
        self.state.notices.done("Recovered what was not saved. Save it to keep it");
    }

    /// The window closes, and everything is written that was to be kept.
    pub(super) fn finish(&mut self) {
        if self.recovery.written.take().is_some() {
            self.forget_recovery();
        }
    }
}

/// The lock of the one window that `recovery.etude` belongs to; none where another has it.
fn lock(data_dir: &Path) -> Option<File> {
    let path = data_dir.join("studio.lock");
    let opened = std::fs::create_dir_all(data_dir)
        .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
    match opened {
        Ok(file) => file.try_lock().is_ok().then_some(file),
        Err(error) => {
            tracing::warn!("{} can't be opened: {error}", path.display());
            None
        }
    }
}

fn remove(path: &Path) {
    for path in [path.to_owned(), backup_path(path)] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("{} can't be removed: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_window_at_a_time_owns_the_recovery_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path());
        assert!(first.is_some());
        assert!(lock(folder.path()).is_none(), "a second window keeps a file of its own");
        drop(first);
        assert!(lock(folder.path()).is_some(), "a window that is gone holds nothing");
    }
}
