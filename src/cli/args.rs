//! The words of the command line: what may be written, with its limits and its help.
//!
//! Values are checked here as far as one value alone can be judged, so that a wrong one is a
//! wrong call (status 2) that names the flag. Nothing here does any work.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::train_args::TrainArgs;
use super::values::{
    at_least_one, beam_width, device, frame_rate, from_zero_to, grid, parse_chord, parse_pitch,
    sample_rate, seconds_or_off, seed, temperature, times, top_p, up_to, vocabulary_size,
};
use crate::model::{ComposeSettings, DeviceChoice, WeightFormat};
use crate::music::Pitch;
use crate::tokens::{Chord, FrameRate, Framing, Grid, OwnPart};

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "etude",
    version,
    about = ABOUT,
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Commands",
    after_help = AFTER_HELP
)]
pub struct Cli {
    /// A MIDI file or an Etude project to open in the studio
    pub file: Option<PathBuf>,

    /// Print the result as one JSON object on standard output (`train`: a line an epoch before it)
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Option<Command>,
}

const ABOUT: &str = "\
Learn to compose piano music from a folder of MIDI files.

Without a command the studio opens: a window with a piano roll, training curves and sound.
The commands below do the same work in a shell, on machines without a display too.";

const AFTER_HELP: &str = "\
Examples:
  etude                                         open the studio
  etude song.mid                                open the studio with a piece
  etude generate --model starter --out a.mid    compose with the built-in model
  etude train music/ --out runs/first           learn from a folder of MIDI files
  etude generate --model runs/first --out b.mid compose with what was learned
  etude render b.mid --out b.wav                make it a sound file

A PATH is a MIDI file or a folder, which is searched with all folders in it in sorted order.
A RUN is the folder one training makes, or one checkpoint in it.
A file of the name that --out gives is replaced, and that is said; a run never is.
Progress goes to standard error, results go to standard output.
Exit status: 0 done; 1 failed, with one line that says why; 2 the words of the call are off;
130 after Ctrl+C, with what was learned kept.";

#[derive(Subcommand, Debug)]
pub enum Command {
    Inspect(InspectArgs),
    Tokenize(TokenizeArgs),
    Train(Box<TrainArgs>),
    Generate(Box<GenerateArgs>),
    Evaluate(EvaluateArgs),
    Render(RenderArgs),
    Convert(ConvertArgs),
    Export(ExportArgs),
    Devices(DevicesArgs),
}

/// Say what is in MIDI files and projects: tracks, notes, length, tempo, meter, key, pedal, warnings
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  etude inspect music/ --json\n  etude inspect waltz.etude")]
pub struct InspectArgs {
    /// MIDI files, Etude projects, sets of frames (.json, .json.gz), or folders of MIDI files
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Turn pieces into numbers: one chord per frame, one token per chord
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude tokenize music/                          count frames and chords
  etude tokenize music/ --fps 8 --out t.json     write every token")]
pub struct TokenizeArgs {
    /// MIDI files or folders, or a set of frames (.json, .json.gz)
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Frames in a second of music, 0.1–200 [default: 2]
    #[arg(long, value_name = "RATE", value_parser = frame_rate, allow_negative_numbers = true)]
    pub fps: Option<FrameRate>,
    /// What a frame is: seconds (as --fps says), or for music whose beats can be trusted a note:
    /// quarter, eighth, eighth-triplet, sixteenth, …, or 1 to 24 frames to a quarter [default: seconds]
    #[arg(long, value_name = "NOTE", value_parser = grid, allow_negative_numbers = true)]
    pub grid: Option<Grid>,
    /// How notes meet the grid of frames: `nearest`, so that no note is lost, or `original`, as the
    /// original experiment did (first instrument only, short notes vanish) [default: nearest]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true)]
    pub framing: Option<FramingWord>,
    /// Let the sustain pedal lengthen notes [default: off]
    #[arg(long)]
    pub pedal: bool,
    /// Keep only this many chords, the most frequent, 2 or more; others become the nearest one kept
    /// [default: all]
    #[arg(long, value_name = "CHORDS", value_parser = vocabulary_size, allow_negative_numbers = true)]
    pub max_vocabulary: Option<usize>,
    /// Keep only chords seen this many times, 1 or more
    #[arg(long, value_name = "TIMES", default_value = "1", value_parser = times, allow_negative_numbers = true)]
    pub min_count: u64,
    /// Write frame rate, vocabulary and tokens to this JSON file; one that is there is replaced
    /// [default: nothing is written]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Compose with a trained model and write what came out as MIDI
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude generate --model starter --out a.mid
  etude generate --model runs/first --strategy beam --beam-width 10 --takes 3 --out a.mid
  etude generate --model runs/first --prime song.mid --temperature 0.8 --seed 7 --out a.mid
  etude generate --model starter --prime-chord C4,E4,G4 --no-repeat 0 --longest-hold 0 --out a.mid

With --takes N the files are called a-1.mid … a-N.mid, with `max`, whose takes would all be the
same, a-1.mid alone. The same seed gives the same notes.
A model with a vocabulary of chords tends to hold one or two notes below a temperature of 0.75, and
gets wild above 1.2.
A model that spells key by key (--model keys in training, and the starter) chooses every key in
turn: temperature and --top-p then act on each key's two states, and of --top-k only 1 leaves
anything out. Below 0.9 its music thins out to single notes, above 1.1 it grows dense.
What is likeliest, which `max` and `beam` look for, is mostly near silence.")]
pub struct GenerateArgs {
    /// A run folder, a checkpoint in it, or `starter` for the built-in model
    #[arg(long, value_name = "RUN")]
    pub model: PathBuf,
    /// The MIDI file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How the next chord is chosen: `sample` by lot, `max` always the likeliest, `beam` the
    /// likeliest whole phrases
    #[arg(long, value_enum, value_name = "HOW", default_value_t = StrategyWord::Sample, hide_possible_values = true)]
    pub strategy: StrategyWord,
    /// For `sample`: how daring, above 0 and up to 10; 1 is what was learned, less is safer
    /// [default: 0.97; with chords of a vocabulary: 0.9]
    #[arg(long, value_name = "T", value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// For `sample`: only the K likeliest chords, 1 or more [default: all]
    #[arg(long, value_name = "K", value_parser = at_least_one, allow_negative_numbers = true)]
    pub top_k: Option<usize>,
    /// For `sample`: only the likeliest chords that together have this share of the probability,
    /// above 0 and up to 1 [default: 1]
    #[arg(long, value_name = "P", value_parser = top_p, allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// For `beam`: how many phrases are followed at once, 1–256 [default: 10]
    #[arg(long, value_name = "WIDTH", value_parser = beam_width, allow_negative_numbers = true)]
    pub beam_width: Option<usize>,
    /// Frames to compose, 1–100,000
    #[arg(long, value_name = "FRAMES", default_value = "300", value_parser = up_to::<{ ComposeSettings::MAX_FRAMES }>, allow_negative_numbers = true)]
    pub frames: usize,
    /// Frames in a second of the music that is written, 0.1–200 [default: 8; with a model of the
    /// full alphabet its own time, on a grid the tempo of --prime]
    #[arg(long, value_name = "RATE", value_parser = frame_rate, allow_negative_numbers = true)]
    pub fps: Option<FrameRate>,
    #[command(flatten)]
    pub prime: PrimeArgs,
    /// How many takes to compose, 1–64; `max` gives one only
    #[arg(long, value_name = "N", default_value = "1", value_parser = up_to::<{ ComposeSettings::MAX_TAKES }>, allow_negative_numbers = true)]
    pub takes: usize,
    /// What makes a take repeatable, any whole number from 0; take n has the seed plus n − 1
    #[arg(long, default_value = "0", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Longest a chord may be held, rests included, in seconds, 0–3,600; 0 for no limit
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds_or_off, allow_negative_numbers = true)]
    pub longest_hold: f64,
    /// Never the same N different chords in succession twice, 0–1,000; 0 allows it
    #[arg(long, value_name = "N", default_value = "8", value_parser = from_zero_to::<{ ComposeSettings::MAX_NO_REPEAT }>, allow_negative_numbers = true)]
    pub no_repeat: usize,
    /// How the weights are kept: `f32` as learned; `f16` and `int8` are smaller, so that large
    /// models compose faster, and may give other notes; models that spell key by key stay `f32`
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = WeightWord::F32, hide_possible_values = true)]
    pub weights: WeightWord,
    /// Strike a pitch again at every new chord instead of holding it; a model of the full alphabet
    /// says itself what is struck [default: off]
    #[arg(long)]
    pub restrike: bool,
}

/// What the music starts from; silence if nothing is given
#[derive(Args, Debug)]
pub struct PrimeArgs {
    /// Start from the opening of a MIDI file; without any of these four it starts from silence
    #[arg(long, value_name = "FILE", group = "start")]
    pub prime: Option<PathBuf>,
    /// Start from one pitch: a MIDI key number, 0–127, or a name such as C4; a model that spells knows
    /// the keys of a piano alone, 21–108
    #[arg(long, value_name = "PITCH", value_parser = parse_pitch, group = "start", allow_negative_numbers = true)]
    pub prime_pitch: Option<Pitch>,
    /// Start from a chord: pitches with commas between them, such as C4,E4,G4
    #[arg(long, value_name = "PITCHES", value_parser = parse_chord, group = "start", allow_negative_numbers = true)]
    pub prime_chord: Option<Chord>,
    /// Start from a chord drawn by how often it was seen, or as a model that spells begins itself
    #[arg(long, group = "start")]
    pub prime_random: bool,
    /// How many frames of the opening of --prime are used, 1–100,000 [default: 32; with touch: 128]
    #[arg(long, value_name = "FRAMES", value_parser = up_to::<{ ComposeSettings::MAX_FRAMES }>, allow_negative_numbers = true)]
    pub prime_frames: Option<usize>,
}

/// Measure a model on files (loss, perplexity and accuracy, every frame counted), or composed music
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude evaluate --model runs/first other-music/ --json
  etude evaluate --model runs/jsb jsb-chorales.json.gz              the test part of a benchmark
  etude evaluate --model runs/jsb jsb-chorales.json.gz --part valid
  etude evaluate --music a-*.mid --model runs/first                 composed music beside its corpus
  etude evaluate --music a-*.mid --model starter --corpus music/

With --music it prints, for composed files beside the corpus: notes a second, polyphony, pitch range, \
pitch-class entropy, scale consistency, share of repeated frames, longest identical run, distinct \
chords, pairs and fours, velocity spread, and the longest passage shared with any piece of the \
corpus. Keys count as long as they are down, without the pedal. A passage is a succession of different \
chords, however long each is held and whatever rests lie between; the corpus is read for it at --fps \
and as the model read it. Of the corpus, windows as long as the takes are measured; a star marks what lies outside their middle 80 %.")]
pub struct EvaluateArgs {
    /// A run folder, a checkpoint in it, or `starter` for the built-in model; with --music what
    /// composed it
    #[arg(long, value_name = "RUN", required_unless_present = "music")]
    pub model: Option<PathBuf>,
    /// MIDI files or folders, or a set of frames with a split of its own (.json, .json.gz)
    #[arg(required_unless_present = "music", conflicts_with = "music", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Which part of a set's own split is measured: train, valid, test, or all [default: test for a
    /// set of frames, else all]
    #[arg(
        long,
        value_enum,
        value_name = "PART",
        hide_possible_values = true,
        conflicts_with = "music"
    )]
    pub part: Option<PartWord>,
    /// Composed MIDI files, or folders of them, to measure instead of a model
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Composed music")]
    pub music: Vec<PathBuf>,
    /// The music to compare with; with `starter` or an exported model it has to be named [default:
    /// what the run of --model learned from]
    #[arg(long, value_name = "PATH", num_args = 1.., help_heading = "Composed music")]
    pub corpus: Vec<PathBuf>,
    /// Frames in a second of music, 0.1–200 [default: 8]
    #[arg(long, value_name = "RATE", value_parser = frame_rate, allow_negative_numbers = true, help_heading = "Composed music")]
    pub fps: Option<FrameRate>,
    /// Length of the windows of the corpus, 0–3,600; 0 for whole pieces [default: as long as the
    /// takes]
    #[arg(long, value_name = "SECONDS", value_parser = seconds_or_off, allow_negative_numbers = true, help_heading = "Composed music")]
    pub window: Option<f64>,
}

/// A part of a set's own split.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartWord {
    /// What is to be learned from
    Train,
    /// What the best epoch is to be chosen by
    Valid,
    /// What nothing is to be chosen by
    Test,
    /// Everything
    All,
}

impl PartWord {
    /// `None` for everything.
    pub fn own_part(self) -> Option<OwnPart> {
        match self {
            Self::Train => Some(OwnPart::Train),
            Self::Valid => Some(OwnPart::Valid),
            Self::Test => Some(OwnPart::Test),
            Self::All => None,
        }
    }
}

/// Play a piece into a WAV file
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  etude render a.mid --out a.wav --bits 24")]
pub struct RenderArgs {
    /// A MIDI file or an Etude project
    #[arg(value_name = "FILE")]
    pub piece: PathBuf,
    /// The WAV file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// An SF2 or SF3 file, or the name of an installed one, to play with [default: the built-in piano]
    #[arg(long, value_name = "FONT")]
    pub soundfont: Option<PathBuf>,
    /// Samples in a second, 8,000–192,000
    #[arg(long, value_name = "HZ", default_value = "44100", value_parser = sample_rate, allow_negative_numbers = true)]
    pub sample_rate: u32,
    /// Bits in a sample
    #[arg(long, default_value = "16", value_parser = ["16", "24"])]
    pub bits: String,
}

/// Turn a MIDI file into an Etude project or back, losing nothing
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude convert a.mid --out a.etude
  etude convert a.etude --out a.mid")]
pub struct ConvertArgs {
    /// A MIDI file or an Etude project
    #[arg(value_name = "IN")]
    pub piece: PathBuf,
    /// The file to write; its name's end (.mid or .etude) says which kind. One that is there is
    /// replaced; a project is kept beside it (.etude.bak)
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
}

/// Write a model as one file that composes, without what is needed to train it further
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  etude export --model runs/first --out first.safetensors --half"
)]
pub struct ExportArgs {
    /// A run folder, a checkpoint in it, or `starter` for the built-in model
    #[arg(long, value_name = "RUN")]
    pub model: PathBuf,
    /// The file to write; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Sixteen bits a weight: half the size
    #[arg(long)]
    pub half: bool,
    /// What it was trained on, with credits; kept in the file [default: as the run says]
    #[arg(long, value_name = "TEXT")]
    pub about: Option<String>,
}

/// Say what can compute here, what can sound here, and why the rest can't
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  etude devices
  etude devices --fetch-cuda    for an NVIDIA card: fetch the libraries its kernels are compiled with")]
pub struct DevicesArgs {
    /// Fetch NVIDIA's run-time compiler and headers from PyPI into Etude's data folder
    #[arg(long)]
    pub fetch_cuda: bool,
    /// Don't ask before fetching
    #[arg(long, requires = "fetch_cuda")]
    pub yes: bool,
    /// Try one device with a small product and say whether it works (a child process of ours)
    #[arg(long, value_name = "DEVICE", value_parser = device, hide = true)]
    pub probe: Option<DeviceChoice>,
}

/// How notes meet the grid of frames.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum FramingWord {
    /// To the nearest boundary, so that no note is lost; all pitched parts
    Nearest,
    /// As the original experiment did: the first instrument only, short notes vanish
    Original,
}

impl From<FramingWord> for Framing {
    fn from(word: FramingWord) -> Self {
        match word {
            FramingWord::Nearest => Self::Nearest,
            FramingWord::Original => Self::Original,
        }
    }
}

/// How the weights of a model are kept while it composes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeightWord {
    /// Single precision
    F32,
    /// Sixteen bits
    F16,
    /// Eight bits and a scale for each output
    Int8,
}

impl From<WeightWord> for WeightFormat {
    fn from(word: WeightWord) -> Self {
        match word {
            WeightWord::F32 => Self::F32,
            WeightWord::F16 => Self::F16,
            WeightWord::Int8 => Self::Int8,
        }
    }
}

/// How the next chord is chosen.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum StrategyWord {
    /// Always the likeliest chord
    Max,
    /// A chord by lot, likely ones more often
    Sample,
    /// The likeliest whole phrases
    Beam,
}
