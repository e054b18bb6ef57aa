//! Places in a list, written small: everything is two bytes or so, however long the list is.

use std::ops::Range;
use std::sync::Arc;

/// Ascending places, as runs of neighbors: for each the gap before it and its length, as numbers
/// of seven bits a byte. Cloning shares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs {
    bytes: Arc<[u8]>,
}

impl Runs {
    /// From ascending ranges, which may touch but not overlap.
    pub fn of_ranges(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let (mut bytes, mut end) = (Vec::new(), 0);
        let mut open: Option<Range<usize>> = None;
        let mut close = |run: Range<usize>| {
            push_number(&mut bytes, (run.start - end) as u64);
            push_number(&mut bytes, run.len() as u64);
            end = run.end;
        };
        for range in ranges {
            match &mut open {
                Some(run) if run.end == range.start => run.end = range.end,
                _ => {
                    if let Some(run) = open.replace(range) {
                        close(run);
                    }
                }
            }
        }
        if let Some(run) = open {
            close(run);
        }
        Self { bytes: bytes.into() }
    }

    /// Ascending, none touching the next.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let (mut rest, mut end) = (&*self.bytes, 0usize);
        std::iter::from_fn(move || {
            let start = end.saturating_add(take_number(&mut rest)? as usize);
            end = start.saturating_add(take_number(&mut rest)? as usize);
            Some(start..end)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Memory held.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Shares the bytes of another that says the same.
    pub fn shared_with(self, other: &Self) -> Self {
        if self == *other { other.clone() } else { self }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
pub fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What [`push_number`] wrote; `None` at the end.
pub fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn everything_is_small() {
        let all = Runs::of_ranges(std::iter::once(0..200_000));
        assert!(all.n_bytes() < 8);
        assert!(all.iter().eq(std::iter::once(0..200_000)));
        assert_eq!(Runs::of_ranges((0..200_000).map(|place| place..place + 1)), all);
        assert_eq!(Runs::of_ranges([]).iter().count(), 0);
    }

    proptest! {
        #[test]
        fn places_come_back(places in prop::collection::btree_set(0usize..100_000, 0..200)) {
            let runs = Runs::of_ranges(places.iter().map(|place| *place..place + 1));
            prop_assert!(runs.iter().flatten().eq(places.iter().copied()));
            prop_assert_eq!(runs.is_empty(), places.is_empty());
        }

        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let mut bytes = Vec::new();
            for number in &numbers {
                push_number(&mut bytes, *number);
            }
            let mut rest = &*bytes;
            let back: Vec<u64> = std::iter::from_fn(|| take_number(&mut rest)).collect();
            prop_assert_eq!(back, numbers);
        }
    }
}
