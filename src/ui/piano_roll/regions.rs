//! Where the parts of the roll lie.
//!
//! ```text
//!          │ chords
//!          │ ruler with flags of tempo and meter
//! keyboard │ notes
//! title    │ velocities
//! title    │ pedal
//!          │ the whole piece, small
//! ```

use egui::{Rect, pos2};

use super::RollOptions;
use crate::ui::theme::{ROW, SPACE};

/// Width of the keyboard, in points.
const KEYBOARD_WIDTH: f32 = SPACE * 8.0;
const CHORD_HEIGHT: f32 = SPACE * 2.5;
const FLAG_HEIGHT: f32 = SPACE * 2.0;
/// An open lane is never lower.
pub const MIN_LANE: f32 = SPACE * 3.0;
/// Nor higher than this share of the whole.
const MAX_LANE: f32 = 0.3;
/// The title of a lane that is folded away.
const FOLDED_HEIGHT: f32 = SPACE * 2.0;
const MINIMAP_HEIGHT: f32 = SPACE * 3.5;
/// With less height than this there are notes and a ruler only.
const MIN_HEIGHT: f32 = SPACE * 26.0;

/// A part is empty when it isn't shown.
#[derive(Clone, Copy)]
pub struct Regions {
    pub whole: Rect,
    pub keyboard: Rect,
    pub chords: Rect,
    pub flags: Rect,
    pub ruler: Rect,
    pub canvas: Rect,
    /// With their titles, which stand under the keyboard.
    pub velocities: Rect,
    pub pedal: Rect,
    pub minimap: Rect,
    /// Where the keyboard ends and time begins.
    pub left: f32,
}

impl Regions {
    pub fn split(whole: Rect, options: &RollOptions) -> Self {
        let left = (whole.left() + KEYBOARD_WIDTH).min(whole.right());
        let has_room = whole.height() >= MIN_HEIGHT;
        let height = |wanted: f32| if has_room { wanted } else { 0.0 };
        let most = (whole.height() * MAX_LANE).max(MIN_LANE);
        let lane = |is_open: bool, open: u16| {
            height(if is_open { f32::from(open).clamp(MIN_LANE, most) } else { FOLDED_HEIGHT })
        };
        let mut top = whole.top();
        let mut from_top = |height: f32, from: f32| {
            let next = (top + height).min(whole.bottom());
            let rect = Rect::from_min_max(pos2(from, top), pos2(whole.right(), next));
            top = next;
            rect
        };
        let chords = from_top(height(if options.shows_chords { CHORD_HEIGHT } else { 0.0 }), left);
        let flags = from_top(height(FLAG_HEIGHT), left);
        let ruler = from_top(ROW, left);
        let mut bottom = whole.bottom();
        let mut from_bottom = |height: f32| {
            let next = (bottom - height).max(ruler.bottom());
            let (min, max) = (pos2(whole.left(), next), pos2(whole.right(), bottom));
            bottom = next;
            Rect::from_min_max(min, max)
        };
        let minimap = from_bottom(height(MINIMAP_HEIGHT)).with_min_x(left);
        let pedal = from_bottom(lane(options.shows_pedal, options.pedal_height));
        let velocities = from_bottom(lane(options.shows_velocities, options.velocity_height));
        let top = ruler.bottom();
        Self {
            whole,
            keyboard: Rect::from_min_max(pos2(whole.left(), top), pos2(left, bottom)),
            chords,
            flags,
            ruler,
            canvas: Rect::from_min_max(pos2(left, top), pos2(whole.right(), bottom)),
            velocities,
            pedal,
            minimap,
            left,
        }
    }

    /// What of a lane shows time.
    pub fn in_time(&self, lane: Rect) -> Rect {
        lane.with_min_x(self.left)
    }
}
