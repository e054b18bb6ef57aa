//! Durations as musicians name them, and as ticks.

use crate::music::TicksPerQuarter;

/// Note values from the whole note down, each half of the one before.
const LETTERS: [char; 7] = ['w', 'h', 'q', 'e', 's', 't', 'x'];

/// Tuplets: so many notes in the time of so many.
const TUPLETS: [(u32, u32); 3] = [(3, 2), (5, 4), (7, 4)];

/// The ticks of `q`, `e.`, `s/3`, `43` or a sum of such; `None` if it isn't a duration, isn't a
/// whole number of ticks, or is zero.
pub(super) fn parse(text: &str, ticks_per_quarter: TicksPerQuarter) -> Option<u32> {
    let mut sum = 0u32;
    for atom in text.split('+') {
        sum = sum.checked_add(parse_atom(atom, ticks_per_quarter)?)?;
    }
    (sum > 0).then_some(sum)
}

fn parse_atom(text: &str, ticks_per_quarter: TicksPerQuarter) -> Option<u32> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut rest = text.chars();
    let letter = rest.next()?;
    let (dots, tuplet) = match rest.as_str().split_once('/') {
        Some((dots, count)) => {
            let count: u32 = count.parse().ok()?;
            (dots, *TUPLETS.iter().find(|(n_notes, _)| *n_notes == count)?)
        }
        None => (rest.as_str(), (1, 1)),
    };
    if !dots.chars().all(|c| c == '.') {
        return None;
    }
    atom_ticks(letter, dots.len(), tuplet, ticks_per_quarter)
}

/// Ticks of one note value, if they are a whole number. A dot adds half of what came before.
fn atom_ticks(
    letter: char,
    n_dots: usize,
    (n_notes, in_time_of): (u32, u32),
    ticks_per_quarter: TicksPerQuarter,
) -> Option<u32> {
    let power = LETTERS.iter().position(|known| *known == letter)?;
    if n_dots > 3 {
        return None;
    }
    // With d dots a value is (2^(d+1) − 1) / 2^d of itself.
    let numerator = ticks_per_quarter.get() * 4 * ((2 << n_dots) - 1) * in_time_of;
    let denominator = (1 << power << n_dots) * n_notes;
    (numerator.is_multiple_of(denominator)).then(|| numerator / denominator)
}

/// The shortest usual way to write a number of ticks: one value, the sum of two, else ticks.
#[derive(Clone, Debug)]
pub(super) struct DurationNames {
    /// Plain and dotted values, then tuplets; the largest first in each.
    atoms: Vec<(u32, String)>,
    n_plain: usize,
}

impl DurationNames {
    pub fn new(ticks_per_quarter: TicksPerQuarter) -> Self {
        let mut atoms = Vec::new();
        let mut add = |n_dots: usize, tuplet: (u32, u32)| {
            for letter in LETTERS {
                if let Some(ticks) = atom_ticks(letter, n_dots, tuplet, ticks_per_quarter) {
                    let mut name = letter.to_string() + &".".repeat(n_dots);
                    if tuplet.0 > 1 {
                        name += &format!("/{}", tuplet.0);
                    }
                    atoms.push((ticks, name));
                }
            }
        };
        add(0, (1, 1));
        add(1, (1, 1));
        for tuplet in TUPLETS {
            add(0, tuplet);
        }
        let n_plain = 2 * LETTERS.len();
        let n_plain = n_plain.min(atoms.iter().filter(|(_, name)| !name.contains('/')).count());
        atoms[..n_plain].sort_by_key(|(ticks, _)| std::cmp::Reverse(*ticks));
        Self { atoms, n_plain }
    }

    pub fn name(&self, ticks: u32) -> String {
        if let Some(name) = self.atom(&self.atoms, ticks) {
            return name.to_owned();
        }
        let (plain, tuplets) = self.atoms.split_at(self.n_plain);
        for rest in [plain, tuplets] {
            for (first, name) in plain.iter().filter(|(first, _)| *first < ticks) {
                if let Some(second) = self.atom(rest, ticks - first) {
                    return format!("{name}+{second}");
                }
            }
        }
        ticks.to_string()
    }

    fn atom<'a>(&self, atoms: &'a [(u32, String)], ticks: u32) -> Option<&'a str> {
        atoms.iter().find(|(known, _)| *known == ticks).map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_dots_tuplets_ticks_and_sums() {
        let check = |text: &str| parse(text, TicksPerQuarter::DEFAULT);
        assert_eq!(check("w"), Some(1920));
        assert_eq!(check("q.."), Some(840));
        assert_eq!(check("e/3"), Some(160));
        assert_eq!(check("s/5"), Some(96));
        assert_eq!(check("q+s+7"), Some(607));
        for text in ["", "q+", "y", "q/4", "x/7", "0", "-3", "4294967296", "q,", "h4"] {
            assert_eq!(check(text), None, "{text}");
        }
    }

    #[test]
    fn every_name_reads_back() {
        for division in [1, 7, 96, 384, 480, 1000, 32_767] {
            let ticks_per_quarter = TicksPerQuarter::new(division).unwrap();
            let names = DurationNames::new(ticks_per_quarter);
            for ticks in (1..5000).chain([u32::MAX]) {
                assert_eq!(parse(&names.name(ticks), ticks_per_quarter), Some(ticks));
            }
        }
    }

    #[test]
    fn names_are_the_usual_ones() {
        let names = DurationNames::new(TicksPerQuarter::new(384).unwrap());
        for (ticks, name) in
            [(384, "q"), (576, "q."), (480, "q+s"), (128, "e/3"), (512, "h/3"), (43, "43")]
        {
            assert_eq!(names.name(ticks), name);
        }
    }
}
