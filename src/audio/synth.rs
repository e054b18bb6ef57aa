//! The synthesizer: rustysynth behind a wall that no panic passes.
//!
//! It starts voices at the edges of its own short blocks, so that a note sounds at most
//! [`BLOCK_FRAMES`] frames after the frame on which the sequencer strikes it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustysynth::{Synthesizer, SynthesizerSettings};

use super::Font;
use super::dynamics::audible_velocity;
use super::schedule::{DRUM_CHANNEL, N_CHANNELS};

/// Frames rustysynth renders at a time: 0.7 ms at 44.1 kHz. Fewer would be finer but dearer: fonts
/// with moving filters cost about twice as much with half of it.
pub(crate) const BLOCK_FRAMES: usize = 32;
/// Voices at once; the quietest gives way. A held pedal under fast music needs many.
const MAX_VOICES: usize = 256;

/// One synthesizer with its font. Rendering doesn't allocate.
pub(crate) struct Synth {
    inner: Synthesizer,
    has_drums: bool,
    /// After a panic inside, its state can't be trusted: it is silent from then on.
    is_broken: bool,
}

/// rustysynth accepts sample rates of 16–192 kHz.
#[derive(Debug, thiserror::Error)]
#[error("the synthesizer can't work at {0} Hz")]
pub(crate) struct SampleRateError(u32);

impl Synth {
    pub(crate) fn new(font: &Font, sample_rate: u32) -> Result<Self, SampleRateError> {
        let mut settings = SynthesizerSettings::new(i32::try_from(sample_rate).unwrap_or(i32::MAX));
        settings.block_size = BLOCK_FRAMES;
        settings.maximum_polyphony = MAX_VOICES;
        let made = catch_unwind(AssertUnwindSafe(|| Synthesizer::new(font.shared(), &settings)));
        let Ok(Ok(inner)) = made else { return Err(SampleRateError(sample_rate)) };
        Ok(Self { inner, has_drums: font.has_drums(), is_broken: false })
    }

    /// `velocity` is what is written in the score, 1–127.
    pub(crate) fn note_on(&mut self, channel: u8, key: u8, velocity: u8) {
        if channel == DRUM_CHANNEL && !self.has_drums {
            return;
        }
        let velocity = audible_velocity(velocity);
        self.guarded(|inner| inner.note_on(channel.into(), key.into(), velocity.into()));
    }

    pub(crate) fn note_off(&mut self, channel: u8, key: u8) {
        self.guarded(|inner| inner.note_off(channel.into(), key.into()));
    }

    pub(crate) fn pedal(&mut self, channel: u8, is_down: bool) {
        let value = if is_down { 127 } else { 0 };
        self.guarded(|inner| inner.process_midi_message(channel.into(), 0xb0, 64, value));
    }

    pub(crate) fn programs(&mut self, programs: &[u8; N_CHANNELS]) {
        for (channel, program) in (0..).zip(programs) {
            let program = i32::from(*program);
            self.guarded(|inner| inner.process_midi_message(channel, 0xc0, program, 0));
        }
    }

    /// Every key of a channel goes up.
    pub(crate) fn release_channel(&mut self, channel: u8) {
        self.guarded(|inner| inner.note_off_all_channel(channel.into(), false));
    }

    /// Fills both channels. `false` when rendering failed: this synthesizer is then silent for ever.
    pub(crate) fn render(&mut self, left: &mut [f32], right: &mut [f32]) -> bool {
        self.guarded(|inner| inner.render(&mut *left, &mut *right));
        if self.is_broken {
            left.fill(0.0);
            right.fill(0.0);
        }
        !self.is_broken
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Synthesizer)) {
        if self.is_broken {
            return;
        }
        let inner = &mut self.inner;
        self.is_broken = catch_unwind(AssertUnwindSafe(|| work(inner))).is_err();
    }
}
