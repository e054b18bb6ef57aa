//! The networks, training, metrics, checkpoints and composing. The only room that knows burn.
//!
//! What is public here is plain data and a few functions; no tensor leaves the room, and nothing
//! outside asks which family of models it talks to.

mod checkpoint;
mod compose;
mod device;
mod evaluate;
mod run;
mod settings;
mod train;

pub use checkpoint::{CheckpointError, Model, ModelCard};
pub use compose::{
    ComposeError, ComposeEvent, ComposeRequest, ComposeSettings, Guard, NextChord, Prime,
    RollStatistics, Strategy, Take, compose, compose_with, roll_statistics,
};
pub use device::{DeviceChoice, DeviceKind, DeviceReport, compute_devices};
pub use evaluate::{EvaluateError, Evaluation, evaluate};
pub use run::{EpochPoint, Run, RunError, RunSummary};
pub use settings::{ModelKind, Preset, Schedule, SettingsError, TrainingSettings};
pub use train::{
    Baselines, Outcome, Prepared, StepPoint, TrainError, TrainEvent, TrainRequest, TrainSummary,
    estimate_memory, train,
};
