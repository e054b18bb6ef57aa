//! The loss of single steps: what is seen of a run before its first epoch is done.
//!
//! The window keeps it beside the run, in `steps.json`, so that the curve is whole when the run
//! goes on and when Etude is started again. A run that lacks the file is as good as before.

use std::fs;
use std::io::{self, Read as _};
use std::ops::Deref;
use std::path::Path;

use crate::files::write_atomically;

/// Most points that are kept; when there are more, every second one goes.
const MAX_POINTS: usize = 4_000;

/// Positions in epochs, growing, and the mean loss of a few steps there.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LiveCurve(Vec<[f64; 2]>);

impl Deref for LiveCurve {
    type Target = [[f64; 2]];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl LiveCurve {
    const FILE: &'static str = "steps.json";
    /// Far more than as many points need.
    const MAX_BYTES: u64 = 1 << 20;

    /// The newest step. Those at its place and behind it were made before the run was stopped and
    /// went on from an earlier one.
    pub fn push(&mut self, x: f64, loss: f64) {
        while self.0.last().is_some_and(|[last, _]| *last >= x) {
            self.0.pop();
        }
        if loss.is_finite() {
            self.0.push([x, loss]);
        }
        self.thin_out();
    }

    /// What was read of the steps before these.
    pub fn put_before(&mut self, earlier: &Self) {
        let first = self.0.first().map_or(f64::INFINITY, |[x, _]| *x);
        let earlier = earlier.0.iter().copied().filter(|[x, _]| *x < first);
        self.0.splice(0..0, earlier);
        self.thin_out();
    }

    fn thin_out(&mut self) {
        while self.0.len() > MAX_POINTS {
            let mut idx = 0;
            self.0.retain(|_| {
                idx += 1;
                idx % 2 == 0
            });
        }
    }

    /// Keeps it in the folder of its run; a run that learned nothing has no folder any more, and
    /// gets none.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        if !run_dir.is_dir() {
            return Ok(());
        }
        write_atomically(&run_dir.join(Self::FILE), &serde_json::to_vec(&self.0)?)
    }

    /// What a run's folder has of it: nothing if it can't be read.
    pub fn read(run_dir: &Path) -> Self {
        let mut json = Vec::new();
        let read = fs::File::open(run_dir.join(Self::FILE))
            .and_then(|file| file.take(Self::MAX_BYTES).read_to_end(&mut json));
        let points: Vec<[f64; 2]> = match read.map(|_| serde_json::from_slice(&json)) {
            Ok(Ok(points)) => points,
            Ok(Err(error)) => {
                tracing::warn!("the steps in {} can't be read: {error}", run_dir.display());
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let mut curve = Self::default();
        for [x, loss] in points.into_iter().filter(|[x, _]| x.is_finite()) {
            curve.push(x, loss);
        }
        curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[[f64; 2]]) -> LiveCurve {
        let mut curve = LiveCurve::default();
        points.iter().for_each(|[x, loss]| curve.push(*x, *loss));
        curve
    }

    #[test]
    fn a_run_that_goes_on_keeps_its_earlier_steps_and_redoes_the_others() {
        let mut live = curve(&[[0.5, 3.0], [1.0, 2.0], [1.5, 1.8]]);
        live.push(1.25, 1.9);
        assert_eq!(live[..], [[0.5, 3.0], [1.0, 2.0], [1.25, 1.9]]);

        // Read after the first new step was made.
        let mut newer = curve(&[[1.25, 1.9]]);
        newer.put_before(&curve(&[[0.5, 3.0], [1.0, 2.0], [1.5, 1.8]]));
        assert_eq!(newer, live);
    }

    #[test]
    fn it_lasts_in_the_folder_of_its_run_and_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let long: Vec<_> = (0..3 * MAX_POINTS).map(|idx| [idx as f64 / 7.0, 1e-9]).collect();
        let mut live = curve(&long);
        live.put_before(&live.clone());
        assert!(live.len() <= MAX_POINTS);
        live.write(folder.path()).unwrap();
        let bytes = fs::metadata(folder.path().join(LiveCurve::FILE)).unwrap().len();
        assert!(bytes < LiveCurve::MAX_BYTES);
        assert_eq!(LiveCurve::read(folder.path()), live);

        fs::write(folder.path().join(LiveCurve::FILE), "[[1.0, 2.0], [").unwrap();
        assert!(LiveCurve::read(folder.path()).is_empty());
        let gone = folder.path().join("gone");
        live.write(&gone).unwrap();
        assert!(!gone.exists() && LiveCurve::read(&gone).is_empty());
    }
}
