//! What of a file sounds: all that frames are made of.
//!
//! A [`Score`](crate::music::Score) holds more (what is kept for export) and holds it in order,
//! which takes half of the time that reading takes. Whoever reads thousands of files to find out
//! what sounds when needs neither.

use super::{FirstInstrument, ImportError, ImportWarning, Opened};
use crate::music::{MeterChange, Note, PedalSpan, TempoMap, Tick};

/// The sound of a file.
#[derive(Clone, Debug)]
pub struct Sounding {
    pub tempo_map: TempoMap,
    /// In no order; of several at one tick the last counts.
    pub meters: Vec<MeterChange>,
    /// The MIDI channel of each part.
    pub channels: Vec<u8>,
    /// Pitched notes, in no order.
    pub notes: Vec<Note>,
    /// In no order.
    pub pedal: Vec<PedalSpan>,
    /// Percussion, in no order.
    pub drums: Vec<Note>,
    /// Those that [`read`](super::read) gives too.
    pub warnings: Vec<ImportWarning>,
}

impl Sounding {
    /// Where the last note ends (drums and pedal included).
    pub fn end(&self) -> Tick {
        let notes = self.notes.iter().chain(&self.drums).map(Note::end);
        let pedal = self.pedal.iter().map(|span| span.end);
        notes.chain(pedal).max().unwrap_or_default()
    }

    /// Seconds from the start to the end of the last note.
    pub fn duration_secs(&self) -> f64 {
        self.tempo_map.secs_from_tick(self.end())
    }
}

/// What of the bytes of a MIDI file sounds: the notes of [`read`](super::read)'s score.
///
/// # Errors
/// Those of [`read`](super::read).
pub fn read_sounding(bytes: &[u8]) -> Result<Sounding, ImportError> {
    Opened::new(bytes)?.into_sounding()
}

/// The same, and the first instrument as the original experiment heard it. That is `None` when no
/// note of the file has an end.
///
/// # Errors
/// Those of [`read`](super::read).
pub fn read_first_instrument(
    bytes: &[u8],
) -> Result<(Sounding, Option<FirstInstrument>), ImportError> {
    let opened = Opened::new(bytes)?;
    let first = opened.first_instrument();
    Ok((opened.into_sounding()?, first))
}
