//! What a piece said before: music comes back to what it has played, and a recurrent state keeps no
//! copy of it.
//!
//! While a piece is read, [`Recall`] looks for the longest passage before the frame to come that
//! the piece had once already, and expects it to go on as it went on then. Its guess and the
//! network's are mixed:
//!
//! ```text
//! P(frame) = s · [frame is what followed then] + (1 − s) · P_network(frame)
//! ```
//!
//! which sums to one over all chords, as the network's probability does. The share s knows nothing
//! but this piece. It is counted apart for passages of about the same length: that of n frames
//! begins with n / (n + 2), in the manner of Laplace's rule of succession, and becomes the mean
//! responsibility of the guess, as in the estimation of a mixture's weights (Dempster, Laird & Rubin
//! 1977) a frame at a time. Looking for the longest match is the match model of data compression
//! (Mahoney 2005, PAQ); mixing a network with its own recent past is the cache of Grave et al.
//! (2017).

use std::collections::HashMap;

use crate::tokens::Chord;

/// Frames that must agree before anything is expected of them.
const LEAST: usize = 2;
/// Longer passages are as good as this one.
const LONGEST: usize = 128;
/// Most places that are compared for a frame, the latest ones.
const MAX_PLACES: usize = 32;
/// Passages of 2, 3, 4, 6, 8, 11, 16, … 128 frames or more.
const N_LENGTHS: usize = rank(LONGEST) + 1;

/// A piece as far as it is read, and where it was like its end before.
#[derive(Clone, Debug)]
pub struct Recall {
    said: Vec<Chord>,
    /// For every [`LEAST`] frames the places after them, in their order.
    places: HashMap<[Chord; LEAST], Vec<usize>>,
    followed: Option<Passage>,
    trust: [Trust; N_LENGTHS],
}

/// A passage that the piece ends with and had before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Passage {
    /// The frame that followed it then.
    next: usize,
    n_frames: usize,
}

/// How much of the chance passages of a length deserve.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Trust {
    deserved: f64,
    asked: f64,
}

/// Twice the binary logarithm: lengths of one rank are within a factor of √2.
const fn rank(n_frames: usize) -> usize {
    let n_frames = if n_frames < LONGEST { n_frames } else { LONGEST };
    let rank = (n_frames * n_frames).ilog2() as usize;
    rank - (LEAST * LEAST).ilog2() as usize
}

impl Trust {
    /// Before any passage of a rank was heard: as if two had been, counted by its shortest.
    fn of_rank(rank: usize) -> Self {
        let n_frames = LEAST as f64 * (rank as f64 / 2.0).exp2();
        Self { deserved: 2.0 * n_frames / (n_frames + 2.0), asked: 2.0 }
    }

    fn share(self) -> f64 {
        self.deserved / self.asked
    }

    /// What a frame costs, in nats, that the network gives `exp(−nats)`.
    fn hear(&mut self, is_expected: bool, nats: f64) -> f64 {
        let share = self.share();
        self.asked += 1.0;
        if !is_expected {
            return nats - (1.0 - share).ln();
        }
        let chance = share + (1.0 - share) * (-nats).exp();
        self.deserved += share / chance;
        -chance.ln()
    }
}

impl Default for Recall {
    fn default() -> Self {
        Self {
            said: Vec::new(),
            places: HashMap::new(),
            followed: None,
            trust: std::array::from_fn(Trust::of_rank),
        }
    }
}

impl Recall {
    /// What `chord` costs as the next frame, in nats, when the network by itself gives it
    /// `exp(−nats)`. Then it is said.
    pub fn hear(&mut self, chord: Chord, nats: f64) -> f64 {
        let cost = match self.followed {
            None => nats,
            Some(passage) => {
                let is_expected = self.said[passage.next] == chord;
                self.trust[rank(passage.n_frames)].hear(is_expected, nats)
            }
        };
        self.say(chord);
        cost
    }

    fn say(&mut self, chord: Chord) {
        self.followed = self
            .followed
            .filter(|it| self.said[it.next] == chord)
            .map(|passage| Passage { next: passage.next + 1, n_frames: passage.n_frames + 1 });
        self.said.push(chord);
        let Some(&end) = self.said.last_chunk::<LEAST>() else { return };
        let places = self.places.entry(end).or_default();
        let is_long = self.followed.is_some_and(|passage| passage.n_frames >= LONGEST);
        let n_compared = if is_long { 0 } else { MAX_PLACES };
        for &next in places.iter().rev().take(n_compared) {
            let n_frames = n_alike(&self.said[..next], &self.said);
            if self.followed.is_none_or(|longest| n_frames > longest.n_frames) {
                self.followed = Some(Passage { next, n_frames });
            }
        }
        places.push(self.said.len());
    }
}

/// How many frames at the ends of both are the same, up to [`LONGEST`].
fn n_alike(one: &[Chord], other: &[Chord]) -> usize {
    let pairs = one.iter().rev().zip(other.iter().rev());
    pairs.take(LONGEST).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The chord of the lowest keys that these bits name.
    fn chord(bits: u8) -> Chord {
        Chord::from_bits(u128::from(bits) << 60)
    }

    /// A network that gives each of the eight chords of three keys another chance.
    fn nats(bits: u8) -> f64 {
        let chances = [0.3, 0.05, 0.2, 0.01, 0.14, 0.2, 0.09, 0.01];
        -f64::ln(chances[usize::from(bits)])
    }

    proptest! {
        #[test]
        fn the_chances_of_all_chords_sum_to_one(
            piece in proptest::collection::vec(0u8..3, 0..80)
        ) {
            let mut recall = Recall::default();
            for bits in piece {
                let chance = |bits| (-recall.clone().hear(chord(bits), nats(bits))).exp();
                let sum: f64 = (0..8).map(chance).sum();
                prop_assert!((sum - 1.0).abs() < 1e-12, "{sum}");
                recall.hear(chord(bits), nats(bits));
            }
        }

        #[test]
        fn the_longest_passage_is_followed(piece in proptest::collection::vec(0u8..2, 0..60)) {
            let said: Vec<Chord> = piece.iter().map(|&bits| chord(bits)).collect();
            let mut recall = Recall::default();
            for (idx, &bits) in piece.iter().enumerate() {
                recall.hear(said[idx], nats(bits));
                let before = &said[..=idx];
                let longest = (LEAST..=idx).map(|next| n_alike(&before[..next], before)).max();
                let found = recall.followed.map_or(0, |passage| passage.n_frames);
                // Places further back than those that are looked at may be better.
                if idx < MAX_PLACES {
                    prop_assert_eq!(found, longest.filter(|&n| n >= LEAST).unwrap_or(0));
                }
            }
        }
    }

    #[test]
    fn what_comes_back_costs_little_and_what_never_does_costs_as_much_as_before() {
        let cost = |piece: &[u8]| {
            let mut recall = Recall::default();
            piece.iter().map(|&bits| recall.hear(chord(bits), 3.0)).collect::<Vec<f64>>()
        };
        assert_eq!(cost(&[0, 1, 2, 3, 4, 5, 6, 7]), [3.0; 8]);
        let twice: Vec<u8> = (0..100).chain(0..100).collect();
        let costs = cost(&twice);
        assert_eq!(costs[..102], [3.0; 102]);
        assert!(costs[102] < 0.7 && costs[199] < 0.1, "{} {}", costs[102], costs[199]);
        // Going elsewhere after a long passage is a surprise, but not a boundless one.
        let elsewhere: Vec<u8> = (0..100).chain(0..99).chain([200]).collect();
        assert!((3.5..10.0).contains(cost(&elsewhere).last().unwrap()));
    }

    #[test]
    fn a_frame_the_network_holds_impossible_has_a_finite_cost_where_it_comes_back() {
        let mut recall = Recall::default();
        for bits in [1, 2, 3, 1, 2] {
            recall.hear(chord(bits), 2.0);
        }
        assert!(recall.clone().hear(chord(3), 5000.0) < 1.0);
        assert!(recall.hear(chord(4), 5000.0) > 5000.0);
    }
}
