//! What a new run goes on from: a checkpoint whose weights it begins with.
//!
//! The checkpoint decides the network and how music is cut for it; how it goes on learning is the
//! run's own affair. Of the checkpoint itself the run remembers only its [`Origin`]: everything that
//! is needed to go on lies in the run's own checkpoints once it has been measured.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::{FamilyCard, KeyCard, Loaded};
use super::train::{first_difference, lasting_path};
use super::{
    CheckpointError, CorpusSummary, FileSummary, Lessons, Model, Preset, Run, Softmax, TrainError,
    TrainingSettings,
};
use crate::tokens::{sha256_hex, some_of};

/// The learning rate of a run that goes on, unless another is asked for. A fresh network begins
/// with four to six times as much: steps as large as that soon undo what is known already.
const FINE_TUNING_RATE: f64 = 0.0005;

/// Digits of a hash that tell checkpoints apart for a person.
const SHORT_HASH: usize = 12;

/// What a run remembers of the checkpoint that it went on from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The checkpoint's file, absolute; `<starter>` is the built-in model.
    pub path: String,
    /// Of the file's bytes.
    pub sha256: String,
    /// What it was trained on, in words, with credits.
    pub about: String,
}

/// A checkpoint to go on from.
#[derive(Clone, Debug)]
pub struct StartingPoint {
    pub model: Model,
    pub origin: Origin,
    /// The pieces that it learned from, as far as it or the run that it lies in says.
    pub(super) lessons: Option<Lessons>,
}

impl Origin {
    const STARTER: &str = "<starter>";

    /// A name for a line of text.
    pub fn name(&self) -> &str {
        if self.path == Self::STARTER { "starter" } else { &self.path }
    }

    /// The beginning of the hash.
    pub fn short_hash(&self) -> &str {
        self.sha256.get(..SHORT_HASH).unwrap_or(&self.sha256)
    }
}

impl StartingPoint {
    /// The built-in model.
    ///
    /// # Errors
    /// Those of [`Model::starter`].
    pub fn starter() -> Result<Self, CheckpointError> {
        let sha256 = sha256_hex(crate::assets::STARTER);
        Ok(Self::new(Model::starter()?, Origin::STARTER.to_owned(), sha256))
    }

    /// A checkpoint, or the best one of a run folder, as [`Model::load_noting`] finds it.
    ///
    /// # Errors
    /// Those of [`Model::load_noting`].
    pub fn load(path: &Path, note: &mut dyn FnMut(&str)) -> Result<Self, CheckpointError> {
        let Loaded { model, file, bytes } = Model::load_with_file(path, note)?;
        let file = lasting_path(&file);
        let mut start = Self::new(model, file.to_string_lossy().into_owned(), sha256_hex(&bytes));
        // Checkpoints of before they said it themselves.
        start.lessons = start.lessons.or_else(|| Some(Run::around(&file)?.summary.lessons()));
        Ok(start)
    }

    fn new(model: Model, path: String, sha256: String) -> Self {
        let (about, lessons) = (model.card().about.clone(), model.card().lessons.clone());
        Self { model, origin: Origin { path, sha256, about }, lessons }
    }

    /// The settings of a run that goes on from here, where nothing else is asked for: the network and
    /// the way of cutting music are the checkpoint's, the steps are smaller than a fresh network's.
    pub fn settings(&self) -> TrainingSettings {
        let kind = self.model.card().kind();
        let usual = TrainingSettings::for_model(kind, Preset::Default);
        self.fixed(TrainingSettings { learning_rate: FINE_TUNING_RATE, ..usual })
    }

    /// The same settings with everything that the checkpoint decides as it says.
    pub fn fixed(&self, settings: TrainingSettings) -> TrainingSettings {
        let card = self.model.card();
        let fixed = TrainingSettings {
            model: card.kind(),
            layers: card.layers,
            hidden: card.hidden,
            fps: card.plan.rate,
            framing: card.plan.framing,
            pedalling: card.plan.pedalling,
            grid: card.plan.grid,
            ..settings
        };
        match &card.family {
            FamilyCard::Lstm(chords) | FamilyCard::Gru(chords) => {
                let softmax = chords.clusters.map_or(Softmax::Full, |_| Softmax::Adaptive);
                // Its vocabulary is what it is; nothing limits it any more.
                TrainingSettings { softmax, max_vocabulary: None, min_count: 1, ..fixed }
            }
            FamilyCard::Keys(KeyCard { key_hidden, alphabet, .. }) => {
                TrainingSettings { key_hidden: *key_hidden, alphabet: *alphabet, ..fixed }
            }
        }
    }

    /// Refuses settings of another network, or of music cut in another way.
    ///
    /// # Errors
    /// [`TrainError::OtherNetwork`], with the first setting that differs.
    pub fn check(&self, settings: &TrainingSettings) -> Result<(), TrainError> {
        match first_difference(&self.fixed(settings.clone()), settings) {
            None => Ok(()),
            Some((setting, theirs)) => Err(TrainError::OtherNetwork { setting, theirs }),
        }
    }

    /// What should be known of the figures of a run on the music it holds out: what was learned from
    /// before tells nothing about music that is new.
    pub(super) fn note_on_held_out(&self, corpus: &CorpusSummary) -> Option<String> {
        let name = self.origin.name();
        let is_held_out = |file: &&FileSummary| file.parts.iter().any(|part| part != "train");
        let held_out: Vec<&FileSummary> = corpus.files.iter().filter(is_held_out).collect();
        let nothing = Lessons::default();
        let lessons = self.lessons.as_ref().unwrap_or(&nothing);
        let number = |knows: fn(&Lessons, &str) -> bool| {
            held_out.iter().filter(|file| knows(lessons, &file.sha256)).count()
        };
        let (n_whole, n_part) =
            (number(Lessons::has_learned), number(Lessons::has_learned_in_part));
        let flattered = "so the held-out figures flatter it, and an epoch that is better may never \
                         come: learn from pieces that it doesn't know";
        match (n_whole, n_part) {
            (0, 0) if self.lessons.as_ref().is_some_and(|lessons| !lessons.may_lack()) => None,
            (0, 0) => Some(format!(
                "Whether {name} learned from any of the held-out pieces isn't known; where it did, \
                 the held-out figures flatter it"
            )),
            // Of a joined tail nobody knows which frames of the piece that it begins in were held
            // out there and which are here.
            (0, n) => Some(format!(
                "{name} learned from a part of {}, perhaps from what is held out here, and then the \
                 held-out figures flatter it",
                some_of(n, held_out.len(), "held-out piece")
            )),
            (n, _) => Some(format!(
                "{name} learned from {} already, {flattered}",
                some_of(n, held_out.len(), "held-out piece")
            )),
        }
    }
}
