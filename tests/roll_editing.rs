//! What is done to chosen notes, by the keys, menus and dialogs of the whole window.
#![cfg(feature = "studio")]

mod common;

use common::window::Window;
use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, pos2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use etude::editor::{Clipboard, Selection};
use etude::music::{KeyScale, Note, Scale, Score, TempoMap, Tick, Velocity, smf};

fn note(start: u32, length: u32, pitch: &str) -> Note {
    let (start, length) = (Tick(start), Tick(length));
    let velocity = Velocity::new(80).unwrap();
    Note { start, length, pitch: pitch.parse().unwrap(), velocity, part: 0 }
}

/// The window with these notes, all of them chosen.
fn open(notes: &[Note]) -> Window {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.mid");
    let score = Score::piano(TempoMap::default(), notes.to_vec());
    std::fs::write(&path, smf::write(&score)).unwrap();
    let mut window = Window::open_in(folder, Some(path));
    // The roll alone, which makes frames quicker.
    let preferences = &mut window.harness.state_mut().state.preferences;
    preferences.shows_library = false;
    preferences.shows_compose = false;
    preferences.shows_curves = false;
    let n_notes = notes.len();
    window.wait("the file is read", move |app| {
        app.state.document.source.is_some()
            && app.state.document.history.score().notes().len() == n_notes
    });
    window.keys(Modifiers::COMMAND, Key::A);
    window
}

fn notes(window: &Window) -> Vec<Note> {
    window.state().document.history.score().notes().to_vec()
}

fn labels(window: &Window) -> Vec<String> {
    window.state().document.history.labels().map(str::to_owned).collect()
}

fn selected(window: &Window) -> Vec<(u32, u8)> {
    window.state().document.selection.iter().map(|key| (key.start, key.pitch)).collect()
}

/// These notes take the place of those there are, the first at the start, all of them chosen.
fn set(window: &mut Window, notes: &[Note]) {
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::Delete);
    let score = Score::piano(TempoMap::default(), notes.to_vec());
    let clipboard = Clipboard::copy(&score, &Selection::all(&score)).unwrap();
    window.harness.event(Event::Paste(clipboard.to_text()));
    window.harness.run_steps(2);
    assert_eq!(self::notes(window), notes);
}

/// A key does this to the notes, as one step with this name; undo brings them back, chosen.
fn check(
    window: &mut Window,
    before: &[Note],
    (modifiers, key): (Modifiers, Key),
    label: &str,
    after: &[Note],
) {
    set(window, before);
    let (chosen, n_steps) = (selected(window), labels(window).len());
    window.keys(modifiers, key);
    assert_eq!(notes(window), after, "{label}");
    assert_eq!(labels(window)[n_steps..], [label]);
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(notes(window), before, "{label}");
    assert_eq!(selected(window), chosen, "{label}");
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert_eq!(notes(window), after, "{label}");
}

#[test]
fn operations_have_keys_and_are_one_step_each() {
    let three = [note(0, 240, "C4"), note(480, 240, "E4"), note(960, 480, "C4")];
    let shift = |key| (Modifiers::SHIFT, key);
    let ctrl = |key| (Modifiers::COMMAND, key);
    let plain = |key| (Modifiers::NONE, key);
    let w = &mut open(&three);
    let (legato, joined) = (
        [note(0, 480, "C4"), note(480, 480, "E4"), note(960, 480, "C4")],
        [note(0, 1440, "C4"), note(480, 240, "E4")],
    );
    check(w, &three, shift(Key::L), "Legato on 2 notes", &legato);
    check(w, &three, shift(Key::J), "Join 2 notes", &joined);
    let reversed = [note(0, 480, "C4"), note(720, 240, "E4"), note(1200, 240, "C4")];
    check(w, &three, shift(Key::R), "Reverse 3 notes", &reversed);
    let inverted = [note(0, 240, "E4"), note(480, 240, "C4"), note(960, 480, "E4")];
    check(w, &three, shift(Key::I), "Invert 3 notes", &inverted);
    let doubled = [
        three[0],
        three[1],
        three[2],
        note(1440, 240, "C4"),
        note(1920, 240, "E4"),
        note(2400, 480, "C4"),
    ];
    check(w, &three, ctrl(Key::D), "Duplicate 3 notes", &doubled);
    check(w, &three, plain(Key::Delete), "Delete 3 notes", &[]);
    check(w, &three, ctrl(Key::X), "Cut 3 notes", &[]);
    let up = [note(0, 240, "D4"), note(480, 240, "F4"), note(960, 480, "D4")];
    check(w, &three, (Modifiers::ALT, Key::ArrowUp), "Transpose 3 notes", &up);
    let overlapping = [note(0, 960, "C4"), note(480, 480, "C4")];
    let apart = [note(0, 480, "C4"), note(480, 480, "C4")];
    check(w, &overlapping, shift(Key::O), "Remove overlaps of 2 notes", &apart);
    let off = [note(0, 480, "C4"), note(485, 480, "C4")];
    let on = [note(0, 480, "C4"), note(480, 480, "C4")];
    check(w, &off, plain(Key::Q), "Quantize note", &on);
}

#[test]
fn the_playhead_is_where_notes_are_split_pasted_and_selected_from() {
    let before = [note(0, 1920, "C4"), note(1920, 480, "E4")];
    let mut window = open(&before);
    seek(&mut window, 480);
    window.keys(Modifiers::SHIFT, Key::S);
    assert_eq!(notes(&window), [note(0, 480, "C4"), note(480, 1440, "C4"), note(1920, 480, "E4")]);
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::F);
    assert_eq!(selected(&window), [(480, 60), (1920, 64)]);
    window.keys(Modifiers::COMMAND, Key::I);
    assert_eq!(selected(&window), [(0, 60)]);
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::P);
    assert_eq!(selected(&window), [(0, 60), (480, 60)]);
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::A);
    assert_eq!(selected(&window), []);
    assert_eq!(labels(&window), ["Split note"], "choosing is no step");
}

/// Places the playhead as a click on the ruler does.
fn seek(window: &mut Window, tick: u32) {
    let ruler = window.harness.get_by_label_contains("Ruler").rect();
    click(window, pos2(x_from_tick(window, tick), ruler.center().y), PointerButton::Primary);
}

/// Where a tick lies, if the first chosen note lasts the first bar.
fn x_from_tick(window: &Window, tick: u32) -> f32 {
    let first = window.harness.get_by_label_contains("bar 1 beat 1, ").rect();
    first.left() + first.width() / 1920.0 * tick as f32
}

fn click(window: &mut Window, pos: Pos2, button: PointerButton) {
    window.harness.hover_at(pos);
    for pressed in [true, false] {
        let modifiers = Modifiers::NONE;
        window.harness.event(Event::PointerButton { pos, button, pressed, modifiers });
    }
    window.harness.run_steps(5);
}

#[test]
fn notes_go_through_the_clipboard_as_text() {
    let before = [note(0, 480, "C4"), note(480, 480, "E4")];
    let mut window = open(&before);
    window.harness.event(Event::Copy);
    window.harness.run_steps(1);
    let copied =
        window.harness.output().platform_output.commands.iter().find_map(|command| match command {
            egui::OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        });
    let text = copied.unwrap();
    assert_eq!(Clipboard::from_text(&text).unwrap().len(), 2);
    window.keys(Modifiers::NONE, Key::Delete);
    assert_eq!(notes(&window), []);
    window.harness.event(Event::Paste(text.clone()));
    window.harness.run_steps(3);
    assert_eq!(notes(&window), before);
    assert_eq!(selected(&window), [(0, 60), (480, 64)]);
    assert_eq!(labels(&window), ["Delete 2 notes", "Paste 2 notes"]);
    // Pasted over themselves they are chosen, though nothing changes.
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::A);
    window.harness.event(Event::Paste(text));
    window.harness.run_steps(3);
    assert_eq!(selected(&window), [(0, 60), (480, 64)]);
    assert_eq!(labels(&window).len(), 2);
    // What isn't notes is refused in words, and nothing is lost.
    window.harness.event(Event::Paste("a shopping list".to_owned()));
    window.harness.run_steps(3);
    assert!(window.sees("can't be pasted"));
    assert_eq!(notes(&window), before);
    window.harness.event(Event::Cut);
    window.harness.run_steps(3);
    assert_eq!(notes(&window), []);
    // Without an answer of the system what was cut here is pasted.
    window.keys(Modifiers::COMMAND, Key::V);
    assert_eq!(notes(&window), before);
}

/// What a dialog makes of the notes, with these numbers in its fields.
fn dialog(
    window: &mut Window,
    before: &[Note],
    open_with: Key,
    fields: &[(&str, &str)],
) -> Vec<Note> {
    set(window, before);
    window.keys(Modifiers::SHIFT, open_with);
    for (name, text) in fields {
        window.harness.get_by_role_and_label(Role::SpinButton, name).focus();
        window.harness.run_steps(2);
        window.keys(Modifiers::COMMAND, Key::A);
        window.harness.event(Event::Text((*text).to_owned()));
        window.harness.run_steps(2);
    }
    window.keys(Modifiers::NONE, Key::Enter);
    assert!(!window.sees("Apply"), "{open_with:?}: Enter applies and closes");
    let after = notes(window);
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(notes(window), before);
    after
}

#[test]
fn dialogs_are_applied_by_enter_and_remembered() {
    let two = [note(0, 480, "C4"), note(480, 480, "E4")];
    let w = &mut open(&two);
    let after = dialog(w, &two, Key::T, &[("Up by", "-5")]);
    assert_eq!(after, [note(0, 480, "G3"), note(480, 480, "B3")]);
    assert_eq!(w.state().preferences.edits.transpose, -5);
    let after = dialog(w, &two, Key::T, &[]);
    assert_eq!(after, [note(0, 480, "G3"), note(480, 480, "B3")]);

    let after = dialog(w, &two, Key::X, &[("Length in percent", "50")]);
    assert_eq!(after, [note(0, 240, "C4"), note(480, 240, "E4")]);
    let after = dialog(w, &two, Key::V, &[("Velocity", "33")]);
    assert!(after.iter().all(|note| note.velocity.number() == 33));
    let after = dialog(w, &two, Key::G, &[]);
    assert!(after.iter().all(|note| note.length == Tick(240)), "an eighth by default");
    let off = [note(0, 480, "C4"), note(500, 480, "E4")];
    let after = dialog(w, &off, Key::Q, &[("Strength in percent", "50")]);
    assert_eq!(after, [note(0, 480, "C4"), note(490, 480, "E4")]);
    let mut seeded = |seed: &str| dialog(w, &two, Key::H, &[("Seed", seed)]);
    let seven = seeded("7");
    assert_ne!(seven, two);
    assert_ne!(seven, seeded("8"));
    assert_eq!(seven, seeded("7"));
}

#[test]
fn a_dialog_begins_with_its_number_selected_and_refuses_what_is_none() {
    let two = [note(0, 480, "C4"), note(480, 480, "E4")];
    let w = &mut open(&two);
    let write = |w: &mut Window, text: &str| {
        w.harness.event(Event::Text(text.to_owned()));
        w.harness.run_steps(2);
    };
    for (key, text, expected) in [
        (Key::T, "-5", [note(0, 480, "G3"), note(480, 480, "B3")]),
        (Key::X, "50", [note(0, 240, "C4"), note(480, 240, "E4")]),
    ] {
        set(w, &two);
        w.keys(Modifiers::SHIFT, key);
        write(w, text);
        w.keys(Modifiers::NONE, Key::Enter);
        assert!(!w.sees("Apply"));
        assert_eq!(notes(w), expected, "what is written takes the number's place");
        w.keys(Modifiers::COMMAND, Key::Z);
    }
    w.keys(Modifiers::SHIFT, Key::T);
    for (text, words) in [("12-5", "“12-5” is no number"), ("500", "“500” is too much")] {
        w.keys(Modifiers::COMMAND, Key::A);
        write(w, text);
        assert!(w.sees(words), "{text}");
        w.keys(Modifiers::NONE, Key::Enter);
        w.press("Apply");
        assert!(w.sees("Apply") && w.sees(words), "{text} isn't applied");
        assert_eq!(notes(w), two);
    }
    w.keys(Modifiers::NONE, Key::Escape);
    assert_eq!(w.state().preferences.edits.transpose, -5, "what was refused is forgotten");
    // It opens anew with the number that was applied.
    w.keys(Modifiers::SHIFT, Key::T);
    assert!(!w.sees("too much"));
    w.keys(Modifiers::NONE, Key::Enter);
    assert_eq!(notes(w), [note(0, 480, "G3"), note(480, 480, "B3")]);
}

#[test]
fn enter_applies_from_a_list_too() {
    let two = [note(0, 480, "C4"), note(480, 480, "E4")];
    let w = &mut open(&two);
    set(w, &two);
    w.keys(Modifiers::SHIFT, Key::G);
    let list = w.harness.get_all_by_role(Role::ComboBox).last().unwrap();
    list.focus();
    w.harness.run_steps(2);
    w.keys(Modifiers::NONE, Key::Enter);
    assert!(!w.sees("Apply"));
    assert!(notes(w).iter().all(|note| note.length == Tick(240)));
}

#[test]
fn escape_closes_a_dialog_and_changes_nothing() {
    let two = [note(0, 480, "C4"), note(480, 480, "E4")];
    let mut window = open(&two);
    window.keys(Modifiers::SHIFT, Key::T);
    assert!(window.sees("Apply"));
    window.keys(Modifiers::NONE, Key::Escape);
    assert!(!window.sees("Apply"));
    window.keys(Modifiers::SHIFT, Key::T);
    window.press("Cancel");
    assert!(!window.sees("Apply"));
    assert_eq!(notes(&window), two);
    assert!(labels(&window).is_empty());
}

/// A line of a menu, whose name ends with its keys.
fn press_item(window: &mut Window, name: &str) {
    window.harness.get_by_label_contains(name).click();
    window.harness.run_steps(4);
}

#[test]
fn the_other_button_shows_what_can_be_done_there() {
    let two = [note(0, 1920, "C4"), note(1920, 480, "E4")];
    let mut window = open(&two);
    let on_note = window.harness.get_by_label_contains("bar 1 beat 1, ").rect().center();
    click(&mut window, on_note, PointerButton::Secondary);
    assert!(window.sees("2 notes"));
    press_item(&mut window, "Invert pitches");
    assert_eq!(labels(&window), ["Invert 2 notes"]);
    // Escape closes the menu, and lets go of nothing.
    let on_note = window.harness.get_by_label_contains("bar 1 beat 1, ").rect().center();
    click(&mut window, on_note, PointerButton::Secondary);
    assert!(window.sees("Legato"));
    window.keys(Modifiers::NONE, Key::Escape);
    assert!(!window.sees("Legato"));
    assert_eq!(selected(&window).len(), 2);
    // An empty place: a note can be written there.
    let canvas = window.harness.get_by_label_contains("Piano roll").rect();
    click(&mut window, canvas.right_bottom() - egui::vec2(30.0, 60.0), PointerButton::Secondary);
    press_item(&mut window, "Add a note at the caret");
    assert_eq!(notes(&window).len(), 3);
    assert_eq!(labels(&window).last().map(String::as_str), Some("Add note"));
}

#[test]
fn commands_wait_until_a_drag_is_over() {
    let before = [note(0, 1920, "C4"), note(1920, 480, "E4")];
    let mut window = open(&before);
    let lower = window.harness.get_by_label_contains("bar 1 beat 1, ").rect();
    let upper = window.harness.get_by_label_contains("bar 2 beat 1, ").rect();
    let from = lower.center();
    let to = pos2(from.x, (from.y + upper.center().y) / 2.0);
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    window.harness.hover_at(from);
    window.harness.event(button(from, true));
    window.harness.run_steps(1);
    window.harness.hover_at(to);
    window.harness.run_steps(2);
    let shift = Modifiers::SHIFT;
    for (modifiers, key) in
        [(Modifiers::NONE, Key::Delete), (Modifiers::NONE, Key::Q), (shift, Key::R)]
    {
        window.keys(modifiers, key);
        assert_eq!(notes(&window), before, "{key:?}");
    }
    window.harness.event(Event::Cut);
    window.keys(Modifiers::COMMAND, Key::Z);
    window.harness.event(button(to, false));
    window.harness.run_steps(3);
    assert_eq!(notes(&window), [note(0, 1920, "D4"), note(1920, 480, "F#4")]);
    assert_eq!(labels(&window), ["Move 2 notes"]);
}

#[test]
fn what_the_wheel_has_done_is_undone_by_itself() {
    let mut window = open(&[note(0, 1920, "C4"), note(1920, 480, "E4")]);
    window.keys(Modifiers::SHIFT, Key::R);
    let earlier = notes(&window);
    let n_steps = labels(&window).len();
    let lane = window.harness.get_by_label("Velocities").rect();
    let second = window.harness.get_by_label_contains("bar 1 beat 2, ").rect();
    let pos = pos2(second.left() + 2.0, lane.center().y);
    window.harness.hover_at(pos);
    window.harness.run_steps(2);
    window.harness.event(Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta: egui::vec2(0.0, 1.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
    window.harness.run_steps(1);
    assert_eq!(notes(&window), earlier, "it is still being turned");
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(notes(&window), earlier);
    assert_eq!(labels(&window).len(), n_steps + 1);
    window.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert!(notes(&window).iter().all(|note| note.velocity.number() == 84));
}

#[test]
fn what_the_wheel_does_in_the_frame_of_an_undo_is_what_is_undone() {
    let mut window = open(&[note(0, 1920, "C4")]);
    window.keys(Modifiers::COMMAND, Key::A);
    window.keys(Modifiers::NONE, Key::ArrowUp);
    window.keys(Modifiers::SHIFT, Key::R);
    let (earlier, n_steps) = (notes(&window), labels(&window).len());
    let lane = window.harness.get_by_label("Velocities").rect();
    window.harness.hover_at(pos2(lane.left() + 2.0, lane.center().y));
    window.harness.run_steps(2);
    let events = &mut window.harness.input_mut().events;
    events.push(Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta: egui::vec2(0.0, 1.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
    events.push(Event::Key {
        key: Key::Z,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::COMMAND,
    });
    window.harness.run_steps(3);
    assert_eq!(notes(&window), earlier);
    assert_eq!(labels(&window).len(), n_steps + 1);
}

#[test]
fn chosen_notes_snap_to_the_scale_and_end_goes_to_the_end() {
    let mut window = open(&[note(0, 480, "C#4"), note(480, 480, "E4")]);
    window.harness.state_mut().state.document.choose_key(Some(KeyScale::new(0, Scale::Major)));
    window.keys(Modifiers::COMMAND, Key::A);
    window.press("Notes");
    window.harness.get_by_label_contains("Snap to the scale").click();
    window.harness.run_steps(3);
    assert_eq!(notes(&window), [note(0, 480, "C4"), note(480, 480, "E4")]);
    assert_eq!(labels(&window), ["Snap note"]);
    window.keys(Modifiers::NONE, Key::End);
    let end = window.state().document.history.score().duration_secs();
    assert!((window.state().sound.playhead_secs - end).abs() < 1e-3);
    window.keys(Modifiers::NONE, Key::Home);
    assert_eq!(window.state().sound.playhead_secs, 0.0);
}

#[test]
fn tools_are_taken_up_by_key_and_button() {
    let mut window = open(&[note(0, 480, "C4")]);
    let is_on = |window: &Window, name: &str| {
        let button = window.harness.get_by_role_and_label(Role::Button, name);
        button.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    for (key, name) in [
        (Key::Num2, "Draw tool"),
        (Key::Num3, "Erase tool"),
        (Key::Num4, "Split tool"),
        (Key::Num1, "Select tool"),
    ] {
        window.keys(Modifiers::NONE, key);
        assert!(is_on(&window, name), "{name}");
    }
    window.press("Draw tool");
    assert!(is_on(&window, "Draw tool") && !is_on(&window, "Select tool"));
    window.press("Hear notes while editing");
    assert!(!window.state().preferences.hears_notes);
}

#[test]
fn messages_leave_the_lanes_and_the_map_free() {
    let window = open(&[note(0, 480, "C4")]);
    let top = window.harness.get_by_role_and_label(Role::Canvas, "Velocities").rect().top();
    let notices: Vec<_> = window.harness.query_all_by_label("Dismiss").collect();
    assert!(!notices.is_empty(), "that the file was opened is told");
    for notice in notices {
        assert!(notice.rect().bottom() < top, "{:?} reaches below {top}", notice.rect());
    }
}

#[test]
fn the_readme_has_the_table_of_keys() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("<!-- keys -->\n").unwrap();
    let (table, _) = rest.split_once("\n<!-- end of keys -->").unwrap();
    let expected = etude::ui::key_table_markdown();
    assert_eq!(table, expected, "put this into the README:\n{expected}\n");
}

#[test]
fn a_question_mark_shows_the_table_of_keys() {
    let mut window = open(&[note(0, 480, "C4")]);
    window.keys(Modifiers::SHIFT, Key::Questionmark);
    assert!(window.sees("In the roll, with the mouse") && window.sees("Ctrl+Shift+Z"));
    window.keys(Modifiers::NONE, Key::Escape);
    assert!(!window.sees("In the roll, with the mouse"));
}
