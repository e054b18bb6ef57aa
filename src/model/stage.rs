//! How far weights have learned.

use std::fmt;

/// How far weights had learned in their run when they were kept: it tells them from all others of
/// that run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stage {
    /// Whole epochs; 0 is what the run began with.
    pub epoch: usize,
    /// Steps of the epoch after them, where a training stopped within it.
    pub steps_into_epoch: usize,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            0 => f.write_str("the start")?,
            epoch => write!(f, "epoch {epoch}")?,
        }
        match self.steps_into_epoch {
            0 => Ok(()),
            1 => f.write_str(" and 1 step"),
            steps => write!(f, " and {steps} steps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_told_in_words() {
        let words = |epoch, steps_into_epoch| Stage { epoch, steps_into_epoch }.to_string();
        assert_eq!(words(0, 0), "the start");
        assert_eq!(words(3, 0), "epoch 3");
        assert_eq!(words(3, 12), "epoch 3 and 12 steps");
        assert_eq!(words(0, 1), "the start and 1 step");
    }
}
