//! The Notes menu: what is done to the chosen notes, and what goes through the clipboard.

use std::sync::Arc;

use egui::{Context, Event, ViewportCommand};

use super::App;
use crate::editor::operations::{self, Quantize};
use crate::editor::{Change, Clipboard, ClipboardError, Selection};
use crate::music::{Note, Score, Tick};
use crate::ui::action::{Actions, AppAction, DocumentAction};
use crate::ui::command::Command;
use crate::ui::edit_dialogs::{self, EditDialog};
use crate::ui::piano_roll::chord_at;
use crate::ui::state::{EditForm, Shown};
use crate::ui::tasks::Answer;
use crate::ui::widgets::counted;

/// Frames that the system's clipboard may take to answer.
const PASTE_FRAMES: u8 = 2;

/// More notes than these are made into text on another thread: 200,000 are some 14 MB.
const MANY_NOTES: usize = 2_000;

/// Longer text than this is read on another thread.
const MUCH_TEXT: usize = 128 << 10;

impl App {
    /// Commits an edit with what is selected after it.
    pub(super) fn change(&mut self, change: &Change) {
        if let Err(error) = self.keeping_place(|document| document.commit_change(change)) {
            let what = change.edit.label();
            self.state.notices.error(format!("{what} failed — {error}. Try again"));
        }
    }

    /// Does an operation to the chosen notes, and says so when it changes nothing.
    pub(super) fn operate(
        &mut self,
        command: Command,
        operation: impl FnOnce(&Score, &Selection) -> Option<Change>,
    ) {
        // What is chosen in the score isn't seen while a take is shown.
        if self.state.shown != Shown::Score {
            return self.refuse_editing();
        }
        let document = &self.state.document;
        match operation(document.history.score(), &document.selection) {
            Some(change) => self.change(&change),
            None => {
                let name = command.label().trim_end_matches('…');
                self.state.notices.note(format!("{name}: that changes none of the chosen notes"));
            }
        }
    }

    /// The same for what is heard once it is done: nothing sounds where nothing changes.
    fn operate_and_hear(
        &mut self,
        command: Command,
        operation: impl FnOnce(&Score, &Selection) -> Option<Change>,
    ) {
        let before = self.state.document.history.state();
        self.operate(command, operation);
        if self.state.document.history.state() != before {
            self.hear_selection();
        }
    }

    /// Chooses notes by the score, what is chosen and where the playhead is.
    pub(super) fn select(&mut self, selection: impl FnOnce(&Score, &Selection, Tick) -> Selection) {
        self.show_score_at_once();
        let playhead = self.state.score_playhead();
        let document = &mut self.state.document;
        document.selection = selection(document.history.score(), &document.selection, playhead);
    }

    /// The window reports Ctrl+C, X and V as events of the clipboard. They are the roll's unless
    /// a text is being written.
    pub(super) fn clipboard_events(&mut self, ctx: &Context, actions: &mut Actions) {
        if ctx.text_edit_focused() {
            return;
        }
        let has_selection = !self.state.document.selection.is_empty();
        ctx.input_mut(|input| {
            input.events.retain_mut(|event| {
                let action = match event {
                    Event::Copy if has_selection => AppAction::Run(Command::Copy),
                    Event::Cut => AppAction::Run(Command::Cut),
                    Event::Paste(text) => {
                        AppAction::Document(DocumentAction::Paste(std::mem::take(text)))
                    }
                    _ => return true,
                };
                actions.push(action);
                false
            });
        });
        self.wait_for_paste(ctx, actions);
    }

    /// Asks the system for what is in its clipboard; the answer is an event.
    pub(super) fn ask_for_paste(&mut self, ctx: &Context) {
        ctx.send_viewport_cmd(ViewportCommand::RequestPaste);
        self.paste_frames = Some(PASTE_FRAMES);
        ctx.request_repaint();
    }

    /// A system without a clipboard doesn't answer: then what was copied here is pasted.
    fn wait_for_paste(&mut self, ctx: &Context, actions: &mut Actions) {
        let is_pasted =
            |action: &AppAction| matches!(action, AppAction::Document(DocumentAction::Paste(_)));
        match self.paste_frames {
            None => {}
            Some(_) if actions.iter().any(is_pasted) => self.paste_frames = None,
            Some(0) => {
                self.paste_frames = None;
                actions.push(AppAction::Document(DocumentAction::PasteCopied));
            }
            Some(n_frames) => {
                self.paste_frames = Some(n_frames - 1);
                ctx.request_repaint();
            }
        }
    }

    /// Pastes what the system's clipboard holds. What was copied here is at hand, and so it isn't
    /// read again.
    pub(super) fn paste_text(&mut self, text: String) {
        if self.copied.as_ref().is_some_and(|copied| copied.is(&text)) {
            return self.paste_copied();
        }
        let (document, at) = (self.n_documents, self.state.score_playhead());
        if text.len() <= MUCH_TEXT {
            return self.paste_read(document, at, Clipboard::from_text(&text));
        }
        self.tasks.spawn("reading the clipboard", move || Answer::PasteRead {
            document,
            at,
            result: Clipboard::from_text(&text),
        });
    }

    pub(super) fn paste_read(
        &mut self,
        document: u64,
        at: Tick,
        result: Result<Clipboard, ClipboardError>,
    ) {
        match result {
            // It was meant for a piece that is gone.
            _ if document != self.n_documents => {}
            Ok(clipboard) => self.paste(&clipboard, at),
            Err(error) => self.state.notices.error(error.to_string()),
        }
    }

    /// Pastes what was copied or cut here last.
    pub(super) fn paste_copied(&mut self) {
        let at = self.state.score_playhead();
        match self.copied.as_ref().map(|copied| Arc::clone(&copied.clipboard)) {
            Some(clipboard) => self.paste(&clipboard, at),
            None => self.state.notices.note("Paste: nothing has been copied yet"),
        }
    }

    fn paste(&mut self, clipboard: &Clipboard, at: Tick) {
        self.operate(Command::Paste, |score, _| operations::paste(score, clipboard, at));
    }

    pub(super) fn copy(&mut self, ctx: &Context) {
        if self.state.shown != Shown::Score {
            return self.refuse_editing();
        }
        let document = &self.state.document;
        let copied = Clipboard::copy(document.history.score(), &document.selection);
        if let Some(clipboard) = copied {
            let notes = counted(clipboard.len(), "note", "notes");
            self.state.notices.done(format!("Copied {notes}"));
            self.keep(ctx, clipboard);
        }
    }

    pub(super) fn cut(&mut self, ctx: &Context) {
        if self.state.shown != Shown::Score {
            return self.refuse_editing();
        }
        let document = &self.state.document;
        let cut = operations::cut(document.history.score(), &document.selection);
        if let Some((clipboard, change)) = cut {
            self.keep(ctx, clipboard);
            self.change(&change);
        }
    }

    fn keep(&mut self, ctx: &Context, clipboard: Clipboard) {
        let clipboard = Arc::new(clipboard);
        self.copied = Some(Copied { clipboard: Arc::clone(&clipboard), text: None });
        if clipboard.len() <= MANY_NOTES {
            let text = clipboard.to_text();
            return self.copy_written(ctx, &clipboard, text);
        }
        self.tasks.spawn("copying", move || {
            let text = clipboard.to_text();
            Answer::CopyWritten { clipboard, text }
        });
    }

    /// The system gets what was copied, unless something else was copied since.
    pub(super) fn copy_written(&mut self, ctx: &Context, clipboard: &Arc<Clipboard>, text: String) {
        let is_latest = |copied: &&mut Copied| Arc::ptr_eq(&copied.clipboard, clipboard);
        if let Some(copied) = self.copied.as_mut().filter(is_latest) {
            ctx.copy_text(text.clone());
            copied.text = Some(text);
        }
    }

    /// The system holds what it held before: that is what is pasted then.
    pub(super) fn copying_broke(&mut self) {
        if let Some(copied) = &mut self.copied {
            copied.text.get_or_insert_default();
        }
    }

    pub(super) fn duplicate(&mut self) {
        let step = self.roll.step_in_view();
        self.operate(Command::Duplicate, |score, selection| {
            operations::duplicate(score, selection, step)
        });
    }

    pub(super) fn add_note(&mut self, ctx: &Context) {
        if self.state.shown != Shown::Score {
            return self.refuse_editing();
        }
        self.roll.ask_for_note();
        ctx.request_repaint();
    }

    pub(super) fn quick_quantize(&mut self) {
        let how = Quantize { step: self.roll.step_in_view(), ..Quantize::default() };
        self.operate(Command::QuickQuantize, |score, selection| {
            operations::quantize(score, selection, &how)
        });
    }

    pub(super) fn step_in_scale(&mut self, command: Command, degrees: i32) {
        let scale = self.state.edit_scale();
        self.operate_and_hear(command, |score, selection| {
            operations::transpose_in_scale(score, selection, scale, degrees)
        });
    }

    pub(super) fn snap_to_scale(&mut self) {
        let scale = self.state.edit_scale();
        self.operate_and_hear(Command::SnapToScale, |score, selection| {
            operations::snap_to_scale(score, selection, scale)
        });
    }

    /// Lets the chosen notes that begin with the first of them sound together.
    fn hear_selection(&self) {
        let document = &self.state.document;
        self.hear(document.selection.notes(document.history.score()));
    }

    /// Lets those of these notes that begin with the first sound together.
    fn hear<'a>(&self, notes: impl Iterator<Item = &'a Note>) {
        let mut notes = notes.peekable();
        let Some(first) = notes.peek().map(|note| note.start) else { return };
        self.audition(&chord_at(notes, first).collect::<Vec<_>>());
    }

    pub(super) fn split_at_playhead(&mut self) {
        let at = self.state.score_playhead();
        self.operate(Command::SplitAtPlayhead, |score, selection| {
            operations::split_at(score, selection, at)
        });
    }

    /// Opens a dialog about the chosen notes.
    pub(super) fn ask_how(&mut self, dialog: EditDialog) {
        if self.state.shown != Shown::Score {
            return self.refuse_editing();
        }
        let mut form = self.state.preferences.edits.clone();
        if dialog == EditDialog::Quantize {
            form.quantize_step = self.roll.step_in_view();
        }
        self.edit_dialog = Some(OpenDialog { dialog, form, proposed: None });
    }

    pub(super) fn edit_dialog_ui(&mut self, ctx: &Context, actions: &mut Actions) {
        let scale = self.state.edit_scale();
        let Some(OpenDialog { dialog, form, .. }) = &mut self.edit_dialog else { return };
        match edit_dialogs::ui(ctx, *dialog, form, scale) {
            edit_dialogs::Answer::Open => return self.propose(ctx),
            edit_dialogs::Answer::Cancelled => {}
            edit_dialogs::Answer::Applied => {
                self.state.preferences.edits = form.clone();
                actions.push(AppAction::ApplyEdit(*dialog));
            }
        }
        self.edit_dialog = None;
        self.roll.proposed = None;
    }

    /// Shows, and where it can be told by ear lets hear, what the open dialog would do.
    fn propose(&mut self, ctx: &Context) {
        let scale = self.state.edit_scale();
        let Some(OpenDialog { dialog, form, proposed }) = &mut self.edit_dialog else { return };
        let document = &self.state.document;
        let (score, selection) = (document.history.score(), &document.selection);
        let is_shown =
            |(shown, of): &(EditForm, Arc<Score>)| shown == form && Arc::ptr_eq(of, score);
        if proposed.as_ref().is_some_and(is_shown) {
            return;
        }
        let is_heard = proposed.is_some() && dialog.is_heard();
        *proposed = Some((form.clone(), Arc::clone(score)));
        let change = dialog.change(form, score, selection, scale);
        // What can't be done is said when it is applied.
        let after = change.and_then(|change| Some((change.edit.apply(score).ok()?, change)));
        let notes = after
            .map(|(after, change)| change.selection.notes(&after).copied().collect::<Vec<Note>>());
        if is_heard && let Some(notes) = &notes {
            self.hear(notes.iter());
        }
        self.roll.proposed = notes;
        ctx.request_repaint();
    }

    /// Does what the form of a dialog says.
    pub(super) fn apply_edit(&mut self, dialog: EditDialog) {
        let (form, scale) = (self.state.preferences.edits.clone(), self.state.edit_scale());
        let change = |score: &Score, chosen: &Selection| dialog.change(&form, score, chosen, scale);
        match dialog.is_heard() {
            true => self.operate_and_hear(dialog.command(), change),
            false => self.operate(dialog.command(), change),
        }
    }
}

/// What was copied or cut here.
pub(super) struct Copied {
    clipboard: Arc<Clipboard>,
    /// As the system has it; `None` while that is being written.
    text: Option<String>,
}

impl Copied {
    /// Whether it is what the system's clipboard holds, or is about to.
    fn is(&self, held: &str) -> bool {
        self.text.as_deref().is_none_or(|text| text == held)
    }
}

/// A dialog of the Notes menu that is open.
pub(super) struct OpenDialog {
    dialog: EditDialog,
    form: EditForm,
    /// What is set in the form, and the score, that the roll shows the outcome of.
    proposed: Option<(EditForm, Arc<Score>)>,
}

#[cfg(test)]
mod tests {
    use egui::accesskit::Role;
    use egui::{Key, Modifiers, vec2};
    use egui_kittest::kittest::Queryable as _;

    use super::super::tests::Window;
    use super::*;

    fn pitches(notes: &[Note]) -> Vec<u8> {
        notes.iter().map(|note| note.pitch.number()).collect()
    }

    fn key(window: &mut Window, modifiers: Modifiers, key: Key) {
        window.harness.key_press_modifiers(modifiers, key);
        window.harness.run_steps(4);
    }

    #[test]
    fn a_dialog_shows_what_it_would_do_and_leaves_nothing_behind() {
        let mut window = Window::open();
        window.harness.run_steps(2);
        let before = Arc::clone(window.app().state.document.history.score());
        key(&mut window, Modifiers::COMMAND, Key::A);
        key(&mut window, Modifiers::SHIFT, Key::T);
        let shown = |window: &mut Window| {
            window.app().roll.proposed.as_deref().map(|notes| pitches(notes)[0])
        };
        let first = before.notes()[0].pitch.number();
        assert_eq!(shown(&mut window), Some(first + 12), "an octave, as it is set at first");

        // Dragged to the left, while the text is selected.
        let field = window.harness.get_by_role_and_label(Role::SpinButton, "Up by").rect();
        window.harness.hover_at(field.center());
        window.harness.step();
        window.harness.drag_at(field.center());
        window.harness.step();
        for step in 1..=20 {
            window.harness.hover_at(field.center() - vec2(4.0 * step as f32, 0.0));
            window.harness.step();
        }
        window.harness.drop_at(field.center() - vec2(80.0, 0.0));
        window.harness.run_steps(3);
        let by = window.app().edit_dialog.as_ref().unwrap().form.transpose;
        assert!((0..10).contains(&by), "{by}");
        assert_eq!(shown(&mut window).map(i32::from), Some(i32::from(first) + by));
        // What is written after a drag takes the place of the number.
        window.harness.event(Event::Text("-3".to_owned()));
        window.harness.run_steps(3);
        assert_eq!(shown(&mut window), Some(first - 3));

        key(&mut window, Modifiers::NONE, Key::Escape);
        let document = &window.app().state.document;
        assert!(Arc::ptr_eq(document.history.score(), &before) && !document.is_unsaved());
        assert!(window.app().roll.proposed.is_none());

        key(&mut window, Modifiers::SHIFT, Key::T);
        window.harness.event(Event::Text("5".to_owned()));
        window.harness.run_steps(3);
        let proposed = window.app().roll.proposed.clone().unwrap();
        key(&mut window, Modifiers::NONE, Key::Enter);
        assert!(window.app().roll.proposed.is_none());
        assert_eq!(window.app().state.document.history.score().notes(), proposed);
        key(&mut window, Modifiers::COMMAND, Key::Z);
        assert_eq!(window.app().state.document.history.score().notes(), before.notes());
    }

    /// What was given to the system's clipboard in the last frame.
    fn given(window: &Window) -> Option<String> {
        let commands = window.harness.output().platform_output.commands.iter();
        commands.rev().find_map(|command| match command {
            egui::OutputCommand::CopyText(text) => Some(text.clone()),
            _ => None,
        })
    }

    fn n_notes(window: &mut Window) -> usize {
        window.app().state.document.history.score().notes().len()
    }

    #[test]
    fn many_notes_go_through_the_clipboard_on_other_threads() {
        let mut window = Window::open();
        let n = 2 * MANY_NOTES;
        let note = |idx: usize| Note {
            start: Tick(idx as u32 * 10),
            length: Tick(10),
            pitch: crate::music::Pitch::MIDDLE_C,
            velocity: crate::music::Velocity::COMPOSED,
            part: 0,
        };
        let notes: Vec<Note> = (0..n).map(note).collect();
        window.app().set_document(Score::piano(crate::music::TempoMap::default(), notes), None);
        window.act(AppAction::Run(Command::SelectAll));
        window.act(AppAction::Run(Command::Copy));
        assert!(window.app().copied.as_ref().unwrap().text.is_none(), "it is being written");
        window.act(AppAction::Run(Command::DeleteSelection));
        // Pasted before the system has it: what the system still holds is older.
        window.act(AppAction::Document(DocumentAction::Paste("older".to_owned())));
        assert_eq!(n_notes(&mut window), n);
        window.act(AppAction::Run(Command::Undo));
        window.wait("it is text", |app| app.copied.as_ref().unwrap().text.is_some());
        let text = given(&window).unwrap();
        assert!(text.len() > MUCH_TEXT);
        window.act(AppAction::Document(DocumentAction::Paste(text.clone())));
        assert_eq!(n_notes(&mut window), n, "what was copied here is at hand");
        window.act(AppAction::Run(Command::Undo));

        // As if another window had copied it.
        window.app().copied = None;
        window.act(AppAction::Document(DocumentAction::Paste(text.clone())));
        assert_eq!(n_notes(&mut window), 0, "it is being read");
        window.wait("it is pasted", |app| !app.state.document.history.score().notes().is_empty());
        assert_eq!(n_notes(&mut window), n);

        // What comes when another piece is there isn't meant for it.
        let document = window.app().n_documents;
        window.app().set_document(Score::default(), None);
        window.app().paste_read(document, Tick(0), Clipboard::from_text(&text));
        assert_eq!(n_notes(&mut window), 0);
    }
}
