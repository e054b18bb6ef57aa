//! Names in MIDI files: bytes without a stated encoding.

/// More than any name that is shown.
const MAX_CHARS: usize = 500;

/// UTF-8 where the bytes are that, else Windows-1252, which most older files use. Control
/// characters (line ends, terminal escapes) become spaces.
pub(super) fn decode(bytes: &[u8]) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char_from_windows_1252(*byte)).collect(),
    };
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_CHARS).collect::<String>().trim().to_owned()
}

fn char_from_windows_1252(byte: u8) -> char {
    /// 0x80–0x9F; the rest is as in Unicode. Five are not assigned.
    const HIGH: &str = "€\u{fffd}‚ƒ„…†‡ˆ‰Š‹Œ\u{fffd}Ž\u{fffd}\u{fffd}‘’“”•–—˜™š›œ\u{fffd}žŸ";
    match byte {
        0x80..=0x9f => HIGH.chars().nth(usize::from(byte - 0x80)).unwrap_or('\u{fffd}'),
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn both_encodings_and_no_control_characters() {
        assert_eq!(decode("Prélude №1 前奏曲".as_bytes()), "Prélude №1 前奏曲");
        assert_eq!(decode(b"Bernd Kr\xfcger \x96 \x80"), "Bernd Krüger – €");
        assert_eq!(decode(b"\0a\x1b[31m\n"), "a [31m");
    }
}
