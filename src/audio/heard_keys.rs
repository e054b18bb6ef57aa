//! Which keys are heard to be down: what the engine strikes now is heard a latency later.

/// Changes that can wait. A change is noted once a chunk, so these are 0.3 s at 48 kHz; a device
/// with more latency sees the newest changes early.
const MAX_WAITING: usize = 256;

#[derive(Debug)]
pub(super) struct HeardKeys {
    delay_frames: u64,
    /// A ring of keys and the frame on which they are heard.
    waiting: [(u64, u128); MAX_WAITING],
    first: usize,
    n_waiting: usize,
    newest: u128,
    heard: u128,
}

impl HeardKeys {
    pub(super) fn new(delay_frames: u64) -> Self {
        Self {
            delay_frames,
            waiting: [(0, 0); MAX_WAITING],
            first: 0,
            n_waiting: 0,
            newest: 0,
            heard: 0,
        }
    }

    /// `keys` are struck on frame `now`. Returns those that are heard then, one bit each.
    pub(super) fn update(&mut self, now: u64, keys: u128) -> u128 {
        if keys != self.newest {
            self.newest = keys;
            self.n_waiting = (self.n_waiting + 1).min(MAX_WAITING);
            let last = (self.first + self.n_waiting - 1) % MAX_WAITING;
            self.waiting[last] = (now + self.delay_frames, keys);
        }
        while self.n_waiting > 0 && self.waiting[self.first].0 <= now {
            self.heard = self.waiting[self.first].1;
            self.first = (self.first + 1) % MAX_WAITING;
            self.n_waiting -= 1;
        }
        self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_heard_a_latency_later() {
        let mut keys = HeardKeys::new(100);
        let heard: Vec<u128> = [(0, 1), (60, 3), (120, 2), (160, 2), (220, 2)]
            .map(|(now, struck)| keys.update(now, struck))
            .to_vec();
        assert_eq!(heard, [0, 0, 1, 3, 2]);
    }

    #[test]
    fn more_changes_than_can_wait_end_with_the_newest() {
        let mut keys = HeardKeys::new(1_000_000);
        (1..2_000).for_each(|n| assert_eq!(keys.update(n, u128::from(n)), 0));
        assert_eq!(keys.update(2_000_000, 1_999), 1_999);
        assert_eq!(HeardKeys::new(0).update(5, 7), 7);
    }
}
