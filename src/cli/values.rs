//! Single values of the command line: read, and refused with the reason and what to give instead.

use crate::model::{ComposeSettings, DeviceChoice};
use crate::music::Pitch;
use crate::tokens::{Chord, FrameRate, Grid};

pub fn frame_rate(text: &str) -> Result<FrameRate, String> {
    FrameRate::new(number(text)?).map_err(|error| error.to_string())
}

pub fn temperature(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value > 0.0 && value <= ComposeSettings::MAX_TEMPERATURE {
        return Ok(value);
    }
    Err(format!(
        "scores are divided by it — give more than 0 and at most {}, or --strategy max for the \
         likeliest chord always",
        ComposeSettings::MAX_TEMPERATURE
    ))
}

pub fn top_p(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value > 0.0 && value <= 1.0 {
        return Ok(value);
    }
    Err("it is a share of the probability — give more than 0 and at most 1".to_owned())
}

pub fn beam_width(text: &str) -> Result<usize, String> {
    const MAX: usize = ComposeSettings::MAX_BEAM_WIDTH;
    match whole(text)? {
        width @ 1..=MAX => Ok(width),
        _ => Err(format!(
            "so many phrases can't be followed at once — give between 1 and {MAX}; 10 is usual"
        )),
    }
}

/// A whole number from 1 on.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Err("there would be nothing to do — give at least 1".to_owned()),
        count => Ok(count),
    }
}

/// The same for something that is counted in a file, which may be more than fits in memory.
pub fn times(text: &str) -> Result<u64, String> {
    at_least_one(text).map(|count| count as u64)
}

/// A whole number from 0 on, where 0 switches something off.
pub fn from_zero(text: &str) -> Result<usize, String> {
    whole(text)
}

/// A whole number from 0 to `MAX`.
pub fn from_zero_to<const MAX: usize>(text: &str) -> Result<usize, String> {
    match whole(text)? {
        value if value <= MAX => Ok(value),
        _ => Err(format!("it is out of range — give between 0 and {MAX}")),
    }
}

pub fn seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| {
        format!("a seed is a whole number from 0 to {} — give one of those, such as 7", u64::MAX)
    })
}

/// The most chords of a vocabulary; the rest is one of them.
pub fn vocabulary_size(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 | 1 => Err("only the rest would be left — give at least 2".to_owned()),
        size => Ok(size),
    }
}

/// The same where 0 is no limit.
pub fn vocabulary_size_or_off(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Ok(0),
        _ => vocabulary_size(text).map_err(|error| format!("{error}, or 0 for no limit")),
    }
}

/// A whole number from 1 to `MAX`.
pub fn up_to<const MAX: usize>(text: &str) -> Result<usize, String> {
    let value = whole(text)?;
    if (1..=MAX).contains(&value) {
        return Ok(value);
    }
    Err(format!("it is out of range — give between 1 and {MAX}"))
}

/// Seconds; 0 is what switches a limit off.
pub fn seconds_or_off(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=ComposeSettings::MAX_HOLD_SECS).contains(&value) {
        return Ok(value);
    }
    Err("it is a time — give between 0 (no limit) and 3600 seconds".to_owned())
}

/// What frames are counted in.
pub fn grid(text: &str) -> Result<Grid, String> {
    let words = "a frame is a part of a second or a note — give seconds, quarter, eighth, \
                 eighth-triplet, sixteenth, sixteenth-triplet, thirty-second, or frames to a \
                 quarter: 1, 2, 3, 4, 6, 8, 12, 16 or 24";
    text.parse().map_err(|_| words.to_owned())
}

pub fn sample_rate(text: &str) -> Result<u32, String> {
    match whole(text)? {
        rate @ 8_000..=192_000 => Ok(rate as u32),
        _ => Err("no sound file has it — give between 8000 and 192000 samples a second".to_owned()),
    }
}

pub fn learning_rate(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value > 0.0 && value <= 10.0 {
        return Ok(value);
    }
    Err("weights move by it — give more than 0 and at most 10; 0.002 is usual".to_owned())
}

pub fn weight_decay(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err("it is a penalty on large weights — give between 0 and 1; 0.0005 is usual".to_owned())
}

pub fn dropout(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=0.95).contains(&value) {
        return Ok(value);
    }
    Err("it is the share of activations left out — give between 0 and 0.95".to_owned())
}

/// How much of the running mean of the weights stays at each step.
pub fn averaging(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=0.9999).contains(&value) {
        return Ok(value);
    }
    Err("it is the share of the mean that stays — give between 0 (no mean) and 0.9999; 0.98 is \
         usual"
        .to_owned())
}

/// The largest norm of the gradients; 0 is no limit.
pub fn clip(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..=1e6).contains(&value) {
        return Ok(value);
    }
    Err("it is the largest norm of the gradients — give 0 for no limit, or a number above it; \
         1 is usual"
        .to_owned())
}

pub fn semitones(text: &str) -> Result<u8, String> {
    match whole(text)? {
        shift @ 0..=24 => Ok(shift as u8),
        _ => Err("the piano has no room for it — give between 0 and 24 semitones".to_owned()),
    }
}

pub fn device(text: &str) -> Result<DeviceChoice, String> {
    text.parse::<DeviceChoice>().map_err(|error| error.to_string())
}

/// A MIDI key number, or a name such as C4.
pub fn parse_pitch(text: &str) -> Result<Pitch, String> {
    match text.trim().parse::<i64>() {
        Ok(number) => u8::try_from(number)
            .ok()
            .and_then(Pitch::new)
            .ok_or_else(|| format!("{number} is not a MIDI key — give 0 to 127; 60 is middle C")),
        Err(_) => text.parse::<Pitch>().map_err(|error| error.to_string()),
    }
}

/// Pitches with commas between them.
pub fn parse_chord(text: &str) -> Result<Chord, String> {
    text.split(',').map(parse_pitch).collect()
}

fn number(text: &str) -> Result<f64, String> {
    text.trim()
        .parse()
        .map_err(|_| "it is not a number — write digits, such as 2 or 0.5".to_owned())
}

fn whole(text: &str) -> Result<usize, String> {
    text.trim()
        .parse()
        .map_err(|_| "it is not a whole number from 0 on — write digits, such as 10".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_no_command_can_use_are_refused_with_what_to_give() {
        for text in ["0", "-1", "NaN", "inf", "1e9", "", "two"] {
            let error = frame_rate(text).unwrap_err();
            assert!(error.contains(" — "), "{text}: {error}");
            assert!(temperature(text).unwrap_err().contains(" — "));
        }
        for text in ["2", "0", "-0.1", "NaN"] {
            assert!(top_p(text).unwrap_err().contains(" — "));
        }
        for text in ["-1", "1.5", "99999999999999999999", "x"] {
            assert!(seed(text).unwrap_err().contains(" — "));
            assert!(times(text).is_err() && from_zero(text).is_err());
        }
        assert_eq!((seed("7"), times("1"), from_zero("0")), (Ok(7), Ok(1), Ok(0)));
        assert!(times("0").is_err() && from_zero_to::<9>("10").is_err());
        assert!(vocabulary_size("1").is_err() && vocabulary_size_or_off("1").is_err());
        assert_eq!(vocabulary_size_or_off("0"), Ok(0));
        assert!(averaging("1").is_err() && averaging("NaN").is_err());
        for text in ["0", "100000", "-3", "1.5"] {
            assert!(beam_width(text).unwrap_err().contains(" — "));
        }
        assert!(dropout("NaN").is_err() && clip("-1").is_err() && learning_rate("0").is_err());
        assert!(sample_rate("99999999999999999999").is_err() && semitones("25").is_err());
    }

    #[test]
    fn chords_are_names_or_numbers() {
        let names = parse_chord("C4, E4,G4").unwrap();
        assert_eq!(names, parse_chord("60,64,67").unwrap());
        assert_eq!(names.len(), 3);
        for text in ["", "C4,", "H2", "128", "-1"] {
            assert!(parse_chord(text).is_err(), "{text}");
        }
    }
}
