//! Cutting notes in two.

use super::{Change, chosen, counted};
use crate::editor::{NoteKey, Selection};
use crate::music::{Note, Score, Tick};

/// Splits the selected notes that sound across a tick there. Both halves are selected.
pub fn split_at(score: &Score, selection: &Selection, tick: Tick) -> Option<Change> {
    let notes = chosen(score, selection);
    let is_cut = |note: &Note| note.start < tick && tick < note.end();
    let (removed, kept): (Vec<Note>, Vec<Note>) = notes.into_iter().partition(is_cut);
    let added: Vec<Note> = removed.iter().flat_map(|note| halves(note, tick)).collect();
    let label = counted("Split", removed.len());
    let selection = Selection::of(kept.iter().chain(&added));
    Change::exchanging(removed, added, label, selection)
}

/// Splits one note at a tick: the Split tool. The right half joins the selection if the note is
/// selected.
pub fn split_note(score: &Score, selection: &Selection, note: &Note, tick: Tick) -> Option<Change> {
    if tick <= note.start || note.end() <= tick || !score.notes().contains(note) {
        return None;
    }
    let added = halves(note, tick);
    let mut after = selection.clone();
    if after.remove(&NoteKey::from(note)) {
        added.iter().map(NoteKey::from).for_each(|key| after.insert(key));
    }
    Change::exchanging(vec![*note], added.to_vec(), counted("Split", 1), after)
}

fn halves(note: &Note, tick: Tick) -> [Note; 2] {
    [
        Note { length: tick.saturating_sub(note.start), ..*note },
        Note { start: tick, length: note.end().saturating_sub(tick), ..*note },
    ]
}
