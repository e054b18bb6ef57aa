//! The known chord nearest to an unknown one, fast enough for tens of thousands of them.

use super::{Chord, Token};

/// Which known chords have each pitch and each pitch class, one bit a token, so that "how many
/// pitches do they share" is answered for 64 tokens at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct NearestIndex {
    /// 64-bit words that one set of tokens takes.
    n_words: usize,
    /// 128 sets one after the other, by pitch.
    by_pitch: Vec<u64>,
    /// Twelve sets, by pitch class.
    by_class: Vec<u64>,
}

/// Bits of a number from 0 to 128, the most that two chords can share.
const N_PLANES: usize = 8;

impl NearestIndex {
    pub fn new(chords: &[Chord]) -> Self {
        let n_words = chords.len().div_ceil(64);
        let (mut by_pitch, mut by_class) = (vec![0; 128 * n_words], vec![0; 12 * n_words]);
        for (token, chord) in chords.iter().enumerate() {
            let (word, bit) = (token / 64, 1u64 << (token % 64));
            for pitch in chord.pitches() {
                by_pitch[usize::from(pitch.number()) * n_words + word] |= bit;
                by_class[usize::from(pitch.class()) * n_words + word] |= bit;
            }
        }
        Self { n_words, by_pitch, by_class }
    }

    /// The token of the nearest of `chords`, which are those the index was made of, and at least
    /// one. See [`super::ChordVocabulary::nearest`] for what near means.
    pub fn find(&self, chords: &[Chord], asked: Chord) -> Token {
        let n_chords = chords.len();
        let mut candidates = vec![u64::MAX; self.n_words];
        if let Some(last) = candidates.last_mut().filter(|_| !n_chords.is_multiple_of(64)) {
            *last = (1 << (n_chords % 64)) - 1;
        }
        let pitches = asked.pitches().map(|pitch| usize::from(pitch.number()));
        self.keep_most(&mut candidates, &self.by_pitch, pitches);
        let classes = asked.pitch_classes();
        let classes = (0..12).filter(|class| classes >> class & 1 == 1);
        self.keep_most(&mut candidates, &self.by_class, classes);
        let tokens = tokens_in(&candidates);
        let nearest = tokens.min_by_key(|&token| (distance(asked, chords[token]), token));
        nearest.unwrap_or(0) as Token
    }

    /// Leaves only the candidates that are in the most of `sets`.
    ///
    /// Each candidate's number is kept as bits in [`N_PLANES`] planes; adding a set to all of them
    /// is a ripple of carries over the planes.
    fn keep_most(
        &self,
        candidates: &mut [u64],
        all_sets: &[u64],
        sets: impl Iterator<Item = usize>,
    ) {
        let n_words = self.n_words;
        let mut planes = vec![0u64; N_PLANES * n_words];
        for set in sets {
            let set = &all_sets[set * n_words..(set + 1) * n_words];
            for (word, &bits) in set.iter().enumerate() {
                let mut carry = bits & candidates[word];
                for plane in 0..N_PLANES {
                    if carry == 0 {
                        break;
                    }
                    let sum = &mut planes[plane * n_words + word];
                    (*sum, carry) = (*sum ^ carry, *sum & carry);
                }
            }
        }
        // From the highest bit down, whoever has it beats whoever has not.
        for plane in planes.chunks_exact(n_words.max(1)).rev() {
            if candidates.iter().zip(plane).any(|(candidate, bits)| candidate & bits != 0) {
                for (candidate, bits) in candidates.iter_mut().zip(plane) {
                    *candidate &= bits;
                }
            }
        }
    }
}

fn tokens_in(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(word, &bits)| {
        let mut bits = bits;
        std::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(word * 64 + bit)
        })
    })
}

/// Semitones from each pitch of either chord to the nearest of the other, summed.
fn distance(one: Chord, other: Chord) -> u32 {
    let way = |from: Chord, to: Chord| -> u32 {
        from.difference(to).pitches().map(|pitch| gap(u32::from(pitch.number()), to)).sum()
    };
    way(one, other) + way(other, one)
}

/// Semitones to the nearest pitch of a chord, 128 when it has none.
fn gap(key: u32, chord: Chord) -> u32 {
    let bits = chord.bits();
    let above = (bits >> key).trailing_zeros();
    let below = (bits << (127 - key)).leading_zeros();
    above.min(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::ChordVocabulary;
    use proptest::prelude::*;

    /// The promise of `nearest`, said slowly.
    fn slowly(chords: &[Chord], asked: Chord) -> Token {
        let shared_classes =
            |chord: Chord| (chord.pitch_classes() & asked.pitch_classes()).count_ones();
        let far = |from: Chord, to: Chord| -> u32 {
            let one =
                |key: u8| to.pitches().map(|pitch| u32::from(pitch.number().abs_diff(key))).min();
            from.pitches().map(|pitch| one(pitch.number()).unwrap_or(128)).sum()
        };
        let key = |token: &usize| {
            let chord = chords[*token];
            let shared = chord.intersection(asked).len();
            let distance = far(chord, asked) + far(asked, chord);
            (shared, shared_classes(chord), std::cmp::Reverse((distance, *token)))
        };
        (0..chords.len()).max_by_key(key).unwrap() as Token
    }

    /// Chords crowded enough that they share pitches often.
    fn any_chord() -> impl Strategy<Value = Chord> {
        (any::<u128>(), any::<u128>(), any::<u128>(), 0u32..100)
            .prop_map(|(a, b, c, shift)| Chord::from_bits((a & b & c & 0xffff_ffff) << shift))
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_plain_search_finds(
            known in prop::collection::hash_set(any_chord(), 0..200),
            asked in any_chord(),
        ) {
            let mut chords = vec![Chord::REST];
            chords.extend(known.into_iter().filter(|chord| !chord.is_rest()));
            let counts = vec![1; chords.len()];
            let vocabulary = ChordVocabulary::new(chords.clone(), counts).unwrap();
            prop_assert_eq!(vocabulary.nearest(asked), slowly(&chords, asked));
            for (token, &chord) in (0..).zip(&chords) {
                prop_assert_eq!(vocabulary.nearest(chord), token);
            }
        }
    }

    #[test]
    fn pitches_count_before_classes_before_distance() {
        let chord = |keys: &[u32]| Chord::from_bits(keys.iter().map(|key| 1u128 << key).sum());
        let (c, e, g) = (60, 64, 67);
        let known = [chord(&[]), chord(&[c, e]), chord(&[c + 12, e + 12, g + 12]), chord(&[g, 1])];
        let vocabulary = ChordVocabulary::new(known.to_vec(), vec![1; 4]).unwrap();
        assert_eq!(vocabulary.nearest(chord(&[c, e, g])), 1);
        assert_eq!(vocabulary.nearest(chord(&[c + 24, g + 24])), 2);
        assert_eq!(vocabulary.nearest(chord(&[2])), 3);
        assert_eq!(vocabulary.nearest(Chord::from_bits(u128::MAX)), 2);
    }
}
