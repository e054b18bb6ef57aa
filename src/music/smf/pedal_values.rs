//! The sustain pedal as a file has it: values from 0 to 127, of which a score knows only up and
//! down.
//!
//! What was read is kept among the score's [`Extra`]s, so that an unchanged pedal is written as it
//! was, half-pedaling included. A pedal that was edited since is written as the spans say.

use midly::num::{u7, u14};
use midly::{MidiMessage, PitchBend};

use crate::music::{Extra, ExtraHome, ExtraMessage, PedalSpan, Score, Tick};

/// The controller number of the sustain pedal.
pub(super) const PEDAL: u8 = 64;
/// From this value on the pedal is down.
pub(super) const DOWN: u8 = 64;
/// The controller that lets everything go.
pub(super) const RESET_ALL: u8 = 121;

/// Whether an extra is a value of the sustain pedal.
pub(super) fn is_pedal(extra: &Extra) -> bool {
    matches!(extra.message, ExtraMessage::Channel { status: 0xb0..=0xbf, data: [PEDAL, _] })
}

/// Whether an extra puts all controllers to where they were at the start.
pub(super) fn is_reset(extra: &Extra) -> bool {
    matches!(extra.message, ExtraMessage::Channel { status: 0xb0..=0xbf, data: [RESET_ALL, _] })
}

/// What "reset all controllers" does besides letting the sustain pedal up, as the MIDI
/// Association's Recommended Practice RP-015 lists it: modulation, expression, portamento,
/// sostenuto, soft pedal, parameter numbers, channel pressure and bend.
pub(super) fn reset_of_the_others() -> impl Iterator<Item = MidiMessage> {
    let controllers = [
        (1, 0),
        (11, 127),
        (65, 0),
        (66, 0),
        (67, 0),
        (98, 127),
        (99, 127),
        (100, 127),
        (101, 127),
    ];
    let controllers = controllers.into_iter().map(|(controller, value)| MidiMessage::Controller {
        controller: u7::from(controller),
        value: u7::from(value),
    });
    controllers.chain([
        MidiMessage::ChannelAftertouch { vel: u7::from(0) },
        MidiMessage::PitchBend { bend: PitchBend(u14::from(0x2000)) },
    ])
}

/// Whether the pedal of a part is down at a tick and before it.
pub(super) fn held_through(spans: &[&PedalSpan]) -> impl Fn(Tick) -> bool + use<> {
    // By their starts, each with the latest end so far.
    let mut latest = Tick::ZERO;
    let mut reach: Vec<(Tick, Tick)> = spans.iter().map(|span| (span.start, span.end)).collect();
    reach.sort_unstable();
    for (_, end) in &mut reach {
        latest = latest.max(*end);
        *end = latest;
    }
    move |tick| {
        let n_begun = reach.partition_point(|(start, _)| *start < tick);
        n_begun.checked_sub(1).is_some_and(|idx| tick < reach[idx].1)
    }
}

/// Drops the values that say no more than the spans, which is how Etude writes them itself.
pub(super) fn forget_plain(extras: &mut Vec<Extra>, pedal: &[PedalSpan], n_parts: usize) {
    let mut read: Vec<Vec<(Tick, u8)>> = vec![Vec::new(); n_parts];
    for extra in extras.iter().filter(|extra| is_pedal(extra)) {
        if let (ExtraHome::Part(part), ExtraMessage::Channel { data: [_, value], .. }) =
            (extra.home, &extra.message)
            && let Some(read) = read.get_mut(usize::from(part))
        {
            read.push((extra.tick, *value));
        }
    }
    let is_plain: Vec<bool> =
        (0..n_parts).map(|part| read[part] == plain_values(pedal, part)).collect();
    extras.retain(|extra| match extra.home {
        ExtraHome::Part(part) if is_pedal(extra) => {
            !is_plain.get(usize::from(part)).copied().unwrap_or_default()
        }
        _ => true,
    });
}

/// The values that [`messages`] writes for the spans of a part.
fn plain_values(pedal: &[PedalSpan], part: usize) -> Vec<(Tick, u8)> {
    let mut values: Vec<(Tick, u8)> = pedal
        .iter()
        .filter(|span| usize::from(span.part) == part)
        .flat_map(|span| [(span.start, 127), (span.end, 0)])
        .collect();
    // Up comes before down again.
    values.sort_by_key(|&(tick, value)| (tick, value));
    values
}

/// Whether the values that were read are there and still say what the spans of the part do.
pub(super) fn are_kept(score: &Score, part: u8) -> bool {
    let own = score.extras.iter().filter(|extra| extra.home == ExtraHome::Part(part));
    let (mut spans, mut down, mut has_values) = (Vec::new(), None, false);
    for extra in own {
        let ExtraMessage::Channel { status: 0xb0..=0xbf, data: [controller, value] } =
            extra.message
        else {
            continue;
        };
        has_values |= controller == PEDAL;
        let is_down = match controller {
            PEDAL => value >= DOWN,
            RESET_ALL => false,
            _ => continue,
        };
        match (down, is_down) {
            (None, true) => down = Some(extra.tick),
            (Some(start), false) => {
                down = None;
                if start < extra.tick {
                    spans.push((start, extra.tick));
                }
            }
            _ => {}
        }
    }
    let of_score = score.pedal.iter().filter(|span| span.part == part);
    let of_score: Vec<(Tick, Tick)> = of_score.map(|span| (span.start, span.end)).collect();
    has_values && down.is_none() && spans == of_score
}

/// The message that puts the pedal to a value.
pub(super) fn message(value: u8) -> MidiMessage {
    MidiMessage::Controller { controller: u7::from(PEDAL), value: u7::from(value & 0x7f) }
}
