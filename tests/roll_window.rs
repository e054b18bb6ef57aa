//! What the roll asks of the window: loop, clicks, key, parts, history, sizes.
#![cfg(feature = "studio")]

mod common;

use common::window::Window;
use egui::accesskit::Role;
use egui::{Key, Modifiers, pos2};
use egui_kittest::kittest::Queryable as _;
use etude::music::{KeyScale, Scale, Track};

/// The built-in piece, with the panel of parts and history open.
fn open() -> Window {
    let mut window = Window::open(None);
    window.harness.run_steps(3);
    window.keys(Modifiers::COMMAND, Key::Num4);
    window.keys(Modifiers::COMMAND, Key::Num5);
    window
}

fn press_exact(window: &mut Window, name: &str) {
    window.harness.get_by_role_and_label(Role::Button, name).click();
    window.harness.run_steps(4);
}

#[test]
fn the_loop_is_set_switched_off_and_on() {
    let mut window = open();
    window.keys(Modifiers::NONE, Key::L);
    let range = window.state().document.loop_range.unwrap();
    assert_eq!(range.0.0, 0);
    assert!(range.1 >= window.state().document.history.score().end());
    assert!(window.state().sound.is_looping);
    press_exact(&mut window, "Loop");
    assert!(!window.state().sound.is_looping);
    assert_eq!(window.state().document.loop_range, Some(range), "it is only off");
    window.keys(Modifiers::NONE, Key::L);
    assert!(window.state().sound.is_looping);
    assert!(!window.state().document.is_unsaved(), "a loop is no change of the piece");
}

#[test]
fn clicks_are_switched_in_the_transport_and_by_key() {
    let mut window = open();
    press_exact(&mut window, "Metronome");
    assert!(window.state().preferences.metronome);
    window.keys(Modifiers::NONE, Key::K);
    assert!(!window.state().preferences.metronome);
    press_exact(&mut window, "Count-in");
    assert!(window.state().preferences.count_in);
    window.keys(Modifiers::NONE, Key::Space);
    assert!(window.state().sound.is_playing);
    window.wait("it is counted in", |app| app.state.sound.count_in_beats.is_some());
    window.keys(Modifiers::NONE, Key::Space);
    assert!(!window.state().sound.is_playing);
}

#[test]
fn a_key_is_set_by_tonic_and_scale_and_detected_again() {
    let mut window = open();
    window.wait("the key is known", |app| app.state.key.is_some());
    let detected = window.state().estimated_key().unwrap();
    press_exact(&mut window, &format!("Key and scale: {detected}"));
    press_exact(&mut window, "F#");
    press_exact(&mut window, "dorian");
    assert_eq!(window.state().document.key(), Some(KeyScale::new(6, Scale::Dorian)));
    let label = format!("Detect: {detected}");
    window.harness.get_by_label(&label).click();
    window.harness.run_steps(3);
    assert_eq!(window.state().document.key(), None);
}

#[test]
fn a_click_on_a_color_gives_one_that_no_other_part_has() {
    let mut window = open();
    press_exact(&mut window, "Add part");
    let names: Vec<String> = {
        let parts = &window.state().document.history.score().parts;
        parts.iter().map(|part| part.name.clone()).collect()
    };
    assert_eq!(names.len(), 3);
    for expected in [3, 4] {
        press_exact(&mut window, &format!("Color of {}", names[0]));
        let parts = &window.state().document.history.score().parts;
        assert_eq!((parts[0].color, parts[1].color), (Some(expected), None));
    }
}

#[test]
fn parts_are_muted_soloed_colored_and_named_and_the_history_is_clicked() {
    let mut window = open();
    let before = window.state().document.history.score().clone();
    let name = before.parts[0].name.clone();
    press_exact(&mut window, &format!("Mute {name}"));
    press_exact(&mut window, &format!("Solo {name}"));
    press_exact(&mut window, &format!("Color of {name}"));
    let field = format!("Name of {name}");
    window.harness.get_by_label(&field).click();
    window.harness.run_steps(2);
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.harness.event(egui::Event::Text("Left hand".to_owned()));
    window.harness.run_steps(2);
    window.harness.key_press(Key::Enter);
    window.harness.run_steps(3);
    let score = window.state().document.history.score();
    assert!(score.parts[0].is_muted && score.parts[0].is_solo);
    assert_eq!((score.parts[0].color, score.parts[0].name.as_str()), (Some(2), "Left hand"));
    assert!(!score.is_heard(Track::Part(0)));

    press_exact(&mut window, "Mute part");
    let score = window.state().document.history.score();
    assert!(score.parts[0].is_muted && !score.parts[0].is_solo);
    press_exact(&mut window, "As it was opened");
    assert_eq!(**window.state().document.history.score(), *before);
    press_exact(&mut window, "Rename part to “Left hand”");
    assert_eq!(window.state().document.history.score().parts[0].name, "Left hand");
}

#[test]
fn a_part_is_added_given_an_instrument_and_notes_and_deleted() {
    let mut window = open();
    let before = window.state().document.history.score().clone();
    let name = before.parts[0].name.clone();
    press_exact(&mut window, "Add part");
    let score = window.state().document.history.score().clone();
    assert_eq!(score.parts.len(), before.parts.len() + 1);
    let added = before.parts.len();
    let of_added = format!("What can be done with Part {}", added + 1);
    press_exact(&mut window, &of_added);
    press_exact(&mut window, "Instrument");
    press_exact(&mut window, "Harpsichord");
    assert_eq!(window.state().document.history.score().parts[added].program, 6);
    press_exact(&mut window, &format!("What can be done with {name}"));
    press_exact(&mut window, "Select its notes");
    let n_notes = window.state().document.selection.len();
    press_exact(&mut window, &of_added);
    press_exact(&mut window, "Move the notes here");
    let score = window.state().document.history.score().clone();
    let n_moved = score.notes().iter().filter(|note| usize::from(note.part) == added).count();
    assert!(n_notes > 0 && n_moved >= n_notes);
    press_exact(&mut window, &of_added);
    press_exact(&mut window, "Delete the part");
    let score = window.state().document.history.score().clone();
    assert_eq!((score.parts.len(), score.notes().len()), (added, before.notes().len() - n_moved));
    for _ in 0..4 {
        window.keys(Modifiers::COMMAND, Key::Z);
    }
    assert_eq!(**window.state().document.history.score(), *before);
}

#[test]
fn a_name_half_written_is_given_to_no_other_piece() {
    let mut window = open();
    let piece = etude::assets::pieces()[3].1.clone();
    let path = window.folder.path().join("other.mid");
    std::fs::write(&path, etude::music::smf::write(&piece)).unwrap();
    let expected = etude::music::smf::read_file(&path).unwrap().score.parts[0].name.clone();
    let name = window.state().document.history.score().parts[0].name.clone();
    window.harness.get_by_label(&format!("Name of {name}")).click();
    window.harness.run_steps(2);
    window.harness.event(egui::Event::Text("Left".to_owned()));
    window.harness.run_steps(2);
    assert!(!window.state().document.written_names.is_empty());
    window.drop_on_it(&path);
    window.wait("the other piece is there", |app| app.state.document.source.is_some());
    window.harness.key_press(Key::Enter);
    window.harness.run_steps(3);
    assert_eq!(window.state().document.history.score().parts[0].name, expected);

    // What was being written when the panel was hidden is not given later either.
    let shown = if expected.is_empty() { "Part 1" } else { &expected };
    window.harness.get_by_label(&format!("Name of {shown}")).click();
    window.harness.run_steps(2);
    window.harness.event(egui::Event::Text("Left".to_owned()));
    window.harness.run_steps(2);
    window.harness.state_mut().state.preferences.shows_parts = false;
    window.harness.run_steps(3);
    window.harness.state_mut().state.preferences.shows_parts = true;
    window.harness.run_steps(3);
    assert_eq!(window.state().document.history.score().parts[0].name, expected);
}

#[test]
fn everything_can_be_larger_and_the_roll_remembers_its_options() {
    let mut window = open();
    press_exact(&mut window, "How the roll is shown");
    window.harness.get_by_label("Pitches that are used").click();
    window.harness.run_steps(3);
    press_exact(&mut window, "125 %");
    assert_eq!(window.state().preferences.ui_scale, 1.25);
    assert_eq!(window.state().preferences.roll.fold, etude::ui::piano_roll::Fold::UsedPitches);
    let json = serde_json::to_string(&window.state().preferences).unwrap();
    let read: etude::ui::Preferences = serde_json::from_str(&json).unwrap();
    assert_eq!(read, window.state().preferences);
}

#[test]
fn a_loop_is_dragged_along_the_ruler_of_the_window() {
    let mut window = open();
    let ruler = window.harness.get_by_label("Ruler").rect();
    let (from, to) = (ruler.left_center(), pos2(ruler.left() + 300.0, ruler.center().y));
    window.harness.event(egui::Event::ModifiersChanged(Modifiers::SHIFT));
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::SHIFT,
    };
    window.harness.hover_at(from);
    window.harness.run_steps(1);
    window.harness.event(button(from, true));
    window.harness.run_steps(1);
    window.harness.hover_at(to);
    window.harness.run_steps(1);
    window.harness.event(button(to, false));
    window.harness.event(egui::Event::ModifiersChanged(Modifiers::NONE));
    window.harness.run_steps(3);
    let (start, end) = window.state().document.loop_range.unwrap();
    assert!(start.0 == 0 && end > start, "{start:?} {end:?}");
    let menu = egui::Event::PointerButton {
        pos: to,
        button: egui::PointerButton::Secondary,
        pressed: true,
        modifiers: Modifiers::NONE,
    };
    window.harness.event(menu);
    window.harness.event(egui::Event::PointerButton {
        pos: to,
        button: egui::PointerButton::Secondary,
        pressed: false,
        modifiers: Modifiers::NONE,
    });
    window.harness.run_steps(4);
    press_exact(&mut window, "Remove the loop");
    assert_eq!(window.state().document.loop_range, None);
}

/// Clicks on the flag of that name, writes a number over its own and presses Enter.
fn write_flag(window: &mut Window, flag: &str, text: &str) {
    let pos = window.harness.get_by_label_contains(flag).rect().center();
    window.harness.drag_at(pos);
    window.harness.drop_at(pos);
    window.harness.run_steps(4);
    window.harness.event(egui::Event::Text(text.to_owned()));
    window.harness.run_steps(2);
    window.keys(Modifiers::NONE, Key::Enter);
}

#[test]
fn the_playhead_stays_at_its_bar_when_the_tempo_changes() {
    let mut window = open();
    let tempo = |window: &Window| {
        let map = &window.state().document.history.score().tempo_map;
        map.changes()[0].quarters_per_minute().round()
    };
    let ruler = pos2(700.0, window.harness.get_by_label_contains("Tempo ").rect().center().y);
    let before = tempo(&window);
    // A click on the ruler under the flags takes the playhead there.
    let ruler = ruler + egui::vec2(0.0, 18.0);
    window.harness.drag_at(ruler);
    window.harness.drop_at(ruler);
    window.harness.run_steps(4);
    let (tick, secs) = (window.state().score_playhead(), window.state().sound.playhead_secs);
    assert!(tick.0 > 480, "{tick:?}");
    write_flag(&mut window, "Tempo ", "33");
    assert!((tempo(&window) - 33.0).abs() < 0.01, "{}", tempo(&window));
    assert_eq!(window.state().score_playhead(), tick);
    assert!((window.state().sound.playhead_secs - secs * before / 33.0).abs() < 0.2);
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!((tempo(&window), window.state().score_playhead()), (before, tick));
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert_eq!((tempo(&window), window.state().score_playhead()), (33.0, tick));
}
