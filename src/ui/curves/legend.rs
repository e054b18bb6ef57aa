//! What the lines mean, beside the chart rather than on it, where lines would cross the words.

use egui::{Color32, Painter, Rect, Sense, Shape, Stroke, Ui, vec2};
use egui_plot::LineStyle;

use super::plot::{Scale, baselines, earlier_runs};
use super::{Measure, lines};
use crate::ui::state::{State, best_epoch, epoch_name};
use crate::ui::theme::{SPACE, Theme};
use crate::ui::widgets::{explained_above, file_name};

/// What stands before a name.
enum Sign {
    Line { color: Color32, width: f32, style: LineStyle },
    Diamond(Color32),
    Band(Color32),
}

impl Sign {
    fn line(color: Color32, width: f32) -> Self {
        Self::Line { color, width, style: LineStyle::Solid }
    }

    fn paint(self, painter: &Painter, rect: Rect) {
        let ends = [rect.left_center(), rect.right_center()];
        match self {
            Self::Line { color, width, style: LineStyle::Solid } => {
                painter.line_segment(ends, Stroke::new(width, color));
            }
            Self::Line { color, width, style: LineStyle::Dashed { length } } => {
                painter.extend(Shape::dashed_line(&ends, (width, color), length, length * 0.6));
            }
            Self::Line { color, width, style: LineStyle::Dotted { spacing } } => {
                painter.extend(Shape::dotted_line(&ends, color, spacing, width));
            }
            Self::Diamond(color) => {
                let (center, radius) = (rect.center(), SPACE / 2.0);
                let corners = [(0.0, -radius), (radius, 0.0), (0.0, radius), (-radius, 0.0)];
                let corners = corners.map(|(x, y)| center + vec2(x, y)).to_vec();
                painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
            }
            Self::Band(color) => {
                painter.rect_filled(rect.shrink2(vec2(0.0, 2.0)), 0.0, color);
            }
        }
    }
}

/// In one line: of the measure that is shown, or of all side by side. What comes later in a run comes
/// last, so that nothing moves.
pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, shown: Option<Measure>) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = SPACE / 2.0;
        let training = &state.training;
        let has_learned = shown.is_none_or(|measure| !measure.is_of_touch());
        if training.run_dir.is_some() {
            run_ui(ui, theme, state, has_learned);
        }
        if let Some(measure) = shown {
            baselines_ui(ui, theme, state, measure);
        }
        if training.run_dir.is_some() {
            let best = best_epoch(&training.epochs)
                .map_or_else(|| "none yet".to_owned(), |best| epoch_name(best.epoch));
            let tooltip = "Where the held-out loss is smallest";
            entry(ui, Sign::Diamond(theme.curves.best), &format!("best: {best}"), tooltip);
        }
        if lines::overfitting(&training.epochs).is_some() {
            let tooltip = "From here on it learns the pieces by heart: held-out loss rises";
            entry(ui, Sign::Band(theme.curves.overfitting), "overfitting", tooltip);
        }
        for (idx, run) in earlier_runs(state).enumerate() {
            let color = theme.curves.runs[idx % theme.curves.runs.len()];
            let tooltip = "An earlier run, on its held-out pieces";
            entry(ui, Sign::line(color, 1.5), &file_name(&run.path), tooltip);
        }
    });
}

const WHAT_LEARNED_FROM: &str = "The pieces that teach. It is a mean over the epoch, in which it knew less at \
     first, and is learned with a part of the network left out: so it may lie above what is held out, \
     most of all in the first epochs";

/// The run that is in training, or was last; `has_learned` says whether what is learned from is
/// drawn too.
fn run_ui(ui: &mut Ui, theme: &Theme, state: &State, has_learned: bool) {
    let (training, colors) = (&state.training, &theme.curves);
    // The steps of runs that the command line made are kept nowhere.
    if has_learned && (training.job.is_some() || !training.live.is_empty()) {
        let tooltip = "The loss of the steps as they are made";
        entry(ui, Sign::line(colors.live, 1.0), "while learning", tooltip);
    }
    if has_learned {
        entry(ui, Sign::line(colors.train, 2.0), "learned from", WHAT_LEARNED_FROM);
    }
    entry(ui, Sign::line(colors.held_out, 2.0), "held out", "Pieces that only measure");
}

/// What counting alone reaches in a measure.
pub fn baselines_ui(ui: &mut Ui, theme: &Theme, state: &State, measure: Measure) {
    let scale = Scale::of(state, measure);
    for (style, baseline) in baselines(state, measure) {
        let sign = Sign::Line { color: theme.curves.baseline, width: 1.0, style };
        let text = format!("{} {}", baseline.name, scale.value_text(baseline.value));
        let tooltip = format!(
            "{}. Where its line isn't seen, it lies outside of what the chart shows",
            baseline.tooltip
        );
        entry(ui, sign, &text, &tooltip);
    }
}

/// A sign with its name, as one widget: where the line is broken they stay together.
fn entry(ui: &mut Ui, sign: Sign, text: &str, tooltip: &str) {
    let font = egui::TextStyle::Small.resolve(ui.style());
    let color = ui.visuals().weak_text_color();
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, color);
    let sign_size = vec2(SPACE * 2.0, galley.size().y);
    let size = vec2(sign_size.x + SPACE / 2.0 + galley.size().x, sign_size.y);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    sign.paint(ui.painter(), Rect::from_min_size(rect.min, sign_size));
    ui.painter().galley(rect.right_top() - vec2(galley.size().x, 0.0), galley, color);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text));
    explained_above(response, tooltip);
    ui.add_space(SPACE);
}
