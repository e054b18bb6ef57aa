//! What is folded away: limits of what is drawn, the guard, the strike, the weights and the seed.

use egui::Ui;

use super::super::action::{Actions, AppAction};
use super::super::state::{ComposeForm, StrategyKind};
use super::super::theme::{ROW, SPACE};
use super::super::widgets::{choice, fixed_row, optional, row};
use crate::model::{ModelCard, WeightFormat};
use crate::tokens::Articulation;

pub fn more_ui(
    ui: &mut Ui,
    form: &mut ComposeForm,
    composer: Option<&ModelCard>,
    actions: &mut Actions,
) {
    egui::CollapsingHeader::new("More").id_salt("more of composing").show_unindented(ui, |ui| {
        if form.strategy == StrategyKind::Sample {
            limits_ui(ui, form);
        }
        guard_ui(ui, form);
        strike_ui(ui, form, composer);
        weights_ui(ui, form, composer);
        seed_ui(ui, form, actions);
    });
}

/// How unlikely a chord may be that is drawn.
fn limits_ui(ui: &mut Ui, form: &mut ComposeForm) {
    row(
        ui,
        "Top k",
        "Only the k likeliest chords may be drawn; of a model \
         that spells key by key, 1 is the likelier of each key's two states",
        |ui| optional(ui, &mut form.top_k, 40, 1..=100_000, 0.2, "Top k"),
    );
    row(
        ui,
        "Top p",
        "Only the likeliest chords that together have this share; \
         of a model that spells, for each key",
        |ui| optional(ui, &mut form.top_p, 0.95, 0.01..=1.0, 0.005, "Top p"),
    );
}

fn guard_ui(ui: &mut Ui, form: &mut ComposeForm) {
    row(ui, "Longest hold", "A chord or rest is held no longer than this, in seconds", |ui| {
        optional(ui, &mut form.longest_hold_secs, 4.0, 0.1..=60.0, 0.05, "Longest hold")
    });
    row(ui, "No repeat", "No run of this many different chords comes twice", |ui| {
        optional(ui, &mut form.no_repeat, 8, 2..=64, 0.05, "No repeat")
    });
}

fn strike_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
    let has_touch = composer.is_some_and(ModelCard::has_touch);
    let why_fixed = has_touch.then_some("This model says itself which keys are struck again");
    fixed_row(ui, why_fixed, "Strike", "What a note does when the next chord has it too", |ui| {
        choice(
            ui,
            "Strike",
            &mut form.articulation,
            &[
                (Articulation::Held, "Hold", "It goes on sounding"),
                (Articulation::Restruck, "Again", "It is struck with every new chord"),
            ],
        )
    });
}

fn weights_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
    let spells = composer.is_some_and(|composer| composer.chords().is_none());
    let why_fixed = spells.then_some("A model that spells key by key is read as it was learned");
    fixed_row(ui, why_fixed, "Weights", "How the model is kept while it composes", |ui| {
        choice(
            ui,
            "Weights",
            &mut form.weights,
            &[
                (WeightFormat::F32, "As learned", "Every number as it was learned (f32)"),
                (WeightFormat::F16, "Half", "Half the memory: large models compose faster (f16)"),
                (
                    WeightFormat::Int8,
                    "Quarter",
                    "A quarter of the memory; other notes may come (int8)",
                ),
            ],
        )
    });
}

fn seed_ui(ui: &mut Ui, form: &mut ComposeForm, actions: &mut Actions) {
    row(ui, "Seed", "The same seed and settings give the same notes", |ui| {
        let dice = ui.button("🎲").on_hover_text("Draw another seed");
        dice.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Button, true, "Draw another seed")
        });
        if dice.clicked() {
            actions.push(AppAction::DrawSeed);
        }
        let drag = egui::DragValue::new(&mut form.seed).range(0..=u64::from(u32::MAX));
        let mut seed = ui.add_sized([SPACE * 10.0, ROW], drag);
        if seed.changed() {
            form.is_seed_fresh = false;
        }
        seed |= dice;
        seed
    });
    row(ui, "New seed each time", "Off: Compose gives the same notes again", |ui| {
        ui.checkbox(&mut form.is_seed_fresh, "")
    });
}
