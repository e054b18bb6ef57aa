//! The window, driven as a person drives it: by names and keys, without a display.
#![cfg(feature = "studio")]

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
use etude::music::smf;
use etude::studio::Studio;
use etude::ui::{App, DialogKind, Preferences, Setup, Shown, State};

/// Nothing here takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(600);

/// The window with a folder of its own, and the channel its workers knock on.
struct Window {
    harness: Harness<'static, App>,
    knocks: Receiver<()>,
    folder: tempfile::TempDir,
}

impl Window {
    fn open(file: Option<PathBuf>) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), file)
    }

    fn open_in(folder: tempfile::TempDir, file: Option<PathBuf>) -> Self {
        Self::open_with(folder, file, preferences())
    }

    fn open_with(
        folder: tempfile::TempDir,
        file: Option<PathBuf>,
        preferences: Preferences,
    ) -> Self {
        let (sender, knocks) = unbounded();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = sender.send(());
        });
        let data_dir = folder.path().to_owned();
        let harness = Harness::builder().with_size([1280.0, 720.0]).build_eframe(move |creation| {
            let setup = Setup {
                studio: Studio::new(Arc::clone(&wake)),
                player: Player::silent(Arc::clone(&wake)),
                wake,
                data_dir,
                clock: || UNIX_EPOCH + Duration::from_secs(1_795_363_512),
                dialogs: DialogKind::OwnField,
                preferences,
                recovery_after: Duration::from_millis(500),
                file,
            };
            App::new(&creation.egui_ctx, setup)
        });
        Self { harness, knocks, folder }
    }

    /// Draws frames until it is so, as the workers knock.
    fn wait(&mut self, what: &str, is_so: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !is_so(self.harness.state()) {
            assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
            // The silent clock knocks for nobody: look at it now and then.
            let _ = self.knocks.recv_timeout(Duration::from_millis(20));
            self.harness.step();
        }
        self.harness.run_steps(3);
    }

    /// Presses the last button of that name: the one in the panel, not the menu's title.
    fn press(&mut self, name: &str) {
        let buttons = self.harness.get_all_by_role_and_label(Role::Button, name);
        buttons.last().unwrap().click();
        self.harness.run_steps(3);
    }

    fn keys(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(4);
    }

    fn write(&mut self, path: &Path) {
        // The dialog is drawn over everything else, and so last.
        let field = self.harness.get_all_by_role(Role::TextInput).last().unwrap();
        field.set_text_value_accesskit(&path.display().to_string());
        self.harness.run_steps(3);
    }

    fn drag(&mut self, from: egui::Pos2, to: egui::Pos2) {
        self.harness.hover_at(from);
        self.harness.run_steps(1);
        self.harness.drag_at(from);
        self.harness.run_steps(1);
        self.harness.hover_at(to);
        self.harness.run_steps(1);
        self.harness.drop_at(to);
        self.harness.run_steps(3);
    }

    fn drop_on_it(&mut self, path: &Path) {
        self.harness.input_mut().dropped_files.push(Arc::new(Dropped(path.to_owned())));
        self.harness.run_steps(3);
    }

    fn state(&self) -> &State {
        &self.harness.state().state
    }

    fn n_notes(&self) -> usize {
        self.state().document.history.score().notes().len()
    }

    fn sees(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }
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
fn preferences() -> Preferences {
    let training = TrainingSettings {
        layers: 1,
        hidden: 8,
        epochs: 2,
        sequence: 32,
        max_vocabulary: Some(64),
        ..TrainingSettings::default()
    };
    let mut preferences = Preferences { training, ..Preferences::default() };
    preferences.compose.bars = 4.0;
    // A network that has learned so little must not write rests only.
    preferences.compose.temperature = 1.2;
    preferences
}

#[test]
fn train_compose_listen_export() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.corpus.is_some());
    assert!(window.sees("pieces"));

    window.press("Train");
    // However short the training is: at least one of its steps is heard of.
    window.wait("a step is seen", |app| !app.state.training.live.is_empty());
    window.wait("two epochs are done", |app| {
        app.state.training.summary.is_some() && app.state.training.job.is_none()
    });
    let training = &window.harness.state().state.training;
    assert_eq!(training.epochs.len(), 2, "{:?}", window.harness.state().state.alert);
    assert!(training.epochs.iter().all(|point| point.valid_perplexity.is_finite()));
    assert!(training.prepared.is_some() && training.summary.is_some());
    assert!(window.sees("best at epoch"));

    // Without a starter in the binary the run just made composes.
    let choice = etude::ui::ModelChoice::InTraining;
    window.harness.state_mut().state.preferences.compose.model = choice;
    window.press("Compose");
    window.wait("a take is there", |app| !app.state.takes.list.is_empty());
    let shown = window.harness.state().state.shown;
    assert!(matches!(shown, Shown::Take(_)), "{shown:?}");
    let state = &window.harness.state().state;
    assert_eq!(state.takes.list[0].take.roll.len(), 64);
    assert_eq!(state.takes.list[0].provenance.run, state.training.run_dir);
    window.wait("the silent clock runs", |app| app.state.sound.playhead_secs > 0.1);

    let out = window.folder.path().join("take.mid");
    window.keys(Modifiers::COMMAND, Key::E);
    window.write(&out);
    window.press("Save here");
    window.wait("the file is written", |_| out.exists());
    let import = smf::read_file(&out).unwrap();
    let take = &window.harness.state().state.takes.list[0];
    assert_eq!(import.score.notes().len(), take.score.notes().len());

    // It can't be edited where it is, and says how it could be.
    window.drag(egui::pos2(700.0, 300.0), egui::pos2(760.0, 320.0));
    assert!(window.sees("This is a take. Use puts it into the score"));
    window.press("Dismiss");

    // One press puts it into the score, one key takes it out again.
    let before = window.harness.state().state.document.history.score().notes().len();
    window.press("Use ⏷");
    window.press("In place of everything");
    let state = &window.harness.state().state;
    assert_eq!(state.shown, Shown::Score);
    assert_eq!(state.document.history.score().notes().len(), import.score.notes().len());
    assert!(state.document.is_unsaved());
    window.keys(Modifiers::COMMAND, Key::Z);
    let state = &window.harness.state().state;
    assert_eq!(state.document.history.score().notes().len(), before);
    assert!(!state.document.is_unsaved());
    assert!(state.document.selection.is_empty(), "nobody chose the whole piece");

    // The run goes on with its own music, whatever the library holds by then.
    let other = window.folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(&out, other.join("take.mid")).unwrap();
    window.drop_on_it(&other);
    let n_pieces = |app: &App| app.state.library.corpus.as_ref().map(|it| it.pieces.len());
    window.wait("the other library is read", |app| {
        app.state.library.job.is_none() && n_pieces(app) == Some(1)
    });
    window.harness.state_mut().state.preferences.training.epochs = 3;
    window.press("Resume");
    window.wait("the third epoch is done", |app| {
        app.state.alert.is_some()
            || app.state.training.job.is_none() && app.state.training.epochs.len() == 3
    });
    let state = &window.harness.state().state;
    assert_eq!(state.alert, None);
    assert!(state.library.paths.is_empty() && n_pieces(window.harness.state()) > Some(1));
    starts_again_where_it_ended(window);
}

/// What eframe keeps between starts.
#[derive(Default)]
struct Kept(std::collections::HashMap<String, String>);

impl eframe::Storage for Kept {
    fn get_string(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn set_string(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }

    fn remove_string(&mut self, key: &str) {
        self.0.remove(key);
    }

    fn flush(&mut self) {}
}

/// The run that was in training is chosen and shown, and what was dropped stays away.
fn starts_again_where_it_ended(mut window: Window) {
    let mut kept = Kept::default();
    eframe::App::save(window.harness.state_mut(), &mut kept);
    let run_dir = window.state().training.run_dir.clone().unwrap();
    let choice = etude::ui::ModelChoice::Run(run_dir.clone());
    let Window { harness, folder, .. } = window;
    drop(harness);

    let preferences = Preferences::load(Some(&kept));
    assert_eq!(preferences.compose.model, choice);
    let mut window = Window::open_with(folder, None, preferences);
    window.wait("the runs are listed", |app| !app.state.runs.is_empty());
    window.wait("the takes are read", |app| app.state.takes.is_read);
    assert_eq!(window.state().preferences.compose.model, choice);
    assert_eq!(window.state().training.run_dir, Some(run_dir));
    assert_eq!(window.state().training.epochs.len(), 3);
    assert!(window.sees("best: epoch"), "its curves are drawn");

    let project = window.folder.path().join("piece.etude");
    for n_takes in [1, 0] {
        window.keys(Modifiers::COMMAND, Key::S);
        if n_takes == 1 {
            window.write(&project);
            window.press("Save here");
        }
        let saved = project.clone();
        window.wait("the project is saved", move |_| {
            etude::editor::Project::read(&saved).is_ok_and(|read| read.takes.len() == n_takes)
        });
        if n_takes == 1 {
            window.press("More for Take 1");
            window.press("Drop");
            assert!(window.state().takes.list.is_empty());
        }
    }
}

#[test]
fn every_control_has_a_name_at_the_first_start() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.corpus.is_some());
    window.harness.check_accessibility();
    assert!(window.sees("Press Compose at the right"));
    for name in ["Train", "Compose", "Play"] {
        let found = window.harness.query_all_by_role_and_label(Role::Button, name).next();
        assert!(found.is_some(), "{name}");
    }
    window.press("File");
    assert!(window.sees("Open…") && window.sees("Export WAV…"));
    window.harness.check_accessibility();
}

#[test]
fn commands_answer_to_their_keys() {
    let mut window = Window::open(None);
    window.wait("a piece is in the roll", |app| app.state.library.corpus.is_some());
    window.keys(Modifiers::NONE, Key::Space);
    assert!(window.harness.state().state.sound.is_playing);
    window.keys(Modifiers::NONE, Key::Space);
    assert!(!window.harness.state().state.sound.is_playing);

    window.keys(Modifiers::COMMAND, Key::Num1);
    assert!(!window.harness.state().state.preferences.shows_library);

    // Everything chosen and deleted is one step, and undo brings it back.
    let n_notes = window.harness.state().state.document.history.score().notes().len();
    assert!(n_notes > 0);
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    assert!(window.harness.state().state.document.history.score().notes().is_empty());
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.harness.state().state.document.history.score().notes().len(), n_notes);

    // The palette finds a command by a part of its name.
    window.keys(Modifiers::COMMAND, Key::P);
    window.harness.get_by_role(Role::TextInput).type_text("next theme");
    window.harness.run_steps(3);
    window.keys(Modifiers::NONE, Key::Enter);
    assert_ne!(window.harness.state().state.preferences.theme, Preferences::default().theme);
}

#[test]
fn a_bad_file_is_named_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.mid");
    std::fs::write(&path, "Dear Clara").unwrap();
    let mut window = Window::open(Some(path));
    window.wait("the error is shown", |app| app.state.alert.is_some());
    assert!(window.sees("letter.mid"));
    let alert = window.harness.state().state.alert.clone().unwrap();
    assert!(alert.contains('—'), "{alert}");
    // What failed, why and what to do stand in lines of their own.
    assert!(window.sees("Choose a .mid file"));
    window.press("OK");
    assert_eq!(window.harness.state().state.alert, None);
    // The piece that was there is still there.
    assert!(!window.harness.state().state.document.history.score().notes().is_empty());
}

#[test]
fn a_damaged_file_that_is_dropped_is_named_with_its_reason() {
    let mut window = Window::open(None);
    let path = window.folder.path().join("torn.mid");
    std::fs::write(&path, b"MThd\0\0\0\x06\0\x01").unwrap();
    window.drop_on_it(&path);
    window.wait("the error is shown", |app| app.state.alert.is_some());
    assert!(window.sees("torn.mid"));
    let alert = window.harness.state().state.alert.clone().unwrap();
    assert!(alert.contains('—'), "{alert}");
}

#[test]
fn what_follows_saving_is_done_once_it_is_saved_and_not_after_a_cancel() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.corpus.is_some());
    let one = window.folder.path().join("one note.mid");
    let piece = window.harness.state().state.document.history.score();
    let mut score = etude::music::Score::clone(piece);
    score.set_notes(piece.notes()[..1].to_vec());
    score.set_drums(Vec::new());
    std::fs::write(&one, smf::write(&score)).unwrap();
    let n_notes = |app: &App| app.state.document.history.score().notes().len();

    // Nothing is left of the piece, and that is in no file.
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    window.drop_on_it(&one);
    window.press("Save");
    window.press("Cancel");
    // Saving later is no answer to the question of before.
    let kept = window.folder.path().join("kept.etude");
    window.keys(Modifiers::COMMAND, Key::S);
    window.write(&kept);
    window.press("Save here");
    window.wait("it is saved", |app| !app.state.document.is_unsaved());
    assert_eq!(n_notes(window.harness.state()), 0);
    assert_eq!(window.harness.state().state.document.path.as_ref(), Some(&kept));

    // Answered to the end, the piece that was dropped is opened.
    window.keys(Modifiers::COMMAND, Key::Z);
    window.drop_on_it(&one);
    window.press("Save");
    window.wait("the piece is opened", |app| n_notes(app) == 1);
    assert!(!window.harness.state().state.document.is_unsaved());
}

#[test]
fn settings_stay_inside_their_limits() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.corpus.is_some());
    for (name, wanted) in [("Epochs", 0.0), ("Size", -5.0), ("Frames a second", 1e9)] {
        let node = window.harness.get_by_role_and_label(Role::SpinButton, name);
        assert!(node.accesskit_node().numeric_value().is_some(), "{name}");
        node.set_value_accesskit(wanted);
        window.harness.run_steps(3);
    }
    let training = &window.harness.state().state.preferences.training;
    assert_eq!((training.epochs, training.hidden), (1, 1));
    assert_eq!(training.fps.per_second(), 32.0);
    assert!(training.validate().is_ok());
}

#[test]
fn the_first_start_shows_a_piece_from_its_start_with_its_key() {
    let mut window = Window::open(None);
    window.wait("the key is known", |app| app.state.key.is_some());
    assert_eq!(**window.state().document.history.score(), etude::assets::first_score());
    assert_eq!(window.state().sound.playhead_secs, 0.0);
    // Schumann wrote it in G major.
    assert!(window.sees("G major"));
}

#[test]
fn undo_selects_what_it_brought_back_and_the_roll_tells_what_it_sees() {
    let mut window = Window::open(None);
    window.wait("the takes are read", |app| app.state.takes.is_read);
    let n_notes = window.n_notes();
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    assert_eq!(window.n_notes(), 0);
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.n_notes(), n_notes);
    assert_eq!(window.state().document.selection.len(), n_notes);

    // Somewhere over the ruler a place in the piece is told.
    let roll = (100..720).step_by(8).any(|y| {
        window.harness.hover_at(egui::pos2(700.0, y as f32));
        window.harness.run_steps(2);
        window.state().roll_status.is_some()
    });
    assert!(roll, "nothing is told anywhere over the roll");
    let words = window.state().roll_status.clone().unwrap();
    window.harness.run_steps(2);
    assert!(window.sees(&words), "{words}");
}

#[test]
fn a_dropped_file_is_opened_and_a_bad_one_is_named() {
    let mut window = Window::open(None);
    window.wait("the takes are read", |app| app.state.takes.is_read);
    let score = etude::assets::pieces()[3].1.clone();
    let path = window.folder.path().join("dropped.mid");
    std::fs::write(&path, smf::write(&score)).unwrap();
    window.drop_on_it(&path);
    let n_notes = score.notes().len();
    window.wait("the piece is in the roll", move |app| {
        app.state.document.history.score().notes().len() == n_notes
    });

    let bad = window.folder.path().join("noise.mid");
    std::fs::write(&bad, b"MThd and nothing more").unwrap();
    window.drop_on_it(&bad);
    window.wait("the error is shown", |app| app.state.alert.is_some());
    let alert = window.state().alert.clone().unwrap();
    assert!(alert.contains("noise.mid") && alert.contains('—'), "{alert}");
    assert!(window.sees("noise.mid"));
    assert_eq!(window.n_notes(), n_notes);
}

#[test]
fn unsaved_work_is_offered_after_a_crash_and_gone_once_saved() {
    let mut window = Window::open(None);
    window.wait("the takes are read", |app| app.state.takes.is_read);
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    let kept = window.folder.path().join("recovery.etude");
    let path = kept.clone();
    window.wait("unsaved work is kept", move |_| path.exists());
    // The program ends without a word; the folder stays.
    let Window { harness, folder, .. } = window;
    drop(harness);

    let mut window = Window::open_in(folder, None);
    assert!(window.n_notes() > 0);
    window.harness.run_steps(3);
    window.press("Recover");
    window.wait("the work is back", |app| app.state.document.is_unsaved());
    assert_eq!(window.n_notes(), 0);

    let out = window.folder.path().join("saved.etude");
    window.keys(Modifiers::COMMAND, Key::S);
    window.write(&out);
    window.press("Save here");
    window.wait("the work is saved", |app| !app.state.document.is_unsaved());
    window.wait("what was kept is gone", move |_| !kept.exists());
    assert!(out.exists());
}
