//! The networks, training, metrics, checkpoints and composing. The only room that knows burn.
//!
//! What is public here is plain data and a few functions; no tensor leaves the room, and nothing
//! outside asks which family of models it talks to.

mod adaptive;
mod baselines;
mod batches;
mod checkpoint;
mod chords;
mod compose;
mod cube;
mod cuda_probe;
mod device;
mod evaluate;
mod fused;
mod kernels;
mod keys;
mod lessons;
mod loss;
mod material;
mod measured;
mod memory;
mod network;
mod optimizer;
mod origin;
mod own_time;
mod random;
mod recurrent;
mod run;
mod run_lock;
mod schedule;
mod settings;
mod stage;
mod train;
mod trainer;
mod weights;

pub use adaptive::Clusters;
pub use checkpoint::{CheckpointError, ChordCard, FamilyCard, KeyCard, Model, ModelCard};
pub use compose::{
    ComposeError, ComposeEvent, ComposeRequest, ComposeSettings, Guard, NearSilence, NextChord,
    Prime, ReadPrime, RollStatistics, Strategy, Take, compose, compose_with, roll_statistics,
};
pub use cuda_probe::announce_own_cuda;
pub use device::{DeviceChoice, DeviceKind, DeviceReport, compute_devices, probe};
pub use evaluate::{EvaluateError, Evaluation, evaluate};
pub use kernels::KernelChoice;
pub use keys::{Alphabet, PIANO};
pub use lessons::Lessons;
pub use material::{beyond_the_piano, check_set, check_suits};
pub use origin::{Origin, StartingPoint};
pub use own_time::ReadingPlan;
pub use run::{CorpusSummary, EpochPoint, FileSummary, Run, RunError, RunSummary};
pub use settings::{
    Batching, Initialization, ModelKind, Optimizer, Preset, Schedule, SettingsError, Softmax,
    TrainingSettings,
};
pub use stage::Stage;
pub use train::{
    Baselines, Outcome, Prepared, StepPoint, TrainError, TrainEvent, TrainRequest, TrainSummary,
    check_before_reading, check_music, discard_unlearned, estimate_memory, train, train_with,
};
pub use trainer::{BestEpoch, TrainingState};
pub use weights::{Precision, WeightFormat, WeightsError};
