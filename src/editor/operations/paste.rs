//! Putting copied notes into the piece, and repeating notes.

use super::move_notes::{Shift, moved};
use super::{Change, chosen, counted};
use crate::editor::{Bars, Clipboard, Extent, GridStep, Selection};
use crate::music::{Score, Tick};

/// Puts the notes of a clipboard into the score, the first of them at a tick, and selects them.
/// Pitches and distances are kept; a part that the score doesn't have becomes its first. Notes
/// too late for the last tick there is move earlier, all alike.
pub fn paste(score: &Score, clipboard: &Clipboard, at: Tick) -> Option<Change> {
    let mut notes = clipboard.notes_in(score.tempo_map.ticks_per_quarter());
    for note in &mut notes {
        if usize::from(note.part) >= score.parts.len() {
            note.part = 0;
        }
    }
    let added = moved(&notes, Shift { ticks: i64::from(at.0), semitones: 0 });
    let label = counted("Paste", added.len());
    let selection = Selection::of(&added);
    Change::exchanging(Vec::new(), added, label, selection)
}

/// Repeats the selected notes right after themselves: from the first grid line at or after their
/// end on, as far from it as they stood from the line before their start. Selects the copies.
pub fn duplicate(score: &Score, selection: &Selection, step: GridStep) -> Option<Change> {
    let notes = chosen(score, selection);
    let Extent { start, end, .. } = Extent::of(&notes)?;
    let bars = Bars::new(score);
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
    let line = step.line_before(start, &bars, ticks_per_quarter);
    let next = step.line_at_or_after(end, &bars, ticks_per_quarter);
    let ticks = i64::from(next.0) - i64::from(line.0);
    let added = moved(&notes, Shift { ticks, semitones: 0 });
    if added == notes {
        return None;
    }
    let label = counted("Duplicate", added.len());
    let selection = Selection::of(&added);
    Change::exchanging(Vec::new(), added, label, selection)
}
