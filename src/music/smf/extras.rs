//! Gathers what is kept of a file without being used, within bounds.

use std::sync::Arc;

use super::events::EventKind;
use super::pedal_values;
use super::voices::EMPTY_PART;
use crate::music::{Extra, ExtraHome, ExtraMessage, PedalSpan, Tick};

/// More than any piece that isn't a data dump.
const MAX_EVENTS: usize = 100_000;
const MAX_BYTES: usize = 4 << 20;

/// Whether [`Extras`] are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    Everything,
    /// They are only counted.
    Nothing,
}

#[derive(Debug)]
pub(super) struct Extras {
    keep: Keep,
    list: Vec<Extra>,
    /// Those in `list`, and those that would be if they were kept.
    n_within: usize,
    n_bytes: usize,
    n_left_out: usize,
}

impl Extras {
    pub fn new(keep: Keep) -> Self {
        Self { keep, list: Vec::new(), n_within: 0, n_bytes: 0, n_left_out: 0 }
    }

    #[inline]
    pub fn push(&mut self, tick: u32, home: ExtraHome, kind: EventKind<'_>) {
        let n_bytes = match kind {
            EventKind::Channel { .. } => 0,
            EventKind::Meta { number, data } if is_worthless(number, data) => return,
            EventKind::Meta { data, .. } | EventKind::SysEx(data) | EventKind::Escape(data) => {
                data.len()
            }
        };
        if self.n_within == MAX_EVENTS || self.n_bytes + n_bytes > MAX_BYTES {
            self.n_left_out += 1;
            return;
        }
        self.n_within += 1;
        self.n_bytes += n_bytes;
        if self.keep == Keep::Everything {
            self.list.push(Extra { tick: Tick(tick), home, message: message(kind) });
        }
    }

    /// Events that came, kept or not.
    pub fn n_seen(&self) -> usize {
        self.n_within + self.n_left_out
    }

    pub fn n_left_out(&self) -> usize {
        self.n_left_out
    }

    /// By tick, then by track, else as they came. Values of the pedal stay only where they say
    /// more than its spans.
    pub fn finish(mut self, pedal: &[PedalSpan], n_parts: usize) -> Arc<[Extra]> {
        self.list.sort_by_key(|extra| (extra.tick, extra.home));
        pedal_values::forget_plain(&mut self.list, pedal, n_parts);
        self.list.into()
    }
}

fn message(kind: EventKind<'_>) -> ExtraMessage {
    match kind {
        EventKind::Channel { status, data } => ExtraMessage::Channel { status, data },
        EventKind::Meta { number, data } => ExtraMessage::Meta { number, data: data.to_vec() },
        EventKind::SysEx(data) => ExtraMessage::SysEx(data.to_vec()),
        EventKind::Escape(data) => ExtraMessage::Escape(data.to_vec()),
    }
}

/// Sequence numbers, channel and port prefixes mean nothing once tracks are parts; empty texts
/// are what [`write`](super::write) fills long silences with; our own mark is written anew.
fn is_worthless(number: u8, data: &[u8]) -> bool {
    match number {
        0x00 | 0x20 | 0x21 => true,
        0x01 => data.is_empty(),
        0x7f => data == EMPTY_PART,
        _ => false,
    }
}
