//! Playing a score through the sound device, or through a silent clock when there is none.
//!
//! The handle is used from the interface's thread. It sends commands through a bounded queue; the
//! audio callback neither allocates, locks, logs nor does I/O. A supervisor thread opens the
//! device, opens it again when it vanishes, and loads fonts.

use std::sync::Arc;

use serde::Serialize;

use super::{FontError, FontSource};
use crate::music::{Pitch, Score, Velocity};

/// One line of `etude devices`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AudioDeviceReport {
    pub name: String,
    pub kind: String,
    pub available: bool,
    pub reason: Option<String>,
}

/// What can sound here. Never picks a null device.
pub fn audio_devices() -> Vec<AudioDeviceReport> {
    todo!()
}

/// What the interface should hear about.
#[derive(Clone, Debug)]
pub enum PlayerEvent {
    /// Sound comes out of this device.
    Device { name: String, sample_rate: u32 },
    /// No device: the silent clock runs. Sent once, with the reason in words.
    Silent { reason: String },
    /// A font is ready and sounds.
    FontReady { name: String },
    /// A font was refused; the old one keeps sounding.
    FontRefused { source: FontSource, error: String },
    /// The end of the score was reached.
    Ended,
}

/// Plays one score.
pub struct Player {
    _placeholder: Arc<FontError>,
}

impl Player {
    /// Opens the default device in the background and loads the built-in piano. `wake` is called
    /// from other threads whenever [`Player::events`] has something new.
    pub fn open(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let _ = wake;
        todo!()
    }

    /// The silent clock at once, for tests and machines without sound: same behavior, no device.
    pub fn silent(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let _ = wake;
        todo!()
    }

    /// What happened since the last call.
    pub fn events(&self) -> Vec<PlayerEvent> {
        todo!()
    }

    /// Replaces what is played; a running playback goes on at the same second of the new score
    /// (notes that both have are not struck again).
    pub fn set_score(&self, score: &Score) {
        let _ = score;
        todo!()
    }

    pub fn play(&self) {
        todo!()
    }

    /// Stops the clock where it is and lets every note end.
    pub fn pause(&self) {
        todo!()
    }

    /// Moves the playhead; sounding notes end.
    pub fn seek(&self, secs: f64) {
        let _ = secs;
        todo!()
    }

    /// 0.25–2; the pitch doesn't change.
    pub fn set_speed(&self, speed: f64) {
        let _ = speed;
        todo!()
    }

    /// 0–1.
    pub fn set_volume(&self, volume: f32) {
        let _ = volume;
        todo!()
    }

    /// Plays on past the end of the score until told otherwise, because more of it is being
    /// composed: reaching the end waits there instead of stopping.
    pub fn set_open_ended(&self, open_ended: bool) {
        let _ = open_ended;
        todo!()
    }

    pub fn is_playing(&self) -> bool {
        todo!()
    }

    /// Where the sound is, in seconds of the score at speed 1, less the device's latency.
    pub fn playhead_secs(&self) -> f64 {
        todo!()
    }

    /// Sounds a note at once for `secs`, whatever the transport does. It always ends.
    pub fn audition(&self, pitch: Pitch, velocity: Velocity, secs: f32) {
        let _ = (pitch, velocity, secs);
        todo!()
    }

    /// Loads a font in the background; [`PlayerEvent::FontReady`] or `FontRefused` follows.
    pub fn load_font(&self, source: FontSource) {
        let _ = source;
        todo!()
    }
}
