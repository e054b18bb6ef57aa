//! Performances that were read once, in files that are mapped into memory.
//!
//! A pack is a file that is written once and never changed. Each reading that meets new pieces
//! adds one. Packs can be deleted at any time, also while they are used; whatever can't be read or
//! doesn't hold together is as if it weren't there: the pieces are read again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::cache::{CHECKSUM_LEN, Key, entry_at, payload_at, plan_name, write_entry};
use super::mapping::bytes_of;
use super::performance::{SharedBytes, StoredPerformance};
use super::reading::About;
use super::{Performance, PerformancePlan, Touch};

/// Raised whenever reading, placing on frames or the packs themselves change, so that an older
/// pack is never taken for a newer one.
const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"etudeprf";

/// Beyond so much the oldest packs go. GiantMIDI-Piano at 32 frames a
/// second takes an eighth of it.
const MAX_BYTES: u64 = 4 << 30;

/// What the name of a pack ends in, and that of one that is being written.
const PACK: &str = "pack";
const PART: &str = "part";

/// The packs of one plan.
pub(super) struct Packs {
    folder: PathBuf,
    packs: Vec<Pack>,
    /// Which pack a piece is in, and where in it checksum and payload are.
    entries: HashMap<Key, (usize, Range<usize>)>,
}

struct Pack {
    path: PathBuf,
    bytes: SharedBytes,
    is_damaged: AtomicBool,
}

/// What stands before the words of a piece.
#[derive(Serialize, Deserialize)]
struct Head {
    about: About,
    performance: StoredPerformance,
}

impl Packs {
    /// What is remembered below `cache_dir`.
    pub fn open(cache_dir: &Path, plan: &PerformancePlan) -> Self {
        let touch = match plan.touch {
            Touch::Kept => "touch",
            Touch::Ignored => "keys",
        };
        let folder = cache_dir
            .join(format!("performances-{FORMAT}-{}", env!("CARGO_PKG_VERSION")))
            .join(format!("{}-{touch}", plan_name(&plan.frames)));
        let mut packs = Self { folder, packs: Vec::new(), entries: HashMap::new() };
        for path in files_in(&packs.folder, PACK) {
            match open_pack(&path) {
                Ok(bytes) => packs.list(path, bytes),
                Err(error) => tracing::debug!("{} can't be read: {error}", path.display()),
            }
        }
        packs
    }

    /// Takes the entries of a pack into the list.
    fn list(&mut self, path: PathBuf, bytes: SharedBytes) {
        let idx = self.packs.len();
        let all = (*bytes).as_ref();
        let mut at = MAGIC.len();
        while let Some((key, entry)) = entry_at(all, at) {
            at = entry.end;
            // Of two entries the later pack's counts.
            self.entries.insert(key, (idx, entry));
        }
        let is_damaged = AtomicBool::new(!all.starts_with(MAGIC) || at != all.len());
        self.packs.push(Pack { path, bytes, is_damaged });
    }

    /// What is remembered of the piece with this hash.
    pub fn get(&self, sha256: &str) -> Option<(About, Performance)> {
        let key = Key::try_from(sha256.as_bytes()).ok()?;
        let (idx, entry) = self.entries.get(&key)?;
        let pack = &self.packs[*idx];
        let found = performance_at(&pack.bytes, entry.clone());
        if found.is_none() {
            pack.is_damaged.store(true, Ordering::Relaxed);
        }
        found
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A pack to write into. It is renamed into its place when it is finished.
    pub fn new_pack(&self) -> io::Result<PackWriter> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".etude-")
            .suffix(&format!(".{PART}"))
            .tempfile_in(&self.folder)?;
        // Whoever tidies up leaves it alone.
        file.as_file().try_lock()?;
        file.write_all(MAGIC)?;
        Ok(PackWriter { file, len: MAGIC.len() })
    }

    /// Removes packs that are damaged, and the oldest ones while all together are too large. Those
    /// of this reading stay usable: only their names go.
    pub fn tidy(&self) {
        for pack in self.packs.iter().filter(|pack| pack.is_damaged.load(Ordering::Relaxed)) {
            remove(&pack.path);
        }
        for part in files_in(&self.folder, PART) {
            // One that nobody holds was left behind by a program that was killed.
            if File::open(&part).is_ok_and(|file| file.try_lock().is_ok()) {
                remove(&part);
            }
        }
        let Some(all) = self.folder.parent() else { return };
        let folders = std::fs::read_dir(all).into_iter().flatten().flatten();
        let mut packs: Vec<_> = folders
            .flat_map(|folder| files_in(&folder.path(), PACK))
            .filter_map(|path| {
                let metadata = std::fs::metadata(&path).ok()?;
                Some((metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        packs.sort_unstable();
        let mut n_bytes: u64 = packs.iter().map(|pack| pack.1).sum();
        for (_, len, path) in packs {
            if n_bytes <= MAX_BYTES {
                break;
            }
            remove(&path);
            n_bytes -= len;
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!("{} can't be removed: {error}", path.display());
    }
}

/// Those with this extension, in sorted order.
fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_meant = |path: &PathBuf| path.extension().is_some_and(|end| end == extension);
    let mut files: Vec<PathBuf> = paths.filter(is_meant).collect();
    files.sort_unstable();
    files
}

fn open_pack(path: &Path) -> io::Result<SharedBytes> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(io::Error::other("it is no pack"));
    }
    bytes_of(&mut File::open(path)?)
}

/// A pack that is being written.
pub(super) struct PackWriter {
    file: NamedTempFile,
    /// Bytes of whole entries.
    len: usize,
}

impl PackWriter {
    /// Adds a piece and says where its checksum and payload are.
    ///
    /// # Errors
    /// Whatever the file system says. What was added before is still there.
    pub fn put(
        &mut self,
        sha256: &str,
        about: &About,
        performance: &Performance,
    ) -> io::Result<Range<usize>> {
        let key = Key::try_from(sha256.as_bytes()).map_err(io::Error::other)?;
        let head = Head { about: about.clone(), performance: performance.stored() };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let mut payload = (head.len() as u64).to_le_bytes().to_vec();
        payload.extend(head);
        performance.write_words(&mut payload);
        let mut entry = Vec::with_capacity(payload.len() + 128);
        let place = write_entry(&mut entry, key, &payload);
        crate::files::check_size((self.len + entry.len()) as u64)?;
        self.file.write_all(&entry)?;
        let place = self.len + place.start..self.len + place.end;
        self.len += entry.len();
        Ok(place)
    }

    /// Gives the pack its name, and its bytes. A pack that can't be named is used without one.
    ///
    /// # Errors
    /// When what was written can't be read.
    pub fn finish(self, packs: &Packs) -> io::Result<SharedBytes> {
        let Self { file, len } = self;
        // An entry that didn't fit on the disk is cut off.
        file.as_file().set_len(len as u64)?;
        let name = file.path().file_stem().unwrap_or_default();
        let name = name.to_string_lossy().trim_start_matches('.').to_owned();
        match file.persist(packs.folder.join(name).with_extension(PACK)) {
            Ok(mut file) => bytes_of(&mut file),
            Err(mut error) => {
                tracing::debug!("a pack isn't kept: {}", error.error);
                bytes_of(error.file.as_file_mut())
            }
        }
    }
}

/// The performance whose checksum and payload are at `entry`.
pub(super) fn performance_at(
    bytes: &SharedBytes,
    entry: Range<usize>,
) -> Option<(About, Performance)> {
    let payload = payload_at((**bytes).as_ref(), &entry)?;
    let (length, rest) = payload.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let Head { about, performance } = postcard::from_bytes(rest.get(..length)?).ok()?;
    let words = entry.start + CHECKSUM_LEN + 8 + length..entry.end;
    let performance = performance.with_words(bytes, words)?;
    (about.holds_together() && performance.holds_together()).then_some((about, performance))
}
