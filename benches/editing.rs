//! Edits of a piece of 200,000 notes with their undo, and what is chosen for them.
//! `cargo bench --bench editing`

mod common;

use divan::Bencher;
use etude::editor::operations::{self as ops, Shift};
use etude::editor::{Change, History, NoteKey, PedalEdit, ScoreEdit, Selection};
use etude::music::{HarmonicRhythm, PedalSpan, Score, Tick, harmonies};

const N_NOTES: u32 = 200_000;

fn main() {
    divan::main();
}

/// The change is made and undone, each time anew; that it was found is not part of it.
fn commit_and_undo(bencher: Bencher, selection: &Selection, change: &Change, score: &Score) {
    let mut history = History::new(score.clone());
    bencher.bench_local(|| {
        let (before, after) = (Some(selection), Some(&change.selection));
        let is_done = history.commit_selected(&change.edit, before, after).is_ok();
        let undone = history.undo();
        // Only the newest of the undone steps is kept, so that memory stays the same.
        (is_done, undone, history.state())
    });
}

fn moved(bencher: Bencher, selection: &Selection, score: &Score) {
    let change = ops::move_notes(score, selection, Shift { ticks: 7, semitones: 1 })
        .expect("the notes have room to move");
    commit_and_undo(bencher, selection, &change, score);
}

#[divan::bench]
fn move_one_note_and_undo(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    moved(bencher, &Selection::of(&score.notes()[100_000..100_001]), &score);
}

#[divan::bench]
fn move_a_thousand_notes_and_undo(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    moved(bencher, &Selection::of(&score.notes()[100_000..101_000]), &score);
}

#[divan::bench]
fn move_every_note_and_undo(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    moved(bencher, &Selection::all(&score), &score);
}

#[divan::bench]
fn delete_every_third_note_and_undo(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    let selection = Selection::of(score.notes().iter().step_by(3));
    let change = ops::delete(&score, &selection).expect("there are notes to delete");
    commit_and_undo(bencher, &selection, &change, &score);
}

#[divan::bench]
fn draw_pedal_and_undo(bencher: Bencher) {
    let mut score = common::score(N_NOTES, 1);
    let span = |start: u32, end: u32| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
    score.pedal = (0..20_000).map(|idx| span(idx * 1000, idx * 1000 + 900)).collect();
    let edit = ScoreEdit::Pedal(PedalEdit::Draw(span(10_000_950, 10_001_500)));
    let change = Change { edit, selection: Selection::new() };
    commit_and_undo(bencher, &Selection::new(), &change, &score);
}

#[divan::bench]
fn work_out_moving_every_note(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    let selection = Selection::all(&score);
    bencher.bench(|| ops::move_notes(&score, &selection, Shift { ticks: 7, semitones: 1 }));
}

#[divan::bench]
fn select_all(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    bencher.bench(|| Selection::all(&score));
}

#[divan::bench]
fn ask_for_every_note_whether_it_is_selected(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    let selection = Selection::all(&score);
    bencher.bench(|| {
        score.notes().iter().filter(|note| selection.contains(&NoteKey::from(*note))).count()
    });
}

#[divan::bench]
fn name_the_chords_of_a_hundred_bars(bencher: Bencher) {
    let score = common::score(N_NOTES, 1);
    bencher.bench(|| harmonies(&score, Tick(192_000)..Tick(384_000), HarmonicRhythm::Beat));
}
