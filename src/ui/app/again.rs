//! A take once more: with the model, the beginning and the settings that made it, and other random
//! numbers.

use super::App;
use super::compose::{Composition, model_in_words};
use crate::model::{ComposeRequest, Model};
use crate::ui::command::Command;
use crate::ui::state::{ModelChoice, Provenance, TakeEntry, TakeId};
use crate::ui::widgets::file_name;

impl App {
    pub(super) fn compose_again(&mut self, id: TakeId) {
        if let Err(why) = Command::Compose.enabled(&self.state) {
            return self.state.notices.note(why);
        }
        let Some(entry) = self.state.takes.get(id).cloned() else { return };
        self.state.composing.error = None;
        match self.model_of(&entry.provenance) {
            Some(model) => self.begin_again(&entry, model),
            None => {
                let choice = entry.provenance.composer();
                self.state.composing.again = Some((id, choice.clone()));
                self.load_model(choice);
            }
        }
    }

    /// A model was loaded, or couldn't be: a take may be waiting for it.
    pub(super) fn go_on_again(&mut self, choice: &ModelChoice, failure: Option<String>) {
        let again = &mut self.state.composing.again;
        let Some((id, _)) = again.take_if(|(_, waits_for)| waits_for == choice) else { return };
        match failure {
            Some(error) => self.composing_failed(error),
            None => self.compose_again(id),
        }
    }

    /// What composed a take, if it is in memory. Of a run in training the newest weights are another
    /// model than its best ones, unless they are of the same epoch.
    fn model_of(&self, provenance: &Provenance) -> Option<Model> {
        let newest = self.state.training.newest.as_ref().filter(|newest| {
            provenance.run.as_ref() == Some(&newest.run_dir)
                && newest.model.card().epoch == provenance.epoch
        });
        let newest = newest.map(|newest| &newest.model);
        newest.or_else(|| self.state.composing.model(&provenance.composer())).cloned()
    }

    fn begin_again(&mut self, entry: &TakeEntry, model: Model) {
        let mut settings = entry.provenance.settings.clone();
        settings.takes = 1;
        settings.seed = self.fresh_seed(entry.take.seed);
        let card = model.card();
        let (run, epoch) = (entry.provenance.run.clone(), card.epoch);
        if epoch != entry.provenance.epoch {
            let name = run.as_deref().map_or_else(|| "the starter".to_owned(), file_name);
            let (before, took) = (entry.provenance.epoch, &entry.name);
            self.state.notices.note(format!(
                "{took} is of epoch {before} of {name}, which isn't kept: epoch {epoch} composes"
            ));
        }
        let provenance = Provenance {
            model: model_in_words(run.as_deref(), card),
            run,
            epoch,
            settings: settings.clone(),
            continues_score: entry.provenance.continues_score,
            made_at: self.now_secs(),
        };
        let request = ComposeRequest { model, settings };
        self.ask_to_compose(Composition { request, playback: entry.playback, provenance });
    }
}
