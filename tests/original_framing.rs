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
