//! Which channels of a track are instruments.

use super::assemble::DRUM_CHANNEL;
use super::events::{EventKind, Track};

/// A channel with notes or with the sustain pedal: a [`Part`](crate::music::Part).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Voice {
    pub channel: u8,
    /// Tick of its first note; `None` when it only holds the pedal.
    pub first_note: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Voices {
    /// Those with notes by their first note, then those with a pedal only.
    pub list: Vec<Voice>,
    pub has_drums: bool,
}

/// Marks a track of ours as a part that has no notes, which nothing else could tell: a
/// sequencer-specific event with the manufacturer number for private use.
pub(super) const EMPTY_PART: &[u8] = b"\x7detude part";

impl Voices {
    pub fn of(track: &Track<'_>) -> Self {
        let mut voices = Self::default();
        let mut pedals = Vec::new();
        let mut program_channel = None;
        let mut is_empty_part = false;
        for event in &track.events {
            match event.kind {
                EventKind::Channel { status: 0x90..=0x9f, data: [_, 0] } => {}
                EventKind::Channel { status: status @ 0x90..=0x9f, .. } => {
                    voices.add(status & 0x0f, event.tick);
                }
                EventKind::Channel { status: status @ 0xb0..=0xbf, data: [64, _] } => {
                    pedals.push(status & 0x0f);
                    pedals.dedup();
                }
                EventKind::Channel { status: status @ 0xc0..=0xcf, .. } => {
                    program_channel = program_channel.or(Some(status & 0x0f));
                }
                EventKind::Meta { number: 0x7f, data } => is_empty_part |= data == EMPTY_PART,
                _ => {}
            }
        }
        if is_empty_part && voices.is_empty() {
            pedals.push(program_channel.unwrap_or_default());
        }
        for channel in pedals {
            let is_known = voices.list.iter().any(|voice| voice.channel == channel);
            if channel != DRUM_CHANNEL && !is_known {
                voices.list.push(Voice { channel, first_note: None });
            }
        }
        voices
    }

    fn add(&mut self, channel: u8, tick: u32) {
        if channel == DRUM_CHANNEL {
            self.has_drums = true;
        } else if self.list.iter().all(|voice| voice.channel != channel) {
            self.list.push(Voice { channel, first_note: Some(tick) });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && !self.has_drums
    }
}
