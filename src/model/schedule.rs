//! How the learning rate moves over a run.

use super::{Schedule, TrainingSettings};

/// What a cosine ends at, as a share of the full rate.
const COSINE_END: f64 = 0.01;
/// Epochs without a better held-out loss before a plateau halves the rate.
pub const PLATEAU_PATIENCE: usize = 3;

/// The learning rate of a step.
///
/// `step` counts from 0 over the whole run; `progress` is the share of all epochs that is done,
/// 0–1; `halvings` is how often a plateau was met.
pub fn learning_rate(settings: &TrainingSettings, step: u64, progress: f64, halvings: u32) -> f64 {
    let scheduled = match settings.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => {
            let half_cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
            COSINE_END + (1.0 - COSINE_END) * half_cosine
        }
        Schedule::Plateau => 0.5f64.powi(halvings.min(1_000) as i32),
    };
    let warmed = if settings.warm_up == 0 {
        1.0
    } else {
        ((step + 1) as f64 / settings.warm_up as f64).min(1.0)
    };
    settings.learning_rate * scheduled * warmed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(schedule: Schedule, step: u64, progress: f64, halvings: u32) -> f64 {
        let settings = TrainingSettings {
            schedule,
            warm_up: 10,
            learning_rate: 1.0,
            ..TrainingSettings::chords()
        };
        learning_rate(&settings, step, progress, halvings)
    }

    #[test]
    fn the_rate_warms_up_and_follows_its_schedule() {
        assert_eq!(rate(Schedule::Constant, 0, 0.0, 0), 0.1);
        assert_eq!(rate(Schedule::Constant, 9, 0.5, 0), 1.0);
        assert_eq!(rate(Schedule::Cosine, 99, 0.0, 0), 1.0);
        assert!((rate(Schedule::Cosine, 99, 0.5, 0) - 0.505).abs() < 1e-12);
        assert!((rate(Schedule::Cosine, 99, 1.0, 0) - 0.01).abs() < 1e-12);
        assert_eq!(rate(Schedule::Plateau, 99, 0.9, 2), 0.25);
    }
}
