//! What can be done to the selected notes. Each operation is a pure function of a score, a
//! selection and what the user asks for; it yields a [`Change`], or `None` when nothing would
//! change. Nothing here fails: what would leave the piece or the keys stops at the edge.

mod add;
mod delete;
mod humanize;
mod invert;
mod join;
mod legato;
mod length;
mod move_notes;
mod overlaps;
mod parts;
mod paste;
mod quantize;
mod resize;
mod reverse;
mod split;
mod transpose;
mod velocity;

pub use add::add_note;
pub use delete::{cut, delete};
pub use humanize::{Humanize, humanize};
pub use invert::invert;
pub use join::join;
pub use legato::legato;
pub use length::{scale_length, set_length};
pub(super) use move_notes::moved;
pub use move_notes::{Shift, copy_notes, move_notes};
pub use overlaps::remove_overlaps;
pub use parts::move_to_part;
pub use paste::{duplicate, paste};
pub use quantize::{Quantize, QuantizeEdges, quantize};
pub use resize::{Edge, Resize, resize};
pub use reverse::reverse;
pub use split::{split_at, split_note};
pub use transpose::{snap_to_scale, transpose, transpose_in_scale};
pub use velocity::{add_velocity, louder, set_velocities, set_velocity};

use super::edit::counted;
use super::{ScoreEdit, Selection};
use crate::music::{Note, Score};

/// An edit, and what is selected once it is done.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    pub edit: ScoreEdit,
    pub selection: Selection,
}

impl Change {
    /// Each selected note becomes what `after` makes of it. `label` goes before "3 notes".
    fn replacing(
        score: &Score,
        selection: &Selection,
        label: &'static str,
        after: impl FnMut(&Note) -> Note,
    ) -> Option<Self> {
        let old = chosen(score, selection);
        let new: Vec<Note> = old.iter().map(after).collect();
        Self::pairing(&old, &new, label)
    }

    /// Each note becomes its neighbor in `new`, which are selected then. `None` when none differ.
    fn pairing(old: &[Note], new: &[Note], label: &'static str) -> Option<Self> {
        if old == new {
            return None;
        }
        let pairs: Vec<(Note, Note)> =
            old.iter().copied().zip(new.iter().copied()).filter(|(a, b)| a != b).collect();
        Some(Self { edit: ScoreEdit::Replace { pairs, label }, selection: Selection::of(new) })
    }

    /// Some notes go, others come. The name counts the selected ones.
    fn exchanging(
        removed: Vec<Note>,
        added: Vec<Note>,
        label: String,
        selection: Selection,
    ) -> Option<Self> {
        if removed.is_empty() && added.is_empty() {
            return None;
        }
        Some(Self { edit: ScoreEdit::Exchange { removed, added, label }, selection })
    }
}

/// The selected notes, in order.
fn chosen(score: &Score, selection: &Selection) -> Vec<Note> {
    let mut notes = Vec::with_capacity(selection.len());
    for place in selection.places(score.notes()) {
        notes.extend_from_slice(&score.notes()[place]);
    }
    notes
}
