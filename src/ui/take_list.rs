//! The takes: heard, rated, named, exported, dropped, used.

use egui::text::CCursorRange;
use egui::{Align, Button, Layout, RichText, TextEdit, Ui, Vec2};

use super::action::{Actions, AppAction, TakeAction};
use super::command::Command;
use super::number_field::select;
use super::roll_header::use_menu;
use super::state::{Shown, State, TakeEntry};
use super::theme::{ROW, SPACE, Theme};
use super::widgets::{command_button, hint, is_settled, short, title};
use super::words::minutes_seconds;
use crate::model::{Strategy, WeightFormat};

pub fn ui(ui: &mut Ui, theme: &Theme, state: &mut State, actions: &mut Actions) {
    ui.horizontal(|ui| {
        title(ui, "Takes");
        if !state.takes.list.is_empty() {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if command_button(ui, state, Command::PlayAllTakes, "Play all") {
                    actions.push(AppAction::Run(Command::PlayAllTakes));
                }
            });
        }
    });
    if state.takes.list.is_empty() {
        hint(ui, "What is composed is listed here: hear it, rate it, use it or drop it");
    }
    let mut renaming = state.takes.renaming.take();
    // A take that is done moves all others: a second press on Again rates none of them.
    let is_settled = is_settled(ui, "takes", (state.takes.list.len(), state.composing.is_busy()));
    // Newest first: the one just composed is next to the button.
    for entry in state.takes.list.iter().rev() {
        let is_shown = state.shown == Shown::Take(entry.id);
        let is_playing = is_shown && state.sound.is_playing;
        match &mut renaming {
            Some((id, name)) if *id == entry.id => rename_ui(ui, entry, name, actions),
            _ => row_ui(ui, theme, entry, [is_shown, is_playing, is_settled], actions),
        }
        if is_shown {
            details_ui(ui, state, entry, actions);
        }
    }
    let is_done =
        actions.iter().any(|action| matches!(action, AppAction::Take(_, TakeAction::Rename(_))));
    state.takes.renaming = renaming.filter(|_| !is_done);
}

fn row_ui(
    ui: &mut Ui,
    theme: &Theme,
    entry: &TakeEntry,
    [is_shown, is_playing, is_settled]: [bool; 3],
    actions: &mut Actions,
) {
    let id = entry.id;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = SPACE / 2.0;
        let (sign, verb) = if is_playing { ("⏸", "Pause") } else { ("▶", "Play") };
        let play = ui.add(Button::new(sign).min_size(Vec2::splat(ROW)));
        let name = format!("{verb} {}", entry.name);
        play.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if play.on_hover_text(&name).clicked() {
            actions.push(AppAction::Take(id, TakeAction::Play));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = SPACE / 2.0;
            menu_ui(ui, entry, actions);
            stars_ui(ui, theme, entry, is_settled, actions);
            let width = ui.available_width();
            let button = Button::selectable(is_shown, entry.name.as_str())
                .truncate()
                .min_size(Vec2::new(width, ROW));
            let button = ui.add(button);
            let length = minutes_seconds(entry.score.duration_secs());
            let button = button.on_hover_text(format!("{}, {length}", entry.name));
            if button.double_clicked() {
                actions.push(AppAction::Take(id, TakeAction::StartRenaming));
            } else if button.clicked() {
                actions.push(AppAction::Take(id, TakeAction::Choose));
            }
        });
    });
}

fn stars_ui(
    ui: &mut Ui,
    theme: &Theme,
    entry: &TakeEntry,
    is_settled: bool,
    actions: &mut Actions,
) {
    ui.spacing_mut().item_spacing.x = 0.0;
    // The layout runs from right to left.
    for stars in (1..=5u8).rev() {
        let is_lit = entry.stars >= stars;
        let color = if is_lit { theme.accent } else { theme.text_weak };
        let sign = RichText::new(if is_lit { "★" } else { "☆" }).color(color);
        let button = Button::new(sign).frame(false).min_size(Vec2::new(SPACE * 2.0, ROW));
        ui.spacing_mut().button_padding.x = 0.0;
        let star = ui.add(button);
        let name = format!("Rate {} {stars} of 5", entry.name);
        star.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if star.on_hover_text(name).clicked() && is_settled {
            // The same star again takes the rating back.
            let stars = if entry.stars == stars { 0 } else { stars };
            actions.push(AppAction::Take(entry.id, TakeAction::Rate(stars)));
        }
    }
}

fn menu_ui(ui: &mut Ui, entry: &TakeEntry, actions: &mut Actions) {
    let menu = ui.menu_button("…", |ui| {
        for (text, action) in [
            ("Rename", TakeAction::StartRenaming),
            ("Export MIDI…", TakeAction::ExportMidi),
            ("Export WAV…", TakeAction::ExportWav),
            ("Drop", TakeAction::Drop),
        ] {
            if ui.button(text).clicked() {
                actions.push(AppAction::Take(entry.id, action));
                ui.close();
            }
        }
    });
    let name = format!("More for {}", entry.name);
    menu.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
}

fn rename_ui(ui: &mut Ui, entry: &TakeEntry, name: &mut String, actions: &mut Actions) {
    let field = TextEdit::singleline(name).hint_text("Name of the take");
    let field = ui.add_sized([ui.available_width(), ROW], field);
    if !field.has_focus() && !field.lost_focus() {
        // What is written takes the name's place.
        select(ui, field.id, CCursorRange::select_all_str(name.as_str()));
    }
    if field.lost_focus() {
        let name = std::mem::take(name);
        actions.push(AppAction::Take(entry.id, TakeAction::Rename(name)));
    } else {
        field.request_focus();
    }
}

/// What made the take that is shown, and what the user says about it.
fn details_ui(ui: &mut Ui, state: &State, entry: &TakeEntry, actions: &mut Actions) {
    let provenance = &entry.provenance;
    let how = match provenance.settings.strategy {
        Strategy::Max => "most likely".to_owned(),
        Strategy::Sample { temperature, .. } => format!("sampled at {temperature:.2}"),
        Strategy::Beam { width, .. } => format!("beam {width}"),
    };
    let how = match provenance.settings.weights {
        WeightFormat::F32 => how,
        WeightFormat::F16 => format!("{how}, weights in half"),
        WeightFormat::Int8 => format!("{how}, weights in a quarter"),
    };
    let n_composed = entry.take.roll.len().saturating_sub(entry.take.n_prime_frames);
    let line =
        format!("{}, {} · {how} · seed {}", provenance.model, provenance.stage(), entry.take.seed);
    let per_frame = -entry.take.log_likelihood / n_composed.max(1) as f64;
    hint(ui, line).on_hover_text(format!(
        "{n_composed} frames in {:.1} s. Its own surprise at what it wrote: {} (perplexity)",
        entry.take.secs,
        short(per_frame.exp())
    ));
    if let Some(words) = entry.near_silence_words() {
        ui.add(egui::Label::new(RichText::new(format!("It {words}")).small()).wrap());
    }
    ui.horizontal(|ui| {
        let id = ui.scope_id().with(("note of take", entry.id));
        let mut note =
            ui.data_mut(|data| data.get_temp::<String>(id)).unwrap_or_else(|| entry.note.clone());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            use_menu(ui, entry.id, actions);
            again_ui(ui, state, entry, actions);
            let field = TextEdit::singleline(&mut note).hint_text("What you think of it");
            let field = ui.add_sized([ui.available_width(), ROW], field);
            if field.has_focus() {
                ui.data_mut(|data| data.insert_temp(id, note.clone()));
            }
            if field.lost_focus() {
                ui.data_mut(|data| data.remove_temp::<String>(id));
                if note != entry.note {
                    actions.push(AppAction::Take(entry.id, TakeAction::Note(note)));
                }
            }
        });
    });
}

/// Composes as this take was composed.
fn again_ui(ui: &mut Ui, state: &State, entry: &TakeEntry, actions: &mut Actions) {
    let can = match entry.provenance.is_drawn() {
        true => Command::Compose.enabled(state),
        false => Err("A search finds the same notes each time. Choose Sample at How for others"),
    };
    let again = ui.add_enabled(can.is_ok(), Button::new("Again"));
    let again = again.on_hover_text(
        "Compose as this one was composed, whatever the panel says now: same model, beginning and \
         settings, other random numbers",
    );
    let again = match can {
        Ok(()) => again,
        Err(why) => again.on_disabled_hover_text(why),
    };
    if again.clicked() {
        actions.push(AppAction::Take(entry.id, TakeAction::Again));
    }
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;

    use super::*;
    use crate::model::Take;
    use crate::tokens::Playback;
    use crate::ui::state::{Provenance, TakeId};

    #[test]
    fn a_new_name_takes_the_place_of_the_old_one() {
        let take = Take {
            roll: Vec::new(),
            touch: None,
            n_prime_frames: 0,
            seed: 0,
            log_likelihood: 0.0,
            secs: 0.0,
        };
        let (playback, provenance) = (Playback::default(), Provenance::default());
        let entry = TakeEntry::new(TakeId(1), "Take 1".to_owned(), take, playback, provenance);
        let state = (entry.name.clone(), Actions::new());
        let draw = move |ui: &mut Ui, (name, actions): &mut (String, Actions)| {
            if actions.is_empty() {
                rename_ui(ui, &entry, name, actions);
            }
        };
        let mut harness = Harness::new_ui_state(draw, state);
        harness.run_steps(3);
        for text in ["Wal", "tz"] {
            harness.event(egui::Event::Text(text.to_owned()));
            harness.run_steps(2);
        }
        assert_eq!(harness.state().0, "Waltz");
        harness.key_press(egui::Key::Enter);
        harness.run_steps(2);
        let [AppAction::Take(_, TakeAction::Rename(name))] = harness.state().1.as_slice() else {
            panic!("it isn't renamed");
        };
        assert_eq!(name, "Waltz");
    }
}
