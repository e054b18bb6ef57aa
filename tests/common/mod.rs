//! What several test files share.
#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub mod font;
#[cfg(feature = "studio")]
pub mod roll;
#[cfg(feature = "studio")]
pub mod sound;
#[cfg(feature = "studio")]
pub mod window;

use std::path::PathBuf;

/// The folder of music outside the clone, named by `ETUDE_TEST_DATA`. `None` when the variable is
/// unset: the test that asked is then reported as skipped.
pub fn test_data(test: &str) -> Option<PathBuf> {
    match std::env::var_os("ETUDE_TEST_DATA").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_dir(), "ETUDE_TEST_DATA names {}, which is no folder", path.display());
            Some(path)
        }
        None => {
            println!("skipped: {test} (ETUDE_TEST_DATA is not set)");
            None
        }
    }
}

/// Slow cases run only with `RUN_SLOW_TESTS=1`.
pub fn slow_tests(test: &str) -> bool {
    let run = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    if !run {
        println!("skipped: {test} (RUN_SLOW_TESTS is not 1)");
    }
    run
}
