//! The view goes along with the playhead, and never against the user.

use egui::Ui;

use super::{Follow, PianoRollEditor, RollFrame};

/// Where in the width the playhead stands while the piece runs past it.
const ANCHOR: f32 = 0.35;
/// A playhead so near to where it would stand, in points, takes the view along again.
const CAUGHT: f32 = 8.0;

impl PianoRollEditor {
    /// Follows unless the user looks elsewhere; whoever scrolled away is left alone until the
    /// playhead comes to where they look.
    pub(super) fn follow(&mut self, ui: &Ui, frame: &RollFrame<'_>) {
        if !frame.view.playing {
            self.looked_away &= frame.view.streaming.is_some();
            return;
        }
        ui.ctx().request_repaint();
        // Nothing moves under a pressed button.
        let is_busy = self.gesture.is_some() || ui.input(|input| input.pointer.any_down());
        match self.options.follow {
            Follow::Off => {}
            Follow::Page => self.turn_page(frame.playhead.0, is_busy),
            Follow::Smooth => self.run_along(f64::from(frame.playhead.0), is_busy),
        }
    }

    fn turn_page(&mut self, playhead: u32, is_busy: bool) {
        let (first, last) = self.viewport.ticks();
        if (first..last).contains(&playhead) {
            self.looked_away = false;
        } else if !self.looked_away && !is_busy {
            self.viewport.scroll_to(f64::from(playhead));
        }
    }

    fn run_along(&mut self, playhead: f64, is_busy: bool) {
        let rect = self.viewport.rect();
        let anchor = rect.left() + rect.width() * ANCHOR;
        if self.looked_away {
            let distance = self.viewport.x_from_tick(playhead) - anchor;
            self.looked_away = distance.abs() > CAUGHT || is_busy;
        } else if !is_busy {
            self.viewport.set_left(playhead - self.viewport.width_ticks() * f64::from(ANCHOR));
        }
    }
}
