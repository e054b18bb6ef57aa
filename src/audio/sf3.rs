//! SF3, the compressed SoundFont: its samples are Ogg Vorbis streams, which rustysynth can't read.
//! They are decoded here into the 16-bit samples that an SF2 would hold.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::dynamics::amplitude_from_db;
use super::riff::{Damage, FontLayout, PADDING_SAMPLES, SampleHeader};
use crate::cancel::CancelToken;

/// Decoded samples take at most this many, 1 GB; the built-in piano has 52 million.
const MAX_SAMPLES: u64 = 512 << 20;

/// The decoded samples of a font, with the headers that describe them.
pub(crate) struct Expanded {
    pub headers: Vec<SampleHeader>,
    pub samples: SampleReader,
    pub samples_bytes: u64,
}

/// Decodes every sample, several at once. `bytes` is the `smpl` chunk; `trims` are gains for the
/// first samples, in tenths of a dB. `None` when cancelled.
pub(crate) fn expand(
    layout: &FontLayout,
    bytes: &[u8],
    trims: &[i8],
    cancel: &CancelToken,
) -> Result<Option<Expanded>, Damage> {
    let (ranges, slots) = ranges_of(&layout.headers, bytes)?;
    let budget = AtomicU64::new(MAX_SAMPLES);
    let decoded: Result<Vec<Vec<i16>>, Damage> = ranges
        .par_iter()
        .enumerate()
        .map(|(idx, range)| {
            if cancel.is_cancelled() {
                return Ok(Vec::new());
            }
            let part = &bytes[range.start..range.end];
            let mut samples = if range.is_compressed { decode(part)? } else { from_pcm(part) };
            if let Some(trim) = trims.get(idx) {
                amplify(&mut samples, f32::from(*trim) / 10.0);
            }
            samples.resize(samples.len() + PADDING_SAMPLES, 0);
            let n_samples = samples.len() as u64;
            budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(n_samples)
                })
                .map_err(|_| Damage("its samples take more than 1 GB"))?;
            Ok(samples)
        })
        .collect();
    let decoded = decoded?;
    if cancel.is_cancelled() {
        return Ok(None);
    }

    let mut starts = Vec::with_capacity(decoded.len());
    let mut n_samples = 0;
    for samples in &decoded {
        starts.push(n_samples);
        // The budget keeps this far inside 32 bits.
        n_samples += samples.len() as u32;
    }
    let mut headers = layout.headers.clone();
    for (header, slot) in headers.iter_mut().zip(slots) {
        let Some(slot) = slot else { continue };
        let start = starts[slot];
        place(header, start, start + (decoded[slot].len() - PADDING_SAMPLES) as u32);
    }
    headers.iter_mut().for_each(|header| header.confine(n_samples));
    let samples_bytes = 2 * u64::from(n_samples);
    Ok(Some(Expanded { headers, samples: SampleReader::new(decoded), samples_bytes }))
}

/// Says where a decoded sample lies. Loop points of a compressed sample count from its start.
fn place(header: &mut SampleHeader, start: u32, end: u32) {
    let origin = if header.is_compressed() { 0 } else { header.start };
    header.loop_start = start.saturating_add(header.loop_start.saturating_sub(origin));
    header.loop_end = start.saturating_add(header.loop_end.saturating_sub(origin));
    (header.start, header.end) = (start, end);
    header.kind &= !SampleHeader::COMPRESSED;
}

/// A stretch of the `smpl` chunk, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ByteRange {
    start: usize,
    end: usize,
    is_compressed: bool,
}

/// The stretches that samples refer to, each once, and of each header which one is its own.
fn ranges_of(
    headers: &[SampleHeader],
    bytes: &[u8],
) -> Result<(Vec<ByteRange>, Vec<Option<usize>>), Damage> {
    let (mut ranges, mut slots) = (Vec::new(), Vec::with_capacity(headers.len()));
    let mut known = HashMap::new();
    let mut total = 0;
    for header in headers {
        let is_compressed = header.is_compressed();
        let unit = if is_compressed { 1 } else { 2 };
        let (start, end) = (header.start as usize * unit, header.end as usize * unit);
        if start >= end {
            // The terminator, or a sample that no instrument can use.
            slots.push(None);
            continue;
        }
        if end > bytes.len() {
            return Err(Damage("a sample lies outside the file"));
        }
        let range = ByteRange { start, end, is_compressed };
        let slot = *known.entry(range).or_insert_with(|| {
            total += end - start;
            ranges.push(range);
            ranges.len() - 1
        });
        slots.push(Some(slot));
    }
    // Overlapping stretches would let a small file ask for endless decoding.
    if total / 4 > bytes.len() {
        return Err(Damage("its samples overlap"));
    }
    Ok((ranges, slots))
}

fn from_pcm(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn amplify(samples: &mut [i16], db: f32) {
    let gain = amplitude_from_db(db);
    for sample in samples {
        // A float to integer cast saturates.
        *sample = (f32::from(*sample) * gain).round() as i16;
    }
}

/// Decodes one Ogg Vorbis stream; of several channels the first counts.
fn decode(bytes: &[u8]) -> Result<Vec<i16>, Damage> {
    const BROKEN: Damage = Damage("a sample can't be decoded");
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes.to_vec())), Default::default());
    let mut hint = Hint::new();
    hint.with_extension("ogg");
    let mut format = symphonia::default::get_probe()
        .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|_| BROKEN)?;
    let track = format.default_track(TrackType::Audio).ok_or(BROKEN)?;
    let track_id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|params| params.audio()).ok_or(BROKEN)?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|_| BROKEN)?;

    let (mut samples, mut planes) = (Vec::new(), Vec::<Vec<i16>>::new());
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // A stream cut short keeps what came before, like a sample without its tail.
            Err(SymphoniaError::IoError(_)) if !samples.is_empty() => break,
            Err(_) => return Err(BROKEN),
        };
        if packet.track_id != track_id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(buffer) => {
                buffer.copy_to_vecs_planar(&mut planes);
                samples.extend_from_slice(planes.first().map_or(&[], Vec::as_slice));
            }
            Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_)) => {}
            Err(_) => return Err(BROKEN),
        }
        if samples.len() as u64 > MAX_SAMPLES {
            return Err(Damage("its samples take more than 1 GB"));
        }
    }
    if samples.is_empty() { Err(BROKEN) } else { Ok(samples) }
}

/// Reads the samples one after the other as bytes, and frees each as soon as it has been read, so
/// that they are held only once while rustysynth takes them over.
pub(crate) struct SampleReader {
    waiting: std::vec::IntoIter<Vec<i16>>,
    current: Vec<i16>,
    /// Bytes of `current` already read.
    at: usize,
}

impl SampleReader {
    fn new(samples: Vec<Vec<i16>>) -> Self {
        Self { waiting: samples.into_iter(), current: Vec::new(), at: 0 }
    }
}

impl Read for SampleReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == 2 * self.current.len() {
            let Some(next) = self.waiting.next() else { return Ok(0) };
            (self.current, self.at) = (next, 0);
        }
        let n_bytes = out.len().min(2 * self.current.len() - self.at);
        if self.at.is_multiple_of(2) && n_bytes >= 2 {
            let samples = &self.current[self.at / 2..];
            for (pair, sample) in out.chunks_exact_mut(2).zip(samples) {
                pair.copy_from_slice(&sample.to_le_bytes());
            }
            self.at += n_bytes & !1;
            return Ok(n_bytes & !1);
        }
        out[0] = self.current[self.at / 2].to_le_bytes()[self.at % 2];
        self.at += 1;
        Ok(1)
    }
}
