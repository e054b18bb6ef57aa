//! Sound devices: which there are, which one is used, and opening it.
//!
//! A sound server that answers (PulseAudio, or PipeWire in its place) is preferred to ALSA: ALSA's
//! plugin for it stalls after an underrun and floods the error callback when the server dies. A
//! null device is never chosen: nobody hears it, and ALSA's runs 25 times too fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rodio::cpal::traits::{DeviceTrait, HostTrait};
use rodio::cpal::{self, BufferSize, ErrorKind, SampleFormat};
use rodio::{DeviceSinkBuilder, MixerDeviceSink};
use serde::Serialize;

use super::engine::{CHUNK_FRAMES, Engine};

/// One line of `etude devices`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AudioDeviceReport {
    pub name: String,
    pub kind: String,
    pub available: bool,
    pub reason: Option<String>,
}

/// Frames a device asks for at a time: 9 ms from a command to its sound on average at 48 kHz, 30 ms
/// at worst; smaller buffers break up on a busy machine.
const BUFFER_FRAMES: u32 = 1_024;
const PULSE: &str = "PulseAudio";

/// An open device. Dropping it may take a moment.
pub(super) struct OpenDevice {
    pub name: String,
    pub sample_rate: u32,
    /// From rendering to hearing.
    pub latency_secs: f64,
    sink: MixerDeviceSink,
}

impl OpenDevice {
    /// Opens the device that sounds by default. `has_failed` is set when it stops working.
    pub(super) fn open(has_failed: Arc<AtomicBool>) -> Result<Self, String> {
        let candidate = candidates().find_map(|found| found.device.ok());
        let Some((host, name, device)) = candidate else { return Err(why_silent()) };
        let on_error = move |error: cpal::Error| {
            let is_passing = matches!(
                error.kind(),
                ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied
            );
            if !is_passing {
                has_failed.store(true, Ordering::Release);
            }
        };
        let words =
            |error: rodio::DeviceSinkError| format!("{name} can't be opened: {}", chain(&error));
        let mut builder = DeviceSinkBuilder::from_device(device).map_err(words)?;
        if host == PULSE {
            // The server converts better than a cast would.
            builder = builder.with_sample_format(SampleFormat::F32);
        }
        let mut sink = builder
            .with_buffer_size(BufferSize::Fixed(BUFFER_FRAMES))
            .with_error_callback(on_error)
            .open_stream()
            .map_err(words)?;
        sink.log_on_drop(false);
        let device_rate = sink.config().sample_rate().get();
        // rodio converts when the device's own rate is outside what the synthesizer can do.
        let sample_rate =
            if (16_000..=192_000).contains(&device_rate) { device_rate } else { 48_000 };
        // One buffer is heard while the next is filled.
        let latency_secs = 2.0 * f64::from(BUFFER_FRAMES) / f64::from(device_rate);
        Ok(Self { name, sample_rate, latency_secs, sink })
    }

    /// Begins to sound.
    pub(super) fn play(&self, engine: Engine) {
        self.sink.mixer().add(EngineSource::new(engine, self.sample_rate));
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The engine as rodio wants it: sample by sample, without end.
struct EngineSource {
    engine: Box<Engine>,
    sample_rate: rodio::SampleRate,
    chunk: [f32; 2 * CHUNK_FRAMES],
    at: usize,
}

impl EngineSource {
    fn new(engine: Engine, sample_rate: u32) -> Self {
        Self {
            engine: Box::new(engine),
            sample_rate: rodio::SampleRate::new(sample_rate).unwrap_or(rodio::SampleRate::MIN),
            chunk: [0.0; 2 * CHUNK_FRAMES],
            at: 2 * CHUNK_FRAMES,
        }
    }
}

impl Iterator for EngineSource {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.at == self.chunk.len() {
            self.engine.fill(&mut self.chunk);
            self.at = 0;
        }
        self.at += 1;
        Some(self.chunk[self.at - 1])
    }
}

impl rodio::Source for EngineSource {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> rodio::ChannelCount {
        const STEREO: rodio::ChannelCount = rodio::ChannelCount::new(2).expect("2 is not zero");
        STEREO
    }

    fn sample_rate(&self) -> rodio::SampleRate {
        self.sample_rate
    }

    fn total_duration(&self) -> Option<std::time::Duration> {
        None
    }
}

/// A host's default device, or why it has none.
struct Candidate {
    host: &'static str,
    device: Result<(&'static str, String, cpal::Device), String>,
}

/// What each sound system of this machine offers, the preferred first. Each is asked only when its
/// turn comes.
fn candidates() -> impl Iterator<Item = Candidate> {
    let mut hosts = if might_sound() { cpal::available_hosts() } else { Vec::new() };
    hosts.sort_by_key(|host| host.name() != PULSE);
    hosts.into_iter().map(|id| Candidate { host: id.name(), device: candidate_of(id) })
}

fn candidate_of(id: cpal::HostId) -> Result<(&'static str, String, cpal::Device), String> {
    let host = cpal::host_from_id(id).map_err(|error| error.to_string())?;
    if id.name() == "ALSA" && !has_alsa_card() {
        return Err("there is no sound card".to_owned());
    }
    let device = host.default_output_device().ok_or("it has no output device")?;
    let description = device.description().map_err(|error| error.to_string())?;
    let name = description.name().to_owned();
    let id_text = device.id().map(|id| id.to_string()).unwrap_or_default();
    let texts = [&name, &id_text, &description.driver().unwrap_or_default().to_owned()];
    if texts.iter().any(|text| is_null(text)) {
        return Err(format!("“{name}” is a null device, which nobody hears"));
    }
    device.default_output_config().map_err(|error| error.to_string())?;
    Ok((id.name(), name, device))
}

/// Sound servers without a card offer “Dummy Output” (`auto_null`); ALSA has `null`.
fn is_null(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "dummy output"
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "null")
}

/// Whether looking for a device can be worth the time. On Linux it isn't without a sound server, a
/// card or an ALSA configuration; asking ALSA all the same would print twenty lines of errors.
pub(super) fn might_sound() -> bool {
    !cfg!(target_os = "linux") || has_alsa_card() || has_sound_server()
}

fn has_sound_server() -> bool {
    cpal::available_hosts().iter().any(|host| host.name() == PULSE)
}

fn has_alsa_card() -> bool {
    let has_card = std::fs::read_dir("/dev/snd").is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("pcm") && name.ends_with('p')
        })
    });
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".asoundrc"));
    has_card
        || std::path::Path::new("/etc/asound.conf").exists()
        || home.is_some_and(|path| path.exists())
}

/// Why nothing sounds, in words for the window.
fn why_silent() -> String {
    let reasons: Vec<String> = candidates()
        .filter_map(|found| found.device.err().map(|why| format!("{}: {why}", found.host)))
        .collect();
    if reasons.is_empty() {
        "no sound card and no sound server was found".to_owned()
    } else {
        reasons.join("; ")
    }
}

/// What can sound here. Never picks a null device.
pub fn audio_devices() -> Vec<AudioDeviceReport> {
    let mut reports: Vec<AudioDeviceReport> = candidates()
        .map(|found| match found.device {
            Ok((host, name, _)) => {
                AudioDeviceReport { name, kind: host.to_owned(), available: true, reason: None }
            }
            Err(why) => AudioDeviceReport {
                name: "default output".to_owned(),
                kind: found.host.to_owned(),
                available: false,
                reason: Some(why),
            },
        })
        .collect();
    if reports.is_empty() {
        reports.push(AudioDeviceReport {
            name: "default output".to_owned(),
            kind: "sound".to_owned(),
            available: false,
            reason: Some(why_silent()),
        });
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_devices_are_recognized_by_their_names() {
        for name in ["null", "auto_null", "NULL Output", "Dummy Output", "pulse:auto_null"] {
            assert!(is_null(name), "{name}");
        }
        for name in ["speakers", "Annullator 3000", "Built-in Audio"] {
            assert!(!is_null(name), "{name}");
        }
    }

    #[test]
    fn a_report_says_why_something_is_not_available() {
        for report in audio_devices() {
            assert_eq!(report.available, report.reason.is_none(), "{report:?}");
        }
    }
}
