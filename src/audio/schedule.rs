//! A score made ready to be played: when which key of which channel goes down and up.
//!
//! It is made anew for every edit, also of pieces with hundreds of thousands of notes, so making it
//! is one pass over the notes: they come sorted and stay in ticks. What becomes seconds, and in what
//! order keys and pedals move, the [`super::sequencer`] works out as it walks.

use crate::music::{BarGrid, Note, Score, TempoMap, Tick, Track};

/// MIDI channels of the synthesizer.
pub(crate) const N_CHANNELS: usize = 16;
/// Percussion sounds here, with its own instruments.
pub(crate) const DRUM_CHANNEL: u8 = 9;
/// Notes played by hand sound here, where no pedal ever goes down.
pub(crate) const AUDITION_CHANNEL: u8 = 15;
/// Where the parts of a score may sound.
const PART_CHANNELS: [u8; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14];

/// A synthesizer needs a moment with the pedal up before it lets go of what the pedal held, so a
/// pedal that goes down again at once waits this long.
pub(crate) const PEDAL_UP_SECS: f64 = 0.005;
/// However fast the tempo, a key is down for this long.
const SHORTEST_NOTE_SECS: f64 = 0.001;
/// Two moments this close together are the same.
pub(crate) const SAME_START_SECS: f64 = 1e-6;

/// Which voices of a score are heard.
struct Audible {
    /// By part; notes of parts that there are not are heard.
    parts: Vec<bool>,
    drums: bool,
}

impl Audible {
    /// What the score itself asks for, by mute and solo.
    fn of(score: &Score) -> Self {
        let n_parts = score.parts.len().min(usize::from(u8::MAX)) as u8;
        Self {
            parts: (0..n_parts).map(|part| score.is_heard(Track::Part(part))).collect(),
            drums: score.is_heard(Track::Drums),
        }
    }

    fn part(&self, part: u8) -> bool {
        self.parts.get(usize::from(part)).copied().unwrap_or(true)
    }
}

/// One key of one channel, struck and let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Strike {
    pub start: Tick,
    pub end: Tick,
    pub channel: u8,
    pub key: u8,
    /// 1–127.
    pub velocity: u8,
}

/// The sustain pedal of one channel goes down or up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct PedalMove {
    pub secs: f64,
    pub channel: u8,
    pub is_down: bool,
}

/// The sustain pedal of one channel, in seconds.
#[derive(Clone, Copy, Debug)]
struct PedalSecs {
    channel: u8,
    start: f64,
    end: f64,
}

/// A beat of the metronome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Beat {
    pub tick: Tick,
    /// The first of its bar.
    pub is_first: bool,
}

/// Where in its bar a place is, and how long beats are there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct BeatPlace {
    /// Beats since the bar began, 0 or more; a fraction between two.
    pub beats_into_bar: f64,
    pub beats_per_bar: u32,
    /// At speed 1.
    pub beat_secs: f64,
}

/// A score as it is played.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    tempo_map: TempoMap,
    bars: BarGrid,
    /// Ascending by start; a key never goes down while it is down.
    strikes: Vec<Strike>,
    /// Ascending by channel, then start; apart from each other.
    pedal: Vec<PedalSecs>,
    /// Ascending by time; at one moment what goes up comes first.
    pedal_moves: Vec<PedalMove>,
    /// General MIDI program of each channel.
    programs: [u8; N_CHANNELS],
    end_secs: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::from_score(&Score::default())
    }
}

impl Schedule {
    /// What the score asks to be heard. What is muted still takes its time: the end is that of the
    /// whole score. Parts that share a channel and a program of the file share a channel here; a
    /// key struck again while it is down ends the earlier note.
    pub(crate) fn from_score(score: &Score) -> Self {
        let audible = Audible::of(score);
        let (channels, programs) = channels_of_parts(score);
        let channel_of = |part: u8| channels.get(usize::from(part)).copied().unwrap_or(0);
        let drums: &[Note] = if audible.drums { &score.drums } else { &[] };

        let mut strikes = Strikes::with_capacity(score.notes().len() + drums.len());
        for note in score.notes().iter().filter(|note| audible.part(note.part)) {
            strikes.add(note, channel_of(note.part));
        }
        drums.iter().for_each(|note| strikes.add(note, DRUM_CHANNEL));
        let mut strikes = strikes.list;
        if !drums.is_empty() {
            // Two sorted runs, which a stable sort only merges.
            strikes.sort_by_key(|strike| strike.start);
        }

        let pedal = pedal_in_secs(score, &audible, &channel_of);
        let pedal_moves = moves_of_pedal(&pedal);
        let secs = |tick| score.tempo_map.secs_from_tick(tick);
        let last_start = strikes.last().map_or(0.0, |last| secs(last.start) + SHORTEST_NOTE_SECS);
        let last_move = pedal_moves.last().map_or(0.0, |last| last.secs);
        Self {
            end_secs: score.duration_secs().max(last_move).max(last_start),
            tempo_map: score.tempo_map.clone(),
            bars: score.bar_grid(),
            strikes,
            pedal,
            pedal_moves,
            programs,
        }
    }

    /// Whether nothing ever sounds.
    pub(crate) fn is_empty(&self) -> bool {
        self.strikes.is_empty()
    }

    /// Takes the percussion out, for a font that has no drum kit.
    pub(crate) fn leave_out_drums(&mut self) {
        self.strikes.retain(|strike| strike.channel != DRUM_CHANNEL);
    }

    pub(crate) fn end_secs(&self) -> f64 {
        self.end_secs
    }

    pub(crate) fn programs(&self) -> &[u8; N_CHANNELS] {
        &self.programs
    }

    pub(crate) fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    pub(crate) fn pedal_moves(&self) -> &[PedalMove] {
        &self.pedal_moves
    }

    /// Seconds of the score at speed 1.
    pub(crate) fn secs(&self, tick: Tick) -> f64 {
        self.tempo_map.secs_from_tick(tick)
    }

    /// When a key goes up again.
    pub(crate) fn end_of(&self, strike: &Strike) -> f64 {
        self.secs(strike.end).max(self.secs(strike.start) + SHORTEST_NOTE_SECS)
    }

    /// The channels whose pedal is down at `secs`, one bit each.
    pub(crate) fn pedals_at(&self, secs: f64) -> u16 {
        let is_down = |channel: u8| {
            let begun = |span: &PedalSecs| {
                span.channel < channel || (span.channel == channel && span.start <= secs)
            };
            let last = self.pedal[..self.pedal.partition_point(begun)].last();
            last.is_some_and(|span| span.channel == channel && secs < span.end)
        };
        (0..N_CHANNELS as u8).fold(0, |mask, channel| mask | u16::from(is_down(channel)) << channel)
    }

    /// Where the note of this channel and key that begins at `start_secs` ends, if there is one.
    pub(crate) fn end_of_note(&self, channel: u8, key: u8, start_secs: f64) -> Option<f64> {
        let from = self.first_strike_from(start_secs);
        self.strikes[from..]
            .iter()
            .take_while(|strike| self.secs(strike.start) <= start_secs + SAME_START_SECS)
            .find(|strike| strike.channel == channel && strike.key == key)
            .map(|strike| self.end_of(strike))
    }

    /// The first strike that begins at `secs` or later.
    pub(crate) fn first_strike_from(&self, secs: f64) -> usize {
        self.strikes.partition_point(|strike| self.secs(strike.start) < secs - SAME_START_SECS)
    }

    /// The strikes that a move from one place to another passes, by index: what begins where it
    /// starts only if it goes nowhere or backwards, what begins where it ends always.
    pub(crate) fn strikes_passed(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let just_after = |secs: f64| self.first_strike_from(secs + 2.0 * SAME_START_SECS);
        let at = |secs: f64| self.first_strike_from(secs);
        if to > from {
            just_after(from)..just_after(to)
        } else if to < from {
            at(to)..at(from)
        } else {
            at(to)..just_after(to)
        }
    }

    /// The first beat at a tick or after it; `None` after the last tick there is.
    pub(crate) fn beat_from(&self, tick: Tick) -> Option<Beat> {
        let bar = self.bars.bar_at(tick);
        let per_beat = bar.meter.ticks_per_beat(self.tempo_map.ticks_per_quarter());
        let n_beats = tick.saturating_sub(bar.start).0.div_ceil(per_beat);
        let beat = bar.start.saturating_add(Tick(n_beats.saturating_mul(per_beat)));
        if beat < bar.end {
            return Some(Beat { tick: beat, is_first: n_beats == 0 });
        }
        // Bars no longer move on where ticks end.
        (bar.end >= tick && bar.end < Tick(u32::MAX))
            .then_some(Beat { tick: bar.end, is_first: true })
    }

    /// The first beat later than `tick` that is at least `gap_secs` after it.
    pub(crate) fn beat_after(&self, tick: Tick, gap_secs: f64) -> Option<Beat> {
        let next = tick.saturating_add(Tick(1));
        let spaced = self.tempo_map.tick_from_secs(self.secs(tick) + gap_secs);
        self.beat_from(next.max(spaced)).filter(|beat| beat.tick > tick)
    }

    /// The first beat at `secs` or later.
    pub(crate) fn beat_from_secs(&self, secs: f64) -> Option<Beat> {
        // The nearest tick may lie before.
        let tick = self.tempo_map.tick_from_secs(secs);
        let beat = self.beat_from(tick)?;
        let is_before = self.secs(beat.tick) < secs - SAME_START_SECS;
        if is_before { self.beat_from(tick.saturating_add(Tick(1))) } else { Some(beat) }
    }

    /// The meter and the tempo at `secs`.
    pub(crate) fn beat_place(&self, secs: f64) -> BeatPlace {
        let ticks_per_quarter = self.tempo_map.ticks_per_quarter();
        let tick = self.tempo_map.tick_from_secs(secs);
        let bar = self.bars.bar_at(tick);
        let per_beat = bar.meter.ticks_per_beat(ticks_per_quarter);
        let tempo = self.tempo_map.tempo_at(tick);
        let quarter_secs = f64::from(tempo.micros_per_quarter) / 1e6;
        BeatPlace {
            beats_into_bar: f64::from(tick.saturating_sub(bar.start).0) / f64::from(per_beat),
            beats_per_bar: u32::from(bar.meter.numerator.max(1)),
            beat_secs: quarter_secs * f64::from(per_beat) / f64::from(ticks_per_quarter.get()),
        }
    }
}

/// Gathers notes so that no key is struck while it is down.
struct Strikes {
    list: Vec<Strike>,
    /// Of each channel and key, the place of its latest strike.
    latest: Vec<Option<usize>>,
}

impl Strikes {
    fn with_capacity(n_notes: usize) -> Self {
        Self { list: Vec::with_capacity(n_notes), latest: vec![None; N_CHANNELS * 128] }
    }

    /// Notes of one channel must come in order of their start.
    fn add(&mut self, note: &Note, channel: u8) {
        let strike = Strike {
            start: note.start,
            end: note.end(),
            channel,
            key: note.pitch.number(),
            velocity: note.velocity.number(),
        };
        let slot = &mut self.latest[usize::from(channel) * 128 + usize::from(strike.key)];
        if let Some(before) = slot.map(|idx| &mut self.list[idx]) {
            if strike.start <= before.start {
                before.end = before.end.max(strike.end);
                before.velocity = before.velocity.max(strike.velocity);
                return;
            }
            before.end = before.end.min(strike.start);
        }
        *slot = Some(self.list.len());
        self.list.push(strike);
    }
}

/// A channel for each part, and each channel's program. Parts that the file put on one channel with
/// different programs are kept apart; when channels run out, parts share one of the same program if
/// there is one.
fn channels_of_parts(score: &Score) -> (Vec<u8>, [u8; N_CHANNELS]) {
    let mut taken: Vec<(u8, u8)> = Vec::new();
    let mut programs = [0; N_CHANNELS];
    let mut channels = Vec::with_capacity(score.parts.len());
    for part in &score.parts {
        let program = part.program.min(127);
        let wanted = (part.channel, program);
        let found = taken.iter().position(|slot| *slot == wanted);
        let slot = found.unwrap_or_else(|| {
            if taken.len() < PART_CHANNELS.len() {
                taken.push(wanted);
                taken.len() - 1
            } else {
                taken.iter().position(|slot| slot.1 == program).unwrap_or(0)
            }
        });
        let channel = PART_CHANNELS[slot];
        programs[usize::from(channel)] = taken[slot].1;
        channels.push(channel);
    }
    (channels, programs)
}

/// Pedal spans per channel without overlaps, each beginning a little after the one before it ended.
/// The pedal of a part that isn't heard still holds the parts that share its channel; a channel of
/// which nothing is heard has no pedal, so that muting its last part ends what the pedal held.
fn pedal_in_secs(
    score: &Score,
    audible: &Audible,
    channel_of: &impl Fn(u8) -> u8,
) -> Vec<PedalSecs> {
    let heard = (0..score.parts.len().min(255) as u8).filter(|part| audible.part(*part));
    let heard = heard.fold(0u16, |mask, part| mask | 1 << channel_of(part));
    let mut spans: Vec<PedalSecs> = score
        .pedal
        .iter()
        .filter(|span| heard >> channel_of(span.part) & 1 == 1 || score.parts.is_empty())
        .map(|span| PedalSecs {
            channel: channel_of(span.part),
            start: score.tempo_map.secs_from_tick(span.start),
            end: score.tempo_map.secs_from_tick(span.end),
        })
        .collect();
    spans.sort_by(|a, b| a.channel.cmp(&b.channel).then_with(|| a.start.total_cmp(&b.start)));
    let mut apart: Vec<PedalSecs> = Vec::with_capacity(spans.len());
    for mut span in spans {
        match apart.last_mut().filter(|before| before.channel == span.channel) {
            Some(before) if span.start < before.end => {
                before.end = before.end.max(span.end);
                continue;
            }
            Some(before) => span.start = span.start.max(before.end + PEDAL_UP_SECS),
            None => {}
        }
        if span.end > span.start {
            apart.push(span);
        }
    }
    apart
}

fn moves_of_pedal(spans: &[PedalSecs]) -> Vec<PedalMove> {
    let both = |span: &PedalSecs| {
        let PedalSecs { channel, start, end } = *span;
        let down = PedalMove { secs: start, channel, is_down: true };
        [down, PedalMove { secs: end, channel, is_down: false }]
    };
    let mut moves: Vec<PedalMove> = spans.iter().flat_map(both).collect();
    moves.sort_by(|a, b| a.secs.total_cmp(&b.secs).then_with(|| a.is_down.cmp(&b.is_down)));
    moves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{
        Meter, MeterChange, Part, PedalSpan, Pitch, TempoChange, TicksPerQuarter, Velocity,
    };
    use proptest::prelude::*;

    fn note(start: u32, length: u32, key: u8, part: u8) -> Note {
        Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(key).unwrap(),
            velocity: Velocity::COMPOSED,
            part,
        }
    }

    fn meter(tick: u32, numerator: u8, denominator_power: u8) -> MeterChange {
        MeterChange { tick: Tick(tick), meter: Meter { numerator, denominator_power } }
    }

    /// The first beats: bars begin with `|`.
    fn beats(score: &Score, n_beats: usize) -> String {
        let schedule = Schedule::from_score(score);
        let first = schedule.beat_from(Tick::ZERO);
        let all = std::iter::successors(first, |beat| schedule.beat_after(beat.tick, 0.0));
        let words = all.take(n_beats).map(|beat| {
            let bar = if beat.is_first { "|" } else { "" };
            format!("{bar}{}", beat.tick.0)
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parts_keep_their_programs_and_never_sound_among_the_drums() {
        let part = |channel, program| Part { channel, program, ..Part::default() };
        let mut score = Score::piano(TempoMap::default(), vec![note(0, 100, 60, 0)]);
        score.parts = (0..40).map(|idx| part(idx % 16, idx)).collect();
        score.parts.push(part(0, 0));
        let (channels, programs) = channels_of_parts(&score);
        assert_eq!(programs[usize::from(channels[12])], 12);
        assert_eq!(channels[40], channels[0]);
        assert!(!channels.contains(&DRUM_CHANNEL) && !channels.contains(&AUDITION_CHANNEL));
    }

    #[test]
    fn what_is_muted_is_left_out_and_the_end_stays() {
        let notes = vec![note(0, 480, 60, 0), note(480, 480, 64, 1)];
        let mut score = Score::piano(TempoMap::default(), notes);
        score.parts.push(Part { channel: 1, ..Part::default() });
        score.set_drums(vec![note(240, 10, 36, 0)]);
        let span = |part| PedalSpan { start: Tick(0), end: Tick(960), part };
        score.pedal = vec![span(0), span(1)];
        let mut heard = |parts: [bool; 2], drums: bool| {
            (0..2).for_each(|part| score.parts[part].is_muted = !parts[part]);
            score.drum_part.is_muted = !drums;
            let schedule = Schedule::from_score(&score);
            assert_eq!(schedule.end_secs(), 1.0);
            let keys: Vec<u8> = schedule.strikes.iter().map(|strike| strike.key).collect();
            (keys, schedule.pedals_at(0.5))
        };
        assert_eq!(heard([true, true], true), (vec![60, 36, 64], 0b11));
        assert_eq!(heard([true, false], false), (vec![60], 0b01));
        assert_eq!(heard([false, true], true), (vec![36, 64], 0b10));
        assert_eq!(heard([false, false], false), (vec![], 0));
    }

    #[test]
    fn a_pedal_holds_a_shared_channel_even_when_its_own_part_is_muted() {
        let mut score = Score::piano(TempoMap::default(), vec![note(0, 480, 60, 0)]);
        score.parts.push(score.parts[0].clone());
        score.pedal = vec![PedalSpan { start: Tick(0), end: Tick(960), part: 1 }];
        score.parts[1].is_muted = true;
        assert_eq!(Schedule::from_score(&score).pedals_at(0.5), 1);
    }

    #[test]
    fn beats_follow_the_meter_and_go_on_after_the_last_note() {
        let mut score = Score::default();
        assert_eq!(beats(&score, 6), "|0 480 960 1440 |1920 2400");
        score.meters = vec![meter(0, 3, 3), meter(720, 2, 2), meter(1_000, 5, 4)];
        assert_eq!(beats(&score, 10), "|0 240 480 |720 |1000 1120 1240 1360 1480 |1600");
    }

    #[test]
    fn beats_that_are_too_close_are_thinned_out() {
        let changes = vec![TempoChange { tick: Tick::ZERO, micros_per_quarter: 10_000 }];
        let score = Score::piano(TempoMap::new(TicksPerQuarter::DEFAULT, changes), Vec::new());
        let schedule = Schedule::from_score(&score);
        let next = schedule.beat_after(Tick::ZERO, 0.05).unwrap();
        assert_eq!(next, Beat { tick: Tick(5 * 480), is_first: false });
    }

    #[test]
    fn the_place_in_the_bar_is_known() {
        let mut score = Score::default();
        score.meters = vec![meter(0, 6, 3)];
        let place = Schedule::from_score(&score).beat_place(1.625);
        let expected = BeatPlace { beats_into_bar: 0.5, beats_per_bar: 6, beat_secs: 0.25 };
        assert_eq!(place, expected);
    }

    proptest! {
        #[test]
        fn no_key_is_struck_while_it_is_down_and_beats_always_move_on(
            notes in prop::collection::vec((any::<u32>(), any::<u32>(), 60u8..63), 0..60),
            tick in any::<u32>(),
            numerator in any::<u8>(),
            denominator_power in 0u8..7,
            micros_per_quarter in 1u32..16_777_215,
        ) {
            let notes = notes.iter().map(|&(start, length, key)| note(start, length.max(1), key, 0));
            let changes = vec![TempoChange { tick: Tick::ZERO, micros_per_quarter }];
            let map = TempoMap::new(TicksPerQuarter::DEFAULT, changes);
            let mut score = Score::piano(map, notes.collect());
            score.meters = vec![meter(tick / 2, numerator, denominator_power)];
            let schedule = Schedule::from_score(&score);
            for key in 60..63 {
                let of_key: Vec<&Strike> =
                    schedule.strikes.iter().filter(|strike| strike.key == key).collect();
                prop_assert!(of_key.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
            if let Some(beat) = schedule.beat_from(Tick(tick)) {
                prop_assert!(beat.tick >= Tick(tick));
                let next = schedule.beat_after(beat.tick, 0.05);
                prop_assert!(next.is_none_or(|next| next.tick > beat.tick));
            }
        }
    }
}
