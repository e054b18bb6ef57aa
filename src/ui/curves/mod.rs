//! The curves: how learning goes, live, against what counts alone can do and against earlier runs.

mod export;
mod legend;
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
use super::widgets::{choice, command_button, explained_above, file_name, hint, switches_menu};

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

    /// Those that the run in the window, or one that is drawn beside it, is measured by: from its
    /// start, so that nothing moves when the first epoch is done.
    fn available(state: &State) -> Vec<Self> {
        let training = &state.training;
        let has_touch = training.run_dir.is_some() && training.settings.has_touch()
            || plot::earlier_runs(state).any(|run| run.summary.settings.has_touch());
        Self::ALL.into_iter().filter(|it| has_touch || !it.is_of_touch()).collect()
    }

    /// Whether it is known of networks with touch alone, and of held-out music alone.
    fn is_of_touch(self) -> bool {
        matches!(self, Self::Length | Self::Velocity | Self::Pedal)
    }

    /// What it is called where there is little room.
    fn short_label(self) -> &'static str {
        match self {
            Self::Perplexity => "Surprise",
            _ => self.label(),
        }
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
const WIDE: f32 = SPACE * 58.0;

/// How a panel is headed, by its width.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// All measures are side by side, and the switches have the line to themselves.
    SideBySide,
    /// A button for each measure, and the switches.
    Full,
    /// A button for each measure; the switches are in a menu.
    Short,
    /// The measures are in a list, the switches in a menu.
    Narrow,
}

impl Head {
    /// What the title and the buttons take, in points: of the measures that all networks have, with
    /// the switches and without, and of one of touch.
    const FULL: f32 = SPACE * 96.0;
    const SHORT: f32 = SPACE * 53.0;
    const OF_TOUCH: f32 = SPACE * 9.5;

    fn of(width: f32, measures: &[Measure]) -> Self {
        let n_of_touch = measures.iter().filter(|measure| measure.is_of_touch()).count();
        let touch = Self::OF_TOUCH * n_of_touch as f32;
        match width {
            _ if width >= WIDE * measures.len() as f32 => Self::SideBySide,
            _ if width >= Self::FULL + touch => Self::Full,
            _ if width >= Self::SHORT + touch => Self::Short,
            _ => Self::Narrow,
        }
    }
}

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
    let head = Head::of(ui.available_width(), &measures);
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
    let chosen = state.preferences.curves.measure;
    // The last run's may have been measured otherwise.
    let shown = if measures.contains(&chosen) { chosen } else { Measure::Loss };
    toolbar(ui, state, &measures, shown, head, actions);
    let is_wide = head == Head::SideBySide;
    legend::ui(ui, theme, state, (!is_wide).then_some(shown));
    let surprise = why_surprised(state);
    let below = if surprise.is_some() { SMALL_SIZE + SPACE } else { 0.0 };
    let size = egui::vec2(ui.available_width(), (ui.available_height() - below).max(SPACE));
    ui.allocate_ui(size, |ui| {
        if is_wide {
            ui.columns(measures.len(), |columns| {
                for (column, measure) in columns.iter_mut().zip(&measures) {
                    column.horizontal_wrapped(|ui| {
                        let name = ui.label(RichText::new(measure.label()).small());
                        explained_above(name, measure.tooltip());
                        ui.add_space(SPACE);
                        legend::baselines_ui(ui, theme, state, *measure);
                    });
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
    shown: Measure,
    head: Head,
    actions: &mut Actions,
) {
    let mut view = state.preferences.curves.clone();
    ui.horizontal(|ui| {
        ui.label(RichText::new("Curves").strong());
        match head {
            Head::SideBySide => {}
            Head::Full | Head::Short => {
                for &measure in measures {
                    let is_full = head == Head::Full;
                    let name = if is_full { measure.label() } else { measure.short_label() };
                    let tab = ui.selectable_label(measure == shown, name);
                    if explained_above(tab, measure.tooltip()).clicked() {
                        view.measure = measure;
                    }
                }
            }
            Head::Narrow => {
                let mut measure = shown;
                let one = |it: &Measure| (*it, it.short_label(), it.tooltip());
                let all: Vec<_> = measures.iter().map(one).collect();
                if choice(ui, "Measure", &mut measure, &all).changed() {
                    view.measure = measure;
                }
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            export_menu(ui, state, actions);
            if matches!(head, Head::Short | Head::Narrow) {
                switches_menu(ui, "View ⏷", |ui| {
                    switches(ui, &mut view);
                    ui.separator();
                    runs_list(ui, state, &mut view);
                });
            } else {
                runs_menu(ui, state, &mut view);
                switches(ui, &mut view);
            }
        });
    });
    state.preferences.curves = view;
}

fn export_menu(ui: &mut Ui, state: &State, actions: &mut Actions) {
    ui.menu_button("Export ⏷", |ui| {
        for command in [Command::ExportCurvesCsv, Command::ExportCurvesPng] {
            if command_button(ui, state, command, command.label()) {
                actions.push(AppAction::Run(command));
                ui.close();
            }
        }
    });
}

/// How the curves are drawn: at the right of a line or below each other in a menu.
fn switches(ui: &mut Ui, view: &mut CurveView) {
    ui.horizontal(|ui| {
        ui.spacing_mut().slider_width = SPACE * 8.0;
        let slider = ui.add(egui::Slider::new(&mut view.smoothing, 0.0..=0.98).show_value(false));
        slider.widget_info(|| egui::WidgetInfo::slider(true, view.smoothing, "Smoothing"));
        explained_above(slider, "How much the lines are smoothed; the raw line stays behind");
        ui.label(RichText::new("Smooth").weak());
    });
    explained_above(
        ui.checkbox(&mut view.is_log, "Log"),
        "Logarithmic: equal distances are equal ratios, so that small gains late can be seen \
         beside large ones early",
    );
    explained_above(
        ui.checkbox(&mut view.shows_baselines, "Baselines"),
        "What counting alone reaches on the same held-out music. A network worth its time is below",
    );
}

fn runs_menu(ui: &mut Ui, state: &State, view: &mut CurveView) {
    let text = match view.runs.len() {
        0 => "Runs ⏷".to_owned(),
        n => format!("Runs ({n}) ⏷"),
    };
    let menu = switches_menu(ui, &text, |ui| runs_list(ui, state, view));
    explained_above(menu, "Earlier runs to compare with");
}

fn runs_list(ui: &mut Ui, state: &State, view: &mut CurveView) {
    if state.runs.is_empty() {
        ui.label(RichText::new("No earlier runs").weak());
        return;
    }
    ui.label(RichText::new("Earlier runs to compare with").weak());
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
}
