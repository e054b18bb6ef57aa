//! Sets of pieces that are frames already, each with its own split: how the benchmarks of
//! polyphonic music are passed on.
//!
//! ```text
//! {"train": [piece, …], "valid": [piece, …], "test": [piece, …], anything else}
//! piece = [frame, …], frame = [MIDI pitch that sounds, …], [] is a rest
//! ```
//!
//! as JSON, gzipped or not: the layout in which the sets of Boulanger-Lewandowski et al. (ICML
//! 2012) and the JSB chorales are shared. A frame is one step of the set (an eighth, a quarter, a
//! sixteenth), not a stretch of time, and nothing is trimmed, since published figures count every
//! frame.

use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use sha2::{Digest, Sha256};

use super::frames::{MAX_FRAMES, Run};
use super::reading::read_bytes;
use super::{Chord, OwnPart};
use crate::music::Pitch;
use crate::music::smf::ImportError;

/// A set as its file has it.
#[derive(Clone, PartialEq, Debug)]
pub struct BenchmarkSet {
    /// The pieces to learn from, to choose by and to test on, in the order of [`OwnPart::ALL`];
    /// none of the three is empty, and no piece is.
    parts: [Vec<Vec<Chord>>; 3],
}

/// Why a file is no set. Each text goes on after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    #[error(transparent)]
    File(#[from] ImportError),
    #[error("it is no whole gzip file ({0}) — fetch it again")]
    Gzip(String),
    #[error(
        "unpacked it has more than {} MB, which no set of pieces has — choose another file",
        MAX_JSON_BYTES >> 20
    )]
    TooLarge,
    #[error("it is no JSON ({0}) — fetch it again, or choose another file")]
    NotJson(String),
    #[error(
        "it has no “{}” — a set lists its pieces to learn from, to choose by and to test on under \
         “train”, “valid” and “test”; what `etude tokenize` writes is for other programs to read",
        .0.name()
    )]
    NoPart(OwnPart),
    #[error("it is no set of frames ({0}) — mend it, or choose another file")]
    Wrong(String),
}

/// Largest text of a set; that of MuseData has 5 MB.
const MAX_JSON_BYTES: u64 = 128 << 20;

/// Longest text of an error, which may quote the file.
const MAX_ERROR_CHARS: usize = 200;

impl BenchmarkSet {
    /// The lowest and the highest pitch of a set: the keys of a piano.
    pub const PITCHES: std::ops::RangeInclusive<u8> = 21..=108;

    /// Whether a file says by its name that it is a set.
    pub fn is_named(path: &Path) -> bool {
        !stem(path).is_empty()
    }

    /// What a file holds.
    pub fn read(path: &Path) -> Result<Self, BenchmarkError> {
        Self::from_bytes(&read_bytes(path)?)
    }

    /// What a file's bytes hold, unpacked within bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BenchmarkError> {
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Self::from_json(bytes);
        }
        let mut json = Vec::new();
        MultiGzDecoder::new(bytes)
            .take(MAX_JSON_BYTES + 1)
            .read_to_end(&mut json)
            .map_err(|error| BenchmarkError::Gzip(error.to_string()))?;
        Self::from_json(&json)
    }

    fn from_json(json: &[u8]) -> Result<Self, BenchmarkError> {
        if json.len() as u64 > MAX_JSON_BYTES {
            return Err(BenchmarkError::TooLarge);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let parts = deserializer
            .deserialize_map(SetVisitor)
            .and_then(|parts| deserializer.end().map(|()| parts))
            .map_err(|error| in_words(&error))?;
        let [train, valid, test] = parts;
        let present = |part, pieces: Option<_>| pieces.ok_or(BenchmarkError::NoPart(part));
        let parts = [
            present(OwnPart::Train, train)?,
            present(OwnPart::Valid, valid)?,
            present(OwnPart::Test, test)?,
        ];
        Ok(Self { parts })
    }

    /// One chord a frame for each piece of a part, in the set's order.
    pub fn part(&self, part: OwnPart) -> &[Vec<Chord>] {
        &self.parts[part as usize]
    }

    /// How many notes a part has. Held keys aren't told from struck ones, so each time without a
    /// break that a pitch sounds is one.
    pub fn n_notes(&self, part: OwnPart) -> usize {
        self.part(part).iter().map(|frames| n_notes(frames)).sum()
    }

    /// All pieces: those to learn from, to choose by, to test on. `path` is the file's.
    pub(super) fn pieces<'a>(
        &'a self,
        path: &'a Path,
    ) -> impl Iterator<Item = BenchmarkPiece> + 'a {
        OwnPart::ALL.into_iter().flat_map(move |part| {
            let numbered = (1..).zip(self.part(part));
            numbered.map(move |(number, frames)| BenchmarkPiece::new(path, part, number, frames))
        })
    }
}

/// A piece of a set, ready for a corpus.
pub(super) struct BenchmarkPiece {
    pub part: OwnPart,
    pub path: PathBuf,
    pub sha256: [u8; 32],
    pub n_notes: usize,
    pub n_frames: usize,
    pub runs: Vec<Run>,
}

impl BenchmarkPiece {
    fn new(file: &Path, part: OwnPart, number: usize, frames: &[Chord]) -> Self {
        // Two pieces with the same frames stay two, since published means count both.
        let mut hasher = Sha256::new();
        hasher.update(format!("{} {number}\n", part.name()));
        frames.iter().for_each(|chord| hasher.update(chord.bits().to_le_bytes()));
        let same = frames.chunk_by(|a, b| a == b);
        let runs = same.map(|run| Run { chord: run[0], n_frames: run.len() as u32 });
        Self {
            part,
            path: file.join(format!("<{} {} {number}>", stem(file), part.name())),
            sha256: hasher.finalize().into(),
            n_notes: n_notes(frames),
            n_frames: frames.len(),
            runs: runs.collect(),
        }
    }
}

fn n_notes(frames: &[Chord]) -> usize {
    let before = std::iter::once(&Chord::REST).chain(frames);
    frames.iter().zip(before).map(|(chord, before)| chord.difference(*before).len()).sum()
}

/// The file that a piece was read from: for a piece of a set (`jsb.json.gz/<jsb test 12>`) the
/// set's, for any other the path itself.
pub fn file_of_piece(path: &Path) -> &Path {
    let is_in_angle_brackets =
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"<"));
    match path.parent() {
        Some(file) if is_in_angle_brackets && BenchmarkSet::is_named(file) => file,
        _ => path,
    }
}

/// `nottingham` for `sets/nottingham.json.gz`; empty where the name isn't that of a set.
fn stem(path: &Path) -> &str {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let without = |name: &'_ str, end: &str| {
        let at = name.len().checked_sub(end.len())?;
        let is_end = name.get(at..)?.eq_ignore_ascii_case(end);
        is_end.then_some(at)
    };
    let at = without(name, ".json.gz").or_else(|| without(name, ".json"));
    at.and_then(|at| name.get(..at)).unwrap_or_default()
}

/// What serde says, without the place where a value is wrong, since the text names its frame.
fn in_words(error: &serde_json::Error) -> BenchmarkError {
    let text = error.to_string();
    if !error.is_data() {
        return BenchmarkError::NotJson(text);
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    BenchmarkError::Wrong(shortened(text))
}

/// The beginning and the end of a text that may quote much of the file between them.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    match letters.len().checked_sub(MAX_ERROR_CHARS) {
        None | Some(0) => text.to_owned(),
        Some(n_extra) => {
            let (begin, rest) = letters.split_at(MAX_ERROR_CHARS / 4);
            begin.iter().chain(&['…']).chain(&rest[n_extra..]).collect()
        }
    }
}

/// Reads the whole object; what it holds besides the three parts is passed over.
struct SetVisitor;

impl<'de> Visitor<'de> for SetVisitor {
    type Value = [Option<Vec<Vec<Chord>>>; 3];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with “train”, “valid” and “test”")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = [None, None, None];
        let mut n_left = MAX_FRAMES as usize;
        while let Some(key) = map.next_key::<String>()? {
            let Some(part) = OwnPart::ALL.into_iter().find(|part| part.name() == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let pieces = map.next_value_seed(PartSeed { part, n_left: &mut n_left })?;
            if parts[part as usize].replace(pieces).is_some() {
                return Err(A::Error::custom(format!("“{key}” stands there twice")));
            }
        }
        Ok(parts)
    }
}

/// The pieces of a part.
struct PartSeed<'a> {
    part: OwnPart,
    /// Frames that still may come.
    n_left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for PartSeed<'_> {
    type Value = Vec<Vec<Chord>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PartSeed<'_> {
    type Value = Vec<Vec<Chord>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of pieces under “{}”", self.part.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Self { part, n_left } = self;
        let mut pieces = Vec::new();
        loop {
            let place = Place { part, piece: pieces.len() + 1, frame: 0 };
            match seq.next_element_seed(PieceSeed { place, n_left: &mut *n_left })? {
                Some(piece) => pieces.push(piece),
                None if pieces.is_empty() => {
                    return Err(A::Error::custom(format!("“{}” has no piece", part.name())));
                }
                None => return Ok(pieces),
            }
        }
    }
}

/// Where in a set something is, counted from 1.
#[derive(Clone, Copy)]
struct Place {
    part: OwnPart,
    piece: usize,
    frame: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frame > 0 {
            write!(f, "frame {} of ", self.frame)?;
        }
        write!(f, "piece {} of “{}”", self.piece, self.part.name())
    }
}

/// The frames of a piece.
struct PieceSeed<'a> {
    place: Place,
    n_left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for PieceSeed<'_> {
    type Value = Vec<Chord>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PieceSeed<'_> {
    type Value = Vec<Chord>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of frames as {}", self.place)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut frames = Vec::new();
        loop {
            let place = Place { frame: frames.len() + 1, ..self.place };
            match seq.next_element_seed(FrameSeed(place))? {
                Some(chord) => frames.push(chord),
                None if frames.is_empty() => {
                    return Err(A::Error::custom(format!("{} has no frame", self.place)));
                }
                None => return Ok(frames),
            }
            let Some(n_left) = self.n_left.checked_sub(1) else {
                return Err(A::Error::custom(format!(
                    "the set has more than {MAX_FRAMES} frames, from {place} on"
                )));
            };
            *self.n_left = n_left;
        }
    }
}

/// The pitches of a frame, in any order; one that stands twice sounds once.
#[derive(Clone, Copy)]
struct FrameSeed(Place);

impl<'de> DeserializeSeed<'de> for FrameSeed {
    type Value = Chord;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Chord, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FrameSeed {
    type Value = Chord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of pitches as {}", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Chord, A::Error> {
        let mut chord = Chord::REST;
        while let Some(pitch) = seq.next_element_seed(PitchSeed(self.0))? {
            chord.insert(pitch);
        }
        Ok(chord)
    }
}

struct PitchSeed(Place);

impl<'de> DeserializeSeed<'de> for PitchSeed {
    type Value = Pitch;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Pitch, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for PitchSeed {
    type Value = Pitch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lowest, highest) = (BenchmarkSet::PITCHES.start(), BenchmarkSet::PITCHES.end());
        write!(f, "a pitch from {lowest} to {highest} in {}", self.0)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Pitch, E> {
        let key = u8::try_from(number).ok().filter(|key| BenchmarkSet::PITCHES.contains(key));
        let pitch = key.and_then(Pitch::new);
        pitch.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Pitch, E> {
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }
}
