//! The settings of a training: the few that matter in sight, the others folded away. Every number
//! is kept inside limits that make sense.

use egui::{CollapsingHeader, Ui};

use super::state::Preferences;
use super::widgets::{choice, counted, fixed_row, hint, number, optional, row};
use super::words::uncapitalized;
use crate::model::{
    Alphabet, DeviceChoice, ModelKind, Optimizer, Preset, Schedule, Softmax, TrainingSettings,
};
use crate::tokens::{FrameRate, Framing, Grid, Pedalling, SplitKind, StepsPerQuarter};

/// What a run is shaped by, in one line: `Keys 128 with touch and pedal, 16 frames a second, 50 epochs`.
pub fn in_one_line(settings: &TrainingSettings) -> String {
    let network = match settings.layers {
        1 => format!("{} {}", settings.model.label(), settings.hidden),
        layers => format!("{} {layers}×{}", settings.model.label(), settings.hidden),
    };
    let touch = if settings.has_touch() { " with touch and pedal" } else { "" };
    let frames = match settings.grid {
        Grid::Seconds => format!("{} frames a second", settings.fps.per_second()),
        Grid::Beats(steps) => BEATS
            .iter()
            .find(|(known, ..)| *known == steps.get())
            .map_or_else(|| settings.grid.to_string(), |(_, name, _)| uncapitalized(name)),
    };
    let epochs = counted(settings.epochs, "epoch", "epochs");
    format!("{network}{touch}, {frames}, {epochs}")
}

/// The settings a first run is shaped by. What a checkpoint decides can't be changed while there is a
/// reason why.
pub fn essential_ui(ui: &mut Ui, preferences: &mut Preferences, fixed: Option<&str>) {
    let gave_up_touch = preferences.gave_up_touch;
    let settings = &mut preferences.training;
    let mut model = settings.model;
    let chosen = fixed_row(
        ui,
        fixed,
        "Network",
        "The kind of network. LSTM remembers longer, GRU is a little quicker; both know the chords \
         of a vocabulary. Keys spells every chord key by key, and no chord is unknown to it",
        |ui| {
            choice(
                ui,
                "Network",
                &mut model,
                &[
                    (ModelKind::Lstm, "LSTM", "Long short-term memory: the original's choice"),
                    (ModelKind::Gru, "GRU", "Gated recurrent unit: fewer numbers to learn"),
                    (ModelKind::Keys, "Keys", "Chords spelled key by key, without a vocabulary"),
                ],
            )
        },
    );
    if chosen.changed() {
        *settings = settings.with_model(model);
        if model.has_vocabulary() {
            // Its row is for the other family.
            settings.grid = Grid::Seconds;
        }
    }
    if !settings.model.has_vocabulary() {
        alphabet(ui, settings, fixed);
        if gave_up_touch && fixed.is_none() {
            hint(ui, "A set says only which keys sound, so this is what is learned of it");
        }
    }
    fixed_row(
        ui,
        fixed,
        "Size",
        "Units in each layer: a larger network learns more, needs more time and more music",
        |ui| ui.add(number(&mut settings.hidden, 1..=4_096, 4.0)),
    );
    row(ui, "Epochs", "How many times all the pieces are read", |ui| {
        ui.add(number(&mut settings.epochs, 1..=10_000, 0.2))
    });
    frames(ui, settings, fixed);
    row(ui, "Compute on", "Automatic means the fastest that works", |ui| {
        choice(
            ui,
            "Compute on",
            &mut preferences.device,
            &[
                (DeviceChoice::Auto, "Automatic", "The fastest that works"),
                (DeviceChoice::Cpu, "CPU", "Always works"),
                (DeviceChoice::Cuda(0), "NVIDIA card", "Needs a driver and its run-time compiler"),
            ],
        )
    });
}

fn alphabet(ui: &mut Ui, settings: &mut TrainingSettings, fixed: Option<&str>) {
    let mut alphabet = settings.alphabet;
    let chosen = fixed_row(
        ui,
        fixed,
        "Learns",
        "What it learns of the playing: which keys sound, or also how they are struck and the pedal",
        |ui| {
            choice(
                ui,
                "Learns",
                &mut alphabet,
                &[
                    (Alphabet::OffOn, "Which keys sound", "What can be compared with LSTM and GRU"),
                    (
                        Alphabet::Full,
                        "Touch and pedal too",
                        "Also which keys are struck, how hard, and the pedal: it plays like a pianist",
                    ),
                ],
            )
        },
    );
    if chosen.changed() {
        *settings = settings.clone().with_alphabet(alphabet);
    }
    let is_coarse = settings.grid == Grid::Seconds && settings.fps.per_second() < FINE_FOR_TOUCH;
    if settings.has_touch() && is_coarse && fixed.is_none() {
        hint(ui, "Touch asks for finer frames: 16 a second, or sixteenths");
    }
}

/// Frames a second from which on notes that follow each other are told apart.
const FINE_FOR_TOUCH: f64 = 8.0;

/// How the music is cut: in seconds at a rate, or in notes of the bar.
fn frames(ui: &mut Ui, settings: &mut TrainingSettings, fixed: Option<&str>) {
    if !settings.model.has_vocabulary() || settings.grid != Grid::Seconds {
        let beats = |(steps, label, tooltip)| {
            StepsPerQuarter::new(steps).map(|steps| (Grid::Beats(steps), label, tooltip))
        };
        let seconds = (Grid::Seconds, "Seconds", "Real time, whatever the tempo");
        let grids: Vec<_> =
            std::iter::once(seconds).chain(BEATS.into_iter().filter_map(beats)).collect();
        fixed_row(
            ui,
            fixed,
            "Frames",
            "What a frame is: a part of a second, or a note. Notes are for music whose tempo can be \
             trusted, as scores have it and most recordings don't; then it knows its place in the bar",
            |ui| choice(ui, "Frames", &mut settings.grid, &grids),
        );
    }
    if settings.grid != Grid::Seconds {
        return;
    }
    let mut fps = settings.fps.per_second();
    let rate = fixed_row(
        ui,
        fixed,
        "Frames a second",
        "How finely the music is cut when it is learned. 2 keeps the harmony, 8 the rhythm too, \
         and makes for many repeated chords",
        |ui| ui.add(number(&mut fps, 0.5..=32.0, 0.05)),
    );
    if rate.changed()
        && let Ok(rate) = FrameRate::new(fps)
    {
        settings.fps = rate;
    }
}

/// Notes that a frame may be, by how many of them make a quarter.
const BEATS: [(u8, &str, &str); 9] = [
    (1, "Quarters", "One frame to a quarter"),
    (2, "Eighths", "Two frames to a quarter"),
    (3, "Eighth triplets", "Three frames to a quarter"),
    (4, "Sixteenths", "Four frames to a quarter"),
    (6, "Sixteenth triplets", "Six frames to a quarter"),
    (8, "Thirty-seconds", "Eight frames to a quarter"),
    (12, "Twelfths", "Twelve frames to a quarter: sixteenths and their triplets"),
    (16, "Sixty-fourths", "Sixteen frames to a quarter"),
    (24, "Twenty-fourths", "Twenty-four frames to a quarter: thirty-seconds and their triplets"),
];

/// All the others. `usual` are the defaults of a run that goes on from a checkpoint.
pub fn all_ui(
    ui: &mut Ui,
    preferences: &mut Preferences,
    fixed: Option<&str>,
    usual: Option<TrainingSettings>,
) {
    CollapsingHeader::new("All settings").id_salt("all settings").show_unindented(ui, |ui| {
        let settings = &mut preferences.training;
        ui.horizontal(|ui| {
            if ui
                .button("Set to the defaults")
                .on_hover_text("Settings that learn well from little music")
                .clicked()
            {
                let fresh = || TrainingSettings::for_model(settings.model, Preset::Default);
                *settings = usual.unwrap_or_else(fresh);
            }
            if ui
                .add_enabled(fixed.is_none(), egui::Button::new("As the original"))
                .on_hover_text("Every setting as in the experiment this program grew from")
                .on_disabled_hover_text("The original taught a fresh network. Go on from nothing")
                .clicked()
            {
                *settings = TrainingSettings::for_model(settings.model, Preset::Original);
            }
        });
        network(ui, settings, fixed);
        learning(ui, settings);
        music(ui, settings, fixed);
    });
}

fn network(ui: &mut Ui, settings: &mut TrainingSettings, fixed: Option<&str>) {
    fixed_row(ui, fixed, "Layers", "Networks stacked on each other. Two are usual", |ui| {
        ui.add(number(&mut settings.layers, 1..=8, 0.02))
    });
    row(
        ui,
        "Dropout",
        "The share of signals that is silenced at random while learning, so that it can't learn \
         by heart",
        |ui| ui.add(number(&mut settings.dropout, 0.0..=0.95, 0.005)),
    );
    if !settings.model.has_vocabulary() {
        fixed_row(
            ui,
            fixed,
            "Size by key",
            "Units that listen over each key, besides those over each of the twelve tones; 0 for none",
            |ui| ui.add(number(&mut settings.key_hidden, 0..=1_024, 1.0)),
        );
        return;
    }
    fixed_row(ui, fixed, "Softmax", "How one chord is chosen among all that it knows", |ui| {
        choice(
            ui,
            "Softmax",
            &mut settings.softmax,
            &[
                (Softmax::Full, "Full", "Among all at once"),
                (
                    Softmax::Adaptive,
                    "Adaptive",
                    "In two steps: twice as quick with 16,000 chords, four times with 40,000",
                ),
            ],
        )
    });
}

fn learning(ui: &mut Ui, settings: &mut TrainingSettings) {
    row(
        ui,
        "Batch",
        "Sequences read in one step. Shrinks by itself when there is little music",
        |ui| ui.add(number(&mut settings.batch, 1..=4_096, 1.0)),
    );
    row(ui, "Sequence", "Frames of one sequence: how far back it can learn to look", |ui| {
        ui.add(number(&mut settings.sequence, 2..=2_048, 1.0))
    });
    row(ui, "Learning rate", "How large a step is. Too large and it never settles", |ui| {
        ui.add(number(&mut settings.learning_rate, 0.000_001..=1.0, 0.000_05))
    });
    row(ui, "Schedule", "How the learning rate moves over the run", |ui| {
        choice(
            ui,
            "Schedule",
            &mut settings.schedule,
            &[
                (Schedule::Constant, "Constant", "The same throughout"),
                (Schedule::Cosine, "Cosine", "Falls smoothly to a hundredth"),
                (Schedule::Plateau, "Plateau", "Halved when nothing is gained for three epochs"),
            ],
        )
    });
    row(ui, "Warm-up", "Steps over which the learning rate rises from nothing", |ui| {
        ui.add(number(&mut settings.warm_up, 0..=100_000, 1.0))
    });
    row(ui, "Optimizer", "How the weight decay acts", |ui| {
        choice(
            ui,
            "Optimizer",
            &mut settings.optimizer,
            &[
                (Optimizer::Adam, "Adam", "As a part of the gradient"),
                (Optimizer::AdamW, "AdamW", "On every weight alike: give some twenty times more"),
            ],
        )
    });
    row(
        ui,
        "Weight decay",
        "Pulls every number towards zero: another guard against learning by heart",
        |ui| ui.add(number(&mut settings.weight_decay, 0.0..=1.0, 0.000_05)),
    );
    row(ui, "Clip", "Limits how far one step can throw the network", |ui| {
        optional(ui, &mut settings.clip, 1.0, 0.001..=1_000.0, 0.01, "Clip")
    });
    row(
        ui,
        "Averaging",
        "What is measured and composes is a running mean of the weights: this share of the mean \
         stays at each step. 0 takes the weights as they are. It calms a curve that jumps",
        |ui| ui.add(number(&mut settings.averaging, 0.0..=0.9999, 0.001)),
    );
    row(ui, "Stop early", "Epochs without gain before it stops by itself", |ui| {
        optional(ui, &mut settings.early_stop, 8, 1..=1_000, 0.1, "Stop early")
    });
    row(ui, "Shuffle", "Sequences come in a new order each epoch", |ui| {
        ui.checkbox(&mut settings.shuffle, "")
    });
    row(ui, "Carry state", "It remembers from one sequence of a piece to the next", |ui| {
        ui.checkbox(&mut settings.carry_state, "")
    });
    row(ui, "Seed", "The same seed, data and settings give the same curve", |ui| {
        ui.add(number(&mut settings.seed, 0..=u64::from(u32::MAX), 1.0))
    });
    row(
        ui,
        "Keep every",
        "Epochs between checkpoints that are kept besides the best; 0 keeps none",
        |ui| ui.add(number(&mut settings.save_every, 0..=10_000, 0.1)),
    );
}

fn vocabulary(ui: &mut Ui, settings: &mut TrainingSettings, fixed: Option<&str>) {
    fixed_row(
        ui,
        fixed,
        "Vocabulary",
        "Most chords it may know; rarer ones become the nearest it knows",
        |ui| optional(ui, &mut settings.max_vocabulary, 4_000, 2..=1_000_000, 20.0, "Vocabulary"),
    );
    fixed_row(
        ui,
        fixed,
        "Least count",
        "Chords that occur less often stay outside the vocabulary",
        |ui| ui.add(number(&mut settings.min_count, 1..=1_000, 0.05)),
    );
}

fn music(ui: &mut Ui, settings: &mut TrainingSettings, fixed: Option<&str>) {
    row(
        ui,
        "Transpose",
        "Each sequence is shifted by up to this many semitones, so that it learns all keys",
        |ui| ui.add(number(&mut settings.transpose, 0..=12, 0.05)),
    );
    if settings.model.has_vocabulary() {
        vocabulary(ui, settings, fixed);
    }
    let framing_before = settings.framing;
    fixed_row(ui, fixed, "Framing", "How notes meet the grid of frames", |ui| {
        choice(
            ui,
            "Framing",
            &mut settings.framing,
            &[
                (Framing::Nearest, "Nearest", "Every note stays, both hands together"),
                (
                    Framing::Original,
                    "Original",
                    "As the original: right hand only, short notes lost",
                ),
            ],
        )
    });
    if settings.framing == Framing::Original && framing_before != Framing::Original {
        // As in the original; a limit can still be asked for.
        settings.max_vocabulary = None;
    }
    fixed_row(ui, fixed, "Pedal", "Whether the sustain pedal lengthens notes", |ui| {
        choice(
            ui,
            "Pedal",
            &mut settings.pedalling,
            &[
                (Pedalling::Keys, "Keys only", "A note lasts as long as its key is down"),
                (Pedalling::Sustained, "Sustained", "A note sounds on while the pedal is down"),
            ],
        )
    });
    row(ui, "Held out", "Which music only measures and never teaches", |ui| {
        choice(
            ui,
            "Held out",
            &mut settings.split,
            &[
                (SplitKind::Pieces, "Whole pieces", "Some pieces, chosen by the seed"),
                (SplitKind::Tail, "The last fifth", "Of everything joined, as the original did"),
            ],
        )
    });
}
