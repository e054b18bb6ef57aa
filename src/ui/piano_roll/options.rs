//! What of the roll is shown and how: kept between starts, the same for every piece.

use serde::{Deserialize, Serialize};

use crate::music::{KeyScale, Tick};

/// Whether the view goes along with the playhead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follow {
    Off,
    /// Turns the page when the playhead leaves it.
    #[default]
    Page,
    /// The piece runs past a playhead that stands still.
    Smooth,
}

impl Follow {
    pub const ALL: [Self; 3] = [Self::Off, Self::Page, Self::Smooth];

    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "Stay where it is",
            Self::Page => "Turn the page",
            Self::Smooth => "Run along",
        }
    }
}

/// Which rows there are. A pitch that has notes always has a row: nothing written is ever hidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fold {
    #[default]
    AllPitches,
    /// The scale's, and those that are used besides.
    Scale,
    UsedPitches,
}

impl Fold {
    pub const ALL: [Self; 3] = [Self::AllPitches, Self::Scale, Self::UsedPitches];

    pub fn label(self) -> &'static str {
        match self {
            Self::AllPitches => "All pitches",
            Self::Scale => "Pitches of the scale",
            Self::UsedPitches => "Pitches that are used",
        }
    }
}

/// What the user likes to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RollOptions {
    pub follow: Follow,
    pub fold: Fold,
    /// Names of harmonies over the ruler.
    pub shows_chords: bool,
    pub shows_velocities: bool,
    pub shows_pedal: bool,
    /// How high the open lanes are, in points.
    pub velocity_height: u16,
    pub pedal_height: u16,
    /// Rows outside the scale are shaded and the tonic is marked.
    pub tints_scale: bool,
    /// Notes that are written or moved come to lie on pitches of the scale.
    pub snaps_to_scale: bool,
    /// Notes show their part by color instead of their velocity.
    pub colors_parts: bool,
}

impl Default for RollOptions {
    fn default() -> Self {
        Self {
            follow: Follow::default(),
            fold: Fold::default(),
            shows_chords: true,
            shows_velocities: true,
            shows_pedal: true,
            velocity_height: 64,
            pedal_height: 24,
            tints_scale: true,
            snaps_to_scale: false,
            colors_parts: false,
        }
    }
}

/// What the window knows of the piece besides the score.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct RollMarks {
    /// The part that is played again and again.
    pub loop_range: Option<(Tick, Tick)>,
    /// Whether it is.
    pub is_looping: bool,
    /// The keys that sound, a bit for each pitch.
    pub sounding: u128,
    /// The key that was set or estimated.
    pub key: Option<KeyScale>,
}
