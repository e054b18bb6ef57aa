//! Reads the events of a track, once through and without copying their data.
//!
//! What the standard allows is read as midly reads it strictly (a test holds that). Some files
//! break the rules in ways whose meaning is still certain: a running status that goes on after a
//! meta event, system messages as if the file were a cable, data before the first status. Those
//! are understood too, and told; at anything else the reader stops, since every guess after that
//! could be noise.

use super::events::{END_OF_TRACK, EventKind, Track, report_end};
use super::problem::{ImportWarning, Warnings};

/// Bytes that an event takes at least in nearly every track: a time and two of a running status.
const BYTES_PER_EVENT: usize = 3;

/// Reads a track. `number` counts from 1 and is for the warnings.
pub(super) fn read_track<'a>(bytes: &'a [u8], number: usize, warnings: &mut Warnings) -> Track<'a> {
    let events = Vec::with_capacity(bytes.len() / BYTES_PER_EVENT);
    let track = Track { events, ..Track::default() };
    let faults = Faults::default();
    let mut walker = Walker { bytes, at: 0, track, running_status: None, faults };
    let end = loop {
        if walker.at == bytes.len() {
            break End::Missing;
        }
        // A message that isn't understood leaves everything as it was before it.
        let Some(step) = walker.step() else { break End::Damage };
        walker.track.n_bytes_read = walker.at;
        if let Step::End { data } = step {
            break End::Mark { data };
        }
    };
    walker.faults.report(number, warnings);
    let Walker { mut track, .. } = walker;
    match end {
        End::Missing => warnings.push(ImportWarning::NoEndOfTrack { track: number }),
        End::Mark { data } => {
            report_end(&bytes[track.n_bytes_read..], data, number, warnings);
            track.n_bytes_read = bytes.len();
        }
        End::Damage => warnings.push(ImportWarning::TrackDamaged {
            track: number,
            byte: track.n_bytes_read,
            n_notes: track.n_notes(),
        }),
    }
    track
}

enum End<'a> {
    /// The bytes are used up.
    Missing,
    Mark {
        data: &'a [u8],
    },
    Damage,
}

enum Step<'a> {
    Event,
    End { data: &'a [u8] },
}

struct Walker<'a> {
    bytes: &'a [u8],
    /// Always at a delta time between steps.
    at: usize,
    track: Track<'a>,
    /// The last channel status, whatever came after it.
    running_status: Option<u8>,
    faults: Faults,
}

/// What was understood although it is against the rules.
#[derive(Default)]
struct Faults {
    /// Meta and system events end a running status.
    status_is_stale: bool,
    relied_on_stale_status: bool,
    n_bytes_before_status: usize,
    n_system_messages: usize,
    n_unknown_metas: usize,
}

impl Faults {
    fn report(&self, track: usize, warnings: &mut Warnings) {
        if self.relied_on_stale_status {
            warnings.push(ImportWarning::RunningStatus { track });
        }
        warnings.push_counted(self.n_bytes_before_status, |n_bytes| {
            ImportWarning::DataBeforeStatus { track, n_bytes }
        });
        warnings.push_counted(self.n_system_messages, |n_messages| ImportWarning::SystemMessages {
            track,
            n_messages,
        });
        warnings.push_counted(self.n_unknown_metas, |n_events| ImportWarning::UnknownMeta {
            track,
            n_events,
        });
    }
}

impl<'a> Walker<'a> {
    /// Reads one event; `None` when it can't be understood.
    #[inline]
    fn step(&mut self) -> Option<Step<'a>> {
        let delta = self.variable_length()?;
        let status = *self.bytes.get(self.at)?;
        let kind = match status {
            0x00..=0x7f => self.running()?,
            0x80..=0xef => {
                self.at += 1;
                self.faults.status_is_stale = false;
                Some(self.channel(status)?)
            }
            0xf0 | 0xf7 => {
                self.at += 1;
                self.faults.status_is_stale = true;
                let data = self.block()?;
                let is_escape = status == 0xf7;
                Some(if is_escape { EventKind::Escape(data) } else { EventKind::SysEx(data) })
            }
            0xff => {
                self.faults.status_is_stale = true;
                let number = *self.bytes.get(self.at + 1)?;
                self.at += 2;
                let data = self.block()?;
                if number == END_OF_TRACK {
                    self.track.wait(delta);
                    return Some(Step::End { data });
                }
                self.known_meta(number, data)
            }
            0xf1..=0xfe => {
                self.system(status)?;
                None
            }
        };
        self.track.wait(delta);
        if let Some(kind) = kind {
            self.track.push(kind);
        }
        Some(Step::Event)
    }

    /// An event without a status of its own.
    fn running(&mut self) -> Option<Option<EventKind<'a>>> {
        if let Some(status) = self.running_status {
            self.faults.relied_on_stale_status |= self.faults.status_is_stale;
            return self.channel(status).map(Some);
        }
        // Nothing says what it is: two bytes of data, as nearly all messages have.
        self.data_byte()?;
        self.data_byte()?;
        self.faults.n_bytes_before_status += 2;
        Some(None)
    }

    #[inline]
    fn channel(&mut self, status: u8) -> Option<EventKind<'a>> {
        let has_one_byte = matches!(status, 0xc0..=0xdf);
        let first = self.data_byte()?;
        let second = if has_one_byte { 0 } else { self.data_byte()? };
        self.running_status = Some(status);
        Some(EventKind::Channel { status, data: [first, second] })
    }

    fn known_meta(&mut self, number: u8, data: &'a [u8]) -> Option<EventKind<'a>> {
        if number < 0x80 {
            return Some(EventKind::Meta { number, data });
        }
        self.faults.n_unknown_metas += 1;
        None
    }

    /// System common and real-time messages: song position, tune request, clock.
    fn system(&mut self, status: u8) -> Option<()> {
        self.at += 1;
        let n_data = match status {
            0xf2 => 2,
            0xf1 | 0xf3 => 1,
            _ => 0,
        };
        for _ in 0..n_data {
            self.data_byte()?;
        }
        self.faults.status_is_stale = true;
        self.faults.n_system_messages += 1;
        Some(())
    }

    #[inline]
    fn data_byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied().filter(|byte| *byte < 0x80)?;
        self.at += 1;
        Some(byte)
    }

    /// A length and as many bytes, if the track really has them.
    fn block(&mut self) -> Option<&'a [u8]> {
        let length = self.variable_length()? as usize;
        let block = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(block)
    }

    /// A number of at most four bytes, seven bits in each.
    #[inline]
    fn variable_length(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};
    use proptest::prelude::*;

    use super::*;

    /// The events before anything that midly refuses, the end of the track, or a meta event whose
    /// number no meta event has: the tick, and what [`midly`] says it is.
    fn strictly(bytes: &[u8]) -> Vec<(u32, TrackEventKind<'_>)> {
        let mut tick = 0u32;
        let events = EventIter::new(bytes).map_while(Result::ok).map(|event| {
            tick += event.delta.as_int();
            (tick, event.kind)
        });
        let is_end = |kind: &TrackEventKind| {
            matches!(kind, TrackEventKind::Meta(MetaMessage::EndOfTrack))
                || matches!(kind, TrackEventKind::Meta(MetaMessage::Unknown(0x80.., _)))
        };
        events.take_while(|(_, kind)| !is_end(kind)).collect()
    }

    fn is_same(ours: EventKind<'_>, theirs: TrackEventKind<'_>) -> bool {
        match (ours, theirs) {
            (EventKind::Channel { status, data }, TrackEventKind::Midi { channel, message }) => {
                let (nibble, expected) = match message {
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
                status == nibble | channel.as_int() && data == expected
            }
            (EventKind::SysEx(ours), TrackEventKind::SysEx(theirs))
            | (EventKind::Escape(ours), TrackEventKind::Escape(theirs)) => ours == theirs,
            (EventKind::Meta { number, data }, TrackEventKind::Meta(meta)) => match meta {
                MetaMessage::Text(text) => number == 1 && data == text,
                MetaMessage::TrackName(name) => number == 3 && data == name,
                MetaMessage::Tempo(micros) => {
                    // It looks at the first three bytes of a longer one.
                    number == 0x51 && data.starts_with(&micros.as_int().to_be_bytes()[1..])
                }
                MetaMessage::Unknown(theirs, bytes) => number == theirs && data == bytes,
                _ => number < 0x80,
            },
            _ => false,
        }
    }

    /// Bytes of which many are whole events.
    fn tracks() -> impl Strategy<Value = Vec<u8>> {
        let delta = prop_oneof![
            4 => (0u8..128).prop_map(|byte| vec![byte]),
            1 => (0x80u8.., 0u8..128).prop_map(|(high, low)| vec![high, low]),
        ];
        let body = prop_oneof![
            6 => (0x80u8..0xf0, 0u8..128, 0u8..128).prop_map(|(status, a, b)| match status {
                0xc0..=0xdf => vec![status, a],
                _ => vec![status, a, b],
            }),
            4 => (0u8..128, 0u8..128).prop_map(|(a, b)| vec![a, b]),
            1 => (0u8..128, prop::collection::vec(any::<u8>(), 0..5)).prop_map(|(number, data)| {
                [&[0xff, number, data.len() as u8], data.as_slice()].concat()
            }),
            1 => Just(vec![0xff, 0x51, 3, 7, 0xa1, 0x20]),
            1 => (prop_oneof![Just(0xf0u8), Just(0xf7)], prop::collection::vec(any::<u8>(), 0..5))
                .prop_map(|(status, data)| [&[status, data.len() as u8], data.as_slice()].concat()),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec((delta, body), 0..40)
            .prop_map(|events| events.into_iter().flat_map(|(delta, body)| [delta, body].concat()))
            .prop_map(Iterator::collect)
    }

    proptest! {
        #[test]
        fn what_midly_reads_strictly_is_read_the_same(bytes in tracks()) {
            let track = read_track(&bytes, 1, &mut Warnings::default());
            let strictly = strictly(&bytes);
            prop_assert!(track.events.len() >= strictly.len());
            for (ours, (tick, theirs)) in track.events.iter().zip(strictly) {
                prop_assert_eq!(ours.tick, tick);
                prop_assert!(is_same(ours.kind, theirs), "{:?} is {:?}", theirs, ours);
            }
        }
    }
}
