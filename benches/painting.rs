//! One frame of the piano roll, laid out and tessellated, with every note in view.
//! `cargo bench --bench painting`

mod common;

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use etude::editor::Selection;
use etude::ui::piano_roll::{Follow, PianoRollEditor, RollView};
use etude::ui::theme::{Theme, ThemeName};

fn main() {
    divan::main();
}

/// Every note in view, one rectangle each at least.
#[divan::bench]
fn ten_thousand_notes_in_view(bencher: Bencher) {
    let mut window = Window::new(10_000);
    bencher.counter(ItemsCount::new(10_000u32)).bench_local(move || window.frame());
}

/// A long piece: whole, a few minutes of it, and a few bars. The zoom is by how much closer one
/// looks than at the whole.
#[divan::bench(args = [1.0, 12.0, 400.0])]
fn of_200_000_notes(bencher: Bencher, zoom: f32) {
    let mut window = Window::new(200_000);
    window.roll.zoom(zoom);
    // What is worked out once for a distance is no part of a frame.
    window.frame();
    bencher.bench_local(move || window.frame());
}

/// The same with everything selected.
#[divan::bench]
fn of_200_000_selected_notes(bencher: Bencher) {
    let mut window = Window::new(200_000);
    window.selection = Selection::all(&window.score);
    window.frame();
    bencher.bench_local(move || window.frame());
}

/// A window without a screen, 1,920 × 1,080 points.
struct Window {
    context: egui::Context,
    roll: PianoRollEditor,
    score: Arc<etude::music::Score>,
    selection: Selection,
    theme: Theme,
    secs: f64,
}

impl Window {
    fn new(n_notes: u32) -> Self {
        let mut roll = PianoRollEditor::default();
        roll.options.follow = Follow::Off;
        roll.fit_all();
        let mut window = Self {
            context: egui::Context::default(),
            roll,
            score: Arc::new(common::score(n_notes, 1)),
            selection: Selection::default(),
            theme: ThemeName::Dark.theme(),
            secs: 0.0,
        };
        // The first frames look the piece through and make the letters' texture.
        for _ in 0..3 {
            window.frame();
        }
        window
    }

    /// The playhead moves, as it does while the music plays.
    fn frame(&mut self) -> usize {
        self.secs += 1.0 / 60.0;
        let size = egui::vec2(1_920.0, 1_080.0);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            ..egui::RawInput::default()
        };
        let (roll, secs) = (&mut self.roll, self.secs);
        let view = || RollView {
            score: &self.score,
            streaming: None,
            selection: &self.selection,
            playhead_secs: secs,
            playing: true,
            theme: &self.theme,
        };
        let mut output = self.context.run_ui(input, |ui| {
            egui::CentralPanel::default()
                .frame(egui::Frame::NONE)
                .show(ui, |ui| roll.ui(ui, view()));
        });
        // Dropping what should go to a graphics card is an error for egui.
        output.textures_delta.clear();
        self.context.tessellate(output.shapes, output.pixels_per_point).len()
    }
}
