//! Reads the command line; opens the studio or runs one headless command.

fn main() -> std::process::ExitCode {
    // SAFETY: this is the first thing the program does, so no other thread runs yet.
    unsafe { etude::model::announce_own_cuda() };
    etude::cli::main()
}
