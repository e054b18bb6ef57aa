//! Sets of frames with a split of their own: read as they are, averaged as papers do, and refused
//! in words when they are no such thing.

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etude::cancel::CancelToken;
use etude::model::{Model, TrainError};
use etude::model::{ModelKind, Run, TrainingSettings, check_music, evaluate};
use etude::music::Pitch;
use etude::tokens::{
    BenchmarkSet, Chord, Corpus, CorpusError, FramingPlan, OwnPart, Split, SplitKind,
    file_of_piece, read_corpus,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(paths: &[PathBuf]) -> Result<Corpus, CorpusError> {
    read_corpus(paths, &FramingPlan::default(), None, &CancelToken::new(), &|_| {})
}

/// The corpus of a file with these bytes.
fn corpus_of(name: &str, bytes: &[u8]) -> Result<Corpus, CorpusError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&[path])
}

fn frames(corpus: &Corpus, piece: usize) -> Vec<Chord> {
    corpus.pieces[piece].chords.iter().map(|&id| corpus.chords[id as usize]).collect()
}

/// Two to learn from, one to choose by, two to test on, of which one begins and ends with rests.
const SET: &str = r#"{"name": "tiny", "lowest_midi": 21, "nested": [{"train": 1}],
    "train": [[[60, 64], [60, 64], []], [[21], [108]]],
    "valid": [[[62]]],
    "test": [[[], [], [65, 60], [], [65], []], [[60, 64], [60, 64], []]]}"#;

#[test]
fn a_set_becomes_pieces_with_its_own_split_and_every_frame() {
    for (name, bytes) in [("tiny.json", SET.into()), ("tiny.JSON.gz", gzipped(SET.as_bytes()))] {
        let corpus = corpus_of(name, &bytes).unwrap();
        let name_of = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let names: Vec<String> = corpus.pieces.iter().map(|piece| name_of(&piece.path)).collect();
        let expected = ["train 1", "train 2", "valid 1", "test 1", "test 2"];
        assert_eq!(names, expected.map(|name| format!("<tiny {name}>")));
        assert!(corpus.is_of_sets() && corpus.skipped.is_empty());
        assert!(file_of_piece(&corpus.pieces[3].path).ends_with(name));
        let parts = [OwnPart::Train, OwnPart::Train, OwnPart::Valid, OwnPart::Test, OwnPart::Test];
        assert_eq!(corpus.own_split.as_deref(), Some(&parts[..]));
        // Rests around a piece are frames like all others.
        let chord = |keys: &[u8]| keys.iter().filter_map(|&key| Pitch::new(key)).collect::<Chord>();
        let rest = Chord::REST;
        assert_eq!(frames(&corpus, 3), [rest, rest, chord(&[60, 65]), rest, chord(&[65]), rest]);
        assert_eq!(corpus.pieces[3].n_notes, 3, "a pitch that sounds anew is another note");
        assert_eq!(corpus.pieces[3].duration_secs, 3.0, "at the two frames a second of the plan");
        // The second piece to test on equals one to learn from and is counted all the same.
        assert_eq!(frames(&corpus, 4), frames(&corpus, 0));
        let split = Split::new(&corpus, SplitKind::Pieces, 7).unwrap();
        let sizes = [&split.train, &split.valid, &split.test].map(Vec::len);
        assert_eq!(sizes, [2, 1, 2]);
        let test = corpus.into_part(OwnPart::Test);
        assert_eq!((test.pieces.len(), test.n_frames()), (2, 9));
        assert_eq!(test.own_split.as_deref(), Some(&[OwnPart::Test; 2][..]));
    }
}

#[test]
fn a_set_given_twice_counts_once_and_with_other_files_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.json"), SET).unwrap();
    std::fs::write(at("b.json.gz"), gzipped(SET.as_bytes())).unwrap();
    let corpus = read(&[at("a.json"), at("b.json.gz")]).unwrap();
    assert_eq!((corpus.pieces.len(), corpus.skipped.len()), (5, 5));
    assert_eq!(corpus.own_split.unwrap().len(), 5);
    std::fs::write(at("c.mid"), b"?").unwrap();
    let mixed = read(&[at("a.json"), at("c.mid")]).unwrap_err();
    assert!(matches!(mixed, CorpusError::Mixed { .. }), "{mixed}");
    // A table of a set of MIDI files is none: it is left out, and the rest is read.
    std::fs::write(at("e.json"), r#"{"canonical_composer": {"0": "Bach"}}"#).unwrap();
    let bad = read(&[at("e.json"), at("c.mid")]).unwrap_err();
    assert!(matches!(bad, CorpusError::NothingUsable { n_files: 2, .. }), "{bad}");
    // A folder is searched for music only.
    let of_folder = read(&[folder.path().to_owned()]).unwrap_err();
    assert!(matches!(of_folder, CorpusError::NothingUsable { n_files: 1, .. }), "{of_folder}");
    // A bad one beside a good one is left out with its reason.
    std::fs::write(at("d.json"), "{}").unwrap();
    let corpus = read(&[at("a.json"), at("d.json")]).unwrap();
    assert_eq!((corpus.pieces.len(), corpus.skipped.len()), (5, 1));
}

/// Why a file is refused, in words.
fn refused(bytes: &[u8]) -> String {
    let error = corpus_of("set.json.gz", bytes).unwrap_err();
    assert!(matches!(error, CorpusError::NothingUsable { n_files: 1, .. }), "{error}");
    let text = error.to_string();
    assert!(text.chars().count() < 500 && !text.contains('\n'), "{text}");
    text
}

#[test]
fn what_is_no_set_is_refused_with_the_place_and_the_reason() {
    let with = |from: &str, to: &str| {
        assert!(SET.contains(from));
        refused(SET.replace(from, to).as_bytes())
    };
    for (from, to, words) in [
        (
            "[108]",
            "[108, 109]",
            "`109`, expected a pitch from 21 to 108 in frame 2 of piece 2 of “train”",
        ),
        ("[62]", "[20]", "`20`, expected a pitch from 21 to 108 in frame 1 of piece 1 of “valid”"),
        ("[62]", "[-1]", "`-1`, expected a pitch"),
        ("[62]", "[99999999999999999999]", "expected a pitch"),
        ("[62]", "[62.5]", "expected a pitch from 21 to 108 in frame 1 of piece 1 of “valid”"),
        ("[62]", "[\"C4\"]", "expected a pitch"),
        ("[62]", "[[62]]", "expected a pitch"),
        ("[62]", "62", "expected a list of pitches as frame 1 of piece 1 of “valid”"),
        ("[65], []]", "[65], null]", "expected a list of pitches as frame 6 of piece 1 of “test”"),
        ("[[62]]", "null", "expected a list of frames as piece 1 of “valid”"),
        ("[[62]]", "[]", "piece 1 of “valid” has no frame"),
        ("[[[62]]]", "[]", "“valid” has no piece"),
        ("[[[62]]]", "{}", "expected a list of pieces under “valid”"),
        ("\"valid\"", "\"validation\"", "no “valid”"),
        ("\"test\"", "\"train\"", "“train” stands there twice"),
    ] {
        let text = with(from, to);
        assert!(text.contains(words), "{from} as {to}: {text}");
    }
    for (text, words) in [
        ("{}", "no “train”"),
        ("[1, 2]", "expected an object with “train”, “valid” and “test”"),
        ("", "no JSON"),
        ("MThd", "no JSON"),
        ("{\"train\": [[[60]", "no JSON"),
    ] {
        assert!(refused(text.as_bytes()).contains(words), "{text}: {}", refused(text.as_bytes()));
    }
    assert!(refused(format!("{SET} more").as_bytes()).contains("no JSON"));
    // A long string of the file isn't printed whole.
    let text = with("[62]", &format!("[\"{}\"]", "é".repeat(10_000)));
    assert!(text.contains("in frame 1 of piece 1 of “valid”"), "{text}");
}

#[test]
fn gzip_is_unpacked_within_bounds() {
    let whole = gzipped(SET.as_bytes());
    assert!(refused(&whole[..whole.len() - 9]).contains("no whole gzip file"));
    assert!(refused(&[0x1f, 0x8b, 8, 0]).contains("no whole gzip file"));
    // 200 MB of spaces in 200 KB.
    let bomb: Vec<u8> = (0..200).flat_map(|_| gzipped(&vec![b' '; 1 << 20])).collect();
    assert!(bomb.len() < 4 << 20);
    assert!(refused(&bomb).contains("unpacked it has more than 128 MB"));
    // More frames than a piece may have, in 30 MB of text.
    let mut frames = br#"{"train": [["#.to_vec();
    frames.extend(b"[],".repeat(10_000_001));
    assert!(refused(&gzipped(&frames)).contains("more than 10000000 frames"));
}

fn any_pieces() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let frame = prop::collection::btree_set(21u8..=108, 0..5);
    let frame = frame.prop_map(|keys| keys.into_iter().collect::<Vec<u8>>());
    prop::collection::vec(prop::collection::vec(frame, 1..9), 1..5)
}

proptest! {
    #[test]
    fn every_frame_comes_back(train in any_pieces(), valid in any_pieces(), test in any_pieces()) {
        let parts = [train, valid, test];
        let json = serde_json::json!({"test": parts[2], "train": parts[0], "valid": parts[1]});
        let set = BenchmarkSet::from_bytes(json.to_string().as_bytes()).unwrap();
        for (part, expected) in OwnPart::ALL.into_iter().zip(&parts) {
            let keys = |chord: &Chord| chord.pitches().map(Pitch::number).collect::<Vec<u8>>();
            let found: Vec<Vec<Vec<u8>>> =
                set.part(part).iter().map(|piece| piece.iter().map(keys).collect()).collect();
            prop_assert_eq!(&found, expected);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0usize..200) {
        let _ = BenchmarkSet::from_bytes(&bytes);
        let mut damaged = SET.as_bytes().to_vec();
        damaged.splice(at..at, bytes);
        let _ = BenchmarkSet::from_bytes(&damaged);
    }
}

/// Pieces of different lengths over few chords, the second much longer than the first.
fn small_set() -> String {
    let piece = |n: usize, start: usize| -> Vec<Vec<u8>> {
        (0..n).map(|t| vec![60 + ((start + t) % 5) as u8, 67]).collect()
    };
    let part = |lengths: &[usize]| -> Vec<Vec<Vec<u8>>> {
        lengths.iter().enumerate().map(|(start, &n)| piece(n, start)).collect()
    };
    serde_json::json!({
        "train": part(&[40, 40, 30]), "valid": part(&[20, 9]), "test": part(&[3, 50, 1]),
    })
    .to_string()
}

#[test]
fn the_test_part_is_measured_over_all_its_frames_the_first_of_each_piece_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.json");
    std::fs::write(&file, small_set()).unwrap();
    let corpus = Arc::new(read(std::slice::from_ref(&file)).unwrap());
    for model in [ModelKind::Lstm, ModelKind::Gru] {
        let run_dir = folder.path().join(format!("{model:?}"));
        let settings = TrainingSettings { model, split: SplitKind::Pieces, ..tiny::settings() };
        let request = tiny::request(&corpus, settings, &run_dir);
        let (summary, _) = tiny::run(&request).unwrap();
        assert_eq!((summary.train_frames, summary.valid_frames), (110, 29));
        let model = Model::load(&run_dir).unwrap();
        let measured = |corpus: &Corpus| {
            evaluate(&model, &corpus.clone().into(), &CancelToken::new()).unwrap()
        };
        let test = corpus.as_ref().clone().into_part(OwnPart::Test);
        let whole = measured(&test);
        assert_eq!(whole.frames, 54, "3, 50 and 1: also of the piece with its first frame alone");
        let alone = |idx: usize| {
            let pieces = vec![test.pieces[idx].clone()];
            measured(&Corpus { pieces, own_split: None, ..test.clone() })
        };
        let apart: Vec<_> = (0..3).map(alone).collect();
        let summed: f64 = apart.iter().map(|one| one.loss * one.frames as f64).sum();
        assert!((whole.loss - summed / 54.0).abs() < 1e-5, "{} for {}", whole.loss, summed / 54.0);
        // What the run itself measured at its end is the same figure.
        let at_end = summary.test_perplexity.unwrap();
        assert!((at_end / whole.perplexity - 1.0).abs() < 1e-4, "{at_end} for {whole:?}");
        // The run knows the file that its music is in.
        let run = Run::read(&run_dir).unwrap();
        assert_eq!(run.summary.corpus.paths(), [std::path::absolute(&file).unwrap()]);
        assert!(check_music(&run, &read(&run.summary.corpus.paths()).unwrap().into()).is_ok());
        let other = corpus_of("small.json", SET.as_bytes()).unwrap();
        assert!(matches!(check_music(&run, &other.into()), Err(TrainError::OtherMusic { .. })));
    }
}

/// Nats a frame that a predictor asks for the test part: over all frames, and as a mean of means.
fn mean_nats(corpus: &Corpus, part: OwnPart, nats: impl Fn(Chord) -> f64) -> (f64, f64) {
    let part = corpus.clone().into_part(part);
    let sums: Vec<(f64, usize)> = (0..part.pieces.len())
        .map(|idx| frames(&part, idx))
        .map(|frames| (frames.iter().map(|&chord| nats(chord)).sum(), frames.len()))
        .collect();
    let total: f64 = sums.iter().map(|(sum, _)| sum).sum();
    let means: f64 = sums.iter().map(|(sum, n)| sum / *n as f64).sum();
    (total / part.n_frames() as f64, means / sums.len() as f64)
}

/// “Note 1-Gram” of Boulanger-Lewandowski et al. 2012: each key sounds by itself, as often as in
/// the frames to learn from.
fn note_unigram(corpus: &Corpus) -> (f64, f64) {
    let train = corpus.clone().into_part(OwnPart::Train);
    let n_frames = train.n_frames() as f64;
    let mut n_on = [0.0; 128];
    for idx in 0..train.pieces.len() {
        for pitch in frames(&train, idx).into_iter().flat_map(Chord::pitches) {
            n_on[usize::from(pitch.number())] += 1.0;
        }
    }
    let on: Vec<f64> = n_on.iter().map(|n| (n + 0.5) / (n_frames + 1.0)).collect();
    let all_off: f64 = BenchmarkSet::PITCHES.map(|key| -(1.0 - on[usize::from(key)]).ln()).sum();
    mean_nats(corpus, OwnPart::Test, |chord| {
        let odds = chord.pitches().map(|pitch| on[usize::from(pitch.number())]);
        all_off - odds.map(|p| (p / (1.0 - p)).ln()).sum::<f64>()
    })
}

/// “1-Gram (Add-p)” of the same paper: whole frames by their counts, with `p` chosen by the part
/// to choose by.
fn frame_unigram(corpus: &Corpus) -> f64 {
    let train = corpus.clone().into_part(OwnPart::Train);
    let n_frames = train.n_frames() as f64;
    let mut counts: HashMap<Chord, f64> = HashMap::new();
    for idx in 0..train.pieces.len() {
        frames(&train, idx).into_iter().for_each(|chord| *counts.entry(chord).or_default() += 1.0);
    }
    let nats = |part, p: f64| {
        let nats = |chord| {
            let count = counts.get(&chord).copied().unwrap_or(0.0);
            -((count + p * 2f64.powi(-88)) / (n_frames + p)).ln()
        };
        mean_nats(corpus, part, nats).0
    };
    let added = (-2..14).map(|k| 10f64.powf(f64::from(k) / 2.0));
    let best = added.min_by(|&a, &b| nats(OwnPart::Valid, a).total_cmp(&nats(OwnPart::Valid, b)));
    nats(OwnPart::Test, best.unwrap())
}

#[test]
fn two_baselines_of_the_paper_come_out_of_its_four_sets() {
    let Some(data) = common::test_data("two_baselines_of_the_paper_come_out_of_its_four_sets")
    else {
        return;
    };
    // Pieces of the three parts, frames to test on, “Note 1-Gram” and “1-Gram (Add-p)” of the
    // paper's table 1, and the first as a mean of the pieces' means, which is another figure.
    for (name, n_pieces, n_test_frames, note, frame, of_means) in [
        ("piano-midi-de", [87, 12, 25], 19_036, 11.05, 27.64, 11.38),
        ("nottingham", [694, 173, 170], 44_463, 10.25, 5.94, 10.12),
        ("musedata", [524, 135, 124], 64_339, 11.51, 19.03, 10.55),
        ("jsb-chorales", [229, 76, 77], 4_725, 11.06, 12.22, 11.00),
    ] {
        let path: PathBuf = data.join("benchmarks").join(format!("{name}.json.gz"));
        let corpus = read(&[path]).unwrap();
        let parts = corpus.own_split.as_deref().unwrap();
        let count = |part| parts.iter().filter(|&&own| own == part).count();
        assert_eq!(OwnPart::ALL.map(count), n_pieces, "{name}: duplicates are kept");
        assert_eq!(corpus.clone().into_part(OwnPart::Test).n_frames(), n_test_frames);
        assert!(Path::new(&corpus.pieces[0].path).ends_with(format!("<{name} train 1>")));
        let (per_frame, per_piece) = note_unigram(&corpus);
        assert!((per_frame - note).abs() < 0.01, "{name}: {per_frame} for {note}");
        assert!((per_piece - of_means).abs() < 0.01, "{name}: {per_piece} for {of_means}");
        let found = frame_unigram(&corpus);
        assert!((found - frame).abs() < 0.025, "{name}: {found} for {frame}");
    }
}
