//! What is heard: sequencer, synthesizer, output device, rendering to a file. The only room that
//! knows rustysynth, rodio and cpal; the last two only with the feature `studio`.

mod font;
mod render;
mod sequencer;

#[cfg(feature = "studio")]
mod player;

pub use font::{Font, FontError, FontSource, system_fonts};
#[cfg(feature = "studio")]
pub use player::{AudioDeviceReport, Player, PlayerEvent, audio_devices};
pub use render::{BitDepth, RenderError, RenderReport, RenderSettings, render};
