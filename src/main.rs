//! Reads the command line; opens the studio or runs one headless command.

fn main() -> std::process::ExitCode {
    etude::cli::main()
}
