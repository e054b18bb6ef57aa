//! How sentences begin, how times are written and what the window calls the command line's flags, for
//! panels, dialogs and the roll alike.

/// With a capital at the start.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// As it stands within a sentence.
pub fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// `m:ss` of a number of seconds.
pub fn minutes_seconds(secs: f64) -> String {
    // A float to integer cast saturates, and NaN becomes 0.
    let secs = secs as u64;
    format!("{}:{:02}", secs / 60, secs % 60)
}

/// `m:ss.t` of a number of seconds: as exactly as the roll tells a place.
pub fn minutes_tenths(secs: f64) -> String {
    let tenths = (secs * 10.0).round() as u64;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// How long something is past, as one remembers it, of seconds: `12 minutes ago`. No clock on the
/// wall is needed for it, and so no time zone.
pub fn ago(secs: u64) -> String {
    let counted = |count: u64, one: &str, many: &str| match count {
        1 => one.to_owned(),
        count => format!("{count} {many} ago"),
    };
    let (minutes, hours, days) = (secs / 60, secs / 3_600, secs / 86_400);
    match secs {
        ..60 => "moments ago".to_owned(),
        _ if hours == 0 => counted(minutes, "a minute ago", "minutes"),
        _ if days == 0 => counted(hours, "an hour ago", "hours"),
        _ => counted(days, "yesterday", "days"),
    }
}

/// An error as the command line says it, with the window's names of what its flags stand for.
pub fn in_the_windows_words(error: &str) -> String {
    let mut text = error.to_owned();
    if let Some(start) = text.find(" (etude ")
        && let Some(length) = text[start..].find(')')
    {
        text.replace_range(start..=start + length, "");
    }
    for (words, label) in SAID_OTHERWISE {
        text = text.replace(words, label);
    }
    let label = |word: &str| {
        let start = word.find("--").filter(|start| matches!(&word[..*start], "" | "(" | "“"))?;
        let flag = word[start..].trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let label = match LABELS.iter().find(|(known, _)| *known == flag) {
            Some((_, label)) => (*label).to_owned(),
            None => capitalized(&flag.trim_start_matches('-').replace('-', " ")),
        };
        Some(word.replace(flag, &format!("“{label}”"))).filter(|_| flag.len() > 2)
    };
    let words = text.split(' ').map(|word| label(word).unwrap_or_else(|| word.to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// Flags with their values, as the window's form shows them, and what has no place in a window.
const SAID_OTHERWISE: [(&str, &str); 8] = [
    ("without --from", "with “Go on from: Nothing”"),
    ("--alphabet off-on", "“Learns: Which keys sound”"),
    ("--split pieces", "“Held out: Whole pieces”"),
    ("--split tail", "“Held out: The last fifth”"),
    ("--framing nearest", "“Framing: Nearest”"),
    ("--device cpu", "“Compute on: CPU”"),
    (" and another --out", ""),
    (" with another --out", ""),
];

/// The flags whose rows are called otherwise.
const LABELS: [(&str, &str); 14] = [
    ("--alphabet", "Learns"),
    ("--device", "Compute on"),
    ("--early-stop", "Stop early"),
    ("--fps", "Frames a second"),
    ("--from", "Go on from"),
    ("--grid", "Frames"),
    ("--hidden", "Size"),
    ("--key-hidden", "Size by key"),
    ("--max-vocabulary", "Vocabulary"),
    ("--min-count", "Least count"),
    ("--model", "Network"),
    ("--save-every", "Keep every"),
    ("--split", "Held out"),
    ("--warm-up", "Warm-up"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_called_what_the_form_calls_them() {
        let told = [
            "“a set” lacks it — train with --alphabet off-on, or give MIDI files",
            "or train a fresh network, without --from",
            "--grid can't be eighth — leave it out",
            "shorten the sequences (--sequence 9 or less) and hold out the tail (--split tail)",
            "try 0.1 (--learning-rate), or clip (--clip 1)",
            "give it as it was (etude train PATH... --out a b --resume), or start a new run with another --out",
            "nothing -- of /a--b/--c.mid is a flag",
        ];
        let expected = [
            "“a set” lacks it — train with “Learns: Which keys sound”, or give MIDI files",
            "or train a fresh network, with “Go on from: Nothing”",
            "“Frames” can't be eighth — leave it out",
            "shorten the sequences (“Sequence” 9 or less) and hold out the tail (“Held out: The last \
             fifth”)",
            "try 0.1 (“Learning rate”), or clip (“Clip” 1)",
            "give it as it was, or start a new run",
            "nothing -- of /a--b/--c.mid is a flag",
        ];
        assert_eq!(told.map(in_the_windows_words), expected);
    }

    #[test]
    fn words_begin_as_they_should() {
        assert_eq!((capitalized("tempo"), uncapitalized("Undo")), ("Tempo".into(), "undo".into()));
        assert_eq!((capitalized("élan"), uncapitalized("")), ("Élan".into(), String::new()));
    }

    #[test]
    fn times_are_written_in_full_minutes() {
        assert_eq!(minutes_seconds(65.9), "1:05");
        assert_eq!(
            (minutes_seconds(f64::NAN), minutes_seconds(-3.0)),
            ("0:00".into(), "0:00".into())
        );
        assert_eq!(
            (minutes_tenths(64.16), minutes_tenths(59.97)),
            ("1:04.2".into(), "1:00.0".into())
        );
    }

    #[test]
    fn the_past_is_told_as_one_remembers_it() {
        let told = [0, 60, 720, 3_600, 3 * 3_600 + 59, 86_400, 5 * 86_400].map(ago);
        let expected = [
            "moments ago",
            "a minute ago",
            "12 minutes ago",
            "an hour ago",
            "3 hours ago",
            "yesterday",
            "5 days ago",
        ];
        assert_eq!(told, expected);
    }
}
