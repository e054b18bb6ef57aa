//! Standard MIDI Files: reading what others wrote, writing what others can read.
//!
//! Reading goes in three steps, a file each: `container` finds the tracks, `events` and `walker`
//! read what is in them, `assemble` makes a score of it (`pairing` decides which note-off ends
//! which note) with a `track_reader` for each track. `sounding` is what comes out when only frames
//! are wanted.
//!
//! - **Formats** 0, 1 and 2, also inside RIFF (RMID). The sequences of format 2 follow one
//!   another. Time code (SMPTE) becomes a tempo at which every tick has its stated length; tempo
//!   events mean nothing there.
//! - **Parts**: each channel of each track that has notes or a sustain pedal. A pedal in a track
//!   of its own, as in the files of piano-midi.de, is a part without notes; on an instrument the
//!   pedal of one part holds the notes of every part of its channel
//!   ([`Score::pedal_of_channel`]).
//! - **Drums** (channel 10) are kept apart in [`Score::drums`], track by track.
//! - Everything else is kept in [`Score::extras`] and written again: also tracks that sound nothing
//!   and hold a name, a copyright or a controller.
//!
//! Nothing is believed that a file says about its own sizes, and no bytes make it panic.

mod assemble;
mod container;
mod events;
mod extras;
mod first_instrument;
mod pairing;
mod pedal_values;
mod problem;
mod sounding;
mod text;
mod track_reader;
mod voices;
mod walker;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Score;
use assemble::Assembler;
use container::Container;
use events::Track;
use extras::{Extras, Keep};
use problem::Warnings;

pub use first_instrument::{Controls, FirstInstrument};
pub use problem::{ImportError, ImportWarning};
pub use sounding::{Sounding, read_first_instrument, read_sounding};
pub use write::write;

/// The largest file that is read, in bytes: many hours of the densest music.
pub const MAX_FILE_BYTES: u64 = 32 << 20;

/// So many notes don't come about in random bytes: a track ends at the first event that makes no
/// sense, and of events made of random bytes fewer than half do.
const NOTES_BY_CHANCE: usize = 64;

/// A file as it was read, with everything that was tolerated on the way.
#[derive(Clone, Debug)]
pub struct Import {
    pub score: Score,
    /// MTrk chunks found.
    pub n_tracks: usize,
    /// Note-on events with a velocity, percussion included.
    pub n_note_ons: usize,
    /// Of those, percussion (channel 10).
    pub n_drum_note_ons: usize,
    pub warnings: Vec<ImportWarning>,
}

/// Reads the bytes of a MIDI file (an RMID wrapper too). Never panics, whatever the bytes.
///
/// # Errors
/// When there is no music to be had: not a MIDI file, a broken header, no note, or so damaged
/// that what can be made out is more likely noise.
pub fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    Opened::new(bytes)?.into_import()
}

/// The events of a file, before anything is made of them.
struct Opened<'a> {
    container: Container<'a>,
    tracks: Vec<Track<'a>>,
    warnings: Warnings,
}

impl<'a> Opened<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, ImportError> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(ImportError::TooLarge { bytes: bytes.len() as u64, limit: MAX_FILE_BYTES });
        }
        let mut warnings = Warnings::default();
        let container = Container::read(bytes, &mut warnings)?;
        let tracks: Vec<_> = container
            .tracks
            .iter()
            .enumerate()
            .map(|(idx, bytes)| walker::read_track(bytes, idx + 1, &mut warnings))
            .collect();
        if tracks.iter().any(|track| track.time_overflowed) {
            warnings.push(ImportWarning::TimeOverflow { limit: events::LAST_TICK });
        }
        Ok(Self { container, tracks, warnings })
    }

    fn first_instrument(&self) -> Option<FirstInstrument> {
        first_instrument::first_instrument(&self.tracks, self.container.timing)
    }

    fn into_sounding(self) -> Result<Sounding, ImportError> {
        let (assembler, warnings) = self.assembled(Keep::Nothing)?;
        Ok(assembler.into_sounding(warnings.into_vec()))
    }

    fn into_import(self) -> Result<Import, ImportError> {
        let n_tracks = self.tracks.len();
        let (assembler, warnings) = self.assembled(Keep::Everything)?;
        let counts = assembler.counts;
        Ok(Import {
            score: assembler.into_score(),
            n_tracks,
            n_note_ons: counts.n_note_ons,
            n_drum_note_ons: counts.n_drum_note_ons,
            warnings: warnings.into_vec(),
        })
    }

    /// All events read, unless there is no music in them.
    fn assembled(self, keep: Keep) -> Result<(Assembler, Warnings), ImportError> {
        let Self { container, tracks, mut warnings } = self;
        let n_bytes: usize = container.tracks.iter().map(|track| track.len()).sum();
        let n_bytes_read: usize = tracks.iter().map(|track| track.n_bytes_read).sum();
        let (arrangement, timing) = (container.arrangement, container.timing);
        let assembler = assemble::assemble(&tracks, arrangement, timing, Extras::new(keep));
        assembler.report(&mut warnings);
        // Random bytes make a few events by chance. Many notes aren't chance, however much damage
        // follows.
        let n_note_ons = assembler.counts.n_note_ons;
        let is_noise = n_bytes_read < n_bytes / 10 && n_note_ons < NOTES_BY_CHANCE;
        if n_note_ons == 0 || is_noise {
            return Err(match warnings.damage() {
                Some(first) => ImportError::Damaged { first: first.clone() },
                None => ImportError::NoNotes,
            });
        }
        Ok((assembler, warnings))
    }
}

/// Reads a file, refusing anything too large to be music before it is in memory.
///
/// # Errors
/// Those of [`read`], and when `path` is a folder, isn't there or can't be opened.
pub fn read_file(path: &Path) -> Result<Import, ImportError> {
    let found = std::fs::metadata(path).map_err(ImportError::Io)?;
    if found.is_dir() {
        return Err(ImportError::Folder);
    }
    // Opening a pipe or a device could wait for ever.
    if !found.is_file() {
        return Err(ImportError::NotAFile);
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { bytes: found.len(), limit: MAX_FILE_BYTES });
    }
    read(&read_bounded(path).map_err(ImportError::Io)?)
}

/// One byte more than the limit at most, should the file have grown since it was measured.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
