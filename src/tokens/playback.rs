//! Frames turned back into scores.

use serde::{Deserialize, Serialize};

use super::{Chord, FrameRate, Grid, KeyFrame, Performance, StepsPerQuarter};
use crate::music::{Note, Score, TempoMap, Tick, TicksPerQuarter, Velocity};

/// What a pitch that is in two frames running means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Articulation {
    /// One held note.
    #[default]
    Held,
    /// Struck again whenever the chord changes.
    Restruck,
}

/// How frames are played.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Playback {
    /// Where one frame is a sixteenth the tempo is `rate` × 15 quarters a minute.
    pub rate: FrameRate,
    pub velocity: Velocity,
    pub articulation: Articulation,
    /// The note that a frame is written as; a sixteenth where it says seconds.
    #[serde(default)]
    pub grid: Grid,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            rate: FrameRate::OUTPUT_DEFAULT,
            velocity: Velocity::COMPOSED,
            articulation: Articulation::default(),
            grid: Grid::default(),
        }
    }
}

/// The slowest tempo a MIDI file can state, in microseconds a quarter.
const SLOWEST_MICROS: f64 = 16_777_215.0;

/// The score of frames that are composed: with the strikes, velocities and pedal of `touch`, which
/// are the same frames, and otherwise that of [`score_from_roll`]. The pedal stays up as long as no
/// key is down with it, since nobody hears it then.
pub fn played_score(roll: &[Chord], touch: Option<&[KeyFrame]>, playback: &Playback) -> Score {
    match touch {
        Some(frames) => without_idle_pedal(Performance::from_frames(frames).to_score(playback)),
        None => score_from_roll(roll, playback),
    }
}

/// Leaves out where the pedal goes down and up again and no note sounds in between.
fn without_idle_pedal(mut score: Score) -> Score {
    let mut spans = std::mem::take(&mut score.pedal);
    // Both ascend by start, so that of all notes begun until the pedal rises the last end tells.
    let mut notes = score.notes().iter().peekable();
    let mut sounding_until = Tick::ZERO;
    spans.retain(|span| {
        while let Some(note) = notes.next_if(|note| note.start < span.end) {
            sounding_until = sounding_until.max(note.end());
        }
        sounding_until > span.start
    });
    score.pedal = spans;
    score
}

/// The score of a piano roll: 480 ticks a quarter, 120 a sixteenth, one piano part. Rests at either
/// end keep their time, rests at the end only as far as there is a note after them.
///
/// Below 0.24 frames a second a sixteenth would be slower than a MIDI file can say; a frame is
/// then two or three sixteenths of a tempo two or three times as fast.
///
/// *Limitations.* Tempo is in whole microseconds a quarter, so at rates that don't divide
/// 4,000,000 the frames drift from their seconds by at most 0.125 µs each. Positions saturate at
/// the last tick (more than 35 million frames).
pub fn score_from_roll(roll: &[Chord], playback: &Playback) -> Score {
    let time = FrameTime::new(playback.rate, playback.grid.steps_per_quarter());
    let tempo_map = TempoMap::constant(TicksPerQuarter::DEFAULT, time.micros);
    Score::piano(tempo_map, notes_from_roll(roll, playback, time.ticks_per_frame))
}

/// How long a frame is in a score with [`TicksPerQuarter::DEFAULT`] ticks a quarter.
pub(super) struct FrameTime {
    pub ticks_per_frame: u32,
    /// Microseconds of a quarter.
    pub micros: u32,
}

impl FrameTime {
    /// Of frames that are so many to a quarter; sixteenths where nothing is said.
    pub fn new(rate: FrameRate, steps: Option<StepsPerQuarter>) -> Self {
        let per_quarter = steps.unwrap_or(StepsPerQuarter::SIXTEENTHS);
        let micros = f64::from(per_quarter.get()) * 1e6 / rate.per_second();
        // Slower than a MIDI file can say: a frame is then a longer note of a faster tempo.
        let longer = (micros / SLOWEST_MICROS).ceil().max(1.0);
        Self {
            ticks_per_frame: TicksPerQuarter::DEFAULT.get() / u32::from(per_quarter.get())
                * longer as u32,
            micros: (micros / longer).round() as u32,
        }
    }
}

fn notes_from_roll(roll: &[Chord], playback: &Playback, ticks_per_frame: u32) -> Vec<Note> {
    let tick = |frame: usize| {
        Tick(u32::try_from(frame).unwrap_or(u32::MAX).saturating_mul(ticks_per_frame))
    };
    let mut notes = Vec::new();
    let mut starts = [0usize; 128];
    let mut sounding = Chord::REST;
    let closing_rest = std::iter::once(&Chord::REST);
    for (frame, &chord) in roll.iter().chain(closing_rest).enumerate() {
        if chord == sounding {
            continue;
        }
        let ended = match playback.articulation {
            Articulation::Held => sounding.difference(chord),
            Articulation::Restruck => sounding,
        };
        for pitch in ended.pitches() {
            let start = tick(starts[usize::from(pitch.number())]);
            let length = Tick(tick(frame).saturating_sub(start).0.max(1));
            notes.push(Note { start, length, pitch, velocity: playback.velocity, part: 0 });
        }
        for pitch in chord.difference(sounding.difference(ended)).pitches() {
            starts[usize::from(pitch.number())] = frame;
        }
        sounding = chord;
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::Pitch;

    fn chord(pitches: &[u8]) -> Chord {
        pitches.iter().filter_map(|&number| Pitch::new(number)).collect()
    }

    fn played(roll: &[Chord], articulation: Articulation) -> Vec<(u8, u32, u32)> {
        let playback = Playback { articulation, ..Playback::default() };
        let score = score_from_roll(roll, &playback);
        let shown = |note: &Note| (note.pitch.number(), note.start.0, note.length.0);
        score.notes().iter().map(shown).collect()
    }

    #[test]
    fn a_pitch_that_stays_is_one_note_or_struck_at_each_new_chord() {
        let roll = [chord(&[60]), chord(&[60]), chord(&[60, 64]), Chord::REST, chord(&[60])];
        assert_eq!(
            played(&roll, Articulation::Held),
            [(60, 0, 360), (64, 240, 120), (60, 480, 120)]
        );
        assert_eq!(
            played(&roll, Articulation::Restruck),
            [(60, 0, 240), (60, 240, 120), (64, 240, 120), (60, 480, 120)]
        );
    }

    #[test]
    fn the_pedal_goes_down_only_where_something_sounds() {
        // A letter a frame: n a note, N one with the pedal down, - and _ the same without a note.
        let downs = |frames: &str| -> Vec<(u32, u32)> {
            let frame = |letter: char| KeyFrame {
                sounding: if "nN".contains(letter) { chord(&[60]) } else { Chord::REST },
                pedal: "N_".contains(letter),
                ..KeyFrame::default()
            };
            let frames: Vec<KeyFrame> = frames.chars().map(frame).collect();
            let score = played_score(&[], Some(&frames), &Playback::default());
            score.pedal.iter().map(|span| (span.start.0 / 120, span.end.0 / 120)).collect()
        };
        assert_eq!(downs("_-__-_"), []);
        assert_eq!(downs("_-__N__-_-nn-_-nN-_"), [(2, 7), (16, 17)]);
        // It is heard with what sounds already, or begins while it is down.
        assert_eq!(downs("nN__-_n_"), [(1, 4)]);
        assert_eq!(downs("-_n-"), []);
        assert_eq!(downs("-_N-"), [(1, 3)]);
    }

    #[test]
    fn a_frame_is_a_sixteenth_and_lasts_one_over_the_rate() {
        for (per_second, ticks_per_frame) in [(0.1, 360), (0.25, 120), (8.0, 120), (200.0, 120)] {
            let rate = FrameRate::new(per_second).unwrap();
            let roll = [chord(&[60]), chord(&[62])];
            let score = score_from_roll(&roll, &Playback { rate, ..Playback::default() });
            assert_eq!(score.notes()[1].start, Tick(ticks_per_frame), "at {per_second}");
            let secs = score.tempo_map.secs_from_tick(Tick(ticks_per_frame));
            assert!((secs * per_second - 1.0).abs() < 1e-6, "{secs} at {per_second}");
        }
    }
}
