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
    let path = &behind_link(path);
    write_beside(path, bytes)?.persist(path).map_err(|error| error.error)?;
    flush_folder(folder_of(path))
}

/// As [`write_atomically`], and keeps what was at `path` before as [`backup_path`]: for files
/// that a person asked for by name.
///
/// # Errors
/// Whatever the file system says; what was at `path` is then still there.
pub fn write_keeping_backup(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &behind_link(path);
    replace_keeping_backup(write_beside(path, bytes)?, path)
}

/// A file in the folder of `path` with these bytes, safe on the disk.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    check_size(bytes.len() as u64)?;
    let mut aside = create_beside(path)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    Ok(aside)
}

/// Puts a file that is written and flushed in the place of `path`, whose earlier content stays as
/// [`backup_path`].
///
/// # Errors
/// Whatever the file system says; what was at `path` is then still there.
pub fn replace_keeping_backup(aside: NamedTempFile, path: &Path) -> io::Result<()> {
    let path = &behind_link(path);
    // Only once the new content is safe beside it: a full disk doesn't touch the backup before.
    back_up(path)?;
    aside.persist(path).map_err(|error| error.error)?;
    flush_folder(folder_of(path))
}

/// Where the earlier content of a file is kept: `waltz.etude` → `waltz.etude.bak`.
pub fn backup_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".bak");
    path.with_file_name(name)
}

/// Keeps what is at `path` under a second name, without a moment in which it has none.
fn back_up(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    // A fresh folder gives a name that nobody else uses, where a link can be made and then
    // renamed over the backup before.
    let aside = tempfile::Builder::new().prefix(".etude-").tempdir_in(folder_of(path))?;
    let copy = aside.path().join("backup");
    if std::fs::hard_link(path, &copy).is_err() {
        // Some file systems know no links.
        std::fs::copy(path, &copy)?;
        std::fs::File::open(&copy)?.sync_all()?;
    }
    std::fs::rename(&copy, backup_path(path))
}

/// What a link points to, so that a link stays a link; anything else is itself.
fn behind_link(path: &Path) -> PathBuf {
    let target = path.is_symlink().then(|| path.canonicalize()).and_then(Result::ok);
    target.unwrap_or_else(|| path.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename last through a power cut.
///
/// # Errors
/// Only when the disk fails: where folders can't be flushed, the file system keeps their order.
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match std::fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::StorageFull) => {
            tracing::debug!("{} can't be flushed: {error}", folder.display());
        }
        result => return result,
    }
    #[cfg(not(unix))]
    let _ = folder;
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

/// Why a file can't be written, in words for the user: without the system's number for it, or the
/// name of the temporary file beside it.
pub fn plain_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::QuotaExceeded => "your share of the disk is used up".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk can only be read".to_owned(),
        io::ErrorKind::PermissionDenied => "you aren't allowed to write there".to_owned(),
        io::ErrorKind::NotFound => "its folder doesn't exist".to_owned(),
        io::ErrorKind::NotADirectory => "what should be its folder is a file".to_owned(),
        _ => without_system_number(&error.to_string()),
    }
}

/// Why a file can't be read, in the system's words and without its number.
pub fn read_reason(error: &io::Error) -> String {
    without_system_number(&error.to_string())
}

/// What the system says of an error, without what only programmers read: `(os error 40)` and
/// whatever a library adds after it.
pub fn without_system_number(text: &str) -> String {
    let words = text.split(" (os error ").next().unwrap_or(text);
    // The system writes it like a sentence of its own; it stands within one.
    let mut letters = words.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => words.to_owned(),
    }
}

/// A file in the folder of `path` that goes away unless it is persisted as `path`. Where files
/// have modes, it has that of the file it is to replace, or else what the umask leaves any new
/// file; temporary files by themselves are for their owner only.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn create_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
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

    #[test]
    fn the_earlier_content_stays_as_the_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waltz.mid");
        for content in ["one", "two", "three"] {
            write_keeping_backup(&path, content.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read(backup_path(&path)).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

        let inside = path.join("inside.mid");
        let error = write_keeping_backup(&inside, b"x").unwrap_err();
        assert_eq!(plain_reason(&error), "what should be its folder is a file");
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
    }

    #[test]
    fn reasons_name_neither_numbers_nor_temporary_files() {
        // Too many links, as a library that names the file passes it on.
        let system = io::Error::other("Too many levels (os error 40) at path \"/x/.etude-Ab\"");
        assert_eq!(plain_reason(&system), "too many levels");
        let full = io::Error::new(io::ErrorKind::StorageFull, "No space (os error 28) at path");
        assert_eq!(plain_reason(&full), "the disk is full");
        assert_eq!(without_system_number("EOF came early"), "EOF came early");
        assert_eq!(without_system_number(""), "");
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
