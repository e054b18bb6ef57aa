//! What music measures like, held against figures that other programs made of the same files.

mod common;

use std::path::PathBuf;

use etude::cancel::CancelToken;
use etude::music::{Note, Pitch, Score, TempoMap, Tick, Velocity};
use etude::tokens::measures::{
    ChordChanges, Measure, SurveyPlan, Surveyed, Transposing, longest_shared, survey_file,
    survey_score,
};
use etude::tokens::{FrameRate, Framing, FramingPlan, Pedalling};

fn plan() -> SurveyPlan {
    SurveyPlan { fps: FrameRate::new(8.0).unwrap(), window_secs: None, learned: None }
}

fn longest(take: &Surveyed, pieces: &[Surveyed], transposing: Transposing) -> usize {
    let changes: Vec<&ChordChanges> = pieces.iter().map(|piece| &piece.changes[0].1).collect();
    let cancel = CancelToken::new();
    let found = longest_shared(&take.changes[0].1, &changes, |_| true, transposing, &cancel);
    found.map_or(0, |found| found.n_chords)
}

#[test]
fn the_figures_of_pretty_midi_and_numpy_come_out_of_the_same_files() {
    let name = "the_figures_of_pretty_midi_and_numpy_come_out_of_the_same_files";
    let Some(data) = common::test_data(name) else { return };
    // In the order of `Measure::ALL`, the longest run in frames, without the velocities: what
    // `docs/measures.md` says how to make.
    let expected = [
        (
            "scn16_1.mid",
            [
                11.392987165073787,
                1.7143993635640413,
                65.0,
                3.4149113000225726,
                0.7814569536423841,
                0.018210609659540775,
                3.0,
                0.1463607594936709,
                0.3974663499604117,
                0.6748612212529739,
            ],
        ),
        (
            "scn16_5.mid",
            [
                9.36364549874685,
                2.9285714285714284,
                65.0,
                3.3257192493323107,
                0.8336070060207992,
                0.38174807197943444,
                12.0,
                0.2524084778420039,
                0.480719794344473,
                0.6795366795366795,
            ],
        ),
    ];
    for (file, expected) in expected {
        let piece = survey_file(&data.join("schumann").join(file), &plan()).unwrap();
        for (measure, expected) in Measure::ALL.into_iter().zip(expected) {
            let found = piece.whole.get(measure).unwrap();
            let found = if measure == Measure::LongestRun { 8.0 * found } else { found };
            assert!(
                (found - expected).abs() < 1e-9,
                "{file}, {measure:?}: {found}, not {expected}"
            );
        }
    }
    // The most chords in succession that each piece of Kreisleriana shares with any of Bach's, rests
    // left out.
    let mut files: Vec<PathBuf> = std::fs::read_dir(data.join("piano-midi-de/Bach"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let bach: Vec<Surveyed> =
        files.iter().map(|path| survey_file(path, &plan()).unwrap()).collect();
    for (number, expected) in (1..).zip([4, 2, 2, 1, 2, 4, 4, 1]) {
        let path = data.join(format!("schumann/scn16_{number}.mid"));
        let piece = survey_file(&path, &plan()).unwrap();
        let same = longest(&piece, &bach, Transposing::Same);
        assert_eq!(same, expected, "scn16_{number}");
        assert!(longest(&piece, &bach, Transposing::Any) >= same);
    }
}

/// Chords of `pitches` above each other, a second each.
fn score(chords: &[&[u8]], semitones: u8) -> Score {
    let chord = |(idx, chord): (u32, &&[u8])| -> Vec<Note> {
        let note = |key: &u8| Note {
            start: Tick(idx * 960),
            length: Tick(960),
            pitch: Pitch::new(key + semitones).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        chord.iter().map(note).collect()
    };
    let notes = (0..).zip(chords).flat_map(chord).collect();
    Score::piano(TempoMap::default(), notes)
}

#[test]
fn a_passage_is_found_at_the_rate_that_a_model_read_it_at_and_in_another_key() {
    let theme: [&[u8]; 5] = [&[60, 64], &[62, 65], &[60, 64, 67], &[55], &[57, 60]];
    // The take plays it four times as fast, as what was learned at 2 frames a second and played at 8.
    let mut fast = score(&theme, 0);
    fast.tempo_map = TempoMap::constant(fast.tempo_map.ticks_per_quarter(), 125_000);
    let take = survey_score("take", &fast, &plan()).unwrap();
    assert!((take.end_secs - 5.0 / 4.0).abs() < 1e-9, "{}", take.end_secs);
    let learned = FramingPlan {
        rate: FrameRate::new(2.0).unwrap(),
        framing: Framing::Nearest,
        pedalling: Pedalling::Keys,
        ..FramingPlan::default()
    };
    let plan = SurveyPlan { learned: Some(learned), window_secs: Some(2.0), ..plan() };
    let piece = survey_score("piece", &score(&theme, 3), &plan).unwrap();
    assert_eq!(piece.changes.len(), 2);
    assert_eq!((piece.windows.len(), piece.changes[1].0), (3, learned.rate));
    let cancel = CancelToken::new();
    let pieces = [&piece.changes[1].1];
    let of_take = &take.changes[0].1;
    let any = longest_shared(of_take, &pieces, |_| true, Transposing::Any, &cancel).unwrap();
    assert_eq!((any.n_chords, any.semitones), (5, -3));
    assert_eq!((any.in_piece.frame, any.in_take.frame), (0, 0));
    let same = longest_shared(of_take, &pieces, |_| true, Transposing::Same, &cancel);
    assert!(same.is_none_or(|same| same.n_chords == 1), "{same:?}");
}
