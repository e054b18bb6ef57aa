//! The window, driven as a person drives it: by names and keys, without a display.
#![cfg(feature = "studio")]

mod common;

use common::window::Window;
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::music::smf;
use etude::tokens::Music;
use etude::ui::{App, Preferences, Shown};

#[test]
fn train_compose_listen_export() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
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

    // The run just made composes.
    let choice = etude::ui::ModelChoice::InTraining;
    window.harness.state_mut().state.preferences.compose.model = choice;
    // Another model may lay the panel out anew.
    window.harness.run_steps(3);
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
    // Left of the messages, which lie over the notes.
    window.drag(egui::pos2(450.0, 300.0), egui::pos2(510.0, 320.0));
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
    let n_pieces = |app: &App| app.state.library.music.as_ref().map(Music::n_pieces);
    window.wait("the other library is read", |app| {
        app.state.library.job.is_none() && n_pieces(app) == Some(1)
    });
    assert!(window.sees("which learned from other music"));
    window.harness.state_mut().state.preferences.training.epochs = 3;
    window.press("Resume");
    window.wait("the third epoch is done", |app| {
        app.state.alert.is_some()
            || app.state.training.job.is_none() && app.state.training.epochs.len() == 3
    });
    let state = &window.harness.state().state;
    assert_eq!(state.alert, None);
    let live = &state.training.live;
    assert!(live[0][0] < 1.0, "the steps before the stop stay: {:?}", live[0]);
    assert!(live.is_sorted_by(|one, other| one[0] < other[0]));
    assert!(state.library.paths.is_empty() && n_pieces(window.harness.state()) > Some(1));
    assert!(!window.sees("which learned from other music"));
    // As a run says that came to a bad end.
    let training = &mut window.harness.state_mut().state.training;
    training.summary.as_mut().unwrap().ran_away = true;
    window.harness.run_steps(2);
    assert!(window.sees("It lost its way"));
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
    window.wait("its steps are read", |app| !app.state.training.live.is_empty());
    assert!(window.state().training.live[0][0] < 1.0 && window.sees("while learning"));

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
            window.press("Bring it back");
            assert_eq!(window.state().takes.list[0].name, "Take 1");
            assert!(!window.sees("Bring it back") && !window.sees("Dropped Take 1"));
            window.press("More for Take 1");
            window.press("Drop");
            assert!(window.state().takes.list.is_empty());
        }
    }
    the_newest_run_is_shown(window);
}

/// Also one that was stopped within its first epoch, but none that has learned nothing.
fn the_newest_run_is_shown(window: Window) {
    let run_dir = window.state().training.run_dir.clone().unwrap();
    let Window { harness, folder, .. } = window;
    drop(harness);
    let copy = |name: &str| {
        let copy = folder.path().join("runs").join(name);
        std::fs::create_dir_all(copy.join("checkpoints")).unwrap();
        std::fs::copy(run_dir.join("run.json"), copy.join("run.json")).unwrap();
        copy
    };
    let stopped = copy("stopped");
    let best = run_dir.join("checkpoints/best.safetensors");
    std::fs::copy(best, stopped.join("checkpoints/partial.safetensors")).unwrap();
    copy("unlearned");

    let mut window = Window::open_in(folder, None);
    window.wait("the runs are listed", |app| app.state.runs.len() == 3);
    assert_eq!(window.state().training.run_dir, Some(stopped));
    assert!(window.sees("stopped before its first epoch was done"));
    assert!(!window.sees("while learning"), "nothing of it was kept");

    // A damaged checkpoint gives way to another of the run, and that is said.
    std::fs::write(run_dir.join("checkpoints/best.safetensors"), "damaged").unwrap();
    let choice = etude::ui::ModelChoice::Run(run_dir);
    window.harness.state_mut().state.preferences.compose.model = etude::ui::ModelChoice::Starter;
    window.harness.run_steps(2);
    window.harness.get_by_role_and_label(Role::ComboBox, "Model").click();
    window.harness.run_steps(3);
    let name = choice_name(&choice);
    window.harness.query_all_by_label(&name).last().unwrap().click();
    window.harness.run_steps(3);
    window.wait("it is loaded", |app| app.state.composing.loaded(&choice).is_some());
    assert!(window.sees("is used instead"));
}

fn choice_name(choice: &etude::ui::ModelChoice) -> String {
    let etude::ui::ModelChoice::Run(path) = choice else { panic!("not a run: {choice:?}") };
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn every_control_has_a_name_at_the_first_start() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    window.harness.check_accessibility();
    assert!(window.sees("Press Compose at the right"));
    window.keys(Modifiers::COMMAND, Key::Num2);
    assert!(!window.sees("at the right"), "the panel is hidden");
    assert!(window.sees("new music is written while you listen"));
    window.keys(Modifiers::COMMAND, Key::Num2);
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
    window.wait("a piece is in the roll", |app| app.state.library.music.is_some());
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
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
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
    window.wait("it is asked about", |app| app.state.question.is_some());
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
    window.wait("it is asked about", |app| app.state.question.is_some());
    window.press("Save");
    window.wait("the piece is opened", |app| n_notes(app) == 1);
    assert!(!window.harness.state().state.document.is_unsaved());
}

#[test]
fn settings_stay_inside_their_limits() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
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
fn what_cant_be_trained_is_told_until_there_is_music_again() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    let is_disabled = |window: &Window| {
        // The first of that name is the menu.
        let trains = window.harness.get_all_by_role_and_label(Role::Button, "Train");
        trains.last().unwrap().accesskit_node().is_disabled()
    };
    assert!(!is_disabled(&window));
    let empty = window.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    window.drop_on_it(&empty);
    window.wait("the error is shown", |app| app.state.library.error.is_some());
    assert!(is_disabled(&window));
    let error = window.state().library.error.clone().unwrap();
    assert_eq!(window.state().notices.last.as_ref().unwrap().text, error);

    window.press("Built-in");
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    assert!(!is_disabled(&window));
    // What failed is over: the line at the bottom tells what was read instead.
    assert!(window.sees("Read ") && !window.sees(&error));
}

#[test]
fn training_is_in_reach_however_many_settings_are_shown() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    window.harness.get_by_label("All settings").click();
    window.harness.run_steps(9);
    assert!(window.sees("Averaging"));
    for name in ["Train", "Resume"] {
        let buttons = window.harness.get_all_by_role_and_label(Role::Button, name);
        let rect = buttons.last().unwrap().rect();
        assert!(rect.bottom() < 720.0 && rect.top() > 0.0, "{name}: {rect:?}");
    }
}

#[test]
fn why_nothing_was_composed_goes_when_something_else_is_asked_for() {
    let mut window = Window::open(None);
    window.wait("the takes are read", |app| app.state.takes.is_read);
    let error = "There is nothing to continue";
    window.harness.state_mut().state.composing.error = Some(error.to_owned());
    window.harness.run_steps(2);
    assert!(window.sees(error));
    window.press("bars");
    assert!(!window.sees(error));
}

#[test]
fn controls_lie_beside_one_another_in_a_narrow_window_and_train_near_its_settings() {
    let mut window = Window::open(None);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    // As if there were curves.
    window.harness.state_mut().state.training.run_dir = Some("a run".into());
    let always = [
        (Role::Button, "Play"),
        (Role::Button, "Loop"),
        (Role::Button, "Count-in"),
        (Role::Button, "How the roll is shown"),
        (Role::Slider, "Speed"),
        (Role::Slider, "Volume"),
        (Role::Button, "Export ⏷"),
        (Role::Button, "Train"),
    ];
    let switches = [
        (Role::Slider, "Smoothing"),
        (Role::CheckBox, "Log"),
        (Role::CheckBox, "Baselines"),
        (Role::Button, "Runs ⏷"),
    ];
    for size in [[800.0, 600.0], [1280.0, 720.0], [2560.0, 1440.0]] {
        window.harness.set_size(size.into());
        window.harness.run_steps(6);
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, size.into());
        // Where there is little room the switches of the curves are in a menu.
        let in_menu = [(Role::Button, "View ⏷")];
        let of_curves = if size[0] > 2000.0 { switches.as_slice() } else { &in_menu };
        let found = always.iter().chain(of_curves).map(|&(role, name)| {
            // The last one is in a panel, not the menu's title.
            let last = window.harness.query_all_by_role_and_label(role, name).last();
            (name, last.unwrap_or_else(|| panic!("{name} at {size:?}")).rect())
        });
        let found: Vec<_> = found.collect();
        for (idx, (name, rect)) in found.iter().enumerate() {
            assert!(screen.contains_rect(*rect), "{name} at {size:?}: {rect:?}");
            for (other, beside) in &found[..idx] {
                let is_apart = !rect.shrink(1.0).intersects(beside.shrink(1.0));
                assert!(is_apart, "{name} and {other} at {size:?}: {rect:?}, {beside:?}");
            }
        }
    }
    window.harness.set_size([1280.0, 720.0].into());
    window.harness.run_steps(6);
    window.press("View ⏷");
    for (role, name) in &switches[..3] {
        assert!(window.harness.query_by_role_and_label(*role, name).is_some(), "{name}");
    }
    // It stays while switches are set.
    let was = window.state().preferences.curves.is_log;
    window.harness.get_by_role_and_label(Role::CheckBox, "Log").click();
    window.harness.run_steps(4);
    assert_ne!(window.state().preferences.curves.is_log, was);
    assert!(window.harness.query_by_role_and_label(Role::CheckBox, "Log").is_some());
    window.keys(Modifiers::NONE, Key::Escape);
    let below = |window: &Window, name: &str, role| {
        window.harness.query_all_by_role_and_label(role, name).last().unwrap().rect().top()
    };
    let device = below(&window, "Compute on", Role::ComboBox);
    assert!(below(&window, "Train", Role::Button) - device < 150.0);
}
