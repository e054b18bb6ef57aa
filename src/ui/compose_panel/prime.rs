//! What a composition begins with.

use egui::{TextEdit, Ui};

use super::super::action::{Actions, AppAction};
use super::super::dialogs::Purpose;
use super::super::state::{ComposeForm, LengthUnit, PrimeKind, State};
use super::super::theme::ROW;
use super::super::widgets::{CONTROL_WIDTH, choice, file_name, hint, number, problem, row};
use super::super::words::minutes_seconds;
use crate::music::Pitch;

const SCORE_SO_FAR: &str = "Goes on from the playhead: the last 128 frames before it are read. \
                            What was composed here is read a composed frame (a sixteenth) at a \
                            time, everything else at the model's own frames a second";

pub fn prime_ui(ui: &mut Ui, form: &mut ComposeForm, state: &State, actions: &mut Actions) {
    row(ui, "From", "What it begins with (the prime)", |ui| {
        choice(
            ui,
            "From",
            &mut form.prime,
            &[
                (PrimeKind::Silence, "Silence", "It begins as a piece begins"),
                (PrimeKind::Pitch, "A pitch", "One note"),
                (PrimeKind::Chord, "A chord", "Notes you write"),
                (PrimeKind::Random, "A random chord", "Drawn as often as it occurs"),
                (PrimeKind::File, "A file's opening", "The first seconds of a MIDI file"),
                (PrimeKind::Score, "The score so far", SCORE_SO_FAR),
            ],
        )
    });
    match form.prime {
        PrimeKind::Silence | PrimeKind::Random => {}
        PrimeKind::Pitch => pitch_ui(ui, form),
        PrimeKind::Chord => chord_ui(ui, form),
        PrimeKind::File => file_ui(ui, form, actions),
        PrimeKind::Score => score_ui(ui, form, state),
    }
}

fn pitch_ui(ui: &mut Ui, form: &mut ComposeForm) {
    row(ui, "Pitch", "The note it begins with; C4 is the middle of the keyboard", |ui| {
        let drag = egui::DragValue::new(&mut form.prime_pitch)
            .range(Pitch::PIANO_LOWEST.number()..=Pitch::PIANO_HIGHEST.number())
            .speed(0.1)
            .custom_formatter(|number, _| {
                Pitch::new(number as u8).map(|pitch| pitch.to_string()).unwrap_or_default()
            })
            .custom_parser(|text| {
                let pitch = text.parse::<Pitch>().ok().map(Pitch::number);
                pitch.map(f64::from).or_else(|| text.parse().ok())
            });
        ui.add_sized([CONTROL_WIDTH, ROW], drag)
    });
}

fn chord_ui(ui: &mut Ui, form: &mut ComposeForm) {
    row(ui, "Chord", "Names of notes with octaves: C4, E4, G4, Bb4, F#3", |ui| {
        let field = TextEdit::singleline(&mut form.prime_chord).hint_text("C4, E4, G4");
        ui.add_sized([CONTROL_WIDTH, ROW], field)
    });
    if let Err(error) = form.chord() {
        problem(ui, &error);
    }
}

fn file_ui(ui: &mut Ui, form: &mut ComposeForm, actions: &mut Actions) {
    let name = form.prime_file.as_deref().map_or("Choose…".to_owned(), file_name);
    let file = row(ui, "File", "A MIDI file; its opening is continued", |ui| {
        ui.add_sized([CONTROL_WIDTH, ROW], egui::Button::new(name).truncate())
    });
    if file.clicked() {
        actions.push(AppAction::Ask(Purpose::PrimeFile));
    }
    row(ui, "Seconds of it", "How much of its opening is given, in seconds", |ui| {
        ui.add(number(&mut form.prime_secs, 0.5..=600.0, 0.1))
    });
}

/// Where the score is gone on from.
fn score_ui(ui: &mut Ui, form: &ComposeForm, state: &State) {
    let words = if has_notes_before_playhead(state) {
        let at = minutes_seconds(state.score_playhead_secs());
        let to = match form.unit {
            LengthUnit::Bars => format!(" {}", state.score_place().end_in_words(form.bars)),
            LengthUnit::Seconds => String::new(),
        };
        format!("Goes on from {at}{to}; Use at the playhead puts it there")
    } else {
        "No note stands before the playhead: move it in the ruler to where it shall go on"
            .to_owned()
    };
    hint(ui, words).on_hover_text(SCORE_SO_FAR);
}

fn has_notes_before_playhead(state: &State) -> bool {
    // They are in order of their starts.
    let first = state.document.history.score().notes().first();
    first.is_some_and(|note| note.start < state.score_playhead())
}
