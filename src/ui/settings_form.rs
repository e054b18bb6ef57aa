//! The settings of a training: the few that matter in sight, the others folded away. Every number
//! is kept inside limits that make sense.

use egui::{CollapsingHeader, Ui};

use super::state::Preferences;
use super::widgets::{choice, number, optional, row};
use crate::model::{
    DeviceChoice, ModelKind, Optimizer, Preset, Schedule, Softmax, TrainingSettings,
};
use crate::tokens::{FrameRate, Framing, Pedalling, SplitKind};

/// The settings a first run is shaped by.
pub fn essential_ui(ui: &mut Ui, preferences: &mut Preferences) {
    let settings = &mut preferences.training;
    let mut model = settings.model;
    let chosen = row(
        ui,
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
    }
    row(
        ui,
        "Size",
        "Units in each layer: a larger network learns more, needs more time and more music",
        |ui| ui.add(number(&mut settings.hidden, 1..=4_096, 4.0)),
    );
    row(ui, "Epochs", "How many times all the pieces are read", |ui| {
        ui.add(number(&mut settings.epochs, 1..=10_000, 0.2))
    });
    let mut fps = settings.fps.per_second();
    let rate = row(
        ui,
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

/// All the others.
pub fn all_ui(ui: &mut Ui, preferences: &mut Preferences) {
    CollapsingHeader::new("All settings").id_salt("all settings").show_unindented(ui, |ui| {
        let settings = &mut preferences.training;
        ui.horizontal(|ui| {
            if ui
                .button("Set to the defaults")
                .on_hover_text("Settings that learn well from little music")
                .clicked()
            {
                *settings = TrainingSettings::for_model(settings.model, Preset::Default);
            }
            if ui
                .button("As the original")
                .on_hover_text("Every setting as in the experiment this program grew from")
                .clicked()
            {
                *settings = TrainingSettings::for_model(settings.model, Preset::Original);
            }
        });
        network(ui, settings);
        learning(ui, settings);
        music(ui, settings);
    });
}

fn network(ui: &mut Ui, settings: &mut TrainingSettings) {
    row(ui, "Layers", "Networks stacked on each other. Two are usual", |ui| {
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
        row(
            ui,
            "Size by key",
            "Units that listen over each key, besides those over each of the twelve tones; 0 for none",
            |ui| ui.add(number(&mut settings.key_hidden, 0..=1_024, 1.0)),
        );
        return;
    }
    row(ui, "Softmax", "How one chord is chosen among all that it knows", |ui| {
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

fn vocabulary(ui: &mut Ui, settings: &mut TrainingSettings) {
    row(
        ui,
        "Vocabulary",
        "Most chords it may know; rarer ones become the nearest it knows",
        |ui| optional(ui, &mut settings.max_vocabulary, 4_000, 2..=1_000_000, 20.0, "Vocabulary"),
    );
    row(ui, "Least count", "Chords that occur less often stay outside the vocabulary", |ui| {
        ui.add(number(&mut settings.min_count, 1..=1_000, 0.05))
    });
}

fn music(ui: &mut Ui, settings: &mut TrainingSettings) {
    row(
        ui,
        "Transpose",
        "Each sequence is shifted by up to this many semitones, so that it learns all keys",
        |ui| ui.add(number(&mut settings.transpose, 0..=12, 0.05)),
    );
    if settings.model.has_vocabulary() {
        vocabulary(ui, settings);
    }
    let framing_before = settings.framing;
    row(ui, "Framing", "How notes meet the grid of frames", |ui| {
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
    row(ui, "Pedal", "Whether the sustain pedal lengthens notes", |ui| {
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
