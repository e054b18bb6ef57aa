//! What lasts between starts besides the user's work: the looks, the layout, recent files and the
//! settings of the forms. It may be lost without loss: eframe's storage is no safe place.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ComposeForm, EditForm, StartChoice};
use crate::model::{DeviceChoice, TrainingSettings};
use crate::ui::curves::CurveView;
use crate::ui::dialogs::Folders;
use crate::ui::piano_roll::RollOptions;
use crate::ui::theme::ThemeName;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    pub theme: ThemeName,
    pub shows_library: bool,
    pub shows_compose: bool,
    pub shows_curves: bool,
    /// 0–1.
    pub volume: f32,
    pub repeats: bool,
    /// Whether notes sound when they are clicked, added or moved.
    pub hears_notes: bool,
    /// What the dialogs of the Notes menu were given last.
    pub edits: EditForm,
    pub metronome: bool,
    /// A bar of clicks goes before the music.
    pub count_in: bool,
    /// How large everything is; 1 is the usual size.
    pub ui_scale: f32,
    pub roll: RollOptions,
    pub shows_history: bool,
    pub shows_parts: bool,
    /// Newest first.
    pub recent: Vec<PathBuf>,
    /// What is learned from; empty means the built-in pieces.
    pub library: Vec<PathBuf>,
    /// A SoundFont instead of the built-in piano.
    pub font: Option<PathBuf>,
    pub training: TrainingSettings,
    /// Whether touch was taken from `training` since the library is a set, which says nothing of it.
    pub gave_up_touch: bool,
    /// What a new run goes on from.
    pub start: StartChoice,
    /// What `training` was for a fresh network, while a run goes on from something.
    pub fresh_training: Option<TrainingSettings>,
    pub device: DeviceChoice,
    pub compose: ComposeForm,
    pub curves: CurveView,
    /// Whether Etude's own file dialog is used even where the system has one.
    pub own_file_dialog: bool,
    /// Where files were chosen last.
    pub folders: Folders,
    /// Whether Compose has been pressed once, so that the guidance can go.
    pub has_composed: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            theme: ThemeName::Dark,
            shows_library: true,
            shows_compose: true,
            shows_curves: true,
            volume: 0.8,
            repeats: false,
            hears_notes: true,
            edits: EditForm::default(),
            metronome: false,
            count_in: false,
            ui_scale: 1.0,
            roll: RollOptions::default(),
            shows_history: false,
            shows_parts: false,
            recent: Vec::new(),
            library: Vec::new(),
            font: None,
            training: TrainingSettings::default(),
            gave_up_touch: false,
            start: StartChoice::default(),
            fresh_training: None,
            device: DeviceChoice::Auto,
            compose: ComposeForm::default(),
            curves: CurveView::default(),
            own_file_dialog: false,
            folders: Folders::default(),
            has_composed: false,
        }
    }
}

impl Preferences {
    /// Under this name they stand in eframe's storage, as JSON.
    const KEY: &'static str = "preferences";
    const MOST_RECENT: usize = 10;

    /// What was stored, or the defaults: preferences that can't be read are no reason to stop.
    pub fn load(storage: Option<&dyn eframe::Storage>) -> Self {
        let stored = storage.and_then(|storage| storage.get_string(Self::KEY));
        let Some(stored) = stored else { return Self::default() };
        serde_json::from_str(&stored).unwrap_or_else(|error| {
            tracing::warn!("the preferences can't be read ({error}); the defaults are used");
            Self::default()
        })
    }

    pub fn store(&self, storage: &mut dyn eframe::Storage) {
        match serde_json::to_string(self) {
            Ok(json) => storage.set_string(Self::KEY, json),
            Err(error) => tracing::error!("the preferences can't be written: {error}"),
        }
    }

    /// Puts a file first among the recent ones.
    pub fn remember(&mut self, path: &Path) {
        self.recent.retain(|other| other != path);
        self.recent.insert(0, path.to_owned());
        self.recent.truncate(Self::MOST_RECENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_last() {
        let mut preferences =
            Preferences { theme: ThemeName::HighContrast, ..Preferences::default() };
        preferences.compose.top_k = Some(40);
        let json = serde_json::to_string(&preferences).unwrap();
        assert_eq!(serde_json::from_str::<Preferences>(&json).unwrap(), preferences);
        // An older version's preferences lack fields.
        assert_eq!(serde_json::from_str::<Preferences>("{}").unwrap(), Preferences::default());
    }

    #[test]
    fn recent_files_stand_once_newest_first() {
        let mut preferences = Preferences::default();
        for idx in 0..20 {
            preferences.remember(Path::new(&format!("{idx}.mid")));
        }
        preferences.remember(Path::new("15.mid"));
        assert_eq!(preferences.recent.len(), Preferences::MOST_RECENT);
        assert_eq!(preferences.recent[0], Path::new("15.mid"));
        assert_eq!(preferences.recent[1], Path::new("19.mid"));
    }
}
