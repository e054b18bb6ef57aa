//! Where on the grid of frames the strikes, releases and pedal changes of a score go.
//!
//! Everything goes to the nearest boundary. Where two strikes of one key, or two changes of the
//! pedal, would meet in one frame, they are set apart as long as neither moves by more than a
//! frame; so a repeated note stays two notes and a change of pedal lifts it.

use std::ops::Range;

use super::{FrameBars, Open, Performance, PerformancePlan, Touch, push_note};
use crate::music::smf::{FirstInstrument, Sounding};
use crate::music::{Note, Pitch, Score, Velocity};
use crate::tokens::frames::{
    FrameClock, Pedals, Sounds, Span, nearest, nearest_spans, runs_from_spans, spans_from_score,
};
use crate::tokens::{FramesError, Framing, MAX_FRAMES, Pedalling, original};

/// Strikes of one key closer than this are one: two hands that play in unison.
const UNISON_SECS: f64 = 0.02;

pub(in crate::tokens) fn performance_from_score(
    score: &Score,
    plan: &PerformancePlan,
) -> Result<Performance, FramesError> {
    match plan.touch {
        Touch::Kept => from_sounds(&Sounds::of_score(score), plan),
        Touch::Ignored => {
            plan.frames.check()?;
            from_spans(&spans_from_score(score, &plan.frames), &Sounds::of_score(score), plan)
        }
    }
}

/// The same for what sounds of a file; of one framed as the original, `first` is what that read.
pub(in crate::tokens) fn performance_from_file(
    sounding: &Sounding,
    first: Option<&FirstInstrument>,
    plan: &PerformancePlan,
) -> Result<Performance, FramesError> {
    let sounds = Sounds::of_file(sounding);
    if plan.touch == Touch::Kept {
        return from_sounds(&sounds, plan);
    }
    plan.frames.check()?;
    let spans = match plan.frames.framing {
        Framing::Nearest => nearest_spans(&sounds, &plan.frames),
        Framing::Original => {
            first.map(|first| original::spans(first, plan.frames.rate)).unwrap_or_default()
        }
    };
    from_spans(&spans, &sounds, plan)
}

/// The performance whose frames are those of a piano roll.
fn from_spans(
    spans: &[Span],
    sounds: &Sounds<'_>,
    plan: &PerformancePlan,
) -> Result<Performance, FramesError> {
    let performance = Performance::from_runs(&runs_from_spans(spans)?);
    let first = spans.iter().map(|span| span.start).min().unwrap_or(0);
    Ok(placed_in_score(performance, first, sounds, plan))
}

/// A performance that knows which frame of the score its first one is.
fn placed_in_score(
    performance: Performance,
    first: u64,
    sounds: &Sounds<'_>,
    plan: &PerformancePlan,
) -> Performance {
    let lead = u32::try_from(first).unwrap_or(u32::MAX);
    let per_quarter = sounds.tempo_map.ticks_per_quarter();
    let steps = plan.frames.grid.steps_per_quarter();
    let bars = steps.map(|steps| FrameBars::of_meters(steps, lead, sounds.meters, per_quarter));
    Performance { lead, bars, ..performance }
}

/// A strike and its release, in frames from the beginning of the score.
#[derive(Clone, Copy)]
struct Stroke {
    on: f64,
    off: f64,
    on_secs: f64,
    velocity: Velocity,
}

/// A stroke on the grid.
#[derive(Clone, Copy)]
struct Placed {
    frame: u64,
    stroke: Stroke,
}

/// The performance of what sounds, with strikes, velocities and pedal.
fn from_sounds(sounds: &Sounds<'_>, plan: &PerformancePlan) -> Result<Performance, FramesError> {
    plan.check()?;
    let strokes = strokes_by_pitch(sounds, plan);
    let mut notes: Vec<(Pitch, Range<u64>, Velocity)> = Vec::with_capacity(sounds.notes.len());
    for (pitch, strokes) in Pitch::all().zip(strokes) {
        let placed = placed_strokes(strokes);
        let nexts = placed.iter().skip(1).map(|next| next.frame).chain([u64::MAX]);
        for (placed, next) in placed.iter().zip(nexts) {
            let end = nearest(placed.stroke.off).max(placed.frame + 1).min(next);
            notes.push((pitch, placed.frame..end, placed.stroke.velocity));
        }
    }
    let pedal = placed_pedal(&pedal_turns(sounds, plan));
    assembled(sounds, plan, notes, &pedal)
}

fn strokes_by_pitch(sounds: &Sounds<'_>, plan: &PerformancePlan) -> [Vec<Stroke>; 128] {
    let pedals = match plan.frames.pedalling {
        Pedalling::Keys => None,
        Pedalling::Sustained => Some(Pedals::new(sounds)),
    };
    let mut secs = sounds.tempo_map.cursor();
    let mut ons = FrameClock::new(sounds.tempo_map, &plan.frames);
    let mut offs = ons.clone();
    let mut strokes: [Vec<Stroke>; 128] = std::array::from_fn(|_| Vec::new());
    for note in sounds.notes {
        let end = match &pedals {
            Some(pedals) => pedals.release(sounds.channel(note.part), note.end()),
            None => note.end(),
        };
        strokes[usize::from(note.pitch.number() & 127)].push(Stroke {
            on: ons.frame_at(note.start),
            off: offs.frame_at(end),
            on_secs: secs.secs_from_tick(note.start),
            velocity: note.velocity,
        });
    }
    for strokes in &mut strokes {
        strokes.sort_by(|a, b| {
            let by_time = a.on.total_cmp(&b.on).then(a.off.total_cmp(&b.off));
            by_time.then(a.velocity.cmp(&b.velocity))
        });
    }
    strokes
}

/// The strokes of one key, sorted, each in a frame of its own; those that find none are one with
/// the stroke before.
fn placed_strokes(strokes: Vec<Stroke>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::with_capacity(strokes.len());
    for stroke in strokes {
        let Some(last) = placed.len().checked_sub(1) else {
            placed.push(Placed { frame: stroke.frame(), stroke });
            continue;
        };
        let floor = last.checked_sub(1).map_or(0, |before| placed[before].frame + 1);
        let before = placed[last];
        let is_unison = stroke.on_secs - before.stroke.on_secs < UNISON_SECS;
        let frames =
            set_apart((before.frame, before.stroke.on), (stroke.frame(), stroke.on), floor);
        match frames.filter(|_| !is_unison) {
            Some((earlier, later)) => {
                placed[last].frame = earlier;
                placed.push(Placed { frame: later, stroke });
            }
            None => {
                let one = &mut placed[last].stroke;
                one.velocity = one.velocity.max(stroke.velocity);
                one.off = one.off.max(stroke.off);
            }
        }
    }
    placed
}

impl Stroke {
    /// Its onset goes to the nearest boundary. A note that no boundary cuts has the frame that its
    /// middle lies in: so both of its ends stay within one frame of the truth.
    fn frame(&self) -> u64 {
        let (on, off) = (nearest(self.on), nearest(self.off));
        if on < off { on } else { ((self.on + self.off) / 2.0) as u64 }
    }
}

/// Two events `(frame, exact time)` in two frames, the earlier one in `floor` or later: as they
/// are when they differ, else one of them moved by a frame, whichever ends up nearer to its time.
/// `None` when it would be more than a frame away.
fn set_apart(earlier: (u64, f64), later: (u64, f64), floor: u64) -> Option<(u64, u64)> {
    if later.0 > earlier.0 {
        return Some((earlier.0, later.0));
    }
    let pushed = earlier.0 + 1;
    let push_error = pushed as f64 - later.1;
    let pull = earlier.0.checked_sub(1).filter(|pulled| *pulled >= floor);
    let pull_error = pull.map_or(f64::INFINITY, |pulled| {
        // The later one takes the place that the earlier one leaves.
        (earlier.1 - pulled as f64).max(earlier.0 as f64 - later.1)
    });
    if pull_error < push_error && pull_error <= 1.0 {
        pull.map(|pulled| (pulled, pulled + 1))
    } else {
        (push_error <= 1.0).then_some((earlier.0, pushed))
    }
}

/// When the pedal goes down and up, in turn, in frames: down while it is for any channel that
/// has notes.
fn pedal_turns(sounds: &Sounds<'_>, plan: &PerformancePlan) -> Vec<f64> {
    let mut is_heard = [false; 16];
    for note in sounds.notes {
        is_heard[usize::from(sounds.channel(note.part))] = true;
    }
    let heard = sounds.pedal.iter().filter(|span| is_heard[usize::from(sounds.channel(span.part))]);
    let mut clock = FrameClock::new(sounds.tempo_map, &plan.frames);
    let spans = crate::music::joined_spans(heard);
    spans.iter().flat_map(|span| [span.start, span.end]).map(|tick| clock.frame_at(tick)).collect()
}

/// The frames with the pedal down. A change that finds no frame of its own cancels out the one
/// before it.
fn placed_pedal(turns: &[f64]) -> Vec<Range<u64>> {
    let mut placed: Vec<(u64, f64)> = Vec::with_capacity(turns.len());
    for &turn in turns {
        let Some(last) = placed.len().checked_sub(1) else {
            placed.push((nearest(turn), turn));
            continue;
        };
        let floor = last.checked_sub(1).map_or(0, |before| placed[before].0 + 1);
        match set_apart(placed[last], (nearest(turn), turn), floor) {
            Some((earlier, later)) => {
                placed[last].0 = earlier;
                placed.push((later, turn));
            }
            None => {
                placed.pop();
            }
        }
    }
    placed.chunks_exact(2).map(|span| span[0].0..span[1].0).collect()
}

/// Cuts off the silence around the notes.
fn assembled(
    sounds: &Sounds<'_>,
    plan: &PerformancePlan,
    notes: Vec<(Pitch, Range<u64>, Velocity)>,
    pedal: &[Range<u64>],
) -> Result<Performance, FramesError> {
    let first = notes.iter().map(|note| note.1.start).min().unwrap_or(0);
    let last = notes.iter().map(|note| note.1.end).max().unwrap_or(first);
    let end = match pedal.iter().find(|span| span.start < last && span.end > last) {
        Some(ringing) => ringing.end.min(ring_end(sounds, plan)).max(last),
        None => last,
    };
    let n_frames = end - first;
    if n_frames > MAX_FRAMES {
        return Err(FramesError::TooLong { n_frames });
    }
    // Nothing is further from `first` than MAX_FRAMES.
    let place = |frame: u64| (frame.clamp(first, end) - first) as u32;
    let mut placed = Vec::with_capacity(notes.len());
    for (pitch, frames, velocity) in notes {
        let open = Open { start: 0, velocity: Some(velocity), is_struck: true };
        push_note(&mut placed, pitch, place(frames.start)..place(frames.end), open);
    }
    let pedal: Vec<Range<u32>> = pedal
        .iter()
        .map(|span| place(span.start)..place(span.end))
        .filter(|span| !span.is_empty())
        .collect();
    let performance = Performance::new(n_frames as u32, placed, &pedal);
    Ok(placed_in_score(performance, first, sounds, plan))
}

/// The frame in which the pedal is let go at the latest.
fn ring_end(sounds: &Sounds<'_>, plan: &PerformancePlan) -> u64 {
    let last = sounds.notes.iter().map(Note::end).max().unwrap_or_default();
    let secs = sounds.tempo_map.secs_from_tick(last) + Performance::MAX_RING_SECS;
    let tick = sounds.tempo_map.tick_from_secs(secs);
    nearest(FrameClock::new(sounds.tempo_map, &plan.frames).frame_at(tick))
}
