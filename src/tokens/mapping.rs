//! A file as bytes in memory, read from the disk when they are looked at.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use memmap2::Mmap;

use super::performance::SharedBytes;

/// The bytes of a file that nobody writes to any more: mapped, or where that can't be, read.
///
/// # Errors
/// When the file can be neither mapped nor read.
pub(super) fn bytes_of(file: &mut File) -> io::Result<SharedBytes> {
    match map(file) {
        Ok(map) => Ok(Arc::new(map)),
        Err(error) => {
            tracing::debug!("a file is read, since it can't be mapped: {error}");
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
            Ok(Arc::new(bytes))
        }
    }
}

fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: bytes behind a shared reference must not change, and those of a mapped file change
    // when somebody writes to it. Nobody does: the files that are mapped are packs, and a pack is
    // written under a temporary name that only its writer knows, renamed when it is whole, and
    // never opened for writing again. It is replaced only by removing its name, which leaves the
    // mapped bytes as they are. What remains is another program that writes into the folder of
    // caches, which belongs to Etude alone; that can't be excluded by anybody who maps a file.
    // Nothing here trusts the bytes further than that: they are checked when they are opened, and
    // whatever they say later is taken as numbers, by functions without unsafe code that hold
    // every index against the lengths.
    unsafe { Mmap::map(file) }
}
