//! Many values of one measure: their mean, and the range that the middle 80 % of them lie in.

/// Mean and deciles of some values.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Summary {
    pub mean: f64,
    /// A tenth of the values lie below the first, another above the second; between two values it
    /// is interpolated linearly.
    pub low: f64,
    pub high: f64,
    pub count: usize,
}

impl Summary {
    /// `None` of nothing. Values that are no number are passed over.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        (count > 0).then(|| Self {
            mean: values.iter().sum::<f64>() / count as f64,
            low: quantile(&values, 0.1),
            high: quantile(&values, 0.9),
            count,
        })
    }

    /// Whether a value is as usual as the middle 80 %.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Of sorted values, at least one.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_between_the_first_and_the_last_tenth() {
        let summary = Summary::new((0..=10).rev().map(f64::from).chain([f64::NAN])).unwrap();
        assert_eq!((summary.mean, summary.low, summary.high, summary.count), (5.0, 1.0, 9.0, 11));
        assert!(summary.contains(1.0) && summary.contains(9.0));
        assert!(!summary.contains(0.99) && !summary.contains(9.01) && !summary.contains(f64::NAN));
        let two = Summary::new([1.0, 2.0]).unwrap();
        assert!((two.low - 1.1).abs() < 1e-12 && (two.high - 1.9).abs() < 1e-12);
        assert_eq!(Summary::new([3.0]).map(|one| (one.low, one.high)), Some((3.0, 3.0)));
        assert_eq!(Summary::new([]), None);
    }
}
