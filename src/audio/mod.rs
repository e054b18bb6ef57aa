//! What is heard: sequencer, synthesizer, output device, rendering to a file. The only room that
//! knows rustysynth, rodio and cpal; the last two only with the feature `studio`.
//!
//! ```text
//! Score ─► schedule ─► sequencer ─► engine ─► device or silent clock (player, supervisor; `studio`)
//!             │            │           └────► WAV file               (render, wav)
//!             └ ticks      └ frames     synth (rustysynth) + dynamics (make-up gain, limiter)
//!                                       hands (notes played by hand), click (metronome)
//! SF2, SF3 ─► riff, sf3 ─► font ─► synth
//! ```

mod dynamics;
mod font;
mod installed;
mod render;
mod riff;
#[cfg_attr(
    not(feature = "studio"),
    expect(dead_code, reason = "only the player seeks, counts beats and replaces")
)]
mod schedule;
#[cfg_attr(
    not(feature = "studio"),
    expect(dead_code, reason = "only the player seeks and replaces")
)]
mod sequencer;
mod sf3;
#[cfg_attr(
    not(feature = "studio"),
    expect(dead_code, reason = "only the player stops notes early")
)]
mod synth;
mod trims;
mod wav;

#[cfg(feature = "studio")]
mod click;
#[cfg(feature = "studio")]
mod control;
#[cfg(feature = "studio")]
mod device;
#[cfg(feature = "studio")]
mod engine;
#[cfg(feature = "studio")]
mod glide;
#[cfg(feature = "studio")]
mod hands;
#[cfg(feature = "studio")]
mod heard_keys;
#[cfg(feature = "studio")]
mod player;
#[cfg(feature = "studio")]
mod silent;
#[cfg(feature = "studio")]
mod supervisor;

#[cfg(feature = "studio")]
pub use control::{EngineControl, LoopError};
#[cfg(feature = "studio")]
pub use device::{AudioDeviceReport, audio_devices};
#[cfg(feature = "studio")]
pub use engine::Engine;
pub use font::{Font, FontError, FontSource};
pub use installed::system_fonts;
#[cfg(feature = "studio")]
pub use player::{Player, PlayerEvent};
pub use render::{BitDepth, RenderError, RenderReport, RenderSettings, render};
