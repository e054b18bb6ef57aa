//! Files of the program itself: where they are kept, and writing that never leaves half a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` beside `path`, flushes them to the disk, then renames, so that `path` holds
/// either its old content or all of the new one, whatever happens in between. A link stays a link:
/// what it points to is replaced.
///
/// # Errors
/// Whatever the file system says; `path` is then as it was and nothing stays beside it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = path.is_symlink().then(|| path.canonicalize()).and_then(Result::ok);
    let path = target.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut aside = tempfile::Builder::new().prefix(".etude-").tempfile_in(folder)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    set_ordinary_permissions(aside.path())?;
    aside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Temporary files are made readable by their owner only; what a user keeps follows the usual
/// rules of the folder instead.
#[cfg(unix)]
pub(crate) fn set_ordinary_permissions(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(crate) fn set_ordinary_permissions(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The folder of what can be made again: tokenised files. `ETUDE_CACHE_DIR` overrides it.
pub fn cache_dir() -> PathBuf {
    own_dir("ETUDE_CACHE_DIR", |dirs| dirs.cache_dir().to_path_buf())
}

/// The folder of what the program keeps: runs, logs, recovery files, NVIDIA's libraries.
/// `ETUDE_DATA_DIR` overrides it.
pub fn data_dir() -> PathBuf {
    own_dir("ETUDE_DATA_DIR", |dirs| dirs.data_dir().to_path_buf())
}

fn own_dir(variable: &str, find: impl Fn(&directories::ProjectDirs) -> PathBuf) -> PathBuf {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return PathBuf::from(path);
    }
    match directories::ProjectDirs::from("", "", "etude") {
        Some(dirs) => find(&dirs),
        None => std::env::temp_dir().join("etude"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(write_atomically(&folder.path().join("none/file"), b"x").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays beside it");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }
}
