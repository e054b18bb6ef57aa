//! What keys and pitch classes hear, as sums of a few rows of a table.
//!
//! Nearly all that `features` writes is zero, and the rest is the same for every key, only moved: a
//! note gives each key the numbers of its interval. So these are added up once for every interval,
//! and the table slides along the keyboard:
//!
//! ```text
//! X = S F        X: what `features` writes        F: what each row of the table stands for
//! Z = X W = S (F W)        dW = Xᵀ dZ = Fᵀ (Sᵀ dZ)        F W: the table
//! ```
//!
//! A row of S, what one key hears of a frame, has an entry for each note, one for its register, one
//! for the place on the grid and little more; F is made of what never changes, and F W once for
//! each weights. That is for the kernels of the CPU: cards and burn's operations multiply with X,
//! which the tests hold this against.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rayon::prelude::*;

use super::batch::KeyBatch;
use super::config::{Alphabet, CLASSES, KEYS, KeyConfig, LENGTHS, Tower};
use super::features::{
    CLASS_BASE, CLOCK_PERIOD, COUNT_UNIT, Frame, KEY_BASE, LOWER_BASE, LOWER_KEYS, LOWER_STRIKES,
    NUMBER_UNIT, REACH, REGISTER, SPAN, STRIKE_REACH, STRIKES, class_width, clock_values,
    key_width, length_values, lower_width, register_values,
};
use super::network::KeyNetwork;
use crate::model::fused::recurrent::Products;
use crate::model::fused::simd::Level;
use crate::model::fused::sparse::{SparseRows, Strips, add_transposed, multiply};
use crate::model::kernels::{Kernels, Numbers};

/// Places of the clock that differ.
const CLOCKS: usize = CLOCK_PERIOD as usize;

/// Lengths of a frame: also that of none, which isn't known, and of one, which says no more.
const N_LENGTHS: usize = LENGTHS + 1;

/// Where things lie in the table of a key.
mod of_keys {
    use super::*;
    /// By interval, from the highest note above to the lowest below.
    pub const NOTES: usize = 0;
    pub const REGISTERS: usize = NOTES + 2 * KEYS - 1;
    pub const CLOCK: usize = REGISTERS + KEYS;
    /// As the notes, as far as strikes are heard. Only with touch, as what follows.
    pub const STRIKES_AROUND: usize = CLOCK + CLOCKS;
    pub const PEDAL: usize = STRIKES_AROUND + STRIKES;
    pub const LENGTH: usize = PEDAL + 1;
    /// Of the speller alone: lower keys of its own frame by interval, and with touch which of them
    /// were struck, of which those out of reach are all alike.
    pub const fn lower(alphabet: Alphabet) -> usize {
        match alphabet {
            Alphabet::OffOn => STRIKES_AROUND,
            Alphabet::Full => LENGTH + N_LENGTHS,
        }
    }
    pub const fn struck(alphabet: Alphabet) -> usize {
        lower(alphabet) + LOWER_KEYS
    }
}

/// Where things lie in the table of a pitch class.
mod of_classes {
    use super::*;
    pub const NOTES: usize = 0;
    pub const CLOCK: usize = NOTES + SPAN;
    /// By interval. Only with touch, as what follows.
    pub const STRIKES: usize = CLOCK + CLOCKS;
    pub const FORCE: usize = STRIKES + CLASSES;
    pub const PEDAL: usize = FORCE + 1;
    pub const LENGTH: usize = PEDAL + 1;
}

/// Frames whose products are made together.
const FRAMES: usize = 16;
/// Into so many parts gradients of many frames are cut, whatever the number of threads: each part
/// needs a table of its own, and these are summed in order.
const PARTS: usize = 32;

/// Who hears, and what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// Every pitch class the frame before.
    Classes,
    /// Every key the frame before.
    Keys,
    /// Every key the frame before and the lower keys of its own; and a bias.
    Speller,
}

/// Weights for one kind of hearing as a table.
#[derive(Clone, Debug)]
pub struct Slide {
    level: Level,
    hearing: Hearing,
    alphabet: Alphabet,
    /// F: each row of the table as a sum of the weights' rows.
    folds: SparseRows,
    table: Strips,
    n_inputs: usize,
}

/// The tables of a network for all whose input is a frame.
#[derive(Clone, Debug)]
pub struct Slides {
    /// Of the first layer of each tower.
    pub towers: Vec<Slide>,
    pub speller: Slide,
    /// Of what strikes hear of the frame before; only with touch.
    pub strikes: Option<Slide>,
}

/// What is heard of a batch.
#[derive(Clone, Copy, Debug)]
pub struct SlidBatch<'a> {
    pub slide: &'a Slide,
    pub batch: &'a KeyBatch,
}

impl Slides {
    /// None where the kernels of the CPU aren't used.
    pub fn of<B: Backend>(network: &KeyNetwork<B>, kernels: &Kernels<B>) -> Option<Self> {
        let level = kernels.fused_level()?;
        let slide = |hearing, weights: &[&Tensor<B, 2>]| {
            Slide::of(level, network.config.alphabet, hearing, weights)
        };
        let towers = network.config.towers().into_iter().zip(&network.towers);
        let towers = towers.map(|(tower, layers)| {
            let hearing = if tower.places == CLASSES { Hearing::Classes } else { Hearing::Keys };
            let first = layers.first().expect("a tower has at least one layer");
            slide(hearing, &[&first.input_weights])
        });
        let speller = &network.speller;
        let weights = [&speller.before, &speller.lower, &speller.bias];
        let strikes = network.touch.as_ref().map(|touch| &touch.velocity.before);
        Some(Self {
            towers: towers.collect(),
            speller: slide(Hearing::Speller, &weights),
            strikes: strikes.map(|weights| slide(Hearing::Keys, &[weights])),
        })
    }
}

/// Numbers of the gradients of a network's tables that are held at once: those of one tower in
/// parts.
pub(super) fn gradient_values(config: &KeyConfig) -> u64 {
    let of_tower = |tower: Tower| {
        let hearing = if tower.places == CLASSES { Hearing::Classes } else { Hearing::Keys };
        let rows = hearing.folds(config.alphabet).len();
        (PARTS * rows * 4 * tower.hidden) as u64
    };
    config.towers().into_iter().map(of_tower).max().unwrap_or(0)
}

impl Hearing {
    fn places(self) -> usize {
        match self {
            Self::Classes => CLASSES,
            Self::Keys | Self::Speller => KEYS,
        }
    }

    /// Rows of the weights.
    fn n_inputs(self, alphabet: Alphabet) -> usize {
        match self {
            Self::Classes => class_width(alphabet),
            Self::Keys => key_width(alphabet),
            Self::Speller => key_width(alphabet) + lower_width(alphabet) + 1,
        }
    }

    fn folds(self, alphabet: Alphabet) -> SparseRows {
        let mut folds = SparseRows::default();
        match self {
            Self::Classes => fold_classes(alphabet, &mut folds),
            Self::Keys => fold_keys(alphabet, None, &mut folds),
            Self::Speller => {
                let first = key_width(alphabet);
                fold_keys(alphabet, Some(first + lower_width(alphabet)), &mut folds);
                fold_lower(alphabet, first, &mut folds);
            }
        }
        folds
    }
}

impl Slide {
    /// `weights` are all that multiply what is heard, in the order of [`Hearing`]'s description.
    fn of<B: Backend>(
        level: Level,
        alphabet: Alphabet,
        hearing: Hearing,
        weights: &[&Tensor<B, 2>],
    ) -> Self {
        let columns = weights.iter().map(|weights| weights.dims()[1]).max().unwrap_or(1);
        let weights: Vec<Numbers> = weights.iter().map(|weights| Numbers::of(weights)).collect();
        let weights: Vec<&[f32]> = weights.iter().map(|weights| &**weights).collect();
        Self::of_numbers(level, alphabet, hearing, &weights, columns)
    }

    fn of_numbers(
        level: Level,
        alphabet: Alphabet,
        hearing: Hearing,
        weights: &[&[f32]],
        columns: usize,
    ) -> Self {
        let (folds, n_inputs) = (hearing.folds(alphabet), hearing.n_inputs(alphabet));
        let weights = Strips::of(weights, columns);
        assert_eq!(weights.rows(), n_inputs);
        let mut table = vec![0.0; folds.len() * columns];
        multiply(level, &folds, &weights, &mut table);
        let table = Strips::of(&[&table], columns);
        Self { level, hearing, alphabet, folds, table, n_inputs }
    }

    /// Z of some frames of a batch, row after row.
    pub fn products(&self, batch: &KeyBatch, frames: Range<usize>) -> Vec<f32> {
        let mut products = vec![0.0; frames.len() * self.values_a_frame()];
        self.write_products(&mut SparseRows::default(), batch, frames.start, &mut products);
        products
    }

    /// Numbers that Z has for each frame.
    fn values_a_frame(&self) -> usize {
        self.hearing.places() * self.table.columns()
    }

    /// Z of as many frames as there is room for, beginning with frame `first`.
    fn write_products(
        &self,
        heard: &mut SparseRows,
        batch: &KeyBatch,
        first: usize,
        products: &mut [f32],
    ) {
        for (idx, products) in products.chunks_exact_mut(self.values_a_frame()).enumerate() {
            self.hear_all(batch, first + idx..first + idx + 1, heard);
            self.multiply(heard, products);
        }
    }

    /// Sᵀ dZ of some frames.
    fn table_gradient(&self, batch: &KeyBatch, frames: Range<usize>, dz: &[f32]) -> Strips {
        let mut sum = self.no_gradient();
        let mut heard = SparseRows::default();
        for (idx, dz) in frames.zip(dz.chunks_exact(self.values_a_frame())) {
            self.hear_all(batch, idx..idx + 1, &mut heard);
            self.add_gradient(&heard, dz, &mut sum);
        }
        sum
    }

    /// A gradient of the table to which nothing was added.
    pub fn no_gradient(&self) -> Strips {
        Strips::zeros(self.table.rows(), self.table.columns())
    }

    /// Z, given S.
    pub fn multiply(&self, heard: &SparseRows, products: &mut [f32]) {
        multiply(self.level, heard, &self.table, products);
    }

    /// Adds Sᵀ dZ to a gradient of the table.
    pub fn add_gradient(&self, heard: &SparseRows, dz: &[f32], of_table: &mut Strips) {
        add_transposed(self.level, heard, dz, of_table);
    }

    /// dW, all weights below each other: Fᵀ times the table's gradient.
    pub fn unfolded(&self, of_table: &Strips) -> Vec<f32> {
        let mut gradient = Strips::zeros(self.n_inputs, of_table.columns());
        add_transposed(self.level, &self.folds, &of_table.to_rows(), &mut gradient);
        gradient.to_rows()
    }

    /// S of some frames of a batch.
    pub fn hear_all(&self, batch: &KeyBatch, frames: Range<usize>, heard: &mut SparseRows) {
        heard.clear();
        for idx in frames {
            let (before, frame, clock) = batch.frame(idx);
            match self.hearing {
                Hearing::Classes => hear_by_class(self.alphabet, before, clock, heard),
                Hearing::Keys => hear_by_key(self.alphabet, before, None, clock, heard),
                Hearing::Speller => hear_by_key(self.alphabet, before, Some(frame), clock, heard),
            }
        }
    }

    pub fn level(&self) -> Level {
        self.level
    }

    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }
}

impl SlidBatch<'_> {
    /// Rows of Z.
    pub fn n_rows(&self) -> usize {
        self.batch.n_steps * self.batch.n_rows * self.slide.hearing.places()
    }
}

impl Products for SlidBatch<'_> {
    fn write(&self, products: &mut [f32]) {
        let size = FRAMES * self.slide.values_a_frame();
        if products.len() <= size {
            // Composing: not worth waking another thread for.
            self.slide.write_products(&mut SparseRows::default(), self.batch, 0, products);
            return;
        }
        let blocks = products.par_chunks_mut(size).enumerate();
        blocks.for_each_init(SparseRows::default, |heard, (block, products)| {
            self.slide.write_products(heard, self.batch, block * FRAMES, products);
        });
    }

    fn write_gradient(&self, dz: &[f32], gradient: &mut [f32]) {
        let n_frames = dz.len() / self.slide.values_a_frame();
        let size = n_frames.div_ceil(PARTS).max(FRAMES);
        let parts = dz.par_chunks(size * self.slide.values_a_frame()).enumerate();
        let parts: Vec<Strips> = parts
            .map(|(part, dz)| {
                let frames = part * size..((part + 1) * size).min(n_frames);
                self.slide.table_gradient(self.batch, frames, dz)
            })
            .collect();
        let sum = parts.into_iter().reduce(|mut sum, part| {
            sum.add(&part);
            sum
        });
        match sum {
            Some(sum) => gradient.copy_from_slice(&self.slide.unfolded(&sum)),
            None => gradient.fill(0.0),
        }
    }
}

/// F of a key, to the row of whose register the bias is added.
fn fold_keys(alphabet: Alphabet, bias: Option<usize>, folds: &mut SparseRows) {
    let classes = 2 * REACH + 1;
    for row in 0..2 * KEYS - 1 {
        // From 87 semitones above the key down to 87 below it.
        let place = (KEYS - 1 + REACH).checked_sub(row).filter(|&place| place < classes);
        place.into_iter().for_each(|place| folds.push(place, 1.0));
        folds.push(classes + (KEYS - 1 + KEYS * CLASSES - row) % CLASSES, COUNT_UNIT);
        folds.end_row();
    }
    for key in 0..KEYS {
        push_all(folds, classes + CLASSES, &register_values(key));
        bias.into_iter().for_each(|bias| folds.push(bias, 1.0));
        folds.end_row();
    }
    fold_clock(classes + CLASSES + REGISTER, folds);
    if alphabet == Alphabet::Full {
        for row in 0..=STRIKES {
            // From the highest to the lowest, and then the pedal.
            folds.push(KEY_BASE + if row < STRIKES { STRIKES - 1 - row } else { STRIKES }, 1.0);
            folds.end_row();
        }
        fold_lengths(KEY_BASE + STRIKES + 1, folds);
    }
}

/// F of what a key hears of the lower ones, whose weights begin with row `first`.
fn fold_lower(alphabet: Alphabet, first: usize, folds: &mut SparseRows) {
    for idx in 0..LOWER_KEYS {
        folds.push(first + idx, 1.0);
        folds.push(first + LOWER_KEYS + (KEYS * CLASSES - idx - 1) % CLASSES, COUNT_UNIT);
        folds.push(first + LOWER_KEYS + CLASSES, NUMBER_UNIT);
        folds.end_row();
    }
    if alphabet == Alphabet::Full {
        for idx in 0..=LOWER_STRIKES {
            if idx < LOWER_STRIKES {
                folds.push(first + LOWER_BASE + idx, 1.0);
            }
            folds.push(first + LOWER_BASE + LOWER_STRIKES, NUMBER_UNIT);
            folds.end_row();
        }
    }
}

/// F of a pitch class.
fn fold_classes(alphabet: Alphabet, folds: &mut SparseRows) {
    for place in 0..SPAN {
        folds.push(place, 1.0);
        // Place 11 is the class itself.
        folds.push(SPAN + (place + 1) % CLASSES, COUNT_UNIT);
        folds.end_row();
    }
    fold_clock(SPAN + CLASSES, folds);
    if alphabet == Alphabet::Full {
        for idx in 0..CLASSES {
            folds.push(CLASS_BASE + idx, COUNT_UNIT);
            folds.end_row();
        }
        // The mean force of the strikes, and the pedal.
        for idx in 0..2 {
            folds.push(CLASS_BASE + CLASSES + idx, 1.0);
            folds.end_row();
        }
        fold_lengths(CLASS_BASE + CLASSES + 2, folds);
    }
}

/// A row for each place on the grid; the values of the clock are at `first`.
fn fold_clock(first: usize, folds: &mut SparseRows) {
    for clock in 0..CLOCK_PERIOD {
        push_all(folds, first, &clock_values(Some(clock)));
        folds.end_row();
    }
}

/// A row for each length; what is said of it is at `first`.
fn fold_lengths(first: usize, folds: &mut SparseRows) {
    for length in 0..N_LENGTHS {
        push_all(folds, first, &length_values(length as u32));
        folds.end_row();
    }
}

fn push_all(folds: &mut SparseRows, first: usize, values: &[f32]) {
    let values = (first..).zip(values).filter(|(_, value)| **value != 0.0);
    values.for_each(|(column, &value)| folds.push(column, value));
}

/// S of the keys: of the frame before, and if there is one of the lower keys of their own frame.
fn hear_by_key(
    alphabet: Alphabet,
    before: Frame,
    frame: Option<Frame>,
    clock: Option<u32>,
    heard: &mut SparseRows,
) {
    let sounding: Vec<usize> = before.sounding.iter().collect();
    let strikes: Vec<(usize, f32)> = before.forces().collect();
    let frame = frame.unwrap_or_default();
    let lower: Vec<usize> = frame.sounding.iter().collect();
    let lower_struck: Vec<usize> = frame.struck.iter().collect();
    let (of_lower, of_struck) = (of_keys::lower(alphabet), of_keys::struck(alphabet));
    for key in 0..KEYS {
        heard.push(of_keys::REGISTERS + key, 1.0);
        for other in &sounding {
            heard.push(of_keys::NOTES + KEYS - 1 + key - other, 1.0);
        }
        push_clock(of_keys::CLOCK, clock, heard);
        for lower in lower.iter().take_while(|&&lower| lower < key) {
            heard.push(of_lower + key - lower - 1, 1.0);
        }
        if alphabet == Alphabet::Full {
            for &(other, force) in &strikes {
                if key.abs_diff(other) <= STRIKE_REACH {
                    heard.push(of_keys::STRIKES_AROUND + STRIKE_REACH + key - other, force);
                }
            }
            if before.pedal {
                heard.push(of_keys::PEDAL, 1.0);
            }
            push_length(of_keys::LENGTH, before, heard);
            for lower in lower_struck.iter().take_while(|&&lower| lower < key) {
                heard.push(of_struck + (key - lower - 1).min(LOWER_STRIKES), 1.0);
            }
        }
        heard.end_row();
    }
}

/// S of the pitch classes.
fn hear_by_class(alphabet: Alphabet, before: Frame, clock: Option<u32>, heard: &mut SparseRows) {
    let force = before.mean_force();
    for class in 0..CLASSES {
        for sounding in before.sounding.iter() {
            heard.push(of_classes::NOTES + sounding + CLASSES - 1 - class, 1.0);
        }
        push_clock(of_classes::CLOCK, clock, heard);
        if alphabet == Alphabet::Full {
            for struck in before.struck.iter() {
                heard.push(of_classes::STRIKES + (struck + CLASSES - class) % CLASSES, 1.0);
            }
            heard.push(of_classes::FORCE, force);
            if before.pedal {
                heard.push(of_classes::PEDAL, 1.0);
            }
            push_length(of_classes::LENGTH, before, heard);
        }
        heard.end_row();
    }
}

fn push_length(first: usize, before: Frame, heard: &mut SparseRows) {
    if before.length > 1 {
        heard.push(first + (before.length as usize).min(LENGTHS), 1.0);
    }
}

fn push_clock(first: usize, clock: Option<u32>, heard: &mut SparseRows) {
    if let Some(clock) = clock {
        heard.push(first + (clock % CLOCK_PERIOD) as usize, 1.0);
    }
}

#[cfg(test)]
mod tests;
