//! Unsaved work is kept beside the takes, so that a crash or a power cut loses seconds of it.
//!
//! `recovery.etude` is written on another thread when edits have settled, and removed when the
//! score is saved or the window is closed in peace. Where it is there at the start, it is offered.
//!
//! Each window has a place of its own, which is a lock and the file beside it: a second window on
//! the same folder takes the next. A place where a window that crashed has left its work is taken
//! first, so that the work is offered.

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
    place: Place,
}

/// Where this window, and no other, keeps what isn't saved.
struct Place {
    path: PathBuf,
    /// Held as long as the window lives; the system lets go of it even after a crash.
    _lock: Option<File>,
}

impl Recovery {
    pub fn new(after: Duration, data_dir: &Path) -> Self {
        Self { after, seen: None, written: None, place: Place::take(data_dir) }
    }
}

impl App {
    pub(super) fn recovery_path(&self) -> PathBuf {
        self.recovery.place.path.clone()
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

impl Place {
    /// More windows at once than anybody opens.
    const MOST: usize = 32;

    fn take(data_dir: &Path) -> Self {
        if let Err(error) = std::fs::create_dir_all(data_dir) {
            tracing::warn!("{} can't be made: {error}", data_dir.display());
        }
        let places = || (1..=Self::MOST).map(|number| Self::names(data_dir, number));
        let left_behind = places().filter(|(path, _)| path.is_file());
        for (path, lock) in left_behind.chain(places()) {
            if let Some(lock) = try_lock(&lock) {
                return Self { path, _lock: Some(lock) };
            }
        }
        // Where nothing can be locked, every window still has a file of its own.
        let path = data_dir.join(format!("recovery-of-{}.etude", std::process::id()));
        Self { path, _lock: None }
    }

    /// The file and the lock of a place; the first has no number.
    fn names(data_dir: &Path, number: usize) -> (PathBuf, PathBuf) {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let path = |name: String| data_dir.join(name);
        (path(format!("recovery{number}.etude")), path(format!("studio{number}.lock")))
    }
}

/// The lock, unless another window has it.
fn try_lock(path: &Path) -> Option<File> {
    let opened = File::options().create(true).truncate(false).write(true).open(path);
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

    fn name(place: &Place) -> String {
        place.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn every_window_has_a_place_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let take = || Place::take(folder.path());
        let (first, second) = (take(), take());
        assert_eq!(
            (name(&first), name(&second)),
            ("recovery.etude".into(), "recovery-2.etude".into())
        );
        drop(first);
        assert_eq!(name(&take()), "recovery.etude", "a window that is gone holds nothing");
    }

    #[test]
    fn what_a_second_window_left_in_a_crash_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let take = || Place::take(folder.path());
        let (first, second) = (take(), take());
        std::fs::write(&first.path, "the first one's").unwrap();
        std::fs::write(&second.path, "the second one's").unwrap();
        drop(second);
        let third = take();
        assert_eq!(name(&third), "recovery-2.etude");
        assert_eq!(name(&take()), "recovery-3.etude", "neither belongs to a third");
    }

    #[test]
    fn where_nothing_can_be_written_nothing_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "").unwrap();
        assert!(name(&Place::take(&file)).starts_with("recovery-of-"));
    }
}
