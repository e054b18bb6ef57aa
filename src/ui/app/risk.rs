//! What might end the program waits until unsaved work is on the disk. The window doesn't: what
//! waits is done when the writer has answered, be it with a failure, or when it has taken too
//! long.

use std::path::PathBuf;

use super::App;
use super::compose::Composition;
use super::train::Start;
use crate::audio::FontSource;
use crate::ui::state::WorkId;
use crate::ui::tasks::WavExport;

/// Something that might end the program: it reads what others made, or needs much memory.
pub(super) enum Risk {
    /// A score is read from a file; the number tells which of those that were asked for it is.
    Read {
        number: u64,
        path: PathBuf,
    },
    /// Work that another window left behind is read.
    Restore {
        number: u64,
        work: WorkId,
    },
    Train(Box<Start>),
    Compose(Box<Composition>),
    WriteSound(WavExport),
    LoadFont(FontSource),
}

/// A risk that isn't taken yet.
pub(super) struct Waiting {
    risk: Risk,
    /// The write that it waits for; see [`App::keep_now`].
    write: u64,
    /// When it was asked for, in the window's seconds.
    since: f64,
}

impl App {
    /// How long a disk may take to keep the work, in seconds. After that what the user asked for
    /// is done all the same.
    const PATIENCE_SECS: f64 = 5.0;

    /// Does it once unsaved work is on the disk: at once, if it is.
    pub(super) fn risk(&mut self, risk: Risk) {
        match self.keep_now() {
            Some(write) => {
                let since = self.state.notices.now;
                self.waiting.push(Waiting { risk, write, since });
            }
            None => self.dare(risk),
        }
    }

    /// What is asked for no more is not done.
    pub(super) fn forget_risks(&mut self, is_unwanted: impl Fn(&Risk) -> bool) {
        self.waiting.retain(|waiting| !is_unwanted(&waiting.risk));
    }

    /// A write came to its end, well or badly: what waited for it or for an earlier one is done.
    pub(super) fn dare_after(&mut self, write: u64) {
        let (ready, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|it| it.write <= write);
        self.waiting = waiting;
        for waiting in ready {
            self.dare(waiting.risk);
        }
    }

    /// A disk that doesn't answer holds up nothing for ever.
    pub(super) fn lose_patience(&mut self, ctx: &egui::Context) {
        let Some(since) = self.waiting.first().map(|first| first.since) else { return };
        let left = since + Self::PATIENCE_SECS - ctx.input(|input| input.time);
        if left > 0.0 {
            ctx.request_repaint_after_secs(left as f32);
            return;
        }
        self.state.notices.note("The disk is slow: your unsaved work is still being written");
        self.dare_after(u64::MAX);
    }

    fn dare(&mut self, risk: Risk) {
        match risk {
            Risk::Read { number, path } => self.begin_reading(number, path),
            Risk::Restore { number, work } => self.begin_restoring(number, work),
            Risk::Train(start) => self.begin_training(*start),
            Risk::Compose(composition) => self.begin_composing(*composition),
            Risk::WriteSound(export) => self.begin_export(export),
            Risk::LoadFont(source) => self.player.load_font(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Window;
    use super::*;
    use crate::ui::action::{AppAction, Choice, DocumentAction};
    use crate::ui::command::Command;
    use crate::ui::dialogs::Purpose;
    use crate::ui::state::Question;

    fn train(app: &mut App) {
        app.state.preferences.training.hidden = 4;
        app.state.preferences.training.epochs = 1;
    }

    #[test]
    fn frames_go_on_while_the_disk_is_slow_and_training_starts_once() {
        let mut window = Window::with_unsaved_work();
        train(window.app());
        window.wait("the pieces are read", |app| app.state.library.music.is_some());
        let go_on = window.hold_writer();
        window.act(AppAction::Run(Command::Train));
        // As when the button is pressed again.
        window.act(AppAction::Run(Command::Train));
        window.harness.run_steps(20);
        assert_eq!(window.app().waiting.len(), 1);
        assert!(window.app().state.training.job.is_none());
        assert!(window.sees("Keeping your unsaved work first…"));
        go_on.send(()).unwrap();
        window.wait("training has begun", |app| app.state.training.job.is_some());
        assert_eq!(window.n_runs(), 1);
        assert!(window.app().state.training.starting.is_none());
        let sessions = std::fs::read_dir(window.folder.path().join("data").join("sessions"));
        assert!(sessions.unwrap().count() > 0, "the work was kept before");
        window.act(AppAction::Run(Command::StopTraining));
        window.wait("it has ended", |app| !app.state.training.is_busy());
    }

    #[test]
    fn what_is_stopped_while_it_waits_is_never_begun() {
        let mut window = Window::with_unsaved_work();
        train(window.app());
        window.wait("the pieces are read", |app| app.state.library.music.is_some());
        let go_on = window.hold_writer();
        window.act(AppAction::Run(Command::Train));
        let out = window.folder.path().join("piece.wav");
        window.act(AppAction::PathsChosen(Purpose::ExportWav, vec![out.clone()]));
        window.harness.run_steps(2);
        assert_eq!(window.app().waiting.len(), 2);
        window.act(AppAction::Run(Command::StopTraining));
        window.app().cancel_export();
        assert!(window.app().waiting.is_empty() && window.app().state.export.is_none());
        go_on.send(()).unwrap();
        window.wait("the work is kept", |app| app.keeps_nothing());
        window.harness.run_steps(4);
        assert!(!window.app().state.training.is_busy() && window.n_runs() == 0 && !out.exists());
    }

    #[test]
    fn another_score_is_read_after_the_answer_and_only_the_last_that_was_asked_for() {
        let mut window = Window::with_unsaved_work();
        let (first, last) =
            (window.folder.path().join("a.mid"), window.folder.path().join("b.mid"));
        let score = crate::assets::first_score();
        for path in [&first, &last] {
            std::fs::write(path, crate::music::smf::write(&score)).unwrap();
        }
        let go_on = window.hold_writer();
        for path in [&first, &last] {
            window.act(AppAction::Document(DocumentAction::Open(path.clone())));
            window.act(AppAction::Answer(Question::Open(path.clone()), Choice::GoOn));
        }
        window.harness.run_steps(10);
        assert_eq!(window.app().state.document.source, None);
        go_on.send(()).unwrap();
        window.wait("the last is read", |app| app.state.document.source.is_some());
        assert_eq!(window.app().state.document.source, Some(last));
        assert_eq!(window.app().state.preferences.recent.len(), 1);
    }

    #[test]
    fn a_disk_that_fails_or_never_answers_holds_up_nothing() {
        let mut window = Window::with_unsaved_work();
        // Where the folder of the sessions should be there is a file.
        let sessions = window.folder.path().join("data").join("sessions");
        let _gone = std::fs::remove_dir_all(&sessions);
        std::fs::create_dir_all(window.folder.path().join("data")).unwrap();
        std::fs::write(&sessions, "").unwrap();
        let load = || Risk::LoadFont(FontSource::BuiltIn);
        window.app().risk(load());
        assert_eq!(window.app().waiting.len(), 1);
        window.wait("it is done all the same", |app| app.waiting.is_empty());
        window.harness.step();
        assert!(window.sees("Unsaved work can't be kept against a crash"));

        let go_on = window.hold_writer();
        window.app().risk(load());
        window.harness.run_steps(20);
        assert_eq!(window.app().waiting.len(), 1);
        let n_steps = (App::PATIENCE_SECS / 0.01) as usize;
        window.harness.run_steps(n_steps);
        assert!(window.app().waiting.is_empty());
        assert!(window.sees("The disk is slow"));
        go_on.send(()).unwrap();
    }
}
