//! The project's own notation: it says a score exactly, and says what is wrong with a text.

#[path = "common/scores.rs"]
mod scores;

use std::sync::Arc;

use etude::music::notation::{self, Piece, Spelling};
use etude::music::{Note, Pitch, TempoMap, Tick};
use proptest::prelude::*;
use scores::score_strategy;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_piece_parses_equal(score in score_strategy(), is_flat in any::<bool>()) {
        let mut piece = Piece { score, composer: "A. Nonymous (1800–1900)".to_owned(), ..Piece::default() };
        piece.score.extras = Arc::default();
        // It has one line of percussion, whatever track a drum came from.
        let drums = piece.score.drums.iter().map(|drum| Note { part: 0, ..*drum });
        piece.score.set_drums(drums.collect());
        piece.spelling = if is_flat { Spelling::Flats } else { Spelling::Sharps };
        let text = notation::print(&piece);
        let parsed = notation::parse(&text);
        prop_assert_eq!(parsed.as_ref(), Ok(&piece), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(
        score in score_strategy(),
        words in prop::collection::vec("[a-hqrstwx0-9:.,~+/v#-]{1,8}|bar|meter|length|tempo|part|\n", 0..30),
        at in any::<prop::sample::Index>(),
    ) {
        let text = notation::print(&Piece { score, ..Piece::default() });
        let at = at.index(text.len());
        let at = (at..).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let _ = notation::parse(&format!("{}{}{}", &text[..at], words.join(" "), &text[at..]));
    }
}

const SCALE: &str = "\
etude notation 1
title      Scale with a held bass
composer   Nobody
quarter    480
part rh 1 0 Right hand
part lh 2 0 Left hand

bar 1  meter 3/4  tempo 96
rh       v80 C5:e D5 E5 F5 v96 G5:q
rh.2     r:q E4,C4:h
lh       C3:h.~
lh.pedal ped:h.

bar 2  tempo 80 at q
rh       C6:q+s
lh       C3:q
";

#[test]
fn the_example_of_the_description_says_what_it_should() {
    let piece = notation::parse(SCALE).unwrap();
    let score = &piece.score;
    assert_eq!(
        (score.title.as_str(), piece.composer.as_str()),
        ("Scale with a held bass", "Nobody")
    );
    assert_eq!(score.notes().len(), 9);
    let bass = score.notes()[0];
    assert_eq!((bass.pitch, bass.length), ("C3".parse::<Pitch>().unwrap(), Tick(4 * 480)));
    let last = score.notes()[8];
    assert_eq!((last.start, last.length, last.velocity.number()), (Tick(1440), Tick(600), 96));
    assert_eq!(score.pedal.len(), 1);
    assert_eq!(score.tempo_map.changes().len(), 2);
    assert_eq!(score.tempo_map.changes()[1].tick, Tick(1440 + 480));
    assert_eq!(notation::print(&piece), SCALE);
}

#[test]
fn an_upbeat_shifts_the_bars() {
    let text = "etude notation 1\npart p 1 0\nbar 1 meter 3/8 length e\np E5:e\nbar 2\np A4:q.\nbar 5\np A4:e";
    let score = notation::parse(text).unwrap().score;
    let starts: Vec<u32> = score.notes().iter().map(|note| note.start.0).collect();
    assert_eq!(starts, [0, 240, 240 + 3 * 720]);
    assert_eq!(score.bar_beat_from_tick(Tick(240)).to_string(), "2:1:000");
}

#[test]
fn a_text_without_a_tempo_lasts_as_usual() {
    let score = notation::parse("etude notation 1").unwrap().score;
    assert_eq!(score.tempo_map, TempoMap::default());
}

/// The error that a body gives after a header of one part, `rh`.
fn check(body: &str, wanted: &str) {
    let text = format!("etude notation 1\npart rh 1 0\n{body}");
    let error = notation::parse(&text).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with(wanted) && error.lines().count() == 1, "{body:?} gave {error:?}");
}

#[test]
fn errors_say_the_line_and_what() {
    check("bar 1\nlh C4:q", "line 4: “lh” means nothing here");
    check("bar 1\nrh C4:q X4", "line 4: “X4” is not a pitch");
    check("bar 1\nrh C4", "line 4: the first note or rest of a line needs a duration");
    check("bar 1\nrh C4:y", "line 4: “y” isn't a duration");
    check("bar 1\nrh C4:w C4:x", "line 4: this voice is longer than its bar");
    check("bar 1\nrh C4:q\nrh C4:q", "line 5: this voice was already written");
    check("bar 1\nrh v0 C4:q", "line 4: “v0” isn't a velocity");
    check("bar 1\nrh C4:w~\nbar 2\nrh D4:q", "line 6: the note tied in line 4 isn't taken up");
    check("bar 1\nrh C4:w~", "line 4: the note tied in line 4");
    check("bar 1\nrh.pedal C4:q", "line 4: a pedal line");
    check("bar 0", "line 3: bar 0 is out of order");
    check("bar 2\nbar 2", "line 4: bar 2 is out of order");
    check("bar 1 meter 4/5", "line 3: “4/5” isn't a meter");
    check("bar 1 length w+q", "line 3: a bar can't last longer");
    check("bar 1 tempo 0", "line 3: “0” isn't a tempo");
    check("bar 1 tempo 90 at w", "line 3: this tempo comes after the end of its bar");
    check("bar 1 meter", "line 3: “meter” is missing something");
    check("bar 4000000000", "line 3: the piece lasts longer");
    check("part rh 1 0", "line 3: there are two parts called “rh”");
    check("part drums 1 0", "line 3: “drums” means nothing here");
    check("part lh 17 0", "line 3: “17” isn't a number");
    check("quarter 0", "line 3: “0” isn't a number");
    let error = notation::parse("MThd").map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with("line 1: this isn't a piece in Etude's notation"));
}
