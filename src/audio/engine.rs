//! What runs inside the audio callback: transport, synthesizer, limiter, volume.
//!
//! Contract: [`Engine::fill`] neither allocates nor frees, takes no lock, logs nothing and does no
//! I/O (`tests/audio_callback.rs` counts allocations). Commands come in through a bounded queue;
//! what they replace leaves through another and is dropped by the control side. Position and state
//! go out through atomics ([`Status`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Font;
use super::dynamics::{Limiter, MAKE_UP_GAIN, amplitude_from_db};
use super::sequencer::{AUDITION_CHANNEL, Action, Event, N_CHANNELS, Schedule, Sequencer};
use super::synth::Synth;
use crate::music::{Pitch, Score, Velocity};

/// Frames rendered at a time; commands are looked at this often.
pub(crate) const CHUNK_FRAMES: usize = 64;
/// The loudest sample.
const CEILING_DB: f32 = -1.0;
/// How long `play` waits for the first font before the clock runs without sound.
const FONT_PATIENCE_SECS: f64 = 1.0;
/// How long the old font fades, with the notes that it began, when another takes over.
const FONT_FADE_SECS: f64 = 1.0;
/// Silence after which rendering rests until something happens.
const REST_AFTER_SECS: f64 = 2.0;
const QUIET: f32 = 1e-5;
const VOLUME_SMOOTHING_SECS: f64 = 0.01;
const MAX_AUDITIONS: usize = 32;
const MAX_AUDITION_SECS: f32 = 10.0;

const QUEUE_LEN: usize = 512;
/// The control side empties the waste before it sends a command, and a command makes at most one
/// piece of waste, so this never fills up.
const WASTE_LEN: usize = QUEUE_LEN + 16;

/// What the engine is told.
pub(crate) enum Command {
    Schedule(Arc<Schedule>),
    Synth(Box<Synth>),
    Play,
    Pause,
    Seek { secs: f64, serial: u32 },
    Speed(f64),
    Volume(f32),
    OpenEnded(bool),
    Audition { key: u8, velocity: u8, secs: f32 },
}

/// What must not be dropped in the callback.
#[expect(dead_code, reason = "the contents are only held until they are dropped")]
enum Waste {
    Schedule(Arc<Schedule>),
    Synth(Box<Synth>),
}

/// What the engine tells, readable at any time from any thread.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Seconds of the score that are heard now, as the bits of an `f64`.
    position: AtomicU64,
    is_playing: AtomicBool,
    /// The position goes on: playing, and neither waiting for a font nor for more of an open end.
    is_moving: AtomicBool,
    /// How often the end was reached.
    n_ended: AtomicU32,
    /// The last seek that was carried out.
    seek_done: AtomicU32,
    /// Frames rendered in all: a sign of life.
    frames: AtomicU64,
    /// The font failed while it was played.
    is_font_broken: AtomicBool,
}

/// A note played by hand.
#[derive(Clone, Copy)]
struct Audition {
    key: u8,
    frames_left: u64,
}

/// The transport with everything it needs to make sound. See the module for its contract.
pub struct Engine {
    sample_rate: u32,
    commands: Receiver<Command>,
    waste: Sender<Waste>,
    status: Arc<Status>,

    sequencer: Sequencer,
    synth: Option<Box<Synth>>,
    /// The font that was replaced, and how many frames of it are still heard.
    fading: Option<(Box<Synth>, u64)>,
    auditions: [Option<Audition>; MAX_AUDITIONS],

    is_playing: bool,
    is_open_ended: bool,
    /// The channels whose pedal is down, one bit each.
    pedals: u16,
    /// Frames that `play` still waits for a font.
    patience: u64,
    quiet_frames: u64,

    limiter: Limiter,
    volume: f32,
    volume_now: f32,
    volume_step: f32,
    /// From the moment a sample is made until it is heard.
    latency_secs: f64,
    left: [f32; CHUNK_FRAMES],
    right: [f32; CHUNK_FRAMES],
}

impl Engine {
    /// An engine and the handle that controls it. `latency_secs` is how long after
    /// [`Engine::fill`] its samples are heard.
    pub fn new(sample_rate: u32, latency_secs: f64) -> (Self, EngineControl) {
        let (commands, command_receiver) = bounded(QUEUE_LEN);
        let (waste_sender, waste) = bounded(WASTE_LEN);
        let status = Arc::new(Status::default());
        let limiter = Limiter::new(sample_rate, amplitude_from_db(CEILING_DB));
        let rate = f64::from(sample_rate);
        let engine = Self {
            sample_rate,
            commands: command_receiver,
            waste: waste_sender,
            status: Arc::clone(&status),
            sequencer: Sequencer::new(Arc::default(), sample_rate),
            synth: None,
            fading: None,
            auditions: [None; MAX_AUDITIONS],
            is_playing: false,
            is_open_ended: false,
            pedals: 0,
            patience: 0,
            quiet_frames: 0,
            latency_secs: latency_secs + limiter.delay_frames() as f64 / rate,
            limiter,
            volume: 1.0,
            volume_now: 1.0,
            volume_step: 1.0 - (-1.0 / (rate * VOLUME_SMOOTHING_SECS)).exp() as f32,
            left: [0.0; CHUNK_FRAMES],
            right: [0.0; CHUNK_FRAMES],
        };
        let control = EngineControl {
            sample_rate,
            commands,
            waste,
            status,
            seek_serial: 0,
            seek_secs: 0.0,
            is_overrun: false,
        };
        (engine, control)
    }

    /// Fills interleaved stereo samples, all within ±0.9 (−1 dB of full scale). An odd last sample
    /// becomes silence.
    pub fn fill(&mut self, out: &mut [f32]) {
        for chunk in out.chunks_mut(2 * CHUNK_FRAMES) {
            self.obey();
            let n_frames = chunk.len() / 2;
            self.render(n_frames);
            for (frame, pair) in chunk.chunks_mut(2).enumerate() {
                let sound = [
                    self.left[frame.min(CHUNK_FRAMES - 1)],
                    self.right[frame.min(CHUNK_FRAMES - 1)],
                ];
                match pair {
                    [left, right] => [*left, *right] = sound,
                    rest => rest.fill(0.0),
                }
            }
            self.report(n_frames);
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Schedule(schedule) => self.replace_schedule(schedule),
                Command::Synth(synth) => self.replace_synth(synth),
                Command::Play => self.play(),
                Command::Pause => self.pause(),
                Command::Seek { secs, serial } => self.seek(secs, serial),
                Command::Speed(speed) => self.sequencer.set_speed(speed),
                Command::Volume(volume) => self.volume = volume,
                Command::OpenEnded(is_open_ended) => self.is_open_ended = is_open_ended,
                Command::Audition { key, velocity, secs } => self.audition(key, velocity, secs),
            }
        }
    }

    fn replace_schedule(&mut self, schedule: Arc<Schedule>) {
        let (synth, fading) = (&mut self.synth, &mut self.fading);
        let old = self.sequencer.replace(schedule, |channel, key| {
            let fading = fading.iter_mut().map(|(synth, _)| synth);
            synth.iter_mut().chain(fading).for_each(|synth| synth.note_off(channel, key));
        });
        let _ = self.waste.try_send(Waste::Schedule(old));
        self.prepare_channels();
    }

    fn replace_synth(&mut self, synth: Box<Synth>) {
        if let Some((old, _)) = self.fading.take() {
            let _ = self.waste.try_send(Waste::Synth(old));
        }
        if let Some(old) = self.synth.replace(synth) {
            let n_frames = (f64::from(self.sample_rate) * FONT_FADE_SECS) as u64;
            self.fading = Some((old, n_frames));
        }
        let pedals = std::mem::take(&mut self.pedals);
        self.set_pedals(pedals);
        self.prepare_channels();
        self.quiet_frames = 0;
    }

    /// The font that sounds and, for notes that it began, the one that fades.
    fn synths(&mut self) -> impl Iterator<Item = &mut Box<Synth>> {
        self.synth.iter_mut().chain(self.fading.iter_mut().map(|(synth, _)| synth))
    }

    /// Brings the synthesizer's programs and pedals to what the score says here.
    fn prepare_channels(&mut self) {
        let wanted = if self.is_playing { self.sequencer.pedals() } else { 0 };
        if let Some(synth) = &mut self.synth {
            synth.programs(self.sequencer.schedule().programs());
        }
        self.set_pedals(wanted);
    }

    fn set_pedals(&mut self, wanted: u16) {
        for channel in 0..N_CHANNELS as u8 {
            let is_down = wanted >> channel & 1 == 1;
            if is_down != (self.pedals >> channel & 1 == 1) {
                self.synths().for_each(|synth| synth.pedal(channel, is_down));
            }
        }
        self.pedals = wanted;
    }

    fn play(&mut self) {
        if self.is_playing {
            return;
        }
        if self.sequencer.is_at_end() && !self.is_open_ended {
            self.sequencer.seek(0.0);
        } else {
            // From here on the playhead never shows an earlier moment.
            self.sequencer.set_speed(self.sequencer.speed());
        }
        self.set_playing(true);
        self.patience = (f64::from(self.sample_rate) * FONT_PATIENCE_SECS) as u64;
        self.quiet_frames = 0;
        self.set_pedals(self.sequencer.pedals());
    }

    fn pause(&mut self) {
        self.set_playing(false);
        self.release_score();
    }

    fn seek(&mut self, secs: f64, serial: u32) {
        self.release_score();
        self.sequencer.seek(secs);
        if self.is_playing {
            self.set_pedals(self.sequencer.pedals());
        }
        self.store_position();
        self.status.seek_done.store(serial, Ordering::Release);
    }

    fn set_playing(&mut self, is_playing: bool) {
        self.is_playing = is_playing;
        self.status.is_playing.store(is_playing, Ordering::Release);
    }

    /// Every key and pedal of the score goes up; notes played by hand sound on.
    fn release_score(&mut self) {
        for channel in (0..N_CHANNELS as u8).filter(|channel| *channel != AUDITION_CHANNEL) {
            self.synths().for_each(|synth| synth.release_channel(channel));
        }
        self.set_pedals(0);
        self.sequencer.forget_sounding();
    }

    fn audition(&mut self, key: u8, velocity: u8, secs: f32) {
        let Some(synth) = &mut self.synth else { return };
        let secs = if secs.is_nan() { 0.5 } else { secs.clamp(0.02, MAX_AUDITION_SECS) };
        let frames_left = (f64::from(secs) * f64::from(self.sample_rate)) as u64;
        let same = self.auditions.iter().position(|slot| slot.is_some_and(|note| note.key == key));
        let free = || self.auditions.iter().position(Option::is_none);
        let soonest = || {
            let left = |slot: &Option<Audition>| slot.map_or(0, |note| note.frames_left);
            (0..MAX_AUDITIONS).min_by_key(|idx| left(&self.auditions[*idx])).unwrap_or(0)
        };
        let slot = same.or_else(free).unwrap_or_else(soonest);
        if let Some(before) = self.auditions[slot] {
            synth.note_off(AUDITION_CHANNEL, before.key);
        }
        synth.note_on(AUDITION_CHANNEL, key, velocity);
        self.auditions[slot] = Some(Audition { key, frames_left });
        self.quiet_frames = 0;
    }

    /// Fills the first `n_frames` of `left` and `right`.
    fn render(&mut self, n_frames: usize) {
        let mut at = 0;
        while at < n_frames {
            let is_moving = self.move_transport();
            let mut step = (n_frames - at) as u64;
            if self.is_waiting_for_font() {
                step = step.min(self.patience);
            }
            if is_moving {
                step = step.min(self.sequencer.frames_to_next());
            }
            for audition in self.auditions.iter().flatten() {
                step = step.min(audition.frames_left);
            }
            let step = step.max(1) as usize;
            if self.is_waiting_for_font() {
                self.patience -= step as u64;
            }
            self.synthesize(at, at + step);
            if is_moving {
                self.sequencer.advance(step as u64);
            }
            self.end_auditions(step as u64);
            at += step;
        }
        self.finish_sound(n_frames);
    }

    fn is_waiting_for_font(&self) -> bool {
        self.is_playing && self.synth.is_none() && self.patience > 0
    }

    /// Strikes what is due; whether time goes on.
    fn move_transport(&mut self) -> bool {
        if !self.is_playing || self.is_waiting_for_font() {
            return false;
        }
        while let Some(event) = self.sequencer.pop_due() {
            self.carry_out(event);
        }
        if !self.sequencer.is_at_end() {
            return true;
        }
        if !self.is_open_ended {
            self.set_playing(false);
            self.release_score();
            self.status.n_ended.fetch_add(1, Ordering::Release);
        }
        false
    }

    fn carry_out(&mut self, event: Event) {
        let channel = event.channel;
        if let Action::PedalDown | Action::PedalUp = event.action {
            let others = self.pedals & !(1 << channel);
            let is_down = event.action == Action::PedalDown;
            self.set_pedals(others | u16::from(is_down) << channel);
        }
        match event.action {
            Action::NoteOn { key, velocity, .. } => {
                if let Some(synth) = &mut self.synth {
                    synth.note_on(channel, key, velocity);
                }
            }
            Action::NoteOff { key, .. } => {
                self.synths().for_each(|synth| synth.note_off(channel, key));
            }
            Action::PedalDown | Action::PedalUp => {}
        }
    }

    fn end_auditions(&mut self, n_frames: u64) {
        for idx in 0..MAX_AUDITIONS {
            let Some(note) = &mut self.auditions[idx] else { continue };
            note.frames_left = note.frames_left.saturating_sub(n_frames);
            if note.frames_left == 0 {
                let key = note.key;
                self.auditions[idx] = None;
                self.synths().for_each(|synth| synth.note_off(AUDITION_CHANNEL, key));
            }
        }
    }

    /// Whether nothing sounds and nothing is about to.
    fn is_resting(&self) -> bool {
        let rest_after = (f64::from(self.sample_rate) * REST_AFTER_SECS) as u64;
        !self.is_playing
            && self.quiet_frames > rest_after
            && self.auditions.iter().all(Option::is_none)
    }

    fn synthesize(&mut self, from: usize, to: usize) {
        let (left, right) = (&mut self.left[from..to], &mut self.right[from..to]);
        left.fill(0.0);
        right.fill(0.0);
        if self.is_resting() {
            return;
        }
        let (left, right) = (&mut self.left[from..to], &mut self.right[from..to]);
        if let Some(synth) = &mut self.synth
            && !synth.render(left, right)
            && let Some(broken) = self.synth.take()
        {
            let _ = self.waste.try_send(Waste::Synth(broken));
            self.status.is_font_broken.store(true, Ordering::Release);
        }
        self.mix_fading(from, to);
    }

    fn mix_fading(&mut self, from: usize, to: usize) {
        let Some((synth, frames_left)) = &mut self.fading else { return };
        let total = (f64::from(self.sample_rate) * FONT_FADE_SECS) as f32;
        let (mut left, mut right) = ([0.0; CHUNK_FRAMES], [0.0; CHUNK_FRAMES]);
        synth.render(&mut left[..to - from], &mut right[..to - from]);
        for idx in 0..to - from {
            let gain = *frames_left as f32 / total;
            self.left[from + idx] += gain * left[idx];
            self.right[from + idx] += gain * right[idx];
            *frames_left = frames_left.saturating_sub(1);
        }
        if *frames_left == 0
            && let Some((old, _)) = self.fading.take()
        {
            let _ = self.waste.try_send(Waste::Synth(old));
        }
    }

    fn finish_sound(&mut self, n_frames: usize) {
        let (left, right) = (&mut self.left[..n_frames], &mut self.right[..n_frames]);
        let mut peak = 0f32;
        for (left, right) in left.iter_mut().zip(right.iter_mut()) {
            *left *= MAKE_UP_GAIN;
            *right *= MAKE_UP_GAIN;
            peak = peak.max(left.abs()).max(right.abs());
        }
        self.quiet_frames = if peak < QUIET { self.quiet_frames + n_frames as u64 } else { 0 };
        self.limiter.process(left, right);
        for (left, right) in left.iter_mut().zip(right.iter_mut()) {
            self.volume_now += (self.volume - self.volume_now) * self.volume_step;
            *left *= self.volume_now;
            *right *= self.volume_now;
        }
    }

    fn report(&self, n_frames: usize) {
        self.store_position();
        let is_moving =
            self.is_playing && !self.is_waiting_for_font() && !self.sequencer.is_at_end();
        self.status.is_moving.store(is_moving, Ordering::Release);
        self.status.frames.fetch_add(n_frames as u64, Ordering::Relaxed);
    }

    fn store_position(&self) {
        let made = self.sequencer.position_secs();
        let heard = if self.is_playing && !self.sequencer.is_at_end() {
            let latency = self.latency_secs * self.sequencer.speed();
            (made - latency).max(self.sequencer.anchor_secs())
        } else {
            made
        };
        self.status.position.store(heard.to_bits(), Ordering::Release);
    }
}

/// Controls an [`Engine`] from another thread.
pub struct EngineControl {
    sample_rate: u32,
    commands: Sender<Command>,
    waste: Receiver<Waste>,
    status: Arc<Status>,
    /// Seeks asked for, and where the last one went.
    seek_serial: u32,
    seek_secs: f64,
    /// A command was lost because nobody renders any more.
    is_overrun: bool,
}

impl EngineControl {
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Replaces what is played; see [`super::Player::set_score`].
    pub fn set_score(&mut self, score: &Score) {
        self.set_schedule(Arc::new(Schedule::from_score(score)));
    }

    pub(crate) fn set_schedule(&mut self, schedule: Arc<Schedule>) {
        self.send(Command::Schedule(schedule));
    }

    /// Plays with another font from now on.
    ///
    /// # Errors
    /// When the synthesizer can't work at the engine's sample rate (16–192 kHz), in words.
    pub fn set_font(&mut self, font: &Font) -> Result<(), String> {
        let synth = Synth::new(font, self.sample_rate).map_err(|error| error.to_string())?;
        self.status.is_font_broken.store(false, Ordering::Release);
        self.send(Command::Synth(Box::new(synth)));
        Ok(())
    }

    pub fn play(&mut self) {
        self.status.is_playing.store(true, Ordering::Release);
        self.send(Command::Play);
    }

    pub fn pause(&mut self) {
        self.status.is_playing.store(false, Ordering::Release);
        self.send(Command::Pause);
    }

    pub fn seek(&mut self, secs: f64) {
        let secs = if secs.is_nan() { 0.0 } else { secs.max(0.0) };
        self.seek_serial = self.seek_serial.wrapping_add(1);
        self.seek_secs = secs;
        self.send(Command::Seek { secs, serial: self.seek_serial });
    }

    pub fn set_speed(&mut self, speed: f64) {
        self.send(Command::Speed(speed));
    }

    /// 0–1, as it is heard: the amplitude is its square.
    pub fn set_volume(&mut self, volume: f32) {
        let volume = if volume.is_nan() { 1.0 } else { volume.clamp(0.0, 1.0) };
        self.send(Command::Volume(volume * volume));
    }

    pub fn set_open_ended(&mut self, is_open_ended: bool) {
        self.send(Command::OpenEnded(is_open_ended));
    }

    pub fn audition(&mut self, pitch: Pitch, velocity: Velocity, secs: f32) {
        self.send(Command::Audition { key: pitch.number(), velocity: velocity.number(), secs });
    }

    pub fn is_playing(&self) -> bool {
        self.status.is_playing.load(Ordering::Acquire)
    }

    /// Whether the position goes on by itself.
    pub(crate) fn is_moving(&self) -> bool {
        self.is_playing() && self.status.is_moving.load(Ordering::Acquire)
    }

    /// Seconds of the score that are heard now; after a seek at once where it went.
    pub fn position_secs(&self) -> f64 {
        if self.status.seek_done.load(Ordering::Acquire) != self.seek_serial {
            return self.seek_secs;
        }
        f64::from_bits(self.status.position.load(Ordering::Acquire))
    }

    /// How often the end was reached.
    pub fn n_ended(&self) -> u32 {
        self.status.n_ended.load(Ordering::Acquire)
    }

    pub(crate) fn frames_rendered(&self) -> u64 {
        self.status.frames.load(Ordering::Relaxed)
    }

    /// Whether the font failed while it was played.
    pub(crate) fn is_font_broken(&self) -> bool {
        self.status.is_font_broken.load(Ordering::Acquire)
    }

    pub(crate) fn is_overrun(&self) -> bool {
        self.is_overrun
    }

    /// Drops what the engine has replaced.
    pub(crate) fn empty_waste(&self) {
        while self.waste.try_recv().is_ok() {}
    }

    fn send(&mut self, command: Command) {
        self.empty_waste();
        self.is_overrun |= self.commands.try_send(command).is_err();
    }
}
