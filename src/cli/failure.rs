//! How a command can end badly, and the line and exit status that say so.

use std::fmt;
use std::path::Path;

use clap::CommandFactory;

/// The end of a command that didn't do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The words of the call are off: status 2.
    Words(String),
    /// It failed: status 1.
    Failed(anyhow::Error),
    /// It failed, and standard output already has the JSON object that says so: status 1.
    Reported(String),
    /// Ctrl+C: status 130. The text says what was kept; results are on standard output already.
    Interrupted(String),
    /// Whoever read the results has gone away (`| head`): status 1, and nothing to say.
    Unread,
}

impl Failure {
    pub fn words(text: impl Into<String>) -> Self {
        Self::Words(text.into())
    }

    pub fn failed(text: impl fmt::Display) -> Self {
        Self::Failed(anyhow::anyhow!("{text}"))
    }

    /// Something that can't happen did.
    pub fn bug(what: &str) -> Self {
        Self::failed(format!(
            "Etude met a mistake of its own ({what}) — please report it with the command that was given"
        ))
    }

    pub fn status(&self) -> u8 {
        match self {
            Self::Words(_) => 2,
            Self::Failed(_) | Self::Reported(_) | Self::Unread => 1,
            Self::Interrupted(_) => 130,
        }
    }
}

/// One line, whatever the cause looked like.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Words(text) | Self::Interrupted(text) | Self::Reported(text) => text.clone(),
            // The errors of the rooms are whole sentences; a cause they wrap is in them already.
            Self::Failed(error) => error.to_string(),
            Self::Unread => "nobody reads the results any more".to_owned(),
        };
        f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What the first word of a call means nothing as, with the commands that are spelled like it.
pub fn neither_command_nor_file(word: &str) -> Failure {
    let near: Vec<String> =
        commands_like(word).iter().map(|name| format!("`etude {name}`")).collect();
    let advice = match near.as_slice() {
        [] => "check the name, or see `etude help`".to_owned(),
        near => format!("perhaps {} is meant; see `etude help`", near.join(" or ")),
    };
    Failure::words(format!("“{word}” is neither a command nor a file that is there — {advice}"))
}

/// clap knows what is spelled alike, but tells it only where no file may stand in its place.
fn commands_like(word: &str) -> Vec<String> {
    use clap::error::{ContextKind, ContextValue};
    let cli = super::args::Cli::command();
    let bare = clap::Command::new("etude").subcommands(cli.get_subcommands().cloned());
    let Err(error) = bare.try_get_matches_from(["etude", word]) else { return Vec::new() };
    match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => Vec::new(),
    }
}

/// The first word of this call if it is neither a command nor a file: then nothing else about the
/// call can be right.
fn word_of_no_meaning() -> Option<String> {
    let cli = super::args::Cli::command();
    let word =
        std::env::args_os().skip(1).find(|word| !word.as_encoded_bytes().starts_with(b"-"))?;
    let is_command = word == "help" || cli.find_subcommand(&word).is_some();
    let word = (!is_command && !Path::new(&word).exists()).then_some(word)?;
    Some(word.to_string_lossy().into_owned())
}

/// clap explains in paragraphs; the first says what is wrong, a tip what may be meant.
pub fn failure_from_clap(error: &clap::Error) -> Failure {
    if let Some(word) = word_of_no_meaning() {
        return neither_command_nor_file(&word);
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    });
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    let tip = paragraphs.find(|paragraph| paragraph.starts_with("tip: "));
    // A refused value says what to give; everything else is answered by the help.
    let advice = match tip {
        Some(tip) => format!(" — {}", tip.trim_start_matches("tip: ")),
        None if what.contains(" — ") => String::new(),
        None => format!(" — see `{}`", help_command()),
    };
    Failure::Words(format!("{what}{advice}"))
}

/// `etude train --help` if a command was named, else `etude help`.
fn help_command() -> String {
    let cli = super::args::Cli::command();
    let named = std::env::args().skip(1).find(|word| cli.find_subcommand(word).is_some());
    named.map_or_else(|| "etude help".to_owned(), |name| format!("etude {name} --help"))
}
