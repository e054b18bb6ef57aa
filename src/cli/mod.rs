//! What a shell sees.

use std::process::ExitCode;

/// Reads the command line and runs it.
pub fn main() -> ExitCode {
    todo!()
}
