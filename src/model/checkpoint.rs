//! Trained weights with everything needed to use them, on disk and in memory.
//!
//! A checkpoint is one safetensors file. Its metadata holds a manifest in JSON: the
//! [`ModelCard`] and, unless it was exported, where the training stood. Beside the weights lie the
//! optimizer's moments (`adam.…`) and, within an epoch, the carried state (`state.…`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::backend::Flex;
use serde::{Deserialize, Serialize};

use super::adaptive::Clusters;
use super::chords::{ChordConfig, ChordNetwork, Predictor, Start};
use super::kernels::Kernels;
use super::keys::{Alphabet, KeyConfig, KeyNetwork};
use super::network::{Network, NetworkConfig};
use super::recurrent::CellKind;
use super::settings::{MAX_HIDDEN, MAX_KEY_HIDDEN, MAX_LAYERS, MAX_VOCABULARY};
use super::trainer::TrainingState;
use super::weights::{self, NamedTensor, Precision, TensorMap, WeightFormat, WeightsError};
use super::{Lessons, ModelKind, NextChord, Stage, run};
use crate::files::plain_reason;
use crate::tokens::{BackOff, ChordVocabulary, FramingPlan, MusicPlan};

/// What a model is, without its weights: what a checkpoint's manifest says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelCard {
    pub format_version: u32,
    /// Its family, with what only that has.
    #[serde(flatten)]
    pub family: FamilyCard,
    pub layers: usize,
    pub hidden: usize,
    pub plan: FramingPlan,
    /// Whole epochs that it learned.
    pub epoch: usize,
    /// Steps of the epoch after them, where the training stopped within it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub steps_into_epoch: usize,
    pub valid_perplexity: Option<f64>,
    /// What it was trained on, in words, with credits.
    pub about: String,
    /// The pieces that it learned from; none in checkpoints of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lessons: Option<Lessons>,
}

/// What the card of one family says that the other's doesn't; the field `model` of the manifest
/// tells which it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum FamilyCard {
    Lstm(ChordCard),
    Gru(ChordCard),
    Keys(KeyCard),
}

/// The first family: chords of a vocabulary.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChordCard {
    /// How the outputs of an adaptive softmax are divided; none for one softmax over all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Clusters>,
    pub vocabulary: ChordVocabulary,
    pub backoff: BackOff,
}

/// The second family: frames spelled key by key.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct KeyCard {
    pub key_hidden: usize,
    pub spell_hidden: usize,
    pub alphabet: Alphabet,
    /// Whether frames have a place on a grid.
    pub has_clock: bool,
}

/// Whether it goes without saying.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl ModelCard {
    /// The newest format that this program writes. It reads this and everything older.
    ///
    /// 2 is 1 with an adaptive softmax, which older versions would take for a full one; 3 is the
    /// second family. Within it models with touch came to say how long nothing changes before any
    /// was published; their weights have other names and shapes, so that neither version takes
    /// the other's for its own ([`WeightsError::NoLengths`]).
    pub const FORMAT_VERSION: u32 = 3;

    /// The kind of its network.
    pub fn kind(&self) -> ModelKind {
        match self.family {
            FamilyCard::Lstm(_) => ModelKind::Lstm,
            FamilyCard::Gru(_) => ModelKind::Gru,
            FamilyCard::Keys(_) => ModelKind::Keys,
        }
    }

    /// What it knows of chords, where it has a vocabulary.
    pub fn chords(&self) -> Option<&ChordCard> {
        match &self.family {
            FamilyCard::Lstm(card) | FamilyCard::Gru(card) => Some(card),
            FamilyCard::Keys(_) => None,
        }
    }

    /// Which weights of its run it has.
    pub fn stage(&self) -> Stage {
        Stage { epoch: self.epoch, steps_into_epoch: self.steps_into_epoch }
    }

    /// How music is to be read to be measured with it.
    pub fn music_plan(&self) -> MusicPlan {
        match &self.family {
            FamilyCard::Lstm(_) | FamilyCard::Gru(_) => MusicPlan::Chords(self.plan),
            FamilyCard::Keys(card) => card.alphabet.music_plan(self.plan),
        }
    }

    /// The temperature that is usual for composing with it. A vocabulary's many rare chords want
    /// less than was learned. Of the two states of a key nearly always silence is the likelier, so
    /// that much less would thin the music out; a little takes stray notes away (`docs/measures.md`).
    pub fn usual_temperature(&self) -> f64 {
        if self.chords().is_some() { 0.9 } else { 0.97 }
    }

    /// Whether it knows strikes, velocities and the pedal.
    pub fn has_touch(&self) -> bool {
        matches!(&self.family, FamilyCard::Keys(card) if card.alphabet == Alphabet::Full)
    }

    pub(super) fn network_config(&self) -> NetworkConfig {
        let (layers, hidden) = (self.layers, self.hidden);
        let chords = |card: &ChordCard, kind| {
            let (vocabulary, clusters) = (card.vocabulary.len(), card.clusters);
            NetworkConfig::Chords(ChordConfig { kind, layers, hidden, vocabulary, clusters })
        };
        match &self.family {
            FamilyCard::Lstm(card) => chords(card, CellKind::Lstm),
            FamilyCard::Gru(card) => chords(card, CellKind::Gru),
            FamilyCard::Keys(card) => {
                let KeyCard { key_hidden, spell_hidden, alphabet, has_clock } = *card;
                NetworkConfig::Keys(KeyConfig {
                    layers,
                    hidden,
                    key_hidden,
                    spell_hidden,
                    alphabet,
                    has_clock,
                })
            }
        }
    }

    /// Refuses sizes that no training of this program makes, before anything is allocated.
    fn check(&self) -> Result<(), WeightsError> {
        let is_sane_family = match &self.family {
            FamilyCard::Lstm(card) | FamilyCard::Gru(card) => {
                let n_chords = card.vocabulary.len();
                (1..=MAX_VOCABULARY).contains(&n_chords)
                    && card.clusters.is_none_or(|clusters| clusters.fits(n_chords))
            }
            FamilyCard::Keys(card) => {
                card.key_hidden <= MAX_KEY_HIDDEN && (1..=MAX_HIDDEN).contains(&card.spell_hidden)
            }
        };
        let sane = (1..=MAX_LAYERS).contains(&self.layers)
            && (1..=MAX_HIDDEN).contains(&self.hidden)
            && is_sane_family;
        if sane {
            Ok(())
        } else {
            Err(WeightsError::Damaged("its manifest names impossible sizes".to_owned()))
        }
    }
}

impl FamilyCard {
    /// The oldest format that can say what a model of this family is.
    pub(super) fn format_version(&self) -> u32 {
        match self {
            Self::Lstm(ChordCard { clusters: None, .. })
            | Self::Gru(ChordCard { clusters: None, .. }) => 1,
            Self::Lstm(_) | Self::Gru(_) => 2,
            Self::Keys(_) => 3,
        }
    }
}

/// The JSON of a checkpoint.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub card: ModelCard,
    /// Where the training stood; none in an exported checkpoint.
    pub training: Option<TrainingState>,
}

/// A model that can compose and be measured, on the CPU. Cheap to clone; no tensor shows.
#[derive(Clone)]
pub struct Model {
    card: Arc<ModelCard>,
    pub(super) network: Arc<Network<Flex>>,
}

impl Model {
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Numbers that were learned.
    pub fn n_parameters(&self) -> usize {
        self.network.config().n_parameters()
    }

    /// As [`Model::load_noting`], with the note in the log.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        Self::load_noting(path, &mut |note| tracing::warn!("{note}"))
    }

    /// Reads a checkpoint, or the best one of a run folder. Where the best one of a run can't be
    /// read, the best of those that can is used, and `note` hears of it.
    pub fn load_noting(path: &Path, note: &mut dyn FnMut(&str)) -> Result<Self, CheckpointError> {
        Self::load_with_file(path, note).map(|loaded| loaded.model)
    }

    /// The weights of a run as they were at a stage, be they the best or not. Where those aren't
    /// kept, the best ones, as [`Model::load_noting`] finds them: their card says which they are.
    ///
    /// # Errors
    /// Those of [`Model::load_noting`].
    pub fn load_of_stage(
        run: &Path,
        stage: Stage,
        note: &mut dyn FnMut(&str),
    ) -> Result<Self, CheckpointError> {
        let is_of_stage =
            |file: &PathBuf| read_manifest(file).is_ok_and(|it| it.card.stage() == stage);
        let kept = run::checkpoints_around(run, stage.epoch).into_iter().filter(is_of_stage);
        match kept.filter_map(|file| Self::load_file(&file).ok()).next() {
            Some(loaded) => Ok(loaded.model),
            None => Self::load_noting(run, note),
        }
    }

    /// [`Model::load_noting`] with the file that it was read from.
    pub(super) fn load_with_file(
        path: &Path,
        note: &mut dyn FnMut(&str),
    ) -> Result<Loaded, CheckpointError> {
        let file = run::checkpoint_to_use(path)?;
        let failure = match Self::load_file(&file) {
            Err(failure) if path.is_dir() => failure,
            result => return result,
        };
        for other in by_perplexity(run::beside_checkpoint(&file)) {
            let Ok(loaded) = Self::load_file(&other) else { continue };
            let name = other.file_name().unwrap_or_default().to_string_lossy();
            note(&format!("{}; {name} is used instead", failure.without_advice()));
            return Ok(loaded);
        }
        Err(match failure {
            CheckpointError::Unusable { source, .. } => {
                CheckpointError::NoneUsable { run: path.to_owned(), source }
            }
            other => other,
        })
    }

    fn load_file(file: &Path) -> Result<Loaded, CheckpointError> {
        let bytes = read_bytes(file)?;
        let model = Self::from_bytes_of(file, &bytes)?;
        Ok(Loaded { model, file: file.to_owned(), bytes })
    }

    /// Reads the bytes of a checkpoint.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::from_bytes_of(Path::new("<memory>"), bytes)
    }

    fn from_bytes_of(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let (manifest, tensors) = parse_checkpoint(path, bytes)?;
        Self::from_manifest(manifest, &tensors)
            .map_err(|source| CheckpointError::Unusable { path: path.to_owned(), source })
    }

    /// The built-in model.
    pub fn starter() -> Result<Self, CheckpointError> {
        Self::from_bytes(crate::assets::STARTER)
    }

    /// A model that has learned nothing: every weight is drawn from `seed`.
    pub fn untrained(card: ModelCard, seed: u64) -> Result<Self, CheckpointError> {
        let path = PathBuf::from("<memory>");
        card.check().map_err(|source| CheckpointError::Unusable { path, source })?;
        let device = Default::default();
        let network = match card.network_config() {
            NetworkConfig::Chords(config) => {
                Network::Chords(ChordNetwork::new(config, Start::Plain, seed, &device))
            }
            NetworkConfig::Keys(config) => Network::Keys(KeyNetwork::new(config, seed, &device)),
        };
        Ok(Self { card: Arc::new(card), network: Arc::new(network) })
    }

    /// A checkpoint without optimizer and random state: it composes, but can't resume.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, CheckpointError> {
        let manifest = Manifest { card: (*self.card).clone(), training: None };
        checkpoint_bytes(&manifest, &self.network.to_tensors(), precision)
    }

    /// Writes [`Model::to_bytes`] to a file.
    pub fn export(&self, path: &Path, precision: Precision) -> Result<(), CheckpointError> {
        let bytes = self.to_bytes(precision)?;
        crate::files::write_atomically(path, &bytes)
            .map_err(|source| CheckpointError::Write { path: path.to_owned(), source })
    }

    /// The same model with other words about what it was trained on.
    pub fn with_about(&self, about: String) -> Self {
        let card = ModelCard { about, ..(*self.card).clone() };
        Self { card: Arc::new(card), network: self.network.clone() }
    }

    /// What the strategies of composing ask of a model with a vocabulary: a reader of its own state,
    /// on the CPU. None for a model without one.
    pub fn next_chord(&self) -> Option<Box<dyn NextChord>> {
        self.next_chord_with(WeightFormat::F32)
    }

    /// The same with its weights kept in another format.
    pub fn next_chord_with(&self, weights: WeightFormat) -> Option<Box<dyn NextChord>> {
        self.predictor(weights, &Kernels::new())
    }

    /// The same read by the fused kernels even in a build without optimization, which leaves the
    /// reading to burn otherwise: for tests of what the kernels ask of memory.
    #[doc(hidden)]
    pub fn next_chord_of_kernels(&self, weights: WeightFormat) -> Option<Box<dyn NextChord>> {
        self.predictor(weights, &Kernels::fused_for_tests())
    }

    fn predictor(
        &self,
        weights: WeightFormat,
        kernels: &Kernels<Flex>,
    ) -> Option<Box<dyn NextChord>> {
        match &*self.network {
            Network::Chords(network) => {
                Some(Box::new(Predictor::with_kernels(network.clone(), weights, kernels)))
            }
            Network::Keys(_) => None,
        }
    }

    /// What it is, to be kept beside it.
    pub(super) fn shared_card(&self) -> Arc<ModelCard> {
        Arc::clone(&self.card)
    }

    pub(super) fn new(card: ModelCard, network: Network<Flex>) -> Self {
        Self { card: Arc::new(card), network: Arc::new(network) }
    }

    fn from_manifest(manifest: Manifest, tensors: &TensorMap) -> Result<Self, WeightsError> {
        let config = manifest.card.network_config();
        tensors.check_numbers(config.parameter_shapes().into_iter().map(|(name, _)| name))?;
        let network = Network::from_tensors(config, tensors, &Default::default())?;
        Ok(Self { card: Arc::new(manifest.card), network: Arc::new(network) })
    }
}

/// A model as it was read from a file.
pub(super) struct Loaded {
    pub model: Model,
    pub file: PathBuf,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("config", &self.network.config()).finish_non_exhaustive()
    }
}

/// The best first, as their manifests say; those that can't be read are left out.
fn by_perplexity(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let perplexity = |file: &Path| {
        let card = read_manifest(file).ok()?.card;
        Some(card.valid_perplexity.unwrap_or(f64::INFINITY))
    };
    let mut known: Vec<(f64, PathBuf)> =
        files.into_iter().filter_map(|file| Some((perplexity(&file)?, file))).collect();
    known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    known.into_iter().map(|(_, file)| file).collect()
}

/// Manifest and tensors of a checkpoint file.
pub(super) fn read_checkpoint(path: &Path) -> Result<(Manifest, TensorMap), CheckpointError> {
    parse_checkpoint(path, &read_bytes(path)?)
}

/// The manifest alone, without the numbers.
pub(super) fn read_manifest(path: &Path) -> Result<Manifest, CheckpointError> {
    let text = weights::read_manifest(path)
        .map_err(|source| CheckpointError::Unusable { path: path.to_owned(), source })?;
    parse_manifest(&text, path)
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    weights::read_bytes(path)
        .map_err(|source| CheckpointError::Unusable { path: path.to_owned(), source })
}

/// The bytes of the checkpoint at `path`. The manifest comes first: a newer version says so before
/// its numbers are looked at.
fn parse_checkpoint(path: &Path, bytes: &[u8]) -> Result<(Manifest, TensorMap), CheckpointError> {
    let unusable = |source| CheckpointError::Unusable { path: path.to_owned(), source };
    let manifest = parse_manifest(&weights::manifest_of(bytes).map_err(unusable)?, path)?;
    let tensors = weights::tensors_of(bytes).map_err(unusable)?;
    Ok((manifest, tensors))
}

/// The bytes of a checkpoint.
pub(super) fn checkpoint_bytes(
    manifest: &Manifest,
    tensors: &[NamedTensor],
    precision: Precision,
) -> Result<Vec<u8>, CheckpointError> {
    let path = || PathBuf::from("<memory>");
    let json = serde_json::to_string(manifest)
        .map_err(|error| WeightsError::Damaged(error.to_string()))
        .map_err(|source| CheckpointError::Unusable { path: path(), source })?;
    weights::to_bytes(json, tensors, precision)
        .map_err(|source| CheckpointError::Unusable { path: path(), source })
}

fn parse_manifest(json: &str, path: &Path) -> Result<Manifest, CheckpointError> {
    /// The one thing that every version's manifest has.
    #[derive(Deserialize)]
    struct Versioned {
        card: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let unusable = |reason: String| CheckpointError::Unusable {
        path: path.to_owned(),
        source: WeightsError::Damaged(reason),
    };
    let version: Versioned =
        serde_json::from_str(json).map_err(|error| unusable(format!("manifest: {error}")))?;
    let found = version.card.format_version;
    if found > ModelCard::FORMAT_VERSION {
        let path = path.to_owned();
        return Err(CheckpointError::Newer { path, found, known: ModelCard::FORMAT_VERSION });
    }
    let manifest: Manifest =
        serde_json::from_str(json).map_err(|error| unusable(format!("manifest: {error}")))?;
    let checked = manifest.card.check();
    checked.map_err(|source| CheckpointError::Unusable { path: path.to_owned(), source })?;
    Ok(manifest)
}

impl CheckpointError {
    /// What failed and why, for a note that says itself what is done about it.
    pub(super) fn without_advice(&self) -> String {
        let text = self.to_string();
        text.rsplit_once(" — ").map_or(text.clone(), |(what, _)| what.to_owned())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("there is no checkpoint at {0} — give a run folder or a checkpoint in it")]
    Missing(PathBuf),
    #[error("{path} can't be used: {source} — {}", source.advice())]
    Unusable { path: PathBuf, source: WeightsError },
    #[error(
        "{path} has format {found}, and this version knows formats up to {known} — \
         update the program to use it"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error(
        "none of the checkpoints of {run} can be used: {source} — put them back from a copy, or \
         train a new run"
    )]
    NoneUsable { run: PathBuf, source: WeightsError },
    #[error(
        "the checkpoints of {0} are gone, though it has learned for some epochs — put its folder \
         checkpoints back, or train a new run"
    )]
    Gone(PathBuf),
    #[error(
        "{path} can't be written: {} — free some space or choose another place",
        plain_reason(source)
    )]
    Write { path: PathBuf, source: io::Error },
}
