//! The composing room of the window: what it says of the chosen model, and what comes of its takes.
#![cfg(feature = "studio")]

mod common;

use std::path::Path;

use common::window::{Window, preferences};
use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::model::{Alphabet, FamilyCard, KeyCard, Model, ModelCard, Strategy};
use etude::music::{Note, Pitch, Score, TempoMap, Tick, TicksPerQuarter, Velocity, smf};
use etude::tokens::{FramingPlan, Grid, StepsPerQuarter};
use etude::ui::{App, ModelChoice, Preferences, PrimeKind, Provenance, StrategyKind};

/// With the starter, which has touch, at its usual temperature.
fn starter() -> Preferences {
    let mut preferences = preferences();
    preferences.compose.temperature = 0.97;
    preferences.compose.bars = 2.0;
    preferences
}

fn open(preferences: Preferences) -> Window {
    Window::open_with(tempfile::tempdir().unwrap(), None, preferences)
}

fn is_done(n_takes: usize) -> impl Fn(&App) -> bool {
    move |app| app.state.composing.live.is_none() && app.state.takes.list.len() == n_takes
}

#[test]
fn it_composes_when_the_keys_are_the_first_thing_that_happens() {
    let mut window = open(starter());
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.wait("there is a take", is_done(1));
    // That it is done stands below the roll: the take is looked at, and says its name above it.
    assert!(window.sees("Composed 1 take. Rate what you hear"));
    assert!(window.state().notices.shown.is_empty());
}

#[test]
fn the_rate_of_a_model_with_touch_is_its_own_and_why_is_said() {
    let mut window = open(starter());
    window.wait("the starter is loaded", |app| app.state.composer().is_some());
    let rate = |window: &Window| {
        let field = window.harness.get_by_role_and_label(Role::SpinButton, "Output rate");
        let node = field.accesskit_node();
        (node.numeric_value().unwrap(), node.is_disabled())
    };
    assert_eq!(rate(&window), (16.0, true));
    assert!(window.sees("As many frames a second as it learned"));
    assert!(window.sees("Below 0.9 it thins out"));
    window.harness.get_by_role_and_label(Role::CheckBox, "Own time").click();
    window.harness.run_steps(4);
    assert_eq!(rate(&window), (8.0, false));
    assert!(!window.sees("As many frames a second as it learned"));
    // The one in training is known as well.
    let state = &mut window.harness.state_mut().state;
    state.preferences.compose.is_own_time = true;
    state.preferences.compose.model = ModelChoice::InTraining;
    window.harness.run_steps(4);
    assert_eq!(rate(&window), (8.0, false));
    let model = Model::starter().unwrap();
    let newest = etude::ui::Newest { model, run_dir: "a run".into() };
    window.harness.state_mut().state.training.newest = Some(newest);
    window.harness.run_steps(4);
    assert_eq!(rate(&window), (16.0, true));
}

/// A model of touch that has learned nothing, four of whose frames are a quarter.
fn on_the_beat() -> Model {
    let family = FamilyCard::Keys(KeyCard {
        key_hidden: 4,
        spell_hidden: 4,
        alphabet: Alphabet::Full,
        has_clock: true,
    });
    let grid = Grid::Beats(StepsPerQuarter::new(4).unwrap());
    let card = ModelCard {
        format_version: ModelCard::FORMAT_VERSION,
        family,
        layers: 1,
        hidden: 4,
        plan: FramingPlan { grid, ..FramingPlan::default() },
        epoch: 1,
        steps_into_epoch: 0,
        valid_perplexity: None,
        about: String::new(),
        lessons: None,
    };
    Model::untrained(card, 0).unwrap()
}

#[test]
fn a_take_from_a_file_is_in_its_tempo_and_the_panel_says_no_other() {
    let mut window = open(starter());
    window.wait("the starter is loaded", |app| app.state.composer().is_some());
    let path = window.folder.path().join("fast.mid");
    let note = Note {
        start: Tick(0),
        length: Tick(480),
        pitch: Pitch::MIDDLE_C,
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    // Three quarters a second; the score has 72 a minute.
    let tempo_map = TempoMap::constant(TicksPerQuarter::DEFAULT, 333_333);
    std::fs::write(&path, smf::write(&Score::piano(tempo_map, vec![note]))).unwrap();
    let state = &mut window.harness.state_mut().state;
    state.training.newest =
        Some(etude::ui::Newest { model: on_the_beat(), run_dir: "a run".into() });
    let form = &mut state.preferences.compose;
    (form.model, form.bars) = (ModelChoice::InTraining, 1.0);
    window.harness.run_steps(3);
    assert!(window.sees("In the tempo of the score, 4 frames a quarter"));
    let rate = |window: &Window| {
        let fields = window.harness.query_all_by_role_and_label(Role::SpinButton, "Output rate");
        fields.last().map(|field| field.accesskit_node().numeric_value().unwrap())
    };
    assert!((rate(&window).unwrap() - 4.0 * 1.2).abs() < 0.01);
    let form = &mut window.harness.state_mut().state.preferences.compose;
    (form.prime, form.prime_file) = (PrimeKind::File, Some(path));
    window.harness.run_steps(3);
    assert!(window.sees("In the tempo of the file, 4 frames a quarter"));
    assert_eq!(rate(&window), None);
    compose(&mut window);
    let played = window.state().takes.list[0].playback.rate.per_second();
    assert!((played - 12.0).abs() < 0.01, "{played}");
}

#[test]
fn a_take_is_composed_again_as_it_was_whatever_the_form_says_now() {
    let mut window = open(starter());
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.wait("there is a take", is_done(1));
    let form = &mut window.harness.state_mut().state.preferences.compose;
    form.strategy = StrategyKind::Max;
    form.is_own_time = false;
    form.model = ModelChoice::InTraining;
    form.bars = 1.0;
    window.harness.run_steps(3);
    window.press("Again");
    window.wait("there is another", is_done(2));
    let [one, other] = window.state().takes.list.as_slice() else { panic!("two takes") };
    assert!(one.take.touch.is_some() && other.take.touch.is_some());
    assert_ne!(one.take.touch, other.take.touch);
    assert_eq!(one.playback, other.playback);
    assert_eq!(one.take.roll.len(), other.take.roll.len());
    let (before, after) = (&one.provenance, &other.provenance);
    assert_ne!(before.settings.seed, after.settings.seed);
    assert_eq!((&before.model, &before.run), (&after.model, &after.run));
    assert_eq!(before.settings.strategy, after.settings.strategy);
    // What was kept of it is enough in another session, too.
    let Window { harness, folder, .. } = window;
    drop(harness);
    let mut window = Window::open_with(folder, None, starter());
    window.wait("the takes are read", |app| app.state.takes.list.len() == 2);
    window.keys(Modifiers::COMMAND, Key::ArrowDown);
    window.press("Again");
    window.wait("there is another", is_done(3));
    assert!(window.state().takes.list[2].take.touch.is_some());
    // The take of a run that is gone says so, and nothing waits for it.
    let lost = &mut window.harness.state_mut().state.takes.list[2];
    lost.provenance.run = Some("gone".into());
    window.press("Again");
    window.wait("it is refused", |app| app.state.composing.error.is_some());
    assert!(!window.state().composing.is_busy());
}

/// Trains and waits until the run has as many epochs and is listed.
fn learn(window: &mut Window, button: &str, n_epochs: usize) {
    window.harness.state_mut().state.preferences.training.epochs = n_epochs;
    window.press(button);
    window.wait("the run is done", |app| {
        let training = &app.state.training;
        let is_listed =
            app.state.runs.iter().any(|run| Some(&run.path) == training.run_dir.as_ref());
        training.epochs.len() == n_epochs && !training.is_busy() && is_listed
    });
}

fn compose(window: &mut Window) -> Provenance {
    let n_takes = window.state().takes.list.len();
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.wait("there is a take", is_done(n_takes + 1));
    window.state().takes.list.last().unwrap().provenance.clone()
}

#[test]
fn a_take_of_a_run_is_composed_again_by_the_weights_that_composed_it() {
    let mut window = open(preferences());
    window.wait("the pieces are read", |app| app.state.library.music.is_some());
    learn(&mut window, "Train", 1);
    let run = window.state().training.run_dir.clone().unwrap();
    let chosen = |window: &mut Window, path: &Path| {
        let form = &mut window.harness.state_mut().state.preferences.compose;
        form.bars = 1.0;
        form.model = ModelChoice::Run(path.to_owned());
    };
    chosen(&mut window, &run);
    assert_eq!(compose(&mut window).epoch, 1);
    // The run learns on: what composes is the best that it has now, as for whoever loads it.
    learn(&mut window, "Resume", 3);
    let best = window.state().training.best().unwrap().epoch;
    assert_eq!((compose(&mut window).epoch, best), (3, 3));

    // Another run is chosen. It stays in memory whichever take is composed again.
    let other = run.with_file_name("other");
    std::fs::create_dir_all(other.join("checkpoints")).unwrap();
    std::fs::copy(run.join("run.json"), other.join("run.json")).unwrap();
    let file = Path::new("checkpoints/best.safetensors");
    std::fs::copy(run.join(file), other.join(file)).unwrap();
    chosen(&mut window, &other);
    assert_eq!(compose(&mut window).run.as_ref(), Some(&other));
    window.harness.state_mut().state.training.newest = None;
    for (epoch, composes) in [(1, 1), (2, 2), (3, 3), (7, 3)] {
        let first = window.state().takes.list[0].id;
        window.harness.state_mut().state.takes.list[0].provenance.epoch = epoch;
        window.press("Take 1");
        let n_takes = window.state().takes.list.len();
        window.press("Again");
        window.wait("there is another", is_done(n_takes + 1));
        assert_eq!(window.state().takes.list[0].id, first);
        let made = &window.state().takes.list.last().unwrap().provenance;
        assert_eq!((made.run.as_ref(), made.epoch), (Some(&run), composes));
        assert!(window.state().composer().is_some(), "the chosen one is still there");
        assert_eq!(window.sees("which isn't kept: epoch 3 composes"), epoch == 7);
    }
}

#[test]
fn a_take_near_silence_is_told_and_a_search_shows_how_far_it_is() {
    let mut preferences = starter();
    preferences.compose.strategy = StrategyKind::Max;
    preferences.compose.bars = 8.0;
    let mut window = open(preferences);
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.wait("there is a take", is_done(1));
    assert!(window.sees("the likeliest music is near silence. Choose Sample at How"));
    let again = window.harness.get_by_role_and_label(Role::Button, "Again");
    assert!(again.accesskit_node().is_disabled(), "it would find the same notes");

    let form = &mut window.harness.state_mut().state.preferences.compose;
    form.strategy = StrategyKind::Beam;
    form.beam_width = 2;
    form.bars = 400.0;
    window.harness.run_steps(3);
    window.keys(Modifiers::COMMAND, Key::Enter);
    let searched = |app: &App| app.state.composing.live.as_ref().map_or(0, |live| live.n_searched);
    window.wait("it is under way", move |app| searched(app) > 0);
    let live = window.state().composing.live.as_ref().unwrap();
    assert!(live.progress() > 0.0 && live.progress() < 1.0);
    assert!(window.sees("Searching"));
    window.keys(Modifiers::COMMAND, Key::Period);
    window.wait("it is stopped", |app| app.state.composing.live.is_none());
    let strategy = window.state().takes.list.last().unwrap().provenance.settings.strategy;
    assert!(matches!(strategy, Strategy::Beam { width: 2, .. }));
}

#[test]
fn one_file_that_cant_be_used_is_told_as_one() {
    let mut window = open(starter());
    let folder = window.folder.path().join("music");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("bad.mid"), b"no music").unwrap();
    window.drop_on_it(&folder);
    window.wait("it is told", |app| app.state.library.error.is_some());
    assert!(window.sees("the file can't be used (“"));
    // Of several it is told how many.
    std::fs::write(folder.join("worse.mid"), b"nor this").unwrap();
    window.harness.state_mut().state.library.error = None;
    window.drop_on_it(&folder);
    window.wait("it is told", |app| app.state.library.error.is_some());
    assert!(window.sees("none of the 2 files can be used"));
}

#[test]
fn before_it_composes_it_says_that_nothing_stands_before_the_playhead() {
    let mut preferences = starter();
    preferences.compose.prime = PrimeKind::Score;
    let mut window = open(preferences);
    assert!(window.sees("No note stands before the playhead"));
    window.keys(Modifiers::NONE, Key::End);
    assert!(window.sees("Goes on from 0:36"));
    assert!(!window.sees("No note stands before the playhead"));
}

#[test]
fn the_dice_draws_another_seed_than_0_too() {
    let mut preferences = starter();
    preferences.compose.seed = 0;
    let mut window = open(preferences);
    window.harness.get_by_label("More").click();
    window.harness.run_steps(9);
    let dice = window.harness.get_by_role_and_label(Role::Button, "Draw another seed");
    dice.scroll_to_me();
    window.harness.run_steps(9);
    window.press("Draw another seed");
    let form = &window.state().preferences.compose;
    assert!(form.seed != 0 && !form.is_seed_fresh, "{}", form.seed);
}

#[test]
fn a_second_press_on_stop_composes_nothing() {
    let mut preferences = starter();
    preferences.compose.bars = 1_000.0;
    let mut window = open(preferences);
    window.keys(Modifiers::COMMAND, Key::Enter);
    window.wait("it is under way", |app| app.state.composing.live.is_some());
    let stop = window.harness.get_by_role_and_label(Role::Button, "Stop composing");
    let pressed = stop.rect().center();
    stop.click();
    // Frame by frame, for the button rests less than a second.
    let began = std::time::Instant::now();
    while window.state().composing.is_busy() {
        assert!(began.elapsed() < common::window::PATIENCE);
        let _ = window.knocks.recv_timeout(std::time::Duration::from_millis(20));
        window.harness.step();
    }
    let n_takes = window.state().takes.list.len();
    window.harness.step();
    assert!(n_takes == 0 || window.sees("Stopped: what was composed is kept as 1 take"));
    let compose = |window: &Window| {
        let button =
            window.harness.get_all_by_role_and_label(Role::Button, "Compose").last().unwrap();
        (button.rect().contains(pressed), button.accesskit_node().is_disabled())
    };
    assert_eq!(compose(&window), (true, true), "it stands there and rests");
    window.harness.get_all_by_role_and_label(Role::Button, "Compose").last().unwrap().click();
    window.harness.step();
    window.harness.step();
    assert!(!window.state().composing.is_busy());
    window.harness.run_steps(4);
    assert_eq!(compose(&window), (true, false));
    assert_eq!(window.state().takes.list.len(), n_takes);
    window.press("Compose");
    window.wait("it composes again", |app| app.state.composing.live.is_some());
}
