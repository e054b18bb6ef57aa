//! Random scores, for round trips.

use std::collections::BTreeSet;

use etude::music::{
    Extra, ExtraHome, ExtraMessage, Meter, MeterChange, Note, Part, PedalSpan, Pitch, Score,
    TempoChange, TempoMap, Tick, TicksPerQuarter, Velocity,
};
use proptest::prelude::*;

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
pub fn told_apart(notes: Vec<Note>) -> Vec<Note> {
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
        Just(ExtraHome::Drums),
        Just(ExtraHome::FurtherDrums(1)),
        (0..3u8).prop_map(ExtraHome::Silent),
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
    /// A score of any kind, whose notes of one pitch MIDI can tell apart.
    pub fn score_strategy()(n_parts in 1..4u8)(
        title in "[A-Za-zé]{0,12}",
        division in 1..=0x7fffu16,
        tempos in prop::collection::vec((0..9000u32, 10_000..0xff_ffffu32), 0..5),
        meters in prop::collection::btree_map(0..9000u32, (1..=255u8, 0..=6u8), 0..4),
        parts in prop::collection::vec(("[a-z]{0,6}", 0..9u8, 0..128u8), usize::from(n_parts)),
        notes in prop::collection::vec(note_strategy(n_parts), 1..60),
        drums in prop::collection::vec(note_strategy(2), 0..10),
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
            .map(|(name, channel, program)| Part { name, channel, program, ..Part::default() })
            .collect();
        score.set_drums(told_apart(drums));
        score.pedal = pedal;
        let mut extras = extras;
        // A track of percussion is one by its notes, and numbers have no gaps.
        let has_drums = |part| score.drums.iter().any(|note| note.part == part);
        if !has_drums(0) {
            let drums = score.drums.iter().map(|note| Note { part: 0, ..*note }).collect();
            score.set_drums(told_apart(drums));
        }
        let has_drums = |part| score.drums.iter().any(|note| note.part == part);
        extras.retain(|extra| match extra.home {
            ExtraHome::Drums => has_drums(0),
            ExtraHome::FurtherDrums(part) => has_drums(part),
            _ => true,
        });
        let silent: BTreeSet<ExtraHome> = extras
            .iter()
            .map(|extra| extra.home)
            .filter(|home| matches!(home, ExtraHome::Silent(_)))
            .collect();
        for extra in extras.iter_mut() {
            if let Some(number) = silent.iter().position(|home| *home == extra.home) {
                extra.home = ExtraHome::Silent(number as u8);
            }
        }
        for extra in &mut extras {
            // A part's messages are on its channel, percussion's on channel 10.
            let channel = match extra.home {
                ExtraHome::Conductor | ExtraHome::Silent(_) => 5,
                ExtraHome::Part(part) => score.parts[usize::from(part)].channel,
                ExtraHome::Drums | ExtraHome::FurtherDrums(_) => 9,
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
