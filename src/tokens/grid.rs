//! What frames are slices of: seconds, or notes of the bar.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the frames of a piece are counted in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// Real time: so many frames a second as the plan's rate says, whatever the tempo.
    #[default]
    Seconds,
    /// Musical time: so many frames to a quarter note, whatever the tempo. For music whose tempo
    /// map can be trusted; the plan's rate is then only how fast frames are played.
    Beats(StepsPerQuarter),
}

impl Grid {
    /// Frames to a quarter note; `None` in real time.
    pub fn steps_per_quarter(self) -> Option<StepsPerQuarter> {
        match self {
            Self::Seconds => None,
            Self::Beats(steps) => Some(steps),
        }
    }
}

/// Frames to a quarter note: one of [`StepsPerQuarter::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct StepsPerQuarter(u8);

impl StepsPerQuarter {
    /// All divide 48, in which positions in the bar are counted, and 480, the ticks of a quarter
    /// in scores made here.
    pub const ALL: [Self; 9] =
        [Self(1), Self(2), Self(3), Self(4), Self(6), Self(8), Self(12), Self(16), Self(24)];
    pub const SIXTEENTHS: Self = Self(4);

    /// `None` for a number that isn't in [`StepsPerQuarter::ALL`].
    pub fn new(steps: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.0 == steps)
    }

    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for StepsPerQuarter {
    type Error = &'static str;

    fn try_from(steps: u8) -> Result<Self, Self::Error> {
        Self::new(steps).ok_or("a quarter note has 1, 2, 3, 4, 6, 8, 12, 16 or 24 frames")
    }
}

impl From<StepsPerQuarter> for u8 {
    fn from(steps: StepsPerQuarter) -> Self {
        steps.0
    }
}

/// Names of the note values that have one.
const NAMES: [(&str, u8); 6] = [
    ("quarter", 1),
    ("eighth", 2),
    ("eighth-triplet", 3),
    ("sixteenth", 4),
    ("sixteenth-triplet", 6),
    ("thirty-second", 8),
];

/// What [`FromStr`] reads.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(steps) = self.steps_per_quarter() else { return f.write_str("seconds") };
        match NAMES.iter().find(|(_, known)| *known == steps.get()) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", steps.get()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "“{0}” is no grid — write seconds, quarter, eighth, eighth-triplet, sixteenth, \
     sixteenth-triplet, thirty-second, or frames to a quarter: 1, 2, 3, 4, 6, 8, 12, 16 or 24"
)]
pub struct ParseGridError(String);

/// Reads `seconds`, the name of a note value, or the number of frames to a quarter.
impl FromStr for Grid {
    type Err = ParseGridError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim().to_ascii_lowercase();
        if word == "seconds" {
            return Ok(Self::Seconds);
        }
        let named = NAMES.iter().find(|(name, _)| *name == word).map(|(_, steps)| *steps);
        let steps = named.or_else(|| word.parse().ok()).and_then(StepsPerQuarter::new);
        steps.map(Self::Beats).ok_or_else(|| ParseGridError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_reads_back_as_it_is_written() {
        let beats = StepsPerQuarter::ALL.map(Grid::Beats);
        for grid in beats.into_iter().chain([Grid::Seconds]) {
            assert_eq!(grid.to_string().parse(), Ok(grid));
            let json = serde_json::to_string(&grid).unwrap();
            assert_eq!(serde_json::from_str::<Grid>(&json).unwrap(), grid);
        }
        for text in ["", "5", "0", "bars", "-1", "300"] {
            assert!(text.parse::<Grid>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Grid>(r#"{"beats": 5}"#).is_err());
    }
}
