//! What a step needs beside the weights, made ahead while the step before it runs.
//!
//! Everything here follows from the plan, the settings and the number of the step, never from when
//! it is made or by which thread: training is the same to the last bit as if each step made its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, Scope};

use super::super::batches::EpochPlan;
use super::super::loss::Batch;
use super::super::material::{Material, Window};
use super::super::network::NetworkConfig;
use super::super::random::{self, Purpose};
use super::super::{TrainError, TrainingSettings};
use super::panic_text;

/// Loads that wait beside the one that is being made: more would only hold memory.
const WAITING: usize = 1;

/// Loads that are held at once: beside those that wait, the one in use and the one in the making.
pub const MOST_HELD: usize = WAITING + 2;

/// One step's music and random numbers.
pub struct Load {
    pub batch: Batch,
    /// Frames that count.
    pub n_frames: usize,
    /// Factors of the dropout, by `NetworkConfig::mask_shapes`; empty without.
    pub masks: Vec<Vec<f32>>,
}

/// What loads are made of.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub material: &'a Material,
    pub settings: &'a TrainingSettings,
    pub config: NetworkConfig,
    pub plan: &'a EpochPlan,
}

impl<'a> Source<'a> {
    /// The load of step `idx` of the plan, which is step `step` of the run.
    pub fn load(self, idx: usize, step: u64) -> Load {
        let windows: &[Option<Window>] = &self.plan[idx];
        let batch = self.material.batch(windows);
        let TrainingSettings { seed, dropout, .. } = *self.settings;
        let masks = if dropout == 0.0 {
            Vec::new()
        } else {
            let mut rng = random::stream(seed, Purpose::Dropout, step);
            let shapes = self.config.mask_shapes(batch.n_rows()).into_iter();
            let numbers = shapes.map(|[rows, width]| rows * width);
            numbers.map(|n| random::dropout_mask(&mut rng, n, dropout)).collect()
        };
        Load { n_frames: batch.n_frames(), batch, masks }
    }

    /// [`Source::load`]; a panic in it is an error of its own, since what catches those of a step
    /// takes them for the device's.
    fn try_load(self, idx: usize, step: u64) -> Result<Load, TrainError> {
        let load = catch_unwind(AssertUnwindSafe(|| self.load(idx, step)));
        load.map_err(|panic| TrainError::Loading(panic_text(&*panic)))
    }

    /// The loads from step `idx` of the plan on, in order, made by a thread that ends when nobody
    /// takes them any more, or after one that can't be made. Where the system gives no thread, each
    /// is made when it is asked for.
    pub fn ahead<'scope>(
        self,
        scope: &'scope Scope<'scope, 'a>,
        idx: usize,
        step: u64,
    ) -> Box<dyn Iterator<Item = Result<Load, TrainError>> + 'scope>
    where
        'a: 'scope,
    {
        let each = (idx..self.plan.len()).zip(step..);
        let loads = each.map(move |(idx, step)| self.try_load(idx, step));
        let (sender, receiver) = sync_channel(WAITING);
        let here = loads.clone();
        let spawned =
            Builder::new().name("etude batches".to_owned()).spawn_scoped(scope, move || {
                for load in loads {
                    let is_last = load.is_err();
                    if sender.send(load).is_err() || is_last {
                        return;
                    }
                }
            });
        match spawned {
            Ok(_) => Box::new(receiver.into_iter()),
            Err(_) => Box::new(here),
        }
    }
}
