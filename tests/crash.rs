//! The program is killed at random moments; what was done longer ago than the autosave interval
//! is there when it is started again.
//!
//! Two programs are killed. One is this test itself, started again as a child that drives the
//! window without a display: it makes random edits and says when each was made. The other is the
//! real `etude`, under a virtual display and with keys from xdotool, where both are installed.
#![cfg(all(feature = "studio", unix))]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable as _;
use etude::editor::{Project, ScoreEdit};
use etude::music::{Note, Pitch, Score, Tick, Velocity};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Set for the child: the folder it works on, and the seed of its edits.
const FOLDER: &str = "ETUDE_CRASH_FOLDER";
const SEED: &str = "ETUDE_CRASH_SEED";

/// How long an edit may wait until it is on the disk.
const INTERVAL: Duration = Duration::from_millis(600);

/// A random edit that depends on nothing but the score and the numbers drawn.
fn random_edit(score: &Score, rng: &mut ChaCha8Rng) -> ScoreEdit {
    let notes = score.notes();
    let start = Tick(rng.random_range(0..200_000));
    let pitch = Pitch::new(rng.random_range(21..=108)).unwrap();
    let velocity = Velocity::new(rng.random_range(1..=127)).unwrap();
    let new = Note { start, length: Tick(rng.random_range(1..2_000)), pitch, velocity, part: 0 };
    let kind = rng.random_range(0..4);
    if notes.len() < 8 || kind < 2 {
        return ScoreEdit::Add { notes: vec![new] };
    }
    let old = notes[rng.random_range(0..notes.len())];
    match kind {
        2 => ScoreEdit::Delete { notes: vec![old] },
        _ => {
            let moved = Note { start, pitch, ..old };
            ScoreEdit::Replace { pairs: vec![(old, moved)], label: "Move" }
        }
    }
}

/// The child. In the list of tests it does nothing.
#[test]
fn child_that_edits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    // Without a seed it only restores.
    let seed = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    work(Path::new(&folder), seed);
}

/// Restores what was left behind, shows it to the parent, and edits for ever.
fn work(folder: &Path, seed: Option<u64>) {
    let begun = Instant::now();
    let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(|| {});
    let mut harness =
        common::window::harness(folder, None, common::window::preferences(), INTERVAL, wake);
    let step = |harness: &mut egui_kittest::Harness<'static, etude::ui::App>| {
        // The window's clock is the real one, as it is on a screen.
        harness.input_mut().time = Some(begun.elapsed().as_secs_f64());
        harness.step();
    };
    // The list of takes is read beside the unsaved work: both are there at last.
    let looked_until = Instant::now() + Duration::from_secs(30);
    let is_expected = folder.join("expected").exists();
    while is_expected && harness.state().state.unfinished.is_empty() {
        assert!(Instant::now() < looked_until, "nothing is offered");
        step(&mut harness);
    }
    if is_expected {
        step(&mut harness);
        say("offered");
        // The newest stands first, above what was found after the kills before.
        harness.query_all_by_label_contains("Restore").next().unwrap().click();
        while !harness.state().state.document.is_unsaved() {
            assert!(harness.state().state.alert.is_none(), "{:?}", harness.state().state.alert);
            assert!(Instant::now() < looked_until, "nothing is restored");
            step(&mut harness);
        }
    }
    let score = Score::clone(harness.state().state.document.history.score());
    Project::new(score).write(&folder.join("seen.etude")).unwrap();
    say("ready");
    let Some(seed) = seed else {
        loop {
            step(&mut harness);
        }
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pauses = ChaCha8Rng::seed_from_u64(seed + 1);
    loop {
        let document = &mut harness.state_mut().state.document;
        let edit = random_edit(document.history.score(), &mut rng);
        document.commit(&edit).unwrap();
        say("edit");
        let until = Instant::now() + Duration::from_millis(pauses.random_range(0..60));
        loop {
            step(&mut harness);
            if Instant::now() >= until {
                break;
            }
        }
    }
}

/// One word for the parent, at once. It stands in a line of its own: the test runner has begun one.
fn say(word: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _gone = write!(out, "\n@{word}\n").and_then(|()| out.flush());
}

/// A child, and what it says with the moment it was heard.
struct Running {
    child: Child,
    heard: Receiver<(String, Instant)>,
}

impl Running {
    fn start(folder: &Path, seed: Option<u64>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_edits_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder)
            .envs(seed.map(|seed| (SEED, seed.to_string())))
            .env("ETUDE_CACHE_DIR", folder.join("cache"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, heard) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(word) = line.strip_prefix('@') {
                    let _ended = sender.send((word.to_owned(), Instant::now()));
                }
            }
        });
        Self { child, heard }
    }

    /// Waits for a word.
    fn hear(&self, wanted: &str) -> Instant {
        loop {
            let (word, when) = self.heard.recv_timeout(Duration::from_secs(60)).expect(wanted);
            if word == wanted {
                return when;
            }
        }
    }

    /// Lets it work for a while, kills it, and returns when it made its edits and when it died.
    fn kill_after(mut self, pause: Duration) -> (Vec<Instant>, Instant) {
        let until = Instant::now() + pause;
        let mut edits = Vec::new();
        while let Ok((word, when)) =
            self.heard.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if word == "edit" {
                edits.push(when);
            }
        }
        // SIGKILL: nothing of the child runs any more.
        let killed = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        edits.extend(self.heard.iter().filter(|(word, _)| word == "edit").map(|(_, when)| when));
        (edits, killed)
    }
}

/// A test that fails leaves nobody behind who edits for ever.
impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The score after so many of the edits of a seed, for every number up to `most`.
fn states(first: &Score, seed: u64, most: usize) -> Vec<Score> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut states = vec![first.clone()];
    for _ in 0..most {
        let last = states.last().unwrap();
        let next = random_edit(last, &mut rng).apply(last).unwrap();
        states.push(next);
    }
    states
}

#[test]
fn every_edit_older_than_the_interval_survives_a_kill() {
    let rounds = if common::slow_tests("30 kills instead of 3") { 40 } else { 3 };
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen.etude");
    let mut rng = ChaCha8Rng::seed_from_u64(rounds);
    // What the last child did: the score it began with, its seed, and how many edits must be there.
    let mut last: Option<(Score, u64, usize, usize)> = None;
    let (mut n_edits, mut n_lost, mut n_in_recovery) = (0, 0, 0);
    // The last one only looks at what the one before left.
    for seed in 0..=rounds {
        if last.is_some() && seed % 3 == 2 {
            // Killed while it starts and restores: nothing may change by that.
            let running = Running::start(folder.path(), None);
            running.hear("offered");
            running.kill_after(Duration::from_millis(rng.random_range(0..200)));
            n_in_recovery += 1;
        }
        let running = Running::start(folder.path(), Some(seed));
        running.hear("ready");
        let found = Project::read(&seen).unwrap().score;
        if let Some((first, seed, needed, most)) = last.take() {
            let states = states(&first, seed, most);
            let count = states.iter().rposition(|state| *state == found);
            let count = count.unwrap_or_else(|| panic!("round {seed}: no state is what was found"));
            assert!(count >= needed, "round {seed}: {count} of {most}, {needed} are old enough");
            n_edits += most;
            n_lost += most - count;
        }
        let (edits, killed) =
            running.kill_after(Duration::from_millis(rng.random_range(700..2_000)));
        let is_old = |edit: &&Instant| killed.duration_since(**edit) > INTERVAL;
        let needed = edits.iter().filter(is_old).count();
        std::fs::write(folder.path().join("expected"), "").unwrap();
        // One more may have been made than was said.
        last = Some((found, seed, needed, edits.len() + 1));
    }
    println!(
        "{rounds} kills while editing and {n_in_recovery} while restoring, {n_edits} edits; \
         {n_lost} younger than {INTERVAL:?} are gone, no older one"
    );
}

/// The real program on a virtual display, with a keyboard and a mouse.
struct Screen {
    display: String,
    server: Child,
}

impl Screen {
    /// `None` where a program for it isn't installed.
    fn open(test: &str) -> Option<Self> {
        for program in ["Xvfb", "xdotool"] {
            let path = std::env::var_os("PATH").unwrap_or_default();
            if !std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
                println!("skipped: {test} ({program} is not installed)");
                return None;
            }
        }
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-screen", "0", "1280x720x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Some(Self { display: format!(":{}", number.trim()), server })
    }

    fn xdotool(&self, words: &str) -> String {
        let tool = Command::new("xdotool")
            .args(words.split(' '))
            .env("DISPLAY", &self.display)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&tool.stdout).trim().to_owned()
    }

    fn start(&self, folder: &Path) -> Program<'_> {
        let child = Command::new(env!("CARGO_BIN_EXE_etude"))
            .env("DISPLAY", &self.display)
            .env("HOME", folder)
            .env("ETUDE_DATA_DIR", folder.join("data"))
            .env("ETUDE_CACHE_DIR", folder.join("cache"))
            .env("ETUDE_AUTOSAVE_SECS", PROGRAM_INTERVAL.as_secs_f64().to_string())
            .env_remove("WAYLAND_DISPLAY")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Program { screen: self, child }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _gone = self.server.wait();
    }
}

struct Program<'a> {
    screen: &'a Screen,
    child: Child,
}

impl Program<'_> {
    /// Presses these keys until the title tells of unsaved work. Without a window manager the
    /// focus must come from somewhere else for the window to notice it.
    fn press_until_unsaved(&self, keys: &[&str]) {
        let start = Instant::now();
        let root = self.screen.xdotool("search --maxdepth 0 .*");
        loop {
            assert!(start.elapsed() < Duration::from_secs(120), "the window answers to no key");
            let window = self.screen.xdotool("search --onlyvisible --name Etude");
            if self.screen.xdotool(&format!("getwindowname {window}")).starts_with('•') {
                return;
            }
            self.screen.xdotool(&format!("windowfocus {root} windowfocus {window}"));
            for key in keys {
                self.screen.xdotool(key);
                pause(Duration::from_millis(300));
            }
        }
    }

    /// Selects all notes and moves them until that is seen: right after the start a busy machine
    /// may miss a click.
    fn take_hold_of_all(&self, has_moved: impl Fn() -> bool) {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < Duration::from_secs(120), "no key moves the notes");
            for key in [CLICK, "key ctrl+a", "key Right"] {
                self.screen.xdotool(key);
                pause(Duration::from_millis(300));
            }
            let pressed = Instant::now();
            while pressed.elapsed() < PROGRAM_INTERVAL * 3 {
                if has_moved() {
                    return;
                }
                pause(Duration::from_millis(50));
            }
        }
    }

    fn kill(mut self) -> Instant {
        let killed = Instant::now();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        killed
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Another program is watched: there is nothing to wait for but time.
fn pause(time: Duration) {
    let (_sender, nothing) = channel::<()>();
    let _passed = nothing.recv_timeout(time);
}

/// Where the first note stands in what is kept on the disk.
fn first_start(folder: &Path) -> Option<u32> {
    let sessions = std::fs::read_dir(folder.join("data/sessions")).ok()?;
    let mut found =
        sessions.filter_map(|entry| Project::read(&entry.ok()?.path().join("project.etude")).ok());
    let start = found.next()?.score.notes().first()?.start.0;
    assert!(found.next().is_none(), "there is more than one session");
    Some(start)
}

const PROGRAM_INTERVAL: Duration = Duration::from_millis(2_000);

/// From the key to the edit: a frame of a program that isn't optimized, on a busy machine.
const KEY_TO_EDIT: Duration = Duration::from_millis(500);

/// Among the notes. With pauses: the roll takes the keys only from a press that lasts longer than a
/// frame.
const CLICK: &str = "mousemove 640 300 sleep 0.2 mousedown 1 sleep 0.1 mouseup 1";

#[test]
fn the_real_program_keeps_what_was_written_when_it_is_killed() {
    let name = "30 kills of the real program";
    if !common::slow_tests(name) {
        return;
    }
    let Some(screen) = Screen::open(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut n_keys, mut n_young) = (0, 0);
    // Where the first note must stand at least when the program is there again.
    let mut kept: Option<u32> = None;
    let mut step = None;
    for round in 0..31 {
        println!("round {round}: {n_keys} keys, {n_young} gone");
        let program = screen.start(folder.path());
        match kept {
            None => program.press_until_unsaved(&[CLICK, "key ctrl+a", "key Right"]),
            // Enter is Restore.
            Some(_) => program.press_until_unsaved(&["key Return"]),
        }
        pause(PROGRAM_INTERVAL);
        let from = first_start(folder.path()).unwrap();
        assert!(kept.is_none_or(|kept| from == kept), "round {round}: {from} instead of {kept:?}");
        // All notes go to the right by one step of the grid, whatever that is here.
        program.take_hold_of_all(|| first_start(folder.path()).unwrap() != from);
        let base = first_start(folder.path()).unwrap();
        let step = *step.get_or_insert(base - from);
        assert!((base - from).is_multiple_of(step), "round {round}: {from} to {base} by {step}");
        let until = Instant::now() + Duration::from_millis(rng.random_range(500..6_000));
        let mut sent = Vec::new();
        while Instant::now() < until {
            screen.xdotool("key Right");
            sent.push(Instant::now());
            pause(Duration::from_millis(rng.random_range(10..200)));
        }
        let killed = program.kill();
        let is_old = |key: &&Instant| **key + PROGRAM_INTERVAL + KEY_TO_EDIT < killed;
        let needed = sent.iter().filter(is_old).count();
        let start = first_start(folder.path()).unwrap();
        let found = ((start - base) / step) as usize;
        assert!(found >= needed, "round {round}: {found} of {} keys, {needed} needed", sent.len());
        n_keys += sent.len();
        n_young += sent.len() - found;
        kept = Some(start);
    }
    println!(
        "31 kills of the real program, {n_keys} keys; {n_young} younger than {PROGRAM_INTERVAL:?} \
         are gone, no older one"
    );
}
