//! The music as the second family reads it: which keys sound in each frame, and from performances
//! which were struck, how hard, the pedal, and where in the bar the frame is.

use std::ops::Range;

use super::{Window, chords};
use crate::model::TrainingSettings;
use crate::model::keys::{KEYS, KeyBatch, KeyPiece, LOWEST, PIANO};
use crate::tokens::{Chord, ChordId, KeyFrame, Music, Performance, Stretch};

pub struct KeyMaterial {
    has_clock: bool,
    /// Of each stretch to learn from the keys that ever sound in it, where sequences go on from
    /// each other and so must be moved alike.
    ranges: Option<Vec<Chord>>,
}

impl KeyMaterial {
    pub fn new(music: &Music, stretches: &[Stretch], settings: &TrainingSettings) -> Self {
        let all = |stretch: &Stretch| union(&key_frames(music, stretch, 0..stretch.n_frames()));
        let ranges = settings.carry_state.then(|| stretches.iter().map(all).collect());
        Self { has_clock: has_clock(music), ranges }
    }

    /// One step's windows as numbers, each moved by as much of its transposition as leaves all its
    /// notes on the piano.
    pub fn batch(
        &self,
        music: &Music,
        stretches: &[Stretch],
        semitones: &[i32],
        windows: &[Option<Window>],
    ) -> KeyBatch {
        let n_rows = windows.len();
        let n_steps = windows.iter().flatten().map(|window| window.len).max().unwrap_or(0);
        let n = n_steps * n_rows;
        let mut batch = KeyBatch {
            n_rows,
            n_steps,
            frames: vec![KeyFrame::default(); n + n_rows],
            clocks: if self.has_clock { vec![0; n] } else { Vec::new() },
            weights: vec![0.0; n],
            continues: vec![false; n_rows],
        };
        for (row, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            batch.continues[row] = window.continues;
            let stretch = &stretches[window.stretch];
            // The frame before the first is the rest that starts every piece.
            let n_before = window.start.min(1);
            let frames = window.start - n_before..window.start + window.len;
            let frames = key_frames(music, stretch, frames);
            let range = match &self.ranges {
                Some(ranges) => ranges[window.stretch],
                None => union(&frames),
            };
            let shift = shift_within_piano(range, semitones[window.shift]);
            for (idx, frame) in (1 - n_before..).zip(frames) {
                batch.frames[idx * n_rows + row] = frame.transposed(shift);
            }
            for t in 0..window.len {
                batch.weights[t * n_rows + row] = 1.0;
            }
            if self.has_clock {
                let found = clocks(music, stretch, window.start..window.start + window.len);
                for (t, clock) in found.into_iter().enumerate() {
                    batch.clocks[t * n_rows + row] = clock;
                }
            }
        }
        batch
    }
}

/// A stretch as it is measured.
pub fn key_piece(music: &Music, stretch: &Stretch, has_clock: bool) -> KeyPiece {
    let all = 0..stretch.n_frames();
    let frames = key_frames(music, stretch, all.clone());
    KeyPiece { frames, clocks: if has_clock { clocks(music, stretch, all) } else { Vec::new() } }
}

/// Whether frames have a place on a grid: in the bar on the grid of beats, and in sets from the
/// first frame on.
pub fn has_clock(music: &Music) -> bool {
    let mut performances = music.performances().peekable();
    let is_on_beats = performances.peek().is_some();
    music.set().is_some() || is_on_beats && performances.all(|piece| piece.bars().is_some())
}

/// The places of some frames of a stretch on the grid.
fn clocks(music: &Music, stretch: &Stretch, frames: Range<usize>) -> Vec<u32> {
    match music {
        Music::Chords(_) => frames.map(|idx| u32::try_from(idx).unwrap_or(u32::MAX)).collect(),
        Music::Performances(corpus) => corpus.clocks(stretch, frames),
    }
}

/// What the second family reads of some frames of a stretch; of chords, the keys that sound.
/// Pitches that no piano has are left out.
fn key_frames(music: &Music, stretch: &Stretch, frames: Range<usize>) -> Vec<KeyFrame> {
    match music {
        Music::Chords(corpus) => {
            let sounding = |id: ChordId| corpus.chords[id as usize].intersection(PIANO);
            let frame = |id| KeyFrame { sounding: sounding(id), ..KeyFrame::default() };
            chords(corpus, stretch, frames).into_iter().map(frame).collect()
        }
        Music::Performances(corpus) => {
            corpus.frames(stretch, frames).into_iter().map(on_piano).collect()
        }
    }
}

/// The keys of a frame that a piano has.
fn on_piano(frame: KeyFrame) -> KeyFrame {
    if !is_beyond(&frame.sounding) {
        return frame;
    }
    let velocities = frame.struck.pitches().zip(frame.velocities);
    let velocities = velocities.filter(|(pitch, _)| PIANO.contains(*pitch));
    KeyFrame {
        sounding: frame.sounding.intersection(PIANO),
        struck: frame.struck.intersection(PIANO),
        velocities: velocities.map(|(_, velocity)| velocity).collect(),
        pedal: frame.pedal,
    }
}

fn is_beyond(chord: &Chord) -> bool {
    !chord.difference(PIANO).is_rest()
}

/// How many frames of the music have a pitch that no piano has, and so lose it.
pub fn beyond_the_piano(music: &Music) -> usize {
    match music {
        Music::Chords(corpus) => {
            let beyond: Vec<bool> = corpus.chords.iter().map(is_beyond).collect();
            let frames = corpus.pieces.iter().flat_map(|piece| &piece.chords);
            frames.filter(|&&id| beyond[id as usize]).count()
        }
        Music::Performances(_) => music.performances().map(frames_beyond).sum(),
    }
}

fn frames_beyond(piece: &Performance) -> usize {
    // Most pieces have none, and looking at their notes costs less than at their frames.
    match piece.notes().all(|note| PIANO.contains(note.pitch)) {
        true => 0,
        false => piece.roll(0..piece.n_frames()).iter().filter(|chord| is_beyond(chord)).count(),
    }
}

fn union(frames: &[KeyFrame]) -> Chord {
    Chord::from_bits(frames.iter().fold(0, |bits, frame| bits | frame.sounding.bits()))
}

/// As much of a shift as leaves all these keys on the piano.
fn shift_within_piano(keys: Chord, semitones: i32) -> i32 {
    if keys.is_rest() {
        return semitones;
    }
    let lowest = keys.bits().trailing_zeros() as i32;
    let highest = 127 - keys.bits().leading_zeros() as i32;
    let (first, last) = (LOWEST as i32, (LOWEST + KEYS - 1) as i32);
    semitones.clamp(first - lowest, last - highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::pieces;
    use crate::model::keys::Alphabet;
    use crate::model::{ModelKind, TrainingSettings};
    use crate::music::{Pitch, Velocity};
    use crate::tokens::{Grid, StepsPerQuarter};

    #[test]
    fn a_window_knows_its_frames_and_its_place_in_the_bar() {
        let settings = TrainingSettings {
            alphabet: Alphabet::Full,
            grid: Grid::Beats(StepsPerQuarter::SIXTEENTHS),
            ..TrainingSettings::for_model(ModelKind::Keys, crate::model::Preset::Default)
        };
        let music = settings.music_plan().read_sources(&pieces()[..2]).unwrap();
        let piece = music.performances().nth(1).unwrap();
        let stretches = [Stretch { parts: vec![(1, 0..piece.n_frames())] }];
        let material = KeyMaterial::new(&music, &stretches, &settings);
        let window = |start| Window { stretch: 0, start, len: 20, continues: false, shift: 0 };
        let batch = material.batch(&music, &stretches, &[0], &[Some(window(0)), Some(window(30))]);
        let of_row = |row: usize| -> (Vec<KeyFrame>, Vec<u32>) {
            let frames = batch.frames.iter().skip(row).step_by(2);
            (frames.cloned().collect(), batch.clocks.iter().skip(row).step_by(2).copied().collect())
        };
        let ((first, first_clocks), (later, later_clocks)) = (of_row(0), of_row(1));
        assert_eq!((&first[0], &first[1..]), (&KeyFrame::default(), &*piece.frames(0..20)));
        assert_eq!(later, piece.frames(29..50));
        assert!(later.iter().any(|frame| !frame.velocities.is_empty()));
        let clocks = |frames: Range<usize>| -> Vec<u32> {
            let places = piece.bar_positions(frames).unwrap().into_iter();
            places.map(|place| u32::from(place.into) / 12).collect()
        };
        assert_eq!((first_clocks, later_clocks), (clocks(0..20), clocks(30..50)));
        // Measured it is read alike.
        let whole = key_piece(&music, &stretches[0], true);
        assert_eq!(
            (&whole.frames[29..50], &*whole.clocks),
            (&*later, &*clocks(0..piece.n_frames()))
        );
    }

    #[test]
    fn keys_that_no_piano_has_take_their_velocities_with_them() {
        let chord = |numbers: &[u8]| numbers.iter().filter_map(|&n| Pitch::new(n)).collect();
        let velocities =
            |numbers: &[u8]| numbers.iter().filter_map(|&n| Velocity::new(n)).collect();
        let frame = KeyFrame {
            sounding: chord(&[10, 60, 64, 110]),
            struck: chord(&[10, 64, 110]),
            velocities: velocities(&[1, 2, 3]),
            pedal: true,
        };
        let left = KeyFrame {
            sounding: chord(&[60, 64]),
            struck: chord(&[64]),
            velocities: velocities(&[2]),
            pedal: true,
        };
        assert_eq!(on_piano(frame), left);
        assert_eq!(on_piano(left.clone()), left);
    }
}
