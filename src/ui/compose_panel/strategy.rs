//! How the next chord is chosen.

use egui::Ui;

use super::super::state::{ComposeForm, StrategyKind};
use super::super::theme::SPACE;
use super::super::widgets::{choice, hint, number, row};
use crate::model::ModelCard;

/// `composer` is what is known of the chosen model.
pub fn strategy_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
    row(ui, "How", "How the next chord is chosen", |ui| {
        choice(
            ui,
            "How",
            &mut form.strategy,
            &[
                (StrategyKind::Sample, "Sample", "Draws each chord by its probability"),
                (StrategyKind::Max, "Most likely", "Always the most likely chord (max)"),
                (StrategyKind::Beam, "Beam search", "Looks for the likeliest whole phrase"),
            ],
        )
    });
    let has_touch = composer.is_some_and(ModelCard::has_touch);
    match form.strategy {
        StrategyKind::Sample => sample_ui(ui, form, composer),
        StrategyKind::Max => {
            hint(
                ui,
                match has_touch {
                    true => "Nearly always it is likeliest that nothing changes: few notes come",
                    false => "Always the likeliest chord: one answer, and soon the same again",
                },
            );
        }
        StrategyKind::Beam => {
            beam_ui(ui, form);
            hint(
                ui,
                match has_touch {
                    true => "Likely is not lively: of all phrases the likeliest have few notes",
                    false => "Likely is not lively: long beams tend to hold chords or to quote",
                },
            );
        }
    }
}

fn beam_ui(ui: &mut Ui, form: &mut ComposeForm) {
    row(ui, "Beams", "Phrases that are followed side by side", |ui| {
        ui.add(number(&mut form.beam_width, 1..=64, 0.05))
    });
    let tooltip = "0 favors short, held phrases; 1 weighs all lengths alike";
    row(ui, "Length penalty", tooltip, |ui| {
        ui.add(number(&mut form.length_penalty, 0.0..=2.0, 0.01))
    });
}

fn sample_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
    let tooltip = "How daring it is (temperature). 1 draws exactly as it learned";
    row(ui, "Daring", tooltip, |ui| {
        ui.spacing_mut().slider_width = SPACE * 9.0;
        let slider = egui::Slider::new(&mut form.temperature, 0.1..=2.0).step_by(0.01);
        ui.add(slider.max_decimals(2))
    });
    if let Some(words) = composer.map(|composer| daring_words(composer, form.temperature)) {
        hint(ui, words);
    }
}

/// What a temperature does to a model, as takes of such models were found to be: at 0.75 those that
/// choose among chords have a fifth of the notes that they have at 1. Those that spell have three
/// quarters of them at 0.9, and a quarter more at 1.1.
fn daring_words(composer: &ModelCard, temperature: f64) -> String {
    let (low, thin, high, wild) = match composer.chords() {
        Some(_) => (0.75, "it tends to hold one or two notes", 1.2, "it gets wild"),
        None => (0.9, "it thins out to few, long notes", 1.1, "notes come thick and wild"),
    };
    match temperature {
        _ if temperature < low => format!("Below {low} {thin}"),
        _ if temperature > high => format!("Above {high} {wild}"),
        _ => format!("Below {low} {thin}, above {high} {wild}"),
    }
}
