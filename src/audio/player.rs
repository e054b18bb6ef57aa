//! Playing a score through the sound device, or through a silent clock when there is none.
//!
//! The handle is used from the interface's thread. It sends commands through a bounded queue; the
//! audio callback neither allocates, locks, logs nor does I/O ([`super::engine`]). A supervisor
//! thread opens the device, opens it again when it vanishes, and loads fonts
//! ([`super::supervisor`]).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::FontSource;
use super::control::LoopError;
use super::glide::Glide;
use super::schedule::Schedule;
use super::sequencer::Sequencer;
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

    /// Plays after `n_bars` bars of clicks (0–16) in the meter and tempo of the playhead. The clicks
    /// lie on the beats of the bar, so that the music comes in on the next one; meanwhile the
    /// playhead waits and [`Player::count_in_beats_left`] counts. Pausing ends the count; after a
    /// seek or an edit it goes on as it was begun. A playback that runs already goes on.
    pub fn play_with_count_in(&self, n_bars: u32) {
        lock(&self.shared).engine.play_with_count_in(n_bars);
    }

    /// While it is counted in: the beats left until the music, as heard; 1 on the last.
    pub fn count_in_beats_left(&self) -> Option<u32> {
        lock(&self.shared).engine.count_in_beats_left()
    }

    /// Moves the playhead; the score's sounding notes end, and a scrub ends. Places before the start
    /// are the start; a place after the end is kept, and playing from there begins at the loop's
    /// start, or at the start.
    pub fn seek(&self, secs: f64) {
        self.glide().restart();
        lock(&self.shared).engine.seek(secs);
    }

    /// The playhead is dragged to `secs`: what begins between the last place and this one sounds
    /// for a moment (at most 12 notes of one step, those nearest to the new place; at the first
    /// place what begins there). A running playback waits until [`Player::end_scrub`] and then goes
    /// on from there, still being `is_playing`; a count-in is given up.
    pub fn scrub(&self, secs: f64) {
        self.glide().restart();
        lock(&self.shared).engine.scrub(secs);
    }

    /// The playhead was let go. Does nothing when there was no scrub.
    pub fn end_scrub(&self) {
        lock(&self.shared).engine.end_scrub();
    }

    /// Plays a stretch of the score, in seconds at speed 1, over and over; `None` plays on to the
    /// end. Takes effect at once, also while it plays.
    ///
    /// Whoever comes to its end from before goes on at its start, without a gap: notes that sound
    /// end, also those that the pedal holds, and the pedal goes where it is at the start. Notes that
    /// begin earlier and reach into the loop aren't struck at its start. Whoever plays from its end
    /// or after it plays on. A loop may reach beyond the end of the score, which is then silence.
    /// The stretch doesn't move when the tempo is edited: set it again after
    /// [`Player::set_score`].
    ///
    /// # Errors
    /// When it is shorter than 10 ms or no stretch of time; the loop stays as it was.
    pub fn set_loop(&self, secs: Option<Range<f64>>) -> Result<(), LoopError> {
        let mut shared = lock(&self.shared);
        shared.engine.set_loop(secs.clone())?;
        shared.wanted.loop_secs = secs;
        Ok(())
    }

    /// Clicks on every beat of the score while it plays, higher on a bar's first one; in a loop also
    /// after the last note. At an open end the clicks wait with the playhead. Never in a WAV file.
    pub fn set_metronome(&self, is_on: bool) {
        let mut shared = lock(&self.shared);
        shared.wanted.has_metronome = is_on;
        shared.engine.set_metronome(is_on);
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
    /// smoothly between the device's buffers, and jumps back when the loop's turn is heard.
    pub fn playhead_secs(&self) -> f64 {
        let shared = lock(&self.shared);
        let (secs, is_moving) = (shared.engine.position_secs(), shared.engine.is_moving());
        let (speed, end) = (shared.wanted.speed, shared.wanted.schedule.end_secs());
        let turn = shared.wanted.loop_secs.as_ref().map(|secs| secs.end);
        drop(shared);
        let speed = if is_moving { speed } else { 0.0 };
        let limit = turn.filter(|turn| secs < *turn).unwrap_or(end);
        self.glide().at(Instant::now(), secs, speed, limit)
    }

    /// Sounds notes at once and together for `secs` (0.02–10), whatever the transport does; at most
    /// 32, the others are left out. They always end, whatever the pedal does, and so do those that
    /// still sound from before, so that dragged notes don't pile up. Nothing sounds before the
    /// first font is ready.
    pub fn audition_chord(&self, notes: &[(Pitch, Velocity)], secs: f32) {
        lock(&self.shared).engine.audition_chord(notes, secs);
    }

    /// A key of the keyboard goes down, until [`Player::all_keys_up`] or for 10 s. Several can
    /// be down.
    pub fn key_down(&self, pitch: Pitch, velocity: Velocity) {
        lock(&self.shared).engine.key_down(pitch, velocity);
    }

    /// The pointer is dragged along the keyboard: this key goes down unless it is, the others that
    /// are held go up.
    pub fn key_drag(&self, pitch: Pitch, velocity: Velocity) {
        lock(&self.shared).engine.key_drag(pitch, velocity);
    }

    /// Every held key goes up: when the window loses the pointer or the focus.
    pub fn all_keys_up(&self) {
        lock(&self.shared).engine.all_keys_up();
    }

    /// The keys that are down now in the score, an audition, a scrub or by hand, as heard: less the
    /// device's latency. One bit for each pitch; percussion is left out, and so is what only the
    /// pedal holds.
    pub fn sounding_keys(&self) -> u128 {
        lock(&self.shared).engine.sounding_keys()
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
