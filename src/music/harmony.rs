//! The name of the harmony that sounds: "Cm", "G7", "Cmaj7/E".
//!
//! Pitch classes are weighed by how long they sound, and the chord whose template fits the
//! weights best gives the name: template matching, as in Fujishima 1999, "Realtime chord
//! recognition of musical sound", with a say for the bass. Where no template fits clearly there
//! is no name: none is better than a wrong one.

use std::ops::Range;

use super::scale::Spelling;
use super::{BarGrid, Note, Score, Tick};

/// A kind of chord.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Quality {
    Major,
    Minor,
    Diminished,
    Augmented,
    Fifth,
    Suspended2,
    Suspended4,
    Sixth,
    MinorSixth,
    Dominant7,
    Major7,
    Minor7,
    MinorMajor7,
    HalfDiminished7,
    Diminished7,
    Dominant7Suspended4,
    Dominant9,
    Major9,
    Minor9,
    AddedNinth,
}

impl Quality {
    /// Simple ones first: of two that fit alike the first is meant.
    const ALL: [Self; 20] = [
        Self::Major,
        Self::Minor,
        Self::Dominant7,
        Self::Minor7,
        Self::Major7,
        Self::Diminished,
        Self::Augmented,
        Self::Suspended4,
        Self::Suspended2,
        Self::HalfDiminished7,
        Self::Diminished7,
        Self::Sixth,
        Self::MinorSixth,
        Self::MinorMajor7,
        Self::Dominant7Suspended4,
        Self::AddedNinth,
        Self::Dominant9,
        Self::Minor9,
        Self::Major9,
        Self::Fifth,
    ];

    /// Semitones above the root.
    pub fn intervals(self) -> &'static [u8] {
        match self {
            Self::Major => &[0, 4, 7],
            Self::Minor => &[0, 3, 7],
            Self::Diminished => &[0, 3, 6],
            Self::Augmented => &[0, 4, 8],
            Self::Fifth => &[0, 7],
            Self::Suspended2 => &[0, 2, 7],
            Self::Suspended4 => &[0, 5, 7],
            Self::Sixth => &[0, 4, 7, 9],
            Self::MinorSixth => &[0, 3, 7, 9],
            Self::Dominant7 => &[0, 4, 7, 10],
            Self::Major7 => &[0, 4, 7, 11],
            Self::Minor7 => &[0, 3, 7, 10],
            Self::MinorMajor7 => &[0, 3, 7, 11],
            Self::HalfDiminished7 => &[0, 3, 6, 10],
            Self::Diminished7 => &[0, 3, 6, 9],
            Self::Dominant7Suspended4 => &[0, 5, 7, 10],
            Self::Dominant9 => &[0, 2, 4, 7, 10],
            Self::Major9 => &[0, 2, 4, 7, 11],
            Self::Minor9 => &[0, 2, 3, 7, 10],
            Self::AddedNinth => &[0, 2, 4, 7],
        }
    }

    /// What stands after the root: "m7", "dim".
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Major => "",
            Self::Minor => "m",
            Self::Diminished => "dim",
            Self::Augmented => "aug",
            Self::Fifth => "(no3)",
            Self::Suspended2 => "sus2",
            Self::Suspended4 => "sus4",
            Self::Sixth => "6",
            Self::MinorSixth => "m6",
            Self::Dominant7 => "7",
            Self::Major7 => "maj7",
            Self::Minor7 => "m7",
            Self::MinorMajor7 => "m(maj7)",
            Self::HalfDiminished7 => "m7b5",
            Self::Diminished7 => "dim7",
            Self::Dominant7Suspended4 => "7sus4",
            Self::Dominant9 => "9",
            Self::Major9 => "maj9",
            Self::Minor9 => "m9",
            Self::AddedNinth => "add9",
        }
    }
}

/// A chord with its bass. Pitch classes: 0 for C, 11 for B.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Harmony {
    pub root: u8,
    pub quality: Quality,
    /// The lowest; the root unless the chord is inverted.
    pub bass: u8,
}

/// How long each pitch class sounds, in ticks (any unit would do), and what is in the bass.
#[derive(Clone, Default, Debug)]
struct Weights {
    classes: [f64; 12],
    /// The lowest pitch.
    bass: Option<u8>,
}

impl Weights {
    fn add(&mut self, note: &Note, range: &Range<Tick>) {
        let ticks = note.end().min(range.end).saturating_sub(note.start.max(range.start)).0;
        if ticks == 0 {
            return;
        }
        let ticks = f64::from(ticks);
        self.classes[usize::from(note.pitch.class())] += ticks;
        let number = note.pitch.number();
        self.bass = Some(self.bass.map_or(number, |lowest| lowest.min(number)));
    }

    /// The chord that fits best, if it fits well enough.
    fn harmony(&self) -> Option<Harmony> {
        let bass = self.bass? % 12;
        let total: f64 = self.classes.iter().sum();
        // Shares, so that what is short next to the rest hardly counts.
        let shares = self.classes.map(|weight| weight / total);
        let mut best: Option<(f64, Harmony)> = None;
        for quality in Quality::ALL {
            for root in 0..12 {
                let harmony = Harmony { root, quality, bass };
                let Some(fit) = harmony.fit(&shares) else { continue };
                // Later ones must be clearly better.
                if best.is_none_or(|(so_far, _)| fit > so_far + 1e-9) {
                    best = Some((fit, harmony));
                }
            }
        }
        best.filter(|(fit, _)| *fit >= CLEAR).map(|(_, harmony)| harmony)
    }
}

/// The fit from which on a chord has a name.
const CLEAR: f64 = 0.6;

/// How much what sounds outside a chord speaks against it, next to what sounds in it.
const OUTSIDE: f64 = 0.5;

/// A tone of a chord that sounds for less than this share of the time isn't there.
const AUDIBLE: f64 = 0.04;

impl Harmony {
    /// How well the shares of the pitch classes fit, at most about 1: what sounds that belongs,
    /// less what doesn't and what is missing, with something for a root in the bass. `None` when a tone that makes
    /// the chord what it is doesn't sound.
    fn fit(&self, shares: &[f64; 12]) -> Option<f64> {
        let share = |interval: u8| shares[usize::from((self.root + interval) % 12)];
        let intervals = self.quality.intervals();
        // A fifth may be left out of a chord of four or more, the ninth's too; nothing else.
        let may_lack = |interval: u8| interval == 7 && intervals.len() > 3;
        let mut fit: f64 = intervals.iter().map(|interval| share(*interval)).sum();
        for interval in intervals.iter().copied().filter(|it| share(*it) < AUDIBLE) {
            if !may_lack(interval) {
                return None;
            }
            fit -= 0.12;
        }
        // What is in the bass and in no chord makes the chord doubtful.
        let above_root = (self.bass + 12 - self.root) % 12;
        fit += match above_root {
            0 => 0.06,
            _ if intervals.contains(&above_root) => 0.0,
            _ => -0.2,
        };
        let outside: f64 =
            (0..12).filter(|interval| !intervals.contains(interval)).map(share).sum();
        // More tones fit anything better.
        let n_more = (intervals.len() as f64 - 3.0).max(0.0);
        Some(fit - OUTSIDE * outside - 0.05 * n_more)
    }

    /// The chord of the notes that sound in a range of ticks, others don't matter. `None` when
    /// it is none that has a name, or unclear.
    pub fn of<'a>(notes: impl IntoIterator<Item = &'a Note>, range: Range<Tick>) -> Option<Self> {
        let mut weights = Weights::default();
        for note in notes {
            weights.add(note, &range);
        }
        weights.harmony()
    }

    /// "Cm", "Cmaj7/E", with the black keys named one way or the other.
    pub fn name(&self, spelling: Spelling) -> String {
        let root = spelling.pitch_class(self.root);
        let suffix = self.quality.suffix();
        match self.bass == self.root {
            true => format!("{root}{suffix}"),
            false => format!("{root}{suffix}/{}", spelling.pitch_class(self.bass)),
        }
    }
}

/// How long a harmony is looked for at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HarmonicRhythm {
    Beat,
    #[default]
    Bar,
}

/// A stretch of the piece with the harmony it has.
#[derive(Clone, PartialEq, Debug)]
pub struct HarmonySpan {
    pub start: Tick,
    pub end: Tick,
    /// `None` where it is unclear or nothing sounds.
    pub harmony: Option<Harmony>,
}

/// Stretches that are looked at in one call at most: more than a screen has room for.
pub const MAX_HARMONY_SPANS: usize = 20_000;

/// The harmonies of a piece in a range of ticks, by the bar or the beat; whole ones, also where
/// the range cuts them. Neighbors with the same harmony are joined. At most
/// [`MAX_HARMONY_SPANS`] stretches from the start of the range on are looked at.
///
/// Takes one walk over the notes that start before the end of the range.
pub fn harmonies(score: &Score, range: Range<Tick>, rhythm: HarmonicRhythm) -> Vec<HarmonySpan> {
    let grid = score.bar_grid();
    let stretches = stretches(score, &grid, &range, rhythm);
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
        return Vec::new();
    };
    let mut weights = vec![Weights::default(); stretches.len()];
    for note in score.notes_between(first.start..last.end) {
        let from = stretches.partition_point(|stretch| stretch.end <= note.start);
        let sounding = stretches[from..].iter().zip(&mut weights[from..]);
        for (stretch, weights) in sounding.take_while(|(stretch, _)| stretch.start < note.end()) {
            weights.add(note, stretch);
        }
    }
    let mut spans: Vec<HarmonySpan> = Vec::new();
    for (stretch, weights) in stretches.into_iter().zip(weights) {
        let harmony = weights.harmony();
        match spans.last_mut() {
            Some(last) if last.harmony == harmony => last.end = stretch.end,
            _ => spans.push(HarmonySpan { start: stretch.start, end: stretch.end, harmony }),
        }
    }
    spans
}

fn stretches(
    score: &Score,
    grid: &BarGrid,
    range: &Range<Tick>,
    rhythm: HarmonicRhythm,
) -> Vec<Range<Tick>> {
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
    let mut found = Vec::new();
    for bar in grid.bars_between(range.start, range.end) {
        let step = match rhythm {
            HarmonicRhythm::Bar => bar.end.saturating_sub(bar.start).0.max(1),
            HarmonicRhythm::Beat => bar.meter.ticks_per_beat(ticks_per_quarter),
        };
        for start in (bar.start.0..bar.end.0).step_by(step as usize).map(Tick) {
            let end = start.saturating_add(Tick(step)).min(bar.end);
            if end > range.start && start < range.end {
                found.push(start..end);
            }
            if found.len() == MAX_HARMONY_SPANS {
                return found;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Pitch, TempoMap, Velocity};

    /// All pitches at once, for a bar.
    fn chord(pitches: &str, start: u32) -> Vec<Note> {
        let note = |pitch: &str| Note {
            start: Tick(start),
            length: Tick(1920),
            pitch: pitch.parse().unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        pitches.split(' ').map(note).collect()
    }

    fn name(pitches: &str) -> Option<String> {
        let harmony = Harmony::of(&chord(pitches, 0), Tick(0)..Tick(1920));
        harmony.map(|harmony| harmony.name(Spelling::Usual))
    }

    #[test]
    fn chords_have_their_names() {
        for (pitches, expected) in [
            ("C4 E4 G4", "C"),
            ("C4 Eb4 G4", "Cm"),
            ("E3 G3 B3 C4", "Cmaj7/E"),
            ("C3 E3 G3 B3", "Cmaj7"),
            ("G2 B2 D3 F3", "G7"),
            ("F#3 A3 C4", "F#dim"),
            ("B2 D3 F3 A3", "Bm7b5"),
            ("C4 E4 G#4", "Caug"),
            ("D3 G3 A3", "Dsus4"),
            ("F3 Ab3 C4 D4", "Fm6"),
            ("D3 F3 A3 C4", "Dm7"),
            ("G3 C4 E4", "C/G"),
            ("B2 D3 F3 Ab3", "Bdim7"),
            // The fifth is left out of a seventh chord, as it often is.
            ("G2 B2 F3", "G7"),
            ("C3 E3 G3 B3 D4", "Cmaj9"),
            ("C3 G3", "C(no3)"),
        ] {
            assert_eq!(name(pitches).as_deref(), Some(expected), "{pitches}");
        }
    }

    #[test]
    fn what_is_no_chord_has_no_name() {
        for pitches in ["C4", "C4 C5", "C4 C#4 D4", "C4 D4 E4 F4 G4 A4 B4", "C4 C#4 D4 Eb4 E4"] {
            assert_eq!(name(pitches), None, "{pitches}");
        }
        assert_eq!(Harmony::of(&[], Tick(0)..Tick(9)), None);
        assert_eq!(Harmony::of(&chord("C4 E4 G4", 0), Tick(5)..Tick(5)), None);
    }

    #[test]
    fn every_chord_is_known_in_every_key() {
        for quality in Quality::ALL {
            for root in 48..60u8 {
                let note = |interval: &u8| Note {
                    start: Tick(0),
                    length: Tick(10),
                    pitch: Pitch::new(root + interval).unwrap(),
                    velocity: Velocity::COMPOSED,
                    part: 0,
                };
                let notes: Vec<Note> = quality.intervals().iter().map(note).collect();
                let found = Harmony::of(&notes, Tick(0)..Tick(10)).unwrap();
                // Those that are one another's inversions go by what is in the bass.
                assert_eq!((found.root, found.quality), (root % 12, quality));
            }
        }
    }

    #[test]
    fn a_passing_tone_changes_nothing() {
        let mut notes = chord("C3 E3 G3", 0);
        notes.extend(chord("F4", 0).into_iter().map(|note| Note { length: Tick(120), ..note }));
        let harmony = Harmony::of(&notes, Tick(0)..Tick(1920)).unwrap();
        assert_eq!(harmony.name(Spelling::Usual), "C");
    }

    #[test]
    fn harmonies_follow_the_bars_and_are_joined() {
        let notes = [("C3 E3 G3", 0), ("C3 E3 G3", 1920), ("G2 B2 D3 F3", 3840)];
        let notes = notes.iter().flat_map(|(pitches, start)| chord(pitches, *start)).collect();
        let score = Score::piano(TempoMap::default(), notes);
        let names = |range: Range<u32>, rhythm| -> Vec<(u32, u32, String)> {
            let spans = harmonies(&score, Tick(range.start)..Tick(range.end), rhythm);
            let name = |harmony: Option<Harmony>| {
                harmony.map_or_else(String::new, |it| it.name(Spelling::Sharps))
            };
            spans.into_iter().map(|it| (it.start.0, it.end.0, name(it.harmony))).collect()
        };
        let by_bar = names(100..6000, HarmonicRhythm::Bar);
        let expected =
            [(0, 3840, "C".to_owned()), (3840, 5760, "G7".to_owned()), (5760, 7680, String::new())];
        assert_eq!(by_bar, expected);
        let by_beat = names(3500..3900, HarmonicRhythm::Beat);
        assert_eq!(by_beat, [(3360, 3840, "C".to_owned()), (3840, 4320, "G7".to_owned())]);
        let all = harmonies(&score, Tick(0)..Tick(u32::MAX), HarmonicRhythm::Beat);
        assert!(all.len() <= MAX_HARMONY_SPANS);
        assert!(names(5..5, HarmonicRhythm::Beat).is_empty());
    }
}
