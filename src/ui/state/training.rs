//! The run that is being made, or was made last: where it is, its curves, its newest weights.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::LiveCurve;
use crate::model::{
    Baselines, EpochPoint, Model, Origin, Prepared, Run, StepPoint, TrainEvent, TrainSummary,
    TrainingSettings,
};
use crate::studio::JobId;
use crate::tokens::Music;
use crate::ui::widgets::{duration, grouped};

/// Weights and the run they belong to: until a new run has its first, they are the last run's.
pub struct Newest {
    pub model: Model,
    pub run_dir: PathBuf,
}

#[derive(Default)]
pub struct Training {
    pub job: Option<JobId>,
    pub is_stopping: bool,
    pub run_dir: Option<PathBuf>,
    /// What this run was asked for.
    pub settings: TrainingSettings,
    /// The checkpoint that it went on from.
    pub from: Option<Origin>,
    pub prepared: Option<Prepared>,
    pub baselines: Option<Baselines>,
    pub last_step: Option<StepPoint>,
    pub live: LiveCurve,
    /// When the live curve was written last, in the window's seconds.
    pub live_kept_at: f64,
    pub epochs: Vec<EpochPoint>,
    /// The checksum of each piece that it learned from.
    pub learned_from: Vec<String>,
    pub notes: Vec<String>,
    pub summary: Option<TrainSummary>,
    /// The newest weights, for hearing the model while it learns.
    pub newest: Option<Newest>,
    /// Training starts as soon as the library is read.
    pub is_waiting_for_library: bool,
    pub waiting_to_resume: Option<Run>,
    /// Which training it is that was asked for and isn't begun: unsaved work is kept first.
    pub starting: Option<u64>,
    /// What was shown before this run, in case that nothing comes of it.
    before: Option<Box<Self>>,
}

impl Training {
    /// A new run begins, or an old one goes on from the epochs it has.
    pub fn begin(
        &mut self,
        job: JobId,
        run_dir: PathBuf,
        settings: TrainingSettings,
        epochs: Vec<EpochPoint>,
    ) {
        // Those of another run aren't what is in training.
        let newest = self.newest.take().filter(|newest| newest.run_dir == run_dir);
        // A run that goes on where it was stopped has the steps until there.
        let goes_on = self.run_dir.as_ref() == Some(&run_dir);
        let live = if goes_on { self.live.clone() } else { LiveCurve::default() };
        let before = Self { starting: None, before: None, ..std::mem::take(self) };
        *self = Self {
            job: Some(job),
            run_dir: Some(run_dir),
            settings,
            live,
            epochs,
            newest,
            before: Some(Box::new(before)),
            ..Self::default()
        };
    }

    /// Nothing came of the run that was begun last: what was shown before it is shown again. The
    /// newest weights are whose they are.
    pub fn take_back(&mut self) {
        let newest = self.newest.take();
        let before = self.before.take().map_or_else(Self::default, |before| *before);
        *self = Self { newest, ..before };
    }

    /// A run of an earlier session is shown until another is trained.
    pub fn show_earlier(&mut self, run: &Run) {
        let newest = self.newest.take();
        *self = Self {
            run_dir: Some(run.path.clone()),
            settings: run.summary.settings.clone(),
            from: run.summary.from.clone(),
            baselines: Some(run.summary.baselines),
            epochs: run.metrics.clone(),
            learned_from: run.summary.corpus.files.iter().map(|it| it.sha256.clone()).collect(),
            summary: run.summary.ending.clone(),
            newest,
            ..Self::default()
        };
    }

    /// Whether a run is trained or soon will be.
    pub fn is_busy(&self) -> bool {
        self.job.is_some() || self.is_waiting_for_library || self.starting.is_some()
    }

    /// Takes one event of the trainer in; returns a note the user should see.
    pub fn take_in(&mut self, event: TrainEvent) -> Option<String> {
        match event {
            TrainEvent::Prepared(prepared) => {
                self.epochs.retain(|point| point.epoch < prepared.first_epoch.max(1));
                self.baselines = Some(prepared.baselines);
                self.prepared = Some(prepared);
            }
            TrainEvent::Step(point) => self.add_step(point),
            TrainEvent::Epoch(point) => self.epochs.push(point),
            TrainEvent::Weights(model) => {
                self.newest = self.run_dir.clone().map(|run_dir| Newest { model, run_dir });
            }
            TrainEvent::Note(note) => {
                self.notes.push(note.clone());
                return Some(note);
            }
        }
        None
    }

    fn add_step(&mut self, point: StepPoint) {
        // Where sequences are cut anew for each epoch, one may have a step more than another.
        let per_epoch = (point.total_steps / self.settings.epochs.max(1)).max(1);
        let in_epoch = (point.step.saturating_sub(1) % per_epoch + 1) as f64;
        let x = point.epoch.saturating_sub(1) as f64 + in_epoch / per_epoch as f64;
        self.live.push(x, point.loss);
        self.last_step = Some(point);
    }

    /// What was kept of a run's steps, if that run is still the one that is shown.
    pub fn steps_read(&mut self, run_dir: &Path, earlier: &LiveCurve) {
        if self.run_dir.as_deref() == Some(run_dir) {
            self.live.put_before(earlier);
        }
    }

    /// The epoch with the smallest held-out loss.
    pub fn best(&self) -> Option<&EpochPoint> {
        best_epoch(&self.epochs)
    }

    /// Whether no epoch before was as good as the last.
    pub fn is_last_best(&self) -> bool {
        self.best().map(|best| best.epoch) == self.epochs.last().map(|last| last.epoch)
    }

    /// Whether a run is shown that learned from other pieces than these.
    pub fn is_of_other_music(&self, music: &Music) -> bool {
        let pieces = music.pieces();
        let pieces = pieces.iter().map(|piece| piece.sha256);
        self.run_dir.is_some() && !pieces.eq(self.learned_from.iter().map(String::as_str))
    }

    /// How far the run in training is, in one line.
    pub fn line(&self) -> String {
        let step = match self.last_step {
            _ if self.is_stopping => {
                return "Stopping at the end of this step, and keeping what was learned…"
                    .to_owned();
            }
            None if self.prepared.is_none() => return "Preparing…".to_owned(),
            None => return "The first step is being made…".to_owned(),
            Some(step) => step,
        };
        format!(
            "Epoch {} of {} · {} frames/s · {} left",
            step.epoch,
            self.settings.epochs,
            grouped(step.frames_per_second),
            duration(step.secs_left)
        )
    }

    /// The share of the run that is done, 0–1.
    pub fn progress(&self) -> f32 {
        let Some(step) = self.last_step else { return 0.0 };
        step.step as f32 / step.total_steps.max(1) as f32
    }
}

/// The epoch with the smallest held-out loss.
pub fn best_epoch(epochs: &[EpochPoint]) -> Option<&EpochPoint> {
    let finite = epochs.iter().filter(|point| point.valid_loss.is_finite());
    finite.min_by(|one, other| one.whole_valid_loss().total_cmp(&other.whole_valid_loss()))
}

/// Which epoch this is, in words: before the first stands what a run went on from.
pub fn epoch_name(epoch: usize) -> String {
    match epoch {
        0 => "the start".to_owned(),
        epoch => format!("epoch {epoch}"),
    }
}

/// The name of a new run's folder: `2026-11-22 16-05-12 LSTM 2x512`, in universal time, so that
/// names sort by age.
pub fn run_name(now: SystemTime, settings: &TrainingSettings) -> String {
    let secs = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = civil_from_days(secs / 86_400);
    let (hour, minute, second) = clock_from_secs(secs);
    let kind = settings.model.label();
    let (layers, hidden) = (settings.layers, settings.hidden);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}-{minute:02}-{second:02} {kind} {layers}x{hidden}"
    )
}

/// A moment in words, `2026-11-22 16:05 UTC`, of seconds since 1970.
pub fn universal_time(secs: u64) -> String {
    let (year, month, day) = civil_from_days(secs / 86_400);
    let (hour, minute, _) = clock_from_secs(secs);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Hour, minute and second of the day.
fn clock_from_secs(secs: u64) -> (u64, u64, u64) {
    (secs / 3_600 % 24, secs / 60 % 60, secs % 60)
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar: whole
/// periods of 400 years have 146,097 days, and years are counted from March so that the leap day
/// comes last.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let since_era = days + 719_468;
    let (era, day_of_era) = (since_era / 146_097, since_era % 146_097);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChordCard, FamilyCard, ModelCard};
    use crate::music::Pitch;
    use crate::tokens::{BackOff, Chord, ChordVocabulary};

    #[test]
    fn runs_are_named_by_the_date() {
        let name = |secs| run_name(UNIX_EPOCH + Duration::from_secs(secs), &Default::default());
        assert_eq!(name(0), "1970-01-01 00-00-00 Keys 1x128");
        assert_eq!(universal_time(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(name(951_827_696), "2000-02-29 12-34-56 Keys 1x128");
        assert_eq!(name(1_795_363_512), "2026-11-22 16-05-12 Keys 1x128");
    }

    #[test]
    fn weights_keep_the_run_they_belong_to() {
        let settings = TrainingSettings { hidden: 4, layers: 1, ..Default::default() };
        let chord: Chord = [Pitch::MIDDLE_C].into_iter().collect();
        let card = ModelCard {
            format_version: ModelCard::FORMAT_VERSION,
            family: FamilyCard::Lstm(ChordCard {
                clusters: None,
                vocabulary: ChordVocabulary::new(vec![Chord::REST, chord], vec![1, 1]).unwrap(),
                backoff: BackOff::fit([(chord, 1)]),
            }),
            layers: settings.layers,
            hidden: settings.hidden,
            plan: settings.framing_plan(),
            epoch: 1,
            steps_into_epoch: 0,
            valid_perplexity: None,
            about: String::new(),
            lessons: None,
        };
        let weights = || TrainEvent::Weights(Model::untrained(card.clone(), 0).unwrap());
        let mut training = Training::default();
        let run_dir = |training: &Training| {
            training.newest.as_ref().map(|newest| newest.run_dir.display().to_string())
        };
        training.begin(JobId(1), "one".into(), settings.clone(), Vec::new());
        assert_eq!(run_dir(&training), None);
        training.take_in(weights());
        training.begin(JobId(2), "one".into(), settings.clone(), Vec::new());
        assert_eq!(run_dir(&training).as_deref(), Some("one"), "it goes on");
        // The next run has none yet, and the first one's are not what is in training.
        training.begin(JobId(3), "two".into(), settings.clone(), Vec::new());
        assert_eq!(run_dir(&training), None);
        training.take_in(weights());
        assert_eq!(run_dir(&training).as_deref(), Some("two"));
    }

    #[test]
    fn the_live_curve_runs_forward_though_epochs_differ_in_steps() {
        let mut training = Training::default();
        training.settings.epochs = 2;
        for (epoch, steps_before, per_epoch) in [(1, 0, 9), (2, 8, 8)] {
            for step in 1..=per_epoch {
                training.take_in(TrainEvent::Step(StepPoint {
                    epoch,
                    step: steps_before + step,
                    total_steps: 2 * per_epoch,
                    loss: 1.0,
                    frames_per_second: 1.0,
                    secs_left: 0.0,
                }));
            }
        }
        assert!(training.live.is_sorted_by(|one, other| one[0] < other[0]), "{:?}", training.live);
        assert_eq!(training.live.last().unwrap()[0], 2.0);
    }

    #[test]
    fn the_live_curve_stays_small_and_keeps_its_end() {
        const N_STEPS: usize = 12_000;
        let mut training = Training::default();
        training.settings.epochs = N_STEPS;
        for step in 1..=N_STEPS {
            let point = StepPoint {
                epoch: step,
                step,
                total_steps: N_STEPS,
                loss: 1.0,
                frames_per_second: 1.0,
                secs_left: 0.0,
            };
            assert_eq!(training.take_in(TrainEvent::Step(point)), None);
        }
        assert!(training.live.len() < N_STEPS / 2);
        assert_eq!(training.live.last(), Some(&[N_STEPS as f64, 1.0]));
        assert_eq!(training.progress(), 1.0);
    }

    #[test]
    fn only_the_run_that_goes_on_keeps_its_steps() {
        let mut training = Training::default();
        let settings = TrainingSettings::default;
        training.begin(JobId(1), "one".into(), settings(), Vec::new());
        training.live.push(0.5, 1.0);
        training.begin(JobId(2), "one".into(), settings(), Vec::new());
        assert_eq!(training.live.len(), 1);
        training.begin(JobId(3), "two".into(), settings(), Vec::new());
        assert!(training.live.is_empty());
        let mut kept = LiveCurve::default();
        kept.push(0.5, 1.0);
        training.steps_read(Path::new("one"), &kept);
        assert!(training.live.is_empty(), "another run's");
        training.steps_read(Path::new("two"), &kept);
        assert_eq!(training.live, kept);
    }
}
