//! The structure of a SoundFont file, checked before any of it is believed.
//!
//! rustysynth trusts counts and indices, stops at information it doesn't know and doesn't skip
//! padding. So the file is walked here first: every chunk must lie inside the file, every table must
//! have whole records, and indices into tables must ascend, which bounds the memory that reading
//! takes by the size of the file. What rustysynth then reads is a clean file made from these parts
//! ([`stream`]).

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Why a file is not a usable SoundFont: the middle of a sentence for the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damage(pub &'static str);

/// Either the disk's fault or the file's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// Files above this size are refused (SoundFont sizes are 32 bits; sample positions 31).
pub(crate) const MAX_FILE_BYTES: u64 = 2 << 30;
/// The tables of the largest fonts take a few megabytes.
const MAX_TABLES_BYTES: u64 = 64 << 20;
/// The tables rustysynth reads, with the size of a record.
const TABLES: [(&[u8; 4], usize); 7] = [
    (b"phdr", 38),
    (b"pbag", 4),
    (b"pgen", 4),
    (b"inst", 22),
    (b"ibag", 4),
    (b"igen", 4),
    (b"shdr", SampleHeader::BYTES),
];
/// The place of `shdr` in [`TABLES`].
const SHDR: usize = 6;
/// Zeros after the last sample, as the format asks for: interpolation reads past the end.
pub(crate) const PADDING_SAMPLES: usize = 46;

/// What is in a font file, and where.
#[derive(Debug)]
pub(crate) struct FontLayout {
    /// The font's own name; may be empty.
    pub name: String,
    pub major_version: u16,
    /// Where the samples lie in the file, in bytes.
    pub samples_at: u64,
    pub samples_bytes: u64,
    /// In the order of [`TABLES`], terminators included, except the sample headers.
    tables: [Vec<u8>; 6],
    pub headers: Vec<SampleHeader>,
}

/// One sample: where it is and how it is played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SampleHeader {
    name: [u8; 20],
    /// In samples; of a compressed sample in bytes.
    pub start: u32,
    pub end: u32,
    /// In samples from the beginning of all; of a compressed sample from its own start.
    pub loop_start: u32,
    pub loop_end: u32,
    sample_rate: u32,
    key: u8,
    cents: u8,
    link: u16,
    pub kind: u16,
}

impl SampleHeader {
    const BYTES: usize = 46;
    /// The sample is an Ogg Vorbis stream (SF3).
    pub(crate) const COMPRESSED: u16 = 0x10;

    fn from_bytes(bytes: &[u8]) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|idx| bytes[at + idx]));
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            name: std::array::from_fn(|idx| bytes[idx]),
            start: u32_at(20),
            end: u32_at(24),
            loop_start: u32_at(28),
            loop_end: u32_at(32),
            sample_rate: u32_at(36),
            key: bytes[40],
            cents: bytes[41],
            link: u16_at(42),
            kind: u16_at(44),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.name);
        for number in [self.start, self.end, self.loop_start, self.loop_end, self.sample_rate] {
            out.extend(number.to_le_bytes());
        }
        out.extend([self.key, self.cents]);
        out.extend(self.link.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.kind & Self::COMPRESSED != 0
    }

    /// Brings positions into `n_samples` samples, and takes a loop away that isn't inside: equal
    /// loop points mean none.
    pub(crate) fn confine(&mut self, n_samples: u32) {
        self.start = self.start.min(n_samples);
        self.end = self.end.clamp(self.start, n_samples);
        if !(self.start <= self.loop_start
            && self.loop_start < self.loop_end
            && self.loop_end <= self.end)
        {
            (self.loop_start, self.loop_end) = (self.start, self.start);
        }
        if !(400..=400_000).contains(&self.sample_rate) {
            self.sample_rate = 44_100;
        }
    }
}

/// One chunk: its name and where its content lies.
struct Chunk {
    id: [u8; 4],
    at: u64,
    bytes: u64,
}

/// Walks through a file of `len` bytes and gathers everything but the samples.
pub(crate) fn scan(file: &mut (impl Read + Seek), len: u64) -> Result<FontLayout, ScanError> {
    if len > MAX_FILE_BYTES {
        return Err(Damage("it is larger than 2 GB").into());
    }
    let not_a_font = Damage("it isn't a SoundFont");
    if len < 12 || read_at(file, 0, 4)? != b"RIFF" || read_at(file, 8, 4)? != b"sfbk" {
        return Err(not_a_font.into());
    }
    let (mut info, mut samples, mut tables) = (None, None, None);
    for list in chunks(file, 12, len)? {
        if &list.id != b"LIST" || list.bytes < 4 {
            continue;
        }
        let kind = read_at(file, list.at, 4)?;
        let inner = || (list.at + 4, list.at + list.bytes);
        match kind.as_slice() {
            b"INFO" => info = Some(inner()),
            b"sdta" => samples = Some(inner()),
            b"pdta" => tables = Some(inner()),
            _ => {}
        }
    }
    let (from, to) = samples.ok_or(Damage("it has no samples"))?;
    let samples = chunks(file, from, to)?
        .into_iter()
        .find(|chunk| &chunk.id == b"smpl")
        .ok_or(Damage("it has no samples"))?;
    let tables = tables.ok_or(Damage("it has no instruments"))?;
    let (tables, headers) = read_tables(file, tables)?;
    let (name, major_version) = read_info(file, info)?;
    Ok(FontLayout {
        name,
        major_version,
        samples_at: samples.at,
        samples_bytes: samples.bytes,
        tables,
        headers,
    })
}

fn read_at(file: &mut (impl Read + Seek), at: u64, n_bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(n_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The chunks between two positions. A chunk of odd length is followed by a zero; some SF3 fonts
/// leave it out (MuseScore's own do), which shows because no chunk's name begins with a zero.
fn chunks(file: &mut (impl Read + Seek), from: u64, to: u64) -> Result<Vec<Chunk>, ScanError> {
    const MOST: usize = 10_000;
    let (mut list, mut at) = (Vec::new(), from);
    while at + 8 <= to {
        let head = read_at(file, at, 8)?;
        let Ok(head) = <[u8; 8]>::try_from(head) else {
            return Err(Damage("it ends too early").into());
        };
        let [a, b, c, d, size @ ..] = head;
        let bytes = u64::from(u32::from_le_bytes(size));
        at += 8;
        if at + bytes > to {
            return Err(Damage("it ends too early").into());
        }
        if list.len() == MOST {
            return Err(Damage("it has too many parts").into());
        }
        list.push(Chunk { id: [a, b, c, d], at, bytes });
        at += bytes;
        if bytes % 2 == 1 && read_at(file, at, 1)? == [0] {
            at += 1;
        }
    }
    Ok(list)
}

fn read_info(
    file: &mut (impl Read + Seek),
    span: Option<(u64, u64)>,
) -> Result<(String, u16), ScanError> {
    let Some((from, to)) = span else { return Ok((String::new(), 2)) };
    let (mut name, mut major_version) = (String::new(), 2);
    for chunk in chunks(file, from, to)? {
        match &chunk.id {
            b"INAM" => {
                let bytes = read_at(file, chunk.at, chunk.bytes.min(256))?;
                let text = String::from_utf8_lossy(&bytes);
                let text = text.split('\0').next().unwrap_or_default();
                name =
                    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned();
            }
            b"ifil" if chunk.bytes >= 2 => {
                let bytes = read_at(file, chunk.at, 2)?;
                major_version = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
            }
            _ => {}
        }
    }
    Ok((name, major_version))
}

type Tables = ([Vec<u8>; 6], Vec<SampleHeader>);

fn read_tables(file: &mut (impl Read + Seek), span: (u64, u64)) -> Result<Tables, ScanError> {
    if span.1 - span.0 > MAX_TABLES_BYTES {
        return Err(Damage("its tables are larger than 64 MB").into());
    }
    let list = chunks(file, span.0, span.1)?;
    let mut tables: Vec<Vec<u8>> = Vec::with_capacity(TABLES.len());
    for (id, record) in TABLES {
        let chunk = list.iter().find(|chunk| &chunk.id == id);
        let chunk = chunk.ok_or(Damage("one of its tables is missing"))?;
        let bytes = read_at(file, chunk.at, chunk.bytes)?;
        if bytes.len() as u64 != chunk.bytes {
            return Err(Damage("it ends too early").into());
        }
        if bytes.len() < 2 * record && record != 4 || bytes.is_empty() || bytes.len() % record != 0
        {
            return Err(Damage("one of its tables is damaged").into());
        }
        tables.push(bytes);
    }
    let shdr = tables.remove(SHDR);
    let headers = shdr.chunks_exact(SampleHeader::BYTES).map(SampleHeader::from_bytes).collect();
    let tables: [Vec<u8>; 6] =
        tables.try_into().map_err(|_| Damage("one of its tables is missing"))?;
    let [phdr, pbag, pgen, inst, ibag, igen] = &tables;
    check_indices(phdr, (38, 24), pbag)?;
    check_indices(pbag, (4, 0), pgen)?;
    check_indices(inst, (22, 20), ibag)?;
    check_indices(ibag, (4, 0), igen)?;
    Ok((tables, headers))
}

/// Indices at an offset of each record must ascend and stay inside the table they point into (all
/// of these have records of four bytes).
fn check_indices(
    table: &[u8],
    (record, offset): (usize, usize),
    into: &[u8],
) -> Result<(), Damage> {
    let n_records = into.len() / 4;
    let mut before = 0;
    for record in table.chunks_exact(record) {
        let index = usize::from(u16::from_le_bytes([record[offset], record[offset + 1]]));
        if index < before || index >= n_records.max(1) {
            return Err(Damage("one of its tables is damaged"));
        }
        before = index;
    }
    Ok(())
}

/// A clean SF2 file made of a layout and its samples (16 bits, little-endian).
pub(crate) fn stream<S: Read>(
    layout: &FontLayout,
    headers: &[SampleHeader],
    samples: S,
    samples_bytes: u64,
) -> Result<impl Read + use<S>, Damage> {
    let padding = 2 * PADDING_SAMPLES as u64;
    let n_bytes = u32::try_from(samples_bytes + padding)
        .map_err(|_| Damage("its samples take more than 4 GB"))?;
    let mut front = Vec::new();
    front.extend(b"RIFF\0\0\0\0sfbkLIST");
    front.extend(16u32.to_le_bytes());
    front.extend(b"INFOifil");
    front.extend([4, 0, 0, 0, 2, 0, 1, 0]);
    front.extend(b"LIST");
    front.extend((n_bytes.saturating_add(12)).to_le_bytes());
    front.extend(b"sdtasmpl");
    front.extend(n_bytes.to_le_bytes());

    let mut shdr = Vec::with_capacity(headers.len() * SampleHeader::BYTES);
    headers.iter().for_each(|header| header.write(&mut shdr));
    let tables = layout.tables.iter().chain([&shdr]);
    let n_bytes: usize = tables.clone().map(|table| 8 + table.len()).sum();
    let mut back = Vec::with_capacity(n_bytes + 12);
    back.extend(b"LIST");
    // At most a little more than `MAX_TABLES_BYTES`.
    back.extend((n_bytes as u32 + 4).to_le_bytes());
    back.extend(b"pdta");
    for ((id, _), table) in TABLES.iter().zip(tables) {
        back.extend(*id);
        back.extend((table.len() as u32).to_le_bytes());
        back.extend(table);
    }
    let samples = samples.take(samples_bytes).chain(io::repeat(0).take(padding));
    Ok(Cursor::new(front).chain(samples).chain(Cursor::new(back)))
}
