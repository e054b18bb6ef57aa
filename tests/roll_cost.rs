//! What a frame of the roll costs: counted in corners of triangles, which no busy machine changes.
#![cfg(feature = "studio")]

use std::sync::Arc;

use egui::epaint::Primitive;
use etude::editor::Selection;
use etude::music::{Note, Pitch, Score, TempoMap, Tick, Velocity};
use etude::ui::piano_roll::{Follow, PianoRollEditor, RollView};
use etude::ui::theme::ThemeName;

/// A frame of 100,000 corners takes some 2 ms to lay out and to tessellate.
const MAX_CORNERS: usize = 100_000;

#[test]
fn a_frame_of_a_long_piece_is_bounded_at_any_zoom() {
    let score = long_score(200_000);
    let nothing = Selection::new();
    let all = Selection::all(&score);
    for (zoom, selection) in
        [(1.0, &nothing), (1.0, &all), (4.0, &nothing), (12.0, &nothing), (400.0, &nothing)]
    {
        let mut roll = PianoRollEditor::default();
        roll.options.follow = Follow::Off;
        roll.fit_all();
        let context = egui::Context::default();
        frame(&context, &mut roll, &score, selection);
        roll.zoom(zoom);
        let n_corners = frame(&context, &mut roll, &score, selection);
        assert!(n_corners > 1_000, "there are notes");
        assert!(n_corners < MAX_CORNERS, "{n_corners} at {zoom} times");
    }
}

/// Draws a frame of 1,920 × 1,080 points; returns how many corners its triangles have.
fn frame(
    context: &egui::Context,
    roll: &mut PianoRollEditor,
    score: &Arc<Score>,
    selection: &Selection,
) -> usize {
    let size = egui::vec2(1_920.0, 1_080.0);
    let input = egui::RawInput {
        screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
        ..egui::RawInput::default()
    };
    let theme = ThemeName::Dark.theme();
    let mut output = context.run_ui(input, |ui| {
        let view = RollView {
            score,
            streaming: None,
            selection,
            playhead_secs: 1.0,
            playing: true,
            theme: &theme,
        };
        egui::CentralPanel::default().frame(egui::Frame::NONE).show(ui, |ui| roll.ui(ui, view));
    });
    // Dropping what should go to a graphics card is an error for egui.
    output.textures_delta.clear();
    let shapes = context.tessellate(output.shapes, output.pixels_per_point);
    let corners = shapes.iter().map(|clipped| match &clipped.primitive {
        Primitive::Mesh(mesh) => mesh.vertices.len(),
        Primitive::Callback(_) => 0,
    });
    corners.sum()
}

fn long_score(n: u32) -> Arc<Score> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32 % below
    };
    let notes = (0..n).map(|idx| Note {
        start: Tick(idx / 3 * 360),
        length: Tick(120 + next(900)),
        pitch: Pitch::new(30 + (idx % 3) as u8 * 20 + next(19) as u8).unwrap(),
        velocity: Velocity::saturating(40 + next(70) as i32),
        part: 0,
    });
    Arc::new(Score::piano(TempoMap::default(), notes.collect()))
}
