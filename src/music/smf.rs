//! Standard MIDI Files: reading what others wrote, writing what others can read.

use std::path::Path;

use super::Score;

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

/// Something wrong with a file that didn't stop it from being read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportWarning {
    #[error("the music room's owner replaces this")]
    Placeholder,
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the music room's owner replaces this")]
    Placeholder,
}

/// Reads the bytes of a MIDI file (an RMID wrapper too). Never panics, whatever the bytes.
pub fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let _ = bytes;
    todo!()
}

/// Reads a file, refusing anything too large to be music before it is in memory.
pub fn read_file(path: &Path) -> Result<Import, ImportError> {
    let _ = path;
    todo!()
}

/// The bytes of a format 1 file that reads back as the same score.
pub fn write(score: &Score) -> Vec<u8> {
    let _ = score;
    todo!()
}
