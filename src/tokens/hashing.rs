//! A quick hash for chords.
//!
//! The standard library's withstands keys that somebody chose to collide. Those cost time here and
//! nothing else, on the machine of whoever chose to read such a file.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::Chord;

/// A map by chords.
pub(super) type ChordMap<T> = HashMap<Chord, T, BuildHasherDefault<ChordHasher>>;

/// Multiplies the halves of 128 bits, each mixed with digits of π, and folds the product: the step
/// of wyhash (Wang Yi).
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct ChordHasher(u64);

impl Hasher for ChordHasher {
    #[inline]
    fn write_u128(&mut self, number: u128) {
        let low = number as u64 ^ 0x243f_6a88_85a3_08d3 ^ self.0;
        let high = (number >> 64) as u64 ^ 0x1319_8a2e_0370_7344;
        let product = u128::from(low) * u128::from(high);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(16) {
            let mut padded = [0; 16];
            padded[..chunk.len()].copy_from_slice(chunk);
            self.write_u128(u128::from_le_bytes(padded));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;

    #[test]
    fn chords_of_up_to_three_keys_differ_in_every_part_of_the_hash() {
        let hasher = BuildHasherDefault::<ChordHasher>::default();
        let (mut whole, mut buckets, mut n) = (HashSet::new(), vec![0u32; 1 << 12], 0);
        let bit = |key: u32| 1u128 << key;
        for (a, b, c) in
            (21..109).flat_map(|a| (a..109).flat_map(move |b| (b..109).map(move |c| (a, b, c))))
        {
            let hash = hasher.hash_one(Chord::from_bits(bit(a) | bit(b) | bit(c)));
            if whole.insert(hash) {
                n += 1;
                buckets[hash as usize & 0xfff] += 1;
            }
        }
        let n_chords = 88 + 88 * 87 / 2 + 88 * 87 * 86 / 6;
        assert_eq!(n, n_chords, "no two chords have one hash");
        let expected = f64::from(n_chords) / 4096.0;
        let most = f64::from(*buckets.iter().max().unwrap());
        assert!(most < expected + 8.0 * expected.sqrt(), "{most} of {expected}");
    }
}
