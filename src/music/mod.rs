//! What a piece is: pitches, notes, scores, time, and Standard MIDI Files.
//!
//! Musical time is counted in integer [`Tick`]s, never in floating beats. Only this room names
//! midly.

mod bars;
mod extra;
mod key;
pub mod notation;
mod pitch;
mod score;
pub mod smf;
mod time;

pub use bars::{Bar, BarGrid};
pub use extra::{Extra, ExtraHome, ExtraMessage};
pub use key::{Key, Mode};
pub use pitch::{ParsePitchError, Pitch, Velocity};
pub use score::{Note, Part, PedalSpan, Score};
pub use time::{BarBeat, Meter, MeterChange, TempoChange, TempoMap, Tick, TicksPerQuarter};
