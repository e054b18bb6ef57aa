//! The inside of a track: its events in order, each with its tick.
//!
//! midly reads first and strictly, event by event. Where it finds fault, the [`Walker`](super::walker)
//! goes on from the same byte with what midly refuses and players accept. What even that can't
//! understand ends the track, and everything before it is kept.

use midly::{EventIter, MidiMessage, TrackEventKind};

use super::problem::{ImportWarning, Warnings};
use super::walker;

/// The last tick that an imported event can have. Half of what a [`Tick`](crate::music::Tick)
/// can count, so that adding two of them doesn't overflow.
pub(super) const LAST_TICK: u32 = u32::MAX / 2;

/// The meta event that ends a track.
pub(super) const END_OF_TRACK: u8 = 0x2f;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Event<'a> {
    /// From the start of the track.
    pub tick: u32,
    pub kind: EventKind<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EventKind<'a> {
    /// Status 0x80–0xEF with one or two data bytes (the second is 0 where there is one).
    Channel { status: u8, data: [u8; 2] },
    /// 0x00–0x7F and its data.
    Meta { number: u8, data: &'a [u8] },
    /// System exclusive, without the leading 0xF0.
    SysEx(&'a [u8]),
    /// Raw bytes for the wire, after 0xF7.
    Escape(&'a [u8]),
}

impl EventKind<'_> {
    pub fn is_channel(&self) -> bool {
        matches!(self, Self::Channel { .. })
    }

    pub fn is_note_on(&self) -> bool {
        matches!(self, Self::Channel { status: 0x90..=0x9f, data: [_, 1..=127] })
    }
}

/// A track as read.
#[derive(Debug, Default)]
pub(super) struct Track<'a> {
    /// Ascending by tick, without the end of track.
    pub events: Vec<Event<'a>>,
    /// The tick of its end mark, or of its last event.
    pub end: u32,
    /// How far it could be understood: equal to its length unless it is damaged.
    pub n_bytes_read: usize,
    /// Whether a time in it was too late to count.
    pub time_overflowed: bool,
}

impl<'a> Track<'a> {
    pub fn wait(&mut self, delta: u32) {
        self.end = self.end.saturating_add(delta);
        if self.end > LAST_TICK {
            self.end = LAST_TICK;
            self.time_overflowed = true;
        }
    }

    pub fn push(&mut self, kind: EventKind<'a>) {
        self.events.push(Event { tick: self.end, kind });
    }

    pub fn n_notes(&self) -> usize {
        self.events.iter().filter(|event| event.kind.is_note_on()).count()
    }
}

/// Reads a track. `number` counts from 1 and is for the warnings.
pub(super) fn read_track<'a>(bytes: &'a [u8], number: usize, warnings: &mut Warnings) -> Track<'a> {
    let mut track = Track::default();
    let mut running_status = None;
    let mut iter = EventIter::new(bytes).bytemapped();
    while let Some(Ok((raw, event))) = iter.next() {
        let kind = kind_from_midly(raw, event.kind);
        if matches!(kind, EventKind::Meta { number: 0x80.., .. }) {
            // midly lets these pass; the walker reports them.
            break;
        }
        track.n_bytes_read = bytes.len() - iter.unread().len();
        track.wait(event.delta.as_int());
        match kind {
            EventKind::Meta { number: END_OF_TRACK, data } => {
                report_end(&bytes[track.n_bytes_read..], data, number, warnings);
                track.n_bytes_read = bytes.len();
                return track;
            }
            EventKind::Channel { status, .. } => running_status = Some(status),
            _ => {}
        }
        track.push(kind);
    }
    walker::walk(bytes, track, running_status, number, warnings)
}

/// Says what is odd about the end of a track, given the bytes after its end mark.
pub(super) fn report_end(after: &[u8], data: &[u8], track: usize, warnings: &mut Warnings) {
    if !data.is_empty() {
        warnings.push(ImportWarning::EndWithData { track });
    }
    // Zeros after the end are padding that some programs write.
    if after.iter().any(|byte| *byte != 0) {
        warnings.push(ImportWarning::EventsAfterEnd { track });
    }
}

/// midly's events as few and plain kinds. `raw` is the event without its delta time.
fn kind_from_midly<'a>(raw: &'a [u8], kind: TrackEventKind<'a>) -> EventKind<'a> {
    match kind {
        TrackEventKind::Midi { channel, message } => {
            let (nibble, data) = match message {
                MidiMessage::NoteOff { key, vel } => (0x80, [key.as_int(), vel.as_int()]),
                MidiMessage::NoteOn { key, vel } => (0x90, [key.as_int(), vel.as_int()]),
                MidiMessage::Aftertouch { key, vel } => (0xa0, [key.as_int(), vel.as_int()]),
                MidiMessage::Controller { controller, value } => {
                    (0xb0, [controller.as_int(), value.as_int()])
                }
                MidiMessage::ProgramChange { program } => (0xc0, [program.as_int(), 0]),
                MidiMessage::ChannelAftertouch { vel } => (0xd0, [vel.as_int(), 0]),
                MidiMessage::PitchBend { bend } => {
                    let bend = bend.0.as_int();
                    (0xe0, [(bend & 0x7f) as u8, (bend >> 7) as u8])
                }
            };
            EventKind::Channel { status: nibble | channel.as_int(), data }
        }
        TrackEventKind::SysEx(data) => EventKind::SysEx(data),
        TrackEventKind::Escape(data) => EventKind::Escape(data),
        TrackEventKind::Meta(_) => {
            // From the bytes themselves, since midly keeps quiet about wrong lengths.
            let number = raw.get(1).copied().unwrap_or_default();
            let length = raw.iter().skip(2).position(|byte| *byte < 0x80);
            let data = length.and_then(|length| raw.get(length + 3..)).unwrap_or_default();
            EventKind::Meta { number, data }
        }
    }
}
