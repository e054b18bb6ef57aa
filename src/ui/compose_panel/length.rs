//! How long the takes are, how fast they are played, and how many there are.

use egui::Ui;

use super::super::state::{ComposeForm, LengthUnit, PrimeKind};
use super::super::theme::{ROW, SPACE};
use super::super::widgets::{CONTROL_WIDTH, counted, fixed_row, hint, number, row};
use crate::model::ModelCard;
use crate::tokens::Grid;

const OUTPUT_RATE: &str = "Output rate";
const WHAT_OUTPUT_RATE_IS: &str = "Frames played in a second. A frame is a sixteenth: 8 is 120 beats a minute. Music learned at 2 \
     and played at 8 moves four times as fast, as the original's did";

/// `composer` is what is known of the chosen model; the tempo is that of the score at its playhead.
pub fn length_ui(
    ui: &mut Ui,
    form: &mut ComposeForm,
    composer: Option<&ModelCard>,
    quarters_per_second: f64,
) {
    let what_length_is = match form.prime {
        PrimeKind::Score => {
            "How long each take is; bars are those of the score from its playhead on"
        }
        _ => "How long each take is; a bar has four quarters",
    };
    row(ui, "Length", what_length_is, |ui| {
        let unit = unit_ui(ui, &mut form.unit);
        let value = match form.unit {
            LengthUnit::Bars => length_number(ui, &mut form.bars, 1.0..=ComposeForm::MAX_BARS, 0.1),
            LengthUnit::Seconds => length_number(ui, &mut form.secs, 1.0..=3_600.0, 0.5),
        };
        value | unit
    });
    // Only a model that composes strikes has a time of its own.
    match composer.filter(|composer| composer.has_touch()) {
        Some(composer) => {
            row(
                ui,
                "Own time",
                "Play as fast as the music that the model learned from, or in the tempo of the \
                 score or of the file that it goes on from. Off: at the output rate",
                |ui| ui.checkbox(&mut form.is_own_time, ""),
            );
            match form.is_own_time {
                true => own_rate_ui(ui, form.prime, composer, quarters_per_second),
                false => rate_ui(ui, &mut form.rate),
            }
        }
        None => rate_ui(ui, &mut form.rate),
    }
    row(ui, "Takes", "How many answers are composed", |ui| {
        let most = form.most_takes();
        form.takes = form.takes.clamp(1, most);
        ui.add_enabled(most > 1, number(&mut form.takes, 1..=most, 0.05))
    });
}

fn length_number(
    ui: &mut Ui,
    value: &mut f64,
    range: std::ops::RangeInclusive<f64>,
    speed: f64,
) -> egui::Response {
    let drag = egui::DragValue::new(value).range(range).speed(speed).max_decimals(1);
    ui.add_sized([SPACE * 7.0, ROW], drag)
}

fn unit_ui(ui: &mut Ui, unit: &mut LengthUnit) -> egui::Response {
    let text = match unit {
        LengthUnit::Bars => "bars",
        LengthUnit::Seconds => "seconds",
    };
    let size = [CONTROL_WIDTH - SPACE * 8.0, ROW];
    let mut response = ui.add_sized(size, egui::Button::new(text));
    if response.clicked() {
        *unit = match unit {
            LengthUnit::Bars => LengthUnit::Seconds,
            LengthUnit::Seconds => LengthUnit::Bars,
        };
        response.mark_changed();
    }
    response.on_hover_text("Bars or seconds: press to change")
}

fn rate_ui(ui: &mut Ui, rate: &mut f64) {
    row(ui, OUTPUT_RATE, WHAT_OUTPUT_RATE_IS, |ui| ui.add(number(rate, 0.5..=32.0, 0.05)));
}

/// The rate of a model that plays in its own time, and why it is that. The tempo of a file is known
/// only once it is read, which it is to compose.
fn own_rate_ui(ui: &mut Ui, prime: PrimeKind, composer: &ModelCard, quarters_per_second: f64) {
    let (tempo, what) = match composer.plan.grid {
        Grid::Seconds => {
            (Some(quarters_per_second), "As many frames a second as it learned".to_owned())
        }
        Grid::Beats(steps) => {
            let (tempo, whose) = match prime {
                PrimeKind::File => (None, "file"),
                _ => (Some(quarters_per_second), "score"),
            };
            let frames = counted(steps.get().into(), "frame", "frames");
            (tempo, format!("In the tempo of the {whose}, {frames} a quarter"))
        }
    };
    let why = format!("{what}. Switch Own time off to choose another");
    fixed_row(ui, Some(&why), OUTPUT_RATE, WHAT_OUTPUT_RATE_IS, |ui| match tempo {
        Some(tempo) => {
            let mut rate = composer.playing(None, tempo).0.per_second();
            ui.add(number(&mut rate, 0.5..=32.0, 0.05))
        }
        None => ui.add_sized([CONTROL_WIDTH, ROW], egui::Button::new("the file's")),
    });
    hint(ui, why);
}
