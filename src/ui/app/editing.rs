//! The Notes menu: what is done to the chosen notes, and what goes through the clipboard.

use egui::{Context, Event, ViewportCommand};

use super::App;
use crate::editor::operations::{self, Quantize};
use crate::editor::{Change, Clipboard, Selection};
use crate::music::{Score, Tick};
use crate::ui::action::{Actions, AppAction, DocumentAction};
use crate::ui::command::Command;
use crate::ui::edit_dialogs::{self, EditDialog};
use crate::ui::piano_roll::chord_at;
use crate::ui::state::Shown;
use crate::ui::widgets::counted;

/// Frames that the system's clipboard may take to answer.
const PASTE_FRAMES: u8 = 2;

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
            input.events.retain(|event| {
                let action = match event {
                    Event::Copy if has_selection => AppAction::Run(Command::Copy),
                    Event::Cut => AppAction::Run(Command::Cut),
                    Event::Paste(text) => AppAction::Document(DocumentAction::Paste(text.clone())),
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

    pub(super) fn paste_text(&mut self, text: &str) {
        match Clipboard::from_text(text) {
            Ok(clipboard) => self.paste(&clipboard),
            Err(error) => self.state.notices.error(error.to_string()),
        }
    }

    /// Pastes what was copied or cut here last.
    pub(super) fn paste_copied(&mut self) {
        match self.clipboard.clone() {
            Some(clipboard) => self.paste(&clipboard),
            None => self.state.notices.note("Paste: nothing has been copied yet"),
        }
    }

    fn paste(&mut self, clipboard: &Clipboard) {
        let at = self.state.score_playhead();
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
        ctx.copy_text(clipboard.to_text());
        self.clipboard = Some(clipboard);
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
        let mut notes = document.selection.notes(document.history.score()).peekable();
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
        self.edit_dialog = Some((dialog, form));
    }

    pub(super) fn edit_dialog_ui(&mut self, ctx: &Context, actions: &mut Actions) {
        let Some((dialog, form)) = &mut self.edit_dialog else { return };
        let (dialog, scale) = (*dialog, self.state.edit_scale());
        match edit_dialogs::ui(ctx, dialog, form, scale) {
            edit_dialogs::Answer::Open => return,
            edit_dialogs::Answer::Cancelled => {}
            edit_dialogs::Answer::Applied => {
                self.state.preferences.edits = form.clone();
                actions.push(AppAction::ApplyEdit(dialog));
            }
        }
        self.edit_dialog = None;
    }

    /// Does what the form of a dialog says.
    pub(super) fn apply_edit(&mut self, dialog: EditDialog) {
        let (form, scale) = (self.state.preferences.edits.clone(), self.state.edit_scale());
        let change = |score: &Score, chosen: &Selection| dialog.change(&form, score, chosen, scale);
        match dialog {
            EditDialog::Transpose | EditDialog::SetVelocity => {
                self.operate_and_hear(dialog.command(), change);
            }
            _ => self.operate(dialog.command(), change),
        }
    }
}
