//! A piece as notes on the grid of frames, from which any window of key frames is read.
//!
//! A performance costs memory by the note and not by the frame, so that a higher frame rate costs
//! none. How a score's notes are placed on the frames stands in `placing`, the way back to a
//! score in `playing`.

mod bars;
mod placing;
mod playing;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::frames::{Run, runs_from_roll};
use super::{Chord, FramesError, Framing, FramingPlan, KeyFrame, MAX_FRAMES, PianoRoll};
use crate::music::{Pitch, Score, Velocity};
use words::{Word, Words, span_from_word, word_from_span};

pub(super) use placing::{performance_from_file, performance_from_score};
pub(super) use words::SharedBytes;

pub use bars::{BarPosition, FrameBars};
pub use words::FrameNote;

/// What a performance says besides which keys sound.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// Strikes, velocities and pedal.
    #[default]
    Kept,
    /// Nothing: its frames are those of the chord family to the last key, so that the two can be
    /// compared.
    Ignored,
}

/// Everything that decides how a score becomes a performance.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PerformancePlan {
    pub frames: FramingPlan,
    pub touch: Touch,
}

impl PerformancePlan {
    /// # Errors
    /// Where the plan contradicts itself: the original's framing knows neither touch nor beats.
    pub fn check(&self) -> Result<(), FramesError> {
        self.frames.check()?;
        match (self.frames.framing, self.touch) {
            (Framing::Original, Touch::Kept) => Err(FramesError::OriginalTouch),
            (Framing::Nearest | Framing::Original, _) => Ok(()),
        }
    }
}

/// A piece on the grid of frames, without the silence around it.
///
/// No key sounds twice at once: where two notes of a score would, the later strike ends the
/// earlier note, and those struck together are one. Cheap to clone.
#[derive(Clone, PartialEq, Debug)]
pub struct Performance {
    n_frames: u32,
    lead: u32,
    bars: Option<FrameBars>,
    /// The longest note's frames.
    longest: u16,
    /// [`FrameNote`]s by start, then pitch.
    notes: Words,
    /// Spans of frames with the pedal down, ascending and apart.
    pedal: Words,
}

impl Performance {
    /// The performance of a piano roll. Every run of a pitch is one note, struck where it begins,
    /// nobody knows how hard. Rests at either end are kept.
    pub fn from_roll(roll: &[Chord]) -> Self {
        Self::from_runs(&runs_from_roll(roll))
    }

    /// The performance whose frames are these. Velocities that don't fit their strikes are taken
    /// for unknown, strikes of keys that don't sound for nothing.
    pub fn from_frames(frames: &[KeyFrame]) -> Self {
        let mut drawing = Drawing::default();
        for frame in frames {
            let struck = frame.struck.intersection(frame.sounding);
            let velocities = match frame.velocities.len() == frame.struck.len() {
                true => frame.velocities.as_slice(),
                false => &[],
            };
            drawing.turn(frame.sounding, struck);
            for (pitch, velocity) in frame.struck.pitches().zip(velocities) {
                drawing.open[usize::from(pitch.number())].velocity = Some(*velocity);
            }
            drawing.pedal(frame.pedal);
            drawing.now += 1;
        }
        drawing.finish()
    }

    /// The performance of a score, without leading and trailing silence; a pedal that is still
    /// down when the last key is let go rings for [`Performance::MAX_RING_SECS`] at most.
    ///
    /// # Errors
    /// [`FramesError`]: when it is too long, and where the plan contradicts itself.
    pub fn from_score(score: &Score, plan: &PerformancePlan) -> Result<Self, FramesError> {
        performance_from_score(score, plan)
    }

    /// How long the pedal is heard after the last key was let go.
    pub const MAX_RING_SECS: f64 = 10.0;

    /// A run of chords as it stands in the chord family.
    pub(super) fn from_runs(runs: &[Run]) -> Self {
        let mut drawing = Drawing::default();
        let mut before = Chord::REST;
        for run in runs {
            drawing.turn(run.chord, run.chord.difference(before));
            before = run.chord;
            drawing.now += run.n_frames;
        }
        drawing.finish()
    }

    pub fn n_frames(&self) -> usize {
        self.n_frames as usize
    }

    /// Frames of silence in the score before the first frame.
    pub fn lead(&self) -> u32 {
        self.lead
    }

    /// The same with so many frames of silence in the score before it; bars aren't moved.
    pub fn with_lead(self, lead: u32) -> Self {
        Self { lead, ..self }
    }

    /// Where each frame is in its bar; `None` in real time.
    pub fn bars(&self) -> Option<&FrameBars> {
        self.bars.as_ref()
    }

    /// Where each frame of a range is in its bar, one position for each; `None` in real time.
    pub fn bar_positions(&self, range: Range<usize>) -> Option<Vec<BarPosition>> {
        let bars = self.bars.as_ref()?;
        let range = self.clipped(range);
        Some(range.map(|frame| bars.position(frame)).collect())
    }

    /// Whole frames from the beginning of its bar to each frame of a range; in real time from the
    /// beginning of the piece.
    pub fn clocks(&self, range: Range<usize>) -> Vec<u32> {
        let range = self.clipped(range);
        match &self.bars {
            Some(bars) => range.map(|frame| bars.frames_into_bar(frame)).collect(),
            None => range.collect(),
        }
    }

    /// By start, then pitch.
    pub fn notes(&self) -> impl ExactSizeIterator<Item = FrameNote> {
        self.notes.iter().map(|&word| FrameNote::from_word(word))
    }

    /// How often a key is struck.
    pub fn n_strikes(&self) -> usize {
        self.notes().filter(|note| note.is_struck).count()
    }

    /// The frames in which the pedal is down, ascending and apart.
    pub fn pedal(&self) -> impl ExactSizeIterator<Item = Range<u32>> {
        self.pedal.iter().map(|&word| span_from_word(word))
    }

    /// Bytes it takes, in memory or in a file.
    pub fn n_bytes(&self) -> usize {
        size_of_val::<[Word]>(&self.notes) + size_of_val::<[Word]>(&self.pedal)
    }

    /// The frames of a window; what of `range` lies past the end is left out. Looks at the notes
    /// of the window and of the [`FrameNote::MAX_LEN`] frames before it.
    pub fn frames(&self, range: Range<usize>) -> Vec<KeyFrame> {
        let range = self.clipped(range);
        let mut frames = vec![KeyFrame::default(); range.len()];
        for note in self.notes_around(&range) {
            let start = note.start.max(range.start);
            let end = note.end().min(range.end);
            let Some(first) = start.checked_sub(range.start).filter(|_| start < end) else {
                continue;
            };
            for frame in &mut frames[first as usize..(end - range.start) as usize] {
                frame.sounding.insert(note.pitch);
            }
            if note.is_struck && note.start >= range.start {
                let frame = &mut frames[first as usize];
                frame.struck.insert(note.pitch);
                // Notes come from low to high, so that velocities do too.
                frame.velocities.extend(note.velocity);
            }
        }
        for frame in &mut frames {
            if frame.velocities.len() != frame.struck.len() {
                frame.velocities.clear();
            }
        }
        for span in self.pedal_around(&range) {
            let (start, end) = (span.start.max(range.start), span.end.min(range.end));
            for frame in start..end {
                frames[(frame - range.start) as usize].pedal = true;
            }
        }
        frames
    }

    /// Only which keys sound in the frames of a window.
    pub fn roll(&self, range: Range<usize>) -> PianoRoll {
        let range = self.clipped(range);
        let mut roll = vec![Chord::REST; range.len()];
        for note in self.notes_around(&range) {
            let (start, end) = (note.start.max(range.start), note.end().min(range.end));
            for frame in start..end {
                roll[(frame - range.start) as usize].insert(note.pitch);
            }
        }
        roll
    }

    /// The part of a range that lies within the piece.
    fn clipped(&self, range: Range<usize>) -> Range<u32> {
        let n_frames = self.n_frames();
        // Both are at most `n_frames`, which is a u32.
        let (start, end) = (range.start.min(n_frames) as u32, range.end.min(n_frames) as u32);
        start..end.max(start)
    }

    /// The notes that may sound in a range: those that start in it, and as long before it as the
    /// longest note is.
    fn notes_around(&self, range: &Range<u32>) -> impl Iterator<Item = FrameNote> {
        let first = range.start.saturating_sub(u32::from(self.longest));
        let start = |word: &Word| FrameNote::from_word(*word).start;
        let from = self.notes.partition_point(|word| start(word) < first);
        let end = range.end;
        self.notes[from..]
            .iter()
            .map(|word| FrameNote::from_word(*word))
            .take_while(move |note| note.start < end)
    }

    fn pedal_around(&self, range: &Range<u32>) -> impl Iterator<Item = Range<u32>> {
        let from = self.pedal.partition_point(|word| span_from_word(*word).end <= range.start);
        let end = range.end;
        self.pedal[from..]
            .iter()
            .map(|word| span_from_word(*word))
            .take_while(move |span| span.start < end)
    }
}

/// A performance as it is drawn frame by frame.
struct Drawing {
    /// The frame that is next.
    now: u32,
    sounding: Chord,
    /// By pitch; what stands there counts for those that sound.
    open: [Open; 128],
    notes: Vec<FrameNote>,
    pedal: Vec<Range<u32>>,
}

/// A key that is down.
#[derive(Clone, Copy, Default)]
struct Open {
    start: u32,
    velocity: Option<Velocity>,
    is_struck: bool,
}

impl Default for Drawing {
    fn default() -> Self {
        let open = [Open::default(); 128];
        Self { now: 0, sounding: Chord::REST, open, notes: Vec::new(), pedal: Vec::new() }
    }
}

impl Drawing {
    /// From now on these keys sound, of which some are struck.
    fn turn(&mut self, sounding: Chord, struck: Chord) {
        let ended = self.sounding.difference(sounding.difference(struck));
        for pitch in ended.pitches() {
            let open = self.open[usize::from(pitch.number())];
            push_note(&mut self.notes, pitch, open.start..self.now, open);
        }
        let begun = sounding.difference(self.sounding.difference(ended));
        for pitch in begun.pitches() {
            let open = Open { start: self.now, velocity: None, is_struck: struck.contains(pitch) };
            self.open[usize::from(pitch.number())] = open;
        }
        self.sounding = sounding;
    }

    fn pedal(&mut self, is_down: bool) {
        let now = self.now;
        match self.pedal.last_mut() {
            _ if !is_down => {}
            Some(last) if last.end == now => last.end = now + 1,
            _ => self.pedal.push(now..now + 1),
        }
    }

    fn finish(mut self) -> Performance {
        self.turn(Chord::REST, Chord::REST);
        Performance::new(self.now, self.notes, &self.pedal)
    }
}

/// Adds a note as pieces of [`FrameNote::MAX_LEN`] frames, of which only the first is struck.
fn push_note(notes: &mut Vec<FrameNote>, pitch: Pitch, frames: Range<u32>, open: Open) {
    let Open { velocity, mut is_struck, .. } = open;
    let mut start = frames.start;
    while start < frames.end {
        // At most MAX_LEN.
        let len = (frames.end - start).min(u32::from(FrameNote::MAX_LEN)) as u16;
        notes.push(FrameNote { start, len, pitch, velocity, is_struck });
        is_struck = false;
        start += u32::from(len);
    }
}

impl Performance {
    /// Of notes in any order, disjoint at each pitch, and of pedal spans ascending and apart.
    fn new(n_frames: u32, notes: Vec<FrameNote>, pedal: &[Range<u32>]) -> Self {
        let longest = notes.iter().map(|note| note.len).max().unwrap_or(0);
        let mut words: Vec<Word> = notes.into_iter().map(FrameNote::to_word).collect();
        words.sort_unstable();
        let pedal: Vec<Word> = pedal.iter().map(word_from_span).collect();
        let (notes, pedal) = (Words::new(&words), Words::new(&pedal));
        Self { n_frames, lead: 0, bars: None, longest, notes, pedal }
    }
}

impl Performance {
    /// What every performance promises, and one from a disk must before it is used.
    pub(super) fn holds_together(&self) -> bool {
        let mut ends = [0u32; 128];
        let notes_hold = self.notes().all(|note| {
            let end = &mut ends[usize::from(note.pitch.number())];
            let is_apart = *end <= note.start;
            *end = note.end();
            is_apart && note.len > 0 && note.len <= self.longest && note.end() <= self.n_frames
        });
        let mut last = None;
        let pedal_holds = self.pedal().all(|span| {
            let is_apart = last.is_none_or(|last| last < span.start);
            last = Some(span.end);
            is_apart && !span.is_empty() && span.end <= self.n_frames
        });
        notes_hold
            && pedal_holds
            && self.notes.is_sorted()
            && u64::from(self.n_frames) <= MAX_FRAMES
            && self.longest <= FrameNote::MAX_LEN
            && self.bars.as_ref().is_none_or(FrameBars::holds_together)
    }
}

/// What a file says of a performance besides its words.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredPerformance {
    n_frames: u32,
    lead: u32,
    longest: u16,
    bars: Option<FrameBars>,
    n_notes: u64,
}

impl Performance {
    pub(super) fn stored(&self) -> StoredPerformance {
        let Self { n_frames, lead, longest, .. } = *self;
        let n_notes = self.notes.len() as u64;
        StoredPerformance { n_frames, lead, longest, bars: self.bars.clone(), n_notes }
    }

    /// Appends the words of the notes, then those of the pedal.
    pub(super) fn write_words(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.notes.as_flattened());
        out.extend_from_slice(self.pedal.as_flattened());
    }
}

impl StoredPerformance {
    /// The performance with its words in a stretch of these bytes; `None` when they don't fit.
    /// Whether they hold together isn't looked at.
    pub(super) fn with_words(
        self,
        bytes: &SharedBytes,
        range: Range<usize>,
    ) -> Option<Performance> {
        let Self { n_frames, lead, longest, bars, n_notes } = self;
        let n_bytes = usize::try_from(n_notes).ok()?.checked_mul(size_of::<Word>())?;
        let between = range.start.checked_add(n_bytes).filter(|end| *end <= range.end)?;
        let notes = Words::shared(bytes, range.start..between)?;
        let pedal = Words::shared(bytes, between..range.end)?;
        Some(Performance { n_frames, lead, bars, longest, notes, pedal })
    }
}
