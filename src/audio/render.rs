//! A score as a WAV file.

use std::path::Path;

use serde::Serialize;

use super::Font;
use crate::cancel::CancelToken;
use crate::music::Score;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BitDepth {
    #[default]
    Sixteen,
    TwentyFour,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RenderSettings {
    /// 8,000–192,000 Hz.
    pub sample_rate: u32,
    pub bits: BitDepth,
    /// The loudest sample, in dB below full scale; 1 unless asked otherwise.
    pub headroom_db: f32,
}

impl Default for RenderSettings {
    fn default() -> Self {
        Self { sample_rate: 44_100, bits: BitDepth::Sixteen, headroom_db: 1.0 }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RenderReport {
    pub seconds_of_audio: f64,
    /// Time it took.
    pub seconds: f64,
    /// 0–1 of full scale.
    pub peak: f64,
    pub rms: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the audio room's owner replaces this")]
    Placeholder,
}

/// Renders offline, the tail of the last note included. `progress` gets shares from 0 to 1.
/// Nothing is left at `out` when it fails or is cancelled.
pub fn render(
    score: &Score,
    font: &Font,
    settings: &RenderSettings,
    out: &Path,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(f64),
) -> Result<RenderReport, RenderError> {
    let _ = (score, font, settings, out, cancel, progress);
    todo!()
}
