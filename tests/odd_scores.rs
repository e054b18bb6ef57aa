//! Scores that nobody would write: each opens, or is refused in words, and can be worked in.

use etude::editor::operations::{self as ops, Shift};
use etude::editor::{Bars, Grid, History, Project, Selection};
use etude::music::{
    HarmonicRhythm, Key, MeterChange, Note, Pitch, Score, TempoMap, Tick, Velocity, harmonies, smf,
};

fn note(start: u32, length: u32, pitch: u8) -> Note {
    Note {
        start: Tick(start),
        length: Tick(length),
        pitch: Pitch::new(pitch).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    }
}

/// Opens what was written of it, works in it, undoes all.
fn work_in(score: &Score) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.etude");
    Project::new(score.clone()).write(&path).unwrap();
    let opened = Project::read(&path).unwrap().score;
    assert_eq!(&opened, score);
    let mut history = History::new(opened);
    let all = Selection::all(score);
    for change in [
        ops::move_notes(score, &all, Shift { ticks: 480, semitones: 1 }),
        ops::reverse(score, &all),
        ops::legato(score, &all),
        ops::duplicate(score, &all, Default::default()),
        ops::quantize(score, &all, &Default::default()),
        ops::delete(score, &all),
    ]
    .into_iter()
    .flatten()
    {
        history.commit_selected(&change.edit, Some(&all), Some(&change.selection)).unwrap();
        assert!(history.undo().is_some());
        assert_eq!(&**history.score(), score);
    }
    let bars = Bars::new(score);
    let last = bars.at(score.end());
    assert!(last.start <= score.end());
    let quarter = score.tempo_map.ticks_per_quarter();
    Grid::Adaptive.step(quarter, last, 1.0).line_before(score.end(), &bars, quarter);
    score.bar_beat_from_tick(Tick(u32::MAX));
    harmonies(score, Tick(0)..Tick(u32::MAX), HarmonicRhythm::Beat);
    harmonies(score, Tick(u32::MAX - 5)..Tick(u32::MAX), HarmonicRhythm::Bar);
    Key::estimate(score);
}

#[test]
fn a_note_at_tick_four_billion() {
    let score = Score::piano(
        TempoMap::default(),
        vec![note(0, 480, 60), note(4_000_000_000, 480, 64), note(u32::MAX - 1, 1, 67)],
    );
    work_in(&score);
    // A MIDI file isn't read that far, which is said.
    let import = smf::read(&smf::write(&score)).unwrap();
    assert_eq!(import.score.notes().len(), 3);
    assert!(!import.warnings.is_empty());
}

#[test]
fn a_note_that_lasts_four_billion_ticks_in_bars_of_one_tick() {
    let division = etude::music::TicksPerQuarter::new(1).unwrap();
    let map = TempoMap::constant(division, 1);
    let mut score = Score::piano(map, vec![note(0, u32::MAX, 60), note(1, 1, 64)]);
    let meter = etude::music::Meter { numerator: 1, denominator_power: 6 };
    score.meters = vec![MeterChange { tick: Tick(0), meter }];
    work_in(&score);
}

#[test]
fn many_notes_in_one_tick() {
    // Thousands of each pitch, most of them twins.
    let notes = (0..12_000u32).map(|idx| Note {
        velocity: Velocity::saturating((idx % 300) as i32),
        ..note(960, 1 + idx % 3, (idx % 128) as u8)
    });
    work_in(&Score::piano(TempoMap::default(), notes.collect()));
}

#[test]
fn half_a_million_notes_in_one_tick_come_from_a_midi_file() {
    let notes = (0..500_000u32).map(|idx| note(960, 10, (idx % 128) as u8));
    let score = Score::piano(TempoMap::default(), notes.collect());
    let import = smf::read(&smf::write(&score)).unwrap();
    assert_eq!(import.score.notes(), score.notes());
}

#[test]
fn a_piece_of_ten_hours() {
    let quarters = 10 * 60 * 120;
    let notes = (0..quarters / 8).map(|idx| note(idx * 480 * 8, 400, 40 + (idx % 40) as u8));
    let score = Score::piano(TempoMap::default(), notes.collect());
    assert!(score.duration_secs() > 35_000.0);
    work_in(&score);
}

#[test]
fn tempo_zero_and_notes_without_length_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.etude");
    let score = Score::piano(TempoMap::default(), vec![note(0, 480, 60)]);
    let whole = serde_json::to_string(&Project::new(score)).unwrap();
    for (old, new, expected) in [
        ("\"micros_per_quarter\":500000", "\"micros_per_quarter\":0", "tempo"),
        ("\"ticks_per_quarter\":480", "\"ticks_per_quarter\":0", "32,767 ticks"),
        ("\"length\":480", "\"length\":0", "has no length"),
        ("\"start\":0", "\"start\":4294967295", "after the last tick"),
    ] {
        let odd = whole.replacen(old, new, 1);
        assert_ne!(odd, whole);
        std::fs::write(&path, odd).unwrap();
        let error = Project::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("odd.etude"), "{error}");
    }
}
