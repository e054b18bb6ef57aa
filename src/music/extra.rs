//! What a MIDI file says besides notes, tempo, meter, program and sustain pedal.

use serde::{Deserialize, Serialize};

use super::Tick;

/// A controller, bend, text, key signature or other message that Etude doesn't use but keeps, so
/// that export writes what was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extra {
    pub tick: Tick,
    pub home: ExtraHome,
    pub message: ExtraMessage,
}

/// The track an [`Extra`] is written to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraHome {
    /// The first track, which holds tempo and meter; also for what belongs to no part.
    Conductor,
    /// By index into [`Score::parts`](super::Score::parts).
    Part(u8),
    /// The first track of percussion.
    Drums,
    /// A further track of percussion, from 1: the `part` of the notes in it.
    FurtherDrums(u8),
    /// A track of its own in which nothing sounds, numbered in the order of the file.
    Silent(u8),
}

impl ExtraHome {
    /// The track of the percussion whose notes have this `part`.
    pub fn of_drums(part: u8) -> Self {
        match part {
            0 => Self::Drums,
            further => Self::FurtherDrums(further),
        }
    }
}

/// The message as it stands in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtraMessage {
    /// Status 0xA0–0xEF. In a part's track the part's own channel counts.
    Channel { status: u8, data: [u8; 2] },
    /// A meta event by number, 0–127: 1–9 are texts, 0x59 is a key signature.
    Meta { number: u8, data: Vec<u8> },
    /// System exclusive, without the leading 0xF0.
    SysEx(Vec<u8>),
    /// Raw bytes, after 0xF7.
    Escape(Vec<u8>),
}
