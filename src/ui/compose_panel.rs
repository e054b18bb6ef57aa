//! The form at the right: who composes, how, from what, how long. The one bright button.

use egui::{RichText, ScrollArea, TextEdit, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::dialogs::Purpose;
use super::state::{
    ComposeForm, LengthUnit, ModelChoice, PrimeKind, State, StrategyKind, WaitsFor,
};
use super::take_list;
use super::theme::{ROW, SPACE, Theme};
use super::widgets::{
    CONTROL_WIDTH, accent_button, choice, command_button, counted, file_name, fixed_row, hint,
    number, optional, problem, progress, row, short, title,
};
use crate::model::{ModelCard, WeightFormat};
use crate::music::Pitch;
use crate::tokens::{Articulation, Grid};

pub fn ui(ui: &mut Ui, theme: &Theme, state: &mut State, actions: &mut Actions) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        title(ui, "Compose");
        model_ui(ui, state, actions);
        let mut form = state.preferences.compose.clone();
        let composer = state.composer();
        strategy_ui(ui, &mut form, composer);
        prime_ui(ui, &mut form, state, actions);
        length_ui(ui, &mut form, composer, state.quarters_per_second());
        more_ui(ui, &mut form, composer);
        if state.preferences.compose != form {
            // What was wrong was said of another request.
            state.composing.error = None;
        }
        state.preferences.compose = form;
        ui.add_space(SPACE);
        button_ui(ui, theme, state, actions);
        ui.add_space(SPACE);
        take_list::ui(ui, theme, state, actions);
    });
}

fn model_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let mut chosen = state.preferences.compose.model.clone();
    let in_training =
        if state.training.job.is_some() { "The one in training" } else { "The one trained last" };
    let mut options = vec![
        (ModelChoice::Starter, "Starter".to_owned(), "Comes with Etude".to_owned()),
        (
            ModelChoice::InTraining,
            in_training.to_owned(),
            "The newest weights of the run at the left: hear it while it learns".to_owned(),
        ),
    ];
    for run in &state.runs {
        let best = super::state::best_epoch(&run.metrics).map_or_else(
            || "no epoch is done".to_owned(),
            |best| {
                let epoch = super::state::epoch_name(best.epoch);
                format!("perplexity {} at {epoch}", short(best.valid_perplexity))
            },
        );
        options.push((ModelChoice::Run(run.path.clone()), file_name(&run.path), best));
    }
    let options: Vec<(ModelChoice, &str, &str)> = options
        .iter()
        .map(|(choice, label, tooltip)| (choice.clone(), label.as_str(), tooltip.as_str()))
        .collect();
    let response =
        row(ui, "Model", "Who composes", |ui| choice(ui, "Model", &mut chosen, &options));
    if response.changed() {
        actions.push(AppAction::ChooseModel(chosen));
    }
    let composing = &state.composing;
    if let Some(error) = &composing.model_error {
        problem(ui, error);
    } else if composing.loading.is_some() && state.composer().is_none() {
        hint(ui, "Loading the model…");
    } else if state.preferences.compose.model == ModelChoice::InTraining
        && state.training.newest.is_none()
    {
        hint(ui, "It can compose when its first epoch is done. Press Train at the left");
    }
    let loaded = composing.loaded(&state.preferences.compose.model);
    for note in loaded.into_iter().flat_map(|loaded| &loaded.notes) {
        problem(ui, note);
    }
}

/// `composer` is what is known of the chosen model.
fn strategy_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
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
            row(ui, "Beams", "Phrases that are followed side by side", |ui| {
                ui.add(number(&mut form.beam_width, 1..=64, 0.05))
            });
            row(
                ui,
                "Length penalty",
                "0 favors short, held phrases; 1 weighs all lengths alike",
                |ui| ui.add(number(&mut form.length_penalty, 0.0..=2.0, 0.01)),
            );
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

const SCORE_SO_FAR: &str = "Goes on from the playhead: the last 128 frames before it are read. \
                            What was composed here is read a composed frame (a sixteenth) at a \
                            time, everything else at the model's own frames a second";

fn prime_ui(ui: &mut Ui, form: &mut ComposeForm, state: &State, actions: &mut Actions) {
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
        PrimeKind::Pitch => {
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
        PrimeKind::Chord => {
            row(ui, "Chord", "Names of notes with octaves: C4, E4, G4, Bb4, F#3", |ui| {
                let field = TextEdit::singleline(&mut form.prime_chord).hint_text("C4, E4, G4");
                ui.add_sized([CONTROL_WIDTH, ROW], field)
            });
            if let Err(error) = form.chord() {
                problem(ui, &error);
            }
        }
        PrimeKind::File => {
            let name = form.prime_file.as_deref().map_or("Choose…".to_owned(), file_name);
            let file = row(ui, "File", "A MIDI file; its opening is continued", |ui| {
                ui.add_sized([CONTROL_WIDTH, ROW], egui::Button::new(name).truncate())
            });
            if file.clicked() {
                actions.push(AppAction::Ask(Purpose::PrimeFile));
            }
            prime_secs(ui, form, "How much of its opening is given, in seconds");
        }
        PrimeKind::Score if !has_notes_before_playhead(state) => {
            hint(
                ui,
                "No note stands before the playhead: move it in the ruler to where it shall go on",
            )
            .on_hover_text(SCORE_SO_FAR);
        }
        PrimeKind::Score => {
            let at = super::words::minutes_seconds(state.score_playhead_secs());
            hint(ui, format!("Goes on from {at}; Use at the playhead puts it there"))
                .on_hover_text(SCORE_SO_FAR);
        }
    }
}

fn has_notes_before_playhead(state: &State) -> bool {
    // They are in order of their starts.
    let first = state.document.history.score().notes().first();
    first.is_some_and(|note| note.start < state.score_playhead())
}

fn prime_secs(ui: &mut Ui, form: &mut ComposeForm, tooltip: &str) {
    row(ui, "Seconds of it", tooltip, |ui| ui.add(number(&mut form.prime_secs, 0.5..=600.0, 0.1)));
}

/// `composer` is what is known of the chosen model; the tempo is that of the score at its playhead.
fn length_ui(
    ui: &mut Ui,
    form: &mut ComposeForm,
    composer: Option<&ModelCard>,
    quarters_per_second: f64,
) {
    row(ui, "Length", "How long each take is; a bar has four quarters", |ui| {
        let unit = choice_small(ui, &mut form.unit);
        let value = match form.unit {
            LengthUnit::Bars => length_number(ui, &mut form.bars, 1.0..=2_000.0, 0.1),
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
        let most = match form.strategy {
            StrategyKind::Max => 1,
            StrategyKind::Sample => 64,
            StrategyKind::Beam => form.beam_width,
        };
        form.takes = form.takes.clamp(1, most);
        ui.add_enabled(most > 1, number(&mut form.takes, 1..=most, 0.05))
    });
}

const OUTPUT_RATE: &str = "Output rate";
const WHAT_OUTPUT_RATE_IS: &str = "Frames played in a second. A frame is a sixteenth: 8 is 120 beats a minute. Music learned at 2 \
     and played at 8 moves four times as fast, as the original's did";

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

fn length_number(
    ui: &mut Ui,
    value: &mut f64,
    range: std::ops::RangeInclusive<f64>,
    speed: f64,
) -> egui::Response {
    let drag = egui::DragValue::new(value).range(range).speed(speed).max_decimals(1);
    ui.add_sized([SPACE * 7.0, ROW], drag)
}

fn choice_small(ui: &mut Ui, unit: &mut LengthUnit) -> egui::Response {
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

fn more_ui(ui: &mut Ui, form: &mut ComposeForm, composer: Option<&ModelCard>) {
    let spells = composer.is_some_and(|composer| composer.chords().is_none());
    let why_f32 = spells.then_some("A model that spells key by key is read as it was learned");
    let has_touch = composer.is_some_and(ModelCard::has_touch);
    let why_itself = has_touch.then_some("This model says itself which keys are struck again");
    egui::CollapsingHeader::new("More").id_salt("more of composing").show_unindented(ui, |ui| {
        if form.strategy == StrategyKind::Sample {
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
        row(ui, "Longest hold", "A chord or rest is held no longer than this, in seconds", |ui| {
            optional(ui, &mut form.longest_hold_secs, 4.0, 0.1..=60.0, 0.05, "Longest hold")
        });
        row(ui, "No repeat", "No run of this many different chords comes twice", |ui| {
            optional(ui, &mut form.no_repeat, 8, 2..=64, 0.05, "No repeat")
        });
        fixed_row(
            ui,
            why_itself,
            "Strike",
            "What a note does when the next chord has it too",
            |ui| {
                choice(
                    ui,
                    "Strike",
                    &mut form.articulation,
                    &[
                        (Articulation::Held, "Hold", "It goes on sounding"),
                        (Articulation::Restruck, "Again", "It is struck with every new chord"),
                    ],
                )
            },
        );
        fixed_row(ui, why_f32, "Weights", "How the model is kept while it composes", |ui| {
            choice(
                ui,
                "Weights",
                &mut form.weights,
                &[
                    (WeightFormat::F32, "As learned", "Every number as it was learned (f32)"),
                    (
                        WeightFormat::F16,
                        "Half",
                        "Half the memory: large models compose faster (f16)",
                    ),
                    (
                        WeightFormat::Int8,
                        "Quarter",
                        "A quarter of the memory; other notes may come (int8)",
                    ),
                ],
            )
        });
        row(ui, "Seed", "The same seed and settings give the same notes", |ui| {
            let dice = ui.button("🎲").on_hover_text("Draw another seed");
            dice.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, "Draw another seed")
            });
            if dice.clicked() {
                form.seed = form.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 33;
                form.is_seed_fresh = false;
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
    });
}

fn button_ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    let Some(live) = &state.composing.live else {
        if let Some(waits_for) = &state.composing.waits_for {
            hint(
                ui,
                match waits_for {
                    WaitsFor::Model | WaitsFor::ModelOf(_) => "Waiting for the model…",
                    WaitsFor::Prime(_) => "Reading what it begins with…",
                    WaitsFor::Keeping => "Keeping your unsaved work first…",
                },
            );
        }
        let keys = Command::Compose.shortcut().map(|it| ui.ctx().format_shortcut(&it));
        let tooltip = format!("{}  ({})", Command::Compose.tooltip(), keys.unwrap_or_default());
        if accent_button(ui, theme, "Compose").on_hover_text(tooltip).clicked() {
            actions.push(AppAction::Run(Command::Compose));
        }
        if let Some(error) = &state.composing.error {
            problem(ui, error);
        }
        return;
    };
    progress(ui, theme, live.progress(), "Composing");
    ui.horizontal(|ui| {
        let text = if live.is_stopping { "Stopping…" } else { "Stop composing" };
        if command_button(ui, state, Command::StopComposing, text) {
            actions.push(AppAction::Run(Command::StopComposing));
        }
        let text = format!("{:.0} %", live.progress() * 100.0);
        ui.label(RichText::new(text).small().weak());
    });
    if live.n_searched > 0 {
        hint(ui, "Searching: it is heard as far as the likeliest phrases agree");
    }
}
