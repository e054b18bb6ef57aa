//! The built-in pieces hold exactly the notes of their sources.

mod common;

use etude::assets;
use etude::music::notation::{self, Piece};
use etude::music::{Note, Score, smf};

/// Start, length and pitch in ticks of a piece whose quarter has `per_quarter` ticks.
fn facts(score: &Score, per_quarter: u32) -> Vec<(u32, u32, u8)> {
    let own = score.tempo_map.ticks_per_quarter().get();
    let scaled = |ticks: u32| {
        let ticks = u64::from(ticks) * u64::from(per_quarter);
        assert!(ticks.is_multiple_of(u64::from(own)), "off the grid of the source");
        (ticks / u64::from(own)) as u32
    };
    let fact = |note: &Note| (scaled(note.start.0), scaled(note.length.0), note.pitch.number());
    let mut facts: Vec<_> = score.notes().iter().map(fact).collect();
    facts.sort_unstable();
    facts
}

fn pieces() -> impl Iterator<Item = (&'static str, &'static str, Piece)> {
    assets::PIECES.iter().map(|(name, text)| {
        let piece = notation::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (*name, *text, piece)
    })
}

#[test]
fn every_piece_is_its_source_note_for_note() {
    let Some(data) = common::test_data("every_piece_is_its_source_note_for_note") else { return };
    for (name, _, piece) in pieces() {
        let source = data.join("small-classics").join(&piece.source);
        let import = smf::read_file(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        let per_quarter = import.score.tempo_map.ticks_per_quarter().get();
        let (own, wanted) = (facts(&piece.score, per_quarter), facts(&import.score, per_quarter));
        assert!(own == wanted, "{name} differs from {}", source.display());
        assert_eq!(piece.score.tempo_map, import.score.tempo_map, "{name}");
    }
}

#[test]
fn every_source_is_in_the_public_domain() {
    let Some(data) = common::test_data("every_source_is_in_the_public_domain") else { return };
    let mut index = csv::Reader::from_path(data.join("small-classics/INDEX.csv")).unwrap();
    let headers = index.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (file, licence) = (column("file"), column("licence"));
    let rows: Vec<csv::StringRecord> = index.records().map(Result::unwrap).collect();
    for (name, _, piece) in pieces() {
        let row = rows.iter().find(|row| row[file] == piece.source);
        let row = row.unwrap_or_else(|| panic!("{name}: {} isn't listed", piece.source));
        assert!(["Public Domain", "CC0 1.0"].contains(&&row[licence]), "{name}: {}", &row[licence]);
    }
}

#[test]
fn every_piece_says_what_it_is_and_is_printed_as_it_stands() {
    for (name, text, piece) in pieces() {
        assert!(!piece.score.title.is_empty() && !piece.composer.is_empty(), "{name}");
        assert!(!piece.typesetter.is_empty() && !piece.source.is_empty(), "{name}");
        assert!(notation::print(&piece) == *text, "{name} isn't as the program prints it");
    }
}

#[test]
fn every_piece_survives_a_midi_file() {
    for (name, score) in assets::piece_scores() {
        let import = smf::read(&smf::write(&score)).unwrap();
        assert!(import.warnings.is_empty(), "{name}: {:?}", import.warnings);
        assert!(import.score == score, "{name} is changed by writing it");
    }
}

#[test]
fn the_pieces_are_small() {
    let n_bytes: usize = assets::PIECES.iter().map(|(_, text)| text.len()).sum();
    assert!(n_bytes < 600_000, "{n_bytes}");
}
