//! Pitches and velocities: the two seven-bit numbers of a MIDI note.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A MIDI key, 0–127. The piano has 21 (A0) to 108 (C8); middle C is C4 = 60.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Pitch(u8);

impl Pitch {
    /// The lowest key of the piano, A0.
    pub const PIANO_LOWEST: Self = Self(21);
    /// The highest key of the piano, C8.
    pub const PIANO_HIGHEST: Self = Self(108);
    /// Middle C, C4.
    pub const MIDDLE_C: Self = Self(60);

    /// `None` above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 128 { Some(Self(number)) } else { None }
    }

    /// The MIDI key number, 0–127.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// 0 for C, 1 for C sharp, … 11 for B.
    pub const fn class(self) -> u8 {
        self.0 % 12
    }

    /// The octave in scientific pitch notation: 4 for middle C, −1 for key 0.
    pub const fn octave(self) -> i32 {
        self.0 as i32 / 12 - 1
    }

    /// The pitch `semitones` higher (lower when negative), or `None` outside 0–127.
    pub fn transposed(self, semitones: i32) -> Option<Self> {
        let number = i32::from(self.0).checked_add(semitones)?;
        u8::try_from(number).ok().and_then(Self::new)
    }

    pub const fn is_black_key(self) -> bool {
        matches!(self.class(), 1 | 3 | 6 | 8 | 10)
    }

    /// Whether it is one of the piano's 88 keys.
    pub const fn is_on_piano(self) -> bool {
        Self::PIANO_LOWEST.0 <= self.0 && self.0 <= Self::PIANO_HIGHEST.0
    }

    /// Every pitch from 0 to 127.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..128u8).map(Self)
    }
}

/// Scientific pitch notation with sharps: `C4`, `F#3`, `C-1`.
impl fmt::Display for Pitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
        write!(f, "{}{}", NAMES[usize::from(self.class())], self.octave())
    }
}

impl fmt::Debug for Pitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a pitch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePitchError {
    #[error(
        "“{0}” is not a pitch — write a letter, an accidental if there is one and an octave, such as C4 or F#3"
    )]
    Form(String),
    #[error("“{0}” is outside the MIDI keys — the lowest is C-1 and the highest G9")]
    Range(String),
}

/// Reads scientific pitch notation: `C4`, `f#3`, `Bb2`, `E♭5`, `C-1`; double accidentals too.
impl FromStr for Pitch {
    type Err = ParsePitchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ParsePitchError::Form(text.to_owned());
        let mut rest = text.trim().chars();
        let class = match rest.next().ok_or_else(form)?.to_ascii_uppercase() {
            'C' => 0,
            'D' => 2,
            'E' => 4,
            'F' => 5,
            'G' => 7,
            'A' => 9,
            'B' => 11,
            _ => return Err(form()),
        };
        let rest = rest.as_str();
        let octave_at = rest.find(|c: char| c.is_ascii_digit() || c == '-').ok_or_else(form)?;
        let (accidentals, octave) = rest.split_at(octave_at);
        if accidentals.chars().count() > 2 {
            return Err(form());
        }
        let mut shift = 0;
        for accidental in accidentals.chars() {
            shift += match accidental {
                '#' | '♯' => 1,
                'b' | '♭' => -1,
                _ => return Err(form()),
            };
        }
        let octave: i32 = octave.parse().map_err(|_| form())?;
        let number = octave
            .checked_add(1)
            .and_then(|octaves| octaves.checked_mul(12))
            .and_then(|number| number.checked_add(class + shift));
        number
            .and_then(|number| u8::try_from(number).ok())
            .and_then(Self::new)
            .ok_or_else(|| ParsePitchError::Range(text.to_owned()))
    }
}

impl TryFrom<u8> for Pitch {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a pitch is a MIDI key from 0 to 127")
    }
}

impl From<Pitch> for u8 {
    fn from(pitch: Pitch) -> Self {
        pitch.0
    }
}

/// How hard a key is struck, 1–127. 0 is not a velocity: a note-on with 0 is a note-off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Velocity(u8);

impl Velocity {
    /// What composed notes get, as in the original experiment.
    pub const COMPOSED: Self = Self(100);
    pub const MAX: Self = Self(127);
    /// What is neither loud nor soft, where nobody knows.
    pub const MIDDLE: Self = Self(64);

    /// `None` for 0 and above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number < 128 { Some(Self(number)) } else { None }
    }

    /// The nearest velocity to any number.
    pub fn saturating(number: i32) -> Self {
        Self(number.clamp(1, 127) as u8)
    }

    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Velocity {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a velocity is a number from 1 to 127")
    }
}

impl From<Velocity> for u8 {
    fn from(velocity: Velocity) -> Self {
        velocity.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pitch_reads_back_as_it_is_written() {
        for pitch in Pitch::all() {
            assert_eq!(pitch.to_string().parse(), Ok(pitch));
        }
    }

    #[test]
    fn flats_sharps_and_nonsense() {
        assert_eq!("Bb2".parse::<Pitch>(), "A#2".parse());
        assert_eq!("cb4".parse::<Pitch>(), "B3".parse());
        for text in ["", "H4", "C", "C#", "C4x", "C###4", "4", "é4", "C99", "G#9", "C-2"] {
            assert!(text.parse::<Pitch>().is_err(), "{text}");
        }
    }
}
