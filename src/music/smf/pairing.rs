//! Which note-off ends which note-on.
//!
//! Of several notes of one pitch and channel that sound at once, the one struck first ends first.
//! No note lasts zero ticks and none for ever:
//!
//! - A note-off at the very tick of the only note it could end is not believed at once. Programs
//!   that write "on" before "off" at the same tick mean an earlier note by it, and the note's own
//!   off is still to come. When nothing else comes, the note lasts one tick.
//! - A note that is never let go ends where its pitch is struck again, else with the track; but not
//!   before a note that was struck earlier, so that the rule above finds the same notes again in
//!   what is written.

use std::collections::VecDeque;

use crate::music::{Note, Pitch, Tick, Velocity};

#[derive(Clone, Copy, Debug)]
struct Open {
    start: u32,
    velocity: Velocity,
}

/// The notes of one pitch and channel that are down, the first struck first.
#[derive(Debug, Default)]
struct Key {
    open: VecDeque<Open>,
    /// How many, from the front, met a note-off at their own tick.
    n_doubtful: usize,
    /// Where the last of those that were let go ended.
    last_end: u32,
}

/// The keys of one channel of one track.
#[derive(Debug)]
pub(super) struct Keyboard {
    keys: Vec<Key>,
    part: u8,
    n_open: usize,
    /// Notes that nothing ended.
    pub n_never_let_go: usize,
}

impl Keyboard {
    pub fn new(part: u8) -> Self {
        let keys = Pitch::all().map(|_| Key::default()).collect();
        Self { keys, part, n_open: 0, n_never_let_go: 0 }
    }

    #[inline]
    pub fn press(&mut self, now: u32, pitch: Pitch, velocity: Velocity, notes: &mut Vec<Note>) {
        let key = &mut self.keys[usize::from(pitch.number())];
        // What was doubtful is now certain: its end was meant at its own tick.
        let n_doubtful = std::mem::take(&mut key.n_doubtful);
        self.n_open = self.n_open + 1 - n_doubtful;
        let ended = key.open.drain(..n_doubtful);
        notes.extend(ended.map(|open| note(open, open.start, pitch, self.part)));
        key.open.push_back(Open { start: now, velocity });
    }

    /// A note-off that nothing waits for is ignored.
    #[inline]
    pub fn release(&mut self, now: u32, pitch: Pitch, notes: &mut Vec<Note>) {
        let key = &mut self.keys[usize::from(pitch.number())];
        let Some(first) = key.open.front().copied() else { return };
        if first.start < now {
            key.open.pop_front();
            key.n_doubtful = key.n_doubtful.saturating_sub(1);
            key.last_end = now;
            self.n_open -= 1;
            notes.push(note(first, now, pitch, self.part));
        } else {
            key.n_doubtful = (key.n_doubtful + 1).min(key.open.len());
        }
    }

    /// "All notes off" and "all sound off".
    pub fn release_all(&mut self, now: u32, notes: &mut Vec<Note>) {
        if self.n_open == 0 {
            return;
        }
        self.n_open = 0;
        for (key, pitch) in self.keys.iter_mut().zip(Pitch::all()) {
            key.n_doubtful = 0;
            key.last_end = now;
            notes.extend(key.open.drain(..).map(|open| note(open, now, pitch, self.part)));
        }
    }

    /// Ends what is still down at the end of the track.
    pub fn finish(&mut self, end: u32, notes: &mut Vec<Note>) {
        for (key, pitch) in self.keys.iter_mut().zip(Pitch::all()) {
            let mut next_start = end;
            let mut later = end;
            for (idx, open) in key.open.drain(..).enumerate().rev() {
                if open.start < later {
                    next_start = later;
                    later = open.start;
                }
                let stop = if idx < key.n_doubtful {
                    open.start
                } else {
                    self.n_never_let_go += 1;
                    next_start.max(key.last_end)
                };
                notes.push(note(open, stop, pitch, self.part));
            }
            key.n_doubtful = 0;
        }
        self.n_open = 0;
    }
}

fn note(open: Open, end: u32, pitch: Pitch, part: u8) -> Note {
    let length = end.saturating_sub(open.start).max(1);
    Note { start: Tick(open.start), length: Tick(length), pitch, velocity: open.velocity, part }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` presses and `-` releases the one key, at the tick that follows; gives start and end.
    fn check(events: &[(char, u32)], end: u32) -> (Vec<(u32, u32)>, usize) {
        let mut keyboard = Keyboard::new(0);
        let mut notes = Vec::new();
        for (event, tick) in events {
            match event {
                '+' => keyboard.press(*tick, Pitch::MIDDLE_C, Velocity::COMPOSED, &mut notes),
                '-' => keyboard.release(*tick, Pitch::MIDDLE_C, &mut notes),
                _ => keyboard.release_all(*tick, &mut notes),
            }
        }
        keyboard.finish(end, &mut notes);
        notes.sort_by_key(|note| note.start);
        let spans = notes.iter().map(|note| (note.start.0, note.end().0)).collect();
        (spans, keyboard.n_never_let_go)
    }

    #[test]
    fn the_first_struck_ends_first() {
        let spans = check(&[('+', 0), ('+', 240), ('-', 480), ('-', 720)], 720);
        assert_eq!(spans, (vec![(0, 480), (240, 720)], 0));
    }

    #[test]
    fn struck_again_before_it_is_let_go() {
        let spans = check(&[('+', 0), ('+', 240), ('-', 240), ('-', 480)], 480);
        assert_eq!(spans, (vec![(0, 240), (240, 480)], 0));
    }

    #[test]
    fn an_off_at_its_own_start_gives_way_to_a_later_one() {
        let doubled = [('+', 0), ('-', 240), ('+', 240), ('-', 240), ('-', 480), ('-', 480)];
        assert_eq!(check(&doubled, 480), (vec![(0, 240), (240, 480)], 0));
        assert_eq!(check(&[('+', 10), ('-', 10)], 99), (vec![(10, 11)], 0));
        let grace = [('+', 10), ('-', 10), ('+', 10), ('-', 50)];
        assert_eq!(check(&grace, 99), (vec![(10, 11), (10, 50)], 0));
    }

    #[test]
    fn never_let_go() {
        assert_eq!(check(&[('+', 0), ('+', 5), ('+', 5)], 9), (vec![(0, 5), (5, 9), (5, 9)], 3));
        assert_eq!(check(&[('+', 9)], 9), (vec![(9, 10)], 1));
        let overlapping = [('+', 0), ('+', 5), ('+', 9), ('-', 20)];
        assert_eq!(check(&overlapping, 30), (vec![(0, 20), (5, 20), (9, 30)], 2));
        assert_eq!(check(&[('+', 0), ('!', 4), ('-', 7)], 9), (vec![(0, 4)], 0));
    }
}
