//! What lies under the pointer: which note, and which part of it.

use egui::{Pos2, Rect, pos2};

use super::index::ScoreIndex;
use super::viewport::Viewport;
use crate::editor::{NoteKey, Selection};
use crate::music::Note;

/// The narrowest a note is painted and grabbed, in points.
pub const MIN_WIDTH: f32 = 3.0;
/// How far an edge can be grabbed inside a note that is long enough, in points.
const GRAB_INSIDE: f32 = 7.0;
/// And outside it.
const GRAB_OUTSIDE: f32 = 4.0;
/// What is left of a short note to move it by before its edges can be grabbed inside it.
const MIN_BODY: f32 = 6.0;

/// A part of a note.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    LeftEdge,
    Body,
    RightEdge,
}

/// A note under the pointer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hit {
    pub note: Note,
    pub zone: Zone,
}

/// Where a note is painted, in points and not yet aligned to pixels.
pub fn note_rect(viewport: &Viewport, note: &Note) -> Rect {
    let left = viewport.x_of(note.start);
    let right = viewport.x_of(note.end()).max(left + MIN_WIDTH);
    let top = viewport.y_from_pitch(note.pitch.number());
    Rect::from_min_max(pos2(left, top), pos2(right, top + viewport.row_height()))
}

/// The note at a point. A selected one wins, unless the point lies just outside it and inside a
/// note so short that nothing else of it could be grabbed; then those that truly hold the point;
/// then the one that starts last, which is painted on top.
pub fn hit(
    index: &ScoreIndex,
    viewport: &Viewport,
    selection: &Selection,
    pos: Pos2,
) -> Option<Hit> {
    if !viewport.rect().contains(pos) {
        return None;
    }
    let pitch = viewport.pitch_from_y(pos.y);
    // Casts from float saturate, and ticks before the start become 0.
    let reach = GRAB_OUTSIDE.max(MIN_WIDTH);
    let from = viewport.tick_from_x(pos.x - reach) as u32;
    let to = (viewport.tick_from_x(pos.x + reach) as u32).saturating_add(1);
    let candidates = || {
        let in_row = index.notes_between(from, to).filter(|note| note.pitch == pitch);
        in_row.filter_map(|note| {
            let rect = note_rect(viewport, note);
            let holds = rect.x_range().contains(pos.x);
            zone(rect, pos.x).map(|zone| (Hit { note: *note, zone }, rect.width(), holds))
        })
    };
    let is_short = |width: f32| width < MIN_BODY + 2.0 * GRAB_OUTSIDE;
    let holds_short = candidates().any(|(_, width, holds)| holds && is_short(width));
    let rank = |(hit, _, holds): &(Hit, f32, bool)| {
        let is_selected = !selection.is_empty() && selection.contains(&NoteKey::from(&hit.note));
        (is_selected && (*holds || !holds_short), *holds, hit.note.start)
    };
    candidates().max_by_key(rank).map(|(hit, ..)| hit)
}

/// The part of a note at `x`. The edges give way in a short note, so that it can always be grabbed
/// to be moved.
fn zone(rect: Rect, x: f32) -> Option<Zone> {
    let inside = ((rect.width() - MIN_BODY) / 2.0).clamp(0.0, GRAB_INSIDE);
    if x < rect.left() - GRAB_OUTSIDE || x > rect.right() + GRAB_OUTSIDE {
        None
    } else if x < rect.left() + inside {
        Some(Zone::LeftEdge)
    } else if x > rect.right() - inside {
        Some(Zone::RightEdge)
    } else {
        Some(Zone::Body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(width: f32) -> String {
        let rect = Rect::from_min_max(pos2(10.0, 0.0), pos2(10.0 + width, 10.0));
        (0..(width as usize + 20))
            .map(|x| match zone(rect, x as f32 + 0.5) {
                None => '.',
                Some(Zone::LeftEdge) => 'l',
                Some(Zone::Body) => 'b',
                Some(Zone::RightEdge) => 'r',
            })
            .collect()
    }

    #[test]
    fn edges_reach_out_and_the_middle_always_moves() {
        assert_eq!(zones(32.0), "......lllllllllllbbbbbbbbbbbbbbbbbbrrrrrrrrrrr......");
        assert_eq!(zones(18.0), "......llllllllllbbbbbbrrrrrrrrrr......");
        assert_eq!(zones(8.0), "......lllllbbbbbbrrrrr......");
        assert_eq!(zones(4.0), "......llllbbbbrrrr......");
    }
}
