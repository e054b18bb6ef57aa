//! Which channels of a track are instruments.

use super::assemble::DRUM_CHANNEL;
use super::events::EventKind;
use super::pedal_values::PEDAL;

/// A channel with notes or with the sustain pedal: a [`Part`](crate::music::Part).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Voice {
    pub channel: u8,
    /// Tick of its first note; `None` when it only holds the pedal.
    pub first_note: Option<u32>,
}

/// Heard event by event while a track is read; [`Voices::list`] says what came of it.
#[derive(Debug, Default)]
pub(super) struct Voices {
    /// Those with notes, by their first note.
    playing: Vec<Voice>,
    /// A bit for each channel with notes, percussion included.
    heard: u16,
    /// Channels with a sustain pedal, by its first value.
    pedals: Vec<u8>,
    /// A bit for each of them.
    pedaled: u16,
    /// The first channel that is given a program.
    program_channel: Option<u8>,
    is_empty_part: bool,
}

/// Marks a track of ours as a part that has no notes, which nothing else could tell: a
/// sequencer-specific event with the manufacturer number for private use.
pub(super) const EMPTY_PART: &[u8] = b"\x7detude part";

impl Voices {
    /// The next event of the track.
    #[inline]
    pub fn hear(&mut self, tick: u32, kind: EventKind<'_>) {
        match kind {
            EventKind::Channel { status, data } => self.hear_channel(tick, status, data),
            EventKind::Meta { number: 0x7f, data } => self.is_empty_part |= data == EMPTY_PART,
            _ => {}
        }
    }

    #[inline]
    fn hear_channel(&mut self, tick: u32, status: u8, data: [u8; 2]) {
        let channel = status & 0x0f;
        let bit = 1u16 << channel;
        match (status & 0xf0, data) {
            (0x90, [_, 1..=u8::MAX]) if self.heard & bit == 0 => {
                self.heard |= bit;
                if channel != DRUM_CHANNEL {
                    self.playing.push(Voice { channel, first_note: Some(tick) });
                }
            }
            (0xb0, [PEDAL, _]) if self.pedaled & bit == 0 => {
                self.pedaled |= bit;
                self.pedals.push(channel);
            }
            (0xc0, _) if self.program_channel.is_none() => self.program_channel = Some(channel),
            _ => {}
        }
    }

    pub fn has_drums(&self) -> bool {
        self.heard & 1 << DRUM_CHANNEL != 0
    }

    /// Those with notes by their first note, then those with a pedal only.
    pub fn list(&self) -> Vec<Voice> {
        let mut list = self.playing.clone();
        let of_empty_part = (self.is_empty_part && self.heard == 0)
            .then(|| self.program_channel.unwrap_or_default());
        for channel in self.pedals.iter().copied().chain(of_empty_part) {
            if channel != DRUM_CHANNEL && list.iter().all(|voice| voice.channel != channel) {
                list.push(Voice { channel, first_note: None });
            }
        }
        list
    }
}
