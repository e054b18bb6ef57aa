//! Opening, editing and saving the score.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::App;
use super::risk::Risk;
use crate::assets;
use crate::editor::{Project, ScoreEdit};
use crate::music::{Score, smf};
use crate::tokens::BenchmarkSet;
use crate::ui::action::{Choice, DocumentAction};
use crate::ui::dialogs::Purpose;
use crate::ui::state::{Document, ProjectView, Question, Shown, TakeEntry};
use crate::ui::tasks::{Answer, Opened, Saving};
use crate::ui::widgets::{counted, file_name};

impl App {
    pub(super) fn document_action(&mut self, ctx: &egui::Context, action: DocumentAction) {
        match action {
            DocumentAction::Open(path) => self.replace_score(ctx, Question::Open(path)),
            DocumentAction::OpenBuiltIn(idx) => {
                self.replace_score(ctx, Question::OpenBuiltIn(idx));
            }
            DocumentAction::Edit(edit) => self.edit(&edit),
            DocumentAction::Change(change) => self.change(&change),
            DocumentAction::Paste(text) => self.paste_text(text),
            DocumentAction::PasteCopied => self.paste_copied(),
            DocumentAction::Select(selection) => self.state.document.selection = selection,
            DocumentAction::JumpTo(n_done) => {
                self.keeping_place(|document| document.jump_to(n_done));
                self.show_score_at_once();
            }
        }
    }

    /// Another score is to come into the window: at once, or when the question about the unsaved
    /// one is answered.
    pub(super) fn replace_score(&mut self, ctx: &egui::Context, with: Question) {
        if self.state.document.is_unsaved() {
            self.keep_now();
            self.state.question = Some(with);
        } else {
            self.state.question = None;
            self.go_on(ctx, with);
        }
    }

    /// The file that the score was read from or saved to, as it is on the disk. Only what was
    /// changed since is asked about: without changes there is nothing to go back on.
    pub(super) fn revert(&mut self, ctx: &egui::Context) {
        self.replace_score(ctx, Question::Revert);
    }

    /// Another score is being read from now on; what was asked for before it is not wanted any
    /// more. The number goes with the reading and comes back with its answer.
    pub(super) fn expect_score(&mut self) -> u64 {
        self.n_expected += 1;
        self.replaced = Some(self.state.document.piece());
        self.n_expected
    }

    /// Whether a score that was read is the one that was asked for last.
    pub(super) fn is_expected(&self, number: u64) -> bool {
        number == self.n_expected
    }

    /// Whether there are new edits since another score was asked for: what was answered before
    /// they were made doesn't count for them.
    pub(super) fn has_edited_meanwhile(&self) -> bool {
        let piece = self.state.document.piece();
        let is_as_before = self.replaced.as_ref().is_some_and(|before| before.is(&piece));
        self.state.document.is_unsaved() && !is_as_before
    }

    /// Something serious: shown until it is read.
    pub(super) fn alert(&mut self, error: String) {
        self.state.alert = Some(error.clone());
        self.state.notices.error_elsewhere(error);
    }

    /// Changes the score. Where that changes its tempo the playhead stays at its bar and beat,
    /// and not at its second.
    pub(super) fn keeping_place<T>(&mut self, change: impl FnOnce(&mut Document) -> T) -> T {
        let before = Arc::clone(self.state.document.history.score());
        let playhead = self.state.score_playhead();
        let result = change(&mut self.state.document);
        let after = &self.state.document.history.score().tempo_map;
        let is_same_grid = after.ticks_per_quarter() == before.tempo_map.ticks_per_quarter();
        if is_same_grid && *after != before.tempo_map {
            let secs = after.secs_from_tick(playhead);
            self.state.sound.score_playhead_secs = secs;
            if self.state.shown == Shown::Score {
                self.sync_player();
                self.seek(secs);
            }
        }
        result
    }

    pub(super) fn edit(&mut self, edit: &ScoreEdit) {
        if let Err(error) = self.keeping_place(|document| document.commit(edit)) {
            self.state.notices.error(format!("{} failed — {error}. Try again", edit.label()));
        }
    }

    pub(super) fn undo(&mut self) {
        if let Some(label) = self.keeping_place(Document::undo) {
            self.show_score_at_once();
            self.state.notices.note(format!("Undone: {label}"));
        }
    }

    pub(super) fn redo(&mut self) {
        if let Some(label) = self.keeping_place(Document::redo) {
            self.show_score_at_once();
            self.state.notices.note(format!("Done again: {label}"));
        }
    }

    /// What undo changed must be seen; a playing score plays on.
    pub(super) fn show_score_at_once(&mut self) {
        if self.state.shown != Shown::Score {
            self.show_score();
        }
    }

    /// The score that was read, if it is still wanted. One that can't be read is told of; edits
    /// made since it was asked for are asked about.
    pub(super) fn wanted_score(
        &mut self,
        number: u64,
        result: Result<Opened, String>,
        ask_again: impl FnOnce() -> Question,
    ) -> Option<Opened> {
        match result {
            _ if !self.is_expected(number) => {}
            Err(error) => self.alert(error),
            Ok(_) if self.has_edited_meanwhile() => self.state.question = Some(ask_again()),
            Ok(opened) => return Some(opened),
        }
        None
    }

    /// Reads a score once what is here is kept; [`Self::opened`] follows.
    pub(super) fn read_score(&mut self, path: PathBuf) {
        let (number, path) = (self.expect_score(), whole(path));
        self.risk(Risk::Read { number, path });
    }

    pub(super) fn begin_reading(&mut self, number: u64, path: PathBuf) {
        if !self.is_expected(number) {
            return;
        }
        self.tasks.spawn("opening a file", move || {
            let result = read_any(&path);
            // A file system may take its time to answer this too.
            let is_missing = result.is_err() && !path.exists();
            Answer::Opened { number, path, is_missing, result }
        });
    }

    pub(super) fn opened(
        &mut self,
        number: u64,
        path: PathBuf,
        is_missing: bool,
        result: Result<Opened, String>,
    ) {
        if is_missing {
            self.state.preferences.recent.retain(|other| *other != path);
        }
        let ask_again = || Question::Open(path.clone());
        let Some(mut opened) = self.wanted_score(number, result, ask_again) else { return };
        // A project goes by the name of its file.
        if opened.score.title.is_empty() && !opened.is_project {
            let stem = path.file_stem().unwrap_or_default();
            opened.score.title = stem.to_string_lossy().into_owned();
        }
        let n_notes = opened.score.notes().len();
        let place = opened.is_project.then(|| path.clone());
        let warnings = std::mem::take(&mut opened.warnings);
        self.adopt(opened, place);
        self.state.document.source = Some(path.clone());
        self.state.preferences.remember(&path);
        let name = file_name(&path);
        let notes = counted(n_notes, "note", "notes");
        match warnings.as_slice() {
            [] => self.state.notices.done(format!("Opened {name}: {notes}")),
            [first, rest @ ..] => {
                let more = match rest.len() {
                    0 => String::new(),
                    n => format!(" (and {n} more remarks)"),
                };
                self.state.notices.note(format!("Opened {name}: {notes}. {first}{more}"));
            }
        }
    }

    /// The score comes into the window, with how it was looked at and what was composed for it.
    pub(super) fn adopt(&mut self, opened: Opened, path: Option<PathBuf>) {
        let Opened { score, takes, view, .. } = opened;
        self.set_document(score, path);
        self.state.document.adopt_view(&view);
        if let Some(look) = view.look {
            self.roll.set_look(look);
        }
        self.adopt_takes(takes);
    }

    fn open_built_in(&mut self, idx: usize) {
        if let Some((title, score)) = assets::pieces().get(idx) {
            let mut score = score.clone();
            if score.title.is_empty() {
                score.title.clone_from(title);
            }
            self.set_document(score, None);
        }
    }

    pub(super) fn set_document(&mut self, score: Score, path: Option<PathBuf>) {
        self.player.pause();
        // The new roll knows of no key that is held.
        self.player.all_keys_up();
        // What is still being read was to come in place of the score that goes now.
        self.expect_score();
        self.state.document = Document::new(score, path);
        self.n_documents += 1;
        // It was to follow the saving of another piece.
        self.after_saving = None;
        self.state.shown = Shown::Score;
        // It was the key of another piece.
        self.state.key = None;
        self.sync_player();
        self.player.seek(0.0);
        self.read_clock();
        self.roll = self.roll.for_another_piece();
    }

    pub(super) fn save(&mut self) {
        match self.state.document.path.clone() {
            Some(path) => self.save_to(path),
            None => self.ask(Purpose::SaveProject),
        }
    }

    pub(super) fn save_to(&mut self, path: PathBuf) {
        let saving = Saving {
            document: self.n_documents,
            path: whole(path),
            piece: self.state.document.piece(),
            then: self.after_saving.take(),
        };
        let project = self.project();
        self.tasks.write("saving", move || {
            let result = project().write(&saving.path).map_err(|error| error.to_string());
            Answer::ProjectSaved { saving, result }
        });
    }

    /// Everything about the piece in work: the score, the takes, and what made them. What takes
    /// long is left to the thread that writes it.
    pub(super) fn project(&self) -> impl FnOnce() -> Project + Send + use<> {
        let score = Arc::clone(self.state.document.history.score());
        let takes = self.state.takes.list.clone();
        let view = ProjectView { look: self.roll.look(), ..self.state.document.view() };
        move || {
            let mut project = Project::new(Score::clone(&score));
            let takes = takes.iter().filter_map(|entry| serde_json::to_value(entry).ok());
            project.takes = takes.collect();
            project.view = serde_json::to_value(view).ok();
            project
        }
    }

    /// Takes of a project join the list, once it is known what the list has already.
    pub(super) fn adopt_takes(&mut self, takes: Vec<TakeEntry>) {
        if !self.state.takes.is_read {
            return self.state.takes.to_adopt.extend(takes);
        }
        for entry in self.state.takes.adopt(takes, &self.data_dir) {
            self.keep_take(&entry);
        }
    }

    pub(super) fn saved(
        &mut self,
        ctx: &egui::Context,
        saving: Saving,
        result: Result<(), String>,
    ) {
        let Saving { document, path, piece, then } = saving;
        match result {
            Ok(()) => {
                self.state.notices.done(format!("Saved {}", path.display()));
                self.state.preferences.remember(&path);
                // The file is that of the document that was here, and nothing waits for it.
                if document != self.n_documents {
                    return;
                }
                self.state.document.mark_saved(piece, path);
                match then {
                    // What was changed while the file was written is worth the question again.
                    Some(then) if self.state.document.is_unsaved() => {
                        self.state.question = Some(then);
                    }
                    Some(then) => self.go_on(ctx, then),
                    None => {}
                }
            }
            Err(error) => self.alert(error),
        }
    }

    pub(super) fn answered(&mut self, ctx: &egui::Context, question: Question, choice: Choice) {
        self.state.question = None;
        match (question, choice) {
            (Question::Recover, choice) => self.recover_answered(choice),
            (Question::Discard(name), choice) => self.discard_answered(&name, choice),
            (_, Choice::Cancel) => {}
            (question, Choice::GoOn) => self.go_on(ctx, question),
            (question, Choice::SaveFirst) => {
                self.after_saving = Some(question);
                self.save();
            }
        }
    }

    /// What was asked about is done.
    fn go_on(&mut self, ctx: &egui::Context, question: Question) {
        match question {
            Question::Close => self.close(ctx),
            Question::Open(path) => self.read_score(path),
            Question::OpenBuiltIn(idx) => self.open_built_in(idx),
            Question::New => self.set_document(Score::default(), None),
            Question::Revert => {
                if let Some(path) = self.state.document.source.clone() {
                    self.read_score(path);
                }
            }
            Question::Restore(work) => self.restore(work),
            Question::FetchNvidia => self.fetch_nvidia(),
            // Answered where they are asked; nothing waits for them.
            Question::Recover | Question::Discard(_) => {}
        }
    }

    pub(super) fn close(&mut self, ctx: &egui::Context) {
        self.is_closing = true;
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }

    /// Files and folders that were dropped: a folder is learned from, as are several files and a set
    /// of frames; one piece is opened.
    pub(super) fn dropped(&mut self, paths: Vec<PathBuf>) {
        self.tasks.spawn("looking at what was dropped", move || {
            let is_piece = |path: &PathBuf| !path.is_dir() && !BenchmarkSet::is_named(path);
            let is_one_file = matches!(paths.as_slice(), [path] if is_piece(path));
            Answer::Dropped { paths, is_one_file }
        });
    }

    pub(super) fn take_dropped(
        &mut self,
        ctx: &egui::Context,
        paths: Vec<PathBuf>,
        is_one_file: bool,
    ) {
        match paths.first() {
            Some(path) if is_one_file => {
                self.document_action(ctx, DocumentAction::Open(path.clone()));
            }
            Some(_) => self.learn_from(paths),
            None => {}
        }
    }

    /// Shows the name of the score, and whether it is saved, in the window's title.
    pub(super) fn set_title(&self, ctx: &egui::Context) {
        let mark = if self.state.document.is_unsaved() { "• " } else { "" };
        let title = format!("{mark}{} – Etude", self.state.document.name());
        let id = egui::Id::unique("window title");
        let is_new = ctx.data_mut(|data| {
            let shown = data.get_temp_mut_or_default::<String>(id);
            let is_new = *shown != title;
            shown.clone_from(&title);
            is_new
        });
        if is_new {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title));
        }
    }
}

/// The path from the root: what is remembered of it is used from other folders, too.
fn whole(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// A MIDI file or a project, by its ending.
fn read_any(path: &Path) -> Result<Opened, String> {
    let is_project = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("etude"));
    if is_project {
        let project = Project::read(path).map_err(|error| error.to_string())?;
        return Ok(Opened::from(project));
    }
    let import = smf::read_file(path).map_err(|error| {
        let error = error.to_string();
        let name = path.display();
        // The importer knows the bytes; which file they were is known here.
        if error.contains(&*name.to_string()) {
            error
        } else {
            format!("{name} can't be opened — {error}")
        }
    })?;
    let warnings = import.warnings.iter().map(ToString::to_string).collect();
    let (takes, view) = (Vec::new(), ProjectView::default());
    Ok(Opened { score: import.score, warnings, is_project, takes, view })
}

/// Takes that this version can't read are passed over, and said.
impl From<Project> for Opened {
    fn from(project: Project) -> Self {
        let n_takes = project.takes.len();
        let takes = project.takes.into_iter().map(serde_json::from_value::<TakeEntry>);
        let takes: Vec<TakeEntry> = takes.filter_map(Result::ok).map(TakeEntry::restored).collect();
        let mut warnings = Vec::new();
        if takes.len() < n_takes {
            let lost = counted(n_takes - takes.len(), "take", "takes");
            warnings.push(format!("{lost} in it can't be read and will not be saved again"));
        }
        let view = project.view.as_ref().map(ProjectView::read).unwrap_or_default();
        Self { score: project.score, warnings, is_project: true, takes, view }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Window;
    use super::*;
    use crate::ui::action::AppAction;
    use crate::ui::command::Command;

    /// Work that is in a file, changed since and about to be saved there by a slow disk.
    fn with_a_slow_save() -> (Window, PathBuf, crossbeam_channel::Sender<()>) {
        let mut window = Window::with_unsaved_work();
        let path = window.folder.path().join("a.etude");
        window.act(AppAction::PathsChosen(Purpose::SaveProject, vec![path.clone()]));
        window.wait("it is saved", |app| !app.state.document.is_unsaved());
        window.act(AppAction::Run(Command::Undo));
        assert!(window.app().state.document.is_unsaved());
        let go_on = window.hold_writer();
        window.act(AppAction::Run(Command::SaveProject));
        (window, path, go_on)
    }

    #[test]
    fn a_save_that_is_answered_late_gives_another_piece_no_file() {
        let n_notes = assets::first_score().notes().len();
        // The same is saved a second time before the new piece, as one asks for both.
        let (mut window, path, go_on) = with_a_slow_save();
        window.act(AppAction::Run(Command::NewScore));
        window.act(AppAction::Answer(Question::New, Choice::SaveFirst));
        go_on.send(()).unwrap();
        window.wait_for_writer();
        let document = &window.app().state.document;
        assert_eq!((document.name().as_str(), document.path.as_ref()), ("Untitled", None));
        assert!(!document.is_unsaved());
        assert_eq!(Project::read(&path).unwrap().score.notes().len(), n_notes);

        // Another piece is opened while it is written.
        let (mut window, path, go_on) = with_a_slow_save();
        window.act(AppAction::Document(DocumentAction::OpenBuiltIn(0)));
        window.act(AppAction::Answer(Question::OpenBuiltIn(0), Choice::GoOn));
        go_on.send(()).unwrap();
        window.wait_for_writer();
        assert!(window.sees(&format!("Saved {}", path.display())));
        assert_eq!(window.app().state.document.path, None);
        assert_eq!(window.app().state.preferences.recent, [path]);
    }

    #[test]
    fn a_save_that_fails_is_followed_by_nothing() {
        let (mut window, path, go_on) = with_a_slow_save();
        window.act(AppAction::Run(Command::NewScore));
        window.act(AppAction::Answer(Question::New, Choice::SaveFirst));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        go_on.send(()).unwrap();
        window.wait_for_writer();
        assert!(window.app().state.alert.is_some());
        assert_eq!(window.app().state.document.path, Some(path));
        assert!(window.app().state.document.is_unsaved());
    }
}
