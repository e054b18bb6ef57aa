//! Taking notes away.

use super::{Change, chosen, counted};
use crate::editor::{Clipboard, ScoreEdit, Selection};
use crate::music::Score;

/// Deletes the selected notes.
pub fn delete(score: &Score, selection: &Selection) -> Option<Change> {
    let notes = chosen(score, selection);
    (!notes.is_empty())
        .then(|| Change { edit: ScoreEdit::Delete { notes }, selection: Selection::new() })
}

/// Deletes the selected notes and gives them to be pasted.
pub fn cut(score: &Score, selection: &Selection) -> Option<(Clipboard, Change)> {
    let clipboard = Clipboard::copy(score, selection)?;
    let removed = chosen(score, selection);
    let label = counted("Cut", removed.len());
    let change = Change::exchanging(removed, Vec::new(), label, Selection::new())?;
    Some((clipboard, change))
}
