//! What runs inside the audio callback: transport, synthesizer, metronome, limiter, volume.
//!
//! Contract: [`Engine::fill`] neither allocates nor frees, takes no lock, logs nothing and does no
//! I/O (`tests/audio_callback.rs` counts allocations). Commands come in through a bounded queue;
//! what they replace leaves through another and is dropped by the control side
//! ([`super::control`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::click::{Click, CountIn};
use super::control::{Command, EngineControl, Hand, Waste, Wires};
use super::dynamics::{Limiter, MAKE_UP_GAIN, amplitude_from_db};
use super::hands::{Hands, Reason};
use super::heard_keys::HeardKeys;
use super::schedule::{AUDITION_CHANNEL, DRUM_CHANNEL, N_CHANNELS, PEDAL_UP_SECS, Schedule};
use super::sequencer::{Action, Event, Sequencer};
use super::synth::Synth;

/// Frames rendered at a time; commands are looked at this often.
pub(super) const CHUNK_FRAMES: usize = 64;
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
/// However long a key is held.
const MAX_BY_HAND_SECS: f32 = 10.0;
/// How long a note sounds that a scrub passes over, and how many of one step do.
const SCRUB_NOTE_SECS: f64 = 0.2;
const MAX_SCRUB_NOTES: usize = 12;

/// The transport with everything it needs to make sound. See the module for its contract.
pub struct Engine {
    sample_rate: u32,
    wires: Wires,

    sequencer: Sequencer,
    synth: Option<Box<Synth>>,
    /// The font that was replaced, and how many frames of it are still heard.
    fading: Option<(Box<Synth>, u64)>,
    hands: Hands,
    click: Click,
    heard_keys: HeardKeys,

    is_playing: bool,
    is_open_ended: bool,
    /// Goes on a latency longer than the counting, until the last beat is heard.
    count_in: Option<CountIn>,
    /// Where the last scrub went; the transport waits until it ends.
    scrub: Option<f64>,
    /// The channels whose pedal is down, one bit each.
    pedals: u16,
    /// Frames until the pedals go where the score has them, after all went up.
    pedal_wait: u64,
    /// Frames that `play` still waits for a font.
    patience: u64,
    quiet_frames: u64,
    frames: u64,

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
        let (control, wires) = EngineControl::new(sample_rate);
        let limiter = Limiter::new(sample_rate, amplitude_from_db(CEILING_DB));
        let rate = f64::from(sample_rate);
        let latency_secs = latency_secs + limiter.delay_frames() as f64 / rate;
        let engine = Self {
            sample_rate,
            wires,
            sequencer: Sequencer::new(Arc::default(), sample_rate),
            synth: None,
            fading: None,
            hands: Hands::default(),
            click: Click::new(sample_rate),
            heard_keys: HeardKeys::new((latency_secs * rate) as u64),
            is_playing: false,
            is_open_ended: false,
            count_in: None,
            scrub: None,
            pedals: 0,
            pedal_wait: 0,
            patience: 0,
            quiet_frames: 0,
            frames: 0,
            limiter,
            volume: 1.0,
            volume_now: 1.0,
            volume_step: 1.0 - (-1.0 / (rate * VOLUME_SMOOTHING_SECS)).exp() as f32,
            latency_secs,
            left: [0.0; CHUNK_FRAMES],
            right: [0.0; CHUNK_FRAMES],
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
        while let Ok(command) = self.wires.commands.try_recv() {
            match command {
                Command::Schedule(schedule) => self.replace_schedule(schedule),
                Command::Synth(synth) => self.replace_synth(synth),
                Command::Play { count_in_bars } => self.play(count_in_bars),
                Command::Pause => self.pause(),
                Command::Seek { secs, serial } => self.seek(secs, serial),
                Command::Scrub { secs, serial } => self.scrub(secs, serial),
                Command::EndScrub => self.end_scrub(),
                Command::Loop(secs) => self.sequencer.set_loop(secs),
                Command::Speed(speed) => self.sequencer.set_speed(speed),
                Command::Volume(volume) => self.volume = volume,
                Command::Metronome(is_on) => self.sequencer.set_beats(is_on),
                Command::OpenEnded(is_open_ended) => self.is_open_ended = is_open_ended,
                Command::Hand(hand) => self.play_by_hand(hand),
            }
        }
    }

    fn replace_schedule(&mut self, schedule: Arc<Schedule>) {
        let (synth, fading) = (&mut self.synth, &mut self.fading);
        let old = self.sequencer.replace(schedule, |channel, key| {
            note_off(synth, fading, channel, key);
        });
        let _ = self.wires.waste.try_send(Waste::Schedule(old));
        self.prepare_channels();
    }

    fn replace_synth(&mut self, synth: Box<Synth>) {
        if let Some((old, _)) = self.fading.take() {
            let _ = self.wires.waste.try_send(Waste::Synth(old));
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
        if let Some(synth) = &mut self.synth {
            synth.programs(self.sequencer.schedule().programs());
        }
        if self.pedal_wait == 0 {
            self.set_pedals(self.wanted_pedals());
        }
    }

    /// Whether the music goes on, or would if there were a font or more of an open end.
    fn is_running(&self) -> bool {
        self.is_playing && self.scrub.is_none() && !self.is_counting_in()
    }

    fn is_counting_in(&self) -> bool {
        self.count_in.is_some_and(|count_in| count_in.is_counting())
    }

    fn wanted_pedals(&self) -> u16 {
        if self.is_running() { self.sequencer.pedals() } else { 0 }
    }

    /// The pedals go to where the score has them as soon as the synthesizer has let go of what they
    /// held before.
    fn set_pedals_soon(&mut self) {
        self.pedal_wait = self.frames_of(PEDAL_UP_SECS).max(1);
    }

    fn frames_of(&self, secs: f64) -> u64 {
        (secs * f64::from(self.sample_rate)) as u64
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

    fn play(&mut self, count_in_bars: u32) {
        self.end_scrub();
        if self.is_playing {
            return;
        }
        if self.sequencer.is_at_end() && !self.is_open_ended {
            let start = self.sequencer.loop_secs().map_or(0.0, |secs| secs.start);
            self.sequencer.seek(start);
        } else {
            // From here on the playhead never shows an earlier moment.
            self.sequencer.begin_anew();
        }
        let place = self.sequencer.schedule().beat_place(self.sequencer.position_secs());
        self.count_in = (count_in_bars > 0).then(|| CountIn::new(place, count_in_bars));
        self.set_playing(true);
        self.patience = self.frames_of(FONT_PATIENCE_SECS);
        self.quiet_frames = 0;
        self.set_pedals_soon();
    }

    fn pause(&mut self) {
        self.set_playing(false);
        self.count_in = None;
        self.release_score();
        self.sequencer.begin_anew();
    }

    fn seek(&mut self, secs: f64, serial: u32) {
        self.end_scrub();
        self.release_score();
        self.sequencer.seek(secs);
        self.set_pedals_soon();
        self.has_sought(serial);
    }

    fn has_sought(&mut self, serial: u32) {
        self.store_position();
        self.wires.status.seek_done.store(serial, Ordering::Release);
    }

    /// Puts the playhead there and lets be heard what begins between the last place and this one,
    /// the nearest notes first; at the first place, what begins there.
    fn scrub(&mut self, secs: f64, serial: u32) {
        let before = self.scrub.unwrap_or_else(|| {
            self.release_score();
            self.count_in = None;
            secs
        });
        self.scrub = Some(secs);
        self.sequencer.seek(secs);
        let strikes = self.sequencer.schedule().strikes_passed(before, secs);
        let nearest = if secs >= before {
            strikes.end.saturating_sub(MAX_SCRUB_NOTES).max(strikes.start)..strikes.end
        } else {
            strikes.start..strikes.end.min(strikes.start + MAX_SCRUB_NOTES)
        };
        let n_frames = self.frames_of(SCRUB_NOTE_SECS);
        for idx in nearest {
            let strike = self.sequencer.schedule().strikes()[idx];
            let (channel, key, velocity) = (strike.channel, strike.key, strike.velocity);
            self.strike_by_hand(channel, key, velocity, Reason::Scrub, n_frames);
        }
        self.has_sought(serial);
    }

    fn end_scrub(&mut self) {
        if self.scrub.take().is_some() {
            self.end_by_hand(|_, reason| reason == Reason::Scrub);
            self.set_pedals_soon();
        }
    }

    fn set_playing(&mut self, is_playing: bool) {
        self.is_playing = is_playing;
        self.wires.status.is_playing.store(is_playing, Ordering::Release);
    }

    /// Every key and pedal of the score goes up; notes played by hand sound on.
    fn release_score(&mut self) {
        for channel in (0..N_CHANNELS as u8).filter(|channel| *channel != AUDITION_CHANNEL) {
            self.synths().for_each(|synth| synth.release_channel(channel));
        }
        self.set_pedals(0);
        self.sequencer.forget_sounding();
    }

    fn play_by_hand(&mut self, hand: Hand) {
        let held_frames = self.frames_of(f64::from(MAX_BY_HAND_SECS));
        match hand {
            Hand::Audition(chord) => {
                self.end_by_hand(|_, reason| reason == Reason::Audition);
                let n_frames = self.audition_frames(chord.secs);
                for (key, velocity) in chord.notes() {
                    self.strike_key(*key, *velocity, Reason::Audition, n_frames);
                }
            }
            Hand::KeyDown { key, velocity } => {
                self.strike_key(key, velocity, Reason::Key, held_frames);
            }
            Hand::KeyDrag { key, velocity } => {
                self.end_by_hand(|other, reason| reason == Reason::Key && other != key);
                if !self.hands.holds(key, Reason::Key) {
                    self.strike_key(key, velocity, Reason::Key, held_frames);
                }
            }
            Hand::AllKeysUp => self.end_by_hand(|_, reason| reason == Reason::Key),
        }
    }

    fn audition_frames(&self, secs: f32) -> u64 {
        let secs = if secs.is_nan() { 0.5 } else { secs.clamp(0.02, MAX_BY_HAND_SECS) };
        self.frames_of(f64::from(secs))
    }

    fn strike_key(&mut self, key: u8, velocity: u8, reason: Reason, n_frames: u64) {
        self.strike_by_hand(AUDITION_CHANNEL, key, velocity, reason, n_frames);
    }

    fn strike_by_hand(
        &mut self,
        channel: u8,
        key: u8,
        velocity: u8,
        reason: Reason,
        n_frames: u64,
    ) {
        let Some(synth) = &mut self.synth else { return };
        if let Some((channel, key)) = self.hands.strike(channel, key, reason, n_frames) {
            synth.note_off(channel, key);
        }
        synth.note_on(channel, key, velocity);
        self.quiet_frames = 0;
    }

    fn end_by_hand(&mut self, is_over: impl Fn(u8, Reason) -> bool) {
        let (synth, fading) = (&mut self.synth, &mut self.fading);
        self.hands.end(is_over, |channel, key| note_off(synth, fading, channel, key));
    }

    /// Fills the first `n_frames` of `left` and `right`.
    fn render(&mut self, n_frames: usize) {
        let mut at = 0;
        while at < n_frames {
            let is_moving = self.move_transport();
            let step = self.frames_to_next(is_moving).min((n_frames - at) as u64).max(1);
            let to = at + step as usize;
            self.synthesize(at, to);
            self.advance(step, is_moving);
            at = to;
        }
        self.finish_sound(n_frames);
    }

    /// Frames until anything changes.
    fn frames_to_next(&self, is_moving: bool) -> u64 {
        let mut step = self.hands.frames_to_next();
        let rate = f64::from(self.sample_rate);
        if let Some(count_in) = self.count_in.filter(|_| self.is_counting_in_now()) {
            step = step.min(count_in.frames_to_next(self.sequencer.speed(), rate));
        }
        if self.is_waiting_for_font() {
            step = step.min(self.patience);
        }
        if is_moving {
            step = step.min(self.sequencer.frames_to_next());
        }
        if self.pedal_wait > 0 {
            step = step.min(self.pedal_wait);
        }
        step
    }

    fn advance(&mut self, n_frames: u64, is_moving: bool) {
        if self.is_waiting_for_font() {
            self.patience -= n_frames.min(self.patience);
        }
        if is_moving {
            self.sequencer.advance(n_frames);
        }
        self.advance_count_in(n_frames);
        let (synth, fading) = (&mut self.synth, &mut self.fading);
        self.hands.advance(n_frames, |channel, key| note_off(synth, fading, channel, key));
        if self.pedal_wait > 0 {
            self.pedal_wait = self.pedal_wait.saturating_sub(n_frames);
            if self.pedal_wait == 0 {
                self.set_pedals(self.wanted_pedals());
            }
        }
    }

    /// Whether the count goes on: not while scrubbing.
    fn is_counting_in_now(&self) -> bool {
        self.is_playing && self.scrub.is_none() && self.is_counting_in()
    }

    fn advance_count_in(&mut self, n_frames: u64) {
        let was_counting = self.is_counting_in();
        let (speed, rate) = (self.sequencer.speed(), f64::from(self.sample_rate));
        let Some(count_in) = &mut self.count_in else { return };
        count_in.advance(n_frames, speed, rate);
        if count_in.beats_left(self.latency_secs, speed) == 0 {
            self.count_in = None;
        }
        if was_counting && !self.is_counting_in() {
            self.set_pedals_soon();
        }
    }

    fn is_waiting_for_font(&self) -> bool {
        self.is_running() && self.synth.is_none() && self.patience > 0
    }

    /// Strikes what is due; whether time goes on.
    fn move_transport(&mut self) -> bool {
        if self.is_counting_in_now() {
            if let Some(is_first) = self.count_in.as_mut().and_then(CountIn::pop_click) {
                self.click.strike(is_first);
            }
            return false;
        }
        if !self.is_running() || self.is_waiting_for_font() {
            return false;
        }
        if self.sequencer.is_at_loop_end() {
            self.sequencer.turn();
            self.release_score();
            self.set_pedals_soon();
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
            self.wires.status.n_ended.fetch_add(1, Ordering::Release);
        }
        false
    }

    fn carry_out(&mut self, event: Event) {
        let (channel, action) = match event {
            Event::Beat { is_first } => return self.click.strike(is_first),
            Event::Channel { channel, action } => (channel, action),
        };
        match action {
            Action::NoteOn { key, velocity } => {
                if let Some(synth) = &mut self.synth {
                    synth.note_on(channel, key, velocity);
                }
            }
            Action::NoteOff { key } => note_off(&mut self.synth, &mut self.fading, channel, key),
            // All of them are about to be set.
            Action::PedalDown | Action::PedalUp if self.pedal_wait > 0 => {}
            Action::PedalDown => self.set_pedals(self.pedals | 1 << channel),
            Action::PedalUp => self.set_pedals(self.pedals & !(1 << channel)),
        }
    }

    /// Whether nothing sounds and nothing is about to.
    fn is_resting(&self) -> bool {
        let rest_after = (f64::from(self.sample_rate) * REST_AFTER_SECS) as u64;
        !self.is_playing
            && self.quiet_frames > rest_after
            && self.hands.is_idle()
            && self.click.is_silent()
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
            let _ = self.wires.waste.try_send(Waste::Synth(broken));
            self.wires.status.is_font_broken.store(true, Ordering::Release);
        }
        self.mix_fading(from, to);
        self.click.mix(&mut self.left[from..to], &mut self.right[from..to]);
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
            let _ = self.wires.waste.try_send(Waste::Synth(old));
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

    fn report(&mut self, n_frames: usize) {
        self.store_position();
        self.frames += n_frames as u64;
        let by_transport =
            self.sequencer.sounding().filter(|(channel, _)| *channel != DRUM_CHANNEL);
        let keys = by_transport.fold(self.hands.keys(), |keys, (_, key)| keys | 1 << key);
        let heard = self.heard_keys.update(self.frames, keys);
        let beats_left = self
            .count_in
            .map_or(0, |count_in| count_in.beats_left(self.latency_secs, self.sequencer.speed()));
        let is_moving =
            self.is_running() && !self.is_waiting_for_font() && !self.sequencer.is_at_end();

        let status = &self.wires.status;
        status.keys[0].store(heard as u64, Ordering::Release);
        status.keys[1].store((heard >> 64) as u64, Ordering::Release);
        status.count_in_beats_left.store(beats_left, Ordering::Release);
        status.is_moving.store(is_moving, Ordering::Release);
        status.frames.store(self.frames, Ordering::Relaxed);
    }

    fn store_position(&self) {
        let heard = if self.is_running() {
            self.sequencer.earlier_position_secs(self.latency_secs)
        } else {
            self.sequencer.position_secs()
        };
        self.wires.status.position.store(heard.to_bits(), Ordering::Release);
    }
}

/// A key goes up in the font that sounds and, for notes that it began, in the one that fades.
fn note_off(
    synth: &mut Option<Box<Synth>>,
    fading: &mut Option<(Box<Synth>, u64)>,
    channel: u8,
    key: u8,
) {
    let fading = fading.iter_mut().map(|(synth, _)| synth);
    synth.iter_mut().chain(fading).for_each(|synth| synth.note_off(channel, key));
}
