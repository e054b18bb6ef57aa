//! How sentences begin and how times are written, for panels, dialogs and the roll alike.

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

#[cfg(test)]
mod tests {
    use super::*;

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
