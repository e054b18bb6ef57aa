//! What a hypothesis has to reach to live on.

/// More than rounding takes from a sum of logarithms.
const ROUNDING: f64 = 1e-6;

/// The best sums of log-probabilities of a step so far.
pub struct Best {
    /// How many count.
    n: usize,
    /// At most as many, the least likely first.
    sums: Vec<f64>,
}

impl Best {
    pub fn new(n: usize) -> Self {
        Self { n, sums: Vec::with_capacity(n + 1) }
    }

    /// Forgets those of the step before.
    pub fn clear(&mut self) {
        self.sums.clear();
    }

    pub fn add(&mut self, sum: f64) {
        let place = self.sums.partition_point(|other| *other < sum);
        self.sums.insert(place, sum);
        if self.sums.len() > self.n {
            self.sums.remove(0);
        }
    }

    /// What is less likely isn't among them any more.
    pub fn least(&self) -> f64 {
        let is_full = self.sums.len() == self.n;
        let least = self.sums.first().filter(|_| is_full);
        least.map_or(f64::NEG_INFINITY, |least| least - ROUNDING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_best_count() {
        let mut best = Best::new(2);
        best.add(-3.0);
        assert_eq!(best.least(), f64::NEG_INFINITY, "there is room for any");
        for (sum, least) in [(-1.0, -3.0), (-2.0, -2.0), (-5.0, -2.0), (-0.5, -1.0)] {
            best.add(sum);
            assert!(best.least() < least && best.least() > least - 1e-3, "{}", best.least());
        }
        best.clear();
        assert_eq!(best.least(), f64::NEG_INFINITY);
    }
}
