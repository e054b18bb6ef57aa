//! What was read once, remembered by the bytes of a piece and the framing plan.
//!
//! A cache can be deleted at any time. Whatever can't be read or doesn't hold together is as if
//! it weren't there: the piece is read again and its entry replaced.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Framing, FramingPlan, MAX_FRAMES, Pedalling};

/// Raised whenever reading, framing or the entries themselves change, so that an older entry is
/// never taken for a newer one.
const FORMAT: u32 = 2;

/// Ten thousand pieces at two frames a second take a fifth of it.
const MAX_BYTES: u64 = 512 << 20;

/// A piece cut into frames, apart from any corpus: its own chords, and runs of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct FramedPiece {
    pub n_notes: u64,
    pub duration_secs: f64,
    pub warnings: Vec<String>,
    /// Bits of each distinct chord, in order of first appearance.
    pub chords: Vec<u128>,
    /// Index into `chords`, and for how many frames it sounds.
    pub runs: Vec<(u32, u32)>,
}

impl FramedPiece {
    pub fn n_frames(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.1)).sum()
    }

    /// What an entry from a disk must promise before it is used.
    fn holds_together(&self) -> bool {
        let in_range = |run: &(u32, u32)| (run.0 as usize) < self.chords.len() && run.1 > 0;
        self.runs.iter().all(in_range)
            && self.n_frames() <= MAX_FRAMES
            && self.duration_secs.is_finite()
    }
}

/// What was read with one framing plan: one file, to which new entries are appended, since a file
/// for each piece costs more to make than the piece to read.
pub(super) struct Cache {
    path: PathBuf,
    /// The file as it was found.
    bytes: Vec<u8>,
    /// Where the payload and its checksum of a piece lie in `bytes`, by the SHA-256 of the piece
    /// in hexadecimal digits.
    entries: HashMap<Key, Range<usize>>,
    /// How much of `bytes` is whole entries.
    n_whole: usize,
    /// Entries that are to be written.
    fresh: Mutex<Vec<u8>>,
}

type Key = [u8; 64];

/// Key, length of the payload as a little-endian number, SHA-256 of the payload.
const HEADER_LEN: usize = 64 + 8 + 32;

impl Cache {
    /// Reads what is remembered in `folder`. What isn't there or can't be read is nothing.
    pub fn open(folder: &Path, plan: &FramingPlan) -> Self {
        let framing = match plan.framing {
            Framing::Nearest => "nearest",
            Framing::Original => "original",
        };
        let pedalling = match plan.pedalling {
            Pedalling::Keys => "keys",
            Pedalling::Sustained => "sustained",
        };
        let rate = plan.rate.per_second().to_bits();
        let path = folder
            .join(format!("frames-{FORMAT}-{}", env!("CARGO_PKG_VERSION")))
            .join(format!("{rate:016x}-{framing}-{pedalling}-{}", plan.grid));
        let bytes = read_up_to(&path, MAX_BYTES).unwrap_or_default();
        let mut entries = HashMap::new();
        let mut n_whole = 0;
        while let Some((key, entry)) = entry_at(&bytes, n_whole) {
            n_whole = entry.end;
            // A later entry of the same piece mended an earlier one.
            entries.insert(key, entry);
        }
        Self { path, bytes, entries, n_whole, fresh: Mutex::default() }
    }

    pub fn get(&self, sha256: &str) -> Option<FramedPiece> {
        let key = Key::try_from(sha256.as_bytes()).ok()?;
        let (checksum, payload) = self.bytes[self.entries.get(&key)?.clone()].split_at(32);
        if *checksum != *Sha256::digest(payload) {
            return None;
        }
        let entry: FramedPiece = postcard::from_bytes(payload).ok()?;
        entry.holds_together().then_some(entry)
    }

    /// Remembers a piece; it is written when the cache is dropped, also when reading was stopped.
    pub fn put(&self, sha256: &str, entry: &FramedPiece) {
        let Ok(key) = Key::try_from(sha256.as_bytes()) else { return };
        // Serializing plain numbers into memory can't fail.
        let Ok(payload) = postcard::to_stdvec(entry) else { return };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.extend(key);
        fresh.extend((payload.len() as u64).to_le_bytes());
        fresh.extend(Sha256::digest(&payload));
        fresh.extend(payload);
    }

    /// Appends what was put since, in one piece, so that two programs may do so at once.
    ///
    /// Nothing is flushed to the disk: an entry that a power cut damaged is recognized by its
    /// checksum, and one that ends early is cut off by the next program that writes.
    fn write(&mut self) -> io::Result<()> {
        let fresh = self.fresh.get_mut().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_empty() {
            return Ok(());
        }
        let fresh = std::mem::take(fresh);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut length = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let kept = if self.n_whole < self.bytes.len() && length == self.bytes.len() as u64 {
            self.n_whole as u64
        } else if length + fresh.len() as u64 > MAX_BYTES {
            // It begins anew, with what is needed now.
            0
        } else {
            length
        };
        if kept < length {
            // A file that is open for appending can't be cut on every system.
            OpenOptions::new().write(true).open(&self.path)?.set_len(kept)?;
            length = kept;
        }
        crate::files::check_size(length + fresh.len() as u64)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(&fresh)
    }
}

impl Drop for Cache {
    /// A cache that can't be written costs time and nothing else.
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            tracing::debug!("{} isn't written: {error}", self.path.display());
        }
    }
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata()?.len().min(limit) as usize);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The entry that begins at byte `at`: its key, and where its checksum and payload are. None at
/// the end, and where it isn't whole.
fn entry_at(bytes: &[u8], at: usize) -> Option<(Key, Range<usize>)> {
    let header = bytes.get(at..at.checked_add(HEADER_LEN)?)?;
    let key = Key::try_from(&header[..64]).ok()?;
    let length = u64::from_le_bytes(header[64..72].try_into().ok()?);
    let end = (at + HEADER_LEN).checked_add(usize::try_from(length).ok()?)?;
    let is_key = key.iter().all(u8::is_ascii_hexdigit);
    (is_key && end <= bytes.len()).then(|| (key, at + 72..end))
}
