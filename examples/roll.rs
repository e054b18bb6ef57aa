//! The piano roll alone in a window, on a made-up piece: to look at it while working on it.
//!
//! `cargo run --example roll`

use etude::editor::{History, Selection};
use etude::music::{Note, Pitch, Score, TempoMap, Tick, Velocity};
use etude::ui::piano_roll::{PianoRollEditor, RollView};
use etude::ui::theme::{Theme, ThemeName};

struct Demo {
    history: History,
    selection: Selection,
    roll: PianoRollEditor,
    theme: Theme,
    secs: f64,
    playing: bool,
    status: String,
}

impl eframe::App for Demo {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let frame_secs = f64::from(ui.input(|input| input.stable_dt.min(0.1)));
        ui.input_mut(|input| {
            if input.consume_key(egui::Modifiers::NONE, egui::Key::Space) {
                self.playing = !self.playing;
            }
            if input.consume_key(egui::Modifiers::COMMAND, egui::Key::Z) {
                self.status = format!("Undone {:?}", self.history.undo());
            }
            if input.consume_key(egui::Modifiers::NONE, egui::Key::F) {
                self.roll.fit_all();
            }
        });
        self.secs += if self.playing { frame_secs } else { 0.0 };
        egui::Panel::bottom("status").show(ui, |ui| ui.label(&self.status));
        egui::CentralPanel::default().frame(egui::Frame::NONE).show(ui, |ui| {
            let view = RollView {
                score: &self.history.score().clone(),
                streaming: None,
                selection: &self.selection,
                playhead_secs: self.secs,
                playing: self.playing,
                theme: &self.theme,
            };
            let out = self.roll.ui(ui, view);
            if let Some(edit) = out.edit {
                self.status = edit.label();
                if let Err(error) = self.history.commit(&edit) {
                    self.status = error.to_string();
                }
            }
            if let Some(status) = out.status {
                self.status = status;
            }
            self.selection = out.selection.unwrap_or_else(|| self.selection.clone());
            self.secs = out.seek_secs.unwrap_or(self.secs);
        });
    }
}

/// A waltz of sorts.
fn piece(n_bars: u32) -> Score {
    let mut notes = Vec::new();
    let mut add = |start: u32, length, pitch: i32, velocity: i32| {
        notes.push(Note {
            start: Tick(start),
            length: Tick(length),
            pitch: Pitch::MIDDLE_C.transposed(pitch).unwrap_or(Pitch::MIDDLE_C),
            velocity: Velocity::saturating(velocity),
            part: 0,
        });
    };
    for bar in 0..n_bars {
        let (start, root) = (bar * 1440, [0, -3, 5, 7][bar as usize % 4]);
        add(start, 460, root - 24, 84);
        for beat in 1..3 {
            for third in [0, 4, 7] {
                add(start + beat * 480, 240, root - 12 + third, 44 + third * 2);
            }
        }
        for step in 0..6 {
            let loud = 30 + (step * 17 + bar * 11) % 97;
            let pitch = root + [12, 16, 19, 16, 24, 19][step as usize];
            add(start + step * 240, 240, pitch, loud as i32);
        }
    }
    let mut score = Score::piano(TempoMap::default(), notes);
    score.meters = vec![etude::music::MeterChange {
        tick: Tick(0),
        meter: etude::music::Meter { numerator: 3, denominator_power: 2 },
    }];
    score
}

fn main() -> eframe::Result {
    let mut words = std::env::args().skip(1);
    let name = match words.next().as_deref() {
        Some("light") => ThemeName::Light,
        Some("contrast") => ThemeName::HighContrast,
        _ => ThemeName::Dark,
    };
    let n_bars = words.next().and_then(|word| word.parse().ok()).unwrap_or(24);
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([1280.0, 720.0]),
        ..Default::default()
    };
    let open = move |creation: &eframe::CreationContext<'_>| {
        let theme = name.theme();
        theme.apply(&creation.egui_ctx);
        let demo = Demo {
            history: History::new(piece(n_bars)),
            selection: Selection::new(),
            roll: PianoRollEditor::default(),
            theme,
            secs: 1.6,
            playing: false,
            status: String::new(),
        };
        Ok(Box::new(demo) as Box<dyn eframe::App>)
    };
    eframe::run_native("Etude roll", options, Box::new(open))
}
