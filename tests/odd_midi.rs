//! Import of hard, bad and edge files: every one of `odd-midi` as its `expect.json` says.

mod common;

use std::path::{Path, PathBuf};

use etude::music::Tick;
use etude::music::smf::{self, Import, ImportError};
use serde::Deserialize;

/// One entry of `expect.json`.
#[derive(Deserialize)]
struct Expectation {
    file: String,
    verdict: Verdict,
    /// Note-ons with a velocity; null where nobody can tell.
    notes: Option<usize>,
    drums: usize,
    should: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Load,
    Warn,
    Error,
}

fn odd_midi(test: &str) -> Option<PathBuf> {
    common::test_data(test).map(|data| data.join("odd-midi"))
}

/// What is wrong with how a file was read, if anything.
fn complaint(expected: &Expectation, read: &Result<Import, ImportError>) -> Option<String> {
    let lines: Vec<String> = match read {
        Ok(import) => import.warnings.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    if let Some(line) = lines.iter().find(|line| line.lines().count() != 1) {
        return Some(format!("not one line: {line:?}"));
    }
    match (expected.verdict, read) {
        (Verdict::Load, Ok(import)) => {
            let counts = (import.n_note_ons, import.n_drum_note_ons);
            let wanted = (expected.notes.unwrap_or_default(), expected.drums);
            (counts != wanted).then(|| format!("notes and drums {counts:?}, not {wanted:?}"))
        }
        // A flipped bit may make another note, which nothing can tell.
        (Verdict::Warn, Ok(_)) if expected.should.starts_with("load or clear error") => None,
        (Verdict::Warn, Ok(import)) if import.warnings.is_empty() => {
            Some("loaded without a warning".to_owned())
        }
        (Verdict::Warn, Ok(import)) => {
            let wanted = expected.notes.unwrap_or_default();
            // Some files can be read in two ways; fewer notes than the poorer is a loss.
            (import.n_note_ons < wanted.min(4)).then(|| format!("{} notes", import.n_note_ons))
        }
        (Verdict::Warn | Verdict::Error, Err(_)) => None,
        (Verdict::Load, Err(error)) => Some(format!("refused: {error}")),
        (Verdict::Error, Ok(import)) => Some(format!("loaded, {} notes", import.n_note_ons)),
    }
}

#[test]
fn every_odd_file_is_read_as_expected() {
    let Some(folder) = odd_midi("every_odd_file_is_read_as_expected") else { return };
    let json = std::fs::read_to_string(folder.join("expect.json")).unwrap();
    let expectations: Vec<Expectation> = serde_json::from_str(&json).unwrap();
    assert_eq!(expectations.len(), 231);
    let mut complaints = Vec::new();
    for expected in &expectations {
        let read = smf::read_file(&folder.join(&expected.file));
        if let Some(complaint) = complaint(expected, &read) {
            complaints.push(format!("{} ({}): {complaint}", expected.file, expected.should));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Start and end of every note in seconds, in the order of the score.
fn spans(folder: &Path, name: &str) -> (Import, Vec<(f64, f64)>) {
    let import = smf::read_file(&folder.join("made").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let map = &import.score.tempo_map;
    let secs = |tick: Tick| (map.secs_from_tick(tick) * 1e6).round() / 1e6;
    let spans =
        import.score.notes().iter().map(|note| (secs(note.start), secs(note.end()))).collect();
    (import, spans)
}

/// Notes of one length, one after the other.
fn row(count: usize, secs: f64) -> Vec<(f64, f64)> {
    (0..count).map(|idx| (idx as f64 * secs, (idx + 1) as f64 * secs)).collect()
}

#[test]
fn notes_last_as_long_as_they_should() {
    let Some(folder) = odd_midi("notes_last_as_long_as_they_should") else { return };
    let spans = |name: &str| spans(&folder, name).1;
    assert_eq!(spans("a01_format0_scale.mid"), row(8, 0.25));
    let (two_hands, _) = self::spans(&folder, "a02_format1_two_hands.mid");
    assert_eq!(two_hands.n_tracks, 3);
    assert_eq!(two_hands.score.tempo_map.tempo_at(Tick::ZERO).micros_per_quarter, 600_000);
    let mut slow_then_fast = row(4, 0.5);
    slow_then_fast.extend(row(4, 0.125).iter().map(|(start, end)| (start + 2.0, end + 2.0)));
    assert_eq!(spans("a03_format1_tempo_only_in_track0.mid"), slow_then_fast);
    let in_track_1 = spans("a04_format1_tempo_in_track1.mid");
    assert_eq!(in_track_1.last().map(|span| span.1), Some(4.0));
    assert_eq!(spans("b05_smpte_25_40.mid"), row(8, 0.5));
    assert_eq!(spans("b06_smpte_24_80.mid"), row(8, 0.5));
    assert_eq!(spans("b08_smpte_30_80_with_tempo.mid"), row(8, 0.5));
    for (start, end) in spans("b07_smpte_29_100_dropframe.mid") {
        assert!((end - start - 0.5).abs() < 0.001, "{start} to {end}");
    }
    assert_eq!(spans("b17_tempo_change_inside_note.mid"), [(0.0, 2.5)]);
}

#[test]
fn sequences_of_format_2_follow_one_another() {
    let Some(folder) = odd_midi("sequences_of_format_2_follow_one_another") else { return };
    let (import, spans) = spans(&folder, "a05_format2_two_patterns.mid");
    assert_eq!(import.score.parts.len(), 2);
    assert_eq!(spans.len(), 16);
    let end_of_first = spans[..8].iter().map(|span| span.1).fold(0.0, f64::max);
    assert!(spans[8..].iter().all(|span| span.0 >= end_of_first), "{spans:?}");
}

#[test]
fn overlapping_and_unended_notes_end_where_they_should() {
    let Some(folder) = odd_midi("overlapping_and_unended_notes_end_where_they_should") else {
        return;
    };
    let ticks = |name: &str| -> Vec<(u32, u32)> {
        let (import, _) = spans(&folder, name);
        import.score.notes().iter().map(|note| (note.start.0, note.end().0)).collect()
    };
    let eighths: Vec<_> = (0..8).map(|idx| (idx * 240, idx * 240 + 240)).collect();
    assert_eq!(ticks("c07_restrike_off_after_on.mid"), eighths);
    assert_eq!(ticks("c08_overlap_same_pitch.mid"), [(0, 480), (240, 720)]);
    assert_eq!(ticks("c09_overlap_one_off.mid"), [(0, 480), (240, 720), (480, 720)]);
    // Held from their start to the end of the track.
    let (unended, _) = spans(&folder, "c10_no_note_off.mid");
    let end = unended.score.end();
    assert!(unended.score.notes().iter().all(|note| note.end() == end && note.length.0 >= 480));
    // CC 123 ends eight notes, CC 120 one more.
    let mut by_controllers = vec![(0, 480); 8];
    by_controllers.push((480, 960));
    assert_eq!(ticks("c24_all_notes_off.mid"), by_controllers);
}

#[test]
fn drums_are_kept_apart_and_the_pedal_ends_with_the_music() {
    let Some(folder) = odd_midi("drums_are_kept_apart_and_the_pedal_ends_with_the_music") else {
        return;
    };
    let (import, _) = spans(&folder, "c14_16_channels_with_drums.mid");
    assert_eq!((import.score.notes().len(), import.score.drums.len()), (60, 4));
    assert!(import.score.parts.iter().all(|part| part.channel != 9));
    let (import, _) = spans(&folder, "c25_pedal_never_released.mid");
    let [span] = import.score.pedal[..] else { panic!("{:?}", import.score.pedal) };
    assert_eq!((span.start, span.end), (Tick::ZERO, import.score.end()));
    assert!(import.score.end() <= Tick(8 * 480));
}
