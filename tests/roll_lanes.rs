//! Lanes, ruler and flags of the piano roll, driven through the same events a person causes.
#![cfg(feature = "studio")]

mod common;

use common::roll::Desk;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable};
use etude::editor::{History, NoteKey, Selection};
use etude::music::{
    Meter, MeterChange, Note, PedalSpan, Score, TempoChange, TempoMap, Tick, Velocity,
};
use etude::ui::piano_roll::{KeyTouch, PianoRollEditor};

type Roll = Harness<'static, Desk>;

fn note(start: u32, pitch: &str) -> Note {
    common::roll::note(start, 480, pitch)
}

fn open_score(score: Score) -> Roll {
    common::roll::open(score, PianoRollEditor::default())
}

/// Four quarters, C4 to F4.
fn open() -> Roll {
    open_score(four_quarters())
}

fn four_quarters() -> Score {
    let pitches = ["C4", "D4", "E4", "F4"];
    let notes = (0u32..).zip(pitches).map(|(beat, pitch)| note(beat * 480, pitch));
    Score::piano(TempoMap::default(), notes.collect())
}

trait Hands {
    fn x(&self, tick: u32) -> f32;
    fn area(&self, label: &str) -> Rect;
    /// A place in the velocity lane.
    fn velocity_at(&self, tick: u32, velocity: u8) -> Pos2;
    fn pedal_at(&self, tick: u32) -> Pos2;
    fn ruler_at(&self, tick: u32) -> Pos2;
    fn button(&mut self, pos: Pos2, button: PointerButton, pressed: bool, held: Modifiers);
    fn click_with(&mut self, pos: Pos2, button: PointerButton, held: Modifiers);
    /// Pressed and released before the roll is drawn again.
    fn click_at_once(&mut self, pos: Pos2, held: Modifiers);
    fn press_and_move(&mut self, path: &[Pos2], held: Modifiers);
    fn release(&mut self, pos: Pos2, held: Modifiers);
    fn drag(&mut self, path: &[Pos2], held: Modifiers);
    fn velocities(&self) -> Vec<u8>;
    fn pedal(&self) -> Vec<(u32, u32)>;
    fn undone(&mut self) -> Score;
}

impl Hands for Roll {
    fn x(&self, tick: u32) -> f32 {
        self.state().roll.viewport().x_from_tick(f64::from(tick))
    }

    fn area(&self, label: &str) -> Rect {
        self.get_by_label(label).rect()
    }

    fn velocity_at(&self, tick: u32, velocity: u8) -> Pos2 {
        let lane = self.area("Velocities");
        let share = (f32::from(velocity) - 1.0) / 126.0;
        pos2(self.x(tick), lane.bottom() - lane.height() * share)
    }

    fn pedal_at(&self, tick: u32) -> Pos2 {
        pos2(self.x(tick), self.area("Sustain pedal").center().y)
    }

    fn ruler_at(&self, tick: u32) -> Pos2 {
        pos2(self.x(tick), self.area("Ruler").center().y)
    }

    fn button(&mut self, pos: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) {
        self.event(Event::PointerButton { pos, button, pressed, modifiers });
    }

    fn click_with(&mut self, pos: Pos2, button: PointerButton, held: Modifiers) {
        self.hover_at(pos);
        self.event(Event::ModifiersChanged(held));
        self.run_steps(1);
        self.button(pos, button, true, held);
        self.button(pos, button, false, held);
        self.event(Event::ModifiersChanged(Modifiers::NONE));
        self.run_steps(4);
    }

    fn click_at_once(&mut self, pos: Pos2, modifiers: Modifiers) {
        self.hover_at(pos);
        self.run_steps(2);
        for pressed in [true, false] {
            let button = PointerButton::Primary;
            let event = Event::PointerButton { pos, button, pressed, modifiers };
            self.input_mut().events.push(event);
        }
        self.run_steps(3);
    }

    fn press_and_move(&mut self, path: &[Pos2], held: Modifiers) {
        self.hover_at(path[0]);
        self.event(Event::ModifiersChanged(held));
        self.run_steps(1);
        self.button(path[0], PointerButton::Primary, true, held);
        self.run_steps(1);
        for pair in path.windows(2) {
            for share in [0.5, 1.0] {
                self.hover_at(pair[0] + (pair[1] - pair[0]) * share);
                self.run_steps(1);
            }
        }
    }

    fn release(&mut self, pos: Pos2, held: Modifiers) {
        self.button(pos, PointerButton::Primary, false, held);
        self.event(Event::ModifiersChanged(Modifiers::NONE));
        self.run_steps(4);
    }

    fn drag(&mut self, path: &[Pos2], held: Modifiers) {
        self.press_and_move(path, held);
        self.release(path[path.len() - 1], held);
    }

    fn velocities(&self) -> Vec<u8> {
        self.state().history.score().notes().iter().map(|note| note.velocity.number()).collect()
    }

    fn pedal(&self) -> Vec<(u32, u32)> {
        let spans = self.state().history.score().pedal.iter();
        spans.map(|span| (span.start.0, span.end.0)).collect()
    }

    fn undone(&mut self) -> Score {
        self.state_mut().history.undo();
        Score::clone(self.state().history.score())
    }
}

/// The points of the screen round a little.
fn are_about(found: &[u8], expected: &[u8]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(one, other)| one.abs_diff(*other) <= 2)
}

#[test]
fn dragging_along_the_velocities_draws_them_as_one_step() {
    let mut roll = open();
    let path = [roll.velocity_at(0, 20), roll.velocity_at(960, 100)];
    roll.drag(&path, Modifiers::NONE);
    let found = roll.velocities();
    assert!(are_about(&found, &[20, 60, 100, 80]), "{found:?}");
    assert_eq!(roll.state().labels, ["Set velocity of 3 notes"]);
    assert!(roll.state().selection.is_empty(), "the next drag draws on all notes again");
    assert_eq!(roll.undone(), four_quarters());
}

#[test]
fn a_click_in_the_velocities_sets_one_note() {
    let mut roll = open();
    let pos = roll.velocity_at(480, 110);
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    let found = roll.velocities();
    assert!(are_about(&found, &[80, 110, 80, 80]), "{found:?}");
}

#[test]
fn shift_draws_a_line_however_crooked_the_way() {
    let mut roll = open();
    let path = [roll.velocity_at(0, 20), roll.velocity_at(700, 127), roll.velocity_at(1440, 110)];
    roll.drag(&path, Modifiers::SHIFT);
    let found = roll.velocities();
    assert!(are_about(&found, &[20, 50, 80, 110]), "{found:?}");
    assert_eq!(roll.undone(), four_quarters());
}

#[test]
fn only_selected_notes_are_drawn() {
    let mut roll = open();
    let second = roll.state().history.score().notes()[1];
    roll.state_mut().selection = Selection::from([NoteKey::from(&second)]);
    roll.run_steps(2);
    let path = [roll.velocity_at(0, 30), roll.velocity_at(1440, 30)];
    roll.drag(&path, Modifiers::NONE);
    let found = roll.velocities();
    assert!(are_about(&found, &[80, 30, 80, 80]), "{found:?}");
}

#[test]
fn escape_gives_the_velocities_back() {
    let mut roll = open();
    let path = [roll.velocity_at(0, 20), roll.velocity_at(960, 100)];
    roll.press_and_move(&path, Modifiers::NONE);
    assert!(roll.state().status.starts_with("Velocity 100"), "{}", roll.state().status);
    roll.key_press(Key::Escape);
    roll.run_steps(1);
    roll.release(path[1], Modifiers::NONE);
    assert!(roll.state().labels.is_empty());
    assert_eq!(**roll.state().history.score(), four_quarters());
}

#[test]
fn the_wheel_over_a_bar_is_one_step_for_several_notches() {
    let mut roll = open();
    let pos = roll.velocity_at(480, 60) + vec2(2.0, 0.0);
    roll.hover_at(pos);
    roll.run_steps(2);
    for _ in 0..3 {
        roll.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: vec2(0.0, 1.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: Modifiers::NONE,
        });
        roll.run_steps(2);
    }
    assert!(roll.state().labels.is_empty(), "it is still being turned");
    roll.run_steps(20);
    assert_eq!(roll.velocities(), [80, 92, 80, 80]);
    assert!(roll.state().selection.is_empty(), "the next note can be turned likewise");
    assert_eq!(roll.state().labels, ["Set velocity of note"]);
    assert_eq!(roll.undone(), four_quarters());
}

#[test]
fn a_click_within_a_frame_counts_in_every_area() {
    let mut roll = open();
    let keyboard = roll.area("Keyboard");
    let viewport = roll.state().roll.viewport();
    let y = viewport.y_from_pitch(60) + viewport.row_height() / 2.0;
    let key = pos2(keyboard.right() - 6.0, y);
    roll.click_at_once(key, Modifiers::NONE);
    let pitch = "C4".parse().unwrap();
    let down = KeyTouch::Down(pitch, Velocity::new(90).unwrap());
    assert_eq!(roll.state().touches, [down, KeyTouch::Up]);

    let pos = roll.ruler_at(960);
    roll.click_at_once(pos, Modifiers::NONE);
    assert_eq!(roll.state().seeks, [1.0]);
    assert_eq!(roll.state().n_scrubs_ended, 0);

    let pos = roll.velocity_at(480, 40);
    roll.click_at_once(pos, Modifiers::NONE);
    assert!(are_about(&roll.velocities(), &[80, 40, 80, 80]), "{:?}", roll.velocities());

    // Nothing is drawn by a click, but a press that was missed would go on as no drag.
    let pos = roll.pedal_at(480);
    roll.click_at_once(pos, Modifiers::NONE);
    assert_eq!(roll.pedal(), []);
    assert!(!roll.state().roll.is_dragging());
}

#[test]
fn a_number_can_be_written_for_the_selected_notes() {
    let mut roll = open();
    let all = Selection::all(roll.state().history.score());
    roll.state_mut().selection = all;
    roll.run_steps(2);
    roll.get_by_label("Velocity").click();
    roll.run_steps(2);
    roll.key_press_modifiers(Modifiers::COMMAND, Key::A);
    roll.event(Event::Text("33".to_owned()));
    roll.run_steps(1);
    roll.key_press(Key::Enter);
    roll.run_steps(3);
    assert_eq!(roll.velocities(), [33; 4]);
    assert_eq!(roll.state().labels, ["Set velocity of 4 notes"]);
}

#[test]
fn lanes_fold_away_and_come_back() {
    let mut roll = open();
    roll.get_by_label("Velocity lane").click();
    roll.get_by_label("Pedal lane").click();
    roll.run_steps(3);
    assert!(roll.query_by_label("Velocities").is_none());
    assert!(roll.query_by_label("Sustain pedal").is_none());
    assert!(!roll.state().roll.options.shows_velocities);
    roll.get_by_label("Velocity lane").click();
    roll.run_steps(3);
    roll.get_by_label("Velocities");
}

#[test]
fn the_pedal_is_drawn_resized_moved_erased_and_deleted() {
    let mut roll = open();
    let path = [roll.pedal_at(0), roll.pedal_at(960)];
    roll.drag(&path, Modifiers::NONE);
    assert_eq!(roll.pedal(), [(0, 960)]);

    let path = [roll.pedal_at(960) - vec2(2.0, 0.0), roll.pedal_at(1440)];
    roll.drag(&path, Modifiers::NONE);
    assert_eq!(roll.pedal(), [(0, 1440)]);

    let path = [roll.pedal_at(720), roll.pedal_at(1200)];
    roll.drag(&path, Modifiers::NONE);
    assert_eq!(roll.pedal(), [(480, 1920)]);

    let path = [roll.pedal_at(960), roll.pedal_at(1440)];
    roll.drag(&path, Modifiers::COMMAND);
    assert_eq!(roll.pedal(), [(480, 960), (1440, 1920)]);

    let pos = roll.pedal_at(600);
    roll.hover_at(pos);
    for _ in 0..2 {
        roll.button(pos, PointerButton::Primary, true, Modifiers::NONE);
        roll.button(pos, PointerButton::Primary, false, Modifiers::NONE);
    }
    roll.run_steps(4);
    assert_eq!(roll.pedal(), [(1440, 1920)]);
    let expected = ["Draw pedal", "Resize pedal", "Move pedal", "Erase pedal", "Delete pedal"];
    assert_eq!(roll.state().labels, expected);
    roll.state_mut().history.jump_to(0);
    assert_eq!(**roll.state().history.score(), four_quarters());
}

#[test]
fn escape_gives_the_pedal_back() {
    let mut roll = open();
    let path = [roll.pedal_at(0), roll.pedal_at(960)];
    roll.press_and_move(&path, Modifiers::NONE);
    roll.key_press(Key::Escape);
    roll.run_steps(1);
    roll.release(path[1], Modifiers::NONE);
    assert!(roll.pedal().is_empty() && roll.state().labels.is_empty());
}

#[test]
fn the_pedal_follows_the_part_of_the_selection() {
    let mut score = four_quarters();
    score.parts.push(score.parts[0].clone());
    let mut notes = score.notes().to_vec();
    notes[3].part = 1;
    score.set_notes(notes);
    score.pedal = vec![PedalSpan { start: Tick(0), end: Tick(480), part: 0 }];
    let mut roll = open_score(score);
    let last = roll.state().history.score().notes()[3];
    roll.state_mut().selection = Selection::from([NoteKey::from(&last)]);
    roll.run_steps(2);
    // Across the other part's stretch: it is left alone.
    let path = [roll.pedal_at(0), roll.pedal_at(960)];
    roll.drag(&path, Modifiers::NONE);
    let spans = &roll.state().history.score().pedal;
    let parts: Vec<(u32, u8)> = spans.iter().map(|span| (span.end.0, span.part)).collect();
    assert_eq!(parts, [(480, 0), (960, 1)]);
}

#[test]
fn dragging_the_ruler_scrubs_and_a_click_only_seeks() {
    let mut roll = open();
    let pos = roll.ruler_at(960);
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    assert_eq!((roll.state().seeks.as_slice(), roll.state().scrubs.len()), (&[1.0][..], 0));
    assert_eq!(roll.state().n_scrubs_ended, 0);
    let path = [roll.ruler_at(960), roll.ruler_at(1920)];
    roll.drag(&path, Modifiers::NONE);
    assert_eq!(roll.state().scrubs.last(), Some(&2.0));
    assert_eq!(roll.state().n_scrubs_ended, 1);
    assert!(roll.state().labels.is_empty(), "looking is no step");
}

#[test]
fn shift_sets_a_loop_whose_ends_can_be_moved() {
    let mut roll = open();
    let path = [roll.ruler_at(1920), roll.ruler_at(480)];
    roll.drag(&path, Modifiers::SHIFT);
    assert_eq!(roll.state().roll.marks.loop_range, Some((Tick(480), Tick(1920))));
    let path = [roll.ruler_at(1920), roll.ruler_at(2880)];
    roll.drag(&path, Modifiers::NONE);
    assert_eq!(roll.state().roll.marks.loop_range, Some((Tick(480), Tick(2880))));
    assert!(roll.state().seeks.is_empty());
    let pos = roll.ruler_at(0);
    roll.click_with(pos, PointerButton::Primary, Modifiers::SHIFT);
    assert_eq!(roll.state().roll.marks.loop_range, None);
    // Escape leaves it as it was.
    let path = [roll.ruler_at(0), roll.ruler_at(960)];
    roll.press_and_move(&path, Modifiers::SHIFT);
    roll.key_press(Key::Escape);
    roll.run_steps(1);
    roll.release(path[1], Modifiers::SHIFT);
    assert_eq!(roll.state().roll.marks.loop_range, None);
}

#[test]
fn control_selects_a_stretch_of_time() {
    let mut roll = open();
    let path = [roll.ruler_at(480), roll.ruler_at(1440)];
    roll.drag(&path, Modifiers::COMMAND);
    let starts: Vec<u32> = roll.state().selection.iter().map(|key| key.start).collect();
    assert_eq!(starts, [480, 960]);
    assert!(roll.state().labels.is_empty() && roll.state().seeks.is_empty());
}

#[test]
fn the_ruler_tells_bars_and_seconds() {
    let mut roll = open();
    let pos = roll.ruler_at(960) + vec2(0.5, 0.0);
    roll.hover_at(pos);
    roll.run_steps(2);
    assert!(roll.state().status.starts_with("1:3:0"), "{}", roll.state().status);
    assert!(roll.state().status.ends_with("0:01.0 s"), "{}", roll.state().status);
}

fn with_changes() -> Score {
    let mut score = four_quarters();
    let micros = |tick, micros_per_quarter| TempoChange { tick: Tick(tick), micros_per_quarter };
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
    let tempos = vec![micros(0, 500_000), micros(2880, 600_000)];
    score.tempo_map = TempoMap::new(ticks_per_quarter, tempos);
    let meter = Meter { numerator: 3, denominator_power: 2 };
    score.meters = vec![MeterChange { tick: Tick(3840), meter }];
    score
}

#[test]
fn an_imported_tempo_and_meter_stand_on_the_ruler() {
    let roll = open_score(with_changes());
    for label in [
        "Tempo 120 bpm at 1:1:000",
        "Meter 4/4 at 1:1:000",
        "Tempo 100 bpm at 2:3:000",
        "Meter 3/4 at 3:1:000",
    ] {
        roll.get_by_label(label);
    }
}

#[test]
fn a_click_on_a_flag_changes_it_by_a_number() {
    let mut roll = open_score(with_changes());
    let pos = roll.area("Tempo 100 bpm at 2:3:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(3);
    roll.key_press_modifiers(Modifiers::COMMAND, Key::A);
    roll.event(Event::Text("72".to_owned()));
    roll.run_steps(1);
    roll.key_press(Key::Enter);
    roll.run_steps(3);
    assert_eq!(roll.state().labels, ["Change tempo to 72"]);
    roll.get_by_label("Tempo 72 bpm at 2:3:000");
    assert!(roll.query_by_label("Set").is_none(), "it closes");
    assert_eq!(roll.undone(), with_changes());
}

#[test]
fn a_flags_number_is_written_over_and_refused_when_it_cant_be() {
    for (flag, text, label) in [
        ("Tempo 100 bpm at 2:3:000", "90", "Change tempo to 90"),
        ("Meter 3/4 at 3:1:000", "5", "Change meter to 5/4"),
    ] {
        let mut roll = open_score(with_changes());
        let pos = roll.area(flag).center();
        roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
        roll.run_steps(3);
        roll.event(Event::Text(text.to_owned()));
        roll.run_steps(1);
        roll.event(Event::Text("12090".to_owned()));
        roll.run_steps(1);
        roll.key_press(Key::Enter);
        roll.run_steps(2);
        roll.get_by_label("Set").click();
        roll.run_steps(2);
        assert!(roll.query_by_label_contains("is too much").is_some(), "{flag}");
        assert!(roll.state().labels.is_empty(), "{:?}", roll.state().labels);
        for _ in 0..5 {
            roll.key_press(Key::Backspace);
            roll.run_steps(1);
        }
        roll.key_press(Key::Enter);
        roll.run_steps(3);
        assert_eq!(roll.state().labels, [label]);
    }
}

#[test]
fn flags_are_dragged_and_deleted() {
    let mut roll = open_score(with_changes());
    let from = roll.area("Tempo 100 bpm at 2:3:000").left_center() + vec2(3.0, 0.0);
    let to = pos2(roll.x(1920) + 1.0, from.y);
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.state().labels, ["Move tempo change"]);
    roll.get_by_label("Tempo 100 bpm at 2:1:000");

    let pos = roll.area("Meter 3/4 at 3:1:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(2);
    roll.get_by_label("Delete").click();
    roll.run_steps(3);
    assert_eq!(roll.state().labels[1..], ["Delete meter change"]);
    assert!(roll.state().history.score().meters.is_empty());

    // What begins the piece can be neither moved nor deleted.
    let from = roll.area("Tempo 120 bpm at 1:1:000").center();
    let to = pos2(roll.x(960), from.y);
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.state().labels.len(), 2);
    roll.state_mut().history.jump_to(0);
    assert_eq!(**roll.state().history.score(), with_changes());
}

#[test]
fn a_meter_lands_where_its_flag_is_let_go() {
    let mut roll = open_score(with_changes());
    let from = roll.area("Meter 3/4 at 3:1:000").left_center() + vec2(3.0, 0.0);
    let to = pos2(roll.x(6700), from.y);
    roll.press_and_move(&[from, to], Modifiers::NONE);
    let shown = roll.area("Meter 3/4 at 3:1:000").left();
    roll.release(to, Modifiers::NONE);
    let meters = &roll.state().history.score().meters;
    assert_eq!(meters.iter().map(|change| change.tick.0).collect::<Vec<_>>(), [5760]);
    assert!((shown - roll.x(5760)).abs() < 1.0, "{shown}");
}

#[test]
fn what_begins_the_piece_or_is_not_set_yet_is_not_deleted() {
    let mut roll = open_score(with_changes());
    let pos = roll.area("Meter 4/4 at 1:1:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(2);
    roll.get_by_label("Set").focus();
    roll.run_steps(2);
    roll.key_press(Key::Delete);
    roll.run_steps(3);
    roll.get_by_label_contains("can be changed only");
    roll.key_press(Key::Escape);
    roll.run_steps(3);
    let pos = roll.ruler_at(960);
    roll.click_with(pos, PointerButton::Secondary, Modifiers::NONE);
    roll.get_by_label("Insert tempo change…").click();
    roll.run_steps(4);
    assert!(roll.get_by_label("Delete").accesskit_node().is_disabled());
    assert!(roll.state().labels.is_empty());
}

#[test]
fn a_flag_without_room_lets_go_of_its_keys() {
    let mut roll = open_score(with_changes());
    let pos = roll.area("Tempo 100 bpm at 2:3:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(2);
    roll.get_by_label("Set");
    roll.set_size(vec2(1000.0, 60.0));
    roll.run_steps(3);
    assert!(roll.query_by_label("Set").is_none());
    let ctx = roll.ctx.clone();
    roll.input_mut().events.push(Event::Key {
        key: Key::Delete,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::NONE,
    });
    roll.run_steps(1);
    assert!(ctx.input(|input| input.key_pressed(Key::Delete)), "the key is left to others");
}

#[test]
fn a_meter_of_many_beats_stays_as_it_was_imported() {
    let mut score = four_quarters();
    let meter = Meter { numerator: 100, denominator_power: 3 };
    score.meters = vec![MeterChange { tick: Tick(0), meter }];
    let mut roll = open_score(score);
    let pos = roll.area("Meter 100/8 at 1:1:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(2);
    roll.get_by_label("Set").click();
    roll.run_steps(3);
    assert_eq!(roll.state().history.score().meters[0].meter, meter);
}

#[test]
fn delete_deletes_the_open_flag() {
    let mut roll = open_score(with_changes());
    let pos = roll.area("Tempo 100 bpm at 2:3:000").center();
    roll.click_with(pos, PointerButton::Primary, Modifiers::NONE);
    roll.run_steps(2);
    // Out of the number field, so that the key isn't about its letters.
    roll.get_by_label("Set").focus();
    roll.run_steps(2);
    roll.key_press(Key::Delete);
    roll.run_steps(3);
    assert_eq!(roll.state().labels, ["Delete tempo change"]);
}

#[test]
fn the_menu_of_the_ruler_sets_tempo_and_meter() {
    let mut roll = open();
    let pos = roll.ruler_at(1920);
    roll.click_with(pos, PointerButton::Secondary, Modifiers::NONE);
    roll.get_by_label("Insert tempo change…").click();
    roll.run_steps(4);
    roll.key_press_modifiers(Modifiers::COMMAND, Key::A);
    roll.event(Event::Text("90".to_owned()));
    roll.run_steps(1);
    roll.key_press(Key::Enter);
    roll.run_steps(3);
    roll.get_by_label("Tempo 90 bpm at 2:1:000");

    let pos = roll.ruler_at(3840);
    roll.click_with(pos, PointerButton::Secondary, Modifiers::NONE);
    roll.get_by_label("Insert time signature…").click();
    roll.run_steps(4);
    roll.get_by_label("8").click();
    roll.run_steps(2);
    roll.get_by_label("Set").click();
    roll.run_steps(3);
    roll.get_by_label("Meter 4/8 at 3:1:000");
    assert_eq!(roll.state().labels, ["Change tempo to 90", "Change meter to 4/8"]);
    roll.state_mut().history.jump_to(0);
    assert_eq!(**roll.state().history.score(), four_quarters());
}

#[test]
fn keys_go_down_along_and_up() {
    let mut roll = open();
    let keyboard = roll.area("Keyboard");
    let y = |roll: &Roll, pitch: u8| {
        let viewport = roll.state().roll.viewport();
        viewport.y_from_pitch(pitch) + viewport.row_height() / 2.0
    };
    let from = pos2(keyboard.right() - 6.0, y(&roll, 60));
    let to = pos2(keyboard.right() - 6.0, y(&roll, 62));
    roll.drag(&[from, to], Modifiers::NONE);
    let touches = &roll.state().touches;
    let key = |pitch: &str| (pitch.parse().unwrap(), Velocity::new(90).unwrap());
    let (c, d) = (key("C4"), key("D4"));
    assert_eq!(touches.first(), Some(&KeyTouch::Down(c.0, c.1)));
    assert!(touches.contains(&KeyTouch::Drag(d.0, d.1)), "{touches:?}");
    assert_eq!(touches.last(), Some(&KeyTouch::Up));
}

#[test]
fn what_is_held_is_let_go_in_another_piece() {
    let mut roll = open();
    let keyboard = roll.area("Keyboard");
    let viewport = roll.state().roll.viewport();
    let y = viewport.y_from_pitch(60) + viewport.row_height() / 2.0;
    let key = pos2(keyboard.right() - 6.0, y);
    let ruler = [roll.ruler_at(480), roll.ruler_at(960)];
    let path = [key, key];
    roll.press_and_move(&path, Modifiers::NONE);
    change_piece(&mut roll);
    roll.release(key, Modifiers::NONE);
    assert_eq!(roll.state().touches.last(), Some(&KeyTouch::Up));

    roll.press_and_move(&ruler, Modifiers::NONE);
    assert!(!roll.state().scrubs.is_empty());
    change_piece(&mut roll);
    roll.release(ruler[1], Modifiers::NONE);
    assert_eq!(roll.state().n_scrubs_ended, 1);
    assert!(!roll.state().roll.is_dragging());
}

fn change_piece(roll: &mut Roll) {
    let desk = roll.state_mut();
    desk.roll = desk.roll.for_another_piece();
    desk.history = History::new(with_changes());
    roll.run_steps(2);
}
