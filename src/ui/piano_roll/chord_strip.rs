//! The names of harmonies over the ruler: by beat where there is room, else by bar. Worked out
//! anew when the notes change, for what is seen and a page around it.

use std::sync::Arc;

use egui::{Align2, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::index::ScoreIndex;
use super::{PianoRollEditor, RollFrame, RollResponse, paint, text};
use crate::music::{HarmonicRhythm, HarmonySpan, Spelling, Tick, harmonies};
use crate::ui::theme::HALF_SPACE;

/// Beats are named when they are at least so wide, in points; bars likewise.
const MIN_BEAT: f64 = 44.0;
const MIN_BAR: f64 = 28.0;

/// Harmonies of one stretch of a score.
pub struct Chords {
    index: Arc<ScoreIndex>,
    rhythm: HarmonicRhythm,
    range: (u32, u32),
    spans: Vec<HarmonySpan>,
}

impl PianoRollEditor {
    pub(super) fn chords_ui(&mut self, ui: &Ui, frame: &RollFrame<'_>, out: &mut RollResponse) {
        let rect = frame.regions.chords;
        if !rect.is_positive() {
            return;
        }
        let theme = frame.view.theme;
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 0.0, theme.roll.ruler);
        self.update_chords(frame);
        let spans = self.chords_seen();
        let spelling = self.marks.key.map_or(Spelling::Usual, |key| key.spelling());
        let pointer = ui.input(|input| input.pointer.hover_pos()).filter(|pos| rect.contains(*pos));
        let mut names = Vec::new();
        for span in spans {
            let Some(harmony) = span.harmony else { continue };
            let x = |tick: Tick| self.viewport.x_of(tick);
            let (left, right) = (x(span.start).max(rect.left()), x(span.end).min(rect.right()));
            if right - left < 2.0 {
                continue;
            }
            let name = harmony.name(spelling);
            let place = Rect::from_x_y_ranges(left..=right - 1.0, rect.y_range());
            let place = place.shrink2(vec2(0.0, 2.0));
            painter.rect_filled(place, 2.0, theme.button);
            let clipped = painter.with_clip_rect(place);
            let at = pos2(left + HALF_SPACE, rect.center().y);
            clipped.text(at, Align2::LEFT_CENTER, &name, paint::small_font(), theme.text);
            if pointer.is_some_and(|pos| place.contains(pos)) {
                let place = text::place(span.start, &frame.index);
                out.status = Some(format!("{name} from {place}"));
            }
            names.push(name);
        }
        let response = ui.interact(rect, frame.id.with("chords"), Sense::hover());
        let words = format!("Chords: {}", names.join(", "));
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
    }

    /// Works out what is seen, unless it is known; nothing where a bar is too narrow for a name.
    fn update_chords(&mut self, frame: &RollFrame<'_>) {
        let (first, last) = self.viewport.ticks();
        let bar = frame.index.bars().at(Tick(first));
        let points = |ticks: u32| f64::from(ticks) / self.viewport.ticks_per_point();
        let rhythm = if points(bar.ticks_per_beat) >= MIN_BEAT {
            HarmonicRhythm::Beat
        } else if points(bar.end.0 - bar.start.0) >= MIN_BAR {
            HarmonicRhythm::Bar
        } else {
            self.chords = None;
            return;
        };
        let last = last.min(frame.index.end().0);
        let is_enough = self.chords.as_ref().is_some_and(|known| {
            Arc::ptr_eq(&known.index, &frame.index)
                && known.rhythm == rhythm
                && known.range.0 <= first
                && known.range.1 >= last
        });
        if !is_enough {
            let page = last.saturating_sub(first);
            let range = (first.saturating_sub(page), last.saturating_add(page));
            let spans = harmonies(frame.index.score(), Tick(range.0)..Tick(range.1), rhythm);
            let index = Arc::clone(&frame.index);
            self.chords = Some(Chords { index, rhythm, range, spans });
        }
    }

    fn chords_seen(&self) -> &[HarmonySpan] {
        let (first, last) = self.viewport.ticks();
        let spans = self.chords.as_ref().map_or(&[][..], |known| &known.spans);
        let from = spans.partition_point(|span| span.end.0 <= first);
        let to = spans.partition_point(|span| span.start.0 <= last);
        spans.get(from..to).unwrap_or_default()
    }
}
