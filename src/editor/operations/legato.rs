//! Each note lasting until the next.

use super::resize::with_ends;
use super::{Change, chosen};
use crate::editor::Selection;
use crate::music::{Note, Score, Tick};

/// Makes each selected note last until the next selected one of its part begins, chords as one;
/// the last ones last as long as they did.
pub fn legato(score: &Score, selection: &Selection) -> Option<Change> {
    let notes = chosen(score, selection);
    // For each part where the next note begins, seen from behind: the notes at the tick that is
    // being looked at, and the tick after it.
    let mut next: Vec<(Option<Tick>, Option<Tick>)> = vec![(None, None); 256];
    let mut after: Vec<Note> = Vec::with_capacity(notes.len());
    for note in notes.iter().rev() {
        let (now, later) = &mut next[usize::from(note.part)];
        if *now != Some(note.start) {
            (*now, *later) = (Some(note.start), *now);
        }
        after.push(later.map_or(*note, |end| with_ends(note, note.start.0, end.0)));
    }
    after.reverse();
    Change::pairing(&notes, &after, "Legato on")
}
