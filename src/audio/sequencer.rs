//! Walks through a [`Schedule`] frame by frame and tells on which one each key and pedal moves.
//! Pure: no device, no clock, and nothing here allocates once it is made, so that the audio callback
//! may use it.
//!
//! An event falls on the frame nearest to its time, counted from the last seek, change of speed or
//! turn of the loop, so that no error adds up however long a piece is.
//!
//! **The loop.** Whoever comes to its end from before goes on at its start, on the very frame; the
//! fraction of a frame by which a loop is longer or shorter than whole frames is carried over, so
//! that its period is exact. Whoever stands at its end or after it plays on. While the loop's end is
//! ahead, the end of the score is only silence.

use std::ops::Range;
use std::sync::Arc;

use super::schedule::{Beat, N_CHANNELS, SAME_START_SECS, Schedule};

/// Beats closer than this are left out, lest a metronome become a tone.
const SHORTEST_BEAT_SECS: f64 = 0.05;

/// What a channel is told. At one moment keys go up before the pedal moves and keys go down last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    NoteOff {
        key: u8,
    },
    PedalUp,
    PedalDown,
    /// `velocity` is 1–127.
    NoteOn {
        key: u8,
        velocity: u8,
    },
}

/// What happens on a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Channel {
        channel: u8,
        action: Action,
    },
    /// A beat of the metronome; only when it is asked for.
    Beat {
        is_first: bool,
    },
}

/// A key that is down.
#[derive(Clone, Copy, Debug)]
struct Held {
    channel: u8,
    key: u8,
    start: f64,
    end: f64,
}

/// Where the next event comes from, in the order of events at one moment.
#[derive(Clone, Copy)]
enum Source {
    KeyUp,
    Pedal,
    Beat,
    Strike,
}

#[derive(Clone, Debug)]
struct Loop {
    secs: Range<f64>,
    /// Its end was ahead when the walk began: it is turned at.
    is_ahead: bool,
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
    /// What was played just before the anchor, if the loop led there.
    played_before: Option<Range<f64>>,
    next_strike: usize,
    next_pedal_move: usize,
    /// The next beat, while beats are asked for.
    next_beat: Option<Beat>,
    has_beats: bool,
    /// The keys that are down, the first to go up last. Never more than there are keys, so it
    /// never grows.
    held: Vec<Held>,
    loop_range: Option<Loop>,
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
            played_before: None,
            next_strike: 0,
            next_pedal_move: 0,
            next_beat: None,
            has_beats: false,
            held: Vec::with_capacity(N_CHANNELS * 128),
            loop_range: None,
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
        if self.is_at_end() {
            // The end falls on the nearest frame, which may be a little off.
            return self.schedule.end_secs().max(self.anchor_secs);
        }
        self.walked_secs().max(0.0)
    }

    fn walked_secs(&self) -> f64 {
        self.anchor_secs + self.frames as f64 * self.speed / self.sample_rate
    }

    /// Where the walk was `delay_secs` of real time ago; never before the place where it began.
    pub(crate) fn earlier_position_secs(&self, delay_secs: f64) -> f64 {
        if self.is_at_end() {
            return self.position_secs();
        }
        let secs = self.walked_secs() - delay_secs * self.speed;
        match &self.played_before {
            _ if secs >= self.anchor_secs => secs.max(0.0),
            Some(before) => (before.end - (self.anchor_secs - secs)).max(before.start),
            None => self.anchor_secs.max(0.0),
        }
    }

    /// Whether everything has happened. Never while the loop's end is ahead.
    pub(crate) fn is_at_end(&self) -> bool {
        self.next_strike == self.schedule.strikes().len()
            && self.next_pedal_move == self.schedule.pedal_moves().len()
            && self.held.is_empty()
            && self.loop_end_frame().is_none()
            && self.frames >= self.frame_of(self.schedule.end_secs())
    }

    /// Frames until the next event, the loop's end or the end, whichever is first; at the end
    /// `u64::MAX`.
    pub(crate) fn frames_to_next(&self) -> u64 {
        if self.is_at_end() {
            return u64::MAX;
        }
        let event = self.next_event().map(|(secs, _)| self.frame_of(secs));
        let end = self.frame_of(self.schedule.end_secs());
        let end = self.loop_end_frame().or((end > self.frames).then_some(end));
        let next = [event, end].into_iter().flatten().min();
        next.unwrap_or(self.frames).saturating_sub(self.frames)
    }

    /// Moves on without looking at events: at most [`Self::frames_to_next`] frames.
    pub(crate) fn advance(&mut self, n_frames: u64) {
        self.frames += n_frames;
    }

    /// The next event that is due at this frame. Nothing is due at the loop's end: it must be
    /// turned at first.
    pub(crate) fn pop_due(&mut self) -> Option<Event> {
        if self.is_at_loop_end() {
            return None;
        }
        loop {
            let (secs, source) = self.next_event()?;
            if self.frame_of(secs) > self.frames {
                return None;
            }
            let event = match source {
                Source::KeyUp => self.held.pop().map(key_up),
                Source::Pedal => self.pop_pedal_move(),
                // Where the piece ends, a beat would only trail after it.
                Source::Beat if self.is_at_end() => return None,
                Source::Beat => self.pop_beat(),
                Source::Strike => self.pop_strike(secs),
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn next_event(&self) -> Option<(f64, Source)> {
        let key_up = self.held.last().map(|held| (held.end, Source::KeyUp));
        let pedal = self.schedule.pedal_moves().get(self.next_pedal_move);
        let pedal = pedal.map(|pedal| (pedal.secs, Source::Pedal));
        let beat = self.next_beat.map(|beat| (self.schedule.secs(beat.tick), Source::Beat));
        let strike = self.schedule.strikes().get(self.next_strike);
        let strike = strike.map(|strike| (self.schedule.secs(strike.start), Source::Strike));
        // Of several at one moment the first wins.
        [key_up, pedal, beat, strike].into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn pop_pedal_move(&mut self) -> Option<Event> {
        let pedal = *self.schedule.pedal_moves().get(self.next_pedal_move)?;
        self.next_pedal_move += 1;
        let action = if pedal.is_down { Action::PedalDown } else { Action::PedalUp };
        Some(Event::Channel { channel: pedal.channel, action })
    }

    fn pop_beat(&mut self) -> Option<Event> {
        let beat = self.next_beat?;
        self.next_beat = self.schedule.beat_after(beat.tick, SHORTEST_BEAT_SECS);
        Some(Event::Beat { is_first: beat.is_first })
    }

    /// `None` for a note that sounds already. A key that is still down goes up first.
    fn pop_strike(&mut self, secs: f64) -> Option<Event> {
        let strike = *self.schedule.strikes().get(self.next_strike)?;
        let (channel, key) = (strike.channel, strike.key);
        let down = self.held.iter().position(|held| held.channel == channel && held.key == key);
        if let Some(idx) = down {
            if (self.held[idx].start - secs).abs() <= SAME_START_SECS {
                self.next_strike += 1;
                return None;
            }
            return Some(key_up(self.held.remove(idx)));
        }
        self.next_strike += 1;
        let end = self.schedule.end_of(&strike);
        let place = self.held.partition_point(|held| held.end > end);
        self.held.insert(place, Held { channel, key, start: secs, end });
        let action = Action::NoteOn { key, velocity: strike.velocity };
        Some(Event::Channel { channel, action })
    }

    /// Goes to a second of the score, also one after its end. The caller ends what sounds
    /// ([`Self::forget_sounding`]).
    pub(crate) fn seek(&mut self, secs: f64) {
        self.anchor_secs = match secs {
            f64::INFINITY => self.schedule.end_secs(),
            _ if secs.is_nan() => 0.0,
            _ => secs.max(0.0),
        };
        self.frames = 0;
        self.played_before = None;
        self.find_next(self.anchor_secs);
        self.look_for_loop();
    }

    /// Finds the first events at `secs` or later.
    fn find_next(&mut self, secs: f64) {
        self.next_strike = self.schedule.first_strike_from(secs);
        let moves = self.schedule.pedal_moves();
        self.next_pedal_move = moves.partition_point(|pedal| pedal.secs < secs);
        self.next_beat = self.first_beat();
    }

    /// The first beat at this frame or later, if beats are asked for.
    fn first_beat(&self) -> Option<Beat> {
        let half_frame_secs = 0.5 * self.speed / self.sample_rate;
        let first = if self.has_beats {
            self.schedule.beat_from_secs(self.walked_secs() - half_frame_secs)?
        } else {
            return None;
        };
        let is_past = self.frame_of(self.schedule.secs(first.tick)) < self.frames;
        if is_past { self.schedule.beat_after(first.tick, 0.0) } else { Some(first) }
    }

    /// From here on every key is up.
    pub(crate) fn forget_sounding(&mut self) {
        self.held.clear();
    }

    /// Whether any key is down.
    #[cfg(test)]
    fn is_sounding(&self) -> bool {
        !self.held.is_empty()
    }

    /// The keys that are down, by channel and key.
    pub(crate) fn sounding(&self) -> impl Iterator<Item = (u8, u8)> {
        self.held.iter().map(|held| (held.channel, held.key))
    }

    /// The channels whose pedal is down here, one bit each.
    pub(crate) fn pedals(&self) -> u16 {
        self.schedule.pedals_at(self.position_secs())
    }

    /// From here on at another speed, brought into [`Self::SPEEDS`].
    pub(crate) fn set_speed(&mut self, speed: f64) {
        let speed = if speed.is_nan() { 1.0 } else { speed };
        self.begin_anew();
        self.speed = speed.clamp(*Self::SPEEDS.start(), *Self::SPEEDS.end());
    }

    /// Makes this place the one from which frames are counted.
    pub(crate) fn begin_anew(&mut self) {
        self.anchor_secs = self.position_secs();
        self.frames = 0;
        self.played_before = None;
    }

    /// Whether beats are among the events from here on.
    pub(crate) fn set_beats(&mut self, has_beats: bool) {
        self.has_beats = has_beats;
        self.next_beat = self.first_beat();
    }

    /// Between two places of the score, or none.
    pub(crate) fn set_loop(&mut self, secs: Option<Range<f64>>) {
        self.loop_range = secs.map(|secs| Loop { secs, is_ahead: false });
        self.look_for_loop();
    }

    pub(crate) fn loop_secs(&self) -> Option<&Range<f64>> {
        self.loop_range.as_ref().map(|found| &found.secs)
    }

    fn look_for_loop(&mut self) {
        let here = self.frames;
        let end = self.loop_range.as_ref().map(|found| self.frame_of(found.secs.end));
        if let (Some(found), Some(end)) = (&mut self.loop_range, end) {
            found.is_ahead = end > here;
        }
    }

    fn loop_end_frame(&self) -> Option<u64> {
        let found = self.loop_range.as_ref().filter(|found| found.is_ahead)?;
        Some(self.frame_of(found.secs.end))
    }

    pub(crate) fn is_at_loop_end(&self) -> bool {
        self.loop_end_frame().is_some_and(|end| self.frames >= end)
    }

    /// Goes from the loop's end to its start. The caller ends what sounds
    /// ([`Self::forget_sounding`]).
    pub(crate) fn turn(&mut self) {
        let Some(Range { start, end }) = self.loop_secs().cloned() else { return };
        let played_before = start.max(self.anchor_secs)..end;
        let excess = self.walked_secs() - end;
        self.seek(start);
        self.anchor_secs += excess;
        self.played_before = Some(played_before);
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
        let schedule = &self.schedule;
        self.held.retain_mut(|held| {
            let end = schedule.end_of_note(held.channel, held.key, held.start);
            held.end = end.unwrap_or(now);
            let stays = held.end > now;
            if !stays {
                release(held.channel, held.key);
            }
            stays
        });
        self.held.sort_unstable_by(|a, b| b.end.total_cmp(&a.end));
        self.find_next_frames();
        // Who was put after the end stays there; who played beyond it goes back to it.
        let end = self.schedule.end_secs().max(self.anchor_secs);
        if self.loop_end_frame().is_none() && now > end {
            self.seek(end);
        }
        old
    }

    /// Finds the first events at this frame or later.
    fn find_next_frames(&mut self) {
        let here = self.frames;
        // Frames don't count backwards from the anchor: what lies before it is past at any frame.
        let is_past =
            |secs: f64| secs < self.anchor_secs - SAME_START_SECS || self.frame_of(secs) < here;
        let strikes = self.schedule.strikes();
        let next_strike =
            strikes.partition_point(|strike| is_past(self.schedule.secs(strike.start)));
        let moves = self.schedule.pedal_moves();
        let next_pedal_move = moves.partition_point(|pedal| is_past(pedal.secs));
        (self.next_strike, self.next_pedal_move) = (next_strike, next_pedal_move);
        self.next_beat = self.first_beat();
    }

    /// The frame, counted from the anchor, on which a second of the score falls.
    fn frame_of(&self, secs: f64) -> u64 {
        // A float to integer cast saturates; negative times give 0.
        ((secs - self.anchor_secs) * self.sample_rate / self.speed).round() as u64
    }
}

fn key_up(held: Held) -> Event {
    Event::Channel { channel: held.channel, action: Action::NoteOff { key: held.key } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Note, PedalSpan, Pitch, Score, TempoMap, Tick, TicksPerQuarter, Velocity};
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

    fn line(at: u64, event: Event) -> String {
        match event {
            Event::Channel { action, .. } => match action {
                Action::NoteOn { key, .. } => format!("{at} +{key}"),
                Action::NoteOff { key } => format!("{at} -{key}"),
                Action::PedalDown => format!("{at} pedal"),
                Action::PedalUp => format!("{at} lift"),
            },
            Event::Beat { is_first: true } => format!("{at} BEAT"),
            Event::Beat { is_first: false } => format!("{at} beat"),
        }
    }

    /// Plays `n_frames` frames: a line per event, such as `12 +60`, `15 -60`, `20 pedal`; at the
    /// loop's end, `30 turn`.
    fn play(sequencer: &mut Sequencer, n_frames: u64) -> Vec<String> {
        let (mut lines, mut at) = (Vec::new(), 0);
        loop {
            if sequencer.is_at_loop_end() {
                lines.extend(sequencer.sounding().map(|(_, key)| format!("{at} -{key}")));
                lines.push(format!("{at} turn"));
                sequencer.turn();
                sequencer.forget_sounding();
            }
            while let Some(event) = sequencer.pop_due() {
                lines.push(line(at, event));
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
    fn an_edit_where_the_playhead_was_put_plays_nothing_from_before() {
        let piece = score(&[(0, 50, 60), (100, 50, 62), (200, 50, 64)]);
        let mut sequencer = sequencer(&piece);
        sequencer.seek(0.1);
        sequencer.replace(Arc::new(Schedule::from_score(&piece)), |_, _| panic!("nothing sounds"));
        assert_eq!(play(&mut sequencer, 500), ["0 +62", "50 -62", "100 +64", "150 -64"]);
        sequencer.seek(9.0);
        sequencer.replace(Arc::new(Schedule::from_score(&piece)), |_, _| panic!("nothing sounds"));
        assert!(sequencer.is_at_end() && sequencer.position_secs() == 9.0);
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

    /// 1,000 frames a second, looped, in milliseconds.
    fn looped(notes: &[(u32, u32, u8)], from: u32, to: u32) -> Sequencer {
        let mut sequencer = sequencer(&score(notes));
        sequencer.set_loop(Some(f64::from(from) / 1e3..f64::from(to) / 1e3));
        sequencer
    }

    #[test]
    fn a_loop_turns_on_its_frame_and_strikes_only_what_starts_in_it() {
        // 60 is held across the start, 62 begins on it, 64 is held across the end, 65 begins on it.
        let notes = [(0, 150, 60), (100, 20, 62), (180, 90, 64), (200, 50, 65)];
        let mut sequencer = looped(&notes, 100, 200);
        let lines = play(&mut sequencer, 310);
        let first = ["0 +60", "100 +62", "120 -62", "150 -60", "180 +64", "200 -64", "200 turn"];
        assert_eq!(lines[..7], first);
        assert_eq!(lines[7..], ["200 +62", "220 -62", "280 +64", "300 -64", "300 turn", "300 +62"]);
        assert!((sequencer.position_secs() - 0.11).abs() < 1e-9);
    }

    #[test]
    fn a_loop_longer_than_the_score_waits_in_silence() {
        let mut sequencer = looped(&[(0, 100, 60)], 0, 400);
        let lines = play(&mut sequencer, 900);
        let expected =
            ["0 +60", "100 -60", "400 turn", "400 +60", "500 -60", "800 turn", "800 +60"];
        assert_eq!(lines[..7], expected);
        // Taken away after the last note, nothing is left to play.
        play(&mut sequencer, 200);
        sequencer.set_loop(None);
        assert!(sequencer.is_at_end() && sequencer.frames_to_next() == u64::MAX);
    }

    #[test]
    fn a_loop_that_is_behind_is_not_turned_at() {
        let notes = [(0, 100, 60), (500, 100, 62)];
        for start in [0.3, 0.45] {
            let mut sequencer = looped(&notes, 100, 300);
            sequencer.seek(start);
            assert_eq!(play(&mut sequencer, 1_000).len(), 2);
            assert!(sequencer.is_at_end());
        }
        // Moved while it plays: behind, ahead again, gone.
        let mut sequencer = looped(&notes, 0, 300);
        play(&mut sequencer, 250);
        sequencer.set_loop(Some(0.0..0.2));
        play(&mut sequencer, 100);
        assert!((sequencer.position_secs() - 0.35).abs() < 1e-9);
        sequencer.set_loop(Some(0.1..0.4));
        assert_eq!(play(&mut sequencer, 60), ["50 turn"]);
        sequencer.set_loop(None);
        assert_eq!(play(&mut sequencer, 600).len(), 2);
    }

    #[test]
    fn the_period_of_a_loop_is_exact_at_any_speed() {
        let mut sequencer = looped(&[(0, 5, 60)], 0, 100);
        // 33⅓ frames a turn.
        sequencer.set_loop(Some(0.0..0.05));
        sequencer.set_speed(1.5);
        let lines = play(&mut sequencer, 3_335);
        let turns: Vec<u64> =
            lines.iter().filter_map(|line| line.strip_suffix(" turn")?.parse().ok()).collect();
        assert_eq!(turns.len(), 100);
        for (turn, at) in (1..).zip(turns) {
            assert!(
                (at as f64 - f64::from(turn) * 100.0 / 3.0).abs() <= 0.51,
                "turn {turn} at {at}"
            );
        }
    }

    #[test]
    fn an_edit_while_a_loop_plays_is_heard_in_it() {
        let mut sequencer = looped(&[(0, 50, 60)], 0, 100);
        play(&mut sequencer, 120);
        let edited = Schedule::from_score(&score(&[(0, 50, 60), (40, 10, 67), (90, 90, 72)]));
        sequencer.replace(Arc::new(edited), |_, _| panic!("60 stays"));
        let lines = play(&mut sequencer, 110);
        let expected = ["20 +67", "30 -60", "30 -67", "70 +72", "80 -72", "80 turn", "80 +60"];
        assert_eq!(lines, expected);
        // The score may end before the loop does.
        sequencer.replace(Arc::default(), |_, key| assert_eq!(key, 60));
        assert_eq!(play(&mut sequencer, 80), ["70 turn"]);
    }

    #[test]
    fn what_was_heard_a_moment_ago_is_known_across_the_turn() {
        let mut sequencer = looped(&[(0, 500, 60)], 100, 300);
        let heard = |sequencer: &Sequencer| (sequencer.earlier_position_secs(0.02) * 1e3).round();
        assert_eq!(heard(&sequencer), 0.0);
        play(&mut sequencer, 310);
        assert_eq!(heard(&sequencer), 290.0);
        play(&mut sequencer, 9);
        assert_eq!(heard(&sequencer), 299.0);
        play(&mut sequencer, 11);
        assert_eq!(heard(&sequencer), 110.0);
    }

    #[test]
    fn beats_come_with_the_notes_and_go_on_in_a_loop() {
        // A quarter is 500 frames.
        let mut sequencer = looped(&[(500, 10, 60)], 500, 2_500);
        sequencer.set_beats(true);
        let lines = play(&mut sequencer, 3_001);
        let expected = "0 BEAT, 500 beat, 500 +60, 510 -60, 1000 beat, 1500 beat, 2000 BEAT, \
                        2500 turn, 2500 beat, 2500 +60, 2510 -60, 3000 beat";
        assert_eq!(lines.join(", "), expected);
        sequencer.set_beats(false);
        assert_eq!(play(&mut sequencer, 1_000), [""; 0]);
        sequencer.set_speed(0.5);
        sequencer.set_beats(true);
        assert_eq!(play(&mut sequencer, 1_000), ["998 turn", "998 beat", "998 +60"]);
    }

    #[test]
    fn an_edit_on_a_beat_beats_once_and_no_beat_trails_after_the_end() {
        let piece = score(&[(0, 1_000, 60)]);
        let mut sequencer = sequencer(&piece);
        sequencer.set_beats(true);
        assert_eq!(play(&mut sequencer, 499), ["0 BEAT", "0 +60"]);
        sequencer.replace(Arc::new(Schedule::from_score(&piece)), |_, _| panic!("it stays"));
        assert_eq!(play(&mut sequencer, 2), ["1 beat"]);
        sequencer.replace(Arc::new(Schedule::from_score(&piece)), |_, _| panic!("it stays"));
        assert_eq!(play(&mut sequencer, 1_000), ["499 -60"]);
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
