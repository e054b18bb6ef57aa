//! Unsaved work on the disk: one folder for every window that has some.
//!
//! `sessions/NAME/` holds `project.etude` (the work, with the copy before it as `.bak`) and
//! `about.json` (what it is called, where it was saved, when it was kept); beside it lies
//! `NAME.lock`, which the window holds as long as it lives. The system lets go of the lock whatever becomes of the
//! program, so that a folder whose lock is free was left by a crash: two windows that run are
//! never taken for one.
//!
//! Nothing here goes by halves: a folder is made once its name is locked, and loses the name
//! before anything inside is deleted.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::editor::{Project, ProjectError};
use crate::files::{backup_path, flush_folder, write_atomically};

/// What a person needs to know of unsaved work to recognize it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    pub title: String,
    /// The project it was saved as before; `None` for work that was never saved.
    pub path: Option<PathBuf>,
    /// When it was kept, in seconds since 1970.
    pub kept_secs: u64,
}

/// The folder of one window's unsaved work, locked while this lives.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
    /// What was found in it after a crash stays untouched until the work is really saved.
    is_restored: bool,
    /// `None` where the file system knows no locks: then work is kept without.
    _lock: Option<File>,
}

/// Work that a window left behind, claimed by this one so that no other offers it too.
#[derive(Debug)]
pub struct Unfinished {
    pub session: Session,
    pub about: About,
}

impl Unfinished {
    /// Its name among the others.
    pub fn name(&self) -> String {
        self.session.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

const PROJECT: &str = "project.etude";
/// What was found after the last crash, while newer work is written beside it.
const RESTORED: &str = "restored.etude";
const ABOUT: &str = "about.json";
/// What the name of a folder's lock has after that of the folder.
const LOCK: &str = ".lock";
/// Folders whose names begin so are being removed.
const HIDDEN: char = '.';

impl Session {
    /// Makes a folder in `root`, named by the time.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn create(root: &Path, now: SystemTime) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let (secs, pid) = (seconds(now), std::process::id());
        let mut number = 1;
        loop {
            let folder = root.join(format!("{secs}-{pid}-{number}"));
            if let Some(session) = Self::make(folder)? {
                flush_folder(root)?;
                return Ok(session);
            }
            number += 1;
        }
    }

    /// `None` if another has the name.
    fn make(folder: PathBuf) -> io::Result<Option<Self>> {
        let Locked::Ours(lock) = try_lock(&folder) else { return Ok(None) };
        match fs::create_dir(&folder) {
            Ok(()) => Ok(Some(Self { folder, is_restored: false, _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The session of a folder that no living window holds, if there is work in it.
    fn claim(folder: &Path) -> Option<Self> {
        let Locked::Ours(lock) = try_lock(folder) else { return None };
        let session = Self { folder: folder.to_owned(), is_restored: true, _lock: lock };
        if session.candidates().iter().any(|path| path.exists()) {
            return Some(session);
        }
        // The window ended before it had anything to keep.
        session.remove();
        None
    }

    /// Where the work is, the newest first.
    fn candidates(&self) -> [PathBuf; 3] {
        let project = self.folder.join(PROJECT);
        let backup = backup_path(&project);
        [project, backup, self.folder.join(RESTORED)]
    }

    /// How the work in it is read, on whatever thread.
    pub fn reader(&self) -> impl FnOnce() -> Result<Project, ProjectError> + Send + use<> {
        let [newest, older @ ..] = self.candidates();
        move || {
            let newest = Project::read(&newest);
            // Reading says more of the newest than of what stands in for it.
            newest.or_else(|error| {
                tracing::warn!("{error}");
                older.iter().find_map(|path| Project::read(path).ok()).ok_or(error)
            })
        }
    }

    /// Keeps the work as it is now.
    ///
    /// # Errors
    /// When it can't be written; what was kept before is then still there.
    pub fn keep(&self, project: &Project, about: &About) -> Result<(), ProjectError> {
        let path = self.folder.join(PROJECT);
        let write = |source| ProjectError::Write { path: path.clone(), source };
        let restored = self.folder.join(RESTORED);
        if self.is_restored && path.exists() && !restored.exists() {
            fs::hard_link(&path, &restored)
                .or_else(|_| fs::copy(&path, &restored).map(|_| ()))
                .map_err(write)?;
        }
        project.write(&path)?;
        let json = serde_json::to_vec(about).map_err(|error| write(error.into()))?;
        write_atomically(&self.folder.join(ABOUT), &json).map_err(write)
    }

    fn about(&self) -> About {
        let json = fs::read(self.folder.join(ABOUT)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_else(|_| {
            // The program ended between the work and the words about it.
            let kept = self.candidates().iter().find_map(|path| modified(path));
            About { kept_secs: kept.map_or(0, seconds), ..About::default() }
        })
    }

    /// Takes the folder away: the work is saved, or not wanted.
    pub fn remove(self) {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let gone = self.folder.with_file_name(format!("{HIDDEN}done-{name}"));
        let is_there = self.folder.exists();
        let removed = match is_there {
            true => fs::rename(&self.folder, &gone).and_then(|()| fs::remove_dir_all(&gone)),
            false => Ok(()),
        };
        // While it is still locked, so that it is nobody else's.
        if let Err(error) = removed.and_then(|()| remove_if_there(&lock_path(&self.folder))) {
            tracing::warn!("{} can't be removed: {error}", self.folder.display());
        }
    }
}

/// Whether a folder's name could be locked.
enum Locked {
    /// It is, or the file system knows no locks.
    Ours(Option<File>),
    Anothers,
}

/// Beside the folder and not in it: Windows renames no folder while a file in it is open.
fn lock_path(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{name}{LOCK}"))
}

fn try_lock(folder: &Path) -> Locked {
    let path = lock_path(folder);
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let locked = opened.map_err(TryLockError::Error).and_then(|lock| {
        lock.try_lock()?;
        Ok(lock)
    });
    match locked {
        // Whoever held it before may have taken it away just before letting go.
        Ok(lock) if path.exists() => Locked::Ours(Some(lock)),
        Ok(_) | Err(TryLockError::WouldBlock) => Locked::Anothers,
        Err(TryLockError::Error(error)) => {
            tracing::warn!("{} can't be locked: {error}", folder.display());
            Locked::Ours(None)
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All work in `root` that no living window holds, the newest first. What was being removed when
/// a window ended is removed.
pub fn unfinished(root: &Path) -> Vec<Unfinished> {
    let entries = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(of) = name.strip_suffix(LOCK) {
            remove_stray_lock(&root.join(of));
        } else if !path.is_dir() {
            // Nothing of Etude's.
        } else if name.starts_with(".done-") {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!("{} can't be removed: {error}", path.display());
            }
        } else if !name.starts_with(HIDDEN) {
            found.extend(Session::claim(&path));
        }
    }
    let mut found: Vec<_> =
        found.into_iter().map(|session| Unfinished { about: session.about(), session }).collect();
    found.sort_by_key(|it| (std::cmp::Reverse(it.about.kept_secs), it.name()));
    found
}

/// Removes the lock of a folder that is gone, unless a window is just making that folder.
fn remove_stray_lock(folder: &Path) {
    if folder.exists() {
        return;
    }
    let Locked::Ours(Some(_lock)) = try_lock(folder) else { return };
    if !folder.exists()
        && let Err(error) = remove_if_there(&lock_path(folder))
    {
        tracing::warn!("{} can't be removed: {error}", folder.display());
    }
}

/// Makes a session of the one recovery file that Etude had before there were sessions, unless a
/// window of that time is still open.
pub fn take_over_old(data_dir: &Path, root: &Path) {
    let old = data_dir.join("recovery.etude");
    if !old.is_file() {
        return;
    }
    let lock_path = data_dir.join("studio.lock");
    if let Ok(lock) = File::options().write(true).open(&lock_path)
        && let Err(TryLockError::WouldBlock) = lock.try_lock()
    {
        return;
    }
    let kept = modified(&old).unwrap_or(UNIX_EPOCH);
    let title = Project::read(&old).map(|project| project.score.title).unwrap_or_default();
    let about = About { title, path: None, kept_secs: seconds(kept) };
    let taken = Session::create(root, kept).and_then(|session| {
        write_atomically(&session.folder.join(ABOUT), &serde_json::to_vec(&about)?)?;
        fs::rename(&old, session.folder.join(PROJECT))?;
        flush_folder(&session.folder)
    });
    match taken {
        Ok(()) => {
            // What it kept is in its new place; these only said that there was something.
            let _gone = fs::remove_file(backup_path(&old));
            let _gone = fs::remove_file(&lock_path);
        }
        Err(error) => tracing::warn!("{} can't be taken over: {error}", old.display()),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Since 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::Score;

    fn project(title: &str) -> Project {
        let mut score = Score::default();
        score.title = title.to_owned();
        Project::new(score)
    }

    fn about(title: &str, kept_secs: u64) -> About {
        About { title: title.to_owned(), path: None, kept_secs }
    }

    fn session(root: &Path) -> Session {
        Session::create(root, UNIX_EPOCH).unwrap()
    }

    fn titles(found: &[Unfinished]) -> Vec<&str> {
        found.iter().map(|it| it.about.title.as_str()).collect()
    }

    #[test]
    fn only_what_no_living_window_holds_is_offered_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let (first, second, third) =
            (session(root.path()), session(root.path()), session(root.path()));
        first.keep(&project("first"), &about("first", 1)).unwrap();
        second.keep(&project("second"), &about("second", 2)).unwrap();
        third.keep(&project("third"), &about("third", 3)).unwrap();
        assert!(unfinished(root.path()).is_empty(), "three windows are open");

        drop((first, second));
        let found = unfinished(root.path());
        assert_eq!(titles(&found), ["second", "first"]);
        assert!(unfinished(root.path()).is_empty(), "another window offers them already");
        drop(found);
        assert_eq!(unfinished(root.path()).len(), 2, "that window crashed too");
        drop(third);
    }

    #[test]
    fn what_was_found_stays_until_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let crashed = session(root.path());
        crashed.keep(&project("found"), &about("found", 1)).unwrap();
        drop(crashed);

        let found = unfinished(root.path()).remove(0);
        assert_eq!(found.session.reader()().unwrap().score.title, "found");
        for title in ["later", "latest", "last"] {
            found.session.keep(&project(title), &about(title, 2)).unwrap();
        }
        let restored = Project::read(&found.session.folder.join(RESTORED)).unwrap();
        assert_eq!(restored.score.title, "found");
        drop(found);

        let found = unfinished(root.path()).remove(0);
        assert_eq!(found.session.reader()().unwrap().score.title, "last");
        found.session.remove();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_lies_beside_the_folder_and_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let session = session(root.path());
        session.keep(&project("work"), &about("work", 1)).unwrap();
        let names = || -> Vec<String> {
            let entries = fs::read_dir(root.path()).unwrap().map(Result::unwrap);
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let name = session.folder.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(names(), [name.clone(), format!("{name}.lock")]);
        // The lock of a window that lives is not taken for one left over.
        fs::rename(&session.folder, root.path().join(".aside")).unwrap();
        assert!(unfinished(root.path()).is_empty());
        assert_eq!(names(), [".aside".to_owned(), format!("{name}.lock")]);
        fs::rename(root.path().join(".aside"), &session.folder).unwrap();
        session.remove();
        assert_eq!(names(), [""; 0]);
    }

    #[test]
    fn a_damaged_copy_gives_way_to_the_one_before() {
        let root = tempfile::tempdir().unwrap();
        let crashed = session(root.path());
        crashed.keep(&project("before"), &about("before", 1)).unwrap();
        crashed.keep(&project("now"), &about("now", 2)).unwrap();
        fs::write(crashed.folder.join(PROJECT), "{\"format_version\": 1, \"sco").unwrap();
        fs::write(crashed.folder.join(ABOUT), "{").unwrap();
        drop(crashed);
        let found = unfinished(root.path()).remove(0);
        assert_eq!(found.session.reader()().unwrap().score.title, "before");
        assert!(found.about.kept_secs > 0, "the time of the file stands in");
    }

    #[test]
    fn empty_and_half_removed_sessions_go_away() {
        let root = tempfile::tempdir().unwrap();
        drop(session(root.path()));
        fs::create_dir(root.path().join(".done-1-2-3")).unwrap();
        fs::write(root.path().join(".done-1-2-3").join(PROJECT), "old").unwrap();
        fs::write(root.path().join("1-2-3.lock"), "").unwrap();
        assert!(unfinished(root.path()).is_empty());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(unfinished(&root.path().join("none")).is_empty());
    }

    #[test]
    fn the_recovery_file_of_an_older_etude_becomes_a_session() {
        let data = tempfile::tempdir().unwrap();
        let root = data.path().join("sessions");
        project("old work").write(&data.path().join("recovery.etude")).unwrap();
        let lock = File::create(data.path().join("studio.lock")).unwrap();
        lock.lock().unwrap();
        take_over_old(data.path(), &root);
        assert!(unfinished(&root).is_empty(), "its window is open");

        drop(lock);
        take_over_old(data.path(), &root);
        let found = unfinished(&root);
        assert_eq!(titles(&found), ["old work"]);
        assert_eq!(found[0].session.reader()().unwrap().score.title, "old work");
        assert!(!data.path().join("recovery.etude").exists());
    }
}
