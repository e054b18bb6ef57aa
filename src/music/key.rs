//! The key of a piece, estimated from how long each pitch class sounds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Score;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Major,
    Minor,
}

/// A tonic and a mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Pitch class: 0 for C, 11 for B.
    pub tonic: u8,
    pub mode: Mode,
}

/// How well listeners found each pitch class, counted from the tonic, to fit a key (Krumhansl and
/// Kessler 1982, "Tracing the dynamic changes in perceived tonal organization in a spatial
/// representation of musical keys", Psychological Review 89).
const MAJOR: [f64; 12] = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88];
const MINOR: [f64; 12] = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17];

impl Key {
    /// The key whose profile correlates best with the sounding time of the pitch classes, drums
    /// left out. `None` if nothing sounds, or all classes sound alike.
    ///
    /// Limitations: one key for the whole piece, counted in ticks, so that a slow passage weighs
    /// no more than a fast one of as many beats.
    pub fn estimate(score: &Score) -> Option<Self> {
        let mut weights = [0.0; 12];
        for note in score.notes() {
            weights[usize::from(note.pitch.class())] += f64::from(note.length.0);
        }
        let keys =
            (0..12u8).flat_map(|tonic| [Mode::Major, Mode::Minor].map(|mode| Self { tonic, mode }));
        let fits = keys.filter_map(|key| Some((key, key.correlation(&weights)?)));
        fits.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(key, _)| key)
    }

    /// Pearson's correlation of the weights with this key's profile.
    fn correlation(self, weights: &[f64; 12]) -> Option<f64> {
        let profile = match self.mode {
            Mode::Major => MAJOR,
            Mode::Minor => MINOR,
        };
        let mean = |values: &[f64; 12]| values.iter().sum::<f64>() / 12.0;
        let (weight_mean, profile_mean) = (mean(weights), mean(&profile));
        let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
        for (class, weight) in weights.iter().enumerate() {
            let above = weight - weight_mean;
            let fitting = profile[(class + 12 - usize::from(self.tonic)) % 12] - profile_mean;
            both += above * fitting;
            one += above * above;
            other += fitting * fitting;
        }
        (one > 0.0).then(|| both / (one * other).sqrt())
    }
}

/// `C minor`, `Ab major`: spelled as the keys usually are.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAJOR: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
        const MINOR: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"];
        let tonic = usize::from(self.tonic % 12);
        match self.mode {
            Mode::Major => write!(f, "{} major", MAJOR[tonic]),
            Mode::Minor => write!(f, "{} minor", MINOR[tonic]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Note, Pitch, TempoMap, Tick, Velocity};

    /// Quarters one after the other.
    fn melody(pitches: &[u8]) -> Score {
        let notes = pitches.iter().zip(0u32..).map(|(&pitch, idx)| Note {
            start: Tick(idx * 480),
            length: Tick(480),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        });
        Score::piano(TempoMap::default(), notes.collect())
    }

    #[test]
    fn scales_that_end_on_their_tonic_are_recognized_in_every_key() {
        for up in 0..12 {
            let major = [60, 64, 67, 65, 69, 67, 64, 62, 59, 60].map(|pitch| pitch + up);
            let minor = [60, 63, 67, 65, 68, 67, 63, 62, 59, 60].map(|pitch| pitch + up);
            let key = |pitches: &[u8]| Key::estimate(&melody(pitches)).unwrap();
            assert_eq!(key(&major), Key { tonic: up, mode: Mode::Major });
            assert_eq!(key(&minor), Key { tonic: up, mode: Mode::Minor });
        }
    }

    #[test]
    fn silence_and_all_classes_alike_have_no_key() {
        assert_eq!(Key::estimate(&melody(&[])), None);
        assert_eq!(
            Key::estimate(&melody(&std::array::from_fn::<u8, 12, _>(|i| 60 + i as u8))),
            None
        );
    }
}
