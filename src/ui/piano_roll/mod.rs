//! The piano roll widget: a placeholder with the agreed interface until the real one is merged.

use crate::editor::{ScoreEdit, Selection};
use crate::music::{Pitch, Score, Velocity};
use crate::ui::theme::Theme;

/// What the roll shows.
pub struct RollView<'a> {
    pub score: &'a Score,
    /// A take shown over the score, read-only.
    pub streaming: Option<&'a Score>,
    pub selection: &'a Selection,
    pub playhead_secs: f64,
    pub playing: bool,
    pub theme: &'a Theme,
}

/// What the user did in it.
#[derive(Default)]
pub struct RollResponse {
    pub edit: Option<ScoreEdit>,
    pub selection: Option<Selection>,
    pub seek_secs: Option<f64>,
    pub audition: Vec<(Pitch, Velocity)>,
}

/// Viewport and gesture.
#[derive(Default)]
pub struct PianoRollEditor {}

impl PianoRollEditor {
    pub fn ui(&mut self, ui: &mut egui::Ui, view: RollView<'_>) -> RollResponse {
        let score = view.streaming.unwrap_or(view.score);
        let (response, painter) =
            ui.allocate_painter(ui.available_size(), egui::Sense::click_and_drag());
        let rect = response.rect;
        painter.rect_filled(rect, 0.0, view.theme.roll.background);
        let ticks_wide = 480.0 * 32.0;
        for note in score.notes() {
            let x = |tick: u32| rect.left() + rect.width() * tick as f32 / ticks_wide;
            let y = rect.bottom() - rect.height() * f32::from(note.pitch.number()) / 128.0;
            let at = egui::Rect::from_min_max(
                egui::pos2(x(note.start.0), y - 4.0),
                egui::pos2(x(note.end().0) - 1.0, y),
            );
            painter.rect_filled(at, 0.0, view.theme.velocity_color(note.velocity));
        }
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Piano roll"));
        RollResponse::default()
    }
}
