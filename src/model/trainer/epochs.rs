//! Points of the curve, and what happens at the end of an epoch and of a run.

use std::path::PathBuf;
use std::time::Instant;

use super::{BestEpoch, EpochEnd, Trainer, is_lost, is_out_of_memory};
use burn::tensor::backend::Backend;

use super::super::batches::EpochPlan;
use super::super::measured::{Measured, measure};
use super::super::schedule::{PLATEAU_PATIENCE, learning_rate};
use super::super::weights::WeightsError;
use super::super::{
    CheckpointError, EpochPoint, Outcome, Schedule, Stage, StartingPoint, StepPoint, TrainError,
    TrainEvent, TrainSummary,
};
use crate::tokens::Stretch;

impl<B: Backend> Trainer<'_, B> {
    pub(super) fn failed(&self, reason: &str) -> TrainError {
        if is_out_of_memory(reason) {
            // Held in `run`, which goes on with less at a time.
            std::panic::panic_any(reason.to_owned());
        }
        TrainError::DeviceFailed(self.job.summary.device.clone(), reason.to_owned())
    }

    pub(super) fn diverged(&self) -> TrainError {
        TrainError::Diverged {
            epoch: self.state.epochs_done + 1,
            kept: match self.state.best {
                Some(best) if best.epoch > 0 => "the best weights are kept in the run",
                _ => "nothing was learned yet",
            },
            learning_rate: self.job.settings.learning_rate,
        }
    }

    /// When the weights are spoiled, whoever listens gets the best ones back.
    pub(super) fn roll_back(&self, error: &TrainError, on_event: &mut dyn FnMut(TrainEvent)) {
        let (TrainError::Diverged { .. }, Some(best)) = (error, self.state.best) else { return };
        let whose = match (best.epoch, &self.job.summary.from) {
            (0, Some(from)) => from.name().to_owned(),
            (epoch, _) => format!("epoch {epoch}"),
        };
        if self.best.is_some() {
            on_event(TrainEvent::Note(format!(
                "The loss is no number any more; back to the weights of {whose}"
            )));
            self.show_best(on_event);
        }
    }

    /// Whoever listens gets the best weights, if there are any.
    fn show_best(&self, on_event: &mut dyn FnMut(TrainEvent)) {
        let (Some(best), Some(network)) = (self.state.best, &self.best) else { return };
        let stage = Stage { epoch: best.epoch, steps_into_epoch: 0 };
        let card = self.card(stage, Some(best.loss.exp()), best.epoch > 0);
        on_event(TrainEvent::Weights(self.model_of(network, card)));
    }

    pub(super) fn send_point(
        &mut self,
        plan: &EpochPlan,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(), TrainError> {
        let loss = self.read_pending()?;
        self.last_point = Some(Instant::now());
        let elapsed = self.began.elapsed().as_secs_f64();
        let total_steps = plan.len() * self.job.settings.epochs;
        let done = plan.len() * self.state.epochs_done + self.state.steps_into_epoch;
        let left = total_steps.saturating_sub(done) as f64;
        on_event(TrainEvent::Step(StepPoint {
            epoch: self.state.epochs_done + 1,
            step: done,
            total_steps,
            loss,
            frames_per_second: self.frames_here as f64 / elapsed.max(1e-9),
            secs_left: left * elapsed / self.steps_here.max(1) as f64,
        }));
        Ok(())
    }

    /// Metrics, best weights, checkpoint and what the others hear of it.
    pub(super) fn end_epoch(
        &mut self,
        plan: &EpochPlan,
        valid: Measured,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(), TrainError> {
        if is_lost(whole_loss(&valid)) {
            return Err(self.diverged());
        }
        let job = self.job;
        let settings = job.settings;
        let rate = learning_rate(
            settings,
            self.state.step.saturating_sub(1),
            self.progress(plan),
            self.state.halvings,
        );
        self.state.epochs_done += 1;
        self.state.steps_into_epoch = 0;
        self.state.seconds = self.seconds();
        let frames = self.state.epoch_frames.max(1) as f64;
        let train_loss = self.state.epoch_loss / frames + job.escape_price;
        let point = EpochPoint {
            train_loss,
            train_perplexity: train_loss.exp(),
            train_accuracy: self.state.epoch_right / frames,
            learning_rate: rate,
            frames_per_second: self.frames_here as f64
                / self.began.elapsed().as_secs_f64().max(1e-9),
            ..self.held_out_point(&valid)
        };
        (self.state.epoch_loss, self.state.epoch_right, self.state.epoch_frames) = (0.0, 0.0, 0);
        self.carried = None;
        self.keep_epoch(point, &valid, on_event)
    }

    /// The checkpoint that the run goes on from is its epoch 0: measured like all others, and the best
    /// until one of them is better.
    pub(super) fn measure_origin(
        &mut self,
        from: &StartingPoint,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<EpochEnd, TrainError> {
        let Some(valid) = self.measure_held_out() else { return Ok(EpochEnd::Cancelled) };
        if is_lost(whole_loss(&valid)) {
            let path = PathBuf::from(&from.origin.path);
            let source = WeightsError::Damaged("what it predicts is no number".to_owned());
            return Err(CheckpointError::Unusable { path, source }.into());
        }
        self.state.seconds = self.seconds();
        self.keep_epoch(self.held_out_point(&valid), &valid, on_event)?;
        // How fast it learns, and how long that will take, is told from here on.
        (self.seconds_before, self.began) = (self.seconds(), Instant::now());
        Ok(EpochEnd::Whole)
    }

    /// What was measured on held-out music before anything else is known of the epoch.
    fn held_out_point(&self, valid: &Measured) -> EpochPoint {
        let has_touch = self.job.settings.has_touch();
        EpochPoint {
            epoch: self.state.epochs_done,
            train_loss: f64::NAN,
            train_perplexity: f64::NAN,
            train_accuracy: f64::NAN,
            valid_loss: valid.loss(),
            valid_perplexity: valid.perplexity(),
            valid_accuracy: valid.accuracy(),
            valid_length_loss: has_touch.then(|| valid.length_loss()),
            valid_velocity_loss: has_touch.then(|| valid.velocity_loss()),
            valid_pedal_loss: has_touch.then(|| valid.pedal_loss()),
            learning_rate: 0.0,
            frames_per_second: 0.0,
            seconds: self.state.seconds,
        }
    }

    fn keep_epoch(
        &mut self,
        point: EpochPoint,
        valid: &Measured,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(), TrainError> {
        let job = self.job;
        let is_best = self.judge(valid.loss(), valid.velocity_loss() + valid.pedal_loss());
        self.metrics.push(point);
        let bytes = self.checkpoint()?;
        let (epoch, save_every) = (self.state.epochs_done, job.settings.save_every);
        let kept = save_every > 0 && epoch > 0 && epoch.is_multiple_of(save_every);
        job.write(|folder, _| {
            // Metrics first: a line too many is cut on resume, a missing one could not be made.
            folder.write_metrics(&self.metrics)?;
            folder.write_epoch(epoch, &bytes, kept)?;
            if is_best { folder.mark_best(epoch) } else { Ok(()) }
        })?;
        on_event(TrainEvent::Epoch(point));
        on_event(TrainEvent::Weights(self.model()));
        Ok(())
    }

    /// Counts how long it has been since the held-out loss, all parts of it together, became better.
    pub(super) fn judge(&mut self, loss: f64, touch_loss: f64) -> bool {
        let whole = loss + touch_loss;
        let is_best = self.state.best.is_none_or(|best| whole < best.loss + best.touch_loss);
        if is_best {
            self.state.best = Some(BestEpoch { epoch: self.state.epochs_done, loss, touch_loss });
            self.best = Some(self.shown().clone());
            (self.state.n_worse, self.state.n_flat) = (0, 0);
            return true;
        }
        self.state.n_worse += 1;
        self.state.n_flat += 1;
        if self.job.settings.schedule == Schedule::Plateau && self.state.n_flat >= PLATEAU_PATIENCE
        {
            self.state.halvings += 1;
            self.state.n_flat = 0;
        }
        false
    }

    /// Keeps what was learned of an epoch that isn't whole.
    pub(super) fn stop_within_epoch(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<EpochEnd, TrainError> {
        self.read_pending()?;
        self.state.seconds = self.seconds();
        if self.state.steps_into_epoch > 0 {
            let bytes = self.checkpoint()?;
            self.job.write(|folder, _| folder.write_partial(&bytes))?;
            on_event(TrainEvent::Weights(self.model()));
        }
        Ok(EpochEnd::Cancelled)
    }

    pub(super) fn finish(
        mut self,
        outcome: Outcome,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<TrainSummary, TrainError> {
        let job = self.job;
        // From now on the run is what its best epoch is.
        self.show_best(on_event);
        let test: &[Stretch] = &job.material.split.test;
        let tested = self.best.as_ref().filter(|_| !test.is_empty());
        let kernels = &mut self.kernels;
        let tested =
            tested.and_then(|best| measure(best, job.yardstick(), test, kernels, job.cancel));
        let summary = &job.summary;
        let last = self.metrics.last();
        let origin = self.metrics.first().filter(|point| point.epoch == 0);
        let best = self.state.best;
        let of_best =
            self.metrics.iter().find(|point| best.is_some_and(|it| it.epoch == point.epoch));
        let tested_touch = tested.filter(|_| job.settings.has_touch());
        Ok(TrainSummary {
            outcome,
            best_epoch: best.map_or(0, |best| best.epoch),
            best_valid_perplexity: best.map_or(f64::NAN, |best| best.loss.exp()),
            best_valid_velocity_loss: of_best.and_then(|point| point.valid_velocity_loss),
            best_valid_pedal_loss: of_best.and_then(|point| point.valid_pedal_loss),
            parameters: summary.parameters,
            device: summary.device.clone(),
            train_frames: summary.corpus.train_frames,
            valid_frames: summary.corpus.valid_frames,
            vocabulary: summary.vocabulary,
            test_perplexity: tested.map(|measured| measured.perplexity()),
            test_velocity_loss: tested_touch.map(|measured| measured.velocity_loss()),
            test_pedal_loss: tested_touch.map(|measured| measured.pedal_loss()),
            baselines: summary.baselines,
            from_valid_perplexity: origin.map(|point| point.valid_perplexity),
            ran_away: last.is_some_and(|last| {
                let blind = job.config.blind_perplexity();
                last.epoch > 0 && last.ran_away(blind, &summary.baselines, origin)
            }),
        })
    }
}

/// What the epochs are compared by, in nats a frame.
fn whole_loss(valid: &Measured) -> f64 {
    valid.loss() + valid.velocity_loss() + valid.pedal_loss()
}
