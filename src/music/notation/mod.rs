//! Pieces as text that a person can read, review and write: the notation of `assets/pieces`.
//!
//! ```text
//! etude notation 1
//! title     Scale with a held bass
//! composer  Nobody
//! quarter   480
//! part rh 1 0 Right hand
//! part lh 2 0 Left hand
//!
//! bar 1  meter 3/4  tempo 96
//! rh       v80 C5:e D5 E5 F5 v96 G5:q
//! rh.2     r:q E4,C4:h
//! lh       C3:h.~
//! lh.pedal ped:h.
//!
//! bar 2  tempo 80 at q
//! rh       C6:q+s
//! lh       C3:q
//! ```
//!
//! - A line starts with a word; `#` at its beginning makes it a remark.
//! - **Header**: `title`, `composer`, `work`, `typesetter`, `source` (free text); `quarter`, the
//!   ticks in a quarter note (480 unless said); `spelling flats` writes black keys as flats;
//!   `part LABEL CHANNEL PROGRAM NAME` for each part, channels from 1 to 16, programs from 0.
//! - **Bars** are numbered and in order; empty ones may be left out. `meter 3/4` begins here,
//!   `length e` cuts this bar short (an upbeat), `tempo 96` is in quarters a minute (`600000us`
//!   in microseconds a quarter), `at q` puts it a quarter into the bar.
//! - **Voices**: each line is one voice of a part in one bar, read from its start. `C#4,E4:q` is
//!   a chord, `r:e` a rest; a duration stays until the next one in the line, a velocity (`v80`)
//!   until the next one in the voice (100 at first). A voice needn't fill its bar. `~` ties a
//!   note to the next of its voice. `drums` is the label of all percussion.
//! - **Durations**: `w h q e s t x` for whole to sixty-fourth, `.` dots, `/3` for triplets (`/5`,
//!   `/7`: so many in the time of four), a number for plain ticks, `+` adds.
//!
//! *Limitations*: controllers, texts and the rest of [`Score::extras`] have no place here.

mod duration;
mod parse;
mod print;

use super::{Score, TicksPerQuarter};

pub use parse::parse;
pub use print::print;

/// The ticks of a duration such as `q`, `e.`, `s/3`, `q+s` or `43`. `None` if it isn't one, or
/// isn't a whole number of ticks.
pub fn ticks_from_duration(text: &str, ticks_per_quarter: TicksPerQuarter) -> Option<u32> {
    duration::parse(text, ticks_per_quarter)
}

/// A piece with what is told about it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Piece {
    pub score: Score,
    pub composer: String,
    /// Opus or catalogue number.
    pub work: String,
    /// Who typed the notes in, and where.
    pub typesetter: String,
    /// What the notes were checked against.
    pub source: String,
    pub spelling: Spelling,
}

/// How black keys are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spelling {
    #[default]
    Sharps,
    Flats,
}

/// Why a text is no piece.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct NotationError {
    /// Counted from 1.
    pub line: usize,
    pub problem: NotationProblem,
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotationProblem {
    #[error("this isn't a piece in Etude's notation — its first line has to be “etude notation 1”")]
    NotNotation,
    #[error(
        "“{0}” means nothing here — a line starts with a header word, “bar” or the label of a part"
    )]
    UnknownWord(String),
    #[error("“{0}” is missing something — see the description of the notation")]
    Incomplete(String),
    #[error("“{0}” isn't a number that fits here")]
    Number(String),
    #[error("there are two parts called “{0}” — give each its own label")]
    PartTwice(String),
    #[error("a piece has 254 parts at most — join some")]
    TooManyParts,
    #[error("bar {0} is out of order — number the bars from 1 upwards")]
    BarOrder(u32),
    #[error("“{0}” isn't a meter — write for example 3/4, with 1 to 64 below")]
    Meter(String),
    #[error("a bar can't last longer than its meter — change the meter")]
    BarTooLong,
    #[error("“{0}” isn't a tempo — write quarters a minute, or microseconds a quarter as 600000us")]
    Tempo(String),
    #[error("this tempo comes after the end of its bar — write it in the bar it belongs to")]
    TempoOutside,
    #[error(
        "“{0}” isn't a duration that this piece's ticks can count — write for example q, e., s/3, q+s or 43"
    )]
    Duration(String),
    #[error("the first note or rest of a line needs a duration, such as C4:q")]
    NoDuration,
    #[error("{0}")]
    Pitch(#[from] super::ParsePitchError),
    #[error("“{0}” isn't a velocity — write v1 to v127")]
    Velocity(String),
    #[error(
        "this voice is longer than its bar — shorten it, or tie the last note into the next bar"
    )]
    VoiceTooLong,
    #[error("this voice was already written in this bar — number another one, such as {0}.2")]
    VoiceTwice(String),
    #[error("a pedal line holds only “ped” and rests")]
    NotPedal,
    #[error("the note tied in line {0} isn't taken up — repeat its pitches where it ends")]
    Tie(usize),
    #[error("the piece lasts longer than can be counted")]
    TooLong,
}
