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

/// A frame in which something changes, and how many frames it lasts: itself, and those after it in
/// which the same keys go on sounding, none is struck and the pedal stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRun {
    pub frame: KeyFrame,
    /// At least 1.
    pub length: u32,
}

/// Cuts frames into runs as they come.
#[derive(Clone, Debug)]
pub struct RunCutter {
    longest: u32,
    open: Option<KeyRun>,
}

impl KeyRun {
    /// A frame by itself.
    pub fn single(frame: KeyFrame) -> Self {
        Self { frame, length: 1 }
    }
}

impl RunCutter {
    /// A run that would be longer than `longest` frames is cut there: what follows begins with the
    /// held frame, in which nothing is struck.
    pub fn new(longest: u32) -> Self {
        Self { longest: longest.max(1), open: None }
    }

    /// Takes the next frame; gives the run that ended before it.
    pub fn push(&mut self, frame: KeyFrame) -> Option<KeyRun> {
        match &mut self.open {
            Some(open) if open.length < self.longest && frame.goes_on(&open.frame) => {
                open.length += 1;
                None
            }
            _ => self.open.replace(KeyRun::single(frame)),
        }
    }

    /// The run that the last frame belongs to, which may go on; none before the first frame.
    pub fn open(&self) -> Option<&KeyRun> {
        self.open.as_ref()
    }

    /// The runs of some frames, the last one as long as they are.
    pub fn runs(
        longest: u32,
        frames: impl IntoIterator<Item = KeyFrame>,
    ) -> impl Iterator<Item = KeyRun> {
        let mut cutter = Self::new(longest);
        let frames = frames.into_iter().map(Some).chain([None]);
        frames.filter_map(move |frame| match frame {
            Some(frame) => cutter.push(frame),
            None => cutter.open.take(),
        })
    }

    /// The same, all at once.
    pub fn cut(longest: u32, frames: impl IntoIterator<Item = KeyFrame>) -> Vec<KeyRun> {
        Self::runs(longest, frames).collect()
    }
}

impl KeyFrame {
    /// Whether nothing changes from the frame before.
    pub fn goes_on(&self, before: &Self) -> bool {
        (self.sounding, self.pedal) == (before.sounding, before.pedal) && self.struck.is_rest()
    }

    /// The frame that goes on from this one.
    pub fn held_on(&self) -> Self {
        Self { sounding: self.sounding, pedal: self.pedal, ..Self::default() }
    }

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
    fn runs_are_cut_where_something_changes_and_where_they_grow_too_long() {
        let frame = |sounding: &[u8], struck: &[u8], pedal| KeyFrame {
            sounding: chord(sounding),
            struck: chord(struck),
            velocities: struck.iter().filter_map(|_| Velocity::new(50)).collect(),
            pedal,
        };
        let begun = frame(&[60, 64], &[60, 64], false);
        let held = begun.held_on();
        let again = frame(&[60, 64], &[64], false);
        let pedalled = frame(&[60, 64], &[], true);
        let mut frames = vec![begun.clone()];
        frames.extend(vec![held.clone(); 5]);
        frames.extend([again.clone(), held.clone(), pedalled.clone(), frame(&[60], &[], true)]);
        let runs = RunCutter::cut(4, frames.clone());
        let lengths: Vec<(KeyFrame, u32)> =
            runs.iter().map(|run| (run.frame.clone(), run.length)).collect();
        let last = frame(&[60], &[], true);
        let expected = [(begun, 4), (held, 2), (again, 2), (pedalled, 1), (last, 1)];
        assert_eq!(lengths, expected);
        // Laid out again they are the frames.
        let laid_out = |run: &KeyRun| {
            let held = std::iter::repeat_n(run.frame.held_on(), run.length as usize - 1);
            std::iter::once(run.frame.clone()).chain(held).collect::<Vec<_>>()
        };
        assert_eq!(runs.iter().flat_map(laid_out).collect::<Vec<_>>(), frames);
        assert_eq!(RunCutter::cut(4, []), []);
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
