//! What a run begins with, and whether one that is resumed is asked for the same again.

use std::path::Path;
use std::sync::Arc;

use super::super::run::{Run, RunFolder, RunSummary};
use super::super::trainer::newest_card;
use super::super::{Lessons, ModelCard, Origin, TrainingSettings};
use super::{TrainError, TrainRequest, check_music};

/// What a run begins with besides its settings and its music.
#[derive(Default)]
pub struct Beginning {
    pub is_resumed: bool,
    /// The checkpoint that it goes on from, or that it went on from before it was resumed.
    pub from: Option<Origin>,
    /// What that had learned from, where it is known.
    pub learned_before: Option<Lessons>,
    /// What is known of that run's network beforehand, which no settings say.
    pub network: Option<Arc<ModelCard>>,
}

impl Beginning {
    pub fn of(request: &TrainRequest) -> Result<Self, TrainError> {
        match run_to_resume(&request.settings, &request.run_dir, request.resume)? {
            Some(run) => {
                check_music(&run, &request.music)?;
                Self::of_resumed(run)
            }
            None => Self::of_new(request),
        }
    }

    fn of_new(request: &TrainRequest) -> Result<Self, TrainError> {
        let Some(from) = &request.from else { return Ok(Self::default()) };
        from.check(&request.settings)?;
        Ok(Self {
            is_resumed: false,
            from: Some(from.origin.clone()),
            learned_before: from.lessons.clone(),
            network: Some(from.model.shared_card()),
        })
    }

    fn of_resumed(run: Run) -> Result<Self, TrainError> {
        let network = match &run.summary.from {
            None => None,
            Some(from) => {
                let card = newest_card(&RunFolder::new(&run.path))?;
                let lost = || {
                    let (run, from) = (run.path.clone(), from.name().to_owned());
                    TrainError::OriginLost { run, from }
                };
                Some(Arc::new(card.ok_or_else(lost)?))
            }
        };
        let RunSummary { from, learned_before, .. } = run.summary;
        Ok(Self { is_resumed: true, from, learned_before, network })
    }
}

/// The run to go on with, checked against what was asked as far as it can be without the music;
/// none when a new one begins.
pub fn run_to_resume(
    settings: &TrainingSettings,
    run_dir: &Path,
    resume: bool,
) -> Result<Option<Run>, TrainError> {
    let folder = RunFolder::new(run_dir);
    if folder.is_in_training() {
        return Err(TrainError::InTraining(run_dir.to_owned()));
    }
    if !resume {
        return match folder.is_free() {
            true => Ok(None),
            false => Err(TrainError::RunExists(run_dir.to_owned())),
        };
    }
    let run = Run::read(run_dir)?;
    same_settings(&run.summary.settings, settings)?;
    Ok(Some(run))
}

/// Names the first setting that a resumed run would have to change in its middle.
fn same_settings(theirs: &TrainingSettings, ours: &TrainingSettings) -> Result<(), TrainError> {
    let alike = TrainingSettings {
        epochs: theirs.epochs,
        early_stop: theirs.early_stop,
        save_every: theirs.save_every,
        learning_rate: theirs.learning_rate,
        clip: theirs.clip,
        ..ours.clone()
    };
    match first_difference(theirs, &alike) {
        None => Ok(()),
        Some((setting, theirs)) => Err(TrainError::OtherSettings { setting, theirs }),
    }
}

/// The flag of the first setting that differs, with the value that it has in `theirs`.
pub fn first_difference(
    theirs: &TrainingSettings,
    ours: &TrainingSettings,
) -> Option<(String, String)> {
    let grid = theirs.grid.to_string();
    let (theirs, ours) = (as_json(theirs), as_json(ours));
    let (name, value) = theirs.iter().find(|(name, value)| ours.get(*name) != Some(value))?;
    let value = match (name.as_str(), value) {
        ("grid", _) => grid,
        (_, serde_json::Value::String(word)) => word.clone(),
        (_, value) => value.to_string(),
    };
    let flag = match name.as_str() {
        "pedalling" => "--pedal".to_owned(),
        name => format!("--{}", name.replace('_', "-")),
    };
    Some((flag, value))
}

fn as_json(settings: &TrainingSettings) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(settings) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}
