//! A window for the tests of this folder, which look inside.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::{App, Setup};
use crate::audio::Player;
use crate::editor::ScoreEdit;
use crate::studio::Studio;
use crate::ui::action::{AppAction, DocumentAction};
use crate::ui::dialogs::DialogKind;
use crate::ui::state::Preferences;
use crate::ui::tasks::Answer;

/// A window with unsaved work, and the channel its workers knock on.
pub struct Window {
    pub harness: Harness<'static, App>,
    knocks: Receiver<()>,
    pub folder: tempfile::TempDir,
}

impl Window {
    pub fn open() -> Self {
        Self::keeping_within(Duration::from_secs(600))
    }

    /// Unsaved work is kept within this time.
    pub fn keeping_within(interval: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sender, knocks) = unbounded();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = sender.send(());
        });
        let data_dir = folder.path().join("data");
        let harness = Harness::builder().with_step_dt(0.01).build_eframe(move |creation| {
            let setup = Setup {
                studio: Studio::new(Arc::clone(&wake)),
                player: Player::silent(Arc::clone(&wake)),
                wake,
                data_dir,
                clock: || UNIX_EPOCH + Duration::from_secs(1_795_363_512),
                dialogs: DialogKind::OwnPicker,
                preferences: Preferences::default(),
                recovery_after: interval,
                file: None,
            };
            App::new(&creation.egui_ctx, setup)
        });
        Self { harness, knocks, folder }
    }

    /// Waits until everything that was to be written until now is.
    pub fn wait_for_writer(&mut self) {
        let (sender, written) = bounded::<()>(1);
        self.app().tasks.write("coming last", move || {
            let _ = sender.send(());
            Answer::Written { done: String::new(), result: Ok(()) }
        });
        self.wait("all is written", |_| written.try_recv().is_ok());
        self.harness.run_steps(3);
    }

    pub fn with_unsaved_work() -> Self {
        let mut window = Self::open();
        let notes = window.app().state.document.history.score().notes().to_vec();
        window.act(AppAction::Document(DocumentAction::Edit(ScoreEdit::Delete { notes })));
        assert!(window.app().state.document.is_unsaved());
        window
    }

    /// The window is closed; its folder stays until it is dropped.
    pub fn close(self) -> tempfile::TempDir {
        let Self { harness, folder, .. } = self;
        drop(harness);
        folder
    }

    pub fn app(&mut self) -> &mut App {
        self.harness.state_mut()
    }

    pub fn act(&mut self, action: AppAction) {
        let ctx = self.harness.ctx.clone();
        self.app().apply(&ctx, vec![action]);
    }

    /// The writer does nothing until something is sent here.
    pub fn hold_writer(&mut self) -> Sender<()> {
        let (go_on, held) = bounded::<()>(1);
        self.app().tasks.write("being slow", move || {
            let _ = held.recv();
            Answer::Written { done: String::new(), result: Ok(()) }
        });
        go_on
    }

    /// Waits a moment for a worker, without a frame.
    pub fn wait_for_knock(&self) {
        let _ = self.knocks.recv_timeout(Duration::from_millis(20));
    }

    pub fn wait(&mut self, what: &str, is_so: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !is_so(self.harness.state()) {
            assert!(start.elapsed() < Duration::from_secs(600), "waited too long: {what}");
            let _ = self.knocks.recv_timeout(Duration::from_millis(20));
            self.harness.step();
        }
    }

    pub fn sees(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    pub fn n_runs(&self) -> usize {
        let runs = std::fs::read_dir(self.folder.path().join("data").join("runs"));
        runs.map_or(0, Iterator::count)
    }
}
