//! Results on standard output, progress on standard error, in words or as JSON.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::failure::Failure;
use crate::files::plain_reason;

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    pub fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result: one JSON object on one line, or the words.
    pub fn result(
        self,
        value: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json { serde_json::to_string(value)? } else { words() };
        print_line(&text)
    }

    /// Something to know that is no result: a file that was skipped, a batch that shrank.
    pub fn note(self, text: &str) {
        say(text);
    }

    /// Says how a command failed and gives the status to end with.
    pub fn fail(self, failure: &Failure) -> ExitCode {
        match failure {
            Failure::Unread => {}
            Failure::Interrupted(text) => say(text),
            failure => say(&format!("error: {failure}")),
        }
        if self.json && matches!(failure, Failure::Words(_) | Failure::Failed(_)) {
            let object = serde_json::json!({ "error": failure.to_string() });
            // A reader that has gone away can't be told anything more.
            let _ = print_line(&object.to_string());
        }
        ExitCode::from(failure.status())
    }
}

/// Writes a line on standard error. `eprintln!` would panic when nobody reads it any more (Ctrl+C
/// ends the `tee` behind a pipe too); then there is nobody to tell, and the work goes on.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `println!` panics when the reader of a pipe has gone away, which is for the command to know.
fn print_line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::failed(format!(
            "the result can't be written to standard output ({}) — check where it goes",
            plain_reason(&error)
        )),
    })
}

/// How far something is: a bar on a terminal, else a plain line now and then.
pub struct Meter {
    bar: ProgressBar,
    what: &'static str,
    total: u64,
    plain: Option<PlainLines>,
}

/// When the last plain line was written.
struct PlainLines {
    last: Instant,
}

impl Meter {
    /// Between two plain lines, so that a log stays readable.
    const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

    /// `what` goes on, `total` steps long.
    pub fn new(what: &'static str, total: u64) -> Self {
        let on_terminal = io::stderr().is_terminal();
        let target =
            if on_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent:>3} %  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what);
        let plain = (!on_terminal).then(|| PlainLines { last: Instant::now() });
        Self { bar, what, total, plain }
    }

    pub fn set_total(&mut self, total: u64) {
        if self.total != total {
            self.total = total;
            self.bar.set_length(total);
        }
    }

    /// `done` steps are behind; `message` is what else is known.
    pub fn set(&mut self, done: u64, message: impl FnOnce() -> String) {
        match &mut self.plain {
            None => {
                self.bar.set_message(message());
                self.bar.set_position(done);
            }
            Some(lines) if lines.last.elapsed() >= Self::PLAIN_INTERVAL => {
                lines.last = Instant::now();
                let share = 100 * done.min(self.total) / self.total.max(1);
                say(&format!("{}: {share} %  {}", self.what, message()));
            }
            Some(_) => {}
        }
    }

    /// A line above the bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    /// Prints a result on standard output without tearing the bar.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `1:02:03`, `2:05`, `0:00.4` for times under ten seconds.
pub fn clock(secs: f64) -> String {
    if secs < 10.0 {
        return format!("0:{:04.1}", secs.max(0.0) + 0.0);
    }
    let whole = secs.round() as u64;
    let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// `-748.1`, and `0.0` for what rounds to it from below too.
pub fn one_decimal(value: f64) -> String {
    // Adding 0 takes the sign from −0.
    format!("{:.1}", (10.0 * value).round() / 10.0 + 0.0)
}

/// `12,345`.
pub fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `109.47`, `12,345`, `1.1e226`: two decimals as long as they tell anything, and all digits as
/// long as someone may read them.
pub fn perplexity(value: f64) -> String {
    match value {
        value if value.is_nan() => "not known".to_owned(),
        value if value < 1_000.0 => format!("{value:.2}"),
        value if value < 1e9 => thousands(value.round() as u64),
        value if value.is_infinite() => "beyond all numbers".to_owned(),
        value => format!("{value:.1e}"),
    }
}

/// `4.693 nats`: a mean loss, whose exponential is the perplexity.
pub fn nats(loss: f64) -> String {
    match loss {
        loss if loss.is_finite() => format!("{loss:.3} nats"),
        loss if loss.is_nan() => "not known".to_owned(),
        _ => "beyond all numbers".to_owned(),
    }
}

/// `1 note`, `2 notes`.
pub fn count(number: usize, singular: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {singular}{s}", thousands(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0u64), "0");
        assert_eq!(thousands(1_234_567u64), "1,234,567");
        assert_eq!(thousands(999u64), "999");
        assert_eq!(count(1, "piece"), "1 piece");
        assert_eq!(count(1_000, "piece"), "1,000 pieces");
        assert_eq!((clock(9.94).as_str(), clock(125.0).as_str()), ("0:09.9", "2:05"));
        assert_eq!((clock(3_723.0).as_str(), clock(-0.0).as_str()), ("1:02:03", "0:00.0"));
        assert_eq!(
            [-748.06, -0.04, -0.0, 0.25].map(one_decimal),
            ["-748.1", "0.0", "0.0", "0.3"].map(str::to_owned)
        );
        assert_eq!(
            (perplexity(109.468).as_str(), perplexity(12_345.6).as_str()),
            ("109.47", "12,346")
        );
        assert_eq!(perplexity(f64::NAN), "not known");
        assert_eq!((nats(4.6934).as_str(), nats(f64::NAN).as_str()), ("4.693 nats", "not known"));
        assert_eq!((perplexity(1e9).as_str(), perplexity(1.07e226).as_str()), ("1.0e9", "1.1e226"));
        assert_eq!(perplexity(f64::INFINITY), "beyond all numbers");
    }
}
