//! SoundFonts: SF2 as they are, SF3 expanded while loading.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cancel::CancelToken;

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
    pub name: String,
    // (The audio owner adds the shared rustysynth font.)
    _placeholder: Arc<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error("the audio room's owner replaces this")]
    Placeholder,
}

impl Font {
    /// Loads in isolation: a broken font is an error, never a panic.
    pub fn load(source: &FontSource, cancel: &CancelToken) -> Result<Self, FontError> {
        let _ = (source, cancel);
        todo!()
    }
}

/// SoundFonts in the usual folders of this system.
pub fn system_fonts() -> Vec<PathBuf> {
    todo!()
}
