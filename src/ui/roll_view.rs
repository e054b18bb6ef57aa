//! How the roll looks at the piece: the menu of its options, and the key.

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{PopupCloseBehavior, RichText, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::piano_roll::{Fold, Follow};
use super::state::State;
use super::theme::SPACE;
use super::widgets::command_button;
use crate::music::{KeyScale, Scale};

/// The interface can be this large or small, in percent.
const UI_SCALES: [u32; 8] = [75, 90, 100, 110, 125, 150, 175, 200];

/// A menu that stays open while several things in it are chosen.
fn lasting_menu(ui: &mut Ui, text: RichText, name: &str, contents: impl FnOnce(&mut Ui)) {
    let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let (response, _) = MenuButton::new(text).config(config).ui(ui, contents);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
    response.on_hover_text(name);
}

/// What of the roll is shown, how it follows, and how large everything is.
pub fn menu_button(ui: &mut Ui, state: &State, actions: &mut Actions) {
    lasting_menu(ui, RichText::new("Roll ⏷"), "How the roll is shown", |ui| {
        options_ui(ui, state, actions);
    });
}

pub fn options_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let mut options = state.preferences.roll;
    ui.horizontal(|ui| {
        for (command, words) in [(Command::FitAll, "All"), (Command::FitSelection, "Selection")] {
            if command_button(ui, state, command, words) {
                actions.push(AppAction::Run(command));
            }
        }
    });
    ui.separator();
    ui.label(RichText::new("When it plays").weak());
    for follow in Follow::ALL {
        ui.radio_value(&mut options.follow, follow, follow.label());
    }
    ui.separator();
    ui.label(RichText::new("Rows").weak());
    for fold in Fold::ALL {
        ui.radio_value(&mut options.fold, fold, fold.label());
    }
    ui.checkbox(&mut options.tints_scale, "Shade what is outside the scale");
    ui.checkbox(&mut options.snaps_to_scale, "Snap notes to the scale")
        .on_hover_text("Notes that are written or moved come to lie on pitches of the scale");
    ui.separator();
    ui.label(RichText::new("Shown").weak());
    ui.checkbox(&mut options.shows_chords, "Chord names");
    ui.checkbox(&mut options.shows_velocities, "Velocities");
    ui.checkbox(&mut options.shows_pedal, "Sustain pedal");
    ui.checkbox(&mut options.colors_parts, "Color notes by part");
    ui.separator();
    ui.label(RichText::new("Size of everything").weak());
    scale_ui(ui, state, actions);
    if options != state.preferences.roll {
        actions.push(AppAction::Roll(options));
    }
}

/// How large everything is.
pub fn scale_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    // A float to integer cast saturates.
    let now = (state.preferences.ui_scale * 100.0).round() as u32;
    ui.horizontal_wrapped(|ui| {
        ui.set_max_width(SPACE * 28.0);
        for percent in UI_SCALES {
            if ui.selectable_label(now == percent, format!("{percent} %")).clicked() {
                actions.push(AppAction::UiScale(percent as f32 / 100.0));
            }
        }
    });
}

/// The key: estimated, or set here by tonic and scale.
pub fn key_button(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let (set, estimated) = (state.document.key(), state.estimated_key());
    let now = set.or(estimated);
    let words = now.map_or_else(|| "none".to_owned(), |key| key.to_string());
    let text = RichText::new(format!("{} ⏷", if now.is_some() { &words } else { "Key" }));
    let text = if set.is_none() { text.weak() } else { text };
    lasting_menu(ui, text, &format!("Key and scale: {words}"), |ui| {
        let detected = match estimated {
            Some(key) => format!("Detect: {key}"),
            None => "Detect".to_owned(),
        };
        let tooltip = "The key it is most likely in, judged by how long each pitch sounds";
        if ui.radio(set.is_none(), detected).on_hover_text(tooltip).clicked() {
            actions.push(AppAction::SetKey(None));
        }
        ui.separator();
        let now = now.unwrap_or(KeyScale::new(0, Scale::Major));
        egui::Grid::new("tonics").show(ui, |ui| {
            for tonic in 0..12 {
                let key = KeyScale::new(tonic, now.scale());
                let name = key.spelling().pitch_class(tonic);
                let is_set = set.is_some_and(|set| set.tonic() == tonic);
                if ui.selectable_label(is_set, name).clicked() {
                    actions.push(AppAction::SetKey(Some(key)));
                }
                if tonic % 6 == 5 {
                    ui.end_row();
                }
            }
        });
        ui.separator();
        for scale in Scale::ALL {
            let is_set = set.is_some_and(|set| set.scale() == scale);
            if ui.selectable_label(is_set, scale.label()).clicked() {
                actions.push(AppAction::SetKey(Some(KeyScale::new(now.tonic(), scale))));
            }
        }
    });
}
