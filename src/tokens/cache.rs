//! What was read once, remembered: one small file for the bytes of a piece and a framing plan.
//!
//! A cache can be deleted at any time. Whatever can't be read or doesn't hold together is as if
//! it weren't there: the piece is read again and its entry replaced.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Framing, FramingPlan, MAX_FRAMES, Pedalling};

/// Raised whenever reading, framing or the entries themselves change, so that an older entry is
/// never taken for a newer one.
const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"etudefrm";

/// Magic, then SHA-256 of the payload.
const HEADER_LEN: usize = 8 + 32;

/// A piece of [`MAX_FRAMES`] that changes its chord at every frame stays below it.
const MAX_ENTRY_BYTES: u64 = 512 << 20;

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

/// A folder of entries.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// The part of a name that says how a piece was framed.
    plan: String,
}

impl Cache {
    pub fn new(folder: &Path, plan: &FramingPlan) -> Self {
        let framing = match plan.framing {
            Framing::Nearest => "nearest",
            Framing::Original => "original",
        };
        let pedalling = match plan.pedalling {
            Pedalling::Keys => "keys",
            Pedalling::Sustained => "sustained",
        };
        let rate = plan.rate.per_second().to_bits();
        let folder = folder.join(format!("frames-{FORMAT}-{}", env!("CARGO_PKG_VERSION")));
        Self { folder, plan: format!("{rate:016x}-{framing}-{pedalling}") }
    }

    /// Two levels, so that no folder has ten thousand files.
    fn path(&self, sha256: &str) -> PathBuf {
        let shelf = sha256.get(..2).unwrap_or("00");
        self.folder.join(shelf).join(format!("{sha256}-{}", self.plan))
    }

    pub fn get(&self, sha256: &str) -> Option<FramedPiece> {
        let file = std::fs::File::open(self.path(sha256)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_ENTRY_BYTES).read_to_end(&mut bytes).ok()?;
        let (header, payload) = bytes.split_at_checked(HEADER_LEN)?;
        if header[..8] != *MAGIC || header[8..] != *Sha256::digest(payload) {
            return None;
        }
        let entry: FramedPiece = postcard::from_bytes(payload).ok()?;
        entry.holds_together().then_some(entry)
    }

    /// A cache that can't be written costs time and nothing else, so the caller only logs it.
    ///
    /// The entry is renamed into its place whole, but not flushed to the disk as
    /// [`crate::files::write_atomically`] does: ten thousand flushes would take longer than reading
    /// the files again, and an entry that a power cut damaged is recognized by its checksum.
    pub fn put(&self, sha256: &str, entry: &FramedPiece) -> io::Result<()> {
        let payload = postcard::to_stdvec(entry).map_err(io::Error::other)?;
        crate::files::check_size((HEADER_LEN + payload.len()) as u64)?;
        let path = self.path(sha256);
        let shelf = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(shelf)?;
        let mut aside = tempfile::Builder::new().prefix(".etude-").tempfile_in(shelf)?;
        aside.write_all(MAGIC)?;
        aside.write_all(&Sha256::digest(&payload))?;
        aside.write_all(&payload)?;
        aside.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}
