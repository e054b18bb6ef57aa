//! The roll's tools and keys, driven through the same events a person causes.
#![cfg(feature = "studio")]

mod common;

use common::roll::{Desk, note};
use egui::{CursorIcon, Event, Key, Modifiers, PointerButton, Pos2, pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use etude::editor::Selection;
use etude::music::{KeyScale, Note, Pitch, Scale, Score, TempoMap, Tick};
use etude::ui::piano_roll::{PianoRollEditor, Tool};

struct Roll(Harness<'static, Desk>);

impl Roll {
    fn open(tool: Tool, notes: Vec<Note>) -> Self {
        let mut editor = PianoRollEditor::default();
        editor.tool = tool;
        let score = Score::piano(TempoMap::default(), notes);
        Self(common::roll::open(score, editor))
    }

    fn heard(&self) -> Vec<u8> {
        self.0.state().heard.iter().map(|(pitch, _)| *pitch).collect()
    }

    fn at(&self, tick: u32, pitch: &str) -> Pos2 {
        let viewport = self.0.state().roll.viewport();
        let pitch: Pitch = pitch.parse().unwrap();
        let y = viewport.y_from_pitch(pitch.number()) + viewport.row_height() / 2.0;
        pos2(viewport.x_from_tick(f64::from(tick)), y)
    }

    fn button(&mut self, pos: Pos2, pressed: bool, modifiers: Modifiers) {
        let button = PointerButton::Primary;
        self.0.event(Event::PointerButton { pos, button, pressed, modifiers });
    }

    fn click(&mut self, pos: Pos2, modifiers: Modifiers) {
        self.0.hover_at(pos);
        self.0.event(Event::ModifiersChanged(modifiers));
        self.button(pos, true, modifiers);
        self.button(pos, false, modifiers);
        self.0.event(Event::ModifiersChanged(Modifiers::NONE));
        self.0.run_steps(4);
    }

    fn double_click(&mut self, pos: Pos2) {
        self.0.hover_at(pos);
        for _ in 0..2 {
            self.button(pos, true, Modifiers::NONE);
            self.button(pos, false, Modifiers::NONE);
        }
        self.0.run_steps(4);
    }

    /// So much later that it is no double-click.
    fn click_later(&mut self, pos: Pos2, modifiers: Modifiers) {
        self.0.run_steps(20);
        self.click(pos, modifiers);
    }

    /// Presses and drags through the points, and stays there.
    fn pull(&mut self, points: &[Pos2], modifiers: Modifiers) {
        self.0.run_steps(20);
        self.0.hover_at(points[0]);
        self.0.event(Event::ModifiersChanged(modifiers));
        self.button(points[0], true, modifiers);
        self.0.run_steps(1);
        for pair in points.windows(2) {
            for share in [0.5, 1.0] {
                self.0.hover_at(pair[0] + (pair[1] - pair[0]) * share);
                self.0.run_steps(1);
            }
        }
    }

    fn drag(&mut self, points: &[Pos2], modifiers: Modifiers) {
        self.pull(points, modifiers);
        self.button(points[points.len() - 1], false, modifiers);
        self.0.event(Event::ModifiersChanged(Modifiers::NONE));
        self.0.run_steps(4);
    }

    fn key(&mut self, modifiers: Modifiers, key: Key) {
        self.0.key_press_modifiers(modifiers, key);
        self.0.run_steps(3);
    }

    fn notes(&self) -> Vec<Note> {
        self.0.state().history.score().notes().to_vec()
    }

    fn selected(&self) -> Vec<(u32, u8)> {
        self.0.state().selection.iter().map(|key| (key.start, key.pitch)).collect()
    }

    fn cursor(&self) -> CursorIcon {
        self.0.output().platform_output.cursor_icon
    }

    /// Undoing everything gives these notes, doing it again the present ones.
    fn check_undo(&mut self, first: &[Note]) {
        let last = self.notes();
        let n_steps = self.0.state().labels.len();
        let history = &mut self.0.state_mut().history;
        assert_eq!(history.n_done(), n_steps, "each gesture is one step");
        while history.undo().is_some() {}
        assert_eq!(history.score().notes(), first);
        while history.redo().is_some() {}
        assert_eq!(history.score().notes(), last);
    }
}

#[test]
fn draw_writes_by_click_and_by_drag() {
    let mut roll = Roll::open(Tool::Draw, Vec::new());
    let pos = roll.at(500, "C4");
    roll.click(pos, Modifiers::NONE);
    let drawn = roll.notes()[0];
    assert_eq!((drawn.start, drawn.length, drawn.pitch.number()), (Tick(480), Tick(480), 60));
    assert_eq!(roll.heard(), [60]);
    // A drag says how long, and the next click writes one of that length.
    let (from, to) = (roll.at(970, "E4"), roll.at(1915, "E4"));
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!((roll.notes()[1].start, roll.notes()[1].length), (Tick(960), Tick(960)));
    let pos = roll.at(1930, "G4");
    roll.click_later(pos, Modifiers::NONE);
    assert_eq!((roll.notes()[2].start, roll.notes()[2].length), (Tick(1920), Tick(960)));
    assert_eq!(roll.selected(), [(1920, 67)]);
    assert_eq!(roll.0.state().labels, ["Add note"; 3]);
    roll.check_undo(&[]);
}

#[test]
fn draw_moves_what_is_there_and_escape_gives_it_up() {
    let mut roll = Roll::open(Tool::Draw, vec![note(0, 480, "C4")]);
    let first = roll.notes();
    let (from, to) = (roll.at(240, "C4"), roll.at(720, "D4"));
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.notes(), [note(480, 480, "D4")]);
    let (from, to) = (roll.at(1000, "E4"), roll.at(1900, "E4"));
    roll.pull(&[from, to], Modifiers::NONE);
    roll.key(Modifiers::NONE, Key::Escape);
    roll.button(to, false, Modifiers::NONE);
    roll.0.run_steps(3);
    assert_eq!(roll.notes(), [note(480, 480, "D4")]);
    roll.check_undo(&first);
}

#[test]
fn erase_takes_what_is_clicked_or_dragged_across_as_one_step() {
    let notes = vec![note(0, 480, "C4"), note(480, 480, "E4"), note(960, 480, "G4")];
    let mut roll = Roll::open(Tool::Erase, notes.clone());
    // Two quick clicks must not bring a note where one was erased.
    let pos = roll.at(240, "C4");
    roll.double_click(pos);
    assert_eq!(roll.notes(), notes[1..]);
    let (from, to) = (roll.at(500, "C4"), roll.at(1400, "B4"));
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.notes(), []);
    assert_eq!(roll.0.state().labels, ["Delete note", "Delete 2 notes"]);
    roll.check_undo(&notes);
}

#[test]
fn split_cuts_at_the_grid_with_shift_all_selected_and_with_alt_anywhere() {
    let notes = vec![note(0, 1920, "C4"), note(0, 1920, "E4")];
    let mut roll = Roll::open(Tool::Split, notes.clone());
    let pos = roll.at(970, "C4");
    roll.click(pos, Modifiers::NONE);
    assert_eq!(roll.notes(), [note(0, 960, "C4"), note(0, 1920, "E4"), note(960, 960, "C4")]);
    let all = Selection::all(roll.0.state().history.score());
    roll.0.state_mut().selection = all;
    let pos = roll.at(490, "C4");
    roll.click_later(pos, Modifiers::SHIFT);
    let starts: Vec<u32> = roll.notes().iter().map(|note| note.start.0).collect();
    assert_eq!(starts, [0, 0, 480, 480, 960]);
    assert_eq!(roll.selected().len(), 5);
    let pos = roll.at(1207, "C4");
    roll.click_later(pos, Modifiers::ALT);
    let cut = roll.notes().iter().map(|note| note.start.0).find(|start| *start > 960).unwrap();
    assert!((1200..1215).contains(&cut), "{cut}");
    assert_eq!(roll.0.state().labels, ["Split note", "Split 2 notes", "Split note"]);
    roll.check_undo(&notes);
}

#[test]
fn with_modifiers_a_rubber_band_begins_with_any_tool() {
    for tool in Tool::ALL {
        let notes = vec![note(0, 480, "C4"), note(480, 480, "E4")];
        let mut roll = Roll::open(tool, notes.clone());
        let (from, to) = (roll.at(1200, "A4"), roll.at(100, "A3"));
        roll.drag(&[from, to], Modifiers::SHIFT);
        assert_eq!(roll.selected(), [(0, 60), (480, 64)], "{tool:?}");
        // From a note, too.
        let (from, to) = (roll.at(700, "E4"), roll.at(600, "F4"));
        roll.drag(&[from, to], Modifiers::COMMAND | Modifiers::SHIFT);
        assert_eq!(roll.selected(), [(480, 64)], "{tool:?}");
        assert_eq!(roll.notes(), notes, "{tool:?}");
    }
}

#[test]
fn double_click_writes_with_any_tool() {
    for tool in [Tool::Select, Tool::Erase, Tool::Split] {
        let mut roll = Roll::open(tool, Vec::new());
        let pos = roll.at(500, "C4");
        roll.double_click(pos);
        assert_eq!(roll.notes().len(), 1, "{tool:?}");
    }
}

#[test]
fn each_tool_has_a_pointer_of_its_own() {
    let mut seen = Vec::new();
    for tool in Tool::ALL {
        let mut roll = Roll::open(tool, vec![note(0, 480, "C4")]);
        let pos = roll.at(1000, "C4");
        roll.0.hover_at(pos);
        roll.0.run_steps(3);
        assert!(!seen.contains(&roll.cursor()), "{tool:?}");
        seen.push(roll.cursor());
    }
}

#[test]
fn a_piece_can_be_written_by_the_keyboard_alone() {
    let mut roll = Roll::open(Tool::Select, Vec::new());
    let pos = roll.at(10, "C4");
    roll.click(pos, Modifiers::NONE);
    roll.0.get_by_label("Caret at C 4, bar 1 beat 1");
    roll.key(Modifiers::NONE, Key::Enter);
    roll.key(Modifiers::SHIFT, Key::ArrowUp);
    roll.key(Modifiers::NONE, Key::Enter);
    roll.key(Modifiers::NONE, Key::ArrowDown);
    roll.key(Modifiers::COMMAND, Key::ArrowRight);
    roll.key(Modifiers::NONE, Key::Enter);
    let written: Vec<_> =
        roll.notes().iter().map(|note| (note.start.0, note.pitch.number())).collect();
    assert_eq!(written, [(0, 60), (480, 72), (960 + 1920, 71)]);
    assert_eq!(roll.selected(), []);
    roll.check_undo(&[]);
}

#[test]
fn tab_walks_from_note_to_note_and_escape_leaves() {
    let notes = vec![note(0, 480, "C4"), note(480, 480, "E4"), note(960, 240, "C#4")];
    let mut roll = Roll::open(Tool::Select, notes);
    let pos = roll.at(3000, "A4");
    roll.click(pos, Modifiers::NONE);
    for expected in [(0, 60), (480, 64), (960, 61), (960, 61)] {
        roll.key(Modifiers::NONE, Key::Tab);
        assert_eq!(roll.selected(), [expected]);
    }
    roll.0.get_by_label("C sharp 4, bar 1 beat 3, eighth, velocity 80");
    roll.key(Modifiers::SHIFT, Key::Tab);
    assert_eq!(roll.selected(), [(480, 64)]);
    assert_eq!(roll.heard(), [60, 64, 61, 61, 64]);
    // Once for the selection, once for the roll: then Tab is for the controls again.
    roll.key(Modifiers::NONE, Key::Escape);
    assert_eq!(roll.selected(), []);
    roll.0.get_by_label("Caret at E 4, bar 1 beat 2");
    roll.key(Modifiers::NONE, Key::Escape);
    assert!(roll.0.query_by_label_contains("Caret").is_none());
    roll.key(Modifiers::NONE, Key::Tab);
    assert_eq!(roll.selected(), []);
}

#[test]
fn a_selected_note_wins_and_the_selection_has_a_name() {
    // The later one lies on top; selected, the earlier one is what is moved.
    let (under, over) = (note(0, 960, "C4"), note(480, 960, "C4"));
    let mut roll = Roll::open(Tool::Select, vec![under, over]);
    roll.0.state_mut().selection = Selection::of([&under]);
    roll.0.run_steps(2);
    let (from, to) = (roll.at(720, "C4"), roll.at(720, "D4"));
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.notes(), [note(0, 960, "D4"), over]);
    roll.0.state_mut().selection = Selection::all(roll.0.state().history.score());
    roll.0.run_steps(2);
    roll.0.get_by_label("Selection: 2 notes, C 4 to D 4, from bar 1 beat 1");
}

#[test]
fn moved_and_written_notes_snap_to_the_scale_when_asked() {
    let mut roll = Roll::open(Tool::Draw, vec![note(0, 480, "C4")]);
    let editor = &mut roll.0.state_mut().roll;
    editor.options.snaps_to_scale = true;
    editor.marks.key = Some(KeyScale::new(0, Scale::Major));
    let (from, to) = (roll.at(240, "C4"), roll.at(240, "C#4"));
    roll.drag(&[from, to], Modifiers::NONE);
    assert_eq!(roll.notes(), [note(0, 480, "C4")]);
    // Of two as near the lower one.
    let pos = roll.at(1000, "F#4");
    roll.click_later(pos, Modifiers::NONE);
    assert_eq!(roll.notes()[1].pitch.to_string(), "F4");
    let (from, to) = (roll.at(240, "C4"), roll.at(240, "C#4"));
    roll.drag(&[from, to], Modifiers::ALT);
    assert_eq!(roll.notes()[0].pitch.to_string(), "C#4", "anywhere with Alt");
}

#[test]
fn enter_goes_on_after_the_note_that_was_drawn_or_clicked_last() {
    let mut roll = Roll::open(Tool::Draw, vec![note(1920, 240, "E4")]);
    let pos = roll.at(490, "C4");
    roll.click_later(pos, Modifiers::NONE);
    roll.key(Modifiers::NONE, Key::Enter);
    let pos = roll.at(2000, "E4");
    roll.click_later(pos, Modifiers::NONE);
    roll.key(Modifiers::NONE, Key::Enter);
    let places: Vec<_> =
        roll.notes().iter().map(|note| (note.start.0, note.pitch.to_string())).collect();
    let expected = [(480, "C4"), (960, "C4"), (1920, "E4"), (2160, "E4")];
    assert_eq!(places, expected.map(|(start, pitch)| (start, pitch.to_owned())));
}

#[test]
fn keys_write_and_move_on_the_scale_when_asked() {
    let mut roll = Roll::open(Tool::Select, Vec::new());
    let editor = &mut roll.0.state_mut().roll;
    editor.options.snaps_to_scale = true;
    editor.marks.key = Some(KeyScale::new(0, Scale::Major));
    let pos = roll.at(10, "C#4");
    roll.click(pos, Modifiers::NONE);
    // On the scale though the caret was put beside it; then by degrees.
    roll.key(Modifiers::NONE, Key::Enter);
    for _ in 0..3 {
        roll.key(Modifiers::NONE, Key::ArrowUp);
    }
    roll.key(Modifiers::NONE, Key::Enter);
    let pitches = |roll: &Roll| -> Vec<String> {
        roll.notes().iter().map(|note| note.pitch.to_string()).collect()
    };
    assert_eq!(pitches(&roll), ["C4", "F4"]);
    roll.0.state_mut().selection = Selection::of([&roll.notes()[1]]);
    roll.key(Modifiers::NONE, Key::ArrowUp);
    assert_eq!(pitches(&roll), ["C4", "G4"]);
    for _ in 0..3 {
        roll.key(Modifiers::NONE, Key::ArrowDown);
    }
    assert_eq!(pitches(&roll), ["C4", "D4"]);
    roll.key(Modifiers::SHIFT, Key::ArrowUp);
    assert_eq!(pitches(&roll), ["C4", "D5"]);
    roll.check_undo(&[]);
}

#[test]
fn keys_pressed_twice_within_a_frame_count_twice() {
    let mut roll = Roll::open(Tool::Select, vec![note(0, 480, "C4")]);
    let pos = roll.at(240, "C4");
    roll.click(pos, Modifiers::NONE);
    for (key, expected) in [(Key::ArrowUp, "D4"), (Key::ArrowDown, "C4")] {
        for _ in 0..2 {
            roll.0.input_mut().events.push(Event::Key {
                key,
                physical_key: None,
                pressed: true,
                repeat: false,
                modifiers: Modifiers::NONE,
            });
        }
        roll.0.run_steps(2);
        assert_eq!(roll.notes(), [note(0, 480, expected)]);
    }
    assert_eq!(roll.0.state().labels, ["Move note"; 2]);
}

#[test]
fn a_click_within_a_frame_counts() {
    let mut roll = Roll::open(Tool::Draw, Vec::new());
    let pos = roll.at(500, "C4");
    roll.0.hover_at(pos);
    roll.0.run_steps(2);
    for pressed in [true, false] {
        let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
        let event = Event::PointerButton { pos, button, pressed, modifiers };
        roll.0.input_mut().events.push(event);
    }
    roll.0.run_steps(3);
    assert_eq!(roll.notes().len(), 1);
    roll.key(Modifiers::NONE, Key::ArrowUp);
    assert_eq!(roll.notes()[0].pitch.to_string(), "C#4");
    roll.check_undo(&[]);
}
