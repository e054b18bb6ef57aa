//! Paths that were chosen, and files that are written to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::App;
use super::risk::Risk;
use crate::audio::{Font, FontSource, RenderReport, RenderSettings};
use crate::cancel::CancelToken;
use crate::cuda_libraries;
use crate::files::{plain_reason, write_keeping_backup};
use crate::music::{Score, smf};
use crate::studio::Request;
use crate::ui::action::DocumentAction;
use crate::ui::curves;
use crate::ui::dialogs::{Form, Purpose, Suggestion};
use crate::ui::state::{PrimeKind, Shown, StartChoice, TakeId};
use crate::ui::tasks::{Answer, WavExport};
use crate::ui::widgets::duration;

impl App {
    /// The system's dialog doesn't hold up the window: another piece may have come since it was
    /// asked for, and isn't the one to be written there.
    pub(super) fn chosen_outside(&mut self, purpose: Purpose, paths: Vec<PathBuf>) {
        let is_of_the_piece =
            matches!(purpose, Purpose::SaveProject | Purpose::ExportMidi | Purpose::ExportWav);
        if is_of_the_piece && self.asked_by != self.n_documents {
            let words = "Nothing was written: another piece came while its place was chosen";
            return self.state.notices.note(words);
        }
        self.chosen_outside = Some((purpose, paths));
    }

    pub(super) fn paths_chosen(
        &mut self,
        ctx: &egui::Context,
        purpose: Purpose,
        paths: Vec<PathBuf>,
    ) {
        let Some(path) = paths.first().cloned() else {
            // No path: the dialog was cancelled, and with it what should have followed.
            if purpose == Purpose::SaveProject {
                self.after_saving = None;
            }
            return;
        };
        self.state.preferences.folders.remember(purpose, &paths);
        match purpose {
            Purpose::OpenScore => self.document_action(ctx, DocumentAction::Open(path)),
            Purpose::LearnFiles | Purpose::LearnFolder => self.learn_from(paths),
            Purpose::PrimeFile => {
                self.state.preferences.compose.prime = PrimeKind::File;
                self.state.preferences.compose.prime_file = Some(path);
                self.state.composing.prime_score = None;
            }
            Purpose::SoundFont => {
                self.asked_font = Some(path.clone());
                self.risk(Risk::LoadFont(FontSource::File(path)));
            }
            Purpose::Checkpoint => self.choose_start(StartChoice::Checkpoint(path)),
            Purpose::SaveProject => self.save_to(path),
            Purpose::ExportMidi => self.export_midi(Arc::clone(self.state.shown_score()), path),
            Purpose::ExportWav => self.export_wav(Arc::clone(self.state.shown_score()), path),
            Purpose::ExportTakeMidi(id) => {
                if let Some(score) = self.take_score(id) {
                    self.export_midi(score, path);
                }
            }
            Purpose::ExportTakeWav(id) => {
                if let Some(score) = self.take_score(id) {
                    self.export_wav(score, path);
                }
            }
            Purpose::CurvesCsv => self.export_csv(path),
            Purpose::CurvesPng => self.picture.request(ctx, path),
        }
    }

    fn take_score(&self, id: TakeId) -> Option<Arc<Score>> {
        self.state.takes.get(id).map(|entry| Arc::clone(&entry.score))
    }

    /// What a dialog begins with: the folder of the file that is worked on, and a name.
    pub(super) fn suggestion(&self, purpose: Purpose) -> Suggestion {
        // A project that has a file goes on beside it; a piece that was only read does not.
        let document = &self.state.document;
        let beside = match purpose.form() {
            Form::Save => document.path.as_ref(),
            _ => document.source.as_ref(),
        };
        let beside = beside.and_then(|path| path.parent()).filter(|folder| folder.is_absolute());
        let last = self.state.preferences.folders.of(purpose);
        let folders = beside.into_iter().chain(last).map(Path::to_owned).collect();
        Suggestion { folders, name: self.suggested_name(purpose) }
    }

    fn suggested_name(&self, purpose: Purpose) -> String {
        let title = |score: &Score| match score.title.trim() {
            "" => "Untitled".to_owned(),
            title => title.replace(['/', '\\', ':', '\0'], "-"),
        };
        let document = &self.state.document;
        let file = document.path.as_ref();
        let shown = || match (self.state.shown, file.and_then(|path| path.file_stem())) {
            (Shown::Score, Some(stem)) => stem.to_string_lossy().into_owned(),
            _ => title(self.state.shown_score()),
        };
        let take = |id| self.take_score(id).map(|score| title(&score)).unwrap_or_default();
        match purpose {
            Purpose::SaveProject => match file {
                Some(path) => crate::ui::widgets::file_name(path),
                None => title(document.history.score()) + ".etude",
            },
            Purpose::ExportMidi => shown() + ".mid",
            Purpose::ExportWav => shown() + ".wav",
            Purpose::ExportTakeMidi(id) => take(id) + ".mid",
            Purpose::ExportTakeWav(id) => take(id) + ".wav",
            Purpose::CurvesCsv => "curves.csv".to_owned(),
            Purpose::CurvesPng => "curves.png".to_owned(),
            _ => String::new(),
        }
    }

    fn export_midi(&mut self, score: Arc<Score>, out: PathBuf) {
        // The same thread writes both, this one first.
        self.keep_now();
        self.tasks.write("exporting MIDI", move || written(&out, &smf::write(&score)));
    }

    fn export_wav(&mut self, score: Arc<Score>, out: PathBuf) {
        self.state.export = Some(0.0);
        self.n_exports += 1;
        self.risk(Risk::WriteSound(WavExport { number: self.n_exports, score, out }));
    }

    /// The piano is loaded first, on another thread; the studio renders.
    pub(super) fn begin_export(&mut self, then: WavExport) {
        if let Some(font) = self.export_font.clone() {
            return self.font_loaded(Ok(font), then);
        }
        let source = match self.state.preferences.font.clone() {
            Some(path) => FontSource::File(path),
            None => FontSource::BuiltIn,
        };
        self.tasks.spawn("loading the piano", move || {
            let result = Font::load(&source, &CancelToken::new());
            Answer::FontLoaded { result: result.map_err(|error| error.to_string()), then }
        });
    }

    pub(super) fn font_loaded(&mut self, result: Result<Font, String>, then: WavExport) {
        match result {
            // It was stopped before it had begun.
            _ if then.number != self.n_exports => {}
            Ok(font) => {
                self.export_font = Some(font.clone());
                let WavExport { score, out, .. } = then;
                let settings = RenderSettings::default();
                let request = Request::Render { score, font, settings, out };
                self.render_job = Some(self.studio.submit(request));
            }
            Err(error) => self.render_failed(error),
        }
    }

    pub(super) fn rendered(&mut self, report: RenderReport) {
        self.state.export = None;
        self.render_job = None;
        self.state.notices.done(format!(
            "Wrote {} of sound in {}",
            duration(report.seconds_of_audio),
            duration(report.seconds)
        ));
    }

    pub(super) fn render_failed(&mut self, error: String) {
        self.state.export = None;
        self.render_job = None;
        self.alert(error);
    }

    pub(super) fn cancel_export(&mut self) {
        match self.render_job {
            Some(job) => self.studio.cancel(job),
            None => {
                self.forget_risks(|risk| matches!(risk, Risk::WriteSound(_)));
                self.sound_not_written();
            }
        }
    }

    pub(super) fn sound_not_written(&mut self) {
        self.n_exports += 1;
        self.state.export = None;
        self.render_job = None;
        self.state.notices.note("The sound file was not written");
    }

    fn export_csv(&mut self, out: PathBuf) {
        let csv = curves::csv(&self.state);
        self.tasks.write("exporting curves", move || written(&out, csv.as_bytes()));
    }

    /// The window was pictured: the part with the curves is written.
    pub(super) fn write_picture(&mut self) {
        let Some(shot) = self.picture.take() else { return };
        self.tasks.write("exporting curves", move || match shot.png() {
            Ok(bytes) => written(&shot.out, &bytes),
            Err(error) => {
                let result = Err(format!("The picture can't be made — {error}. Try again"));
                Answer::Written { done: String::new(), result }
            }
        });
    }

    /// Fetches NVIDIA's run-time libraries; the user has agreed to what and from where.
    pub(super) fn fetch_nvidia(&mut self) {
        let fetch = Fetch::default();
        let (share, cancel) = (Arc::clone(&fetch.share), fetch.cancel.clone());
        self.fetch = Some(fetch);
        self.state.fetching = Some(0.0);
        self.tasks.spawn("fetching NVIDIA's libraries", move || {
            let mut report = |progress: cuda_libraries::FetchProgress| {
                let done = progress.done_bytes * 1_000 / progress.total_bytes.max(1);
                share.store(done as usize, Ordering::Relaxed);
            };
            let result = cuda_libraries::fetch(&cancel, &mut report);
            Answer::Fetched(result.map_err(|error| error.to_string()))
        });
    }

    pub(super) fn stop_fetching(&mut self) {
        if let Some(fetch) = &self.fetch {
            fetch.cancel.cancel();
        }
    }

    pub(super) fn fetched(&mut self, result: Result<(), String>) {
        self.fetch = None;
        self.state.fetching = None;
        match result {
            Ok(()) => {
                self.state.notices.done("NVIDIA's libraries are in place: looking at the card…");
                self.devices_job = self.studio.submit(Request::ListDevices);
            }
            Err(error) => {
                self.state.alert = Some(error.clone());
                self.state.notices.error_elsewhere(error);
            }
        }
    }

    /// How far fetching is, for the next frame.
    pub(super) fn watch_fetching(&mut self, ctx: &egui::Context) {
        if let Some(fetch) = &self.fetch {
            self.state.fetching = Some(fetch.share.load(Ordering::Relaxed) as f64 / 1_000.0);
            ctx.request_repaint_after_secs(0.2);
        }
    }
}

/// A download under way.
#[derive(Default)]
pub(super) struct Fetch {
    /// Thousandths that are done.
    share: Arc<AtomicUsize>,
    cancel: CancelToken,
}

fn written(out: &Path, bytes: &[u8]) -> Answer {
    let result = write_keeping_backup(out, bytes).map_err(|error| {
        let why = plain_reason(&error);
        format!("{} can't be written — {why}. Choose another place", out.display())
    });
    Answer::Written { done: format!("Wrote {}", out.display()), result }
}

#[cfg(test)]
mod tests {
    use egui::{ColorImage, ViewportCommand};

    use super::super::tests::Window;
    use super::*;
    use crate::music::{Note, Pitch, TempoMap, Tick, Velocity};
    use crate::ui::action::AppAction;
    use crate::ui::command::Command;
    use crate::ui::state::Question;

    #[test]
    fn percussion_alone_can_be_exported() {
        let mut window = Window::open();
        let mut score = Score::piano(TempoMap::default(), Vec::new());
        score.set_drums(vec![Note {
            start: Tick(0),
            length: Tick(120),
            pitch: Pitch::MIDDLE_C,
            velocity: Velocity::COMPOSED,
            part: 0,
        }]);
        let drums = score.drums.clone();
        window.app().set_document(score, None);
        assert_eq!(Command::ExportMidi.enabled(&window.app().state), Ok(()));
        assert_eq!(Command::ExportWav.enabled(&window.app().state), Ok(()));
        let out = window.folder.path().join("drums.mid");
        window.act(AppAction::PathsChosen(Purpose::ExportMidi, vec![out.clone()]));
        window.wait_for_writer();
        assert_eq!(smf::read_file(&out).unwrap().score.drums, drums);
        window.app().set_document(Score::default(), None);
        assert!(Command::ExportMidi.enabled(&window.app().state).is_err());
    }

    #[test]
    fn a_sound_file_that_was_stopped_is_not_taken_for_the_next_one() {
        let mut window = Window::with_unsaved_work();
        let app = window.app();
        let score = Arc::clone(app.state.document.history.score());
        let export = |number, name: &str| WavExport {
            number,
            score: Arc::clone(&score),
            out: PathBuf::from(name),
        };
        app.state.export = Some(0.0);
        app.n_exports = 1;
        app.cancel_export();
        app.state.export = Some(0.0);
        app.n_exports += 1;
        let second = app.n_exports;
        app.font_loaded(Err("it is damaged".to_owned()), export(1, "a.wav"));
        assert!(app.state.export.is_some() && app.state.alert.is_none(), "the second goes on");
        app.font_loaded(Err("it is damaged".to_owned()), export(second, "b.wav"));
        assert!(app.state.export.is_none() && app.state.alert.is_some());
    }

    #[test]
    fn a_place_chosen_for_one_piece_is_not_for_another() {
        let mut window = Window::with_unsaved_work();
        let out = window.folder.path().join("a.etude");
        let app = window.app();
        app.after_saving = Some(Question::New);
        app.asked_by = app.n_documents;
        app.set_document(Score::default(), None);
        app.chosen_outside(Purpose::SaveProject, vec![out.clone()]);
        assert!(app.chosen_outside.is_none() && app.after_saving.is_none());
        app.asked_by = app.n_documents;
        app.chosen_outside(Purpose::SaveProject, vec![out]);
        assert!(app.chosen_outside.is_some());
    }

    #[test]
    fn an_export_is_named_after_the_file_of_the_piece() {
        let mut window = Window::with_unsaved_work();
        let path = window.folder.path().join("waltz.etude");
        window.act(AppAction::PathsChosen(Purpose::SaveProject, vec![path]));
        window.wait("it is saved", |app| !app.state.document.is_unsaved());
        assert_eq!(window.app().suggestion(Purpose::ExportMidi).name, "waltz.mid");
    }

    #[test]
    fn a_picture_that_was_taken_is_on_the_disk_when_the_window_has_closed() {
        let mut window = Window::open();
        let out = window.folder.path().join("curves.png");
        let go_on = window.hold_writer();
        window.act(AppAction::PathsChosen(Purpose::CurvesPng, vec![out.clone()]));
        let asked = (0..60).find_map(|_| {
            window.harness.step();
            let output = window.harness.output().viewport_output.values();
            output.flat_map(|viewport| &viewport.commands).find_map(|command| match command {
                ViewportCommand::Screenshot(callback) => Some(callback.clone()),
                _ => None,
            })
        });
        let image = ColorImage::filled([2_000, 2_000], egui::Color32::BLACK);
        asked.expect("the window is pictured").complete(Arc::new(image));
        // It waits in the queue of what is written, which a window that closes waits for.
        for _ in 0..40 {
            window.harness.step();
            assert!(!out.exists());
        }
        go_on.send(()).unwrap();
        let folder = window.close();
        assert!(out.is_file());
        drop(folder);
    }
}
