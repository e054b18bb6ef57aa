//! Notes played by hand: auditions, keys held on the window's keyboard, what a scrub passes over.
//! Each is bound to end: nothing that goes into [`Hands`] stays longer than its frames.

use super::schedule::DRUM_CHANNEL;

/// At once; when there are more, the one that ends soonest gives way.
pub(super) const MAX_NOTES: usize = 32;

/// Why a note sounds, which says what ends it early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// For a time.
    Audition,
    /// Until its key is let go, or as long as that may take.
    Key,
    /// Passed over by a scrub.
    Scrub,
}

#[derive(Clone, Copy, Debug)]
struct Played {
    channel: u8,
    key: u8,
    reason: Reason,
    frames_left: u64,
}

#[derive(Debug, Default)]
pub(super) struct Hands {
    notes: [Option<Played>; MAX_NOTES],
}

impl Hands {
    pub(super) fn is_idle(&self) -> bool {
        self.notes.iter().all(Option::is_none)
    }

    /// A key goes down for `n_frames`. Returns the channel and key that must go up before.
    pub(super) fn strike(
        &mut self,
        channel: u8,
        key: u8,
        reason: Reason,
        n_frames: u64,
    ) -> Option<(u8, u8)> {
        let is_same = |note: &Played| note.channel == channel && note.key == key;
        let same = self.notes.iter().position(|slot| slot.as_ref().is_some_and(is_same));
        let free = || self.notes.iter().position(Option::is_none);
        let soonest = || {
            let left = |idx: &usize| self.notes[*idx].map_or(0, |note| note.frames_left);
            (0..MAX_NOTES).min_by_key(left).unwrap_or(0)
        };
        let slot = same.or_else(free).unwrap_or_else(soonest);
        let before = self.notes[slot].map(|note| (note.channel, note.key));
        self.notes[slot] = Some(Played { channel, key, reason, frames_left: n_frames.max(1) });
        before
    }

    /// Whether a key sounds for this reason.
    pub(super) fn holds(&self, key: u8, reason: Reason) -> bool {
        self.notes.iter().flatten().any(|note| note.key == key && note.reason == reason)
    }

    /// Ends every note of which `is_over` says so; `release` gets its channel and key.
    pub(super) fn end(
        &mut self,
        is_over: impl Fn(u8, Reason) -> bool,
        mut release: impl FnMut(u8, u8),
    ) {
        for slot in &mut self.notes {
            if let Some(note) = slot.take_if(|note| is_over(note.key, note.reason)) {
                release(note.channel, note.key);
            }
        }
    }

    /// Frames until one of them ends.
    pub(super) fn frames_to_next(&self) -> u64 {
        self.notes.iter().flatten().map(|note| note.frames_left).min().unwrap_or(u64::MAX)
    }

    pub(super) fn advance(&mut self, n_frames: u64, mut release: impl FnMut(u8, u8)) {
        for slot in &mut self.notes {
            if let Some(note) = slot {
                note.frames_left = note.frames_left.saturating_sub(n_frames);
            }
            if let Some(note) = slot.take_if(|note| note.frames_left == 0) {
                release(note.channel, note.key);
            }
        }
    }

    /// The keys that are down, one bit each; drums are no keys.
    pub(super) fn keys(&self) -> u128 {
        let notes = self.notes.iter().flatten().filter(|note| note.channel != DRUM_CHANNEL);
        notes.fold(0, |keys, note| keys | 1 << note.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_is_struck_ends(
            strikes in prop::collection::vec((0u8..3, 40u8..90, 0u64..2_000, 0usize..3), 0..200),
        ) {
            let reasons = [Reason::Audition, Reason::Key, Reason::Scrub];
            let mut hands = Hands::default();
            let mut down = std::collections::HashSet::new();
            for (channel, key, n_frames, reason) in strikes {
                let before = hands.strike(channel, key, reasons[reason], n_frames);
                if let Some(before) = before {
                    prop_assert!(down.remove(&before));
                }
                prop_assert!(down.insert((channel, key)));
                hands.advance(100, |channel, key| assert!(down.remove(&(channel, key))));
                prop_assert!(down.len() <= MAX_NOTES);
            }
            hands.end(|_, reason| reason == Reason::Key, |channel, key| {
                assert!(down.remove(&(channel, key)));
            });
            while !hands.is_idle() {
                let step = hands.frames_to_next();
                hands.advance(step, |channel, key| assert!(down.remove(&(channel, key))));
            }
            prop_assert!(down.is_empty());
        }
    }
}
