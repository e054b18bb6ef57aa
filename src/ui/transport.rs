//! Play, where it is, how fast, how loud.

use egui::{Align, Button, DragValue, Label, Layout, RichText, Slider, Ui, Vec2};

use super::action::{Actions, AppAction, SoundAction};
use super::command::Command;
use super::roll_view;
use super::state::State;
use super::theme::{ROW, SPACE, Theme};
use super::widgets::{command_toggle, command_widget};
use super::words::minutes_seconds;

/// So much room the volume and its name need, in points; why there is no sound needs more, and is
/// cut off where there is less.
const VOLUME_WIDTH: f32 = SPACE * 22.0;

pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    // In a narrow window the volume has a line of its own.
    ui.horizontal_wrapped(|ui| {
        buttons(ui, theme, state, actions);
        toggles(ui, state, actions);
        ui.add_space(SPACE);
        position(ui, state);
        ui.add_space(SPACE);
        tempo_and_speed(ui, state, actions);
        roll_view::menu_button(ui, state, actions);
        if ui.available_size_before_wrap().x < VOLUME_WIDTH {
            ui.end_row();
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            volume(ui, state, actions);
            volume_label(ui, state);
        });
    });
}

fn buttons(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    let is_playing = state.sound.is_playing;
    let play = if is_playing { ("⏸", "Pause") } else { ("▶", "Play") };
    let repeat = if state.preferences.repeats {
        RichText::new("⟲").color(theme.accent)
    } else {
        RichText::new("⟲")
    };
    for (icon, name, command) in [
        (RichText::new("⏮"), "To the start", Command::Stop),
        (RichText::new(play.0), play.1, Command::PlayPause),
        (repeat, "Repeat", Command::Repeat),
    ] {
        let button = Button::new(icon).min_size(Vec2::new(SPACE * 4.0, ROW));
        let response = command_widget(ui, state, command, button);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name));
        if response.clicked() {
            actions.push(AppAction::Run(command));
        }
    }
}

/// What is on or off while it plays.
fn toggles(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let counting = state.sound.count_in_beats.map(|beats| format!("Count-in {beats}"));
    let count_in = counting.unwrap_or_else(|| "Count-in".to_owned());
    let is_looping = state.sound.is_looping && state.document.loop_range.is_some();
    for (words, is_on, command) in [
        ("Loop".to_owned(), is_looping, Command::Loop),
        ("Click".to_owned(), state.preferences.metronome, Command::Metronome),
        (count_in, state.preferences.count_in, Command::CountIn),
    ] {
        if command_toggle(ui, state, command, &words, is_on, 0.0) {
            actions.push(AppAction::Run(command));
        }
    }
}

/// Bar, beat and tick, then minutes and seconds. Fixed widths, so that nothing trembles.
fn position(ui: &mut Ui, state: &State) {
    let score = state.shown_score();
    let secs = state.sound.playhead_secs;
    let bar_beat = score.bar_beat_from_tick(score.tempo_map.tick_from_secs(secs));
    let bar_beat = ui.add_sized(
        [SPACE * 11.0, ROW],
        egui::Label::new(RichText::new(bar_beat.to_string()).monospace().strong()),
    );
    bar_beat.on_hover_text("Where the playhead is: bar, beat, ticks into the beat");
    let time = format!("{} / {}", minutes_seconds(secs), minutes_seconds(score.duration_secs()));
    let time =
        ui.add_sized([SPACE * 14.0, ROW], egui::Label::new(RichText::new(time).monospace().weak()));
    time.on_hover_text("Minutes and seconds at normal speed: now, and in all");
}

fn tempo_and_speed(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let score = state.shown_score();
    let tick = score.tempo_map.tick_from_secs(state.sound.playhead_secs);
    let tempo = score.tempo_map.tempo_at(tick).quarters_per_minute();
    ui.label(RichText::new(format!("{tempo:.0} bpm")).weak())
        .on_hover_text("Tempo here: quarter notes a minute");
    roll_view::key_button(ui, state, actions);
    let mut percent = state.sound.speed * 100.0;
    let speed = DragValue::new(&mut percent).range(25.0..=200.0).speed(1.0).suffix(" %");
    let response = ui
        .add(speed.max_decimals(0))
        .on_hover_text("Speed of playing; the pitch stays. Double-click to write a number");
    response.widget_info(|| egui::WidgetInfo::slider(true, percent, "Speed"));
    if response.changed() {
        actions.push(AppAction::Sound(SoundAction::Speed(percent / 100.0)));
    }
}

fn volume(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let mut volume = state.preferences.volume;
    ui.spacing_mut().slider_width = SPACE * 12.0;
    let slider = ui
        .add(Slider::new(&mut volume, 0.0..=1.0).show_value(false))
        .on_hover_text(format!("Volume: {:.0} %", volume * 100.0));
    slider.widget_info(|| egui::WidgetInfo::slider(true, f64::from(volume), "Volume"));
    if slider.changed() {
        actions.push(AppAction::Sound(SoundAction::Volume(volume)));
    }
}

/// The name of the slider, or that it changes nothing.
fn volume_label(ui: &mut Ui, state: &State) {
    match state.sound.output.why_silent() {
        // For as long as it is so: the keys light up and the playhead runs all the same.
        Some(why) => {
            ui.add(Label::new(RichText::new(format!("🔇 {why}")).small()).truncate())
                .on_hover_text(format!(
                    "{why}. Everything else goes on as if it were heard, and a device is looked \
                         for now and then"
                ));
        }
        None => {
            ui.label(RichText::new("Volume").weak()).on_hover_text(state.sound.output.words());
        }
    }
}
