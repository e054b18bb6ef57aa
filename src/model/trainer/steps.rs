//! One step: gradients, perhaps in parts, then clipping and Adam.

use super::Trainer;
use super::loading::Load;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::super::TrainError;
use super::super::batches::EpochPlan;
use super::super::loss::{Batch, DropoutMasks, gradients};
use super::super::network::Network;
use super::super::optimizer::AdamStep;
use super::super::recurrent::LayerState;
use super::super::schedule::learning_rate;
use super::super::weights::numbers;

impl<B: Backend> Trainer<'_, B> {
    /// Whether the step was made; one that was cancelled within it leaves everything as it was.
    #[must_use]
    pub(super) fn step(&mut self, plan: &EpochPlan, load: Load) -> bool {
        let settings = self.job.settings;
        let Load { batch, n_frames, masks } = load;
        let progress = self.progress(plan);
        let rate = learning_rate(settings, self.state.step, progress, self.state.halvings);
        let masks = self.masks(masks, batch.n_rows);
        let Some((totals, gradients)) = self.gather(&batch, &masks, n_frames) else {
            return false;
        };
        let step = AdamStep {
            learning_rate: rate,
            weight_decay: settings.weight_decay,
            optimizer: settings.optimizer,
            clip: settings.clip,
            mean_stays: self.mean_stays(),
        };
        let (network, mean) = (&mut self.network, self.mean.as_mut());
        self.adam.step(&step, network, mean, gradients, &mut self.kernels);
        self.pending.push(totals);
        self.pending_frames += n_frames;
        self.frames_here += n_frames;
        self.steps_here += 1;
        self.state.steps_into_epoch += 1;
        self.state.step += 1;
        true
    }

    /// How much of the running mean stays in this step: less in the first ones, so that it doesn't
    /// hang on to how the weights began.
    fn mean_stays(&self) -> f64 {
        let n_steps = self.state.step as f64;
        self.job.settings.averaging.min((1.0 + n_steps) / (10.0 + n_steps))
    }

    /// The weights that are measured, kept and composed with.
    pub(super) fn shown(&self) -> &Network<B> {
        self.mean.as_ref().unwrap_or(&self.network)
    }

    /// Gradients of a batch, in parts of as many rows as are computed at a time; `None` if it was
    /// cancelled.
    pub(super) fn gather(
        &mut self,
        batch: &Batch,
        masks: &DropoutMasks<B>,
        n_frames: usize,
    ) -> Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> {
        let before = self.state_before(batch);
        let (network, kernels, cancel) = (&self.network, &mut self.kernels, self.job.cancel);
        let mut after: Vec<Vec<LayerState<B>>> = Vec::new();
        let mut sum: Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> = None;
        let micro = self.job.micro_batch.max(1);
        for first in (0..batch.n_rows).step_by(micro) {
            let n = micro.min(batch.n_rows - first);
            #[cfg(test)]
            if self.job.fails_above.is_some_and(|rows| n > rows) {
                std::panic::panic_any("the device answered: out of memory");
            }
            let part = if n == batch.n_rows {
                gradients(network, batch, before.clone(), masks, n_frames, kernels, cancel)?
            } else {
                let state = rows_of_state(&before, first, n);
                let (batch, masks) = (batch.rows(first, n), masks.rows(first, n));
                gradients(network, &batch, state, &masks, n_frames, kernels, cancel)?
            };
            after.push(part.state);
            sum = Some(match sum {
                None => (part.totals, part.gradients),
                Some((totals, gradients)) => {
                    let gradients = gradients.into_iter().zip(part.gradients);
                    (totals + part.totals, gradients.map(|(sum, part)| sum + part).collect())
                }
            });
        }
        self.carried = self.job.settings.carry_state.then(|| joined_state(after));
        Some(sum.expect("a step has at least one row"))
    }

    /// The state that each row begins with: carried, or zero.
    pub(super) fn state_before(&self, batch: &Batch) -> Vec<LayerState<B>> {
        let zero = self.network.zero_state(batch.n_rows);
        if batch.continues.iter().all(|continues| !continues) {
            return zero;
        }
        let Some(carried) = &self.carried else { return zero };
        let kept = batch.continues.iter().map(|&continues| f32::from(u8::from(continues)));
        let kept = TensorData::new(kept.collect::<Vec<f32>>(), [batch.n_rows, 1]);
        let kept: Tensor<B, 2> = Tensor::from_data(kept, &self.device);
        let keep = |tensor: &Tensor<B, 2>| tensor.clone() * kept.clone();
        let layers = carried.iter();
        layers
            .map(|layer| LayerState { hidden: keep(&layer.hidden), cell: keep(&layer.cell) })
            .collect()
    }

    fn masks(&self, masks: Vec<Vec<f32>>, n_rows: usize) -> DropoutMasks<B> {
        let shape = [1, n_rows, self.job.settings.hidden];
        let masks = masks.into_iter();
        let masks = masks.map(|mask| Tensor::from_data(TensorData::new(mask, shape), &self.device));
        DropoutMasks(masks.collect())
    }

    /// Share of the whole run that is done, 0–1.
    pub(super) fn progress(&self, plan: &EpochPlan) -> f64 {
        let within = self.state.steps_into_epoch as f64 / plan.len().max(1) as f64;
        (self.state.epochs_done as f64 + within) / self.job.settings.epochs as f64
    }

    /// Brings the waiting losses to the host, in the order of the steps so that the sum doesn't
    /// depend on when it is made. Returns their mean per frame, the back-off's share included.
    pub(super) fn read_pending(&mut self) -> Result<f64, TrainError> {
        if self.pending.is_empty() {
            return Ok(0.0);
        }
        let totals = Tensor::cat(std::mem::take(&mut self.pending), 0);
        let values = totals.try_into_data().map_err(|error| self.failed(&error.to_string()))?;
        let mut loss = 0.0;
        for step in numbers(values).chunks_exact(2) {
            loss += f64::from(step[0]);
            self.state.epoch_loss += f64::from(step[0]);
            self.state.epoch_right += f64::from(step[1]);
        }
        let n_frames = std::mem::take(&mut self.pending_frames);
        self.state.epoch_frames += n_frames;
        let loss = loss / n_frames.max(1) as f64;
        if super::is_lost(loss) {
            return Err(self.diverged());
        }
        Ok(loss + self.job.escape_price)
    }
}

fn rows_of_state<B: Backend>(
    state: &[LayerState<B>],
    first: usize,
    n: usize,
) -> Vec<LayerState<B>> {
    let rows = |tensor: &Tensor<B, 2>| {
        let n_units = tensor.dims()[1];
        tensor.clone().slice([first..first + n, 0..n_units])
    };
    let layers = state.iter();
    layers
        .map(|layer| LayerState { hidden: rows(&layer.hidden), cell: rows(&layer.cell) })
        .collect()
}

/// The states of the parts of a batch as one.
fn joined_state<B: Backend>(mut parts: Vec<Vec<LayerState<B>>>) -> Vec<LayerState<B>> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let n_layers = parts.first().map_or(0, Vec::len);
    (0..n_layers)
        .map(|layer| {
            let join = |pick: fn(&LayerState<B>) -> Tensor<B, 2>| {
                Tensor::cat(parts.iter().map(|part| pick(&part[layer])).collect(), 0)
            };
            LayerState {
                hidden: join(|state| state.hidden.clone()),
                cell: join(|state| state.cell.clone()),
            }
        })
        .collect()
}
