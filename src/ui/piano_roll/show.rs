//! What is shown of a frame, from the back to the front.

use std::borrow::Cow;

use egui::{Painter, Rect, Ui, pos2, vec2};

use super::gesture::Gesture;
use super::paint::{self, NoteLayers};
use super::viewport::Viewport;
use super::{PianoRollEditor, RollFrame, RollResponse, text};
use crate::editor::Selection;
use crate::music::{Note, Pitch, Tick, Track};
use crate::ui::theme::SPACE;

impl PianoRollEditor {
    pub(super) fn paint(
        &self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        held_key: Option<Pitch>,
        hovered: Option<&Note>,
        out: &mut RollResponse,
    ) {
        let (theme, index, regions) = (frame.view.theme, &*frame.index, &frame.regions);
        let painter = ui.painter_at(regions.canvas);
        let step = self.step_at(index, Tick(self.viewport.ticks().0));
        let key = self.marks.key.filter(|_| self.options.tints_scale);
        paint::paint_back(&painter, &self.viewport, index, step, key, theme);

        let gesture = self.gesture.as_ref().or(self.ended.as_ref());
        self.paint_notes(&painter, frame, hovered, out.selection_after());
        if index.pitches().is_none() && frame.is_editable() && gesture.is_none() {
            let words = "Double-click or press Enter to write a note, or press Compose";
            paint::paint_empty(&painter, regions.canvas, words, theme);
        }
        self.paint_caret(ui, frame);
        self.paint_cut(ui, frame);
        let playhead = f64::from(frame.playhead.0);
        paint::paint_playhead(&painter, &self.viewport, playhead, theme);
        self.paint_margins(ui, frame, held_key);
        self.paint_words(ui, frame, hovered, out);
    }

    /// The notes with what a gesture makes of them. `chosen` is what is selected from now on.
    fn paint_notes(
        &self,
        painter: &Painter,
        frame: &RollFrame<'_>,
        hovered: Option<&Note>,
        chosen: Option<&Selection>,
    ) {
        let (theme, index) = (frame.view.theme, &*frame.index);
        let gesture = self.gesture.as_ref().or(self.ended.as_ref());
        let nothing = Selection::new();
        let band = match gesture {
            Some(Gesture::Marquee(marquee)) => Some(marquee),
            _ => None,
        };
        let banded = band.map(|marquee| marquee.selection(index));
        let taken = gesture.and_then(Gesture::taken);
        let selection = if frame.is_editable() { &frame.selection } else { &nothing };
        let parts = match self.options.colors_parts {
            true => index.score().parts.iter().enumerate().collect(),
            false => Vec::new(),
        };
        let parts = parts.into_iter().map(|(idx, part)| theme.part_color(part.color, idx));
        let parts: Vec<_> = parts.collect();
        let score = index.score();
        let n_parts = u8::try_from(score.parts.len()).unwrap_or(u8::MAX);
        let heard: Vec<bool> = (0..n_parts).map(|part| score.is_heard(Track::Part(part))).collect();
        let preview = match gesture {
            Some(gesture) => Cow::Owned(gesture.preview()),
            None => Cow::Borrowed(self.proposed.as_deref().unwrap_or_default()),
        };
        let layers = NoteLayers {
            parts: &parts,
            heard: &heard,
            selection: banded.as_ref().or(taken).or(chosen).unwrap_or(selection),
            preview: &preview,
            selected_are_ghosts: gesture
                .map_or(self.proposed.is_some(), |gesture| !gesture.keeps_originals()),
            hovered,
        };
        paint::paint_notes(painter, &self.viewport, index, &layers, theme);
        if let Some(marquee) = band {
            paint::paint_band(
                painter,
                self.viewport.band(marquee.ticks(), marquee.pitches()),
                theme,
            );
        }
    }

    fn paint_margins(&self, ui: &Ui, frame: &RollFrame<'_>, held_key: Option<Pitch>) {
        let (theme, regions) = (frame.view.theme, &frame.regions);
        let held = held_key.map_or(0, |key| 1 << key.number());
        let sounding = self.marks.sounding | held;
        let pointer = ui.input(|input| input.pointer.hover_pos());
        let pointed =
            pointer.filter(|pos| regions.canvas.contains(*pos) || regions.keyboard.contains(*pos));
        let pointed = pointed.map(|pos| self.viewport.pitch_from_y(pos.y));
        let keys = ui.painter_at(regions.keyboard);
        paint::paint_keyboard(&keys, regions.keyboard, &self.viewport, sounding, pointed, theme);
        let top = ui.painter_at(regions.whole.with_max_y(regions.ruler.bottom()));
        let look = paint::RulerLook {
            playhead_tick: f64::from(frame.playhead.0),
            loop_range: self.loop_now().map(|range| (range, self.marks.is_looping)),
            selected: self.time_range_now(),
        };
        let in_ruler = top.with_clip_rect(regions.ruler);
        paint::paint_ruler(&in_ruler, regions.ruler, &self.viewport, &frame.index, &look, theme);
        let corner = Rect::from_min_max(regions.whole.min, regions.keyboard.right_top());
        top.rect_filled(corner, 0.0, theme.roll.ruler);
        let line = corner.with_min_y(corner.bottom() - 1.0 / ui.pixels_per_point());
        top.rect_filled(line, 0.0, theme.roll.bar_line);
    }

    /// What a gesture does, beside the pointer; what is pointed at, for the status line.
    fn paint_words(
        &self,
        ui: &Ui,
        frame: &RollFrame<'_>,
        hovered: Option<&Note>,
        out: &mut RollResponse,
    ) {
        let doing = self.gesture.as_ref().map(|gesture| gesture.status(&frame.index));
        let pointer = ui.input(|input| input.pointer.latest_pos());
        if let (Some(words), Some(pos)) = (doing.filter(|words| !words.is_empty()), pointer) {
            let painter = ui.painter_at(frame.regions.canvas);
            paint::paint_status(&painter, pos, &words, frame.view.theme);
            out.status = Some(words);
        } else if let Some(note) = hovered {
            out.status = Some(text::hint(note, &frame.index));
        }
    }
}

/// Where a rubber band lies: a question of points.
impl Viewport {
    fn band(&self, ticks: (f64, f64), pitches: (u8, u8)) -> Rect {
        let top = self.y_from_pitch(pitches.1);
        let bottom = self.y_from_pitch(pitches.0) + self.row_height();
        Rect::from_min_max(
            pos2(self.x_from_tick(ticks.0), top),
            pos2(self.x_from_tick(ticks.1), bottom),
        )
        .intersect(self.rect().expand2(vec2(SPACE, SPACE)))
    }
}
