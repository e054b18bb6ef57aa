//! Unsaved work is kept on the disk while it is worked on, so that a crash or a power cut loses
//! seconds of it.
//!
//! How it lies there is told in [`sessions`]. It is written on another thread: within the
//! interval after an edit, whether or not editing goes on or the window draws, and before anything
//! that might end the program. It goes once the work is saved, or when the user says that it isn't
//! wanted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::App;
use super::risk::Risk;
use crate::music::Tick;
use crate::ui::action::{Choice, UnfinishedAction};
use crate::ui::sessions::{self, About, LeftBehind, Session, Unfinished};
use crate::ui::state::{Document, Piece, Question, WorkId};
use crate::ui::tasks::{Answer, Opened};
use crate::ui::widgets::counted;

/// Where this window's unsaved work is. Only the thread that writes files looks inside.
type Place = Arc<Mutex<Option<Session>>>;

/// What is on the disk, and what is soon.
pub(super) struct Recovery {
    /// The longest that an edit may wait until it is on the disk.
    interval: Duration,
    root: PathBuf,
    place: Place,
    /// What was last given to be written, at its time.
    written: Option<Written>,
    /// How many writes were asked for, and how many of them have come to their end or given way to
    /// a newer one.
    n_begun: u64,
    n_ended: u64,
    /// There is, or soon will be, a folder with work of this window.
    has_session: bool,
}

/// What is kept against a crash. How the roll is looked at goes along, but isn't worth another
/// write.
struct Written {
    piece: Piece,
    loop_range: Option<(Tick, Tick)>,
}

impl Written {
    fn of(document: &Document) -> Self {
        Self { piece: document.piece(), loop_range: document.loop_range }
    }
}

impl Recovery {
    pub fn new(interval: Duration, data_dir: &Path) -> Self {
        Self {
            interval,
            root: data_dir.join("sessions"),
            place: Place::default(),
            written: None,
            n_begun: 0,
            n_ended: 0,
            has_session: false,
        }
    }

    /// Half of the interval is left for the writing itself: a large piece on a slow disk.
    fn wait(&self) -> Duration {
        self.interval / 2
    }

    /// Whether the document was given to be written as it is.
    fn has(&self, document: &Document) -> bool {
        let now = Written::of(document);
        let is = |it: &Written| it.piece.is(&now.piece) && it.loop_range == now.loop_range;
        self.written.as_ref().is_some_and(is)
    }

    /// Whether something is being written, or waits for its time.
    fn is_writing(&self) -> bool {
        self.n_ended < self.n_begun
    }
}

impl App {
    /// Looks at the start for work that other windows left behind.
    pub(super) fn look_for_unfinished(&self) {
        let (data_dir, root) = (self.data_dir.clone(), self.recovery.root.clone());
        self.tasks.spawn("looking for unsaved work", move || {
            sessions::take_over_old(&data_dir, &root);
            Answer::UnfinishedFound(sessions::left_behind(&root))
        });
    }

    pub(super) fn unfinished_found(&mut self, found: LeftBehind) {
        if let [first, ..] = found.unclear.as_slice() {
            let (folder, n) = (first.display(), found.unclear.len());
            let folders = counted(n, "folder with unsaved work", "folders with unsaved work");
            self.state.notices.error(format!(
                "{folders} can't be taken over, as {folder} — it can't be locked, so that another \
                 window may have it open. If none has, open the project in it"
            ));
        }
        self.state.unfinished = found.unfinished;
        if !self.state.unfinished.is_empty() && self.state.question.is_none() {
            self.state.question = Some(Question::Recover);
        }
    }

    pub(super) fn unfinished_action(
        &mut self,
        ctx: &egui::Context,
        name: String,
        action: UnfinishedAction,
    ) {
        match action {
            UnfinishedAction::Restore(earlier) => {
                self.replace_score(ctx, Question::Restore(WorkId { name, earlier }));
            }
            UnfinishedAction::Discard => self.state.question = Some(Question::Discard(name)),
        }
    }

    /// Throws the work away if that is meant, and asks about what is left.
    pub(super) fn discard_answered(&mut self, name: &str, choice: Choice) {
        if choice == Choice::GoOn
            && let Some(found) = self.take_unfinished(name)
        {
            self.tasks.write("discarding unsaved work", move || {
                found.session.remove();
                Answer::Written { done: String::new(), result: Ok(()) }
            });
        }
        if !self.state.unfinished.is_empty() {
            self.state.question = Some(Question::Recover);
        }
    }

    fn take_unfinished(&mut self, name: &str) -> Option<Unfinished> {
        let idx = self.state.unfinished.iter().position(|it| it.name() == name)?;
        Some(self.state.unfinished.remove(idx))
    }

    /// Reads the work once what is here is kept; [`Self::restored`] follows.
    pub(super) fn restore(&mut self, work: WorkId) {
        let number = self.expect_score();
        self.risk(Risk::Restore { number, work });
    }

    pub(super) fn begin_restoring(&mut self, number: u64, work: WorkId) {
        let found = self.state.unfinished.iter().find(|it| it.name() == work.name);
        let Some(found) = found.filter(|_| self.is_expected(number)) else { return };
        let read = found.session.reader(work.earlier);
        self.tasks.spawn("restoring unsaved work", move || {
            let result = read().map(Opened::from).map_err(|error| error.to_string());
            Answer::Restored { number, work, result }
        });
    }

    /// The work is in the window again, and its folder is now this window's own.
    pub(super) fn restored(&mut self, number: u64, work: &WorkId, result: Result<Opened, String>) {
        let ask_again = || Question::Restore(work.clone());
        let Some(opened) = self.wanted_score(number, result, ask_again) else { return };
        let Some(found) = self.take_unfinished(&work.name) else { return };
        let path = opened.view.path.clone();
        self.forget_recovery();
        self.adopt(opened, path);
        self.state.document.mark_unsaved();
        // An earlier state isn't the newest one that is kept there.
        let is_newest = work.earlier.is_none();
        self.recovery.written = is_newest.then(|| Written::of(&self.state.document));
        self.recovery.has_session = true;
        let place = Arc::clone(&self.recovery.place);
        self.tasks.write("taking unsaved work over", move || {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.session);
            Answer::Written { done: String::new(), result: Ok(()) }
        });
        let mut words = "Restored what was not saved. Save it to keep it".to_owned();
        match self.state.unfinished.len() {
            0 => {}
            n => {
                let more = counted(n, "more piece waits", "more pieces wait");
                words += &format!("; {more} in the File menu");
            }
        }
        self.state.notices.done(words);
    }

    /// Has unsaved work written in time, and what has become needless removed. It is called at the
    /// end of each frame: another may not come for hours while the window is covered.
    pub(super) fn keep_recovery(&mut self) {
        if !self.state.document.is_unsaved() {
            if self.recovery.has_session {
                self.forget_recovery();
            }
        } else if !self.recovery.has(&self.state.document) {
            self.write_recovery();
        }
    }

    /// Has unsaved work written at once. Returns the write that must end before all of it is on
    /// the disk; `None` if it is there.
    pub(super) fn keep_now(&mut self) -> Option<u64> {
        if !self.state.document.is_unsaved() {
            return None;
        }
        if !self.recovery.has(&self.state.document) {
            self.write_recovery();
        }
        self.tasks.hurry();
        self.recovery.is_writing().then_some(self.recovery.n_begun)
    }

    /// Whether nothing is being written against a crash.
    #[cfg(test)]
    pub(super) fn keeps_nothing(&self) -> bool {
        !self.recovery.is_writing()
    }

    /// Gives the document to be written within the interval.
    fn write_recovery(&mut self) {
        let recovery = &mut self.recovery;
        recovery.written = Some(Written::of(&self.state.document));
        recovery.n_begun += 1;
        recovery.has_session = true;
        let (write, due) = (recovery.n_begun, Instant::now() + recovery.wait());
        let (place, root) = (Arc::clone(&recovery.place), recovery.root.clone());
        let (clock, project) = (self.clock, self.project());
        let document = &self.state.document;
        let (title, path) = (document.name(), document.path.clone());
        self.tasks.write_later(due, "keeping unsaved work", move || {
            let now = clock();
            let about = About { title, path, kept_secs: sessions::seconds(now) };
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let result = kept_in(&mut place, &root, now).and_then(|session| {
                session.keep(&project(), &about).map_err(|error| error.to_string())
            });
            Answer::Kept { write, result }
        });
    }

    /// A write that broke must not hold up all that follow it.
    pub(super) fn write_broke(&mut self) {
        self.recovery.written = None;
        self.write_ended(self.recovery.n_begun);
    }

    pub(super) fn kept(&mut self, write: u64, result: Result<(), String>) {
        if let Err(error) = result {
            // It is tried again, as if it had just been changed.
            self.recovery.written = None;
            let words = format!("Unsaved work can't be kept against a crash: {error}");
            self.state.notices.error(words);
        }
        self.write_ended(write);
    }

    fn write_ended(&mut self, write: u64) {
        self.recovery.n_ended = self.recovery.n_ended.max(write);
        self.dare_after(write);
    }

    fn forget_recovery(&mut self) {
        self.recovery.written = None;
        self.recovery.has_session = false;
        if self.tasks.forget_later() {
            self.write_ended(self.recovery.n_begun);
        }
        let place = Arc::clone(&self.recovery.place);
        self.tasks.write("removing kept work", move || {
            let session = place.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(session) = session {
                session.remove();
            }
            Answer::Written { done: String::new(), result: Ok(()) }
        });
    }

    /// The window closes. What the user was asked about and did not want goes; a window that is
    /// closed from outside keeps its work: what is to be written is written before the program
    /// ends.
    pub(super) fn finish(&mut self) {
        if self.state.training.job.is_some() {
            self.keep_steps();
        }
        if self.is_closing || !self.state.document.is_unsaved() {
            self.forget_recovery();
        } else {
            self.keep_now();
        }
    }

    pub(super) fn recover_answered(&mut self, choice: Choice) {
        if choice == Choice::Cancel && !self.state.unfinished.is_empty() {
            self.state.notices.note("The unsaved work waits in the File menu");
        }
    }
}

/// The session of this window, made when it is first needed, and again when its folder has gone.
fn kept_in<'a>(
    place: &'a mut Option<Session>,
    root: &Path,
    now: std::time::SystemTime,
) -> Result<&'a mut Session, String> {
    if place.as_ref().is_some_and(Session::is_gone) {
        *place = None;
    }
    match place {
        Some(session) => Ok(session),
        None => {
            let made = Session::create(root, now).map_err(|error| {
                let why = crate::files::plain_reason(&error);
                format!("{} can't be made — {why}. Save your work soon", root.display())
            })?;
            Ok(place.insert(made))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Window;
    use super::*;
    use crate::editor::Project;
    use crate::music::{KeyScale, Scale};
    use crate::ui::action::AppAction;
    use crate::ui::command::Command;

    fn root(window: &Window) -> PathBuf {
        window.folder.path().join("data").join("sessions")
    }

    /// The only work that is kept.
    fn kept(window: &Window) -> Project {
        let entries = std::fs::read_dir(root(window)).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        let [folder] = folders.as_slice() else { panic!("{folders:?}") };
        Project::read(&folder.join("project.etude")).unwrap()
    }

    #[test]
    fn work_is_kept_again_after_its_folder_went_away() {
        let mut window = Window::with_unsaved_work();
        window.app().keep_now();
        window.wait_for_writer();
        std::fs::remove_dir_all(root(&window)).unwrap();
        window.act(AppAction::SetKey(Some(KeyScale::new(6, Scale::Dorian))));
        window.app().keep_now();
        window.wait_for_writer();
        assert!(kept(&window).score.notes().is_empty());
        assert!(!window.sees("can't be kept against a crash"));
    }

    #[test]
    fn a_key_that_is_set_is_work_like_a_note() {
        let mut window = Window::open();
        let key = KeyScale::new(6, Scale::Dorian);
        window.act(AppAction::SetKey(Some(key)));
        assert!(window.app().state.document.is_unsaved());
        window.app().keep_now();
        window.wait_for_writer();
        let view = crate::ui::state::ProjectView::read(&kept(&window).view.unwrap());
        assert_eq!(view.key, Some(key));
        // The loop is kept with it when there is something to keep, and none of it twice.
        let n_begun = window.app().recovery.n_begun;
        window.app().keep_now();
        assert_eq!(window.app().recovery.n_begun, n_begun);
        window.act(AppAction::Run(Command::Loop));
        window.app().keep_now();
        assert_eq!(window.app().recovery.n_begun, n_begun + 1);

        window.act(AppAction::SetKey(None));
        assert!(!window.app().state.document.is_unsaved(), "it is as it was opened");
        let path = window.folder.path().join("piece.etude");
        window.act(AppAction::SetKey(Some(key)));
        window.act(AppAction::PathsChosen(
            crate::ui::dialogs::Purpose::SaveProject,
            vec![path.clone()],
        ));
        window.wait("it is saved", |app| !app.state.document.is_unsaved());
        window.act(AppAction::Document(crate::ui::action::DocumentAction::Open(path)));
        window.wait("it is opened", |app| app.state.notices.shown.len() > 1);
        assert_eq!(window.app().state.document.key(), Some(key));
        assert!(!window.app().state.document.is_unsaved());
    }

    /// Of a covered or minimized window many systems want no frames, however often it asks.
    #[test]
    fn work_is_kept_in_time_though_no_frame_follows_the_edit() {
        use egui::{Key, Modifiers};
        let interval = Duration::from_millis(200);
        let mut window = Window::keeping_within(interval);
        window.harness.run_steps(3);
        window.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        window.harness.run_steps(2);
        assert!(!window.app().state.document.is_unsaved());
        // In one frame: the harness would give each press and release one of its own.
        let delete = egui::Event::Key {
            key: Key::Delete,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers: Modifiers::NONE,
        };
        window.harness.input_mut().events.push(delete);
        window.harness.step();
        assert!(window.app().state.document.is_unsaved());
        let edited = Instant::now();
        let project = || {
            let folders = std::fs::read_dir(root(&window)).into_iter().flatten();
            let paths = folders.map(|folder| folder.unwrap().path().join("project.etude"));
            paths.filter(|path| path.exists()).count()
        };
        while project() == 0 {
            assert!(edited.elapsed() < Duration::from_secs(20), "it waits for a frame");
            window.wait_for_knock();
        }
        assert!(edited.elapsed() >= interval / 4, "it is not written at every edit");
        assert!(kept(&window).score.notes().is_empty());
    }

    #[test]
    fn a_window_that_is_closed_from_outside_keeps_its_work() {
        let mut window = Window::with_unsaved_work();
        window.app().finish();
        window.wait_for_writer();
        assert!(kept(&window).score.notes().is_empty());
        // One whose user was asked and didn't want the work keeps nothing.
        window.app().is_closing = true;
        window.app().finish();
        window.wait_for_writer();
        assert_eq!(std::fs::read_dir(root(&window)).unwrap().count(), 0);
    }

    #[test]
    fn exports_and_fonts_wait_for_the_work_to_be_kept() {
        use crate::ui::dialogs::Purpose;
        for (purpose, name) in [
            (Purpose::ExportMidi, "out.mid"),
            (Purpose::ExportWav, "out.wav"),
            (Purpose::SoundFont, "font.sf2"),
        ] {
            let mut window = Window::with_unsaved_work();
            let path = window.folder.path().join(name);
            window.act(AppAction::PathsChosen(purpose, vec![path]));
            window.wait_for_writer();
            assert!(kept(&window).score.notes().is_empty(), "{name}");
        }
    }
}
