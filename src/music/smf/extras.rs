//! Gathers what is kept of a file without being used, within bounds.

use std::sync::Arc;

use super::events::EventKind;
use super::pedal_values;
use super::voices::EMPTY_PART;
use crate::music::{Extra, ExtraHome, ExtraMessage, PedalSpan, Tick};

/// More than any piece that isn't a data dump.
const MAX_EVENTS: usize = 100_000;
const MAX_BYTES: usize = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Extras {
    list: Vec<Extra>,
    n_bytes: usize,
    n_left_out: usize,
}

impl Extras {
    pub fn push(&mut self, tick: u32, home: ExtraHome, kind: EventKind<'_>) {
        let (message, n_bytes) = match kind {
            EventKind::Channel { status, data } => (ExtraMessage::Channel { status, data }, 0),
            EventKind::Meta { number, data } => {
                if is_worthless(number, data) {
                    return;
                }
                (ExtraMessage::Meta { number, data: data.to_vec() }, data.len())
            }
            EventKind::SysEx(data) => (ExtraMessage::SysEx(data.to_vec()), data.len()),
            EventKind::Escape(data) => (ExtraMessage::Escape(data.to_vec()), data.len()),
        };
        if self.list.len() == MAX_EVENTS || self.n_bytes + n_bytes > MAX_BYTES {
            self.n_left_out += 1;
            return;
        }
        self.n_bytes += n_bytes;
        self.list.push(Extra { tick: Tick(tick), home, message });
    }

    /// Events that came, kept or not.
    pub fn n_seen(&self) -> usize {
        self.list.len() + self.n_left_out
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
