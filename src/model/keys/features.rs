//! A frame as a network of the second family hears it: by intervals.
//!
//! Nothing here says which key is which. A key hears what sounds so and so many semitones above
//! and below it and how the sounding pitch classes lie around its own, a pitch class what sounds
//! in each octave at each interval above it; all with the same weights. So a chord that moves by a
//! semitone looks the same to the keys beside it, and what was learned in C is known in D. Only
//! four slow functions of the key tell the register: the bass moves otherwise than the treble.
//!
//! Music on a grid has a clock: it counts frames at the periods that its bars have.

use rayon::prelude::*;

use super::config::{Alphabet, CLASSES, KEYS, LENGTHS, LOWEST};
use crate::music::Velocity;
use crate::tokens::{Chord, KeyFrame, KeyRun};

/// Semitones that a key hears up and down.
pub(super) const REACH: usize = 24;
/// What says how the pitch classes lie.
const CLASS_COUNTS: usize = CLASSES;
pub(super) const REGISTER: usize = 4;
/// Periods of the clock, in frames.
const PERIODS: [u32; 9] = [2, 3, 4, 6, 8, 12, 16, 24, 32];
pub(super) const CLOCK: usize = 2 * PERIODS.len();
/// After so many frames all of them begin again.
pub(super) const CLOCK_PERIOD: u32 = 96;
/// Semitones that a pitch class hears: enough for every key from every class.
pub(super) const SPAN: usize = KEYS + CLASSES - 1;

/// Semitones up and down that a key hears strikes in, with their force.
pub(super) const STRIKE_REACH: usize = 12;
pub(super) const STRIKES: usize = 2 * STRIKE_REACH + 1;
/// Semitones down that a key hears in its own frame whether what sounds was struck.
pub(super) const LOWER_STRIKES: usize = 12;
pub(super) const LOWER_KEYS: usize = KEYS - 1;

pub(super) const KEY_BASE: usize = 2 * REACH + 1 + CLASS_COUNTS + REGISTER + CLOCK;
pub(super) const CLASS_BASE: usize = SPAN + CLASS_COUNTS + CLOCK;
pub(super) const LOWER_BASE: usize = LOWER_KEYS + CLASS_COUNTS + 1;

/// What a struck key hears of its whole frame to know how hard it is struck: what sounds and what
/// is struck around it, the mean force of the lower strikes, that of the highest of them, whether
/// there is one, how many strikes there are.
pub const STRIKE_WIDTH: usize = 2 * REACH + 1 + STRIKES + 4;
/// What the pedal is decided by besides the towers: whether it was down, how many keys sound, are
/// struck and were let go.
pub const PEDAL_WIDTH: usize = 4;
/// What is said of how long a frame lasts: which of these it reaches, and its logarithm.
const LENGTH_STEPS: [u32; 14] = [2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 25, 31, 32];
pub(super) const LENGTH_WIDTH: usize = LENGTH_STEPS.len() + 1;
/// What it is decided by besides the towers how long a frame lasts: what the pedal is decided by,
/// the pedal, the force of its strikes, how long the frame before lasted, the clock.
pub const LASTING_WIDTH: usize = PEDAL_WIDTH + 2 + LENGTH_WIDTH + CLOCK;

/// What a key hears of a frame.
pub const fn key_width(alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::OffOn => KEY_BASE,
        // Strikes around it, the pedal, and how long it lasts.
        Alphabet::Full => KEY_BASE + STRIKES + 1 + LENGTH_WIDTH,
    }
}

/// What a pitch class hears of a frame.
pub const fn class_width(alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::OffOn => CLASS_BASE,
        // Strikes by interval, their mean force, the pedal, and how long it lasts.
        Alphabet::Full => CLASS_BASE + CLASS_COUNTS + 2 + LENGTH_WIDTH,
    }
}

/// What a key hears of the lower keys of its own frame: by interval, by pitch class, how many; with
/// touch also which were struck, and how many of them.
pub const fn lower_width(alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::OffOn => LOWER_BASE,
        Alphabet::Full => LOWER_BASE + LOWER_STRIKES + 1,
    }
}

/// Counts of notes come in parts, so that they are as large as the other numbers.
pub(super) const COUNT_UNIT: f32 = 0.5;
pub(super) const NUMBER_UNIT: f32 = 0.25;
/// Velocities are shares of the middle one, which also stands where nobody knows.
const MIDDLE_VELOCITY: f32 = 64.0;

/// Some keys, bit 0 the lowest; pitches that no piano has are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Keys(u128);

/// A frame as a network hears it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Frame<'a> {
    pub sounding: Keys,
    pub struck: Keys,
    /// Of the struck keys from low to high; empty where nobody knows.
    pub velocities: &'a [Velocity],
    pub pedal: bool,
    /// How many frames it lasts; 0 where it isn't known yet.
    pub length: u32,
}

impl Keys {
    const ALL: u128 = (1 << KEYS) - 1;

    pub fn of(chord: Chord) -> Self {
        Self(chord.bits() >> LOWEST & Self::ALL)
    }

    pub fn chord(self) -> Chord {
        Chord::from_bits(self.0 << LOWEST)
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn contains(self, key: usize) -> bool {
        self.0 >> key & 1 == 1
    }

    pub fn insert(&mut self, key: usize) {
        self.0 |= 1 << key;
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
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

impl<'a> Frame<'a> {
    /// Of a frame all of whose keys a piano has.
    pub fn of(frame: &'a KeyFrame) -> Self {
        Self {
            sounding: Keys::of(frame.sounding),
            struck: Keys::of(frame.struck),
            velocities: &frame.velocities,
            pedal: frame.pedal,
            length: 0,
        }
    }

    pub fn of_run(run: &'a KeyRun) -> Self {
        Self { length: run.length, ..Self::of(&run.frame) }
    }

    /// The struck keys and their force, 1 for the middle velocity, from low to high.
    pub(super) fn forces(self) -> impl Iterator<Item = (usize, f32)> {
        let force = move |idx: usize| {
            self.velocities.get(idx).map_or(1.0, |v| f32::from(v.number()) / MIDDLE_VELOCITY)
        };
        self.struck.iter().enumerate().map(move |(idx, key)| (key, force(idx)))
    }

    pub(super) fn mean_force(self) -> f32 {
        let n = self.struck.len().max(1) as f32;
        self.forces().map(|(_, force)| force).sum::<f32>() / n
    }
}

/// Cuts the next `n` numbers off.
fn take<'r>(rest: &mut &'r mut [f32], n: usize) -> &'r mut [f32] {
    rest.split_off_mut(..n).expect("a row is as wide as its parts")
}

/// What every key hears of the frame before: row after row, [`KEYS`] × [`key_width`]. `clock` is
/// the place of the frame to come on the grid, if there is one.
pub fn write_keys(alphabet: Alphabet, before: Frame, clock: Option<u32>, rows: &mut [f32]) {
    let counts = class_counts(before.sounding);
    let (clock, length) = (clock_values(clock), length_values(before.length));
    for (key, row) in rows.chunks_exact_mut(key_width(alphabet)).enumerate() {
        write_of_key(alphabet, key, before, (&counts, &clock, &length), row);
    }
}

/// The row of one key in [`write_keys`].
pub fn write_key(
    alphabet: Alphabet,
    key: usize,
    before: Frame,
    clock: Option<u32>,
    row: &mut [f32],
) {
    let (counts, clock) = (class_counts(before.sounding), clock_values(clock));
    let length = length_values(before.length);
    write_of_key(alphabet, key, before, (&counts, &clock, &length), row);
}

/// The row of a key, given what is the same for all of them.
fn write_of_key(
    alphabet: Alphabet,
    key: usize,
    before: Frame,
    (counts, clock, length): (&[f32; CLASSES], &[f32; CLOCK], &[f32; LENGTH_WIDTH]),
    mut row: &mut [f32],
) {
    let rest = &mut row;
    write_around::<REACH>(key, before.sounding.iter().map(|key| (key, 1.0)), rest);
    write_turned(counts, key, take(rest, CLASS_COUNTS));
    take(rest, REGISTER).copy_from_slice(&register_values(key));
    take(rest, CLOCK).copy_from_slice(clock);
    if alphabet == Alphabet::Full {
        write_around::<STRIKE_REACH>(key, before.forces(), rest);
        take(rest, 1)[0] = f32::from(u8::from(before.pedal));
        rest.copy_from_slice(length);
    }
}

/// What every pitch class hears of the frame before: [`CLASSES`] × [`class_width`]. Class 0 is
/// that of the lowest key.
pub fn write_classes(alphabet: Alphabet, before: Frame, clock: Option<u32>, rows: &mut [f32]) {
    let counts = class_counts(before.sounding);
    let strikes = class_counts(before.struck);
    let (clock, length) = (clock_values(clock), length_values(before.length));
    for (class, mut row) in rows.chunks_exact_mut(class_width(alphabet)).enumerate() {
        let rest = &mut row;
        let span = take(rest, SPAN);
        span.fill(0.0);
        // It begins below the keys for all classes but the last, so that each hears all of them and
        // the same place is the same interval for all.
        for sounding in before.sounding.iter() {
            span[sounding + CLASSES - 1 - class] = 1.0;
        }
        write_turned(&counts, class, take(rest, CLASS_COUNTS));
        take(rest, CLOCK).copy_from_slice(&clock);
        if alphabet == Alphabet::Full {
            write_turned(&strikes, class, take(rest, CLASS_COUNTS));
            let of_frame = [before.mean_force(), f32::from(u8::from(before.pedal))];
            take(rest, 2).copy_from_slice(&of_frame);
            rest.copy_from_slice(&length);
        }
    }
}

/// What every key hears of the keys below it in its own frame: [`KEYS`] × [`lower_width`].
pub fn write_lower(alphabet: Alphabet, frame: Frame, rows: &mut [f32]) {
    let mut counts = [0.0; CLASSES];
    let (mut n_lower, mut n_struck) = (0.0, 0.0);
    for (key, mut row) in rows.chunks_exact_mut(lower_width(alphabet)).enumerate() {
        let rest = &mut row;
        let window = take(rest, LOWER_KEYS);
        window.fill(0.0);
        for lower in frame.sounding.iter().take_while(|&lower| lower < key) {
            window[key - lower - 1] = 1.0;
        }
        write_turned(&counts, key, take(rest, CLASS_COUNTS));
        take(rest, 1)[0] = n_lower;
        if alphabet == Alphabet::Full {
            let window = take(rest, LOWER_STRIKES);
            window.fill(0.0);
            for lower in frame.struck.iter().take_while(|&lower| lower < key) {
                if let Some(place) = window.get_mut(key - lower - 1) {
                    *place = 1.0;
                }
            }
            rest[0] = n_struck;
        }
        if frame.sounding.contains(key) {
            counts[key % CLASSES] += COUNT_UNIT;
            n_lower += NUMBER_UNIT;
        }
        if frame.struck.contains(key) {
            n_struck += NUMBER_UNIT;
        }
    }
}

/// What changes in [`write_lower`]'s row of a key when `lower` sounds, or is struck: places and by
/// how much.
pub fn lower_changes(
    alphabet: Alphabet,
    key: usize,
    lower: usize,
    is_struck: bool,
) -> impl Iterator<Item = (usize, f32)> {
    let class = (lower + KEYS * CLASSES - key) % CLASSES;
    let interval = key - lower - 1;
    let sounds = [
        (interval, 1.0),
        (LOWER_KEYS + class, COUNT_UNIT),
        (LOWER_KEYS + CLASS_COUNTS, NUMBER_UNIT),
    ];
    let counts = is_struck && alphabet == Alphabet::Full;
    let is_near = interval < LOWER_STRIKES;
    let near = (counts && is_near).then_some((LOWER_BASE + interval, 1.0));
    let struck = counts.then_some((LOWER_BASE + LOWER_STRIKES, NUMBER_UNIT));
    sounds.into_iter().chain(near).chain(struck)
}

/// What a struck key hears of its frame, of whose strikes only the velocities of the lower ones are
/// looked at: [`STRIKE_WIDTH`].
pub fn write_strike(frame: Frame, key: usize, mut row: &mut [f32]) {
    let rest = &mut row;
    write_around::<REACH>(key, frame.sounding.iter().map(|key| (key, 1.0)), rest);
    write_around::<STRIKE_REACH>(key, frame.struck.iter().map(|key| (key, 1.0)), rest);
    let lower = || frame.forces().take_while(|&(lower, _)| lower < key).map(|(_, force)| force);
    let n = lower().count();
    let mean = lower().sum::<f32>() / n.max(1) as f32;
    let highest = lower().last().unwrap_or(0.0);
    let n_struck = frame.struck.len() as f32 * NUMBER_UNIT;
    rest.copy_from_slice(&[mean, highest, if n > 0 { 1.0 } else { 0.0 }, n_struck]);
}

/// What the pedal is decided by: [`PEDAL_WIDTH`].
pub fn write_pedal(before: Frame, frame: Frame, row: &mut [f32]) {
    let let_go = before.sounding.without(frame.sounding);
    let number = |keys: Keys| keys.len() as f32 * NUMBER_UNIT;
    row.copy_from_slice(&[
        f32::from(u8::from(before.pedal)),
        number(frame.sounding),
        number(frame.struck),
        number(let_go),
    ]);
}

/// What it is decided by how long a frame lasts, of which all else is known: [`LASTING_WIDTH`].
pub fn write_lasting(before: Frame, frame: Frame, clock: Option<u32>, mut row: &mut [f32]) {
    let rest = &mut row;
    write_pedal(before, frame, take(rest, PEDAL_WIDTH));
    let of_frame = [f32::from(u8::from(frame.pedal)), frame.mean_force()];
    take(rest, of_frame.len()).copy_from_slice(&of_frame);
    take(rest, LENGTH_WIDTH).copy_from_slice(&length_values(before.length));
    rest.copy_from_slice(&clock_values(clock));
}

/// Values at their semitones from `key`, up to `N` up and down.
fn write_around<const N: usize>(
    key: usize,
    values: impl Iterator<Item = (usize, f32)>,
    rest: &mut &mut [f32],
) {
    let window = take(rest, 2 * N + 1);
    window.fill(0.0);
    for (other, value) in values {
        if let Some(place) = (other + N).checked_sub(key).and_then(|at| window.get_mut(at)) {
            *place = value;
        }
    }
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

pub(super) fn register_values(key: usize) -> [f32; REGISTER] {
    let place = 2.0 * key as f32 / (KEYS - 1) as f32 - 1.0;
    let angle = std::f32::consts::PI * place;
    [place, place * place, angle.sin(), angle.cos()]
}

pub(super) fn clock_values(clock: Option<u32>) -> [f32; CLOCK] {
    let mut values = [0.0; CLOCK];
    let Some(clock) = clock else { return values };
    for (values, period) in values.chunks_exact_mut(2).zip(PERIODS) {
        let angle = std::f32::consts::TAU * (clock % period) as f32 / period as f32;
        values.copy_from_slice(&[angle.cos(), angle.sin()]);
    }
    values
}

pub(super) fn length_values(length: u32) -> [f32; LENGTH_WIDTH] {
    let mut values = [0.0; LENGTH_WIDTH];
    for (value, step) in values.iter_mut().zip(LENGTH_STEPS) {
        *value = f32::from(u8::from(length >= step));
    }
    let length = length.clamp(1, LENGTHS as u32);
    values[LENGTH_WIDTH - 1] = (length as f32).log2() / (LENGTHS as f32).log2();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABETS: [Alphabet; 2] = [Alphabet::OffOn, Alphabet::Full];

    fn keys(of: &[usize]) -> Keys {
        let mut keys = Keys::default();
        of.iter().for_each(|&key| keys.insert(key));
        keys
    }

    fn velocities(of: &[u8]) -> Vec<Velocity> {
        of.iter().filter_map(|&velocity| Velocity::new(velocity)).collect()
    }

    fn rows(n: usize, width: usize, write: impl Fn(&mut [f32])) -> Vec<Vec<f32>> {
        let mut values = vec![f32::NAN; n * width];
        write(&mut values);
        assert!(values.iter().all(|value| value.is_finite()), "every place is written");
        values.chunks_exact(width).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_chord_that_moves_looks_the_same_to_the_keys_beside_it() {
        let velocities = velocities(&[30, 90]);
        for alphabet in ALPHABETS {
            let hears = |moved: usize| {
                let frame = Frame {
                    sounding: keys(&[30 + moved, 34 + moved, 37 + moved, 50 + moved]),
                    struck: keys(&[34 + moved, 50 + moved]),
                    velocities: &velocities,
                    pedal: true,
                    length: 3,
                };
                let write = |rows: &mut [f32]| write_keys(alphabet, frame, Some(3), rows);
                let of_keys = rows(KEYS, key_width(alphabet), write);
                let write = |rows: &mut [f32]| write_lower(alphabet, frame, rows);
                let lower = rows(KEYS, lower_width(alphabet), write);
                let strike = rows(1, STRIKE_WIDTH, |row| write_strike(frame, 50 + moved, row));
                (of_keys[40 + moved].clone(), lower[40 + moved].clone(), strike)
            };
            let (of_keys, lower, strike) = hears(0);
            for moved in 1..=30 {
                let (mut other, other_lower, other_strike) = hears(moved);
                let first = 2 * REACH + 1 + CLASS_COUNTS;
                let register = first..first + REGISTER;
                assert_ne!(other[register.clone()], of_keys[register.clone()]);
                other[register.clone()].copy_from_slice(&of_keys[register]);
                assert_eq!((&other, &other_lower), (&of_keys, &lower), "by {moved}");
                assert_eq!(other_strike, strike);
            }
        }
    }

    #[test]
    fn every_class_hears_every_key_once() {
        for alphabet in ALPHABETS {
            for key in 0..KEYS {
                let frame = Frame { sounding: keys(&[key]), ..Frame::default() };
                let write = |rows: &mut [f32]| write_classes(alphabet, frame, Some(0), rows);
                let rows = rows(CLASSES, class_width(alphabet), write);
                for (class, row) in rows.iter().enumerate() {
                    let heard: Vec<usize> = (0..SPAN).filter(|&place| row[place] == 1.0).collect();
                    assert_eq!(heard, [key + CLASSES - 1 - class], "key {key} by class {class}");
                    let interval = (key + CLASSES - class) % CLASSES;
                    assert_eq!(row[SPAN + interval], COUNT_UNIT);
                }
            }
        }
    }

    #[test]
    fn changes_add_up_to_the_rows_of_the_lower_keys() {
        let sounding = keys(&[0, 12, 13, 40, 86]);
        let frame = Frame { sounding, struck: keys(&[12, 40]), ..Frame::default() };
        for alphabet in ALPHABETS {
            let width = lower_width(alphabet);
            let written = rows(KEYS, width, |rows| write_lower(alphabet, frame, rows));
            for (key, written) in written.iter().enumerate() {
                let mut row = vec![0.0; width];
                for lower in frame.sounding.iter().take_while(|&lower| lower < key) {
                    let is_struck = frame.struck.contains(lower);
                    let changes = lower_changes(alphabet, key, lower, is_struck);
                    changes.for_each(|(place, change)| row[place] += change);
                }
                assert_eq!(&row, written, "key {key}");
            }
        }
    }

    #[test]
    fn a_strike_hears_the_force_of_the_lower_ones_alone() {
        let force = velocities(&[32, 96, 120]);
        let frame = |velocities| Frame {
            sounding: keys(&[3, 20, 40, 60]),
            struck: keys(&[20, 40, 60]),
            velocities,
            pedal: false,
            length: 0,
        };
        let of = |frame: Frame, key| rows(1, STRIKE_WIDTH, |row| write_strike(frame, key, row));
        let last = |row: Vec<Vec<f32>>| row[0][STRIKE_WIDTH - 4..].to_vec();
        assert_eq!(last(of(frame(&force), 20)), [0.0, 0.0, 0.0, 0.75]);
        assert_eq!(last(of(frame(&force), 60)), [1.0, 1.5, 1.0, 0.75]);
        assert_eq!(of(frame(&force[..2]), 60), of(frame(&force), 60));
    }

    #[test]
    fn without_a_clock_all_places_are_alike() {
        assert_eq!(clock_values(None), [0.0; CLOCK]);
        assert_ne!(clock_values(Some(0)), clock_values(Some(1)));
        for clock in 0..CLOCK_PERIOD {
            assert_eq!(clock_values(Some(clock + CLOCK_PERIOD)), clock_values(Some(clock)));
        }
    }

    #[test]
    fn pitches_that_no_piano_has_are_left_out() {
        let chord = Chord::from_bits(1 << 20 | 1 << 21 | 1 << 108 | 1 << 109);
        assert_eq!(Keys::of(chord).iter().collect::<Vec<_>>(), [0, 87]);
        assert_eq!(Keys::of(chord).chord(), Chord::from_bits(1 << 21 | 1 << 108));
    }
}
