//! The window without a display, for tests that drive it as a person does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crossbeam_channel::{Receiver, unbounded};
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::audio::Player;
use etude::model::TrainingSettings;
use etude::studio::Studio;
use etude::ui::{App, DialogKind, Preferences, Setup, State};

/// Nothing here takes longer, on a busy machine either.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How long an edit waits to be kept, in the window's seconds.
const INTERVAL: Duration = Duration::from_millis(500);

/// The window with a folder of its own, and the channel its workers knock on.
pub struct Window {
    pub harness: Harness<'static, App>,
    pub knocks: Receiver<()>,
    pub folder: tempfile::TempDir,
}

impl Window {
    pub fn open(file: Option<PathBuf>) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), file)
    }

    pub fn open_in(folder: tempfile::TempDir, file: Option<PathBuf>) -> Self {
        Self::open_with(folder, file, preferences())
    }

    pub fn open_with(
        folder: tempfile::TempDir,
        file: Option<PathBuf>,
        preferences: Preferences,
    ) -> Self {
        let (sender, knocks) = unbounded();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = sender.send(());
        });
        let harness = harness(folder.path(), file, preferences, INTERVAL, wake);
        Self { harness, knocks, folder }
    }

    /// Draws frames until it is so, as the workers knock.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&App) -> bool) {
        self.wait_at_most(PATIENCE, what, is_so);
    }

    /// The same for what is promised to come soon.
    pub fn wait_at_most(&mut self, patience: Duration, what: &str, is_so: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !is_so(self.harness.state()) {
            assert!(start.elapsed() < patience, "waited too long: {what}");
            // The silent clock knocks for nobody: look at it now and then.
            let _ = self.knocks.recv_timeout(Duration::from_millis(20));
            self.harness.step();
        }
        self.harness.run_steps(3);
    }

    /// Presses the last button of that name: the one in the panel, not the menu's title. A question
    /// may wait for what is asked of the disk first, and a button for what is read, so both are
    /// waited for.
    pub fn press(&mut self, name: &str) {
        let start = Instant::now();
        let place = |harness: &Harness<'static, App>| {
            let button = harness.query_all_by_role_and_label(Role::Button, name).last()?;
            (!button.accesskit_node().is_disabled()).then(|| button.rect())
        };
        // A press where the button was before a line came above it would press nothing, and what is
        // read and counted of the library becomes such a line.
        let is_reading = |harness: &Harness<'static, App>| {
            let State { library, starting, .. } = &harness.state().state;
            library.job.is_some() || library.counting.is_some() || starting.reading.is_some()
        };
        let mut before = None;
        while before.is_none() || place(&self.harness) != before || is_reading(&self.harness) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "waited too long: the button {name}"
            );
            before = place(&self.harness);
            let _ = self.knocks.recv_timeout(Duration::from_millis(20));
            self.harness.step();
        }
        let buttons = self.harness.get_all_by_role_and_label(Role::Button, name);
        buttons.last().unwrap().click();
        self.harness.run_steps(3);
    }

    pub fn keys(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(4);
    }

    pub fn write(&mut self, path: &Path) {
        // The dialog is drawn over everything else, and so last.
        let field = self.harness.get_all_by_role(Role::TextInput).last().unwrap();
        field.set_text_value_accesskit(&path.display().to_string());
        self.harness.run_steps(3);
    }

    pub fn drag(&mut self, from: egui::Pos2, to: egui::Pos2) {
        self.harness.hover_at(from);
        self.harness.run_steps(1);
        self.harness.drag_at(from);
        self.harness.run_steps(1);
        self.harness.hover_at(to);
        self.harness.run_steps(1);
        self.harness.drop_at(to);
        self.harness.run_steps(3);
    }

    pub fn drop_on_it(&mut self, path: &Path) {
        self.harness.input_mut().dropped_files.push(Arc::new(Dropped(path.to_owned())));
        self.harness.run_steps(3);
    }

    pub fn state(&self) -> &State {
        &self.harness.state().state
    }

    pub fn n_notes(&self) -> usize {
        self.state().document.history.score().notes().len()
    }

    pub fn sees(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }
}

/// The window on a folder, with unsaved work kept within an interval of the window's clock.
pub fn harness(
    data_dir: &Path,
    file: Option<PathBuf>,
    preferences: Preferences,
    interval: Duration,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> Harness<'static, App> {
    let data_dir = data_dir.to_owned();
    Harness::builder().with_size([1280.0, 720.0]).build_eframe(move |creation| {
        let setup = Setup {
            studio: Studio::new(Arc::clone(&wake)),
            player: Player::silent(Arc::clone(&wake)),
            wake,
            data_dir,
            clock: || UNIX_EPOCH + Duration::from_secs(1_795_363_512),
            dialogs: DialogKind::OwnPicker,
            preferences,
            recovery_after: interval,
            file,
        };
        App::new(&creation.egui_ctx, setup)
    })
}

/// What the system says was dropped.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// The smallest network that still learns: what is tested here is the window.
pub fn preferences() -> Preferences {
    let training = TrainingSettings {
        layers: 1,
        hidden: 8,
        epochs: 2,
        sequence: 32,
        max_vocabulary: Some(64),
        ..TrainingSettings::chords()
    };
    let mut preferences = Preferences { training, ..Preferences::default() };
    preferences.compose.bars = 4.0;
    // A network that has learned so little must not write rests only.
    preferences.compose.temperature = 1.2;
    preferences
}
