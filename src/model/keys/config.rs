//! What decides every shape of a network of the second family.

use serde::{Deserialize, Serialize};

use super::loss::FRAMES_ON_CPU;
use super::{features, slides};
use crate::model::memory;
use crate::tokens::{Chord, FramingPlan, Grid, MusicPlan, PerformancePlan, Touch};

/// Keys of a piano, A0 (21) to C8 (108).
pub const KEYS: usize = 88;
/// Pitch classes of an octave.
pub const CLASSES: usize = 12;
/// MIDI number of the lowest key.
pub const LOWEST: usize = 21;
/// Every key at once.
pub const PIANO: Chord = Chord::from_bits(((1 << KEYS) - 1) << LOWEST);

/// Tensors as wide as the speller that are held at once for every key: both layers before and
/// after the rectifier, what they are added up from, and the gradients on the way back.
const SPELLER_TENSORS: usize = 10;

/// What is said of a key in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alphabet {
    /// Whether it sounds: what benchmarks and the models with a vocabulary count.
    #[default]
    OffOn,
    /// Whether it sounds and whether it was struck in this frame, how hard, the pedal, and how many
    /// frames long nothing changes.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyConfig {
    /// Stacked recurrent layers of each tower.
    pub layers: usize,
    /// Units of the tower that stands over each pitch class.
    pub hidden: usize,
    /// Units of the tower that stands over each key; 0 leaves it out.
    pub key_hidden: usize,
    /// Units of the speller's two hidden layers.
    pub spell_hidden: usize,
    pub alphabet: Alphabet,
    /// Whether frames have a place on a grid.
    pub has_clock: bool,
}

/// Recurrent layers that stand over every pitch class, or over every key, with the same weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tower {
    /// How many times it stands side by side: [`CLASSES`] or [`KEYS`].
    pub places: usize,
    /// What it reads of a frame at each place.
    pub inputs: usize,
    pub hidden: usize,
    pub layers: usize,
}

/// Units that velocities, and the pedal, are decided with.
const TOUCH_HIDDEN: usize = 64;
/// Frames that one step lasts at most where runs are read: what is held longer takes another step.
pub const LENGTHS: usize = 32;
/// Velocities that are told apart are four apart.
pub const VELOCITIES: usize = 32;

impl Alphabet {
    /// How music cut like this is read for a network of this alphabet. Where in the bar a frame is
    /// only performances know.
    pub fn music_plan(self, frames: FramingPlan) -> MusicPlan {
        let touch = match self {
            Self::Full => Touch::Kept,
            Self::OffOn => Touch::Ignored,
        };
        match (touch, frames.grid) {
            (Touch::Ignored, Grid::Seconds) => MusicPlan::Chords(frames),
            (Touch::Ignored | Touch::Kept, _) => {
                MusicPlan::Performances(PerformancePlan { frames, touch })
            }
        }
    }

    /// Most frames that one step of a network lasts: frames in which nothing changes are no steps
    /// of their own, but for the alphabet that others are compared by.
    pub fn longest_run(self) -> u32 {
        match self {
            Self::OffOn => 1,
            Self::Full => LENGTHS as u32,
        }
    }

    /// What is asked of every key: whether it sounds, and with touch whether one that goes on
    /// sounding was struck again.
    pub fn n_questions(self) -> usize {
        match self {
            Self::OffOn => 1,
            Self::Full => 2,
        }
    }
}

impl KeyConfig {
    /// The tower over the pitch classes, and that over the keys if there is one.
    pub fn towers(&self) -> Vec<Tower> {
        let of_classes = Tower {
            places: CLASSES,
            inputs: features::class_width(self.alphabet),
            hidden: self.hidden,
            layers: self.layers,
        };
        let of_keys = Tower {
            places: KEYS,
            inputs: features::key_width(self.alphabet),
            hidden: self.key_hidden,
            layers: self.layers,
        };
        [of_classes, of_keys].into_iter().filter(|tower| tower.hidden > 0).collect()
    }

    /// Names and shapes of what is learned, in the one order that everything here keeps.
    pub fn parameter_shapes(&self) -> Vec<(String, [usize; 2])> {
        let mut shapes = Vec::new();
        for tower in self.towers() {
            for layer in 0..tower.layers {
                let inputs = if layer == 0 { tower.inputs } else { tower.hidden };
                let name = |what: &str| format!("{}.{layer}.{what}", tower.name());
                shapes.push((name("input_weights"), [inputs, 4 * tower.hidden]));
                shapes.push((name("recurrent_weights"), [tower.hidden, 4 * tower.hidden]));
                shapes.push((name("bias"), [1, 4 * tower.hidden]));
            }
        }
        let spell = self.spell_hidden;
        let mut add = |name: &str, shape| shapes.push((format!("speller.{name}"), shape));
        for tower in self.towers() {
            add(tower.name(), [tower.hidden, spell]);
        }
        let key_width = features::key_width(self.alphabet);
        let n_questions = self.alphabet.n_questions();
        add("before", [key_width, spell]);
        add("lower", [features::lower_width(self.alphabet), spell]);
        add("bias", [1, spell]);
        add("middle", [spell, spell]);
        add("middle_bias", [1, spell]);
        add("out", [spell, n_questions]);
        add("out_bias", [1, n_questions]);
        if self.alphabet == Alphabet::Full {
            let mut add = |name: &str, shape| shapes.push((format!("velocity.{name}"), shape));
            for tower in self.towers() {
                add(tower.name(), [tower.hidden, TOUCH_HIDDEN]);
            }
            add("before", [key_width, TOUCH_HIDDEN]);
            add("frame", [features::STRIKE_WIDTH, TOUCH_HIDDEN]);
            add("bias", [1, TOUCH_HIDDEN]);
            add("out", [TOUCH_HIDDEN, VELOCITIES]);
            add("out_bias", [1, VELOCITIES]);
            let of_frame =
                [("pedal", features::PEDAL_WIDTH, 1), ("length", features::LASTING_WIDTH, LENGTHS)];
            for (what, width, n_answers) in of_frame {
                let mut add = |name: &str, shape| shapes.push((format!("{what}.{name}"), shape));
                add("classes", [self.hidden, TOUCH_HIDDEN]);
                add("frame", [width, TOUCH_HIDDEN]);
                add("bias", [1, TOUCH_HIDDEN]);
                add("out", [TOUCH_HIDDEN, n_answers]);
                add("out_bias", [1, n_answers]);
            }
        }
        shapes
    }

    /// Numbers that are learned.
    pub fn n_parameters(&self) -> usize {
        self.parameter_shapes().iter().map(|(_, [rows, columns])| rows * columns).sum()
    }

    /// Shape of the state of every recurrent layer for `n_rows` sequences, in the order of the
    /// towers and their layers.
    pub fn state_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        let shape = |tower: Tower| [n_rows * tower.places, tower.hidden];
        let layers = |tower: Tower| std::iter::repeat_n(shape(tower), tower.layers);
        self.towers().into_iter().flat_map(layers).collect()
    }

    /// Shapes of the dropout's masks for `n_rows` sequences: one for the outputs of every recurrent
    /// layer, then one for each of the speller's hidden layers.
    pub fn mask_shapes(&self, n_rows: usize) -> Vec<[usize; 2]> {
        let mut shapes = self.state_shapes(n_rows);
        shapes.extend([[n_rows, self.spell_hidden]; 2]);
        shapes
    }
}

/// What a recurrent layer of the fused kernels keeps for each of its units and every frame: the
/// gates, h and c, and its output after dropout.
const FUSED_KEPT: u64 = 7;
/// What passes: the tops' gradients in parts and joined, those before dropout, and a mask.
const FUSED_PASSING: u64 = 4;

impl KeyConfig {
    /// Numbers that the fused kernels of the CPU hold for each frame of a sequence in training.
    /// What the towers hear is no matrix there; of the speller, whose layers are gone with every few
    /// frames, each block leaves its gradients.
    pub fn fused_values_a_frame(&self) -> u64 {
        let of_tower = |tower: Tower| {
            let per_unit = FUSED_KEPT * tower.layers as u64 + FUSED_PASSING;
            per_unit * (tower.places * tower.hidden) as u64
        };
        let of_towers: u64 = self.towers().into_iter().map(of_tower).sum();
        let is_of_tower = |name: &str| name.starts_with("classes.") || name.starts_with("keys.");
        let shapes = self.parameter_shapes().into_iter().filter(|(name, _)| !is_of_tower(name));
        let of_speller: usize = shapes.map(|(_, [rows, columns])| rows * columns).sum();
        of_towers + (of_speller / FRAMES_ON_CPU) as u64
    }

    /// Numbers that they hold besides, for a batch of however many frames.
    pub fn fused_values(&self) -> u64 {
        slides::gradient_values(self)
    }

    /// Numbers that the towers hold for each frame of a sequence in training: what they hear, what
    /// a recurrent layer keeps and passes, and their tops with the gradients of these.
    pub fn values_a_frame(&self) -> u64 {
        let of_tower = |tower: Tower| {
            let per_unit = memory::KEPT * tower.layers as u64 + memory::PASSING;
            (tower.places * tower.inputs) as u64 + per_unit * (tower.places * tower.hidden) as u64
        };
        self.towers().into_iter().map(of_tower).sum()
    }

    /// Numbers that the speller holds for each frame of the blocks that are computed at once: what
    /// it hears of every key, its layers and the way back.
    pub fn values_a_spelled_frame(&self) -> u64 {
        let heard = 2 * (features::key_width(self.alphabet) + features::lower_width(self.alphabet));
        (KEYS * (heard + SPELLER_TENSORS * self.spell_hidden)) as u64
    }
}

impl Tower {
    pub fn name(&self) -> &'static str {
        if self.places == CLASSES { "classes" } else { "keys" }
    }
}
