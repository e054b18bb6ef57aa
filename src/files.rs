//! Files of the program itself: where they are kept, and writing that never leaves half a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes `bytes` beside `path`, flushes them to the disk, then renames, so that `path` holds
/// either its old content or all of the new one, whatever happens in between. A link stays a link:
/// what it points to is replaced.
///
/// # Errors
/// Whatever the file system says; `path` is then as it was and nothing stays beside it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = path.is_symlink().then(|| path.canonicalize()).and_then(Result::ok);
    let path = target.as_deref().unwrap_or(path);
    check_size(bytes.len() as u64)?;
    let mut aside = create_beside(path)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Refuses a file that is larger than the shell lets this process write (`ulimit -f`). To try it
/// would end the program by a signal, before it could say why or tidy up.
///
/// *Limitations*: the limit is known on Linux only.
///
/// # Errors
/// When `n_bytes` are more than the limit.
pub(crate) fn check_size(n_bytes: u64) -> io::Result<()> {
    match largest_file() {
        Some(limit) if n_bytes > limit => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("no file may be larger than {limit} bytes here, as `ulimit -f` says"),
        )),
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn largest_file() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

#[cfg(not(target_os = "linux"))]
fn largest_file() -> Option<u64> {
    None
}

/// A file in the folder of `path` that goes away unless it is persisted as `path`. Where files
/// have modes, it has that of the file it is to replace, or else what the umask leaves any new
/// file; temporary files by themselves are for their owner only.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn create_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".etude-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let aside = builder.tempfile_in(folder)?;
    #[cfg(unix)]
    keep_mode(path, &aside)?;
    Ok(aside)
}

/// Before anything is written, so that what was private stays so all the time.
#[cfg(unix)]
fn keep_mode(of: &Path, aside: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(old) = std::fs::metadata(of) else { return Ok(()) };
    let mode = |permissions: std::fs::Permissions| permissions.mode() & 0o777;
    let (old_mode, new_mode) =
        (mode(old.permissions()), mode(aside.as_file().metadata()?.permissions()));
    // Some file systems know one mode only and refuse every change, even to the same.
    if !old.is_file() || old_mode == new_mode {
        return Ok(());
    }
    aside.as_file().set_permissions(std::fs::Permissions::from_mode(old_mode))
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
    fn a_file_keeps_its_mode_and_a_new_one_has_the_usual() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        std::fs::write(folder.path().join("usual"), "").unwrap();
        write_atomically(&folder.path().join("new"), b"new").unwrap();
        assert_eq!(mode("new"), mode("usual"));
        for kept in [0o600, 0o640, 0o664, 0o755, 0o400] {
            let permissions = std::fs::Permissions::from_mode(kept);
            std::fs::set_permissions(folder.path().join("new"), permissions).unwrap();
            write_atomically(&folder.path().join("new"), b"newer").unwrap();
            assert_eq!(mode("new"), kept, "{kept:o}");
        }
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
