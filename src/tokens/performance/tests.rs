//! Windows, round trips and the rules by which strikes and pedal find their frames.

use proptest::prelude::*;

use super::*;
use crate::music::{Meter, MeterChange, Note, Part, PedalSpan, TempoMap, Tick};
use crate::tokens::{FrameRate, Framing, Grid, Pedalling, Playback, StepsPerQuarter};
use crate::tokens::{roll_from_score, score_from_roll};

/// 480 ticks a quarter, two quarters a second: a frame at 8 a second is 120 ticks.
fn score(notes: &[(u32, u32, u8)]) -> Score {
    let note = |&(start, length, number): &(u32, u32, u8)| Note {
        start: Tick(start),
        length: Tick(length),
        pitch: Pitch::new(number).unwrap(),
        velocity: Velocity::new(number).unwrap(),
        part: 0,
    };
    Score::piano(TempoMap::default(), notes.iter().map(note).collect())
}

fn plan(per_second: f64) -> PerformancePlan {
    let rate = FrameRate::new(per_second).unwrap();
    PerformancePlan { frames: FramingPlan { rate, ..FramingPlan::default() }, touch: Touch::Kept }
}

fn beats(steps: u8) -> PerformancePlan {
    let mut plan = plan(8.0);
    plan.frames.grid = Grid::Beats(StepsPerQuarter::new(steps).unwrap());
    plan
}

/// `(pitch, first frame, frame of the end)` of each note.
fn placed(score: &Score, plan: &PerformancePlan) -> Vec<(u8, u32, u32)> {
    let performance = Performance::from_score(score, plan).unwrap();
    performance.notes().map(|note| (note.pitch.number(), note.start, note.end())).collect()
}

#[test]
fn a_note_struck_again_is_two_and_a_held_one_is_one() {
    let found = placed(&score(&[(0, 480, 60), (480, 480, 60), (0, 960, 40)]), &plan(8.0));
    assert_eq!(found, [(40, 0, 8), (60, 0, 4), (60, 4, 8)]);
}

#[test]
fn strikes_that_meet_in_one_frame_are_set_apart_while_that_is_near_the_truth() {
    // At 4.0 and 4.4 of a frame: both are nearest to 4, so the second moves up.
    let close = score(&[(480, 50, 60), (530, 60, 60)]);
    assert_eq!(placed(&close, &plan(8.0)), [(60, 0, 1), (60, 1, 2)]);
    // Three within one frame can't be.
    let crowded = score(&[(480, 20, 60), (510, 20, 60), (535, 20, 60), (1_200, 120, 62)]);
    let found = placed(&crowded, &plan(8.0));
    assert_eq!(found.iter().filter(|note| note.0 == 60).count(), 2);
    // Two hands that strike one key are one strike, the louder and the longer of them.
    let mut unison = score(&[(0, 240, 60), (5, 480, 60)]);
    let mut notes = unison.notes().to_vec();
    notes[1].velocity = Velocity::MAX;
    unison.set_notes(notes);
    let performance = Performance::from_score(&unison, &plan(32.0)).unwrap();
    let note = performance.notes().next().unwrap();
    assert_eq!((performance.n_strikes(), note.end(), note.velocity), (1, 16, Velocity::new(127)));
}

#[test]
fn a_strike_ends_what_the_key_sounded_before() {
    let overlapping = score(&[(0, 960, 60), (480, 240, 60)]);
    assert_eq!(placed(&overlapping, &plan(8.0)), [(60, 0, 4), (60, 4, 6)]);
}

#[test]
fn a_note_shorter_than_a_frame_has_the_frame_of_its_middle() {
    // From 0.5 to 0.6 of a frame, and from 1.4 to 1.45.
    let short = score(&[(0, 960, 40), (60, 12, 60), (168, 6, 64)]);
    assert_eq!(placed(&short, &plan(8.0)), [(40, 0, 8), (60, 0, 1), (64, 1, 2)]);
}

#[test]
fn the_pedal_is_lifted_for_a_frame_however_quick_its_change() {
    let mut score = score(&[(0, 1_920, 60)]);
    let span = |start, end| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
    score.pedal = vec![span(0, 480), span(490, 960), span(965, 970), span(1_800, 9_000)];
    let performance = Performance::from_score(&score, &plan(8.0)).unwrap();
    // 480 and 490 are both nearest to frame 4; 960, 965 and 970 are within a tenth of a frame, so
    // that two of them cancel out. The pedal that is down at the end rings on.
    let spans: Vec<_> = performance.pedal().collect();
    assert_eq!((spans[0].clone(), spans[1].start), (0..4, 5));
    assert_eq!((spans.last().unwrap().clone(), performance.n_frames()), (15..75, 75));
    score.pedal = vec![span(1_800, 90_000)];
    let performance = Performance::from_score(&score, &plan(8.0)).unwrap();
    assert_eq!(performance.n_frames(), 16 + 80);
}

#[test]
fn the_pedal_of_a_channel_without_notes_holds_nothing() {
    let mut score = score(&[(0, 960, 60)]);
    score.parts.push(Part { channel: 3, ..Part::default() });
    score.pedal = vec![PedalSpan { start: Tick(0), end: Tick(480), part: 1 }];
    assert_eq!(Performance::from_score(&score, &plan(8.0)).unwrap().pedal().len(), 0);
    score.parts[1].channel = 0;
    let performance = Performance::from_score(&score, &plan(8.0)).unwrap();
    assert!(performance.pedal().eq(std::iter::once(0..4)));
    let mut sustained = plan(8.0);
    sustained.frames.pedalling = Pedalling::Sustained;
    assert_eq!(placed(&score, &sustained), [(60, 0, 8)]);
}

#[test]
fn a_long_note_is_pieces_of_which_the_first_is_struck() {
    let long = score(&[(0, 120 * 3_000, 60)]);
    let performance = Performance::from_score(&long, &plan(8.0)).unwrap();
    let pieces: Vec<_> = performance.notes().map(|note| (note.len, note.is_struck)).collect();
    assert_eq!(pieces, [(1_024, true), (1_024, false), (952, false)]);
    let window = performance.frames(1_500..1_502);
    assert!(window.iter().all(|frame| frame.held() == frame.sounding && frame.sounding.len() == 1));
    let back = performance.to_score(&Playback::default());
    assert_eq!(back.notes().len(), 1);
    assert_eq!(back.notes()[0].length, Tick(120 * 3_000));
}

#[test]
fn on_the_beat_grid_frames_are_notes_and_know_their_bar() {
    // The tempo doesn't matter, only ticks do.
    let mut score = score(&[(480, 480, 60), (960, 240, 64), (1_200, 720, 67)]);
    score.meters =
        vec![MeterChange { tick: Tick(0), meter: Meter { numerator: 3, ..Meter::COMMON } }];
    score.tempo_map = TempoMap::constant(crate::music::TicksPerQuarter::DEFAULT, 987_654);
    assert_eq!(placed(&score, &beats(2)), [(60, 0, 2), (64, 2, 3), (67, 3, 6)]);
    let performance = Performance::from_score(&score, &beats(2)).unwrap();
    let positions = performance.bar_positions(0..6).unwrap();
    let into: Vec<u16> = positions.iter().map(|position| position.into / 24).collect();
    assert_eq!((performance.lead(), into), (2, vec![2, 3, 4, 5, 0, 1]));
    // A quarter is two frames of a half second each.
    let rate = FrameRate::new(2.0).unwrap();
    let back = performance.to_score(&Playback { rate, ..Playback::default() });
    let starts: Vec<u32> = back.notes().iter().map(|note| note.start.0).collect();
    assert_eq!(starts, [480, 960, 1_200]);
    assert_eq!(back.tempo_map.secs_from_tick(Tick(480)), 1.0);
    assert_eq!(Performance::from_score(&score, &plan(8.0)).unwrap().bar_positions(0..1), None);
}

#[test]
fn the_original_has_neither_touch_nor_beats() {
    let score = score(&[(0, 960, 60)]);
    let mut original = plan(2.0);
    original.frames.framing = Framing::Original;
    assert_eq!(Performance::from_score(&score, &original), Err(FramesError::OriginalTouch));
    original.touch = Touch::Ignored;
    assert!(Performance::from_score(&score, &original).is_ok());
    original.frames.grid = Grid::Beats(StepsPerQuarter::SIXTEENTHS);
    assert_eq!(Performance::from_score(&score, &original), Err(FramesError::OriginalGrid));
}

#[test]
fn silence_that_no_score_can_hold_is_left_out_and_none_is_music() {
    let late = score(&[(u32::MAX - 10_000, 480, 60)]);
    let performance = Performance::from_score(&late, &plan(200.0)).unwrap();
    assert_eq!((performance.n_frames(), performance.lead() > 0), (100, true));
    assert_eq!(performance.to_score(&Playback::default()).notes()[0].start, Tick(0));
    let nothing = Performance::from_score(&Score::default(), &plan(8.0)).unwrap();
    assert_eq!((nothing.n_frames(), nothing.frames(0..10)), (0, Vec::new()));
    assert!(nothing.to_score(&Playback::default()).notes().is_empty());
}

#[test]
fn frames_that_contradict_themselves_are_read_somehow() {
    let chord = |numbers: &[u8]| -> Chord {
        numbers.iter().filter_map(|&number| Pitch::new(number)).collect()
    };
    let odd = KeyFrame {
        sounding: chord(&[60]),
        struck: chord(&[60, 70]),
        velocities: vec![Velocity::MAX],
        pedal: false,
    };
    let frames = Performance::from_frames(&[odd]).frames(0..1);
    assert_eq!((frames[0].struck, frames[0].velocities.len()), (chord(&[60]), 0));
}

/// Frames as anything might write them, consistent in themselves.
fn any_frames() -> impl Strategy<Value = Vec<KeyFrame>> {
    // Few keys, so that they meet; each off, held or struck.
    let keys = prop::collection::vec((0u8..3, 1u8..128), 5);
    let frame = (keys, any::<bool>(), any::<bool>()).prop_map(|(keys, is_known, pedal)| {
        let mut frame = KeyFrame { pedal, ..KeyFrame::default() };
        for (idx, (state, velocity)) in keys.into_iter().enumerate() {
            let pitch = Pitch::new(58 + idx as u8).unwrap();
            if state > 0 {
                frame.sounding.insert(pitch);
            }
            if state > 1 {
                frame.struck.insert(pitch);
                frame.velocities.extend(Velocity::new(velocity).filter(|_| is_known));
            }
        }
        frame
    });
    prop::collection::vec((frame, 1usize..400), 0..12).prop_map(|runs| {
        let mut frames = Vec::new();
        for (frame, n_frames) in runs {
            let held = KeyFrame { struck: Chord::REST, velocities: Vec::new(), ..frame.clone() };
            frames.push(frame);
            frames.extend(std::iter::repeat_n(held, n_frames - 1));
        }
        frames
    })
}

fn any_score() -> impl Strategy<Value = Score> {
    let notes = prop::collection::vec((0u32..20_000, 1u32..3_000, 55u8..65), 1..60);
    let pedal = prop::collection::vec((0u32..20_000, 1u32..3_000), 0..20);
    (notes, pedal).prop_map(|(notes, pedal)| {
        let mut score = score(&notes);
        let span =
            |(start, length)| PedalSpan { start: Tick(start), end: Tick(start + length), part: 0 };
        score.pedal = pedal.into_iter().map(span).collect();
        score
    })
}

proptest! {
    #[test]
    fn frames_survive_the_performance_and_windows_are_parts_of_the_whole(
        frames in any_frames(),
        from in 0usize..4_000,
        len in 0usize..300,
    ) {
        let performance = Performance::from_frames(&frames);
        prop_assert_eq!(performance.n_frames(), frames.len());
        prop_assert_eq!(&performance.frames(0..frames.len()), &frames);
        let end = (from + len).min(frames.len());
        let from = from.min(end);
        prop_assert_eq!(&performance.frames(from..end), &frames[from..end]);
        let roll: Vec<Chord> = frames[from..end].iter().map(|frame| frame.sounding).collect();
        prop_assert_eq!(performance.roll(from..end), roll);
        prop_assert!(performance.holds_together());
    }

    #[test]
    fn a_roll_survives_the_performance(score in any_score(), per_second in 0.5f64..40.0) {
        let mut plan = plan(per_second);
        plan.touch = Touch::Ignored;
        let roll = roll_from_score(&score, &plan.frames).unwrap();
        let performance = Performance::from_roll(&roll);
        prop_assert_eq!(&performance.roll(0..usize::MAX), &roll);
        let from_score = Performance::from_score(&score, &plan).unwrap();
        prop_assert_eq!(&from_score.with_lead(0), &performance);
        let playback = Playback::default();
        prop_assert_eq!(performance.to_score(&playback), score_from_roll(&roll, &playback));
        let frames = performance.frames(0..roll.len());
        prop_assert!(frames.iter().all(|frame| frame.velocities.is_empty() && !frame.pedal));
    }

    #[test]
    fn a_performance_survives_its_score(score in any_score(), per_second in 0.5f64..40.0) {
        let first = Performance::from_score(&score, &plan(per_second)).unwrap();
        prop_assert!(first.holds_together());
        let all = first.frames(0..first.n_frames());
        prop_assert_eq!(&Performance::from_frames(&all).frames(0..all.len()), &all);
        let rate = FrameRate::new(per_second).unwrap();
        let back = first.to_score(&Playback { rate, ..Playback::default() });
        // At the middle of the ticks' rounding, so that none of them goes another way.
        let second = Performance::from_score(&back, &plan(per_second)).unwrap();
        prop_assert_eq!(second.n_strikes(), first.n_strikes());
        prop_assert_eq!(second, first);
    }
}
