//! The set of pitches that sound in one frame.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::music::Pitch;

/// A set of pitches, one bit a MIDI key. The empty set is a rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Pitch>", into = "Vec<Pitch>")]
pub struct Chord(u128);

impl Chord {
    pub const REST: Self = Self(0);

    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u128 {
        self.0
    }

    pub const fn is_rest(self) -> bool {
        self.0 == 0
    }

    /// How many pitches it has.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub const fn is_empty(self) -> bool {
        self.is_rest()
    }

    pub const fn contains(self, pitch: Pitch) -> bool {
        self.0 >> pitch.number() & 1 == 1
    }

    pub fn insert(&mut self, pitch: Pitch) {
        self.0 |= 1 << pitch.number();
    }

    pub fn remove(&mut self, pitch: Pitch) {
        self.0 &= !(1 << pitch.number());
    }

    /// The pitches either has.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The pitches both have.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The pitches this has and `other` has not.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// From low to high.
    pub fn pitches(self) -> impl Iterator<Item = Pitch> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let number = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            u8::try_from(number).ok().and_then(Pitch::new)
        })
    }

    /// Every pitch `semitones` higher; those that leave the MIDI range fall off.
    pub const fn transposed(self, semitones: i32) -> Self {
        let shift = semitones.unsigned_abs();
        if shift > 127 {
            Self::REST
        } else if semitones >= 0 {
            Self(self.0 << shift)
        } else {
            Self(self.0 >> shift)
        }
    }

    /// One bit a pitch class, C in the lowest of twelve.
    pub fn pitch_classes(self) -> u16 {
        self.pitches().fold(0, |classes, pitch| classes | 1 << pitch.class())
    }
}

impl FromIterator<Pitch> for Chord {
    fn from_iter<I: IntoIterator<Item = Pitch>>(pitches: I) -> Self {
        let mut chord = Self::REST;
        for pitch in pitches {
            chord.insert(pitch);
        }
        chord
    }
}

impl From<Vec<Pitch>> for Chord {
    fn from(pitches: Vec<Pitch>) -> Self {
        pitches.into_iter().collect()
    }
}

impl From<Chord> for Vec<Pitch> {
    fn from(chord: Chord) -> Self {
        chord.pitches().collect()
    }
}

/// `C4+E4+G4`, or `rest`.
impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_rest() {
            return f.write_str("rest");
        }
        for (idx, pitch) in self.pitches().enumerate() {
            if idx > 0 {
                f.write_str("+")?;
            }
            write!(f, "{pitch}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitches_come_back_in_order() {
        let chord: Chord = [127, 0, 60].into_iter().filter_map(Pitch::new).collect();
        let numbers: Vec<u8> = chord.pitches().map(Pitch::number).collect();
        assert_eq!(numbers, [0, 60, 127]);
        assert_eq!(chord.len(), 3);
        assert_eq!(chord.transposed(1).len(), 2);
    }
}
