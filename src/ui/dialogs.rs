//! Asking for a path: the system's dialog where there is one, a picker of our own where not.
//!
//! On Linux rfd asks the desktop portal over D-Bus, and zenity when that fails. It answers `None`
//! both when the user cancels and when neither is there, and a half-installed portal may block
//! for ever. So it isn't asked at all where there is no bus and no zenity; it is called from a
//! thread; and an answer of `None` that comes faster than any hand is taken to mean "no dialog
//! here". Who waits for one that doesn't come asks again and gets our own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::action::{Actions, AppAction};
use super::file_picker::{FilePicker, PickerAnswer};
use super::state::TakeId;
use super::tasks::{Answer, Tasks};

/// What a path is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    OpenScore,
    LearnFiles,
    LearnFolder,
    PrimeFile,
    /// What a run goes on from.
    Checkpoint,
    SoundFont,
    SaveProject,
    ExportMidi,
    ExportWav,
    ExportTakeMidi(TakeId),
    ExportTakeWav(TakeId),
    CurvesCsv,
    CurvesPng,
}

/// What kind of path is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    OpenFile,
    OpenFiles,
    OpenFolder,
    Save,
}

impl Purpose {
    /// Endings of the files that a folder of music is searched for.
    pub const MIDI: &[&str] = &["mid", "midi", "kar", "rmi"];

    pub fn title(self) -> &'static str {
        match self {
            Self::OpenScore => "Open a MIDI file or a project",
            Self::LearnFiles => "Choose MIDI files or a benchmark set to learn from",
            Self::LearnFolder => "Choose a folder to learn from",
            Self::PrimeFile => "Choose a MIDI file to begin with",
            Self::Checkpoint => "Choose a checkpoint to go on from",
            Self::SoundFont => "Choose a SoundFont",
            Self::SaveProject => "Save the project",
            Self::ExportMidi | Self::ExportTakeMidi(_) => "Export as MIDI",
            Self::ExportWav | Self::ExportTakeWav(_) => "Export as WAV",
            Self::CurvesCsv => "Export the curves as a table",
            Self::CurvesPng => "Export the curves as a picture",
        }
    }

    pub fn form(self) -> Form {
        match self {
            Self::OpenScore | Self::PrimeFile | Self::Checkpoint | Self::SoundFont => {
                Form::OpenFile
            }
            Self::LearnFiles => Form::OpenFiles,
            Self::LearnFolder => Form::OpenFolder,
            _ => Form::Save,
        }
    }

    pub fn extensions(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::OpenScore => ("Music", &["mid", "midi", "kar", "rmi", "etude"]),
            Self::LearnFiles => {
                ("MIDI and benchmark sets", &["mid", "midi", "kar", "rmi", "json", "json.gz"])
            }
            Self::PrimeFile => ("MIDI", Self::MIDI),
            Self::Checkpoint => ("checkpoints", &["safetensors"]),
            Self::LearnFolder => ("", &[]),
            Self::SoundFont => ("SoundFont", &["sf2", "sf3"]),
            Self::SaveProject => ("Etude project", &["etude"]),
            Self::ExportMidi | Self::ExportTakeMidi(_) => ("MIDI", &["mid"]),
            Self::ExportWav | Self::ExportTakeWav(_) => ("WAV", &["wav"]),
            Self::CurvesCsv => ("CSV", &["csv"]),
            Self::CurvesPng => ("PNG", &["png"]),
        }
    }

    /// The path with the ending it should have, if it is for writing and has another or none:
    /// what is no ending of that kind is a part of the name.
    pub fn with_extension(self, path: PathBuf) -> PathBuf {
        let extensions = self.extensions().1;
        let has = |path: &Path| {
            path.extension().is_some_and(|it| extensions.iter().any(|e| it.eq_ignore_ascii_case(e)))
        };
        match extensions.first() {
            Some(extension) if self.form() == Form::Save && !has(&path) => {
                let mut path = path.into_os_string();
                path.push(".");
                path.push(extension);
                path.into()
            }
            _ => path,
        }
    }
}

/// Where files were chosen last. What is written goes elsewhere than what is read: a project
/// among the pieces of a data set would be learned from, or at least be in the way.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Folders {
    pub read: Option<PathBuf>,
    pub written: Option<PathBuf>,
}

impl Folders {
    /// Where files were chosen last for something like this, be it still there or not.
    pub fn of(&self, purpose: Purpose) -> Option<&Path> {
        match purpose.form() {
            Form::Save => self.written.as_deref(),
            _ => self.read.as_deref(),
        }
    }

    /// Remembers where these were chosen.
    pub fn remember(&mut self, purpose: Purpose, paths: &[PathBuf]) {
        let Some(path) = paths.first() else { return };
        let folder = match purpose.form() {
            Form::OpenFolder => Some(path.as_path()),
            _ => path.parent(),
        };
        let folder = folder.filter(|folder| folder.is_absolute()).map(Path::to_owned);
        match purpose.form() {
            Form::Save => self.written = folder.or(self.written.take()),
            _ => self.read = folder.or(self.read.take()),
        }
    }
}

/// Where a dialog begins.
#[derive(Clone, Default)]
pub struct Suggestion {
    /// The folder of what is worked on, and where such a file was chosen last: the first of them
    /// that is there is taken.
    pub folders: Vec<PathBuf>,
    /// For a file that is to be written.
    pub name: String,
}

impl Suggestion {
    /// The folder it most likely begins in, without asking the file system.
    pub fn first_folder(&self, purpose: Purpose) -> Option<PathBuf> {
        let home = || std::env::home_dir().filter(|_| purpose.form() != Form::Save);
        self.folders.first().cloned().or_else(home)
    }

    /// The folder it begins in. Before anything was written that is the documents folder, and the
    /// user's own where there is none. Asks the file system, which may take its time.
    pub fn folder(&self, purpose: Purpose) -> PathBuf {
        let last = self.folders.iter().find(|folder| folder.is_dir()).cloned();
        let documents = || {
            let dirs = directories::UserDirs::new()?;
            dirs.document_dir().filter(|folder| folder.is_dir()).map(Path::to_owned)
        };
        let usual = || if purpose.form() == Form::Save { documents() } else { None };
        last.or_else(usual).or_else(std::env::home_dir).unwrap_or_default()
    }
}

/// The answer of the system's dialog.
pub struct Picked {
    purpose: Purpose,
    suggestion: Suggestion,
    answer: SystemAnswer,
}

enum SystemAnswer {
    Paths(Vec<PathBuf>),
    Cancelled,
    /// The system has no dialog.
    NoDialog,
}

/// Which dialogs are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DialogKind {
    #[default]
    System,
    /// Only our own picker: on systems without dialogs, and in tests.
    OwnPicker,
}

pub struct Dialogs {
    kind: DialogKind,
    prefers_own: bool,
    picker: Option<FilePicker>,
    /// A dialog of the system is open; another would lie behind it.
    is_waiting: bool,
}

impl Dialogs {
    pub fn new(kind: DialogKind) -> Self {
        Self { kind, prefers_own: false, picker: None, is_waiting: false }
    }

    /// Whether our own picker is used even where the system has one.
    pub fn prefer_own(&mut self, is_own: bool) {
        self.prefers_own = is_own;
    }

    /// Asks for a path.
    pub fn ask(&mut self, purpose: Purpose, suggestion: Suggestion, tasks: &Tasks) {
        if self.kind == DialogKind::OwnPicker || self.prefers_own || self.is_waiting {
            // A dialog that never came back must not lock the user out.
            self.open_picker(purpose, suggestion);
            return;
        }
        self.is_waiting = true;
        tasks.spawn("file dialog", move || {
            let answer = ask_system(purpose, &suggestion);
            Answer::Picked(Picked { purpose, suggestion, answer })
        });
    }

    /// Takes the system's answer: paths to act on, none if it was cancelled; or opens our own.
    pub fn take_in(&mut self, picked: Picked) -> Option<(Purpose, Vec<PathBuf>)> {
        self.is_waiting = false;
        let Picked { purpose, suggestion, answer } = picked;
        match answer {
            SystemAnswer::Paths(paths) => {
                let paths = paths.into_iter().map(|path| purpose.with_extension(path)).collect();
                Some((purpose, paths))
            }
            SystemAnswer::Cancelled => Some((purpose, Vec::new())),
            SystemAnswer::NoDialog => {
                self.kind = DialogKind::OwnPicker;
                self.open_picker(purpose, suggestion);
                None
            }
        }
    }

    fn open_picker(&mut self, purpose: Purpose, suggestion: Suggestion) {
        self.picker = Some(FilePicker::new(purpose, suggestion));
    }

    pub fn is_open(&self) -> bool {
        self.picker.is_some()
    }

    pub fn ui(&mut self, ctx: &egui::Context, actions: &mut Actions) {
        let Some(picker) = &mut self.picker else { return };
        let response = super::widgets::modal(ctx, "file picker").show(ctx, |ui| picker.ui(ui));
        let (should_close, purpose) = (response.should_close(), picker.purpose());
        let paths = match response.inner {
            PickerAnswer::Chosen(paths) => paths,
            PickerAnswer::Cancelled => Vec::new(),
            PickerAnswer::Open if should_close => Vec::new(),
            PickerAnswer::Open => return,
        };
        actions.push(AppAction::PathsChosen(purpose, paths));
        self.picker = None;
    }
}

/// Whether it makes sense to ask the system at all. Where it does, it may still have none.
fn has_system_dialog() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_bus = || {
        let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        folder.is_some_and(|folder| folder.join("bus").exists())
    };
    let has_zenity = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join("zenity").is_file())
    };
    is_set("DBUS_SESSION_BUS_ADDRESS") || has_bus() || has_zenity()
}

/// Faster than any hand.
const IMMEDIATELY: Duration = Duration::from_millis(300);

fn ask_system(purpose: Purpose, suggestion: &Suggestion) -> SystemAnswer {
    if !has_system_dialog() {
        return SystemAnswer::NoDialog;
    }
    let folder = suggestion.folder(purpose);
    let start = Instant::now();
    match system_dialog(purpose, &folder, &suggestion.name) {
        Some(paths) => SystemAnswer::Paths(paths),
        None if start.elapsed() < IMMEDIATELY => SystemAnswer::NoDialog,
        None => SystemAnswer::Cancelled,
    }
}

fn system_dialog(purpose: Purpose, folder: &Path, name: &str) -> Option<Vec<PathBuf>> {
    let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
    let (kind, extensions) = purpose.extensions();
    if !extensions.is_empty() {
        dialog = dialog.add_filter(kind, extensions);
    }
    if folder.is_absolute() {
        dialog = dialog.set_directory(folder);
    }
    match purpose.form() {
        Form::OpenFile => dialog.pick_file().map(|path| vec![path]),
        Form::OpenFiles => dialog.pick_files(),
        Form::OpenFolder => dialog.pick_folder().map(|path| vec![path]),
        Form::Save => dialog.set_file_name(name).save_file().map(|path| vec![path]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_goes_elsewhere_than_what_is_read() {
        let (music, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut folders = Folders::default();
        folders.remember(Purpose::LearnFolder, &[music.path().to_owned()]);
        assert_eq!(folders.of(Purpose::OpenScore), Some(music.path()));
        assert_eq!(folders.of(Purpose::SaveProject), None);
        folders.remember(Purpose::SaveProject, &[work.path().join("waltz.etude")]);
        folders.remember(Purpose::LearnFiles, &[]);
        folders.remember(Purpose::LearnFiles, &[music.path().join("a.mid")]);
        assert_eq!(folders.of(Purpose::ExportWav), Some(work.path()));
        assert_eq!(folders.of(Purpose::LearnFolder), Some(music.path()));
        let begin = |folders: &Folders| {
            let last = folders.of(Purpose::ExportWav).map(Path::to_owned);
            let suggestion =
                Suggestion { folders: last.into_iter().collect(), name: String::new() };
            (suggestion.first_folder(Purpose::ExportWav), suggestion.folder(Purpose::ExportWav))
        };
        let there = work.path().to_owned();
        assert_eq!(begin(&folders), (Some(there.clone()), there.clone()));
        // A folder that is gone is no place to begin in.
        drop(work);
        assert_ne!(begin(&folders).1, there);
    }
}
