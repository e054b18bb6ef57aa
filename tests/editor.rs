//! Edits, undo and the project file: what they promise, whatever is done to them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use etude::editor::{
    EditError, History, NoteKey, Project, ProjectError, ScoreEdit, Selection, backup_path,
    selected_notes,
};
use etude::music::{
    Extra, ExtraHome, ExtraMessage, Meter, MeterChange, Note, Part, PedalSpan, Pitch, Score,
    TempoChange, TempoMap, Tick, TicksPerQuarter, Velocity,
};
use proptest::prelude::*;
use serde_json::json;

fn note(start: u32, length: u32, pitch: &str) -> Note {
    let (start, length) = (Tick(start), Tick(length));
    Note { start, length, pitch: pitch.parse().unwrap(), velocity: Velocity::COMPOSED, part: 0 }
}

fn score(notes: &[Note]) -> Score {
    Score::piano(TempoMap::default(), notes.to_vec())
}

fn add(notes: &[Note]) -> ScoreEdit {
    ScoreEdit::Add { notes: notes.to_vec() }
}

fn replace(old: Note, new: Note) -> ScoreEdit {
    ScoreEdit::Replace { pairs: vec![(old, new)], label: "Move" }
}

#[test]
fn edits_say_what_they_do() {
    let (one, two) = (note(0, 1, "C4"), note(5, 1, "C4"));
    assert_eq!(add(&[one]).label(), "Add note");
    assert_eq!(add(&[one, two]).label(), "Add 2 notes");
    assert_eq!(ScoreEdit::Copy { notes: vec![one, two] }.label(), "Copy 2 notes");
    assert_eq!(ScoreEdit::Delete { notes: vec![one, two] }.label(), "Delete 2 notes");
    assert_eq!(replace(one, two).label(), "Move note");
    let take = ScoreEdit::ReplaceScore { score: Box::default(), label: "Use take 3".to_owned() };
    assert_eq!(take.label(), "Use take 3");
}

#[test]
fn a_note_that_comes_to_lie_on_another_takes_nothing_away() {
    let (here, there) = (note(0, 480, "C4"), note(480, 480, "C4"));
    let loud = Note { velocity: Velocity::MAX, ..here };
    let two = score(&[here, there]);
    assert_eq!(replace(there, loud).apply(&two).unwrap().notes(), [here, loud]);
    assert_eq!(replace(there, here).apply(&two).unwrap().notes(), [here, here]);
    // What is written where there is such a note is written over it, once.
    assert_eq!(add(&[loud]).apply(&two).unwrap().notes(), [loud, there]);
    assert_eq!(add(&[here]).apply(&two).unwrap().notes(), [here, there]);
    let (softer, louder) = (Note { velocity: Velocity::new(1).unwrap(), ..here }, loud);
    let twins = score(&[softer, here]);
    assert_eq!(add(&[here]).apply(&twins).unwrap().notes(), [softer, here]);
    assert_eq!(add(&[louder]).apply(&twins).unwrap().notes(), [here, louder]);
    assert_eq!(add(&[softer, here, louder]).apply(&twins).unwrap().notes(), [softer, here, louder]);
    // Notes that swap places don't hide each other.
    let swap = ScoreEdit::Replace { pairs: vec![(here, there), (there, here)], label: "Move" };
    assert_eq!(swap.apply(&two).unwrap().notes(), [here, there]);
    // Twins that came with a file stay, and go one by one.
    let twins = score(&[here, here]);
    let delete = ScoreEdit::Delete { notes: vec![here] };
    assert_eq!(delete.apply(&twins).unwrap().notes(), [here]);
    let both = ScoreEdit::Delete { notes: vec![here, here] };
    assert_eq!(both.apply(&twins).unwrap().notes(), []);
}

#[test]
fn impossible_edits_fail_and_change_nothing() {
    let here = note(0, 480, "C4");
    let mut history = History::new(score(&[here]));
    let before = history.score().clone();
    let other = note(0, 480, "D4");
    let wrong_part = Note { part: 1, ..here };
    for (edit, error) in [
        (ScoreEdit::Delete { notes: vec![other] }, EditError::Missing),
        (ScoreEdit::Delete { notes: vec![here, here] }, EditError::Missing),
        (replace(other, here), EditError::Missing),
        (add(&[note(9, 0, "C4")]), EditError::NoLength),
        (add(&[note(u32::MAX, 1, "C4")]), EditError::TooLate),
        (add(&[other, wrong_part]), EditError::NoPart(1)),
    ] {
        assert_eq!(history.commit(&edit), Err(error));
        assert_eq!(history.score(), &before);
        assert_eq!(history.undo_label(), None);
    }
}

#[test]
fn undo_says_what_it_undoes_and_brings_back_what_was_selected() {
    let (here, there) = (note(0, 480, "C4"), note(960, 480, "E4"));
    let mut history = History::new(score(&[here]));
    let first = history.state();
    history.commit(&replace(here, there)).unwrap();
    history.commit(&add(&[here])).unwrap();
    let last = history.state();
    assert_eq!(history.labels().collect::<Vec<_>>(), ["Move note", "Add note"]);
    assert_eq!((history.undo_label(), history.redo_label()), (Some("Add note"), None));
    assert_eq!(history.undo().as_deref(), Some("Add note"));
    assert_eq!(history.undo().as_deref(), Some("Move note"));
    assert_eq!(history.selection(), &Selection::from([NoteKey::from(&here)]));
    assert_eq!((history.undo(), history.state()), (None, first));
    assert_eq!(history.redo().as_deref(), Some("Move note"));
    assert_eq!(history.selection(), &Selection::from([NoteKey::from(&there)]));
    history.jump_to(2);
    assert_eq!(history.state(), last);
    history.jump_to(0);
    history.commit(&add(&[note(7, 7, "G4")])).unwrap();
    assert_eq!((history.redo_label(), history.n_done()), (None, 1));
    assert!(![first, last].contains(&history.state()), "another state has another name");
}

#[test]
fn an_edit_that_changes_nothing_is_no_step() {
    let here = note(0, 480, "C4");
    let mut history = History::new(score(&[here]));
    history.commit(&replace(here, here)).unwrap();
    history.commit(&add(&[here])).unwrap();
    let same = Box::new((**history.score()).clone());
    history.commit(&ScoreEdit::ReplaceScore { score: same, label: "Open".to_owned() }).unwrap();
    assert_eq!(history.undo_label(), None);
}

#[test]
fn a_whole_new_score_is_one_step_with_everything_in_it() {
    let mut other = score(&[note(0, 96, "A2")]);
    other.title = "Waltz".to_owned();
    other.tempo_map = TempoMap::constant(TicksPerQuarter::new(96).unwrap(), 700_000);
    other.pedal = vec![PedalSpan { start: Tick(0), end: Tick(50), part: 0 }];
    let first = score(&[note(0, 480, "C4")]);
    let mut history = History::new(first.clone());
    let edit =
        ScoreEdit::ReplaceScore { score: Box::new(other.clone()), label: "Use take 3".to_owned() };
    history.commit(&edit).unwrap();
    assert_eq!(**history.score(), other);
    assert_eq!(history.undo().as_deref(), Some("Use take 3"));
    assert_eq!(**history.score(), first);
    assert!(history.selection().is_empty(), "nobody chose the notes of a whole score");
    history.redo();
    assert_eq!(**history.score(), other);
    assert!(history.selection().is_empty());
}

#[test]
fn a_large_piece_keeps_500_steps() {
    let notes: Vec<Note> = (0..20_000).map(|idx| note(idx * 10, 10, "C4")).collect();
    let first = score(&notes);
    let mut history = History::new(first.clone());
    for (step, old) in notes.iter().take(520).enumerate() {
        let pitch = Pitch::new(61 + (step % 60) as u8).unwrap();
        history.commit(&replace(*old, Note { pitch, ..*old })).unwrap();
    }
    assert!(history.labels().len() >= 500);
    while history.undo().is_some() {}
    assert_eq!(**history.score(), first);
}

#[test]
fn selected_notes_come_in_order_and_missing_ones_are_passed_over() {
    let all = [note(0, 480, "C4"), note(0, 480, "E4"), note(480, 480, "C4"), note(960, 1, "C4")];
    let piece = score(&all);
    let gone = note(481, 1, "C5");
    let selection: Selection = [all[2], gone, all[1]].iter().map(NoteKey::from).collect();
    let found: Vec<Note> = selected_notes(&piece, &selection).copied().collect();
    assert_eq!(found, [all[1], all[2]]);
    assert_eq!(selected_notes(&piece, &Selection::new()).count(), 0);
}

fn any_note(n_parts: u8) -> impl Strategy<Value = Note> {
    (0u32..4000, 1u32..900, 0u8..128, 1i32..128, 0..n_parts).prop_map(
        |(start, length, pitch, velocity, part)| Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::saturating(velocity),
            part,
        },
    )
}

fn any_score() -> impl Strategy<Value = Score> {
    let tempo = prop::collection::vec((0u32..50_000, 1u32..2_000_000), 0..5);
    let meters = prop::collection::btree_map(0u32..50_000, (1u8..20, 0u8..7), 0..5);
    let pedal = prop::collection::btree_map(0u32..5000, 0u32..500, 0..8);
    let notes = prop::collection::vec(any_note(2), 0..60);
    let drums = prop::collection::vec(any_note(1), 0..8);
    (1u16..0x7fff, tempo, meters, pedal, notes, drums, ".{0,12}").prop_map(
        |(division, tempo, meters, pedal, notes, drums, title)| {
            let change =
                |(tick, micros_per_quarter)| TempoChange { tick: Tick(tick), micros_per_quarter };
            let tempo = tempo.into_iter().map(change).collect();
            let map = TempoMap::new(TicksPerQuarter::new(division).unwrap(), tempo);
            let mut score = Score::piano(map, notes);
            score.parts.push(Part {
                name: title.clone(),
                channel: 3,
                program: 19,
                ..Part::default()
            });
            score.title = title;
            let meter = |(tick, (numerator, denominator_power))| MeterChange {
                tick: Tick(tick),
                meter: Meter { numerator, denominator_power },
            };
            score.meters = meters.into_iter().map(meter).collect();
            let span = |(start, length)| PedalSpan {
                start: Tick(start),
                end: Tick(start + length),
                part: 1,
            };
            score.pedal = pedal.into_iter().map(span).collect();
            let text = |(idx, change): (usize, &MeterChange)| Extra {
                tick: change.tick,
                home: if idx == 0 { ExtraHome::Conductor } else { ExtraHome::Part(1) },
                message: ExtraMessage::Meta { number: 1, data: score.title.clone().into_bytes() },
            };
            score.extras = score.meters.iter().enumerate().map(text).collect();
            score.set_drums(drums);
            score
        },
    )
}

/// An edit in the making: which of the score's notes, by any numbers, and what else.
#[derive(Clone, Debug)]
enum Plan {
    Add(Vec<Note>),
    Delete(BTreeSet<usize>),
    Move(BTreeSet<usize>, i64, i32),
    Undo,
    Redo,
    Whole(Box<Score>),
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let some = || prop::collection::btree_set(0usize..200, 1..6);
    prop_oneof![
        4 => prop::collection::vec(any_note(1), 1..5).prop_map(Plan::Add),
        3 => some().prop_map(Plan::Delete),
        4 => (some(), -500i64..500, -5i32..5).prop_map(|(some, by, up)| Plan::Move(some, by, up)),
        3 => Just(Plan::Undo),
        2 => Just(Plan::Redo),
        1 => any_score().prop_map(|score| Plan::Whole(Box::new(score))),
    ]
}

fn chosen(score: &Score, numbers: &BTreeSet<usize>) -> Vec<Note> {
    let notes = score.notes();
    let in_range: BTreeSet<usize> =
        numbers.iter().filter(|_| !notes.is_empty()).map(|number| number % notes.len()).collect();
    in_range.into_iter().map(|idx| notes[idx]).collect()
}

fn edit(score: &Score, plan: Plan) -> Option<ScoreEdit> {
    Some(match plan {
        Plan::Add(notes) => ScoreEdit::Add { notes },
        Plan::Delete(numbers) => ScoreEdit::Delete { notes: chosen(score, &numbers) },
        Plan::Move(numbers, by, up) => {
            let moved = |note: Note| {
                let start = Tick((i64::from(note.start.0) + by).max(0) as u32);
                let pitch = note.pitch.transposed(up).unwrap_or(note.pitch);
                (note, Note { start, pitch, ..note })
            };
            let pairs = chosen(score, &numbers).into_iter().map(moved).collect();
            ScoreEdit::Replace { pairs, label: "Move" }
        }
        Plan::Whole(score) => ScoreEdit::ReplaceScore { score, label: "Use take".to_owned() },
        Plan::Undo | Plan::Redo => return None,
    })
}

fn verify_invariants(score: &Score) {
    let mut sorted = score.clone();
    sorted.set_notes(score.notes().to_vec());
    assert_eq!(sorted.notes(), score.notes());
    for note in score.notes() {
        assert!(note.length.0 > 0 && usize::from(note.part) < score.parts.len());
    }
}

proptest! {
    #[test]
    fn whatever_is_edited_undoing_all_is_the_start_and_redoing_all_the_end(
        first in any_score(),
        plans in prop::collection::vec(any_plan(), 1..40),
    ) {
        let mut history = History::new(first.clone());
        for plan in plans {
            match plan {
                Plan::Undo => { history.undo(); }
                Plan::Redo => { history.redo(); }
                plan => {
                    let edit = edit(history.score(), plan).unwrap();
                    // Every note chosen is there and every new one possible.
                    history.commit(&edit).unwrap();
                }
            }
            verify_invariants(history.score());
        }
        history.jump_to(usize::MAX);
        let last = history.score().clone();
        let mut states = vec![last.clone()];
        while history.undo().is_some() {
            states.push(history.score().clone());
        }
        prop_assert_eq!(&**history.score(), &first);
        while history.redo().is_some() {
            states.pop();
            prop_assert_eq!(history.score(), states.last().unwrap());
        }
        prop_assert_eq!(history.score(), &last);
    }

}

proptest! {
    // Each case waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_project_reads_back_as_it_was_written(score in any_score(), stars in 0u8..6) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("piece.etude");
        let mut project = Project::new(score);
        project.takes.push(json!({"seed": 7, "stars": stars, "tokens": [1, 2, 3], "temperature": 0.9}));
        project.view = Some(json!({"left": 480}));
        project.write(&path).unwrap();
        prop_assert_eq!(Project::read(&path).unwrap(), project);
    }
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piece.etude");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn file_names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_project_can_be_read_by_a_person() {
    let (folder, path) = written("");
    Project::new(score(&[note(0, 480, "C4"), note(480, 240, "E4")])).write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("\"pitch\"")).collect();
    assert_eq!(rows.len(), 2, "a note is a line:\n{text}");
    assert!(text.lines().all(|line| line.len() < 200), "{text}");
    drop(folder);
}

#[test]
fn writing_again_keeps_the_earlier_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piece.etude");
    let versions: Vec<Project> =
        (0..3).map(|start| Project::new(score(&[note(start, 9, "C4")]))).collect();
    for version in &versions {
        version.write(&path).unwrap();
    }
    assert_eq!(Project::read(&path).unwrap(), versions[2]);
    assert_eq!(Project::read(&backup_path(&path)).unwrap(), versions[1]);
    assert_eq!(file_names(folder.path()), ["piece.etude", "piece.etude.bak"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("piece.etude");
    let error = Project::new(Score::default()).write(&path).unwrap_err();
    assert!(matches!(error, ProjectError::Write { .. }));
    assert!(error.to_string().contains("piece.etude"), "{error}");
    // A folder of that name stays a folder.
    let path = folder.path().join("folder.etude");
    std::fs::create_dir(&path).unwrap();
    assert!(Project::new(Score::default()).write(&path).is_err());
    assert_eq!(file_names(folder.path()), ["folder.etude"]);
}

#[test]
fn foreign_newer_and_damaged_files_are_refused_in_words() {
    let whole = serde_json::to_value(Project::new(score(&[note(0, 480, "C4")]))).unwrap();
    let newer = json!({"format_version": 999, "something": "else"}).to_string();
    let (mut silent, mut lost) = (whole.clone(), whole.clone());
    silent["score"]["notes"][0]["length"] = json!(0);
    lost["score"]["notes"][0]["part"] = json!(7);
    let mut loud = whole.clone();
    loud["score"]["notes"][0]["velocity"] = json!(128);
    let half = &whole.to_string()[..whole.to_string().len() / 2];
    let deep = format!("{{\"format_version\": 1, \"score\": {}", "[".repeat(100_000));
    for (text, expected) in [
        ("", "isn't an Etude project"),
        ("MThd", "isn't an Etude project"),
        ("{}", "isn't an Etude project"),
        ("{\"format_version\": \"x\"}", "isn't an Etude project"),
        (&newer, "was written by a newer Etude (format 999"),
        (half, "is damaged at line 1"),
        (&deep, "is damaged at line 1"),
        (&silent.to_string(), "has no length"),
        (&lost.to_string(), "belongs to part 7"),
        (&loud.to_string(), "is damaged at line 1"),
    ] {
        let (_folder, path) = written(text);
        let error = Project::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("piece.etude") && !error.contains('\n'), "{error}");
    }
    let error = Project::read(Path::new("nowhere.etude")).unwrap_err();
    assert!(matches!(error, ProjectError::Read { .. }));
}

#[test]
fn notes_out_of_order_are_put_in_order() {
    let notes = [note(0, 480, "C4"), note(480, 480, "E4"), note(960, 1, "D4")];
    let mut value = serde_json::to_value(Project::new(score(&notes))).unwrap();
    value["score"]["notes"].as_array_mut().unwrap().reverse();
    let (_folder, path) = written(&value.to_string());
    assert_eq!(Project::read(&path).unwrap().score.notes(), notes);
}

#[test]
fn a_file_too_large_is_refused_before_it_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros.etude");
    std::fs::File::create(&path).unwrap().set_len(Project::MAX_BYTES + 1).unwrap();
    let error = Project::read(&path).unwrap_err();
    assert!(matches!(error, ProjectError::TooLarge { .. }), "{error}");
}
