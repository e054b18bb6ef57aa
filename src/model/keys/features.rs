//! A frame as a network of the second family hears it: by intervals.
//!
//! Nothing here says which key is which. A key hears what sounds so and so many semitones above
//! and below it and how the sounding pitch classes lie around its own, a pitch class what sounds
//! in each octave at each interval above it; all with the same weights. So a chord that moves by a
//! semitone looks the same to the keys beside it, and what was learned in C is known in D. Only
//! four slow functions of the key tell the register: the bass moves otherwise than the treble.
//!
//! The clock counts frames since the piece began, at the periods that bars of music on a grid have.

use rayon::prelude::*;

use super::config::{CLASSES, KEYS, LOWEST};
use crate::tokens::Chord;

/// Semitones that a key hears up and down.
const REACH: usize = 24;
/// What says how the pitch classes lie.
const CLASS_COUNTS: usize = CLASSES;
const REGISTER: usize = 4;
/// Periods of the clock, in frames.
const PERIODS: [u32; 9] = [2, 3, 4, 6, 8, 12, 16, 24, 32];
const CLOCK: usize = 2 * PERIODS.len();
/// Semitones that a pitch class hears: enough for every key from every class.
const SPAN: usize = KEYS + CLASSES - 1;

/// What a key hears of a frame.
pub const KEY_WIDTH: usize = 2 * REACH + 1 + CLASS_COUNTS + REGISTER + CLOCK;
/// What a pitch class hears of a frame.
pub const CLASS_WIDTH: usize = SPAN + CLASS_COUNTS + CLOCK;
/// What a key hears of the lower keys of its own frame: by interval, by pitch class, how many.
pub const LOWER_WIDTH: usize = LOWER_KEYS + CLASS_COUNTS + 1;
const LOWER_KEYS: usize = KEYS - 1;

/// Counts of notes come in parts, so that they are as large as the other numbers.
const COUNT_UNIT: f32 = 0.5;
const NUMBER_UNIT: f32 = 0.25;

/// The keys that sound, bit 0 the lowest; pitches that no piano has are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keys(u128);

impl Keys {
    const ALL: u128 = (1 << KEYS) - 1;

    pub fn of(chord: Chord) -> Self {
        Self(chord.bits() >> LOWEST & Self::ALL)
    }

    pub fn chord(self) -> Chord {
        Chord::from_bits(self.0 << LOWEST)
    }

    pub fn contains(self, key: usize) -> bool {
        self.0 >> key & 1 == 1
    }

    pub fn insert(&mut self, key: usize) {
        self.0 |= 1 << key;
    }

    /// From low to high.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let key = bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
            (key < KEYS).then_some(key)
        })
    }
}

/// What every key hears of the frame before, whose number in its piece is `clock - 1`: row after
/// row, [`KEYS`] × [`KEY_WIDTH`].
pub fn write_keys(before: Keys, clock: u32, rows: &mut [f32]) {
    let counts = class_counts(before);
    let clock = clock_values(clock);
    for (key, row) in rows.chunks_exact_mut(KEY_WIDTH).enumerate() {
        let (window, rest) = row.split_at_mut(2 * REACH + 1);
        window.fill(0.0);
        for sounding in before.iter() {
            if let Some(place) = (sounding + REACH).checked_sub(key).filter(|&p| p <= 2 * REACH) {
                window[place] = 1.0;
            }
        }
        let (classes, rest) = rest.split_at_mut(CLASS_COUNTS);
        write_turned(&counts, key, classes);
        let (register, rest) = rest.split_at_mut(REGISTER);
        register.copy_from_slice(&register_values(key));
        rest.copy_from_slice(&clock);
    }
}

/// What every pitch class hears of the frame before: [`CLASSES`] × [`CLASS_WIDTH`]. Class 0 is
/// that of the lowest key.
pub fn write_classes(before: Keys, clock: u32, rows: &mut [f32]) {
    let counts = class_counts(before);
    let clock = clock_values(clock);
    for (class, row) in rows.chunks_exact_mut(CLASS_WIDTH).enumerate() {
        let (span, rest) = row.split_at_mut(SPAN);
        span.fill(0.0);
        // It begins below the keys for all classes but the last, so that each hears all of them and
        // the same place is the same interval for all.
        for sounding in before.iter() {
            span[sounding + CLASSES - 1 - class] = 1.0;
        }
        let (classes, rest) = rest.split_at_mut(CLASS_COUNTS);
        write_turned(&counts, class, classes);
        rest.copy_from_slice(&clock);
    }
}

/// What every key hears of the keys below it in its own frame: [`KEYS`] × [`LOWER_WIDTH`].
pub fn write_lower(frame: Keys, rows: &mut [f32]) {
    let mut counts = [0.0; CLASSES];
    let mut n_lower = 0.0;
    for (key, row) in rows.chunks_exact_mut(LOWER_WIDTH).enumerate() {
        let (window, rest) = row.split_at_mut(LOWER_KEYS);
        window.fill(0.0);
        for lower in frame.iter().take_while(|&lower| lower < key) {
            window[key - lower - 1] = 1.0;
        }
        let (classes, number) = rest.split_at_mut(CLASS_COUNTS);
        write_turned(&counts, key, classes);
        number[0] = n_lower * NUMBER_UNIT;
        if frame.contains(key) {
            counts[key % CLASSES] += COUNT_UNIT;
            n_lower += 1.0;
        }
    }
}

/// What changes in [`write_lower`]'s row of a key when `lower` sounds: places and by how much.
pub fn lower_changes(key: usize, lower: usize) -> [(usize, f32); 3] {
    let class = (lower + KEYS * CLASSES - key) % CLASSES;
    [
        (key - lower - 1, 1.0),
        (LOWER_KEYS + class, COUNT_UNIT),
        (LOWER_KEYS + CLASS_COUNTS, NUMBER_UNIT),
    ]
}

/// Rows of many frames, written side by side by all cores.
pub fn write_all<F>(n_frames: usize, width: usize, write: F) -> Vec<f32>
where
    F: Fn(usize, &mut [f32]) + Sync,
{
    let mut rows = vec![0.0; n_frames * width];
    rows.par_chunks_exact_mut(width).enumerate().for_each(|(frame, rows)| write(frame, rows));
    rows
}

/// How many keys of each class sound, in [`COUNT_UNIT`]s; class 0 is that of the lowest key.
fn class_counts(frame: Keys) -> [f32; CLASSES] {
    let mut counts = [0.0; CLASSES];
    frame.iter().for_each(|key| counts[key % CLASSES] += COUNT_UNIT);
    counts
}

/// The counts beginning with the class of `key`.
fn write_turned(counts: &[f32; CLASSES], key: usize, to: &mut [f32]) {
    for (interval, to) in to.iter_mut().enumerate() {
        *to = counts[(key + interval) % CLASSES];
    }
}

fn register_values(key: usize) -> [f32; REGISTER] {
    let place = 2.0 * key as f32 / (KEYS - 1) as f32 - 1.0;
    let angle = std::f32::consts::PI * place;
    [place, place * place, angle.sin(), angle.cos()]
}

fn clock_values(clock: u32) -> [f32; CLOCK] {
    let mut values = [0.0; CLOCK];
    for (values, period) in values.chunks_exact_mut(2).zip(PERIODS) {
        let angle = std::f32::consts::TAU * (clock % period) as f32 / period as f32;
        values.copy_from_slice(&[angle.cos(), angle.sin()]);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(of: &[usize]) -> Keys {
        let mut keys = Keys::default();
        of.iter().for_each(|&key| keys.insert(key));
        keys
    }

    fn rows<const W: usize>(n: usize, write: impl Fn(&mut [f32])) -> Vec<[f32; W]> {
        let mut values = vec![f32::NAN; n * W];
        write(&mut values);
        values.chunks_exact(W).map(|row| row.try_into().unwrap()).collect()
    }

    #[test]
    fn a_chord_that_moves_looks_the_same_to_the_keys_beside_it() {
        let hears = |moved: usize| {
            let chord = keys(&[30 + moved, 34 + moved, 37 + moved, 50 + moved]);
            let of_keys = rows::<KEY_WIDTH>(KEYS, |rows| write_keys(chord, 3, rows));
            let lower = rows::<LOWER_WIDTH>(KEYS, |rows| write_lower(chord, rows));
            (of_keys[40 + moved], lower[40 + moved])
        };
        let (of_keys, lower) = hears(0);
        for moved in 1..=30 {
            let (mut other, other_lower) = hears(moved);
            let register = 2 * REACH + 1 + CLASS_COUNTS..2 * REACH + 1 + CLASS_COUNTS + REGISTER;
            assert_ne!(other[register.clone()], of_keys[register.clone()]);
            other[register.clone()].copy_from_slice(&of_keys[register]);
            assert_eq!((other, other_lower), (of_keys, lower), "by {moved}");
        }
    }

    #[test]
    fn every_class_hears_every_key_once() {
        for key in 0..KEYS {
            let rows = rows::<CLASS_WIDTH>(CLASSES, |rows| write_classes(keys(&[key]), 0, rows));
            for (class, row) in rows.iter().enumerate() {
                let heard: Vec<usize> = (0..SPAN).filter(|&place| row[place] == 1.0).collect();
                assert_eq!(heard, [key + CLASSES - 1 - class], "key {key} by class {class}");
                let interval = (key + CLASSES - class) % CLASSES;
                assert_eq!(row[SPAN + interval], COUNT_UNIT);
            }
        }
    }

    #[test]
    fn changes_add_up_to_the_rows_of_the_lower_keys() {
        let chord = keys(&[0, 12, 13, 40, 86]);
        let written = rows::<LOWER_WIDTH>(KEYS, |rows| write_lower(chord, rows));
        for (key, written) in written.iter().enumerate() {
            let mut row = [0.0; LOWER_WIDTH];
            for lower in chord.iter().take_while(|&lower| lower < key) {
                lower_changes(key, lower).iter().for_each(|&(place, change)| row[place] += change);
            }
            assert_eq!(&row, written, "key {key}");
        }
    }

    #[test]
    fn pitches_that_no_piano_has_are_left_out() {
        let chord = Chord::from_bits(1 << 20 | 1 << 21 | 1 << 108 | 1 << 109);
        assert_eq!(Keys::of(chord).iter().collect::<Vec<_>>(), [0, 87]);
        assert_eq!(Keys::of(chord).chord(), Chord::from_bits(1 << 21 | 1 << 108));
    }
}
