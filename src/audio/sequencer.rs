//! From a score to the exact samples at which keys go down and up. Pure: no device, no clock, and
//! nothing here allocates once a [`Schedule`] is built, so that the audio callback may use it.
//!
//! A [`Schedule`] is the score in seconds: key and pedal events in the order they must reach the
//! synthesizer. A [`Sequencer`] walks through it frame by frame at any sample rate and speed. An
//! event falls on the frame nearest to its time, counted from the last seek or change of speed, so
//! that no error adds up however long a piece is.

use std::sync::Arc;

use crate::music::Score;

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
const PEDAL_UP_SECS: f64 = 0.005;
/// However fast the tempo, a key is down for this long.
const SHORTEST_NOTE_SECS: f64 = 0.001;
/// Two notes of one key that begin this close together are the same note.
const SAME_START_SECS: f64 = 1e-6;

/// What a channel is told. At one moment keys go up before the pedal moves and keys go down last.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Action {
    /// `start_secs` names the note that ends.
    NoteOff {
        key: u8,
        start_secs: f64,
    },
    PedalUp,
    PedalDown,
    /// `velocity` is 1–127.
    NoteOn {
        key: u8,
        velocity: u8,
        end_secs: f64,
    },
}

impl Action {
    fn rank(self) -> u8 {
        match self {
            Self::NoteOff { .. } => 0,
            Self::PedalUp => 1,
            Self::PedalDown => 2,
            Self::NoteOn { .. } => 3,
        }
    }
}

/// One thing that happens at `secs` seconds of the score.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Event {
    pub secs: f64,
    pub channel: u8,
    pub action: Action,
}

/// The sustain pedal of one channel, in seconds.
#[derive(Clone, Copy, Debug)]
struct PedalSecs {
    channel: u8,
    start: f64,
    end: f64,
}

/// A score in seconds at speed 1: what happens, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    events: Vec<Event>,
    pedal: Vec<PedalSecs>,
    /// General MIDI program of each channel.
    programs: [u8; N_CHANNELS],
    end_secs: f64,
}

/// A note while a schedule is being built.
struct Strike {
    channel: u8,
    key: u8,
    velocity: u8,
    start: f64,
    end: f64,
}

impl Schedule {
    /// Parts that share a channel and a program of the file share a channel here; a key struck
    /// again while it is down ends the earlier note.
    pub(crate) fn from_score(score: &Score) -> Self {
        let (channels, programs) = channels_of_parts(score);
        let channel_of = |part: u8| channels.get(usize::from(part)).copied().unwrap_or(0);
        let tempo_map = &score.tempo_map;

        let mut strikes = Strikes::with_capacity(score.notes().len() + score.drums.len());
        for note in score.notes() {
            strikes.add(Strike {
                channel: channel_of(note.part),
                key: note.pitch.number(),
                velocity: note.velocity.number(),
                start: tempo_map.secs_from_tick(note.start),
                end: tempo_map.secs_from_tick(note.end()),
            });
        }
        for note in &score.drums {
            strikes.add(Strike {
                channel: DRUM_CHANNEL,
                key: note.pitch.number(),
                velocity: note.velocity.number(),
                start: tempo_map.secs_from_tick(note.start),
                end: tempo_map.secs_from_tick(note.end()),
            });
        }
        let pedal = pedal_in_secs(score, &channel_of);

        let mut events = Vec::with_capacity(2 * strikes.list.len() + 2 * pedal.len());
        for strike in &strikes.list {
            let Strike { channel, key, velocity, start, end } = *strike;
            let on = Action::NoteOn { key, velocity, end_secs: end };
            let off = Action::NoteOff { key, start_secs: start };
            events.push(Event { secs: start, channel, action: on });
            events.push(Event { secs: end, channel, action: off });
        }
        for span in &pedal {
            let channel = span.channel;
            events.push(Event { secs: span.start, channel, action: Action::PedalDown });
            events.push(Event { secs: span.end, channel, action: Action::PedalUp });
        }
        events.sort_by(|a, b| {
            a.secs.total_cmp(&b.secs).then_with(|| a.action.rank().cmp(&b.action.rank()))
        });
        let last = events.last().map_or(0.0, |event| event.secs);
        Self { events, pedal, programs, end_secs: last.max(score.duration_secs()) }
    }

    /// Whether nothing ever sounds.
    pub(crate) fn is_empty(&self) -> bool {
        !self.events.iter().any(|event| matches!(event.action, Action::NoteOn { .. }))
    }

    /// Takes the percussion out, for a font that has no drum kit.
    pub(crate) fn leave_out_drums(&mut self) {
        self.events.retain(|event| event.channel != DRUM_CHANNEL);
    }

    pub(crate) fn end_secs(&self) -> f64 {
        self.end_secs
    }

    pub(crate) fn programs(&self) -> &[u8; N_CHANNELS] {
        &self.programs
    }

    /// The channels whose pedal is down at `secs`, one bit each.
    fn pedals_at(&self, secs: f64) -> u16 {
        let down = self.pedal.iter().filter(|span| span.start <= secs && secs < span.end);
        down.fold(0, |mask, span| mask | 1 << span.channel)
    }

    /// Where the note of this channel and key that begins at `start_secs` ends, if there is one.
    fn end_of_note(&self, channel: u8, wanted_key: u8, start_secs: f64) -> Option<f64> {
        let from = self.events.partition_point(|event| event.secs < start_secs - SAME_START_SECS);
        self.events[from..]
            .iter()
            .take_while(|event| event.secs <= start_secs + SAME_START_SECS)
            .find_map(|event| match event.action {
                Action::NoteOn { key, end_secs, .. }
                    if key == wanted_key && event.channel == channel =>
                {
                    Some(end_secs)
                }
                _ => None,
            })
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
    fn add(&mut self, mut strike: Strike) {
        strike.end = strike.end.max(strike.start + SHORTEST_NOTE_SECS);
        let slot = &mut self.latest[usize::from(strike.channel) * 128 + usize::from(strike.key)];
        if let Some(before) = slot.map(|idx| &mut self.list[idx]) {
            if strike.start - before.start <= SAME_START_SECS {
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
fn pedal_in_secs(score: &Score, channel_of: &impl Fn(u8) -> u8) -> Vec<PedalSecs> {
    let mut spans: Vec<PedalSecs> = score
        .pedal
        .iter()
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

/// Walks through a schedule, frame by frame.
#[derive(Debug)]
pub(crate) struct Sequencer {
    schedule: Arc<Schedule>,
    sample_rate: f64,
    speed: f64,
    /// The second of the score at which `frames` was 0.
    anchor_secs: f64,
    /// Frames rendered since.
    frames: u64,
    /// The first event that hasn't happened.
    next: usize,
    /// When the note began that each key of each channel sounds; NaN when it is up.
    sounding: [[f64; 128]; N_CHANNELS],
}

impl Sequencer {
    pub(crate) const SPEEDS: std::ops::RangeInclusive<f64> = 0.25..=2.0;

    pub(crate) fn new(schedule: Arc<Schedule>, sample_rate: u32) -> Self {
        Self {
            schedule,
            sample_rate: f64::from(sample_rate),
            speed: 1.0,
            anchor_secs: 0.0,
            frames: 0,
            next: 0,
            sounding: [[f64::NAN; 128]; N_CHANNELS],
        }
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub(crate) fn speed(&self) -> f64 {
        self.speed
    }

    /// Seconds of the score.
    pub(crate) fn position_secs(&self) -> f64 {
        let secs = self.anchor_secs + self.frames as f64 * self.speed / self.sample_rate;
        // The end falls on the nearest frame, which may be a little off.
        if self.is_at_end() { self.schedule.end_secs } else { secs }
    }

    /// Where the walk last began: a seek, or a change of speed.
    pub(crate) fn anchor_secs(&self) -> f64 {
        self.anchor_secs
    }

    /// Whether everything has happened.
    pub(crate) fn is_at_end(&self) -> bool {
        self.next == self.schedule.events.len()
            && self.frames >= self.frame_of(self.schedule.end_secs)
    }

    /// Frames until the next event or the end, whichever is first; at the end `u64::MAX`.
    pub(crate) fn frames_to_next(&self) -> u64 {
        let secs = match self.schedule.events.get(self.next) {
            Some(event) => event.secs,
            None if self.is_at_end() => return u64::MAX,
            None => self.schedule.end_secs,
        };
        self.frame_of(secs).saturating_sub(self.frames)
    }

    /// Moves on without looking at events: at most [`Self::frames_to_next`] frames.
    pub(crate) fn advance(&mut self, n_frames: u64) {
        self.frames += n_frames;
    }

    /// The next event that is due at this frame. Key-ups of notes that don't sound and key-downs of
    /// notes that already do are left out.
    pub(crate) fn pop_due(&mut self) -> Option<Event> {
        while let Some(event) = self.schedule.events.get(self.next).copied() {
            if self.frame_of(event.secs) > self.frames {
                return None;
            }
            self.next += 1;
            if self.takes_effect(event) {
                return Some(event);
            }
        }
        None
    }

    fn takes_effect(&mut self, event: Event) -> bool {
        let keys = &mut self.sounding[usize::from(event.channel)];
        match event.action {
            Action::NoteOn { key, .. } => {
                let sounding = &mut keys[usize::from(key)];
                let already = (*sounding - event.secs).abs() <= SAME_START_SECS;
                *sounding = event.secs;
                !already
            }
            Action::NoteOff { key, start_secs } => {
                let sounding = &mut keys[usize::from(key)];
                let ends = (*sounding - start_secs).abs() <= SAME_START_SECS;
                if ends {
                    *sounding = f64::NAN;
                }
                ends
            }
            Action::PedalUp | Action::PedalDown => true,
        }
    }

    /// Goes to a second of the score. The caller ends what sounds ([`Self::forget_sounding`]).
    pub(crate) fn seek(&mut self, secs: f64) {
        self.anchor_secs =
            if secs.is_nan() { 0.0 } else { secs.clamp(0.0, self.schedule.end_secs) };
        self.frames = 0;
        let anchor = self.anchor_secs;
        self.next = self.schedule.events.partition_point(|event| event.secs < anchor);
    }

    /// From here on every key is up.
    pub(crate) fn forget_sounding(&mut self) {
        self.sounding = [[f64::NAN; 128]; N_CHANNELS];
    }

    /// Whether any key is down.
    #[cfg(test)]
    fn is_sounding(&self) -> bool {
        self.sounding.iter().flatten().any(|start| !start.is_nan())
    }

    /// The channels whose pedal is down here, one bit each.
    pub(crate) fn pedals(&self) -> u16 {
        self.schedule.pedals_at(self.position_secs())
    }

    /// From here on at another speed, brought into [`Self::SPEEDS`].
    pub(crate) fn set_speed(&mut self, speed: f64) {
        let speed = if speed.is_nan() { 1.0 } else { speed };
        self.anchor_secs = self.position_secs();
        self.frames = 0;
        self.speed = speed.clamp(*Self::SPEEDS.start(), *Self::SPEEDS.end());
    }

    /// Goes on at the same second of another schedule. Notes that both have sound on and end where
    /// the new schedule ends them; `release` gets the channel and key of the others. Returns the
    /// old schedule, to be dropped where dropping is allowed.
    pub(crate) fn replace(
        &mut self,
        schedule: Arc<Schedule>,
        mut release: impl FnMut(u8, u8),
    ) -> Arc<Schedule> {
        let now = self.position_secs();
        let old = std::mem::replace(&mut self.schedule, schedule);
        for channel in 0..N_CHANNELS as u8 {
            for key in 0..128u8 {
                let start = self.sounding[usize::from(channel)][usize::from(key)];
                if start.is_nan() {
                    continue;
                }
                let end = self.schedule.end_of_note(channel, key, start);
                if end.is_none_or(|end| end <= now) {
                    self.sounding[usize::from(channel)][usize::from(key)] = f64::NAN;
                    release(channel, key);
                }
            }
        }
        if now > self.schedule.end_secs {
            self.seek(self.schedule.end_secs);
        } else {
            let frames = self.frames;
            let first = |event: &Event| self.frame_of(event.secs) < frames;
            self.next = self.schedule.events.partition_point(first);
        }
        old
    }

    /// The frame, counted from the anchor, on which a second of the score falls.
    fn frame_of(&self, secs: f64) -> u64 {
        // A float to integer cast saturates; negative times give 0.
        ((secs - self.anchor_secs) * self.sample_rate / self.speed).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Note, Part, PedalSpan, Pitch, TempoMap, Tick, TicksPerQuarter, Velocity};
    use proptest::prelude::*;

    /// 1,000 ticks a second.
    fn score(notes: &[(u32, u32, u8)]) -> Score {
        let map = TempoMap::constant(TicksPerQuarter::new(500).unwrap(), 500_000);
        let note = |&(start, length, key): &(u32, u32, u8)| Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::new(key).unwrap(),
            velocity: Velocity::COMPOSED,
            part: 0,
        };
        Score::piano(map, notes.iter().map(note).collect())
    }

    fn sequencer(score: &Score) -> Sequencer {
        Sequencer::new(Arc::new(Schedule::from_score(score)), 1_000)
    }

    /// Plays `n_frames` frames: a line per event, such as `12 +60`, `15 -60`, `20 pedal`.
    fn play(sequencer: &mut Sequencer, n_frames: u64) -> Vec<String> {
        let (mut lines, mut at) = (Vec::new(), 0);
        loop {
            while let Some(event) = sequencer.pop_due() {
                lines.push(match event.action {
                    Action::NoteOn { key, .. } => format!("{at} +{key}"),
                    Action::NoteOff { key, .. } => format!("{at} -{key}"),
                    Action::PedalDown => format!("{at} pedal"),
                    Action::PedalUp => format!("{at} lift"),
                });
            }
            let step = sequencer.frames_to_next().min(n_frames - at);
            if step == 0 || sequencer.is_at_end() {
                return lines;
            }
            sequencer.advance(step);
            at += step;
        }
    }

    #[test]
    fn keys_go_up_before_others_go_down_at_the_same_frame() {
        let mut sequencer = sequencer(&score(&[(0, 100, 60), (100, 50, 60), (100, 50, 64)]));
        let lines = play(&mut sequencer, 1_000);
        assert_eq!(lines, ["0 +60", "100 -60", "100 +60", "100 +64", "150 -60", "150 -64"]);
        assert!(sequencer.is_at_end() && !sequencer.is_sounding());
    }

    #[test]
    fn striking_a_key_again_ends_the_earlier_note() {
        let lines = play(&mut sequencer(&score(&[(0, 500, 60), (200, 100, 60)])), 1_000);
        assert_eq!(lines, ["0 +60", "200 -60", "200 +60", "300 -60"]);
    }

    #[test]
    fn the_same_note_twice_is_struck_once_and_lasts_as_long_as_the_longer() {
        let lines = play(&mut sequencer(&score(&[(5, 100, 60), (5, 300, 60)])), 1_000);
        assert_eq!(lines, ["5 +60", "305 -60"]);
    }

    #[test]
    fn speed_stretches_time_from_where_it_changes() {
        let mut sequencer = sequencer(&score(&[(0, 100, 60), (200, 100, 62), (400, 100, 64)]));
        sequencer.set_speed(0.5);
        assert_eq!(play(&mut sequencer, 400), ["0 +60", "200 -60", "400 +62"]);
        sequencer.set_speed(2.0);
        assert_eq!(play(&mut sequencer, 1_000), ["50 -62", "100 +64", "150 -64"]);
        sequencer.set_speed(f64::NAN);
        assert_eq!(sequencer.speed(), 1.0);
        sequencer.set_speed(99.0);
        assert_eq!(sequencer.speed(), 2.0);
    }

    #[test]
    fn seeking_plays_what_begins_there_and_nothing_from_before() {
        let mut sequencer = sequencer(&score(&[(0, 300, 60), (100, 100, 62), (250, 50, 64)]));
        sequencer.seek(0.1);
        assert_eq!(play(&mut sequencer, 1_000), ["0 +62", "100 -62", "150 +64", "200 -64"]);
        sequencer.seek(f64::INFINITY);
        assert_eq!(sequencer.position_secs(), 0.3);
        sequencer.seek(f64::NAN);
        assert_eq!(sequencer.position_secs(), 0.0);
    }

    #[test]
    fn a_replaced_score_strikes_no_note_twice_and_ends_what_is_gone() {
        let mut sequencer = sequencer(&score(&[(0, 200, 60), (0, 200, 64), (300, 100, 67)]));
        assert_eq!(play(&mut sequencer, 100), ["0 +60", "0 +64"]);
        // 60 grows longer, 64 is gone, 65 is new and began before now, 67 is later.
        let new = score(&[(0, 250, 60), (50, 200, 65), (150, 50, 72), (300, 100, 67)]);
        let mut released = Vec::new();
        sequencer.replace(Arc::new(Schedule::from_score(&new)), |_, key| released.push(key));
        assert_eq!(released, [64]);
        let lines = play(&mut sequencer, 1_000);
        assert_eq!(lines, ["50 +72", "100 -72", "150 -60", "200 +67", "300 -67"]);
    }

    #[test]
    fn a_growing_score_goes_on_where_it_waited() {
        let mut sequencer = sequencer(&score(&[(0, 100, 60)]));
        assert_eq!(play(&mut sequencer, 500), ["0 +60", "100 -60"]);
        assert!(sequencer.is_at_end());
        let new = Schedule::from_score(&score(&[(0, 100, 60), (100, 100, 62)]));
        // The transport stood still at the end, so the new note begins now.
        sequencer.replace(Arc::new(new), |_, _| panic!("nothing sounds"));
        assert_eq!(play(&mut sequencer, 500), ["0 +62", "100 -62"]);
    }

    #[test]
    fn a_shorter_score_brings_the_playhead_to_its_end() {
        let mut sequencer = sequencer(&score(&[(0, 900, 60)]));
        play(&mut sequencer, 500);
        let mut released = 0;
        let short = Schedule::from_score(&score(&[(0, 100, 60)]));
        sequencer.replace(Arc::new(short), |_, _| released += 1);
        assert!(play(&mut sequencer, 100).is_empty());
        assert_eq!((released, sequencer.position_secs(), sequencer.is_at_end()), (1, 0.1, true));
    }

    #[test]
    fn the_pedal_is_lifted_for_a_moment_between_two_spans_and_known_after_a_seek() {
        let mut score = score(&[(0, 400, 60)]);
        let span = |start, end| PedalSpan { start: Tick(start), end: Tick(end), part: 0 };
        score.pedal = vec![span(0, 100), span(100, 300)];
        let mut sequencer = sequencer(&score);
        let lines = play(&mut sequencer, 1_000);
        assert_eq!(lines, ["0 pedal", "0 +60", "100 lift", "105 pedal", "300 lift", "400 -60"]);
        sequencer.seek(0.2);
        assert_eq!(sequencer.pedals(), 1);
        sequencer.seek(0.35);
        assert_eq!(sequencer.pedals(), 0);
    }

    #[test]
    fn parts_keep_their_programs_and_never_sound_among_the_drums() {
        let part = |channel, program| Part { channel, program, ..Part::default() };
        let mut score = score(&[(0, 100, 60)]);
        score.parts = (0..40).map(|idx| part(idx % 16, idx)).collect();
        score.parts.push(part(0, 0));
        let (channels, programs) = channels_of_parts(&score);
        assert_eq!(programs[usize::from(channels[12])], 12);
        assert_eq!(channels[40], channels[0]);
        assert!(!channels.contains(&DRUM_CHANNEL) && !channels.contains(&AUDITION_CHANNEL));
    }

    proptest! {
        #[test]
        fn every_note_that_begins_ends(
            notes in prop::collection::vec((0u32..2_000, 1u32..400, 50u8..60), 0..60),
            speed in 0.25f64..2.0,
            cut in 0u64..2_000,
            other in prop::collection::vec((0u32..2_000, 1u32..400, 50u8..60), 0..60),
        ) {
            let mut sequencer = sequencer(&score(&notes));
            sequencer.set_speed(speed);
            let mut down = [0i32; 128];
            let count = |lines: &[String], down: &mut [i32; 128]| for line in lines {
                let (_, what) = line.split_once(' ').unwrap();
                let key: usize = what[1..].parse().unwrap();
                down[key] += if what.starts_with('+') { 1 } else { -1 };
                assert!((0..=1).contains(&down[key]));
            };
            count(&play(&mut sequencer, cut), &mut down);
            let other = Arc::new(Schedule::from_score(&score(&other)));
            sequencer.replace(other, |_, key| down[usize::from(key)] -= 1);
            count(&play(&mut sequencer, 100_000), &mut down);
            prop_assert!(down.iter().all(|down| *down == 0));
            prop_assert!(sequencer.is_at_end() && !sequencer.is_sounding());
        }

        #[test]
        fn events_fall_on_the_nearest_frame(
            start in 0u32..10_000_000, rate in 8_000u32..192_000, speed in 0.25f64..2.0,
        ) {
            let score = score(&[(start, 10, 60)]);
            let mut sequencer = Sequencer::new(Arc::new(Schedule::from_score(&score)), rate);
            sequencer.set_speed(speed);
            let exact = f64::from(start) / 1_000.0 * f64::from(rate) / speed;
            prop_assert!((sequencer.frames_to_next() as f64 - exact).abs() <= 0.5 + 1e-6);
        }
    }
}
