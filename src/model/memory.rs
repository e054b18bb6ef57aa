//! How much memory a training needs, and how much there is.

use super::DeviceKind;
use super::batches::Layout;
use super::network::NetworkConfig;
use super::train::TrainError;

/// Scores that the loss holds at once (see `loss`), and how many tensors of that size.
const N_SCORES: u64 = 1 << 22;
const N_SCORE_TENSORS: u64 = 4;

/// Bytes that training needs with `batch` sequences of `sequence` frames at a time.
///
/// Counted are weights, their mean, gradient, both moments and two passing copies; for each layer and frame
/// the values that the backward pass needs; and the largest passing tensors of one layer and of
/// the loss. What allocators keep beyond that is not.
pub fn estimate(config: &NetworkConfig, batch: usize, sequence: usize) -> u64 {
    let frames = batch as u64 * sequence as u64;
    let hidden = config.hidden as u64;
    let layers = config.layers as u64;
    let weights = 7 * config.n_parameters() as u64;
    // Input, h before, three gates, candidate, cell before, its tanh, and the output.
    let kept = frames * hidden * 9 * layers;
    // The projection and the gates' gradients, which exist once in parts and once joined.
    let passing = frames * hidden * 14;
    let scores = N_SCORE_TENSORS * (frames * config.n_outputs() as u64).min(N_SCORES);
    4 * (weights + kept + passing + scores)
}

/// The largest part of a batch that fits into the memory; what doesn't is done in turns.
pub fn fitting_batch(
    config: &NetworkConfig,
    layout: &Layout,
    kind: DeviceKind,
) -> Result<usize, TrainError> {
    let Some(available) = (kind == DeviceKind::Cpu).then(available_bytes).flatten() else {
        return Ok(layout.batch);
    };
    let mut batch = layout.batch;
    while batch > 1 && estimate(config, batch, layout.sequence) > available {
        batch = batch.div_ceil(2);
    }
    let needed = estimate(config, batch, layout.sequence);
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
    use crate::model::ModelKind;

    #[test]
    fn the_estimate_grows_with_what_costs_memory() {
        let config = |hidden, layers, vocabulary| NetworkConfig {
            kind: ModelKind::Lstm,
            layers,
            hidden,
            vocabulary,
        };
        let base = estimate(&config(512, 2, 1_000), 64, 100);
        // 5.3 million weights six times and some 200 MiB of activations.
        assert!((200 << 20..1 << 30).contains(&base), "{base}");
        assert!(estimate(&config(512, 2, 1_000), 128, 100) > base);
        assert!(estimate(&config(512, 3, 1_000), 64, 100) > base);
        assert!(estimate(&config(512, 2, 8_000), 64, 100) > base);
        assert!(estimate(&config(1024, 2, 1_000), 64, 100) > 2 * base);
    }
}
