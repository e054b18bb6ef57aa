//! The row that says what a run goes on from, and what this fixes of the settings below it.

use egui::Ui;

use super::action::{Actions, AppAction};
use super::dialogs::Purpose;
use super::state::{StartChoice, State};
use super::widgets::{choice, file_name, hint, problem, row, short};

/// A line of the list.
#[derive(Clone, PartialEq)]
enum Item {
    Choice(StartChoice),
    /// A file is to be chosen.
    Other,
}

pub fn ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let chosen = &state.preferences.start;
    let mut item = Item::Choice(chosen.clone());
    let items = items(state);
    let items: Vec<(Item, &str, &str)> =
        items.iter().map(|(item, label, tooltip)| (item.clone(), &**label, &**tooltip)).collect();
    let tooltip = "What a new run begins with: a fresh network, or one that has learned already and goes \
                   on with the pieces of the library (fine-tuning)";
    let response = row(ui, "Go on from", tooltip, |ui| choice(ui, "Go on from", &mut item, &items));
    if response.changed() {
        actions.push(match item {
            Item::Choice(choice) => AppAction::ChooseStart(choice),
            Item::Other => AppAction::Ask(Purpose::Checkpoint),
        });
    }
    let starting = &state.starting;
    if let Some(error) = &starting.error {
        problem(ui, error);
    } else if starting.reading.is_some() {
        hint(ui, "Reading the checkpoint…");
    } else if let Some(point) = starting.point(chosen) {
        hint(ui, "It keeps its network and how it cuts music, and stays the best until an epoch is better")
            .on_hover_text(&point.origin.about);
    }
}

/// The starter, the runs of this computer, and what was chosen elsewhere.
fn items(state: &State) -> Vec<(Item, String, String)> {
    let item = |choice: StartChoice, tooltip: String| {
        let label = choice.label();
        (Item::Choice(choice), label, tooltip)
    };
    let mut items = vec![
        item(StartChoice::Nothing, "A fresh network learns from the beginning".to_owned()),
        item(StartChoice::Starter, "The model that comes with Etude".to_owned()),
    ];
    for run in &state.runs {
        let best = super::state::best_epoch(&run.metrics).map_or_else(
            || "No epoch is done".to_owned(),
            |best| {
                format!("The best epoch of this run, perplexity {}", short(best.valid_perplexity))
            },
        );
        items.push(item(StartChoice::Checkpoint(run.path.clone()), best));
    }
    let chosen = &state.preferences.start;
    if let StartChoice::Checkpoint(path) = chosen
        && !state.runs.iter().any(|run| run.path == *path)
    {
        items.push(item(chosen.clone(), path.display().to_string()));
    }
    items.push((Item::Other, "Checkpoint…".to_owned(), "Another run's file".to_owned()));
    items
}

/// Why settings can't be changed; none for a fresh network.
pub fn why_fixed(state: &State) -> Option<String> {
    let name = match &state.preferences.start {
        StartChoice::Nothing => return None,
        StartChoice::Starter => "The starter".to_owned(),
        StartChoice::Checkpoint(path) => file_name(path),
    };
    Some(format!(
        "{name} decides this: a run that goes on from it keeps its network and how it cuts music. Go on \
         from nothing to change it"
    ))
}
