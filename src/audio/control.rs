//! The handle of an [`Engine`](super::Engine): commands go in through a bounded queue, position and
//! state come out through atomics.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Font;
use super::hands::MAX_NOTES;
use super::schedule::Schedule;
use super::synth::Synth;
use crate::music::{Pitch, Score, Velocity};

const QUEUE_LEN: usize = 512;
/// The control side empties the waste before it sends a command, and a command makes at most one
/// piece of waste, so this never fills up.
const WASTE_LEN: usize = QUEUE_LEN + 16;
/// Nobody counts in longer.
const MAX_COUNT_IN_BARS: u32 = 16;
/// A shorter loop would be a tone rather than music.
const SHORTEST_LOOP_SECS: f64 = 0.01;

/// Why there is no loop.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum LoopError {
    #[error(
        "the loop can't be set — it would last {0:.1} ms where 10 ms are the least. Choose a longer stretch"
    )]
    TooShort(f64),
    #[error("the loop can't be set — one of its ends is no place in the piece. Choose another")]
    Nowhere,
}

/// What the engine is told.
pub(super) enum Command {
    Schedule(Arc<Schedule>),
    Synth(Box<Synth>),
    /// After this many bars of clicks.
    Play {
        count_in_bars: u32,
    },
    Pause,
    Seek {
        secs: f64,
        serial: u32,
    },
    Scrub {
        secs: f64,
        serial: u32,
    },
    EndScrub,
    Loop(Option<Range<f64>>),
    Speed(f64),
    Volume(f32),
    Metronome(bool),
    OpenEnded(bool),
    Hand(Hand),
}

/// What is played by hand.
pub(super) enum Hand {
    Audition(HandChord),
    KeyDown { key: u8, velocity: u8 },
    KeyDrag { key: u8, velocity: u8 },
    AllKeysUp,
}

/// Notes struck at once, as (key, velocity).
pub(super) struct HandChord {
    notes: [(u8, u8); MAX_NOTES],
    n_notes: usize,
    pub secs: f32,
}

impl HandChord {
    pub(super) fn notes(&self) -> &[(u8, u8)] {
        &self.notes[..self.n_notes]
    }
}

/// What must not be dropped in the callback.
#[expect(dead_code, reason = "the contents are only held until they are dropped")]
pub(super) enum Waste {
    Schedule(Arc<Schedule>),
    Synth(Box<Synth>),
}

/// What the engine tells, readable at any time from any thread.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// Seconds of the score that are heard now, as the bits of an `f64`.
    pub position: AtomicU64,
    pub is_playing: AtomicBool,
    /// The position goes on: playing, and neither counting in nor scrubbing nor waiting for a font
    /// or for more of an open end.
    pub is_moving: AtomicBool,
    pub count_in_beats_left: AtomicU32,
    /// Keys that are heard to be down: 0–63, 64–127. Each half is right by itself; for the blink of
    /// a frame one may be newer than the other.
    pub keys: [AtomicU64; 2],
    /// How often the end was reached.
    pub n_ended: AtomicU32,
    /// The last seek or scrub that was carried out.
    pub seek_done: AtomicU32,
    /// Frames rendered in all: a sign of life.
    pub frames: AtomicU64,
    /// The font failed while it was played.
    pub is_font_broken: AtomicBool,
}

/// The engine's ends of what connects it with its control.
pub(super) struct Wires {
    pub commands: Receiver<Command>,
    pub waste: Sender<Waste>,
    pub status: Arc<Status>,
}

/// Controls an [`Engine`](super::Engine) from another thread. See [`super::Player`] for what the
/// methods do.
pub struct EngineControl {
    sample_rate: u32,
    commands: Sender<Command>,
    waste: Receiver<Waste>,
    status: Arc<Status>,
    /// Seeks asked for, and where the last one went.
    seek_serial: u32,
    seek_secs: f64,
    /// How many bars the last playback was to be counted in.
    count_in_bars: u32,
    /// A command was lost because nobody renders any more.
    is_overrun: bool,
}

impl EngineControl {
    pub(super) fn new(sample_rate: u32) -> (Self, Wires) {
        let (commands, command_receiver) = bounded(QUEUE_LEN);
        let (waste_sender, waste) = bounded(WASTE_LEN);
        let status = Arc::new(Status::default());
        let wires =
            Wires { commands: command_receiver, waste: waste_sender, status: Arc::clone(&status) };
        let control = Self {
            sample_rate,
            commands,
            waste,
            status,
            seek_serial: 0,
            seek_secs: 0.0,
            count_in_bars: 0,
            is_overrun: false,
        };
        (control, wires)
    }

    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Replaces what is played; see [`super::Player::set_score`].
    pub fn set_score(&mut self, score: &Score) {
        self.set_schedule(Arc::new(Schedule::from_score(score)));
    }

    pub(super) fn set_schedule(&mut self, schedule: Arc<Schedule>) {
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
        self.play_with_count_in(0);
    }

    /// At most 16 bars.
    pub fn play_with_count_in(&mut self, n_bars: u32) {
        self.status.is_playing.store(true, Ordering::Release);
        self.count_in_bars = n_bars.min(MAX_COUNT_IN_BARS);
        self.send(Command::Play { count_in_bars: self.count_in_bars });
    }

    /// How many bars another engine must count in when it takes over from this one: all of them,
    /// if the music hasn't begun.
    pub(super) fn count_in_bars_due(&self) -> u32 {
        let has_begun = self.frames_rendered() > 0 && self.count_in_beats_left().is_none();
        if has_begun { 0 } else { self.count_in_bars }
    }

    pub fn pause(&mut self) {
        self.status.is_playing.store(false, Ordering::Release);
        self.send(Command::Pause);
    }

    pub fn seek(&mut self, secs: f64) {
        let (secs, serial) = self.next_seek(secs);
        self.send(Command::Seek { secs, serial });
    }

    pub fn scrub(&mut self, secs: f64) {
        let (secs, serial) = self.next_seek(secs);
        self.send(Command::Scrub { secs, serial });
    }

    pub fn end_scrub(&mut self) {
        self.send(Command::EndScrub);
    }

    fn next_seek(&mut self, secs: f64) -> (f64, u32) {
        self.seek_secs = if secs.is_finite() { secs.max(0.0) } else { 0.0 };
        self.seek_serial = self.seek_serial.wrapping_add(1);
        (self.seek_secs, self.seek_serial)
    }

    /// # Errors
    /// When it is shorter than 10 ms or no stretch of time; the loop stays as it was.
    pub fn set_loop(&mut self, secs: Option<Range<f64>>) -> Result<(), LoopError> {
        if let Some(Range { start, end }) = secs {
            if !(start.is_finite() && end.is_finite() && start >= 0.0) {
                return Err(LoopError::Nowhere);
            }
            // A millionth is left to rounding.
            if end - start < SHORTEST_LOOP_SECS - 1e-6 {
                return Err(LoopError::TooShort((end - start).max(0.0) * 1e3));
            }
        }
        self.send(Command::Loop(secs));
        Ok(())
    }

    pub fn set_speed(&mut self, speed: f64) {
        self.send(Command::Speed(speed));
    }

    /// 0–1, as it is heard: the amplitude is its square.
    pub fn set_volume(&mut self, volume: f32) {
        let volume = if volume.is_nan() { 1.0 } else { volume.clamp(0.0, 1.0) };
        self.send(Command::Volume(volume * volume));
    }

    pub fn set_metronome(&mut self, is_on: bool) {
        self.send(Command::Metronome(is_on));
    }

    pub fn set_open_ended(&mut self, is_open_ended: bool) {
        self.send(Command::OpenEnded(is_open_ended));
    }

    pub fn audition_chord(&mut self, notes: &[(Pitch, Velocity)], secs: f32) {
        let mut chord = HandChord { notes: [(0, 0); MAX_NOTES], n_notes: 0, secs };
        for (slot, (pitch, velocity)) in chord.notes.iter_mut().zip(notes) {
            *slot = (pitch.number(), velocity.number());
            chord.n_notes += 1;
        }
        self.send(Command::Hand(Hand::Audition(chord)));
    }

    pub fn key_down(&mut self, pitch: Pitch, velocity: Velocity) {
        let (key, velocity) = (pitch.number(), velocity.number());
        self.send(Command::Hand(Hand::KeyDown { key, velocity }));
    }

    pub fn key_drag(&mut self, pitch: Pitch, velocity: Velocity) {
        let (key, velocity) = (pitch.number(), velocity.number());
        self.send(Command::Hand(Hand::KeyDrag { key, velocity }));
    }

    pub fn all_keys_up(&mut self) {
        self.send(Command::Hand(Hand::AllKeysUp));
    }

    pub fn is_playing(&self) -> bool {
        self.status.is_playing.load(Ordering::Acquire)
    }

    /// Whether the position goes on by itself.
    pub(super) fn is_moving(&self) -> bool {
        self.is_playing() && self.status.is_moving.load(Ordering::Acquire)
    }

    /// Seconds of the score that are heard now; after a seek at once where it went.
    pub fn position_secs(&self) -> f64 {
        if self.status.seek_done.load(Ordering::Acquire) != self.seek_serial {
            return self.seek_secs;
        }
        f64::from_bits(self.status.position.load(Ordering::Acquire))
    }

    /// While it is counted in: the beats left until the music, 1 on the last.
    pub fn count_in_beats_left(&self) -> Option<u32> {
        let left = self.status.count_in_beats_left.load(Ordering::Acquire);
        (left > 0 && self.is_playing()).then_some(left)
    }

    /// The keys that are heard to be down, one bit for each pitch.
    pub fn sounding_keys(&self) -> u128 {
        let [low, high] = &self.status.keys;
        let half = |keys: &AtomicU64| u128::from(keys.load(Ordering::Acquire));
        half(low) | half(high) << 64
    }

    /// How often the end was reached.
    pub fn n_ended(&self) -> u32 {
        self.status.n_ended.load(Ordering::Acquire)
    }

    pub(super) fn frames_rendered(&self) -> u64 {
        self.status.frames.load(Ordering::Relaxed)
    }

    /// Whether the font failed while it was played.
    pub(super) fn is_font_broken(&self) -> bool {
        self.status.is_font_broken.load(Ordering::Acquire)
    }

    pub(super) fn is_overrun(&self) -> bool {
        self.is_overrun
    }

    /// Drops what the engine has replaced.
    pub(super) fn empty_waste(&self) {
        while self.waste.try_recv().is_ok() {}
    }

    fn send(&mut self, command: Command) {
        self.empty_waste();
        self.is_overrun |= self.commands.try_send(command).is_err();
    }
}
