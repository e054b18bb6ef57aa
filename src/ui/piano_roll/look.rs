//! How a piece is looked at, as a project keeps it.

use serde::{Deserialize, Serialize};

use super::{Follow, PianoRollEditor, ViewRequest};
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
    pub follows: bool,
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
            follows: self.options.follow != Follow::Off,
        })
    }

    /// Looks at the piece that comes next as it was looked at before.
    pub fn set_look(&mut self, look: RollLook) {
        self.grid = look.grid;
        let was_off = self.options.follow == Follow::Off;
        self.options.follow = match look.follows {
            false => Follow::Off,
            true if was_off => Follow::Page,
            true => self.options.follow,
        };
        self.request = Some(ViewRequest::Look(look));
    }
}
