//! What is learned from: choosing it, and what was read.

use egui::{CollapsingHeader, RichText, Ui};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::state::{Coverage, State};
use super::theme::Theme;
use super::widgets::{
    command_button, counted, duration, file_name, grouped, hint, problem, progress, title,
};
use crate::tokens::{Music, Skipped};

pub fn ui(ui: &mut Ui, theme: &Theme, state: &State, actions: &mut Actions) {
    title(ui, "Library");
    let library = &state.library;
    let paths = library.paths.iter().map(|path| path.display().to_string());
    let tooltip = match library.paths.as_slice() {
        [] => "Short classical pieces that come with Etude".to_owned(),
        _ => paths.collect::<Vec<_>>().join("\n"),
    };
    ui.add(egui::Label::new(library.label()).truncate()).on_hover_text(tooltip);
    ui.horizontal(|ui| {
        for (command, text) in [
            (Command::ChooseFiles, "Files…"),
            (Command::ChooseFolder, "Folder…"),
            (Command::UseBuiltInPieces, "Built-in"),
        ] {
            if command_button(ui, state, command, text) {
                actions.push(AppAction::Run(command));
            }
        }
    });
    if library.job.is_some() {
        let (n_done, n_files) = (library.progress.n_done, library.progress.n_files);
        progress(ui, theme, n_done as f32 / n_files.max(1) as f32, "Reading");
        hint(ui, format!("Reading {} of {n_files} files", n_done.min(n_files)));
    }
    if let Some(error) = &library.error {
        problem(ui, error);
    }
    match &library.music {
        Some(music) => {
            summary(ui, music);
            let has_vocabulary = state.preferences.training.model.has_vocabulary();
            covered(ui, library.coverage.as_ref(), has_vocabulary && library.counting.is_some());
            skipped(ui, music.skipped());
        }
        None if library.job.is_none() && library.error.is_none() => {
            hint(ui, "Choose MIDI files or a folder, or drop them on the window");
        }
        None => {}
    }
}

fn summary(ui: &mut Ui, music: &Music) {
    ui.horizontal_wrapped(|ui| {
        let mut parts = vec![
            (
                counted(music.n_pieces(), "piece", "pieces"),
                "Files that could be read, each one piece",
            ),
            (duration(music.duration_secs()), "How long all of them last together"),
            (
                counted(music.n_frames(), "frame", "frames"),
                "Each piece is cut into slices of equal length. One slice is a frame: the keys \
                 that are down at that moment",
            ),
        ];
        if let Some(n_chords) = music.n_chords() {
            parts.push((
                counted(n_chords, "chord", "chords"),
                "How many different sets of keys there are. The vocabulary is made of them",
            ));
        }
        for (text, tooltip) in parts {
            ui.label(RichText::new(text).small()).on_hover_text(tooltip);
        }
    });
}

fn covered(ui: &mut Ui, coverage: Option<&Coverage>, is_counting: bool) {
    match coverage.map(|coverage| &coverage.result) {
        // A model without a vocabulary can play every chord.
        Some(Ok(figures)) if figures.vocabulary == 0 => {}
        Some(Ok(figures)) => {
            let text = format!(
                "The vocabulary of {} chords covers {:.0} % of the held-out music",
                grouped(figures.vocabulary as f64),
                figures.share * 100.0
            );
            hint(ui, text).on_hover_text(
                "Some pieces are held out: nothing is learned from them, they only measure. This \
                 is the share of their frames whose chord occurs in the pieces learned from. The \
                 rest can only be guessed key by key",
            );
        }
        Some(Err(error)) => {
            problem(ui, error);
        }
        None if is_counting => {
            hint(ui, "Counting how much the vocabulary covers…");
        }
        None => {}
    }
}

fn skipped(ui: &mut Ui, files: &[Skipped]) {
    if files.is_empty() {
        return;
    }
    let count = counted(files.len(), "file was skipped", "files were skipped");
    CollapsingHeader::new(RichText::new(count).small()).id_salt("skipped files").show(ui, |ui| {
        for skipped in files.iter().take(MOST_SKIPPED) {
            hint(ui, format!("{}: {}", file_name(&skipped.path), skipped.reason))
                .on_hover_text(skipped.path.display().to_string());
        }
        if files.len() > MOST_SKIPPED {
            hint(ui, format!("… and {} more", files.len() - MOST_SKIPPED));
        }
    });
}

/// Of many bad files these are named.
const MOST_SKIPPED: usize = 100;
