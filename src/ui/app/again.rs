//! A take once more: with the model, the beginning and the settings that made it, and other random
//! numbers.

use super::App;
use super::compose::{Composition, model_in_words};
use crate::model::{ComposeRequest, Model};
use crate::ui::command::Command;
use crate::ui::state::{LoadedModel, ModelChoice, Provenance, TakeEntry, TakeId, WaitsFor};
use crate::ui::tasks::Answer;
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
            None => self.load_model_of(&entry),
        }
    }

    /// What composed a take, if it is in memory.
    fn model_of(&self, provenance: &Provenance) -> Option<Model> {
        let (composer, stage) = (provenance.composer(), provenance.stage());
        let newest = self.state.training.newest.as_ref().filter(|newest| {
            provenance.run.as_ref() == Some(&newest.run_dir) && newest.model.card().stage() == stage
        });
        let newest = newest.map(|newest| &newest.model);
        newest.or_else(|| self.state.composing.model_of_stage(&composer, stage)).cloned()
    }

    fn load_model_of(&mut self, entry: &TakeEntry) {
        let (take, choice, stage) =
            (entry.id, entry.provenance.composer(), entry.provenance.stage());
        self.state.composing.waits_for = Some(WaitsFor::ModelOf(take));
        self.tasks.spawn("loading the model of a take", move || {
            let mut notes = Vec::new();
            let result = match &choice {
                ModelChoice::Run(path) => {
                    Model::load_of_stage(path, stage, &mut |note| notes.push(note.to_owned()))
                }
                _ => Model::starter(),
            };
            let loaded = |model| LoadedModel { choice, model, notes };
            let result = result.map(loaded).map_err(|error| error.to_string());
            Answer::ModelOfTakeLoaded { take, result }
        });
    }

    pub(super) fn model_of_take_loaded(
        &mut self,
        take: TakeId,
        result: Result<LoadedModel, String>,
    ) {
        let waits_for = &mut self.state.composing.waits_for;
        if waits_for.take_if(|it| *it == WaitsFor::ModelOf(take)).is_none() {
            // It was stopped.
            return;
        }
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(error) => return self.composing_failed(error),
        };
        for note in &loaded.notes {
            self.state.notices.note_once(note.clone());
        }
        let model = loaded.model.clone();
        self.state.composing.again = Some(loaded);
        // It may have been dropped meanwhile.
        if let Some(entry) = self.state.takes.get(take).cloned() {
            self.begin_again(&entry, model);
        }
    }

    fn begin_again(&mut self, entry: &TakeEntry, model: Model) {
        let mut settings = entry.provenance.settings.clone();
        settings.takes = 1;
        settings.seed = self.fresh_seed(entry.take.seed);
        let card = model.card();
        let (run, stage) = (entry.provenance.run.clone(), card.stage());
        if stage != entry.provenance.stage() {
            let name = run.as_deref().map_or_else(|| "the starter".to_owned(), file_name);
            let (before, took) = (entry.provenance.stage(), &entry.name);
            self.state.notices.note(format!(
                "{took} is of {before} of {name}, which isn't kept: {stage} composes"
            ));
        }
        let provenance = Provenance {
            model: model_in_words(run.as_deref(), card),
            run,
            epoch: stage.epoch,
            steps_into_epoch: stage.steps_into_epoch,
            settings: settings.clone(),
            continues_score: entry.provenance.continues_score,
            made_at: self.now_secs(),
        };
        let request = ComposeRequest { model, settings };
        self.ask_to_compose(Composition { request, playback: entry.playback, provenance });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Window;
    use crate::model::Take;
    use crate::music::{Pitch, smf};
    use crate::tokens::{Chord, Playback};
    use crate::ui::action::{AppAction, TakeAction};
    use crate::ui::command::Command;
    use crate::ui::state::{PrimeKind, Provenance, TakeEntry, TakeId, WaitsFor};

    fn take_of_the_starter() -> TakeEntry {
        let chord: Chord = [Pitch::MIDDLE_C].into_iter().collect();
        let take = Take {
            roll: vec![chord; 8],
            touch: None,
            n_prime_frames: 0,
            seed: 1,
            log_likelihood: -1.0,
            secs: 0.1,
        };
        let mut provenance = Provenance::default();
        provenance.settings.frames = 8;
        TakeEntry::new(TakeId(1), "Take 1".to_owned(), take, Playback::default(), provenance)
    }

    #[test]
    fn while_the_file_it_begins_with_is_read_nothing_else_is_composed() {
        let mut window = Window::open();
        window.wait("the takes are read", |app| app.state.takes.is_read);
        window.wait("the starter is loaded", |app| app.state.composer().is_some());
        let path = window.folder.path().join("beginning.mid");
        std::fs::write(&path, smf::write(&crate::assets::first_score())).unwrap();
        window.app().state.takes.list.push(take_of_the_starter());
        let form = &mut window.app().state.preferences.compose;
        (form.prime, form.prime_file, form.bars) = (PrimeKind::File, Some(path.clone()), 1.0);
        // No frame comes between: what the thread that reads says is not heard yet.
        let reading = Some(WaitsFor::Prime(path));
        window.act(AppAction::Run(Command::Compose));
        assert_eq!(window.app().state.composing.waits_for, reading);
        window.act(AppAction::Take(TakeId(1), TakeAction::Again));
        assert_eq!(window.app().state.composing.waits_for, reading);
        assert!(window.app().state.composing.live.is_none());
        let n_takes = |n: usize| {
            move |app: &super::App| {
                !app.state.composing.is_busy() && app.state.takes.list.len() == n
            }
        };
        window.wait("the first is composed", n_takes(2));

        // What was stopped while it was read isn't composed once it is.
        window.app().state.composing.prime_score = None;
        window.act(AppAction::Run(Command::Compose));
        assert_eq!(window.app().state.composing.waits_for, reading);
        window.act(AppAction::Run(Command::StopComposing));
        assert!(!window.app().state.composing.is_busy());
        window.wait("it is read", |app| app.state.composing.prime_score.is_some());
        window.harness.run_steps(3);
        assert!(n_takes(2)(window.app()));
    }
}
