//! The inside of a track: its events in order, each with its tick. The [`walker`](super::walker)
//! reads them.

use super::problem::{ImportWarning, Warnings};
use super::voices::Voices;

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
    pub fn is_note_on(&self) -> bool {
        matches!(self, Self::Channel { status: 0x90..=0x9f, data: [_, 1..=127] })
    }
}

/// A track as read.
#[derive(Debug, Default)]
pub(super) struct Track<'a> {
    /// Ascending by tick, without the end of track.
    pub events: Vec<Event<'a>>,
    /// The channels that play in it.
    pub voices: Voices,
    /// The tick of its end mark, or of its last event.
    pub end: u32,
    /// How far it could be understood: equal to its length unless it is damaged.
    pub n_bytes_read: usize,
    /// Whether a time in it was too late to count.
    pub time_overflowed: bool,
}

impl<'a> Track<'a> {
    #[inline]
    pub fn wait(&mut self, delta: u32) {
        self.end = self.end.saturating_add(delta);
        if self.end > LAST_TICK {
            self.end = LAST_TICK;
            self.time_overflowed = true;
        }
    }

    #[inline]
    pub fn push(&mut self, kind: EventKind<'a>) {
        self.voices.hear(self.end, kind);
        self.events.push(Event { tick: self.end, kind });
    }

    pub fn n_notes(&self) -> usize {
        self.events.iter().filter(|event| event.kind.is_note_on()).count()
    }
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
