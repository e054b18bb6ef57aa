//! Samples as a WAV file. 16-bit files are dithered (triangular, one step either way, from a fixed
//! seed).

use std::fs::File;
use std::io::{self, BufWriter};

use super::dynamics::amplitude_from_db;
use super::render::{BitDepth, RenderReport, RenderSettings};
use crate::files::check_size;

/// Bytes before the first sample, at the most.
const MAX_WAV_HEADER: u64 = 128;
/// Frames that are converted at a time.
const CHUNK_FRAMES: usize = 1_024;

/// Turns samples into whole numbers, and counts what the report tells.
pub(super) struct WavWriter<'a> {
    wav: hound::WavWriter<BufWriter<&'a mut File>>,
    settings: RenderSettings,
    /// The largest number that may be written.
    limit: i32,
    dither: Option<Dither>,
    n_frames: u64,
    peak: i32,
    squares: f64,
}

impl<'a> WavWriter<'a> {
    pub fn new(file: &'a mut File, settings: &RenderSettings) -> io::Result<Self> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: settings.sample_rate,
            bits_per_sample: settings.bits.bits(),
            sample_format: hound::SampleFormat::Int,
        };
        let wav = hound::WavWriter::new(BufWriter::with_capacity(1 << 16, file), spec)
            .map_err(io_error)?;
        let full = f64::from(1 << (settings.bits.bits() - 1));
        let ceiling = f64::from(amplitude_from_db(-settings.headroom_db));
        Ok(Self {
            wav,
            settings: *settings,
            limit: (full * ceiling).floor().min(full - 1.0) as i32,
            dither: (settings.bits == BitDepth::Sixteen).then(Dither::new),
            n_frames: 0,
            peak: 0,
            squares: 0.0,
        })
    }

    fn full_scale(&self) -> f64 {
        f64::from(1 << (self.settings.bits.bits() - 1))
    }

    pub fn write(&mut self, left: &[f32], right: &[f32]) -> io::Result<()> {
        let n_frames = self.n_frames + left.len() as u64;
        check_size(MAX_WAV_HEADER + n_frames * u64::from(self.settings.bits.bits() / 4))?;
        for (left, right) in left.chunks(CHUNK_FRAMES).zip(right.chunks(CHUNK_FRAMES)) {
            self.write_chunk(left, right)?;
        }
        self.n_frames = n_frames;
        Ok(())
    }

    fn write_chunk(&mut self, left: &[f32], right: &[f32]) -> io::Result<()> {
        let mut numbers = [0; 2 * CHUNK_FRAMES];
        let numbers = &mut numbers[..2 * left.len()];
        let (full, limit, mut squares) = (self.full_scale(), self.limit, 0);
        let samples = left.iter().zip(right).flat_map(|(left, right)| [*left, *right]);
        for (number, sample) in numbers.iter_mut().zip(samples) {
            let noise = match &mut self.dither {
                // Silence stays silence.
                Some(dither) if sample != 0.0 => dither.next(),
                _ => 0.0,
            };
            *number = nearest(f64::from(sample) * full + noise).clamp(-limit, limit);
            self.peak = self.peak.max(number.abs());
            squares += u64::from(number.unsigned_abs()).pow(2);
        }
        self.squares += squares as f64;
        match self.settings.bits {
            BitDepth::Sixteen => {
                let mut writer = self.wav.get_i16_writer(numbers.len() as u32);
                numbers.iter().for_each(|&number| writer.write_sample(number as i16));
                writer.flush().map_err(io_error)
            }
            BitDepth::TwentyFour => numbers
                .iter()
                .try_for_each(|&number| self.wav.write_sample(number))
                .map_err(io_error),
        }
    }

    pub fn finish(self) -> io::Result<RenderReport> {
        let full = self.full_scale();
        let n_samples = (2 * self.n_frames).max(1) as f64;
        let report = RenderReport {
            seconds_of_audio: self.n_frames as f64 / f64::from(self.settings.sample_rate),
            seconds: 0.0,
            peak: f64::from(self.peak) / full,
            rms: (self.squares / n_samples).sqrt() / full,
        };
        self.wav.finalize().map_err(io_error)?;
        Ok(report)
    }
}

fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// The whole number nearest to `x`, of two the one further from 0: `f64::round`, which is a call into
/// the C library where a processor may lack the instruction.
fn nearest(x: f64) -> i32 {
    let whole = x as i32;
    let rest = x - f64::from(whole);
    whole.saturating_add(i32::from(rest >= 0.5)).saturating_sub(i32::from(rest <= -0.5))
}

/// Triangular noise of one step either way, the same every time (a linear congruential generator
/// with Knuth's constants is random enough for noise).
struct Dither(u64);

impl Dither {
    fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    fn next(&mut self) -> f64 {
        self.uniform() - self.uniform()
    }

    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // From 32 bits, which takes one instruction where 64 take several.
        f64::from((self.0 >> 40) as u32) / f64::from(1 << 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        // Every write to this device fails for want of space.
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let written = WavWriter::new(&mut full, &RenderSettings::default())
            .and_then(|mut wav| wav.write(&[0.5; 40_000], &[0.5; 40_000]).map(|()| wav))
            .and_then(WavWriter::finish);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn dither_is_triangular_and_repeats() {
        let (mut one, mut other) = (Dither::new(), Dither::new());
        let noise: Vec<f64> = (0..10_000).map(|_| one.next()).collect();
        assert!(noise.iter().all(|x| x.abs() < 1.0 && *x == other.next()));
        let mean = noise.iter().sum::<f64>() / 10_000.0;
        let variance = noise.iter().map(|x| x * x).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0 / 6.0).abs() < 0.01, "{mean} {variance}");
    }

    #[test]
    fn the_nearest_number_is_what_rounding_gives() {
        let exact = [0.0, 0.5, -0.5, 1.5, -2.5, 0.499_999_999_999_999_94, 32_766.5, -8_388_607.5];
        let spread = (0..10_000).map(|idx| f64::from(idx).mul_add(3.276_8, -16_384.0).sin() * 4e4);
        for x in exact.into_iter().chain(spread) {
            assert_eq!(nearest(x), x.round() as i32, "{x}");
        }
        assert_eq!([f64::NAN, 1e300, -1e300].map(nearest), [0, i32::MAX, i32::MIN]);
    }

    #[test]
    fn what_is_written_is_read_again_in_both_depths() {
        let left: Vec<f32> = (0..3_000).map(|idx| (idx as f32 * 0.1).sin() * 0.8).collect();
        let right: Vec<f32> = left.iter().map(|x| -x / 2.0).collect();
        for bits in [BitDepth::Sixteen, BitDepth::TwentyFour] {
            let settings = RenderSettings { bits, headroom_db: 0.0, ..RenderSettings::default() };
            let mut file = tempfile::tempfile().unwrap();
            let mut writer = WavWriter::new(&mut file, &settings).unwrap();
            writer.write(&left[..2_000], &right[..2_000]).unwrap();
            writer.write(&left[2_000..], &right[2_000..]).unwrap();
            let report = writer.finish().unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            let full = f64::from(1 << (bits.bits() - 1));
            let read = hound::WavReader::new(file).unwrap().into_samples::<i32>();
            let read: Vec<f64> = read.map(|x| f64::from(x.unwrap()) / full).collect();
            assert_eq!(read.len(), 6_000);
            let written = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]);
            for (read, written) in read.iter().zip(written) {
                assert!((read - f64::from(written)).abs() < 1.6 / full, "{read} for {written}");
            }
            let peak = read.iter().fold(0f64, |peak, x| peak.max(x.abs()));
            let mean = read.iter().map(|x| x * x).sum::<f64>() / 6_000.0;
            assert!((report.peak - peak).abs() < 1e-12 && (report.rms - mean.sqrt()).abs() < 1e-9);
        }
    }
}
