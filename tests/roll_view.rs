//! How the piano roll looks at a piece: zoom, scrolling, following, folding, chords, idling.
#![cfg(feature = "studio")]

mod common;

use common::roll::{Desk, note, open_notes as open};

use egui::{Event, Modifiers, PointerButton, Pos2, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use etude::editor::{History, NoteKey};
use etude::music::{KeyScale, Note, Scale, Score, TempoMap};
use etude::ui::piano_roll::{Fold, Follow};

type Roll = Harness<'static, Desk>;

/// A hundred bars of quarters.
fn long() -> Roll {
    open((0..400).map(|beat| note(beat * 480, 480, "C4")).collect())
}

fn wheel(roll: &mut Roll, pos: Pos2, delta: egui::Vec2, modifiers: Modifiers) {
    roll.hover_at(pos);
    roll.event(Event::ModifiersChanged(modifiers));
    roll.event(Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
        modifiers,
    });
    roll.run_steps(30);
    roll.event(Event::ModifiersChanged(Modifiers::NONE));
    roll.run_steps(2);
}

fn left(roll: &Roll) -> f64 {
    roll.state().roll.viewport().left_tick()
}

#[test]
fn control_and_the_wheel_zoom_time_and_with_shift_pitch_to_the_pointer() {
    let mut roll = long();
    let pos = pos2(500.0, 300.0);
    let viewport = || |roll: &Roll| roll.state().roll.viewport().clone();
    let (tick, row) = (viewport()(&roll).tick_from_x(pos.x), viewport()(&roll).row_from_y(pos.y));
    let before = viewport()(&roll);
    wheel(&mut roll, pos, vec2(0.0, 3.0), Modifiers::COMMAND);
    let after = viewport()(&roll);
    assert!(after.ticks_per_point() < before.ticks_per_point());
    assert!((after.tick_from_x(pos.x) - tick).abs() < 1.0);
    assert_eq!(after.row_height(), before.row_height());
    wheel(&mut roll, pos, vec2(0.0, 3.0), Modifiers::COMMAND | Modifiers::SHIFT);
    let zoomed = viewport()(&roll);
    assert!(zoomed.row_height() > after.row_height());
    assert_eq!(zoomed.ticks_per_point(), after.ticks_per_point());
    assert!((zoomed.row_from_y(pos.y) - row).abs() < 0.1);
    assert!(roll.state().labels.is_empty());
}

#[test]
fn a_pinch_zooms_to_the_pointer() {
    let mut roll = long();
    let pos = pos2(500.0, 300.0);
    let tick = roll.state().roll.viewport().tick_from_x(pos.x);
    let before = roll.state().roll.viewport().ticks_per_point();
    roll.hover_at(pos);
    roll.run_steps(1);
    roll.event(Event::Zoom(2.0));
    roll.run_steps(3);
    let viewport = roll.state().roll.viewport();
    assert!((viewport.ticks_per_point() * 2.0 - before).abs() < 1e-3);
    assert!((viewport.tick_from_x(pos.x) - tick).abs() < 1.0);
}

#[test]
fn the_middle_button_pans() {
    let mut roll = long();
    roll.state_mut().roll.zoom(2.0);
    roll.run_steps(2);
    let before = left(&roll);
    let (from, to) = (pos2(600.0, 300.0), pos2(400.0, 300.0));
    roll.hover_at(from);
    let button = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Middle,
        pressed,
        modifiers: Modifiers::NONE,
    };
    roll.event(button(from, true));
    roll.run_steps(1);
    for x in [500.0, 400.0] {
        roll.hover_at(pos2(x, 300.0));
        roll.run_steps(1);
    }
    roll.event(button(to, false));
    roll.run_steps(2);
    let moved = (left(&roll) - before) / roll.state().roll.viewport().ticks_per_point();
    assert!((moved - 200.0).abs() < 1.0, "{moved}");
}

#[test]
fn the_selection_can_be_fitted() {
    let mut roll = long();
    roll.state_mut().selection =
        [100, 103].map(|beat| NoteKey::from(&note(beat * 480, 480, "C4"))).into_iter().collect();
    roll.state_mut().roll.fit_selection();
    roll.run_steps(2);
    let (first, last) = roll.state().roll.viewport().ticks();
    assert!(first <= 48_000 && last >= 49_920, "{first} {last}");
    assert!(last - first < 480 * 8, "{first} {last}");
}

#[test]
fn a_smooth_view_runs_along_until_the_user_scrolls_away() {
    let mut roll = long();
    roll.state_mut().roll.options.follow = Follow::Smooth;
    roll.state_mut().playing = true;
    let place = |roll: &mut Roll, secs: f64| {
        roll.state_mut().playhead_secs = secs;
        roll.run_steps(2);
        roll.state().roll.viewport().x_from_tick(secs * 960.0)
    };
    let (one, other) = (place(&mut roll, 50.0), place(&mut roll, 50.4));
    assert!((one - other).abs() < 1.0, "the playhead stands still: {one} {other}");
    wheel(&mut roll, pos2(500.0, 300.0), vec2(-30.0, 0.0), Modifiers::NONE);
    let away = left(&roll);
    place(&mut roll, 50.8);
    assert_eq!(left(&roll), away, "who scrolled away is left alone");
    // The playhead comes to where the user looks, and takes the view along again.
    let anchor = roll.state().roll.viewport().tick_from_x(one);
    place(&mut roll, anchor / 960.0);
    let x = place(&mut roll, anchor / 960.0 + 3.0);
    assert!((x - one).abs() < 1.0, "{x} {one}");
}

#[test]
fn a_view_that_stays_is_never_moved() {
    let mut roll = long();
    roll.state_mut().roll.options.follow = Follow::Off;
    roll.state_mut().playing = true;
    roll.state_mut().playhead_secs = 100.0;
    roll.run_steps(3);
    assert_eq!(left(&roll), 0.0);
}

#[test]
fn rows_fold_to_the_scale_or_to_what_is_used_and_hide_no_note() {
    let mut roll = open(vec![note(0, 480, "C4"), note(480, 480, "F#4"), note(960, 480, "G4")]);
    roll.state_mut().roll.marks.key = Some(KeyScale::new(0, Scale::Major));
    roll.state_mut().roll.options.fold = Fold::Scale;
    roll.run_steps(2);
    let has_row = |roll: &Roll, pitch: u8| roll.state().roll.viewport().has_row(pitch);
    assert!(has_row(&roll, 62) && !has_row(&roll, 61));
    assert!(has_row(&roll, 66), "F sharp is outside the scale, and used");
    roll.state_mut().roll.options.fold = Fold::UsedPitches;
    roll.run_steps(2);
    let rows: Vec<u8> = (0..128).filter(|pitch| has_row(&roll, *pitch)).collect();
    assert_eq!(rows, [60, 66, 67]);
    roll.state_mut().roll.options.fold = Fold::AllPitches;
    roll.run_steps(2);
    assert!((21..=108).all(|pitch| has_row(&roll, pitch)));
}

#[test]
fn the_chord_strip_follows_the_notes() {
    let chord = |pitches: &str, start: u32| -> Vec<Note> {
        pitches.split(' ').map(|pitch| note(start, 1920, pitch)).collect()
    };
    let mut notes = chord("E3 G3 B3 C4", 0);
    notes.extend(chord("G2 B2 D3 F3", 1920));
    let mut roll = open(notes);
    roll.get_by_label("Chords: Cmaj7/E, G7");
    let score = Score::piano(TempoMap::default(), chord("C3 Eb3 G3", 0));
    roll.state_mut().history = History::new(score);
    roll.run_steps(2);
    roll.get_by_label("Chords: Cm");
    roll.state_mut().roll.options.shows_chords = false;
    roll.run_steps(2);
    assert!(roll.query_by_label_contains("Chords").is_none());
}

#[test]
fn an_idle_roll_asks_for_no_repaint() {
    let mut roll = long();
    let pos = pos2(500.0, 300.0);
    // `run` fails when the window never comes to rest.
    wheel(&mut roll, pos, vec2(0.0, 3.0), Modifiers::COMMAND);
    roll.run();
    roll.hover_at(pos2(500.0, 560.0));
    roll.run();
    for _ in 0..5 {
        roll.step();
        assert!(!roll.ctx.has_requested_repaint());
    }
    roll.state_mut().playing = true;
    roll.step();
    assert!(roll.ctx.has_requested_repaint(), "what plays is painted as the display shows");
}

#[test]
fn a_huge_piece_is_looked_at_from_every_distance() {
    let pitches = ["C3", "E3", "G3", "C4", "E4", "G4", "B4"];
    let notes = (0..60_000u32).map(|idx| note(idx * 60, 50, pitches[idx as usize % 7]));
    let mut roll = open(notes.collect());
    roll.state_mut().roll.fit_all();
    roll.run_steps(2);
    for _ in 0..12 {
        roll.state_mut().roll.zoom(3.0);
        roll.run_steps(1);
    }
    let (first, last) = roll.state().roll.viewport().ticks();
    assert!(last - first < 4_000, "{first} {last}");
}
