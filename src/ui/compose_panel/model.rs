//! Who composes: the starter, the run in training, or a run of before.

use egui::Ui;

use super::super::action::{Actions, AppAction};
use super::super::state::{ModelChoice, State, best_epoch, epoch_name};
use super::super::widgets::{choice, file_name, hint, problem, row, short};

pub fn model_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let mut chosen = state.preferences.compose.model.clone();
    let models = models(state);
    let options: Vec<(ModelChoice, &str, &str)> = models
        .iter()
        .map(|(choice, label, tooltip)| (choice.clone(), label.as_str(), tooltip.as_str()))
        .collect();
    let response =
        row(ui, "Model", "Who composes", |ui| choice(ui, "Model", &mut chosen, &options));
    if response.changed() {
        actions.push(AppAction::ChooseModel(chosen));
    }
    readiness_ui(ui, state);
}

/// The models that there are, each with a label and a tooltip.
fn models(state: &State) -> Vec<(ModelChoice, String, String)> {
    let in_training =
        if state.training.job.is_some() { "The one in training" } else { "The one trained last" };
    let mut models = vec![
        (ModelChoice::Starter, "Starter".to_owned(), "Comes with Etude".to_owned()),
        (
            ModelChoice::InTraining,
            in_training.to_owned(),
            "The newest weights of the run at the left: hear it while it learns".to_owned(),
        ),
    ];
    for run in &state.runs {
        let best = best_epoch(&run.metrics).map_or_else(
            || "no epoch is done".to_owned(),
            |best| {
                let epoch = epoch_name(best.epoch);
                format!("perplexity {} at {epoch}", short(best.valid_perplexity))
            },
        );
        models.push((ModelChoice::Run(run.path.clone()), file_name(&run.path), best));
    }
    models
}

/// Why the chosen model can't compose, or not yet, and what was noticed when it was loaded.
fn readiness_ui(ui: &mut Ui, state: &State) {
    let composing = &state.composing;
    let chosen = &state.preferences.compose.model;
    if let Some(error) = &composing.model_error {
        problem(ui, error);
    } else if composing.loading.is_some() && state.composer().is_none() {
        hint(ui, "Loading the model…");
    } else if *chosen == ModelChoice::InTraining && state.training.newest.is_none() {
        hint(
            ui,
            match state.training.is_busy() {
                true => "It can compose when its first epoch is done",
                false => "It can compose when its first epoch is done. Press Train at the left",
            },
        );
    }
    for note in composing.loaded(chosen).into_iter().flat_map(|loaded| &loaded.notes) {
        problem(ui, note);
    }
}
