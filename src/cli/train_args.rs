//! The words of `etude train`: every setting of a run, laid over a preset.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::FramingWord;
use super::values::{
    averaging, clip, device, dropout, frame_rate, from_zero, from_zero_to, grid, learning_rate,
    seed, semitones, times, up_to, vocabulary_size_or_off, weight_decay,
};
use crate::model::{
    Alphabet, DeviceChoice, ModelKind, Optimizer, Preset, Schedule, Softmax, TrainingSettings,
};
use crate::tokens::{BenchmarkSet, FrameRate, Grid, Pedalling, SplitKind};

/// Train a network on MIDI files and keep what it learned in a run folder
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude train music/ --out runs/first
  etude train music/ --out runs/small --hidden 64 --key-hidden 32 --epochs 20
  etude train music/ --out runs/chords --model lstm            chords of a vocabulary
  etude train music/ --out runs/first --resume                 go on where it ended
  etude train my/ --out runs/mine --from starter               fine-tune the built-in model
  etude train music/ --out runs/again --preset original        as the original experiment did
  etude train jsb-chorales.json.gz --out runs/jsb              a benchmark, with its own split

Every setting may be left out: the defaults learn well on little music. What the original
experiment had instead stands beside them; flags given beside --preset count before it.
Ctrl+C ends after the step at hand and keeps the best and the last weights; a second Ctrl+C
ends at once.")]
pub struct TrainArgs {
    /// MIDI files or folders, or a set of frames with a split of its own (.json, .json.gz) [default:
    /// the built-in pieces]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The run folder to make; one with anything in it is refused unless --resume
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Fine-tune: a new run that goes on from the weights of a checkpoint, or of the best one of a run
    /// folder, or of `starter`, the built-in model. The network and how music is cut are the
    /// checkpoint's, and it stays the best until an epoch is better on the held-out music [default: a
    /// fresh network]
    #[arg(long, value_name = "CHECKPOINT")]
    pub from: Option<PathBuf>,
    /// Go on with the run in --out, with its own settings and music; --epochs may differ
    #[arg(long)]
    pub resume: bool,
    /// What to compute on: auto (the fastest that works), cpu, cuda, cuda:1, vulkan (see `etude
    /// devices`)
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: DeviceChoice,
    /// Where the settings start from: `default`, or `original` for those of the original experiment
    #[arg(long, value_enum, value_name = "NAME", default_value_t = PresetWord::Default, hide_possible_values = true)]
    pub preset: PresetWord,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub learning: LearningArgs,
    #[command(flatten)]
    pub music: MusicArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The network")]
pub struct NetworkArgs {
    /// The kind of network: keys, which spells every chord key by key and knows no unknown one; lstm
    /// or gru (also chord-lstm, chord-gru), which know the chords of a vocabulary. What is left out
    /// is chosen for the kind: defaults of chords are those of lstm and gru [default: keys; original:
    /// lstm]
    #[arg(long, value_enum, value_name = "KIND", hide_possible_values = true)]
    pub model: Option<ModelWord>,
    /// Stacked layers, 1–8 [default: 1; chords: 2]
    #[arg(long, value_name = "N", value_parser = up_to::<8>, allow_negative_numbers = true)]
    pub layers: Option<usize>,
    /// Units in a layer, 1–4,096; of keys those that listen over each pitch class [default: 128;
    /// chords: 512]
    #[arg(long, value_name = "N", value_parser = up_to::<4_096>, allow_negative_numbers = true)]
    pub hidden: Option<usize>,
    /// Units that listen over each key of the piano, 0–1,024; 0 for none; for keys alone [default: 64]
    #[arg(long, value_name = "N", value_parser = from_zero_to::<1_024>, allow_negative_numbers = true)]
    pub key_hidden: Option<usize>,
    /// What is said of each key, for keys alone: full, which keys are struck, how hard, the pedal, and
    /// how long; off-on, only whether it sounds [default: full; of sets and original framing: off-on]
    #[arg(long, value_enum, value_name = "WHAT", hide_possible_values = true)]
    pub alphabet: Option<AlphabetWord>,
    /// How one chord is chosen, not for keys: full, among all at once; adaptive, in two steps, which takes a
    /// half of the time with 16,000 chords and a quarter with 40,000 [default: full]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub softmax: Option<SoftmaxWord>,
    /// Share of activations left out between layers while learning, 0–0.95 [default: 0.3; chords:
    /// 0.65; original: 0]
    #[arg(long, value_name = "SHARE", value_parser = dropout, allow_negative_numbers = true)]
    pub dropout: Option<f64>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Learning")]
pub struct LearningArgs {
    /// Passes over the music, 1–100,000 [default: 50]
    #[arg(long, value_name = "N", value_parser = up_to::<100_000>, allow_negative_numbers = true)]
    pub epochs: Option<usize>,
    /// Sequences in a step, 1–65,536; shrinks until an epoch has at least eight steps [default: 16;
    /// chords: 256]
    #[arg(long, value_name = "N", value_parser = up_to::<65_536>, allow_negative_numbers = true)]
    pub batch: Option<usize>,
    /// Frames in a sequence, 1–10,000; with --alphabet full those in which something changes [default:
    /// 64; chords: 100]
    #[arg(long, value_name = "FRAMES", value_parser = up_to::<10_000>, allow_negative_numbers = true)]
    pub sequence: Option<usize>,
    /// How far weights move in a step, above 0 and up to 10 [default: 0.003; chords: 0.002; with --from
    /// 0.0005, since larger steps soon undo what is known already]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub learning_rate: Option<f64>,
    /// What moves the weights: adam, whose weight decay is a penalty on large weights; adamw, whose
    /// weight decay shrinks every weight alike [default: adamw; chords: adam]
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = true)]
    pub optimizer: Option<OptimizerWord>,
    /// How strongly weights are pulled towards 0, 0–1; with adamw some twenty times more is usual
    /// [default: 0.01; chords: 0.0005]
    #[arg(long, value_name = "WEIGHT", value_parser = weight_decay, allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradients, 0–1,000,000; 0 for no limit [default: 1; original: 0]
    #[arg(long, value_name = "NORM", value_parser = clip, allow_negative_numbers = true)]
    pub clip: Option<f64>,
    /// How much of the running mean of weights stays at each step, 0–0.9999; 0 for no mean [default:
    /// 0.99; chords: 0.98; original: 0]
    #[arg(long, value_name = "SHARE", value_parser = averaging, allow_negative_numbers = true)]
    pub averaging: Option<f64>,
    /// How the learning rate moves: constant; cosine, which falls along half a cosine; plateau, which
    /// is halved when the held-out loss stops falling [default: cosine; original: constant]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub schedule: Option<ScheduleWord>,
    /// Steps over which the learning rate rises, 0 or more; 0 for none [default: 20; original: 0]
    #[arg(long, value_name = "STEPS", value_parser = from_zero, allow_negative_numbers = true)]
    pub warm_up: Option<usize>,
    /// Stop after this many epochs without a better held-out loss, 0 or more; 0 for never [default: 8;
    /// original: 0]
    #[arg(long, value_name = "EPOCHS", value_parser = from_zero, allow_negative_numbers = true)]
    pub early_stop: Option<usize>,
    /// A new order of the sequences each epoch, =on or =off; alone it is on [default: on; original:
    /// off]
    #[arg(long, value_enum, value_name = "SWITCH", hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub shuffle: Option<Switch>,
    /// Shift each sequence by up to this many semitones, up or down, 0–24 [default: 6; chords: 0;
    /// original: 0]
    #[arg(long, value_name = "SEMITONES", value_parser = semitones, allow_negative_numbers = true)]
    pub transpose: Option<u8>,
    /// Keep the hidden state from one sequence to the next, =on or =off; alone it is on [default: off;
    /// original: on]
    #[arg(long, value_enum, value_name = "SWITCH", hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub carry_state: Option<Switch>,
    /// Keep a checkpoint every so many epochs beside the best and the last three, 0 or more; 0 for
    /// none [default: 0]
    #[arg(long, value_name = "EPOCHS", value_parser = from_zero, allow_negative_numbers = true)]
    pub save_every: Option<usize>,
    /// What makes a run repeatable, any whole number from 0 [default: 0]
    #[arg(long, value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The music")]
pub struct MusicArgs {
    /// Frames in a second of music, 0.1–200 [default: 16; of chords and off-on: 2]
    #[arg(long, value_name = "RATE", value_parser = frame_rate, allow_negative_numbers = true)]
    pub fps: Option<FrameRate>,
    /// What a frame is: seconds (as --fps says), or for music whose beats can be trusted a note:
    /// quarter, eighth, eighth-triplet, sixteenth, …, or 1 to 24 frames to a quarter [default: seconds]
    #[arg(long, value_name = "NOTE", value_parser = grid, allow_negative_numbers = true)]
    pub grid: Option<Grid>,
    /// How notes meet the grid of frames: nearest, so that no note is lost, or original (first
    /// instrument only, short notes vanish) [default: nearest; original: original]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub framing: Option<FramingWord>,
    /// Let the sustain pedal lengthen notes [default: off]
    #[arg(long)]
    pub pedal: bool,
    /// What is held out: pieces, whole ones, or tail, the last fifth of everything joined [default:
    /// pieces; original: tail]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub split: Option<SplitWord>,
    /// Most chords in the vocabulary, not for keys, 2 or more; 0 for no limit [default: 4,000; original framing: 0]
    #[arg(long, value_name = "CHORDS", value_parser = vocabulary_size_or_off, allow_negative_numbers = true)]
    pub max_vocabulary: Option<usize>,
    /// Chords seen fewer times stay outside the vocabulary, not for keys, 1 or more [default: 1]
    #[arg(long, value_name = "TIMES", value_parser = times, allow_negative_numbers = true)]
    pub min_count: Option<u64>,
}

impl MusicArgs {
    /// The flags that say how time is cut into frames, and whether they were given.
    pub fn framing_flags(&self) -> [(&'static str, bool); 3] {
        [
            ("--fps", self.fps.is_some()),
            ("--framing", self.framing.is_some()),
            ("--pedal", self.pedal),
        ]
    }
}

impl TrainArgs {
    pub fn preset(&self) -> TrainingSettings {
        let usual = match self.preset {
            PresetWord::Default => ModelKind::default(),
            PresetWord::Original => ModelKind::Lstm,
        };
        let model = self.network.model.map_or(usual, Into::into);
        let preset = TrainingSettings::for_model(model, self.preset.into());
        let alphabet = self.alphabet(preset.alphabet);
        preset.with_alphabet(alphabet)
    }

    /// The one that is asked for, else that of the preset where the music says enough: the original's
    /// framing leaves touch out, and sets only say which keys sound.
    fn alphabet(&self, of_preset: Alphabet) -> Alphabet {
        let is_original = self.music.framing == Some(FramingWord::Original);
        match self.network.alphabet {
            Some(given) => given.into(),
            None if is_original || self.paths.iter().any(|path| BenchmarkSet::is_named(path)) => {
                Alphabet::OffOn
            }
            None => of_preset,
        }
    }

    /// The first flag given that means nothing to this kind of model, with what to do.
    pub fn misplaced(&self, model: ModelKind) -> Option<String> {
        let (network, music) = (&self.network, &self.music);
        let of_chords = [
            ("--softmax", network.softmax.is_some()),
            ("--max-vocabulary", music.max_vocabulary.is_some()),
            ("--min-count", music.min_count.is_some()),
        ];
        let of_keys = [
            ("--key-hidden", network.key_hidden.is_some()),
            ("--alphabet", network.alphabet.is_some()),
        ];
        let given = |flags: &[(&'static str, bool)]| {
            flags.iter().find(|(_, is_given)| *is_given).map(|(flag, _)| *flag)
        };
        if model.has_vocabulary() {
            let flag = given(&of_keys)?;
            return Some(format!(
                "{flag} is for models that spell key by key — leave it out, or give --model keys"
            ));
        }
        let flag = given(&of_chords)?;
        Some(format!(
            "{flag} is for models with a vocabulary, which keys has none of — leave it out, or give \
             --model lstm or gru"
        ))
    }

    /// `base` with the flags laid over it.
    ///
    /// The original framing comes with a vocabulary that has no limit, as in the original, unless
    /// one is asked for. A run that goes on keeps its own.
    pub fn settings(&self, base: TrainingSettings) -> TrainingSettings {
        let (network, learning, music) = (&self.network, &self.learning, &self.music);
        let unless_zero = |given: Option<usize>, base: Option<usize>| match given {
            Some(0) => None,
            Some(value) => Some(value),
            None => base,
        };
        let turns_original = !self.resume && music.framing == Some(FramingWord::Original);
        let base_vocabulary = if turns_original { None } else { base.max_vocabulary };
        TrainingSettings {
            model: network.model.map_or(base.model, Into::into),
            layers: network.layers.unwrap_or(base.layers),
            hidden: network.hidden.unwrap_or(base.hidden),
            key_hidden: network.key_hidden.unwrap_or(base.key_hidden),
            alphabet: network.alphabet.map_or(base.alphabet, Into::into),
            softmax: network.softmax.map_or(base.softmax, Into::into),
            dropout: network.dropout.unwrap_or(base.dropout),
            epochs: learning.epochs.unwrap_or(base.epochs),
            batch: learning.batch.unwrap_or(base.batch),
            sequence: learning.sequence.unwrap_or(base.sequence),
            learning_rate: learning.learning_rate.unwrap_or(base.learning_rate),
            optimizer: learning.optimizer.map_or(base.optimizer, Into::into),
            weight_decay: learning.weight_decay.unwrap_or(base.weight_decay),
            clip: learning.clip.map_or(base.clip, |norm| (norm > 0.0).then_some(norm)),
            averaging: learning.averaging.unwrap_or(base.averaging),
            schedule: learning.schedule.map_or(base.schedule, Into::into),
            warm_up: learning.warm_up.unwrap_or(base.warm_up),
            early_stop: unless_zero(learning.early_stop, base.early_stop),
            shuffle: learning.shuffle.map_or(base.shuffle, Switch::is_on),
            transpose: learning.transpose.unwrap_or(base.transpose),
            carry_state: learning.carry_state.map_or(base.carry_state, Switch::is_on),
            save_every: learning.save_every.unwrap_or(base.save_every),
            seed: learning.seed.unwrap_or(base.seed),
            fps: music.fps.unwrap_or(base.fps),
            grid: music.grid.unwrap_or(base.grid),
            framing: music.framing.map_or(base.framing, Into::into),
            pedalling: if music.pedal { Pedalling::Sustained } else { base.pedalling },
            split: music.split.map_or(base.split, Into::into),
            max_vocabulary: unless_zero(music.max_vocabulary, base_vocabulary),
            min_count: music.min_count.unwrap_or(base.min_count),
            ..base
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PresetWord {
    /// Learns well on little data
    Default,
    /// Every setting as the original experiment had it
    Original,
}

impl From<PresetWord> for Preset {
    fn from(word: PresetWord) -> Self {
        match word {
            PresetWord::Default => Self::Default,
            PresetWord::Original => Self::Original,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModelWord {
    /// Chords of a vocabulary, read by long short-term memory
    #[value(alias = "chord-lstm")]
    Lstm,
    /// The same, read by gated recurrent units: fewer weights
    #[value(alias = "chord-gru")]
    Gru,
    /// Every chord spelled key by key
    Keys,
}

impl From<ModelWord> for ModelKind {
    fn from(word: ModelWord) -> Self {
        match word {
            ModelWord::Lstm => Self::Lstm,
            ModelWord::Gru => Self::Gru,
            ModelWord::Keys => Self::Keys,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlphabetWord {
    /// Whether a key sounds
    OffOn,
    /// Also whether it is struck, how hard, and the pedal
    Full,
}

impl From<AlphabetWord> for Alphabet {
    fn from(word: AlphabetWord) -> Self {
        match word {
            AlphabetWord::OffOn => Self::OffOn,
            AlphabetWord::Full => Self::Full,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SoftmaxWord {
    /// Among all chords at once
    Full,
    /// First among the commonest and groups of the others, then within a group
    Adaptive,
}

impl From<SoftmaxWord> for Softmax {
    fn from(word: SoftmaxWord) -> Self {
        match word {
            SoftmaxWord::Full => Self::Full,
            SoftmaxWord::Adaptive => Self::Adaptive,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptimizerWord {
    /// The weight decay is part of the gradient
    Adam,
    /// The weight decay is decoupled from the gradient
    Adamw,
}

impl From<OptimizerWord> for Optimizer {
    fn from(word: OptimizerWord) -> Self {
        match word {
            OptimizerWord::Adam => Self::Adam,
            OptimizerWord::Adamw => Self::AdamW,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScheduleWord {
    /// The same in every step
    Constant,
    /// Falls along half a cosine
    Cosine,
    /// Halved when the held-out loss stops falling
    Plateau,
}

impl From<ScheduleWord> for Schedule {
    fn from(word: ScheduleWord) -> Self {
        match word {
            ScheduleWord::Constant => Self::Constant,
            ScheduleWord::Cosine => Self::Cosine,
            ScheduleWord::Plateau => Self::Plateau,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum SplitWord {
    /// Whole pieces, chosen by the seed or by the set's own table
    Pieces,
    /// The last fifth of all pieces joined, as the original experiment did
    Tail,
}

impl From<SplitWord> for SplitKind {
    fn from(word: SplitWord) -> Self {
        match word {
            SplitWord::Pieces => Self::Pieces,
            SplitWord::Tail => Self::Tail,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    #[value(alias = "true", alias = "yes")]
    On,
    #[value(alias = "false", alias = "no")]
    Off,
}

impl Switch {
    fn is_on(self) -> bool {
        self == Self::On
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn vocabulary(words: &str, base: Option<usize>) -> Option<usize> {
        let words = ["train", "--out", "run"].into_iter().chain(words.split_whitespace());
        let Words { args } = Words::parse_from(words);
        args.settings(TrainingSettings { max_vocabulary: base, ..args.preset() }).max_vocabulary
    }

    #[test]
    fn softmax_and_optimizer_are_words() {
        let settings = |words: &str| {
            let words = ["train", "--out", "run"].into_iter().chain(words.split_whitespace());
            let Words { args } = Words::parse_from(words);
            let settings = args.settings(args.preset());
            (settings.softmax, settings.optimizer)
        };
        assert_eq!(settings("--model lstm"), (Softmax::Full, Optimizer::Adam));
        let given = settings("--model lstm --softmax adaptive --optimizer adamw");
        assert_eq!(given, (Softmax::Adaptive, Optimizer::AdamW));
        let given = settings("--model gru --softmax full --optimizer adam");
        assert_eq!(given, settings("--model lstm"));
        assert!(Words::try_parse_from(["train", "--out", "run", "--softmax", "half"]).is_err());
    }

    #[test]
    fn what_is_left_out_follows_the_kind_of_model() {
        let args = |words: &str| {
            let words = ["train", "--out", "run"].into_iter().chain(words.split_whitespace());
            Words::parse_from(words).args
        };
        let settings = |words: &str| args(words).settings(args(words).preset());
        assert_eq!(settings("--model keys"), settings(""));
        for name in ["lstm", "chord-lstm"] {
            assert_eq!(settings(&format!("--model {name}")), TrainingSettings::chords());
        }
        let gru = TrainingSettings { model: ModelKind::Gru, ..TrainingSettings::chords() };
        assert_eq!(settings("--model chord-gru"), gru);
        assert_eq!(settings("--preset original"), TrainingSettings::original());
        let keys = settings("--model keys --batch 5");
        assert_eq!((keys.layers, keys.hidden, keys.key_hidden, keys.batch), (1, 128, 64, 5));
        assert_eq!((keys.optimizer, keys.transpose), (Optimizer::AdamW, 6));
        assert_eq!(settings("--model keys --preset original").transpose, 0);
        // Sets and the original's framing know no touch, which comes at a rate of its own.
        let touch = |words: &str| {
            let settings = settings(words);
            (settings.has_touch(), settings.fps.per_second())
        };
        assert_eq!(touch("music/"), (true, 16.0));
        assert_eq!(touch("music/ --alphabet off-on"), (false, 2.0));
        assert_eq!(touch("jsb.json.gz --fps 4"), (false, 4.0));
        assert_eq!(touch("music/ --framing original"), (false, 2.0));
        assert_eq!(touch("music/ --model keys --preset original"), (false, 2.0));
        assert_eq!(touch("music/ --framing original --alphabet full"), (true, 16.0));
        let misplaced = |words: &str| args(words).misplaced(settings(words).model);
        assert_eq!(misplaced("--model keys --key-hidden 0 --alphabet off-on"), None);
        assert!(settings("--model keys --alphabet full --fps 16").has_touch());
        assert_eq!(misplaced("--model gru --softmax full --max-vocabulary 9"), None);
        assert!(
            misplaced("--model lstm --key-hidden 8")
                .unwrap()
                .starts_with("--key-hidden is for models")
        );
        let refused = misplaced("--model keys --max-vocabulary 90").unwrap();
        assert!(refused.starts_with("--max-vocabulary is for models with a vocabulary"));
    }

    #[test]
    fn the_original_framing_limits_no_vocabulary_unless_asked() {
        let usual = Some(4_000);
        assert_eq!(vocabulary("", usual), usual);
        assert_eq!(vocabulary("--framing nearest", usual), usual);
        assert_eq!(vocabulary("--framing original", usual), None);
        assert_eq!(vocabulary("--framing original --max-vocabulary 90", usual), Some(90));
        assert_eq!(vocabulary("--max-vocabulary 0", usual), None);
        assert_eq!(vocabulary("--resume --framing original", Some(70)), Some(70));
    }
}
