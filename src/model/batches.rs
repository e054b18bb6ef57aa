//! Which windows of music make up the steps of an epoch.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use super::TrainingSettings;
use super::material::Window;
use super::random::{self, Purpose};
use super::settings::Batching;

/// Steps an epoch has at least; the batch shrinks for it.
const MIN_STEPS: usize = 8;

/// How batches are cut, decided once for a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Rows a step.
    pub batch: usize,
    /// Frames a row reads in a step, at most.
    pub sequence: usize,
    pub n_steps: usize,
}

/// The steps of one epoch; a row without a window is padding.
pub type EpochPlan = Vec<Vec<Option<Window>>>;

impl Layout {
    /// Fits the batch to the music: an epoch should have at least eight steps.
    pub fn fit(settings: &TrainingSettings, lengths: &[usize]) -> Self {
        let n_frames: usize = lengths.iter().sum();
        match settings.batching {
            Batching::Fitted => {
                let sequence = settings.sequence.min(lengths.iter().copied().max().unwrap_or(1));
                let sequence = sequence.max(1);
                let n_windows: usize = lengths.iter().map(|len| len.div_ceil(sequence)).sum();
                let batch = settings.batch.min(n_windows / MIN_STEPS).max(1);
                Self { batch, sequence, n_steps: n_windows.div_ceil(batch) }
            }
            Batching::Columns => {
                let batch = settings.batch.min(n_frames / 2).max(1);
                let n_predicted = (n_frames / batch).saturating_sub(1).max(1);
                let sequence = settings.sequence.min(n_predicted);
                Self { batch, sequence, n_steps: n_predicted.div_ceil(sequence) }
            }
        }
    }
}

/// The steps of an epoch. The same settings, music and epoch give the same plan.
pub fn plan_epoch(
    settings: &TrainingSettings,
    layout: &Layout,
    lengths: &[usize],
    n_shifts: usize,
    epoch: usize,
) -> EpochPlan {
    let mut rng = random::stream(settings.seed, Purpose::Sequences, epoch as u64);
    let mut plan = match (settings.batching, settings.carry_state) {
        (Batching::Columns, _) => columns(layout, lengths, settings.carry_state),
        (Batching::Fitted, false) => {
            let mut windows = Vec::new();
            for (stretch, &len) in lengths.iter().enumerate() {
                // A new cut each epoch, so that a window doesn't always begin at the same frame.
                let first = if settings.shuffle { rng.random_range(0..layout.sequence) } else { 0 };
                windows.extend(cut(stretch, len, first, layout.sequence));
            }
            if settings.shuffle {
                windows.shuffle(&mut rng);
            }
            windows
                .chunks(layout.batch)
                .map(|step| step.iter().copied().map(Some).collect())
                .collect()
        }
        (Batching::Fitted, true) => {
            let mut segments = segments(layout, lengths);
            if settings.shuffle {
                segments.shuffle(&mut rng);
            }
            queues(layout, segments)
        }
    };
    if n_shifts > 1 {
        transpose(&mut plan, n_shifts, &mut rng);
    }
    plan
}

/// Windows of a stretch: a first one of `first` frames unless that is 0, then of `sequence` each.
fn cut(stretch: usize, len: usize, first: usize, sequence: usize) -> impl Iterator<Item = Window> {
    let mut start = 0;
    let mut next = if first == 0 { sequence } else { first };
    std::iter::from_fn(move || {
        let window_len = next.min(len - start);
        next = sequence;
        let window = Window { stretch, start, len: window_len, continues: false, shift: 0 };
        start += window_len;
        (window_len > 0).then_some(window)
    })
}

/// Runs of windows that one row reads with its state carried: whole stretches, or parts of long
/// ones where there are too few to fill the batch.
fn segments(layout: &Layout, lengths: &[usize]) -> Vec<Vec<Window>> {
    let windows = lengths.iter().map(|len| len.div_ceil(layout.sequence));
    let longest = windows.sum::<usize>().div_ceil(layout.batch).max(1);
    let mut segments = Vec::new();
    for (stretch, &len) in lengths.iter().enumerate() {
        let windows: Vec<Window> = cut(stretch, len, 0, layout.sequence).collect();
        for segment in windows.chunks(longest) {
            let mut segment = segment.to_vec();
            for window in segment.iter_mut().skip(1) {
                window.continues = true;
            }
            segments.push(segment);
        }
    }
    segments
}

/// Hands segments to the rows of a batch, each to the row that is free first.
fn queues(layout: &Layout, segments: Vec<Vec<Window>>) -> EpochPlan {
    let mut rows: Vec<Vec<Window>> = vec![Vec::new(); layout.batch.min(segments.len())];
    for segment in segments {
        if let Some(shortest) = rows.iter_mut().min_by_key(|row| row.len()) {
            shortest.extend(segment);
        }
    }
    let n_steps = rows.iter().map(Vec::len).max().unwrap_or(0);
    (0..n_steps).map(|step| rows.iter().map(|row| row.get(step).copied()).collect()).collect()
}

/// The one joined stretch in columns of equal length; what is left over is dropped.
fn columns(layout: &Layout, lengths: &[usize], carry_state: bool) -> EpochPlan {
    let height = lengths.iter().sum::<usize>() / layout.batch;
    let n_predicted = height.saturating_sub(1);
    (0..n_predicted)
        .step_by(layout.sequence)
        .map(|at| {
            let len = layout.sequence.min(n_predicted - at);
            let continues = carry_state && at > 0;
            let window = |column: usize| {
                let start = column * height + 1 + at;
                Some(Window { stretch: 0, start, len, continues, shift: 0 })
            };
            (0..layout.batch).map(window).collect()
        })
        .collect()
}

/// A random transposition for each window; windows that go on keep their predecessor's.
fn transpose(plan: &mut EpochPlan, n_shifts: usize, rng: &mut impl rand::Rng) {
    let n_rows = plan.iter().map(Vec::len).max().unwrap_or(0);
    let mut shifts = vec![0; n_rows];
    for step in plan {
        for (window, shift) in step.iter_mut().zip(&mut shifts) {
            let Some(window) = window else { continue };
            if !window.continues {
                *shift = rng.random_range(0..n_shifts);
            }
            window.shift = *shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut TrainingSettings)) -> TrainingSettings {
        let mut settings =
            TrainingSettings { batch: 4, sequence: 10, ..TrainingSettings::chords() };
        change(&mut settings);
        settings
    }

    /// How often each frame of each stretch is predicted in an epoch.
    fn visits(plan: &EpochPlan, lengths: &[usize]) -> Vec<Vec<usize>> {
        let mut visits: Vec<Vec<usize>> = lengths.iter().map(|&len| vec![0; len]).collect();
        for window in plan.iter().flatten().flatten() {
            for visit in &mut visits[window.stretch][window.start..window.start + window.len] {
                *visit += 1;
            }
        }
        visits
    }

    #[test]
    fn every_frame_is_learned_once_an_epoch() {
        let lengths = [103, 7, 250, 1];
        for (shuffle, carry_state) in [(true, false), (false, false), (true, true), (false, true)] {
            let settings = settings(|s| (s.shuffle, s.carry_state) = (shuffle, carry_state));
            let layout = Layout::fit(&settings, &lengths);
            for epoch in 0..3 {
                let plan = plan_epoch(&settings, &layout, &lengths, 1, epoch);
                assert!(visits(&plan, &lengths).iter().flatten().all(|&n| n == 1));
            }
        }
    }

    #[test]
    fn carried_rows_go_on_where_they_stopped() {
        let lengths = [103, 37, 250];
        let settings = settings(|s| s.carry_state = true);
        let plan = plan_epoch(&settings, &Layout::fit(&settings, &lengths), &lengths, 5, 0);
        let mut last: Vec<Option<Window>> = vec![None; 4];
        for step in &plan {
            for (row, window) in step.iter().enumerate() {
                if let Some(window) = window.filter(|window| window.continues) {
                    let before = last[row].expect("something to go on from");
                    assert_eq!(before.stretch, window.stretch);
                    assert_eq!(before.start + before.len, window.start);
                    assert_eq!(before.shift, window.shift);
                }
                last[row] = *window;
            }
        }
        assert!(plan.iter().flatten().flatten().any(|window| window.continues));
    }

    #[test]
    fn the_batch_shrinks_until_an_epoch_has_eight_steps() {
        let settings = TrainingSettings::chords();
        // The Schumann tail split: 2,903 frames in sequences of 100.
        let layout = Layout::fit(&settings, &[2903]);
        assert_eq!((layout.batch, layout.n_steps), (3, 10));
        // Plenty of music keeps the batch.
        assert_eq!(Layout::fit(&settings, &[1_000_000]).batch, 256);
    }

    #[test]
    fn the_original_learns_2560_of_2903_frames_in_one_step() {
        let settings = TrainingSettings::original();
        let layout = Layout::fit(&settings, &[2903]);
        assert_eq!(layout, Layout { batch: 256, sequence: 10, n_steps: 1 });
        let plan = plan_epoch(&settings, &layout, &[2903], 1, 0);
        let n_frames: usize = plan.iter().flatten().flatten().map(|window| window.len).sum();
        assert_eq!((plan.len(), n_frames), (1, 2560));
    }

    #[test]
    fn epochs_differ_when_shuffled_and_not_otherwise() {
        let plan = |shuffle, epoch| {
            let settings = settings(|s| s.shuffle = shuffle);
            plan_epoch(&settings, &Layout::fit(&settings, &[500]), &[500], 1, epoch)
        };
        assert_ne!(plan(true, 0), plan(true, 1));
        assert_eq!(plan(true, 1), plan(true, 1));
        assert_eq!(plan(false, 0), plan(false, 1));
    }
}
