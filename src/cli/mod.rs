//! What a shell sees: the commands, their words, and how they end.
//!
//! Each command is one file that calls the same functions the studio uses and says what came of
//! it. Results go to standard output, everything else to standard error; the exit status is 0
//! when done, 1 when it failed, 2 when the words of the call are off and 130 after Ctrl+C.

mod args;
mod convert;
mod devices;
mod evaluate;
mod export;
mod failure;
mod generate;
mod inspect;
mod interrupt;
mod measure;
mod output;
mod paths;
mod render;
mod tokenize;
mod train;
mod train_args;
mod values;
mod window;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser;

use crate::logging;
use args::{Cli, Command};
use failure::{Failure, failure_from_clap};
use output::Output;

/// Reads the command line and runs it.
pub fn main() -> ExitCode {
    // SAFETY: this is the first thing the program does; no other thread runs yet.
    unsafe { crate::model::announce_own_cuda() };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let wants_json = std::env::args_os().any(|word| word == "--json");
            return Output::new(wants_json).fail(&failure_from_clap(&error));
        }
        // `help` and `--version` are answers, not errors.
        Err(help) => {
            let printed = help.print();
            return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    logging::start(if cli.command.is_some() {
        logging::Kind::Shell
    } else {
        logging::Kind::Studio
    });
    let output = Output::new(cli.json);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| run(cli, &output)));
    let ended = ended.unwrap_or_else(|_| Err(Failure::bug(&logging::last_panic())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}

fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    match cli.command {
        None => window::open(cli.file),
        Some(Command::Inspect(args)) => inspect::run(&args, output),
        Some(Command::Tokenize(args)) => tokenize::run(&args, output),
        Some(Command::Train(args)) => train::run(&args, output),
        Some(Command::Generate(args)) => generate::run(&args, output),
        Some(Command::Evaluate(args)) => evaluate::run(&args, output),
        Some(Command::Render(args)) => render::run(&args, output),
        Some(Command::Convert(args)) => convert::run(&args, output),
        Some(Command::Export(args)) => export::run(&args, output),
        Some(Command::Devices(args)) => devices::run(&args, output),
    }
}
