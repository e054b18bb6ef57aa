//! SoundFonts that are installed on this system, and finding one by its name.

use std::path::{Path, PathBuf};

use super::font::{FontError, FontSource};

impl FontSource {
    /// The font a user means: the file of that path, or else, for a bare name, the installed font
    /// whose file is called so, with or without its ending and in any case.
    ///
    /// # Errors
    /// When there is neither; the error names the folders that were looked into.
    pub fn named(path: &Path) -> Result<Self, FontError> {
        Self::named_in(path, font_folders())
    }

    fn named_in(path: &Path, folders: Vec<PathBuf>) -> Result<Self, FontError> {
        // A path with a folder in it is no name: opening it says best what is wrong with it.
        if path.exists() || path.components().count() != 1 {
            return Ok(Self::File(path.to_owned()));
        }
        let name = path.to_string_lossy();
        let is_named = |font: &PathBuf| {
            let parts = [font.file_stem(), font.file_name()];
            let wanted = name.to_lowercase();
            parts.iter().flatten().any(|part| part.to_string_lossy().to_lowercase() == wanted)
        };
        match fonts_in(&folders).into_iter().find(is_named) {
            Some(font) => Ok(Self::File(font)),
            None => Err(FontError::NotInstalled { name: name.into_owned(), folders }),
        }
    }
}

/// SoundFonts in the usual folders of this system, sorted; folders in them are looked into two
/// levels deep.
pub fn system_fonts() -> Vec<PathBuf> {
    fonts_in(&font_folders())
}

fn fonts_in(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut fonts = Vec::new();
    for folder in folders {
        gather_fonts(folder, 2, &mut fonts);
    }
    fonts.sort();
    fonts.dedup();
    fonts
}

fn font_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if cfg!(target_os = "windows") {
        for variable in ["ProgramData", "CommonProgramFiles"] {
            let root = std::env::var_os(variable).map(PathBuf::from);
            folders.extend(root.map(|root| root.join("SoundFonts")));
        }
        folders.push(PathBuf::from(r"C:\soundfonts"));
    } else if cfg!(target_os = "macos") {
        folders.push(PathBuf::from("/Library/Audio/Sounds/Banks"));
    } else {
        for root in ["/usr/share", "/usr/local/share"] {
            for name in ["sounds/sf2", "sounds/sf3", "soundfonts"] {
                folders.push(Path::new(root).join(name));
            }
        }
    }
    if let Some(dirs) = directories::BaseDirs::new() {
        if cfg!(target_os = "macos") {
            folders.push(dirs.home_dir().join("Library/Audio/Sounds/Banks"));
        }
        for name in ["sounds", "soundfonts"] {
            folders.push(dirs.data_local_dir().join(name));
        }
    }
    folders
}

fn gather_fonts(folder: &Path, depth: usize, fonts: &mut Vec<PathBuf>) {
    const MOST: usize = 1_000;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let extension = path.extension().map(|text| text.to_ascii_lowercase());
        let is_font = extension.is_some_and(|text| text == "sf2" || text == "sf3");
        if fonts.len() >= MOST {
            return;
        }
        if is_font && path.is_file() {
            fonts.push(path);
        } else if depth > 0 && path.is_dir() {
            gather_fonts(&path, depth - 1, fonts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_are_found_in_folders_by_their_endings() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        for name in ["b.sf2", "a.SF3", "c.txt", "inner/d.sf2"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut fonts = Vec::new();
        gather_fonts(folder.path(), 1, &mut fonts);
        fonts.sort();
        let expected = ["a.SF3", "b.sf2", "inner/d.sf2"].map(|name| folder.path().join(name));
        assert_eq!(fonts, expected);
        system_fonts();
    }

    #[test]
    fn a_name_means_a_file_first_and_an_installed_font_then() {
        let folder = tempfile::tempdir().unwrap();
        let fonts = folder.path().join("fonts");
        std::fs::create_dir(&fonts).unwrap();
        std::fs::write(fonts.join("Grand Piano.SF2"), "").unwrap();
        let named = |name: &str| FontSource::named_in(Path::new(name), vec![fonts.clone()]);
        for name in ["grand piano", "Grand Piano.sf2", "GRAND PIANO"] {
            let found = FontSource::File(fonts.join("Grand Piano.SF2"));
            assert_eq!(named(name).unwrap(), found, "{name}");
        }
        let file = fonts.join("Grand Piano.SF2");
        let by_path = FontSource::named_in(&file, Vec::new()).unwrap();
        assert_eq!(by_path, FontSource::File(file));
        assert!(matches!(named("none/grand piano").unwrap(), FontSource::File(_)));
        let error = named("upright").unwrap_err().to_string();
        assert!(
            error.contains("upright") && error.contains(&fonts.display().to_string()),
            "{error}"
        );
    }
}
