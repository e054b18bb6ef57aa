//! The longest passage that two pieces share: a succession of the same chords, however long each
//! is held and whatever rests lie between them, in the same key or in any.
//!
//! Rests don't count, and a chord that is struck again is still the one before: so silence and
//! repetition, which all music has, are never taken for something that was copied.
//!
//! A search by bisection: every passage of *n* chords of a take is hashed, then those of the
//! corpus slide past, each hash made from two prefix sums. What has the same hash is compared
//! chord by chord, so that chance finds nothing. If there is a shared passage of *n* chords there
//! is one of *n* − 1, hence a few looks at the corpus find the longest.

use std::collections::HashMap;

use super::super::Chord;
use super::super::frames::Run;
use crate::cancel::CancelToken;

/// A piece as the chords it changes to: each sounds, and neighbors differ.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ChordChanges {
    chords: Vec<Chord>,
    /// The frame that each begins at, counted from the first that sounds.
    frames: Vec<u32>,
    /// Prefix sums of hashes for passages in the same key and in any.
    same: Vec<u64>,
    any: Vec<u64>,
}

/// Whether a passage in another key is the same passage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transposing {
    Same,
    Any,
}

/// Where a passage stands in a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passage {
    /// Index into the changes.
    pub first: usize,
    /// The frame it begins at.
    pub frame: u32,
}

/// The longest passage that a take shares with any piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedPassage {
    /// How many chords it has, each another than the one before.
    pub n_chords: usize,
    pub in_take: Passage,
    /// Index of the piece, the first that has it.
    pub piece: usize,
    pub in_piece: Passage,
    /// By how much the take is higher.
    pub semitones: i32,
}

impl ChordChanges {
    pub(in crate::tokens) fn new(runs: &[Run]) -> Self {
        let mut changes = Self::default();
        let mut frame = 0;
        for run in runs {
            if !run.chord.is_rest() && changes.chords.last() != Some(&run.chord) {
                changes.chords.push(run.chord);
                changes.frames.push(frame);
            }
            frame += run.n_frames;
        }
        changes.same = prefix_sums(changes.chords.iter().map(|chord| chord_hash(*chord)));
        changes.any = prefix_sums(changes.steps());
        changes
    }

    /// How many chords there are.
    pub fn len(&self) -> usize {
        self.chords.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chords.is_empty()
    }

    /// What each chord is in any key: its shape, and how far its bass is from that of the chord
    /// before it.
    fn steps(&self) -> impl Iterator<Item = u64> + '_ {
        let mut before = 0;
        self.chords.iter().map(move |&chord| {
            step_hash(chord, bass(chord) - std::mem::replace(&mut before, bass(chord)))
        })
    }

    /// The hash of `n` chords from `first` on; `n` is at least 1 and they are all there.
    fn hash(&self, first: usize, n: usize, power: &[u64], transposing: Transposing) -> u64 {
        if transposing == Transposing::Same {
            return between(&self.same, first, first + n, power);
        }
        // What the passage begins with stands in no relation to what came before it.
        let head = step_hash(self.chords[first], 0);
        add(multiply(head, power[n - 1]), between(&self.any, first + 1, first + n, power))
    }

    /// By how many semitones the passage of `n` chords is higher than another's; `None` if it is
    /// another passage.
    fn above(
        &self,
        first: usize,
        other: (&Self, usize),
        n: usize,
        transposing: Transposing,
    ) -> Option<i32> {
        let ours = self.chords.get(first..first + n)?;
        let theirs = other.0.chords.get(other.1..other.1 + n)?;
        let semitones = match transposing {
            Transposing::Same => 0,
            Transposing::Any => bass(*ours.first()?) - bass(*theirs.first()?),
        };
        // A pitch that falls off the keyboard is lost, hence the look at the number of keys.
        let is_same = |(ours, theirs): (&Chord, &Chord)| {
            theirs.transposed(semitones) == *ours && theirs.len() == ours.len()
        };
        ours.iter().zip(theirs).all(is_same).then_some(semitones)
    }
}

/// The longest passage that `take` shares with any of the pieces that `is_other` lets in (a piece
/// shares everything with itself). Of several the first in the order of the pieces. `None` when
/// they have no chord in common. What was found until then if it is cancelled.
pub fn longest_shared(
    take: &ChordChanges,
    pieces: &[&ChordChanges],
    is_other: impl Fn(usize) -> bool,
    transposing: Transposing,
    cancel: &CancelToken,
) -> Option<SharedPassage> {
    let others: Vec<(usize, &ChordChanges)> =
        pieces.iter().copied().enumerate().filter(|(idx, _)| is_other(*idx)).collect();
    let longest = others.iter().map(|(_, piece)| piece.len()).max().unwrap_or(0).min(take.len());
    let mut power = vec![1];
    (0..longest).for_each(|n| power.push(multiply(power[n], BASE)));
    let search = Search { take, others: &others, power: &power, transposing, cancel };
    let (mut found, mut least, mut above) = (None, 0, longest + 1);
    while least + 1 < above {
        // Doubling as long as nothing was too long, since most passages are short; then halving.
        let n = match above > longest {
            true => (2 * least).clamp(least + 1, longest),
            false => least.midpoint(above),
        };
        match search.shared(n) {
            Some(shared) => (found, least) = (Some(shared), n),
            None => above = n,
        }
    }
    found
}

/// What one search looks for and where.
struct Search<'a> {
    take: &'a ChordChanges,
    others: &'a [(usize, &'a ChordChanges)],
    power: &'a [u64],
    transposing: Transposing,
    cancel: &'a CancelToken,
}

impl Search<'_> {
    /// A passage of `n` chords that the take shares with a piece.
    fn shared(&self, n: usize) -> Option<SharedPassage> {
        let Self { take, others, power, transposing, cancel } = *self;
        let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
        for first in 0..=take.len().checked_sub(n)? {
            places.entry(take.hash(first, n, power, transposing)).or_default().push(first);
        }
        // Most passages are told apart by a bit in a small table, without a look into the map.
        let mut bits = vec![0u64; N_BITS / 64];
        let bit = |hash: u64| (hash as usize % N_BITS / 64, 1u64 << (hash % 64));
        for &hash in places.keys() {
            bits[bit(hash).0] |= bit(hash).1;
        }
        for &(idx, piece) in others.iter().filter(|(_, piece)| piece.len() >= n) {
            if cancel.is_cancelled() {
                return None;
            }
            for at in 0..=piece.len() - n {
                let hash = piece.hash(at, n, power, transposing);
                if bits[bit(hash).0] & bit(hash).1 == 0 {
                    continue;
                }
                for &first in places.get(&hash).into_iter().flatten() {
                    if let Some(semitones) = take.above(first, (piece, at), n, transposing) {
                        let in_take = Passage { first, frame: take.frames[first] };
                        let in_piece = Passage { first: at, frame: piece.frames[at] };
                        let (n_chords, piece) = (n, idx);
                        return Some(SharedPassage {
                            n_chords,
                            in_take,
                            piece,
                            in_piece,
                            semitones,
                        });
                    }
                }
            }
        }
        None
    }
}

/// A few thousand passages of a take fill an eighth of them.
const N_BITS: usize = 1 << 16;

/// Hashes are polynomials over the field of this prime, 2⁶¹ − 1, at this place.
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x1319_8a2e_0370_7344 % PRIME;

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    add((product & u128::from(PRIME)) as u64, (product >> 61) as u64)
}

/// Of numbers up to the prime; the sum is below it.
fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn prefix_sums(hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut sums = vec![0];
    for (n, hash) in hashes.enumerate() {
        sums.push(add(multiply(sums[n], BASE), hash));
    }
    sums
}

/// The hash of the elements `from..to`.
fn between(sums: &[u64], from: usize, to: usize, power: &[u64]) -> u64 {
    let before = multiply(sums[from], power[to - from]);
    add(sums[to], PRIME - before)
}

/// The lowest pitch of a chord that sounds.
fn bass(chord: Chord) -> i32 {
    chord.bits().trailing_zeros() as i32
}

fn chord_hash(chord: Chord) -> u64 {
    mixed(chord.bits(), 0)
}

fn step_hash(chord: Chord, step: i32) -> u64 {
    mixed(chord.transposed(-bass(chord)).bits(), step as u64)
}

/// Spreads numbers over the field: the finalizer of SplitMix64 (Steele, Lea & Flood 2014), three
/// times.
fn mixed(bits: u128, step: u64) -> u64 {
    let words = [bits as u64, (bits >> 64) as u64, step];
    let hash = words.into_iter().fold(0x243f_6a88_85a3_08d3u64, |hash, word| {
        let mut z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    hash % PRIME
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes(chords: &[u128]) -> ChordChanges {
        let runs = chords.iter().map(|&bits| Run { chord: Chord::from_bits(bits), n_frames: 2 });
        ChordChanges::new(&runs.collect::<Vec<_>>())
    }

    fn shared(
        take: &ChordChanges,
        pieces: &[ChordChanges],
        transposing: Transposing,
    ) -> Option<SharedPassage> {
        let pieces: Vec<&ChordChanges> = pieces.iter().collect();
        longest_shared(take, &pieces, |_| true, transposing, &CancelToken::new())
    }

    /// The same by looking at every place of both.
    fn longest_by_hand(take: &ChordChanges, piece: &ChordChanges, how: Transposing) -> usize {
        let mut longest = 0;
        for first in 0..take.len() {
            for at in 0..piece.len() {
                let mut n = 0;
                while first + n < take.len()
                    && at + n < piece.len()
                    && take.above(first, (piece, at), n + 1, how).is_some()
                {
                    n += 1;
                }
                longest = longest.max(n);
            }
        }
        longest
    }

    #[test]
    fn the_longest_passage_is_found_with_its_places_and_its_key() {
        let theme = [0b1001, 0, 0b101, 0b11, 0b1001].map(|bits: u128| bits << 60);
        let mut take = vec![1 << 40, 1 << 41];
        take.extend(theme);
        take.push(1 << 42);
        let mut piece = vec![1 << 90];
        piece.extend(theme.map(|bits| bits << 3));
        // The first piece has no rest where the take has one.
        let pieces = [changes(&[1 << 41, theme[0], theme[2]]), changes(&piece)];
        let same = shared(&changes(&take), &pieces, Transposing::Same).unwrap();
        assert_eq!((same.n_chords, same.piece, same.semitones), (3, 0, 0));
        let any = shared(&changes(&take), &pieces, Transposing::Any).unwrap();
        assert_eq!((any.n_chords, any.piece, any.semitones), (4, 1, -3));
        assert_eq!((any.in_take.first, any.in_take.frame), (2, 4));
        assert_eq!((any.in_piece.first, any.in_piece.frame), (1, 2));
        // How long a chord is held or how often it is struck doesn't matter: it counts once.
        assert_eq!(changes(&[1, 1, 1, 2]).len(), 2);
        assert_eq!(changes(&[0, 1, 0, 1, 0, 2, 0]).len(), 2);
        assert!(changes(&[0]).is_empty());
        // A piece isn't compared with itself.
        let all: Vec<&ChordChanges> = pieces.iter().collect();
        let cancel = CancelToken::new();
        let others =
            longest_shared(&changes(&take), &all, |idx| idx != 1, Transposing::Any, &cancel);
        assert_eq!(others.unwrap().piece, 0);
        assert_eq!(
            longest_shared(&all[0].clone(), &all, |_| false, Transposing::Any, &cancel),
            None
        );
        cancel.cancel();
        assert_eq!(
            longest_shared(&all[0].clone(), &all, |_| true, Transposing::Any, &cancel),
            None
        );
    }

    fn any_changes() -> impl Strategy<Value = ChordChanges> {
        // Few chords, among them the rest, at both ends of the keyboard.
        let chord =
            (0..4usize, 0..4u32).prop_map(|(shape, shift)| [0, 1, 5, 3 << 120][shape] << shift);
        prop::collection::vec(chord, 0..40).prop_map(|chords| changes(&chords))
    }

    proptest! {
        #[test]
        fn nothing_longer_is_found_by_hand(take in any_changes(), piece in any_changes()) {
            for how in [Transposing::Same, Transposing::Any] {
                let found = shared(&take, std::slice::from_ref(&piece), how);
                let n_chords = found.map_or(0, |found| found.n_chords);
                prop_assert_eq!(n_chords, longest_by_hand(&take, &piece, how));
                if let Some(found) = found {
                    let at = (&piece, found.in_piece.first);
                    let above = take.above(found.in_take.first, at, n_chords, how);
                    prop_assert_eq!(above, Some(found.semitones));
                }
            }
        }
    }
}
