//! What a training learns from and is measured on: music and split, read as windows of frames by
//! either family in its own way. The frames themselves stay where they are, once, in the corpus.

mod chords;
mod keys;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use chords::ChordMaterial;
pub use keys::{KeyMaterial, beyond_the_piano, has_clock, key_piece, runs_of};

use super::checkpoint::FamilyCard;
use super::chords::ChordYardstick;
use super::loss::Batch;
use super::measured::Yardstick;
use super::settings::Batching;
use super::train::TrainError;
use super::{ModelCard, SettingsError, TrainingSettings};
use crate::tokens::{BackOff, ChordId, Corpus, Grid, Music, Split, SplitKind, Stretch};

/// A stretch of frames that one row of a batch reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Index into the stretches to learn from.
    pub stretch: usize,
    /// First frame to predict; what is read is one frame earlier.
    pub start: usize,
    pub len: usize,
    /// Whether the row goes on from where it stopped in the step before.
    pub continues: bool,
    /// Index into [`Material::semitones`].
    pub shift: usize,
}

pub struct Material {
    pub music: Music,
    pub split: Split,
    pub reading: Reading,
    /// By index of a transposition: 0 semitones first, then -1, 1, -2, 2, ….
    semitones: Vec<i32>,
}

/// What a family makes of the music.
pub enum Reading {
    Chords(Arc<Corpus>, Box<ChordMaterial>),
    Keys(KeyMaterial),
}

impl Material {
    /// Splits music as the settings say, and lets the family of their model read it: a `network`
    /// that is there already with the vocabulary and the clock that it has.
    ///
    /// # Errors
    /// When it is too short, can't be split, lacks what the model is to learn, or doesn't suit the
    /// network.
    pub fn new(
        music: &Music,
        settings: &TrainingSettings,
        network: Option<&ModelCard>,
    ) -> Result<Self, TrainError> {
        check_suits(music, settings, network)?;
        let mut split = music.split(settings.split, settings.seed)?;
        let learned_from: Vec<usize> = match settings.split {
            SplitKind::Pieces => split.train_pieces(),
            // The vocabulary comes from everything, as the original's did.
            SplitKind::Tail => (0..music.n_pieces()).collect(),
        };
        if settings.batching == Batching::Columns {
            let parts = split.train.drain(..).flat_map(|stretch| stretch.parts).collect();
            split.train = vec![Stretch { parts }];
        }
        let reach = i32::from(settings.transpose);
        let semitones = std::iter::once(0).chain((1..=reach).flat_map(|n| [-n, n]));
        let semitones: Vec<i32> = semitones.collect();
        let reading = if settings.model.has_vocabulary() {
            let corpus = music.chords();
            let known = network.and_then(ModelCard::chords).map(|card| &card.vocabulary);
            let read = ChordMaterial::new(&corpus, &learned_from, &semitones, settings, known)?;
            Reading::Chords(corpus, Box::new(read))
        } else {
            Reading::Keys(KeyMaterial::new(music, &split.train, settings))
        };
        let material = Self { music: music.clone(), split, reading, semitones };
        material.check_length(settings)?;
        Ok(material)
    }

    pub fn n_shifts(&self) -> usize {
        self.semitones.len()
    }

    /// Steps of a network in each stretch to learn from: its frames, or where the alphabet says how
    /// long nothing changes, its runs.
    pub fn train_lengths(&self) -> Vec<usize> {
        match &self.reading {
            Reading::Chords(..) => self.split.train.iter().map(Stretch::n_frames).collect(),
            Reading::Keys(material) => material.lengths(),
        }
    }

    /// Chords of the vocabulary; 0 where there is none.
    pub fn vocabulary(&self) -> usize {
        match &self.reading {
            Reading::Chords(_, material) => material.encoding.vocabulary.len(),
            Reading::Keys(_) => 0,
        }
    }

    /// Share of the held-out frames that can be predicted without an escape, 0–1.
    pub fn coverage(&self) -> f64 {
        match &self.reading {
            Reading::Chords(corpus, material) => {
                material.encoding.held_out_coverage(corpus, &self.split)
            }
            Reading::Keys(_) => 1.0,
        }
    }

    /// Nats per frame that the back-off adds to the loss of the music to learn from, where there
    /// is one.
    pub fn escape_price(&self, backoff: &BackOff) -> f64 {
        match &self.reading {
            Reading::Chords(corpus, material) => {
                material.escape_price(corpus, &self.split.train, backoff)
            }
            Reading::Keys(_) => 0.0,
        }
    }

    /// What networks of this family are measured with.
    pub fn yardstick<'a>(&'a self, backoff: &'a BackOff) -> Yardstick<'a> {
        match &self.reading {
            Reading::Chords(corpus, material) => {
                let encoding = &material.encoding;
                Yardstick::Chords(ChordYardstick { corpus, encoding, backoff })
            }
            Reading::Keys(_) => Yardstick::Keys(&self.music),
        }
    }

    /// One step's windows as numbers.
    pub fn batch(&self, windows: &[Option<Window>]) -> Batch {
        let stretches = &self.split.train;
        match &self.reading {
            Reading::Chords(corpus, material) => {
                Batch::Chords(material.batch(corpus, stretches, windows))
            }
            Reading::Keys(material) => {
                Batch::Keys(material.batch(&self.music, stretches, &self.semitones, windows))
            }
        }
    }

    fn check_length(&self, settings: &TrainingSettings) -> Result<(), TrainError> {
        let n_frames: usize = self.train_lengths().iter().sum();
        // The original's layout shortens its sequences by itself; it only needs one prediction.
        let needed = match settings.batching {
            Batching::Fitted => settings.sequence,
            Batching::Columns => 2,
        };
        if n_frames < needed { Err(too_short(n_frames, needed, "")) } else { Ok(()) }
    }
}

/// Refuses music that lacks what is to be learned, or that the network to go on with reads otherwise:
/// what can be told without counting anything.
///
/// # Errors
/// The first reason, with what to do.
pub fn check_suits(
    music: &Music,
    settings: &TrainingSettings,
    network: Option<&ModelCard>,
) -> Result<(), TrainError> {
    if let Some(piece) = music.without_touch().filter(|_| settings.has_touch()) {
        let piece = piece.to_owned();
        return Err(match network {
            None => TrainError::NoTouch(piece),
            Some(_) => TrainError::NoTouchToGoOnWith(piece),
        });
    }
    check_set(music, settings)?;
    if let Some(FamilyCard::Keys(card)) = network.map(|card| &card.family)
        && card.has_clock != has_clock(music)
    {
        return Err(TrainError::OtherClock { has_clock: card.has_clock });
    }
    check_lone_piece(music, settings)
}

/// Refuses settings that mean nothing for a set of frames, which are cut and split already.
///
/// # Errors
/// The first of them, with what to do.
pub fn check_set(music: &Music, settings: &TrainingSettings) -> Result<(), SettingsError> {
    let Some(set) = music.set().map(Path::display) else { return Ok(()) };
    let refusal = |setting, value: String, rule| Err(SettingsError { setting, value, rule });
    if settings.grid != Grid::Seconds {
        let rule = format!(
            "a frame of {set} is a step of the set, and nobody knows which note that is; leave it \
             out, or give MIDI files"
        );
        return refusal("--grid", settings.grid.to_string(), rule);
    }
    if settings.split == SplitKind::Tail {
        let rule = format!(
            "{set} says itself what is held out, and its tail would learn from what it keeps for \
             testing; give --split pieces"
        );
        return refusal("--split", "tail".to_owned(), rule);
    }
    Ok(())
}

/// A lone piece can only have its tail held out; one that is too short even for that hears of both
/// at once.
fn check_lone_piece(music: &Music, settings: &TrainingSettings) -> Result<(), TrainError> {
    let n_frames = music.n_frames() * 4 / 5;
    let is_refused_later = music.n_pieces() > 1
        || settings.split == SplitKind::Tail
        || settings.batching != Batching::Fitted;
    if is_refused_later || n_frames >= settings.sequence {
        return Ok(());
    }
    Err(too_short(n_frames, settings.sequence, " and hold out the tail (--split tail)"))
}

fn too_short(n_frames: usize, needed: usize, besides: &str) -> TrainError {
    let advice = match n_frames {
        0 | 1 => "add more pieces".to_owned(),
        _ => format!(
            "add more pieces, or shorten the sequences (--sequence {n_frames} or less){besides}"
        ),
    };
    TrainError::TooShort { n_frames, needed, advice }
}

/// The chords of some frames of a stretch.
pub fn chords(corpus: &Corpus, stretch: &Stretch, frames: Range<usize>) -> Vec<ChordId> {
    let mut found = Vec::with_capacity(frames.len());
    let mut offset = 0;
    for (piece, part) in &stretch.parts {
        if offset >= frames.end {
            break;
        }
        let first = frames.start.max(offset);
        let last = frames.end.min(offset + part.len());
        if first < last {
            let in_piece = part.start + first - offset..part.start + last - offset;
            found.extend_from_slice(&corpus.pieces[*piece].chords[in_piece]);
        }
        offset += part.len();
    }
    found
}
