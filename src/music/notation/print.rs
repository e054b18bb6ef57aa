//! From a piece to its text.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::duration::DurationNames;
use super::parse::RESERVED;
use super::{Piece, Spelling};
use crate::music::{Bar, BarGrid, Note, Part, Pitch, Score, TempoChange, Tick, Velocity};

/// The text of a piece. [`parse`](super::parse) gives the piece back, without its extras.
///
/// The notes of a part are dealt out to as few voices as can hold them one after the other, the
/// highest to the first, since a score doesn't know voices.
pub fn print(piece: &Piece) -> String {
    let score = &piece.score;
    let n_used = score.notes().iter().map(|note| usize::from(note.part) + 1).max();
    let mut parts = score.parts.clone();
    parts.resize(parts.len().max(n_used.unwrap_or_default()), Part::default());
    let labels = labels(&parts);
    let mut text = header(piece, &parts, &labels);
    let mut sheet = Sheet::new(piece);
    for part in 0..parts.len() {
        let notes = score.notes().iter().filter(|note| usize::from(note.part) == part);
        sheet.notes(part, notes);
        sheet.pedal(score, part);
    }
    sheet.notes(parts.len(), score.drums.iter());
    sheet.mark_changes(score);
    sheet.write(&labels, &mut text);
    text
}

fn header(piece: &Piece, parts: &[Part], labels: &[String]) -> String {
    let mut lines = vec!["etude notation 1".to_owned()];
    let fields = [
        ("title", &piece.score.title),
        ("composer", &piece.composer),
        ("work", &piece.work),
        ("typesetter", &piece.typesetter),
        ("source", &piece.source),
    ];
    for (word, value) in fields {
        lines.push(format!("{word:<10} {}", one_line(value)));
    }
    lines.retain(|line| line.contains(' ') && !line.ends_with(' '));
    lines.push(format!("quarter    {}", piece.score.tempo_map.ticks_per_quarter().get()));
    if piece.spelling == Spelling::Flats {
        lines.push("spelling   flats".to_owned());
    }
    for (part, label) in parts.iter().zip(labels) {
        let channel = u32::from(part.channel) + 1;
        let line = format!("part {label} {channel} {} {}", part.program, one_line(&part.name));
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n") + "\n"
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A short word for each part: the initials of its name, or the name if it is one word. The last
/// is that of percussion.
fn labels(parts: &[Part]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for (idx, part) in parts.iter().enumerate() {
        let letters = |word: &str| word.chars().filter(char::is_ascii_alphanumeric).collect();
        let words: Vec<String> = part.name.split_whitespace().map(letters).collect();
        let label: String = match &words[..] {
            [word] => word.chars().take(8).collect(),
            words => words.iter().filter_map(|word| word.chars().next()).take(8).collect(),
        };
        let label = label.to_ascii_lowercase();
        let is_free = |label: &String| {
            !label.is_empty() && !RESERVED.contains(&label.as_str()) && !labels.contains(label)
        };
        let numbered = (idx + 1..).map(|number| format!("p{number}"));
        let label = std::iter::once(label).chain(numbered).find(is_free).unwrap_or_default();
        labels.push(label);
    }
    labels.push("drums".to_owned());
    labels
}

/// The bars with something in them, while they are filled.
struct Sheet {
    grid: BarGrid,
    names: DurationNames,
    spelling: Spelling,
    blocks: BTreeMap<u32, Block>,
}

struct Block {
    bar: Bar,
    /// What follows "bar N".
    changes: String,
    lines: BTreeMap<Voice, Line>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Voice {
    part: usize,
    kind: VoiceKind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum VoiceKind {
    /// Counted from 1.
    Notes(usize),
    Pedal,
}

/// One voice in one bar.
struct Line {
    text: String,
    /// How far it reaches.
    at: Tick,
    /// The duration that stays until another is written.
    duration: u32,
}

/// Notes struck and let go together.
struct Chord {
    start: Tick,
    end: Tick,
    velocity: Velocity,
    /// Descending.
    pitches: Vec<Pitch>,
}

impl Sheet {
    fn new(piece: &Piece) -> Self {
        let ticks_per_quarter = piece.score.tempo_map.ticks_per_quarter();
        Self {
            grid: BarGrid::new(ticks_per_quarter, &piece.score.meters),
            names: DurationNames::new(ticks_per_quarter),
            spelling: piece.spelling,
            blocks: BTreeMap::new(),
        }
    }

    fn block(&mut self, bar: Bar) -> &mut Block {
        let new = || Block { bar, changes: String::new(), lines: BTreeMap::new() };
        self.blocks.entry(bar.number).or_insert_with(new)
    }

    fn notes<'n>(&mut self, part: usize, notes: impl Iterator<Item = &'n Note>) {
        let mut voices: Vec<(Tick, Velocity)> = Vec::new();
        for chord in chords(notes) {
            let free = voices.iter().position(|(end, _)| *end <= chord.start);
            let idx = free.unwrap_or_else(|| {
                voices.push((Tick::ZERO, Velocity::COMPOSED));
                voices.len() - 1
            });
            let is_new_velocity = voices[idx].1 != chord.velocity;
            voices[idx] = (chord.end, chord.velocity);
            let velocity = is_new_velocity.then(|| format!(" v{}", chord.velocity.number()));
            let pitches: Vec<String> =
                chord.pitches.iter().map(|pitch| spelled(*pitch, self.spelling)).collect();
            let voice = Voice { part, kind: VoiceKind::Notes(idx + 1) };
            let before = velocity.unwrap_or_default();
            self.span(voice, chord.start, chord.end, &before, &pitches.join(","));
        }
    }

    /// Writes the spans of one part's pedal; those that overlap as one.
    fn pedal(&mut self, score: &Score, part: usize) {
        let voice = Voice { part, kind: VoiceKind::Pedal };
        let own = score.pedal.iter().filter(|span| usize::from(span.part) == part);
        let mut spans: Vec<(Tick, Tick)> = own.map(|span| (span.start, span.end)).collect();
        spans.sort_unstable();
        let mut last_end = Tick::ZERO;
        for (start, end) in spans {
            let start = start.max(last_end);
            if start < end {
                self.span(voice, start, end, "", "ped");
                last_end = end;
            }
        }
    }

    /// Writes something that lasts, tied over the ends of bars, with a rest before it if need be.
    fn span(&mut self, voice: Voice, start: Tick, end: Tick, before: &str, what: &str) {
        let bars: Vec<Bar> = self.grid.bars_between(start, end).collect();
        let mut before = before;
        for bar in bars {
            let names = self.names.clone();
            let (from, to) = (start.max(bar.start), end.min(bar.end));
            let new = || Line { text: String::new(), at: bar.start, duration: 0 };
            let line = self.block(bar).lines.entry(voice).or_insert_with(new);
            if line.at < from {
                line.token(&names, "r", from.0 - line.at.0);
            }
            line.text += before;
            before = "";
            line.token(&names, what, to.0 - from.0);
            if to < end {
                line.text.push('~');
            }
        }
    }

    /// Writes changes of meter and tempo and bars cut short to the bars they are in.
    fn mark_changes(&mut self, score: &Score) {
        let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
        let is_cut =
            |bar: &Bar| bar.end.0 - bar.start.0 < bar.meter.ticks_per_bar(ticks_per_quarter);
        for change in &score.meters {
            let bar = self.grid.bar_at(change.tick);
            let before = change.tick.0.checked_sub(1).map(|tick| self.grid.bar_at(Tick(tick)));
            // After a bar cut short the same meter begins again by itself.
            if before.is_none_or(|before| !is_cut(&before) || before.meter != bar.meter) {
                self.block(bar).changes += &format!("  meter {}", bar.meter);
            }
            if let Some(before) = before.filter(is_cut) {
                let length = self.names.name(before.end.0 - before.start.0);
                self.block(before).changes += &format!("  length {length}");
            }
        }
        for change in score.tempo_map.changes() {
            let bar = self.grid.bar_at(change.tick);
            let mut text = format!("  tempo {}", tempo(*change));
            if change.tick > bar.start {
                text += &format!(" at {}", self.names.name(change.tick.0 - bar.start.0));
            }
            self.block(bar).changes += &text;
        }
    }

    fn write(&self, labels: &[String], text: &mut String) {
        let label = |voice: &Voice| match voice.kind {
            VoiceKind::Notes(1) => labels[voice.part].clone(),
            VoiceKind::Notes(number) => format!("{}.{number}", labels[voice.part]),
            VoiceKind::Pedal => format!("{}.pedal", labels[voice.part]),
        };
        let voices = self.blocks.values().flat_map(|block| block.lines.keys());
        let width = voices.map(|voice| label(voice).len()).max().unwrap_or_default();
        for block in self.blocks.values() {
            // Writing to a string can't fail.
            let _ = writeln!(text, "\nbar {}{}", block.bar.number, block.changes);
            for (voice, line) in &block.lines {
                let _ = writeln!(text, "{:<width$}{}", label(voice), line.text);
            }
        }
    }
}

impl Line {
    fn token(&mut self, names: &DurationNames, what: &str, length: u32) {
        self.text.push(' ');
        self.text += what;
        if length != self.duration {
            self.text.push(':');
            self.text += &names.name(length);
        }
        self.duration = length;
        self.at = self.at.saturating_add(Tick(length));
    }
}

/// The notes of one part as chords, by start, the highest first.
fn chords<'n>(notes: impl Iterator<Item = &'n Note>) -> Vec<Chord> {
    let mut together: BTreeMap<(Tick, Tick, Velocity), Vec<Pitch>> = BTreeMap::new();
    for note in notes {
        together.entry((note.start, note.end(), note.velocity)).or_default().push(note.pitch);
    }
    let mut chords: Vec<Chord> = together
        .into_iter()
        .map(|((start, end, velocity), mut pitches)| {
            pitches.sort_unstable_by_key(|pitch| Reverse(*pitch));
            Chord { start, end, velocity, pitches }
        })
        .collect();
    chords.sort_by_key(|chord| (chord.start, Reverse(chord.pitches.first().copied())));
    chords
}

fn spelled(pitch: Pitch, spelling: Spelling) -> String {
    match pitch.transposed(1) {
        Some(above) if spelling == Spelling::Flats && pitch.is_black_key() => {
            let name = above.to_string();
            let (letter, octave) = name.split_at(1);
            format!("{letter}b{octave}")
        }
        _ => pitch.to_string(),
    }
}

/// The shortest decimal number of quarters a minute that gives exactly these microseconds.
fn tempo(change: TempoChange) -> String {
    let quarters = change.quarters_per_minute();
    for n_decimals in 0..=6 {
        let text = format!("{quarters:.n_decimals$}");
        if super::parse::micros_from_tempo(&text) == Some(change.micros_per_quarter) {
            return text;
        }
    }
    format!("{}us", change.micros_per_quarter)
}
