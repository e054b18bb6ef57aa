//! A score as a WAV file.
//!
//! **Loudness.** The file is what the player plays: the same make-up gain (8 dB) and the same
//! limiter, its ceiling at the headroom asked for. Nothing is normalized, so that soft pieces stay
//! soft beside loud ones, composed velocities (100) come out near full scale, and no sample is above
//! the ceiling. 16-bit files are dithered (see `wav`).

use std::fs::File;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Instant;

use serde::Serialize;

use super::Font;
use super::dynamics::{Limiter, MAKE_UP_GAIN, amplitude_from_db};
use super::schedule::Schedule;
use super::sequencer::{Action, Event, Sequencer};
use super::synth::Synth;
use super::wav::WavWriter;
use crate::cancel::CancelToken;
use crate::files::{create_beside, plain_reason, replace_keeping_backup};
use crate::music::Score;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BitDepth {
    #[default]
    Sixteen,
    TwentyFour,
}

impl BitDepth {
    pub(super) fn bits(self) -> u16 {
        match self {
            Self::Sixteen => 16,
            Self::TwentyFour => 24,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RenderSettings {
    /// 8,000–192,000 Hz.
    pub sample_rate: u32,
    pub bits: BitDepth,
    /// The loudest sample, in dB below full scale (0–60); 1 unless asked otherwise.
    pub headroom_db: f32,
}

impl Default for RenderSettings {
    fn default() -> Self {
        Self { sample_rate: 44_100, bits: BitDepth::Sixteen, headroom_db: 1.0 }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RenderReport {
    pub seconds_of_audio: f64,
    /// Time it took.
    pub seconds: f64,
    /// 0–1 of full scale.
    pub peak: f64,
    /// Over both channels, 0–1 of full scale.
    pub rms: f64,
}

/// Why there is no WAV file.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error(
        "can't render at {0} Hz — a WAV file here has 8,000 to 192,000. Choose a sample rate such as 44100"
    )]
    SampleRate(u32),
    #[error("can't render with {0} dB of headroom — it must be from 0 to 60. Leave it out for 1")]
    Headroom(f32),
    #[error(
        "there is nothing to render — the score has no notes that this font can play. Choose another file"
    )]
    Empty,
    #[error(
        "the piece is too long for a WAV file — {hours:.1} hours where {limit:.1} fit at this sample rate and depth. Choose a lower sample rate or a shorter piece"
    )]
    TooLong { hours: f64, limit: f64 },
    #[error(
        "the font “{0}” failed while it was played — its content makes no sense. Choose another SF2 or SF3 file"
    )]
    Font(String),
    #[error("can't write {} — {}. Choose another place or make room there", path.display(), plain_reason(source))]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("rendering was cancelled; nothing was written")]
    Cancelled,
}

/// Frames rendered between two looks at the cancel token.
const CHUNK_FRAMES: usize = 1_024;
/// Frames that are handed over to be written at a time, and how often that many may wait.
const PART_FRAMES: usize = 16 * CHUNK_FRAMES;
const WAITING_PARTS: usize = 4;
/// The tail ends after this much silence, at the latest after `MAX_TAIL_SECS`.
const SILENCE_SECS: f64 = 0.25;
const MAX_TAIL_SECS: f64 = 10.0;
/// −80 dB.
const SILENCE: f32 = 1e-4;

/// Renders offline, the tail of the last note included. `progress` gets shares from 0 to 1.
/// Nothing is left at `out` when it fails or is cancelled; a file that was there stays.
///
/// # Errors
/// When settings are out of range, nothing sounds, the file can't be written, or on cancelling.
pub fn render(
    score: &Score,
    font: &Font,
    settings: &RenderSettings,
    out: &Path,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(f64),
) -> Result<RenderReport, RenderError> {
    let started = Instant::now();
    let mut mixdown = Mixdown::new(score, font, settings)?;
    let write = |source| RenderError::Write { path: out.to_owned(), source };
    if out.is_dir() {
        return Err(write(io::Error::other("it is a folder")));
    }
    let mut aside = create_beside(out).map_err(write)?;
    let mut report = std::thread::scope(|scope| {
        let (sender, parts) = sync_channel(WAITING_PARTS);
        let master = Master::new(aside.as_file_mut(), settings).map_err(write)?;
        let thread = Builder::new().name("etude wav".to_owned());
        let writing = thread.spawn_scoped(scope, move || master.finish(parts)).map_err(write)?;
        let played = play(&mut mixdown, &sender, cancel, progress);
        drop(sender);
        let written = writing.join().unwrap_or_else(|panic| resume_unwind(panic));
        played?;
        written.map_err(write)
    })?;
    aside.as_file().sync_all().map_err(write)?;
    replace_keeping_backup(aside, out).map_err(write)?;
    progress(1.0);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Sends all the sound, part by part; ends early when nobody takes it any more.
fn play(
    mixdown: &mut Mixdown,
    sender: &SyncSender<Part>,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(f64),
) -> Result<(), RenderError> {
    let (mut left, mut right) = ([0.0; CHUNK_FRAMES], [0.0; CHUNK_FRAMES]);
    let mut is_over = false;
    while !is_over {
        let mut part = Part::default();
        while part.left.len() < PART_FRAMES && !is_over {
            if cancel.is_cancelled() {
                return Err(RenderError::Cancelled);
            }
            if mixdown.next(&mut left, &mut right)? {
                part.left.extend(left);
                part.right.extend(right);
                progress(mixdown.share_done());
            } else {
                is_over = true;
            }
        }
        if sender.send(part).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A piece of the sound: as many samples in both channels.
#[derive(Default)]
struct Part {
    left: Vec<f32>,
    right: Vec<f32>,
}

/// What comes after the synthesizer: make-up gain, limiter and file. It has a thread of its own, so
/// that on two cores it costs no time.
struct Master<'a> {
    limiter: Limiter,
    wav: WavWriter<'a>,
    /// Frames of the delays before it that are still to be skipped.
    skip_frames: usize,
}

impl<'a> Master<'a> {
    fn new(file: &'a mut File, settings: &RenderSettings) -> io::Result<Self> {
        let limiter = Limiter::new(settings.sample_rate, amplitude_from_db(-settings.headroom_db));
        let halver_frames = if is_halved(settings) { Halver::DELAY_FRAMES } else { 0 };
        Ok(Self {
            skip_frames: limiter.delay_frames() + halver_frames,
            limiter,
            wav: WavWriter::new(file, settings)?,
        })
    }

    fn finish(mut self, parts: Receiver<Part>) -> io::Result<RenderReport> {
        for Part { mut left, mut right } in parts {
            left.iter_mut().chain(&mut right).for_each(|x| *x *= MAKE_UP_GAIN);
            self.limiter.process(&mut left, &mut right);
            let skipped = self.skip_frames.min(left.len());
            self.skip_frames -= skipped;
            self.wav.write(&left[skipped..], &right[skipped..])?;
        }
        self.wav.finish()
    }
}

/// Whether it is synthesized at twice the rate: the synthesizer's lowest is 16 kHz.
fn is_halved(settings: &RenderSettings) -> bool {
    settings.sample_rate < 16_000
}

/// The sound of a score from its start to the end of its tail, chunk by chunk.
struct Mixdown {
    sequencer: Sequencer,
    synth: Synth,
    halver: Option<Halver>,
    font_name: String,
    sample_rate: f64,
    tail_frames: u64,
    quiet_frames: u64,
}

impl Mixdown {
    fn new(score: &Score, font: &Font, settings: &RenderSettings) -> Result<Self, RenderError> {
        let rate = settings.sample_rate;
        if !(8_000..=192_000).contains(&rate) {
            return Err(RenderError::SampleRate(rate));
        }
        if !(0.0..=60.0).contains(&settings.headroom_db) {
            return Err(RenderError::Headroom(settings.headroom_db));
        }
        let mut schedule = Schedule::from_score(score);
        if !font.has_drums() {
            schedule.leave_out_drums();
        }
        if schedule.is_empty() {
            return Err(RenderError::Empty);
        }
        let frame_bytes = 2.0 * f64::from(settings.bits.bits() / 8);
        // The header counts bytes in 32 bits.
        let limit_secs = 4_294_900_000.0 / (frame_bytes * f64::from(rate)) - MAX_TAIL_SECS;
        if schedule.end_secs() > limit_secs {
            let (hours, limit) = (schedule.end_secs() / 3_600.0, limit_secs / 3_600.0);
            return Err(RenderError::TooLong { hours, limit });
        }
        let halver = is_halved(settings).then(Halver::new);
        let synth_rate = if halver.is_some() { 2 * rate } else { rate };
        let mut synth = Synth::new(font, synth_rate).map_err(|_| RenderError::SampleRate(rate))?;
        synth.programs(schedule.programs());
        Ok(Self {
            sequencer: Sequencer::new(Arc::new(schedule), synth_rate),
            synth,
            halver,
            font_name: font.name.clone(),
            sample_rate: f64::from(rate),
            tail_frames: 0,
            quiet_frames: 0,
        })
    }

    /// Of the notes; the tail comes on top.
    fn share_done(&self) -> f64 {
        (self.sequencer.position_secs() / self.sequencer.schedule().end_secs()).clamp(0.0, 1.0)
    }

    /// Fills both channels; false after the end.
    fn next(
        &mut self,
        left: &mut [f32; CHUNK_FRAMES],
        right: &mut [f32; CHUNK_FRAMES],
    ) -> Result<bool, RenderError> {
        if self.tail_is_over() {
            return Ok(false);
        }
        if self.halver.is_some() {
            for half in 0..2 {
                let part = half * CHUNK_FRAMES / 2..(half + 1) * CHUNK_FRAMES / 2;
                let (mut wide_left, mut wide_right) = ([0.0; CHUNK_FRAMES], [0.0; CHUNK_FRAMES]);
                self.synthesize(&mut wide_left, &mut wide_right)?;
                if let Some(halver) = &mut self.halver {
                    halver.halve(&wide_left, 0, &mut left[part.clone()]);
                    halver.halve(&wide_right, 1, &mut right[part]);
                }
            }
        } else {
            self.synthesize(left, right)?;
        }
        self.listen(left, right);
        Ok(true)
    }

    fn tail_is_over(&self) -> bool {
        let secs = |frames: u64| frames as f64 / self.sample_rate;
        self.sequencer.is_at_end()
            && (secs(self.quiet_frames) >= SILENCE_SECS || secs(self.tail_frames) >= MAX_TAIL_SECS)
    }

    fn synthesize(&mut self, left: &mut [f32], right: &mut [f32]) -> Result<(), RenderError> {
        let mut at = 0;
        while at < left.len() {
            while let Some(event) = self.sequencer.pop_due() {
                // No beats were asked for.
                let Event::Channel { channel, action } = event else { continue };
                match action {
                    Action::NoteOn { key, velocity } => self.synth.note_on(channel, key, velocity),
                    Action::NoteOff { key } => self.synth.note_off(channel, key),
                    Action::PedalDown => self.synth.pedal(channel, true),
                    Action::PedalUp => self.synth.pedal(channel, false),
                }
            }
            let left_over = (left.len() - at) as u64;
            let step = self.sequencer.frames_to_next().min(left_over).max(1);
            let to = at + step as usize;
            if !self.synth.render(&mut left[at..to], &mut right[at..to]) {
                return Err(RenderError::Font(self.font_name.clone()));
            }
            if !self.sequencer.is_at_end() {
                self.sequencer.advance(step);
            }
            at = to;
        }
        Ok(())
    }

    /// Counts the frames after the last event, and those without a sound.
    fn listen(&mut self, left: &[f32], right: &[f32]) {
        let n_frames = left.len() as u64;
        let is_heard = |x: &f32| (x * MAKE_UP_GAIN).abs() >= SILENCE;
        let is_quiet = !left.iter().chain(right).any(is_heard);
        self.quiet_frames = if is_quiet { self.quiet_frames + n_frames } else { 0 };
        if self.sequencer.is_at_end() {
            self.tail_frames += n_frames;
        }
    }
}

/// Halves the sample rate: a low-pass (Blackman-windowed sinc, cut at 0.46 of the new rate) and
/// every second sample.
struct Halver {
    taps: [f32; Halver::N_TAPS],
    /// The last input of each channel.
    history: [[f32; Halver::N_TAPS - 1]; 2],
}

impl Halver {
    const N_TAPS: usize = 63;
    /// Of the output.
    const DELAY_FRAMES: usize = Self::N_TAPS / 4;

    fn new() -> Self {
        let middle = (Self::N_TAPS / 2) as f64;
        let mut taps: [f64; Self::N_TAPS] = std::array::from_fn(|idx| {
            let t = idx as f64 - middle;
            let cut = 0.23;
            let sinc = if t == 0.0 {
                2.0 * cut
            } else {
                (std::f64::consts::TAU * cut * t).sin() / (std::f64::consts::PI * t)
            };
            let phase = std::f64::consts::TAU * idx as f64 / (Self::N_TAPS - 1) as f64;
            sinc * (0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos())
        });
        let sum: f64 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        Self { taps: taps.map(|tap| tap as f32), history: [[0.0; Self::N_TAPS - 1]; 2] }
    }

    /// `input` has twice the length of `output`, at most `CHUNK_FRAMES`.
    fn halve(&mut self, input: &[f32; CHUNK_FRAMES], channel: usize, output: &mut [f32]) {
        const PAST: usize = Halver::N_TAPS - 1;
        let mut line = [0.0; PAST + CHUNK_FRAMES];
        line[..PAST].copy_from_slice(&self.history[channel]);
        line[PAST..].copy_from_slice(input);
        for (idx, sample) in output.iter_mut().enumerate() {
            let window = &line[2 * idx..2 * idx + Self::N_TAPS];
            *sample = window.iter().zip(&self.taps).map(|(x, tap)| x * tap).sum();
        }
        self.history[channel].copy_from_slice(&line[CHUNK_FRAMES..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_keeps_low_tones_and_takes_high_ones_away() {
        let tone = |hertz: f64| {
            let mut halver = Halver::new();
            let step = std::f64::consts::TAU * hertz / 16_000.0;
            let input = std::array::from_fn(|n| (step * n as f64).sin() as f32);
            let mut output = [0.0; CHUNK_FRAMES / 2];
            halver.halve(&input, 0, &mut output);
            output[64..].iter().fold(0f32, |peak, x| peak.max(x.abs()))
        };
        assert!(tone(500.0) > 0.97 && tone(2_500.0) > 0.97);
        assert!(tone(4_700.0) < 0.01 && tone(7_500.0) < 0.001);
    }
}
