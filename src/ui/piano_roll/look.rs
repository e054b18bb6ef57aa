//! How a piece is looked at, as a project keeps it.

use serde::{Deserialize, Serialize};

use super::{PianoRollEditor, ViewRequest};
use crate::editor::Grid;

/// What of the piece is seen and how, without what is being done to it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct RollLook {
    /// The tick at the left edge.
    pub left: f64,
    pub ticks_per_point: f64,
    /// The pitch at half the height, fractional.
    pub middle_pitch: f64,
    /// In points.
    pub row_height: f32,
    pub grid: Grid,
}

impl PianoRollEditor {
    /// How the score is looked at, also while a take is shown instead; `None` before it was seen.
    pub fn look(&self) -> Option<RollLook> {
        if let Some(ViewRequest::Look(look)) = self.request {
            return Some(look);
        }
        let viewport = self.behind_take.as_ref().map_or(&self.viewport, |behind| &behind.viewport);
        viewport.rect().is_positive().then(|| RollLook {
            left: viewport.left_tick(),
            ticks_per_point: viewport.ticks_per_point(),
            middle_pitch: viewport.middle_pitch(),
            row_height: viewport.row_height(),
            grid: self.grid,
        })
    }

    /// Looks at the piece that comes next as it was looked at before. Whether the view follows the
    /// playhead is the user's habit and no piece's: opening one doesn't change it.
    pub fn set_look(&mut self, look: RollLook) {
        self.grid = look.grid;
        self.request = Some(ViewRequest::Look(look));
    }
}
