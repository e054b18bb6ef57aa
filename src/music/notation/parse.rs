//! From text to a piece.

use std::collections::HashMap;

use super::duration;
use super::{NotationError, NotationProblem as Problem, Piece, Spelling};
use crate::music::{
    Meter, MeterChange, Note, Part, PedalSpan, Pitch, TempoChange, TempoMap, Tick, TicksPerQuarter,
    Velocity,
};

/// Words that a line may start with, so that no part can be called by them.
pub(super) const RESERVED: [&str; 10] = [
    "title",
    "composer",
    "work",
    "typesetter",
    "source",
    "quarter",
    "spelling",
    "part",
    "bar",
    "drums",
];

/// Ends a piece at half of what ticks can count.
const LAST_TICK: u32 = u32::MAX / 2;

/// Reads a piece.
///
/// # Errors
/// The first line that isn't understood, and why.
pub fn parse(text: &str) -> Result<Piece, NotationError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
    let mut lines = text.lines().enumerate().map(|(idx, line)| (idx + 1, line.trim()));
    let first = lines.find(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    match first {
        Some((_, line)) if line.split_whitespace().eq(["etude", "notation", "1"]) => {}
        other => {
            let line = other.map_or(1, |(line, _)| line);
            return Err(NotationError { line, problem: Problem::NotNotation });
        }
    }
    for (line, text) in lines {
        if !text.is_empty() && !text.starts_with('#') {
            reader.line = line;
            reader.line(text).map_err(|problem| NotationError { line, problem })?;
        }
    }
    reader.finish()
}

/// Microseconds a quarter, from quarters a minute (`96.5`) or as they are (`600000us`). Rounded
/// down, as most programs do that write MIDI files, so that their tempos are whole numbers here.
pub(super) fn micros_from_tempo(text: &str) -> Option<u32> {
    let micros = match text.strip_suffix("us") {
        Some(micros) => micros.parse::<u32>().ok()?,
        None => {
            let quarters: f64 = text.parse().ok().filter(|quarters| *quarters > 0.0)?;
            // A cast from floating point saturates.
            (60e6 / quarters) as u32
        }
    };
    (1..=0xff_ffff).contains(&micros).then_some(micros)
}

/// What is known so far.
#[derive(Default)]
struct Reader {
    /// The number of the line being read.
    line: usize,
    piece: Piece,
    ticks_per_quarter: Option<TicksPerQuarter>,
    labels: Vec<String>,
    tempos: Vec<TempoChange>,
    bar: Option<OpenBar>,
    voices: HashMap<Voice, VoiceState>,
    notes: Vec<Note>,
    drums: Vec<Note>,
}

/// The bar being read.
#[derive(Clone, Copy)]
struct OpenBar {
    number: u32,
    start: u32,
    end: u32,
    meter: Meter,
    is_cut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Voice {
    owner: Owner,
    kind: VoiceKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Owner {
    Part(u8),
    Drums,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum VoiceKind {
    Notes(u32),
    Pedal,
}

/// What a voice carries from one bar to the next.
struct VoiceState {
    velocity: Velocity,
    tied: Option<Sound>,
    last_bar: u32,
}

/// Something sounding that isn't finished.
#[derive(Clone)]
struct Sound {
    start: u32,
    end: u32,
    /// Empty for the pedal.
    pitches: Vec<Pitch>,
    velocity: Velocity,
    /// Where it was tied.
    line: usize,
}

impl Reader {
    fn line(&mut self, text: &str) -> Result<(), Problem> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if word == "bar" {
            return self.bar(rest);
        }
        if self.bar.is_none() {
            return self.header(word, rest);
        }
        let voice = self.voice(word).ok_or_else(|| Problem::UnknownWord(word.to_owned()))?;
        self.tokens(voice, word, rest)
    }

    fn header(&mut self, word: &str, rest: &str) -> Result<(), Problem> {
        let number = || Problem::Number(rest.to_owned());
        match word {
            "title" => self.piece.score.title = rest.to_owned(),
            "composer" => self.piece.composer = rest.to_owned(),
            "work" => self.piece.work = rest.to_owned(),
            "typesetter" => self.piece.typesetter = rest.to_owned(),
            "source" => self.piece.source = rest.to_owned(),
            "quarter" => {
                let ticks = rest.parse().ok().and_then(TicksPerQuarter::new);
                self.ticks_per_quarter = Some(ticks.ok_or_else(number)?);
            }
            "spelling" if rest == "flats" => self.piece.spelling = Spelling::Flats,
            "spelling" if rest == "sharps" => self.piece.spelling = Spelling::Sharps,
            "part" => self.part(rest)?,
            _ => return Err(Problem::UnknownWord(word.to_owned())),
        }
        Ok(())
    }

    fn part(&mut self, text: &str) -> Result<(), Problem> {
        let incomplete = || Problem::Incomplete(format!("part {text}"));
        let mut rest = text;
        let mut word = || {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = after.trim_start();
            Some(word).filter(|word| !word.is_empty())
        };
        let (Some(label), Some(channel), Some(program)) = (word(), word(), word()) else {
            return Err(incomplete());
        };
        if RESERVED.contains(&label) || label.contains('.') {
            return Err(Problem::UnknownWord(label.to_owned()));
        }
        if self.labels.iter().any(|known| known == label) {
            return Err(Problem::PartTwice(label.to_owned()));
        }
        // One short of what a byte can number.
        if self.labels.len() == 254 {
            return Err(Problem::TooManyParts);
        }
        let number = |text: &str, most: u8| {
            let number = text.parse::<u8>().ok().filter(|number| *number <= most);
            number.ok_or_else(|| Problem::Number(text.to_owned()))
        };
        let channel = number(channel, 16)?
            .checked_sub(1)
            .ok_or_else(|| Problem::Number(channel.to_owned()))?;
        let program = number(program, 127)?;
        self.labels.push(label.to_owned());
        self.piece.score.parts.push(Part {
            name: rest.to_owned(),
            channel,
            program,
            ..Part::default()
        });
        Ok(())
    }

    fn ticks_per_quarter(&self) -> TicksPerQuarter {
        self.ticks_per_quarter.unwrap_or(TicksPerQuarter::DEFAULT)
    }

    fn duration(&self, text: &str) -> Result<u32, Problem> {
        duration::parse(text, self.ticks_per_quarter())
            .ok_or_else(|| Problem::Duration(text.to_owned()))
    }

    /// Opens a bar, whatever number of empty ones lies before it.
    fn bar(&mut self, text: &str) -> Result<(), Problem> {
        let mut words = text.split_whitespace();
        let number_text = words.next().unwrap_or_default();
        let number: u32 =
            number_text.parse().map_err(|_| Problem::Number(number_text.to_owned()))?;
        let mut bar = self.place_bar(number)?;
        let start = Tick(bar.start);
        let mut meter = None;
        let mut length = None;
        let mut tempos = Vec::new();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| Problem::Incomplete(word.to_owned()))?;
            match word {
                "meter" => meter = Some(parse_meter(value)?),
                "length" => length = Some(self.duration(value)?),
                "tempo" => {
                    let micros = micros_from_tempo(value);
                    let micros_per_quarter =
                        micros.ok_or_else(|| Problem::Tempo(value.to_owned()))?;
                    tempos.push(TempoChange { tick: start, micros_per_quarter });
                }
                "at" => {
                    let after = Tick(self.duration(value)?);
                    let tempo =
                        tempos.last_mut().ok_or_else(|| Problem::UnknownWord(word.to_owned()))?;
                    tempo.tick = start.saturating_add(after);
                }
                _ => return Err(Problem::UnknownWord(word.to_owned())),
            }
        }
        if meter.is_none() || self.bar.is_some_and(|before| before.end < bar.start) {
            self.begin_again_after_a_cut();
        }
        if let Some(meter) = meter {
            self.piece.score.meters.push(MeterChange { tick: start, meter });
            bar.meter = meter;
        }
        let full = bar.meter.ticks_per_bar(self.ticks_per_quarter());
        let length = length.unwrap_or(full);
        if length > full {
            return Err(Problem::BarTooLong);
        }
        bar.is_cut = length < full;
        bar.end = bar
            .start
            .checked_add(length)
            .filter(|end| *end <= LAST_TICK)
            .ok_or(Problem::TooLong)?;
        if tempos.iter().any(|tempo| tempo.tick.0 >= bar.end) {
            return Err(Problem::TempoOutside);
        }
        self.tempos.extend(tempos);
        self.bar = Some(bar);
        Ok(())
    }

    /// A bar cut short is one before a change of meter, if only to the same meter.
    fn begin_again_after_a_cut(&mut self) {
        if let Some(before) = self.bar.filter(|bar| bar.is_cut) {
            let change = MeterChange { tick: Tick(before.end), meter: before.meter };
            self.piece.score.meters.push(change);
        }
    }

    /// Where a bar starts, given the one before it, and with which meter.
    fn place_bar(&self, number: u32) -> Result<OpenBar, Problem> {
        let before = self.bar.unwrap_or(OpenBar {
            number: 0,
            start: 0,
            end: 0,
            meter: Meter::COMMON,
            is_cut: false,
        });
        let n_empty = number.checked_sub(before.number + 1).ok_or(Problem::BarOrder(number))?;
        let per_bar = before.meter.ticks_per_bar(self.ticks_per_quarter());
        let start = per_bar
            .checked_mul(n_empty)
            .and_then(|ticks| ticks.checked_add(before.end))
            .filter(|start| *start <= LAST_TICK)
            .ok_or(Problem::TooLong)?;
        Ok(OpenBar { number, start, end: start, meter: before.meter, is_cut: false })
    }

    /// The voice that a label such as `rh`, `rh.2`, `lh.pedal` or `drums` names.
    fn voice(&self, label: &str) -> Option<Voice> {
        let (label, kind) = match label.split_once('.') {
            None => (label, VoiceKind::Notes(1)),
            Some((label, "pedal")) => (label, VoiceKind::Pedal),
            Some((label, number)) => (label, VoiceKind::Notes(number.parse().ok()?)),
        };
        if label == "drums" {
            return (kind != VoiceKind::Pedal).then_some(Voice { owner: Owner::Drums, kind });
        }
        let part = self.labels.iter().position(|known| known == label)?;
        Some(Voice { owner: Owner::Part(u8::try_from(part).ok()?), kind })
    }

    /// One voice in the bar that is open.
    fn tokens(&mut self, voice: Voice, label: &str, text: &str) -> Result<(), Problem> {
        let Some(bar) = self.bar else { return Ok(()) };
        let mut state = self.voices.remove(&voice).unwrap_or(VoiceState {
            velocity: Velocity::COMPOSED,
            tied: None,
            last_bar: 0,
        });
        if state.last_bar == bar.number {
            let base = label.split('.').next().unwrap_or(label);
            return Err(Problem::VoiceTwice(base.to_owned()));
        }
        state.last_bar = bar.number;
        let mut at = bar.start;
        let mut duration = None;
        for token in text.split_whitespace() {
            if let Some(number) = token.strip_prefix('v') {
                let velocity = number.parse().ok().and_then(Velocity::new);
                state.velocity = velocity.ok_or_else(|| Problem::Velocity(token.to_owned()))?;
                continue;
            }
            let (sounding, is_tied) = match token.strip_suffix('~') {
                Some(sounding) => (sounding, true),
                None => (token, false),
            };
            let (what, length) = match sounding.split_once(':') {
                Some((what, length)) => (what, Some(self.duration(length)?)),
                None => (sounding, None),
            };
            duration = length.or(duration);
            let length = duration.ok_or(Problem::NoDuration)?;
            let end = at.checked_add(length).filter(|end| *end <= bar.end);
            let end = end.ok_or(Problem::VoiceTooLong)?;
            let sound = self.sound(what, voice.kind, at..end, &state)?;
            self.continue_voice(voice, &mut state, sound, at, is_tied)?;
            at = end;
        }
        self.voices.insert(voice, state);
        Ok(())
    }

    /// What a token sounds, or `None` for a rest.
    fn sound(
        &self,
        what: &str,
        kind: VoiceKind,
        span: std::ops::Range<u32>,
        state: &VoiceState,
    ) -> Result<Option<Sound>, Problem> {
        if what == "r" {
            return Ok(None);
        }
        let pitches = match kind {
            VoiceKind::Pedal if what == "ped" => Vec::new(),
            VoiceKind::Pedal => return Err(Problem::NotPedal),
            VoiceKind::Notes(_) => {
                let mut pitches =
                    what.split(',').map(str::parse).collect::<Result<Vec<Pitch>, _>>()?;
                pitches.sort_unstable();
                pitches
            }
        };
        let (velocity, line) = (state.velocity, self.line);
        Ok(Some(Sound { start: span.start, end: span.end, pitches, velocity, line }))
    }

    /// Joins a sound to the one tied to it, and writes down what is finished.
    fn continue_voice(
        &mut self,
        voice: Voice,
        state: &mut VoiceState,
        sound: Option<Sound>,
        at: u32,
        is_tied: bool,
    ) -> Result<(), Problem> {
        let sound = match (state.tied.take(), sound) {
            (Some(tied), Some(sound)) if tied.end == at && tied.pitches == sound.pitches => {
                Some(Sound { end: sound.end, line: sound.line, ..tied })
            }
            (Some(tied), _) => return Err(Problem::Tie(tied.line)),
            (None, sound) => sound,
        };
        match sound {
            Some(sound) if is_tied => state.tied = Some(sound),
            Some(sound) => self.write_down(voice, &sound),
            None if is_tied => return Err(Problem::Tie(self.line)),
            None => {}
        }
        Ok(())
    }

    fn write_down(&mut self, voice: Voice, sound: &Sound) {
        let (start, length) = (Tick(sound.start), Tick(sound.end - sound.start));
        let part = match voice.owner {
            Owner::Part(part) => part,
            Owner::Drums => 0,
        };
        if voice.kind == VoiceKind::Pedal {
            let span = PedalSpan { start, end: Tick(sound.end), part };
            self.piece.score.pedal.push(span);
            return;
        }
        let velocity = sound.velocity;
        let notes =
            sound.pitches.iter().map(|pitch| Note { start, length, pitch: *pitch, velocity, part });
        match voice.owner {
            Owner::Part(_) => self.notes.extend(notes),
            Owner::Drums => self.drums.extend(notes),
        }
    }

    fn finish(mut self) -> Result<Piece, NotationError> {
        let untied = self.voices.values().filter_map(|state| state.tied.as_ref());
        if let Some(line) = untied.map(|sound| sound.line).min() {
            return Err(NotationError { line, problem: Problem::Tie(line) });
        }
        self.begin_again_after_a_cut();
        let ticks_per_quarter = self.ticks_per_quarter();
        let score = &mut self.piece.score;
        score.tempo_map = TempoMap::new(ticks_per_quarter, self.tempos);
        score.set_notes(self.notes);
        score.set_drums(self.drums);
        score.pedal.sort_by_key(|span| (span.start, span.part, span.end));
        Ok(self.piece)
    }
}

fn parse_meter(text: &str) -> Result<Meter, Problem> {
    let meter = || {
        let (above, below) = text.split_once('/')?;
        let numerator = above.parse::<u8>().ok().filter(|above| *above > 0)?;
        let below: u32 = below.parse().ok()?;
        let power = (0..=Meter::MAX_DENOMINATOR_POWER).find(|power| 1 << power == below)?;
        Some(Meter { numerator, denominator_power: power })
    };
    meter().ok_or_else(|| Problem::Meter(text.to_owned()))
}
