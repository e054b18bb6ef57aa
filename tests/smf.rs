//! Reading and writing Standard MIDI Files: round trips, damage of any kind, whole collections.

mod common;
#[path = "common/scores.rs"]
mod scores;

use std::path::{Path, PathBuf};

use etude::music::smf::{self, ImportError, ImportWarning};
use etude::music::{
    Extra, ExtraMessage, Note, Part, PedalSpan, Pitch, Score, TempoMap, Tick, Velocity,
};
use proptest::prelude::*;
use rayon::prelude::*;
use scores::{score_strategy, told_apart};

/// A file of one format 1 track with these events and an end of track.
fn file(division: u16, events: &[u8]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\x01\0\x01".to_vec();
    bytes.extend(division.to_be_bytes());
    bytes.extend(b"MTrk");
    bytes.extend((events.len() as u32 + 4).to_be_bytes());
    bytes.extend(events);
    bytes.extend([0, 0xff, 0x2f, 0]);
    bytes
}

const ONE_NOTE: &[u8] = &[0, 0x90, 60, 80, 0x60, 60, 0];

/// `n_notes` good notes, then bytes that mean nothing.
fn damaged_after(n_notes: usize, n_damaged: usize) -> Vec<u8> {
    let mut events = Vec::new();
    for idx in 0..n_notes {
        let key = 40 + (idx % 40) as u8;
        events.extend([0, 0x90, key, 80, 0x60, 0x80, key, 0]);
    }
    events.extend(vec![0xfd; n_damaged]);
    file(480, &events)
}

/// What is read for frames alone is what is read for a score: `None`, or what differs.
fn differs_for_frames(bytes: &[u8]) -> Option<String> {
    let (import, sounding) = match (smf::read(bytes), smf::read_sounding(bytes)) {
        (Ok(import), Ok(sounding)) => (import, sounding),
        (Err(whole), Err(sound)) if whole.to_string() == sound.to_string() => return None,
        (whole, sound) => return Some(format!("{whole:?} but {sound:?}")),
    };
    let score = &import.score;
    let in_order = |notes: &[Note]| {
        let mut ordered = Score::default();
        ordered.set_notes(notes.to_vec());
        ordered.notes().to_vec()
    };
    let mut pedal = sounding.pedal.clone();
    pedal.sort_by_key(|span| (span.start, span.part, span.end));
    let channels: Vec<u8> = score.parts.iter().map(|part| part.channel).collect();
    let same = [
        ("notes", in_order(&sounding.notes) == score.notes()),
        ("drums", in_order(&sounding.drums) == score.drums),
        ("pedal", pedal == score.pedal),
        ("tempo", sounding.tempo_map == score.tempo_map),
        ("channels", sounding.channels == channels),
        ("length", sounding.duration_secs() == score.duration_secs()),
        ("warnings", sounding.warnings == import.warnings),
    ];
    same.iter().find(|(_, is_same)| !is_same).map(|(what, _)| format!("other {what}"))
}

#[test]
fn a_long_damaged_tail_does_not_cost_the_notes_before_it() {
    let import = smf::read(&damaged_after(7_500, 1_000_000)).unwrap();
    assert_eq!((import.score.notes().len(), import.n_note_ons), (7_500, 7_500));
    let is_damage = |warning: &ImportWarning| matches!(warning, ImportWarning::TrackDamaged { .. });
    assert_eq!(import.warnings.iter().filter(|warning| is_damage(warning)).count(), 1);
    // A few notes before much damage are more likely chance than music.
    let refused = smf::read(&damaged_after(3, 1_000_000));
    assert!(matches!(refused, Err(ImportError::Damaged { .. })), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_score_reads_back_equal(score in score_strategy()) {
        let bytes = smf::write(&score);
        let import = smf::read(&bytes).unwrap();
        prop_assert_eq!(&import.warnings, &Vec::<ImportWarning>::new());
        prop_assert_eq!(import.score, score);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = smf::read(&bytes);
        let mut with_header = file(480, &bytes);
        prop_assert_eq!(differs_for_frames(&with_header), None);
        with_header[12] = 0x80;
        let _ = smf::read(&with_header);
    }

    #[test]
    fn no_damage_makes_it_panic_or_leaves_the_score_out_of_order(
        score in score_strategy(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = smf::write(&score);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert_eq!(differs_for_frames(&bytes), None);
        if let Ok(import) = smf::read(&bytes) {
            let score = import.score;
            prop_assert!(score.notes().iter().all(|note| note.length.0 > 0));
            prop_assert!(score.notes().iter().all(|note| usize::from(note.part) < score.parts.len()));
            prop_assert!(score.pedal.iter().all(|span| span.start < span.end));
            prop_assert_eq!(score.notes().len() + score.drums.len(), import.n_note_ons);
            // Whatever was understood can be written and read again.
            let again = smf::read(&smf::write(&score)).unwrap();
            let mut told = score.clone();
            told.set_notes(told_apart(score.notes().to_vec()));
            prop_assert_eq!(again.score.notes(), told.notes());
        }
    }
}

#[test]
fn a_division_that_overflows_elsewhere_is_read() {
    // Minus 128 frames a second, which can't be negated in eight bits.
    let import = smf::read(&file(0x8028, ONE_NOTE)).unwrap();
    assert_eq!(import.warnings, [ImportWarning::TimeCodeRate(128)]);
}

#[test]
fn silences_longer_than_a_delta_time_survive() {
    let late = Note {
        start: Tick(2_000_000_000),
        length: Tick(1),
        pitch: Pitch::MIDDLE_C,
        velocity: Velocity::MAX,
        part: 0,
    };
    let score = Score::piano(TempoMap::default(), vec![late]);
    let import = smf::read(&smf::write(&score)).unwrap();
    assert_eq!(import.score, score);
}

#[test]
fn time_that_cant_be_counted_is_held_at_its_limit() {
    let mut events = [0xff, 0xff, 0xff, 0x7f, 0xff, 0x01, 0x00].repeat(10);
    events.extend(ONE_NOTE);
    let import = smf::read(&file(480, &events)).unwrap();
    assert!(import.warnings.iter().any(|it| matches!(it, ImportWarning::TimeOverflow { .. })));
    assert_eq!(import.score.notes()[0].length, Tick(1));
}

#[test]
fn a_part_without_notes_survives() {
    let mut score = Score::piano(TempoMap::default(), Vec::new());
    score.parts.push(Part { name: "Cello".to_owned(), channel: 3, program: 42, ..Part::default() });
    let mut note = Note {
        start: Tick(7),
        length: Tick(9),
        pitch: Pitch::MIDDLE_C,
        velocity: Velocity::COMPOSED,
        part: 2,
    };
    score.parts.push(Part { name: "Flute".to_owned(), channel: 4, program: 73, ..Part::default() });
    score.set_notes(vec![note]);
    assert_eq!(smf::read(&smf::write(&score)).unwrap().score, score);
    // A note of a part that isn't listed is written all the same.
    note.part = 6;
    score.set_notes(vec![note]);
    assert_eq!(smf::read(&smf::write(&score)).unwrap().score.notes(), [note]);
}

/// A file of format 1 with these tracks, without their ends.
fn file_of_tracks(tracks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\x01".to_vec();
    bytes.extend((tracks.len() as u16).to_be_bytes());
    bytes.extend(480u16.to_be_bytes());
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32 + 4).to_be_bytes());
        bytes.extend(track);
        bytes.extend([0, 0xff, 0x2f, 0]);
    }
    bytes
}

#[test]
fn tracks_that_sound_nothing_stay_apart() {
    let named = |name: &str| [&[0, 0xff, 3, name.len() as u8], name.as_bytes()].concat();
    // A program for the notes of another track, as some programs write it.
    let set_up = vec![0, 0xc0, 12];
    let tracks = [named("Waltz"), named("by me"), set_up, ONE_NOTE.to_vec(), vec![], named("1890")];
    let first = smf::read(&file_of_tracks(&tracks)).unwrap();
    assert_eq!((first.score.title.as_str(), first.score.parts.len()), ("Waltz", 1));
    assert_eq!(first.score.parts[0].program, 12);
    let again = smf::read(&smf::write(&first.score)).unwrap();
    assert_eq!((again.n_tracks, again.score), (tracks.len(), first.score));
}

#[test]
fn tracks_of_percussion_stay_apart() {
    // The short note lies inside the long one: on one track MIDI could not tell them apart.
    let long = vec![0, 0x99, 36, 90, 0x60, 0x89, 36, 0];
    let short = vec![0x10, 0x99, 36, 70, 0x10, 0x89, 36, 0, 0, 0xb9, 7, 80];
    let first = smf::read(&file_of_tracks(&[vec![], long, short])).unwrap();
    let lengths: Vec<u32> = first.score.drums.iter().map(|note| note.length.0).collect();
    assert_eq!(lengths, [0x60, 0x10]);
    let again = smf::read(&smf::write(&first.score)).unwrap();
    assert_eq!((again.n_tracks, again.score), (3, first.score));
}

#[test]
fn what_isnt_used_is_written_again() {
    let mut events = vec![0, 0xff, 0x59, 2, 0xfd, 1];
    events.extend([0, 0xb0, 7, 99, 0, 0xe0, 0, 0x20, 0, 0xff, 5, 2, b'l', b'a']);
    events.extend(ONE_NOTE);
    events.extend([0, 0xf0, 3, 0x7e, 1, 0xf7]);
    let first = smf::read(&file(480, &events)).unwrap().score;
    assert_eq!(first.extras.len(), 5);
    assert_eq!(smf::read(&smf::write(&first)).unwrap().score.extras, first.extras);
}

#[test]
fn thousands_of_wrong_lengths_take_no_time() {
    let mut bytes = file(480, ONE_NOTE);
    for _ in 0..60_000 {
        bytes.extend(b"MTrk\0\0\0\x01");
    }
    let import = smf::read(&bytes).unwrap();
    assert!(import.n_tracks > 10_000);
    assert!(import.warnings.len() < 30, "{}", import.warnings.len());
}

#[test]
fn paths_that_hold_no_midi_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &Path| smf::read_file(path).unwrap_err();
    assert!(matches!(read(folder.path()), ImportError::Folder));
    assert!(matches!(read(&folder.path().join("missing.mid")), ImportError::Io(_)));
    let zeros = folder.path().join("zeros.mid");
    std::fs::File::create(&zeros).unwrap().set_len(2 << 30).unwrap();
    assert!(matches!(read(&zeros), ImportError::TooLarge { bytes: 0x8000_0000, .. }));
    let empty = folder.path().join("empty.mid");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(read(&empty), ImportError::Empty));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let error = smf::read_file(Path::new("/dev/null")).unwrap_err();
    assert!(matches!(error, ImportError::NotAFile));
}

/// One row of a collection's `FILES.csv`.
struct Listed {
    path: PathBuf,
    n_notes: usize,
    secs: f64,
}

fn listed(folder: &Path) -> Vec<Listed> {
    let mut table = csv::Reader::from_path(folder.join("FILES.csv")).unwrap();
    let headers = table.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (path, notes, secs) = (column("path"), column("notes"), column("seconds"));
    let rows = table.records().map(|row| {
        let row = row.unwrap();
        Listed {
            path: folder.join(&row[path]),
            n_notes: row[notes].parse().unwrap(),
            secs: row[secs].parse().unwrap(),
        }
    });
    rows.collect()
}

/// Every file of a collection reads without a warning, with the notes and the length its table
/// states, and is the same after writing and reading again.
fn check_collection(folder: &Path, n_files: usize) {
    let files = listed(folder);
    assert_eq!(files.len(), n_files);
    let complaints: Vec<String> = files
        .par_iter()
        .filter_map(|file| {
            let name = file.path.display();
            let import = match smf::read_file(&file.path) {
                Ok(import) => import,
                Err(error) => return Some(format!("{name}: {error}")),
            };
            if !import.warnings.is_empty() {
                return Some(format!("{name}: {:?}", import.warnings));
            }
            let last = import.score.notes().iter().map(Note::end).max().unwrap_or_default();
            let secs = import.score.tempo_map.secs_from_tick(last);
            if import.n_note_ons != file.n_notes || (secs - file.secs).abs() > 0.5 {
                let n_notes = import.n_note_ons;
                return Some(format!(
                    "{name}: {n_notes} notes, {secs} s, not {} and {}",
                    file.n_notes, file.secs
                ));
            }
            let again = smf::read(&smf::write(&import.score));
            let same = |again: smf::Import| {
                again.score == import.score && again.n_tracks == import.n_tracks
            };
            (!again.is_ok_and(same)).then(|| format!("{name}: changed by writing"))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn piano_midi_de_reads_and_writes_unchanged() {
    let Some(data) = common::test_data("piano_midi_de_reads_and_writes_unchanged") else { return };
    check_collection(&data.join("piano-midi-de"), 337);
}

#[test]
fn maestro_2004_reads_and_writes_unchanged() {
    let Some(data) = common::test_data("maestro_2004_reads_and_writes_unchanged") else { return };
    check_collection(&data.join("maestro-2004"), 132);
}

/// Also the odd ones: whatever was understood of a file is there again after writing, and stays.
#[test]
fn every_file_that_is_read_is_written_unchanged() {
    let Some(data) = common::test_data("every_file_that_is_read_is_written_unchanged") else {
        return;
    };
    let found = etude::tokens::find_files(&[data], &etude::cancel::CancelToken::new()).unwrap();
    assert!(found.files.len() > 900, "{}", found.files.len());
    let changed: Vec<String> = found
        .files
        .par_iter()
        .filter_map(|path| {
            let bytes = std::fs::read(path).ok()?;
            if let Some(what) = differs_for_frames(&bytes) {
                return Some(format!("{}: {what} when read for frames", path.display()));
            }
            let first = smf::read(&bytes).ok()?;
            let again = match smf::read(&smf::write(&first.score)) {
                Ok(again) => again,
                Err(error) => return Some(format!("{}: {error}", path.display())),
            };
            let what = match (&first.score, &again.score) {
                (first, again) if first == again => return None,
                (first, again) if first.notes() != again.notes() => "notes",
                (first, again) if first.drums != again.drums => "drums",
                (first, again) if first.pedal != again.pedal => "pedal",
                (first, again) if first.tempo_map != again.tempo_map => "tempo",
                (first, again) if first.meters != again.meters => "meters",
                (first, again) if first.parts != again.parts => "parts",
                (first, again) if first.extras != again.extras => "extras",
                _ => "title",
            };
            let (before, after) = (first.score.notes(), again.score.notes());
            let other = before.iter().zip(after).find(|(before, after)| before != after);
            Some(format!("{}: other {what} {other:?}", path.display()))
        })
        .collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

fn pedal_value(extra: &Extra) -> u8 {
    match extra.message {
        ExtraMessage::Channel { status: 0xb0, data: [64, value] } => value,
        ref other => panic!("{other:?} is no value of the pedal"),
    }
}

#[test]
fn half_a_pedal_is_written_as_it_was_read_until_the_pedal_is_edited() {
    let mut events = ONE_NOTE.to_vec();
    // Down by and by, up by and by, down again and never up.
    for value in [30, 67, 112, 70, 40, 0, 100] {
        events.extend([10, 0xb0, 64, value]);
    }
    let score = smf::read(&file(96, &events)).unwrap().score;
    let values: Vec<u8> = score.extras.iter().map(pedal_value).collect();
    assert_eq!(values, [30, 67, 112, 70, 40, 0, 100, 0], "at the end the pedal goes up");
    assert_eq!(score.pedal.len(), 1);
    let again = smf::read(&smf::write(&score)).unwrap().score;
    assert_eq!(again.pedal, score.pedal);
    assert_eq!(again.extras, score.extras);

    let mut edited = score;
    edited.pedal[0].end = Tick(edited.pedal[0].end.0 + 1);
    let again = smf::read(&smf::write(&edited)).unwrap().score;
    assert_eq!(again.pedal, edited.pedal);
    assert!(again.extras.is_empty(), "plain values say no more than the spans");
}

#[test]
fn of_several_programs_before_the_first_note_the_last_is_the_parts() {
    let programs = [&[0, 0xc0, 5, 10, 0xc0, 12, 20, 0xb0, 7, 99], ONE_NOTE, &[0, 0xc0, 40]];
    let first = smf::read(&file(480, &programs.concat())).unwrap().score;
    assert_eq!(first.parts[0].program, 12);
    assert_eq!(first.extras.len(), 2, "the volume, and the program after the note");
    assert_eq!(smf::read(&smf::write(&first)).unwrap().score, first);
    // The same where another track sets them.
    let tracks = [vec![0, 0xc0, 5, 0, 0xc0, 12], ONE_NOTE.to_vec()];
    assert_eq!(smf::read(&file_of_tracks(&tracks)).unwrap().score.parts[0].program, 12);
}

#[test]
fn a_pedal_drawn_over_a_reset_of_all_controllers_stays_as_long_as_it_was_drawn() {
    let events = [ONE_NOTE, &[10, 0xb0, 1, 90, 0, 0xb0, 121, 0, 50, 0xb0, 121, 0]].concat();
    let mut score = smf::read(&file(96, &events)).unwrap().score;
    let resets: Vec<Tick> = score.extras.iter().skip(1).map(|extra| extra.tick).collect();
    let [within, after] = *resets else { panic!("{:?}", score.extras) };
    score.pedal = vec![PedalSpan { start: Tick(within.0 - 5), end: Tick(within.0 + 5), part: 0 }];
    let again = smf::read(&smf::write(&score)).unwrap().score;
    assert_eq!(again.pedal, score.pedal);
    let controls: Vec<(Tick, [u8; 2])> = again
        .extras
        .iter()
        .filter_map(|extra| match extra.message {
            ExtraMessage::Channel { status: 0xb0, data } => Some((extra.tick, data)),
            _ => None,
        })
        .collect();
    // What the reset did besides is done by name, after what came before it.
    assert_eq!(controls[..3], [(within, [1, 90]), (within, [1, 0]), (within, [11, 127])]);
    assert_eq!(controls.last(), Some(&(after, [121, 0])), "that one takes nothing from the pedal");
    assert_eq!(smf::read(&smf::write(&again)).unwrap().score, again);
}
