//! What a piece is: pitches, notes, scores, time, and how it is written down.
//!
//! ```text
//! pitch     keys and velocities            smf/       Standard MIDI Files, read and written
//! time      ticks, tempo, meter            notation/  pieces as text that a person can read
//! score     a piece: notes, parts, pedal   key        which key a piece is in
//! bars      where its bars are             extra      what a file says besides
//! ```
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
