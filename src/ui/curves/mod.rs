//! The curves: how learning goes, live, against what counts alone can do and against earlier runs.

mod export;
mod lines;
mod plot;
mod ticks;

use std::path::PathBuf;

use egui::{Align, Layout, RichText, Ui};
use serde::{Deserialize, Serialize};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::state::State;
use super::theme::{SMALL_SIZE, SPACE, Theme};
use super::widgets::{command_button, file_name, hint};

use lines::Side;

pub use export::{Picture, csv};

/// What is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    Loss,
    #[default]
    Perplexity,
    Accuracy,
    /// How much of the loss of a network with touch says how long nothing changes.
    Length,
    /// What velocities cost it.
    Velocity,
    /// What the pedal costs it.
    Pedal,
}

impl Measure {
    const ALL: [Self; 6] =
        [Self::Loss, Self::Perplexity, Self::Accuracy, Self::Length, Self::Velocity, Self::Pedal];

    /// Those that the run in the window, or one that is drawn beside it, was measured by.
    fn available(state: &State) -> Vec<Self> {
        let drawn = plot::earlier_runs(state).map(|run| run.metrics.as_slice());
        let runs: Vec<_> = drawn.chain([state.training.epochs.as_slice()]).collect();
        let is_known = |measure: &Self| {
            let value = |point| lines::value(point, *measure, Side::HeldOut);
            !measure.is_of_touch()
                || runs.iter().any(|run| run.iter().any(|point| value(point).is_finite()))
        };
        Self::ALL.into_iter().filter(is_known).collect()
    }

    /// Whether it is known of networks with touch alone, and of held-out music alone.
    fn is_of_touch(self) -> bool {
        matches!(self, Self::Length | Self::Velocity | Self::Pedal)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Perplexity => "Surprise (perplexity)",
            Self::Accuracy => "Accuracy",
            Self::Length => "Lengths",
            Self::Velocity => "Velocities",
            Self::Pedal => "Pedal",
        }
    }

    fn tooltip(self) -> &'static str {
        match self {
            Self::Loss => {
                "What learning makes small: the mean, over all frames, of minus the logarithm of \
                 the probability it gave to the chord that came (nats per frame). Less is better"
            }
            Self::Perplexity => {
                "How surprised it is by music it hasn't seen: as if it had to guess among this \
                 many equally likely chords at every frame. Less is better"
            }
            Self::Accuracy => {
                "The share of frames whose chord is the one it thought most likely. More is \
                 better, but music that surprises a little is no mistake. With an adaptive softmax \
                 the line of the pieces it learns from counts frames where both of its steps were \
                 right, which is nearly the same"
            }
            Self::Length => {
                "How much of the loss on held-out music says how long nothing changes, in nats per \
                 frame: a part of the loss, not besides it. Less is better"
            }
            Self::Velocity => {
                "How surprised it is by how hard the keys of held-out music are struck, in nats per \
                 frame, besides which keys they are. Less is better"
            }
            Self::Pedal => {
                "How surprised it is by the pedal of held-out music, in nats per frame. Less is better"
            }
        }
    }
}

/// How the curves are drawn; lasts between starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct CurveView {
    pub measure: Measure,
    pub is_log: bool,
    /// 0 is the raw line; towards 1 each point remembers more of those before it.
    pub smoothing: f64,
    pub shows_baselines: bool,
    /// Earlier runs that are drawn too.
    pub runs: Vec<PathBuf>,
}

impl Default for CurveView {
    fn default() -> Self {
        Self {
            measure: Measure::default(),
            is_log: true,
            smoothing: 0.9,
            shows_baselines: true,
            runs: Vec::new(),
        }
    }
}

/// Panels that have so much for each measure, in points, show all of them side by side.
const WIDE: f32 = 466.0;

/// Panels narrower than this, in points, have their switches in a second line.
const NARROW: f32 = SPACE * 96.0;

/// What the button of one more measure takes in a line, in points.
const WIDTH_OF_TOUCH: f32 = SPACE * 11.0;

/// Below this share of known chords the held-out curve is ruled by the others.
const LOW_COVERAGE: f64 = 0.5;

/// Whether a run is in training or shown: otherwise the panel only says what would be here.
pub fn has_something_to_draw(state: &State) -> bool {
    state.training.run_dir.is_some() || !state.preferences.curves.runs.is_empty()
}

pub fn ui(ui: &mut Ui, theme: &Theme, state: &mut State, actions: &mut Actions) {
    // The panel keeps its height while there is nothing to draw yet.
    ui.set_min_height(ui.available_height());
    let measures = Measure::available(state);
    let is_wide = ui.available_width() >= WIDE * measures.len() as f32;
    if !has_something_to_draw(state) {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Curves").strong());
            if !state.runs.is_empty() {
                let mut view = state.preferences.curves.clone();
                runs_menu(ui, state, &mut view);
                state.preferences.curves = view;
            }
        });
        ui.add_space(SPACE);
        hint(
            ui,
            "Curves appear when you press Train: how well it learns the pieces, and how surprised \
             it is by music it hasn't seen",
        );
        return;
    }
    toolbar(ui, state, &measures, is_wide, actions);
    let chosen = state.preferences.curves.measure;
    // The last run's may have been measured otherwise.
    let shown = if measures.contains(&chosen) { chosen } else { Measure::Loss };
    plot::legend_ui(ui, theme, state, is_wide || !shown.is_of_touch());
    let surprise = why_surprised(state);
    let below = if surprise.is_some() { SMALL_SIZE + SPACE } else { 0.0 };
    let size = egui::vec2(ui.available_width(), (ui.available_height() - below).max(SPACE));
    ui.allocate_ui(size, |ui| {
        if is_wide {
            ui.columns(measures.len(), |columns| {
                for (column, measure) in columns.iter_mut().zip(&measures) {
                    column
                        .label(RichText::new(measure.label()).small().weak())
                        .on_hover_text(measure.tooltip());
                    plot::ui(column, theme, state, *measure);
                }
            });
        } else {
            plot::ui(ui, theme, state, shown);
        }
    });
    if let Some(words) = surprise {
        hint(ui, words).on_hover_text(
            "A chord that the vocabulary lacks can only be guessed key by key, and each such guess \
             costs a lot. So the held-out curve stays high and moves little, however well the \
             pieces are learned",
        );
    }
}

/// Why the held-out curve stays high, where the music held out is of another kind.
fn why_surprised(state: &State) -> Option<String> {
    let coverage = state.training.prepared.as_ref()?.coverage;
    (coverage < LOW_COVERAGE).then(|| {
        format!(
            "Only {:.0} % of the chords in the held-out pieces are known, so it stays surprised: \
             more pieces of one kind help",
            coverage * 100.0
        )
    })
}

fn toolbar(
    ui: &mut Ui,
    state: &mut State,
    measures: &[Measure],
    is_wide: bool,
    actions: &mut Actions,
) {
    let n_of_touch = measures.iter().filter(|measure| measure.is_of_touch()).count();
    let is_narrow = ui.available_width() < NARROW + n_of_touch as f32 * WIDTH_OF_TOUCH;
    let mut view = state.preferences.curves.clone();
    ui.horizontal(|ui| {
        ui.label(RichText::new("Curves").strong());
        if !is_wide {
            for &measure in measures {
                ui.selectable_value(&mut view.measure, measure, measure.label())
                    .on_hover_text(measure.tooltip());
            }
        }
        if !is_narrow {
            switches(ui, state, &mut view, actions);
        }
    });
    if is_narrow {
        ui.horizontal(|ui| switches(ui, state, &mut view, actions));
    }
    state.preferences.curves = view;
}

/// How the curves are drawn, and which; at the right of a line.
fn switches(ui: &mut Ui, state: &State, view: &mut CurveView, actions: &mut Actions) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.menu_button("Export ⏷", |ui| {
            for command in [Command::ExportCurvesCsv, Command::ExportCurvesPng] {
                if command_button(ui, state, command, command.label()) {
                    actions.push(AppAction::Run(command));
                    ui.close();
                }
            }
        });
        runs_menu(ui, state, view);
        ui.spacing_mut().slider_width = SPACE * 8.0;
        let slider = ui
            .add(egui::Slider::new(&mut view.smoothing, 0.0..=0.98).show_value(false))
            .on_hover_text("How much the lines are smoothed; the raw line stays behind");
        slider.widget_info(|| egui::WidgetInfo::slider(true, view.smoothing, "Smoothing"));
        ui.label(RichText::new("Smooth").weak());
        ui.checkbox(&mut view.is_log, "Log").on_hover_text(
            "Logarithmic: equal distances are equal ratios, so that small gains late can be seen \
             beside large ones early",
        );
        ui.checkbox(&mut view.shows_baselines, "Baselines").on_hover_text(
            "What counting alone reaches on the same held-out music. A network worth its time is \
             below",
        );
    });
}

fn runs_menu(ui: &mut Ui, state: &State, view: &mut CurveView) {
    let text = match view.runs.len() {
        0 => "Runs ⏷".to_owned(),
        n => format!("Runs ({n}) ⏷"),
    };
    let menu = ui.menu_button(text, |ui| {
        if state.runs.is_empty() {
            ui.label(RichText::new("No earlier runs").weak());
        }
        egui::ScrollArea::vertical().show(ui, |ui| {
            for run in &state.runs {
                let mut is_on = view.runs.contains(&run.path);
                if ui.checkbox(&mut is_on, file_name(&run.path)).changed() {
                    if is_on {
                        view.runs.push(run.path.clone());
                    } else {
                        view.runs.retain(|path| *path != run.path);
                    }
                }
            }
        });
    });
    menu.response.on_hover_text("Earlier runs to compare with");
}
