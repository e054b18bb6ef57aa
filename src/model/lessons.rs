//! Which pieces a model learned from, kept with its weights: so that whoever measures it, or goes on
//! from it, can be told where figures say nothing of music that is new.

use serde::{Deserialize, Serialize};

use super::CorpusSummary;

/// Digits of a SHA-256 that tell pieces apart: among a million of them two are alike with a chance
/// of one in five hundred.
const DIGITS: usize = 12;

/// Pieces by the beginnings of their SHA-256, sorted. Each list may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lessons {
    /// Learned from beginning to end.
    whole: Vec<String>,
    /// Of these a part was held out.
    in_part: Vec<String>,
    /// What the epoch was chosen by.
    chosen_by: Vec<String>,
    /// Whether there may be others that nobody knows.
    may_lack: bool,
}

impl Lessons {
    /// Those of a run's own music.
    pub(super) fn of(corpus: &CorpusSummary) -> Self {
        let used_as = |is_so: fn(&[String]) -> bool| {
            let files = corpus.files.iter().filter(|file| is_so(&file.parts));
            sorted(files.map(|file| beginning(&file.sha256).to_owned()).collect())
        };
        Self {
            whole: used_as(|parts| parts == ["train"]),
            in_part: used_as(|parts| parts.len() > 1 && has(parts, "train")),
            chosen_by: used_as(|parts| has(parts, "valid")),
            may_lack: false,
        }
    }

    /// What the epoch is chosen by, and nothing that was learned from.
    pub(super) fn only_chosen_by(self) -> Self {
        Self { whole: Vec::new(), in_part: Vec::new(), ..self }
    }

    /// The same after others: those of the checkpoint that a run went on from, if they are known.
    pub(super) fn after(self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return Self { may_lack: true, ..self } };
        let both = |ours: &[String], theirs: &[String]| sorted([ours, theirs].concat());
        let whole = both(&self.whole, &before.whole);
        let mut in_part = both(&self.in_part, &before.in_part);
        in_part.retain(|piece| whole.binary_search(piece).is_err());
        Self {
            chosen_by: both(&self.chosen_by, &before.chosen_by),
            may_lack: self.may_lack || before.may_lack,
            whole,
            in_part,
        }
    }

    /// Whether a piece with this SHA-256 was learned from beginning to end.
    pub fn has_learned(&self, sha256: &str) -> bool {
        knows(&self.whole, sha256)
    }

    /// Whether a part of it was, and another held out.
    pub fn has_learned_in_part(&self, sha256: &str) -> bool {
        knows(&self.in_part, sha256)
    }

    /// Whether it was held out to choose an epoch by.
    pub fn was_chosen_by(&self, sha256: &str) -> bool {
        knows(&self.chosen_by, sha256)
    }

    /// Whether there may be others that nobody knows.
    pub fn may_lack(&self) -> bool {
        self.may_lack
    }
}

fn has(parts: &[String], part: &str) -> bool {
    parts.iter().any(|other| other == part)
}

fn sorted(mut pieces: Vec<String>) -> Vec<String> {
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

fn beginning(sha256: &str) -> &str {
    sha256.get(..DIGITS).unwrap_or(sha256)
}

fn knows(pieces: &[String], sha256: &str) -> bool {
    pieces.binary_search_by(|piece| piece.as_str().cmp(beginning(sha256))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileSummary;

    fn corpus(files: &[(&str, &[&str])]) -> CorpusSummary {
        let file = |(name, parts): &(&str, &[&str])| FileSummary {
            path: format!("{name}.mid"),
            sha256: sha256(name),
            frames: 1,
            parts: parts.iter().map(|&part| part.to_owned()).collect(),
        };
        CorpusSummary {
            seconds: 1.0,
            train_frames: 1,
            valid_frames: 1,
            test_frames: 1,
            files: files.iter().map(file).collect(),
        }
    }

    fn sha256(name: &str) -> String {
        crate::tokens::sha256_hex(name.as_bytes())
    }

    #[test]
    fn what_was_learned_stays_known_through_runs_that_go_on() {
        let first = Lessons::of(&corpus(&[
            ("a", &["train"]),
            ("b", &["train", "valid"]),
            ("c", &["valid"]),
            ("d", &["test"]),
        ]));
        let learned = |lessons: &Lessons, name: &str| {
            (lessons.has_learned(&sha256(name)), lessons.has_learned_in_part(&sha256(name)))
        };
        let all = |lessons: &Lessons| ["a", "b", "c", "d"].map(|name| learned(lessons, name));
        let (no, part, whole) = ((false, false), (false, true), (true, false));
        assert_eq!(all(&first), [whole, part, no, no]);
        assert!(first.was_chosen_by(&sha256("c")) && !first.was_chosen_by(&sha256("d")));
        assert!(!first.may_lack());
        let second = Lessons::of(&corpus(&[("b", &["train"]), ("d", &["train", "valid"])]));
        let second = second.after(Some(&first));
        assert_eq!(all(&second), [whole, whole, no, part]);
        assert!(second.was_chosen_by(&sha256("c")) && !second.may_lack());
        let kept = serde_json::to_string(&second).unwrap();
        assert_eq!(serde_json::from_str::<Lessons>(&kept).unwrap(), second);
        assert!(second.clone().after(None).may_lack());
        assert!(first.after(Some(&second.after(None))).may_lack());
    }
}
