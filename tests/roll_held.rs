//! What is held or written in the roll while something else happens to the piece, and what the
//! keys do then: nothing is lost, and nothing goes to other notes than were meant.
#![cfg(feature = "studio")]

mod common;

use common::roll::{Desk, note, open};
use egui::{Event, Key, Modifiers, PointerButton, Pos2, Vec2, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use etude::editor::{PartEdit, ScoreEdit, Selection};
use etude::music::{
    Meter, MeterChange, Note, Pitch, Score, TempoChange, TempoMap, Tick, Track, Velocity,
};
use etude::ui::piano_roll::{PianoRollEditor, Tool};

struct Roll(Harness<'static, Desk>);

impl Roll {
    fn open(notes: &[Note]) -> Self {
        Self::open_score(Score::piano(TempoMap::default(), notes.to_vec()))
    }

    fn open_score(score: Score) -> Self {
        Self(open(score, PianoRollEditor::default()))
    }

    fn at(&self, tick: u32, pitch: &str) -> Pos2 {
        let viewport = self.0.state().roll.viewport();
        let pitch: Pitch = pitch.parse().unwrap();
        let y = viewport.y_from_pitch(pitch.number()) + viewport.row_height() / 2.0;
        pos2(viewport.x_from_tick(f64::from(tick)), y)
    }

    /// A place in the velocity lane.
    fn velocity_at(&self, tick: u32, velocity: u8) -> Pos2 {
        let lane = self.0.get_by_label("Velocities").rect();
        let share = (f32::from(velocity) - 1.0) / 126.0;
        let x = self.0.state().roll.viewport().x_from_tick(f64::from(tick));
        pos2(x, lane.bottom() - lane.height() * share)
    }

    fn hold(&mut self, modifiers: Modifiers) {
        self.0.event(Event::ModifiersChanged(modifiers));
    }

    fn point(&mut self, pos: Pos2) {
        self.0.hover_at(pos);
        self.0.run_steps(1);
    }

    fn button(&mut self, pos: Pos2, button: PointerButton, pressed: bool) {
        let modifiers = self.0.ctx.input(|input| input.modifiers);
        self.0.event(Event::PointerButton { pos, button, pressed, modifiers });
    }

    fn press(&mut self, pos: Pos2) {
        self.button(pos, PointerButton::Primary, true);
        self.0.run_steps(1);
    }

    fn release(&mut self, pos: Pos2) {
        self.button(pos, PointerButton::Primary, false);
        self.0.run_steps(3);
    }

    fn click(&mut self, pos: Pos2) {
        self.0.run_steps(20);
        self.point(pos);
        self.press(pos);
        self.release(pos);
    }

    fn move_by(&mut self, from: Pos2, by: Vec2) -> Pos2 {
        self.point(from + by / 2.0);
        self.point(from + by);
        from + by
    }

    fn turn(&mut self, unit: egui::MouseWheelUnit, notches: f32) {
        let modifiers = self.0.ctx.input(|input| input.modifiers);
        self.0.event(Event::MouseWheel {
            unit,
            delta: vec2(0.0, notches),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers,
        });
        self.0.run_steps(1);
    }

    fn key(&mut self, modifiers: Modifiers, key: Key) {
        self.0.key_press_modifiers(modifiers, key);
        self.0.run_steps(3);
    }

    fn choose(&mut self, notes: &[Note]) {
        self.0.state_mut().selection = Selection::of(notes);
        self.0.run_steps(2);
    }

    fn notes(&self) -> Vec<Note> {
        self.0.state().history.score().notes().to_vec()
    }

    fn velocities(&self) -> Vec<u8> {
        self.notes().iter().map(|note| note.velocity.number()).collect()
    }

    fn labels(&self) -> Vec<&str> {
        self.0.state().labels.iter().map(String::as_str).collect()
    }
}

fn of_velocity(note: Note, number: u8) -> Note {
    Note { velocity: Velocity::new(number).unwrap(), ..note }
}

/// Common time, three four from the third bar on.
fn with_meters(notes: &[Note]) -> Score {
    let mut score = Score::piano(TempoMap::default(), notes.to_vec());
    let tempo = |tick, micros_per_quarter| TempoChange { tick: Tick(tick), micros_per_quarter };
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
    score.tempo_map =
        TempoMap::new(ticks_per_quarter, vec![tempo(0, 500_000), tempo(1920, 600_000)]);
    let meter = Meter { numerator: 3, denominator_power: 2 };
    score.meters = vec![MeterChange { tick: Tick(3840), meter }];
    score
}

#[test]
fn a_note_passes_over_others_and_leaves_them_where_they_are() {
    let (low, high) = (note(0, 480, "C4"), of_velocity(note(0, 480, "E4"), 40));
    let mut roll = Roll::open(&[low, high]);
    roll.choose(&[low]);
    for _ in 0..5 {
        roll.key(Modifiers::NONE, Key::ArrowUp);
    }
    assert_eq!(roll.notes(), [high, note(0, 480, "F4")]);
    // Back through it by the mouse, and to rest on it: either can be taken away again.
    let (from, to) = (roll.at(240, "F4"), roll.at(240, "E4"));
    roll.point(from);
    roll.press(from);
    roll.move_by(from, to - from);
    roll.release(to);
    assert_eq!(roll.notes(), [high, note(0, 480, "E4")]);
    roll.key(Modifiers::NONE, Key::ArrowDown);
    assert_eq!(roll.notes(), [note(0, 480, "D#4"), high]);
}

#[test]
fn the_wheel_over_one_of_two_doubled_notes_keeps_the_other() {
    let twins = [of_velocity(note(0, 480, "C4"), 60), of_velocity(note(0, 480, "C4"), 60)];
    let mut roll = Roll::open(&twins);
    let pos = roll.at(240, "C4");
    roll.hold(Modifiers::ALT);
    roll.point(pos);
    roll.turn(egui::MouseWheelUnit::Line, 1.0);
    roll.hold(Modifiers::NONE);
    roll.0.run_steps(3);
    assert_eq!(roll.velocities(), [60, 64]);
}

#[test]
fn erasing_takes_both_of_two_doubled_notes() {
    let twins = [of_velocity(note(0, 480, "C4"), 50), note(0, 480, "C4"), note(0, 480, "C4")];
    for drags in [false, true] {
        let mut roll = Roll::open(&[&twins[..], &[note(0, 480, "E4")]].concat());
        roll.0.state_mut().roll.tool = Tool::Erase;
        let (from, to) = (roll.at(700, "C4"), roll.at(240, "C4"));
        roll.point(if drags { from } else { to });
        roll.press(if drags { from } else { to });
        if drags {
            roll.move_by(from, to - from);
        }
        roll.release(to);
        assert_eq!(roll.notes(), [note(0, 480, "E4")]);
        assert_eq!(roll.labels(), ["Delete 3 notes"]);
    }
}

#[test]
fn velocities_are_drawn_right_after_the_wheel() {
    let before = [note(0, 480, "C4"), note(480, 480, "D4"), note(960, 480, "E4")];
    for at_once in [false, true] {
        let mut roll = Roll::open(&before);
        let over = roll.velocity_at(0, 60) + vec2(2.0, 0.0);
        roll.point(over);
        roll.turn(egui::MouseWheelUnit::Line, 1.0);
        let (from, to) = (roll.velocity_at(480, 20), roll.velocity_at(960, 20));
        if at_once {
            // A slow frame holds both the press and the release.
            roll.0.hover_at(from);
            for pressed in [true, false] {
                let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
                let event = Event::PointerButton { pos: from, button, pressed, modifiers };
                roll.0.input_mut().events.push(event);
            }
            roll.0.run_steps(4);
            assert_eq!(roll.velocities(), [84, 20, 80]);
        } else {
            roll.0.hover_at(from);
            roll.press(from);
            roll.move_by(from, to - from);
            roll.release(to);
            assert_eq!(roll.velocities(), [84, 20, 20]);
        }
        assert_eq!(roll.labels().len(), 2, "{:?}", roll.labels());
    }
}

#[test]
fn a_note_is_dragged_right_after_the_wheel() {
    let mut roll = Roll::open(&[note(0, 480, "C4")]);
    let (from, to) = (roll.at(240, "C4"), roll.at(240, "D4"));
    roll.hold(Modifiers::ALT);
    roll.point(from);
    roll.turn(egui::MouseWheelUnit::Line, 1.0);
    roll.press(from);
    roll.move_by(from, to - from);
    roll.release(to);
    assert_eq!(roll.notes(), [of_velocity(note(0, 480, "D4"), 84)]);
    assert_eq!(roll.labels(), ["Set velocity of note", "Move note"]);
}

#[test]
fn a_drag_goes_on_while_a_part_gets_its_name() {
    let mut roll = Roll::open(&[note(0, 480, "C4")]);
    let (from, to) = (roll.at(240, "C4"), roll.at(240, "D4"));
    let rename = |roll: &mut Roll, name: &str| {
        let edit = PartEdit::Rename { track: Track::Part(0), name: name.to_owned() };
        roll.0.state_mut().history.commit(&ScoreEdit::Part(edit)).unwrap();
        roll.0.run_steps(1);
    };
    roll.point(from);
    roll.press(from);
    rename(&mut roll, "Left hand");
    roll.move_by(from, (to - from) / 2.0);
    rename(&mut roll, "Right hand");
    roll.move_by(from, to - from);
    roll.release(to);
    assert_eq!(roll.notes(), [note(0, 480, "D4")]);
    // A note that goes away meanwhile takes the drag along.
    let (from, to) = (roll.at(240, "D4"), roll.at(240, "E4"));
    roll.0.run_steps(20);
    roll.point(from);
    roll.press(from);
    roll.move_by(from, (to - from) / 2.0);
    let notes = roll.notes();
    roll.0.state_mut().history.commit(&ScoreEdit::Delete { notes }).unwrap();
    roll.move_by(from, to - from);
    roll.release(to);
    assert_eq!(roll.notes(), []);
}

#[test]
fn a_velocity_that_was_written_is_for_the_notes_that_were_chosen() {
    let before = [note(0, 480, "C4"), note(480, 480, "E4"), of_velocity(note(960, 480, "G4"), 30)];
    // On a note as strong, on another, and beside all.
    for (tick, pitch) in [(720, "E4"), (1200, "G4"), (1800, "B4")] {
        let mut roll = Roll::open(&before);
        roll.choose(&before[..1]);
        roll.0.get_by_label("Velocity").click();
        roll.0.run_steps(2);
        roll.key(Modifiers::COMMAND, Key::A);
        roll.0.event(Event::Text("60".to_owned()));
        roll.0.run_steps(1);
        let pos = roll.at(tick, pitch);
        roll.point(pos);
        roll.press(pos);
        assert_eq!(roll.velocities(), [60, 80, 30], "{pitch}");
        roll.release(pos);
        assert_eq!(roll.velocities(), [60, 80, 30], "{pitch}");
        assert_eq!(roll.labels(), ["Set velocity of note"]);
        let chosen: Vec<u32> = roll.0.state().selection.iter().map(|key| key.start).collect();
        assert_eq!(
            chosen,
            if tick == 1800 { vec![] } else { vec![before[tick as usize / 480].start.0] }
        );
    }
}

#[test]
fn the_first_notes_own_velocity_can_be_written_for_all() {
    let before = [note(0, 480, "C4"), of_velocity(note(480, 480, "E4"), 30)];
    let mut roll = Roll::open(&before);
    roll.choose(&before);
    for (text, expected) in [("", [80, 30]), ("80", [80, 80])] {
        roll.0.get_by_label("Velocity").click();
        roll.0.run_steps(2);
        if !text.is_empty() {
            roll.key(Modifiers::COMMAND, Key::A);
            roll.0.event(Event::Text(text.to_owned()));
        }
        roll.key(Modifiers::NONE, Key::Enter);
        assert_eq!(roll.velocities(), expected, "{text}");
    }
}

#[test]
fn a_slow_touchpad_changes_a_velocity_too() {
    let mut roll = Roll::open(&[note(0, 480, "C4")]);
    let pos = roll.velocity_at(0, 60) + vec2(2.0, 0.0);
    roll.point(pos);
    // A tenth of a notch at a time, which is less than half a step of velocity.
    for _ in 0..10 {
        roll.turn(egui::MouseWheelUnit::Point, 4.0);
    }
    roll.0.run_steps(20);
    assert_eq!(roll.velocities(), [84]);
    assert_eq!(roll.labels(), ["Set velocity of note"]);
}

#[test]
fn notes_are_made_longer_and_shorter_by_steps_and_never_less_than_one() {
    let (quarter, sixteenth) = (note(0, 480, "C4"), note(480, 120, "E4"));
    let mut roll = Roll::open(&[quarter, sixteenth]);
    roll.choose(&[quarter, sixteenth]);
    let lengths = |roll: &Roll| roll.notes().iter().map(|it| it.length.0).collect::<Vec<_>>();
    roll.key(Modifiers::SHIFT, Key::ArrowRight);
    assert_eq!(lengths(&roll), [600, 240]);
    for expected in [[480, 120], [360, 120], [240, 120], [120, 120], [120, 120]] {
        roll.key(Modifiers::SHIFT, Key::ArrowLeft);
        assert_eq!(lengths(&roll), expected);
    }
    roll.key(Modifiers::SHIFT, Key::ArrowRight);
    assert_eq!(lengths(&roll), [240, 240]);
    // A shorter one stays as it is.
    let mut roll = Roll::open(&[note(0, 50, "C4")]);
    roll.choose(&[note(0, 50, "C4")]);
    roll.key(Modifiers::SHIFT, Key::ArrowLeft);
    assert_eq!(lengths(&roll), [50]);
    assert!(roll.labels().is_empty());
}

#[test]
fn a_bar_on_and_back_is_the_same_place_in_the_next_bar() {
    let mut roll = Roll::open_score(with_meters(&[note(3840 + 480, 480, "C4")]));
    roll.choose(&[note(3840 + 480, 480, "C4")]);
    let start = |roll: &Roll| roll.notes()[0].start.0;
    for (key, expected) in [
        (Key::ArrowLeft, 1920 + 480),
        (Key::ArrowLeft, 480),
        (Key::ArrowRight, 1920 + 480),
        (Key::ArrowRight, 3840 + 480),
        (Key::ArrowRight, 5280 + 480),
        (Key::ArrowLeft, 3840 + 480),
    ] {
        roll.key(Modifiers::COMMAND, key);
        assert_eq!(start(&roll), expected);
    }
    // A bar of three has no fourth beat; before the first bar there is none.
    let fourth = note(1920 + 1440, 480, "C4");
    let mut roll = Roll::open_score(with_meters(&[fourth]));
    roll.choose(&[fourth]);
    roll.key(Modifiers::COMMAND, Key::ArrowRight);
    assert!((3840..5280).contains(&start(&roll)), "{}", start(&roll));
    for _ in 0..3 {
        roll.key(Modifiers::COMMAND, Key::ArrowLeft);
    }
    assert_eq!(start(&roll), 0);
}

#[test]
fn arrows_are_for_the_chosen_notes_whatever_was_clicked_last() {
    let before = [note(0, 480, "C4"), note(480, 480, "E4")];
    let mut roll = Roll::open(&before);
    let pos = roll.at(240, "C4");
    roll.click(pos);
    let mut expected = 60;
    for place in ["Ruler", "Velocities", "Keyboard", "Scroll in time", "Velocity lane"] {
        let pos = roll.0.get_by_label(place).rect().center();
        // Where no note begins.
        let pos = if place == "Velocities" { roll.velocity_at(1700, 60) } else { pos };
        roll.click(pos);
        roll.key(Modifiers::NONE, Key::ArrowUp);
        expected += 1;
        let pitches: Vec<u8> = roll.notes().iter().map(|note| note.pitch.number()).collect();
        assert!(pitches.contains(&expected), "{place}: {pitches:?}");
    }
    // Nobody is caught: without notes Escape lets go.
    roll.key(Modifiers::NONE, Key::Escape);
    roll.key(Modifiers::NONE, Key::Escape);
    assert_eq!(roll.0.ctx.memory(|memory| memory.focused()), None);
}

#[test]
fn every_stop_of_the_keyboard_can_be_seen() {
    let mut roll = Roll::open_score(with_meters(&[]));
    let mut stops = Vec::new();
    for _ in 0..30 {
        roll.key(Modifiers::NONE, Key::Tab);
        let focused = roll.0.ctx.memory(|memory| memory.focused());
        stops.extend(focused.filter(|id| !stops.contains(id)));
    }
    // The notes, two titles of lanes and four flags.
    assert_eq!(stops.len(), 7);
}

#[test]
fn escape_gives_up_a_dragged_flag_and_keeps_the_chosen_notes() {
    let mut roll = Roll::open_score(with_meters(&[note(0, 480, "C4")]));
    let pos = roll.at(240, "C4");
    roll.click(pos);
    let from = roll.0.get_by_label("Tempo 100 bpm at 2:1:000").rect().center();
    roll.point(from);
    roll.press(from);
    let to = roll.move_by(from, vec2(200.0, 0.0));
    roll.key(Modifiers::NONE, Key::Escape);
    roll.release(to);
    assert!(roll.labels().is_empty(), "{:?}", roll.labels());
    assert_eq!(roll.0.state().selection.len(), 1);
}

#[test]
fn a_dragged_flag_that_the_view_leaves_is_let_go_all_the_same() {
    let mut roll = Roll::open_score(with_meters(&[note(0, 480, "C4"), note(400_000, 480, "C4")]));
    let from = roll.0.get_by_label("Tempo 100 bpm at 2:1:000").rect().center();
    roll.point(from);
    roll.press(from);
    let to = roll.move_by(from, vec2(200.0, 0.0));
    roll.0.state_mut().roll.go_to(Tick(400_000));
    roll.0.run_steps(2);
    roll.release(to);
    assert!(!roll.0.state().roll.is_dragging());
    assert_eq!(roll.labels().len(), 1);
}

#[test]
fn delete_is_for_the_flag_that_is_pointed_at_or_just_opened() {
    let notes = [note(0, 480, "C4")];
    for opens in [false, true] {
        let mut roll = Roll::open_score(with_meters(&notes));
        roll.choose(&notes);
        let pos = roll.0.get_by_label("Tempo 100 bpm at 2:1:000").rect().center();
        roll.point(pos);
        if opens {
            roll.press(pos);
            roll.release(pos);
            roll.0.get_by_label("Set");
        }
        roll.0.run_steps(2);
        roll.key(Modifiers::NONE, Key::Delete);
        assert_eq!(roll.labels(), ["Delete tempo change"], "{opens}");
        assert_eq!(roll.notes(), notes);
    }
    // Once a number is being written it is about that.
    let mut roll = Roll::open_score(with_meters(&notes));
    let pos = roll.0.get_by_label("Tempo 100 bpm at 2:1:000").rect().center();
    roll.click(pos);
    roll.0.event(Event::Text("9".to_owned()));
    roll.0.run_steps(1);
    roll.key(Modifiers::NONE, Key::Delete);
    assert!(roll.labels().is_empty());
    // What begins the piece stays, and says so.
    let mut roll = Roll::open_score(with_meters(&notes));
    let pos = roll.0.get_by_label("Tempo 120 bpm at 1:1:000").rect().center();
    roll.point(pos);
    roll.0.run_steps(2);
    roll.key(Modifiers::NONE, Key::Delete);
    roll.0.get_by_label_contains("can be changed only");
    assert!(roll.labels().is_empty());
}

#[test]
fn the_other_button_on_a_flag_changes_or_deletes_it() {
    let mut roll = Roll::open_score(with_meters(&[]));
    let pos = roll.0.get_by_label("Meter 3/4 at 3:1:000").rect().center();
    let menu = |roll: &mut Roll, item: &str| {
        roll.point(pos);
        roll.button(pos, PointerButton::Secondary, true);
        roll.button(pos, PointerButton::Secondary, false);
        roll.0.run_steps(3);
        roll.0.get_by_label(item).click();
        roll.0.run_steps(4);
    };
    menu(&mut roll, "Change meter…");
    roll.0.event(Event::Text("5".to_owned()));
    roll.0.run_steps(1);
    roll.key(Modifiers::NONE, Key::Enter);
    menu(&mut roll, "Delete meter change");
    assert_eq!(roll.labels(), ["Change meter to 5/4", "Delete meter change"]);
}

#[test]
fn lanes_are_as_high_as_they_are_dragged() {
    let mut roll = Roll::open(&[note(0, 480, "C4")]);
    for (grip, lane) in [
        ("Height of the velocity lane", "Velocities"),
        ("Height of the pedal lane", "Sustain pedal"),
    ] {
        let height = |roll: &Roll| roll.0.get_by_label(lane).rect().height();
        let before = height(&roll);
        let from = roll.0.get_by_label(grip).rect().center();
        roll.point(from);
        roll.press(from);
        let to = roll.move_by(from, vec2(0.0, -40.0));
        roll.release(to);
        assert!((height(&roll) - before - 40.0).abs() < 2.0, "{lane}: {}", height(&roll));
        // Never so high that nothing is left of the notes, nor so low that it can't be dragged.
        for by in [-5000.0, 5000.0] {
            let from = roll.0.get_by_label(grip).rect().center();
            roll.0.run_steps(20);
            roll.point(from);
            roll.press(from);
            let to = roll.move_by(from, vec2(0.0, by));
            roll.release(to);
            let notes = roll.0.state().roll.viewport().rect().height();
            assert!(notes > 100.0 && height(&roll) > 10.0, "{lane}: {notes} {}", height(&roll));
        }
    }
    assert!(roll.labels().is_empty(), "it is no step");
}
