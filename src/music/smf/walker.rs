//! Reading on where a strict reader stops.
//!
//! Some files break the rules in ways whose meaning is still certain: a running status that goes
//! on after a meta event, system messages as if the file were a cable, data before the first
//! status. The walker understands those and says so; at anything else it stops, since every
//! guess after that could be noise.

use super::events::{END_OF_TRACK, EventKind, Track, report_end};
use super::problem::{ImportWarning, Warnings};

/// Goes on reading `bytes` where `track` ends, given the last channel status before that.
pub(super) fn walk<'a>(
    bytes: &'a [u8],
    track: Track<'a>,
    running_status: Option<u8>,
    number: usize,
    warnings: &mut Warnings,
) -> Track<'a> {
    let at = track.n_bytes_read;
    let last_was_channel = track.events.last().is_some_and(|event| event.kind.is_channel());
    let faults = Faults { status_is_stale: !last_was_channel, ..Faults::default() };
    let mut walker = Walker { bytes, at, track, running_status, faults };
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
