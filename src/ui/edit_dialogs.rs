//! The dialogs of the Notes menu: what is to be done to the chosen notes, and how much of it.
//!
//! Enter applies, Escape closes. Meanwhile the roll shows what would come of it. What was set is
//! remembered for the next time.

use std::ops::RangeInclusive;

use egui::emath::Numeric;
use egui::{Align2, Color32, Context, Id, Key, Modal, Modifiers, Response, RichText, Ui, Vec2};

use super::command::Command;
use super::number_field::number_field;
use super::state::{EditForm, TransposeBy};
use super::theme::SPACE;
use super::widgets::{self, choice, row};
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

    /// Whether what it does can be told by ear from the first chord.
    pub fn is_heard(self) -> bool {
        matches!(self, Self::Transpose | Self::SetVelocity)
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
    fn fields(self, fields: &mut Fields<'_>, form: &mut EditForm, scale: KeyScale) {
        match self {
            Self::Quantize => quantize_fields(fields, form),
            Self::Transpose => transpose_fields(fields, form, scale),
            Self::SetLength => fields.add("Length", "How long each note becomes", |ui| {
                step_choice(ui, "Length", &mut form.length)
            }),
            Self::ScaleLength => {
                let tooltip = "200 makes notes twice as long, 50 half as long";
                fields.number("Length in percent", tooltip, &mut form.length_percent, 1.0..=1e4);
            }
            Self::SetVelocity => {
                let tooltip = "How hard the notes are struck, 1 to 127";
                fields.number("Velocity", tooltip, &mut form.velocity, 1..=127);
            }
            Self::Humanize => humanize_fields(fields, form),
        }
    }
}

/// The fields of a dialog, one under the other.
struct Fields<'a> {
    ui: &'a mut Ui,
    responses: Vec<Response>,
    /// The field whose number can't be taken.
    refused: Option<Response>,
}

impl Fields<'_> {
    fn add(&mut self, name: &str, tooltip: &str, control: impl FnOnce(&mut Ui) -> Response) {
        self.responses.push(row(self.ui, name, tooltip, control));
    }

    /// A number that is written; what can't be taken is said under it.
    fn number<N: Numeric>(
        &mut self,
        name: &str,
        tooltip: &str,
        value: &mut N,
        range: RangeInclusive<N>,
    ) {
        let begins = self.responses.is_empty();
        let mut problem = None;
        self.add(name, tooltip, |ui| {
            let width = widgets::CONTROL_WIDTH;
            number_field(ui, value, range, width, begins, &mut problem)
        });
        if let Some(words) = problem {
            widgets::problem(self.ui, &words);
            self.refused = self.refused.take().or(self.responses.last().cloned());
        }
    }
}

/// Shows a dialog.
pub fn ui(ctx: &Context, dialog: EditDialog, form: &mut EditForm, scale: KeyScale) -> Answer {
    // At the side and with nothing dimmed: the notes show what it would do.
    let title = dialog.title();
    let area = Modal::default_area(Id::unique(title))
        .anchor(Align2::RIGHT_CENTER, Vec2::new(-SPACE * 2.0, 0.0));
    let modal = widgets::modal(ctx, title).area(area).backdrop_color(Color32::TRANSPARENT);
    let response = modal.show(ctx, |ui| {
        ui.set_width(SPACE * 40.0);
        ui.label(RichText::new(dialog.title()).strong());
        ui.add_space(SPACE);
        // Enter applies wherever the keyboard is, except in a list that is open and on Cancel; so
        // it is taken before a list could open by it or a number end being written.
        let before = ui.memory(|memory| memory.focused());
        let is_free = !egui::Popup::is_any_open(ui.ctx());
        let is_entered =
            is_free && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter));
        let mut fields = Fields { ui, responses: Vec::new(), refused: None };
        dialog.fields(&mut fields, form, scale);
        let Fields { responses, refused, .. } = fields;
        ui.add_space(SPACE);
        let (apply, cancel) = ui.horizontal(|ui| (ui.button("Apply"), ui.button("Cancel"))).inner;
        let first = match dialog {
            EditDialog::SetLength => &apply,
            _ => responses.first().unwrap_or(&apply),
        };
        let mut ids = responses.iter().chain([&apply, &cancel]).map(|it| it.id);
        let is_elsewhere = before.is_none_or(|before| !ids.any(|id| id == before));
        if is_elsewhere && is_free && !first.has_focus() {
            first.request_focus();
        }
        let is_cancelled = cancel.clicked() || is_entered && before == Some(cancel.id);
        let is_applied = (apply.clicked() || is_entered) && !is_cancelled;
        match refused {
            // The number that is to be written anew.
            Some(refused) if is_applied => {
                refused.request_focus();
                (false, false)
            }
            _ => (is_applied, is_cancelled),
        }
    });
    match response.inner {
        (_, true) => Answer::Cancelled,
        (true, false) => Answer::Applied,
        (false, false) if response.should_close() => Answer::Cancelled,
        (false, false) => Answer::Open,
    }
}

fn quantize_fields(fields: &mut Fields<'_>, form: &mut EditForm) {
    let tooltip = "How much of the way to the grid notes go: 100 is all of it";
    fields.number("Strength in percent", tooltip, &mut form.strength_percent, 0.0..=100.0);
    let tooltip = "How late every second line is: 0 is straight, 100 the swing of triplets";
    fields.number("Swing in percent", tooltip, &mut form.swing_percent, 0.0..=100.0);
    fields.add("Grid", "How far apart the lines are", |ui| {
        step_choice(ui, "Grid", &mut form.quantize_step)
    });
    fields.add("What", "What is brought to the grid", |ui| {
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
}

fn transpose_fields(fields: &mut Fields<'_>, form: &mut EditForm, scale: KeyScale) {
    fields.number("Up by", "Negative numbers go down", &mut form.transpose, -127..=127);
    let degrees = format!("Degrees of {scale}");
    let n_degrees = scale.scale().degrees().len();
    let octave = format!("Notes stay in the scale; {n_degrees} are an octave");
    fields.add("Counted in", "What the number counts", |ui| {
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
}

fn humanize_fields(fields: &mut Fields<'_>, form: &mut EditForm) {
    let tooltip = "How early or late a note comes at most, in milliseconds";
    fields.number("Time, ± milliseconds", tooltip, &mut form.humanize_millis, 0.0..=500.0);
    let tooltip = "By how much a velocity changes at most";
    fields.number("Velocity, ±", tooltip, &mut form.humanize_velocity, 0..=127);
    let tooltip = "The same seed gives the same irregularities; another gives others";
    fields.number("Seed", tooltip, &mut form.humanize_seed, 0..=u32::MAX);
}

/// One of all steps of the grid.
fn step_choice(ui: &mut Ui, name: &str, step: &mut GridStep) -> Response {
    let steps: Vec<(GridStep, String)> = GridStep::all().map(|it| (it, it.label())).collect();
    let options: Vec<(GridStep, &str, &str)> =
        steps.iter().map(|(step, label)| (*step, label.as_str(), "")).collect();
    choice(ui, name, step, &options)
}
