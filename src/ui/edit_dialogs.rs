//! The dialogs of the Notes menu: what is to be done to the chosen notes, and how much of it.
//!
//! Enter applies, Escape closes. What was set is remembered for the next time.

use egui::{Context, Key, Response, RichText, Ui};

use super::command::Command;
use super::state::{EditForm, TransposeBy};
use super::theme::SPACE;
use super::widgets::{self, choice, number, row};
use crate::editor::operations::{self, QuantizeEdges};
use crate::editor::{Bars, Change, GridStep, Selection};
use crate::music::{KeyScale, Score, Tick, Velocity};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EditDialog {
    Quantize,
    Transpose,
    SetLength,
    ScaleLength,
    SetVelocity,
    Humanize,
}

/// What became of a dialog in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Open,
    Cancelled,
    Applied,
}

impl EditDialog {
    /// The command that opens it.
    pub fn command(self) -> Command {
        match self {
            Self::Quantize => Command::Quantize,
            Self::Transpose => Command::Transpose,
            Self::SetLength => Command::SetLength,
            Self::ScaleLength => Command::ScaleLength,
            Self::SetVelocity => Command::SetVelocity,
            Self::Humanize => Command::Humanize,
        }
    }

    fn title(self) -> &'static str {
        self.command().label().trim_end_matches('…')
    }

    /// What the form does to the chosen notes; `None` if nothing.
    pub fn change(
        self,
        form: &EditForm,
        score: &Score,
        selection: &Selection,
        scale: KeyScale,
    ) -> Option<Change> {
        let first = selection.notes(score).next()?.start;
        match self {
            Self::Quantize => operations::quantize(score, selection, &form.quantize()),
            Self::Transpose => match form.transpose_by {
                TransposeBy::Semitones => operations::transpose(score, selection, form.transpose),
                TransposeBy::Degrees => {
                    operations::transpose_in_scale(score, selection, scale, form.transpose)
                }
            },
            Self::SetLength => {
                let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
                let bar = Bars::new(score).at(first);
                let length = Tick(form.length.ticks(ticks_per_quarter, bar));
                operations::set_length(score, selection, length)
            }
            Self::ScaleLength => {
                operations::scale_length(score, selection, form.length_percent / 100.0)
            }
            Self::SetVelocity => {
                let velocity = Velocity::saturating(i32::from(form.velocity));
                operations::set_velocity(score, selection, velocity)
            }
            Self::Humanize => operations::humanize(score, selection, &form.humanize(score, first)),
        }
    }

    /// Its fields; the first is where the keyboard is when it opens.
    fn fields(self, ui: &mut Ui, form: &mut EditForm, scale: KeyScale) -> Vec<Response> {
        match self {
            Self::Quantize => quantize_fields(ui, form),
            Self::Transpose => transpose_fields(ui, form, scale),
            Self::SetLength => vec![row(ui, "Length", "How long each note becomes", |ui| {
                step_choice(ui, "Length", &mut form.length)
            })],
            Self::ScaleLength => {
                let tooltip = "200 makes notes twice as long, 50 half as long";
                let percent = number(&mut form.length_percent, 1.0..=10_000.0, 1.0);
                vec![row(ui, "Length in percent", tooltip, |ui| ui.add(percent))]
            }
            Self::SetVelocity => {
                let tooltip = "How hard the notes are struck, 1 to 127";
                let velocity = number(&mut form.velocity, 1..=127, 0.5);
                vec![row(ui, "Velocity", tooltip, |ui| ui.add(velocity))]
            }
            Self::Humanize => humanize_fields(ui, form),
        }
    }
}

/// Shows a dialog.
pub fn ui(ctx: &Context, dialog: EditDialog, form: &mut EditForm, scale: KeyScale) -> Answer {
    let response = widgets::modal(ctx, dialog.title()).show(ctx, |ui| {
        ui.set_width(SPACE * 40.0);
        ui.label(RichText::new(dialog.title()).strong());
        ui.add_space(SPACE);
        let before = ui.memory(|memory| memory.focused());
        let fields = dialog.fields(ui, form, scale);
        ui.add_space(SPACE);
        let (apply, cancel) = ui.horizontal(|ui| (ui.button("Apply"), ui.button("Cancel"))).inner;
        // The keyboard begins at the first number; where there is only a list, Enter applies.
        let first = match dialog {
            EditDialog::SetLength => &apply,
            _ => fields.first().unwrap_or(&apply),
        };
        let ids: Vec<_> = fields.iter().chain([&apply, &cancel]).map(|it| it.id).collect();
        let is_elsewhere = before.is_none_or(|id| !ids.contains(&id));
        let has_left_number = fields.iter().any(Response::lost_focus);
        if is_elsewhere && !has_left_number && !egui::Popup::is_any_open(ui.ctx()) {
            first.request_focus();
        }
        // Enter in a number ends writing it and applies; on Cancel it cancels.
        let is_entered = ui.input(|input| input.key_pressed(Key::Enter))
            && !cancel.has_focus()
            && !egui::Popup::is_any_open(ui.ctx());
        (apply.clicked() || is_entered, cancel.clicked())
    });
    match response.inner {
        (_, true) => Answer::Cancelled,
        (true, false) => Answer::Applied,
        (false, false) if response.should_close() => Answer::Cancelled,
        (false, false) => Answer::Open,
    }
}

fn quantize_fields(ui: &mut Ui, form: &mut EditForm) -> Vec<Response> {
    let strength = number(&mut form.strength_percent, 0.0..=100.0, 1.0);
    let tooltip = "How much of the way to the grid notes go: 100 is all of it";
    let strength = row(ui, "Strength in percent", tooltip, |ui| ui.add(strength));
    let swing = number(&mut form.swing_percent, 0.0..=100.0, 1.0);
    let tooltip = "How late every second line is: 0 is straight, 100 the swing of triplets";
    let swing = row(ui, "Swing in percent", tooltip, |ui| ui.add(swing));
    let step = row(ui, "Grid", "How far apart the lines are", |ui| {
        step_choice(ui, "Grid", &mut form.quantize_step)
    });
    let edges = row(ui, "What", "What is brought to the grid", |ui| {
        choice(
            ui,
            "What",
            &mut form.quantize_edges,
            &[
                (QuantizeEdges::Starts, "Starts", "Lengths stay as they are"),
                (QuantizeEdges::Ends, "Ends", "Starts stay where they are"),
                (QuantizeEdges::Both, "Starts and ends", "Both are brought to the grid"),
            ],
        )
    });
    vec![strength, swing, step, edges]
}

fn transpose_fields(ui: &mut Ui, form: &mut EditForm, scale: KeyScale) -> Vec<Response> {
    let amount = number(&mut form.transpose, -127..=127, 0.1);
    let amount = row(ui, "Up by", "Negative numbers go down", |ui| ui.add(amount));
    let degrees = format!("Degrees of {scale}");
    let n_degrees = scale.scale().degrees().len();
    let octave = format!("Notes stay in the scale; {n_degrees} are an octave");
    let by = row(ui, "Counted in", "What the number counts", |ui| {
        choice(
            ui,
            "Counted in",
            &mut form.transpose_by,
            &[
                (TransposeBy::Semitones, "Semitones", "12 are an octave"),
                (TransposeBy::Degrees, &degrees, &octave),
            ],
        )
    });
    vec![amount, by]
}

fn humanize_fields(ui: &mut Ui, form: &mut EditForm) -> Vec<Response> {
    let millis = number(&mut form.humanize_millis, 0.0..=500.0, 0.5);
    let tooltip = "How early or late a note comes at most, in milliseconds";
    let millis = row(ui, "Time, ± milliseconds", tooltip, |ui| ui.add(millis));
    let velocity = number(&mut form.humanize_velocity, 0..=127, 0.5);
    let tooltip = "By how much a velocity changes at most";
    let velocity = row(ui, "Velocity, ±", tooltip, |ui| ui.add(velocity));
    let seed = number(&mut form.humanize_seed, 0..=u32::MAX, 0.1);
    let tooltip = "The same seed gives the same irregularities; another gives others";
    let seed = row(ui, "Seed", tooltip, |ui| ui.add(seed));
    vec![millis, velocity, seed]
}

/// One of all steps of the grid.
fn step_choice(ui: &mut Ui, name: &str, step: &mut GridStep) -> Response {
    let steps: Vec<(GridStep, String)> = GridStep::all().map(|it| (it, it.label())).collect();
    let options: Vec<(GridStep, &str, &str)> =
        steps.iter().map(|(step, label)| (*step, label.as_str(), "")).collect();
    choice(ui, name, step, &options)
}
