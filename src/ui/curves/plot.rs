//! Drawing one measure.
//!
//! egui_plot has no logarithmic axis: values are drawn as their decimal logarithms and written as
//! what they are.

use egui::{Align2, Color32, RichText, Stroke, Ui};
use egui_plot::{
    AxisHints, GridMark, HLine, HoverPosition, Line as PlotLine, LineStyle, MarkerShape, Plot,
    PlotPoint, PlotPoints, PlotUi, Points, Span, Text,
};

use super::lines::{self, Line, Side};
use super::{CurveView, Measure};
use crate::ui::state::{State, best_epoch};
use crate::ui::theme::{SPACE, Theme};
use crate::ui::widgets::{file_name, short};

/// How values become heights.
#[derive(Clone, Copy)]
struct Scale {
    is_log: bool,
    measure: Measure,
}

impl Scale {
    /// Smaller values have no logarithm worth drawing.
    const FLOOR: f64 = 1e-3;

    fn height(self, value: f64) -> f64 {
        if self.is_log { value.max(Self::FLOOR).log10() } else { value }
    }

    fn text(self, height: f64) -> String {
        let value = if self.is_log { 10f64.powf(height) } else { height };
        match self.measure {
            Measure::Accuracy => format!("{} %", short(value)),
            _ => short(value),
        }
    }

    fn points(self, line: &[[f64; 2]]) -> PlotPoints<'static> {
        line.iter().map(|[x, y]| [*x, self.height(*y)]).collect()
    }
}

pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, measure: Measure) {
    let view = &state.preferences.curves;
    let scale = Scale { is_log: view.is_log && measure != Measure::Accuracy, measure };
    let text = move |mark: GridMark| scale.text(mark.value);
    // Six powers of ten in a low panel are still to be read.
    let y_axis = AxisHints::new_y()
        .min_thickness(SPACE * 5.0)
        .label_spacing(SPACE..=SPACE * 2.0)
        .formatter(move |mark, _| text(mark));
    Plot::new(("curves", measure.label()))
        .show_background(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .set_margin_fraction(egui::vec2(0.02, 0.2))
        .grid_color(theme.line)
        .x_axis_formatter(|mark, _| whole_epochs(mark))
        .custom_y_axes(vec![y_axis])
        .label_formatter(move |position| hover_text(position, scale))
        .include_x(0.0)
        .auto_bounds(true)
        .show(ui, |plot| draw(plot, theme, state, view, scale));
}

/// What the colors mean, in one line.
pub fn legend_ui(ui: &mut Ui, theme: &Theme, state: &State) {
    ui.horizontal_wrapped(|ui| {
        let training = &state.training;
        if training.run_dir.is_some() {
            entry(
                ui,
                "while learning",
                theme.curves.live,
                "The loss of the steps as they are made",
            );
            entry(ui, "learned from", theme.curves.train, "The pieces that teach");
            entry(ui, "held out", theme.curves.held_out, "Pieces that only measure");
        }
        if let Some(best) = best_epoch(&training.epochs) {
            let text = format!("best: epoch {}", best.epoch);
            entry(ui, &text, theme.curves.best, "Where the held-out loss is smallest");
        }
        if lines::overfitting(&training.epochs).is_some() {
            let tooltip = "From here on it learns the pieces by heart: held-out loss rises";
            entry(ui, "overfitting", theme.error, tooltip);
        }
        let view = &state.preferences.curves;
        let is_current = |path| training.run_dir.as_ref() == Some(path);
        let runs = state.runs.iter().filter(|run| view.runs.contains(&run.path));
        for (idx, run) in runs.filter(|run| !is_current(&run.path)).enumerate() {
            let color = theme.curves.runs[idx % theme.curves.runs.len()];
            entry(ui, &file_name(&run.path), color, "An earlier run, on its held-out pieces");
        }
    });
}

fn entry(ui: &mut Ui, text: &str, color: Color32, tooltip: &str) {
    ui.spacing_mut().item_spacing.x = SPACE / 2.0;
    ui.label(RichText::new("•").small().color(color));
    ui.label(RichText::new(text).small().weak()).on_hover_text(tooltip);
    ui.add_space(SPACE);
}

fn whole_epochs(mark: GridMark) -> String {
    let is_whole = (mark.value - mark.value.round()).abs() < 1e-6;
    if is_whole && mark.value >= 0.0 { format!("{:.0}", mark.value) } else { String::new() }
}

fn hover_text(position: &HoverPosition<'_>, scale: Scale) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint { plot_name, position, .. } => {
            let value = scale.text(position.y);
            Some(format!("{plot_name}\nepoch {}: {value}", short(position.x)))
        }
        HoverPosition::Elsewhere { .. } => None,
    }
}

fn draw(plot: &mut PlotUi<'_>, theme: &Theme, state: &State, view: &CurveView, scale: Scale) {
    let training = &state.training;
    if let Some(range) = lines::overfitting(&training.epochs) {
        let span =
            Span::new("overfitting", range).fill(theme.curves.overfitting).border(Stroke::NONE);
        plot.span(span);
    }
    if let Some(prepared) = training.prepared.as_ref().filter(|_| view.shows_baselines) {
        // The two lie close together: one is named above its line, the other below.
        let named = lines::baselines(&prepared.baselines, scale.measure);
        let highest = named.iter().map(|(_, value)| *value).fold(f64::MIN, f64::max);
        for (name, value) in named {
            let line = HLine::new(name, scale.height(value))
                .stroke(Stroke::new(1.0, theme.curves.baseline))
                .style(LineStyle::dashed_dense());
            plot.hline(line);
            let at = PlotPoint::new(0.0, scale.height(value));
            let name = RichText::new(name).small().color(theme.curves.baseline);
            let side = if value < highest { Align2::LEFT_TOP } else { Align2::LEFT_BOTTOM };
            plot.text(Text::new("", at, name).anchor(side));
        }
    }
    earlier_runs(plot, theme, state, view, scale);
    // Until the first epochs are done the live line is all there is.
    let live = lines::live(&training.live, scale.measure);
    smooth_line(plot, "while learning", &live, theme.curves.live, 1.0, view, scale);
    for (name, side, color) in [
        ("learned from", Side::Train, theme.curves.train),
        ("held out", Side::HeldOut, theme.curves.held_out),
    ] {
        let line = lines::line(&training.epochs, scale.measure, side);
        plain_line(plot, name, &line, color, 2.0, scale);
    }
    if let Some(best) = best_epoch(&training.epochs) {
        let value = lines::value(best, scale.measure, Side::HeldOut);
        let point = vec![[best.epoch as f64, scale.height(value)]];
        let name = format!("best: epoch {}", best.epoch);
        let marker = Points::new(name, point).shape(MarkerShape::Diamond).radius(5.0);
        plot.points(marker.color(theme.curves.best));
    }
}

fn earlier_runs(
    plot: &mut PlotUi<'_>,
    theme: &Theme,
    state: &State,
    view: &CurveView,
    scale: Scale,
) {
    let is_current = |path| state.training.run_dir.as_ref() == Some(path);
    let runs = state.runs.iter().filter(|run| view.runs.contains(&run.path));
    for (idx, run) in runs.filter(|run| !is_current(&run.path)).enumerate() {
        let color = theme.curves.runs[idx % theme.curves.runs.len()];
        let line = lines::line(&run.metrics, scale.measure, Side::HeldOut);
        plain_line(plot, &file_name(&run.path), &line, color, 1.5, scale);
    }
}

/// A line with dots while it is short: one epoch alone must be seen too.
fn plain_line(
    plot: &mut PlotUi<'_>,
    name: &str,
    line: &Line,
    color: Color32,
    width: f32,
    scale: Scale,
) {
    if line.is_empty() {
        return;
    }
    plot.line(PlotLine::new(name, scale.points(line)).color(color).width(width));
    if line.len() < 30 {
        plot.points(Points::new(name, scale.points(line)).color(color).radius(width + 0.5));
    }
}

fn smooth_line(
    plot: &mut PlotUi<'_>,
    name: &str,
    line: &Line,
    color: Color32,
    width: f32,
    view: &CurveView,
    scale: Scale,
) {
    if line.is_empty() {
        return;
    }
    if view.smoothing > 0.0 {
        let raw = PlotLine::new(name, scale.points(line)).color(Theme::faint(color));
        plot.line(raw.width(1.0).allow_hover(false));
    }
    let smooth = lines::smoothed(line, view.smoothing);
    plain_line(plot, name, &smooth, color, width, scale);
}
