//! How much memory a training needs, and how much there is.

use super::DeviceKind;
use super::batches::Layout;
use super::chords::ChordConfig;
use super::fused::decoder;
use super::kernels::KernelChoice;
use super::keys::frames_at_once;
use super::network::NetworkConfig;
use super::train::TrainError;
use super::trainer::MOST_HELD;
use crate::tokens::KeyFrame;

/// Scores that the loss holds at once (see `loss`), and how many tensors of that size.
const N_SCORES: u64 = 1 << 22;
const N_SCORE_TENSORS: u64 = 4;
/// Frames whose scores the fused kernels hold at once, in one tensor (see `fused::decoder`).
const FUSED_SCORE_FRAMES: u64 = decoder::CHUNK as u64;

/// Tensors as wide as a layer that are kept for each: input, h before, three gates, candidate,
/// cell before, its tanh, and the output; one less fused, which computes the tanh again.
pub const KEPT: u64 = 9;
/// Those that pass: the projection and the gates' gradients, which exist once in parts and once
/// joined.
pub const PASSING: u64 = 14;

/// Bytes of [`values_a_frame`] that a processor holds at a time, about: the usual network takes 64
/// sequences of 100 frames together, enough to keep the products of single time steps large.
/// Stopping doesn't wait for the end of a part.
const MAX_PART_BYTES: usize = 512 << 20;
/// Most frames that a processor computes at a time, however small the network.
const MAX_PART_FRAMES: usize = 1 << 14;

/// Bytes that training needs with `n_rows` sequences of the batch at a time.
///
/// Counted are weights, their mean, gradient, both moments and two passing copies; what the
/// network's family holds besides; and the batches that are made ahead. What allocators keep beyond
/// that is not counted.
pub fn estimate(
    config: &NetworkConfig,
    layout: &Layout,
    n_rows: usize,
    dropout: f64,
    kind: DeviceKind,
) -> u64 {
    let frames = n_rows as u64 * layout.sequence as u64;
    let weights = 7 * config.n_parameters() as u64;
    let code = Code::usual(kind);
    let besides = match (config, code) {
        (NetworkConfig::Chords(config), _) => scored_and_packed(config, frames),
        (NetworkConfig::Keys(config), Code::Fused) => config.fused_values(),
        (NetworkConfig::Keys(config), Code::Burn) => {
            frames.min(frames_at_once(kind) as u64) * config.values_a_spelled_frame()
        }
    };
    let held = frames * held_a_frame(config, code);
    4 * (weights + held + besides) + loads(config, layout, dropout)
}

/// What computes a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Code {
    /// The fused kernels of the CPU.
    Fused,
    /// Burn's operations, with kernels of a card or without.
    Burn,
}

impl Code {
    fn usual(kind: DeviceKind) -> Self {
        let is_fused = kind == DeviceKind::Cpu && KernelChoice::default().wants_fused();
        if is_fused { Self::Fused } else { Self::Burn }
    }
}

/// Numbers that are held for each frame.
fn held_a_frame(config: &NetworkConfig, code: Code) -> u64 {
    match (config, code) {
        (NetworkConfig::Keys(config), Code::Fused) => config.fused_values_a_frame(),
        _ => values_a_frame(config),
    }
}

/// Bytes of the batches that are held at once, made ahead and whole however few of their rows are
/// computed at a time.
fn loads(config: &NetworkConfig, layout: &Layout, dropout: f64) -> u64 {
    let a_frame = match config {
        // Input, target and weight.
        NetworkConfig::Chords(_) => 12,
        // A frame, its place on the grid and a weight; velocities are few.
        NetworkConfig::Keys(_) => size_of::<KeyFrame>() as u64 + 8,
    };
    let masks = config.mask_shapes(layout.batch).into_iter();
    let masks: usize = masks.map(|[rows, width]| 4 * rows * width).sum();
    let masks = if dropout > 0.0 { masks as u64 } else { 0 };
    MOST_HELD as u64 * (layout.batch as u64 * layout.sequence as u64 * a_frame + masks)
}

/// Numbers that a network of the first family holds for the loss, and that the fused kernels have
/// packed at one time. Where burn's operations and the fused kernels differ, the larger number
/// counts.
fn scored_and_packed(config: &ChordConfig, frames: u64) -> u64 {
    let hidden = config.hidden as u64;
    // Scored and packed together; beside it the copies of an adaptive softmax' head are small.
    let outputs = config.widest_softmax() as u64;
    let scores = N_SCORE_TENSORS * (frames * outputs).min(N_SCORES);
    let scores = scores.max(frames.min(FUSED_SCORE_FRAMES) * outputs);
    // Both matrices of a layer, the recurrent one also transposed; the embedding, both ways.
    let packed = 12 * hidden * hidden + 2 * outputs * hidden;
    scores + packed
}

/// Numbers that are held for each frame by burn's operations, beside its scores: for each layer the
/// values that the backward pass needs, and the largest passing tensors.
fn values_a_frame(config: &NetworkConfig) -> u64 {
    match config {
        NetworkConfig::Chords(config) => {
            let [kept, passing] = [KEPT * config.layers as u64, PASSING];
            (kept + passing) * config.hidden as u64
        }
        NetworkConfig::Keys(config) => config.values_a_frame(),
    }
}

/// Rows of a batch that are computed at a time, with gradients gathered over the parts.
///
/// A processor takes a large batch in parts, so that it needs little memory. How large they are
/// follows from the settings alone, as if burn computed it: sums of floats depend on the order of
/// adding, and the same run must give the same numbers on every computer. Other devices take the
/// batch whole.
pub fn rows_at_a_time(config: &NetworkConfig, layout: &Layout, kind: DeviceKind) -> usize {
    if kind != DeviceKind::Cpu {
        return layout.batch;
    }
    let bytes_a_frame = 4 * values_a_frame(config) as usize;
    let most_frames = (MAX_PART_BYTES / bytes_a_frame.max(1)).min(MAX_PART_FRAMES);
    let most_rows = (most_frames / layout.sequence.max(1)).max(1);
    // Parts of one size: a small one left over would compute slowly.
    layout.batch.div_ceil(layout.batch.div_ceil(most_rows).max(1))
}

/// [`rows_at_a_time`], or on a processor whose memory is nearly full fewer, which is the only case
/// in which the numbers of a run depend on the computer.
pub fn fitting_batch(
    config: &NetworkConfig,
    layout: &Layout,
    kind: DeviceKind,
    dropout: f64,
) -> Result<usize, TrainError> {
    let mut batch = rows_at_a_time(config, layout, kind);
    let Some(available) = (kind == DeviceKind::Cpu).then(available_bytes).flatten() else {
        return Ok(batch);
    };
    while batch > 1 && estimate(config, layout, batch, dropout, kind) > available {
        batch = batch.div_ceil(2);
    }
    let needed = estimate(config, layout, batch, dropout, kind);
    if needed > available {
        return Err(TrainError::OutOfMemory { needed_mib: needed >> 20 });
    }
    Ok(batch)
}

/// Memory that could be had now without swapping; none where the system doesn't tell.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::adaptive::Clusters;
    use crate::model::keys::{Alphabet, KeyConfig};
    use crate::model::recurrent::CellKind;

    fn config(hidden: usize, layers: usize, vocabulary: usize) -> NetworkConfig {
        let (kind, clusters) = (CellKind::Lstm, None);
        NetworkConfig::Chords(ChordConfig { kind, layers, hidden, vocabulary, clusters })
    }

    #[test]
    fn a_processor_takes_large_batches_in_equal_parts_of_bounded_size() {
        let rows = |hidden, layers, batch, sequence, kind| {
            let config = config(hidden, layers, 1_000);
            let layout = Layout { batch, sequence, n_steps: 8 };
            (rows_at_a_time(&config, &layout, kind), 4 * values_a_frame(&config) as usize)
        };
        let (whole, _) = rows(512, 2, 256, 100, DeviceKind::Cuda);
        assert_eq!(whole, 256);
        for (hidden, layers, batch, sequence) in
            [(512, 2, 256, 100), (512, 2, 37, 100), (1024, 4, 256, 50), (8, 1, 4096, 1000)]
        {
            let (part, bytes_a_frame) = rows(hidden, layers, batch, sequence, DeviceKind::Cpu);
            assert!((1..=batch).contains(&part));
            assert!(part * sequence <= MAX_PART_FRAMES);
            assert!(part * sequence * bytes_a_frame <= MAX_PART_BYTES);
            let n_parts = batch.div_ceil(part);
            assert!(batch - (n_parts - 1) * part + n_parts > part, "the last part is as large");
        }
        // The usual network takes the usual batch whole, and a large one in four parts.
        assert_eq!(rows(512, 2, 64, 100, DeviceKind::Cpu).0, 64);
        assert_eq!(rows(512, 2, 256, 100, DeviceKind::Cpu).0, 64);
        // Small batches and small networks are not divided at all.
        assert_eq!(rows(512, 2, 16, 100, DeviceKind::Cpu).0, 16);
        assert_eq!(rows(64, 1, 128, 100, DeviceKind::Cpu).0, 128);
        // A single row is never divided, however long.
        assert_eq!(rows(2048, 8, 4, 1000, DeviceKind::Cpu).0, 1);
    }

    #[test]
    fn the_estimate_grows_with_what_costs_memory() {
        let estimate = |config: &NetworkConfig, batch| {
            let layout = Layout { batch, sequence: 100, n_steps: 8 };
            super::estimate(config, &layout, batch, 0.5, DeviceKind::Cpu)
        };
        let base = estimate(&config(512, 2, 1_000), 64);
        // 5.3 million weights six times and some 200 MiB of activations.
        assert!((200 << 20..1 << 30).contains(&base), "{base}");
        assert!(estimate(&config(512, 2, 1_000), 128) > base);
        assert!(estimate(&config(512, 3, 1_000), 64) > base);
        assert!(estimate(&config(512, 2, 8_000), 64) > base);
        assert!(estimate(&config(1024, 2, 1_000), 64) > 2 * base);
        // An adaptive softmax holds fewer scores and packs less.
        let full = config(512, 2, 40_000);
        let NetworkConfig::Chords(chords) = full else { panic!("another family") };
        let clusters = Some(Clusters::for_vocabulary(40_000));
        let adaptive = NetworkConfig::Chords(ChordConfig { clusters, ..chords });
        assert!(estimate(&adaptive, 64) + (150 << 20) < estimate(&full, 64));
    }

    #[test]
    fn what_the_fused_kernels_hold_of_a_speller_is_what_was_measured() {
        let config = KeyConfig {
            layers: 1,
            hidden: 128,
            key_hidden: 64,
            spell_hidden: 128,
            alphabet: Alphabet::Full,
            has_clock: false,
        };
        let keys = NetworkConfig::Keys(config);
        // 256 frames more of the usual network took 112 MB more of the system, of which allocators
        // kept some.
        let bytes = 4 * 256 * held_a_frame(&keys, Code::Fused);
        assert!((80 << 20..112_000_000).contains(&bytes), "{bytes}");
        assert!(5 * bytes < 3 * 4 * 256 * held_a_frame(&keys, Code::Burn));
        assert!((8 << 20..32 << 20).contains(&(4 * config.fused_values())));
        // A layer more, and no tower over the keys.
        let of = |config: KeyConfig| config.fused_values_a_frame();
        assert_eq!(of(KeyConfig { layers: 2, ..config }) - of(config), 7 * (12 * 128 + 88 * 64));
        assert!(of(KeyConfig { key_hidden: 0, ..config }) < of(config) / 3);
    }

    #[test]
    fn batches_made_ahead_are_counted_whole_however_few_rows_are_computed_at_a_time() {
        let (batch, hidden) = (4_096, 4_096);
        let config = config(hidden, 2, 1_000);
        let layout = Layout { batch, sequence: 10, n_steps: 8 };
        let masks = (3 * 3 * batch * hidden * 4) as u64;
        for n_rows in [1, 512, batch] {
            let bytes = |dropout| estimate(&config, &layout, n_rows, dropout, DeviceKind::Cpu);
            assert_eq!(bytes(0.5) - bytes(0.0), masks, "three loads of three masks");
        }
        let smaller = Layout { batch: batch / 2, ..layout };
        let bytes = |layout| estimate(&config, layout, 1, 0.0, DeviceKind::Cpu);
        assert_eq!(bytes(&layout) - bytes(&smaller), (3 * batch / 2 * 10 * 3 * 4) as u64);
    }
}
