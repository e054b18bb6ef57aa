//! Putting a take into the score. Pure: two scores and a place in, one score out.

use crate::music::{Note, Part, PedalSpan, Score, TempoChange, TempoMap, Tick};

use super::TakeEntry;

/// Where a take goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Place {
    /// In place of everything.
    Everything,
    /// After the last note, from the next bar on, in the take's own tempo.
    End,
    /// From this second of the score on, over what stands there.
    At { secs: f64 },
}

impl Place {
    /// What undo calls it.
    pub fn label(self, name: &str) -> String {
        match self {
            Self::Everything => format!("Use {name} in place of everything"),
            Self::End => format!("Add {name} at the end"),
            Self::At { .. } => format!("Put {name} at the playhead"),
        }
    }

    /// What is told once it is done.
    pub fn done_words(self, name: &str) -> String {
        match self {
            Self::Everything => format!("{name} has taken the place of everything"),
            Self::End => format!("{name} was added at the end"),
            Self::At { .. } => {
                format!("{name} was put at the playhead, in place of what stood there")
            }
        }
    }
}

/// The score with a take in it. A take that continued the score leaves out its prime, which the
/// score has already, except when it replaces everything.
pub fn place_take(score: &Score, entry: &TakeEntry, place: Place) -> Score {
    let take = &*entry.score;
    let skipped_secs = if entry.provenance.continues_score {
        entry.take.n_prime_frames as f64 / entry.playback.rate.per_second()
    } else {
        0.0
    };
    match place {
        Place::Everything => take.clone(),
        _ if score.notes().is_empty() && score.drums.is_empty() => take.clone(),
        Place::End => at_end(score, take, take.tempo_map.tick_from_secs(skipped_secs)),
        Place::At { secs } => at_secs(score, take, secs, skipped_secs),
    }
}

/// The take keeps its grid: its tempo begins where it begins, at a bar line.
fn at_end(score: &Score, take: &Score, skipped: Tick) -> Score {
    let start = next_bar(score, score.end());
    let quarter = score.tempo_map.ticks_per_quarter();
    let scaled = |tick: Tick| {
        let ticks = u64::from(tick.saturating_sub(skipped).0) * u64::from(quarter.get());
        let ticks = ticks / u64::from(take.tempo_map.ticks_per_quarter().get());
        start.saturating_add(Tick(u32::try_from(ticks).unwrap_or(u32::MAX)))
    };
    let mut result = with_part(score);
    let mut changes = score.tempo_map.changes().to_vec();
    changes.extend(take.tempo_map.changes().iter().map(|change| TempoChange {
        tick: scaled(change.tick),
        micros_per_quarter: change.micros_per_quarter,
    }));
    result.tempo_map = TempoMap::new(quarter, changes);
    let mut notes = score.notes().to_vec();
    notes.extend(moved(take, skipped, scaled));
    result.set_notes(notes);
    result.pedal.extend(moved_pedal(take, skipped, scaled));
    result
}

/// The take sounds as it was heard; the score keeps its tempo. Notes and drums of the score that
/// begin under it go, and those that ring into it end where it begins; meanwhile the pedal is the
/// take's.
fn at_secs(score: &Score, take: &Score, secs: f64, skipped_secs: f64) -> Score {
    let map = &score.tempo_map;
    let start = map.tick_from_secs(secs);
    let offset = map.secs_from_tick(start) - skipped_secs;
    let skipped = take.tempo_map.tick_from_secs(skipped_secs);
    let scaled = |tick: Tick| map.tick_from_secs(offset + take.tempo_map.secs_from_tick(tick));
    let end = scaled(take.end());
    let mut notes = notes_around(score.notes(), start, end);
    notes.extend(moved(take, skipped, scaled));
    let mut result = with_part(score);
    result.set_notes(notes);
    result.set_drums(notes_around(&score.drums, start, end));
    result.pedal = pedal_around(&score.pedal, start, end);
    result.pedal.extend(moved_pedal(take, skipped, scaled));
    result.pedal.sort_by_key(|span| span.start);
    result
}

fn notes_around(notes: &[Note], start: Tick, end: Tick) -> Vec<Note> {
    let around = notes.iter().filter(|note| note.start < start || note.start >= end);
    around
        .map(|note| {
            let rings_in = note.start < start && note.end() > start;
            let length = if rings_in { start.saturating_sub(note.start) } else { note.length };
            Note { length, ..*note }
        })
        .collect()
}

/// What is left of the pedal outside a stretch: one that is held over it becomes two.
fn pedal_around(pedal: &[PedalSpan], start: Tick, end: Tick) -> Vec<PedalSpan> {
    let before = |span: &PedalSpan| PedalSpan { end: span.end.min(start), ..*span };
    let after = |span: &PedalSpan| PedalSpan { start: span.start.max(end), ..*span };
    let halves = pedal.iter().flat_map(|span| [before(span), after(span)]);
    let mut around: Vec<PedalSpan> = halves.filter(|span| span.start < span.end).collect();
    around.sort_by_key(|span| span.start);
    around
}

/// A copy that has a part for the take's notes: a score of drums alone has none.
fn with_part(score: &Score) -> Score {
    let mut copy = score.clone();
    if copy.parts.is_empty() {
        copy.parts.push(Part { name: "Piano".to_owned(), ..Part::default() });
    }
    copy
}

/// The notes of a take from `skipped` on, where `scaled` puts their ticks.
fn moved(take: &Score, skipped: Tick, scaled: impl Fn(Tick) -> Tick) -> impl Iterator<Item = Note> {
    take.notes().iter().filter(move |note| note.end() > skipped).map(move |note| {
        let start = scaled(note.start.max(skipped));
        let length = scaled(note.end()).saturating_sub(start).max(Tick(1));
        Note { start, length, part: 0, ..*note }
    })
}

/// The pedal of a take from `skipped` on, likewise.
fn moved_pedal(
    take: &Score,
    skipped: Tick,
    scaled: impl Fn(Tick) -> Tick,
) -> impl Iterator<Item = PedalSpan> {
    take.pedal.iter().filter(move |span| span.end > skipped).map(move |span| PedalSpan {
        start: scaled(span.start.max(skipped)),
        end: scaled(span.end),
        part: 0,
    })
}

/// The first bar line at or after a tick.
fn next_bar(score: &Score, tick: Tick) -> Tick {
    let quarter = score.tempo_map.ticks_per_quarter();
    let into = score.bar_beat_from_tick(tick);
    let meter = score.meter_at(tick);
    let passed = (into.beat - 1) * meter.ticks_per_beat(quarter) + into.tick;
    if passed == 0 {
        return tick;
    }
    tick.saturating_add(Tick(meter.ticks_per_bar(quarter) - passed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::editor::Project;
    use crate::model::Take;
    use crate::music::{Pitch, TicksPerQuarter, Velocity};
    use crate::tokens::{FrameRate, Playback};
    use crate::ui::state::{Provenance, TakeId};
    use std::sync::Arc;

    fn note(start: u32, length: u32, pitch: u8) -> Note {
        Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        }
    }

    /// Four sixteenths at 8 frames a second, of which `n_prime_frames` were the prime.
    fn entry(n_prime_frames: usize, continues_score: bool) -> TakeEntry {
        let tempo = TempoMap::constant(TicksPerQuarter::DEFAULT, 500_000);
        let notes = (0..4u8).map(|idx| note(u32::from(idx) * 120, 120, 70 + idx)).collect();
        TakeEntry {
            id: TakeId(1),
            name: "Take 1".to_owned(),
            take: Take {
                roll: Vec::new(),
                touch: None,
                n_prime_frames,
                seed: 0,
                log_likelihood: 0.0,
                secs: 0.0,
            },
            playback: Playback { rate: FrameRate::new(8.0).unwrap(), ..Playback::default() },
            provenance: Provenance { continues_score, ..Provenance::default() },
            stars: 0,
            near_silence: None,
            note: String::new(),
            score: Arc::new(Score::piano(tempo, notes)),
        }
    }

    fn score(notes: Vec<Note>) -> Score {
        Score::piano(TempoMap::constant(TicksPerQuarter::DEFAULT, 1_000_000), notes)
    }

    fn starts(score: &Score) -> Vec<(u32, u8)> {
        score.notes().iter().map(|note| (note.start.0, note.pitch.number())).collect()
    }

    #[test]
    fn the_pedal_goes_where_the_notes_go() {
        let mut entry = entry(0, false);
        let span = |start, end| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
        Arc::make_mut(&mut entry.score).pedal = vec![span(120, 480)];
        let mut before = score(vec![note(0, 480, 60)]);
        before.pedal = vec![span(0, 960)];
        let placed = place_take(&before, &entry, Place::End);
        assert_eq!(placed.pedal, [span(0, 960), span(2040, 2400)]);
        // Half a second of the take is a quarter at its tempo and an eighth at the score's.
        let placed = place_take(&before, &entry, Place::At { secs: 0.5 });
        assert_eq!(placed.pedal, [span(0, 240), span(300, 480), span(480, 960)]);
    }

    #[test]
    fn at_the_end_means_the_next_bar_in_the_takes_tempo() {
        let placed = place_take(&score(vec![note(0, 100, 60)]), &entry(0, false), Place::End);
        assert_eq!(starts(&placed)[1..], [(1920, 70), (2040, 71), (2160, 72), (2280, 73)]);
        assert_eq!(placed.tempo_map.tempo_at(Tick(1919)).micros_per_quarter, 1_000_000);
        assert_eq!(placed.tempo_map.tempo_at(Tick(1920)).micros_per_quarter, 500_000);
    }

    #[test]
    fn at_the_playhead_it_sounds_as_it_was_heard() {
        let notes = vec![note(0, 480, 60), note(480, 480, 61), note(960, 480, 62)];
        // Half a second in: tick 240 of a slower score; the take lasts half a second.
        let placed = place_take(&score(notes), &entry(0, false), Place::At { secs: 0.5 });
        assert_eq!(
            starts(&placed),
            [(0, 60), (240, 70), (300, 71), (360, 72), (420, 73), (480, 61), (960, 62)]
        );
        assert_eq!(placed.notes()[0].length, Tick(240));
    }

    #[test]
    fn pedal_and_drums_make_room_for_the_take() {
        let mut before = score(vec![note(0, 480, 60)]);
        let span = |start, end| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
        before.pedal = vec![span(0, 960), span(250, 300), span(600, 700)];
        before.set_drums(vec![note(0, 400, 36), note(300, 60, 38), note(480, 60, 36)]);
        // The take stands from tick 240 to tick 480.
        let placed = place_take(&before, &entry(0, false), Place::At { secs: 0.5 });
        assert_eq!(placed.pedal, [span(0, 240), span(480, 960), span(600, 700)]);
        assert_eq!(placed.drums, [note(0, 240, 36), note(480, 60, 36)]);
        // At a place where it holds nothing, nothing is cut.
        let placed = place_take(&before, &entry(0, false), Place::At { secs: 5.0 });
        assert_eq!((placed.pedal, placed.drums), (before.pedal, before.drums));
    }

    #[test]
    fn a_score_of_drums_gets_a_piano_for_the_take() {
        let mut drums = score(Vec::new());
        drums.parts.clear();
        drums.set_drums(vec![note(0, 60, 36)]);
        for place in [Place::At { secs: 0.0 }, Place::At { secs: 9.0 }, Place::End] {
            let placed = place_take(&drums, &entry(0, false), place);
            assert_eq!(placed.notes().len(), 4, "{place:?}");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("drums.etude");
            Project::new(placed.clone()).write(&path).unwrap();
            assert_eq!(Project::read(&path).unwrap().score, placed, "{place:?}");
        }
    }

    #[test]
    fn a_continuation_leaves_out_what_the_score_has() {
        let before = score(vec![note(0, 480, 60)]);
        let placed = place_take(&before, &entry(2, true), Place::At { secs: 1.0 });
        assert_eq!(starts(&placed), [(0, 60), (480, 72), (540, 73)]);
        let placed = place_take(&before, &entry(2, true), Place::End);
        assert_eq!(starts(&placed), [(0, 60), (1920, 72), (2040, 73)]);
        assert_eq!(place_take(&before, &entry(2, true), Place::Everything).notes().len(), 4);
    }
}
