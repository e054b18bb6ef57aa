//! Opening the studio, or saying what is missing for it.

use std::path::PathBuf;

use super::failure::{Failure, neither_command_nor_file};
#[cfg(any(feature = "studio", test))]
use crate::files::without_system_number;

/// The commands that work without a window, for the advice.
#[cfg(any(feature = "studio", test))]
const HEADLESS: &str = "the commands inspect, tokenize, train, generate, evaluate, render, convert and devices work without it (see `etude help`)";

/// Opens the studio and returns when it is closed.
pub fn open(file: Option<PathBuf>) -> Result<(), Failure> {
    if let Some(file) = &file
        && !file.exists()
    {
        return Err(neither_command_nor_file(&file.display().to_string()));
    }
    open_window(file)
}

#[cfg(feature = "studio")]
fn open_window(file: Option<PathBuf>) -> Result<(), Failure> {
    if let Some(missing) = missing_for_a_window() {
        return Err(Failure::failed(format!("no window can be opened: {missing}; {HEADLESS}")));
    }
    crate::ui::run(file).map_err(|error| {
        let error = without_source_places(&error);
        if error.contains("etude help") {
            Failure::failed(error)
        } else {
            Failure::failed(format!("{error}; {HEADLESS}"))
        }
    })
}

/// The window's libraries say where in their own source something failed, on the machine that
/// Etude was built on: that tells nobody anything.
#[cfg(any(feature = "studio", test))]
fn without_source_places(error: &str) -> String {
    let is_for_programmers = |part: &str| part.contains(".rs:") || part.ends_with("EventLoopError");
    let parts = error.split(": ").filter(|part| !is_for_programmers(part));
    parts.map(without_system_number).collect::<Vec<_>>().join(": ")
}

#[cfg(not(feature = "studio"))]
fn open_window(_file: Option<PathBuf>) -> Result<(), Failure> {
    Err(Failure::failed(
        "this Etude was built without its window — use a command (see `etude help`), or build it \
         with the feature `studio`",
    ))
}

/// What the window needs and this machine lacks. The window's libraries are looked up while the
/// program runs, and a missing one would end it in a panic inside a dependency.
#[cfg(all(feature = "studio", target_os = "linux"))]
fn missing_for_a_window() -> Option<String> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (wayland, x11) = (is_set("WAYLAND_DISPLAY") || is_set("WAYLAND_SOCKET"), is_set("DISPLAY"));
    if !wayland && !x11 {
        return Some(
            "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set) — start it from a desktop"
                .to_owned(),
        );
    }
    let wayland_libraries: &[&[&'static str]] = &[
        &["libwayland-client.so.0", "libwayland-client.so"],
        &["libxkbcommon.so.0"],
        &["libEGL.so.1"],
    ];
    let x11_libraries: &[&[&'static str]] = &[
        &["libX11.so.6"],
        &["libX11-xcb.so.1"],
        &["libXcursor.so.1"],
        &["libXi.so.6"],
        &["libxkbcommon-x11.so.0"],
        &["libGL.so.1", "libEGL.so.1"],
    ];
    // One of the two displays is enough.
    if wayland && missing_of(wayland_libraries).is_empty() {
        return None;
    }
    let missing = if x11 { missing_of(x11_libraries) } else { missing_of(wayland_libraries) };
    (!missing.is_empty()).then(|| {
        format!(
            "{} can't be loaded — install it (`./run` does), then start again",
            missing.join(", ")
        )
    })
}

#[cfg(all(feature = "studio", not(target_os = "linux")))]
fn missing_for_a_window() -> Option<String> {
    None
}

/// The first names of those libraries none of whose names can be loaded.
#[cfg(all(feature = "studio", target_os = "linux"))]
fn missing_of(libraries: &[&[&'static str]]) -> Vec<&'static str> {
    let missing = libraries.iter().filter(|names| !names.iter().any(|name| is_loadable(name)));
    missing.map(|names| names[0]).collect()
}

#[cfg(all(feature = "studio", target_os = "linux"))]
fn is_loadable(name: &str) -> bool {
    // SAFETY: these are the system's own window libraries; their initializers are what the window
    // itself runs a moment later.
    unsafe { libloading::Library::new(name) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_in_anyones_source_is_told() {
        let winit = "no window can be opened: winit EventLoopError: os error at /home/x/.cargo/\
                     winit-0.30/src/linux/mod.rs:788: Failed to open connection to X server — \
                     start Etude from a desktop with OpenGL";
        assert_eq!(
            without_source_places(winit),
            "no window can be opened: failed to open connection to X server — start Etude from a \
             desktop with OpenGL"
        );
    }
}
