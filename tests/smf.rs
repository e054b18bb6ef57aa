//! Reading and writing Standard MIDI Files: round trips, damage of any kind, whole collections.

mod common;

use std::path::{Path, PathBuf};

use etude::music::smf::{self, ImportError, ImportWarning};
use etude::music::{
    Extra, ExtraHome, ExtraMessage, Meter, MeterChange, Note, Part, PedalSpan, Pitch, Score,
    TempoChange, TempoMap, Tick, TicksPerQuarter, Velocity,
};
use proptest::prelude::*;
use rayon::prelude::*;

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

fn note_strategy(n_parts: u8) -> impl Strategy<Value = Note> {
    // Few pitches and starts, so that overlaps are common.
    (0..200u32, 1..100u32, 58..63u8, 1..=127u8, 0..n_parts).prop_map(
        |(start, length, pitch, velocity, part)| Note {
            start: Tick(start * 60),
            length: Tick(length * 30),
            pitch: Pitch::new(pitch).unwrap(),
            velocity: Velocity::new(velocity).unwrap(),
            part,
        },
    )
}

/// The same notes as MIDI can tell them: of one pitch and part, what starts first ends first.
fn told_apart(notes: Vec<Note>) -> Vec<Note> {
    let mut told = Vec::new();
    let mut rest = notes;
    rest.sort_by_key(|note| (note.part, note.pitch, note.start, note.length, note.velocity));
    for group in rest.chunk_by(|a, b| (a.part, a.pitch) == (b.part, b.pitch)) {
        let mut ends: Vec<Tick> = group.iter().map(Note::end).collect();
        ends.sort_unstable();
        told.extend(
            group
                .iter()
                .zip(ends)
                .map(|(note, end)| Note { length: Tick(end.0 - note.start.0), ..*note }),
        );
    }
    told
}

fn pedal_strategy(n_parts: u8) -> impl Strategy<Value = Vec<PedalSpan>> {
    let gaps = prop::collection::vec((0..500u32, 1..500u32), 0..6);
    (gaps, 0..n_parts).prop_map(|(gaps, part)| {
        let mut now = 0;
        let span = |(gap, length): (u32, u32)| {
            let start = now + gap;
            now = start + length;
            PedalSpan { start: Tick(start), end: Tick(now), part }
        };
        gaps.into_iter().map(span).collect()
    })
}

fn extra_strategy(n_parts: u8) -> impl Strategy<Value = Extra> {
    let home = prop_oneof![
        Just(ExtraHome::Conductor),
        (0..n_parts).prop_map(ExtraHome::Part),
        Just(ExtraHome::Drums)
    ];
    let message = prop_oneof![
        (prop_oneof![Just(0xb0u8), Just(0xe0), Just(0xd0)], 1..64u8).prop_map(|(status, data)| {
            ExtraMessage::Channel { status, data: [data, if status == 0xd0 { 0 } else { 7 }] }
        }),
        ("[a-zäö]{1,9}", 1..10u8)
            .prop_map(|(text, number)| ExtraMessage::Meta { number, data: text.into_bytes() }),
        prop::collection::vec(0..128u8, 1..9).prop_map(ExtraMessage::SysEx),
    ];
    (0..3000u32, home, message).prop_map(|(tick, home, message)| Extra {
        tick: Tick(tick),
        home,
        message,
    })
}

prop_compose! {
    fn score_strategy()(n_parts in 1..4u8)(
        title in "[A-Za-zé]{0,12}",
        division in 1..=0x7fffu16,
        tempos in prop::collection::vec((0..9000u32, 10_000..0xff_ffffu32), 0..5),
        meters in prop::collection::btree_map(0..9000u32, (1..=255u8, 0..=6u8), 0..4),
        parts in prop::collection::vec(("[a-z]{0,6}", 0..9u8, 0..128u8), usize::from(n_parts)),
        notes in prop::collection::vec(note_strategy(n_parts), 1..60),
        drums in prop::collection::vec(note_strategy(1), 0..10),
        pedal in pedal_strategy(n_parts),
        extras in prop::collection::vec(extra_strategy(n_parts), 0..12),
    ) -> Score {
        let tempos = tempos.into_iter().map(|(tick, micros_per_quarter)| TempoChange {
            tick: Tick(tick),
            micros_per_quarter,
        });
        let tempo_map = TempoMap::new(TicksPerQuarter::new(division).unwrap(), tempos.collect());
        let mut score = Score::piano(tempo_map, told_apart(notes));
        score.title = title;
        score.meters = meters
            .into_iter()
            .map(|(tick, (numerator, denominator_power))| MeterChange {
                tick: Tick(tick),
                meter: Meter { numerator, denominator_power },
            })
            .collect();
        score.parts = parts
            .into_iter()
            .map(|(name, channel, program)| Part { name, channel, program })
            .collect();
        score.set_drums(told_apart(drums));
        score.pedal = pedal;
        let mut extras = extras;
        if score.drums.is_empty() {
            extras.retain(|extra| extra.home != ExtraHome::Drums);
        }
        for extra in &mut extras {
            // A part's messages are on its channel, percussion's on channel 10.
            let channel = match extra.home {
                ExtraHome::Conductor => 5,
                ExtraHome::Part(part) => score.parts[usize::from(part)].channel,
                ExtraHome::Drums => 9,
            };
            if let ExtraMessage::Channel { status, .. } = &mut extra.message {
                *status |= channel;
            }
        }
        extras.sort_by_key(|extra| (extra.tick, extra.home));
        score.extras = extras.into();
        score
    }
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
        let _ = smf::read(&with_header);
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
    score.parts.push(Part { name: "Cello".to_owned(), channel: 3, program: 42 });
    let mut note = Note {
        start: Tick(7),
        length: Tick(9),
        pitch: Pitch::MIDDLE_C,
        velocity: Velocity::COMPOSED,
        part: 2,
    };
    score.parts.push(Part { name: "Flute".to_owned(), channel: 4, program: 73 });
    score.set_notes(vec![note]);
    assert_eq!(smf::read(&smf::write(&score)).unwrap().score, score);
    // A note of a part that isn't listed is written all the same.
    note.part = 6;
    score.set_notes(vec![note]);
    assert_eq!(smf::read(&smf::write(&score)).unwrap().score.notes(), [note]);
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
            let again = again.map(|again| again.score == import.score).unwrap_or(false);
            (!again).then(|| format!("{name}: changed by writing"))
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
