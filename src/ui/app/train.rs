//! Reading the library, training, stopping, resuming.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::App;
use super::risk::Risk;
use crate::model::{
    Alphabet, ChordCard, DeviceChoice, Run, StartingPoint, TrainEvent, TrainRequest, TrainSummary,
    TrainingSettings, check_suits,
};
use crate::studio::{JobId, Request};
use crate::tokens::{Encoding, Music, ReadProgress, SplitKind, Stretch};
use crate::ui::state::{
    Coverage, CoverageFigures, CoverageKey, LiveCurve, ModelChoice, Preferences, StartChoice,
    epoch_name, run_name,
};
use crate::ui::tasks::Answer;
use crate::ui::widgets::{counted, file_name, short};
use crate::ui::words::in_the_windows_words;

impl App {
    pub(super) fn learn_from(&mut self, paths: Vec<PathBuf>) {
        if self.state.training.job.is_some() {
            self.state.notices.note("Training uses the library: stop it before choosing another");
            return;
        }
        self.state.preferences.library.clone_from(&paths);
        self.state.library.paths = paths;
        self.state.preferences.shows_library = true;
        self.read_library();
    }

    /// Reads the library again when its files or the way of framing have changed, and counts the
    /// coverage again when the settings it depends on have.
    pub(super) fn keep_library_fresh(&mut self, ctx: &egui::Context) {
        // Not while a number is being dragged.
        if ctx.input(|input| input.pointer.any_down()) || ctx.text_edit_focused() {
            return;
        }
        if !self.state.training.is_busy() {
            self.suit_alphabet();
        }
        let settings = &self.state.preferences.training;
        if self.state.training.job.is_none() && self.state.library.is_stale(&settings.music_plan())
        {
            self.read_library();
        } else {
            self.count_coverage();
        }
    }

    /// A set says only which keys sound, so that a fresh network learns no more of it; of other
    /// music it learns touch again.
    fn suit_alphabet(&mut self) {
        let (library, preferences) = (&self.state.library, &mut self.state.preferences);
        let source = library.source();
        let is_read = library.asked.as_ref().is_some_and(|(asked, _)| *asked == source);
        let is_asked =
            is_read && library.job.is_none() && preferences.start == StartChoice::Nothing;
        let Some(music) = library.music.as_ref().filter(|_| is_asked) else { return };
        let settings = &preferences.training;
        match music.set() {
            Some(_) if settings.has_touch() => {
                preferences.training = settings.clone().with_alphabet(Alphabet::OffOn);
                preferences.gave_up_touch = true;
            }
            None if preferences.gave_up_touch => {
                preferences.gave_up_touch = false;
                let with_touch = settings.clone().with_alphabet(Alphabet::Full);
                // The original way knows none.
                if with_touch.validate().is_ok() {
                    preferences.training = with_touch;
                }
            }
            _ => {}
        }
    }

    fn read_library(&mut self) {
        let (source, plan) =
            (self.state.library.source(), self.state.preferences.training.music_plan());
        let library = &mut self.state.library;
        if let Some(job) = library.job {
            self.studio.cancel(job);
        }
        library.asked = Some((source.clone(), plan));
        library.progress = ReadProgress::default();
        library.error = None;
        library.coverage = None;
        library.job = Some(self.studio.submit(Request::ReadLibrary { source, plan }));
    }

    pub(super) fn library_read(&mut self, music: Music) {
        let library = &mut self.state.library;
        library.job = None;
        library.music = Some(music);
        library.coverage = None;
        library.counting = None;
        if let Some(line) = self.library_line() {
            self.state.notices.done_quietly(line);
        }
        if std::mem::take(&mut self.state.training.is_waiting_for_library) {
            match self.state.training.waiting_to_resume.take() {
                // Its files were there, or they wouldn't have been read.
                Some(run) => self.resume_read(run, None),
                None => self.train(),
            }
        }
    }

    pub(super) fn library_failed(&mut self, error: String) {
        let library = &mut self.state.library;
        library.job = None;
        library.music = None;
        library.error = Some(error.clone());
        self.state.training.is_waiting_for_library = false;
        self.state.training.waiting_to_resume = None;
        self.state.notices.error_elsewhere(error);
    }

    fn count_coverage(&mut self) {
        let preferences = &self.state.preferences;
        let from = self.state.starting.point(&preferences.start).cloned();
        let key = CoverageKey {
            from: from.as_ref().map(|from| from.origin.sha256.clone()),
            ..CoverageKey::from(&preferences.training)
        };
        let library = &mut self.state.library;
        let is_known = library.coverage.as_ref().is_some_and(|coverage| coverage.key == key);
        let Some(music) = library.music.clone() else { return };
        if is_known || library.counting.is_some() || library.job.is_some() {
            return;
        }
        library.counting = Some(key.clone());
        self.tasks.spawn("counting coverage", move || {
            let known = from.as_ref().and_then(|from| from.model.card().chords());
            Answer::Covered(Coverage { result: coverage(&music, &key, known), key })
        });
    }

    pub(super) fn train(&mut self) {
        // A new run takes the place of an old one that waits to go on.
        self.state.training.waiting_to_resume = None;
        self.suit_alphabet();
        if let Err(error) = self.state.preferences.training.validate() {
            return self.alert(in_the_windows_words(&error.to_string()));
        }
        let preferences = &self.state.preferences;
        let from = self.state.starting.point(&preferences.start).cloned();
        if from.is_none() && preferences.start != StartChoice::Nothing {
            let error = self.state.starting.error.clone();
            let reading =
                || "The checkpoint to go on from is still being read — press again".into();
            return self.alert(error.unwrap_or_else(reading));
        }
        let settings = preferences.training.clone();
        // Whatever the form was brought to hold: the checkpoint decides.
        let settings = from.as_ref().map_or(settings.clone(), |from| from.fixed(settings));
        let Some(music) = self.music_for(&settings) else { return };
        let network = from.as_ref().map(|from| from.model.card());
        if let Err(error) = check_suits(&music, &settings, network) {
            return self.alert(in_the_windows_words(&error.to_string()));
        }
        self.start(music, settings, None, from);
    }

    /// The music as these settings read it; if it is yet to be read, training waits for it.
    fn music_for(&mut self, settings: &TrainingSettings) -> Option<Music> {
        let library = &self.state.library;
        let is_fresh = library.job.is_none() && !library.is_stale(&settings.music_plan());
        match &library.music {
            Some(music) if is_fresh => Some(music.clone()),
            _ => {
                self.state.training.is_waiting_for_library = true;
                if library.job.is_none() || library.is_stale(&settings.music_plan()) {
                    self.read_library();
                }
                None
            }
        }
    }

    /// Trains once unsaved work is kept. Until then a second press has nothing to press.
    fn start(
        &mut self,
        music: Music,
        settings: TrainingSettings,
        resumed: Option<Run>,
        from: Option<Arc<StartingPoint>>,
    ) {
        self.n_starts += 1;
        let number = self.n_starts;
        self.state.training.starting = Some(number);
        let device = self.state.preferences.device;
        let start = Start { number, music, settings, resumed, from, device };
        self.risk(Risk::Train(Box::new(start)));
    }

    /// A run that goes on has its folder; another is given one, on another thread.
    pub(super) fn begin_training(&mut self, start: Start) {
        if let Some(run) = &start.resumed {
            let run_dir = run.path.clone();
            return self.submit_training(start, run_dir);
        }
        let (runs_dir, number) = (self.runs_dir(), start.number);
        let name = run_name((self.clock)(), &start.settings);
        self.start = Some(start);
        self.tasks.spawn("making the folder of a run", move || {
            let run_dir = free_run_dir(&runs_dir, &name);
            Answer::RunDirMade { number, run_dir }
        });
    }

    pub(super) fn run_dir_made(&mut self, number: u64, run_dir: PathBuf) {
        let is_wanted = self.state.training.starting == Some(number);
        match self.start.take_if(|start| is_wanted && start.number == number) {
            Some(start) => self.submit_training(start, run_dir),
            // It was stopped meanwhile.
            None => self.remove_empty_folder(run_dir),
        }
    }

    fn remove_empty_folder(&self, run_dir: PathBuf) {
        self.tasks.write("removing an empty folder", move || {
            if let Err(error) = std::fs::remove_dir(&run_dir) {
                tracing::warn!("{} can't be removed: {error}", run_dir.display());
            }
            Answer::Written { done: String::new(), result: Ok(()) }
        });
    }

    /// It was stopped before its turn came.
    pub(super) fn training_cancelled(&mut self) {
        let training = &self.state.training;
        // The folder of one that was to go on has its epochs in it.
        if let Some(run_dir) = training.run_dir.clone().filter(|_| training.epochs.is_empty()) {
            self.remove_empty_folder(run_dir);
        }
        self.state.training.take_back();
        self.state.notices.note("Training stopped before anything was learned");
    }

    fn submit_training(&mut self, start: Start, run_dir: PathBuf) {
        let Start { music, settings, resumed, from, device, .. } = start;
        let request = TrainRequest {
            music,
            settings: settings.clone(),
            from: from.clone(),
            run_dir: run_dir.clone(),
            resume: resumed.is_some(),
            device,
        };
        let pieces = request.music.pieces();
        let learned_from = pieces.iter().map(|piece| piece.sha256.to_owned()).collect();
        let job = self.studio.submit(Request::Train(request));
        let goes_on = resumed.is_some();
        let origin = match &resumed {
            Some(run) => run.summary.from.clone(),
            None => from.map(|from| from.origin.clone()),
        };
        let epochs = resumed.map(|run| run.metrics).unwrap_or_default();
        self.state.training.begin(job, run_dir.clone(), settings, epochs);
        self.state.training.learned_from = learned_from;
        self.state.training.from = origin;
        if goes_on {
            self.read_steps(run_dir);
        }
        self.state.preferences.shows_curves = true;
    }

    pub(super) fn train_event(&mut self, event: TrainEvent) {
        if matches!(event, TrainEvent::Weights(_)) {
            // Whatever hindered the run in training from composing is over.
            self.state.composing.error = None;
        }
        let is_epoch = matches!(event, TrainEvent::Epoch(_));
        if let Some(note) = self.state.training.take_in(event) {
            // Every run of the same pieces says the same; the panel has it too.
            self.state.notices.note_once(note);
        }
        if is_epoch {
            self.use_best_of_training();
        }
        let kept_since = self.state.notices.now - self.state.training.live_kept_at;
        if is_epoch && kept_since > KEEP_STEPS_SECS {
            self.keep_steps();
        }
    }

    /// The run in training may be chosen by its name as well, with the best that it had.
    fn use_best_of_training(&mut self) {
        let training = &self.state.training;
        let Some(run_dir) = training.run_dir.clone().filter(|_| training.is_last_best()) else {
            return;
        };
        let loading = &self.state.composing.loading;
        let run = ModelChoice::Run(run_dir.clone());
        // Where epochs are faster than loading, one must come to its end now and then; the last
        // best is loaded when the run has ended.
        if loading.as_ref().is_none_or(|(_, coming)| *coming != run) {
            self.run_has_learned(&run_dir);
        }
    }

    /// Writes the live curve beside the run. It is a comfort: where it can't be written the
    /// checkpoints can't either, and the trainer says so.
    pub(super) fn keep_steps(&mut self) {
        let training = &mut self.state.training;
        training.live_kept_at = self.state.notices.now;
        let Some(run_dir) = training.run_dir.clone().filter(|_| !training.live.is_empty()) else {
            return;
        };
        let live = training.live.clone();
        self.tasks.write("keeping the steps of a run", move || {
            if let Err(error) = live.write(&run_dir) {
                tracing::warn!("the steps of {} can't be kept: {error}", run_dir.display());
            }
            Answer::Written { done: String::new(), result: Ok(()) }
        });
    }

    fn read_steps(&self, run_dir: PathBuf) {
        self.tasks.spawn("reading the steps of a run", move || {
            let live = LiveCurve::read(&run_dir);
            Answer::StepsRead { run_dir, live }
        });
    }

    pub(super) fn stop_training(&mut self) {
        let training = &mut self.state.training;
        training.is_waiting_for_library = false;
        training.waiting_to_resume = None;
        training.starting = None;
        if let Some(job) = training.job {
            training.is_stopping = true;
            self.studio.cancel(job);
        }
        self.forget_risks(|risk| matches!(risk, Risk::Train(_)));
    }

    pub(super) fn resume_last(&mut self) {
        // Not the one that is only looked at.
        let training = &self.state.training;
        let last = training.prepared.as_ref().and(training.run_dir.clone());
        let newest = || newest_learned(&self.state.runs).map(|run| run.path.clone());
        if let Some(run) = last.or_else(newest).or_else(|| training.run_dir.clone()) {
            self.resume(run);
        }
    }

    /// Goes on with a run. It keeps its own settings; only the number of epochs is taken from the
    /// form when that asks for more.
    pub(super) fn resume(&mut self, run_dir: PathBuf) {
        // A long run has a long table of what it measured, and may have learned from many files.
        self.tasks.spawn("reading a run", move || {
            let read = Run::read(&run_dir).map_err(|error| error.to_string());
            Answer::RunRead(read.map(|run| {
                let paths = run.summary.corpus.paths();
                let missing = paths.into_iter().find(|path| !path.exists());
                Box::new((run, missing))
            }))
        });
    }

    pub(super) fn run_read(&mut self, result: Result<Box<(Run, Option<PathBuf>)>, String>) {
        match result {
            // Something else was started while it was read.
            Ok(_) if self.state.training.is_busy() => {}
            Ok(read) => {
                let (run, missing) = *read;
                self.resume_read(run, missing);
            }
            Err(error) => self.alert(error),
        }
    }

    fn resume_read(&mut self, run: Run, missing: Option<PathBuf>) {
        self.forget_start_of_another(&run);
        let mut settings = run.summary.settings.clone();
        settings.epochs = settings.epochs.max(self.state.preferences.training.epochs);
        self.state.preferences.training = settings.clone();
        self.state.preferences.gave_up_touch = false;
        if let Err(error) = self.take_library_of(&run, missing) {
            self.state.alert = Some(error);
            return;
        }
        let Some(music) = self.music_for(&settings) else {
            self.state.training.waiting_to_resume = Some(run);
            return;
        };
        self.start(music, settings, Some(run), None);
    }

    /// The library becomes what the run learned from, unless it is that already. What the user
    /// chose comes back with the next start.
    fn take_library_of(&mut self, run: &Run, missing: Option<PathBuf>) -> Result<(), String> {
        let files = &run.summary.corpus.files;
        let library = &mut self.state.library;
        let is_read = library.music.as_ref().is_some_and(|music| {
            let learned = files.iter().map(|file| file.sha256.as_str());
            music.pieces().iter().map(|piece| piece.sha256).eq(learned)
        });
        // What was read last may be another library than the one that is asked for now.
        let source = library.source();
        let is_asked = library.asked.as_ref().is_some_and(|(asked, _)| *asked == source);
        if is_read && is_asked && library.job.is_none() {
            return Ok(());
        }
        let paths = run.summary.corpus.paths();
        if library.paths == paths {
            return Ok(());
        }
        if let Some(missing) = missing {
            return Err(format!(
                "The run {} can't go on — it learned from {}, which isn't there any more. Put it \
                 back, or train a new run",
                file_name(&run.path),
                missing.display()
            ));
        }
        library.paths = paths;
        let name = file_name(&run.path);
        self.state.notices.note(format!("The library is now what {name} learned from"));
        Ok(())
    }

    /// A run that ended before it had learned anything leaves no folder: it is looked for on
    /// another thread, and [`Self::run_ended`] follows. One that was refused leaves the folder that
    /// was made for it, which is taken away.
    pub(super) fn look_for_ended(&mut self, job: JobId, result: Result<TrainSummary, String>) {
        let run_dir = self.state.training.run_dir.clone();
        let has_begun = self.state.training.prepared.is_some();
        self.tasks.spawn("looking for a run", move || {
            // It fails where anything lies in the folder, as in that of a run that was to go on.
            let is_removed = |dir: &PathBuf| !has_begun && std::fs::remove_dir(dir).is_ok();
            let is_kept = run_dir.is_some_and(|dir| !is_removed(&dir) && dir.exists());
            Answer::RunEnded { job, is_kept: is_kept && (has_begun || result.is_ok()), result }
        });
    }

    pub(super) fn run_ended(
        &mut self,
        job: JobId,
        is_kept: bool,
        result: Result<TrainSummary, String>,
    ) {
        if self.state.training.job != Some(job) {
            return;
        }
        self.state.training.job = None;
        if !is_kept {
            self.state.training.take_back();
            match result {
                Ok(_) => self.state.notices.done("Training stopped before anything was learned"),
                Err(error) => self.alert(in_the_windows_words(&error)),
            }
            return self.list_runs();
        }
        if let Some(run_dir) = self.state.training.run_dir.clone() {
            self.run_has_learned(&run_dir);
        }
        self.keep_steps();
        match result {
            Ok(summary) => self.trained(summary),
            Err(error) => self.alert(in_the_windows_words(&error)),
        }
        self.list_runs();
    }

    fn trained(&mut self, summary: TrainSummary) {
        use crate::model::Outcome;
        let training = &mut self.state.training;
        let best = format!(
            "best is {}, surprise {}",
            epoch_name(summary.best_epoch),
            short(summary.best_valid_perplexity)
        );
        let text = match summary.outcome {
            Outcome::Completed if summary.ran_away => {
                format!("Training is done, but its last epochs went astray: {best}")
            }
            Outcome::Completed => format!("Training is done: {best}"),
            Outcome::StoppedEarly => format!("Stopped, as nothing was gained any more: {best}"),
            Outcome::Cancelled if summary.best_valid_perplexity.is_nan() => {
                "Stopped before the first epoch was done. Resume goes on from there".to_owned()
            }
            Outcome::Cancelled => format!("Stopped, what was learned is kept: {best}"),
        };
        training.summary = Some(summary);
        self.state.notices.done(text);
    }

    /// The runs on disk were read: one that is chosen and gone is no longer chosen.
    pub(super) fn runs_listed(&mut self, runs: Vec<Run>) {
        self.state.runs = runs;
        if let ModelChoice::Run(path) = &self.state.preferences.compose.model
            && !self.state.runs.iter().any(|run| run.path == *path)
        {
            let name = file_name(path);
            self.state.notices.note(format!("The run {name} is gone; the starter composes"));
            self.choose_model(ModelChoice::Starter);
        }
        let shown = &mut self.state.preferences.curves.runs;
        let runs = &self.state.runs;
        shown.retain(|path| runs.iter().any(|run| run.path == *path));
        // Before anything is trained here, the run that Resume goes on with is worth a look.
        let training = &mut self.state.training;
        if training.run_dir.is_none()
            && !training.is_busy()
            && let Some(run) = newest_learned(runs)
        {
            training.show_earlier(run);
            let run_dir = run.path.clone();
            self.read_steps(run_dir);
        }
    }

    /// What the next start shall find: the run in training is by then a run like others.
    pub(super) fn lasting_preferences(&self) -> Preferences {
        let mut preferences = self.state.preferences.clone();
        let newest = self.state.training.newest.as_ref();
        if let (ModelChoice::InTraining, Some(newest)) = (&preferences.compose.model, newest) {
            preferences.compose.model = ModelChoice::Run(newest.run_dir.clone());
        }
        preferences
    }

    /// What goes on, or else what there is to learn from.
    pub(super) fn standing_line(&self) -> Option<String> {
        let (training, library) = (&self.state.training, &self.state.library);
        if training.job.is_some() {
            return Some(training.line());
        }
        if !self.waiting.is_empty() {
            return Some("Keeping your unsaved work before this goes on…".to_owned());
        }
        if library.job.is_some() {
            return Some(format!("Reading {}", library.label()));
        }
        self.library_line()
    }

    fn library_line(&self) -> Option<String> {
        let music = self.state.library.music.as_ref()?;
        let mut parts = vec![
            counted(music.n_pieces(), "piece", "pieces"),
            crate::ui::widgets::duration(music.duration_secs()),
            counted(music.n_frames(), "frame", "frames"),
        ];
        parts.extend(music.n_chords().map(|n_chords| counted(n_chords, "chord", "chords")));
        Some(format!("Read {}", parts.join(", ")))
    }
}

/// A training that was asked for.
pub(super) struct Start {
    /// Which of those that were asked for it is.
    number: u64,
    music: Music,
    settings: TrainingSettings,
    /// The run that goes on.
    resumed: Option<Run>,
    /// What a new run goes on from.
    from: Option<Arc<StartingPoint>>,
    device: DeviceChoice,
}

/// The newest of these runs that has weights to go on from, be it from within its first epoch.
fn newest_learned(runs: &[Run]) -> Option<&Run> {
    runs.iter().find(|run| run.has_weights())
}

/// How often the steps of a run in training are written, in seconds.
const KEEP_STEPS_SECS: f64 = 30.0;

/// The folder of a new run. Another window may have begun one in the same second.
fn free_run_dir(runs_dir: &Path, name: &str) -> PathBuf {
    let numbered = (2..).map(|number| format!("{name} ({number})"));
    let mut dirs = std::iter::once(name.to_owned()).chain(numbered).map(|it| runs_dir.join(it));
    let is_claimed = |dir: &PathBuf| match std::fs::create_dir(dir) {
        Err(error) => error.kind() != std::io::ErrorKind::AlreadyExists,
        Ok(()) => true,
    };
    // Where nothing can be written the trainer says so.
    if let Err(error) = std::fs::create_dir_all(runs_dir) {
        tracing::warn!("{} can't be made: {error}", runs_dir.display());
    }
    dirs.find(is_claimed).unwrap_or_else(|| runs_dir.join(name))
}

/// What these settings make of the music, counted as a run will. With the tail held out the
/// vocabulary is taken from everything; one that is known beforehand stays as it is.
fn coverage(
    music: &Music,
    key: &CoverageKey,
    known: Option<&ChordCard>,
) -> Result<CoverageFigures, String> {
    let split = music.split(key.split, key.seed).map_err(|error| error.to_string())?;
    let train_lengths = split.train.iter().map(Stretch::n_frames).collect();
    let Some(limits) = key.limits else {
        return Ok(CoverageFigures { vocabulary: 0, share: 1.0, train_lengths });
    };
    let learned_from = match key.split {
        SplitKind::Tail => (0..music.n_pieces()).collect(),
        SplitKind::Pieces => split.train_pieces(),
    };
    let corpus = music.chords();
    let encoding = match known {
        Some(card) => Encoding::with_vocabulary(&corpus, card.vocabulary.clone()),
        None => Encoding::new(&corpus, &learned_from, limits, key.seed),
    };
    let share = encoding.held_out_coverage(&corpus, &split);
    Ok(CoverageFigures { vocabulary: encoding.vocabulary.len(), share, train_lengths })
}
