//! What came from outside since the last frame, taken into the state.

use super::App;
use crate::audio::PlayerEvent;
use crate::studio::{Event, EventKind, Finish, JobId, Progress};
use crate::ui::state::SoundOutput;
use crate::ui::tasks::Answer;

impl App {
    /// Drains every channel. Nothing here blocks.
    pub(super) fn drain(&mut self, ctx: &egui::Context) {
        let mut has_new_frames = false;
        for event in self.studio.events() {
            let is_end = matches!(event.kind, EventKind::Finished(_));
            if is_end && has_new_frames {
                // The stream must be heard from its start even when it came in one go.
                self.stream();
                has_new_frames = false;
            }
            has_new_frames |= self.studio_event(event);
        }
        if has_new_frames || self.has_frames_waiting() {
            self.stream_when_due(ctx);
        }
        for event in self.player.events() {
            self.player_event(event);
        }
        for answer in self.tasks.answers() {
            self.answer(ctx, answer);
        }
        self.read_clock();
        self.write_picture();
        self.keep_library_fresh(ctx);
        self.watch_fetching(ctx);
        self.keep_recovery();
        self.lose_patience(ctx);
        self.schedule_repaint(ctx);
        self.watch_close(ctx);
    }

    /// Returns whether frames were added to the stream.
    fn studio_event(&mut self, event: Event) -> bool {
        let Event { job, kind } = event;
        match kind {
            EventKind::Started => {}
            EventKind::Progress(Progress::Read(progress)) => {
                if self.state.library.job == Some(job) {
                    self.state.library.progress = progress;
                }
            }
            EventKind::Progress(Progress::Train(event)) => {
                if self.state.training.job == Some(job) {
                    self.train_event(event);
                }
            }
            EventKind::Progress(Progress::Compose(event)) => return self.compose_event(job, event),
            EventKind::Progress(Progress::Render(share)) => {
                if self.render_job == Some(job) {
                    self.state.export = Some(share);
                }
            }
            EventKind::Finished(finish) => self.finished(job, finish),
        }
        false
    }

    fn finished(&mut self, job: JobId, finish: Finish) {
        match finish {
            Finish::Read(corpus) if self.state.library.job == Some(job) => {
                self.library_read(corpus);
            }
            Finish::Trained(summary) if self.state.training.job == Some(job) => {
                self.look_for_ended(job, Ok(summary));
            }
            Finish::Composed(takes) if self.is_composing(job) => self.composed(takes),
            Finish::Rendered(report) if self.render_job == Some(job) => self.rendered(report),
            Finish::Devices(devices) => self.state.devices = devices,
            Finish::Cancelled => self.cancelled(job),
            Finish::Failed(error) => self.failed(job, error),
            // The end of a job that was replaced by another.
            _ => {}
        }
    }

    fn is_composing(&self, job: JobId) -> bool {
        self.state.composing.live.as_ref().is_some_and(|live| live.job == job)
    }

    fn cancelled(&mut self, job: JobId) {
        if self.state.library.job == Some(job) {
            self.state.library.job = None;
        } else if self.state.training.job == Some(job) {
            self.training_cancelled();
        } else if self.is_composing(job) {
            self.composed(Vec::new());
        } else if self.render_job == Some(job) {
            self.sound_not_written();
        }
    }

    fn failed(&mut self, job: JobId, error: String) {
        if self.state.library.job == Some(job) {
            self.library_failed(error);
        } else if self.state.training.job == Some(job) {
            self.look_for_ended(job, Err(error));
        } else if self.is_composing(job) {
            self.composing_failed(error);
        } else if self.render_job == Some(job) {
            self.render_failed(error);
        } else if self.devices_job == job {
            self.state.notices.error(error);
        }
    }

    pub(super) fn player_event(&mut self, event: PlayerEvent) {
        match event {
            PlayerEvent::Device { name, sample_rate } => {
                let kilohertz = f64::from(sample_rate) / 1_000.0;
                let words = format!("{name}, {kilohertz:.1} kHz");
                self.state.sound.output = SoundOutput::Device(words);
            }
            PlayerEvent::Silent { reason } => {
                self.state.notices.note(format!("Playing without sound: {reason}"));
                self.state.sound.output = SoundOutput::Silent(reason);
            }
            PlayerEvent::FontReady { name } => {
                if let Some(path) = self.asked_font.take() {
                    self.state.notices.done(format!("Playing with {name}"));
                    self.state.preferences.font = Some(path);
                    self.export_font = None;
                }
                self.state.sound.font = name;
            }
            PlayerEvent::FontRefused { error, .. } => {
                self.asked_font = None;
                self.state.alert = Some(error.clone());
                self.state.notices.error_elsewhere(error);
            }
            PlayerEvent::Ended => self.reached_end(),
        }
    }

    fn answer(&mut self, ctx: &egui::Context, answer: Answer) {
        match answer {
            Answer::Picked(picked) => {
                if let Some((purpose, paths)) = self.dialogs.take_in(picked) {
                    self.chosen_outside(purpose, paths);
                }
            }
            Answer::Opened { number, path, is_missing, result } => {
                self.opened(number, path, is_missing, result);
            }
            Answer::UnfinishedFound(found) => self.unfinished_found(found),
            Answer::Restored { number, work, result } => self.restored(number, &work, result),
            Answer::Kept { write, result } => self.kept(write, result),
            Answer::PrimeRead { path, result } => self.prime_read(path, result),
            Answer::ModelLoaded { number, result } => self.model_loaded(number, result),
            Answer::ModelOfTakeLoaded { take, result } => self.model_of_take_loaded(take, result),
            Answer::StartRead { choice, result } => self.start_read(choice, result),
            Answer::RunsListed(runs) => self.runs_listed(runs),
            Answer::FontsFound(fonts) => self.state.fonts = fonts,
            Answer::RunRead(result) => self.run_read(result),
            Answer::RunDirMade { number, run_dir } => self.run_dir_made(number, run_dir),
            Answer::RunEnded { job, is_kept, result } => self.run_ended(job, is_kept, result),
            Answer::Dropped { paths, is_one_file } => self.take_dropped(ctx, paths, is_one_file),
            Answer::KeyEstimated { score, key } => self.key_estimated(score, key),
            Answer::StepsRead { run_dir, live } => {
                self.state.training.steps_read(&run_dir, &live);
            }
            Answer::Covered(coverage) => {
                self.state.library.counting = None;
                self.state.library.coverage = Some(coverage);
            }
            Answer::TakesRead { entries, failures } => self.takes_read(entries, &failures),
            Answer::FontLoaded { result, then } => self.font_loaded(result, then),
            Answer::ProjectSaved { saving, result } => self.saved(ctx, saving, result),
            Answer::Fetched(result) => self.fetched(result),
            Answer::CopyWritten { clipboard, text } => self.copy_written(ctx, &clipboard, text),
            Answer::PasteRead { document, at, result } => self.paste_read(document, at, result),
            Answer::Written { done, result: Ok(()) } if !done.is_empty() => {
                self.state.notices.done(done);
            }
            Answer::Written { result: Ok(()), .. } => {}
            Answer::Written { result: Err(error), .. } => self.state.notices.error(error),
            Answer::Broke(error) => {
                self.write_broke();
                self.copying_broke();
                self.state.notices.error(error);
            }
        }
    }

    fn takes_read(&mut self, entries: Vec<crate::ui::state::TakeEntry>, failures: &[String]) {
        self.state.takes.take_in(entries);
        let waiting = std::mem::take(&mut self.state.takes.to_adopt);
        self.adopt_takes(waiting);
        if let [first, ..] = failures {
            let n = failures.len();
            self.state.notices.note(format!("{n} kept takes can't be read ({first})"));
        }
    }

    /// While something moves by itself the window is painted again; otherwise it sleeps.
    fn schedule_repaint(&mut self, ctx: &egui::Context) {
        let now = ctx.input(|input| input.time);
        if let Some(secs) = self.state.notices.tick(now) {
            ctx.request_repaint_after_secs(secs as f32);
        }
        if self.state.sound.is_playing {
            ctx.request_repaint();
        } else if self.player.sounding_keys() != 0 {
            // The keys that are lit go out when the sound ends.
            ctx.request_repaint_after(std::time::Duration::from_millis(40));
        }
    }

    /// Closing with unsaved changes asks first.
    fn watch_close(&mut self, ctx: &egui::Context) {
        let is_asked = ctx.input(|input| input.viewport().close_requested());
        if is_asked && !self.is_closing && self.state.document.is_unsaved() {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.state.question = Some(crate::ui::state::Question::Close);
        }
    }
}
