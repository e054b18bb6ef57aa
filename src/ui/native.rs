//! Opening the window of the system, and asking the system to open a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::app::{App, Setup};
use super::dialogs::DialogKind;
use super::state::Preferences;
use super::theme::{SPACE, ThemeName};
use crate::audio::Player;
use crate::files::data_dir;
use crate::studio::Studio;

/// The name windows are grouped under and preferences are kept under.
const APP_ID: &str = "etude";

/// The longest that an edit waits until it is kept against a crash. `ETUDE_AUTOSAVE_SECS`
/// overrides it, for tests.
const AUTOSAVE: Duration = Duration::from_secs(10);

fn autosave_interval() -> Duration {
    let asked = std::env::var("ETUDE_AUTOSAVE_SECS").ok();
    let asked = asked.and_then(|secs| Duration::try_from_secs_f64(secs.parse().ok()?).ok());
    asked.unwrap_or(AUTOSAVE)
}

/// Opens the window and returns when it is closed.
pub fn run(file: Option<PathBuf>) -> Result<(), String> {
    let viewport = egui::ViewportBuilder::default()
        .with_app_id(APP_ID)
        .with_title("Etude")
        .with_inner_size([1280.0, 720.0])
        .with_min_inner_size([800.0, 480.0])
        .with_icon(icon());
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: true,
        persistence_path: Some(data_dir().join("window.ron")),
        ..eframe::NativeOptions::default()
    };
    let create = move |creation: &eframe::CreationContext<'_>| {
        let ctx = creation.egui_ctx.clone();
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || ctx.request_repaint());
        let setup = Setup {
            studio: Studio::new(Arc::clone(&wake)),
            player: Player::open(Arc::clone(&wake)),
            wake,
            data_dir: data_dir(),
            clock: SystemTime::now,
            dialogs: DialogKind::System,
            recovery_after: autosave_interval(),
            preferences: Preferences::load(creation.storage),
            file,
        };
        note_first_frame(&creation.egui_ctx);
        let app: Box<dyn eframe::App> = Box::new(App::new(&creation.egui_ctx, setup));
        Ok(app)
    };
    eframe::run_native(APP_ID, options, Box::new(create)).map_err(|error| {
        format!("no window can be opened: {error} — start Etude from a desktop with OpenGL")
    })
}

/// Notes when the window first showed something; `benches/compare` waits for these words.
fn note_first_frame(ctx: &egui::Context) {
    let note = |ctx: &mut egui::Ui| match ctx.cumulative_frame_nr() {
        0 => ctx.request_repaint(),
        // A frame has been painted when the next begins.
        1 => tracing::debug!("the first frame is painted"),
        _ => {}
    };
    ctx.on_begin_pass("first frame", Arc::new(note));
}

/// A quarter note on a dark ground, painted: 64 × 64 pixels.
fn icon() -> egui::IconData {
    const SIZE: usize = 64;
    let theme = ThemeName::Dark.theme();
    let mut rgba = Vec::with_capacity(SIZE * SIZE * 4);
    for y in 0..SIZE {
        for x in 0..SIZE {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            // The head leans like a written one.
            let (along, across) = ((x - 26.0) + (y - 46.0) * -0.35, (y - 46.0) + (x - 26.0) * 0.35);
            let is_head = (along / 13.0).powi(2) + (across / 9.0).powi(2) < 1.0;
            let is_stem = (36.0..40.0).contains(&x) && (12.0..44.0).contains(&y);
            let corner = (x - 32.0).abs().max((y - 32.0).abs()) > 31.0 - SPACE / 8.0;
            let color = if is_head || is_stem { theme.accent } else { theme.panel };
            let [red, green, blue, alpha] = color.to_array();
            rgba.extend([red, green, blue, if corner { 0 } else { alpha }]);
        }
    }
    egui::IconData { rgba, width: SIZE as u32, height: SIZE as u32 }
}

/// Shows a file in whatever program the system has for it.
pub fn open_with_system(path: &Path) -> std::io::Result<()> {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    if !path.exists() {
        return Err(std::io::Error::other("nothing has been noted yet"));
    }
    let mut child = std::process::Command::new(program).arg(path).spawn()?;
    // Nobody waits for the viewer, but a child that ended must be collected.
    std::thread::Builder::new().name("viewer".to_owned()).spawn(move || child.wait())?;
    Ok(())
}
