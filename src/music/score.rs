//! A piece: its notes in order, tempo, meter and pedal.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BarBeat, BarGrid, Extra, Meter, MeterChange, Pitch, TempoMap, Tick, Velocity};

/// One key pressed and let go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Note {
    pub start: Tick,
    /// At least 1.
    pub length: Tick,
    pub pitch: Pitch,
    pub velocity: Velocity,
    /// Which of the score's parts it belongs to; of percussion, which of its tracks.
    pub part: u8,
}

impl Note {
    pub fn end(&self) -> Tick {
        self.start.saturating_add(self.length)
    }
}

/// The sustain pedal held down from `start` to `end`, for one part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PedalSpan {
    pub start: Tick,
    pub end: Tick,
    pub part: u8,
}

/// An instrument: what a MIDI file calls a track with a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// 0–15; 9 is percussion and never stands in [`Score::parts`].
    pub channel: u8,
    /// General MIDI program, 0–127; 0 is the grand piano.
    pub program: u8,
    /// Which of the window's part colors it has; `None` for the one of its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<u8>,
    /// Not heard.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_muted: bool,
    /// Heard, and no other part that isn't solo too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_solo: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_default(part: &Part) -> bool {
    *part == Part::default()
}

/// A row of the track list: one of the score's parts, or its percussion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// By index into [`Score::parts`].
    Part(u8),
    Drums,
}

/// A piece: notes sorted by start then pitch, tempo, time signatures, sustain pedal.
///
/// The notes keep their order whatever is done to them, so that a binary search finds what
/// sounds at a tick. Percussion is kept apart: nothing learns it or shows it in the roll, but it
/// is exported again.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Score {
    pub title: String,
    pub tempo_map: TempoMap,
    /// Ascending by tick; empty means common time.
    pub meters: Vec<MeterChange>,
    /// Never more than 255. Notes refer to them by index.
    pub parts: Vec<Part>,
    notes: Vec<Note>,
    /// Ascending by start.
    pub pedal: Vec<PedalSpan>,
    /// Percussion (MIDI channel 10), sorted like the notes; `pitch` is the drum.
    pub drums: Vec<Note>,
    /// How the percussion is named, colored and heard; its channel and program don't count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drum_part: Part,
    /// What a MIDI file said besides, kept for export; ascending by tick. Shared, since hardly
    /// an edit changes it.
    #[serde(default)]
    pub extras: Arc<[Extra]>,
}

impl Score {
    /// A score of one piano part.
    pub fn piano(tempo_map: TempoMap, notes: Vec<Note>) -> Self {
        let parts = vec![Part { name: "Piano".to_owned(), ..Part::default() }];
        let mut score = Self { tempo_map, parts, ..Self::default() };
        score.set_notes(notes);
        score
    }

    /// Sorted by start, then pitch, then the rest of a note, so that equal sets are equal lists.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Puts them in order.
    pub fn set_notes(&mut self, notes: Vec<Note>) {
        self.notes = sorted(notes);
    }

    /// The same piece with other notes, which are in order already. Copies none of the notes it
    /// has: in a long piece that is most of what there is to copy.
    pub(crate) fn with_notes_in_order(&self, notes: Vec<Note>) -> Self {
        debug_assert!(notes.is_sorted_by_key(order));
        Self {
            title: self.title.clone(),
            tempo_map: self.tempo_map.clone(),
            meters: self.meters.clone(),
            parts: self.parts.clone(),
            notes,
            pedal: self.pedal.clone(),
            drums: self.drums.clone(),
            drum_part: self.drum_part.clone(),
            extras: Arc::clone(&self.extras),
        }
    }

    /// What a row of the track list stands for; `None` when there is no such part.
    pub fn track(&self, track: Track) -> Option<&Part> {
        match track {
            Track::Part(part) => self.parts.get(usize::from(part)),
            Track::Drums => Some(&self.drum_part),
        }
    }

    /// Whether a track is heard: not muted, and solo where any is.
    pub fn is_heard(&self, track: Track) -> bool {
        let mut all = self.parts.iter().chain([&self.drum_part]);
        let any_solo = all.any(|part| part.is_solo);
        self.track(track).is_some_and(|part| !part.is_muted && (part.is_solo || !any_solo))
    }

    /// Percussion, in the same order as notes.
    pub fn set_drums(&mut self, drums: Vec<Note>) {
        self.drums = sorted(drums);
    }

    /// The notes that start in a range of ticks, in order. Finds them by binary search.
    pub fn notes_starting_in(&self, range: Range<Tick>) -> &[Note] {
        let from = self.notes.partition_point(|note| note.start < range.start);
        let to = self.notes.partition_point(|note| note.start < range.end);
        self.notes.get(from..to).unwrap_or_default()
    }

    /// The notes that sound anywhere in a range of ticks, in order: also those that started
    /// before it. Looks at every note that starts before its end.
    pub fn notes_between(&self, range: Range<Tick>) -> impl Iterator<Item = &Note> {
        let to = self.notes.partition_point(|note| note.start < range.end);
        self.notes[..to].iter().filter(move |note| note.end() > range.start)
    }

    /// When the sustain pedal is down on a MIDI channel: the spans of all its parts, joined where
    /// they overlap, ascending. An instrument knows channels only, so a pedal written in
    /// one track holds the notes of every track of its channel.
    pub fn pedal_of_channel(&self, channel: u8) -> Vec<Range<Tick>> {
        let of_channel = self.pedal.iter().filter(|span| {
            self.parts.get(usize::from(span.part)).is_some_and(|part| part.channel == channel)
        });
        joined_spans(of_channel)
    }

    /// The parts that have notes, by index, in order.
    pub fn sounding_parts(&self) -> Vec<u8> {
        let mut parts: Vec<u8> = self.notes.iter().map(|note| note.part).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    /// Where the last note ends (drums and pedal included).
    pub fn end(&self) -> Tick {
        let notes = self.notes.iter().chain(&self.drums).map(Note::end);
        let pedal = self.pedal.iter().map(|span| span.end);
        notes.chain(pedal).max().unwrap_or_default()
    }

    /// Seconds from the start to the end of the last note.
    pub fn duration_secs(&self) -> f64 {
        self.tempo_map.secs_from_tick(self.end())
    }

    /// The meter in force at a tick.
    pub fn meter_at(&self, tick: Tick) -> Meter {
        let idx = self.meters.partition_point(|change| change.tick <= tick);
        idx.checked_sub(1).map_or(Meter::COMMON, |idx| self.meters[idx].meter)
    }

    /// Where the bars are.
    pub fn bar_grid(&self) -> BarGrid {
        BarGrid::new(self.tempo_map.ticks_per_quarter(), &self.meters)
    }

    /// Bar, beat and tick of a position, counted through every change of meter. A change in the
    /// middle of a bar cuts that bar short.
    pub fn bar_beat_from_tick(&self, tick: Tick) -> BarBeat {
        let ticks_per_quarter = self.tempo_map.ticks_per_quarter();
        let (mut bar, mut start, mut meter) = (1, Tick::ZERO, Meter::COMMON);
        for change in self.meters.iter().take_while(|change| change.tick <= tick) {
            let passed = change.tick.saturating_sub(start).0;
            let n_bars = passed.div_ceil(meter.ticks_per_bar(ticks_per_quarter));
            bar = n_bars.saturating_add(bar);
            (start, meter) = (change.tick, change.meter);
        }
        let into = tick.saturating_sub(start).0;
        let (per_bar, per_beat) =
            (meter.ticks_per_bar(ticks_per_quarter), meter.ticks_per_beat(ticks_per_quarter));
        BarBeat {
            bar: (into / per_bar).saturating_add(bar),
            beat: into % per_bar / per_beat + 1,
            tick: into % per_bar % per_beat,
        }
    }
}

/// Spans of the pedal in any order, joined where they overlap, ascending.
pub(crate) fn joined_spans<'a>(spans: impl Iterator<Item = &'a PedalSpan>) -> Vec<Range<Tick>> {
    let mut spans: Vec<Range<Tick>> = spans.map(|span| span.start..span.end).collect();
    spans.sort_by_key(|span| span.start);
    let mut joined: Vec<Range<Tick>> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            // Those that only touch stay apart: the dampers fall between them.
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// By start, then pitch, then the rest of a note, so that equal sets are equal lists.
fn sorted(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(order);
    notes
}

/// By start, pitch, length, velocity, part: the order of [`Score::notes`], as one number, which
/// is compared several times faster than five.
pub(crate) fn order(note: &Note) -> u128 {
    shape(note) << 16 | u128::from(note.velocity.number()) << 8 | u128::from(note.part)
}

/// The first three of [`order`]: where a note lies in the roll.
pub(crate) fn shape(note: &Note) -> u128 {
    u128::from(note.start.0) << 40
        | u128::from(note.pitch.number()) << 32
        | u128::from(note.length.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start: u32, length: u32, pitch: u8) -> Note {
        Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        }
    }

    #[test]
    fn notes_are_found_by_when_they_start_and_by_when_they_sound() {
        let notes = vec![note(480, 10, 62), note(0, 1000, 60), note(480, 10, 61)];
        let score = Score::piano(TempoMap::default(), notes);
        let pitches = |notes: Vec<&Note>| -> Vec<u8> {
            notes.iter().map(|note| note.pitch.number()).collect()
        };
        let starting = score.notes_starting_in(Tick(1)..Tick(481));
        assert_eq!(pitches(starting.iter().collect()), [61, 62]);
        assert!(score.notes_starting_in(Tick(9)..Tick(3)).is_empty());
        let between = |from, to| pitches(score.notes_between(Tick(from)..Tick(to)).collect());
        assert_eq!(between(470, 481), [60, 61, 62]);
        assert_eq!(between(490, 500), [60]);
        assert_eq!(between(1000, 2000), [0u8; 0]);
    }

    #[test]
    fn the_pedal_of_one_part_holds_its_whole_channel() {
        let mut score = Score::piano(TempoMap::default(), Vec::new());
        score.parts.push(Part { channel: 0, ..Part::default() });
        score.parts.push(Part { channel: 5, ..Part::default() });
        let span = |start, end, part| PedalSpan { start: Tick(start), end: Tick(end), part };
        score.pedal = vec![span(0, 10, 1), span(5, 20, 0), span(20, 30, 0), span(1, 2, 2)];
        let of = |channel| -> Vec<(u32, u32)> {
            let spans = score.pedal_of_channel(channel);
            spans.iter().map(|span| (span.start.0, span.end.0)).collect()
        };
        assert_eq!(of(0), [(0, 20), (20, 30)]);
        assert_eq!(of(5), [(1, 2)]);
        assert_eq!(of(9), []);
    }

    #[test]
    fn a_muted_part_is_silent_and_a_solo_part_silences_the_others() {
        let mut score = Score::piano(TempoMap::default(), Vec::new());
        score.parts.extend([Part { channel: 1, ..Part::default() }, Part::default()]);
        let heard = |score: &Score| {
            [Track::Part(0), Track::Part(1), Track::Part(2), Track::Drums, Track::Part(3)]
                .map(|track| score.is_heard(track))
        };
        assert_eq!(heard(&score), [true, true, true, true, false]);
        score.parts[0].is_muted = true;
        assert_eq!(heard(&score), [false, true, true, true, false]);
        score.parts[0].is_solo = true;
        score.parts[2].is_solo = true;
        assert_eq!(heard(&score), [false, false, true, false, false]);
        score.drum_part.is_solo = true;
        assert!(score.is_heard(Track::Drums));
        let json = serde_json::to_string(&score).unwrap();
        assert_eq!(serde_json::from_str::<Score>(&json).unwrap(), score);
    }

    #[test]
    fn a_score_survives_json_and_an_older_one_without_extras_is_read() {
        let mut score = Score::piano(TempoMap::default(), vec![note(0, 1, 60)]);
        let message = crate::music::ExtraMessage::SysEx(vec![1, 2]);
        let home = crate::music::ExtraHome::Part(0);
        score.extras = Arc::new([Extra { tick: Tick(3), home, message }]);
        let json = serde_json::to_value(&score).unwrap();
        assert_eq!(serde_json::from_value::<Score>(json.clone()).unwrap(), score);
        let mut older = json;
        older.as_object_mut().unwrap().remove("extras");
        assert!(serde_json::from_value::<Score>(older).unwrap().extras.is_empty());
    }
}
