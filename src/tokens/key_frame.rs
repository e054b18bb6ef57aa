//! One frame as a model without a vocabulary reads and writes it: key by key, with touch.

use serde::{Deserialize, Serialize};

use super::Chord;
use crate::music::{Pitch, Velocity};

/// Which keys are down in a frame, which of them were struck in it, how hard, and the pedal.
///
/// A key is *off*, *held on* (it sounds and wasn't struck in this frame) or *struck*.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct KeyFrame {
    /// Every key that is down, struck ones too.
    pub sounding: Chord,
    /// Those that begin anew in this frame, a part of `sounding`.
    pub struck: Chord,
    /// How hard each struck key was struck, from low to high; empty when that isn't known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub velocities: Vec<Velocity>,
    /// Whether the sustain pedal is down.
    #[serde(default)]
    pub pedal: bool,
}

impl KeyFrame {
    /// The keys that go on sounding.
    pub fn held(&self) -> Chord {
        self.sounding.difference(self.struck)
    }

    /// How hard a key was struck; `None` when it wasn't, and when that isn't known.
    pub fn velocity(&self, pitch: Pitch) -> Option<Velocity> {
        if !self.struck.contains(pitch) {
            return None;
        }
        let lower = self.struck.bits() & ((1u128 << pitch.number()) - 1);
        self.velocities.get(lower.count_ones() as usize).copied()
    }

    /// Every key `semitones` higher; those that leave the MIDI range fall off, with their
    /// velocities.
    pub fn transposed(&self, semitones: i32) -> Self {
        let sounding = self.sounding.transposed(semitones);
        let struck = self.struck.transposed(semitones);
        // Going up the highest keys fall off, going down the lowest.
        let n_gone = self.struck.len() - struck.len();
        let from = if semitones < 0 { n_gone } else { 0 };
        let velocities = self.velocities.iter().skip(from).take(struck.len()).copied().collect();
        Self { sounding, struck, velocities, pedal: self.pedal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(numbers: &[u8]) -> Chord {
        numbers.iter().filter_map(|&number| Pitch::new(number)).collect()
    }

    #[test]
    fn velocities_follow_their_keys() {
        let velocities: Vec<Velocity> = [30, 90].into_iter().filter_map(Velocity::new).collect();
        let frame = KeyFrame {
            sounding: chord(&[1, 60, 127]),
            struck: chord(&[1, 127]),
            velocities,
            pedal: true,
        };
        let velocity = |frame: &KeyFrame, number| {
            frame.velocity(Pitch::new(number).unwrap()).map(Velocity::number)
        };
        let all = |frame: &KeyFrame, numbers: [u8; 3]| numbers.map(|key| velocity(frame, key));
        assert_eq!(all(&frame, [1, 60, 127]), [Some(30), None, Some(90)]);
        assert_eq!(frame.held(), chord(&[60]));
        let higher = frame.transposed(1);
        assert_eq!((higher.sounding, higher.struck), (chord(&[2, 61]), chord(&[2])));
        assert_eq!(all(&higher, [2, 61, 127]), [Some(30), None, None]);
        let lower = frame.transposed(-2);
        assert_eq!(all(&lower, [0, 58, 125]), [None, None, Some(90)]);
        let unknown = KeyFrame { velocities: Vec::new(), ..frame };
        assert_eq!(velocity(&unknown, 127), None);
    }
}
