//! JSON that a person can read: what holds only plain values stands on one line, so that a note
//! is a row and not seven lines; everything else is indented.
//!
//! Works on the text of valid, compact JSON and changes nothing but the space between its words.

/// Lays compact JSON out again.
pub fn lay_out(compact: &str) -> String {
    let flat = flat_containers(compact.as_bytes());
    let mut out = String::with_capacity(compact.len() + compact.len() / 4);
    let (mut depth, mut flat_depth, mut n_opened) = (0usize, 0usize, 0usize);
    for word in (Words { text: compact, at: 0 }) {
        match word {
            "{" | "[" => {
                let is_flat = flat_depth > 0 || flat[n_opened];
                n_opened += 1;
                depth += 1;
                flat_depth += usize::from(is_flat);
                out.push_str(word);
                if !is_flat {
                    break_line(&mut out, depth);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                match flat_depth {
                    0 => break_line(&mut out, depth),
                    _ => flat_depth -= 1,
                }
                out.push_str(word);
            }
            "," if flat_depth == 0 => {
                out.push(',');
                break_line(&mut out, depth);
            }
            "," | ":" => {
                out.push_str(word);
                out.push(' ');
            }
            _ => out.push_str(word),
        }
    }
    out.push('\n');
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// For each container in order of its opening: whether no container lies in it.
fn flat_containers(json: &[u8]) -> Vec<bool> {
    let (mut flat, mut open) = (Vec::new(), Vec::<usize>::new());
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                if let Some(outer) = open.last() {
                    flat[*outer] = false;
                }
                open.push(flat.len());
                flat.push(true);
            }
            b'}' | b']' if !in_string => {
                open.pop();
            }
            _ => {}
        }
    }
    flat
}

/// Splits JSON into strings, marks and other values.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = match rest.first()? {
            b'"' => string_length(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest.iter().take_while(|byte| !b"{}[],:\"".contains(byte)).count(),
        };
        let word = self.text.get(self.at..self.at + length);
        self.at += length;
        word
    }
}

fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn rows_stand_on_one_line_and_the_rest_is_indented() {
        let value = json!({
            "a": [{"b": 1, "c": "x, {y} \"[z\\"}, {"b": -2.5e3, "c": null}],
            "d": [], "e": [1, 2, 3], "f": {"g": {}}
        });
        let text = lay_out(&value.to_string());
        expect![[r#"
            {
              "a": [
                {"b": 1, "c": "x, {y} \"[z\\"},
                {"b": -2500.0, "c": null}
              ],
              "d": [],
              "e": [1, 2, 3],
              "f": {
                "g": {}
              }
            }
        "#]]
        .assert_eq(&text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn odd_strings_come_through() {
        for odd in ["", "\\", "\"", "ü ♯ \u{1F3B9}", "a:b,c", "\n\t\u{0}", "}]{["] {
            let value = json!([[odd], {odd: odd}]);
            let text = lay_out(&value.to_string());
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
        assert_eq!(lay_out("3"), "3\n");
    }
}
