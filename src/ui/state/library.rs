//! What is learned from: where it comes from, what was read, what was skipped.

use std::path::PathBuf;

use crate::model::TrainingSettings;
use crate::studio::{JobId, LibrarySource};
use crate::tokens::{Music, MusicPlan, ReadProgress, SplitKind, VocabularyLimits};

/// How much of the held-out music a vocabulary covers, for the settings it was counted with.
#[derive(Clone, PartialEq, Debug)]
pub struct Coverage {
    pub key: CoverageKey,
    /// The figures, or why there are none.
    pub result: Result<CoverageFigures, String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CoverageFigures {
    /// Chords of the vocabulary; 0 for a model without one.
    pub vocabulary: usize,
    /// Share of the held-out frames whose chord is among them, 0–1.
    pub share: f64,
    /// Frames of each stretch that is learned from.
    pub train_lengths: Vec<usize>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct CoverageKey {
    pub split: SplitKind,
    pub seed: u64,
    /// None for a model without a vocabulary.
    pub limits: Option<VocabularyLimits>,
    /// The hash of the checkpoint that has a vocabulary already.
    pub from: Option<String>,
}

impl From<&TrainingSettings> for CoverageKey {
    fn from(settings: &TrainingSettings) -> Self {
        let limits = settings.model.has_vocabulary().then(|| settings.vocabulary_limits());
        Self { split: settings.split, seed: settings.seed, limits, from: None }
    }
}

#[derive(Default)]
pub struct Library {
    /// Files and folders the user chose; none means the built-in pieces.
    pub paths: Vec<PathBuf>,
    pub job: Option<JobId>,
    /// What the job reads, or what was read last, even if that failed.
    pub asked: Option<(LibrarySource, MusicPlan)>,
    pub progress: ReadProgress,
    pub music: Option<Music>,
    pub coverage: Option<Coverage>,
    /// The coverage that is being counted on another thread.
    pub counting: Option<CoverageKey>,
    pub error: Option<String>,
}

impl Library {
    pub fn source(&self) -> LibrarySource {
        if self.paths.is_empty() {
            LibrarySource::BuiltIn
        } else {
            LibrarySource::Paths(self.paths.clone())
        }
    }

    /// What it is called in one line.
    pub fn label(&self) -> String {
        match self.paths.as_slice() {
            [] => "Built-in pieces".to_owned(),
            [path] => crate::ui::widgets::file_name(path),
            [first, rest @ ..] => {
                format!("{} and {} more", crate::ui::widgets::file_name(first), rest.len())
            }
        }
    }

    /// Whether what is read belongs to other files or another way of framing.
    pub fn is_stale(&self, plan: &MusicPlan) -> bool {
        self.asked.as_ref() != Some(&(self.source(), *plan))
    }
}
