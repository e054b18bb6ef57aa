//! Listening to an engine without a device: what is in the samples.

use super::font::sine_font;
use etude::audio::{Engine, EngineControl, Font};
use etude::cancel::CancelToken;
use etude::music::{Note, Pitch, Score, TempoMap, Tick, TicksPerQuarter, Velocity};

pub const RATE: u32 = 48_000;
/// −1 dB of full scale.
pub const CEILING: f32 = 0.891_251;
/// The limiter looks 3 ms ahead; a SoundFont's shortest delay is 1 ms, of which rustysynth renders
/// one whole block of 32 frames in silence; and voices start at the edges of these blocks.
pub const DELAY_FRAMES: usize = 144 + BLOCK_FRAMES;
pub const BLOCK_FRAMES: usize = 32;

/// Notes as (start in ms, length in ms, key, velocity); a quarter is half a second.
pub fn score(notes: &[(u32, u32, u8, u8)]) -> Score {
    let map = TempoMap::constant(TicksPerQuarter::new(500).unwrap(), 500_000);
    let note = |&(start, length, key, velocity): &(u32, u32, u8, u8)| Note {
        start: Tick(start),
        length: Tick(length),
        pitch: Pitch::new(key).unwrap(),
        velocity: Velocity::new(velocity).unwrap(),
        part: 0,
    };
    Score::piano(map, notes.iter().map(note).collect())
}

pub fn sine() -> Font {
    Font::from_bytes(&sine_font(), "sine.sf2", &CancelToken::new()).unwrap()
}

pub fn engine_at(rate: u32, font: &Font, score: &Score) -> (Engine, EngineControl) {
    let (engine, mut control) = Engine::new(rate, 0.0);
    control.set_font(font).unwrap();
    control.set_score(score);
    (engine, control)
}

/// The left channel of the next `secs` seconds; nothing is ever above the ceiling.
pub fn listen(engine: &mut Engine, rate: u32, secs: f64) -> Vec<f32> {
    let mut out = vec![0.0; 2 * (secs * f64::from(rate)).round() as usize];
    engine.fill(&mut out);
    assert!(out.iter().all(|x| x.is_finite() && x.abs() <= CEILING));
    out.chunks(2).map(|pair| pair[0]).collect()
}

pub fn rms(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// The amplitude of one frequency (Goertzel's sum, written plainly).
pub fn amplitude(samples: &[f32], rate: u32, hertz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, x) in samples.iter().enumerate() {
        let phase = std::f64::consts::TAU * hertz * n as f64 / f64::from(rate);
        re += f64::from(*x) * phase.cos();
        im += f64::from(*x) * phase.sin();
    }
    2.0 * re.hypot(im) / samples.len() as f64
}
