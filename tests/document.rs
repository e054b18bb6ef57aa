//! The document: files in and out of the window, unsaved work, and what bad input gets.
#![cfg(feature = "studio")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::window::Window;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::editor::{Grid, GridStep, NoteValue, Project, backup_path};
use etude::music::{KeyScale, Note, Pitch, Scale, Score, TempoMap, Tick, Velocity, smf};
use etude::ui::App;

/// Nothing here takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

/// "Within seconds", without optimization and beside other tests.
const SECONDS: Duration = Duration::from_secs(20);

const ESCAPE: Key = Key::Escape;

fn note(start: u32, length: u32, pitch: u8) -> Note {
    let (pitch, velocity) = (Pitch::new(pitch).unwrap(), Velocity::new(80).unwrap());
    Note { start: Tick(start), length: Tick(length), pitch, velocity, part: 0 }
}

/// A piece of so many notes, one after the other.
fn piece(n_notes: u32) -> Score {
    let notes = (0..n_notes).map(|idx| note(idx * 480, 480, 60 + (idx % 12) as u8)).collect();
    Score::piano(TempoMap::default(), notes)
}

fn file(folder: &Path, name: &str, n_notes: u32) -> PathBuf {
    let path = folder.join(name);
    match name.ends_with(".etude") {
        true => Project::new(piece(n_notes)).write(&path).unwrap(),
        false => std::fs::write(&path, smf::write(&piece(n_notes))).unwrap(),
    }
    path
}

fn n_notes(app: &App) -> usize {
    app.state.document.history.score().notes().len()
}

/// Opens a file and waits for its notes.
fn open(window: &mut Window, path: &Path, count: usize) {
    window.drop_on_it(path);
    window.wait("the piece is in the roll", |app| n_notes(app) == count);
}

/// Deletes everything: work that is in no file.
fn clear(window: &mut Window) {
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    assert_eq!(window.n_notes(), 0);
    assert!(window.state().document.is_unsaved());
}

/// The title that the window asked for last.
fn title(window: &Window) -> String {
    let id = egui::Id::unique("window title");
    window.harness.ctx.data(|data| data.get_temp(id)).unwrap_or_default()
}

/// Sessions with work in them.
fn kept(window: &Window) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(window.folder.path().join("sessions"));
    let folders = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    folders.filter(|folder| folder.join("about.json").exists()).collect()
}

/// The program ends without a word, and is started again on the same folder.
fn crash(window: Window) -> Window {
    let Window { harness, folder, .. } = window;
    drop(harness);
    Window::open_in(folder, None)
}

/// Draws frames until it is so.
fn until(window: &mut Window, what: &str, is_so: impl Fn(&Window) -> bool) {
    let start = std::time::Instant::now();
    while !is_so(window) {
        assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
        window.wait("a frame", |_| true);
    }
}

fn press_starting_with(window: &mut Window, words: &str) {
    let named: Vec<_> = window.harness.query_all_by_label_contains(words).collect();
    assert!(!named.is_empty(), "there is no {words}");
    named[0].click();
    window.harness.run_steps(3);
}

#[test]
fn new_open_save_and_revert_ask_before_work_is_lost() {
    let mut window = Window::open(None);
    let project = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &project, 5);
    clear(&mut window);

    // Escape is Cancel: nothing happens.
    window.keys(Modifiers::COMMAND, Key::N);
    assert!(window.sees("Save “waltz.etude” before beginning a new one?"));
    window.keys(Modifiers::NONE, ESCAPE);
    assert!(window.state().question.is_none() && window.state().document.is_unsaved());

    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::R);
    assert!(window.sees("Go back to waltz.etude?"));
    window.press("Revert");
    window.wait("the file is read again", |app| n_notes(app) == 5);
    assert!(!window.state().document.is_unsaved());

    // Enter is Save: the file has what was done, and the new score comes after it.
    clear(&mut window);
    window.keys(Modifiers::COMMAND, Key::N);
    window.keys(Modifiers::NONE, Key::Enter);
    window.wait("a new score is there", |app| app.state.document.path.is_none());
    assert_eq!(window.n_notes(), 0);
    assert_eq!(window.state().document.name(), "Untitled");
    assert!(Project::read(&project).unwrap().score.notes().is_empty());
    assert_eq!(Project::read(&backup_path(&project)).unwrap().score.notes().len(), 5);

    // A new score is written on at once.
    window.keys(Modifiers::COMMAND, Key::Z);
    assert!(!window.state().document.is_unsaved());
    let other = file(window.folder.path(), "other.mid", 7);
    open(&mut window, &other, 7);
    clear(&mut window);
    window.drop_on_it(&project);
    window.wait("it is asked about", |app| app.state.question.is_some());
    window.press("Don't save");
    window.wait("the project is opened", |app| app.state.document.path.is_some());
    assert_eq!(smf::read_file(&other).unwrap().score.notes().len(), 7);
}

#[test]
fn edits_made_while_another_piece_is_read_are_asked_about() {
    let mut window = Window::open(None);
    let first = file(window.folder.path(), "first.mid", 3);
    // Long enough that reading takes longer than the frame in which the key is pressed.
    let second = file(window.folder.path(), "second.etude", 30_000);
    open(&mut window, &first, 3);
    window.keys(Modifiers::COMMAND, Key::A);
    window.drop_on_it(&second);
    window.keys(Modifiers::NONE, Key::Delete);
    assert_eq!(window.n_notes(), 0);
    window.wait("it is asked about", |app| app.state.question.is_some());
    window.press("Don't save");
    window.wait("the other is opened", |app| n_notes(app) == 30_000);
}

/// A project that can only be read once [`Self::let_go`] is called: a named pipe.
#[cfg(unix)]
struct SlowFile {
    path: PathBuf,
    content: Vec<u8>,
}

#[cfg(unix)]
impl SlowFile {
    fn new(folder: &Path, name: &str, n_notes: u32) -> Self {
        let content = std::fs::read(file(folder, "content.etude", n_notes)).unwrap();
        let path = folder.join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self { path, content }
    }

    /// Whoever reads it reads on; it may be that it isn't being read yet.
    fn let_go(self) {
        std::thread::spawn(move || std::fs::write(self.path, self.content).unwrap());
    }
}

#[cfg(unix)]
#[test]
fn edits_made_before_the_file_of_the_start_is_read_are_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let slow = SlowFile::new(folder.path(), "slow.etude", 3);
    let mut window = Window::open_in(folder, Some(slow.path.clone()));
    clear(&mut window);
    slow.let_go();
    window.wait("it is asked about", |app| app.state.question.is_some());
    assert!(window.state().document.is_unsaved());
    window.keys(Modifiers::NONE, ESCAPE);
    assert_eq!((window.n_notes(), window.state().document.source.as_ref()), (0, None));
}

#[cfg(unix)]
#[test]
fn of_two_files_being_read_the_one_asked_for_last_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let slow = SlowFile::new(folder.path(), "slow.etude", 3);
    let mut window = Window::open_in(folder, Some(slow.path.clone()));
    let quick = file(window.folder.path(), "quick.mid", 5);
    open(&mut window, &quick, 5);
    let late = SlowFile::new(window.folder.path(), "late.etude", 7);
    window.drop_on_it(&late.path);
    slow.let_go();
    late.let_go();
    window.wait("the last is in the roll", |app| n_notes(app) == 7);
    assert_eq!(window.state().preferences.recent.len(), 2, "the first was not wanted any more");
}

#[test]
fn closing_asks_and_the_title_tells_what_is_unsaved() {
    let mut window = Window::open(None);
    let project = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &project, 5);
    assert_eq!(title(&window), "waltz.etude – Etude");
    clear(&mut window);
    assert_eq!(title(&window), "• waltz.etude – Etude");

    let close = |window: &mut Window| {
        let info = window.harness.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default();
        info.events.push(egui::ViewportEvent::Close);
        window.harness.step();
        let info = window.harness.input_mut().viewports.entry(egui::ViewportId::ROOT).or_default();
        info.events.clear();
        window.harness.run_steps(3);
    };
    close(&mut window);
    assert!(window.sees("Save “waltz.etude” before closing?"));
    window.press("Cancel");
    assert!(window.state().document.is_unsaved());
    close(&mut window);
    window.keys(Modifiers::NONE, Key::Enter);
    window.wait("it is saved", |app| !app.state.document.is_unsaved());
    assert!(Project::read(&project).unwrap().score.notes().is_empty());
    window.harness.run_steps(2);
    assert_eq!(title(&window), "waltz.etude – Etude");
}

#[test]
fn recent_files_are_opened_from_the_menu_and_missing_ones_leave_it() {
    let mut window = Window::open(None);
    let (first, second) =
        (file(window.folder.path(), "first.mid", 3), file(window.folder.path(), "second.etude", 4));
    open(&mut window, &first, 3);
    open(&mut window, &second, 4);
    assert_eq!(window.state().preferences.recent, [second.clone(), first.clone()]);
    window.press("File");
    press_starting_with(&mut window, "Open recent");
    window.press("first.mid");
    window.wait("the first is opened again", |app| n_notes(app) == 3);

    std::fs::remove_file(&second).unwrap();
    window.press("File");
    press_starting_with(&mut window, "Open recent");
    window.press("second.etude");
    window.wait("the error is shown", |app| app.state.alert.is_some());
    assert_eq!(window.state().preferences.recent, [first]);
    assert_eq!(window.n_notes(), 3);
}

#[test]
fn a_file_that_is_given_by_a_relative_path_is_remembered_by_its_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "near.etude", 3);
    // From where the test runs up to the root, and down again.
    let up = std::env::current_dir().unwrap().components().count() - 1;
    let mut relative: PathBuf = std::iter::repeat_n("..", up).collect();
    relative.push(path.strip_prefix("/").unwrap());
    let mut window = Window::open_in(folder, Some(relative.clone()));
    window.wait("the piece is in the roll", |app| n_notes(app) == 3);
    let state = window.state();
    let opened = state.document.path.clone().unwrap();
    assert!(opened.is_absolute(), "{}", opened.display());
    assert_eq!(state.preferences.recent, std::slice::from_ref(&opened));
    assert_eq!(std::fs::canonicalize(opened).unwrap(), std::fs::canonicalize(path).unwrap());
}

#[test]
fn a_written_name_takes_the_place_of_the_proposed_one_and_keeps_the_ending() {
    let mut window = Window::open(None);
    clear(&mut window);
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::S);
    window.harness.event(egui::Event::Text("waltz".to_owned()));
    window.harness.run_steps(2);
    let names: Vec<_> = window
        .harness
        .get_all_by_role(egui::accesskit::Role::TextInput)
        .filter_map(|it| it.accesskit_node().value())
        .collect();
    assert_eq!(names.last().map(String::as_str), Some("waltz.etude"), "{names:?}");
}

#[test]
fn a_project_keeps_how_it_was_looked_at() {
    let mut window = Window::open(None);
    let path = file(window.folder.path(), "long.etude", 2_000);
    let grid = serde_json::to_value(Grid::Fixed(GridStep::straight(NoteValue::Eighth))).unwrap();
    let key = serde_json::json!({ "tonic": 2, "scale": "dorian" });
    let view = serde_json::json!({
        "key": key,
        // What isn't understood must not take the rest with it.
        "composed_rate": "as fast as possible",
        "loop_range": [960, 1920],
        "look": {
            "left": 4800.0, "ticks_per_point": 3.0, "middle_pitch": 66.0, "row_height": 11.0,
            "grid": grid, "follows": false,
        },
    });
    let mut project = Project::new(piece(2_000));
    project.view = Some(view);
    project.write(&path).unwrap();
    open(&mut window, &path, 2_000);
    let again = window.folder.path().join("again.etude");
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::S);
    window.write(&again);
    window.press("Save here");
    window.wait("it is saved", |_| again.exists());
    let view = Project::read(&again).unwrap().view.unwrap();
    let number = |name: &str| view["look"][name].as_f64().unwrap();
    assert!((number("left") - 4800.0).abs() < 1.0, "{view}");
    assert!((number("ticks_per_point") - 3.0).abs() < 1e-6, "{view}");
    assert!((number("middle_pitch") - 66.0).abs() < 0.1, "{view}");
    assert_eq!(view["look"]["grid"], grid);
    // An older Etude kept here whether the view follows; that is the user's, for every piece.
    assert_eq!(window.state().preferences.roll, etude::ui::piano_roll::RollOptions::default());
    assert_eq!(view["loop_range"], serde_json::json!([960, 1920]));
    assert_eq!(view["key"], key);
    assert_eq!(window.state().document.key(), Some(KeyScale::new(2, Scale::Dorian)));
}

#[test]
fn a_key_that_is_set_is_saved_and_asked_about() {
    let mut window = Window::open(None);
    let path = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &path, 5);
    press_starting_with(&mut window, "Key and scale: ");
    window.harness.get_by_label("F#").click();
    window.harness.run_steps(3);
    let key = window.state().document.key();
    assert!(key.is_some_and(|key| key.tonic() == 6), "{key:?}");
    window.keys(Modifiers::NONE, ESCAPE);
    assert_eq!(title(&window), "• waltz.etude – Etude");
    until(&mut window, "it is kept", |window| !kept(window).is_empty());

    let mut window = crash(window);
    window.wait("it is offered", |app| !app.state.unfinished.is_empty());
    window.press("Restore waltz.etude");
    window.wait("the work is back", |app| app.state.document.is_unsaved());
    assert_eq!(window.state().document.key(), key);
    window.keys(Modifiers::COMMAND, Key::N);
    assert!(window.sees("Save “waltz.etude” before beginning a new one?"));
    window.keys(Modifiers::NONE, Key::Enter);
    window.wait("a new score is there", |app| app.state.document.path.is_none());
    assert_eq!(window.state().document.key(), None);
    open(&mut window, &path, 5);
    assert_eq!(window.state().document.key(), key);
    assert_eq!(title(&window), "waltz.etude – Etude");
}

#[test]
fn unsaved_work_is_offered_after_a_crash_and_gone_once_saved() {
    let mut window = Window::open(None);
    let project = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &project, 5);
    clear(&mut window);
    until(&mut window, "a frame", |window| !kept(window).is_empty());

    let mut window = crash(window);
    window.wait("it is offered", |app| !app.state.unfinished.is_empty());
    assert!(window.sees("waltz.etude") && window.sees("Kept moments ago, saved before as"));
    window.press("Restore waltz.etude");
    window.wait("the work is back", |app| app.state.document.is_unsaved());
    assert_eq!(window.n_notes(), 0);
    assert_eq!(window.state().document.path.as_ref(), Some(&project));

    // A second crash while it is worked on.
    let mut window = crash(window);
    window.wait("it is offered again", |app| !app.state.unfinished.is_empty());
    window.press("Restore waltz.etude");
    window.wait("the work is back", |app| app.state.document.is_unsaved());
    assert_eq!(kept(&window).len(), 1);
    window.keys(Modifiers::COMMAND, Key::S);
    window.wait("the work is saved", |app| !app.state.document.is_unsaved());
    until(&mut window, "what was kept is gone", |window| kept(window).is_empty());
    assert!(Project::read(&project).unwrap().score.notes().is_empty());
}

#[test]
fn what_was_restored_before_a_mistake_and_another_crash_can_be_gone_back_to() {
    let mut window = Window::open(None);
    let project = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &project, 5);
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::COMMAND, Key::D);
    assert_eq!(window.n_notes(), 10);
    until(&mut window, "it is kept", |window| !kept(window).is_empty());

    let mut window = crash(window);
    window.wait("it is offered", |app| !app.state.unfinished.is_empty());
    window.press("Restore waltz.etude");
    window.wait("the work is back", |app| n_notes(app) == 10);
    clear(&mut window);
    until(&mut window, "the mistake is kept", |window| {
        Project::read(&kept(window)[0].join("project.etude")).unwrap().score.notes().is_empty()
    });

    let mut window = crash(window);
    window.wait("it is offered again", |app| !app.state.unfinished.is_empty());
    press_starting_with(&mut window, "Restore waltz.etude as kept");
    window.wait("the work before the mistake is back", |app| n_notes(app) == 10);
    assert_eq!(window.state().document.path.as_ref(), Some(&project));
    // What the mistake left stays as well, until this is saved.
    until(&mut window, "it is the newest now", |window| {
        Project::read(&kept(window)[0].join("project.etude")).unwrap().score.notes().len() == 10
    });
    let mut window = crash(window);
    window.wait("all are offered", |app| !app.state.unfinished.is_empty());
    assert_eq!(window.state().unfinished[0].earlier.len(), 2);
    window.press("Restore waltz.etude");
    window.wait("the work is back", |app| n_notes(app) == 10);
    window.keys(Modifiers::COMMAND, Key::S);
    until(&mut window, "what was kept is gone", |window| kept(window).is_empty());
}

#[test]
fn several_pieces_are_offered_one_by_one_and_stay_until_answered() {
    let mut window = Window::open(None);
    for (name, count) in [("one.mid", 3), ("two.mid", 4)] {
        let path = file(window.folder.path(), name, count);
        let window = &mut window;
        open(window, &path, count as usize);
        clear(window);
        until(window, "unsaved work is kept", |window| !kept(window).is_empty());
        // As if another window had left it.
        let from = kept(window).remove(0);
        let to = window.folder.path().join(format!("{name} aside"));
        std::fs::rename(from, to).unwrap();
        window.keys(Modifiers::COMMAND, Key::Z);
    }
    let Window { harness, folder, .. } = window;
    drop(harness);
    for name in ["one.mid", "two.mid"] {
        let aside = folder.path().join(format!("{name} aside"));
        std::fs::rename(aside, folder.path().join("sessions").join(name)).unwrap();
    }

    let mut window = Window::open_in(folder, None);
    window.wait("both are offered", |app| app.state.unfinished.len() == 2);
    // One press throws nothing away, and neither does Enter after it.
    window.press("Discard one");
    assert_eq!(window.state().unfinished.len(), 2);
    window.keys(Modifiers::NONE, Key::Enter);
    assert_eq!(window.state().unfinished.len(), 2);
    window.press("Discard one");
    window.press("Discard it");
    assert_eq!(window.state().unfinished.len(), 1);
    assert!(window.sees("two") && window.state().question.is_some());
    window.keys(Modifiers::NONE, ESCAPE);
    assert!(window.state().question.is_none());
    let mut window = crash(window);
    window.wait("one is left", |app| app.state.unfinished.len() == 1);
    // Enter is Restore.
    window.keys(Modifiers::NONE, Key::Enter);
    window.wait("the work is back", |app| app.state.document.is_unsaved());
    assert_eq!((window.n_notes(), window.state().document.path.clone()), (0, None));
    assert!(window.state().unfinished.is_empty());
}

#[test]
fn work_is_kept_while_one_edits_without_a_pause_and_before_a_risk() {
    let mut window = Window::open(None);
    let path = file(window.folder.path(), "waltz.mid", 5);
    open(&mut window, &path, 5);
    // Longer than the interval, never resting, and no state comes twice.
    window.keys(Modifiers::COMMAND, Key::A);
    let begun = std::time::Instant::now();
    let mut n_steps = 0;
    while kept(&window).is_empty() {
        window.keys(Modifiers::COMMAND, Key::D);
        n_steps += 1;
        assert!(begun.elapsed() < PATIENCE, "nothing is kept while one edits");
    }
    // Back in the state of the file there is nothing to keep.
    for _ in 0..n_steps {
        window.keys(Modifiers::COMMAND, Key::Z);
    }
    assert!(!window.state().document.is_unsaved());
    until(&mut window, "nothing is kept", |window| kept(window).is_empty());

    // Opening keeps the work at once, however long the interval still is.
    window.keys(Modifiers::COMMAND, Key::A);
    window.harness.key_press_modifiers(Modifiers::NONE, Key::Delete);
    window.harness.step();
    window.keys(Modifiers::COMMAND, Key::O);
    let other = file(window.folder.path(), "other.mid", 6);
    window.write(&other);
    window.press("Open this");
    window.wait("it is asked about", |app| app.state.question.is_some());
    until(&mut window, "it is kept", |window| kept(window).len() == 1);
}

#[test]
fn a_place_that_cant_be_written_leaves_the_work_unsaved() {
    let mut window = Window::open(None);
    let path = file(window.folder.path(), "waltz.etude", 5);
    open(&mut window, &path, 5);
    clear(&mut window);
    // Its folder becomes a file, as a disk that is pulled out.
    let inside = window.folder.path().join("disk");
    std::fs::create_dir(&inside).unwrap();
    let project = inside.join("waltz.etude");
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::S);
    window.write(&project);
    std::fs::remove_dir(&inside).unwrap();
    std::fs::write(&inside, "").unwrap();
    window.press("Save here");
    until(&mut window, "it is refused", |window| window.sees("doesn't exist — choose another"));
    window.press("Cancel");

    std::fs::remove_file(&inside).unwrap();
    std::fs::create_dir(&inside).unwrap();
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::S);
    window.write(&project);
    window.press("Save here");
    window.wait("it is saved", |app| !app.state.document.is_unsaved());
    window.keys(Modifiers::COMMAND, Key::Z);
    assert!(window.state().document.is_unsaved());
    std::fs::remove_dir_all(&inside).unwrap();
    std::fs::write(&inside, "").unwrap();
    window.keys(Modifiers::COMMAND, Key::S);
    window.wait("the error is shown", |app| app.state.alert.is_some());
    let alert = window.state().alert.clone().unwrap();
    assert!(alert.contains("waltz.etude") && alert.contains("folder is a file"), "{alert}");
    assert!(window.state().document.is_unsaved());
    assert_eq!(window.n_notes(), 5);
}

#[test]
fn exports_keep_what_was_there_before() {
    let mut window = Window::open(None);
    let path = file(window.folder.path(), "waltz.mid", 5);
    open(&mut window, &path, 5);
    let out = window.folder.path().join("out.mid");
    std::fs::write(&out, "before").unwrap();
    window.keys(Modifiers::COMMAND, Key::E);
    window.write(&out);
    window.press("Save here");
    until(&mut window, "it asks whether to replace it", |window| window.sees("press Replace"));
    window.press("Replace");
    window.wait("it is written", |_| std::fs::read(&out).unwrap() != b"before");
    assert_eq!(std::fs::read(backup_path(&out)).unwrap(), b"before");
    assert_eq!(smf::read_file(&out).unwrap().score.notes().len(), 5);
}

#[test]
fn the_picker_is_used_by_names_and_by_keys() {
    let mut window = Window::open(None);
    let inside = window.folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    file(&inside, "deep.mid", 6);
    std::fs::write(window.folder.path().join("letter.txt"), "").unwrap();
    window.keys(Modifiers::COMMAND, Key::O);
    let folder = window.folder.path().to_owned();
    window.write(&folder);
    window.keys(Modifiers::NONE, Key::Enter);
    let sees = |window: &Window, text: &str| window.harness.query_by_label(text).is_some();
    let folder_row = format!("inside{}", std::path::MAIN_SEPARATOR);
    until(&mut window, "the folder is read", |window| sees(window, &folder_row));
    assert!(!sees(&window, "letter.txt"), "it is no music");
    press_starting_with(&mut window, "All files");
    assert!(sees(&window, "letter.txt"));
    window.press(&folder_row);
    until(&mut window, "the folder is read", |window| sees(window, "deep.mid"));
    window.press("Up");
    until(&mut window, "the folder is read", |window| sees(window, &folder_row));
    window.press(&folder_row);
    until(&mut window, "the folder is read", |window| sees(window, "deep.mid"));
    window.press("deep.mid");
    window.press("Open this");
    window.wait("it is opened", |app| n_notes(app) == 6);

    // By keys alone: the folder of the piece is gone to; the first row, then Enter.
    clear(&mut window);
    window.keys(Modifiers::COMMAND, Key::O);
    until(&mut window, "the folder is read", |window| sees(window, "deep.mid"));
    window.keys(Modifiers::NONE, Key::ArrowDown);
    window.keys(Modifiers::NONE, Key::Enter);
    window.press("Don't save");
    window.wait("it is opened", |app| n_notes(app) == 6);
    window.keys(Modifiers::COMMAND, Key::O);
    window.harness.check_accessibility();
    window.keys(Modifiers::NONE, ESCAPE);
    assert!(!window.sees("Open a MIDI file or a project"));
}

/// Opens a bad file by its path and returns what is said of it; the piece stays.
fn refused(name: &str, content: &[u8]) -> String {
    let mut window = Window::open(None);
    let first = file(window.folder.path(), "first.mid", 3);
    open(&mut window, &first, 3);
    let path = window.folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    window.drop_on_it(&path);
    window.wait("the error is shown", |app| app.state.alert.is_some());
    assert_eq!(window.n_notes(), 3);
    assert!(!window.state().document.is_unsaved());
    let alert = window.state().alert.clone().unwrap();
    assert!(alert.contains(name) && alert.contains('—'), "{alert}");
    alert
}

#[test]
fn a_damaged_a_foreign_and_a_newer_project_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(file(folder.path(), "whole.etude", 9)).unwrap();
    let torn = refused("torn.etude", &whole[..whole.len() / 2]);
    assert!(torn.contains("damaged at line") && torn.contains("the rest is missing"), "{torn}");
    let foreign = refused("foreign.etude", b"{\"name\": \"something else\"}");
    assert!(foreign.contains("isn't an Etude project"), "{foreign}");
    let noise = refused("noise.etude", &[0xff; 4096]);
    assert!(noise.contains("isn't an Etude project"), "{noise}");
    let newer = refused("newer.etude", b"{\"format_version\": 99, \"future\": true}");
    assert!(newer.contains("newer Etude"), "{newer}");
    let tempo = String::from_utf8(whole).unwrap();
    let nothing = tempo.replacen("\"length\": 480", "\"length\": 0", 1);
    let nothing = nothing.replacen("\"length\":480", "\"length\":0", 1);
    assert_ne!(nothing, tempo);
    let nothing = refused("nothing.etude", nothing.as_bytes());
    assert!(nothing.contains("has no length"), "{nothing}");
}

/// A Standard MIDI File of one track with these bytes as its events.
fn midi(events: &[u8]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk".to_vec();
    bytes.extend((events.len() as u32 + 4).to_be_bytes());
    bytes.extend(events);
    bytes.extend([0, 0xff, 0x2f, 0]);
    bytes
}

/// Opened and drawn, or refused in words; never a hang. Says which.
fn survives(name: &str, content: &[u8]) -> Result<(Window, usize), String> {
    let mut window = Window::open(None);
    let path = window.folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    window.drop_on_it(&path);
    let source = path.clone();
    window.wait_at_most(SECONDS, "it is opened or refused", move |app| {
        app.state.alert.is_some() || app.state.document.source.as_ref() == Some(&source)
    });
    if let Some(alert) = window.state().alert.clone() {
        assert!(alert.contains(name) && alert.contains('—'), "{alert}");
        return Err(alert);
    }
    // It can be looked at, heard and edited.
    window.keys(Modifiers::NONE, Key::Space);
    window.harness.run_steps(3);
    window.keys(Modifiers::NONE, Key::Space);
    let count = window.n_notes();
    Ok((window, count))
}

#[test]
fn odd_scores_open_or_are_refused_within_seconds() {
    // Delta times of 2^28 − 1 ticks, fifteen times: past four billion, and past the last tick.
    let mut late = Vec::new();
    for _ in 0..15 {
        late.extend([0xff, 0xff, 0xff, 0x7f, 0xb0, 7, 100]);
    }
    late.extend([0, 0x90, 60, 80, 0x60, 0x80, 60, 0]);
    let (window, count) = survives("late.mid", &midi(&late)).expect("it is moved to the last tick");
    assert_eq!(count, 1);
    let start = window.state().document.history.score().notes()[0].start;
    assert!(start.0 > 2_000_000_000, "{start:?}");

    let empty_notes = [0, 0x90, 60, 80, 0, 0x80, 60, 0, 0x60, 0x90, 62, 80, 0x60, 0x80, 62, 0];
    survives("short.mid", &midi(&empty_notes)).expect("notes of no length are tolerated");

    // A tempo of 0 µs a quarter.
    let mut tempo = vec![0, 0xff, 0x51, 3, 0, 0, 0];
    tempo.extend([0, 0x90, 60, 80, 0x60, 0x80, 60, 0]);
    survives("tempo.mid", &midi(&tempo)).expect("a tempo of nothing is passed over");

    // Ten hours: 72,000 quarters at 120 a minute.
    let mut long = vec![0, 0x90, 60, 80, 0x60, 0x80, 60, 0];
    long.extend([0x90, 0xbd, 0xb0, 0x00]);
    long.extend([0x90, 62, 80, 0x60, 0x80, 62, 0]);
    let (mut window, _) = survives("long.mid", &midi(&long)).expect("a long piece is a piece");
    let secs = window.state().document.history.score().duration_secs();
    assert!((secs - 36_000.0).abs() < 60.0, "{secs}");
    clear(&mut window);
    window.keys(Modifiers::COMMAND, Key::Z);
}

#[test]
fn any_number_of_notes_in_one_tick_opens() {
    // Half a million take half a minute without optimization.
    let count = match common::slow_tests("500,000 notes in one tick instead of 20,000") {
        true => 500_000_u32,
        false => 20_000,
    };
    let mut events = Vec::new();
    for idx in 0..count {
        events.extend([0, 0x90 | (idx % 8) as u8, (21 + idx % 88) as u8, (1 + idx % 127) as u8]);
    }
    events.push(0x60);
    let mut is_first = true;
    for idx in 0..count {
        if !is_first {
            events.push(0);
        }
        is_first = false;
        events.extend([0x80 | (idx % 8) as u8, (21 + idx % 88) as u8, 0]);
    }
    let (_, found) = survives("dense.mid", &midi(&events)).expect("so many notes are a piece");
    // Those of channel 10 would be drums; there are none.
    assert_eq!(found, count as usize);
}
