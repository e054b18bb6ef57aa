//! The promises of performances: MIDI comes back from frames without loss, the frames of the
//! chord family are met to the last key, nothing wrong comes out of the cache, and music that
//! keeps to no beat isn't cut on a beat grid.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use etude::cancel::CancelToken;
use etude::music::{Note, PedalSpan, Pitch, Score, TempoMap, Tick, Velocity, smf};
use etude::tokens::{
    BeatFit, Chord, Corpus, CorpusError, FrameRate, Framing, FramingPlan, Grid, Performance,
    PerformanceCorpus, PerformancePlan, Playback, Recovery, Split, SplitKind, StepsPerQuarter,
    Touch, find_files, perform_sources, read_corpus, read_performances, read_sources, recovery,
};

fn plan(per_second: f64) -> PerformancePlan {
    let rate = FrameRate::new(per_second).unwrap();
    PerformancePlan { frames: FramingPlan { rate, ..FramingPlan::default() }, touch: Touch::Kept }
}

fn on_sixteenths() -> PerformancePlan {
    let mut plan = plan(8.0);
    plan.frames.grid = Grid::Beats(StepsPerQuarter::SIXTEENTHS);
    plan
}

/// Notes of any loudness with pedal; `jitter` moves them off the sixteenths.
fn piece(seed: u32, jitter: u32) -> Score {
    let note = |idx: u32| {
        let random = (idx + 1).wrapping_mul(2_654_435_761).wrapping_add(seed * 97) >> 7;
        Note {
            start: Tick(idx * 120 + if jitter > 0 { random % jitter } else { 0 }),
            length: Tick(60 + random % 400),
            pitch: Pitch::new(40 + (random % 30) as u8).unwrap(),
            velocity: Velocity::saturating(1 + (random % 127) as i32),
            part: 0,
        }
    };
    let mut score = Score::piano(TempoMap::default(), (0..40).map(note).collect());
    let span = |idx: u32| PedalSpan { start: Tick(idx * 960), end: Tick(idx * 960 + 800), part: 0 };
    score.pedal = (0..5).map(span).collect();
    score
}

/// A folder of pieces `piece00.mid` … in a temporary place.
fn folder_of(n_pieces: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..n_pieces {
        let name = format!("piece{seed:02}.mid");
        std::fs::write(folder.path().join(name), smf::write(&piece(seed, 0))).unwrap();
    }
    folder
}

fn read(folder: &Path, cache: Option<&Path>) -> PerformanceCorpus {
    let paths = [folder.to_owned()];
    read_performances(&paths, &plan(16.0), cache, &CancelToken::new(), &|_| {}).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

/// The one pack in a cache.
fn the_pack(cache: &Path) -> PathBuf {
    match files_below(cache).as_slice() {
        [pack] => pack.clone(),
        files => panic!("{files:?}"),
    }
}

// Reading.

#[test]
fn without_touch_the_frames_are_those_of_the_chord_family() {
    let folder = folder_of(3);
    std::fs::write(folder.path().join("bad.mid"), b"MThd").unwrap();
    std::fs::copy(folder.path().join("piece01.mid"), folder.path().join("same.mid")).unwrap();
    let paths = [folder.path().to_owned()];
    for framing in [Framing::Nearest, Framing::Original] {
        let frames = FramingPlan { framing, ..plan(4.0).frames };
        let corpus = read_corpus(&paths, &frames, None, &CancelToken::new(), &|_| {}).unwrap();
        let plan = PerformancePlan { frames, touch: Touch::Ignored };
        let performed =
            read_performances(&paths, &plan, None, &CancelToken::new(), &|_| {}).unwrap();
        assert_same_frames(&performed, &corpus);
        assert_same_frames(&PerformanceCorpus::from(&corpus), &corpus);
        assert_eq!(performed.skipped, corpus.skipped);
        assert_eq!(performed.skipped.len(), 2);
        for kind in [SplitKind::Pieces, SplitKind::Tail] {
            let split = Split::new(&corpus, kind, 7).unwrap();
            assert_eq!(Split::of_performances(&performed, kind, 7).unwrap(), split);
            // A stretch across pieces is read as one.
            let stretch = &split.train[0];
            let roll = performed.roll(stretch, 0..stretch.n_frames());
            assert_eq!(roll.len(), stretch.n_frames());
            assert_eq!(performed.roll(stretch, 5..roll.len() - 5), roll[5..roll.len() - 5]);
            let frames = performed.frames(stretch, 5..usize::MAX);
            assert!(frames.iter().map(|frame| frame.sounding).eq(roll[5..].iter().copied()));
        }
    }
}

fn assert_same_frames(performed: &PerformanceCorpus, corpus: &Corpus) {
    assert_eq!(performed.n_frames(), corpus.n_frames());
    assert_eq!(performed.pieces.len(), corpus.pieces.len());
    for (performed, piece) in performed.pieces.iter().zip(&corpus.pieces) {
        let chords: Vec<Chord> =
            piece.chords.iter().map(|&id| corpus.chords[id as usize]).collect();
        assert_eq!(performed.performance.roll(0..usize::MAX), chords);
        assert_eq!((&performed.path, &performed.sha256), (&piece.path, &piece.sha256));
        assert_eq!(performed.n_notes, piece.n_notes);
    }
}

#[test]
fn pieces_in_memory_are_performed_by_their_names() {
    let scores = vec![("b".to_owned(), piece(1, 0)), ("a".to_owned(), piece(2, 0))];
    let performed = perform_sources(&scores, &plan(8.0)).unwrap();
    let paths: Vec<_> = performed.pieces.iter().map(|piece| piece.path.clone()).collect();
    assert_eq!(paths, [Path::new("<a>"), Path::new("<b>")]);
    let chords = read_sources(&scores, &plan(8.0).frames).unwrap();
    assert_eq!(performed.pieces[0].sha256, chords.pieces[0].sha256);
    assert!(matches!(perform_sources(&[], &plan(8.0)), Err(CorpusError::NoMidi(_))));
    let silent = [("c".to_owned(), Score::default())];
    assert!(matches!(perform_sources(&silent, &plan(8.0)), Err(CorpusError::NothingUsable { .. })));
}

#[test]
fn the_original_with_touch_is_refused_before_anything_is_read() {
    let mut plan = plan(2.0);
    plan.frames.framing = Framing::Original;
    let nowhere = [PathBuf::from("/nowhere")];
    let error = read_performances(&nowhere, &plan, None, &CancelToken::new(), &|_| {}).unwrap_err();
    assert!(matches!(error, CorpusError::Plan(_)), "{error}");
}

// The cache.

#[test]
fn the_cache_answers_the_same_and_a_damaged_one_is_survived() {
    let (folder, cache) = (folder_of(4), tempfile::tempdir().unwrap());
    let without = read(folder.path(), None);
    assert_eq!(read(folder.path(), Some(cache.path())), without);
    let pack = the_pack(cache.path());
    let kept = std::fs::read(&pack).unwrap();
    assert_eq!(read(folder.path(), Some(cache.path())), without);
    assert_eq!(the_pack(cache.path()), pack, "nothing is remembered twice");

    // It is really used: an entry under another piece's hash changes what is read.
    let place = |idx: usize| {
        let key = without.pieces[idx].sha256.as_bytes();
        kept.windows(key.len()).position(|window| window == key).unwrap()
    };
    let mut mixed = kept.clone();
    for (from, to) in [(0, 1), (1, 0)] {
        let key = without.pieces[from].sha256.as_bytes();
        mixed[place(to)..place(to) + key.len()].copy_from_slice(key);
    }
    replace(&pack, &mixed);
    let swapped = read(folder.path(), Some(cache.path()));
    assert_eq!(swapped.pieces[0].performance, without.pieces[1].performance);

    // Damaged in every way it is as if it weren't there, and it is mended.
    let mut flipped = kept.clone();
    flipped[kept.len() - 9] ^= 1;
    let mut endless = kept.clone();
    endless[place(1) + 64..place(1) + 72].fill(0xff);
    let mut foreign = kept.clone();
    foreign[0] = b'E';
    let short = kept[..kept.len() - 1].to_vec();
    let unknown: Vec<u8> = [&kept[..], &[0xff; 500]].concat();
    for damaged in [Vec::new(), short, vec![0xff; 5_000], flipped, endless, foreign, unknown] {
        for file in files_below(cache.path()) {
            std::fs::remove_file(file).unwrap();
        }
        replace(&pack, &damaged);
        let read_in_part = read(folder.path(), Some(cache.path()));
        assert_eq!(read_in_part, without);
        assert!(!pack.exists(), "a damaged pack goes");
        assert_eq!(read(folder.path(), Some(cache.path())), without);
        let files = files_below(cache.path());
        assert_eq!(read(folder.path(), Some(cache.path())), without);
        assert_eq!(files_below(cache.path()), files, "all of it is remembered again");
    }
}

/// As another program would: the mapped bytes stay what they are.
fn replace(pack: &Path, bytes: &[u8]) {
    _ = std::fs::remove_file(pack);
    std::fs::write(pack, bytes).unwrap();
}

#[test]
fn entries_that_contradict_themselves_are_not_believed() {
    let (folder, cache) = (folder_of(1), tempfile::tempdir().unwrap());
    read(folder.path(), Some(cache.path()));
    let pack = the_pack(cache.path());
    let kept = std::fs::read(&pack).unwrap();
    // Every byte of the payload in turn, with a checksum that says it is right.
    let payload = 8 + 64 + 8 + 32;
    for at in (payload..kept.len()).step_by(3) {
        let mut lying = kept.clone();
        lying[at] = lying[at].wrapping_add(0x55);
        let checksum = sha256(&lying[payload..]);
        lying[payload - 32..payload].copy_from_slice(&checksum);
        for file in files_below(cache.path()) {
            std::fs::remove_file(file).unwrap();
        }
        replace(&pack, &lying);
        let found = read(folder.path(), Some(cache.path()));
        let performance = &found.pieces[0].performance;
        // Whatever it says, it can be read to its end.
        assert_eq!(performance.frames(0..usize::MAX).len(), performance.n_frames());
        performance.to_score(&Playback::default());
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

#[test]
fn new_pieces_and_other_plans_have_packs_of_their_own() {
    let (folder, cache) = (folder_of(3), tempfile::tempdir().unwrap());
    let before = read(folder.path(), Some(cache.path()));
    std::fs::write(folder.path().join("piece99.mid"), smf::write(&piece(99, 0))).unwrap();
    let after = read(folder.path(), Some(cache.path()));
    assert_eq!((files_below(cache.path()).len(), after.pieces.len()), (2, 4));
    assert_eq!(after.pieces[..3], before.pieces[..]);
    let paths = [folder.path().to_owned()];
    let grid = || {
        let cache = Some(cache.path());
        read_performances(&paths, &on_sixteenths(), cache, &CancelToken::new(), &|_| {}).unwrap()
    };
    let cold = grid();
    assert_eq!(files_below(cache.path()).len(), 3);
    assert_eq!(grid(), cold);
    assert!(cold.pieces.iter().all(|piece| piece.performance.bars().is_some()));
    // What a killed program left goes, and what is deleted under a corpus stays readable.
    let part = the_folder_of_packs(cache.path()).join(".etude-left.part");
    std::fs::write(&part, b"half").unwrap();
    let still = read(folder.path(), Some(cache.path()));
    assert!(!part.exists());
    std::fs::remove_dir_all(cache.path()).unwrap();
    assert_eq!(still, after);
    // A cache that can't be written costs nothing.
    let nowhere = folder.path().join("piece00.mid");
    assert_eq!(read(folder.path(), Some(&nowhere)), after);
}

fn the_folder_of_packs(cache: &Path) -> PathBuf {
    let seconds = |path: &PathBuf| path.to_string_lossy().contains("-seconds-");
    let pack = files_below(cache).into_iter().find(seconds).unwrap();
    pack.parent().unwrap().to_owned()
}

#[test]
fn what_was_read_before_it_was_stopped_is_remembered() {
    // More than are read at once, so that some are taken before the end.
    let (folder, cache) = (folder_of(80), tempfile::tempdir().unwrap());
    let paths = [folder.path().to_owned()];
    let (cancel, n_done) = (CancelToken::new(), AtomicUsize::new(0));
    let progress = |progress: etude::tokens::ReadProgress| {
        n_done.fetch_max(progress.n_done, Ordering::Relaxed);
        if progress.n_done == 70 {
            cancel.cancel();
        }
    };
    let stopped = read_performances(&paths, &plan(16.0), Some(cache.path()), &cancel, &progress);
    assert!(matches!(stopped, Err(CorpusError::Cancelled)));
    let n_bytes = std::fs::metadata(the_pack(cache.path())).unwrap().len();
    assert!(n_bytes > 64 * 40 * 8, "{n_bytes} bytes of {} files", n_done.into_inner());
    assert_eq!(read(folder.path(), Some(cache.path())), read(folder.path(), None));
}

// The beat grid.

#[test]
fn notes_off_the_beat_are_left_out_and_a_corpus_of_them_is_refused() {
    let folder = folder_of(3);
    let off = |seed| smf::write(&piece(seed, 117));
    std::fs::write(folder.path().join("recorded.mid"), off(50)).unwrap();
    let paths = [folder.path().to_owned()];
    let cache = tempfile::tempdir().unwrap();
    let both = || {
        let cache = Some(cache.path());
        let (plan, cancel) = (on_sixteenths(), CancelToken::new());
        let performed = read_performances(&paths, &plan, cache, &cancel, &|_| {})
            .map(|corpus| (corpus.pieces.len(), corpus.skipped));
        let chords = read_corpus(&paths, &plan.frames, cache, &cancel, &|_| {})
            .map(|corpus| (corpus.pieces.len(), corpus.skipped));
        [performed, chords]
    };
    // Twice, so that what is remembered is held to the same.
    for found in [both(), both()].into_iter().flatten() {
        let (n_pieces, skipped) = found.unwrap();
        assert_eq!((n_pieces, skipped.len()), (3, 1));
        assert!(skipped[0].reason.contains("real time"), "{}", skipped[0].reason);
    }
    for (name, seed) in [("recorded2.mid", 51), ("recorded3.mid", 52)] {
        std::fs::write(folder.path().join(name), off(seed)).unwrap();
    }
    for found in [both(), both()].into_iter().flatten() {
        let error = found.unwrap_err();
        let is_meant = matches!(error, CorpusError::NoBeat { n_off_beat: 3, n_files: 6 });
        assert!(is_meant && error.to_string().contains("real time"), "{error}");
    }
    // In real time they are as good as any.
    assert_eq!(read(folder.path(), None).pieces.len(), 6);
}

#[test]
fn the_tempo_maps_of_scores_are_trusted_and_those_of_recordings_are_not() {
    let name = "the_tempo_maps_of_scores_are_trusted_and_those_of_recordings_are_not";
    let Some(data) = common::test_data(name) else { return };
    let all = common::slow_tests("the tempo maps of every file");
    for (set, is_trusted) in
        [("piano-midi-de", true), ("small-classics", true), ("maestro-2004", false)]
    {
        let fits: Vec<(BeatFit, PathBuf)> = some_files(&data.join(set), all)
            .into_iter()
            .filter_map(|path| {
                let score = smf::read_file(&path).ok()?.score;
                let ticks = score.tempo_map.ticks_per_quarter();
                Some((BeatFit::of(score.notes(), ticks), path))
            })
            .collect();
        let values = || fits.iter().map(|fit| fit.0.value());
        let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        println!("{set}: {} files from {least:.3} to {most:.3}", fits.len());
        let wrong: Vec<_> = fits.iter().filter(|fit| fit.0.is_kept() != is_trusted).collect();
        assert!(wrong.is_empty(), "{set}: {wrong:?}");
    }
}

/// Every file of a folder, or a few of them from all over it.
fn some_files(folder: &Path, all: bool) -> Vec<PathBuf> {
    let files = find_files(&[folder.to_owned()], &CancelToken::new()).unwrap().files;
    let step = if all { 1 } else { files.len() / 6 };
    files.into_iter().step_by(step.max(1)).collect()
}

// The way through the frames.

/// From a score to key frames to the bytes of a file and back.
fn through_frames(score: &Score, per_second: f64) -> Recovery {
    let plan = plan(per_second);
    let performance = Performance::from_score(score, &plan).unwrap();
    let frames = performance.frames(0..performance.n_frames());
    // Nothing but the frames and the silence before them goes on from here.
    let performance = Performance::from_frames(&frames).with_lead(performance.lead());
    let playback = Playback { rate: plan.frames.rate, ..Playback::default() };
    let back = smf::read(&smf::write(&performance.to_score(&playback))).unwrap().score;
    recovery(score, &back, 1.0 / per_second)
}

#[test]
fn a_piece_comes_back_from_its_frames() {
    let found = through_frames(&piece(3, 61), 32.0);
    assert_eq!((found.n_notes, found.n_turns), (40, 10));
    // Of the notes one may be cut off by a later strike of its key.
    assert!(found.note_share() > 0.9 && found.pedal_share() == 1.0, "{found:?}");
}

#[test]
fn nearly_every_note_comes_back_at_32_frames_a_second() {
    let Some(data) = common::test_data("nearly_every_note_comes_back_at_32_frames_a_second") else {
        return;
    };
    let all = common::slow_tests("every note of every file");
    for set in ["piano-midi-de", "maestro-2004"] {
        let mut sum = Recovery::default();
        for path in some_files(&data.join(set), all) {
            sum += through_frames(&smf::read_file(&path).unwrap().score, 32.0);
        }
        println!("{set}: {sum:?}");
        assert!(sum.note_share() >= 0.995, "{set}: {sum:?}");
        assert!(sum.pedal_share() >= 0.995, "{set}: {sum:?}");
    }
}
