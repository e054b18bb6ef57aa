//! What the window shows, as plain data: filled by events, drawn by the panels, changed only by
//! actions at the end of a frame.

mod composing;
mod document;
mod edit_form;
mod insert;
mod library;
mod live_curve;
mod notices;
mod preferences;
mod starting;
mod takes;
mod training;

use std::path::PathBuf;
use std::sync::Arc;

pub use composing::{
    ComposeForm, Composing, LengthUnit, Live, LoadedModel, ModelChoice, Pace, PrimeKind,
    ScorePlace, StrategyKind, WaitsFor,
};
pub use document::{Document, Piece, ProjectView};
pub use edit_form::{EditForm, TransposeBy};
pub use insert::{Place, place_take};
pub use library::{Coverage, CoverageFigures, CoverageKey, Library};
pub use live_curve::LiveCurve;
pub use notices::{Notice, NoticeKind, Notices, Offer};
pub use preferences::Preferences;
pub use starting::{StartChoice, Starting};
pub use takes::{Provenance, TakeEntry, TakeId, Takes};
pub use training::{Newest, Training, best_epoch, epoch_name, run_name, universal_time};

use crate::model::{DeviceChoice, DeviceKind, DeviceReport, Model, ModelCard, Run};
use crate::music::{Key, KeyScale, Scale, Score, Tick};
use crate::ui::sessions::Unfinished;

/// Whose notes are in the roll and in the loudspeakers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shown {
    #[default]
    Score,
    /// What is being composed at this moment.
    Live,
    Take(TakeId),
}

/// Where the sound comes out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SoundOutput {
    /// It is being looked for.
    #[default]
    Unknown,
    /// A device, in words.
    Device(String),
    /// Nowhere, and why.
    Silent(String),
}

impl SoundOutput {
    /// That nothing can be heard, and why.
    pub fn why_silent(&self) -> Option<String> {
        match self {
            Self::Silent(reason) => Some(format!("No sound: {reason}")),
            Self::Unknown | Self::Device(_) => None,
        }
    }

    /// Empty while it is unknown.
    pub fn words(&self) -> String {
        match self {
            Self::Device(name) => name.clone(),
            Self::Unknown | Self::Silent(_) => self.why_silent().unwrap_or_default(),
        }
    }
}

/// What is known about the sound.
#[derive(Clone, Debug, Default)]
pub struct Sound {
    pub output: SoundOutput,
    pub font: String,
    pub is_playing: bool,
    pub playhead_secs: f64,
    /// Whether the loop is played, when there is one.
    pub is_looping: bool,
    /// While it is counted in: the beats left.
    pub count_in_beats: Option<u32>,
    pub speed: f64,
    /// Where the playhead of the score was left when a take was chosen.
    pub score_playhead_secs: f64,
}

/// Names work that another window left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkId {
    /// That of its session.
    pub name: String,
    /// As it was found after the earlier crash of this number; `None` is the newest.
    pub earlier: Option<u32>,
}

/// A question before something that can't be taken back.
#[derive(Clone, PartialEq, Debug)]
pub enum Question {
    /// The window is to be closed with unsaved changes.
    Close,
    /// Another score is to be opened over unsaved changes.
    Open(PathBuf),
    OpenBuiltIn(usize),
    /// An empty score is to take the place of unsaved changes.
    New,
    /// Unsaved changes are to be given up for what is in the file.
    Revert,
    /// Work that another window left behind is to take the place of unsaved changes.
    Restore(WorkId),
    /// Work that was not saved before the program ended was found at the start.
    Recover,
    /// Work of this name, found at the start, is to be thrown away.
    Discard(String),
    /// NVIDIA's libraries are to be fetched from the network.
    FetchNvidia,
}

/// Everything.
pub struct State {
    pub document: Document,
    pub library: Library,
    pub training: Training,
    /// What the next run goes on from.
    pub starting: Starting,
    pub composing: Composing,
    pub takes: Takes,
    /// Runs on disk, newest first.
    pub runs: Vec<Run>,
    pub devices: Vec<DeviceReport>,
    /// The SoundFonts in the usual folders of this system.
    pub fonts: Vec<PathBuf>,
    pub sound: Sound,
    pub shown: Shown,
    /// The key of a score, and which score that is.
    pub key: Option<(Arc<Score>, Option<Key>)>,
    /// What the roll says of what is under the pointer or being done.
    pub roll_status: Option<String>,
    pub notices: Notices,
    pub question: Option<Question>,
    /// Work that other windows left behind, waiting to be restored or discarded.
    pub unfinished: Vec<Unfinished>,
    /// When the window was opened, in seconds since 1970.
    pub opened_secs: u64,
    /// Something serious, shown until it is read.
    pub alert: Option<String>,
    /// The share of a WAV export that is done, 0–1, while one runs.
    pub export: Option<f64>,
    /// The share of NVIDIA's libraries that is fetched, 0–1, while they are.
    pub fetching: Option<f64>,
    pub preferences: Preferences,
}

impl State {
    pub fn new(score: Score, preferences: Preferences) -> Self {
        Self {
            document: Document::new(score, None),
            library: Library::default(),
            training: Training::default(),
            starting: Starting::default(),
            composing: Composing::default(),
            takes: Takes::default(),
            runs: Vec::new(),
            devices: Vec::new(),
            fonts: Vec::new(),
            sound: Sound { speed: 1.0, ..Sound::default() },
            shown: Shown::Score,
            key: None,
            roll_status: None,
            notices: Notices::default(),
            question: None,
            unfinished: Vec::new(),
            opened_secs: 0,
            alert: None,
            export: None,
            fetching: None,
            preferences,
        }
    }

    /// Seconds since 1970.
    pub fn now_secs(&self) -> u64 {
        self.opened_secs + self.notices.now as u64
    }

    /// The notes that are shown and heard.
    pub fn shown_score(&self) -> &Arc<Score> {
        let other = match self.shown {
            Shown::Score => None,
            Shown::Live => self.composing.live.as_ref().map(|live| &live.score),
            Shown::Take(id) => self.takes.get(id).map(|entry| &entry.score),
        };
        other.unwrap_or_else(|| self.document.history.score())
    }

    /// The key that what is shown is most likely in, once it is known.
    pub fn estimated_key(&self) -> Option<KeyScale> {
        let (_, key) = self.key.as_ref()?;
        key.map(KeyScale::from)
    }

    /// Where the playhead stands in the score, even while a take is heard.
    pub fn score_playhead_secs(&self) -> f64 {
        match self.shown {
            Shown::Score => self.sound.playhead_secs,
            _ => self.sound.score_playhead_secs,
        }
    }

    /// What is known of the model that is chosen to compose, once it is there.
    pub fn composer(&self) -> Option<&ModelCard> {
        let model = match &self.preferences.compose.model {
            ModelChoice::InTraining => self.training.newest.as_ref().map(|newest| &newest.model),
            choice => self.composing.model(choice),
        };
        model.map(Model::card)
    }

    /// The tempo of the score where its playhead stands.
    pub fn quarters_per_second(&self) -> f64 {
        let score = self.document.history.score();
        let tempo = score.tempo_map.tempo_at(self.score_playhead());
        match tempo.micros_per_quarter {
            0 => ModelCard::USUAL_TEMPO,
            micros => 1e6 / f64::from(micros),
        }
    }

    /// The tick of the score at which its playhead stands.
    pub fn score_playhead(&self) -> Tick {
        let tempo_map = &self.document.history.score().tempo_map;
        tempo_map.tick_from_secs(self.score_playhead_secs())
    }

    /// Where "The score so far" ends.
    pub fn score_place(&self) -> ScorePlace<'_> {
        ScorePlace { score: self.document.history.score(), tick: self.score_playhead() }
    }

    /// The scale that notes are moved within: of the key that was set, else of the one that was
    /// estimated, else C major.
    pub fn edit_scale(&self) -> KeyScale {
        let key = self.document.key().or(self.estimated_key());
        key.unwrap_or(KeyScale::new(0, Scale::Major))
    }

    /// The kind of device that training will use, as far as it is known.
    pub fn device_kind(&self) -> DeviceKind {
        match self.preferences.device {
            DeviceChoice::Cpu => DeviceKind::Cpu,
            DeviceChoice::Cuda(_) => DeviceKind::Cuda,
            DeviceChoice::Vulkan(_) => DeviceKind::Vulkan,
            DeviceChoice::Auto => {
                let mut working = self.devices.iter().filter(|report| report.available);
                let faster = working.find(|report| report.kind != DeviceKind::Cpu);
                faster.map_or(DeviceKind::Cpu, |report| report.kind)
            }
        }
    }

    /// What computes, and why nothing faster does: `CPU, 8 cores: no NVIDIA driver was found`.
    pub fn device_line(&self) -> String {
        let best = self.devices.iter().filter(|report| report.available);
        // The fastest kind that works: anything before the CPU.
        let Some(best) = best.min_by_key(|report| report.kind == DeviceKind::Cpu) else {
            return "Looking for devices…".to_owned();
        };
        let reason = self.devices.iter().find(|report| report.kind == DeviceKind::Cuda);
        let mut line = match reason.and_then(|report| report.reason.as_ref()) {
            Some(reason) if best.kind == DeviceKind::Cpu => {
                let short = reason.split(" — ").next().unwrap_or(reason);
                format!("{}: {short}", best.name)
            }
            _ => best.name.clone(),
        };
        if let Some(step) = self.training.last_step.filter(|_| self.training.job.is_some()) {
            line += &format!(" · {} frames/s", crate::ui::widgets::grouped(step.frames_per_second));
        }
        line
    }

    /// Whether an NVIDIA driver is here and only the run-time libraries are missing.
    pub fn lacks_only_nvrtc(&self) -> bool {
        let cuda = self.devices.iter().filter(|report| report.kind == DeviceKind::Cuda);
        cuda.filter_map(|report| report.reason.as_deref()).any(|reason| {
            // Said only where the driver works: see `model::cuda_probe`.
            let reason = reason.to_lowercase();
            reason.contains("nvrtc 12 is not") || reason.contains("headers are not")
        })
    }
}
