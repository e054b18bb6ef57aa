//! Choosing a path where the system has no dialog for it: a path that can be written, and the
//! folder to pick from.
//!
//! Whatever is asked of the file system is asked on another thread: a network that doesn't answer
//! holds up nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use egui::text::{CCursor, CCursorRange};
use egui::{Key, Modifiers, Response, ScrollArea, TextEdit, Ui};

use super::dialogs::{Form, Purpose, Suggestion};
use super::number_field::select;
use super::theme::{ROW, SPACE};
use super::widgets::counted;

const WIDTH: f32 = SPACE * 72.0;
const LIST_HEIGHT: f32 = SPACE * 30.0;

/// What is shown of a folder at most; whoever has more writes the path.
const MOST_ENTRIES: usize = 20_000;

/// What was done with the picker in a frame.
pub enum PickerAnswer {
    Open,
    Chosen(Vec<PathBuf>),
    Cancelled,
}

/// A file or a folder in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    /// Shared: what is shown of a folder is picked out in every frame.
    name: Arc<str>,
    is_folder: bool,
}

/// The content of a folder, or the way to it.
enum Listing {
    /// It isn't read yet.
    Unread,
    Reading(Receiver<Reading>),
    Read(Vec<Entry>),
    Failed(String),
}

/// A folder, and what is in it.
type Reading = (PathBuf, Result<Vec<Entry>, String>);

pub struct FilePicker {
    purpose: Purpose,
    folder: PathBuf,
    /// Where it may begin, until it is known which of these folders are there.
    begin: Option<Suggestion>,
    listing: Listing,
    /// The field for the path; when saving, for the folder only.
    path: String,
    /// The beginning of a name that is being written behind the folder: the list follows it.
    name_part: String,
    /// The field for the name, when saving.
    name: String,
    /// Also files of other kinds and hidden ones.
    shows_all: bool,
    /// The row of the list that Enter acts on.
    chosen_row: Option<usize>,
    error: Option<String>,
    /// Whether what was chosen can be used is being found out.
    check: Option<Receiver<Found>>,
    is_fresh: bool,
    /// The user saw that the file exists and may press again to replace it.
    may_replace: Option<PathBuf>,
}

impl FilePicker {
    /// Begins in the first folder that is there, with a file name where one is to be written.
    pub fn new(purpose: Purpose, suggestion: Suggestion) -> Self {
        let mut picker = Self {
            purpose,
            folder: PathBuf::new(),
            begin: None,
            listing: Listing::Unread,
            path: String::new(),
            name_part: String::new(),
            name: suggestion.name.clone(),
            shows_all: false,
            chosen_row: None,
            error: None,
            check: None,
            is_fresh: true,
            may_replace: None,
        };
        if let Some(folder) = suggestion.first_folder(purpose) {
            picker.enter(folder);
        }
        picker.begin = Some(suggestion);
        picker
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn is_saving(&self) -> bool {
        self.purpose.form() == Form::Save
    }

    fn enter(&mut self, folder: PathBuf) {
        self.path = as_folder(&folder);
        self.name_part.clear();
        self.look_into(folder);
    }

    fn look_into(&mut self, folder: PathBuf) {
        self.folder = folder;
        self.begin = None;
        self.listing = Listing::Unread;
        self.chosen_row = None;
        self.withdraw();
    }

    /// Shows what is in the folder that is being written, of it what begins like the name behind
    /// it: what is chosen in the list next belongs to what is written.
    fn follow_path(&mut self) {
        let (folder, name_part) = written_place(self.purpose.form(), &self.path);
        self.name_part = name_part.to_lowercase();
        let folder = from_home(folder);
        if folder.is_absolute() && folder != self.folder {
            self.look_into(folder);
        }
    }

    /// What was said of another choice counts no more.
    fn withdraw(&mut self) {
        self.error = None;
        self.check = None;
        self.may_replace = None;
    }

    /// Draws it, and says what was chosen.
    pub fn ui(&mut self, ui: &mut Ui) -> PickerAnswer {
        self.read(ui.ctx());
        let found = self.found();
        ui.set_width(WIDTH);
        ui.label(egui::RichText::new(self.purpose.title()).strong());
        ui.add_space(SPACE);
        let rows = self.rows();
        self.arrow_keys(ui, rows.len());
        let mut is_entered = self.path_ui(ui);
        let is_double = self.list_ui(ui, &rows);
        if self.is_saving() {
            is_entered |= self.name_ui(ui);
        }
        if let Some(error) = &self.error {
            super::widgets::problem(ui, error);
        } else if self.check.is_some() {
            super::widgets::hint(ui, "Looking whether it can be used…");
        }
        ui.add_space(SPACE);
        let buttons = ui.horizontal(|ui| {
            let is_free = self.check.is_none();
            let is_pressed = ui.add_enabled(is_free, egui::Button::new(self.word())).clicked();
            (is_pressed, ui.button("Cancel").clicked())
        });
        let (is_pressed, is_cancelled) = buttons.inner;
        if is_cancelled {
            return PickerAnswer::Cancelled;
        }
        let check = match is_entered {
            true => self.entered(&rows),
            false => (is_pressed || is_double).then(|| self.check_of(None)),
        };
        if let Some(check) = check {
            self.start(check, ui.ctx());
        }
        found.map_or(PickerAnswer::Open, PickerAnswer::Chosen)
    }

    fn word(&self) -> &'static str {
        match self.purpose.form() {
            Form::Save if self.may_replace.is_some() => "Replace",
            Form::Save => "Save here",
            _ => "Open this",
        }
    }

    /// The way up and home, and the path itself. Returns whether Enter was pressed in it.
    fn path_ui(&mut self, ui: &mut Ui) -> bool {
        let label = if self.is_saving() { "Folder" } else { "Path" };
        let (mut goes_to, mut before) = (None, String::new());
        let edit = ui.horizontal(|ui| {
            if ui.button("Up").on_hover_text("The folder around this one (Alt+Up)").clicked() {
                goes_to = self.folder.parent().map(Path::to_owned);
            }
            if ui.button("Home").on_hover_text("Your own folder").clicked() {
                goes_to = std::env::home_dir();
            }
            let name = ui.label(label);
            before.clone_from(&self.path);
            let edit = TextEdit::singleline(&mut self.path)
                .hint_text(hint(self.purpose.form()))
                .desired_width(f32::INFINITY);
            ui.add(edit).labelled_by(name.id)
        });
        let edit = edit.inner;
        if ui.input_mut(|input| input.consume_key(Modifiers::ALT, Key::ArrowUp)) {
            goes_to = self.folder.parent().map(Path::to_owned);
        }
        if let Some(folder) = goes_to {
            self.enter(folder);
        }
        if !self.is_saving() && std::mem::take(&mut self.is_fresh) {
            edit.request_focus();
        }
        if edit.changed() {
            self.begin = None;
            self.path = begun_anew(&before, &self.path).to_owned();
            self.follow_path();
        }
        self.field_changed(&edit);
        is_entered(ui, &edit)
    }

    /// Returns whether Enter was pressed in the name.
    fn name_ui(&mut self, ui: &mut Ui) -> bool {
        let edit = ui.horizontal(|ui| {
            let name = ui.label("Name");
            let edit = TextEdit::singleline(&mut self.name).desired_width(f32::INFINITY);
            ui.add(edit).labelled_by(name.id)
        });
        // The pass that only measures the new window is not yet the one that is seen.
        if !ui.is_sizing_pass() && std::mem::take(&mut self.is_fresh) {
            edit.inner.request_focus();
            // What is written takes the name's place, and the ending stays.
            let stem = stem(&self.name).chars().count();
            select(ui, edit.inner.id, CCursorRange::two(CCursor::new(0), CCursor::new(stem)));
        }
        self.field_changed(&edit.inner);
        is_entered(ui, &edit.inner)
    }

    fn field_changed(&mut self, edit: &Response) {
        if edit.changed() {
            self.chosen_row = None;
            self.withdraw();
        }
    }

    /// What of the folder is shown: folders first.
    fn rows(&self) -> Vec<Entry> {
        let Listing::Read(entries) = &self.listing else { return Vec::new() };
        let extensions = self.purpose.extensions().1;
        let is_wanted = |entry: &&Entry| {
            if !entry.name.to_lowercase().starts_with(&self.name_part) {
                return false;
            }
            if self.shows_all {
                return true;
            }
            let fits = has_extension(&entry.name, extensions);
            !entry.name.starts_with('.') && (entry.is_folder || fits)
        };
        entries.iter().filter(is_wanted).cloned().collect()
    }

    /// The content of the folder. Returns whether a file in it was pressed twice.
    fn list_ui(&mut self, ui: &mut Ui, rows: &[Entry]) -> bool {
        let mut pressed = None;
        ScrollArea::vertical().auto_shrink(false).max_height(LIST_HEIGHT).show_rows(
            ui,
            ROW,
            rows.len().max(1),
            |ui, range| {
                if rows.is_empty() {
                    super::widgets::hint(ui, self.empty_words());
                    return;
                }
                for idx in range {
                    let row = self.row_ui(ui, idx, &rows[idx]);
                    if row.clicked() || row.double_clicked() {
                        pressed = Some((idx, row.double_clicked()));
                    }
                }
            },
        );
        if let Some(words) = self.music_words() {
            ui.label(words);
        }
        let (name, extensions) = self.purpose.extensions();
        if !extensions.is_empty() {
            let words = format!("All files, not only {name} ({})", extensions.join(", "));
            if ui.checkbox(&mut self.shows_all, words).changed() {
                self.chosen_row = None;
            }
        }
        let Some((idx, is_double)) = pressed else { return false };
        let adds = ui.input(|input| input.modifiers.command);
        self.pressed(idx, &rows[idx], adds);
        is_double && !rows[idx].is_folder
    }

    fn row_ui(&self, ui: &mut Ui, idx: usize, entry: &Entry) -> Response {
        let text = match entry.is_folder {
            true => format!("{}{}", entry.name, std::path::MAIN_SEPARATOR),
            false => entry.name.to_string(),
        };
        let is_chosen = self.chosen_row == Some(idx);
        // What grows at the right keeps the name at the left.
        let button = egui::Button::selectable(is_chosen, text)
            .right_text(())
            .min_size(egui::vec2(ui.available_width(), ROW))
            .truncate();
        let row = ui.add(button);
        if is_chosen {
            row.scroll_to_me(None);
        }
        row
    }

    fn empty_words(&self) -> String {
        match &self.listing {
            Listing::Unread | Listing::Reading(_) => "Reading the folder…".to_owned(),
            Listing::Failed(error) => error.clone(),
            Listing::Read(_) if !self.name_part.is_empty() => {
                format!("Nothing in this folder begins with “{}”", self.name_part)
            }
            Listing::Read(_) if self.purpose.form() == Form::OpenFolder => {
                "There are no folders in this one".to_owned()
            }
            Listing::Read(_) => "Nothing of that kind is in this folder".to_owned(),
        }
    }

    /// What opening this folder would bring; of files a list of folders shows none.
    fn music_words(&self) -> Option<String> {
        let Listing::Read(entries) = &self.listing else { return None };
        // While a name is written the list is that of the folder around it.
        if self.purpose.form() != Form::OpenFolder || !self.name_part.is_empty() {
            return None;
        }
        let is_music =
            |entry: &&Entry| !entry.is_folder && has_extension(&entry.name, Purpose::MIDI);
        let count = entries.iter().filter(is_music).count();
        let has_folders = entries.iter().any(|entry| entry.is_folder);
        let here = match count {
            0 => "No MIDI files here".to_owned(),
            n => format!("{} here", counted(n, "MIDI file", "MIDI files")),
        };
        Some(match has_folders {
            true => format!("{here}; those in the folders below are read too"),
            false => here,
        })
    }

    /// A row was clicked: a folder is gone into, a file's path is written into the field.
    fn pressed(&mut self, idx: usize, entry: &Entry, adds: bool) {
        let path = self.folder.join(&*entry.name);
        if entry.is_folder {
            return self.enter(path);
        }
        self.chosen_row = Some(idx);
        self.withdraw();
        let text = path.to_string_lossy().into_owned();
        match self.purpose.form() {
            Form::Save => {
                self.name = entry.name.to_string();
                // The list may be of another folder than the one whose name is half written.
                self.path = as_folder(&self.folder);
                self.name_part.clear();
            }
            Form::OpenFiles if adds && !self.path.ends_with(std::path::MAIN_SEPARATOR) => {
                self.path += &format!("; {text}");
            }
            Form::OpenFolder => {}
            _ => self.path = text,
        }
    }

    /// Up and down choose a row while one writes.
    fn arrow_keys(&mut self, ui: &Ui, n_rows: usize) {
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let (up, down) = (pressed(Key::ArrowUp), pressed(Key::ArrowDown));
        if n_rows == 0 || up == down {
            return;
        }
        self.chosen_row = match self.chosen_row {
            None if down => Some(0),
            None => Some(n_rows - 1),
            Some(row) if down => Some((row + 1).min(n_rows - 1)),
            Some(row) => Some(row.saturating_sub(1)),
        };
    }

    /// Enter acts on the row that was gone to, or else on what is written.
    fn entered(&mut self, rows: &[Entry]) -> Option<Check> {
        if let Some((idx, entry)) = self.chosen_row.and_then(|idx| Some((idx, rows.get(idx)?))) {
            self.pressed(idx, entry, false);
            self.is_fresh = true;
            // The next Enter acts on what is written now.
            self.chosen_row = None;
            let is_done = entry.is_folder || self.is_saving();
            return (!is_done).then(|| self.check_of(None));
        }
        // Where a folder is wanted, the one that is written is it.
        let goes_from = (self.purpose.form() != Form::OpenFolder).then(|| self.folder.clone());
        Some(self.check_of(goes_from))
    }

    fn check_of(&self, goes_from: Option<PathBuf>) -> Check {
        Check {
            purpose: self.purpose,
            begin: self.begin.clone(),
            path: self.path.trim().to_owned(),
            name: self.name.trim().to_owned(),
            may_replace: self.may_replace.clone(),
            goes_from,
        }
    }

    /// Finds out whether what was chosen can be used; [`Self::found`] has the answer.
    fn start(&mut self, check: Check, ctx: &egui::Context) {
        self.error = None;
        match ask(ctx, move || check.run()) {
            Ok(receiver) => self.check = Some(receiver),
            Err(error) => self.error = Some(format!("It can't be looked for: {error}. Try again")),
        }
    }

    /// The paths, once it is known that they can be used; if they can't, says why.
    fn found(&mut self) -> Option<Vec<PathBuf>> {
        let found = match self.check.as_ref()?.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Found::refused("It can't be looked for. Try again"),
        };
        self.check = None;
        self.take(found)
    }

    fn take(&mut self, found: Found) -> Option<Vec<PathBuf>> {
        match found {
            Found::Usable(paths) => return Some(paths),
            Found::Folder(folder) => self.enter(folder),
            Found::Refused { error, may_replace } => {
                self.error = Some(error);
                self.may_replace = may_replace.or(self.may_replace.take());
            }
        }
        self.is_fresh = true;
        None
    }

    /// Reads the folder on another thread, and takes what was read.
    fn read(&mut self, ctx: &egui::Context) {
        match &self.listing {
            Listing::Unread => self.listing = self.start_reading(ctx),
            Listing::Reading(receiver) => match receiver.try_recv() {
                Ok((folder, read)) => {
                    if self.begin.take().is_some() {
                        self.path = as_folder(&folder);
                    }
                    self.folder = folder;
                    self.listing = read.map_or_else(Listing::Failed, Listing::Read);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.listing = Listing::Failed("The folder can't be read".to_owned());
                }
            },
            Listing::Read(_) | Listing::Failed(_) => {}
        }
    }

    fn start_reading(&self, ctx: &egui::Context) -> Listing {
        let (purpose, begin, folder) = (self.purpose, self.begin.clone(), self.folder.clone());
        let read = move || {
            let folder = begin.map_or(folder, |begin| begin.folder(purpose));
            let entries = entries(&folder);
            (folder, entries)
        };
        match ask(ctx, read) {
            Ok(receiver) => Listing::Reading(receiver),
            Err(error) => Listing::Failed(format!("The folder can't be read: {error}")),
        }
    }
}

/// What was chosen, to be looked at without the picker.
struct Check {
    purpose: Purpose,
    begin: Option<Suggestion>,
    path: String,
    name: String,
    may_replace: Option<PathBuf>,
    /// Enter was pressed, which goes into another folder than this one.
    goes_from: Option<PathBuf>,
}

/// What became of a [`Check`].
#[derive(PartialEq, Debug)]
enum Found {
    Usable(Vec<PathBuf>),
    /// What is written is a folder, to be gone into.
    Folder(PathBuf),
    /// Why it can't be used, and what may be replaced if that is asked for again.
    Refused {
        error: String,
        may_replace: Option<PathBuf>,
    },
}

impl Found {
    fn refused(error: impl Into<String>) -> Self {
        Self::Refused { error: error.into(), may_replace: None }
    }
}

impl Check {
    /// Asks the file system, which may take its time.
    fn run(&self) -> Found {
        if let Some(here) = &self.goes_from {
            let written = from_home(&self.path);
            if written.is_dir() && written != *here {
                return Found::Folder(written);
            }
        }
        let text = &self.path;
        let paths = match self.purpose.form() {
            Form::Save => return self.saving(),
            Form::OpenFolder => {
                let path = from_home(text);
                let words = || format!("“{}” is no folder — check the path", path.display());
                if path.is_dir() { Ok(vec![path]) } else { Err(words()) }
            }
            Form::OpenFile => checked_file(text).map(|path| vec![path]),
            Form::OpenFiles => {
                let paths = split_paths(text, |path| from_home(path).is_file());
                paths.into_iter().map(checked_file).collect()
            }
        };
        paths.map_or_else(Found::refused, Found::Usable)
    }

    fn saving(&self) -> Found {
        if self.name.is_empty() {
            return Found::refused("There is no name — write one");
        }
        let begin = self.begin.as_ref().map(|begin| begin.folder(self.purpose));
        // A whole path may stand in the name, too.
        let folder = begin.unwrap_or_else(|| from_home(&self.path));
        let name = without_second_ending(&self.name, self.purpose.extensions().1);
        let path = self.purpose.with_extension(folder.join(from_home(name)));
        if path.is_dir() {
            let words = "is a folder — write the name of a file";
            return Found::refused(format!("“{}” {words}", path.display()));
        }
        if path.parent().is_some_and(|folder| !folder.is_dir()) {
            let words = "doesn't exist — choose another";
            return Found::refused(format!("The folder of “{}” {words}", path.display()));
        }
        if path.exists() && self.may_replace.as_ref() != Some(&path) {
            let words = "exists — press Replace to write over it; a copy stays beside it as .bak";
            let error = format!("“{}” {words}", path.display());
            return Found::Refused { error, may_replace: Some(path) };
        }
        Found::Usable(vec![path])
    }
}

/// Asks the file system something on another thread, and wakes the window with the answer.
fn ask<T: Send + 'static>(
    ctx: &egui::Context,
    question: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<Receiver<T>> {
    let (sender, receiver) = bounded(1);
    let ctx = ctx.clone();
    let body = move || {
        // Nobody waits any more if something else was chosen.
        let _unheard = sender.send(question());
        ctx.request_repaint();
    };
    std::thread::Builder::new().name("looking at files".to_owned()).spawn(body)?;
    Ok(receiver)
}

/// A folder as it stands in the field, with what parts it from what is in it.
fn as_folder(folder: &Path) -> String {
    let mut path = folder.to_string_lossy().into_owned();
    if !path.ends_with(std::path::MAIN_SEPARATOR) {
        path.push(std::path::MAIN_SEPARATOR);
    }
    path
}

/// The folder that is written, up to its last separator, and what is written behind that. Of
/// several paths in a line it is the last.
fn written_place(form: Form, text: &str) -> (&str, &str) {
    let path = match form {
        Form::OpenFiles => text.rsplit(';').next().unwrap_or(text),
        _ => text,
    };
    let path = path.trim_start();
    let end = path.rfind(std::path::is_separator).map_or(0, |at| at + 1);
    path.split_at(end)
}

/// A whole path that is written behind a folder takes its place, as where shells complete paths.
/// What is changed within a path stays within it.
fn begun_anew<'a>(before: &str, after: &'a str) -> &'a str {
    match after.strip_prefix(before) {
        Some(added)
            if before.ends_with(std::path::is_separator) && added.starts_with(['/', '~']) =>
        {
            added
        }
        _ => after,
    }
}

/// The name, where it was written with the ending in front of the ending that stood there.
fn without_second_ending<'a>(name: &'a str, extensions: &[&str]) -> &'a str {
    match has_extension(stem(name), extensions) && has_extension(name, extensions) {
        true => stem(name),
        false => name,
    }
}

fn is_entered(ui: &Ui, edit: &Response) -> bool {
    edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

/// A file's name without its ending.
fn stem(name: &str) -> &str {
    match name.rfind('.') {
        None | Some(0) => name,
        Some(at) => &name[..at],
    }
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let is_so = |wanted: &&str| {
        // An ending may have two parts, and something stands before it.
        let at = name.len().checked_sub(wanted.len() + 1)?;
        let ending = name.get(at..).filter(|_| at > 0)?.strip_prefix('.')?;
        Some(ending.eq_ignore_ascii_case(wanted))
    };
    extensions.iter().any(|wanted| is_so(wanted) == Some(true))
}

fn hint(form: Form) -> &'static str {
    match form {
        Form::OpenFolder | Form::Save => "/path/to/a/folder",
        Form::OpenFiles => "/path/to/a/file.mid; /path/to/another.mid",
        Form::OpenFile => "/path/to/a/file",
    }
}

/// The paths of a line, which has a semicolon after each. A name may have one too: where a file
/// is called so, as much of the line is taken for its path.
fn split_paths(line: &str, is_file: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut paths = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let ends = rest.match_indices(';').map(|(at, _)| at).chain([rest.len()]);
        let mut ends = ends.map(|end| (rest[..end].trim(), end)).peekable();
        let first = ends.peek().copied().unwrap_or((rest.trim(), rest.len()));
        let (path, end) = ends.find(|(path, _)| is_file(path)).unwrap_or(first);
        if !path.is_empty() {
            paths.push(path);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    paths
}

fn checked_file(text: &str) -> Result<PathBuf, String> {
    let path = from_home(text);
    if path.is_dir() {
        return Err(format!("“{}” is a folder — choose a file in it", path.display()));
    }
    if !path.exists() {
        return Err(format!("“{}” can't be found — check the path", path.display()));
    }
    Ok(path)
}

/// Folders before files, both by their names.
fn entries(folder: &Path) -> Result<Vec<Entry>, String> {
    let read = std::fs::read_dir(folder)
        .map_err(|error| format!("“{}” can't be read: {error}", folder.display()))?;
    let entry = |entry: std::fs::DirEntry| Entry {
        name: entry.file_name().to_string_lossy().into(),
        is_folder: entry.path().is_dir(),
    };
    let mut entries: Vec<_> = read.filter_map(Result::ok).take(MOST_ENTRIES).map(entry).collect();
    entries.sort_by_cached_key(|entry| (!entry.is_folder, entry.name.to_lowercase()));
    Ok(entries)
}

/// `~/…` as shells read it.
fn from_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.mid", "A.etude", "notes.txt", ".hidden.mid"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        folder
    }

    fn picker(purpose: Purpose, folder: &Path, name: &str) -> FilePicker {
        let suggestion = Suggestion { folders: vec![folder.to_owned()], name: name.to_owned() };
        let mut picker = FilePicker::new(purpose, suggestion);
        picker.begin = None;
        picker.listing = Listing::Read(entries(folder).unwrap());
        picker
    }

    /// As when the button is pressed.
    fn check(picker: &mut FilePicker) -> Option<Vec<PathBuf>> {
        let found = picker.check_of(None).run();
        picker.take(found)
    }

    /// As when Enter is pressed.
    fn entered(picker: &mut FilePicker, rows: &[Entry]) -> Option<Vec<PathBuf>> {
        let found = picker.entered(rows)?.run();
        picker.take(found)
    }

    #[test]
    fn folders_come_first_and_only_what_fits_is_shown() {
        let folder = folder();
        let mut picker = picker(Purpose::OpenScore, folder.path(), "");
        let names = |picker: &FilePicker| {
            picker.rows().iter().map(|entry| entry.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&picker), ["inside", "A.etude", "b.mid"]);
        picker.shows_all = true;
        assert_eq!(names(&picker), ["inside", ".hidden.mid", "A.etude", "b.mid", "notes.txt"]);
        assert!(entries(&folder.path().join("none")).unwrap_err().contains("none"));
    }

    #[test]
    fn what_is_learned_from_may_be_a_set_of_frames() {
        let folder = folder();
        for name in ["jsb.json", "MUSE.JSON.GZ", "other.gz", ".json", "xjson"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let picker = picker(Purpose::LearnFiles, folder.path(), "");
        let names: Vec<String> = picker.rows().iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, ["inside", "b.mid", "jsb.json", "MUSE.JSON.GZ"]);
    }

    #[test]
    fn enter_goes_into_folders_and_chooses_files() {
        let folder = folder();
        let mut picker = picker(Purpose::OpenScore, folder.path(), "");
        let rows = picker.rows();
        picker.chosen_row = Some(2);
        assert_eq!(entered(&mut picker, &rows), Some(vec![folder.path().join("b.mid")]));
        picker.chosen_row = Some(0);
        assert_eq!(entered(&mut picker, &rows), None);
        assert_eq!(picker.folder, folder.path().join("inside"));
        picker.path = folder.path().join("none.mid").display().to_string();
        assert_eq!(entered(&mut picker, &[]), None);
        assert!(picker.error.as_ref().unwrap().contains("can't be found"));
    }

    #[test]
    fn the_list_follows_the_path_that_is_written() {
        let folder = folder();
        std::fs::write(folder.path().join("inside").join("schumann.mid"), "").unwrap();
        std::fs::write(folder.path().join("inside").join("bach.mid"), "").unwrap();
        let mut picker = picker(Purpose::OpenScore, folder.path(), "");
        let inside = folder.path().join("inside");
        picker.path = inside.join("Sch").display().to_string();
        picker.follow_path();
        assert!(matches!(picker.listing, Listing::Unread) && picker.rows().is_empty());
        picker.listing = Listing::Read(entries(&picker.folder).unwrap());
        let rows = picker.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        picker.chosen_row = Some(0);
        assert_eq!(entered(&mut picker, &rows), Some(vec![inside.join("schumann.mid")]));
        picker.path = inside.join("zzz").display().to_string();
        picker.follow_path();
        assert!(picker.rows().is_empty() && picker.empty_words().contains("zzz"));
        // Without its separator at the end it is still the folder above that is looked at.
        picker.path = inside.display().to_string();
        picker.follow_path();
        assert_eq!((picker.folder.as_path(), &*picker.name_part), (folder.path(), "inside"));
        assert_eq!(written_place(Form::OpenFiles, "/a/b.mid; /c/d"), ("/c/", "d"));
        assert_eq!(written_place(Form::OpenFile, "/a/b; /c"), ("/a/b; /", "c"));
        assert_eq!(written_place(Form::OpenFile, "name"), ("", "name"));
    }

    #[test]
    fn a_whole_path_behind_another_takes_its_place() {
        assert_eq!(begun_anew("/a/b/", "/a/b//"), "/");
        assert_eq!(begun_anew("/a/b/", "/a/b//c/d.mid"), "/c/d.mid");
        assert_eq!(begun_anew("/a/b/", "/a/b/~/d"), "~/d");
        // A letter taken away or put between, and a name that goes on.
        assert_eq!(begun_anew("/a/b/c.mid", "/a//c.mid"), "/a//c.mid");
        assert_eq!(begun_anew("/a/b/", "/a/b/c"), "/a/b/c");
        assert_eq!(begun_anew("/a.mid; ", "/a.mid; /b"), "/a.mid; /b");
        assert_eq!(begun_anew("", "/a"), "/a");
    }

    #[test]
    fn several_paths_stand_in_a_line_and_a_name_may_have_a_semicolon() {
        let is_file = |path: &str| ["/a.mid", "/b; c.mid", "/d;"].contains(&path);
        let split = |line| split_paths(line, is_file);
        assert_eq!(split("/a.mid; /b; c.mid;/a.mid"), ["/a.mid", "/b; c.mid", "/a.mid"]);
        assert_eq!(split("/d;"), ["/d;"]);
        // What is no file is told of as it was written.
        assert_eq!(split("/none.mid ; /a.mid;; "), ["/none.mid", "/a.mid"]);
        assert_eq!(split(" ; "), [""; 0]);
    }

    #[test]
    fn a_folder_says_what_music_is_in_it_and_is_taken_by_one_enter() {
        let folder = folder();
        let mut picker = picker(Purpose::LearnFolder, folder.path(), "");
        let words = "2 MIDI files here; those in the folders below are read too";
        assert_eq!(picker.music_words().as_deref(), Some(words));
        picker.name_part = "ins".to_owned();
        assert_eq!(picker.music_words(), None, "it is another folder's");
        picker.name_part.clear();
        let inside = folder.path().join("inside");
        picker.path = inside.display().to_string();
        assert_eq!(entered(&mut picker, &[]), Some(vec![inside.clone()]));
        picker.listing = Listing::Read(entries(&inside).unwrap());
        assert_eq!(picker.music_words().as_deref(), Some("No MIDI files here"));
    }

    #[test]
    fn saving_adds_the_ending_and_asks_before_it_replaces() {
        let folder = folder();
        let mut picker = picker(Purpose::ExportMidi, folder.path(), "new");
        assert_eq!(check(&mut picker), Some(vec![folder.path().join("new.mid")]));
        // An ending that isn't the wanted one is a part of the name.
        for (name, saved) in [("a.b", "a.b.mid"), ("Up.MID", "Up.MID"), ("x.midi2", "x.midi2.mid")]
        {
            picker.name = name.to_owned();
            assert_eq!(check(&mut picker), Some(vec![folder.path().join(saved)]));
        }
        assert_eq!((stem("a.b.mid"), stem("a"), stem(".a")), ("a.b", "a", ".a"));
        picker.name = "b".to_owned();
        assert_eq!(check(&mut picker), None);
        assert_eq!(picker.word(), "Replace");
        assert_eq!(check(&mut picker), Some(vec![folder.path().join("b.mid")]));
        for (name, words) in [("", "no name"), ("none/x", "doesn't exist"), ("inside", "inside")] {
            picker.may_replace = None;
            picker.name = name.to_owned();
            let answer = check(&mut picker);
            match name {
                // With its ending it is another name than the folder's.
                "inside" => assert!(answer.is_some()),
                _ => assert!(picker.error.as_ref().unwrap().contains(words), "{:?}", picker.error),
            }
        }
    }

    #[test]
    fn an_ending_that_is_written_too_stands_once() {
        let folder = folder();
        let mut picker = picker(Purpose::SaveProject, folder.path(), "Untitled.etude");
        picker.path = folder.path().display().to_string();
        for name in ["waltz.etude.etude", "waltz.etude", "waltz"] {
            picker.name = name.to_owned();
            assert_eq!(check(&mut picker), Some(vec![folder.path().join("waltz.etude")]), "{name}");
        }
        picker.name = "waltz.mid.etude".to_owned();
        assert_eq!(check(&mut picker), Some(vec![folder.path().join("waltz.mid.etude")]));
    }

    #[test]
    fn it_begins_in_the_first_folder_that_is_there_unless_another_is_written() {
        let folder = folder();
        let gone = folder.path().join("gone");
        let suggestion = || Suggestion {
            folders: vec![gone.clone(), folder.path().to_owned()],
            name: "new".to_owned(),
        };
        let ctx = egui::Context::default();
        let read = |picker: &mut FilePicker| {
            picker.read(&ctx);
            let Listing::Reading(receiver) = &picker.listing else { panic!("it isn't read") };
            let read = receiver.recv().unwrap();
            let (sender, receiver) = bounded(1);
            sender.send(read).unwrap();
            picker.listing = Listing::Reading(receiver);
            picker.read(&ctx);
        };
        let mut picker = FilePicker::new(Purpose::ExportMidi, suggestion());
        assert_eq!(picker.path, as_folder(&gone), "nothing was asked yet");
        let early = picker.check_of(None).run();
        assert_eq!(early, Found::Usable(vec![folder.path().join("new.mid")]));
        read(&mut picker);
        assert_eq!((picker.path.clone(), picker.rows().len()), (as_folder(folder.path()), 2));

        let mut picker = FilePicker::new(Purpose::OpenScore, suggestion());
        picker.path = "/elsewhere".to_owned();
        picker.begin = None;
        read(&mut picker);
        assert_eq!(picker.path, "/elsewhere");
    }
}
