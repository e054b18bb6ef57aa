//! One step: gradients, perhaps in parts, then clipping and Adam.

use std::ops::Range;

use super::loading::Load;
use super::{Carried, Trainer};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::super::TrainError;
use super::super::batches::EpochPlan;
use super::super::loss::{Batch, gradients};
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
        let masks = self.masks(masks, batch.n_rows());
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
        let weights = self.network.parameters_mut();
        let mean = self.mean.as_mut().map(Network::parameters_mut).unwrap_or_default();
        self.adam.step(&step, weights, mean, gradients, &mut self.kernels);
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
        masks: &[Tensor<B, 2>],
        n_frames: usize,
    ) -> Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> {
        let before = self.state_before(batch);
        let (network, kernels, cancel) = (&self.network, &mut self.kernels, self.job.cancel);
        let n_rows = batch.n_rows();
        let mut after: Vec<Vec<LayerState<B>>> = Vec::new();
        let mut sum: Option<(Tensor<B, 2>, Vec<Tensor<B, 2>>)> = None;
        let micro = self.job.micro_batch.max(1);
        for first in (0..n_rows).step_by(micro) {
            let n = micro.min(n_rows - first);
            #[cfg(test)]
            if self.job.fails_above.is_some_and(|rows| n > rows) {
                std::panic::panic_any("the device answered: out of memory");
            }
            let part = if n == n_rows {
                gradients(network, batch, before.clone(), masks, n_frames, kernels, cancel)?
            } else {
                let rows = |tensor: &Tensor<B, 2>| rows_of(tensor, n_rows, first..first + n);
                let state = before.iter().map(|layer| LayerState {
                    hidden: rows(&layer.hidden),
                    cell: rows(&layer.cell),
                });
                let (state, masks): (_, Vec<_>) =
                    (state.collect(), masks.iter().map(rows).collect());
                let batch = batch.rows(first, n);
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
        let carries = self.job.settings.carry_state;
        self.carried = carries.then(|| Carried { n_rows, layers: joined_state(after) });
        Some(sum.expect("a step has at least one row"))
    }

    /// The state that each row begins with: carried, or zero.
    pub(super) fn state_before(&self, batch: &Batch) -> Vec<LayerState<B>> {
        let zero = self.network.zero_state(batch.n_rows());
        if batch.continues().iter().all(|continues| !continues) {
            return zero;
        }
        let Some(carried) = &self.carried else { return zero };
        let keep = |tensor: &Tensor<B, 2>| {
            let n_rows = tensor.dims()[0];
            let each = n_rows / batch.n_rows();
            let kept = batch.continues().iter().map(|&continues| f32::from(u8::from(continues)));
            let kept = kept.flat_map(|kept| std::iter::repeat_n(kept, each)).collect();
            tensor.clone()
                * Tensor::from_data(TensorData::new::<f32, _>(kept, [n_rows, 1]), &self.device)
        };
        let layers = carried.layers.iter();
        layers
            .map(|layer| LayerState { hidden: keep(&layer.hidden), cell: keep(&layer.cell) })
            .collect()
    }

    fn masks(&self, masks: Vec<Vec<f32>>, n_rows: usize) -> Vec<Tensor<B, 2>> {
        let shapes = self.job.config.mask_shapes(n_rows);
        let masks = masks.into_iter().zip(shapes);
        let tensor = |(mask, shape)| Tensor::from_data(TensorData::new(mask, shape), &self.device);
        masks.map(tensor).collect()
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
        let [_, width] = totals.dims();
        let values = totals.try_into_data().map_err(|error| self.failed(&error.to_string()))?;
        let mut loss = 0.0;
        let mut of_touch = 0.0;
        for step in numbers(values).chunks_exact(width) {
            loss += f64::from(step[0]);
            of_touch += f64::from(step[2..].iter().sum::<f32>());
            self.state.epoch_loss += f64::from(step[0]);
            self.state.epoch_right += f64::from(step[1]);
        }
        let n_frames = std::mem::take(&mut self.pending_frames);
        self.state.epoch_frames += n_frames;
        let loss = loss / n_frames.max(1) as f64;
        if super::is_lost(loss + of_touch / n_frames.max(1) as f64) {
            return Err(self.diverged());
        }
        Ok(loss + self.job.escape_price)
    }
}

/// The rows of some of `n_rows` sequences; each has as many, which lie together.
fn rows_of<B: Backend>(
    tensor: &Tensor<B, 2>,
    n_rows: usize,
    sequences: Range<usize>,
) -> Tensor<B, 2> {
    let [n, width] = tensor.dims();
    let each = n / n_rows;
    tensor.clone().slice([sequences.start * each..sequences.end * each, 0..width])
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
