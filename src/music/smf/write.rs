//! Writing a score as a Standard MIDI File of format 1.

use std::collections::BTreeSet;

use midly::num::{u4, u7, u14, u15, u24, u28};
use midly::{
    Format, Header, MetaMessage, MidiMessage, PitchBend, Smf, Timing, TrackEvent, TrackEventKind,
};

use super::assemble::DRUM_CHANNEL;
use super::pedal_values;
use super::voices::EMPTY_PART;
use crate::music::{Extra, ExtraHome, ExtraMessage, Note, Part, PedalSpan, Score};

/// The bytes of a format 1 file that reads back as the same score: a conductor track with title,
/// tempo and meter, a track for each part, one for each track of percussion there was, and one for
/// each that sounded nothing and has only texts or controllers.
///
/// *Limitations*: notes of one pitch in one part that sound at once are told apart by "first
/// struck, first let go"; a note inside another of its pitch comes back as two that overlap.
/// Release velocities are not in a score, so they are not written, and half-pedal values only
/// where the pedal is as it was read.
pub fn write(score: &Score) -> Vec<u8> {
    let n_used = score.notes().iter().map(|note| usize::from(note.part) + 1).max().unwrap_or(0);
    let n_parts = score.parts.len().max(n_used);
    let unnamed = Part::default();
    let mut tracks = vec![conductor(score, n_parts)];
    for idx in 0..n_parts {
        tracks.push(part_track(score, idx, score.parts.get(idx).unwrap_or(&unnamed)));
    }
    tracks.extend(drum_tracks(score).into_iter().map(|number| drum_track(score, number)));
    tracks.extend(silent_tracks(score).into_iter().map(|home| silent_track(score, home)));
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter().get() as u16;
    let header = Header::new(Format::Parallel, Timing::Metrical(u15::from(ticks_per_quarter)));
    let smf = Smf { header, tracks: tracks.into_iter().map(Draft::finish).collect() };
    let mut bytes = Vec::new();
    smf.write(&mut bytes)
        .expect("at most 769 tracks, and no event or track as large as 2^28 bytes");
    bytes
}

/// The order of events at one tick.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Name,
    Setup,
    NoteOff,
    PedalUp,
    Extra,
    PedalDown,
    NoteOn,
}

/// A track before its events are in order.
#[derive(Default)]
struct Draft<'a> {
    events: Vec<(u32, Rank, TrackEventKind<'a>)>,
}

impl<'a> Draft<'a> {
    fn named(name: &'a str) -> Self {
        let mut draft = Self::default();
        // Even an empty one: the first name is the track's, whatever texts follow.
        let name = MetaMessage::TrackName(within_limit(name.as_bytes()));
        draft.push(0, Rank::Name, TrackEventKind::Meta(name));
        draft
    }

    fn push(&mut self, tick: u32, rank: Rank, kind: TrackEventKind<'a>) {
        self.events.push((tick, rank, kind));
    }

    fn message(&mut self, tick: u32, rank: Rank, channel: u8, message: MidiMessage) {
        self.push(tick, rank, TrackEventKind::Midi { channel: u4::from(channel), message });
    }

    fn notes<'n>(&mut self, channel: u8, notes: impl Iterator<Item = &'n Note>) {
        for note in notes {
            let key = u7::from(note.pitch.number());
            let vel = u7::from(note.velocity.number());
            let end = note.end().0.max(note.start.0.saturating_add(1));
            self.message(note.start.0, Rank::NoteOn, channel, MidiMessage::NoteOn { key, vel });
            let off = MidiMessage::NoteOff { key, vel: u7::from(64) };
            self.message(end, Rank::NoteOff, channel, off);
        }
    }

    /// The pedal of a part and what else was read with it: the pedal as it was read, or its
    /// spans where it was changed since.
    fn pedal(&mut self, score: &'a Score, part: u8, channel: u8) {
        let is_own = |extra: &Extra| extra.home == ExtraHome::Part(part);
        if pedal_values::are_kept(score, part) {
            return self.extras(score, channel, is_own);
        }
        let is_span = |span: &&PedalSpan| span.part == part && span.start < span.end;
        let spans: Vec<&PedalSpan> = score.pedal.iter().filter(is_span).collect();
        for span in &spans {
            let (down, up) = (pedal_values::message(127), pedal_values::message(0));
            self.message(span.start.0, Rank::PedalDown, channel, down);
            self.message(span.end.0, Rank::PedalUp, channel, up);
        }
        let is_held_through = pedal_values::held_through(&spans);
        let is_other = |extra: &&Extra| is_own(extra) && !pedal_values::is_pedal(extra);
        for extra in score.extras.iter().filter(is_other) {
            if pedal_values::is_reset(extra) && is_held_through(extra.tick) {
                // It would let up the pedal, which the user wants down there.
                for message in pedal_values::reset_of_the_others() {
                    self.message(extra.tick.0, Rank::Extra, channel, message);
                }
            } else {
                self.extra(extra, channel);
            }
        }
    }

    /// What was read without being used, for one track. `channel` is the part's own.
    fn extras(&mut self, score: &'a Score, channel: u8, belongs: impl Fn(&Extra) -> bool) {
        for extra in score.extras.iter().filter(|extra| belongs(extra)) {
            self.extra(extra, channel);
        }
    }

    fn extra(&mut self, extra: &'a Extra, channel: u8) {
        let kind = match &extra.message {
            ExtraMessage::Channel { status, data } => {
                let is_of_part = matches!(extra.home, ExtraHome::Part(_));
                let own = if is_of_part { channel } else { status & 0x0f };
                let Some(message) = channel_message(*status, *data) else { return };
                TrackEventKind::Midi { channel: u4::from(own), message }
            }
            ExtraMessage::Meta { number: 0x2f | 0x51 | 0x58 | 0x80.., .. } => return,
            ExtraMessage::Meta { number, data } => {
                TrackEventKind::Meta(MetaMessage::Unknown(*number, within_limit(data)))
            }
            ExtraMessage::SysEx(data) => TrackEventKind::SysEx(within_limit(data)),
            ExtraMessage::Escape(data) => TrackEventKind::Escape(within_limit(data)),
        };
        self.push(extra.tick.0, Rank::Extra, kind);
    }

    /// Puts the events in order and turns ticks into delta times.
    fn finish(mut self) -> Vec<TrackEvent<'a>> {
        self.events.sort_by_key(|(tick, rank, _)| (*tick, *rank));
        let mut events = Vec::with_capacity(self.events.len() + 1);
        let mut now = 0;
        for (tick, _, kind) in self.events {
            let mut delta = tick - now;
            // A delta time has 28 bits; an empty text carries a longer silence on.
            while delta > u28::max_value().as_int() {
                delta -= u28::max_value().as_int();
                let filler = TrackEventKind::Meta(MetaMessage::Text(&[]));
                events.push(TrackEvent { delta: u28::max_value(), kind: filler });
            }
            events.push(TrackEvent { delta: u28::from(delta), kind });
            now = tick;
        }
        let end = TrackEventKind::Meta(MetaMessage::EndOfTrack);
        events.push(TrackEvent { delta: u28::from(0), kind: end });
        events
    }
}

/// Title, tempo, meter, and what belongs to no part.
fn conductor(score: &Score, n_parts: usize) -> Draft<'_> {
    let mut draft = Draft::named(&score.title);
    for change in score.tempo_map.changes() {
        let tempo = MetaMessage::Tempo(u24::from(change.micros_per_quarter));
        draft.push(change.tick.0, Rank::Setup, TrackEventKind::Meta(tempo));
    }
    for change in &score.meters {
        // 24 MIDI clocks a quarter note, eight 32nds a quarter, as nearly every file has it.
        let meter = change.meter;
        let clocks = (96u32 >> meter.denominator_power.min(6)).max(1) as u8;
        let signature =
            MetaMessage::TimeSignature(meter.numerator, meter.denominator_power, clocks, 8);
        draft.push(change.tick.0, Rank::Setup, TrackEventKind::Meta(signature));
    }
    draft.extras(score, 0, |extra| match extra.home {
        ExtraHome::Conductor => true,
        // Its part is gone.
        ExtraHome::Part(part) => usize::from(part) >= n_parts,
        ExtraHome::Drums | ExtraHome::FurtherDrums(_) | ExtraHome::Silent(_) => false,
    });
    draft
}

fn part_track<'a>(score: &'a Score, idx: usize, part: &'a Part) -> Draft<'a> {
    // Percussion never stands among the parts; a stray one must not become drums.
    let channel = match part.channel {
        DRUM_CHANNEL | 16.. => 0,
        channel => channel,
    };
    let is_own = |part: u8| usize::from(part) == idx;
    let mut draft = Draft::named(&part.name);
    let program = MidiMessage::ProgramChange { program: u7::from(part.program & 0x7f) };
    draft.message(0, Rank::Setup, channel, program);
    draft.notes(channel, score.notes().iter().filter(|note| is_own(note.part)));
    draft.pedal(score, idx as u8, channel);
    let is_silent = !score.notes().iter().any(|note| is_own(note.part))
        && !score.pedal.iter().any(|span| is_own(span.part) && span.start < span.end);
    if is_silent {
        let mark = MetaMessage::SequencerSpecific(EMPTY_PART);
        draft.push(0, Rank::Setup, TrackEventKind::Meta(mark));
    }
    draft
}

/// The numbers of the tracks of percussion.
fn drum_tracks(score: &Score) -> BTreeSet<u8> {
    let of_notes = score.drums.iter().map(|note| note.part);
    let of_extras = score.extras.iter().filter_map(|extra| match extra.home {
        ExtraHome::Drums => Some(0),
        ExtraHome::FurtherDrums(number) => Some(number),
        _ => None,
    });
    of_notes.chain(of_extras).collect()
}

fn drum_track(score: &Score, number: u8) -> Draft<'_> {
    let mut draft = Draft::default();
    draft.notes(DRUM_CHANNEL, score.drums.iter().filter(|note| note.part == number));
    draft.extras(score, DRUM_CHANNEL, |extra| extra.home == ExtraHome::of_drums(number));
    draft
}

/// The tracks that sound nothing, in order.
fn silent_tracks(score: &Score) -> BTreeSet<ExtraHome> {
    let homes = score.extras.iter().map(|extra| extra.home);
    homes.filter(|home| matches!(home, ExtraHome::Silent(_))).collect()
}

fn silent_track(score: &Score, its: ExtraHome) -> Draft<'_> {
    let mut draft = Draft::default();
    draft.extras(score, 0, |extra| extra.home == its);
    draft
}

/// The message of a status byte and its data; `None` for notes, which extras never are.
fn channel_message(status: u8, data: [u8; 2]) -> Option<MidiMessage> {
    let [first, second] = data.map(|byte| u7::from(byte & 0x7f));
    Some(match status & 0xf0 {
        0xa0 => MidiMessage::Aftertouch { key: first, vel: second },
        0xb0 => MidiMessage::Controller { controller: first, value: second },
        0xc0 => MidiMessage::ProgramChange { program: first },
        0xd0 => MidiMessage::ChannelAftertouch { vel: first },
        0xe0 => {
            let bend = u16::from(second.as_int()) << 7 | u16::from(first.as_int());
            MidiMessage::PitchBend { bend: PitchBend(u14::from(bend)) }
        }
        _ => return None,
    })
}

/// A length in a MIDI file has 28 bits; nobody's text has as many bytes.
fn within_limit(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(1 << 24)]
}
