//! What a composer does with the sound while working: loop, metronome, counting in, scrubbing,
//! playing by hand, mute and solo. Everything is read from the samples and the engine's state.
#![cfg(feature = "studio")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::sound::{
    BLOCK_FRAMES, DELAY_FRAMES, RATE, amplitude, engine_at, listen, rms, score, sine,
};
use etude::audio::{Engine, EngineControl, LoopError, Player, PlayerEvent};
use etude::music::{Meter, MeterChange, Part, PedalSpan, Pitch, Score, Tick, Velocity};
use proptest::prelude::*;

/// The frames at which something begins to sound after 20 ms of silence, or of no more than reverb.
fn onsets(sound: &[f32]) -> Vec<usize> {
    let quiet_frames = RATE as usize / 50;
    let (mut found, mut quiet) = (Vec::new(), quiet_frames);
    for (frame, sample) in sound.iter().enumerate() {
        if sample.abs() < 0.08 {
            quiet += 1;
            continue;
        }
        if quiet >= quiet_frames {
            found.push(frame);
        }
        quiet = 0;
    }
    found
}

fn are_near(found: &[usize], expected: &[f64], late: usize, tolerance: usize) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, secs)| {
            let exact = secs * f64::from(RATE) + late as f64;
            (*found as f64 - exact).abs() <= tolerance as f64
        })
}

fn pitch(key: u8) -> Pitch {
    Pitch::new(key).unwrap()
}

fn pedal(start: u32, end: u32) -> PedalSpan {
    PedalSpan { start: Tick(start), end: Tick(end), part: 0 }
}

/// Nothing is heard once releases and the reverb's tail are over.
fn goes_quiet(engine: &mut Engine) -> bool {
    listen(engine, RATE, 4.0);
    rms(&listen(engine, RATE, 0.1)) < 1e-4
}

#[test]
fn a_loop_repeats_without_a_gap_at_every_speed() {
    // A note that reaches into the loop, one in it, and a later end.
    let notes = score(&[(0, 1_300, 57, 60), (1_200, 100, 81, 100), (5_000, 10, 60, 1)]);
    for speed in [0.25, 0.5, 1.0, 1.7, 2.0] {
        let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
        control.set_speed(speed);
        control.set_loop(Some(1.0..1.5)).unwrap();
        control.seek(1.0);
        control.play();
        let period = 0.5 / speed;
        let sound = listen(&mut engine, RATE, 6.0 * period);
        let expected: Vec<f64> = (0..6).map(|n| f64::from(n) * period + 0.2 / speed).collect();
        let found = onsets(&sound);
        // Up to a block late, and the attack takes a millisecond to rise.
        assert!(are_near(&found, &expected, DELAY_FRAMES + 40, 45), "× {speed}: {found:?}");
        assert!(control.is_playing() && control.n_ended() == 0);
        // The note that was held across the start was never struck.
        assert!(amplitude(&sound, RATE, 220.0) < 1e-3, "× {speed}");
    }
}

#[test]
fn the_pedal_lets_go_at_the_turn_and_goes_down_again() {
    let mut notes = score(&[(100, 50, 57, 100), (800, 50, 81, 100), (4_000, 10, 60, 1)]);
    notes.pedal = vec![pedal(0, 2_000)];
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    control.set_loop(Some(0.0..1.0)).unwrap();
    control.play();
    let sound = listen(&mut engine, RATE, 3.0);
    let part = |from: f64, to: f64| &sound[(from * 48e3) as usize..(to * 48e3) as usize];
    for turn in [0.0, 1.0, 2.0] {
        // What was struck before the end is held by the pedal up to the end, and no further.
        assert!(amplitude(part(turn + 0.9, turn + 0.99), RATE, 880.0) > 0.02, "{turn}");
        assert!(amplitude(part(turn + 0.3, turn + 0.7), RATE, 880.0) < 2e-3, "{turn}");
        // The pedal is down again.
        assert!(amplitude(part(turn + 0.5, turn + 0.7), RATE, 220.0) > 0.02, "{turn}");
    }
    // The loop goes away in the middle: the pedal holds on past where its end was, until it is
    // let go, and then the piece ends.
    listen(&mut engine, RATE, 0.5);
    control.set_loop(None).unwrap();
    let sound = listen(&mut engine, RATE, 3.4);
    let part = |from: f64, to: f64| &sound[(from * 48e3) as usize..(to * 48e3) as usize];
    assert!(amplitude(part(0.5, 1.4), RATE, 880.0) > 0.02);
    assert!(amplitude(part(1.7, 3.4), RATE, 880.0) < 2e-3);
    assert!(control.is_playing() && control.n_ended() == 0);
    assert!(goes_quiet(&mut engine) && control.n_ended() == 1);
}

#[test]
fn the_playhead_turns_when_the_turn_is_heard() {
    let (mut engine, mut control) = Engine::new(RATE, 0.04);
    control.set_font(&sine()).unwrap();
    control.set_score(&score(&[(0, 4_000, 60, 100)]));
    control.set_loop(Some(1.0..2.0)).unwrap();
    control.seek(1.5);
    control.play();
    listen(&mut engine, RATE, 0.52);
    // 20 ms after the turn, 43 ms behind: still 23 ms before the end.
    assert!((control.position_secs() - 1.977).abs() < 1e-6, "{}", control.position_secs());
    listen(&mut engine, RATE, 0.08);
    assert!((control.position_secs() - 1.057).abs() < 1e-6, "{}", control.position_secs());
    // Outside of it, the piece plays on to its end.
    control.seek(3.5);
    listen(&mut engine, RATE, 1.0);
    assert!(!control.is_playing() && control.n_ended() == 1);
    // From the end, playing begins where the loop does.
    control.play();
    listen(&mut engine, RATE, 0.1);
    assert!((control.position_secs() - 1.057).abs() < 1e-6, "{}", control.position_secs());
}

#[test]
fn a_loop_that_is_too_short_or_nowhere_is_refused_in_words() {
    let (_, mut control) = Engine::new(RATE, 0.0);
    for (secs, expected) in [
        (0.0..0.009, "9.0 ms"),
        (2.0..2.0, "0.0 ms"),
        (2.0..1.0, "0.0 ms"),
        (-1.0..1.0, "no place"),
        (f64::NAN..1.0, "no place"),
        (0.0..f64::INFINITY, "no place"),
    ] {
        let error: LoopError = control.set_loop(Some(secs)).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected) && message.contains(" — "), "{message}");
    }
    control.set_loop(Some(1.0..1.01)).unwrap();
}

/// Which click each onset is: `!` for a bar's first.
fn clicks(sound: &[f32], onsets: &[usize]) -> String {
    let kind = |onset: &usize| {
        let part = &sound[*onset..(*onset + 960).min(sound.len())];
        let (first, other) = (amplitude(part, RATE, 1_650.0), amplitude(part, RATE, 1_100.0));
        if first > other { '!' } else { '.' }
    };
    onsets.iter().map(kind).collect()
}

#[test]
fn the_metronome_clicks_on_the_beats_at_every_speed() {
    let mut notes = score(&[(9_000, 10, 127, 1)]);
    notes.meters =
        vec![MeterChange { tick: Tick(0), meter: Meter { numerator: 3, denominator_power: 2 } }];
    for speed in [0.5, 1.0, 2.0] {
        let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
        control.set_speed(speed);
        control.set_metronome(true);
        control.play();
        let sound = listen(&mut engine, RATE, 3.2 / speed);
        let expected: Vec<f64> = (0..7).map(|beat| f64::from(beat) * 0.5 / speed).collect();
        let found = onsets(&sound);
        assert!(are_near(&found, &expected, 144, 8), "× {speed}: {found:?}");
        assert_eq!(clicks(&sound, &found), "!..!..!", "× {speed}");
        // Heard beside a note, but no louder than a loud one.
        let peak = sound.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        assert!((0.1..0.5).contains(&peak), "{peak}");
        control.set_metronome(false);
        listen(&mut engine, RATE, 0.2);
        assert!(rms(&listen(&mut engine, RATE, 1.0)) < 1e-4);
    }
}

#[test]
fn the_metronome_goes_on_in_a_loop_after_the_last_note_and_stops_with_the_piece() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &Score::default());
    control.set_metronome(true);
    control.set_loop(Some(0.5..2.0)).unwrap();
    control.seek(0.5);
    control.play();
    let sound = listen(&mut engine, RATE, 3.2);
    let found = onsets(&sound);
    let expected: Vec<f64> = (0..7).map(|beat| f64::from(beat) * 0.5).collect();
    assert!(are_near(&found, &expected, 144, 8), "{found:?}");
    // The loop's end is a bar's first beat, which belongs to what comes after it.
    assert_eq!(clicks(&sound, &found), ".......");
    control.set_loop(None).unwrap();
    listen(&mut engine, RATE, 0.1);
    assert!(!control.is_playing() && goes_quiet(&mut engine));
    // Standing, nothing clicks.
    control.set_metronome(true);
    assert!(goes_quiet(&mut engine));
}

#[test]
fn a_bar_is_counted_in_while_the_playhead_waits() {
    let mut notes = score(&[(0, 400, 57, 100), (750, 400, 57, 100)]);
    notes.meters =
        vec![MeterChange { tick: Tick(0), meter: Meter { numerator: 3, denominator_power: 3 } }];
    for metronome in [false, true] {
        let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
        control.set_metronome(metronome);
        control.seek(0.75);
        assert_eq!(control.count_in_beats_left(), None);
        control.play_with_count_in(2);
        let mut left = Vec::new();
        let mut sound = Vec::new();
        for _ in 0..15 {
            sound.extend(listen(&mut engine, RATE, 0.1));
            left.push(control.count_in_beats_left().unwrap_or(0));
            assert!(control.is_playing());
            assert!(control.position_secs() == 0.75);
        }
        // Beats of a quarter of a second, heard 3 ms after they are made.
        assert_eq!(left, [6, 6, 5, 5, 5, 4, 4, 3, 3, 3, 2, 2, 1, 1, 1]);
        let found = onsets(&sound);
        let expected: Vec<f64> = (0..6).map(|beat| f64::from(beat) * 0.25).collect();
        assert!(are_near(&found, &expected, 144, 8), "{found:?}");
        assert_eq!(clicks(&sound, &found), "!..!..");
        let sound = listen(&mut engine, RATE, 0.2);
        assert!(amplitude(&sound[2_400..], RATE, 220.0) > 0.02);
        assert!(onsets(&sound)[0] < DELAY_FRAMES + 100);
        assert_eq!(control.count_in_beats_left(), None);
        assert!((control.position_secs() - 0.947).abs() < 1e-4, "{}", control.position_secs());
    }
}

#[test]
fn pausing_ends_the_count_and_the_music_never_begins() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score(&[(0, 400, 57, 100)]));
    control.play_with_count_in(1);
    listen(&mut engine, RATE, 0.7);
    assert_eq!(control.count_in_beats_left(), Some(3));
    control.pause();
    assert_eq!(control.count_in_beats_left(), None);
    assert!(goes_quiet(&mut engine) && !control.is_playing());
    assert_eq!((control.position_secs(), control.n_ended()), (0.0, 0));
    // Without a count it begins at once.
    control.play_with_count_in(0);
    let sound = listen(&mut engine, RATE, 0.2);
    assert!(onsets(&sound)[0] < DELAY_FRAMES + 100);
}

#[test]
fn scrubbing_sounds_what_it_passes_and_moves_the_playhead() {
    let mut notes = score(&[(200, 3_000, 57, 100), (1_000, 3_000, 81, 100)]);
    notes.pedal = vec![pedal(0, 60_000)];
    let heard = |engine: &mut Engine| {
        let sound = listen(engine, RATE, 0.15);
        [220.0, 880.0].map(|hertz| amplitude(&sound[2_400..], RATE, hertz) > 0.02)
    };
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    let steps = [
        (0.1, [false, false]),
        (0.5, [true, false]),
        (0.6, [false, false]),
        (1.0, [false, true]),
        // Not again by going nowhere from there on, but backwards over it.
        (1.2, [false, false]),
        (0.0, [true, true]),
    ];
    for (secs, expected) in steps {
        control.scrub(secs);
        assert_eq!(control.position_secs(), secs);
        assert_eq!(heard(&mut engine), expected, "at {secs} s");
        assert_eq!(control.position_secs(), secs);
        // Each note ends although the score's pedal is down.
        assert!(goes_quiet(&mut engine), "at {secs} s");
    }
    control.end_scrub();
    assert!(!control.is_playing() && goes_quiet(&mut engine));
    // Put down on a note, it is heard.
    control.scrub(0.2);
    assert_eq!(heard(&mut engine), [true, false]);
    control.seek(0.0);
    assert!(goes_quiet(&mut engine));
}

#[test]
fn a_playback_waits_while_it_is_scrubbed_and_goes_on_from_there() {
    let notes = score(&[(0, 5_000, 57, 100), (3_000, 500, 81, 100)]);
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    control.play();
    listen(&mut engine, RATE, 0.5);
    control.scrub(2.9);
    listen(&mut engine, RATE, 1.0);
    assert!(control.is_playing() && control.position_secs() == 2.9);
    assert!(goes_quiet(&mut engine));
    control.end_scrub();
    let sound = listen(&mut engine, RATE, 0.3);
    assert!(onsets(&sound)[0] > 4_800 && amplitude(&sound[7_200..], RATE, 880.0) > 0.02);
}

#[test]
fn a_scrub_over_a_whole_piece_sounds_a_few_notes() {
    let notes: Vec<_> = (0..2_000).map(|n| (n * 10, 500, 21 + (n % 88) as u8, 127)).collect();
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score(&notes));
    control.scrub(0.0);
    listen(&mut engine, RATE, 1.0);
    for secs in [20.0, 0.0, 1e12, f64::NAN, -5.0] {
        control.scrub(secs);
        listen(&mut engine, RATE, 0.01);
        assert!(control.sounding_keys().count_ones() <= 12, "to {secs}");
        listen(&mut engine, RATE, 0.3);
    }
    assert!(goes_quiet(&mut engine));
}

#[test]
fn keys_sound_while_they_are_held_and_never_longer_than_ten_seconds() {
    let mut notes = score(&[(0, 10, 127, 1), (40_000, 10, 127, 1)]);
    notes.pedal = vec![pedal(0, 40_000)];
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    control.play();
    let tones = |engine: &mut Engine| {
        listen(engine, RATE, 0.3);
        let sound = listen(engine, RATE, 0.1);
        [220.0, 880.0].map(|hertz| amplitude(&sound, RATE, hertz) > 0.01)
    };
    control.key_down(pitch(57), Velocity::COMPOSED);
    control.key_down(pitch(81), Velocity::COMPOSED);
    assert_eq!(tones(&mut engine), [true, true]);
    control.all_keys_up();
    assert_eq!(tones(&mut engine), [false, false]);
    control.key_down(pitch(81), Velocity::COMPOSED);
    assert_eq!(tones(&mut engine), [false, true]);
    // Dragged to another key, and on it.
    control.key_drag(pitch(57), Velocity::COMPOSED);
    assert_eq!(tones(&mut engine), [true, false]);
    control.key_drag(pitch(57), Velocity::COMPOSED);
    assert_eq!(tones(&mut engine), [true, false]);
    assert_eq!(control.sounding_keys(), 1 << 57);
    listen(&mut engine, RATE, 8.0);
    assert_eq!(tones(&mut engine), [true, false]);
    // After ten seconds it ends by itself, pedal or not.
    listen(&mut engine, RATE, 1.0);
    assert_eq!(tones(&mut engine), [false, false]);
    control.key_down(pitch(57), Velocity::COMPOSED);
    control.all_keys_up();
    assert_eq!(tones(&mut engine), [false, false]);
    assert!(control.is_playing());
}

#[test]
fn a_chord_begins_on_one_frame_and_takes_the_place_of_the_last() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &Score::default());
    let chord = |keys: &[u8]| -> Vec<_> {
        keys.iter().map(|key| (pitch(*key), Velocity::COMPOSED)).collect()
    };
    control.audition_chord(&chord(&[57, 81]), 0.5);
    let sound = listen(&mut engine, RATE, 0.2);
    assert_eq!(control.sounding_keys(), 1 << 57 | 1 << 81);
    assert!(amplitude(&sound[4_800..], RATE, 220.0) > 0.02);
    assert!(amplitude(&sound[4_800..], RATE, 880.0) > 0.02);
    control.audition_chord(&chord(&[59]), 0.5);
    listen(&mut engine, RATE, 0.2);
    assert_eq!(control.sounding_keys(), 1 << 59);
    let many: Vec<u8> = (0..128).collect();
    control.audition_chord(&chord(&many), 0.5);
    listen(&mut engine, RATE, 0.2);
    assert_eq!(control.sounding_keys().count_ones(), 32);
    control.audition_chord(&[], 0.5);
    assert!(goes_quiet(&mut engine) && control.sounding_keys() == 0);
}

#[test]
fn keys_light_up_when_they_are_heard() {
    let (mut engine, mut control) = Engine::new(RATE, 0.1);
    control.set_font(&sine()).unwrap();
    let mut notes = score(&[(0, 200, 60, 100), (100, 200, 64, 100)]);
    notes.set_drums(score(&[(0, 400, 36, 100)]).notes().to_vec());
    control.set_score(&notes);
    control.play();
    let mut seen = Vec::new();
    for _ in 0..10 {
        listen(&mut engine, RATE, 0.05);
        seen.push(control.sounding_keys());
    }
    let (low, high) = (1 << 60, 1 << 64);
    // 103 ms late; drums are no keys.
    assert_eq!(seen, [0, 0, low, low, low | high, low | high, high, high, 0, 0]);
}

#[test]
fn a_part_that_is_muted_while_it_plays_falls_silent_even_under_the_pedal() {
    let mut notes = score(&[(0, 3_000, 57, 100), (0, 100, 81, 100), (4_000, 10, 57, 1)]);
    notes.parts.push(Part { channel: 1, ..Part::default() });
    let mut list = notes.notes().to_vec();
    for note in list.iter_mut().filter(|note| note.pitch.number() == 81) {
        note.part = 1;
    }
    notes.set_notes(list);
    notes.pedal = vec![PedalSpan { part: 1, ..pedal(0, 4_000) }];
    let tones = |engine: &mut Engine| {
        listen(engine, RATE, 0.4);
        let sound = listen(engine, RATE, 0.1);
        [220.0, 880.0].map(|hertz| amplitude(&sound, RATE, hertz) > 0.01)
    };
    for solo in [false, true] {
        let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
        control.play();
        assert_eq!(tones(&mut engine), [true, true]);
        let mut muted = notes.clone();
        muted.parts[0].is_solo = solo;
        muted.parts[1].is_muted = !solo;
        control.set_score(&muted);
        assert_eq!(tones(&mut engine), [true, false]);
        // Heard again, it comes in with its next note.
        control.set_score(&notes);
        assert_eq!(tones(&mut engine), [true, false]);
    }
}

#[test]
fn seeking_under_the_pedal_lets_go_of_what_it_held() {
    let mut notes = score(&[(0, 50, 57, 100), (9_000, 10, 60, 1)]);
    notes.pedal = vec![pedal(0, 9_000)];
    let (mut engine, mut control) = engine_at(RATE, &sine(), &notes);
    control.play();
    assert!(rms(&listen(&mut engine, RATE, 0.3)) > 0.02);
    control.seek(2.0);
    assert!(goes_quiet(&mut engine) && control.is_playing());
}

#[test]
fn the_first_composed_frame_is_heard_at_once_after_a_long_rest() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &Score::default());
    listen(&mut engine, RATE, 10.0);
    // What the window does with the first frames.
    control.pause();
    control.set_score(&score(&[(0, 125, 60, 100)]));
    control.seek(0.0);
    control.set_open_ended(true);
    control.play();
    let sound = listen(&mut engine, RATE, 0.1);
    assert!(onsets(&sound)[0] <= DELAY_FRAMES + BLOCK_FRAMES + 100, "{:?}", onsets(&sound));
}

#[test]
fn a_playhead_put_after_the_end_stays_there() {
    let (mut engine, mut control) = engine_at(RATE, &sine(), &score(&[(0, 500, 57, 100)]));
    control.seek(7.0);
    listen(&mut engine, RATE, 0.1);
    assert_eq!(control.position_secs(), 7.0);
    control.set_score(&score(&[(0, 400, 57, 100)]));
    listen(&mut engine, RATE, 0.1);
    assert_eq!(control.position_secs(), 7.0);
    control.play();
    assert!(rms(&listen(&mut engine, RATE, 0.2)) > 0.02);
    assert!(control.position_secs() < 0.3);
}

#[test]
fn the_silent_clock_loops_and_counts_in() {
    let (sender, woken) = crossbeam_channel::unbounded();
    let player = Player::silent(Arc::new(move || {
        // Whoever listened may be gone.
        let _ = sender.send(());
    }));
    let deadline = Instant::now() + Duration::from_secs(30);
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(Instant::now() < deadline, "waited for {what} in vain");
            std::thread::yield_now();
        }
    };
    player.set_score(&score(&[(0, 600, 60, 100)]));
    player.set_metronome(true);
    player.set_speed(2.0);
    player.set_loop(Some(0.1..0.4)).unwrap();
    assert!(player.set_loop(Some(0.1..0.1)).is_err());
    player.play_with_count_in(1);
    wait("the count", &|| player.count_in_beats_left() == Some(2));
    assert_eq!(player.playhead_secs(), 0.0);
    wait("the music", &|| player.playhead_secs() > 0.3);
    wait("the turn", &|| player.playhead_secs() < 0.2);
    assert!(player.playhead_secs() >= 0.1);
    player.scrub(0.3);
    assert_eq!(player.playhead_secs(), 0.3);
    player.end_scrub();
    player.set_loop(None).unwrap();
    while !player.events().iter().any(|event| matches!(event, PlayerEvent::Ended)) {
        woken.recv_deadline(deadline).expect("it never ended");
    }
    assert!((player.playhead_secs() - 0.6).abs() < 1e-6);
}

/// Something a person does while it plays.
#[derive(Clone, Debug)]
enum Act {
    Play(u32),
    Pause,
    Seek(f64),
    Scrub(f64),
    EndScrub,
    Loop(Option<(f64, f64)>),
    Speed(f64),
    Metronome(bool),
    Score(u32),
    Key(u8),
    Drag(u8),
    Chord(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let secs = || -0.5..3.0;
    prop_oneof![
        (0u32..3).prop_map(Act::Play),
        Just(Act::Pause),
        secs().prop_map(Act::Seek),
        secs().prop_map(Act::Scrub),
        Just(Act::EndScrub),
        prop::option::of((secs(), secs())).prop_map(Act::Loop),
        (0.1..3.0).prop_map(Act::Speed),
        any::<bool>().prop_map(Act::Metronome),
        (0u32..40).prop_map(Act::Score),
        (40u8..90).prop_map(Act::Key),
        (40u8..90).prop_map(Act::Drag),
        (40u8..90).prop_map(Act::Chord),
    ]
}

fn perform(control: &mut EngineControl, act: &Act) {
    match *act {
        Act::Play(n_bars) => control.play_with_count_in(n_bars),
        Act::Pause => control.pause(),
        Act::Seek(secs) => control.seek(secs),
        Act::Scrub(secs) => control.scrub(secs),
        Act::EndScrub => control.end_scrub(),
        // Those that make no sense are refused, which is fine.
        Act::Loop(secs) => drop(control.set_loop(secs.map(|(start, end)| start..end))),
        Act::Speed(speed) => control.set_speed(speed),
        Act::Metronome(is_on) => control.set_metronome(is_on),
        Act::Score(n_notes) => control.set_score(&busy(n_notes)),
        Act::Key(key) => control.key_down(pitch(key), Velocity::COMPOSED),
        Act::Drag(key) => control.key_drag(pitch(key), Velocity::COMPOSED),
        Act::Chord(key) => {
            let notes = [0, 4, 7].map(|step| (pitch(key + step), Velocity::COMPOSED));
            control.audition_chord(&notes, 0.3);
        }
    }
}

fn busy(n_notes: u32) -> Score {
    let notes: Vec<_> =
        (0..n_notes).map(|n| (n * 53, 30 + n * 17 % 400, 50 + (n % 11) as u8, 100)).collect();
    let mut score = score(&notes);
    score.pedal = vec![pedal(100, 700), pedal(700, 1_500)];
    score
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_everything_ends_and_the_playhead_is_a_place(
        acts in prop::collection::vec((act(), 0.0f64..0.3), 1..25),
    ) {
        let (mut engine, mut control) = engine_at(16_000, &sine(), &busy(30));
        for (act, secs) in &acts {
            perform(&mut control, act);
            listen(&mut engine, 16_000, *secs);
            let here = control.position_secs();
            prop_assert!(here.is_finite() && here >= 0.0, "{here}");
        }
        control.pause();
        control.all_keys_up();
        control.audition_chord(&[], 0.1);
        control.end_scrub();
        listen(&mut engine, 16_000, 4.0);
        prop_assert_eq!(control.sounding_keys(), 0);
        prop_assert!(rms(&listen(&mut engine, 16_000, 0.1)) < 1e-4);
    }
}
