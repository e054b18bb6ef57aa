//! The lines between the rooms, held by reading the sources: who may use whom, which library is
//! named where, and a few rules of taste that no lint knows.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file of the library, without its unit tests and comments.
struct Source {
    /// Relative to `src`, with forward slashes.
    name: String,
    text: String,
    /// `text` up to the unit tests, comments and the insides of strings left out.
    code: String,
}

impl Source {
    /// The first folder, or the file's own name for those beside the rooms.
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn names(&self, word: &str) -> bool {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        self.code.match_indices(word).any(|(at, _)| {
            !self.code[..at].ends_with(is_word)
                && !self.code[at + word.len()..].starts_with(is_word)
        })
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &mut found);
    found.sort();
    let source = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        // `tests.rs`, and what lies in a folder beside it.
        let is_test = Path::new(&name).with_extension("").iter().any(|part| part == "tests");
        let code = if is_test { String::new() } else { code_of(&text) };
        Source { name, text, code }
    };
    found.into_iter().map(source).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Without unit tests, comments and the words in strings.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.split("#[cfg(test)]\nmod ").next().unwrap().lines() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        // A quote in a character or a raw string would confuse this; neither names a crate.
        for (idx, part) in line.split('"').enumerate() {
            if idx % 2 == 0 {
                code.push_str(part.split(" // ").next().unwrap());
            }
        }
        code.push('\n');
    }
    code
}

/// Which rooms a room may use; those beside the rooms may be used by all.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("music", &[]),
    ("editor", &["music"]),
    ("tokens", &["music"]),
    ("model", &["music", "tokens"]),
    ("audio", &["music"]),
    ("studio", &["music", "tokens", "model", "audio", "editor"]),
    ("ui", &["music", "editor", "tokens", "model", "studio", "audio"]),
    ("cli", &["music", "editor", "tokens", "model", "studio", "audio", "ui"]),
    ("main", &["cli"]),
    ("assets", &["music"]),
];

/// What is beside the rooms.
const BESIDE: [&str; 5] = ["assets", "cancel", "cuda_libraries", "files", "logging"];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let rooms = MAY_USE.map(|(room, _)| room);
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((room, allowed)) = MAY_USE.iter().find(|(room, _)| *room == source.room()) else {
            continue;
        };
        for other in rooms {
            if other == *room || allowed.contains(&other) || BESIDE.contains(&other) {
                continue;
            }
            if uses_room(&source, other) {
                wrong.push(format!("{} uses {other}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `crate::ROOM`, alone or in a list, or `etude::ROOM` in the binary.
fn uses_room(source: &Source, room: &str) -> bool {
    let direct = ["crate::", "etude::"].iter().any(|start| source.names(&format!("{start}{room}")));
    let listed = source.code.split("crate::{").skip(1).any(|list| {
        let list = list.split(';').next().unwrap_or_default();
        list.split([',', '{', '}']).any(|name| name.trim().split("::").next() == Some(room))
    });
    direct || listed
}

#[test]
fn what_is_beside_the_rooms_uses_none_but_music() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| BESIDE.contains(&source.room())) {
        for (room, _) in MAY_USE {
            let is_allowed =
                BESIDE.contains(&room) || (room == "music" && source.room() == "assets");
            if !is_allowed && uses_room(source, room) {
                wrong.push(format!("{} uses {room}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Libraries that one room hides from the others.
const HIDDEN: [(&str, &[&str]); 19] = [
    ("midly", &["music"]),
    ("burn", &["model"]),
    ("burn_cuda", &["model"]),
    ("burn_flex", &["model"]),
    ("cubecl", &["model"]),
    ("memmap2", &["tokens"]),
    ("rodio", &["audio"]),
    ("cpal", &["audio"]),
    ("rustysynth", &["audio"]),
    ("symphonia", &["audio"]),
    ("hound", &["audio"]),
    ("egui", &["ui"]),
    ("eframe", &["ui"]),
    ("egui_plot", &["ui"]),
    ("rfd", &["ui"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli"]),
    ("ureq", &["cuda_libraries"]),
];

#[test]
fn each_library_stays_in_its_room() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, rooms) in HIDDEN {
            let is_named = [format!("{library}::"), format!("use {library}")]
                .iter()
                .any(|form| source.names(form.as_str()) || starts_a_path(&source, form));
            if is_named && !rooms.contains(&source.room()) {
                wrong.push(format!("{} names {library}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `form` ends in `::`, so only what stands before it decides whether it is a path of its own.
fn starts_a_path(source: &Source, form: &str) -> bool {
    form.ends_with("::")
        && source.code.match_indices(form).any(|(at, _)| {
            let before = source.code[..at].chars().next_back();
            before
                .is_none_or(|before| !(before.is_alphanumeric() || before == '_' || before == ':'))
        })
}

#[test]
fn music_editor_and_tokens_know_no_thread_and_no_clock() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !["music", "editor", "tokens"].contains(&source.room()) {
            continue;
        }
        for word in ["Instant", "SystemTime", "thread::spawn", "thread::Builder", "thread::sleep"] {
            if source.names(word) {
                wrong.push(format!("{} names {word}", source.name));
            }
        }
        if source.room() != "tokens" && source.names("rayon") {
            wrong.push(format!("{} names rayon", source.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn colors_are_named_in_the_theme_only() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.name != "ui/theme.rs") {
        if source.code.contains("Color32::from_") || source.code.contains("Color32::from(") {
            wrong.push(source.name.clone());
        }
    }
    assert!(wrong.is_empty(), "these make colors of their own: {wrong:#?}");
}

#[test]
fn nothing_unfinished_and_nothing_that_gives_up() {
    let words = ["todo!", "unimplemented!", ".unwrap()", "dbg!", "println!(\"", "panic!("];
    let mut wrong = Vec::new();
    for source in sources() {
        for word in words {
            let found = source.code.match_indices(word.trim_end_matches('"')).any(|(at, _)| {
                // `eprintln!` belongs to the shell.
                !source.code[..at].ends_with('e')
            });
            if found {
                wrong.push(format!("{} has {word}", source.name));
            }
        }
        let marks = ["TODO", "FIXME", "XXX"];
        if source.text.split(|c: char| !c.is_alphanumeric()).any(|word| marks.contains(&word)) {
            wrong.push(format!("{} has an unfinished mark", source.name));
        }
        if source.code.contains("eprintln!") && source.room() != "cli" {
            wrong.push(format!("{} writes to the terminal", source.name));
        }
        if source.text.contains("#[allow(") {
            wrong.push(format!("{} silences a lint without `expect` and a reason", source.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where `unsafe` may stand, and why.
const UNSAFE: [&str; 7] = [
    // Libraries of NVIDIA, called by dlopen.
    "model/cuda_probe.rs",
    // Vector instructions that are chosen when the program runs.
    "model/fused/simd.rs",
    // A kernel on a card trusts what it is told of the lengths of its memory.
    "model/cube/sequence.rs",
    "model/cube/update.rs",
    // A mapped file: nobody may write to it.
    "tokens/mapping.rs",
    // Sets an environment variable before there is any other thread.
    "cli/mod.rs",
    // Looks whether the system's window libraries are there.
    "cli/window.rs",
];

#[test]
fn unsafe_code_stands_in_few_files_and_says_why_it_is_sound() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.names("unsafe")) {
        if !UNSAFE.contains(&source.name.as_str()) {
            wrong.push(format!("{} has unsafe code", source.name));
        }
        if !source.text.contains("// SAFETY: ") {
            wrong.push(format!("{} doesn't say why it is sound", source.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let sources = sources();
    let silent: Vec<_> =
        sources.iter().filter(|source| !source.text.starts_with("//! ")).map(|s| &s.name).collect();
    assert!(silent.is_empty(), "these don't open with //!: {silent:#?}");
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "//! Doc\nuse midly::Smf; // why\nlet a = \"burn::x\";\n#[cfg(test)]\nmod tests { egui::X }";
    let source = Source { name: "music/a.rs".into(), text: text.into(), code: code_of(text) };
    assert_eq!(source.room(), "music");
    assert!(starts_a_path(&source, "midly::") && !source.names("why"));
    assert!(!starts_a_path(&source, "burn::") && !starts_a_path(&source, "egui::"));
    let listed = Source { code: "use crate::{files, ui::{self}};".into(), ..source };
    assert!(uses_room(&listed, "ui") && !uses_room(&listed, "audio"));
}
