//! The music as the first family reads it: chords of a vocabulary.

use rayon::prelude::*;

use super::{Window, chords};
use crate::model::chords::ChordBatch;
use crate::model::train::TrainError;
use crate::model::{Softmax, TrainingSettings};
use crate::tokens::{
    BackOff, ChordId, ChordVocabulary, Corpus, Encoding, SplitKind, Stretch, Token,
};

/// Every chord of the corpus moved by some semitones, as tokens.
struct Shift {
    input: Vec<Token>,
    /// How often music leaves the vocabulary must be learned from the music, not from our moving
    /// it: what is to be learned as the escape stays the escape wherever it is moved, and a chord
    /// that is known as it stands but not when moved is `None`, which teaches nothing.
    target: Vec<Option<Token>>,
}

pub struct ChordMaterial {
    pub encoding: Encoding,
    /// Whether no chord of the corpus is outside the vocabulary by construction, so that the
    /// escape can never be right.
    pub closed: bool,
    /// By index of a transposition.
    shifts: Vec<Shift>,
}

impl ChordMaterial {
    /// The vocabulary of the pieces `learned_from`, or one that is `known` already, and the corpus
    /// encoded with it, moved by each of `semitones`.
    pub fn new(
        corpus: &Corpus,
        learned_from: &[usize],
        semitones: &[i32],
        settings: &TrainingSettings,
        known: Option<&ChordVocabulary>,
    ) -> Result<Self, TrainError> {
        let limits = settings.vocabulary_limits();
        let mut encoding = match known {
            Some(vocabulary) => Encoding::resumed(corpus, vocabulary.clone(), settings.seed),
            None => Encoding::new(corpus, learned_from, limits, settings.seed),
        };
        if settings.softmax == Softmax::Adaptive && known.is_none() {
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
        let mut material = Self { encoding, closed, shifts: vec![] };
        material.shifts = semitones.iter().map(|&n| material.shifted(corpus, n)).collect();
        Ok(material)
    }

    /// What a network is to predict for a chord when it learns.
    pub fn learned(&self, chord: ChordId) -> Token {
        let tokens = if self.closed { &self.encoding.measured } else { &self.encoding.learned };
        tokens[chord as usize]
    }

    /// How often each output is a target in the music to learn from: V chords and the escape.
    pub fn target_counts(&self, corpus: &Corpus, stretches: &[Stretch]) -> Vec<u64> {
        let mut counts = vec![0; self.encoding.vocabulary.len() + 1];
        for stretch in stretches {
            for chord in chords(corpus, stretch, 0..stretch.n_frames()) {
                counts[self.learned(chord) as usize] += 1;
            }
        }
        counts
    }

    /// What the back-off charges for the music to learn from: nats, as a mean over all its frames.
    ///
    /// Nothing that learns can lower it. Adding it to the loss makes learned and held-out music
    /// pay for the same thing, so that their curves can be compared.
    pub fn escape_price(&self, corpus: &Corpus, stretches: &[Stretch], backoff: &BackOff) -> f64 {
        let escape = self.encoding.vocabulary.escape();
        let mut counts = vec![0_u64; corpus.chords.len()];
        for stretch in stretches {
            for chord in chords(corpus, stretch, 0..stretch.n_frames()) {
                counts[chord as usize] += 1;
            }
        }
        let n_frames = counts.iter().sum::<u64>().max(1);
        let escaped = (0..)
            .zip(&counts)
            .filter(|&(chord, count)| *count > 0 && self.learned(chord) == escape);
        let paid = escaped.map(|(chord, &count)| {
            -backoff.log_probability(corpus.chords[chord as usize]) * count as f64
        });
        paid.sum::<f64>() / n_frames as f64
    }

    /// One step's windows as numbers.
    pub fn batch(
        &self,
        corpus: &Corpus,
        stretches: &[Stretch],
        windows: &[Option<Window>],
    ) -> ChordBatch {
        let n_rows = windows.len();
        let n_steps = windows.iter().flatten().map(|window| window.len).max().unwrap_or(0);
        let mut batch = ChordBatch {
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
            let stretch = &stretches[window.stretch];
            let shift = &self.shifts[window.shift];
            // The frame before the first is the rest that starts every piece, token 0.
            let read_from = window.start.saturating_sub(1);
            let before = chords(corpus, stretch, read_from..window.start);
            let mut previous = before.first().map_or(0, |&chord| shift.input[chord as usize]);
            let frames = window.start..window.start + window.len;
            for (t, chord) in chords(corpus, stretch, frames).into_iter().enumerate() {
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

    fn shifted(&self, corpus: &Corpus, semitones: i32) -> Shift {
        let vocabulary = &self.encoding.vocabulary;
        let n_chords = corpus.chords.len() as ChordId;
        if semitones == 0 {
            let target = (0..n_chords).map(|chord| Some(self.learned(chord))).collect();
            return Shift { input: self.encoding.input.clone(), target };
        }
        let moved: Vec<_> = corpus.chords.iter().map(|chord| chord.transposed(semitones)).collect();
        let input = moved.par_iter().map(|&chord| vocabulary.nearest(chord)).collect();
        let escape = vocabulary.escape();
        let target = (0..n_chords).zip(&moved).map(|(chord, &moved)| {
            if self.learned(chord) == escape { Some(escape) } else { vocabulary.token(moved) }
        });
        Shift { input, target: target.collect() }
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

#[cfg(test)]
mod tests {
    use super::super::{Material, Reading};
    use super::*;
    use crate::model::{ModelKind, TrainingSettings};
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
            ..TrainingSettings::chords()
        };
        Material::new(&corpus.into(), &settings, None).unwrap()
    }

    fn reading(material: &Material) -> &ChordMaterial {
        match &material.reading {
            Reading::Chords(_, reading) => reading,
            Reading::Keys(_) => panic!("the settings ask for a vocabulary"),
        }
    }

    #[test]
    fn transposing_unlearns_no_escape_and_invents_none() {
        let material = material();
        let corpus = material.music.chords();
        let escape = reading(&material).encoding.vocabulary.escape();
        assert_eq!(material.n_shifts(), 5);
        let learned: Vec<Token> = (0..13).map(|chord| reading(&material).learned(chord)).collect();
        let n_escaped = learned.iter().filter(|&&token| token == escape).count();
        let n_unknown =
            reading(&material).encoding.measured.iter().filter(|&&token| token == escape).count();
        assert!(n_unknown > 0, "the held-out pieces have chords of their own");
        assert!(n_escaped > n_unknown, "a chord seen once is learned as the escape");
        for (shift, semitones) in reading(&material).shifts.iter().zip([0, -1, 1, -2, 2]) {
            for (chord, &learned) in learned.iter().enumerate() {
                let moved = corpus.chords[chord].transposed(semitones);
                let target = shift.target[chord];
                if learned == escape {
                    assert_eq!(target, Some(escape), "{chord} by {semitones}");
                } else if semitones != 0 {
                    assert_eq!(target, reading(&material).encoding.vocabulary.token(moved));
                    assert_ne!(target, Some(escape));
                }
            }
        }
        // Moved by two, some known chord leaves the vocabulary and teaches nothing.
        assert!(reading(&material).shifts.iter().any(|shift| shift.target.contains(&None)));
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
        let corpus = material.music.chords();
        let Encoding { vocabulary, measured, .. } = &reading(&material).encoding;
        assert!(vocabulary.counts()[1..].is_sorted_by(|a, b| a >= b));
        for (chord, &token) in corpus.chords.iter().zip(measured) {
            assert_eq!(vocabulary.token(*chord).unwrap_or(vocabulary.escape()), token);
        }
    }

    #[test]
    fn an_escape_pays_what_the_back_off_asks() {
        let material = material();
        let corpus = material.music.chords();
        let escape = reading(&material).encoding.vocabulary.escape();
        let counted = corpus.chords.iter().map(|&chord| (chord, 1));
        let backoff = BackOff::fit(counted);
        let frames = material
            .split
            .train
            .iter()
            .flat_map(|stretch| chords(&corpus, stretch, 0..stretch.n_frames()));
        let prices: Vec<f64> = frames
            .map(|chord| match reading(&material).learned(chord) == escape {
                true => -backoff.log_probability(corpus.chords[chord as usize]),
                false => 0.0,
            })
            .collect();
        let mean = prices.iter().sum::<f64>() / prices.len() as f64;
        assert!(mean > 0.0, "some chord is escaped");
        assert!((material.escape_price(&backoff) - mean).abs() < 1e-9);
    }
}
