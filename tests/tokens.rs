//! The promises of the tokens room: no note is lost, nothing depends on the threads, what is
//! read is held once and found again.

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use etude::cancel::CancelToken;
use etude::music::{
    Note, Part, PedalSpan, Pitch, Score, TempoMap, Tick, TicksPerQuarter, Velocity, smf,
};
use etude::tokens::{
    Chord, ChordVocabulary, Corpus, CorpusError, Encoding, FrameRate, FramesError, Framing,
    FramingPlan, MAX_FRAMES, OwnPart, Pedalling, Playback, Split, SplitError, SplitKind, Stretch,
    VocabularyLimits, kept_notes, read_corpus, read_sources, roll_from_score, score_from_roll,
};
use proptest::prelude::*;

fn note(start: u32, length: u32, pitch: u8) -> Note {
    let (pitch, velocity) = (Pitch::new(pitch).unwrap(), Velocity::new(80).unwrap());
    Note { start: Tick(start), length: Tick(length), pitch, velocity, part: 0 }
}

/// 480 ticks a quarter, two quarters a second: a frame at 2 a second is 480 ticks.
fn piano(notes: &[(u32, u32, u8)]) -> Score {
    let notes = notes.iter().map(|&(start, length, pitch)| note(start, length, pitch)).collect();
    Score::piano(TempoMap::default(), notes)
}

fn chord(pitches: &[u8]) -> Chord {
    pitches.iter().filter_map(|&number| Pitch::new(number)).collect()
}

fn plan(per_second: f64, framing: Framing) -> FramingPlan {
    FramingPlan { rate: FrameRate::new(per_second).unwrap(), framing, ..FramingPlan::default() }
}

fn nearest() -> FramingPlan {
    plan(2.0, Framing::Nearest)
}

/// Shows frames as `C4 C4+E4 .`.
fn shown(score: &Score, plan: &FramingPlan) -> String {
    let roll = roll_from_score(score, plan).unwrap();
    let words: Vec<String> = roll
        .iter()
        .map(|chord| if chord.is_rest() { ".".to_owned() } else { chord.to_string() })
        .collect();
    words.join(" ")
}

// Frames.

#[test]
fn ends_go_to_the_nearest_boundary_and_rests_around_are_trimmed() {
    let score = piano(&[(960, 480, 60), (1_440 + 230, 490, 62), (2_880, 480, 64)]);
    assert_eq!(shown(&score, &nearest()), "C4 D4 D4 . E4");
}

#[test]
fn a_short_note_keeps_one_frame_and_the_original_loses_it() {
    let score = piano(&[(0, 960, 60), (500, 100, 64), (960, 10, 67)]);
    assert_eq!(shown(&score, &nearest()), "C4 C4+E4 G4");
    assert_eq!(shown(&score, &plan(2.0, Framing::Original)), "C4 C4");
    assert_eq!(kept_notes(&score, &nearest()), (3, 3));
    assert_eq!(kept_notes(&score, &plan(2.0, Framing::Original)), (1, 3));
}

#[test]
fn the_original_reads_its_first_instrument_alone_and_all_its_ways_with_the_pedal() {
    let mut score = piano(&[(0, 480, 60), (480, 480, 62), (1_920, 480, 64)]);
    score.parts.push(Part { name: "left".to_owned(), ..Part::default() });
    let mut notes = score.notes().to_vec();
    notes.push(Note { part: 1, ..note(0, 1_920, 40) });
    score.set_notes(notes);
    score.pedal = vec![PedalSpan { start: Tick(480), end: Tick(1_440), part: 0 }];
    // The first note ended where the pedal went down, so it isn't held.
    assert_eq!(shown(&score, &plan(2.0, Framing::Original)), "C4 D4 D4 . E4");
    assert_eq!(shown(&score, &nearest()), "E2+C4 E2+D4 E2 E2 E4");
}

#[test]
fn in_the_original_a_note_off_ends_every_earlier_note_of_its_pitch() {
    // 0–960 and 480–1920 overlap: the first off ends both.
    let score = piano(&[(0, 960, 60), (480, 1_440, 60), (2_400, 480, 62)]);
    assert_eq!(shown(&score, &plan(2.0, Framing::Original)), "C4 C4 . . . D4");
    assert_eq!(shown(&score, &nearest()), "C4 C4 C4 C4 . D4");
}

#[test]
fn the_pedal_lengthens_notes_when_asked() {
    let mut score = piano(&[(0, 240, 60), (960, 480, 64), (3_840, 480, 67)]);
    score.pedal = vec![PedalSpan { start: Tick(120), end: Tick(1_920), part: 0 }];
    let sustained = FramingPlan { pedalling: Pedalling::Sustained, ..nearest() };
    assert_eq!(shown(&score, &sustained), "C4 C4 C4+E4 C4+E4 . . . . G4");
    assert_eq!(shown(&score, &nearest()), "C4 . E4 . . . . . G4");
    // The pedal may stand in a part of its own, on the same channel.
    score.parts.push(Part::default());
    score.pedal[0].part = 1;
    assert_eq!(shown(&score, &sustained), "C4 C4 C4+E4 C4+E4 . . . . G4");
    score.parts[1].channel = 5;
    assert_eq!(shown(&score, &sustained), shown(&score, &nearest()));
}

#[test]
fn silence_before_the_music_costs_nothing_and_endless_silence_is_refused() {
    let late = piano(&[(u32::MAX - 10_000, 480, 60)]);
    assert_eq!(shown(&late, &plan(200.0, Framing::Nearest)).split(' ').count(), 100);
    let day_ticks = 24 * 3_600 * 960;
    let apart = piano(&[(0, 480, 60), (day_ticks, 480, 62)]);
    assert_eq!(roll_from_score(&apart, &nearest()).unwrap().len(), 24 * 3_600 * 2 + 1);
    let error = roll_from_score(&apart, &plan(200.0, Framing::Nearest)).unwrap_err();
    assert!(matches!(error, FramesError::TooLong { n_frames } if n_frames > MAX_FRAMES));
    let original = roll_from_score(&apart, &plan(200.0, Framing::Original));
    assert!(original.is_err());
    assert_eq!(roll_from_score(&Score::default(), &nearest()), Ok(Vec::new()));
}

fn any_notes() -> impl Strategy<Value = Vec<(u32, u32, u8)>> {
    prop::collection::vec((0u32..20_000, 1u32..3_000, 0u8..128), 1..60)
}

proptest! {
    #[test]
    fn no_note_is_lost(notes in any_notes(), per_second in 0.1f64..200.0) {
        let plan = plan(per_second, Framing::Nearest);
        let score = piano(&notes);
        let roll = roll_from_score(&score, &plan).unwrap();
        let frame = |tick: u32| (score.tempo_map.secs_from_tick(Tick(tick)) * per_second).round();
        let first = notes.iter().map(|note| frame(note.0)).fold(f64::MAX, f64::min);
        for &(start, length, pitch) in &notes {
            let pitch = Pitch::new(pitch).unwrap();
            let begin = (frame(start) - first) as usize;
            let end = ((frame(start + length) - first) as usize).max(begin + 1);
            prop_assert!(roll[begin..end].iter().all(|chord| chord.contains(pitch)));
        }
        // And nothing sounds that isn't a note.
        let n_sounding: usize = roll.iter().map(|chord| chord.len()).sum();
        let most: f64 = notes
            .iter()
            .map(|note| (frame(note.0 + note.1) - frame(note.0)).max(1.0))
            .sum();
        prop_assert!(n_sounding as f64 <= most);
        prop_assert_eq!(kept_notes(&score, &plan), (notes.len(), notes.len()));
        prop_assert!(!roll[0].is_rest() && !roll[roll.len() - 1].is_rest());
    }

    #[test]
    fn frames_survive_the_way_to_a_score_and_back(
        bits in prop::collection::vec(prop_oneof![Just(0u128), any::<u128>(), (0u32..128).prop_map(|key| 1 << key)], 1..80),
        per_second in prop_oneof![Just(0.1), Just(2.0), Just(8.0), Just(30.0), 0.1f64..200.0],
        restruck in any::<bool>(),
    ) {
        let roll: Vec<Chord> = bits.into_iter().map(Chord::from_bits).collect();
        let rate = FrameRate::new(per_second).unwrap();
        let articulation = if restruck {
            etude::tokens::Articulation::Restruck
        } else {
            etude::tokens::Articulation::Held
        };
        let score = score_from_roll(&roll, &Playback { rate, articulation, ..Playback::default() });
        let back = roll_from_score(&score, &plan(per_second, Framing::Nearest)).unwrap();
        let sounding = |chord: &Chord| !chord.is_rest();
        let first = roll.iter().position(sounding).unwrap_or(0);
        let last = roll.iter().rposition(sounding).map_or(0, |last| last + 1);
        prop_assert_eq!(&back[..], &roll[first..last.max(first)]);
    }
}

// Corpus.

/// A few chords that depend on `seed`, with one pitch of its own.
fn small_piece(seed: u32) -> Score {
    let pitch = |number: u32| (36 + number % 48) as u8;
    let notes: Vec<(u32, u32, u8)> =
        (0..12).map(|idx| (idx * 480, 480 * (1 + idx % 2), pitch(idx * seed + seed))).collect();
    piano(&notes)
}

/// A folder of pieces `piece-0.mid` … in a temporary place.
fn folder_of(n_pieces: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..n_pieces {
        let name = format!("piece{seed:02}.mid");
        std::fs::write(folder.path().join(name), smf::write(&small_piece(seed))).unwrap();
    }
    folder
}

fn read(folder: &Path, cache: Option<&Path>) -> Result<Corpus, CorpusError> {
    read_corpus(&[folder.to_owned()], &nearest(), cache, &CancelToken::new(), &|_| {})
}

fn names(paths: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.into_iter().map(name).collect()
}

#[test]
fn chords_are_numbered_as_they_appear_whatever_the_number_of_threads() {
    // More than are read at a time.
    let folder = folder_of(300);
    let read_with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| read(folder.path(), None).unwrap())
    };
    let (one, four) = (read_with(1), read_with(4));
    assert_eq!(one, four);
    assert_eq!(one.pieces.len() + one.skipped.len(), 300);
    let all: Vec<usize> = (0..one.pieces.len()).collect();
    let encode = |corpus: &Corpus| Encoding::new(corpus, &all, VocabularyLimits::default(), 7);
    assert_eq!(encode(&one), encode(&four));
    let mut next = 1;
    for id in one.pieces.iter().flat_map(|piece| &piece.chords) {
        assert!(*id <= next, "{id} appears before {next}");
        next = next.max(id + 1);
    }
    assert_eq!(one.chords[0], Chord::REST);
}

#[test]
fn a_bad_file_is_skipped_with_its_reason_and_the_same_bytes_are_noticed() {
    let folder = folder_of(2);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("bad.mid"), b"no music").unwrap();
    std::fs::write(at("empty.mid"), b"").unwrap();
    std::fs::write(at("silent.mid"), smf::write(&Score::default())).unwrap();
    std::fs::write(at("notes.txt"), b"not looked at").unwrap();
    std::fs::create_dir(at("sub.mid")).unwrap();
    std::fs::copy(at("piece01.mid"), at("sub.mid/again.MIDI")).unwrap();
    let corpus = read(folder.path(), None).unwrap();
    assert_eq!(
        names(corpus.pieces.iter().map(|piece| piece.path.clone())),
        ["piece00.mid", "piece01.mid"]
    );
    let skipped = |name: &str| {
        let found = corpus.skipped.iter().find(|skipped| skipped.path.ends_with(name));
        found
            .map(|skipped| skipped.reason.clone())
            .unwrap_or_else(|| panic!("{name} isn't skipped"))
    };
    assert!(skipped("again.MIDI").starts_with("the same bytes as “"), "{}", skipped("again.MIDI"));
    assert!(skipped("again.MIDI").contains("piece01.mid"));
    assert!(!skipped("bad.mid").is_empty() && !skipped("empty.mid").is_empty());
    assert!(skipped("silent.mid").contains("no note"), "{}", skipped("silent.mid"));
    assert_eq!(corpus.skipped.len(), 4);
}

#[test]
fn a_named_file_is_taken_whatever_its_name_and_a_path_given_twice_counts_once() {
    let folder = folder_of(1);
    let (plain, other) = (folder.path().join("piece00.mid"), folder.path().join("no extension"));
    std::fs::rename(&plain, &other).unwrap();
    let paths = [other.clone(), other.clone()];
    let corpus = read_corpus(&paths, &nearest(), None, &CancelToken::new(), &|_| {}).unwrap();
    assert_eq!((corpus.pieces.len(), corpus.skipped.len()), (1, 0));
    assert!(matches!(read(folder.path(), None), Err(CorpusError::NoMidi(_))));
    assert!(matches!(read(&plain, None), Err(CorpusError::Missing(_))));
    std::fs::write(folder.path().join("bad.mid"), b"?").unwrap();
    let error = read(&folder.path().join("bad.mid"), None).unwrap_err();
    assert!(matches!(error, CorpusError::NothingUsable { n_files: 1, .. }), "{error}");
}

#[test]
fn progress_counts_every_file_and_cancelling_ends_reading() {
    let folder = folder_of(5);
    let (n_calls, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let paths = [folder.path().to_owned()];
    let progress = |progress: etude::tokens::ReadProgress| {
        assert_eq!(progress.n_files, 5);
        n_calls.fetch_add(1, Ordering::Relaxed);
        most.fetch_max(progress.n_done, Ordering::Relaxed);
    };
    read_corpus(&paths, &nearest(), None, &CancelToken::new(), &progress).unwrap();
    assert_eq!((n_calls.into_inner(), most.into_inner()), (6, 5));
    let cancel = CancelToken::new();
    cancel.cancel();
    let cancelled = read_corpus(&paths, &nearest(), None, &cancel, &|_| {});
    assert!(matches!(cancelled, Err(CorpusError::Cancelled)));
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end_and_odd_names_are_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_of(2);
    let deep = folder.path().join("deep");
    std::fs::create_dir(&deep).unwrap();
    std::os::unix::fs::symlink(folder.path(), deep.join("back")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("broken.mid")).unwrap();
    let odd = deep.join(OsStr::from_bytes(b"pr\xe9lude.mid"));
    std::fs::write(&odd, smf::write(&small_piece(9))).unwrap();
    let corpus = read(folder.path(), None).unwrap();
    assert_eq!(corpus.pieces.len(), 3);
    assert!(corpus.pieces.iter().any(|piece| piece.path == odd));
    assert_eq!(names(corpus.skipped.into_iter().map(|skipped| skipped.path)), ["broken.mid"]);
}

#[test]
fn the_cache_answers_the_same_and_a_damaged_one_is_survived() {
    let (folder, cache) = (folder_of(4), tempfile::tempdir().unwrap());
    let cold = read(folder.path(), Some(cache.path())).unwrap();
    let pack = match files_below(cache.path()).as_slice() {
        [pack] => pack.clone(),
        files => panic!("{files:?}"),
    };
    let kept = std::fs::read(&pack).unwrap();
    assert_eq!(read(folder.path(), Some(cache.path())).unwrap(), cold);
    assert_eq!(std::fs::read(&pack).unwrap(), kept, "nothing is remembered twice");

    // It is really used: an entry under another piece's hash changes what is read.
    let place = |idx: usize| {
        let key = cold.pieces[idx].sha256.as_bytes();
        kept.windows(key.len()).position(|window| window == key).unwrap()
    };
    let mut mixed = kept.clone();
    for (from, to) in [(0, 1), (1, 0)] {
        let key = cold.pieces[from].sha256.as_bytes();
        mixed[place(to)..place(to) + key.len()].copy_from_slice(key);
    }
    std::fs::write(&pack, mixed).unwrap();
    let mixed = read(folder.path(), Some(cache.path())).unwrap();
    let spelled = |corpus: &Corpus, idx: usize| -> Vec<Chord> {
        corpus.pieces[idx].chords.iter().map(|&id| corpus.chords[id as usize]).collect()
    };
    assert_eq!(spelled(&mixed, 0), spelled(&cold, 1));

    // Damaged in every way it is as if it weren't there, and it is mended.
    let mut flipped = kept.clone();
    // The last entry of a pack is short, and which one it is depends on who was read first.
    flipped[place(0) + 100] ^= 1;
    let mut endless = kept.clone();
    endless[place(1) + 64..place(1) + 72].fill(0xff);
    for damaged in
        [&b""[..], b"etudefrm", &kept[..kept.len() - 1], &[0xff; 5_000], &flipped, &endless]
    {
        std::fs::write(&pack, damaged).unwrap();
        assert_eq!(read(folder.path(), Some(cache.path())).unwrap(), cold);
        let mended = std::fs::read(&pack).unwrap();
        assert_eq!(read(folder.path(), Some(cache.path())).unwrap(), cold);
        assert_eq!(std::fs::read(&pack).unwrap(), mended, "all of it is remembered again");
    }

    // Another plan has entries of its own; a cache that can't be written costs nothing.
    let faster = plan(8.0, Framing::Nearest);
    let paths = [folder.path().to_owned()];
    let silent = |cache: &Path| {
        read_corpus(&paths, &faster, Some(cache), &CancelToken::new(), &|_| {}).unwrap()
    };
    let corpus = silent(cache.path());
    assert_eq!(files_below(cache.path()).len(), 2);
    assert_eq!(silent(&folder.path().join("piece00.mid")), corpus);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_table_of_maestro_gives_the_set_its_own_split() {
    let folder = folder_of(4);
    let table = "canonical_composer,split,midi_filename\n\
                 A,train,piece00.mid\nA,validation,piece01.mid\nA,test,piece02.mid\n";
    std::fs::write(folder.path().join("maestro-v9.csv"), table).unwrap();
    let corpus = read(folder.path(), None).unwrap();
    let expected = [OwnPart::Train, OwnPart::Valid, OwnPart::Test, OwnPart::Train];
    assert_eq!(corpus.own_split.as_deref(), Some(&expected[..]));
    assert_eq!(corpus.warnings.len(), 1);
    let split = Split::new(&corpus, SplitKind::Pieces, 0).unwrap();
    assert_eq!(pieces_in(&split.train), [0, 3]);
    assert_eq!(pieces_in(&split.valid), [1]);
    assert_eq!(pieces_in(&split.test), [2]);
}

#[test]
fn every_odd_file_is_read_or_skipped_with_its_reason() {
    let Some(data) = common::test_data("every_odd_file_is_read_or_skipped_with_its_reason") else {
        return;
    };
    let paths: Vec<PathBuf> = files_below(&data.join("odd-midi"));
    for (per_second, framing) in
        [(2.0, Framing::Nearest), (200.0, Framing::Nearest), (30.0, Framing::Original)]
    {
        let plan = plan(per_second, framing);
        let corpus = read_corpus(&paths, &plan, None, &CancelToken::new(), &|_| {}).unwrap();
        assert_eq!(corpus.pieces.len() + corpus.skipped.len(), paths.len());
        for skipped in &corpus.skipped {
            assert!(!skipped.reason.is_empty() && !skipped.reason.contains('\n'), "{skipped:?}");
        }
        for piece in &corpus.pieces {
            let chord = |id: &u32| corpus.chords[*id as usize];
            let ends = [piece.chords.first(), piece.chords.last()];
            let trimmed = ends.iter().all(|id| id.is_some_and(|id| !chord(id).is_rest()));
            assert!(trimmed, "{} begins or ends with a rest", piece.path.display());
        }
        let reason = |name: &str| {
            let found = corpus.skipped.iter().find(|skipped| skipped.path.ends_with(name));
            found.map_or(String::new(), |skipped| skipped.reason.clone())
        };
        let drums = reason("made/c13_drums_only.mid");
        assert!(drums.contains("only percussion"), "{drums}");
        assert!(!reason("made/a20_silence_only.mid").is_empty());
        let day = reason("made/b21_24_hours.mid");
        assert_eq!(day.contains("choose a lower frame rate"), per_second == 200.0, "{day}");
        assert_eq!(reason("made/b19_max_delta_once.mid"), "");
    }
}

#[test]
fn maestro_brings_its_own_split_also_when_a_folder_inside_it_is_named() {
    let name = "maestro_brings_its_own_split_also_when_a_folder_inside_it_is_named";
    let Some(data) = common::test_data(name) else { return };
    let paths = [data.join("maestro-2004/2004")];
    let corpus = read_corpus(&paths, &nearest(), None, &CancelToken::new(), &|_| {}).unwrap();
    let parts = corpus.own_split.as_deref().unwrap();
    let count = |part| parts.iter().filter(|own| **own == part).count();
    let counts = [OwnPart::Train, OwnPart::Valid, OwnPart::Test].map(count);
    assert_eq!((parts.len(), counts), (132, [103, 16, 13]));
    let warned = corpus.warnings.iter().any(|(_, text)| text.contains("table"));
    assert!(!warned, "{:?}", corpus.warnings);
}

// Split.

fn sources(names: &[&str]) -> Corpus {
    let pieces: Vec<(String, Score)> =
        (1..).zip(names).map(|(seed, name)| ((*name).to_owned(), small_piece(seed))).collect();
    read_sources(&pieces, &nearest()).unwrap()
}

fn pieces_in(stretches: &[Stretch]) -> Vec<usize> {
    stretches.iter().flat_map(|stretch| stretch.parts.iter().map(|part| part.0)).collect()
}

#[test]
fn every_piece_is_on_one_side_and_the_seed_decides_which() {
    let names: Vec<String> = (0..40).map(|number| format!("piece{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let corpus = sources(&names);
    let split = Split::new(&corpus, SplitKind::Pieces, 1).unwrap();
    assert_eq!((split.train.len(), split.valid.len(), split.test.len()), (32, 4, 4));
    let mut all = [&split.train, &split.valid, &split.test].map(|part| pieces_in(part)).concat();
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
    assert_eq!(Split::new(&corpus, SplitKind::Pieces, 1).unwrap(), split);
    assert_ne!(Split::new(&corpus, SplitKind::Pieces, 2).unwrap(), split);
    for (n, expected) in [(2, (1, 1, 0)), (9, (8, 1, 0)), (10, (8, 1, 1))] {
        let split = Split::new(&sources(&names[..n]), SplitKind::Pieces, 3).unwrap();
        assert_eq!((split.train.len(), split.valid.len(), split.test.len()), expected, "of {n}");
    }
    let alone = Split::new(&sources(&names[..1]), SplitKind::Pieces, 0).unwrap_err();
    assert!(
        matches!(alone, SplitError::TooFewPieces(_)) && alone.to_string().contains("--split tail")
    );
}

#[test]
fn parts_of_one_composition_stay_together() {
    let names = [
        "a_1", "a_2", "b-1", "b-2", "c--1", "c--2", "d 1", "d 2", "e", "f", "g_1", "g_2", "h", "i",
        "j_100", "j_200", "k1", "k2", "l", "m",
    ];
    let corpus = sources(&names);
    let shared = [("a_1", "a_2"), ("b-1", "b-2"), ("c--1", "c--2"), ("d 1", "d 2"), ("g_1", "g_2")];
    for seed in 0..50 {
        let split = Split::new(&corpus, SplitKind::Pieces, seed).unwrap();
        let side = |name: &str| {
            let path = PathBuf::from(format!("<{name}>"));
            let idx = corpus.pieces.iter().position(|piece| piece.path == path).unwrap();
            [&split.train, &split.valid, &split.test]
                .iter()
                .position(|part| pieces_in(part).contains(&idx))
        };
        for (one, other) in shared {
            assert_eq!(side(one), side(other), "{one} and {other} with seed {seed}");
        }
        for part in [&split.valid, &split.test] {
            assert!((1..=2).contains(&part.len()), "{} with seed {seed}", part.len());
        }
    }
    // A folder that is one series is still split.
    let series = sources(&["s_1", "s_2", "s_3", "s_4", "s_5", "s_6", "s_7", "s_8"]);
    let split = Split::new(&series, SplitKind::Pieces, 0).unwrap();
    assert_eq!((split.train.len(), split.valid.len()), (7, 1));
}

#[test]
fn the_tail_is_the_last_fifth_across_pieces() {
    let corpus = sources(&["a", "b", "c"]);
    let n_frames = corpus.n_frames();
    let split = Split::new(&corpus, SplitKind::Tail, 0).unwrap();
    assert_eq!((split.train.len(), split.valid.len(), split.test.len()), (1, 1, 0));
    assert_eq!(split.train[0].n_frames(), n_frames * 4 / 5);
    assert_eq!(split.train[0].n_frames() + split.valid[0].n_frames(), n_frames);
    let mut begin = 0;
    let mut last = 0;
    for (piece, frames) in split.train[0].parts.iter().chain(&split.valid[0].parts) {
        if *piece != last {
            (begin, last) = (0, *piece);
        }
        assert_eq!(frames.start, begin);
        begin = frames.end;
    }
    let short = read_sources(&[("x".to_owned(), piano(&[(0, 480, 60)]))], &nearest()).unwrap();
    let error = Split::new(&short, SplitKind::Tail, 0).unwrap_err();
    assert_eq!(error, SplitError::TooShort { n_frames: 1, needed: 5 });
}

// Vocabulary and encoding.

/// Frames of single keys: each number is a pitch, 0 a rest.
fn corpus_of(pieces: &[&[u8]]) -> Corpus {
    let pieces: Vec<(String, Score)> = (0..)
        .zip(pieces)
        .map(|(idx, keys): (usize, _)| {
            let roll: Vec<Chord> = keys
                .iter()
                .map(|&key| if key == 0 { Chord::REST } else { chord(&[key]) })
                .collect();
            let playback = Playback { rate: FrameRate::INPUT_DEFAULT, ..Playback::default() };
            (format!("{idx:03}"), score_from_roll(&roll, &playback))
        })
        .collect();
    read_sources(&pieces, &nearest()).unwrap()
}

fn keys(vocabulary: &ChordVocabulary) -> Vec<u8> {
    let key = |chord: &Chord| chord.pitches().next().map_or(0, Pitch::number);
    vocabulary.chords().iter().map(key).collect()
}

#[test]
fn the_vocabulary_is_of_the_learning_pieces_in_order_of_appearance_and_limited() {
    let corpus = corpus_of(&[&[70, 71, 70, 0, 72], &[90, 91], &[71, 60, 72, 70]]);
    let encode = |max_chords, min_count| {
        Encoding::new(&corpus, &[2, 0], VocabularyLimits { max_chords, min_count }, 0)
    };
    let all = encode(None, 0);
    assert_eq!(keys(&all.vocabulary), [0, 70, 71, 72, 60]);
    assert_eq!(all.vocabulary.counts(), [1, 3, 2, 2, 1]);
    assert_eq!(keys(&encode(Some(3), 0).vocabulary), [0, 70, 71]);
    assert_eq!(keys(&encode(Some(1), 0).vocabulary), [0]);
    assert_eq!(keys(&encode(Some(0), 0).vocabulary), [0]);
    let often = encode(None, 2);
    assert_eq!(keys(&often.vocabulary), [0, 70, 71, 72]);
    // Chords outside are read as their nearest and predicted as the escape.
    let id = |key: u8| corpus.chords.iter().position(|known| *known == chord(&[key])).unwrap();
    let escape = often.vocabulary.escape();
    assert_eq!(
        (often.input[id(60)], often.learned[id(60)], often.measured[id(60)]),
        (3, escape, escape)
    );
    assert_eq!((often.input[id(72)], often.learned[id(72)], often.measured[id(72)]), (3, 3, 3));
    assert_eq!(often.input[id(91)], 3);
    assert_eq!(often.coverage(&corpus, &[0, 2]), 8.0 / 9.0);
    assert_eq!(often.coverage(&corpus, &[1]), 0.0);
    assert_eq!(all.coverage(&corpus, &[0, 2]), 1.0);
    // What is held out is counted frame by frame, and what is tested on counts as well.
    let stretch = |piece, frames| Stretch { parts: vec![(piece, frames)] };
    let split = |valid, test| Split { train: vec![stretch(2, 0..4)], valid, test };
    let part = split(vec![stretch(0, 3..5)], vec![]);
    assert_eq!(often.held_out_coverage(&corpus, &part), 1.0);
    let both = split(vec![stretch(0, 3..5)], vec![stretch(1, 0..2), stretch(2, 1..2)]);
    assert_eq!(often.held_out_coverage(&corpus, &both), 2.0 / 5.0);
}

#[test]
fn a_stated_share_of_the_chords_seen_once_is_escaped_and_the_seed_decides_which() {
    let once: Vec<u8> = (20..120).collect();
    let corpus = corpus_of(&[&once, &[1, 1, 0, 1]]);
    let encode = |seed| Encoding::new(&corpus, &[0, 1], VocabularyLimits::default(), seed);
    let encoding = encode(5);
    let escape = encoding.vocabulary.escape();
    let escaped = |encoding: &Encoding| -> Vec<usize> {
        (0..encoding.learned.len()).filter(|&id| encoding.learned[id] == escape).collect()
    };
    assert_eq!(escaped(&encoding).len(), 10);
    assert!(encoding.measured.iter().all(|&token| token != escape));
    assert_eq!(escaped(&encode(5)), escaped(&encoding));
    assert_ne!(escaped(&encode(6)), escaped(&encoding));
    // The rest was seen once too, but it is always itself.
    assert_eq!(encoding.learned[0], 0);
    let vocabulary = encoding.vocabulary.clone();
    assert_eq!(Encoding::resumed(&corpus, vocabulary.clone(), 5), encoding);
    let evaluated = Encoding::with_vocabulary(&corpus, vocabulary);
    assert_eq!(evaluated.learned, evaluated.measured);
    assert_eq!(evaluated.input, encoding.input);
}

#[test]
fn a_slower_tempo_makes_more_frames() {
    let quarter = TicksPerQuarter::new(480).unwrap();
    let mut score = piano(&[(0, 960, 60)]);
    score.tempo_map = TempoMap::constant(quarter, 1_000_000);
    assert_eq!(shown(&score, &nearest()), "C4 C4 C4 C4");
}
