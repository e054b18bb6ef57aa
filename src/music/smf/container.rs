//! The outside of a MIDI file: the RIFF wrapper, the header and where each track begins and ends.
//!
//! midly's own reader of these is not used: it stops at the first wrong length, and its header
//! overflows on a division of 0x80xx. No length stated by a file is trusted or allocated; every
//! track is a slice of the bytes that are really there.

use std::cell::LazyCell;

use super::problem::{ImportError, ImportWarning, Warnings};
use crate::music::{TempoMap, TicksPerQuarter};

/// How the tracks of a file belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrangement {
    /// Formats 0 and 1.
    Together,
    /// Format 2: independent sequences.
    OneAfterTheOther,
}

/// What a tick is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timing {
    /// The file's tempo events count.
    Musical(TicksPerQuarter),
    /// SMPTE: ticks are fractions of a second and tempo events mean nothing. Stated as the tempo
    /// at which a tick is exactly that long.
    Clock { ticks_per_quarter: TicksPerQuarter, micros_per_quarter: u32 },
}

impl Timing {
    pub fn ticks_per_quarter(self) -> TicksPerQuarter {
        match self {
            Self::Musical(ticks_per_quarter) | Self::Clock { ticks_per_quarter, .. } => {
                ticks_per_quarter
            }
        }
    }

    /// The tempo before any tempo event.
    pub fn initial_micros(self) -> u32 {
        match self {
            Self::Musical(_) => TempoMap::DEFAULT_MICROS,
            Self::Clock { micros_per_quarter, .. } => micros_per_quarter,
        }
    }
}

/// A file taken apart, before its events are read.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub arrangement: Arrangement,
    pub timing: Timing,
    pub tracks: Vec<&'a [u8]>,
}

const CHUNK_HEAD: usize = 8;

impl<'a> Container<'a> {
    pub fn read(bytes: &'a [u8], warnings: &mut Warnings) -> Result<Self, ImportError> {
        let bytes = unwrap_riff(bytes, warnings)?;
        let (header, rest) = split_header(bytes)?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (format, n_stated) = (number(0), usize::from(number(2)));
        let timing = timing_from_division(number(4), warnings);
        if format > 2 {
            warnings.push(ImportWarning::Format(format));
        }
        let tracks = split_tracks(rest, warnings);
        if tracks.is_empty() {
            return Err(ImportError::NoTracks);
        }
        if format == 0 && tracks.len() > 1 {
            warnings.push(ImportWarning::SeveralTracksInFormat0(tracks.len()));
        } else if tracks.len() != n_stated {
            warnings.push(ImportWarning::TrackCount { stated: n_stated, found: tracks.len() });
        }
        let arrangement =
            if format == 2 { Arrangement::OneAfterTheOther } else { Arrangement::Together };
        Ok(Self { arrangement, timing, tracks })
    }
}

/// The six bytes of the header that mean something, and what follows the header.
fn split_header(bytes: &[u8]) -> Result<(&[u8], &[u8]), ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty);
    }
    if !bytes.starts_with(b"MThd") {
        return Err(not_midi(bytes));
    }
    let length = u32_at(bytes, 4).ok_or(ImportError::HeaderCut)?;
    let body = &bytes[CHUNK_HEAD..];
    // Six bytes are the rule; the specification lets a later version append to them.
    if !(6..=255).contains(&length) {
        return Err(ImportError::HeaderLength(length));
    }
    let length = length as usize;
    if body.len() < length {
        return Err(ImportError::HeaderCut);
    }
    Ok((&body[..6], &body[length..]))
}

fn timing_from_division(division: u16, warnings: &mut Warnings) -> Timing {
    let [high, low] = division.to_be_bytes();
    if division == 0 {
        warnings.push(ImportWarning::DivisionZero);
        return Timing::Musical(TicksPerQuarter::DEFAULT);
    }
    if let Some(ticks_per_quarter) = TicksPerQuarter::new(division) {
        return Timing::Musical(ticks_per_quarter);
    }
    // The high byte is the negated number of frames in a second.
    let frames = match high.wrapping_neg() {
        rate @ (24 | 25 | 29 | 30) => rate,
        rate => {
            warnings.push(ImportWarning::TimeCodeRate(rate));
            25
        }
    };
    let per_frame = if low == 0 {
        warnings.push(ImportWarning::TimeCodeTicks);
        40
    } else {
        u16::from(low)
    };
    // 29 stands for drop frame: 30 frames in 1.001 seconds. A "quarter" is then one second, or
    // 1.001, so that every tick is exactly as long as stated.
    let (per_quarter, micros_per_quarter) = match frames {
        29 => (30, 1_001_000),
        rate => (u16::from(rate), 1_000_000),
    };
    // At most 30 × 255.
    let ticks_per_quarter =
        TicksPerQuarter::new(per_quarter * per_frame).unwrap_or(TicksPerQuarter::DEFAULT);
    Timing::Clock { ticks_per_quarter, micros_per_quarter }
}

/// The MIDI file inside an RMID file; anything else as it is.
fn unwrap_riff<'a>(bytes: &'a [u8], warnings: &mut Warnings) -> Result<&'a [u8], ImportError> {
    if !bytes.starts_with(b"RIFF") {
        return Ok(bytes);
    }
    if bytes.get(8..12) != Some(b"RMID") {
        return Err(not_midi(bytes));
    }
    let little = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes([field[0], field[1], field[2], field[3]]) as usize)
    };
    if little(4).is_none_or(|length| length < 4 || length > bytes.len() - CHUNK_HEAD) {
        warnings.push(ImportWarning::RiffLength);
    }
    let mut at = 12;
    while let (Some(id), Some(length)) = (bytes.get(at..at + 4), little(at + 4)) {
        let body = &bytes[at + CHUNK_HEAD..];
        if id == b"data" {
            return Ok(&body[..length.min(body.len())]);
        }
        // Chunks are padded to an even length.
        at = at.saturating_add(CHUNK_HEAD).saturating_add(length).saturating_add(length % 2);
    }
    // The chunks can't be followed: look for the header itself.
    let start = find(bytes, b"MThd").ok_or(ImportError::HeaderCut)?;
    Ok(&bytes[start..])
}

/// The most tracks a header can state.
const MAX_TRACKS: usize = u16::MAX as usize;

/// Cuts what follows the header into tracks. Chunks of other kinds are skipped silently, as the
/// specification asks; wrong lengths are mended by looking for the next track.
fn split_tracks<'a>(bytes: &'a [u8], warnings: &mut Warnings) -> Vec<&'a [u8]> {
    let mut tracks = Vec::new();
    let (mut at, mut n_stray) = (0, 0);
    let marks = LazyCell::new(|| Marks::new(bytes));
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"MTrk") && rest.len() >= CHUNK_HEAD && tracks.len() < MAX_TRACKS {
            let start = at + CHUNK_HEAD;
            let (end, trouble) = track_end(bytes, start, tracks.len() + 1, &marks);
            if let Some(warning) = trouble {
                warnings.push(warning);
            }
            tracks.push(&bytes[start..end]);
            at = end;
        } else if let Some(length) = alien_chunk(rest) {
            at += length;
        } else {
            // One byte on at least, since this place is no track with a whole head.
            let next = if tracks.len() < MAX_TRACKS { marks.track_from(at + 1) } else { None };
            let next = next.unwrap_or(bytes.len());
            n_stray += next - at;
            at = next;
        }
    }
    warnings.push_counted(n_stray, |n_bytes| ImportWarning::StrayBytes { n_bytes });
    tracks
}

const END_OF_TRACK: &[u8] = &[0xff, 0x2f, 0x00];

/// Where a track whose head is just before `start` really ends.
fn track_end(
    bytes: &[u8],
    start: usize,
    track: usize,
    marks: &Marks,
) -> (usize, Option<ImportWarning>) {
    let stated = u32_at(bytes, start - 4).unwrap_or_default() as usize;
    let stated_end = start.checked_add(stated).filter(|end| *end <= bytes.len());
    if let Some(end) = stated_end {
        let after = &bytes[end..];
        let believable = after.is_empty()
            || after.starts_with(b"MTrk")
            || bytes[start..end].ends_with(END_OF_TRACK)
            || alien_chunk(after).is_some();
        if believable {
            return (end, None);
        }
    }
    let wrong_length = Some(ImportWarning::TrackLength { track });
    match (marks.ended_track_from(start + END_OF_TRACK.len()), stated_end) {
        (Some(next), _) => (next, wrong_length),
        (None, Some(end)) => (marks.track_from(end).unwrap_or(bytes.len()), wrong_length),
        // The usual way for a file to be cut short.
        (None, None) => (bytes.len(), Some(ImportWarning::TrackCut { track })),
    }
}

/// Where tracks seem to begin, found once however many lengths are wrong.
struct Marks {
    tracks: Vec<usize>,
    /// Those that stand right after an end of track.
    after_an_end: Vec<usize>,
}

impl Marks {
    fn new(bytes: &[u8]) -> Self {
        let windows = bytes.windows(4).enumerate();
        let tracks: Vec<usize> =
            windows.filter(|(_, window)| *window == b"MTrk").map(|(at, _)| at).collect();
        let after_an_end =
            tracks.iter().copied().filter(|at| bytes[..*at].ends_with(END_OF_TRACK)).collect();
        Self { tracks, after_an_end }
    }

    fn track_from(&self, at: usize) -> Option<usize> {
        self.tracks.get(self.tracks.partition_point(|mark| *mark < at)).copied()
    }

    fn ended_track_from(&self, at: usize) -> Option<usize> {
        self.after_an_end.get(self.after_an_end.partition_point(|mark| *mark < at)).copied()
    }
}

/// The length of a chunk of some other kind, its head included, if this is the start of a whole
/// one: a name of four printable characters and a length that the file really has.
fn alien_chunk(rest: &[u8]) -> Option<usize> {
    let id = rest.get(..4)?;
    let length = u32_at(rest, 4)? as usize;
    let printable = id.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let fits = length <= rest.len() - CHUNK_HEAD;
    (printable && fits && id != b"MTrk").then_some(CHUNK_HEAD + length)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// Says what the bytes look like, since most of these are another file by mistake.
fn not_midi(bytes: &[u8]) -> ImportError {
    if bytes.starts_with(b"SMF2CLIP") {
        return ImportError::MidiTwo;
    }
    let start = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
    let looks_like = if bytes.starts_with(b"MT") && b"MThd".starts_with(bytes) {
        return ImportError::HeaderCut;
    } else if bytes.starts_with(b"MTrk") {
        "a MIDI file without its header"
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        "a gzip archive: unpack it first"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "a zip archive: unpack it first"
    } else if bytes.starts_with(b"\x89PNG") || bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        "a picture"
    } else if bytes.starts_with(b"RIFF") || bytes.starts_with(b"ID3") || bytes.starts_with(b"fLaC")
    {
        "a sound recording"
    } else if text.starts_with("version https://git-lfs") {
        "a Git LFS pointer: fetch the file itself"
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        "a web page"
    } else if text.starts_with("<?xml") {
        "an XML file, perhaps MusicXML: export it as MIDI first"
    } else if start.iter().all(|byte| *byte == 0) {
        "a file of zeros"
    } else if std::str::from_utf8(start).is_ok() {
        "text"
    } else {
        "something else"
    };
    ImportError::NotMidi { looks_like }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> (Vec<usize>, Vec<ImportWarning>) {
        let mut warnings = Warnings::default();
        let lengths = split_tracks(bytes, &mut warnings).iter().map(|track| track.len()).collect();
        (lengths, warnings.into_vec())
    }

    #[test]
    fn alien_chunks_are_skipped_and_stray_bytes_counted() {
        let bytes =
            b"XFIH\0\0\0\x02abMTrk\0\0\0\x04\0\xff\x2f\0\x07\x08MTrk\0\0\0\x04\0\xff\x2f\0!";
        assert_eq!(check(bytes), (vec![4, 4], vec![ImportWarning::StrayBytes { n_bytes: 3 }]));
    }

    #[test]
    fn a_length_too_long_doesnt_swallow_the_next_track() {
        let bytes = b"MTrk\0\0\xff\xff\0\xff\x2f\0MTrk\0\0\0\x04\0\xff\x2f\0";
        assert_eq!(check(bytes), (vec![4, 4], vec![ImportWarning::TrackLength { track: 1 }]));
    }

    #[test]
    fn every_division_gives_a_usable_timing() {
        for division in 0..=u16::MAX {
            let timing = timing_from_division(division, &mut Warnings::default());
            assert!(timing.ticks_per_quarter().get() > 0 && timing.initial_micros() > 0);
        }
    }
}
