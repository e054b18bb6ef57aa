//! Playing a score through the sound device, or through a silent clock when there is none.
//!
//! The handle is used from the interface's thread. It sends commands through a bounded queue; the
//! audio callback neither allocates, locks, logs nor does I/O ([`super::engine`]). A supervisor
//! thread opens the device, opens it again when it vanishes, and loads fonts
//! ([`super::supervisor`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::FontSource;
use super::sequencer::{Schedule, Sequencer};
use super::supervisor::{OutputKind, Request, Shared, Supervisor, lock};
use crate::music::{Pitch, Score, Velocity};

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
///
/// Every call returns at once. Sound is made elsewhere; a call takes effect within one buffer of
/// the device (about 20 ms).
pub struct Player {
    shared: Arc<Mutex<Shared>>,
    requests: Sender<Request>,
    events: Receiver<PlayerEvent>,
    glide: Mutex<Glide>,
    supervisor: Option<JoinHandle<()>>,
}

impl Player {
    /// Opens the default device in the background and loads the built-in piano. `wake` is called
    /// from other threads whenever [`Player::events`] has something new.
    pub fn open(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self::start(OutputKind::Device, wake)
    }

    /// The silent clock at once, for tests and machines without sound: same behavior, no device.
    pub fn silent(wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self::start(OutputKind::Silent, wake)
    }

    fn start(kind: OutputKind, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let shared = Arc::new(Mutex::new(Shared::new()));
        let (requests, request_receiver) = unbounded();
        let (event_sender, events) = unbounded();
        let supervisor = Supervisor {
            kind,
            shared: Arc::clone(&shared),
            requests: request_receiver,
            own_requests: requests.clone(),
            events: event_sender.clone(),
            wake: Arc::clone(&wake),
        };
        let thread = std::thread::Builder::new()
            .name("etude-sound".to_owned())
            .spawn(move || supervisor.run());
        let supervisor = match thread {
            Ok(thread) => Some(thread),
            Err(error) => {
                let reason = format!("no thread for the sound could be started: {error}");
                // The receiver stands right here.
                let _ = event_sender.send(PlayerEvent::Silent { reason });
                wake();
                None
            }
        };
        Self { shared, requests, events, glide: Mutex::default(), supervisor }
    }

    /// What happened since the last call.
    pub fn events(&self) -> Vec<PlayerEvent> {
        self.events.try_iter().collect()
    }

    /// Replaces what is played; a running playback goes on at the same second of the new score
    /// (notes that both have are not struck again). Cheap enough to be called for every frame that
    /// is composed.
    pub fn set_score(&self, score: &Score) {
        let schedule = Arc::new(Schedule::from_score(score));
        let mut shared = lock(&self.shared);
        shared.wanted.schedule = Arc::clone(&schedule);
        shared.engine.set_schedule(schedule);
    }

    /// From where the playhead is; from the start when it is at the end. Before the first font is
    /// ready the clock waits for it, at most a second.
    pub fn play(&self) {
        lock(&self.shared).engine.play();
    }

    /// Stops the clock where it is and lets every note end.
    pub fn pause(&self) {
        lock(&self.shared).engine.pause();
    }

    /// Moves the playhead; sounding notes end. Places before the start are the start, places after
    /// the end the end.
    pub fn seek(&self, secs: f64) {
        self.glide().restart();
        let mut shared = lock(&self.shared);
        let end = shared.wanted.schedule.end_secs();
        shared.engine.seek(secs.min(end));
    }

    /// 0.25–2; the pitch doesn't change.
    pub fn set_speed(&self, speed: f64) {
        let speed = if speed.is_nan() { 1.0 } else { speed };
        let speed = speed.clamp(*Sequencer::SPEEDS.start(), *Sequencer::SPEEDS.end());
        let mut shared = lock(&self.shared);
        shared.wanted.speed = speed;
        shared.engine.set_speed(speed);
    }

    /// 0–1, as it is heard (half is about 12 dB softer).
    pub fn set_volume(&self, volume: f32) {
        let mut shared = lock(&self.shared);
        shared.wanted.volume = volume;
        shared.engine.set_volume(volume);
    }

    /// Plays on past the end of the score until told otherwise, because more of it is being
    /// composed: reaching the end waits there instead of stopping.
    pub fn set_open_ended(&self, open_ended: bool) {
        let mut shared = lock(&self.shared);
        shared.wanted.is_open_ended = open_ended;
        shared.engine.set_open_ended(open_ended);
    }

    /// Whether the transport runs (also while it waits at an open end).
    pub fn is_playing(&self) -> bool {
        lock(&self.shared).engine.is_playing()
    }

    /// Where the sound is, in seconds of the score at speed 1, less the device's latency. Moves
    /// smoothly between the device's buffers.
    pub fn playhead_secs(&self) -> f64 {
        let shared = lock(&self.shared);
        let (secs, is_moving) = (shared.engine.position_secs(), shared.engine.is_moving());
        let (speed, end) = (shared.wanted.speed, shared.wanted.schedule.end_secs());
        drop(shared);
        let speed = if is_moving { speed } else { 0.0 };
        self.glide().at(Instant::now(), secs, speed).min(end.max(secs))
    }

    /// Sounds a note at once for `secs` (0.02–10), whatever the transport does. It always ends,
    /// whatever the pedal does. Nothing sounds before the first font is ready.
    pub fn audition(&self, pitch: Pitch, velocity: Velocity, secs: f32) {
        lock(&self.shared).engine.audition(pitch, velocity, secs);
    }

    /// Loads a font in the background; [`PlayerEvent::FontReady`] or `FontRefused` follows, unless
    /// another is asked for before.
    pub fn load_font(&self, source: FontSource) {
        // A supervisor that couldn't start has said so.
        let _ = self.requests.send(Request::LoadFont(source));
    }

    fn glide(&self) -> std::sync::MutexGuard<'_, Glide> {
        self.glide.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Quit);
        if let Some(supervisor) = self.supervisor.take() {
            // A panic there has been reported by its own thread.
            let _ = supervisor.join();
        }
    }
}

/// The position moves in steps of the device's buffer, about 20 ms, which would make the playhead
/// tremble. Between two steps it moves on by the wall clock, never backwards, and never further
/// than one long buffer.
#[derive(Debug, Default)]
struct Glide {
    /// The last step and when it was seen.
    step: Option<(f64, Instant)>,
    shown: f64,
}

impl Glide {
    const LONGEST_STEP_SECS: f64 = 0.05;
    /// A jump back by more than this is meant.
    const JUMP_SECS: f64 = 0.15;

    fn restart(&mut self) {
        *self = Self::default();
    }

    /// `speed` is 0 while the clock stands still.
    fn at(&mut self, now: Instant, secs: f64, speed: f64) -> f64 {
        let seen = match self.step {
            Some((step, seen)) if step == secs => seen,
            _ => now,
        };
        self.step = Some((secs, seen));
        if speed == 0.0 {
            self.shown = secs;
            return secs;
        }
        let since = now.saturating_duration_since(seen).as_secs_f64().min(Self::LONGEST_STEP_SECS);
        let estimate = secs + since * speed;
        let is_jump = self.shown - estimate > Self::JUMP_SECS;
        self.shown = if is_jump { estimate } else { self.shown.max(estimate) };
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_playhead_glides_between_steps_and_never_goes_back() {
        let (mut glide, start) = (Glide::default(), Instant::now());
        let mut shown = Vec::new();
        for ms in 0..200u64 {
            // The device reports every 21 ms.
            let step = (ms / 21 * 21) as f64 / 1e3;
            shown.push(glide.at(start + Duration::from_millis(ms), step, 1.0));
        }
        assert!(shown.is_sorted());
        for (ms, shown) in shown.iter().enumerate() {
            assert!((shown - ms as f64 / 1e3).abs() < 0.022, "{ms} ms shows {shown}");
        }
        assert_eq!(glide.at(start + Duration::from_millis(300), 0.02, 1.0), 0.02);
        assert_eq!(glide.at(start + Duration::from_secs(9), 0.05, 0.0), 0.05);
    }

    #[test]
    fn a_clock_that_stops_reporting_stops_the_playhead() {
        let (mut glide, start) = (Glide::default(), Instant::now());
        glide.at(start, 1.0, 2.0);
        let later = glide.at(start + Duration::from_secs(60), 1.0, 2.0);
        assert_eq!(later, 1.0 + 2.0 * Glide::LONGEST_STEP_SECS);
    }
}
