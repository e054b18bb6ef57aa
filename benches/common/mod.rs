//! Made-up music that the benchmarks share: the same in every run, nothing from outside.
#![allow(dead_code, reason = "each benchmark uses its own part of this module")]

use etude::model::{ChordCard, FamilyCard, Model, ModelCard};
use etude::music::{Note, Pitch, Score, TempoMap, Tick, Velocity};
use etude::tokens::{BackOff, Chord, ChordVocabulary, Corpus, FramingPlan, Piece};

/// A generator with a short memory is all that is needed, and needs no library.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to `below` − 1 (xorshift).
    pub fn next(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % below
    }
}

/// `n` notes in an even stream of eight a second, three at a time.
pub fn score(n: u32, seed: u64) -> Score {
    let mut numbers = Numbers::new(seed);
    let notes = (0..n).filter_map(|idx| {
        Some(Note {
            start: Tick(idx / 3 * 360),
            length: Tick(120 + numbers.next(900)),
            pitch: Pitch::new(30 + (idx % 3) as u8 * 20 + numbers.next(19) as u8)?,
            velocity: Velocity::saturating(40 + numbers.next(70) as i32),
            part: 0,
        })
    });
    Score::piano(TempoMap::default(), notes.collect())
}

/// `n` different chords, the rest first.
pub fn chords(n: usize) -> Vec<Chord> {
    let spread = |idx: usize| {
        // Each number is a set of keys: its bits, two octaves apart at most, from C2 on.
        Chord::from_bits((idx as u128) << 36)
    };
    (0..n).map(spread).collect()
}

/// Pieces of 2,000 frames each, with `vocabulary` different chords, all of which occur.
pub fn corpus(n_frames: usize, vocabulary: usize) -> Corpus {
    let mut numbers = Numbers::new(1);
    let piece = |idx: usize, numbers: &mut Numbers| Piece {
        path: format!("<made up {idx}>").into(),
        sha256: format!("{idx:064x}"),
        chords: (0..2_000)
            .map(|frame| {
                let in_order = (idx * 2_000 + frame) as u32;
                if in_order < vocabulary as u32 {
                    in_order
                } else {
                    numbers.next(vocabulary as u32)
                }
            })
            .collect(),
        n_notes: 6_000,
        duration_secs: 1_000.0,
    };
    Corpus {
        plan: FramingPlan::default(),
        chords: chords(vocabulary),
        pieces: (0..n_frames.div_ceil(2_000)).map(|idx| piece(idx, &mut numbers)).collect(),
        skipped: Vec::new(),
        warnings: Vec::new(),
        own_split: None,
    }
}

/// Two layers of 512, untrained: the arithmetic is the same.
pub fn untrained(vocabulary: usize) -> Model {
    let chords = chords(vocabulary);
    let counts = vec![1; chords.len()];
    let backoff = BackOff::fit(chords.iter().map(|&chord| (chord, 1)));
    let card = ModelCard {
        format_version: ModelCard::FORMAT_VERSION,
        family: FamilyCard::Lstm(ChordCard {
            clusters: None,
            vocabulary: ChordVocabulary::new(chords, counts).expect("the chords differ"),
            backoff,
        }),
        layers: 2,
        hidden: 512,
        plan: FramingPlan::default(),
        epoch: 0,
        steps_into_epoch: 0,
        valid_perplexity: None,
        about: String::new(),
        lessons: None,
    };
    Model::untrained(card, 0).expect("the sizes are usual ones")
}
