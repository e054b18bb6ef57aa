//! Who trains a run: a lock that the living process holds on a file in the run's folder.
//!
//! The system lets go of it whatever becomes of the program, so that a run that was killed can go
//! on. The file itself stays: it says nothing by being there, and to remove it while another
//! opens it would leave two that each hold a lock of their own.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// The name of the file in the run's folder.
pub const LOCK: &str = "lock";

/// Held as long as this lives.
#[derive(Debug)]
pub struct RunLock {
    /// `None` where the file system knows no locks: then a run is trained without.
    _file: Option<File>,
}

impl RunLock {
    /// The lock of a folder that is there; `None` while another holds it.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn take(run: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(run.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                tracing::warn!("{} can't be locked: {error}", run.display());
                Ok(Some(Self { _file: None }))
            }
        }
    }

    /// Whether a living process trains this run. Leaves nothing behind.
    pub fn is_held(run: &Path) -> bool {
        let file = File::options().write(true).open(run.join(LOCK));
        // Shared, so that two that look at once don't take each other for a training.
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_holds_it_and_whoever_ends_lets_go() {
        let run = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_held(run.path()));
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 0, "looking leaves nothing");
        let lock = RunLock::take(run.path()).unwrap().expect("nobody else has it");
        assert!(RunLock::is_held(run.path()));
        assert!(RunLock::take(run.path()).unwrap().is_none());
        drop(lock);
        assert!(!RunLock::is_held(run.path()));
        assert!(RunLock::take(run.path()).unwrap().is_some());
        assert!(RunLock::take(&run.path().join("none")).is_err());
    }
}
