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

use super::reading::About;
use super::{Framing, FramingPlan, MAX_FRAMES, Pedalling};

/// Raised whenever reading, framing or the entries themselves change, so that an older entry is
/// never taken for a newer one.
const FORMAT: u32 = 3;

/// Ten thousand pieces at two frames a second take a fifth of it.
const MAX_BYTES: u64 = 512 << 20;

/// A piece cut into frames, apart from any corpus: its own chords, and runs of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct FramedPiece {
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
        self.runs.iter().all(in_range) && self.n_frames() <= MAX_FRAMES
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

/// The SHA-256 of a piece, in hexadecimal digits.
pub(super) type Key = [u8; 64];

/// Key, length of the payload as a little-endian number, SHA-256 of the payload.
pub(super) const HEADER_LEN: usize = 64 + 8 + CHECKSUM_LEN;

/// Of a SHA-256.
pub(super) const CHECKSUM_LEN: usize = 32;

impl Cache {
    /// Reads what is remembered in `folder`. What isn't there or can't be read is nothing.
    pub fn open(folder: &Path, plan: &FramingPlan) -> Self {
        let path = folder
            .join(format!("frames-{FORMAT}-{}", env!("CARGO_PKG_VERSION")))
            .join(plan_name(plan));
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

    pub fn get(&self, sha256: &str) -> Option<(About, FramedPiece)> {
        let key = Key::try_from(sha256.as_bytes()).ok()?;
        let payload = payload_at(&self.bytes, self.entries.get(&key)?)?;
        let (about, framed): (About, FramedPiece) = postcard::from_bytes(payload).ok()?;
        (about.holds_together() && framed.holds_together()).then_some((about, framed))
    }

    /// Remembers a piece; it is written when the cache is dropped, also when reading was stopped.
    pub fn put(&self, sha256: &str, about: &About, framed: &FramedPiece) {
        let Ok(key) = Key::try_from(sha256.as_bytes()) else { return };
        // Serializing plain numbers into memory can't fail.
        let Ok(payload) = postcard::to_stdvec(&(about, framed)) else { return };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        write_entry(&mut fresh, key, &payload);
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

/// What a file of entries is called by.
pub(super) fn plan_name(plan: &FramingPlan) -> String {
    let framing = match plan.framing {
        Framing::Nearest => "nearest",
        Framing::Original => "original",
    };
    let pedalling = match plan.pedalling {
        Pedalling::Keys => "keys",
        Pedalling::Sustained => "sustained",
    };
    format!("{:016x}-{framing}-{pedalling}-{}", plan.rate.per_second().to_bits(), plan.grid)
}

fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::with_capacity(file.metadata()?.len().min(limit) as usize);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The payload of an entry whose checksum is right.
pub(super) fn payload_at<'a>(bytes: &'a [u8], entry: &Range<usize>) -> Option<&'a [u8]> {
    let (checksum, payload) = bytes.get(entry.clone())?.split_at_checked(CHECKSUM_LEN)?;
    (*checksum == *Sha256::digest(payload)).then_some(payload)
}

/// Appends an entry, and says where in it its checksum and payload are.
pub(super) fn write_entry(out: &mut Vec<u8>, key: Key, payload: &[u8]) -> Range<usize> {
    out.extend(key);
    out.extend((payload.len() as u64).to_le_bytes());
    let start = out.len();
    out.extend(Sha256::digest(payload));
    out.extend(payload);
    start..out.len()
}

/// The entry that begins at byte `at`: its key, and where its checksum and payload are. None at
/// the end, and where it isn't whole.
pub(super) fn entry_at(bytes: &[u8], at: usize) -> Option<(Key, Range<usize>)> {
    let header = bytes.get(at..at.checked_add(HEADER_LEN)?)?;
    let key = Key::try_from(&header[..64]).ok()?;
    let length = u64::from_le_bytes(header[64..72].try_into().ok()?);
    let end = (at + HEADER_LEN).checked_add(usize::try_from(length).ok()?)?;
    let is_key = key.iter().all(u8::is_ascii_hexdigit);
    (is_key && end <= bytes.len()).then(|| (key, at + 72..end))
}
