//! The program behind the window: it owns the workers, the player and the state.
//!
//! A frame goes through three steps that never mix. `logic` drains what the workers, the player
//! and the tasks sent into the state; `ui` draws from the state and collects actions; then the
//! actions are applied, each by one method of the part of this folder it belongs to.

mod again;
mod compose;
mod document;
mod draw;
mod editing;
mod events;
mod export;
mod recovery;
mod risk;
mod sound;
mod starting;
mod takes;
mod train;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::action::{Actions, AppAction};
use super::command::Command;
use super::curves::Picture;
use super::dialogs::{DialogKind, Dialogs};
use super::edit_dialogs::EditDialog;
use super::info::Info;
use super::palette::Palette;
use super::piano_roll::{PianoRollEditor, Tool};
use super::state::{ModelChoice, Piece, Preferences, State};
use super::tasks::{Answer, Tasks};
use super::theme::Theme;
use crate::assets;
use crate::audio::{Font, Player};
use crate::editor::{Selection, operations};
use crate::model::Run;
use crate::music::Score;
use crate::studio::{JobId, Request, Studio};
use export::Fetch;
use recovery::Recovery;
use risk::Waiting;

/// Everything the window needs from outside, so that a test can give it a silent player, a folder
/// of its own and a clock that stands still.
pub struct Setup {
    pub studio: Studio,
    pub player: Player,
    /// Asks for a repaint from any thread.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Where runs, takes and ratings are kept.
    pub data_dir: PathBuf,
    pub clock: fn() -> SystemTime,
    pub dialogs: DialogKind,
    pub preferences: Preferences,
    /// The longest that an edit may wait until it is kept against a crash.
    pub recovery_after: Duration,
    /// A MIDI file or a project to open at once.
    pub file: Option<PathBuf>,
}

pub struct App {
    studio: Studio,
    player: Player,
    tasks: Tasks,
    dialogs: Dialogs,
    roll: PianoRollEditor,
    palette: Palette,
    info: Option<Info>,
    /// The dialog of the Notes menu that is open.
    edit_dialog: Option<editing::OpenDialog>,
    /// What was copied or cut last.
    copied: Option<editing::Copied>,
    /// The system was asked for what is in its clipboard, and may still answer in so many frames.
    paste_frames: Option<u8>,
    picture: Picture,
    data_dir: PathBuf,
    clock: fn() -> SystemTime,
    theme: Theme,
    /// What the player was given last, to tell when it must be given something else.
    sent_score: Option<Arc<Score>>,
    sent_loop: Option<std::ops::Range<f64>>,
    /// The key of a score is being worked out.
    is_estimating_key: bool,
    recovery: Recovery,
    /// What is done once unsaved work is on the disk, in the order it was asked for.
    waiting: Vec<Waiting>,
    /// The piano for WAV files, once it is loaded.
    export_font: Option<Font>,
    render_job: Option<JobId>,
    fetch: Option<Fetch>,
    /// A font that was asked for and is being tried.
    asked_font: Option<PathBuf>,
    devices_job: JobId,
    /// The window is closing and asks nothing any more.
    is_closing: bool,
    /// What goes on once the score is saved, until it is known where to.
    after_saving: Option<super::state::Question>,
    /// How many documents this window has had before the one that is there.
    n_documents: u64,
    /// The number of the document for which the system's dialog was asked last.
    asked_by: u64,
    /// How often a sound file was asked for or given up.
    n_exports: u64,
    /// The score that was there when another was asked for last.
    replaced: Option<Piece>,
    /// How often another score was asked for.
    n_expected: u64,
    /// How often a training was asked for, and the one whose folder is being made.
    n_starts: u64,
    /// How often a model was loaded to be the chosen one.
    n_loads: u64,
    start: Option<train::Start>,
    /// What the system's file dialog answered, to be applied with this frame's actions.
    chosen_outside: Option<(super::dialogs::Purpose, Vec<PathBuf>)>,
    pub state: State,
}

impl App {
    pub fn new(ctx: &egui::Context, setup: Setup) -> Self {
        let file = setup.file.clone();
        let recovery = Recovery::new(setup.recovery_after, &setup.data_dir);
        let Setup { studio, player, wake, data_dir, clock, dialogs, preferences, .. } = setup;
        let theme = preferences.theme.theme();
        theme.apply(ctx);
        ctx.set_zoom_factor(preferences.ui_scale.clamp(0.5, 3.0));
        let devices_job = studio.submit(Request::ListDevices);
        let mut state = State::new(assets::first_score(), preferences);
        state.opened_secs = super::sessions::seconds(clock());
        state.library.paths.clone_from(&state.preferences.library);
        // Before anything can be composed: no take may take the name of one that is kept.
        state.takes.last_id = super::state::Takes::last_kept_id(&data_dir);
        let own_file_dialog = state.preferences.own_file_dialog;
        let mut app = Self {
            studio,
            player,
            tasks: Tasks::new(wake),
            dialogs: Dialogs::new(dialogs),
            roll: PianoRollEditor::default(),
            palette: Palette::default(),
            info: None,
            edit_dialog: None,
            copied: None,
            paste_frames: None,
            picture: Picture::default(),
            data_dir,
            clock,
            theme,
            sent_score: None,
            sent_loop: None,
            is_estimating_key: false,
            recovery,
            waiting: Vec::new(),
            export_font: None,
            render_job: None,
            fetch: None,
            asked_font: None,
            devices_job,
            is_closing: false,
            after_saving: None,
            n_documents: 0,
            asked_by: 0,
            n_exports: 0,
            replaced: None,
            n_expected: 0,
            n_starts: 0,
            n_loads: 0,
            start: None,
            chosen_outside: None,
            state,
        };
        app.roll.options = app.state.preferences.roll;
        if own_file_dialog {
            app.dialogs.prefer_own(true);
        }
        app.begin(file);
        app
    }

    /// What is done once, when everything is in place.
    fn begin(&mut self, file: Option<PathBuf>) {
        self.player.set_volume(self.state.preferences.volume);
        self.player.set_metronome(self.state.preferences.metronome);
        self.state.sound.is_looping = true;
        if let Some(font) = self.state.preferences.font.clone() {
            self.player.load_font(crate::audio::FontSource::File(font));
        }
        let data_dir = self.data_dir.clone();
        self.tasks.spawn("reading takes", move || {
            let (entries, failures) = super::state::Takes::read(&data_dir);
            Answer::TakesRead { entries, failures }
        });
        self.tasks.spawn("finding fonts", || Answer::FontsFound(crate::audio::system_fonts()));
        self.list_runs();
        // Nothing is in training yet, whatever was chosen when the window was closed.
        if self.state.preferences.compose.model == ModelChoice::InTraining {
            self.state.preferences.compose.model = ModelChoice::Starter;
        }
        self.load_chosen_model();
        self.read_start();
        if let Some(file) = file {
            self.read_score(file);
        }
        self.look_for_unfinished();
    }

    fn list_runs(&self) {
        let folder = self.runs_dir();
        self.tasks.spawn("listing runs", move || Answer::RunsListed(Run::list(&folder)));
    }

    fn runs_dir(&self) -> PathBuf {
        self.data_dir.join("runs")
    }

    /// Seconds since 1970.
    fn now_secs(&self) -> u64 {
        (self.clock)().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }

    fn apply(&mut self, ctx: &egui::Context, actions: Actions) {
        for action in actions {
            match action {
                AppAction::Run(command) => self.run_if_enabled(ctx, command),
                AppAction::PathsChosen(purpose, paths) => self.paths_chosen(ctx, purpose, paths),
                AppAction::Dropped(paths) => self.dropped(paths),
                AppAction::Document(action) => self.document_action(ctx, action),
                AppAction::ApplyEdit(dialog) => self.apply_edit(dialog),
                AppAction::Sound(action) => self.sound_action(action),
                AppAction::Take(id, action) => self.take_action(id, action),
                AppAction::UndoDrop => self.undo_drop(),
                AppAction::ChooseModel(choice) => self.choose_model(choice),
                AppAction::ChooseStart(choice) => self.choose_start(choice),
                AppAction::Ask(purpose) => self.ask(purpose),
                AppAction::DrawSeed => self.draw_seed_to_keep(),
                AppAction::Theme(name) => self.set_theme(ctx, name),
                AppAction::UiScale(scale) => ctx.set_zoom_factor(scale),
                AppAction::Roll(options) => self.roll.options = options,
                AppAction::SetKey(key) => self.state.document.choose_key(key),
                AppAction::DismissNotice(idx) => {
                    self.state.notices.shown.remove(idx);
                }
                AppAction::Resume(run) => self.resume(run),
                AppAction::Answer(question, choice) => self.answered(ctx, question, choice),
                AppAction::Unfinished(name, action) => self.unfinished_action(ctx, name, action),
                AppAction::AskAboutUnfinished => {
                    self.state.question = Some(super::state::Question::Recover);
                }
                AppAction::ForgetRecent => self.state.preferences.recent.clear(),
                AppAction::OwnFileDialog(is_own) => self.prefer_own_dialog(is_own),
                AppAction::AskForNvidia => {
                    self.state.question = Some(super::state::Question::FetchNvidia);
                }
                AppAction::StopFetching => self.stop_fetching(),
            }
        }
    }

    fn run_if_enabled(&mut self, ctx: &egui::Context, command: Command) {
        match command.enabled(&self.state) {
            Ok(()) => self.run(ctx, command),
            Err(why) => self.state.notices.note(format!("{}: {why}", command.label())),
        }
    }

    fn run(&mut self, ctx: &egui::Context, command: Command) {
        use super::dialogs::Purpose;
        match command {
            Command::NewScore => self.replace_score(ctx, super::state::Question::New),
            Command::Revert => self.revert(ctx),
            Command::OpenFile => self.ask(Purpose::OpenScore),
            Command::SaveProject => self.save(),
            Command::SaveProjectAs => self.ask(Purpose::SaveProject),
            Command::ExportMidi => self.ask(Purpose::ExportMidi),
            Command::ExportWav => self.ask(Purpose::ExportWav),
            Command::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Command::Undo => self.undo(),
            Command::Redo => self.redo(),
            Command::DeleteSelection => self.operate(command, operations::delete),
            Command::Cut => self.cut(ctx),
            Command::Copy => self.copy(ctx),
            Command::Paste => self.ask_for_paste(ctx),
            Command::Duplicate => self.duplicate(),
            Command::AddNote => self.add_note(ctx),
            Command::SelectAll => self.select(|score, _, _| Selection::all(score)),
            Command::SelectNone => self.select(|_, _, _| Selection::new()),
            Command::InvertSelection => self.select(|score, chosen, _| chosen.inverted(score)),
            Command::SelectSamePitch => self.select(|score, chosen, _| chosen.same_pitch(score)),
            Command::SelectFromPlayhead => {
                self.select(|score, _, playhead| Selection::from_tick(score, playhead));
            }
            Command::SelectTool => self.roll.tool = Tool::Select,
            Command::DrawTool => self.roll.tool = Tool::Draw,
            Command::EraseTool => self.roll.tool = Tool::Erase,
            Command::SplitTool => self.roll.tool = Tool::Split,
            Command::QuickQuantize => self.quick_quantize(),
            Command::StepUp => self.step_in_scale(command, 1),
            Command::StepDown => self.step_in_scale(command, -1),
            Command::Legato => self.operate(command, operations::legato),
            Command::Join => self.operate(command, operations::join),
            Command::SnapToScale => self.snap_to_scale(),
            Command::SplitAtPlayhead => self.split_at_playhead(),
            Command::Reverse => self.operate(command, operations::reverse),
            Command::Invert => self.operate(command, operations::invert),
            Command::RemoveOverlaps => self.operate(command, operations::remove_overlaps),
            Command::Quantize => self.ask_how(EditDialog::Quantize),
            Command::Transpose => self.ask_how(EditDialog::Transpose),
            Command::SetLength => self.ask_how(EditDialog::SetLength),
            Command::ScaleLength => self.ask_how(EditDialog::ScaleLength),
            Command::SetVelocity => self.ask_how(EditDialog::SetVelocity),
            Command::Humanize => self.ask_how(EditDialog::Humanize),
            Command::HearNotes => self.state.preferences.hears_notes ^= true,
            Command::PlayPause => self.play_or_pause(),
            Command::Stop => self.stop(),
            Command::GoToEnd => self.go_to_end(),
            Command::Repeat => self.state.preferences.repeats ^= true,
            Command::Loop => self.toggle_loop(),
            Command::Metronome => self.toggle_metronome(),
            Command::CountIn => self.state.preferences.count_in ^= true,
            Command::Compose => self.compose(),
            Command::StopComposing => self.stop_composing(),
            Command::NextTake => self.step_take(1),
            Command::PreviousTake => self.step_take(-1),
            Command::PlayAllTakes => self.play_all_takes(),
            Command::BackToScore => self.show_score(),
            Command::ChooseFiles => self.ask(Purpose::LearnFiles),
            Command::ChooseFolder => self.ask(Purpose::LearnFolder),
            Command::UseBuiltInPieces => self.learn_from(Vec::new()),
            Command::Train => self.train(),
            Command::StopTraining => self.stop_training(),
            Command::ResumeTraining => self.resume_last(),
            Command::ExportCurvesCsv => self.ask(Purpose::CurvesCsv),
            Command::ExportCurvesPng => self.ask(Purpose::CurvesPng),
            Command::ShowLibrary => self.state.preferences.shows_library ^= true,
            Command::ShowCompose => self.state.preferences.shows_compose ^= true,
            Command::ShowCurves => self.state.preferences.shows_curves ^= true,
            Command::ShowParts => self.state.preferences.shows_parts ^= true,
            Command::ShowHistory => self.state.preferences.shows_history ^= true,
            Command::FitAll => self.roll.fit_all(),
            Command::FitSelection => self.roll.fit_selection(),
            Command::NextTheme => self.next_theme(ctx),
            Command::ChooseSoundFont => self.ask(Purpose::SoundFont),
            Command::UseBuiltInPiano => self.use_built_in_piano(),
            Command::CommandPalette => self.palette.open(),
            Command::OpenLog => self.open_log(),
            Command::Shortcuts => self.info = Some(Info::Shortcuts),
            Command::About => self.info = Some(Info::About),
        }
    }

    fn ask(&mut self, purpose: super::dialogs::Purpose) {
        let suggestion = self.suggestion(purpose);
        self.asked_by = self.n_documents;
        self.dialogs.ask(purpose, suggestion, &self.tasks);
    }

    fn prefer_own_dialog(&mut self, is_own: bool) {
        self.state.preferences.own_file_dialog = is_own;
        self.dialogs.prefer_own(is_own);
    }

    fn set_theme(&mut self, ctx: &egui::Context, name: super::theme::ThemeName) {
        self.state.preferences.theme = name;
        self.theme = name.theme();
        self.theme.apply(ctx);
    }

    fn next_theme(&mut self, ctx: &egui::Context) {
        let all = super::theme::ThemeName::ALL;
        let at = all.iter().position(|&name| name == self.state.preferences.theme).unwrap_or(0);
        self.set_theme(ctx, all[(at + 1) % all.len()]);
    }

    fn open_log(&mut self) {
        let path = crate::logging::log_file();
        if let Err(error) = super::native::open_with_system(&path) {
            self.state.notices.note(format!("The log file is {} ({error})", path.display()));
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.drain(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        let mut actions = self.keys(&ctx);
        if let Some((purpose, paths)) = self.chosen_outside.take() {
            actions.push(AppAction::PathsChosen(purpose, paths));
        }
        // Ctrl with plus and minus changes it too.
        self.state.preferences.ui_scale = ctx.zoom_factor();
        self.draw(ui, &mut actions);
        self.finish_wheel(&mut actions);
        self.apply(&ctx, actions);
        self.keep_recovery();
        self.sync_player();
        self.set_title(&ctx);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.lasting_preferences().store(storage);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.finish();
    }

    fn auto_save_interval(&self) -> Duration {
        Duration::from_secs(30)
    }
}

#[cfg(test)]
pub(in crate::ui) mod tests;
