//! Notes and pedal of a performance, eight bytes each, in memory or in a mapped file.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::music::{Pitch, Velocity};

/// A note on the grid of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameNote {
    /// Its first frame.
    pub start: u32,
    /// Frames it sounds, from 1 to [`FrameNote::MAX_LEN`].
    pub len: u16,
    pub pitch: Pitch,
    /// `None` when it isn't known, as for what was read from a piano roll.
    pub velocity: Option<Velocity>,
    /// Else it goes on from before: a piece of a longer note, or a key that was already down.
    pub is_struck: bool,
}

impl FrameNote {
    /// Longer notes are several, so that reading a window needn't look further back than this.
    pub const MAX_LEN: u16 = 1_024;

    /// The first frame in which it no longer sounds.
    pub fn end(self) -> u32 {
        self.start.saturating_add(u32::from(self.len))
    }

    /// As a number that sorts by start, then pitch: 32 bits of start, 7 of pitch, one for a note
    /// that goes on, 8 of velocity (0 for unknown), 16 of length.
    pub(super) fn to_word(self) -> Word {
        let velocity = self.velocity.map_or(0, Velocity::number);
        let number = u64::from(self.start) << 32
            | u64::from(self.pitch.number()) << 25
            | u64::from(!self.is_struck) << 24
            | u64::from(velocity) << 16
            | u64::from(self.len);
        number.to_be_bytes()
    }

    /// Of any eight bytes something: what lies on a disk may be anything.
    pub(super) fn from_word(word: Word) -> Self {
        let number = u64::from_be_bytes(word);
        let pitch = Pitch::new((number >> 25 & 127) as u8).unwrap_or(Pitch::MIDDLE_C);
        Self {
            start: (number >> 32) as u32,
            len: (number & 0xffff) as u16,
            pitch,
            velocity: Velocity::new((number >> 16 & 0xff) as u8),
            is_struck: number >> 24 & 1 == 0,
        }
    }
}

/// Big-endian, so that words sort like the numbers they stand for.
pub(super) type Word = [u8; 8];

/// The frames in which the pedal is down.
pub(super) fn word_from_span(span: &Range<u32>) -> Word {
    (u64::from(span.start) << 32 | u64::from(span.end)).to_be_bytes()
}

pub(super) fn span_from_word(word: Word) -> Range<u32> {
    let number = u64::from_be_bytes(word);
    (number >> 32) as u32..number as u32
}

/// Bytes that several performances share: a buffer, or a file that is mapped into memory.
pub(in crate::tokens) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A stretch of shared bytes, read as words.
#[derive(Clone)]
pub(super) struct Words {
    bytes: SharedBytes,
    range: Range<usize>,
}

impl Words {
    pub fn new(words: &[Word]) -> Self {
        let bytes = words.as_flattened().to_vec();
        let range = 0..bytes.len();
        Self { bytes: Arc::new(bytes), range }
    }

    /// `None` when the range isn't within the bytes or no whole number of words.
    pub fn shared(bytes: &SharedBytes, range: Range<usize>) -> Option<Self> {
        let found = (**bytes).as_ref().get(range.clone())?;
        found.len().is_multiple_of(size_of::<Word>()).then(|| Self { bytes: bytes.clone(), range })
    }
}

impl Deref for Words {
    type Target = [Word];

    fn deref(&self) -> &[Word] {
        (*self.bytes).as_ref().get(self.range.clone()).unwrap_or_default().as_chunks().0
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words", self.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn notes_survive_their_words_and_sort_like_them(
            a in any_note(),
            b in any_note(),
        ) {
            prop_assert_eq!(FrameNote::from_word(a.to_word()), a);
            let order = |note: FrameNote| (note.start, note.pitch);
            if order(a) < order(b) {
                prop_assert!(a.to_word() < b.to_word());
            }
        }

        #[test]
        fn any_bytes_are_some_note(word in any::<[u8; 8]>()) {
            let note = FrameNote::from_word(word);
            prop_assert!(note.end() >= note.start);
        }
    }

    fn any_note() -> impl Strategy<Value = FrameNote> {
        (any::<u32>(), 1..=FrameNote::MAX_LEN, 0u8..128, 0u8..128, any::<bool>()).prop_map(
            |(start, len, pitch, velocity, is_struck)| FrameNote {
                start,
                len,
                pitch: Pitch::new(pitch).unwrap(),
                velocity: Velocity::new(velocity),
                is_struck,
            },
        )
    }
}
