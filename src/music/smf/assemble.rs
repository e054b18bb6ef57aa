//! From the events of all tracks to one score.

use super::container::{Arrangement, Timing};
use super::events::{EventKind, LAST_TICK, Track};
use super::extras::Extras;
use super::problem::{ImportWarning, Warnings};
use super::sounding::Sounding;
use super::text;
use super::track_reader::TrackReader;
use crate::music::{
    ExtraHome, Meter, MeterChange, Note, Part, PedalSpan, Score, TempoChange, TempoMap, Tick,
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
    pub parts: Vec<PartDraft>,
    pub notes: Vec<Note>,
    pub drums: Vec<Note>,
    pub pedal: Vec<PedalSpan>,
    pub extras: Extras,
    /// Tracks of percussion so far.
    n_drum_tracks: u8,
    /// Tracks so far that sound nothing, the first track of the file apart.
    n_silent_tracks: u8,
    /// Program changes in tracks that have no note on their channel: tick, channel, program.
    pub loose_programs: Vec<(u32, u8, u8)>,
    pub counts: Counts,
}

pub(super) struct PartDraft {
    pub part: Part,
    pub has_own_program: bool,
    /// When its first note starts, if it has one.
    pub first_note: Option<u32>,
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
    pub n_never_let_go: usize,
    n_parts_left_over: usize,
}

/// Reads all tracks.
pub(super) fn assemble(
    tracks: &[Track<'_>],
    arrangement: Arrangement,
    timing: Timing,
    extras: Extras,
) -> Assembler {
    let mut assembler = Assembler::new(timing, extras);
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
    assembler
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
    fn new(timing: Timing, extras: Extras) -> Self {
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
            extras,
            n_drum_tracks: 0,
            n_silent_tracks: 0,
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
        let (voices, has_drums) = (track.voices.list(), track.voices.has_drums());
        let is_silent = voices.is_empty() && !has_drums;
        let names_piece = role == Role::Only || role == Role::First && is_silent;
        // Else the name is a text like any other.
        let is_named = names_piece || !voices.is_empty();
        let (mut name, mut instrument) = (None, None);
        let stray = match role {
            Role::Other if is_silent => self.next_silent_track(),
            _ => ExtraHome::Conductor,
        };
        let n_extras = self.extras.n_seen();
        let mut reader = TrackReader::new(self, &voices, has_drums, offset, stray);
        for event in &track.events {
            match event.kind {
                EventKind::Meta { number: 0x03, data } if is_named && name.is_none() => {
                    name = Some(text::decode(data));
                }
                EventKind::Meta { number: 0x04, data }
                    if role == Role::Only && instrument.is_none() =>
                {
                    instrument = Some(text::decode(data));
                }
                _ => reader.event(event),
            }
        }
        reader.finish(offset.saturating_add(track.end).min(LAST_TICK), end);
        let parts: Vec<u8> = reader.parts.iter().flatten().copied().collect();
        if matches!(stray, ExtraHome::Silent(_)) && self.extras.n_seen() == n_extras {
            // An empty name stands for a track of which nothing else is kept.
            self.extras.push(offset, stray, EventKind::Meta { number: 0x03, data: &[] });
        }
        let part_name = if role == Role::Only { instrument } else { name.clone() };
        if names_piece {
            self.title = name.unwrap_or_default();
        }
        for part in parts {
            let draft = &mut self.parts[usize::from(part)];
            if draft.part.name.is_empty() {
                draft.part.name = part_name.clone().unwrap_or_default();
            }
        }
    }

    /// Where a track that sounds nothing is kept: by itself, as long as they can be numbered.
    fn next_silent_track(&mut self) -> ExtraHome {
        let number = self.n_silent_tracks;
        match number.checked_add(1) {
            Some(next) => {
                self.n_silent_tracks = next;
                ExtraHome::Silent(number)
            }
            None => ExtraHome::Conductor,
        }
    }

    /// The number of the next track of percussion, or of the last one when there are too many.
    pub fn next_drum_track(&mut self) -> u8 {
        let number = self.n_drum_tracks;
        self.n_drum_tracks = number.saturating_add(1);
        number
    }

    /// A new part for a channel, or the last one when there are too many.
    pub fn part_for(&mut self, channel: u8) -> u8 {
        if self.parts.len() == MAX_PARTS {
            self.counts.n_parts_left_over += 1;
            return (MAX_PARTS - 1) as u8;
        }
        let part = Part { channel, ..Part::default() };
        self.parts.push(PartDraft { part, has_own_program: false, first_note: None });
        (self.parts.len() - 1) as u8
    }

    pub fn tempo(&mut self, tick: u32, data: &[u8]) {
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

    pub fn meter(&mut self, tick: u32, data: &[u8]) {
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

    /// What of it sounds, in no order.
    pub fn into_sounding(self, warnings: Vec<ImportWarning>) -> Sounding {
        Sounding {
            tempo_map: TempoMap::new(self.timing.ticks_per_quarter(), self.tempos),
            meters: self.meters,
            channels: self.parts.iter().map(|draft| draft.part.channel).collect(),
            notes: self.notes,
            pedal: self.pedal,
            drums: self.drums,
            warnings,
        }
    }

    /// All of it.
    pub fn into_score(mut self) -> Score {
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
        score.extras = self.extras.finish(&score.pedal, score.parts.len());
        score.set_drums(self.drums);
        score
    }

    /// Says what was mended.
    pub fn report(&self, warnings: &mut Warnings) {
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
                .rfind(|(tick, channel, _)| *channel == part.channel && *tick <= latest);
            part.program = found.map_or(0, |(.., program)| *program);
        }
        part
    }
}
