//! The audio room without a device: what is in the samples, and what bad fonts get.
#![cfg(feature = "studio")]

mod common;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use common::font::{sine_font, sine_font_of};
use common::sound::{
    BLOCK_FRAMES, CEILING, DELAY_FRAMES, RATE, amplitude, engine_at, listen, rms, score, sine,
};
use etude::audio::{
    BitDepth, Engine, Font, FontError, FontSource, Player, PlayerEvent, RenderError, RenderReport,
    RenderSettings, render,
};
use etude::cancel::CancelToken;
use etude::music::{Part, PedalSpan, Pitch, Score, Tick, Velocity};
use proptest::prelude::*;

fn built_in() -> Font {
    Font::load(&FontSource::BuiltIn, &CancelToken::new()).unwrap()
}

fn db(amplitude: f64) -> f64 {
    20.0 * amplitude.max(1e-12).log10()
}

/// Hertz by counting upward zero crossings.
fn pitch_of(samples: &[f32], rate: u32) -> f64 {
    let crossings: Vec<usize> =
        (1..samples.len()).filter(|n| samples[n - 1] <= 0.0 && samples[*n] > 0.0).collect();
    let span = crossings[crossings.len() - 1] - crossings[0];
    (crossings.len() - 1) as f64 * f64::from(rate) / span as f64
}

fn first_sound(samples: &[f32]) -> usize {
    samples.iter().position(|x| x.abs() > 1e-6).expect("nothing sounds")
}

#[test]
fn every_key_sounds_at_its_pitch_whatever_the_rate_and_the_speed() {
    let font = sine();
    for (rate, speed) in [(16_000, 1.0), (44_100, 0.5), (48_000, 2.0), (192_000, 1.0)] {
        for (key, hertz) in [(45, 110.0), (57, 220.0), (60, 261.63), (81, 880.0)] {
            let (mut engine, mut control) = engine_at(rate, &font, &score(&[(0, 4_000, key, 100)]));
            control.set_speed(speed);
            control.play();
            let sound = listen(&mut engine, rate, 0.5);
            let found = pitch_of(&sound[sound.len() / 2..], rate);
            assert!((found / hertz - 1.0).abs() < 0.003, "key {key} at {rate} Hz: {found} Hz");
        }
    }
}

#[test]
fn notes_begin_on_their_sample() {
    let font = sine();
    for start in [0, 1, 7, 250, 333, 998] {
        for speed in [0.25, 1.0, 1.7] {
            let (mut engine, mut control) =
                engine_at(RATE, &font, &score(&[(start, 500, 60, 100)]));
            control.set_speed(speed);
            control.play();
            let sound = listen(&mut engine, RATE, f64::from(start) / 1e3 / speed + 0.1);
            let exact = f64::from(start) / 1e3 * f64::from(RATE) / speed;
            let late = first_sound(&sound) as f64 - exact - DELAY_FRAMES as f64;
            // The sine's first sample is 0, so sound begins with the second.
            let expected = -0.5..=BLOCK_FRAMES as f64 + 1.5;
            assert!(expected.contains(&late), "{start} ms at {speed}: {late} frames late");
        }
    }
}

#[test]
fn the_position_follows_the_samples_less_the_latency() {
    let (mut engine, mut control) = Engine::new(RATE, 0.04);
    control.set_font(&sine()).unwrap();
    control.set_score(&score(&[(0, 2_000, 60, 100)]));
    control.play();
    listen(&mut engine, RATE, 0.02);
    assert_eq!(control.position_secs(), 0.0);
    listen(&mut engine, RATE, 0.98);
    assert!((control.position_secs() - (1.0 - 0.043)).abs() < 1e-9, "{}", control.position_secs());
    control.pause();
    listen(&mut engine, RATE, 0.5);
    assert!((control.position_secs() - 1.0).abs() < 1e-9);
    control.set_speed(2.0);
    control.play();
    listen(&mut engine, RATE, 0.2);
    assert!((control.position_secs() - (1.4 - 0.086)).abs() < 1e-9, "{}", control.position_secs());
}

#[test]
fn pausing_seeking_and_the_end_let_every_note_end_even_under_the_pedal() {
    let font = sine();
    let mut long = score(&[(0, 60_000, 45, 100), (0, 60_000, 60, 100)]);
    long.pedal = vec![PedalSpan { start: Tick(0), end: Tick(60_000), part: 0 }];
    let quiet = |engine: &mut Engine| {
        // The release of 50 ms and the reverb's tail.
        listen(engine, RATE, 4.0);
        rms(&listen(engine, RATE, 0.1))
    };

    let (mut engine, mut control) = engine_at(RATE, &font, &long);
    control.play();
    assert!(rms(&listen(&mut engine, RATE, 0.3)) > 0.05);
    control.pause();
    assert!(quiet(&mut engine) < 1e-4);
    assert!(!control.is_playing());

    // It goes on where it was, and the held notes aren't struck again.
    control.play();
    assert!(quiet(&mut engine) < 1e-4);
    assert!(control.position_secs() > 4.0 && control.is_playing());

    control.seek(0.0);
    assert_eq!(control.position_secs(), 0.0);
    assert!(rms(&listen(&mut engine, RATE, 0.3)) > 0.05);
    control.seek(59.9);
    assert!(quiet(&mut engine) < 1e-4);
    assert!(!control.is_playing() && control.n_ended() == 1);
    assert!((control.position_secs() - 60.0).abs() < 1e-6);

    // At the end, play begins again.
    control.play();
    assert!(rms(&listen(&mut engine, RATE, 0.3)) > 0.05);
}

#[test]
fn the_pedal_holds_notes_and_lets_them_go() {
    let mut score = score(&[(0, 100, 60, 100), (1_500, 10, 127, 1)]);
    score.pedal = vec![PedalSpan { start: Tick(50), end: Tick(800), part: 0 }];
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score);
    control.play();
    let sound = listen(&mut engine, RATE, 1.5);
    let at = |ms: usize| rms(&sound[ms * 48..(ms + 50) * 48]);
    assert!(at(700) > 0.9 * at(50) && at(1_300) < 0.05 * at(50));
}

#[test]
fn a_score_replaced_while_it_plays_strikes_no_note_again() {
    let font = sine();
    let (mut engine, mut control) = engine_at(RATE, &font, &score(&[(0, 2_000, 57, 100)]));
    let (mut plain, mut plain_control) = engine_at(RATE, &font, &score(&[(0, 2_000, 57, 100)]));
    control.play();
    plain_control.play();
    let (mut sound, mut expected) = (Vec::new(), Vec::new());
    // Later notes come in one by one, as composing streams them.
    for n in 1..40 {
        sound.extend(listen(&mut engine, RATE, 0.02));
        expected.extend(listen(&mut plain, RATE, 0.02));
        let mut notes = vec![(0, 2_000 + n, 57, 100)];
        notes.extend((0..n).map(|idx| (3_000 + 100 * idx, 100, 60, 100)));
        control.set_score(&score(&notes));
    }
    assert_eq!(sound, expected);
}

#[test]
fn an_open_end_waits_and_goes_on_when_more_arrives() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score(&[(0, 200, 60, 100)]));
    control.set_open_ended(true);
    control.play();
    listen(&mut engine, RATE, 3.0);
    assert!(control.is_playing() && control.n_ended() == 0);
    assert!((control.position_secs() - 0.2).abs() < 1e-9);
    assert!(rms(&listen(&mut engine, RATE, 0.1)) < 1e-4);

    control.set_score(&score(&[(0, 200, 60, 100), (200, 300, 81, 100)]));
    let sound = listen(&mut engine, RATE, 0.2);
    assert!(amplitude(&sound[2_400..], RATE, 880.0) > 0.02);
    control.set_open_ended(false);
    listen(&mut engine, RATE, 0.2);
    assert!(!control.is_playing() && control.n_ended() == 1);
}

#[test]
fn a_note_played_by_hand_always_ends_and_needs_no_transport() {
    let mut held = score(&[(0, 10, 127, 1), (20_000, 10, 127, 1)]);
    held.pedal = vec![PedalSpan { start: Tick(0), end: Tick(20_000), part: 0 }];
    for plays in [false, true] {
        let (mut engine, mut control) = engine_at(RATE, &sine(), &held);
        if plays {
            control.play();
        }
        listen(&mut engine, RATE, 0.2);
        control.audition_chord(&[(Pitch::new(57).unwrap(), Velocity::COMPOSED)], 0.3);
        let sound = listen(&mut engine, RATE, 0.3);
        assert!(amplitude(&sound[4_800..], RATE, 220.0) > 0.02, "playing: {plays}");
        listen(&mut engine, RATE, 3.0);
        let after = amplitude(&listen(&mut engine, RATE, 0.5), RATE, 220.0);
        assert!(after < 1e-4, "playing: {plays}");
    }
    let (mut engine, mut control) = engine_at(RATE, &sine(), &held);
    let all: Vec<_> = (0..128).map(|key| (Pitch::new(key).unwrap(), Velocity::MAX)).collect();
    control.audition_chord(&all[60..], f32::NAN);
    control.audition_chord(&all[40..], f32::INFINITY);
    assert!(rms(&listen(&mut engine, RATE, 0.5)) > 0.05);
    listen(&mut engine, RATE, 15.0);
    assert!(rms(&listen(&mut engine, RATE, 0.1)) < 1e-4);
}

#[test]
fn forty_loud_notes_stay_under_the_ceiling() {
    let notes: Vec<_> = (40..80).map(|key| (0, 1_000, key, 127)).collect();
    for font in [sine(), built_in()] {
        let (mut engine, mut control) = engine_at(RATE, &font, &score(&notes));
        control.play();
        // `listen` checks every sample; loud it is all the same.
        assert!(rms(&listen(&mut engine, RATE, 0.5)) > 0.15, "{}", font.name);
    }
}

#[test]
fn volume_changes_without_a_jump() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score(&[(0, 5_000, 57, 60)]));
    control.play();
    let loud = rms(&listen(&mut engine, RATE, 0.5));
    control.set_volume(0.5);
    let change = listen(&mut engine, RATE, 0.2);
    let steps = change.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    assert!(steps.fold(0.0, f32::max) < 0.05);
    assert!((db(rms(&change[4_800..])) - db(loud) + 12.0).abs() < 0.5);
    control.set_volume(0.0);
    listen(&mut engine, RATE, 0.3);
    assert!(rms(&listen(&mut engine, RATE, 0.1)) < 1e-6);
    control.set_volume(f32::NAN);
    listen(&mut engine, RATE, 0.3);
    assert!((db(rms(&listen(&mut engine, RATE, 0.3))) - db(loud)).abs() < 1.0);
}

#[test]
fn the_clock_waits_a_second_for_the_font_and_no_longer() {
    let (mut engine, mut control) = Engine::new(RATE, 0.0);
    control.set_score(&score(&[(0, 5_000, 60, 100)]));
    control.play();
    listen(&mut engine, RATE, 0.5);
    assert_eq!(control.position_secs(), 0.0);
    // The font comes: the first note is heard at once.
    control.set_font(&sine()).unwrap();
    assert!(rms(&listen(&mut engine, RATE, 0.2)) > 0.02);

    let (mut engine, mut control) = Engine::new(RATE, 0.0);
    control.set_score(&score(&[(0, 5_000, 60, 100)]));
    control.play();
    assert_eq!(rms(&listen(&mut engine, RATE, 2.0)), 0.0);
    assert!(control.position_secs() > 0.5);
}

#[test]
fn percussion_needs_a_drum_kit_and_parts_keep_their_programs() {
    let mut drums = score(&[]);
    drums.drums = score(&[(0, 500, 60, 127)]).notes().to_vec();
    let kit = sine_font_of(&[("Sine", 0, 0), ("Kit", 128, 0)]);
    let kit = Font::from_bytes(&kit, "kit.sf2", &CancelToken::new()).unwrap();
    for (font, sounds) in [(sine(), false), (kit, true)] {
        assert_eq!(font.has_drums(), sounds);
        let (mut engine, mut control) = engine_at(RATE, &font, &drums);
        control.play();
        assert_eq!(rms(&listen(&mut engine, RATE, 0.3)) > 0.01, sounds);
    }
    // A program that the font lacks is played by its first instrument.
    let mut violin = score(&[(0, 500, 60, 100)]);
    violin.parts = vec![Part { program: 40, channel: 3, ..Part::default() }];
    let (mut engine, mut control) = engine_at(RATE, &sine(), &violin);
    control.play();
    assert!(rms(&listen(&mut engine, RATE, 0.3)) > 0.01);
}

/// The loudness of the first half second of a key, in dB.
fn loudness(font: &Font, key: u8, velocity: u8) -> f64 {
    let (mut engine, mut control) = engine_at(RATE, font, &score(&[(0, 600, key, velocity)]));
    control.play();
    db(rms(&listen(&mut engine, RATE, 0.5)))
}

#[test]
fn the_built_in_piano_sounds_evenly_across_its_velocity_layers() {
    let font = built_in();
    assert!(loudness(&font, 60, 64) > -40.0);
    for key in [28, 45, 60, 76, 93] {
        let curve: Vec<f64> =
            [1, 16, 45, 46, 75, 76, 90, 102, 103, 127].map(|v| loudness(&font, key, v)).to_vec();
        println!("key {key}: {curve:.1?} dB");
        assert!(curve[0] > -80.0, "key {key} is lost at velocity 1: {curve:.1?}");
        for (idx, pair) in curve.windows(2).enumerate() {
            assert!(pair[1] > pair[0] - 1.0, "key {key} gets softer: {curve:.1?}");
            if [2, 4, 7].contains(&idx) {
                assert!((pair[1] - pair[0]).abs() <= 2.0, "key {key} steps: {curve:.1?}");
            }
        }
    }
}

#[test]
fn a_font_is_named_and_loaded_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("öde.sf2");
    std::fs::write(&path, sine_font()).unwrap();
    let font = Font::load(&FontSource::File(path), &CancelToken::new()).unwrap();
    assert_eq!(font.name, "Two sines");

    let refused = |path: PathBuf| {
        Font::load(&FontSource::File(path), &CancelToken::new()).unwrap_err().to_string()
    };
    for path in [folder.path().to_path_buf(), folder.path().join("missing.sf2")] {
        let message = refused(path);
        assert!(message.contains(" — ") && message.contains("Choose another"), "{message}");
    }
    let cancel = CancelToken::new();
    cancel.cancel();
    let error = Font::from_bytes(&sine_font(), "sine.sf2", &cancel).unwrap_err();
    assert!(matches!(error, FontError::Cancelled { .. }));
}

/// Loads and, if that worked, plays hard: nothing may panic or leave the ceiling.
fn load_and_play(bytes: &[u8]) -> Result<(), FontError> {
    let font = Font::from_bytes(bytes, "damaged.sf2", &CancelToken::new())?;
    let notes: Vec<_> = (0..32).map(|n| (n * 3, 40, (n * 4) as u8, 127)).collect();
    let (mut engine, mut control) = engine_at(RATE, &font, &score(&notes));
    control.play();
    listen(&mut engine, RATE, 0.2);
    Ok(())
}

#[test]
fn a_font_cut_short_anywhere_is_refused_in_words() {
    let bytes = sine_font();
    let table_start = bytes.len() - 900;
    let places = (0..200).chain((200..table_start).step_by(9_973)).chain(table_start..bytes.len());
    for len in places {
        let error = load_and_play(&bytes[..len]).expect_err("a part of a font was taken for whole");
        assert!(error.to_string().contains("can't be used — "), "{error}");
    }
    let piano = etude::assets::PIANO_SF3;
    for len in [0, 11, 400, piano.len() / 2, piano.len() - 8_000, piano.len() - 1] {
        assert!(load_and_play(&piano[..len]).is_err());
    }
}

#[test]
fn a_font_without_padding_after_an_odd_chunk_is_read() {
    let mut bytes = sine_font();
    let find = |bytes: &[u8], id: &[u8]| bytes.windows(4).position(|part| part == id).unwrap();
    let (sdta, smpl) = (find(&bytes, b"sdta") - 4, find(&bytes, b"smpl") + 4);
    let tables = find(&bytes, b"pdta") - 8;
    bytes.insert(tables, 7);
    for place in [4, sdta, smpl] {
        let size = u32::from_le_bytes(std::array::from_fn(|idx| bytes[place + idx]));
        bytes[place..place + 4].copy_from_slice(&(size + 1).to_le_bytes());
    }
    load_and_play(&bytes).unwrap();
}

#[test]
fn what_is_no_font_is_refused() {
    for bytes in [&b""[..], b"RIFF", b"RIFF\xff\xff\xff\xffsfbk", b"MThd\0\0\0\x06", &[0; 4_096]] {
        assert!(matches!(load_and_play(bytes), Err(FontError::Damaged { .. })));
    }
    // The samples are there, but all of them silent.
    let mut silent = sine_font();
    let from = silent.windows(4).position(|id| id == b"smpl").unwrap() + 8;
    let to = silent.windows(4).position(|id| id == b"pdta").unwrap() - 8;
    silent[from..to].fill(0);
    assert!(matches!(load_and_play(&silent), Err(FontError::Silent { .. })));
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics caught inside are part of some tests: their reports, on this thread, would only be noise.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                usual(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = work();
    IS_QUIET.set(false);
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((0usize..1_000, any::<u8>()), 1..12),
        in_tables in any::<bool>(),
    ) {
        let mut bytes = sine_font();
        let len = bytes.len();
        for (place, byte) in changes {
            let place = if in_tables { len - 1 - place } else { place.min(len - 1) };
            bytes[place] = byte;
        }
        // Taken or refused, both are fine.
        let _ = quietly(|| load_and_play(&bytes));
    }
}

fn render_to(
    folder: &tempfile::TempDir,
    score: &Score,
    settings: &RenderSettings,
) -> Result<(RenderReport, PathBuf), RenderError> {
    let out = folder.path().join("out.wav");
    let mut shares = Vec::new();
    let result = render(score, &sine(), settings, &out, &CancelToken::new(), &mut |share| {
        shares.push(share);
    });
    if result.is_ok() {
        assert!(shares.is_sorted() && shares.last() == Some(&1.0));
    }
    // Nothing but the file itself is left behind, and the one that was there before.
    let n_files = std::fs::read_dir(folder.path()).unwrap().count();
    let n_backups = usize::from(etude::files::backup_path(&out).exists());
    assert_eq!(n_files, usize::from(out.exists()) + n_backups);
    result.map(|report| (report, out))
}

#[test]
fn a_wav_file_holds_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let score = score(&[(0, 500, 57, 100), (1_000, 500, 57, 100)]);
    for (sample_rate, bits) in [
        (8_000, BitDepth::Sixteen),
        (15_999, BitDepth::TwentyFour),
        (44_100, BitDepth::Sixteen),
        (48_000, BitDepth::TwentyFour),
        (192_000, BitDepth::TwentyFour),
    ] {
        let settings = RenderSettings { sample_rate, bits, ..RenderSettings::default() };
        let (report, out) = render_to(&folder, &score, &settings).unwrap();
        let mut wav = hound::WavReader::open(&out).unwrap();
        let n_bits = if bits == BitDepth::Sixteen { 16 } else { 24 };
        assert_eq!((wav.spec().channels, wav.spec().sample_rate), (2, sample_rate));
        assert_eq!(wav.spec().bits_per_sample, n_bits);
        let full = (1i64 << (n_bits - 1)) as f32;
        let samples: Vec<f32> = wav.samples::<i32>().map(|x| x.unwrap() as f32 / full).collect();
        let left: Vec<f32> = samples.chunks(2).map(|pair| pair[0]).collect();
        let secs = left.len() as f64 / f64::from(sample_rate);
        // The tail is there, and it ends.
        assert!((report.seconds_of_audio - secs).abs() < 1e-9 && secs > 1.6 && secs < 6.0);
        let peak = samples.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        assert!((f64::from(peak) - report.peak).abs() < 1e-6 && peak <= CEILING && peak > 0.05);
        assert!((rms(&samples) - report.rms).abs() < 1e-5);

        let at = |secs: f64| (secs * f64::from(sample_rate)) as usize;
        let found = pitch_of(&left[at(0.1)..at(0.5)], sample_rate);
        assert!((found - 220.0).abs() < 1.0, "{found} Hz at {sample_rate}");
        let start = at(0.95) + left[at(0.95)..].iter().position(|x| x.abs() > 0.02).unwrap();
        let late = start as f64 / f64::from(sample_rate) - 1.0;
        assert!((-0.001..0.005).contains(&late), "{late} s late at {sample_rate} Hz");
    }
}

#[test]
fn the_same_score_gives_the_same_file_and_headroom_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let notes: Vec<_> = (40..80).map(|key| (0, 300, key, 127)).collect();
    let (_, out) = render_to(&folder, &score(&notes), &RenderSettings::default()).unwrap();
    let first = std::fs::read(&out).unwrap();
    let (_, out) = render_to(&folder, &score(&notes), &RenderSettings::default()).unwrap();
    assert!(first == std::fs::read(out).unwrap());
    for headroom_db in [0.0, 1.0, 6.0] {
        for bits in [BitDepth::Sixteen, BitDepth::TwentyFour] {
            let settings = RenderSettings { headroom_db, bits, ..RenderSettings::default() };
            let (report, _) = render_to(&folder, &score(&notes), &settings).unwrap();
            assert!(db(report.peak) <= f64::from(-headroom_db) + 1e-5, "{report:?}");
            assert!(db(report.peak) > f64::from(-headroom_db) - 1.0, "{report:?}");
        }
    }
}

#[test]
fn what_cannot_be_rendered_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let notes = score(&[(0, 500, 60, 100)]);
    let with = |sample_rate, headroom_db| RenderSettings {
        sample_rate,
        headroom_db,
        ..RenderSettings::default()
    };
    let mut drums = score(&[]);
    drums.drums = notes.notes().to_vec();
    let endless = score(&[(u32::MAX - 1, 1, 60, 100)]);
    let cases = [
        (&notes, with(7_999, 1.0)),
        (&notes, with(192_001, 1.0)),
        (&notes, with(0, 1.0)),
        (&notes, with(44_100, f32::NAN)),
        (&notes, with(44_100, -1.0)),
        (&score(&[]), with(44_100, 1.0)),
        (&drums, with(44_100, 1.0)),
        (&endless, with(44_100, 1.0)),
    ];
    for (score, settings) in cases {
        let message = render_to(&folder, score, &settings).unwrap_err().to_string();
        assert!(message.contains(" — ") && !message.contains('\n'), "{message}");
    }

    let try_out = |out: &std::path::Path, cancel: &CancelToken| {
        render(&notes, &sine(), &RenderSettings::default(), out, cancel, &mut |_| {})
    };
    let fresh = CancelToken::new();
    for out in [folder.path().to_path_buf(), folder.path().join("no/such/folder/out.wav")] {
        assert!(matches!(try_out(&out, &fresh), Err(RenderError::Write { .. })));
    }
    // Cancelled: the file that was there stays as it was.
    let out = folder.path().join("kept.wav");
    std::fs::write(&out, "kept").unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    assert!(matches!(try_out(&out, &cancel), Err(RenderError::Cancelled)));
    assert_eq!(std::fs::read(&out).unwrap(), b"kept");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn another_font_takes_over_without_a_gap_and_every_note_still_ends() {
    let notes = score(&[(0, 1_500, 57, 100), (2_200, 300, 57, 100)]);
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    control.play();
    let before = amplitude(&listen(&mut engine, RATE, 0.5)[4_800..], RATE, 220.0);
    control.set_font(&sine()).unwrap();
    let after = amplitude(&listen(&mut engine, RATE, 0.1), RATE, 220.0);
    assert!((db(after) - db(before)).abs() < 1.5, "{before} {after}");
    // The held note fades with its font; the next one is the new font's.
    listen(&mut engine, RATE, 1.6);
    let next = amplitude(&listen(&mut engine, RATE, 0.3)[4_800..], RATE, 220.0);
    assert!((db(next) - db(before)).abs() < 1.5, "{before} {next}");
    listen(&mut engine, RATE, 3.0);
    assert!(rms(&listen(&mut engine, RATE, 0.1)) < 1e-4);
}

/// A player on the silent clock, and a channel that hears when it has news.
fn silent_player() -> (Player, crossbeam_channel::Receiver<()>) {
    let (sender, woken) = crossbeam_channel::unbounded();
    (
        Player::silent(Arc::new(move || {
            // Whoever listened may be gone.
            let _ = sender.send(());
        })),
        woken,
    )
}

/// The first event that `wanted` accepts, within half a minute.
fn wait_for(
    player: &Player,
    woken: &crossbeam_channel::Receiver<()>,
    wanted: impl Fn(&PlayerEvent) -> bool,
) -> PlayerEvent {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(event) = player.events().into_iter().find(&wanted) {
            return event;
        }
        woken.recv_deadline(deadline).expect("no such event came");
    }
}

#[test]
fn the_silent_clock_plays_to_the_end_and_fonts_change_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.sf2"), folder.path().join("bad.sf2"));
    std::fs::write(&good, sine_font()).unwrap();
    std::fs::write(&bad, &sine_font()[..30_000]).unwrap();

    let (player, woken) = silent_player();
    player.load_font(FontSource::File(good));
    let ready = wait_for(&player, &woken, |event| matches!(event, PlayerEvent::FontReady { .. }));
    assert!(matches!(ready, PlayerEvent::FontReady { name } if name == "Two sines"));

    player.set_score(&score(&[(0, 400, 60, 100)]));
    player.seek(0.1);
    assert_eq!(player.playhead_secs(), 0.1);
    player.set_speed(2.0);
    player.set_volume(0.5);
    let started = Instant::now();
    player.play();
    assert!(player.is_playing());
    player.audition_chord(&[(Pitch::MIDDLE_C, Velocity::COMPOSED)], 0.1);
    wait_for(&player, &woken, |event| matches!(event, PlayerEvent::Ended));
    // 0.3 seconds of score at double speed.
    assert!(started.elapsed() >= Duration::from_millis(140), "{:?}", started.elapsed());
    assert!(!player.is_playing());
    assert!((player.playhead_secs() - 0.4).abs() < 1e-6);

    player.load_font(FontSource::File(bad.clone()));
    let refused =
        wait_for(&player, &woken, |event| matches!(event, PlayerEvent::FontRefused { .. }));
    assert!(matches!(refused, PlayerEvent::FontRefused { source: FontSource::File(path), error }
        if path == bad && error.contains("bad.sf2")));
}
