//! Choosing what a run goes on from, and reading it.

use super::App;
use crate::model::{Run, StartingPoint, TrainingSettings};
use crate::ui::state::StartChoice;
use crate::ui::tasks::Answer;

impl App {
    /// The form keeps what it held for a fresh network, to have it again.
    pub(super) fn choose_start(&mut self, choice: StartChoice) {
        let preferences = &mut self.state.preferences;
        if choice == StartChoice::Nothing {
            if let Some(fresh) = preferences.fresh_training.take() {
                preferences.training = fresh;
            }
        } else if preferences.start == StartChoice::Nothing {
            preferences.fresh_training = Some(preferences.training.clone());
        }
        preferences.start = choice;
        self.state.starting.is_newly_chosen = true;
        self.read_start();
    }

    /// Reads the checkpoint that is chosen, on another thread.
    pub(super) fn read_start(&mut self) {
        let choice = self.state.preferences.start.clone();
        let starting = &mut self.state.starting;
        starting.error = None;
        starting.read = None;
        starting.reading = Some(choice.clone()).filter(|choice| *choice != StartChoice::Nothing);
        if starting.reading.is_none() {
            return;
        }
        self.tasks.spawn("reading a checkpoint to go on from", move || {
            let mut notes = Vec::new();
            let result = match &choice {
                StartChoice::Checkpoint(path) => {
                    StartingPoint::load(path, &mut |note| notes.push(note.to_owned()))
                }
                StartChoice::Starter | StartChoice::Nothing => StartingPoint::starter(),
            };
            let result = result.map(|point| Box::new((point, notes)));
            Answer::StartRead { choice, result: result.map_err(|error| error.to_string()) }
        });
    }

    pub(super) fn start_read(
        &mut self,
        choice: StartChoice,
        result: Result<Box<(StartingPoint, Vec<String>)>, String>,
    ) {
        let starting = &mut self.state.starting;
        if starting.reading.as_ref() != Some(&choice) {
            // Another was chosen meanwhile.
            return;
        }
        starting.reading = None;
        let is_new = std::mem::take(&mut starting.is_newly_chosen);
        let (point, notes) = match result {
            Ok(read) => *read,
            Err(error) => {
                starting.error = Some(error.clone());
                self.state.notices.error_elsewhere(error);
                return;
            }
        };
        let asked = &mut self.state.preferences.training;
        *asked = match is_new {
            // How long, and which music is held out, has nothing to do with the network.
            true => TrainingSettings {
                epochs: asked.epochs,
                early_stop: asked.early_stop,
                split: asked.split,
                save_every: asked.save_every,
                seed: asked.seed,
                ..point.settings()
            },
            false => point.fixed(asked.clone()),
        };
        self.state.starting.read = Some((choice, std::sync::Arc::new(point)));
        for note in notes {
            self.state.notices.note_once(note);
        }
    }

    /// The form takes the settings of a run that is resumed, which has its own start.
    pub(super) fn forget_start_of_another(&mut self, resumed: &Run) {
        let preferences = &mut self.state.preferences;
        let point = self.state.starting.point(&preferences.start);
        let is_the_same =
            point.is_some_and(|point| resumed.summary.from.as_ref() == Some(&point.origin));
        if !is_the_same {
            preferences.start = StartChoice::Nothing;
            preferences.fresh_training = None;
            self.state.starting = Default::default();
        }
    }
}
