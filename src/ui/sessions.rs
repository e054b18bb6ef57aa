//! Unsaved work on the disk: one folder for every window that has some.
//!
//! `sessions/NAME/` holds `project.etude` (the work, with the copy before it as `.bak`) and
//! `about.json` (what it is called, where it was saved, when it was kept); beside it lies
//! `NAME.lock`, which the window holds as long as it lives. The system lets go of the lock
//! whatever becomes of the program, so that a folder whose lock is free was left by a crash: two
//! windows that run are never taken for one. A folder whose lock can't be tried is nobody's to
//! take; it is only told of.
//!
//! Work that was found after a crash stays as `restored-N.etude` while it is worked on, that of
//! every crash until the work is really saved, and each of them can be gone back to.
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
    /// What was found in it after a crash still lies where the next work is to be written.
    has_found: bool,
    /// `None` where the file system knows no locks: then work is kept without.
    _lock: Option<File>,
}

/// What was found after an earlier crash, as it was then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// Names it within its session; a later one has a larger number.
    pub number: u32,
    /// When it was kept, in seconds since 1970.
    pub kept_secs: u64,
}

/// Work that a window left behind, claimed by this one so that no other offers it too.
#[derive(Debug)]
pub struct Unfinished {
    pub session: Session,
    pub about: About,
    /// What it was at earlier crashes, the newest first.
    pub earlier: Vec<Earlier>,
}

/// What windows left behind.
#[derive(Debug, Default)]
pub struct LeftBehind {
    /// The newest first.
    pub unfinished: Vec<Unfinished>,
    /// Folders with work of which nobody can tell whether a living window holds them.
    pub unclear: Vec<PathBuf>,
}

impl Unfinished {
    /// Its name among the others.
    pub fn name(&self) -> String {
        self.session.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

const PROJECT: &str = "project.etude";
/// What was found after a crash, while newer work is written beside it, goes by this, a number and
/// the ending.
const RESTORED: &str = "restored-";
const ENDING: &str = ".etude";
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
        let lock = match try_lock(&folder) {
            Locked::Ours(lock) => Some(lock),
            Locked::Anothers => return Ok(None),
            Locked::Unknown(error) => {
                tracing::warn!("{} can't be locked: {error}", folder.display());
                None
            }
        };
        match fs::create_dir(&folder) {
            Ok(()) => Ok(Some(Self { folder, has_found: false, _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether its folder has gone, so that nothing can be kept in it.
    pub fn is_gone(&self) -> bool {
        !self.folder.exists()
    }

    fn has_work(&self) -> bool {
        self.candidates().iter().any(|path| path.exists()) || !self.earlier().is_empty()
    }

    /// Where the work is, the newer first.
    fn candidates(&self) -> [PathBuf; 2] {
        let project = self.folder.join(PROJECT);
        let backup = backup_path(&project);
        [project, backup]
    }

    fn earlier_path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{RESTORED}{number}{ENDING}"))
    }

    /// What was found after the crashes before this one, the newest first.
    fn earlier(&self) -> Vec<Earlier> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let mut earlier: Vec<Earlier> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let number = name.strip_prefix(RESTORED)?.strip_suffix(ENDING)?.parse().ok()?;
                Some(Earlier { number, kept_secs: modified(&entry.path()).map_or(0, seconds) })
            })
            .collect();
        earlier.sort_by_key(|it| std::cmp::Reverse(it.number));
        earlier
    }

    /// How the work in it is read, on whatever thread: as it was at the earlier crash of this
    /// number, or the newest that can be read.
    pub fn reader(
        &self,
        earlier: Option<u32>,
    ) -> impl FnOnce() -> Result<Project, ProjectError> + Send + use<> {
        let (first, others) = match earlier {
            Some(number) => (self.earlier_path(number), Vec::new()),
            None => {
                let [project, backup] = self.candidates();
                let earlier = self.earlier().into_iter().map(|it| self.earlier_path(it.number));
                (project, std::iter::once(backup).chain(earlier).collect())
            }
        };
        move || {
            // Reading says more of the newest than of what stands in for it.
            Project::read(&first).or_else(|error| {
                tracing::warn!("{error}");
                others.iter().find_map(|path| Project::read(path).ok()).ok_or(error)
            })
        }
    }

    /// Keeps the work as it is now.
    ///
    /// # Errors
    /// When it can't be written; what was kept before is then still there.
    pub fn keep(&mut self, project: &Project, about: &About) -> Result<(), ProjectError> {
        let path = self.folder.join(PROJECT);
        let write = |source| ProjectError::Write { path: path.clone(), source };
        if self.has_found {
            self.set_found_aside().map_err(write)?;
            self.has_found = false;
        }
        project.write(&path)?;
        let json = serde_json::to_vec(about).map_err(|error| write(error.into()))?;
        write_atomically(&self.folder.join(ABOUT), &json).map_err(write)
    }

    /// Gives what was found after the crash a name of its own, so that newer work doesn't take its
    /// place.
    fn set_found_aside(&self) -> io::Result<()> {
        let [project, backup] = self.candidates();
        let mut number = self.earlier().first().map_or(0, |newest| newest.number);
        // The copy before it says something only where the newest can't be read.
        let backup = Project::read(&project).is_err().then_some(backup);
        for found in backup.into_iter().chain([project]).filter(|path| path.exists()) {
            number += 1;
            let aside = self.earlier_path(number);
            fs::hard_link(&found, &aside).or_else(|_| fs::copy(&found, &aside).map(|_| ()))?;
        }
        Ok(())
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
    Ours(File),
    Anothers,
    /// The file system knows no locks, or this one can't be tried.
    Unknown(io::Error),
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
        Ok(lock) if path.exists() => Locked::Ours(lock),
        Ok(_) | Err(TryLockError::WouldBlock) => Locked::Anothers,
        Err(TryLockError::Error(error)) => Locked::Unknown(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All work in `root` that no living window holds. What was being removed when a window ended is
/// removed.
pub fn left_behind(root: &Path) -> LeftBehind {
    let entries = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let mut found = LeftBehind::default();
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
            found.claim(path);
        }
    }
    found.unfinished.sort_by_key(|it| (std::cmp::Reverse(it.about.kept_secs), it.name()));
    found.unclear.sort();
    found
}

impl LeftBehind {
    /// Takes a folder that no living window holds.
    fn claim(&mut self, folder: PathBuf) {
        let (lock, is_clear) = match try_lock(&folder) {
            Locked::Anothers => return,
            Locked::Ours(lock) => (Some(lock), true),
            Locked::Unknown(error) => {
                tracing::warn!("{} can't be locked: {error}", folder.display());
                (None, false)
            }
        };
        let session = Session { folder, has_found: true, _lock: lock };
        match (session.has_work(), is_clear) {
            (true, true) => {
                let (about, earlier) = (session.about(), session.earlier());
                self.unfinished.push(Unfinished { session, about, earlier });
            }
            (true, false) => self.unclear.push(session.folder),
            // The window ended before it had anything to keep.
            (false, true) => session.remove(),
            (false, false) => {}
        }
    }
}

/// Removes the lock of a folder that is gone, unless a window is just making that folder.
fn remove_stray_lock(folder: &Path) {
    if folder.exists() {
        return;
    }
    let Locked::Ours(_lock) = try_lock(folder) else { return };
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

    fn unfinished(root: &Path) -> Vec<Unfinished> {
        let found = left_behind(root);
        assert!(found.unclear.is_empty(), "{found:?}");
        found.unfinished
    }

    fn titles(found: &[Unfinished]) -> Vec<&str> {
        found.iter().map(|it| it.about.title.as_str()).collect()
    }

    #[test]
    fn only_what_no_living_window_holds_is_offered_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let (mut first, mut second, mut third) =
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
    fn what_was_found_after_each_crash_stays_and_can_be_gone_back_to() {
        let root = tempfile::tempdir().unwrap();
        let mut crashed = session(root.path());
        crashed.keep(&project("first"), &about("first", 1)).unwrap();
        drop(crashed);
        for titles in [["a", "b", "second"], ["c", "d", "third"]] {
            let mut found = unfinished(root.path()).remove(0);
            for title in titles {
                found.session.keep(&project(title), &about(title, 2)).unwrap();
            }
        }
        let found = unfinished(root.path()).remove(0);
        let title_of = |earlier| found.session.reader(earlier)().unwrap().score.title;
        assert_eq!(title_of(None), "third");
        let earlier: Vec<_> = found.earlier.iter().map(|it| title_of(Some(it.number))).collect();
        assert_eq!(earlier, ["second", "first"]);
        assert!(found.earlier.iter().all(|it| it.kept_secs > 0), "{:?}", found.earlier);
        found.session.remove();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_copy_takes_the_one_before_along() {
        let root = tempfile::tempdir().unwrap();
        let mut crashed = session(root.path());
        crashed.keep(&project("before"), &about("before", 1)).unwrap();
        crashed.keep(&project("now"), &about("now", 2)).unwrap();
        fs::write(crashed.folder.join(PROJECT), "{").unwrap();
        drop(crashed);
        let mut found = unfinished(root.path()).remove(0);
        for title in ["later", "latest"] {
            found.session.keep(&project(title), &about(title, 3)).unwrap();
        }
        let earlier = found.session.earlier().into_iter();
        let whole = earlier.filter_map(|it| found.session.reader(Some(it.number))().ok());
        assert_eq!(whole.map(|it| it.score.title).collect::<Vec<_>>(), ["before"]);
    }

    #[test]
    fn what_cant_be_locked_is_told_of_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let (mut window, empty) = (session(root.path()), session(root.path()));
        window.keep(&project("work"), &about("work", 1)).unwrap();
        // A folder in the place of the lock, which can be neither opened nor locked.
        for session in [&window, &empty] {
            let lock = lock_path(&session.folder);
            fs::remove_file(&lock).unwrap();
            fs::create_dir(&lock).unwrap();
        }
        let found = left_behind(root.path());
        assert!(found.unfinished.is_empty());
        assert_eq!(found.unclear, [window.folder.clone()]);
        assert!(empty.folder.is_dir(), "its window may be about to keep something");
        window.keep(&project("more"), &about("more", 2)).unwrap();
        assert_eq!(window.reader(None)().unwrap().score.title, "more");
    }

    #[test]
    fn the_lock_lies_beside_the_folder_and_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let mut session = session(root.path());
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
        let mut crashed = session(root.path());
        crashed.keep(&project("before"), &about("before", 1)).unwrap();
        crashed.keep(&project("now"), &about("now", 2)).unwrap();
        fs::write(crashed.folder.join(PROJECT), "{\"format_version\": 1, \"sco").unwrap();
        fs::write(crashed.folder.join(ABOUT), "{").unwrap();
        drop(crashed);
        let found = unfinished(root.path()).remove(0);
        assert_eq!(found.session.reader(None)().unwrap().score.title, "before");
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
        assert_eq!(found[0].session.reader(None)().unwrap().score.title, "old work");
        assert!(!data.path().join("recovery.etude").exists());
    }
}
