//! Every key and gesture in one list: the window shows it, and the README has the same table.

use egui::{Key, KeyboardShortcut, ModifierNames};

use super::command::Command;

/// Keys or a gesture, and what they do.
pub type KeyRow = (String, &'static str);

pub struct KeySection {
    pub title: &'static str,
    pub rows: Vec<KeyRow>,
}

/// In the notes' area, with the mouse.
const MOUSE: &[(&str, &str)] = &[
    ("Click a note", "Choose it and hear it"),
    ("Shift-click, Ctrl-click", "Choose more notes, or let go of one"),
    ("Drag a note", "Move it, with all that are chosen"),
    ("Drag an end of a note", "Make it longer or shorter, with all that are chosen"),
    ("Ctrl-drag a note", "Copy it, with all that are chosen"),
    ("Alt while dragging", "Be free of the grid"),
    ("Double-click an empty place", "Add a note as long and strong as the last one, with any tool"),
    ("Drag from an empty place", "Choose notes with a rubber band (Select tool)"),
    ("Shift-drag, Ctrl-drag there", "Choose more notes, or toggle them, with any tool"),
    ("Ctrl+Shift-drag", "Choose notes with a rubber band from anywhere, with any tool"),
    ("Draw tool: click, drag", "Write a note as long as the last one; drag its end"),
    ("Erase tool: click, drag", "Remove the note; remove all that are dragged across"),
    ("Split tool: click, Shift-click", "Cut the note in two; cut all that are chosen"),
    ("Right-click", "Show what can be done there"),
    ("Alt+wheel over a note", "Strike it harder or softer, with all that are chosen"),
    ("Wheel, Shift+wheel", "Scroll up and down, scroll in time"),
    ("Ctrl+wheel, pinch", "Zoom in time to the pointer"),
    ("Ctrl+Shift+wheel", "Zoom in pitch to the pointer"),
    ("Middle-drag", "Move the view"),
    ("Click or drag along the keyboard", "Play"),
];

/// Around the notes' area.
const AROUND: &[(&str, &str)] = &[
    ("Ruler: click, drag", "Place the playhead; go through the piece with sound"),
    ("Ruler: Shift-drag", "Set the stretch that is played again and again; drag its ends"),
    ("Ruler: Ctrl-drag", "Choose the notes that begin in a stretch of time"),
    ("Tempo and meter: click, drag, Delete", "Change a flag, move it, delete it"),
    ("Tempo and meter: right-click", "Set another tempo or meter there"),
    ("Velocities: drag, Shift-drag", "Draw them; draw a straight line"),
    ("Velocities: wheel", "Strike a note harder or softer"),
    ("Pedal: drag, Ctrl-drag", "Draw a stretch; erase"),
    ("Pedal: drag an end, double-click", "Move the end; delete the stretch"),
    ("Overview: drag", "Go elsewhere in the piece"),
];

/// In the notes' area, once it was clicked or reached by Tab.
const ROLL_KEYS: &[(&str, &str)] = &[
    ("Tab, Shift+Tab", "Choose the next note, the one before"),
    ("Left, Right", "Move the chosen notes by a step of the grid; without any, the caret"),
    ("Up, Down", "Move the chosen notes by a semitone; without any, the caret"),
    ("Shift+Up, Shift+Down", "By an octave"),
    ("Ctrl+Left, Ctrl+Right", "By a bar"),
    ("Shift+Left, Shift+Right", "Make the chosen notes shorter or longer by a step of the grid"),
    ("Escape", "Give up what is being dragged; choose nothing; leave the roll"),
];

const ELSEWHERE: &[(&str, &str)] = &[
    ("Tab, Shift+Tab", "To the next control, to the one before; Enter presses it"),
    ("Ctrl+plus, Ctrl+minus, Ctrl+0", "Everything larger, smaller, as it was"),
    ("Enter, Escape in a dialog", "Apply, close"),
];

/// All of it. `Ctrl` is the Command key on a Mac.
pub fn key_table() -> Vec<KeySection> {
    let written = |rows: &[(&str, &'static str)]| {
        rows.iter().map(|(keys, what)| ((*keys).to_owned(), *what)).collect()
    };
    vec![
        KeySection { title: "In the roll, with the mouse", rows: written(MOUSE) },
        KeySection { title: "Around the roll, with the mouse", rows: written(AROUND) },
        KeySection { title: "In the roll, with the keyboard", rows: written(ROLL_KEYS) },
        KeySection { title: "Commands", rows: command_rows() },
        KeySection { title: "Everywhere", rows: written(ELSEWHERE) },
    ]
}

fn command_rows() -> Vec<KeyRow> {
    let keys = |command: &Command| {
        let first = command.shortcut()?;
        let all = std::iter::once(first).chain(command.other_shortcuts().iter().copied());
        Some((all.map(|keys| name(&keys)).collect::<Vec<_>>().join(", "), command.label()))
    };
    Command::ALL.iter().filter_map(keys).collect()
}

/// "Ctrl+Shift+Z", alike on every system; signs as they stand on the keys.
fn name(keys: &KeyboardShortcut) -> String {
    let name = keys.format(&ModifierNames::NAMES, false);
    match keys.logical_key {
        key @ (Key::Questionmark | Key::Period) => name.replace(key.name(), key.symbol_or_name()),
        _ => name,
    }
}

/// The table as it stands in the README.
pub fn key_table_markdown() -> String {
    let mut text = String::new();
    for section in key_table() {
        text += &format!("| {} | |\n|---|---|\n", section.title);
        for (keys, what) in section.rows {
            text += &format!("| {keys} | {what} |\n");
        }
        text += "\n";
    }
    text.trim_end().to_owned()
}
