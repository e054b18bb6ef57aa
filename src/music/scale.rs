//! Scales: which pitches belong together, and steps from one to the next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Key, Mode, Pitch};

/// A pattern of steps that repeats in every octave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    Major,
    NaturalMinor,
    HarmonicMinor,
    /// As it ascends: with the sixth and seventh of major.
    MelodicMinor,
    Dorian,
    Phrygian,
    Lydian,
    Mixolydian,
    Locrian,
    MajorPentatonic,
    MinorPentatonic,
    MajorBlues,
    MinorBlues,
    WholeTone,
    Chromatic,
}

impl Scale {
    /// In the order of a menu.
    pub const ALL: [Self; 15] = [
        Self::Major,
        Self::NaturalMinor,
        Self::HarmonicMinor,
        Self::MelodicMinor,
        Self::Dorian,
        Self::Phrygian,
        Self::Lydian,
        Self::Mixolydian,
        Self::Locrian,
        Self::MajorPentatonic,
        Self::MinorPentatonic,
        Self::MajorBlues,
        Self::MinorBlues,
        Self::WholeTone,
        Self::Chromatic,
    ];

    /// What a menu calls it; with a tonic before it, a key: "C harmonic minor".
    pub fn label(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::NaturalMinor => "minor",
            Self::HarmonicMinor => "harmonic minor",
            Self::MelodicMinor => "melodic minor",
            Self::Dorian => "dorian",
            Self::Phrygian => "phrygian",
            Self::Lydian => "lydian",
            Self::Mixolydian => "mixolydian",
            Self::Locrian => "locrian",
            Self::MajorPentatonic => "major pentatonic",
            Self::MinorPentatonic => "minor pentatonic",
            Self::MajorBlues => "major blues",
            Self::MinorBlues => "minor blues",
            Self::WholeTone => "whole tone",
            Self::Chromatic => "chromatic",
        }
    }

    /// Semitones above the tonic, ascending, the tonic first.
    pub fn degrees(self) -> &'static [u8] {
        match self {
            Self::Major => &[0, 2, 4, 5, 7, 9, 11],
            Self::NaturalMinor => &[0, 2, 3, 5, 7, 8, 10],
            Self::HarmonicMinor => &[0, 2, 3, 5, 7, 8, 11],
            Self::MelodicMinor => &[0, 2, 3, 5, 7, 9, 11],
            Self::Dorian => &[0, 2, 3, 5, 7, 9, 10],
            Self::Phrygian => &[0, 1, 3, 5, 7, 8, 10],
            Self::Lydian => &[0, 2, 4, 6, 7, 9, 11],
            Self::Mixolydian => &[0, 2, 4, 5, 7, 9, 10],
            Self::Locrian => &[0, 1, 3, 5, 6, 8, 10],
            Self::MajorPentatonic => &[0, 2, 4, 7, 9],
            Self::MinorPentatonic => &[0, 3, 5, 7, 10],
            Self::MajorBlues => &[0, 2, 3, 4, 7, 9],
            Self::MinorBlues => &[0, 3, 5, 6, 7, 10],
            Self::WholeTone => &[0, 2, 4, 6, 8, 10],
            Self::Chromatic => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        }
    }

    /// Whether its third is minor: such keys are spelled like the major a minor third above.
    fn is_minor(self) -> bool {
        self.degrees().contains(&3) && !self.degrees().contains(&4)
    }
}

/// How the black keys are named.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Spelling {
    Sharps,
    Flats,
    /// Each as it is met most often: C#, Eb, F#, Ab, Bb.
    #[default]
    Usual,
}

impl Spelling {
    /// "F#", "Eb". Only the class counts: 0 for C, 11 for B.
    pub fn pitch_class(self, class: u8) -> &'static str {
        const SHARPS: [&str; 12] =
            ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
        const FLATS: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
        const USUAL: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
        let names = match self {
            Self::Sharps => SHARPS,
            Self::Flats => FLATS,
            Self::Usual => USUAL,
        };
        names[usize::from(class % 12)]
    }
}

/// A tonic and a scale: what a user sets, and what the roll is tinted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "KeyScaleFile")]
pub struct KeyScale {
    tonic: u8,
    scale: Scale,
}

#[derive(Deserialize)]
struct KeyScaleFile {
    tonic: u8,
    scale: Scale,
}

impl KeyScale {
    /// Only the class of the tonic counts: 0 for C, 11 for B.
    pub const fn new(tonic: u8, scale: Scale) -> Self {
        Self { tonic: tonic % 12, scale }
    }

    /// 0 for C, 11 for B.
    pub fn tonic(self) -> u8 {
        self.tonic
    }

    pub fn scale(self) -> Scale {
        self.scale
    }

    pub fn contains(self, pitch: Pitch) -> bool {
        self.scale.degrees().contains(&self.above_tonic(pitch))
    }

    pub fn is_tonic(self, pitch: Pitch) -> bool {
        self.above_tonic(pitch) == 0
    }

    fn above_tonic(self, pitch: Pitch) -> u8 {
        (pitch.class() + 12 - self.tonic) % 12
    }

    /// The nearest pitch of the scale; of two as near the lower one.
    pub fn nearest(self, pitch: Pitch) -> Pitch {
        let around = [0, -1, 1, -2, 2, -3, 3, -4, 4, -5, 5, -6, 6];
        let mut candidates = around.iter().filter_map(|by| pitch.transposed(*by));
        candidates.find(|candidate| self.contains(*candidate)).unwrap_or(pitch)
    }

    /// The pitch so many degrees of the scale higher (lower when negative). A pitch outside the
    /// scale keeps its distance to the degree below it. `None` outside 0–127.
    pub fn stepped(self, pitch: Pitch, degrees: i32) -> Option<Pitch> {
        let steps = self.scale.degrees();
        let n = steps.len() as i32;
        let above = self.above_tonic(pitch);
        let degree = steps.partition_point(|step| *step <= above) as i32 - 1;
        let raised = i32::from(above) - i32::from(steps[degree as usize]);
        let target = degree.checked_add(degrees)?;
        let octaves = target.div_euclid(n);
        let step = i32::from(steps[target.rem_euclid(n) as usize]);
        let tonic = i32::from(pitch.number()) - i32::from(above);
        let number = octaves.checked_mul(12)?.checked_add(tonic + step + raised)?;
        u8::try_from(number).ok().and_then(Pitch::new)
    }

    /// Sharps or flats, as the key is written: by its signature.
    pub fn spelling(self) -> Spelling {
        let as_major = if self.scale.is_minor() { (self.tonic + 3) % 12 } else { self.tonic };
        match as_major {
            5 | 10 | 3 | 8 | 1 => Spelling::Flats,
            // E flat minor, not D sharp minor, though F sharp major is as common as G flat.
            6 if self.scale.is_minor() => Spelling::Flats,
            7 | 2 | 9 | 4 | 11 | 6 => Spelling::Sharps,
            _ => Spelling::Usual,
        }
    }
}

impl From<KeyScaleFile> for KeyScale {
    fn from(file: KeyScaleFile) -> Self {
        Self::new(file.tonic, file.scale)
    }
}

impl From<Key> for KeyScale {
    fn from(key: Key) -> Self {
        let scale = match key.mode {
            Mode::Major => Scale::Major,
            Mode::Minor => Scale::NaturalMinor,
        };
        Self::new(key.tonic, scale)
    }
}

/// "C major", "Eb dorian".
impl fmt::Display for KeyScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.spelling().pitch_class(self.tonic), self.scale.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pitch(name: &str) -> Pitch {
        name.parse().unwrap()
    }

    #[test]
    fn degrees_lead_through_the_octave() {
        let c_minor = KeyScale::new(0, Scale::NaturalMinor);
        for (from, degrees, to) in [
            ("C4", 2, "Eb4"),
            ("C4", 7, "C5"),
            ("C4", -1, "Bb3"),
            ("G4", 3, "C5"),
            // Outside the scale: a semitone above its degree it stays.
            ("E4", 1, "F#4"),
            ("C4", 0, "C4"),
        ] {
            assert_eq!(c_minor.stepped(pitch(from), degrees), Some(pitch(to)), "{from} {degrees}");
        }
        assert_eq!(c_minor.stepped(pitch("G9"), 1), None);
        assert_eq!(c_minor.stepped(pitch("C4"), i32::MAX), None);
        assert_eq!(c_minor.stepped(pitch("C4"), i32::MIN), None);
        assert_eq!(c_minor.nearest(pitch("E4")), pitch("Eb4"));
        assert_eq!(KeyScale::new(7, Scale::Major).to_string(), "G major");
        assert_eq!(KeyScale::new(3, Scale::NaturalMinor).to_string(), "Eb minor");
        assert_eq!(KeyScale::new(10, Scale::Dorian).to_string(), "Bb dorian");
    }

    proptest! {
        #[test]
        fn steps_up_and_down_again_lead_back(
            tonic in 0u8..12, scale in 0usize..15, number in 30u8..90, degrees in -9i32..9,
        ) {
            let key = KeyScale::new(tonic, Scale::ALL[scale]);
            let from = key.nearest(Pitch::new(number).unwrap());
            prop_assert!(key.contains(from));
            let there = key.stepped(from, degrees).unwrap();
            prop_assert!(key.contains(there));
            prop_assert_eq!(key.stepped(there, -degrees), Some(from));
            let text = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<KeyScale>(&text).unwrap(), key);
        }
    }
}
