//! What was read once, remembered by the bytes of a piece and the framing plan.
//!
//! A cache can be deleted at any time. Whatever can't be read or doesn't hold together is as if
//! it weren't there: the piece is read again and its entry replaced.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
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

/// Entries are written when there are so many bytes of them, so that a program that is killed leaves
/// what it has read.
const WRITTEN_AT: usize = 4 << 20;

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
/// for each piece costs more to make than the piece to read. Only the places of its entries are held;
/// an entry is read when it is asked for.
pub(super) struct Cache {
    path: PathBuf,
    /// The file as it was found.
    file: Option<Mutex<File>>,
    /// Where the checksum and the payload of a piece lie in the file, by the SHA-256 of the piece in
    /// hexadecimal digits.
    entries: HashMap<Key, Range<u64>>,
    /// Bytes of the file as it was found, and how many of them are whole entries.
    n_found: u64,
    n_whole: u64,
    fresh: Mutex<Fresh>,
}

/// Entries that are to be written.
#[derive(Default)]
struct Fresh {
    bytes: Vec<u8>,
    /// Whether earlier ones were.
    is_begun: bool,
}

type Key = [u8; 64];

/// Key, length of the payload as a little-endian number, SHA-256 of the payload.
const HEADER_LEN: usize = 64 + 8 + CHECKSUM_LEN;
const CHECKSUM_LEN: usize = 32;

impl Cache {
    /// Looks for what is remembered in `folder`. What isn't there or can't be read is nothing.
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
            .join(format!("{rate:016x}-{framing}-{pedalling}"));
        let file = File::open(&path).ok();
        let length = file.as_ref().and_then(|file| file.metadata().ok());
        let n_found = length.map_or(0, |metadata| metadata.len().min(MAX_BYTES));
        let mut entries = HashMap::new();
        let mut n_whole = 0;
        if let Some(file) = &file {
            let mut reader = BufReader::new(file);
            while let Some((key, entry)) = next_entry(&mut reader, n_whole, n_found) {
                n_whole = entry.end;
                // A later entry of the same piece mended an earlier one.
                entries.insert(key, entry);
            }
        }
        let (file, fresh) = (file.map(Mutex::new), Mutex::default());
        Self { path, file, entries, n_found, n_whole, fresh }
    }

    pub fn get(&self, sha256: &str) -> Option<FramedPiece> {
        let key = Key::try_from(sha256.as_bytes()).ok()?;
        let bytes = self.read(self.entries.get(&key)?).ok()?;
        let (checksum, payload) = bytes.split_at_checked(CHECKSUM_LEN)?;
        if *checksum != *Sha256::digest(payload) {
            return None;
        }
        let entry: FramedPiece = postcard::from_bytes(payload).ok()?;
        entry.holds_together().then_some(entry)
    }

    fn read(&self, place: &Range<u64>) -> io::Result<Vec<u8>> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; (place.end - place.start) as usize];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Remembers a piece. What isn't written yet is when the cache is dropped, also when reading was
    /// stopped.
    pub fn put(&self, sha256: &str, entry: &FramedPiece) {
        let Ok(key) = Key::try_from(sha256.as_bytes()) else { return };
        // Serializing plain numbers into memory can't fail.
        let Ok(payload) = postcard::to_stdvec(entry) else { return };
        let checksum = Sha256::digest(&payload);
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if (fresh.bytes.len() + HEADER_LEN + payload.len()) as u64 > MAX_BYTES {
            return;
        }
        fresh.bytes.extend(key);
        fresh.bytes.extend((payload.len() as u64).to_le_bytes());
        fresh.bytes.extend(checksum);
        fresh.bytes.extend(payload);
        if fresh.bytes.len() >= WRITTEN_AT {
            self.write(&mut fresh, false);
        }
    }

    /// A cache that can't be written costs time and nothing else.
    fn write(&self, fresh: &mut Fresh, is_last: bool) {
        if let Err(error) = self.append(fresh, is_last) {
            tracing::debug!("{} isn't written: {error}", self.path.display());
        }
    }

    /// Appends what was put since, in one piece, so that two programs may do so at once.
    ///
    /// Nothing is flushed to the disk: an entry that a power cut damaged is recognized by its
    /// checksum, and one that ends early is cut off by the next program that writes.
    fn append(&self, fresh: &mut Fresh, is_last: bool) -> io::Result<()> {
        if fresh.bytes.is_empty() {
            return Ok(());
        }
        let mut length = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        let is_full = length + fresh.bytes.len() as u64 > MAX_BYTES;
        let kept = if !fresh.is_begun && self.n_whole < self.n_found && length == self.n_found {
            self.n_whole
        } else if is_full && !is_last {
            // What is remembered is still asked for.
            return Ok(());
        } else if is_full && !fresh.is_begun {
            // It begins anew, with what is needed now.
            0
        } else if is_full {
            return Ok(());
        } else {
            length
        };
        let bytes = std::mem::take(&mut fresh.bytes);
        fresh.is_begun = true;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if kept < length {
            // A file that is open for appending can't be cut on every system.
            OpenOptions::new().write(true).open(&self.path)?.set_len(kept)?;
            length = kept;
        }
        crate::files::check_size(length + bytes.len() as u64)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(&bytes)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let mut fresh =
            std::mem::take(self.fresh.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.write(&mut fresh, true);
    }
}

/// The entry that begins at byte `at` of a file of `length` bytes: its key, and where its checksum
/// and payload are. None at the end, and where it isn't whole. `reader` stands at `at`, and
/// afterwards at the entry's end.
fn next_entry(reader: &mut BufReader<&File>, at: u64, length: u64) -> Option<(Key, Range<u64>)> {
    let mut header = [0; HEADER_LEN];
    reader.read_exact(&mut header).ok()?;
    let key = Key::try_from(&header[..64]).ok()?;
    let n_payload = u64::from_le_bytes(header[64..72].try_into().ok()?);
    let end = (at + HEADER_LEN as u64).checked_add(n_payload)?;
    if end > length || !key.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    reader.seek_relative(i64::try_from(n_payload).ok()?).ok()?;
    Some((key, at + 72..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(n_runs: u32) -> FramedPiece {
        FramedPiece {
            n_notes: 1,
            duration_secs: 1.0,
            warnings: Vec::new(),
            chords: vec![0, 1 << 60],
            runs: (0..n_runs).map(|idx| (idx % 2, 1)).collect(),
        }
    }

    fn key(idx: usize) -> String {
        format!("{idx:064x}")
    }

    #[test]
    fn only_what_is_asked_for_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), &FramingPlan::default());
        let cache = open();
        (1..4).for_each(|idx| cache.put(&key(idx), &piece(idx as u32)));
        drop(cache);
        let cache = open();
        // Overwritten behind its back: what had been read before would still be answered.
        let place = cache.entries[key(2).as_bytes()].clone();
        let mut bytes = std::fs::read(&cache.path).unwrap();
        bytes[place.start as usize..place.end as usize].fill(0);
        std::fs::write(&cache.path, bytes).unwrap();
        assert_eq!(cache.get(&key(1)), Some(piece(1)));
        assert_eq!(cache.get(&key(2)), None);
        assert_eq!(cache.get(&key(3)), Some(piece(3)));
        assert_eq!(cache.get(&key(4)), None);
    }

    #[test]
    fn a_program_that_is_killed_leaves_what_it_has_read() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cache::open(folder.path(), &FramingPlan::default());
        let large = piece(600_000);
        let cache = open();
        (0..5).for_each(|idx| cache.put(&key(idx), &large));
        // It never comes to its end.
        std::mem::forget(cache);
        let cache = open();
        let n_left = (0..5).filter(|&idx| cache.get(&key(idx)).is_some()).count();
        assert!((1..5).contains(&n_left), "{n_left}");
        (n_left..5).for_each(|idx| cache.put(&key(idx), &large));
        drop(cache);
        let cache = open();
        assert!((0..5).all(|idx| cache.get(&key(idx)) == Some(large.clone())));
    }
}
