//! Keeps the sound going: opens the device and opens it again when it vanishes, falls back to the
//! silent clock, loads fonts, and turns what the engine reports into [`PlayerEvent`]s.
//!
//! Whatever the engine plays on can disappear at any moment, engine and all. So the supervisor
//! never needs it back: everything that was asked for is kept in [`Shared`], and a new engine is
//! made from that at the place that was last heard.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::control::EngineControl;
use super::device::{self, OpenDevice};
use super::engine::Engine;
use super::player::PlayerEvent;
use super::schedule::Schedule;
use super::silent::{SILENT_RATE, SilentClock};
use super::{Font, FontError, FontSource};
use crate::cancel::CancelToken;

/// How often the engine is looked at.
const POLL: Duration = Duration::from_millis(25);
/// Without a sign of life for this long, a device counts as dead.
const DEAD_AFTER: Duration = Duration::from_millis(800);
/// How long reopening is tried before the silent clock takes over.
const REOPEN_FOR: Duration = Duration::from_millis(1_500);
/// The first and the longest pause between two attempts.
const FIRST_BACK_OFF: Duration = Duration::from_millis(50);
const LAST_BACK_OFF: Duration = Duration::from_millis(1_500);

/// Where a player's sound goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OutputKind {
    /// The default device, or the silent clock while there is none.
    Device,
    /// Always the silent clock.
    Silent,
}

/// What was asked for: enough to make an engine anew.
pub(super) struct Wanted {
    pub schedule: Arc<Schedule>,
    pub speed: f64,
    pub volume: f32,
    pub is_open_ended: bool,
    pub has_metronome: bool,
    pub loop_secs: Option<Range<f64>>,
    font: Option<Font>,
}

/// What the handle and the supervisor share. The audio callback never touches it.
pub(super) struct Shared {
    pub wanted: Wanted,
    pub engine: EngineControl,
    /// Ends counted before the present engine.
    n_ended_seen: u32,
}

impl Shared {
    pub(super) fn new() -> Self {
        // Until an output is there, this engine keeps what is asked for and nobody renders it.
        let (_, engine) = Engine::new(SILENT_RATE, 0.0);
        let wanted = Wanted {
            schedule: Arc::default(),
            speed: 1.0,
            volume: 1.0,
            is_open_ended: false,
            has_metronome: false,
            loop_secs: None,
            font: None,
        };
        Self { wanted, engine, n_ended_seen: 0 }
    }

    /// Makes a new engine at the place of the old one.
    fn renew_engine(&mut self, sample_rate: u32, latency_secs: f64) -> Engine {
        let (engine, mut control) = Engine::new(sample_rate, latency_secs);
        control.set_schedule(Arc::clone(&self.wanted.schedule));
        control.set_speed(self.wanted.speed);
        control.set_volume(self.wanted.volume);
        control.set_open_ended(self.wanted.is_open_ended);
        control.set_metronome(self.wanted.has_metronome);
        // It was accepted before.
        let _ = control.set_loop(self.wanted.loop_secs.clone());
        control.seek(self.engine.position_secs());
        if let Some(font) = &self.wanted.font
            && let Err(error) = control.set_font(font)
        {
            tracing::warn!("the font can't be used on this device: {error}");
        }
        if self.engine.is_playing() {
            control.play_with_count_in(self.engine.count_in_bars_due());
        }
        self.engine = control;
        self.n_ended_seen = 0;
        engine
    }
}

pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the supervisor is asked.
pub(super) enum Request {
    LoadFont(FontSource),
    /// A loader has finished the load with this number.
    Loaded {
        load: u64,
        source: FontSource,
        result: Result<Font, FontError>,
    },
    /// Until it has, this can be played.
    Preview {
        load: u64,
        font: Font,
    },
    Quit,
}

enum Output {
    None,
    Device { device: Box<OpenDevice>, has_failed: Arc<AtomicBool>, frames: u64, seen: Instant },
    Silent(SilentClock),
}

pub(super) struct Supervisor {
    pub kind: OutputKind,
    pub shared: Arc<Mutex<Shared>>,
    pub requests: Receiver<Request>,
    /// For the loaders, to report to this supervisor.
    pub own_requests: Sender<Request>,
    pub events: Sender<PlayerEvent>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// What changes while a supervisor runs.
struct State {
    output: Output,
    /// Since when there has been no device.
    out_since: Instant,
    next_attempt: Instant,
    back_off: Duration,
    /// A device has sounded: it is worth waiting a moment for it to come back.
    had_device: bool,
    /// The window knows that nothing sounds.
    said_silent: bool,
    n_loads: u64,
    loading: CancelToken,
    font_source: FontSource,
}

impl Supervisor {
    /// Runs until [`Request::Quit`] or until every sender is gone.
    pub(super) fn run(self) {
        let now = Instant::now();
        let mut state = State {
            output: Output::None,
            out_since: now,
            next_attempt: now,
            back_off: FIRST_BACK_OFF,
            had_device: false,
            said_silent: false,
            n_loads: 0,
            loading: CancelToken::new(),
            font_source: FontSource::BuiltIn,
        };
        self.load(&mut state, FontSource::BuiltIn);
        loop {
            self.look_after_output(&mut state);
            self.look_after_engine(&mut state);
            match self.requests.recv_timeout(POLL) {
                Ok(Request::LoadFont(source)) => self.load(&mut state, source),
                Ok(Request::Loaded { load, source, result }) => {
                    self.take_font(&mut state, load, source, result);
                }
                Ok(Request::Preview { load, font }) => self.take_preview(&state, load, font),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Request::Quit) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        state.loading.cancel();
        drop_elsewhere(state.output);
    }

    fn tell(&self, event: PlayerEvent) {
        // The player may be gone already; then nobody wants to know.
        let _ = self.events.send(event);
        (self.wake)();
    }

    fn look_after_output(&self, state: &mut State) {
        if self.has_died(&mut state.output) {
            tracing::info!("the sound device stopped working; it is opened again");
            drop_elsewhere(std::mem::replace(&mut state.output, Output::None));
            state.out_since = Instant::now();
            state.next_attempt = state.out_since;
            state.back_off = FIRST_BACK_OFF;
        }
        match (self.kind, &state.output) {
            (_, Output::Device { .. }) | (OutputKind::Silent, Output::Silent(_)) => {}
            (OutputKind::Silent, Output::None) => {
                state.output = Output::Silent(self.start_silent_clock());
            }
            (OutputKind::Device, _) if Instant::now() >= state.next_attempt => {
                self.try_device(state);
            }
            (OutputKind::Device, _) => {}
        }
    }

    fn has_died(&self, output: &mut Output) -> bool {
        let Output::Device { has_failed, frames, seen, .. } = output else { return false };
        let shared = lock(&self.shared);
        let now_rendered = shared.engine.frames_rendered();
        if now_rendered != *frames {
            (*frames, *seen) = (now_rendered, Instant::now());
        }
        has_failed.load(Ordering::Acquire)
            || shared.engine.is_overrun()
            || seen.elapsed() > DEAD_AFTER
    }

    fn try_device(&self, state: &mut State) {
        let has_failed = Arc::new(AtomicBool::new(false));
        // While nothing could sound, asking is cheap and quiet.
        let opened = if matches!(state.output, Output::Silent(_)) && !device::might_sound() {
            Err(String::new())
        } else {
            OpenDevice::open(Arc::clone(&has_failed))
        };
        match opened {
            Ok(device) => {
                // The silent clock stops before its place is read.
                drop_elsewhere(std::mem::replace(&mut state.output, Output::None));
                let engine =
                    lock(&self.shared).renew_engine(device.sample_rate, device.latency_secs);
                device.play(engine);
                let (name, sample_rate) = (device.name.clone(), device.sample_rate);
                self.tell(PlayerEvent::Device { name, sample_rate });
                let seen = Instant::now();
                let device = Box::new(device);
                state.output = Output::Device { device, has_failed, frames: 0, seen };
                (state.had_device, state.said_silent) = (true, false);
                state.back_off = FIRST_BACK_OFF;
            }
            Err(reason) => {
                self.go_silent_in_time(state, reason);
                state.next_attempt = Instant::now() + state.back_off;
                state.back_off = (2 * state.back_off).min(LAST_BACK_OFF);
            }
        }
    }

    /// After a while without a device the silent clock runs, and the window hears why.
    fn go_silent_in_time(&self, state: &mut State, reason: String) {
        let may_come_back = state.had_device && state.out_since.elapsed() < REOPEN_FOR;
        if matches!(state.output, Output::Silent(_)) || may_come_back {
            return;
        }
        state.output = Output::Silent(self.start_silent_clock());
        if !std::mem::replace(&mut state.said_silent, true) {
            self.tell(PlayerEvent::Silent { reason });
        }
    }

    fn start_silent_clock(&self) -> SilentClock {
        SilentClock::start(lock(&self.shared).renew_engine(SILENT_RATE, 0.0))
    }

    fn look_after_engine(&self, state: &mut State) {
        let mut shared = lock(&self.shared);
        shared.engine.empty_waste();
        let n_ended = shared.engine.n_ended();
        let has_ended = n_ended != shared.n_ended_seen;
        shared.n_ended_seen = n_ended;
        let is_broken = shared.engine.is_font_broken() && shared.wanted.font.is_some();
        if is_broken {
            shared.wanted.font = None;
        }
        drop(shared);
        if has_ended {
            self.tell(PlayerEvent::Ended);
        }
        if is_broken {
            let source = std::mem::take(&mut state.font_source);
            let error = "the font failed while it was played — its content makes no sense. \
                         The built-in piano takes over"
                .to_owned();
            let was_built_in = source == FontSource::BuiltIn;
            self.tell(PlayerEvent::FontRefused { source, error });
            if !was_built_in {
                self.load(state, FontSource::BuiltIn);
            }
        }
    }

    /// Loads on a thread of its own; a load still going on is given up.
    fn load(&self, state: &mut State, source: FontSource) {
        state.loading.cancel();
        state.loading = CancelToken::new();
        state.n_loads += 1;
        let (load, cancel) = (state.n_loads, state.loading.clone());
        let (requests, asked) = (self.own_requests.clone(), source.clone());
        let nothing_sounds = lock(&self.shared).wanted.font.is_none();
        let work = move || {
            // When nothing sounds yet, a quarter of the piano is there in a quarter of the time.
            if nothing_sounds
                && source == FontSource::BuiltIn
                && let Some(font) = Font::built_in_preview(&cancel)
            {
                let _ = requests.send(Request::Preview { load, font });
            }
            let result = Font::load(&source, &cancel);
            // A supervisor that has ended wants no font.
            let _ = requests.send(Request::Loaded { load, source, result });
        };
        if let Err(error) = std::thread::Builder::new().name("etude-font".to_owned()).spawn(work) {
            let error = format!("the font can't be loaded — {error}. Close other programs");
            self.tell(PlayerEvent::FontRefused { source: asked, error });
        }
    }

    fn take_preview(&self, state: &State, load: u64, font: Font) {
        let mut shared = lock(&self.shared);
        if load == state.n_loads && shared.wanted.font.is_none() {
            // The whole font follows, and says so if it can't be used.
            let _ = shared.engine.set_font(&font);
            shared.wanted.font = Some(font);
        }
    }

    fn take_font(
        &self,
        state: &mut State,
        load: u64,
        source: FontSource,
        result: Result<Font, FontError>,
    ) {
        if load != state.n_loads {
            return;
        }
        let mut shared = lock(&self.shared);
        let taken = result.map_err(|error| error.to_string()).and_then(|font| {
            shared.engine.set_font(&font)?;
            Ok(font)
        });
        let event = match taken {
            Ok(font) => {
                let name = font.name.clone();
                shared.wanted.font = Some(font);
                state.font_source = source;
                PlayerEvent::FontReady { name }
            }
            Err(error) => PlayerEvent::FontRefused { source, error },
        };
        drop(shared);
        self.tell(event);
    }
}

/// Closing a device that hangs may take long, which must not hold anyone up.
fn drop_elsewhere(output: Output) {
    match output {
        Output::Device { device, .. } => {
            // Without a thread the device is closed here.
            let _ = std::thread::Builder::new()
                .name("etude-close-device".to_owned())
                .spawn(move || drop(device));
        }
        // This waits for one tick of its thread.
        Output::Silent(clock) => drop(clock),
        Output::None => {}
    }
}
