//! Drawing one measure.
//!
//! egui_plot has no logarithmic axis: values are drawn as their decimal logarithms and written as
//! what they are.

use std::ops::RangeInclusive;

use egui::{Color32, Stroke, Ui};
use egui_plot::{
    AxisHints, GridInput, GridMark, HLine, HoverPosition, Line as PlotLine, LineStyle, MarkerShape,
    Plot, PlotUi, Points, Span,
};

use super::Measure;
use super::lines::{self, Baseline, Counted, Line, Side};
use super::ticks;
use crate::model::Run;
use crate::ui::state::{State, best_epoch, epoch_name};
use crate::ui::theme::{SPACE, Theme};
use crate::ui::widgets::{file_name, grouped, hint, short};

/// How values become heights.
#[derive(Clone, Copy)]
pub struct Scale {
    is_log: bool,
    measure: Measure,
}

impl Scale {
    /// Smaller values have no logarithm worth drawing.
    const FLOOR: f64 = 1e-3;

    /// How a measure is drawn now; shares are never logarithmic.
    pub fn of(state: &State, measure: Measure) -> Self {
        Self { is_log: state.preferences.curves.is_log && measure != Measure::Accuracy, measure }
    }

    fn height(self, value: f64) -> f64 {
        if self.is_log { value.max(Self::FLOOR).log10() } else { value }
    }

    fn value(self, height: f64) -> f64 {
        if self.is_log { 10f64.powf(height) } else { height }
    }

    fn text(self, height: f64) -> String {
        self.value_text(self.value(height))
    }

    pub fn value_text(self, value: f64) -> String {
        self.with_unit(short(value))
    }

    /// The text of a mark, as exact as marks this far from each other must be.
    fn mark_text(self, mark: GridMark) -> String {
        let value = self.value(mark.value);
        let step = match self.is_log {
            true => value * (10f64.powf(mark.step_size) - 1.0),
            false => mark.step_size,
        };
        self.with_unit(exact(value, step))
    }

    /// The marks of an axis that shows these heights.
    fn marks(self, (low, high): (f64, f64)) -> Vec<GridMark> {
        let ticks = match self.is_log {
            true => ticks::logarithmic(&(low..=high)),
            false => ticks::straight(&(low..=high)),
        };
        let mark = |tick: ticks::Tick| GridMark { value: tick.height, step_size: tick.step };
        ticks.into_iter().map(mark).collect()
    }

    fn with_unit(self, text: String) -> String {
        match self.measure {
            Measure::Accuracy => format!("{text} %"),
            _ => text,
        }
    }

    fn line(self, line: &[[f64; 2]]) -> Line {
        line.iter().map(|[x, y]| [*x, self.height(*y)]).collect()
    }

    /// Heights nearer than this are seen on one axis: twice the perplexity, a nat, 5 %.
    fn near(self, heights: f64) -> f64 {
        match self.measure {
            _ if self.is_log => std::f64::consts::LOG10_2,
            Measure::Loss | Measure::Length | Measure::Velocity | Measure::Pedal => 1.0,
            Measure::Perplexity => heights.abs() / 2.0,
            Measure::Accuracy => 5.0,
        }
    }

    /// A curve lower than this hasn't moved yet.
    fn least(self, height: f64) -> f64 {
        match self.measure {
            _ if self.is_log => 1e-3,
            Measure::Accuracy => 0.1,
            _ => (height.abs() * 1e-4).max(1e-4),
        }
    }
}

/// A number on an axis whose marks are `step` apart.
fn exact(value: f64, step: f64) -> String {
    let (unit, name) = if value.abs() >= 1e6 { (1e6, " million") } else { (1.0, "") };
    // On a logarithmic axis steps are a little shorter here and longer there.
    let decimals = (-(step / unit).log10() - 0.01).ceil();
    if value.abs() >= 1e9 || !decimals.is_finite() {
        return short(value);
    }
    let decimals = decimals.clamp(0.0, 4.0) as usize;
    let value = value / unit;
    match decimals {
        0 => format!("{}{name}", grouped(value)),
        _ => format!("{value:.decimals$}{name}"),
    }
}

/// Which lines stand on one pair of axes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
enum Pane {
    Both,
    Learned,
    HeldOut,
}

/// Everything that is drawn of one measure, as heights.
struct Curves {
    live: Line,
    live_smooth: Line,
    train: Line,
    held_out: Line,
    earlier: Vec<(String, Color32, Line)>,
    baselines: Vec<(LineStyle, &'static str, f64)>,
}

impl Curves {
    fn of(theme: &Theme, state: &State, scale: Scale) -> Self {
        let (training, view) = (&state.training, &state.preferences.curves);
        let live = lines::live(&training.live, scale.measure);
        let line = |side| scale.line(&lines::line(&training.epochs, scale.measure, side));
        let baselines = baselines(state, scale.measure).into_iter();
        let drawn = |(style, it): (_, Baseline)| (style, it.name, scale.height(it.value));
        let earlier = earlier_runs(state).enumerate().map(|(idx, run)| {
            let color = theme.curves.runs[idx % theme.curves.runs.len()];
            let line = lines::line(&run.metrics, scale.measure, Side::HeldOut);
            (file_name(&run.path), color, scale.line(&line))
        });
        Self {
            live_smooth: scale.line(&lines::live_smoothed(
                &training.live,
                scale.measure,
                view.smoothing,
            )),
            live: scale.line(&live),
            train: line(Side::Train),
            held_out: line(Side::HeldOut),
            earlier: earlier.collect(),
            baselines: baselines.map(drawn).collect(),
        }
    }

    /// What the curves of a pane reach; the baselines stand for the held-out ones that are to come.
    fn range(&self, pane: Pane) -> Option<RangeInclusive<f64>> {
        let learned = [&self.live_smooth, &self.train];
        let held_out = || {
            let earlier = self.earlier.iter().map(|(.., line)| line);
            lines::range(earlier.chain([&self.held_out])).or_else(|| {
                let baselines = self.baselines.iter().map(|(.., height)| [0.0, *height]);
                lines::range([&baselines.collect()])
            })
        };
        match pane {
            Pane::Learned => match (lines::range([&self.train]), lines::range(learned)) {
                // Single steps scatter more than a slow run moves: they may go out of sight.
                (Some(train), Some(all)) if self.train.len() > 2 => {
                    let span = lines::width(&train);
                    let (low, high) = (train.start() - span, train.end() + span);
                    Some(all.start().max(low)..=all.end().min(high))
                }
                (_, all) => all,
            },
            Pane::HeldOut => held_out(),
            Pane::Both => {
                let earlier = self.earlier.iter().map(|(.., line)| line);
                lines::range(learned.into_iter().chain([&self.held_out]).chain(earlier))
            }
        }
    }

    fn panes(&self, scale: Scale) -> &'static [Pane] {
        match (self.range(Pane::Learned), self.range(Pane::HeldOut)) {
            (Some(learned), Some(held_out))
                if lines::lie_apart(&learned, &held_out, scale.near(*held_out.end())) =>
            {
                &[Pane::Learned, Pane::HeldOut]
            }
            _ => &[Pane::Both],
        }
    }

    /// The last epoch there is something of.
    fn last_x(&self) -> f64 {
        let earlier = self.earlier.iter().map(|(.., line)| line);
        let all = earlier.chain([&self.live, &self.train, &self.held_out]);
        all.filter_map(|line| line.last()).map(|[x, _]| *x).fold(1.0, f64::max)
    }
}

/// One measure: on one pair of axes, or on two where the held-out music is so much harder that on
/// one neither curve would be seen to move.
pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, measure: Measure) {
    let scale = Scale::of(state, measure);
    let curves = Curves::of(theme, state, scale);
    match curves.panes(scale) {
        [one] => pane_ui(ui, theme, state, &curves, *one, scale),
        panes => ui.columns(panes.len(), |columns| {
            for (column, pane) in columns.iter_mut().zip(panes) {
                let text = match pane {
                    Pane::HeldOut => "Held out, on a scale of its own",
                    Pane::Learned | Pane::Both => "Learned from",
                };
                hint(column, text);
                column.add_space(SPACE / 2.0);
                pane_ui(column, theme, state, &curves, *pane, scale);
            }
        }),
    }
}

fn pane_ui(ui: &mut Ui, theme: &Theme, state: &State, curves: &Curves, pane: Pane, scale: Scale) {
    let top = curves.range(pane).map_or(0.0, |range| scale.value(*range.end()));
    // Labels in a low panel are still to be read.
    let y_axis = AxisHints::new_y()
        .min_thickness(axis_width(top))
        .label_spacing(SPACE..=SPACE * 2.0)
        .formatter(move |mark, _| scale.mark_text(mark));
    let x_axis = AxisHints::new_x()
        .label_spacing(SPACE..=SPACE * 2.0)
        .formatter(|mark, _| format!("{:.0}", mark.value));
    Plot::new(("curves", scale.measure.label(), pane))
        .show_background(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_drag([true, false])
        .allow_zoom([true, false])
        .set_margin_fraction(egui::vec2(0.02, 0.0))
        .grid_color(theme.line)
        .y_grid_spacer(move |grid| scale.marks(grid.bounds))
        .x_grid_spacer(|grid| epoch_marks(&grid))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis])
        .label_formatter(move |position| hover_text(position, scale))
        .include_x(0.0)
        .include_x(curves.last_x())
        .auto_bounds(true)
        .show(ui, |plot| draw(plot, theme, state, curves, pane, scale));
}

/// The baselines of a measure that are drawn, each with its kind of line.
pub fn baselines(state: &State, measure: Measure) -> Vec<(LineStyle, Baseline)> {
    let shows = state.preferences.curves.shows_baselines;
    let known = state.training.baselines.filter(|_| shows);
    let counted = Counted::by(&state.training.settings);
    let named = known.map(|it| lines::baselines(&it, counted, measure)).unwrap_or_default();
    let styles = [LineStyle::dashed_dense(), LineStyle::dotted_dense()];
    styles.into_iter().zip(named).collect()
}

/// Room for the labels of an axis up to this value, in points: the plot itself finds out how wide they
/// are, but a frame too late.
fn axis_width(top: f64) -> f32 {
    if top >= 1e6 { SPACE * 10.0 } else { SPACE * 5.0 }
}

/// Whole epochs, as many as can be named beside each other.
fn epoch_marks(grid: &GridInput) -> Vec<GridMark> {
    // egui_plot tells how much is shown in this many points.
    const POINTS_OF_BASE_STEP: f64 = 8.0;
    let (low, high) = grid.bounds;
    let per_point = grid.base_step_size / POINTS_OF_BASE_STEP;
    let ticks = ticks::whole(&(low..=high), per_point * f64::from(EPOCH_NAME_WIDTH));
    let mark = |tick: ticks::Tick| GridMark { value: tick.height, step_size: tick.step };
    ticks.into_iter().map(mark).collect()
}

/// Room for the number of an epoch and some air, in points.
const EPOCH_NAME_WIDTH: f32 = SPACE * 5.0;

fn hover_text(position: &HoverPosition<'_>, scale: Scale) -> Option<String> {
    match position {
        HoverPosition::NearDataPoint { plot_name, position, .. } => {
            let value = scale.text(position.y);
            Some(format!("{plot_name}\nepoch {}: {value}", short(position.x)))
        }
        HoverPosition::Elsewhere { .. } => None,
    }
}

/// The runs that are drawn beside the one in training.
pub fn earlier_runs(state: &State) -> impl Iterator<Item = &Run> {
    let chosen = &state.preferences.curves.runs;
    let runs = state.runs.iter().filter(|run| chosen.contains(&run.path));
    runs.filter(|run| state.training.run_dir.as_ref() != Some(&run.path))
}

fn draw(
    plot: &mut PlotUi<'_>,
    theme: &Theme,
    state: &State,
    curves: &Curves,
    pane: Pane,
    scale: Scale,
) {
    let training = &state.training;
    let range = curves.range(pane).or_else(|| curves.range(Pane::HeldOut)).unwrap_or(0.0..=1.0);
    let is_held_out = pane != Pane::Learned;
    let marks: Vec<f64> = curves.baselines.iter().map(|(.., height)| *height).collect();
    let least = scale.least(*range.end());
    let shown = lines::axis(range, if is_held_out { &marks } else { &[] }, least);
    plot.set_plot_bounds_y(shown.clone());
    if let Some(range) = lines::overfitting(&training.epochs) {
        // Its name would be cut to the width of the band; the legend has it.
        let span = Span::new("", range).fill(theme.curves.overfitting).border(Stroke::NONE);
        plot.span(span);
    }
    if is_held_out {
        for (style, name, height) in &curves.baselines {
            let line = HLine::new(*name, *height).stroke(Stroke::new(1.0, theme.curves.baseline));
            plot.hline(line.style(*style));
        }
        for (name, color, line) in &curves.earlier {
            plain_line(plot, name, line, *color, 1.5);
        }
    }
    if pane != Pane::HeldOut {
        // Until the first epochs are done the live line is all there is.
        let name = "while learning";
        if state.preferences.curves.smoothing > 0.0 {
            let raw =
                PlotLine::new(name, curves.live.clone()).color(Theme::faint(theme.curves.live));
            plot.line(raw.width(1.0).allow_hover(false));
        }
        plain_line(plot, name, &curves.live_smooth, theme.curves.live, 1.0);
        plain_line(plot, "learned from", &curves.train, theme.curves.train, 2.0);
    }
    if is_held_out {
        plain_line(plot, "held out", &curves.held_out, theme.curves.held_out, 2.0);
        if let Some(best) = best_epoch(&training.epochs) {
            let value = lines::value(best, scale.measure, Side::HeldOut);
            let point = vec![[best.epoch as f64, scale.height(value)]];
            let name = format!("best: {}", epoch_name(best.epoch));
            let marker = Points::new(name, point).shape(MarkerShape::Diamond).radius(5.0);
            plot.points(marker.color(theme.curves.best));
        }
    }
}

/// A line with dots while it is short: one epoch alone must be seen too.
fn plain_line(plot: &mut PlotUi<'_>, name: &str, line: &Line, color: Color32, width: f32) {
    if line.is_empty() {
        return;
    }
    plot.line(PlotLine::new(name, line.clone()).color(color).width(width));
    if line.len() < 30 {
        plot.points(Points::new(name, line.clone()).color(color).radius(width + 0.5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_as_exact_as_they_are_close() {
        assert_eq!(exact(7.4851, 0.01), "7.49");
        assert_eq!(exact(7.4851, 0.001), "7.485");
        assert_eq!(exact(1_753.0, 10.0), "1,753");
        assert_eq!(exact(1_826.0, 0.9995), "1,826");
        assert_eq!(exact(77_320_845.0, 200_000.0), "77.3 million");
        assert_eq!(exact(100_000_000.0, 9e8), "100 million");
        assert_eq!(exact(0.0, 0.0), "0.00");
    }
}
