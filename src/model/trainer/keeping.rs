//! What is kept of a training and shown to others: cards, models and checkpoints.

use super::{LEARNING, Trainer, TrainingState};
use burn::backend::Flex;
use burn::tensor::backend::Backend;

use super::super::checkpoint::{ChordCard, FamilyCard, KeyCard, Manifest, checkpoint_bytes};
use super::super::material::Reading;
use super::super::network::{Network, NetworkConfig};
use super::super::recurrent::CellKind;
use super::super::train::counted;
use super::super::weights::{NamedTensor, Precision, TensorMap};
use super::super::{Model, ModelCard, Origin, Stage, TrainError};

impl<B: Backend> Trainer<'_, B> {
    pub(super) fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }

    /// What the present weights are.
    pub(super) fn present_card(&self) -> ModelCard {
        let valid = self.metrics.last().map(|point| point.valid_perplexity);
        let TrainingState { epochs_done: epoch, steps_into_epoch, .. } = self.state;
        self.card(Stage { epoch, steps_into_epoch }, valid, self.state.step > 0)
    }

    /// The card of the weights of a stage; `has_learned` says whether they made a step in this run.
    pub(super) fn card(
        &self,
        stage: Stage,
        valid_perplexity: Option<f64>,
        has_learned: bool,
    ) -> ModelCard {
        let job = self.job;
        let corpus = &job.summary.corpus;
        let family = self.family_card();
        ModelCard {
            format_version: family.format_version(),
            family,
            layers: job.settings.layers,
            hidden: job.settings.hidden,
            plan: *job.material.music.plan().frames(),
            epoch: stage.epoch,
            steps_into_epoch: stage.steps_into_epoch,
            valid_perplexity,
            about: format!(
                "Trained on {}, {}, for {}{}{}",
                counted(corpus.files.len(), "file"),
                counted(corpus.train_frames, "frame"),
                counted(stage.epoch, "epoch"),
                match stage.steps_into_epoch {
                    0 => String::new(),
                    steps => format!(" and {}", counted(steps, "step")),
                },
                job.summary.from.as_ref().map_or_else(String::new, words_of)
            ),
            // What a run goes on from has not learned from the run's own pieces yet.
            lessons: Some(match has_learned {
                true => job.summary.lessons(),
                false => job.summary.lessons_before(),
            }),
        }
    }

    fn family_card(&self) -> FamilyCard {
        let job = self.job;
        match (job.config, &job.material.reading) {
            (NetworkConfig::Chords(config), Reading::Chords(_, reading)) => {
                let card = ChordCard {
                    clusters: config.clusters,
                    vocabulary: reading.encoding.vocabulary.clone(),
                    backoff: job.backoff.clone(),
                };
                match config.kind {
                    CellKind::Lstm => FamilyCard::Lstm(card),
                    CellKind::Gru => FamilyCard::Gru(card),
                }
            }
            (NetworkConfig::Keys(config), Reading::Keys(_)) => FamilyCard::Keys(KeyCard {
                key_hidden: config.key_hidden,
                spell_hidden: config.spell_hidden,
                alphabet: config.alphabet,
                has_clock: config.has_clock,
            }),
            _ => unreachable!("a run's material and its network are made of the same settings"),
        }
    }

    /// A copy of the present weights on the CPU.
    pub(super) fn model(&self) -> Model {
        self.model_of(self.shown(), self.present_card())
    }

    pub(super) fn model_of(&self, network: &Network<B>, card: ModelCard) -> Model {
        let tensors: TensorMap = network.to_tensors().into_iter().collect();
        let network = Network::<Flex>::from_tensors(self.job.config, &tensors, &Default::default());
        Model::new(card, network.expect("the tensors were just made with these shapes"))
    }

    /// Everything needed to use the weights and to go on exactly.
    pub(super) fn checkpoint(&mut self) -> Result<Vec<u8>, TrainError> {
        let mut tensors = self.shown().to_tensors();
        if self.mean.is_some() {
            let learning = self.network.parameter_tensors().into_iter();
            tensors.extend(learning.map(|mut tensor| {
                tensor.name.insert_str(0, LEARNING);
                tensor
            }));
        }
        tensors.extend(self.adam.to_tensors(&self.job.config.parameter_shapes()));
        self.state.state_rows = self.carried.as_ref().map_or(0, |carried| carried.n_rows);
        let layers = self.carried.iter().flat_map(|carried| &carried.layers);
        for (idx, layer) in layers.enumerate() {
            let parts = [("hidden", &layer.hidden), ("cell", &layer.cell)];
            tensors.extend(parts.map(|(part, tensor)| {
                NamedTensor::read(format!("state.{idx}.{part}"), tensor.clone())
            }));
        }
        let manifest = Manifest { card: self.present_card(), training: Some(self.state.clone()) };
        Ok(checkpoint_bytes(&manifest, &tensors, Precision::Full)?)
    }
}

/// What a run went on from, as its checkpoints tell it.
fn words_of(origin: &Origin) -> String {
    let (name, hash, about) = (origin.name(), origin.short_hash(), &origin.about);
    let known = if about.is_empty() { String::new() } else { format!(": {about}") };
    format!(", going on from {name} (SHA-256 {hash}…){known}")
}
