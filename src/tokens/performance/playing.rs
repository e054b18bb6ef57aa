//! A performance turned back into a score.

use super::Performance;
use crate::music::{Note, PedalSpan, Score, TempoMap, Tick, TicksPerQuarter, Velocity};
use crate::tokens::playback::{FrameTime, Playback};

impl Performance {
    /// The score that plays it: 480 ticks a quarter, one piano part, every strike a note with its
    /// velocity (`playback`'s where it isn't known), the pedal, and the silence before it.
    ///
    /// In real time a frame is a sixteenth, as in
    /// [`score_from_roll`](crate::tokens::score_from_roll), unless `playback` says otherwise; on the
    /// beat grid it is its own note value. Either way it lasts one over `playback.rate` seconds. The articulation of `playback`
    /// doesn't matter: a performance says what is struck.
    ///
    /// *Limitations.* Those of `score_from_roll`; silence that doesn't fit into the ticks of a
    /// score is left out.
    pub fn to_score(&self, playback: &Playback) -> Score {
        let of_bars = self.bars().map(|bars| bars.steps_per_quarter());
        let steps = of_bars.or(playback.grid.steps_per_quarter());
        let time = FrameTime::new(playback.rate, steps);
        let ticks = u64::from(time.ticks_per_frame);
        let fits = (u64::from(self.lead) + u64::from(self.n_frames)) * ticks <= u64::from(u32::MAX);
        let lead = if fits { self.lead } else { 0 };
        let tick =
            |frame: u32| Tick(lead.saturating_add(frame).saturating_mul(time.ticks_per_frame));
        let note = |sound: &Sound, pitch| {
            let (start, end) = (tick(sound.start), tick(sound.end));
            let length = Tick(end.saturating_sub(start).0.max(1));
            let velocity = sound.velocity.unwrap_or(playback.velocity);
            Note { start, length, pitch, velocity, part: 0 }
        };
        let mut open: [Option<Sound>; 128] = [None; 128];
        let mut notes = Vec::with_capacity(self.notes.len());
        for piece in self.notes() {
            let slot = &mut open[usize::from(piece.pitch.number())];
            match slot {
                Some(sound) if !piece.is_struck && sound.end == piece.start => {
                    sound.end = piece.end();
                }
                _ => {
                    let sound =
                        Sound { start: piece.start, end: piece.end(), velocity: piece.velocity };
                    let ended = slot.replace(sound);
                    notes.extend(ended.map(|sound| note(&sound, piece.pitch)));
                }
            }
        }
        let still_open = open.iter().zip(crate::music::Pitch::all());
        notes.extend(still_open.filter_map(|(sound, pitch)| Some(note(sound.as_ref()?, pitch))));
        let mut score =
            Score::piano(TempoMap::constant(TicksPerQuarter::DEFAULT, time.micros), notes);
        let span = |span: std::ops::Range<u32>| PedalSpan {
            start: tick(span.start),
            end: tick(span.end),
            part: 0,
        };
        score.pedal = self.pedal().map(span).collect();
        score
    }
}

/// A note that may go on.
#[derive(Clone, Copy)]
struct Sound {
    start: u32,
    end: u32,
    velocity: Option<Velocity>,
}
