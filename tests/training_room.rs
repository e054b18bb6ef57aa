//! The training room of the window: what a run goes on from, the settings of each kind of model, and
//! the curves of touch.
#![cfg(feature = "studio")]

mod common;

use std::path::{Path, PathBuf};

use common::window::{PATIENCE, Window, preferences};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::model::{Alphabet, Baselines, EpochPoint, ModelKind, Run, TrainingSettings};
use etude::studio::JobId;
use etude::tokens::{FrameRate, Grid};
use etude::ui::{Preferences, StartChoice};

/// The window once the built-in pieces are read.
fn ready(preferences: Preferences) -> Window {
    ready_in(tempfile::tempdir().unwrap(), preferences)
}

fn ready_in(folder: tempfile::TempDir, preferences: Preferences) -> Window {
    let mut window = Window::open_with(folder, None, preferences);
    window.wait("the built-in pieces are read", |app| app.state.library.music.is_some());
    window
}

/// Chooses a line of a list, wherever the panel is scrolled to.
fn choose(window: &mut Window, list: &str, line: &str) {
    window.harness.get_by_role_and_label(Role::ComboBox, list).scroll_to_me();
    // Scrolling takes its time, and a click where the list was would open nothing.
    window.harness.run_steps(40);
    window.harness.get_by_role_and_label(Role::ComboBox, list).click();
    window.harness.run_steps(6);
    let lines = window.harness.query_all_by_role_and_label(Role::Button, line);
    lines.last().unwrap_or_else(|| panic!("{list}: {line}")).click();
    window.harness.run_steps(6);
}

fn is_there(window: &Window, role: Role, name: &str) -> bool {
    window.harness.query_all_by_role_and_label(role, name).next().is_some()
}

fn is_disabled(window: &Window, role: Role, name: &str) -> bool {
    let found = window.harness.query_all_by_role_and_label(role, name).last();
    found.unwrap_or_else(|| panic!("{name}")).accesskit_node().is_disabled()
}

/// Trains a new run to its end.
fn train(window: &mut Window) {
    let before = window.state().training.run_dir.clone();
    window.press("Train");
    window.wait("the run is done", move |app| {
        let training = &app.state.training;
        let is_listed = |dir: &PathBuf| app.state.runs.iter().any(|run| run.path == *dir);
        training.run_dir != before
            && training.summary.is_some()
            && training.job.is_none()
            && training.run_dir.as_ref().is_some_and(is_listed)
    });
}

fn run_dir(window: &Window) -> PathBuf {
    window.state().training.run_dir.clone().unwrap()
}

const FIXED: [(Role, &str); 4] = [
    (Role::ComboBox, "Network"),
    (Role::SpinButton, "Size"),
    (Role::SpinButton, "Frames a second"),
    (Role::SpinButton, "Layers"),
];

#[test]
fn a_run_goes_on_from_one_of_the_list_and_its_network_cant_be_changed() {
    let mut window = ready(preferences());
    window.harness.get_by_label("All settings").click();
    window.harness.run_steps(9);
    train(&mut window);
    let first = run_dir(&window);
    let fresh =
        TrainingSettings { epochs: 1, hidden: 9, ..window.state().preferences.training.clone() };
    window.harness.state_mut().state.preferences.training = fresh.clone();
    window.harness.run_steps(3);
    assert!(FIXED.iter().all(|(role, name)| !is_disabled(&window, *role, name)));

    let name = first.file_name().unwrap().to_string_lossy().into_owned();
    choose(&mut window, "Go on from", &name);
    window.wait("the run is read", |app| app.state.starting.read.is_some());
    assert_eq!(window.state().preferences.start, StartChoice::Checkpoint(first.clone()));
    let settings = &window.state().preferences.training;
    assert_eq!((settings.hidden, settings.epochs, settings.learning_rate), (8, 1, 0.0005));
    for (role, name) in FIXED {
        assert!(is_disabled(&window, role, name), "{name}");
    }
    assert!(!is_disabled(&window, Role::SpinButton, "Epochs"));
    assert!(window.sees("It keeps its network"));
    // The vocabulary that is told of is the run's.
    let n_chords = Run::read(&first).unwrap().summary.vocabulary;
    window.wait("its coverage is counted", |app| {
        let coverage = app.state.library.coverage.as_ref();
        coverage.is_some_and(|it| it.result.as_ref().is_ok_and(|it| it.vocabulary == n_chords))
    });

    train(&mut window);
    let second = run_dir(&window);
    assert_ne!(first, second);
    let run = Run::read(&second).unwrap();
    let from = run.summary.from.as_ref().unwrap();
    assert!(Path::new(&from.path).starts_with(&first), "{from:?}");
    assert_eq!(window.state().training.from.as_ref(), Some(from));
    let epochs: Vec<usize> = window.state().training.epochs.iter().map(|it| it.epoch).collect();
    assert_eq!(epochs, [0, 1]);
    assert!(window.sees("Goes on from best.safetensors"));

    // From nothing the form is as it was, and free again.
    choose(&mut window, "Go on from", "Nothing");
    assert_eq!(window.state().preferences.training, fresh);
    assert!(FIXED.iter().all(|(role, name)| !is_disabled(&window, *role, name)));

    // Another start of the program goes on from what was chosen.
    choose(&mut window, "Go on from", &name);
    window.wait("the run is read", |app| app.state.starting.read.is_some());
    let preferences = window.state().preferences.clone();
    let mut window = ready_in(window.folder, preferences);
    window.wait("the run is read", |app| app.state.starting.read.is_some());
    assert!(is_disabled(&window, Role::SpinButton, "Size"));
    assert_eq!(window.state().preferences.training.hidden, 8);
    // A run that is resumed has its own start.
    choose(&mut window, "Go on from", "The starter");
    window.wait("the starter is read", |app| app.state.starting.read.is_some());
    let is_resumed = |window: &Window| window.state().preferences.start == StartChoice::Nothing;
    // Now and then something lies over the button for a frame: one presses again.
    for _ in 0..5 {
        window.press("Resume");
        for _ in 0..200 {
            if is_resumed(&window) {
                break;
            }
            let _ = window.knocks.recv_timeout(std::time::Duration::from_millis(20));
            window.harness.step();
        }
        if is_resumed(&window) {
            break;
        }
    }
    assert!(is_resumed(&window), "its settings are in the form");
}

#[test]
fn the_starter_and_a_checkpoint_of_elsewhere_can_be_gone_on_from_and_a_bad_one_is_told() {
    let mut window = ready(preferences());
    choose(&mut window, "Go on from", "The starter");
    window.wait("the starter is read", |app| app.state.starting.read.is_some());
    let starter = etude::model::Model::starter().unwrap();
    let settings = &window.state().preferences.training;
    assert_eq!((settings.model, settings.hidden), (starter.card().kind(), starter.card().hidden));
    assert_eq!(settings.fps, starter.card().plan.rate);

    let bad = window.folder.path().join("bad.safetensors");
    std::fs::write(&bad, "no weights").unwrap();
    let good = window.folder.path().join("good.safetensors");
    starter.export(&good, etude::model::Precision::Half).unwrap();
    for (path, is_good) in [(&bad, false), (&good, true)] {
        choose(&mut window, "Go on from", "Checkpoint…");
        window.write(path);
        window.press("Open this");
        let chosen = StartChoice::Checkpoint(path.clone());
        window.wait_at_most(PATIENCE, "the file is read", move |app| {
            app.state.preferences.start == chosen && app.state.starting.reading.is_none()
        });
        assert_eq!(window.state().starting.error.is_none(), is_good);
        assert_eq!(is_disabled(&window, Role::Button, "Train"), !is_good);
        assert_eq!(window.sees("bad.safetensors can't be used"), !is_good);
    }
    choose(&mut window, "Go on from", "Nothing");
    assert_eq!(window.state().preferences.training, preferences().training);
}

#[test]
fn what_it_learns_of_the_playing_and_the_grid_are_asked_of_the_key_model_alone() {
    let mut window = ready(preferences());
    let rows = ["Learns", "Frames"];
    assert!(rows.iter().all(|name| !is_there(&window, Role::ComboBox, name)));
    choose(&mut window, "Network", "Keys");
    assert!(rows.iter().all(|name| is_there(&window, Role::ComboBox, name)));
    let settings = |window: &Window| window.state().preferences.training.clone();
    let chosen = |window: &Window| {
        let TrainingSettings { model, alphabet, fps, .. } = settings(window);
        (model, alphabet, fps.per_second())
    };
    choose(&mut window, "Learns", "Which keys sound");
    assert_eq!(chosen(&window), (ModelKind::Keys, Alphabet::OffOn, 2.0));
    choose(&mut window, "Learns", "Touch and pedal too");
    // With touch come finer frames, and coarser ones are advised against.
    assert_eq!(chosen(&window), (ModelKind::Keys, Alphabet::Full, 16.0));
    assert!(!window.sees("Touch asks for finer frames"));
    window.harness.state_mut().state.preferences.training.fps = FrameRate::INPUT_DEFAULT;
    window.harness.run_steps(3);
    assert!(window.sees("Touch asks for finer frames"));
    choose(&mut window, "Frames", "Sixteenths");
    assert_eq!(settings(&window).grid, Grid::Beats(etude::tokens::StepsPerQuarter::SIXTEENTHS));
    // Notes have no rate, and are fine enough.
    assert!(!is_there(&window, Role::SpinButton, "Frames a second"));
    assert!(!window.sees("Touch asks for finer frames"));
    // The library is read as the settings say.
    window.wait("the pieces are read with touch", |app| {
        let music = app.state.library.music.as_ref();
        music.is_some_and(|music| music.without_touch().is_none())
    });
    assert!(settings(&window).validate().is_ok());

    choose(&mut window, "Network", "GRU");
    assert!(rows.iter().all(|name| !is_there(&window, Role::ComboBox, name)));
    assert_eq!(settings(&window).grid, Grid::Seconds);
    assert!(is_there(&window, Role::SpinButton, "Frames a second"));
}

fn point(epoch: usize, touch: Option<f64>) -> EpochPoint {
    EpochPoint {
        epoch,
        train_loss: 3.0,
        train_perplexity: f64::exp(3.0),
        train_accuracy: 0.2,
        valid_loss: 3.5,
        valid_perplexity: f64::exp(3.5),
        valid_accuracy: 0.1,
        valid_length_loss: touch.map(|loss| loss / 2.0),
        valid_velocity_loss: touch,
        valid_pedal_loss: touch.map(|loss| loss / 10.0),
        learning_rate: 0.001,
        frames_per_second: 9.0,
        seconds: 1.0,
    }
}

#[test]
fn velocities_and_pedal_have_curves_where_they_are_learned() {
    let mut window = ready(preferences());
    let show = |window: &mut Window, settings: TrainingSettings, epochs: Vec<EpochPoint>| {
        let training = &mut window.harness.state_mut().state.training;
        training.run_dir = Some("a run".into());
        training.settings = settings;
        training.epochs = epochs;
        window.harness.run_steps(4);
    };
    let (chords, touch) = (TrainingSettings::chords, TrainingSettings::default);
    assert!(touch().has_touch());
    let measures = ["Lengths", "Velocities", "Pedal"];
    let is_legend = |window: &Window, name| is_there(window, Role::Label, name);
    // The settings have a row of the pedal too, folded away; of buttons there is none.
    let has = |window: &Window, name| is_there(window, Role::Button, name);
    show(&mut window, chords(), vec![point(1, None), point(2, None)]);
    assert!(measures.iter().all(|name| !has(&window, name)));
    // From the start, and nothing moves when the first epochs are done.
    show(&mut window, touch(), Vec::new());
    let all = ["Loss", "Surprise", "Accuracy", "Lengths", "Velocities", "Pedal", "View ⏷"];
    let rects = |window: &Window| {
        all.map(|name| {
            let buttons = window.harness.get_all_by_role_and_label(Role::Button, name);
            buttons.last().unwrap().rect()
        })
    };
    let before = rects(&window);
    show(&mut window, touch(), vec![point(1, Some(1.2)), point(2, Some(1.0))]);
    assert_eq!(rects(&window), before);
    for name in measures {
        window.press(name);
        assert!(is_legend(&window, "held out") && !is_legend(&window, "learned from"), "{name}");
    }
    // Another run knows nothing of the measure that is chosen.
    show(&mut window, chords(), vec![point(1, None)]);
    assert!(is_legend(&window, "learned from"));
    assert!(measures.iter().all(|name| !has(&window, name)));
}

#[test]
fn while_it_trains_the_settings_are_folded_and_the_curves_lie_under_the_roll() {
    let mut window = ready(Preferences { training: TrainingSettings::default(), ..preferences() });
    let training = &mut window.harness.state_mut().state.training;
    training.run_dir = Some("a run".into());
    training.settings = TrainingSettings::default();
    training.epochs = vec![point(1, Some(1.2))];
    training.baselines = Some(Baselines {
        unigram_perplexity: 1.3e6,
        mixed_perplexity: 642.0,
        repeat_accuracy: 0.2,
        unigram_accuracy: 0.1,
    });
    window.harness.run_steps(4);
    assert!(is_there(&window, Role::ComboBox, "Network"));
    // As long as a run is asked for and isn't begun.
    window.harness.state_mut().state.training.starting = Some(1);
    window.harness.run_steps(4);
    assert!(!is_there(&window, Role::ComboBox, "Network"));
    assert!(window.sees("Keys 128 with touch and pedal, 16 frames a second, 50 epochs"));
    let bottom = |name| window.harness.get_by_role_and_label(Role::Button, name).rect().bottom();
    assert!(bottom("Stop") < 720.0);
    let rect = |name: &str| window.harness.get_by_role_and_label(Role::Label, name).rect();
    let stop = window.harness.get_by_role_and_label(Role::Button, "Stop").rect();
    // What the lines mean stands in one line, beside the settings and above the chart.
    let names =
        ["learned from", "held out", "counting 1.3 million", "with repeats 642", "best: epoch 1"];
    let names = names.map(rect);
    assert!(names.iter().all(|name| name.left() > stop.right() && name.top() == names[0].top()));
    assert!(names.windows(2).all(|pair| pair[0].right() < pair[1].left()));
    window.harness.get_by_label("Settings").click();
    window.harness.run_steps(30);
    assert!(is_disabled(&window, Role::ComboBox, "Network"));
    // Once it has begun they are the run's own, folded and unfolded, whatever the form holds.
    let state = &mut window.harness.state_mut().state;
    (state.training.starting, state.training.job) = (None, Some(JobId(1_000)));
    state.training.settings.hidden = 33;
    state.preferences.training.hidden = 44;
    window.harness.run_steps(4);
    let size = window.harness.get_by_role_and_label(Role::SpinButton, "Size").accesskit_node();
    assert_eq!((size.numeric_value(), size.is_disabled()), (Some(33.0), true));
    assert_eq!(window.state().preferences.training.hidden, 44);
    window.harness.get_by_label("Settings").click();
    window.harness.run_steps(30);
    assert!(window.sees("Keys 33 with touch and pedal"));
}

#[test]
fn a_set_of_frames_is_learned_from_when_it_is_chosen_or_dropped() {
    let mut window = ready(preferences());
    let piece = |start: usize| (0..40).map(move |t| vec![60 + (start + t) % 7, 72]);
    let part = |n: usize| (0..n).map(|start| piece(start).collect::<Vec<_>>()).collect::<Vec<_>>();
    let set = serde_json::json!({"train": part(4), "valid": part(1), "test": part(1)});
    let file = window.folder.path().join("set.json");
    std::fs::write(&file, set.to_string()).unwrap();
    window.press("Files…");
    window.write(&file);
    window.press("Open this");
    let is_read = |n: usize| {
        move |app: &etude::ui::App| {
            app.state.library.music.as_ref().is_some_and(|music| music.n_pieces() == n)
        }
    };
    window.wait("the set is read", is_read(6));
    window.press("Built-in");
    window.wait("the built-in pieces are read", is_read(36));
    window.drop_on_it(&file);
    window.wait("the set is read", is_read(6));
    // It has no touch, which other music teaches again.
    let learns = |is_touch: bool| {
        move |app: &etude::ui::App| {
            let settings = &app.state.preferences.training;
            let is_fresh = !app.state.library.is_stale(&settings.music_plan());
            settings.has_touch() == is_touch && is_fresh && app.state.library.job.is_none()
        }
    };
    choose(&mut window, "Network", "Keys");
    window.wait("which keys sound is learned", learns(false));
    assert_eq!(window.state().preferences.training.alphabet, Alphabet::OffOn);
    assert!(window.sees("A set says only which keys sound"));
    choose(&mut window, "Learns", "Touch and pedal too");
    window.wait("which keys sound is learned", learns(false));
    window.press("Built-in");
    window.wait("touch is learned again", learns(true));
    assert!(!window.sees("A set says only which keys sound"));
    // A checkpoint that learned touch can't go on with it, and no run is begun.
    choose(&mut window, "Go on from", "The starter");
    window.wait("the starter is read", |app| app.state.starting.read.is_some());
    window.drop_on_it(&file);
    window.wait("the set is read", is_read(6));
    let refusal = "give MIDI files, or train with “Go on from: Nothing”";
    window.wait("the panel says so", |app| app.state.library.coverage.is_some());
    assert!(window.sees(refusal));
    window.press("Train");
    window.wait("it is refused", |app| app.state.alert.is_some());
    assert!(window.state().alert.as_ref().is_some_and(|alert| alert.contains(refusal)));
    assert_eq!(window.state().training.run_dir, None);
    window.harness.state_mut().state.alert = None;
    window.harness.run_steps(3);
    choose(&mut window, "Go on from", "Nothing");
    window.wait("which keys sound is learned", learns(false));
    // A grid of notes means nothing for it, and is refused in words.
    choose(&mut window, "Frames", "Eighths");
    window.press("Train");
    window.wait("it is refused", |app| {
        app.state.alert.as_ref().is_some_and(|alert| alert.contains("“Frames” can't be eighth"))
    });
}

#[test]
fn a_training_that_is_refused_leaves_no_folder_and_everything_as_it_was() {
    let mut window = ready(preferences());
    train(&mut window);
    let first = run_dir(&window);
    let shown = |window: &Window| {
        let training = &window.state().training;
        let epochs: Vec<f64> = training.epochs.iter().map(|point| point.valid_loss).collect();
        (training.run_dir.clone(), epochs, training.summary.clone(), training.live.len())
    };
    let before = shown(&window);
    assert!(!before.1.is_empty());
    // What the trainer finds out only once it has looked at the music.
    window.harness.state_mut().state.preferences.training.sequence = 60_000;
    window.harness.run_steps(3);
    let runs = || std::fs::read_dir(first.parent().unwrap()).unwrap().count();
    let n_runs = runs();
    window.press("Train");
    window.wait("it is refused", |app| {
        app.state.alert.as_ref().is_some_and(|alert| alert.contains("too short"))
    });
    assert!(!window.state().training.is_busy());
    assert_eq!(shown(&window), before);
    assert_eq!(runs(), n_runs);
    assert!(!window.sees("It was stopped before its first epoch was done"));
    window.harness.state_mut().state.alert = None;
    window.harness.state_mut().state.preferences.training.epochs = 3;
    window.harness.run_steps(3);
    // Resume means the run that is shown.
    window.press("Resume");
    window.wait("the run has gone on", |app| {
        app.state.training.job.is_none() && app.state.training.epochs.len() == 3
    });
    assert_eq!(run_dir(&window), first);
}
