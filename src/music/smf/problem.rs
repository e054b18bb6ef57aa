//! What can be wrong with a MIDI file, in words for its owner.
//!
//! A *warning* is something that was tolerated: the score is there. An *error* means there is no
//! score. Neither holds the path: whoever reports them knows it and puts it in front.

use std::io;

use crate::files::read_reason;

/// Something wrong with a file that didn't stop it from being read. One plain sentence each.
/// Tracks are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportWarning {
    #[error("the RIFF wrapper states a wrong length — the MIDI data inside was read to its end")]
    RiffLength,
    #[error("the file says it is of format {0}, which doesn't exist — it was read as format 1")]
    Format(u16),
    #[error("the header announces {} but the file holds {found} — all of those were read", counted(*stated, "track", "tracks"))]
    TrackCount { stated: usize, found: usize },
    #[error(
        "a file of format 0 should hold one track but this one holds {0} — they were read as sounding together"
    )]
    SeveralTracksInFormat0(usize),
    #[error(
        "the header gives 0 ticks to a quarter note — 480 were assumed, so the speed may be wrong"
    )]
    DivisionZero,
    #[error(
        "the header's time code runs at {0} frames a second, which doesn't exist — 25 were assumed, so the speed may be wrong"
    )]
    TimeCodeRate(u8),
    #[error(
        "the header's time code gives 0 ticks to a frame — 40 were assumed, so the speed may be wrong"
    )]
    TimeCodeTicks,
    #[error("track {track} ends before its stated length — what is there was read")]
    TrackCut { track: usize },
    #[error("track {track} states a wrong length — it was read to where it really ends")]
    TrackLength { track: usize },
    #[error("{} between or after the tracks — skipped", counted(*n_bytes, "stray byte", "stray bytes"))]
    StrayBytes { n_bytes: usize },
    #[error("track {track} can't be understood from byte {byte} on — {} before that kept", counted(*n_notes, "note", "notes"))]
    TrackDamaged { track: usize, byte: usize, n_notes: usize },
    #[error("track {track} has no end mark — its last event was taken for its end")]
    NoEndOfTrack { track: usize },
    #[error("track {track} goes on after its end mark — what follows the mark was left out")]
    EventsAfterEnd { track: usize },
    #[error(
        "track {track} has an end mark with data in it — it was taken for the end all the same"
    )]
    EndWithData { track: usize },
    #[error(
        "track {track} relies on a running status that a file must not carry that far — it was understood all the same"
    )]
    RunningStatus { track: usize },
    #[error("track {track} begins with {} of no event — skipped", counted(*n_bytes, "byte", "bytes"))]
    DataBeforeStatus { track: usize, n_bytes: usize },
    #[error("track {track} holds {} that a file must not have — skipped", counted(*n_messages, "system message", "system messages"))]
    SystemMessages { track: usize, n_messages: usize },
    #[error("track {track} holds {} of no known kind — skipped", counted(*n_events, "meta event", "meta events"))]
    UnknownMeta { track: usize, n_events: usize },
    #[error(
        "the file lasts longer than can be counted — what comes after tick {limit} was moved there"
    )]
    TimeOverflow { limit: u32 },
    #[error("{} no time at all — 120 quarters a minute assumed", counted(*n_events, "tempo change gives a quarter", "tempo changes give a quarter"))]
    TempoZero { n_events: usize },
    #[error("{} beyond {limit} quarters a minute — {limit} taken instead", counted(*n_events, "tempo change", "tempo changes"))]
    TempoTooFast { n_events: usize, limit: u32 },
    #[error("{} of a wrong length — left out", counted(*n_events, "tempo or time signature", "tempos or time signatures"))]
    MetaLength { n_events: usize },
    #[error("{} of no sense — 4/4 assumed", counted(*n_events, "time signature", "time signatures"))]
    Meter { n_events: usize },
    #[error("{} never let go — ended at the next one of the same pitch, or with the track", counted(*n_notes, "note", "notes"))]
    NeverLetGo { n_notes: usize },
    #[error("{} outside the 88 keys of a piano — kept", counted(*n_notes, "note", "notes"))]
    OutsidePiano { n_notes: usize },
    #[error("the file holds only percussion — there is nothing for a piano in it")]
    OnlyDrums,
    #[error(
        "the file has more than {limit} instruments — the others were put together with the last one"
    )]
    TooManyParts { limit: usize },
    #[error("the file holds more controllers and texts than are kept — {} left out", counted(*n_events, "event", "events"))]
    TooManyExtras { n_events: usize },
    #[error("{} in this file", counted(*n_more, "more warning", "more warnings"))]
    More { n_more: usize },
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// Why a file can't be read. One line each: what failed, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the file can't be opened — {}. Check its name and your permissions", read_reason(.0))]
    Io(#[source] io::Error),
    #[error("this is a folder, not a MIDI file — choose a file in it")]
    Folder,
    #[error("this is neither a file nor a folder — choose a MIDI file")]
    NotAFile,
    #[error(
        "the file has {bytes} bytes, too many for a MIDI file — the limit is {limit}. Choose another file"
    )]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the file is empty — choose another, or copy it again from where it came")]
    Empty,
    #[error("this is not a Standard MIDI File — it looks like {looks_like}. Choose a .mid file")]
    NotMidi { looks_like: &'static str },
    #[error(
        "this is a MIDI 2.0 clip file, not a Standard MIDI File 1.0 — export the music as a .mid file first"
    )]
    MidiTwo,
    #[error("the MIDI file breaks off in its header — copy it again from where it came")]
    HeaderCut,
    #[error(
        "the header of the MIDI file states a length of {0} bytes, which makes no sense — copy the file again from where it came"
    )]
    HeaderLength(u32),
    #[error(
        "there is no track in this MIDI file — it breaks off after its header or was saved empty. Choose another file"
    )]
    NoTracks,
    #[error("there are no notes in this MIDI file — choose one with music in it")]
    NoNotes,
    #[error("this MIDI file is damaged beyond use — {}. Copy it again from where it came", broken_at(.first))]
    Damaged {
        /// The first sign of damage.
        first: ImportWarning,
    },
}

/// Where a file that can't be used is damaged: a warning without what was done about it.
fn broken_at(warning: &ImportWarning) -> String {
    let text = warning.to_string();
    text.split(" — ").next().unwrap_or_default().to_owned()
}

/// Gathers warnings, and keeps a file of a thousand bad tracks from giving a thousand of them.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    list: Vec<ImportWarning>,
    n_more: usize,
}

impl Warnings {
    /// More than a person reads.
    const LIMIT: usize = 24;

    pub fn push(&mut self, warning: ImportWarning) {
        if self.list.len() < Self::LIMIT {
            self.list.push(warning);
        } else {
            self.n_more += 1;
        }
    }

    /// Pushes what `warning` makes of a count, unless it is zero.
    pub fn push_counted(&mut self, count: usize, warning: impl FnOnce(usize) -> ImportWarning) {
        if count > 0 {
            self.push(warning(count));
        }
    }

    /// The first that says bytes are missing or can't be understood.
    pub fn damage(&self) -> Option<&ImportWarning> {
        self.list.iter().find(|warning| {
            matches!(
                warning,
                ImportWarning::TrackDamaged { .. }
                    | ImportWarning::TrackCut { .. }
                    | ImportWarning::TrackLength { .. }
            )
        })
    }

    pub fn into_vec(mut self) -> Vec<ImportWarning> {
        if self.n_more > 0 {
            self.list.push(ImportWarning::More { n_more: self.n_more });
        }
        self.list
    }
}
