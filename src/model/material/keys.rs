//! The music as the second family reads it: which keys sound in each frame, and from performances
//! which were struck, how hard, the pedal, and where in the bar the frame is.

use std::borrow::Borrow;
use std::ops::Range;

use super::{Window, chords};
use crate::model::TrainingSettings;
use crate::model::keys::{KEYS, KeyBatch, KeyPiece, LOWEST, PIANO};
use crate::tokens::{Chord, ChordId, KeyFrame, KeyRun, Music, Performance, RunCutter, Stretch};

/// From one of these runs on a stretch can be read without what lies before.
const MARK: usize = 64;
/// Frames read at a time where a whole stretch is gone through.
const AT_ONCE: usize = 4096;

pub struct KeyMaterial {
    has_clock: bool,
    longest_run: u32,
    /// Of each stretch to learn from.
    steps: Vec<Steps>,
    /// Of each stretch to learn from the keys that ever sound in it, where sequences go on from
    /// each other and so must be moved alike.
    ranges: Option<Vec<Chord>>,
}

/// What the steps of a network are in a stretch: runs, or frames where each is a run of its own.
struct Steps {
    n: usize,
    /// The first frame of every [`MARK`]th run; nothing where steps are frames.
    marks: Vec<usize>,
}

/// Some steps of a stretch, after the one before them.
struct Read {
    runs: Vec<KeyRun>,
    /// The frame that the first of them begins with.
    first: usize,
}

impl Steps {
    fn new(music: &Music, stretch: &Stretch, longest_run: u32) -> Self {
        if longest_run <= 1 {
            return Self { n: stretch.n_frames(), marks: Vec::new() };
        }
        let mut cutter = RunCutter::new(longest_run);
        let (mut n, mut marks) = (0, Vec::new());
        for (idx, frame) in all_key_frames(music, stretch).enumerate() {
            let is_first = cutter.open().is_none();
            if cutter.push(frame).is_some() || is_first {
                if n % MARK == 0 {
                    marks.push(idx);
                }
                n += 1;
            }
        }
        Self { n, marks }
    }
}

impl KeyMaterial {
    pub fn new(music: &Music, stretches: &[Stretch], settings: &TrainingSettings) -> Self {
        let all = |stretch: &Stretch| union(all_key_frames(music, stretch));
        let ranges = settings.carry_state.then(|| stretches.iter().map(all).collect());
        let longest_run = settings.alphabet.longest_run();
        let steps = stretches.iter().map(|stretch| Steps::new(music, stretch, longest_run));
        Self { has_clock: has_clock(music), longest_run, steps: steps.collect(), ranges }
    }

    /// Most frames that a step lasts.
    pub fn longest_run(&self) -> u32 {
        self.longest_run
    }

    /// Steps of the network in each stretch to learn from.
    pub fn lengths(&self) -> Vec<usize> {
        self.steps.iter().map(|steps| steps.n).collect()
    }

    /// Steps `steps` of a stretch, and the one before them if there is one.
    fn read(&self, music: &Music, stretches: &[Stretch], window: &Window) -> Read {
        let Window { stretch: idx, start, len, .. } = *window;
        let (stretch, Steps { marks, .. }) = (&stretches[idx], &self.steps[idx]);
        let first = start - start.min(1);
        if marks.is_empty() {
            let frames = key_frames(music, stretch, first..start + len);
            return Read { runs: frames.into_iter().map(KeyRun::single).collect(), first };
        }
        let mark = first / MARK;
        let end = marks.get((start + len).div_ceil(MARK)).copied();
        let frames = marks[mark]..end.unwrap_or_else(|| stretch.n_frames());
        let runs = RunCutter::cut(self.longest_run, key_frames(music, stretch, frames));
        let skipped = first - mark * MARK;
        let before: u32 = runs[..skipped].iter().map(|run| run.length).sum();
        let runs = runs.into_iter().skip(skipped).take(start + len - first).collect();
        Read { runs, first: marks[mark] + before as usize }
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
            lengths: if self.longest_run > 1 { vec![1; n + n_rows] } else { Vec::new() },
            clocks: if self.has_clock { vec![0; n] } else { Vec::new() },
            weights: vec![0.0; n],
            continues: vec![false; n_rows],
        };
        for (row, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            batch.continues[row] = window.continues;
            let Read { runs, first } = self.read(music, stretches, window);
            let range = match &self.ranges {
                Some(ranges) => ranges[window.stretch],
                None => union(runs.iter().map(|run| &run.frame)),
            };
            let shift = shift_within_piano(range, semitones[window.shift]);
            // The step before the first is the rest that starts every piece.
            let n_before = window.start.min(1);
            if self.has_clock {
                let stretch = &stretches[window.stretch];
                let found = clocks_of_runs(music, stretch, first, &runs).into_iter();
                for (t, clock) in found.skip(n_before).enumerate() {
                    batch.clocks[t * n_rows + row] = clock;
                }
            }
            for (idx, run) in (1 - n_before..).zip(runs) {
                batch.frames[idx * n_rows + row] = run.frame.transposed(shift);
                if let Some(length) = batch.lengths.get_mut(idx * n_rows + row) {
                    *length = run.length;
                }
            }
            for t in 0..window.len {
                batch.weights[t * n_rows + row] = 1.0;
            }
        }
        batch
    }
}

/// The runs of a stretch, which may be hours long, without holding them all.
pub fn runs_of<'a>(
    music: &'a Music,
    stretch: &'a Stretch,
    longest_run: u32,
) -> impl Iterator<Item = KeyRun> + 'a {
    RunCutter::runs(longest_run, all_key_frames(music, stretch))
}

/// A stretch as a network of these settings is measured on it.
pub fn key_piece(music: &Music, stretch: &Stretch, longest_run: u32, has_clock: bool) -> KeyPiece {
    let runs: Vec<KeyRun> = runs_of(music, stretch, longest_run).collect();
    let clocks = match has_clock {
        true => clocks_of_runs(music, stretch, 0, &runs),
        false => Vec::new(),
    };
    let lengths = match longest_run {
        0 | 1 => Vec::new(),
        _ => runs.iter().map(|run| run.length).collect(),
    };
    KeyPiece { frames: runs.into_iter().map(|run| run.frame).collect(), lengths, clocks }
}

/// Whether frames have a place on a grid: in the bar on the grid of beats, and in sets from the
/// first frame on.
pub fn has_clock(music: &Music) -> bool {
    let mut performances = music.performances().peekable();
    let is_on_beats = performances.peek().is_some();
    music.set().is_some() || is_on_beats && performances.all(|piece| piece.bars().is_some())
}

/// The place on the grid of the first frame of each run; the first of them begins at `first`.
fn clocks_of_runs(music: &Music, stretch: &Stretch, first: usize, runs: &[KeyRun]) -> Vec<u32> {
    let lengths = runs.iter().map(|run| run.length as usize);
    let all = clocks(music, stretch, first..first + lengths.clone().sum::<usize>());
    let begins = lengths.scan(0, |next, length| {
        let begin = *next;
        *next += length;
        Some(begin)
    });
    begins.map(|begin| all[begin]).collect()
}

/// The places of some frames of a stretch on the grid.
fn clocks(music: &Music, stretch: &Stretch, frames: Range<usize>) -> Vec<u32> {
    match music {
        Music::Chords(_) => frames.map(|idx| u32::try_from(idx).unwrap_or(u32::MAX)).collect(),
        Music::Performances(corpus) => corpus.clocks(stretch, frames),
    }
}

/// [`key_frames`] of a whole stretch, which may be hours long, without holding them all.
fn all_key_frames<'a>(
    music: &'a Music,
    stretch: &'a Stretch,
) -> impl Iterator<Item = KeyFrame> + 'a {
    let n_frames = stretch.n_frames();
    let firsts = (0..n_frames).step_by(AT_ONCE);
    firsts.flat_map(move |first| key_frames(music, stretch, first..(first + AT_ONCE).min(n_frames)))
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

fn union(frames: impl IntoIterator<Item = impl Borrow<KeyFrame>>) -> Chord {
    let bits = frames.into_iter().map(|frame| frame.borrow().sounding.bits());
    Chord::from_bits(bits.fold(0, |all, bits| all | bits))
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
        let runs = RunCutter::cut(32, piece.frames(0..piece.n_frames()));
        assert!(runs.len() > 2 * MARK && material.lengths() == [runs.len()]);
        assert!(runs.iter().any(|run| run.length > 1));
        let begins: Vec<usize> = runs
            .iter()
            .scan(0, |next, run| Some(std::mem::replace(next, *next + run.length as usize)))
            .collect();
        let places = piece.bar_positions(0..piece.n_frames()).unwrap();
        let clocks: Vec<u32> =
            begins.iter().map(|&begin| u32::from(places[begin].into) / 12).collect();
        // From the first on, across a mark, and up to the end.
        let firsts = [0, MARK - 10, MARK, runs.len() - 20];
        let windows = firsts
            .map(|start| Some(Window { stretch: 0, start, len: 20, continues: false, shift: 0 }));
        let batch = material.batch(&music, &stretches, &[0], &windows);
        let silence = KeyRun::single(KeyFrame::default());
        for (row, first) in firsts.into_iter().enumerate() {
            let of_row = batch.frames.iter().zip(&batch.lengths).skip(row).step_by(4);
            let found: Vec<KeyRun> =
                of_row.map(|(frame, &length)| KeyRun { frame: frame.clone(), length }).collect();
            let before = first.checked_sub(1).map_or(&silence, |before| &runs[before]);
            assert_eq!((&found[0], &found[1..]), (before, &runs[first..first + 20]));
            let found: Vec<u32> = batch.clocks.iter().skip(row).step_by(4).copied().collect();
            assert_eq!(found, clocks[first..first + 20]);
        }
        let n_frames: u32 =
            firsts.iter().flat_map(|&first| &runs[first..first + 20]).map(|run| run.length).sum();
        assert_eq!(batch.n_frames(), n_frames as usize);
        assert!(batch.frames.iter().any(|frame| !frame.velocities.is_empty()));
        // Measured it is read alike.
        let whole = key_piece(&music, &stretches[0], 32, true);
        let frames: Vec<KeyFrame> = runs.iter().map(|run| run.frame.clone()).collect();
        let lengths: Vec<u32> = runs.iter().map(|run| run.length).collect();
        assert_eq!(whole, KeyPiece { frames, lengths, clocks });
    }

    #[test]
    fn without_touch_every_frame_is_a_step() {
        let settings = TrainingSettings::default().with_alphabet(Alphabet::OffOn);
        let music = settings.music_plan().read_sources(&pieces()[..1]).unwrap();
        let stretches = [Stretch { parts: vec![(0, 0..music.n_frames())] }];
        let material = KeyMaterial::new(&music, &stretches, &settings);
        assert_eq!(material.lengths(), [music.n_frames()]);
        let window = Window { stretch: 0, start: 3, len: 9, continues: false, shift: 0 };
        let batch = material.batch(&music, &stretches, &[0], &[Some(window)]);
        assert_eq!(batch.frames, key_frames(&music, &stretches[0], 2..12));
        assert!(batch.lengths.is_empty() && batch.n_frames() == 9);
        let whole = key_piece(&music, &stretches[0], 1, false);
        assert!(whole.lengths.is_empty() && whole.frames.len() == music.n_frames());
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
