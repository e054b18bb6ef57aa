//! SoundFonts: SF2 as they are, SF3 expanded while loading.
//!
//! Fonts are untrusted. Their structure is checked before rustysynth sees it ([`super::riff`]),
//! parsing and a test note run where a panic is caught, and a font that gives silence or nonsense
//! is refused. The samples are held once: an SF2 streams from its file, and an SF3's decoded samples
//! are freed one by one while rustysynth takes them over.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustysynth::SoundFont;

use super::riff::{self, Damage, FontLayout, ScanError};
use super::sf3;
use super::synth::Synth;
use super::trims::BUILT_IN_TRIMS;
use crate::cancel::CancelToken;
use crate::files::read_reason;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum FontSource {
    /// The piano in the binary.
    #[default]
    BuiltIn,
    File(PathBuf),
}

/// A loaded font that has played a test note. Cheap to clone.
#[derive(Clone)]
pub struct Font {
    /// What the font calls itself, or else its file's name.
    pub name: String,
    shared: Arc<SoundFont>,
}

impl std::fmt::Debug for Font {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Font").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a font isn't used.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error("the font “{}” can't be read — {}. Choose another SF2 or SF3 file", path.display(), read_reason(source))]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the font “{name}” can't be used — {reason}. Choose another SF2 or SF3 file")]
    Damaged { name: String, reason: String },
    #[error(
        "the font “{name}” can't be used — its test note was silent. Choose another SF2 or SF3 file"
    )]
    Silent { name: String },
    #[error(
        "there is no file and no installed font “{name}” — these folders were looked into: {}. Give the path of an SF2 or SF3 file",
        shown(folders)
    )]
    NotInstalled { name: String, folders: Vec<PathBuf> },
    #[error("loading the font “{name}” was cancelled")]
    Cancelled { name: String },
}

fn shown(folders: &[PathBuf]) -> String {
    let shown: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    shown.join(", ")
}

/// The built-in piano while anyone uses it, so that its 100 MB are never in memory twice.
static BUILT_IN: Mutex<Weak<SoundFont>> = Mutex::new(Weak::new());
const BUILT_IN_NAME: &str = "Salamander Grand Piano";

impl Font {
    /// Loads in isolation: a broken font is an error, never a panic. The built-in piano takes about
    /// 1.4 seconds of one core, shared by all that are free; a second one costs nothing while the
    /// first is in use.
    ///
    /// # Errors
    /// When the file can't be read, isn't a sound SF2 or SF3, plays nothing, or on cancelling.
    pub fn load(source: &FontSource, cancel: &CancelToken) -> Result<Self, FontError> {
        match source {
            FontSource::BuiltIn => {
                let mut kept = BUILT_IN.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(shared) = kept.upgrade() {
                    return Ok(Self { name: BUILT_IN_NAME.to_owned(), shared });
                }
                let bytes = crate::assets::PIANO_SF3;
                let mut font = Self::from_memory(bytes, BUILT_IN_NAME, &BUILT_IN_TRIMS, cancel)?;
                font.name = BUILT_IN_NAME.to_owned();
                *kept = Arc::downgrade(&font.shared);
                Ok(font)
            }
            FontSource::File(path) => {
                let read = |source| FontError::Read { path: path.clone(), source };
                let file = File::open(path).map_err(read)?;
                let metadata = file.metadata().map_err(read)?;
                if !metadata.is_file() {
                    return Err(read(io::Error::other("it isn't a file")));
                }
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let file = BufReader::with_capacity(1 << 16, file);
                match isolated(&name, || load_from(file, metadata.len(), &name, &[], cancel)) {
                    Err(LoadError::Io(source)) => Err(read(source)),
                    Err(LoadError::Font(error)) => Err(error),
                    Ok(font) => Ok(font),
                }
            }
        }
    }

    /// Loads a font that is in memory; `name` is used in messages and when the font has none.
    ///
    /// # Errors
    /// As [`Font::load`].
    pub fn from_bytes(bytes: &[u8], name: &str, cancel: &CancelToken) -> Result<Self, FontError> {
        Self::from_memory(bytes, name, &[], cancel)
    }

    fn from_memory(
        bytes: &[u8],
        name: &str,
        trims: &[i8],
        cancel: &CancelToken,
    ) -> Result<Self, FontError> {
        let load = || load_from(Cursor::new(bytes), bytes.len() as u64, name, trims, cancel);
        isolated(name, load).map_err(|error| match error {
            LoadError::Font(error) => error,
            LoadError::Io(source) => damaged(name, source),
        })
    }

    /// The built-in piano with one of its four layers (velocities 76–102) for all velocities: what
    /// can be played first. `None` when the whole is already there, or on cancelling.
    #[cfg(feature = "studio")]
    pub(crate) fn built_in_preview(cancel: &CancelToken) -> Option<Self> {
        use super::trims::SAMPLES_PER_LAYER;

        /// Composed notes have velocity 100.
        const LAYER: usize = 2;
        // Someone may be loading the whole piano right now: then there's no need to wait.
        if BUILT_IN.try_lock().is_ok_and(|kept| kept.strong_count() > 0) {
            return None;
        }
        let (bytes, name) = (crate::assets::PIANO_SF3, BUILT_IN_NAME);
        let of_layer = |idx: usize| LAYER * SAMPLES_PER_LAYER + idx % SAMPLES_PER_LAYER;
        let trims = &BUILT_IN_TRIMS[of_layer(0)..of_layer(0) + SAMPLES_PER_LAYER];
        let load = || {
            let mut file = Cursor::new(bytes);
            let mut layout = scan(&mut file, bytes.len() as u64, name)?;
            let all = layout.headers.clone();
            for (idx, header) in layout.headers.iter_mut().take(BUILT_IN_TRIMS.len()).enumerate() {
                header.clone_from(all.get(of_layer(idx)).unwrap_or(&all[idx]));
            }
            load_layout(file, layout, name, trims, cancel)
        };
        let mut font = isolated(name, load).ok()?;
        font.name = BUILT_IN_NAME.to_owned();
        Some(font)
    }

    /// Whether it has a drum kit. Percussion isn't played without one: it would sound as piano.
    pub fn has_drums(&self) -> bool {
        self.shared.get_presets().iter().any(|preset| preset.get_bank_number() == 128)
    }

    pub(crate) fn shared(&self) -> &Arc<SoundFont> {
        &self.shared
    }
}

fn damaged(name: &str, reason: impl ToString) -> FontError {
    FontError::Damaged { name: name.to_owned(), reason: reason.to_string() }
}

enum LoadError {
    Io(io::Error),
    Font(FontError),
}

/// Runs what handles untrusted bytes; a panic becomes a refusal.
fn isolated<T>(name: &str, work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(LoadError::Font(damaged(name, "its content makes no sense"))))
}

fn load_from(
    mut file: impl Read + Seek,
    len: u64,
    name: &str,
    trims: &[i8],
    cancel: &CancelToken,
) -> Result<Font, LoadError> {
    let layout = scan(&mut file, len, name)?;
    load_layout(file, layout, name, trims, cancel)
}

fn scan(file: &mut (impl Read + Seek), len: u64, name: &str) -> Result<FontLayout, LoadError> {
    riff::scan(file, len).map_err(|error| match error {
        ScanError::Io(error) => LoadError::Io(error),
        ScanError::Damage(damage) => LoadError::Font(damaged(name, damage)),
    })
}

fn load_layout(
    mut file: impl Read + Seek,
    layout: FontLayout,
    name: &str,
    trims: &[i8],
    cancel: &CancelToken,
) -> Result<Font, LoadError> {
    let refuse = |damage: Damage| LoadError::Font(damaged(name, damage));
    file.seek(SeekFrom::Start(layout.samples_at)).map_err(LoadError::Io)?;
    let cancelled = || LoadError::Font(FontError::Cancelled { name: name.to_owned() });

    let is_compressed = layout.headers.iter().any(riff::SampleHeader::is_compressed);
    let sound_font = if is_compressed || layout.major_version >= 3 {
        let mut bytes = Vec::new();
        file.take(layout.samples_bytes).read_to_end(&mut bytes).map_err(LoadError::Io)?;
        let expanded = sf3::expand(&layout, &bytes, trims, cancel).map_err(refuse)?;
        let sf3::Expanded { headers, samples, samples_bytes } = expanded.ok_or_else(cancelled)?;
        drop(bytes);
        parse(&layout, &headers, samples, samples_bytes, name)?
    } else {
        let mut headers = layout.headers.clone();
        let n_samples = (layout.samples_bytes / 2) as u32;
        headers.iter_mut().for_each(|header| header.confine(n_samples));
        let samples_bytes = 2 * u64::from(n_samples);
        let samples = Cancelling { inner: file, cancel };
        let parsed = parse(&layout, &headers, samples, samples_bytes, name);
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        parsed?
    };

    let own_name = if layout.name.is_empty() { name } else { layout.name.as_str() };
    let font = Font { name: own_name.to_owned(), shared: Arc::new(sound_font) };
    if sounds(&font) {
        Ok(font)
    } else {
        Err(LoadError::Font(FontError::Silent { name: name.to_owned() }))
    }
}

fn parse(
    layout: &FontLayout,
    headers: &[riff::SampleHeader],
    samples: impl Read,
    samples_bytes: u64,
    name: &str,
) -> Result<SoundFont, LoadError> {
    let refuse = |reason: &dyn std::fmt::Display| LoadError::Font(damaged(name, reason));
    let mut stream =
        riff::stream(layout, headers, samples, samples_bytes).map_err(|damage| refuse(&damage))?;
    SoundFont::new(&mut stream).map_err(|error| refuse(&error))
}

/// A reader that ends in an error once cancelled.
struct Cancelling<'a, R> {
    inner: R,
    cancel: &'a CancelToken,
}

impl<R: Read> Read for Cancelling<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        // Pieces, so that cancelling is noticed inside one large read.
        let n_bytes = out.len().min(1 << 20);
        self.inner.read(&mut out[..n_bytes])
    }
}

/// Plays middle C, then some other keys, until one of them sounds. Nonsense (not a number, or a
/// panic inside) refuses the font at once.
fn sounds(font: &Font) -> bool {
    const KEYS: [u8; 9] = [60, 69, 48, 36, 40, 80, 24, 96, 100];
    let (mut left, mut right) = ([0.0; 64], [0.0; 64]);
    for key in KEYS {
        let Ok(mut synth) = Synth::new(font, 44_100) else { return false };
        synth.note_on(0, key, 100);
        let mut peak = 0f32;
        for _ in 0..400 {
            if !synth.render(&mut left, &mut right) {
                return false;
            }
            for sample in left.iter().chain(&right) {
                if !sample.is_finite() {
                    return false;
                }
                peak = peak.max(sample.abs());
            }
            if peak > 1e-3 {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_piano_is_decoded_whole_and_nothing_clips() {
        let font = Font::load(&FontSource::BuiltIn, &CancelToken::new()).unwrap();
        let headers = font.shared.get_sample_headers();
        assert_eq!(headers.len(), BUILT_IN_TRIMS.len());
        for header in headers {
            // The file's loops begin and end eight samples inside what was encoded.
            let front = header.get_start_loop() - header.get_start();
            let back = header.get_end() - header.get_end_loop();
            assert_eq!((front, back), (8, 8), "{}", header.get_name());
        }
        assert!(font.shared.get_wave_data().iter().all(|x| x.unsigned_abs() < 32_767));

        assert!(Font::built_in_preview(&CancelToken::new()).is_none());
        // Asked for again, it is the same.
        let again = Font::load(&FontSource::BuiltIn, &CancelToken::new()).unwrap();
        assert!(Arc::ptr_eq(&font.shared, &again.shared));
    }
}
