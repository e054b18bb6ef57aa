//! What a piece is: pitches, notes, scores, time, and how it is written down.
//!
//! ```text
//! pitch     keys and velocities            smf/       Standard MIDI Files, read and written
//! time      ticks, tempo, meter            notation/  pieces as text that a person can read
//! score     a piece: notes, parts, pedal   key        which key a piece is in
//! bars      where its bars are             scale      which pitches belong together
//! extra     what a file says besides       harmony    the names of its chords
//! instruments  what programs are called
//! ```
//!
//! Musical time is counted in integer [`Tick`]s, never in floating beats. Only this room names
//! midly.

mod bars;
mod extra;
mod harmony;
mod instruments;
mod key;
pub mod notation;
mod pitch;
mod scale;
mod score;
pub mod smf;
mod time;

pub use bars::{Bar, BarGrid};
pub use extra::{Extra, ExtraHome, ExtraMessage};
pub use harmony::{HarmonicRhythm, Harmony, HarmonySpan, MAX_HARMONY_SPANS, Quality, harmonies};
pub use instruments::INSTRUMENTS;
pub use key::{Key, Mode};
pub use pitch::{ParsePitchError, Pitch, Velocity};
pub use scale::{KeyScale, Scale, Spelling};
pub use score::{Note, Part, PedalSpan, Score, Track};
pub(crate) use score::{joined_spans, order, shape};
pub use time::{
    BarBeat, Meter, MeterChange, TempoChange, TempoCursor, TempoMap, Tick, TicksPerQuarter,
};
