//! From the events of all tracks to one score.

use super::container::{Arrangement, Timing};
use super::events::{Event, EventKind, LAST_TICK, Track};
use super::extras::Extras;
use super::pairing::Keyboard;
use super::problem::{ImportWarning, Warnings};
use super::text;
use super::voices::Voices;
use crate::music::{
    ExtraHome, Meter, MeterChange, Note, Part, PedalSpan, Pitch, Score, TempoChange, TempoMap,
    Tick, Velocity,
};

/// The channel that General MIDI keeps for percussion: 10 as musicians count.
pub(super) const DRUM_CHANNEL: u8 = 9;

/// Parts are numbered with one byte.
pub(super) const MAX_PARTS: usize = u8::MAX as usize;

/// Faster than any music; slower ones are what they are. 10,000 microseconds a quarter.
const FASTEST_TEMPO: u32 = 6_000;

/// What the score is made of, growing track by track.
pub(super) struct Assembler {
    timing: Timing,
    title: String,
    tempos: Vec<TempoChange>,
    meters: Vec<MeterChange>,
    parts: Vec<PartDraft>,
    notes: Vec<Note>,
    drums: Vec<Note>,
    pedal: Vec<PedalSpan>,
    extras: Extras,
    /// Program changes in tracks that have no note on their channel: tick, channel, program.
    loose_programs: Vec<(u32, u8, u8)>,
    counts: Counts,
}

struct PartDraft {
    part: Part,
    has_own_program: bool,
    /// When its first note starts, if it has one.
    first_note: Option<u32>,
}

/// How often something was seen.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub n_note_ons: usize,
    pub n_drum_note_ons: usize,
    n_tempo_zero: usize,
    n_tempo_too_fast: usize,
    n_meta_length: usize,
    n_meter: usize,
    n_never_let_go: usize,
    n_parts_left_over: usize,
}

/// Assembles all tracks.
pub(super) fn assemble(
    tracks: &[Track<'_>],
    arrangement: Arrangement,
    timing: Timing,
    warnings: &mut Warnings,
) -> (Score, Counts) {
    let mut assembler = Assembler::new(timing);
    let last_end = tracks.iter().map(|track| track.end).max().unwrap_or_default();
    let mut offset = 0u32;
    for (idx, track) in tracks.iter().enumerate() {
        let role = if tracks.len() == 1 {
            Role::Only
        } else if idx == 0 {
            Role::First
        } else {
            Role::Other
        };
        match arrangement {
            Arrangement::Together => assembler.add_track(track, role, 0, last_end),
            Arrangement::OneAfterTheOther => {
                if idx > 0 {
                    assembler.reset_time(offset);
                }
                let end = offset.saturating_add(track.end).min(LAST_TICK);
                assembler.add_track(track, role, offset, end);
                offset = end;
            }
        }
    }
    assembler.finish(warnings)
}

/// What the first name in a track names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The piece; its part is named by the instrument name.
    Only,
    /// The piece, unless the track has notes.
    First,
    /// The part.
    Other,
}

impl Assembler {
    fn new(timing: Timing) -> Self {
        let start = TempoChange { tick: Tick::ZERO, micros_per_quarter: timing.initial_micros() };
        Self {
            timing,
            title: String::new(),
            tempos: vec![start],
            meters: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
            drums: Vec::new(),
            pedal: Vec::new(),
            extras: Extras::default(),
            loose_programs: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// A sequence of a format 2 file knows nothing of the one before it.
    fn reset_time(&mut self, offset: u32) {
        let tick = Tick(offset);
        let micros_per_quarter = self.timing.initial_micros();
        self.tempos.push(TempoChange { tick, micros_per_quarter });
        self.meters.push(MeterChange { tick, meter: Meter::COMMON });
    }

    /// Adds a track that begins at `offset`; what is never ended in it ends at `end`, what has
    /// to end with the sequence (the pedal) too.
    fn add_track(&mut self, track: &Track<'_>, role: Role, offset: u32, end: u32) {
        let voices = Voices::of(track);
        let names_piece = role == Role::Only || role == Role::First && voices.is_empty();
        let mut names = Names::default();
        let mut reader = TrackReader::new(self, &voices, offset);
        let track_end = offset.saturating_add(track.end).min(LAST_TICK);
        for event in &track.events {
            let is_name = match event.kind {
                EventKind::Meta { number: 0x03, data } => names.track.take_first(data),
                EventKind::Meta { number: 0x04, data } if role == Role::Only => {
                    names.instrument.take_first(data)
                }
                _ => false,
            };
            if !is_name {
                reader.event(event);
            }
        }
        reader.finish(track_end, end);
        let parts: Vec<u8> = reader.parts.iter().flatten().copied().collect();
        let track_name = names.track.0.unwrap_or_default();
        let part_name = if role == Role::Only {
            names.instrument.0.unwrap_or_default()
        } else {
            track_name.clone()
        };
        if names_piece {
            self.title.clone_from(&track_name);
        } else if parts.is_empty() && !track_name.is_empty() {
            let home = if voices.has_drums { ExtraHome::Drums } else { ExtraHome::Conductor };
            let name = EventKind::Meta { number: 0x03, data: track_name.as_bytes() };
            self.extras.push(offset, home, name);
        }
        for part in parts {
            let draft = &mut self.parts[usize::from(part)];
            if draft.part.name.is_empty() {
                draft.part.name.clone_from(&part_name);
            }
        }
    }

    /// A new part for a channel, or the last one when there are too many.
    fn part_for(&mut self, channel: u8) -> u8 {
        if self.parts.len() == MAX_PARTS {
            self.counts.n_parts_left_over += 1;
            return (MAX_PARTS - 1) as u8;
        }
        let part = Part { channel, ..Part::default() };
        self.parts.push(PartDraft { part, has_own_program: false, first_note: None });
        (self.parts.len() - 1) as u8
    }

    fn tempo(&mut self, tick: u32, data: &[u8]) {
        let Timing::Musical(_) = self.timing else { return };
        let [high, middle, low] = *data else {
            self.counts.n_meta_length += 1;
            return;
        };
        let micros = u32::from_be_bytes([0, high, middle, low]);
        let micros_per_quarter = if micros == 0 {
            self.counts.n_tempo_zero += 1;
            TempoMap::DEFAULT_MICROS
        } else if micros < 60_000_000 / FASTEST_TEMPO {
            self.counts.n_tempo_too_fast += 1;
            60_000_000 / FASTEST_TEMPO
        } else {
            micros
        };
        self.tempos.push(TempoChange { tick: Tick(tick), micros_per_quarter });
    }

    fn meter(&mut self, tick: u32, data: &[u8]) {
        let [numerator, denominator_power, ..] = *data else {
            self.counts.n_meta_length += 1;
            return;
        };
        if data.len() != 4 {
            self.counts.n_meta_length += 1;
            return;
        }
        let meter = if numerator == 0 || denominator_power > Meter::MAX_DENOMINATOR_POWER {
            self.counts.n_meter += 1;
            Meter::COMMON
        } else {
            Meter { numerator, denominator_power }
        };
        self.meters.push(MeterChange { tick: Tick(tick), meter });
    }

    fn finish(mut self, warnings: &mut Warnings) -> (Score, Counts) {
        self.report(warnings);
        self.loose_programs.sort_by_key(|(tick, ..)| *tick);
        let parts = self.parts.iter().map(|draft| draft.finished(&self.loose_programs)).collect();
        self.meters.sort_by_key(|change| change.tick);
        // Of several at one tick the last counts.
        self.meters.reverse();
        self.meters.dedup_by_key(|change| change.tick);
        self.meters.reverse();
        self.pedal.sort_by_key(|span| (span.start, span.part, span.end));
        let tempo_map = TempoMap::new(self.timing.ticks_per_quarter(), self.tempos);
        let mut score = Score::piano(tempo_map, self.notes);
        score.title = self.title;
        score.meters = self.meters;
        score.parts = parts;
        score.pedal = self.pedal;
        score.extras = self.extras.finish();
        score.set_drums(self.drums);
        (score, self.counts)
    }

    fn report(&self, warnings: &mut Warnings) {
        let counts = &self.counts;
        warnings
            .push_counted(counts.n_tempo_zero, |n_events| ImportWarning::TempoZero { n_events });
        warnings.push_counted(counts.n_tempo_too_fast, |n_events| ImportWarning::TempoTooFast {
            n_events,
            limit: FASTEST_TEMPO,
        });
        warnings
            .push_counted(counts.n_meta_length, |n_events| ImportWarning::MetaLength { n_events });
        warnings.push_counted(counts.n_meter, |n_events| ImportWarning::Meter { n_events });
        warnings
            .push_counted(counts.n_never_let_go, |n_notes| ImportWarning::NeverLetGo { n_notes });
        let outside = self.notes.iter().filter(|note| !note.pitch.is_on_piano()).count();
        warnings.push_counted(outside, |n_notes| ImportWarning::OutsidePiano { n_notes });
        warnings.push_counted(counts.n_parts_left_over, |_| ImportWarning::TooManyParts {
            limit: MAX_PARTS,
        });
        warnings.push_counted(self.extras.n_left_out(), |n_events| ImportWarning::TooManyExtras {
            n_events,
        });
        if self.notes.is_empty() && !self.drums.is_empty() {
            warnings.push(ImportWarning::OnlyDrums);
        }
    }
}

impl PartDraft {
    /// The part, with the program that another track set on its channel if its own sets none.
    fn finished(&self, loose_programs: &[(u32, u8, u8)]) -> Part {
        let mut part = self.part.clone();
        if !self.has_own_program {
            let latest = self.first_note.unwrap_or(u32::MAX);
            let found = loose_programs
                .iter()
                .find(|(tick, channel, _)| *channel == part.channel && *tick <= latest);
            part.program = found.map_or(0, |(.., program)| *program);
        }
        part
    }
}

/// The first names of a track.
#[derive(Default)]
struct Names {
    track: FirstName,
    instrument: FirstName,
}

#[derive(Default)]
struct FirstName(Option<String>);

impl FirstName {
    /// Whether this was the first one.
    fn take_first(&mut self, data: &[u8]) -> bool {
        if self.0.is_some() {
            return false;
        }
        self.0 = Some(text::decode(data));
        true
    }
}

/// Reads the events of one track into the assembler.
struct TrackReader<'a> {
    assembler: &'a mut Assembler,
    offset: u32,
    /// Where events of no channel belong.
    home: ExtraHome,
    /// By channel: the part it plays, if it plays one.
    parts: [Option<u8>; 16],
    keyboards: [Option<Box<Keyboard>>; 16],
    pedal_down: [Option<u32>; 16],
    has_drums: bool,
}

impl<'a> TrackReader<'a> {
    fn new(assembler: &'a mut Assembler, voices: &Voices, offset: u32) -> Self {
        let mut parts = [None; 16];
        for voice in &voices.list {
            let part = assembler.part_for(voice.channel);
            parts[usize::from(voice.channel)] = Some(part);
            let draft = &mut assembler.parts[usize::from(part)];
            let first_note = voice.first_note.map(|tick| tick.saturating_add(offset));
            draft.first_note = draft.first_note.or(first_note);
        }
        let first = voices.list.first().and_then(|voice| parts[usize::from(voice.channel)]);
        let home = match first {
            Some(part) => ExtraHome::Part(part),
            None if voices.has_drums => ExtraHome::Drums,
            None => ExtraHome::Conductor,
        };
        Self {
            assembler,
            offset,
            home,
            parts,
            keyboards: Default::default(),
            pedal_down: [None; 16],
            has_drums: voices.has_drums,
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        let tick = self.offset.saturating_add(event.tick).min(LAST_TICK);
        match event.kind {
            EventKind::Channel { status, data } => self.channel_event(tick, status, data),
            EventKind::Meta { number: 0x51, data } => self.assembler.tempo(tick, data),
            EventKind::Meta { number: 0x58, data } => self.assembler.meter(tick, data),
            EventKind::Meta { .. } | EventKind::SysEx(_) | EventKind::Escape(_) => {
                self.assembler.extras.push(tick, self.home, event.kind);
            }
        }
    }

    fn channel_event(&mut self, tick: u32, status: u8, data: [u8; 2]) {
        let channel = status & 0x0f;
        match (status & 0xf0, data) {
            (0x80, [key, _]) | (0x90, [key, 0]) => self.release(tick, channel, key),
            (0x90, [key, velocity]) => self.press(tick, channel, key, velocity),
            (0xb0, [120 | 123, _]) => self.release_all(tick, channel),
            (0xb0, [64, value]) if self.part(channel).is_some() => {
                self.pedal(tick, channel, value >= 64);
            }
            (0xc0, [program, _]) if self.takes_program(tick, channel) => {
                if let Some(part) = self.part(channel) {
                    let draft = &mut self.assembler.parts[usize::from(part)];
                    draft.part.program = program;
                    draft.has_own_program = true;
                }
            }
            _ => self.keep(tick, status, data),
        }
    }

    fn part(&self, channel: u8) -> Option<u8> {
        self.parts[usize::from(channel)]
    }

    /// Whether a program change is the one a part begins with.
    fn takes_program(&self, tick: u32, channel: u8) -> bool {
        self.part(channel).is_some_and(|part| {
            let draft = &self.assembler.parts[usize::from(part)];
            !draft.has_own_program && draft.first_note.is_none_or(|first| tick <= first)
        })
    }

    fn keep(&mut self, tick: u32, status: u8, data: [u8; 2]) {
        let channel = status & 0x0f;
        let home = match self.part(channel) {
            Some(part) => ExtraHome::Part(part),
            None if channel == DRUM_CHANNEL && self.has_drums => ExtraHome::Drums,
            None => ExtraHome::Conductor,
        };
        if status & 0xf0 == 0xc0 && home == ExtraHome::Conductor {
            self.assembler.loose_programs.push((tick, channel, data[0]));
        }
        // "All notes off" has done its work: it is in the lengths of the notes.
        self.assembler.extras.push(tick, home, EventKind::Channel { status, data });
        if status & 0xf0 == 0xb0 && data[0] == 121 {
            // "Reset all controllers" lets the pedal up.
            self.pedal(tick, channel, false);
        }
    }

    /// The keyboard of a channel and the list its notes go to.
    fn keyboard(&mut self, channel: u8) -> Option<(&mut Keyboard, &mut Vec<Note>)> {
        let notes = if channel == DRUM_CHANNEL {
            &mut self.assembler.drums
        } else {
            &mut self.assembler.notes
        };
        let part = self.parts[usize::from(channel)].unwrap_or_default();
        let keyboard = self.keyboards[usize::from(channel)]
            .get_or_insert_with(|| Box::new(Keyboard::new(part)));
        Some((keyboard, notes))
    }

    fn press(&mut self, tick: u32, channel: u8, key: u8, velocity: u8) {
        let (Some(pitch), Some(velocity)) = (Pitch::new(key), Velocity::new(velocity)) else {
            return;
        };
        self.assembler.counts.n_note_ons += 1;
        if channel == DRUM_CHANNEL {
            self.assembler.counts.n_drum_note_ons += 1;
        }
        if let Some((keyboard, notes)) = self.keyboard(channel) {
            keyboard.press(tick, pitch, velocity, notes);
        }
    }

    fn release(&mut self, tick: u32, channel: u8, key: u8) {
        if let (Some(pitch), Some((keyboard, notes))) = (Pitch::new(key), self.keyboard(channel)) {
            keyboard.release(tick, pitch, notes);
        }
    }

    fn release_all(&mut self, tick: u32, channel: u8) {
        if let Some((keyboard, notes)) = self.keyboard(channel) {
            keyboard.release_all(tick, notes);
        }
    }

    fn pedal(&mut self, tick: u32, channel: u8, is_down: bool) {
        let Some(part) = self.part(channel) else { return };
        let down = &mut self.pedal_down[usize::from(channel)];
        match (*down, is_down) {
            (None, true) => *down = Some(tick),
            (Some(start), false) => {
                *down = None;
                if start < tick {
                    let span = PedalSpan { start: Tick(start), end: Tick(tick), part };
                    self.assembler.pedal.push(span);
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn finish(&mut self, track_end: u32, sequence_end: u32) {
        for channel in 0..16 {
            if let Some(mut keyboard) = self.keyboards[usize::from(channel)].take() {
                let notes = if channel == DRUM_CHANNEL {
                    &mut self.assembler.drums
                } else {
                    &mut self.assembler.notes
                };
                keyboard.finish(track_end, notes);
                self.assembler.counts.n_never_let_go += keyboard.n_never_let_go;
            }
            self.pedal(sequence_end, channel, false);
        }
    }
}
