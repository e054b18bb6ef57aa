//! What the next run goes on from: as it was chosen, and as it was read.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::StartingPoint;
use crate::ui::widgets::file_name;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartChoice {
    /// A fresh network.
    #[default]
    Nothing,
    Starter,
    /// A run folder, or one checkpoint.
    Checkpoint(PathBuf),
}

impl StartChoice {
    pub fn label(&self) -> String {
        match self {
            Self::Nothing => "Nothing".to_owned(),
            Self::Starter => "The starter".to_owned(),
            Self::Checkpoint(path) => file_name(path),
        }
    }
}

/// What is known of the checkpoint that was chosen.
#[derive(Default)]
pub struct Starting {
    pub reading: Option<StartChoice>,
    pub read: Option<(StartChoice, Arc<StartingPoint>)>,
    /// Why the one that is chosen can't be used.
    pub error: Option<String>,
    /// It was chosen in this session, so that the form takes its settings once it is read.
    pub is_newly_chosen: bool,
}

impl Starting {
    /// The checkpoint of a choice, once it is read; none for a fresh network.
    pub fn point(&self, choice: &StartChoice) -> Option<&Arc<StartingPoint>> {
        self.read.as_ref().filter(|(read, _)| read == choice).map(|(_, point)| point)
    }
}
