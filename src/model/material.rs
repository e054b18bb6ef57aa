//! What a training learns from and is measured on: corpus, split and encoding, read as windows of
//! chords. The frames themselves stay where they are, once, in the corpus.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::loss::Batch;
use super::settings::Batching;
use super::train::TrainError;
use super::{Softmax, TrainingSettings};
use crate::tokens::{
    BackOff, ChordId, ChordVocabulary, Corpus, Encoding, Split, SplitKind, Stretch, Token,
};

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
    /// Index into [`Material::shifts`].
    pub shift: usize,
}

/// Every chord of the corpus moved by some semitones, as tokens.
struct Shift {
    input: Vec<Token>,
    /// How often music leaves the vocabulary must be learned from the music, not from our moving
    /// it: what is to be learned as the escape stays the escape wherever it is moved, and a chord
    /// that is known as it stands but not when moved is `None`, which teaches nothing.
    target: Vec<Option<Token>>,
}

pub struct Material {
    pub corpus: Arc<Corpus>,
    pub encoding: Encoding,
    pub split: Split,
    /// Whether no chord of the corpus is outside the vocabulary by construction, so that the
    /// escape can never be right.
    pub closed: bool,
    /// By transposition: 0 semitones first, then -1, 1, -2, 2, ….
    shifts: Vec<Shift>,
}

impl Material {
    /// Splits and encodes a corpus as the settings say.
    pub fn new(corpus: &Arc<Corpus>, settings: &TrainingSettings) -> Result<Self, TrainError> {
        check_lone_piece(corpus, settings)?;
        let mut split = Split::new(corpus, settings.split, settings.seed)?;
        let learned_from: Vec<usize> = match settings.split {
            SplitKind::Pieces => split.train_pieces(),
            // The vocabulary comes from everything, as the original's did.
            SplitKind::Tail => (0..corpus.pieces.len()).collect(),
        };
        if settings.batching == Batching::Columns {
            let parts = split.train.drain(..).flat_map(|stretch| stretch.parts).collect();
            split.train = vec![Stretch { parts }];
        }
        let limits = settings.vocabulary_limits();
        let mut encoding = Encoding::new(corpus, &learned_from, limits, settings.seed);
        if settings.softmax == Softmax::Adaptive {
            let vocabulary = by_count(&encoding.vocabulary);
            encoding = Encoding::resumed(corpus, vocabulary, settings.seed);
        }
        // The rest is always there; alone it teaches nothing.
        if encoding.vocabulary.len() < 2 {
            return Err(TrainError::NoChords(settings.min_count));
        }
        let escape = encoding.vocabulary.escape();
        let closed = settings.split == SplitKind::Tail
            && encoding.measured.iter().all(|&token| token != escape);
        let mut material = Self { corpus: corpus.clone(), encoding, split, closed, shifts: vec![] };
        let reach = i32::from(settings.transpose);
        let semitones = std::iter::once(0).chain((1..=reach).flat_map(|n| [-n, n]));
        material.shifts = semitones.map(|n| material.shifted(n)).collect();
        material.check_length(settings)?;
        Ok(material)
    }

    pub fn n_shifts(&self) -> usize {
        self.shifts.len()
    }

    pub fn train_lengths(&self) -> Vec<usize> {
        self.split.train.iter().map(Stretch::n_frames).collect()
    }

    /// What a network is to predict for a chord when it learns.
    pub fn learned(&self, chord: ChordId) -> Token {
        let tokens = if self.closed { &self.encoding.measured } else { &self.encoding.learned };
        tokens[chord as usize]
    }

    /// How often each output is a target in the music to learn from: V chords and the escape.
    pub fn target_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.encoding.vocabulary.len() + 1];
        for stretch in &self.split.train {
            for chord in chords(&self.corpus, stretch, 0..stretch.n_frames()) {
                counts[self.learned(chord) as usize] += 1;
            }
        }
        counts
    }

    /// What the back-off charges for the music to learn from: nats, as a mean over all its frames.
    ///
    /// Nothing that learns can lower it. Adding it to the loss makes learned and held-out music
    /// pay for the same thing, so that their curves can be compared.
    pub fn escape_price(&self, backoff: &BackOff) -> f64 {
        let escape = self.encoding.vocabulary.escape();
        let mut counts = vec![0_u64; self.corpus.chords.len()];
        for stretch in &self.split.train {
            for chord in chords(&self.corpus, stretch, 0..stretch.n_frames()) {
                counts[chord as usize] += 1;
            }
        }
        let n_frames = counts.iter().sum::<u64>().max(1);
        let escaped = (0..)
            .zip(&counts)
            .filter(|&(chord, count)| *count > 0 && self.learned(chord) == escape);
        let paid = escaped.map(|(chord, &count)| {
            -backoff.log_probability(self.corpus.chords[chord as usize]) * count as f64
        });
        paid.sum::<f64>() / n_frames as f64
    }

    /// One step's windows as numbers.
    pub fn batch(&self, windows: &[Option<Window>]) -> Batch {
        let n_rows = windows.len();
        let n_steps = windows.iter().flatten().map(|window| window.len).max().unwrap_or(0);
        let mut batch = Batch {
            n_rows,
            n_steps,
            inputs: vec![0; n_rows * n_steps],
            targets: vec![0; n_rows * n_steps],
            weights: vec![0.0; n_rows * n_steps],
            continues: vec![false; n_rows],
        };
        for (row, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            batch.continues[row] = window.continues;
            let stretch = &self.split.train[window.stretch];
            let shift = &self.shifts[window.shift];
            // The frame before the first is the rest that starts every piece, token 0.
            let read_from = window.start.saturating_sub(1);
            let before = chords(&self.corpus, stretch, read_from..window.start);
            let mut previous = before.first().map_or(0, |&chord| shift.input[chord as usize]);
            let frames = window.start..window.start + window.len;
            for (t, chord) in chords(&self.corpus, stretch, frames).into_iter().enumerate() {
                let at = t * n_rows + row;
                batch.inputs[at] = previous as i32;
                if let Some(target) = shift.target[chord as usize] {
                    batch.targets[at] = target as i32;
                    batch.weights[at] = 1.0;
                }
                previous = shift.input[chord as usize];
            }
        }
        batch
    }

    fn shifted(&self, semitones: i32) -> Shift {
        let vocabulary = &self.encoding.vocabulary;
        let n_chords = self.corpus.chords.len() as ChordId;
        if semitones == 0 {
            let target = (0..n_chords).map(|chord| Some(self.learned(chord))).collect();
            return Shift { input: self.encoding.input.clone(), target };
        }
        let moved: Vec<_> =
            self.corpus.chords.iter().map(|chord| chord.transposed(semitones)).collect();
        let input = moved.par_iter().map(|&chord| vocabulary.nearest(chord)).collect();
        let escape = vocabulary.escape();
        let target = (0..n_chords).zip(&moved).map(|(chord, &moved)| {
            if self.learned(chord) == escape { Some(escape) } else { vocabulary.token(moved) }
        });
        Shift { input, target: target.collect() }
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

/// The same vocabulary with the commonest chords first, as an adaptive softmax divides it; the rest
/// stays token 0, and chords that are as common as each other stay in their order.
fn by_count(vocabulary: &ChordVocabulary) -> ChordVocabulary {
    let (chords, counts) = (vocabulary.chords(), vocabulary.counts());
    let mut order: Vec<usize> = (0..chords.len()).collect();
    order[1..].sort_by_key(|&token| std::cmp::Reverse(counts[token]));
    let pick = |token: &usize| (chords[*token], counts[*token]);
    let (chords, counts) = order.iter().map(pick).unzip();
    ChordVocabulary::new(chords, counts).expect("the same chords, the rest first")
}

/// A lone piece can only have its tail held out; one that is too short even for that hears of both
/// at once.
fn check_lone_piece(corpus: &Corpus, settings: &TrainingSettings) -> Result<(), TrainError> {
    let n_frames = corpus.n_frames() * 4 / 5;
    let is_refused_later = corpus.pieces.len() > 1
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelKind;
    use crate::tokens::{Chord, FramingPlan, Piece};

    /// Twelve pieces over twelve neighboring keys, each of which some piece alone has.
    fn material() -> Material {
        material_for(Softmax::Full)
    }

    fn material_for(softmax: Softmax) -> Material {
        let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
        let piece = |idx: u32| Piece {
            path: format!("<piece {idx}>").into(),
            sha256: format!("{idx:064x}"),
            n_notes: 40,
            duration_secs: 20.0,
            chords: (0..40).map(|t| if t == 20 { 1 + idx } else { 1 + t % 3 }).collect(),
        };
        let corpus = Corpus {
            plan: FramingPlan::default(),
            chords: (0..13).map(chord).collect(),
            pieces: (0..12).map(piece).collect(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            own_split: None,
        };
        let settings = TrainingSettings {
            model: ModelKind::Lstm,
            softmax,
            split: SplitKind::Pieces,
            transpose: 2,
            sequence: 10,
            ..TrainingSettings::default()
        };
        Material::new(&Arc::new(corpus), &settings).unwrap()
    }

    #[test]
    fn transposing_unlearns_no_escape_and_invents_none() {
        let material = material();
        let escape = material.encoding.vocabulary.escape();
        assert_eq!(material.n_shifts(), 5);
        let learned: Vec<Token> = (0..13).map(|chord| material.learned(chord)).collect();
        let n_escaped = learned.iter().filter(|&&token| token == escape).count();
        let n_unknown = material.encoding.measured.iter().filter(|&&token| token == escape).count();
        assert!(n_unknown > 0, "the held-out pieces have chords of their own");
        assert!(n_escaped > n_unknown, "a chord seen once is learned as the escape");
        for (shift, semitones) in material.shifts.iter().zip([0, -1, 1, -2, 2]) {
            for (chord, &learned) in learned.iter().enumerate() {
                let moved = material.corpus.chords[chord].transposed(semitones);
                let target = shift.target[chord];
                if learned == escape {
                    assert_eq!(target, Some(escape), "{chord} by {semitones}");
                } else if semitones != 0 {
                    assert_eq!(target, material.encoding.vocabulary.token(moved));
                    assert_ne!(target, Some(escape));
                }
            }
        }
        // Moved by two, some known chord leaves the vocabulary and teaches nothing.
        assert!(material.shifts.iter().any(|shift| shift.target.contains(&None)));
    }

    #[test]
    fn an_adaptive_softmax_has_the_commonest_chords_first() {
        let chord = |n: u32| if n == 0 { Chord::REST } else { Chord::from_bits(1 << (60 + n)) };
        let vocabulary = ChordVocabulary::new((0..5).map(chord).collect(), vec![1, 2, 7, 2, 9]);
        let sorted = by_count(&vocabulary.unwrap());
        assert_eq!(sorted.chords(), [0, 4, 2, 1, 3].map(chord));
        assert_eq!(sorted.counts(), [1, 9, 7, 2, 2]);
        // The material is encoded with it: every chord of the corpus is its own token.
        let material = material_for(Softmax::Adaptive);
        let Encoding { vocabulary, measured, .. } = &material.encoding;
        assert!(vocabulary.counts()[1..].is_sorted_by(|a, b| a >= b));
        for (chord, &token) in material.corpus.chords.iter().zip(measured) {
            assert_eq!(vocabulary.token(*chord).unwrap_or(vocabulary.escape()), token);
        }
    }

    #[test]
    fn an_escape_pays_what_the_back_off_asks() {
        let material = material();
        let escape = material.encoding.vocabulary.escape();
        let counted = material.corpus.chords.iter().map(|&chord| (chord, 1));
        let backoff = BackOff::fit(counted);
        let frames = material
            .split
            .train
            .iter()
            .flat_map(|stretch| chords(&material.corpus, stretch, 0..stretch.n_frames()));
        let prices: Vec<f64> = frames
            .map(|chord| match material.learned(chord) == escape {
                true => -backoff.log_probability(material.corpus.chords[chord as usize]),
                false => 0.0,
            })
            .collect();
        let mean = prices.iter().sum::<f64>() / prices.len() as f64;
        assert!(mean > 0.0, "some chord is escaped");
        assert!((material.escape_price(&backoff) - mean).abs() < 1e-9);
    }
}
