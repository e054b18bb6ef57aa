//! What can be wrong with a MIDI file, in words for its owner.
//!
//! A *warning* is something that was tolerated: the score is there. An *error* means there is no
//! score. Neither holds the path: whoever reports them knows it and puts it in front.

use std::io;

/// Something wrong with a file that didn't stop it from being read. One plain sentence each.
/// Tracks are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportWarning {
    #[error("the RIFF wrapper states a wrong length — the MIDI data inside was read to its end")]
    RiffLength,
    #[error("the file says it is of format {0}, which doesn't exist — it was read as format 1")]
    Format(u16),
    #[error("the header announces {} but the file holds {found} — all of those were read", tracks(*stated))]
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
    #[error("{0} bytes between or after the tracks belong to nothing — they were skipped")]
    StrayBytes(usize),
    #[error("track {track} is damaged at byte {byte} — the {} before that {} kept", notes(*n_notes), if *n_notes == 1 { "was" } else { "were" })]
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
    #[error(
        "track {track} begins with {n_bytes} bytes that belong to no event — they were skipped"
    )]
    DataBeforeStatus { track: usize, n_bytes: usize },
    #[error(
        "track {track} holds messages that don't belong in a file ({n_messages} of them) — they were skipped"
    )]
    SystemMessages { track: usize, n_messages: usize },
    #[error(
        "track {track} holds meta events of unknown numbers ({n_events} of them) — they were skipped"
    )]
    UnknownMeta { track: usize, n_events: usize },
    #[error(
        "the file lasts longer than can be counted — what comes after tick {limit} was moved there"
    )]
    TimeOverflow { limit: u32 },
    #[error(
        "{n_events} tempo changes ask for no tempo at all — 120 quarters a minute were assumed"
    )]
    TempoZero { n_events: usize },
    #[error(
        "{n_events} tempo changes are faster than {limit} quarters a minute — that was taken instead"
    )]
    TempoTooFast { n_events: usize, limit: u32 },
    #[error("{n_events} tempo or time signature events have a wrong length — they were left out")]
    MetaLength { n_events: usize },
    #[error("{n_events} time signatures make no sense — 4/4 was assumed there")]
    Meter { n_events: usize },
    #[error("{} never let go — {} at the next one of that pitch or with the track", notes_are(*n_notes), if *n_notes == 1 { "it ends" } else { "they end" })]
    NeverLetGo { n_notes: usize },
    #[error("{} outside the 88 keys of a piano — kept as {}", notes_are(*n_notes), if *n_notes == 1 { "it is" } else { "they are" })]
    OutsidePiano { n_notes: usize },
    #[error("the file holds only percussion — there is nothing for a piano in it")]
    OnlyDrums,
    #[error(
        "the file has more than {limit} instruments — the others were put together with the last one"
    )]
    TooManyParts { limit: usize },
    #[error(
        "the file holds more controllers and texts than are kept — {n_events} of them were left out"
    )]
    TooManyExtras { n_events: usize },
    #[error("there are {n_more} more warnings of this kind")]
    More { n_more: usize },
}

/// Why a file can't be read. One line each: what failed, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the file can't be opened — {0}. Check its name and your permissions")]
    Io(#[source] io::Error),
    #[error(
        "this is a folder, not a MIDI file — choose a file in it, or give the folder where folders are read"
    )]
    Folder,
    #[error("this is neither a file nor a folder — choose a MIDI file")]
    NotAFile,
    #[error(
        "the file has {bytes} bytes, too many for a MIDI file — the limit is {limit} bytes. Choose another file"
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
    #[error("there is no note in this MIDI file — choose one with music in it")]
    NoNotes,
    #[error("this MIDI file is damaged beyond use — {0}. Copy it again from where it came")]
    Damaged(ImportWarning),
}

fn tracks(count: usize) -> String {
    if count == 1 { "1 track".to_owned() } else { format!("{count} tracks") }
}

fn notes(count: usize) -> String {
    match count {
        0 => "beginning".to_owned(),
        1 => "one note".to_owned(),
        _ => format!("{count} notes"),
    }
}

fn notes_are(count: usize) -> String {
    if count == 1 { "one note is".to_owned() } else { format!("{count} notes are") }
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
