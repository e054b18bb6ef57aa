//! What can be done to selected notes, to the pedal, tempo, meter and parts: what each operation
//! promises, whatever it is given.

use etude::editor::operations::{
    self as ops, Edge, Humanize, Quantize, QuantizeEdges, Resize, Shift,
};
use etude::editor::{
    Change, Clipboard, ClipboardError, Division, EditError, GridStep, History, MeterEdit, NoteKey,
    NoteValue, PartEdit, PedalEdit, ScoreEdit, Selection, TempoEdit,
};
use etude::music::{
    Extra, ExtraHome, ExtraMessage, KeyScale, Meter, MeterChange, Note, Part, PedalSpan, Pitch,
    Scale, Score, TempoChange, TempoMap, Tick, TicksPerQuarter, Track, Velocity,
};
use proptest::prelude::*;

const SIXTEENTH: GridStep = GridStep::straight(NoteValue::Sixteenth);
const QUARTER: GridStep = GridStep::straight(NoteValue::Quarter);

fn note(start: u32, length: u32, pitch: &str) -> Note {
    let (start, length) = (Tick(start), Tick(length));
    Note { start, length, pitch: pitch.parse().unwrap(), velocity: Velocity::COMPOSED, part: 0 }
}

/// "0+480 C4, 480+240 E4": start, length and pitch.
fn notes(text: &str) -> Vec<Note> {
    let number = |text: &str| text.trim().parse::<u32>().unwrap();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (times, pitch) = part.split_once(' ').unwrap();
            let (start, length) = times.split_once('+').unwrap();
            note(number(start), number(length), pitch)
        })
        .collect()
}

fn text_of(notes: &[Note]) -> String {
    let text = |note: &Note| format!("{}+{} {}", note.start.0, note.length.0, note.pitch);
    notes.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn piano(text: &str) -> Score {
    Score::piano(TempoMap::default(), notes(text))
}

/// All notes are selected; the score after the operation, and what is selected then.
fn check(before: &str, after: &str, operation: impl Fn(&Score, &Selection) -> Option<Change>) {
    let score = piano(before);
    let mut history = History::new(score.clone());
    let all = Selection::all(&score);
    let change = operation(&score, &all).expect("something changes");
    history.commit_selected(&change.edit, Some(&all), Some(&change.selection)).unwrap();
    assert_eq!(text_of(history.score().notes()), after);
    let n_found = change.selection.notes(history.score()).count();
    assert!(n_found >= change.selection.len(), "what is selected is there");
    assert!(history.undo().is_some());
    assert_eq!(**history.score(), score);
    assert_eq!(history.selection(), &all, "undo gives the selection back");
    history.redo();
    assert_eq!(history.selection(), &change.selection);
    let nothing = operation(&score, &Selection::new());
    assert!(nothing.is_none(), "nothing selected, nothing done: {nothing:?}");
}

fn shift(ticks: i64, semitones: i32) -> Shift {
    Shift { ticks, semitones }
}

fn starts(ticks: i64, shortest: u32) -> Resize {
    Resize { edge: Edge::Start, ticks, shortest }
}

fn ends(ticks: i64, shortest: u32) -> Resize {
    Resize { edge: Edge::End, ..starts(ticks, shortest) }
}

#[test]
fn moving_stops_as_a_group_at_the_edges() {
    let two = "480+480 C4, 960+480 E4";
    check(two, "0+480 D4, 480+480 F#4", |s, n| ops::move_notes(s, n, shift(-480, 2)));
    check(two, "0+480 C4, 480+480 E4", |s, n| ops::move_notes(s, n, shift(i64::MIN, 0)));
    check(two, "4294966335+480 C4, 4294966815+480 E4", |s, n| {
        ops::move_notes(s, n, shift(i64::MAX, 0))
    });
    check(two, "480+480 G#7, 960+480 C8", |s, n| ops::move_notes(s, n, shift(0, i32::MAX)));
    check("0+480 C-1, 0+480 C4", "0+480 G4, 0+480 G9", |s, n| ops::move_notes(s, n, shift(0, 200)));
    assert_eq!(ops::move_notes(&piano(two), &Selection::all(&piano(two)), shift(0, 0)), None);
    check("0+480 C4", "0+480 C4, 480+480 C5", |s, n| ops::copy_notes(s, n, shift(480, 12)));
}

#[test]
fn ends_and_starts_are_resized_but_never_away() {
    let two = "480+480 C4, 960+120 E4";
    check(two, "480+360 C4, 960+30 E4", |s, n| ops::resize(s, n, ends(-120, 30)));
    check(two, "480+1 C4, 960+1 E4", |s, n| ops::resize(s, n, ends(i64::MIN, 0)));
    check(two, "480+600 C4, 960+240 E4", |s, n| ops::resize(s, n, ends(120, 1)));
    check(two, "600+360 C4, 1050+30 E4", |s, n| ops::resize(s, n, starts(120, 30)));
    check(two, "0+960 C4, 0+1080 E4", |s, n| ops::resize(s, n, starts(i64::MIN, 1)));
    // One that is shorter than the shortest stays as short as it is.
    check("0+10 C4, 0+480 E4", "0+10 C4, 0+240 E4", |s, n| ops::resize(s, n, ends(-240, 60)));
}

#[test]
fn deleting_cutting_and_pasting() {
    check("0+480 C4, 480+480 E4", "", ops::delete);
    let score = piano("240+480 C4, 720+480 E4, 5000+1 A4");
    let selection = Selection::in_range(&score, Tick(0)..Tick(1000));
    let (clipboard, cut) = ops::cut(&score, &selection).unwrap();
    assert_eq!(cut.edit.label(), "Cut 2 notes");
    let rest = cut.edit.apply(&score).unwrap();
    assert_eq!(text_of(rest.notes()), "5000+1 A4");
    let paste = ops::paste(&rest, &clipboard, Tick(4800)).unwrap();
    assert_eq!(paste.edit.label(), "Paste 2 notes");
    let after = paste.edit.apply(&rest).unwrap();
    assert_eq!(text_of(after.notes()), "4800+480 C4, 5000+1 A4, 5280+480 E4");
    assert_eq!(paste.selection.len(), 2);
    // Too late for the end of time they come earlier, all alike.
    let late = ops::paste(&rest, &clipboard, Tick(u32::MAX)).unwrap().edit.apply(&rest).unwrap();
    assert_eq!(text_of(&late.notes()[1..]), "4294966335+480 C4, 4294966815+480 E4");
    // In a piece of other ticks, and without that part.
    let tpq = TicksPerQuarter::new(96).unwrap();
    let other = Score::piano(TempoMap::constant(tpq, 500_000), Vec::new());
    let coarse = ops::paste(&other, &clipboard, Tick(10)).unwrap().edit.apply(&other).unwrap();
    assert_eq!(text_of(coarse.notes()), "10+96 C4, 106+96 E4");
    assert_eq!(Clipboard::copy(&score, &Selection::new()), None);
    let empty = ops::paste(&Score::default(), &clipboard, Tick(0)).unwrap();
    assert_eq!(empty.edit.apply(&Score::default()).unwrap().parts.len(), 1);
}

#[test]
fn a_clipboard_comes_back_from_text_and_nonsense_is_refused_in_words() {
    let score = piano("240+480 C4, 720+480 E4");
    let clipboard = Clipboard::copy(&score, &Selection::all(&score)).unwrap();
    let text = clipboard.to_text();
    assert_eq!(Clipboard::from_text(&text).unwrap(), clipboard);
    assert_eq!(clipboard.len(), 2);
    let note = r#"{"start":0,"length":1,"pitch":60,"velocity":9,"part":0}"#;
    let with = |old: &str, new: &str| {
        format!(r#"{{"etude_notes":1,"ticks_per_quarter":480,"notes":[{note}]}}"#)
            .replacen(old, new, 1)
    };
    assert!(Clipboard::from_text(&with("", "")).is_ok());
    for (text, expected) in [
        (String::new(), "it isn't notes"),
        ("hello".to_owned(), "it isn't notes"),
        ("{\"notes\": []}".to_owned(), "it isn't notes"),
        (text[..text.len() - 9].to_owned(), "the rest is missing"),
        (with("notes\":1", "notes\":2"), "a newer Etude"),
        (with("480", "0"), "ticks"),
        (with("\"length\":1", "\"length\":0"), "no length"),
        (with("\"start\":0", "\"start\":4294967295"), "last tick"),
        (with("\"velocity\":9", "\"velocity\":128"), "velocity"),
        (with("\"pitch\":60", "\"pitch\":200"), "pitch"),
        (with(note, ""), "no note"),
        (format!("{{\"etude_notes\":1,\"x\":{}", "[".repeat(100_000)), "the rest is missing"),
    ] {
        let error = Clipboard::from_text(&text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("can't be pasted"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let huge = " ".repeat(Clipboard::MAX_BYTES + 1);
    assert_eq!(Clipboard::from_text(&huge), Err(ClipboardError::TooLarge));
}

#[test]
fn duplicates_stand_right_after_on_the_grid() {
    let duplicate = |step| move |s: &Score, n: &Selection| ops::duplicate(s, n, step);
    check("0+480 C4", "0+480 C4, 480+480 C4", duplicate(SIXTEENTH));
    // Rounded up to the grid, and as far off it as before.
    check("10+100 C4, 130+300 E4", "10+100 C4, 130+300 E4, 490+100 C4, 610+300 E4", {
        duplicate(QUARTER)
    });
    let bar = GridStep::straight(NoteValue::Bar);
    check("0+480 C4", "0+480 C4, 1920+480 C4", duplicate(bar));
}

#[test]
fn quantizing_brings_starts_ends_or_both_to_the_grid() {
    let how = |edges, strength, swing| {
        let how = Quantize { step: SIXTEENTH, edges, strength, swing };
        move |s: &Score, n: &Selection| ops::quantize(s, n, &how)
    };
    let uneven = "10+115 C4, 185+100 E4";
    check(uneven, "0+115 C4, 240+100 E4", how(QuantizeEdges::Starts, 1.0, 0.0));
    check(uneven, "10+110 C4, 185+55 E4", how(QuantizeEdges::Ends, 1.0, 0.0));
    check(uneven, "0+120 C4, 240+120 E4", how(QuantizeEdges::Both, 1.0, 0.0));
    check(uneven, "5+115 C4, 213+100 E4", how(QuantizeEdges::Starts, 0.5, 0.0));
    // Triplet swing: the second sixteenth of each pair at two thirds.
    check("0+9 C4, 125+9 D4, 250+9 E4", "0+9 C4, 160+9 D4, 240+9 E4", {
        how(QuantizeEdges::Starts, 1.0, 1.0)
    });
    // What lies between a late line and its place without swing goes to the nearer line.
    check("70+9 C4", "0+9 C4", how(QuantizeEdges::Starts, 1.0, 1.0));
    let score = piano("0+120 C4");
    let none = how(QuantizeEdges::Both, 1.0, f64::NAN)(&score, &Selection::all(&score));
    assert_eq!(none, None);
    let triplets = Quantize {
        step: GridStep::new(NoteValue::Eighth, Division::Triplet),
        ..Quantize::default()
    };
    check("150+9 C4", "160+9 C4", |s, n| ops::quantize(s, n, &triplets));
}

#[test]
fn transposing_by_semitones_and_in_a_scale() {
    let c_major = KeyScale::new(0, Scale::Major);
    check("0+1 C4, 0+1 E4", "0+1 C5, 0+1 E5", |s, n| ops::transpose(s, n, 12));
    check("0+1 C4, 0+1 E4", "0+1 D4, 0+1 F4", |s, n| ops::transpose_in_scale(s, n, c_major, 1));
    check("0+1 C4, 0+1 G7", "0+1 F4, 0+1 C8", |s, n| ops::transpose_in_scale(s, n, c_major, 99));
    check("0+1 C#4, 0+1 E4, 1+1 F#4", "0+1 C4, 0+1 E4, 1+1 F4", |s, n| {
        ops::snap_to_scale(s, n, c_major)
    });
}

#[test]
fn the_shapes_of_notes_change_as_they_say() {
    check("0+10 C4, 0+20 E4, 480+10 D4", "0+480 C4, 0+480 E4, 480+10 D4", ops::legato);
    check("0+900 C4, 480+10 D4", "0+480 C4, 480+10 D4", ops::legato);
    check("0+240 C4, 240+240 C4, 960+9 C4, 0+9 E4", "0+969 C4, 0+9 E4", |s, n| {
        let change = ops::join(s, n)?;
        assert_eq!(change.edit.label(), "Join 3 notes");
        Some(change)
    });
    assert!(
        ops::join(&piano("0+1 C4, 9+1 D4"), &Selection::all(&piano("0+1 C4, 9+1 D4"))).is_none()
    );
    check("0+480 C4, 0+100 E4", "0+240 C4, 0+100 E4, 240+240 C4", |s, n| {
        ops::split_at(s, n, Tick(240))
    });
    check("0+480 C4, 7+9 E4", "0+60 C4, 7+60 E4", |s, n| ops::set_length(s, n, Tick(60)));
    check("0+480 C4", "0+1 C4", |s, n| ops::set_length(s, n, Tick(0)));
    check("0+480 C4, 7+1 E4", "0+240 C4, 7+1 E4", |s, n| ops::scale_length(s, n, 0.5));
    check("9+480 C4", "9+4294967286 C4", |s, n| ops::scale_length(s, n, 1e300));
    check("0+480 C4, 480+120 E4", "0+120 E4, 120+480 C4", ops::reverse);
    check("0+1 C4, 1+1 E4, 2+1 G4", "0+1 G4, 1+1 D#4, 2+1 C4", ops::invert);
    check("0+480 C4, 240+480 C4, 240+9 C4", "0+240 C4, 240+480 C4", ops::remove_overlaps);
    let score = piano("0+480 C4");
    for factor in [f64::NAN, f64::INFINITY, 0.0, -2.0] {
        assert_eq!(ops::scale_length(&score, &Selection::all(&score), factor), None);
    }
}

#[test]
fn the_split_tool_cuts_one_note_inside_only() {
    let score = piano("0+480 C4, 0+480 E4");
    let first = score.notes()[0];
    let selection = Selection::of([&first]);
    let change = ops::split_note(&score, &selection, &first, Tick(100)).unwrap();
    let after = change.edit.apply(&score).unwrap();
    assert_eq!(text_of(after.notes()), "0+100 C4, 0+480 E4, 100+380 C4");
    assert_eq!(change.selection.len(), 2);
    for tick in [0, 480, 9999] {
        assert_eq!(ops::split_note(&score, &selection, &first, Tick(tick)), None);
    }
}

#[test]
fn humanizing_is_small_and_the_same_for_the_same_seed() {
    let score = piano("0+480 C4, 480+480 D4, 960+480 E4, 4294966000+1295 F4");
    let all = Selection::all(&score);
    let how = |seed| Humanize { ticks: 10, velocity: 5, seed };
    let one = ops::humanize(&score, &all, &how(1)).unwrap();
    assert_eq!(ops::humanize(&score, &all, &how(1)).unwrap(), one);
    assert_ne!(ops::humanize(&score, &all, &how(2)).unwrap(), one);
    let after = one.edit.apply(&score).unwrap();
    for (old, new) in score.notes().iter().zip(after.notes()) {
        assert!(old.start.0.abs_diff(new.start.0) <= 10 && old.length == new.length);
        assert!(old.velocity.number().abs_diff(new.velocity.number()) <= 5);
    }
    assert_eq!(ops::humanize(&score, &all, &Humanize { ticks: 0, velocity: 0, seed: 1 }), None);
    let wild = Humanize { ticks: u32::MAX, velocity: 255, seed: 3 };
    ops::humanize(&score, &all, &wild).unwrap().edit.apply(&score).unwrap();
}

#[test]
fn velocities_are_set_and_added() {
    let score = piano("0+1 C4, 10+1 D4, 20+1 E4");
    let all = Selection::all(&score);
    let velocities = |change: Option<Change>| -> Vec<u8> {
        let after = change.unwrap().edit.apply(&score).unwrap();
        after.notes().iter().map(|note| note.velocity.number()).collect()
    };
    let velocity = |number| Velocity::saturating(number);
    assert_eq!(velocities(ops::set_velocity(&score, &all, velocity(7))), [7, 7, 7]);
    assert_eq!(velocities(ops::add_velocity(&score, &all, i32::MAX)), [127; 3]);
    let absent = note(5, 5, "A4");
    let each = [(score.notes()[2], velocity(3)), (absent, velocity(3))];
    assert_eq!(velocities(ops::set_velocities(&score, &Selection::new(), &each)), [100, 100, 3]);
}

fn span(start: u32, end: u32) -> PedalSpan {
    PedalSpan { start: Tick(start), end: Tick(end), part: 0 }
}

fn pedal(score: &Score, edits: &[PedalEdit]) -> Result<Vec<(u32, u32)>, EditError> {
    let mut score = score.clone();
    for edit in edits {
        score = ScoreEdit::Pedal(edit.clone()).apply(&score)?;
    }
    Ok(score.pedal.iter().map(|span| (span.start.0, span.end.0)).collect())
}

#[test]
fn the_pedal_is_drawn_erased_and_moved() {
    let score = piano("0+1 C4");
    let (draw, erase) = (PedalEdit::Draw, PedalEdit::Erase);
    let replace = |old, new| PedalEdit::Replace { pairs: vec![(old, new)], label: "Move" };
    for (edits, expected) in [
        (vec![draw(span(0, 10)), draw(span(20, 30))], vec![(0, 10), (20, 30)]),
        (vec![draw(span(0, 10)), draw(span(20, 30)), draw(span(5, 25))], vec![(0, 30)]),
        // Lifted and pressed again at once.
        (vec![draw(span(0, 10)), draw(span(10, 20))], vec![(0, 10), (10, 20)]),
        (vec![draw(span(0, 30)), erase(span(10, 20))], vec![(0, 10), (20, 30)]),
        (vec![draw(span(0, 30)), erase(span(0, 99))], vec![]),
        (vec![draw(span(0, 10)), replace(span(0, 10), span(5, 25))], vec![(5, 25)]),
        (vec![draw(span(0, 10)), PedalEdit::Delete { spans: vec![span(0, 10)] }], vec![]),
    ] {
        assert_eq!(pedal(&score, &edits).unwrap(), expected, "{edits:?}");
    }
    let missing = replace(span(0, 10), span(5, 25));
    assert_eq!(pedal(&score, &[missing]), Err(EditError::MissingPedal(Tick(0))));
    assert_eq!(pedal(&score, &[draw(span(5, 5))]), Err(EditError::NoSpan));
    let elsewhere = PedalSpan { part: 3, ..span(0, 1) };
    assert_eq!(pedal(&score, &[draw(elsewhere)]), Err(EditError::NoPedalPart(3)));
    assert_eq!(ScoreEdit::Pedal(draw(span(0, 1))).label(), "Draw pedal");
}

#[test]
fn the_pedal_can_be_drawn_before_there_is_a_note() {
    let mut history = History::new(Score::default());
    let span = PedalSpan { start: Tick(0), end: Tick(480), part: 0 };
    history.commit(&ScoreEdit::Pedal(PedalEdit::Draw(span))).unwrap();
    let names: Vec<&str> = history.score().parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!((history.score().pedal.as_slice(), names.as_slice()), (&[span][..], &["Piano"][..]));
    history.undo().unwrap();
    assert_eq!(**history.score(), Score::default());
    history.redo().unwrap();
    assert_eq!((history.score().pedal.len(), history.score().parts.len()), (1, 1));
    // Nothing to lift, and so nothing to lift it of.
    let mut history = History::new(Score::default());
    history.commit(&ScoreEdit::Pedal(PedalEdit::Erase(span))).unwrap();
    assert_eq!((history.undo_label(), history.score().parts.len()), (None, 0));
}

#[test]
fn a_piece_always_begins_with_a_tempo() {
    let at = |tick, tempo| TempoChange::from_quarters_per_minute(Tick(tick), tempo);
    let edit = |edits: &[TempoEdit]| {
        let mut score = piano("0+1 C4");
        for edit in edits {
            score = ScoreEdit::Tempo(edit.clone()).apply(&score)?;
        }
        let tempo = |change: &TempoChange| (change.tick.0, change.quarters_per_minute());
        Ok(score.tempo_map.changes().iter().map(tempo).collect::<Vec<_>>())
    };
    let (set, delete) = (TempoEdit::Set, TempoEdit::Delete);
    let moved = |from, to| TempoEdit::Move { from: Tick(from), to: Tick(to) };
    assert_eq!(edit(&[set(at(0, 96.0))]), Ok(vec![(0, 96.0)]));
    assert_eq!(edit(&[set(at(5, 60.0)), set(at(5, 96.0))]), Ok(vec![(0, 120.0), (5, 96.0)]));
    assert_eq!(edit(&[set(at(5, 60.0)), moved(5, 9)]), Ok(vec![(0, 120.0), (9, 60.0)]));
    assert_eq!(edit(&[set(at(5, 60.0)), moved(5, 0)]), Ok(vec![(0, 60.0)]));
    assert_eq!(edit(&[set(at(5, 60.0)), delete(Tick(5))]), Ok(vec![(0, 120.0)]));
    assert_eq!(edit(&[delete(Tick(0))]), Err(EditError::First));
    assert_eq!(edit(&[moved(0, 5)]), Err(EditError::First));
    assert_eq!(edit(&[delete(Tick(7))]), Err(EditError::MissingTempo(Tick(7))));
    let zero = TempoChange { tick: Tick(0), micros_per_quarter: 0 };
    assert_eq!(edit(&[set(zero)]), Err(EditError::BadTempo(0)));
    assert_eq!(ScoreEdit::Tempo(set(at(0, 96.0))).label(), "Change tempo to 96");
}

#[test]
fn meters_stand_on_bar_lines() {
    let meter = |numerator, denominator_power| Meter { numerator, denominator_power };
    let at = |tick, meter| MeterEdit::Set(MeterChange { tick: Tick(tick), meter });
    let edit = |edits: &[MeterEdit]| {
        let mut score = piano("0+1 C4");
        for edit in edits {
            score = ScoreEdit::Meter(edit.clone()).apply(&score)?;
        }
        let row = |change: &MeterChange| (change.tick.0, change.meter.numerator);
        Ok(score.meters.iter().map(row).collect::<Vec<_>>())
    };
    let moved = |from, to| MeterEdit::Move { from: Tick(from), to: Tick(to) };
    assert_eq!(edit(&[at(2000, meter(3, 2))]), Ok(vec![(1920, 3)]));
    assert_eq!(edit(&[at(0, meter(3, 2)), at(1500, meter(5, 2))]), Ok(vec![(0, 3), (1440, 5)]));
    assert_eq!(edit(&[at(1920, meter(3, 2)), moved(1920, 3900)]), Ok(vec![(3840, 3)]));
    // Bars are counted without the change that moves, which never takes the start of the piece.
    assert_eq!(edit(&[at(3840, meter(3, 2)), moved(3840, 6720)]), Ok(vec![(5760, 3)]));
    assert_eq!(edit(&[at(1920, meter(3, 2)), moved(1920, 10)]), Ok(vec![(1920, 3)]));
    assert_eq!(edit(&[at(1920, meter(3, 2)), moved(1920, 0)]), Err(EditError::First));
    assert_eq!(edit(&[at(0, meter(3, 2)), at(10, meter(5, 2))]), Ok(vec![(0, 5)]));
    assert_eq!(edit(&[at(1920, meter(3, 2)), MeterEdit::Delete(Tick(1920))]), Ok(vec![]));
    assert_eq!(edit(&[at(0, meter(3, 2)), MeterEdit::Delete(Tick(0))]), Err(EditError::First));
    assert_eq!(edit(&[MeterEdit::Delete(Tick(9))]), Err(EditError::MissingMeter(Tick(9))));
    assert_eq!(edit(&[at(0, meter(0, 2))]), Err(EditError::BadMeter));
    assert_eq!(edit(&[at(0, meter(4, 7))]), Err(EditError::BadMeter));
    assert_eq!(ScoreEdit::Meter(at(0, meter(6, 3))).label(), "Change meter to 6/8");
    let mut odd = piano("0+1 C4");
    let change = |tick, numerator| MeterChange { tick: Tick(tick), meter: meter(numerator, 2) };
    odd.meters = vec![change(0, 4), change(480, 1)];
    for to in [1, 480, 960, 1000, 2400, 2900, 9000] {
        let rest = MeterEdit::rest(&odd, Tick(480), Tick(to));
        let moved = ScoreEdit::Meter(moved(480, to)).apply(&odd).unwrap();
        assert_eq!(moved.meters, [change(0, 4), change(rest.0, 1)], "{to}");
    }
    // At the end of time there is no next bar line.
    assert!(edit(&[at(u32::MAX, meter(3, 2))]).unwrap()[0].0 < u32::MAX);
}

#[test]
fn parts_are_named_muted_added_and_deleted() {
    let mut history = History::new(piano("0+480 C4"));
    let edit = |history: &mut History, edit: PartEdit| history.commit(&ScoreEdit::Part(edit));
    let cello = Part { name: "Cello".to_owned(), channel: 1, program: 42, ..Part::default() };
    edit(&mut history, PartEdit::Add(cello)).unwrap();
    let score = history.score().clone();
    let change = ops::move_to_part(&score, &Selection::all(&score), 1).unwrap();
    history.commit(&change.edit).unwrap();
    assert_eq!(history.score().notes()[0].part, 1);
    assert_eq!(ops::move_to_part(&score, &Selection::all(&score), 2), None);
    let cello = Track::Part(1);
    let is_solo = true;
    edit(&mut history, PartEdit::Solo { track: cello, is_solo }).unwrap();
    edit(&mut history, PartEdit::Mute { track: Track::Drums, is_muted: true }).unwrap();
    edit(&mut history, PartEdit::SetColor { track: cello, color: Some(4) }).unwrap();
    let name = "Violoncello".to_owned();
    edit(&mut history, PartEdit::Rename { track: cello, name }).unwrap();
    assert_eq!(history.undo_label(), Some("Rename part to “Violoncello”"));
    let instrument = PartEdit::SetInstrument { part: 1, channel: 2, program: 43 };
    edit(&mut history, instrument).unwrap();
    let before = history.score().clone();
    assert_eq!(before.parts[1].color, Some(4));
    assert!(before.drum_part.is_muted && before.is_heard(cello));
    for (wrong, error) in [
        (PartEdit::Delete(2), EditError::NoPart(2)),
        (PartEdit::Mute { track: Track::Part(9), is_muted: true }, EditError::NoPart(9)),
        (PartEdit::Add(Part { channel: 9, ..Part::default() }), EditError::BadChannel),
        (PartEdit::SetInstrument { part: 0, channel: 0, program: 128 }, EditError::BadProgram),
    ] {
        assert_eq!(edit(&mut history, wrong), Err(error));
    }
    edit(&mut history, PartEdit::Delete(0)).unwrap();
    assert_eq!(history.score().notes()[0].part, 0);
    assert_eq!(history.score().parts[0].name, "Violoncello");
    assert_eq!(edit(&mut history, PartEdit::Delete(0)), Err(EditError::LastPart));
    history.undo();
    assert_eq!(history.score(), &before);
    history.jump_to(0);
    assert_eq!(**history.score(), piano("0+480 C4"));
}

#[test]
fn deleting_a_part_takes_its_pedal_and_messages_along() {
    let mut score = piano("0+480 C4, 0+480 E4, 0+480 G4");
    score.parts.extend([Part::default(), Part::default()]);
    let parted = score.notes().iter().zip(0..).map(|(note, part)| Note { part, ..*note });
    score.set_notes(parted.collect());
    score.pedal = (0..3).map(|part| PedalSpan { part, ..span(0, 9) }).collect();
    let extra = |part| Extra {
        tick: Tick(0),
        home: ExtraHome::Part(part),
        message: ExtraMessage::SysEx(vec![part]),
    };
    score.extras = (0..3).map(extra).collect();
    let after = ScoreEdit::Part(PartEdit::Delete(1)).apply(&score).unwrap();
    assert_eq!(text_of(after.notes()), "0+480 C4, 0+480 G4");
    assert_eq!(after.notes().iter().map(|note| note.part).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(after.pedal.iter().map(|span| span.part).collect::<Vec<_>>(), [0, 1]);
    let homes: Vec<ExtraHome> = after.extras.iter().map(|extra| extra.home).collect();
    assert_eq!(homes, [ExtraHome::Part(0), ExtraHome::Part(1)]);
    assert_eq!(after.extras[1].message, ExtraMessage::SysEx(vec![2]));
}

/// 4,000 notes of two parts, one after the other.
fn large() -> Score {
    let text_pitch = |idx: u32| Pitch::new(30 + (idx * 7 % 60) as u8).unwrap();
    let note = |idx: u32| Note {
        start: Tick(100_000 + idx * 30),
        length: Tick(20 + idx % 50),
        pitch: text_pitch(idx),
        velocity: Velocity::saturating(20 + (idx % 100) as i32),
        part: (idx % 2) as u8,
    };
    let mut score = Score::piano(TempoMap::default(), (0..4_000).map(note).collect());
    score.parts.push(Part::default());
    score
}

#[test]
fn five_hundred_changes_of_everything_cost_little_memory() {
    let score = large();
    let mut history = History::new(score.clone());
    let half = Selection::of_part(&score, 1);
    for idx in 0..520 {
        let score = history.score().clone();
        let before = if idx % 20 == 0 { half.clone() } else { Selection::all(&score) };
        let change = match idx % 4 {
            0 => ops::move_notes(&score, &before, shift(60, 0)),
            1 => ops::transpose(&score, &before, 1),
            2 => ops::transpose(&score, &before, -1),
            _ => ops::move_notes(&score, &before, shift(-60, 0)),
        };
        let Some(change) = change else { continue };
        let after = Some(&change.selection);
        history.commit_selected(&change.edit, Some(&before), after).unwrap();
    }
    assert!(history.labels().len() >= 500);
    assert!(history.n_bytes() < 4 << 20, "{}", history.n_bytes());
    let last = history.score().clone();
    history.jump_to(0);
    assert_eq!(**history.score(), score);
    history.jump_to(usize::MAX);
    assert_eq!(history.score(), &last);
}

#[test]
fn uneven_changes_of_everything_cost_about_a_byte_for_each_number_that_changes() {
    let score = large();
    let all = Selection::all(&score);
    let n_notes = score.notes().len();
    let mut history = History::new(score.clone());
    let velocity = |idx: usize| Velocity::saturating(101 + (idx * idx % 23) as i32);
    let drawn: Vec<_> =
        score.notes().iter().enumerate().map(|(idx, note)| (*note, velocity(idx))).collect();
    let change = ops::set_velocities(&score, &all, &drawn).unwrap();
    history.commit_selected(&change.edit, Some(&all), Some(&change.selection)).unwrap();
    assert!(history.n_bytes() < n_notes * 3 / 2, "{}", history.n_bytes());
    let after = history.score().clone();
    history.undo();
    assert_eq!(**history.score(), score);
    history.redo();
    assert_eq!(history.score(), &after);
}

#[test]
fn what_looks_like_a_shift_that_one_note_could_not_go_is_undone_as_it_was() {
    // The second stays where it is: five semitones lower there is no key.
    let (old, new) = (notes("0+1 C4, 5+1 C-1"), notes("0+1 G3, 5+1 C-1"));
    let score = Score::piano(TempoMap::default(), old.clone());
    let pairs = old.into_iter().zip(new).collect();
    let mut history = History::new(score.clone());
    history.commit(&ScoreEdit::Replace { pairs, label: "Move" }).unwrap();
    assert_eq!(text_of(history.score().notes()), "0+1 G3, 5+1 C-1");
    history.undo();
    assert_eq!(**history.score(), score);
}

#[test]
fn a_shift_of_notes_that_are_gone_fails() {
    let score = piano("0+480 C4");
    let notes = Selection::of(&notes("0+480 C4, 480+480 E4"));
    let edit = ScoreEdit::Shift { notes, by: shift(10, 0), label: "Move" };
    assert_eq!(edit.label(), "Move 2 notes");
    assert_eq!(edit.apply(&score), Err(EditError::Missing));
}

#[test]
fn twins_that_move_together_all_arrive() {
    let (soft, loud) = (note(0, 480, "C4"), Note { velocity: Velocity::MAX, ..note(0, 480, "C4") });
    let score = Score::piano(TempoMap::default(), vec![soft, soft, loud]);
    let change = ops::move_notes(&score, &Selection::all(&score), shift(10, 0)).unwrap();
    let after = change.edit.apply(&score).unwrap();
    let moved = |note: Note| Note { start: Tick(10), ..note };
    assert_eq!(after.notes(), [moved(soft), moved(soft), moved(loud)]);
}

/// Numbers that choose one of everything that can be done, and how.
type Plan = (u8, i64, u32, u32, f64, Vec<u16>);

fn plan_strategy() -> impl Strategy<Value = Plan> {
    let numbers = prop_oneof![4 => -3000i64..3000, 1 => any::<i64>()];
    let ticks = || prop_oneof![6 => 0u32..4000, 1 => any::<u32>()];
    let factor = prop_oneof![4 => 0.0..4.0f64, 1 => any::<f64>()];
    (0u8..43, numbers, ticks(), ticks(), factor, prop::collection::vec(any::<u16>(), 0..12))
}

/// What a person might select.
fn selection_of(score: &Score, plan: &Plan) -> Selection {
    let (kind, by, one, other, _, picks) = plan;
    let all = score.notes();
    match (kind, picks.len()) {
        (_, 0) => Selection::all(score),
        (_, 1) => Selection::from_tick(score, Tick(*one)),
        (_, 2) => Selection::in_range(score, Tick(*one)..Tick(*other)),
        (_, 3) => Selection::of_part(score, (*by).rem_euclid(2) as u8),
        _ if all.is_empty() => Selection::new(),
        _ => Selection::of(picks.iter().map(|pick| &all[usize::from(*pick) % all.len()])),
    }
}

fn edit_of(score: &Score, selection: &Selection, plan: &Plan) -> Option<Change> {
    let (kind, by, one, other, factor, picks) = plan;
    let (first, last) = (Tick(*one.min(other)), Tick(*one.max(other)));
    let step = GridStep::all().nth(picks.first().map_or(4, |pick| usize::from(*pick) % 19))?;
    let key = KeyScale::new((*one % 12) as u8, Scale::ALL[*other as usize % 15]);
    let velocity = Velocity::saturating((*one % 127) as i32 + 1);
    let small = (*by).clamp(-200, 200) as i32;
    let edges = [QuantizeEdges::Starts, QuantizeEdges::Ends, QuantizeEdges::Both];
    let edges = edges[*one as usize % 3];
    let part = (*by).rem_euclid(3) as u8;
    let track = if part == 2 { Track::Drums } else { Track::Part(part) };
    let pedal_span = PedalSpan { start: first, end: last, part };
    let beside = |edit: ScoreEdit| Some(Change { edit, selection: selection.clone() });
    let tempo_tick = score.tempo_map.changes()[*other as usize % score.tempo_map.changes().len()];
    let meter_tick = score.meters.get(*other as usize % score.meters.len().max(1));
    let meter_tick = meter_tick.map_or(Tick(0), |change| change.tick);
    match kind {
        0 => ops::move_notes(score, selection, shift(*by, small)),
        1 => ops::copy_notes(score, selection, shift(*by, small)),
        2 => ops::resize(score, selection, starts(*by, *other)),
        3 => ops::resize(score, selection, ends(*by, *other)),
        4 => ops::delete(score, selection),
        5 => ops::cut(score, selection).map(|(_, change)| change),
        6 | 7 => {
            let text = Clipboard::copy(score, selection)?.to_text();
            ops::paste(score, &Clipboard::from_text(&text).unwrap(), first)
        }
        8 => ops::duplicate(score, selection, step),
        9 | 10 => {
            let how = Quantize { step, edges, strength: *factor, swing: *factor / 2.0 };
            ops::quantize(score, selection, &how)
        }
        11 => ops::transpose(score, selection, small),
        12 => ops::transpose_in_scale(score, selection, key, small),
        13 => ops::snap_to_scale(score, selection, key),
        14 => ops::legato(score, selection),
        15 => ops::join(score, selection),
        16 => ops::split_at(score, selection, first),
        17 => {
            let note = selection.notes(score).next()?;
            ops::split_note(score, selection, note, Tick(note.start.0 + note.length.0 / 2))
        }
        18 => ops::set_length(score, selection, first),
        19 => ops::scale_length(score, selection, *factor),
        20 => ops::reverse(score, selection),
        21 => ops::invert(score, selection),
        22 => ops::remove_overlaps(score, selection),
        23 => {
            let how = Humanize { ticks: *one, velocity: *other as u8, seed: *by as u64 };
            ops::humanize(score, selection, &how)
        }
        24 => ops::set_velocity(score, selection, velocity),
        25 => ops::add_velocity(score, selection, small),
        26 | 27 => {
            let drawn: Vec<_> = selection.notes(score).map(|note| (*note, velocity)).collect();
            ops::set_velocities(score, selection, &drawn)
        }
        28 => ops::move_to_part(score, selection, part),
        29 | 30 => beside(ScoreEdit::Pedal(PedalEdit::Draw(pedal_span))),
        31 => beside(ScoreEdit::Pedal(PedalEdit::Erase(pedal_span))),
        32 => {
            let old = *score.pedal.get(*one as usize % score.pedal.len().max(1))?;
            let pairs = vec![(old, PedalSpan { part: old.part, ..pedal_span })];
            beside(ScoreEdit::Pedal(PedalEdit::Replace { pairs, label: "Move" }))
        }
        33 | 34 => {
            let tempo = TempoChange::from_quarters_per_minute(first, *factor * 100.0);
            beside(ScoreEdit::Tempo(TempoEdit::Set(tempo)))
        }
        35 => beside(ScoreEdit::Tempo(TempoEdit::Move { from: tempo_tick.tick, to: first })),
        36 => beside(ScoreEdit::Tempo(TempoEdit::Delete(tempo_tick.tick))),
        37 | 38 => {
            let meter = Meter { numerator: *one as u8, denominator_power: (*other % 7) as u8 };
            beside(ScoreEdit::Meter(MeterEdit::Set(MeterChange { tick: first, meter })))
        }
        39 => beside(ScoreEdit::Meter(MeterEdit::Move { from: meter_tick, to: last })),
        40 => beside(ScoreEdit::Meter(MeterEdit::Delete(meter_tick))),
        41 => beside(ScoreEdit::Part(PartEdit::Solo { track, is_solo: *by > 0 })),
        _ => beside(ScoreEdit::Part(match by % 2 {
            0 => PartEdit::Add(Part { channel: 3, ..Part::default() }),
            _ => PartEdit::Delete(part),
        })),
    }
}

fn verify_invariants(score: &Score) {
    let mut sorted = score.clone();
    sorted.set_notes(score.notes().to_vec());
    assert_eq!(sorted.notes(), score.notes(), "sorted");
    for note in score.notes() {
        assert!(note.length.0 > 0 && note.start.0.checked_add(note.length.0).is_some());
        assert!(usize::from(note.part) < score.parts.len(), "its part is there");
    }
    assert!(score.pedal.is_sorted_by_key(|span| span.start));
    for part in 0..score.parts.len() {
        let spans = score.pedal.iter().filter(|span| usize::from(span.part) == part);
        let spans: Vec<&PedalSpan> = spans.collect();
        assert!(spans.iter().all(|span| span.start < span.end));
        assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "no overlap");
    }
    assert!(score.pedal.iter().all(|span| usize::from(span.part) < score.parts.len()));
    let changes = score.tempo_map.changes();
    assert_eq!(changes[0].tick, Tick::ZERO);
    assert!(changes.windows(2).all(|pair| pair[0].tick < pair[1].tick));
    assert!(changes.iter().all(|it| (1..=0xff_ffff).contains(&it.micros_per_quarter)));
    assert!(score.meters.windows(2).all(|pair| pair[0].tick < pair[1].tick));
    for change in &score.meters {
        assert!(change.meter.numerator > 0 && change.meter.denominator_power <= 6);
    }
}

fn first_score() -> impl Strategy<Value = Score> {
    let times =
        prop_oneof![9 => (0u32..5000, 1u32..900), 1 => (4_000_000_000u32..u32::MAX - 9, 1u32..9)];
    let note = (times, 55u8..70, 1i32..128, 0u8..2);
    (1u16..1000, prop::collection::vec(note, 0..40)).prop_map(|(division, notes)| {
        let note = |((start, length), pitch, velocity, part)| Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::saturating(velocity),
            part,
        };
        let map = TempoMap::constant(TicksPerQuarter::new(division).unwrap(), 500_000);
        let mut score = Score::piano(map, notes.into_iter().map(note).collect());
        score.parts.push(Part { channel: 1, ..Part::default() });
        score.pedal = vec![span(0, 100), span(480, 960)];
        score
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_is_done_all_is_undone_and_done_again(
        first in first_score(),
        plans in prop::collection::vec(plan_strategy(), 1..24),
        jumps in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        let mut history = History::new(first.clone());
        // What was there, and selected, after so many steps.
        let mut states = vec![(history.score().clone(), None)];
        let mut before_steps = Vec::new();
        for plan in &plans {
            let score = history.score().clone();
            let selection = selection_of(&score, plan);
            let Some(change) = edit_of(&score, &selection, plan) else { continue };
            prop_assert!(!change.edit.label().is_empty());
            let after = Some(&change.selection);
            let n_before = history.labels().len();
            if history.commit_selected(&change.edit, Some(&selection), after).is_err() {
                prop_assert_eq!(history.score(), &score);
                continue;
            }
            verify_invariants(history.score());
            if matches!(change.edit, ScoreEdit::Shift { .. } | ScoreEdit::Replace { .. }) {
                let n_notes = history.score().notes().len();
                prop_assert_eq!(n_notes, score.notes().len(), "none hides another");
                let rest = selection.inverted(&score);
                prop_assert_eq!(rest.notes(history.score()).count(), rest.len());
            }
            prop_assert_eq!(&change.edit.apply(&score).unwrap(), &**history.score());
            if history.labels().len() > n_before {
                let selected: Vec<Note> =
                    change.selection.notes(history.score()).copied().collect();
                states.push((history.score().clone(), Some(selected)));
                before_steps.push(selection.notes(&score).copied().collect::<Vec<Note>>());
            } else {
                prop_assert_eq!(history.score(), &score);
            }
        }
        prop_assert_eq!(history.n_done() + 1, states.len());
        while let Some(expected) = before_steps.pop() {
            prop_assert!(history.undo().is_some());
            let (score, _) = &states[before_steps.len()];
            prop_assert_eq!(history.score(), score);
            let selected: Vec<Note> = history.selection().notes(score).copied().collect();
            prop_assert_eq!(selected, expected);
        }
        prop_assert_eq!(history.undo(), None);
        prop_assert_eq!(&**history.score(), &first);
        for (score, selected) in &states[1..] {
            prop_assert!(history.redo().is_some());
            prop_assert_eq!(history.score(), score);
            let now: Vec<Note> = history.selection().notes(score).copied().collect();
            prop_assert_eq!(Some(&now), selected.as_ref());
        }
        prop_assert_eq!(history.redo(), None);
        for jump in jumps {
            let n_done = jump.index(states.len());
            history.jump_to(n_done);
            prop_assert_eq!(history.n_done(), n_done);
            prop_assert_eq!(history.score(), &states[n_done].0);
        }
    }

    #[test]
    fn no_text_is_more_than_refused(text in "\\PC{0,60}", cut in any::<prop::sample::Index>()) {
        prop_assert!(Clipboard::from_text(&text).is_err());
        let score = piano("240+480 C4, 720+480 E4");
        let clipboard = Clipboard::copy(&score, &Selection::all(&score)).unwrap();
        let whole = clipboard.to_text();
        prop_assert!(Clipboard::from_text(&whole[..cut.index(whole.len())]).is_err());
    }
}

#[test]
fn notes_stay_chosen_when_their_velocity_changes() {
    let score = piano("0+480 C4, 480+480 E4");
    let first = Selection::of(&score.notes()[..1]);
    for chosen in [Selection::all(&score), first.clone(), Selection::new()] {
        let change = ops::add_velocity(&score, &first, 5).unwrap().keeping(&chosen);
        let after = change.edit.apply(&score).unwrap();
        assert_eq!(change.selection.notes(&after).count(), chosen.len());
        let is_chosen = change.selection.contains(&NoteKey::from(&after.notes()[0]));
        assert_eq!(is_chosen, !chosen.is_empty());
    }
}

#[test]
fn a_note_that_passes_over_others_leaves_them_alone() {
    let mut history = History::new(piano("0+480 C4, 0+480 E4"));
    let first = Score::clone(history.score());
    let mut selection = Selection::of(&first.notes()[..1]);
    for step in 1..=7 {
        let change = ops::move_notes(history.score(), &selection, shift(0, 1)).unwrap();
        history.commit_selected(&change.edit, Some(&selection), Some(&change.selection)).unwrap();
        selection = history.selection().clone();
        assert_eq!(selection.len(), 1, "the note that was passed isn't taken along");
        let pitches: Vec<u8> =
            history.score().notes().iter().map(|note| note.pitch.number()).collect();
        let (moved, other) = (60 + step, 64);
        assert_eq!(pitches, [moved.min(other), moved.max(other)]);
    }
    while history.undo().is_some() {
        assert_eq!(history.selection().len(), 1);
    }
    assert_eq!(**history.score(), first);
}

#[test]
fn a_click_far_back_in_the_history_finds_the_piece_as_it_was() {
    let first = large();
    let mut history = History::new(first.clone());
    let mut states = vec![history.score().clone()];
    for step in 0..400 {
        let score = history.score().clone();
        let note = score.notes()[step * 7];
        let selection = Selection::of([&note]);
        let change = match step % 4 {
            0 => ops::move_notes(&score, &selection, shift(100_000, 1)),
            1 => ops::delete(&score, &selection),
            2 => ops::duplicate(&score, &selection, GridStep::default()),
            _ => ops::split_at(&score, &selection, Tick(note.start.0 + note.length.0 / 2)),
        };
        let change = change.unwrap();
        history.commit_selected(&change.edit, Some(&selection), Some(&change.selection)).unwrap();
        states.push(history.score().clone());
    }
    for n_done in [0, 400, 13, 200, 199, 398, 1] {
        history.jump_to(n_done);
        assert_eq!(history.n_done(), n_done);
        assert_eq!(history.score(), &states[n_done]);
    }
}
