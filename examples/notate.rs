//! Makes the built-in pieces again: MIDI files to the project's own notation.
//!
//! ```text
//! cargo run --example notate -- assets/pieces/sources.csv SMALL_CLASSICS assets/pieces
//! ```
//!
//! The table names, for each piece, the MIDI file in the folder SMALL_CLASSICS, what is to be
//! told about it, and its short bars (`1:e 9:q`: an upbeat of an eighth, and a ninth bar of a
//! quarter), which a MIDI file doesn't say. Notes, tempo and velocity are those of the file.

use std::path::Path;

use anyhow::{Context, bail};
use etude::music::notation::{self, Piece, Spelling};
use etude::music::{ExtraMessage, MeterChange, Score, Tick, smf};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    name: String,
    source: String,
    title: String,
    composer: String,
    work: String,
    typesetter: String,
    short_bars: String,
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [table, midi, out] = &args[..] else {
        bail!("give the table, the folder with the MIDI files and the folder to write to");
    };
    for row in csv::Reader::from_path(table)?.deserialize() {
        let row: Row = row?;
        let text = notated(&row, Path::new(midi)).with_context(|| row.name.clone())?;
        std::fs::write(Path::new(out).join(format!("{}.txt", row.name)), text)?;
    }
    Ok(())
}

fn notated(row: &Row, midi: &Path) -> anyhow::Result<String> {
    let import = smf::read_file(&midi.join(&row.source))?;
    if !import.warnings.is_empty() {
        bail!("{:?}", import.warnings);
    }
    let mut score = import.score;
    score.title.clone_from(&row.title);
    name_parts(&mut score);
    for entry in row.short_bars.split_whitespace() {
        shorten(&mut score, entry).with_context(|| format!("short bar {entry}"))?;
    }
    let spelling = if has_flats(&score) { Spelling::Flats } else { Spelling::Sharps };
    let piece = Piece {
        score,
        composer: row.composer.clone(),
        work: row.work.clone(),
        typesetter: row.typesetter.clone(),
        source: row.source.clone(),
        spelling,
    };
    Ok(notation::print(&piece))
}

/// Two staves are two hands. All staves are one piano's: they share its channel, so that its pedal
/// holds all of them.
fn name_parts(score: &mut Score) {
    const HANDS: [&str; 2] = ["Right hand", "Left hand"];
    let has_two = score.parts.len() == HANDS.len();
    for (idx, part) in score.parts.iter_mut().enumerate() {
        part.name = if has_two { HANDS[idx].to_owned() } else { format!("Staff {}", idx + 1) };
        part.channel = 0;
        part.program = 0;
    }
}

/// Cuts a bar short by beginning its meter again after it. The entry is `BAR:LENGTH`.
fn shorten(score: &mut Score, entry: &str) -> anyhow::Result<()> {
    let (number, length) = entry.split_once(':').context("no colon")?;
    let number: u32 = number.parse()?;
    let ticks_per_quarter = score.tempo_map.ticks_per_quarter();
    let length = notation::ticks_from_duration(length, ticks_per_quarter).context("no duration")?;
    let grid = score.bar_grid();
    let mut bars = grid.bars_between(Tick::ZERO, score.end());
    let bar = bars.find(|bar| bar.number == number).context("no such bar")?;
    let change = MeterChange { tick: bar.start.saturating_add(Tick(length)), meter: bar.meter };
    score.meters.push(change);
    score.meters.sort_by_key(|change| change.tick);
    Ok(())
}

/// Whether the key signature the piece begins with has flats.
fn has_flats(score: &Score) -> bool {
    let signature = score.extras.iter().find_map(|extra| match &extra.message {
        ExtraMessage::Meta { number: 0x59, data } => data.first(),
        _ => None,
    });
    signature.is_some_and(|sharps| (*sharps as i8) < 0)
}
