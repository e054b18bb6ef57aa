//! The curves as a table and as a picture.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use egui::{ColorImage, Context, Rect};

use crate::model::EpochPoint;
use crate::ui::state::State;
use crate::ui::widgets::file_name;

/// The run in the window and those drawn with it, a line per epoch, as comma-separated values.
pub fn csv(state: &State) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let training = &state.training;
    let current = training.run_dir.as_ref().map(|path| (path, training.epochs.as_slice()));
    let is_current = |path: &PathBuf| training.run_dir.as_ref() == Some(path);
    let drawn = state.runs.iter().filter(|run| {
        let shows_nothing = current.is_none() && state.preferences.curves.runs.is_empty();
        !is_current(&run.path)
            && (shows_nothing || state.preferences.curves.runs.contains(&run.path))
    });
    let runs = current.into_iter().chain(drawn.map(|run| (&run.path, run.metrics.as_slice())));
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (path, epochs) in runs {
        let name = file_name(path);
        rows.extend(epochs.iter().map(|point| row(&name, point)));
    }
    for row in rows {
        // Rows of one length written to memory can't fail.
        if let Err(error) = writer.write_record(row) {
            tracing::error!("a row of the curves can't be written: {error}");
        }
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

const HEAD: [&str; 13] = [
    "run",
    "epoch",
    "train_loss",
    "train_perplexity",
    "train_accuracy",
    "valid_loss",
    "valid_perplexity",
    "valid_accuracy",
    "valid_velocity_loss",
    "valid_pedal_loss",
    "learning_rate",
    "frames_per_second",
    "seconds",
];

/// Empty where nothing was measured: before the first epoch of what a run goes on from, and of touch
/// where it isn't learned.
fn row(name: &str, point: &EpochPoint) -> [String; 13] {
    let learned = |value: f64| if point.epoch == 0 { String::new() } else { value.to_string() };
    let of_touch = |value: Option<f64>| value.map(|it| it.to_string()).unwrap_or_default();
    [
        name.to_owned(),
        point.epoch.to_string(),
        learned(point.train_loss),
        learned(point.train_perplexity),
        learned(point.train_accuracy),
        point.valid_loss.to_string(),
        point.valid_perplexity.to_string(),
        point.valid_accuracy.to_string(),
        of_touch(point.valid_velocity_loss),
        of_touch(point.valid_pedal_loss),
        point.learning_rate.to_string(),
        point.frames_per_second.to_string(),
        point.seconds.to_string(),
    ]
}

/// A picture of the panel, asked of the window and cut out of it.
#[derive(Default)]
pub struct Picture {
    /// Where the panel was drawn last, in points.
    rect: Option<Rect>,
    /// Where it is to be written, and how many frames to wait until menus and dialogs are gone.
    wanted: Option<(PathBuf, usize)>,
    taken: Arc<Mutex<Option<Shot>>>,
}

/// The picture of the window with what to cut out.
pub struct Shot {
    pub out: PathBuf,
    image: Arc<ColorImage>,
    /// In pixels: left, top, right, bottom.
    area: [usize; 4],
}

impl Picture {
    /// Frames until a dialog that has just been closed has faded away.
    const FRAMES_TO_WAIT: usize = 20;

    pub fn request(&mut self, ctx: &Context, out: PathBuf) {
        self.wanted = Some((out, Self::FRAMES_TO_WAIT));
        ctx.request_repaint();
    }

    /// The panel was drawn here; asks for the picture when the time has come.
    pub fn see(&mut self, ctx: &Context, rect: Rect) {
        self.rect = Some(rect);
        let Some((out, n_frames)) = &mut self.wanted else { return };
        if *n_frames > 0 {
            *n_frames -= 1;
            ctx.request_repaint();
            return;
        }
        let (out, scale) = (out.clone(), ctx.pixels_per_point());
        self.wanted = None;
        let (taken, wake) = (Arc::clone(&self.taken), ctx.clone());
        let callback = egui::ScreenshotCallback::new(move |image: Arc<ColorImage>| {
            let area = [rect.left(), rect.top(), rect.right(), rect.bottom()];
            let area = area.map(|points| (points * scale).round().max(0.0) as usize);
            let shot = Shot { out, image, area };
            *taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(shot);
            wake.request_repaint();
        });
        ctx.send_viewport_cmd(egui::ViewportCommand::Screenshot(callback));
    }

    pub fn take(&mut self) -> Option<Shot> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Shot {
    /// The cut-out as the bytes of a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let [image_width, image_height] = self.image.size;
        let [left, top, right, bottom] = self.area;
        let (right, bottom) = (right.min(image_width), bottom.min(image_height));
        if left >= right || top >= bottom {
            return Err("the curves are outside the window".to_owned());
        }
        let mut bytes = Vec::with_capacity((right - left) * (bottom - top) * 4);
        for y in top..bottom {
            let row = &self.image.pixels[y * image_width + left..y * image_width + right];
            bytes.extend(row.iter().flat_map(|pixel| pixel.to_array()));
        }
        encode(&bytes, (right - left) as u32, (bottom - top) as u32)
            .map_err(|error| error.to_string())
    }
}

fn encode(rgba: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgba)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_holds_what_was_cut_out() {
        let mut image = ColorImage::filled([4, 3], egui::Color32::BLACK);
        image[(2, 1)] = egui::Color32::WHITE;
        let shot = |area| Shot { out: PathBuf::new(), image: Arc::new(image.clone()), area };
        let png = shot([2, 1, 9, 9]).png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2, 2));
        assert_eq!(pixels[..8], [255, 255, 255, 255, 0, 0, 0, 255]);
        assert!(shot([4, 0, 9, 9]).png().is_err());
    }
}
