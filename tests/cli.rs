//! The command line as a shell sees it: the built binary, run for every command on tiny music.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use etude::model::{Model, ModelCard, Precision};
use etude::music::{Meter, MeterChange, Note, Pitch, Score, TempoMap, Tick, Velocity, smf};
use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for each test, with the program's own files inside it.
struct Shell {
    folder: TempDir,
}

/// How a call ended.
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etude"));
        self.set_up(&mut command);
        command
    }

    fn set_up(&self, command: &mut Command) {
        command
            .current_dir(self.folder.path())
            .env("ETUDE_DATA_DIR", self.path(".data"))
            .env("ETUDE_CACHE_DIR", self.path(".cache"))
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("ETUDE_LOG")
            .stdin(Stdio::null());
    }

    /// Runs a call; words are separated by spaces.
    fn run(&self, words: &str) -> Ended {
        ended(self.command().args(words.split_whitespace()).output().unwrap())
    }

    /// Runs a call that must succeed and gives the lines of JSON it printed.
    fn json(&self, words: &str) -> Vec<Value> {
        let ended = self.run(&format!("{words} --json"));
        assert_eq!(ended.status, 0, "{words}: {}", ended.stderr);
        let lines = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// The names in the folder, the program's own left out.
    fn listing(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> =
            names.filter(|name| !matches!(name.as_str(), ".data" | ".cache")).collect();
        names.sort();
        names
    }

    /// Runs a call that must fail as the issue says: one line with what, why and what to do, the
    /// same in JSON, and nothing written.
    fn refuses(&self, status: i32, words: &str) -> String {
        let before = self.listing();
        let plain = self.run(words);
        assert_eq!(plain.status, status, "{words}: {}{}", plain.stdout, plain.stderr);
        let line = error_line(&plain.stderr, words);
        assert!(line.contains(" — ") || line.contains("; the commands"), "{words}: {line}");
        assert!(!plain.stderr.contains("panicked"), "{words}: {}", plain.stderr);
        let json = self.run(&format!("{words} --json"));
        assert_eq!(json.status, status, "{words} --json: {}", json.stderr);
        let last: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
        let error = last["error"].as_str().unwrap();
        assert_eq!(format!("error: {error}"), line);
        assert_eq!(self.listing(), before, "{words} leaves something behind");
        line
    }
}

fn ended(output: Output) -> Ended {
    Ended {
        status: output.status.code().expect("it ends by itself, not by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn error_line(stderr: &str, words: &str) -> String {
    let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "{words}: {stderr}");
    lines[0].to_owned()
}

/// Eighths at 120 quarters a minute in a pattern that depends on `kind`, `n` of them.
fn piece(kind: u8, n: u32) -> Vec<u8> {
    let note = |start: u32, pitch: u8| Note {
        start: Tick(start * 480),
        length: Tick(480),
        pitch: Pitch::new(pitch).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    let notes = (0..n).flat_map(|idx| {
        let root = 48 + kind + [0, 5, 7, 0, 9, 5, 7, 12][idx as usize % 8];
        [note(idx, root), note(idx, root + 4), note(idx, root + 7)]
    });
    smf::write(&Score::piano(TempoMap::default(), notes.collect()))
}

/// A folder with four pieces of a minute.
fn write_music(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for kind in 0..4 {
        fs::write(folder.join(format!("piece{kind}.mid")), piece(kind, 120)).unwrap();
    }
}

const TINY: &str =
    "--model lstm --hidden 8 --layers 1 --epochs 2 --batch 4 --sequence 20 --device cpu";

/// A run trained once for all tests, with the music it learned from.
static TRAINED: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    // What an earlier test run left.
    let _ = fs::remove_dir_all(&folder);
    write_music(&folder.join("music"));
    let shell = Shell::new();
    let (music, run) = (folder.join("music"), folder.join("run"));
    let words = format!("train {} --out {} {TINY}", music.display(), run.display());
    let lines = shell.json(&words);
    assert_eq!(lines.len(), 3, "two epochs and the end");
    folder
});

fn music() -> String {
    TRAINED.join("music").display().to_string()
}

fn run_folder() -> String {
    TRAINED.join("run").display().to_string()
}

fn has_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no {field} in {value}");
    }
}

#[test]
fn inspect_says_what_is_in_files() {
    let shell = Shell::new();
    fs::write(shell.path("bad.mid"), "no music").unwrap();
    fs::write(shell.path("good.mid"), piece(0, 8)).unwrap();
    let report = &shell.json("inspect .")[0]["files"];
    let fields = ["path", "notes", "drum_notes", "tracks", "seconds", "warnings", "error"];
    report.as_array().unwrap().iter().for_each(|file| has_fields(file, &fields));
    assert!(report[0]["error"].as_str().unwrap().contains("not a Standard MIDI File"));
    assert_eq!((&report[1]["notes"], &report[1]["error"]), (&24.into(), &Value::Null));
    assert_eq!(report[1]["seconds"], 4.0);
    let words = shell.run("inspect good.mid").stdout;
    assert!(
        words.contains("24 notes") && words.contains("4/4") && words.contains("major"),
        "{words}"
    );
}

#[test]
fn tokenize_writes_every_token() {
    let shell = Shell::new();
    write_music(&shell.path("music"));
    fs::write(shell.path("music/again.mid"), piece(0, 120)).unwrap();
    let report = &shell.json("tokenize music --out tokens.json")[0];
    has_fields(report, &["files", "skipped", "frames", "vocabulary", "seconds"]);
    assert_eq!(report["files"], 4, "{report}");
    has_fields(&report["skipped"][0], &["path", "reason"]);
    let file: Value =
        serde_json::from_slice(&fs::read(shell.path("tokens.json")).unwrap()).unwrap();
    assert_eq!(file["fps"], 2.0);
    assert_eq!(file["vocabulary"][0], serde_json::json!([]), "token 0 is the rest");
    let songs = file["songs"].as_array().unwrap();
    let tokens: usize = songs.iter().map(|song| song["tokens"].as_array().unwrap().len()).sum();
    assert_eq!(report["frames"], tokens);
    let n_chords = file["vocabulary"].as_array().unwrap().len();
    assert_eq!(report["vocabulary"], n_chords);
    let limited = &shell.json("tokenize music --max-vocabulary 4")[0];
    assert_eq!(limited["vocabulary"], 4);
}

#[test]
fn train_prints_a_line_an_epoch_and_the_end() {
    let shell = Shell::new();
    let lines = shell.json(&format!("train {} --out run {TINY} --early-stop 0", music()));
    let (epochs, last) = lines.split_at(2);
    for (epoch, line) in (1..).zip(epochs) {
        let fields = [
            "train_loss",
            "train_perplexity",
            "valid_loss",
            "valid_perplexity",
            "valid_accuracy",
            "frames_per_second",
            "seconds",
        ];
        has_fields(line, &fields);
        assert_eq!((&line["event"], &line["epoch"]), (&"epoch".into(), &Value::from(epoch)));
        let (loss, perplexity) = (line["valid_loss"].as_f64(), line["valid_perplexity"].as_f64());
        assert!((loss.unwrap().exp() / perplexity.unwrap() - 1.0).abs() < 1e-9);
    }
    let fields = [
        "best_epoch",
        "best_valid_perplexity",
        "parameters",
        "device",
        "train_frames",
        "valid_frames",
        "vocabulary",
        "test_perplexity",
    ];
    has_fields(&last[0], &fields);
    assert_eq!((&last[0]["event"], &last[0]["outcome"]), (&"finished".into(), &"completed".into()));
    assert!(shell.path("run/run.json").is_file() && shell.path("run/metrics.jsonl").is_file());
    shell.refuses(1, &format!("train {} --out run {TINY}", music()));
    let more = TINY.replace("--epochs 2", "--epochs 3");
    let resumed =
        shell.json(&format!("train {} --out run {more} --early-stop 0 --resume", music()));
    assert_eq!((resumed.len(), &resumed[0]["epoch"]), (2, &3.into()), "{resumed:?}");
}

#[test]
fn a_model_that_spells_is_trained_measured_composed_with_and_exported() {
    let shell = Shell::new();
    let tiny =
        "--model keys --hidden 6 --key-hidden 4 --epochs 1 --batch 4 --sequence 16 --device cpu";
    let lines = shell.json(&format!("train {} --out run {tiny}", music()));
    assert_eq!((lines.len(), &lines[1]["vocabulary"]), (2, &0.into()), "{lines:?}");
    let measured = &shell.json(&format!("evaluate --model run {}", music()))[0];
    assert_eq!(
        (&measured["unseen_frames"], measured["frames"].as_u64() > Some(300)),
        (&0.into(), true)
    );
    let words = shell.run(&format!("evaluate --model run {}", music())).stdout;
    assert!(!words.contains("the model never learned"), "{words}");
    for (name, how) in [("max", "max"), ("drawn", "sample"), ("phrase", "beam --beam-width 2")] {
        let words = format!("generate --model run --strategy {how} --frames 3 --out {name}.mid");
        assert_eq!(shell.json(&words)[0]["takes"][0]["frames"], 3, "{how}");
    }
    shell.json("export --model run --out alone.safetensors");
    shell.json("generate --model alone.safetensors --frames 3 --out again.mid");
    let bytes = |name: &str| fs::read(shell.path(name)).unwrap();
    assert_eq!(bytes("again.mid"), bytes("drawn.mid"));

    let train = |words: &str| format!("train {} --out other {words}", music());
    let refused = shell.refuses(2, &train("--model keys --max-vocabulary 90"));
    assert!(refused.contains("--max-vocabulary is for models with a vocabulary"), "{refused}");
    let refused = shell.refuses(2, &train("--model chord-gru --key-hidden 4"));
    assert!(refused.contains("--key-hidden is for models that spell key by key"), "{refused}");
    let refused = shell.refuses(1, &format!("train {} --out run --model lstm --resume", music()));
    assert!(refused.contains("--model differs from the run's"), "{refused}");
}

#[test]
fn a_model_with_touch_goes_on_in_the_tempo_and_the_bars_of_a_file() {
    let shell = Shell::new();
    let tiny = "--model keys --alphabet full --grid quarter --hidden 4 --key-hidden 0 --epochs 1";
    shell.json(&format!("train {} --out run {tiny} --batch 4 --sequence 16 --device cpu", music()));
    let mut score = smf::read_file(&TRAINED.join("music/piece0.mid")).unwrap().score;
    let micros = 750_000;
    score.tempo_map = TempoMap::constant(score.tempo_map.ticks_per_quarter(), micros);
    let meter = Meter { numerator: 3, denominator_power: 2 };
    score.meters = vec![MeterChange { tick: Tick::ZERO, meter }];
    // It begins with the fifth quarter, the second of its bar.
    score.set_notes(score.notes().iter().filter(|note| note.start.0 >= 4 * 480).copied().collect());
    fs::write(shell.path("waltz.mid"), smf::write(&score)).unwrap();
    let tempo = |words: &str| {
        let words = format!("generate --model run --frames 3 --out a.mid {words}");
        let composed = shell.run(&words);
        assert_eq!(composed.status, 0, "{}", composed.stderr);
        let is_noted = composed.stderr.contains("--restrike counts for nothing here");
        assert_eq!(is_noted, words.contains("--restrike"), "{}", composed.stderr);
        let score = smf::read_file(&shell.path("a.mid")).unwrap().score;
        score.tempo_map.tempo_at(Tick::ZERO).micros_per_quarter
    };
    assert_eq!(tempo("--prime waltz.mid --prime-frames 8 --restrike"), micros);
    let as_json = "generate --model run --frames 3 --out a.mid --prime waltz.mid --prime-frames 8";
    assert_eq!(shell.json(as_json)[0]["takes"][0]["prime_frames"], 9);
    assert_eq!(tempo(""), 500_000);
}

#[test]
fn a_run_with_nothing_left_to_do_says_so_at_once() {
    let shell = Shell::new();
    shell.json(&format!("train {} --out run {TINY} --early-stop 0", music()));
    for words in ["--epochs 1", ""] {
        let ended = shell.run(&format!("train --out run --resume --device cpu {words}"));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("nothing is left to do"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("read 4 pieces"), "{}", ended.stderr);
        assert!(ended.stdout.contains("best at epoch"), "{}", ended.stdout);
    }
    let lines = shell.json("train --out run --resume --device cpu --epochs 1");
    assert_eq!((lines.len(), &lines[0]["outcome"]), (1, &"completed".into()), "{lines:?}");
}

#[test]
fn resuming_names_the_music_that_is_gone_or_changed() {
    let shell = Shell::new();
    write_music(&shell.path("music"));
    shell.json(&format!("train music --out run {TINY}"));
    let resume = "train --out run --resume --epochs 3 --device cpu";
    fs::rename(shell.path("music/piece1.mid"), shell.path("away.mid")).unwrap();
    let line = shell.refuses(1, resume);
    assert!(line.contains("piece1.mid is gone") && line.contains("--resume"), "{line}");
    let line = shell.refuses(1, &format!("{resume} music"));
    assert!(line.contains("piece1.mid is missing"), "{line}");
    fs::write(shell.path("music/piece1.mid"), piece(7, 120)).unwrap();
    let line = shell.refuses(1, resume);
    assert!(line.contains("piece1.mid has changed"), "{line}");
    fs::rename(shell.path("away.mid"), shell.path("music/piece1.mid")).unwrap();
    fs::write(shell.path("music/piece9.mid"), piece(7, 120)).unwrap();
    let line = shell.refuses(1, &format!("{resume} music"));
    assert!(line.contains("piece9.mid is new"), "{line}");
    // Moved as a whole it is the same music.
    fs::remove_file(shell.path("music/piece9.mid")).unwrap();
    fs::rename(shell.path("music"), shell.path("elsewhere")).unwrap();
    assert_eq!(shell.json(&format!("{resume} elsewhere")).len(), 2);
}

/// None of these says a word about the music, which would take long to read.
/// A run of a small model that spells, and a piece of its own to go on with.
fn spelling_run(shell: &Shell) {
    let keys = TINY.replace("--model lstm", "--model keys --alphabet off-on --key-hidden 4");
    shell.json(&format!("train {} --out source {keys}", music()));
    fs::create_dir(shell.path("mine")).unwrap();
    for kind in 0..3 {
        fs::write(shell.path(&format!("mine/{kind}.mid")), piece(20 + kind, 60)).unwrap();
    }
}

#[test]
fn a_run_goes_on_from_a_checkpoint_with_other_pieces() {
    let shell = Shell::new();
    spelling_run(&shell);
    let tuning = "--epochs 2 --batch 4 --sequence 20 --device cpu";
    let lines = shell.json(&format!("train mine --out tuned --from source {tuning}"));
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "epoch", "epoch", "finished"]);
    let (start, last) = (&lines[0], &lines[3]);
    assert_eq!((&start["epoch"], &start["train_loss"]), (&0.into(), &Value::Null));
    assert_eq!(start["valid_perplexity"], last["from_valid_perplexity"]);
    for line in [start, last] {
        let path = line["from"]["path"].as_str().unwrap();
        assert!(path.ends_with("source/checkpoints/best.safetensors"), "{path}");
        assert_eq!(line["from"]["sha256"].as_str().unwrap().len(), 64);
    }
    let settings = |run: &str| -> Value {
        let json = fs::read_to_string(shell.path(run).join("run.json")).unwrap();
        serde_json::from_str::<Value>(&json).unwrap()["settings"].take()
    };
    let (source, tuned) = (settings("source"), settings("tuned"));
    for name in ["model", "layers", "hidden", "key_hidden", "alphabet", "fps", "grid", "framing"] {
        assert_eq!(source[name], tuned[name], "{name}");
    }
    // Smaller steps than a fresh network's, unless others are asked for.
    assert_eq!(
        (&source["learning_rate"], &tuned["learning_rate"]),
        (&0.003.into(), &0.0005.into())
    );
    // The source isn't needed any more.
    fs::remove_dir_all(shell.path("source")).unwrap();
    let resumed = shell.json("train --out tuned --resume --epochs 3 --device cpu");
    assert_eq!((&resumed[0]["event"], &resumed[0]["epoch"]), (&"epoch".into(), &3.into()));
    assert_eq!(resumed[1]["from"], last["from"]);
    // Of what both learned from nothing is unknown.
    let of_mine = &shell.json("evaluate --model tuned mine")[0];
    let of_source = &shell.json(&format!("evaluate --model tuned {}", music()))[0];
    for report in [of_mine, of_source] {
        assert!(report["learned_from"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["may_have_learned_more"], false, "{report}");
    }
    shell.json("generate --model tuned --out a.mid --frames 8");

    let told = shell.run(&format!(
        "train mine --out again --from tuned {tuning} --learning-rate 0.01 --hidden 8"
    ));
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stderr.contains("going on from "), "{}", told.stderr);
    assert!(!told.stderr.contains("isn't known"), "{}", told.stderr);
    assert!(told.stdout.starts_with("as it was "), "{}", told.stdout);
}

#[test]
fn going_on_from_a_checkpoint_refuses_what_contradicts_it() {
    let shell = Shell::new();
    spelling_run(&shell);
    let source = shell.path("source/checkpoints/best.safetensors").display().to_string();
    let train = |words: &str| format!("train mine --out tuned --device cpu {words}");
    for (words, what) in [
        ("--from source --hidden 9", "--hidden differs from the checkpoint's (8)"),
        ("--from source --layers 2", "--layers differs"),
        ("--from source --model gru", "--model differs from the checkpoint's (keys)"),
        ("--from source --alphabet full", "--alphabet differs from the checkpoint's (off-on)"),
        ("--from source --fps 4", "--fps differs"),
        ("--from source --grid sixteenth", "--grid differs from the checkpoint's (seconds)"),
        ("--from source --framing original", "--framing differs"),
        ("--from source --pedal", "--pedal differs"),
        ("--from source --max-vocabulary 50", "--max-vocabulary is for models with a vocabulary"),
        ("--from source --preset original", "--preset original"),
        ("--from source --resume", "--from source begins a new run"),
    ] {
        let line = shell.refuses(2, &train(words));
        assert!(line.contains(what), "{words}: {line}");
    }
    let of_chords = format!("--from {}", run_folder());
    for (words, what) in [("--min-count 2", "--min-count"), ("--softmax adaptive", "--softmax")] {
        let line = shell.refuses(2, &train(&format!("{of_chords} {words}")));
        assert!(line.contains(&format!("{what} differs")), "{words}: {line}");
    }
    let mut bytes = fs::read(&source).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(shell.path("half.safetensors"), bytes).unwrap();
    fs::write(shell.path("text.safetensors"), "no weights").unwrap();
    for (from, what) in [
        ("nowhere", "there is no checkpoint at nowhere"),
        ("mine", "mine is music and no model"),
        ("half.safetensors", "half.safetensors can't be used"),
        ("text.safetensors", "text.safetensors can't be used"),
    ] {
        let line = shell.refuses(1, &train(&format!("--from {from}")));
        assert!(line.contains(what), "{line}");
    }
    // What a set says of its frames isn't what was learned from.
    let set = serde_json::json!({
        "train": vec![vec![[60, 64]; 90]; 3], "valid": [vec![[60]; 30]], "test": [vec![[64]; 30]],
    });
    fs::write(shell.path("set.json"), set.to_string()).unwrap();
    let line = shell.refuses(1, "train set.json --out tuned --device cpu --from source");
    assert!(line.contains("of which the checkpoint knows nothing"), "{line}");
}

#[test]
fn what_needs_no_music_is_refused_before_it_is_read() {
    let shell = Shell::new();
    write_music(&shell.path("music"));
    fs::write(shell.path("music/bad.mid"), "no music").unwrap();
    fs::create_dir_all(shell.path("full/a")).unwrap();
    fs::create_dir_all(shell.path("a-2.mid")).unwrap();
    let run = run_folder();
    for words in [
        format!("train music --out full {TINY}"),
        format!("train music --out run --device cuda:99 {}", TINY.replace("--device cpu", "")),
        format!("train music --out {run} --resume --hidden 9"),
        "generate --model none --out a.mid --takes 2".to_owned(),
        "evaluate --model none music".to_owned(),
        "tokenize music --out a-2.mid".to_owned(),
    ] {
        shell.refuses(1, &words);
        let stderr = shell.run(&words).stderr;
        assert_eq!(stderr.lines().count(), 1, "{words}: {stderr}");
    }
    assert!(shell.refuses(1, "generate --model none --out a.mid --takes 2").contains("folder"));
}

#[test]
fn music_of_another_run_is_refused_even_when_nothing_is_left_to_do() {
    let shell = Shell::new();
    fs::create_dir(shell.path("other")).unwrap();
    fs::write(shell.path("other/a.mid"), piece(9, 90)).unwrap();
    let run = run_folder();
    let line = shell.refuses(1, &format!("train other --out {run} --resume --device cpu"));
    assert!(line.contains("isn't what") && line.contains("a.mid is new"), "{line}");
    let same = shell.run(&format!("train {} --out {run} --resume --device cpu", music()));
    assert_eq!(same.status, 0, "{}", same.stderr);
    assert!(same.stderr.contains("nothing is left to do"), "{}", same.stderr);
}

#[test]
fn a_switch_and_its_value_need_an_equals_sign() {
    let shell = Shell::new();
    for (words, meant) in [
        ("--shuffle off", "write --shuffle=off with"),
        ("--carry-state on", "write --carry-state=on with"),
        ("--shuffle no --carry-state", "--shuffle=no or --carry-state=no"),
    ] {
        let line = shell.refuses(2, &format!("train --out run {words}"));
        assert!(line.contains(meant), "{line}");
    }
    // Unless it is music.
    fs::create_dir(shell.path("off")).unwrap();
    assert!(!shell.refuses(1, "train --out run --shuffle off").contains("equals"));
}

#[test]
fn words_that_count_for_nothing_are_named() {
    let shell = Shell::new();
    let model = run_folder();
    let said = |words: &str| {
        let ended = shell.run(&format!("generate --model {model} --out a.mid --frames 9 {words}"));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stderr
    };
    for (words, flags) in [
        ("--strategy beam --top-k 3 --top-p 0.5", &["--top-k", "--top-p"] as &[_]),
        ("--strategy max --temperature 1 --beam-width 3", &["--temperature", "--beam-width"]),
        ("--prime-frames 9 --prime-pitch 60", &["--prime-frames"]),
    ] {
        let stderr = said(words);
        let named = |flag: &&&str| stderr.contains(&format!("{flag} counts with"));
        assert_eq!(flags.iter().filter(named).count(), flags.len(), "{words}: {stderr}");
        assert_eq!(stderr.matches(" counts with").count(), flags.len(), "{words}: {stderr}");
    }
    assert!(!said("--strategy beam --beam-width 3").contains("counts with"));
}

#[test]
fn a_beat_grid_is_for_music_that_keeps_to_its_beats() {
    let shell = Shell::new();
    let grid = |words: &str| format!("tokenize {} {words}", music());
    // Every chord is a quarter: at two eighths each, twice the frames of --grid quarter.
    let frames = |words: &str| shell.json(&grid(words))[0]["frames"].as_u64().unwrap();
    assert_eq!(frames("--grid eighth"), 2 * frames("--grid quarter"));
    assert_eq!(frames("--grid seconds"), frames(""));
    assert!(shell.refuses(2, &grid("--grid 5")).contains("sixteenth"));
    let original = grid("--grid 4 --framing original");
    assert!(shell.refuses(1, &original).contains("real time"));
    // A recording, whose file says nothing of its beats.
    let recorded = (0..90u32).map(|idx| Note {
        start: Tick(idx * 337 + idx * idx % 97),
        length: Tick(200),
        pitch: Pitch::MIDDLE_C,
        velocity: Velocity::COMPOSED,
        part: 0,
    });
    let score = Score::piano(TempoMap::default(), recorded.collect());
    fs::write(shell.path("recorded.mid"), smf::write(&score)).unwrap();
    for command in ["tokenize recorded.mid", &format!("train recorded.mid --out run {TINY}")] {
        let words = shell.refuses(1, &format!("{command} --grid sixteenth"));
        assert!(words.contains("--grid seconds"), "{words}");
    }
    assert!(!shell.path("run").exists());
    shell.json("tokenize recorded.mid");
}

#[test]
fn a_model_that_spells_is_measured_in_its_own_words() {
    let shell = Shell::new();
    let keys = TINY.replace("--model lstm", "--model keys --alphabet off-on --key-hidden 4");
    shell.json(&format!("train {} --out run {keys} --grid eighth", music()));
    let note = |pitch: u8, start: u32| Note {
        start: Tick(start),
        length: Tick(480),
        pitch: Pitch::new(pitch).unwrap(),
        velocity: Velocity::COMPOSED,
        part: 0,
    };
    // Eighths, every fourth of them with a key that no piano has.
    let notes = (0..40).flat_map(|idx| {
        let high = (idx % 4 == 0).then(|| note(120, idx * 480));
        [Some(note(60, idx * 480)), high].into_iter().flatten()
    });
    let score = Score::piano(TempoMap::default(), notes.collect());
    fs::write(shell.path("high.mid"), smf::write(&score)).unwrap();
    let report = &shell.json("evaluate --model run high.mid")[0];
    let beyond = report["frames_beyond_piano"].as_u64().unwrap();
    assert!(beyond >= 10 && beyond < report["frames"].as_u64().unwrap(), "{report}");
    let words = shell.run("evaluate --model run high.mid").stdout;
    assert!(words.contains(&format!("Of {beyond} frames a pitch beyond A0–C8")), "{words}");
    assert!(words.contains("right for every key") && !words.contains("likeliest chord"), "{words}");
    let known = shell.run(&format!("evaluate --model {} high.mid", run_folder())).stdout;
    assert!(known.contains("likeliest chord") && !known.contains("A0–C8"), "{known}");
    // Of a recording nobody knows the notes, and evaluating has no frames to choose.
    let recorded = (0..90).map(|idx| note(60, idx * 337 + idx * idx % 97));
    let score = Score::piano(TempoMap::default(), recorded.collect());
    fs::write(shell.path("recorded.mid"), smf::write(&score)).unwrap();
    let line = shell.refuses(1, "evaluate --model run recorded.mid");
    assert!(!line.contains("--grid") && line.contains("notes of the bar"), "{line}");
}

#[test]
fn a_vocabulary_without_chords_is_refused() {
    let shell = Shell::new();
    let words = format!("tokenize {} --min-count 1000000", music());
    assert!(shell.refuses(1, &words).contains("--min-count"));
    let words = format!("train {} --out run {TINY} --min-count 1000000", music());
    assert!(shell.refuses(1, &words).contains("--min-count"));
}

/// Every option but switches says what may be given and what holds when it isn't.
#[test]
fn help_gives_ranges_and_defaults() {
    let shell = Shell::new();
    let help = shell.run("train --help").stdout;
    for line in [
        "--dropout <SHARE>",
        "0–0.95 [default: 0.3; chords: 0.65; original: 0]",
        "1–4,096; of keys those that listen over each pitch class [default: 128; chords: 512]",
        "1–100,000 [default: 50]",
    ] {
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(line), "{line} in {help}");
    }
    for command in ["tokenize", "train", "generate", "render"] {
        let help = shell.run(&format!("{command} --help")).stdout;
        let (options, _) = help.split_once("Example").unwrap();
        // An option begins a line; what it means may go on in the next ones.
        let options = options.split("\n      --").skip(1).map(|option| {
            let lines = option.lines().take_while(|line| !line.is_empty());
            lines.map(str::trim).collect::<Vec<_>>().join(" ")
        });
        for option in options.filter(|option| !option.starts_with("json")) {
            let without = ["out <", "model <RUN>", "resume", "prime"];
            let needs_none = without.iter().any(|name| option.starts_with(name));
            assert!(needs_none || option.contains("[default: "), "{command}: --{option}");
        }
    }
}

#[test]
fn train_without_a_path_learns_from_the_built_in_pieces() {
    let shell = Shell::new();
    let lines =
        shell.json(&format!("train --out run {TINY} --epochs 1").replace("--epochs 2 ", ""));
    assert!(lines[1]["train_frames"].as_u64().unwrap() > 500, "{lines:?}");
}

#[test]
fn the_original_preset_counts_after_the_flags() {
    let shell = Shell::new();
    shell.json(&format!("train {} --out run {TINY} --preset original --fps 4", music()));
    let run: Value =
        serde_json::from_slice(&fs::read(shell.path("run/run.json")).unwrap()).unwrap();
    let settings = &run["settings"];
    assert_eq!((&settings["dropout"], &settings["shuffle"]), (&0.0.into(), &false.into()));
    assert_eq!((&settings["split"], &settings["framing"]), (&"tail".into(), &"original".into()));
    assert_eq!((&settings["fps"], &settings["hidden"]), (&4.0.into(), &8.into()));
}

#[test]
fn generate_composes_with_every_strategy_and_prime() {
    let shell = Shell::new();
    fs::write(shell.path("opening.mid"), piece(1, 20)).unwrap();
    let model = run_folder();
    for words in [
        "--strategy max",
        "--strategy sample --temperature 1.2 --top-k 5 --top-p 0.9",
        "--strategy beam --beam-width 3",
        "--prime opening.mid --prime-frames 8",
        "--prime-pitch 60",
        "--prime-pitch C#4",
        "--prime-pitch 5",
        "--prime-chord C4,E4,G4",
        "--prime-random --restrike --longest-hold 0 --no-repeat 0 --weights int8",
    ] {
        let report =
            &shell.json(&format!("generate --model {model} --out a.mid --frames 30 {words}"))[0];
        has_fields(report, &["takes", "frames_per_second"]);
        let take = &report["takes"][0];
        has_fields(take, &["path", "seed", "frames", "notes", "log_likelihood", "seconds"]);
        assert_eq!((&take["frames"], &take["path"]), (&30.into(), &"a.mid".into()), "{words}");
        let import = smf::read_file(&shell.path("a.mid"));
        assert_eq!(take["notes"], import.map_or(0, |import| import.n_note_ons), "{words}");
    }
}

#[test]
fn a_take_is_as_long_as_its_file() {
    let shell = Shell::new();
    for words in ["--seed 1", "--strategy max", "--fps 5", "--prime-chord C4,E4 --seed 3"] {
        let words = format!("generate --model starter --out a.mid --frames 120 {words}");
        let take = shell.json(&words)[0]["takes"][0].clone();
        let file = shell.json("inspect a.mid")[0]["files"][0].clone();
        let [take, file] =
            [&take["music_seconds"], &file["seconds"]].map(|it| it.as_f64().unwrap());
        assert!((take - file).abs() < 1e-3, "{words}: {take} s, {file} s in the file");
    }
}

#[test]
fn the_likeliest_take_has_no_pedal_under_silence() {
    let shell = Shell::new();
    shell.json("generate --model starter --out a.mid --strategy max");
    let score = smf::read_file(&shell.path("a.mid")).unwrap().score;
    let is_heard = |start: Tick, end: Tick| {
        score.notes().iter().any(|note| note.start < end && note.end() > start)
    };
    assert!(score.pedal.iter().all(|span| is_heard(span.start, span.end)), "{:?}", score.pedal);
}

#[test]
fn a_file_that_is_written_over_is_told_of() {
    let shell = Shell::new();
    let model = run_folder();
    let export = format!("export --model {model} --out m.safetensors");
    let takes = format!("generate --model {model} --frames 5 --takes 3 --out b.mid");
    for (words, file) in [
        (&*format!("generate --model {model} --frames 20 --out a.mid"), "a.mid"),
        ("render a.mid --out a.wav --sample-rate 8000", "a.wav"),
        ("tokenize a.mid --out a.json", "a.json"),
        ("convert a.mid --out c.mid", "c.mid"),
        (&export, "m.safetensors"),
        (&takes, "b-1.mid and 2 other files"),
    ] {
        let first = shell.run(words);
        assert_eq!((first.status, first.stderr.contains("replaced")), (0, false), "{words}");
        let second = shell.run(words);
        let said = format!("replaced {file}, which w");
        assert_eq!(second.status, 0, "{words}: {}", second.stderr);
        assert!(second.stderr.contains(&said), "{words}: {}", second.stderr);
    }
    // Nothing is, where the call is refused.
    let refused = shell.refuses(1, "render none.mid --out a.wav");
    assert!(!refused.contains("replaced"), "{refused}");
}

#[test]
fn music_that_is_named_as_a_model_is_called_music() {
    let shell = Shell::new();
    fs::create_dir_all(shell.path("songs/mine")).unwrap();
    fs::create_dir(shell.path("empty")).unwrap();
    fs::write(shell.path("songs/mine/a.mid"), piece(0, 20)).unwrap();
    let calls = [
        ("songs", "generate --out b.mid --model songs"),
        ("songs", "evaluate --model songs songs"),
        ("songs/mine/a.mid", "generate --out b.mid --model songs/mine/a.mid"),
        ("songs", "train songs --out run --from songs"),
    ];
    for (path, words) in calls {
        let line = shell.refuses(1, words);
        let advice =
            format!("{path} is music and no model — learn from it first (etude train {path}");
        assert!(line.contains(&advice), "{words}: {line}");
    }
    let line = shell.refuses(1, "generate --model empty --out b.mid");
    assert!(line.contains("there is no checkpoint at empty"), "{line}");
}

#[test]
fn a_take_without_notes_is_called_silent() {
    let shell = Shell::new();
    // Where rests may last, a take of one frame is now and then nothing else.
    let silent = (0..200).find(|seed| {
        let words = "generate --model starter --out a.mid --frames 1 --longest-hold 0";
        let words = format!("{words} --seed {seed}");
        let said = shell.run(&words).stderr.contains("a.mid has no notes");
        assert_eq!(said, smf::read_file(&shell.path("a.mid")).is_err(), "{words}");
        said
    });
    assert!(silent.is_some());
}

#[test]
fn a_take_with_hardly_any_notes_is_said_to_be_near_silence() {
    let shell = Shell::new();
    let said = |words: &str| {
        let ended = shell.run(&format!("generate --model starter --out a.mid {words}"));
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stderr
    };
    let max = said("--frames 160 --strategy max");
    assert!(
        max.contains("a.mid has 3 notes in 10 s: the likeliest music is near silence"),
        "{max}"
    );
    assert!(max.contains(" — draw it by lot (--strategy sample)"), "{max}");
    let drawn = said("--frames 160");
    assert!(!drawn.contains("a.mid has"), "{drawn}");
    let silent = said("--frames 20 --prime-chord C4 --strategy max --longest-hold 0");
    assert!(
        silent.contains("a.mid has no notes after its start: the likeliest music is near"),
        "{silent}"
    );
    assert!(silent.contains("leave --longest-hold 0 out"), "{silent}");
}

#[test]
fn one_likeliest_take_is_all_there_is() {
    let shell = Shell::new();
    let words = "--out a.mid --frames 10 --strategy max --takes 3";
    let ended = shell.run(&format!("generate --model {} {words}", run_folder()));
    assert_eq!((ended.status, shell.listing()), (0, vec!["a-1.mid".to_owned()]));
    assert!(ended.stderr.contains("one take instead of 3, a-1.mid"), "{}", ended.stderr);
}

#[test]
fn takes_are_numbered_and_repeatable() {
    let shell = Shell::new();
    let words = format!("generate --model {} --frames 40 --takes 3 --seed 5", run_folder());
    let takes = shell.json(&format!("{words} --out a.mid"));
    assert_eq!(takes[0]["takes"].as_array().unwrap().len(), 3);
    assert_eq!(shell.listing(), ["a-1.mid", "a-2.mid", "a-3.mid"]);
    shell.json(&format!("{words} --out b.mid"));
    for number in 1..=3 {
        let read = |name: &str| fs::read(shell.path(&format!("{name}-{number}.mid"))).unwrap();
        assert_eq!(read("a"), read("b"), "take {number}");
    }
    assert_eq!(takes[0]["takes"][2]["seed"], 7);
}

#[test]
fn a_benchmark_is_learned_from_and_measured_by_its_own_split() {
    let shell = Shell::new();
    let piece = |start: usize, n: usize| -> Vec<[usize; 2]> {
        (0..n).map(|t| [48 + (start + t) % 5, 60 + (start + 2 * t) % 7]).collect()
    };
    let part = |n: usize| -> Vec<_> { (0..n).map(|start| piece(start, 30 + start)).collect() };
    let set = serde_json::json!({"train": part(5), "valid": part(2), "test": part(3)});
    fs::write(shell.path("set.json"), set.to_string()).unwrap();
    let refused = shell.refuses(1, "train set.json --out run --from starter --device cpu");
    assert!(refused.contains("give MIDI files, or train without --from"), "{refused}");
    let tiny = TINY.replace("--model lstm", "--model gru");
    let lines = shell.json(&format!("train set.json --out run {tiny}"));
    let last = lines.last().unwrap();
    assert_eq!((&last["train_frames"], &last["valid_frames"]), (&160.into(), &61.into()));
    let (nats, perplexity) = (&last["test_loss"], &last["test_perplexity"]);
    assert!((nats.as_f64().unwrap().exp() / perplexity.as_f64().unwrap() - 1.0).abs() < 1e-9);
    has_fields(last, &["best_valid_loss"]);
    // The test part unless another is asked for.
    let measured = |words: &str| {
        let report = shell.json(&format!("evaluate --model run set.json {words}")).remove(0);
        let [frames, learned_from, chosen_by] =
            ["frames", "learned_from", "chosen_by"].map(|name| report[name].as_u64().unwrap());
        ((frames, learned_from, chosen_by), report)
    };
    let (numbers, report) = measured("");
    assert_eq!((numbers, &report["part"]), ((93, 0, 0), &"test".into()));
    assert!((report["loss"].as_f64().unwrap() - nats.as_f64().unwrap()).abs() < 1e-4);
    assert_eq!(measured("--part test").0, (93, 0, 0));
    assert_eq!(measured("--part train").0, (160, 5, 0));
    assert_eq!(measured("--part valid").0, (61, 0, 2));
    assert_eq!(measured("--part all").0, (314, 5, 2));
    let words = shell.run("evaluate --model run set.json");
    assert!(words.stdout.contains("the part test: 3 pieces, 93 frames, one a step"));
    assert!(words.stdout.contains("nats a frame"), "{}", words.stdout);
    assert_eq!(words.stderr, "", "nothing was given that changes nothing");
    let idle = shell.run("tokenize set.json --pedal --fps 4");
    assert!(idle.stderr.contains("--fps and --pedal change no frame here"), "{}", idle.stderr);
    assert!(!idle.stdout.contains("of music"), "steps have no length: {}", idle.stdout);
    // It goes on from the file that the run names.
    let resumed = shell.json("train --out run --resume --epochs 3 --device cpu");
    assert_eq!(resumed[0]["epoch"], 3);
    let report = &shell.json("inspect set.json")[0]["files"][0];
    assert_eq!(
        (&report["set"][2]["part"], &report["set"][2]["frames"]),
        (&"test".into(), &93.into())
    );
    assert!(shell.run("inspect set.json").stdout.contains("test     3 pieces, 93 frames"));
    assert_eq!(shell.json("tokenize set.json")[0]["frames"], 314);
    // What can't be is refused before anything is made.
    shell.refuses(2, &format!("train set.json --out tail {TINY} --split tail"));
    shell.refuses(2, &format!("train set.json --out original {TINY} --preset original"));
    // A step of a set is no note, and its own split stays its own, also when the run goes on.
    let keys = TINY.replace("--model lstm", "--model keys --alphabet off-on --key-hidden 4");
    for words in
        [format!("--out grid {keys} --grid sixteenth"), format!("--out grid {TINY} --grid 4")]
    {
        let line = shell.refuses(2, &format!("train set.json {words}"));
        assert!(line.contains("--grid can't be sixteenth") && line.contains("set.json"), "{line}");
    }
    shell.refuses(1, &format!("train set.json {} --out mixed {TINY}", music()));
    shell.refuses(2, &format!("evaluate --model run {} --part test", music()));
    shell.refuses(1, &format!("evaluate --model run --music {}", music()));
    // What has frames only is no music for the commands that need more.
    fs::write(shell.path("a.mid"), crate::piece(0, 20)).unwrap();
    for words in ["--music set.json", "--music a.mid --corpus set.json"] {
        let line = shell.refuses(1, &format!("evaluate {words}"));
        assert!(line.contains("set.json can't be measured (a set of frames has neither"), "{line}");
    }
    for words in ["generate --model starter --out b.mid --prime", "render --out b.wav"] {
        let line = shell.refuses(1, &format!("{words} set.json"));
        assert!(line.contains("set.json lists frames and is no music"), "{line}");
    }
    let refused = shell.run("evaluate --model starter set.json");
    assert_eq!((refused.status, refused.stderr.lines().count()), (1, 1), "{}", refused.stderr);
    let bad = set.to_string().replacen("[48,60]", "[48,160]", 1);
    fs::write(shell.path("bad.json"), bad).unwrap();
    for words in ["inspect", "tokenize", &format!("train --out bad {TINY}"), "evaluate --model run"]
    {
        let error = shell.refuses(1, &format!("{words} bad.json"));
        assert!(error.contains("`160`, expected a pitch from 21 to 108 in frame 1"), "{error}");
    }
}

#[test]
fn evaluate_counts_every_frame() {
    let shell = Shell::new();
    let report = &shell.json(&format!("evaluate --model {} {}", run_folder(), music()))[0];
    has_fields(report, &["loss", "perplexity", "accuracy", "frames", "unseen_frames", "skipped"]);
    let tokens = &shell.json(&format!("tokenize {}", music()))[0];
    assert_eq!(report["frames"], tokens["frames"]);
    assert!(report["perplexity"].as_f64().unwrap() > 1.0);
    assert_eq!((&report["learned_from"], &report["fps"]), (&3.into(), &2.0.into()), "{report}");
    let words = shell.run(&format!("evaluate --model {} {}", run_folder(), music())).stdout;
    assert!(words.contains("frames at 2 a second"), "{words}");
    assert!(!words.contains("Most frames"), "{words}");
    // Music of which it knows nothing says nothing of it.
    let strange = Path::new(&shell.path("strange.mid")).display().to_string();
    fs::write(&strange, piece(31, 40)).unwrap();
    let words = shell.run(&format!("evaluate --model {} {strange}", run_folder())).stdout;
    assert!(words.contains("Most frames have a chord that the model never learned"), "{words}");
}

#[test]
fn composed_music_is_measured_beside_its_corpus() {
    let shell = Shell::new();
    // Four pieces of a minute are the corpus of the run; the takes are shorter.
    shell.json(&format!("generate --model {} --takes 3 --frames 200 --out a.mid", run_folder()));
    fs::write(shell.path("bad.mid"), "no music").unwrap();
    let words =
        format!("evaluate --music a-1.mid a-2.mid a-3.mid bad.mid --model {}", run_folder());
    let report = &shell.json(&words)[0];
    let names = [
        "notes_per_second",
        "polyphony",
        "pitch_range",
        "pitch_class_entropy",
        "scale_consistency",
        "repeated_frames",
        "longest_run_seconds",
        "distinct_1",
        "distinct_2",
        "distinct_4",
        "velocity_spread",
    ];
    for name in names {
        has_fields(&report["composed"][name], &["mean", "low", "high"]);
        let usual = &report["corpus"][name];
        has_fields(usual, &["mean", "low", "high"]);
        // A measure is marked exactly where its mean lies outside.
        let mean = report["composed"][name]["mean"].as_f64().unwrap();
        let [low, high] = ["low", "high"].map(|end| usual[end].as_f64().unwrap());
        let marked = report["outside"].as_array().unwrap().contains(&name.into());
        assert_eq!(marked, !(low..=high).contains(&mean), "{name}: {report}");
        has_fields(&report["takes"][0], &[name, "shared", "shared_any_key"]);
    }
    assert_eq!(report["takes"].as_array().unwrap().len(), 3);
    // Three of the pieces were learned from, the fourth chose the epoch.
    assert_eq!((&report["corpus"]["pieces"], &report["learned_fps"]), (&3.into(), &2.0.into()));
    assert_eq!(report["skipped"].as_array().unwrap().len(), 1);
    let window = report["corpus"]["window_seconds"].as_f64().unwrap();
    assert!((20.0..=25.0).contains(&window), "as long as the takes: {window}");
    let shared = &report["takes"][0]["shared"];
    has_fields(shared, &["chords", "piece", "piece_seconds", "take_seconds", "piece_fps"]);
    assert!(shared["chords"].as_u64() <= report["takes"][0]["shared_any_key"]["chords"].as_u64());
    assert!(shared["piece"].as_str().unwrap().contains("music"), "{shared}");
    let text = shell.run(&words).stdout;
    for line in [
        "3 pieces, ",
        "polyphony",
        "middle 80 %",
        "longest identical run of all",
        "at 8 frames a second, and as the model read it, at 2",
        "longest shared passage, in any key: ",
        " on average",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // A copy of a piece of the corpus is found out; the piece itself is compared with the others only.
    fs::copy(Path::new(&music()).join("piece1.mid"), shell.path("same.mid")).unwrap();
    let same =
        &shell.json(&format!("evaluate --music same.mid --corpus {} --window 0", music()))[0];
    let piece = same["takes"][0]["shared"]["piece"].as_str().unwrap();
    assert!(piece.ends_with("piece1.mid"), "{piece}");
    assert_eq!(same["takes"][0]["of_corpus"], false);
    let itself = Path::new(&music()).join("piece1.mid");
    let words = format!("evaluate --music {} --corpus {}", itself.display(), music());
    let of_corpus = &shell.json(&words)[0]["takes"][0];
    assert_eq!(of_corpus["of_corpus"], true);
    assert!(!of_corpus["shared"]["piece"].as_str().unwrap().ends_with("piece1.mid"));
    assert!(
        shell.run(&words).stdout.contains("no passage was sought in the file itself of 1 file")
    );
    assert_eq!(
        (&same["corpus"]["windows"], &same["corpus"]["window_seconds"]),
        (&4.into(), &Value::Null)
    );
    // Without a corpus there is nothing beside it.
    let alone = &shell.json("evaluate --music same.mid")[0];
    assert_eq!((&alone["corpus"], &alone["outside"]), (&Value::Null, &serde_json::json!([])));
    assert_eq!(alone["takes"][0]["notes"], 360);
    // One take has no middle and no average.
    let text = shell.run("evaluate --music same.mid").stdout;
    assert!(text.contains("notes a second") && !text.contains("middle"), "{text}");
    let text = shell.run(&format!("evaluate --music same.mid --corpus {}", music())).stdout;
    let titles = text.lines().nth(1).unwrap();
    assert_eq!(titles.matches("middle 80 %").count(), 1, "{text}");
    assert!(text.contains("longest shared passage") && !text.contains("average"), "{text}");
    let refused = shell.refuses(1, "evaluate --music bad.mid");
    assert!(refused.contains("bad.mid can't be measured"), "{refused}");
    shell.refuses(1, "evaluate --music none.mid");
    let refused = shell.refuses(1, "evaluate --music same.mid --model starter");
    assert!(refused.contains("starter doesn't say where the music lies"), "{refused}");
    assert!(refused.contains(" — name the folder with --corpus"), "{refused}");
    shell.refuses(1, "evaluate --music same.mid --corpus bad.mid");
    for words in ["--part test", "--window -1", "--fps 0", "--corpus"] {
        shell.refuses(2, &format!("evaluate --music same.mid {words}"));
    }
    for words in ["", "--corpus same.mid", "--model starter", "same.mid --fps 8 --model starter"] {
        shell.refuses(2, &format!("evaluate {words}"));
    }
}

#[test]
fn an_exported_model_says_what_it_learned_from() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 20)).unwrap();
    shell.json(&format!("export --model {} --out known.safetensors", run_folder()));
    let model = Model::load(&shell.path("known.safetensors")).unwrap();
    let silent = ModelCard { lessons: None, ..model.card().clone() };
    let silent = Model::untrained(silent, 0).unwrap();
    silent.export(&shell.path("silent.safetensors"), Precision::Full).unwrap();
    let known = |words: &str| {
        let report = shell.json(&format!("evaluate --model {words}")).remove(0);
        (report["learned_from"].as_u64(), report["chosen_by"].as_u64())
    };
    let music = music();
    assert_eq!(known(&format!("known.safetensors {music}")), (Some(3), Some(1)));
    assert_eq!(known("known.safetensors a.mid"), (Some(0), Some(0)));
    assert_eq!(known("starter a.mid"), (Some(0), Some(0)));
    assert_eq!(known(&format!("silent.safetensors {music}")), (None, None));
    let words = shell.run(&format!("evaluate --model silent.safetensors {music}")).stdout;
    assert!(words.contains("learned from any of this isn't known"), "{words}");
}

#[test]
fn render_writes_a_wav_that_sounds() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 4)).unwrap();
    let report = &shell.json("render a.mid --out a.wav --sample-rate 22050 --bits 24")[0];
    has_fields(report, &["seconds_of_audio", "seconds", "peak", "rms"]);
    assert!(report["seconds_of_audio"].as_f64().unwrap() >= 2.0);
    let (peak, rms) = (report["peak"].as_f64().unwrap(), report["rms"].as_f64().unwrap());
    assert!(peak > 0.01 && peak <= 0.892 && rms > 0.001, "peak {peak}, rms {rms}");
    let wav = hound::WavReader::open(shell.path("a.wav")).unwrap().spec();
    assert_eq!((wav.sample_rate, wav.bits_per_sample), (22_050, 24));
}

#[test]
fn convert_loses_nothing_on_the_way_and_back() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(2, 12)).unwrap();
    shell.json("convert a.mid --out a.etude");
    let report = &shell.json("convert a.etude --out b.mid")[0];
    assert_eq!(report["notes"], 36);
    let score = |name: &str| smf::read_file(&shell.path(name)).unwrap().score;
    assert_eq!(score("a.mid"), score("b.mid"));
    shell.refuses(2, "convert a.mid --out a.txt");
    shell.refuses(2, "convert a.etude --out b.etude");
    // A project that is written over is told of, and kept.
    let before = fs::read(shell.path("a.etude")).unwrap();
    let again = shell.run("convert a.mid --out a.etude");
    assert!(again.stderr.contains("kept as a.etude.bak"), "{}", again.stderr);
    assert_eq!(fs::read(shell.path("a.etude.bak")).unwrap(), before);
    let other = shell.run("convert a.mid --out other.etude");
    assert_eq!(other.stderr, "");
}

#[test]
fn a_project_is_inspected_like_its_music() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(2, 12)).unwrap();
    shell.json("convert a.mid --out a.etude");
    let file = |name: &str| shell.json(&format!("inspect {name}"))[0]["files"][0].clone();
    let (mut midi, mut project) = (file("a.mid"), file("a.etude"));
    assert_eq!(project["takes"], 0);
    for report in [&mut midi, &mut project] {
        let fields = report.as_object_mut().unwrap();
        fields.remove("path");
        fields.remove("takes");
    }
    assert_eq!(midi, project);
    fs::write(shell.path("a.etude"), "{\"format_version\": 1,").unwrap();
    let line = shell.refuses(1, "inspect a.etude");
    assert!(line.contains("damaged") && line.contains("no earlier copy"), "{line}");
    fs::copy(shell.path("a.mid"), shell.path("a.etude.bak")).unwrap();
    let line = shell.refuses(1, "inspect a.etude");
    assert!(line.contains("a.etude.bak"), "{line}");
}

#[test]
fn an_output_never_replaces_what_is_read() {
    let shell = Shell::new();
    let music = piece(1, 8);
    fs::write(shell.path("a.mid"), &music).unwrap();
    fs::write(shell.path("a.wav"), &music).unwrap();
    fs::write(shell.path("b-2.mid"), &music).unwrap();
    for words in [
        "render a.wav --out a.wav",
        "tokenize a.mid --out a.mid",
        "convert a.mid --out a.mid",
        "generate --model starter --prime a.mid --out ./a.mid",
        "generate --model starter --prime b-2.mid --takes 2 --out b.mid",
        "tokenize . --out a.mid",
    ] {
        shell.refuses(2, words);
    }
    // Nor does a name promise another kind of file.
    shell.refuses(2, "render a.mid --out c.mid");
    shell.refuses(2, "generate --model starter --out b.wav");
    assert_eq!(fs::read(shell.path("a.mid")).unwrap(), music);
    assert_eq!(fs::read(shell.path("a.wav")).unwrap(), music);
}

#[test]
fn devices_always_name_the_cpu() {
    let report = &Shell::new().json("devices")[0];
    for kind in ["compute", "audio"] {
        for device in report[kind].as_array().unwrap() {
            has_fields(device, &["name", "kind", "available", "reason"]);
            let has_reason = device["reason"].is_string();
            assert_ne!(device["available"], has_reason, "a reason exactly if it can't be used");
        }
    }
    let compute = report["compute"].as_array().unwrap();
    assert!(compute.iter().any(|device| device["kind"] == "cpu" && device["available"] == true));
}

#[test]
fn help_is_an_answer() {
    let shell = Shell::new();
    for words in ["help", "--help", "train --help", "help generate", "--version"] {
        let ended = shell.run(words);
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{words}");
    }
    let help = shell.run("help").stdout;
    for command in
        ["inspect", "tokenize", "train", "generate", "evaluate", "render", "convert", "devices"]
    {
        assert!(help.contains(command), "{command}");
        assert!(shell.run(&format!("{command} --help")).stdout.contains("--json"));
    }
}

#[test]
fn wrong_words_are_refused_with_status_2() {
    let shell = Shell::new();
    for (words, part) in [
        ("trian", "perhaps `etude train` is meant"),
        ("nonsense", "neither a command nor a file"),
        ("nonsense --foo", "“nonsense” is neither a command nor a file"),
        ("--json nonsense a b", "“nonsense” is neither a command nor a file"),
        ("generate --model starter --out a.mid --seed -1", "a seed is a whole number from 0"),
        ("train x --out r --seed 1.5", "a seed is a whole number from 0"),
        ("train x --out r --early-stop -1", "whole number from 0"),
        ("train x --out r --min-count 0", "--min-count"),
        ("train x --out r --max-vocabulary 1", "--max-vocabulary"),
        ("train x --out r --averaging 1", "0.9999"),
        ("tokenize x --max-vocabulary 1", "at least 2"),
        ("inspect", "<PATH>"),
        ("train", "--out"),
        ("generate --out a.mid", "--model"),
        ("generate --model starter --out a.mid --frobnicate", "--frobnicate"),
        ("tokenize x --fps 0", "between 0.1 and 200"),
        ("tokenize x --fps 1e9", "between 0.1 and 200"),
        ("tokenize x --fps NaN", "between 0.1 and 200"),
        ("train x --out r --fps 0", "--fps"),
        ("train x --out r --epochs 0", "--epochs"),
        ("train x --out r --hidden 0", "--hidden"),
        ("train x --out r --dropout 1", "--dropout"),
        ("train x --out r --learning-rate -1", "--learning-rate"),
        ("train x --out r --device tpu", "--device"),
        ("train x --out r --model transformer", "lstm"),
        ("generate --model starter --out a.mid --temperature 0", "--temperature"),
        ("generate --model starter --out a.mid --temperature -1", "--temperature"),
        ("generate --model starter --out a.mid --temperature NaN", "--temperature"),
        ("generate --model starter --out a.mid --top-p 2", "--top-p"),
        ("generate --model starter --out a.mid --top-k 0", "--top-k"),
        ("generate --model starter --out a.mid --beam-width 100000", "--beam-width"),
        ("generate --model starter --out a.mid --frames 0", "--frames"),
        ("generate --model starter --out a.mid --takes 0", "--takes"),
        ("generate --model starter --out a.mid --prime-pitch 128", "0 to 127"),
        ("generate --model starter --out a.mid --prime-pitch 5", "give keys from A0 to C8"),
        ("generate --model starter --out a.mid --prime-chord 5,60", "asks for F-1, which no piano"),
        ("generate --model starter --out a.mid --prime-chord H4", "H4"),
        ("generate --model starter --out a.mid --prime-random --prime-pitch 60", "--prime-pitch"),
        ("render a.mid --out a.wav --sample-rate 1", "8000"),
        ("render a.mid --out a.wav --bits 8", "24"),
    ] {
        let line = shell.refuses(2, words);
        assert!(line.contains(part), "{words}: {line}");
    }
}

/// Four bytes, most significant first.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [kind.as_slice(), &length, data].concat()
}

#[test]
fn files_that_are_no_music_are_refused() {
    let shell = Shell::new();
    let header = |division: u16| {
        let data = [0u16.to_be_bytes(), 1u16.to_be_bytes(), division.to_be_bytes()].concat();
        chunk(b"MThd", &data)
    };
    let zeros = fs::File::create(shell.path("zeros.mid")).unwrap();
    zeros.set_len(2 << 30).unwrap();
    fs::write(shell.path("empty.mid"), "").unwrap();
    fs::write(shell.path("text.mid"), "Dear diary").unwrap();
    fs::write(shell.path("header.mid"), header(480)).unwrap();
    let silent = [header(480), chunk(b"MTrk", &[0, 0xff, 0x2f, 0])].concat();
    fs::write(shell.path("silent.mid"), silent).unwrap();
    fs::create_dir(shell.path("nothing")).unwrap();
    for name in ["zeros", "empty", "text", "header", "silent", "none"] {
        shell.refuses(1, &format!("inspect {name}.mid"));
        shell.refuses(1, &format!("tokenize {name}.mid"));
        shell.refuses(1, &format!("train {name}.mid --out run {TINY}"));
        shell.refuses(1, &format!("render {name}.mid --out a.wav"));
        shell.refuses(1, &format!("convert {name}.mid --out a.etude"));
        let prime = format!("generate --model {} --out a.mid --prime {name}.mid", run_folder());
        shell.refuses(1, &prime);
    }
    for command in ["inspect", "tokenize"] {
        shell.refuses(1, &format!("{command} nothing"));
    }
}

#[test]
fn damaged_files_keep_what_came_before_the_damage() {
    let shell = Shell::new();
    let whole = piece(0, 8);
    let head = |division: u16, tempo: [u8; 3], delta: &[u8]| {
        let data = [0u16.to_be_bytes(), 1u16.to_be_bytes(), division.to_be_bytes()].concat();
        let track = [
            &[0, 0xff, 0x51, 3][..],
            &tempo,
            &[0, 0x90, 60, 90],
            delta,
            &[0x80, 60, 0],
            &[0, 0x90, 64, 90],
            delta,
            &[0x80, 64, 0, 0, 0xff, 0x2f, 0],
        ];
        [chunk(b"MThd", &data), chunk(b"MTrk", &track.concat())].concat()
    };
    fs::write(shell.path("cut.mid"), &whole[..whole.len() - 20]).unwrap();
    fs::write(shell.path("division.mid"), head(0, [7, 0xa1, 0x20], &[0x60])).unwrap();
    fs::write(shell.path("tempo.mid"), head(480, [0, 0, 0], &[0x60])).unwrap();
    for name in ["cut", "division", "tempo"] {
        let file = &shell.json(&format!("inspect {name}.mid"))[0]["files"][0];
        assert!(file["notes"].as_u64().unwrap() >= 2, "{name}: {file}");
        assert!(!file["warnings"].as_array().unwrap().is_empty(), "{name}: {file}");
        assert!(file["seconds"].as_f64().unwrap().is_finite());
    }
    // Two deltas of 2^28 − 1 ticks are long but can be counted; a piece that long has too many frames.
    let endless = head(1, [0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0x7f]);
    fs::write(shell.path("endless.mid"), endless).unwrap();
    assert_eq!(shell.json("inspect endless.mid")[0]["files"][0]["notes"], 2);
    shell.refuses(1, "tokenize endless.mid --fps 200");
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf_8_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let shell = Shell::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.mid");
    fs::write(shell.folder.path().join(name), piece(0, 8)).unwrap();
    let ended = ended(shell.command().arg("inspect").arg(name).arg("--json").output().unwrap());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(shell.json("tokenize .")[0]["files"], 1);
}

#[test]
fn music_shorter_than_a_sequence_is_refused_for_training() {
    let shell = Shell::new();
    fs::write(shell.path("one.mid"), piece(0, 1)).unwrap();
    shell.refuses(1, &format!("train one.mid --out run {TINY}"));
    shell.refuses(1, &format!("train one.mid --out run {TINY} --split tail"));
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work() {
    let shell = Shell::new();
    fs::write(shell.path("file"), "").unwrap();
    fs::write(shell.path("a.mid"), piece(0, 8)).unwrap();
    fs::create_dir(shell.path("folder")).unwrap();
    let model = run_folder();
    for out in ["none/x.mid", "file/x.mid", "folder", "/dev/null"] {
        shell.refuses(1, &format!("generate --model {model} --out {out}"));
        shell.refuses(1, &format!("render a.mid --out {out}"));
        shell.refuses(1, &format!("tokenize a.mid --out {out}"));
    }
    if Path::new("/proc").is_dir() {
        let line = shell.refuses(1, &format!("train {} --out /proc/x/y {TINY}", music()));
        assert!(line.contains("/proc takes no files"), "{line}");
        assert!(!line.contains("os error") && !line.contains(".etude"), "{line}");
    }
    shell.refuses(1, "convert a.mid --out none/x.etude");
    shell.refuses(1, &format!("train {} --out file/run {TINY}", music()));
    shell.refuses(1, &format!("train {} --out nowhere {TINY} --resume", music()));
}

/// A limit on the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 200)).unwrap();
    let before = shell.listing();
    let calls = [
        ("1", "render a.mid --out a.wav".to_owned()),
        ("1", "convert a.mid --out a.etude".to_owned()),
        ("1", "tokenize a.mid --fps 100 --out t.json".to_owned()),
        // At the run's own file, and at its first checkpoint: its name stays free.
        ("1", format!("train a.mid --split tail --out run {TINY}")),
        ("32", format!("train {} --out run {TINY}", music()).replace("--hidden 8", "--hidden 64")),
    ];
    // Writing past the limit raises a signal that ends a program, unless it is ignored. Etude asks
    // for the limit before, where it can.
    let signals: &[&str] =
        if cfg!(target_os = "linux") { &["", "trap '' XFSZ; "] } else { &["trap '' XFSZ; "] };
    for ((blocks, words), signal) in
        calls.iter().flat_map(|call| signals.iter().map(move |signal| (call, signal)))
    {
        let script =
            format!("{signal}ulimit -f {blocks}; exec {} {words}", env!("CARGO_BIN_EXE_etude"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        shell.set_up(&mut command);
        let ended = ended(command.output().unwrap());
        assert_eq!(ended.status, 1, "{words}: {}", ended.stderr);
        assert!(error_line(&ended.stderr, words).contains(" — "), "{}", ended.stderr);
        assert_eq!(shell.listing(), before, "{words}");
    }
}

#[test]
fn a_model_that_is_none_is_refused() {
    let shell = Shell::new();
    fs::create_dir(shell.path("empty")).unwrap();
    fs::write(shell.path("text"), "no weights").unwrap();
    fs::write(shell.path("nothing"), "").unwrap();
    for model in ["none", "empty", "text", "nothing"] {
        shell.refuses(1, &format!("generate --model {model} --out a.mid"));
        shell.refuses(1, &format!("evaluate --model {model} {}", music()));
    }
}

#[test]
fn a_checkpoint_that_was_changed_is_refused() {
    let shell = Shell::new();
    let whole = fs::read(TRAINED.join("run/checkpoints/best.safetensors")).unwrap();
    let with = |from: &str, to: &str| {
        // The manifest is JSON inside the JSON of the file's header.
        let (from, to) = (from.replace('"', "\\\""), to.replace('"', "\\\""));
        let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut changed = whole.clone();
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        changed
    };
    fs::write(shell.path("cut"), &whole[..whole.len() / 2]).unwrap();
    fs::write(shell.path("newer"), with("\"format_version\":1", "\"format_version\":9")).unwrap();
    fs::write(shell.path("sizes"), with("\"hidden\":8", "\"hidden\":9")).unwrap();
    for model in ["cut", "newer", "sizes"] {
        shell.refuses(1, &format!("generate --model {model} --out a.mid"));
        shell.refuses(1, &format!("evaluate --model {model} {}", music()));
    }
    let line = shell.refuses(1, "generate --model newer --out a.mid");
    assert!(line.contains("update"), "{line}");
}

#[test]
fn an_exported_model_composes_like_its_run() {
    let shell = Shell::new();
    let run = run_folder();
    let report = &shell.json(&format!("export --model {run} --out model --half"))[0];
    has_fields(report, &["path", "bytes", "parameters"]);
    // Nothing of the run gives way to what can't be trained further.
    let best = format!("{run}/checkpoints/best.safetensors");
    shell.refuses(2, &format!("export --model {run} --out {best}"));
    shell.refuses(2, &format!("export --model {best} --out {best}"));
    let whole = fs::metadata(TRAINED.join("run/checkpoints/best.safetensors")).unwrap().len();
    assert!(report["bytes"].as_u64().unwrap() < whole);
    shell.json("generate --model model --out a.mid --frames 20 --strategy max");
    shell.json(&format!("evaluate --model model {}", music()));
}

#[test]
fn without_a_display_it_says_so_and_names_what_works() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 8)).unwrap();
    let line = shell.refuses(1, "a.mid");
    if cfg!(feature = "studio") {
        assert!(line.contains("DISPLAY") && line.contains("generate"), "{line}");
    }
}

/// A living training keeps others out of its folder; one that was killed doesn't.
#[test]
fn a_run_is_trained_by_one_process_at_a_time() {
    let shell = Shell::new();
    let words = format!("train {} --out run {TINY} --early-stop 0", music());
    let mut child = shell
        .command()
        .args(words.replace("--epochs 2", "--epochs 100000").split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("epoch"));
    for words in [words.as_str(), "train --out run --resume --device cpu"] {
        let line = shell.refuses(1, words);
        assert!(line.contains("run is being trained by another Etude"), "{line}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let n_epochs = fs::read_to_string(shell.path("run/metrics.jsonl")).unwrap().lines().count();
    let resumed = format!("train --out run --resume --device cpu --epochs {}", n_epochs + 2);
    assert!(!shell.json(&resumed).is_empty());
}

/// Reported: two that began together both ended well, and one of them was lost.
#[test]
fn of_two_trainings_that_begin_together_one_is_kept_and_the_other_told() {
    let shell = Shell::new();
    let begin = |seed: u32| {
        let words = format!("train {} --out run {TINY} --early-stop 0 --seed {seed}", music());
        let mut command = shell.command();
        command.args(words.replace("--epochs 2", "--epochs 30").split_whitespace());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ended = [begin(1), begin(2)].map(|child| ended(child.wait_with_output().unwrap()));
    let mut statuses = ended.each_ref().map(|ended| ended.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 1], "{}{}", ended[0].stderr, ended[1].stderr);
    let seed = 1 + u64::from(ended[0].status == 1);
    let run = fs::read_to_string(shell.path("run/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["settings"]["seed"], seed);
    let n_epochs = fs::read_to_string(shell.path("run/metrics.jsonl")).unwrap().lines().count();
    assert_eq!(n_epochs, 30);
}

/// Waits for the first epoch, so that there is something to keep, then interrupts.
#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_learned() {
    let shell = Shell::new();
    let words = format!("train {} --out run {TINY} --early-stop 0 --json", music());
    let words = words.replace("--epochs 2", "--epochs 100000");
    let mut child = shell
        .command()
        .args(words.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("\"epoch\""));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let last: Value = serde_json::from_str(&lines.last().unwrap()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((&last["event"], &last["outcome"]), (&"finished".into(), &"cancelled".into()));
    shell.json("generate --model run --out a.mid --frames 10");
    let n_epochs = fs::read_to_string(shell.path("run/metrics.jsonl")).unwrap().lines().count();
    let more = format!("train --out run --resume --device cpu --epochs {}", n_epochs + 1);
    let resumed = shell.json(&more);
    let last = resumed.last().unwrap();
    assert_eq!((resumed.len(), &last["outcome"]), (2, &"completed".into()), "{resumed:?}");
}

/// However soon the second comes, nothing stays that has learned nothing.
#[cfg(unix)]
#[test]
fn a_second_ctrl_c_leaves_no_empty_run() {
    let shell = Shell::new();
    let words = format!("train {} --out run {TINY}", music()).replace("--hidden 8", "--hidden 512");
    let mut command = shell.command();
    command.args(words.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("computing on")));
    for _ in 0..2 {
        let _may_have_ended =
            Command::new("kill").args(["-INT", &child.id().to_string()]).output().unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(shell.listing().is_empty(), "{:?}", shell.listing());
}

/// Ctrl+C in `etude train … 2>&1 | tee log` ends `tee` as well: the run must be kept all the same.
#[cfg(unix)]
#[test]
fn ctrl_c_counts_when_nobody_reads_any_more() {
    let shell = Shell::new();
    let words = format!("train {} --out run {TINY} --early-stop 0", music());
    let words = words.replace("--epochs 2", "--epochs 100000");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = shell.command();
    command.args(words.split_whitespace());
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    // Its ends of the pipe would keep it open.
    drop(command);
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("epoch ")));
    drop(lines);
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    shell.json("generate --model run --out a.mid --frames 10");
}

#[test]
fn results_and_words_that_nobody_reads_end_quietly() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 4)).unwrap();
    let broken = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for words in ["inspect a.mid", "devices", "inspect a.mid --json", "help"] {
        let mut command = shell.command();
        let ended = ended(command.args(words.split(' ')).stdout(broken()).output().unwrap());
        assert_eq!((ended.status, ended.stderr.as_str()), (1, ""), "{words}");
    }
    // What can't be said on standard error doesn't change how a command ends.
    for (words, status) in [
        (format!("train {} --out run {TINY}", music()), 0),
        ("inspect none.mid".to_owned(), 1),
        ("inspect --none".to_owned(), 2),
    ] {
        let mut command = shell.command();
        command.env("ETUDE_LOG", "debug").args(words.split_whitespace()).stderr(broken());
        assert_eq!(ended(command.output().unwrap()).status, status, "{words}");
    }
}

#[cfg(unix)]
#[test]
fn files_are_as_open_as_the_umask_says() {
    use std::os::unix::fs::PermissionsExt;
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 4)).unwrap();
    let etude = env!("CARGO_BIN_EXE_etude");
    for (umask, out, mode) in
        [("077", "a.etude", 0o600), ("002", "b.etude", 0o664), ("077", "b.etude", 0o664)]
    {
        let mut command = Command::new("sh");
        shell.set_up(&mut command);
        command.args(["-c", &format!("umask {umask}; '{etude}' convert a.mid --out {out}")]);
        let ended = ended(command.output().unwrap());
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        let found = fs::metadata(shell.path(out)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{umask} {out}: {found:o}");
    }
}

/// The folder of a user's own data can be chosen on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn a_soundfont_is_found_by_its_name() {
    let shell = Shell::new();
    fs::write(shell.path("a.mid"), piece(0, 2)).unwrap();
    fs::create_dir_all(shell.path("share/soundfonts/pianos")).unwrap();
    let piano = Path::new(env!("CARGO_MANIFEST_DIR")).join("soundfonts/salamander-grand.sf3");
    fs::copy(piano, shell.path("share/soundfonts/pianos/Grand.sf3")).unwrap();
    let render = |name: &str| {
        let mut command = shell.command();
        command.args(["render", "a.mid", "--out", "a.wav", "--soundfont", name]);
        ended(command.env("XDG_DATA_HOME", shell.path("share")).output().unwrap())
    };
    let found = render("grand");
    assert_eq!(found.status, 0, "{}", found.stderr);
    let missing = render("upright");
    let line = error_line(&missing.stderr, "--soundfont upright");
    let folder = shell.path("share/soundfonts");
    assert!(line.contains("upright") && line.contains(&folder.display().to_string()), "{line}");
    assert_eq!(missing.status, 1);
}

#[test]
fn the_hard_files_are_all_inspected() {
    let Some(data) = common::test_data("the_hard_files_are_all_inspected") else { return };
    let shell = Shell::new();
    let report = shell.json(&format!("inspect {}", data.join("odd-midi").display()));
    let files = report[0]["files"].as_array().unwrap();
    assert!(files.len() > 150, "{}", files.len());
    assert!(files.iter().any(|file| file["error"].is_string()));
    let named = |name: &str| {
        files.iter().find(|file| file["path"].as_str().unwrap().ends_with(name)).unwrap()
    };
    assert_eq!(named("c21_black_midi_60k_events.mid")["notes"], 45_206);
    assert_eq!(named("c14_16_channels_with_drums.mid")["drum_notes"], 4);
}
