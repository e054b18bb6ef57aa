//! `--framing original` gives exactly the tokens of the original experiment, through pretty_midi.

mod common;

use std::path::PathBuf;

use etude::cancel::CancelToken;
use etude::tokens::{
    Corpus, Encoding, FrameRate, Framing, FramingPlan, Split, SplitKind, VocabularyLimits,
    kept_notes, read_corpus,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    fps: f64,
    vocabulary: Vec<Vec<u8>>,
    songs: Vec<Song>,
}

#[derive(Deserialize)]
struct Song {
    path: String,
    tokens: Vec<u32>,
}

fn original(per_second: f64) -> FramingPlan {
    let rate = FrameRate::new(per_second).unwrap();
    FramingPlan { rate, framing: Framing::Original, ..FramingPlan::default() }
}

fn read_schumann(data: &std::path::Path, plan: &FramingPlan) -> Corpus {
    let paths = [data.join("schumann")];
    read_corpus(&paths, plan, None, &CancelToken::new(), &|_| {}).unwrap()
}

/// The reference lies beside the data, in the folder of the peers.
fn reference(data: &std::path::Path, name: &str) -> Reference {
    let path: PathBuf = data.join("../peers/reference").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_tokens_of_the_original_match_exactly() {
    let Some(data) = common::test_data("the_tokens_of_the_original_match_exactly") else { return };
    for name in ["schumann-fps2.json", "schumann-fps8.json"] {
        let reference = reference(&data, name);
        let corpus = read_schumann(&data, &original(reference.fps));
        let all: Vec<usize> = (0..corpus.pieces.len()).collect();
        let vocabulary = Encoding::new(&corpus, &all, VocabularyLimits::default(), 0).vocabulary;
        let chords: Vec<Vec<u8>> = vocabulary
            .chords()
            .iter()
            .map(|chord| chord.pitches().map(|pitch| pitch.number()).collect())
            .collect();
        assert_eq!(chords, reference.vocabulary, "{name}");
        assert_eq!(corpus.pieces.len(), reference.songs.len());
        for (piece, song) in corpus.pieces.iter().zip(&reference.songs) {
            assert!(piece.path.ends_with(&song.path), "{} for {}", piece.path.display(), song.path);
            // Every chord of the corpus is in the vocabulary, and both are in order of appearance.
            assert_eq!(piece.chords, song.tokens, "{name}: {}", song.path);
        }
    }
}

/// Frames and distinct chords of whole sets as pretty_midi 0.2.11 gave them.
#[test]
fn whole_sets_have_as_many_frames_and_chords_as_the_original_makes_of_them() {
    let name = "whole_sets_have_as_many_frames_and_chords_as_the_original_makes_of_them";
    let Some(data) = common::test_data(name) else { return };
    for (folder, per_second, expected) in [
        ("piano-midi-de", 8.0, (337, 634_017, 5_088)),
        ("piano-midi-de", 30.0, (337, 2_377_949, 5_578)),
    ] {
        let paths = [data.join(folder)];
        let plan = original(per_second);
        let corpus = read_corpus(&paths, &plan, None, &CancelToken::new(), &|_| {}).unwrap();
        let found = (corpus.pieces.len(), corpus.n_frames(), corpus.chords.len());
        assert_eq!(found, expected, "{folder} at {per_second}");
    }
}

/// Delta times and events of one track as a file of format 0 at 480 ticks a quarter.
fn file(track: &[u8]) -> tempfile::NamedTempFile {
    let mut bytes = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk".to_vec();
    bytes.extend((track.len() as u32 + 4).to_be_bytes());
    bytes.extend(track);
    bytes.extend(b"\0\xff\x2f\0");
    let file = tempfile::Builder::new().suffix(".mid").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// The frames at 2 a second, which are 480 ticks each, as lists of keys.
fn frames(track: &[u8]) -> Vec<Vec<u8>> {
    let file = file(track);
    let paths = [file.path().to_owned()];
    let corpus = read_corpus(&paths, &original(2.0), None, &CancelToken::new(), &|_| {}).unwrap();
    let keys =
        |id: &u32| corpus.chords[*id as usize].pitches().map(|pitch| pitch.number()).collect();
    corpus.pieces[0].chords.iter().map(keys).collect()
}

#[test]
fn what_nothing_ends_is_forgotten() {
    // 480 ticks are 0x83 0x60. Key 50 is never let go, nor is the pedal.
    let track = b"\0\x90\x32\x50\0\xb0\x40\x7f\0\x90\x3c\x50\x83\x60\x80\x3c\0\0\x90\x3e\x50\x83\x60\x80\x3e\0";
    assert_eq!(frames(track), [[60], [62]]);
    // The same with the pedal let go two frames after the last note.
    let track = [&track[..], b"\x87\x40\xb0\x40\0"].concat();
    assert_eq!(frames(&track), [vec![60], vec![60, 62], vec![60, 62], vec![60, 62]]);
}

#[test]
fn another_program_is_another_instrument_and_a_bend_moves_what_sounds() {
    let track = b"\0\x90\x3c\x50\x83\x60\x80\x3c\0\0\xc0\x05\0\x90\x3e\x50\x83\x60\x80\x3e\0\0\xc0\0\0\x90\x40\x50\x83\x60\x80\x40\0";
    assert_eq!(frames(track), [vec![60], vec![], vec![64]]);
    // A bend of one semitone (0x60 0x00 is 4,096 above the middle), then of half a semitone down.
    let track = b"\0\xe0\0\x60\0\x90\x3c\x50\x83\x60\xe0\0\x30\x83\x60\xe0\0\x40\x83\x60\x80\x3c\0";
    assert_eq!(frames(track), [vec![61], vec![59, 60], vec![60]]);
}

#[test]
fn the_tail_of_the_original_has_726_frames() {
    let Some(data) = common::test_data("the_tail_of_the_original_has_726_frames") else { return };
    let corpus = read_schumann(&data, &original(2.0));
    assert_eq!((corpus.n_frames(), corpus.chords.len()), (3_629, 426));
    let split = Split::new(&corpus, SplitKind::Tail, 0).unwrap();
    assert_eq!((split.train[0].n_frames(), split.valid[0].n_frames()), (2_903, 726));
}

#[test]
fn the_original_keeps_3966_of_13882_notes_and_nearest_all() {
    let name = "the_original_keeps_3966_of_13882_notes_and_nearest_all";
    let Some(data) = common::test_data(name) else { return };
    let nearest = FramingPlan { framing: Framing::Nearest, ..original(2.0) };
    let (mut n_original, mut n_nearest, mut n_notes) = (0, 0, 0);
    for number in 1..=8 {
        let path = data.join(format!("schumann/scn16_{number}.mid"));
        let score = etude::music::smf::read_file(&path).unwrap().score;
        n_original += kept_notes(&score, &original(2.0)).0;
        n_nearest += kept_notes(&score, &nearest).0;
        n_notes += score.notes().len();
    }
    assert_eq!((n_original, n_nearest, n_notes), (3_966, 13_882, 13_882));
}
