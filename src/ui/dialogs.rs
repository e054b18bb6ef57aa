//! Asking for a path: the system's dialog where there is one, a field of our own where not.
//!
//! rfd answers `None` both when the user cancels and when there is neither a portal nor zenity,
//! and a half-installed portal may block for ever; so it is called from a thread, and an answer
//! of `None` that comes faster than any hand is taken to mean "no dialog here".

use std::path::PathBuf;
use std::time::{Duration, Instant};

use egui::{Key, Ui};

use super::action::{Actions, AppAction};
use super::state::TakeId;
use super::tasks::{Answer, Tasks};
use super::theme::SPACE;

/// What a path is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    OpenScore,
    LearnFiles,
    LearnFolder,
    PrimeFile,
    SoundFont,
    SaveProject,
    ExportMidi,
    ExportWav,
    ExportTakeMidi(TakeId),
    ExportTakeWav(TakeId),
    CurvesCsv,
    CurvesPng,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    OpenFile,
    OpenFiles,
    OpenFolder,
    Save,
}

impl Purpose {
    fn title(self) -> &'static str {
        match self {
            Self::OpenScore => "Open a MIDI file or a project",
            Self::LearnFiles => "Choose MIDI files to learn from",
            Self::LearnFolder => "Choose a folder to learn from",
            Self::PrimeFile => "Choose a MIDI file to begin with",
            Self::SoundFont => "Choose a SoundFont",
            Self::SaveProject => "Save the project",
            Self::ExportMidi | Self::ExportTakeMidi(_) => "Export as MIDI",
            Self::ExportWav | Self::ExportTakeWav(_) => "Export as WAV",
            Self::CurvesCsv => "Export the curves as a table",
            Self::CurvesPng => "Export the curves as a picture",
        }
    }

    fn form(self) -> Form {
        match self {
            Self::OpenScore | Self::PrimeFile | Self::SoundFont => Form::OpenFile,
            Self::LearnFiles => Form::OpenFiles,
            Self::LearnFolder => Form::OpenFolder,
            _ => Form::Save,
        }
    }

    fn extensions(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::OpenScore => ("Music", &["mid", "midi", "kar", "rmi", "etude"]),
            Self::LearnFiles | Self::PrimeFile => ("MIDI", &["mid", "midi", "kar", "rmi"]),
            Self::LearnFolder => ("", &[]),
            Self::SoundFont => ("SoundFont", &["sf2", "sf3"]),
            Self::SaveProject => ("Etude project", &["etude"]),
            Self::ExportMidi | Self::ExportTakeMidi(_) => ("MIDI", &["mid"]),
            Self::ExportWav | Self::ExportTakeWav(_) => ("WAV", &["wav"]),
            Self::CurvesCsv => ("CSV", &["csv"]),
            Self::CurvesPng => ("PNG", &["png"]),
        }
    }

    /// The path with the ending it should have, if it is for writing and has none.
    fn with_extension(self, path: PathBuf) -> PathBuf {
        match self.extensions().1.first() {
            Some(extension) if self.form() == Form::Save && path.extension().is_none() => {
                path.with_extension(extension)
            }
            _ => path,
        }
    }
}

/// The answer of the system's dialog.
pub struct Picked {
    purpose: Purpose,
    suggestion: String,
    paths: Option<Vec<PathBuf>>,
    took: Duration,
}

/// The field of our own.
struct Field {
    purpose: Purpose,
    text: String,
    error: Option<String>,
    is_fresh: bool,
    /// The user saw that the file exists and may press again to replace it.
    may_replace: Option<PathBuf>,
}

/// Which dialogs are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DialogKind {
    #[default]
    System,
    /// Only the field: on systems without dialogs, and in tests.
    OwnField,
}

pub struct Dialogs {
    kind: DialogKind,
    field: Option<Field>,
    /// A dialog of the system is open; another would lie behind it.
    is_waiting: bool,
}

impl Dialogs {
    /// Faster than any hand.
    const IMMEDIATELY: Duration = Duration::from_millis(300);

    pub fn new(kind: DialogKind) -> Self {
        Self { kind, field: None, is_waiting: false }
    }

    pub fn ask(&mut self, purpose: Purpose, suggestion: &str, tasks: &Tasks) {
        if self.kind == DialogKind::OwnField || self.is_waiting {
            // A dialog that never came back must not lock the user out.
            self.open_field(purpose, suggestion);
            return;
        }
        self.is_waiting = true;
        let suggestion = suggestion.to_owned();
        tasks.spawn("file dialog", move || {
            let start = Instant::now();
            let paths = system_dialog(purpose, &suggestion);
            Answer::Picked(Picked { purpose, suggestion, paths, took: start.elapsed() })
        });
    }

    /// Takes the system's answer: paths to act on, none if it was cancelled; or opens the field.
    pub fn take_in(&mut self, picked: Picked) -> Option<(Purpose, Vec<PathBuf>)> {
        self.is_waiting = false;
        let Picked { purpose, suggestion, paths, took } = picked;
        match paths {
            Some(paths) => {
                let paths = paths.into_iter().map(|path| purpose.with_extension(path)).collect();
                return Some((purpose, paths));
            }
            None if took < Self::IMMEDIATELY => {
                self.kind = DialogKind::OwnField;
                self.open_field(purpose, &suggestion);
            }
            None => return Some((purpose, Vec::new())),
        }
        None
    }

    fn open_field(&mut self, purpose: Purpose, suggestion: &str) {
        let home = std::env::home_dir().unwrap_or_default();
        let text = match purpose.form() {
            Form::Save => home.join(suggestion).to_string_lossy().into_owned(),
            _ => String::new(),
        };
        self.field = Some(Field { purpose, text, error: None, is_fresh: true, may_replace: None });
    }

    pub fn is_open(&self) -> bool {
        self.field.is_some()
    }

    pub fn ui(&mut self, ctx: &egui::Context, actions: &mut Actions) {
        let Some(field) = &mut self.field else { return };
        let response = super::widgets::modal(ctx, "path field").show(ctx, |ui| field.ui(ui));
        if let Some(paths) = response.inner.paths {
            actions.push(AppAction::PathsChosen(field.purpose, paths));
            self.field = None;
        } else if response.inner.is_cancelled || response.should_close() {
            actions.push(AppAction::PathsChosen(field.purpose, Vec::new()));
            self.field = None;
        }
    }
}

#[derive(Default)]
struct FieldAnswer {
    paths: Option<Vec<PathBuf>>,
    is_cancelled: bool,
}

impl Field {
    fn ui(&mut self, ui: &mut Ui) -> FieldAnswer {
        let mut answer = FieldAnswer::default();
        ui.set_width(SPACE * 64.0);
        let title = ui.label(egui::RichText::new(self.purpose.title()).strong());
        ui.add_space(SPACE);
        let hint = self.hint();
        let edit =
            egui::TextEdit::singleline(&mut self.text).hint_text(hint).desired_width(f32::INFINITY);
        let edit = ui.add(edit).labelled_by(title.id);
        if std::mem::take(&mut self.is_fresh) {
            edit.request_focus();
        }
        let is_entered = edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        match &self.error {
            Some(error) => super::widgets::problem(ui, error),
            None => super::widgets::hint(ui, "This system has no file dialog: write the path"),
        };
        ui.add_space(SPACE);
        ui.horizontal(|ui| {
            let replaces = self.may_replace.is_some();
            let word = match self.purpose.form() {
                Form::Save if replaces => "Replace",
                Form::Save => "Save here",
                _ => "Open this",
            };
            if ui.button(word).clicked() || is_entered {
                answer.paths = self.check();
            }
            answer.is_cancelled = ui.button("Cancel").clicked();
        });
        answer
    }

    fn hint(&self) -> &'static str {
        match self.purpose.form() {
            Form::OpenFolder => "/path/to/a/folder",
            Form::OpenFiles => "/path/to/a/file.mid, more with ; between them",
            _ => "/path/to/a/file",
        }
    }

    /// The paths if they can be used; otherwise says why not.
    fn check(&mut self) -> Option<Vec<PathBuf>> {
        let form = self.purpose.form();
        let text = self.text.trim();
        if text.is_empty() {
            self.error = Some("There is no path — write one".to_owned());
            return None;
        }
        let parts = match form {
            Form::OpenFiles => {
                text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect()
            }
            _ => vec![text],
        };
        let paths: Vec<PathBuf> =
            parts.into_iter().map(|part| self.purpose.with_extension(from_home(part))).collect();
        let problem = paths.iter().find_map(|path| match form {
            Form::Save => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let missing = folder.is_some_and(|folder| !folder.is_dir());
                missing.then(|| {
                    format!("The folder of “{}” doesn't exist — choose another", path.display())
                })
            }
            Form::OpenFolder if !path.is_dir() => {
                Some(format!("“{}” is no folder — check the path", path.display()))
            }
            _ if !path.exists() => {
                Some(format!("“{}” can't be found — check the path", path.display()))
            }
            _ => None,
        });
        if problem.is_some() {
            self.error = problem;
            return None;
        }
        if form == Form::Save && paths[0].exists() && self.may_replace.as_ref() != Some(&paths[0]) {
            self.error =
                Some(format!("“{}” exists — press again to replace it", paths[0].display()));
            self.may_replace = Some(paths[0].clone());
            return None;
        }
        Some(paths)
    }
}

/// `~/…` as shells read it.
fn from_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

fn system_dialog(purpose: Purpose, suggestion: &str) -> Option<Vec<PathBuf>> {
    let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
    let (name, extensions) = purpose.extensions();
    if !extensions.is_empty() {
        dialog = dialog.add_filter(name, extensions);
    }
    match purpose.form() {
        Form::OpenFile => dialog.pick_file().map(|path| vec![path]),
        Form::OpenFiles => dialog.pick_files(),
        Form::OpenFolder => dialog.pick_folder().map(|path| vec![path]),
        Form::Save => dialog.set_file_name(suggestion).save_file().map(|path| vec![path]),
    }
}
