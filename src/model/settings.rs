//! Everything a training run can be told, with its defaults and the original's.

use serde::{Deserialize, Serialize};

use super::keys::Alphabet;
use crate::tokens::{
    FrameRate, Framing, FramingPlan, Grid, MusicPlan, Pedalling, SplitKind, VocabularyLimits,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Chords of a vocabulary, read by an LSTM.
    Lstm,
    /// The same, read by gated recurrent units.
    Gru,
    /// Every frame spelled key by key, without a vocabulary.
    #[default]
    Keys,
}

impl ModelKind {
    /// Whether its chords come from a vocabulary, with what belongs to one: limits of its size, a
    /// softmax over it, a beginning as the unigram model.
    pub fn has_vocabulary(self) -> bool {
        self != Self::Keys
    }

    /// Its name in words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
            Self::Keys => "Keys",
        }
    }
}

/// How the learning rate moves over a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    Constant,
    /// Half a cosine from the full rate down to a hundredth of it over all epochs.
    #[default]
    Cosine,
    /// Halved whenever the held-out loss has not improved for three epochs.
    Plateau,
}

/// How the weights are moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// With the weight decay as a penalty that is part of the gradient, as the original had it.
    #[default]
    Adam,
    /// With decoupled weight decay: each step shrinks every weight by the learning rate times the
    /// decay, however large its gradients are (Loshchilov & Hutter 2019).
    AdamW,
}

/// How one output is chosen among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Softmax {
    /// Among all at once.
    #[default]
    Full,
    /// In two steps, for vocabularies of tens of thousands: see [`super::Clusters`].
    Adaptive,
}

/// How the frames to learn from are laid out in batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batching {
    /// Every frame is learned from, and the batch shrinks until an epoch has at least eight
    /// steps.
    #[default]
    Fitted,
    /// As torchtext's iterator had it for the original: everything joined and cut into as many
    /// columns as the batch has sequences, what is left over dropped, and the batch never shrinks.
    Columns,
}

/// How the weights begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialization {
    /// The network begins as the unigram model: it knows how often each chord is seen.
    #[default]
    Unigram,
    /// As PyTorch begins an embedding and an LSTM: the original's way.
    Plain,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Learns well on little data.
    Default,
    /// Every setting as the original experiment had it.
    Original,
}

/// The settings of a run; part of its `run.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", default = "TrainingSettings::chords")]
pub struct TrainingSettings {
    pub model: ModelKind,
    /// Stacked recurrent layers, 1–8.
    pub layers: usize,
    /// Units a layer, 1–4,096. With a vocabulary the width of the embedding too, since the decoder
    /// shares it; without one the units that listen over each pitch class.
    pub hidden: usize,
    /// Units that listen over each key, 0–1,024; 0 for none. Only without a vocabulary.
    pub key_hidden: usize,
    /// What is said of each key. Only without a vocabulary.
    pub alphabet: Alphabet,
    pub softmax: Softmax,
    pub epochs: usize,
    /// Sequences a step.
    pub batch: usize,
    /// Frames a sequence; with touch its runs.
    pub sequence: usize,
    pub learning_rate: f64,
    pub optimizer: Optimizer,
    /// What pulls weights towards 0, in the optimizer's way.
    pub weight_decay: f64,
    /// Share of activations dropped at every layer's input and the decoder's, 0–0.95; which ones
    /// stays the same over a sequence.
    pub dropout: f64,
    /// Largest norm of all gradients together; none is no limit.
    pub clip: Option<f64>,
    /// The weights that are measured, kept and composed with are a running mean of those that
    /// learn, each step moving it by 1 minus this (Polyak & Juditsky 1992); 0 takes the learning
    /// weights themselves. It calms a held-out loss that jumps from epoch to epoch.
    pub averaging: f64,
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from 0.
    pub warm_up: usize,
    /// Epochs without a better held-out loss before stopping; none never stops early.
    pub early_stop: Option<usize>,
    /// Whether sequences come in a new order each epoch.
    pub shuffle: bool,
    /// Each sequence is shifted by a random number of semitones up to this, either way.
    pub transpose: u8,
    /// Whether the hidden state goes on from one sequence of a piece to the next.
    pub carry_state: bool,
    pub batching: Batching,
    pub initialization: Initialization,
    pub fps: FrameRate,
    pub framing: Framing,
    pub pedalling: Pedalling,
    /// Whether frames are counted in seconds or in notes of the bar.
    pub grid: Grid,
    pub split: SplitKind,
    pub max_vocabulary: Option<usize>,
    pub min_count: u64,
    /// Epochs between checkpoints kept apart from the best and the last three; 0 keeps none.
    pub save_every: usize,
    pub seed: u64,
}

impl TrainingSettings {
    /// The default settings of the first family. They are also what a run had whose file doesn't
    /// say: there was one family then.
    pub fn chords() -> Self {
        Self::for_model(ModelKind::Lstm, Preset::Default)
    }

    /// Those of the original experiment.
    pub fn original() -> Self {
        Self::for_model(ModelKind::Lstm, Preset::Original)
    }

    /// A preset for a kind of model: its family decides how large and how careful the steps are,
    /// the preset how the music is framed, cut and held out.
    pub fn for_model(model: ModelKind, preset: Preset) -> Self {
        let default = match model {
            ModelKind::Lstm | ModelKind::Gru => Self::of_chords(model),
            ModelKind::Keys => Self::of_keys(),
        };
        match preset {
            Preset::Default => default,
            Preset::Original => default.with_alphabet(Alphabet::OffOn).in_the_original_way(),
        }
    }

    /// The same with another alphabet, at the rate that is usual for it if this is the one that is
    /// usual for its own.
    pub fn with_alphabet(self, alphabet: Alphabet) -> Self {
        let is_usual = self.fps == self.usual_rate();
        let changed = Self { alphabet, ..self };
        let fps = if is_usual { changed.usual_rate() } else { changed.fps };
        Self { fps, ..changed }
    }

    /// Frames in a second that are usual: few for chords, and as many as rhythm needs where a frame
    /// in which nothing changes costs nothing.
    fn usual_rate(&self) -> FrameRate {
        if self.has_touch() { FrameRate::TOUCH_DEFAULT } else { FrameRate::INPUT_DEFAULT }
    }

    /// The same for another kind of model. One of the other family brings its own size and steps;
    /// what is asked of the music, and how long and by which seed is learned, stays.
    pub fn with_model(&self, model: ModelKind) -> Self {
        if model.has_vocabulary() == self.model.has_vocabulary() {
            return Self { model, ..self.clone() };
        }
        let default = Self::for_model(model, Preset::Default);
        let default = match self.framing {
            Framing::Nearest => default,
            // The original knew no touch.
            Framing::Original => default.with_alphabet(Alphabet::OffOn),
        };
        Self {
            fps: if self.fps == self.usual_rate() { default.fps } else { self.fps },
            epochs: self.epochs,
            early_stop: self.early_stop,
            framing: self.framing,
            pedalling: self.pedalling,
            grid: self.grid,
            split: self.split,
            max_vocabulary: self.max_vocabulary,
            min_count: self.min_count,
            save_every: self.save_every,
            seed: self.seed,
            ..default
        }
    }

    fn of_chords(model: ModelKind) -> Self {
        Self {
            model,
            layers: 2,
            hidden: 512,
            key_hidden: 64,
            alphabet: Alphabet::OffOn,
            softmax: Softmax::Full,
            epochs: 50,
            batch: 256,
            sequence: 100,
            learning_rate: 0.002,
            optimizer: Optimizer::Adam,
            weight_decay: 0.0005,
            dropout: 0.65,
            clip: Some(1.0),
            averaging: 0.98,
            schedule: Schedule::Cosine,
            warm_up: 20,
            early_stop: Some(8),
            shuffle: true,
            transpose: 0,
            carry_state: false,
            batching: Batching::Fitted,
            initialization: Initialization::Unigram,
            fps: FrameRate::INPUT_DEFAULT,
            framing: Framing::Nearest,
            pedalling: Pedalling::Keys,
            grid: Grid::Seconds,
            split: SplitKind::Pieces,
            max_vocabulary: Some(4_000),
            min_count: 1,
            save_every: 0,
            seed: 0,
        }
    }

    /// A network with tied weights is small, learns from every key at once and wants few sequences
    /// in many steps. What it doesn't concern stays as it is for the first family.
    fn of_keys() -> Self {
        Self {
            model: ModelKind::Keys,
            layers: 1,
            hidden: 128,
            batch: 16,
            sequence: 64,
            learning_rate: 0.003,
            optimizer: Optimizer::AdamW,
            weight_decay: 0.01,
            dropout: 0.3,
            averaging: 0.99,
            transpose: 6,
            alphabet: Alphabet::Full,
            fps: FrameRate::TOUCH_DEFAULT,
            ..Self::of_chords(ModelKind::Lstm)
        }
    }

    fn in_the_original_way(self) -> Self {
        Self {
            dropout: 0.0,
            clip: None,
            averaging: 0.0,
            schedule: Schedule::Constant,
            warm_up: 0,
            early_stop: None,
            shuffle: false,
            transpose: 0,
            carry_state: true,
            batching: Batching::Columns,
            initialization: Initialization::Plain,
            framing: Framing::Original,
            split: SplitKind::Tail,
            max_vocabulary: None,
            ..self
        }
    }

    pub fn framing_plan(&self) -> FramingPlan {
        let Self { fps: rate, framing, pedalling, grid, .. } = *self;
        FramingPlan { rate, framing, pedalling, grid }
    }

    /// How the music is read for this kind of model.
    pub fn music_plan(&self) -> MusicPlan {
        match self.model.has_vocabulary() {
            true => MusicPlan::Chords(self.framing_plan()),
            false => self.alphabet.music_plan(self.framing_plan()),
        }
    }

    /// Whether strikes, velocities and the pedal are learned.
    pub fn has_touch(&self) -> bool {
        !self.model.has_vocabulary() && self.alphabet == Alphabet::Full
    }

    pub fn vocabulary_limits(&self) -> VocabularyLimits {
        VocabularyLimits { max_chords: self.max_vocabulary, min_count: self.min_count }
    }

    /// Refuses values no training can use, with words.
    pub fn validate(&self) -> Result<(), SettingsError> {
        whole("--layers", self.layers, 1, MAX_LAYERS)?;
        whole("--hidden", self.hidden, 1, MAX_HIDDEN)?;
        whole("--key-hidden", self.key_hidden, 0, MAX_KEY_HIDDEN)?;
        if self.softmax != Softmax::Full && !self.model.has_vocabulary() {
            let rule = "a model without a vocabulary has none; leave it out, or train lstm or gru";
            return Err(refusal("--softmax", "adaptive", rule));
        }
        whole("--epochs", self.epochs, 1, MAX_EPOCHS)?;
        whole("--batch", self.batch, 1, MAX_BATCH)?;
        whole("--sequence", self.sequence, 1, MAX_SEQUENCE)?;
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(refusal("--learning-rate", self.learning_rate, "give more than 0"));
        }
        if !(0.0..=1.0).contains(&self.weight_decay) {
            return Err(refusal("--weight-decay", self.weight_decay, "give 0 to 1"));
        }
        if !(0.0..=MAX_DROPOUT).contains(&self.dropout) {
            return Err(refusal("--dropout", self.dropout, "give 0 to 0.95"));
        }
        if let Some(clip) = self.clip
            && !(clip > 0.0 && clip.is_finite())
        {
            return Err(refusal("--clip", clip, "give more than 0, or none"));
        }
        if !(0.0..=MAX_AVERAGING).contains(&self.averaging) {
            return Err(refusal("--averaging", self.averaging, "give 0 to 0.9999"));
        }
        if self.framing == Framing::Original && self.grid != Grid::Seconds {
            let rule = "the original framing knows seconds only; choose them, or --framing nearest";
            return Err(refusal("--grid", self.grid, rule));
        }
        if self.framing == Framing::Original && self.has_touch() {
            let rule = "the original framing knows neither strikes nor pedal; choose off-on, or \
                        --framing nearest";
            return Err(refusal("--alphabet", "full", rule));
        }
        if self.early_stop == Some(0) {
            return Err(refusal("--early-stop", 0, "give 1 or more epochs, or none"));
        }
        if usize::from(self.transpose) > MAX_TRANSPOSE {
            return Err(refusal("--transpose", self.transpose, "give 0 to 24 semitones"));
        }
        if let Some(max) = self.max_vocabulary {
            whole("--max-vocabulary", max, 2, MAX_VOCABULARY)?;
        }
        Ok(())
    }
}

/// The limits: beyond them a value is a slip of the hand, not a wish.
pub(super) const MAX_LAYERS: usize = 8;
pub(super) const MAX_HIDDEN: usize = 4_096;
pub(super) const MAX_KEY_HIDDEN: usize = 1_024;
const MAX_EPOCHS: usize = 1_000_000;
const MAX_BATCH: usize = 65_536;
const MAX_SEQUENCE: usize = 65_536;
const MAX_DROPOUT: f64 = 0.95;
const MAX_AVERAGING: f64 = 0.9999;
const MAX_TRANSPOSE: usize = 24;
pub(super) const MAX_VOCABULARY: usize = 10_000_000;

fn whole(
    setting: &'static str,
    value: usize,
    least: usize,
    most: usize,
) -> Result<(), SettingsError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(SettingsError {
            setting,
            value: value.to_string(),
            rule: format!("give {least} to {most}"),
        })
    }
}

fn refusal(setting: &'static str, value: impl ToString, rule: &str) -> SettingsError {
    SettingsError { setting, value: value.to_string(), rule: rule.to_owned() }
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self::for_model(ModelKind::default(), Preset::Default)
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{setting} can't be {value} — {rule}")]
pub struct SettingsError {
    pub setting: &'static str,
    pub value: String,
    pub rule: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The setting that is refused after a change to the defaults, and in which words.
    fn refused(change: impl FnOnce(&mut TrainingSettings)) -> String {
        let mut settings = TrainingSettings::default();
        change(&mut settings);
        settings.validate().expect_err("this should be refused").to_string()
    }

    #[test]
    fn both_presets_are_usable() {
        for model in [ModelKind::Lstm, ModelKind::Gru, ModelKind::Keys] {
            for preset in [Preset::Default, Preset::Original] {
                assert_eq!(TrainingSettings::for_model(model, preset).validate(), Ok(()));
            }
        }
    }

    #[test]
    fn impossible_values_are_refused_in_words() {
        assert_eq!(refused(|s| s.epochs = 0), "--epochs can't be 0 — give 1 to 1000000");
        assert_eq!(refused(|s| s.hidden = 0), "--hidden can't be 0 — give 1 to 4096");
        assert_eq!(refused(|s| s.layers = 9), "--layers can't be 9 — give 1 to 8");
        assert_eq!(
            refused(|s| s.learning_rate = f64::NAN),
            "--learning-rate can't be NaN — give more than 0"
        );
        assert_eq!(refused(|s| s.dropout = 1.0), "--dropout can't be 1 — give 0 to 0.95");
        assert_eq!(
            refused(|s| s.clip = Some(-1.0)),
            "--clip can't be -1 — give more than 0, or none"
        );
        assert!(refused(|s| s.averaging = 1.0).starts_with("--averaging"));
        let original_beats = |s: &mut TrainingSettings| {
            s.framing = Framing::Original;
            s.grid = Grid::Beats(crate::tokens::StepsPerQuarter::SIXTEENTHS);
        };
        assert!(refused(original_beats).starts_with("--grid can't be sixteenth — the original"));
        assert!(refused(|s| s.batch = 0).starts_with("--batch"));
        assert!(refused(|s| s.sequence = 0).starts_with("--sequence"));
        assert!(refused(|s| s.weight_decay = f64::INFINITY).starts_with("--weight-decay"));
        assert!(refused(|s| s.early_stop = Some(0)).starts_with("--early-stop"));
        assert!(refused(|s| s.transpose = 100).starts_with("--transpose"));
        assert!(refused(|s| s.max_vocabulary = Some(0)).starts_with("--max-vocabulary"));
    }

    #[test]
    fn another_family_brings_its_own_size_and_keeps_what_is_asked_of_the_music() {
        let chords = TrainingSettings {
            model: ModelKind::Lstm,
            hidden: 20,
            softmax: Softmax::Adaptive,
            epochs: 7,
            split: SplitKind::Tail,
            ..TrainingSettings::chords()
        };
        let gru = chords.with_model(ModelKind::Gru);
        assert_eq!(gru, TrainingSettings { model: ModelKind::Gru, ..chords.clone() });
        let keys = chords.with_model(ModelKind::Keys);
        let default = TrainingSettings::for_model(ModelKind::Keys, Preset::Default);
        assert_eq!(keys, TrainingSettings { epochs: 7, split: SplitKind::Tail, ..default });
        assert_eq!(keys.validate(), Ok(()));
        assert_eq!(keys.with_model(ModelKind::Lstm).fps, chords.fps);
        let finer = TrainingSettings { fps: FrameRate::new(5.0).unwrap(), ..chords };
        assert_eq!(finer.with_model(ModelKind::Keys).fps, finer.fps);
        let original = TrainingSettings { framing: Framing::Original, ..finer };
        assert_eq!(original.with_model(ModelKind::Keys).alphabet, Alphabet::OffOn);
        assert!(
            refused(|s| *s = TrainingSettings { softmax: Softmax::Adaptive, ..keys })
                .starts_with("--softmax can't be adaptive")
        );
    }

    #[test]
    fn settings_survive_their_json() {
        let settings = TrainingSettings::for_model(ModelKind::Keys, Preset::Original);
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<TrainingSettings>(&json).unwrap(), settings);
        // A run of an older version, without the fields that came later.
        let sparse: TrainingSettings = serde_json::from_str(r#"{"hidden": 64}"#).unwrap();
        let older = TrainingSettings::chords();
        assert_eq!(sparse, TrainingSettings { hidden: 64, ..older });
    }
}
