//! What is wrong with a damaged file, in words for those who never saw a parser.

use serde_json::error::Category;

/// What is wrong, without the place.
pub fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    match error.classify() {
        Category::Eof => "it ends there, and the rest is missing".to_owned(),
        Category::Syntax if text.starts_with("recursion") => {
            "too many brackets stand in one another".to_owned()
        }
        Category::Syntax => "what stands there breaks the rules of JSON".to_owned(),
        Category::Io => text.to_owned(),
        Category::Data => data_in_words(text),
    }
}

/// What is written by the rules and still can't be taken. Words of our own stay as they are.
fn data_in_words(text: &str) -> String {
    let quoted = || text.split('`').nth(1).unwrap_or_default();
    let after = |start: &str| text.strip_prefix(start)?.split_once(", expected ");
    if text.starts_with("missing field `") {
        format!("“{}” is missing", quoted())
    } else if text.starts_with("duplicate field `") {
        format!("“{}” stands there twice", quoted())
    } else if text.starts_with("unknown variant `") {
        format!("“{}” is no word that is known there", quoted())
    } else if let Some((found, wanted)) = after("invalid type: ") {
        format!("{} stands where {} belongs", found_in_words(found), wanted_in_words(wanted))
    } else if let Some((found, wanted)) = after("invalid value: ") {
        let found = found_in_words(found);
        format!("{found} stands where only {} fits", wanted_in_words(wanted))
    } else if let Some((number, _)) = after("invalid length ") {
        format!("a list of {number} has too few or too many entries")
    } else {
        text.to_owned()
    }
}

fn found_in_words(found: &str) -> String {
    let inner = |quote| found.split_once(quote).and_then(|(_, rest)| rest.rsplit_once(quote));
    match found {
        "null" => "nothing".to_owned(),
        "map" => "a group in braces".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => match (inner('`'), inner('"')) {
            (Some((number, _)), _) => number.to_owned(),
            (None, Some((words, _))) => format!("“{words}”"),
            (None, None) => "something else".to_owned(),
        },
    }
}

fn wanted_in_words(wanted: &str) -> &'static str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65,535",
        "u32" => "a whole number from 0 to 4,294,967,295",
        "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "a group in braces",
        _ if wanted.starts_with("struct ") => "a group in braces",
        _ if wanted.starts_with("tuple ") => "a list",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Note, Velocity};

    #[test]
    fn no_words_of_a_parser_are_told() {
        let note = |old: &str, new: &str| {
            let note = r#"{"start":0,"length":1,"pitch":60,"velocity":9,"part":0}"#;
            let text = note.replacen(old, new, 1);
            in_words(&serde_json::from_str::<Note>(&text).unwrap_err())
        };
        for (old, new, words) in [
            ("9,\"part\":0}", "", "it ends there, and the rest is missing"),
            (":9", "=9", "what stands there breaks the rules of JSON"),
            ("\"start\":0,", "", "“start” is missing"),
            ("\"start\":0,", "\"start\":0,\"start\":0,", "“start” stands there twice"),
            (":0", ":\"x\"", "“x” stands where a whole number from 0 to 4,294,967,295 belongs"),
            (":0", ":-1", "-1 stands where only a whole number from 0 to 4,294,967,295 fits"),
            (":0", ":1.5", "1.5 stands where a whole number from 0 to 4,294,967,295 belongs"),
            (":60", ":null", "nothing stands where a whole number from 0 to 255 belongs"),
            (":60", ":[1]", "a list stands where a whole number from 0 to 255 belongs"),
            (":60", ":{}", "a group in braces stands where a whole number from 0 to 255 belongs"),
            (":9", ":128", "a velocity is a number from 1 to 127"),
        ] {
            assert_eq!(note(old, new), words);
        }
        let error = serde_json::from_str::<Vec<Velocity>>("{}").unwrap_err();
        assert_eq!(in_words(&error), "a group in braces stands where a list belongs");
        let deep = "[".repeat(100_000);
        let error = serde_json::from_str::<serde_json::Value>(&deep).unwrap_err();
        assert_eq!(in_words(&error), "too many brackets stand in one another");
    }
}
