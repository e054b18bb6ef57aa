//! The piano roll, driven through the same events a person causes.
#![cfg(feature = "studio")]

mod common;

use common::roll::{Desk, note, open_notes as open};
use egui::{Event, Key, Modifiers, PointerButton, Pos2, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use etude::editor::{History, NoteKey, Selection};
use etude::music::{Note, Pitch, Score, TempoMap, Tick};

type Roll = Harness<'static, Desk>;

/// Two quarters, C4 and E4, on the first two beats.
fn two_quarters() -> Roll {
    open(vec![note(0, 480, "C4"), note(480, 480, "E4")])
}

trait Hands {
    fn at(&self, tick: u32, pitch: &str) -> Pos2;
    fn notes(&self) -> Vec<Note>;
    fn button(&mut self, pos: Pos2, pressed: bool, modifiers: Modifiers);
    fn click_at(&mut self, pos: Pos2, modifiers: Modifiers);
    fn double_click_at(&mut self, pos: Pos2);
    fn drag(&mut self, from: Pos2, to: Pos2, modifiers: Modifiers);
    fn hold(&mut self, modifiers: Modifiers);
    fn wheel(&mut self, pos: Pos2, delta: egui::Vec2, modifiers: Modifiers);
    fn selected(&self) -> Vec<(u32, u8)>;
}

impl Hands for Roll {
    fn at(&self, tick: u32, pitch: &str) -> Pos2 {
        let viewport = self.state().roll.viewport();
        let pitch: Pitch = pitch.parse().unwrap();
        let y = viewport.y_from_pitch(pitch.number()) + viewport.row_height() / 2.0;
        pos2(viewport.x_from_tick(f64::from(tick)), y)
    }

    fn notes(&self) -> Vec<Note> {
        self.state().history.score().notes().to_vec()
    }

    fn button(&mut self, pos: Pos2, pressed: bool, modifiers: Modifiers) {
        let button = PointerButton::Primary;
        self.event(Event::PointerButton { pos, button, pressed, modifiers });
    }

    fn hold(&mut self, modifiers: Modifiers) {
        self.event(Event::ModifiersChanged(modifiers));
    }

    fn click_at(&mut self, pos: Pos2, modifiers: Modifiers) {
        self.hover_at(pos);
        self.hold(modifiers);
        self.button(pos, true, modifiers);
        self.button(pos, false, modifiers);
        self.hold(Modifiers::NONE);
        self.run_steps(4);
    }

    fn double_click_at(&mut self, pos: Pos2) {
        self.hover_at(pos);
        for _ in 0..2 {
            self.button(pos, true, Modifiers::NONE);
            self.button(pos, false, Modifiers::NONE);
        }
        self.run_steps(4);
    }

    fn drag(&mut self, from: Pos2, to: Pos2, modifiers: Modifiers) {
        self.hover_at(from);
        self.hold(modifiers);
        self.button(from, true, modifiers);
        self.run_steps(1);
        for share in [0.3, 0.7, 1.0] {
            self.hover_at(from + (to - from) * share);
            self.run_steps(1);
        }
        self.button(to, false, modifiers);
        self.hold(Modifiers::NONE);
        self.run_steps(4);
    }

    fn wheel(&mut self, pos: Pos2, delta: egui::Vec2, modifiers: Modifiers) {
        self.hover_at(pos);
        self.hold(modifiers);
        self.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta,
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers,
        });
        // The window smooths the wheel over a few frames.
        self.run_steps(30);
        self.hold(Modifiers::NONE);
        self.run_steps(2);
    }

    fn selected(&self) -> Vec<(u32, u8)> {
        self.state().selection.iter().map(|key| (key.start, key.pitch)).collect()
    }
}

#[test]
fn hovering_tells_pitch_place_length_and_velocity() {
    let mut roll = two_quarters();
    let (on_note, nothing) = (roll.at(700, "E4"), roll.at(700, "A4"));
    roll.hover_at(on_note);
    roll.run_steps(30);
    let hint = "E4 · 1:2:000 · 1/4 · velocity 80";
    assert_eq!(roll.state().status, hint);
    roll.get_by_label(hint);
    roll.hover_at(nothing);
    roll.run_steps(30);
    assert_eq!(roll.state().status, "");
    assert!(roll.query_by_label(hint).is_none());
}

#[test]
fn clicking_a_note_selects_it_and_sounds_it() {
    let mut roll = two_quarters();
    let pos = roll.at(240, "C4");
    roll.click_at(pos, Modifiers::NONE);
    assert_eq!(roll.selected(), [(0, 60)]);
    assert_eq!(roll.state().heard, [(60, 80)]);
    let (other, nothing) = (roll.at(700, "E4"), roll.at(1500, "A4"));
    roll.click_at(other, Modifiers::SHIFT);
    assert_eq!(roll.selected(), [(0, 60), (480, 64)]);
    roll.click_at(pos, Modifiers::COMMAND);
    assert_eq!(roll.selected(), [(480, 64)]);
    roll.click_at(nothing, Modifiers::NONE);
    assert_eq!(roll.selected(), []);
    assert!(roll.state().labels.is_empty(), "looking and choosing are no steps");
}

#[test]
fn dragging_a_note_moves_it_by_the_grid_as_one_step() {
    let mut roll = two_quarters();
    let before = roll.notes();
    // A little more than a beat to the right, and up to E4: the grid takes the rest.
    let (from, to) = (roll.at(240, "C4"), roll.at(1205, "E4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(480, 480, "E4"), note(960, 480, "E4")]);
    assert_eq!(roll.state().labels, ["Move note"]);
    assert_eq!(roll.selected(), [(960, 64)]);
    assert!(roll.state().heard.contains(&(64, 80)), "the new pitch is heard");
    assert_eq!(roll.state_mut().history.undo().as_deref(), Some("Move note"));
    assert_eq!(roll.notes(), before);
}

#[test]
fn alt_moves_freely_and_a_drag_in_pitch_keeps_the_time() {
    let mut roll = open(vec![note(17, 480, "C4")]);
    let (from, to) = (roll.at(240, "C4"), roll.at(260, "F4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(17, 480, "F4")]);
    let (from, to) = (roll.at(240, "F4"), roll.at(440, "F4"));
    roll.drag(from, to, Modifiers::ALT);
    let start = roll.notes()[0].start.0;
    assert!((207..=227).contains(&start), "{start}");
}

#[test]
fn a_drag_on_one_of_several_moves_them_all_and_stops_at_the_start() {
    let mut roll = two_quarters();
    let (from, to) = (roll.at(600, "A3"), roll.at(100, "A4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.selected(), [(0, 60), (480, 64)], "the band takes what it touches");
    let (from, to) = (roll.at(720, "E4"), roll.at(240, "D4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(0, 480, "A#3"), note(480, 480, "D4")]);
    assert_eq!(roll.state().labels, ["Move 2 notes"]);
}

#[test]
fn control_drags_a_copy() {
    let mut roll = two_quarters();
    let (from, to) = (roll.at(240, "C4"), roll.at(240 + 1920, "C4"));
    roll.drag(from, to, Modifiers::COMMAND);
    assert_eq!(roll.notes(), [note(0, 480, "C4"), note(480, 480, "E4"), note(1920, 480, "C4")]);
    assert_eq!(roll.state().labels, ["Copy note"]);
    assert_eq!(roll.selected(), [(1920, 60)]);
}

#[test]
fn both_edges_resize() {
    let mut roll = open(vec![note(960, 960, "C4")]);
    let (from, to) = (roll.at(1920, "C4") - vec2(3.0, 0.0), roll.at(2400, "C4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(960, 1440, "C4")]);
    // Outside counts too, and the other end stays.
    let (from, to) = (roll.at(960, "C4") - vec2(3.0, 0.0), roll.at(480, "C4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(480, 1920, "C4")]);
    assert_eq!(roll.state().labels, ["Resize note", "Resize note"]);
    // Dragged through its own end it keeps a step of the grid.
    let (from, to) = (roll.at(2400, "C4") - vec2(3.0, 0.0), roll.at(10, "C4"));
    roll.drag(from, to, Modifiers::NONE);
    let left = roll.notes()[0];
    assert!(left.start == Tick(480) && left.length.0 > 0 && left.length.0 <= 240, "{left:?}");
}

#[test]
fn a_short_note_can_be_moved() {
    let mut roll = open(vec![note(960, 60, "C4")]);
    let (from, to) = (roll.at(990, "C4"), roll.at(990 + 480, "C4"));
    roll.drag(from, to, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(1440, 60, "C4")]);
}

#[test]
fn double_click_adds_a_note_like_the_last_one() {
    let mut roll = open(vec![note(0, 960, "C4")]);
    let (known, empty) = (roll.at(300, "C4"), roll.at(1930, "G4"));
    roll.click_at(known, Modifiers::NONE);
    roll.run_steps(20);
    roll.double_click_at(empty);
    assert_eq!(roll.notes(), [note(0, 960, "C4"), note(1920, 960, "G4")]);
    assert_eq!(roll.state().labels, ["Add note"]);
    assert_eq!(roll.state().heard.last(), Some(&(67, 80)));
    assert_eq!(roll.selected(), [(1920, 67)]);
}

#[test]
fn a_first_note_can_be_written_into_nothing() {
    let mut roll = open(Vec::new());
    let desk = roll.state_mut();
    desk.history = History::new(Score::default());
    roll.run_steps(2);
    let empty = roll.at(500, "C4");
    roll.double_click_at(empty);
    assert_eq!(roll.notes().len(), 1);
    assert_eq!(roll.state().history.score().parts.len(), 1);
}

#[test]
fn arrows_move_and_resize() {
    let mut roll = two_quarters();
    let pos = roll.at(240, "C4");
    roll.click_at(pos, Modifiers::NONE);
    roll.key_press(Key::ArrowUp);
    roll.run_steps(3);
    roll.key_press_modifiers(Modifiers::COMMAND, Key::ArrowRight);
    roll.run_steps(3);
    roll.key_press_modifiers(Modifiers::SHIFT, Key::ArrowUp);
    roll.run_steps(3);
    assert_eq!(roll.notes(), [note(480, 480, "E4"), note(1920, 480, "C#5")]);
    roll.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    roll.run_steps(3);
    assert!(roll.notes()[1].length > Tick(480));
    assert_eq!(roll.state().labels, ["Move note", "Move note", "Move note", "Resize note"]);
}

#[test]
fn escape_cancels_a_drag_and_then_the_selection() {
    let mut roll = two_quarters();
    let before = roll.notes();
    let (from, to) = (roll.at(240, "C4"), roll.at(1200, "G4"));
    roll.hover_at(from);
    roll.button(from, true, Modifiers::NONE);
    roll.run_steps(1);
    roll.hover_at(to);
    roll.run_steps(2);
    assert_eq!(roll.state().status, "C4 → G4, +2 beats");
    roll.key_press(Key::Escape);
    roll.run_steps(2);
    roll.hover_at(to + vec2(30.0, 0.0));
    roll.run_steps(2);
    roll.button(to, false, Modifiers::NONE);
    roll.run_steps(3);
    assert_eq!(roll.notes(), before);
    assert!(roll.state().labels.is_empty());
    assert_eq!(roll.selected(), [(0, 60)]);
    roll.key_press(Key::Escape);
    roll.run_steps(2);
    assert_eq!(roll.selected(), []);
}

#[test]
fn the_wheel_zooms_to_the_pointer() {
    let mut roll = open((0..100).map(|beat| note(beat * 480, 480, "C4")).collect());
    let pos = pos2(500.0, 300.0);
    let tick = roll.state().roll.viewport().tick_from_x(pos.x);
    let per_point = roll.state().roll.viewport().ticks_per_point();
    roll.wheel(pos, vec2(0.0, 2.0), Modifiers::COMMAND);
    let viewport = roll.state().roll.viewport();
    assert!(viewport.ticks_per_point() < per_point * 0.9);
    assert!((viewport.tick_from_x(pos.x) - tick).abs() < 1.0);

    let (row, height) = (viewport.row_from_y(pos.y), viewport.row_height());
    roll.wheel(pos, vec2(0.0, 2.0), Modifiers::COMMAND | Modifiers::SHIFT);
    let viewport = roll.state().roll.viewport();
    assert!(viewport.row_height() > height * 1.1);
    assert!((viewport.row_from_y(pos.y) - row).abs() < 0.01);

    let left = viewport.ticks().0;
    roll.wheel(pos, vec2(0.0, -3.0), Modifiers::SHIFT);
    assert!(roll.state().roll.viewport().ticks().0 > left, "Shift scrolls in time");
}

#[test]
fn alt_and_the_wheel_change_the_velocity_as_one_step() {
    let mut roll = two_quarters();
    let pos = roll.at(240, "C4");
    roll.hover_at(pos);
    roll.hold(Modifiers::ALT);
    for _ in 0..3 {
        roll.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: vec2(0.0, 1.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: Modifiers::ALT,
        });
        roll.run_steps(1);
    }
    assert_eq!(roll.state().status, "Velocity 80 to 92");
    roll.hold(Modifiers::NONE);
    roll.run_steps(3);
    assert_eq!(roll.notes()[0].velocity.number(), 92);
    assert_eq!(roll.state().labels, ["Set velocity of note"]);
}

#[test]
fn alt_and_the_wheel_change_the_note_that_is_pointed_at() {
    let mut roll = two_quarters();
    let before = roll.notes();
    let places = [(before[0], 0), (before[1], 1)].map(|(note, idx)| {
        (roll.at(note.start.0 + note.length.0 / 2, &note.pitch.to_string()), idx)
    });
    for (pos, _) in places {
        roll.hover_at(pos);
        roll.event(Event::ModifiersChanged(Modifiers::ALT));
        roll.run_steps(1);
        roll.event(Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: vec2(0.0, 1.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: Modifiers::ALT,
        });
        roll.run_steps(1);
    }
    roll.event(Event::ModifiersChanged(Modifiers::NONE));
    roll.run_steps(3);
    for (_, idx) in places {
        let (old, new) = (before[idx].velocity.number(), roll.notes()[idx].velocity.number());
        assert_eq!(new, old + 4, "each by its own notch");
    }
}

#[test]
fn the_keyboard_plays_and_sliding_along_it_too() {
    let mut roll = two_quarters();
    let (c, e) = (pos2(50.0, roll.at(0, "C4").y), pos2(50.0, roll.at(0, "E4").y));
    roll.click_at(c, Modifiers::NONE);
    assert_eq!(roll.state().heard, [(60, 90)]);
    roll.drag(c, e, Modifiers::NONE);
    let heard: Vec<u8> = roll.state().heard.iter().map(|(pitch, _)| *pitch).collect();
    assert_eq!((heard.first(), heard.last()), (Some(&60), Some(&64)));
    assert!(heard.len() > 2, "{heard:?}");
    // In front of the black keys lie only white ones.
    let front = pos2(60.0, roll.at(0, "C#4").y + 2.0);
    roll.click_at(front, Modifiers::NONE);
    assert_eq!(roll.state().heard.last(), Some(&(60, 90)));
    let black = pos2(10.0, roll.at(0, "C#4").y);
    roll.click_at(black, Modifiers::NONE);
    assert_eq!(roll.state().heard.last(), Some(&(61, 90)));
}

#[test]
fn the_ruler_seeks_to_the_grid() {
    let mut roll = two_quarters();
    let x = roll.at(960, "C4").x;
    let y = roll.get_by_label("Ruler").rect().center().y;
    roll.click_at(pos2(x + 2.0, y), Modifiers::NONE);
    // 120 quarters a minute: two quarters are a second.
    assert_eq!(roll.state().seeks, [1.0]);
    let to = pos2(roll.at(1920, "C4").x, y);
    roll.drag(pos2(x, y), to, Modifiers::NONE);
    assert_eq!(roll.state().scrubs.last(), Some(&2.0));
}

#[test]
fn the_handle_below_goes_through_the_piece() {
    let mut roll = open((0..400).map(|beat| note(beat * 480, 480, "C4")).collect());
    let handle = roll.get_by_label("Scroll in time").rect().left_center() + vec2(12.0, 0.0);
    roll.drag(handle, pos2(2000.0, handle.y), Modifiers::NONE);
    assert!(roll.state().roll.viewport().ticks().1 > 400 * 480);
    roll.click_at(handle, Modifiers::NONE);
    assert!(roll.state().roll.viewport().ticks().0 < 480);
    assert!(roll.selected().is_empty() && roll.state().labels.is_empty());
    roll.state_mut().roll.fit_all();
    roll.run_steps(2);
    assert!(roll.state().roll.viewport().ticks().1 >= 400 * 480);
}

#[test]
fn the_page_turns_with_the_playhead_but_not_against_the_user() {
    let mut roll = open((0..400).map(|beat| note(beat * 480, 480, "C4")).collect());
    roll.state_mut().playing = true;
    roll.state_mut().playhead_secs = 100.0;
    roll.run_steps(2);
    let seen = |roll: &Roll| {
        let (first, last) = roll.state().roll.viewport().ticks();
        (first..last).contains(&96_000)
    };
    assert!(seen(&roll));
    roll.wheel(pos2(500.0, 300.0), vec2(0.0, 100.0), Modifiers::SHIFT);
    assert!(!seen(&roll), "the user looks elsewhere");
    roll.state_mut().playing = false;
    roll.run_steps(1);
    roll.state_mut().playing = true;
    roll.run_steps(1);
    assert!(seen(&roll), "and is fetched when the music starts again");
}

#[test]
fn a_take_is_heard_but_not_changed() {
    let mut roll = two_quarters();
    let take = Score::piano(TempoMap::default(), vec![note(960, 480, "A4")]);
    roll.state_mut().take = Some(std::sync::Arc::new(take));
    roll.run_steps(2);
    let (from, to) = (roll.at(1200, "A4"), roll.at(1700, "B4"));
    roll.drag(from, to, Modifiers::NONE);
    let empty = roll.at(2500, "D4");
    roll.double_click_at(empty);
    roll.key_press(Key::Delete);
    roll.run_steps(2);
    assert_eq!(roll.state().heard, [(69, 80)]);
    assert!(roll.state().labels.is_empty() && roll.selected().is_empty());
    assert_eq!(roll.state().n_refused, 2, "the drag and the double-click are answered");
}

#[test]
fn the_view_goes_along_with_a_take_and_returns_to_the_score() {
    let mut roll = open((0..400).map(|beat| note(beat * 480, 480, "C4")).collect());
    roll.wheel(pos2(500.0, 300.0), vec2(0.0, -20.0), Modifiers::SHIFT);
    let seen = |roll: &Roll| roll.state().roll.viewport().ticks();
    let before = seen(&roll);
    assert!(before.0 > 0);
    let frames: Vec<Note> = (0..200).map(|frame| note(frame * 240, 240, "A4")).collect();
    for n_frames in [0, 1, 50, 200] {
        let take = Score::piano(TempoMap::default(), frames[..n_frames].to_vec());
        let end = take.end().0;
        roll.state_mut().take = Some(std::sync::Arc::new(take));
        roll.run_steps(2);
        assert!(n_frames != 1 || seen(&roll).0 == 0, "a take is shown from its start");
        assert!(seen(&roll).1 >= end, "{n_frames}");
    }
    // When it is finished it is shown from its start.
    roll.state_mut().roll.show_take();
    roll.run_steps(2);
    assert_eq!(seen(&roll).0, 0);
    roll.state_mut().take = None;
    roll.run_steps(2);
    assert_eq!(seen(&roll), before);
}

#[test]
fn all_pitches_of_a_take_are_seen_as_it_grows() {
    let mut roll = two_quarters();
    let before = roll.state().roll.viewport().row_height();
    let notes = [note(0, 240, "C4"), note(240, 240, "C7"), note(480, 240, "A0")];
    for n_notes in 1..=3 {
        let take = Score::piano(TempoMap::default(), notes[..n_notes].to_vec());
        roll.state_mut().take = Some(std::sync::Arc::new(take));
        roll.run_steps(2);
        let seen = roll.state().roll.viewport().visible_pitches();
        let pitches = notes[..n_notes].iter().map(|note| note.pitch.number());
        assert!(pitches.clone().all(|pitch| seen.contains(&pitch)), "{seen:?}");
    }
    roll.state_mut().take = None;
    roll.run_steps(2);
    assert_eq!(roll.state().roll.viewport().row_height(), before);
}

#[test]
fn selected_notes_have_names() {
    let mut roll = open(vec![note(480 * 9, 240, "C#4")]);
    let key = NoteKey::from(&roll.notes()[0]);
    roll.state_mut().selection = Selection::from([key]);
    roll.run_steps(2);
    let name = "C sharp 4, bar 3 beat 2, eighth, velocity 80";
    let rect = roll.get_by_label(name).rect();
    let pos = roll.at(480 * 9 + 120, "C#4");
    assert!(rect.contains(pos), "{rect:?} {pos:?}");
    roll.get_by_label("Piano roll, 1 note, 1 selected");
    roll.get_by_label("Keyboard");
    roll.get_by_label("Ruler");
    // The name lies over the note and must not be in the way of the mouse.
    roll.drag(pos, pos + vec2(48.0, 0.0), Modifiers::NONE);
    assert_eq!(roll.state().labels, ["Move note"]);
}

#[test]
fn a_roll_without_room_or_with_extreme_notes_draws_nothing_wrong() {
    let far = Note { start: Tick(u32::MAX - 10), length: Tick(10), ..note(0, 1, "C4") };
    let low = Note { pitch: Pitch::new(0).unwrap(), ..note(0, 1, "C4") };
    let mut roll = open(vec![far, low, note(0, u32::MAX, "C4")]);
    roll.state_mut().roll.fit_all();
    roll.run_steps(2);
    roll.wheel(pos2(500.0, 300.0), vec2(0.0, -200.0), Modifiers::COMMAND);
    for size in [vec2(1.0, 1.0), vec2(70.0, 30.0), vec2(64.0, 400.0), vec2(3000.0, 10.0)] {
        roll.set_size(size);
        roll.run_steps(2);
        check_painted(&roll);
    }
    // Looked at as near as it goes, where ticks end.
    roll.set_size(vec2(1000.0, 600.0));
    roll.state_mut().roll.go_to(Tick(u32::MAX - 10));
    roll.run_steps(2);
    roll.wheel(pos2(500.0, 300.0), vec2(0.0, 200.0), Modifiers::COMMAND);
    check_painted(&roll);
}

/// Something is painted, and all of it near the window: numbers far beyond lose their fractions,
/// and those that are none make the whole frame vanish.
fn check_painted(roll: &Roll) {
    let shapes = &roll.output().shapes;
    assert!(!shapes.is_empty());
    for clipped in shapes {
        let egui::Shape::Mesh(mesh) = &clipped.shape else {
            assert!(!clipped.shape.visual_bounding_rect().any_nan(), "{:?}", clipped.shape);
            continue;
        };
        assert!(mesh.is_valid());
        for vertex in &mesh.vertices {
            let (x, y) = (vertex.pos.x, vertex.pos.y);
            assert!(x.abs() < 10_000.0 && y.abs() < 10_000.0, "{x} {y}");
        }
    }
}
