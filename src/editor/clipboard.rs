//! Notes as text, so that they go through the system's clipboard and come back.

use serde::{Deserialize, Serialize};

use crate::music::{Note, Score, Tick, TicksPerQuarter};

use super::{Selection, damage};

/// Notes that were copied: pitches as they are, times from the first of them on.
#[derive(Clone, PartialEq, Debug)]
pub struct Clipboard {
    ticks_per_quarter: TicksPerQuarter,
    /// Not empty; in order; none lasts no time or ends after the last tick.
    notes: Vec<Note>,
}

/// Why a text can't be pasted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClipboardError {
    #[error(
        "What is in the clipboard can't be pasted — it isn't notes. Copy notes in the piano roll first"
    )]
    Foreign,
    #[error(
        "What is in the clipboard can't be pasted — a newer Etude copied it (format {0}). Update Etude, or copy again here"
    )]
    Newer(u64),
    #[error("What is in the clipboard can't be pasted — {0}. Copy the notes again")]
    Damaged(String),
    #[error(
        "What is in the clipboard can't be pasted — it is larger than {} MB. Copy fewer notes",
        Clipboard::MAX_BYTES >> 20
    )]
    TooLarge,
}

/// How it is written. The name of the first field says whose it is.
#[derive(Serialize, Deserialize)]
struct Text {
    etude_notes: u64,
    ticks_per_quarter: u16,
    notes: Vec<Note>,
}

/// Enough of a text to tell whose it is.
#[derive(Deserialize)]
struct Head {
    etude_notes: u64,
}

impl Clipboard {
    /// What is written here, and the newest that is read.
    const FORMAT_VERSION: u64 = 1;

    /// The longest text that is read.
    pub const MAX_BYTES: usize = 128 << 20;

    /// The selected notes; `None` when none are.
    pub fn copy(score: &Score, selection: &Selection) -> Option<Self> {
        let notes: Vec<Note> = selection.notes(score).copied().collect();
        let origin = notes.first()?.start;
        let from_origin = |note: Note| Note { start: note.start.saturating_sub(origin), ..note };
        Some(Self {
            ticks_per_quarter: score.tempo_map.ticks_per_quarter(),
            notes: notes.into_iter().map(from_origin).collect(),
        })
    }

    /// How many notes it holds; never 0.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// The notes in the ticks of a score, the first one at 0; ascending. What ends after the
    /// last tick there is in finer ticks is cut short or left out.
    pub(super) fn notes_in(&self, ticks_per_quarter: TicksPerQuarter) -> Vec<Note> {
        let (from, to) = (self.ticks_per_quarter.get(), ticks_per_quarter.get());
        let scaled = |tick: Tick| {
            let ticks = (u64::from(tick.0) * u64::from(to) + u64::from(from / 2)) / u64::from(from);
            Tick(u32::try_from(ticks).unwrap_or(u32::MAX))
        };
        let note = |note: &Note| {
            let start = scaled(note.start);
            let length = scaled(note.end()).saturating_sub(start).0.max(1);
            let length = length.min(u32::MAX - start.0);
            (length > 0).then_some(Note { start, length: Tick(length), ..*note })
        };
        self.notes.iter().filter_map(note).collect()
    }

    /// As text, for the system's clipboard.
    pub fn to_text(&self) -> String {
        let text = Text {
            etude_notes: Self::FORMAT_VERSION,
            ticks_per_quarter: u16::try_from(self.ticks_per_quarter.get()).unwrap_or(u16::MAX),
            notes: self.notes.clone(),
        };
        serde_json::to_string(&text).expect("numbers in lists are always JSON")
    }

    /// From text that anyone may have put into the clipboard.
    ///
    /// # Errors
    /// In words for the user, when it isn't notes, is damaged, too large or of a newer version.
    pub fn from_text(text: &str) -> Result<Self, ClipboardError> {
        if text.len() > Self::MAX_BYTES {
            return Err(ClipboardError::TooLarge);
        }
        if !text.trim_start().starts_with('{') || !text.contains("\"etude_notes\"") {
            return Err(ClipboardError::Foreign);
        }
        let damaged = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            let reason = damage::in_words(&error);
            ClipboardError::Damaged(format!("at line {line}, column {column}: {reason}"))
        };
        let newer = |version: &u64| *version > Self::FORMAT_VERSION;
        let text: Text = serde_json::from_str(text).map_err(|error| {
            // What a newer Etude writes may look otherwise.
            let version = serde_json::from_str(text).ok().map(|head: Head| head.etude_notes);
            version.filter(newer).map_or_else(|| damaged(error), ClipboardError::Newer)
        })?;
        if newer(&text.etude_notes) {
            return Err(ClipboardError::Newer(text.etude_notes));
        }
        Self::checked(text).map_err(|reason| ClipboardError::Damaged(reason.to_owned()))
    }

    fn checked(text: Text) -> Result<Self, &'static str> {
        let Some(ticks_per_quarter) = TicksPerQuarter::new(text.ticks_per_quarter) else {
            return Err("a quarter note in it doesn't have 1 to 32,767 ticks");
        };
        let mut notes = text.notes;
        if notes.iter().any(|note| note.length == Tick::ZERO) {
            return Err("a note in it has no length");
        }
        if notes.iter().any(|note| note.start.0.checked_add(note.length.0).is_none()) {
            return Err("a note in it ends after the last tick there is");
        }
        notes.sort_by_key(crate::music::order);
        let Some(origin) = notes.first().map(|note| note.start) else {
            return Err("there is no note in it");
        };
        for note in &mut notes {
            note.start = note.start.saturating_sub(origin);
        }
        Ok(Self { ticks_per_quarter, notes })
    }
}
